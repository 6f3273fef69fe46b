"""Series the network does not forecast: their forecasts by the seasonal naive, and the list of them."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tsforecast.config.schema import Config
from tsforecast.errors import DataError
from tsforecast.evaluation.baselines import seasonal_naive
from tsforecast.features.transforms import check_values
from tsforecast.forecasting.forecast import quantile_column
from tsforecast.series.isolate import Failure, Isolated
from tsforecast.series.panel import FloatArray, Panel

__all__ = ["failures_csv", "newest_rows", "tell_failures", "with_fallbacks", "without_wrong_values"]

log = logging.getLogger(__name__)

TOLD = 5
COLUMNS = ("unique_id", "code", "reason", "forecast")


def without_wrong_values(read: Isolated, table: pd.DataFrame, config: Config, *, where: str) -> Isolated:
    """Without the series that have a value the transform does not take, or that is too large to count with.

    Args:
        read: the data.
        table: what it was made from.
        config: names the transform, and what is done about bad series.
        where: the file the table was read from.

    Raises:
        DataError: all have such a value, or ``data.on_bad_series`` is ``fail``.
    """
    while True:
        try:
            check_values(read.panel, table, config, where=where)
        except DataError as error:
            left = read.without(error.series, code=error.code or "", policy=config.data.on_bad_series)
            if left is read:
                raise
            read = left if left.panel.n_series else replace(left, refused=error)
        else:
            return read


def with_fallbacks(
    frame: pd.DataFrame,
    panels: Sequence[Panel],
    *,
    horizon: int,
    season_length: int,
    quantile_levels: Sequence[float],
    non_negative: bool | None,
) -> pd.DataFrame:
    """The forecast table with the seasonal naive of more series, sorted as before.

    Args:
        frame: forecasts of the network.
        panels: the other series; each has a row.
        horizon: steps to forecast.
        season_length: steps in one season.
        quantile_levels: columns to fill.
        non_negative: cut at 0: always, never, or (None) where the history was never negative.
    """
    if not panels:
        return frame
    frames = [
        _frame(panel, horizon, season_length, quantile_levels, non_negative=non_negative) for panel in panels
    ]
    together = pd.concat([one for one in (frame, *frames) if len(one)])
    return together.sort_values(["unique_id", "cutoff", "lead_time"], kind="stable", ignore_index=True)


def newest_rows(panel: Panel, steps: int) -> Panel:
    """At most so many rows of each series up to its newest known value, and what is masked after it."""
    last = panel.last_cutoffs.rows
    return panel.tail(steps + last - panel.newest_known[last])


def failures_csv(failures: Sequence[Failure]) -> str:
    """A row for each series: name, code, reason, and what forecasts it instead."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = sorted(failures, key=lambda failure: failure.unique_id)
    writer.writerows([failure.unique_id, failure.code, failure.reason, failure.forecast] for failure in rows)
    return text.getvalue()


def tell_failures(failures: Sequence[Failure]) -> None:
    """Says which series are left out, and which are forecast by the fallback."""
    for forecast in sorted({failure.forecast for failure in failures}):
        some = [failure for failure in failures if failure.forecast == forecast]
        done = f"forecast by {forecast}" if forecast else "left out"
        names = ", ".join(
            f"{failure.unique_id!r} ({failure.code}: {failure.reason})" for failure in some[:TOLD]
        )
        log.warning("%d series %s: %s", len(some), done, names + (", …" if len(some) > TOLD else ""))


def _frame(
    panel: Panel, horizon: int, season_length: int, levels: Sequence[float], *, non_negative: bool | None
) -> pd.DataFrame:
    cutoffs = panel.last_cutoffs
    lead_time = np.arange(1, horizon + 1)
    y_hat = seasonal_naive(panel, cutoffs, horizon, season_length)
    position = np.repeat(panel.positions(cutoffs), horizon)
    floor = np.array([_floor(panel.values(s), non_negative) for s in range(panel.n_series)])[:, None]
    y_hat = np.maximum(y_hat, floor)
    columns: dict[str, object] = {
        "unique_id": pd.array(np.repeat(np.array(panel.unique_ids, dtype=object), horizon), dtype="str"),
        "ds": panel.axis.timestamps(position + np.tile(lead_time, panel.n_series)),
        "cutoff": panel.axis.timestamps(position),
        "lead_time": np.tile(lead_time, panel.n_series),
        "y_hat": y_hat.ravel(),
    }
    # A season further ahead the error of the seasonal naive is the sum of one more seasonal change.
    widening = np.sqrt(np.ceil(lead_time / season_length))
    for level in levels:
        width = np.array([_half_width(panel.values(s), season_length, level) for s in range(panel.n_series)])
        values = y_hat + np.sign(level - 0.5) * width[:, None] * widening
        columns[quantile_column(level)] = np.maximum(values, floor).ravel()
    return pd.DataFrame(columns)


def _floor(y: FloatArray, non_negative: bool | None) -> float:
    kept = non_negative if non_negative is not None else not (y < 0).any()
    return 0.0 if kept else -np.inf


def _half_width(y: FloatArray, season_length: int, level: float) -> float:
    """Quantile of the seasonal changes that is the half-width at a level; NaN where there is no change to see."""
    lag = season_length if len(y) > season_length else 1
    changes = np.abs(y[lag:] - y[:-lag])
    changes = changes[np.isfinite(changes)]
    if level == 0.5:
        return 0.0
    return float(np.quantile(changes, abs(2 * level - 1))) if len(changes) else np.nan
