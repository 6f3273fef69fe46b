"""Stretches of time over which a trend is told: weeks, or the steps themselves where they are as long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsforecast.series.panel import IntArray
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.workflows.scoring.actual import moment_text

__all__ = ["Periods"]

DAYS = 7
# Weeks begin on Mondays, and 1970-01-01 was a Thursday.
FIRST_MONDAY = -3


@dataclass(frozen=True, slots=True)
class Periods:
    """From the steps of an axis to numbered periods.

    Attributes:
        axis: of the steps.
        length: steps of a period of integer time.
    """

    axis: TimeAxis
    length: int = 1

    @property
    def weekly(self) -> bool:
        """Whether a period is a week from Monday to Sunday, on the clock of the data."""
        if self.axis.is_integer:
            return False
        first, second = self.axis.timestamps(np.arange(2))
        return bool(second - first < pd.Timedelta(days=DAYS))

    @property
    def name(self) -> str:
        """What a period is called: the week, or the time, that it begins with."""
        return "week" if self.weekly else "time"

    def of(self, positions: IntArray) -> IntArray:
        """The period of each position, ``(n,)``."""
        if self.axis.is_integer:
            return positions // self.length
        if not self.weekly:
            return positions
        different, place = np.unique(positions, return_inverse=True)
        wall = pd.DatetimeIndex(self.axis.timestamps(different)).tz_localize(None)
        days = wall.as_unit("s").asi8 // 86_400
        return np.asarray((days - FIRST_MONDAY) // DAYS, dtype=np.int64)[place]

    def text(self, period: int) -> str:
        """The beginning of a period."""
        if self.axis.is_integer:
            return moment_text(self.axis, period * self.length)
        if not self.weekly:
            return moment_text(self.axis, period)
        return str(np.datetime64(period * DAYS + FIRST_MONDAY, "D"))
