"""CSV files: how one is laid out, its columns as Arrow arrays, and the line of what is wrong in it.

pyarrow reads fast and is strict about the number of fields; it does not say where a fault is. So a file that
it refuses is walked once more with Python's csv module, which counts lines.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from tsforecast.config.schema import FormatConfig
from tsforecast.errors import DataError
from tsforecast.series.advice import advice_on_number
from tsforecast.series.cells import MISSING, clipped, looks_like_number, number_marks
from tsforecast.series.foreign import BEGINNING, no_csv, no_header
from tsforecast.series.memory import Room
from tsforecast.series.pieces import Pieces

__all__ = [
    "CsvFile",
    "Opener",
    "has_quotes",
    "line_of",
    "lines_of",
    "open_csv",
    "read_columns",
    "refuse_other_kinds",
    "undecoded",
    "wrong_width",
]

Opener: TypeAlias = Callable[[], Any]  # gives a new binary stream; pyarrow ships no types
Record: TypeAlias = tuple[int, list[str]]  # number of its first line, cells

SEPARATORS = (",", ";", "\t", "|")
SAMPLE = 1000  # records looked at to find the decimal mark
CHUNK = 1 << 20
BLOCK = 1 << 20  # bytes read at once, unless a row is longer
TOO_LONG = "straddl"  # what pyarrow says of a row that is longer than a block
MAX_LINE = 20_000_000  # characters
UNDECODED = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of a byte
# A timestamp as pyarrow reads it; another zone than UTC is kept, which takes the text.
PLAIN_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?(?P<zone>Z)?)?")
FIRST_MOMENT = int(np.datetime64("0001-01-01", "us").view("i8"))
WORDS = pa.dictionary(pa.int32(), pa.string())
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+")


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file and how it is laid out.

    Attributes:
        name: for messages.
        opener: gives the bytes from the start, decompressed.
        encoding: of the text.
        separator: between cells.
        decimal: decimal mark of numbers.
        thousands: mark between groups of digits.
        columns: header cells, without the blanks around them unless the config writes these as well.
        header: header cells as they stand in the file.
    """

    name: str
    opener: Opener
    encoding: str
    separator: str = ","
    decimal: str = "."
    thousands: str | None = None
    columns: tuple[str, ...] = ()
    header: tuple[str, ...] = ()

    def records(self) -> Iterator[Record]:
        """Header and rows with the line each begins on; blank lines are passed over."""
        begin = 1
        with self.open() as stream:
            lines = io.TextIOWrapper(stream, self.encoding, errors="surrogateescape", newline="")
            reader = csv.reader(self._bounded(lines), delimiter=self.separator)
            try:
                for cells in reader:
                    if cells:
                        yield begin, cells
                    begin = reader.line_num + 1
            except csv.Error as error:
                found = "a cell has more than 131072 characters" if "field limit" in str(error) else error
                raise DataError(
                    f"{self.name}: line {begin}: {found}; is a quote not closed?", code="F107"
                ) from error

    def _bounded(self, lines: io.TextIOWrapper) -> Iterator[str]:
        """The lines; a file without line ends must not fill the memory before it is refused."""
        number = 0
        while line := lines.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise DataError(
                    f"{self.name}: line {number} has {MAX_LINE} characters or more; expected text with line ends.",
                    code="F103",
                )
            yield line

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The bytes from the start; what goes wrong with them is said in the name of the file."""
        try:
            with self.opener() as stream:
                yield stream
        except MemoryError:  # which pyarrow's is, beside being one of its own
            raise
        except (OSError, EOFError, UnicodeError, pa.ArrowException) as error:
            raise DataError(f"{self.name}: cannot be read: {error}; check the file.", code="F103") from error


def open_csv(
    name: str, opener: Opener, layout: FormatConfig, *, wanted: Sequence[str], numbers: Sequence[str]
) -> CsvFile:
    """Looks at the beginning of a file for what the config leaves to be found.

    Args:
        name: for messages.
        opener: gives the bytes from the start.
        layout: what the config says about the form of the file.
        wanted: columns that will be read; the separator is the one that makes them appear.
        numbers: those of them that hold numbers.

    Raises:
        DataError: empty, not text in this encoding, or with a repeated column name.
    """
    file = CsvFile(name, opener, encoding=_codec(layout.encoding), thousands=layout.thousands)
    refuse_other_kinds(file)
    file = _with_header(file, layout.separator, wanted)
    return replace(file, decimal=_decimal_mark(file, layout.decimal, numbers))


def read_columns(
    file: CsvFile,
    *,
    text: Sequence[str],
    numbers: Sequence[str],
    room: Room | None = None,
    moments: str | None = None,
) -> Any:
    """A table of the columns named: ``text`` dictionary-encoded, ``numbers`` as float64, NaN for missing.

    The file is read block by block and need not fit in memory. Numbers come as text where pyarrow does not read
    them: with a thousands mark, or with blanks alone in a cell.

    Args:
        file: to read.
        text: columns of text.
        numbers: columns of numbers.
        room: to read into, where other files are read beside this one.
        moments: the one of ``text`` that comes as timestamps to the microsecond where each of its cells is plain
            ISO 8601, and as text where any is not.

    Raises:
        DataError: a line with another number of fields than the header, a cell that is no number, an unclosed
            quote, or bytes that are not text in the file's encoding.
        ResourceError: what is kept of the file does not fit in memory.
    """
    number = pa.string() if file.thousands else pa.float64()
    kinds = dict.fromkeys(text, WORDS) | dict.fromkeys(numbers, number)
    read = partial(_read, file, room=room or Room(len(numbers)), quoted=has_quotes(file))
    with file.open():  # says what is wrong with the bytes in the name of the file
        if moments and (kind := _kind_of_moments(file, moments)):
            with suppress(pa.ArrowInvalid):  # the reading below says what it is
                table = read(kinds | {moments: kind})
                if all(map(_are_dates, _chunks_of(table, moments))):
                    return table
                if isinstance(table, Pieces):
                    table.discard()
        try:
            table = read(kinds)
        except pa.ArrowInvalid as error:
            if next(islice(file.records(), 1, None), None) is None:  # a header without a line end
                return pa.table({name: pa.array([], pa.string()) for name in (*text, *numbers)})
            _refuse_first_fault(file, numbers)
            try:
                table = read(kinds | dict.fromkeys(numbers, pa.string()))
            except pa.ArrowInvalid:
                raise DataError(f"{file.name}: cannot be read as CSV: {error}.", code="F103") from error
    return table


def _kind_of_moments(file: CsvFile, column: str) -> Any:
    """The type of timestamps like the first one; None where it is written in a way that pyarrow does not read."""
    try:
        cells = next(islice(file.records(), 1, None), (0, []))[1]
    except DataError:  # such as a cell of a megabyte, which a column that is not read may hold
        return None
    place = file.columns.index(column)
    written = PLAIN_MOMENT.fullmatch(cells[place]) if place < len(cells) else None
    return pa.timestamp("us", "UTC" if written["zone"] else None) if written else None


def _chunks_of(table: Any, column: str) -> Iterator[Any]:
    return table.column(column) if isinstance(table, Pieces) else iter([table.column(column)])


def _are_dates(column: Any) -> bool:
    """Whether each cell is a timestamp of the calendar; pyarrow knows a year 0."""
    if column.null_count:
        return False
    first = pc.min(column.cast(pa.int64())).as_py()
    return first is None or first >= FIRST_MOMENT


def _read(file: CsvFile, kinds: Mapping[str, Any], *, room: Room, quoted: bool) -> Any:
    """Columns by name and type, under the names they have here, whatever blanks the header has around them."""
    try:
        return _read_blocks(file, kinds, room=room, quoted=quoted, size=BLOCK)
    except pa.ArrowInvalid as error:
        if TOO_LONG not in str(error):
            raise
        return _read_blocks(file, kinds, room=room, quoted=quoted, size=MAX_LINE)


def _read_blocks(file: CsvFile, kinds: Mapping[str, Any], *, room: Room, quoted: bool, size: int) -> Any:
    """As :func:`_read`, so many bytes at once; a row may not be longer."""
    in_header = dict(zip(file.columns, file.header, strict=True))
    room = room.for_file(file.name)
    with (
        file.opener() as stream,
        pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                encoding=file.encoding.removesuffix("-sig"), block_size=size, use_threads=pa.cpu_count() > 1
            ),
            parse_options=pacsv.ParseOptions(delimiter=file.separator, newlines_in_values=quoted),
            convert_options=pacsv.ConvertOptions(
                column_types={in_header[column]: kind for column, kind in kinds.items()},
                include_columns=[in_header[column] for column in kinds],
                null_values=list(MISSING),
                decimal_point=file.decimal,
            ),
        ) as blocks,
    ):
        gathered = room.gathered(blocks.schema)
        try:
            for block in blocks:
                gathered.add(block)
                room.refuse_more(gathered.n_rows, stream)
        except pa.ArrowInvalid:
            gathered.discard()  # it is read anew, in another way
            raise
    return gathered.table().rename_columns(list(kinds))


def line_of(file: CsvFile, row: int) -> int:
    """Line number of a data row, counted from 0; blank lines and line breaks in cells are counted."""
    below_header = row + 2  # where the file has changed meanwhile
    return next(islice(file.records(), row + 1, None), (below_header, []))[0]


def lines_of(file: CsvFile, rows: Collection[int]) -> dict[int, int]:
    """Line numbers of some data rows, as :func:`line_of` gives them."""
    records = islice(file.records(), 1, 2 + max(rows, default=-1))
    return {row: line for row, (line, _) in enumerate(records) if row in rows}


def _codec(encoding: str) -> str:
    """The codec; UTF-8 with or without a byte order mark."""
    codec = codecs.lookup(encoding).name
    return "utf-8-sig" if codec in ("utf-8", "ascii") else codec


def refuse_other_kinds(file: CsvFile) -> None:
    """Refuses a file that is empty, or known to be no CSV by its first bytes."""
    with file.open() as stream:
        first = stream.read(BEGINNING)
    if not first:
        raise DataError(f"{file.name}: the file is empty; expected a header and rows.", code="F102")
    if kind := no_csv(first, encoding=file.encoding):
        raise DataError(f"{file.name}: this is {kind}.", code="F103")


def _with_header(file: CsvFile, separator: str, wanted: Sequence[str]) -> CsvFile:
    """With the separator that makes the wanted columns appear, or else the most columns."""
    marks = SEPARATORS if separator == "auto" else (separator,)
    header_of = {mark: next(replace(file, separator=mark).records(), (1, [])) for mark in marks}
    names_of = {mark: _names(header, wanted) for mark, (_, header) in header_of.items()}
    mark = max(marks, key=lambda mark: (len({*wanted} & {*names_of[mark]}), len(names_of[mark])))
    line, header = header_of[mark]
    if not header:
        raise DataError(f"{file.name}: there are only blank lines; expected a header and rows.", code="F102")
    if fault := undecoded(file, header):
        raise DataError(f"{file.name}: line {line}: {fault}.", code="F108")
    names = names_of[mark]
    is_known = {*wanted} <= {*names}
    if not is_known and any("\n" in cell or "\r" in cell for cell in header):
        has_quotes(file)  # refuses one that is opened there and never closed
    if fault := no_header(header, mark, is_known=is_known):
        raise DataError(f"{file.name}: line {line}: {fault}.", code="F103")
    column, count = Counter(filter(None, names)).most_common(1)[0] if any(names) else ("", 1)
    if count > 1:
        raise DataError(
            f"{file.name}: line {line}: {count} columns are named {column!r}; rename all but one.",
            code="F104",
        )
    return replace(file, separator=mark, columns=names, header=tuple(header))


def _names(header: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns: without blanks around them, unless the config asks for one with its blanks."""
    return tuple(cell if cell in wanted else cell.strip().strip("\ufeff").strip() for cell in header)


