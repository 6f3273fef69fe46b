"""Where tables come from: files, folders and patterns, the standard input, remote files, a database query.

A source gives its parts in order, one for each file, with what is needed to say where in it a fault is. The
tables at the bottom name the sources and the file formats: a new one is a function and a line there.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from tsforecast.config.location import REMOTES, STDIN, Kind, Resolved, kind_of, resolved, without_secrets
from tsforecast.config.schema import DataConfig
from tsforecast.errors import ConfigError, DataError, ResourceError, TsforecastError
from tsforecast.series.columns import Columns, columns_of, listed, refuse_absent
from tsforecast.series.csvfile import CsvFile, Opener, line_of, open_csv, read_columns
from tsforecast.series.foreign import BEGINNING, BZIP2
from tsforecast.series.memory import Room, gigabytes, memory_free, memory_size
from tsforecast.series.pieces import DiskRoom, Pieces, Spill
from tsforecast.series.timeaxis import INTEGER

__all__ = [
    "File",
    "Part",
    "csv_files",
    "is_read",
    "joined_tables",
    "local_files",
    "name_of",
    "open_file",
    "opener_of",
    "place_in",
    "read_parts",
    "text_parts",
    "without_dictionaries",
]

CHUNK = 1 << 20
# What is compressed may become larger than this share of the memory where it is no more times its size.
MEMORY_SHARE, MOST_TIMES_LARGER = 0.25, 500
# Bytes of what comes through a pipe that are kept in memory, and the share of the space for temporary files that the
# rest may take.
KEPT, SHARE_OF_SPACE = 1 << 26, 0.5
ROWS_AT_ONCE = 1 << 17  # of a Parquet file
# Ends of the names of compressed files, and what pyarrow calls the compression.
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
SECONDS_OF_SILENCE = 60.0  # of a web server
SECONDS_OF_A_BLOCK = 600.0  # of some megabytes
READINGS = 2  # of a file that changes meanwhile
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
MAGIC |= dict.fromkeys(BZIP2, "bz2")
WILDCARDS = frozenset("*?[")
TEXT_ENDINGS = (".csv", ".tsv")
PARQUET = ".parquet"

Table: TypeAlias = Any  # a pyarrow table; pyarrow ships no types


@dataclass(frozen=True, slots=True)
class File:
    """One file of a source.

    Attributes:
        name: for messages.
        path: what its ending is taken from.
        opener: gives the bytes from the start, decompressed.
        stamp: changes when the file does.
    """

    name: str
    path: str
    opener: Opener
    stamp: Callable[[], object] = lambda: None

    @property
    def is_parquet(self) -> bool:
        return self.path.lower().endswith(PARQUET)


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one file or query.

    Attributes:
        name: for messages.
        table: the columns that are read, as they came; a ``Pieces`` where memory is not for them.
        csv: the file, where rows have lines.
    """

    name: str
    table: Table
    csv: CsvFile | None = None

    def place(self, row: int) -> str:
        """Where a row stands, counted from 0."""
        return f"row {row + 1}" if self.csv is None else f"line {line_of(self.csv, row)}"


Source: TypeAlias = Callable[[str, DataConfig, Spill | None], Sequence[Part]]
Format: TypeAlias = Callable[[Sequence[File], DataConfig, Spill | None], Sequence[Part]]


def read_parts(path: str, data: DataConfig, spill: Spill | None = None) -> Sequence[Part]:
    """The parts of a source in order, each with the columns the config names and of the same types.

    Args:
        path: what ``data.path`` may be.
        data: names of the columns, form of the files, and the query of a database.
        spill: where rows go that are too many for memory, if the names of series stand in them; None for no such
            place.

    Raises:
        DataError: there is nothing to read, or it cannot be read.
        ConfigError: what reads it is not installed, or the environment lacks a variable of the URL.
    """
    try:
        source = SOURCES[kind_of(path)]
    except ValueError as error:
        raise DataError(f"{error}.", code="F101") from error
    spill = spill if columns_of(data).id else None
    parts = _settled(source(path, data, spill), spill)
    if not any(part.table.num_rows for part in parts):
        found = "a header and no row below it" if parts[0].csv else "no row"
        raise DataError(f"{name_of(path)}: there is {found}; expected at least one row.", code="F102")
    return parts


