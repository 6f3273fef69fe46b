"""Every forecast that was issued, kept so that it can be scored when the actual values have come.

    <archive>/job=<name>/as_of=<time>/<run key>.parquet

One run key is one file, written whole or not at all: the same key again replaces it by the same bytes, jobs that run
at the same time never share a file, and forgetting old forecasts removes whole files. Names are percent-encoded, so
that any tool which knows folders of this form (pyarrow, DuckDB, Spark) reads the archive as one table. Each file says
in its metadata, under the key ``tsforecast``, what was issued; it holds no time of the clock.

The columns are those of the forecast table, and ``scale``, ``scale_rmse`` and ``seasonal_naive`` of each row, so that
scoring needs no history; ``run_key`` and ``model_hash`` are added, for those who query the archive themselves.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from tsforecast.errors import ConfigError, DataError, ResourceError
from tsforecast.storage.atomic import output_errors, replacing
from tsforecast.storage.spool import tables_of

__all__ = [
    "FORMAT_VERSION",
    "SCORING_COLUMNS",
    "Entry",
    "Issued",
    "Survey",
    "append",
    "expire",
    "has",
    "instant",
    "issued",
    "read",
    "read_entry",
    "survey",
]

log = logging.getLogger(__name__)

Table: TypeAlias = Any  # pyarrow ships no types

FORMAT_VERSION = 1

# Key of the file's metadata under which stands what was issued.
METADATA = b"tsforecast"
KEY = re.compile(r"[0-9a-f]{8,64}")
# A file name may have 255 bytes, and `job=` stands before the name.
LONGEST_JOB = 240
# Rows that are read at once where only some of the series are wanted.
ROW_GROUP = 65_536

# What scoring needs beside the forecast table, in this order after it.
SCORING_COLUMNS = ("scale", "scale_rmse", "seasonal_naive")
_KINDS = {
    "unique_id": pa.types.is_string,
    "ds": lambda kind: pa.types.is_timestamp(kind) or pa.types.is_int64(kind),
    "cutoff": lambda kind: pa.types.is_timestamp(kind) or pa.types.is_int64(kind),
    "lead_time": pa.types.is_int64,
    "y_hat": pa.types.is_float64,
    **dict.fromkeys(SCORING_COLUMNS, pa.types.is_float64),
}
_READ_ERRORS = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Issued:
    """What is known about one set of forecasts.

    Attributes:
        job: name of the job that issued it.
        run_key: hash of everything that decides the forecasts, hexadecimal.
        model_hash: of the model that made them.
        as_of: newest time whose values were known, as text; a whole number where time is one.
        metadata: what else the job recorded, plain values that JSON can hold.
        turn: 1 for the first set of its job and ``as_of``, 2 for the one that came next; set by `append`.
    """

    job: str
    run_key: str
    model_hash: str
    as_of: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive whose end was read: what it holds, its path, columns and number of rows."""

    issued: Issued
    path: Path
    columns: tuple[str, ...]
    n_rows: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What an archive holds.

    Attributes:
        entries: its sets of forecasts, oldest ``as_of`` first, and by their turn where it is the same.
        problems: what is wrong with each Parquet file that could not be read as one of ours, with its path.
        strangers: other files, which nothing reads.
    """

    entries: tuple[Entry, ...]
    problems: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()


def append(archive: Path, issued: Issued, table: Table) -> Path:
    """Puts one set of forecasts into the archive, whole or not at all, and returns its file.

    The same run key again replaces the file, with the same bytes where the forecasts are the same.

    Args:
        archive: the folder; made where it is missing.
        issued: what is known about the forecasts.
        table: the forecast table and ``SCORING_COLUMNS``, sorted by series, in memory or a ``Spool``; see
            ``workflows.archived``.

    Raises:
        ConfigError: the job's name is empty or too long, or nothing can be written there.
        ResourceError: the disk is full or failing; what was there before is unchanged.
        ValueError: the table or the run key has another form.
    """
    if not KEY.fullmatch(issued.run_key):
        raise ValueError(f"run_key: {issued.run_key!r} is not a hexadecimal hash")
    if fault := _fault_of(table.schema):
        raise ValueError(fault)
    folder = _folder_of(archive, issued.job, issued.as_of)
    path = folder / f"{issued.run_key}.parquet"
    with output_errors(archive):
        folder.mkdir(parents=True, exist_ok=True)
        turn = _turn(folder, path)
    document = _document(issued, turn=turn)
    schema = _with_keys(table.schema.empty_table(), issued).schema
    schema = schema.with_metadata({**(table.schema.metadata or {}), METADATA: document})
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as file,
    ):
        for part in tables_of(table, ROW_GROUP):
            file.write_table(_with_keys(part, issued), row_group_size=ROW_GROUP)
    return path


def has(archive: Path, job: str, run_key: str) -> bool:
    """Whether the archive holds a readable file of this run key."""
    of_job = archive / f"job={_quoted(job)}"
    paths = of_job.glob(f"as_of=*/{run_key}.parquet") if KEY.fullmatch(run_key) else []
    return any(not isinstance(_entry(path), str) for path in paths)


def issued(archive: Path, *, job: str | None = None) -> list[Issued]:
    """The sets of forecasts of an archive, oldest ``as_of`` first; of a job, where one is given.

    Files that cannot be read are named in a warning and left out.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    return [entry.issued for entry in _warned(survey(archive, job=job))]


