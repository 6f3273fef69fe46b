"""From a panel and a resolved config to a fitted model: features, scales, network, training, interval widths."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import nn

from tsforecast.config.durations import duration_of
from tsforecast.config.schema import BUDGET_UNITS, UNCENTERED_SCALINGS, Config, ModelConfig
from tsforecast.config.words import listed
from tsforecast.errors import DataError
from tsforecast.evaluation.baselines import seasonal_naive
from tsforecast.evaluation.metrics import seasonal_scale
from tsforecast.evaluation.scores import actuals, rolling_cutoffs
from tsforecast.features.scaling import Scales, fit_scales, lost_in_float32
from tsforecast.features.transforms import Transform, fit_transform
from tsforecast.features.windows import Features, WindowReader
from tsforecast.forecasting.forecast import (
    FittedModel,
    forecast_levels,
    forecast_windows,
    never_negative,
    path_levels,
    with_seasonal_naive,
)
from tsforecast.forecasting.intervals import Spread, fit_spread
from tsforecast.forecasting.paths import one_sided_units
from tsforecast.forecasting.stored import build_network
from tsforecast.recurrent.ensemble import Forecaster, ensemble_of
from tsforecast.recurrent.layers import Stepwise
from tsforecast.recurrent.network import Network
from tsforecast.recurrent.reservoir import draw_reservoir
from tsforecast.runtime import seed_everything
from tsforecast.series.panel import BoolArray, Cutoffs, FloatArray, IntArray, Panel
from tsforecast.training.fit import Watcher, fit, seconds_per_step
from tsforecast.training.plan import Plan
from tsforecast.training.readout import RIDGES, Windows, fit_readout
from tsforecast.training.sampler import Sampler, training_cutoffs
from tsforecast.training.state import Fit

__all__ = [
    "VALIDATIONS",
    "Learned",
    "check_lengths",
    "cpu_seconds_of",
    "features_of",
    "judged_by_squares",
    "learn",
    "learn_all",
    "learn_on",
    "plan_of",
    "seconds_of",
    "trial_share",
    "trial_steps",
    "within_budget",
]

log = logging.getLogger(__name__)

# Validations in one training, and the most windows each of them forecasts.
VALIDATIONS = 25
MAX_WINDOWS = 2000
# Series of which half can measure intervals.
LEAST_SERIES = 4
# Windows whose errors are kept for sample paths.
MAX_RESIDUALS = 500
# Validation windows overlap until there are about this many.
ENOUGH_WINDOWS = 60
# A series is judged by itself from so many validation windows up; fewer say more about chance than about it.
ENOUGH_TO_JUDGE = 8
# A budget in time is at least so many steps, however short it is.
LEAST_STEPS = 10
# Steps by which the time of a training is estimated.
TIMED_STEPS = 10
# Seeds of the members of an ensemble lie so far apart that those of seeds 1, 2, 3 are not the same.
MEMBER_SEEDS = 7919
# The final fit goes on from the best weights for this share of their steps, at this share of the learning rate.
FINAL_STEPS = 0.25
FINAL_RATE = 0.3
# What `scaling: auto` chooses from: neither wins on every kind of data. A trial is a short training of its own; where
# the training is hardly longer, the first is taken.
TRIED_SCALINGS = ("seasonal", "standard_by_window")
TRIAL_SHARE = 0.1
LEAST_TRIAL = 100


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A fitted model and how it came about.

    Attributes:
        model: stopped by the validation part.
        plan: of its training.
        fits: how that went, for each member of the ensemble.
        score: of the whole on the validation part, lower is better.
        config: as given, with what the fit itself chose (the scaling, a reservoir's ridge strength).
        base: the shown value that the untrained network returns; None: their usual size.
    """

    model: FittedModel
    plan: Plan
    fits: tuple[Fit, ...]
    score: float
    config: Config
    base: int | None


