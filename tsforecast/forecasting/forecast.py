"""From a fitted model and a panel to forecasts: all series at once, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from tsforecast.errors import ConfigError, DataError
from tsforecast.features.scaling import Scales
from tsforecast.features.transforms import Transform
from tsforecast.features.windows import Features, WindowReader
from tsforecast.forecasting.intervals import Spread
from tsforecast.forecasting.paths import one_sided_units, paths_of, remapped
from tsforecast.recurrent.ensemble import Forecaster, pooled
from tsforecast.recurrent.rollout import one_step_ahead, rollout
from tsforecast.runtime import autocast, flushed_denormals
from tsforecast.series.naive import seasonal_naive
from tsforecast.series.panel import BoolArray, Cutoffs, FloatArray, IntArray, Panel

__all__ = [
    "FittedModel",
    "Forecasts",
    "forecast",
    "forecast_frame",
    "forecast_levels",
    "forecast_paths",
    "forecast_values",
    "forecast_windows",
    "frame_of",
    "frame_of_paths",
    "known_ahead",
    "never_negative",
    "path_levels",
    "quantile_column",
    "with_seasonal_naive",
]

# Series that an error lists.
MAX_LISTED = 20
# Numbers that one chunk of windows may hold: 64 MB in float32.
CHUNK_VALUES = 16_000_000
# Numbers a network holds per unit and step while it reads: four gates and the state.
PER_UNIT = 5


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """Everything a forecast needs beside the data.

    Attributes:
        network: one or several as one, with their weights, on their device, in evaluation mode.
        features: what the network is shown.
        unique_ids: the series it was trained on.
        transform: of their values, before they are scaled.
        scales: their scales.
        never_negative: which of them never had a negative value.
        spread: interval widths.
        horizon: steps it was trained to roll out.
        non_negative: cut forecasts at 0: always, never, or (None) where the history was never negative.
        precision: of the forward pass.
        seed: of the noise of sample paths.
        n_paths: paths that give a head's intervals their unit, where the head has a distribution.
        integer: round paths and quantiles, and a forecast that is a median.
        falls_back: which series the seasonal naive forecasts in place of the network; None where it does none.
    """

    network: Forecaster
    features: Features
    unique_ids: tuple[str, ...]
    transform: Transform
    scales: Scales
    never_negative: BoolArray
    spread: Spread
    horizon: int
    non_negative: bool | None
    precision: str
    seed: int = 1
    n_paths: int = 20
    integer: bool = False
    falls_back: BoolArray | None = None

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def _known(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.unique_ids)}

    def transform_of(self, panel: Panel) -> Transform:
        """The transform of any panel's series."""
        return self.transform.for_panel(panel, self._known)

    def falls_back_on(self, panel: Panel) -> BoolArray:
        """Which series of any panel fall back, ``(n_series,)``; one the model has not seen does where all do."""
        if self.falls_back is None:
            return np.zeros(panel.n_series, dtype=np.bool_)
        index = np.array([self._known.get(name, -1) for name in panel.unique_ids], dtype=np.int64)
        found: BoolArray = np.where(index >= 0, self.falls_back[index], self.falls_back.all())
        return found

    def reader(self, panel: Panel, *, horizon: int) -> WindowReader:
        """Transformed windows of any panel; series the model has not seen are scaled by their own rows."""
        transform = self.transform_of(panel)
        panel = transform.differences(transform.levels(panel))
        features = self.features
        scales = self.scales.for_panel(
            panel, self._known, season_length=features.season_length, scaling=features.scaling
        )
        return WindowReader(panel, self.features, scales, horizon=horizon, device=self.device)


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """Forecasts of many windows.

    Attributes:
        levels: point forecasts as transformed, ``(n_cutoffs, horizon)``.
        below: unit of the quantiles below them, ``(n_cutoffs, horizon)`` or ``(n_cutoffs, 1)``.
        above: unit of those above them, same shape.
        floor: lowest value each forecast may take, in the unit of the data, ``(n_cutoffs,)``.
        series: of each window, ``(n_cutoffs,)``.
        transform: what leads from the data to the levels.
        is_median: whether the point forecasts are medians; else they are means.
        integer: whether values that may come are whole.
    """

    levels: FloatArray
    below: FloatArray
    above: FloatArray
    floor: FloatArray
    series: IntArray
    transform: Transform
    is_median: bool = True
    integer: bool = False

    @property
    def y_hat(self) -> FloatArray:
        """Point forecasts in the unit of the data, ``(n_cutoffs, horizon)``; a mean of whole numbers is none."""
        y_hat = self.transform.inverse(self.levels, self.series)
        return np.round(y_hat) if self.integer and self.is_median else y_hat

    def shifted(self, offsets: FloatArray) -> FloatArray:
        """Quantiles in the unit of the data, from what to add to the levels in their units.

        They are added before the transform is undone: that is where the errors were measured.

        Args:
            offsets: ``(horizon,)`` or ``(n_cutoffs, horizon)``.
        """
        lowest = self.transform.bound(self.floor, self.series)
        unit = np.where(offsets < 0, self.below, self.above)
        moved = np.maximum(self.levels + unit * offsets, lowest[:, None])
        values = self.transform.inverse(moved, self.series)
        return np.round(values) if self.integer else values


