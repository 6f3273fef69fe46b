"""How a column of timestamps is written, as far as the timestamps themselves prove it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tsforecast.config.schema import ASK
from tsforecast.series.cells import (
    ALL_FORMATS,
    BLANKS,
    EXCEL_DAY,
    MISSING,
    CellError,
    fitting,
    to_timestamps,
    unix_timestamps,
)
from tsforecast.series.timeaxis import INTEGER

__all__ = ["GUESS", "LIKELY", "SURE", "Reading", "fits_dates", "most_fitting", "name_rank", "reading_of"]

SURE, LIKELY, GUESS = "Sure", "Likely", "A guess"

# Names that say that a column is time, the clearest first.
TIME_NAMES = (
    *(
        "ds",
        "datetime",
        "timestamp",
        "date",
        "time",
        "datum",
        "zeitstempel",
        "zeitpunkt",
        "zeit",
        "fecha",
        "data",
    ),
    *("month", "monat", "week", "woche", "day", "tag", "quarter", "quartal", "period", "year", "jahr", "utc"),
    *("epoch", "unix", "ts", "hour", "dt", "mois", "jour", "heure"),
)
YEAR_NAMES = ("year", "jahr", "yr", "annee", "année", "ano", "anno")
COUNTER_NAMES = (
    *("ds", "t", "time", "timestep", "time_step", "step", "period", "index", "week", "day", "month", "hour"),
    *("idx", "tick", "n", "no", "nr"),
)
YEARS = (1700, 2200)
FIRST = 5  # texts one of which is written as most are
NUMBER = r"[+-]?\d*[.,]?\d*(?:[eE][+-]?\d+)?"
ENOUGH_DATES = 5

# Digits of a count of time since 1970 in a year from 1973 on, and its likely unit.
UNIX_DIGITS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a time column is read.

    Attributes:
        sureness: one of ``SURE``, ``LIKELY`` and ``GUESS``.
        reason: what it was found from.
        time_format: as in the config.
        unit: as in the config.
        freq: ``integer``, or ``auto``.
        choices: all the patterns, or units, that fit, where only the user can tell; ``time_format`` or ``unit`` is
            then the first of them.
    """

    sureness: str
    reason: str
    time_format: str = "auto"
    unit: str | None = None
    freq: str = "auto"
    choices: tuple[str, ...] = ()

    @property
    def question(self) -> dict[str, str]:
        """The config key that only the user can fill, with the mark that says so; empty where there is none."""
        if not self.choices:
            return {}
        if self.unit:
            return {"data.format.unit": ASK}
        return {"data.format.time_format": f"{ASK} {' or '.join(map(repr, self.choices))}"}


def reading_of(spellings: Any, *, name: str) -> Reading | None:
    """How different spellings of timestamps are read, None where they are none.

    Args:
        spellings: Arrow array of text, each spelling once.
        name: of the column; integers are told apart by it.
    """
    texts = _stripped(spellings)
    if texts.empty:
        return None
    if texts.str.fullmatch(r"[+-]?\d+").all():
        return _of_integers(texts, name)
    if _is_iso(texts):
        return Reading(SURE, f"every value is ISO 8601 like {texts.iloc[0]!r}")
    if texts.str.fullmatch(NUMBER).all() and name_rank(name, TIME_NAMES) is None:
        return None  # 12.2024 is a month only where the name says so
    formats = fitting(texts, ALL_FORMATS)
    return _of_formats(texts, formats) if formats else None


def fits_dates(spellings: Any) -> bool:
    """Whether all texts are dates that are not integers."""
    texts = _stripped(spellings)
    if texts.empty or texts.str.fullmatch(NUMBER).any():
        return False
    return _is_iso(texts) or bool(fitting(texts, ALL_FORMATS))


def most_fitting(texts: Sequence[str], *, share: float) -> list[bool] | None:
    """Which texts are timestamps in the way most of them are written; None where fewer than ``share`` are.

    Dates with and without a time of day are one way, since both may stand in a column of dates.
    """
    series = pd.Series([text.strip(BLANKS) for text in texts], dtype="str")
    if series.str.fullmatch(r"[+-]?[\d.,]*").mean() > share:
        return None
    first = series[:FIRST]
    likely = [
        form for form in ALL_FORMATS if pd.to_datetime(first, format=form, errors="coerce").notna().any()
    ]
    for form in (None, *likely):
        found = (
            _iso_each(series)
            if form is None
            else pd.to_datetime(series, format=form, errors="coerce").notna()
        )
        if found.mean() >= share:
            return [bool(fits) for fits in found]
    return None


def name_rank(name: str, names: Sequence[str]) -> int | None:
    """How clearly a column's name says what it is: its place among ``names``, None where it says nothing.

    A name that is one of them goes before a name that has one of them as a word.
    """
    plain = name.strip().lower()
    if plain in names:
        return names.index(plain)
    words = re.split(r"[\W_]+", re.sub(r"([a-zäöü])([A-ZÄÖÜ])", r"\1 \2", name.strip()).lower())
    places = [names.index(word) for word in words if word in names]
    return len(names) + min(places) if places else None


