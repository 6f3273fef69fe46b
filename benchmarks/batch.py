"""The nightly run: `tsforecast batch` from process start to written forecasts, by number of series and of sample paths.

    python benchmarks/batch.py [--series 10000,100000] [--order name,time] [--paths 0,20,100]
                               [--rows 168] [--horizon 24] [--format parquet,csv]

Writes hourly series to a file, its rows in the order of names or of time, trains one small network on some of
them, and forecasts all of them with every check on, 80 % intervals, a Parquet sink and the archive. Without paths the
intervals come from held-back errors alone; with paths the head is a normal distribution, whose intervals draw so many
paths from each window.
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
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

WRITERS = {".parquet": pq.ParquetWriter, ".csv": pacsv.CSVWriter}
LINE = "{:>8}{:>10}{:>11}{:>7}{:>10}{:>14}{:>12}"
TRAINED_ON = 200
ROWS_AT_A_TIME = 1_000_000
START, HOUR = np.datetime64("2026-01-01", "us"), np.timedelta64(3_600_000_000, "us")
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
    parser.add_argument("--order", default="name", metavar="name,time", help="of the rows of the file")
    parser.add_argument("--format", default="parquet", metavar="parquet,csv", help="of the file")
    options = parser.parse_args()
    counts, paths = (numbers(text) for text in (options.series, options.paths))
    print(f"{options.rows} rows of each series, {options.horizon} steps ahead")
    print(
        LINE.format("format", "series", "sorted by", "paths", "CPU s", "series/CPU s", "MB at most"),
        flush=True,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        runs = {n_paths: train(folder, options, n_paths) for n_paths in paths}
        for kind, n_series, order in product(options.format.split(","), counts, options.order.split(",")):
            data = folder / f"{n_series}-{order}.{kind}"
            write(data, n_series, options.rows, order)
            for n_paths, run in runs.items():
                seconds, megabytes = night(folder, data, run, n_paths, options.horizon)
                rate = f"{n_series / seconds:.0f}"
                print(
                    LINE.format(kind, n_series, order, n_paths, f"{seconds:.1f}", rate, f"{megabytes:.0f}"),
                    flush=True,
                )
            data.unlink()


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def write(path: Path, n_series: int, rows: int, order: str) -> None:
    """Hourly series with a day in them, a group of rows at a time: some series, or some hours of all."""
    generator = np.random.default_rng(0)
    hours, series = np.arange(rows), np.arange(n_series)
    level = generator.uniform(10, 1000, n_series)
    size = max(1, ROWS_AT_A_TIME // (rows if order == "name" else n_series))
    writer = None
    for start in range(0, n_series if order == "name" else rows, size):
        part = slice(start, start + size)
        name, hour = (series[part], hours) if order == "name" else (series, hours[part])
        y = level[name, None] * (
            1 + 0.3 * np.sin(2 * np.pi * hour / 24) + generator.normal(0, 0.05, (len(name), len(hour)))
        )
        names, ds = np.repeat(name, len(hour)), np.tile(hour, len(name))
        if order == "time":
            y, names, ds = y.T, np.tile(name, len(hour)), np.repeat(hour, len(name))
        of = pa.DictionaryArray.from_arrays(
            pa.array((names - names.min()).astype(np.int32)),
            pa.array([f"s{k:07}" for k in range(names.min(), names.max() + 1)]),
        )
        table = pa.table({"unique_id": of.cast(pa.string()), "ds": START + ds * HOUR, "y": y.ravel()})
        writer = writer or WRITERS[path.suffix](path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def train(folder: Path, options: argparse.Namespace, n_paths: int) -> Path:
    """A run of 64 units, hardly trained: what it forecasts does not matter here."""
    data, config, run = folder / "train.parquet", folder / "train.yaml", folder / f"run-{n_paths}"
    write(data, TRAINED_ON, options.rows, "name")
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


def night(folder: Path, data: Path, run: Path, n_paths: int, horizon: int) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of one batch in a process of its own."""
    place = folder / f"night-{data.stem}-{n_paths}"
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
