"""Disks that fail, fill up or need no waiting for: the faults that tests put under the storage modules."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

__all__ = ["FailingCall", "failing", "full_disk", "ignore", "refuse_exchange"]


class FailingCall:
    """Stands in for a function and fails at its n-th call."""

    def __init__(self, function: Callable[..., Any], nth: int, code: int) -> None:
        self.function, self.left, self.code = function, nth, code

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            # As the real ones: calls by name say which file, calls by descriptor do not.
            named = [os.fspath(path) for path in args[:1] if isinstance(path, (str, os.PathLike))]
            raise OSError(self.code, os.strerror(self.code), *named)
        return self.function(*args, **kwargs)

    @property
    def failed(self) -> bool:
        return self.left <= 0


@contextmanager
def failing(module: Any, name: str, *, nth: int, code: int = errno.ENOSPC) -> Iterator[FailingCall]:
    """Within the block, the n-th call of ``module.name`` fails; the stand-in knows whether it came to that."""
    call = FailingCall(getattr(module, name), nth, code)
    with patch.object(module, name, call):
        yield call


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Within the block, no file grows beyond ``size`` bytes: a real failure of a real write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def ignore(fd: object) -> None:
    """Stands in for fsync, which matters to a power cut only and is slow."""


def refuse_exchange(first: object, second: object) -> None:
    """Stands in for the exchange of two folders, as on a file system that has none."""
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
