"""Errors of point forecasts, each with its formula, its unit, and what it does at zero and without a value.

All take arrays whose last axis is the horizon and return one number per window. A step without an actual
value (NaN in ``y``) does not count; a window without any is NaN. A missing forecast (NaN in ``y_hat``) of a
known value makes its window NaN: a model is not forgiven what it did not forecast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsforecast.series.magnitude import binary_unit
from tsforecast.series.panel import Cutoffs, FloatArray, IntArray, Panel

__all__ = ["METRICS", "Metric", "SeasonalScale", "mae", "mase", "rmse", "rmsse", "seasonal_scale", "smape"]

# Seasonal errors below this share of the level are rounding of the floats, as in a generated sine wave.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class SeasonalScale:
    """Size of the changes from season to season before each forecast, in the unit of ``y``.

    Attributes:
        mae: mean absolute seasonal difference, ``(n_cutoffs,)``; NaN where it is zero or cannot be told.
        rmse: root mean square of the same differences, ``(n_cutoffs,)``; NaN alike.
    """

    mae: FloatArray
    rmse: FloatArray


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the score table.

    Attributes:
        of: ``y``, ``y_hat`` and scale to one number per window.
        title: head of the column.
        of_data: in the unit of the data, so of any size.
    """

    of: Callable[[FloatArray, FloatArray, SeasonalScale], FloatArray]
    title: str
    of_data: bool = False


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


def seasonal_scale(panel: Panel, cutoffs: Cutoffs, season_length: int) -> SeasonalScale:
    """Size of the changes from season to season in the rows up to each series' first cutoff.

    All cutoffs of a series share one scale, so that their errors can be averaged. A series without a full
    season and one more row is scaled by its changes from row to row. Pairs with a missing value do not count.
    A series that repeats itself exactly has no scale.

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
    defined = absolute > ROUNDING * level
    return SeasonalScale(
        mae=np.where(defined, absolute, np.nan)[cutoffs.series],
        rmse=np.where(defined, unit * np.sqrt(square), np.nan)[cutoffs.series],
    )


def _mean_where_known(values: FloatArray, y: FloatArray) -> FloatArray:
    """Mean over the last axis of the steps that have an actual value; NaN without any."""
    known = ~np.isnan(y)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _mean_by_series(values: FloatArray, series: IntArray, n_series: int) -> FloatArray:
    """Mean of each series' values, ``(n_series,)``; NaN without any."""
    total = np.bincount(series, weights=values, minlength=n_series)
    return _ratio(total, np.bincount(series, minlength=n_series))


def _ratio(total: npt.NDArray[np.number], count: npt.NDArray[np.integer]) -> FloatArray:
    result: FloatArray = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    return result


METRICS: dict[str, Metric] = {
    "mae": Metric(lambda y, y_hat, _: mae(y, y_hat), title="MAE", of_data=True),
    "rmse": Metric(lambda y, y_hat, _: rmse(y, y_hat), title="RMSE", of_data=True),
    "smape": Metric(lambda y, y_hat, _: smape(y, y_hat), title="sMAPE"),
    "mase": Metric(lambda y, y_hat, scale: mase(y, y_hat, scale.mae), title="MASE"),
    "rmsse": Metric(lambda y, y_hat, scale: rmsse(y, y_hat, scale.rmse), title="RMSSE"),
}
