"""From the long table to the Panel: sort, place on a time axis, check, repair as told."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsforecast.config.schema import DataConfig, RepairConfig
from tsforecast.config.words import shown
from tsforecast.errors import DataError
from tsforecast.series.check import Finding, Rows, find, find_by_series
from tsforecast.series.memory import memory_errors, refuse_beyond_memory
from tsforecast.series.panel import BoolArray, FloatArray, IntArray, Panel
from tsforecast.series.read import name_of, place_of
from tsforecast.series.repair import FILLS, MERGES
from tsforecast.series.seasons import default_season_lengths
from tsforecast.series.stretches import stretches
from tsforecast.series.timeaxis import INTEGER, TimeAxis, TimeIndex, axis_over, check_freq, infer_freq

__all__ = [
    "Aside",
    "freq_of_table",
    "numbered",
    "on_axis",
    "panel_from_rows",
    "panel_from_table",
    "refuse_many_words",
    "rows_of_table",
    "times_of",
]

log = logging.getLogger(__name__)

Codes: TypeAlias = npt.NDArray[np.integer[Any]]  # which of the names each row has

# More steps than this for each row there is are no gaps but a wrong date.
MAX_STEPS_PER_ROW = 100
# More words than this are names, not kinds; each would be learned from a handful of rows.
MAX_CATEGORIES = 1000
STEPS_ALWAYS_ALLOWED = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The rows of all series with a row for every step.

    Attributes:
        offsets: first row of each series and the end of the last, ``(n_series + 1,)``.
        starts: axis position of each series' first row, ``(n_series,)``.
        values: target and past covariates, NaN where missing, ``(n_rows, n_columns)``.
        is_gap: whether the table has no such row, ``(n_rows,)``.
        masked: whether a missing value stays unknown, as its policy says, ``(n_rows, n_columns)``.
    """

    offsets: IntArray
    starts: IntArray
    values: FloatArray
    is_gap: BoolArray
    masked: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Aside:
    """What a table says beside the values of its rows.

    Attributes:
        last: position of the last target of each series; rows after it say what is known ahead, ``(n_series,)``.
        categories: words of the categorical columns.
        static: static covariates of each series, ``(n_series, n_static)``.
    """

    last: IntArray
    categories: dict[str, tuple[str, ...]]
    static: FloatArray


def panel_from_table(
    table: pd.DataFrame,
    data: DataConfig,
    *,
    freq: str | None = None,
    where: str = "",
    warn: bool = True,
    locate: bool = True,
) -> tuple[Panel, dict[str, int]]:
    """The Panel of a table, and how much each kind of repair has changed.

    Series are ordered by name. Those of a wide file begin and end with their first and last value. Where a
    repair has nothing to fill the beginning of a series from, the series begins later.

    Args:
        table: as ``read_table`` gives it; left as it is.
        data: columns, frequency and repair policies, which hold for the target and the covariates.
        freq: instead of ``data.freq``.
        where: the file the table was read from, for messages; ``data.path`` where empty.
        warn: say what is odd about series, which matters to who learns from them.
        locate: say in which line of a file an error is, for which it is walked through.

    Returns:
        The panel, its missing values filled or, where masked, NaN, and the numbers of rows merged as
        ``duplicates``, of steps added as ``gaps``, of cells filled, masked or left out as ``missing`` and
        ``infinite``, and of values raised to 0 as ``negative``; kinds with nothing to repair do not appear.

    Raises:
        ConfigError: the frequency is not one.
        DataError: the data has a defect for which no repair is named; the message has a line for each kind.
        ResourceError: it does not fit in memory.
    """
    where = name_of(where or data.path)
    with memory_errors(where):
        return _checked_panel(table, data, freq=freq, where=where, warn=warn, locate=locate)


def _checked_panel(
    table: pd.DataFrame, data: DataConfig, *, freq: str | None, where: str, warn: bool, locate: bool
) -> tuple[Panel, dict[str, int]]:
    rows, aside = rows_of_table(table, data, freq=freq, where=where)
    if findings := find(rows, data.repair):
        raise DataError.of([_refusal(finding, rows, data, where, locate=locate) for finding in findings])
    for finding in find(rows, data.repair, "warning") if warn else ():
        log.warning("%s", finding.text(where))
    return panel_from_rows(rows, aside, data, where=where)


