"""What can be wrong with the rows of a table: one function per kind of finding, in a table.

A check looks and changes nothing. It gives the rows that are wrong, and what to say about each. What the user has
named a repair for is not looked for. Errors keep a table from becoming a Panel; warnings do not. Every code has its
section in docs/checks.md.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from tsforecast.config.schema import RepairConfig
from tsforecast.config.words import shown
from tsforecast.errors import DataError
from tsforecast.series.panel import BoolArray, FloatArray, IntArray
from tsforecast.series.seasons import default_season_lengths
from tsforecast.series.stretches import indices_where, series_stretches
from tsforecast.series.timeaxis import TimeAxis, TimeIndex, infer_freq

__all__ = ["CHECKS", "Check", "Finding", "Rows", "Severity", "find", "find_by_series"]

Severity: TypeAlias = Literal["error", "warning"]

# A value so many times larger than the median of its series is taken for a slip.
OUTLIER = 1e5
# Whole numbers from here on are not all different in float64; what is far beyond was no whole number.
FIRST_INEXACT, NO_INTEGER = 2.0**53, 2.0**64
# Correlations closer to 1 than this differ from it by rounding; fewer rows may be in line by chance.
ALL_BUT_EQUAL = 1e-9
LEAST_ROWS = 8
# Ends of series lie apart from the others' where the distance exceeds this share of a usual series.
FAR = 0.25
FEWEST_SERIES = 3


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
        ends: one past the last row of each series that has a target, ``(n_series,)``; rows after it say what is
            known ahead, and their targets are 0. None where no row lies ahead.
    """

    axis: TimeAxis
    unique_ids: tuple[str, ...]
    offsets: IntArray
    ds: TimeIndex
    positions: IntArray
    values: FloatArray
    columns: tuple[str, ...]
    file_rows: pd.Index[int]
    ends: IntArray | None = None

    @property
    def history(self) -> Rows:
        """The rows that do not lie ahead."""
        if self.ends is None or np.array_equal(self.ends, self.offsets[1:]):
            return self
        row = np.arange(len(self.positions))
        known = np.flatnonzero(row < np.repeat(self.ends, np.diff(self.offsets)))
        return replace(
            self,
            offsets=np.searchsorted(known, self.offsets),
            ds=self.ds[known],
            positions=self.positions[known],
            values=self.values[known],
            file_rows=self.file_rows[known],
            ends=None,
        )

    @property
    def firsts(self) -> BoolArray:
        """Whether a row is the first of its series, ``(n_rows,)``."""
        firsts = np.zeros(len(self.positions), dtype=np.bool_)
        firsts[self.offsets[:-1]] = True
        return firsts

    @property
    def repeats(self) -> BoolArray:
        """Whether a row has the timestamp of the row before it in its series, ``(n_rows,)``."""
        clock = self.ds.asi8 if isinstance(self.ds, pd.DatetimeIndex) else self.ds
        same = np.zeros(len(clock), dtype=np.bool_)
        np.equal(clock[1:], clock[:-1], out=same[1:])
        same[self.offsets[:-1]] = False
        return same

    def series_of(self, rows: IntArray) -> IntArray:
        """Index of the series of each row."""
        return np.searchsorted(self.offsets, rows, side="right") - 1


