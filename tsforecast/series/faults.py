"""Every fault of a CSV file that the reader refused, and the rows that can be read all the same.

Reading stops at the first fault; here a refused file is walked once more, cell by cell, so that all its faults are
told together and the rest of its rows can be checked. Nothing is trained on what comes from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tsforecast.config.schema import DataConfig
from tsforecast.errors import DataError
from tsforecast.series.cells import CellError
from tsforecast.series.columns import columns_of, refuse_absent
from tsforecast.series.csvfile import CsvFile, undecoded, wrong_width
from tsforecast.series.joined import quoted
from tsforecast.series.panel import IntArray
from tsforecast.series.read import Join, Source, Values, long_table
from tsforecast.series.sources import Part, local_files, open_file

__all__ = ["IN_A_CELL", "MOST_ROWS", "Readable", "readable_part"]

# Codes of faults that leave the rest of the file readable.
IN_A_CELL = ("F106", "F108", "I201", "T301", "T302", "T303", "T314", "V401")
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
        name: pa.array([record[place] for _, _, record in records], pa.string())
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
        lines: line of each row.
        faults: what was wrong.
        lost: rows whose time or id cannot be read, and which stand for nothing now.
        unread: rows with a number that cannot be read.
    """

    lines: list[int] = field(default_factory=list)
    faults: list[DataError] = field(default_factory=list)
    lost: list[IntArray] = field(default_factory=list)
    unread: list[IntArray] = field(default_factory=list)

    def read(
        self, columns: Sequence[str], convert: Callable[[Any], Values], join: Join | None = None
    ) -> Values:
        """As in the base, with another cell in place of one that cannot be read."""
        cells = self.cells(columns, join).to_pandas().astype(object)
        is_number = columns[0] in self.columns.numbers
        for _ in range(MOST_KINDS):
            try:
                return convert(pa.chunked_array([pa.array(cells, pa.string())]))
            except CellError as error:
                good = np.setdiff1d(np.arange(len(cells)), np.concatenate([error.rows, *self.lost]))
                if error.row is None or not len(good):
                    raise self._fault(columns, error) from error
                self.faults.append(self._fault(columns, error))
                cells.iloc[error.rows] = None if is_number else cells.iloc[good[0]]
                (self.unread if is_number else self.lost).append(error.rows)
        raise DataError(
            f"{self.name}: {quoted(columns)}: it is wrong in many ways; correct those above.", code="T302"
        )

    def _fault(self, columns: Sequence[str], error: CellError) -> DataError:
        place = "" if error.row is None else f"line {self.lines[error.row]}, "
        others = _others(len(error.rows), "cells")
        return DataError(f"{self.name}: {place}{quoted(columns)}: {error}{others}.", code=error.code)


def _others(count: int, things: str) -> str:
    return f" ({count} such {things})" if count > 1 else ""


def _joined(rows: list[IntArray]) -> IntArray:
    return np.unique(np.concatenate([np.empty(0, np.int64), *rows]))
