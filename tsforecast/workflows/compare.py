"""The same data, splits, budget and seeds for several cells: which one to use here?"""

from __future__ import annotations

import json
import logging
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from tsforecast.config.schema import CELL_NAMES, CELLS_WITH, Config, ModelConfig
from tsforecast.config.words import nearest_word
from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.evaluation.scores import Scores, aligned
from tsforecast.features.auto import resolve
from tsforecast.forecasting.forecast import FittedModel, forecast_windows
from tsforecast.pictures.comparison import Outcome, plot_error_by_time
from tsforecast.pictures.gates import plot_gradient
from tsforecast.recurrent.inspection import GradientReach, inspect_network
from tsforecast.recurrent.rollout import teacher_forced_inputs
from tsforecast.runs import refuse_taken
from tsforecast.runtime import choose_device, set_precision, set_threads
from tsforecast.series.isolate import Failure
from tsforecast.series.panel import Panel
from tsforecast.storage.atomic import replaced_folder, write_text
from tsforecast.training.fit import Watcher
from tsforecast.training.learn import VALIDATIONS, cpu_seconds_of, learn, trial_share, within_budget
from tsforecast.workflows.fallback import failures_csv, tell_failures
from tsforecast.workflows.train import (
    FAILURES,
    read_data,
    resolve_and_part,
    score_test,
    score_with_baselines,
    test_cutoffs,
)

__all__ = [
    "Comparison",
    "Trial",
    "check_folder",
    "compare",
    "comparison_json",
    "parse_cells",
    "table",
    "verdict",
    "with_cell",
    "write",
]

log = logging.getLogger(__name__)

# Names of the files a comparison is made of.
OURS = ("comparison.json", "trials.csv", "error_by_time.png", "gradient.png", "failures.csv")
# Two-sided 5 % points of Student's t by degrees of freedom; the last stands for more as well.
STUDENT = {2: 4.303, 4: 2.776, 6: 2.447, 8: 2.306, 10: 2.228, 12: 2.179, 14: 2.145, 16: 2.120, 18: 2.101}
MAX_UPDATES = 10_000_000
COLUMNS = ("mase", "skill", "parameters", "steps", "seconds", "milliseconds")
REFERENCE = "seasonal_naive"
TIMED_FORECASTS = 7
# Windows the gradient is followed in; more of them change no picture.
GRADIENT_WINDOWS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One training of one cell.

    Attributes:
        cell: its name.
        seed: of weights, windows and dropout.
        mase: on the test part.
        skill: 1 - MASE / MASE of the seasonal naive.
        parameters: trained numbers; a reservoir's drawn weights do not count.
        steps: training steps done; 0 for a reservoir, which has none.
        seconds: CPU seconds of the training.
        milliseconds: of one forecast over the horizon, of one series.
        history: one record per validation.
        gradient: how far the gradient of the top layer reaches back.
    """

    cell: str
    seed: int
    mase: float
    skill: float
    parameters: int
    steps: int
    seconds: float
    milliseconds: float
    history: list[dict[str, Any]]
    gradient: GradientReach


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What was found.

    Attributes:
        horizon: steps forecast.
        season_lengths: steps in each season.
        trials: cell by cell, seed by seed.
        baselines: MASE of the naive forecasts, by name.
        n_series: series that were scored.
        n_cutoffs: forecasts that were scored.
        failures: series that no cell has learned from.
    """

    horizon: int
    season_lengths: list[int]
    trials: list[Trial]
    baselines: dict[str, float]
    n_series: int
    n_cutoffs: int
    failures: tuple[Failure, ...] = ()

    @property
    def by_cell(self) -> dict[str, list[Trial]]:
        found: dict[str, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.cell, []).append(trial)
        return found


