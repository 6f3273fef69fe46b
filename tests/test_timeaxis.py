from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsforecast.errors import ConfigError, DataError
from tsforecast.series import stretches, timeaxis
from tsforecast.series.timeaxis import INTEGER, TimeAxis, axis_over, check_freq, infer_freq


def dates(*moments: str, tz: str | None = None) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(list(moments), tz=tz)


def one_series(ds: pd.DatetimeIndex) -> np.ndarray:
    return np.array([0, len(ds)])


FREQS = [
    "15min",
    "h",
    "D",
    "2D",
    "B",
    "W-WED",
    "MS",
    "ME",
    "2MS",
    "QS-OCT",
    "QE-DEC",
    "YS-JAN",
    "YE-MAR",
    "BME",
]
FREQS += ["SMS-15", "BQE-DEC"]


@pytest.mark.parametrize("freq", FREQS)
@pytest.mark.parametrize("timezone", [None, "Europe/Berlin"])
@settings(max_examples=10)
@given(positions=st.lists(st.integers(-1500, 1500), min_size=1, max_size=20))
def test_positions_undo_timestamps(freq: str, timezone: str | None, positions: list[int]) -> None:
    ds = pd.date_range("2021-01-01", periods=3, freq=freq, tz=timezone, unit="us")
    axis = axis_over(ds, check_freq(freq))
    assert axis.positions(axis.timestamps(np.array(positions))).tolist() == positions


def test_integer_time_counts_from_the_smallest_integer() -> None:
    axis = axis_over(np.array([17, 12, 14]), INTEGER)
    assert axis.positions(np.array([12, 17])).tolist() == [0, 5]
    assert axis.timestamps(np.array([0, 6])).tolist() == [12, 18]


def test_month_ends_follow_the_calendar() -> None:
    axis = axis_over(dates("2024-01-31"), "ME")
    expected = dates("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30")
    assert axis.timestamps(np.arange(4)).tolist() == expected.tolist()


def test_business_days_skip_the_weekend() -> None:
    axis = axis_over(dates("2024-03-01"), "B")  # a Friday
    assert axis.timestamps(np.array([1]))[0] == pd.Timestamp("2024-03-04")


def test_hours_over_the_switch_to_summer_time_are_distinct_instants() -> None:
    axis = axis_over(dates("2024-03-31 00:00", tz="Europe/Berlin"), "h")
    following = axis.timestamps(np.arange(1, 25))
    assert len(set(following)) == 24
    assert (following[-1] - following[0]) == pd.Timedelta(hours=23)
    assert [str(moment) for moment in following[:2]] == [
        "2024-03-31 01:00:00+01:00",
        "2024-03-31 03:00:00+02:00",
    ]


def test_days_over_the_switch_to_summer_time_begin_at_midnight() -> None:
    axis = axis_over(dates("2024-03-30", tz="Europe/Berlin"), "D")
    following = axis.timestamps(np.arange(3))
    assert [str(day) for day in following] == [
        "2024-03-30 00:00:00+01:00",
        "2024-03-31 00:00:00+01:00",
        "2024-04-01 00:00:00+02:00",
    ]


def test_a_day_whose_midnight_is_left_out_begins_at_its_first_hour_and_is_found_again() -> None:
    axis = axis_over(dates("2018-11-03", tz="America/Sao_Paulo"), "D")
    switch_day = axis.timestamps(np.array([1]))
    assert str(switch_day[0]) == "2018-11-04 01:00:00-02:00"
    assert axis.positions(switch_day).tolist() == [1]


def test_floor_gives_the_last_step_at_or_before() -> None:
    axis = axis_over(dates("2024-01-01"), "MS")
    assert axis.floor(dates("2023-12-31 23:59", "2024-01-01", "2024-01-31", "2024-02-01")).tolist() == [
        -1,
        0,
        0,
        1,
    ]


def test_a_timestamp_between_two_steps_is_refused_with_its_neighbours() -> None:
    axis = axis_over(dates("2024-01-01"), "MS")
    with pytest.raises(
        DataError, match=r"2024-02-02 00:00:00 is not a step of frequency 'MS'.*2024-02-01.*2024-03-01"
    ):
        axis.positions(dates("2024-01-01", "2024-02-02"))


