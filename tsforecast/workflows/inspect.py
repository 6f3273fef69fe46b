"""Looking into a run's network while it reads: the measured arrays, pictures of them, and a short reading in words."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError
from tsforecast.pictures.gates import SeriesAbove, plot_gates, plot_gradient, plot_memory, plot_memory_line
from tsforecast.recurrent.inspection import LayerView, inspect_network, steps_until_faded
from tsforecast.recurrent.rollout import teacher_forced_inputs
from tsforecast.series.panel import Cutoffs, Panel
from tsforecast.storage.atomic import output_errors, write_text
from tsforecast.workflows.predict import LoadedRun

__all__ = ["Inspection", "inspect", "reading", "reading_json", "write"]

log = logging.getLogger(__name__)

# Series an average is taken over; more of them change no picture.
MAX_SERIES = 256
GATE_WORDS = {"i": "input", "f": "forget", "o": "output", "r": "reset", "z": "update"}


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What was seen in one window, or on average over the newest windows of many series.

    Attributes:
        config: of the run.
        cell: name of the network, as in ``model.json``.
        above: what it read.
        n_series: series the views are averaged over.
        views: one per layer and direction.
        difference: largest difference between the instrumented pass and the one that forecasts.
    """

    config: Config
    cell: str
    above: SeriesAbove
    n_series: int
    views: list[LayerView]
    difference: float

    @property
    def lookback(self) -> int:
        return cast(int, self.config.lookback)

    @property
    def season_lengths(self) -> list[int]:
        return cast(list[int], self.config.season_length)


def inspect(run: LoadedRun, *, series: str | None = None) -> Inspection:
    """Reads the newest window of a series, or of many, with the instrumented pass.

    Args:
        run: the loaded run; its kept rows are read.
        series: ``unique_id`` of one series; None averages over the series, evenly chosen where there are many.

    Raises:
        ConfigError: the run has no such series.
    """
    panel = run.tail
    cutoffs = _cutoffs(panel, series)
    features, network = run.model.features, run.model.network
    batch = run.model.reader(panel, horizon=1).read(cutoffs, 1)
    views, difference = inspect_network(network, teacher_forced_inputs(features, batch, 1))
    log.debug("the instrumented pass differs from the forecasting one by at most %.1e", difference)
    observed = batch.observed[:, -features.lookback :].cpu().numpy() > 0
    if len(cutoffs) == 1:
        values = batch.unscaled(batch.values)[0, -features.lookback :].cpu().numpy()
        position = int(panel.positions(cutoffs)[0])
        ds = panel.axis.timestamps(np.arange(position - features.lookback + 1, position + 1))
        target = run.config.data.target
        names = [target if isinstance(target, str) else "", run.model.transform.text]
        y_label = ", ".join(
            filter(None, names)
        )  # what the network reads, scaled back but not transformed back
        title = panel.unique_ids[cutoffs.series[0]]
        above = SeriesAbove(title, ds, np.where(observed[0], values, np.nan), y_label)
    else:
        scaled = np.where(observed, batch.values[:, -features.lookback :].cpu().numpy(), np.nan)
        known = observed.any(axis=0)
        mean = np.full(features.lookback, np.nan)
        mean[known] = np.nanmean(scaled[:, known], axis=0)
        title = f"average of {len(cutoffs)} series"
        above = SeriesAbove(
            title, np.arange(1 - features.lookback, 1), mean, "mean, scaled", "steps before the cutoff"
        )
    cell = ("bi" if network.bidirectional else "") + run.config.model.cell
    return Inspection(run.config, cell, above, len(cutoffs), views, difference)


