"""Many jobs unattended: locks, status, one job after the other, and the last word.

What happens to one job is no business of the next. Forecasts are finished when all their sinks and the archive have
them; a run that is broken off before is made up for by the next, to the same bytes.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsforecast.config.jobs import JobsFile, failure_limit
from tsforecast.errors import ConfigError, StoppedError, TsforecastError
from tsforecast.storage.atomic import write_text
from tsforecast.storage.lock import locked
from tsforecast.workflows.nightly.delivery import outputs_of
from tsforecast.workflows.nightly.status import Status, failures_path, run_command, said_of
from tsforecast.workflows.nightly.summary import summary
from tsforecast.workflows.nightly.work import PARTLY_DONE, Night, Work

__all__ = ["Night", "batch", "parse_backfill", "parse_max_failures", "status_path", "summary"]

log = logging.getLogger(__name__)

SECONDS_TO_STOP = 8.0  # after a signal, of the ten there are
SECONDS_FOR_COMMAND_WHEN_STOPPED = 1.0


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
    outputs = [status_file, *(path for job in jobs.jobs for path in outputs_of(job, jobs))]
    with locked(outputs, command=night.command, wait=night.wait, tell=lambda said: log.info("%s", said)):
        names = [job.name for job in jobs.jobs]
        status = Status(status_file, command=night.command, names=names)
        status.say(log=None if night.log is None else str(night.log))
        works = [Work(job, jobs, night, status) for job in jobs.jobs]
        # What takes long to import waits until the locks are got.
        from tsforecast.runtime import deferred_signals, ends_in_time
        from tsforecast.workflows.nightly.job import one_job

        stopped: StoppedError | None = None
        with ends_in_time(SECONDS_TO_STOP, status.last_words):
            try:
                with status.beating():
                    for work in works:
                        with said_of(job=work.job.name):
                            one_job(work)
                        _list_failures(works, status)
            except StoppedError as error:
                stopped = error
            with deferred_signals():  # a second one finds it done
                _end(works, status, stopped)
        if stopped:
            raise StoppedError(f"{stopped}\n{summary(status.document, status.path)}", stopped.number)
        return status.document


def _end(works: Sequence[Work], status: Status, stopped: StoppedError | None) -> None:
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


def _list_failures(works: Sequence[Work], status: Status) -> None:
    """Writes the series of all jobs so far that failed; no list where none did."""
    from tsforecast.workflows.fallback import failures_csv

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
