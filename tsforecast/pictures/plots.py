"""Pictures as PNG or SVG files: forecasts, errors by lead time, the course of training.

Drawn on ``Figure`` objects, without pyplot's global state, in a style that no matplotlibrc changes: equal
data gives equal files. No text is read as mathematics, so any series name can be shown.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tsforecast.errors import ConfigError
from tsforecast.evaluation.metrics import METRICS
from tsforecast.series.panel import FloatArray
from tsforecast.series.timeaxis import TimeIndex
from tsforecast.storage.atomic import write_bytes

__all__ = [
    "SeriesPicture",
    "plot_error_by_lead_time",
    "plot_forecast",
    "plot_forecast_grid",
    "plot_training_curve",
]

INK = "#33383f"
MUTED = "#7a828c"
BLUE = "#1f6fb5"
BANDS = ("#d9e7f4", "#b9d4ec", "#94bde0")  # from the outermost quantiles inwards
# Of baselines; told apart without colour by their dashes.
OTHER_LINES = [("#d9822b", (0, (5, 2))), ("#5a9a6f", (0, (1, 1.5))), ("#a15c9b", (0, (6, 2, 1, 2)))]
FEW_POINTS = 40  # up to here each point is marked
# Labels of ticks that are years, months, days, hours, minutes and seconds apart.
DATES = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"]

STYLE: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#c3c8ce",
    "axes.formatter.limits": (-4, 7),
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.dpi": 120,
    "font.size": 10,
    "grid.color": "#e8ebee",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 120,
    "svg.fonttype": "none",  # text stays text, and the viewer's fonts know more characters
    "svg.hashsalt": "tsforecast",
    "text.parse_math": False,
    "xtick.color": "#c3c8ce",
    "xtick.labelcolor": MUTED,
    "ytick.color": "#c3c8ce",
    "ytick.labelcolor": MUTED,
}

# What would otherwise tell when and by which version a file was written.
FORMATS: Mapping[str, Mapping[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Creator": None, "Date": None},
}


@dataclass(frozen=True, slots=True, eq=False)
class SeriesPicture:
    """One series and its forecast.

    Attributes:
        title: name of the series.
        history: timestamps and values up to the cutoff.
        forecast: columns ``ds``, ``y_hat`` and quantiles ``q<level>``, which are drawn in pairs.
        actuals: timestamps and values after the cutoff, where they are known.
    """

    title: str
    history: tuple[TimeIndex, FloatArray]
    forecast: pd.DataFrame
    actuals: tuple[TimeIndex, FloatArray] | None = None


def plot_forecast(path: Path, picture: SeriesPicture, *, y_label: str = "") -> None:
    """Draws history, forecast with its quantiles, and actual values of one series.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        picture: what to draw.
        y_label: name of the values.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    with _figure(path, width=10, height=4.8) as figure:
        axes = figure.subplots()
        _draw_series(axes, picture, max_ticks=9)
        axes.set_title(_printable(picture.title, longest=60), pad=10)
        axes.set_xlabel(_timezone(picture.history[0]))
        axes.set_ylabel(_printable(y_label, longest=28))
        _legend_below(figure, axes)


