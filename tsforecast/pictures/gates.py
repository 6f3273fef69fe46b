"""Pictures of a network at work: gates under the series, the memory line, memory lengths, the reach of the gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tsforecast.config.words import printable
from tsforecast.pictures.figure import (
    BLUE,
    INK,
    MANY_LINES,
    MUTED,
    OTHER_LINES,
    axis_times,
    drawing,
    legend_below,
    set_time_axis,
    whole_numbers,
)
from tsforecast.recurrent.inspection import CLOSED, FADED, OPEN, GradientReach, LayerView
from tsforecast.series.panel import FloatArray
from tsforecast.series.timeaxis import TimeIndex

__all__ = ["GATE_NAMES", "SeriesAbove", "plot_gates", "plot_gradient", "plot_memory", "plot_memory_line"]

GATE_NAMES: Mapping[str, str] = {
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "g": "candidate g",
    "r": "reset gate r",
    "z": "update gate z",
    "n": "candidate n",
    "kept": "share that is kept",
    "h": "hidden state h",
    "c": "cell state c",
}
# In the order of the textbook drawing.
ORDER = ("f", "kept", "r", "i", "z", "g", "n", "o", "c", "h")
FLAT = 1e-12  # a gradient smaller than this is drawn here
LINES_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class SeriesAbove:
    """What the network read, to be drawn above what it did.

    Attributes:
        title: of the picture.
        ds: timestamps of the window's steps, or steps before the cutoff where several series are averaged.
        y: values, NaN where there is none, ``(time,)``.
        y_label: name of the values.
        x_label: what is said below the time axis.
    """

    title: str
    ds: TimeIndex
    y: FloatArray
    y_label: str = ""
    x_label: str = ""


def plot_gates(path: Path, above: SeriesAbove, view: LayerView) -> None:
    """Draws gates and states of one layer as heat maps, units × time, under the series.

    Units with the longest memory are on top.

    Raises:
        ConfigError: the file cannot be written.
    """
    maps = {**view.gates, **view.states}
    rows = [
        (GATE_NAMES[name], _arranged(maps[name], view), name in view.closed) for name in ORDER if name in maps
    ]
    _plot_maps(path, above, rows, heading="gates and states")


def plot_memory_line(path: Path, above: SeriesAbove, view: LayerView) -> None:
    """Draws the memory line of one layer: what it held after each step, what the step erased and what it wrote.

    Raises:
        ConfigError: the file cannot be written.
    """
    name = "c" if "c" in view.states else "h"
    rows = [(GATE_NAMES[name], _arranged(view.states[name], view), False)]
    if view.erased is not None and view.written is not None:
        rows.append(("erased", _arranged(view.erased, view), False))
        rows.append(("written", _arranged(view.written, view), False))
    _plot_maps(
        path, above, rows, heading="memory line", lines=lambda axes: _draw_lines(axes, above, view, name)
    )


def plot_memory(path: Path, views: Sequence[LayerView], *, lookback: int) -> None:
    """Draws the memory length of each unit, sorted, and how far each gate is saturated.

    Args:
        path: file to write.
        views: layers with a keeping gate.
        lookback: steps of the window; a longer memory is drawn at its edge.

    Raises:
        ConfigError: the file cannot be written.
    """
    with drawing(path, width=10, height=0.8 + 2.7 * len(views)) as figure:
        grid = figure.subplots(len(views), 2, squeeze=False, width_ratios=[1.3, 1])
        for (left, right), view in zip(grid, views, strict=True):
            _draw_memory(left, view, lookback)
            _draw_saturation(right, view)
        legend_below(figure, grid[0, 1])


def plot_gradient(
    path: Path,
    curves: Mapping[str, GradientReach],
    *,
    season_lengths: Sequence[int] = (),
    influence: FloatArray | None = None,
    whole_only: bool = False,
) -> None:
    """Draws how much the last state depends on the state some steps earlier, on a logarithmic axis.

    Args:
        path: file to write.
        curves: by name; of the layers of one network, or of several networks side by side.
        season_lengths: marked where they lie in the picture.
        influence: of the value read so many steps back on what the head sees, through all layers.
        whole_only: leave out the parts h and c.

    Raises:
        ConfigError: the file cannot be written.
    """
    with drawing(path, width=9, height=5) as figure:
        axes = figure.subplots()
        for (name, reach), (color, dashes) in zip(curves.items(), cycle(MANY_LINES), strict=False):
            parts = ["state"] if whole_only or len(reach.norms) < 3 else ["state", "c", "h"]
            for part, width in zip(parts, (2.0, 1.2, 0.8), strict=False):
                values = reach.norms[part].numpy().clip(min=FLAT)
                label = name if part == "state" else f"{name}, {GATE_NAMES[part].split()[0]} state alone"
                style: Any = dashes if part == "state" else {"c": (0, (5, 2)), "h": (0, (1, 1.5))}[part]
                axes.plot(
                    np.arange(len(values)), values, color=color, linestyle=style, linewidth=width, label=label
                )
        if influence is not None:
            label = "value read, on what the head sees"
            axes.plot(influence.clip(min=FLAT), color=INK, linewidth=1.4, linestyle=(0, (3, 1)), label=label)
        longest = max(len(reach.norms["state"]) for reach in curves.values()) - 1
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlim(0, longest)
        axes.set_ylim(bottom=min(0.5 * FADED, axes.get_ylim()[0]))
        axes.axhline(FADED, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            "1 %", (1, FADED), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=MUTED
        )
        for season in season_lengths:
            if season <= longest:
                axes.axvline(season, color=MUTED, linewidth=0.9, zorder=1)
                axes.annotate(
                    f"season {season}", (season, 1), xycoords=("data", "axes fraction"), rotation=90,
                    ha="right", va="top", color=MUTED, size=8,
                )  # fmt: skip
        axes.set_title("How far back the gradient reaches", pad=10)
        axes.set_xlabel("steps back from the cutoff")
        axes.set_ylabel("norm of the Jacobian, 1 at 0 steps")
        axes.xaxis.set_major_locator(whole_numbers(12))
        legend_below(figure, axes)


def _plot_maps(
    path: Path,
    above: SeriesAbove,
    rows: Sequence[tuple[str, FloatArray, bool]],
    *,
    heading: str,
    lines: Callable[[Axes], None] | None = None,
) -> None:
    """Heat maps under the series, with a panel of lines between where there is something to draw on it."""
    between = [1.3] if lines else []
    with drawing(path, width=10, height=2.3 + 1.5 * (len(between) + len(rows))) as figure:
        ratios = [1, *between, *[1.2] * len(rows)]
        axes = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
        _draw_series(axes[0], above, heading=heading)
        if lines:
            lines(axes[1])
        for axis, (title, values, is_gate) in zip(axes[1 + len(between) :], rows, strict=True):
            _draw_map(figure, axis, above, title, values, is_gate=is_gate)
        axes[-1].set_xlabel(above.x_label)


def _draw_series(axes: Axes, above: SeriesAbove, *, heading: str) -> None:
    set_time_axis(axes, above.ds, max_ticks=9)
    axes.plot(axis_times(above.ds), above.y, color=INK, linewidth=1.2, marker="o" if len(above.y) < 3 else "")
    axes.set_xlim(*_edges(above.ds)[[0, -1]])
    axes.set_title(printable(f"{above.title}: {heading}", longest=90))
    axes.set_ylabel(printable(above.y_label, longest=20))


def _draw_map(
    figure: Figure, axes: Axes, above: SeriesAbove, title: str, values: FloatArray, *, is_gate: bool
) -> None:
    """One heat map; gates from closed (white) to open, other values from negative to positive."""
    limit = float(np.abs(values).max()) or 1.0
    look: dict[str, Any] = (
        {"cmap": "Blues", "vmin": 0, "vmax": 1}
        if is_gate
        else {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    )
    units = np.arange(values.shape[1] + 1) - 0.5
    mesh = axes.pcolormesh(_edges(above.ds), units, values.T, rasterized=True, **look)
    axes.grid(visible=False)
    axes.set_title(title, size=10)
    axes.set_ylabel("unit")
    axes.set_yticks([])
    axes.invert_yaxis()
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=12)
    bar.outline.set_visible(False)


def _edges(ds: TimeIndex) -> npt.NDArray[Any]:
    """Where the cells of a heat map begin and end in time: half-way between the steps, ``(time + 1,)``."""
    at = axis_times(ds)
    if at.dtype.kind == "M":
        at = at.astype("datetime64[us]")
    one = np.timedelta64(1, "D") if at.dtype.kind == "M" else 1.0
    widths = np.diff(at) if len(at) > 1 else np.array([one])
    if at.dtype.kind == "M":
        halves = widths.astype("timedelta64[us]") // 2
    else:
        halves = widths / 2
    inner = at[:-1] + halves if len(at) > 1 else at[:0]
    return np.concatenate([[at[0] - halves[0]], inner, [at[-1] + halves[-1]]])


def _draw_lines(axes: Axes, above: SeriesAbove, view: LayerView, name: str) -> None:
    """The line of every unit in grey, those with the longest memory in colour."""
    values = _arranged(view.states[name], view)
    at = axis_times(above.ds)
    marker = "o" if len(values) < 3 else ""
    axes.plot(at, values, color="#d5d9de", linewidth=0.7, marker=marker)
    order = _order(view)
    looks = [(BLUE, "-"), *OTHER_LINES]
    for k, (color, dashes) in zip(range(min(LINES_SHOWN, values.shape[1])), looks, strict=False):
        axes.plot(
            at,
            values[:, k],
            color=color,
            linestyle=dashes,
            linewidth=1.4,
            marker=marker,
            label=f"unit {order[k]}",
        )
    axes.set_title(f"{GATE_NAMES[name]} of each unit", size=10)
    axes.legend(loc="upper left", ncols=LINES_SHOWN, fontsize=8)


def _draw_memory(axes: Axes, view: LayerView, lookback: int) -> None:
    assert view.memory is not None
    lengths = np.sort(view.memory.numpy())[::-1]
    beyond = lengths > lookback
    units = np.arange(len(lengths))
    shown = np.minimum(lengths, lookback)
    axes.vlines(units, 0, shown, color="#b9d4ec", linewidth=1.5)
    axes.plot(units[~beyond], shown[~beyond], "o", color=BLUE, markersize=3)
    axes.plot(units[beyond], shown[beyond], "^", color="#d9822b", markersize=4)
    if beyond.any():
        axes.annotate(
            f"{int(beyond.sum())} of {len(lengths)} units: the whole window or longer",
            (1, 1), xycoords="axes fraction", ha="right", va="bottom", color="#b3651a", size=8,
        )  # fmt: skip
    axes.set_ylim(0, 1.1 * max(shown))
    axes.yaxis.set_major_locator(whole_numbers(6))
    axes.set_title(_layer_title(view, "memory length"), size=10)
    axes.set_xlabel("units, sorted")
    axes.set_ylabel("steps to lose half")


def _draw_saturation(axes: Axes, view: LayerView) -> None:
    names = [name for name in ORDER if name in view.closed]
    closed = np.array([100 * float(view.closed[name].mean()) for name in names])
    opened = np.array([100 * float(view.open[name].mean()) for name in names])
    places = np.arange(len(names))
    axes.barh(places, -closed, color="#d9822b", height=0.6, label=f"closed (below {CLOSED})")
    axes.barh(places, opened, color=BLUE, height=0.6, label=f"open (above {OPEN})")
    axes.set_yticks(places, labels=[GATE_NAMES[name] for name in names])
    axes.invert_yaxis()
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlim(-105, 105)
    axes.set_xticks([-100, -50, 0, 50, 100], labels=["100", "50", "0", "50", "100"])
    axes.set_xlabel("% of gate values")
    axes.set_title("saturated gates", size=10)


def _layer_title(view: LayerView, what: str) -> str:
    return f"layer {view.layer + 1}{', backward' if view.backward else ''}: {what}"


def _order(view: LayerView) -> list[int]:
    """Units by memory, the longest first; as they come where there is none."""
    if view.memory is None:
        return list(range(next(iter(view.states.values())).shape[1]))
    return [int(unit) for unit in view.memory.argsort(descending=True, stable=True)]


def _arranged(values: Tensor, view: LayerView) -> FloatArray:
    arranged: FloatArray = values[:, _order(view)].double().numpy()
    return arranged
