"""Timestamps and names of series that stand in several columns."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from synthetic import seasonal_frame

from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import DataConfig, FormatConfig
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.joined import joined_ids, parts_of_id, time_text
from tsforecast.series.read import read_table
from tsforecast.workflows.check import check
from tsforecast.workflows.predict import load_run, predict, with_input_names
from tsforecast.workflows.train import train

HOURS = pd.date_range("2024-03-30", periods=72, freq="h", unit="us")


def config(path: Path | str = "data.csv", **settings: Any) -> DataConfig:
    names: dict[str, Any] = {"path": str(path), "time": ["day", "hour"], "target": "y"}
    form = FormatConfig(**settings.pop("form", {}))
    return DataConfig(**(names | settings), format=form)


def apart(day: str = "%Y-%m-%d", hour: str = "%H:%M") -> pd.DataFrame:
    """The hours of three days, date and time of day in a column each."""
    return pd.DataFrame({"day": HOURS.strftime(day), "hour": HOURS.strftime(hour), "y": range(72)})


def read(folder: Path, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    frame.to_csv(folder / "data.csv", index=False)
    return read_table(config(folder / "data.csv", **settings))


def read_text(folder: Path, text: str, **settings: Any) -> pd.DataFrame:
    (folder / "data.csv").write_text(text)
    return read_table(config(folder / "data.csv", **settings))


names = st.text(st.sampled_from("ab/\\ü \n"), min_size=1, max_size=6)


@given(st.lists(st.lists(names, min_size=2, max_size=2), min_size=1, max_size=12))
def test_different_parts_make_different_names_and_are_given_back(rows: list[list[str]]) -> None:
    joined = joined_ids([pa.array(column) for column in zip(*rows, strict=True)]).to_pylist()
    assert [parts_of_id(name) for name in joined] == rows
    assert len(set(joined)) == len(set(map(tuple, rows)))


def test_names_that_only_differ_in_where_they_are_cut_stay_apart() -> None:
    parts = [("a", "b/c"), ("a/b", "c"), ("a\\", "b/c"), ("a\\/b", "c")]
    joined = joined_ids([pa.array(column) for column in zip(*parts, strict=True)]).to_pylist()
    assert joined == ["a/b\\/c", "a\\/b/c", "a\\\\/b\\/c", "a\\\\\\/b/c"]


def test_parts_of_names_are_text_as_written(tmp_path: Path) -> None:
    rows = "store,item,ds,y\n01,1e5,2024-01-01,1\n1,NA,2024-01-01,2\n01,100000,2024-01-01,3\n"
    table = read_text(tmp_path, rows, time="ds", id=["store", "item"])
    assert table["unique_id"].tolist() == ["01/1e5", "1/NA", "01/100000"]


def test_the_order_of_the_columns_is_that_of_the_name(tmp_path: Path) -> None:
    rows = "store,item,ds,y\ns,i,2024-01-01,1\n"
    assert read_text(tmp_path, rows, time="ds", id=["item", "store"])["unique_id"].tolist() == ["i/s"]


def test_a_list_of_one_column_is_that_column(tmp_path: Path) -> None:
    rows = "store,ds,y\na/b,2024-01-01,1\n"
    table = read_text(tmp_path, rows, time=["ds"], id=["store"])
    assert table["unique_id"].tolist() == ["a/b"]


def test_a_name_with_an_empty_part_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = "store,item,ds,y\na,x,2024-01-01,1\na,,2024-01-01,2\n"
    with pytest.raises(DataError, match=r"line 3, columns 'store' and 'item': the cell is empty") as caught:
        read_text(tmp_path, rows, time="ds", id=["store", "item"])
    assert caught.value.code == "I201"


def test_a_composite_name_reads_as_the_same_rows_named_in_one_column(tmp_path: Path) -> None:
    parts = list(itertools.product("ab", "xyz"))
    frame = seasonal_frame(n_series=6, length=20)
    number = frame["unique_id"].str[1:].astype(int)
    apart = frame.assign(store=number.map(lambda k: parts[k][0]), item=number.map(lambda k: parts[k][1]))
    expected = number.map(lambda k: "/".join(parts[k]))
    found = read(tmp_path, apart, time="ds", id=["store", "item"])
    pd.testing.assert_series_equal(found["unique_id"].astype(str), expected.astype(str), check_names=False)


@pytest.mark.parametrize(
    ("day", "hour", "time_format"),
    [
        ("%Y-%m-%d", "%H:%M", "auto"),
        ("%Y-%m-%d", "%H:%M:%S", "auto"),
        ("%Y-%m-%d", "%H", "auto"),
        ("%Y-%m-%d", "%-H", "auto"),
        ("%Y-%m-%d", "%-H:%M", "auto"),
        (" %Y-%m-%d ", "\u00a0%-H", "auto"),
        ("%d.%m.%Y", "%H:%M", "%d.%m.%Y %H:%M"),
        ("%d.%m.%Y", "%-H", "%d.%m.%Y %H"),
        ("%m/%d/%Y", "%I:%M %p", "%m/%d/%Y %I:%M %p"),
    ],
)
def test_a_date_and_a_time_of_day_are_one_timestamp(
    tmp_path: Path, day: str, hour: str, time_format: str
) -> None:
    found = read(tmp_path, apart(day, hour), form={"time_format": time_format})["ds"]
    assert pd.DatetimeIndex(found).equals(HOURS)


def test_year_month_and_day_are_one_timestamp(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=400)
    frame = pd.DataFrame({"a": days.year, "b": days.month, "c": days.day, "y": 1})
    found = read(tmp_path, frame, time=["a", "b", "c"], form={"time_format": "%Y %m %d"})["ds"]
    assert found.tolist() == days.tolist()


def test_year_and_quarter_are_one_timestamp(tmp_path: Path) -> None:
    found = read_text(tmp_path, "a,b,y\n2024,Q1,1\n2024,Q3,1\n", time=["a", "b"])["ds"]
    assert found.tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-07-01")]


def test_days_of_the_week_keep_their_one_digit() -> None:
    assert time_text(["2024", "5", "0"]) == "2024 5 0"


@pytest.mark.parametrize("hour", ["24", "24:00", "24:00:00"])
@pytest.mark.parametrize("time_format", ["auto", "%Y-%m-%d %H"])
def test_the_hour_24_is_refused_with_what_it_tells(tmp_path: Path, hour: str, time_format: str) -> None:
    rows = f"day,hour,y\n2024-01-01,1,1\n2024-01-01,{hour},2\n"
    message = rf"line 3, columns 'day' and 'hour': '2024-01-01 {hour}' has the hour 24, expected 0 to 23; .*subtract 1"
    with pytest.raises(DataError, match=message):
        read_text(tmp_path, rows, form={"time_format": time_format})


@pytest.mark.parametrize(
    ("cell", "found"), [("25", "'2024-01-01 25'"), ("x", "'2024-01-01 x'"), ("", "the cell is empty")]
)
def test_a_time_of_day_that_is_none_is_refused_with_its_line(tmp_path: Path, cell: str, found: str) -> None:
    with pytest.raises(DataError, match=f"line 3, columns 'day' and 'hour': {found}"):
        read_text(tmp_path, f"day,hour,y\n2024-01-01,1,1\n2024-01-01,{cell},2\n")


def test_local_times_in_two_columns_are_on_the_clock_of_their_zone(tmp_path: Path) -> None:
    table = read_text(tmp_path, "day,hour,y\n2024-07-01,9,1\n", form={"timezone": "Europe/Berlin"})
    assert str(table["ds"][0]) == "2024-07-01 09:00:00+02:00"


@pytest.mark.parametrize(
    ("days", "hours"),
    [
        (HOURS.strftime("%Y-%m-%d"), HOURS.hour),
        (HOURS.date, HOURS.time),
        (HOURS.normalize(), HOURS.hour.astype("int8")),
        (HOURS.normalize().as_unit("ns"), HOURS.strftime("%H:%M")),
    ],
    ids=["text and integers", "dates and times", "timestamps and integers", "timestamps and text"],
)
def test_other_sources_have_dates_and_hours_of_their_own_types(tmp_path: Path, days: Any, hours: Any) -> None:
    frame = pd.DataFrame({"day": days, "hour": hours, "y": range(72)})
    frame.to_parquet(tmp_path / "data.parquet")
    for table in (read_table(config(), source=frame), read_table(config(tmp_path / "data.parquet"))):
        assert pd.DatetimeIndex(table["ds"]).equals(HOURS)


def test_a_timestamp_with_a_time_of_day_is_no_date_of_another_column() -> None:
    frame = pd.DataFrame({"day": HOURS, "hour": HOURS.hour, "y": 1})
    with pytest.raises(
        DataError, match=r"row 2, columns 'day' and 'hour': '2024-03-30 01:00:00' has a time of day"
    ):
        read_table(config(), source=frame)


def test_numbers_with_fractions_are_no_part_of_a_timestamp() -> None:
    frame = pd.DataFrame({"day": HOURS.date, "hour": HOURS.hour + 0.5, "y": 1})
    with pytest.raises(DataError, match="type double is no part of a timestamp") as caught:
        read_table(config(), source=frame)
    assert caught.value.code == "T304"


def test_a_database_has_dates_hours_and_names_in_columns(tmp_path: Path) -> None:
    frame = pd.concat(
        pd.DataFrame({"store": s, "item": i, "day": HOURS.date, "hour": HOURS.hour, "y": 1.0})
        for s in ("n", "s")
        for i in (7, 8)
    )
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with sqlalchemy.create_engine(url).begin() as connection:
        frame.to_sql("load", connection, index=False)
    table = read_table(config(url, query="SELECT * FROM load", id=["store", "item"]))
    assert table["unique_id"].drop_duplicates().tolist() == ["n/7", "n/8", "s/7", "s/8"]
    assert pd.DatetimeIndex(table["ds"][:72]).equals(HOURS)


def test_a_frame_may_have_our_names_for_what_stands_in_several_columns() -> None:
    frame = pd.DataFrame({"unique_id": "n/7", "ds": HOURS, "y": 1.0})
    table = read_table(config(id=["store", "item"]), source=frame)
    assert set(table["unique_id"]) == {"n/7"}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"freq": "integer"}, "freq: integer is for one column of integers"),
        ({"format": {"unit": "s"}}, "format.unit 's' is for one column of integers"),
        ({"time": ["day", "day"]}, "'day' stands twice"),
        ({"id": ["store", "hour"]}, "column 'hour' is named as both time and id"),
        ({"id": []}, "data.id: found .*not empty"),
        ({"id": ["a", "b"], "target": ["y", "z"]}, "stands beside a list of targets"),
    ],
)
def test_columns_that_cannot_be_read_as_one_are_refused(settings: dict[str, Any], found: str) -> None:
    data: dict[str, Any] = {"path": "a.csv", "time": ["day", "hour"], "target": "y"} | settings
    with pytest.raises(ConfigError, match=found):
        config_from_mapping({"data": data, "horizon": 1})


def test_check_tells_every_fault_of_columns_that_are_read_as_one(tmp_path: Path) -> None:
    frame = (
        apart("%Y-%m-%d", "%-H")
        .assign(store="n", item=np.arange(72) % 2 + 1, y=np.arange(72) // 2)
        .astype(str)
    )
    frame["hour"] = frame.index // 2 % 24
    frame["day"] = HOURS[frame.index // 2].strftime("%Y-%m-%d")
    frame = frame.astype(str)
    frame.loc[4, "hour"], frame.loc[9, "item"], frame.loc[20, "y"] = "24", "", "x"
    frame.to_csv(tmp_path / "data.csv", index=False)
    data = {
        "path": str(tmp_path / "data.csv"),
        "time": ["day", "hour"],
        "target": "y",
        "id": ["store", "item"],
    }
    report = check(config_from_mapping({"data": data, "horizon": 2}))
    assert {(entry.code, entry.line) for entry in report.entries} == {("T302", 6), ("I201", 11), ("V401", 22)}


def test_forecasts_of_composite_series_have_their_columns_back_on_request(tmp_path: Path) -> None:
    frame = pd.concat(
        seasonal_frame(n_series=1, length=60, seed=k).assign(store=s, item=i)
        for k, (s, i) in enumerate([("n/w", "x"), ("n", "w/x"), ("s", "y")])
    ).drop(columns="unique_id")
    settings = {
        "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": ["store", "item"]},
        "horizon": 3,
        "model": {"hidden_size": 4},
        "training": {"max_steps": 3},
    }
    trained = train(config_from_mapping(settings), path=tmp_path / "run", source=frame)
    run = load_run(trained.path)
    made, _ = predict(run, frame)
    pd.testing.assert_frame_equal(made, trained.forecast, check_exact=True)
    assert made["unique_id"].drop_duplicates().tolist() == ["n/w\\/x", "n\\/w/x", "s/y"]
    named = with_input_names(made, run.config.data)
    assert list(named.columns[:4]) == ["store", "item", "ds", "cutoff"]
    pairs = set(zip(named["store"], named["item"], strict=True))
    assert pairs == {("n/w", "x"), ("n", "w/x"), ("s", "y")}


def test_names_that_were_not_put_together_cannot_be_taken_apart() -> None:
    frame = pd.DataFrame({"unique_id": ["north"], "ds": HOURS[:1], "y_hat": 1.0})
    with pytest.raises(
        ConfigError, match="series 'north' was not put together from columns 'store' and 'item'"
    ):
        with_input_names(frame, config(id=["store", "item"]))


def test_timestamps_of_several_columns_stay_whole_under_input_names() -> None:
    frame = pd.DataFrame({"unique_id": ["y"], "ds": HOURS[:1], "y_hat": 1.0})
    assert list(with_input_names(frame, config()).columns) == ["unique_id", "ds", "y_hat"]


def test_times_of_databases_are_times_of_day() -> None:
    frame = pd.DataFrame({"day": ["2024-01-01"], "hour": [datetime.time(5, 30, 0, 250_000)], "y": [1.0]})
    assert read_table(config(), source=frame)["ds"].tolist() == [pd.Timestamp("2024-01-01 05:30:00.25")]


def test_future_covariates_find_their_composite_series(tmp_path: Path) -> None:
    frame = pd.concat(
        seasonal_frame(n_series=1, length=66, seed=k).assign(store=s, item=i, price=float(k))
        for k, (s, i) in enumerate([("n", 7), ("s", 7)])
    ).drop(columns="unique_id")
    data = {"path": "unused.csv", "time": "ds", "target": "y", "id": ["store", "item"]}
    settings = {
        "data": {**data, "covariates": {"future": ["price"]}},
        "horizon": 6,
        "model": {"hidden_size": 4},
        "training": {"max_steps": 2},
    }
    past = frame["ds"] < "2020-01-01"
    train(config_from_mapping(settings), path=tmp_path / "run", source=frame[past])
    made, _ = predict(load_run(tmp_path / "run"), future=frame[~past].drop(columns="y"))
    assert made.groupby("unique_id", observed=True).size().to_dict() == {"n/7": 6, "s/7": 6}