def learn(
    panel: Panel,
    config: Config,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    watcher: Watcher | None = None,
) -> Learned:
    """A model trained on what lies before the validation part, stopped by that, its intervals calibrated on the rest.

    Args:
        panel: every row that training and validation may read; no test rows.
        config: with every ``auto`` resolved.
        device: where to train.
        checkpoint: folder to save to and continue from.
        fingerprint: what a checkpoint must have been made with to be continued.
        watcher: progress and stop signals.

    Raises:
        DataError: no series is long enough.
        TrainingError: the loss is not finite.
    """
    watcher = watcher or Watcher()
    config = _with_scaling(panel, config, device=device, watcher=watcher)
    ground = _ground(panel, config, device=device)
    plan, validation = ground.plan, ground.validation
    members: list[Network] = []
    fits: list[Fit] = []
    config = ground.config
    for number in range(cast(int, config.model.ensemble)):
        member = ground.untrained(number, device=device)
        if member.cell.reservoir:
            # The ridge strength that is best for the first reservoir is taken for those that are drawn like it.
            done, config = _fit_reservoir(
                member, ground.reader, ground.windows, plan, config, validation, watcher=watcher
            )
        else:
            its_plan = ground.plan_of_member(number)
            sampler = Sampler(ground.reader, ground.windows, its_plan)
            if number == 0:
                of_step = seconds_per_step(member, ground.features, sampler, plan)
                watcher.on_plan(plan, cast(int, config.model.ensemble), of_step, device)
            done = fit(
                member,
                ground.features,
                sampler,
                its_plan,
                validate=validation.score,
                checkpoint=checkpoint_of_member(checkpoint, number) if checkpoint else None,
                fingerprint=fingerprint,
                watcher=watcher.after(number * plan.steps),
            )
        members.append(member)
        fits.append(done)
    network = ensemble_of(members)
    features = ground.features
    falls_back = validation.lost(network) if config.forecast.fallback == "seasonal_naive" else None
    model = FittedModel(
        network=network,
        features=features,
        unique_ids=panel.unique_ids,
        transform=ground.transform,
        scales=ground.scales,
        never_negative=never_negative(ground.known),
        spread=ground.calibration.spread(network, falls_back),
        horizon=plan.horizon,
        non_negative=None if config.forecast.non_negative == "auto" else config.forecast.non_negative,
        precision=plan.precision,
        seed=plan.seed,
        n_paths=config.forecast.paths,
        integer=config.forecast.integer,
        falls_back=falls_back,
    )
    score = fits[0].best_score if len(fits) == 1 else validation.score(network)
    return Learned(model=model, plan=plan, fits=tuple(fits), score=score, config=config, base=ground.base)


def checkpoint_of_member(folder: Path, number: int) -> Path:
    """Where a member of an ensemble is saved: the first in the folder of the training itself."""
    return folder / str(number) if number else folder


def _with_scaling(panel: Panel, config: Config, *, device: torch.device, watcher: Watcher) -> Config:
    """The config with the scaling that validates best after a short training, where it is ``auto``."""
    if config.scaling != "auto":
        return config
    plan = plan_of(config)
    steps = trial_steps(plan.steps)
    scores: dict[str, float] = {}
    for name in TRIED_SCALINGS if steps and config.model.cell != "esn" else ():
        ground = _ground(panel, config.model_copy(update={"scaling": name}), device=device)
        trial = replace(ground.plan, steps=steps, validate_every=steps)
        sampler, network = Sampler(ground.reader, ground.windows, trial), ground.untrained(device=device)
        # It is quick, so that only a signal to stop is of interest outside.
        alone = Watcher(stop_signal=watcher.stop_signal)
        fit(network, ground.features, sampler, trial, validate=None, watcher=alone)
        scores[name] = ground.validation.score(network)
        log.debug("scaling %s: validation MASE %.4f after %d steps", name, scores[name], steps)
    chosen = min(scores, key=scores.__getitem__) if scores else TRIED_SCALINGS[0]
    return config.model_copy(update={"scaling": chosen})


def trial_steps(steps: int) -> int:
    """Steps of each trial before a training of so many steps, 0 where that is too short for any."""
    trial = max(LEAST_TRIAL, round(TRIAL_SHARE * steps))
    return trial if steps >= len(TRIED_SCALINGS) * trial else 0


