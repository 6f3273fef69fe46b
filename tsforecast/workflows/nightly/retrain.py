"""Whether a run is to be trained anew before it forecasts: by age, by schedule, or because its forecasts drift.

Age and schedule are told from the data: how far it has gone on since the newest row the run was trained on. The clock
has no say, so that a night that is made up for trains the same model.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pandas as pd

from tsforecast.config.drift import Drift, span_of
from tsforecast.config.jobs import JobConfig, age_of
from tsforecast.errors import ConfigError, DataError

__all__ = ["has_drifted", "reason_to_train"]

log = logging.getLogger(__name__)

PERIODS = {"daily": "D", "weekly": "W-SUN", "monthly": "M", "quarterly": "Q"}


def reason_to_train(
    job: JobConfig, archive: Path | None, *, source: str, trained_to: str, as_of: str
) -> str | None:
    """Why the run is due, in words; None where it is not.

    Args:
        job: what it says about training.
        archive: its forecasts, and those of other jobs.
        source: the actual values.
        trained_to: newest time the run was trained on.
        as_of: newest time that is known now.

    Raises:
        ConfigError: the data counts steps, which have no age.
    """
    due = job.retrain
    if due.every is not None or due.schedule is not None:
        then, now = _moment(trained_to, job), _moment(as_of, job)
        if due.every is not None and now - then >= age_of(due.every):
            return f"{_days(now - then)} of data since its training, and retrain.every is {due.every}"
        if due.schedule is not None:
            period = PERIODS[due.schedule]
            if now.tz_localize(None).to_period(period) > then.tz_localize(None).to_period(period):
                return f"retrain.schedule is {due.schedule}"
    if not due.on_drift or archive is None or job.drift is None:
        return None
    if not _has_gone_on(trained_to, as_of, span_of(job.drift.over)):
        return None  # what was forecast before the last training says nothing about what it learned
    return has_drifted(archive, job.drift, name=job.name, source=source, as_of=as_of)


def has_drifted(archive: Path, drift: Drift, *, name: str, source: str, as_of: str) -> str | None:
    """In which way the archived forecasts of a job are worse than is allowed; None where they are not.

    Told from what was known at the time, so that a night that is made up for comes to the same answer. Where nothing
    could be scored yet, they are not.
    """
    from tsforecast.workflows.score import score  # much to import for what is seldom asked

    try:
        alarms = score(archive, source, job=name, alarms=[drift], as_of=as_of).alarm_texts
    except DataError as error:
        log.info("drift is not known: %s", error)
        return None
    return " ".join(alarms) or None


def _has_gone_on(then: str, now: str, span: timedelta | int) -> bool:
    if isinstance(span, int):
        return int(now) - int(then) >= span
    return pd.Timestamp(now) - pd.Timestamp(then) >= span


def _moment(text: str, job: JobConfig) -> pd.Timestamp:
    if text.lstrip("+-").isdigit():
        raise ConfigError(
            f"job {job.name!r}: retrain.every and retrain.schedule are about time, and the data counts steps; remove "
            "them, or train with `tsforecast train`."
        )
    return pd.Timestamp(text)


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):g} days"