def forecast(
    model: FittedModel, panel: Panel, cutoffs: Cutoffs, horizon: int, *, closed_loop: bool = True
) -> Forecasts:
    """Forecasts from each cutoff; rows after a cutoff are never read for it, unless ``closed_loop`` is False.

    Args:
        model: the fitted model.
        panel: holds the history of every cutoff.
        cutoffs: where to forecast from.
        horizon: steps to forecast, at least 1.
        closed_loop: feed forecasts back; False gives one-step-ahead forecasts over the same steps, each of which
            reads the values before it.
    """
    steps = model.network.direct_steps
    if steps and horizon > steps and closed_loop:
        raise ConfigError(
            f"horizon: {horizon} steps are asked for, and a run with forecast.strategy: direct forecasts the {steps} "
            "it was trained for; ask for fewer, or train with a longer horizon."
        )
    transform = model.transform_of(panel)
    reader, history = model.reader(panel, horizon=horizon), transform.levels(panel)
    levels, scale = forecast_levels(
        model.network,
        reader,
        cutoffs,
        horizon,
        transform=transform,
        history=history,
        precision=model.precision,
        closed_loop=closed_loop,
    )
    if closed_loop:
        levels = with_seasonal_naive(
            levels, history, cutoffs, model.falls_back_on(panel), model.features.season_length
        )
    below = above = scale[:, None]
    if model.network.has_own_spread and closed_loop:
        paths = path_levels(
            model.network,
            reader,
            cutoffs,
            horizon,
            transform=transform,
            history=history,
            n_paths=model.n_paths,
            seed=model.seed,
            precision=model.precision,
        )
        below, above = one_sided_units(paths, levels, scale)
    floor = _floor(model, panel, cutoffs)
    lowest = transform.bound(floor, cutoffs.series)
    return Forecasts(
        levels=np.maximum(levels, lowest[:, None]),
        below=below,
        above=above,
        floor=floor,
        series=cutoffs.series,
        transform=transform,
        is_median=not model.network.head.kind.is_mean or transform.name != "none",
        integer=model.integer,
    )


def path_levels(
    network: Forecaster,
    reader: WindowReader,
    cutoffs: Cutoffs,
    horizon: int,
    *,
    transform: Transform,
    history: Panel,
    n_paths: int,
    seed: int,
    residuals: FloatArray | None = None,
    precision: str = "float32",
) -> FloatArray:
    """Sample paths as transformed but not differenced, ``(n_cutoffs, n_paths, horizon)``; arguments as there."""
    steps = paths_of(
        network,
        reader,
        cutoffs,
        horizon,
        n_paths=n_paths,
        seed=seed,
        residuals=np.zeros((1, 1)) if residuals is None else residuals,
        precision=precision,
    )
    repeated = cutoffs[np.repeat(np.arange(len(cutoffs)), n_paths)]
    summed = transform.summed(history, repeated, steps.reshape(-1, horizon))
    return summed.reshape(len(cutoffs), n_paths, horizon)


def forecast_paths(
    model: FittedModel, panel: Panel, cutoffs: Cutoffs, horizon: int, *, n_paths: int
) -> FloatArray:
    """Sample paths in the unit of the data that agree with the quantiles, ``(n_cutoffs, n_paths, horizon)``.

    Raises:
        DataError: future covariates are not known so far ahead.
    """
    refuse_unknown_future(panel, cutoffs, horizon)
    made = forecast(model, panel, cutoffs, horizon)
    transform = made.transform
    raw = path_levels(
        model.network,
        model.reader(panel, horizon=horizon),
        cutoffs,
        horizon,
        transform=transform,
        history=transform.levels(panel),
        n_paths=n_paths,
        seed=model.seed,
        residuals=model.spread.residuals,
        precision=model.precision,
    )
    even = (np.arange(n_paths) + 0.5) / n_paths
    return remapped(raw, _quantiles(model, panel, made, even))


