"""How good forecasts are: by model, by series and by lead time, as tables and in words.

Errors are averaged over the cutoffs of a series first and over the series then, so that each series weighs
the same (as in the M4 competition). Metrics that are shares of a total are pooled: their sums are taken over all
cutoffs and series before they are divided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsforecast.config.words import printable
from tsforecast.evaluation.metrics import METRICS, RELATIVE, Judged, Metric, SeasonalScale, seasonal_scale
from tsforecast.series.panel import BoolArray, Cutoffs, FloatArray, IntArray, Panel

__all__ = [
    "INTERVALS",
    "SHOWN",
    "Scores",
    "actuals",
    "aligned",
    "columns_of",
    "legend",
    "metrics_json",
    "model_lines",
    "numbers_of",
    "rolling_cutoffs",
    "score",
    "scores_text",
]

REFERENCE = "seasonal_naive"
# Columns of the table for people; the others are in the files.
SHOWN = ("mae", "rmse", "smape", "mase", "rmsse", "skill")
# Columns beside them, where some model has quantiles.
INTERVALS = ("wql", "coverage")
LEGEND_WIDTH = 110
WORST_SHOWN = 10
# Skills closer to zero than this are a draw: they would be printed as 0.0 %.
DRAW = 0.0005
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of several models from the same cutoffs.

    Attributes:
        by_model: one row per model, indexed by its name, with a column for each of ``METRICS`` that could be
            computed and each of ``RELATIVE``; these are NaN without their reference among the models.
        by_series: columns ``unique_id``, ``model`` and the metrics.
        by_lead_time: columns ``model``, ``lead_time`` and the metrics that say something about single steps.
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
    panel: Panel,
    cutoffs: Cutoffs,
    forecasts: Mapping[str, FloatArray],
    *,
    season_length: int,
    quantiles: Mapping[str, FloatArray] | None = None,
    levels: Sequence[float] = (),
) -> Scores:
    """Scores of all models against what came after the cutoffs.

    What no model has a score for, such as the MASE of a series that never changes, does not count. A model
    without a score where another has one is left without a score; a forecast that is not finite is missing.

    Args:
        panel: all rows, those after the cutoffs included.
        cutoffs: where the forecasts start.
        forecasts: of each model by its name, ``(n_cutoffs, horizon)``; the order is that of the tables.
        season_length: steps in the season that scales MASE and RMSSE.
        quantiles: forecasts of the levels by the models that make them, ``(n_cutoffs, horizon, levels)``; the others
            have no score where it needs them.
        levels: of the quantiles, in any order.
    """
    y_hat = _finite(np.stack(list(forecasts.values())))  # (models, cutoffs, horizon)
    horizon = y_hat.shape[-1]
    order = np.argsort(levels)
    judged = Judged(
        y=actuals(panel, cutoffs, horizon),
        y_hat=y_hat,
        scale=seasonal_scale(panel, cutoffs, season_length),
        levels=np.asarray(levels, dtype=np.float64)[order],
        quantiles=_stacked(quantiles or {}, forecasts, y_hat.shape, len(levels))[..., order],
    )
    metrics = {
        name: metric for name, metric in METRICS.items() if not metric.needs or metric.needs in judged.has
    }
    of_series = {name: _by_series(metric, judged, cutoffs.series) for name, metric in metrics.items()}
    of_model = {name: _over_all(metric, judged, of_series[name]) for name, metric in metrics.items()}
    steps = _steps(judged)
    of_step = {
        name: _over_all(metric, steps, _by_series(metric, steps, cutoffs.series))
        for name, metric in metrics.items()
        if metric.of_steps
    }
    models, scored = list(forecasts), np.unique(cutoffs.series)
    return Scores(
        by_model=_model_table(models, of_model, of_series),
        by_series=_series_table(models, [panel.unique_ids[s] for s in scored], of_series),
        by_lead_time=_lead_time_table(models, horizon, of_step),
        n_series=len(scored),
        n_cutoffs=int(np.isfinite(judged.y).any(axis=1).sum()),
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
    names = columns_of(scores)
    parts = [
        _heading(scores),
        model_lines(scores, names),
        legend(names, season_length=scores.season_length),
    ]
    if scores.n_series > 1:
        parts.append(_worst_lines(scores, model_name))
    return "\n".join([*parts, verdict(scores.by_model, model_name)]) + "\n"


def columns_of(scores: Scores) -> tuple[str, ...]:
    """Columns of the table for people, those of intervals where there are any."""
    there = scores.by_model.columns
    return (*SHOWN, *(name for name in INTERVALS if name in there and scores.by_model[name].notna().any()))


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, np.nan)


def _stacked(
    quantiles: Mapping[str, FloatArray], models: Mapping[str, object], shape: tuple[int, ...], n_levels: int
) -> FloatArray:
    """Quantiles of all models, NaN of those that make none, ``(models, cutoffs, horizon, levels)``."""
    none = np.full((*shape[1:], n_levels), np.nan)
    return _finite(np.stack([quantiles.get(name, none) for name in models]))


def _steps(judged: Judged) -> Judged:
    """Each single step as a window of its own, ``(..., cutoffs, horizon, 1)``."""
    return Judged(
        y=judged.y[..., None],
        y_hat=judged.y_hat[..., None],
        scale=SeasonalScale(mae=judged.scale.mae[:, None], rmse=judged.scale.rmse[:, None]),
        levels=judged.levels,
        quantiles=judged.quantiles[..., None, :],
    )


def _by_series(metric: Metric, judged: Judged, series: IntArray) -> FloatArray:
    """The metric of each series, over its cutoffs, ``(models, series)`` or ``(models, series, horizon)``."""
    values = metric.of(judged)
    if metric.over is None:
        return _mean_by(series, values)
    return _pooled_by(series, values, metric.over(judged))


def _over_all(metric: Metric, judged: Judged, of_series: FloatArray) -> FloatArray:
    """The metric over all series, ``(models,)`` or ``(models, horizon)``."""
    if metric.over is None:
        return _mean_over_series(of_series)
    together = np.zeros(len(judged.y), np.int64)
    return _pooled_by(together, metric.of(judged), metric.over(judged))[:, 0]


def _mean_by(group: IntArray, values: FloatArray) -> FloatArray:
    """Means over the second axis of what lies in one group, in the order of the groups.

    Args:
        group: of each place of the second axis.
        values: one number or row per model and place, ``(models, places, ...)``.
    """
    counted = _counted(values)
    total = _sum_by(group, np.where(counted, values, 0.0), axis=1)
    return _ratio(total, _sum_by(group, counted.astype(np.int64), axis=0))


def _pooled_by(group: IntArray, parts: FloatArray, totals: FloatArray) -> FloatArray:
    """As :func:`_mean_by`, the sum of the parts divided by the sum of their totals, ``(places, ...)``."""
    counted = _counted(parts)
    part = _sum_by(group, np.where(counted, parts, 0.0), axis=1)
    return _ratio(part, _sum_by(group, np.where(counted, totals, 0.0), axis=0))


def _counted(values: FloatArray) -> BoolArray:
    """Places that any model has a number for, ``(places, ...)``."""
    counted: BoolArray = np.logical_not(np.isnan(values).all(axis=0))
    return counted


def _sum_by(group: IntArray, values: npt.NDArray[Any], *, axis: int) -> npt.NDArray[Any]:
    """Sums along an axis of what lies in one group, in the order of the groups."""
    order = np.argsort(group, kind="stable")
    first = np.unique(group[order], return_index=True)[1]
    total: npt.NDArray[Any] = np.add.reduceat(values.take(order, axis=axis), first, axis=axis)
    return total


def _ratio(total: npt.NDArray[Any], count: npt.NDArray[Any]) -> FloatArray:
    result: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return result


def _mean_over_series(values: FloatArray) -> FloatArray:
    """Means over the second axis, ``(models, ...)``."""
    return _mean_by(np.zeros(values.shape[1], np.int64), values)[:, 0]


def _model_table(
    models: Sequence[str], of_model: Mapping[str, FloatArray], of_series: Mapping[str, FloatArray]
) -> pd.DataFrame:
    relative = {
        name: one.of(*(_ratios(models, of_series[metric], one.against) for metric in one.ratios))
        for name, one in RELATIVE.items()
    }
    return pd.DataFrame({**of_model, **relative}, index=pd.Index(models, name="model"))


def _ratios(models: Sequence[str], errors: FloatArray, against: str) -> FloatArray:
    """Mean error divided by the reference's, over the series where both have one, ``(models,)``."""
    if against not in models:
        return np.full(len(models), np.nan)
    reference = errors[models.index(against)]
    both = ~np.isnan(errors) & ~np.isnan(reference)  # (models, series)
    own = np.where(both, errors, 0.0).sum(axis=1)
    return _ratio(own, np.where(both, reference, 0.0).sum(axis=1))


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


