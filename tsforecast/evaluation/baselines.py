"""Forecasts that need no training. Whoever trains a model has to beat them.

Each looks up rows of the panel at or before the cutoffs and no others. Formulas: Hyndman, Athanasopoulos
(2021), Forecasting: Principles and Practice, 3rd edition, section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsforecast.series.panel import Cutoffs, FloatArray, IntArray, Panel

__all__ = ["BASELINES", "Baseline", "drift", "naive", "seasonal_naive"]

Baseline = Callable[[Panel, Cutoffs, int, int], FloatArray]


def naive(panel: Panel, cutoffs: Cutoffs, horizon: int, _season_length: int) -> FloatArray:
    """The last value, repeated, ``(n_cutoffs, horizon)``."""
    last = panel.y[panel.newest_known[cutoffs.rows]]
    return np.repeat(last[:, None], horizon, axis=1)


def seasonal_naive(panel: Panel, cutoffs: Cutoffs, horizon: int, season_length: int) -> FloatArray:
    """The last season, repeated; the last value where less than a season is known.

    A masked value is looked up another season earlier, and is the last value where there is none.

    Args:
        panel: holds the history of every cutoff.
        cutoffs: where to forecast from.
        horizon: steps to forecast.
        season_length: steps in one season.

    Returns:
        Forecasts, ``(n_cutoffs, horizon)``.
    """
    period = np.where(panel.rows_known(cutoffs) >= season_length, season_length, 1)[:, None]
    rows: IntArray = cutoffs.rows[:, None] + 1 - period + np.arange(horizon) % period
    y_hat = panel.y[rows]
    first = panel.offsets[cutoffs.series, None]
    while (masked := np.isnan(y_hat) & (rows - period >= first)).any():
        rows = np.where(masked, rows - period, rows)
        y_hat = panel.y[rows]
    filled: FloatArray = np.where(np.isnan(y_hat), naive(panel, cutoffs, horizon, 1), y_hat)
    return filled


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


BASELINES: dict[str, Baseline] = {"naive": naive, "seasonal_naive": seasonal_naive, "drift": drift}
