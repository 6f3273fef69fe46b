"""Reading: a file or a frame becomes the long table ``unique_id, ds, y``, renamed once and for all."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from tsforecast.config.schema import DataConfig
from tsforecast.config.words import nearest_word
from tsforecast.errors import DataError
from tsforecast.series.cells import (
    CellError,
    in_zone,
    to_ids,
    to_integers,
    to_numbers,
    to_timestamps,
    unix_timestamps,
)
from tsforecast.series.csvfile import CsvFile, Opener, line_of, open_csv, read_columns
from tsforecast.series.timeaxis import INTEGER

__all__ = ["LONG_NAMES", "STDIN", "listed", "name_of", "opener_of", "place_of", "read_table"]

STDIN = "-"
LONG_NAMES = ("unique_id", "ds", "y")
MAX_COLUMNS_SHOWN = 20

Values = TypeVar("Values")


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that are read, as the file spells them."""

    time: str
    targets: tuple[str, ...]
    id: str | None
    past: tuple[str, ...]

    @property
    def keys(self) -> dict[str, str]:
        """Config key of each column."""
        keys = {self.time: "data.time"} | dict.fromkeys(self.targets, "data.target")
        if self.id is not None:
            keys[self.id] = "data.id"
        return keys | dict.fromkeys(self.past, "data.covariates.past")

    @property
    def text(self) -> list[str]:
        return [self.time] if self.id is None else [self.time, self.id]

    @property
    def numbers(self) -> list[str]:
        return [*self.targets, *self.past]


@dataclass(frozen=True, slots=True)
class Source:
    """The columns as they came, and what is needed to say where in them a fault is."""

    name: str
    columns: Columns
    table: Any  # a pyarrow table
    csv: CsvFile | None = None

    def read(self, column: str, convert: Callable[[Any], Values]) -> Values:
        """A column converted, with file, line and column in front of what is wrong in it."""
        try:
            return convert(self.table.column(column))
        except CellError as error:
            place = "" if error.row is None else f"{self._place(error.row)}, "
            raise DataError(f"{self.name}: {place}column {column!r}: {error}.") from error
        except pa.ArrowException as error:
            raise DataError(f"{self.name}: column {column!r}: cannot be converted: {error}.") from error

    def _place(self, row: int) -> str:
        return f"row {row + 1}" if self.csv is None else f"line {line_of(self.csv, row)}"


def read_table(data: DataConfig, *, source: str | Path | pd.DataFrame | None = None) -> pd.DataFrame:
    """The long table of all series, its rows in the order of the file.

    Columns are ``unique_id`` (text), ``ds`` (timestamps to the microsecond, or int64 with ``freq: integer``),
    ``y`` (float64, NaN for missing) and the past covariates under their own names (float64). The index is the
    data row of the file, counted from 0. A wide file gives one series per target column, one after the other.

    Args:
        data: names of the columns and form of the file.
        source: instead of ``data.path``: a path, ``-`` for the standard input, or a frame with the user's
            column names or with ``unique_id``, ``ds`` and ``y``.

    Raises:
        DataError: the file is missing or not readable, a column is absent, or a cell cannot be read.
    """
    if isinstance(source, pd.DataFrame):
        return _long_table(_from_frame(source, data), data)
    path = str(data.path if source is None else source)
    return _long_table(
        _from_parquet(path, data) if path.endswith(".parquet") else _from_csv(path, data), data
    )


def place_of(data: DataConfig, where: str, row: int) -> str:
    """Where a row of the table stands, for messages: its line in a CSV file, else its number.

    Args:
        data: as given to :func:`read_table`.
        where: the file the table was read from.
        row: from the index of the table.
    """
    if where.endswith(".parquet") or not Path(where).is_file():
        return f"row {row + 1}"
    return f"line {line_of(_open_csv(where, opener_of(where), data), row)}"


def name_of(path: str) -> str:
    """What a file is called in messages."""
    return "standard input" if path == STDIN else path


def opener_of(path: str) -> Opener:
    """What opens a file from its start, decompressed by its ending; ``-`` is the standard input, in memory.

    Raises:
        DataError: there is no such regular file, or it may not be read.
    """
    if path == STDIN:
        if sys.stdin is None or sys.stdin.closed:
            raise DataError(f"{name_of(path)}: it is closed; pipe the data in, or name a file.")
        content = sys.stdin.buffer.read()
        return lambda: pa.BufferReader(content)
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISREG(mode):
            pa.input_stream(path, compression=None).close()
            return lambda: pa.input_stream(path)
    except OSError as error:
        raise DataError(f"{path}: {_reason(error)}; check the path and the rights to read it.") from error
    found = "a folder" if stat.S_ISDIR(mode) else "no regular file"
    raise DataError(
        f"{path}: this is {found}; name a CSV or Parquet file, or pipe the data in and name it -."
    )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _from_csv(path: str, data: DataConfig) -> Source:
    file = _open_csv(path, opener_of(path), data)
    columns = _columns_of(data)
    _refuse_absent(file.name, file.columns, columns)
    return Source(file.name, columns, read_columns(file, text=columns.text, numbers=columns.numbers), file)


