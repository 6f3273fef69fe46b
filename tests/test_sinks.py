"""Sinks: written whole or not at all, and the same forecasts once more change nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from faults import full_disk
from postgres import Server, running_server
from skips import has_postgres

from tsforecast.config.location import resolved, without_secrets
from tsforecast.errors import ConfigError, ResourceError
from tsforecast.storage import sinks
from tsforecast.storage.sinks import (
    Address,
    Issue,
    expire_partitions,
    upsert,
    write_csv,
    write_parquet,
    write_stream,
)

NAMES = ["a", "b"]
COLUMNS = "job, as_of, unique_id, ds, cutoff, lead_time, y_hat, 'q0.1', run_key"


def forecasts(
    *, as_of: str = "2024-01-31", run_key: str = "k1", shift: float = 0.0, names: list[str] = NAMES
) -> Issue:
    """Two steps of each series, one quantile of which is missing."""
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(names, 2),
            "ds": np.tile(pd.Timestamp(as_of) + pd.to_timedelta([1, 2], unit="D"), len(names)),
            "cutoff": pd.Timestamp(as_of),
            "lead_time": np.tile([1, 2], len(names)),
            "y_hat": np.arange(2 * len(names)) + shift,
            "q0.1": [np.nan, *np.ones(2 * len(names) - 1)],
        }
    )
    return Issue("sales", as_of, run_key, pa.Table.from_pandas(frame, preserve_index=False))


def at(url: str, table: str = "forecasts") -> Address:
    location = resolved(url)
    return Address(location.url, table, without_secrets(url), location.scrubbed)


def rows_of(path: Path, columns: str = "as_of, unique_id, y_hat, run_key") -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            f"SELECT {columns} FROM forecasts ORDER BY as_of, unique_id, ds"
        ).fetchall()
    connection.close()
    return found


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server with nothing in it."""
    if not has_postgres():
        pytest.skip("needs postgres: install a PostgreSQL server")
    with running_server() as running:
        yield running


def test_a_csv_file_is_what_predict_would_write_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "x" / "a.csv"

    write_csv(path, forecasts())

    assert path.read_text() == (
        "unique_id,ds,cutoff,lead_time,y_hat,q0.1\n"
        "a,2024-02-01,2024-01-31,1,0.0,\n"
        "a,2024-02-02,2024-01-31,2,1.0,1.0\n"
        "b,2024-02-01,2024-01-31,1,2.0,1.0\n"
        "b,2024-02-02,2024-01-31,2,3.0,1.0\n"
    )


def test_a_long_table_is_written_in_parts_with_one_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "whole.csv", forecasts())
    monkeypatch.setattr(sinks, "ROWS_AT_A_TIME", 3)
    said: list[str] = []

    write_csv(tmp_path / "parts.csv", forecasts())
    write_stream(said.append, forecasts())

    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(said) == 2
    assert "".join(said) == (tmp_path / "whole.csv").read_text()


def test_parquet_is_partitioned_by_as_of_for_readers_of_hive_partitions(tmp_path: Path) -> None:
    for as_of in ("2024-01-31T06:00:00", "2024-02-29"):
        write_parquet(tmp_path, forecasts(as_of=as_of))

    found = ds.dataset(tmp_path, partitioning="hive").to_table().to_pandas()
    assert found.groupby("as_of").size().to_dict() == {"2024-01-31T06:00:00": 4, "2024-02-29": 4}
    assert list(found)[:4] == ["unique_id", "ds", "cutoff", "lead_time"]


def test_the_same_forecasts_are_the_same_bytes(tmp_path: Path) -> None:
    first = write_parquet(tmp_path, forecasts()).read_bytes()

    assert write_parquet(tmp_path, forecasts()).read_bytes() == first


