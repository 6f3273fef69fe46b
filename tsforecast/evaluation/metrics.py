"""Errors of forecasts, each with its formula, its unit, and what it does at zero and without a value.

All take arrays whose last axis is the horizon and return one number per window. A step without an actual
value (NaN in ``y``) does not count; a window without any is NaN. A missing forecast (NaN in ``y_hat``) of a
known value makes its window NaN: a model is not forgiven what it did not forecast.

Over the windows of a series and over the series errors are averaged, each series weighing the same, as in the M4
competition. Shares of a total (WAPE, WQL, bias as a share) are not: their sums are pooled over all windows, and then
divided. ``METRICS`` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from tsforecast.series.magnitude import SMALLEST, binary_unit
from tsforecast.series.panel import Cutoffs, FloatArray, IntArray, Panel

__all__ = [
    "METRICS",
    "RELATIVE",
    "Interval",
    "Judged",
    "Metric",
    "Relative",
    "SeasonalScale",
    "bias",
    "central_intervals",
    "coverage",
    "crps_of_paths",
    "crps_of_quantiles",
    "interval_score",
    "interval_width",
    "mae",
    "mase",
    "nominal_coverage",
    "owa",
    "pinball",
    "relative_bias",
    "rmse",
    "rmsse",
    "seasonal_scale",
    "skill",
    "smape",
    "wape",
    "wql",
]

# Seasonal errors below this share of the level are rounding of the floats, as in a generated sine wave.
ROUNDING = 1e-9
# Levels such as 0.1 and 1 - 0.9 are the same.
SAME_LEVEL = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class SeasonalScale:
    """Size of the changes from season to season before each forecast, in the unit of ``y``.

    Attributes:
        mae: mean absolute seasonal difference, ``(n_cutoffs,)``; NaN where it is zero or cannot be told.
        rmse: root mean square of the same differences, ``(n_cutoffs,)``; NaN alike.
    """

    mae: FloatArray
    rmse: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """A central interval: as much lies below it as above.

    Attributes:
        lower: its lower end, ``(..., horizon)``.
        upper: its upper end, same shape.
        nominal: share of the values that should lie inside.
    """

    lower: FloatArray
    upper: FloatArray
    nominal: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Forecasts of some windows beside what came.

    Attributes:
        y: actual values, ``(..., horizon)``; NaN where there is none.
        y_hat: point forecasts of the same shape, or with the models as a first axis.
        scale: of each window, ``(...)``.
        levels: quantile levels in rising order, ``(levels,)``.
        quantiles: forecasts of them, ``(*y_hat.shape, levels)``.
    """

    y: FloatArray
    y_hat: FloatArray
    scale: SeasonalScale
    levels: FloatArray = field(default_factory=lambda: np.empty(0))
    quantiles: FloatArray = field(default_factory=lambda: np.empty(0))

    @property
    def has(self) -> frozenset[str]:
        """What of a metric's ``needs`` is there."""
        found = {"quantiles": len(self.levels) > 0, "interval": len(central_intervals(self.levels)) > 0}
        return frozenset(name for name, is_there in found.items() if is_there)

    @property
    def interval(self) -> Interval:
        """The widest of the central intervals."""
        low, high = central_intervals(self.levels)[0]
        return Interval(
            lower=self.quantiles[..., low],
            upper=self.quantiles[..., high],
            nominal=float(self.levels[high] - self.levels[low]),
        )


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as tables, legends and files show it.

    Attributes:
        of: one number per window; what is summed, where ``over`` is given.
        title: head of the column.
        unit: of the result, as the legend says it; ``{season}`` stands for the length of a season.
        over: what the sum of ``of`` over all windows is divided by; None takes means, each series weighing the same.
        needs: beside actual values and point forecasts: ``quantiles``, or two of them, an ``interval``.
        best: where a good forecast lies: ``low``, at ``zero``, or at the ``nominal`` share of its interval.
        of_data: in the unit of the data, so of any size.
        of_steps: says something about a single step as well. RMSE does not: of one error it is the MAE.
    """

    of: Callable[[Judged], FloatArray]
    title: str
    unit: str
    over: Callable[[Judged], FloatArray] | None = None
    needs: str = ""
    best: Literal["low", "zero", "nominal"] = "low"
    of_data: bool = False
    of_steps: bool = True


@dataclass(frozen=True, slots=True)
class Relative:
    """A number that compares a model with a reference, both already averaged.

    Attributes:
        of: the number, from the ratios of the model's metrics to the reference's.
        ratios: of which metrics, keys of ``METRICS``.
        against: name of the reference.
        title: head of the column.
        unit: as the legend says it.
        best: ``low`` or ``high``.
    """

    of: Callable[..., FloatArray]
    ratios: tuple[str, ...]
    against: str
    title: str
    unit: str
    best: Literal["low", "high"]


def mae(y: FloatArray, y_hat: FloatArray) -> FloatArray:
    """Mean absolute error, ``mean |y - y_hat|``, in the unit of ``y``.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.
    """
    return _mean_where_known(np.abs(y - y_hat), y)


def rmse(y: FloatArray, y_hat: FloatArray) -> FloatArray:
    """Root mean square error of each window, ``sqrt(mean (y - y_hat)²)``, in the unit of ``y``.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.
    """
    error = y - y_hat
    # Squares in a unit of their own size: those of 1e300 would overflow, those of 1e-300 vanish.
    unit = binary_unit(np.nan_to_num(np.abs(error)).max(axis=-1, initial=0.0))
    return unit * np.sqrt(_mean_where_known(np.square(error / unit[..., None]), y))


def smape(y: FloatArray, y_hat: FloatArray) -> FloatArray:
    """Symmetric mean absolute percentage error, ``mean 200 |y - y_hat| / (|y| + |y_hat|)``, in per cent.

    From 0 to 200, as in the M4 competition; a step with ``y`` and ``y_hat`` both zero is right and counts 0.
    Small values of ``y`` weigh heavily, and the sign of a forecast of zero does not matter.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.

    Source: Makridakis, Spiliotis, Assimakopoulos (2020), The M4 Competition, Int. J. Forecasting 36(1).
    """
    size = np.abs(y) + np.abs(y_hat)
    ratio = np.divide(np.abs(y - y_hat), size, out=np.zeros_like(size), where=size != 0)
    return 200 * _mean_where_known(ratio, y)


def mase(y: FloatArray, y_hat: FloatArray, scale: FloatArray) -> FloatArray:
    """Mean absolute scaled error, ``mean |y - y_hat| / scale``, in usual changes over one season.

    Without a unit, so that series of any size can be averaged. NaN where the scale is.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.
        scale: ``SeasonalScale.mae`` of each window, ``(...)``.

    Source: Hyndman, Koehler (2006), Another look at measures of forecast accuracy, Int. J. Forecasting 22(4).
    """
    return mae(y, y_hat) / scale


def rmsse(y: FloatArray, y_hat: FloatArray, scale: FloatArray) -> FloatArray:
    """Root mean squared scaled error, ``sqrt(mean (y - y_hat)²) / scale``, in usual changes over one season.

    Without a unit, so that series of any size can be averaged. NaN where the scale is.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.
        scale: ``SeasonalScale.rmse`` of each window, ``(...)``.

    Source: Hyndman, Koehler (2006); with ``season_length`` 1 the measure of the M5 competition
    (Makridakis, Spiliotis, Assimakopoulos 2022, Int. J. Forecasting 38(4)).
    """
    return rmse(y, y_hat) / scale


def wape(y: FloatArray, y_hat: FloatArray) -> FloatArray:
    """Weighted absolute percentage error, ``sum |y - y_hat| / sum |y|``, a share: 0.1 is 10 per cent.

    Also called ND. Single zeros do no harm; NaN where all actual values are 0. Large values and series weigh more.
    Over several windows both sums are taken over all of them before they are divided.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.

    Source: Kolassa, Schuetz (2007), Advantages of the MAD/mean ratio over the MAPE, Foresight 6.
    """
    return _ratio(_sum_where_known(np.abs(y - y_hat), y), _sum_where_known(np.abs(y), y))


def bias(y: FloatArray, y_hat: FloatArray) -> FloatArray:
    """Mean error, ``mean (y_hat - y)``, in the unit of ``y``: above 0 where forecasts are too high.

    Errors of both signs cancel, so 0 does not mean that forecasts are right.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.

    Source: Hyndman, Athanasopoulos (2021), Forecasting: Principles and Practice, section 5.8, which has the sign of
    ``y - y_hat``; here it is the forecast's, as in utilsforecast.
    """
    return _mean_where_known(y_hat - y, y)


def relative_bias(y: FloatArray, y_hat: FloatArray) -> FloatArray:
    """Bias as a share of the total, ``sum (y_hat - y) / sum |y|``: 0.1 is 10 per cent too high.

    NaN where all actual values are 0. Over several windows both sums are taken over all of them.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        y_hat: forecasts of the same shape.

    Source: WAPE's, with the signs kept.
    """
    return _ratio(_sum_where_known(y_hat - y, y), _sum_where_known(np.abs(y), y))


def pinball(y: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    """Pinball loss of one quantile, ``mean max(level (y - q), (level - 1) (y - q))``, in the unit of ``y``.

    Lowest in expectation for the true quantile; at level 0.5 half the MAE.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        quantile: forecasts of the same shape.
        level: of the quantile, between 0 and 1.

    Source: Koenker, Bassett (1978), Regression quantiles, Econometrica 46(1).
    """
    return _mean_where_known(_pinball_of_steps(y, quantile, level), y)


def crps_of_quantiles(y: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Continuous ranked probability score from quantiles, twice their mean pinball loss, in the unit of ``y``.

    The integral of the pinball loss over all levels, taken at those that are given: levels that spread evenly over
    0 to 1 come near the CRPS, a few rank models alike but are not its size. Of point forecasts it is the MAE.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        quantiles: ``(..., horizon, levels)``.
        levels: ``(levels,)``.

    Source: Gneiting, Ranjan (2011), Comparing density forecasts, J. Business & Economic Statistics 29(3).
    """
    return _mean_where_known(2 * _mean_pinball(y, quantiles, levels), y)