@pytest.mark.parametrize("freq", ["h", "D", "B", "MS", "YS-JAN"])
@pytest.mark.parametrize("position", [10_000_000, -10_000_000_000])
def test_steps_outside_the_years_1_to_9999_are_refused(freq: str, position: int) -> None:
    axis = axis_over(dates("9990-01-01"), freq)
    with pytest.raises(DataError, match="leave the years 1 to 9999; use a shorter horizon"):
        axis.timestamps(np.array([position]))


def test_for_a_step_far_away_no_grid_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    axis = axis_over(dates("9990-01-01"), "B")
    monkeypatch.delattr("tsforecast.series.timeaxis._grid")
    with pytest.raises(DataError, match="leave the years"):
        axis.timestamps(np.array([10**8]))


def test_the_grid_begins_at_a_date_of_its_frequency() -> None:
    ds = dates("2024-01-15", "2024-02-01", "2024-03-01")
    axis = axis_over(ds, "MS")
    assert axis.floor(ds).tolist() == [-1, 0, 1]
    assert axis.timestamps(np.array([-1]))[0] == pd.Timestamp("2024-01-01")
    assert axis.on_grid(ds, axis.floor(ds)).tolist() == [False, True, True]


def test_timestamps_with_a_zone_do_not_fit_an_axis_without() -> None:
    axis = axis_over(dates("2024-01-01"), "D")
    with pytest.raises(DataError, match="timestamps have the time zone 'UTC', expected none"):
        axis.positions(dates("2024-01-01", tz="UTC"))


def test_another_zone_is_converted() -> None:
    axis = axis_over(dates("2024-01-01 01:00", tz="Europe/Berlin"), "h")
    assert axis.positions(dates("2024-01-01 02:00", tz="UTC")).tolist() == [2]


def test_integers_do_not_fit_an_axis_of_dates() -> None:
    with pytest.raises(DataError, match="counted in integers here, expected timestamps"):
        axis_over(dates("2024-01-01"), "D").positions(np.array([1]))


def test_dates_do_not_fit_an_integer_axis() -> None:
    with pytest.raises(DataError, match="given as timestamps here, expected integers"):
        axis_over(np.array([1]), INTEGER).positions(dates("2024-01-01"))


def test_the_grid_is_where_most_timestamps_are() -> None:
    ds = dates("2024-01-01 00:07", "2024-01-01 01:00", "2024-01-01 02:00")
    axis = axis_over(ds, "h")
    assert axis.on_grid(ds, axis.floor(ds)).tolist() == [False, True, True]


@pytest.mark.parametrize("timezone", [None, "Europe/Berlin", "UTC+01:00"])
def test_an_axis_survives_json(timezone: str | None) -> None:
    axis = axis_over(dates("2024-01-01 06:30", tz=timezone), "h")
    assert TimeAxis.from_json(axis.to_json()) == axis


def test_an_integer_axis_survives_json() -> None:
    axis = TimeAxis(freq=INTEGER, origin=7)
    assert TimeAxis.from_json(axis.to_json()) == axis


@pytest.mark.parametrize(
    ("freq", "hint"),
    [
        ("H", "Did you mean 'h'?"),
        ("15T", "Did you mean '15min'?"),
        ("M", r"Did you mean 'MS' \(month start\) or 'ME'?"),
        ("d", "Did you mean 'D'?"),
        ("daily", "Did you mean 'D'?"),
        ("BM", "Did you mean 'BME'?"),
        ("foo", "Write an alias such as"),
        ("", "Write an alias such as"),
    ],
)
def test_a_name_that_is_no_frequency_is_refused_with_a_hint(freq: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"data.freq: '{freq}' is not a known frequency.*{hint}"):
        check_freq(freq)


@pytest.mark.parametrize("freq", ["0D", "-1D", "0h", "-2MS"])
def test_a_frequency_that_does_not_move_forward_is_refused(freq: str) -> None:
    with pytest.raises(ConfigError, match="does not move forward"):
        check_freq(freq)


