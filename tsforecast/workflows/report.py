"""The report of a run: what its files say, put together as one page that needs nothing else."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from tsforecast import __version__
from tsforecast.config.load import dump_config
from tsforecast.config.words import listed, printable
from tsforecast.errors import RunError
from tsforecast.evaluation.metrics import METRICS, RELATIVE
from tsforecast.evaluation.scores import REFERENCE, SHOWN
from tsforecast.forecasting.stored import fallbacks_from_storage, tail_from_storage
from tsforecast.pictures.charts import (
    Band,
    Chart,
    HeatMap,
    Line,
    bar_chart,
    heat_map,
    line_chart,
    shown_steps,
)
from tsforecast.pictures.gates import GATE_NAMES
from tsforecast.pictures.report import Bar, Fact, Page, Row, SeriesCard, Table, render
from tsforecast.runs import Run, open_derived, open_run
from tsforecast.series.panel import FloatArray
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.atomic import output_errors, write_text
from tsforecast.workflows.train import model_name
from tsforecast.workflows.verdict import Evidence, error_metric, verdict

__all__ = ["page_of", "report", "write"]

FORECAST, SCORES, LEAD_TIME, HISTORY, FAILURES = (
    "forecast.csv",
    "scores.csv",
    "by_lead_time.csv",
    "history.jsonl",
    "failures.csv",
)
WEIGHTS = "model.safetensors"
READ = (FORECAST, SCORES, LEAD_TIME, HISTORY, FAILURES, WEIGHTS)

# More pictures than this take long to load, and nobody looks at them all.
MOST_CARDS = 500
MOST_FAILURES = 30
MOST_HEAT_MAPS = 12
# Steps of history before a forecast: so many horizons, and at least enough to see a season or two.
HISTORY_HORIZONS = 3
MIN_HISTORY = 60
WINDOWS_DRAWN = 8
SERIES_OF_BACKTEST = 3
LONGEST_NAME = 200
LONGEST_TITLE = 80
# What decides first; the others are to be found by scrolling on a phone.
FIRST = ("mase", "skill")
COLUMNS = (*FIRST, *(name for name in SHOWN if name not in FIRST), "wql", "coverage", "interval_score")
# A bar this many times as long as ours says no more than one that ends there.
LONGEST_BAR = 6
BAR_ROOM = 80
# A file of a later command that is larger is none of ours.
MOST_BYTES = 500_000_000
MIDNIGHT = " 00:00:00"
WORDS = {
    "h": "hourly", "D": "daily", "B": "on business days", "W": "weekly", "MS": "monthly", "ME": "monthly",
    "BMS": "monthly", "BME": "monthly", "QS": "quarterly", "QE": "quarterly", "YS": "yearly", "YE": "yearly",
    "integer": "numbered steps",
}  # fmt: skip


def report(run: Path) -> str:
    """The report of a run as one HTML page; the same run, the same text.

    Args:
        run: the run folder; a backtest and an inspection below its ``derived/`` are told of as well.

    Raises:
        RunError: the folder is missing or damaged.
    """
    return render(page_of(run))


def write(path: Path, html: str) -> None:
    """Writes the page whole or not at all; missing folders are made.

    Raises:
        ConfigError: the path cannot be written.
        ResourceError: the disk is full.
    """
    with output_errors(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html)


def page_of(path: Path) -> Page:
    """Everything the page says, as plain values.

    Raises:
        RunError: the folder is missing or damaged.
    """
    run = open_run(path, also=READ)
    name = printable(path.resolve().name, longest=LONGEST_TITLE)
    tested, judged = _held_back(run), _backtest(run)
    failures = _failures(run)
    best = judged or tested
    return Page(
        title=name,
        subtitle=_subtitle(run),
        verdict=verdict(best.evidence if best else None, _warnings(run, failures)),
        **_bars(best),
        scores=[_score_table(one) for one in (judged, tested) if one],
        lead_time=_lead_time_chart(best),
        facts=_data_facts(run),
        data_notes=_repair_notes(run),
        failures=_failure_table(failures),
        **_forecasts(run, best, failures),
        **(_backtest_parts(run, judged) if judged else {}),
        **_training(run),
        **_gates(run),
        config=dump_config(run.config),
        versions=_versions(run),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Forecasts of known values, and how good they are.

    Attributes:
        caption: of the table.
        evidence: the scores by model.
        by_series: columns ``unique_id``, ``model`` and the metrics; empty where there is none.
        by_lead_time: columns ``model``, ``lead_time`` and the metrics; empty where there is none.
        document: the rest of it.
    """

    caption: str
    evidence: Evidence
    by_series: pd.DataFrame
    by_lead_time: pd.DataFrame
    document: Mapping[str, Any]


