"""Columns of a file as ids, timestamps and numbers: what each may look like, and the first that does not.

Columns come as Arrow arrays: text from CSV, anything from Parquet and frames. Timestamps are
dictionary-encoded, so that each spelling is read once, however many series share it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tsforecast.series.advice import NO_DATA, advice_on_number, is_no_data
from tsforecast.series.panel import FloatArray, IntArray

__all__ = [
    "MISSING",
    "CellError",
    "clipped",
    "dictionary_of",
    "fitting_formats",
    "is_text",
    "looks_like_number",
    "number_marks",
    "to_ids",
    "to_integers",
    "to_numbers",
    "to_timestamps",
    "to_words",
    "unix_timestamps",
]

Column = Any  # a pyarrow array; pyarrow ships no types
Number = TypeVar("Number", bound=np.generic)

# Cells that say there is no value.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "none", "-")

EMPTY = "the cell is empty; fill it in, or remove the row"
INTEGER_TEXT = r"^[+-]?\d{1,18}$"
ISO_TEXT = (
    r"^\d{4}-\d{2}(?:-\d{2}(?:[T ]\d{2}(?::\d{2}(?::\d{2}(?:\.\d{1,6}0*)?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?)?$"
)
# The week of ISO 8601 and the quarter, each of which is the name of its first day.
WEEK_TEXT = r"^(\d{4})-?W(\d{2})$"
QUARTER_TEXT = r"^(?:(\d{4})[- ]?Q([1-4])|Q([1-4])[-/ ](\d{4}))$"
# Days since the end of 1899, from 1980 to 2064.
EXCEL_DAY = r"^(?:29|[345]\d)\d{3}(?:\.\d+)?$"
BLANKS = " \t\u00a0"

# Kinds of columns that hold numbers; one without any value has a kind of its own.
NUMERIC = (
    pa.types.is_floating,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_null,
)

# Ways to write a date that are not ISO 8601. None is taken on its own, since 03/04/2024 is two dates.
DATE_FORMATS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d %B %Y", "%B %d, %Y"),
    *("%Y%m%d", "%Y", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y"),
    *("%m.%d.%Y", "%m.%d.%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%y/%m/%d", "%d-%b-%y", "%d %b %y"),
    *("%b %d %Y", "%d. %B %Y", "%Y %b", "%Y-%b", "%Y%m", "%m-%Y", "%m.%Y"),
)
CLOCK_FORMATS = (
    *("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S"),
    *(" %I:%M%p", " %I %p", " %H", ", %H:%M", ", %I:%M %p"),
)
COMPACT_CLOCKS = ("%H", "%H%M", "%H%M%S", "T%H%M", "T%H%M%S")  # after a date without marks
# What each field of a pattern looks like: it rules out most patterns at a glance. Without marks between the fields
# each has all its digits; strptime would split other numbers somehow.
SHAPES = dict.fromkeys("dmHIMS", r"\d{1,2}") | {
    "Y": r"\d{4}",
    "y": r"\d\d",
    "p": "[AaPp][Mm]",
    "f": r"\d{1,9}",
}
SHAPES |= {"b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}"}

ALL_FORMATS = (
    *(date + clock for date in DATE_FORMATS for clock in CLOCK_FORMATS),
    *("%Y%m%d" + clock for clock in COMPACT_CLOCKS),
)
# Units of time since 1970, and how many make a second.
UNITS = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
INTEGER_TEXT_OF_UNIT = r"^[+-]?\d{1,18}$|^[+-]?[1-8]\d{18}$"  # int64 and no more


class CellError(ValueError):
    """A cell, or a whole column, that cannot be read; the caller knows file and line.

    Attributes:
        row: data row, counted from 0, or None where the column as a whole is meant.
        code: of what is wrong, as in docs/checks.md.
        rows: all rows that are wrong in this way; empty where the column as a whole is meant.
    """

    def __init__(self, problem: str, rows: Sequence[int] | IntArray = (), *, code: str) -> None:
        super().__init__(problem)
        self.row = int(rows[0]) if len(rows) else None
        self.code = code
        self.rows = np.asarray(rows, dtype=np.int64)


def to_ids(column: Column) -> pd.Categorical:
    """Names of series as text, exactly as written: ``001`` is not ``1``, and ``NA`` is a name.

    Each name is kept once, in the order of the first rows: a file has far fewer names than rows.

    Raises:
        CellError: an empty name, or a column of neither text nor integers.
    """
    if not is_text(column) and not pa.types.is_integer(column.type):
        raise CellError(f"type {column.type} cannot name series; expected text or integers", code="I202")
    encoded = dictionary_of(column)
    names = encoded.dictionary.to_pylist()
    codes = _codes(encoded)
    nameless = [-1, *(code for code, name in enumerate(names) if not name)]
    if encoded.null_count or len(nameless) > 1:
        wrong = np.flatnonzero(np.isin(codes, nameless))
        if len(wrong):  # a dictionary may hold a name that no row has
            raise CellError(
                "the cell is empty, expected the name of a series; fill it in, or remove the row",
                wrong,
                code="I201",
            )
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype="str"), validate=False)


def to_words(column: Column) -> pd.Series[str]:
    """Categories as text, exactly as written; missing where the cell is empty.

    Raises:
        CellError: a column of neither text, integers nor booleans.
    """
    if not is_text(column) and not any(
        of_kind(column.type) for of_kind in (pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    ):
        raise CellError(f"type {column.type} is no category; expected text or integers", code="V402")
    words = column.cast(pa.string())
    words = pc.if_else(pc.equal(words, ""), None, words)
    read: pd.Series[str] = words.to_pandas().astype("str")
    return read


def to_numbers(column: Column, *, decimal: str = ".", thousands: str | None = None) -> FloatArray:
    """Values as float64, NaN for missing ones, ``(n_rows,)``.

    Raises:
        CellError: text that is no number, a number that float64 cannot hold, or a column of another type.
    """
    kind = column.type
    if is_text(column):
        return _each_spelling(column, partial(_numbers_from_text, decimal=decimal, thousands=thousands))
    if not any(is_kind(kind) for is_kind in NUMERIC):
        raise CellError(f"type {kind} is not numeric; expected integers or floats", code="V402")
    try:
        return _floats(column.cast(pa.float64()))
    except pa.ArrowInvalid as error:
        raise CellError(
            f"there are {kind} values beyond 2^53, which float64 cannot tell apart; divide them",
            code="V405",
        ) from error


def to_integers(column: Column) -> IntArray:
    """Integer time, ``(n_rows,)``.

    Raises:
        CellError: a cell that is no integer.
    """
    if pa.types.is_integer(column.type):
        _refuse_null(column)
        return np.asarray(column.cast(pa.int64()).to_numpy())
    if not is_text(column):
        raise CellError(
            f"type {column.type} is not integer, as data.freq: integer asks for; set another data.freq",
            code="T304",
        )
    return _each_spelling(column, _integers_from_text)


def to_timestamps(column: Column, *, time_format: str) -> pd.DatetimeIndex:
    """Timestamps to the microsecond, ``(n_rows,)``.

    A time zone that all of them share is kept; different ones become UTC.

    Args:
        column: text, timestamps or dates.
        time_format: strftime pattern of text, or ``auto`` for ISO 8601.

    Raises:
        CellError: a cell that is no timestamp, or that could be two.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        _refuse_null(column)
        kind = pa.timestamp("us", getattr(kind, "tz", None))
        return _in_utc(_int64(column.cast(kind, safe=False)), kind.tz)
    if pa.types.is_integer(kind) and time_format != "auto":
        column, kind = column.cast(pa.string()), pa.string()
    if not is_text(column):
        raise CellError(
            f"type {kind} is no time; expected text, dates or timestamps, "
            "or data.freq: integer for integers that count steps",
            code="T304",
        )
    _refuse_null(column)
    zone: Any = None

    def clock_of(cells: Column) -> IntArray:
        nonlocal zone
        spellings = pc.utf8_trim(cells, BLANKS)
        moments = _iso_moments(spellings) if time_format == "auto" else _own_moments(spellings, time_format)
        zone = moments.tz
        return moments.asi8

    return _in_utc(_each_spelling(column, clock_of), zone)


