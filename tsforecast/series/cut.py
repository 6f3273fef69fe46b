"""The newest rows left out: those after a moment, and the last steps of each series, such as the current period."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.schema import DataConfig
from tsforecast.config.words import listed, shown
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.assemble import freq_of_table, times_of
from tsforecast.series.isolate import Failure
from tsforecast.series.panel import BoolArray, IntArray
from tsforecast.series.timeaxis import axis_over, check_freq

__all__ = ["NO_CUT", "Cut", "Left", "cut_table", "emptied_reason", "emptied_series", "moment_of"]

log = logging.getLogger(__name__)

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
WHOLE = re.compile(r"[+-]?\d{1,18}")


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left out at the end.

    Attributes:
        as_of: rows after this time; None for none.
        drop_last: number of steps before the end of each series, which is then its own end as of that time.

    Raises:
        ConfigError: the number is negative.
    """

    as_of: str | None = None
    drop_last: int = 0

    def __post_init__(self) -> None:
        if self.drop_last < 0:
            raise ConfigError(f"--drop-last: {self.drop_last} is not a whole number from 0.")

    def __bool__(self) -> bool:
        return self != NO_CUT

    @property
    def text(self) -> str:
        """The options that say so."""
        as_of = [f"--as-of {self.as_of}"] if self.as_of is not None else []
        return ", ".join(as_of + ([f"--drop-last {self.drop_last}"] if self.drop_last else []))

    def to_json(self) -> dict[str, Any]:
        return {"as_of": self.as_of, "drop_last": self.drop_last}


NO_CUT = Cut()


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """What a cut leaves of a table.

    Attributes:
        table: the rows that stay; those that only tell future covariates have no target any more.
        n_rows: rows left out.
        failures: series of which nothing stays.
    """

    table: pd.DataFrame
    n_rows: int = 0
    failures: tuple[Failure, ...] = ()


def cut_table(
    table: pd.DataFrame,
    data: DataConfig,
    cut: Cut,
    *,
    freq: str | None = None,
    where: str,
    is_part: bool = False,
) -> Left:
    """The table without its newest rows. What is wrong with a row that is left out does not matter.

    Future covariates stay, since they were known. A series that begins after ``as_of`` is none yet. One of which
    ``drop_last`` leaves nothing is bad: ``data.on_bad_series`` says what is done about it.

    Args:
        table: as ``read_table`` gives it; left as it is.
        data: columns, frequency and what is done about bad series.
        cut: what is left out.
        freq: instead of ``data.freq``.
        where: the file the table was read from, for messages.
        is_part: there are further series elsewhere, so that nothing may stay of any of these.

    Raises:
        ConfigError: ``as_of`` is no time, or the frequency is none.
        DataError: no row is left, or the frequency cannot be told; with ``on_bad_series: fail`` also where a
            series has no row left.
    """
    if not cut or table.empty:
        return Left(table)
    names = pd.Categorical(table["unique_id"])
    # Where a row may say something else, the last target is the end of a series, and not its last row.
    may_lie_ahead = bool(data.covariates.future)
    is_row = (
        table["y"].notna().to_numpy()
        if may_lie_ahead or not isinstance(data.target, str)
        else np.ones(len(table), dtype=np.bool_)
    )
    stays = is_row & _by_then(table, cut.as_of, is_row, where)
    unborn = _without(names, stays, among=is_row)
    if unborn:
        log.warning(
            "%d series have no row up to %s and are left out: %s", len(unborn), cut.as_of, listed(unborn)
        )
    failures: tuple[Failure, ...] = ()
    if cut.drop_last and stays.any():
        before = stays
        stays = stays & _before_the_last(table, names, stays, cut.drop_last, freq or data.freq, where)
        failures = _emptied(names, before, stays, data, cut, where, is_part=is_part)
    gone = is_row & ~stays
    kept = ~np.isin(np.asarray(names), [*unborn, *(failure.unique_id for failure in failures)])
    if may_lie_ahead:
        table = table.assign(y=table["y"].where(~gone))
    else:
        kept &= ~gone
    return Left(table[kept], int(gone.sum()), failures)