def _decimal_mark(file: CsvFile, decimal: str, numbers: Sequence[str]) -> str:
    """The decimal mark, found in a sample of the number cells unless the config or the separator says it."""
    if decimal != "auto":
        return decimal
    if "," in (file.separator, file.thousands):
        return "."
    if file.thousands == ".":
        return ","
    places = [file.columns.index(column) for column in numbers if column in file.columns]
    rows = (cells for _, cells in islice(file.records(), 1, SAMPLE))
    sample = [cells[place].strip() for cells in rows for place in places if place < len(cells)]
    with_comma = [cell for cell in sample if "," in cell]
    if not with_comma or any("." in cell for cell in sample):
        return "."
    if file.thousands is None and all(map(GROUPED.fullmatch, with_comma)):
        raise DataError(
            f"{file.name}: {with_comma[0]!r} may be a decimal number or thousands; "
            "set data.format.decimal: ',' or data.format.thousands: ','.",
            code="F109",
        )
    return ","


def has_quotes(file: CsvFile) -> bool:
    """Whether any cell may be quoted.

    Raises:
        DataError: a quote is never closed. pyarrow would take the rest of the file for one cell.
    """
    if file.encoding.startswith(("utf-16", "utf-32")):  # there the byte of a quote may be part of a letter
        return True
    count = 0
    with file.open() as stream:
        while chunk := stream.read(CHUNK):
            count += chunk.count(b'"') if b'"' in chunk else 0  # most files have none, and looking is quicker
    if count % 2:  # one is not closed, or stands inside an unquoted cell
        line, cells = deque(file.records(), maxlen=1)[0]
        if any("\n" in cell or "\r" in cell for cell in cells):
            raise DataError(
                f"{file.name}: line {line}: a quote is opened and never closed; close or remove it.",
                code="F107",
            )
    return count > 0


