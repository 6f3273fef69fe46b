"""Commands on disks of every size; run by test_places.py in short, by hand for all.

Usage: python disks.py FOLDER [COMMAND …]

Each command has written its outputs once, from older rows. Then it writes them anew on a disk that has 0, 4, 8, 12 kB …
of room beside the old ones, until it ends well, and the same where no file may grow beyond so many bytes (`ulimit -f`).
Where it does not end well it must end with 7, each output being as it was or as it should be, and nothing half-written
beside them; given room, the same command must make what it makes on a large disk. Prints a JSON of exit codes by size.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from faults import full_disk
from night import CONFIG, tsforecast, write_data
from test_update import always_wins

from tsforecast.runs import open_run, verify_run
from tsforecast.workflows import update

ROOM = 64 * 1024 * 1024
SIZES = (*range(0, 64 * 1024, 4096), *(65_536 << k for k in range(10)))  # to 32 MB
JOBS = """\
archive: {place}/archive
status: {place}/night.status.json
jobs:
  - name: sales
    run: {ground}/run
    data: {ground}/rows.csv
    sinks:
      - csv: {place}/out/sales.csv
      - csv: {place}/out/sales-{{as_of}}.csv
      - parquet: {place}/out/parquet
      - sql: sqlite:///{place}/out/sales.db
"""


@dataclass(frozen=True)
class Command:
    """A command line; in it `ground` is a folder that has room, `place` one on the disk.

    Attributes:
        words: of the command that is watched.
        before: of the one that has made the old outputs; as ``words``, on older rows, where there are none.
    """

    words: Sequence[str]
    before: Sequence[str] = ()


COMMANDS = {
    "batch": Command(("batch", "{ground}/jobs.yaml")),
    "predict": Command(("predict", "{ground}/run", "{ground}/rows.csv", "--out", "{place}/forecast.csv")),
    "predict to Parquet": Command(
        ("predict", "{ground}/run", "{ground}/rows.csv", "--out", "{place}/forecast.parquet")
    ),
    "score": Command(
        ("score", "{ground}/archive", "{ground}/rows.csv", "--page", "{place}/s.html", "--out", "{place}/s")
    ),
    "report": Command(
        ("report", "{ground}/run", "--out", "{place}/report.html"),
        before=("report", "{ground}/other", "--out", "{place}/report.html"),
    ),
    "train": Command(
        ("train", "{ground}/sales.yaml", "--run", "{place}/run", "--overwrite", "--set", "training.seed=2"),
        before=("train", "{ground}/sales.yaml", "--run", "{place}/run"),
    ),
    "update": Command(
        ("update", "{place}/run", "{ground}/rows.csv"),
        before=("train", "{ground}/sales.yaml", "--run", "{place}/run"),
    ),
}
# What a training that broke off leaves on purpose, for --resume.
LEFT = (".run.train",)


def main(folder: Path, names: Sequence[str]) -> dict[str, dict[str, dict[int, int]]]:
    """Exit codes by command, kind of limit and size."""
    ground = prepared(folder / "ground")
    found = {}
    for name in names:
        found[name] = {kind: sweep(name, ground, folder / "place", kind=kind, sizes=SIZES) for kind in LIMITS}
    return found


def prepared(ground: Path) -> Path:
    """Rows, a run and another one, a jobs file, and an archive."""
    ground.mkdir(parents=True)
    (ground / "sales.yaml").write_text(CONFIG)
    _deliver(ground, days=80)
    run(("train", str(ground / "sales.yaml"), "--run", str(ground / "run")))
    run(("train", str(ground / "sales.yaml"), "--run", str(ground / "other"), "--set", "training.seed=3"))
    (ground / "jobs.yaml").write_text(JOBS.format(ground=ground, place=ground))
    run(("batch", str(ground / "jobs.yaml")))
    return ground


def _deliver(ground: Path, *, days: int) -> None:
    write_data(ground, days=days)
    shutil.copy(ground / "sales.csv", ground / "rows.csv")


def sweep(name: str, ground: Path, place: Path, *, kind: str, sizes: Sequence[int]) -> dict[int, int]:
    """Exit codes by size, up to the first that is enough."""
    update._compared = always_wins
    command = COMMANDS[name]
    words, older = (
        [word.format(ground=ground, place=place) for word in some]
        for some in (command.words, command.before or command.words)
    )
    (ground / "jobs.yaml").write_text(JOBS.format(ground=ground, place=place))
    _deliver(ground, days=85)
    old = _fresh(place.with_name("old"))
    _fresh(place)
    run(older)
    shutil.copytree(place, old, dirs_exist_ok=True)
    before = state(place)
    _deliver(ground, days=90)
    run(words)
    after = state(place)
    codes: dict[int, int] = {}
    for size in sizes:
        with LIMITS[kind](_fresh(place), old, size) as (limit, lift):
            with limit:
                codes[size], said = told(words)
            faults = faults_of(place, codes[size], said, before, after)
            if codes[size]:
                lift()
                code, said_then = told(words)
                faults += [f"with room {fault}" for fault in faults_of(place, code, said_then, after, after)]
                faults += [f"with room the exit code is {code}"] if code else []
        if faults:
            raise SystemExit("\n".join([f"{name}, {kind} of {size} bytes:", *faults, said]))
        if codes[size] == 0:
            break
    return codes


def faults_of(
    place: Path, code: int, said: str, before: Mapping[str, str], after: Mapping[str, str]
) -> list[str]:
    """What a command should not have left."""
    found = state(place)
    faults = [
        f"{name} is neither what it was nor what it should be"
        for name in sorted(before.keys() | after.keys() | found.keys())
        if found.get(name) not in ((after.get(name),) if code == 0 else (before.get(name), after.get(name)))
    ]
    if code not in (0, 7):
        faults.append(f"the exit code is {code}")
    if code == 7 and not any(word in said for word in ("room", "space", "full")):
        faults.append("nothing is said of room")
    if "Traceback" in said or ".tmp" in said:
        faults.append("a traceback, or the name of a temporary file")
    left = [
        str(path)
        for path in place.rglob(".*")
        if path.suffix != ".lock" and not (code and path.name in LEFT) and path.parent.name not in LEFT
    ]
    return faults + [f"left behind: {one}" for one in left]


def state(place: Path) -> dict[str, str]:
    """What each output says, time and place left out, by its path: a run is one output, and so is a database."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if any(part.startswith(".") for part in path.relative_to(place).parts) or name.startswith("run/"):
            continue
        if path.name == "night.status.json":
            json.loads(path.read_text())
        elif path.name == "run":
            found[name] = _of_run(path)
        elif path.suffix == ".db":
            found[name] = _of_database(path)
        elif path.is_file() and ".db-" not in path.name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _of_run(path: Path) -> str:
    if problems := verify_run(path):
        return "\n".join(problems)
    files = [path / "model.safetensors", path / "forecast.csv", *path.glob("versions/*/model.safetensors")]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.exists())).hexdigest()
    return f"version {open_run(path).model['version']}, {digest}"


