"""Tables that are too large for memory: in pieces on the disk, and dealt out from there to ranges of series.

A source is read block by block. Once more rows have come than memory is for, they go to the disk as they came, with
their names and their order. Then every piece is dealt out to ranges of names, so that each range has all rows of its
series and fits in memory; a range is what the rest of the reading is given as if it were a source of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tsforecast.errors import ResourceError
from tsforecast.series.cells import dictionary_of
from tsforecast.series.gather import Gathered
from tsforecast.series.memory import Room, gigabytes
from tsforecast.series.panel import IntArray
from tsforecast.storage.atomic import output_errors

__all__ = ["ROW", "SERIES", "DiskRoom", "Named", "Pieces", "Range", "Spill", "Spilling", "deal"]

# So many rows of a single column beside name and time are held in memory, of more columns fewer; with what it takes
# to make series of them, that is some hundred bytes each.
MOST_ROWS = 2_000_000
# Bytes on the disk of each row and each column of numbers, as it is dealt out and then as a series.
DISK_PER_ROW, DISK_PER_NUMBER = 24, 16
# Columns of a range: the name of each row's series, and the row it is of its source. No column of a file is called so.
SERIES, ROW = "\0series", "\0row"

Table: TypeAlias = Any  # a pyarrow table; pyarrow ships no types


class Spill:
    """A folder for rows that memory is not for, and how many of them are held all the same.

    Attributes:
        folder: is there, and is somebody else's to remove.
        name: of what is being made, which an error of the disk names.
        most_rows: that are held in memory.
        is_used: whether anything was written.
    """

    def __init__(self, folder: Path, name: Path, *, n_columns: int = 1) -> None:
        self.folder, self.name = folder, name
        self.most_rows = max(1, 2 * MOST_ROWS // (1 + n_columns))
        self.is_used = False
        self._count = 0
        self._held: list[Pieces] = []

    def new_file(self) -> Path:
        """A path that is free."""
        self._count += 1
        return self.folder / f"{self._count}.arrow"

    def hold(self, pieces: Pieces) -> None:
        """Counts the rows a table holds in memory; those of all tables are written once they are too many."""
        if pieces not in self._held:
            self._held.append(pieces)
        if sum(one.n_held for one in self._held) > self.most_rows:
            for one in self._held:
                one.write()
            self._held.clear()

    def write(self, table: Table) -> Path:
        """Writes a table into a file of its own.

        Raises:
            ResourceError: the disk is full.
        """
        self.is_used = True
        path = self.new_file()
        with output_errors(self.name), pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
        return path


class Pieces:
    """A table that is in memory or, piece by piece, on the disk; its pieces may have other types."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._pieces: list[Table | Path] = []
        self._names: Sequence[str] | None = None
        self.num_rows, self.n_held = 0, 0
        self._schema = pa.schema([])

    @property
    def schema(self) -> Any:
        """Names and types of the columns, in the first piece."""
        if self._names is None:
            return self._schema
        fields = zip(self._names, self._schema, strict=True)
        return pa.schema([field.with_name(name) for name, field in fields])

    def put(self, table: Table) -> None:
        """Takes further rows."""
        if self._pieces and not table.num_rows:
            return
        self._schema = table.schema if not self._pieces else self._schema
        self._pieces.append(table)
        self.num_rows += table.num_rows
        self.n_held += table.num_rows
        self._spill.hold(self)

    def write(self) -> None:
        """Puts what is held in memory to the disk."""
        self._pieces = [one if isinstance(one, Path) else self._spill.write(one) for one in self._pieces]
        self.n_held = 0

    def tables(self) -> Iterator[Table]:
        """The pieces in their order, one at a time in memory."""
        for piece in self._pieces:
            table = _read(piece) if isinstance(piece, Path) else piece
            yield table if self._names is None else table.rename_columns(list(self._names))

    def given_away(self) -> Iterator[Table]:
        """As :meth:`tables`; each is gone from memory and disk when the next is asked for."""
        pieces, self._pieces = self._pieces, []
        while pieces:
            piece = pieces.pop(0)
            table = _read(piece) if isinstance(piece, Path) else piece
            yield table if self._names is None else table.rename_columns(list(self._names))
            if isinstance(piece, Path):
                piece.unlink()

    def column(self, name: str) -> Iterator[Any]:
        """One column of each piece."""
        place = self.schema.get_field_index(name)
        for piece in self._pieces:
            yield _read(piece, [place]).column(0) if isinstance(piece, Path) else piece.column(place)

    def rename_columns(self, names: Sequence[str]) -> Pieces:
        """Gives the columns other names, and returns itself: there may be more than memory holds."""
        self._names = names
        return self

    def discard(self) -> None:
        """Removes what is on the disk."""
        for piece in self._pieces:
            if isinstance(piece, Path):
                piece.unlink(missing_ok=True)
        self._pieces, self.num_rows, self.n_held = [], 0, 0


