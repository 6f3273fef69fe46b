"""Reading: a source or a frame becomes the long table ``unique_id, ds, y``, renamed once and for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from tsforecast.config.location import STDIN
from tsforecast.config.schema import CovariatesConfig, DataConfig
from tsforecast.errors import DataError
from tsforecast.series.cells import (
    CellError,
    to_ids,
    to_integers,
    to_numbers,
    to_timestamps,
    to_words,
    unix_timestamps,
)
from tsforecast.series.columns import Columns, columns_of, listed, refuse_absent
from tsforecast.series.joined import joined_ids, joined_times, quoted
from tsforecast.series.localtime import LocalClock
from tsforecast.series.memory import (
    BYTES_PER_NUMBER,
    BYTES_PER_ROW,
    memory_errors,
    refuse_beyond_memory,
)
from tsforecast.series.panel import IntArray
from tsforecast.series.pieces import ROW, SERIES, Named, Pieces, Range, Spill, deal
from tsforecast.series.sources import (
    Part,
    joined_tables,
    name_of,
    opener_of,
    place_in,
    read_parts,
    without_dictionaries,
)
from tsforecast.series.timeaxis import INTEGER

__all__ = [
    "LONG_NAMES",
    "STDIN",
    "Source",
    "Values",
    "from_frame",
    "in_ranges",
    "listed",
    "long_table",
    "name_of",
    "opener_of",
    "place_of",
    "read_future",
    "read_in_ranges",
    "read_table",
]

LONG_NAMES = ("unique_id", "ds", "y")

HOUR_24 = re.compile(r" 24(:00)*$")

Values = TypeVar("Values")
Join: TypeAlias = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Source:
    """The columns as they came, and what is needed to say where in them a fault is."""

    name: str
    columns: Columns
    table: Any  # a pyarrow table, the rows of all parts
    parts: Sequence[Part]
    rows: IntArray | None = None  # which of them these are; None for all

    def ids(self) -> pd.Categorical | None:
        """The names of the series, None where no column has them."""
        return self.read(self.columns.id, to_ids, joined_ids) if self.columns.id else None

    def times(self, data: DataConfig, ids: pd.Categorical | None) -> Any:
        """The timestamps, or the integers that count time; what daylight saving repeats is told by series."""
        return self.read(self.columns.time, _time_reader(data, ids), joined_times)

    def read(
        self, columns: Sequence[str], convert: Callable[[Any], Values], join: Join | None = None
    ) -> Values:
        """A column converted, with file, line and column in front of what is wrong in it.

        Args:
            columns: name of the column, or of several that ``join`` makes one of.
            convert: what makes values of the cells.
            join: needed for several columns.
        """
        try:
            return convert(self.cells(columns, join))
        except CellError as error:
            place = f"{self.name}: " if error.row is None else self._place(error.row)
            raise DataError(f"{place}{quoted(columns)}: {error}.", code=error.code) from error
        except pa.ArrowException as error:
            raise DataError(
                f"{self.name}: {quoted(columns)}: cannot be converted: {error}.", code="V402"
            ) from error

    def cells(self, columns: Sequence[str], join: Join | None) -> Any:
        """The cells of a column, or those of several as one."""
        found = [self.table.column(column) for column in columns]
        return found[0] if join is None or len(found) == 1 else join(found)

    def original(self, rows: IntArray) -> IntArray:
        """Which rows of all parts these are."""
        return rows if self.rows is None else self.rows[rows]

    def _place(self, row: int) -> str:
        """File and line of a row."""
        row = int(self.original(np.array([row]))[0])
        ends = np.cumsum([part.table.num_rows for part in self.parts])
        k = int(np.searchsorted(ends, row, side="right"))
        part = self.parts[k]
        return f"{part.name}: {part.place(row - int(ends[k]) + part.table.num_rows)}, "


def read_table(data: DataConfig, *, source: str | Path | pd.DataFrame | None = None) -> pd.DataFrame:
    """The long table of all series, its rows in the order of the source.

    Columns are ``unique_id`` (text), ``ds`` (timestamps to the microsecond, or int64 with ``freq: integer``),
    ``y`` (float64, NaN for missing) and the covariates under their own names (float64, or text where they are
    categorical). The index is the data row of the source, counted from 0 over all its files. A wide file gives one
    series per target column, one after the other.

    Args:
        data: names of the columns and form of the file.
        source: instead of ``data.path``: what that may be, or a frame with the user's column names or with
            ``unique_id``, ``ds`` and ``y``.

    Raises:
        DataError: there is nothing to read, a column is absent, or a cell cannot be read.
        ConfigError: what reads the source is not installed, or the environment lacks a variable of its URL.
        ResourceError: the rows do not fit in memory; a file is read block by block and need not.
    """
    source = data.path if source is None else source
    with memory_errors("DataFrame" if isinstance(source, pd.DataFrame) else name_of(str(source))):
        table = long_table(_opened(data, source), data)
    pa.default_memory_pool().release_unused()  # what was read is as large as what it became
    return table


def read_in_ranges(data: DataConfig, source: str, spill: Spill) -> Iterator[Source]:
    """The source; where it is too large for memory, one for each range of its series, by rising names.

    Args:
        data: as given to :func:`read_table`.
        source: what ``data.path`` may be.
        spill: where rows go that memory is not for.

    Raises:
        DataError: as :func:`read_table`, for what is found before values are converted.
        ConfigError: as :func:`read_table`.
        ResourceError: the disk is full.
    """
    parts = _parts(data, source, spill)
    return in_ranges(name_of(source), columns_of(data), parts, spill)


def in_ranges(name: str, columns: Columns, parts: Sequence[Part], spill: Spill | None) -> Iterator[Source]:
    """As :func:`read_in_ranges`, of parts that were read.

    Raises:
        DataError: a row does not say of which series it is.
        ResourceError: the disk is full.
    """
    if spill is None or not any(isinstance(part.table, Pieces) for part in parts):
        return iter([_source(name, columns, parts)])
    ranges = deal(_named(name, columns, parts), spill)
    columns = replace(columns, id=(SERIES,))
    return (_ranged(name, columns, parts, each) for each in ranges)


def _named(name: str, columns: Columns, parts: Sequence[Part]) -> Iterator[Named]:
    """All rows piece by piece, and the names of their series."""
    n_rows = 0
    for part in parts:
        for table in part.table.given_away() if isinstance(part.table, Pieces) else [part.table]:
            rows = np.arange(n_rows, n_rows + table.num_rows)
            found = Source(name, columns, table, parts, rows)
            found.ids()  # refuses what is no name
            names = found.cells(columns.id, joined_ids)
            yield Named(table.drop_columns(list(columns.id)), names)
            n_rows += table.num_rows


def _ranged(name: str, columns: Columns, parts: Sequence[Part], of: Range) -> Source:
    refuse_beyond_memory(name, of.n_rows, BYTES_PER_ROW + BYTES_PER_NUMBER * len(columns.numbers))
    table = of.table()
    return Source(name, columns, table, parts, np.asarray(table.column(ROW)))


def read_future(data: DataConfig, source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """The long table ``unique_id, ds`` and future covariates of the steps to forecast; no target is read.

    Raises:
        DataError: as :func:`read_table`.
        ConfigError: as :func:`read_table`.
    """
    names = data.covariates.future
    words = [name for name in data.covariates.categorical if name in names]
    # No target is named, which no config of a user may do.
    ahead = data.model_copy(
        update={"target": [], "covariates": CovariatesConfig(future=names, categorical=words)}
    )
    found = _opened(ahead, source)
    ids = found.ids()
    table: dict[str, Any] = {} if ids is None else {"unique_id": ids}
    table["ds"] = found.times(data, ids)
    return pd.DataFrame(table | {name: _covariate(found, name) for name in names})


def _opened(data: DataConfig, source: str | Path | pd.DataFrame) -> Source:
    """A source with the columns the config names, not yet converted."""
    if isinstance(source, pd.DataFrame):
        return from_frame(source, columns_of(data))
    return _source(name_of(str(source)), columns_of(data), _parts(data, str(source)))


def _parts(data: DataConfig, path: str, spill: Spill | None = None) -> Sequence[Part]:
    try:
        return read_parts(path, data, spill)
    except DataError as error:
        for name in columns_of(data).covariates:
            if f"column {name!r}" in str(error) and "is not a number" in str(error):
                raise _or_words(error, name) from error
        raise


def place_of(data: DataConfig, where: str, row: int) -> str:
    """Where a row of the table stands, for messages: its file and line where it has them, else its number.

    Args:
        data: as given to :func:`read_table`.
        where: the source the table was read from.
        row: from the index of the table.
    """
    return place_in(where, data, row)


def _source(name: str, columns: Columns, parts: Sequence[Part]) -> Source:
    try:
        return Source(name, columns, joined_tables([part.table for part in parts]), parts)
    except pa.ArrowException as error:
        raise DataError(
            f"{name}: the files do not fit together: {error}; write all of them the same way.",
            code="F112",
        ) from error


def from_frame(frame: pd.DataFrame, columns: Columns) -> Source:
    """A frame with the columns the config names, or with ``unique_id``, ``ds`` and ``y``, not yet converted.

    Raises:
        DataError: a column is absent or of mixed types, or there is no row.
    """
    name = "DataFrame"
    long_names = LONG_NAMES if columns.targets else LONG_NAMES[:2]
    if not set(columns.keys) <= set(frame.columns) and set(long_names) <= set(frame.columns):
        columns = replace(columns, time=("ds",), targets=columns.targets and ("y",), id=("unique_id",))
    refuse_absent(name, list(map(str, frame.columns)), columns)
    try:
        table = pa.Table.from_pandas(frame[list(columns.keys)], preserve_index=False)
    except (pa.ArrowException, TypeError) as error:
        raise DataError(
            f"{name}: a column holds values of different types: {error.args[0]}.", code="F110"
        ) from error
    if table.num_rows == 0:
        raise DataError(f"{name}: there is no row; expected at least one.", code="F102")
    return _source(name, columns, [Part(name, without_dictionaries(table))])


def long_table(source: Source, data: DataConfig) -> pd.DataFrame:
    """The long table of columns as they came, as :func:`read_table` gives it."""
    columns = source.columns
    if taken := set(columns.covariates) & set(LONG_NAMES):
        raise DataError(
            f"{source.name}: the covariate {min(taken)!r} has a name with a meaning of its own; rename it.",
            code="F111",
        )
    ids = source.ids()
    ds = source.times(data, ids)
    y = [source.read([target], _number_reader(source)) for target in columns.targets]
    covariates = {name: _covariate(source, name) for name in columns.covariates}
    n_rows, n_targets = len(ds), len(y)
    if ids is None:
        names = pd.Index(columns.targets, dtype="str")
        ids = pd.Categorical.from_codes(np.repeat(np.arange(n_targets), n_rows), categories=names)
    table = {"unique_id": ids, "ds": ds, "y": y[0], **covariates}
    if n_targets == 1:
        return pd.DataFrame(table, copy=False)
    row = np.tile(np.arange(n_rows), n_targets)
    table |= {name: table[name][row] for name in ("ds", *covariates)} | {"y": np.concatenate(y)}
    return pd.DataFrame(table, index=pd.Index(row), copy=False)


def _covariate(source: Source, name: str) -> Any:
    """A covariate's cells: words, missing where empty, or numbers."""
    if name in source.columns.categorical:
        return source.read([name], to_words)
    try:
        return source.read([name], _number_reader(source))
    except DataError as error:
        raise _or_words(error, name) from error


