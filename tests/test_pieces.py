"""Sources that are too large for memory: what becomes of them is what would have become of them in memory."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from night import JOBS, outputs, prepare, status_of, tsforecast, write_data

from tsforecast.config.schema import DataConfig
from tsforecast.errors import DataError, ResourceError
from tsforecast.series import pieces
from tsforecast.series.faults import read_apart, read_apart_in_ranges
from tsforecast.series.panel import RowsHash, joined_panels
from tsforecast.series.pieces import Named, Spill, deal
from tsforecast.series.shelf import Shelf
from tsforecast.storage.spool import spooled
from tsforecast.workflows.score import score

SERIES = [f"s{k}" for k in range(7)]


@pytest.fixture
def spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Spill]:
    """Makes a spill that holds so many rows in memory."""
    folder = tmp_path / "spill"
    folder.mkdir()

    def made(most_rows: int) -> Spill:
        monkeypatch.setattr(pieces, "MOST_ROWS", most_rows)
        return Spill(folder, tmp_path / "night.json")

    return made


def frame(order: str = "series") -> pd.DataFrame:
    """Daily rows of seven series of different lengths, with a word and a number beside."""
    parts = []
    for k, name in enumerate(SERIES):
        n = 9 + 2 * k
        parts.append(
            pd.DataFrame(
                {
                    "shop": name,
                    "day": pd.date_range("2024-01-01", periods=n),
                    "sales": np.arange(n) * 1.25 + k,
                    "weather": ["sun", "rain", "fog"][k % 3],
                    "price": np.arange(n) % 4 + 0.5,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    if order == "time":
        return table.sort_values(["day", "shop"], ignore_index=True)
    return table.sample(frac=1, random_state=3, ignore_index=True) if order == "shuffled" else table


def config(path: str, **more: Any) -> DataConfig:
    covariates = {"past": ["weather", "price"], "categorical": ["weather"]}
    names = {
        "time": "day",
        "target": "sales",
        "id": "shop",
        "covariates": covariates,
        "on_bad_series": "skip",
    }
    return DataConfig(path=path, **names | more)


def in_ranges(data: DataConfig, spill: Spill) -> tuple[list[list[str]], pd.DataFrame, dict[str, Any]]:
    """The series of each range, the rows of all in the order of the source, and the bad series."""
    names, tables, bad = [], [], {}
    for (table, apart), _ in read_apart_in_ranges(data, data.path, spill):
        found = table.assign(unique_id=table["unique_id"].astype("str"))
        names.append(sorted(set(found["unique_id"])))
        tables.append(found)
        bad |= apart
    return names, pd.concat(tables).sort_index(), bad


def as_csv(folder: Path, table: pd.DataFrame) -> DataConfig:
    table.to_csv(folder / "x.csv", index=False)
    return config(str(folder / "x.csv"))


def as_text_dates(folder: Path, table: pd.DataFrame) -> DataConfig:
    table.to_csv(folder / "x.csv", index=False, date_format="%d.%m.%Y", sep=";", decimal=",")
    return config(str(folder / "x.csv"), format={"time_format": "%d.%m.%Y"})


def as_gzip(folder: Path, table: pd.DataFrame) -> DataConfig:
    (folder / "x.csv.gz").write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    return config(str(folder / "x.csv.gz"))


def as_files(folder: Path, table: pd.DataFrame) -> DataConfig:
    for k, rows in enumerate(np.array_split(np.arange(len(table)), 9)):
        table.iloc[rows].to_csv(folder / f"x{k}.csv", index=False)
    return config(str(folder / "x*.csv"))


def as_mixed_dates(folder: Path, table: pd.DataFrame) -> DataConfig:
    table.iloc[:40].to_csv(folder / "x0.csv", index=False)
    days = table["day"].dt.strftime("%Y-%m-%dT00:00")
    table.iloc[40:].assign(day=days.iloc[40:]).to_csv(folder / "x1.csv", index=False)
    return config(str(folder / "x*.csv"))


def as_parquet(folder: Path, table: pd.DataFrame) -> DataConfig:
    table.to_parquet(folder / "x.parquet", index=False, row_group_size=10)
    return config(str(folder / "x.parquet"))


def as_database(folder: Path, table: pd.DataFrame) -> DataConfig:
    pytest.importorskip("sqlalchemy")
    with sqlite3.connect(folder / "x.db") as connection:
        table.assign(day=table["day"].astype("str")).to_sql("sales", connection, index=False)
    connection.close()
    return config(f"sqlite:///{folder}/x.db", query="SELECT * FROM sales")


def as_two_names(folder: Path, table: pd.DataFrame) -> DataConfig:
    table = table.assign(region=table["shop"].str[:1], shop=table["shop"].str[1:])
    table.to_csv(folder / "x.csv", index=False)
    return config(str(folder / "x.csv"), id=["region", "shop"])


SOURCES = (
    as_csv,
    as_text_dates,
    as_gzip,
    as_files,
    as_mixed_dates,
    as_parquet,
    as_database,
    as_two_names,
)


@pytest.mark.parametrize("order", ["series", "time", "shuffled"])
@pytest.mark.parametrize("source", SOURCES)
def test_the_rows_of_all_ranges_are_those_of_the_source(
    tmp_path: Path,
    spill: Callable[[int], Spill],
    monkeypatch: pytest.MonkeyPatch,
    source: Callable[[Path, pd.DataFrame], DataConfig],
    order: str,
) -> None:
    monkeypatch.setattr("tsforecast.series.csvfile.BLOCK", 200)
    monkeypatch.setattr("tsforecast.series.sources.ROWS_AT_ONCE", 10)
    monkeypatch.setattr("tsforecast.series.database.ROWS_AT_A_TIME", 10)
    data = source(tmp_path, frame(order))
    whole, _ = read_apart(data)

    names, rows, bad = in_ranges(data, spill(25))

    assert len(names) > 3
    assert [name for some in names for name in some] == sorted({*whole["unique_id"]})
    pd.testing.assert_frame_equal(rows, whole.assign(unique_id=whole["unique_id"].astype("str")))
    assert bad == {}
    assert rows_on_disk(tmp_path / "spill") == len(whole)


def rows_on_disk(folder: Path) -> int:
    """Each row is there once, whatever was tried before."""
    return sum(len(pa.ipc.open_file(path).read_all()) for path in folder.iterdir())


def test_what_fits_in_memory_touches_no_disk(tmp_path: Path, spill: Callable[[int], Spill]) -> None:
    data = as_csv(tmp_path, frame())
    whole, _ = read_apart(data)

    (((table, bad), is_part),) = read_apart_in_ranges(data, data.path, made := spill(1000))

    pd.testing.assert_frame_equal(table, whole)
    assert not made.is_used
    assert not is_part
    assert list(made.folder.iterdir()) == []
    assert bad == {}


def test_a_source_without_names_stays_one(tmp_path: Path, spill: Callable[[int], Spill]) -> None:
    one = frame().query("shop == 's6'")
    data = as_csv(tmp_path, one).model_copy(update={"id": None})

    (((table, _), _),) = read_apart_in_ranges(data, data.path, spill(5))

    assert table["y"].tolist() == one["sales"].tolist()


def test_where_ranges_end_does_not_depend_on_the_order_of_the_rows(
    tmp_path: Path, spill: Callable[[int], Spill]
) -> None:
    found = []
    for order in ("series", "time", "shuffled"):
        data = as_csv(tmp_path, frame(order))
        found.append(in_ranges(data, spill(25))[0])

    assert found[0] == found[1] == found[2]


def test_the_files_of_a_deal_are_few_and_hold_each_row_once(spill: Callable[[int], Spill]) -> None:
    generator = np.random.default_rng(0)
    names = np.array([f"n{k:02}" for k in range(40)])[generator.integers(0, 40, 500)]
    values = np.arange(500.0)
    made = spill(100)
    some = iter(
        Named(pa.table({"y": values[at]}), pa.array(names[at])) for at in np.array_split(np.arange(500), 7)
    )

    ranges = deal(some, made)

    tables = [each.table().to_pandas() for each in ranges]
    assert len(list(made.folder.iterdir())) == 7
    assert max(map(len, tables)) <= 100 + np.unique(names, return_counts=True)[1].max()
    for table, each in zip(tables, ranges, strict=True):
        assert set(table[pieces.SERIES]) == {*each.names.to_pylist()}
        assert table[pieces.ROW].is_monotonic_increasing
    back = pd.concat(tables).sort_values(pieces.ROW)
    assert back["y"].tolist() == values.tolist()
    assert back[pieces.SERIES].tolist() == names.tolist()


@pytest.mark.parametrize("order", ["series", "shuffled"])
def test_a_cell_that_cannot_be_read_sets_its_series_apart(
    tmp_path: Path, spill: Callable[[int], Spill], monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr("tsforecast.series.csvfile.BLOCK", 200)
    table = frame(order).astype({"sales": object})
    row = table.index[table["shop"] == "s4"][2]
    table.loc[row, "sales"] = "abc"
    data = as_csv(tmp_path, table)
    whole, apart = read_apart(data)

    _, rows, bad = in_ranges(data, spill(25))

    assert {*bad} == {*apart} == {"s4"}
    assert bad["s4"] == ("V401", f"row {row + 1}, column 'sales': 'abc' is not a number")
    assert rows_on_disk(tmp_path / "spill") == len(table)
    pd.testing.assert_frame_equal(rows, whole.assign(unique_id=whole["unique_id"].astype("str")))


@pytest.mark.parametrize("date", ["yesterday", "0000-01-01"])
def test_a_date_that_is_none_sets_its_series_apart(
    tmp_path: Path, spill: Callable[[int], Spill], monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    monkeypatch.setattr("tsforecast.series.csvfile.BLOCK", 200)
    table = frame().assign(day=lambda table: table["day"].astype("str"))
    row = table.index[table["shop"] == "s5"][0]
    table.loc[row, "day"] = date
    data = as_csv(tmp_path, table)

    _, rows, bad = in_ranges(data, spill(25))

    assert bad == {"s5": ("T302", f"row {row + 1}, column 'day': {date!r} is not a time as expected")}
    assert len(rows) == len(table) - 1
    assert rows_on_disk(tmp_path / "spill") == len(table)


def test_a_row_without_a_name_is_refused_with_its_line(tmp_path: Path, spill: Callable[[int], Spill]) -> None:
    table = frame()
    table.loc[60, "shop"] = ""
    data = as_csv(tmp_path, table)

    with pytest.raises(DataError, match=r"line 62, column 'shop': the cell is empty") as found:
        in_ranges(data, spill(25))

    assert found.value.code == "I201"


@pytest.mark.parametrize("parts", [1, 9])
def test_what_the_disk_has_no_room_for_is_refused_before_it_is_full(
    tmp_path: Path, parts: int, spill: Callable[[int], Spill], monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, rows in enumerate(np.array_split(np.arange(len(frame())), parts)):
        frame().iloc[rows].to_parquet(tmp_path / f"x{k}.parquet", index=False)
    data = config(str(tmp_path / "x*.parquet"))
    monkeypatch.setattr(pieces.shutil, "disk_usage", lambda _: type("", (), {"free": 500}))

    with pytest.raises(ResourceError, match=r"rows or more take .* of disk beside .*night.json"):
        in_ranges(data, spill(25))


def test_what_memory_has_no_room_for_at_once_is_refused_before_it_is_read(
    tmp_path: Path, spill: Callable[[int], Spill], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = as_parquet(tmp_path, frame())
    monkeypatch.setattr("tsforecast.series.memory.memory_free", lambda: 1000)

    with pytest.raises(ResourceError, match="until they are series"):
        in_ranges(data, spill(25))


# --- panels that are put aside, joined and hashed --------------------------------------------------------------------


def panels(tmp_path: Path, spill: Callable[[int], Spill], *, most_rows: int) -> list[Any]:
    from tsforecast.series.isolate import isolated_panel

    data = as_csv(tmp_path, frame())
    found = [table for (table, _), _ in read_apart_in_ranges(data, data.path, spill(most_rows))]
    return [isolated_panel(table, data, freq="D").panel for table in found]


def test_a_hash_of_rows_knows_no_ranges(tmp_path: Path, spill: Callable[[int], Spill]) -> None:
    (whole,) = panels(tmp_path, spill, most_rows=1000)
    one, other = RowsHash(), RowsHash()
    one.add(whole)
    parts = panels(tmp_path, spill, most_rows=25)
    for part in parts:
        other.add(part)

    assert len({part.categories["weather"] for part in parts}) > 1, "words are numbered otherwise in each"
    assert one.hexdigest() == other.hexdigest()


@pytest.mark.parametrize("what", ["y", "past", "starts", "unique_ids", "categories"])
def test_a_hash_of_rows_sees_every_change(tmp_path: Path, spill: Callable[[int], Spill], what: str) -> None:
    from dataclasses import replace

    (panel,) = panels(tmp_path, spill, most_rows=1000)
    changed = {
        "y": lambda: np.where(np.arange(len(panel.y)) == 3, 7.0, panel.y),
        "past": lambda: panel.past + [[1.0, 0.0]] * (panel.past < 3),
        "starts": lambda: panel.starts + (np.arange(7) == 2),
        "unique_ids": lambda: ("r0", *panel.unique_ids[1:]),
        "categories": lambda: {"weather": ("haze", "rain", "sun")},
    }[what]
    one, other = RowsHash(), RowsHash()
    one.add(panel)
    other.add(replace(panel, **{what: changed()}))

    assert one.hexdigest() != other.hexdigest()


def test_joined_panels_are_the_panel_of_all_series(tmp_path: Path, spill: Callable[[int], Spill]) -> None:
    (whole,) = panels(tmp_path, spill, most_rows=1000)
    joined, *others = panels(tmp_path, spill, most_rows=25)
    for other in others:
        joined = joined_panels(joined, other.on_axis(joined.axis))

    for name in ("unique_ids", "offsets", "starts", "y", "future_offsets"):
        assert np.array_equal(getattr(joined, name), getattr(whole, name)), name
    words = np.array(["", *joined.categories["weather"]])[joined.past[:, 0].astype(int)]
    expected = np.array(["", *whole.categories["weather"]])[whole.past[:, 0].astype(int)]
    assert words.tolist() == expected.tolist()
    assert np.array_equal(joined.past[:, 1], whole.past[:, 1])


def test_a_panel_comes_from_the_shelf_as_it_was(tmp_path: Path, spill: Callable[[int], Spill]) -> None:
    (panel,) = panels(tmp_path, spill, most_rows=1000)
    shelf = Shelf(tmp_path, tmp_path / "night.json")
    numbers = [shelf.put(panel), shelf.put(panel.select([2]))]

    back = shelf.take(numbers[0])

    assert numbers[0] != numbers[1]
    for name in panel.__dataclass_fields__:
        one, other = getattr(panel, name), getattr(back, name)
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, name
    assert shelf.take(numbers[1]).unique_ids == ("s2",)


# --- a night of it ----------------------------------------------------------------------------------------------------


def night(folder: Path, trained: Path, jobs: str = JOBS) -> Path:
    folder.mkdir()
    return prepare(
        folder, trained, jobs=jobs.replace("run: runs/sales", "run: runs/sales\n    data: sales.csv")
    )


def spoiled(folder: Path) -> None:
    """A series with a cell that is no number, one with a gap, one that is too short, one that began late."""
    table = write_data(folder, n_series=9).astype({"y": object})
    day = table.groupby("unique_id").cumcount()
    name = table["unique_id"]
    table.loc[(name == "s1") & (day == 3), "y"] = "abc"
    gone = ((name == "s3") & (day == 40)) | ((name == "s5") & (day < 88)) | ((name == "s7") & (day < 60))
    table[~gone].sample(frac=1, random_state=0).to_csv(folder / "sales.csv", index=False)


@pytest.mark.parametrize(
    "words", [(), ("--as-of", "2015-03-20"), ("--backfill", "2015-02-27..2015-03-03")], ids=str
)
@pytest.mark.parametrize("policy", ["skip", "baseline"])
def test_a_night_gives_the_same_bytes_whether_memory_is_large_or_small(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], policy: str
) -> None:
    found = []
    jobs = JOBS.replace("    run:", f"    on_bad_series: {policy}\n    drop_last: 1\n    run:")
    for most_rows in (1_000_000, 150):
        folder = night(tmp_path / "night", trained, jobs)
        spoiled(folder)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(pieces, "MOST_ROWS", most_rows)
        code = tsforecast("batch", "jobs.yaml", *words)
        status = status_of(folder)["jobs"][0]
        failures = pd.read_csv(folder / "jobs.failures.csv")
        files = {path: data for path, data in outputs(folder).items() if not path.endswith((".db", ".json"))}
        found.append((code, status["run_key"], status["series"], status["failed"], files))
        found[-1] += (failures.drop(columns="reason").to_csv(),)
        assert not left_behind(folder)
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)  # paths stand in the archive

    assert found[0][-2], "something is compared"
    assert found[0] == found[1]


def test_a_range_of_bad_series_alone_does_not_stop_the_others(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = night(tmp_path / "night", trained)
    table = write_data(folder, n_series=9).astype({"y": object})
    table.loc[table["unique_id"] >= "s6", "y"] = "abc"
    table.to_csv(folder / "sales.csv", index=False)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(pieces, "MOST_ROWS", 100)

    assert tsforecast("batch", "jobs.yaml") == 5

    forecasts = pd.read_csv(folder / "out/sales.csv")
    assert forecasts["unique_id"].unique().tolist() == [f"s{k}" for k in range(6)]
    assert pd.read_csv(folder / "jobs.failures.csv")["unique_id"].tolist() == ["s6", "s7", "s8"]


@pytest.mark.parametrize("fault", ["a gap", "too short", "ended early"])
def test_a_range_in_which_no_series_is_like_the_others(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    folder = night(tmp_path / "night", trained)
    table = write_data(folder, n_series=9)
    day, of_range = table.groupby("unique_id").cumcount(), table["unique_id"] >= "s6"
    gone = {"a gap": day == 40, "too short": day < 88, "ended early": day >= 85}[fault] & of_range
    table[~gone].to_csv(folder / "sales.csv", index=False)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(pieces, "MOST_ROWS", 100)

    is_bad = fault != "ended early"
    assert tsforecast("batch", "jobs.yaml") == (5 if is_bad else 0)

    forecasts = pd.read_csv(folder / "out/sales.csv")
    assert forecasts["unique_id"].unique().tolist() == [f"s{k}" for k in range(6 if is_bad else 9)]
    assert status_of(folder)["jobs"][0]["as_of"] == "2015-03-31"
    assert list(forecasts)[-1] == "q0.9", "what the archive has beside is not for sinks"


def test_a_spool_gives_all_rows_in_their_order_however_many_at_a_time(tmp_path: Path) -> None:
    with spooled(tmp_path / "x") as spool:
        for start in range(0, 50, 5):
            spool.add(pa.table({"x": range(start, start + 5)}))
        for size in (1, 3, 7, 25, 50, 80):
            found = [table.column("x").to_pylist() for table in spool.tables(size)]

            assert [x for some in found for x in some] == [*range(50)]
            assert {len(some) for some in found[:-1]} <= {size}


def ranged(folder: Path, monkeypatch: pytest.MonkeyPatch, *, most_rows: int) -> tuple[int, Any, list[str]]:
    """Exit code, series that were forecast with their first lines, and those that failed with their codes."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(pieces, "MOST_ROWS", most_rows)
    code = tsforecast("batch", "jobs.yaml")
    out, failed = folder / "out/sales.csv", folder / "jobs.failures.csv"
    made = pd.read_csv(out).to_csv() if out.is_file() else None
    codes = [] if not failed.is_file() else pd.read_csv(failed)[["unique_id", "code"]].values.tolist()
    return code, made, codes