# What was judged


def _held_back(run: Run) -> _Scored | None:
    """The scores on the rows held back in training."""
    test = (run.metrics or {}).get("test")
    if not test:
        return None
    by_series = _table(run.files.get(SCORES))
    final = " Afterwards the model learned from those rows too." if run.config.training.final_fit else ""
    source = f"Judged on rows at the end of the series that it had not seen.{final}"
    return _Scored(
        caption=f"Held-back rows: {_forecasts_of(test)}",
        evidence=_evidence(run, test, by_series, source=source),
        by_series=by_series,
        by_lead_time=_table(run.files.get(LEAD_TIME)),
        document=test,
    )


def _backtest(run: Run) -> _Scored | None:
    """The scores of the backtest below ``derived/``, or None."""
    with _told(run, "backtest/backtest.json"):
        content = _derived(run, "backtest/backtest.json")
        if content is None:
            return None
        document = json.loads(content)
        by_series = _table(_derived(run, "backtest/scores.csv"))
        return _Scored(
            caption=f"Backtest: {_forecasts_of(document)}",
            evidence=_evidence(
                run,
                document,
                by_series,
                model=document["model"],
                source=_backtest_source(document),
                details=[f"In the words of the backtest: {document['verdict']}"],
                warnings=[_sentence(warning) for warning in document["warnings"]],
            ),
            by_series=by_series,
            by_lead_time=_table(_derived(run, "backtest/by_lead_time.csv")),
            document=document,
        )


def _backtest_source(document: Mapping[str, Any]) -> str:
    cutoffs = document["n_windows"]
    trained = "trained once before the first" if document["refit"] == "never" else "trained anew before each"
    moments = f"{cutoffs} past moments" if cutoffs > 1 else "one past moment"
    return f"Judged by forecasts from {moments}, {trained}, each knowing nothing later."