class Spilling:
    """As :class:`Gathered`, for a table that may become larger than memory."""

    def __init__(self, schema: Any, spill: Spill) -> None:
        self._schema, self._spill = schema, spill
        self._now = Gathered(schema)
        self._pieces = Pieces(spill)

    @property
    def n_rows(self) -> int:
        """Number of rows so far."""
        return self._pieces.num_rows + self._now.n_rows

    def add(self, block: Any) -> None:
        """Takes over the rows of a record batch."""
        self._now.add(block)
        if self._now.n_rows >= self._spill.most_rows:
            self._settle()

    def table(self) -> Pieces:
        """All rows; nothing can be added any more."""
        self._settle()
        return self._pieces

    def discard(self) -> None:
        """Forgets all rows."""
        self._pieces.discard()

    def _settle(self) -> None:
        self._pieces.put(self._now.table())
        self._now = Gathered(self._schema)


class DiskRoom(Room):
    """Whether what is being read will fit on the disk; memory holds only a part of it."""

    def __init__(self, n_numbers: int, spill: Spill) -> None:
        super().__init__(n_numbers)
        self._spill = spill

    def gathered(self, schema: Any) -> Spilling:
        """A table that spills over."""
        return Spilling(schema, self._spill)

    def refuse(self, n_rows: int, *, n_read: int = 0) -> None:
        """Refuses a number of rows that the disk has no room for, ``n_read`` of which are there already."""
        wanted = (self.n_before + n_rows) * (DISK_PER_ROW + DISK_PER_NUMBER * self._n_numbers)
        taken = (self.n_before + n_read) * (DISK_PER_ROW + DISK_PER_NUMBER * self._n_numbers)
        free = shutil.disk_usage(self._spill.folder).free
        super().refuse(min(self.n_before + n_rows, self._spill.most_rows) - self.n_before)
        if self.n_before + n_rows > self._spill.most_rows and wanted - taken > free:
            raise ResourceError(
                f"{self._name}: about {self.n_before + n_rows:,} rows or more take {gigabytes(wanted)} of disk beside "
                f"{self._spill.name} until they are forecast, and {gigabytes(free + taken)} are free; free some space, "
                "or read fewer series or columns."
            )


@dataclass(frozen=True, slots=True)
class Range:
    """The rows of some series, on the disk.

    Attributes:
        names: of the series, sorted, as a pyarrow array.
        n_rows: number of rows.
        stretches: files, and the place in each of what belongs here, in the order of the rows.
    """

    names: Any
    n_rows: int
    stretches: tuple[tuple[Path, int], ...]

    def table(self) -> Table:
        """The rows in the order they came, with the columns ``SERIES`` and ``ROW`` beside those of the source."""
        parts = []
        for path, place in self.stretches:
            with pa.OSFile(str(path)) as file:
                parts.append(pa.Table.from_batches([pa.ipc.open_file(file).get_batch(place)]))
        table = pa.concat_tables(parts, promote_options="permissive")
        codes = np.asarray(table.column(SERIES).combine_chunks())
        place = table.schema.get_field_index(SERIES)
        return table.set_column(place, SERIES, pa.DictionaryArray.from_arrays(codes, self.names))


