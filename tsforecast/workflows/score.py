"""Archived forecasts beside what came: by model, series, lead time and week, against the seasonal naive, with alarms.

The archive is read file by file, and of many series only some at once, so that memory does not grow with it. A value
that was corrected counts as it is now, and of forecasts that were issued again from one cutoff the newest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd

from tsforecast.config.drift import Drift, span_of
from tsforecast.config.location import STDIN
from tsforecast.config.words import listed
from tsforecast.errors import ConfigError, DataError, ResourceError, TsforecastError
from tsforecast.storage.archive import Entry, Survey, instant, survey
from tsforecast.workflows.scoring.alarm import Alarm, alarm_text
from tsforecast.workflows.scoring.job import JobScores, score_job

__all__ = ["Scored", "score"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What an archive says.

    Attributes:
        archive: its folder.
        jobs: those that could be scored.
        failed: why others could not, by job.
        problems: files that were left out, and why.
        strangers: files that are no forecasts.
    """

    archive: Path
    jobs: Sequence[JobScores]
    failed: Mapping[str, str]
    problems: Sequence[str]
    strangers: Sequence[str]

    @property
    def raised(self) -> list[Alarm]:
        """The alarms that are raised."""
        return [alarm for one in self.jobs for alarm in one.alarms if alarm.raised]

    @property
    def alarm_texts(self) -> list[str]:
        """What the raised alarms say, in words."""
        return [
            alarm_text(one.job, alarm, period=one.period)
            for one in self.jobs
            for alarm in one.alarms
            if alarm.raised
        ]

    @property
    def is_partial(self) -> bool:
        """Whether something that should have been scored was not."""
        return bool(self.problems or self.failed or any(one.failures for one in self.jobs))


def score(
    archive: Path,
    source: str | Path | pd.DataFrame | None = None,
    *,
    job: str | None = None,
    since: str | None = None,
    drop_last: int | None = None,
    alarms: Sequence[Drift] | None = None,
    as_of: str | None = None,
) -> Scored:
    """Scores the forecasts of an archive against the actual values that have come.

    Args:
        archive: the folder.
        source: the actual values, with the columns of the job's data; None reads where each job read.
        job: only this job.
        since: only forecasts as of this time or later; or a stretch such as ``90d`` up to the newest of each job.
        drop_last: newest steps of the data that are not complete, such as today; None takes as many as each job left
            out of its forecasts.
        alarms: for every job; None takes the one that each recorded with its newest forecasts.
        as_of: as if this were now: later forecasts and actual values are not known; None for all.

    Raises:
        ConfigError: an alarm does not fit the time of a job, ``since`` is no time, or standard input is to be read for
            several jobs.
        DataError: there is no archive, nothing in it, or the actual values of no job can be read.
        ResourceError: they do not fit in memory.
    """
    found = survey(archive, job=job)
    _refuse_empty(archive, job, found)
    by_job: dict[str, list[Entry]] = {}
    for entry in _known_by(as_of, found.entries, archive):
        by_job.setdefault(entry.issued.job, []).append(entry)
    if isinstance(source, str) and source == STDIN and len(by_job) > 1:
        raise ConfigError(
            f"DATA: standard input can be read once, and {archive} holds {len(by_job)} jobs "
            f"({listed(sorted(by_job))}); choose one with --job."
        )
    jobs: list[JobScores] = []
    errors: dict[str, TsforecastError] = {}
    problems = dict.fromkeys(found.problems)
    for name, all_entries in sorted(by_job.items()):
        entries = _recent(all_entries, since)
        log.info("job %r: %d sets of forecasts", name, len(entries))
        try:
            jobs.append(
                score_job(
                    entries, source, alarms, problems, archive=archive, drop_last=drop_last, as_of=as_of
                )
            )
        except (ConfigError, ResourceError):
            raise
        except TsforecastError as error:
            errors[name] = error
    if not jobs:
        raise (
            next(iter(errors.values()))
            if len(errors) == 1
            else DataError("\n".join(f"job {name!r}: {error}" for name, error in errors.items()))
        )
    failed = {name: str(error) for name, error in errors.items()}
    return Scored(archive, jobs, failed, list(problems), found.strangers)


def _known_by(as_of: str | None, entries: Sequence[Entry], archive: Path) -> Sequence[Entry]:
    """The forecasts that had been issued by then.

    Raises:
        DataError: none had.
    """
    if as_of is None:
        return entries
    known = [entry for entry in entries if instant(entry.issued.as_of) <= instant(as_of)]
    if not known:
        raise DataError(f"{archive}: holds no forecasts as of {as_of} or before; the oldest are later.")
    return known


def _recent(entries: Sequence[Entry], since: str | None) -> Sequence[Entry]:
    """The forecasts of a job, oldest first, from a time on or over a stretch up to the newest.

    Raises:
        ConfigError: it is neither, or nothing was issued since.
    """
    if since is None:
        return entries
    newest = instant(entries[-1].issued.as_of)
    try:
        span = span_of(since)
    except ValueError:
        span = None
    if isinstance(span, timedelta) and isinstance(newest[1], (int, float)):
        # The stretch of 7 days up to a day holds seven days, as that of an alarm does.
        first: tuple[int, float | str] = (newest[0], newest[1] - span.total_seconds() + 1e-6)
    else:
        first = instant(since)
    if first[0] != newest[0] or (isinstance(span, timedelta) and newest[0] == 0):
        raise ConfigError(
            f"--since: {since!r} is not a time like {entries[-1].issued.as_of!r}, nor a stretch such as 90d."
        )
    recent = [entry for entry in entries if instant(entry.issued.as_of) >= first]
    if not recent:
        raise ConfigError(
            f"--since: job {entries[-1].issued.job!r} has no forecasts as of {since} or later; the newest are as of "
            f"{entries[-1].issued.as_of}."
        )
    return recent


def _refuse_empty(archive: Path, job: str | None, found: Survey) -> None:
    if found.entries:
        return
    if found.problems:
        raise DataError("\n".join([f"{archive}: holds no forecast that can be read:", *found.problems]))
    if job is not None:
        names = sorted({entry.issued.job for entry in survey(archive).entries})
        there = f"it holds {listed(names)}" if names else "it is empty"
        raise DataError(f"{archive}: no forecasts of a job {job!r} ({there}); check --job.")
    raise DataError(
        f"{archive}: holds no forecasts; name it as `archive:` in a jobs file, and `tsforecast batch` puts them there."
    )