def _integers_from_text(cells: Column) -> IntArray:
    _refuse_first(
        cells,
        pc.match_substring_regex(cells, INTEGER_TEXT),
        "is not an integer, as data.freq: integer expects; correct the cell",
        code="T302",
    )
    return np.asarray(pc.replace_substring_regex(cells, r"^\+", "").cast(pa.int64()).to_numpy())


def unix_timestamps(column: Column, *, unit: str) -> pd.DatetimeIndex:
    """Timestamps in UTC to the microsecond from integers that count ``unit`` since 1970, ``(n_rows,)``.

    Raises:
        CellError: a cell that is no integer, a year beyond 9999, or a count of nanoseconds that is not one of
            microseconds.
    """
    if not is_text(column) and not pa.types.is_integer(column.type):
        raise CellError(
            f"type {column.type} is not integer, as data.format.unit asks for; remove that key", code="T304"
        )
    return _in_utc(_each_spelling(column, partial(_unix_clock, unit=unit)), "UTC")


def _unix_clock(cells: Column, *, unit: str) -> IntArray:
    """Microseconds since 1970 from text that counts another unit, ``(n_rows,)``."""
    cells = pc.utf8_trim(cells, BLANKS)
    fits = pc.match_substring_regex(cells, INTEGER_TEXT_OF_UNIT)
    _refuse_first(
        cells, fits, "is not an integer, as data.format.unit expects; correct the cell", code="T302"
    )
    counts = np.asarray(pc.replace_substring_regex(cells, r"^\+", "").cast(pa.int64()).to_numpy())
    per_second = UNITS[unit]
    seconds = counts // per_second
    sensible = (seconds >= FIRST_SECOND) & (seconds <= LAST_SECOND)
    _refuse_first(
        cells,
        sensible,
        f"as {unit} since 1970 leaves the years 1 to 9999; correct data.format.unit",
        code="T302",
    )
    parts = (counts - seconds * per_second) * 1_000_000
    _refuse_first(
        cells, parts % per_second == 0, "is finer than a microsecond; round it to microseconds", code="T302"
    )
    clock: IntArray = seconds * 1_000_000 + parts // per_second
    return clock


