"""The scores of an archive for people and for machines: text, one JSON document, and a folder of tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.words import listed, printable
from tsforecast.errors import ConfigError
from tsforecast.evaluation.metrics import METRICS
from tsforecast.evaluation.scores import aligned, legend, numbers_of, verdict
from tsforecast.evaluation.tally import Means
from tsforecast.runs import refuse_inside_run
from tsforecast.storage.atomic import refuse_strangers, replaced_folder, write_text
from tsforecast.workflows.score import Scored
from tsforecast.workflows.scoring.alarm import Alarm, alarm_text
from tsforecast.workflows.scoring.job import JobScores
from tsforecast.workflows.scoring.rows import MODELS

__all__ = [
    "OURS",
    "check_output",
    "counts_sentences",
    "error_metric",
    "model_scores",
    "naive_scores",
    "scored_json",
    "tables",
    "text",
    "warnings",
    "write",
]

OURS = ("scores.json", "by_model.csv", "by_series.csv", "by_lead_time.csv", "trend.csv", "alarms.csv")
REFERENCE = MODELS[1]
# Columns for people; the others are in the files.
SHOWN = ("mae", "mase", "skill", "wql", "coverage")
TREND_SHOWN = 12
MODELS_SHOWN = 5
LEAD_TIMES_SHOWN = 12
WORST_SHOWN = 10
LONGEST_NAME = 40
HASH_SHOWN = 8
TOLD = 5


def check_output(option: str, path: Path, archive: Path) -> None:
    """Refuses before any work an output that would lie in the archive or among the sealed files of a run.

    Raises:
        ConfigError: names the option and the place.
    """
    if path.resolve().is_relative_to(archive.resolve()):
        raise ConfigError(
            f"{option}: {str(path)!r} lies in the archive, which holds forecasts alone; write elsewhere."
        )
    refuse_inside_run(option, path)
    if option == "--out":
        refuse_strangers(path, ours=OURS)


def text(found: Scored) -> str:
    """Every job's scores: by model, lead time and week, the worst series, what was not scored, and the verdict."""
    return "\n".join(_job_text(one) for one in found.jobs)


def warnings(found: Scored) -> list[str]:
    """What was not scored though it should have been, a sentence each."""
    return [
        *(f"left out: {problem}" for problem in found.problems),
        *(f"job {name!r} cannot be scored: {reason}" for name, reason in found.failed.items()),
        *(
            f"{len(found.strangers)} files are no forecasts: {listed(found.strangers)}"
            for _ in found.strangers[:1]
        ),
        *(
            f"job {one.job!r}: {len(one.failures)} series of {one.actual.name} cannot be read and are not scored: "
            + ", ".join(f"{each.unique_id!r} ({each.code}: {each.reason})" for each in one.failures[:TOLD])
            for one in found.jobs
            if one.failures
        ),
    ]


def scored_json(found: Scored) -> dict[str, Any]:
    """Everything that was found but the scores of single series, as plain values."""
    return {
        "archive": str(found.archive),
        "jobs": [_job_json(one) for one in found.jobs],
        "failed": dict(found.failed),
        "left_out": list(found.problems),
        "alarms_raised": len(found.raised),
    }


def tables(found: Scored) -> dict[str, pd.DataFrame]:
    """The tables by the names of their files; each row belongs to a job, and to the model or the seasonal naive."""
    jobs = found.jobs
    return {
        "by_model.csv": _table(
            (one.job, {"model_hash": each.model_hash, "first": each.first, "last": each.last}, each.means)
            for one in jobs
            for each in one.models
        ),
        "by_lead_time.csv": _table(
            (one.job, {"lead_time": lead_time}, means)
            for one in jobs
            for lead_time, means in one.by_lead_time.items()
        ),
        "trend.csv": _table(
            (one.job, {"from": period}, means) for one in jobs for period, means in one.trend.items()
        ),
        "by_series.csv": pd.concat([one.by_series.assign(job=one.job) for one in jobs]).pipe(_job_first),
        "alarms.csv": pd.DataFrame(
            [{"job": one.job} | _alarm_json(alarm, one) for one in jobs for alarm in one.alarms],
            columns=["job", "metric", "worse_than", "over", "value", "seasonal_naive", "first", "last", "steps",
                     "raised", "since", "message"],
        ),
    }  # fmt: skip


def write(path: Path, found: Scored) -> None:
    """Writes the folder of tables, whole or not at all; one that is there is replaced.

    Raises:
        ConfigError: the folder cannot be written, or holds something else.
        ResourceError: the disk is full.
    """
    with replaced_folder(path, ours=OURS) as folder:
        write_text(folder / "scores.json", json.dumps(scored_json(found), indent=2) + "\n")
        for name, table in tables(found).items():
            write_text(folder / name, table.to_csv(index=False, float_format="%.6g"))


