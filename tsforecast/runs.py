"""The run folder: written whole, read as one version, trusted only after it was checked.

    config.yaml, model.json, model.safetensors, metrics.json, …    listed in the manifest
    derived/                                                       what later commands make; not listed
    versions/0001/ …                                               what updates replaced: run folders; not listed
    manifest.json                                                  size and SHA-256 of each file, written last

Nothing in it is executed: settings are YAML and JSON, arrays are safetensors. Nothing outside it is read:
symbolic links and names that lead elsewhere are refused, and sizes are compared before memory is taken.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as parse_arrays
from safetensors.numpy import save as arrays_bytes

from tsforecast.config.document import parse_document
from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError, ResourceError, RunError
from tsforecast.storage.atomic import (
    clear_leftovers,
    close,
    install_folder,
    open_folder,
    output_errors,
    refuse_strangers,
    refuse_unwritable,
    staging_folder,
)

__all__ = [
    "FORMAT_VERSION",
    "MIGRATIONS",
    "RECEIPT",
    "VERSIONS",
    "Run",
    "check_target",
    "new_run",
    "open_derived",
    "open_run",
    "refuse_inside_run",
    "refuse_taken",
    "verify_run",
    "version_names",
    "write_manifest",
    "write_model",
]

Arrays = dict[str, npt.NDArray[Any]]

# 2: updated runs keep what they replaced; the model says which version it is. `MIGRATIONS` reads older ones.
FORMAT_VERSION = 2

MANIFEST = "manifest.json"
CONFIG = "config.yaml"
MODEL = "model.json"
ARRAYS = "model.safetensors"
# Rows of the data, in which NaN says that a value is masked.
MASKABLE = re.compile(r"tail\.(y|past|future)|fallback\.\d+\.y")
METRICS = "metrics.json"
RECEIPT = "run.json"
DERIVED = "derived"
VERSIONS = "versions"
# Neither is covered by the manifest: one changes later, the other has manifests of its own.
UNLISTED = (DERIVED, VERSIONS)
VERSION_NAME = re.compile(r"[0-9]{4,}")
PLOTS = "plots/"

_REQUIRED = (CONFIG, MODEL, ARRAYS)
_READ = (*_REQUIRED, METRICS)
_MANIFEST_BYTES = 1_000_000  # some thousand files; a run has about ten
_ATTEMPTS = 100  # each but the first follows a replacement of the folder during the reading
_ADVICE = "Restore the folder from a copy, or train again."


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One version of a run folder, checked and in memory.

    Attributes:
        path: the folder.
        config: as resolved when the run was trained.
        model: what `write_model` was given, with ``format_version``.
        arrays: what `write_model` was given; every float is finite.
        metrics: the scores, or None where nothing was scored.
        files: contents of the further files that were asked for, by name, where they are there.
    """

    path: Path
    config: Config
    model: dict[str, Any]
    arrays: Arrays
    metrics: dict[str, Any] | None
    files: Mapping[str, bytes] = field(default_factory=dict)


class _Entry(BaseModel):
    """What the manifest says of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format_version: int
    files: dict[str, _Entry]


@dataclass(frozen=True, slots=True)
class _Folder:
    """A run folder held open: ``handle`` stays with this version of it, ``path`` is for messages."""

    handle: int
    path: Path

    def damage(self, name: str, found: str) -> RunError:
        return RunError(f"{self.path / name}: {found}. {_ADVICE}")


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuses, before any work is done, a place where `new_run` could not put its folder.

    Raises:
        ConfigError: something stands there and must not be replaced, or nothing can be written there.
    """
    target = Path(os.path.realpath(path))
    with output_errors(path):
        clear_leftovers(target)
        if target.exists():
            _check_replaceable(path, overwrite=overwrite)
    refuse_unwritable(target, name=path)


def refuse_taken(path: Path, *, ours: Sequence[str], overwrite: bool) -> None:
    """Refuses a folder given by ``--out`` that a command could not write, or must not replace.

    Args:
        path: the folder.
        ours: patterns of the names such a folder holds.
        overwrite: replace one that is there.

    Raises:
        ConfigError: it lies in a run, holds something else, cannot be written, or is there and was not to be replaced.
    """
    refuse_inside_run("--out", path)
    refuse_strangers(path, ours=ours)
    if path.exists() and not overwrite:
        raise ConfigError(
            f"{path}: exists already; use --overwrite to replace it, or --out for another folder."
        )