def fitting_formats(spellings: Column, *, at_most: int = 1000) -> list[str]:
    """The usual strftime patterns that read every one of the timestamps."""
    return fitting(spellings[:at_most].to_pandas(), ALL_FORMATS)


def fitting(texts: pd.Series[str], formats: Sequence[str]) -> list[str]:
    """The patterns among ``formats`` that read every one of the texts."""
    first = texts.iloc[0] if len(texts) else ""
    likely = [form for form in formats if re.fullmatch(_shape(form), first)]
    return [form for form in likely if _reads(texts, form)]


@lru_cache(maxsize=1024)
def _shape(form: str) -> str:
    """A regular expression for texts that a pattern may read."""
    shape = re.sub(r"%([A-Za-z])", lambda field: SHAPES[field[1]], re.sub(r"[.+]", r"\\\g<0>", form))
    return shape.replace("{1,2}", "{2}") if form.startswith("%Y%m") else shape


def _reads(texts: pd.Series[str], form: str) -> bool:
    if form.startswith("%Y%m") and not texts.str.fullmatch(_shape(form)).all():
        return False
    return bool(pd.to_datetime(texts, format=form, errors="coerce").notna().all())


def looks_like_number(cell: str, *, decimal: str, thousands: str | None) -> bool:
    """Whether a cell holds a number or says that there is none; blanks around it do not matter."""
    cell = cell.strip(" \t")
    return cell in MISSING or re.fullmatch(_number_text(decimal, thousands), cell) is not None


def number_marks(decimal: str, thousands: str | None) -> str:
    """How numbers are written, in words."""
    return f"decimal mark {decimal!r}" + (f" and thousands mark {thousands!r}" if thousands else "")


@lru_cache(maxsize=8)
def _number_text(decimal: str, thousands: str | None) -> str:
    point = re.escape(decimal)
    digits = rf"([0-9]{{1,3}}({re.escape(thousands)}[0-9]{{3}})+|[0-9]+)" if thousands else "[0-9]+"
    # Infinity is read here and refused later, where series and date can be named.
    return rf"^(?i:[+-]?({digits}({point}[0-9]*)?|{point}[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?)$"