def panel_from_rows(
    rows: Rows, aside: Aside, data: DataConfig, *, where: str
) -> tuple[Panel, dict[str, int]]:
    """As :func:`panel_from_table`, from rows in which :func:`find` finds no error."""
    n_negative = int((rows.values[:, 0] < 0).sum()) if data.repair.negative == "zero" else 0
    if n_negative:
        values = rows.values.copy()
        values[:, 0] = np.where(np.isneginf(values[:, 0]), values[:, 0], np.maximum(values[:, 0], 0.0))
        rows = replace(rows, values=values)
    merged = _merged(rows, data.repair, aside.categories)
    grid = _spread(merged, where)
    counts = {
        "duplicates": len(rows.values) - len(merged.values),
        "gaps": int(grid.is_gap.sum()),
        "missing": int(np.isnan(merged.values).sum()),
        "infinite": int(np.isinf(merged.values).sum()),
        "negative": n_negative,
    }
    grid = _from_first_complete(_filled(grid, data.repair, rows, aside.categories), rows, where)
    return _panel(grid, rows, aside, data, where), {kind: count for kind, count in counts.items() if count}


def _panel(grid: Grid, rows: Rows, aside: Aside, data: DataConfig, where: str) -> Panel:
    """The Panel of a grid: history up to the last target, and what is known ahead from there on."""
    covariates = data.covariates
    lengths = aside.last - grid.starts + 1
    if (empty := np.flatnonzero(lengths < 1)).size:
        name = shown(rows.unique_ids[empty[0]])
        raise DataError(
            f"{where}: series {name} has no row with a value in every column; remove the series.",
            code="V407",
            series={rows.unique_ids[s]: "no row with a value in every column" for s in empty},
        )
    history = np.concatenate([[0], np.cumsum(lengths)])
    values = grid.values
    if not np.array_equal(history, grid.offsets):
        values = values[np.arange(history[-1]) + np.repeat(grid.offsets[:-1] - history[:-1], lengths)]
    n_past = len(covariates.past)
    return Panel(
        axis=rows.axis,
        unique_ids=rows.unique_ids,
        offsets=history,
        starts=grid.starts,
        y=np.require(
            np.ascontiguousarray(values[:, 0]), requirements="W"
        ),  # a table's own is not for writing
        past=np.array(values[:, 1 : 1 + n_past]),  # a copy: a view, even of no column, would keep all of them
        past_names=tuple(covariates.past),
        future=np.array(grid.values[:, 1 + n_past :]),
        future_offsets=grid.offsets,
        future_names=tuple(covariates.future),
        static=aside.static,
        static_names=tuple(covariates.static),
        categories=aside.categories,
    )


def _refusal(finding: Finding, rows: Rows, data: DataConfig, where: str, *, locate: bool) -> DataError:
    assert finding.file_row is not None, "an error has a row"
    # Where one of them is enough to refuse the data, nobody asks for the others.
    most = 0 if data.on_bad_series == "fail" else len(rows.unique_ids)
    each, _ = find_by_series(rows, data.repair, "error", most=most, code=finding.code)
    return DataError(
        finding.text(where, place_of(data, where, finding.file_row) if locate else ""),
        code=finding.code,
        series={one.unique_id: one.problem for one in each},
    )


def on_axis(table: pd.DataFrame, axis: TimeAxis) -> BoolArray:
    """Whether each row of a table lies on a step of an axis, ``(n_rows,)``."""
    times = times_of(table)
    return axis.on_grid(times, axis.floor(times))


def freq_of_table(table: pd.DataFrame) -> str:
    """The frequency the timestamps of a table look like, ``integer`` for integer time.

    Raises:
        DataError: no series has three different timestamps.
    """
    order, codes, _ = _order_of(table)
    return _freq_of(times_of(table)[order], _offsets_of(codes[order]))