def refuse_inside_run(option: str, path: Path) -> None:
    """Refuses an output that would lie among the sealed files of a run folder; below ``derived/`` it may.

    Raises:
        ConfigError: names the option and the run.
    """
    target = path.resolve()
    with output_errors(path):
        sealed = [folder for folder in (target, *target.parents) if (folder / MANIFEST).is_file()]
    for folder in sealed:
        if not target.is_relative_to(folder / DERIVED):
            raise ConfigError(
                f"{option}: {str(path)!r} lies in the run folder {str(folder)!r}, whose files are sealed; "
                f"write elsewhere, or below {str(folder / DERIVED)!r}."
            )


@contextmanager
def new_run(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes the run folder ``path`` when the block ends without an error.

    Until then, and after an error or a power cut, ``path`` is what it was. Files under ``derived/`` are left
    out of the manifest, which is written last.

    Args:
        path: the run folder; missing parents are made.
        overwrite: replace a run that stands there, in one step.

    Raises:
        ConfigError: ``path`` is taken, is not a run folder, or cannot be written.
        ResourceError: the disk is full or failing.
    """
    check_target(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    with output_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
    with staging_folder(target) as folder:
        yield folder
        check_target(path, overwrite=overwrite)  # another run may have come first
        with output_errors(path):
            write_manifest(folder)
        install_folder(folder, target)


def write_model(folder: Path, *, model: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write ``model.json`` and ``model.safetensors``; the same input gives the same bytes.

    Args:
        folder: from `new_run`.
        model: plain values that JSON can hold.
        arrays: weights, scales and everything else that is an array; every float is finite.

    Raises:
        ValueError: a value is not finite, so that no reader would accept the run.
    """
    # safetensors writes the memory as it lies there: a transposed array would come back shuffled.
    in_order = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    if damaged := [name for name, array in in_order.items() if _n_not_finite(name, array)]:
        raise ValueError(f"arrays with values that are not finite: {damaged!r}")
    document = {**model, "format_version": FORMAT_VERSION}
    (folder / MODEL).write_text(_json_text(document), encoding="utf-8")
    (folder / ARRAYS).write_bytes(arrays_bytes(in_order))


def open_run(path: Path, *, also: Sequence[str] = ()) -> Run:
    """The run in a folder, every file but the plots compared with its hash.

    While the folder is being replaced, this is the old run or the new one.

    Args:
        path: the run folder.
        also: names of further files whose contents are wanted.

    Raises:
        RunError: the folder is missing, incomplete, damaged, or of a newer format; names the file.
        ResourceError: its arrays do not fit into memory.
    """
    with _memory_errors(path):
        contents, problems = _read(path, plots=False, also=also)
        if problems:
            raise RunError(problems[0])
        files = {name: contents[name] for name in also if name in contents}
        return replace(_run(path, contents), files=files)


@contextmanager
def open_derived(path: Path, name: str) -> Iterator[BufferedReader | None]:
    """A file that a later command made below ``derived/``, open for reading; None where there is none.

    Nobody vouches for what it holds, but it lies in the run folder: no symbolic link is followed.

    Args:
        path: the run folder.
        name: below ``derived/``, such as ``backtest/scores.csv``.

    Raises:
        RunError: it cannot be read, or is a symbolic link.
    """
    handles: list[int] = []
    try:
        with _opened(path) as folder, _derived_errors(folder.path / DERIVED / name):
            handle = folder.handle
            *folders, last = (DERIVED, *name.split("/"))
            try:
                for part in folders:
                    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                    handles.append(handle)
                file = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
            except FileNotFoundError:
                yield None
                return
            with open(file, "rb") as stream:  # noqa: PTH123  (a Path cannot be opened relative to a handle)
                yield stream
    finally:
        for handle in handles:
            close(handle)


def verify_run(path: Path) -> list[str]:
    """Everything that is wrong with a run folder, one message each; empty when it can be trusted.

    The older versions it keeps are looked at as well.

    Raises:
        RunError: there is no folder.
        ResourceError: its arrays do not fit into memory.
    """
    with _memory_errors(path):
        for _ in range(_ATTEMPTS):
            with _opened(path) as folder:
                problems = _problems(folder)
                if not problems or not _was_replaced(folder):
                    return problems
    raise _restless(path)


def version_names(path: Path) -> list[str]:
    """Names of the older versions that a run folder keeps below ``versions/``, oldest first.

    Raises:
        RunError: something else lies there, or what seems to be a version leads elsewhere.
    """
    with _opened(path) as folder, _inner(folder, VERSIONS) as kept:
        return _version_names(kept)


def _problems(folder: _Folder) -> list[str]:
    """What is wrong with a run and with the versions it keeps."""
    problems = _own_problems(folder)
    try:
        with _inner(folder, VERSIONS) as kept:
            for name in _version_names(kept):
                with _inner(kept, name) as version:
                    problems += _own_problems(version)
    except RunError as error:
        problems.append(str(error))
    return problems


def _own_problems(folder: _Folder) -> list[str]:
    contents, problems = _read_version(folder, plots=True, also=())
    if problems:
        return problems
    try:
        _run(folder.path, contents)
    except RunError as error:
        return [str(error)]
    return []


@contextmanager
def _inner(folder: _Folder, name: str) -> Iterator[_Folder]:
    """A folder in a folder, held open: never through a link. Where there is none, its handle is -1."""
    handle = -1
    try:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder.handle)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise folder.damage(name, f"is not a folder of this run ({error.strerror})") from error
    try:
        yield _Folder(handle, folder.path / name)
    finally:
        if handle >= 0:
            close(handle)