@pytest.mark.parametrize("sink", ["csv", "parquet"])
def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path, sink: str) -> None:
    large = forecasts(names=[f"series {k}" for k in range(20_000)])
    write = {
        "csv": lambda issue: write_csv(tmp_path / "a.csv", issue),
        "parquet": lambda issue: write_parquet(tmp_path, issue),
    }[sink]
    write(forecasts())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    with full_disk(50_000), pytest.raises(ResourceError, match="the disk is full or failing"):
        write(large)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_old_partitions_are_deleted_but_nothing_else(tmp_path: Path) -> None:
    for as_of in ("2024-01-31", "2024-02-29", "2024-03-31"):
        write_parquet(tmp_path, forecasts(as_of=as_of))
    write_parquet(tmp_path, replace(forecasts(), job="other"))
    (tmp_path / "as_of=2024-02-29" / "notes.txt").write_text("mine")

    count = expire_partitions(tmp_path, job="sales", older_than="2024-03-31")

    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.is_file())
    assert count == 2
    assert left == [
        "as_of=2024-01-31/other.parquet",
        "as_of=2024-02-29/notes.txt",
        "as_of=2024-03-31/sales.parquet",
    ]


def test_rows_with_the_same_key_are_replaced_and_those_of_other_as_ofs_stay(tmp_path: Path) -> None:
    address = at(f"sqlite:///{tmp_path}/a.db")
    upsert(address, forecasts(as_of="2024-01-30"))
    upsert(address, forecasts())

    upsert(address, forecasts(run_key="k2", shift=10))

    assert rows_of(tmp_path / "a.db") == [
        *(("2024-01-30", name, y, "k1") for name, y in [("a", 0), ("a", 1), ("b", 2), ("b", 3)]),
        *(("2024-01-31", name, y, "k2") for name, y in [("a", 10), ("a", 11), ("b", 12), ("b", 13)]),
    ]


def test_rows_of_a_series_that_is_gone_are_deleted(tmp_path: Path) -> None:
    address = at(f"sqlite:///{tmp_path}/a.db")
    upsert(address, forecasts(names=["a", "b", "c"]))

    upsert(address, forecasts(run_key="k2"))

    assert {row[1] for row in rows_of(tmp_path / "a.db")} == {"a", "b"}


def test_a_missing_value_is_null_and_the_key_is_the_primary_key(tmp_path: Path) -> None:
    upsert(at(f"sqlite:///{tmp_path}/x/a.db"), forecasts())

    assert [row[0] for row in rows_of(tmp_path / "x/a.db", '"q0.1"')] == [None, 1, 1, 1]
    with sqlite3.connect(tmp_path / "x/a.db") as connection:
        columns = connection.execute("PRAGMA table_info(forecasts)").fetchall()
    connection.close()
    assert [column[1] for column in columns if column[5]] == ["job", "as_of", "unique_id", "ds"]


def test_a_failure_on_the_way_leaves_the_rows_that_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = at(f"sqlite:///{tmp_path}/a.db")
    upsert(address, forecasts())
    before = rows_of(tmp_path / "a.db")
    monkeypatch.setattr(sinks, "ROWS_AT_A_TIME", 2)
    whole = sinks._rows

    def breaking(issue: Issue) -> Iterator[list[dict[str, Any]]]:
        yield next(whole(issue))
        raise KeyboardInterrupt

    monkeypatch.setattr(sinks, "_rows", breaking)
    with pytest.raises(KeyboardInterrupt):
        upsert(address, forecasts(run_key="k2", shift=10))

    assert rows_of(tmp_path / "a.db") == before


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "CREATE TABLE forecasts (job TEXT, as_of TEXT)",
            "has no column 'unique_id'; add it, or name another table",
        ),
        (
            f"CREATE TABLE forecasts ({COLUMNS}, PRIMARY KEY (job, ds))",
            r"has the primary key \(job, ds\), expected \(job, as_of, unique_id, ds\)",
        ),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, statement: str, found: str) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute(statement)
    connection.close()

    with pytest.raises(ConfigError, match=found):
        upsert(at(f"sqlite:///{tmp_path}/a.db"), forecasts())


