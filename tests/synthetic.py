"""Small series for tests: what they look like is said by their arguments, not by a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import Config
from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import INTEGER, TimeAxis

__all__ = ["config", "panel_of", "seasonal_frame", "seasonal_series"]


def seasonal_series(
    length: int, *, season_length: int = 12, trend: float = 0.1, noise: float = 0.1, seed: int = 0
) -> np.ndarray:
    """A level, a trend, a season and some noise, ``(length,)``."""
    t = np.arange(length)
    random = np.random.default_rng(seed).normal(0, noise, length)
    return 10 + trend * t + 3 * np.sin(2 * np.pi * t / season_length) + random


def panel_of(
    *series: Sequence[float] | np.ndarray, freq: str = INTEGER, past: np.ndarray | None = None
) -> Panel:
    """A panel of these series, ``s0``, ``s1`` …, which all start at the origin of the axis."""
    origin = 0 if freq == INTEGER else pd.Timestamp("2020-01-01")
    lengths = [len(values) for values in series]
    y = np.concatenate([np.asarray(values, dtype=np.float64) for values in series])
    return Panel(
        axis=TimeAxis(freq=freq, origin=origin),
        unique_ids=tuple(f"s{k}" for k in range(len(series))),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        starts=np.zeros(len(series), dtype=np.int64),
        y=y,
        past=np.empty((len(y), 0)) if past is None else past,
        past_names=() if past is None else tuple(f"x{k}" for k in range(past.shape[1])),
    )


def seasonal_frame(
    *, n_series: int = 2, length: int = 72, freq: str = "MS", season_length: int = 12, seed: int = 0
) -> pd.DataFrame:
    """A long table ``unique_id, ds, y`` of seasonal series."""
    ds = pd.date_range("2015-01-01", periods=length, freq=freq)
    frames = [
        pd.DataFrame(
            {
                "unique_id": f"s{k}",
                "ds": ds,
                "y": seasonal_series(length, season_length=season_length, seed=seed + k).round(3),
            }
        )
        for k in range(n_series)
    ]
    return pd.concat(frames, ignore_index=True)


def config(**changes: object) -> Config:
    """Settings of a small training on a frame such as :func:`seasonal_frame`, with some of them changed."""
    settings: dict[str, object] = {
        "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
        "horizon": 6,
        "model": {"hidden_size": 8},
        "training": {"max_steps": 12, "batch_size": 16},
    }
    return config_from_mapping(settings | changes)
