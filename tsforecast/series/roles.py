"""Which columns are forecast, and which one names the series: by names, by counts, and by what tells rows apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tsforecast.errors import DataError
from tsforecast.series.advice import advice_on_number
from tsforecast.series.cells import MISSING, CellError, to_integers
from tsforecast.series.csvfile import CsvFile, line_of, read_columns
from tsforecast.series.dates import GUESS, LIKELY, SURE, name_rank
from tsforecast.series.layout import number_cells
from tsforecast.series.panel import IntArray
from tsforecast.series.read import listed

__all__ = [
    "DATE_PARTS",
    "MISFIT_ROWS",
    "MISFIT_SHARE",
    "Roles",
    "Sample",
    "are_integers",
    "is_row_number",
    "rank_of",
    "refuse_misfit",
    "roles_of",
]

Sample: TypeAlias = dict[str, list[str]]  # cells by column

# Names that say what a column is, the clearest first.
ID_NAMES: tuple[str, ...] = (
    *("unique_id", "series_id", "item_id", "id", "series", "item", "store", "shop", "sku", "product"),
    *("filiale", "artikel", "station", "site", "sensor", "meter", "region", "country", "state", "city"),
    *("code", "key", "name"),
)
N_CLEAR_ID_NAMES = 6  # the first, which are never said of anything else
TARGET_NAMES: tuple[str, ...] = (
    *("y", "target", "value", "sales", "demand", "load", "count", "quantity", "wert", "menge", "umsatz"),
    *("absatz", "last", "verbrauch", "anzahl", "consumption", "passengers", "close", "price", "volume"),
    *("ot", "sold", "units"),
)
# Names of what goes with a series, and of parts of a date: columns beside the target and no series themselves.
COVARIATE_NAMES: tuple[str, ...] = (
    *("temperature", "temp", "holiday", "holidays", "promo", "promotion", "price", "humidity", "wind"),
    *("weather", "feiertag", "temperatur", "preis", "is", "flag", "onpromotion", "event", "rain"),
    *("discount", "lat", "lon", "latitude", "longitude", "id", "code", "zip", "plz", "open"),
)
DATE_PARTS: tuple[str, ...] = (
    *("year", "jahr", "quarter", "quartal", "month", "monat", "week", "woche", "weekday", "day", "tag"),
    *("hour", "stunde", "minute", "dayofweek", "dow", "wochentag"),
)
UNNAMED = 10_000  # rank of a name that says nothing

# A column in which no more than this share of the first rows differs is meant to be like the rest of them.
MISFIT_SHARE = 0.2
MISFIT_ROWS = 500
WITH_UNIT = re.compile(r"[^\d\s.,+-]{1,3} ?[+-]?\d[\d.,]*|[+-]?\d[\d.,]* ?[^\d\s.,+-]{1,3}")

# Rows of one timestamp that are as few as this are repeats; more are a series, or several, that must be told apart.
FEW_REPEATS = 0.05
MOST_REPEATS = 0.2
LEAST_ROWS_PER_SERIES = 3
MAX_CANDIDATES = 20
MAX_TOGETHER = 6  # columns tried two and two, and three and three, where none alone tells the rows apart


@dataclass(frozen=True, slots=True)
class Roles:
    """Which columns are forecast, and what tells the rows apart."""

    target: str | list[str]
    id: str | list[str] | None
    notes: dict[str, str]


def roles_of(file: CsvFile, sample: Sample, time: Sequence[str], numeric: Sequence[str]) -> Roles:
    """The columns to forecast and the ones that, with the time, tell all rows apart."""
    rest = list(sample)
    words = [
        column for column in rest if column not in numeric and any(cell.strip() for cell in sample[column])
    ]
    few = [column for column in numeric if are_integers(sample[column]) and _repeats(sample[column])]
    ids, note = _id_columns(file, time, words, few)
    notes = {"data.id": note} if ids else {}
    candidates = [column for column in numeric if column not in ids]
    if not candidates:
        _refuse_no_target(
            file, {column: sample[column] for column in rest if column not in ids or len(rest) == 1}
        )
    _refuse_spoiled(file, sample, [column for column in words if column not in ids], candidates)
    series_like = _preferred(
        candidates,
        lambda column: not is_row_number(sample[column]),
        lambda column: column.strip().lower() not in DATE_PARTS,
        lambda column: rank_of(column, TARGET_NAMES) < UNNAMED or len({*sample[column]} - {*MISSING}) > 1,
    )
    series_like = _by_name(series_like, TARGET_NAMES)
    target, target_note = _target(series_like, sample, may_be_wide=not ids)
    beside = [
        column for column in candidates if column not in ([target] if isinstance(target, str) else target)
    ]
    if beside:
        target_note += (
            f" Other columns of numbers: {listed(beside)}; what is known up to the cutoff can be read beside the "
            f"target as covariates: {{past: [{beside[0]}]}}."
        )
    named = ids if len(ids) > 1 else ids[0] if ids else None
    return Roles(target, named, notes | {"data.target": target_note})


def refuse_misfit(
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


def are_integers(cells: Sequence[str]) -> bool:
    """Whether all cells are integers; blanks around them do not matter."""
    try:
        return len(to_integers(pa.array([cell.strip() for cell in cells], pa.string()))) > 0
    except CellError:
        return False


def is_row_number(cells: Sequence[str]) -> bool:
    """Whether cells count the rows, from 0 or 1 on."""
    return (
        len(cells) > 1
        and are_integers(cells)
        and int(cells[0]) in (0, 1)
        and all(int(b) - int(a) == 1 for a, b in pairwise(cells))
    )


def rank_of(column: str, names: Sequence[str]) -> int:
    """How clearly a name says what a column is, to sort by; names that say nothing come last."""
    rank = name_rank(column, names)
    return UNNAMED if rank is None else rank


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


def _refuse_spoiled(file: CsvFile, sample: Sample, words: Sequence[str], numeric: Sequence[str]) -> None:
    """Refuses a column that would be forecast but for a cell or two that are no numbers.

    Otherwise another column would quietly take its place.
    """
    is_named = any(name_rank(column, TARGET_NAMES) is not None for column in numeric)
    for column in words:
        filled = [cell for cell in sample[column] if cell.strip() not in MISSING]
        misfits = number_cells(filled).count(False)
        is_wanted = name_rank(column, TARGET_NAMES) is not None or not is_named
        if is_wanted and rank_of(column, ID_NAMES) == UNNAMED and misfits <= MISFIT_SHARE * len(filled):
            refuse_misfit(file, {column: sample[column]}, number_cells, "a number")


def _refuse_no_target(file: CsvFile, others: Sample) -> None:
    """Refuses a file without numbers: by its first cell that is none, where the others are."""
    for column, cells in others.items():
        filled = [cell.strip() for cell in cells if cell.strip() not in MISSING]
        if filled and sum(map(bool, map(WITH_UNIT.fullmatch, filled))) > len(filled) / 2:
            raise DataError(
                f"{file.name}: column {column!r} holds numbers with something beside them, such as "
                f"{filled[0][:60]!r}; expected numbers alone: remove the sign or the unit."
            )
    refuse_misfit(file, others, number_cells, "a number")
    examples = {
        column: next((cell for cell in cells if cell.strip()), "") for column, cells in others.items()
    }
    column = min(
        examples, key=lambda column: (not examples[column], rank_of(column, TARGET_NAMES)), default=""
    )
    advice = ""
    if found := examples.get(column, ""):
        what = advice_on_number(found[:60], decimal=".", thousands=None)
        advice = f", and {column!r} has cells such as {found[:60]!r}: {what}"
    raise DataError(
        f"{file.name}: no column holds numbers to forecast; the columns are {listed(file.columns)}{advice}."
    )


def _id_columns(
    file: CsvFile, time: Sequence[str], words: Sequence[str], few: Sequence[str]
) -> tuple[list[str], str]:
    """The columns that, with the time, tell all rows apart, and why; none where the time alone does.

    One column goes before two, and two before three. A few rows that share their time are repeats to be merged, and
    make no series.
    """
    candidates = _by_name([*words, *few], ID_NAMES)[:MAX_CANDIDATES]
    table = read_columns(file, text=[*time, *candidates], numbers=())
    times = _as_one([_codes(table, column) for column in time])
    codes = {column: _codes(table, column) for column in candidates}
    n_rows = len(times)
    alone = _repeated([times])
    named = [column for column in candidates if column.strip().lower() in ID_NAMES[:N_CLEAR_ID_NAMES]]
    if alone <= FEW_REPEATS * n_rows:
        # One after the other, series share no time; only the name of the column can say so.
        for column in named:
            n_series = int(codes[column].max()) + 1
            if 1 < n_series <= n_rows / LEAST_ROWS_PER_SERIES and not _repeated([times, codes[column]]):
                return [column], f"{LIKELY}: its name says so; {n_series} series."
        return [], ""
    left = {
        column: _repeated([times, codes[column]])
        for column in candidates
        if _makes_series(
            codes[column], times, strictly=column in few and rank_of(column, ID_NAMES) == UNNAMED
        )
    }
    best = min(left, key=lambda column: left[column], default=None)
    is_enough = best is not None and left[best] <= FEW_REPEATS * n_rows
    together = None
    if best is None or left[best]:  # repeats that another id column explains are none
        together = _together(file, times, codes, only_named=is_enough)
    if best is not None and is_enough and not together:
        surely = SURE if best in named else LIKELY
        found = f"with {' and '.join(map(repr, time))} it tells {'all' if not left[best] else 'nearly all'} rows apart"
        return [best], f"{surely}: {found}; {int(codes[best].max()) + 1} series."
    if together:
        ids, n_series = together
        return ids, (
            f"{LIKELY}: with {' and '.join(map(repr, time))} they tell all rows apart, and no column does alone; "
            f"{n_series} series."
        )
    if alone > MOST_REPEATS * n_rows:
        raise DataError(
            f"{file.name}: {alone} of {n_rows} rows share their time with another, and no column tells them apart; "
            "add a column that names the series, or sum the rows of each step first."
        )
    return [], ""


def _together(
    file: CsvFile, times: IntArray, codes: Mapping[str, IntArray], *, only_named: bool
) -> tuple[list[str], int] | None:
    """The fewest columns that only together tell the rows of one time apart, in their order, and how many series.

    The target may tell rows apart by chance, so that columns with its names are none of them.
    """
    tried = [column for column in codes if rank_of(column, TARGET_NAMES) == UNNAMED][:MAX_TOGETHER]
    for size in (2, 3):
        for columns in combinations(tried, size):
            of_series = _as_one([codes[column] for column in columns])
            are_named = all(rank_of(column, ID_NAMES) != UNNAMED for column in columns)
            if only_named and not are_named:
                continue
            if _makes_series(of_series, times, strictly=not are_named) and not _repeated([times, of_series]):
                return sorted(columns, key=file.columns.index), int(of_series.max()) + 1
    return None


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
    return len(codes[0]) - int(_as_one(codes).max(initial=-1)) - 1


def _as_one(codes: Sequence[IntArray]) -> IntArray:
    """A number for each different combination of codes, ``(n_rows,)``."""
    joined = codes[0]
    for column in codes[1:]:
        joined = np.asarray(pd.factorize(joined)[0] * (column.max() + np.int64(1)) + column)
    return np.asarray(pd.factorize(joined)[0], dtype=np.int64)


def _codes(table: Any, column: str) -> IntArray:
    """A number for each different cell of a column, ``(n_rows,)``."""
    encoded = table.column(column).unify_dictionaries().combine_chunks()
    # An empty cell is null where it is not quoted; the reading refuses it in the columns it must not be in.
    indices = pc.fill_null(encoded.indices, len(encoded.dictionary))
    return np.asarray(indices, dtype=np.int64)


def _repeats(cells: Sequence[str]) -> bool:
    return len(set(cells)) <= len(cells) // 2


def _by_name(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The columns, those with a telling name first."""
    return sorted(columns, key=lambda column: rank_of(column, names))