def text_parts(files: Sequence[File], data: DataConfig, spill: Spill | None = None) -> Sequence[Part]:
    """The parts of CSV files with every cell as text.

    Raises:
        DataError: as :func:`read_parts`, for what is wrong with whole rows.
    """
    columns, parts = columns_of(data), []
    spill = spill if columns.id else None
    room = _room(data, spill)
    for csv in csv_files(files, data):
        table = read_columns(csv, text=[*columns.text, *columns.numbers], numbers=(), room=room)
        room.n_before += table.num_rows
        parts.append(Part(csv.name, table, csv))
    return _settled(parts, spill)


def _settled(parts: Sequence[Part], spill: Spill | None) -> Sequence[Part]:
    """As tables in memory where nothing had to go to the disk."""
    if spill is None or spill.is_used:
        return parts
    return [replace(part, table=_in_memory(part.table)) for part in parts]


def _in_memory(table: Table) -> Table:
    return joined_tables(list(table.tables())) if isinstance(table, Pieces) else table


def _room(data: DataConfig, spill: Spill | None) -> Room:
    n_numbers = len(columns_of(data).numbers)
    return Room(n_numbers) if spill is None else DiskRoom(n_numbers, spill)


def place_in(path: str, data: DataConfig, row: int) -> str:
    """Where a row of a source stands: file and line where it has them, else its number.

    Args:
        path: as given to :func:`read_parts`, or what a table is called that came from elsewhere.
        data: as given to :func:`read_parts`.
        row: counted from 0 over all files.
    """
    with suppress(DataError, ValueError, pa.ArrowException, OSError):
        files = local_files(path) if kind_of(path) == "files" else []
        rest = row
        for file in files:
            last = file is files[-1]
            n_rows = 0 if last else _n_rows(file, data)
            if last or rest < n_rows:
                csv = None if file.is_parquet else open_file(file, data)
                where = f"{file.name}, " if len(files) > 1 else ""
                return where + Part(file.name, None, csv).place(rest)
            rest -= n_rows
    return f"row {row + 1}"


def name_of(path: str) -> str:
    """What a source is called in messages, without the secrets of a URL."""
    return "standard input" if path == STDIN else without_secrets(path)


def opener_of(path: str) -> Opener:
    """What opens a file from its start, decompressed by its ending; ``-`` is the standard input, kept for this.

    Raises:
        DataError: there is no such regular file, or it may not be read.
    """
    if path == STDIN:
        return _opener_of_stream(_stdin(), name_of(path))
    name = name_of(path)
    try:
        status = Path(path).stat()
        mode = status.st_mode
        if stat.S_ISREG(mode):
            pa.input_stream(path, compression=None).close()
            codec = CODECS.get(Path(path).suffix.lower())
            return _bounded(lambda: pa.input_stream(path, compression=None), codec, name, status.st_size)
    except OSError as error:
        target = f", which leads to {str(Path(path).readlink())!r}" if os.path.islink(path) else ""  # noqa: PTH114
        raise DataError(
            f"{name}: {_reason(error)}{target}; check the path and the rights to read it.", code="F101"
        ) from error
    found = "a folder" if stat.S_ISDIR(mode) else "no regular file"
    raise DataError(
        f"{name}: this is {found}; name a CSV or Parquet file, or pipe the data in and name it -.",
        code="F101",
    )


def is_read(path: str, output: Path) -> bool:
    """Whether an output would replace a file that the source reads."""
    with suppress(DataError, ValueError):  # which are said when it is read
        if kind_of(path) == "files":
            return any(Path(found).resolve() == output.resolve() for found in _paths(path))
    return False


def open_file(file: File, data: DataConfig) -> CsvFile:
    """A CSV file with its layout.

    Raises:
        DataError: empty, not text in this encoding, or with a repeated column name.
    """
    columns = columns_of(data)
    return open_csv(file.name, file.opener, data.format, wanted=list(columns.keys), numbers=columns.numbers)


