"""A backtest for people: the table and what it means, pictures, and the folder that keeps them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from tsforecast.config.load import dump_config
from tsforecast.config.words import printable
from tsforecast.evaluation.metrics import mae, mase, nominal_coverage, seasonal_scale
from tsforecast.evaluation.scores import columns_of, legend, metrics_json, model_lines, verdict
from tsforecast.evaluation.significance import Difference, judge, significance_text
from tsforecast.forecasting.forecast import frame_of
from tsforecast.pictures.backtest import (
    ErrorGroups,
    SeriesWindows,
    plot_coverage,
    plot_error_groups,
    plot_windows,
)
from tsforecast.pictures.plots import plot_error_by_lead_time
from tsforecast.runs import refuse_taken
from tsforecast.series.panel import FloatArray, IntArray
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.atomic import replaced_folder, write_bytes, write_text
from tsforecast.workflows.backtest import Backtest
from tsforecast.workflows.fallback import failures_csv

__all__ = ["OURS", "backtest_json", "check_folder", "cv_table", "text", "warnings_of", "write"]

OURS = (
    "backtest.json",
    "cv.parquet",
    "config.yaml",
    "failures.csv",
    "scores.csv",
    "by_lead_time.csv",
    "by_cutoff.csv",
    "errors.csv",
    "error_by_lead_time.png",
    "coverage_by_lead_time.png",
    "errors.png",
    "series.png",
)
# More than this share of the windows is worth a warning.
OFTEN = 0.5
SOMETIMES = 0.05
# Series drawn: so many of the worst and of the best, and so many of the newest windows of each.
DRAWN = 3
DRAWN_WINDOWS = 8
HISTORY_HORIZONS = 2
MIDNIGHT = " 00:00:00"


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Refuses before any work a folder that the backtest must not replace, or could not write.

    Raises:
        ConfigError: something else stands there, or a backtest that was not to be overwritten.
    """
    refuse_taken(path, ours=OURS, overwrite=overwrite)


def text(found: Backtest) -> str:
    """The table of the models, one step ahead against recursive, warnings and the verdict."""
    columns = columns_of(found.scores)
    parts = [
        _heading(found),
        model_lines(found.scores, columns),
        legend(columns, season_length=found.season_length),
        _loops(found),
        *(f"WARNING: {warning}\n" for warning in warnings_of(found)),
        "".join(f"{note}\n" for note in found.notes),
        verdict(found.scores.by_model, found.model_name) + "\n" + _luck(found),
    ]
    return "\n".join(filter(None, parts))


def warnings_of(found: Backtest) -> list[str]:
    """What about the rollout should make a user careful."""
    warnings = []
    if found.behaviour.flat > OFTEN:
        warnings.append(
            f"the recursive forecast flattens: in {_percent(found.behaviour.flat)} of the windows it hardly moves in "
            "the second half of the horizon, where the series does."
        )
    if found.behaviour.far > SOMETIMES:
        warnings.append(
            f"the recursive forecast diverges: in {_percent(found.behaviour.far)} of the windows it leaves the history "
            "by more than its whole range."
        )
    return warnings


def backtest_json(found: Backtest) -> dict[str, Any]:
    """Everything that was found, as plain values."""
    one_step, recursive = _loop_errors(found)
    return {
        "model": found.model_name,
        "n_windows": found.rolling.n_windows,
        "stride": found.rolling.stride,
        "refit": found.rolling.refit,
        "align": found.rolling.align,
        "cutoffs": _moments(found),
        "quantile_levels": list(found.levels),
        **metrics_json(found.scores),
        "one_step": {"mase": _plain(one_step), "mase_of_the_recursive_forecast": _plain(recursive)},
        "rollout": {"flat": _plain(found.behaviour.flat), "far": _plain(found.behaviour.far)},
        "warnings": warnings_of(found),
        "notes": list(found.notes),
        "significance": {
            name: {key: _plain_or_text(value) for key, value in asdict(one).items()}
            for name, one in differences(found).items()
        },
        "verdict": verdict(found.scores.by_model, found.model_name),
        "failures": len(found.failures),
    }


