"""How many steps make a season: from the frequency, or from the data where time is only counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from tsforecast.series.magnitude import binary_unit
from tsforecast.series.panel import FloatArray, Panel
from tsforecast.series.repair import FILLS
from tsforecast.series.timeaxis import INTEGER

__all__ = ["default_season_lengths", "season_lengths_of", "season_strength"]

# Stretches of time in seconds.
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800

# Steps per year of the calendar frequencies that have a season, by the beginning of their alias.
STEPS_PER_YEAR = {"MS": 12, "ME": 12, "BMS": 12, "BME": 12, "QS": 4, "QE": 4, "BQS": 4, "BQE": 4}
STEPS_PER_YEAR |= {"W": 52, "SMS": 24, "SME": 24}

# Seasons tried where the frequency is unknown: of quarters, days, months, weeks, hours and their parts.
CANDIDATES = (4, 7, 12, 24, 48, 52, 96, 168, 336)
MAX_SERIES_READ = 100  # to find a season, as many series tell no less than all
LEAST_CORRELATION = 0.2
ABOUT_AS_CLEAR = 0.1
RISES_AGAIN = 0.02
LEAST_STRENGTH = 0.1  # of a season that the data shows
MAX_ROWS_READ = 20_000  # of a series


def default_season_lengths(freq: str) -> list[int]:
    """Steps in each season that data of this frequency usually has, the most important first.

    Seconds have hours and days; minutes and hours have days and weeks; days have weeks; the rest has years.
    ``[1]`` where there is none, as for years and integer time.

    Args:
        freq: as ``check_freq`` returns it.
    """
    if freq == INTEGER:
        return [1]
    offset = to_offset(freq)
    if isinstance(offset, pd.offsets.Tick):
        step = offset.nanos / 1e9
        return _whole_steps((HOUR, DAY) if step < MINUTE else (DAY, WEEK), step)
    if isinstance(offset, pd.offsets.Day):
        return _whole_steps((52,), offset.n // 7) if offset.n % 7 == 0 else _whole_steps((7,), offset.n)
    if isinstance(offset, pd.offsets.BusinessDay):
        return _whole_steps((5,), offset.n)
    return _whole_steps((STEPS_PER_YEAR.get(offset.rule_code.partition("-")[0], 1),), offset.n)


def season_lengths_of(panel: Panel) -> list[int]:
    """Season lengths of a panel in steps: the usual ones of its frequency that the data has seen twice.

    Integer time has no usual ones; there the autocorrelation decides, and ``[1]`` says that none is clear.
    """
    median = int(np.median(panel.lengths)) if panel.n_series else 0
    if panel.axis.is_integer:
        return _correlated_seasons(panel, [m for m in CANDIDATES if 3 * m <= median])
    return [m for m in default_season_lengths(panel.axis.freq) if 2 * m <= median] or [1]


def season_strength(panel: Panel, season_length: int, *, shorter: int = 1) -> tuple[float, bool] | None:
    """How like the values one season apart are, and whether that is enough for a season.

    The mean over the series of the correlation of ``y`` with itself one season earlier, each value taken from the
    mean of the season around it, so that neither a trend nor a random walk looks like a season.

    Args:
        panel: the data.
        season_length: steps in the season, more than 1.
        shorter: a season that divides this one: what already repeats with that one is no sign of this one.

    Returns:
        None where no series is three seasons long.
    """
    read = np.flatnonzero(panel.lengths >= 3 * season_length)
    if not len(read):
        return None
    read = read[np.unique(np.linspace(0, len(read) - 1, MAX_SERIES_READ).astype(np.int64))]
    rests = [
        _around_season(panel.values(int(s))[-max(MAX_ROWS_READ, 4 * season_length) :], season_length)
        for s in read
    ]
    rests = [rest for rest in rests if np.ptp(rest) > 1e-9 * np.abs(rest).max(initial=1e-300)]
    if not rests:
        return 0.0, False
    strength = _mean_correlation(rests, season_length)
    # A smooth curve is like itself at any short lag: a season is more alike than a quarter of it less or more.
    aside = max(1, season_length // 4)
    beside = max(_mean_correlation(rests, season_length + lag) for lag in (-aside, aside))
    # Neighbours in a season are alike, so that many values of a slow one say as much as few of a quick one.
    n_apart = sum(map(len, rests)) / max(1.0, season_length / 8)
    least = max(LEAST_STRENGTH, 2 / np.sqrt(n_apart), beside)
    if shorter > 1:
        least = max(least, _mean_correlation(rests, season_length - shorter) + RISES_AGAIN)
    return strength, bool(strength >= least)


def _around_season(y: FloatArray, season_length: int) -> FloatArray:
    """``y`` less the mean of the season around each value, without the ends that have none."""
    centred = y / binary_unit(np.abs(y).max())  # so that no square overflows
    centred -= centred.mean()
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    means = (sums[season_length:] - sums[:-season_length]) / season_length
    if season_length % 2 == 0:  # half a step early and half a step late
        means = (means[1:] + means[:-1]) / 2
    rest: FloatArray = centred[season_length // 2 :][: len(means)] - means
    return rest


def _mean_correlation(rests: Sequence[FloatArray], lag: int) -> float:
    """Mean over the series of the correlation with themselves ``lag`` steps earlier."""
    products = [
        float(np.dot(rest[lag:], rest[:-lag]) / np.dot(rest, rest)) for rest in rests if len(rest) > lag
    ]
    sizes = [(len(rest) - lag) / len(rest) for rest in rests if len(rest) > lag]
    return float(np.mean(np.array(products) / np.array(sizes))) if products else 0.0


def _whole_steps(cycles: Sequence[int], step: float) -> list[int]:
    """The cycles in steps, where a step divides them; a cycle is longer than its step."""
    return [round(cycle / step) for cycle in cycles if cycle > step and cycle % step == 0] or [1]


def _correlated_seasons(panel: Panel, candidates: Sequence[int]) -> list[int]:
    """The clearest candidate, or the part of it that is about as clear, and a longer season where there is one."""
    read = np.flatnonzero(panel.lengths >= 3 * max(candidates, default=1))[:MAX_SERIES_READ]
    # A masked value would make every correlation NaN; on a line between its neighbours it adds no season.
    known = [FILLS["interpolate"](panel.values(s), 1) for s in read]
    moving = [y for y in known if not _is_straight(y)]
    if not candidates or not moving:
        return [1]
    strength = np.mean([_autocorrelation(y, max(candidates) + 1) for y in moving], axis=0)
    # Noise of n values correlates with itself by about 1 / sqrt(n).
    least = max(LEAST_CORRELATION, 3 / np.sqrt(sum(map(len, moving))))
    peaks = [m for m in candidates if strength[m] >= max(least, strength[m - 1], strength[m + 1])]
    if not peaks:
        return [1]
    # A season correlates at its multiples too, less and less; where it rises again, a longer season begins.
    clearest = max(peaks, key=lambda m: strength[m])
    parts = [m for m in peaks if clearest % m == 0]
    first = next(m for m in parts if strength[m] >= strength[clearest] - ABOUT_AS_CLEAR)
    multiples = [m for m in peaks if m > first and m % first == 0]
    longer = [m for shorter, m in pairwise(multiples) if strength[m] > strength[shorter] + RISES_AGAIN]
    return [first, *longer[:1]]


def _is_straight(y: FloatArray) -> bool:
    """Whether ``y`` is a constant or a line but for rounding, which would correlate with itself as well."""
    return bool(np.ptp(np.diff(y)) <= 1e-9 * np.abs(y).max())


def _autocorrelation(y: FloatArray, max_lag: int) -> FloatArray:
    """Correlation of the differences of ``y`` with themselves at lags 0 to ``max_lag``.

    Differences, so that a trend does not look like a season.
    """
    steps = np.diff(y / binary_unit(np.abs(y).max()))
    steps -= steps.mean()
    spectrum = np.abs(np.fft.rfft(steps, 2 * len(steps))) ** 2
    products = np.fft.irfft(spectrum)[: max_lag + 1]
    correlation: FloatArray = products / products[0]
    return correlation
