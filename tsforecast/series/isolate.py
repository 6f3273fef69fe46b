"""One bad series does not stop the others: it is left out and listed, or kept for a forecast by the fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from tsforecast.config.schema import CovariatesConfig, DataConfig, RepairConfig
from tsforecast.errors import DataError, TsforecastError
from tsforecast.series.assemble import on_axis, panel_from_rows, panel_from_table, rows_of_table
from tsforecast.series.panel import Panel
from tsforecast.series.read import name_of
from tsforecast.series.timeaxis import INTEGER, TimeAxis

Built = TypeVar("Built")

__all__ = ["FALLBACK", "Failure", "Isolated", "isolated_panel", "not_forecast"]

FALLBACK = "seasonal_naive"
# What the fallback is given: nothing is made up, and no value is lost that can be told.
SALVAGE = RepairConfig(duplicates="last", gaps="mask", missing="mask", infinite="mask", negative="keep")


@dataclass(frozen=True, slots=True)
class Failure:
    """A series that the network neither learns from nor forecasts.

    Attributes:
        unique_id: its name.
        code: of what is wrong, as in docs/checks.md.
        reason: in words.
        forecast: name of what forecasts it instead; empty where nothing does.
    """

    unique_id: str
    code: str
    reason: str
    forecast: str = ""


def not_forecast(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    """The series that nothing forecasts."""
    return tuple(failure for failure in failures if not failure.forecast)


@dataclass(frozen=True, slots=True, eq=False)
class Isolated:
    """The good series, and what becomes of the others.

    Attributes:
        panel: the good series.
        repairs: how much was repaired in them, by kind.
        fallbacks: series for the fallback; all of them have a known value.
        failures: every series that is not in ``panel``.
        left_out: rows that were cut off at the end.
        is_part: whether there are further series elsewhere, so that all of these may be bad.
        refused: what would have been raised, had there been no others.
    """

    panel: Panel
    repairs: dict[str, int]
    fallbacks: tuple[Panel, ...] = ()
    failures: tuple[Failure, ...] = ()
    left_out: int = 0
    is_part: bool = False
    refused: TsforecastError | None = None

    @property
    def lost(self) -> tuple[Failure, ...]:
        """The series that nothing forecasts."""
        return not_forecast(self.failures)

    def without(self, reasons: Mapping[str, str], *, code: str, policy: str) -> Isolated:
        """With some more series set apart, unless none would be left.

        Args:
            reasons: by name of the series.
            code: of what is wrong with them.
            policy: ``data.on_bad_series``.
        """
        is_bad = np.array([name in reasons for name in self.panel.unique_ids], dtype=np.bool_)
        if policy == "fail" or not is_bad.any() or (is_bad.all() and not self.is_part):
            return self
        apart = self.panel.select(np.flatnonzero(is_bad))
        forecast = FALLBACK if policy == "baseline" else ""
        failures = [Failure(name, code, reasons[name], forecast) for name in apart.unique_ids]
        return replace(
            self,
            panel=self.panel.select(np.flatnonzero(~is_bad)),
            fallbacks=(*self.fallbacks, apart) if forecast else self.fallbacks,
            failures=(*self.failures, *failures),
        )


def isolated_panel(
    table: pd.DataFrame,
    data: DataConfig,
    *,
    freq: str | None = None,
    where: str = "",
    apart: Mapping[str, tuple[str, str]] | None = None,
    warn: bool = True,
    is_part: bool = False,
) -> Isolated:
    """The Panel of the series without an error; the others as ``data.on_bad_series`` says.

    Args:
        table: as ``read_table`` gives it.
        data: columns, frequency, repair policies and what is done about bad series.
        freq: instead of ``data.freq``.
        where: the file the table was read from, for messages; ``data.path`` where empty.
        apart: series that are known to be bad, as ``read_apart`` gives them.
        warn: say what is odd about the others.
        is_part: there are further series elsewhere, so that every one of these may be bad. The place of a fault is
            looked up only where it is refused: somebody would have to walk through the file for each part.

    Raises:
        DataError: something is wrong that is not about single series, or about all of them; with ``fail`` about
            any of them.
    """
    known = {name: Failure(name, *why) for name, why in (apart or {}).items()}
    locate = not is_part or data.on_bad_series == "fail"
    built, found, refused = _apart(
        table[~table["unique_id"].isin(list(known))] if known else table,
        data,
        lambda part: panel_from_table(part, data, freq=freq, where=where, warn=warn, locate=locate),
        or_none=is_part,
    )
    panel, repairs = built or (_no_series(data, freq or data.freq), {})
    failures = known | found
    made = Isolated(panel, repairs, failures=tuple(failures.values()), is_part=is_part, refused=refused)
    if not failures or data.on_bad_series == "skip":
        return made
    fallback, still = _salvaged(table[table["unique_id"].isin(list(failures))], data, panel, where=where)
    kept = set(fallback.unique_ids) if fallback else set()
    return replace(
        made,
        fallbacks=(fallback,) if fallback else (),
        failures=tuple(
            replace(failure, forecast=FALLBACK) if name in kept else still.get(name, failure)
            for name, failure in failures.items()
        ),
    )


def _no_series(data: DataConfig, freq: str) -> Panel:
    """A panel of the columns of the data, and no series."""
    covariates = data.covariates
    origin = 0 if freq == INTEGER else pd.Timestamp(0)
    return Panel(
        axis=TimeAxis(freq, origin),
        unique_ids=(),
        offsets=np.zeros(1, np.int64),
        starts=np.empty(0, np.int64),
        y=np.empty(0),
        past=np.empty((0, len(covariates.past))),
        past_names=tuple(covariates.past),
        future=np.empty((0, len(covariates.future))),
        future_names=tuple(covariates.future),
        static=np.empty((0, len(covariates.static))),
        static_names=tuple(covariates.static),
        categories=dict.fromkeys(covariates.categorical, ()),
    )


def _apart(
    table: pd.DataFrame, data: DataConfig, build: Callable[[pd.DataFrame], Built], *, or_none: bool = False
) -> tuple[Built | None, dict[str, Failure], DataError | None]:
    """What is built from the series that let themselves be built from, the others, and what stood against the last.

    Nothing may be built where ``or_none`` says so.
    """
    failures: dict[str, Failure] = {}
    refused: DataError | None = None
    while not (or_none and table.empty):
        try:
            return build(table), failures, None
        except DataError as error:
            bad = {
                name: Failure(name, part.code or "", reason)
                for part in reversed(error.parts)
                for name, reason in part.series.items()
            }
            left = table[~table["unique_id"].isin(list(bad))]
            is_unknown = len(left) == len(table)  # the error is about none of these series
            if data.on_bad_series == "fail" or is_unknown or (left.empty and not or_none):
                raise
            failures |= bad
            table, refused = left, error
    return None, failures, refused


def _salvaged(
    table: pd.DataFrame, data: DataConfig, panel: Panel, *, where: str
) -> tuple[Panel | None, dict[str, Failure]]:
    """What can be told of bad series, without their covariates, and those of which nothing can."""
    plain = data.model_copy(update={"repair": SALVAGE, "covariates": CovariatesConfig()})
    name = name_of(where or data.path)

    def build(part: pd.DataFrame) -> Panel:
        rows, aside = rows_of_table(part, plain, freq=panel.axis.freq, where=name)
        return panel_from_rows(rows, aside, plain, where=name)[0]

    table = table[on_axis(table, panel.axis)]
    if data.covariates.future:  # rows that lie ahead have no target that could be masked
        newest = (
            table["ds"].where(table["y"].notna()).groupby(table["unique_id"], observed=True).transform("max")
        )
        table = table[table["ds"] <= newest]
    try:
        panel_of_bad, failures, _ = _apart(table, data, build)
        return panel_of_bad, failures
    except DataError as error:
        nothing = {
            unique_id: Failure(unique_id, part.code or "", reason)
            for part in error.parts
            for unique_id, reason in part.series.items()
        }
        return None, nothing