def trial_share(config: Config) -> float:
    """Steps of the trials before a training, as a share of its own."""
    return (
        TRIAL_SHARE * len(TRIED_SCALINGS) if config.scaling == "auto" and config.model.cell != "esn" else 0.0
    )


def within_budget(panel: Panel, config: Config, *, device: torch.device) -> Config:
    """The config with the steps that fit into ``training.budget`` as ``max_steps``, and the budget spent.

    Timed here and now from a few steps, so call it once, and keep what it gives: the schedule of the learning rate
    depends on it. Trials, validations and the final fit are inside the budget.

    Args:
        panel: as given to :func:`learn`.
        config: with every ``auto`` resolved.
        device: where the training will be.
    """
    training = config.training
    if training.budget is None or config.model.cell == "esn":
        return config
    ground = _ground(panel, config.model_copy(update={"scaling": TRIED_SCALINGS[0]}), device=device)
    network = ground.untrained(device=device)
    of_step = seconds_per_step(
        network, ground.features, Sampler(ground.reader, ground.windows, ground.plan), ground.plan
    )
    n_members = cast(int, config.model.ensemble)
    of_validation = _seconds_per_validation(ground, network.eval())
    of_validations = of_validation * (n_members * (VALIDATIONS + 1) + len(TRIED_SCALINGS))
    left = seconds_of(training.budget) - of_validations
    per_step = n_members * (1 + (FINAL_STEPS if training.final_fit else 0.0)) + trial_share(config)
    steps = max(LEAST_STEPS, int(left / (of_step * per_step)))
    log.info("training.budget: %s are %d steps", training.budget, steps)
    return config.model_copy(
        update={"training": training.model_copy(update={"budget": None, "max_steps": steps})}
    )


def _seconds_per_validation(ground: _Ground, network: Network) -> float:
    started = time.monotonic()
    ground.validation.score(network)
    return time.monotonic() - started


def seconds_of(duration: str) -> float:
    """Seconds of a duration such as ``60s``, ``5m`` or ``1h``."""
    length = duration_of(duration, BUDGET_UNITS)
    assert length is not None, duration  # the config would not have been read
    return length.total_seconds()


def cpu_seconds_of(panel: Panel, config: Config, *, device: torch.device) -> tuple[float, float]:
    """CPU seconds of one training step and of one validation, from a few of each; no steps for a reservoir."""
    ground = _ground(panel, config, device=device)
    network, plan = ground.untrained(device=device).eval(), replace(ground.plan, steps=TIMED_STEPS)
    ground.validation.score(network)  # the first of everything takes longer
    of_validation = -time.process_time()
    ground.validation.score(network)
    of_validation += time.process_time()
    if network.cell.reservoir:
        return 0.0, of_validation
    sampler = Sampler(ground.reader, ground.windows, plan)
    fit(network, ground.features, sampler, plan, validate=None)
    of_steps = -time.process_time()
    fit(network, ground.features, sampler, plan, validate=None)
    of_steps += time.process_time()
    return of_steps / TIMED_STEPS, of_validation


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """What a training starts from: an untrained network, and windows before the validation part."""

    base: int | None
    features: Features
    plan: Plan
    known: Panel
    transform: Transform
    scales: Scales
    windows: tuple[IntArray, IntArray, IntArray]
    reader: WindowReader
    validation: _Held
    calibration: _Held
    config: Config

    def plan_of_member(self, number: int) -> Plan:
        """The plan with the seed of a member of the ensemble; that of the first is the training's own."""
        return replace(self.plan, seed=(self.plan.seed + number * MEMBER_SEEDS) % 2**32)

    def untrained(self, number: int = 0, *, device: torch.device) -> Network:
        """A member of the ensemble before its training."""
        model, seed = self.config.model, self.plan_of_member(number).seed
        seed_everything(seed)
        direct_steps = self.plan.horizon if self.config.forecast.strategy == "direct" else 0
        network = build_network(model, self.features, direct_steps=direct_steps)
        network.reset_base(self.base)
        if network.cell.reservoir:
            _draw_reservoir(network, model, seed=seed)
        return network.to(device)


