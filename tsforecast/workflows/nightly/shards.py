"""Forecasting all series of a job part by part, so that memory does not grow with their number.

What is read stays in memory as a panel; forecasts are made for a part of the series at a time and spooled to the disk.
A series that cannot be forecast is set apart, and the others of its part are not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tsforecast.errors import DataError, ResourceError
from tsforecast.forecasting.forecast import forecast_frame, known_ahead
from tsforecast.series.isolate import Failure, Isolated
from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.spool import Spool
from tsforecast.workflows.archived import archived
from tsforecast.workflows.fallback import with_fallbacks
from tsforecast.workflows.predict import LoadedRun, position_of, short_apart

__all__ = ["Shard", "as_of_text", "forecast_shards", "known_at", "newest_as_of", "shards"]

log = logging.getLogger(__name__)

# Numbers of the sample paths, or of the forecasts, that one part may hold.
SHARD_VALUES = 4_000_000
FEWEST, MOST = 64, 20_000  # series of a part


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A part of the series: those of the network, and those of the fallback. Each panel may be empty."""

    panel: Panel
    fallbacks: tuple[Panel, ...]

    @property
    def n_series(self) -> int:
        return self.panel.n_series + sum(one.n_series for one in self.fallbacks)


def as_of_text(axis: TimeAxis, position: int) -> str:
    """A step of the axis as the status, the archive and ``--as-of`` write it."""
    moment = axis.timestamps(np.array([position]))[0]
    if axis.is_integer:
        return str(int(moment))
    moment = pd.Timestamp(moment)
    return str(moment.date()) if axis.counts_dates and axis.timezone is None else moment.isoformat()


def newest_as_of(read: Isolated) -> str:
    """The newest step that any series reaches."""
    last = [
        (one.axis.timestamps(ends), one.axis, ends)
        for one in (read.panel, *read.fallbacks)
        if one.n_series
        for ends in [np.array([one.positions(one.last_cutoffs).max()])]
    ]
    _, axis, position = max(last, key=lambda found: found[0][0])
    return as_of_text(axis, int(position[0]))


def known_at(run: LoadedRun, read: Isolated, as_of: str) -> Isolated:
    """What was known at a moment: rows up to it, of the series that had any, too short ones set apart.

    Raises:
        DataError: no series had a row by then.
    """
    panel = _until(read.panel, as_of)
    fallbacks = tuple(one for one in (_until(part, as_of) for part in read.fallbacks) if one.n_series)
    if not panel.n_series and not fallbacks:
        raise DataError(f"no series has a row at or before {as_of}; give a later --as-of.")
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


