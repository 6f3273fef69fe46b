"""Windows: index arithmetic on the panel, gathered into a batch on the device and never stored.

A window ends at a cutoff. The network reads ``lookback`` steps; at each step it sees the value, the values at the
seasonal lags before the step to forecast, whether there was a value at all, the calendar of the step to forecast,
and the past covariates. Scaling is done here, in float64, from rows up to the cutoff only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsforecast.features.calendar import CalendarTable
from tsforecast.features.scaling import Scales, window_scale
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

__all__ = ["Batch", "Features", "WindowReader"]


@dataclass(frozen=True, slots=True)
class Features:
    """What the network is shown, as stored with the model.

    Attributes:
        lookback: past steps read.
        lags: steps before the step to forecast whose values are shown at each step, each at least 2.
        calendar: names from ``CALENDAR_FEATURES``.
        past: names of the past covariates.
        scaling: how values are centred and scaled, a name from ``SCALINGS``.
        season_length: steps of the season that scales errors.
        future: names of the future covariates.
        static: names of the static covariates.
        categories: words the network has learned, by categorical covariate.
        fourier: waves per calendar feature.
        holidays: country, or None.
    """

    lookback: int
    lags: tuple[int, ...]
    calendar: tuple[str, ...]
    past: tuple[str, ...]
    scaling: str
    season_length: int
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fourier: int = 1
    holidays: str | None = None

    @property
    def history(self) -> int:
        """Past values a window needs, the reach of the longest lag included."""
        return self.lookback + max((lag - 1 for lag in self.lags), default=0)

    @property
    def n_values(self) -> int:
        """Inputs that are values of the series itself: the newest and the lags."""
        return 1 + len(self.lags)

    @property
    def input_size(self) -> int:
        """Inputs per step: values, whether there was one, calendar, holidays, covariates; words come last."""
        covariates = len(self.past) + len(self.future) + len(self.static)
        calendar = 2 * self.fourier * len(self.calendar) + (self.holidays is not None)
        return self.n_values + 1 + calendar + covariates

    @property
    def n_categories(self) -> tuple[int, ...]:
        """Words of each of the last inputs, which hold their number, and 0 for one that was not learned."""
        return tuple(len(self.categories[name]) for name in self.covariates if name in self.categories)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of all covariates, in the order of the inputs."""
        return (*self.future, *self.past, *self.static)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Features:
        values: dict[str, Any] = dict(stored)
        for name in ("lags", "calendar", "past", "future", "static"):
            values[name] = tuple(values.get(name, ()))
        values["categories"] = {name: tuple(words) for name, words in values.get("categories", {}).items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of windows on the device, scaled.

    Attributes:
        values: past values, the newest before where one is masked, 0 where there is none, ``(batch, history)``.
        observed: 1 where ``values`` has one and 0 where it is masked or padded, ``(batch, history)``.
        known: inputs that do not depend on the forecast, for each step read from the start of the lookback to the
            last but one of the horizon, ``(batch, lookback + horizon - 1, n_known)``.
        target: the values to forecast, something where there is none, ``(batch, horizon)``.
        target_observed: 1 where ``target`` has a value, ``(batch, horizon)``.
        center: what was subtracted, float64, ``(batch, 1)``.
        scale: what was divided by, float64, ``(batch, 1)``.
    """

    values: Tensor
    observed: Tensor
    known: Tensor
    target: Tensor
    target_observed: Tensor
    center: Tensor
    scale: Tensor

    def unscaled(self, scaled: Tensor) -> Tensor:
        """Forecasts in the unit of the data, float64, from scaled ones, ``(batch, …)``."""
        return scaled.double() * self.scale + self.center


class WindowReader:
    """The panel on the device, ready to be read in batches of windows.

    Args:
        panel: all rows that may be read; targets are read from it as well, so cut it before giving it here.
        features: what a window holds.
        scales: per-series scales of this panel's series, and those of the covariates.
        horizon: the longest horizon that will be asked for.
        device: where the arrays lie.
    """

    def __init__(
        self, panel: Panel, features: Features, scales: Scales, *, horizon: int, device: torch.device
    ) -> None:
        self.features = features
        self.device = device
        self.unique_ids = panel.unique_ids
        calendar = CalendarTable(
            panel, features.calendar, beyond=horizon, fourier=features.fourier, holidays=features.holidays
        )
        self._offsets = torch.tensor(panel.offsets, device=device)
        self._calendar_first = torch.from_numpy(calendar.first_rows).to(device)
        self._calendar = torch.from_numpy(calendar.table).to(device)
        self._y = torch.tensor(panel.y, device=device)
        self._is_masked = bool(np.isnan(panel.y).any())
        past = (panel.past - scales.past_center) / scales.past_scale
        future = (
            (panel.future - scales.future_center) / scales.future_scale if features.future else panel.future
        )
        static = (
            (panel.static - scales.static_center) / scales.static_scale if features.static else panel.static
        )
        past, future = (np.where(np.isnan(x), 0.0, x) for x in (past, future))  # masked: the mean
        self._past = self._covariates(panel, past, features.past)
        self._future = self._covariates(panel, future, features.future)
        self._static = self._covariates(panel, static, features.static)
        self._future_offsets = torch.tensor(panel.future_offsets, device=device)
        is_word = [name in features.categories for name in features.covariates]
        self._numbers_first = torch.tensor(np.argsort(is_word, kind="stable"), device=device)
        self._series_center = torch.from_numpy(scales.center).to(device)
        self._series_scale = torch.from_numpy(scales.scale).to(device)

    def read(self, cutoffs: Cutoffs, horizon: int) -> Batch:
        """The windows that end at these cutoffs, with the ``horizon`` values that follow them."""
        series = torch.from_numpy(cutoffs.series).to(self.device)
        rows = torch.from_numpy(cutoffs.rows).to(self.device)
        return self.gather(series, rows, horizon)

    def gather(self, series: Tensor, rows: Tensor, horizon: int) -> Batch:
        """As :meth:`read`, from index tensors on the device, ``(batch,)`` each."""
        spec = self.features
        first, end = self._offsets[series, None], self._offsets[series + 1, None]
        steps = torch.arange(1 - spec.history, horizon + 1, device=self.device)
        row = rows[:, None] + steps  # (batch, history + horizon)
        inside = (row >= first) & (row < end)
        raw = self._y[row.clamp(0, len(self._y) - 1)]
        observed = inside & raw.isfinite()
        raw = torch.where(observed, raw, 0.0)
        past, past_observed = raw[:, : spec.history], observed[:, : spec.history]
        center, scale = window_scale(
            spec.scaling,
            past[:, -spec.lookback :],
            past_observed[:, -spec.lookback :],
            center=self._series_center[series, None],
            scale=self._series_scale[series, None],
        )
        scaled = torch.where(observed, (raw - center) / scale, 0.0).float()
        if self._is_masked:
            scaled = _with_newest(scaled, observed, inside)
        return Batch(
            values=scaled[:, : spec.history],
            observed=past_observed.float(),
            known=self._known(series, rows, horizon),
            target=scaled[:, spec.history :],
            target_observed=observed[:, spec.history :].float(),
            center=center,
            scale=scale,
        )

    def _covariates(self, panel: Panel, values: FloatArray, names: tuple[str, ...]) -> Tensor:
        """Covariates on the device, words by the number the network knows them under."""
        values = values.astype(np.float32)
        for k, name in enumerate(names):
            if learned := self.features.categories.get(name):
                number = {word: n for n, word in enumerate(learned, start=1)}
                numbers = np.array(
                    [0, *(number.get(word, 0) for word in panel.categories[name])], dtype=np.float32
                )
                values[:, k] = numbers[values[:, k].astype(np.int64)]
        return torch.from_numpy(values).to(self.device)

    def _known(self, series: Tensor, rows: Tensor, horizon: int) -> Tensor:
        """Calendar and future covariates of the step after each step read, past and static covariates, words last.

        Past covariates are held at the cutoff's from there on.
        """
        spec = self.features
        steps = torch.arange(1 - spec.lookback, horizon, device=self.device)
        first = self._offsets[series, None]
        parts = []
        if spec.calendar or spec.holidays:
            table_row = self._calendar_first[series, None] + rows[:, None] + steps + 1 - first
            calendar = self._calendar[table_row.clamp(0, len(self._calendar) - 1)]
            # What lies before a series is padding, whatever other series have there.
            parts.append(calendar * (rows[:, None] + steps >= first).unsqueeze(2))
        covariates = []
        if spec.future:
            begin, end = self._future_offsets[series, None], self._future_offsets[series + 1, None]
            row = begin + rows[:, None] + steps + 1 - first
            covariates.append(self._future[torch.minimum(torch.maximum(row, begin), end - 1)])
        if spec.past:
            row = torch.maximum(rows[:, None] + steps.clamp(max=0), first)
            covariates.append(self._past[row])
        if spec.static:
            covariates.append(self._static[series, None].expand(-1, len(steps), -1))
        if covariates:
            parts.append(torch.cat(covariates, dim=2)[..., self._numbers_first])
        if not parts:
            return torch.empty((len(rows), len(steps), 0), device=self.device)
        return torch.cat(parts, dim=2)


def _with_newest(values: Tensor, observed: Tensor, inside: Tensor) -> Tensor:
    """The newest observed value before it in place of each masked one, ``(batch, time)``; 0 where there is none."""
    steps = torch.arange(values.shape[1], device=values.device).expand_as(values)
    newest = torch.where(observed, steps, -1).cummax(dim=1).values
    stands_in = values.gather(1, newest.clamp(min=0))
    return torch.where(inside & ~observed & (newest >= 0), stands_in, values)
