"""Rows of SQL queries: from SQLite everywhere, from PostgreSQL where a server can be started."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec
import numpy as np
import pandas as pd
import pytest
from postgres import Server, running_server
from skips import has_postgres

from tsforecast.__main__ import main
from tsforecast.config.load import load_config
from tsforecast.config.schema import DataConfig
from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.series import database
from tsforecast.series.read import place_of, read_table

ALL = "SELECT * FROM sales ORDER BY day, shop"


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    """Sales of two shops whose names are text, one value missing."""
    path = tmp_path / "sales.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE sales (shop TEXT, day TEXT, y REAL, stock INTEGER)")
    rows = [
        ("001", "2024-01-01", None, 5),
        ("1", "2024-01-01", 2, 6),
        ("001", "2024-01-02", 3.5, None),
        ("1", "2024-01-02", 4, 8),
    ]
    connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server with the same sales, in the types a database has for them."""
    if not has_postgres():
        pytest.skip("needs postgres: install a PostgreSQL server")
    with running_server() as running:
        running.execute(
            "CREATE TABLE sales (shop text, day date, y numeric(12, 3), stock bigint)",
            "INSERT INTO sales VALUES ('001', '2024-01-01', 'NaN', 5), ('1', '2024-01-01', 2, 6), "
            "('001', '2024-01-02', 3.5, NULL), ('1', '2024-01-02', 4, 8)",
            "CREATE TABLE load AS SELECT generate_series(timestamptz '2024-03-30 00:00+00', "
            "'2024-04-09 00:00+00', '1 hour') AS hour, 0 AS y",
            "UPDATE load SET y = extract(hour FROM hour)",
            "CREATE SEQUENCE counter",
        )
        yield running


def config(path: Path | str, query: str = ALL, **settings: Any) -> DataConfig:
    url = f"sqlite:///{path}" if isinstance(path, Path) else path
    names: dict[str, Any] = {"path": url, "query": query, "time": "day", "target": "y", "id": "shop"}
    return DataConfig(**(names | settings))