def _refuse_first_fault(file: CsvFile, numbers: Sequence[str]) -> None:
    """Refuses the first thing wrong, in the order of the lines."""
    places = [(file.columns.index(column), column) for column in numbers]
    records = islice(file.records(), 1, None)
    for line, cells in records:
        if fault := wrong_width(file, cells):
            if len(cells) < len(file.columns) and next(records, None) is None:
                fault = (
                    f"{fault.partition(';')[0]}, and the file ends there, as one does that is still being written or "
                    "was broken off; look whether it is whole, else correct or remove the line"
                )
            raise DataError(f"{file.name}: line {line}: {fault}.", code="F106")
        if fault := undecoded(file, cells):
            raise DataError(f"{file.name}: line {line}: {fault}.", code="F108")
        if fault := _wrong_number(file, cells, places):
            raise DataError(f"{file.name}: line {line}, {fault}.", code="V401")


def wrong_width(file: CsvFile, cells: Sequence[str]) -> str | None:
    """What is wrong with the number of cells in a record."""
    if len(cells) == len(file.columns):
        return None
    return (
        f"{len(cells)} field{'s' * (len(cells) > 1)}, expected {len(file.columns)} as in the header; "
        "correct or remove the line, or set data.format.separator and data.format.decimal"
    )


def _wrong_number(file: CsvFile, cells: Sequence[str], numbers: Sequence[tuple[int, str]]) -> str | None:
    marks = number_marks(file.decimal, file.thousands)
    for place, column in numbers:
        if not looks_like_number(cells[place], decimal=file.decimal, thousands=file.thousands):
            advice = advice_on_number(cells[place], decimal=file.decimal, thousands=file.thousands)
            return f"column {column!r}: {clipped(cells[place])} is not a number with {marks}; {advice}"
    return None


def undecoded(file: CsvFile, cells: Sequence[str]) -> str | None:
    """What is wrong with the first byte of some cells that is no text; None where all are."""
    for cell in cells:
        if byte := UNDECODED.search(cell):
            return (
                f"byte 0x{ord(byte[0]) - 0xDC00:02x} is not {file.encoding.removesuffix('-sig')} text "
                f"(the first such byte is at offset {_first_undecoded(file)}); "
                "set data.format.encoding, e.g. cp1252 or latin-1"
            )
    return None


def _first_undecoded(file: CsvFile) -> int:
    """Offset in the file of the first byte that is no text."""
    decoder = codecs.getincrementaldecoder(file.encoding)()
    done = 0
    with file.opener() as stream:
        while chunk := stream.read(CHUNK):
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                return done - kept + error.start
            done += len(chunk)
    return done - len(decoder.getstate()[0])  # the last letter is cut off
