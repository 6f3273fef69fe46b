"""The forecasts that need nothing but the series: its last value, or its last season, repeated."""

from __future__ import annotations

import numpy as np

from tsforecast.series.panel import Cutoffs, FloatArray, IntArray, Panel

__all__ = ["naive", "seasonal_naive"]


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