def test_the_rows_of_a_query_are_a_table(sqlite: Path) -> None:
    table = read_table(config(sqlite))

    assert table.dtypes.astype(str).to_dict() == {
        "unique_id": "category",
        "ds": "datetime64[us]",
        "y": "float64",
    }
    assert table["unique_id"].tolist() == ["001", "1", "001", "1"]
    assert table["ds"].dt.day.tolist() == [1, 1, 2, 2]
    assert np.array_equal(table["y"], [np.nan, 2, 3.5, 4], equal_nan=True)


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_come_in_chunks_of_which_some_hold_no_value(
    sqlite: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ROWS_AT_A_TIME", rows)

    assert np.array_equal(read_table(config(sqlite))["y"], [np.nan, 2, 3.5, 4], equal_nan=True)


def test_the_query_goes_to_the_database_as_it_is_written(sqlite: Path) -> None:
    query = "SELECT * FROM sales WHERE shop LIKE '0%' AND ':a' <> '?' AND day < '2024-01-02'"

    assert read_table(config(sqlite, query))["unique_id"].tolist() == ["001"]


def test_integers_count_steps_in_a_database_too(sqlite: Path) -> None:
    query = "SELECT rowid AS day, stock AS y FROM sales WHERE stock"

    assert read_table(config(sqlite, query, id=None, freq="integer"))["ds"].tolist() == [1, 2, 4]


def test_a_row_of_a_query_has_a_number(sqlite: Path) -> None:
    query = "SELECT shop, CASE rowid WHEN 3 THEN 'x' ELSE day END AS day, y FROM sales"

    with pytest.raises(DataError, match=r"sales.db: row 3, column 'day': 'x' is not a date"):
        read_table(config(sqlite, query))
    assert place_of(config(sqlite), f"sqlite:///{sqlite}", 2) == "row 3"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT * FROM gone", "the query failed: no such table: gone; check data.query"),
        ("SELEC", 'the query failed: near "SELEC": syntax error'),
        ("SELECT * FROM sales WHERE y > 99", "there is no row"),
        ("SELECT day, shop FROM sales", "there is no column 'y', which data.target names"),
        ("SELECT s.*, 1 AS y FROM sales s", "2 columns are named 'y'"),
        ("DELETE FROM sales", "attempt to write a readonly database"),
        ("CREATE TEMP TABLE t (x)", "data.query gives no rows; write a SELECT"),
        ("SELECT 1; DROP TABLE sales", "one statement at a time"),
        (
            "SELECT shop, day, CASE rowid WHEN 1 THEN 'x' ELSE y END AS y FROM sales",
            "values of different types",
        ),
        ("SELECT shop, day, x'00' AS y FROM sales", "column 'y': type binary is not numeric"),
        ("SELECT shop, day, 9007199254740993 AS y FROM sales", r"values beyond 2\^53"),
    ],
)
def test_a_query_that_gives_nothing_usable_is_refused(sqlite: Path, query: str, found: str) -> None:
    before = sqlite.read_bytes()

    with pytest.raises(DataError, match=found):
        read_table(config(sqlite, query))

    assert sqlite.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "found"), [("gone.db", "no such file or directory"), ("", "this is no regular file")]
)
def test_a_database_that_is_not_there_is_refused_and_not_made(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(DataError, match=found):
        read_table(config(tmp_path / name))

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("day,y\n" * 999)

    with pytest.raises(DataError, match="file is not a database"):
        read_table(config(tmp_path / "a.db"))


def test_a_sqlite_file_starts_from_the_folder_of_the_config(
    sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = tmp_path / "c.yaml"
    yaml.write_text(
        "data: {path: 'sqlite:///sales.db', query: SELECT * FROM sales, time: day, target: stock, id: shop}\n"
        "horizon: 1\n"
    )
    monkeypatch.chdir("/")

    assert len(read_table(load_config(yaml, environ={}).data)) == 4


def test_another_database_may_be_read_with_the_same_query(sqlite: Path) -> None:
    data = config(sqlite.with_name("gone.db"))

    assert len(read_table(data, source=f"sqlite:///{sqlite}")) == 4


def test_a_database_is_not_read_without_a_query(sqlite: Path) -> None:
    data = DataConfig(path="a.csv", time="day", target="y")

    with pytest.raises(ConfigError, match=r"sales.db: .*the config has no data.query"):
        read_table(data, source=f"sqlite:///{sqlite}")


def test_the_extra_is_named_where_sqlalchemy_is_missing(
    sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)

    with pytest.raises(ConfigError, match=r"pip install 'tsforecast\[sql\]'"):
        read_table(config(sqlite))


@pytest.mark.parametrize("scheme", ["mysql+nodriver", "oracle+oracledb", "snowflake"])
def test_a_driver_that_is_missing_is_said_without_the_password(scheme: str) -> None:
    with pytest.raises(ConfigError, match="the driver of this database is not installed") as caught:
        read_table(config(f"{scheme}://reader:s3cret@127.0.0.1/sales"))

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("port", ["1", "x"])
def test_a_database_that_cannot_be_reached_is_said_without_the_password(port: str) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        read_table(config(f"postgresql://reader:s3cret@127.0.0.1:{port}/sales"))

    assert "postgresql://reader:***@127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_signal_ends_a_query(sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*words: object) -> None:
        raise StoppedError("stopped by SIGTERM.", 15)

    monkeypatch.setattr(database, "_array", stopped)

    with pytest.raises(StoppedError):
        read_table(config(sqlite))


def test_the_password_may_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", server.password)
    table = read_table(config(server.url("${DB_PASSWORD}")))

    assert table.dtypes.astype(str).to_dict() == {
        "unique_id": "category",
        "ds": "datetime64[us]",
        "y": "float64",
    }
    assert table["unique_id"].tolist() == ["001", "1", "001", "1"]
    assert np.array_equal(table["y"], [np.nan, 2, 3.5, 4], equal_nan=True)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_PASSWORD", raising=False)

    with pytest.raises(ConfigError, match="the environment variable 'DB_PASSWORD' is not set"):
        read_table(config("postgresql://reader:${DB_PASSWORD}@/sales"))


def test_a_wrong_password_is_not_repeated(server: Server) -> None:
    with pytest.raises(DataError, match="password authentication failed for user") as caught:
        read_table(config(server.url("wr0ng")))

    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("1::smallint", [1.0]),
        ("1.25::numeric(30, 10)", [1.25]),
        ("1.5::real", [1.5]),
        ("'NaN'::float8", [np.nan]),
        ("true", [1.0]),
        ("'2.5'::text", [2.5]),
        ("NULL", [np.nan]),
    ],
)
def test_numbers_of_postgres_become_float64(server: Server, expression: str, values: list[float]) -> None:
    query = f"SELECT 'a' AS shop, date '2024-01-01' AS day, {expression} AS y"

    assert np.array_equal(read_table(config(literal(server), query))["y"], values, equal_nan=True)


@pytest.mark.parametrize(
    "condition", ["shop LIKE '0%'", "shop = '001' AND '%s' <> '%(a)s'", "shop < '1'::text AND ':a' <> ''"]
)
def test_the_query_goes_to_postgres_as_it_is_written(server: Server, condition: str) -> None:
    table = read_table(config(literal(server), f"SELECT * FROM sales WHERE {condition}"))

    assert table["unique_id"].tolist() == ["001", "001"]


@pytest.mark.parametrize(
    ("expression", "moment"),
    [
        ("date '2024-01-02'", "2024-01-02"),
        ("timestamp '2024-01-02 03:04:05.25'", "2024-01-02 03:04:05.25"),
        ("timestamptz '2024-01-02 03:04+02'", "2024-01-02 01:04+00:00"),
        ("'2024-01-02T03:04Z'", "2024-01-02 03:04+00:00"),
    ],
)
def test_dates_of_postgres_become_timestamps(server: Server, expression: str, moment: str) -> None:
    query = f"SELECT 'a' AS shop, {expression} AS day, 1 AS y"

    assert read_table(config(literal(server), query))["ds"].tolist() == [pd.Timestamp(moment)]