def _version_names(kept: _Folder) -> list[str]:
    if kept.handle < 0:
        return []
    try:
        with os.scandir(kept.handle) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as error:
        raise kept.damage("", f"cannot be listed ({error.strerror})") from error
    for name, is_folder in found:
        if not is_folder or not VERSION_NAME.fullmatch(name):
            raise kept.damage(name, "is not a version of this run")
    return sorted((name for name, _ in found), key=int)


@contextmanager
def _derived_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "is a symbolic link" if error.errno in (errno.ELOOP, errno.ENOTDIR) else error.strerror
        raise RunError(f"{path}: cannot be read ({reason}); make it anew, or remove it.") from error


@contextmanager
def _memory_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise ResourceError(f"{path}: does not fit into memory; use a machine with more.") from error


def _check_replaceable(path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise ConfigError(
            f"{path}: exists already; use --overwrite to replace it, --resume to continue an interrupted "
            "training, or --run for another folder."
        )
    if not path.is_dir() or not all((path / name).is_file() for name in (MANIFEST, MODEL)):
        raise ConfigError(
            f"{path}: is not a run folder (no {MANIFEST} with a {MODEL}), so --overwrite does not replace "
            "it; choose another folder, or remove it yourself."
        )


def write_manifest(folder: Path) -> None:
    """Write ``manifest.json`` with the size and the hash of each file of a folder that is ready but for that."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    covered = sorted(name.as_posix() for name in names if name.parts[0] not in UNLISTED)
    manifest = {"format_version": FORMAT_VERSION, "files": {name: _entry(folder / name) for name in covered}}
    (folder / MANIFEST).write_text(_json_text(manifest), encoding="utf-8")


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _json_text(document: Mapping[str, Any]) -> str:
    # ASCII, because series ids may hold characters that have no UTF-8.
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _read(path: Path, *, plots: bool, also: Sequence[str] = ()) -> tuple[dict[str, bytes], list[str]]:
    """Contents of the files a `Run` is made of, and what is wrong with the folder."""
    for _ in range(_ATTEMPTS):
        with _opened(path) as folder:
            contents, problems = _read_version(folder, plots=plots, also=also)
            if not problems or not _was_replaced(folder):
                return contents, problems
    raise _restless(path)


def _restless(path: Path) -> RunError:
    return RunError(
        f"{path}: was replaced {_ATTEMPTS} times while it was read; run again when its writer is done."
    )


@contextmanager
def _opened(path: Path) -> Iterator[_Folder]:
    try:
        handle = open_folder(path)
    except FileNotFoundError as error:
        message = f"{path}: no such run folder; `tsforecast train CONFIG --run {path}` makes one."
        raise RunError(message) from error
    except OSError as error:
        raise RunError(f"{path}: is not a run folder that can be read ({error.strerror}).") from error
    try:
        yield _Folder(handle, path)
    finally:
        close(handle)


def _was_replaced(folder: _Folder) -> bool:
    try:
        return not os.path.samestat(os.fstat(folder.handle), folder.path.stat())
    except OSError:
        return False


def _read_version(folder: _Folder, *, plots: bool, also: Sequence[str]) -> tuple[dict[str, bytes], list[str]]:
    contents: dict[str, bytes] = {}
    problems: list[str] = []
    try:
        listed = _read_manifest(folder).files
        present = _listing(folder.handle)
    except RunError as error:
        return contents, [str(error)]
    except OSError as error:
        return contents, [str(folder.damage("", f"cannot be listed ({error.strerror})"))]
    for name in sorted({*listed, *present, *_REQUIRED} - {MANIFEST}):
        try:
            entry = _checked_entry(folder, name, present.get(name), listed.get(name))
            if name in _READ or name in also:
                contents[name] = _checked_bytes(folder, name, entry)
            elif plots or not name.startswith(PLOTS):
                _check_hash(folder, name, entry)
        except RunError as error:
            problems.append(str(error))
    return contents, problems


def _read_manifest(folder: _Folder) -> _Manifest:
    with _open_file(folder, MANIFEST) as file:
        data = file.read(_MANIFEST_BYTES + 1)
    if len(data) > _MANIFEST_BYTES:
        raise folder.damage(MANIFEST, f"is larger than {_MANIFEST_BYTES} bytes")
    document = _json(folder, MANIFEST, data)
    _check_version(folder, MANIFEST, document)
    try:
        manifest = _Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise folder.damage(MANIFEST, f"{where}: {first['msg']}") from error
    for name in manifest.files:
        if not _stays_inside(name):
            raise folder.damage(MANIFEST, f"lists {name!r}, which is not a file of this folder")
    return manifest


def _stays_inside(name: str) -> bool:
    return "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def _listing(handle: int, prefix: str = "") -> dict[str, os.stat_result]:
    """Everything in a run folder but ``derived/`` and ``versions/``, by name; of its folders, what they hold.

    A folder in a folder stands for itself, and so counts as something that is not a file.
    """
    found: dict[str, os.stat_result] = {}
    with os.scandir(handle) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if prefix or not stat.S_ISDIR(status.st_mode):
                found[prefix + entry.name] = status
            elif entry.name not in UNLISTED:
                found |= _listing_below(handle, entry.name)
    return found


def _listing_below(handle: int, name: str) -> dict[str, os.stat_result]:
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
    try:
        return _listing(inner, prefix=f"{name}/")
    finally:
        os.close(inner)


def _checked_entry(folder: _Folder, name: str, status: os.stat_result | None, entry: _Entry | None) -> _Entry:
    """The manifest's entry of a file whose kind and size fit it; nothing is opened for that."""
    if status is None:
        raise folder.damage(name, "is missing")
    if stat.S_ISLNK(status.st_mode):
        raise folder.damage(name, "is a symbolic link, which could lead anywhere")
    if not stat.S_ISREG(status.st_mode):
        raise folder.damage(name, "is not a regular file")
    if entry is None:
        raise folder.damage(name, f"is not listed in {MANIFEST}; move it away if it is yours")
    if status.st_size != entry.size:
        raise folder.damage(name, f"has {status.st_size} bytes, but {MANIFEST} says {entry.size}")
    return entry


def _checked_bytes(folder: _Folder, name: str, entry: _Entry) -> bytes:
    """Content of a file, hashed as it will be parsed."""
    with _open_file(folder, name) as file:
        data = file.read(entry.size)
    _compare(folder, name, hashlib.sha256(data).hexdigest(), entry)
    return data


def _check_hash(folder: _Folder, name: str, entry: _Entry) -> None:
    with _open_file(folder, name) as file:
        _compare(folder, name, hashlib.file_digest(file, "sha256").hexdigest(), entry)


def _compare(folder: _Folder, name: str, found: str, entry: _Entry) -> None:
    if found != entry.sha256:
        raise folder.damage(
            name, f"has changed: SHA-256 {found[:12]}…, but {MANIFEST} says {entry.sha256[:12]}…"
        )


@contextmanager
def _open_file(folder: _Folder, name: str) -> Iterator[BufferedReader]:
    """A file of the folder, for reading: never through a link, and never waiting for a pipe."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder.handle)
        with open(handle, "rb") as file:  # noqa: PTH123  (a Path cannot be opened relative to a handle)
            yield file
    except FileNotFoundError as error:
        raise folder.damage(name, "is missing") from error
    except OSError as error:
        link = error.errno == errno.ELOOP
        found = "is a symbolic link" if link else f"cannot be read ({error.strerror})"
        raise folder.damage(name, found) from error


def _run(path: Path, contents: Mapping[str, bytes]) -> Run:
    folder = _Folder(-1, path)
    model = _json(folder, MODEL, contents[MODEL])
    _check_version(folder, MODEL, model)
    if type(version := model.get("version", 1)) is not int or version < 1:
        raise folder.damage(MODEL, f"version: found {version!r}, expected a whole number from 1")
    return Run(
        path=path,
        config=_config(folder, contents[CONFIG]),
        model=_migrated(model),
        arrays=_arrays(folder, contents[ARRAYS]),
        metrics=_json(folder, METRICS, contents[METRICS]) if METRICS in contents else None,
    )


def _json(folder: _Folder, name: str, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise folder.damage(name, f"is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise folder.damage(name, f"holds a {type(document).__name__} where an object is expected")
    return document


def _check_version(folder: _Folder, name: str, document: Mapping[str, Any]) -> None:
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise folder.damage(name, f"format_version: found {version!r}, expected a whole number from 1")
    if version > FORMAT_VERSION:
        raise RunError(
            f"{folder.path / name}: format version {version} is newer than the {FORMAT_VERSION} that this "
            "tsforecast reads. Upgrade tsforecast, or train again with this one."
        )


def _migrated(model: dict[str, Any]) -> dict[str, Any]:
    """What a run of an older format says, in the words of this one; on the disk it stays as it is."""
    for version in range(model["format_version"], FORMAT_VERSION):
        model = MIGRATIONS[version](model)
    return model


def _from_1(model: dict[str, Any]) -> dict[str, Any]:
    """Before there were updates: each run is the first version, and what it held back was the test part or nothing."""
    return {"version": 1, "held_back": None, **model}


def _config(folder: _Folder, data: bytes) -> Config:
    """The config in bytes that were checked: reading the file once more might find another version."""
    source = str(folder.path / CONFIG)
    try:
        document = parse_document(data.decode("utf-8"), source=source)
        if document.problems:
            first = document.problems[0]
            raise RunError(f"{first.place}: {first.message}. {_ADVICE}")
        return config_from_mapping(document.values)
    except UnicodeDecodeError as error:
        raise folder.damage(CONFIG, f"is not UTF-8 ({error.reason})") from error
    except ConfigError as error:
        raise RunError(f"{source}: {error}\n{_ADVICE}") from error


def _arrays(folder: _Folder, data: bytes) -> Arrays:
    try:
        arrays = parse_arrays(data)  # compares the header's sizes with the file's before it takes memory
    except (SafetensorError, KeyError, ValueError) as error:
        raise folder.damage(ARRAYS, f"is not a safetensors file of known types ({error})") from error
    for name, array in arrays.items():
        if count := _n_not_finite(name, array):
            raise folder.damage(ARRAYS, f"array {name!r} holds {count} values that are not finite")
    return arrays


def _n_not_finite(name: str, array: npt.NDArray[Any]) -> int:
    if MASKABLE.fullmatch(name):
        return int(np.isinf(array).sum())
    if not np.issubdtype(array.dtype, np.inexact):
        return 0
    return array.size - int(np.isfinite(array).sum())


# From each older format to the one after it. The model keeps the number it was written with.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