def rows_of_table(
    table: pd.DataFrame, data: DataConfig, *, freq: str | None = None, where: str
) -> tuple[Rows, Aside]:
    """The table by series and time, on its axis, and what it says beside; a wide one without empty ends of columns.

    Args:
        table: as ``read_table`` gives it.
        data: columns and frequency.
        freq: instead of ``data.freq``.
        where: the file the table was read from, for messages.

    Raises:
        ConfigError: the frequency is not one.
        DataError: the timestamps have no common axis, a column of a wide file is empty, or a covariate is not
            what the config calls it.
    """
    freq = freq or data.freq
    if table.empty:
        raise DataError(f"{where}: there is no row; expected at least one.", code="F102")
    covariates = data.covariates
    columns = ["y", *covariates.past, *covariates.future]
    categories = _categories(table, covariates.categorical, where)
    values = _side_by_side([numbered(table[column], categories.get(column)) for column in columns])
    order, codes, names = _order_of(table)
    if not isinstance(data.target, str):
        inside = _inside(values[order, 0], _offsets_of(codes[order]), to_the_end=bool(covariates.future))
        order = np.arange(len(values))[order][inside]
        offsets = np.searchsorted(codes[order], np.arange(len(names) + 1).astype(codes.dtype))
    else:
        offsets = _offsets_of_all(codes, len(names))
    del codes
    if (empty := np.flatnonzero(np.diff(offsets) == 0)).size:
        raise DataError(
            f"{where}: series {shown(names[empty[0]])} has no value; remove it from data.target.",
            code="V407",
            series={names[s]: "no value" for s in empty},
        )
    sorted_anew = 0 if isinstance(order, slice) else 8 * (2 + len(columns))
    refuse_beyond_memory(where, len(table), 8 * (1 + len(columns)) + sorted_anew)
    ds = times_of(table)[order]
    try:
        axis = axis_over(ds, _freq_of(ds, offsets) if freq == "auto" else check_freq(freq))
        positions = axis.floor(ds)
    except DataError as error:
        raise DataError(f"{where}: {error}", code=error.code) from error
    values = values[order]  # a view where the order is that of the table
    ends = _ends(values[:, 0], offsets) if covariates.future else offsets[1:]
    if (empty := np.flatnonzero(ends == offsets[:-1])).size:
        raise DataError(
            f"{where}: series {shown(names[empty[0]])} has no value, only rows to forecast; add its history.",
            code="V407",
            series={names[s]: "no value" for s in empty},
        )
    if covariates.future:
        ahead = np.arange(len(values)) >= np.repeat(ends, np.diff(offsets))
        values[ahead, : 1 + len(covariates.past)] = (
            0.0  # nothing is missing there; cut off once the grid is laid
        )
    rows = Rows(
        axis=axis,
        unique_ids=names,
        offsets=offsets,
        ds=ds,
        positions=positions,
        values=values,
        columns=(str(data.target) if data.id else "", *columns[1:]),
        file_rows=_rows_of_file(table.index, order),
        ends=ends if covariates.future else None,
    )
    return rows, Aside(
        last=positions[ends - 1],
        categories=categories,
        static=_static(table, order, offsets, names, data, categories, where),
    )


def _categories(table: pd.DataFrame, columns: Sequence[str], where: str) -> dict[str, tuple[str, ...]]:
    """The words of each categorical column, sorted.

    Raises:
        DataError: more of them than the network can learn to tell apart.
    """
    found = {}
    for column in columns:
        words = sorted(table[column].dropna().unique())
        refuse_many_words(words, column, where)
        found[column] = tuple(map(str, words))
    return found


def refuse_many_words(words: Sized, column: str, where: str) -> None:
    """Refuses a categorical column of more words than the network can learn to tell apart.

    Raises:
        DataError: it has more.
    """
    if len(words) > MAX_CATEGORIES:
        raise DataError(
            f"{where}: column {column!r}: {len(words)} different words, expected at most {MAX_CATEGORIES}; "
            "group the rare ones, or leave the column out of data.covariates.",
            code="V414",
        )


def numbered(column: pd.Series[Any], words: tuple[str, ...] | None) -> FloatArray:
    """A column as float64: words by their number from 1, and 0 for none."""
    if words is None:
        return column.to_numpy(dtype=np.float64)
    codes: FloatArray = pd.Categorical(column, categories=list(words)).codes.astype(np.float64) + 1
    return codes


