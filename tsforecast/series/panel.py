"""The one in-memory form of many series: contiguous arrays and offsets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tsforecast.series.timeaxis import TimeAxis

__all__ = [
    "BoolArray",
    "Cutoffs",
    "FloatArray",
    "IntArray",
    "Panel",
    "RowsHash",
    "data_hash",
    "joined_panels",
]

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


def _no_columns() -> FloatArray:
    return np.empty((0, 0))


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
        future: covariates known beyond the cutoff, of every row and of the steps after it that are known, NaN where
            they are masked, ``(n_known, n_future)``.
        future_offsets: first row of each series in ``future`` and the end of the last, ``(n_series + 1,)``.
        future_names: column names of ``future``.
        static: covariates that are the same for all rows of a series, ``(n_series, n_static)``.
        static_names: column names of ``static``.
        categories: words of the categorical covariates, by column; a column holds 1 + their index, 0 for none.
    """

    axis: TimeAxis
    unique_ids: tuple[str, ...]
    offsets: IntArray
    starts: IntArray
    y: FloatArray
    past: FloatArray
    past_names: tuple[str, ...] = ()
    future: FloatArray = field(default_factory=_no_columns)
    future_offsets: IntArray = field(default_factory=lambda: np.zeros(1, np.int64))
    future_names: tuple[str, ...] = ()
    static: FloatArray = field(default_factory=_no_columns)
    static_names: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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

    @property
    def future_rows(self) -> IntArray:
        """Rows of ``future`` that belong to history, not to the steps after it, ``(n_rows,)``."""
        return _ranges(self.future_offsets[:-1], self.lengths)[1]

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

    def up_to(self, cutoffs: Cutoffs) -> Panel:
        """One series for each cutoff, which ends there: a series may stand in it many times."""
        return self._gather(cutoffs.series, np.zeros(len(cutoffs), np.int64), self.rows_known(cutoffs))

    def with_future(self, position: IntArray, series: IntArray, values: FloatArray) -> Panel:
        """The panel with future covariates of further steps; those it has already are replaced, others ignored.

        Args:
            position: axis position of each row given, ``(n_given,)``.
            series: index of its series, ``(n_given,)``.
            values: ``(n_given, n_future)``.
        """
        step = position - self.starts[series]
        wanted = (step >= 0) & ~np.isnan(values).any(axis=1)
        step, series, values = step[wanted], series[wanted], values[wanted]
        reach = np.diff(self.future_offsets)
        np.maximum.at(reach, series, step + 1)
        offsets, _ = _ranges(np.zeros(self.n_series, np.int64), reach)
        future = np.empty((offsets[-1], values.shape[1]))
        is_hole = np.ones(offsets[-1], dtype=np.bool_)
        _, old = _ranges(offsets[:-1], np.diff(self.future_offsets))
        for rows, known_values in ((old, self.future), (offsets[series] + step, values)):
            future[rows], is_hole[rows] = known_values, False
        # A hole ends what is known of a series; a masked value does not.
        holes = np.flatnonzero(is_hole)
        first_hole = np.append(holes, offsets[-1])[np.searchsorted(holes, offsets[:-1])]
        known = np.minimum(first_hole, offsets[1:]) - offsets[:-1]
        future_offsets, rows = _ranges(offsets[:-1], known)
        return replace(self, future=future[rows], future_offsets=future_offsets)

    def on_axis(self, axis: TimeAxis) -> Panel:
        """The panel on another axis of its frequency, on whose steps its own lie."""
        if axis == self.axis or not self.n_series:
            return replace(self, axis=axis)
        first = axis.positions(self.axis.timestamps(self.starts))
        return replace(self, axis=axis, starts=first)

    def with_words(self, words: Mapping[str, Iterable[str]]) -> Panel:
        """The panel with further words of its categorical columns; the numbers of those it has stay."""
        added = {
            name: (*self.categories[name], *sorted(set(map(str, more)) - set(self.categories[name])))
            for name, more in words.items()
        }
        return replace(self, categories={**self.categories, **added})

    def with_numbers_of(self, categories: Mapping[str, tuple[str, ...]]) -> Panel:
        """The panel with the words of its categorical columns numbered as they are elsewhere, where all are known."""

        def renumbered(values: FloatArray, names: tuple[str, ...]) -> FloatArray:
            values = values.copy()
            for place, name in enumerate(names):
                if name in self.categories:
                    number = {word: k for k, word in enumerate(categories[name], start=1)}
                    numbers = np.array([0.0, *(number[word] for word in self.categories[name])])
                    given = np.isfinite(values[:, place])
                    values[given, place] = numbers[values[given, place].astype(np.int64)]
            return values

        return replace(
            self,
            past=renumbered(self.past, self.past_names),
            future=renumbered(self.future, self.future_names),
            static=renumbered(self.static, self.static_names),
            categories=categories,
        )

    def _keep(self, first: IntArray, last: IntArray) -> Panel:
        return self._gather(np.arange(self.n_series), first, last)

    def _gather(self, series: IntArray, first: IntArray, last: IntArray) -> Panel:
        """Rows ``first[i] : last[i]`` of ``series[i]``, one after the other; what is known ahead stays known."""
        offsets, rows = _ranges(self.offsets[series] + first, last - first)
        known: dict[str, Any] = {}
        if self.future_names:
            begins = self.future_offsets[series] + first
            ends = self.future_offsets[series + 1]
            future_offsets, known_rows = _ranges(begins, np.maximum(ends - begins, 0))
            known = {"future": self.future[known_rows], "future_offsets": future_offsets}
        return replace(
            self,
            unique_ids=tuple(self.unique_ids[s] for s in series),
            offsets=offsets,
            starts=self.starts[series] + first,
            y=self.y[rows],
            past=self.past[rows],
            static=self.static[series] if self.static_names else self.static,
            **known,
        )


