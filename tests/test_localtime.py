"""Local times over the switches of daylight saving, held to zoneinfo and to pandas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from synthetic import config, seasonal_series

from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import DataConfig, FormatConfig
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.cells import CellError
from tsforecast.series.localtime import LocalClock
from tsforecast.series.read import read_table
from tsforecast.workflows.check import check
from tsforecast.workflows.predict import csv_text, load_run, predict
from tsforecast.workflows.train import train

BERLIN = "Europe/Berlin"
AUTUMN = datetime(2024, 10, 26, 20, tzinfo=UTC)  # the switch is at 01:00 UTC on the 27th


def instants(minutes: int, n: int, start: datetime = AUTUMN) -> list[datetime]:
    return [start + timedelta(minutes=minutes * k) for k in range(n)]


def on_the_wall(moments: list[datetime], timezone: str) -> pd.DatetimeIndex:
    """What the clock shows, by zoneinfo."""
    return pd.DatetimeIndex(
        [moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None) for moment in moments]
    )


def read(wall: pd.DatetimeIndex, timezone: str = BERLIN, once: str = "error") -> list[datetime]:
    return LocalClock(timezone, once).instants(wall).tz_convert("UTC").to_pydatetime().tolist()


def local(form: dict[str, str] | None = None, **settings: Any) -> DataConfig:
    form = {"timezone": BERLIN} | (form or {})
    return DataConfig(path="a.csv", time="ds", target="y", format=FormatConfig(**form), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timezone", "minutes"),
    [
        *((zone, minutes) for zone in (BERLIN, "America/New_York", "America/Havana") for minutes in (15, 60)),
        ("Australia/Lord_Howe", 10),  # where summer is half an hour ahead
        ("Australia/Lord_Howe", 30),
        ("UTC", 60),
    ],
)
@pytest.mark.parametrize("step", [1, -1])
def test_a_year_of_local_times_is_the_year_it_was(timezone: str, minutes: int, step: int) -> None:
    moments = instants(minutes, 366 * 24 * 60 // minutes)[::step]
    assert read(on_the_wall(moments, timezone), timezone) == moments


def test_pandas_infers_the_same_instants() -> None:
    wall = on_the_wall(instants(15, 60), BERLIN)
    assert LocalClock(BERLIN).instants(wall).equals(wall.tz_localize(BERLIN, ambiguous="infer"))


def test_each_series_has_its_own_order_however_the_rows_are_mixed() -> None:
    moments = instants(60, 12)
    wall = on_the_wall(moments, BERLIN)
    frame = pd.concat(
        [
            pd.DataFrame({"id": "rising", "ds": wall, "truth": moments, "at": np.arange(12.0)}),
            pd.DataFrame(
                {"id": "falling", "ds": wall[::-1], "truth": moments[::-1], "at": np.arange(12) + 0.5}
            ),
        ]
    ).sort_values("at")
    found = read_table(local(id="id"), source=frame.assign(y=1.0))
    assert found["ds"].tolist() == frame["truth"].tolist()


def test_a_time_that_a_series_has_once_is_refused_with_series_line_and_way_out(tmp_path: Path) -> None:
    wall = on_the_wall(instants(60, 12), BERLIN)
    whole, without = (pd.DataFrame({"id": name, "ds": wall, "y": 1}) for name in "ab")
    path = tmp_path / "data.csv"
    pd.concat([whole, without.drop(index=5)]).to_csv(path, index=False)
    message = (
        r"line 18, column 'ds': '2024-10-27 02:00:00' is there twice on the clock of Europe/Berlin \(daylight "
        r"saving\), and once in series 'b'; write .*with data.format.repeated_hour: first"
    )
    with pytest.raises(DataError, match=message) as caught:
        read_table(local(id="id"), source=path)
    assert caught.value.code == "T314"


@pytest.mark.parametrize(("once", "hour"), [("first", 0), ("second", 1)])
def test_a_named_policy_says_which_one_a_single_time_is(once: str, hour: int) -> None:
    wall = pd.DatetimeIndex(["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 03:00"])
    assert read(wall, once=once)[1] == datetime(2024, 10, 27, hour, tzinfo=UTC)


@pytest.mark.parametrize("once", ["first", "second"])
def test_a_policy_for_single_times_does_not_touch_those_that_are_there_twice(once: str) -> None:
    moments = instants(60, 12)
    assert read(on_the_wall(moments, BERLIN), once=once) == moments


def test_a_time_that_is_there_three_times_is_refused() -> None:
    wall = on_the_wall(instants(60, 12), BERLIN)
    with pytest.raises(CellError, match="and 3 times in the data; remove the rows that are too many"):
        LocalClock(BERLIN).instants(wall.insert(6, wall[5]))


@pytest.mark.parametrize(
    "order",
    [[0, 1, 2, 3, 5, 4, 6, 7, 9, 8], [5, 0, 1, 2, 3, 4, 6, 7, 8, 9]],
    ids=["by the wall", "one moved away"],
)
def test_rows_that_do_not_follow_each_other_tell_nothing(order: list[int]) -> None:
    """Pairs of 02:00 and 02:30 in the order of what the clock shows, or one of them far from the others."""
    moments = instants(30, 10, start=datetime(2024, 10, 26, 23, tzinfo=UTC))
    wall = on_the_wall(moments, BERLIN)
    wall = wall.sort_values()[order] if order[0] == 0 else wall[order]
    with pytest.raises(CellError, match="twice, but not in the order of time in the data; sort the rows"):
        LocalClock(BERLIN).instants(wall)


def test_a_row_out_of_place_elsewhere_does_not_matter() -> None:
    moments = instants(60, 24)
    moved = [moments[20], *moments[:20], *moments[21:]]
    assert read(on_the_wall(moved, BERLIN)) == moved


@pytest.mark.parametrize("timezone", ["America/Sao_Paulo", "America/Havana", "Asia/Beirut"])
def test_days_begin_when_they_begin_where_midnight_is_left_out_or_repeated(timezone: str) -> None:
    """The first instant of a day, by zoneinfo: midnight, or the end of the hour that is left out."""
    days = pd.date_range("2016-01-01", "2018-12-31", unit="us")
    found = LocalClock(timezone).instants(days)
    zone = ZoneInfo(timezone)
    assert [moment.date() for moment in found] == [day.date() for day in days]
    for moment in found:
        before = (moment.tz_convert("UTC").to_pydatetime() - timedelta(microseconds=1)).astimezone(zone)
        assert before.date() < moment.date()


def test_a_policy_without_a_time_zone_is_refused() -> None:
    data = {"path": "a.csv", "time": "ds", "target": "y", "format": {"repeated_hour": "first"}}
    with pytest.raises(
        ConfigError, match="repeated_hour 'first' is for local times, and there is no timezone"
    ):
        config_from_mapping({"data": data, "horizon": 1})


def test_local_hours_over_both_switches_have_no_gap_and_no_repeat() -> None:
    wall = on_the_wall(instants(60, 24 * 366), BERLIN)
    panel, repairs = panel_from_table(
        read_table(local(), source=pd.DataFrame({"ds": wall, "y": np.arange(len(wall))})), local()
    )
    assert panel.axis.freq == "h"
    assert panel.y.tolist() == list(range(24 * 366))
    assert repairs == {}


@pytest.mark.parametrize(
    "last", [datetime(2024, 10, 26, 19, tzinfo=UTC), datetime(2024, 3, 30, 19, tzinfo=UTC)]
)
def test_24_steps_over_a_switch_are_24_instants_one_hour_apart(tmp_path: Path, last: datetime) -> None:
    moments = instants(60, 240, start=last - timedelta(hours=239))
    frame = pd.DataFrame({"ds": on_the_wall(moments, BERLIN), "y": seasonal_series(240, season_length=24)})
    settings = config(
        data={"path": "unused.csv", "time": "ds", "target": "y", "format": {"timezone": BERLIN}},
        horizon=24,
        training={"max_steps": 2},
    )
    trained = train(settings, path=tmp_path / "run", source=frame)
    made, panel = predict(load_run(trained.path), frame)
    expected = [(last + timedelta(hours=k)).astimezone(ZoneInfo(BERLIN)) for k in range(1, 25)]
    assert [moment.isoformat(" ") for moment in expected] == made["ds"].astype(str).tolist()
    written = pd.read_csv(Path(trained.path) / "forecast.csv")["ds"]
    assert written.tolist() == [moment.isoformat(" ") for moment in expected]
    assert len(set(written)) == 24
    assert csv_text(made, panel.axis).count("2024-") >= 24


def test_future_covariates_over_the_switch_are_told_apart_as_well(tmp_path: Path) -> None:
    moments = instants(60, 264, start=datetime(2024, 10, 16, 20, tzinfo=UTC))
    frame = pd.DataFrame({"ds": on_the_wall(moments, BERLIN), "y": seasonal_series(264, season_length=24)})
    frame["price"] = np.arange(264) % 5
    settings = config(
        data={
            "path": "unused.csv",
            "time": "ds",
            "target": "y",
            "format": {"timezone": BERLIN},
            "covariates": {"future": ["price"]},
        },
        horizon=24,
        training={"max_steps": 2},
    )
    train(settings, path=tmp_path / "run", source=frame[:240])
    made, _ = predict(load_run(tmp_path / "run"), future=frame[["ds", "price"]][240:])
    assert len(made) == 24


def test_check_tells_of_repeated_hours_beside_what_else_is_wrong(tmp_path: Path) -> None:
    wall = on_the_wall(instants(60, 12), BERLIN)
    frame = pd.DataFrame({"ds": wall, "y": [*map(str, range(11)), "x"]}).drop(index=5)
    frame.to_csv(tmp_path / "data.csv", index=False)
    data = {
        "path": str(tmp_path / "data.csv"),
        "time": "ds",
        "target": "y",
        "format": {"timezone": BERLIN},
    }
    report = check(config_from_mapping({"data": data, "horizon": 1}))
    assert {(entry.code, entry.line, entry.repair) for entry in report.entries} == {
        ("T314", 6, "data.format.repeated_hour: first"),
        ("V401", 12, None),
    }