def _side_by_side(columns: Sequence[FloatArray]) -> FloatArray:
    """The columns of a matrix; of a single one a view, which nothing is written to."""
    return columns[0][:, None] if len(columns) == 1 else np.column_stack(columns)


def _ends(y: FloatArray, offsets: IntArray) -> IntArray:
    """One past the last row of each series that has a target, ``(n_series,)``; its first row where none has."""
    row = np.where(np.isnan(y), -1, np.arange(len(y)))
    ends: IntArray = np.maximum(np.maximum.reduceat(row, offsets[:-1]) + 1, offsets[:-1])
    return ends


def _static(
    table: pd.DataFrame,
    order: IntArray | slice,
    offsets: IntArray,
    names: tuple[str, ...],
    data: DataConfig,
    categories: Mapping[str, tuple[str, ...]],
    where: str,
) -> FloatArray:
    """The static covariates of each series, ``(n_series, n_static)``.

    Raises:
        DataError: one changes within a series, or a number is missing.
    """
    static = np.empty((len(names), len(data.covariates.static)))
    for k, column in enumerate(data.covariates.static):
        values = numbered(table[column], categories.get(column))[order]
        static[:, k] = values[offsets[:-1]]
        expected = np.repeat(static[:, k], np.diff(offsets))
        wrong = np.flatnonzero((values != expected) | np.isnan(values))
        if wrong.size:
            series = int(_series_of(wrong[:1], offsets)[0])
            place = place_of(data, where, int(_rows_of_file(table.index, order)[wrong[0]]))
            found = table[column].to_numpy()[order][[offsets[series], wrong[0]]]
            problem = (
                "has no value" if pd.isna(found[1]) else f"is {found[1]!s}, and {found[0]!s} in its first row"
            )
            raise DataError(
                f"{where}: {place}: series {shown(names[series])}: the static covariate {column!r} {problem}; "
                "expected one value for all rows: correct it, or list it under data.covariates.past or future.",
                code="V415",
                series={
                    names[s]: f"the static covariate {column!r} changes or is missing"
                    for s in np.unique(_series_of(wrong, offsets))
                },
            )
    return static


def _rows_of_file(index: pd.Index[int], order: IntArray | slice) -> pd.Index[int]:
    """The index of a table in an order, which it is itself where the table has all rows of a file."""
    if (
        isinstance(index, pd.RangeIndex)
        and index.start == 0
        and index.step == 1
        and not isinstance(order, slice)
    ):
        return pd.Index(order, copy=False)
    return index[order]


def _order_of(table: pd.DataFrame) -> tuple[IntArray | slice, Codes, tuple[str, ...]]:
    """The order of the rows by series and time, the series of each row before ordering, and their names.

    Rows with the same timestamp keep the order they have in the file.
    """
    ids = pd.Categorical(table["unique_id"])
    if not _all_used(ids):
        ids = ids.remove_unused_categories()
    names = np.asarray(ids.categories, dtype=object)
    by_name = np.argsort(names)
    codes = _ranked(ids.codes, by_name)
    times = times_of(table)
    clock = times.asi8 if isinstance(times, pd.DatetimeIndex) else times
    return _sorting(codes, clock), codes, tuple(map(str, names[by_name]))


def _sorting(codes: Codes, clock: IntArray) -> IntArray | slice:
    """What puts the rows in order by series and, within each, by time; a slice copies nothing."""
    if _in_order(codes, clock, slice(None)):
        return slice(None)
    by_series = np.argsort(codes, kind="stable")  # quicker than by time as well, which is often in order
    return by_series if _in_order(codes, clock, by_series) else np.lexsort((clock, codes))


def _all_used(ids: pd.Categorical) -> bool:
    """Whether each name has a row."""
    used = np.zeros(len(ids.categories), dtype=np.bool_)
    for part in stretches(len(ids)):
        used[ids.codes[part]] = True
    return bool(used.all())


def _ranked(codes: Codes, by_name: IntArray) -> Codes:
    """The place of each row's series among the sorted names, ``(n_rows,)``."""
    if (by_name[1:] > by_name[:-1]).all():  # they are sorted
        return codes
    rank = np.empty_like(by_name, dtype=codes.dtype)
    rank[by_name] = np.arange(len(by_name), dtype=codes.dtype)
    ranked = np.empty_like(codes)
    for part in stretches(len(codes)):
        np.take(rank, codes[part], mode="clip", out=ranked[part])  # all are there: no need to check each
    return ranked