def _ground(panel: Panel, config: Config, *, device: torch.device) -> _Ground:
    plan = plan_of(config)
    before, config = _before_calibration(panel, config)
    known = before.drop_last(cast(int, config.split.validation))
    features = features_of(config, known)
    transform = fit_transform(known, config)
    seen = transform.differences(transform.levels(known))
    windows = _windows(seen, features, plan, transform)
    scales = fit_scales(seen, season_length=features.season_length, scaling=features.scaling)
    _warn_of_lost_changes(seen, features)
    base = _best_base(seen, features, plan, differenced=transform.difference > 0)
    held = partial(_Held, config=config, features=features, transform=transform, scales=scales, device=device)
    calibration = config.split.calibration
    stopping, measuring = _halves(panel, config) if calibration == "series" else (None, None)
    validation = held(before, steps=cast(int, config.split.validation), among=stopping)
    steps = cast(int, config.split.validation if calibration == "series" else calibration)
    return _Ground(
        base=base,
        features=features,
        plan=plan,
        known=known,
        transform=transform,
        scales=scales,
        windows=windows,
        reader=WindowReader(seen, features, scales, horizon=plan.horizon, device=device),
        validation=validation,
        calibration=held(panel, steps=steps, among=measuring, source="calibration")
        if calibration
        else validation,
        config=config,
    )


def _before_calibration(panel: Panel, config: Config) -> tuple[Panel, Config]:
    """The panel without the calibration part; where that leaves nothing to learn from, there is none."""
    calibration = config.split.calibration
    if isinstance(calibration, int) and (not calibration or _has_windows(panel, config, calibration)):
        return panel.drop_last(calibration), config
    if calibration == "series" and panel.n_series >= LEAST_SERIES:
        return panel, config
    return panel, config.model_copy(update={"split": config.split.model_copy(update={"calibration": 0})})


def _halves(panel: Panel, config: Config) -> tuple[IntArray, IntArray]:
    """The series that stop the training, and those that intervals are measured by, drawn by the seed."""
    order = np.random.default_rng(config.training.seed).permutation(panel.n_series)
    middle = panel.n_series // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def _has_windows(panel: Panel, config: Config, calibration: int) -> bool:
    """Whether the last steps of some series hold a value to be calibrated by."""
    cutoffs = _cutoffs(panel, config.horizon, calibration)
    return len(cutoffs) > 0 and not bool(
        np.isnan(actuals(panel, cutoffs, min(config.horizon, calibration))).all()
    )


def _warn_of_lost_changes(seen: Panel, features: Features) -> None:
    if features.scaling not in UNCENTERED_SCALINGS or not (lost := lost_in_float32(seen)):
        return
    log.warning(
        "scaling: %s subtracts nothing, so the changes of %d series are lost beside their level in float32; "
        "set scaling: auto: %s",
        features.scaling,
        len(lost),
        listed(lost),
    )


def _windows(
    seen: Panel, features: Features, plan: Plan, transform: Transform
) -> tuple[IntArray, IntArray, IntArray]:
    return training_cutoffs(
        seen,
        horizon=plan.horizon,
        lookback=features.lookback,
        season_length=features.season_length,
        difference=transform.difference,
    )


def learn_all(
    learned: Learned, panel: Panel, *, device: torch.device, watcher: Watcher | None = None
) -> FittedModel:
    """The final fit: the model goes on learning for a while from every row, the held-back ones included.

    A reservoir is fitted anew, with the ridge strength that was chosen before. For the others nothing is left to
    validate with, so the number of steps follows from the step the best weights were reached at.
    """
    return _go_on(
        learned.model,
        panel,
        learned.config,
        plan=learned.plan,
        steps_of=[round(FINAL_STEPS * done.best_step) for done in learned.fits],
        seed=1,
        base=learned.base,
        watcher=watcher or Watcher(),
        device=device,
    )


