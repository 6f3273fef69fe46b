"""Looking into a run's network while it reads: the measured arrays, pictures of them, and a short reading in words."""

from __future__ import annotations

import json
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
from tsforecast.features.calendar import shows_season
from tsforecast.features.windows import Batch
from tsforecast.pictures.gates import (
    GATE_NAMES,
    SeriesAbove,
    plot_gates,
    plot_gradient,
    plot_memory,
    plot_memory_line,
)
from tsforecast.recurrent.inspection import (
    FADED,
    LayerView,
    input_influence,
    inspect_network,
    steps_until_faded,
    windows_that_fit,
)
from tsforecast.recurrent.rollout import teacher_forced_inputs
from tsforecast.series.panel import Cutoffs, FloatArray, Panel
from tsforecast.storage.atomic import replaced_folder, write_text
from tsforecast.workflows.predict import LoadedRun
from tsforecast.workflows.train import model_name

__all__ = ["Inspection", "inspect", "reading", "reading_json", "write"]

log = logging.getLogger(__name__)

# Series an average is taken over; more of them change no picture.
MAX_SERIES = 256
MARKER = "reading.json"
OURS = (
    MARKER,
    "gates*.csv",
    "units.csv",
    "gradient.csv",
    "influence.csv",
    "gates_layer*.png",
    "memory*.png",
    "gradient.png",
)


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
        influence: of the value read so many steps before the last on what the head sees, ``(lookback,)``.
        n_padded: steps of the window before the series begins, where one is looked at.
        calendar_seasons: season lengths that the calendar inputs show.
    """

    config: Config
    cell: str
    above: SeriesAbove
    n_series: int
    views: list[LayerView]
    difference: float
    influence: FloatArray
    n_padded: int
    calendar_seasons: list[int]

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

    Of an ensemble the first network is inspected.

    Raises:
        ConfigError: the run has no such series.
    """
    panel, model, config = run.tail, run.model, run.config
    network = model.network.members[0]  # several are alike in what they are, not in what they learned
    cutoffs = _cutoffs(panel, series, most=windows_that_fit(network, model.features.lookback))
    batch = model.reader(panel, horizon=1).read(cutoffs, 1)
    x = teacher_forced_inputs(model.features, batch, 1)
    views, difference = inspect_network(network, x)
    log.debug("the instrumented pass differs from the forecasting one by at most %.1e", difference)
    seasons, calendar = cast(list[int], config.season_length), cast(list[str], config.data.calendar)
    above = (_one_above if len(cutoffs) == 1 else _average_above)(run, cutoffs, batch)
    return Inspection(
        config=config,
        cell=model_name(config),
        above=above,
        n_series=len(cutoffs),
        views=views,
        difference=difference,
        influence=input_influence(network, x).double().numpy(),
        n_padded=int(np.isnan(above.y).sum()) if len(cutoffs) == 1 else 0,
        calendar_seasons=[length for length in seasons if shows_season(panel.axis, calendar, length)],
    )


def _one_above(run: LoadedRun, cutoffs: Cutoffs, batch: Batch) -> SeriesAbove:
    """The window of one series in the unit of the data."""
    lookback, panel = run.model.features.lookback, run.tail
    observed = batch.observed[0, -lookback:].cpu().numpy() > 0
    values = batch.unscaled(batch.values)[0, -lookback:].cpu().numpy()
    position = int(panel.positions(cutoffs)[0])
    target = run.config.data.target
    # Scaled back, but not transformed back: what the network reads.
    names = [target if isinstance(target, str) else "", run.model.transform.text]
    return SeriesAbove(
        title=panel.unique_ids[cutoffs.series[0]],
        ds=panel.axis.timestamps(np.arange(position - lookback + 1, position + 1)),
        y=np.where(observed, values, np.nan),
        y_label=", ".join(filter(None, names)),
    )


def _average_above(run: LoadedRun, cutoffs: Cutoffs, batch: Batch) -> SeriesAbove:
    """The mean of many windows, each on its own scale."""
    lookback = run.model.features.lookback
    observed = batch.observed[:, -lookback:].cpu().numpy() > 0
    values = np.where(observed, batch.values[:, -lookback:].cpu().numpy(), 0.0)
    count = observed.sum(axis=0)
    return SeriesAbove(
        title=f"average of {len(cutoffs)} series",
        ds=np.arange(1 - lookback, 1),
        y=np.where(count > 0, values.sum(axis=0) / np.maximum(count, 1), np.nan),
        y_label="mean, scaled",
        x_label="steps before the cutoff",
    )


