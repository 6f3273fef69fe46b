"""Panels that are put aside on the disk while others are at work, to be taken up again any number of times."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.atomic import output_errors

__all__ = ["Shelf"]

ARRAYS = ("offsets", "starts", "y", "past", "future", "future_offsets", "static")


class Shelf:
    """A folder of panels by their numbers, for as long as the process runs; somebody else makes and removes it."""

    def __init__(self, folder: Path, name: Path) -> None:
        self._folder, self._name, self._count = folder, name, 0

    def put(self, panel: Panel) -> int:
        """The number under which the panel is found again.

        Raises:
            ResourceError: the disk is full.
        """
        self._count += 1
        rest: dict[str, Any] = {
            field.name: getattr(panel, field.name) for field in fields(Panel) if field.name not in ARRAYS
        }
        with output_errors(self._name):
            for name in ARRAYS:
                np.save(self._path(self._count, name), getattr(panel, name), allow_pickle=False)
            text = json.dumps(rest | {"axis": panel.axis.to_json()})
            self._path(self._count, "rest").with_suffix(".json").write_text(text, encoding="utf-8")
        return self._count

    def take(self, number: int) -> Panel:
        """A panel as it was put there."""
        with output_errors(self._name):
            arrays = {name: np.load(self._path(number, name), allow_pickle=False) for name in ARRAYS}
            rest = json.loads(self._path(number, "rest").with_suffix(".json").read_text(encoding="utf-8"))
        rest["axis"] = TimeAxis.from_json(rest["axis"])
        names = {name: tuple(rest[name]) for name in rest if isinstance(rest[name], list)}
        categories = {name: tuple(words) for name, words in rest["categories"].items()}
        return Panel(**rest | names | arrays | {"categories": categories})

    def _path(self, number: int, name: str) -> Path:
        return self._folder / f"{number}.{name}.npy"
