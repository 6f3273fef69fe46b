"""From a draft to a Config: what the schema refuses becomes a problem in our words, at its place."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tsforecast.config.document import KeyPath, Place, Problem
from tsforecast.config.draft import MAX_SHOWN, Draft
from tsforecast.config.schema import Config, entries_of, keys_of, section_of
from tsforecast.config.words import (
    Shape,
    allowed,
    choices,
    names_beside,
    nearest_key,
    nearest_word,
    shape_of,
    shown,
)
from tsforecast.errors import ConfigError

__all__ = ["checked", "why_no_value"]

Root = TypeVar("Root", bound=BaseModel)


def checked(draft: Draft, root: type[Root]) -> Root:
    """The config, or what else ``root`` describes, that a draft holds.

    Raises:
        ConfigError: lists every problem of the draft, known before or found here.
    """
    _drop_unknown_keys(draft, root, root, draft.values, ())
    config = None
    try:
        config = root.model_validate(draft.values)
    except ValidationError as error:
        _note_invalid(draft, root, error)
    if config is None or draft.problems or draft.strays:
        raise ConfigError(draft.report())
    return config


def _drop_unknown_keys(
    draft: Draft, root: type[BaseModel], model: type[BaseModel], values: dict[str, Any], path: KeyPath
) -> None:
    """Notes and removes what the schema does not know; a section with nothing in it takes its defaults."""
    for name in list(values):
        known = model.model_fields.get(name)
        if known is None:
            _note_unknown(draft, root, (*path, name))
            del values[name]
        elif section := section_of(known):
            if values[name] is None and known.default is not None:
                values[name] = {}
            if isinstance(values[name], dict):
                _drop_unknown_keys(draft, root, section, values[name], (*path, name))
        elif (section := entries_of(known)) and isinstance(values[name], list):
            for place, entry in enumerate(values[name]):
                if isinstance(entry, dict):
                    _drop_unknown_keys(draft, root, section, entry, (*path, name, place))
    for name, known in model.model_fields.items():
        if section_of(known) and known.is_required():
            values.setdefault(name, {})  # so that each of its missing keys is named


def _note_unknown(draft: Draft, root: type[BaseModel], path: KeyPath) -> None:
    # A search among all keys is slow when there are thousands of unknown ones, and only the first are shown.
    message = why_no_value(_key_of(path), root) if len(draft.problems) < MAX_SHOWN else "unknown key"
    draft.add(Problem(path, draft.key_places.get(path, draft.place(path)), message))


def _key_of(path: KeyPath) -> str:
    """The dotted key at a path, the same for every entry of a list."""
    return ".".join(part for part in path if isinstance(part, str))


def why_no_value(key: str, root: type[BaseModel] = Config) -> str:
    """What is wrong with a key that holds no value."""
    keys = keys_of(root)
    if key in keys:
        section, _, name = key.rpartition(".")
        return f"keys are nested here; write `{name}:` below `{section.replace('.', ': ')}:`"
    below = [known for known in keys if known.startswith(f"{key}.")]
    if below:
        return f"is a section and holds no value; set one of its keys: {', '.join(below)}"
    if near := nearest_key(key, root):
        return f"unknown key. Did you mean {near!r}?"
    return f"unknown key; expected one of {', '.join(names_beside(key, root))}"


def _note_invalid(draft: Draft, root: type[BaseModel], error: ValidationError) -> None:
    found = [(*_located(root, details["loc"]), details) for details in error.errors(include_url=False)]
    with_bad_entry = {path for path, entry, _ in found if entry and isinstance(draft.value(path), list)}
    for path, entry, details in found:
        # What a list would be if it were no list is no news once one of its entries is wrong.
        if entry or path not in with_bad_entry:
            whole = (*path, *entry)
            draft.add(Problem(whole, draft.place(whole), _wording(draft, root, path, entry, details)))


def _located(root: type[BaseModel], location: tuple[int | str, ...]) -> tuple[KeyPath, KeyPath]:
    """The path of the key that pydantic speaks of, and the entry of its list; names of types are left out."""
    model: type[BaseModel] | None = root
    path: KeyPath = ()
    for part in location:
        if model is None:
            break
        path = (*path, part)
        if isinstance(part, str):  # a number is a place in a list of sections
            model = section_of(model.model_fields[part]) or entries_of(model.model_fields[part])
    return path, tuple(part for part in location[len(path) :] if isinstance(part, int))


def _wording(
    draft: Draft, root: type[BaseModel], path: KeyPath, entry: KeyPath, details: ErrorDetails
) -> str:
    key, keys = _key_of(path), keys_of(root)
    if details["type"] == "missing":
        description = str(_field_at(root, path).description)
        return f"is required but missing; add it ({description.rstrip('.')})"
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    value = draft.value((*path, *entry))
    if key not in keys:
        names = [known.removeprefix(f"{key}.") for known in keys if known.startswith(f"{key}.")]
        is_list = isinstance(path[-1], str) and entries_of(_field_at(root, path))
        expected = "a list of sections, each" if is_list else "a section"
        return f"found {shown(value)}; expected {expected} with keys such as {', '.join(names[:3])}"
    shape = _entry_shape(shape_of(key, root)) if entry else shape_of(key, root)
    return _not_allowed(value, shape) + _hint(value, shape, draft.places.get((*path, *entry)))


def _field_at(root: type[BaseModel], path: KeyPath) -> FieldInfo:
    """What the schema says of the key at a path that it knows."""
    *above, name = (part for part in path if isinstance(part, str))
    model = root
    for part in above:
        known = model.model_fields[part]
        model = cast(type[BaseModel], section_of(known) or entries_of(known))
    return model.model_fields[name]


def _entry_shape(shape: Shape) -> Shape:
    lists = [branch for branch in (shape, *shape.get("anyOf", ())) if "items" in branch]
    entry: Shape = lists[0]["items"]
    return entry


def _not_allowed(value: Any, shape: Shape) -> str:
    if "enum" in shape and "title" in shape:
        return f"{shown(value)} is not a known {shape['title']} ({', '.join(choices(shape))})."
    filled = ", not empty" if value in ("", []) else ""
    return f"found {shown(value)}; expected {allowed(shape)}{filled}."


def _hint(value: Any, shape: Shape, place: Place | None) -> str:
    if isinstance(value, str):
        near = nearest_word(value, choices(shape))
        return f" Did you mean {near!r}?" if near not in (None, value) else ""
    if _takes_any_text(shape) and place is not None and place.text:
        return f' If text was meant, put it in double quotes: "{place.text}".'
    return ""


def _takes_any_text(shape: Shape) -> bool:
    branches = (shape, *shape.get("anyOf", ()))
    return any(
        branch.get("type") == "string" and not {"const", "enum"} & branch.keys() for branch in branches
    )