def model_lines(scores: Scores, names: Sequence[str] = SHOWN) -> str:
    """The table of the models, a line each.

    Args:
        scores: of the models.
        names: columns of ``by_model``.
    """
    table = scores.by_model
    return aligned([str(name) for name in table.index], numbers_of(table, names))


def legend(names: Sequence[str], *, season_length: int) -> str:
    """What the columns of a table mean, in lines: titles and units, and over what they are averaged.

    Args:
        names: columns of the table, keys of ``METRICS`` or ``RELATIVE``.
        season_length: steps in the season of the scaled errors.
    """
    titles: dict[str, list[str]] = {}
    for name in names:
        column = METRICS.get(name) or RELATIVE[name]
        titles.setdefault(column.unit, []).append(column.title)
    season = _count(season_length, "step")
    sentences = [f"{', '.join(of)}: {unit.format(season=season)}." for unit, of in titles.items()]
    pooled = [METRICS[name].title for name in names if name in METRICS and METRICS[name].over]
    sentences.append(
        f"{', '.join(pooled)}: over all values together. All others are means over the series."
        if pooled
        else "All are means over the series."
    )
    return _filled(sentences)


def _filled(sentences: Sequence[str]) -> str:
    """Sentences in lines that are not too long; none is broken."""
    lines = [sentences[0]]
    for sentence in sentences[1:]:
        if len(lines[-1]) + 1 + len(sentence) <= LEGEND_WIDTH:
            lines[-1] += f" {sentence}"
        else:
            lines.append(sentence)
    return "".join(f"{line}\n" for line in lines)


