"""From YAML, environment and ``--set`` to one checked Config, with every problem in one report.

Flags beat the environment, which beats the YAML, which beats the defaults of the schema.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from operator import attrgetter
from pathlib import Path
from typing import Any

from tsforecast.config.check import checked, why_no_value
from tsforecast.config.document import (
    CONFIG,
    MAX_DEPTH,
    Kind,
    Place,
    Problem,
    parse_document,
    plain_scalar,
    read_document,
    write_document,
)
from tsforecast.config.draft import Draft, spelled
from tsforecast.config.location import STDIN, is_url, with_file_below, without_secrets
from tsforecast.config.schema import CONFIG_KEYS, SHORT_FORMS, Config
from tsforecast.config.words import shown
from tsforecast.errors import ConfigError

__all__ = [
    "absolute_path",
    "config_from_mapping",
    "dump_config",
    "load_config",
    "load_config_with_origins",
    "read_draft",
    "value_at",
    "with_overrides",
]

ENVIRONMENT_PREFIX = "TSFORECAST_"
_BUILTIN: dict[type, type] = {str: str, Integral: int, float: float}  # numpy's come with a class of their own
_WILDCARDS = frozenset("*?[")


def load_config(
    path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Config:
    """The config in a YAML file, under the environment and ``key=value`` overrides.

    Args:
        path: the YAML file; a relative ``data.path`` in it starts from its folder.
        overrides: arguments of ``--set``; a relative ``data.path`` starts from the current folder.
        environ: where to look for ``TSFORECAST_…``, the process's environment by default;
            ``{}`` for a stored config, which is complete and must not change.

    Raises:
        ConfigError: lists every problem, one a line, as ``file:line:column: key: message``.
    """
    return load_config_with_origins(path, overrides=overrides, environ=environ)[0]


def load_config_with_origins(
    path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> tuple[Config, dict[str, str]]:
    """What ``load_config`` gives, and where each value comes from.

    Returns:
        The config, and ``default``, ``file:line``, ``environment TSFORECAST_…`` or ``--set`` by dotted key.
    """
    draft = _read_draft(path)
    _set_from_environment(draft, os.environ if environ is None else environ)
    _set_from_overrides(draft, overrides)
    return checked(draft, Config), _origins(draft)


def config_from_mapping(
    mapping: Mapping[str, Any], *, base: Path | None = None, overrides: Sequence[str] = ()
) -> Config:
    """The config in a nested mapping, as the YAML would hold it.

    Args:
        mapping: sections and values; a path may be a ``Path`` and a list a tuple.
        base: folder that a relative ``data.path`` starts from, the current one by default.
        overrides: ``key=value`` texts that come on top.

    Raises:
        ConfigError: lists every problem, one a line.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"config: found {shown(mapping)}; expected a mapping with keys such as 'data'.")
    draft = Draft(values=_plain(mapping))
    _make_path_absolute(draft, base or Path())
    _set_from_overrides(draft, overrides)
    return checked(draft, Config)


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """The config with ``key=value`` texts on top.

    Raises:
        ConfigError: lists every problem, one a line.
    """
    draft = Draft(values=config.model_dump(context={"secrets": True}))
    _set_from_overrides(draft, overrides)
    return checked(draft, Config)


def value_at(config: Config, key: str) -> Any:
    """The value of a dotted key such as `model.cell`, to be shown: without the secrets of a URL."""
    value = attrgetter(key)(config)
    return without_secrets(value) if isinstance(value, str) else value


def dump_config(config: Config, *, header: str = "") -> str:
    """YAML with every value written out, which loads as the same config but for secrets in a URL.

    They are ``***``; references such as ``${DB_PASSWORD}`` stay. ``header`` becomes comment lines.
    """
    return write_document(config.model_dump(), header=header)


def _read_draft(path: Path) -> Draft:
    draft = read_draft(path)
    _make_path_absolute(draft, path.parent)
    return draft


