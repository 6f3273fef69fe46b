"""What each run said, a file for each in one folder: ``<name>-<start in UTC>-<random>.jsonl``.

A file is never shared, so nobody waits for it, and old ones are told by their names, which the clock of the disk does
not change. Every line goes to the kernel whole and at once: a kill leaves whole lines.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["Log", "expire_logs", "new_log"]

STAMP = "%Y%m%dT%H%M%SZ"


class Log:
    """A file that grows by lines.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._size = 0

    def append(self, line: str) -> None:
        """Adds a line.

        Raises:
            OSError: the disk is full or failing; the line is not there, not even in part.
        """
        rest = memoryview(f"{line}\n".encode())
        size = self._size + len(rest)
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise
        self._size = size

    def close(self) -> None:
        """Ends it; some disks tell only now that they are full, and the lines before are what matters."""
        with suppress(OSError):
            os.close(self._handle)


def new_log(folder: Path, *, name: str, started: datetime) -> Log:
    """An empty file of a run's own, in a folder that is made where it is missing.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = started.astimezone(UTC).strftime(STAMP)
    return Log(folder / f"{name}-{stamp}-{secrets.token_hex(4)}.jsonl")


def expire_logs(folder: Path, *, name: str, now: datetime, older_than: timedelta) -> int:
    """Deletes the files of one name that were begun so long before now, and returns how many.

    Files of other names, and what is no regular file, stay.

    Raises:
        OSError: the folder cannot be read, or a file not be deleted.
    """
    ours = re.compile(re.escape(name) + r"-(\d{8}T\d{6}Z)-[0-9a-f]{8}\.jsonl")
    count = 0
    with os.scandir(folder) as entries:
        old = [
            Path(entry.path)
            for entry in entries
            if (match := ours.fullmatch(entry.name))
            and entry.is_file(follow_symlinks=False)
            and _is_older(match[1], now - older_than)
        ]
    for path in old:
        path.unlink(missing_ok=True)
        count += 1
    return count


def _is_older(stamp: str, limit: datetime) -> bool:
    try:
        return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC) < limit
    except ValueError:  # looks like a time and is none
        return False
