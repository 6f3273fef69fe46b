"""Many rows, a stretch at a time: what is made on the way stays in the cache and takes no memory to speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["STRETCH", "indices_where", "series_stretches", "stretches"]

IntArray: TypeAlias = npt.NDArray[np.int64]

STRETCH = 1 << 17  # rows


def stretches(n_rows: int, *, at_least: int = 0) -> Iterator[slice]:
    """Slices that cover all rows, one after the other, each but the last of at least so many rows."""
    size = max(STRETCH, at_least)
    return (slice(begin, min(begin + size, n_rows)) for begin in range(0, n_rows, size))


def series_stretches(offsets: IntArray) -> Iterator[slice]:
    """Slices of series that cover all of them, each of about as many rows as a stretch, or of one long series.

    Args:
        offsets: first row of each series and the end of the last, ``(n_series + 1,)``.
    """
    cuts = np.searchsorted(offsets[:-1], np.arange(0, offsets[-1], STRETCH))
    return (slice(first, end) for first, end in pairwise(np.unique([*cuts, len(offsets) - 1]).tolist()))


def indices_where(n_rows: int, test: Callable[[slice], npt.NDArray[Any]]) -> IntArray:
    """Indices of the rows for which a test is true.

    Args:
        n_rows: to test.
        test: gives for a slice of the rows whether each passes.
    """
    found = [part.start + np.flatnonzero(test(part)) for part in stretches(n_rows)]
    return np.concatenate([np.empty(0, np.int64), *(each for each in found if len(each))])
