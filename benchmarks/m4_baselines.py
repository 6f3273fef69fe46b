"""The baselines on the M4 competition's data beside the figures its organisers published.

    python benchmarks/m4_baselines.py --data DIR

DIR holds ``m4_hourly`` and ``m4_weekly``, each with ``train.csv.gz``, ``test.csv`` (``unique_id,ds,y``) and
``meta.json`` (``season``, ``horizon``). Prints mean sMAPE, mean MASE and OWA of every baseline, and the organisers'
figures where they published them (Makridakis, Spiliotis, Assimakopoulos 2020, and the repository M4-methods).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tsforecast.evaluation.baselines import BASELINES
from tsforecast.evaluation.scores import aligned, rolling_cutoffs, score
from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import INTEGER, TimeAxis

PUBLISHED = {
    "m4_hourly": {"naive2": (18.383, 2.395), "seasonal_naive": (13.912, 1.193)},
    "m4_weekly": {"naive2": (9.161, 2.777)},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    for name, published in PUBLISHED.items():
        table, n_series = m4_scores(options.data / name, list(BASELINES))
        figures = {model: f"{smape:.3f} {mase:.3f}" for model, (smape, mase) in published.items()}
        columns = {
            "sMAPE": [f"{value:.3f}" for value in table["smape"]],
            "MASE": [f"{value:.3f}" for value in table["mase"]],
            "OWA": [f"{value:.3f}" for value in table["owa"]],
            "published": [figures.get(str(model), "-") for model in table.index],
        }
        print(f"{name}: {n_series} series")
        print(aligned([str(model) for model in table.index], columns))


def m4_scores(folder: Path, names: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Scores of these baselines on the official test part, a row each, and the number of series."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    panel = read_m4(folder)
    horizon, season = meta["horizon"], meta["season"]
    cutoffs = rolling_cutoffs(panel, horizon=horizon, test=horizon)
    forecasts = {name: BASELINES[name](panel, cutoffs, horizon, season) for name in dict.fromkeys(names)}
    found = score(panel, cutoffs, forecasts, season_length=season)
    return found.by_model, found.n_series


def read_m4(folder: Path) -> Panel:
    """Training and test part of each series, one after the other, counted in integers."""
    frame = pd.concat([pd.read_csv(folder / name) for name in ("train.csv.gz", "test.csv")])
    frame = frame.sort_values("unique_id", kind="stable")
    names, lengths = np.unique(frame["unique_id"].to_numpy(str), return_counts=True)
    return Panel(
        axis=TimeAxis(freq=INTEGER, origin=0),
        unique_ids=tuple(names.tolist()),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        starts=np.zeros(len(lengths), dtype=np.int64),
        y=frame["y"].to_numpy(np.float64),
        past=np.empty((len(frame), 0)),
    )


if __name__ == "__main__":
    main()
