"""Where forecasts go: CSV, Parquet partitioned by as-of, a table of a database, a stream.

Each sink is written whole or not at all: files take their name in one step, tables change in one transaction. The
same forecasts once more leave the same bytes and the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from tsforecast.errors import ConfigError, ResourceError, TsforecastError
from tsforecast.storage.archive import SCORING_COLUMNS, instant
from tsforecast.storage.atomic import output_errors, replacing
from tsforecast.storage.engine import CONNECT, EXTRA, with_driver
from tsforecast.storage.spool import tables_of

__all__ = [
    "Address",
    "Issue",
    "expire_partitions",
    "partition_path",
    "sqlite_file",
    "upsert",
    "write_csv",
    "write_parquet",
    "write_stream",
]

ROWS_AT_A_TIME = 50_000
ROWS_OF_A_GROUP = 131_072
KEY = ("job", "as_of", "unique_id", "ds")
# Databases in which rows are replaced by their key; elsewhere they are deleted and inserted, in one transaction too.
UPSERTS = ("sqlite", "postgresql")
# SQLite waits so long for another writer.
WAITS: dict[str, dict[str, Any]] = {**CONNECT, "sqlite": {"timeout": 30}}
CHECK_FILE = "Check that its disk has room, that you may write there and that nobody else holds it"
CHECK_SERVER = "Check that the database runs and lets you in"


@dataclass(frozen=True, slots=True, eq=False)
class Issue:
    """Forecasts on their way out.

    Attributes:
        job: name of the job.
        as_of: newest moment they know.
        run_key: stands for everything they depend on.
        table: the forecast table, sorted, in memory or a ``Spool``; what the archive has beside is not written.
        date_format: of timestamps in CSV; None for pandas' own.
    """

    job: str
    as_of: str
    run_key: str
    table: Any
    date_format: str | None = None

    @property
    def schema(self) -> pa.Schema:
        """Of the forecast table."""
        return self._written(self.table.schema.empty_table()).schema

    def tables(self, max_rows: int) -> Iterator[pa.Table]:
        """The forecast table, so many rows at a time."""
        return map(self._written, tables_of(self.table, max_rows))

    @staticmethod
    def _written(table: pa.Table) -> pa.Table:
        return table.drop_columns([name for name in SCORING_COLUMNS if name in table.column_names])


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A table of a database.

    Attributes:
        url: to connect with; never shown.
        table: its name, maybe after that of its schema and a dot.
        name: the URL as messages have it.
        scrubbed: takes the secrets of the URL out of a message.
    """

    url: str
    table: str
    name: str
    scrubbed: Callable[[str], str]


def write_csv(path: Path, issue: Issue) -> None:
    """Replaces a CSV file.

    Raises:
        ConfigError: the path cannot be written.
        ResourceError: the disk is full.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        for text in _csv_texts(issue):
            file.write(text)


def write_stream(emit: Callable[[str], None], issue: Issue) -> None:
    """Hands the forecasts as CSV to a function, part by part."""
    for text in _csv_texts(issue):
        emit(text)


def write_parquet(folder: Path, issue: Issue) -> Path:
    """Replaces the job's file in the partition of its as-of, and returns its path.

    Raises:
        ConfigError: the path cannot be written.
        ResourceError: the disk is full.
    """
    path = partition_path(folder, job=issue.job, as_of=issue.as_of)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, issue.schema, compression="zstd") as file:
        for table in issue.tables(ROWS_OF_A_GROUP):
            file.write_table(table, row_group_size=ROWS_OF_A_GROUP)
    return path


def partition_path(folder: Path, *, job: str, as_of: str) -> Path:
    """Where a job's forecasts of an as-of are; readers of Hive partitions find the column ``as_of``."""
    return folder / f"as_of={quote(as_of, safe='')}" / f"{quote(job, safe=' ')}.parquet"


def expire_partitions(folder: Path, *, job: str, older_than: str) -> int:
    """Deletes a job's files of as-ofs before one, and returns how many there were.

    Args:
        folder: of a Parquet sink.
        job: whose files; those of others stay, and what no sink has written.
        older_than: the first as-of that is kept.
    """
    count = 0
    with output_errors(folder):
        for partition in sorted(folder.glob("as_of=*")):
            as_of = unquote(partition.name.removeprefix("as_of="))
            file = partition_path(folder, job=job, as_of=as_of)
            if instant(as_of) < instant(older_than) and file.is_file():
                file.unlink()
                count += 1
                if not any(partition.iterdir()):
                    partition.rmdir()
    return count


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for other databases and for one in memory."""
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///(?!:memory:|file:)([^?]+)(?:\?.*)?", url)
    return Path(match[1]) if match else None


def upsert(address: Address, issue: Issue) -> None:
    """Puts the forecasts into a table in one transaction: rows with their key are replaced.

    Rows of the same job and as-of that these forecasts do not have are deleted. Moments with a time zone are written
    in UTC.

    Raises:
        ConfigError: SQLAlchemy or the driver is missing, the URL is none, or the table is of another form.
        ResourceError: the database cannot be reached, or breaks off.
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise ConfigError(f"{address.name}: databases are written with SQLAlchemy: {EXTRA}.") from error
    if file := sqlite_file(address.url):
        with output_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
    # What a driver raises may hold the URL with its secrets, so that it is no cause to show.
    try:
        _upsert(address, issue)
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise ConfigError(
            f"{address.name}: the driver of this database is not installed ({_found(address, error)}): {EXTRA}."
        ) from None
    except sqlalchemy.exc.ArgumentError as error:
        raise ConfigError(f"{address.name}: {_found(address, error)}; check the URL.") from None
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError) as error:
        raise ResourceError(
            f"{address.name}: not written ({_found(address, error)}); its rows are what they were, or all are new. "
            f"{CHECK_FILE if file else CHECK_SERVER}, and run again."
        ) from None
    except sqlalchemy.exc.DBAPIError as error:
        raise ConfigError(
            f"{address.name}: table {address.table!r}: not written ({_found(address, error)}); name another table, or "
            "mend this one."
        ) from None
    except (TsforecastError, MemoryError):
        raise


