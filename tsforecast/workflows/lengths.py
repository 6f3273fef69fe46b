"""Series that are short for what is asked of them: one function per kind of warning, in a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from tsforecast.config.schema import Config
from tsforecast.config.words import shown
from tsforecast.errors import DataError
from tsforecast.features.auto import least_history
from tsforecast.series.panel import BoolArray, Panel
from tsforecast.training.learn import check_lengths, features_of

__all__ = ["LENGTH_CHECKS", "UNTRAINED", "ShortSeries", "refuse_lengths", "short_series"]

UNTRAINED = "L505"
# What becomes of a series that is too short, by ``data.on_bad_series``.
CONSEQUENCES = {
    "fail": "forecast by what the others teach",
    "skip": "left out",
    "baseline": "forecast by the seasonal naive",
}


@dataclass(frozen=True, slots=True)
class ShortSeries:
    """Series that are too short for one purpose.

    Attributes:
        code: of the check, as in docs/checks.md.
        unique_ids: their names.
        n_rows: their lengths.
        consequence: what comes of it.
        expected: rows that would be enough.
        remedy: what to do.
    """

    code: str
    unique_ids: tuple[str, ...]
    n_rows: tuple[int, ...]
    consequence: str
    expected: str
    remedy: str

    @property
    def found(self) -> str:
        """What is so of the first of them."""
        return f"{self.n_rows[0]} row{'s' * (self.n_rows[0] != 1)}, {self.consequence}"

    @property
    def text(self) -> str:
        """One line for people."""
        others = f" ({len(self.unique_ids)} such series)" if len(self.unique_ids) > 1 else ""
        return f"series {shown(self.unique_ids[0])}: {self.found}, expected {self.expected}{others}; {self.remedy}."

    def each(self, most: int) -> list[ShortSeries]:
        """The first of them one by one."""
        return [
            replace(self, unique_ids=(name,), n_rows=(count,))
            for name, count in zip(self.unique_ids[:most], self.n_rows, strict=False)
        ]


def refuse_lengths(panel: Panel, config: Config, where: str) -> None:
    """Refuses, in the name of the file, what training or the forecast would refuse later of lengths and dates.

    Args:
        panel: all rows.
        config: with every ``auto`` resolved.
        where: the file the panel was read from.

    Raises:
        DataError: no series is long enough, nothing can be validated, or the forecast leaves the calendar.
    """
    try:
        check_lengths(panel.drop_last(cast(int, config.split.test)), config)
        panel.axis.timestamps(panel.positions(panel.last_cutoffs) + config.horizon)
    except DataError as error:
        raise DataError(f"{where}: {error}", code=error.code) from error


def short_series(panel: Panel, config: Config) -> list[ShortSeries]:
    """What is short, in the order of the table.

    Args:
        panel: all rows.
        config: with every ``auto`` resolved.
    """
    found = []
    for code, look in LENGTH_CHECKS.items():
        is_short, needed, words, remedy = look(panel, config)
        if is_short.any():
            names = tuple(panel.unique_ids[s] for s in np.flatnonzero(is_short))
            lengths = tuple(panel.lengths[is_short].tolist())
            found.append(ShortSeries(code, names, lengths, words, f"at least {needed}", remedy))
    return found


def _needed(panel: Panel, config: Config) -> int:
    """Rows a series must have to be learned from: two short seasons, the difference, and a step to forecast."""
    features = features_of(config, panel)
    return (config.difference or 0) + least_history(features.lookback, [features.season_length]) + 1


def _untrained(panel: Panel, config: Config) -> tuple[BoolArray, int, str, str]:
    needed = _needed(panel, config)
    words = f"too few to learn from, so it is {CONSEQUENCES[config.data.on_bad_series]}"
    return panel.lengths < needed, needed, words, "give longer series, or lower season_length"


def _padded(panel: Panel, config: Config) -> tuple[BoolArray, int, str, str]:
    whole = (config.difference or 0) + features_of(config, panel).history + 1
    is_short = (panel.lengths < whole) & (panel.lengths >= _needed(panel, config))
    return (
        is_short,
        whole,
        "so that every window reaches past its start",
        "give longer series, or lower lookback",
    )


# Code -> which series are short, how many rows would do, what to say and what to do.
LENGTH_CHECKS: dict[str, Callable[[Panel, Config], tuple[BoolArray, int, str, str]]] = {
    "L504": _padded,
    UNTRAINED: _untrained,
}