def counts_sentences(one: JobScores) -> list[str]:
    """What became of the forecast steps that were not scored, and what was done about doubles, a sentence each."""
    counts, repairs = one.counts, one.actual.repairs
    told = [
        (counts.ahead, "lie ahead: their actual values have not come yet."),
        (
            counts.late,
            f"have no actual value yet, though the data of other series goes to {one.actual.newest_text}.",
        ),
        (counts.missing, "have no actual value: the data has a gap or an empty cell there."),
        (counts.gone, "lie before the first row that the data still has of their series."),
        (
            counts.unknown,
            f"are of series that the data does not have: {listed(sorted(counts.unknown_series))}.",
        ),
    ]
    sentences = [f"{number:,} steps {what}" for number, what in told if number]
    if counts.replaced:
        sentences.append(
            f"{counts.replaced:,} forecasts were issued again from the same cutoff; the newest of each counts."
        )
    if doubles := repairs.get("duplicates"):
        sentences.append(
            f"{doubles:,} rows of the data stand at a time that another row has; {_merged(one)} counts."
        )
    if infinite := repairs.get("infinite"):
        sentences.append(f"{infinite:,} infinite values of the data count as missing.")
    if failures := one.failures:
        first = failures[0]
        sentences.append(
            f"{len(failures):,} series of the data cannot be read and are not scored, such as "
            f"{printable(first.unique_id, longest=LONGEST_NAME)!r}: {first.reason}."
        )
    return [*sentences, *(f"{note[:1].upper()}{note[1:]}" for note in one.notes)]


def _merged(one: JobScores) -> str:
    merged = one.actual.duplicates
    return "the last of them" if merged == "last" else f"their {merged}"


def _job_text(one: JobScores) -> str:
    parts = [_heading(one)]
    if one.overall is None:
        parts.append("Nothing can be scored yet.\n")
    else:
        parts += [
            _models_text(one),
            legend(_columns(one), season_length=one.season_length) + _nominal_text(one),
            _groups_text("lead time", _evenly(one.by_lead_time, LEAD_TIMES_SHOWN), one),
            _groups_text(one.period, dict(list(one.trend.items())[-TREND_SHOWN:]), one),
            _worst_text(one),
        ]
    parts.append("".join(f"{sentence}\n" for sentence in counts_sentences(one)))
    if one.overall is not None:
        parts.append(_verdict(one) + "\n")
    # What is raised is the error that the command ends with.
    quiet = [alarm for alarm in one.alarms if not alarm.raised]
    parts += [alarm_text(one.job, alarm, period=one.period) + "\n" for alarm in quiet]
    return "\n".join(filter(None, parts))


def _heading(one: JobScores) -> str:
    sets = f"{one.n_sets:,} sets of forecasts, as of {one.first} to {one.last}"
    if one.n_sets == 1:
        sets = f"1 set of forecasts, as of {one.last}"
    return (
        f"{printable(one.job, longest=LONGEST_NAME)}: {sets}\n"
        f"{one.counts.scored:,} of {one.counts.steps:,} forecast steps have an actual value, up to "
        f"{one.actual.newest_text} ({printable(one.actual.name, longest=200)})\n"
    )


def _models_text(one: JobScores) -> str:
    assert one.overall is not None
    newest = one.models[-MODELS_SHOWN:]
    rows = {
        f"{each.name} {each.model_hash[:HASH_SHOWN]}": each.means for each in newest if each.means is not None
    }
    left = len(one.models) - len(newest)
    more = f"The {len(newest)} newest of {len(one.models)} models\n" if left else ""
    table = pd.DataFrame([*map(model_scores, rows.values()), naive_scores(one.overall)])
    return more + aligned(
        [*rows, REFERENCE],
        {"forecasts": [*(f"{means.n:,}" for means in rows.values()), f"{one.overall.n:,}"]}
        | numbers_of(table, _columns(one)),
    )


def _nominal_text(one: JobScores) -> str:
    return f"The widest interval should hold {100 * one.nominal:g} %.\n" if one.nominal else ""


def _groups_text(head: str, groups: Mapping[Any, Means], one: JobScores) -> str:
    """A table of the model by lead time or period, with the seasonal naive's error beside it."""
    by = error_metric(one)
    own = numbers_of(pd.DataFrame([model_scores(means) for means in groups.values()]), _columns(one))
    naive = numbers_of(pd.DataFrame([naive_scores(means) for means in groups.values()]), [by])
    title = METRICS[by].title
    columns: dict[str, Sequence[str]] = {"steps": [f"{means.n:,}" for means in groups.values()]}
    for name, values in own.items():
        columns[name] = values
        if name == title:
            columns[f"of {REFERENCE}"] = naive[title]
    return f"By {head}\n" + aligned([str(key) for key in groups], columns)