def shards(run: LoadedRun, read: Isolated, *, horizon: int) -> Iterator[Shard]:
    """The series in the order of their names, in parts whose size depends on the model and the horizon alone."""
    paths = run.model.n_paths if run.model.network.has_own_spread else 1
    size = int(np.clip(SHARD_VALUES // (horizon * paths), FEWEST, MOST))
    panels = (read.panel, *read.fallbacks)
    places = sorted(
        (name, which, series)
        for which, panel in enumerate(panels)
        for series, name in enumerate(panel.unique_ids)
    )
    for start in range(0, len(places), size):
        part = places[start : start + size]
        panel, *others = (
            one.select([series for _, at, series in part if at == which]) for which, one in enumerate(panels)
        )
        yield Shard(panel, tuple(one for one in others if one.n_series))


def forecast_shards(
    run: LoadedRun,
    read: Isolated,
    spool: Spool,
    *,
    horizon: int,
    quantile_levels: Sequence[float],
    done: Callable[[int], None] = lambda _: None,
) -> tuple[Failure, ...]:
    """Spools the forecasts of all series, as the archive takes them, and returns those that could not be made.

    Args:
        run: the loaded run.
        read: what is known.
        spool: takes the table, sorted by series.
        horizon: steps to forecast.
        quantile_levels: columns beside the point forecast.
        done: is given the number of series behind us.

    Raises:
        ResourceError: the disk is full, or the memory too small for a single series.
    """
    failures: list[Failure] = []
    behind = 0
    for shard in shards(run, read, horizon=horizon):
        behind += shard.n_series
        for frame, part in _frames(run, shard, horizon, quantile_levels, failures):
            table = archived(
                frame,
                [one for one in (part.panel, *part.fallbacks) if one.n_series],
                season_length=run.model.features.season_length,
            )
            spool.add(table.replace_schema_metadata(None))
        done(behind)
    return tuple(failures)


def _frames(
    run: LoadedRun, shard: Shard, horizon: int, levels: Sequence[float], failures: list[Failure]
) -> Iterator[tuple[pd.DataFrame, Shard]]:
    """Forecasts of a part; where that fails, of its halves, until the series is found that cannot be forecast."""
    shard = _with_known_future(shard, horizon, failures)
    if not shard.n_series:
        return
    try:
        frame = _frame(run, shard, horizon, levels)
    except (DataError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_memory(error):
            raise
        if shard.n_series == 1:
            if not isinstance(error, DataError):
                raise ResourceError(
                    "the memory does not hold the forecast of a single series; forecast fewer steps, or use a machine "
                    "with more."
                ) from error
            failures.append(_failure(shard, error))
            return
        for half in _halves(shard):
            yield from _frames(run, half, horizon, levels, failures)
        return
    finite = np.isfinite(frame["y_hat"].to_numpy())
    if not finite.all():
        bad = sorted(set(frame["unique_id"][~finite]))
        failures.extend(Failure(name, "", "the forecast is not a finite number") for name in bad)
        frame = frame[~frame["unique_id"].isin(bad)].reset_index(drop=True)
    if len(frame):
        yield frame, shard


def _frame(run: LoadedRun, shard: Shard, horizon: int, levels: Sequence[float]) -> pd.DataFrame:
    made = pd.DataFrame()
    if shard.panel.n_series:
        made = forecast_frame(
            run.model, shard.panel, shard.panel.last_cutoffs, horizon, quantile_levels=levels
        )
    return with_fallbacks(
        made,
        shard.fallbacks,
        horizon=horizon,
        season_length=run.model.features.season_length,
        quantile_levels=levels,
        non_negative=run.model.non_negative,
    )


def _with_known_future(shard: Shard, horizon: int, failures: list[Failure]) -> Shard:
    """Without the series whose future covariates are not known for every step."""
    known = known_ahead(shard.panel, shard.panel.last_cutoffs)
    if not (known < horizon).any():
        return shard
    names = ", ".join(shard.panel.future_names)
    for series in np.flatnonzero(known < horizon):
        reason = f"{names} known {known[series]} of {horizon} steps ahead"
        failures.append(Failure(shard.panel.unique_ids[series], "", reason))
    return replace(shard, panel=shard.panel.select(np.flatnonzero(known >= horizon)))


def _halves(shard: Shard) -> tuple[Shard, Shard]:
    """The series in the order of their names, in two parts."""
    panels = (shard.panel, *shard.fallbacks)
    names = sorted(name for panel in panels for name in panel.unique_ids)
    first = set(names[: len(names) // 2])

    def part(*, of_first: bool) -> Shard:
        panel, *others = (
            one.select([k for k, name in enumerate(one.unique_ids) if (name in first) == of_first])
            for one in panels
        )
        return Shard(panel, tuple(one for one in others if one.n_series))

    return part(of_first=True), part(of_first=False)


def _failure(shard: Shard, error: DataError) -> Failure:
    (name,) = (name for panel in (shard.panel, *shard.fallbacks) for name in panel.unique_ids)
    return Failure(name, error.code or "", str(error).partition("\n")[0].rstrip("."))


def _is_memory(error: RuntimeError) -> bool:
    told = str(error).lower()
    return "out of memory" in told or "bad_alloc" in told or "can't allocate memory" in told