def _ranges(begins: IntArray, lengths: IntArray) -> tuple[IntArray, IntArray]:
    """Offsets of stretches laid one after the other, and the rows they come from."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return offsets, np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)


def joined_panels(first: Panel, second: Panel) -> Panel:
    """The series of one panel and behind them those of another, of the same axis and columns."""
    if not (first.n_series and second.n_series):
        return first if first.n_series else second
    if first.categories != second.categories:
        first = first.with_words(second.categories)
        second = second.with_words(first.categories).with_numbers_of(first.categories)
    return replace(
        first,
        unique_ids=(*first.unique_ids, *second.unique_ids),
        offsets=np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]]),
        starts=np.concatenate([first.starts, second.starts]),
        y=np.concatenate([first.y, second.y]),
        past=np.concatenate([first.past, second.past]),
        static=np.concatenate([first.static, second.static]) if first.static_names else first.static,
        future=np.concatenate([first.future, second.future]) if first.future_names else first.future,
        future_offsets=np.concatenate(
            [first.future_offsets, first.future_offsets[-1] + second.future_offsets[1:]]
        ),
    )


def data_hash(panel: Panel) -> str:
    """SHA-256 of everything in the panel, as hexadecimal text: equal data, equal hash."""
    names = (panel.past_names, panel.future_names, panel.static_names, sorted(panel.categories.items()))
    digest = hashlib.sha256(repr((panel.axis, panel.unique_ids, names)).encode())
    arrays = (
        panel.offsets,
        panel.starts,
        panel.y,
        panel.past,
        panel.future,
        panel.future_offsets,
        panel.static,
    )
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class RowsHash:
    """SHA-256 of the rows of many series, given panel by panel: the same, however they are dealt out to panels.

    Nor does it matter where an axis begins, or how words are numbered.
    """

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}

    def add(self, panel: Panel) -> None:
        """Takes in further series; their names rise from panel to panel."""
        if not panel.n_series:
            return
        axis = panel.axis
        self._digests["axis"] = hashlib.sha256(f"{axis.freq} {axis.timezone}".encode())
        self._update("unique_id", "".join(map(json.dumps, panel.unique_ids)).encode())
        self._update("start", _clock(axis.timestamps(panel.starts)).tobytes())
        self._update("length", panel.lengths.tobytes())
        self._update("y", panel.y.tobytes())
        if panel.future_names:
            self._update("known", np.diff(panel.future_offsets).tobytes())
        for kind in ("past", "future", "static"):
            values, names = getattr(panel, kind), getattr(panel, f"{kind}_names")
            for place, name in enumerate(names):
                self._update(f"{kind} {name}", self._cells(values[:, place], panel.categories.get(name)))

    def hexdigest(self) -> str:
        """Of all that was taken in."""
        every = [(name, digest.hexdigest()) for name, digest in sorted(self._digests.items())]
        return hashlib.sha256(json.dumps(every).encode()).hexdigest()

    def _update(self, name: str, data: bytes) -> None:
        self._digests.setdefault(name, hashlib.sha256()).update(data)

    @staticmethod
    def _cells(values: FloatArray, words: Sequence[str] | None) -> bytes:
        if words is None:
            return np.ascontiguousarray(values).tobytes()
        given = np.isfinite(values)
        names = np.array([b"", *(hashlib.sha256(word.encode()).digest() for word in words)], dtype="S32")
        return names[np.where(given, values, 0).astype(np.int64)].tobytes()


def _clock(times: Any) -> IntArray:
    """Times as whole numbers, microseconds where they are no numbers."""
    return np.asarray(times if isinstance(times, np.ndarray) else times.as_unit("us").asi8, dtype=np.int64)
