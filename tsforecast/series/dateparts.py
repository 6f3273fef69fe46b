"""A date whose time of day stands in a column of its own, or a year, month and day each in one: found by `init`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

import pyarrow as pa

from tsforecast.errors import DataError
from tsforecast.series.cells import CellError, to_timestamps
from tsforecast.series.csvfile import CsvFile, read_columns
from tsforecast.series.dates import LIKELY, SURE, Reading, reading_of
from tsforecast.series.joined import joined_times, time_text
from tsforecast.series.roles import DATE_PARTS, Sample, are_integers
from tsforecast.series.timeaxis import INTEGER

__all__ = ["other_parts", "reading_of_parts"]

CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?"
HOURS = ("hour", "stunde")
MINUTES = ("minute",)
# Field of the date pattern for columns named so, in the order in which they follow a year.
BELOW_YEAR = (
    (("month", "monat"), "%m"),
    (("day", "tag"), "%d"),
    (HOURS, "%H"),
    (MINUTES, "%M"),
)


def other_parts(file: CsvFile, rest: Sample, time: str, reading: Reading, cells: Sequence[str]) -> list[str]:
    """The columns that hold the rest of the time: the time of day of a date, the month and day of a year.

    Args:
        file: for messages.
        rest: first rows of the other columns.
        time: the column that was found to be the time.
        reading: how it is read.
        cells: its first rows.

    Raises:
        DataError: there is a part of the time that no year goes with, or hours from 1 to 24.
    """
    by_name = [
        column for column in rest if column.strip().lower() in DATE_PARTS and are_integers(rest[column])
    ]
    is_count = reading.freq == INTEGER or reading.unit is not None
    if is_count and time.strip().lower() in DATE_PARTS and by_name:
        raise DataError(
            f"{file.name}: column {time!r} holds a part of the time and {by_name[0]!r} another, and there is no year; "
            "add a column with it, or one with whole dates such as 2024-03-31."
        )
    if reading.time_format == "%Y":
        return _below_year(by_name)
    if is_count or ":" in cells[0] or "%H" in reading.time_format or len({*cells}) > len(cells) / 2:
        return []
    return _times_of_day(rest) or _hours(file, rest, by_name)


def reading_of_parts(file: CsvFile, sample: Sample, time: Sequence[str], reading: Reading) -> Reading:
    """How the columns of a timestamp are read together.

    Args:
        file: all its rows are looked at.
        sample: first rows, for the example.
        time: the columns, as `data.time` has them.
        reading: of the first of them.

    Raises:
        DataError: some row is no timestamp.
    """
    table = read_columns(file, text=time, numbers=())
    spellings = joined_times([table.column(column) for column in time]).dictionary
    example = time_text([sample[column][0] for column in time])
    together = f"{' and '.join(map(repr, time))} are one timestamp such as {example!r}"
    if reading.time_format == "%Y":
        fields = dict(field for names, form in BELOW_YEAR for field in ((name, form) for name in names))
        form = " ".join(["%Y", *(fields[column.strip().lower()] for column in time[1:])])
        if _fits(spellings, form):
            return Reading(LIKELY, f"by their names {together}", form)
    elif len(time) > 2:
        days = _proven(table.column(time[0]), time[0]) or reading
        dates = ["%Y-%m-%d" if form == "auto" else form for form in days.choices or [days.time_format]]
        forms = tuple(f"{date} %H %M" for date in dates)
        if all(_fits(spellings, form) for form in forms):
            reason = f"{together}; {days.reason}"
            return Reading(LIKELY, reason, forms[0], choices=forms if days.choices else ())
    elif found := reading_of(spellings, name=time[0]):
        sureness = LIKELY if found.sureness == SURE else found.sureness
        return Reading(sureness, f"{together}; {found.reason}", found.time_format, choices=found.choices)
    raise DataError(
        f"{file.name}: {together}, and not in every row; mend the others, or join them into one column."
    )


def _proven(column: pa.ChunkedArray, name: str) -> Reading | None:
    return reading_of(column.unify_dictionaries().combine_chunks().dictionary, name=name)


def _fits(spellings: pa.Array, form: str) -> bool:
    try:
        to_timestamps(spellings, time_format=form)
    except CellError:
        return False
    return True


def _below_year(by_name: Sequence[str]) -> list[str]:
    """The columns below a year, as far as none is left out in between."""
    found: list[str] = []
    for names, _ in BELOW_YEAR:
        part = next((column for column in by_name if column.strip().lower() in names), None)
        if part is None:
            break
        found.append(part)
    return found


def _times_of_day(rest: Sample) -> list[str]:
    """The first column of times such as 14:00: where there is another, it is the end of a step."""
    clocks = (
        column for column, cells in rest.items() if all(re.fullmatch(CLOCK, cell.strip()) for cell in cells)
    )
    return list(islice(clocks, 1))


def _hours(file: CsvFile, rest: Sample, by_name: Sequence[str]) -> list[str]:
    """The columns of the hour and, where there is one, of the minute."""
    found = [column for names in (HOURS, MINUTES) for column in by_name if column.strip().lower() in names]
    if not found or found[0].strip().lower() not in HOURS:
        return []
    hour = found[0]
    if "24" in {cell.strip() for cell in rest[hour]}:
        raise DataError(
            f"{file.name}: column {hour!r} counts hours up to 24, expected 0 to 23; where they run from 1 to 24, "
            "subtract 1 from each of them (the first is then from 0:00 to 1:00)."
        )
    return found[:2]