def plot_forecast_grid(path: Path, pictures: Sequence[SeriesPicture], *, y_label: str = "") -> None:
    """Draws up to about a dozen series side by side, each on its own scale.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        pictures: what to draw, at least one.
        y_label: name of the values.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    columns = min(3, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    with _figure(path, width=4.2 * columns, height=0.6 + 2.5 * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, picture in zip(grid, pictures, strict=False):
            _draw_series(axes, picture, max_ticks=6)
            axes.set_title(_printable(picture.title, longest=32), size=10)
        for axes in grid[len(pictures) :]:
            axes.remove()
        figure.supylabel(_printable(y_label, longest=28), color=MUTED, size=10)
        _legend_below(figure, figure.axes[0])


def plot_error_by_lead_time(path: Path, *, by_lead_time: pd.DataFrame, metric: str = "mase") -> None:
    """Draws how the error grows with the lead time, the first model in front of the others.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        by_lead_time: columns ``model``, ``lead_time`` and the metric.
        metric: the column to draw.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    title = METRICS[metric].title
    with _figure(path, width=8, height=4.5) as figure:
        axes = figure.subplots()
        first, *others = by_lead_time["model"].unique()
        _draw_errors(axes, by_lead_time, first, metric, color=BLUE, linewidth=2.4, zorder=3)
        for name, (color, dashes) in zip(others, cycle(OTHER_LINES), strict=False):
            _draw_errors(axes, by_lead_time, name, metric, color=color, linestyle=dashes)
        axes.set_title(f"{title} by lead time", pad=10)
        axes.set_xlabel("steps after the cutoff")
        axes.set_ylabel(f"{title}, in the unit of the data" if METRICS[metric].of_data else title)
        axes.xaxis.set_major_locator(_whole_numbers(12))
        axes.set_xlim(0.5, by_lead_time["lead_time"].max() + 0.5)
        if by_lead_time[metric].notna().any():
            axes.set_ylim(0, _highest_shown(by_lead_time.groupby("model")[metric].max(), first))
        else:
            axes.set_yticks([])
            _note(axes, f"no series has a {title}: each repeats itself exactly")
        _legend_below(figure, axes)


def plot_training_curve(path: Path, *, history: Sequence[Mapping[str, Any]], best_step: int) -> None:
    """Draws validation score and training loss over the steps, and marks the step whose weights are kept.

    The steps of a reservoir are the ridge strengths that were tried.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        history: records with ``step``, ``loss`` and ``validation``; the latter two may be None.
        best_step: step of the lowest validation score.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    steps = [record["step"] for record in history]
    validation, loss = (_numbers(record[name] for record in history) for name in ("validation", "loss"))
    with _figure(path, width=8, height=5) as figure:
        upper, lower = figure.subplots(2, sharex=True)
        upper.plot(steps, validation, color=BLUE, marker="o", markersize=3)
        upper.set_title("Validation MASE")
        lower.plot(steps, loss, color=MUTED, marker="o", markersize=3)
        lower.set_title("Training loss")
        if history and "ridge" in history[0]:
            lower.set_xlabel("ridge strength")
            lower.set_xticks(steps, labels=[f"{record['ridge']:g}" for record in history])
        else:
            lower.set_xlabel("step")
            lower.xaxis.set_major_locator(_whole_numbers(10))
        if best_step in steps:
            _mark_best(upper, lower, step=best_step, score=validation[steps.index(best_step)])


@contextmanager
def _figure(path: Path, *, width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, in our style, that is written to ``path`` at the end."""
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise ConfigError(f"{path}: a picture is a {' or '.join(FORMATS)} file, not {ending!r}; rename it.")
    with style.context(dict(STYLE), after_reset=True), warnings.catch_warnings():
        # A name in a script our font lacks is drawn as boxes, which is no reason to alarm anybody.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        buffer = BytesIO()
        figure.savefig(buffer, format=ending[1:], metadata=dict(FORMATS[ending]))
    write_bytes(path, buffer.getvalue())


