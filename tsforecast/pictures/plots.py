"""Pictures as PNG or SVG files: forecasts, errors by lead time, the course of training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from tsforecast.config.words import printable
from tsforecast.evaluation.metrics import METRICS
from tsforecast.pictures.figure import (
    BANDS,
    BLUE,
    INK,
    MUTED,
    OTHER_LINES,
    axis_times,
    drawing,
    legend_below,
    set_time_axis,
    whole_numbers,
)
from tsforecast.series.panel import FloatArray
from tsforecast.series.timeaxis import TimeIndex

__all__ = [
    "SeriesPicture",
    "plot_error_by_lead_time",
    "plot_forecast",
    "plot_forecast_grid",
    "plot_training_curve",
]

FEW_POINTS = 40  # up to here each point is marked


@dataclass(frozen=True, slots=True, eq=False)
class SeriesPicture:
    """One series and its forecast.

    Attributes:
        title: name of the series.
        history: timestamps and values up to the cutoff.
        forecast: columns ``ds``, ``y_hat`` and quantiles ``q<level>``, which are drawn in pairs.
        actuals: timestamps and values after the cutoff, where they are known.
    """

    title: str
    history: tuple[TimeIndex, FloatArray]
    forecast: pd.DataFrame
    actuals: tuple[TimeIndex, FloatArray] | None = None


def plot_forecast(path: Path, picture: SeriesPicture, *, y_label: str = "") -> None:
    """Draws history, forecast with its quantiles, and actual values of one series.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        picture: what to draw.
        y_label: name of the values.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    with drawing(path, width=10, height=4.8) as figure:
        axes = figure.subplots()
        _draw_series(axes, picture, max_ticks=9)
        axes.set_title(printable(picture.title, longest=60), pad=10)
        axes.set_xlabel(_timezone(picture.history[0]))
        axes.set_ylabel(printable(y_label, longest=28))
        legend_below(figure, axes)


def plot_forecast_grid(path: Path, pictures: Sequence[SeriesPicture], *, y_label: str = "") -> None:
    """Draws up to about a dozen series side by side, each on its own scale.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        pictures: what to draw, at least one.
        y_label: name of the values.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    columns = min(3, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    with drawing(path, width=4.2 * columns, height=0.6 + 2.5 * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, picture in zip(grid, pictures, strict=False):
            _draw_series(axes, picture, max_ticks=6)
            axes.set_title(printable(picture.title, longest=32), size=10)
        for axes in grid[len(pictures) :]:
            axes.remove()
        figure.supylabel(printable(y_label, longest=28), color=MUTED, size=10)
        legend_below(figure, figure.axes[0])


def plot_error_by_lead_time(path: Path, *, by_lead_time: pd.DataFrame, metric: str = "mase") -> None:
    """Draws how the error grows with the lead time, the first model in front of the others.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        by_lead_time: columns ``model``, ``lead_time`` and the metric.
        metric: the column to draw.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    title = METRICS[metric].title
    with drawing(path, width=8, height=4.5) as figure:
        axes = figure.subplots()
        first, *others = by_lead_time["model"].unique()
        _draw_errors(axes, by_lead_time, first, metric, color=BLUE, linewidth=2.4, zorder=3)
        for name, (color, dashes) in zip(others, cycle(OTHER_LINES), strict=False):
            _draw_errors(axes, by_lead_time, name, metric, color=color, linestyle=dashes)
        axes.set_title(f"{title} by lead time", pad=10)
        axes.set_xlabel("steps after the cutoff")
        axes.set_ylabel(f"{title}, in the unit of the data" if METRICS[metric].of_data else title)
        axes.xaxis.set_major_locator(whole_numbers(12))
        axes.set_xlim(0.5, by_lead_time["lead_time"].max() + 0.5)
        if by_lead_time[metric].notna().any():
            axes.set_ylim(0, _highest_shown(by_lead_time.groupby("model")[metric].max(), first))
        else:
            axes.set_yticks([])
            _note(axes, f"no series has a {title}: each repeats itself exactly")
        legend_below(figure, axes)


