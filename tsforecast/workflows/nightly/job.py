"""One job: its run, its data, the moments to forecast from, and for each the forecast and its way out."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tsforecast.config.jobs import SinkConfig, failure_limit
from tsforecast.config.load import dump_config
from tsforecast.errors import ConfigError, DataError, ResourceError, StoppedError, TsforecastError
from tsforecast.series.cut import moment_of
from tsforecast.series.isolate import not_forecast
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.archive import Issued, append
from tsforecast.storage.sinks import Issue
from tsforecast.storage.spool import spooled
from tsforecast.workflows.archived import described
from tsforecast.workflows.fallback import tell_failures
from tsforecast.workflows.nightly.delivery import forget_old, holds_one, into_sinks, is_finished
from tsforecast.workflows.nightly.known import Known, known, less_than_before
from tsforecast.workflows.nightly.reading import Reading, reading, refuse_old
from tsforecast.workflows.nightly.shards import as_of_text, forecast_shards
from tsforecast.workflows.nightly.status import said_of
from tsforecast.workflows.nightly.summary import how, lost_text
from tsforecast.workflows.nightly.training import loaded, run_to_use, train_again, trained_to, why_train
from tsforecast.workflows.nightly.work import PARTLY_DONE, Work
from tsforecast.workflows.predict import LoadedRun, date_format, position_of

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
    told = [*map(str, work.problems), *work.notices]
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
    run, model_hash = run_to_use(work)
    with reading(work, run) as read:
        if work.night.backfill is not None:
            _fill(work, run, model_hash, read, work.night.backfill)
            return
        as_of = _as_of(work, run, read)
        reason = why_train(work, run, read.source, as_of)
        if reason is None:
            _one_forecast(work, run, model_hash, read, as_of, is_newest=True)
            return
    train_again(work, run, as_of, reason)
    run, model_hash = loaded(work)
    with reading(
        work, run
    ) as read:  # anew: a new run may read it otherwise, and training has need of the room
        _one_forecast(work, run, model_hash, read, as_of, is_newest=True)


def _as_of(work: Work, run: LoadedRun, read: Reading) -> str:
    asked = work.night.as_of
    if asked is None:
        refuse_old(work.job, read.newest, read.source)
        return read.newest
    return _asked_as_of(asked, run.tail.axis, read.newest)


def _fill(work: Work, run: LoadedRun, model_hash: str, read: Reading, stretch: tuple[str, str]) -> None:
    """The forecasts of a stretch of history; one that cannot be made does not stop the others."""
    job, night = work.job, work.night
    moments = _moments(stretch, run.tail.axis, read.newest)
    for as_of in moments:
        if night.mode != "failed" or work.status.remembered(job.name, as_of).get("state") in UNFINISHED:
            try:
                _one_forecast(work, run, model_hash, read, as_of, is_newest=as_of == read.newest)
            except DataError as error:
                work.problems.append(DataError(f"as of {as_of}: {error}"))
    if not moments or (work.problems and not work.made and not work.skipped):
        first, last = stretch
        raise DataError(
            f"--backfill {first}..{last}: "
            + (
                str(work.problems[0])
                if work.problems
                else f"the data has no step in it; it ends at {read.newest}."
            )
        )


def _one_forecast(
    work: Work, run: LoadedRun, model_hash: str, read: Reading, as_of: str, *, is_newest: bool
) -> None:
    """One forecast of all series, unless it is finished."""
    job, night = work.job, work.night
    with said_of(as_of=as_of):
        horizon = run.config.horizon if job.horizon is None else job.horizon
        levels = run.config.forecast.quantile_levels if job.quantile_levels is None else job.quantile_levels
        then = known(run, read, as_of, horizon=horizon)
        key = _run_key(run, model_hash, then.rows, as_of, horizon=horizon, levels=levels)
        work.n_series = then.n_series
        work.failures[as_of] = then.failures
        work.status.job(job.name, as_of=as_of, run_key=key, model_hash=model_hash, series=work.n_series)
        sinks = [sink for sink in job.sinks if is_newest or not holds_one(sink)]
        anew = night.force or (night.backfill is not None and night.mode == "all")
        if not anew and is_finished(work, sinks, as_of, key):
            work.skipped += 1
            log.info("forecast already, and nothing has changed since; --force makes it once more")
            return
        tell_failures([one for one in then.failures if one.forecast])
        _warn_of_hindsight(run, as_of)
        try:
            _make(work, run, then, sinks, read.source, as_of, key, model_hash, horizon=horizon, levels=levels)
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
    known: Known,
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
            known.parts(),
            spool,
            horizon=horizon,
            quantile_levels=levels,
            done=lambda behind: work.night.progress(job.name, behind, n_all),
        )
        work.failures[as_of] = (*known.failures, *lost)
        work.n_series = n_all - len(lost)
        _refuse_too_many(work, as_of)
        if not spool.num_rows:
            raise DataError(f"no series could be forecast: {lost_text(not_forecast(work.failures[as_of]))}")
        first = next(spool.tables(100_000))
        text = date_format(first.column("ds").to_pandas(), run.tail.axis)
        issue = Issue(job.name, as_of, key, spool, date_format=text)
        errors = into_sinks(work, sinks, issue)
        if errors:
            raise type(errors[0])(" ".join([*map(str, errors), *_written_text(sinks, errors)]))
        if work.archive is not None:
            what = described(run, source, horizon=horizon, drop_last=job.drop_last)
            if job.drift is not None:
                what["drift"] = job.drift.model_dump()
            append(work.archive, Issued(job.name, key, model_hash, as_of, what), spool)
    state = "partly" if not_forecast(work.failures[as_of]) else "done"
    if work.night.backfill is None and (before := work.status.before(job.name, as_of)):
        work.notices += less_than_before(known, as_of, *before)
    work.status.remember(
        job.name,
        as_of,
        run_key=key,
        state=state,
        sinks=sorted(sink.name for sink in sinks),
        series=known.n_all,
        late=len(known.late),
    )
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


def _run_key(
    run: LoadedRun, model_hash: str, rows: str, as_of: str, *, horizon: int, levels: Sequence[float]
) -> str:
    """SHA-256 over everything that decides a forecast: config, model, as-of, rows up to it, and what is asked for."""
    decides = [dump_config(run.config), model_hash, as_of, rows, horizon, list(levels)]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()
