"""How a CSV file is written, found from the file alone: encoding, separator, header, marks in numbers."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pyarrow as pa

from tsforecast.errors import DataError
from tsforecast.series.cells import MISSING, looks_like_number
from tsforecast.series.csvfile import CsvFile, has_quotes, undecoded
from tsforecast.series.dates import fits_dates
from tsforecast.series.foreign import no_header

__all__ = ["Marks", "encoding_of", "marks_of", "number_cells", "refuse_without_header", "separator_of"]

Records = Sequence[tuple[int, list[str]]]

# Of those that cut all lines alike the first is taken: decimal commas cut them as often as semicolons do.
SEPARATORS = (";", "\t", "|", ",", " ")
SAMPLE = 500  # records that tell the separator
CHUNK = 1 << 20
MAX_COLUMNS = 10_000

# Decimal and thousands marks, the usual ones first; of those that read as many columns the first is taken.
MARKS = (
    (".", None),
    (",", None),
    *((".", mark) for mark in (",", " ", "\u00a0", "\u202f", "'", "\u2019")),
    *((",", mark) for mark in (".", " ", "\u00a0", "\u202f", "'", "\u2019")),
)
# With three digits behind its only mark a number is two numbers; so many whole ones between them tell which.
GROUP = r"[+-]?[1-9]\d{0,2}(?:%s\d{3})"
WHOLE = re.compile(r"[+-]?\d{1,3}")
ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Marks:
    """How numbers are written.

    Attributes:
        decimal: decimal mark.
        thousands: mark between groups of digits.
        example: a number that shows the marks, empty where none has one.
        is_open: whether the numbers can be read with the other decimal mark as well.
    """

    decimal: str = "."
    thousands: str | None = None
    example: str = ""
    is_open: bool = False


def encoding_of(file: CsvFile) -> str:
    """The encoding of a text file: UTF-8 and UTF-16 are recognised, anything else is the one of Windows.

    Raises:
        DataError: UTF-32, or bytes that are no text.
    """
    with file.open() as stream:
        first = stream.read(CHUNK)
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise DataError(f"{file.name}: this is UTF-32 text; save it as UTF-8.")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        places, others = first[start::2], first[1 - start :: 2]
        if len(places) > 1 and places.count(0) > 0.7 * len(places) and others.count(0) < 0.3 * len(others):
            return encoding
    if _decodes(file, "utf-8") or _is_mostly_utf8(first):
        return "utf-8"  # the reading refuses the line that is not
    return "cp1252" if _decodes(file, "cp1252") else "latin-1"


def separator_of(file: CsvFile) -> str:
    """The character that cuts most lines into the same number of fields, more than one.

    Raises:
        DataError: no character does.
    """
    best = (0.0, 0, ",")
    for mark in SEPARATORS:
        try:
            widths = [len(cells) for _, cells in islice(replace(file, separator=mark).records(), SAMPLE)]
        except DataError:  # a quote that is one with another separator only
            continue
        width, count = Counter(widths).most_common(1)[0] if widths else (0, 0)
        score = (round(count / len(widths), 3), width) if width > 1 else (0.0, 0)
        if score > best[:2]:
            best = (*score, mark)
    return best[2]


def refuse_without_header(file: CsvFile, records: Records) -> None:
    """Refuses a file that does not begin with the names of its columns, one for each field of the rows.

    Args:
        file: for messages.
        records: header and first rows with their lines.
    """
    (line, header), rows = records[0], [cells for _, cells in records[1:]]
    where = f"{file.name}: line {line}"
    if fault := no_header(header, file.separator, is_known=True):
        raise DataError(f"{where}: {fault}.")
    for at, cells in records:
        if fault := undecoded(file, cells):
            raise DataError(f"{file.name}: line {at}: {fault}.")
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else len(header)
    if header[0].startswith("#") and (
        len(header) != width or any(cells[0].startswith("#") for cells in rows)
    ):
        raise DataError(f"{where}: {no_header(header, file.separator, is_known=False)}.")
    if not rows:
        has_quotes(file)  # refuses one that is opened in the header and never closed
        raise DataError(f"{file.name}: there is a header and no row below it; expected at least one row.")
    if len(header) != width:
        raise DataError(f"{where}: {_other_width(header, [cells for cells in rows if len(cells) == width])}.")
    if width > MAX_COLUMNS:
        raise DataError(
            f"{where}: {width} columns, expected at most {MAX_COLUMNS}; if each row is a series, transpose the file."
        )
    _refuse_data(file, line, header, [cells for cells in rows if len(cells) == width])


def marks_of(columns: Iterable[Sequence[str]], *, separator: str, dotted_dates: bool) -> Marks:
    """The marks with which most columns are numbers.

    Args:
        columns: cells of each column.
        separator: between cells; beside commas a point is a decimal one.
        dotted_dates: whether dates are written like 31.12.2024, by people who may group digits with points.
    """
    samples = [sorted({cell.strip(" \t") for cell in cells} - {*MISSING}) for cells in columns]
    best: tuple[str, str | None] = (".", None)
    fitting: list[list[str]] = []
    for marks in MARKS:
        found = [cells for cells in samples if _are_numbers(cells, *marks)]
        if len(found) > len(fitting):
            best, fitting = marks, found
    decimal, thousands = best
    cells = [cell for column in fitting for cell in column]
    marked = [cell for cell in cells if decimal in cell or (thousands and thousands in cell)]
    example = max(marked, key=len, default="")
    if thousands or not marked or (decimal == "." and separator == ","):
        return Marks(decimal, thousands, example)
    if not all(map(re.compile(GROUP % re.escape(decimal)).fullmatch, marked)):
        return Marks(decimal, None, example)
    others = [cell for cell in cells if decimal not in cell]
    if any(not WHOLE.fullmatch(cell) for cell in others):  # 1234 without a mark: no thousands here
        return Marks(decimal, None, example)
    if min(len(others), len(marked)) >= ENOUGH:
        # Three digits behind the mark in each number that has one, and whole numbers beside them: thousands.
        return Marks("," if decimal == "." else ".", decimal, example)
    return Marks(decimal, None, example, is_open=decimal == "," or dotted_dates)


def number_cells(cells: Sequence[str]) -> list[bool]:
    """Which cells are numbers, with the marks that most of them have; missing ones are as well."""
    return max(
        (
            [looks_like_number(cell, decimal=decimal, thousands=thousands) for cell in cells]
            for decimal, thousands in MARKS
        ),
        key=sum,
    )


def _are_numbers(cells: Sequence[str], decimal: str, thousands: str | None) -> bool:
    return bool(cells) and all(
        looks_like_number(cell, decimal=decimal, thousands=thousands) for cell in cells
    )


def _decodes(file: CsvFile, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with file.open() as stream:
        try:
            while chunk := stream.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _is_mostly_utf8(content: bytes) -> bool:
    """Whether more letters beyond ASCII are UTF-8 than are not: then the others are faults."""
    text = content.decode("utf-8", errors="replace")
    faults = text.count("\ufffd")
    return sum(letter > "\x7f" for letter in text) - faults > faults


def _other_width(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """What is wrong with a header that has not as many fields as the rows."""
    width = len(rows[0])
    found = f"the header has {len(header)} field{'s' * (len(header) > 1)} and the rows have {width}"
    if len(header) == width - 1 and not any(cells[-1] for cells in rows):
        return f"{found}, since they end with a separator; remove it there, or add one to the header"
    if len(header) == 1:
        return f"{found}; expected the header in the first line: remove what stands above it"
    return f"{found}; expected as many: name every column (or quote numbers with decimal commas)"


def _refuse_data(file: CsvFile, line: int, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Refuses a first line that is a row of data, or that holds the dates of a table lying on its side."""
    named = [cell.strip() for cell in header if cell.strip()]
    is_date = [fits_dates(pa.array([cell.strip()])) for cell in header]
    is_row = any(
        date and fits_dates(pa.array([cell.strip() for cell in {cells[k] for cells in rows[:50]}]))
        for k, date in enumerate(is_date)
    )
    if is_row or (len(named) > 1 and all(_are_numbers([cell], ".", None) for cell in named)):
        raise DataError(
            f"{file.name}: line {line}: {file.separator.join(header)[:60]!r} looks like data, expected the names of "
            "the columns; add a line with names above it."
        )
    if sum(is_date) >= max(3, len(header) / 2):
        raise DataError(
            f"{file.name}: line {line}: the header holds {sum(is_date)} dates, expected names, and a row for each "
            "date; transpose the file, so that a column is a series."
        )
