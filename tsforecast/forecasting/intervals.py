"""Intervals from errors that were really made: how far held-back forecasts were off, by lead time.

The errors are pooled over the series after scaling. The interval is symmetric about the forecast, which therefore
stays its median. The method is split conformal prediction (Vovk et al. 2005; Lei et al. 2018) at each lead time;
time windows are not exchangeable, so its coverage is measured, not promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tsforecast.series.panel import FloatArray

__all__ = ["COVERAGES", "Spread", "fit_spread"]

# Interval coverages whose half-widths are stored; others lie between.
COVERAGES: FloatArray = np.concatenate([np.arange(0.0, 1.0, 0.01), [0.99, 0.995, 1.0]]).round(3)
COVERAGES = np.unique(COVERAGES)
# Errors of neighbouring lead times are pooled until there are this many.
ENOUGH_ERRORS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Half-widths of intervals in units of the window's scale.

    Attributes:
        half_widths: by lead time and coverage, never falling along either, ``(horizon, len(COVERAGES))``.
        n_windows: held-back windows they come from.
    """

    half_widths: FloatArray
    n_windows: int

    def offsets(self, horizon: int, quantile_levels: Sequence[float]) -> FloatArray:
        """What to add to a forecast for each lead time and level, in scaled units, ``(horizon, levels)``.

        Lead times beyond those that were measured widen with the square root of the lead time, as the errors of a
        random walk do.
        """
        known = len(self.half_widths)
        lead_times = np.arange(1, horizon + 1)
        widths = self.half_widths[np.minimum(lead_times, known) - 1]
        widths = widths * np.sqrt(np.maximum(lead_times / known, 1.0))[:, None]
        levels = np.asarray(quantile_levels, dtype=np.float64)
        coverage = np.abs(2 * levels - 1)
        columns = [np.interp(coverage, COVERAGES, row) for row in widths]
        offsets: FloatArray = np.sign(levels - 0.5) * np.array(columns).reshape(horizon, len(levels))
        return offsets


def fit_spread(errors: FloatArray) -> Spread:
    """The spread of held-back errors.

    Args:
        errors: scaled errors of held-back forecasts, NaN where there was no actual, ``(n_windows, horizon)``.
    """
    size = np.abs(errors)
    horizon = size.shape[1]
    rows = [_half_widths(_pooled(size, lead)) for lead in range(horizon)]
    # A forecast further ahead knows less; where a small sample says otherwise, that is chance.
    half_widths = np.maximum.accumulate(np.array(rows), axis=0)
    return Spread(half_widths=half_widths, n_windows=len(errors))


def _pooled(size: FloatArray, lead: int) -> FloatArray:
    """Errors of one lead time, and of its neighbours until there are enough."""
    for reach in range(size.shape[1] + 1):
        near = size[:, max(0, lead - reach) : lead + reach + 1]
        near = near[np.isfinite(near)]
        if len(near) >= ENOUGH_ERRORS:
            break
    return near


def _half_widths(size: FloatArray) -> FloatArray:
    """Conformal quantiles of absolute errors at ``COVERAGES``: the ceil((n + 1) c)-th smallest, or the largest."""
    if not len(size):
        return np.zeros(len(COVERAGES))
    ranked: npt.NDArray[np.float64] = np.sort(size)
    rank = np.ceil((len(ranked) + 1) * COVERAGES).astype(int)
    widths: FloatArray = np.where(rank > 0, ranked[np.clip(rank - 1, 0, len(ranked) - 1)], 0.0)
    return widths
