"""The actual values that archived forecasts are scored against, as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tsforecast.config.location import HIDDEN, STDIN
from tsforecast.config.schema import CovariatesConfig, DataConfig, RepairConfig
from tsforecast.errors import DataError
from tsforecast.series.faults import read_apart
from tsforecast.series.isolate import Failure, isolated_panel
from tsforecast.series.panel import IntArray, Panel
from tsforecast.series.read import name_of
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.archive import Entry
from tsforecast.workflows.predict import position_of

__all__ = ["Actual", "moment_text", "read_actual"]

# Actual values are not made up: what fills gaps for training is a mask here. The sum or mean of the rows of one time,
# and 0 for a row that is not there, are what the values mean.
NOTHING_MADE_UP = RepairConfig(
    duplicates="last", gaps="mask", missing="mask", infinite="mask", negative="keep"
)
MEANT = {"duplicates": ("mean", "sum"), "gaps": ("zero",), "missing": ("zero",), "negative": ("zero",)}


@dataclass(frozen=True, slots=True, eq=False)
class Actual:
    """The actual values of a job.

    Attributes:
        panel: times and targets, NaN where there is none.
        name: where they were read, without secrets.
        duplicates: what counts of several rows at one time: ``last``, ``mean`` or ``sum``.
        repairs: rows merged and values masked, by kind.
        failures: series that cannot be used.
        own_end: position of each series' newest known value, ``(n_series,)``.
        newest: position of the newest of all.
    """

    panel: Panel
    name: str
    duplicates: str
    repairs: Mapping[str, int]
    failures: tuple[Failure, ...]
    own_end: IntArray
    newest: int

    @property
    def newest_text(self) -> str:
        return moment_text(self.panel.axis, self.newest)


def read_actual(
    entry: Entry,
    source: str | Path | pd.DataFrame | None,
    *,
    drop_last: int | None = None,
    as_of: str | None = None,
) -> Actual:
    """The actual values for the forecasts of a job.

    A time that stands in several rows counts as its last one, unless the config says that they are summed up; gaps
    and infinite values are no actual values. Only times, names and targets are read.

    Args:
        entry: the newest forecasts of the job.
        source: instead of where they say that their rows came from.
        drop_last: newest steps of all that are not complete and so no actual values; None takes as many as the job
            left out.
        as_of: later values are not known; None for all.

    Raises:
        ConfigError: the place cannot be reached with what is installed and set.
        DataError: the values cannot be read, or the archive does not say how.
    """
    data = _data_of(entry)
    path = data.path if source is None else source
    if source is None and (path == STDIN or HIDDEN in data.path):
        left_out = "standard input" if path == STDIN else f"{data.path!r}, whose secret is not kept"
        raise DataError(
            f"job {entry.issued.job!r}: its rows came from {left_out}, which cannot be read again; give DATA."
        )
    where = "data frame" if isinstance(path, pd.DataFrame) else name_of(str(path))
    freq = entry.issued.metadata.get("freq")
    table, apart = read_apart(data, path)
    read = isolated_panel(table, data, freq=freq, where=where, apart=apart, warn=False)
    panel = _on_clock(read.panel, entry.issued.metadata.get("timezone"))
    dropped = _whole(entry.issued.metadata.get("drop_last")) if drop_last is None else drop_last
    own_end = _own_ends(panel)
    if dropped or as_of is not None:
        last = int(own_end.max(initial=-1)) - dropped
        panel = panel.until(last if as_of is None else min(last, position_of(panel.axis, as_of)))
        panel = panel.select(np.flatnonzero(panel.lengths))
        own_end = _own_ends(panel)
    if not (own_end >= panel.starts).any():
        left = " but incomplete ones" if dropped else f" up to {as_of}" if as_of is not None else ""
        raise DataError(f"{where}: holds no actual value{left}; give others as DATA.")
    return Actual(
        panel=panel,
        name=where,
        duplicates=data.repair.duplicates,
        repairs=read.repairs,
        failures=read.failures,
        own_end=own_end,
        newest=int(own_end[own_end >= panel.starts].max()),
    )


def _own_ends(panel: Panel) -> IntArray:
    """Position of each series' newest known value, that before its first row where it has none, ``(n_series,)``."""
    if not panel.n_series:
        return np.empty(0, np.int64)
    known = panel.newest_known[panel.offsets[1:] - 1]
    has_value = ~np.isnan(panel.y[known])
    return np.where(has_value, panel.starts + known - panel.offsets[:-1], panel.starts - 1)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def moment_text(axis: TimeAxis, position: int) -> str:
    """A step of the axis as people write it: a date where that says it all."""
    moment = axis.timestamps(np.array([position]))[0]
    return str(moment.date()) if axis.counts_dates else str(moment)


def _data_of(entry: Entry) -> DataConfig:
    """How the rows of a job are written, for reading their targets alone.

    Raises:
        DataError: the archive does not say it, or in words that this version does not know.
    """
    stored: Any = entry.issued.metadata.get("data")
    try:
        data = DataConfig.model_validate(stored)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{entry.path}: does not say how the rows of job {entry.issued.job!r} are written "
            f"({'.'.join(map(str, first['loc'])) or 'data'}: {first['msg']}); score with the tsforecast that made it."
        ) from error
    kept = {kind: policy for kind, meant in MEANT.items() if (policy := getattr(data.repair, kind)) in meant}
    return data.model_copy(
        update={
            "covariates": CovariatesConfig(),
            "repair": NOTHING_MADE_UP.model_copy(update=kept),
            "on_bad_series": "skip",
        }
    )


def _on_clock(panel: Panel, timezone: str | None) -> Panel:
    """The panel on the clock of the forecasts, where both have one and its steps are not counted on it."""
    axis = panel.axis
    if timezone is None or axis.timezone is None or axis.counts_dates:
        return panel
    return replace(panel, axis=replace(axis, timezone=timezone))
