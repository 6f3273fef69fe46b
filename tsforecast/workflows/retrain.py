"""Whether a run is to be trained anew before it forecasts: by age, by schedule, or because its forecasts drift.

Age and schedule are told from the data: how far it has gone on since the newest row the run was trained on. The clock
has no say, so that a night that is made up for trains the same model.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd

from tsforecast.config.jobs import JobConfig, age_of
from tsforecast.errors import ConfigError

__all__ = ["has_drifted", "reason_to_train"]

PERIODS = {"daily": "D", "weekly": "W-SUN", "monthly": "M", "quarterly": "Q"}


def reason_to_train(job: JobConfig, archive: Path | None, *, trained_to: str, as_of: str) -> str | None:
    """Why the run is due, in words; None where it is not.

    Args:
        job: what it says about training.
        archive: of scored forecasts.
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
    if due.on_drift and archive is not None and has_drifted(archive, job, as_of=as_of):
        return "its forecasts are worse than drift allows"
    return None


def has_drifted(archive: Path, job: JobConfig, *, as_of: str) -> bool:  # noqa: ARG001
    """Whether the archived forecasts of a job are worse than its ``drift`` allows."""
    return False


def _moment(text: str, job: JobConfig) -> pd.Timestamp:
    if text.lstrip("+-").isdigit():
        raise ConfigError(
            f"job {job.name!r}: retrain.every and retrain.schedule are about time, and the data counts steps; remove "
            "them, or train with `tsforecast train`."
        )
    return pd.Timestamp(text)


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):g} days"