def hourly(folder: Path, trained_on: pd.DataFrame, table: pd.DataFrame, *, form: str = "") -> None:
    """A run of hourly data in the folder, and the table it is to forecast from."""
    trained_on.to_csv(folder / "sales.csv", index=False)
    text = (folder / "sales.yaml").read_text()
    (folder / "sales.yaml").write_text(text.replace("id: unique_id", f"id: unique_id, freq: h{form}"))
    shutil.rmtree(folder / "runs/sales")
    words = ("train", folder / "sales.yaml", "--run", folder / "runs/sales", "--quiet")
    assert tsforecast(*words, "--set", "horizon=3", "--set", "season_length=3") == 0
    table.to_csv(folder / "sales.csv", index=False)


def clock(begin: str, *, n_series: int = 9, hours: int = 60, **words: Any) -> pd.DataFrame:
    ds = pd.date_range(begin, periods=hours, freq="h", **words)
    names = np.repeat([f"s{k}" for k in range(n_series)], hours)
    y = np.tile(np.arange(hours) % 3 + 1.0, n_series) + np.arange(n_series * hours) * 0.01
    return pd.DataFrame({"unique_id": names, "ds": np.tile(ds.strftime("%Y-%m-%d %H:%M"), n_series), "y": y})


@pytest.mark.parametrize("policy", ["skip", "baseline"])
@pytest.mark.parametrize("n_bad", [1, 9])
def test_an_hour_that_daylight_saving_leaves_out_is_a_fault_of_its_series(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, policy: str, n_bad: int
) -> None:
    found = []
    for most_rows in (1_000_000, 150):
        jobs = JOBS.replace("    run:", f"    on_bad_series: {policy}\n    run:")
        folder = night(tmp_path / "night", trained, jobs)
        table = clock("2024-03-29 00:00", tz="Europe/Berlin")
        bad = (table["ds"] == "2024-03-30 02:00") & (table["unique_id"] < f"s{n_bad}")
        zoned = ", format: {timezone: Europe/Berlin}"
        hourly(folder, table, table.assign(ds=table["ds"].where(~bad, "2024-03-31 02:30")), form=zoned)
        found.append(ranged(folder, monkeypatch, most_rows=most_rows))
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)

    assert found[0] == found[1]
    assert found[0][0] == (3 if n_bad == 9 else 0 if policy == "baseline" else 5)
    assert found[0][2] == ([] if n_bad == 9 else [["s0", "T314"]])


