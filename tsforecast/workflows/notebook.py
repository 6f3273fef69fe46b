"""The front door for notebooks: the same work as the command line, with frames in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tsforecast.config.load import config_from_mapping, load_config
from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError
from tsforecast.evaluation.scores import Scores
from tsforecast.series.cut import Cut
from tsforecast.workflows import predict as predicting
from tsforecast.workflows import train as training

__all__ = ["Run", "load", "train"]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A trained model with its run folder.

    Attributes:
        path: the run folder.
        config: with every ``auto`` resolved.
        scores: on the test part, straight after training; None for a loaded run (see ``metrics.json``).
    """

    path: Path
    config: Config
    scores: Scores | None
    _loaded: predicting.LoadedRun

    def predict(
        self,
        data: pd.DataFrame | str | Path | None = None,
        *,
        horizon: int | None = None,
        as_of: str | None = None,
        drop_last: int = 0,
        quantile_levels: Sequence[float] | None = None,
        future: pd.DataFrame | str | Path | None = None,
    ) -> pd.DataFrame:
        """The forecast table ``tsforecast predict`` writes: ``unique_id, ds, cutoff, lead_time, y_hat, q…``.

        Args:
            data: rows with the columns of the training data; None starts from the rows the run keeps.
            horizon: steps to forecast; None takes the trained horizon.
            as_of: forget everything after this timestamp.
            drop_last: forget so many steps before the end of each series.
            quantile_levels: None takes those of the config.
            future: values of the future covariates over the horizon.
        """
        frame, _ = predicting.predict(
            self._loaded,
            data,
            horizon=horizon,
            as_of=as_of,
            drop_last=drop_last,
            quantile_levels=quantile_levels,
            future=future,
        )
        return frame


def train(
    config: Config | Mapping[str, Any] | str | Path,
    *,
    run: str | Path | None = None,
    data: pd.DataFrame | None = None,
    overwrite: bool = False,
    as_of: str | None = None,
    drop_last: int = 0,
) -> Run:
    """Trains as ``tsforecast train`` does and writes the run folder.

    Args:
        config: a YAML file, its content as a mapping, or a loaded config.
        run: the run folder to write; ``runs/<name of the file>`` where the config is a file.
        data: rows to use instead of ``data.path``, with the columns the config names.
        overwrite: replace a run that is there.
        as_of: leave out everything after this timestamp.
        drop_last: leave out so many steps before the end of each series.
    """
    if run is None:
        if not isinstance(config, str | Path):
            raise ConfigError(
                "tsforecast.train: a config that is not a file needs run='runs/NAME', the folder to write."
            )
        run = Path("runs") / Path(config).stem
    if isinstance(config, str | Path):
        config = load_config(Path(config))
    elif not isinstance(config, Config):
        config = config_from_mapping(config)
    trained = training.train(
        config, path=Path(run), overwrite=overwrite, source=data, cut=Cut(as_of, drop_last)
    )
    loaded = predicting.load_run(trained.path, device=trained.config.runtime.device)
    return Run(path=trained.path, config=trained.config, scores=trained.scores, _loaded=loaded)


def load(run: str | Path) -> Run:
    """A run folder, verified and ready to forecast."""
    loaded = predicting.load_run(Path(run))
    return Run(path=loaded.path, config=loaded.config, scores=None, _loaded=loaded)
