"""How good forecasts are: by model, by series and by lead time, as tables and in words.

Errors are averaged over the cutoffs of a series first and over the series then, so that each series weighs
the same (as in the M4 competition).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.words import printable
from tsforecast.evaluation.baselines import BASELINES
from tsforecast.evaluation.metrics import METRICS, Metric, SeasonalScale, seasonal_scale
from tsforecast.series.panel import BoolArray, Cutoffs, FloatArray, IntArray, Panel

__all__ = ["Scores", "actuals", "aligned", "metrics_json", "rolling_cutoffs", "score", "scores_text"]

REFERENCE = "seasonal_naive"
LEAD_TIME_METRICS = ("mae", "mase")
WORST_SHOWN = 10
# Skills closer to zero than this are a draw: they would be printed as 0.0 %.
DRAW = 0.0005
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of several models from the same cutoffs.

    Attributes:
        by_model: one row per model, indexed by its name, with a column per metric and ``skill``,
            which is 1 - MASE / MASE of the seasonal naive.
        by_series: columns ``unique_id``, ``model`` and the metrics.
        by_lead_time: columns ``model``, ``lead_time``, ``mae`` and ``mase``.
        n_series: series that were scored.
        n_cutoffs: forecasts that were scored, each from its own cutoff.
        horizon: steps of each forecast.
        season_length: steps in the season of the seasonal naive and of the scale of MASE and RMSSE.
    """

    by_model: pd.DataFrame
    by_series: pd.DataFrame
    by_lead_time: pd.DataFrame
    n_series: int
    n_cutoffs: int
    horizon: int
    season_length: int


def rolling_cutoffs(panel: Panel, *, horizon: int, test: int, stride: int | None = None) -> Cutoffs:
    """Cutoffs whose forecasts lie in the last ``test`` steps of their series, by series and then by time.

    The last forecast ends with its series and the others precede it every ``stride`` steps. A series without
    a row before its last ``test`` steps has none.

    Args:
        panel: all rows, the test part included.
        horizon: steps of each forecast.
        test: steps held back at the end of each series.
        stride: steps between cutoffs; None takes the horizon, so that no step is forecast twice.
    """
    back = np.arange(horizon, test + 1, stride or horizon)[
        ::-1
    ]  # rows from the cutoff to the end of its series
    series = np.flatnonzero(panel.lengths > test)
    rows = panel.offsets[1:][series, None] - 1 - back
    return Cutoffs(series=np.repeat(series, len(back)), rows=rows.ravel())


def actuals(panel: Panel, cutoffs: Cutoffs, horizon: int) -> FloatArray:
    """What came after each cutoff, NaN past the end of the series, ``(n_cutoffs, horizon)``."""
    rows = cutoffs.rows[:, None] + np.arange(1, horizon + 1)
    inside = rows < panel.offsets[1:][cutoffs.series, None]
    return np.where(inside, panel.y[np.minimum(rows, len(panel.y) - 1)], np.nan)


def score(
    panel: Panel, cutoffs: Cutoffs, forecasts: Mapping[str, FloatArray], *, season_length: int
) -> Scores:
    """Scores of all models against what came after the cutoffs.

    What no model has a score for, such as the MASE of a series that never changes, does not count. A model
    without a score where another has one is left without a score; a forecast that is not finite is missing.

    Args:
        panel: all rows, those after the cutoffs included.
        cutoffs: where the forecasts start.
        forecasts: of each model by its name, ``(n_cutoffs, horizon)``; the order is that of the tables.
        season_length: steps in the season that scales MASE and RMSSE.
    """
    y_hat = np.stack(list(forecasts.values()))  # (models, cutoffs, horizon)
    y_hat = np.where(np.isfinite(y_hat), y_hat, np.nan)
    horizon = y_hat.shape[-1]
    y = actuals(panel, cutoffs, horizon)
    scale = seasonal_scale(panel, cutoffs, season_length)
    of_series = {
        name: _mean_by(cutoffs.series, metric.of(y, y_hat, scale)) for name, metric in METRICS.items()
    }
    of_step = {
        name: _mean_over_series(_mean_by(cutoffs.series, _by_step(METRICS[name], y, y_hat, scale)))
        for name in LEAD_TIME_METRICS
    }
    models, scored = list(forecasts), np.unique(cutoffs.series)
    return Scores(
        by_model=_model_table(models, of_series),
        by_series=_series_table(models, [panel.unique_ids[s] for s in scored], of_series),
        by_lead_time=_lead_time_table(models, horizon, of_step),
        n_series=len(scored),
        n_cutoffs=len(cutoffs),
        horizon=horizon,
        season_length=season_length,
    )


