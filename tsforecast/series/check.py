"""What can be wrong with the rows of a table: one function per kind of finding, in a table.

A check looks and changes nothing. It gives the first finding of its kind, how many there are, and the way
out. What the user has named a repair for is not looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from tsforecast.config.schema import RepairConfig
from tsforecast.config.words import shown
from tsforecast.errors import DataError
from tsforecast.series.panel import BoolArray, FloatArray, IntArray
from tsforecast.series.timeaxis import TimeAxis, TimeIndex, infer_freq

__all__ = ["CHECKS", "Finding", "Rows", "find"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a table by series and time, with their place on a time axis; nothing is mended yet.

    Attributes:
        axis: the grid the timestamps should lie on.
        unique_ids: names of the series, in the order of the rows.
        offsets: first row of each series and the end of the last, ``(n_series + 1,)``.
        ds: timestamps, ``(n_rows,)``.
        positions: last step of the axis at or before each timestamp, ``(n_rows,)``.
        values: target, past and future covariates, NaN where missing, ``(n_rows, n_columns)``.
        columns: names of the columns of ``values``; empty for a target that names its series.
        file_rows: index of each row in the table that was read, ``(n_rows,)``.
    """

    axis: TimeAxis
    unique_ids: tuple[str, ...]
    offsets: IntArray
    ds: TimeIndex
    positions: IntArray
    values: FloatArray
    columns: tuple[str, ...]
    file_rows: IntArray

    @property
    def firsts(self) -> BoolArray:
        """Whether a row is the first of its series, ``(n_rows,)``."""
        firsts = np.zeros(len(self.positions), dtype=np.bool_)
        firsts[self.offsets[:-1]] = True
        return firsts

    @property
    def repeats(self) -> BoolArray:
        """Whether a row has the timestamp of the row before it in its series, ``(n_rows,)``."""
        same = np.zeros(len(self.positions), dtype=np.bool_)
        same[1:] = np.asarray(self.ds[1:] == self.ds[:-1])
        return same & ~self.firsts

    def series_of(self, rows: IntArray) -> IntArray:
        """Index of the series of each row."""
        return np.searchsorted(self.offsets, rows, side="right") - 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of defect: where it is first met, how often, and what to do about it.

    Attributes:
        kind: name of the check.
        unique_id: series.
        file_row: row of the table that was read.
        problem: what was found there.
        remedy: what to do.
        n_found: defects of this kind.
        n_series: series that have one.
    """

    kind: str
    unique_id: str
    file_row: int
    problem: str
    remedy: str
    n_found: int
    n_series: int

    def text(self, where: str, place: str) -> str:
        """One line for people.

        Args:
            where: name of the file.
            place: line or row of the finding in it.
        """
        others = f" ({self.n_found} such places in {self.n_series} series)" if self.n_found > 1 else ""
        return f"{where}: {place}: series {shown(self.unique_id)}: {self.problem}{others}; {self.remedy}."


Check: TypeAlias = Callable[[Rows], Finding | None]


def find(rows: Rows, repair: RepairConfig) -> list[Finding]:
    """The findings of all checks for which no repair is named, in the order of the table."""
    wanted = (check for kind, check in CHECKS.items() if getattr(repair, kind, "error") == "error")
    return [finding for check in wanted if (finding := check(rows)) is not None]


def _infinite(rows: Rows) -> Finding | None:
    wrong = np.isinf(rows.values)
    if not wrong.any():
        return None
    row = int(np.flatnonzero(wrong.any(axis=1))[0])
    column = _column(rows, wrong[row])
    return _finding(
        rows,
        np.flatnonzero(wrong.any(axis=1)),
        kind="infinite",
        problem=f"the value{column} at {rows.ds[row]} is infinite, expected a finite number",
        remedy="correct the cell, or leave it empty and set data.repair.missing",
    )


def _off_grid(rows: Rows) -> Finding | None:
    wrong = np.flatnonzero(~rows.axis.on_grid(rows.ds, rows.positions))
    if not len(wrong):
        return None
    before, after = rows.axis.timestamps(rows.positions[wrong[0]] + np.arange(2))
    return _finding(
        rows,
        wrong,
        kind="off_grid",
        problem=(
            f"{rows.ds[wrong[0]]} is not a step of frequency {rows.axis.freq!r}; "
            f"the steps around it are {before} and {after}"
        ),
        remedy=f"correct the timestamp, or set data.freq{_freq_hint(rows)}",
    )


def _duplicates(rows: Rows) -> Finding | None:
    wrong = np.flatnonzero(rows.repeats)
    if not len(wrong):
        return None
    return _finding(
        rows,
        wrong,
        kind="duplicates",
        problem=f"a second row at {rows.ds[wrong[0]]}, expected one",
        remedy="remove one, name the series in data.id, or set data.repair.duplicates",
    )


def _gaps(rows: Rows) -> Finding | None:
    steps = np.diff(rows.positions, prepend=rows.positions[:1])
    wrong = np.flatnonzero((steps > 1) & ~rows.firsts)
    if not len(wrong) or _off_grid(rows):  # a wrong grid has gaps everywhere
        return None
    count = int(steps[wrong[0]]) - 1
    return _finding(
        rows,
        wrong,
        kind="gaps",
        problem=(
            f"{count} step{'s' * (count > 1)} missing after {rows.ds[wrong[0] - 1]} "
            f"at frequency {rows.axis.freq!r}"
        ),
        remedy="add the rows, or set data.repair.gaps",
    )


def _missing(rows: Rows) -> Finding | None:
    wrong = np.isnan(rows.values)
    if not wrong.any():
        return None
    row = int(np.flatnonzero(wrong.any(axis=1))[0])
    column = _column(rows, wrong[row])
    return _finding(
        rows,
        np.flatnonzero(wrong.any(axis=1)),
        kind="missing",
        problem=f"no value{column} at {rows.ds[row]}",
        remedy="fill in the cell, or set data.repair.missing",
    )


# Kind of finding, and name of the repair policy where it has one -> its check.
CHECKS: dict[str, Check] = {
    "infinite": _infinite,
    "off_grid": _off_grid,
    "duplicates": _duplicates,
    "gaps": _gaps,
    "missing": _missing,
}


def _column(rows: Rows, wrong: BoolArray) -> str:
    """The first wrong column of a row, as it continues a sentence."""
    name = rows.columns[int(np.argmax(wrong))]
    return f" of {name!r}" if name else ""


def _finding(rows: Rows, wrong: IntArray, *, kind: str, problem: str, remedy: str) -> Finding:
    series = rows.series_of(wrong)
    return Finding(
        kind=kind,
        unique_id=rows.unique_ids[series[0]],
        file_row=int(rows.file_rows[wrong[0]]),
        problem=problem,
        remedy=remedy,
        n_found=len(wrong),
        n_series=len(np.unique(series)),
    )


def _freq_hint(rows: Rows) -> str:
    """The frequency the dates look like, where it is another one."""
    if not isinstance(rows.ds, pd.DatetimeIndex):
        return ""
    try:
        likely = infer_freq(rows.ds, rows.offsets)
    except DataError:
        return ""
    return "" if likely == rows.axis.freq else f" (the dates look like {likely!r})"
