"""Where the forecasts of a job go: each sink in turn, what they have already, and what is kept of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import quote

from tsforecast.config.jobs import AS_OF, JobConfig, JobsFile, SinkConfig, age_of
from tsforecast.config.location import resolved
from tsforecast.errors import ConfigError, StoppedError, TsforecastError
from tsforecast.storage.archive import expire, has
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
from tsforecast.workflows.nightly.work import Work

__all__ = ["forget_old", "holds_one", "into_sinks", "is_finished", "outputs_of"]

log = logging.getLogger(__name__)


def outputs_of(job: JobConfig, jobs: JobsFile) -> Iterator[Path]:
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


def into_sinks(work: Work, sinks: Sequence[SinkConfig], issue: Issue) -> list[TsforecastError]:
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


def _write(work: Work, sink: SinkConfig, issue: Issue) -> None:
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


def _replace_csv(work: Work, path: Path, issue: Issue) -> None:
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


def holds_one(sink: SinkConfig) -> bool:
    """Whether a sink holds one forecast, the newest, which one of the past must not replace."""
    return sink.stdout or (sink.csv is not None and AS_OF not in sink.csv)


def is_finished(work: Work, sinks: Sequence[SinkConfig], as_of: str, key: str) -> bool:
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


def _has(work: Work, sink: SinkConfig, as_of: str, key: str) -> bool:
    if sink.csv is not None:
        path = _csv_path(sink.csv, as_of)
        is_this = AS_OF in sink.csv or work.status.holds(work.job.name, path) == key
        return path.is_file() and is_this
    if sink.parquet is not None:
        return partition_path(Path(sink.parquet), job=work.job.name, as_of=as_of).is_file()
    file = sqlite_file(sink.sql) if sink.sql is not None else None
    return file is None or file.is_file()


def forget_old(work: Work, as_of: str) -> None:
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
    import pandas as pd  # not before the locks are got

    moment = pd.Timestamp(as_of) - age_of(age)
    return str(moment.date()) if len(as_of) == len("2024-01-01") else moment.isoformat()
