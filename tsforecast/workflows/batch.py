"""Many jobs unattended: for each the run, the data, the forecast, its sinks and the archive, in this order.

What happens to one job is no business of the next. Forecasts are finished when all their sinks and the archive have
them; a run that is broken off before is made up for by the next, to the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote

import numpy as np
import pandas as pd

from tsforecast.config.jobs import AS_OF, JobConfig, JobsFile, SinkConfig, age_of, failure_limit
from tsforecast.config.load import dump_config, load_config
from tsforecast.config.location import resolved
from tsforecast.config.schema import Config
from tsforecast.errors import (
    ConfigError,
    DataError,
    LockedError,
    ResourceError,
    RunError,
    StoppedError,
    TsforecastError,
)
from tsforecast.runtime import deferred_signals, ends_in_time
from tsforecast.series.cut import Cut, moment_of
from tsforecast.series.isolate import Failure, Isolated, not_forecast
from tsforecast.series.panel import Panel, data_hash
from tsforecast.series.read import name_of
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.archive import SCORING_COLUMNS, Issued, append, expire, has
from tsforecast.storage.atomic import write_text
from tsforecast.storage.lock import locked
from tsforecast.storage.sinks import (
    Address,
    Issue,
    expire_partitions,
    partition_path,
    sqlite_file,
    upsert,
    write_csv,
    write_parquet,
    write_stream,
)
from tsforecast.storage.spool import spooled
from tsforecast.training.checkpoint import load_checkpoint
from tsforecast.training.fit import Watcher
from tsforecast.workflows.archived import described
from tsforecast.workflows.fallback import failures_csv, tell_failures
from tsforecast.workflows.predict import LoadedRun, date_format, load_run, position_of, read_like
from tsforecast.workflows.retrain import reason_to_train
from tsforecast.workflows.shards import as_of_text, forecast_shards, known_at, newest_as_of
from tsforecast.workflows.status import Status, failures_path, run_command, said_of

__all__ = ["Mode", "Night", "batch", "parse_backfill", "parse_max_failures", "status_path", "summary"]

log = logging.getLogger(__name__)

Mode = Literal["missing", "failed", "all"]

PARTLY_DONE = 5  # exit code: something failed, the rest is written
SECONDS_TO_STOP = 8.0  # after a signal, of the ten there are
SECONDS_FOR_COMMAND_WHEN_STOPPED = 1.0
MOST_TOLD = 3  # series that a line of the summary names
MANIFEST = "manifest.json"
UNFINISHED = ("failed", "partly")  # what --mode failed makes once more


@dataclass(frozen=True, slots=True)
class Night:
    """How this run of the jobs is meant, and who watches it.

    Attributes:
        command: the command line, for the status and the locks.
        as_of: forecast as if this were now; None for the newest rows.
        backfill: first and last as-of of a stretch of history.
        mode: which of these are made: those that are missing, that failed, or all.
        force: make forecasts that are finished once more.
        max_failures: instead of what the file says.
        wait: seconds to wait for a lock; None for ever.
        emit: takes CSV for stdout.
        training: watches a training.
        progress: is told the job, how many of its series are behind us, and how many there are.
    """

    command: str = "tsforecast batch"
    as_of: str | None = None
    backfill: tuple[str, str] | None = None
    mode: Mode = "missing"
    force: bool = False
    max_failures: int | str | None = None
    wait: float | None = 0.0
    emit: Callable[[str], None] = lambda _: None
    training: Callable[[], AbstractContextManager[Watcher | None]] = nullcontext
    progress: Callable[[str, int, int], None] = lambda *_: None


@dataclass(slots=True)
class _Work:
    """A job on its way.

    Attributes:
        job: what it says.
        jobs: the file it stands in.
        night: how it is meant.
        status: takes down how it goes.
        failures: series that failed, by as-of.
        problems: what went wrong without ending the job.
        n_series: of the newest forecast.
        skipped: forecasts that were finished before.
        made: forecasts that were made now.
    """

    job: JobConfig
    jobs: JobsFile
    night: Night
    status: Status
    failures: dict[str, tuple[Failure, ...]] = field(default_factory=dict)
    problems: list[TsforecastError] = field(default_factory=list)
    n_series: int = 0
    skipped: int = 0
    made: int = 0

    @property
    def archive(self) -> Path | None:
        return None if self.jobs.archive is None else Path(self.jobs.archive)

    @property
    def n_lost(self) -> int:
        return sum(len(not_forecast(lost)) for lost in self.failures.values())


def status_path(jobs: JobsFile, file: Path) -> Path:
    """Where the status is written: as the file says, else beside it under its name."""
    return Path(jobs.status) if jobs.status else file.absolute().with_name(f"{file.stem}.status.json")


def parse_backfill(text: str) -> tuple[str, str]:
    """First and last as-of of ``2024-01-01..2024-03-31``.

    Raises:
        ConfigError: it is no such stretch.
    """
    first, dots, last = (part.strip() for part in text.partition(".."))
    if not (first and dots and last):
        raise ConfigError(f"--backfill: {text!r} is no stretch such as 2024-01-01..2024-03-31.")
    return first, last


def parse_max_failures(text: str) -> int | str:
    """The limit of ``--max-failures``.

    Raises:
        ConfigError: it is none.
    """
    try:
        failure_limit(text, 0)
    except ValueError as error:
        raise ConfigError(f"--max-failures: {error}.") from error
    return text


def batch(jobs: JobsFile, status_file: Path, night: Night) -> dict[str, Any]:
    """Works through the jobs and returns the status, whose ``exit_code`` says how it went.

    Args:
        jobs: what is to be done.
        status_file: as :func:`status_path` gives it.
        night: how it is meant.

    Raises:
        LockedError: another run writes one of the outputs; nothing was done, and no status written.
        ConfigError: the status, or a lock beside an output, cannot be written.
        ResourceError: the disk is too full for the status.
        StoppedError: a signal ended it; the status says how far it came.
    """
    outputs = [status_file, *(path for job in jobs.jobs for path in _outputs(job, jobs))]
    with locked(outputs, command=night.command, wait=night.wait, tell=lambda said: log.info("%s", said)):
        names = [job.name for job in jobs.jobs]
        status = Status(status_file, command=night.command, names=names)
        works = [_Work(job, jobs, night, status) for job in jobs.jobs]
        stopped: StoppedError | None = None
        with ends_in_time(SECONDS_TO_STOP, status.last_words):
            try:
                with status.beating():
                    for work in works:
                        with said_of(job=work.job.name):
                            _one_job(work)
                        _list_failures(works, status)
            except StoppedError as error:
                stopped = error
            with deferred_signals():  # a second one finds it done
                _end(works, status, stopped)
        if stopped:
            raise StoppedError(f"{stopped}\n{summary(status.document, status.path)}", stopped.number)
        return status.document


def _one_job(work: _Work) -> None:
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


def _done(work: _Work) -> None:
    is_whole = not (work.n_lost or work.problems)
    state = "done" if is_whole and work.made else "skipped" if is_whole else "partly"
    told = [str(problem) for problem in work.problems]
    if lost := [one for some in work.failures.values() for one in not_forecast(some)]:
        told.append(_lost_text(lost))
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


def _failed(work: _Work, error: Exception) -> None:
    code = error.exit_code if isinstance(error, TsforecastError) else 1
    told = str(error) if isinstance(error, TsforecastError) else f"a bug: {type(error).__name__}: {error}"
    work.status.job(
        work.job.name, state="failed", exit_code=code, failed=work.n_lost, made=work.made, message=told
    )
    _tell(work, logging.ERROR)


def _tell(work: _Work, level: int) -> None:
    """Says how a job went, for whoever watches; the summary says so once more."""
    said = work.status.said(work.job.name)
    words = {"state": said["state"], "exit_code": said["exit_code"]}
    log.log(level, "%s", _how(said), extra=words | {"is_outcome": True})


def _forecast_all(work: _Work) -> None:
    """The forecasts of a job: one, or those of a stretch of history."""
    job, night = work.job, work.night
    run, model_hash = _run_to_use(work)
    read, source = _read(work, run)
    newest = newest_as_of(read)
    if night.backfill is None:
        if night.as_of is None:
            _refuse_old(job, run, newest, source)
            as_of = newest
        else:
            as_of = _asked_as_of(night.as_of, run.tail.axis, newest)
        if (reason := _reason_to_train(work, run, source, as_of)) and _train_again(work, run, as_of, reason):
            run, model_hash = _loaded(work)
            read, source = _read(work, run)
        _one_forecast(work, run, model_hash, read, source, as_of, is_newest=True)
        return
    moments = _moments(night.backfill, run.tail.axis, newest)
    for as_of in moments:
        if night.mode != "failed" or work.status.remembered(job.name, as_of).get("state") in UNFINISHED:
            try:
                _one_forecast(work, run, model_hash, read, source, as_of, is_newest=as_of == newest)
            except (DataError, ResourceError) as error:
                if isinstance(error, ResourceError):
                    raise
                work.problems.append(type(error)(f"as of {as_of}: {error}"))
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
    work: _Work,
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
        sinks = [sink for sink in job.sinks if is_newest or not _holds_one(sink)]
        anew = night.force or (night.backfill is not None and night.mode == "all")
        if not anew and _is_finished(work, sinks, as_of, key):
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
    axis, trained_to = run.tail.axis, _trained_to(run)
    if position_of(axis, as_of) < position_of(axis, trained_to):
        log.warning(
            "the run has learned from rows up to %s, so that its forecast as of %s knows more than it could then",
            trained_to,
            as_of,
        )


def _make(
    work: _Work,
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
        _refuse_too_many(work, as_of, n_all)
        table = spool.table()
        if table is None:
            raise DataError(f"no series could be forecast: {_lost_text(not_forecast(work.failures[as_of]))}")
        forecasts = table.drop_columns(list(SCORING_COLUMNS))
        text = date_format(table.slice(0, 100_000).column("ds").to_pandas(), run.tail.axis)
        issue = Issue(job.name, as_of, key, forecasts, date_format=text)
        errors = _into_sinks(work, sinks, issue)
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
    _forget_old(work, as_of)
    log.info("%d series forecast %d steps ahead", n_all - len(lost), horizon)


def _written_text(sinks: Sequence[SinkConfig], errors: Sequence[object]) -> list[str]:
    n_written = len(sinks) - len(errors)
    return [f"The other {n_written} of {len(sinks)} sinks are written."] if n_written else []


def _into_sinks(work: _Work, sinks: Sequence[SinkConfig], issue: Issue) -> list[TsforecastError]:
    """Writes to every sink; one that fails does not stop the others."""
    errors: list[TsforecastError] = []
    for sink in sinks:
        try:
            _write(work, sink, issue)
        except StoppedError:
            raise
        except TsforecastError as error:
            errors.append(error)
        else:
            log.debug("written: %s", sink.name)
    return errors


def _write(work: _Work, sink: SinkConfig, issue: Issue) -> None:
    if sink.csv is not None:
        path = _csv_path(sink.csv, issue.as_of)
        if AS_OF in sink.csv:
            write_csv(path, issue)
        else:
            _replace_csv(work, path, issue)
    elif sink.parquet is not None:
        write_parquet(Path(sink.parquet), issue)
    elif sink.sql is not None:
        upsert(_address(sink), issue)
    else:
        write_stream(work.night.emit, issue)


def _replace_csv(work: _Work, path: Path, issue: Issue) -> None:
    """Writes a file that holds one forecast after the other; a kill in between must not leave it named wrongly."""
    if work.status.holds(work.job.name, path) is not None:
        work.status.now_holds(work.job.name, path, None)
        work.status.save()
    write_csv(path, issue)
    work.status.now_holds(work.job.name, path, issue.run_key)


def _address(sink: SinkConfig) -> Address:
    name = sink.name
    try:
        location = resolved(cast(str, sink.sql))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}.") from error
    return Address(location.url, sink.table, name, location.scrubbed)


def _csv_path(pattern: str, as_of: str) -> Path:
    return Path(pattern.replace(AS_OF, quote(as_of, safe="")))


def _holds_one(sink: SinkConfig) -> bool:
    """Whether a sink holds one forecast, the newest, which one of the past must not replace."""
    return sink.stdout or (sink.csv is not None and AS_OF not in sink.csv)


def _is_finished(work: _Work, sinks: Sequence[SinkConfig], as_of: str, key: str) -> bool:
    """Whether every sink and the archive have this forecast."""
    job = work.job
    known = work.status.remembered(job.name, as_of)
    if known.get("run_key") != key or known.get("state") not in ("done", "partly"):
        return False
    if not {sink.name for sink in sinks} <= set(known.get("sinks", ())):
        return False
    if work.archive is not None and not has(work.archive, job.name, key):
        return False
    return all(_has(work, sink, as_of, key) for sink in sinks)


def _has(work: _Work, sink: SinkConfig, as_of: str, key: str) -> bool:
    if sink.csv is not None:
        path = _csv_path(sink.csv, as_of)
        is_this = AS_OF in sink.csv or work.status.holds(work.job.name, path) == key
        return path.is_file() and is_this
    if sink.parquet is not None:
        return partition_path(Path(sink.parquet), job=work.job.name, as_of=as_of).is_file()
    file = sqlite_file(sink.sql) if sink.sql is not None else None
    return file is None or file.is_file()


def _forget_old(work: _Work, as_of: str) -> None:
    """Deletes what is older than ``keep`` says, measured back from the newest as-of."""
    job, keep = work.job, work.job.keep
    newest = work.status.newest(job.name) or as_of
    if keep.archive is not None and work.archive is not None:
        count = expire(work.archive, job=job.name, older_than=_before(newest, keep.archive))
        log.debug("%d forecasts of the archive are older than %s and deleted", count, keep.archive)
    if keep.partitions is not None:
        limit = _before(newest, keep.partitions)
        for sink in job.sinks:
            if sink.parquet is not None:
                expire_partitions(Path(sink.parquet), job=job.name, older_than=limit)


def _before(as_of: str, age: str) -> str:
    """The as-of so long before another."""
    if as_of.lstrip("-").isdigit():
        raise ConfigError("keep: is about time, and the data counts steps; remove it.")
    moment = pd.Timestamp(as_of) - age_of(age)
    return str(moment.date()) if len(as_of) == len("2024-01-01") else moment.isoformat()


def _refuse_too_many(work: _Work, as_of: str, n_forecast: int) -> None:
    """Raises where more series failed than may; nothing was written yet."""
    lost = not_forecast(work.failures[as_of])
    limit = work.night.max_failures
    limit = work.job.max_failures if limit is None else limit
    limit = work.jobs.max_failures if limit is None else limit
    n_known = n_forecast + sum(not failure.forecast for failure in lost)
    if limit is not None and len(lost) > failure_limit(limit, n_known):
        raise DataError(
            f"{len(lost)} of {n_known} series failed, and max_failures is {limit}; nothing is written. "
            f"{_lost_text(lost)}"
        )


def _read(work: _Work, run: LoadedRun) -> tuple[Isolated, str]:
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
    age = pd.Timestamp(_clock()).tz_convert(moment.tz or _clock().tzinfo) - (
        moment if moment.tz is not None else moment.tz_localize(_clock().tzinfo)
    )
    if age > age_of(job.max_age):
        raise DataError(
            f"{name_of(source)}: the newest row is of {newest}, {age / pd.Timedelta(days=1):.1f} days ago, and max_age "
            f"is {job.max_age}; nothing was forecast. Look why no new rows came, or raise max_age."
        )


def _run_to_use(work: _Work) -> tuple[LoadedRun, str]:
    """The run of a job, trained first where there is none."""
    job = work.job
    path = Path(job.run)
    if not (path / MANIFEST).exists() and not path.exists():
        if job.config is None:
            raise RunError(
                f"{path}: no such run folder, and the job has no config to train it from; add config:, or train it "
                "with `tsforecast train`."
            )
        log.info("there is no run yet, it is trained")
        as_of = work.night.as_of
        cut = Cut(None, job.drop_last) if as_of is None else Cut(as_of)
        _train(work, load_config(Path(job.config)), overwrite=False, cut=cut)
    return _loaded(work)


def _loaded(work: _Work) -> tuple[LoadedRun, str]:
    """The run of a job and the hash of its files, both of one version, bad series to be set apart."""
    path = Path(work.job.run)
    while True:
        before = _manifest_hash(path)
        run = load_run(path)
        if _manifest_hash(path) == before:
            return replace(run, config=_tolerant(run.config, work.job)), before


def _manifest_hash(path: Path) -> str:
    try:
        return hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return ""  # loading it says what is wrong


def _tolerant(config: Config, job: JobConfig) -> Config:
    """The config under which one bad series does not stop the others."""
    policy = job.on_bad_series or config.data.on_bad_series
    if job.on_bad_series is None and policy == "fail":
        policy = "skip"
    return config.model_copy(update={"data": config.data.model_copy(update={"on_bad_series": policy})})


def _reason_to_train(work: _Work, run: LoadedRun, source: str, as_of: str) -> str | None:
    if not work.job.retrain.ever:
        return None
    return reason_to_train(work.job, work.archive, source=source, trained_to=_trained_to(run), as_of=as_of)


def _trained_to(run: LoadedRun) -> str:
    """The newest step that the run has learned from."""
    tail = run.tail
    return as_of_text(tail.axis, int(tail.positions(tail.last_cutoffs).max()))


def _train_again(work: _Work, run: LoadedRun, as_of: str, reason: str) -> bool:
    """Whether a new run took the place of the old one; where the training fails, the old one goes on."""
    log.info("the run is trained anew: %s", reason)
    try:
        config = run.config if work.job.config is None else load_config(Path(work.job.config))
        _train(work, config, overwrite=True, cut=Cut(as_of))
    except (ConfigError, DataError, RunError, ResourceError, LockedError) as error:
        work.problems.append(
            type(error)(f"not trained anew ({reason}): {error} The forecast is that of the run as it was.")
        )
        return False
    return True


def _train(work: _Work, config: Config, *, overwrite: bool, cut: Cut) -> None:
    """Trains the run of a job, from where an interrupted training of the same data stands."""
    from tsforecast.workflows.train import train  # imports what draws its pictures

    path = Path(work.job.run)
    config = _tolerant(config, work.job)
    if work.job.data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"path": work.job.data})})
    resume = _can_resume(path)
    work.status.job(work.job.name, doing="training")
    with (
        locked([path], command=work.night.command, wait=work.night.wait),
        work.night.training() as watcher,
    ):
        for attempt in (resume, False):
            try:
                train(
                    config,
                    path=path,
                    overwrite=overwrite,
                    resume=attempt,
                    cut=cut,
                    watcher=watcher,
                )
                break
            except RunError:
                if not attempt:  # begun with other data or settings: it cannot be gone on with
                    raise
    work.status.job(work.job.name, doing=None, trained=True)


def _can_resume(path: Path) -> bool:
    try:
        return load_checkpoint(path.with_name(f".{path.name}.train")) is not None
    except RunError:
        return False


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


def _outputs(job: JobConfig, jobs: JobsFile) -> Iterator[Path]:
    """What a job writes, as far as two runs could meet there; a database server keeps them apart itself."""
    if jobs.archive is not None:
        yield Path(jobs.archive) / f"job={quote(job.name, safe='')}"
    for sink in job.sinks:
        if sink.csv is not None:
            yield Path(sink.csv)
        elif sink.parquet is not None:
            yield Path(sink.parquet) / quote(job.name, safe="")
        elif sink.sql is not None and (file := sqlite_file(sink.sql)):
            yield file.with_name(f"{file.name}.{sink.table}")


def _end(works: Sequence[_Work], status: Status, stopped: StoppedError | None) -> None:
    """The last word: exit code, failures, status, and the command of the user."""
    jobs = works[0].jobs
    if stopped:
        for job in status.document["jobs"]:
            job["state"] = "stopped" if job["state"] == "running" else job["state"]
    code = stopped.exit_code if stopped else _exit_code(status.document["jobs"])
    state = "stopped" if stopped else "done" if code == 0 else "partly" if code == PARTLY_DONE else "failed"
    status.end(state=state, exit_code=code)
    words = jobs.on_success if code == 0 else jobs.on_failure
    if words is None:
        return
    limit = {"limit": SECONDS_FOR_COMMAND_WHEN_STOPPED} if stopped else {}
    if not run_command(words, status.path, **limit) and code == 0:
        status.end(state="partly", exit_code=PARTLY_DONE, message=f"{words[0]}: failed; see its output.")


def _exit_code(jobs: Sequence[dict[str, Any]]) -> int:
    """Of all jobs: their own where they agree or all failed, 1 for a bug, else partly done."""
    codes = [job.get("exit_code", 0) for job in jobs]
    if 1 in codes:
        return 1
    failed = [job["exit_code"] for job in jobs if job["state"] == "failed"]
    if len(failed) == len(jobs):
        return int(failed[0])
    return PARTLY_DONE if any(codes) else 0


def _list_failures(works: Sequence[_Work], status: Status) -> None:
    """Writes the series of all jobs so far that failed; no list where none did."""
    path = failures_path(status.path)
    lines: list[list[str]] = []
    for work in works:
        for as_of, some in work.failures.items():
            head, *rows = list(csv.reader(io.StringIO(failures_csv(some))))
            lines += [["job", "as_of", *head]] if rows and not lines else []
            lines += [[work.job.name, as_of, *row] for row in rows]
    text = _csv_text(lines)
    try:
        if text:
            write_text(path, text)
        else:
            path.unlink(missing_ok=True)
    except (TsforecastError, OSError) as error:
        log.error("%s", error)
    status.say(failures=str(path) if text else None)


def _csv_text(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _lost_text(lost: Sequence[Failure]) -> str:
    """How many series failed, and what is wrong with the first."""
    names = [
        f"{one.unique_id!r} ({': '.join(part for part in (one.code, one.reason) if part)})" for one in lost
    ]
    more = ", …" if len(names) > MOST_TOLD else ""
    return f"{len(lost)} series failed: {', '.join(names[:MOST_TOLD])}{more}."


def summary(document: dict[str, Any], status: Path) -> str:
    """What a person should know in the morning: what went wrong where, and what to do."""
    jobs = document["jobs"]
    counts = [(sum(job["state"] == state for job in jobs), word) for state, word in _STATES.items()]
    total = ", ".join(f"{count} {word}" for count, word in counts if count)
    lines = [
        f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}: {total} (exit code {document['exit_code']})"
    ]
    lines += [f"  {job['name']}: {_how(job)}" for job in jobs]
    if document.get("message"):
        lines.append(f"  {document['message']}")
    if document.get("failures"):
        lines.append(f"All series that failed: {document['failures']}")
    lines.append(f"Status: {status}")
    if document["exit_code"]:
        first = "To go on" if document["state"] == "stopped" else "When the cause is mended"
        lines.append(f"{first}, run the same command again: forecasts that are finished are not made twice.")
    return "\n".join(lines)


def _how(job: dict[str, Any]) -> str:
    state = _STATES[job["state"]]
    about = f"{job['series']} series as of {job['as_of']}" if job.get("series") and job.get("as_of") else ""
    if (n_forecasts := job.get("made", 0) + job.get("skipped", 0)) > 1:
        about += f", the last of {n_forecasts} forecasts ({job['made']} new)"
    if job["state"] == "failed":
        about = f"exit code {job['exit_code']}"
    head = state + (f", {about}" if about else "")
    return f"{head}: {job['message']}" if job.get("message") else head


_STATES = {
    "failed": "failed",
    "partly": "partly done",
    "stopped": "stopped",
    "waiting": "not begun",
    "running": "running",
    "done": "done",
    "skipped": "done before, nothing new",
}


def _clock() -> pd.Timestamp:
    return pd.Timestamp.now(tz="UTC")
