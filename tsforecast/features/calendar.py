"""Calendar inputs: where in the hour, day, week or year a time step lies, as points on a circle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsforecast.config.schema import CalendarFeature
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.panel import IntArray, Panel
from tsforecast.series.timeaxis import TimeAxis

__all__ = [
    "CALENDAR_FEATURES",
    "CalendarTable",
    "calendar_features",
    "check_country",
    "choose_calendar",
    "holiday_counts",
    "shows_season",
]

# A cycle of the calendar must be seen at least this often before the network may lean on it.
MIN_CYCLES = 2.0


def _minute_of_hour(ds: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    return np.asarray((ds.minute + ds.second / 60) / 60, dtype=np.float64)


def _hour_of_day(ds: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    return np.asarray((ds.hour + ds.minute / 60) / 24, dtype=np.float64)


def _day_of_week(ds: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    return np.asarray((ds.day_of_week + ds.hour / 24) / 7, dtype=np.float64)


def _day_of_month(ds: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    return np.asarray((ds.day - 1) / ds.days_in_month, dtype=np.float64)


def _day_of_year(ds: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    return np.asarray((ds.day_of_year - 1) / 365.25, dtype=np.float64)


def _month_of_year(ds: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    return np.asarray((ds.month - 1) / 12, dtype=np.float64)


# name -> (share of the cycle that has passed, length of the cycle in days)
CALENDAR_FEATURES: dict[str, tuple[Callable[[pd.DatetimeIndex], npt.NDArray[np.float64]], float]] = {
    "minute_of_hour": (_minute_of_hour, 1 / 24),
    "hour_of_day": (_hour_of_day, 1.0),
    "day_of_week": (_day_of_week, 7.0),
    "day_of_month": (_day_of_month, 30.44),
    "day_of_year": (_day_of_year, 365.25),
    "month_of_year": (_month_of_year, 365.25),
}


def calendar_features(
    ds: pd.DatetimeIndex, names: Sequence[str], *, fourier: int = 1
) -> npt.NDArray[np.float32]:
    """Sine and cosine of each named cycle and of its parts, local time where ``ds`` has a zone.

    Args:
        ds: timestamps.
        names: keys of ``CALENDAR_FEATURES``.
        fourier: waves per cycle: the whole, its half, its third …

    Returns:
        ``(len(ds), 2 * fourier * len(names))``, cycle by cycle.
    """
    columns = np.empty((len(ds), 2 * fourier * len(names)), dtype=np.float32)
    for k, name in enumerate(names):
        share, _ = CALENDAR_FEATURES[name]
        for wave in range(fourier):
            angle = 2 * np.pi * (wave + 1) * share(ds)
            place = 2 * (k * fourier + wave)
            columns[:, place] = np.sin(angle)
            columns[:, place + 1] = np.cos(angle)
    return columns


def holiday_counts(axis: TimeAxis, positions: IntArray, country: str) -> npt.NDArray[np.float32]:
    """Public holidays in each step, ``(len(positions), 1)``: 1 for each hour of one, or how many a month holds.

    Args:
        axis: the time axis; not integer time.
        positions: steps on it.
        country: ISO code, with a subdivision after a hyphen: ``DE``, ``DE-BY``.
    """
    begins = pd.DatetimeIndex(axis.timestamps(positions)).tz_localize(None).normalize()
    ends = begins + pd.Timedelta(days=1)
    if axis.counts_dates and len(positions):
        following = pd.DatetimeIndex(axis.timestamps(positions + 1)).tz_localize(None).normalize()
        ends = ends.where(ends > following, following)
    days = _holidays_of(country, range(begins.year.min(), ends.year.max() + 1)) if len(positions) else begins
    found = np.searchsorted(days, ends) - np.searchsorted(days, begins)
    return found.astype(np.float32)[:, None]


def check_country(country: str) -> None:
    """Refuses a country or part of one without known holidays.

    Raises:
        ConfigError: names the ones there are near it.
    """
    from holidays import list_supported_countries

    known = list_supported_countries(include_aliases=True)
    code, _, part = country.partition("-")
    if code not in known:
        raise ConfigError(
            f"data.holidays: the holidays of {country!r} are not known; write an ISO code such as DE, FR or US."
        )
    if part and part not in known[code]:
        parts = ", ".join(known[code][:20]) or "none"
        raise ConfigError(f"data.holidays: {part!r} is no part of {code}; those known are {parts}.")


def _holidays_of(country: str, years: range) -> pd.DatetimeIndex:
    from holidays import country_holidays  # a third of a second, and few runs need it

    code, _, part = country.partition("-")
    days = country_holidays(code, subdiv=part or None, years=years)
    return pd.DatetimeIndex(sorted(days)).as_unit("us")


def choose_calendar(panel: Panel) -> list[CalendarFeature]:
    """The cycles that are longer than one step and that the median series has seen at least twice.

    Integer time has no calendar. A step of a month or more has only its place in the year.
    """
    if panel.axis.is_integer or panel.n_series == 0:
        return []
    step = _days_per_step(panel.axis)
    span = step * float(np.median(panel.lengths))
    names: tuple[CalendarFeature, ...] = ("minute_of_hour", "hour_of_day", "day_of_week", "day_of_year")
    if step > 27:
        names = ("month_of_year",)
    return [name for name in names if 2 * step <= CALENDAR_FEATURES[name][1] <= span / MIN_CYCLES]


def shows_season(axis: TimeAxis, names: Sequence[str], season_length: int) -> bool:
    """Whether one of the calendar features runs through its cycle in about a season."""
    if axis.is_integer:
        return False
    days = season_length * _days_per_step(axis)
    return any(abs(CALENDAR_FEATURES[name][1] - days) < 0.05 * days for name in names)


def _days_per_step(axis: TimeAxis) -> float:
    try:
        ends = axis.timestamps(np.array([0, 100]))
    except (
        DataError
    ):  # data near the year 9999, which is refused only where its forecast would leave the calendar
        ends = axis.timestamps(np.array([-100, 0]))
    first, last = pd.DatetimeIndex(ends)
    return float((last - first) / pd.Timedelta(days=1)) / 100


class CalendarTable:
    """Calendar inputs of every time step a panel or its forecasts touch, each step computed once.

    Series that overlap in time share their rows, so the table is about as long as the time axis, not as the panel.

    Attributes:
        table: features, with the holidays last, ``(n_steps, 2 * fourier * n_names + 1)`` float32.
        first_rows: row of the table that belongs to each series' first step, ``(n_series,)``.
    """

    def __init__(
        self,
        panel: Panel,
        names: Sequence[str],
        *,
        beyond: int,
        fourier: int = 1,
        holidays: str | None = None,
    ) -> None:
        """Builds the table for the panel and ``beyond`` further steps after each series' end."""
        begins = panel.starts
        ends = panel.starts + panel.lengths + beyond
        order = np.argsort(begins, kind="stable")
        reach = np.maximum.accumulate(ends[order])
        opens = np.append(True, begins[order][1:] > reach[:-1])
        block = np.cumsum(opens) - 1
        block_begins = begins[order][opens]
        block_ends = reach[np.append(np.flatnonzero(opens)[1:] - 1, len(order) - 1)]
        block_rows = np.concatenate([[0], np.cumsum(block_ends - block_begins)])
        self.first_rows = np.empty(panel.n_series, dtype=np.int64)
        self.first_rows[order] = block_rows[block] + begins[order] - block_begins[block]
        positions = np.concatenate(
            [np.arange(a, b) for a, b in zip(block_begins, block_ends, strict=True)]
            or [np.empty(0, np.int64)]
        )
        self.table = np.empty((len(positions), 0), dtype=np.float32)
        if names:
            ds = pd.DatetimeIndex(panel.axis.timestamps(positions))
            self.table = calendar_features(ds, names, fourier=fourier)
        if holidays:
            self.table = np.hstack([self.table, holiday_counts(panel.axis, positions, holidays)])
