"""A table too large for memory, on disk while it is being made and written elsewhere.

It grows part by part in an Arrow file, and is read from there part by part as often as it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tsforecast.storage.atomic import output_errors, staging_folder

__all__ = ["Spool", "spooled", "tables_of"]


class Spool:
    """A table that grows; all parts have the schema of the first.

    Attributes:
        num_rows: number of rows so far.
        schema: of the table; None where there are no rows.
    """

    def __init__(self, path: Path, name: Path) -> None:
        self._path, self._name = path, name
        self._writer: Any = None
        self.num_rows = 0
        self.schema: Any = None

    def add(self, part: pa.Table) -> None:
        """Puts rows behind those that are there.

        Raises:
            ResourceError: the disk is full.
        """
        with output_errors(self._name):
            if self._writer is None:
                self._writer, self.schema = pa.ipc.new_file(self._path, part.schema), part.schema
            self._writer.write_table(part)
            self.num_rows += part.num_rows

    def tables(self, max_rows: int) -> Iterator[pa.Table]:
        """All rows in their order, so many at a time in memory. Nothing can be added afterwards.

        Args:
            max_rows: of each table; all but the last have so many.
        """
        if self._writer is None:
            return
        with output_errors(self._name):
            self._writer.close()
        waiting: list[pa.Table] = []
        for batch in self._batches():
            waiting.append(pa.Table.from_batches([batch]))
            while sum(one.num_rows for one in waiting) >= max_rows:
                table = pa.concat_tables(waiting)
                yield table.slice(0, max_rows).combine_chunks()
                waiting = [table.slice(max_rows)]
        if any(one.num_rows for one in waiting):
            yield pa.concat_tables(waiting).combine_chunks()

    def _batches(self) -> Iterator[Any]:
        # Read, not mapped: the pages of a mapped file would stay in memory.
        with pa.OSFile(str(self._path)) as file:
            reader = pa.ipc.open_file(file)
            for place in range(reader.num_record_batches):
                yield reader.get_batch(place)


def tables_of(rows: Any, max_rows: int) -> Iterator[pa.Table]:
    """The rows of a spool, or of a table in memory, so many at a time.

    Args:
        rows: a ``Spool`` or a pyarrow table.
        max_rows: of each table.
    """
    if isinstance(rows, Spool):
        yield from rows.tables(max_rows)
    else:
        for start in range(0, max(rows.num_rows, 1), max_rows):
            yield rows.slice(start, max_rows)


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
