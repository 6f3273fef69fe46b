"""From a draft to a Config: what the schema refuses becomes a problem in our words, at its place."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tsforecast.config.document import KeyPath, Place, Problem
from tsforecast.config.draft import MAX_SHOWN, Draft
from tsforecast.config.schema import CONFIG_KEYS, Config, section_of
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


def checked(draft: Draft) -> Config:
    """The config a draft holds.

    Raises:
        ConfigError: lists every problem of the draft, known before or found here.
    """
    _drop_unknown_keys(draft, Config, draft.values, ())
    config = None
    try:
        config = Config.model_validate(draft.values)
    except ValidationError as error:
        _note_invalid(draft, error)
    if config is None or draft.problems or draft.strays:
        raise ConfigError(draft.report())
    return config


def _drop_unknown_keys(draft: Draft, model: type[BaseModel], values: dict[str, Any], path: KeyPath) -> None:
    """Notes and removes what the schema does not know; a section with nothing in it takes its defaults."""
    for name in list(values):
        known = model.model_fields.get(name)
        if known is None:
            _note_unknown(draft, (*path, name))
            del values[name]
        elif section := section_of(known):
            values[name] = {} if values[name] is None else values[name]
            if isinstance(values[name], dict):
                _drop_unknown_keys(draft, section, values[name], (*path, name))
    for name, known in model.model_fields.items():
        if section_of(known) and known.is_required():
            values.setdefault(name, {})  # so that each of its missing keys is named


def _note_unknown(draft: Draft, path: KeyPath) -> None:
    # A search among all keys is slow when there are thousands of unknown ones, and only the first are shown.
    message = why_no_value(".".join(map(str, path))) if len(draft.problems) < MAX_SHOWN else "unknown key"
    draft.add(Problem(path, draft.key_places.get(path, draft.place(path)), message))


def why_no_value(key: str) -> str:
    """What is wrong with a key that holds no value."""
    if key in CONFIG_KEYS:
        section, _, name = key.rpartition(".")
        return f"keys are nested here; write `{name}:` below `{section.replace('.', ': ')}:`"
    below = [known for known in CONFIG_KEYS if known.startswith(f"{key}.")]
    if below:
        return f"is a section and holds no value; set one of its keys: {', '.join(below)}"
    if near := nearest_key(key):
        return f"unknown key. Did you mean {near!r}?"
    return f"unknown key; expected one of {', '.join(names_beside(key))}"


def _note_invalid(draft: Draft, error: ValidationError) -> None:
    found = [(*_located(details["loc"]), details) for details in error.errors(include_url=False)]
    with_bad_entry = {path for path, entry, _ in found if entry and isinstance(draft.value(path), list)}
    for path, entry, details in found:
        # What a list would be if it were no list is no news once one of its entries is wrong.
        if entry or path not in with_bad_entry:
            whole = (*path, *entry)
            draft.add(Problem(whole, draft.place(whole), _wording(draft, path, entry, details)))


def _located(location: tuple[int | str, ...]) -> tuple[KeyPath, KeyPath]:
    """The path of the key that pydantic speaks of, and the entry of its list; names of types are left out."""
    model: type[BaseModel] | None = Config
    path: KeyPath = ()
    for part in location:
        if model is None:
            break
        path = (*path, part)
        model = section_of(model.model_fields[str(part)])
    return path, tuple(part for part in location[len(path) :] if isinstance(part, int))


def _wording(draft: Draft, path: KeyPath, entry: KeyPath, details: ErrorDetails) -> str:
    key = ".".join(map(str, path))
    if details["type"] == "missing":
        description = str(CONFIG_KEYS[key].description)
        return f"is required but missing; add it ({description.rstrip('.')})"
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    value = draft.value((*path, *entry))
    if key not in CONFIG_KEYS:
        names = [known.removeprefix(f"{key}.") for known in CONFIG_KEYS if known.startswith(f"{key}.")]
        return f"found {shown(value)}; expected a section with keys such as {', '.join(names[:3])}"
    shape = _entry_shape(shape_of(key)) if entry else shape_of(key)
    return _not_allowed(value, shape) + _hint(value, shape, draft.places.get((*path, *entry)))


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