def _found(address: Address, error: Exception) -> str:
    told = str(getattr(error, "orig", None) or error)
    return address.scrubbed(told).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _upsert(address: Address, issue: Issue) -> None:
    import sqlalchemy

    url = with_driver(address.url)
    waits = {
        key: value for key, value in WAITS.get(url.get_backend_name(), {}).items() if key not in url.query
    }
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=waits)
    schema, _, name = address.table.rpartition(".")
    table = _table(name, schema or None, issue.schema)
    _make_table(engine, table)
    with engine.begin() as connection:
        _check_table(connection, table, address)
        own = (table.c.job == issue.job) & (table.c.as_of == issue.as_of)
        if engine.dialect.name not in UPSERTS:
            connection.execute(table.delete().where(own))
        statement = _statement(table, engine.dialect.name)
        for rows in _rows(issue):
            connection.execute(statement, rows)
        connection.execute(table.delete().where(own & (table.c.run_key != issue.run_key)))


def _table(name: str, schema: str | None, columns: pa.Schema) -> Any:
    """The table as SQLAlchemy describes it: the key, the forecast's columns, the run key."""
    import sqlalchemy as sql

    # MySQL takes no text without a length for a key.
    text = sql.Text().with_variant(sql.String(255), "mysql", "mariadb")
    made = [sql.Column("job", text, primary_key=True), sql.Column("as_of", text, primary_key=True)]
    made += [
        sql.Column(field.name, _type_of(field.type, text), primary_key=field.name in KEY) for field in columns
    ]
    return sql.Table(name, sql.MetaData(schema=schema), *made, sql.Column("run_key", text, nullable=False))


def _type_of(kind: pa.DataType, text: Any) -> Any:
    import sqlalchemy as sql

    if pa.types.is_timestamp(kind):
        return sql.DateTime(timezone=kind.tz is not None)
    if pa.types.is_integer(kind):
        return sql.BigInteger()
    return sql.Double() if pa.types.is_floating(kind) else text


def _make_table(engine: Any, table: Any) -> None:
    """Makes the table where it is missing; another writer may be quicker."""
    import sqlalchemy

    try:
        with engine.begin() as connection:
            table.create(connection, checkfirst=True)
    except (sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.IntegrityError):
        with engine.connect() as connection:
            if not sqlalchemy.inspect(connection).has_table(table.name, schema=table.schema):
                raise


def _check_table(connection: Any, table: Any, address: Address) -> None:
    """Refuses a table that is of another form."""
    import sqlalchemy

    found = sqlalchemy.inspect(connection)
    columns = {column["name"] for column in found.get_columns(table.name, schema=table.schema)}
    key = found.get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]
    if missing := [column.name for column in table.columns if column.name not in columns]:
        raise ConfigError(
            f"{address.name}: table {address.table!r} has no column {missing[0]!r}; add it, or name another table with "
            "`table:`, which is then made."
        )
    if set(key) != set(KEY):
        raise ConfigError(
            f"{address.name}: table {address.table!r} has the primary key ({', '.join(key)}), expected "
            f"({', '.join(KEY)}); name another table with `table:`, which is then made."
        )


def _statement(table: Any, dialect: str) -> Any:
    if dialect not in UPSERTS:
        return table.insert()
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    statement = insert(table)
    values = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in KEY
    }
    return statement.on_conflict_do_update(index_elements=list(KEY), set_=values)


def _rows(issue: Issue) -> Iterator[list[dict[str, Any]]]:
    """Rows of Python values, a part at a time; NaN is NULL."""
    own = {"job": issue.job, "as_of": issue.as_of, "run_key": issue.run_key}
    for table in issue.tables(ROWS_AT_A_TIME):
        if table.num_rows:
            yield [row | own for row in _in_utc(table).to_pylist()]


def _in_utc(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            kind = pa.timestamp("us", tz=None if field.type.tz is None else "UTC")
            table = table.set_column(place, field.name, table.column(place).cast(kind))
    return table


def _csv_texts(issue: Issue) -> Iterator[str]:
    """The table as CSV, a part at a time, the first with the header."""
    is_first = True
    for table in issue.tables(ROWS_AT_A_TIME):
        frame = table.to_pandas()
        if len(frame) or is_first:
            yield frame.to_csv(
                index=False, header=is_first, date_format=issue.date_format, lineterminator="\n"
            )
            is_first = False
