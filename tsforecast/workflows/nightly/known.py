"""What was known at a moment: the rows up to it, and the hash of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tsforecast.config.words import shown
from tsforecast.errors import DataError
from tsforecast.series.isolate import Failure, Isolated, not_forecast
from tsforecast.series.panel import Panel, RowsHash
from tsforecast.series.read import name_of
from tsforecast.workflows.nightly.reading import Reading
from tsforecast.workflows.nightly.shards import Shard
from tsforecast.workflows.nightly.summary import lost_text
from tsforecast.workflows.predict import LoadedRun, position_of, short_apart

__all__ = ["Known", "known", "known_at", "less_than_before"]

MOST_NAMED = 3
TOO_SHORT = "L505"


@dataclass(frozen=True, slots=True)
class Known:
    """What was known at a moment, part by part, and what all parts come to.

    Attributes:
        parts: gives them, as often as they are asked for.
        n_series: that are there to forecast.
        failures: the others, and those that the fallback forecasts.
        late: names of series that end before the moment, so that their forecasts begin earlier.
        rows: hash of all rows.
    """

    parts: Callable[[], Iterator[Isolated]]
    n_series: int
    failures: tuple[Failure, ...]
    late: tuple[str, ...]
    rows: str

    @property
    def n_all(self) -> int:
        """Number of series that there are, those that cannot be forecast among them."""
        return self.n_series + len(not_forecast(self.failures))


def known(run: LoadedRun, read: Reading, as_of: str, *, horizon: int, keep_short: bool = False) -> Known:
    """What was known at a moment; looks through all parts once.

    Raises:
        DataError: no series had a row by then, or none of those that had can be forecast.
    """
    hashes, n_series = (RowsHash(), RowsHash()), 0
    failures: list[Failure] = []
    late: list[str] = []
    is_network_used = is_one_short = False
    for part in _parts_at(run, read, as_of, keep_short=keep_short):
        is_network_used |= part.panel.n_series > 0
        is_one_short |= any(failure.code == TOO_SHORT for failure in part.failures)
        hashes[0].add(_read_for(part.panel, horizon))
        for _, which, series in Shard(part.panel, part.fallbacks).places:
            if which:
                hashes[1].add(part.fallbacks[which - 1].select([series]))
        n_series += part.panel.n_series + sum(one.n_series for one in part.fallbacks)
        failures += part.failures
        if part.panel.n_series:
            ends = part.panel.positions(part.panel.last_cutoffs)
            behind = np.flatnonzero(ends < position_of(part.panel.axis, as_of))
            late += [part.panel.unique_ids[series] for series in behind]
    if is_one_short and not is_network_used and not keep_short:
        return known(run, read, as_of, horizon=horizon, keep_short=True)  # there is nothing better to go by
    if not n_series and (lost := not_forecast(failures)):
        raise DataError(f"{name_of(read.source)}: no series can be forecast: {lost_text(lost)}")
    if not n_series:
        raise DataError(f"no series has a row at or before {as_of}; give a later --as-of.")
    rows = " ".join(one.hexdigest() for one in hashes)
    parts = partial(_parts_at, run, read, as_of, keep_short=keep_short)
    return Known(parts, n_series, tuple(failures), tuple(late), rows)


def less_than_before(then: Known, as_of: str, before: str, counts: Mapping[str, int]) -> list[str]:
    """What a file that lacks rows looks like: fewer series than the time before, or more that end early.

    It may be as it should: series are given up, shops close. So it is told once, and is no failure.

    Args:
        then: what is known now.
        as_of: now.
        before: the time before.
        counts: ``series`` and ``late`` of that time.
    """
    told = []
    if (n_gone := counts["series"] - then.n_all) > 0:
        told.append(f"{n_gone} series fewer than the {counts['series']} as of {before}: is the data whole?")
    if len(then.late) > counts["late"]:
        names = ", ".join(map(shown, then.late[:MOST_NAMED])) + ", …" * (len(then.late) > MOST_NAMED)
        told.append(
            f"{len(then.late)} series end before {as_of} ({names}), {counts['late']} did as of {before}: their "
            "forecasts begin where they end."
        )
    return told


def _parts_at(run: LoadedRun, read: Reading, as_of: str, *, keep_short: bool) -> Iterator[Isolated]:
    return (known_at(run, part, as_of, keep_short=keep_short) for part in read.parts)


def known_at(run: LoadedRun, read: Isolated, as_of: str, *, keep_short: bool = False) -> Isolated:
    """What was known at a moment: rows up to it, of the series that had any, too short ones set apart."""
    panel = _until(read.panel, as_of)
    fallbacks = tuple(one for one in (_until(part, as_of) for part in read.fallbacks) if one.n_series)
    fallen = {name for one in fallbacks for name in one.unique_ids}
    # A bad series whose fallback had nothing to go by yet was not there yet.
    failures = tuple(
        failure for failure in read.failures if not failure.forecast or failure.unique_id in fallen
    )
    read = replace(read, panel=panel, fallbacks=fallbacks, failures=failures)
    return read if keep_short else short_apart(run, read)


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
