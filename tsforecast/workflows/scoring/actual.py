"""The actual values that archived forecasts are scored against, as they are now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tsforecast.config.location import HIDDEN, STDIN
from tsforecast.config.schema import CovariatesConfig, DataConfig, RepairConfig
from tsforecast.errors import ConfigError, DataError, ResourceError
from tsforecast.series.faults import Apart, read_apart, read_apart_in_ranges
from tsforecast.series.isolate import Failure, Isolated, isolated_panel
from tsforecast.series.panel import IntArray, Panel
from tsforecast.series.pieces import Spill
from tsforecast.series.read import name_of
from tsforecast.series.shelf import Parts, Shelf
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.archive import Entry
from tsforecast.storage.atomic import staging_folder
from tsforecast.workflows.predict import position_of

__all__ = ["Actual", "actual_values", "moment_text", "own_ends"]

NEVER, LATEST = -(2**62), 2**62  # positions before and after all others

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
        axis: of their times.
        name: where they were read, without secrets.
        duplicates: what counts of several rows at one time: ``last``, ``mean`` or ``sum``.
        repairs: rows merged and values masked, by kind.
        failures: series that cannot be used.
        oldest: position of the oldest row of all.
        newest: position of the newest known value of all.
        last: position after which nothing counts.
        parts: the series, part by part.
    """

    axis: TimeAxis
    name: str
    duplicates: str
    repairs: Mapping[str, int]
    failures: tuple[Failure, ...]
    oldest: int
    newest: int
    last: int
    parts: Iterable[Isolated]

    @property
    def newest_text(self) -> str:
        return moment_text(self.axis, self.newest)

    def panels(self) -> Iterator[Panel]:
        """Times and targets of the series, NaN where there is none, some of them at a time, by rising names."""
        return (_until(part.panel, self.last) for part in self.parts)


@contextmanager
def actual_values(
    entry: Entry,
    source: str | Path | pd.DataFrame | None,
    *,
    beside: Path,
    drop_last: int | None = None,
    as_of: str | None = None,
) -> Iterator[Actual]:
    """The actual values for the forecasts of a job.

    A time that stands in several rows counts as its last one, unless the config says that they are summed up; gaps
    and infinite values are no actual values. Only times, names and targets are read.

    Args:
        entry: the newest forecasts of the job.
        source: instead of where they say that their rows came from.
        beside: rows that are too many for memory go to a folder beside this one, for as long as the block lasts.
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
    with _folder(beside) as folder:
        parts = Parts(Shelf(folder or beside, beside))
        repairs: Counter[str] = Counter()
        for read in _read(data, path, entry, None if folder is None else Spill(folder, beside), where=where):
            repairs.update(read.repairs)
            parts.add(read)
        parts.settle(where=where, policy=data.on_bad_series)
        dropped = _whole(entry.issued.metadata.get("drop_last")) if drop_last is None else drop_last
        last = LATEST
        if dropped:
            last = (
                max((newest for _, newest in map(_reach, (part.panel for part in parts))), default=0)
                - dropped
            )
        if as_of is not None:
            last = min(last, position_of(parts.axis, as_of))
        reach = [_reach(_until(part.panel, last)) for part in parts]
        newest = max((newest for _, newest in reach), default=NEVER)
        if newest == NEVER:
            left = " but incomplete ones" if dropped else f" up to {as_of}" if as_of is not None else ""
            raise DataError(f"{where}: holds no actual value{left}; give others as DATA.")
        yield Actual(
            axis=parts.axis,
            name=where,
            duplicates=data.repair.duplicates,
            repairs=repairs,
            failures=parts.failures,
            oldest=min(oldest for oldest, _ in reach),
            newest=newest,
            last=last,
            parts=parts,
        )


@contextmanager
def _folder(beside: Path) -> Iterator[Path | None]:
    """A folder for a while; None where none can be made, so that all must fit in memory."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(staging_folder(beside.absolute().with_name(f"{beside.name}.score")))
        except (ConfigError, ResourceError):
            folder = None
        yield folder


def _read(
    data: DataConfig, source: str | Path | pd.DataFrame, entry: Entry, spill: Spill | None, *, where: str
) -> Iterator[Isolated]:
    """The series, all at once where they fit in memory."""
    freq, timezone = entry.issued.metadata.get("freq"), entry.issued.metadata.get("timezone")
    if spill is None or isinstance(source, pd.DataFrame):
        ranges: Iterable[tuple[Apart, bool]] = [(read_apart(data, source), False)]
    else:
        ranges = read_apart_in_ranges(data, str(source), spill)
    for (table, apart), is_part in ranges:
        read = isolated_panel(table, data, freq=freq, where=where, apart=apart, warn=False, is_part=is_part)
        yield replace(read, panel=_on_clock(read.panel, timezone))


def _until(panel: Panel, last: int) -> Panel:
    """The series that have a row by then, up to it."""
    if not panel.n_series or last == LATEST:
        return panel
    cut = panel.until(last)
    return cut.select(np.flatnonzero(cut.lengths))


def _reach(panel: Panel) -> tuple[int, int]:
    """Position of the oldest row, and of the newest known value; the other way round beyond all where there is none."""
    ends = own_ends(panel)
    known = ends >= panel.starts
    return int(panel.starts.min(initial=LATEST)), int(ends[known].max(initial=NEVER))


def own_ends(panel: Panel) -> IntArray:
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