def test_a_database_that_is_locked_for_too_long_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sinks.WAITS, "sqlite", {"timeout": 0.1})
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")

    with pytest.raises(
        ResourceError,
        match=r"not written \(database is locked\); its rows .* that nobody else holds it, and run",
    ):
        upsert(at(f"sqlite:///{tmp_path}/a.db"), forecasts())
    connection.close()


def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    with pytest.raises(ResourceError) as error:
        upsert(at("postgresql://me:geheim@127.0.0.1:1/db"), forecasts())

    assert "geheim" not in str(error.value)
    assert "postgresql://me:***@127.0.0.1:1/db" in str(error.value)


def postgres_rows(server: Server, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(
        host=str(server.folder), user="reader", password=server.password, dbname="postgres"
    ) as connection:
        return connection.execute(query.encode()).fetchall()


def test_postgres_has_each_forecast_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", server.password)
    monkeypatch.setattr(sinks, "ROWS_AT_A_TIME", 3)
    server.execute("CREATE SCHEMA IF NOT EXISTS night")
    address = at(server.url("${DB_PASSWORD}"), "night.forecasts")

    upsert(address, forecasts(names=["a", "b", "c"]))
    upsert(address, forecasts(names=["a", "b", "c"]))
    upsert(address, forecasts(run_key="k2", shift=10))

    found = postgres_rows(
        server, 'SELECT unique_id, ds, lead_time, y_hat, "q0.1", run_key FROM night.forecasts ORDER BY 1, 2'
    )
    assert found[0] == ("a", pd.Timestamp("2024-02-01"), 1, 10.0, None, "k2")
    assert [row[3] for row in found] == [10, 11, 12, 13]


def test_many_writers_at_once_make_one_table_and_lose_nothing(server: Server) -> None:
    address = at(server.url(quote(server.password, safe="")), "crowded")
    start = threading.Barrier(8)

    def write(k: int) -> None:
        start.wait()
        upsert(address, replace(forecasts(), job=f"job {k % 4}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    assert postgres_rows(server, "SELECT count(*), count(DISTINCT job) FROM crowded") == [(16, 4)]


def test_a_table_that_may_not_be_made_is_said(server: Server) -> None:
    with pytest.raises(
        ConfigError, match=r"table 'no_such_schema.x': not written \(schema .* does not exist"
    ):
        upsert(at(server.url(quote(server.password, safe="")), "no_such_schema.x"), forecasts())


def test_moments_with_a_time_zone_are_the_same_moments_in_postgres(server: Server) -> None:
    issue = forecasts()
    local = issue.table.column("ds").cast(pa.timestamp("us", tz="Europe/Berlin"))
    issue = replace(issue, table=issue.table.set_column(1, "ds", local))

    upsert(at(server.url(quote(server.password, safe="")), "local"), issue)

    (first, *_) = postgres_rows(server, "SELECT ds FROM local ORDER BY ds")
    assert pd.Timestamp(first[0]) == pd.Timestamp("2024-02-01", tz="UTC")


def test_a_session_that_is_ended_by_the_server_leaves_the_rows_that_were_there(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = at(server.url(quote(server.password, safe="")), "ended")
    upsert(address, forecasts())
    whole = sinks._rows

    def breaking(issue: Issue) -> Iterator[list[dict[str, Any]]]:
        yield next(whole(issue))
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        yield next(whole(issue))

    monkeypatch.setattr(sinks, "_rows", breaking)
    with pytest.raises(
        ResourceError, match=r"its rows are .* or all are new. Check that the database runs"
    ) as error:
        upsert(address, forecasts(run_key="k2", shift=10))

    assert server.password not in str(error.value)
    assert postgres_rows(server, "SELECT DISTINCT run_key FROM ended") == [("k1",)]


def test_a_wrong_password_is_not_repeated(server: Server) -> None:
    with pytest.raises(ResourceError) as error:
        upsert(at(server.url("wr0ngpassword")), forecasts())

    assert "wr0ngpassword" not in str(error.value)
    assert "password authentication failed" in str(error.value)