def _evidence(
    run: Run,
    document: Mapping[str, Any],
    by_series: pd.DataFrame,
    *,
    source: str,
    model: str | None = None,
    details: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Evidence:
    name, by_model = model or model_name(run.config), document["models"]
    return Evidence(
        model=name,
        by_model=by_model,
        n_series=document["n_series"],
        n_cutoffs=document["n_cutoffs"],
        horizon=document["horizon"],
        season_length=document["season_length"],
        source=source,
        interval=_nominal(document.get("quantile_levels", run.config.forecast.quantile_levels)),
        wins=_wins(by_series, name, error_metric(by_model)),
        details=details,
        warnings=warnings,
    )


def _nominal(levels: Sequence[float]) -> float | None:
    """Share of the values that the widest interval should hold."""
    return max(levels) - min(levels) if len(levels) > 1 else None


def _wins(by_series: pd.DataFrame, model: str, metric: str) -> tuple[int, int] | None:
    """On how many series the model is better than the seasonal naive, and how many there are."""
    if by_series.empty:
        return None
    own, reference = (_errors(by_series, name, metric) for name in (model, REFERENCE))
    both = own.to_frame("own").join(reference.rename("reference")).dropna()
    return int((both["own"] < both["reference"]).sum()), len(both)


def _errors(by_series: pd.DataFrame, model: str, metric: str) -> pd.Series[float]:
    """The error of a model on each series, by name."""
    return by_series[by_series["model"] == model].set_index("unique_id")[metric]


def _forecasts_of(document: Mapping[str, Any]) -> str:
    return (
        f"{_count(document['n_cutoffs'], 'forecast')} of {_count(document['horizon'], 'step')}, "
        f"{document['n_series']:,} series"
    )


def _score_table(found: _Scored) -> Table:
    models = found.evidence.by_model
    known = [name for name in COLUMNS if any(_value(row, name) is not None for row in models.values())]
    columns = {name: [_value(row, name) for row in models.values()] for name in known}
    best = {name: _best(name, values, found.evidence.interval) for name, values in columns.items()}
    texts = {name: _score_texts(name, values) for name, values in columns.items()}
    rows = [
        Row(
            head=model.replace("_", " "),
            cells=[texts[name][k] for name in known],
            is_own=model == found.evidence.model,
            best=[place for place, name in enumerate(known) if best[name] == k],
        )
        for k, model in enumerate(models)
    ]
    legend = [f"{_column(name).title}: {_column(name).unit.format(season=_season(found))}." for name in known]
    legend.append("Coloured: the best of its column.")
    return Table(found.caption, "model", [_column(name).title for name in known], rows, legend=legend)


def _bars(found: _Scored | None) -> dict[str, Any]:
    """The error of each model as a length, the smallest first."""
    if found is None:
        return {}
    evidence = found.evidence
    errors = {name: evidence.error(name) for name in evidence.by_model if math.isfinite(evidence.error(name))}
    longest = min(max(errors.values(), default=0.0), LONGEST_BAR * evidence.error(evidence.model))
    if len(errors) < 2 or not longest > 0:
        return {}
    bars = [
        Bar(
            name=name.replace("_", " "),
            text=f"{error:.3g}" + (" (cut)" if error > longest else ""),
            percent=round(BAR_ROOM * min(error / longest, 1.0), 1),
            is_own=name == evidence.model,
        )
        for name, error in sorted(errors.items(), key=lambda item: item[1])
    ]
    title, unit = METRICS[evidence.metric].title, METRICS[evidence.metric].unit.format(season=_season(found))
    return {
        "bars": bars,
        "bars_note": f"{title} of each: the shorter the better. {unit[:1].upper()}{unit[1:]}.",
    }


def _season(found: _Scored) -> str:
    return _count(found.evidence.season_length, "step")


def _column(name: str) -> Any:
    return METRICS.get(name) or RELATIVE[name]


def _value(row: Mapping[str, float | None], name: str) -> float | None:
    value = row.get(name)
    return None if value is None or not math.isfinite(value) else value


def _best(name: str, values: Sequence[float | None], nominal: float | None) -> int | None:
    """Place of the best number of a column; None where fewer than two are there."""
    far: dict[str, Callable[[float], float]] = {
        "low": lambda value: value,
        "high": lambda value: -value,
        "zero": abs,
        "nominal": lambda value: abs(value - (nominal or 0.0)),
    }
    distance = far[_column(name).best]
    known = [(distance(value), place) for place, value in enumerate(values) if value is not None]
    return min(known)[1] if len(known) > 1 else None


def _score_texts(name: str, values: Sequence[float | None]) -> list[str]:
    column = _column(name)
    if not getattr(column, "of_data", False):
        return ["–" if value is None else f"{value:.3f}" for value in values]
    sizes = [abs(value) for value in values if value]
    decimals = min(max(3 - math.floor(math.log10(min(sizes))), 0), 6) if sizes else 0
    is_far = bool(sizes) and not 1e-6 <= min(sizes) <= max(sizes) < 1e9
    return [
        "–" if value is None else f"{value:.4g}" if is_far else f"{value:,.{decimals}f}" for value in values
    ]


def _lead_time_chart(found: _Scored | None) -> Chart | None:
    if found is None or found.by_lead_time.empty or found.by_lead_time["lead_time"].max() < 2:
        return None
    table, metric = found.by_lead_time, found.evidence.metric
    lines = _model_lines(table, "lead_time", metric, own=found.evidence.model)
    return line_chart(
        title=f"{METRICS[metric].title} by lead time",
        lines=lines,
        x_label="steps after the cutoff",
        from_zero=True,
        top=_top_shown(lines),
    )


def _model_lines(table: pd.DataFrame, x: str, metric: str, *, own: str) -> list[Line]:
    """A line for each model, our own last, so that it lies on top."""
    others = [name for name in table["model"].unique() if name != own]
    looks = {name: f"other{k % 8}" for k, name in enumerate(others)} | {own: "own"}
    return [
        Line(rows[x].to_numpy(np.float64), rows[metric].to_numpy(np.float64), look, name.replace("_", " "))
        for name, look in looks.items()
        for rows in [table[table["model"] == name]]
    ]


def _top_shown(lines: Sequence[Line]) -> float | None:
    """Top of the axis: a hopeless baseline may leave the picture, so that ours is seen beside the best."""
    highest = [float(np.nanmax(line.y)) for line in lines if np.isfinite(line.y).any()]
    return 4 * max(highest[-1], min(highest)) if len(highest) > 1 else None


# The data


def _subtitle(run: Run) -> str:
    config = run.config
    target = (
        "" if isinstance(config.data.target, list) else f" of {printable(config.data.target, longest=40)}"
    )
    return (
        f"{_count(config.horizon, 'step')} ahead{target}, {_every(run.model['axis']['freq'])}, {_series(run)}; "
        f"{model_name(config)} of {config.model.hidden_size} units"
    )


def _series(run: Run) -> str:
    return f"{len(run.model['unique_ids']) + _n_fallbacks(run):,} series"


def _n_fallbacks(run: Run) -> int:
    return sum(len(stored["unique_ids"]) for stored in run.model.get("fallbacks", ()))


def _data_facts(run: Run) -> list[Fact]:
    config, model = run.config, run.model
    begin, end = (text.removesuffix(MIDNIGHT) for text in model["training_range"])
    split = config.split
    covariates = [
        f"{kind}: {printable(', '.join(names), longest=LONGEST_NAME)}"
        for kind, names in config.data.covariates.model_dump().items()
        if names and kind in ("static", "past", "future")
    ]
    facts = [
        Fact("Series", f"{len(model['unique_ids']):,}"),
        Fact("Rows", f"{model['n_rows']:,}"),
        Fact("From", begin),
        Fact("To", end),
        Fact("Frequency", _every(model["axis"]["freq"])),
        Fact("Season", _seasons(cast(list[int], config.season_length))),
        Fact("Forecast", _count(config.horizon, "step") + " ahead"),
        Fact("Lookback", _count(cast(int, config.lookback), "step")),
        Fact("Held back", f"{split.validation} validation, {split.test} test steps"),
        Fact("Covariates", "; ".join(covariates) or "none"),
        Fact("Source", printable(_source_name(str(config.data.path)), longest=LONGEST_NAME)),
    ]
    if model["transform"]["name"] != "none":
        facts.append(Fact("Transform", model["transform"]["name"]))
    return facts


def _seasons(lengths: Sequence[int]) -> str:
    return " and ".join(map(str, lengths)) + f" step{'s' * (list(lengths) != [1])}"


def _every(freq: str) -> str:
    """A frequency in a word where there is one."""
    return WORDS.get(freq.partition("-")[0], freq)


def _source_name(path: str) -> str:
    """The last part of a path: where it lies on the disk is nobody's business but the config's."""
    return path.rpartition("/")[2] or path


def _repair_notes(run: Run) -> list[str]:
    policies = run.config.data.repair.model_dump()
    done = [f"{count:,} {kind} ({policies[kind]})" for kind, count in run.model["repairs"].items() if count]
    return (
        [f"Repaired while reading: {', '.join(done)}."]
        if done
        else ["Nothing had to be repaired while reading."]
    )


def _failures(run: Run) -> list[dict[str, str]]:
    """Series that the network has nothing to do with: name, code, reason, and what forecasts them."""
    content = run.files.get(FAILURES)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))) if content else []


