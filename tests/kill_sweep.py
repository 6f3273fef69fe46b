"""Kills a writer of a run folder before each of its steps on the disk; run by test_runs.py.

Usage: python kill_sweep.py RUN new|overwrite|"two steps"|update|"update in two steps"|rollback

Each writer is a fork that dies by SIGKILL before the n-th step. After each death the folder must be whole:
the old version or the new one, or still missing where there was none.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from faults import ignore, refuse_exchange
from test_runs import fill, versions, write_run

from tsforecast.errors import RunError
from tsforecast.runs import VERSIONS, open_run, verify_run, version_names
from tsforecast.storage import atomic
from tsforecast.storage.atomic import clear_leftovers
from tsforecast.versions import next_version, restore_version

# Python's audit events, each raised before the step; ctypes.dlsym comes right before the exchange.
STEPS = (
    "open",
    "fcntl.flock",
    "os.link",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.scandir",
    "ctypes.dlsym",
)


def main(path: Path, start: str) -> dict[str, int]:
    """Counts of the moments of death by what stood in the folder afterwards."""
    os.fsync = ignore
    if start.endswith("two steps"):
        atomic._exchange_in_one_step = refuse_exchange
    act, before, after = ACTIONS[start]
    found = {"before": 0, "after": 0}
    prepare(path, before)
    while dies(lambda: act(path), before_step=sum(found.values()) + 1):
        version = version_of(path)
        if version not in (before, after):
            raise SystemExit(f"killed after {found} moments: found version {version}")
        if version is not None and kept_by(path) != KEPT[start][version]:
            raise SystemExit(f"killed after {found} moments: version {version} keeps {kept_by(path)}")
        found["after" if version == after else "before"] += 1
        prepare(path, before)
    return found


def update(path: Path) -> None:
    with next_version(path, version=2, keep=3) as folder:
        fill(folder, 3)


def rollback(path: Path) -> None:
    restore_version(path)


def kept_by(path: Path) -> list[float]:
    """The versions that a run keeps, each whole, once a writer has brought it back from where it was set aside."""
    clear_leftovers(path)
    return [version_of(path / VERSIONS / name) or 0 for name in version_names(path)]


# What is done, what a reader finds before it, and what after it.
ACTIONS: dict[str, tuple[Callable[[Path], None], float | None, float]] = {
    "new": (lambda path: write_run(path, 2), None, 2),
    "overwrite": (lambda path: write_run(path, 3, overwrite=True), 2, 3),
    "two steps": (lambda path: write_run(path, 3, overwrite=True), 2, 3),
    "update": (update, 2, 3),
    "update in two steps": (update, 2, 3),
    "rollback": (rollback, 2, 1),
}
# What each of them keeps: version 2 has replaced version 1.
KEPT: dict[str, dict[float, list[float]]] = {
    "new": {2: []},
    "overwrite": {2: [1], 3: []},
    "two steps": {2: [1], 3: []},
    "update": {2: [1], 3: [1, 2]},
    "update in two steps": {2: [1], 3: [1, 2]},
    "rollback": {2: [1], 1: []},
}


def prepare(path: Path, version: float | None) -> None:
    """Version 2 that keeps version 1, or nothing; a writer in between clears what the killed one left behind."""
    write_run(path, 1, overwrite=True)
    left = sorted(entry.name for entry in path.parent.iterdir())
    if left != [path.name]:
        raise SystemExit(f"not cleared: {left}")
    if version is None:
        shutil.rmtree(path)
        return
    with next_version(path, version=1, keep=3) as folder:
        fill(folder, 2)


def dies(action: Callable[[], None], *, before_step: int) -> bool:
    """Whether a child that runs the action was killed on its way."""
    child = os.fork()
    if child == 0:
        sys.addaudithook(killer(before_step))
        action()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"the writer failed by itself on its way to step {before_step}")
    return False


def killer(step: int) -> Callable[[str, object], None]:
    left = step

    def on_event(event: str, arguments: object) -> None:
        nonlocal left
        if event not in STEPS:
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_event


def version_of(path: Path) -> float | None:
    """The one version a reader finds; None where there is no folder."""
    try:
        (version,) = versions(open_run(path))
    except RunError as error:
        if "no such run folder" in str(error):
            return None
        raise
    if problems := verify_run(path):
        raise SystemExit("\n".join(problems))
    return version


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