@dataclass(frozen=True, slots=True)
class Named:
    """Rows in memory, and the name of each row's series as one dictionary."""

    table: Table
    names: Any


def deal(pieces: Iterator[Named], spill: Spill) -> list[Range]:
    """All rows dealt out to ranges of series, whose names rise from range to range.

    How many ranges there are, and where they end, follows from the names and numbers of the rows alone.

    Args:
        pieces: rows in their order; every name has a letter.
        spill: where they go.

    Raises:
        ResourceError: the disk is full.
    """
    known, counts, files = _numbered(pieces, spill)
    order = np.asarray(pc.sort_indices(known))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    counts = counts[order]
    total = int(counts.sum())
    n_ranges = -(-total // spill.most_rows)
    range_of = (np.cumsum(counts) - counts) * n_ranges // max(total, 1)  # by rank
    start_of = np.searchsorted(range_of, range_of)  # by rank: the lowest of its range
    stretches: dict[int, list[tuple[Path, int]]] = {}
    for path in files:
        dealt, ranges = _dealt(_read(path), rank, range_of, start_of, spill)
        path.unlink()
        for place, k in enumerate(ranges):
            stretches.setdefault(k, []).append((dealt, place))
    names = known.take(pa.array(order))
    firsts = np.searchsorted(range_of, sorted(stretches))
    ends = [*firsts[1:].tolist(), len(order)]
    return [
        Range(names.slice(first, end - first), int(counts[first:end].sum()), tuple(stretches[k]))
        for k, first, end in zip(sorted(stretches), firsts.tolist(), ends, strict=True)
    ]


def _numbered(pieces: Iterator[Named], spill: Spill) -> tuple[Any, IntArray, list[Path]]:
    """The names in the order they came, the number of rows of each, and files of rows with their series' number."""
    known = pa.array([], pa.string())
    counts = np.zeros(0, np.int64)
    files, n_rows = [], 0
    for piece in pieces:
        names = dictionary_of(piece.names)
        first = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), known)
        unified = pa.chunked_array([first, names.cast(first.type)]).unify_dictionaries()
        known = unified.chunk(0).dictionary
        codes = np.asarray(unified.chunk(1).indices)
        counts = np.concatenate([counts, np.zeros(len(known) - len(counts), np.int64)])
        counts += np.bincount(codes, minlength=len(known))
        row = np.arange(n_rows, n_rows + len(codes))
        n_rows += len(codes)
        table = piece.table.append_column(SERIES, pa.array(codes)).append_column(ROW, pa.array(row))
        files.append(spill.write(table))
    return known, counts, files


def _dealt(
    table: Table, rank: IntArray, range_of: IntArray, start_of: IntArray, spill: Spill
) -> tuple[Path, list[int]]:
    """A file of the rows by range, a batch for each, and which ranges these are."""
    of_series = rank[np.asarray(table.column(SERIES).combine_chunks())]
    of_range = range_of[of_series]
    ranges, counts = np.unique(of_range, return_counts=True)
    within = of_series - start_of[of_series]
    place = table.schema.get_field_index(SERIES)
    table = table.set_column(place, SERIES, pa.array(within.astype(np.int32)))
    if (of_range[1:] < of_range[:-1]).any():
        table = table.take(pa.array(np.argsort(of_range, kind="stable")))
    path = spill.new_file()
    with output_errors(spill.name), pa.ipc.new_file(path, table.schema) as file:
        for begin, count in zip(np.cumsum(counts) - counts, counts, strict=True):
            (batch,) = table.slice(begin, count).combine_chunks().to_batches()
            file.write_batch(batch)
    return path, ranges.tolist()


def _read(path: Path, columns: Sequence[int] | None = None) -> Table:
    """A file of ours, in memory and not mapped: the pages of a mapped one would stay."""
    options = pa.ipc.IpcReadOptions(included_fields=None if columns is None else list(columns))
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file, options=options).read_all()