@pytest.mark.parametrize("policy", ["skip", "fail"])
def test_the_steps_of_most_rows_are_those_of_all_wherever_the_others_stand(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    found = []
    for most_rows in (1_000_000, 150):
        folder = night(
            tmp_path / "night",
            trained,
            JOBS.replace("    run:", f"    on_bad_series: {policy}\n    run:"),
        )
        table = clock("2024-01-01 00:00")
        half = table["unique_id"] < "s3"
        hourly(folder, table, table.assign(ds=table["ds"].where(~half, table["ds"].str[:-2] + "30")))
        found.append(ranged(folder, monkeypatch, most_rows=most_rows))
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)

    assert found[0] == found[1]
    assert found[0][0] == (5 if policy == "skip" else 3)
    assert found[0][2] == ([["s0", "T306"], ["s1", "T306"], ["s2", "T306"]] if policy == "skip" else [])


@pytest.mark.parametrize("policy", ["skip", "baseline"])
@pytest.mark.parametrize("what", ["weekly", "huge", "all short", "dates", "zone", "mixed zone"])
def test_what_is_wrong_with_all_series_or_a_whole_range_is_told_as_in_memory(
    tmp_path: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    what: str,
    policy: str,
) -> None:
    found = []
    for most_rows in (1_000_000, 150):
        jobs = JOBS.replace("    run:", f"    on_bad_series: {policy}\n    run:")
        folder = night(tmp_path / "night", trained, jobs)
        table = write_data(folder, n_series=9).astype({"ds": str})
        day = table.groupby("unique_id").cumcount()
        last = table["unique_id"] >= "s6"
        if what == "weekly":
            table["ds"] = (pd.Timestamp("2015-01-01") + pd.to_timedelta(7 * day, unit="D")).astype(str)
        elif what == "huge":
            table["y"] = 1e301
        elif what == "all short":
            table = table[day < 3]
        elif what == "dates":
            table["ds"] = table["ds"].where(~last, "soon")
        elif "zone" in what:
            table["ds"] = table["ds"].where(~last & (what != "zone"), table["ds"] + "T00:00Z")
        table.to_csv(folder / "sales.csv", index=False)
        capfd.readouterr()
        few = 10 if what == "all short" else 150  # with three rows of each series
        found.append(
            ranged(folder, monkeypatch, most_rows=min(most_rows, few) if most_rows == 150 else most_rows)
        )
        told = capfd.readouterr().err
        assert what != "huge" or "give the values in a larger unit" in told
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)

    assert found[0] == found[1]
    expected = {"weekly": 4, "huge": 3, "all short": 0, "zone": 4}
    assert found[0][0] == expected.get(what, 5)


