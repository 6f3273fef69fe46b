"""Which column is what, in a file nobody has described: the guesses of ``tsforecast init``.

Guesses are made from names and the first rows, proven by reading the whole file the way training does, and each
says how sure it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tsforecast.config.schema import ASK, DataConfig, FormatConfig, RepairConfig
from tsforecast.config.words import shown
from tsforecast.errors import DataError
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.cells import EXCEL_DAY, MISSING, looks_like_number
from tsforecast.series.csvfile import CsvFile, open_csv, read_columns, refuse_other_kinds, undecoded
from tsforecast.series.dateparts import other_parts, reading_of_parts
from tsforecast.series.dates import (
    GUESS,
    LIKELY,
    SURE,
    TIME_NAMES,
    Reading,
    most_fitting,
    name_rank,
    reading_of,
)
from tsforecast.series.foreign import no_header
from tsforecast.series.layout import (
    Marks,
    encoding_of,
    marks_of,
    refuse_without_header,
    separator_of,
)
from tsforecast.series.panel import Panel
from tsforecast.series.read import STDIN, listed, opener_of, read_table
from tsforecast.series.roles import (
    DATE_PARTS,
    MISFIT_ROWS,
    MISFIT_SHARE,
    Sample,
    are_integers,
    is_row_number,
    rank_of,
    refuse_misfit,
    roles_of,
)
from tsforecast.series.seasons import season_lengths_of, season_strength
from tsforecast.series.timeaxis import INTEGER

__all__ = ["Detected", "detect"]

Notes: TypeAlias = dict[str, str]  # by config key

SAMPLE_ROWS = 2000

LYING = 20  # columns of numbers without a time that look like a table on its side
# Steps to forecast by the length of the season, where one season is not what people ask for.
HORIZONS = {1: 4, 4: 8, 5: 10, 7: 14, 52: 13}
LONGEST_HORIZON = 96
LEAST_HORIZONS_IN_SERIES = 5
SHORT_SERIES = 0.1  # share of the rows that may be in series too short for the horizon
MOST_GAPS = 50  # steps without a row for each row
FEW_HOLES = 0.1  # share of steps that may be filled without a doubt about the frequency

# The policy that is written where a file needs one, and what it does.
REPAIRS = {
    "duplicates": (
        "mean",
        "rows with the series and timestamp of another: {}; they are averaged, not summed",
    ),
    "gaps": ("interpolate", "steps without a row: {}; they are filled on a line, and zero may be meant"),
    "missing": ("interpolate", "cells without a value: {}; they are filled on a line, and zero may be meant"),
}

ROW_NUMBERS = Reading(GUESS, "there are no dates, and the integers count the rows", freq=INTEGER)


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """What was found in a file.

    Attributes:
        data: columns, form, frequency and repairs, as they read the file.
        panel: the whole file, read with them.
        season_lengths: steps in each season, the most important first.
        horizon: a sensible number of steps to forecast.
        notes: what was guessed, how surely and from what, by config key.
        warnings: what was changed in reading, or is missing, by config key or name of a column.
        questions: marks for the keys that only the user can fill, by config key; ``data`` holds one of the answers
            that are possible.
    """

    data: DataConfig
    panel: Panel
    season_lengths: list[int]
    horizon: int
    notes: Notes
    warnings: Notes = field(default_factory=dict)
    questions: Notes = field(default_factory=dict)


def detect(path: Path) -> Detected:
    """Columns of a CSV file, how they are written, frequency, seasons, repairs and a horizon.

    Raises:
        DataError: no column can be read as time, or as numbers to forecast, or the file has a defect that no
            repair policy mends.
    """
    if str(path) == STDIN or path.suffix == ".parquet":
        raise DataError(
            f"{path}: init looks at CSV files, more than once; give it one, if only of some rows."
        )
    file, layout, notes = _opened(path)
    sample = _sample(file)
    column, reading = _time_column(file, sample)
    rest = {name: cells for name, cells in sample.items() if name not in ("", column)}
    time = [column, *other_parts(file, rest, column, reading, sample[column])]
    reading = _proven_reading(file, sample, time, reading)
    rest = {name: cells for name, cells in rest.items() if name not in time}
    dotted = "." in reading.time_format
    marks = marks_of(rest.values(), separator=file.separator, dotted_dates=dotted)
    numeric = [column for column, cells in rest.items() if _is_numeric(cells, marks)]
    roles = roles_of(file, rest, time, numeric)
    data = DataConfig(
        path=str(path),
        time=time if len(time) > 1 else column,
        target=roles.target,
        id=roles.id,
        freq=reading.freq,
        format=FormatConfig(**layout | _written(marks, reading)),
        repair=_policies(REPAIRS),
    )
    panel, counts, data = _panel(data, reading)
    open_dates = bool(reading.choices) and reading.unit is None
    if not open_dates:
        _refuse_far_dates(file, panel, counts.get("gaps", 0))
    repair, repair_notes = _repair(counts, open_dates=open_dates)
    usual = season_lengths_of(panel)
    seasons, season_note = _seasons(panel, usual)
    questions = reading.question | ({"data.format.decimal": ASK} if marks.is_open else {})
    notes |= _notes_of_form(marks, reading) | roles.notes | repair_notes
    notes |= {
        "data.freq": _freq_note(panel, counts.get("gaps", 0)),
        "season_length": season_note,
        "horizon": f"{GUESS}: write the number of steps you need.",
    }
    freq = "auto" if reading.choices else panel.axis.freq
    return Detected(
        data=data.model_copy(update={"freq": freq, "repair": repair}),
        panel=panel,
        season_lengths=seasons,
        horizon=_horizon(usual[0], panel),
        notes=notes,
        warnings=_blanks(file, sample, time, numeric) | repair_notes | {key: notes[key] for key in questions},
        questions=questions,
    )


def _opened(path: Path) -> tuple[CsvFile, dict[str, Any], Notes]:
    """The file, what of its form the config has to say, and notes on that."""
    bare = CsvFile(str(path), opener_of(str(path)), "utf-8-sig")
    encoding = encoding_of(bare)
    file = bare if encoding == "utf-8" else replace(bare, encoding=encoding)
    refuse_other_kinds(file if encoding == "utf-16" else bare)
    layout: dict[str, Any] = {}
    notes: Notes = {}
    if encoding != "utf-8":
        layout["encoding"] = encoding
        notes["data.format.encoding"] = (
            f"{SURE}: the first bytes say so."
            if encoding.startswith("utf")
            else f"{LIKELY}: the bytes are not UTF-8, and are the letters of Windows in western Europe."
        )
    separator = separator_of(file)
    records = list(islice(replace(file, separator=separator).records(), MISFIT_ROWS))
    if records:  # else there are only blank lines, which are refused below
        refuse_without_header(replace(file, separator=separator), records)
    if separator != ",":
        layout["separator"] = separator
        notes["data.format.separator"] = f"{SURE}: it cuts the lines into equally many fields."
    form = FormatConfig(encoding=encoding, separator=separator)
    return open_csv(file.name, file.opener, form, wanted=(), numbers=()), layout, notes


def _sample(file: CsvFile) -> Sample:
    """The first rows by column; rows of another width are left to the proper reading to refuse."""
    rows = []
    for line, cells in islice(file.records(), 1, SAMPLE_ROWS + 1):
        if fault := undecoded(file, cells):
            raise DataError(f"{file.name}: line {line}: {fault}.")
        if len(cells) == len(file.columns):
            rows.append(cells)
    return {column: [cells[k] for cells in rows] for k, column in enumerate(file.columns)}


def _time_column(file: CsvFile, sample: Sample) -> tuple[str, Reading]:
    """The column of timestamps, or of integers that count steps, and how it is read."""
    found = {
        column: reading
        for column, cells in sample.items()
        if column and (reading := reading_of(pa.array(sorted({*cells}), pa.string()), name=column))
    }
    if not found and len(sample) > 1:
        numbers = [column for column, cells in sample.items() if column and is_row_number(cells)]
        found = {column: ROW_NUMBERS for column in numbers if name_rank(column, TIME_NAMES) is None}
    if found:
        # Dates go before integers that might be time, and a telling name before the order of the columns.
        time = min(found, key=lambda column: (_is_count(found[column]), rank_of(column, TIME_NAMES)))
        return time, found[time]
    refuse_misfit(
        file,
        sample,
        lambda cells: most_fitting(cells, share=1 - MISFIT_SHARE),
        "a timestamp written as in the other rows",
    )
    raise DataError(f"{file.name}: {_why_no_time(file, sample)}.")


def _is_count(reading: Reading) -> bool:
    return reading.freq == INTEGER or reading.unit is not None


def _why_no_time(file: CsvFile, sample: Sample) -> str:
    """What keeps a file from having a time column, with the way out."""
    columns = f"the columns are {listed(file.columns)}"
    parts = [column for column in sample if column.strip().lower() in DATE_PARTS]
    if len(parts) > 1:
        return f"the date stands in several columns ({listed(parts)}), and none of them is the year; add it"
    for column, cells in sample.items():
        if name_rank(column, TIME_NAMES) is None:
            continue
        if are_integers(cells) or all(re.fullmatch(EXCEL_DAY, cell.strip()) for cell in cells):
            return (
                f"column {column!r} holds numbers such as {cells[0][:60]!r}, which may be day numbers of Excel; "
                "format them as dates there, or name the column t where they count steps"
            )
    if len(sample) == 1:
        if fault := no_header(file.header, file.separator, is_known=False):
            return fault
        return (
            f"there is one column only, {shown(file.columns[0])}, and no time; add a column of dates, or one that "
            "counts the rows, named t"
        )
    if "" in sample and is_row_number(sample[""]):
        return "no column holds timestamps, and the one that counts the rows has no name; name it t"
    if (
        len(sample) > LYING
        and sum(_is_numeric(cells, Marks()) for cells in sample.values()) >= len(sample) - 2
    ):
        return f"no column holds timestamps; if each row is a series, transpose the file ({columns})"
    column = min(sample, key=lambda column: rank_of(column, TIME_NAMES))
    found = next((cell for cell in sample[column] if cell.strip()), "")
    return (
        f"no column holds timestamps such as 2024-03-31 or 2024-03-31 14:00; {columns}, and {column!r} has cells such "
        f"as {found[:60]!r}: write them so, or write a config that names it as data.time, with data.format.time_format"
    )


def _proven_reading(file: CsvFile, sample: Sample, time: Sequence[str], reading: Reading) -> Reading:
    """The reading that all rows prove, where the first rows leave a doubt and a later one does not deny it."""
    if len(time) > 1:
        return reading_of_parts(file, sample, time, reading)
    if reading is ROW_NUMBERS or reading.sureness == SURE:
        return reading
    column = read_columns(file, text=time, numbers=()).column(time[0])
    spellings = column.unify_dictionaries().combine_chunks().dictionary
    return reading_of(spellings, name=time[0]) or reading


def _panel(data: DataConfig, reading: Reading) -> tuple[Panel, dict[str, int], DataConfig]:
    """The panel, what was repaired, and the config it was read with.

    Where the dates can be read in several ways, the one that leaves the fewest gaps is taken to look at the data.
    """
    if reading.unit or not reading.choices:
        return *panel_from_table(read_table(data), data), data
    found: list[tuple[Panel, dict[str, int], DataConfig]] = []
    refused: DataError | None = None
    for choice in reading.choices:
        form = data.format.model_copy(update={"time_format": choice})
        as_chosen = data.model_copy(update={"format": form})
        try:
            found.append((*panel_from_table(read_table(as_chosen), as_chosen), as_chosen))
        except DataError as error:
            refused = refused or error
    if refused and not found:
        raise refused
    return min(found, key=lambda each: each[1].get("gaps", 0))


def _refuse_far_dates(file: CsvFile, panel: Panel, gaps: int) -> None:
    """Refuses to fill far more steps than there are rows: a date far from the others is a slip and no gap."""
    n_rows = len(panel.y) - gaps
    if gaps <= MOST_GAPS * n_rows:
        return
    ends = panel.axis.timestamps(np.array([panel.starts.min(), panel.positions(panel.last_cutoffs).max()]))
    raise DataError(
        f"{file.name}: the gaps between {n_rows} rows come to {gaps} steps of frequency {panel.axis.freq!r}, from "
        f"{ends[0]} to {ends[1]}; expected few: correct the dates that are far from the others."
    )


def _repair(counts: Mapping[str, int], *, open_dates: bool) -> tuple[RepairConfig, Notes]:
    """The policies that the file needs, and what they do to it; what depends on dates that are open is left out."""
    needed = {kind: n for kind, n in counts.items() if not open_dates or kind == "missing"}
    notes = {f"data.repair.{kind}": f"{GUESS}: {REPAIRS[kind][1].format(n)}." for kind, n in needed.items()}
    return _policies(needed), notes


def _policies(kinds: Iterable[str]) -> RepairConfig:
    return RepairConfig.model_validate({kind: REPAIRS[kind][0] for kind in kinds})


def _freq_note(panel: Panel, gaps: int) -> str:
    if panel.axis.is_integer:
        return f"{LIKELY}: the integers count steps."
    share = gaps / len(panel.y)
    surely = SURE if not gaps else LIKELY if share <= FEW_HOLES else GUESS
    found = "no step is missing" if not gaps else f"{gaps} of {len(panel.y)} steps ({share:.1%}) have no row"
    return f"{surely}: it explains the times of all rows; {found}."


def _seasons(panel: Panel, usual: Sequence[int]) -> tuple[list[int], str]:
    """The season lengths of the frequency that the data shows, and what it shows of each.

    One that it does not show comes last where another is shown, and is left out where none is.
    """
    if panel.axis.is_integer:
        found = "no season is clear in the values" if usual == [1] else "found from how values repeat"
        return list(usual), f"{GUESS}: {found}."
    if list(usual) == [1]:
        return [1], f"{LIKELY}: frequency {panel.axis.freq!r} has no usual season that the data covers twice."
    strengths = {m: season_strength(panel, m, shorter=usual[k - 1] if k else 1) for k, m in enumerate(usual)}
    shown = [m for m, strength in strengths.items() if strength and strength[1]]
    open_ones = [m for m, strength in strengths.items() if strength is None]
    hidden = [m for m in usual if m not in shown and m not in open_ones]
    lengths = [*shown, *open_ones, *hidden] if shown or not hidden else [1]
    surely = SURE if len(shown) == len(usual) else LIKELY if shown else GUESS
    return lengths, f"{surely}: {'; '.join(_season_text(m, strengths[m], lengths) for m in usual)}."


def _season_text(length: int, strength: tuple[float, bool] | None, lengths: Sequence[int]) -> str:
    if strength is None:
        return f"{length} is usual for the frequency, and no series is long enough to show it"
    found = f"values {length} steps apart correlate by {strength[0]:.2f}"
    if strength[1]:
        return found
    return f"{found}, so {length} is {'put last' if length in lengths else 'left out'}"


def _horizon(season_length: int, panel: Panel) -> int:
    """A season or so, at most a fifth of the shortest series but for those that hold few of the rows."""
    wanted = min(HORIZONS.get(season_length, season_length), LONGEST_HORIZON)
    lengths = np.sort(panel.lengths)
    usual = int(lengths[np.searchsorted(lengths.cumsum(), SHORT_SERIES * lengths.sum())])
    return max(1, min(wanted, usual // LEAST_HORIZONS_IN_SERIES))


def _written(marks: Marks, reading: Reading) -> dict[str, Any]:
    """What the config has to say of numbers and timestamps."""
    written = {"decimal": marks.decimal if marks.example else ".", "thousands": marks.thousands}
    written |= {"time_format": reading.time_format, "unit": reading.unit}
    usual = {"thousands": None, "time_format": "auto", "unit": None}
    if marks == Marks(example=marks.example):
        usual["decimal"] = "."
    return {key: value for key, value in written.items() if key not in usual or value != usual[key]}


def _notes_of_form(marks: Marks, reading: Reading) -> Notes:
    notes = {"data.time": f"{reading.sureness}: {reading.reason}."}
    if reading.choices:
        key = "data.format.unit" if reading.unit else "data.format.time_format"
        way_on = "; write data.freq: integer where they count steps" if reading.unit else ""
        notes[key] = f"Please answer, or training is refused: {reading.reason}{way_on}."
    if marks.is_open:
        notes["data.format.decimal"] = (
            f"Please answer, or training is refused: {marks.example!r} may be a decimal number or thousands; write "
            "the decimal mark here, and the other mark as thousands: if that is what it is."
        )
    elif marks.thousands:
        notes["data.format.thousands"] = f"{LIKELY}: numbers are written like {marks.example!r}."
    elif marks.decimal == ",":
        notes["data.format.decimal"] = f"{SURE}: numbers are written like {marks.example!r}."
    return notes


def _blanks(file: CsvFile, sample: Sample, time: Sequence[str], numeric: Sequence[str]) -> Notes:
    """Warnings of blanks that are no part of names, dates and numbers; those in ids are."""
    with_blanks = [
        column for column in (*time, *numeric) if any(cell != cell.strip() for cell in sample[column])
    ]
    warnings: Notes = {}
    if names := [name for name in file.header if name != name.strip()]:
        warnings["header"] = f"blanks around {listed(names)} are stripped"
    if with_blanks:
        warnings["blanks"] = f"blanks around the values of {listed(with_blanks)} are stripped"
    return warnings


def _is_numeric(cells: Sequence[str], marks: Marks) -> bool:
    """Whether all cells are numbers written with these marks, and at least one is not missing."""
    return not all(cell.strip() in MISSING for cell in cells) and all(
        looks_like_number(cell, decimal=marks.decimal, thousands=marks.thousands) for cell in cells
    )
