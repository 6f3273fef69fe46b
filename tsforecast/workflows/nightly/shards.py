"""Forecasting all series of a job shard by shard, so that memory does not grow with their number.

Forecasts are made for so many series at a time and spooled to the disk. A series that cannot be forecast is set apart,
and the others of its shard are not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tsforecast.errors import DataError, ResourceError
from tsforecast.forecasting.forecast import forecast_frame, known_ahead
from tsforecast.series.isolate import Failure, Isolated
from tsforecast.series.panel import Panel, joined_panels
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.spool import Spool
from tsforecast.workflows.archived import archived
from tsforecast.workflows.fallback import with_fallbacks
from tsforecast.workflows.predict import LoadedRun

__all__ = ["Shard", "as_of_text", "forecast_shards", "shards"]

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

    @property
    def places(self) -> list[tuple[str, int, int]]:
        """Name, number of the panel, and number of the series in it, by rising names."""
        return sorted(
            (name, which, series)
            for which, panel in enumerate((self.panel, *self.fallbacks))
            for series, name in enumerate(panel.unique_ids)
        )

    def at(self, places: Sequence[tuple[str, int, int]]) -> Shard:
        """Some of the series."""
        panel, *others = (
            one.select([series for _, at, series in places if at == which])
            for which, one in enumerate((self.panel, *self.fallbacks))
        )
        return Shard(panel, tuple(one for one in others if one.n_series))


def as_of_text(axis: TimeAxis, position: int) -> str:
    """A step of the axis as the status, the archive and ``--as-of`` write it."""
    moment = axis.timestamps(np.array([position]))[0]
    if axis.is_integer:
        return str(int(moment))
    moment = pd.Timestamp(moment)
    return str(moment.date()) if axis.counts_dates and axis.timezone is None else moment.isoformat()


def shards(run: LoadedRun, parts: Iterable[Isolated], *, horizon: int) -> Iterator[Shard]:
    """The series in the order of their names, so many at a time as the model and the horizon say.

    Where one part ends and the next begins does not matter: a shard may have series of both.
    """
    paths = run.model.n_paths if run.model.network.has_own_spread else 1
    size = int(np.clip(SHARD_VALUES // (horizon * paths), FEWEST, MOST))
    rest: Shard | None = None
    for part in parts:
        here = Shard(part.panel, part.fallbacks)
        if rest is not None:
            here = Shard(joined_panels(rest.panel, here.panel), (*rest.fallbacks, *here.fallbacks))
        places = here.places
        n_whole = len(places) // size * size
        for start in range(0, n_whole, size):
            yield here.at(places[start : start + size])
        rest = here.at(places[n_whole:])
    if rest is not None and rest.n_series:
        yield rest


def forecast_shards(
    run: LoadedRun,
    known: Iterable[Isolated],
    spool: Spool,
    *,
    horizon: int,
    quantile_levels: Sequence[float],
    done: Callable[[int], None] = lambda _: None,
) -> tuple[Failure, ...]:
    """Spools the forecasts of all series, as the archive takes them, and returns those that could not be made.

    Args:
        run: the loaded run.
        known: the series, part by part, by rising names.
        spool: takes the table, sorted by series.
        horizon: steps to forecast.
        quantile_levels: columns beside the point forecast.
        done: is given the number of series behind us.

    Raises:
        ResourceError: the disk is full, or the memory too small for a single series.
    """
    failures: list[Failure] = []
    behind = 0
    for shard in shards(run, known, horizon=horizon):
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
    places = shard.places
    return shard.at(places[: len(places) // 2]), shard.at(places[len(places) // 2 :])


def _failure(shard: Shard, error: DataError) -> Failure:
    (name,) = (name for panel in (shard.panel, *shard.fallbacks) for name in panel.unique_ids)
    return Failure(name, error.code or "", str(error).partition("\n")[0].rstrip("."))


def _is_memory(error: RuntimeError) -> bool:
    told = str(error).lower()
    return "out of memory" in told or "bad_alloc" in told or "can't allocate memory" in told