def local_files(path: str) -> list[File]:
    """The files that a path, a folder or a pattern names, in the order of their names.

    Raises:
        DataError: there is none, or one that cannot be read.
    """
    return [
        File(name=found, path=found, opener=opener_of(found), stamp=lambda found=found: _stamp(found))  # type: ignore[misc]
        for found in _paths(path)
    ]


def _paths(path: str) -> list[str]:
    """Hidden files and what is no data are passed over, unless the pattern spells out the ending."""
    place = Path(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        found, any_ending = list(place.iterdir()), False
    elif WILDCARDS & {*path} and not os.path.lexists(path):
        found, any_ending = _matching(place), bool(place.suffix) and not WILDCARDS & {*place.suffix}
    else:
        return [path]
    data = sorted(
        str(one) for one in found if not one.is_dir() and (any_ending or _has_data_ending(one.name))
    )
    if not data:
        endings = ", ".join((*TEXT_ENDINGS, PARQUET))
        raise DataError(
            f"{path}: there is no CSV or Parquet file here; expected names that end in {endings} "
            f"(CSV also compressed, with {', '.join(CODECS)} behind it).",
            code="F101",
        )
    return data


def _matching(pattern: Path) -> list[Path]:
    parts = pattern.parts
    first = next(k for k, part in enumerate(parts) if WILDCARDS & {*part})
    folder = Path(*parts[:first])
    try:
        found = folder.glob(str(Path(*parts[first:])))
        return [one for one in found if not any(map(_is_hidden, one.relative_to(folder).parts))]
    except ValueError as error:  # ** beside other letters
        raise DataError(
            f"{pattern}: is no pattern: {error}; write e.g. sales/**/*.csv.", code="F101"
        ) from error


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))  # _SUCCESS and the like stand beside the files of a data lake


def _has_data_ending(name: str) -> bool:
    name = name.lower()
    text = Path(name).stem if Path(name).suffix in CODECS else name
    return not _is_hidden(name) and (text.endswith(TEXT_ENDINGS) or name.endswith(PARQUET))


def _stamp(path: str) -> object:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _read_local(path: str, data: DataConfig, spill: Spill | None) -> Sequence[Part]:
    """Files as they were at one moment: those that change while they are read are read once more."""
    for _ in range(READINGS):
        files = local_files(path)
        before = [file.stamp() for file in files]
        try:
            parts = _read_files(files, data, spill)
        except DataError:  # which may be no fault of the file, but one half of a row that is being written
            if not (changed := _changed(files, before)):
                raise
        else:
            if not (changed := _changed(files, before)):
                return parts
            _discard(parts)
    raise DataError(
        f"{changed[0]}: changed while it was read, {READINGS} times; wait until it is written, or give a copy.",
        code="F101",
    )


def _changed(files: Sequence[File], before: Sequence[object]) -> list[str]:
    return [file.name for file, stamp in zip(files, before, strict=True) if file.stamp() != stamp]


def _discard(parts: Sequence[Part]) -> None:
    """Removes what the disk has of parts that nobody wants."""
    for part in parts:
        if isinstance(part.table, Pieces):
            part.table.discard()


def _read_stdin(path: str, data: DataConfig, spill: Spill | None) -> Sequence[Part]:
    return _read_csv([File(name=name_of(path), path=path, opener=opener_of(path))], data, spill)


def _read_remote(path: str, data: DataConfig, spill: Spill | None) -> Sequence[Part]:
    """Remote files, each fetched whole before it is looked at: a connection may break at any time."""
    name = name_of(path)
    scheme = path.partition("://")[0].lower()
    try:
        location = resolved(path)
    except ValueError as error:
        raise ConfigError(f"data.path: {name}: {error}.") from error
    try:
        import fsspec
    except ImportError as error:
        raise ConfigError(_advice(name, "fsspec", REMOTES[scheme])) from error
    # Whatever a back-end raises may hold the URL with its secrets, so that it is no cause to show.
    try:
        system, start = fsspec.core.url_to_fs(location.url, **_options(scheme))
        found = sorted(system.glob(start)) if "*" in start else [start]
    except ImportError:
        raise ConfigError(_advice(name, "fsspec", REMOTES[scheme])) from None
    except (TsforecastError, MemoryError):  # a signal, for one
        raise
    except Exception as error:
        raise DataError(_unreadable(name, location, error), code="F101") from None
    if not found:
        raise DataError(f"{name}: no file fits this pattern; check it.", code="F101")
    return _read_files([_fetched(system, one, name, location) for one in found], data, spill)


