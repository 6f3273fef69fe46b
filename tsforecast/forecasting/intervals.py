"""Intervals from errors that were really made: how far held-back forecasts were off, by lead time.

The errors are those of windows that neither trained the network nor stopped its training nor score it. They are
counted in the unit of each forecast, and pooled over the series; a series with enough windows of its own is judged by
those. Where the forecast is a median the interval is symmetric about it in that unit, so that it stays one; about a
mean each side has its own errors.

The method is split conformal prediction (Vovk et al. 2005; Lei et al. 2018) at each lead time, with errors in the unit
of the forecast as there in section 5.2. Time windows are not exchangeable, so its coverage is measured, not promised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tsforecast.series.panel import FloatArray, IntArray

__all__ = ["COVERAGES", "ENOUGH_WINDOWS", "FEW_WINDOWS", "Spread", "fit_spread"]

# Interval coverages whose ends are stored; others lie between.
COVERAGES: FloatArray = np.concatenate([np.arange(0.0, 1.0, 0.01), [0.99, 0.995, 1.0]]).round(3)
COVERAGES = np.unique(COVERAGES)
# Errors of neighbouring lead times are pooled until there are this many.
ENOUGH_ERRORS = 40
# Windows from which on a series has intervals of its own.
ENOUGH_WINDOWS = 10
# Windows below which the tenth and the ninetieth per cent cannot be told.
FEW_WINDOWS = 20
# 100 * (1 - 0.8) / 2 is a little less than 10.
ROUNDING = 1e-9

Source = Literal["calibration", "validation"]
# Distances below and above at ``COVERAGES``, from errors.
_Ends = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How far the quantiles lie from a forecast, in the unit of the forecast.

    Attributes:
        below: distance of the lower end by group of series, lead time and coverage, ``(groups, horizon, coverages)``.
        above: distance of the upper end, same shape.
        n_windows: held-back windows they come from.
        groups: series with a row of their own, and which; the others take the first.
        source: the part of the data the windows lie in.
        residuals: one-step errors of the windows, in the unit of the network, ``(n, steps)``, for sample paths.
    """

    below: FloatArray
    above: FloatArray
    n_windows: int
    groups: Mapping[str, int] = field(default_factory=dict)
    source: Source = "calibration"
    residuals: FloatArray = field(default_factory=lambda: np.zeros((1, 1)))

    @property
    def doubt(self) -> str:
        """Why the intervals should be taken with care, empty where nothing speaks against them."""
        if self.source != "calibration":
            return (
                f"the intervals rest on the {self.n_windows} windows that also stopped the training, so they may be "
                "too narrow: the series are too short to keep a part for them alone (split.calibration)"
            )
        if self.n_windows < FEW_WINDOWS:
            return (
                f"the intervals rest on {self.n_windows} windows, too few to tell how often a value lies outside; "
                "raise split.calibration"
            )
        return ""

    def groups_of(self, unique_ids: Sequence[str]) -> IntArray:
        """The row of each of these series, ``(n,)``."""
        return np.array([self.groups.get(name, 0) for name in unique_ids], dtype=np.int64)

    def offsets(
        self, horizon: int, quantile_levels: Sequence[float] | FloatArray, group: int = 0
    ) -> FloatArray:
        """What to add to a forecast for each lead time and level, in its unit, ``(horizon, levels)``.

        Lead times beyond those that were measured widen with the square root of the lead time, as the errors of a
        random walk do.
        """
        known = self.below.shape[1]
        lead_times = np.arange(1, horizon + 1)
        place = np.minimum(lead_times, known) - 1
        widening = np.sqrt(np.maximum(lead_times / known, 1.0))[:, None]
        levels = np.asarray(quantile_levels, dtype=np.float64)
        share = np.abs(2 * levels - 1)
        below, above = (
            np.array([np.interp(share, COVERAGES, row) for row in side[group, place] * widening]).reshape(
                horizon, len(levels)
            )
            for side in (self.below, self.above)
        )
        offsets: FloatArray = np.where(
            levels == 0.5, (above - below) / 2, np.where(levels < 0.5, -below, above)
        )
        return offsets


