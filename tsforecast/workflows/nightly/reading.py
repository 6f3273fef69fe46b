"""What a job reads: its series in the order of their names, in parts of which one is in memory at a time.

A source that fits in memory is one part and stays there. A larger one spills over to a folder beside the status file,
is dealt out to ranges of series, and each range is checked and put aside as a panel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tsforecast.config.jobs import JobConfig, age_of
from tsforecast.config.load import load_config
from tsforecast.config.schema import DataConfig
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.assemble import refuse_many_words, times_of
from tsforecast.series.columns import columns_of
from tsforecast.series.cut import Cut
from tsforecast.series.faults import read_apart, read_apart_in_ranges
from tsforecast.series.pieces import Spill
from tsforecast.series.read import name_of
from tsforecast.series.shelf import Parts, Shelf
from tsforecast.storage.atomic import staging_folder
from tsforecast.workflows.nightly.shards import as_of_text
from tsforecast.workflows.nightly.work import Work
from tsforecast.workflows.predict import LoadedRun, read_rows_like, tell_reading, unseen_in

__all__ = ["Reading", "newest_row", "reading", "refuse_old", "source_of"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        source: where it came from.
        parts: its series, part by part, by rising names.
        newest: the newest step that any series reaches.
    """

    source: str
    parts: Parts
    newest: str


@contextmanager
def reading(work: Work, run: LoadedRun) -> Iterator[Reading]:
    """The data of a job, bad series set apart; what of it lies on the disk is removed when the block ends.

    Raises:
        DataError: it cannot be used as it is, or no series can.
        RunError: it has another frequency or time zone than the run.
        ResourceError: the disk is full.
    """
    status, source, data = work.status.path, source_of(work, run), run.config.data
    n_columns = len(columns_of(data).keys) - len(data.time_columns) - len(data.id_columns)
    with staging_folder(status.with_name(f"{status.name}.data")) as folder:
        parts = Parts(Shelf(folder, status))
        spill = Spill(folder, status, n_columns=n_columns)
        _read_all(parts, run, source, Cut(None, work.job.drop_last), spill)
        yield Reading(source, parts, as_of_text(parts.axis, parts.newest))


def _read_all(parts: Parts, run: LoadedRun, source: str, cut: Cut, spill: Spill) -> None:
    """Takes in all parts of the source, and says what was repaired in them."""
    data, where = run.config.data, name_of(source)
    repairs: Counter[str] = Counter()
    words: dict[str, set[str]] = {}
    unseen: list[str] = []
    for rows, is_part in read_apart_in_ranges(data, source, spill):
        part = read_rows_like(run, rows, cut, where=where, is_part=is_part)
        repairs.update(part.repairs)
        unseen += unseen_in(run, part)
        for column, some in part.panel.categories.items():
            refuse_many_words(words.setdefault(column, set()).union(some), column, where)
            words[column].update(some)
        parts.add(part)
    parts.settle(where=where, policy=data.on_bad_series)
    tell_reading(repairs, unseen, where=where)


def newest_row(data: DataConfig, source: str) -> str:
    """The time of the newest row, of whatever series, as it stands there.

    Raises:
        DataError: the source cannot be read.
    """
    table, _ = read_apart(data, source)
    newest = times_of(table[table["y"].notna()]).max()
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
