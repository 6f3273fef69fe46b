"""Every fault of a source that the reader refused, and the rows and series that can be read all the same.

Reading stops at the first fault; here what was refused is read once more to its end: to tell all faults together and
check the rest of the rows, or to set apart the series that have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tsforecast.config.location import kind_of
from tsforecast.config.schema import DataConfig
from tsforecast.errors import DataError
from tsforecast.series.cells import CellError, clipped
from tsforecast.series.columns import Columns, columns_of, refuse_absent
from tsforecast.series.csvfile import CsvFile, lines_of, undecoded, wrong_width
from tsforecast.series.joined import quoted
from tsforecast.series.memory import memory_errors
from tsforecast.series.panel import IntArray
from tsforecast.series.pieces import Spill
from tsforecast.series.read import (
    Join,
    Source,
    Values,
    from_frame,
    in_ranges,
    long_table,
    name_of,
    read_in_ranges,
    read_table,
)
from tsforecast.series.sources import Part, local_files, open_file, text_parts

__all__ = [
    "IN_A_CELL",
    "MOST_ROWS",
    "Apart",
    "Readable",
    "read_apart",
    "read_apart_in_ranges",
    "readable_part",
]

# A table as `read_table` gives it, and by the name of each bad series the code and the reason.
Apart: TypeAlias = tuple[pd.DataFrame, dict[str, tuple[str, str]]]

# Codes of faults that leave the rest of the file readable.
IN_A_CELL = ("F106", "F108", "I201", "T301", "T302", "T303", "T314", "V401")
# Those that may be of single series, and what is said of a cell.
OF_A_SERIES = {
    "T301": "is empty",
    "T302": "is not a time as expected",
    "T303": "is not a time of its zone",
    "T314": "is not one instant on the clock of its zone",
    "V401": "is not a number",
}
MOST_ROWS = 1_000_000
MOST_KINDS = 20  # ways in which one column may be wrong


@dataclass(frozen=True, slots=True, eq=False)
class Readable:
    """What a file with faults holds.

    Attributes:
        faults: one for each kind and column, with its first line.
        table: the rows without a fault in time or id, as ``read_table`` gives them; a number that cannot be read
            is NaN there. None where no row is left.
        lost: whether rows are left out.
        unread: rows of the file that have a number which cannot be read.
    """

    faults: list[DataError]
    table: pd.DataFrame | None
    lost: bool
    unread: IntArray


def readable_part(path: str, data: DataConfig) -> Readable:
    """All faults of a CSV file and its readable rows; of a very long file those of the first million rows.

    Args:
        path: one local CSV file that ``read_table`` refused with a code of ``IN_A_CELL``.
        data: as given to it.

    Raises:
        DataError: the file cannot be read at all.
    """
    (found,) = local_files(path)
    file, columns = open_file(found, data), columns_of(data)
    refuse_absent(file.name, file.columns, columns)
    faults, records = _records(file)
    if not records:
        return Readable(faults, None, lost=True, unread=np.empty(0, np.int64))
    places = {name: file.columns.index(name) for name in [*columns.text, *columns.numbers]}
    cells = {
        name: pa.chunked_array([pa.array([record[place] for _, _, record in records], pa.string())])
        for name, place in places.items()
    }
    read = pa.table(cells)
    lines = [line for _, line, _ in records]
    source = _Patient(file.name, columns, read, [Part(file.name, read, file)], lines=lines)
    try:
        table = long_table(source, data)
    except DataError as error:
        return Readable([*faults, *source.faults, error], None, lost=True, unread=np.empty(0, np.int64))
    file_rows = np.array([row for row, _, _ in records])
    is_lost = np.isin(table.index, _joined(source.lost))
    table.index = pd.Index(file_rows[table.index.to_numpy()])
    return Readable(
        faults=[*faults, *source.faults],
        table=table[~is_lost] if not is_lost.all() else None,
        lost=bool(faults) or bool(is_lost.any()),
        unread=file_rows[_joined(source.unread)],
    )


def read_apart(
    data: DataConfig, source: str | Path | pd.DataFrame | None = None
) -> tuple[pd.DataFrame, dict[str, tuple[str, str]]]:
    """As :func:`read_table`, and the series of which a cell cannot be read: code and reason by name.

    With ``data.on_bad_series: fail`` there are none: the source is refused, as it is where all are such series, where
    the name of one cannot be read, and where it can be read only once. A number that cannot be read is NaN in the
    table, and a row without its time is not in it.

    Args:
        data: as given to :func:`read_table`.
        source: as given to it.

    Raises:
        DataError: as :func:`read_table`.
    """
    source = data.path if source is None else source
    try:
        return read_table(data, source=source), {}
    except DataError as error:
        patients = _patients(data, source) if _is_of_a_series(error, data) else None
        return _set_apart(next(patients) if patients else None, data, error)


def read_apart_in_ranges(data: DataConfig, source: str, spill: Spill) -> Iterator[tuple[Apart, bool]]:
    """As :func:`read_apart`, range by range of the series where the source is too large for memory.

    Args:
        data: as given to :func:`read_table`.
        source: what ``data.path`` may be.
        spill: where rows go that memory is not for.

    Yields:
        What was read, and whether it is only a range: then all of its series may be bad.

    Raises:
        DataError: as :func:`read_table`.
        ResourceError: the disk is full.
    """
    refused = None
    with memory_errors(name_of(source)):
        try:
            found: Iterator[Source] = read_in_ranges(data, source, spill)
        except DataError as error:
            patients = _patients(data, source, spill) if _is_of_a_series(error, data) else None
            if patients is None:
                raise
            found, refused = patients, error
    for each in found:
        with memory_errors(name_of(source)):
            made = _range_apart(each, data, source, refused)
        pa.default_memory_pool().release_unused()  # what was read is as large as what it became
        yield made, each.rows is not None


def _range_apart(found: Source, data: DataConfig, source: str, refused: DataError | None) -> Apart:
    """The rows of a source; where a cell cannot be read, as ``refused`` may know already, its series beside."""
    if refused is None:
        try:
            return _of_rows(long_table(found, data), found), {}
        except DataError as error:
            if not _is_of_a_series(error, data):
                raise
            refused = error
    patient: Source | None = found
    if not isinstance(found, _Patient):
        if found.rows is not None:
            patient = _as_patient(found) if found.parts[0].csv is not None else None
        else:  # read anew: what was quick to read may have lost how it was written
            patient = next(_patients(data, source) or iter([None]))
    return _set_apart(patient, data, refused)


def _set_apart(patient: Source | None, data: DataConfig, refused: DataError) -> Apart:
    """The rows of a source and its bad series.

    Raises:
        DataError: the one given, where what is wrong is not about series, or about all of them.
    """
    made = _apart_of(patient, data) if isinstance(patient, _Patient) else None
    if patient is not None and patient.rows is not None:
        return made or _all_apart(patient, refused)
    if made is None or _are_all_bad(*made):
        raise refused
    return made


def _all_apart(found: Source, refused: DataError) -> Apart:
    """No row of a range, and all of its series bad."""
    reason = str(refused).removeprefix(f"{found.name}: ").rstrip(".")
    names = found.cells(found.columns.id, None).unique().to_pylist()
    nothing = pd.DataFrame({"unique_id": pd.Categorical([]), "ds": pd.DatetimeIndex([]), "y": np.empty(0)})
    return nothing, dict.fromkeys(names, (refused.code or "", reason))


def _are_all_bad(table: pd.DataFrame, bad: Mapping[str, object]) -> bool:
    return {*map(str, table["unique_id"].cat.categories)} <= {*bad}


def _is_of_a_series(error: DataError, data: DataConfig) -> bool:
    """Whether what is wrong may be wrong with single series, and the others are wanted."""
    return data.on_bad_series != "fail" and error.code in OF_A_SERIES


def _apart_of(patient: _Patient, data: DataConfig) -> Apart | None:
    """As :func:`read_apart`; None where what is wrong is not about series. All of them may be bad."""
    try:
        table = long_table(patient, data)
    except DataError:
        return None
    if {error.code for _, error, _ in patient.by_column} - {*OF_A_SERIES}:
        return None
    bad: dict[str, tuple[str, str]] = {}
    every = [str(name) for name in table["unique_id"].cat.categories]
    for columns, error, cells in patient.by_column:
        places = patient.places(error.rows)
        for row in error.rows.tolist():
            cell = clipped(str(cells[row].as_py() or ""))
            reason = f"{places[row]}, {quoted(columns)}: {cell} {OF_A_SERIES[error.code]}"
            for name in _series_of(patient.columns, columns[0], table, row) or every:
                bad.setdefault(name, (error.code, reason))
    table = _of_rows(table, patient)
    return table[~np.isin(table.index, patient.original(_joined(patient.lost)))], bad


def _of_rows(table: pd.DataFrame, found: Source) -> pd.DataFrame:
    """The table of a range of series, its index the rows of the source."""
    if found.rows is not None:
        table.index = pd.Index(found.rows)
    return table


def _series_of(columns: Columns, column: str, table: pd.DataFrame, row: int) -> list[str]:
    """The series that a cell is of; none for one that all columns of a wide file share."""
    if columns.id:
        return [str(table["unique_id"].iloc[row])]
    return [column] if column in columns.targets else []


def _patients(
    data: DataConfig, source: str | Path | pd.DataFrame, spill: Spill | None = None
) -> Iterator[_Patient] | None:
    """A source, or its ranges, with all columns as text; None where it can be read only once."""
    columns = columns_of(data)
    if isinstance(source, pd.DataFrame):
        return iter([_as_patient(from_frame(source, columns))])
    path = str(source)
    if kind_of(path) != "files" or any(file.is_parquet for file in local_files(path)):
        return None
    try:
        parts = text_parts(local_files(path), data, spill)
    except DataError:
        return None
    return map(_as_patient, in_ranges(name_of(path), columns, parts, spill))


def _as_patient(found: Source) -> _Patient:
    return _Patient(found.name, found.columns, found.table, found.parts, found.rows)


def _records(file: CsvFile) -> tuple[list[DataError], list[tuple[int, int, list[str]]]]:
    """What is wrong with whole records, and the row, line and cells of the others."""
    good: list[tuple[int, int, list[str]]] = []
    wrong: dict[str, list[str]] = {}
    for row, (line, cells) in enumerate(islice(file.records(), 1, MOST_ROWS + 1)):
        for code, look in (("F106", wrong_width), ("F108", undecoded)):
            if fault := look(file, cells):
                wrong.setdefault(code, []).append(f"{file.name}: line {line}: {fault}")
                break
        else:
            good.append((row, line, cells))
    faults = [
        DataError(f"{texts[0]}{_others(len(texts), 'lines')}.", code=code) for code, texts in wrong.items()
    ]
    return faults, good


@dataclass(frozen=True, slots=True, eq=False)
class _Patient(Source):
    """Columns of text that are read to their end, whatever is wrong in them.

    Attributes:
        lines: line of each row; empty where the parts know them.
        faults: what was wrong.
        by_column: the same, with the columns that are read as one, the rows and the cells of each.
        lost: rows whose time or id cannot be read, and which stand for nothing now.
        unread: rows with a number that cannot be read.
    """

    lines: list[int] = field(default_factory=list)
    faults: list[DataError] = field(default_factory=list)
    by_column: list[tuple[Sequence[str], CellError, Any]] = field(default_factory=list)
    lost: list[IntArray] = field(default_factory=list)
    unread: list[IntArray] = field(default_factory=list)

    def read(
        self, columns: Sequence[str], convert: Callable[[Any], Values], join: Join | None = None
    ) -> Values:
        """As in the base, with another cell in place of one that cannot be read."""
        cells = self.cells(columns, join)
        cells = cells.cast(pa.string()) if pa.types.is_dictionary(cells.type) else cells
        is_number = columns[0] in self.columns.numbers
        for _ in range(MOST_KINDS):
            try:
                return convert(cells)
            except CellError as error:
                good = np.setdiff1d(np.arange(len(cells)), np.concatenate([error.rows, *self.lost]))
                if error.row is None or not (len(good) or is_number):
                    raise self._fault(columns, error) from error
                self.faults.append(self._fault(columns, error))
                self.by_column.append((columns, error, cells))
                (self.unread if is_number else self.lost).append(error.rows)
                wrong = np.zeros(len(cells), dtype=np.bool_)
                wrong[error.rows] = True
                other = pa.scalar(None, cells.type) if is_number else cells[int(good[0])]
                cells = pc.if_else(pa.array(wrong), other, cells)
        raise DataError(
            f"{self.name}: {quoted(columns)}: it is wrong in many ways; correct those above.", code="T302"
        )

    def places(self, rows: IntArray) -> dict[int, str]:
        """Where rows stand, each file walked once; of a range of series, whose files are large, by their numbers."""
        if self.rows is not None:
            return {row: f"row {self.rows[row] + 1}" for row in rows.tolist()}
        found: dict[int, str] = {}
        begin = 0
        for part in self.parts:
            end = begin + part.table.num_rows
            inside = {int(row) - begin for row in rows if begin <= row < end}
            lines = lines_of(part.csv, inside) if part.csv and inside else {}
            file = f"{part.name}, " if len(self.parts) > 1 else ""
            found |= {
                begin + row: file + (f"line {lines[row]}" if row in lines else f"row {row + 1}")
                for row in inside
            }
            begin = end
        return found

    def _fault(self, columns: Sequence[str], error: CellError) -> DataError:
        place = f"{self.name}: "
        if error.row is not None:
            place = f"{place}line {self.lines[error.row]}, " if self.lines else self._place(error.row)
        others = _others(len(error.rows), "cells")
        return DataError(f"{place}{quoted(columns)}: {error}{others}.", code=error.code)


def _others(count: int, things: str) -> str:
    return f" ({count} such {things})" if count > 1 else ""


def _joined(rows: list[IntArray]) -> IntArray:
    return np.unique(np.concatenate([np.empty(0, np.int64), *rows]))