def _failure_table(failures: Sequence[Mapping[str, str]]) -> Table | None:
    if not failures:
        return None
    rows = [
        Row(
            printable(one["unique_id"], longest=LONGEST_NAME),
            [
                one["code"],
                printable(one["reason"], longest=300),
                one["forecast"].replace("_", " ") or "nothing",
            ],
        )
        for one in failures[:MOST_FAILURES]
    ]
    more = (
        f"; the first {MOST_FAILURES} of them, all are in {FAILURES}" if len(failures) > MOST_FAILURES else ""
    )
    caption = f"{len(failures):,} series the network did not learn from{more}"
    return Table(caption, "series", ["code", "what is wrong", "forecast by"], rows, is_text=True)


def _warnings(run: Run, failures: Sequence[Mapping[str, str]]) -> list[str]:
    """What about the run itself should make a reader careful."""
    warnings = []
    lost = [one["unique_id"] for one in failures if not one["forecast"]]
    fallen = len(failures) - len(lost)
    if lost:
        warnings.append(f"{len(lost):,} series have no forecast: {printable(listed(lost), longest=160)}.")
    if fallen:
        warnings.append(
            f"{fallen:,} series could not be learned from and are forecast by the seasonal naive."
        )
    test = cast(int, run.config.split.test)
    if 0 < test < run.config.horizon:
        warnings.append(
            f"Only {_count(test, 'step')} were held back, fewer than the {run.config.horizon} forecast: later lead "
            "times went unseen."
        )
    return warnings


# Forecasts


