"""A starting config for a CSV file, written from what is found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from tsforecast.config.schema import Config
from tsforecast.config.starter import StarterGuess, render_starter
from tsforecast.errors import ConfigError
from tsforecast.features.auto import resolve
from tsforecast.features.transforms import check_values
from tsforecast.series.detect import Detected, detect
from tsforecast.series.magnitude import LARGEST
from tsforecast.series.read import read_table
from tsforecast.storage.atomic import write_text

__all__ = ["InitResult", "default_path", "init"]

FROM_TIME = ("data.freq", "season_length")  # what cannot be said before it is known how time is written


@dataclass(frozen=True, slots=True)
class InitResult:
    """A starting config.

    Attributes:
        text: the YAML.
        notes: what was guessed, how surely and from what, by config key.
        warnings: what was changed in reading, and what has to be answered before training.
        questions: the keys that have to be answered.
    """

    text: str
    notes: dict[str, str]
    warnings: dict[str, str]
    questions: tuple[str, ...]


def default_path(csv: Path) -> Path:
    """The config for a file, in the current folder: ``sales.yaml`` for ``data/sales.csv.gz``."""
    return Path(f"{csv.name.partition('.')[0]}.yaml")


def init(csv: Path, *, out: Path | None, overwrite: bool = False) -> InitResult:
    """Looks at a CSV file and writes a commented config that trains as it stands.

    Args:
        csv: the file, in long or wide form.
        out: where to write the config; None only returns it, with paths from the current folder.
        overwrite: replace a file that is there.

    Raises:
        ConfigError: ``out`` is there already, or cannot be written.
        DataError: the file cannot be read, or has a defect that no repair policy mends.
    """
    if out is not None and not overwrite and out.exists():
        raise ConfigError(
            f"{out}: this file exists; name another with --out, or replace it with --overwrite."
        )
    found = detect(csv)
    _refuse_values(found)
    text = render_starter(_guess(found), config_path=out or default_path(csv))
    if out is not None:
        write_text(out, text)
    return InitResult(text=text, notes=found.notes, warnings=found.warnings, questions=tuple(found.questions))


def _refuse_values(found: Detected) -> None:
    """Refuses the values that training would refuse."""
    if (np.abs(found.panel.y) > LARGEST).any():
        config = Config(data=found.data, horizon=found.horizon)
        check_values(found.panel, read_table(found.data), config, where=found.data.path)


def _guess(found: Detected) -> StarterGuess:
    """The guesses, with what ``auto`` comes to for the data as it is today.

    Where the user has to say what the timestamps mean, what follows from them is left to be found then.
    """
    data = found.data
    is_open = data.freq == "auto"
    config = Config(data=data, horizon=found.horizon, season_length=found.season_lengths)
    today = resolve(config, found.panel)
    steps = {
        "lookback_today": cast(int, today.lookback),
        "validation_today": cast(int, today.split.validation),
        "test_today": cast(int, today.split.test),
    }
    notes = {key: note for key, note in found.notes.items() if not (is_open and key in FROM_TIME)}
    return StarterGuess(
        path=data.path,
        time=data.time,
        target=data.target,
        id=data.id,
        freq=data.freq,
        season_length="auto" if is_open else found.season_lengths,
        horizon=found.horizon,
        settings=_settings(found),
        notes=notes | {key: f"{text}." for key, text in found.warnings.items() if key not in found.notes},
        **({} if is_open else steps),
    )


def _settings(found: Detected) -> dict[str, Any]:
    """The keys of format and repair that are not at their defaults, and the open questions."""
    settings: dict[str, Any] = {}
    for section in ("format", "repair"):
        part = getattr(found.data, section)
        for name, field in type(part).model_fields.items():
            key = f"data.{section}.{name}"
            value = found.questions.get(key, getattr(part, name))
            if value != field.default:
                settings[key] = value
    return settings
