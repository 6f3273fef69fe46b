"""Rolling-origin evaluation: trained on what was known at an origin, judged on what came after, beside its rivals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import numpy as np
import pandas as pd
import torch

from tsforecast.config.schema import Config
from tsforecast.config.words import nearest_word
from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.evaluation.backtest import (
    Behaviour,
    Forecaster,
    Origin,
    all_cutoffs,
    behaviour,
    choose_windows,
    ends_of_series,
    ends_together,
    forecasts_at,
    rolling_origins,
)
from tsforecast.evaluation.baselines import BASELINES, Baseline
from tsforecast.evaluation.rivals import RIVALS, Ground, rival_forecasts
from tsforecast.evaluation.scores import Scores, actuals, score
from tsforecast.features.auto import resolve, with_auto
from tsforecast.features.transforms import fit_transform
from tsforecast.forecasting.forecast import (
    FittedModel,
    forecast,
    forecast_values,
    known_ahead,
)
from tsforecast.runtime import choose_device, set_precision, set_threads
from tsforecast.series.isolate import Failure
from tsforecast.series.panel import Cutoffs, FloatArray, IntArray, Panel
from tsforecast.series.read import name_of
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.training.fit import Watcher
from tsforecast.training.learn import check_lengths, learn, learn_all, within_budget
from tsforecast.workflows.fallback import tell_failures
from tsforecast.workflows.predict import LoadedRun, read_like
from tsforecast.workflows.train import model_name, read_data

__all__ = ["Backtest", "Rolling", "backtest", "backtest_run", "learned_until", "parse_rivals"]

log = logging.getLogger(__name__)

Align = Literal["auto", "calendar", "own"]
Refit = Literal["never", "every"]
FAR_AWAY = 10**12  # steps
# Repairs of a gap that look at what comes after it.
FORESIGHT = ("interpolate", "seasonal")
# Windows by default: forecasts cost little, trainings much.
MOST_WINDOWS: Mapping[Refit, int] = {"never": 24, "every": 5}


@dataclass(frozen=True, slots=True)
class Rolling:
    """What the user asks for.

    Attributes:
        n_windows: number of origins; None: as many as fit into the last third, within limits.
        stride: steps between them; None: the horizon.
        refit: train once, at the first origin, or anew at each.
        rivals: names of the rivals in the table beside the baselines.
        align: where origins lie: at one moment for all series, or counted from each series' own end. ``auto`` takes
            the calendar where there is one and the series end together.
    """

    n_windows: int | None = None
    stride: int | None = None
    refit: Refit = "never"
    align: Align = "auto"
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What was forecast, what came, and how good it was.

    Attributes:
        config: of the first origin, with every ``auto`` resolved.
        rolling: with every default written out.
        panel: all rows.
        cutoffs: where the forecasts start, one origin after the other.
        origin: number of each cutoff's origin, ``(n_cutoffs,)``.
        y: what came, NaN where it is not known, ``(n_cutoffs, horizon)``.
        forecasts: of each model by its name, the network first, ``(n_cutoffs, horizon)``.
        quantiles: of the network at ``levels``, ``(n_cutoffs, horizon, levels)``.
        one_step: of the network with the values that came fed to it, ``(n_cutoffs, horizon)``; NaN where they are
            not all known, or the series is new to the network.
        scores: against what came.
        behaviour: of the network's rollout.
        failures: series that are left out.
        levels: of the quantiles.
        notes: which rivals are missing and why, a sentence each.
    """

    config: Config
    rolling: Rolling
    panel: Panel
    cutoffs: Cutoffs
    origin: IntArray
    y: FloatArray
    forecasts: Mapping[str, FloatArray]
    quantiles: FloatArray
    one_step: FloatArray
    scores: Scores
    behaviour: Behaviour
    failures: tuple[Failure, ...] = ()
    levels: Sequence[float] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def model_name(self) -> str:
        return next(iter(self.forecasts))

    @property
    def n_origins(self) -> int:
        return int(self.origin.max()) + 1

    @property
    def season_length(self) -> int:
        return cast(list[int], self.config.season_length)[0]


# Trains on a panel that ends at an origin.
Learner = Callable[[Panel], tuple[FittedModel, Config]]


