"""``tsforecast batch``."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsforecast.cli.console import (
    LogFile,
    Quiet,
    Verbose,
    Wait,
    command_line,
    forecast_bar,
    print_data,
    seconds_to_wait,
    start_json_messages,
    start_messages,
    watched_training,
    withheld_warnings,
)
from tsforecast.errors import TsforecastError

if TYPE_CHECKING:
    from tsforecast.training.fit import Watcher
    from tsforecast.workflows.batch import Night

__all__ = ["batch"]

log = logging.getLogger(__name__)


class Mode(StrEnum):
    """Which forecasts of a stretch of history are made."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


class LogFormat(StrEnum):
    """How messages are written."""

    TEXT = "text"
    JSON = "json"


class Scheduler(StrEnum):
    """What starts the jobs every night."""

    CRON = "cron"
    SYSTEMD = "systemd"


def batch(
    jobs: Annotated[Path, typer.Argument(metavar="JOBS", help="The jobs file.", show_default=False)],
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="DATE", help="Forecast as if this were now.  [default: the newest row]"
        ),
    ] = None,
    backfill: Annotated[
        str | None,
        typer.Option(
            metavar="FROM..TO", help="Forecast from every step of a stretch of history.", show_default=False
        ),
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Which forecasts of --backfill are made.")] = Mode.MISSING,
    force: Annotated[bool, typer.Option("--force", help="Make finished forecasts once more.")] = False,
    max_failures: Annotated[
        str | None,
        typer.Option(
            metavar="N|P%",
            help="Series of a job that may fail before it writes nothing.  [default: as the file says]",
        ),
    ] = None,
    wait: Wait = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="Messages for people, or JSON lines.")
    ] = LogFormat.TEXT,
    scheduler: Annotated[
        Scheduler | None,
        typer.Option("--print", help="Print what runs this every night, and do nothing.", show_default=False),
    ] = None,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="Time of day for --print.")] = "03:17",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the status as one JSON document at the end.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast batch jobs.yaml

    Forecasts many jobs unattended: trains where it is due, reads, forecasts, writes to files, databases and the
    archive. One bad series or job does not stop the others. What is finished is not made twice.
    """
    if scheduler is not None:
        print_data(_schedule(jobs, scheduler, at))
        return
    start = start_json_messages if log_format is LogFormat.JSON else start_messages
    start(quiet=quiet, verbose=verbose, log_file=log_file)

    from tsforecast.workflows import batch as workflow

    night = workflow.Night(
        command=shlex.join(command_line()),
        as_of=as_of,
        backfill=None if backfill is None else workflow.parse_backfill(backfill),
        mode=mode.value,
        force=force,
        max_failures=None if max_failures is None else workflow.parse_max_failures(max_failures),
        wait=seconds_to_wait(wait),
        emit=print_data,
        training=lambda: _watched_training(quiet=quiet),
    )
    if log_format is LogFormat.JSON:
        code = _told_in_json(jobs, night, as_json=as_json)
    else:
        code = _told_in_words(jobs, night, quiet=quiet, as_json=as_json)
    raise typer.Exit(code)


def _told_in_words(jobs: Path, night: Night, *, quiet: bool, as_json: bool) -> int:
    """Runs the jobs; where nobody watches, warnings are told only when something is wrong."""
    with withheld_warnings() as tell_warnings, forecast_bar(quiet=quiet) as progress:
        try:
            code, status = _done(jobs, replace(night, progress=progress))
        except BaseException:
            tell_warnings()
            raise
        if code:
            tell_warnings()
    if as_json:
        print_data(status.read_text(encoding="utf-8"))
    return code


def _told_in_json(jobs: Path, night: Night, *, as_json: bool) -> int:
    """Runs the jobs; every line on stderr is one JSON document, that of an error as well."""
    try:
        code, status = _done(jobs, night)
    except TsforecastError as error:
        log.error("%s", error, extra={"exit_code": error.exit_code})
        return error.exit_code
    if as_json:
        print_data(status.read_text(encoding="utf-8"))
    return code


@contextmanager
def _watched_training(*, quiet: bool) -> Iterator[Watcher]:
    """As ``tsforecast train`` does it."""
    from tsforecast.runtime import keep_freed_memory

    keep_freed_memory()
    with watched_training(quiet=quiet) as watcher:
        yield watcher


def _done(jobs: Path, night: Night) -> tuple[int, Path]:
    """The exit code after all jobs, and the path of the status."""
    from tsforecast.cli.runlog import kept_log
    from tsforecast.config.jobs import load_jobs
    from tsforecast.workflows.batch import batch, status_path

    loaded = load_jobs(jobs)
    status = status_path(loaded, jobs)
    with kept_log(loaded, jobs) as path:
        document = batch(loaded, status, replace(night, log=path))
        _tell_end(document, status)
    return int(document["exit_code"]), status


def _tell_end(document: dict[str, Any], status: Path) -> None:
    """The last message: a summary for people, and for machines its parts."""
    from tsforecast.workflows.batch import summary

    is_told = bool(document["exit_code"] or any(job.get("message") for job in document["jobs"]))
    words = {name: document[name] for name in ("exit_code", "jobs", "failures")} | {"status": str(status)}
    log.log(
        logging.ERROR if is_told else logging.INFO,
        "%s",
        summary(document, status),
        extra=words | {"event_name": "batch ended"},
    )


def _schedule(jobs: Path, scheduler: Scheduler, at: str) -> str:
    """What starts the jobs every night; a jobs file that is wrong is refused now, and not at night."""
    from tsforecast.config.jobs import load_jobs
    from tsforecast.workflows.nightly.schedule import SCHEDULERS, program

    load_jobs(jobs)
    path = jobs.absolute()
    words = [*program(), "batch", path.name]
    return SCHEDULERS[scheduler.value](words, name=path.name, folder=path.parent, at=at)
