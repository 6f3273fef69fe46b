"""Kills a writer of a run folder before each of its steps on the disk; run by test_runs.py.

Usage: python kill_sweep.py RUN new|overwrite|"two steps"

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
from test_runs import versions, write_run

from tsforecast.errors import RunError
from tsforecast.runs import open_run, verify_run
from tsforecast.storage import atomic

# Python's audit events, each raised before the step; ctypes.dlsym comes right before the exchange.
STEPS = (
    "open",
    "fcntl.flock",
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
    if start == "two steps":
        atomic._exchange_in_one_step = refuse_exchange
    exists = start != "new"
    found = {"before": 0, "after": 0}
    prepare(path, exists=exists)
    while dies(lambda: write_run(path, 2, overwrite=exists), before_step=sum(found.values()) + 1):
        version = version_of(path)
        if version not in ((1, 2) if exists else (None, 2)):
            raise SystemExit(f"killed after {found} moments: found version {version}")
        found["after" if version == 2 else "before"] += 1
        prepare(path, exists=exists)
    return found


def prepare(path: Path, *, exists: bool) -> None:
    """Version 1, or nothing; a writer in between clears what the killed one left behind."""
    write_run(path, 1, overwrite=True)
    left = sorted(entry.name for entry in path.parent.iterdir())
    if left != [path.name]:
        raise SystemExit(f"not cleared: {left}")
    if not exists:
        shutil.rmtree(path)


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