def _open_csv(path: str, opener: Opener, data: DataConfig) -> CsvFile:
    columns = _columns_of(data)
    return open_csv(name_of(path), opener, data.format, wanted=list(columns.keys), numbers=columns.numbers)


def _from_parquet(path: str, data: DataConfig) -> Source:
    import pyarrow.parquet as pq  # most runs read CSV and start sooner without it

    columns = _columns_of(data)
    opener_of(path)
    try:
        file = pq.ParquetFile(path)
        _refuse_absent(path, file.schema_arrow.names, columns)
        table = file.read(columns=list(columns.keys))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet: {error}; check the file.") from error
    return Source(path, columns, _decoded(_refuse_empty(path, table)))


def _from_frame(frame: pd.DataFrame, data: DataConfig) -> Source:
    name, columns = "DataFrame", _columns_of(data)
    if not set(columns.keys) <= set(frame.columns) and set(LONG_NAMES) <= set(frame.columns):
        columns = Columns(time="ds", targets=("y",), id="unique_id", past=columns.past)
    _refuse_absent(name, list(map(str, frame.columns)), columns)
    try:
        table = pa.Table.from_pandas(frame[list(columns.keys)], preserve_index=False)
    except (pa.ArrowException, TypeError) as error:
        raise DataError(f"{name}: a column holds values of different types: {error.args[0]}.") from error
    return Source(name, columns, _decoded(_refuse_empty(name, table)))


def _decoded(table: Any) -> Any:
    """Without dictionaries: those of categorical columns may hold words that no row has."""
    fields = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _refuse_empty(name: str, table: Any) -> Any:
    if table.num_rows == 0:
        raise DataError(f"{name}: there is no row; expected at least one.")
    return table


def _columns_of(data: DataConfig) -> Columns:
    targets = (data.target,) if isinstance(data.target, str) else tuple(data.target)
    return Columns(time=data.time, targets=targets, id=data.id, past=tuple(data.covariates.past))


def _refuse_absent(name: str, found: Sequence[str], columns: Columns) -> None:
    for column, key in columns.keys.items():
        count = found.count(column) if isinstance(found, list) else list(found).count(column)
        if count > 1:
            raise DataError(f"{name}: {count} columns are named {column!r}; give each its own name.")
        if count == 0:
            raise DataError(
                f"{name}: there is no column {column!r}, which {key} names; "
                f"the columns are {listed(found)}.{_nearest(column, found)}"
            )


def listed(columns: Sequence[str]) -> str:
    """Names of columns for a message, cut where there are many."""
    shown = ", ".join(map(repr, columns[:MAX_COLUMNS_SHOWN]))
    hidden = len(columns) - MAX_COLUMNS_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def _nearest(column: str, found: Sequence[str]) -> str:
    by_lower = {name.strip().lower(): name for name in found}
    nearest = nearest_word(column.strip(), list(by_lower))
    return f" Did you mean {by_lower[nearest]!r}?" if nearest else ""


def _long_table(source: Source, data: DataConfig) -> pd.DataFrame:
    columns = source.columns
    if taken := set(columns.past) & set(LONG_NAMES):
        raise DataError(
            f"{source.name}: the covariate {min(taken)!r} has a name with a meaning of its own; rename it."
        )
    ds = source.read(columns.time, _time_reader(data))
    y = [source.read(target, _number_reader(source)) for target in columns.targets]
    past = {name: source.read(name, _number_reader(source)) for name in columns.past}
    n_rows = len(ds)
    row = np.tile(np.arange(n_rows), len(y))
    if columns.id is None:
        ids = pd.Series(np.repeat(np.array(columns.targets, dtype=object), n_rows), dtype="str")
    else:
        ids = source.read(columns.id, to_ids)
    table = {"unique_id": ids.array, "ds": ds[row], "y": np.concatenate(y)}
    table |= {name: values[row] for name, values in past.items()}
    return pd.DataFrame(table, index=pd.Index(row))


def _time_reader(data: DataConfig) -> Callable[[Any], Any]:
    if data.freq == INTEGER:
        return to_integers
    form = data.format

    def read(column: Any) -> pd.DatetimeIndex:
        if form.unit:
            moments = unix_timestamps(column, unit=form.unit)
        else:
            moments = to_timestamps(column, time_format=form.time_format)
        return in_zone(moments, form.timezone) if form.timezone else moments

    return read


def _number_reader(source: Source) -> Callable[[Any], Any]:
    if source.csv is None:
        return to_numbers
    decimal, thousands = source.csv.decimal, source.csv.thousands
    return lambda column: to_numbers(column, decimal=decimal, thousands=thousands)