def _of_database(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@contextmanager
def disk(
    place: Path, old: Path, size: int
) -> Iterator[tuple[AbstractContextManager[None], Callable[[], None]]]:
    """A disk with so much room beside the old outputs; the second value gives it more."""
    used = sum(-(-file.stat().st_size // 4096) * 4096 for file in old.rglob("*"))
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={max(used + size, 4096)}", "tmpfs", str(place)]
    subprocess.run(mounted, check=True)
    try:
        shutil.copytree(old, place, dirs_exist_ok=True)
        more = ["mount", "-o", f"remount,size={ROOM}", str(place)]
        yield nullcontext(), lambda: subprocess.run(more, check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def short_files(
    place: Path, old: Path, size: int
) -> Iterator[tuple[AbstractContextManager[None], Callable[[], None]]]:
    """A folder in which no file grows beyond so many bytes."""
    shutil.copytree(old, place, dirs_exist_ok=True)
    yield full_disk(size), lambda: None


LIMITS = {"disk": disk, "file size": short_files}


def told(words: Sequence[str]) -> tuple[int, str]:
    """Exit code and messages of a command."""
    with redirect_stderr(StringIO()) as said, redirect_stdout(StringIO()):
        code = tsforecast(*words)
    return code, said.getvalue()


def run(words: Sequence[str]) -> None:
    code, said = told(words)
    if code:
        raise SystemExit(f"{' '.join(words)}: {code}\n{said}")


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    chosen = sys.argv[2:] or list(COMMANDS)
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]).resolve(), chosen), indent=1) + "\n")