def _draw_series(axes: Axes, picture: SeriesPicture, *, max_ticks: int) -> None:
    ds, y = picture.history
    frame = picture.forecast
    _set_time_axis(axes, ds, max_ticks=max_ticks)
    look: dict[str, Any] = {"color": INK, "linewidth": 1.2, "markersize": 2.5}
    axes.plot(_times(ds), y, marker=_marker(len(y)), label="history", **look)

    # Drawn from the last known value on, so that a forecast of one step is seen as well.
    last = y[-1:]
    times = np.concatenate([_times(ds)[-1:], _times(pd.Index(frame["ds"]))])
    bands = _quantile_pairs(frame)
    for (low, high), color in zip(bands, chain(BANDS, repeat(BANDS[-1])), strict=False):
        bottom, top = (np.concatenate([last, frame[name]]) for name in (low, high))
        label = f"quantiles {low[1:]} to {high[1:]}"
        axes.fill_between(times, bottom, top, color=color, linewidth=0, label=label)
    look = {"color": BLUE, "linewidth": 1.8, "markersize": 3, "markevery": slice(len(last), None)}
    y_hat = np.concatenate([last, frame["y_hat"]])
    axes.plot(times, y_hat, marker=_marker(len(frame)), label="forecast", **look)

    if picture.actuals is not None:
        later, values = picture.actuals
        axes.plot(_times(later), values, "o", color=INK, markersize=3, label="actual values")


def _quantile_pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Columns of the lowest and the highest quantile, of the next ones, and so on inwards."""
    names = sorted((name for name in frame.columns if name.startswith("q")), key=lambda name: float(name[1:]))
    return [(names[k], names[-1 - k]) for k in range(len(names) // 2)]


def _set_time_axis(axes: Axes, ds: TimeIndex, *, max_ticks: int) -> None:
    if not isinstance(ds, pd.DatetimeIndex):
        axes.xaxis.set_major_locator(_whole_numbers(max_ticks))
        return
    # With less room between the two, some spans have no step that fits.
    ticks = {"minticks": max_ticks // 3, "maxticks": max_ticks}
    locator = AutoDateLocator(tz=ds.tz, **ticks)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        ConciseDateFormatter(  # type: ignore[no-untyped-call]
            locator, tz=ds.tz, formats=DATES, zero_formats=["", *DATES[:-1]]
        )
    )


def _whole_numbers(max_ticks: int) -> MaxNLocator:
    return MaxNLocator(nbins=max_ticks, integer=True, steps=[1, 2, 5, 10])


def _timezone(ds: TimeIndex) -> str:
    return str(ds.tz) if isinstance(ds, pd.DatetimeIndex) and ds.tz is not None else ""


def _times(ds: TimeIndex | pd.Index) -> npt.NDArray[Any]:
    """Timestamps as matplotlib takes them: those with a time zone in UTC, which the axis turns back."""
    if isinstance(ds, pd.DatetimeIndex) and ds.tz is not None:
        ds = ds.tz_convert("UTC").tz_localize(None)
    return np.asarray(ds)


def _draw_errors(axes: Axes, by_lead_time: pd.DataFrame, name: str, metric: str, **look: Any) -> None:
    rows = by_lead_time[by_lead_time["model"] == name]
    label = _printable(name.replace("_", " "), longest=40)
    axes.plot(rows["lead_time"], rows[metric], marker=_marker(len(rows)), markersize=3.5, label=label, **look)


def _mark_best(upper: Axes, lower: Axes, *, step: int, score: float) -> None:
    for axes in (upper, lower):
        axes.axvline(step, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    upper.plot([step], [score], "o", color=BLUE, markersize=7)
    left = step > np.mean(upper.get_xlim())
    upper.annotate(
        f"best: {score:.3f} at step {step}",
        (step, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-7 if left else 7, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        color=INK,
        size=9,
    )


def _highest_shown(largest: pd.Series[float], first: str) -> float:
    """Top of the axis: a hopeless baseline may leave the picture, so that the model is seen beside the best.

    Args:
        largest: largest error of each model; NaN for one without a score.
        first: the model the picture is about.
    """
    largest = largest.fillna(0.0)
    compared = max(largest[first], largest.drop(first).min()) if len(largest) > 1 else largest[first]
    return float(min(1.05 * largest.max(), 4 * compared)) or 1.0


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)


def _note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _marker(n_points: int) -> str:
    return "o" if n_points <= FEW_POINTS else ""


def _numbers(values: Iterator[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _printable(text: str, *, longest: int) -> str:
    """Text without line breaks and other controls, which SVG does not allow, and not too long."""
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
