"""Which column is what, in a file nobody has described: the guesses of ``tsforecast init``.

Guesses are made from names and the first rows, proven by reading the whole file the way training does, and each
says how sure it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, islice, pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tsforecast.config.schema import ASK, DataConfig, FormatConfig, RepairConfig
from tsforecast.errors import DataError
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.cells import MISSING, CellError, looks_like_number, to_integers
from tsforecast.series.csvfile import CsvFile, line_of, open_csv, read_columns, refuse_other_kinds, undecoded
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
from tsforecast.series.layout import (
    Marks,
    encoding_of,
    marks_of,
    number_cells,
    refuse_without_header,
    separator_of,
)
from tsforecast.series.panel import IntArray, Panel
from tsforecast.series.read import STDIN, listed, opener_of, read_table
from tsforecast.series.seasons import season_lengths_of, season_strength
from tsforecast.series.timeaxis import INTEGER

__all__ = ["Detected", "detect"]

Sample: TypeAlias = dict[str, list[str]]  # cells by column
Notes: TypeAlias = dict[str, str]  # by config key

SAMPLE_ROWS = 2000

# Names that say what a column is, the clearest first.
ID_NAMES = (
    *(
        "unique_id",
        "series_id",
        "item_id",
        "id",
        "series",
        "item",
        "store",
        "shop",
        "sku",
        "product",
        "filiale",
    ),
    *(
        "artikel",
        "station",
        "site",
        "sensor",
        "meter",
        "region",
        "country",
        "state",
        "city",
        "code",
        "key",
        "name",
    ),
)
TARGET_NAMES = (
    *(
        "y",
        "target",
        "value",
        "sales",
        "demand",
        "load",
        "count",
        "quantity",
        "volume",
        "wert",
        "menge",
        "umsatz",
    ),
    *(
        "absatz",
        "last",
        "verbrauch",
        "anzahl",
        "consumption",
        "passengers",
        "price",
        "close",
        "ot",
        "sold",
        "units",
    ),
)
# Names of what goes with a series, and of parts of a date: columns beside the target and no series themselves.
COVARIATE_NAMES = (
    *(
        "temperature",
        "temp",
        "holiday",
        "holidays",
        "promo",
        "promotion",
        "price",
        "humidity",
        "wind",
        "weather",
    ),
    *(
        "feiertag",
        "temperatur",
        "preis",
        "is",
        "flag",
        "onpromotion",
        "event",
        "rain",
        "discount",
        "lat",
        "lon",
    ),
    *("latitude", "longitude", "id", "code", "zip", "plz", "open"),
)
DATE_PARTS: tuple[str, ...] = (
    *(
        "year",
        "jahr",
        "quarter",
        "quartal",
        "month",
        "monat",
        "week",
        "woche",
        "weekday",
        "day",
        "tag",
        "hour",
    ),
    *("stunde", "minute", "dayofweek", "dow", "wochentag"),
)
CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?"
WITH_UNIT = re.compile(r"[^\d\s.,+-]{1,3} ?[+-]?\d[\d.,]*|[+-]?\d[\d.,]* ?[^\d\s.,+-]{1,3}")

# A column in which no more than this share of the first rows differs is meant to be like the rest of them.
MISFIT_SHARE = 0.2
MISFIT_ROWS = 500

# Rows of one timestamp that are as few as this are repeats; more are a series, or several, that must be told apart.
FEW_REPEATS = 0.05
MOST_REPEATS = 0.2
LEAST_ROWS_PER_SERIES = 3
MAX_CANDIDATES = 20
N_CLEAR_ID_NAMES = 6  # of the id names, those that are never said of anything else
UNNAMED = 10_000
LYING = 20  # columns of numbers without a time that look like a table on its side
MAX_PAIRED = 6  # columns tried two and two where none alone tells the rows apart

# Steps to forecast by the length of the season, where one season is not what people ask for.
HORIZONS = {1: 4, 4: 8, 5: 10, 7: 14, 52: 13}
LONGEST_HORIZON = 96
LEAST_HORIZONS_IN_SERIES = 5
SHORT_SERIES = 0.1  # share of the rows that may be in series too short for the horizon
FEW_HOLES = 0.1  # share of steps that may be filled without a doubt about the frequency

REPAIRS: dict[str, tuple[str, str]] = {
    "duplicates": (
        "mean",
        "rows share series and timestamp with another and are averaged; sum or last are others",
    ),
    "gaps": (
        "interpolate",
        "steps have no row and are filled on a line; write zero where no row means nothing",
    ),
    "missing": (
        "interpolate",
        "cells have no value and are filled on a line; zero, ffill or seasonal are others",
    ),
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


@dataclass(frozen=True, slots=True)
class Roles:
    """Which columns are forecast, and what tells the rows apart."""

    target: str | list[str]
    id: str | None
    notes: Notes


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
    time, reading = _time_column(file, sample)
    rest = {column: cells for column, cells in sample.items() if column not in ("", time)}
    _refuse_parts_of_dates(file, rest, time, reading, sample[time])
    reading = _proven_reading(file, time, reading)
    dotted = "." in reading.time_format
    marks = marks_of(rest.values(), separator=file.separator, dotted_dates=dotted)
    numeric = [column for column, cells in rest.items() if _is_numeric(cells, marks)]
    roles = _roles(file, rest, time, numeric)
    data = DataConfig(
        path=str(path),
        time=time,
        target=roles.target,
        id=roles.id,
        freq=reading.freq,
        format=FormatConfig(**layout | _written(marks, reading)),
        repair=_policies(REPAIRS),
    )
    panel, counts, data = _panel(data, reading)
    open_dates = bool(reading.choices) and reading.unit is None
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
        numbers = [column for column, cells in sample.items() if column and _is_row_number(cells)]
        found = {column: ROW_NUMBERS for column in numbers if name_rank(column, TIME_NAMES) is None}
    if found:
        # Dates go before integers that might be time, and a telling name before the order of the columns.
        time = min(found, key=lambda column: (_is_count(found[column]), _rank(column, TIME_NAMES)))
        return time, found[time]
    _refuse_misfit(
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
        return f"the date stands in several columns ({listed(parts)}); join them into one, such as 2024-03-31"
    for column, cells in sample.items():
        if name_rank(column, TIME_NAMES) is not None and _are_integers(cells):
            return (
                f"column {column!r} holds integers such as {cells[0][:60]!r}, which may be day numbers of Excel; "
                "format them as dates there, or name the column t where they count steps"
            )
    if len(sample) == 1:
        return (
            f"there is one column only, {file.columns[0]!r}, and no time; add a column of dates, or one that counts "
            "the rows, named t"
        )
    if "" in sample and _is_row_number(sample[""]):
        return "no column holds timestamps, and the one that counts the rows has no name; name it t"
    if (
        len(sample) > LYING
        and sum(_is_numeric(cells, Marks()) for cells in sample.values()) >= len(sample) - 2
    ):
        return f"no column holds timestamps; if each row is a series, transpose the file ({columns})"
    return f"no column holds timestamps such as 2024-03-31 or 2024-03-31 14:00; {columns}"


def _refuse_parts_of_dates(
    file: CsvFile, rest: Sample, time: str, reading: Reading, cells: Sequence[str]
) -> None:
    """Refuses a date whose hour, or a year whose month, stands in a column of its own."""
    by_name = [column for column in rest if column.strip().lower() in DATE_PARTS]
    if reading.time_format == "%Y" or (_is_count(reading) and time.strip().lower() in DATE_PARTS):
        parts = [column for column in by_name if _are_integers(rest[column])]
    elif (
        _is_count(reading) or ":" in cells[0] or "%H" in reading.time_format or len({*cells}) > len(cells) / 2
    ):
        return
    else:
        parts = [
            column
            for column, found in rest.items()
            if all(re.fullmatch(CLOCK, cell.strip()) for cell in found)
        ]
        parts += [column for column in by_name if column.strip().lower() in ("hour", "stunde", "minute")]
    if parts:
        raise DataError(
            f"{file.name}: column {time!r} holds a part of the time and {parts[0]!r} another; join them into one "
            "column, such as 2024-03-31 14:00."
        )


def _refuse_misfit(
    file: CsvFile, sample: Sample, fits: Callable[[Sequence[str]], list[bool] | None], expected: str
) -> None:
    """Names the first cell that does not fit, where a column mostly does: that cell is what is wrong."""
    for column, cells in sample.items():
        found = fits(cells[:MISFIT_ROWS])
        if found is None or all(found) or found.count(False) > MISFIT_SHARE * len(found):
            continue
        row = found.index(False)
        place = f"{file.name}: line {line_of(file, row)}, column {column!r}"
        raise DataError(f"{place}: found {cells[row][:60]!r}, expected {expected}; mend or remove that row.")


def _proven_reading(file: CsvFile, time: str, reading: Reading) -> Reading:
    """The reading that all rows prove; that of the first rows where a later one fits none."""
    column = read_columns(file, text=[time], numbers=()).column(time)
    spellings = column.unify_dictionaries().combine_chunks().dictionary
    if reading is ROW_NUMBERS:
        return reading
    return reading_of(spellings, name=time) or reading


def _roles(file: CsvFile, sample: Sample, time: str, numeric: Sequence[str]) -> Roles:
    """The columns to forecast and the one that, with the time, tells all rows apart."""
    rest = list(sample)
    words = [
        column for column in rest if column not in numeric and any(cell.strip() for cell in sample[column])
    ]
    few = [column for column in numeric if _are_integers(sample[column]) and _repeats(sample[column])]
    unique_id, note = _id_column(file, time, words, few)
    notes = {"data.id": note} if unique_id else {}
    candidates = [column for column in numeric if column != unique_id]
    if not candidates:
        _refuse_no_target(
            file, {column: sample[column] for column in rest if column != unique_id or len(rest) == 1}
        )
    series_like = _preferred(
        candidates,
        lambda column: not _is_row_number(sample[column]),
        lambda column: column.strip().lower() not in DATE_PARTS,
        lambda column: _rank(column, TARGET_NAMES) < UNNAMED or len({*sample[column]} - {*MISSING}) > 1,
    )
    series_like = _by_name(series_like, TARGET_NAMES)
    target, target_note = _target(series_like, sample, may_be_wide=unique_id is None)
    beside = [
        column for column in candidates if column not in ([target] if isinstance(target, str) else target)
    ]
    if beside:
        target_note += (
            f" Other columns of numbers: {listed(beside)}; what is known up to the cutoff can be read beside the "
            f"target as covariates: {{past: [{beside[0]}]}}."
        )
    return Roles(target, unique_id, notes | {"data.target": target_note})


def _preferred(columns: Sequence[str], *wishes: Callable[[str], bool]) -> list[str]:
    """The columns that meet each wish, as long as there are any."""
    found = list(columns)
    for wish in wishes:
        found = [column for column in found if wish(column)] or found
    return found


def _target(columns: Sequence[str], sample: Sample, *, may_be_wide: bool) -> tuple[str | list[str], str]:
    """The column to forecast, or all of a wide file, and why.

    A wide file is one without an id whose columns of numbers have names that differ in a number or in a word only,
    or say nothing, so that none of them is the target more than the others.
    """
    if len(columns) == 1:
        return columns[0], f"{SURE}: the one column of numbers to forecast."
    named = [column for column in columns if name_rank(column, TARGET_NAMES) is not None]
    exact = [column for column in named if column.strip().lower() in TARGET_NAMES]
    if exact:
        return exact[0], f"{LIKELY}: its name says so."
    if not may_be_wide:
        return columns[
            0
        ], f"{LIKELY}: its name says so." if named else f"{GUESS}: the first column of numbers."
    if len(named) == 1:
        return named[0], f"{LIKELY}: its name says so."
    series = [column for column in sample if column in (named or columns)]
    if _names_alike(series):
        return (
            series,
            f"{LIKELY}: a wide file, since {len(series)} columns have names alike; one series each.",
        )
    series = _preferred(
        series,
        lambda column: name_rank(column, COVARIATE_NAMES) is None,
        lambda column: not {cell.strip() for cell in sample[column]} <= {"0", "1", "0.0", "1.0", *MISSING},
    )
    if len(series) == 1:
        return series[0], f"{LIKELY}: the names or values of the others say that they go with it."
    return series, (
        f"{GUESS}: a wide file with one series in each of {len(series)} columns, since no name says which of them is "
        "the target; write one name where the others only explain it."
    )


def _names_alike(columns: Sequence[str]) -> bool:
    """Whether names differ in their number, or in one word, only."""
    plain = [column.strip().lower() for column in columns]
    if len({re.sub(r"\d+", "", name) for name in plain}) == 1:
        return True
    words = [re.split(r"[\W_]+", name) for name in plain]
    shared = set.intersection(*map(set, words))
    return bool(shared) and all(len(name) == len(words[0]) for name in words)


def _refuse_no_target(file: CsvFile, others: Sample) -> None:
    """Refuses a file without numbers: by its first cell that is none, where the others are."""
    for column, cells in others.items():
        filled = [cell.strip() for cell in cells if cell.strip() not in MISSING]
        if filled and sum(map(bool, map(WITH_UNIT.fullmatch, filled))) > len(filled) / 2:
            raise DataError(
                f"{file.name}: column {column!r} holds numbers with something beside them, such as "
                f"{filled[0][:60]!r}; expected numbers alone: remove the sign or the unit."
            )
    _refuse_misfit(file, others, number_cells, "a number")
    raise DataError(
        f"{file.name}: no column holds numbers to forecast; the columns are {listed(file.columns)}."
    )


def _id_column(file: CsvFile, time: str, words: Sequence[str], few: Sequence[str]) -> tuple[str | None, str]:
    """The column that, with the time, tells all rows apart, and why; None where the time alone does.

    A few rows that share their time are repeats to be merged, and make no series.
    """
    candidates = _by_name([*words, *few], ID_NAMES)[:MAX_CANDIDATES]
    table = read_columns(file, text=[time, *candidates], numbers=())
    times = _codes(table, time)
    codes = {column: _codes(table, column) for column in candidates}
    n_rows = len(times)
    alone = _repeated([times])
    named = [column for column in candidates if column.strip().lower() in ID_NAMES[:N_CLEAR_ID_NAMES]]
    if alone <= FEW_REPEATS * n_rows:
        # One after the other, series share no time; only the name of the column can say so.
        for column in named:
            n_series = int(codes[column].max()) + 1
            if 1 < n_series <= n_rows / LEAST_ROWS_PER_SERIES and not _repeated([times, codes[column]]):
                return column, f"{LIKELY}: its name says so; {n_series} series."
        return None, ""
    left = {
        column: _repeated([times, codes[column]])
        for column in candidates
        if _makes_series(codes[column], times, strictly=column in few and _rank(column, ID_NAMES) == UNNAMED)
    }
    best = min(left, key=lambda column: left[column], default=None)
    if best is not None and left[best] <= FEW_REPEATS * n_rows:
        surely = SURE if best in named else LIKELY
        found = f"with {time!r} it tells {'all' if not left[best] else 'nearly all'} rows apart"
        return best, f"{surely}: {found}; {int(codes[best].max()) + 1} series."
    for pair in combinations([column for column in (*words, *few) if column in candidates[:MAX_PAIRED]], 2):
        if not _repeated([times, *(codes[column] for column in pair)]):
            raise DataError(
                f"{file.name}: only {pair[0]!r} and {pair[1]!r} together tell apart the rows of one time; join them "
                "into one column that names the series."
            )
    if alone > MOST_REPEATS * n_rows:
        raise DataError(
            f"{file.name}: {alone} of {n_rows} rows share their time with another, and no column tells them apart; "
            "add a column that names the series, or sum the rows of each step first."
        )
    return None, ""


def _makes_series(codes: IntArray, times: IntArray, *, strictly: bool) -> bool:
    """Whether a column cuts the rows into series and not into snippets.

    Integers that no name calls an id must do so ``strictly``, at about as many times each: a count that happens to
    differ would else pass for one.
    """
    sizes = np.bincount(codes)
    if len(sizes) < 2 or np.median(sizes) < LEAST_ROWS_PER_SERIES:
        return False
    return not strictly or bool(np.median(sizes) >= (times.max() + 1) / 2)


def _repeated(codes: Sequence[IntArray]) -> int:
    """Rows less those that differ in any of the columns."""
    joined = codes[0]
    for column in codes[1:]:
        joined = joined * (column.max() + np.int64(1)) + column
    return len(joined) - len(np.unique(joined))


def _codes(table: Any, column: str) -> IntArray:
    """A number for each different cell of a column, ``(n_rows,)``."""
    encoded = table.column(column).unify_dictionaries().combine_chunks()
    # An empty cell is null where it is not quoted; the reading refuses it in the columns it must not be in.
    indices = pc.fill_null(encoded.indices, len(encoded.dictionary))
    return np.asarray(indices, dtype=np.int64)


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


def _repair(counts: Mapping[str, int], *, open_dates: bool) -> tuple[RepairConfig, Notes]:
    """The policies that the file needs, and what they do to it; what depends on dates that are open is left out."""
    needed = {kind: n for kind, n in counts.items() if not open_dates or kind == "missing"}
    notes = {f"data.repair.{kind}": f"{GUESS}: {n} {REPAIRS[kind][1]}." for kind, n in needed.items()}
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
    lengths = [*shown, *open_ones, *hidden] if shown or open_ones else [1]
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


def _blanks(file: CsvFile, sample: Sample, time: str, numeric: Sequence[str]) -> Notes:
    """Warnings of blanks that are no part of names, dates and numbers; those in ids are."""
    with_blanks = [
        column for column in (time, *numeric) if any(cell != cell.strip() for cell in sample[column])
    ]
    warnings: Notes = {}
    if file.header != file.columns:
        names = [name for name in file.header if name != name.strip()]
        warnings["header"] = f"blanks around {listed(names)} are stripped"
    if with_blanks:
        warnings["blanks"] = f"blanks around the values of {listed(with_blanks)} are stripped"
    return warnings


def _are_integers(cells: Sequence[str]) -> bool:
    try:
        return len(to_integers(pa.array([cell.strip() for cell in cells], pa.string()))) > 0
    except CellError:
        return False


def _is_numeric(cells: Sequence[str], marks: Marks) -> bool:
    """Whether all cells are numbers written with these marks, and at least one is not missing."""
    return not all(cell.strip() in MISSING for cell in cells) and all(
        looks_like_number(cell, decimal=marks.decimal, thousands=marks.thousands) for cell in cells
    )


def _repeats(cells: Sequence[str]) -> bool:
    return len(set(cells)) <= len(cells) // 2


def _is_row_number(cells: Sequence[str]) -> bool:
    return (
        len(cells) > 1
        and _are_integers(cells)
        and int(cells[0]) in (0, 1)
        and all(int(b) - int(a) == 1 for a, b in pairwise(cells))
    )


def _by_name(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns, those with a telling name first."""
    return sorted(columns, key=lambda column: _rank(column, names))


def _rank(column: str, names: Sequence[str]) -> int:
    rank = name_rank(column, names)
    return UNNAMED if rank is None else rank