@dataclass(frozen=True, slots=True)
class Words:
    """What to say about one place.

    Attributes:
        found: what is there.
        expected: what should be.
        remedy: what to do.
        setting: the line of the config that would repair it; empty where none would.
    """

    found: str
    expected: str
    remedy: str
    setting: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Defects:
    """Where a check has found something.

    Attributes:
        rows: the rows, in ascending order.
        say: what to say about one of them.
        of_series: whether the series as a whole is meant; ``rows`` then has one row of each.
    """

    rows: IntArray
    say: Callable[[int], Words]
    of_series: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """An entry of the table of checks.

    Attributes:
        code: its section in docs/checks.md; never used for anything else again.
        look: gives the rows that are wrong.
        severity: whether a table with this defect can be learned from.
    """

    code: str
    look: Callable[[Rows], Defects]
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of defect: where it is first met, how often, and what to do about it.

    Attributes:
        code: of the check.
        severity: error or warning.
        unique_id: series.
        file_row: row of the table that was read; None where the series as a whole is meant.
        ds: its timestamp as text; empty where the series as a whole is meant.
        words: what was found there, what was expected and what to do.
        n_found: defects of this kind.
        n_series: series that have one.
    """

    code: str
    severity: Severity
    unique_id: str
    file_row: int | None
    ds: str
    words: Words
    n_found: int
    n_series: int

    def text(self, where: str, place: str = "") -> str:
        """One line for people.

        Args:
            where: name of the file.
            place: line or row of the finding in it.
        """
        at = f"{where}: {place}: " if place else f"{where}: "
        return f"{at}series {shown(self.unique_id)}: {self.problem}; {self.words.remedy}."

    @property
    def problem(self) -> str:
        """What was found and what was expected, and how often."""
        others = ""
        if self.n_found > 1:
            others = f" ({self.n_found} such places in {self.n_series} series)"
            if self.file_row is None:
                others = f" ({self.n_series} such series)"
        return f"{self.words.found}, expected {self.words.expected}{others}"


def find(rows: Rows, repair: RepairConfig, severity: Severity = "error") -> list[Finding]:
    """A finding for each check that fails, but those a repair is named for, in the order of the table.

    Rows that lie ahead are looked at for errors alone.
    """
    rows = rows.history if severity == "warning" else rows
    return [_finding(rows, check, defects) for check, defects in _failing(rows, repair, severity)]


def find_by_series(
    rows: Rows, repair: RepairConfig, severity: Severity, *, most: int, code: str | None = None
) -> tuple[list[Finding], dict[str, int]]:
    """As :func:`find`, with a finding of its own for each of the first ``most`` series.

    Args:
        rows: to look at.
        repair: policies; what they mend is no finding.
        severity: errors or warnings.
        most: series told of each check.
        code: of the one check that is looked at; None looks at all.

    Returns:
        The findings, and by code how many more series have one.
    """
    rows = rows.history if severity == "warning" else rows
    findings: list[Finding] = []
    left_out = {}
    for check, defects in _failing(rows, repair, severity):
        if code not in (None, check.code):
            continue
        series = rows.series_of(defects.rows)
        names, begins = np.unique(series, return_index=True)
        if len(names) > most:
            left_out[check.code] = len(names) - most
        for first, end in islice(pairwise([*begins, len(series)]), most):
            part = Defects(defects.rows[first:end], defects.say, defects.of_series)
            findings.append(_finding(rows, check, part))
    return findings, left_out


def _failing(rows: Rows, repair: RepairConfig, severity: Severity) -> Iterator[tuple[Check, Defects]]:
    for kind, check in CHECKS.items():
        if check.severity == severity and getattr(repair, kind, "error") == "error":
            defects = check.look(rows)
            if len(defects.rows):
                yield check, defects


def _finding(rows: Rows, check: Check, defects: Defects) -> Finding:
    first = int(defects.rows[0])
    series = rows.series_of(defects.rows)
    return Finding(
        code=check.code,
        severity=check.severity,
        unique_id=rows.unique_ids[series[0]],
        file_row=None if defects.of_series else int(rows.file_rows[first]),
        ds="" if defects.of_series else str(rows.ds[first]),
        words=defects.say(first),
        n_found=len(defects.rows),
        n_series=len(np.unique(series)),
    )


def _infinite(rows: Rows) -> Defects:
    wrong = np.isinf(rows.values)
    return Defects(
        np.flatnonzero(wrong.any(axis=1)),
        lambda row: Words(
            found=f"the value{_column(rows, wrong[row])} at {rows.ds[row]} is infinite",
            expected="a finite number",
            remedy="correct the cell, or set data.repair.infinite",
            setting="data.repair.infinite: mask",
        ),
    )


def _off_grid(rows: Rows) -> Defects:
    def say(row: int) -> Words:
        before, after = rows.axis.timestamps(rows.positions[row] + np.arange(2))
        likely = _likely_freq(rows)
        return Words(
            found=f"{rows.ds[row]} is not a step of frequency {rows.axis.freq!r}",
            expected=f"{before} or {after}",
            remedy="correct the timestamp, or set data.freq"
            + (f" (the dates look like {likely!r})" if likely else ""),
            setting=f"data.freq: {likely}" if likely else "",
        )

    wrong = indices_where(
        len(rows.positions), lambda part: ~rows.axis.on_grid(rows.ds[part], rows.positions[part])
    )
    return Defects(wrong, say)


def _duplicates(rows: Rows) -> Defects:
    return Defects(
        np.flatnonzero(rows.repeats),
        lambda row: Words(
            found=f"a second row at {rows.ds[row]}",
            expected="one",
            remedy="remove one, name the series in data.id, or set data.repair.duplicates",
            setting="data.repair.duplicates: last",
        ),
    )


def _gaps(rows: Rows) -> Defects:
    jumps = 1 + indices_where(
        len(rows.positions) - 1,
        lambda part: rows.positions[part.start + 1 : part.stop + 1] - rows.positions[part] > 1,
    )
    wrong = jumps[~np.isin(jumps, rows.offsets)]
    if len(wrong) and len(_off_grid(rows).rows):  # a wrong grid has gaps everywhere
        wrong = wrong[:0]

    def say(row: int) -> Words:
        count = int(rows.positions[row] - rows.positions[row - 1]) - 1
        return Words(
            found=f"{count} step{'s' * (count > 1)} missing after {rows.ds[row - 1]}",
            expected=f"a row for each step of frequency {rows.axis.freq!r}",
            remedy="add the rows, or set data.repair.gaps",
            setting="data.repair.gaps: mask",
        )

    return Defects(wrong, say)


def _missing(rows: Rows) -> Defects:
    wrong = np.isnan(rows.values)
    return Defects(
        np.flatnonzero(wrong.any(axis=1)),
        lambda row: Words(
            found=f"no value{_column(rows, wrong[row])} at {rows.ds[row]}",
            expected="a number",
            remedy="fill in the cell, or set data.repair.missing",
            setting="data.repair.missing: mask",
        ),
    )


def _negative(rows: Rows) -> Defects:
    y = rows.values[:, 0]
    return Defects(
        np.flatnonzero(y < 0),
        lambda row: Words(
            found=f"the value{_column(rows, np.array([True]))} at {rows.ds[row]} is {y[row]:g}",
            expected="none below 0, as data.repair.negative: error says",
            remedy="correct the cell, or set data.repair.negative",
            setting="data.repair.negative: zero",
        ),
    )


def _near_duplicate_ids(rows: Rows) -> Defects:
    first_of: dict[str, int] = {}
    other = {
        s: t for s, name in enumerate(rows.unique_ids) if (t := first_of.setdefault(_folded(name), s)) < s
    }
    return Defects(
        rows.offsets[list(other)].astype(np.int64),
        lambda row: Words(
            found=f"the id differs from {_telling(rows.unique_ids[other[_series(rows, row)]])} "
            "only in case, blanks or the form of its letters",
            expected="one spelling for one series",
            remedy="write both alike if they are one series",
        ),
        of_series=True,
    )


def _series(rows: Rows, row: int) -> int:
    return int(np.searchsorted(rows.offsets, row, side="right")) - 1


def _folded(name: str) -> str:
    """What is left of a name without case, blanks at its ends and in a row, and compatible forms of letters."""
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    return " ".join(plain.casefold().split())


def _telling(name: str) -> str:
    """A name with its odd characters spelled out, so that two that look alike can be told apart."""
    return shown(name) if name.isascii() else ascii(name)


def _all_zero(rows: Rows) -> Defects:
    lowest, highest, count = _extremes(rows)
    return Defects(
        rows.offsets[:-1][(lowest == 0) & (highest == 0) & (count > 1)],
        lambda _: Words(
            found="every value is 0",
            expected="values that change",
            remedy="leave the series out if nothing is measured there",
        ),
        of_series=True,
    )


def _constant(rows: Rows) -> Defects:
    lowest, highest, count = _extremes(rows)
    return Defects(
        rows.offsets[:-1][(lowest == highest) & (lowest != 0) & (count > 1)],
        lambda row: Words(
            found=f"every value is {np.nanmax(rows.values[row : _end(rows, row), 0]):g}",
            expected="values that change",
            remedy="leave the series out if nothing is measured there",
        ),
        of_series=True,
    )


def _end(rows: Rows, row: int) -> int:
    """End of the series a row is in."""
    return int(rows.offsets[np.searchsorted(rows.offsets, row, side="right")])


def _extremes(rows: Rows) -> tuple[FloatArray, FloatArray, IntArray]:
    """Lowest and highest finite target and number of finite targets of each series, ``(n_series,)`` each."""
    y, first = rows.values[:, 0], rows.offsets[:-1]
    finite = np.isfinite(y)
    if finite.all():
        return np.minimum.reduceat(y, first), np.maximum.reduceat(y, first), np.diff(rows.offsets)
    lowest = np.minimum.reduceat(np.where(finite, y, np.inf), first)
    highest = np.maximum.reduceat(np.where(finite, y, -np.inf), first)
    return lowest, highest, np.add.reduceat(finite, first, dtype=np.int64)


def _outlier(rows: Rows) -> Defects:
    lowest, highest, _ = _extremes(rows)
    with np.errstate(over="ignore"):
        limits = np.maximum(np.abs(lowest), np.abs(highest)) / OUTLIER
    # Where all values lie on one side and are larger than the limit, so is their median.
    likely = (lowest <= limits) & (highest >= -limits)
    found = [
        _far_above_median(rows, part, limits[part])
        for part in series_stretches(rows.offsets)
        if likely[part].any()
    ]
    wrong = np.concatenate([np.empty(0, np.int64), *found])

    def say(row: int) -> Words:
        return Words(
            found=f"the value{_column(rows, np.array([True]))} at {rows.ds[row]} is {rows.values[row, 0]:g}, "
            f"over {OUTLIER:,.0f} times the median of its series",
            expected="values of one order",
            remedy="correct the cell if it is a slip",
        )

    return Defects(wrong, say)


def _far_above_median(rows: Rows, series: slice, limits: FloatArray) -> IntArray:
    """Rows of some series whose finite values exceed the limit that fewer than half of those not 0 exceed."""
    offsets = rows.offsets[series.start : series.stop + 1]
    y, first = rows.values[offsets[0] : offsets[-1], 0], offsets[:-1] - offsets[0]
    size = np.abs(np.where(np.isfinite(y), y, 0.0))
    is_above = size > np.repeat(limits, np.diff(offsets))
    above = np.add.reduceat(is_above, first, dtype=np.int64)
    some = np.add.reduceat(size > 0, first, dtype=np.int64)
    # Where fewer than half of the values that are not 0 exceed the limit, their median lies below it.
    stands_out = (2 * above < some) & (some >= FEWEST_SERIES)
    found: IntArray = offsets[0] + np.flatnonzero(is_above & np.repeat(stands_out, np.diff(offsets)))
    return found


def _inexact(rows: Rows) -> Defects:
    def are_inexact(part: slice) -> BoolArray:
        size = np.abs(rows.values[part])
        return np.asarray((size > FIRST_INEXACT) & (size < NO_INTEGER))

    def say(row: int) -> Words:
        wrong = are_inexact(slice(row, row + 1))[0]
        value = rows.values[row, np.argmax(wrong)]
        return Words(
            found=f"the value{_column(rows, wrong)} at {rows.ds[row]} is {value:.17g}",
            expected="at most 2^53, up to where float64 holds every whole number",
            remedy="divide the values if their last digits matter",
        )

    return Defects(
        indices_where(len(rows.values), lambda part: np.asarray(are_inexact(part).any(axis=1))), say
    )


def _copied(rows: Rows) -> Defects:
    """Covariates that hold the target itself, of the same row or of the next one."""
    found: dict[int, str] = {}
    if rows.values.shape[1] == 1:
        return Defects(np.empty(0, np.int64), lambda _: Words("", "", ""), of_series=True)
    y = rows.values[:, 0]
    next_y = np.append(y[1:], np.nan)
    next_y[rows.offsets[1:] - 1] = np.nan  # the next row is of another series
    for column in range(1, rows.values.shape[1]):
        for target, which in ((y, "target"), (next_y, "target one step later")):
            same = _correlation(rows.values[:, column], target, rows.offsets) > 1 - ALL_BUT_EQUAL
            for row in rows.offsets[:-1][same]:
                found.setdefault(int(row), f"{rows.columns[column]!r} is the {which}, times a factor")
    return Defects(
        np.array(sorted(found), dtype=np.int64),
        lambda row: Words(
            found=f"the covariate {found[row]} (|correlation| = 1)",
            expected="a column that tells something else",
            remedy="remove it from data.covariates",
        ),
        of_series=True,
    )


def _correlation(a: FloatArray, b: FloatArray, offsets: IntArray) -> FloatArray:
    """Absolute correlation of two columns in each series, 0 where it is not defined, ``(n_series,)``."""
    known = np.isfinite(a) & np.isfinite(b)
    first, of_row = offsets[:-1], np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    count = np.add.reduceat(known, first, dtype=np.int64)

    def centred(values: FloatArray) -> FloatArray:
        values = np.where(known, values, 0.0)
        mean = np.add.reduceat(values, first) / np.maximum(count, 1)
        return np.where(known, values - mean[of_row], 0.0)

    with np.errstate(over="ignore", invalid="ignore"):  # of values near 1e300; their correlation is not told
        a, b = centred(a), centred(b)
        size = np.sqrt(np.add.reduceat(a * a, first)) * np.sqrt(np.add.reduceat(b * b, first))
        together = np.abs(np.add.reduceat(a * b, first))
        defined = (size > 0) & np.isfinite(size) & (count >= LEAST_ROWS)
    correlation: FloatArray = np.divide(together, size, out=np.zeros(len(first)), where=defined)
    return correlation


def _future_dated(rows: Rows) -> Defects:
    usual_end, far = _usual_end(rows)
    return Defects(
        np.flatnonzero(rows.positions > usual_end + far),
        lambda row: Words(
            found=f"a row at {rows.ds[row]}, long after the other series end",
            expected=f"rows up to about {rows.axis.timestamps(np.array([usual_end]))[0]}",
            remedy="correct the timestamp if it is a slip",
        ),
    )


def _stale(rows: Rows) -> Defects:
    usual_end, far = _usual_end(rows)
    ends = rows.positions[rows.offsets[1:] - 1]
    return Defects(
        rows.offsets[1:][ends < usual_end - far] - 1,
        lambda row: Words(
            found=f"the last row is of {rows.ds[row]}, long before the other series end",
            expected=f"rows up to about {rows.axis.timestamps(np.array([usual_end]))[0]}",
            remedy="leave the series out if it is no longer measured",
        ),
        of_series=True,
    )


def _usual_end(rows: Rows) -> tuple[int, int]:
    """Position at which most series end, and how many steps from there are far."""
    ends = rows.positions[rows.offsets[1:] - 1]
    span = ends - rows.positions[rows.offsets[:-1]] + 1
    if len(ends) < FEWEST_SERIES:  # two ends do not tell which of them is odd
        return int(ends.max()), int(span.max() + np.ptp(ends))
    season = default_season_lengths(rows.axis.freq)[0]
    return int(np.median(ends)), int(max(FAR * np.median(span), 2 * season))


# Kind of finding, and name of the repair policy where it has one -> its check.
CHECKS: dict[str, Check] = {
    "infinite": Check("V404", _infinite),
    "off_grid": Check("T306", _off_grid),
    "duplicates": Check("T307", _duplicates),
    "gaps": Check("T308", _gaps),
    "missing": Check("V403", _missing),
    "negative": Check("V413", _negative),
    "near_duplicate_ids": Check("I203", _near_duplicate_ids, "warning"),
    "future_dated": Check("T312", _future_dated, "warning"),
    "stale": Check("T313", _stale, "warning"),
    "inexact": Check("V406", _inexact, "warning"),
    "constant": Check("V409", _constant, "warning"),
    "all_zero": Check("V410", _all_zero, "warning"),
    "copied": Check("V411", _copied, "warning"),
    "outlier": Check("V412", _outlier, "warning"),
}


def _column(rows: Rows, wrong: BoolArray) -> str:
    """The first wrong column of a row, as it continues a sentence."""
    name = rows.columns[int(np.argmax(wrong))]
    return f" of {name!r}" if name else ""


def _likely_freq(rows: Rows) -> str | None:
    """The frequency the dates look like, where it is another one."""
    if not isinstance(rows.ds, pd.DatetimeIndex):
        return None
    try:
        likely = infer_freq(rows.ds, rows.offsets)
    except DataError:
        return None
    return None if likely == rows.axis.freq else likely
