"""Centre and scale of the values a network sees, from rows up to the cutoff only.

Values stay float64 until they are scaled: 1e9 with small changes would be lost in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from tsforecast.series.magnitude import SMALLEST, binary_unit
from tsforecast.series.panel import BoolArray, FloatArray, IntArray, Panel

__all__ = ["SCALINGS", "UNCENTERED", "Scales", "fit_scales", "lost_in_float32", "window_scale"]

# Spread smaller than this share of the level is rounding noise of float64.
NOISE = 1e-12
# Share of the level that the mean of equal values may be off by.
ROUNDING = 1e-13
# A series whose range is fewer than a hundred steps of float32 has lost its shape.
RESOLVED = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Scales fitted once per series and per covariate.

    Attributes:
        center: what is subtracted from each series, ``(n_series,)``.
        scale: what it is divided by, never 0, ``(n_series,)``. A series without the spread its scaling is about
            takes its standard deviation, and a constant one 1, or what is rounding at its level.
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

    def for_panel(
        self, panel: Panel, known: Mapping[str, int], *, season_length: int, scaling: str
    ) -> Scales:
        """These scales in the order of ``panel``; a series that is not in ``known`` is scaled by its own rows."""
        index = np.array([known.get(name, -1) for name in panel.unique_ids], dtype=np.int64)
        center, scale = self.center[index], self.scale[index]
        new = np.flatnonzero(index < 0)
        if new.size:
            own = fit_scales(panel.select(new), season_length=season_length, scaling=scaling)
            center[new], scale[new] = own.center, own.scale
        return replace(self, center=center, scale=scale)


def fit_scales(panel: Panel, *, season_length: int, scaling: str) -> Scales:
    """Scales from all rows of the panel, so cut it at the cutoff first.

    Args:
        panel: the rows to learn from.
        season_length: ``m`` of the seasonal error.
        scaling: a key of ``SCALINGS``.
    """
    of_row = np.repeat(np.arange(panel.n_series), panel.lengths)
    finite = np.isfinite(panel.y)
    y = np.where(finite, panel.y, 0.0)
    largest = np.zeros(panel.n_series)
    np.maximum.at(largest, of_row, np.abs(y))
    # In units of a power of two, squares of 1e300 do not overflow, and nothing is rounded.
    unit = binary_unit(largest)
    values = _Values(y / unit[of_row], finite, of_row, panel.n_series, season_length)
    largest = largest / unit
    flat = np.maximum(1.0, ROUNDING * largest * unit) / unit
    scale = flat
    center, *spreads = SCALINGS[scaling].fit(values)
    for spread in reversed(spreads):
        scale = np.where(spread > NOISE * largest, spread, scale)
    scale = np.where(scale * unit > SMALLEST, scale * unit, 1.0)
    past_center, past_scale = _standard(panel.past, panel.past_names, panel.categories)
    known = panel.future[panel.future_rows] if panel.future_names else panel.future
    future_center, future_scale = _standard(known, panel.future_names, panel.categories)
    static_center, static_scale = _standard(panel.static, panel.static_names, panel.categories)
    return Scales(
        center=center * unit,
        scale=scale,
        past_center=past_center,
        past_scale=past_scale,
        future_center=future_center,
        future_scale=future_scale,
        static_center=static_center,
        static_scale=static_scale,
    )


def lost_in_float32(panel: Panel) -> list[str]:
    """Names of the series whose changes are mostly rounding unless a centre is subtracted, as 1e9 with small noise."""
    of_row = np.repeat(np.arange(panel.n_series), panel.lengths)
    finite = np.isfinite(panel.y)
    low, high = np.full(panel.n_series, np.inf), np.full(panel.n_series, -np.inf)
    np.minimum.at(low, of_row[finite], panel.y[finite])
    np.maximum.at(high, of_row[finite], panel.y[finite])
    changes = high > low
    resolution = np.maximum(np.abs(low), np.abs(high)) * np.finfo(np.float32).eps
    lost = changes & (resolution > RESOLVED * np.where(changes, high - low, 0.0))
    return [panel.unique_ids[series] for series in np.flatnonzero(lost)]


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """All rows of all series, each series in its own unit.

    Attributes:
        y: values, 0 where there is none, ``(n_rows,)``.
        finite: whether there is a value, ``(n_rows,)``.
        of_row: series of each row, ``(n_rows,)``.
        n_series: number of series.
        season_length: steps in a season.
    """

    y: FloatArray
    finite: BoolArray
    of_row: IntArray
    n_series: int
    season_length: int

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean of each series where it has values, ``(n_series,)``."""
        return _mean_by_series(values, self.finite, self.of_row, self.n_series)

    def quantiles(self, levels: Sequence[float]) -> list[FloatArray]:
        """Quantiles of each series on straight lines between its sorted values, ``(n_series,)`` each."""
        y, of_row = self.y[self.finite], self.of_row[self.finite]
        y = np.append(y[np.lexsort((y, of_row))], 0.0)  # a series without a value reads the 0
        count = np.bincount(of_row, minlength=self.n_series)
        first = np.cumsum(count) - count
        found = []
        for level in levels:
            place = level * np.maximum(count - 1, 0)
            low = first + place.astype(np.int64)
            high = np.minimum(low + 1, first + np.maximum(count - 1, 0))
            found.append(np.where(count > 0, _between(y[low], y[high], place % 1), 0.0))
        return found