def _worst_text(one: JobScores) -> str:
    table = one.by_series
    if table["unique_id"].nunique() < 2:
        return ""
    by = error_metric(one)
    own = table[table["model"] == MODELS[0]].sort_values(by, ascending=False, kind="stable").head(WORST_SHOWN)
    naive = table[table["model"] == REFERENCE].set_index("unique_id").loc[own["unique_id"]]
    shown = [name for name in _columns(one) if name in own]
    title = METRICS[by].title
    columns = numbers_of(own, shown) | {f"{title} of {REFERENCE}": numbers_of(naive, [by])[title]}
    names = [printable(name, longest=LONGEST_NAME) for name in own["unique_id"]]
    return f"The {len(own)} worst of {table['unique_id'].nunique():,} series, by {title}\n" + aligned(
        names, columns
    )


def error_metric(one: JobScores) -> str:
    """The metric that series are ranked by: MASE, or MAE where no series has one."""
    assert one.overall is not None
    return "mase" if not np.isnan(one.overall.of["mase"]).all() else "mae"


def _columns(one: JobScores) -> tuple[str, ...]:
    """Columns for people; those that no forecast has a number for are left out."""
    assert one.overall is not None
    row = model_scores(one.overall)
    return tuple(name for name in SHOWN if not math.isnan(row.get(name, math.nan)))


def model_scores(means: Means) -> dict[str, float]:
    return {name: float(values[0]) for name, values in means.of.items()} | {"skill": means.skill}


def naive_scores(means: Means | None) -> dict[str, float]:
    assert means is not None
    return {name: float(values[-1]) for name, values in means.of.items()} | {"skill": 0.0}


def _verdict(one: JobScores) -> str:
    assert one.overall is not None
    rows = [model_scores(one.overall), naive_scores(one.overall)]
    return verdict(pd.DataFrame(rows, index=pd.Index([one.name, REFERENCE])), one.name)


def _evenly(groups: Mapping[int, Means], most: int) -> dict[int, Means]:
    """At most so many of them, evenly chosen, the first and the last among them."""
    keys = list(groups)
    places = np.unique(np.linspace(0, len(keys) - 1, min(len(keys), most)).round().astype(int))
    return {keys[place]: groups[keys[place]] for place in places}


def _table(rows: Iterable[tuple[str, Mapping[str, Any], Means | None]]) -> pd.DataFrame:
    """Two rows for each group: the model's scores and the seasonal naive's."""
    return pd.DataFrame(
        [
            {"job": job, **keys, "model": model, "n": means.n, **scores}
            for job, keys, means in rows
            if means is not None
            for model, scores in zip(MODELS, (model_scores(means), naive_scores(means)), strict=True)
        ]
    )


def _job_first(table: pd.DataFrame) -> pd.DataFrame:
    return table[["job", *(name for name in table.columns if name != "job")]]


def _job_json(one: JobScores) -> dict[str, Any]:
    counts = asdict(one.counts)
    steps = {"all": counts.pop("steps"), **counts, "unknown_series": len(one.counts.unknown_series)}
    return {
        "job": one.job,
        "model": one.name,
        "sets": one.n_sets,
        "as_of": [one.first, one.last],
        "actual_values": one.actual.name,
        "newest_actual_value": one.actual.newest_text,
        "season_length": one.season_length,
        "interval": one.nominal,
        "steps": steps,
        "repairs": dict(one.actual.repairs),
        "failures": len(one.failures),
        "notes": counts_sentences(one),
        "scores": _scores_json(one.overall),
        "models": [
            {"model_hash": each.model_hash, "model": each.name, "as_of": [each.first, each.last]}
            | {"scores": _scores_json(each.means)}
            for each in one.models
        ],
        "by_lead_time": [
            {"lead_time": lead_time, "scores": _scores_json(means)}
            for lead_time, means in one.by_lead_time.items()
        ],
        "trend": [{"from": period, "scores": _scores_json(means)} for period, means in one.trend.items()],
        "verdict": None if one.overall is None else _verdict(one),
        "alarms": [_alarm_json(alarm, one) for alarm in one.alarms],
    }


def _scores_json(means: Means | None) -> dict[str, Any] | None:
    if means is None:
        return None
    rows = zip(MODELS, (model_scores(means), naive_scores(means)), strict=True)
    return {"n": means.n} | {
        model: {name: _plain(value) for name, value in row.items()} for model, row in rows
    }


def _alarm_json(alarm: Alarm, one: JobScores) -> dict[str, Any]:
    return {
        "metric": alarm.drift.metric,
        "worse_than": alarm.drift.worse_than,
        "over": alarm.drift.over,
        "value": _plain(alarm.value),
        "seasonal_naive": _plain(alarm.naive),
        "first": alarm.first,
        "last": alarm.last,
        "steps": alarm.steps,
        "raised": alarm.raised,
        "since": alarm.since or None,
        "message": alarm_text(one.job, alarm, period=one.period),
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
