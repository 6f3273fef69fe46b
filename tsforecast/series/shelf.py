"""Series that are put aside on the disk while others are at work, to be taken up again any number of times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tsforecast.errors import DataError
from tsforecast.series.isolate import Failure, Isolated
from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.storage.atomic import output_errors

__all__ = ["Parts", "Shelf"]

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


class Parts:
    """What was read of a source: all of it in memory, or part by part on a shelf, by rising names.

    Attributes:
        axis: of all parts; None where there are none with series.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._parts: list[tuple[Isolated, list[int]]] = []
        self.axis: TimeAxis | None = None

    def __iter__(self) -> Iterator[Isolated]:
        for read, numbers in self._parts:
            if not numbers:
                yield read
            else:
                panel, *fallbacks = map(self._shelf.take, numbers)
                yield replace(read, panel=panel, fallbacks=tuple(fallbacks))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Of all parts."""
        return tuple(failure for read, _ in self._parts for failure in read.failures)

    def add(self, read: Isolated) -> Isolated:
        """Takes a further part, puts it aside where there are others, and returns it on the axis of all.

        Raises:
            ResourceError: the disk is full.
        """
        panels = [one for one in (read.panel, *read.fallbacks) if one.n_series]
        if self.axis is None and panels:
            self.axis = panels[0].axis
        if not read.is_part:
            self._parts.append((read, []))
            return read
        if self.axis is not None:
            read = _on_axis(read, self.axis)
        numbers = [self._shelf.put(panel) for panel in (read.panel, *read.fallbacks)]
        self._parts.append((replace(read, panel=read.panel.select([]), fallbacks=()), numbers))
        return read


def _on_axis(read: Isolated, axis: TimeAxis) -> Isolated:
    """A part on the axis of the others; where its steps lie between theirs, its series are set apart."""
    panels = (read.panel, *read.fallbacks)
    try:
        panel, *fallbacks = (one.on_axis(axis) for one in panels)
    except DataError as error:
        reason = str(error).rstrip(".")
        names = [name for one in panels for name in one.unique_ids]
        failures = (*read.lost, *(Failure(name, error.code or "", reason) for name in names))
        return replace(read, panel=read.panel.select([]), fallbacks=(), failures=failures)
    return replace(read, panel=panel, fallbacks=tuple(fallbacks))