def backtest(
    config: Config,
    rolling: Rolling | None = None,
    *,
    source: pd.DataFrame | None = None,
    watcher: Watcher | None = None,
) -> Backtest:
    """Trains on the rows before the first origin, or before each, and forecasts from every origin.

    Args:
        config: as loaded; ``auto`` is resolved from the rows before the origin the network is trained at, and
            ``split.test`` is not used: the windows are the test.
        rolling: where the origins lie.
        source: data to use instead of ``data.path``.
        watcher: progress and stop signals.

    Raises:
        ConfigError: settings that do not fit each other or this machine.
        DataError: the data cannot be used, or is too short for these windows.
        StoppedError: a signal came.
    """
    device = choose_device(config.runtime.device)
    set_precision(config.runtime.precision, device)
    config, notes = _without_foresight(config)
    read = read_data(config, source)
    failures = _left_out(read.failures)
    panel, where = read.panel, name_of(config.data.path) if source is None else "data frame"
    rolling = _settled(rolling or Rolling(), panel, config.horizon)
    origins = _origins(panel, config, rolling, where=where)
    return _judged(
        panel,
        origins,
        rolling,
        learner=lambda known: _learned(known, config, device=device, watcher=watcher),
        levels=config.forecast.quantile_levels,
        failures=failures,
        notes=notes,
        watcher=watcher,
    )


def backtest_run(
    run: LoadedRun,
    rolling: Rolling | None = None,
    *,
    source: str | None = None,
    watcher: Watcher | None = None,
) -> Backtest:
    """Judges a trained run on rows it has not learned from; with ``refit: every``, its settings on any rows.

    Args:
        run: the loaded run.
        rolling: where the origins lie.
        source: data to use instead of the run's ``data.path``.
        watcher: progress and stop signals.

    Raises:
        ConfigError: an origin lies in rows the run has learned from.
        DataError: the data cannot be used, or is too short for these windows.
        RunError: the data does not fit the run.
        StoppedError: a signal came.
    """
    careful, notes = _without_foresight(run.config)
    run = replace(run, config=careful)
    read = read_like(run, run.config.data.path if source is None else source)
    failures = _left_out(read.failures)
    panel, horizon, rolling = read.panel, run.config.horizon, rolling or Rolling()
    learner: Learner
    if rolling.refit == "every":
        config = with_auto(run.config, run.auto)
        learner = lambda known: _learned(known, config, device=run.model.device, watcher=watcher)  # noqa: E731
        rolling = _settled(rolling, panel, horizon)
    else:
        learner = lambda _: (run.model, run.config)  # noqa: E731
        settled = _settled(rolling, panel, horizon)
        panel, rolling = _after_training(run, panel, settled, asked=rolling.n_windows)
    where = name_of(run.config.data.path if source is None else source)
    origins = _origins(panel, run.config, rolling, where=where)
    return _judged(
        panel,
        origins,
        rolling,
        learner=learner,
        levels=run.config.forecast.quantile_levels,
        failures=failures,
        notes=notes,
        watcher=watcher,
    )


def _without_foresight(config: Config) -> tuple[Config, list[str]]:
    """The config with repairs that read later rows replaced by a mask, and a sentence about it where there were any."""
    repair = config.data.repair
    ahead = [kind for kind in ("gaps", "missing") if getattr(repair, kind) in FORESIGHT]
    if not ahead:
        return config, []
    masked = repair.model_copy(update=dict.fromkeys(ahead, "mask"))
    policies = ", ".join(f"data.repair.{kind}: {getattr(repair, kind)}" for kind in ahead)
    note = f"{policies} fills from later rows, so what is missing is masked here (mask), and not scored."
    return config.model_copy(update={"data": config.data.model_copy(update={"repair": masked})}), [note]