def crps_of_paths(y: FloatArray, paths: FloatArray) -> FloatArray:
    """Continuous ranked probability score of samples, ``mean |x - y| - mean |x - x'| / 2``, in the unit of ``y``.

    Both means over all samples of a step, each pair of them in the second, a sample with itself included: the score
    of the distribution that has just these values. Of a single path it is the MAE.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        paths: ``(..., horizon, paths)``.

    Source: Gneiting, Raftery (2007), Strictly proper scoring rules, J. American Statistical Association 102.
    """
    n = paths.shape[-1]
    near = np.abs(paths - y[..., None]).mean(axis=-1)
    # Sorted, the sum of |x_i - x_j| over all pairs takes one pass: x_i is added i times and subtracted n - 1 - i times.
    weights = (2 * np.arange(n) - n + 1) / n**2
    return _mean_where_known(near - np.sort(paths, axis=-1) @ weights, y)


def wql(y: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Weighted quantile loss, ``sum of 2 pinball / sum |y|``, mean over the levels, a share of the total.

    With the median alone it is WAPE. NaN where all actual values are 0. Over several windows both sums are taken over
    all of them before they are divided.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        quantiles: ``(..., horizon, levels)``.
        levels: ``(levels,)``.

    Source: Salinas, Flunkert, Gasthaus, Januschowski (2020), DeepAR, Int. J. Forecasting 36(3); GluonTS calls it
    ``mean_wQuantileLoss``.
    """
    loss = _sum_where_known(2 * _mean_pinball(y, quantiles, levels), y)
    return _ratio(loss, _sum_where_known(np.abs(y), y))


def coverage(y: FloatArray, interval: Interval) -> FloatArray:
    """Share of the actual values inside an interval, its ends included; to be compared with its nominal share.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        interval: of the same shape.

    Source: Christoffersen (1998), Evaluating interval forecasts, International Economic Review 39(4).
    """
    missing = np.isnan(interval.lower) | np.isnan(interval.upper)
    inside = (y >= interval.lower) & (y <= interval.upper)
    return _mean_where_known(np.where(missing, np.nan, inside), y)


def interval_width(y: FloatArray, interval: Interval) -> FloatArray:
    """Mean width of an interval, ``mean (upper - lower)``, in the unit of ``y``; narrow is good if it covers enough.

    Args:
        y: actual values, ``(..., horizon)``; steps where it is NaN do not count, as for coverage.
        interval: of the same shape.
    """
    return _mean_where_known(interval.upper - interval.lower, y)


def interval_score(y: FloatArray, interval: Interval) -> FloatArray:
    """Winkler score: the width, and ``2 / (1 - nominal)`` times how far a value lies outside, in the unit of ``y``.

    Lowest in expectation for the true interval, so that neither width nor coverage can be bought with the other.

    Args:
        y: actual values, ``(..., horizon)``; NaN does not count.
        interval: of the same shape.

    Source: Winkler (1972), J. American Statistical Association 67; Gneiting, Raftery (2007), section 6.2.
    """
    outside = np.maximum(interval.lower - y, 0) + np.maximum(y - interval.upper, 0)
    penalty = 2 / (1 - interval.nominal)
    return _mean_where_known(interval.upper - interval.lower + penalty * outside, y)


def skill(ratio: FloatArray) -> FloatArray:
    """Share of the reference's error that a model avoids, ``1 - error / reference's error``: 0 as good, 1 perfect.

    Below 0 the model is worse. NaN where the reference makes no error.

    Args:
        ratio: of the model's error to the reference's.
    """
    return 1 - ratio


def owa(smape_ratio: FloatArray, mase_ratio: FloatArray) -> FloatArray:
    """Overall weighted average of the M4 competition: mean of the ratios of sMAPE and MASE to the reference's.

    1 is as good as the reference, Naive2 in M4; lower is better. The ratios are of means over all series. NaN where
    the reference makes no error.

    Args:
        smape_ratio: sMAPE divided by the reference's.
        mase_ratio: MASE divided by the reference's.

    Source: Makridakis, Spiliotis, Assimakopoulos (2020), The M4 Competition, Int. J. Forecasting 36(1).
    """
    return (smape_ratio + mase_ratio) / 2


def central_intervals(levels: FloatArray) -> list[tuple[int, int]]:
    """Places of the levels that make central intervals, such as 0.1 and 0.9, the widest first.

    Args:
        levels: quantile levels in rising order, ``(levels,)``.
    """
    upper = [np.flatnonzero(np.abs(levels - (1 - level)) < SAME_LEVEL) for level in levels]
    return [(low, int(found[0])) for low, found in enumerate(upper) if len(found) and found[0] > low]


def nominal_coverage(levels: Sequence[float]) -> float | None:
    """Share of the values that the widest central interval of the levels should hold; None where there is none."""
    rising = np.sort(np.asarray(levels, dtype=np.float64))
    intervals = central_intervals(rising)
    return float(rising[intervals[0][1]] - rising[intervals[0][0]]) if intervals else None


def seasonal_scale(panel: Panel, cutoffs: Cutoffs, season_length: int) -> SeasonalScale:
    """Size of the changes from season to season in the rows up to each series' first cutoff.

    All cutoffs of a series share one scale, so that their errors can be averaged. A series without a full
    season and one more row is scaled by its changes from row to row. Pairs with a missing value do not count.
    A series that repeats itself exactly, or changes by less than 1e-305, has no scale.

    Args:
        panel: holds the history of every cutoff.
        cutoffs: where forecasts start, in any order.
        season_length: steps in one season.

    Returns:
        Scales, ``(n_cutoffs,)``.
    """
    end = panel.offsets[:-1].copy()  # of the rows read; a series without a cutoff is not read
    end[cutoffs.series] = panel.offsets[1:][cutoffs.series]
    np.minimum.at(end, cutoffs.series, cutoffs.rows + 1)
    lag = np.where(end - panel.offsets[:-1] > season_length, season_length, 1)

    series = np.repeat(np.arange(panel.n_series), panel.lengths)
    rows = np.arange(len(panel.y))
    paired = (rows >= (panel.offsets[:-1] + lag)[series]) & (rows < end[series])
    series, rows = series[paired], rows[paired]
    change = np.abs(panel.y[rows] - panel.y[rows - lag[series]])
    both = ~np.isnan(change)
    series, rows, change = series[both], rows[both], change[both]

    level = _mean_by_series(np.abs(panel.y[rows]), series, panel.n_series)
    absolute = _mean_by_series(change, series, panel.n_series)
    largest = np.zeros(panel.n_series)
    np.maximum.at(largest, series, change)
    unit = binary_unit(largest)
    square = _mean_by_series(np.square(change / unit[series]), series, panel.n_series)
    defined = absolute > np.maximum(ROUNDING * level, SMALLEST)
    return SeasonalScale(
        mae=np.where(defined, absolute, np.nan)[cutoffs.series],
        rmse=np.where(defined, unit * np.sqrt(square), np.nan)[cutoffs.series],
    )


def _pinball_of_steps(y: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    error = y - quantile
    loss: FloatArray = np.maximum(level * error, (level - 1) * error)
    return loss


def _mean_pinball(y: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Pinball loss of each step, mean over the levels, ``(..., horizon)``."""
    losses = [_pinball_of_steps(y, quantiles[..., k], level) for k, level in enumerate(levels)]
    mean: FloatArray = np.mean(losses, axis=0)
    return mean


def _sum_where_known(values: FloatArray, y: FloatArray) -> FloatArray:
    """Sum over the last axis of the steps that have an actual value; NaN without any."""
    known = ~np.isnan(y)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(known.any(axis=-1), total, np.nan)


def _size(judged: Judged) -> FloatArray:
    return _sum_where_known(np.abs(judged.y), judged.y)


def _mean_where_known(values: FloatArray, y: FloatArray) -> FloatArray:
    """Mean over the last axis of the steps that have an actual value; NaN without any."""
    known = ~np.isnan(y)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _mean_by_series(values: FloatArray, series: IntArray, n_series: int) -> FloatArray:
    """Mean of each series' values, ``(n_series,)``; NaN without any."""
    total = np.bincount(series, weights=values, minlength=n_series)
    return _ratio(total, np.bincount(series, minlength=n_series))


def _ratio(total: npt.NDArray[np.number], count: npt.NDArray[np.number]) -> FloatArray:
    result: FloatArray = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return result


OF_DATA = "in the unit of the data"
SEASONAL_CHANGES = "1 is the usual change over one season ({season}) in the rows before"

METRICS: dict[str, Metric] = {
    "mae": Metric(lambda w: mae(w.y, w.y_hat), title="MAE", unit=OF_DATA, of_data=True),
    "rmse": Metric(lambda w: rmse(w.y, w.y_hat), title="RMSE", unit=OF_DATA, of_data=True, of_steps=False),
    "smape": Metric(lambda w: smape(w.y, w.y_hat), title="sMAPE", unit="per cent, 0 to 200"),
    "mase": Metric(lambda w: mase(w.y, w.y_hat, w.scale.mae), title="MASE", unit=SEASONAL_CHANGES),
    "rmsse": Metric(
        lambda w: rmsse(w.y, w.y_hat, w.scale.rmse), title="RMSSE", unit=SEASONAL_CHANGES, of_steps=False
    ),
    "wape": Metric(
        lambda w: _sum_where_known(np.abs(w.y - w.y_hat), w.y),
        over=_size,
        title="WAPE",
        unit="sum of absolute errors as a share of the sum of absolute values",
    ),
    "bias": Metric(
        lambda w: bias(w.y, w.y_hat),
        title="bias",
        unit="mean error in the unit of the data, above 0 where forecasts are too high",
        best="zero",
        of_data=True,
    ),
    "relative_bias": Metric(
        lambda w: _sum_where_known(w.y_hat - w.y, w.y),
        over=_size,
        title="bias share",
        unit="sum of errors as a share of the sum of absolute values",
        best="zero",
    ),
    "pinball": Metric(
        lambda w: _mean_where_known(_mean_pinball(w.y, w.quantiles, w.levels), w.y),
        title="pinball",
        unit="mean over the quantile levels, in the unit of the data",
        needs="quantiles",
        of_data=True,
    ),
    "crps": Metric(
        lambda w: crps_of_quantiles(w.y, w.quantiles, w.levels),
        title="CRPS",
        unit="from the quantile levels, in the unit of the data",
        needs="quantiles",
        of_data=True,
    ),
    "wql": Metric(
        lambda w: _sum_where_known(2 * _mean_pinball(w.y, w.quantiles, w.levels), w.y),
        over=_size,
        title="WQL",
        unit="quantile losses as a share of the sum of absolute values",
        needs="quantiles",
    ),
    "coverage": Metric(
        lambda w: coverage(w.y, w.interval),
        title="coverage",
        unit="share of actual values inside the widest interval",
        needs="interval",
        best="nominal",
    ),
    "interval_width": Metric(
        lambda w: interval_width(w.y, w.interval),
        title="width",
        unit="of the widest interval, in the unit of the data",
        needs="interval",
        of_data=True,
    ),
    "interval_score": Metric(
        lambda w: interval_score(w.y, w.interval),
        title="interval score",
        unit="width and penalty for values outside, in the unit of the data",
        needs="interval",
        of_data=True,
    ),
}

RELATIVE: dict[str, Relative] = {
    "owa": Relative(
        owa,
        ("smape", "mase"),
        against="naive2",
        title="OWA",
        unit="mean of sMAPE and MASE, each divided by that of naive2",
        best="low",
    ),
    "skill": Relative(
        skill,
        ("mase",),
        against="seasonal_naive",
        title="skill",
        unit="1 - MASE / MASE of the seasonal naive",
        best="high",
    ),
}
