"""Which series are drawn, and how much of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tsforecast.pictures.plots import SeriesPicture, plot_forecast, plot_forecast_grid
from tsforecast.series.panel import Cutoffs, Panel

__all__ = ["draw_forecasts"]

MAX_IN_GRID = 12
# Steps of history before the forecast: this many horizons, and at least enough to see a season or two.
HISTORY_HORIZONS = 4
MIN_HISTORY = 60


def draw_forecasts(
    path: Path, panel: Panel, cutoffs: Cutoffs, forecast: pd.DataFrame, *, y_label: str
) -> None:
    """Draws one series large, or a grid of evenly chosen ones; what is known after the cutoff is drawn as well.

    Args:
        path: the picture; its name is never made from a series id.
        panel: history, and the actual values where there are any.
        cutoffs: one for each series in the forecast.
        forecast: the forecast table made from these cutoffs.
        y_label: name of the values.
    """
    chosen = cutoffs.evenly(MAX_IN_GRID)
    tables = {str(name): table for name, table in forecast.groupby("unique_id", sort=False)}
    pictures = [_picture(panel, chosen[k : k + 1], tables) for k in range(len(chosen))]
    if len(pictures) == 1:
        plot_forecast(path, pictures[0], y_label=y_label)
    else:
        plot_forecast_grid(path, pictures, y_label=y_label)


def _picture(panel: Panel, cutoff: Cutoffs, tables: dict[str, pd.DataFrame]) -> SeriesPicture:
    series, row = int(cutoff.series[0]), int(cutoff.rows[0])
    name = panel.unique_ids[series]
    forecast = tables[name]
    steps = max(MIN_HISTORY, HISTORY_HORIZONS * len(forecast))
    first = max(int(panel.offsets[series]), row + 1 - steps)
    last = min(int(panel.offsets[series + 1]), row + 1 + len(forecast))
    position = panel.positions(cutoff)[0] - row
    ds = panel.axis.timestamps(np.arange(first, last) + position)
    known = row + 1 - first
    return SeriesPicture(
        title=name,
        history=(ds[:known], panel.y[first : row + 1]),
        forecast=forecast,
        actuals=(ds[known:], panel.y[row + 1 : last]) if last > row + 1 else None,
    )