def _quantiles(model: FittedModel, panel: Panel, made: Forecasts, levels: FloatArray) -> FloatArray:
    """Calibrated quantiles in the unit of the data, ``(n_cutoffs, horizon, levels)``."""
    group = model.spread.groups_of([panel.unique_ids[series] for series in made.series])
    horizon = made.levels.shape[1]
    offsets = np.stack(
        [model.spread.offsets(horizon, levels, k) for k in range(int(group.max(initial=0)) + 1)]
    )
    quantiles = np.empty((*made.levels.shape, len(levels)))
    for k in range(len(levels)):
        quantiles[..., k] = made.shifted(offsets[group, :, k])
    return quantiles


def with_seasonal_naive(
    levels: FloatArray, history: Panel, cutoffs: Cutoffs, falls_back: BoolArray, season_length: int
) -> FloatArray:
    """The forecasts, those of the series that fall back replaced by the seasonal naive's, ``(n_cutoffs, horizon)``.

    Args:
        levels: the network's, as transformed.
        history: the transformed panel.
        cutoffs: where the forecasts start.
        falls_back: which series do, ``(n_series,)``.
        season_length: steps in the season that is repeated.
    """
    chosen = np.flatnonzero(falls_back[cutoffs.series])
    if len(chosen):
        levels = levels.copy()
        levels[chosen] = seasonal_naive(history, cutoffs[chosen], levels.shape[1], season_length)
    return levels


