"""Centre and scale of the values a network sees, from rows up to the cutoff only.

Values stay float64 until they are scaled: 1e9 with small changes would be lost in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from tsforecast.series.panel import BoolArray, FloatArray, IntArray, Panel

__all__ = ["SCALINGS", "Scales", "fit_scales", "window_scale"]

# Spread smaller than this share of the level is rounding noise of float64.
NOISE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Scales fitted once per series and per covariate.

    Attributes:
        center: mean of each series, ``(n_series,)``.
        scale: spread of each series, never 0, ``(n_series,)``: its seasonal error, the mean of
            ``|y[t] - y[t - m]|``, where that exists, else its standard deviation, else 1.
        past_center: mean of each past covariate, ``(n_past,)``.
        past_scale: standard deviation of each past covariate, never 0, ``(n_past,)``.
        future_center: mean of each future covariate, ``(n_future,)``.
        future_scale: standard deviation of each future covariate, never 0, ``(n_future,)``.
        static_center: mean of each static covariate over the series, ``(n_static,)``.
        static_scale: standard deviation of each static covariate, never 0, ``(n_static,)``.

    Columns of words are not scaled: their centre is 0 and their scale 1.
    """

    center: FloatArray
    scale: FloatArray
    past_center: FloatArray
    past_scale: FloatArray
    future_center: FloatArray = field(default_factory=lambda: np.empty(0))
    future_scale: FloatArray = field(default_factory=lambda: np.empty(0))
    static_center: FloatArray = field(default_factory=lambda: np.empty(0))
    static_scale: FloatArray = field(default_factory=lambda: np.empty(0))

    def for_panel(self, panel: Panel, known: dict[str, int], own: Scales) -> Scales:
        """These scales in the order of ``panel``; a series that is not in ``known`` takes them from ``own``."""
        index = np.array([known.get(name, -1) for name in panel.unique_ids], dtype=np.int64)
        return replace(
            self,
            center=np.where(index >= 0, self.center[index], own.center),
            scale=np.where(index >= 0, self.scale[index], own.scale),
        )


def fit_scales(panel: Panel, *, season_length: int, per_season: bool) -> Scales:
    """Scales from all rows of the panel, so cut it at the cutoff first.

    Args:
        panel: the rows to learn from.
        season_length: ``m`` of the seasonal error.
        per_season: scale by the seasonal error, or by the standard deviation.
    """
    of_row = np.repeat(np.arange(panel.n_series), panel.lengths)
    finite = np.isfinite(panel.y)
    y = np.where(finite, panel.y, 0.0)
    center = _mean_by_series(y, finite, of_row, panel.n_series)
    deviation = np.sqrt(_mean_by_series((y - center[of_row]) ** 2, finite, of_row, panel.n_series))
    largest = np.zeros(panel.n_series)
    np.maximum.at(largest, of_row, np.abs(y))
    scale = np.where(deviation > NOISE * largest, deviation, 1.0)
    if per_season:
        error = _seasonal_error(y, finite, of_row, panel.n_series, season_length)
        scale = np.where(error > NOISE * largest, error, scale)
    past_center, past_scale = _standard(panel.past, panel.past_names, panel.categories)
    known = panel.future[panel.future_rows] if panel.future_names else panel.future
    future_center, future_scale = _standard(known, panel.future_names, panel.categories)
    static_center, static_scale = _standard(panel.static, panel.static_names, panel.categories)
    return Scales(
        center=center,
        scale=scale,
        past_center=past_center,
        past_scale=past_scale,
        future_center=future_center,
        future_scale=future_scale,
        static_center=static_center,
        static_scale=static_scale,
    )


def _mean_by_series(values: FloatArray, counted: BoolArray, of_row: IntArray, n_series: int) -> FloatArray:
    """Mean of the counted values of each series, 0 where there is none, ``(n_series,)``."""
    total = np.bincount(of_row, weights=np.where(counted, values, 0.0), minlength=n_series)
    return total / np.maximum(np.bincount(of_row, weights=counted, minlength=n_series), 1)


def _seasonal_error(
    y: FloatArray, finite: BoolArray, of_row: IntArray, n_series: int, season_length: int
) -> FloatArray:
    """Mean of ``|y[t] - y[t - m]|`` of each series, 0 where it is not longer than a season, ``(n_series,)``."""
    m = season_length
    pair = (of_row[m:] == of_row[:-m]) & finite[m:] & finite[:-m]
    return _mean_by_series(np.abs(y[m:] - y[:-m]), pair, of_row[m:], n_series)


def _standard(
    columns: FloatArray, names: Sequence[str], categories: Mapping[str, object]
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each column, the latter 1 where the column is constant; 0 and 1 for words."""
    if not len(columns):
        return np.zeros(columns.shape[1]), np.ones(columns.shape[1])
    center, deviation = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(deviation > NOISE * np.abs(columns).max(axis=0), deviation, 1.0)
    words = np.array([name in categories for name in names], dtype=np.bool_)
    if words.any():
        center, scale = np.where(words, 0.0, center), np.where(words, 1.0, scale)
    return center, scale


def _none(_values: Tensor, _observed: Tensor, center: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(center), torch.ones_like(scale)


def _series(_values: Tensor, _observed: Tensor, center: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    return center, scale


def _window(values: Tensor, observed: Tensor, center: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    mean, count = _window_mean(values, observed, center)
    variance = torch.where(observed, (values - mean) ** 2, 0.0).sum(1, keepdim=True) / count
    deviation = variance.sqrt()
    # A flat window has no spread of its own: the series' scale says what a change would mean.
    return mean, torch.where(deviation > 1e-3 * scale, deviation, scale)


def _seasonal(values: Tensor, observed: Tensor, center: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    mean, _ = _window_mean(values, observed, center)
    return mean, scale


def _window_mean(values: Tensor, observed: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the observed values, or ``center`` where there is none, and their count (at least 1)."""
    count = observed.sum(1, keepdim=True)
    mean = torch.where(observed, values, 0.0).sum(1, keepdim=True) / count.clamp(min=1)
    return torch.where(count > 0, mean, center), count.clamp(min=1)


# name -> (centre, scale) of a window from its values and its series' own centre and scale
SCALINGS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "none": _none,
    "series": _series,
    "window": _window,
    "seasonal": _seasonal,
}


def window_scale(
    name: str, values: Tensor, observed: Tensor, *, center: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Centre and scale of each window, float64, ``(batch, 1)`` each.

    Args:
        name: a key of ``SCALINGS``.
        values: past values in the unit of the data, ``(batch, lookback)``.
        observed: where there is a value, ``(batch, lookback)``.
        center: each series' own centre, ``(batch, 1)``.
        scale: each series' own scale, ``(batch, 1)``.
    """
    return SCALINGS[name](values, observed, center, scale)