def cv_table(found: Backtest) -> pd.DataFrame:
    """Every forecast beside what came: the forecast table's columns, ``y``, ``one_step``, and one per other model."""
    names = np.array(found.panel.unique_ids, dtype=object)[found.cutoffs.series]
    order = np.lexsort([found.panel.positions(found.cutoffs), pd.factorize(names, sort=True)[0]])
    cutoffs = found.cutoffs[order]
    values = np.concatenate([found.forecasts[found.model_name][..., None], found.quantiles], axis=2)
    table = frame_of(found.panel, cutoffs, values[order], quantile_levels=found.levels)
    table.insert(4, "y", found.y[order].ravel())
    table["one_step"] = found.one_step[order].ravel()
    others = {name: made for name, made in found.forecasts.items() if name != found.model_name}
    return table.assign(**{name: made[order].ravel() for name, made in others.items()})


def write(path: Path, found: Backtest, *, overwrite: bool) -> None:
    """Writes the folder, whole or not at all: tables, every forecast, and the pictures.

    Raises:
        ConfigError: the folder cannot be written, or must not be replaced.
        ResourceError: the disk is full.
    """
    check_folder(path, overwrite=overwrite)
    with replaced_folder(path, ours=OURS) as folder:
        write_text(folder / "backtest.json", json.dumps(backtest_json(found), indent=2) + "\n")
        write_text(folder / "config.yaml", dump_config(found.config))
        write_bytes(folder / "cv.parquet", cv_table(found).to_parquet(None, index=False))
        write_text(folder / "scores.csv", _csv(found.scores.by_series))
        write_text(folder / "by_lead_time.csv", _csv(found.scores.by_lead_time))
        write_text(folder / "by_cutoff.csv", _csv(_by_cutoff(found)))
        groups = _error_groups(found)
        write_text(folder / "errors.csv", _csv(_error_table(groups)))
        if found.failures:
            write_text(folder / "failures.csv", failures_csv(found.failures))
        _draw(folder, found, groups)


def _draw(folder: Path, found: Backtest, groups: Sequence[ErrorGroups]) -> None:
    by_lead_time = found.scores.by_lead_time
    shown = "mase" if by_lead_time["mase"].notna().any() else "mae"
    plot_error_by_lead_time(folder / "error_by_lead_time.png", by_lead_time=by_lead_time, metric=shown)
    own = by_lead_time[by_lead_time["model"] == found.model_name]
    nominal = nominal_coverage(found.levels)
    if nominal is not None and "coverage" in own and own["coverage"].notna().any():
        plot_coverage(
            folder / "coverage_by_lead_time.png",
            lead_time=own["lead_time"].tolist(),
            coverage=own["coverage"].to_numpy(),
            nominal=nominal,
        )
    plot_error_groups(folder / "errors.png", groups)
    target = found.config.data.target
    y_label = target if isinstance(target, str) else ""
    plot_windows(folder / "series.png", _worst_and_best(found), y_label=y_label)


def _heading(found: Backtest) -> str:
    moments, rolling = _moments(found), found.rolling
    own = ", counted from each series' own end" if rolling.align == "own" else ""
    between = own or f", from {moments[0]} to {moments[-1]}"
    trained = "trained once, at the first" if rolling.refit == "never" else "trained anew at each of them"
    windows = f"{found.n_origins} cutoff{'s' * (found.n_origins != 1)}, {rolling.stride} steps apart{between}"
    return (
        f"Backtest: {windows}; {trained}\n"
        f"{found.scores.n_cutoffs} forecasts of {found.scores.horizon} steps, {found.scores.n_series} series\n"
    )


