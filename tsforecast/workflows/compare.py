"""The same data, splits, budget and seeds for several cells: which one to use here?"""

from __future__ import annotations

import json
import logging
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
import torch

from tsforecast.config.schema import CELLS_WITH, SHORT_FORMS, Cell, Config, ModelConfig
from tsforecast.config.words import nearest_word
from tsforecast.errors import ConfigError, DataError
from tsforecast.evaluation.scores import Scores, aligned
from tsforecast.features.auto import resolve
from tsforecast.forecasting.forecast import FittedModel, forecast_windows
from tsforecast.pictures.comparison import Outcome, plot_error_by_time
from tsforecast.pictures.gates import plot_gradient
from tsforecast.recurrent.inspection import GradientReach, inspect_network
from tsforecast.recurrent.rollout import teacher_forced_inputs
from tsforecast.runtime import choose_device, set_precision, set_threads
from tsforecast.series.panel import Panel
from tsforecast.storage.atomic import install_folder, output_errors, staging_folder, write_text
from tsforecast.training.fit import Watcher
from tsforecast.training.learn import VALIDATIONS, cpu_seconds_of, learn
from tsforecast.workflows.train import read_panel, score_test

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

TABLE = "comparison.json"
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
        steps: training steps done.
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
        config: resolved for the first cell; data, splits and horizon are the same for all.
        trials: cell by cell, seed by seed.
        baselines: MASE of the naive forecasts, by name.
        n_series: series that were scored.
        n_cutoffs: forecasts that were scored.
    """

    config: Config
    trials: list[Trial]
    baselines: dict[str, float]
    n_series: int
    n_cutoffs: int

    @property
    def by_cell(self) -> dict[str, list[Trial]]:
        found: dict[str, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.cell, []).append(trial)
        return found


def parse_cells(text: str) -> list[str]:
    """Names of cells from ``lstm,gru``.

    Raises:
        ConfigError: a name is no cell, stands twice, or there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = list(get_args(Cell))
    for name in names:
        if name not in known:
            near = nearest_word(name, known)
            hint = f" Did you mean {near!r}?" if near else ""
            raise ConfigError(f"--cells: {name!r} is not a known cell ({', '.join(known)}).{hint}")
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"--cells: {text!r} must name each cell once, such as lstm,gru.")
    return names


