"""A forecast as the archive keeps it: with what will be needed to score it when its rows are gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from tsforecast import __version__
from tsforecast.config.drift import Drift
from tsforecast.config.location import kind_of, without_secrets
from tsforecast.evaluation.metrics import seasonal_scale
from tsforecast.series.naive import seasonal_naive
from tsforecast.series.panel import Panel
from tsforecast.workflows.predict import LoadedRun

__all__ = ["archived", "described"]

Table: TypeAlias = Any  # pyarrow ships no types


def archived(frame: pd.DataFrame, panels: Sequence[Panel], *, season_length: int) -> Table:
    """The forecast table as ``storage.archive.append`` takes it.

    Beside the forecasts stand, for each row, the scales of the errors (``scale`` of MASE, ``scale_rmse`` of RMSSE;
    missing where the series repeats itself exactly) and the forecast of the seasonal naive, all from the rows up to the
    cutoff. Of a part of the series it is the same, so that a long table can be made in shards.

    Args:
        frame: forecasts from the ends of series, such as ``Prediction.frame``; left as it is.
        panels: the rows of these series up to their cutoffs: ``Prediction.panel`` and ``Prediction.fallbacks``.
        season_length: steps in the season that is repeated; ``run.model.features.season_length``.

    Raises:
        ValueError: a forecast does not start at the end of a series of the panels.
    """
    names = pd.Index([name for panel in panels for name in panel.unique_ids])
    series = names.get_indexer(pd.Index(frame["unique_id"]))
    if (series < 0).any():
        raise ValueError(
            f"series {frame['unique_id'].iloc[int(np.argmin(series))]!r} is in none of the panels"
        )
    filled = [panel for panel in panels if panel.n_series]
    ends = pd.Index(np.concatenate([_ends(panel) for panel in filled]))
    if not np.array_equal(ends.take(series), frame["cutoff"].to_numpy()):
        raise ValueError("a forecast does not start at the end of its series")
    scales = [seasonal_scale(panel, panel.last_cutoffs, season_length) for panel in filled]
    horizon = int(frame["lead_time"].max())
    naive = np.concatenate(
        [seasonal_naive(panel, panel.last_cutoffs, horizon, season_length) for panel in filled]
    )
    table = frame.assign(
        scale=np.concatenate([scale.mae for scale in scales])[series],
        scale_rmse=np.concatenate([scale.rmse for scale in scales])[series],
        seasonal_naive=naive[series, frame["lead_time"].to_numpy() - 1],
    )
    return pa.Table.from_pandas(table, preserve_index=False)


def described(
    run: LoadedRun, source: str | None, *, horizon: int, drop_last: int = 0, drift: Drift | None = None
) -> dict[str, Any]:
    """What the archive keeps about a set of forecasts beside the forecasts, as plain values without secrets.

    Args:
        run: that made them.
        source: where the rows came from; None where the run's own were used.
        horizon: steps that were forecast.
        drop_last: newest steps of the data that were left out as incomplete; scoring leaves them out as well.
        drift: the alarm that ``tsforecast score`` watches where none is given to it.
    """
    from tsforecast.workflows.train import model_name  # draws, and so imports what it draws with

    path = run.config.data.path if source is None else source
    if kind_of(path) == "files":  # whoever scores stands in another folder
        path = str(Path(path).absolute())
    is_mean = run.model.network.head.kind.is_mean and run.model.transform.name == "none"
    return {
        "tsforecast": __version__,
        "model": model_name(run.config),
        "horizon": horizon,
        "season_length": run.model.features.season_length,
        "freq": run.tail.axis.freq,
        "timezone": run.tail.axis.timezone,
        "point": "mean" if is_mean else "median",
        "drop_last": drop_last,
        "drift": None if drift is None else drift.model_dump(),
        "data": run.config.data.model_dump(mode="json") | {"path": without_secrets(path)},
    }


def _ends(panel: Panel) -> Any:
    return np.asarray(panel.axis.timestamps(panel.positions(panel.last_cutoffs)))
