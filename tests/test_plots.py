"""Pictures: what their SVG says, what their PNG is, and that they leave no trace beside the file."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from tsforecast.errors import ConfigError
from tsforecast.pictures.plots import (
    SeriesPicture,
    plot_error_by_lead_time,
    plot_forecast,
    plot_forecast_grid,
    plot_training_curve,
)

PNG = b"\x89PNG\r\n\x1a\n"
HOURS = pd.date_range("2024-03-01", periods=60, freq="h")
TRAINING: list[dict[str, Any]] = [
    {"step": 0, "loss": None, "validation": 2.0},
    {"step": 20, "loss": 0.9, "validation": 1.25},
    {"step": 40, "loss": 0.5, "validation": 1.5},
]


def picture(
    title: str = "load", *, ds: Any = HOURS, levels: tuple[float, ...] = (), **more: Any
) -> SeriesPicture:
    """48 steps of history and the rest as forecast."""
    y = 10 + np.sin(np.arange(len(ds)))
    forecast = pd.DataFrame({"ds": ds[48:], "y_hat": y[48:]})
    for level in levels:
        forecast[f"q{level:g}"] = y[48:] + level - 0.5
    return SeriesPicture(title=title, history=(ds[:48], y[:48]), forecast=forecast, **more)


def lead_times(**mase: list[float]) -> pd.DataFrame:
    return pd.concat(
        pd.DataFrame({"model": name, "lead_time": range(1, len(values) + 1), "mae": 1.0, "mase": values})
        for name, values in mase.items()
    )


DRAWINGS: dict[str, Callable[[Path], None]] = {
    "forecast": lambda path: plot_forecast(path, picture(levels=(0.1, 0.9)), y_label="MW"),
    "grid": lambda path: plot_forecast_grid(path, [picture(f"s{k}") for k in range(5)], y_label="MW"),
    "lead_time": lambda path: plot_error_by_lead_time(
        path, by_lead_time=lead_times(lstm=[1, 2], naive=[2, 3])
    ),
    "training": lambda path: plot_training_curve(path, courses=[(TRAINING, 20)]),
}
every_drawing = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)


def texts(path: Path) -> list[str]:
    """Every text of an SVG file."""
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text("utf-8"))]


@pytest.fixture
def svg(tmp_path: Path) -> Path:
    return tmp_path / "picture.svg"


@every_drawing
def test_png_and_svg_are_written(draw: Callable[[Path], None], tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "a.SVG")
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert "<svg" in (tmp_path / "a.SVG").read_text("utf-8")


@every_drawing
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_equal_data_gives_equal_files(draw: Callable[[Path], None], ending: str, tmp_path: Path) -> None:
    first, second = (tmp_path / f"{name}.{ending}" for name in ("first", "second"))
    draw(first)
    with mpl.rc_context({"lines.linewidth": 9, "axes.linewidth": 7, "figure.facecolor": "red"}):
        draw(second)
    assert first.read_bytes() == second.read_bytes()


@every_drawing
def test_the_settings_of_matplotlib_are_left_as_they_were(
    draw: Callable[[Path], None], tmp_path: Path
) -> None:
    with mpl.rc_context({"font.size": 31}):
        before = dict(mpl.rcParams)
        draw(tmp_path / "a.png")
        assert dict(mpl.rcParams) == before


@every_drawing
def test_another_ending_is_refused_and_nothing_is_written(
    draw: Callable[[Path], None], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"a\.pdf: a picture is a \.png or \.svg file, not '\.pdf'"):
        draw(tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []


def test_pyplot_is_not_loaded() -> None:
    code = "import sys, tsforecast.pictures.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "name", ["$x^$", "$\\frac", "a_b", "100 %", "🚀 Köln 東京", "<script>alert(1)</script>", ""]
)
def test_any_series_name_is_the_title_as_it_stands(name: str, svg: Path) -> None:
    plot_forecast(svg, picture(name), y_label=name)
    assert [text for text in texts(svg) if text == name] == ([name, name] if name else [])
    plot_forecast(svg.with_suffix(".png"), picture(name))  # has no font for some of them
    plot_forecast_grid(svg, [picture(name), picture("other")])
    assert name in texts(svg) or not name


def test_control_characters_do_not_reach_the_file(svg: Path) -> None:
    plot_forecast(svg, picture("a\x00b\nc\x1b\ud800"))
    assert "a\ufffdb\ufffdc\ufffd\ufffd" in texts(svg)


def test_a_long_name_is_cut(svg: Path) -> None:
    plot_forecast(svg, picture("x" * 5000))
    assert max(texts(svg), key=len) == "x" * 59 + "…"


def test_the_legend_names_what_is_drawn(svg: Path) -> None:
    plot_forecast(svg, picture(levels=(0.05, 0.25, 0.5, 0.75, 0.95), actuals=(HOURS[48:], np.ones(12))))
    expected = ["history", "quantiles 0.05 to 0.95", "quantiles 0.25 to 0.75", "forecast", "actual values"]
    assert texts(svg)[-5:] == expected


def test_quantiles_are_drawn_as_far_as_they_reach(svg: Path) -> None:
    forecast = picture().forecast.assign(**{"q0.1": -800.0, "q0.9": 800.0})
    plot_forecast(svg, SeriesPicture("s", history=picture().history, forecast=forecast))
    assert {"−800", "800"} <= set(texts(svg))


def test_without_quantiles_and_actual_values_none_are_drawn(svg: Path) -> None:
    plot_forecast(svg, picture())
    assert texts(svg)[-2:] == ["history", "forecast"]


def test_hours_of_a_time_zone_are_labelled_as_the_clock_shows_them(svg: Path) -> None:
    # The last hour is 19:00 on 3 July in UTC, and half past midnight on the 4th in Kolkata.
    ds = pd.date_range("2024-07-01 08:00", periods=60, freq="h", tz="UTC").tz_convert("Asia/Kolkata")
    plot_forecast(svg, picture(ds=ds))
    assert "Asia/Kolkata" in texts(svg)
    assert "04 Jul" in texts(svg)


def test_few_steps_of_integer_time_are_labelled_one_by_one(svg: Path) -> None:
    one_step = pd.DataFrame({"ds": [3], "y_hat": [7.0]})
    plot_forecast(svg, SeriesPicture("s", history=(np.arange(3), np.ones(3)), forecast=one_step))
    assert texts(svg)[:4] == ["0", "1", "2", "3"]


def test_a_forecast_begins_at_the_last_known_value(svg: Path) -> None:
    one_step = picture().forecast.iloc[:1]
    plot_forecast(svg, SeriesPicture("s", history=picture().history, forecast=one_step))
    lines = re.findall(r'<path d="([^"]*)"[^>]*fill: none; stroke: #1f6fb5', svg.read_text("utf-8"))
    assert lines[0].count("L") == 1


def test_a_forecast_of_one_step_and_a_history_of_none_are_drawn(svg: Path) -> None:
    full = picture(levels=(0.1, 0.9))
    plot_forecast(svg, SeriesPicture("s", history=(HOURS[:0], np.empty(0)), forecast=full.forecast.iloc[:1]))
    assert "forecast" in texts(svg)


def test_a_missing_last_value_does_not_hide_the_forecast(tmp_path: Path) -> None:
    y = np.ones(48)
    y[-1] = np.nan
    with_gap, without = tmp_path / "gap.png", tmp_path / "none.png"
    forecast = picture(levels=(0.1, 0.9)).forecast
    plot_forecast(with_gap, SeriesPicture("s", history=(HOURS[:48], y), forecast=forecast))
    plot_forecast(without, SeriesPicture("s", history=(HOURS[:48], y), forecast=forecast.iloc[:0]))
    assert blue_pixels(with_gap) > 10 * max(1, blue_pixels(without))


def test_a_grid_has_a_title_for_each_series_and_one_legend(svg: Path) -> None:
    plot_forecast_grid(svg, [picture(f"series {k}") for k in range(7)])
    found = texts(svg)
    assert [text for text in found if text.startswith("series")] == [f"series {k}" for k in range(7)]
    assert found.count("forecast") == 1


def test_places_of_a_grid_without_a_series_stay_empty(svg: Path) -> None:
    plot_forecast_grid(svg, [picture(f"series {k}") for k in range(4)])
    assert len(re.findall(r'<g id="axes_\d+">', svg.read_text("utf-8"))) == 4


def test_the_models_of_the_lead_times_are_named_the_first_one_first(svg: Path) -> None:
    plot_error_by_lead_time(svg, by_lead_time=lead_times(lstm=[1, 2], seasonal_naive=[2, 2], drift=[1, 3]))
    assert texts(svg)[-3:] == ["lstm", "seasonal naive", "drift"]
    assert "MASE by lead time" in texts(svg)


def test_more_models_than_looks_are_all_drawn(svg: Path) -> None:
    names = [f"model {k}" for k in range(9)]
    plot_error_by_lead_time(svg, by_lead_time=lead_times(**{name: [1.0, 2.0] for name in names}))
    assert sorted(texts(svg)[-9:]) == names


def test_a_hopeless_baseline_does_not_press_the_model_to_the_ground(svg: Path) -> None:
    plot_error_by_lead_time(
        svg, by_lead_time=lead_times(lstm=[0.5, 1], seasonal_naive=[1, 1], naive=[500, 900])
    )
    assert not [text for text in texts(svg) if re.fullmatch(r"\d{2,}", text)]


def test_errors_in_the_unit_of_the_data_say_so(svg: Path) -> None:
    plot_error_by_lead_time(svg, by_lead_time=lead_times(lstm=[1, 2]), metric="mae")
    assert "MAE, in the unit of the data" in texts(svg)


def test_a_mase_that_no_series_has_is_explained_in_the_picture(svg: Path) -> None:
    plot_error_by_lead_time(svg, by_lead_time=lead_times(lstm=[np.nan, np.nan], naive=[np.nan, np.nan]))
    assert "no series has a MASE: each repeats itself exactly" in texts(svg)


def test_baselines_are_drawn_when_the_model_has_no_score(svg: Path) -> None:
    plot_error_by_lead_time(svg, by_lead_time=lead_times(lstm=[np.nan, np.nan], naive=[20, 30]))
    assert {"naive", "30"} <= set(texts(svg))


def test_a_model_without_any_error_is_drawn(svg: Path) -> None:
    plot_error_by_lead_time(svg, by_lead_time=lead_times(lstm=[0, 0], naive=[0, 0]))
    assert "lstm" in texts(svg)


def test_the_training_curve_marks_the_best_step_with_its_score(svg: Path) -> None:
    plot_training_curve(svg, courses=[(TRAINING, 20)])
    assert "best: 1.250 at step 20" in texts(svg)


def test_a_training_without_validations_is_drawn(svg: Path) -> None:
    plot_training_curve(svg, courses=[([], 0)])
    assert "Training loss" in texts(svg)


def test_parents_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        plot_forecast(tmp_path / "none" / "a.png", picture())


def blue_pixels(path: Path) -> int:
    """Pixels of a picture in the blue of forecasts, give or take."""
    from matplotlib.image import imread

    red, _, blue = np.moveaxis(imread(path)[..., :3], -1, 0)
    return int((blue - red > 0.3).sum())