def fit_spread(
    errors: FloatArray,
    unique_ids: Sequence[str] = (),
    *,
    symmetric: bool = True,
    source: Source = "calibration",
    residuals: FloatArray | None = None,
) -> Spread:
    """The spread of held-back errors.

    Args:
        errors: of held-back forecasts, actual value less forecast, in the unit of each, NaN where there was no
            actual value, ``(n_windows, horizon)``.
        unique_ids: series of each window; without them all are pooled.
        symmetric: whether forecasts are medians, which intervals lie symmetric about.
        source: the part of the data the windows lie in.
        residuals: as ``Spread`` has them.
    """
    ends = _symmetric_ends if symmetric else _two_sided_ends
    sizes = _sizes(errors)
    tables = [_by_lead_time(errors, ends, sizes)]
    groups: dict[str, int] = {}
    names, place, counts = np.unique(
        np.array(unique_ids, dtype=object), return_inverse=True, return_counts=True
    )
    if len(names) > 1:  # of a single series all windows are its own
        for k in np.flatnonzero(counts >= ENOUGH_WINDOWS):
            groups[str(names[k])] = len(tables)
            tables.append(_by_lead_time(errors[place == k], ends, sizes))
    below, above = (np.stack([table[side] for table in tables]) for side in (0, 1))
    return Spread(
        below=below,
        above=above,
        n_windows=len(errors),
        groups=groups,
        source=source,
        residuals=np.zeros((1, 1)) if residuals is None else residuals,
    )


def _sizes(errors: FloatArray) -> FloatArray:
    """Usual size of the errors of each lead time, so that neighbours can stand in for each other, ``(horizon,)``."""
    known = np.isfinite(errors)
    mean = np.where(known, np.abs(errors), 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    enough = (known.sum(axis=0) >= ENOUGH_WINDOWS).all() and (mean > 0).all()
    return mean if enough else np.ones(errors.shape[1])


def _by_lead_time(errors: FloatArray, ends: _Ends, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distances below and above the forecast by lead time and coverage, ``(horizon, coverages)`` each."""
    errors = errors / sizes
    rows = [
        tuple(side * sizes[lead] for side in ends(_pooled(errors, lead))) for lead in range(errors.shape[1])
    ]
    below, above = (np.array([row[side] for row in rows]) for side in (0, 1))
    if ends is _two_sided_ends:
        return below, above
    return _rising(below), _rising(above)


def _rising(widths: FloatArray) -> FloatArray:
    """Widths that never fall with the lead time: a forecast further ahead knows less, ``(horizon, coverages)``.

    Where a sample says otherwise, the lead times in question share their mean (isotonic regression: Barlow, Brunk
    1972), which keeps wider coverages wider. To raise the later ones to the highest so far would make all too wide.
    """
    return np.stack([_isotonic(column) for column in widths.T], axis=1)


def _isotonic(values: FloatArray) -> FloatArray:
    """The rising sequence with the least squared distance, by pooling neighbours that fall."""
    blocks: list[tuple[float, int]] = []  # mean and number of values
    for value in values.tolist():
        mean, n = value, 1
        while blocks and blocks[-1][0] > mean:
            before, m = blocks.pop()
            mean, n = (m * before + n * mean) / (m + n), m + n
        blocks.append((mean, n))
    return np.repeat([mean for mean, _ in blocks], [n for _, n in blocks])


def _pooled(errors: FloatArray, lead: int) -> FloatArray:
    """Errors of one lead time, and of its neighbours until there are enough."""
    for reach in range(errors.shape[1] + 1):
        near = errors[:, max(0, lead - reach) : lead + reach + 1]
        near = near[np.isfinite(near)]
        if len(near) >= ENOUGH_ERRORS:
            break
    return near


def _symmetric_ends(errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Conformal quantiles of absolute errors at ``COVERAGES``: the ceil((n + 1) c)-th smallest, or the largest."""
    if not len(errors):
        return np.zeros(len(COVERAGES)), np.zeros(len(COVERAGES))
    ranked = np.sort(np.abs(errors))
    rank = np.ceil((len(ranked) + 1) * COVERAGES - ROUNDING).astype(int)
    widths: FloatArray = np.where(rank > 0, ranked[np.clip(rank - 1, 0, len(ranked) - 1)], 0.0)
    return widths, widths


def _two_sided_ends(errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Conformal quantiles of the errors themselves, half of what is left out on each side."""
    if not len(errors):
        return np.zeros(len(COVERAGES)), np.zeros(len(COVERAGES))
    ranked, n = np.sort(errors), len(errors)
    high = np.ceil((n + 1) * (1 + COVERAGES) / 2 - ROUNDING).astype(int)
    low = np.floor((n + 1) * (1 - COVERAGES) / 2 + ROUNDING).astype(int)
    return -ranked[np.clip(low - 1, 0, n - 1)], ranked[np.clip(high - 1, 0, n - 1)]