def differences(found: Backtest) -> dict[str, Difference]:
    """How the network's errors differ from each other model's, and how sure that is."""
    own = found.forecasts[found.model_name]
    times = None
    if found.rolling.align == "own":  # one origin is one time, wherever it lies in each series
        times = found.origin * cast(int, found.rolling.stride)
    return {
        name: judge(found.panel, found.cutoffs, own, other, season_length=found.season_length, times=times)
        for name, other in found.forecasts.items()
        if name != found.model_name
    }


def _luck(found: Backtest) -> str:
    """A line for each other model: whether the difference could be chance; one for all that this cannot be told of."""
    told = differences(found)
    lines = [significance_text(one, name) for name, one in told.items() if not one.why_not]
    unclear: dict[str, list[str]] = {}
    for name, one in told.items():
        if one.why_not:
            unclear.setdefault(one.why_not, []).append(name)
    for reason, names in unclear.items():
        of = "" if len(names) == len(told) else f" of {', '.join(names)}"
        lines.append(f"whether the difference{of} is chance cannot be told: {reason}")
    return "".join(f"  {line}\n" for line in lines)


def _plain_or_text(value: float | str) -> float | str | None:
    return value if isinstance(value, str) else _plain(value)


def _loops(found: Backtest) -> str:
    """One line: what feeding forecasts back costs."""
    one_step, recursive = _loop_errors(found)
    if math.isnan(one_step) or math.isnan(recursive):
        return ""
    return (
        f"One step ahead, each time with the actual values before it: MASE {one_step:.3f}; "
        f"recursive, over the same steps: {recursive:.3f}.\n"
    )


def _loop_errors(found: Backtest) -> tuple[float, float]:
    """MASE of one-step and of recursive forecasts, over the windows that have both."""
    both = ~np.isnan(found.one_step).any(axis=1)
    scale = seasonal_scale(found.panel, found.cutoffs, found.season_length).mae
    means = [
        _mean(mase(found.y, made, scale)[both])
        for made in (found.one_step, found.forecasts[found.model_name])
    ]
    return means[0], means[1]


def _by_cutoff(found: Backtest) -> pd.DataFrame:
    """MASE and MAE of each model at each cutoff, means over the series."""
    scale = seasonal_scale(found.panel, found.cutoffs, found.season_length).mae
    moments = _moments(found)
    rows = []
    for number in range(found.n_origins):
        at = np.flatnonzero(found.origin == number)
        for name, made in found.forecasts.items():
            rows.append(
                {
                    "cutoff": moments[number],
                    "model": name,
                    "n_series": len(at),
                    "mae": _mean(mae(found.y[at], made[at])),
                    "mase": _mean(mase(found.y[at], made[at], scale[at])),
                }
            )
    return pd.DataFrame(rows)


def _moments(found: Backtest) -> list[str]:
    """When each origin is, as text; where series have their own, how many steps before their ends."""
    if found.rolling.align == "own":
        stride, horizon = cast(int, found.rolling.stride), found.config.horizon
        return [f"end - {horizon + back * stride}" for back in range(found.n_origins - 1, -1, -1)]
    positions = found.panel.positions(found.cutoffs)
    moments = [positions[found.origin == number].max(initial=0) for number in range(found.n_origins)]
    texts = [str(moment) for moment in found.panel.axis.timestamps(np.array(moments))]
    is_midnight = all(text.endswith(MIDNIGHT) for text in texts)
    return [text.removesuffix(MIDNIGHT) for text in texts] if is_midnight else texts


def _error_groups(found: Backtest) -> list[ErrorGroups]:
    """Errors by every cycle that the frequency can show, in usual seasonal changes."""
    scale = seasonal_scale(found.panel, found.cutoffs, found.season_length).mae
    scale = np.where(np.isnan(scale), 1.0, scale)
    errors = (found.y - found.forecasts[found.model_name]) / scale[:, None]
    horizon = errors.shape[1]
    positions = (found.panel.positions(found.cutoffs)[:, None] + np.arange(1, horizon + 1)).ravel()
    errors, known = errors.ravel(), np.isfinite(errors.ravel())
    cycles = _cycles(found.panel.axis, positions, found.season_length)
    return [
        ErrorGroups(title, labels, _quartiles(errors[known], place[known], len(labels)))
        for title, labels, place in cycles
    ]