def _numbers_from_text(cells: Column, *, decimal: str, thousands: str | None) -> FloatArray:
    cells = pc.ascii_trim_whitespace(cells)
    cells = pc.if_else(pc.is_in(cells, pa.array(MISSING)), None, cells)
    fits = pc.fill_null(pc.match_substring_regex(cells, _number_text(decimal, thousands)), True)
    if first := _first_wrong(cells, fits):
        advice = advice_on_number(first, decimal=decimal, thousands=thousands)
        marks = number_marks(decimal, thousands)
        _refuse_first(cells, fits, f"is not a number with {marks}; {advice}", code="V401")
    if thousands:
        cells = pc.replace_substring(cells, thousands, "")
    return _floats(pc.replace_substring(cells, decimal, ".").cast(pa.float64()))


def _iso_moments(spellings: Column) -> pd.DatetimeIndex:
    for kind, pattern, first_days in (
        ("week such as 2024-W05", WEEK_TEXT, _first_of_weeks),
        ("quarter such as 2024Q1", QUARTER_TEXT, _first_of_quarters),
    ):
        are_such = pc.match_substring_regex(spellings, pattern)
        if len(spellings) and are_such[0].as_py():
            _refuse_first(
                spellings, are_such, f"is not a {kind}, as the rows before it; write all alike", code="T302"
            )
            return first_days(spellings)
    fits = pc.match_substring_regex(spellings, ISO_TEXT)
    if not pc.all(fits).as_py():
        _refuse_first(
            spellings,
            fits,
            f"is not a date such as 2024-03-31 or 2024-03-31 14:00; {_advice(spellings, fits)}",
            code="T302",
        )
    zones = pc.replace_substring_regex(spellings, ISO_TEXT, r"\1")
    found = pc.unique(zones).to_pylist()
    if "" in found and len(found) > 1:
        _refuse_first(
            spellings,
            pc.equal(pc.equal(zones, ""), found[0] == ""),
            "and the rows before it mix timestamps with and without a time zone; write all the same way",
            code="T303",
        )
    moments = _moments(spellings, "ISO8601", utc=found != [""], expected="a date of the calendar")
    return moments.tz_convert(_zone(found[0])) if len(found) == 1 and found != [""] else moments


def _first_of_weeks(spellings: Column) -> pd.DatetimeIndex:
    """The Monday of each ISO week."""
    mondays = pc.replace_substring_regex(spellings, WEEK_TEXT, r"\1-W\2-1")
    return _moments(mondays, "%G-W%V-%u", utc=False, expected="a week of the calendar")


def _first_of_quarters(spellings: Column) -> pd.DatetimeIndex:
    parts = spellings.to_pandas().str.extract(QUARTER_TEXT)
    years, quarters = parts[0].fillna(parts[3]), parts[1].fillna(parts[2]).astype(int)
    firsts = pa.array(years + "-" + (3 * quarters - 2).astype(str).str.zfill(2))
    return _moments(firsts, "%Y-%m", utc=False, expected="a quarter of the calendar")


def _own_moments(spellings: Column, time_format: str) -> pd.DatetimeIndex:
    expected = f"written as data.format.time_format {time_format!r} says"
    return _moments(spellings, time_format, utc="%z" in time_format, expected=expected)


def _zone(offset: str) -> str:
    """The zone of an offset as it is written after a time."""
    hours, minutes = offset[:3], offset[3:].removeprefix(":") or "00"
    return "UTC" if offset == "Z" or hours[1:] + minutes == "0000" else f"UTC{hours}:{minutes}"


def _moments(spellings: Column, time_format: str, *, utc: bool, expected: str) -> pd.DatetimeIndex:
    moments = pd.to_datetime(spellings.to_pandas(), format=time_format, errors="coerce", utc=utc)
    # NaT has no year either; the year 0 is none that the rest of Python knows.
    _refuse_first(
        spellings, moments.dt.year.between(1, 9999), f"is not {expected}; correct the cell", code="T302"
    )
    return _as_index(moments)