def test_a_frequency_finer_than_a_microsecond_is_refused() -> None:
    with pytest.raises(ConfigError, match="finer than a microsecond"):
        check_freq("ns")


def test_business_hours_are_refused() -> None:
    with pytest.raises(ConfigError, match="'bh' is not supported; write 'h'"):
        check_freq("bh")


@pytest.mark.parametrize(
    ("freq", "spelt"), [("W", "W-SUN"), ("QS", "QS-JAN"), ("1.5h", "90min"), (INTEGER, INTEGER)]
)
def test_frequencies_are_spelt_in_one_way(freq: str, spelt: str) -> None:
    assert check_freq(freq) == spelt


@pytest.mark.parametrize("freq", [freq for freq in FREQS if freq not in ("QS-OCT", "SMS-15")])
@pytest.mark.parametrize("timezone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("missing", [[], [5, 17]])
def test_a_frequency_is_found_from_its_dates(freq: str, timezone: str | None, missing: list[int]) -> None:
    ds = pd.DatetimeIndex(
        pd.date_range("2019-01-05", periods=60, freq=freq, tz=timezone, unit="us").delete(missing)
    )
    assert infer_freq(ds, one_series(ds)) == freq


def test_quarters_are_named_by_their_first_month() -> None:
    ds = dates("2020-02-01", "2020-05-01", "2020-08-01", "2020-11-01")
    assert infer_freq(ds, one_series(ds)) == "QS-FEB"


def test_three_months_of_31_days_are_months() -> None:
    ds = dates("2024-07-01", "2024-08-01", "2024-09-01")
    assert infer_freq(ds, one_series(ds)) == "MS"


def test_days_within_one_week_are_days_and_not_business_days() -> None:
    ds = dates("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07")
    assert infer_freq(ds, one_series(ds)) == "D"


def test_one_date_off_the_month_start_does_not_hide_the_months() -> None:
    months = pd.date_range("2020-01-01", periods=12, freq="MS", unit="us")
    ds = pd.DatetimeIndex(months.insert(3, pd.Timestamp("2020-03-17")))
    assert infer_freq(ds, one_series(ds)) == "MS"


def test_differences_between_series_do_not_count() -> None:
    ds = dates(
        "2020-01-01", "2020-01-02", "2020-01-03", *(f"2020-01-03 {hour:02}:00" for hour in range(1, 9))
    )
    assert infer_freq(ds, np.array([0, *range(3, 12)])) == "D"


def test_repeated_dates_do_not_count() -> None:
    ds = dates("2020-01-01", "2020-01-01", "2020-01-01", "2020-01-02", "2020-01-03")
    assert infer_freq(ds, one_series(ds)) == "D"


def test_the_most_frequent_difference_wins_where_no_calendar_fits() -> None:
    ds = dates("2024-01-01 00:00", "2024-01-01 00:20", "2024-01-01 00:40", "2024-01-01 01:10")
    assert infer_freq(ds, one_series(ds)) == "20min"


@pytest.mark.parametrize("ds", [dates("2024-01-01"), dates("2024-01-01", "2024-01-02")])
def test_fewer_than_three_dates_have_no_frequency(ds: pd.DatetimeIndex) -> None:
    with pytest.raises(DataError, match=r"fewer than 3 different timestamps in a series; set data.freq"):
        infer_freq(ds, one_series(ds))


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), data=st.data())
def test_moves_are_counted_within_series_however_the_rows_are_cut(
    lengths: list[int], data: st.DataObject
) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.array(data.draw(st.lists(st.integers(0, 3), min_size=sum(lengths), max_size=sum(lengths))))
    steps = [np.diff(values[begin:end]) for begin, end in pairwise(offsets)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "STRETCH", 4)
        sizes, most = timeaxis._moves_within(values, offsets)

    assert sizes == Counter(int(step) for each in steps for step in each if step)
    assert most == max(np.count_nonzero(each) for each in steps)
