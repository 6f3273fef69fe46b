"""The alarm of a jobs file, and its form on the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from tsforecast.config.drift import DRIFT_METRICS, Drift, parse_alarm, span_of
from tsforecast.errors import ConfigError
from tsforecast.evaluation.metrics import RELATIVE
from tsforecast.evaluation.tally import OF_STEPS


def test_an_alarm_watches_what_single_steps_are_scored_by() -> None:
    assert set(DRIFT_METRICS) - set(RELATIVE) <= set(OF_STEPS)
    assert set(DRIFT_METRICS) & set(RELATIVE) == {"skill"}


def test_an_alarm_is_read_from_its_words_and_written_the_same() -> None:
    drift = parse_alarm("metric=mase, worse_than=1.2, over=4w")
    assert drift == Drift(metric="mase", worse_than=1.2, over="4w")
    assert parse_alarm(drift.text) == drift
    assert parse_alarm("worse_than=2") == Drift(metric="mase", worse_than=2.0, over="14d")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metric=mas,worse_than=1", "Did you mean 'mase'?"),
        ("metric=mase", "does not say which value is too bad"),
        ("worse_than=much", "is not a number"),
        ("worse_than=nan", "is not a number"),
        ("worse_than=1,worse_than=2", "each once"),
        ("worse_than=1,over=14x", "is not a stretch of time"),
        ("worse_than=1,over=0d", "is not a stretch of time"),
        ("worse_than=1,over=0", "is not a stretch of time"),
        ("worse_than=1,over=1.5d", "is not a stretch of time"),
        ("worse_than=1,over=90m", "is not a stretch of time"),
        ("worse_than=1,until=now", "each once"),
        ("", "write it like metric=mase"),
        ("mase>1.2", "write it like metric=mase"),
    ],
)
def test_what_is_no_alarm_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"--alarm: ") as caught:
        parse_alarm(text)
    assert words in str(caught.value)


def test_unknown_keys_and_silent_conversions_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Drift.model_validate({"worse_than": 1.2, "metrics": "mase"})
    with pytest.raises(ValidationError, match="valid number"):
        Drift.model_validate({"worse_than": "1.2"})
    assert Drift.model_validate({"worse_than": 1}).worse_than == 1.0


def test_a_stretch_is_hours_days_weeks_or_steps() -> None:
    assert span_of("36h") == timedelta(hours=36)
    assert span_of("14d") == timedelta(days=14)
    assert span_of("4w") == timedelta(weeks=4)
    assert span_of("14") == 14