def _advice(spellings: Column, fits: Column) -> str:
    """How else the timestamps could be read, or what to do about the first that is none."""
    first = _first_wrong(spellings, fits)
    if first and is_no_data(first):
        return NO_DATA
    advice = "write it so, or set data.format.time_format"
    if formats := fitting_formats(spellings):
        advice += f", which could be {' or '.join(map(repr, formats[:3]))}"
    if pc.all(pc.match_substring_regex(spellings, INTEGER_TEXT)).as_py():
        advice += "; where integers count steps (and not seconds since 1970), set data.freq: integer"
    if pc.all(pc.match_substring_regex(spellings, EXCEL_DAY)).as_py():
        advice += "; day numbers of Excel (45292 is 2024-01-01) are to be formatted as dates there"
    return advice


def _first_wrong(cells: Column, fits: Column) -> str:
    """The first cell that does not fit, empty where there is none."""
    wrong = np.flatnonzero(~np.asarray(fits))
    return cells[int(wrong[0])].as_py() or "" if len(wrong) else ""


def _refuse_first(cells: Column, fits: Column, problem: str, *, code: str) -> None:
    """Refuses the first cell that does not fit; an empty one by itself."""
    wrong = np.flatnonzero(~np.asarray(fits))
    if not len(wrong):
        return
    empty = np.asarray(pc.fill_null(pc.equal(cells, ""), True))[wrong]
    if cell := cells[int(wrong[0])].as_py():
        raise CellError(f"{clipped(cell)} {problem}", wrong[~empty], code=code)
    raise CellError(EMPTY, wrong[empty], code="T301")


def _refuse_null(column: Column) -> None:
    empty = np.flatnonzero(np.asarray(column.is_null()))
    if len(empty):
        raise CellError(EMPTY, empty, code="T301")


def clipped(cell: str) -> str:
    """A cell as it appears in a message."""
    return repr(cell if len(cell) <= 60 else cell[:57] + "...")


def is_text(column: Column) -> bool:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def dictionary_of(column: Column) -> Column:
    """One dictionary array of text, its spellings in the order of their first row."""
    encoded = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    return _whole(encoded.unify_dictionaries()) if isinstance(encoded, pa.ChunkedArray) else encoded


def _each_spelling(column: Column, convert: Callable[[Column], npt.NDArray[Number]]) -> npt.NDArray[Number]:
    """What each row's text becomes, each spelling converted once, ``(n_rows,)``."""
    encoded = dictionary_of(column.cast(pa.string()) if not is_text(column) else column)
    if encoded.null_count:  # null is a spelling too
        encoded = encoded.cast(pa.string()).dictionary_encode(null_encoding="encode")
    codes = _codes(encoded)
    try:
        values = convert(encoded.dictionary)
    except CellError as error:
        rows = np.flatnonzero(np.isin(codes, error.rows))
        raise CellError(str(error), rows, code=error.code) from error
    # Every code is one of the dictionary's; saying so (clip) spares numpy the check and nine tenths of the time.
    return np.take(values, codes, mode="clip")


def _codes(encoded: Column) -> npt.NDArray[np.int32]:
    """The place of each row's text in the dictionary, -1 for null, ``(n_rows,)``."""
    indices = encoded.indices if encoded.null_count == 0 else pc.fill_null(encoded.indices, -1)
    codes: npt.NDArray[np.int32] = indices.to_numpy()
    return codes


def _whole(column: Column) -> Column:
    """A column in one piece; one that is, is not copied."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _floats(column: Column) -> FloatArray:
    return np.asarray(_whole(column).to_numpy(zero_copy_only=False), dtype=np.float64)


def _int64(column: Column) -> IntArray:
    """The numbers behind timestamps without null, ``(n_rows,)``."""
    return np.asarray(_whole(column).view(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def _in_utc(clock: IntArray, timezone: Any) -> pd.DatetimeIndex:
    """Microseconds since 1970 as timestamps: in a time zone, counted in UTC, or in none."""
    found = pd.DatetimeIndex(clock.view("M8[us]"), copy=False)
    return found if timezone is None else found.tz_localize("UTC").tz_convert(timezone)


def _as_index(moments: pd.Series[pd.Timestamp]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(moments).as_unit("us")
