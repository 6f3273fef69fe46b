"""A folder with jobs, a run and data, as the tests of unattended runs begin with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from synthetic import seasonal_frame
from test_cli import tsforecast

__all__ = ["CONFIG", "JOBS", "outputs", "prepare", "status_of", "tsforecast", "write_data"]

CONFIG = """\
data: {path: sales.csv, time: ds, target: y, id: unique_id}
horizon: 7
model: {hidden_size: 4}
training: {max_steps: 4, batch_size: 16, final_fit: false}
scaling: standard
"""
JOBS = """\
archive: archive
jobs:
  - name: sales
    run: runs/sales
    sinks:
      - csv: out/sales.csv
      - parquet: out/parquet
      - sql: sqlite:///out/sales.db
"""


def write_data(folder: Path, *, days: int = 90, n_series: int = 5) -> pd.DataFrame:
    """Daily sales, from 2015 on; more days are the same days and some more."""
    frame = seasonal_frame(n_series=n_series, length=200, freq="D", season_length=7)
    frame = frame.groupby("unique_id").head(days).reset_index(drop=True)
    frame.to_csv(folder / "sales.csv", index=False)
    return frame


def prepare(folder: Path, trained: Path | None = None, *, jobs: str = JOBS) -> Path:
    """The folder with data, config, jobs and a copy of a run that was trained on this data."""
    write_data(folder)
    (folder / "sales.yaml").write_text(CONFIG)
    (folder / "jobs.yaml").write_text(jobs)
    if trained is not None:
        shutil.copytree(trained, folder / "runs" / "sales")
    return folder


def status_of(folder: Path, name: str = "jobs") -> dict[str, Any]:
    """What the status file says."""
    document: dict[str, Any] = json.loads((folder / f"{name}.status.json").read_text())
    return document


def outputs(folder: Path) -> dict[str, bytes]:
    """What batch wrote but for status and locks, by path."""
    found = [path for top in ("out", "archive") for path in (folder / top).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if not (path.name.startswith(".") and path.name.endswith(".lock"))
    }
