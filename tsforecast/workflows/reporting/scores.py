"""What was judged in a run: on its held-back rows, and by a backtest below it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.evaluation.metrics import METRICS, RELATIVE, nominal_coverage
from tsforecast.evaluation.scores import REFERENCE, SHOWN
from tsforecast.evaluation.significance import Difference
from tsforecast.pictures.charts import Chart, Line, line_chart
from tsforecast.pictures.report import Bar, Row, Table
from tsforecast.runs import Run
from tsforecast.workflows.reporting.files import LEAD_TIME, SCORES, counted, derived, sentence, table_of, told
from tsforecast.workflows.reporting.verdict import Evidence, error_metric
from tsforecast.workflows.train import model_name

__all__ = [
    "Scored",
    "backtested",
    "bars_of",
    "errors_of",
    "held_back",
    "lead_time_chart",
    "model_lines",
    "score_table",
    "top_shown",
]

# What decides first; the others are to be found by scrolling on a phone.
FIRST = ("mase", "skill")
COLUMNS = (*FIRST, *(name for name in SHOWN if name not in FIRST), "wql", "coverage", "interval_score")
# A bar this many times as long as ours says no more than one that ends there.
LONGEST_BAR = 6
BAR_ROOM = 80
CHANCE_LEGEND = (
    "p: how often a model just as good would differ as much from ours, by chance; below 0.05 is sure."
)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
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


def held_back(run: Run) -> Scored | None:
    """The scores on the rows held back in training."""
    test = (run.metrics or {}).get("test")
    if not test:
        return None
    by_series = table_of(run.files.get(SCORES))
    final = " Afterwards the model learned from those rows too." if run.config.training.final_fit else ""
    source = f"Judged on rows at the end of the series that it had not seen.{final}"
    return Scored(
        caption=f"Held-back rows: {_forecasts_of(test)}",
        evidence=_evidence(run, test, by_series, source=source),
        by_series=by_series,
        by_lead_time=table_of(run.files.get(LEAD_TIME)),
        document=test,
    )


def backtested(run: Run) -> Scored | None:
    """The scores of the backtest below ``derived/``, or None."""
    with told(run, "backtest/backtest.json"):
        content = derived(run, "backtest/backtest.json")
        if content is None:
            return None
        document = json.loads(content)
        by_series = table_of(derived(run, "backtest/scores.csv"))
        return Scored(
            caption=f"Backtest: {_forecasts_of(document)}",
            evidence=_evidence(
                run,
                document,
                by_series,
                model=document["model"],
                source=_backtest_source(document),
                chances=_chances(document),
                warnings=[sentence(warning) for warning in document["warnings"]],
            ),
            by_series=by_series,
            by_lead_time=table_of(derived(run, "backtest/by_lead_time.csv")),
            document=document,
        )


def _backtest_source(document: Mapping[str, Any]) -> str:
    cutoffs = document["n_windows"]
    trained = "trained once before the first" if document["refit"] == "never" else "trained anew before each"
    moments = f"{cutoffs} past moments" if cutoffs > 1 else "one past moment"
    return f"Judged by forecasts from {moments}, {trained}, each knowing nothing later."


def _chances(document: Mapping[str, Any]) -> dict[str, Difference]:
    """How sure the difference to each other model is, by its name."""
    found: dict[str, Difference] = {}
    for name, one in document["significance"].items():
        values: dict[str, Any] = {key: math.nan if value is None else value for key, value in one.items()}
        found[name] = Difference(**values)
    return found


def _evidence(
    run: Run,
    document: Mapping[str, Any],
    by_series: pd.DataFrame,
    *,
    source: str,
    model: str | None = None,
    chances: Mapping[str, Difference] | None = None,
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
        interval=nominal_coverage(document.get("quantile_levels", run.config.forecast.quantile_levels)),
        wins=_wins(by_series, name, error_metric(by_model)),
        chances=chances or {},
        warnings=warnings,
    )


def _wins(by_series: pd.DataFrame, model: str, metric: str) -> tuple[int, int] | None:
    """On how many series the model is better than the seasonal naive, and how many there are."""
    if by_series.empty:
        return None
    own, reference = (errors_of(by_series, name, metric) for name in (model, REFERENCE))
    both = own.to_frame("own").join(reference.rename("reference")).dropna()
    return int((both["own"] < both["reference"]).sum()), len(both)


def errors_of(by_series: pd.DataFrame, model: str, metric: str) -> pd.Series[float]:
    """The error of a model on each series, by name."""
    return by_series[by_series["model"] == model].set_index("unique_id")[metric]


def _forecasts_of(document: Mapping[str, Any]) -> str:
    return (
        f"{counted(document['n_cutoffs'], 'forecast')} of {counted(document['horizon'], 'step')}, "
        f"{document['n_series']:,} series"
    )


def score_table(found: Scored) -> Table:
    models = found.evidence.by_model
    known = [name for name in COLUMNS if any(_value(row, name) is not None for row in models.values())]
    columns = {name: [_value(row, name) for row in models.values()] for name in known}
    best = {name: _best(name, values, found.evidence.interval) for name, values in columns.items()}
    texts = {name: _score_texts(name, values) for name, values in columns.items()}
    chances = found.evidence.chances
    rows = [
        Row(
            head=model.replace("_", " "),
            cells=[*(texts[name][k] for name in known), *([_chance(chances.get(model))] if chances else [])],
            is_own=model == found.evidence.model,
            best=[place for place, name in enumerate(known) if best[name] == k],
        )
        for k, model in enumerate(models)
    ]
    legend = [f"{_column(name).title}: {_column(name).unit.format(season=_season(found))}." for name in known]
    legend += [CHANCE_LEGEND] if chances else []
    legend.append("Coloured: the best of its column.")
    heads = [*(_column(name).title for name in known), *(["p"] if chances else [])]
    return Table(found.caption, "model", heads, rows, legend=legend)


def _chance(found: Difference | None) -> str:
    if found is None or math.isnan(found.p_value):
        return "–"
    return "< 0.001" if found.p_value < 0.001 else f"{found.p_value:.2g}"


def bars_of(found: Scored | None) -> dict[str, Any]:
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


def _season(found: Scored) -> str:
    return counted(found.evidence.season_length, "step")


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
        # Adding 0 makes a zero of a rounded negative one.
        return ["–" if value is None else f"{round(value, 3) + 0.0:.3f}" for value in values]
    sizes = [abs(value) for value in values if value]
    decimals = min(max(3 - math.floor(math.log10(min(sizes))), 0), 6) if sizes else 0
    is_far = bool(sizes) and not 1e-6 <= min(sizes) <= max(sizes) < 1e9
    return [
        "–" if value is None else f"{value:.4g}" if is_far else f"{value:,.{decimals}f}" for value in values
    ]


def lead_time_chart(found: Scored | None) -> Chart | None:
    if found is None or found.by_lead_time.empty or found.by_lead_time["lead_time"].max() < 2:
        return None
    table, metric = found.by_lead_time, found.evidence.metric
    lines = model_lines(table, "lead_time", metric, own=found.evidence.model)
    return line_chart(
        title=f"{METRICS[metric].title} by lead time",
        lines=lines,
        x_label="steps after the cutoff",
        from_zero=True,
        top=top_shown(lines),
    )


def model_lines(table: pd.DataFrame, x: str, metric: str, *, own: str) -> list[Line]:
    """A line for each model, our own last, so that it lies on top."""
    others = [name for name in table["model"].unique() if name != own]
    looks = {name: f"other{k % 8}" for k, name in enumerate(others)} | {own: "own"}
    return [
        Line(rows[x].to_numpy(np.float64), rows[metric].to_numpy(np.float64), look, name.replace("_", " "))
        for name, look in looks.items()
        for rows in [table[table["model"] == name]]
    ]


def top_shown(lines: Sequence[Line]) -> float | None:
    """Top of the axis: a hopeless baseline may leave the picture, so that ours is seen beside the best."""
    highest = [float(np.nanmax(line.y)) for line in lines if np.isfinite(line.y).any()]
    return 4 * max(highest[-1], min(highest)) if len(highest) > 1 else None
