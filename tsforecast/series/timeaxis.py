"""Time as whole steps: a two-way map between timestamps and positions on one grid.

A step shorter than a day is a stretch of time and is counted in UTC, so that hours stay apart over a
daylight-saving switch. A day and everything longer is a date on the wall clock of the data's time zone.
Steps of one length (``15min``, ``h``, ``D``, ``W-WED``) are arithmetic; the others (``MS``, ``B``,
``QS-OCT`` …) are looked up in a grid of dates that is built as far as it is needed.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.tseries.frequencies import to_offset

from tsforecast.errors import ConfigError, DataError
from tsforecast.series.stretches import stretches

__all__ = ["INTEGER", "TimeAxis", "TimeIndex", "axis_over", "check_freq", "infer_freq"]

INTEGER = "integer"

IntArray: TypeAlias = npt.NDArray[np.int64]
MonthArray: TypeAlias = npt.NDArray[np.datetime64]
DayArray: TypeAlias = npt.NDArray[np.datetime64]
TimeIndex: TypeAlias = pd.DatetimeIndex | IntArray

DAY = 86_400_000_000  # microseconds, the unit of all clock readings here
FIRST_CLOCK = int(np.datetime64("0001-01-01", "us").view("i8"))
LAST_CLOCK = int(np.datetime64("9999-12-31T23:59:59.999999", "us").view("i8"))
MAX_CALENDAR_STEPS = 9999 * 366  # no calendar step is shorter than a day
MIN_GRID = 64

# What people write, and what pandas calls it.
KNOWN_AS = {
    "H": "h",
    "T": "min",
    "S": "s",
    "L": "ms",
    "U": "us",
    "d": "D",
    "b": "B",
    "w": "W",
    "M": "MS' (month start) or 'ME",
    "m": "MS' (month start) or 'min",
    "Q": "QS' (quarter start) or 'QE",
    "A": "YS' (year start) or 'YE",
    "Y": "YS' (year start) or 'YE",
    "BM": "BME",
    "BQ": "BQE",
    "BA": "BYE",
    "BY": "BYE",
    "SM": "SME",
    "hourly": "h",
    "daily": "D",
    "weekly": "W",
    "monthly": "MS",
    "quarterly": "QS",
    "yearly": "YS",
}

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
UNITS = {"h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1}

# Which day of its month a date is in monthly, quarterly and yearly data, by the alias of the monthly one.
MONTH_PLACES: dict[str, Callable[[MonthArray], DayArray]] = {
    "MS": lambda months: months.astype("datetime64[D]"),
    "ME": lambda months: (months + 1).astype("datetime64[D]") - 1,
    "BMS": lambda months: np.busday_offset(months.astype("datetime64[D]"), 0, roll="forward"),
    "BME": lambda months: np.busday_offset((months + 1).astype("datetime64[D]"), -1, roll="forward"),
}

# A few stray dates must not hide that the rest are months: they are reported as off the grid instead.
CLEAR_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """A grid of time steps; position 0 is the origin, positions before it are negative.

    Attributes:
        freq: pandas offset alias as :func:`check_freq` returns it, or ``integer``.
        origin: a point of the grid; naive, on the clock the steps are counted on (UTC or wall).
        timezone: name of the zone of all timestamps, ``None`` for timestamps without one.
    """

    freq: str
    origin: pd.Timestamp | int
    timezone: str | None = None

    @property
    def is_integer(self) -> bool:
        return self.freq == INTEGER

    @property
    def counts_dates(self) -> bool:
        """Whether a step is a day or longer, so that a date says it all."""
        return not self.is_integer and not _is_stretch(self.freq)

    def positions(self, ds: TimeIndex) -> IntArray:
        """Positions of timestamps that lie on the grid, ``(len(ds),)``.

        Raises:
            DataError: a timestamp lies between two steps, or has a time zone where the axis has none.
        """
        positions = self.floor(ds)
        off = np.flatnonzero(~self.on_grid(ds, positions))
        if len(off):
            before, after = self.timestamps(positions[off[0]] + np.arange(2))
            raise DataError(
                f"timestamp {ds[off[0]]} is not a step of frequency {self.freq!r}; "
                f"its neighbours are {before} and {after}.",
                code="T306",
            )
        return positions

    def floor(self, ds: TimeIndex) -> IntArray:
        """Position of the last step at or before each timestamp, ``(len(ds),)``."""
        if isinstance(self.origin, int):
            return _as_integers(ds) - self.origin
        clock = self._clock(_as_dates(ds))
        step = _fixed_step(self.freq)
        if step is not None:
            positions = np.empty_like(clock)
            for part in stretches(len(clock)):
                np.floor_divide(clock[part] - _micros(self.origin), step, out=positions[part])
            return positions
        if len(clock) == 0:
            return np.empty(0, np.int64)
        before, grid = self._grid_over(int(clock.min()), int(clock.max()))
        return np.searchsorted(grid, clock, side="right").astype(np.int64) - 1 - before

    def on_grid(self, ds: TimeIndex, positions: IntArray) -> npt.NDArray[np.bool_]:
        """Whether each timestamp is the one at its position, ``(len(ds),)``."""
        if self.is_integer:
            return np.ones(len(positions), dtype=np.bool_)
        return np.asarray(_micros_utc(_as_dates(self.timestamps(positions))) == _micros_utc(_as_dates(ds)))

    def timestamps(self, positions: IntArray) -> TimeIndex:
        """Timestamps at positions, in the axis' time zone; integers for integer time, ``(len(positions),)``.

        Raises:
            DataError: a position lies after the year 9999, or before the year 1.
        """
        positions = np.asarray(positions, dtype=np.int64)
        if isinstance(self.origin, int):
            return self.origin + positions
        if len(positions) == 0:
            return self._from_clock(np.empty(0, np.int64))
        first, last = int(positions.min()), int(positions.max())
        step = _fixed_step(self.freq)
        if step is not None:
            origin = _micros(self.origin)
            self._refuse_outside(origin + first * step, origin + last * step)
            return self._from_clock(origin + positions * step)
        before, grid = self._grid_of(first, last)
        clock = grid[positions + before]
        self._refuse_outside(int(clock.min()), int(clock.max()))
        return self._from_clock(clock)

    def to_json(self) -> dict[str, Any]:
        origin = self.origin if isinstance(self.origin, int) else self.origin.isoformat()
        return {"freq": self.freq, "origin": origin, "timezone": self.timezone}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> TimeAxis:
        origin = stored["origin"]
        return cls(
            freq=stored["freq"],
            origin=origin if isinstance(origin, int) else pd.Timestamp(origin),
            timezone=stored["timezone"],
        )

    def _clock(self, ds: pd.DatetimeIndex) -> IntArray:
        """Readings of the clock the steps are counted on, in microseconds."""
        if (ds.tz is None) != (self.timezone is None):
            found = f"the time zone {str(ds.tz)!r}" if ds.tz is not None else "no time zone"
            expected = f"{self.timezone!r}" if self.timezone else "none"
            raise DataError(
                f"timestamps have {found}, expected {expected}; write all of them in the same way.",
                code="T303",
            )
        return _clock_of(ds.tz_convert(self.timezone) if self.timezone else ds, self.freq)

    def _from_clock(self, clock: IntArray) -> pd.DatetimeIndex:
        naive = pd.DatetimeIndex(clock.view("datetime64[us]"))
        if self.timezone is None:
            return naive
        if _is_stretch(self.freq):
            return naive.tz_localize("UTC").tz_convert(self.timezone)
        # A day may begin at an hour that the switch leaves out, or that it repeats: the first one counts.
        return naive.tz_localize(
            self.timezone, nonexistent="shift_forward", ambiguous=np.ones(len(naive), dtype=np.bool_)
        )

    def _refuse_outside(self, first: int, last: int) -> None:
        if first < FIRST_CLOCK or last > LAST_CLOCK:
            raise self._outside()

    def _outside(self) -> DataError:
        return DataError(
            f"time steps of frequency {self.freq!r} around {self.origin} leave the years 1 to 9999; "
            "use a shorter horizon, or check data.freq and the dates.",
            code="T310",
        )

    def _grid_over(self, low: int, high: int) -> tuple[int, IntArray]:
        """A grid that reaches past both clock readings, and its number of steps before position 0."""
        before = after = MIN_GRID
        while (grid := _grid(self.freq, self.origin, before, after))[0] > low:
            before *= 4
        while grid[-1] <= high:
            after *= 4
            grid = _grid(self.freq, self.origin, before, after)
        return before, grid

    def _grid_of(self, first: int, last: int) -> tuple[int, IntArray]:
        """A grid that holds the positions, and its number of steps before position 0."""
        if max(-first, last) > MAX_CALENDAR_STEPS:
            raise self._outside()
        before, after = (_grid_size(steps) for steps in (-first, last))
        try:
            return before, _grid(self.freq, self.origin, before, after)
        except (OverflowError, ValueError) as error:  # years that even pandas cannot count to
            raise self._outside() from error


def axis_over(ds: TimeIndex, freq: str) -> TimeAxis:
    """The axis of frequency ``freq`` on which most of the timestamps lie.

    Args:
        ds: timestamps of all series, not empty, in any order.
        freq: as :func:`check_freq` returns it.
    """
    if freq == INTEGER:
        return TimeAxis(freq=freq, origin=int(_as_integers(ds).min()))
    dates = _as_dates(ds)
    clock = _clock_of(dates, freq)
    origin = pd.Timestamp(np.datetime64(int(clock.min()), "us"))
    step, offset = _fixed_step(freq), _offset(freq)
    if step is not None and not isinstance(offset, pd.offsets.Week):
        lowest = int(clock.min())
        if any(((clock[part] - lowest) % step).any() for part in stretches(len(clock))):
            origin += pd.Timedelta(microseconds=int((_most_frequent(clock % step) - lowest % step) % step))
    elif not offset.is_on_offset(origin):
        origin = pd.Timestamp(offset.rollforward(origin)).as_unit("us")
    return TimeAxis(freq=freq, origin=origin, timezone=None if dates.tz is None else str(dates.tz))


def check_freq(freq: str) -> str:
    """The frequency as pandas spells it, or ``integer``.

    Raises:
        ConfigError: not a frequency, one that pandas no longer knows, or one that does not move forward.
    """
    if freq == INTEGER:
        return freq
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # spellings that will stop working are refused now
            offset = to_offset(freq)
    except (ValueError, Warning) as error:
        raise ConfigError(f"data.freq: {freq!r} is not a known frequency.{_hint(freq)}") from error
    if offset.n < 1:
        raise ConfigError(f"data.freq: {freq!r} does not move forward; write a step such as 'D' or '15min'.")
    if isinstance(offset, pd.offsets.BusinessHour):
        raise ConfigError(f"data.freq: {freq!r} is not supported; write 'h' and set data.repair.gaps.")
    if isinstance(offset, pd.offsets.Tick) and offset.nanos % 1000:
        raise ConfigError(f"data.freq: {freq!r} is finer than a microsecond; the finest step is 'us'.")
    return str(offset.freqstr)


def infer_freq(ds: pd.DatetimeIndex, offsets: IntArray) -> str:
    """The frequency that explains the dates of all series, or else the most frequent difference.

    Months, quarters and years are found by their place in the month, business days by the weekends that are
    never there; gaps do not hide a frequency.

    Args:
        ds: timestamps in ascending order within each series, series after series.
        offsets: first row of each series and the end of the last, ``(n_series + 1,)``.

    Raises:
        DataError: no series has three different timestamps.
    """
    wall = _clock_of(ds, "D")
    sizes, n_most = _moves_within(wall, offsets)
    if n_most < 2:
        raise DataError(
            "the frequency cannot be told from fewer than 3 different timestamps in a series; "
            "set data.freq, e.g. 'h', 'D' or 'MS'.",
            code="T305",
        )
    usual = min(sizes, key=lambda size: (-sizes[size], size))
    if usual >= 28 * DAY and (monthly := _monthly_freq(wall, offsets)):
        return monthly
    if usual % DAY:
        return _stretch_alias(usual)
    if usual == DAY and _skips_weekends(wall, offsets):
        return "B"
    if usual % (7 * DAY) == 0:
        weekday = WEEKDAYS[_most_frequent(_weekday(wall))]
        return f"{_times(usual // (7 * DAY))}W-{weekday}"
    return f"{_times(usual // DAY)}D"


def _monthly_freq(wall: IntArray, offsets: IntArray) -> str | None:
    """The monthly, quarterly or yearly alias of dates that nearly all lie at one place of their month."""
    days = wall.view("datetime64[us]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    shares = {place: float(np.mean(days == day_of(months))) for place, day_of in MONTH_PLACES.items()}
    place = max(shares, key=lambda name: shares[name])
    if shares[place] < CLEAR_SHARE:
        return None
    count = months.astype(np.int64)  # since 1970-01
    steps = _steps_within(count, offsets)
    usual = _most_frequent(steps[steps > 0])
    prefix, ending = place[:-1].removesuffix("M"), place[-1]
    if usual % 12 == 0:
        return f"{_times(usual // 12)}{prefix}Y{ending}-{MONTHS[_most_frequent(count % 12)]}"
    if usual % 3 == 0:
        return f"{_times(usual // 3)}{prefix}Q{ending}-{_quarter_anchor(count, ending)}"
    return f"{_times(usual)}{place}"


def _quarter_anchor(months: IntArray, ending: str) -> str:
    """The month pandas names a quarterly grid by: its first for starts, its last for ends."""
    phase = _most_frequent(months % 3)
    return MONTHS[phase if ending == "S" else 9 + phase]


def _stretch_alias(micros: int) -> str:
    """The alias of a stretch of time under a day, in the largest unit that divides it."""
    unit = next(name for name, length in UNITS.items() if micros % length == 0)
    return f"{_times(micros // UNITS[unit])}{unit}"


def _times(n: int) -> str:
    return "" if n == 1 else str(n)


def _skips_weekends(wall: IntArray, offsets: IntArray) -> bool:
    """Whether no date falls on a weekend although a series spans at least one."""
    filled = offsets[:-1] < offsets[1:]
    spans = wall[offsets[1:][filled] - 1] - wall[offsets[:-1][filled]]
    return bool(spans.max() >= 7 * DAY and _weekday(wall).max() < 5)


def _weekday(wall: IntArray) -> IntArray:
    return (wall // DAY + 3) % 7  # 1970-01-01 was a Thursday


def _steps_within(values: IntArray, offsets: IntArray) -> IntArray:
    """Differences to the row before, 0 at the first row of each series, ``(n_rows,)``."""
    steps = np.zeros(len(values), dtype=np.int64)
    np.subtract(values[1:], values[:-1], out=steps[1:])
    steps[offsets[:-1][offsets[:-1] < len(values)]] = 0
    return steps


def _moves_within(values: IntArray, offsets: IntArray) -> tuple[Counter[int], int]:
    """How often a value moves on by which difference, and how often at most within one series."""
    sizes: Counter[int] = Counter()
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    for part in stretches(len(values) - 1):
        steps = values[part.start + 1 : part.stop + 1] - values[part]  # each to the row after
        low, high = np.searchsorted(offsets, [part.start + 1, part.stop + 1], side="left")
        steps[offsets[low:high] - part.start - 1] = 0  # where another series begins
        moves = np.flatnonzero(steps)
        bounds = np.clip(offsets[max(low - 1, 0) : high + 1] - part.start - 1, 0, len(steps))
        counts[max(low - 1, 0) : high] += np.diff(np.searchsorted(moves, bounds))
        moved = steps[moves]
        if len(moved) and (moved == moved[0]).all():
            sizes[int(moved[0])] += len(moved)
        else:
            found, often = np.unique(moved, return_counts=True)
            sizes.update(dict(zip(found.tolist(), often.tolist(), strict=True)))
    return sizes, int(counts.max(initial=0))


def _most_frequent(values: IntArray) -> int:
    """The most frequent value, the smallest of several."""
    if (values == values[0]).all():
        return int(values[0])
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _hint(freq: str) -> str:
    parts = re.fullmatch(r"([\d.]*)([A-Za-z]+)(-\w+)?", freq)
    if parts is None or parts[2] not in KNOWN_AS:
        return " Write an alias such as 'min', 'h', 'D', 'B', 'W-MON', 'MS', 'QS' or 'YS', or 'integer'."
    return f" Did you mean '{parts[1]}{KNOWN_AS[parts[2]]}{parts[3] or ''}'?"


def _as_dates(ds: TimeIndex) -> pd.DatetimeIndex:
    if not isinstance(ds, pd.DatetimeIndex):
        raise DataError(
            "time is counted in integers here, expected timestamps as before; give timestamps.", code="T311"
        )
    return ds


def _as_integers(ds: TimeIndex) -> IntArray:
    if isinstance(ds, pd.DatetimeIndex):
        raise DataError(
            "time is given as timestamps here, expected integers as before; give integers.", code="T311"
        )
    return np.asarray(ds, dtype=np.int64)


def _clock_of(ds: pd.DatetimeIndex, freq: str) -> IntArray:
    """Microseconds on the clock that steps of ``freq`` are counted on: UTC for stretches, else the wall."""
    return _micros_utc(ds if ds.tz is None or _is_stretch(freq) else ds.tz_localize(None))


def _micros_utc(ds: pd.DatetimeIndex) -> IntArray:
    return np.asarray(ds.as_unit("us").asi8, dtype=np.int64)


def _micros(timestamp: pd.Timestamp) -> int:
    return int(timestamp.as_unit("us").asm8.view("i8"))


def _is_stretch(freq: str) -> bool:
    return isinstance(_offset(freq), pd.offsets.Tick)


@lru_cache(maxsize=32)
def _fixed_step(freq: str) -> int | None:
    """Microseconds per step where every step has the same length on its clock, else ``None``."""
    offset = _offset(freq)
    if isinstance(offset, pd.offsets.Tick):
        return int(offset.nanos // 1000)
    if isinstance(offset, pd.offsets.Day):
        return offset.n * DAY
    if isinstance(offset, pd.offsets.Week):
        return offset.n * 7 * DAY
    return None


@lru_cache(maxsize=32)
def _offset(freq: str) -> pd.offsets.BaseOffset:
    return to_offset(freq)


def _grid_size(steps: int) -> int:
    """The size of grid to build for this many steps: a few sizes only, so that grids are found again."""
    size = MIN_GRID
    while size < steps:
        size *= 4
    return size


@lru_cache(maxsize=8)
def _grid(freq: str, origin: pd.Timestamp, before: int, after: int) -> IntArray:
    """Clock readings of the positions ``-before … after``, in microseconds."""
    offset = _offset(freq)
    earlier = pd.date_range(end=origin, periods=before + 1, freq=offset, unit="us")
    later = pd.date_range(origin, periods=after + 1, freq=offset, unit="us")
    return np.concatenate([_micros_utc(earlier)[:-1], _micros_utc(later)])
