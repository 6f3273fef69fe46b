"""The forecast steps of one file of an archive, placed on the time axis of the actual values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from tsforecast.errors import DataError
from tsforecast.evaluation.metrics import Judged, SeasonalScale
from tsforecast.series.panel import BoolArray, FloatArray, IntArray
from tsforecast.series.timeaxis import TimeAxis, TimeIndex
from tsforecast.storage.archive import SCORING_COLUMNS, Entry, read_entry

__all__ = ["MODELS", "Rows", "levels_of", "read_rows"]

Table: TypeAlias = Any  # pyarrow ships no types

MODELS = ("model", "seasonal_naive")
KEYS = ("unique_id", "ds", "cutoff", "lead_time", "y_hat")
QUANTILE = re.compile(r"q(0?\.\d+|\d+(\.\d+)?e-\d+)")
MAX_LEAD_TIME = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Forecast steps.

    Attributes:
        series: which of the names asked for, -1 for none of them, ``(n_rows,)``.
        strangers: names of the series that are none of them.
        position: of the step, ``(n_rows,)``.
        cutoff: position, ``(n_rows,)``.
        lead_time: from 1, ``(n_rows,)``.
        y_hat: of ``MODELS``, ``(2, n_rows)``.
        quantiles: of the model, ``(n_rows, levels)``.
        levels: rising, ``(levels,)``.
        scale: of the errors, ``(n_rows,)`` each.
    """

    series: IntArray
    strangers: tuple[str, ...]
    position: IntArray
    cutoff: IntArray
    lead_time: IntArray
    y_hat: FloatArray
    quantiles: FloatArray
    levels: FloatArray
    scale: SeasonalScale

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, kept: BoolArray) -> Rows:
        return Rows(
            self.series[kept],
            self.strangers,
            self.position[kept],
            self.cutoff[kept],
            self.lead_time[kept],
            self.y_hat[:, kept],
            self.quantiles[kept],
            self.levels,
            SeasonalScale(self.scale.mae[kept], self.scale.rmse[kept]),
        )

    def steps(self, y: FloatArray) -> Judged:
        """Each row as a window of one step, beside its actual value."""
        n = len(self)
        return self._judged(y, np.arange(n), np.zeros(n, np.int64), (n, 1))

    def windows(self, y: FloatArray) -> tuple[Judged, IntArray]:
        """The rows by forecast, that is by series and cutoff, beside their actual values; and the series of each."""
        cutoffs, cutoff = np.unique(self.cutoff, return_inverse=True)
        forecasts, window = np.unique(self.series * len(cutoffs) + cutoff, return_inverse=True)
        shape = (len(forecasts), int(self.lead_time.max(initial=1)))
        return self._judged(y, window, self.lead_time - 1, shape), forecasts // max(len(cutoffs), 1)

    def _judged(self, y: FloatArray, window: IntArray, step: IntArray, shape: tuple[int, int]) -> Judged:
        actual = np.full(shape, np.nan)
        actual[window, step] = y
        y_hat = np.full((len(MODELS), *shape), np.nan)
        y_hat[:, window, step] = self.y_hat
        quantiles = np.full((len(MODELS), *shape, len(self.levels)), np.nan)
        quantiles[0, window, step] = self.quantiles
        scale = np.full((2, shape[0]), np.nan)
        scale[:, window] = self.scale.mae, self.scale.rmse
        return Judged(
            y=actual,
            y_hat=y_hat,
            scale=SeasonalScale(mae=scale[0], rmse=scale[1]),
            levels=self.levels,
            quantiles=quantiles,
        )


def read_rows(
    entry: Entry, names: pd.Index[Any], axis: TimeAxis, *, first: str | None, before: str | None
) -> Rows:
    """The forecast steps of a file, of the series whose names lie between two.

    Args:
        entry: the file.
        names: of the series that ``series`` of the result counts, each once.
        axis: of the actual values.
        first: the first name that is wanted; None for all from the beginning on.
        before: the name before which they end; None for all to the end.

    Raises:
        DataError: the file cannot be read, or its times are no steps of the axis.
        ResourceError: it does not fit in memory.
    """
    levels = levels_of(entry)
    quantiles = list(levels.values())
    columns = [*KEYS, *SCORING_COLUMNS, *quantiles]
    table = read_entry(entry, columns=columns, first=first, before=before)
    found = pc.dictionary_encode(table.column("unique_id").combine_chunks())
    own = found.dictionary.to_pylist()
    place = names.get_indexer(pd.Index(own, dtype="str")) if own else np.empty(0, np.int64)
    series = np.asarray(place)[found.indices.to_numpy(zero_copy_only=False)]
    lead_time = table.column("lead_time").to_numpy()
    try:
        position, cutoff = (_positions(table, name, axis) for name in ("ds", "cutoff"))
    except DataError as error:
        raise DataError(f"{entry.path}: {error}") from error
    if (position - cutoff != lead_time).any() or not _within(lead_time):
        raise DataError(
            f"{entry.path}: its lead times are not the steps of frequency {axis.freq!r} from cutoff to ds; the data "
            "has another frequency now, or the file was changed. Move it out of the archive."
        )
    return Rows(
        series=series.astype(np.int64),
        strangers=tuple(name for name, found_at in zip(own, place, strict=True) if found_at < 0),
        position=position,
        cutoff=cutoff,
        lead_time=lead_time,
        y_hat=np.stack([_numbers(table, name) for name in ("y_hat", "seasonal_naive")]),
        quantiles=np.stack([_numbers(table, name) for name in quantiles], axis=1)
        if quantiles
        else np.empty((len(series), 0)),
        levels=np.array(list(levels), dtype=np.float64),
        scale=SeasonalScale(mae=_numbers(table, "scale"), rmse=_numbers(table, "scale_rmse")),
    )


def levels_of(entry: Entry) -> dict[float, str]:
    """The columns of quantiles by their levels, rising."""
    levels = {float(name[1:]): name for name in entry.columns if QUANTILE.fullmatch(name)}
    return {level: levels[level] for level in sorted(levels) if 0 < level < 1}


def _within(lead_time: IntArray) -> bool:
    return not len(lead_time) or bool(1 <= lead_time.min() <= lead_time.max() <= MAX_LEAD_TIME)


def _positions(table: Table, name: str, axis: TimeAxis) -> IntArray:
    column = table.column(name).to_pandas()
    times: TimeIndex = pd.DatetimeIndex(column) if column.dtype.kind == "M" else column.to_numpy(np.int64)
    if isinstance(times, pd.DatetimeIndex) and times.hasnans:
        raise DataError(f"column {name!r} has no time in some rows; move the file out of the archive.")
    return axis.positions(times)


def _numbers(table: Table, name: str) -> FloatArray:
    """A column of numbers; what is not finite is missing."""
    values = table.column(name).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)
