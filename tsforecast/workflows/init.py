"""A starting config for a CSV file, written from what is found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tsforecast.config.schema import Config
from tsforecast.config.starter import StarterGuess, render_starter
from tsforecast.errors import ConfigError
from tsforecast.features.auto import resolve
from tsforecast.series.detect import Detected, detect
from tsforecast.storage.atomic import write_text

__all__ = ["InitResult", "default_path", "init"]


@dataclass(frozen=True, slots=True)
class InitResult:
    """A starting config.

    Attributes:
        text: the YAML.
        notes: what was guessed and from what, by config key.
    """

    text: str
    notes: dict[str, str]


def default_path(csv: Path) -> Path:
    """The config for a file, in the current folder: ``sales.yaml`` for ``data/sales.csv.gz``."""
    return Path(f"{csv.name.partition('.')[0]}.yaml")


def init(csv: Path, *, out: Path | None, overwrite: bool = False) -> InitResult:
    """Looks at a CSV file and writes a commented config that trains as it stands.

    Args:
        csv: the file, clean and in long form.
        out: where to write the config; None only returns it, with paths from the current folder.
        overwrite: replace a file that is there.

    Raises:
        ConfigError: ``out`` is there already, or cannot be written.
        DataError: the file cannot be read, or has a defect.
    """
    if out is not None and not overwrite and out.exists():
        raise ConfigError(
            f"{out}: this file exists; name another with --out, or replace it with --overwrite."
        )
    found = detect(csv)
    text = render_starter(_guess(found), config_path=out or default_path(csv))
    if out is not None:
        write_text(out, text)
    return InitResult(text=text, notes=found.notes)


def _guess(found: Detected) -> StarterGuess:
    """The guesses, with what ``auto`` comes to for the data as it is today."""
    data = found.data
    config = Config(data=data, horizon=found.horizon, season_length=found.season_lengths)
    today = resolve(config, found.panel)
    return StarterGuess(
        path=data.path,
        time=data.time,
        target=data.target,
        id=data.id,
        freq=data.freq,
        season_length=found.season_lengths,
        horizon=found.horizon,
        lookback_today=cast(int, today.lookback),
        validation_today=cast(int, today.split.validation),
        test_today=cast(int, today.split.test),
        notes=found.notes,
    )
