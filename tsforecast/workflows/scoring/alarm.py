"""Alarms: whether the newest forecasts are worse than they may be, since when, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tsforecast.config.drift import Drift, span_of
from tsforecast.config.words import printable
from tsforecast.errors import ConfigError
from tsforecast.evaluation.metrics import METRICS, RELATIVE
from tsforecast.evaluation.tally import Means
from tsforecast.series.panel import FloatArray
from tsforecast.workflows.scoring.actual import Actual, moment_text

__all__ = ["Alarm", "Watched", "alarm_text", "recorded", "watched"]

LONGEST_NAME = 40
NAMED = 3


@dataclass(frozen=True, slots=True)
class Watched:
    """An alarm, and the first position that counts for it."""

    drift: Drift
    first: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """What an alarm found.

    Attributes:
        drift: what was asked.
        value: of the metric; NaN where nothing could be judged.
        naive: the seasonal naive's; NaN where it has none.
        first: beginning of the stretch.
        last: newest actual value.
        steps: that were judged.
        raised: whether the value is worse than it may be.
        since: beginning of the periods up to now that all are worse; empty where the newest is not.
        worst: the series with the worst values.
    """

    drift: Drift
    value: float
    naive: float
    first: str
    last: str
    steps: int
    raised: bool
    since: str = ""
    worst: Sequence[tuple[str, float]] = ()


def recorded(metadata: Mapping[str, Any]) -> list[Drift]:
    """The alarm that a job recorded with its forecasts; none where it did not, or in words not known here."""
    try:
        return [Drift.model_validate(metadata["drift"])] if metadata.get("drift") else []
    except ValidationError:
        return []


def watched(drift: Drift, actual: Actual) -> Watched:
    """The alarm on the axis of the actual values.

    Raises:
        ConfigError: a stretch of hours or days, and time is an integer.
    """
    axis, span = actual.axis, span_of(drift.over)
    if isinstance(span, int):
        return Watched(drift, actual.newest - span + 1)
    if axis.is_integer:
        raise ConfigError(
            f"over={drift.over}: time is an integer in {actual.name}; write a number of steps, such as over=14."
        )
    newest = axis.timestamps(np.array([actual.newest]))[0]
    try:
        return Watched(drift, int(axis.floor(pd.DatetimeIndex([newest - span]))[0]) + 1)
    except (OverflowError, ValueError):  # before the year 1
        return Watched(drift, -(2**62))


def judged(
    watch: Watched,
    actual: Actual,
    means: Means | None,
    trend: Mapping[str, Means],
    worst: Sequence[tuple[str, float]],
) -> Alarm:
    """What the alarm found.

    Args:
        watch: the alarm.
        actual: the values it was judged by.
        means: scores of its stretch; None where nothing lies in it.
        trend: scores of all periods, the oldest first.
        worst: series with their values, the worst first.
    """
    drift, axis = watch.drift, actual.axis
    value, naive = value_of(drift.metric, means)
    first = max(watch.first, actual.oldest)
    return Alarm(
        drift=drift,
        value=value,
        naive=naive,
        first=moment_text(axis, first),
        last=actual.newest_text,
        steps=means.n if means else 0,
        raised=badness(drift.metric, value) > badness(drift.metric, drift.worse_than),
        since=_since(drift, trend),
        worst=worst,
    )


def value_of(metric: str, means: Means | None) -> tuple[float, float]:
    """The metric of the model and of the seasonal naive; NaN where there is none."""
    if means is None:
        return math.nan, math.nan
    if metric in RELATIVE:
        return means.skill, 0.0
    own, *_, naive = means.of.get(metric, np.full(2, np.nan))
    return float(own), float(naive)


def badness(metric: str, value: Any) -> Any:
    """A number that is higher, the worse the value of a metric is; of many values, many numbers."""
    best = (METRICS.get(metric) or RELATIVE[metric]).best
    return FAR[best](value)


def series_values(metric: str, scores: Mapping[str, FloatArray]) -> FloatArray:
    """The metric of the model for each series, NaN where nothing is known, ``(n_series,)``.

    Args:
        metric: of an alarm.
        scores: of each metric, ``(models, n_series)``.
    """
    if metric not in RELATIVE:
        own: FloatArray = scores[metric][0]
        return own
    own, *_, naive = scores[RELATIVE[metric].ratios[0]]
    ratio = np.divide(own, naive, out=np.full(len(own), np.nan), where=naive > 0)
    return RELATIVE[metric].of(ratio)


def _since(drift: Drift, trend: Mapping[str, Means]) -> str:
    limit, since = badness(drift.metric, drift.worse_than), ""
    for period in reversed(list(trend)):
        value = badness(drift.metric, value_of(drift.metric, trend[period])[0])
        if math.isnan(value):
            continue  # nothing is known of it
        if value <= limit:
            break
        since = period
    return since


def alarm_text(job: str, alarm: Alarm, *, period: str) -> str:
    """What an alarm says, in words: what drifted, since when, how much, and what to do.

    Args:
        job: its name.
        alarm: what was found.
        period: what ``since`` is the beginning of, ``week`` or ``time``.
    """
    drift, name = alarm.drift, _title(alarm.drift.metric)
    stretch = f"the {drift.over} up to {alarm.last}"
    if math.isnan(alarm.value):
        return (
            f"job {job!r}: alarm {drift.text}: nothing can be judged in {stretch}: no archived forecast of these times "
            "has both an actual value and this score."
        )
    found = f"{name} {alarm.value:.4g} over {stretch} ({alarm.steps} steps)"
    if not alarm.raised:
        return f"job {job!r}: no drift: {found} is not worse than {drift.worse_than:g}."
    parts = [f"job {job!r}: drift: {found} is worse than {drift.worse_than:g}"]
    parts.append(
        f", and has been since {'the week of ' * (period == 'week')}{alarm.since}." if alarm.since else "."
    )
    if drift.metric != "skill" and not math.isnan(alarm.naive):
        parts.append(f" The seasonal naive's is {alarm.naive:.4g}.")
    if len(alarm.worst) > 1:
        worst = ", ".join(
            f"{printable(name, longest=LONGEST_NAME)!r} ({value:.4g})" for name, value in alarm.worst[:NAMED]
        )
        parts.append(f" Worst: {worst}.")
    return "".join(parts) + " " + _advice(alarm)


def _advice(alarm: Alarm) -> str:
    if alarm.drift.metric == "coverage":
        return (
            "Look at the newest rows first (`tsforecast check CONFIG`); if they are right, train anew, which sets the "
            "intervals anew: `retrain:` of the job, or `tsforecast update RUN DATA`."
        )
    harder = badness(alarm.drift.metric, alarm.naive) > badness(alarm.drift.metric, alarm.value)
    if harder and alarm.drift.metric != "skill":
        return (
            "It still beats the seasonal naive, so the series themselves have become harder to forecast: look at the "
            "newest rows (`tsforecast check CONFIG`) before you train anew."
        )
    return (
        "Look at the newest rows first (`tsforecast check CONFIG`); if they are right, train anew: `retrain:` of the "
        "job, or `tsforecast update RUN DATA`."
    )


def _title(metric: str) -> str:
    return (METRICS.get(metric) or RELATIVE[metric]).title


# How far from good a value is, by where good values lie. An interval that holds too much does no harm here.
FAR: dict[str, Callable[[Any], Any]] = {
    "low": lambda value: value,
    "zero": abs,
    "high": lambda value: -value,
    "nominal": lambda value: -value,
}
