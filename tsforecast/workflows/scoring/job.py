"""The scoring of one job: its files newest first, some series at a time, counted up as they are read."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from tsforecast.config.drift import Drift
from tsforecast.config.words import printable
from tsforecast.errors import DataError
from tsforecast.evaluation.metrics import METRICS, nominal_coverage
from tsforecast.evaluation.tally import OF_STEPS, OF_WINDOWS, Means, Tally, values_of
from tsforecast.series.isolate import Failure
from tsforecast.series.panel import BoolArray, FloatArray, IntArray, Panel
from tsforecast.storage.archive import Entry
from tsforecast.workflows.scoring.actual import Actual, actual_values, own_ends
from tsforecast.workflows.scoring.alarm import (
    Alarm,
    Watched,
    badness,
    judged,
    recorded,
    series_values,
    watched,
)
from tsforecast.workflows.scoring.periods import Periods
from tsforecast.workflows.scoring.rows import MODELS, Rows, levels_of, read_rows

__all__ = ["Counts", "JobScores", "ModelScores", "score_job"]

# Series whose sums are in memory at once: some kilobytes for each.
SHARD = 5_000
WORST = 5
LONGEST_NAME = 40


@dataclass(slots=True)
class Counts:
    """What became of the forecast steps of a job.

    Attributes:
        steps: that were read, the replaced ones left out.
        scored: those with an actual value.
        ahead: after the newest actual value of all.
        late: after the newest value of their own series, while others go on.
        missing: at a time at which the data has no value.
        gone: before the first row that the data has of their series.
        unknown: of a series that the data does not have.
        unknown_series: names of these.
        replaced: forecasts for which there is a newer one from the same cutoff.
    """

    steps: int = 0
    scored: int = 0
    ahead: int = 0
    late: int = 0
    missing: int = 0
    gone: int = 0
    unknown: int = 0
    unknown_series: set[str] = field(default_factory=set)
    replaced: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ModelScores:
    """Scores of the forecasts of one model.

    Attributes:
        model_hash: of the model.
        name: of its network.
        first: oldest ``as_of``.
        last: newest ``as_of``.
        means: its scores and the seasonal naive's; None where nothing was scored.
    """

    model_hash: str
    name: str
    first: str
    last: str
    means: Means | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class JobScores:
    """How good the forecasts of a job were; scores are the model's and the seasonal naive's.

    Attributes:
        job: its name.
        name: of the newest network.
        n_sets: sets of forecasts that were read.
        first: oldest ``as_of``.
        last: newest ``as_of``.
        horizon: longest lead time that was scored.
        season_length: of the seasonal naive and of the scaled errors.
        nominal: share of the values that the widest interval should hold; None without one.
        actual: the values they were scored by.
        period: what the keys of ``trend`` are the beginning of, ``week`` or ``time``.
        counts: of the forecast steps.
        overall: of all forecasts; None where nothing was scored.
        models: of each model, the oldest first.
        by_lead_time: by lead time.
        trend: by the time that was forecast, the oldest first.
        by_series: columns ``unique_id``, ``model`` and the metrics.
        alarms: what each found.
        notes: what else a reader should know.
    """

    job: str
    name: str
    n_sets: int
    first: str
    last: str
    horizon: int
    season_length: int
    nominal: float | None
    actual: Actual
    period: str
    counts: Counts
    overall: Means | None
    models: Sequence[ModelScores]
    by_lead_time: Mapping[int, Means]
    trend: Mapping[str, Means]
    by_series: pd.DataFrame
    alarms: Sequence[Alarm]
    notes: Sequence[str]

    @property
    def failures(self) -> Sequence[Failure]:
        """Series whose actual values cannot be used."""
        return self.actual.failures


@dataclass(slots=True, eq=False)
class _Sums:
    """What is counted up while the files of a job are read."""

    counts: Counts = field(default_factory=Counts)
    overall: Tally = field(default_factory=Tally)
    models: Tally = field(default_factory=Tally)
    by_lead_time: Tally = field(default_factory=Tally)
    trend: Tally = field(default_factory=Tally)
    alarms: Tally = field(default_factory=Tally)
    by_series: list[pd.DataFrame] = field(default_factory=list)
    worst: dict[int, list[tuple[float, str, float]]] = field(default_factory=dict)

    @property
    def tallies(self) -> tuple[Tally, ...]:
        return self.overall, self.models, self.by_lead_time, self.trend, self.alarms


def score_job(
    entries: Sequence[Entry],
    source: str | Path | pd.DataFrame | None,
    alarms: Sequence[Drift] | None,
    problems: dict[str, None],
    *,
    archive: Path,
    drop_last: int | None = None,
    as_of: str | None = None,
) -> JobScores:
    """The scores of a job.

    Args:
        entries: its files, the oldest first.
        source: the actual values; None reads where the job read.
        alarms: to be watched; None takes the one that was recorded with the newest forecasts.
        problems: gets a sentence for each file that has to be left out.
        archive: the folder they are in; rows that are too many for memory go to one beside it.
        drop_last: newest steps that are not complete; None takes what the job left out.
        as_of: later values are not known; None for all.

    Raises:
        ConfigError: an alarm does not fit the time of the data.
        DataError: the actual values cannot be read.
        ResourceError: something does not fit in memory.
    """
    newest = entries[-1]
    metadata = newest.issued.metadata
    season = _season_length(newest)
    sums = _Sums()
    with actual_values(newest, source, beside=archive, drop_last=drop_last, as_of=as_of) as actual:
        periods = Periods(actual.axis, season)
        watches = [watched(one, actual) for one in (recorded(metadata) if alarms is None else alarms)]
        for shard in _shards(actual):
            _score_shard(sums, entries, actual, shard, periods, watches, problems)
    trend = {periods.text(key): means for key, means in _in_order(sums.trend)}
    by_lead_time = dict(_in_order(sums.by_lead_time))
    of_alarms = sums.alarms.means()
    levels = dict.fromkeys(tuple(levels_of(entry)) for entry in reversed(entries))
    return JobScores(
        job=newest.issued.job,
        name=_name_of(newest),
        n_sets=len(entries),
        first=entries[0].issued.as_of,
        last=newest.issued.as_of,
        horizon=max(by_lead_time, default=0),
        season_length=season,
        nominal=nominal_coverage(next(iter(levels))),
        actual=actual,
        period=periods.name,
        counts=sums.counts,
        overall=sums.overall.means().get(None),
        models=_models(entries, sums.models.means()),
        by_lead_time=by_lead_time,
        trend=trend,
        by_series=_joined(sums.by_series),
        alarms=[
            judged(watch, actual, of_alarms.get(k), trend, _worst(sums, k)) for k, watch in enumerate(watches)
        ],
        notes=_notes(list(levels)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Shard:
    """Some series, in the order of their names.

    Attributes:
        panel: their actual values.
        own_end: position of each series' newest known value, ``(n_series,)``.
        first: their names are not before this one; None for the first shard.
        before: their names are before this one; None for the last shard.
    """

    panel: Panel
    own_end: IntArray
    first: str | None
    before: str | None


def _shards(actual: Actual) -> Iterator[_Shard]:
    """All series, so many at a time; whatever name an archive has falls between the bounds of one shard."""
    first: str | None = None
    waiting: Panel | None = None
    for panel in actual.panels():
        for low in range(0, panel.n_series, SHARD):
            some = panel.select(np.arange(low, min(low + SHARD, panel.n_series)))
            if waiting is not None:
                before = some.unique_ids[0]
                yield _Shard(waiting, own_ends(waiting), first, before)
                first = before
            waiting = some
    if waiting is not None:
        yield _Shard(waiting, own_ends(waiting), first, None)


def _score_shard(
    sums: _Sums,
    entries: Sequence[Entry],
    actual: Actual,
    shard: _Shard,
    periods: Periods,
    watches: Sequence[Watched],
    problems: dict[str, None],
) -> None:
    """Counts up everything that was forecast of some series."""
    names = pd.Index(shard.panel.unique_ids, dtype="str")
    for tally in sums.tallies:
        tally.begin(len(names))
    seen: dict[int, BoolArray] = {}
    for entry in reversed(entries):  # the newest first: it counts where a forecast was issued again
        try:
            rows = read_rows(entry, names, actual.axis, first=shard.first, before=shard.before)
        except DataError as error:
            if entry.path.exists():  # else it has expired since
                problems[str(error)] = None
            continue
        rows = _newest_only(sums.counts, rows, seen)
        y, rows = _matched(sums.counts, rows, actual, shard)
        if len(rows):
            _count_up(sums, entry, rows, y, periods, watches)
    _end_shard(sums, names, watches)


def _newest_only(counts: Counts, rows: Rows, seen: dict[int, BoolArray]) -> Rows:
    """The forecasts of known series of which no newer one was seen from the same cutoff; they are seen from now on."""
    is_known = rows.series >= 0
    counts.unknown += int((~is_known).sum())
    counts.steps += int((~is_known).sum())
    counts.unknown_series.update(rows.strangers)
    kept = is_known.copy()
    for cutoff in np.unique(rows.cutoff[is_known]).tolist():
        at = np.flatnonzero(is_known & (rows.cutoff == cutoff))
        before = seen.setdefault(cutoff, np.zeros(SHARD, np.bool_))
        again = before[rows.series[at]]
        kept[at[again]] = False
        counts.replaced += len(np.unique(rows.series[at[again]]))
        before[rows.series[at]] = True
    return rows[kept]


def _matched(counts: Counts, rows: Rows, actual: Actual, shard: _Shard) -> tuple[FloatArray, Rows]:
    """The actual values of the steps that have one, and these; says of the others why not."""
    panel, series = shard.panel, rows.series
    step = rows.position - panel.starts[series]
    inside = (step >= 0) & (step < panel.lengths[series])
    y = np.where(inside, panel.y[np.where(inside, panel.offsets[series] + step, 0)], np.nan)
    known = ~np.isnan(y)
    ahead = ~known & (rows.position > actual.newest)
    late = ~known & ~ahead & (rows.position > shard.own_end[series])
    gone = ~known & (step < 0) & ~ahead & ~late
    counts.steps += len(rows)
    counts.scored += int(known.sum())
    counts.ahead += int(ahead.sum())
    counts.late += int(late.sum())
    counts.gone += int(gone.sum())
    counts.missing += int((~known & ~ahead & ~late & ~gone).sum())
    return y[known], rows[known]


def _count_up(
    sums: _Sums,
    entry: Entry,
    rows: Rows,
    y: FloatArray,
    periods: Periods,
    watches: Sequence[Watched],
) -> None:
    """Adds steps with their actual values to every sum."""
    windows, series = rows.windows(y)
    of_windows = values_of(windows, OF_WINDOWS)
    together = np.zeros(len(series), np.int64)
    sums.overall.add(of_windows, [None], together, series)
    sums.models.add(of_windows, [entry.issued.model_hash], together, series)
    of_steps = values_of(rows.steps(y), OF_STEPS)
    for tally, group in (
        (sums.by_lead_time, rows.lead_time),
        (sums.trend, periods.of(rows.position)),
    ):
        keys, place = np.unique(group, return_inverse=True)
        tally.add(of_steps, keys.tolist(), place, rows.series)
    for k, watch in enumerate(watches):
        inside = rows.position >= watch.first
        if inside.any():
            part = {name: values.at(inside) for name, values in of_steps.items()}
            sums.alarms.add(part, [k], np.zeros(int(inside.sum()), np.int64), rows.series[inside])


def _end_shard(sums: _Sums, names: pd.Index, watches: Sequence[Watched]) -> None:
    """Makes scores of the sums of the series at hand."""
    overall, _, _, _, of_alarms = (tally.end() for tally in sums.tallies)
    if scores := overall.get(None):
        known = np.flatnonzero(~np.isnan(scores["mae"]).all(axis=0))
        keys = {"unique_id": np.repeat(names[known], len(MODELS)), "model": np.tile(MODELS, len(known))}
        columns = {name: scores[name][:, known].T.ravel() for name in METRICS if name in scores}
        sums.by_series.append(pd.DataFrame(keys | columns))
    for k, watch in enumerate(watches):
        if k in of_alarms:
            values = series_values(watch.drift.metric, of_alarms[k])
            known = np.flatnonzero(~np.isnan(values))
            bad = badness(watch.drift.metric, values[known])
            found = [
                (float(bad[place]), str(names[known[place]]), float(values[known[place]]))
                for place in np.argsort(-bad, kind="stable")[:WORST].tolist()
            ]
            sums.worst[k] = sorted([*sums.worst.get(k, []), *found], key=lambda one: -one[0])[:WORST]


def _worst(sums: _Sums, alarm: int) -> list[tuple[str, float]]:
    return [(name, value) for _, name, value in sums.worst.get(alarm, [])]


def _in_order(tally: Tally) -> list[tuple[int, Means]]:
    """The scores of each group, by its number."""
    numbered = {key: means for key, means in tally.means().items() if isinstance(key, int)}
    return sorted(numbered.items())


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=["unique_id", "model"])


def _models(entries: Sequence[Entry], means: Mapping[Hashable, Means]) -> list[ModelScores]:
    """The models by their first forecasts."""
    of: dict[str, list[Entry]] = {}
    for entry in entries:
        of.setdefault(entry.issued.model_hash, []).append(entry)
    return [
        ModelScores(model, _name_of(own[-1]), own[0].issued.as_of, own[-1].issued.as_of, means.get(model))
        for model, own in of.items()
    ]


def _notes(levels: Sequence[tuple[float, ...]]) -> list[str]:
    """What is said about forecasts that were not all made alike."""
    nominal = {nominal_coverage(one) for one in levels} - {None}
    if len(nominal) < 2:
        return []
    shares = ", ".join(f"{100 * share:g} %" for share in sorted(filter(None, nominal)))
    return [
        f"the widest interval is not always the same ({shares}), so coverage and interval scores are of all of them."
    ]


def _name_of(entry: Entry) -> str:
    return printable(str(entry.issued.metadata.get("model", "model")), longest=LONGEST_NAME)


def _season_length(entry: Entry) -> int:
    """Steps in the season of the seasonal naive, as recorded."""
    found = entry.issued.metadata.get("season_length")
    return found if isinstance(found, int) and found > 0 else 1
