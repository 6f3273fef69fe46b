"""Columns put together block by block, so that a file need not fit in memory: only what is kept of it must.

A block is used up as soon as it is read: of text each spelling is kept once, with 4 bytes for each row; numbers and
timestamps take 8 bytes a row in one array that grows. What comes out is a table as if all had been read at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Gathered"]

GROWTH = 1.08  # an array that grows takes this much more than it holds
FIRST_ROWS = 4096
# Spellings are compared with those known once there are so many new ones, or so many blocks wait for it.
FEW_SPELLINGS = 65_536
MOST_WAITING = 64
NO_MOMENT = np.iinfo(np.int64).min

Column = Any  # a pyarrow array; pyarrow ships no types


class Gathered:
    """A table that grows by blocks, which have the same columns of the same types."""

    def __init__(self, schema: Any) -> None:
        self.n_rows = 0
        self._columns = {field.name: _gatherer(field.type) for field in schema}

    def add(self, block: Any) -> None:
        """Takes over the rows of a record batch."""
        for name, column in self._columns.items():
            column.add(block.column(name))
        self.n_rows += block.num_rows

    def discard(self) -> None:
        """Forgets all rows."""
        self._columns.clear()

    def table(self) -> Any:
        """The table of all rows; the columns are given away, and nothing can be added any more."""
        columns = {}
        for name in list(self._columns):
            columns[name] = self._columns.pop(name).finished()
        return pa.table(columns)


class _Gatherer(Protocol):
    def add(self, column: Column) -> None: ...

    def finished(self) -> Column: ...


class _Growing:
    """An array that grows at its end."""

    def __init__(self, dtype: str) -> None:
        self._values: npt.NDArray[Any] = np.empty(FIRST_ROWS, dtype)
        self._end = 0

    def extend(self, more: npt.NDArray[Any]) -> None:
        end = self._end + len(more)
        if end > len(self._values):
            # The system moves the pages of a large array and copies nothing.
            self._values.resize(max(end, int(GROWTH * len(self._values))), refcheck=False)
        self._values[self._end : end] = more
        self._end = end

    def finished(self) -> npt.NDArray[Any]:
        self._values.resize(self._end, refcheck=False)
        return self._values


class _Words:
    """Text as one dictionary array, its spellings in the order of their first row."""

    def __init__(self, _: Any) -> None:
        self._codes = _Growing("int32")
        self._known = pa.array([], pa.string())
        self._waiting: list[Column] = []
        self._n_spellings = 0

    def add(self, column: Column) -> None:
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        spellings = column.dictionary
        if not pa.types.is_string(spellings.type):
            column = pa.DictionaryArray.from_arrays(column.indices, spellings.cast(pa.string()))
        self._waiting.append(column)
        self._n_spellings += len(spellings)
        # As many as are known, at least: else all that is known would be looked at again for every block.
        if self._n_spellings > max(FEW_SPELLINGS, len(self._known)) or len(self._waiting) == MOST_WAITING:
            self._settle()

    def _settle(self) -> None:
        """The codes of the blocks that wait, in terms of one dictionary."""
        first = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self._known)
        unified = pa.chunked_array([first, *self._waiting]).unify_dictionaries()
        self._known = unified.chunk(0).dictionary
        for chunk in unified.chunks[1:]:
            self._codes.extend(np.asarray(pc.fill_null(chunk.indices, -1)))
        self._waiting, self._n_spellings = [], 0

    def finished(self) -> Column:
        self._settle()
        codes = self._codes.finished()
        missing = codes < 0
        indices = pa.array(codes, mask=missing) if missing.any() else pa.array(codes)
        return pa.DictionaryArray.from_arrays(indices, self._known)


class _Numbers:
    """Numbers, NaN for null."""

    def __init__(self, _: Any) -> None:
        self._values = _Growing("float64")

    def add(self, column: Column) -> None:
        self._values.extend(column.to_numpy(zero_copy_only=False))

    def finished(self) -> Column:
        return pa.array(self._values.finished())


class _Moments:
    """Timestamps to the microsecond."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._clock = _Growing("int64")

    def add(self, column: Column) -> None:
        self._clock.extend(np.asarray(pc.fill_null(column.view(pa.int64()), NO_MOMENT)))

    def finished(self) -> Column:
        clock = self._clock.finished()
        missing = clock == NO_MOMENT
        return pa.array(clock, mask=missing if missing.any() else None).view(self._kind)


class _Chunks:
    """Whatever else there is, as it comes."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._chunks: list[Column] = []

    def add(self, column: Column) -> None:
        self._chunks.append(column)

    def finished(self) -> Column:
        return pa.chunked_array(self._chunks, self._kind)


def _gatherer(kind: Any) -> _Gatherer:
    return next(gatherer for is_kind, gatherer in GATHERERS if is_kind(kind))(kind)


def _is_text(kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


# What gathers a column, by its type; the first that fits.
GATHERERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], _Gatherer]], ...] = (
    (_is_text, _Words),
    (pa.types.is_float64, _Numbers),
    (lambda kind: pa.types.is_timestamp(kind) and kind.unit == "us", _Moments),
    (lambda _: True, _Chunks),
)
