"""The rows of a SQL query as a table of columns, through SQLAlchemy.

Nothing is ever written: SQLite is opened read-only, PostgreSQL in a read-only transaction, and no transaction
is committed.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pyarrow as pa

from tsforecast.config.location import Resolved, resolved, without_secrets
from tsforecast.config.schema import DataConfig
from tsforecast.errors import ConfigError, DataError, TsforecastError
from tsforecast.series.columns import Columns, columns_of, refuse_absent
from tsforecast.series.pieces import Pieces, Spill
from tsforecast.storage.engine import CONNECT, EXTRA, with_driver

__all__ = ["query_table"]

ROWS_AT_A_TIME = 50_000
READ_ONLY: dict[str, dict[str, Any]] = {"postgresql": {"postgresql_readonly": True}}


def query_table(path: str, data: DataConfig, spill: Spill | None = None) -> Any:
    """A pyarrow table of the columns the config names, from the rows of ``data.query`` in the order they come.

    Rows are fetched in chunks, so that memory holds columns of numbers and not rows of Python values.

    Args:
        path: the URL of the database.
        data: the query, and the columns wanted of what it gives.
        spill: where rows go that are too many for memory; the table is then a ``Pieces``.

    Raises:
        ConfigError: SQLAlchemy or the driver is not installed, the URL cannot be understood, or there is no query.
        DataError: the database cannot be reached, or refuses the query.
    """
    name = without_secrets(path)
    if data.query is None:
        raise ConfigError(f"{name}: a database is read with a query, and the config has no data.query.")
    try:
        location = resolved(path)
    except ValueError as error:
        raise ConfigError(f"data.path: {name}: {error}.") from error
    try:
        import sqlalchemy
    except ImportError as error:
        raise ConfigError(f"data.path: {name}: databases are read with SQLAlchemy: {EXTRA}.") from error
    # What a driver raises may hold the URL with its secrets, so that it is no cause to show.
    try:
        return _fetched(_engine(location, name), data.query, columns_of(data), name, spill)
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        found = location.scrubbed(str(error))
        raise ConfigError(
            f"data.path: {name}: the driver of this database is not installed ({found}): {EXTRA}, "
            "or the driver that SQLAlchemy's documentation names."
        ) from None
    except sqlalchemy.exc.ArgumentError as error:
        raise ConfigError(f"data.path: {name}: {location.scrubbed(str(error))}.") from None
    except sqlalchemy.exc.DBAPIError as error:
        found = location.scrubbed(str(error.orig)).strip().partition("\n")[0].rstrip(".")
        raise DataError(
            f"{name}: the query failed: {found}; check data.query and data.path.", code="F101"
        ) from None
    except (TsforecastError, MemoryError):  # a signal, for one
        raise
    except Exception as error:
        found = location.scrubbed(str(error)).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(
            f"{name}: cannot be read: {found}; check data.query and data.path.", code="F101"
        ) from None


def _engine(location: Resolved, name: str) -> Any:
    import sqlalchemy

    url = with_driver(location.url)
    kind = url.get_backend_name()
    if kind == "sqlite":
        url = _read_only_file(url, name)
    waits = {key: value for key, value in CONNECT.get(kind, {}).items() if key not in url.query}
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=waits)


def _read_only_file(url: Any, name: str) -> Any:
    """The URL of a SQLite file that is there; SQLite would make one that is not."""
    if url.database in (None, "", ":memory:") or url.database.startswith("file:"):
        return url
    path = Path(url.database).absolute()
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"{name}: {reason}; check the path and the rights to read it.", code="F101"
        ) from error
    if not is_file:
        raise DataError(f"{name}: this is no regular file; name a SQLite database.", code="F101")
    query = {**url.query, "mode": "ro", "uri": "true"}
    return url.set(database=f"file:{quote(str(path))}", query=query)


def _fetched(engine: Any, query: str, columns: Columns, name: str, spill: Spill | None) -> Any:
    # Without parameters, a percent sign and a colon in the query are what they are.
    options = {"stream_results": True, "yield_per": ROWS_AT_A_TIME, "no_parameters": True}
    with engine.connect() as connection:
        careful = connection.execution_options(**READ_ONLY.get(engine.dialect.name, {}), **options)
        result = careful.exec_driver_sql(query)
        if not result.returns_rows:
            raise DataError(f"{name}: data.query gives no rows; write a SELECT.", code="F102")
        found = list(result.keys())
        refuse_absent(name, found, columns)
        places = {column: found.index(column) for column in columns.keys}
        chunks: dict[str, list[Any]] = {column: [] for column in places}
        pieces, n_pieces = None if spill is None else Pieces(spill), 1
        for count, rows in enumerate(result.partitions(), start=1):
            for column, place in places.items():
                chunks[column].append(_array([row[place] for row in rows], column, columns, name))
            if (
                pieces is not None
                and spill is not None
                and count * ROWS_AT_A_TIME >= spill.most_rows * n_pieces
            ):
                n_pieces += 1
                _put(pieces, _table(chunks, name), name)
                chunks = {column: [] for column in places}
    if pieces is None:
        return _table(chunks, name)
    _put(pieces, _table(chunks, name), name)
    return pieces


def _put(pieces: Pieces, table: Any, name: str) -> None:
    """Puts further rows behind those that are there, of the same types."""
    if pieces.num_rows:
        for column in table.column_names:
            kinds = [pieces.schema.field(column).type, table.schema.field(column).type]
            _joined([pa.array([], kind) for kind in kinds], column, name)
    pieces.put(table)


def _table(chunks: Mapping[str, Sequence[Any]], name: str) -> Any:
    return pa.table({column: _joined(arrays, column, name) for column, arrays in chunks.items()})


def _array(values: list[Any], column: str, columns: Columns, name: str) -> Any:
    """Values of one column; decimals among numbers become floats, and ids that are UUIDs text."""
    if column in columns.numbers:
        values = [float(value) if isinstance(value, Decimal) else value for value in values]
    elif column in columns.id:
        values = [str(value) if isinstance(value, UUID) else value for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise DataError(
            f"{name}: column {column!r}: holds values of different types, or of one that is not read: {error}; "
            "use CAST in data.query.",
            code="F110",
        ) from error


def _joined(arrays: Sequence[Any], column: str, name: str) -> Any:
    """The chunks as one column; one without any value takes the type of the others."""
    if not arrays:
        return pa.nulls(0)
    try:
        tables = [pa.table({column: array}) for array in arrays]
        return pa.concat_tables(tables, promote_options="permissive").column(column)
    except pa.ArrowException as error:
        raise DataError(
            f"{name}: column {column!r}: holds values of different types: {error}; use CAST in data.query.",
            code="F110",
        ) from error