def _or_words(error: DataError, name: str) -> DataError:
    """The error, with the other thing a covariate may be."""
    advice = f"Where {name!r} is meant to hold words, add it to data.covariates.categorical."
    return DataError(f"{error} {advice}", code=error.code)


def _time_reader(data: DataConfig, ids: pd.Categorical | None) -> Callable[[Any], Any]:
    if data.freq == INTEGER:
        return to_integers
    form = data.format
    clock = LocalClock(form.timezone, form.repeated_hour, ids) if form.timezone else None

    def read(column: Any) -> pd.DatetimeIndex:
        if form.unit:
            moments = unix_timestamps(column, unit=form.unit)
        elif len(data.time_columns) > 1:
            moments = _joined_timestamps(column, form.time_format)
        else:
            moments = to_timestamps(column, time_format=form.time_format)
        return clock.instants(moments) if clock else moments

    return read


def _joined_timestamps(column: Any, time_format: str) -> pd.DatetimeIndex:
    """Timestamps of several columns, where an hour of 24 tells that hours are counted from 1."""
    try:
        return to_timestamps(column, time_format=time_format)
    except CellError as error:
        found = "" if error.row is None else column[error.row].as_py() or ""
        if not HOUR_24.search(found):
            raise
        raise CellError(
            f"{found!r} has the hour 24, expected 0 to 23; where hours are counted from 1 to 24, subtract 1 from each "
            "of them (the first is then from 0:00 to 1:00)",
            error.rows,
            code=error.code,
        ) from error


def _number_reader(source: Source) -> Callable[[Any], Any]:
    csv = source.parts[0].csv  # all files of a source are laid out alike
    if csv is None:
        return to_numbers
    decimal, thousands = csv.decimal, csv.thousands
    return lambda column: to_numbers(column, decimal=decimal, thousands=thousands)