def _fetched(system: Any, path: str, name: str, location: Resolved) -> File:
    name = name if "*" not in name else location.scrubbed(system.unstrip_protocol(path))
    try:
        with system.open(path, "rb") as stream:
            opener = _opener_of_stream(stream, name)
    except (TsforecastError, MemoryError):
        raise
    except Exception as error:
        raise DataError(_unreadable(name, location, error), code="F101") from None
    plain = path.partition("?")[0] if "://" in path else path
    return File(name, plain, opener)


def _options(scheme: str) -> dict[str, Any]:
    """Time limits where the back-end has none that would end a stalled transfer."""
    if scheme not in ("http", "https"):
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=SECONDS_OF_A_BLOCK, sock_connect=30, sock_read=SECONDS_OF_SILENCE)
    return {"client_kwargs": {"timeout": timeout}}


def _advice(name: str, *packages: str) -> str:
    missing = " ".join(dict.fromkeys(packages))
    return f"data.path: {name} is read with a package that is not installed: pip install {missing}."


def _unreadable(name: str, location: Resolved, error: Exception) -> str:
    found = location.scrubbed(str(error)).strip().rstrip(".") or type(error).__name__
    return f"{name}: cannot be read: {found}; check the address and the rights to read it."


def _read_query(path: str, data: DataConfig, spill: Spill | None) -> Sequence[Part]:
    from tsforecast.series.database import query_table  # SQLAlchemy is an extra

    return [Part(name_of(path), query_table(path, data, spill))]


def _read_files(files: Sequence[File], data: DataConfig, spill: Spill | None) -> Sequence[Part]:
    """Files of one format with the same columns."""
    formats = [PARQUET if file.is_parquet else "" for file in files]
    other = next((k for k, kind in enumerate(formats) if kind != formats[0]), None)
    if other is not None:
        raise DataError(
            f"{files[other].name}: stands beside {files[0].name}; expected files of one format, "
            "CSV or Parquet: name one with a pattern such as sales/*.csv.",
            code="F112",
        )
    return FORMATS[formats[0]](files, data, spill)


def _read_csv(files: Sequence[File], data: DataConfig, spill: Spill | None) -> Sequence[Part]:
    columns, opened = columns_of(data), csv_files(files, data)
    is_date = data.freq != INTEGER and data.format.time_format == "auto" and not data.format.unit
    moments = columns.time[0] if is_date and len(columns.time) == 1 else None
    parts = _csv_parts(opened, columns, _room(data, spill), moments=moments)
    if moments and len({part.table.schema.field(moments).type for part in parts}) > 1:
        _discard(parts)
        parts = _csv_parts(opened, columns, _room(data, spill), moments=None)
    return parts


def csv_files(files: Sequence[File], data: DataConfig) -> list[CsvFile]:
    """CSV files with one layout for all.

    Raises:
        DataError: one cannot be opened, a column is absent, or they are laid out otherwise.
    """
    opened = [open_file(file, data) for file in files]
    refuse_absent(opened[0].name, opened[0].columns, columns_of(data))
    for other in opened[1:]:
        _refuse_other_layout(opened[0], other)
    # Only some of the files may hold a number with a decimal mark.
    decimal = "," if any(csv.decimal == "," for csv in opened) else "."
    return [replace(csv, decimal=decimal) for csv in opened]


def _csv_parts(files: Sequence[CsvFile], columns: Columns, room: Room, *, moments: str | None) -> list[Part]:
    parts = []
    for csv in files:
        kinds = {"text": columns.text, "numbers": columns.numbers}
        table = read_columns(csv, **kinds, room=room, moments=moments)
        room.n_before += table.num_rows
        parts.append(Part(csv.name, table, csv))
    return parts