def _in_order(codes: Codes, clock: IntArray, order: IntArray | slice) -> bool:
    """Whether the rows, taken in an order, are by series and, within each, by time."""
    for part in stretches(len(codes) - 1):
        both = slice(part.start, part.stop + 1)  # each row and the one after it
        rows = both if isinstance(order, slice) else order[both]
        code, moment = codes[rows], clock[rows]
        later, same = code[1:] > code[:-1], code[1:] == code[:-1]
        if not (later | (same & (moment[1:] >= moment[:-1]))).all():
            return False
    return True


def times_of(table: pd.DataFrame) -> TimeIndex:
    ds = table["ds"]
    return ds.to_numpy() if pd.api.types.is_integer_dtype(ds.dtype) else pd.DatetimeIndex(ds)


def _offsets_of_all(codes: Codes, n_series: int) -> IntArray:
    """As :func:`_offsets_of`, from codes in any order."""
    counts = np.zeros(n_series, dtype=np.int64)
    for part in stretches(len(codes), at_least=n_series):
        counts += np.bincount(codes[part], minlength=n_series)
    return np.concatenate([[0], np.cumsum(counts)])


def _offsets_of(codes: Codes) -> IntArray:
    """First row of each series and the end of the last, from the ordered codes of the rows."""
    return np.searchsorted(codes, np.arange(int(codes.max(initial=-1)) + 2).astype(codes.dtype))


def _freq_of(ds: TimeIndex, offsets: IntArray) -> str:
    return infer_freq(ds, offsets) if isinstance(ds, pd.DatetimeIndex) else INTEGER


def _inside(y: FloatArray, offsets: IntArray, *, to_the_end: bool) -> BoolArray:
    """Whether a row is between the first and the last value of its series, or its last row, ``(n_rows,)``."""
    known = np.flatnonzero(~np.isnan(y))
    bounds = np.searchsorted(known, offsets)
    inside = np.zeros(len(y), dtype=np.bool_)
    for (low, high), end in zip(pairwise(bounds), offsets[1:], strict=True):
        if low < high:
            inside[known[low] : end if to_the_end else known[high - 1] + 1] = True
    return inside


def _merged(rows: Rows, repair: RepairConfig, words: Container[str]) -> Rows:
    """One row for each timestamp of a series."""
    repeats = rows.repeats
    if not repeats.any():
        return rows
    firsts = np.flatnonzero(~repeats)
    # Two sales are summed; the temperature they were made at is not.
    of_covariates = "mean" if repair.duplicates == "sum" else repair.duplicates
    policies = [repair.duplicates] + [
        "last" if column in words else of_covariates for column in rows.columns[1:]
    ]
    return replace(
        rows,
        offsets=np.searchsorted(firsts, rows.offsets),
        ends=None if rows.ends is None else np.searchsorted(firsts, rows.ends),
        ds=rows.ds[firsts],
        positions=rows.positions[firsts],
        values=np.hstack([MERGES[how](rows.values[:, k : k + 1], firsts) for k, how in enumerate(policies)]),
        file_rows=rows.file_rows[firsts],
    )


def _spread(rows: Rows, where: str) -> Grid:
    """A row for every step between the first and the last of each series."""
    starts = rows.positions[rows.offsets[:-1]]
    lengths = rows.positions[rows.offsets[1:] - 1] - starts + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    n_rows = len(rows.positions)
    if offsets[-1] == n_rows:
        return Grid(
            offsets=offsets,
            starts=starts,
            values=rows.values,
            is_gap=np.zeros(n_rows, dtype=np.bool_),
            masked=np.zeros(rows.values.shape, dtype=np.bool_),
        )
    if offsets[-1] > MAX_STEPS_PER_ROW * n_rows + STEPS_ALWAYS_ALLOWED:
        raise DataError(
            f"{where}: the gaps between {n_rows} rows come to {offsets[-1] - n_rows} steps of frequency "
            f"{rows.axis.freq!r}; expected few: correct the dates that are far from the others, or data.freq.",
            code="T309",
            series={
                rows.unique_ids[s]: "gaps longer than its data"
                for s in np.flatnonzero(lengths > MAX_STEPS_PER_ROW * np.diff(rows.offsets))
            },
        )
    place = rows.positions + np.repeat(offsets[:-1] - starts, np.diff(rows.offsets))
    values = np.full((offsets[-1], rows.values.shape[1]), np.nan)
    values[place] = rows.values
    is_gap = np.ones(offsets[-1], dtype=np.bool_)
    is_gap[place] = False
    masked = np.zeros(values.shape, dtype=np.bool_)
    return Grid(offsets=offsets, starts=starts, values=values, is_gap=is_gap, masked=masked)


