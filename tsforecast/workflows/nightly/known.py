"""What was known at a moment: the rows up to it, and the hash of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from tsforecast.errors import DataError
from tsforecast.series.isolate import Failure, Isolated, not_forecast
from tsforecast.series.panel import Panel, RowsHash
from tsforecast.series.read import name_of
from tsforecast.workflows.nightly.reading import Reading
from tsforecast.workflows.nightly.shards import Shard
from tsforecast.workflows.nightly.summary import lost_text
from tsforecast.workflows.predict import LoadedRun, position_of, short_apart

__all__ = ["Known", "known", "known_at"]


@dataclass(frozen=True, slots=True)
class Known:
    """What was known at a moment, part by part, and what all parts come to.

    Attributes:
        parts: gives them, as often as they are asked for.
        n_series: that are there to forecast.
        failures: the others, and those that the fallback forecasts.
        rows: hash of all rows.
    """

    parts: Callable[[], Iterator[Isolated]]
    n_series: int
    failures: tuple[Failure, ...]
    rows: str


def known(run: LoadedRun, read: Reading, as_of: str, *, horizon: int) -> Known:
    """What was known at a moment; looks through all parts once.

    Raises:
        DataError: no series had a row by then, or none of those that had can be forecast.
    """
    hashes, n_series = (RowsHash(), RowsHash()), 0
    failures: list[Failure] = []
    for part in _parts_at(run, read, as_of):
        hashes[0].add(_read_for(part.panel, horizon))
        for _, which, series in Shard(part.panel, part.fallbacks).places:
            if which:
                hashes[1].add(part.fallbacks[which - 1].select([series]))
        n_series += part.panel.n_series + sum(one.n_series for one in part.fallbacks)
        failures += part.failures
    if not n_series and (lost := not_forecast(failures)):
        raise DataError(f"{name_of(read.source)}: no series can be forecast: {lost_text(lost)}")
    if not n_series:
        raise DataError(f"no series has a row at or before {as_of}; give a later --as-of.")
    rows = " ".join(one.hexdigest() for one in hashes)
    return Known(lambda: _parts_at(run, read, as_of), n_series, tuple(failures), rows)


def _parts_at(run: LoadedRun, read: Reading, as_of: str) -> Iterator[Isolated]:
    return (known_at(run, part, as_of) for part in read)


def known_at(run: LoadedRun, read: Isolated, as_of: str) -> Isolated:
    """What was known at a moment: rows up to it, of the series that had any, too short ones set apart."""
    panel = _until(read.panel, as_of)
    fallbacks = tuple(one for one in (_until(part, as_of) for part in read.fallbacks) if one.n_series)
    fallen = {name for one in fallbacks for name in one.unique_ids}
    # A bad series whose fallback had nothing to go by yet was not there yet.
    failures = tuple(
        failure for failure in read.failures if not failure.forecast or failure.unique_id in fallen
    )
    return short_apart(run, replace(read, panel=panel, fallbacks=fallbacks, failures=failures))


def _until(panel: Panel, as_of: str) -> Panel:
    if not panel.n_series:
        return panel
    position = position_of(panel.axis, as_of)
    if position >= panel.positions(panel.last_cutoffs).max():
        return panel  # no copy of what may be large
    cut = panel.until(position)
    return cut.select(np.flatnonzero(cut.lengths > 0))


def _read_for(panel: Panel, horizon: int) -> Panel:
    """The panel without future covariates of steps that no forecast of this horizon reads."""
    if not panel.future_names:
        return replace(panel, future=np.empty((0, 0)), future_offsets=np.zeros(1, np.int64))
    known = np.diff(panel.future_offsets)
    step = np.arange(panel.future_offsets[-1]) - np.repeat(panel.future_offsets[:-1], known)
    kept = step < np.repeat(panel.lengths + horizon, known)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(known, panel.lengths + horizon))])
    return replace(panel, future=panel.future[kept], future_offsets=offsets)
