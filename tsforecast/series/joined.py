"""Several columns read as one: a date and its time of day, and names of series that stand in two columns or more.

Columns come as Arrow arrays and leave as one dictionary of text, so that each combination is put together once,
however many rows have it. A combination with an empty part is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tsforecast.series.cells import BLANKS, CellError, dictionary_of, is_text
from tsforecast.series.panel import IntArray

__all__ = ["ID_SEPARATOR", "joined_ids", "joined_times", "parts_of_id", "quoted", "time_text"]

Column = Any  # a pyarrow array; pyarrow ships no types

ID_SEPARATOR = "/"
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
ONE_DIGIT = re.compile(r"\d(:.*)?")  # an hour without its leading zero


def joined_ids(columns: Sequence[Column]) -> Column:
    """Names such as ``north/7``; a slash or backslash in a part has a backslash before it.

    So no two combinations have one name, and :func:`parts_of_id` gives the parts back.

    Raises:
        CellError: a column of neither text nor integers.
    """
    for column in columns:
        if not is_text(column) and not pa.types.is_integer(column.type):
            raise CellError(f"type {column.type} cannot name series; expected text or integers", code="I202")
    return _joined(columns, _name_of)


def parts_of_id(name: str) -> list[str]:
    """What :func:`joined_ids` put together."""
    parts = re.findall(r"(?:[^\\/]|\\.)+", name, flags=re.DOTALL)  # none is empty
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts]


def joined_times(columns: Sequence[Column]) -> Column:
    """Timestamps such as ``2024-03-31 14:00``, their parts with a blank between them.

    Raises:
        CellError: a column of another type than text, integers, dates and times of day.
    """
    return _joined([_time_part(column) for column in columns], time_text)


def time_text(parts: Sequence[str]) -> str:
    """The parts of a timestamp as one text; behind an ISO date an hour of one digit gets its zero."""
    parts = [part.strip(BLANKS) for part in parts]
    if not all(parts):
        return ""
    if ISO_DAY.fullmatch(parts[0]):
        parts[1:] = [f"0{part}" if ONE_DIGIT.fullmatch(part) else part for part in parts[1:]]
    return " ".join(parts)


def quoted(columns: Sequence[str]) -> str:
    """Columns that are read as one, for messages: ``column 'day'``, or ``columns 'day' and 'hour'``."""
    names = " and ".join(map(repr, columns))
    return f"column {names}" if len(columns) == 1 else f"columns {names}"


def _name_of(parts: Sequence[str]) -> str:
    return ID_SEPARATOR.join(re.sub(r"[\\/]", r"\\\g<0>", part) for part in parts)


def _time_part(column: Column) -> Column:
    """A column of dates or times of day as text; text and integers as they are."""
    kind = column.type
    if is_text(column) or pa.types.is_integer(kind) or pa.types.is_date(kind):
        return column.cast(pa.date32()) if pa.types.is_date64(kind) else column
    if pa.types.is_time(kind):
        return pc.replace_substring_regex(column.cast(pa.string()), r"\.0+$", "")
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return _days(column)
    raise CellError(
        f"type {kind} is no part of a timestamp; expected text, integers, dates or times of day, "
        "or a single column in data.time",
        code="T304",
    )


def _days(column: Column) -> Column:
    """Timestamps that are dates, as dates."""
    days = column.cast(pa.date32(), safe=False)
    is_day = pc.fill_null(pc.equal(days.cast(column.type), column), True)
    if rows := np.flatnonzero(~np.asarray(is_day)).tolist():
        raise CellError(
            f"{str(column[rows[0]].as_py())!r} has a time of day already; name that column alone in data.time",
            rows,
            code="T304",
        )
    return days


def _joined(columns: Sequence[Column], join: Callable[[Sequence[str]], str]) -> Column:
    """One dictionary of text for all columns, its words in the order of their first rows."""
    arrays = [dictionary_of(column) for column in columns]
    words = [[*array.dictionary.to_pylist(), ""] for array in arrays]  # the last one for null
    codes = [
        np.asarray(pc.fill_null(array.indices, len(some) - 1), dtype=np.int64)
        for array, some in zip(arrays, words, strict=True)
    ]
    place = np.zeros(len(codes[0]), np.int64)
    for code, some in zip(codes, words, strict=True):
        place = pd.factorize(place * len(some) + code)[0]
    found = (
        [some[code] for code, some in zip(row, words, strict=True)] for row in _of_first_rows(codes, place)
    )
    spellings = [join(parts) if all(parts) else "" for parts in found]
    return pa.DictionaryArray.from_arrays(pa.array(place, pa.int32()), pa.array(spellings, pa.string()))


def _of_first_rows(codes: Sequence[IntArray], place: IntArray) -> Sequence[Sequence[int]]:
    """The codes in the first row of each combination, in the order of their numbers."""
    first = np.zeros(place.max(initial=-1) + 1, np.int64)
    first[place[::-1]] = np.arange(len(place))[::-1]
    rows: Sequence[Sequence[int]] = np.column_stack([code[first] for code in codes]).tolist()
    return rows
