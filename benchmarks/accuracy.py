"""The shipped defaults on sets of forecasting data, beside the seasonal naive: accuracy, coverage, CPU seconds.

    python benchmarks/accuracy.py --data DIR [--sets m4_hourly,…] [--seeds N] [--budget SECONDS] [--inside]

DIR holds a folder for each set: ``train.csv`` (or ``train.csv.gz``) and ``test.csv``, or one ``data.csv``, and a
``meta.json`` with ``season`` and ``horizon``. For each set a config is drafted by ``tsforecast init`` from the training
file, ``horizon`` is set, the model is trained from that and forecasts what comes after: nothing else is said about a
set. A set of few long series is forecast from several cutoffs by the model trained once.

``--inside`` leaves the test part alone and holds back the end of the training part instead: everything that is to be
chosen is chosen so. ``--set key=value`` changes a setting on all sets, to see what it is worth.

Season and unit of MASE are those of the set's ``meta.json``, not of the config. Skill is 1 less the ratio of the MASE
to the seasonal naive's; ``alone`` is that of the network without the fallback, beside the share of the series that
fell back. Coverage is that of the interval from 0.1 to 0.9, at the first, all and the last lead times.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pandas as pd

from tsforecast.config.load import load_config, with_overrides
from tsforecast.config.schema import Config
from tsforecast.evaluation.baselines import naive2, seasonal_naive
from tsforecast.evaluation.metrics import Interval, coverage, mase, owa, seasonal_scale, smape
from tsforecast.evaluation.scores import actuals, aligned, rolling_cutoffs
from tsforecast.forecasting.forecast import forecast, forecast_values
from tsforecast.runtime import keep_freed_memory
from tsforecast.series.panel import Cutoffs, FloatArray, Panel
from tsforecast.workflows.init import init
from tsforecast.workflows.train import Trained, read_data, train

LEVELS = (0.1, 0.5, 0.9)
# Sets of few long series: how many windows are forecast, and the rows before each cutoff that give MASE its unit.
ROLLING = {"pjm_load": (28, 28 * 24), "vic_elec": (28, 14 * 48), "ett_h1": (30, 28 * 24)}
# Where one file holds everything and names more than one horizon.
HORIZONS = {"ett_h1": 96}
ROWS = {"ett_h1": 14_400}
# A set with what is known in advance; only the user can say that it is.
WITH_COVARIATES = {"vic_elec_known": ("vic_elec", "data.covariates.future=[temperature, holiday]")}


@dataclass(frozen=True, slots=True)
class DataSet:
    """A set on disk as it is used here.

    Attributes:
        name: as printed.
        train: the file that is learned from.
        whole: the same rows and those that are forecast.
        horizon: steps of each forecast.
        season: steps in the season that scores.
        n_windows: forecasts of each series, one horizon apart.
        scale_rows: rows before each cutoff that give MASE its unit; None for all before the first cutoff.
        settings: what a user would have to say.
    """

    name: str
    train: Path
    whole: Path
    horizon: int
    season: int
    n_windows: int
    scale_rows: int | None
    settings: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sets", default="", help="names with commas between them; all by default")
    parser.add_argument("--seeds", type=int, default=1, metavar="N")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="of each training")
    parser.add_argument("--inside", action="store_true", help="hold back the end of the training part")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"{options.data}: there is no such folder of data sets; nothing was measured")
    names = [name for name in options.sets.split(",") if name] or sets_in(options.data)
    if not names:
        raise SystemExit(
            f"{options.data}: no set is in this folder (a folder with meta.json); nothing was measured"
        )
    logging.basicConfig(level=logging.ERROR)
    keep_freed_memory()
    settings = list(options.settings)
    if options.budget:
        settings.append(f"training.budget={options.budget:g}s")
    rows: dict[str, list[str]] = {}
    for name in names:
        with data_set(options.data, name, inside=options.inside) as found:
            if found is None:
                print(f"{name}: {options.data} has no such set; it is left out", file=sys.stderr)
                continue
            measured = [measure(found, settings, seed=seed) for seed in range(1, options.seeds + 1)]
        rows[name] = [over_seeds([one[key] for one in measured]) for key in measured[0]]
        print(f"{name}: {dict(zip(measured[0], rows[name], strict=True))}", file=sys.stderr, flush=True)
        titles = list(measured[0])
    part = "the end of the training parts" if options.inside else "the test parts"
    print(f"Scored on {part}; {options.seeds} seed(s), mean ± standard deviation")
    print(aligned(list(rows), {title: [row[k] for row in rows.values()] for k, title in enumerate(titles)}))


def sets_in(data: Path) -> list[str]:
    """Names of the sets in a folder, and of those that are used twice."""
    found = sorted(path.parent.name for path in data.glob("*/meta.json"))
    return found + [name for name, (of, _) in WITH_COVARIATES.items() if of in found]


@contextmanager
def data_set(data: Path, name: str, *, inside: bool) -> Iterator[DataSet | None]:
    """The set with its files cut as they are needed, None where the folder has none of this name."""
    of, *settings = WITH_COVARIATES.get(name, (name,))
    folder = data / of
    if not (folder / "meta.json").is_file():
        yield None
        return
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    horizon = HORIZONS.get(of) or int(meta["horizon"])
    n_windows, scale_rows = ROLLING.get(of, (1, None))
    learned, whole = parts(folder, steps=n_windows * horizon, rows=ROWS.get(of))
    if inside:
        learned, whole = without_last(learned, n_windows * horizon), learned
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / f"{of}.csv", Path(scratch) / "whole.csv"
        for frame, file in zip((learned, whole), files, strict=True):
            frame.to_csv(file, index=False)
        if meta.get("wide"):  # nothing in a file tells a series from what drives one
            settings.append(f"data.target=[{', '.join(map(str, learned.columns[1:]))}]")
        yield DataSet(
            name=name,
            train=files[0],
            whole=files[1],
            horizon=horizon,
            season=int(meta["season"]),
            n_windows=n_windows,
            scale_rows=scale_rows,
            settings=tuple(settings),
        )


def parts(folder: Path, *, steps: int, rows: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is learned from, and the same with what is forecast, as text, so that no digit is lost."""
    if (folder / "data.csv").is_file():
        whole = pd.read_csv(folder / "data.csv", dtype=str, nrows=rows)
        return without_last(whole, steps), whole
    train = next(folder.glob("train.csv*"))
    learned = pd.read_csv(train, dtype=str)
    whole = pd.concat([learned, pd.read_csv(folder / "test.csv", dtype=str)], ignore_index=True)
    return learned, whole


