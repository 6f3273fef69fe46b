"""How much memory there is, and the refusal of what would not fit, before the system ends the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any, Protocol, Self

from tsforecast.errors import ResourceError
from tsforecast.series.gather import Gathered

__all__ = [
    "Growing",
    "Room",
    "gigabytes",
    "memory_errors",
    "memory_free",
    "memory_size",
    "refuse_beyond_memory",
]

# Bytes that a row takes from reading to the Panel: its series and time, and each column of numbers.
BYTES_PER_ROW, BYTES_PER_NUMBER = 24, 16
# Of those, what is there already when a row has been read.
READ_PER_ROW, READ_PER_NUMBER = 12, 8
ROWS_BETWEEN = 1_000_000  # looks at the memory
UNSURE = 2  # the rest of a file may have this many times fewer rows than its beginning promises


class Growing(Protocol):
    """A table that grows by record batches."""

    @property
    def n_rows(self) -> int: ...

    def add(self, block: Any) -> None: ...

    def discard(self) -> None: ...

    def table(self) -> Any: ...


class Room:
    """Whether what is being read, and the Panel that comes of it, will fit in memory.

    Attributes:
        n_before: rows of the files before this one, which have been read.
    """

    def __init__(self, n_numbers: int, name: str = "", n_before: int = 0) -> None:
        self.n_before = n_before
        self._n_numbers, self._name = n_numbers, name
        self._next_look = ROWS_BETWEEN

    def for_file(self, name: str) -> Self:
        """The room for the next file."""
        room = copy(self)
        room._name, room._next_look = name, ROWS_BETWEEN
        return room

    def gathered(self, schema: Any) -> Growing:
        """A table for what is read, empty yet."""
        return Gathered(schema)

    def refuse_more(self, n_rows: int, stream: Any) -> None:
        """Looks now and then whether the rows there are, and are to come, fit.

        Args:
            n_rows: read so far.
            stream: they come from.

        Raises:
            ResourceError: they do not.
        """
        if n_rows >= self._next_look:
            self._next_look = n_rows + ROWS_BETWEEN
            share = _share_read(stream)
            self.refuse(max(n_rows, int(n_rows / share) // (UNSURE if share < 0.5 else 1)), n_read=n_rows)

    def refuse(self, n_rows: int, *, n_read: int = 0) -> None:
        """Refuses a number of rows of this file that does not fit, ``n_read`` of which are in memory already."""
        wanted = (self.n_before + n_rows) * (BYTES_PER_ROW + BYTES_PER_NUMBER * self._n_numbers)
        taken = (self.n_before + n_read) * (READ_PER_ROW + READ_PER_NUMBER * self._n_numbers)
        free = memory_free()
        if wanted - taken > free:
            raise ResourceError(
                f"{self._name}: about {self.n_before + n_rows:,} rows or more take {gigabytes(wanted)} of memory "
                f"until they are series, and {gigabytes(free + taken)} are there for them; read fewer series or "
                "columns, or use a machine with more memory."
            )


def refuse_beyond_memory(name: str, n_rows: int, bytes_per_row: int) -> None:
    """Refuses to go on where so much more memory is not there.

    Raises:
        ResourceError: it is not.
    """
    wanted, free = n_rows * bytes_per_row, memory_free()
    if wanted > free:
        raise ResourceError(
            f"{name}: to make series of {n_rows:,} rows takes {gigabytes(wanted)} more memory, and "
            f"{gigabytes(free)} are free; read fewer series or columns, or use a machine with more memory."
        )


@contextmanager
def memory_errors(name: str) -> Iterator[None]:
    """Says what did not fit in memory, by the name of its source."""
    try:
        yield
    except MemoryError as error:
        raise ResourceError(
            f"{name}: does not fit in memory; read fewer series or columns, or use a machine with more memory."
        ) from error


def memory_size() -> int:
    """Bytes of memory of the machine, or of the part of it that this process may use."""
    return min(_sizes())


def memory_free() -> int:
    """Bytes of memory that this process may still take."""
    return max(0, min(_free()))


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"


def _sizes() -> list[int]:
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    return sizes + [limit for folder in _groups() if (limit := _number(folder / "memory.max")) is not None]


def _free() -> list[int]:
    free = [_sizes()[0]]
    about = _lines(Path("/proc/meminfo"))
    free += [1024 * int(line.split()[1]) for line in about if line.startswith("MemAvailable:")]
    for folder in _groups():
        limit, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        if limit is not None and used is not None:
            free.append(limit - used + _cached(folder))
    return free + _left_by_limits()


def _left_by_limits() -> list[int]:
    """What ``ulimit`` leaves of address space and data."""
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    fields = dict(line.split(":", 1) for line in _lines(Path("/proc/self/status")) if line.startswith("Vm"))
    limits = {"VmSize": resource.RLIMIT_AS, "VmData": resource.RLIMIT_DATA}
    left = []
    for name, limit in limits.items():
        soft = resource.getrlimit(limit)[0]
        if soft != resource.RLIM_INFINITY and name in fields:
            left.append(soft - 1024 * int(fields[name].split()[0]))
    return left


def _groups() -> list[Path]:
    """The control groups the process is in, up to the root."""
    top = Path("/sys/fs/cgroup")
    for line in _lines(Path("/proc/self/cgroup")):
        if line.startswith("0::"):
            place = top / line[3:].strip().lstrip("/")
            return [folder for folder in (place, *place.parents) if folder.is_relative_to(top)]
    return [top]


def _cached(folder: Path) -> int:
    """Bytes of files in memory that the system gives up when others need them."""
    fields = dict(line.split() for line in _lines(folder / "memory.stat"))
    return int(fields.get("inactive_file", 0)) + int(fields.get("active_file", 0))


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):  # not there, or `max`
        return int(path.read_text(encoding="ascii"))
    return None


def _lines(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text(encoding="utf-8").splitlines()
    return []


def _share_read(stream: Any) -> float:
    """Which part of a stream has been read; 1 where it does not know its length."""
    with suppress(AttributeError, OSError, ValueError):
        return float(max(stream.tell() / stream.size(), 1e-6))
    return 1.0
