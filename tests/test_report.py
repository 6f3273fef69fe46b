"""The report: what it says is what the files say, nothing in a name becomes markup, and a browser shows it as meant."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import Browser, running_browser
from matplotlib.image import imread
from synthetic import config, seasonal_frame
from test_cli import tsforecast

from tsforecast.config.words import printable
from tsforecast.errors import RunError
from tsforecast.evaluation.significance import Difference
from tsforecast.pictures.charts import Line, bar_chart, heat_map, line_chart, number_texts, thinned
from tsforecast.runs import open_derived, verify_run
from tsforecast.workflows import inspect as inspection
from tsforecast.workflows import judgement
from tsforecast.workflows.backtest import Rolling, backtest_run
from tsforecast.workflows.predict import load_run
from tsforecast.workflows.report import page_of, report
from tsforecast.workflows.reporting import scores, series
from tsforecast.workflows.reporting.verdict import Evidence, verdict
from tsforecast.workflows.train import train

FRAME = seasonal_frame(n_series=3, length=72)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' onmouseover='alert(3)",
    "</title></svg><script>alert(4)</script>",
    "</style><style>body{display:none}",
    "{{ 7 * 7 }}{% raw %}",
    "${alert(5)}`",
    "<!-- ",
    "]]>",
    "a&amp;b",
    "javascript:alert(6)",
    "../../x",
    "two\nlines\rand more",
    "nul\0byte",
    "rtl \u202eevil",
    "emoji \U0001f389",
    "=cmd()",
    "$x^$",
    "-rf",
    "x" * 10_000,
]
HOSTILE_TARGET = "</script><script>alert(7)</script>"


def trained(folder: Path, frame: pd.DataFrame = FRAME, **changes: Any) -> Path:
    return train(config(**changes), path=folder / "run", source=frame).path


def judged(run: Path, rows: pd.DataFrame, folder: Path) -> Path:
    """The run with a backtest and an inspection below it."""
    rows.to_csv(folder / "rows.csv", index=False)
    loaded = load_run(run, device="cpu")
    found = backtest_run(loaded, Rolling(n_windows=2, refit="every"), source=str(folder / "rows.csv"))
    judgement.write(run / "derived" / "backtest", found, overwrite=True)
    inspection.write(run / "derived" / "inspect", inspection.inspect(loaded))
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run alone."""
    return trained(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything a report can tell of, and a past covariate."""
    folder = tmp_path_factory.mktemp("whole")
    frame = FRAME.assign(price=np.tile(np.arange(72.0) % 5, 3))
    data = {
        "path": "unused.csv",
        "time": "ds",
        "target": "y",
        "id": "unique_id",
        "covariates": {"past": ["price"]},
    }
    return judged(trained(folder, frame, data=data), frame, folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose series and target have names that would break a careless page."""
    folder = tmp_path_factory.mktemp("hostile")
    frame = pd.concat(
        [
            seasonal_frame(n_series=1, length=72, seed=k).assign(unique_id=name)
            for k, name in enumerate(HOSTILE)
        ]
    ).rename(columns={"y": HOSTILE_TARGET})
    data = {"path": "unused.csv", "time": "ds", "target": HOSTILE_TARGET, "id": "unique_id"}
    run = trained(folder, frame, data=data)
    loaded = load_run(run, device="cpu")
    inspection.write(run / "derived" / "inspect", inspection.inspect(loaded, series=HOSTILE[0]))
    return run


class Parsed(HTMLParser):
    """Tags with their attributes, and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


# What it says


def test_the_parts_come_in_the_order_a_reader_needs_them(whole: Path) -> None:
    names = ["verdict", "scores", "data", "forecasts", "backtest", "training", "gates", "config"]
    sections = [attributes["id"] for tag, attributes in Parsed(report(whole)).tags if tag == "section"]
    assert sections == names


def test_a_run_alone_has_a_report_without_what_was_not_done(plain: Path) -> None:
    sections = [attributes["id"] for tag, attributes in Parsed(report(plain)).tags if tag == "section"]
    assert sections == ["verdict", "scores", "data", "forecasts", "training", "config"]


@pytest.mark.parametrize("name", ["plain", "whole"])
def test_the_same_run_gives_the_same_bytes(name: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    assert report(run) == report(run)


def test_the_table_shows_the_numbers_of_the_run(plain: Path) -> None:
    page = page_of(plain)
    stored = json.loads((plain / "metrics.json").read_text())["test"]["models"]
    (table,) = page.scores
    place = table.columns.index("MASE")
    shown = {row.head.replace(" ", "_"): row.cells[place] for row in table.rows}
    assert shown == {name: f"{row['mase']:.3f}" for name, row in stored.items()}
    best = min(stored, key=lambda name: stored[name]["mase"])
    assert [row.head.replace(" ", "_") for row in table.rows if place in row.best] == [best]
    assert [row.head for row in table.rows if row.is_own] == ["lstm"]
    assert any(
        line.startswith("MASE: 1 is the usual change over one season (12 steps)") for line in table.legend
    )


def test_the_bars_are_as_long_as_the_errors(plain: Path) -> None:
    page = page_of(plain)
    stored = json.loads((plain / "metrics.json").read_text())["test"]["models"]
    errors = sorted(row["mase"] for row in stored.values())
    assert [bar.text for bar in page.bars] == [f"{error:.3g}" for error in errors]
    np.testing.assert_allclose(
        page.bars[0].percent / page.bars[-1].percent, errors[0] / errors[-1], atol=0.002
    )


def test_a_bar_that_is_far_too_long_is_cut_and_says_so(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "LONGEST_BAR", 1.01)
    page = page_of(plain)
    worst = page.bars[-1]
    assert worst.text.endswith("(cut)")
    assert worst.percent == scores.BAR_ROOM


def test_the_scores_of_a_backtest_come_before_the_held_back_ones(whole: Path) -> None:
    page = page_of(whole)
    assert [table.caption.partition(":")[0] for table in page.scores] == ["Backtest", "Held-back rows"]
    document = json.loads((whole / "derived" / "backtest" / "backtest.json").read_text())
    said = " ".join(page.verdict.sentences)
    assert "forecasts from 2 past moments, trained anew before each" in said
    chance = document["significance"]["seasonal_naive"]
    assert chance["why_not"] in said or f"p = {chance['p_value']:.2g}" in said
    assert page.scores[0].columns[-1] == "p"
    assert f"MASE is {document['models']['lstm']['mase']:.4g}" in said


def test_the_summary_counts_series_rows_and_covariates(whole: Path) -> None:
    facts = {fact.name: fact.value for fact in page_of(whole).facts}
    assert facts["Series"] == "3"
    assert facts["Rows"] == "216"
    assert (facts["From"], facts["To"]) == ("2015-01-01", "2020-12-01")
    assert facts["Frequency"] == "monthly"
    assert facts["Covariates"] == "past: price"


def test_what_was_repaired_is_said_with_its_policy(tmp_path: Path) -> None:
    data = {
        "path": "unused.csv",
        "time": "ds",
        "target": "y",
        "id": "unique_id",
        "repair": {"gaps": "interpolate"},
    }
    run = trained(tmp_path, FRAME.drop(index=[20, 21]), data=data)
    assert "Repaired while reading: 2 gaps (interpolate)." in Parsed(report(run)).text


def test_series_that_failed_are_listed_and_warned_of(tmp_path: Path) -> None:
    bad = FRAME.copy()
    bad.loc[bad["unique_id"] == "s1", "y"] = np.inf
    data = {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id", "on_bad_series": "skip"}
    page = page_of(trained(tmp_path, bad, data=data))
    assert page.failures is not None
    assert [row.head for row in page.failures.rows] == ["s1"]
    assert "nothing" in page.failures.rows[0].cells
    assert "1 series have no forecast: 's1'." in page.verdict.warnings
    assert [card.name for card in page.cards] != []


def test_a_series_forecast_by_the_fallback_says_so_on_its_card(tmp_path: Path) -> None:
    bad = FRAME.copy()
    bad.loc[(bad["unique_id"] == "s1") & (bad["ds"] == "2016-03-01"), "y"] = np.inf
    data = {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id", "on_bad_series": "baseline"}
    page = page_of(trained(tmp_path, bad, data=data))
    notes = {card.name: card.note for card in page.cards}
    assert notes["s1"].startswith("by the seasonal naive: ")
    assert any("forecast by the seasonal naive" in warning for warning in page.verdict.warnings)


def test_a_run_without_a_test_part_is_not_judged(tmp_path: Path) -> None:
    page = page_of(trained(tmp_path, split={"test": 0}))
    assert page.verdict.tone == "none"
    assert page.verdict.headline.startswith("Not judged")
    assert page.scores == []


# The forecasts


def test_the_series_with_the_largest_error_comes_first(plain: Path) -> None:
    table = pd.read_csv(plain / "scores.csv")
    own = table[table["model"] == "lstm"].sort_values("mase", ascending=False)
    cards = page_of(plain).cards
    assert [card.name for card in cards] == own["unique_id"].tolist()
    assert [card.rank for card in cards] == [1, 2, 3]
    assert cards[0].note.startswith(f"MASE {own['mase'].iloc[0]:.3g}, seasonal naive ")


def test_of_very_many_series_some_are_drawn_from_worst_to_best(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [card.name for card in page_of(plain).cards]
    monkeypatch.setattr(series, "MOST_CARDS", 2)
    page = page_of(plain)
    assert [card.name for card in page.cards] == [every[0], every[-1]]
    assert "2 of 3 series are drawn, evenly chosen from the largest error to the smallest" in page.cards_note


def test_the_drawn_forecast_is_the_one_in_the_file(plain: Path) -> None:
    """Read back from the path: the lowest and the highest forecast lie where the axis says."""
    chart = next(card.chart for card in page_of(plain).cards if card.name == "s1")
    forecast = pd.read_csv(plain / "forecast.csv").query("unique_id == 's1'")
    (path,) = [stroke.path for stroke in chart.strokes if (stroke.kind, stroke.look) == ("line", "own")]
    start, _, moves = path.removeprefix("M").partition("l")
    row = int(start.split()[1]) + np.cumsum([0, *map(int, moves.split()[1::2])])
    known = FRAME.loc[FRAME["unique_id"] == "s1", "y"].iloc[-1]
    values = np.array([known, *forecast["y_hat"]])
    slope, offset = np.polyfit(row, values, 1)
    np.testing.assert_allclose(slope * row + offset, values, atol=0.02)
    assert slope < 0  # up is more


# The verdict


def evidence(
    lstm: float, naive: float = 1.0, *, n_cutoffs: int = 40, coverage: float | None = None, **others: float
) -> Evidence:
    errors = {"lstm": lstm, "seasonal_naive": naive, **others}
    by_model: dict[str, dict[str, float | None]] = {
        name: {"mase": error, "mae": error} for name, error in errors.items()
    }
    by_model["lstm"]["coverage"] = coverage
    return Evidence(
        model="lstm", by_model=by_model, n_series=4, n_cutoffs=n_cutoffs, horizon=6, season_length=12,
        source="Judged.", interval=0.8, wins=(3, 4),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "tone", "headline"),
    [
        (evidence(0.75), "good", "Worth using: its error is 25 % smaller than that of repeating the last season."),
        (evidence(0.75, n_cutoffs=2), "good", "Looks worth using: its error is 25 % smaller"),
        (evidence(1.30), "bad", "Not worth using as it is: its error is 30 % larger"),
        (evidence(0.99), "mixed", "Hardly worth it: it is about as good as repeating the last season."),
        (evidence(0.75, ridge=0.5), "mixed", "Better than repeating the last season by 25 %, but ridge is better"),
        (evidence(0.75, ridge=0.749), "good", "Worth using"),
        (evidence(1.0, naive=0.0), "bad", "Not worth using as it is"),
        (evidence(0.0, naive=0.0), "mixed", "Hardly worth it"),
        (evidence(0.5, naive=float("nan")), "none", "It cannot be compared"),
    ],
)  # fmt: skip
def test_the_verdict_in_plain_words(found: Evidence, tone: str, headline: str) -> None:
    said = verdict(found)
    assert said.tone == tone
    assert said.headline.replace("\N{NO-BREAK SPACE}", " ").startswith(headline)


@pytest.mark.parametrize(
    ("coverage", "words", "is_warning"),
    [
        (0.79, "Its intervals hold", False),
        (0.5, "too narrow", True),
        (0.95, "wider than they need be", False),
    ],
)
def test_the_verdict_says_whether_the_intervals_hold(coverage: float, words: str, is_warning: bool) -> None:
    said = verdict(evidence(0.7, coverage=coverage))
    assert words in " ".join(said.sentences)
    assert any("leave the intervals" in warning for warning in said.warnings) == is_warning
    assert f"{100 * coverage:.0f}\N{NO-BREAK SPACE}%" in [tile.value for tile in said.tiles]


@pytest.mark.parametrize(
    ("p_value", "headline", "sentence"),
    [
        (
            0.01,
            "Worth using",
            "That is more than chance would give (p = 0.01, Diebold-Mariano over 24 cutoffs).",
        ),
        (
            0.30,
            "Perhaps worth using",
            "A difference of this size could be chance (p = 0.3, Diebold-Mariano over 24",
        ),
        (float("nan"), "Worth using", "Whether the difference is chance cannot be told: too few."),
    ],
)
def test_the_verdict_says_whether_it_could_be_chance(p_value: float, headline: str, sentence: str) -> None:
    chance = Difference(-0.2, p_value=p_value, method="Diebold-Mariano", n_cutoffs=24, why_not="too few")
    said = verdict(replace(evidence(0.7), chances={"seasonal_naive": chance}))
    assert said.headline.startswith(headline)
    assert any(one.startswith(sentence) for one in said.sentences)


def test_few_forecasts_and_stronger_models_are_warned_of() -> None:
    warnings = " ".join(verdict(evidence(0.7, n_cutoffs=1, ridge=0.5)).warnings)
    assert "Only 1 forecast could be judged" in warnings
    assert "Smaller MASE than the network's 0.7: ridge (0.5)." in warnings


# Safety


def test_no_name_becomes_markup(hostile: Path) -> None:
    html = report(hostile)
    parsed = Parsed(html)
    tags = {tag for tag, _ in parsed.tags}
    assert tags & {"img", "iframe", "object", "embed", "base", "form"} <= {"img", "form"}
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert [tag for tag, _ in parsed.tags].count("style") == 1
    names = {name for _, attributes in parsed.tags for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert all(
        uri is not None and uri.startswith("data:image/png;base64,") for uri in parsed.attributes("src")
    )
    assert {(uri or "")[:1] for uri in parsed.attributes("href")} == {"#", "d"}
    headings = [word for word in parsed.words if word in {printable(name, longest=200) for name in HOSTILE}]
    assert set(headings) == {printable(name, longest=200) for name in HOSTILE}
    assert HOSTILE_TARGET in parsed.text


def test_the_policy_allows_the_one_script_by_its_hash(hostile: Path) -> None:
    html = report(hostile)
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policies = [
        attributes["content"] for tag, attributes in Parsed(html).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert policies == [
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    ]


def test_nothing_outside_the_run_is_read(whole: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"model": "stolen"}')
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "derived" / "backtest" / "backtest.json").unlink()
    (run / "derived" / "backtest" / "backtest.json").symlink_to(secret)
    with pytest.raises(RunError, match=r"backtest\.json: cannot be read \(is a symbolic link\)"):
        report(run)
    shutil.rmtree(run / "derived" / "backtest")
    (run / "derived" / "backtest").symlink_to(tmp_path)
    with pytest.raises(RunError, match="is a symbolic link"), open_derived(run, "backtest/secret.json"):
        pass


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("backtest/backtest.json", "{}"),
        ("backtest/backtest.json", "not JSON"),
        ("backtest/scores.csv", "something,else\n1,2\n"),
        ("backtest/by_cutoff.csv", "a\nb\n"),
        ("backtest/errors.csv", "\0\n\0"),
        ("backtest/cv.parquet", "no parquet"),
        ("inspect/reading.json", "[]"),
        ("inspect/gates.csv", "layer\n1\n"),
    ],
)
def test_a_file_that_its_command_did_not_write_is_named(
    whole: Path, tmp_path: Path, name: str, content: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "derived" / name).write_text(content)
    with pytest.raises(
        RunError, match=f"{name.partition('/')[0]}.*is not what its command writes.*make it anew"
    ):
        report(run)


# Charts


def test_ticks_have_the_digits_that_tell_them_apart() -> None:
    assert number_texts([0.0, 500.0, 1000.0, 1500.0]) == ["0", "500", "1,000", "1,500"]
    assert number_texts([0.0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert number_texts([-2.0, 0.0]) == ["−2", "0"]
    assert number_texts([0.0, 2.5e6, 5e6]) == ["0", "2,500k", "5,000k"]
    assert len(set(number_texts([1e9 + 0.1, 1e9 + 0.2, 1e9 + 0.3]))) == 3
    assert number_texts([0.0, 1e300]) == ["0", "1e+300"]


def test_a_line_breaks_where_a_value_is_missing() -> None:
    y = np.array([1.0, 2.0, np.nan, 3.0, np.nan, np.inf, 1.0, 2.0])
    chart = line_chart(title="t", lines=[Line(np.arange(8.0), y, "own")])
    (path,) = [stroke.path for stroke in chart.strokes if stroke.kind == "line"]
    assert path.count("M") == 3
    assert re.fullmatch(r"[Ml0-9 \-]+", path)


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1.0, 1e300])
def test_values_of_any_size_are_drawn_within_the_plane(scale: float) -> None:
    y = scale * np.sin(np.arange(50.0))
    chart = line_chart(title="t", lines=[Line(np.arange(50.0), y, "own")])
    assert all(0 <= tick.at <= 100 for tick in [*chart.x_ticks, *chart.y_ticks])
    assert "nan" not in str(chart)


def test_a_long_line_keeps_its_peaks_when_it_is_thinned() -> None:
    y = np.sin(np.arange(100_000) / 50)
    y[[12_345, 77_777]] = 9, -9
    kept = thinned(y, 400)
    assert len(kept) <= 402
    assert {0, 12_345, 77_777, 99_999} <= set(kept.tolist())


def test_a_heat_map_is_a_picture_of_its_values() -> None:
    values = np.array([[0.0, 0.5, 1.0], [-1.0, 0.0, 0.25]])
    made = heat_map("gate", values, signed=True, x_ticks={0: "first"})
    data = base64.b64decode(made.uri.removeprefix("data:image/png;base64,"))
    pixels = imread(io.BytesIO(data), format="png")
    np.testing.assert_allclose(pixels[..., 3], np.abs(values), atol=0.003)
    assert pixels[1, 0, 0] > pixels[1, 0, 2]  # below zero is orange
    assert pixels[0, 2, 0] < pixels[0, 2, 2]


def test_an_empty_group_has_no_bar() -> None:
    quartiles = np.array([[1.0, 2.0, 3.0], [np.nan] * 3, [0.0, 0.5, 1.0]])
    chart = bar_chart(title="t", labels=["a", "b", "c"], quartiles=quartiles)
    (boxes,) = [stroke.path for stroke in chart.strokes if stroke.kind == "box"]
    assert boxes.count("M") == 2


# The command


def test_the_command_writes_below_derived_and_leaves_the_run_sealed(
    plain: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("report", plain) == 0
    out, err = capfd.readouterr()
    path = plain / "derived" / "report.html"
    assert out == f"report: {path}\n"
    assert err == ""
    assert path.read_text(encoding="utf-8") == report(plain)
    assert verify_run(plain) == []


def test_the_command_writes_where_it_is_told(plain: Path, tmp_path: Path) -> None:
    assert tsforecast("report", plain, "--out", tmp_path / "new" / "page.html") == 0
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["RUN", "--out", "RUN/report.html"], 2, "whose files are sealed"),
        (["RUN", "--out", "page.pdf"], 2, "a report is written as .html"),
        (["nothing"], 4, "no such run folder"),
    ],
)
def test_the_command_refuses(
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tsforecast("report", *(word.replace("RUN", str(plain)) for word in words)) == code
    assert message in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_is_refused_with_the_name_of_the_file(plain: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(plain, run)
    content = bytearray((run / "forecast.csv").read_bytes())
    content[-3] ^= 1
    (run / "forecast.csv").write_bytes(content)
    with pytest.raises(RunError, match=r"forecast\.csv: has changed"):
        report(run)


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium, Debian's browser")
    with running_browser() as running:
        yield running


def written(run: Path, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(report(run), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["whole", "hostile"])
def test_the_page_fits_its_window_and_nothing_complains(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path, name: str, width: int
) -> None:
    path = written(request.getfixturevalue(name), tmp_path)
    with browser.tab(width=width, height=740, mobile=width < 500) as tab:
        tab.open(path)
        assert tab.run("document.documentElement.scrollWidth") <= width
        wide = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg') && "
        assert tab.run(f"{wide} e.getBoundingClientRect().right > innerWidth + 1).length") == 0
        # Whoever opens it sees the answer, with its numbers, without scrolling.
        assert tab.run("document.querySelector('.tiles').getBoundingClientRect().bottom") < 740
        assert tab.run("[...document.querySelectorAll('details')].map(d => d.open = true).length") >= 1
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.complaints == []
        assert tab.requests == [path.resolve().as_uri()]


def test_hostile_names_are_text_and_run_nothing(browser: Browser, hostile: Path, tmp_path: Path) -> None:
    with browser.tab(width=1280) as tab:
        tab.open(written(hostile, tmp_path))
        shown = tab.run("[...document.querySelectorAll('#cards h3')].map(h => h.textContent)")
        assert set(shown) == {printable(name, longest=200) for name in HOSTILE}
        assert tab.run("document.scripts.length") == 1
        assert tab.run("document.querySelectorAll('[onerror], [onmouseover]').length") == 0
        assert tab.run("getComputedStyle(document.body).display") == "block"
        assert tab.complaints == []


def test_the_policy_stops_a_script_that_got_in_all_the_same(
    browser: Browser, plain: Path, tmp_path: Path
) -> None:
    """The check above can fail: a page with a hole complains."""
    path = written(plain, tmp_path)
    hole = "<script>window.ran = 1</script><img src='https://example.invalid/x.png'>"
    path.write_text(path.read_text().replace("</main>", hole + "</main>"))
    with browser.tab(width=1280) as tab:
        tab.open(path)
        assert tab.run("window.ran") is None
        assert any("Content Security Policy" in complaint for complaint in tab.complaints)


def test_search_order_and_paging(browser: Browser, hostile: Path, tmp_path: Path) -> None:
    names = "[...document.querySelectorAll('#cards .card:not([hidden]) h3')].map(h => h.textContent)"
    change = "{0}.dispatchEvent(new Event('{1}'))"
    with browser.tab(width=1280) as tab:
        tab.open(written(hostile, tmp_path))
        first = tab.run(names)
        assert len(first) == len(HOSTILE)
        tab.run("search.value = 'ALERT(1'; " + change.format("search", "input"))
        assert tab.run(names) == ["<script>alert(1)</script>"]
        assert tab.run("count.value") == "1 of 1 series shown"
        tab.run("search.value = 'nobody'; " + change.format("search", "input"))
        assert tab.run(names) == []
        assert tab.run("count.value") == "no series drawn here has such a name"
        tab.run("search.value = ''; order.value = 'best'; " + change.format("order", "change"))
        assert tab.run(names) == first[::-1]
        tab.run("order.value = 'name'; " + change.format("order", "change"))
        assert sorted(tab.run(names)) == sorted(first)


def test_more_series_are_shown_when_asked_for(browser: Browser, tmp_path: Path) -> None:
    run = trained(tmp_path, seasonal_frame(n_series=30, length=48))
    visible = "document.querySelectorAll('#cards .card:not([hidden])').length"
    with browser.tab(width=360, mobile=True) as tab:
        tab.open(written(run, tmp_path))
        assert tab.run(visible) == 24
        tab.run("more.click()")
        assert tab.run(visible) == 30
        assert tab.run("more.hidden") is True


def test_the_page_is_dark_where_the_reader_wants_it_dark(
    browser: Browser, whole: Path, tmp_path: Path
) -> None:
    path, seen = written(whole, tmp_path), []
    for dark in (False, True):
        with browser.tab(width=800, dark=dark) as tab:
            tab.open(path)
            colors = [
                tab.run(f"getComputedStyle(document.querySelector('{place}')).{name}")
                for place, name in (("section", "backgroundColor"), ("body", "color"), ("path.ink", "stroke"))
            ]
            seen.append([sum(map(int, re.findall(r"\d+", color)[:3])) for color in colors])
            tab.picture(tmp_path / f"{dark}.png")
    (light, ink, line), (dark_card, dark_ink, dark_line) = seen
    assert light > 600 > 200 > dark_card
    assert ink < 200 < 600 < dark_ink
    assert line < 200 < 600 < dark_line
    brightness = [imread(tmp_path / f"{dark}.png")[..., :3].mean() for dark in (False, True)]
    assert brightness[0] > 0.8
    assert brightness[1] < 0.3


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_their_ground(browser: Browser, whole: Path, tmp_path: Path, dark: bool) -> None:
    """A contrast of 4.5, as the Web Content Accessibility Guidelines ask for (WCAG 2.2, 1.4.3)."""
    with browser.tab(width=1280, dark=dark) as tab:
        tab.open(written(whole, tmp_path))
        colors = tab.run(
            "(() => { const s = getComputedStyle(document.documentElement);"
            "return Object.fromEntries(['page','card','ink','muted','own','good','mixed','bad','none']"
            ".map(n => [n, s.getPropertyValue('--' + n).trim()])) })()"
        )

    def luminance(color: str) -> float:
        parts = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for name in ("ink", "muted", "own", "good", "mixed", "bad", "none"):
        for ground in ("page", "card"):
            bright, dim = sorted((luminance(colors[name]), luminance(colors[ground])), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (name, ground)


def test_every_picture_has_a_name_for_who_cannot_see_it(
    browser: Browser, whole: Path, tmp_path: Path
) -> None:
    with browser.tab(width=1280) as tab:
        tab.open(written(whole, tmp_path))
        assert tab.run("document.querySelectorAll('svg[role=img]').length") > 8
        assert tab.run(
            "[...document.querySelectorAll('svg[role=img]')].every(s => s.querySelector('title').textContent)"
        )
        assert tab.run(
            "[...document.querySelectorAll('svg:not([role])')].every(s => s.ariaHidden === 'true')"
        )
        assert tab.run("[...document.images].every(i => i.alt && i.naturalWidth > 0)")
        assert tab.run(
            "[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('th[scope=col]'))"
        )
        assert tab.run("document.querySelectorAll('h1').length") == 1
        ids = tab.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
