"""A picture of cells side by side: how good, after how much training."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from tsforecast.pictures.figure import MANY_LINES, MUTED, drawing, legend_below

__all__ = ["Outcome", "plot_error_by_time"]


MARKERS = "osD^vPX*h"
# A baseline further above the worst cell than this would squeeze the others together.
FAR = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How one training went.

    Attributes:
        seconds: CPU seconds of the whole training.
        mase: on the test part.
        history: records with ``seconds`` (by the clock) and ``validation``.
    """

    seconds: float
    mase: float
    history: Sequence[Mapping[str, Any]]


def plot_error_by_time(path: Path, outcomes: Mapping[str, Sequence[Outcome]], *, reference: float) -> None:
    """Draws the validation error over the training time, and the test error of each seed at its end.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        outcomes: of each cell, seed by seed; the first seed's course is drawn.
        reference: MASE of the seasonal naive on the test part.

    Raises:
        ConfigError: the file cannot be written.
    """
    with drawing(path, width=11, height=5) as figure:
        left, right = figure.subplots(1, 2)
        looks = zip(cycle(MANY_LINES), cycle(MARKERS), strict=False)
        for (cell, trials), ((color, dashes), marker) in zip(outcomes.items(), looks, strict=False):
            course = [record for record in trials[0].history if record["validation"] is not None]
            seconds, errors = ([record[name] for record in course] for name in ("seconds", "validation"))
            look: dict[str, Any] = {"color": color, "marker": marker, "markersize": 6}
            left.plot(seconds, errors, linestyle=dashes, markevery=[len(course) - 1], label=cell, **look)
            spent, mase = [trial.seconds for trial in trials], [trial.mase for trial in trials]
            middle = statistics.median(spent)
            right.vlines(middle, min(mase), max(mase), color=color, linewidth=1.4)
            right.plot([middle] * len(mase), mase, "_", color=color, markersize=8)
            right.plot([middle], [statistics.median(mase)], linewidth=0, **{**look, "markersize": 8})
        left.set_title("Validation MASE while training (first seed)")
        left.set_xlabel("seconds")
        ends = [trials[0].history[-1]["validation"] for trials in outcomes.values()]
        left.set_ylim(top=min(left.get_ylim()[1], 2 * max(ends)))
        right.set_title("Test MASE by training time")
        right.set_xlabel("CPU seconds of a training (mark: median, bar: all seeds)")
        right.set_xlim(left=0)
        _draw_reference(
            right, reference, worst=max(trial.mase for trials in outcomes.values() for trial in trials)
        )
        legend_below(figure, left)


def _draw_reference(axes: Axes, reference: float, *, worst: float) -> None:
    """The seasonal naive as a line; as words where the line would lie far above the others."""
    look: dict[str, Any] = {"ha": "right", "color": MUTED, "size": 8.5}
    if reference > FAR * worst:
        axes.annotate(
            f"seasonal naive: {reference:.3f}, above", (1, 1), xycoords="axes fraction", va="top", **look
        )
        return
    axes.axhline(reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate("seasonal naive", (1, reference), xycoords=("axes fraction", "data"), va="bottom", **look)