def _error_table(groups: Sequence[ErrorGroups]) -> pd.DataFrame:
    """Quartiles of the errors, a row for each group of each cycle."""
    tables = [
        pd.DataFrame({"cycle": group.title, "label": group.labels}).join(
            pd.DataFrame(group.quartiles, columns=["q0.25", "q0.5", "q0.75"])
        )
        for group in groups
    ]
    return pd.concat(tables, ignore_index=True)


def _quartiles(errors: FloatArray, place: IntArray, n_groups: int) -> FloatArray:
    quartiles = np.full((n_groups, 3), np.nan)
    for group in np.unique(place):
        quartiles[group] = np.quantile(errors[place == group], [0.25, 0.5, 0.75])
    return quartiles


def _cycles(axis: TimeAxis, positions: IntArray, season_length: int) -> list[tuple[str, list[str], IntArray]]:
    """Title, labels, and the place of each step, for each cycle with more than one place in the data."""
    if axis.is_integer:
        length = max(season_length, 1)
        return [("by step of the season", [str(k + 1) for k in range(length)], positions % length)]
    ds = pd.DatetimeIndex(axis.timestamps(positions))
    cycles = [(title, labels, place(ds)) for title, labels, place in CYCLES]
    shown = [cycle for cycle in cycles if len(np.unique(cycle[2])) > 1]
    return shown[:2] or cycles[-1:]


def _worst_and_best(found: Backtest) -> list[SeriesWindows]:
    own = found.scores.by_series[found.scores.by_series["model"] == found.model_name]
    by = "mase" if own["mase"].notna().any() else "mae"
    ranked = own.dropna(subset=[by]).sort_values(by, ascending=False, kind="stable")
    names = ranked["unique_id"].tolist() or own["unique_id"].tolist()
    chosen = dict.fromkeys([*names[:DRAWN], *names[::-1][:DRAWN][::-1]])
    errors = own.set_index("unique_id")[by]
    titles = {name: f"{printable(name, longest=40)}: {by.upper()} {errors[name]:.3g}" for name in chosen}
    return [_windows_of(found, name, title) for name, title in titles.items()]


def _windows_of(found: Backtest, name: str, title: str) -> SeriesWindows:
    series = found.panel.unique_ids.index(name)
    at = np.flatnonzero(found.cutoffs.series == series)[-DRAWN_WINDOWS:]
    values = np.concatenate([found.forecasts[found.model_name][..., None], found.quantiles], axis=2)
    windows = [
        frame_of(
            found.panel, found.cutoffs[at[k : k + 1]], values[at[k : k + 1]], quantile_levels=found.levels
        )
        for k in range(len(at))
    ]
    horizon = values.shape[1]
    steps = found.cutoffs.rows[at] - found.panel.offsets[series]
    first = max(int(steps.min()) - HISTORY_HORIZONS * horizon, 0)
    last = min(int(steps.max()) + horizon + 1, int(found.panel.lengths[series]))
    ds = found.panel.axis.timestamps(found.panel.starts[series] + np.arange(first, last))
    return SeriesWindows(title, (ds, found.panel.values(series)[first:last]), windows)


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, float_format="%.6g")


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# Title, labels, and the place of each timestamp; the shortest cycle first.
CYCLES: list[tuple[str, list[str], Callable[[pd.DatetimeIndex], IntArray]]] = [
    ("by hour", [str(hour) for hour in range(24)], lambda ds: ds.hour.to_numpy().astype(np.int64)),
    ("by weekday", WEEKDAYS, lambda ds: ds.day_of_week.to_numpy().astype(np.int64)),
    ("by month", MONTHS, lambda ds: ds.month.to_numpy().astype(np.int64) - 1),
]
