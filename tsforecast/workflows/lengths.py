"""Series that are short for what is asked of them: one function per kind of warning, in a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tsforecast.config.schema import Config
from tsforecast.config.words import shown
from tsforecast.features.auto import least_history
from tsforecast.series.panel import BoolArray, Panel
from tsforecast.training.learn import features_of

__all__ = ["LENGTH_CHECKS", "UNTRAINED", "ShortSeries", "short_series"]

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