def metrics_json(scores: Scores) -> dict[str, Any]:
    """The scores by model as plain numbers; what is undefined is None."""
    return {
        "n_series": scores.n_series,
        "n_cutoffs": scores.n_cutoffs,
        "horizon": scores.horizon,
        "season_length": scores.season_length,
        "models": {
            str(name): {metric: _plain(value) for metric, value in row.items()}
            for name, row in scores.by_model.iterrows()
        },
    }


def scores_text(scores: Scores, *, model_name: str) -> str:
    """The scores for people: a table, the worst series where there are several, and the verdict.

    Args:
        scores: of the model and of all baselines.
        model_name: the row the verdict is about.
    """
    parts = [_heading(scores), _model_lines(scores), _legend(scores)]
    if scores.n_series > 1:
        parts.append(_worst_lines(scores, model_name))
    return "\n".join([*parts, _verdict(scores.by_model, model_name)]) + "\n"


def _by_step(metric: Metric, y: FloatArray, y_hat: FloatArray, scale: SeasonalScale) -> FloatArray:
    """The metric of each single step, ``(models, cutoffs, horizon)``."""
    of_step = SeasonalScale(mae=scale.mae[:, None], rmse=scale.rmse[:, None])
    return metric.of(y[..., None], y_hat[..., None], of_step)


def _mean_by(group: IntArray, values: FloatArray) -> FloatArray:
    """Means over the second axis of what lies in one group, in the order of the groups.

    Args:
        group: of each place of the second axis.
        values: one number or row per model and place, ``(models, places, ...)``.
    """
    counted: BoolArray = np.logical_not(np.isnan(values).all(axis=0))
    order = np.argsort(group, kind="stable")
    first = np.unique(group[order], return_index=True)[1]
    total = np.add.reduceat(np.where(counted, values, 0.0)[:, order], first, axis=1)
    count = np.add.reduceat(counted[order].astype(np.int64), first, axis=0)
    result: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return result


def _mean_over_series(values: FloatArray) -> FloatArray:
    """Means over the second axis, ``(models, ...)``."""
    return _mean_by(np.zeros(values.shape[1], np.int64), values)[:, 0]


def _model_table(models: Sequence[str], of_series: Mapping[str, FloatArray]) -> pd.DataFrame:
    columns = {name: _mean_over_series(values) for name, values in of_series.items()}
    columns["skill"] = _skills(models, of_series["mase"])
    return pd.DataFrame(columns, index=pd.Index(models, name="model"))


def _skills(models: Sequence[str], mase: FloatArray) -> FloatArray:
    """1 - MASE / MASE of the seasonal naive, over the series where both have one, ``(models,)``."""
    if REFERENCE not in models:
        return np.full(len(models), np.nan)
    reference = mase[models.index(REFERENCE)]
    both = ~np.isnan(mase) & ~np.isnan(reference)  # (models, series)
    own = np.where(both, mase, 0.0).sum(axis=1)
    others = np.where(both, reference, 0.0).sum(axis=1)
    skills: FloatArray = 1 - np.divide(own, others, out=np.full(len(models), np.nan), where=others > 0)
    return skills


def _series_table(
    models: Sequence[str], unique_ids: Sequence[str], of_series: Mapping[str, FloatArray]
) -> pd.DataFrame:
    keys = {"unique_id": np.repeat(unique_ids, len(models)), "model": np.tile(models, len(unique_ids))}
    return pd.DataFrame({**keys, **{name: values.T.ravel() for name, values in of_series.items()}})


