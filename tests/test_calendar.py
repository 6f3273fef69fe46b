import numpy as np
import pandas as pd
import pytest
from synthetic import panel_of

from tsforecast.config.schema import CALENDAR_FEATURES as CONFIG_NAMES
from tsforecast.errors import ConfigError
from tsforecast.features.calendar import (
    CALENDAR_FEATURES,
    CalendarTable,
    calendar_features,
    check_country,
    choose_calendar,
    holiday_counts,
)
from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import TimeAxis, axis_over, check_freq


def test_the_schema_lists_the_calendar_features_there_are() -> None:
    assert set(CONFIG_NAMES) == set(CALENDAR_FEATURES)


def test_midnight_and_noon_lie_opposite_each_other() -> None:
    ds = pd.DatetimeIndex(["2024-05-01 00:00", "2024-05-01 12:00"])
    midnight, noon = calendar_features(ds, ["hour_of_day"])
    assert midnight.tolist() == pytest.approx([0, 1])
    assert noon.tolist() == pytest.approx([0, -1], abs=1e-6)


def test_sunday_night_lies_beside_monday_morning() -> None:
    sunday, monday = calendar_features(
        pd.DatetimeIndex(["2024-05-05 23:00", "2024-05-06 00:00"]), ["day_of_week"]
    )
    assert np.hypot(*(sunday - monday)) < 2 * np.pi / 7 / 20


def test_the_hour_is_that_of_the_clock_on_the_wall() -> None:
    ds = pd.DatetimeIndex(["2024-07-01 12:00"]).tz_localize("Europe/Berlin")
    local = calendar_features(ds, ["hour_of_day"])
    assert (
        local.tolist() == calendar_features(pd.DatetimeIndex(["2024-07-01 12:00"]), ["hour_of_day"]).tolist()
    )


@pytest.mark.parametrize(
    ("freq", "length", "expected"),
    [
        ("h", 24 * 60, ("hour_of_day", "day_of_week")),
        ("h", 24 * 800, ("hour_of_day", "day_of_week", "day_of_year")),
        ("15min", 96 * 30, ("minute_of_hour", "hour_of_day", "day_of_week")),
        ("D", 100, ("day_of_week",)),
        ("D", 900, ("day_of_week", "day_of_year")),
        ("MS", 60, ("month_of_year",)),
        ("YS", 60, ()),
        ("integer", 60, ()),
    ],
)
def test_cycles_are_chosen_that_are_longer_than_a_step_and_were_seen_twice(
    freq: str, length: int, expected: tuple[str, ...]
) -> None:
    assert tuple(choose_calendar(panel_of(np.zeros(length), freq=freq))) == expected


def test_the_table_holds_each_step_of_overlapping_series_once_and_leaves_out_the_time_between() -> None:
    panel = Panel(
        axis=TimeAxis(freq="h", origin=pd.Timestamp("2024-01-01")),
        unique_ids=("a", "b", "c"),
        offsets=np.array([0, 10, 20, 30]),
        starts=np.array([1000, 5, 0]),  # c and b overlap, a comes long after
        y=np.zeros(30),
        past=np.empty((30, 0)),
    )
    table = CalendarTable(panel, ["hour_of_day"], beyond=2)
    assert len(table.table) == (5 + 10 + 2) + (10 + 2)
    for series, start in enumerate(panel.starts):
        expected = calendar_features(panel.axis.timestamps(start + np.arange(12)), ["hour_of_day"])
        first = table.first_rows[series]
        assert np.array_equal(table.table[first : first + 12], expected)


def test_more_waves_are_parts_of_the_cycle() -> None:
    ds = pd.date_range("2024-01-01", periods=48, freq="h")
    columns = calendar_features(ds, ["hour_of_day", "day_of_week"], fourier=2)
    angle = 2 * np.pi * np.arange(48) / 24
    expected = np.stack([np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)], axis=1)
    np.testing.assert_allclose(columns[:, :4], expected, atol=1e-6)
    assert columns.shape == (48, 8)


@pytest.mark.parametrize(
    ("freq", "start", "country", "expected"),
    [
        ("D", "2024-12-23", "DE", [0, 0, 1, 1, 0]),
        ("h", "2024-12-24 22:00", "DE", [0, 0, 1, 1, 1]),
        ("MS", "2024-09-01", "DE", [0, 1, 0, 2, 1]),  # 3 October; Christmas and the day after; New Year
        ("D", "2024-01-05", "DE-BY", [0, 1, 0, 0, 0]),
        ("D", "2024-01-05", "DE", [0, 0, 0, 0, 0]),
        ("W-MON", "2024-12-16", "US", [0, 1, 1, 0, 0]),
        ("B", "2024-12-24", "DE", [0, 1, 1, 0, 0]),
    ],
)
def test_holidays_are_counted_in_each_step(freq: str, start: str, country: str, expected: list[int]) -> None:
    ds = pd.date_range(start, periods=5, freq=freq)
    axis = axis_over(ds, check_freq(freq))
    assert holiday_counts(axis, axis.positions(ds), country)[:, 0].tolist() == expected


def test_holidays_follow_the_local_date() -> None:
    ds = pd.date_range("2024-12-24 22:00", periods=3, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    axis = axis_over(ds, "h")
    assert holiday_counts(axis, axis.positions(ds), "DE")[:, 0].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("country", "message"),
    [("NO1", "the holidays of 'NO1' are not known"), ("DE-XX", "'XX' is no part of DE; those known are BB")],
)
def test_a_country_without_known_holidays_is_refused(country: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_country(country)
    check_country("NO")
    check_country("DE-BY")
