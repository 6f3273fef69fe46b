"""The file that keeps what a run of a jobs file said, whether or not anybody watched."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tsforecast import __version__
from tsforecast.cli.console import command_line, json_lines
from tsforecast.config.jobs import JobsFile, age_of
from tsforecast.config.location import without_secrets
from tsforecast.errors import TsforecastError
from tsforecast.storage.logs import Log, expire_logs, new_log

__all__ = ["kept_log"]

log = logging.getLogger(__name__)


class _LogHandler(logging.Handler):
    """Writes messages into a log until that is not possible any more, which is said once."""

    def __init__(self, file: Log) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(json_lines())
        self.file = file
        self._is_broken = False

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_broken:
            return
        try:
            self.file.append(self.format(record))
        except OSError as error:
            self._is_broken = True
            _say_without_log(self.file.path, error, "it ends early")


@contextmanager
def kept_log(jobs: JobsFile, file: Path) -> Iterator[Path | None]:
    """Keeps every message of the block as a line of JSON where the jobs file asks for it, and deletes old files.

    A log that cannot be written stops nothing.

    Args:
        jobs: with the folder, and how long files are kept.
        file: the jobs file, which gives them their name.

    Yields:
        The path of the log; None where there is none.
    """
    started = datetime.now(UTC)
    handler = None if jobs.logs is None else _begun(Path(jobs.logs), file.stem, started)
    if handler is None:
        yield None
        return
    root = logging.getLogger("tsforecast")
    root.addHandler(handler)
    try:
        _forget_old(jobs, file.stem, started)
        yield handler.file.path
    except BaseException as error:  # whoever started us tells it as well
        handler.handle(_record_of_error(error))
        raise
    finally:
        root.removeHandler(handler)
        handler.file.close()
        handler.close()


def _begun(folder: Path, name: str, started: datetime) -> _LogHandler | None:
    """The handler of a new log, with its first line; None where none can be made."""
    try:
        handler = _LogHandler(new_log(folder, name=name, started=started))
    except OSError as error:
        _say_without_log(folder, error, "there is none of this run")
        return None
    words = {
        "command": shlex.join(map(without_secrets, command_line())),
        "version": __version__,
        "pid": os.getpid(),
    }
    handler.handle(_record(logging.INFO, "batch begun", words))
    return handler


def _forget_old(jobs: JobsFile, name: str, started: datetime) -> None:
    if jobs.logs is None or jobs.keep.logs is None:
        return
    try:
        count = expire_logs(Path(jobs.logs), name=name, now=started, older_than=age_of(jobs.keep.logs))
    except OSError as error:
        log.error(
            "logs: %s: old files cannot be deleted (%s); see who may write there.", jobs.logs, error.strerror
        )
    else:
        log.debug("%d logs are older than %s and deleted", count, jobs.keep.logs)


def _say_without_log(path: Path, error: OSError, what: str) -> None:
    log.error(
        "logs: %s: the log cannot be written (%s), so that %s; the jobs go on. Make room, or name a folder that can be "
        "written.",
        path,
        error.strerror,
        what,
    )


def _record_of_error(error: BaseException) -> logging.LogRecord:
    if isinstance(error, TsforecastError):
        return _record(logging.ERROR, str(error), {"exit_code": error.exit_code})
    record = _record(logging.CRITICAL, "a bug: please report it", {"exit_code": 1})
    record.exc_info = (type(error), error, error.__traceback__)
    return record


def _record(level: int, message: str, words: dict[str, Any]) -> logging.LogRecord:
    return log.makeRecord(log.name, level, "", 0, "%s", (message,), None, extra=words)
