"""Values on their way to a Config, with the place of each and all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tsforecast.config.document import KeyPath, Place, Problem
from tsforecast.config.location import without_secrets
from tsforecast.config.words import shown

__all__ = ["MAX_SHOWN", "Draft", "spelled"]

MAX_SHOWN = 30  # problems in one report
MAX_NAME = 60  # letters of a key


@dataclass(slots=True)
class Draft:
    """Values on their way to a Config, where each was written, and what is wrong so far.

    Attributes:
        values: nested sections.
        places: where each value was written; none for a value from Python.
        key_places: where the key of each value was written.
        problems: at most one for each path.
        strays: messages about settings that name no key at all.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    key_places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: dict[KeyPath, Problem] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)

    def set(self, path: KeyPath, value: Any, place: Place) -> None:
        """Puts a value over what stood at a path, and forgets what was known about that."""
        section: Any = self.values
        for part in path[:-1]:
            if section.get(part) is None:
                section[part] = {}
            if not isinstance(section[part], dict):
                return  # not a section: a problem of its own, found later
            section = section[part]
        section[path[-1]] = value
        self.problems = {at: problem for at, problem in self.problems.items() if at[: len(path)] != path}
        self.places = {at: known for at, known in self.places.items() if at[: len(path)] != path}
        self.places[path] = place

    def value(self, path: KeyPath) -> Any:
        """The value at a path that exists."""
        value: Any = self.values
        for part in path:
            value = value[part]
        return value

    def place(self, path: KeyPath) -> Place:
        """Where a value was written, or else what stands around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place())

    def add(self, problem: Problem) -> None:
        """Notes a problem, unless it follows from one that is known."""
        path = problem.path
        above = (self.problems.get(path[:length]) for length in range(len(path)))
        if path not in self.problems and not any(known and known.hides for known in above):
            self.problems[path] = problem

    def report(self) -> str:
        """All problems, one a line, those of a file in the order of its lines."""
        known = sorted(self.problems.values(), key=_reading_order)
        lines = [*map(_line, known), *map(_ended, self.strays)]
        more = [f"Problems that are not shown: {len(lines) - MAX_SHOWN}."] if len(lines) > MAX_SHOWN else []
        return "\n".join(lines[:MAX_SHOWN] + more)


def spelled(path: KeyPath) -> str:
    """A path as `section.key[0]`; names that run on for ever or that a terminal might act upon are quoted."""
    text = ""
    for part in path:
        plain = isinstance(part, str) and part.isprintable() and 0 < len(part) <= MAX_NAME
        text += f"[{part}]" if isinstance(part, int) else f".{part if plain else shown(part)}"
    return text.removeprefix(".")


def _reading_order(problem: Problem) -> tuple[bool, int, int]:
    place = problem.place
    return (place.line == 0, place.line, place.column)


def _line(problem: Problem) -> str:
    parts = [str(problem.place), spelled(problem.path), problem.message]
    return _ended(": ".join(part for part in parts if part))


def _ended(line: str) -> str:
    """One line with a full stop, in which nothing speaks to the terminal: a file may have any name."""
    line = without_secrets(line)
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return text if text.endswith((".", "?")) else f"{text}."
