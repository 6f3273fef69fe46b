"""Series that are put aside on the disk while others are at work, to be taken up again any number of times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.words import shown
from tsforecast.errors import DataError, TsforecastError
from tsforecast.series.isolate import Failure, Isolated
from tsforecast.series.panel import Panel
from tsforecast.series.timeaxis import INTEGER, TimeAxis, TimeIndex
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


@dataclass(slots=True, eq=False)
class _Part:
    """A part that was read.

    Attributes:
        read: it; on the shelf are its panels, where there are other parts.
        numbers: of its panels on the shelf, or none.
        axis: of its series; None where it has none.
        newest: the newest time that a series of it reaches.
        n_rows: number of rows.
        is_used: whether it has a series that is good.
    """

    read: Isolated
    numbers: list[int]
    axis: TimeAxis | None
    newest: Any
    n_rows: int
    is_used: bool


class Parts:
    """What was read of a source: all of it in memory, or part by part on a shelf, by rising names.

    Attributes:
        axis: of all parts, once they are settled.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._parts: list[_Part] = []
        self.axis = TimeAxis(INTEGER, 0)

    def __iter__(self) -> Iterator[Isolated]:
        for part in self._parts:
            if not part.numbers:
                yield part.read
                continue
            panel, *fallbacks = map(self._shelf.take, part.numbers)
            on_axis = (one.on_axis(self.axis) for one in fallbacks)
            yield replace(part.read, panel=panel.on_axis(self.axis), fallbacks=tuple(on_axis))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Of all parts."""
        return tuple(failure for part in self._parts for failure in part.read.failures)

    @property
    def newest(self) -> int:
        """Axis position of the newest step that any series reaches."""
        moment = max(part.newest for part in self._parts if part.axis is not None)
        return int(self.axis.floor(_times(moment, self.axis))[0])

    def add(self, read: Isolated) -> None:
        """Takes a further part, and puts it aside where there are others.

        Raises:
            ResourceError: the disk is full.
        """
        filled = [one for one in (read.panel, *read.fallbacks) if one.n_series]
        newest = max(
            (one.axis.timestamps(one.positions(one.last_cutoffs).max(keepdims=True))[0] for one in filled),
            default=None,
        )
        n_rows = sum(len(one.y) for one in filled)
        numbers, is_used = [], read.panel.n_series > 0
        if read.is_part:
            numbers = [self._shelf.put(one) for one in (read.panel, *read.fallbacks)]
            read = replace(read, panel=read.panel.select([]), fallbacks=())
        self._parts.append(_Part(read, numbers, filled[0].axis if filled else None, newest, n_rows, is_used))

    def settle(self, *, where: str, policy: str) -> None:
        """Ends the reading: no further part comes, and those that are there get one axis.

        It is the one on which most rows lie; series whose steps lie between its own are set apart.

        Args:
            where: the source, for messages.
            policy: ``data.on_bad_series``.

        Raises:
            TsforecastError: no series is good: what stands against the first part.
            DataError: a series is to be set apart, and the policy is ``fail``.
        """
        if not any(part.is_used for part in self._parts):
            raise self._refusal(where)
        axes: list[tuple[TimeAxis, int]] = []
        for part in self._parts:
            if part.axis is not None:
                k = next((k for k, (axis, _) in enumerate(axes) if _fits(part.axis, axis)), len(axes))
                axis, n_rows = axes[k] if k < len(axes) else (part.axis, 0)
                axes[k : k + 1] = [(axis, n_rows + part.n_rows)]
        self.axis = max(axes, key=lambda found: found[1])[0]
        for part in self._parts:
            if part.axis is not None and not _fits(part.axis, self.axis):
                self._set_apart(part, where=where, policy=policy)

    def _refusal(self, where: str) -> TsforecastError:
        """What is wrong where no series is good: what stands against the first part."""
        if refused := next((part.read.refused for part in self._parts if part.read.refused), None):
            return refused
        first = next(iter(self.failures), Failure("", "F102", "there is none"))
        others = f" ({len(self.failures)} such series)" if len(self.failures) > 1 else ""
        return DataError(
            f"{where}: no series can be used: {shown(first.unique_id)}: {first.reason}{others}; correct the data.",
            code=first.code,
        )

    def _set_apart(self, part: _Part, *, where: str, policy: str) -> None:
        panels = [self._shelf.take(number) for number in part.numbers]
        reason = f"its steps lie between those of the others, which are of frequency {self.axis.freq!r}"
        names = [name for one in panels for name in one.unique_ids]
        if policy == "fail":
            raise DataError(
                f"{where}: series {shown(names[0])}: {reason}; correct its timestamps, or leave the series out.",
                code="T306",
                series=dict.fromkeys(names, reason),
            )
        failures = (*part.read.lost, *(Failure(name, "T306", reason) for name in names))
        part.read = replace(part.read, failures=failures)
        part.numbers, part.axis = [], None


def _fits(axis: TimeAxis, other: TimeAxis) -> bool:
    """Whether the steps of an axis are steps of another of the same frequency."""
    origin = axis.timestamps(np.zeros(1, np.int64))
    return bool(other.on_grid(origin, other.floor(origin)).all())


def _times(moment: Any, axis: TimeAxis) -> TimeIndex:
    return np.array([moment]) if axis.is_integer else pd.DatetimeIndex([moment])
