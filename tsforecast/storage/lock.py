"""One run at a time for each output: a kernel lock on ``.<name>.lock`` beside the target.

The kernel lets go of it when its holder ends, however it ends, so a lock that is left behind locks nothing. The file
stays, and says who held it last, unless it was made for a target that never came to be.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tsforecast.errors import ConfigError, LockedError
from tsforecast.storage.atomic import output_errors

__all__ = ["holder_of", "lock_path", "locked"]

POLL = 0.1  # seconds between two looks


@contextmanager
def locked(
    targets: Iterable[Path],
    *,
    command: str,
    wait: float | None = 0.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Holds the locks of all targets while the block runs; missing folders above them are made.

    Args:
        targets: files or folders that are going to be written; they need not be there.
        command: what the holder does, for whoever finds the lock taken.
        wait: seconds to wait for all of them together; None for ever.
        tell: is given a sentence about the holder before waiting for it.

    Raises:
        LockedError: another run holds one of them; says which, and since when.
        ConfigError: no lock can be made beside a target.
    """
    deadline = None if wait is None else time.monotonic() + wait
    # In one order for all, so that two runs that wait cannot wait for each other.
    paths = sorted({Path(os.path.realpath(target)) for target in targets})
    with ExitStack() as held:
        for path in paths:
            held.enter_context(_one(path, command=command, deadline=deadline, tell=tell))
        yield


def lock_path(target: Path) -> Path:
    """Where the lock of a target is."""
    return target.with_name(f".{target.name}.lock")


def holder_of(target: Path) -> str:
    """Who holds the lock of a target, or held it last, in words."""
    try:
        known: Any = json.loads(lock_path(target).read_text(encoding="utf-8"))
        return f"process {known['pid']} on {known['host']} since {known['since']}, `{known['command']}`"
    except (OSError, ValueError, TypeError, KeyError):  # just taken, and not signed yet
        return "a process that has only begun"


@contextmanager
def _one(
    target: Path, *, command: str, deadline: float | None, tell: Callable[[str], None]
) -> Iterator[None]:
    with output_errors(target):
        made = [path for path in (lock_path(target), *target.parents) if not path.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path(target), fallback_to_soft=False)
        _acquire(lock, target, deadline=deadline, tell=tell)
        try:
            _sign(target, command)
        except OSError:
            with suppress(OSError):
                lock.release()
            raise
    try:
        yield
    except BaseException:
        if not target.exists():
            _unmake(made)
        raise
    finally:
        with suppress(OSError):  # the end of this process lets go of it
            lock.release()


def _unmake(made: list[Path]) -> None:
    """Removes the lock, and the folders above it as far as nothing else is in them, where these were made for it.

    Whoever waits for the lock finds that its file is gone, and makes a new one: filelock looks.
    """
    with suppress(OSError):
        for path in made:
            if path.name.endswith(".lock"):
                path.unlink(missing_ok=True)
            else:
                path.rmdir()


def _acquire(lock: FileLock, target: Path, *, deadline: float | None, tell: Callable[[str], None]) -> None:
    try:
        lock.acquire(timeout=0)
        return
    except Timeout:
        tell(f"{target}: waiting for {holder_of(target)}")
    except NotImplementedError as error:
        raise ConfigError(
            f"{lock_path(target)}: this file system has no locks, which keep two runs apart; write to another disk."
        ) from error
    left = -1.0 if deadline is None else max(deadline - time.monotonic(), 0.0)
    try:
        lock.acquire(timeout=left, poll_interval=POLL)
    except Timeout:
        raise LockedError(
            f"{target}: is being written by {holder_of(target)}; let it end and run again, or wait for it with "
            "--wait."
        ) from None


def _sign(target: Path, command: str) -> None:
    known = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": command,
    }
    lock_path(target).write_text(json.dumps(known) + "\n", encoding="utf-8")