def _worst_lines(scores: Scores, model_name: str) -> str:
    """The series the model errs most on, with the seasonal naive beside it."""
    own = _of_model(scores, model_name)
    by = "mase" if own["mase"].notna().any() else "mae"
    worst = own.sort_values(by, ascending=False, kind="stable").head(WORST_SHOWN)
    reference = _of_model(scores, REFERENCE).loc[worst.index]
    title = METRICS[by].title
    shown = [name for name in SHOWN if name in METRICS]
    beside = {f"{title} of {REFERENCE}": numbers_of(reference, [by])[title]}
    return f"{model_name}: the {len(worst)} worst of {scores.n_series} series, by {title}\n" + aligned(
        [printable(str(name), longest=LONGEST_NAME) for name in worst.index],
        numbers_of(worst, shown) | beside,
    )


def _of_model(scores: Scores, name: str) -> pd.DataFrame:
    table = scores.by_series
    return table[table["model"] == name].set_index("unique_id")


def verdict(by_model: pd.DataFrame, model_name: str) -> str:
    scaled = bool(by_model["mase"].notna().any())
    title, errors = ("MASE", by_model["mase"].to_dict()) if scaled else ("MAE", by_model["mae"].to_dict())
    own, reference = errors[model_name], errors[REFERENCE]
    if math.isnan(own) or math.isnan(reference):
        return f"{model_name} cannot be compared with the seasonal naive: forecasts are missing."
    verdict = f"{model_name} {_compared(own, reference)} ({title} {own:.4g} against {reference:.4g})."
    stronger = [name for name in errors if name not in (model_name, REFERENCE) and errors[name] < own]
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


def numbers_of(table: pd.DataFrame, names: Sequence[str]) -> dict[str, list[str]]:
    """The numbers of each row as text, by the title of the column."""
    columns = {}
    for name in names:
        of_data = name in METRICS and METRICS[name].of_data
        column = METRICS.get(name) or RELATIVE[name]
        columns[column.title] = _numbers(table[name], decimals=_decimals(table[name]) if of_data else 3)
    return columns


def _numbers(values: pd.Series[float], *, decimals: int) -> list[str]:
    return ["-" if math.isnan(value) else f"{value:.{decimals}f}" for value in values]


def _decimals(values: pd.Series[float]) -> int:
    """Decimals that show four digits of the smallest value."""
    smallest = values[values != 0].abs().min()
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