def test_the_zone_of_the_session_is_the_zone_of_the_timestamps(server: Server) -> None:
    url = literal(server) + "&options=-c%20timezone%3DEurope/Berlin"
    table = read_table(config(url, "SELECT * FROM load ORDER BY hour", time="hour", id=None))

    assert str(table["ds"].dtype) == "datetime64[us, Europe/Berlin]"
    assert table["ds"].is_unique


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("7::bigint", "7"),
        ("'007'", "007"),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ],
)
def test_ids_of_postgres_are_text(server: Server, expression: str, name: str) -> None:
    query = f"SELECT {expression} AS shop, date '2024-01-01' AS day, 1 AS y"

    assert read_table(config(literal(server), query))["unique_id"].tolist() == [name]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("'infinity'::date", "date too large"),
        ("1/0", "division by zero"),
        ("ARRAY[1]", "is not numeric"),
        ("interval '1 day'", "is not numeric"),
    ],
)
def test_what_postgres_gives_and_no_table_holds_is_refused(
    server: Server, expression: str, found: str
) -> None:
    column, other = ("day", "1 AS y") if "date" in expression else ("y", "date '2024-01-01' AS day")

    with pytest.raises(DataError, match=found):
        read_table(config(literal(server), f"SELECT 'a' AS shop, {expression} AS {column}, {other}"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT nextval('counter') AS y, 'a' AS shop, date '2024-01-01' AS day", "read-only transaction"),
        ("DELETE FROM sales RETURNING *", "syntax error"),  # a cursor is declared for a SELECT only
        ("SELECT 1; DROP TABLE sales", "cannot insert multiple commands|syntax error|read-only"),
    ],
)
def test_nothing_is_written_to_postgres(server: Server, query: str, found: str) -> None:
    with pytest.raises(DataError, match=found):
        read_table(config(literal(server), query))

    assert len(read_table(config(literal(server)))) == 4


def test_no_secret_leaves_a_training(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = quote(server.password, safe="")
    yaml, run, log = tmp_path / "c.yaml", tmp_path / "run", tmp_path / "log"
    yaml.write_text(
        f"data: {{path: '{literal(server)}', query: SELECT * FROM load, time: hour, target: y}}\n"
        "horizon: 2\nlookback: 4\nseason_length: 24\nmodel: {hidden_size: 4}\n"
        "training: {max_steps: 2, final_fit: false}\n"
    )

    command(monkeypatch, "train", yaml, "--run", run, "-v", "--log-file", log)
    command(monkeypatch, "predict", run, literal(server), "-v", "--log-file", log)
    command(monkeypatch, "config", "show", yaml, "--json")
    command(monkeypatch, "predict", run, literal(server).replace(secret, "wr0ng"), code=3)
    command(monkeypatch, "train", yaml, "--set", "horizon=999", "--run", tmp_path / "long", code=3)
    weekly = "hour,y\n" + "".join(f"2024-01-{day:02d},1\n" for day in (1, 8, 15, 22))
    fsspec.filesystem("memory").pipe("/weekly.csv?token=s3cret", weekly.encode())
    command(monkeypatch, "predict", run, "memory://weekly.csv?token=s3cret", code=4)

    texts = [path.read_bytes() for path in (log, *run.rglob("*")) if path.is_file()]
    texts += [text.encode() for text in capfd.readouterr()]
    assert b"reader:***@" in b"".join(texts)
    assert not [text for text in texts if any(word.encode() in text for word in (secret, "s3cret", "wr0ng"))]


def test_a_run_with_its_secret_left_out_forecasts_and_asks_for_it_when_it_is_trained_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    yaml, run = tmp_path / "c.yaml", tmp_path / "run"
    yaml.write_text(
        f"data: {{path: '{literal(server)}', query: SELECT * FROM load, time: hour, target: y}}\n"
        "horizon: 2\nlookback: 4\nseason_length: 24\nmodel: {hidden_size: 4}\n"
        "training: {max_steps: 2, final_fit: false}\n"
    )
    command(monkeypatch, "train", yaml, "--run", run)
    command(monkeypatch, "predict", run)

    command(monkeypatch, "train", run / "config.yaml", "--run", tmp_path / "again", code=2)

    assert "a secret was left out where *** stands; write ${NAME} there" in capfd.readouterr().err


def literal(server: Server) -> str:
    """The URL with the password in it, as nobody should write it."""
    return server.url(quote(server.password, safe=""))


def command(monkeypatch: pytest.MonkeyPatch, *words: str | Path, code: int = 0) -> None:
    """Runs ``tsforecast WORDS`` in this process."""
    monkeypatch.setattr(sys, "argv", ["tsforecast", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert (stop.value.code or 0) == code