def _refuse_other_layout(first: CsvFile, other: CsvFile) -> None:
    _refuse_other_columns(first.name, first.columns, other.name, other.columns)
    if other.separator != first.separator:
        raise DataError(
            f"{other.name}: the columns are separated by {other.separator!r}, and by {first.separator!r} "
            f"in {first.name}; write all files the same way.",
            code="F112",
        )


def _refuse_other_columns(
    first_name: str, first: Sequence[str], other_name: str, other: Sequence[str]
) -> None:
    if sorted(first) == sorted(other):
        return
    missing = [name for name in first if name not in other]
    added = [name for name in other if name not in first]
    found = [f"there is no column {listed(missing)}"] if missing else []
    found += [f"there is a further column {listed(added)}"] if added else []
    raise DataError(
        f"{other_name}: {' and '.join(found) or 'a column is repeated'}; "
        f"expected the columns of {first_name}, {listed(list(first))}.",
        code="F112",
    )


def _read_parquet(files: Sequence[File], data: DataConfig, spill: Spill | None) -> Sequence[Part]:
    parts: list[Part] = []
    names: list[str] = []
    room = _room(data, spill)
    for file in files:
        found, table = _parquet_table(file, data, room.for_file(file.name))
        room.n_before += table.num_rows
        if parts:
            _refuse_other_columns(files[0].name, names, file.name, found)
            _refuse_other_types(parts[0], Part(file.name, table))
        names = names or found
        parts.append(Part(file.name, table))
    return parts


def _parquet_table(file: File, data: DataConfig, room: Room) -> tuple[list[str], Table]:
    """The names of all columns, and those that are read, some rows at a time."""
    import pyarrow.parquet as pq  # most runs read CSV and start sooner without it

    columns = columns_of(data)
    wanted = list(columns.keys)
    try:
        with file.opener() as stream, pq.ParquetFile(stream, buffer_size=CHUNK) as parquet:
            names = list(parquet.schema_arrow.names)
            refuse_absent(file.name, names, columns)
            # A file of a few bytes may hold, or claim, any number of equal rows.
            room.refuse(parquet.metadata.num_rows)
            schema = pa.schema([parquet.schema_arrow.field(name) for name in wanted])
            gathered = room.gathered(_as_kept(schema.empty_table(), columns).schema)
            for groups in _row_groups(parquet.metadata):
                for rows in parquet.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=wanted):
                    for block in _as_kept(pa.Table.from_batches([rows]), columns).to_batches():
                        gathered.add(block)
            return names, gathered.table()
    except MemoryError:  # which pyarrow's is, beside being one of its own
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{file.name}: cannot be read as Parquet: {error}; check the file.", code="F103"
        ) from error


def _row_groups(metadata: Any) -> Iterator[list[int]]:
    """Groups of rows that are read together: pyarrow keeps what it has read of a call, and a call takes its time."""
    groups: list[int] = []
    n_rows = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        n_rows += metadata.row_group(group).num_rows
        if n_rows >= ROWS_AT_ONCE or group == metadata.num_row_groups - 1:
            yield groups
            groups, n_rows = [], 0


def _as_kept(table: Table, columns: Columns) -> Table:
    """Columns as they are gathered: without dictionaries, and timestamps to the microsecond."""
    table = without_dictionaries(table)
    name = columns.time[0]
    place = table.schema.get_field_index(name)
    kind = table.schema.field(place).type
    if len(columns.time) > 1 or not pa.types.is_timestamp(kind):
        return table
    return table.set_column(place, name, table.column(place).cast(pa.timestamp("us", kind.tz), safe=False))


def _refuse_other_types(first: Part, other: Part) -> None:
    try:
        joined_tables([first.table.schema.empty_table(), other.table.schema.empty_table()])
    except pa.ArrowException as error:
        raise DataError(
            f"{other.name}: the columns have other types than in {first.name}: {error}; "
            "write all files the same way.",
            code="F112",
        ) from error