def without_last(frame: pd.DataFrame, steps: int) -> pd.DataFrame:
    """The table without the last rows of each series; in a wide file all series have the same rows."""
    if "unique_id" not in frame:
        return frame.iloc[:-steps]
    kept = frame.groupby("unique_id", sort=False).cumcount(ascending=False) >= steps
    return frame[kept]


def measure(found: DataSet, settings: Sequence[str], *, seed: int) -> dict[str, float]:
    """The figures of one training on one set."""
    draft = found.train.with_suffix(".yaml")
    init(found.train, out=draft, overwrite=True)
    config = load_config(draft, environ={})
    given = (f"horizon={found.horizon}", f"training.seed={seed}", *found.settings, *settings)
    config = with_overrides(config, given)
    started = time.process_time()
    trained = train(config, path=found.train.with_name("run"), overwrite=True)
    seconds = time.process_time() - started
    scores = scored(found, trained, config)
    gc.collect()
    return scores | {"CPU s": seconds}


def scored(found: DataSet, trained: Trained, config: Config) -> dict[str, float]:
    """Scores of the model beside the seasonal naive, each series weighing the same."""
    whole = config.data.model_copy(update={"path": str(found.whole)})
    panel = read_data(config.model_copy(update={"data": whole})).panel
    cutoffs = rolling_cutoffs(panel, horizon=found.horizon, test=found.n_windows * found.horizon)
    y = actuals(panel, cutoffs, found.horizon)
    scale = unit_of(panel, cutoffs, found)
    made = forecast_values(trained.model, panel, cutoffs, found.horizon, quantile_levels=LEVELS)
    alone = forecast(replace(trained.model, falls_back=None), panel, cutoffs, found.horizon).y_hat
    y_hat, low, high = made[..., 0], made[..., 1], made[..., 3]
    naive = seasonal_naive(panel, cutoffs, found.horizon, found.season)
    own, reference = (np.nanmean(mase(y, x, scale)) for x in (y_hat, naive))
    other = naive2(panel, cutoffs, found.horizon, found.season)
    relative = owa(
        np.array(np.nanmean(smape(y, y_hat)) / np.nanmean(smape(y, other))),
        np.array(own / np.nanmean(mase(y, other, scale))),
    )
    return {
        "sMAPE": float(np.nanmean(smape(y, y_hat))),
        "MASE": float(own),
        "OWA": float(relative),
        "snaive MASE": float(reference),
        "skill": float(1 - own / reference),
        "alone": float(1 - np.nanmean(mase(y, alone, scale)) / reference),
        "fell back": trained.fell_back,
    } | covered(y, low, high)


def covered(y: FloatArray, low: FloatArray, high: FloatArray) -> dict[str, float]:
    """Share of the values in the interval, at the first, all and the last lead times."""
    steps = {"first": slice(0, 1), "all": slice(None), "last": slice(-1, None)}
    return {
        name: float(np.nanmean(coverage(y[:, at], Interval(low[:, at], high[:, at], 0.8))))
        for name, at in steps.items()
    }


def unit_of(panel: Panel, cutoffs: Cutoffs, found: DataSet) -> FloatArray:
    """Mean seasonal change before each cutoff."""
    if found.scale_rows is None:
        return seasonal_scale(panel, cutoffs, found.season).mae
    rows = cutoffs.rows[:, None] - np.arange(found.scale_rows - found.season)
    unit: FloatArray = np.nanmean(np.abs(panel.y[rows] - panel.y[rows - found.season]), axis=1)
    return unit


def over_seeds(values: Sequence[float]) -> str:
    digits = 1 if max(values) > 10 else 3
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}"


if __name__ == "__main__":
    main()
