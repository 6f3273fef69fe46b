"""The one in-memory form of many series: contiguous arrays and offsets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tsforecast.series.timeaxis import TimeAxis

__all__ = ["BoolArray", "Cutoffs", "FloatArray", "IntArray", "Panel", "data_hash"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Cutoffs:
    """Places in a Panel to forecast from: the same series may stand here many times.

    Attributes:
        series: index of the series, ``(n_cutoffs,)``.
        rows: row of the last known value in the Panel's flat arrays, ``(n_cutoffs,)``;
            the forecast starts one step later.
    """

    series: IntArray
    rows: IntArray

    def __len__(self) -> int:
        return len(self.series)

    def evenly(self, most: int) -> Cutoffs:
        """At most so many of them, evenly chosen, the first and the last among them."""
        places = np.linspace(0, len(self) - 1, min(len(self), most)).astype(np.int64)
        return self[np.unique(places)]

    def __getitem__(self, index: slice | IntArray) -> Cutoffs:
        return Cutoffs(series=self.series[index], rows=self.rows[index])


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Many series on one time axis, series after series, without gaps.

    Row ``offsets[s] + k`` is step ``k`` of series ``s`` and lies at position ``starts[s] + k`` of the axis.

    Attributes:
        axis: the time axis shared by all series.
        unique_ids: names of the series, in the order of the arrays.
        offsets: first row of each series and the end of the last, ``(n_series + 1,)``.
        starts: axis position of each series' first row, ``(n_series,)``.
        y: target, NaN where it is masked, ``(n_rows,)``; series begin with a known value, unless cut by ``tail``.
        past: past covariates, NaN where they are masked, ``(n_rows, n_past)``.
        past_names: column names of ``past``.
    """

    axis: TimeAxis
    unique_ids: tuple[str, ...]
    offsets: IntArray
    starts: IntArray
    y: FloatArray
    past: FloatArray
    past_names: tuple[str, ...] = ()

    @property
    def n_series(self) -> int:
        return len(self.unique_ids)

    @property
    def lengths(self) -> IntArray:
        """Number of rows of each series, ``(n_series,)``."""
        return np.diff(self.offsets)

    @property
    def last_cutoffs(self) -> Cutoffs:
        """The newest cutoff of each series: its last row."""
        return Cutoffs(series=np.arange(self.n_series), rows=self.offsets[1:] - 1)

    def positions(self, cutoffs: Cutoffs) -> IntArray:
        """Axis position of each cutoff, ``(n_cutoffs,)``."""
        return self.starts[cutoffs.series] + cutoffs.rows - self.offsets[cutoffs.series]

    def rows_known(self, cutoffs: Cutoffs) -> IntArray:
        """Number of values each forecast may know, its own row included, ``(n_cutoffs,)``."""
        return cutoffs.rows - self.offsets[cutoffs.series] + 1

    def values(self, series: int) -> FloatArray:
        """Target of one series as a view, ``(length,)``."""
        return self.y[self.offsets[series] : self.offsets[series + 1]]

    @property
    def newest_known(self) -> IntArray:
        """Row of the newest known target at or before each row, in its series, ``(n_rows,)``."""
        rows = np.where(np.isnan(self.y), 0, np.arange(len(self.y)))
        return np.maximum(np.maximum.accumulate(rows), np.repeat(self.offsets[:-1], self.lengths))

    def drop_last(self, steps: int | IntArray) -> Panel:
        """The panel without the last ``steps`` rows of each series (all of a shorter one)."""
        return self._keep(np.zeros(self.n_series, np.int64), np.maximum(self.lengths - steps, 0))

    def tail(self, steps: int | IntArray) -> Panel:
        """The panel with at most the last ``steps`` rows of each series."""
        first = np.maximum(self.lengths - steps, 0)
        return self._keep(first, self.lengths)

    def until(self, position: int) -> Panel:
        """The panel without rows after an axis position; a series that starts later becomes empty."""
        last = np.clip(position - self.starts + 1, 0, self.lengths)
        return self._keep(np.zeros(self.n_series, np.int64), last)

    def select(self, series: Sequence[int] | IntArray) -> Panel:
        """The panel with only these series, in this order."""
        index = np.asarray(series, dtype=np.int64)
        return self._gather(index, np.zeros(len(index), np.int64), self.lengths[index])

    def _keep(self, first: IntArray, last: IntArray) -> Panel:
        return self._gather(np.arange(self.n_series), first, last)

    def _gather(self, series: IntArray, first: IntArray, last: IntArray) -> Panel:
        """Rows ``first[i] : last[i]`` of ``series[i]``, one after the other."""
        lengths = last - first
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[series] + first - offsets[:-1], lengths)
        return replace(
            self,
            unique_ids=tuple(self.unique_ids[s] for s in series),
            offsets=offsets,
            starts=self.starts[series] + first,
            y=self.y[rows],
            past=self.past[rows],
        )


def data_hash(panel: Panel) -> str:
    """SHA-256 of everything in the panel, as hexadecimal text: equal data, equal hash."""
    digest = hashlib.sha256(repr((panel.axis, panel.unique_ids, panel.past_names)).encode())
    for array in (panel.offsets, panel.starts, panel.y, panel.past):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
