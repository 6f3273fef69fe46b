"""One writer at a time for a run folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tsforecast.errors import LockedError
from tsforecast.storage.atomic import output_errors

__all__ = ["sole_writer"]


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Holds the kernel's lock on a run folder while the block runs; that of a killed holder is free.

    Raises:
        LockedError: another run holds it.
    """
    target = Path(os.path.realpath(path))
    with output_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise LockedError(f"{path}: another run writes it now; run again when that is done.") from error
    try:
        yield
    finally:
        lock.release()