def with_cell(config: Config, name: str) -> Config:
    """The config with another cell: settings that cell does not have return to their defaults."""
    cell = SHORT_FORMS.get(name, name)
    kept = {
        key: value
        for key, value in config.model.model_dump().items()
        if key not in ("cell", "bidirectional") and cell in CELLS_WITH.get(key, (cell,))
    }
    if name == "esn":
        kept["dropout"] = 0.0
    return config.model_copy(update={"model": ModelConfig.model_validate({**kept, "cell": name})})


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
    panel, _ = read_panel(config, source)
    trials: list[Trial] = []
    for name in cells:
        resolved = resolve(with_cell(config, name), panel)
        set_threads(resolved.runtime.threads, hidden_size=cast(int, resolved.model.hidden_size))
        if seconds is not None:
            resolved = _within(resolved, panel, seconds, device=device)
        for seed in range(config.training.seed, config.training.seed + n_seeds):
            trial, scores = _trial(name, _with_seed(resolved, seed), panel, device=device, watcher=watcher)
            log.info("%s, seed %d: MASE %.3f, %.1f CPU s", name, seed, trial.mase, trial.seconds)
            trials.append(trial)
    naive = scores.by_model["mase"].iloc[1:]
    return Comparison(
        config=resolved,
        trials=trials,
        baselines={str(model): float(mase) for model, mase in naive.items()},
        n_series=scores.n_series,
        n_cutoffs=scores.n_cutoffs,
    )


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Refuses before any work a folder that the comparison must not replace.

    Raises:
        ConfigError: something else stands there, or a comparison that was not to be overwritten.
    """
    if path.exists() and not (path / TABLE).is_file():
        raise ConfigError(
            f"{path}: exists and is no comparison (no {TABLE}); name another folder with --out."
        )
    if path.exists() and not overwrite:
        raise ConfigError(
            f"{path}: exists already; use --overwrite to replace it, or --out for another folder."
        )


def write(path: Path, found: Comparison, *, overwrite: bool) -> None:
    """Writes the folder, whole or not at all: ``trials.csv``, ``comparison.json`` and the pictures.

    Raises:
        ConfigError: the folder cannot be written, or must not be replaced.
        ResourceError: the disk is full.
    """
    check_folder(path, overwrite=overwrite)
    with output_errors(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    with staging_folder(path) as folder:
        write_text(folder / "trials.csv", _trials_table(found).to_csv(index=False, float_format="%.6g"))
        write_text(folder / TABLE, json.dumps(comparison_json(found), indent=2) + "\n")
        outcomes = {
            cell: [Outcome(trial.seconds, trial.mase, trial.history) for trial in trials]
            for cell, trials in found.by_cell.items()
        }
        plot_error_by_time(folder / "error_by_time.png", outcomes, reference=found.baselines[REFERENCE])
        curves = {cell: trials[0].gradient for cell, trials in found.by_cell.items()}
        seasons = [length for length in cast(list[int], found.config.season_length) if length > 1]
        plot_gradient(folder / "gradient.png", curves, season_lengths=seasons, whole_only=True)
        install_folder(folder, path, replace=path.exists())


def table(found: Comparison) -> str:
    """The table for people, with what its columns mean."""
    n_seeds = len(next(iter(found.by_cell.values())))
    heading = (
        f"Held-back part: {found.n_cutoffs} forecasts of {found.config.horizon} steps, {found.n_series} series; "
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
    answer = _answer(found, sorted(asked, key=ranked.index))
    if ranked[0] not in asked:
        answer += f" The best of all was {ranked[0]} ({medians[ranked[0]]:.3f})."
    reference = found.baselines[REFERENCE]
    if not medians[ranked[0]] < reference:
        answer += f" None beats the seasonal naive ({reference:.3f})."
    return f"{question} {answer}"


def comparison_json(found: Comparison) -> dict[str, Any]:
    """The table as plain numbers, with every trial."""
    return {
        "horizon": found.config.horizon,
        "n_series": found.n_series,
        "n_cutoffs": found.n_cutoffs,
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
) -> tuple[Trial, Scores]:
    """One training, scored on the test part, which it has not seen."""
    started = time.process_time()
    learned = learn(panel.drop_last(cast(int, config.split.test)), config, device=device, watcher=watcher)
    seconds = time.process_time() - started
    test = score_test(learned.model, panel, config)
    if test is None:
        raise DataError("split.test: nothing is held back for a test, so cells cannot be compared; raise it.")
    own = test.scores.by_model.iloc[0]
    weights = (weight for weight in learned.model.network.parameters() if weight.requires_grad)
    trial = Trial(
        cell=name,
        seed=config.training.seed,
        mase=float(own["mase"]),
        skill=float(own["skill"]),
        parameters=sum(weight.numel() for weight in weights),
        steps=learned.fit.step,
        seconds=seconds,
        milliseconds=_milliseconds(learned.model, panel, config.horizon),
        history=learned.fit.history,
        gradient=_gradient(learned.model, panel),
    )
    return trial, test.scores


def _with_seed(config: Config, seed: int) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})


def _within(config: Config, panel: Panel, seconds: float, *, device: torch.device) -> Config:
    """The config with as many training steps as fit into so many CPU seconds, validations included."""
    known = panel.drop_last(cast(int, config.split.test))
    of_step, of_validation = cpu_seconds_of(known, config, device=device)
    if of_step == 0:
        return config
    steps = max(1, int((seconds - (VALIDATIONS + 1) * of_validation) / of_step))
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
    views, _ = inspect_network(model.network, teacher_forced_inputs(model.features, batch, 1))
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
    if _range(better)[1] < _range(other)[0]:
        return f"{best_first[0]}: {pair}, further apart than the seeds."
    seconds = {trials[0].cell: _median(trials, "seconds") for trials in (better, other)}
    quicker = min(seconds, key=lambda cell: seconds[cell])
    share = seconds[quicker] / max(seconds.values())
    faster = f"; {quicker} trains in {100 * share:.0f} % of the time" if share < 0.9 else ""
    return f"Either: {pair} lies within the spread over the seeds{faster}."


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
        "skill": [*(f"{_median(row, 'skill'):.3f}" for row in rows), "0.000"],
        "parameters": [*(f"{row[0].parameters}" for row in rows), ""],
        "steps": [*(f"{_median(row, 'steps'):.0f}" for row in rows), ""],
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