def read_draft(path: Path, kind: Kind = CONFIG) -> Draft:
    """What a YAML file holds, and what is wrong with it as YAML."""
    document = read_document(path, kind)
    draft = Draft(places=document.places, key_places=document.key_places)
    for problem in document.problems:
        draft.add(problem)
    if isinstance(document.values, dict):
        draft.values = document.values
    else:
        message = f"found {shown(document.values)}; expected keys such as {kind.keys}"
        draft.add(Problem((), draft.place(()), message, hides=True))
    return draft


def _make_path_absolute(draft: Draft, base: Path) -> None:
    data = draft.values.get("data")
    if isinstance(data, dict) and "path" in data:
        data["path"] = absolute_path(data["path"], base)


def absolute_path(path: Any, base: Path) -> Any:
    """A relative path or pattern from a folder on; `-`, URLs and what is no path at all stay as they are."""
    if not isinstance(path, str) or path in ("", STDIN) or "\0" in path:
        return path
    if is_url(path):
        return with_file_below(path, base)
    if path.startswith("~/"):
        path = os.path.expanduser(path)  # noqa: PTH111  (Path's raises where there is no home)
    if Path(path).is_absolute():
        return path
    base = base.resolve()  # first of all, so that `..` leaves the real folder
    if _WILDCARDS & {*path} and not os.path.lexists(base / path):  # a pattern; the folder's name is none
        base = Path(glob.escape(str(base)))
    return os.path.normpath(base / path)


def _set_from_environment(draft: Draft, environ: Mapping[str, str]) -> None:
    names: dict[str, str] = {}
    for name in sorted(environ):
        if not name.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        key = name[len(ENVIRONMENT_PREFIX) :].lower().replace("__", ".")
        source = f"environment {name}"
        if key in names:
            draft.strays.append(f"{source}: {names[key]} sets {key} as well; keep one of them.")
        else:
            _set_text(draft, key, environ[name], source=source)
        names[key] = name


def _set_from_overrides(draft: Draft, overrides: Sequence[str]) -> None:
    for override in overrides:
        key, equals, text = override.partition("=")
        if equals:
            _set_text(draft, key.strip(), text, source="--set")
        else:
            draft.strays.append(
                f"--set: {shown(override)} has no '='; write key=value, as in training.max_steps=50."
            )


def _set_text(draft: Draft, key: str, text: str, *, source: str) -> None:
    if key not in CONFIG_KEYS:
        draft.strays.append(f"{source}: {spelled((key,))}: {why_no_value(key)}")
        return
    path = tuple(key.split("."))
    text = text.strip() or text  # one blank alone may be a separator
    value: Any = plain_scalar(text)
    problems: list[Problem] = []
    if text.startswith(("[", '"', "'")):  # anything else may hold YAML's own characters as it is
        document = parse_document(text, source=source)
        value, problems = document.values, document.problems
    draft.set(path, absolute_path(value, Path()) if key == "data.path" else value, Place(source, text=text))
    for problem in problems:
        draft.add(Problem(path, draft.place(path), f"{shown(text)}: {problem.message}"))


def _plain(value: Any, depth: int = 0) -> Any:
    """A value from Python as YAML could have held it."""
    if depth > MAX_DEPTH:
        raise ConfigError(f"config: nested deeper than {MAX_DEPTH} levels; no key lies deeper than 3.")
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, depth + 1) for inner in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool):
        return value
    for kind, builtin in _BUILTIN.items():
        if isinstance(value, kind):
            return builtin(value)
    return value


def _origins(draft: Draft) -> dict[str, str]:
    places = {key: draft.places.get(tuple(key.split("."))) for key in CONFIG_KEYS}
    if draft.values.get("model", {}).get("cell") in SHORT_FORMS:
        places["model.bidirectional"] = places["model.cell"]
    return {key: "default" if place is None else place.origin for key, place in places.items()}