def parse_cells(text: str) -> list[str]:
    """Names of cells from ``lstm,gru``; a trained cell with ``bi`` in front reads both ways.

    Raises:
        ConfigError: a name is no cell, stands twice, or there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = [*CELL_NAMES, *(f"bi{name}" for name in CELL_NAMES if name != "esn")]
    for name in names:
        if name not in known:
            near = nearest_word(name, known)
            hint = f" Did you mean {near!r}?" if near else ""
            raise ConfigError(f"--cells: {name!r} is not a known cell ({', '.join(known)}).{hint}")
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"--cells: {text!r} must name each cell once, such as lstm,gru.")
    return names


def with_cell(config: Config, name: str) -> Config:
    """The config with another cell, in the direction its name says.

    Settings that belong to some cells only are kept for the cell the config names, and are defaults for others.
    """
    cell = name if name in CELL_NAMES else name.removeprefix("bi")
    kept = {
        key: value
        for key, value in config.model.model_dump().items()
        if key not in ("cell", "bidirectional") and (key not in CELLS_WITH or cell == config.model.cell)
    }
    if cell == "esn":
        kept |= {"dropout": 0.0, "head": "auto"}
    written = {**kept, "cell": cell, "bidirectional": cell != name}
    forecast = config.forecast
    if cell == "esn":
        forecast = forecast.model_copy(update={"strategy": "recursive"})
    return config.model_copy(update={"model": ModelConfig.model_validate(written), "forecast": forecast})


def compare(
    config: Config,
    cells: Sequence[str],
    *,
    n_seeds: int,
    seconds: float | None = None,
    source: pd.DataFrame | None = None,
    watcher: Watcher | None = None,
) -> Comparison:
    """Trains every cell with every seed, and scores each on the test part.

    Args:
        config: as loaded; ``training.max_steps`` is the budget of each training unless ``seconds`` is given.
        cells: names, short forms such as ``bilstm`` included.
        n_seeds: trainings of each cell, from ``training.seed`` on.
        seconds: CPU seconds of each training; the steps that fit into it are found by a few trial steps.
        source: data to use instead of ``data.path``.
        watcher: progress and stop signals.

    Raises:
        ConfigError: settings that do not fit each other, the data or this machine.
        DataError: the data cannot be used, or nothing can be held back for a test.
        StoppedError: a signal came.
    """
    device = choose_device(config.runtime.device)
    set_precision(config.runtime.precision, device)
    _, read = resolve_and_part(config, read_data(config, source))
    tell_failures(_left_out(read.failures))
    panel = read.panel
    by_cell = {name: _alone(resolve(with_cell(config, name), panel)) for name in cells}
    any_config = by_cell[cells[0]]
    scores = _baseline_scores(panel, any_config)
    trials: list[Trial] = []
    for name in cells:
        resolved = by_cell[name]
        set_threads(resolved.runtime.threads, hidden_size=cast(int, resolved.model.hidden_size))
        # Timed in any case: the first of everything takes longer, and must not be charged to the first cell.
        cost = cpu_seconds_of(panel.drop_last(cast(int, resolved.split.test)), resolved, device=device)
        if seconds is not None:
            resolved = _within(resolved, name, seconds, cost)
        else:
            resolved = within_budget(panel.drop_last(cast(int, resolved.split.test)), resolved, device=device)
        for seed in range(config.training.seed, config.training.seed + n_seeds):
            trial = _trial(name, _with_seed(resolved, seed), panel, device=device, watcher=watcher)
            log.info("%s, seed %d: MASE %.3f, %.1f CPU s", name, seed, trial.mase, trial.seconds)
            trials.append(trial)
            if number := watcher.stop_signal() if watcher else None:
                raise StoppedError(f"comparison stopped by signal {number}; nothing is written.", number)
    return Comparison(
        horizon=any_config.horizon,
        season_lengths=cast(list[int], any_config.season_length),
        trials=trials,
        baselines={str(model): float(mase) for model, mase in scores.by_model["mase"].items()},
        n_series=scores.n_series,
        n_cutoffs=scores.n_cutoffs,
        failures=read.failures,
    )


def _left_out(failures: Sequence[Failure]) -> list[Failure]:
    """The series as they are told of: whatever would forecast them elsewhere, a comparison leaves them out."""
    return [replace(failure, forecast="") for failure in failures]


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Refuses before any work a folder that the comparison must not replace, or could not write.

    Raises:
        ConfigError: something else stands there, or a comparison that was not to be overwritten.
    """
    refuse_taken(path, ours=OURS, overwrite=overwrite)


def write(path: Path, found: Comparison, *, overwrite: bool) -> None:
    """Writes the folder, whole or not at all: ``trials.csv``, ``comparison.json`` and the pictures.

    Raises:
        ConfigError: the folder cannot be written, or must not be replaced.
        ResourceError: the disk is full.
    """
    check_folder(path, overwrite=overwrite)
    with replaced_folder(path, ours=OURS) as folder:
        write_text(folder / "trials.csv", _trials_table(found).to_csv(index=False, float_format="%.6g"))
        write_text(folder / "comparison.json", json.dumps(comparison_json(found), indent=2) + "\n")
        if found.failures:
            write_text(folder / FAILURES, failures_csv(_left_out(found.failures)))
        outcomes = {
            cell: [Outcome(trial.seconds, trial.mase, trial.history) for trial in trials]
            for cell, trials in found.by_cell.items()
        }
        plot_error_by_time(folder / "error_by_time.png", outcomes, reference=found.baselines[REFERENCE])
        curves = {cell: trials[0].gradient for cell, trials in found.by_cell.items()}
        seasons = [length for length in found.season_lengths if length > 1]
        plot_gradient(folder / "gradient.png", curves, season_lengths=seasons, whole_only=True)


