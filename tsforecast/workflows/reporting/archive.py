"""The page of an archive: how good the forecasts were that were issued, job by job."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tsforecast import __version__
from tsforecast.config.location import is_url
from tsforecast.config.words import printable
from tsforecast.evaluation.metrics import METRICS, RELATIVE
from tsforecast.evaluation.tally import Means
from tsforecast.pictures.charts import Chart, Line, line_chart
from tsforecast.pictures.report import ArchivePage, Fact, JobPart, Row, Table, Verdict, render_archive
from tsforecast.workflows.reporting.files import LONGEST_NAME, LONGEST_TITLE, counted
from tsforecast.workflows.reporting.scores import top_shown
from tsforecast.workflows.reporting.verdict import Evidence, verdict
from tsforecast.workflows.score import Scored
from tsforecast.workflows.scoring.alarm import alarm_text
from tsforecast.workflows.scoring.job import JobScores
from tsforecast.workflows.scoring.rows import MODELS
from tsforecast.workflows.scoring.words import (
    counts_sentences,
    error_metric,
    model_scores,
    naive_scores,
    warnings,
)

__all__ = ["archive_page", "page_of"]

# Jobs that have a part of their own: those with an alarm first, the others are in the overview.
MOST_JOBS = 40
MODELS_SHOWN = 10
LONGEST_WARNING = 600
WORST_SHOWN = 20
COLUMNS = ("mase", "skill", "mae", "wql", "coverage", "bias")
SOURCE = "Judged by the values that came after the forecasts were issued."


def archive_page(found: Scored) -> str:
    """The page as HTML; the same scores, the same text."""
    return render_archive(page_of(found))


def page_of(found: Scored) -> ArchivePage:
    """Everything the page says, as plain values."""
    jobs = sorted(found.jobs, key=lambda one: (not _raised(one), one.job))
    shown = jobs[:MOST_JOBS]
    n_sets = sum(one.n_sets for one in jobs)
    left = f"Only the first {len(shown)} of {len(jobs)} jobs follow; score the others one by one with --job."
    return ArchivePage(
        title=printable(found.archive.resolve().name, longest=LONGEST_TITLE),
        subtitle=f"{counted(n_sets, 'set')} of forecasts of {counted(len(jobs), 'job')}, scored by what came.",
        warnings=[printable(warning, longest=LONGEST_WARNING) for warning in warnings(found)],
        overview=_overview(jobs) if len(jobs) > 1 else None,
        notes=[left] if len(jobs) > len(shown) else [],
        jobs=[_part(one) for one in shown],
        versions=[Fact("Scored by", f"tsforecast {__version__}")],
    )


def _part(one: JobScores) -> JobPart:
    return JobPart(
        name=printable(one.job, longest=LONGEST_NAME),
        verdict=_verdict(one),
        facts=_facts(one),
        notes=counts_sentences(one),
        charts=[chart for chart in (_trend(one), _coverage(one), _lead_time(one)) if chart],
        tables=[table for table in (_models(one), _series(one)) if table],
    )


def _verdict(one: JobScores) -> Verdict:
    """The verdict on a job; an alarm that is raised comes first."""
    if one.overall is None:
        sentence = "None of the forecasts has an actual value so far."
        found = Verdict("none", "Nothing can be scored yet.", [], [sentence], [])
    else:
        found = verdict(_evidence(one, one.overall))
    raised = _raised(one)
    if not raised:
        return found
    texts = [alarm_text(one.job, alarm, period=one.period) for alarm in raised]
    headline = "Drift: its newest forecasts are worse than they may be."
    return replace(found, tone="bad", headline=headline, warnings=[*texts, *found.warnings])


def _raised(one: JobScores) -> list[Any]:
    return [alarm for alarm in one.alarms if alarm.raised]


def _evidence(one: JobScores, overall: Means) -> Evidence:
    rows = {one.name: model_scores(overall), MODELS[1]: naive_scores(overall)}
    errors = one.by_series.pivot(index="unique_id", columns="model", values=error_metric(one))
    both = errors.dropna()
    return Evidence(
        model=one.name,
        by_model={name: {key: _known(value) for key, value in row.items()} for name, row in rows.items()},
        n_series=len(errors),
        n_cutoffs=overall.n,
        horizon=one.horizon,
        season_length=one.season_length,
        source=SOURCE,
        interval=one.nominal,
        wins=(int((both[MODELS[0]] < both[MODELS[1]]).sum()), len(both)),
    )


def _facts(one: JobScores) -> list[Fact]:
    counts = one.counts
    return [
        Fact("Forecasts", f"{counted(one.n_sets, 'set')}, as of {one.first} to {one.last}"),
        Fact("Steps with an actual value", f"{counts.scored:,} of {counts.steps:,}"),
        Fact("Newest actual value", one.actual.newest_text),
        Fact("Actual values from", printable(_source(one.actual.name), longest=LONGEST_NAME)),
    ]


def _source(name: str) -> str:
    """Where values came from, as a page that is published says it: no folders of this machine."""
    return name if is_url(name) else Path(name).name


def _trend(one: JobScores) -> Chart | None:
    """The error over time, of the model and of the seasonal naive, with the alarms at their values."""
    if one.overall is None or len(one.trend) < 2:
        return None
    metric = error_metric(one)
    lines = _lines(one, metric, np.arange(len(one.trend), dtype=np.float64), one.trend.values())
    return line_chart(
        title=f"{METRICS[metric].title} by {one.period}",
        lines=lines,
        x_ticks=_ticks(one.trend),
        levels={alarm.drift.worse_than: "muted" for alarm in one.alarms if alarm.drift.metric == metric},
        y_label="dashed: the alarm" if any(alarm.drift.metric == metric for alarm in one.alarms) else "",
        from_zero=True,
        top=top_shown(lines),
    )


def _coverage(one: JobScores) -> Chart | None:
    if one.nominal is None or len(one.trend) < 2:
        return None
    share = np.array([100 * model_scores(means).get("coverage", math.nan) for means in one.trend.values()])
    if np.isnan(share).all():
        return None
    nominal = 100 * one.nominal
    return line_chart(
        title=f"Actual values inside the {nominal:g} % interval, by {one.period}",
        lines=[Line(np.arange(len(share), dtype=np.float64), share, "own")],
        x_ticks=_ticks(one.trend),
        levels={nominal: "muted"},
        y_label="% (dashed: as it should be)",
        from_zero=True,
    )


def _lead_time(one: JobScores) -> Chart | None:
    if one.overall is None or len(one.by_lead_time) < 2:
        return None
    metric = error_metric(one)
    lines = _lines(one, metric, np.array(list(one.by_lead_time), np.float64), one.by_lead_time.values())
    return line_chart(
        title=f"{METRICS[metric].title} by lead time",
        lines=lines,
        x_label="steps after the cutoff",
        from_zero=True,
        top=top_shown(lines),
    )


def _lines(one: JobScores, metric: str, x: Any, groups: Any) -> list[Line]:
    values = np.array([means.of[metric] for means in groups], dtype=np.float64)
    return [
        Line(x, values[:, -1], "other0", MODELS[1].replace("_", " ")),
        Line(x, values[:, 0], "own", one.name),
    ]


def _ticks(periods: Mapping[str, Means]) -> dict[float, str]:
    names = list(periods)
    return {0.0: names[0], len(names) - 1.0: names[-1]}


def _overview(jobs: Sequence[JobScores]) -> Table:
    scores = [model_scores(one.overall) if one.overall else {} for one in jobs]
    rows = [
        Row(
            head=printable(one.job, longest=LONGEST_NAME),
            cells=["yes" if _raised(one) else "no", f"{one.counts.scored:,}", *_cells(row)],
        )
        for one, row in zip(jobs, scores, strict=True)
    ]
    return Table("The jobs, those with drift first", "job", ["drift", "steps scored", *_heads()], rows)


def _models(one: JobScores) -> Table | None:
    if one.overall is None:
        return None
    scored = [each for each in one.models if each.means is not None][-MODELS_SHOWN:]
    rows = [
        Row(
            f"{each.name} {each.model_hash[:8]}",
            [*_cells(model_scores(each.means)), each.first, each.last],
            True,
        )
        for each in scored
        if each.means is not None
    ]
    naive = Row("seasonal naive", [*_cells(naive_scores(one.overall)), one.first, one.last])
    heads = [*_heads(), "as of, from", "to"]
    return Table("Scores by model", "model", heads, [*rows, naive], legend=_legend(one))


def _series(one: JobScores) -> Table | None:
    if one.by_series["unique_id"].nunique() < 2:
        return None
    metric = error_metric(one)
    tables = {model: table.set_index("unique_id") for model, table in one.by_series.groupby("model")}
    own = tables[MODELS[0]].sort_values(metric, ascending=False, kind="stable").head(WORST_SHOWN)
    naive = tables[MODELS[1]]
    columns = [name for name in COLUMNS if name in own]
    rows = [
        Row(
            printable(str(name), longest=LONGEST_NAME),
            [*_cells(dict(own.loc[name]), columns), _cell(metric, float(naive.loc[name, metric]))],
        )
        for name in own.index
    ]
    title = METRICS[metric].title
    return Table(
        f"The {len(own)} worst of {len(naive):,} series, by {title}",
        "series",
        [*_heads(columns), f"{title} of the seasonal naive"],
        rows,
    )


def _heads(columns: Sequence[str] = COLUMNS) -> list[str]:
    return [(METRICS.get(name) or RELATIVE[name]).title for name in columns]


def _legend(one: JobScores) -> list[str]:
    season = counted(one.season_length, "step")
    found = [(METRICS.get(name) or RELATIVE[name]) for name in COLUMNS]
    return [f"{column.title}: {column.unit.format(season=season)}." for column in found]


def _cells(row: Mapping[str, float], columns: Sequence[str] = COLUMNS) -> list[str]:
    return [_cell(name, float(row.get(name, math.nan))) for name in columns]


def _cell(name: str, value: float) -> str:
    if not math.isfinite(value):
        return "–"
    of_data = name in METRICS and METRICS[name].of_data
    return f"{value:.4g}" if of_data else f"{round(value, 3) + 0.0:.3f}"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
