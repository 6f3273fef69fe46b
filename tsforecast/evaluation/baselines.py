"""Forecasts that need no training. Whoever trains a model has to beat them.

Each looks up rows of the panel at or before the cutoffs and no others. Formulas: Hyndman, Athanasopoulos
(2021), Forecasting: Principles and Practice, 3rd edition, section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsforecast.series.magnitude import binary_unit
from tsforecast.series.naive import naive, seasonal_naive
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

__all__ = ["BASELINES", "Baseline", "drift", "naive", "naive2", "seasonal_naive", "window_average"]

# Of Naive2's test whether a series has a season, as in M4: the normal quantile of 90 % limits, and fewest seasons.
SURE = 1.645
FEWEST_SEASONS = 3

Baseline = Callable[[Panel, Cutoffs, int, int], FloatArray]


def drift(panel: Panel, cutoffs: Cutoffs, horizon: int, _season_length: int) -> FloatArray:
    """The line through the first and the last value, continued; flat where only one value is known.

    Args:
        panel: holds the history of every cutoff.
        cutoffs: where to forecast from.
        horizon: steps to forecast.

    Returns:
        Forecasts, ``(n_cutoffs, horizon)``.
    """
    last_row, first_row = panel.newest_known[cutoffs.rows], panel.offsets[cutoffs.series]
    last, first = panel.y[last_row], panel.y[first_row]
    slope = (last - first) / np.maximum(last_row - first_row, 1)
    ahead = (cutoffs.rows - last_row)[:, None] + np.arange(1, horizon + 1)
    line: FloatArray = last[:, None] + slope[:, None] * ahead
    return line


def window_average(panel: Panel, cutoffs: Cutoffs, horizon: int, season_length: int) -> FloatArray:
    """The mean of the last season, or of as many values as are forecast where there is none, ``(n_cutoffs, horizon)``.

    Masked values do not count; where all are masked it is the newest value before them.
    """
    rows = cutoffs.rows[:, None] - np.arange(season_length if season_length > 1 else horizon)
    inside = rows >= panel.offsets[cutoffs.series, None]
    values = np.where(inside, panel.y[np.maximum(rows, 0)], np.nan)
    count = (~np.isnan(values)).sum(axis=1)
    newest = panel.y[panel.newest_known[cutoffs.rows]]
    mean = np.divide(np.nansum(values, axis=1), count, out=newest, where=count > 0)
    return np.repeat(mean[:, None], horizon, axis=1)


def naive2(panel: Panel, cutoffs: Cutoffs, horizon: int, season_length: int) -> FloatArray:
    """The last value, seasonally adjusted where the series has a season: the benchmark of the M4 competition.

    A history has a season if its autocorrelation at lag ``season_length`` lies outside the 90 % limits of a series
    without one. Then it is divided by the indices of a classical multiplicative decomposition, its last value is
    repeated, and multiplied by the index of each step. Less than three seasons, and indices that are not above 0, as
    of values around 0, leave the naive forecast. Masked values do not count.

    Source: Makridakis, Spiliotis, Assimakopoulos (2020), The M4 Competition, Int. J. Forecasting 36(1), and its
    organisers' ``Benchmarks and Evaluation.R``.

    Args:
        panel: holds the history of every cutoff.
        cutoffs: where to forecast from.
        horizon: steps to forecast.
        season_length: steps in one season.

    Returns:
        Forecasts, ``(n_cutoffs, horizon)``.
    """
    y_hat = naive(panel, cutoffs, horizon, season_length)
    first = panel.offsets[cutoffs.series]
    last = panel.newest_known[cutoffs.rows] - first
    for k, row in enumerate(cutoffs.rows):
        index = _seasonal_indices(panel.y[first[k] : row + 1], season_length)
        if index is not None:
            steps = (row - first[k] + 1 + np.arange(horizon)) % season_length
            y_hat[k] *= index[steps] / index[last[k] % season_length]
    return y_hat


def _seasonal_indices(y: FloatArray, season_length: int) -> FloatArray | None:
    """Factor of each step of the season, from the first step of the series on; None where it has no season."""
    if season_length < 2 or len(y) < FEWEST_SEASONS * season_length or np.isnan(y).all():
        return None
    y = y / binary_unit(np.nanmax(np.abs(y)))  # squares of large values do not overflow
    if not _is_seasonal(y, season_length):
        return None
    ends = [0.5] if season_length % 2 == 0 else []  # so that an even season is centred on a step
    weights = np.concatenate([ends, np.ones(season_length - len(ends)), ends]) / season_length
    trend = np.convolve(y, weights, mode="valid")
    half = season_length // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = y[half : half + len(trend)] / trend
    phase = (half + np.arange(len(ratio))) % season_length
    known = ~np.isnan(ratio)
    count = np.bincount(phase[known], minlength=season_length)
    total = np.bincount(phase[known], weights=ratio[known], minlength=season_length)
    index: FloatArray = total / np.maximum(count, 1)
    # Only their ratios are used, so they need not average to 1.
    return index if np.isfinite(index).all() and (index > 0).all() else None


def _is_seasonal(y: FloatArray, season_length: int) -> bool:
    """Whether the autocorrelation at one season lies outside Bartlett's limits, given those at shorter lags."""
    deviation = np.nan_to_num(y - np.nanmean(y))
    spectrum = np.fft.rfft(deviation, 2 * len(y))
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * len(y))[: season_length + 1]
    if not covariance[0] > 0:
        return False
    correlation = covariance / covariance[0]
    limit = SURE * np.sqrt((1 + 2 * np.square(correlation[1:-1]).sum()) / len(y))
    return bool(abs(correlation[-1]) > limit)


BASELINES: dict[str, Baseline] = {
    "naive": naive,
    "seasonal_naive": seasonal_naive,
    "drift": drift,
    "window_average": window_average,
    "naive2": naive2,
}