def table(found: Comparison) -> str:
    """The table for people, with what its columns mean."""
    n_seeds = len(next(iter(found.by_cell.values())))
    heading = (
        f"Held-back part: {found.n_cutoffs} forecasts of {found.horizon} steps, {found.n_series} series; "
        f"{n_seeds} seed{'s' if n_seeds > 1 else ''}\n"
    )
    legend = (
        "MASE: median over the seeds, lowest and highest. skill: 1 - MASE / MASE of the seasonal naive.\n"
        "parameters: trained ones. CPU s: of one training. ms: of one forecast of one series.\n"
    )
    return "\n".join([heading, _lines(found), legend])


def verdict(found: Comparison) -> str:
    """Answers "LSTM or GRU, here?", or which of the compared cells, and says when that cannot be told."""
    medians = {cell: _median(trials, "mase") for cell, trials in found.by_cell.items()}
    ranked = sorted(medians, key=lambda cell: (math.isnan(medians[cell]), medians[cell]))
    asked = ["lstm", "gru"]
    question = "LSTM or GRU, here?"
    if not set(asked) <= set(medians):
        asked, question = ranked[:2], "Which cell, here?"
    if math.isnan(medians[ranked[0]]):
        return f"{question} That cannot be told: MASE is undefined, as the rows before the test never change."
    answer = _answer(found, sorted(asked, key=ranked.index))
    if ranked[0] not in asked:
        answer += f" The lowest median of all is that of {ranked[0]} ({medians[ranked[0]]:.3f})."
    reference = found.baselines[REFERENCE]
    if medians[ranked[0]] >= reference:
        answer += f" None beats the seasonal naive ({reference:.3f})."
    return f"{question} {answer}"


def comparison_json(found: Comparison) -> dict[str, Any]:
    """The table as plain numbers, with every trial."""
    return {
        "horizon": found.horizon,
        "n_series": found.n_series,
        "n_cutoffs": found.n_cutoffs,
        "failures": len(found.failures),
        "baselines": {name: _plain(mase) for name, mase in found.baselines.items()},
        "cells": {
            cell: {name: _plain(_median(trials, name)) for name in COLUMNS}
            | {"mase_lowest": _plain(_range(trials)[0]), "mase_highest": _plain(_range(trials)[1])}
            for cell, trials in found.by_cell.items()
        },
        "trials": _trials_table(found).replace({np.nan: None}).to_dict("records"),
        "verdict": verdict(found),
    }


def _trial(
    name: str, config: Config, panel: Panel, *, device: torch.device, watcher: Watcher | None
) -> Trial:
    """One training, scored on the test part, which it has not seen."""
    started = time.process_time()
    learned = learn(panel.drop_last(cast(int, config.split.test)), config, device=device, watcher=watcher)
    seconds = time.process_time() - started
    test = score_test(learned.model, panel, config)
    assert test is not None  # there are cutoffs: they were scored before
    own = test.scores.by_model.iloc[0]
    weights = (weight for weight in learned.model.network.parameters() if weight.requires_grad)
    return Trial(
        cell=name,
        seed=config.training.seed,
        mase=float(own["mase"]),
        skill=float(own["skill"]),
        parameters=sum(weight.numel() for weight in weights),
        steps=0 if learned.model.network.cell.reservoir else learned.fits[0].step,
        seconds=seconds,
        milliseconds=_milliseconds(learned.model, panel, config.horizon),
        history=learned.fits[0].history,
        gradient=_gradient(learned.model, panel),
    )


def _alone(config: Config) -> Config:
    """The config with a single network: cells are compared, and what pooling adds, it adds to each of them."""
    return config.model_copy(update={"model": config.model.model_copy(update={"ensemble": 1})})


def _with_seed(config: Config, seed: int) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})


def _baseline_scores(panel: Panel, config: Config) -> Scores:
    """Scores of the naive forecasts, from the cutoffs every cell will be scored at.

    Raises:
        DataError: nothing is held back for a test.
    """
    cutoffs = test_cutoffs(panel, config)
    if not len(cutoffs):
        raise DataError("split.test: nothing is held back for a test, so cells cannot be compared; raise it.")
    return score_with_baselines(panel, cutoffs, config, {})


