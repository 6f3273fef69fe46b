"""What a key may hold, in words: for error messages and for the reference page alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from reprlib import Repr
from typing import Any

from pydantic import BaseModel

from tsforecast.config.location import without_secrets
from tsforecast.config.schema import Config, entries_of, json_schema_of, keys_of, section_of

__all__ = [
    "allowed",
    "choices",
    "listed",
    "names_beside",
    "nearest_key",
    "nearest_word",
    "printable",
    "shape_of",
    "shown",
]

Shape = dict[str, Any]  # the JSON Schema of one key

LISTED = 5  # names that a message lists
MAX_WORD = 100  # a longer word is no misspelling, and comparing it takes long

_JSON_WORDS = {None: "null", True: "true", False: "false"}
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = 60
_REPR.maxlevel = 3


def shown(value: Any) -> str:
    """A value as it appears in a message: quoted, clipped, and true, false, null as YAML writes them."""
    if value is None or isinstance(value, bool):
        return _JSON_WORDS[value]
    if isinstance(value, str):
        value = without_secrets(value)  # before it is clipped, when it can no longer be told what it was
    return _REPR.repr(value)


def listed(names: Sequence[str]) -> str:
    """The first names as they appear in a message, and a mark where there are more."""
    return ", ".join(map(repr, names[:LISTED])) + (", …" if len(names) > LISTED else "")


def printable(text: str, *, longest: int) -> str:
    """Text without line breaks and other controls, which break tables and SVG does not allow, and not too long."""
    clean = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def shape_of(key: str, root: type[BaseModel] = Config) -> Shape:
    """The JSON Schema of a key that holds a value, such as `model.cell`."""
    schema = _json_schema(root)
    shape = schema
    for part in key.split("."):
        shape = shape["properties"][part]
        branches = (shape, shape.get("items", {}), *shape.get("anyOf", ()))
        if reference := next((branch["$ref"] for branch in branches if "$ref" in branch), None):
            shape = schema["$defs"][reference.rpartition("/")[2]]
    return shape


def allowed(shape: Shape, *, quote: Callable[[str], str] = repr) -> str:
    """What a shape admits, as in `'auto' or a whole number from 1 to 1024`."""
    if "anyOf" in shape:
        return " or ".join(allowed(branch, quote=quote) for branch in shape["anyOf"])
    if "const" in shape:
        return quote(shape["const"])
    if "enum" in shape:
        return "one of " + ", ".join(quote(word) for word in shape["enum"])
    if shape["type"] == "array":
        return f"a list, each entry {allowed(shape['items'], quote=quote)}"
    return _SIMPLE[shape["type"]](shape)


def choices(shape: Shape) -> list[str]:
    """Every word a shape names."""
    return list(_words(shape))


def nearest_word(word: str, words: list[str], *, likeness: float = 0.6) -> str | None:
    """The word that was probably meant, whatever its case; None when nothing is near."""
    if len(word) > MAX_WORD:
        return None
    matches = get_close_matches(word.lower(), words, n=1, cutoff=likeness)
    return matches[0] if matches else None


def nearest_key(key: str, root: type[BaseModel] = Config) -> str | None:
    """The dotted key that was probably meant: from the same section, else of the same name elsewhere."""
    section, _, name = key.rpartition(".")
    keys = list(keys_of(root))
    if sibling := nearest_word(name, _names_in(section, root)):
        return f"{section}.{sibling}".removeprefix(".")
    by_name = {known.rpartition(".")[2]: known for known in keys}
    if elsewhere := nearest_word(name, list(by_name), likeness=0.8):
        return by_name[elsewhere]
    return nearest_word(key, keys, likeness=0.8)


def names_beside(key: str, root: type[BaseModel] = Config) -> list[str]:
    """What may stand where a key stands, in the outermost section if its own is unknown."""
    return _names_in(key.rpartition(".")[0], root) or _names_in("", root)


def _names_in(section: str, root: type[BaseModel]) -> list[str]:
    model: Any = root
    for part in filter(None, section.split(".")):
        field = model.model_fields.get(part)
        model = (section_of(field) or entries_of(field)) if field else None
        if model is None:
            return []
    return list(model.model_fields)


def _words(shape: Shape) -> Iterator[str]:
    for branch in (*shape.get("anyOf", ()), *filter(None, [shape.get("items")])):
        yield from _words(branch)
    if "const" in shape:
        yield shape["const"]
    yield from shape.get("enum", ())


def _integer(shape: Shape) -> str:
    return f"a whole number from {shape['minimum']} to {shape['maximum']}"


def _number(shape: Shape) -> str:
    bounds = [f"{word} {shape[name]:g}" for name, word in _BOUNDS.items() if name in shape]
    return " ".join(["a number", *filter(None, [" and ".join(bounds)])])


def _text(shape: Shape) -> str:
    return "one character" if shape.get("maxLength") == 1 else str(shape.get("title", "text"))


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
_SIMPLE: dict[str, Callable[[Shape], str]] = {
    "integer": _integer,
    "number": _number,
    "string": _text,
    "boolean": lambda _: "true or false",
    "null": lambda _: "null",
}


@cache
def _json_schema(root: type[BaseModel]) -> Shape:
    return json_schema_of(root)
