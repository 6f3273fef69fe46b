"""A job on its way, and how the night is meant; imports nothing that takes long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tsforecast.config.jobs import JobConfig, JobsFile
from tsforecast.errors import TsforecastError
from tsforecast.workflows.nightly.status import Status

if TYPE_CHECKING:
    from tsforecast.series.isolate import Failure
    from tsforecast.training.fit import Watcher

__all__ = ["PARTLY_DONE", "Mode", "Night", "Work"]

PARTLY_DONE = 5  # exit code: something failed, the rest is written

Mode = Literal["missing", "failed", "all"]


@dataclass(frozen=True, slots=True)
class Night:
    """How this run of the jobs is meant, and who watches it.

    Attributes:
        command: the command line, for the status and the locks.
        as_of: forecast as if this were now; None for the newest rows.
        backfill: first and last as-of of a stretch of history.
        mode: which of these are made: those that are missing, that failed, or all.
        force: make forecasts that are finished once more.
        max_failures: instead of what the file says.
        wait: seconds to wait for a lock; None for ever.
        log: file of this run's messages, for the status; None where there is none.
        emit: takes CSV for stdout.
        training: watches a training.
        progress: is told the job, how many of its series are behind us, and how many there are.
    """

    command: str = "tsforecast batch"
    as_of: str | None = None
    backfill: tuple[str, str] | None = None
    mode: Mode = "missing"
    force: bool = False
    max_failures: int | str | None = None
    wait: float | None = 0.0
    log: Path | None = None
    emit: Callable[[str], None] = lambda _: None
    training: Callable[[], AbstractContextManager[Watcher | None]] = nullcontext
    progress: Callable[[str, int, int], None] = lambda *_: None


@dataclass(slots=True)
class Work:
    """A job on its way.

    Attributes:
        job: what it says.
        jobs: the file it stands in.
        night: how it is meant.
        status: takes down how it goes.
        failures: series that failed, by as-of.
        problems: what went wrong without ending the job.
        notices: what is no failure, and yet worth a look.
        n_series: of the newest forecast.
        skipped: forecasts that were finished before.
        made: forecasts that were made now.
    """

    job: JobConfig
    jobs: JobsFile
    night: Night
    status: Status
    failures: dict[str, tuple[Failure, ...]] = field(default_factory=dict)
    problems: list[TsforecastError] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    n_series: int = 0
    skipped: int = 0
    made: int = 0

    @property
    def archive(self) -> Path | None:
        return None if self.jobs.archive is None else Path(self.jobs.archive)

    @property
    def n_lost(self) -> int:
        return sum(not failure.forecast for lost in self.failures.values() for failure in lost)
