"""How much faster the windows of a backtest are forecast as one batch than one after the other, in the same run.

    python benchmarks/backtest_speed.py

Rounds alternate between the two; the figure is the median of the ratios. The network is trained for a few steps only:
what is timed is the forecasting, from the panel to the forecasts and quantiles.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tsforecast.config.load import config_from_mapping
from tsforecast.evaluation.backtest import Origin, all_cutoffs, forecasts_at, rolling_origins
from tsforecast.forecasting.forecast import FittedModel, forecast_values
from tsforecast.series.panel import FloatArray, Panel
from tsforecast.workflows.predict import load_run
from tsforecast.workflows.train import read_panel, train

HORIZON = 24
LEARNED = 24 * 28
LEVELS = [0.1, 0.5, 0.9]


def main() -> None:
    """Prints a line for each number of series."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--windows", type=int, default=24)
    options = parser.parse_args()
    print(f"{options.windows} windows of {HORIZON} steps, {options.rounds} rounds\n")
    print("series   one by one   one batch   ratio (median, lowest to highest)")
    for n_series in (1, 3, 10, 100):
        alone, batch, ratios = _measured(n_series, options.windows, options.rounds)
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        print(f"{n_series:6}   {1e3 * alone:7.1f} ms   {1e3 * batch:6.1f} ms   {spread}")


def _measured(n_series: int, n_windows: int, rounds: int) -> tuple[float, float, list[float]]:
    """Median seconds of both, and the ratio of each round."""
    frame = _hourly(n_series)
    config = config_from_mapping(
        {
            "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
            "horizon": HORIZON,
            "training": {"max_steps": 20},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        train(config, path=Path(folder) / "run", source=frame.groupby("unique_id").head(LEARNED))
        model = load_run(Path(folder) / "run").model
    panel, _ = read_panel(config, frame)
    origins = rolling_origins(panel, horizon=HORIZON, n_windows=n_windows, stride=HORIZON, align="calendar")

    def one_by_one() -> FloatArray:
        return np.concatenate([_forecast(model, panel, [origin]) for origin in origins])

    def one_batch() -> FloatArray:
        return _forecast(model, panel, origins)

    np.testing.assert_allclose(one_by_one(), one_batch(), rtol=1e-4)  # and warms both up
    seconds = [(_seconds(one_by_one), _seconds(one_batch)) for _ in range(rounds)]
    alone, batch = (statistics.median(column) for column in zip(*seconds, strict=True))
    return alone, batch, [a / b for a, b in seconds]


def _forecast(model: FittedModel, panel: Panel, origins: Sequence[Origin]) -> FloatArray:
    return forecasts_at(
        panel,
        all_cutoffs(origins),
        HORIZON,
        lambda ended, steps: forecast_values(model, ended, ended.last_cutoffs, steps, quantile_levels=LEVELS),
    )


def _seconds(run: Callable[[], FloatArray]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _hourly(n_series: int) -> pd.DataFrame:
    """Hourly series with a daily season, ten weeks long."""
    n = 24 * 70
    hours = np.arange(n)
    random = np.random.default_rng(0)
    values = 10 + 3 * np.sin(2 * np.pi * hours / 24) + random.normal(0, 0.5, (n_series, n))
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{k}" for k in range(n_series)], n),
            "ds": np.tile(pd.date_range("2024-01-01", periods=n, freq="h"), n_series),
            "y": values.ravel(),
        }
    )


if __name__ == "__main__":
    main()