def read(
    archive: Path, *, job: str | None = None, since: str | None = None, until: str | None = None
) -> Iterator[tuple[Issued, Table]]:
    """Sets of forecasts one after the other, oldest first, so that only one is in memory.

    Files that cannot be read are named in a warning and left out.

    Args:
        archive: the folder.
        job: only those of this job.
        since: only those whose ``as_of`` is this or later.
        until: only those whose ``as_of`` is this or earlier.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    for entry in _warned(survey(archive, job=job)):
        moment = instant(entry.issued.as_of)
        if (since is None or moment >= instant(since)) and (until is None or moment <= instant(until)):
            try:
                yield entry.issued, read_entry(entry)
            except DataError as error:
                log.warning("%s", error)


def survey(archive: Path, *, job: str | None = None) -> Survey:
    """What the archive holds, and what in it is not of ours; only the ends of the files are read.

    Args:
        archive: the folder.
        job: only what belongs to this job.

    Raises:
        DataError: there is no such folder, or it cannot be listed.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    strangers: list[str] = []
    for path in _files(archive, job):
        if path.suffix != ".parquet":
            strangers.append(str(path))
            continue
        found = _entry(path)
        if isinstance(found, str):
            problems.append(f"{path}: {found}")
        elif job is None or found.issued.job == job:
            entries.append(found)
    entries.sort(key=lambda entry: (instant(entry.issued.as_of), entry.issued.turn, entry.issued.run_key))
    return Survey(tuple(entries), tuple(problems), tuple(strangers))


def read_entry(
    entry: Entry,
    *,
    columns: Sequence[str] | None = None,
    first: str | None = None,
    before: str | None = None,
) -> Table:
    """The table of one set of forecasts.

    Args:
        entry: from `survey`.
        columns: the columns wanted; None takes all.
        first: only series whose name is this or comes after it, in the order of code points.
        before: only series whose name comes before this.

    Raises:
        DataError: the file is gone or damaged; names it.
        ResourceError: it does not fit into memory.
    """
    bounds = [("unique_id", ">=", first)] if first is not None else []
    bounds += [("unique_id", "<", before)] if before is not None else []
    try:
        # Not by its path: a folder's name would become columns, and a link would be followed.
        with open(_opened(entry.path), "rb") as file:
            return pq.read_table(
                file,
                columns=None if columns is None else list(columns),
                filters=bounds or None,
                page_checksum_verification=True,
            )
    except MemoryError as error:  # which pyarrow's is, beside being one of its own
        raise ResourceError(f"{entry.path}: does not fit into memory; use a machine with more.") from error
    except _READ_ERRORS as error:
        raise DataError(f"{entry.path}: {_unreadable(error)}") from error


def expire(archive: Path, *, job: str, older_than: str) -> int:
    """Removes the forecasts of a job whose ``as_of`` lies before a time, and returns how many sets these were.

    What is not a set of forecasts of this job stays.

    Args:
        archive: the folder; one that is missing holds nothing.
        job: whose forecasts are meant.
        older_than: the first ``as_of`` that is kept.

    Raises:
        ConfigError: a file cannot be removed.
    """
    limit = instant(older_than)
    of_job = archive / f"job={_quoted(job)}"
    n_removed = 0
    with output_errors(archive):
        for folder in sorted(of_job.glob("as_of=*")):
            if folder.is_symlink() or instant(unquote(folder.name.removeprefix("as_of="))) >= limit:
                continue
            for path in sorted(folder.glob("*.parquet")):
                if KEY.fullmatch(path.stem) and not path.is_symlink():
                    path.unlink()
                    n_removed += 1
            with suppress(OSError):  # something else lies in it, or a writer is about to
                folder.rmdir()
        with suppress(OSError):
            of_job.rmdir()
    return n_removed


