"""Which windows are learned from, and in which order."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsforecast.errors import DataError
from tsforecast.features.auto import least_history
from tsforecast.features.windows import Batch, WindowReader
from tsforecast.series.panel import IntArray, Panel
from tsforecast.training.plan import Plan

__all__ = ["Sampler", "training_cutoffs"]


def training_cutoffs(
    panel: Panel, *, horizon: int, lookback: int, season_length: int, difference: int = 0
) -> tuple[IntArray, IntArray, IntArray]:
    """Series that can be learned from, and the first and last row of each where a training window may end.

    Every window has its whole horizon inside the panel. Where no series is that long, windows may reach past the
    end, and the missing targets do not count.

    Args:
        panel: the rows to learn from.
        horizon: steps forecast from each window.
        lookback: steps read.
        season_length: steps in a season.
        difference: first rows of each series that hold no difference.

    Raises:
        DataError: no series has a single window.
    """
    needed = difference + least_history(lookback, [season_length])
    for ahead in (horizon, 1):
        first = panel.offsets[:-1] + needed - 1
        last = panel.offsets[1:] - 1 - ahead
        series = np.flatnonzero(last >= first)
        if len(series):
            return series, first[series], last[series]
    longest = int(panel.lengths.max(initial=0))
    raise DataError(
        f"no series is long enough to learn from: the longest has {longest} rows before the held-back part, and "
        f"{needed + 1} are needed (two seasons of {season_length}, {_lag_words(difference)}and one step to forecast); "
        "give longer series, or lower split.test, split.validation or season_length.",
        code="L502",
    )


def _lag_words(difference: int) -> str:
    return f"{difference} for the difference, " if difference else ""


class Sampler:
    """Draws training windows: a series first, then a cutoff in it, so that long series do not drown short ones."""

    def __init__(
        self, reader: WindowReader, cutoffs: tuple[IntArray, IntArray, IntArray], plan: Plan
    ) -> None:
        self.device = reader.device
        self.unique_ids = reader.unique_ids
        self._reader = reader
        self._plan = plan
        self._series, self._first, last = (torch.from_numpy(array) for array in cutoffs)
        self._count = last - self._first + 1
        self.generator = torch.Generator().manual_seed(plan.seed)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Series and cutoff rows of one batch, on the CPU, ``(batch_size,)`` each."""
        n = self._plan.batch_size
        index = torch.randint(len(self._series), (n,), generator=self.generator)
        share = torch.rand(n, generator=self.generator, dtype=torch.float64)
        rows = self._first[index] + (share * self._count[index]).long()
        return self._series[index], rows

    def closed(self) -> bool:
        """Whether the next step is a closed-loop one."""
        return bool(torch.rand((), generator=self.generator) < self._plan.closed_loop)

    def read(self, series: Tensor, rows: Tensor) -> Batch:
        """The windows, with their targets, on the device."""
        return self._reader.gather(series.to(self.device), rows.to(self.device), self._plan.horizon)
