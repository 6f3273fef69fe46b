"""YAML to plain values that remember where they were written, and back.

Read from PyYAML's event stream, which is neither recursive nor builds objects, so deep nesting, alias bombs
and Python tags end in a problem with a line number. Scalars follow the core schema of YAML 1.2: `1e-3` is a
number, `NO` and `on` are text, and only true and false are booleans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import yaml

__all__ = [
    "CONFIG",
    "MAX_BYTES",
    "MAX_DEPTH",
    "Document",
    "KeyPath",
    "Kind",
    "Place",
    "Problem",
    "parse_document",
    "plain_scalar",
    "read_document",
    "value_text",
    "write_document",
]

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NODES = 100_000  # a second or so of parsing, and far beyond any config
MAX_DIGITS = 100  # a longer number stays text; Python's own limit would raise at 4300

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written.

    Attributes:
        source: the file, `--set` or the environment variable; empty for a mapping from Python.
        line: line in the file, from 1; 0 where lines mean nothing.
        column: column in that line, from 1.
        text: the value as it was written, where it is a plain scalar.
    """

    source: str = ""
    line: int = 0
    column: int = 0
    text: str | None = None

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source

    @property
    def origin(self) -> str:
        """The place without its column."""
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: the key it concerns, ``()`` for the document as a whole.
        place: where to look.
        message: what was found, what was expected, what to do.
        hides: nothing is known of what lies below the key, so nothing more is to be said about it.
    """

    path: KeyPath
    place: Place
    message: str
    hides: bool = False


@dataclass(slots=True)
class Document:
    """The values of one YAML document, the place of each, and what is wrong with the YAML itself.

    Attributes:
        values: what the document holds; a mapping's keys are always text.
        places: where each value begins.
        key_places: where the key of each value begins.
        problems: in the order of the document.
    """

    values: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    key_places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is to be, for messages.

    Attributes:
        name: of one such file.
        needs: what it holds at least.
        made_by: how to come by one.
        keys: two of its outermost keys.
    """

    name: str
    needs: str
    made_by: str
    keys: str


CONFIG = Kind(
    name="config",
    needs="data.path, data.time, data.target and horizon",
    made_by="`tsforecast init DATA.csv -o FILE` writes one",
    keys="`data:` and `horizon:`",
)


