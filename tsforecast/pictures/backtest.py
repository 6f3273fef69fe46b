"""Pictures of a backtest: coverage by lead time, errors by hour and weekday, series with all their windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tsforecast.config.words import printable
from tsforecast.pictures.figure import (
    BANDS,
    BLUE,
    INK,
    MUTED,
    axis_times,
    drawing,
    legend_below,
    set_time_axis,
    whole_numbers,
)
from tsforecast.series.panel import FloatArray
from tsforecast.series.timeaxis import TimeIndex

__all__ = ["ErrorGroups", "SeriesWindows", "plot_coverage", "plot_error_groups", "plot_windows"]

COLUMNS = 2


@dataclass(frozen=True, slots=True, eq=False)
class ErrorGroups:
    """Errors by the hour, the weekday, or another place in a cycle.

    Attributes:
        title: what they are grouped by.
        labels: of the groups.
        quartiles: quarter, half and three quarters of the errors of each group, NaN of an empty one, ``(groups, 3)``.
    """

    title: str
    labels: Sequence[str]
    quartiles: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SeriesWindows:
    """A series and what was forecast for it from several cutoffs.

    Attributes:
        title: name of the series, and how good the forecasts are.
        history: timestamps and values, those in the windows included.
        windows: forecast tables, one per cutoff, with columns ``ds``, ``y_hat`` and the quantiles in rising order.
    """

    title: str
    history: tuple[TimeIndex, FloatArray]
    windows: Sequence[pd.DataFrame]


def plot_coverage(path: Path, *, lead_time: Sequence[int], coverage: FloatArray, nominal: float) -> None:
    """Draws which share of the actual values fell inside the widest interval, by lead time.

    Args:
        path: file to write.
        lead_time: steps after the cutoff.
        coverage: share of each, NaN where no value is known.
        nominal: share that should fall inside.

    Raises:
        ConfigError: the file cannot be written.
    """
    with drawing(path, width=8, height=4) as figure:
        axes = figure.subplots()
        axes.axhline(100 * nominal, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="should be")
        axes.plot(
            lead_time, 100 * coverage, color=BLUE, marker="o" if len(lead_time) < 60 else "", label="is"
        )
        axes.set_ylim(0, 103)
        axes.set_xlim(0.5, max(lead_time) + 0.5)
        axes.xaxis.set_major_locator(whole_numbers(12))
        axes.set_title(f"Actual values inside the {100 * nominal:g} % interval", pad=10)
        axes.set_xlabel("steps after the cutoff")
        axes.set_ylabel("%")
        legend_below(figure, axes)


def plot_error_groups(path: Path, groups: Sequence[ErrorGroups]) -> None:
    """Draws median and middle half of the errors by the hour, the weekday and the like.

    Args:
        path: file to write.
        groups: one picture each, at least one.

    Raises:
        ConfigError: the file cannot be written.
    """
    with drawing(path, width=1.5 + 4.5 * len(groups), height=4) as figure:
        for axes, group in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
            _draw_group(axes, group)
        figure.axes[0].set_ylabel("actual - forecast, in usual seasonal changes")
        legend_below(figure, figure.axes[0])


def plot_windows(path: Path, pictures: Sequence[SeriesWindows], *, y_label: str = "") -> None:
    """Draws series with the forecasts from all their cutoffs.

    Args:
        path: file to write.
        pictures: what to draw, at least one.
        y_label: name of the values.

    Raises:
        ConfigError: the file cannot be written.
    """
    columns = min(COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    with drawing(path, width=10 if columns == 1 else 6.2 * columns, height=1 + 2.8 * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, picture in zip(grid, pictures, strict=False):
            _draw_windows(axes, picture)
        for axes in grid[len(pictures) :]:
            axes.remove()
        figure.supylabel(printable(y_label, longest=28), color=MUTED, size=10)
        legend_below(figure, figure.axes[0])


def _draw_group(axes: Axes, group: ErrorGroups) -> None:
    places = np.arange(len(group.labels))
    low, middle, high = group.quartiles.T
    axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
    axes.vlines(places, low, high, color=BANDS[1], linewidth=6, label="middle half")
    axes.plot(places, middle, "_", color=BLUE, markersize=9, markeredgewidth=2, label="median")
    every = math.ceil(len(places) / 12)
    axes.set_xticks(places[::every], labels=list(group.labels[::every]))
    axes.set_title(group.title)


def _draw_windows(axes: Axes, picture: SeriesWindows) -> None:
    ds, y = picture.history
    set_time_axis(axes, ds, max_ticks=7)
    axes.plot(axis_times(ds), y, color=INK, linewidth=1.1, label="actual values")
    for k, window in enumerate(picture.windows):
        times = axis_times(pd.Index(window["ds"]))
        quantiles = [name for name in window if str(name).startswith("q")]
        if len(quantiles) > 1:
            low, high = window[quantiles[0]], window[quantiles[-1]]
            label = f"quantiles {str(quantiles[0])[1:]} to {str(quantiles[-1])[1:]}"
            axes.fill_between(times, low, high, color=BANDS[0], linewidth=0, label=label if k == 0 else None)
        marker = "o" if len(window) < 3 else ""
        axes.plot(
            times, window["y_hat"], color=BLUE, linewidth=1.6, marker=marker, markersize=3,
            label="forecasts" if k == 0 else None,
        )  # fmt: skip
        axes.axvline(times[0], color=MUTED, linewidth=0.5, linestyle=(0, (2, 3)), zorder=1)
    axes.set_title(printable(picture.title, longest=60), size=10)
