"""How large values are: what float64 can count with, and which value is far off from its series."""

from __future__ import annotations

import numpy as np

from tsforecast.series.panel import FloatArray, IntArray, Panel

__all__ = ["LARGEST", "binary_unit", "far_off"]

# Larger values leave no room: a sum over a window or an extrapolated forecast could pass the end of float64.
LARGEST = 1e300
# A value this many times as far from the median as the others are on average is said to be far off.
FAR = 1e4


def binary_unit(sizes: FloatArray) -> FloatArray:
    """The power of two just above each size, 1 for a size of 0.

    What is divided by it lies between -1 and 1, so that its square neither overflows nor vanishes. Dividing by a
    power of two rounds nothing, so results are the same to the bit as without.
    """
    _, exponent = np.frexp(sizes)
    unit: FloatArray = np.ldexp(1.0, np.clip(exponent, -1021, 1023))
    return unit


def far_off(panel: Panel) -> IntArray:
    """Row of the most distant value of each series that has one out of all proportion to its others."""
    rows = []
    for series in range(panel.n_series):
        y = panel.values(series)
        finite = np.isfinite(y)
        if finite.sum() < 3:
            continue
        y = np.where(finite, y, 0.0)
        distance = np.where(finite, np.abs(y - np.median(y[finite])), 0.0)
        most = int(np.argmax(distance))
        others = (distance.sum() - distance[most]) / (finite.sum() - 1)
        if distance[most] > FAR * others > 0:
            rows.append(panel.offsets[series] + most)
    return np.array(rows, dtype=np.int64)
