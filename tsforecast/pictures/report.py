"""One self-contained HTML page from plain values: every word goes through autoescape, nothing comes from a network.

A policy in the page itself allows the one script we wrote, by its hash, and no address but ``data:`` pictures; should a
name ever get past the escaping, it would still run nothing and send nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tsforecast.pictures.charts import Chart, HeatMap

__all__ = [
    "ArchivePage",
    "Bar",
    "Fact",
    "JobPart",
    "Page",
    "Row",
    "SeriesCard",
    "Table",
    "Tile",
    "Tone",
    "Verdict",
    "render",
    "render_archive",
]

Tone = Literal["good", "mixed", "bad", "none"]
FOLDER = "page"


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that is read first, and what it is."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the model is worth using.

    Attributes:
        tone: for its colour.
        headline: the answer.
        tiles: the numbers it rests on.
        sentences: how it was found.
        warnings: what should make a reader careful.
    """

    tone: Tone
    headline: str
    tiles: Sequence[Tile]
    sentences: Sequence[str]
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table.

    Attributes:
        head: its name.
        cells: one per column.
        is_own: the line the page is about.
        best: columns in which it is the best.
    """

    head: str
    cells: Sequence[str]
    is_own: bool = False
    best: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        head: of the first column.
        columns: heads of the others.
        rows: lines.
        is_text: cells are words, not numbers.
        legend: what the columns mean.
    """

    caption: str
    head: str
    columns: Sequence[str]
    rows: Sequence[Row]
    is_text: bool = False
    legend: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the summary: what, and how much."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Bar:
    """The error of a model as a length.

    Attributes:
        name: of the model.
        text: its error.
        percent: length, of the room there is for the longest.
        is_own: the model the page is about.
    """

    name: str
    text: str
    percent: float
    is_own: bool


@dataclass(frozen=True, slots=True)
class SeriesCard:
    """A series and its forecast.

    Attributes:
        name: of the series.
        note: how good the forecasts of it were, or why it is forecast by something else.
        chart: history and forecast.
        rank: 1 is the largest error; 0 where there is none.
    """

    name: str
    note: str
    chart: Chart
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the page, in the order of reading."""

    title: str
    subtitle: str
    verdict: Verdict
    bars: Sequence[Bar] = ()
    bars_note: str = ""
    scores: Sequence[Table] = ()
    lead_time: Chart | None = None
    facts: Sequence[Fact] = ()
    data_notes: Sequence[str] = ()
    failures: Table | None = None
    cards: Sequence[SeriesCard] = ()
    cards_note: str = ""
    card_legend: Sequence[tuple[str, str]] = ()
    backtest_notes: Sequence[str] = ()
    backtest_charts: Sequence[Chart] = ()
    backtest_series: Sequence[SeriesCard] = ()
    training: Sequence[Chart] = ()
    training_facts: Sequence[Fact] = ()
    gates: Table | None = None
    gates_notes: Sequence[str] = ()
    heat_maps: Sequence[HeatMap] = ()
    config: str = ""
    versions: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPart:
    """What a page says of one job of an archive.

    Attributes:
        name: of the job.
        verdict: how good its forecasts were.
        facts: what was scored.
        notes: what was not, and what was done about doubles.
        charts: over time and by lead time.
        tables: by model and series.
    """

    name: str
    verdict: Verdict
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePage:
    """Everything on the page of an archive, in the order of reading.

    Attributes:
        title: of the page.
        subtitle: what the archive holds.
        warnings: what could not be scored.
        overview: a line for each job, where there are several.
        notes: on the overview.
        jobs: the parts of the page.
        versions: what made it.
    """

    title: str
    subtitle: str
    warnings: Sequence[str] = ()
    overview: Table | None = None
    notes: Sequence[str] = ()
    jobs: Sequence[JobPart] = ()
    versions: Sequence[Fact] = ()


def render(page: Page) -> str:
    """The page as HTML; equal pages give equal text."""
    return _rendered("report.html", page, script=_part("report.js"))


def render_archive(page: ArchivePage) -> str:
    """The page of an archive as HTML, which runs no script; equal pages give equal text."""
    return _rendered("archive.html", page)


def _rendered(template: str, page: Page | ArchivePage, *, script: str = "") -> str:
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        policy += f"; script-src 'sha256-{digest}'"
    # The one place where text is taken for markup: two files of this package.
    return _environment().get_template(template).render(
        page=page, policy=policy, style=Markup(_part("report.css")), script=Markup(script)
    )  # fmt: skip


def _part(name: str) -> str:
    return (files("tsforecast.pictures") / FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("tsforecast.pictures", FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
