"""Local times on the clock of a time zone, where daylight saving leaves out one hour and shows another one twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsforecast.config.words import shown
from tsforecast.series.cells import CellError
from tsforecast.series.panel import BoolArray, IntArray

__all__ = ["LocalClock"]

OFFSETS = "write timestamps with their offset, as in 2024-10-27T02:30+01:00"


@dataclass(frozen=True, slots=True, eq=False)
class LocalClock:
    """The clock that timestamps without an offset were read from.

    Attributes:
        timezone: its name.
        once: what a time is that the clock shows twice and a series has once: ``first``, ``second`` or ``error``.
        ids: the series of each row; None where all rows are of the same ones.
    """

    timezone: str
    once: str = "error"
    ids: pd.Categorical | None = None

    def instants(self, moments: pd.DatetimeIndex) -> pd.DatetimeIndex:
        """The timestamps in the time zone, ``(n_rows,)``; those with an offset are converted.

        A time that a series has twice in an hour that is repeated is first the one and then the other; newest rows
        first, the other way round. Where all timestamps are dates they are days, and begin when they begin.

        Raises:
            CellError: a time that the clock leaves out, or one that it repeats and that may be either.
        """
        if moments.tz is not None:
            return moments.tz_convert(self.timezone)
        summer = np.ones(len(moments), dtype=np.bool_)
        if moments.equals(moments.normalize()):
            return moments.tz_localize(self.timezone, nonexistent="shift_forward", ambiguous=summer)
        first = moments.tz_localize(self.timezone, nonexistent="NaT", ambiguous=summer)
        if (skipped := np.flatnonzero(first.isna())).size:
            raise CellError(
                f"{str(moments[skipped[0]])!r} does not exist on the clock of {self.timezone} (daylight saving); "
                f"{OFFSETS}",
                skipped,
                code="T314",
            )
        twice = np.flatnonzero(moments.tz_localize(self.timezone, ambiguous="NaT").isna())
        if not len(twice):
            return first
        return self._in_winter(moments, self._second_ones(moments, twice))

    def _in_winter(self, moments: pd.DatetimeIndex, is_second: BoolArray) -> pd.DatetimeIndex:
        return moments.tz_localize(self.timezone, ambiguous=~is_second)

    def _second_ones(self, moments: pd.DatetimeIndex, twice: IntArray) -> BoolArray:
        """Whether a time is the second of its name, ``(n_rows,)``.

        Args:
            moments: all timestamps.
            twice: rows whose time the clock shows twice, in their order.
        """
        codes = np.zeros(len(moments), np.int64) if self.ids is None else self.ids.codes.astype(np.int64)
        same = pd.DataFrame({"series": codes[twice], "time": moments.asi8[twice]}).groupby(["series", "time"])
        place, count = same.cumcount().to_numpy(), same["time"].transform("size").to_numpy()
        if (many := twice[count > 2]).size:
            raise self._refusal(
                moments,
                many,
                f"{count[count > 2][0]} times",
                "remove the rows that are too many, or write offsets",
            )
        if self.once == "error" and (alone := twice[count == 1]).size:
            raise self._refusal(
                moments,
                alone,
                "once",
                f"{OFFSETS}, or say which is meant with data.format.repeated_hour: first",
            )
        is_second, is_pair = (np.zeros(len(moments), dtype=np.bool_) for _ in range(2))
        is_second[twice] = np.where(count == 2, place == 1, self.once == "second")
        is_pair[twice] = count == 2
        return self._turned(moments, codes, is_second, is_pair)

    def _turned(
        self, moments: pd.DatetimeIndex, codes: IntArray, is_second: BoolArray, is_pair: BoolArray
    ) -> BoolArray:
        """``is_second``, with the two of a pair exchanged in series that have their newest rows first."""
        rows = np.argsort(codes, kind="stable")
        beside_pair = is_pair[rows[1:]] | is_pair[rows[:-1]]
        steps = np.flatnonzero(beside_pair & (codes[rows[1:]] == codes[rows[:-1]]))
        before, after = rows[steps], rows[steps + 1]
        rising = self._in_winter(moments, is_second).asi8
        falling = self._in_winter(moments, is_second ^ is_pair).asi8
        not_rising = np.unique(codes[before[rising[after] <= rising[before]]])
        not_falling = np.unique(codes[before[falling[after] >= falling[before]]])
        if (torn := np.intersect1d(not_rising, not_falling)).size:
            raise self._refusal(
                moments,
                np.flatnonzero(is_pair & np.isin(codes, torn)),
                "twice, but not in the order of time",
                f"sort the rows of the series, or {OFFSETS}",
            )
        return is_second ^ (is_pair & np.isin(codes, not_rising))

    def _refusal(self, moments: pd.DatetimeIndex, rows: IntArray, found: str, remedy: str) -> CellError:
        where = "the data" if self.ids is None else f"series {shown(self.ids[rows[0]])}"
        return CellError(
            f"{str(moments[rows[0]])!r} is there twice on the clock of {self.timezone} (daylight saving), and "
            f"{found} in {where}; {remedy}",
            rows,
            code="T314",
        )