def _cutoffs(panel: Panel, series: str | None, *, most: int) -> Cutoffs:
    """The newest cutoff of one series, or of many."""
    if series is None:
        return panel.last_cutoffs[np.flatnonzero(panel.lengths > 0)].evenly(min(MAX_SERIES, most))
    if series not in panel.unique_ids:
        near = get_close_matches(series, panel.unique_ids, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else f" The first is {panel.unique_ids[0]!r}."
        raise ConfigError(f"--series: {series!r} is not one of the run's {panel.n_series} series.{hint}")
    return panel.last_cutoffs[np.array([panel.unique_ids.index(series)])]


def reading(seen: Inspection) -> str:
    """What the arrays say, in a few lines."""
    model = seen.config.model
    layers = f"{_count(model.num_layers, 'layer')} of {_count(cast(int, model.hidden_size), 'unit')}"
    of = f"series {seen.above.title!r}" if seen.n_series == 1 else seen.above.title
    padded = f", {_steps(seen.n_padded)} of it before the series begins" if seen.n_padded else ""
    lines = [f"{seen.cell}, {layers}; {of}, window of {_steps(seen.lookback)}{padded}"]
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
        "n_padded": seen.n_padded,
        "difference_from_forecasting_pass": seen.difference,
        "influence_of_season_ago": {
            str(season): _influence(seen, season) for season in seen.season_lengths if season > 1
        },
        "layers": [_layer_json(seen, view) for view in seen.views],
    }


def write(folder: Path, seen: Inspection) -> list[Path]:
    """Writes tables, pictures and the reading as a folder, in the place of an earlier inspection there.

    Returns:
        Paths of the files.

    Raises:
        ConfigError: the folder cannot be written, or holds what is not an inspection's.
        ResourceError: the disk is full.
    """
    tables = {
        "gates.csv": _gate_table(seen),
        "units.csv": _unit_table(seen),
        "gradient.csv": _gradient_table(seen),
        "influence.csv": pd.DataFrame({"steps_back": range(seen.lookback), "influence": seen.influence}),
    }
    with replaced_folder(folder, ours=OURS) as new:
        for name, table in tables.items():
            write_text(new / name, table.to_csv(index=False, float_format="%.6g"))
        names = [*tables, *_draw(new, seen), MARKER]
        document = {**reading_json(seen), "files": names}
        write_text(new / MARKER, json.dumps(document, indent=2) + "\n")
    return [folder / name for name in names]


def _draw(folder: Path, seen: Inspection) -> list[str]:
    """The pictures; returns their names."""
    names = []
    for view in seen.views:
        name = f"layer{view.layer + 1}{'_backward' if view.backward else ''}.png"
        names += [f"gates_{name}", f"memory_line_{name}"]
        plot_gates(folder / names[-2], seen.above, view)
        plot_memory_line(folder / names[-1], seen.above, view)
    with_memory = [view for view in seen.views if view.memory is not None]
    if with_memory:
        names.append("memory.png")
        plot_memory(folder / names[-1], with_memory, lookback=seen.lookback)
    names.append("gradient.png")
    curves = {f"layer {v.layer + 1}": v.gradient for v in seen.views if v.gradient is not None}
    seasons = [length for length in seen.season_lengths if length > 1]
    plot_gradient(folder / names[-1], curves, season_lengths=seasons, influence=seen.influence)
    return names


def _sentences(seen: Inspection, view: LayerView) -> list[str]:
    found = []
    if view.memory is None:
        found.append("no gates: a plain rnn keeps only what its recurrent weights carry on")
    else:
        middle, longest = float(view.memory.quantile(0.5)), float(view.memory.max())
        found.append(
            f"unit memory: median {_length(middle, seen.lookback)}, longest {_length(longest, seen.lookback)}"
        )
        names = [name for name in GATE_NAMES if name in view.open and _word(name) != "share"]
        for state, shares in (("open", view.open), ("closed", view.closed)):
            gates = ", ".join(f"{_percent(shares[name])} of {_word(name)} gates" for name in names)
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
    """Whether the net itself still knows the value of a season ago, and what shows it instead."""
    lags = cast(list[int], seen.config.model.lags)
    sentences = []
    for season in (length for length in seen.season_lengths if length > 1):
        influence = _influence(seen, season)
        shown = [
            name
            for name, has in (("lag input", season in lags), ("calendar", season in seen.calendar_seasons))
            if has
        ]
        instead = f"; the {' and the '.join(shown)} show{'s' * (len(shown) == 1)} it" if shown else ""
        if influence is None:
            text = f"the window of {_steps(seen.lookback)} is shorter, so the net does not reach it"
        elif influence < FADED:
            text = f"the net does not reach it ({100 * influence:.2g} % of the strongest influence is left)"
        else:
            text = f"the net reaches it ({100 * influence:.2g} % of the strongest influence is left)"
        missing = (
            "" if shown or (influence or 0) >= FADED else "; nothing else shows it: add it to model.lags"
        )
        sentences.append(f"your season is {season}: {text}{instead}{missing}")
    return sentences


def _influence(seen: Inspection, season: int) -> float | None:
    """Of the value one season before the step to forecast; None where the window does not hold it."""
    return float(seen.influence[season - 1]) if season <= seen.lookback else None


def _length(steps: float, lookback: int) -> str:
    return f"≥ {_steps(lookback)} (the window)" if steps > lookback else _steps(round(steps))


def _steps(count: int) -> str:
    return _count(count, "step")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _word(name: str) -> str:
    """``forget`` for the forget gate f."""
    return GATE_NAMES[name].split()[0]


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