def test_words_of_all_ranges_count(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = night(tmp_path / "night", trained)
    text = (folder / "sales.yaml").read_text()
    words = "id: unique_id, covariates: {past: [weather], categorical: [weather]}"
    (folder / "sales.yaml").write_text(text.replace("id: unique_id", words))
    table = write_data(folder, n_series=9).assign(weather="fog")
    table.to_csv(folder / "sales.csv", index=False)
    shutil.rmtree(folder / "runs/sales")
    assert tsforecast("train", folder / "sales.yaml", "--run", folder / "runs/sales", "--quiet") == 0
    table["weather"] = [f"w{k % 601}" if k < 400 else f"v{k % 601}" for k in range(len(table))]
    table.to_csv(folder / "sales.csv", index=False)
    capfd.readouterr()
    monkeypatch.setattr("tsforecast.series.assemble.MAX_CATEGORIES", 700)

    assert table["weather"].nunique() > 700
    assert ranged(folder, monkeypatch, most_rows=300)[0] == 3
    assert "different words, expected at most 700" in capfd.readouterr().err


def test_values_of_a_query_are_of_one_type_in_all_pieces(
    tmp_path: Path, spill: Callable[[int], Spill], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsforecast.series.database.ROWS_AT_A_TIME", 10)
    data = as_database(tmp_path, frame())
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("ALTER TABLE sales DROP COLUMN sales")
        connection.execute("ALTER TABLE sales ADD COLUMN sales")  # of no type
        connection.execute("UPDATE sales SET sales = CASE WHEN rowid > 60 THEN '7' ELSE 7.5 END")
    connection.close()

    with pytest.raises(DataError, match="holds values of different types"):
        in_ranges(data, spill(25))


def test_all_series_bad_is_refused_in_ranges_too(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = night(tmp_path / "night", trained)
    write_data(folder).assign(y="abc").to_csv(folder / "sales.csv", index=False)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(pieces, "MOST_ROWS", 100)

    assert tsforecast("batch", "jobs.yaml") == 3

    assert "'abc' is not a number" in capfd.readouterr().err
    assert outputs(folder) == {}


@pytest.mark.parametrize("words", [(), ("--drop-last", "3")], ids=str)
def test_scores_are_the_same_whether_memory_is_large_or_small(
    tmp_path: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    folder = night(tmp_path / "night", trained)
    write_data(folder, n_series=9)
    monkeypatch.chdir(folder)
    assert tsforecast("batch", "jobs.yaml", "--backfill", "2015-03-10..2015-03-20") == 0
    table = write_data(folder, days=91, n_series=9)
    late = (table["unique_id"] == "s2") & (table["ds"] > "2015-03-22")
    table.loc[(table["unique_id"] == "s4") & (table["ds"] == "2015-03-14"), "y"] = np.nan
    table[(table["unique_id"] != "s3") & ~late].sample(frac=1, random_state=1).to_csv(
        "sales.csv", index=False
    )
    capfd.readouterr()
    found = []
    for most_rows in (1_000_000, 150):
        monkeypatch.setattr(pieces, "MOST_ROWS", most_rows)
        tsforecast("score", "archive", *words)
        (of_job,) = score(Path("archive"), drop_last=3 if words else None).jobs
        found.append((capfd.readouterr(), of_job.counts, of_job.by_series.to_csv(float_format="%.9g")))

    assert {name for name in SERIES if f",{name}," in found[0][2]} == {*SERIES} - {"s3"}, (
        "which has no values"
    )
    assert found[0] == found[1]
    assert not [path.name for path in folder.iterdir() if ".score." in path.name]


def test_a_full_disk_while_rows_are_put_aside_ends_with_7_and_leaves_nothing(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = night(tmp_path / "night", trained)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(pieces, "MOST_ROWS", 100)
    monkeypatch.setattr(pa.ipc, "new_file", full)

    assert tsforecast("batch", "jobs.yaml") == 7

    assert "the disk is full or failing" in capfd.readouterr().err
    assert not left_behind(folder)
    assert json.loads((folder / "jobs.status.json").read_text())["exit_code"] == 7


def left_behind(folder: Path) -> list[str]:
    return [
        path.name for path in folder.iterdir() if re.match(r"\.jobs\.status\.json\.(data|spool)", path.name)
    ]


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")
