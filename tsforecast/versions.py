"""Older versions of a run, kept inside its folder: what an update replaced, and a way back.

    run/                 the version that is read
    run/versions/0001/   what it replaced: a run folder of its own, with its own manifest

The folder that holds the new version and all it keeps is finished beside the run and exchanged with it in one step,
so a crash leaves the old version or the new one and nothing to repair. What is kept is linked, not copied, where the
disk can do that.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tsforecast.errors import RunError
from tsforecast.runs import VERSIONS, check_target, open_run, version_names, write_manifest
from tsforecast.storage.atomic import (
    clear_leftovers,
    install_folder,
    output_errors,
    refuse_unwritable,
    staging_folder,
)

__all__ = ["next_version", "refuse_without_versions", "restore_version"]


@contextmanager
def next_version(path: Path, *, version: int, keep: int) -> Iterator[Path]:
    """A folder to fill, which takes the place of a run when the block ends without an error.

    Args:
        path: the run folder; nobody else may replace it meanwhile.
        version: number of the version that stands there.
        keep: how many older versions the new one keeps, that one included.

    Raises:
        ConfigError: ``path`` is no run folder, or cannot be written.
        ResourceError: the disk is full or failing; ``path`` is unchanged.
    """
    check_target(path, overwrite=True)
    target = Path(os.path.realpath(path))
    with staging_folder(target) as folder:
        yield folder
        check_target(path, overwrite=True)
        with output_errors(path):
            write_manifest(folder)
            _keep(target, folder, version=version, keep=keep)
        install_folder(folder, target, replace=True)


def refuse_without_versions(path: Path) -> None:
    """Refuses a run with nothing to go back to.

    Raises:
        RunError: says so.
    """
    if not version_names(path):
        raise RunError(
            f"{path}: keeps no older version to go back to; `tsforecast update` keeps those that it replaces."
        )


def restore_version(path: Path) -> int:
    """Puts the newest version that a run keeps in its place, and returns its number; the one that stood there goes.

    That one may be damaged, which is a reason to go back.

    Raises:
        ConfigError: ``path`` cannot be written.
        ResourceError: the disk is full or failing; ``path`` is unchanged.
        RunError: the run keeps no older version, or that one is damaged.
    """
    target = Path(os.path.realpath(path))
    with output_errors(path):
        clear_leftovers(target)
    refuse_without_versions(path)
    refuse_unwritable(target, name=path)
    *older, name = version_names(path)
    version: int = open_run(path / VERSIONS / name).model.get(
        "version", 1
    )  # a damaged one does not replace another
    with staging_folder(target) as folder:
        with output_errors(path):
            _link_files(target / VERSIONS / name, folder)
            for kept in older:
                _link_files(target / VERSIONS / kept, folder / VERSIONS / kept)
        install_folder(folder, target, replace=True)
    return version


def _keep(target: Path, folder: Path, *, version: int, keep: int) -> None:
    """Links what stands in ``target``, and the versions it keeps itself, into ``folder``: the newest ``keep``."""
    names = version_names(target)
    # A number is never given twice, so that a name stands for the same version as long as it is there.
    number = max([version, *(int(name) + 1 for name in names)])
    kept = [(target / VERSIONS / name, name) for name in names] + [(target, f"{number:04d}")]
    for source, name in kept[max(0, len(kept) - keep) :]:
        _link_files(source, folder / VERSIONS / name)


def _link_files(source: Path, destination: Path) -> None:
    """The regular files of a run folder under a second name, with those below ``derived/`` but no older versions."""
    destination.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != VERSIONS:
                    _link_files(Path(entry.path), destination / entry.name)
            elif entry.is_file(follow_symlinks=False):
                _link(Path(entry.path), destination / entry.name)


def _link(source: Path, destination: Path) -> None:
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError:  # a disk without hard links; where the copy fails too, its error is the one to tell
        shutil.copyfile(source, destination, follow_symlinks=False)