class _UnreadableError(Exception):
    """Ends the reading of a document with one problem."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.problem = Problem((), place, message, hides=True)


def read_document(path: Path, kind: Kind = CONFIG) -> Document:
    """The YAML document in a file; whatever is wrong stands in its ``problems``."""
    try:
        text = _read_text(path, kind)
    except _UnreadableError as error:
        return Document(problems=[error.problem])
    return parse_document(text, source=str(path), kind=kind)


def parse_document(text: str, *, source: str, kind: Kind = CONFIG) -> Document:
    """The one YAML document in a text; whatever is wrong stands in its ``problems``."""
    try:
        return _Reader(text, source=source, kind=kind).document()
    except _UnreadableError as error:
        return Document(problems=[error.problem])


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar, by the core schema of YAML 1.2."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > MAX_DIGITS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _PREFIXED.fullmatch(text):
        return int(text, base=0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _SPECIAL.fullmatch(text):
        return float("nan") if match[3] else float(f"{match[1]}inf")
    return text


def write_document(values: Mapping[str, Any], *, header: str = "") -> str:
    """YAML that ``parse_document`` reads back as the same values; ``header`` becomes comment lines."""
    comments = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comments + _dump(dict(values), width=100)


def value_text(value: Any) -> str:
    """One value as YAML on one line, quoted where it has to be."""
    text = _dump({"k": value}, width=float("inf"))
    if not text.rstrip("\n").isprintable():  # a letter that a terminal would act upon is written as an escape
        text = _dump({"k": value}, width=float("inf"), allow_unicode=False)
    return text.removeprefix("k:").strip()


def _read_text(path: Path, kind: Kind) -> str:
    top = Place(str(path))
    try:
        mode = path.stat().st_mode
        if S_ISDIR(mode):
            raise _UnreadableError(top, "is a folder; expected a YAML file")
        if not S_ISREG(mode):  # reading a pipe or a device might never end
            raise _UnreadableError(top, "is not a regular file; write the YAML to a file first")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _UnreadableError(top, f"no such file; {kind.made_by}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise _UnreadableError(top, f"cannot be read ({reason}); expected a YAML file") from None
    if len(data) > MAX_BYTES:
        raise _UnreadableError(top, f"is larger than {MAX_BYTES} bytes; expected a {kind.name}, not data")
    return _decode(data, source=str(path))


def _decode(data: bytes, *, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = Place(source, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        message = f"byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        raise _UnreadableError(place, message) from None


class _Reader:
    """Builds values from the events of one document."""

    def __init__(self, text: str, *, source: str, kind: Kind) -> None:
        self.text = text
        self.source = source
        self.kind = kind
        self.result = Document()
        self.n_nodes = 0
        self.events = self._events()

    def document(self) -> Document:
        next(self.events)  # start of the stream
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise self._empty()
        self.result.values = self._node(next(self.events), ())
        next(self.events)  # end of the document
        following = next(self.events)
        if not isinstance(following, yaml.StreamEndEvent):
            place = self._place(following.start_mark)
            raise _UnreadableError(
                place, f"a second document starts here; one file holds one {self.kind.name}"
            )
        if self.result.values is None:
            raise self._empty()
        return self.result

    def _empty(self) -> _UnreadableError:
        message = f"is empty; a {self.kind.name} needs at least {self.kind.needs}"
        return _UnreadableError(Place(self.source, 1, 1), message)

    def _events(self) -> Iterator[Any]:
        """PyYAML's events, its errors turned into ours."""
        loader = self._loader()
        try:
            while loader.check_event():
                yield loader.get_event()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise _UnreadableError(self._place(mark), _wording(error)) from error
        except (ValueError, OverflowError) as error:  # the number of "\UFFFFFFFF" goes to chr() as it is
            message = "a \\U escape names a character that does not exist; write the character itself"
            raise _UnreadableError(self._place(loader.get_mark()), message) from error

    def _loader(self) -> Any:
        try:
            return yaml.SafeLoader(self.text)
        except yaml.reader.ReaderError as error:
            before = self.text[: error.position]
            place = Place(self.source, before.count("\n") + 1, error.position - before.rfind("\n"))
            message = f"the character {chr(error.character)!r} is not allowed in YAML; remove it"
            raise _UnreadableError(place, message) from error

    def _node(self, event: Any, path: KeyPath) -> Any:
        place = self._place(event.start_mark, text=_plain_text(event))
        self._guard(event, path, place)
        self.result.places.setdefault(path, place)  # of a key that stands twice, the first counts
        if isinstance(event, yaml.AliasEvent):
            return None
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return event.value if place.text is None else plain_scalar(event.value)

    def _guard(self, event: Any, path: KeyPath, place: Place) -> None:
        self.n_nodes += 1
        if self.n_nodes > MAX_NODES:
            raise _UnreadableError(
                place, f"more than {MAX_NODES} values; expected a {self.kind.name}, not data"
            )
        if len(path) >= MAX_DEPTH and isinstance(event, yaml.CollectionStartEvent):
            raise _UnreadableError(place, f"nested deeper than {MAX_DEPTH} levels; no key lies deeper than 3")
        if isinstance(event, yaml.AliasEvent):
            message = f"the alias '*{event.anchor}' is not supported; write the value out"
            self.result.problems.append(Problem(path, place, message, hides=True))
        elif event.anchor is not None:
            message = f"the anchor '&{event.anchor}' is not supported; write the value without it"
            self.result.problems.append(Problem(path, place, message))
        elif event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            message = f"the tag {tag!r} is not supported; write a plain value, and text in quotes"
            self.result.problems.append(Problem(path, place, message))

    def _sequence(self, path: KeyPath) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            values.append(self._node(event, (*path, len(values))))
        return values

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        """Keys are text whatever they look like: no key of a config is a number or a boolean."""
        values: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            place = self._place(key.start_mark)
            if not isinstance(key, yaml.ScalarEvent):
                raise _UnreadableError(
                    place, "a list, mapping or alias stands where a key should; write a word"
                )
            inner = (*path, key.value)
            self._guard(key, inner, place)
            first = self.result.key_places.setdefault(inner, place)
            if key.value in values:
                message = f"stands twice, first in line {first.line}; remove one"
                self.result.problems.append(Problem(inner, place, message))
            value = self._node(next(self.events), inner)
            values.setdefault(key.value, value)
        return values

    def _place(self, mark: Any, *, text: str | None = None) -> Place:
        return Place(self.source, mark.line + 1, mark.column + 1, text)


def _plain_text(event: Any) -> str | None:
    unquoted = isinstance(event, yaml.ScalarEvent) and event.style is None
    return str(event.value) if unquoted else None


def _wording(error: yaml.MarkedYAMLError) -> str:
    found = ", ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in found:
        return "a tab stands where YAML allows only blanks; indent with blanks"
    return f"not YAML: {found}; check the indentation, and put text with special characters in quotes"


class _Dumper(yaml.SafeDumper):
    """Lists on one line, and quotes wherever YAML 1.1 or 1.2 would take a text for something else."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(plain_scalar(text), str) else "'"
    style = style if text.isprintable() else '"'  # the one style that keeps a line break on its line
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)


def _dump(values: dict[str, Any], *, width: float, allow_unicode: bool = True) -> str:
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=allow_unicode, width=width)
    return str(text)
