"""The commented YAML that ``tsforecast init`` writes for a file it has looked at."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tsforecast.config.document import value_text
from tsforecast.config.schema import CONFIG_KEYS

__all__ = ["StarterGuess", "render_starter"]

COMMENT_COLUMN = 32
MAX_VALUE = 60  # a longer value has its comment on the line above


@dataclass(frozen=True)
class StarterGuess:
    """What was found in a file.

    Attributes:
        path: the file, absolute or from the current folder on.
        time: column of timestamps, or all columns they stand in.
        target: column to forecast, or all columns of a wide file.
        id: column that names the series, or all columns that do.
        freq: pandas offset alias, or `integer`.
        season_length: steps in each season, the most important first, or `auto`.
        horizon: steps to forecast.
        lookback_today: what `lookback: auto` comes to with the data as it is, None where nobody can say.
        validation_today: the same for `split.validation`.
        test_today: the same for `split.test`.
        settings: further keys of `data` that the file needs, with their values, by dotted key.
        notes: what the user should know, by dotted key.
    """

    path: str
    time: str | list[str]
    target: str | list[str]
    id: str | list[str] | None
    freq: str
    season_length: list[int] | str
    horizon: int
    lookback_today: int | None = None
    validation_today: int | None = None
    test_today: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def render_starter(guess: StarterGuess, *, config_path: Path) -> str:
    """Commented YAML that loads as the guess; what follows from the horizon stays `auto`.

    Args:
        guess: what was found.
        config_path: where the YAML will be written; paths in it start from there.
    """
    values = {
        "data.path": _path_from(config_path.parent, guess.path),
        "data.time": guess.time,
        "data.target": guess.target,
        "data.id": guess.id,
        "data.freq": guess.freq,
        **guess.settings,
        "horizon": guess.horizon,
        "lookback": "auto",
        "season_length": guess.season_length,
        "split.validation": "auto",
        "split.test": "auto",
        "model.cell": CONFIG_KEYS["model.cell"].default,
        "training.max_steps": "auto",
        "forecast.fallback": "seasonal_naive",
    }
    today = {
        "lookback": guess.lookback_today,
        "split.validation": guess.validation_today,
        "split.test": guess.test_today,
    }
    head = [
        f"# Forecasts {_subject(guess)}; run: tsforecast train {shlex.quote(str(config_path))}",
        "# Every other key has a default: see `tsforecast config show FILE` and docs/config.md.",
        *(note for key, note in guess.notes.items() if key not in values),
    ]
    return "\n".join([*map(_comment, head), *_body(values, today, guess.notes)]) + "\n"


def _subject(guess: StarterGuess) -> str:
    what = repr(guess.target) if isinstance(guess.target, str) else f"{len(guess.target)} series"
    return f"{what} {guess.horizon} steps ahead"


def _body(values: Mapping[str, Any], today: Mapping[str, int | None], notes: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    open_sections: list[str] = []
    for key, value in values.items():
        *sections, name = key.split(".")
        for depth, section in enumerate(sections):
            if open_sections[: depth + 1] != sections[: depth + 1]:
                lines.append(f"{'  ' * depth}{section}:")
        open_sections = sections
        indent = "  " * len(sections)
        comment = str(CONFIG_KEYS[key].description).rstrip(".")
        comment += f"; today: {today[key]}" if today.get(key) is not None else ""
        if key in notes:
            lines.append(indent + _comment(notes[key]))
        lines += _entry(f"{indent}{name}: ", value_text(value), indent + _comment(comment))
    return lines


def _entry(start: str, value: str, comment: str) -> list[str]:
    if len(value) > MAX_VALUE:
        return [comment, start + value]
    return [f"{start + value:<{COMMENT_COLUMN}}  {comment.lstrip()}"]


def _comment(text: str) -> str:
    """One comment line, whatever the text holds: a line break in a name must not end it."""
    line = " ".join(text.removeprefix("#").split())
    return "# " + "".join(letter if letter.isprintable() else "?" for letter in line)


def _path_from(folder: Path, path: str) -> str:
    """The path as it is written in a config in that folder."""
    relative = os.path.relpath(Path(path).absolute(), folder.resolve())
    return f"./{relative}" if relative.startswith(("-", "~")) else relative