def learn_on(
    model: FittedModel,
    panel: Panel,
    config: Config,
    *,
    since: IntArray,
    best_steps: Sequence[int],
    seed: int,
    device: torch.device,
    watcher: Watcher | None = None,
) -> FittedModel:
    """A warm start: a copy of the model that goes on learning from every row of a panel, mostly from the new ones.

    Transform, features and interval widths stay. Series may be new, or gone. A reservoir is fitted anew.

    Args:
        model: stays as it is.
        panel: the rows to learn from.
        config: as resolved when the model was trained.
        since: row after the last one that each series was learned from, ``(n_series,)``.
        best_steps: steps to the best weights of each member in the training that is gone on with, 0 for all steps.
        seed: told apart from those of other warm starts.
        device: where to train.
        watcher: progress and stop signals.

    Raises:
        DataError: no series is long enough.
        StoppedError: a signal came.
        TrainingError: the loss is not finite.
    """
    plan = plan_of(config)
    network = copy.deepcopy(model.network)
    for member in network.members:
        if isinstance(member.recurrence, nn.RNNBase):
            member.recurrence.flatten_parameters()  # cuDNN wants one block, which the copy is not
    known = replace(
        model,
        network=network,
        unique_ids=panel.unique_ids,
        transform=model.transform_of(panel),
        falls_back=None if model.falls_back is None else model.falls_back_on(panel),
    )
    base = None
    if network.cell.reservoir:
        seen = known.transform.differences(known.transform.levels(panel))
        base = _best_base(seen, model.features, plan, differenced=known.transform.difference > 0)
    return _go_on(
        known,
        panel,
        config,
        plan=plan,
        steps_of=[max(LEAST_STEPS, round(FINAL_STEPS * (steps or plan.steps))) for steps in best_steps],
        seed=1 + seed,
        base=base,
        since=since,
        watcher=watcher or Watcher(),
        device=device,
    )