def forecast_levels(
    network: Forecaster,
    reader: WindowReader,
    cutoffs: Cutoffs,
    horizon: int,
    *,
    transform: Transform,
    history: Panel,
    precision: str = "float32",
    closed_loop: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Forecasts as transformed but not differenced, ``(n_cutoffs, horizon)``, and the windows' scales.

    Args:
        network: to forecast with.
        reader: of the transformed and differenced panel.
        cutoffs: where to forecast from.
        horizon: steps to forecast.
        transform: of the panel's series.
        history: the transformed panel, not differenced.
        precision: of the forward pass.
        closed_loop: feed forecasts back.
    """
    steps, scale = forecast_windows(
        network, reader, cutoffs, horizon, precision=precision, closed_loop=closed_loop
    )
    return transform.summed(history, cutoffs, steps, closed_loop=closed_loop), scale


@flushed_denormals()
@torch.no_grad()
def forecast_windows(
    network: Forecaster,
    reader: WindowReader,
    cutoffs: Cutoffs,
    horizon: int,
    *,
    precision: str = "float32",
    closed_loop: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Forecasts in the unit of the reader's panel, ``(n_cutoffs, horizon)``, and the windows' scales, ``(n_cutoffs,)``.

    All windows are one batch, cut into chunks of bounded memory.
    """
    features = reader.features
    per_step = features.input_size + PER_UNIT * network.head.linear.in_features
    chunk = max(1, CHUNK_VALUES // ((features.history + horizon) * per_step))
    run = rollout if closed_loop else one_step_ahead
    y_hat = np.empty((len(cutoffs), horizon))
    scale = np.empty(len(cutoffs))
    for start in range(0, len(cutoffs), chunk):
        part = slice(start, start + chunk)
        batch = reader.read(cutoffs[part], horizon)
        with autocast(precision, reader.device):
            scaled = pooled([run(member, features, batch, horizon) for member in network.members])
        y_hat[part] = batch.unscaled(scaled).cpu().numpy()
        scale[part] = batch.scale[:, 0].cpu().numpy()
    return y_hat, scale


def _floor(model: FittedModel, panel: Panel, cutoffs: Cutoffs) -> FloatArray:
    """Lowest value each forecast may take: 0 or minus infinity, by rows up to its cutoff, ``(n_cutoffs,)``."""
    if model.non_negative is not None:
        return np.full(len(cutoffs), 0.0 if model.non_negative else -np.inf)
    known = {name: bool(kept) for name, kept in zip(model.unique_ids, model.never_negative, strict=True)}
    in_training = np.array([known.get(name, True) for name in panel.unique_ids], dtype=np.bool_)
    negative = np.concatenate([[0], np.cumsum(panel.y < 0)])
    so_far = negative[cutoffs.rows + 1] - negative[panel.offsets[cutoffs.series]]
    return np.where(in_training[cutoffs.series] & (so_far == 0), 0.0, -np.inf)


def never_negative(panel: Panel) -> BoolArray:
    """Which series have no value below 0, ``(n_series,)``."""
    of_row = np.repeat(np.arange(panel.n_series), panel.lengths)
    result: BoolArray = np.bincount(of_row, weights=panel.y < 0, minlength=panel.n_series) == 0
    return result


def forecast_frame(
    model: FittedModel, panel: Panel, cutoffs: Cutoffs, horizon: int, *, quantile_levels: Sequence[float]
) -> pd.DataFrame:
    """The forecast table: ``unique_id, ds, cutoff, lead_time, y_hat, q<level>…``, sorted, one row per step.

    Raises:
        DataError: the forecast would leave the calendar (year 9999), or future covariates are not known so far ahead.
    """
    values = forecast_values(model, panel, cutoffs, horizon, quantile_levels=quantile_levels)
    return frame_of(panel, cutoffs, values, quantile_levels=quantile_levels)


def forecast_values(
    model: FittedModel, panel: Panel, cutoffs: Cutoffs, horizon: int, *, quantile_levels: Sequence[float]
) -> FloatArray:
    """Point forecasts and quantiles in the unit of the data, ``(n_cutoffs, horizon, 1 + levels)``.

    Raises:
        DataError: future covariates are not known so far ahead.
    """
    refuse_unknown_future(panel, cutoffs, horizon)
    made = forecast(model, panel, cutoffs, horizon)
    quantiles = _quantiles(model, panel, made, np.asarray(quantile_levels, dtype=np.float64))
    return np.concatenate([made.y_hat[..., None], quantiles], axis=2)


def frame_of(
    panel: Panel, cutoffs: Cutoffs, values: FloatArray, *, quantile_levels: Sequence[float]
) -> pd.DataFrame:
    """The forecast table of what :func:`forecast_values` gives: one row per cutoff and step, sorted.

    Raises:
        DataError: the forecast would leave the calendar (year 9999).
    """
    columns = _steps_of(panel, cutoffs, values.shape[1]) | {"y_hat": values[:, :, 0].ravel()}
    for k, level in enumerate(quantile_levels, start=1):
        columns[quantile_column(level)] = values[:, :, k].ravel()
    return _sorted(pd.DataFrame(columns))


def frame_of_paths(panel: Panel, cutoffs: Cutoffs, paths: FloatArray) -> pd.DataFrame:
    """The table of what :func:`forecast_paths` gives: one row per cutoff, path (from 1) and step, sorted by these.

    Raises:
        DataError: the forecast would leave the calendar (year 9999).
    """
    n, n_paths, horizon = paths.shape
    step = np.arange(n * horizon).reshape(n, 1, horizon).repeat(n_paths, axis=1).ravel()
    columns = {name: values.take(step) for name, values in _steps_of(panel, cutoffs, horizon).items()}
    number = np.tile(np.repeat(np.arange(1, n_paths + 1), horizon), n)
    return _sorted(pd.DataFrame(columns | {"path": number, "y_hat": paths.ravel()}))


def _steps_of(panel: Panel, cutoffs: Cutoffs, horizon: int) -> dict[str, Any]:
    """The columns that say which step of which forecast a row is about, a row for each step of each cutoff."""
    lead_time = np.tile(np.arange(1, horizon + 1), len(cutoffs))
    position = np.repeat(panel.positions(cutoffs), horizon)
    ids = np.array(panel.unique_ids, dtype=object)
    return {
        "unique_id": pd.array(np.repeat(ids[cutoffs.series], horizon), dtype="str"),
        "ds": panel.axis.timestamps(position + lead_time),
        "cutoff": panel.axis.timestamps(position),
        "lead_time": lead_time,
    }


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["unique_id", "cutoff", *(["path"] if "path" in frame else []), "lead_time"]
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def refuse_unknown_future(panel: Panel, cutoffs: Cutoffs, horizon: int) -> None:
    """Refuses forecasts for which a future covariate is not known, naming the first series and steps.

    Raises:
        DataError: with the way out.
    """
    known = known_ahead(panel, cutoffs)
    short = np.flatnonzero(known < horizon)
    if not short.size:
        return
    lines = []
    for k in short[:MAX_LISTED]:
        cutoff = cutoffs[np.array([k])]
        ahead = np.arange(known[k] + 1, horizon + 1)
        ds = panel.axis.timestamps(panel.positions(cutoff)[0] + ahead)
        steps = str(ds[0]) if len(ds) == 1 else f"{ds[0]} to {ds[-1]} ({len(ds)} steps)"
        lines.append(f"series {panel.unique_ids[cutoff.series[0]]!r}: {steps}")
    more = f"\n… and {len(short) - MAX_LISTED} more series" if len(short) > MAX_LISTED else ""
    names = ", ".join(panel.future_names)
    raise DataError(
        f"future covariates ({names}) are not known for every step to forecast; give these rows with --future FILE, or "
        f"as rows without a target in the data:\n" + "\n".join(lines) + more
    )


def known_ahead(panel: Panel, cutoffs: Cutoffs) -> IntArray:
    """Steps after each cutoff of which the future covariates are known, ``(n_cutoffs,)``; endless without any."""
    if not panel.future_names:
        return np.full(len(cutoffs), np.iinfo(np.int64).max)
    return np.diff(panel.future_offsets)[cutoffs.series] - panel.rows_known(cutoffs)


def quantile_column(level: float) -> str:
    """Name of a quantile's column: ``q0.1``."""
    return f"q{level:g}"