def _within(config: Config, name: str, seconds: float, cost: tuple[float, float]) -> Config:
    """The config with as many training steps as fit into so many CPU seconds, validations included."""
    of_step, of_validation = cost
    if of_step == 0:
        log.info("%s is fitted in closed form: it has no steps to fit into a budget", name)
        return config
    of_step = of_step * (1 + trial_share(config))
    steps = int((seconds - (VALIDATIONS + 1) * of_validation) / of_step)
    if steps < VALIDATIONS:
        log.warning(
            "%s: %g CPU s are too few for %d steps of %.2g s with a validation each; it trains %d",
            *(name, seconds, VALIDATIONS, of_step, max(1, steps)),
        )
    steps = min(max(1, steps), MAX_UPDATES)
    return config.model_copy(update={"training": config.training.model_copy(update={"max_steps": steps})})


def _milliseconds(model: FittedModel, panel: Panel, horizon: int) -> float:
    """Wall time of one forecast of one series, median of a few after one to warm up."""
    cutoff = panel.last_cutoffs[:1]
    reader = model.reader(panel, horizon=horizon)
    taken = []
    for _ in range(TIMED_FORECASTS + 1):
        started = time.perf_counter()
        forecast_windows(model.network, reader, cutoff, horizon, precision=model.precision)
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[1:])


def _gradient(model: FittedModel, panel: Panel) -> GradientReach:
    """Of the top layer, over the newest windows of some series."""
    cutoffs = panel.last_cutoffs[np.flatnonzero(panel.lengths > 0)].evenly(GRADIENT_WINDOWS)
    batch = model.reader(panel, horizon=1).read(cutoffs, 1)
    views, _ = inspect_network(model.network.members[0], teacher_forced_inputs(model.features, batch, 1))
    reaches = [view.gradient for view in views if view.gradient is not None]
    return reaches[-1]


def _answer(found: Comparison, best_first: Sequence[str]) -> str:
    """Which of two cells, and whether the seeds allow to say so."""
    if len(best_first) < 2:
        return f"{best_first[0]} was the only one compared."
    better, other = (found.by_cell[cell] for cell in best_first)
    first, second = (f"{_median(trials, 'mase'):.3f} of {trials[0].cell}" for trials in (better, other))
    pair = f"MASE {first} against {second}"
    if len(better) == 1:
        return f"{pair}; one seed shows no spread, so compare with --seeds 3 or more."
    difference, by_chance = _difference([trial.mase for trial in better], [trial.mase for trial in other])
    seconds = {trials[0].cell: _median(trials, "seconds") for trials in (better, other)}
    quicker = min(seconds, key=lambda cell: seconds[cell])
    share = seconds[quicker] / max(seconds.values())
    faster = f" {quicker} trains in {100 * share:.0f} % of the time." if share < 0.9 else ""
    if difference > by_chance:
        sure = f"the means differ by {difference:.3f}, and seeds alone make up to {by_chance:.3f}"
        return f"{best_first[0]}: {pair} ({sure}).{faster}"
    return f"Either: {pair}; seeds alone make differences up to {by_chance:.3f}.{faster}"


def _difference(lower: Sequence[float], higher: Sequence[float]) -> tuple[float, float]:
    """How far two means lie apart, and how far they would by chance in 19 of 20 comparisons (Student's t)."""
    n = len(lower)
    variance = (statistics.variance(lower) + statistics.variance(higher)) / 2
    freedom = min(2 * n - 2, max(STUDENT))
    return statistics.mean(higher) - statistics.mean(lower), STUDENT[freedom] * math.sqrt(2 * variance / n)


def _median(trials: Sequence[Trial], name: str) -> float:
    return statistics.median(float(getattr(trial, name)) for trial in trials)


def _range(trials: Sequence[Trial]) -> tuple[float, float]:
    return min(trial.mase for trial in trials), max(trial.mase for trial in trials)


def _lines(found: Comparison) -> str:
    names = [*found.by_cell, REFERENCE]
    rows = list(found.by_cell.values())
    ranges = [f"{low:.3f} to {high:.3f}" for low, high in map(_range, rows)]
    columns = {
        "MASE": [*(f"{_median(row, 'mase'):.3f}" for row in rows), f"{found.baselines[REFERENCE]:.3f}"],
        "(seeds)": [*ranges, ""],
        "skill": [*(f"{_median(row, 'skill'):.3f}" for row in rows), ""],
        "parameters": [*(f"{row[0].parameters}" for row in rows), ""],
        "steps": [*(f"{_median(row, 'steps'):.0f}" if row[0].steps else "-" for row in rows), ""],
        "CPU s": [*(f"{_median(row, 'seconds'):.2f}" for row in rows), ""],
        "ms": [*(f"{_median(row, 'milliseconds'):.1f}" for row in rows), ""],
    }
    return aligned(names, columns)


def _trials_table(found: Comparison) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"cell": trial.cell, "seed": trial.seed, **{name: getattr(trial, name) for name in COLUMNS}}
            for trial in found.trials
        ]
    )


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
