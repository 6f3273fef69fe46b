"""When forecasts have become too bad: the alarm of a jobs file, and of ``tsforecast score --alarm``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tsforecast.config.durations import duration_of
from tsforecast.config.words import nearest_word
from tsforecast.errors import ConfigError

__all__ = ["DRIFT_METRICS", "Drift", "parse_alarm", "span_of"]

DriftMetric = Literal["mase", "mae", "smape", "wape", "wql", "bias", "relative_bias", "coverage", "skill"]
DRIFT_METRICS: tuple[str, ...] = get_args(DriftMetric)

STEPS = re.compile(r"[0-9]{1,6}")
SPAN_UNITS = "hdw"


class Drift(BaseModel):
    """An alarm: the score of the newest forecasts of a job, and the value that it must not be worse than."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    metric: DriftMetric = Field(
        default="mase",
        description="Score that is watched. Of `coverage` and `skill` a lower value is worse, of `bias` and "
        "`relative_bias` one further from 0, of the others a higher one.",
    )
    worse_than: float = Field(
        description="The worst value that is still right, in the unit of the metric.", allow_inf_nan=False
    )
    over: str = Field(
        default="14d",
        description="Stretch of time up to the newest scored value that is averaged: hours `36h`, days `14d`, weeks "
        "`4w`, or a number of steps where time is an integer.",
    )

    @field_validator("over")
    @classmethod
    def _is_span(cls, over: str) -> str:
        span_of(over)
        return over

    @property
    def text(self) -> str:
        """As it is written after ``--alarm``."""
        return f"metric={self.metric},worse_than={self.worse_than:g},over={self.over}"


def span_of(text: str) -> timedelta | int:
    """A stretch of time from ``14d``, ``36h`` or ``4w``; steps of an integer time axis from a number alone.

    Raises:
        ValueError: it is none.
    """
    span: timedelta | int | None = int(text) if STEPS.fullmatch(text) else duration_of(text, SPAN_UNITS)
    if not span or "." in text:
        raise ValueError(
            f"{text!r} is not a stretch of time; write hours as 36h, days as 14d, weeks as 4w, or a number of steps "
            "where time is an integer"
        )
    return span


def parse_alarm(text: str) -> Drift:
    """The alarm of ``metric=mase,worse_than=1.2,over=14d``.

    Raises:
        ConfigError: it is none; names what is wrong.
    """
    found: dict[str, str | float] = {}
    for part in text.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals or key not in Drift.model_fields or key in found:
            raise ConfigError(
                f"--alarm: {part!r} is not one of metric=NAME, worse_than=NUMBER, over=SPAN, each once; "
                "write it like metric=mase,worse_than=1.2,over=14d."
            )
        found[key] = _number(value) if key == "worse_than" else value
    if "worse_than" not in found:
        raise ConfigError(f"--alarm: {text!r} does not say which value is too bad; add worse_than=NUMBER.")
    metric = found.get("metric", "mase")
    if metric not in DRIFT_METRICS:
        near = nearest_word(str(metric), list(DRIFT_METRICS))
        hint = f" Did you mean {near!r}?" if near else ""
        raise ConfigError(
            f"--alarm: metric={metric} is not a score that is watched ({', '.join(DRIFT_METRICS)}).{hint}"
        )
    try:
        return Drift.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"--alarm: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"--alarm: worse_than={text} is not a number; write one such as worse_than=1.2.")
    return number