def _stripped(spellings: Any) -> pd.Series[str]:
    texts: pd.Series[str] = pd.Series(spellings.to_pandas(), dtype="str").str.strip(BLANKS)
    texts = texts[~texts.isin(MISSING)]
    return pd.Series(texts.unique(), dtype="str")


def _is_iso(texts: pd.Series[str]) -> bool:
    if not texts.str.match(r"\d{4}|Q[1-4]").iloc[0]:
        return False
    try:
        to_timestamps(pa.array(texts, pa.string()), time_format="auto")
    except CellError:
        return False
    return True


def _iso_each(texts: pd.Series[str]) -> pd.Series[bool]:
    return texts.map(lambda text: text not in MISSING and _is_iso(pd.Series([text], dtype="str"))).astype(
        bool
    )


def _of_formats(texts: pd.Series[str], formats: Sequence[str]) -> Reading:
    """The one reading the patterns have in common, or the question which of them is right."""
    readings: dict[str, Any] = {}
    for form in formats:
        moments = pd.DatetimeIndex(pd.to_datetime(texts, format=form))
        if not any(moments.equals(other) for other in readings.values()):
            readings[form] = moments
    chosen = next(iter(readings))
    if len(readings) == 1:
        return _proven(texts, chosen)
    if all(re.search(r"%[dm]\.%[dm]\.", form) for form in readings):
        chosen = next(form for form in readings if form.startswith("%d"))
        return Reading(
            LIKELY, f"dates with dots such as {texts.iloc[0]!r} have the day first", time_format=chosen
        )
    example = texts.iloc[0]
    return Reading(
        GUESS,
        f"dates such as {example!r} can be read as {' or '.join(map(repr, readings))}, and nothing in the file "
        "proves one of them",
        time_format=chosen,
        choices=tuple(readings),
    )


def _proven(texts: pd.Series[str], form: str) -> Reading:
    """The only pattern that reads all dates, with the date that rules out the other order of day and month."""
    swapped = form.replace("%d", "%\0").replace("%m", "%d").replace("%\0", "%m")
    reason = f"it is the one usual pattern that reads all of them, such as {texts.iloc[0]!r}"
    if swapped in ALL_FORMATS and swapped != form:
        ruled_out = texts[pd.to_datetime(texts, format=swapped, errors="coerce").isna()]
        if len(ruled_out):
            reason = f"{ruled_out.iloc[0]!r} can be read in no other way, and all others fit"
    return Reading(SURE if len(texts) >= ENOUGH_DATES else LIKELY, reason, time_format=form)


def _of_integers(texts: pd.Series[str], name: str) -> Reading | None:
    """Digits as compact dates, years, counts of time or of steps."""
    digits = texts.str.lstrip("+").str.len()
    length = int(digits.iloc[0]) if digits.nunique() == 1 else 0
    compact = [form for form in fitting(texts, ALL_FORMATS) if form != "%Y" and _in_years(texts, form)]
    if compact:
        sureness = SURE if len(texts) >= ENOUGH_DATES else LIKELY
        return Reading(sureness, f"every value such as {texts.iloc[0]!r} is a date without marks", compact[0])
    if length == 4 and texts.astype(int).between(*YEARS).all():
        if name_rank(name, YEAR_NAMES) is not None:
            return Reading(SURE, f"years such as {texts.iloc[0]!r}, as the name says", "%Y")
        if name_rank(name, TIME_NAMES) is not None and _counts_up(texts):
            return Reading(LIKELY, f"years such as {texts.iloc[0]!r}", "%Y")
    if name_rank(name, TIME_NAMES) is not None and set(digits) <= {*UNIX_DIGITS}:
        return _since_1970(texts, UNIX_DIGITS[int(digits.max())])
    is_date_of_excel = texts.str.fullmatch(EXCEL_DAY).all() and name_rank(name, TIME_NAMES) is not None
    if name.strip().lower() in COUNTER_NAMES and int(digits.max()) <= 18 and not is_date_of_excel:
        return Reading(LIKELY, f"the integers such as {texts.iloc[0]!r} count steps", freq=INTEGER)
    return None


def _since_1970(texts: pd.Series[str], unit: str) -> Reading:
    counts = texts.astype("int64")
    first, last = (
        unix_timestamps(pa.array([counts.min(), counts.max()]), unit=unit).floor("s").tz_localize(None)
    )
    return Reading(
        GUESS,
        f"the integers such as {texts.iloc[0]!r} may count time since 1970 (as {unit}: {first} to {last} UTC), or "
        "steps, and nothing in the file proves it",
        unit=unit,
        choices=("s", "ms", "us", "ns"),
    )


def _in_years(texts: pd.Series[str], form: str) -> bool:
    years = pd.DatetimeIndex(pd.to_datetime(texts, format=form)).year
    return bool(((years >= YEARS[0]) & (years <= YEARS[1])).all())


def _counts_up(texts: pd.Series[str]) -> bool:
    values = np.sort(texts.astype(int).to_numpy())
    return bool(len(values) > 1 and np.median(np.diff(values)) == 1)