def _cutoffs(panel: Panel, series: str | None) -> Cutoffs:
    """The newest cutoff of one series, or of many."""
    if series is None:
        return panel.last_cutoffs[np.flatnonzero(panel.lengths > 0)].evenly(MAX_SERIES)
    if series not in panel.unique_ids:
        near = get_close_matches(series, panel.unique_ids, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else f" The first is {panel.unique_ids[0]!r}."
        raise ConfigError(f"--series: {series!r} is not one of the run's {panel.n_series} series.{hint}")
    return panel.last_cutoffs[np.array([panel.unique_ids.index(series)])]


def reading(seen: Inspection) -> str:
    """What the arrays say, in a few lines."""
    model = seen.config.model
    layers = f"{model.num_layers} layer{'s' if model.num_layers > 1 else ''} of {model.hidden_size} units"
    of = f"series {seen.above.title!r}" if seen.n_series == 1 else seen.above.title
    lines = [f"{seen.cell}, {layers}; {of}, window of {_steps(seen.lookback)}"]
    for view in seen.views:
        name = (
            f"layer {view.layer + 1}{', backward' if view.backward else ''}: " if len(seen.views) > 1 else ""
        )
        lines += [name + sentence for sentence in _sentences(seen, view)]
    return "\n".join([*lines, *_season_sentences(seen)]) + "\n"


def reading_json(seen: Inspection) -> dict[str, Any]:
    """The same as plain numbers."""
    return {
        "cell": seen.cell,
        "series": seen.above.title if seen.n_series == 1 else None,
        "n_series": seen.n_series,
        "lookback": seen.lookback,
        "season_length": seen.season_lengths,
        "difference_from_forecasting_pass": seen.difference,
        "layers": [_layer_json(seen, view) for view in seen.views],
    }


def write(folder: Path, seen: Inspection) -> list[Path]:
    """Writes ``gates.csv``, ``units.csv``, ``gradient.csv`` and the pictures, and returns their paths.

    Raises:
        ConfigError: the folder cannot be written.
        ResourceError: the disk is full.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    tables = {"gates": _gate_table(seen), "units": _unit_table(seen), "gradient": _gradient_table(seen)}
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        write_text(paths[-1], table.to_csv(index=False, float_format="%.6g"))
    for view in seen.views:
        name = f"layer{view.layer + 1}{'_backward' if view.backward else ''}"
        paths += [folder / f"gates_{name}.png", folder / f"memory_line_{name}.png"]
        plot_gates(paths[-2], seen.above, view)
        plot_memory_line(paths[-1], seen.above, view)
    with_memory = [view for view in seen.views if view.memory is not None]
    if with_memory:
        paths.append(folder / "memory.png")
        plot_memory(paths[-1], with_memory, lookback=seen.lookback)
    paths.append(folder / "gradient.png")
    curves = {f"layer {v.layer + 1}": v.gradient for v in seen.views if v.gradient is not None}
    plot_gradient(paths[-1], curves, season_lengths=[length for length in seen.season_lengths if length > 1])
    return paths


def _sentences(seen: Inspection, view: LayerView) -> list[str]:
    found = []
    if view.memory is None:
        found.append("no gates: a plain rnn keeps only what its recurrent weights carry on")
    else:
        middle, longest = float(view.memory.quantile(0.5)), float(view.memory.max())
        found.append(
            f"unit memory: median {_length(middle, seen.lookback)}, longest {_length(longest, seen.lookback)}"
        )
        names = [name for name in GATE_WORDS if name in view.open]
        for state, shares in (("open", view.open), ("closed", view.closed)):
            gates = ", ".join(f"{_percent(shares[name])} of {GATE_WORDS[name]} gates" for name in names)
            found += [f"saturated {state}: {gates}"] if gates else []
    if view.gradient is not None:
        found.append(_gradient_sentence(view.gradient.norms["state"], seen.lookback))
    return found


def _gradient_sentence(norms: torch.Tensor, lookback: int) -> str:
    faded = steps_until_faded(norms)
    peak = float(norms.max())
    grown = f"; on the way it grows to {peak:.3g} times its start" if peak > 2 else ""
    if faded is None:
        left = f"{100 * float(norms[-1]):.2g} %"
        return f"gradient: {left} of it is left at the start of the window, {_steps(lookback)} back{grown}"
    return f"gradient falls to 1 % after {_steps(faded)}{grown}"


def _season_sentences(seen: Inspection) -> list[str]:
    """Whether the network itself reaches back a season, and what it has instead."""
    top = [view.gradient for view in seen.views if view.gradient is not None][-1]
    faded = steps_until_faded(top.norms["state"])
    lags = cast(list[int], seen.config.model.lags)
    sentences = []
    for season in (length for length in seen.season_lengths if length > 1):
        if season <= seen.lookback and (faded is None or season < faded):
            sentences.append(f"your season is {season}: the net reaches it through its state")
            continue
        why = "the window is shorter" if season > seen.lookback else "the net does not reach it"
        instead = (
            "only the seasonal lag input shows it"
            if season in lags
            else "no lag input shows it: add it to model.lags"
        )
        sentences.append(f"your season is {season}: {why}, {instead}")
    return sentences


def _length(steps: float, lookback: int) -> str:
    return f"≥ {lookback} steps (the window)" if steps > lookback else _steps(round(steps))


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"


def _percent(share: torch.Tensor) -> str:
    return f"{100 * float(share.mean()):.0f} %"


def _layer_json(seen: Inspection, view: LayerView) -> dict[str, Any]:
    norms = None if view.gradient is None else view.gradient.norms["state"]
    memory = None if view.memory is None else view.memory.clamp(max=seen.lookback)
    return {
        "layer": view.layer + 1,
        "direction": _direction(view),
        "memory_median": None if memory is None else float(memory.quantile(0.5)),
        "memory_longest": None if memory is None else float(memory.max()),
        "units_beyond_window": None if view.memory is None else int((view.memory > seen.lookback).sum()),
        "saturated_open": {name: float(share.mean()) for name, share in view.open.items()},
        "saturated_closed": {name: float(share.mean()) for name, share in view.closed.items()},
        "gradient_faded_after": None if norms is None else steps_until_faded(norms),
        "gradient_at_window_start": None if norms is None else float(norms[-1]),
    }


def _direction(view: LayerView) -> str:
    return "backward" if view.backward else "forward"


def _gate_table(seen: Inspection) -> pd.DataFrame:
    """One row per layer, direction, step and unit."""
    frames = []
    for view in seen.views:
        arrays = {**view.gates, **view.states}
        if view.erased is not None and view.written is not None:
            arrays |= {"erased": view.erased, "written": view.written}
        time, hidden = next(iter(arrays.values())).shape
        columns: dict[str, Any] = {
            "layer": view.layer + 1,
            "direction": _direction(view),
            "step": np.repeat(np.arange(1 - time, 1), hidden),
        }
        if seen.n_series == 1:
            columns["ds"] = np.repeat(np.asarray(seen.above.ds.astype(str)), hidden)
        columns["unit"] = np.tile(np.arange(hidden), time)
        frames.append(
            pd.DataFrame({**columns, **{name: values.numpy().ravel() for name, values in arrays.items()}})
        )
    return pd.concat(frames, ignore_index=True)


def _unit_table(seen: Inspection) -> pd.DataFrame:
    """One row per layer, direction and unit: memory length and saturation."""
    frames = []
    for view in seen.views:
        hidden = next(iter(view.states.values())).shape[1]
        columns: dict[str, Any] = {
            "layer": view.layer + 1,
            "direction": _direction(view),
            "unit": np.arange(hidden),
        }
        if view.memory is not None:
            columns["memory_length"] = view.memory.clamp(max=seen.lookback).numpy()
            columns["beyond_window"] = (view.memory > seen.lookback).numpy()
        for name in view.closed:
            columns[f"{name}_closed"] = view.closed[name].numpy()
            columns[f"{name}_open"] = view.open[name].numpy()
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _gradient_table(seen: Inspection) -> pd.DataFrame:
    """One row per layer and number of steps back; forward direction."""
    frames = []
    for view in seen.views:
        if view.gradient is not None:
            norms = {f"norm_{name}": values.numpy() for name, values in view.gradient.norms.items()}
            steps = np.arange(len(next(iter(norms.values()))))
            frames.append(pd.DataFrame({"layer": view.layer + 1, "steps_back": steps, **norms}))
    return pd.concat(frames, ignore_index=True)