def moment_of(as_of: str, *, is_integer: bool, timezone: Any) -> pd.Timestamp | int:
    """The time a user wrote, in the time zone of the data where none was written.

    Raises:
        ConfigError: it is none, it is two on the clock of the zone, or it has a zone where the data has none.
    """
    if is_integer:
        if not WHOLE.fullmatch(as_of):
            raise ConfigError(f"--as-of: {as_of!r} is not an integer.")
        return int(as_of)
    try:
        if not ISO_DATE.fullmatch(as_of):
            raise ValueError(as_of)
        moment = pd.Timestamp(as_of)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"--as-of: {as_of!r} is not a date such as 2024-03-31 or 2024-03-31T06:00."
        ) from error
    if timezone is None:
        if moment.tz is not None:
            raise ConfigError(f"--as-of: {as_of!r} has a time zone, and the data has none; write it without.")
        return moment
    try:
        return moment if moment.tz is not None else moment.tz_localize(timezone)
    except ValueError as error:
        raise ConfigError(
            f"--as-of: {as_of!r} is there twice or not at all on the clock of {timezone} (daylight saving); "
            "write its offset, as in 2024-10-27T02:30+01:00."
        ) from error


def emptied_series(reasons: Mapping[str, str], *, policy: str, where: str) -> tuple[Failure, ...]:
    """What becomes of series of which nothing stays; no fallback has anything to forecast them from.

    Args:
        reasons: by name of the series.
        policy: ``data.on_bad_series``, or ``fail`` where no series is left.
        where: the file the table was read from, for messages.

    Raises:
        DataError: there is one, and the policy is ``fail``.
    """
    if reasons and policy == "fail":
        name, reason = next(iter(reasons.items()))
        others = f" ({len(reasons)} such series)" if len(reasons) > 1 else ""
        raise DataError(
            f"{where}: series {shown(name)}: {reason}{others}; lower --drop-last, or set data.on_bad_series: skip.",
            code="V407",
            series=reasons,
        )
    return tuple(Failure(name, "V407", reason) for name, reason in reasons.items())


def emptied_reason(n_rows: int, drop_last: int) -> str:
    """Why a series has no row left."""
    return f"{n_rows} row{'s' * (n_rows != 1)}, of which --drop-last {drop_last} leaves none"


def _by_then(table: pd.DataFrame, as_of: str | None, is_row: BoolArray, where: str) -> BoolArray:
    """Whether a row is not after a moment, ``(n_rows,)``."""
    if as_of is None:
        return np.ones(len(table), dtype=np.bool_)
    times: Any = times_of(table)
    timezone = times.tz if isinstance(times, pd.DatetimeIndex) else None
    moment = moment_of(as_of, is_integer=not isinstance(times, pd.DatetimeIndex), timezone=timezone)
    by_then = np.asarray(times <= moment)
    rows = times[is_row]
    if len(rows) and not by_then[is_row].any():
        raise DataError(
            f"{where}: no series has a row at or before --as-of {as_of!r}: the data begins at {rows.min()}; "
            "give a later time, or data that reaches further back.",
            code="F102",
        )
    if len(rows) and moment > rows.max():
        log.warning("--as-of %s lies after the newest row, %s: nothing is left out", as_of, rows.max())
    return by_then


def _before_the_last(
    table: pd.DataFrame, names: pd.Categorical, stays: BoolArray, steps: int, freq: str, where: str
) -> BoolArray:
    """Whether a row is before the last steps of its series, ``(n_rows,)``."""
    positions = _positions(table, stays, freq, where)
    last = np.full(len(names.categories), np.iinfo(np.int64).min // 2)
    np.maximum.at(last, names.codes[stays], positions[stays])
    return np.asarray(positions <= last[names.codes] - steps)


def _positions(table: pd.DataFrame, stays: BoolArray, freq: str, where: str) -> IntArray:
    """Place of each row on the axis of those that stay, ``(n_rows,)``."""
    times = times_of(table)
    try:
        found = freq_of_table(table[stays]) if freq == "auto" else check_freq(freq)
        return axis_over(times[stays], found).floor(times)
    except DataError as error:
        raise DataError(f"{where}: {error}", code=error.code) from error


def _emptied(
    names: pd.Categorical,
    before: BoolArray,
    stays: BoolArray,
    data: DataConfig,
    cut: Cut,
    where: str,
    *,
    is_part: bool,
) -> tuple[Failure, ...]:
    """The series of which nothing stays."""
    emptied = _without(names, stays, among=before)
    counts = dict(
        zip(names.categories, np.bincount(names.codes[before], minlength=len(names.categories)), strict=True)
    )
    reasons = {name: emptied_reason(int(counts[name]), cut.drop_last) for name in emptied}
    return emptied_series(
        reasons, policy=data.on_bad_series if stays.any() or is_part else "fail", where=where
    )


def _without(names: pd.Categorical, stays: BoolArray, *, among: BoolArray) -> list[str]:
    """The series that have a row in ``among`` and none that stays."""
    lost = np.setdiff1d(names.codes[among], names.codes[stays])
    return [str(name) for name in names.categories[lost]]
