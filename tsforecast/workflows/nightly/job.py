"""One job: its run, its data, the moments to forecast from, and for each the forecast and its way out."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.jobs import JobConfig, SinkConfig, age_of, failure_limit
from tsforecast.config.load import dump_config, load_config
from tsforecast.errors import ConfigError, DataError, ResourceError, StoppedError, TsforecastError
from tsforecast.series.cut import Cut, moment_of
from tsforecast.series.isolate import Isolated, not_forecast
from tsforecast.series.panel import Panel, data_hash
from tsforecast.series.read import name_of
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.archive import SCORING_COLUMNS, Issued, append
from tsforecast.storage.sinks import Issue
from tsforecast.storage.spool import spooled
from tsforecast.workflows.archived import described
from tsforecast.workflows.fallback import tell_failures
from tsforecast.workflows.nightly.delivery import forget_old, holds_one, into_sinks, is_finished
from tsforecast.workflows.nightly.shards import as_of_text, forecast_shards, known_at, newest_as_of
from tsforecast.workflows.nightly.status import said_of
from tsforecast.workflows.nightly.summary import how, lost_text
from tsforecast.workflows.nightly.training import loaded, run_to_use, train_again, trained_to, why_train
from tsforecast.workflows.nightly.work import PARTLY_DONE, Work
from tsforecast.workflows.predict import LoadedRun, date_format, position_of, read_like

__all__ = ["one_job"]

log = logging.getLogger(__name__)

UNFINISHED = ("failed", "partly")  # what --mode failed makes once more


def one_job(work: Work) -> None:
    """A job with all its forecasts; how it went stands in the status."""
    name, status = work.job.name, work.status
    status.job(name, state="running")
    began = time.monotonic()
    try:
        _forecast_all(work)
    except StoppedError:
        status.job(name, state="stopped")
        raise
    except MemoryError:
        _failed(work, ResourceError("the memory ran out; use a machine with more, or split the job."))
    except TsforecastError as error:
        _failed(work, error)
    except Exception as error:
        log.exception("a bug: please report it")
        _failed(work, error)
    else:
        _done(work)
    status.job(name, seconds=round(time.monotonic() - began, 1))


def _done(work: Work) -> None:
    is_whole = not (work.n_lost or work.problems)
    state = "done" if is_whole and work.made else "skipped" if is_whole else "partly"
    told = [str(problem) for problem in work.problems]
    if lost := [one for some in work.failures.values() for one in not_forecast(some)]:
        told.append(lost_text(lost))
    work.status.job(
        work.job.name,
        state=state,
        exit_code=0 if is_whole else PARTLY_DONE,
        series=work.n_series,
        failed=work.n_lost,
        made=work.made,
        skipped=work.skipped,
        message=" ".join(told) or None,
    )
    _tell(work, logging.INFO if is_whole else logging.WARNING)


def _failed(work: Work, error: Exception) -> None:
    code = error.exit_code if isinstance(error, TsforecastError) else 1
    told = str(error) if isinstance(error, TsforecastError) else f"a bug: {type(error).__name__}: {error}"
    work.status.job(
        work.job.name, state="failed", exit_code=code, failed=work.n_lost, made=work.made, message=told
    )
    _tell(work, logging.ERROR)


def _tell(work: Work, level: int) -> None:
    """Says how a job went, for whoever watches; the summary says so once more."""
    said = work.status.said(work.job.name)
    words = {"state": said["state"], "exit_code": said["exit_code"]}
    log.log(level, "%s", how(said), extra=words | {"is_outcome": True})


def _forecast_all(work: Work) -> None:
    """The forecasts of a job: one, or those of a stretch of history."""
    job, night = work.job, work.night
    run, model_hash = run_to_use(work)
    read, source = _read(work, run)
    newest = newest_as_of(read)
    if night.backfill is None:
        if night.as_of is None:
            _refuse_old(job, run, newest, source)
            as_of = newest
        else:
            as_of = _asked_as_of(night.as_of, run.tail.axis, newest)
        if (reason := why_train(work, run, source, as_of)) and train_again(work, run, as_of, reason):
            run, model_hash = loaded(work)
            read, source = _read(work, run)
        _one_forecast(work, run, model_hash, read, source, as_of, is_newest=True)
        return
    moments = _moments(night.backfill, run.tail.axis, newest)
    for as_of in moments:
        if night.mode != "failed" or work.status.remembered(job.name, as_of).get("state") in UNFINISHED:
            try:
                _one_forecast(work, run, model_hash, read, source, as_of, is_newest=as_of == newest)
            except DataError as error:
                work.problems.append(DataError(f"as of {as_of}: {error}"))
    if not moments or (work.problems and not work.made and not work.skipped):
        first, last = night.backfill
        raise DataError(
            f"--backfill {first}..{last}: "
            + (
                str(work.problems[0])
                if work.problems
                else f"the data has no step in it; it ends at {newest}."
            )
        )


def _one_forecast(
    work: Work,
    run: LoadedRun,
    model_hash: str,
    read: Isolated,
    source: str,
    as_of: str,
    *,
    is_newest: bool,
) -> None:
    """One forecast of all series, unless it is finished."""
    job, night = work.job, work.night
    with said_of(as_of=as_of):
        known = known_at(run, read, as_of)
        horizon = run.config.horizon if job.horizon is None else job.horizon
        levels = run.config.forecast.quantile_levels if job.quantile_levels is None else job.quantile_levels
        key = _run_key(run, model_hash, known, as_of, horizon=horizon, levels=levels)
        work.n_series = known.panel.n_series + sum(one.n_series for one in known.fallbacks)
        work.failures[as_of] = known.failures
        work.status.job(job.name, as_of=as_of, run_key=key, model_hash=model_hash, series=work.n_series)
        sinks = [sink for sink in job.sinks if is_newest or not holds_one(sink)]
        anew = night.force or (night.backfill is not None and night.mode == "all")
        if not anew and is_finished(work, sinks, as_of, key):
            work.skipped += 1
            log.info("forecast already, and nothing has changed since; --force makes it once more")
            return
        tell_failures([one for one in known.failures if one.forecast])
        _warn_of_hindsight(run, as_of)
        try:
            _make(work, run, known, sinks, source, as_of, key, model_hash, horizon=horizon, levels=levels)
        except StoppedError:
            raise
        except TsforecastError:
            work.status.remember(job.name, as_of, run_key=key, state="failed")
            raise


def _warn_of_hindsight(run: LoadedRun, as_of: str) -> None:
    axis, newest_learned = run.tail.axis, trained_to(run)
    if position_of(axis, as_of) < position_of(axis, newest_learned):
        log.warning(
            "the run has learned from rows up to %s, so that its forecast as of %s knows more than it could then",
            newest_learned,
            as_of,
        )


def _make(
    work: Work,
    run: LoadedRun,
    known: Isolated,
    sinks: Sequence[SinkConfig],
    source: str,
    as_of: str,
    key: str,
    model_hash: str,
    *,
    horizon: int,
    levels: Sequence[float],
) -> None:
    """Forecasts into a spool, and from there into every sink, the archive last."""
    job, n_all = work.job, work.n_series
    with spooled(work.status.path) as spool:
        lost = forecast_shards(
            run,
            known,
            spool,
            horizon=horizon,
            quantile_levels=levels,
            done=lambda behind: work.night.progress(job.name, behind, n_all),
        )
        work.failures[as_of] = (*known.failures, *lost)
        work.n_series = n_all - len(lost)
        _refuse_too_many(work, as_of)
        table = spool.table()
        if table is None:
            raise DataError(f"no series could be forecast: {lost_text(not_forecast(work.failures[as_of]))}")
        forecasts = table.drop_columns(list(SCORING_COLUMNS))
        text = date_format(table.slice(0, 100_000).column("ds").to_pandas(), run.tail.axis)
        issue = Issue(job.name, as_of, key, forecasts, date_format=text)
        errors = into_sinks(work, sinks, issue)
        if errors:
            raise type(errors[0])(" ".join([*map(str, errors), *_written_text(sinks, errors)]))
        if work.archive is not None:
            what = described(run, source, horizon=horizon)
            if job.drift is not None:
                what["drift"] = job.drift.model_dump()
            append(work.archive, Issued(job.name, key, model_hash, as_of, what), table)
    state = "partly" if not_forecast(work.failures[as_of]) else "done"
    work.status.remember(job.name, as_of, run_key=key, state=state, sinks=sorted(sink.name for sink in sinks))
    work.made += 1
    forget_old(work, as_of)
    log.info("%d series forecast %d steps ahead", work.n_series, horizon)


def _written_text(sinks: Sequence[SinkConfig], errors: Sequence[object]) -> list[str]:
    n_written = len(sinks) - len(errors)
    return [f"The other {n_written} of {len(sinks)} sinks are written."] if n_written else []


def _refuse_too_many(work: Work, as_of: str) -> None:
    """Raises where more series failed than may; nothing was written yet."""
    lost = not_forecast(work.failures[as_of])
    limit = work.night.max_failures
    limit = work.job.max_failures if limit is None else limit
    limit = work.jobs.max_failures if limit is None else limit
    n_known = work.n_series + len(lost)
    if limit is not None and len(lost) > failure_limit(limit, n_known):
        raise DataError(
            f"{len(lost)} of {n_known} series failed, and max_failures is {limit}; nothing is written. "
            f"{lost_text(lost)}"
        )


def _read(work: Work, run: LoadedRun) -> tuple[Isolated, str]:
    """The data of a job, bad series set apart, and where it came from."""
    source = work.job.data or run.config.data.path
    if work.job.data is None and work.job.config is not None:
        source = load_config(Path(work.job.config)).data.path  # with the secrets that a run does not keep
    return read_like(run, source, Cut(None, work.job.drop_last)), source


def _asked_as_of(asked: str, axis: TimeAxis, newest: str) -> str:
    """The step of the axis that is meant; where the data does not reach so far, the newest there is."""
    position = position_of(axis, asked)
    if position > position_of(axis, newest):
        log.warning("--as-of %s lies after the newest row, %s, which is taken", asked, newest)
        return newest
    return as_of_text(axis, position)


def _moments(backfill: tuple[str, str], axis: TimeAxis, newest: str) -> list[str]:
    """Every step of a stretch of history, oldest first."""
    first, last = (position_of(axis, text) for text in backfill)
    if first > last:
        raise ConfigError(f"--backfill: {backfill[0]} lies after {backfill[1]}; write the earlier one first.")
    begin: Any = moment_of(backfill[0], is_integer=axis.is_integer, timezone=axis.timezone)
    if axis.timestamps(np.array([first]))[0] < begin:
        first += 1  # the step before the stretch was found
    return [as_of_text(axis, step) for step in range(first, min(last, position_of(axis, newest)) + 1)]


def _refuse_old(job: JobConfig, run: LoadedRun, newest: str, source: str) -> None:
    """Raises where the newest row is older than it may be; the one place where the clock has a say."""
    if job.max_age is None:
        return
    if run.tail.axis.is_integer:
        raise ConfigError("max_age is about time, and the data counts steps; remove it.")
    moment = pd.Timestamp(newest)
    now = pd.Timestamp.now(tz=moment.tz)  # rows without a zone are on the clock of this machine
    if now - moment > age_of(job.max_age):
        days = (now - moment) / pd.Timedelta(days=1)
        raise DataError(
            f"{name_of(source)}: the newest row is of {newest}, {days:.1f} days ago (it is now {now:%Y-%m-%d %H:%M}), "
            f"and max_age is {job.max_age}; nothing was forecast. Look why no new rows came, or raise max_age."
        )


def _run_key(
    run: LoadedRun, model_hash: str, known: Isolated, as_of: str, *, horizon: int, levels: Sequence[float]
) -> str:
    """SHA-256 over everything that decides a forecast: config, model, as-of, rows up to it, and what is asked for."""
    rows = [data_hash(_read_for(panel, horizon)) for panel in (known.panel, *known.fallbacks)]
    decides = [dump_config(run.config), model_hash, as_of, rows, horizon, list(levels)]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def _read_for(panel: Panel, horizon: int) -> Panel:
    """The panel without future covariates of steps that no forecast of this horizon reads."""
    if not panel.future_names:
        return replace(panel, future=np.empty((0, 0)), future_offsets=np.zeros(1, np.int64))
    known = np.diff(panel.future_offsets)
    step = np.arange(panel.future_offsets[-1]) - np.repeat(panel.future_offsets[:-1], known)
    kept = step < np.repeat(panel.lengths + horizon, known)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(known, panel.lengths + horizon))])
    return replace(panel, future=panel.future[kept], future_offsets=offsets)
