"""Which column is what, in a clean file: the guesses of ``tsforecast init``.

Guesses are made from names and the first rows, and proven by reading the whole file the way training does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from tsforecast.config.schema import DataConfig, FormatConfig
from tsforecast.errors import DataError
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.cells import (
    MISSING,
    CellError,
    fitting_formats,
    looks_like_number,
    to_integers,
    to_timestamps,
)
from tsforecast.series.csvfile import CsvFile, open_csv, read_columns
from tsforecast.series.panel import IntArray, Panel
from tsforecast.series.read import STDIN, listed, opener_of, read_table
from tsforecast.series.seasons import season_lengths_of
from tsforecast.series.timeaxis import INTEGER

__all__ = ["Detected", "detect"]

Sample: TypeAlias = dict[str, list[str]]  # cells by column

SAMPLE_ROWS = 2000

# Names that say what a column is, the clearest first.
TIME_NAMES = ("ds", "datetime", "timestamp", "date", "time", "month", "week", "day", "quarter", "year")
COUNTER_NAMES = ("ds", "t", "time", "timestep", "time_step", "step", "period", "index", "week", "day", "year")
ID_NAMES = ("unique_id", "series_id", "item_id", "id", "series", "item")
TARGET_NAMES = ("y", "target", "value", "sales", "demand", "load", "count", "quantity", "volume")

# A column in which no more than this share of the first rows differs is meant to be like the rest of them.
MISFIT_SHARE = 0.2
MISFIT_ROWS = 500

# Steps to forecast by the length of the season, where one season is not what people ask for.
HORIZONS = {1: 4, 4: 8, 5: 10, 7: 14, 52: 13}
LONGEST_HORIZON = 96
LEAST_HORIZONS_IN_SERIES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """What was found in a file.

    Attributes:
        data: columns and frequency.
        panel: the whole file, read with them.
        season_lengths: steps in each season, the most important first.
        horizon: a sensible number of steps to forecast.
        notes: what was guessed and from what, by config key.
    """

    data: DataConfig
    panel: Panel
    season_lengths: list[int]
    horizon: int
    notes: dict[str, str]


def detect(path: Path) -> Detected:
    """Columns of a CSV file with one row per series and step, its frequency, seasons and a horizon.

    Raises:
        DataError: no column can be read as time, or as numbers to forecast, or the file has a defect that
            training would refuse as well.
    """
    if str(path) == STDIN or path.suffix == ".parquet":
        raise DataError(
            f"{path}: init looks at CSV files, more than once; give it one, if only of some rows."
        )
    file = open_csv(str(path), opener_of(str(path)), FormatConfig(), wanted=(), numbers=())
    sample = _sample(file)
    time, freq = _time_column(file, sample)
    rest = [column for column in sample if column not in ("", time)]
    numeric = [column for column in rest if _is_numeric(file, sample[column])]
    unique_id = _id_column(file, sample, time, [column for column in rest if column not in numeric], numeric)
    targets = _by_name([column for column in numeric if column != unique_id], TARGET_NAMES)
    targets.sort(key=lambda column: _is_row_number(sample[column]))
    if not targets:
        others = {column: sample[column] for column in rest if column != unique_id or len(rest) == 1}
        _refuse_misfit(file, others, lambda cell: _is_numeric(file, [cell]), "a number")
        raise DataError(
            f"{path}: no column holds numbers to forecast; the columns are {listed(file.columns)}."
        )
    data = DataConfig(path=str(path), time=time, target=targets[0], id=unique_id, freq=freq)
    panel, _ = panel_from_table(read_table(data), data)
    data = data.model_copy(update={"freq": panel.axis.freq})
    seasons = season_lengths_of(panel)
    horizon = _horizon(seasons[0], panel)
    notes = _notes(data, panel, seasons, others=targets[1:])
    return Detected(data=data, panel=panel, season_lengths=seasons, horizon=horizon, notes=notes)


def _sample(file: CsvFile) -> Sample:
    """The first rows by column; rows of another width are left to the proper reading to refuse."""
    rows = [cells for _, cells in islice(file.records(), 1, SAMPLE_ROWS + 1)]
    rows = [cells for cells in rows if len(cells) == len(file.columns)]
    if not rows:
        raise DataError(
            f"{file.name}: no row has the {len(file.columns)} fields of the header; expected some."
        )
    return {column: [cells[k] for cells in rows] for k, column in enumerate(file.columns)}


def _time_column(file: CsvFile, sample: Sample) -> tuple[str, str]:
    """The column of timestamps, or of integers that count steps, and what its frequency is read as."""
    dates = [column for column, cells in sample.items() if _are_dates(cells)]
    if dates:
        return _by_name(dates, TIME_NAMES)[0], "auto"
    counters = [
        column for column, cells in sample.items() if column.lower() in COUNTER_NAMES and _are_integers(cells)
    ]
    if counters:
        return _by_name(counters, COUNTER_NAMES)[0], INTEGER
    for column, cells in sample.items():
        if formats := fitting_formats(pa.array(cells)):
            choice = " or ".join(map(repr, formats[:3]))
            raise DataError(
                f"{file.name}: column {column!r} holds dates such as {cells[0]!r}; write them as 2024-03-31, "
                f"or write a config with data.format.time_format, which could be {choice}."
            )
    _refuse_misfit(file, sample, lambda cell: _are_dates([cell]), "a timestamp such as 2024-03-31")
    raise DataError(
        f"{file.name}: no column holds timestamps such as 2024-03-31 or 2024-03-31 14:00; "
        f"the columns are {listed(file.columns)}."
    )


def _refuse_misfit(file: CsvFile, sample: Sample, fits: Callable[[str], bool], expected: str) -> None:
    """Names the first cell that does not fit, where a column mostly does: that cell is what is wrong."""
    for column, cells in sample.items():
        misfits = [k for k, cell in enumerate(cells[:MISFIT_ROWS]) if not fits(cell)]
        if 0 < len(misfits) <= MISFIT_SHARE * min(len(cells), MISFIT_ROWS):
            found = cells[misfits[0]]
            raise DataError(
                f"{file.name}: line {misfits[0] + 2}, column {column!r}: found {found!r}, expected {expected} as in "
                "the other rows; mend or remove that row."
            )


def _id_column(
    file: CsvFile, sample: Sample, time: str, words: Sequence[str], numeric: Sequence[str]
) -> str | None:
    """The column that, with the time, tells all rows apart; None where the time alone does.

    Where no column does, the likeliest is taken, and reading the file says which rows are twice there.
    """
    few = [column for column in numeric if _are_integers(sample[column]) and _repeats(sample[column])]
    candidates = _by_name([*words, *few], ID_NAMES)
    table = read_columns(file, text=[time, *candidates], numbers=())
    times = _codes(table, time)
    if len(np.unique(times)) == len(times) or not candidates:
        return None
    for column in candidates:
        pairs = times * np.int64(len(times)) + _codes(table, column)
        if len(np.unique(pairs)) == len(pairs):
            return column
    return candidates[0]


def _codes(table: pa.Table, column: str) -> IntArray:
    """A number for each different cell of a column, ``(n_rows,)``."""
    encoded = table.column(column).unify_dictionaries().combine_chunks()
    return np.asarray(encoded.indices, dtype=np.int64)


def _are_dates(cells: Sequence[str]) -> bool:
    try:
        return len(to_timestamps(pa.array(cells, pa.string()), time_format="auto")) > 0
    except CellError:
        return False


def _are_integers(cells: Sequence[str]) -> bool:
    try:
        return len(to_integers(pa.array(cells, pa.string()))) > 0
    except CellError:
        return False


def _is_numeric(file: CsvFile, cells: Sequence[str]) -> bool:
    """Whether all cells are numbers with one decimal mark, and at least one is not missing."""
    marks = (".",) if file.separator == "," else (".", ",")
    return not all(cell in MISSING for cell in cells) and any(
        all(looks_like_number(cell, decimal=mark, thousands=None) for cell in cells) for mark in marks
    )


def _repeats(cells: Sequence[str]) -> bool:
    return len(set(cells)) <= len(cells) // 2


def _is_row_number(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and _are_integers(cells) and all(int(b) - int(a) == 1 for a, b in pairwise(cells))


def _by_name(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns, those with a telling name first."""
    rank = {name: place for place, name in enumerate(names)}
    return sorted(columns, key=lambda column: rank.get(column.strip().lower(), len(names)))


def _horizon(season_length: int, panel: Panel) -> int:
    wanted = min(HORIZONS.get(season_length, season_length), LONGEST_HORIZON)
    return max(1, min(wanted, int(panel.lengths.min()) // LEAST_HORIZONS_IN_SERIES))


def _notes(
    data: DataConfig, panel: Panel, seasons: Sequence[int], *, others: Sequence[str]
) -> dict[str, str]:
    """What was guessed and from what, by config key."""
    notes = {"horizon": "Guess: write the number of steps you need."}
    if data.id is not None:
        notes["data.id"] = f"Guess: with {data.time!r} it tells all rows apart; {panel.n_series} series."
    if others:
        notes["data.target"] = (
            f"Guess; there are more columns of numbers: {listed(others)}. "
            "List them here where each is a series, or as data.covariates.past."
        )
    if panel.axis.is_integer:
        notes["data.freq"] = "Guess: the integers count steps."
        found = "from how values repeat" if seasons != [1] else "no season is clear in the values"
        notes["season_length"] = f"Guess: {found}."
    return notes