def instant(text: str) -> tuple[int, float | str]:
    """What a time as text is sorted by: numbers, then times (those without a zone as UTC), then other text."""
    with suppress(ValueError):
        return 0, int(text)
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return 1, (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return 2, text


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogatepass")


def _folder_of(archive: Path, job: str, as_of: str) -> Path:
    name = _quoted(job)
    if not name or len(name) > LONGEST_JOB:
        raise ConfigError(
            f"job: {job[:40]!r} is no name for a folder of the archive (from 1 to {LONGEST_JOB} letters, those that "
            "are not a to z or a digit count three); choose another name."
        )
    return archive / f"job={name}" / f"as_of={_quoted(as_of)}"


def _document(issued: Issued, *, turn: int) -> bytes:
    # Keys in one order, so that the same forecasts are the same bytes; ASCII, as names may have no UTF-8.
    document = {
        "format_version": FORMAT_VERSION,
        "job": issued.job,
        "run_key": issued.run_key,
        "model_hash": issued.model_hash,
        "as_of": issued.as_of,
        "turn": turn,
        "metadata": dict(issued.metadata),
    }
    return json.dumps(document, sort_keys=True, allow_nan=False).encode("ascii")


def _turn(folder: Path, path: Path) -> int:
    """Which set of its job and ``as_of`` a file will be: the one it is, or the next."""
    there = [one for one in map(_entry, sorted(folder.glob("*.parquet"))) if isinstance(one, Entry)]
    for one in there:
        if one.path == path:
            return one.issued.turn
    return max((one.issued.turn for one in there), default=0) + 1


def _with_keys(table: Table, issued: Issued) -> Table:
    table = _with_constant(table, "run_key", issued.run_key)
    return _with_constant(table, "model_hash", issued.model_hash)


def _with_constant(table: Table, name: str, value: str) -> Table:
    """The table with a column of one text, which takes a byte a row."""
    index = pa.nulls(table.num_rows, pa.int8()).fill_null(0)
    column = pa.DictionaryArray.from_arrays(index, pa.array([value], pa.string()))
    table = table.drop_columns([name]) if name in table.column_names else table
    return table.append_column(name, column)


def _files(archive: Path, job: str | None) -> Iterator[Path]:
    """The files below an archive, those with dot names left out; links are named, not followed."""
    top = archive if job is None else archive / f"job={_quoted(job)}"
    if not archive.is_dir():
        kind = "is not a folder" if archive.exists() else "no such archive"
        raise DataError(f"{archive}: {kind}; give the folder that `archive:` of the jobs file names.")
    if not top.is_dir():
        return

    def refuse(error: OSError) -> None:
        raise DataError(
            f"{error.filename}: cannot be listed ({error.strerror}); mend its permissions."
        ) from error

    for folder, folders, names in os.walk(top, onerror=refuse):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted([*names, *links]) if not name.startswith("."))


def _entry(path: Path) -> Entry | str:
    """What a file holds, or what is wrong with it."""
    try:
        with open(_opened(path), "rb") as file:
            footer = pq.read_metadata(file)
            schema = footer.schema.to_arrow_schema()
        return _checked(path, schema, (footer.metadata or {}).get(METADATA), footer.num_rows)
    except _READ_ERRORS as error:
        return _unreadable(error)


def _opened(path: Path) -> int:
    """A handle of a regular file: never through a link, and never waiting for a pipe."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("is not a regular file")
    return handle


def _checked(path: Path, schema: Any, document: bytes | None, n_rows: int) -> Entry | str:
    if document is None:
        return "was not written by tsforecast (its metadata says nothing of it); move it out of the archive."
    found = json.loads(document)
    if (version := found["format_version"]) > FORMAT_VERSION:
        return f"has format version {version}, and this tsforecast reads {FORMAT_VERSION}; upgrade it."
    if fault := _fault_of(schema):
        return f"{fault}; remove it, and issue the forecast again."
    names = ("job", "run_key", "model_hash", "as_of")
    if not all(isinstance(found[name], str) for name in names) or not isinstance(found["metadata"], dict):
        return "its metadata has another form than ours; remove it, and issue the forecast again."
    what = Issued(
        **{name: found[name] for name in names}, metadata=found["metadata"], turn=int(found["turn"])
    )
    place = Path(f"job={_quoted(what.job)}", f"as_of={_quoted(what.as_of)}", f"{what.run_key}.parquet")
    if path.parts[-3:] != place.parts:
        return f"belongs to {str(place)!r} by its metadata; move it back, or remove it."
    return Entry(what, path, tuple(schema.names), n_rows)


def _fault_of(schema: Any) -> str | None:
    """What is wrong with the columns, if anything is."""
    for name, is_right in _KINDS.items():
        if name not in schema.names:
            return f"has no column {name!r}"
        kind = schema.field(name).type
        if not is_right(kind) and not (name == "unique_id" and pa.types.is_large_string(kind)):
            return f"column {name!r} has type {kind}"
    return None


def _unreadable(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    return f"cannot be read ({reason}); remove it, and issue the forecast again."


def _warned(found: Survey) -> tuple[Entry, ...]:
    for problem in found.problems:
        log.warning("%s", problem)
    return found.entries