def joined_tables(tables: Sequence[Table]) -> Table:
    """The rows of all tables; integers become floats where others are."""
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")


def without_dictionaries(table: Table) -> Table:
    """Without dictionaries: those of categorical columns may hold words that no row has."""
    fields = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _n_rows(file: File, data: DataConfig) -> int:
    if file.is_parquet:
        import pyarrow.parquet as pq

        with file.opener() as stream, pq.ParquetFile(stream) as parquet:
            return int(parquet.metadata.num_rows)
    return sum(1 for _ in open_file(file, data).records()) - 1


def _stdin() -> Any:
    if sys.stdin is None or sys.stdin.closed:
        raise DataError(f"{name_of(STDIN)}: it is closed; pipe the data in, or name a file.", code="F101")
    return sys.stdin.buffer


def _opener_of_stream(stream: Any, name: str) -> Opener:
    """Opens what a stream gave; its first bytes say whether it is compressed, for a name may not, or not any more."""
    content, size = _kept(stream, name)
    content.seek(0)
    first = content.read(BEGINNING)
    codec = next((found for magic, found in MAGIC.items() if first.startswith(magic)), None)

    def opener() -> Any:
        return pa.PythonFile(_Again(content), mode="r")

    weakref.finalize(opener, content.close)  # with which a file is gone
    return _bounded(opener, codec, name, size)


def _kept(stream: Any, name: str) -> tuple[Any, int]:
    """All that a stream gives and how much that is: in memory, or more than a little in a file without a name."""
    content: Any = io.BytesIO()
    little, limit = min(KEPT, memory_free() // 8), _space_for_files() * SHARE_OF_SPACE
    size, is_file = 0, False
    try:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > max(little, limit):
                raise DataError(
                    f"{name}: gives more than {gigabytes(max(little, limit))}, half of the space for temporary "
                    "files; save it as a file, and name that.",
                    code="F101",
                )
            if size > little and not is_file:
                content, is_file = _as_file(content), True
            content.write(chunk)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ResourceError(
            f"{name}: the space for temporary files in {tempfile.gettempdir()} ran out; free some, or set TMPDIR."
        ) from error
    return content, size


def _as_file(content: io.BytesIO) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it can be opened no more
    file.write(content.getbuffer())
    return file


def _space_for_files() -> int:
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:  # there is no folder for temporary files
        return 0


class _Again(io.RawIOBase):
    """A file read from its start, whoever else reads it."""

    def __init__(self, file: Any) -> None:
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._place}
        if whence not in starts:
            starts[whence] = self._file.seek(0, whence)
        self._place = starts[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        self._file.seek(self._place)
        chunk: bytes = self._file.read(size)
        self._place += len(chunk)
        return chunk


def _bounded(opener: Opener, codec: str | None, name: str, size: int) -> Opener:
    """The opener, decompressing what is no bomb: a file that becomes as much as fills the memory has more bytes."""
    if codec is None:
        return opener
    limit = max(int(memory_size() * MEMORY_SHARE), MOST_TIMES_LARGER * size)
    return lambda: _Decompressed(pa.CompressedInputStream(opener(), codec), name=name, limit=limit)


class _Decompressed(io.RawIOBase):
    """A stream that ends in an error once it has given more than a compressed table does."""

    def __init__(self, stream: Any, *, name: str, limit: int) -> None:
        self._stream, self._name, self._left, self._limit = stream, name, limit, limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        chunk: bytes = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(chunk)
        if self._left < 0:
            raise DataError(
                f"{self._name}: decompresses to more than {gigabytes(self._limit)}, a quarter of the memory of this "
                f"machine and {MOST_TIMES_LARGER} times its size; unpack it, and name the file that comes of it.",
                code="F101",
            )
        return chunk

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


# What reads each kind of source.
SOURCES: dict[Kind, Source] = {
    "stdin": _read_stdin,
    "files": _read_local,
    "database": _read_query,
    "remote": _read_remote,
}
# What reads files, by the ending of their names; anything else is CSV.
FORMATS: dict[str, Format] = {"": _read_csv, PARQUET: _read_parquet}