def _left_out(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    """The failures, none of them forecast by anything: a backtest judges the network. Says which they are."""
    lost = tuple(replace(failure, forecast="") for failure in failures)
    tell_failures(lost)
    return lost


def _settled(rolling: Rolling, panel: Panel, horizon: int) -> Rolling:
    """With every default written out."""
    align = rolling.align
    if align == "auto":
        align = "calendar" if ends_together(panel, within=horizon) else "own"
    stride = rolling.stride or horizon
    most = MOST_WINDOWS[rolling.refit]
    windows = rolling.n_windows or choose_windows(panel, horizon=horizon, stride=stride, most=most)
    return replace(rolling, n_windows=windows, stride=stride, align=align)


def _after_training(
    run: LoadedRun, panel: Panel, rolling: Rolling, *, asked: int | None
) -> tuple[Panel, Rolling]:
    """The series with rows that the run has not learned from, and no more windows than fit into those.

    Raises:
        ConfigError: none does, or fewer than the user asked for.
    """
    learned = learned_until(run, panel.axis)
    newest = max(learned.values())
    if rolling.align == "own":  # a series that is new was learned from nowhere
        until = np.array([learned.get(name, -FAR_AWAY) for name in panel.unique_ids])
    else:
        until = np.full(panel.n_series, newest)
    room = ends_of_series(panel, align=rolling.align) - run.config.horizon - until
    judged = np.flatnonzero((room >= 0) & (panel.lengths > 0))
    stride = cast(int, rolling.stride)
    fitting = int(room[judged].min()) // stride + 1 if judged.size else 0
    if fitting >= (asked or 1):
        if len(judged) < panel.n_series:
            log.warning(
                "%d of %d series have no rows after those the run has learned from, and are not judged",
                panel.n_series - len(judged),
                panel.n_series,
            )
        return panel.select(judged), replace(rolling, n_windows=asked or min(fitting, MOST_WINDOWS["never"]))
    last = panel.axis.timestamps(np.array([newest]))[0]
    room_for = f"{fitting or 'no'} window{'s' * (fitting != 1)} of {run.config.horizon} steps"
    raise ConfigError(
        f"{run.path}: the run has learned from the rows up to {last}, and after them there is room for {room_for}"
        + (f", {stride} apart, not for {asked}" if asked else "")
        + "; use --refit every to train anew before each window, or give DATA that reaches further."
    )


def learned_until(run: LoadedRun, axis: TimeAxis) -> dict[str, int]:
    """Position of the last row the run has learned from, by series, on the axis of the data it is judged by."""
    tail = run.tail
    ends = tail.axis.timestamps(tail.starts + tail.lengths - 1 - run.held_back)
    return dict(zip(tail.unique_ids, axis.floor(ends).tolist(), strict=True))


def _origins(panel: Panel, config: Config, rolling: Rolling, *, where: str) -> list[Origin]:
    """The origins, each with something to forecast from and to judge by.

    Raises:
        DataError: the series are too short for them.
    """
    horizon, windows, stride = config.horizon, cast(int, rolling.n_windows), cast(int, rolling.stride)
    origins = rolling_origins(
        panel, horizon=horizon, n_windows=windows, stride=stride, align=cast(str, rolling.align)
    )
    if not origins[0].known.any():
        held_back, longest = horizon + (windows - 1) * stride, int(panel.lengths.max())
        raise DataError(
            f"{where}: {windows} windows of {horizon} steps, {stride} apart, hold back {held_back} rows "
            f"({windows - 1} × {stride} + {horizon}), and the longest series has {longest}, so nothing is left to "
            "learn from; lower --windows, --stride or horizon.",
            code="L501",
        )
    kept = [_with_known_future(panel, origin, horizon) for origin in origins]
    scored = len(np.unique(all_cutoffs(kept).series))
    if not scored:
        reason = "no series has rows both before and in a window; lower --windows or --stride"
        if panel.future_names:
            reason = "the future covariates are known for no window; give them over the horizon"
        raise DataError(f"{where}: {reason}.")
    if scored < panel.n_series:
        log.warning(
            "%d of %d series have no row both before and in a window, and are not judged%s",
            panel.n_series - scored,
            panel.n_series,
            "; --align own counts from each series' own end" if rolling.align == "calendar" else "",
        )
    return [origin for origin in kept if len(origin.cutoffs)]


def _with_known_future(panel: Panel, origin: Origin, horizon: int) -> Origin:
    """Without the cutoffs from which the future covariates are not known over the horizon."""
    known = known_ahead(panel, origin.cutoffs) >= horizon
    return Origin(cutoffs=origin.cutoffs[np.flatnonzero(known)], known=origin.known)


def _learned(
    known: Panel, config: Config, *, device: torch.device, watcher: Watcher | None
) -> tuple[FittedModel, Config]:
    """A model trained on every row of a panel that ends at an origin."""
    config = config.model_copy(update={"split": config.split.model_copy(update={"test": 0})})
    resolved = resolve(config, known)
    check_lengths(known, resolved)
    set_threads(resolved.runtime.threads, hidden_size=cast(int, resolved.model.hidden_size))
    resolved = within_budget(known, resolved, device=device)
    learned = learn(known, resolved, device=device, watcher=watcher)
    if not config.training.final_fit:
        return learned.model, learned.config
    return learn_all(learned, known, device=device, watcher=watcher), learned.config


def _judged(
    panel: Panel,
    origins: Sequence[Origin],
    rolling: Rolling,
    *,
    learner: Learner,
    levels: Sequence[float],
    failures: tuple[Failure, ...],
    notes: Sequence[str],
    watcher: Watcher | None,
) -> Backtest:
    """Forecasts of every model from every origin, and their scores."""
    parts: list[dict[str, FloatArray]] = []
    told = dict.fromkeys(notes)
    first_config: Config | None = None
    for number, group in enumerate(_groups(origins, rolling.refit)):
        model, config = learner(group[0].known_part(panel))
        first_config = first_config or config
        cutoffs = all_cutoffs(group)
        season = cast(list[int], first_config.season_length)[0]
        made = _forecast_group(panel, cutoffs, model, config, season=season, levels=levels)
        ground = _ground(group[0].known_part(panel), model, config)
        rivals = rival_forecasts(rolling.rivals, ground, panel, cutoffs, config.horizon)
        parts.append(made | rivals.y_hat)
        told |= dict.fromkeys(rivals.notes)
        if rolling.refit == "every":
            log.info("window %d of %d: %d forecasts", number + 1, len(origins), len(cutoffs))
        if signal := watcher.stop_signal() if watcher else None:
            raise StoppedError(f"backtest stopped by signal {signal}; nothing is written.", signal)
    assert first_config is not None
    everywhere = [name for name in parts[0] if all(name in part for part in parts)]
    made = {name: np.concatenate([part[name] for part in parts]) for name in everywhere}
    cutoffs = all_cutoffs(origins)
    values, one_step = made.pop(NETWORK), made.pop(ONE_STEP)
    forecasts = {model_name(first_config): values[:, :, 0], **made}
    y = actuals(panel, cutoffs, first_config.horizon)
    return Backtest(
        config=first_config,
        rolling=replace(rolling, n_windows=len(origins)),
        panel=panel,
        cutoffs=cutoffs,
        origin=np.repeat(np.arange(len(origins)), [len(origin.cutoffs) for origin in origins]),
        y=y,
        forecasts=forecasts,
        quantiles=values[:, :, 1:],
        one_step=one_step,
        scores=score(
            panel,
            cutoffs,
            forecasts,
            season_length=cast(list[int], first_config.season_length)[0],
            quantiles={model_name(first_config): values[:, :, 1:]},
            levels=levels,
        ),
        behaviour=behaviour(panel, cutoffs, y, values[:, :, 0]),
        failures=failures,
        levels=levels,
        notes=tuple(told),
    )


NETWORK, ONE_STEP = "", "one step"  # no model has these names


def _groups(origins: Sequence[Origin], refit: Refit) -> Iterator[Sequence[Origin]]:
    """Origins that are forecast by one trained model, as one batch."""
    if refit == "never":
        yield origins
    else:
        yield from ([origin] for origin in origins)


def _forecast_group(
    panel: Panel,
    cutoffs: Cutoffs,
    model: FittedModel,
    config: Config,
    *,
    season: int,
    levels: Sequence[float],
) -> dict[str, FloatArray]:
    """Forecasts of each model from these cutoffs."""
    horizon = config.horizon

    def network(ended: Panel, steps: int) -> FloatArray:
        return forecast_values(model, ended, ended.last_cutoffs, steps, quantile_levels=levels)

    return {
        NETWORK: forecasts_at(panel, cutoffs, horizon, network),
        ONE_STEP: _one_step(model, panel, cutoffs, horizon),
        **{
            name: forecasts_at(panel, cutoffs, horizon, _from_last(baseline, season))
            for name, baseline in BASELINES.items()
        },
    }


def _ground(known: Panel, model: FittedModel, config: Config) -> Ground:
    """What the rivals are fitted on: the rows known at an origin, shown to them as to the network."""
    return Ground(
        known=known,
        features=model.features,
        transform=fit_transform(known, config),
        non_negative=model.non_negative,
        seed=config.training.seed,
    )


def parse_rivals(text: str) -> tuple[str, ...]:
    """Names of rivals from ``ridge,auto_ets``; ``none`` and ``all`` stand for those.

    Raises:
        ConfigError: a name is no rival, or stands twice.
    """
    if text in ("none", "all"):
        return tuple(RIVALS) if text == "all" else ()
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in RIVALS:
            near = nearest_word(name, list(RIVALS))
            hint = f" Did you mean {near!r}?" if near else ""
            raise ConfigError(
                f"--rivals: {name!r} is not a known rival ({', '.join(RIVALS)}, all, none).{hint}"
            )
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"--rivals: {text!r} must name each rival once, such as ridge,boosted_trees, or be none."
        )
    return tuple(names)


def _from_last(baseline: Baseline, season: int) -> Forecaster:
    """A baseline as a forecaster from the end of each series."""
    return lambda ended, steps: baseline(ended, ended.last_cutoffs, steps, season)


def _one_step(model: FittedModel, panel: Panel, cutoffs: Cutoffs, horizon: int) -> FloatArray:
    """One-step-ahead forecasts over the horizons that are known in full, of series the model was trained on."""
    y_hat = np.full((len(cutoffs), horizon), np.nan)
    learned = np.isin(np.array(panel.unique_ids, dtype=object), model.unique_ids)
    whole = panel.lengths[cutoffs.series] - panel.rows_known(cutoffs) >= horizon
    told = np.flatnonzero(learned[cutoffs.series] & whole)
    if told.size:
        y_hat[told] = forecast(model, panel, cutoffs[told], horizon, closed_loop=False).y_hat
    return y_hat
