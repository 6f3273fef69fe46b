"""A table too large for memory, on disk while it is being made and written elsewhere.

It grows part by part in an Arrow file and is then mapped into memory, so that the kernel keeps of it what fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tsforecast.storage.atomic import output_errors, staging_folder

__all__ = ["Spool", "spooled"]


class Spool:
    """A table that grows; all parts have the schema of the first."""

    def __init__(self, path: Path, name: Path) -> None:
        self._path, self._name = path, name
        self._writer: Any = None

    def add(self, part: pa.Table) -> None:
        """Puts rows behind those that are there.

        Raises:
            ResourceError: the disk is full.
        """
        with output_errors(self._name):
            if self._writer is None:
                self._writer = pa.ipc.new_file(self._path, part.schema)
            self._writer.write_table(part)

    def table(self) -> pa.Table | None:
        """All rows, mapped and not read; None where there are none. Nothing can be added afterwards."""
        if self._writer is None:
            return None
        with output_errors(self._name):
            self.close()
            return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def close(self) -> None:
        """Finishes the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def spooled(beside: Path) -> Iterator[Spool]:
    """A spool in a dot-named folder beside a file, removed when the block ends.

    Raises:
        ConfigError: nothing can be written there.
        ResourceError: the disk is full.
    """
    target = beside.with_name(f"{beside.name}.spool")
    with staging_folder(target) as folder:
        yield Spool(folder / "rows.arrow", beside)
