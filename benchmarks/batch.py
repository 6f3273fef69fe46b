"""The nightly run: `tsforecast batch` from process start to written forecasts, by number of series and of sample paths.

    python benchmarks/batch.py [--series 10000,100000] [--paths 0,20,100] [--rows 168] [--horizon 24]

Writes hourly series grouped by name to a Parquet file, trains one small network on some of them, and forecasts all of
them with every check on, 80 % intervals, a Parquet sink and the archive. Without paths the intervals come from held-
back errors alone; with paths the head is a normal distribution, whose intervals draw so many paths from each window.
Prints series per CPU second (of the whole process: start, reading, checks, forecasts, writing) and the peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

TRAINED_ON = 200
TSFORECAST = [sys.executable, "-m", "tsforecast"]
JOBS = """
archive: {folder}/archive
jobs:
  - {{name: all, run: {run}, data: {data}, horizon: {horizon}, sinks: [{{parquet: {folder}/out}}]}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", default="10000,100000", metavar="N,…")
    parser.add_argument("--paths", default="0,20,100", metavar="N,…")
    parser.add_argument("--rows", type=int, default=168, metavar="N")
    parser.add_argument("--horizon", type=int, default=24, metavar="N")
    options = parser.parse_args()
    counts, paths = (numbers(text) for text in (options.series, options.paths))
    print(f"{options.rows} rows of each series, {options.horizon} steps ahead")
    print(f"{'series':>10}{'paths':>8}{'CPU s':>10}{'series/CPU s':>14}{'MB at most':>12}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        runs = {n_paths: train(folder, options, n_paths) for n_paths in paths}
        for n_series in counts:
            data = folder / f"{n_series}.parquet"
            frame(n_series, options.rows).to_parquet(data, index=False)
            for n_paths, run in runs.items():
                seconds, megabytes = night(folder, data, run, n_paths, n_series, options.horizon)
                print(
                    f"{n_series:>10}{n_paths:>8}{seconds:>10.1f}{n_series / seconds:>14.0f}{megabytes:>12.0f}",
                    flush=True,
                )
            data.unlink()


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def frame(n_series: int, rows: int) -> pd.DataFrame:
    """Hourly series with a day in them, grouped by name."""
    generator = np.random.default_rng(0)
    hours = np.arange(rows)
    level = generator.uniform(10, 1000, (n_series, 1))
    y = level * (1 + 0.3 * np.sin(2 * np.pi * hours / 24) + generator.normal(0, 0.05, (n_series, rows)))
    names = pd.Categorical.from_codes(
        np.repeat(np.arange(n_series), rows), [f"s{k:07}" for k in range(n_series)]
    )
    ds = np.tile(pd.date_range("2026-01-01", periods=rows, freq="h").to_numpy(), n_series)
    return pd.DataFrame({"unique_id": names, "ds": ds, "y": y.ravel()})


def train(folder: Path, options: argparse.Namespace, n_paths: int) -> Path:
    """A run of 64 units, hardly trained: what it forecasts does not matter here."""
    data, config, run = folder / "train.parquet", folder / "train.yaml", folder / f"run-{n_paths}"
    frame(TRAINED_ON, options.rows).to_parquet(data, index=False)
    settings = {
        "data": {"path": str(data), "time": "ds", "target": "y", "id": "unique_id"},
        "horizon": options.horizon,
        "season_length": 24,
        "model": {"head": "normal" if n_paths else "mae"},
        "training": {"max_steps": 20},
        "forecast": {"quantile_levels": [0.1, 0.9]} | ({"paths": n_paths} if n_paths else {}),
    }
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    subprocess.run(
        [*TSFORECAST, "train", config, "--run", run, "--quiet"], check=True, stdout=subprocess.DEVNULL
    )
    return run


def night(
    folder: Path, data: Path, run: Path, n_paths: int, n_series: int, horizon: int
) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of one batch in a process of its own."""
    place = folder / f"night-{n_series}-{n_paths}"
    place.mkdir()
    jobs = place / "jobs.yaml"
    jobs.write_text(JOBS.format(folder=place, run=run, data=data, horizon=horizon), encoding="utf-8")
    return measured([*TSFORECAST, "batch", jobs])


def measured(words: Sequence[str | Path]) -> tuple[float, float]:
    process = subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words}: ended with {os.waitstatus_to_exitcode(status)}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return usage.ru_utime + usage.ru_stime, kilobytes / 1000


if __name__ == "__main__":
    main()