def plot_training_curve(path: Path, *, courses: Sequence[tuple[Sequence[Mapping[str, Any]], int]]) -> None:
    """Draws validation score and training loss over the steps, and marks the step whose weights are kept.

    The steps of a reservoir are the ridge strengths that were tried.

    Args:
        path: file to write, ``.png`` or ``.svg``.
        courses: of each network its records with ``step``, ``loss`` and ``validation``, of which the latter two may be
            None, and the step of its lowest validation score.

    Raises:
        ConfigError: another ending, or the file cannot be written.
    """
    with drawing(path, width=8, height=5) as figure:
        upper, lower = figure.subplots(2, sharex=True)
        upper.set_title("Validation error")
        lower.set_title("Training loss")
        history, best_step = courses[0]
        for records, _ in courses:
            steps = [record["step"] for record in records]
            validation, loss = (
                _numbers(record[name] for record in records) for name in ("validation", "loss")
            )
            upper.plot(steps, validation, color=BLUE, marker="o", markersize=3)
            lower.plot(steps, loss, color=MUTED, marker="o", markersize=3)
        if history and "ridge" in history[0]:
            lower.set_xlabel("ridge strength")
            lower.set_xticks(
                [record["step"] for record in history], labels=[f"{record['ridge']:g}" for record in history]
            )
        else:
            lower.set_xlabel("step")
            lower.xaxis.set_major_locator(whole_numbers(10))
        score = {record["step"]: record["validation"] for record in history}.get(best_step)
        if len(courses) == 1 and score is not None:
            _mark_best(upper, lower, step=best_step, score=score)


def _draw_series(axes: Axes, picture: SeriesPicture, *, max_ticks: int) -> None:
    ds, y = picture.history
    frame = picture.forecast
    set_time_axis(axes, ds, max_ticks=max_ticks)
    look: dict[str, Any] = {"color": INK, "linewidth": 1.2, "markersize": 2.5}
    axes.plot(axis_times(ds), y, marker=_marker(len(y)), label="history", **look)

    # Drawn from the last known value on, so that a forecast of one step is seen as well.
    last = y[-1:]
    times = np.concatenate([axis_times(ds)[-1:], axis_times(pd.Index(frame["ds"]))])
    bands = _quantile_pairs(frame)
    for (low, high), color in zip(bands, chain(BANDS, repeat(BANDS[-1])), strict=False):
        bottom, top = (np.concatenate([last, frame[name]]) for name in (low, high))
        label = f"quantiles {low[1:]} to {high[1:]}"
        axes.fill_between(times, bottom, top, color=color, linewidth=0, label=label)
    look = {"color": BLUE, "linewidth": 1.8, "markersize": 3, "markevery": slice(len(last), None)}
    y_hat = np.concatenate([last, frame["y_hat"]])
    axes.plot(times, y_hat, marker=_marker(len(frame)), label="forecast", **look)

    if picture.actuals is not None:
        later, values = picture.actuals
        axes.plot(axis_times(later), values, "o", color=INK, markersize=3, label="actual values")


def _quantile_pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Columns of the lowest and the highest quantile, of the next ones, and so on inwards."""
    names = sorted((name for name in frame.columns if name.startswith("q")), key=lambda name: float(name[1:]))
    return [(names[k], names[-1 - k]) for k in range(len(names) // 2)]


def _timezone(ds: TimeIndex) -> str:
    return str(ds.tz) if isinstance(ds, pd.DatetimeIndex) and ds.tz is not None else ""


def _draw_errors(axes: Axes, by_lead_time: pd.DataFrame, name: str, metric: str, **look: Any) -> None:
    rows = by_lead_time[by_lead_time["model"] == name]
    label = printable(name.replace("_", " "), longest=40)
    axes.plot(rows["lead_time"], rows[metric], marker=_marker(len(rows)), markersize=3.5, label=label, **look)


def _mark_best(upper: Axes, lower: Axes, *, step: int, score: float) -> None:
    for axes in (upper, lower):
        axes.axvline(step, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    upper.plot([step], [score], "o", color=BLUE, markersize=7)
    left = step > np.mean(upper.get_xlim())
    upper.annotate(
        f"best: {score:.3f} at step {step}",
        (step, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-7 if left else 7, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        color=INK,
        size=9,
    )


def _highest_shown(largest: pd.Series[float], first: str) -> float:
    """Top of the axis: a hopeless baseline may leave the picture, so that the model is seen beside the best.

    Args:
        largest: largest error of each model; NaN for one without a score.
        first: the model the picture is about.
    """
    largest = largest.fillna(0.0)
    compared = max(largest[first], largest.drop(first).min()) if len(largest) > 1 else largest[first]
    return float(min(1.05 * largest.max(), 4 * compared)) or 1.0


def _note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _marker(n_points: int) -> str:
    return "o" if n_points <= FEW_POINTS else ""


def _numbers(values: Iterator[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
