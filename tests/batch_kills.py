"""Kills a batch before some of its steps on the disk; run by test_batch.py.

Usage: python batch_kills.py FOLDER COUNT

Each run is a fork that dies by SIGKILL. What it leaves is whole: each output is missing, or what a clean run writes.
The next run makes up for it, to the same bytes, and clears what was left behind.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path

import sqlalchemy.dialects.sqlite  # noqa: F401  (imported before the forks)
from faults import ignore
from kill_sweep import STEPS, dies
from night import outputs, status_of

import tsforecast.workflows.nightly.job
import tsforecast.workflows.train  # noqa: F401
from tsforecast.config.jobs import load_jobs
from tsforecast.workflows.batch import Night, batch, status_path


def main(folder: Path, count: int) -> dict[str, int]:
    """How many runs were killed, of how many moments there are."""
    os.fsync = ignore
    os.chdir(folder)
    clean = fresh(folder)
    total = steps_of(folder)
    moments = sorted(random.Random(1).sample(range(1, total + 1), count))
    for moment in moments:
        clear(folder)
        if not dies(lambda: run(folder), before_step=moment):
            raise SystemExit(f"moment {moment} of {total}: was not killed")
        check_whole(outputs(folder), clean, moment)
        run(folder)
        if without_database(outputs(folder)) != without_database(clean):
            raise SystemExit(f"moment {moment}: the next run wrote something else")
        left = [path for path in folder.rglob(".*") if path.suffix != ".lock"]
        if left or status_of(folder)["state"] != "done":
            raise SystemExit(f"moment {moment}: left behind: {left}")
    return {"killed": len(moments), "moments": total}


def run(folder: Path) -> None:
    """The night, in this process."""
    jobs = load_jobs(folder / "jobs.yaml")
    document = batch(jobs, status_path(jobs, folder / "jobs.yaml"), Night())
    if document["exit_code"]:
        raise SystemExit(f"failed: {document}")


def fresh(folder: Path) -> dict[str, bytes]:
    clear(folder)
    run(folder)
    return outputs(folder)


def clear(folder: Path) -> None:
    """The folder as before the first night."""
    for name in ("out", "archive"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "jobs.status.json").unlink(missing_ok=True)


def steps_of(folder: Path) -> int:
    """How many moments there are, counted in a fork."""
    clear(folder)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, _arguments: object) -> None:
            nonlocal seen
            seen += event in STEPS

        sys.addaudithook(count)
        run(folder)
        os.write(writer, str(seen).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return int(os.read(reader, 20))


def check_whole(found: dict[str, bytes], clean: dict[str, bytes], moment: int) -> None:
    """Each file under its final name is the whole one; a database may have a journal beside it, which undoes."""
    for name, content in without_database(found).items():
        hidden = Path(name).name.startswith(".") or any(part.startswith(".") for part in Path(name).parts)
        if not hidden and clean.get(name) != content:
            raise SystemExit(f"moment {moment}: {name} is not whole")


def without_database(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if ".db" not in name}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
