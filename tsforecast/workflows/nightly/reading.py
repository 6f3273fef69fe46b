"""What a job reads: its series in the order of their names, in parts of which one is in memory at a time.

A source that fits in memory is one part and stays there. A larger one spills over to a folder beside the status file,
is dealt out to ranges of series, and each range is checked and put aside as a panel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.jobs import JobConfig, age_of
from tsforecast.config.load import load_config
from tsforecast.config.schema import DataConfig
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.assemble import times_of
from tsforecast.series.cut import Cut
from tsforecast.series.faults import read_apart, read_apart_in_ranges
from tsforecast.series.isolate import Isolated, not_forecast
from tsforecast.series.pieces import Spill
from tsforecast.series.read import name_of
from tsforecast.series.shelf import Parts, Shelf
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.atomic import staging_folder
from tsforecast.workflows.nightly.shards import as_of_text
from tsforecast.workflows.nightly.summary import lost_text
from tsforecast.workflows.nightly.work import Work
from tsforecast.workflows.predict import LoadedRun, read_rows_like, tell_reading, unseen_in

__all__ = ["Reading", "newest_row", "reading", "refuse_old", "source_of"]


class Reading:
    """What was read, part by part.

    Attributes:
        source: where it came from.
    """

    def __init__(self, source: str, shelf: Shelf) -> None:
        self.source = source
        self._parts = Parts(shelf)
        self._newest: tuple[Any, TimeAxis, int] | None = None

    def __iter__(self) -> Iterator[Isolated]:
        return iter(self._parts)

    @property
    def newest(self) -> str:
        """The newest step that any series reaches.

        Raises:
            DataError: there is no series.
        """
        if self._newest is None:
            lost = lost_text(not_forecast(self._parts.failures))
            raise DataError(f"{name_of(self.source)}: no series could be read: {lost}")
        _, axis, position = self._newest
        return as_of_text(axis, position)

    def add(self, read: Isolated) -> None:
        """Takes a further part, and puts it aside where there are others.

        Raises:
            ResourceError: the disk is full.
        """
        read = self._parts.add(read)
        for one in (read.panel, *read.fallbacks):
            if one.n_series:
                end = int(one.positions(one.last_cutoffs).max())
                moment = one.axis.timestamps(np.array([end]))[0]
                if self._newest is None or moment > self._newest[0]:
                    self._newest = moment, one.axis, end


@contextmanager
def reading(work: Work, run: LoadedRun) -> Iterator[Reading]:
    """The data of a job, bad series set apart; what of it lies on the disk is removed when the block ends.

    Raises:
        DataError: it cannot be used as it is, or no series can.
        RunError: it has another frequency or time zone than the run.
        ResourceError: the disk is full.
    """
    status = work.status.path
    with staging_folder(status.with_name(f"{status.name}.data")) as folder:
        read = Reading(source_of(work, run), Shelf(folder, status))
        _read_all(read, run, Cut(None, work.job.drop_last), Spill(folder, status))
        yield read


def _read_all(read: Reading, run: LoadedRun, cut: Cut, spill: Spill) -> None:
    """Takes in all parts of the source, and says what was repaired in them."""
    data, where = run.config.data, name_of(read.source)
    repairs: Counter[str] = Counter()
    unseen: list[str] = []
    for rows in read_apart_in_ranges(data, read.source, spill):
        is_part = spill.is_used and bool(data.id_columns)
        part = read_rows_like(run, rows, cut, where=where, is_part=is_part)
        repairs.update(part.repairs)
        unseen += unseen_in(run, part)
        read.add(part)
    tell_reading(repairs, unseen, where=where)


def newest_row(data: DataConfig, source: str) -> str:
    """The time of the newest row, of whatever series, as it stands there.

    Raises:
        DataError: the source cannot be read.
    """
    table, _ = read_apart(data, source)
    newest = times_of(table).max()
    return str(newest) if isinstance(newest, int | np.integer) else newest.isoformat()


def refuse_old(job: JobConfig, newest: str, source: str) -> None:
    """Raises where the newest row is older than it may be; the one place where the clock has a say."""
    if job.max_age is None:
        return
    if newest.lstrip("+-").isdigit():
        raise ConfigError("max_age is about time, and the data counts steps; remove it.")
    moment = pd.Timestamp(newest)
    now = pd.Timestamp.now(tz=moment.tz)  # rows without a zone are on the clock of this machine
    if now - moment > age_of(job.max_age):
        days = (now - moment) / pd.Timedelta(days=1)
        raise DataError(
            f"{name_of(source)}: the newest row is of {newest}, {days:.1f} days ago (it is now {now:%Y-%m-%d %H:%M}), "
            f"and max_age is {job.max_age}; nothing was forecast. Look why no new rows came, or raise max_age."
        )


def source_of(work: Work, run: LoadedRun) -> str:
    """Where a job's data comes from, with the secrets that a run does not keep."""
    if work.job.data is None and work.job.config is not None:
        return load_config(Path(work.job.config)).data.path
    return work.job.data or run.config.data.path
