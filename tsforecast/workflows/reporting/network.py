"""How the training of a run went, and what its network does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from tsforecast.config.words import printable
from tsforecast.pictures.charts import Chart, HeatMap, Line, heat_map, line_chart, shown_steps
from tsforecast.pictures.gates import GATE_NAMES
from tsforecast.pictures.report import Fact, Row, Table
from tsforecast.runs import Run
from tsforecast.workflows.reporting.files import HISTORY, LONGEST_TITLE, derived, table_of, told
from tsforecast.workflows.train import model_name

__all__ = ["gates_seen", "training"]

MOST_HEAT_MAPS = 12


def training(run: Run) -> dict[str, Any]:
    metrics = run.metrics or {}
    history = [json.loads(line) for line in run.files.get(HISTORY, b"").decode("utf-8").splitlines()]
    facts = [
        Fact("Cell", model_name(run.config)),
        Fact("Layers × units", f"{run.config.model.num_layers} × {run.config.model.hidden_size}"),
        Fact("Steps", f"{metrics['steps']:,}" if "steps" in metrics else "unknown"),
        Fact("Best step", _best_steps(metrics)),
        Fact(
            "Validation MASE",
            f"{metrics['validation_mase']:.3f}" if metrics.get("validation_mase") is not None else "none",
        ),
        Fact("Seconds", f"{metrics['seconds']:.1f}" if "seconds" in metrics else "unknown"),
        Fact("Seed", str(run.config.training.seed)),
    ]
    if metrics.get("members", 1) > 1:
        facts.insert(1, Fact("Networks", str(metrics["members"])))
    return {"training": _training_charts(history, metrics.get("best_step")), "training_facts": facts}


def _best_steps(metrics: Mapping[str, Any]) -> str:
    """The step whose weights are kept, of each network."""
    found = metrics.get("best_step")
    if found is None:
        return "unknown"
    return ", ".join(f"{step:,}" for step in (found if isinstance(found, list) else [found]))


def _training_charts(history: Sequence[Mapping[str, Any]], best_step: int | list[int] | None) -> list[Chart]:
    """Validation score and training loss over the steps; of a reservoir, over the ridge strengths tried."""
    courses = [
        [record for record in history if record.get("member") == member]
        for member in dict.fromkeys(record.get("member") for record in history)
    ]
    if max(map(len, courses), default=0) < 2:
        return []
    ticks = _ridge_ticks(courses[0]) if "ridge" in history[0] else None
    one = isinstance(best_step, int) and best_step in [record["step"] for record in history]
    titles = {
        "validation": "Validation MASE" + (" (dashed: the weights that are kept)" if one else ""),
        "loss": "Training loss",
    }
    charts = []
    for key, title in titles.items():
        look = "own" if key == "validation" else "ink"
        lines = [line for records in courses if (line := _course(records, key, look)) is not None]
        if lines:
            charts.append(
                line_chart(
                    title=title,
                    lines=lines,
                    x_ticks=ticks,
                    x_label="ridge strength" if ticks else "step",
                    marks=[float(cast(int, best_step))] if one else [],
                )
            )
    return charts


def _ridge_ticks(records: Sequence[Mapping[str, Any]]) -> dict[float, str]:
    ticks = {float(record["step"]): f"{record['ridge']:g}" for record in records}
    places = list(ticks)
    return {places[k]: ticks[places[k]] for k in shown_steps(len(places), 6)} if len(places) > 6 else ticks


def _course(records: Sequence[Mapping[str, Any]], key: str, look: str) -> Line | None:
    """A quantity over the steps of one training, None where it was hardly written."""
    found = [(record["step"], record[key]) for record in records if record[key] is not None]
    known = np.array(found, dtype=np.float64).reshape(-1, 2)
    known = known[np.isfinite(known[:, 1])]
    return Line(known[:, 0], known[:, 1], look) if len(known) > 1 else None


def gates_seen(run: Run) -> dict[str, Any]:
    """What the inspection below ``derived/`` saw, or nothing."""
    with told(run, "inspect"):
        content = derived(run, "inspect/reading.json")
        if content is None:
            return {}
        seen = json.loads(content)
        gates = table_of(derived(run, "inspect/gates.csv"), text=("direction", "ds"))
        of = (
            f"series {printable(seen['series'], longest=LONGEST_TITLE)}"
            if seen["series"]
            else _average_of(seen)
        )
        return {
            "gates": _layer_table(seen),
            "gates_notes": [
                f"What the network did while it read the newest {seen['lookback']} steps of {of}."
            ],
            "heat_maps": list(_heat_maps(gates)) if len(gates) else [],
        }


def _average_of(seen: Mapping[str, Any]) -> str:
    return f"{seen['n_series']:,} series, on average"


def _layer_table(seen: Mapping[str, Any]) -> Table:
    def steps(value: float | None) -> str:
        return "–" if value is None else f"{value:.0f}"

    rows = [
        Row(
            f"layer {layer['layer']}, {layer['direction']}",
            [
                steps(layer["memory_median"]),
                steps(layer["memory_longest"]),
                _saturation(layer["saturated_open"]),
                _saturation(layer["saturated_closed"]),
                steps(layer["gradient_faded_after"]),
            ],
        )
        for layer in seen["layers"]
    ]
    columns = ["memory, median", "longest", "gates held open", "held shut", "gradient gone after"]
    legend = [
        "memory: steps until a unit has lost half of what it held.",
        "gates held open, held shut: share of their values above 0.9, below 0.1.",
        "gradient gone after: steps back at which 1 % of it is left; – where more is left at the start of the window.",
    ]
    return Table("Layers", "layer", columns, rows, legend=legend)


def _saturation(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items()) or "–"


def _heat_maps(gates: pd.DataFrame) -> Iterator[HeatMap]:
    made = 0
    several = len(gates[["layer", "direction"]].drop_duplicates()) > 1
    for (layer, direction), rows in gates.groupby(["layer", "direction"], sort=True):
        for name in (name for name in GATE_NAMES if name in rows):
            if made == MOST_HEAT_MAPS or rows[name].isna().all():
                continue
            made += 1
            values = rows.pivot_table(index="unit", columns="step", values=name).to_numpy(np.float64)
            where = f", layer {layer} {direction}" if several else ""
            last = values.shape[1] - 1
            yield heat_map(
                f"{GATE_NAMES[name]}{where}",
                np.nan_to_num(values),
                signed=bool((values < 0).any()),
                x_ticks={0: f"{last} steps back", last: "newest"} if last else {0: "newest"},
            )
