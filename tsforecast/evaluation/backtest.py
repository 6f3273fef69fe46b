"""Rolling origins: where a backtest forecasts from, what is known there, and how the rollout behaves.

Leak-proof by construction: whoever learns or forecasts at an origin is given a panel that ends there, so there is no
later row to read. How forecasts are made is not known here.

Source: Tashman (2000), Out-of-sample tests of forecasting accuracy, Int. J. Forecasting 16(4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tsforecast.series.panel import Cutoffs, FloatArray, IntArray, Panel

__all__ = [
    "Behaviour",
    "Forecaster",
    "Origin",
    "all_cutoffs",
    "behaviour",
    "choose_windows",
    "ends_of_series",
    "ends_together",
    "forecasts_at",
    "rolling_origins",
]

# From a panel whose series end at the cutoffs, and a horizon, to forecasts: (n_series, horizon, ...).
Forecaster = Callable[[Panel, int], FloatArray]

# Rows that a panel of series cut at many cutoffs may hold: 160 MB.
CHUNK_ROWS = 20_000_000
# Windows that do not overlap from which a difference can be told from chance (see significance.py).
ENOUGH = 8
# Series that must end together for origins to lie at one moment.
TOGETHER = 0.8
# A rollout is flat where the second half of its horizon moves less than this share of what came.
FLAT = 0.1
# Steps of a horizon whose second half can be called flat.
MIN_STEPS = 8
# A forecast so many ranges of the history above or below it has left it.
FAR = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """One moment to forecast from.

    Attributes:
        cutoffs: one for each series with a row there or before it, and one after it.
        known: rows of each series of the panel up to the moment, ``(n_series,)``.
    """

    cutoffs: Cutoffs
    known: IntArray

    def known_part(self, panel: Panel) -> Panel:
        """What may be learned from at this origin: the panel without later rows, and without empty series."""
        return panel.drop_last(panel.lengths - self.known).select(np.flatnonzero(self.known > 0))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How rollouts go on: shares of the windows, NaN where it cannot be told.

    Attributes:
        flat: those that hardly move in the second half of the horizon, where what came does.
        far: those that leave the history by more than its own range.
    """

    flat: float
    far: float


def ends_of_series(panel: Panel, *, align: str) -> IntArray:
    """Axis position of the last row that is forecast, for each series, ``(n_series,)``.

    Args:
        panel: all rows.
        align: ``own``: each series' own last row; ``calendar``: the newest moment that half of the series reach.
    """
    ends = panel.starts + panel.lengths - 1
    if align == "own":
        return ends
    newest = np.sort(ends[panel.lengths > 0])[::-1]
    return np.full(panel.n_series, newest[(len(newest) - 1) // 2])


def ends_together(panel: Panel, *, within: int) -> bool:
    """Whether time is a calendar, and most series end within so many steps of the newest moment half of them reach.

    Where they do not, as in the sets of a competition, one moment would judge few of them.
    """
    if panel.axis.is_integer:
        return False
    ends, newest = (ends_of_series(panel, align=align) for align in ("own", "calendar"))
    return bool(((ends > newest - within) & (panel.starts < newest)).mean() >= TOGETHER)


def choose_windows(panel: Panel, *, horizon: int, stride: int, most: int) -> int:
    """Windows that fit into the last third of the median series, or as many as can be told from chance into the half.

    At least one, whether it fits or not.
    """
    median = float(np.median(panel.lengths))
    in_third, in_half = (1 + max(int(share * median) - horizon, 0) // stride for share in (1 / 3, 1 / 2))
    return min(max(in_third, ENOUGH) if in_half >= ENOUGH else in_third, most)


def rolling_origins(panel: Panel, *, horizon: int, n_windows: int, stride: int, align: str) -> list[Origin]:
    """Origins ``stride`` steps apart, the oldest first; the last lies ``horizon`` steps before the end.

    Args:
        panel: all rows.
        horizon: steps of each forecast.
        n_windows: number of origins.
        stride: steps between them.
        align: as in :func:`ends_of_series`.
    """
    ends, lengths = ends_of_series(panel, align=align), panel.lengths
    origins = []
    for back in range(n_windows - 1, -1, -1):
        known = np.clip(ends - horizon - back * stride - panel.starts + 1, 0, lengths)
        series = np.flatnonzero((known > 0) & (known < lengths))
        cutoffs = Cutoffs(series=series, rows=panel.offsets[series] + known[series] - 1)
        origins.append(Origin(cutoffs=cutoffs, known=known))
    return origins


def all_cutoffs(origins: Sequence[Origin]) -> Cutoffs:
    """The cutoffs of all origins, one origin after the other."""
    return Cutoffs(
        series=np.concatenate([origin.cutoffs.series for origin in origins]),
        rows=np.concatenate([origin.cutoffs.rows for origin in origins]),
    )


def forecasts_at(panel: Panel, cutoffs: Cutoffs, horizon: int, forecaster: Forecaster) -> FloatArray:
    """Forecasts from every cutoff as one batch, ``(n_cutoffs, horizon, ...)``.

    The forecaster is given series that end at their cutoffs; many rows are given in several parts.
    """
    parts = [forecaster(panel.up_to(cutoffs[part]), horizon) for part in _parts(panel, cutoffs)]
    return np.concatenate(parts)


def behaviour(panel: Panel, cutoffs: Cutoffs, y: FloatArray, y_hat: FloatArray) -> Behaviour:
    """Whether forecasts flatten or run away.

    Args:
        panel: all rows.
        cutoffs: where the forecasts start.
        y: what came, NaN where it is not known, ``(n_cutoffs, horizon)``.
        y_hat: forecasts, ``(n_cutoffs, horizon)``.
    """
    horizon = y.shape[1]
    later = slice(horizon // 2, None)
    moved, expected = (values[:, later].std(axis=1) for values in (y_hat, y))
    told = np.isfinite(expected) & (expected > 0)
    flat = moved < FLAT * expected
    low, high = _range_before(panel, cutoffs)
    width = FAR * (high - low)
    outside = np.any((y_hat < (low - width)[:, None]) | (y_hat > (high + width)[:, None]), axis=1)
    return Behaviour(
        flat=float(flat[told].mean()) if horizon >= MIN_STEPS and told.any() else np.nan,
        far=float(outside[width > 0].mean()) if (width > 0).any() else np.nan,
    )


def _parts(panel: Panel, cutoffs: Cutoffs) -> Iterator[slice]:
    """Stretches of the cutoffs whose series hold a bounded number of rows together."""
    rows = np.cumsum(panel.rows_known(cutoffs))
    begin = 0
    while begin < len(cutoffs):
        so_far = rows[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(rows, so_far + CHUNK_ROWS, side="right")))
        yield slice(begin, end)
        begin = end


def _range_before(panel: Panel, cutoffs: Cutoffs) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest value up to each cutoff, ``(n_cutoffs,)`` each."""
    low, high = np.empty(len(cutoffs)), np.empty(len(cutoffs))
    for s in np.unique(cutoffs.series):
        y = panel.values(int(s))
        at = np.flatnonzero(cutoffs.series == s)
        step = cutoffs.rows[at] - panel.offsets[s]
        low[at], high[at] = np.fmin.accumulate(y)[step], np.fmax.accumulate(y)[step]
    return low, high