def _between(low: FloatArray, high: FloatArray, share: FloatArray) -> FloatArray:
    line: FloatArray = low + share * (high - low)
    return line


def _deviation(values: _Values) -> tuple[FloatArray, ...]:
    """Mean, and standard deviation."""
    center = values.mean(values.y)
    return center, np.sqrt(values.mean((values.y - center[values.of_row]) ** 2))


def _season(values: _Values) -> tuple[FloatArray, ...]:
    """Mean, and mean of ``|y[t] - y[t - m]|``."""
    center, deviation = _deviation(values)
    error = _seasonal_error(values.y, values.finite, values.of_row, values.n_series, values.season_length)
    return center, error, deviation


def _range(values: _Values) -> tuple[FloatArray, ...]:
    """Smallest value, and its distance from the largest."""
    low, high = values.quantiles([0, 1])
    return low, high - low


def _quartiles(values: _Values) -> tuple[FloatArray, ...]:
    """Median, and distance of the quartiles."""
    low, middle, high = values.quantiles([0.25, 0.5, 0.75])
    return middle, high - low, _deviation(values)[1]


def _size(values: _Values) -> tuple[FloatArray, ...]:
    """Zero, and mean of ``|y|``."""
    return np.zeros(values.n_series), values.mean(np.abs(values.y))


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
    known = ~np.isnan(columns)  # the others are masked
    count = np.maximum(known.sum(axis=0), 1)
    columns = np.where(known, columns, 0.0)
    center = columns.sum(axis=0) / count
    deviation = np.sqrt((np.where(known, columns - center, 0.0) ** 2).sum(axis=0) / count)
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
    unit = _binary_unit(scale)
    variance = torch.where(observed, ((values - mean) / unit) ** 2, 0.0).sum(1, keepdim=True) / count
    return mean, _spread_or(scale, unit * variance.sqrt())


def _seasonal(values: Tensor, observed: Tensor, center: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    mean, _ = _window_mean(values, observed, center)
    return mean, scale


def _range_of_window(
    values: Tensor, observed: Tensor, center: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    low, high = _window_quantiles(values, observed, center, [0, 1])
    return low, _spread_or(scale, high - low)


def _quartiles_of_window(
    values: Tensor, observed: Tensor, center: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    low, middle, high = _window_quantiles(values, observed, center, [0.25, 0.5, 0.75])
    return middle, _spread_or(scale, high - low)


def _size_of_window(values: Tensor, observed: Tensor, center: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    size, _ = _window_mean(values.abs(), observed, torch.zeros_like(center))
    return torch.zeros_like(center), _spread_or(scale, size)


def _spread_or(scale: Tensor, spread: Tensor) -> Tensor:
    """The spread of a window; a flat one has none of its own, so its series' scale says what a change would mean."""
    return torch.where(spread > 1e-3 * scale, spread, scale)


def _binary_unit(scale: Tensor) -> Tensor:
    """The power of two above each scale: squares of what is divided by it do not overflow, and nothing is rounded."""
    mantissa, _ = torch.frexp(scale)
    return scale / mantissa


def _window_mean(values: Tensor, observed: Tensor, center: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the observed values, or ``center`` where there is none, and their count (at least 1)."""
    count = observed.sum(1, keepdim=True)
    mean = torch.where(observed, values, 0.0).sum(1, keepdim=True) / count.clamp(min=1)
    return torch.where(count > 0, mean, center), count.clamp(min=1)


def _window_quantiles(
    values: Tensor, observed: Tensor, center: Tensor, levels: Sequence[float]
) -> list[Tensor]:
    """Quantiles of the observed values on straight lines between them, or ``center`` where there is none."""
    ranked = torch.where(observed, values, torch.inf).sort(dim=1).values
    last = observed.sum(1, keepdim=True) - 1
    found = []
    for level in levels:
        place = level * last.clamp(min=0).double()
        low, high = ranked.gather(1, place.floor().long()), ranked.gather(1, place.ceil().long())
        line = low + torch.where(high > low, (place - place.floor()) * (high - low), 0.0)
        found.append(torch.where(last >= 0, line, center))
    return found


@dataclass(frozen=True, slots=True)
class Scaling:
    """One way of bringing values to one scale.

    Attributes:
        fit: centre of each series, its scale, and what stands in for a scale of 0.
        of_window: centre and scale of a window, from its values and its series' own centre and scale.
    """

    fit: Callable[[_Values], tuple[FloatArray, ...]]
    of_window: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


SCALINGS: dict[str, Scaling] = {
    "none": Scaling(_deviation, _none),
    "standard": Scaling(_deviation, _series),
    "standard_by_window": Scaling(_deviation, _window),
    "minmax": Scaling(_range, _series),
    "minmax_by_window": Scaling(_range, _range_of_window),
    "robust": Scaling(_quartiles, _series),
    "robust_by_window": Scaling(_quartiles, _quartiles_of_window),
    "mean_abs": Scaling(_size, _series),
    "mean_abs_by_window": Scaling(_size, _size_of_window),
    "seasonal": Scaling(_season, _seasonal),
}
# Short for the two that are asked for most.
SCALINGS |= {"series": SCALINGS["standard"], "window": SCALINGS["standard_by_window"]}


# Those that subtract nothing.
UNCENTERED = ("none", "mean_abs", "mean_abs_by_window")


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
    return SCALINGS[name].of_window(values, observed, center, scale)