def _forecasts(run: Run, found: _Scored | None, failures: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """A card for each series, or for evenly chosen ones of very many."""
    table = _table(run.files.get(FORECAST), columns=lambda name: name not in ("ds", "cutoff"))
    if table.empty:
        return {"cards": []}
    starts = np.flatnonzero(
        np.append(True, table["unique_id"].to_numpy()[1:] != table["unique_id"].to_numpy()[:-1])
    )
    ends = np.append(starts[1:], len(table))
    names = table["unique_id"].to_numpy()[starts]
    errors = _compared(found)
    own = np.array([errors.get(name, (math.nan, math.nan))[0] for name in names])
    order = np.argsort(np.where(np.isnan(own), -math.inf, own), kind="stable")[
        ::-1
    ]  # the largest error first
    chosen = order[shown_steps(len(order), MOST_CARDS)]
    drawn = _History(run)
    why = {one["unique_id"]: one["reason"] for one in failures}
    metric = METRICS[found.evidence.metric].title if found else ""
    cards = [
        SeriesCard(
            name=printable(names[k], longest=LONGEST_NAME),
            note=_card_note(names[k], metric, errors, why),
            chart=drawn.chart(names[k], table.iloc[starts[k] : ends[k]]),
            rank=0 if math.isnan(own[k]) else place + 1,
        )
        for place, k in enumerate(chosen)
    ]
    return {
        "cards": cards,
        "cards_note": _cards_note(run, len(names), len(cards), scored=bool(errors)),
        "card_legend": cards[0].chart.legend,
    }


def _compared(found: _Scored | None) -> dict[str, tuple[float, float]]:
    """Error of the model and of the seasonal naive on each series, by name."""
    if found is None or found.by_series.empty:
        return {}
    own, reference = (
        _errors(found.by_series, name, found.evidence.metric) for name in (found.evidence.model, REFERENCE)
    )
    return dict(
        zip(own.index, zip(own.tolist(), reference.reindex(own.index).tolist(), strict=True), strict=True)
    )


def _card_note(
    name: str, metric: str, errors: Mapping[str, tuple[float, float]], why: Mapping[str, str]
) -> str:
    if name in why:
        return f"by the seasonal naive: {printable(why[name], longest=120)}"
    own, reference = errors.get(name, (math.nan, math.nan))
    if math.isnan(own):
        return "not judged"
    return f"{metric} {own:.3g}, seasonal naive {reference:.3g}"


def _cards_note(run: Run, n_series: int, n_drawn: int, *, scored: bool) -> str:
    steps = _count(run.config.horizon, "step")
    point = (run.metrics or {}).get("y_hat", "median")
    note = f"{steps} from the end of each series; the blue line is the {point}."
    if n_drawn < n_series:
        how = "evenly chosen from the largest error to the smallest" if scored else "evenly chosen"
        note += f" {n_drawn:,} of {n_series:,} series are drawn, {how}; {FORECAST} holds all."
    return note


class _History:
    """The rows a run keeps, by the name of their series."""

    def __init__(self, run: Run) -> None:
        panels = [tail_from_storage(run.model, run.arrays), *fallbacks_from_storage(run.model, run.arrays)]
        self._places = {name: (panel, s) for panel in panels for s, name in enumerate(panel.unique_ids)}
        self._levels = run.config.forecast.quantile_levels

    def chart(self, name: str, forecast: pd.DataFrame) -> Chart:
        """Some history, and the forecast from its end."""
        panel, s = self._places[name]
        y = panel.values(s)[-max(MIN_HISTORY, HISTORY_HORIZONS * len(forecast)) :]
        end = int(panel.starts[s] + panel.lengths[s]) - 1
        begin = end + 1 - len(y)
        steps = np.arange(begin, end + 1, dtype=np.float64)
        ahead = end + np.concatenate([[0.0], forecast["lead_time"].to_numpy(np.float64)])
        last = int(ahead[-1])
        known = y[np.isfinite(y)]
        joint = known[-1:] if np.isfinite(y[-1:]).all() and len(y) else np.array([math.nan])

        def joined(column: str) -> FloatArray:
            return np.concatenate([joint, forecast[column].to_numpy(np.float64)])

        return line_chart(
            title=f"{printable(name, longest=LONGEST_TITLE)}: history and forecast",
            lines=[
                Line(steps, y, "ink", "history"),
                Line(ahead, joined("y_hat"), "own", "forecast", kind="line" if last > end + 1 else "dots"),
            ],
            bands=[
                Band(ahead, joined(low), joined(high), look, f"quantiles {low[1:]} to {high[1:]}")
                for (low, high), look in zip(_pairs(list(forecast.columns)), ("own", "inner"), strict=False)
            ],
            x_ticks=_end_ticks(panel.axis, begin, last),
            marks=[float(end)],
        )


def _pairs(columns: Sequence[str]) -> list[tuple[str, str]]:
    """The outermost quantiles, and the innermost pair where there are more."""
    names = sorted((name for name in columns if name.startswith("q")), key=lambda name: float(name[1:]))
    pairs = [(names[k], names[-1 - k]) for k in range(len(names) // 2)]
    return pairs[:1] + pairs[1:][-1:]


def _end_ticks(axis: TimeAxis, begin: int, end: int) -> dict[float, str]:
    texts = _moments(axis, [begin, end])
    return {float(begin): texts[0], float(end): texts[1]}


def _moments(axis: TimeAxis, positions: Sequence[int]) -> list[str]:
    texts = [str(moment) for moment in axis.timestamps(np.array(positions))]
    return texts if axis.is_integer else [text[:10] if axis.counts_dates else text[:16] for text in texts]


# The backtest


def _backtest_parts(run: Run, found: _Scored) -> dict[str, Any]:
    with _told(run, "backtest"):
        return {
            "backtest_notes": _backtest_notes(found.document),
            "backtest_charts": [chart for chart in _backtest_charts(run, found) if chart],
            "backtest_series": _worst_and_best(run, found),
        }


def _backtest_notes(document: Mapping[str, Any]) -> list[str]:
    moments = document["cutoffs"]
    cutoffs = f"{_count(document['n_windows'], 'cutoff')}, {_count(document['stride'], 'step')} apart"
    notes = [f"{cutoffs}, from {moments[0]} to {moments[-1]}."]
    one_step, recursive = (document["one_step"][name] for name in ("mase", "mase_of_the_recursive_forecast"))
    if one_step is not None and recursive is not None:
        notes.append(
            f"One step ahead, each time with the actual values before it, MASE is {one_step:.3f}; fed with its own "
            f"forecasts over the same steps, {recursive:.3f}."
        )
    return notes


def _backtest_charts(run: Run, found: _Scored) -> Iterator[Chart | None]:
    yield _coverage_chart(found)
    yield _cutoff_chart(run, found)
    errors = _table(_derived(run, "backtest/errors.csv"), text=("cycle", "label"))
    for cycle, rows in errors.groupby("cycle", sort=False) if len(errors) else ():
        yield bar_chart(
            title=f"Errors {cycle}",
            labels=[str(label) for label in rows["label"]],
            quartiles=rows[["q0.25", "q0.5", "q0.75"]].to_numpy(np.float64),
            y_label="actual − forecast, in usual seasonal changes",
        )


def _coverage_chart(found: _Scored) -> Chart | None:
    table, nominal = found.by_lead_time, found.evidence.interval
    if nominal is None or "coverage" not in table:
        return None
    own = table[table["model"] == found.evidence.model]
    if own["coverage"].isna().all() or len(own) < 2:
        return None
    line = Line(own["lead_time"].to_numpy(np.float64), 100 * own["coverage"].to_numpy(np.float64), "own")
    return line_chart(
        title=f"Actual values inside the {100 * nominal:g} % interval, by lead time",
        lines=[line],
        levels={100 * nominal: "muted"},
        x_label="steps after the cutoff",
        y_label="% (dashed: as it should be)",
        from_zero=True,
    )


def _cutoff_chart(run: Run, found: _Scored) -> Chart | None:
    table = _table(_derived(run, "backtest/by_cutoff.csv"), text=("cutoff", "model"))
    metric = found.evidence.metric
    if table.empty or table["cutoff"].nunique() < 2:
        return None
    moments = list(dict.fromkeys(table["cutoff"]))
    numbered = table.assign(number=table["cutoff"].map({text: k for k, text in enumerate(moments)}))
    lines = _model_lines(numbered, "number", metric, own=found.evidence.model)
    return line_chart(
        title=f"{METRICS[metric].title} by cutoff",
        lines=lines,
        x_ticks={0.0: moments[0], len(moments) - 1.0: moments[-1]},
        from_zero=True,
        top=_top_shown(lines),
    )


def _worst_and_best(run: Run, found: _Scored) -> list[SeriesCard]:
    """The series with the largest and the smallest error, and their newest windows."""
    if found.by_series.empty:
        return []
    metric = found.evidence.metric
    errors = _errors(found.by_series, found.evidence.model, metric).dropna()
    ranked = errors.sort_values(ascending=False, kind="stable")
    names = list(dict.fromkeys([*ranked.index[:SERIES_OF_BACKTEST], *ranked.index[-SERIES_OF_BACKTEST:]]))
    with open_derived(run.path, "backtest/cv.parquet") as file:
        if file is None or not names:
            return []
        windows = pd.read_parquet(file, filters=[("unique_id", "in", names)])
    tables = dict(list(windows.groupby("unique_id", sort=False)))
    return [
        SeriesCard(
            name=printable(name, longest=LONGEST_NAME),
            note=f"{METRICS[metric].title} {ranked[name]:.3g}",
            chart=_windows_chart(name, tables[name]),
        )
        for name in names
        if name in tables
    ]


def _windows_chart(name: str, rows: pd.DataFrame) -> Chart:
    """What came, and the forecasts from the newest cutoffs."""
    newest = rows["cutoff"].drop_duplicates().sort_values().tail(WINDOWS_DRAWN)
    rows = rows[rows["cutoff"].isin(newest)].sort_values(["cutoff", "lead_time"])
    # As numbers, so that windows apart from each other are drawn apart.
    place = dict(zip(rows["ds"], _numbers(rows["ds"]), strict=True))
    actual = rows.drop_duplicates("ds").sort_values("ds")
    parts = [part for _, part in rows.groupby("cutoff")]
    pairs = _pairs([str(column) for column in rows])[:1]
    texts = [
        str(moment).removesuffix(MIDNIGHT)[:16] for moment in (actual["ds"].iloc[0], actual["ds"].iloc[-1])
    ]
    at = np.array([place[moment] for moment in actual["ds"]])
    own = [
        Line(_numbers(part["ds"]), part["y_hat"].to_numpy(np.float64), "own", "" if k else "forecasts",
             kind="line" if len(part) > 1 else "dots")
        for k, part in enumerate(parts)
    ]  # fmt: skip
    cutoffs = _count(len(parts), "cutoff")
    return line_chart(
        title=f"{printable(name, longest=LONGEST_TITLE)}: actual values and forecasts from {cutoffs}",
        lines=[Line(at, actual["y"].to_numpy(np.float64), "ink", "actual values"), *own],
        bands=[
            Band(_numbers(part["ds"]), part[low].to_numpy(np.float64), part[high].to_numpy(np.float64), "own",
                 "" if k else f"quantiles {low[1:]} to {high[1:]}")
            for k, part in enumerate(parts)
            for low, high in pairs
        ],
        x_ticks={float(at[0]): texts[0], float(at[-1]): texts[1]},
        marks=[float(_numbers(part["ds"])[0]) for part in parts],
    )  # fmt: skip


def _numbers(ds: pd.Series[Any]) -> FloatArray:
    """Timestamps as numbers that keep their distances."""
    index = pd.Index(ds)
    if isinstance(index, pd.DatetimeIndex):
        index = pd.Index(index.asi8)
    numbers: FloatArray = index.to_numpy(np.float64)
    return numbers


# Training and the network


def _training(run: Run) -> dict[str, Any]:
    metrics = run.metrics or {}
    history = [json.loads(line) for line in run.files.get(HISTORY, b"").decode("utf-8").splitlines()]
    facts = [
        Fact("Cell", model_name(run.config)),
        Fact("Layers × units", f"{run.config.model.num_layers} × {run.config.model.hidden_size}"),
        Fact("Steps", f"{metrics['steps']:,}" if "steps" in metrics else "unknown"),
        Fact("Best step", f"{metrics['best_step']:,}" if "best_step" in metrics else "unknown"),
        Fact(
            "Validation MASE",
            f"{metrics['validation_mase']:.3f}" if metrics.get("validation_mase") is not None else "none",
        ),
        Fact("Seconds", f"{metrics['seconds']:.1f}" if "seconds" in metrics else "unknown"),
        Fact("Seed", str(run.config.training.seed)),
    ]
    return {"training": _training_charts(history, metrics.get("best_step")), "training_facts": facts}


def _training_charts(history: Sequence[Mapping[str, Any]], best_step: int | None) -> list[Chart]:
    """Validation score and training loss over the steps; of a reservoir, over the ridge strengths tried."""
    steps = np.array([record["step"] for record in history], dtype=np.float64)
    if len(steps) < 2:
        return []
    ridge = "ridge" in history[0]
    ticks = (
        {float(step): f"{record['ridge']:g}" for step, record in zip(steps, history, strict=True)}
        if ridge
        else None
    )
    if ticks and len(ticks) > 6:
        places = list(ticks)
        ticks = {places[k]: ticks[places[k]] for k in shown_steps(len(places), 6)}
    marks = [float(best_step)] if best_step is not None and best_step in steps else []
    titles = {"validation": "Validation MASE (dashed: the weights that are kept)", "loss": "Training loss"}
    charts = []
    for key, title in titles.items():
        values = np.array(
            [math.nan if record[key] is None else record[key] for record in history], dtype=np.float64
        )
        known = np.isfinite(values)
        if known.sum() > 1:
            line = Line(steps[known], values[known], "own" if key == "validation" else "ink")
            label = "ridge strength" if ridge else "step"
            charts.append(line_chart(title=title, lines=[line], x_ticks=ticks, x_label=label, marks=marks))
    return charts


def _gates(run: Run) -> dict[str, Any]:
    """What the inspection below ``derived/`` saw, or nothing."""
    with _told(run, "inspect"):
        content = _derived(run, "inspect/reading.json")
        if content is None:
            return {}
        seen = json.loads(content)
        gates = _table(_derived(run, "inspect/gates.csv"), text=("direction", "ds"))
        of = (
            f"series {printable(seen['series'], longest=LONGEST_TITLE)}"
            if seen["series"]
            else _average_of(seen)
        )
        return {
            "gates": _layer_table(seen),
            "gates_notes": [
                f"What the network did while it read the newest {seen['lookback']} steps of {of}."
            ],
            "heat_maps": list(_heat_maps(gates)) if len(gates) else [],
        }


def _average_of(seen: Mapping[str, Any]) -> str:
    return f"{seen['n_series']:,} series, on average"


def _layer_table(seen: Mapping[str, Any]) -> Table:
    def steps(value: float | None) -> str:
        return "–" if value is None else f"{value:.0f}"

    rows = [
        Row(
            f"layer {layer['layer']}, {layer['direction']}",
            [
                steps(layer["memory_median"]),
                steps(layer["memory_longest"]),
                _saturation(layer["saturated_open"]),
                _saturation(layer["saturated_closed"]),
                steps(layer["gradient_faded_after"]),
            ],
        )
        for layer in seen["layers"]
    ]
    columns = ["memory, median", "longest", "gates held open", "held shut", "gradient gone after"]
    legend = [
        "memory: steps until a unit has lost half of what it held.",
        "gates held open, held shut: share of their values above 0.9, below 0.1.",
        "gradient gone after: steps back at which 1 % of it is left; – where more is left at the start of the window.",
    ]
    return Table("Layers", "layer", columns, rows, legend=legend)


def _saturation(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items()) or "–"


def _heat_maps(gates: pd.DataFrame) -> Iterator[HeatMap]:
    made = 0
    several = len(gates[["layer", "direction"]].drop_duplicates()) > 1
    for (layer, direction), rows in gates.groupby(["layer", "direction"], sort=True):
        for name in (name for name in GATE_NAMES if name in rows):
            if made == MOST_HEAT_MAPS or rows[name].isna().all():
                continue
            made += 1
            values = rows.pivot_table(index="unit", columns="step", values=name).to_numpy(np.float64)
            where = f", layer {layer} {direction}" if several else ""
            last = values.shape[1] - 1
            yield heat_map(
                f"{GATE_NAMES[name]}{where}",
                np.nan_to_num(values),
                signed=bool((values < 0).any()),
                x_ticks={0: f"{last} steps back", last: "newest"} if last else {0: "newest"},
            )


def _versions(run: Run) -> list[Fact]:
    model = run.model
    return [
        Fact("Trained with", f"tsforecast {model.get('tsforecast', 'unknown')}"),
        Fact("Report by", f"tsforecast {__version__}"),
        Fact("Run format", str(model["format_version"])),
        Fact("Data (SHA-256)", model["data_hash"]),
        Fact("Weights (SHA-256)", hashlib.sha256(run.files[WEIGHTS]).hexdigest()),
    ]


# Files


def _derived(run: Run, name: str) -> bytes | None:
    with open_derived(run.path, name) as file:
        if file is None:
            return None
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RunError(
            f"{run.path / 'derived' / name}: is larger than {MOST_BYTES} bytes; make it anew, or remove it."
        )
    return content


def _table(
    content: bytes | None,
    *,
    text: Sequence[str] = ("unique_id", "model"),
    columns: Callable[[str], bool] | None = None,
) -> pd.DataFrame:
    """A CSV of ours, its words as they stand; empty where there is none."""
    if content is None:
        return pd.DataFrame()
    head = content.partition(b"\n")[0].decode("utf-8").split(",")
    return pd.read_csv(
        io.BytesIO(content),
        usecols=columns,
        dtype=dict.fromkeys(text, "str"),
        keep_default_na=False,
        na_values={name: [""] for name in head if name not in text},
    )


@contextmanager
def _told(run: Run, name: str) -> Iterator[None]:
    """Says of a file that holds something else than its command writes where it lies and what to do."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, pa.ArrowException) as error:
        raise RunError(
            f"{run.path / 'derived' / name}: is not what its command writes ({type(error).__name__}: {error}); make it "
            "anew, or remove it."
        ) from error


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