def _lead_time_table(models: Sequence[str], horizon: int, of_step: Mapping[str, FloatArray]) -> pd.DataFrame:
    keys = {
        "model": np.repeat(models, horizon),
        "lead_time": np.tile(np.arange(1, horizon + 1), len(models)),
    }
    return pd.DataFrame({**keys, **{name: values.ravel() for name, values in of_step.items()}})


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _heading(scores: Scores) -> str:
    return (
        f"Held-back part: {_count(scores.n_cutoffs, 'forecast')} of {_count(scores.horizon, 'step')}, "
        f"{scores.n_series} series\n"
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _model_lines(scores: Scores) -> str:
    table = scores.by_model
    skill = {"skill": _numbers(table["skill"], decimals=3)}
    return aligned([str(name) for name in table.index], _metric_columns(table) | skill)


def _legend(scores: Scores) -> str:
    season = _count(scores.season_length, "step")
    return (
        "MAE, RMSE: in the unit of the data. sMAPE: per cent, 0 to 200.\n"
        f"MASE, RMSSE: 1 is the usual change over one season ({season}) in the rows before.\n"
        "skill: 1 - MASE / MASE of the seasonal naive. All are means over the series.\n"
    )


def _worst_lines(scores: Scores, model_name: str) -> str:
    """The series the model errs most on, with the seasonal naive beside it."""
    own = _of_model(scores, model_name)
    by = "mase" if own["mase"].notna().any() else "mae"
    worst = own.sort_values(by, ascending=False, kind="stable").head(WORST_SHOWN)
    reference = _of_model(scores, REFERENCE).loc[worst.index]
    title = METRICS[by].title
    beside = {f"{title} of {REFERENCE}": _metric_columns(reference)[title]}
    return f"{model_name}: the {len(worst)} worst of {scores.n_series} series, by {title}\n" + aligned(
        [printable(str(name), longest=LONGEST_NAME) for name in worst.index], _metric_columns(worst) | beside
    )


def _of_model(scores: Scores, name: str) -> pd.DataFrame:
    table = scores.by_series
    return table[table["model"] == name].set_index("unique_id")


def _verdict(by_model: pd.DataFrame, model_name: str) -> str:
    scaled = bool(by_model["mase"].notna().any())
    title, errors = ("MASE", by_model["mase"].to_dict()) if scaled else ("MAE", by_model["mae"].to_dict())
    own, reference = errors[model_name], errors[REFERENCE]
    if math.isnan(own) or math.isnan(reference):
        return f"{model_name} cannot be compared with the seasonal naive: forecasts are missing."
    verdict = f"{model_name} {_compared(own, reference)} ({title} {own:.4g} against {reference:.4g})."
    stronger = [name for name in BASELINES if name != REFERENCE and errors.get(name, math.inf) < own]
    if stronger:
        verdict += f" It LOSES to {' and '.join(f'{name} ({errors[name]:.4g})' for name in stronger)}."
    if not scaled:
        verdict += " There is no MASE, as the rows before repeat themselves exactly."
    return verdict


def _compared(own: float, reference: float) -> str:
    """How an error compares with the one of the seasonal naive, in words."""
    if reference == 0:
        return "LOSES to the seasonal naive" if own > 0 else "is as good as the seasonal naive"
    gain = 1 - own / reference
    if abs(gain) < DRAW:
        return "is as good as the seasonal naive"
    relation = "is better than" if gain > 0 else "LOSES to"
    return f"{relation} the seasonal naive by {100 * abs(gain):.1f} %"


def _metric_columns(table: pd.DataFrame) -> dict[str, list[str]]:
    """The metrics of each row as text, by the title of the column."""
    return {
        metric.title: _numbers(table[name], decimals=_decimals(table[name]) if metric.of_data else 3)
        for name, metric in METRICS.items()
    }


def _numbers(values: pd.Series[float], *, decimals: int) -> list[str]:
    return ["-" if math.isnan(value) else f"{value:.{decimals}f}" for value in values]


def _decimals(values: pd.Series[float]) -> int:
    """Decimals that show four digits of the smallest value."""
    smallest = values[values > 0].min()
    return 0 if math.isnan(smallest) else min(max(3 - math.floor(math.log10(smallest)), 0), 12)


def aligned(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
    """Lines of a table: names to the left, numbers to the right."""
    width = max(len(name) for name in names)
    widths = [max(len(title), *map(len, texts)) for title, texts in columns.items()]
    rows = [("", columns), *zip(names, zip(*columns.values(), strict=True), strict=True)]
    return "".join(
        "  ".join([name.ljust(width), *(text.rjust(w) for text, w in zip(texts, widths, strict=True))]) + "\n"
        for name, texts in rows
    )
