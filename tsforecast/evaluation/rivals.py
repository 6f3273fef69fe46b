"""The models an engineer would try first, fitted to the same rows and shown the same inputs as the network.

Ridge regression and boosted trees are global models, one for all series: they forecast the next step from the window
of values, the lags, the calendar and the covariates that the network reads, scaled and transformed as for the network,
and are rolled out by feeding forecasts back. AutoETS, AutoTheta and AutoARIMA are fitted to one series at a time, up
to each cutoff.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tsforecast.errors import DataError
from tsforecast.evaluation.backtest import Forecaster, forecasts_at
from tsforecast.evaluation.baselines import seasonal_naive
from tsforecast.features.auto import least_history
from tsforecast.features.scaling import Scales, fit_scales, window_scale
from tsforecast.features.transforms import Transform
from tsforecast.features.windows import Batch, Features, WindowReader
from tsforecast.recurrent.rollout import step_inputs
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

__all__ = ["RIVALS", "Ground", "Rival", "RivalForecasts", "next_step_matrix", "rival_forecasts"]

# Windows a regression is fitted to; of more, so many are drawn.
MAX_WINDOWS = 100_000
# Numbers that one chunk of windows may hold.
CHUNK_VALUES = 16_000_000
# A scaled forecast beyond this has diverged; it is kept from growing into infinity, which no regression takes.
DIVERGED = 1e6
# Words of all covariates together that ridge regression gets a column each for; of more it gets none.
MAX_WORD_COLUMNS = 200
# Words of one covariate that trees can split by; more are split by their number.
MAX_TREE_WORDS = 254
# Newest rows that a statistical model is fitted to: the time of a fit grows fast with them.
MAX_HISTORY = 1000
SECONDS = 300.0

Matrix = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What a rival is fitted on: that, and nothing later.

    Attributes:
        known: the rows to learn from.
        features: what the network is shown.
        transform: of the values, fitted to ``known``.
        non_negative: cut forecasts at 0: always, never, or (None) where the history was never negative; as for the
            network.
        seed: of what is drawn.
    """

    known: Panel
    features: Features
    transform: Transform
    non_negative: bool | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class RivalForecasts:
    """Forecasts of the rivals that could be had.

    Attributes:
        y_hat: by name, ``(n_cutoffs, horizon)``.
        notes: who is missing and why, and what else a reader should know, a sentence each.
    """

    y_hat: dict[str, FloatArray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class FittedRival(Protocol):
    """A fitted rival."""

    def forecast(
        self, panel: Panel, cutoffs: Cutoffs, horizon: int, *, deadline: float
    ) -> tuple[FloatArray, str]:
        """Forecasts, ``(n_cutoffs, horizon)``, and what is to be said about them, mostly nothing."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A rival in the table.

    Attributes:
        fit: from the rows to learn from to what forecasts.
        extra: the extra of this package that brings it along, if any.
        most: most forecasts it is asked for; more would take hours.
    """

    fit: Callable[[Ground], FittedRival]
    extra: str = ""
    most: int | None = None


class _OutOfTimeError(Exception):
    """The deadline has passed; says how far it got."""


def rival_forecasts(
    names: Sequence[str],
    ground: Ground,
    panel: Panel,
    cutoffs: Cutoffs,
    horizon: int,
    *,
    seconds: float = SECONDS,
) -> RivalForecasts:
    """Forecasts of these rivals from these cutoffs; one that cannot be had is left out with a note.

    Args:
        names: keys of ``RIVALS``.
        ground: what they are fitted on.
        panel: holds the history of every cutoff; rows after a cutoff are not read for it.
        cutoffs: where to forecast from, none before the last row of ``ground.known`` in its series.
        horizon: steps to forecast.
        seconds: wall time of each rival. It is looked at between fits, so the last fit may end after it.
    """
    found = RivalForecasts()
    for name in names:
        rival = RIVALS[name]
        reason = _objection(rival, len(cutoffs))
        if not reason:
            try:
                deadline = time.monotonic() + seconds
                forecaster, notes = _from_last(rival.fit(ground), deadline)
                found.y_hat[name] = forecasts_at(panel, cutoffs, horizon, forecaster)
                found.notes.extend(f"{name}: {note}." for note in notes)
            except _OutOfTimeError as stop:
                reason = f"{stop} in {seconds:g} s"
            except DataError as error:
                reason = str(error).rstrip(".")
        if reason:
            found.notes.append(f"{name} is left out: {reason}.")
    return found


def _from_last(fitted: FittedRival, deadline: float) -> tuple[Forecaster, list[str]]:
    """A fitted rival as a forecaster from the end of each series, and a list that its notes come to."""
    notes: list[str] = []

    def forecaster(ended: Panel, horizon: int) -> FloatArray:
        y_hat, note = fitted.forecast(ended, ended.last_cutoffs, horizon, deadline=deadline)
        notes.extend([note] if note else [])
        return y_hat

    return forecaster, notes


def _objection(rival: Rival, n_forecasts: int) -> str:
    """Why a rival cannot even be tried, or nothing."""
    if rival.extra and find_spec(rival.extra) is None:
        return f"it needs pip install 'tsforecast[{rival.extra}]'"
    if rival.most is not None and n_forecasts > rival.most:
        return f"it is fitted for each forecast, and {n_forecasts} are more than {rival.most}"
    return ""


# Global regressions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Regression:
    """A fitted scikit-learn regressor and what makes its inputs.

    Attributes:
        model: forecasts the next scaled value.
        columns: from the matrix of the next step to what the model takes.
        ground: what it was fitted on.
        scales: of ``ground.known``, transformed.
    """

    model: Any
    columns: Callable[[Matrix], Matrix]
    ground: Ground
    scales: Scales

    def forecast(
        self, panel: Panel, cutoffs: Cutoffs, horizon: int, *, deadline: float
    ) -> tuple[FloatArray, str]:
        features, unique_ids = self.ground.features, self.ground.known.unique_ids
        known = {name: index for index, name in enumerate(unique_ids)}
        transform = self.ground.transform.for_panel(panel, known)
        levels = transform.levels(panel)
        seen = transform.differences(levels)
        scales = self.scales.for_panel(
            seen, known, season_length=features.season_length, scaling=features.scaling
        )
        reader = _reader(seen, features, scales, horizon)
        chunk = max(1, CHUNK_VALUES // ((features.history + horizon) * features.input_size))
        steps = np.empty((len(cutoffs), horizon))
        for start in range(0, len(cutoffs), chunk):
            if time.monotonic() > deadline:
                raise _OutOfTimeError(f"{start} of {len(cutoffs)} forecasts were made")
            part = cutoffs[start : start + chunk]
            windows = _Windows.of(reader.read(part, horizon), features, scales, part, seen)
            steps[start : start + chunk] = self._rolled_out(windows, horizon)
        y_hat = transform.inverse(transform.summed(levels, cutoffs, steps), cutoffs.series)
        return np.maximum(y_hat, _floor(panel, cutoffs, self.ground.non_negative)[:, None]), ""

    def _rolled_out(self, windows: _Windows, horizon: int) -> FloatArray:
        """Recursive forecasts, ``(batch, horizon)``: features for the next step, predict, append."""
        steps = []
        for k in range(horizon):
            x, center, scale = windows.next_step(k)
            y_hat = np.clip(self.model.predict(self.columns(x)), -DIVERGED, DIVERGED)
            steps.append(torch.from_numpy(y_hat).double() * scale[:, 0] + center[:, 0])
            windows.append(steps[-1])
        forecasts: FloatArray = torch.stack(steps, dim=1).numpy()
        return forecasts


@dataclass(slots=True, eq=False)
class _Windows:
    """Windows that slide on over their own forecasts, each scaled anew at every step, as all were in training.

    Attributes:
        values: past values, transformed but not scaled, ``(batch, history)``.
        observed: where there is one, same shape.
        padded: what lies before the series, same shape.
        known: inputs of each step that do not depend on the forecast, ``(batch, horizon, n_known)``.
        center: of each series, ``(batch, 1)``.
        scale: of each series, ``(batch, 1)``.
        features: what a step is shown.
    """

    values: Tensor
    observed: Tensor
    padded: Tensor
    known: Tensor
    center: Tensor
    scale: Tensor
    features: Features

    @classmethod
    def of(cls, batch: Batch, features: Features, scales: Scales, cutoffs: Cutoffs, seen: Panel) -> _Windows:
        """The windows of a batch, read at these cutoffs of a panel."""
        known = torch.from_numpy(seen.rows_known(cutoffs))[:, None]
        return cls(
            values=batch.unscaled(batch.values),
            observed=batch.observed > 0,
            padded=torch.arange(features.history, 0, -1) > known,
            known=batch.known[:, features.lookback - 1 :],
            center=torch.from_numpy(scales.center[cutoffs.series, None]),
            scale=torch.from_numpy(scales.scale[cutoffs.series, None]),
            features=features,
        )

    def next_step(self, k: int) -> tuple[Matrix, Tensor, Tensor]:
        """The matrix of step ``k`` after the cutoff, and the centre and scale of its windows, ``(batch, 1)``."""
        newest = slice(self.values.shape[1] - self.features.lookback, None)
        center, scale = window_scale(
            self.features.scaling,
            self.values[:, newest],
            self.observed[:, newest],
            center=self.center,
            scale=self.scale,
        )
        scaled = torch.where(self.padded, 0.0, (self.values - center) / scale).float()
        matrix = next_step_matrix(self.features, scaled, self.observed.float(), self.known[:, k])
        return matrix, center, scale

    def append(self, y_hat: Tensor) -> None:
        """Slides each window one step on, over its forecast, ``(batch,)``."""
        self.values = torch.cat([self.values[:, 1:], y_hat[:, None]], dim=1)
        self.observed = torch.cat([self.observed[:, 1:], torch.ones_like(self.observed[:, :1])], dim=1)
        self.padded = torch.cat([self.padded[:, 1:], torch.zeros_like(self.padded[:, :1])], dim=1)


def next_step_matrix(features: Features, values: Tensor, observed: Tensor, known: Tensor) -> Matrix:
    """All that is known of the next step of some windows, in a row each.

    The values of the window but its newest, and then what the network is shown at its last step: the newest value, the
    lags, whether there is a newest value, calendar and covariates, words last.

    Args:
        features: what a step is shown.
        values: scaled past, ``(batch, history)``.
        observed: 1 where there is a value, same shape.
        known: inputs of the step that do not depend on the forecast, ``(batch, n_known)``.

    Returns:
        ``(batch, lookback - 1 + input_size)``.
    """
    last = step_inputs(features, values, observed, known[:, None])[:, 0]
    start = values.shape[1] - features.lookback
    matrix: Matrix = torch.cat([values[:, start:-1], last], dim=1).numpy()
    return matrix


def _fit_regression(
    ground: Ground, model: Any, columns: Callable[[Matrix], Matrix] | None = None
) -> _Regression:
    """The model fitted to the next step of each window of the known rows.

    Raises:
        DataError: no window has a next step.
    """
    columns = columns or (lambda x: x)
    features = ground.features
    seen = ground.transform.differences(ground.transform.levels(ground.known))
    scales = fit_scales(seen, season_length=features.season_length, scaling=features.scaling)
    cutoffs = _training_cutoffs(seen, features, ground.transform.difference, ground.seed)
    reader = _reader(seen, features, scales, 1)
    chunk = max(1, CHUNK_VALUES // ((features.history + 1) * features.input_size))
    rows, targets = [], []
    for start in range(0, len(cutoffs), chunk):
        batch = reader.read(cutoffs[start : start + chunk], 1)
        rows.append(next_step_matrix(features, batch.values, batch.observed, batch.known[:, -1]))
        targets.append(batch.target[:, 0].numpy())
    model.fit(columns(np.concatenate(rows)), np.concatenate(targets))
    return _Regression(model=model, columns=columns, ground=ground, scales=scales)


def _training_cutoffs(seen: Panel, features: Features, difference: int, seed: int) -> Cutoffs:
    """Windows that have a next value and as much history as the network asks for.

    Raises:
        DataError: there is none.
    """
    needed = difference + least_history(features.lookback, [features.season_length])
    series = np.repeat(np.arange(seen.n_series), seen.lengths)
    rows = np.arange(len(seen.y))
    has_next = np.append(~np.isnan(seen.y[1:]) & (series[1:] == series[:-1]), False)
    chosen = np.flatnonzero(has_next & (rows - seen.offsets[series] + 1 >= needed))
    if not len(chosen):
        raise DataError(f"no series has {needed + 1} rows to learn from")
    if len(chosen) > MAX_WINDOWS:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, MAX_WINDOWS, replace=False))
    return Cutoffs(series=series[chosen], rows=chosen)


def _reader(seen: Panel, features: Features, scales: Scales, horizon: int) -> WindowReader:
    return WindowReader(seen, features, scales, horizon=horizon, device=torch.device("cpu"))


def _floor(panel: Panel, cutoffs: Cutoffs, non_negative: bool | None) -> FloatArray:
    """Lowest value each forecast may take: 0 or minus infinity, by rows up to its cutoff, ``(n_cutoffs,)``."""
    if non_negative is not None:
        return np.full(len(cutoffs), 0.0 if non_negative else -np.inf)
    negative = np.concatenate([[0], np.cumsum(panel.y < 0)])
    so_far = negative[cutoffs.rows + 1] - negative[panel.offsets[cutoffs.series]]
    return np.where(so_far == 0, 0.0, -np.inf)


def _ridge(ground: Ground) -> FittedRival:
    from sklearn.linear_model import Ridge

    return _fit_regression(ground, Ridge(), _one_hot(ground.features.n_categories))


def _trees(ground: Ground) -> FittedRival:
    from sklearn.ensemble import HistGradientBoostingRegressor

    words = ground.features.n_categories
    width = ground.features.lookback - 1 + ground.features.input_size
    is_word = [*[False] * (width - len(words)), *(n <= MAX_TREE_WORDS for n in words)]
    model = HistGradientBoostingRegressor(
        categorical_features=is_word, early_stopping=False, random_state=ground.seed
    )
    return _fit_regression(ground, model)


def _one_hot(n_words: Sequence[int]) -> Callable[[Matrix], Matrix]:
    """A function that gives each word of the last columns a column of its own.

    In float64: neighbouring values of a smooth series are so alike that float32 could not solve for their weights.
    """
    n_columns = len(n_words)
    shown = list(enumerate(n_words)) if sum(n_words) <= MAX_WORD_COLUMNS else []

    def spread(x: Matrix) -> Matrix:
        numbers, codes = np.split(x.astype(np.float64), [x.shape[1] - n_columns], axis=1)
        return np.hstack([numbers, *(codes[:, k, None] == np.arange(1, n + 1) for k, n in shown)])

    return spread


# Statistical models, series by series ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Statistical:
    """A model of statsforecast, fitted anew to the rows of a series up to each cutoff.

    Attributes:
        name: of its class there.
        season_length: steps in a season.
    """

    name: str
    season_length: int

    def forecast(
        self, panel: Panel, cutoffs: Cutoffs, horizon: int, *, deadline: float
    ) -> tuple[FloatArray, str]:
        """Forecasts; where a fit fails, those of the seasonal naive, which the note counts.

        Raises:
            DataError: every fit failed.
        """
        from statsforecast import models

        model = getattr(models, self.name)(season_length=self.season_length)
        y_hat = seasonal_naive(panel, cutoffs, horizon, self.season_length)
        failed: list[Exception] = []
        for k, (series, row) in enumerate(zip(cutoffs.series, cutoffs.rows, strict=True)):
            if time.monotonic() > deadline:
                raise _OutOfTimeError(f"{k} of {len(cutoffs)} fits were made")
            y = _without_gaps(panel.y[panel.offsets[series] : row + 1])[-MAX_HISTORY:]
            try:
                own = model.forecast(y=y, h=horizon)["mean"]
            except Exception as error:
                # statsforecast refuses short series with plain exceptions, and numerical ones come as many classes.
                failed.append(error)
                continue
            y_hat[k] = own
        if failed and len(failed) == len(cutoffs):
            raise DataError(f"every fit failed, the last with {failed[-1]!r}") from failed[-1]
        note = f"{len(failed)} of {len(cutoffs)} fits failed and are the seasonal naive's forecasts"
        return y_hat, note if failed else ""


def _without_gaps(y: FloatArray) -> FloatArray:
    """The values with straight lines over what is masked."""
    known = np.flatnonzero(~np.isnan(y))
    return np.interp(np.arange(len(y)), known, y[known]) if len(known) else np.zeros(len(y))


def _statistical(name: str) -> Callable[[Ground], FittedRival]:
    return lambda ground: _Statistical(name, ground.features.season_length)


RIVALS: dict[str, Rival] = {
    "ridge": Rival(_ridge),
    "boosted_trees": Rival(_trees),
    "auto_ets": Rival(_statistical("AutoETS"), extra="statsforecast", most=2000),
    "auto_theta": Rival(_statistical("AutoTheta"), extra="statsforecast", most=5000),
    "auto_arima": Rival(_statistical("AutoARIMA"), extra="statsforecast", most=500),
}
