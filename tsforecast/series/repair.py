"""Repairs, each by a policy the user has named: one function per policy, in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tsforecast.series.panel import FloatArray, IntArray

__all__ = ["FILLS", "MERGES"]

Merge: TypeAlias = Callable[[FloatArray, IntArray], FloatArray]
Fill: TypeAlias = Callable[[FloatArray, int], FloatArray]


def _mean(values: FloatArray, firsts: IntArray) -> FloatArray:
    """Mean of the values there are in each run, ``(n_runs, n_columns)``."""
    known = np.isfinite(values)
    counts = np.add.reduceat(known, firsts, axis=0, dtype=np.float64)
    sums = np.add.reduceat(np.where(known, values, 0.0), firsts, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _sum(values: FloatArray, firsts: IntArray) -> FloatArray:
    """Sum of the values there are in each run, ``(n_runs, n_columns)``."""
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), firsts, axis=0)
    return np.where(np.logical_or.reduceat(known, firsts, axis=0), sums, np.nan)


def _last(values: FloatArray, firsts: IntArray) -> FloatArray:
    """The last row of each run as it is, ``(n_runs, n_columns)``."""
    last: FloatArray = values[np.append(firsts[1:], len(values)) - 1]
    return last


def _mask(values: FloatArray, _: int) -> FloatArray:
    """Nothing: what is missing stays unknown."""
    return values


def _interpolate(values: FloatArray, _: int) -> FloatArray:
    """On a straight line between the neighbours; flat after the last value, NaN before the first."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values
    line: FloatArray = np.interp(np.arange(len(values)), known, values[known], left=np.nan)
    return line


def _ffill(values: FloatArray, _: int) -> FloatArray:
    """The last value there was; NaN before the first."""
    return _carried(values[:, None])[:, 0]


def _zero(values: FloatArray, _: int) -> FloatArray:
    return np.where(np.isfinite(values), values, 0.0)


def _seasonal(values: FloatArray, season_length: int) -> FloatArray:
    """The value one season earlier, or where there was none, the next one a season or more later."""
    by_season = np.pad(values, (0, -len(values) % season_length), constant_values=np.nan).reshape(
        -1, season_length
    )
    forward = _carried(by_season)
    backward = _carried(forward[::-1])[::-1]
    return backward.reshape(-1)[: len(values)]


def _carried(table: FloatArray) -> FloatArray:
    """The newest finite value of each column at or above each row."""
    row = np.where(np.isfinite(table), np.arange(len(table))[:, None], 0)
    return np.take_along_axis(table, np.maximum.accumulate(row, axis=0), axis=0)


# How rows of one series with the same timestamp become one.
# Each takes the rows, (n_rows, n_columns), and the first row of each run, (n_runs,).
MERGES: dict[str, Merge] = {"mean": _mean, "sum": _sum, "last": _last}

# What stands in for a value that is missing.
# Each takes a series, NaN where a value is missing, and its season; what it cannot fill stays NaN.
FILLS: dict[str, Fill] = {
    "mask": _mask,
    "interpolate": _interpolate,
    "ffill": _ffill,
    "zero": _zero,
    "seasonal": _seasonal,
}