def _go_on(
    model: FittedModel,
    panel: Panel,
    config: Config,
    *,
    plan: Plan,
    steps_of: Sequence[int],
    seed: int,
    base: int | None,
    since: IntArray | None = None,
    device: torch.device,
    watcher: Watcher,
) -> FittedModel:
    """The model with its network trained further in place; scales are those of the panel."""
    features = model.features
    # The transform stays: the weights and the interval widths were found in its units.
    seen = model.transform.differences(model.transform.levels(panel))
    scales = fit_scales(seen, season_length=features.season_length, scaling=features.scaling)
    model = replace(model, scales=scales, never_negative=never_negative(panel))
    windows = _windows(seen, features, plan, model.transform)
    reader = WindowReader(seen, features, scales, horizon=plan.horizon, device=device)
    if model.network.cell.reservoir:
        for member in model.network.members:
            member.reset_base(base)
            _fit_reservoir(member, reader, windows, plan, config, None, watcher=watcher)
        return model
    if since is not None:
        windows = _new_ones_twice(windows, since, horizon=plan.horizon)
    watcher.on_final_fit(sum(steps_of))
    for number, (member, steps) in enumerate(zip(model.network.members, steps_of, strict=True)):
        if steps == 0:
            continue
        further = replace(
            plan,
            steps=steps,
            learning_rate=FINAL_RATE * plan.learning_rate,
            validate_every=max(1, steps // 5),
            seed=plan.seed + seed + number * MEMBER_SEEDS,
        )
        its_watcher = watcher.after(sum(steps_of[:number]))
        fit(member, features, Sampler(reader, windows, further), further, validate=None, watcher=its_watcher)
    return model


def _new_ones_twice(
    windows: tuple[IntArray, IntArray, IntArray], since: IntArray, *, horizon: int
) -> tuple[IntArray, IntArray, IntArray]:
    """The ranges of windows, and once more those whose targets reach into rows that were not learned from."""
    series, first, last = windows
    from_new = np.maximum(first, since[series] - horizon)
    new = np.flatnonzero(from_new <= last)
    return (
        np.concatenate([series, series[new]]),
        np.concatenate([first, from_new[new]]),
        np.concatenate([last, last[new]]),
    )


def _draw_reservoir(network: Network, settings: ModelConfig, *, seed: int) -> None:
    assert isinstance(network.recurrence, Stepwise)
    draw_reservoir(
        network.recurrence,
        spectral_radius=cast(float, settings.spectral_radius),
        input_scale=cast(float, settings.input_scale),
        seed=seed,
    )


def _fit_reservoir(
    network: Network,
    reader: WindowReader,
    ranges: tuple[IntArray, IntArray, IntArray],
    plan: Plan,
    config: Config,
    validation: _Held | None,
    *,
    watcher: Watcher,
) -> tuple[Fit, Config]:
    """Fits the readout; the config comes back with the ridge strength that was taken."""
    log.debug(
        "esn: the readout is fitted in closed form; training.max_steps and what else is about steps is not used"
    )
    washout = cast(int, config.model.washout)
    windows = Windows.covering(reader, ranges, horizon=plan.horizon, washout=washout, seed=plan.seed)
    ridges = RIDGES if config.model.ridge == "auto" else (cast(float, config.model.ridge),)
    validate = validation.score if validation else None
    done, ridge = fit_readout(network, windows, plan, ridges=ridges, validate=validate, watcher=watcher)
    return done, config.model_copy(update={"model": config.model.model_copy(update={"ridge": ridge})})


def features_of(config: Config, known: Panel) -> Features:
    """What the network is shown, from a resolved config and the words in the rows that are learned from."""
    lags = cast(list[int], config.model.lags)
    return Features(
        lookback=cast(int, config.lookback),
        lags=tuple(lag for lag in sorted(lags) if lag > 1),
        calendar=tuple(cast(list[str], config.data.calendar)),
        past=tuple(config.data.covariates.past),
        future=tuple(config.data.covariates.future),
        static=tuple(config.data.covariates.static),
        categories=_words_in(known),
        fourier=config.data.fourier,
        holidays=config.data.holidays,
        scaling=TRIED_SCALINGS[0] if config.scaling == "auto" else config.scaling,
        season_length=cast(list[int], config.season_length)[0],
    )


def _words_in(known: Panel) -> dict[str, tuple[str, ...]]:
    """The words of each categorical covariate that stand in the rows of a panel, sorted."""
    if not known.categories:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    kinds = (
        (known.static_names, known.static[known.lengths > 0] if known.static_names else known.static),
        (known.past_names, known.past),
        (known.future_names, known.future[known.future_rows] if known.future_names else known.future),
    )
    for names, values in kinds:
        for k, name in enumerate(names):
            if name in known.categories:
                numbers = np.unique(values[:, k]).astype(np.int64)
                found[name] = tuple(known.categories[name][number - 1] for number in numbers if number)
    return found


def plan_of(config: Config) -> Plan:
    """The settings of the training loop, from a resolved config."""
    training = config.training
    steps = cast(int, training.max_steps)
    return Plan(
        steps=steps,
        batch_size=training.batch_size,
        learning_rate=cast(float, training.learning_rate),
        closed_loop=training.closed_loop,
        horizon=config.horizon,
        validate_every=max(1, steps // VALIDATIONS),
        patience=cast(int, training.patience),
        seed=training.seed,
        precision=config.runtime.precision,
    )


def check_lengths(panel: Panel, config: Config) -> None:
    """Refuses series that :func:`learn` would refuse for their lengths, before anything is computed.

    Args:
        panel: as given to :func:`learn`.
        config: with every ``auto`` resolved.

    Raises:
        DataError: no series is long enough.
    """
    before, config = _before_calibration(panel, config)
    known = before.drop_last(cast(int, config.split.validation))
    features = features_of(config, known)
    training_cutoffs(
        known,
        horizon=config.horizon,
        lookback=features.lookback,
        season_length=features.season_length,
        difference=config.difference or 0,
    )
    _held_back(before, config.horizon, cast(int, config.split.validation))


def _cutoffs(panel: Panel, horizon: int, held_back: int) -> Cutoffs:
    """Cutoffs of the windows in the last ``held_back`` steps of each series."""
    horizon = min(horizon, held_back)
    # Overlapping windows where there are few, so that chance does not choose the weights.
    stride = (held_back - horizon) * panel.n_series // ENOUGH_WINDOWS
    stride = max(1, min(stride, horizon))
    return rolling_cutoffs(panel, horizon=horizon, test=held_back, stride=stride)


def _held_back(panel: Panel, horizon: int, held_back: int) -> Cutoffs:
    """Cutoffs of the windows that validate or calibrate.

    Raises:
        DataError: no series is long enough.
    """
    horizon = min(horizon, held_back)
    cutoffs = _cutoffs(panel, horizon, held_back)
    if not len(cutoffs):
        raise DataError(
            f"split.validation: no series has {held_back + 1} rows, so nothing can be held back "
            f"(the longest has {panel.lengths.max(initial=0)}); lower split.validation or split.test.",
            code="L503",
        )
    if np.isnan(actuals(panel, cutoffs, horizon)).all():
        raise DataError(
            f"split.validation: every value of the {held_back} rows held back is masked, so nothing can be validated; "
            "raise split.validation, or remove the rows.",
            code="L503",
        )
    return cutoffs


def _best_base(panel: Panel, features: Features, plan: Plan, *, differenced: bool) -> int | None:
    """Which of the shown values, repeated over the horizon, forecasts best inside the training rows.

    None stands for the usual change, where that is a better forecast of differences than any of the newest ones.
    """
    half = int(np.median(panel.lengths)) // 2
    reach = min(plan.horizon, half)
    if reach == 0:
        return 0
    cutoffs = rolling_cutoffs(panel, horizon=reach, test=min(4, half // reach) * reach)
    cutoffs = _sample(cutoffs, seed=plan.seed)
    scales = fit_scales(panel, season_length=features.season_length, scaling="seasonal")
    unit = scales.scale[cutoffs.series, None]
    y = actuals(panel, cutoffs, reach)
    repeated = [seasonal_naive(panel, cutoffs, reach, lag) for lag in (1, *features.lags)]
    if differenced:
        repeated.append(np.repeat(scales.center[cutoffs.series, None], reach, axis=1))
    errors = [np.abs(forecast - y) / unit for forecast in repeated]
    means = [np.inf if np.isnan(error).all() else float(np.nanmean(error)) for error in errors]
    best = int(np.argmin(means))
    return best if best <= len(features.lags) else None


def _sample(cutoffs: Cutoffs, *, seed: int, most: int = MAX_WINDOWS) -> Cutoffs:
    """At most so many of the cutoffs, the same ones each time."""
    if len(cutoffs) <= most:
        return cutoffs
    chosen = np.random.default_rng(seed).choice(len(cutoffs), most, replace=False)
    return cutoffs[np.sort(chosen)]


def judged_by_squares(network: Forecaster) -> bool:
    """Whether a training is stopped by the root mean squared error, RMSSE, and not by the MASE."""
    return network.head.kind.is_mean and not network.cell.reservoir


class _Held:
    """Held-back windows, read once: those that stop training by their score, or that give intervals their width."""

    def __init__(
        self,
        panel: Panel,
        *,
        steps: int,
        config: Config,
        features: Features,
        transform: Transform,
        scales: Scales,
        device: torch.device,
        source: Literal["validation", "calibration"] = "validation",
        among: IntArray | None = None,
    ) -> None:
        self._horizon = min(config.horizon, steps)
        self._source = source
        self._names = panel.unique_ids
        self._n_paths, self._seed = config.forecast.paths, config.training.seed
        cutoffs = _held_back(panel, config.horizon, steps)
        if among is not None:
            cutoffs = cutoffs[np.flatnonzero(np.isin(cutoffs.series, among))]
        self._cutoffs = _sample(cutoffs, seed=config.training.seed)
        self._panel = panel
        self._season_length = features.season_length
        self._transform = transform
        self._levels = transform.levels(panel)
        self._seen = transform.differences(self._levels)
        self._reader = WindowReader(self._seen, features, scales, horizon=self._horizon, device=device)
        self._precision = config.runtime.precision
        self._y = actuals(panel, self._cutoffs, self._horizon)
        unit = seasonal_scale(panel, self._cutoffs, features.season_length).mae
        self._unit = unit[:, None]
        if np.isnan(self._y / self._unit).all():  # nothing ever changed: any unit will do
            self._unit = np.ones((len(unit), 1))

    def score(self, network: Forecaster) -> float:
        """Mean error over the windows in units of the seasonal error before them: the MASE that is reported.

        A head that forecasts means is judged by the root of the mean squared error: by the absolute one it would be
        told to forecast medians, and of mostly zeros that is nothing.
        """
        levels, _ = self._forecast(network)
        errors = np.abs(self._transform.inverse(levels, self._cutoffs.series) - self._y) / self._unit
        if judged_by_squares(network):
            return float(np.sqrt(np.nanmean(np.square(errors))))
        return float(np.nanmean(errors))

    def lost(self, network: Forecaster) -> BoolArray:
        """Which series the network does not forecast better than the seasonal naive, ``(n_series,)``."""
        levels, _ = self._forecast(network)
        y_hat = self._transform.inverse(levels, self._cutoffs.series)
        naive = seasonal_naive(self._panel, self._cutoffs, self._horizon, self._season_length)
        series, n_series = self._cutoffs.series, self._panel.n_series
        gain = (np.abs(naive - self._y) - np.abs(y_hat - self._y)) / self._unit
        known = np.isfinite(gain)
        gains = np.bincount(series, weights=np.where(known, gain, 0.0).sum(axis=1), minlength=n_series)
        n_windows = np.bincount(series[known.any(axis=1)], minlength=n_series)
        lost: BoolArray = np.where(n_windows >= ENOUGH_TO_JUDGE, gains <= 0, gains.sum() <= 0)
        return lost

    def spread(self, network: Forecaster, falls_back: BoolArray | None) -> Spread:
        """Interval widths from the errors on the curve, where the intervals are made as well.

        Args:
            network: whose errors they are.
            falls_back: the series whose intervals are about the seasonal naive.
        """
        levels, scale = self._forecast(network)
        if falls_back is not None:
            levels = with_seasonal_naive(levels, self._levels, self._cutoffs, falls_back, self._season_length)
        errors = actuals(self._levels, self._cutoffs, self._horizon) - levels
        below = above = scale[:, None]
        if network.has_own_spread:
            paths = path_levels(
                network,
                self._reader,
                self._cutoffs,
                self._horizon,
                transform=self._transform,
                history=self._levels,
                n_paths=self._n_paths,
                seed=self._seed,
                precision=self._precision,
            )
            below, above = one_sided_units(paths, levels, scale)
        return fit_spread(
            np.where(errors < 0, errors / below, errors / above),
            [self._names[series] for series in self._cutoffs.series],
            symmetric=not network.head.kind.is_mean or self._transform.name != "none",
            source=self._source,
            residuals=self._residuals(network),
        )

    def _residuals(self, network: Forecaster) -> FloatArray:
        """Errors of the fed-back quantity, in the unit of the network, of windows that have all of them.

        One step ahead, as a path adds one to each of its steps; of whole horizons where a network feeds nothing back.
        """
        cutoffs = _sample(self._cutoffs, seed=self._seed, most=MAX_RESIDUALS)
        made, scale = forecast_windows(
            network,
            self._reader,
            cutoffs,
            self._horizon,
            precision=self._precision,
            closed_loop=network.direct_steps > 0,
        )
        errors = (actuals(self._seen, cutoffs, self._horizon) - made) / scale[:, None]
        whole = errors[np.isfinite(errors).all(axis=1)]
        return whole if len(whole) else np.nan_to_num(errors)

    def _forecast(self, network: Forecaster) -> tuple[FloatArray, FloatArray]:
        return forecast_levels(
            network,
            self._reader,
            self._cutoffs,
            self._horizon,
            transform=self._transform,
            history=self._levels,
            precision=self._precision,
        )
