"""How large values are: what float64 can count with."""

from __future__ import annotations

import numpy as np

from tsforecast.series.panel import FloatArray

__all__ = ["LARGEST", "SMALLEST", "binary_unit"]

# Larger values leave no room: a sum over a window or an extrapolated forecast could pass the end of float64.
LARGEST = 1e300
# Nothing can be divided by smaller sizes where denormal numbers, from 2e-308 down, are taken for zero.
SMALLEST = 1e-305


def binary_unit(sizes: FloatArray) -> FloatArray:
    """The power of two just above each size, 1 for a size of 0.

    What is divided by it lies between -1 and 1, so that its square neither overflows nor vanishes. Dividing by a
    power of two rounds nothing, so results are the same to the bit as without.
    """
    _, exponent = np.frexp(sizes)
    unit: FloatArray = np.ldexp(1.0, np.clip(exponent, -1021, 1023))
    return unit