def _filled(grid: Grid, repair: RepairConfig, rows: Rows, words: Container[str]) -> Grid:
    """Gaps and missing values filled, each by its policy and from values that were there.

    Words are carried on; one that is masked is no word.
    """
    missing, infinite = np.isnan(grid.values), np.isinf(grid.values)
    if not missing.any() and not infinite.any():
        return grid
    season_length = default_season_lengths(rows.axis.freq)[0]
    is_word = np.array([column in words for column in rows.columns], dtype=np.bool_)
    masked = infinite | (missing & (np.where(grid.is_gap, repair.gaps, repair.missing) == "mask")[:, None])
    there = np.where(infinite, np.nan, grid.values)
    values = np.where(masked & is_word, 0.0, there)
    for series in np.unique(_series_of(np.flatnonzero(missing.any(axis=1)), grid.offsets)):
        part = slice(grid.offsets[series], grid.offsets[series + 1])
        is_gap = grid.is_gap[part]
        for column in range(values.shape[1]):
            for policy, holes in ((repair.gaps, is_gap), (repair.missing, missing[part, column] & ~is_gap)):
                if holes.any() and policy not in ("mask", "error"):
                    fill = FILLS["ffill" if is_word[column] else policy]
                    fitting = fill(there[part, column], season_length)
                    values[part, column][holes] = fitting[holes]
    return replace(grid, values=values, masked=masked & ~is_word)


def _from_first_complete(grid: Grid, rows: Rows, where: str) -> Grid:
    """The grid without the rows that come before the first complete one of their series."""
    complete = np.asarray((~np.isnan(grid.values) | grid.masked).all(axis=1))
    can_begin = complete & ~np.isnan(grid.values[:, 0])  # an unknown target at the beginning tells nothing
    if complete.all() and can_begin[grid.offsets[:-1]].all():
        return grid
    known = np.flatnonzero(can_begin)
    first = np.append(known, len(can_begin))[np.searchsorted(known, grid.offsets[:-1])]
    if (empty := np.flatnonzero(first >= grid.offsets[1:])).size:
        name = shown(rows.unique_ids[empty[0]])
        raise DataError(
            f"{where}: series {name} has no row with a value in every column; remove the series.",
            code="V407",
            series={rows.unique_ids[s]: "no row with a value in every column" for s in empty},
        )
    keep = np.arange(len(complete)) >= np.repeat(first, np.diff(grid.offsets))
    if (unfilled := np.flatnonzero(keep & ~complete)).size:
        series = int(_series_of(unfilled[:1], grid.offsets)[0])
        step = grid.starts[series] + unfilled[:1] - grid.offsets[series]
        raise DataError(
            f"{where}: series {shown(rows.unique_ids[series])}: there is nothing to fill the value at "
            f"{rows.axis.timestamps(step)[0]} from; set another policy in data.repair.",
            code="V408",
            series={
                rows.unique_ids[s]: "nothing to fill a value from"
                for s in np.unique(_series_of(unfilled, grid.offsets))
            },
        )
    dropped = first - grid.offsets[:-1]
    return Grid(
        offsets=grid.offsets - np.concatenate([[0], np.cumsum(dropped)]),
        starts=grid.starts + dropped,
        values=grid.values[keep],
        is_gap=grid.is_gap[keep],
        masked=grid.masked[keep],
    )


def _series_of(rows: IntArray, offsets: IntArray) -> IntArray:
    return np.searchsorted(offsets, rows, side="right") - 1
