"""Kills commands at random moments and looks at what they leave; run by test_kills.py, or by hand for hundreds.

Usage: python random_kills.py FOLDER [MOMENTS] [KILL|TERM|INT] [COMMAND …]

Each command is done once undisturbed, then again and again in a fork that gets the signal after a random part of that
time. SIGKILL ends it; of the others it must end within ten seconds, with their exit code and without a traceback.
After each end every output must be what it was before or what the undisturbed command made of it; then the command is
run to its end, which must give that again and leave nothing beside it. Prints a JSON of counts: how many found all
outputs as before, as after, or some as before and some as after, and how many ended with which code.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import sqlalchemy.dialects.sqlite  # noqa: F401
import torch
from synthetic import seasonal_frame
from test_cli import CONFIG, tsforecast
from test_update import always_wins

from tsforecast.runs import open_run, verify_run
from tsforecast.workflows import (  # noqa: F401  (so that no fork imports them)
    batch,
    check,
    predict,
    report,
    score,
    train,
    update,
)
from tsforecast.workflows.nightly import job  # noqa: F401
from tsforecast.workflows.reporting import archive  # noqa: F401

SEED = 7
SECONDS_TO_STOP = 10
JOBS = """\
archive: archive
jobs:
  - name: sales
    run: run
    data: more.csv
    sinks:
      - csv: out/sales.csv
      - parquet: out/parquet
      - sql: sqlite:///out/sales.db
"""
# By command: its words, and what it writes.
COMMANDS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "train": (("train", "sales.yaml", "--run", "new", "-q"), ["new"]),
    "train over a run": (
        ("train", "sales.yaml", "--run", "run", "--overwrite", "-q", "--set", "training.seed=2"),
        ["run"],
    ),
    "predict": (("predict", "run", "more.csv", "--out", "forecast.csv"), ["forecast.csv"]),
    "update": (("update", "run", "more.csv"), ["run"]),
    "rollback": (("rollback", "twice"), ["twice"]),
    "report": (("report", "run", "--out", "report.html"), ["report.html"]),
    "score": (
        ("score", "archive", "--page", "scores.html", "--out", "scores"),
        ["scores.html", "scores"],
    ),
    "batch": (("batch", "jobs.yaml"), ["out/sales.csv", "out/parquet", "out/sales.db", "archive"]),
}
# What a killed training leaves on purpose, for --resume; what a killed holder leaves of a lock, which locks nothing.
LEFT = (".new.train", ".run.train", ".new.lock", ".run.lock", ".twice.lock")


def main(
    folder: Path, moments: int, names: Sequence[str], number: int = signal.SIGKILL
) -> dict[str, Counter[str]]:
    """Counts of the ends of each command, by what stood there afterwards."""
    torch.set_num_threads(1)
    update._compared = always_wins
    gc.disable()
    ground = prepared(folder / "ground")
    draw = random.Random(SEED)
    found = {}
    for name in names:
        words, outputs = COMMANDS[name]
        place = folder / "place"  # always the same, as the archive says where the rows came from
        seconds, after = undisturbed(ground, place, words, outputs)
        before = states(ground, outputs)
        counts: Counter[str] = Counter()
        for _ in range(moments):
            copied(ground, place)
            code = kill(place, words, number, after_seconds=draw.uniform(0, 1.1 * seconds))
            left = states(place, outputs)
            for output in outputs:
                if left[output] not in (before[output], after[output]):
                    raise SystemExit(f"{name}: {output} is neither what it was nor what it should be: {left}")
            counts["after" if left == after else "before" if left == before else "between"] += 1
            counts[f"exit code {code}"] += number != signal.SIGKILL
            again(name, place, words, outputs, after, was_done=left == after)
        found[name] = +counts
    return found


def prepared(ground: Path) -> Path:
    """Data, a config, a run, and a run that was updated."""
    ground.mkdir(parents=True)
    os.chdir(ground)
    frame = seasonal_frame(n_series=3, length=120)
    frame.columns = pd.Index(["shop", "month", "sales"])
    part = frame.groupby("shop").cumcount()
    frame["sales"] = frame["sales"].where(part < 72, 40 - frame["sales"]).round(3)
    frame[part < 72].to_csv("sales.csv", index=False)
    frame.to_csv("more.csv", index=False)
    (ground / "sales.yaml").write_text(
        CONFIG.replace("max_steps: 6", "max_steps: 40").replace("horizon: 4", "horizon: 6")
    )
    (ground / "forecast.csv").write_text("an old forecast\n")
    (ground / "report.html").write_text("an old report\n")
    (ground / "scores.html").write_text("old scores\n")
    (ground / "jobs.yaml").write_text(JOBS)
    done(ground, ("train", "sales.yaml", "--run", "run", "-q"))
    shutil.copytree("run", "twice")
    done(ground, ("update", "twice", "more.csv"))
    done(ground, ("batch", "jobs.yaml", "--as-of", "2024-06-01"))
    return ground


def undisturbed(
    ground: Path, place: Path, words: Sequence[str], outputs: Sequence[str]
) -> tuple[float, dict[str, str | None]]:
    copied(ground, place)
    started = time.monotonic()
    done(place, words)
    return time.monotonic() - started, states(place, outputs)


def again(
    name: str,
    place: Path,
    words: Sequence[str],
    outputs: Sequence[str],
    after: dict[str, str | None],
    *,
    was_done: bool,
) -> None:
    """The next run of the command: the same outcome, and nothing left beside it."""
    if name == "train" and was_done:
        words = (*words, "--overwrite")
    elif name in ("update", "rollback") and was_done:  # the same once more would be the next version, or none
        words = ("update", outputs[0], "more.csv")
        after = {}
    done(place, words)
    left = states(place, outputs)
    if after and left != after:
        raise SystemExit(f"{name}: run again after a kill, it is {left}, not {after}")
    strangers = {path.name for path in place.rglob(".*") if path.suffix != ".lock"} - set(LEFT)
    if strangers or any((place / f".{output}.train").exists() for output in outputs):
        raise SystemExit(f"{name}: left behind: {sorted(strangers)}")


def copied(ground: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ground, place)
    return place


def done(place: Path, words: Sequence[str]) -> None:
    if code := os.waitstatus_to_exitcode(os.waitpid(started_in(place, words), 0)[1]):
        raise SystemExit(f"{' '.join(words)}: exit code {code}\n{said_in(place)}")


def kill(place: Path, words: Sequence[str], number: int, *, after_seconds: float) -> int:
    """Exit code of a command that gets a signal; minus the signal where that ended it at once."""
    child = started_in(place, words)
    time.sleep(after_seconds)
    os.kill(child, number)
    sent = time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if (seconds := time.monotonic() - sent) > SECONDS_TO_STOP:
        raise SystemExit(f"{' '.join(words)}: ended {seconds:.1f} s after the signal")
    # It was done before the signal came, or had not begun to listen.
    if code not in (0, -number, 128 + number) or "Traceback" in said_in(place):
        raise SystemExit(f"{' '.join(words)}: exit code {code} after signal {number}\n{said_in(place)}")
    return code


def said_in(place: Path) -> str:
    return place.with_name("said.txt").read_text()


def started_in(place: Path, words: Sequence[str]) -> int:
    """Process id of a fork that runs the command in a folder, its words kept beside that."""
    child = os.fork()
    if child == 0:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(place)
        said = os.open(place.with_name("said.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os._exit(tsforecast(*words))
    return child


def states(place: Path, outputs: Sequence[str]) -> dict[str, str | None]:
    """What each output is."""
    return {output: state(place / output) for output in outputs}


def state(output: Path) -> str | None:
    """What an output is: of a run its forecast and weights, but for time and place; None where there is nothing."""
    if not output.exists():
        return None
    if output.suffix == ".db":
        connection = sqlite3.connect(output)  # which undoes what a journal beside it says
        text = "\n".join(connection.iterdump())
        connection.close()
        return hashlib.sha256(text.encode()).hexdigest()
    if output.is_file():
        text = output.read_text()
        return text if len(text) < 100 else hashlib.sha256(text.encode()).hexdigest()
    if not (output / "manifest.json").exists():  # sets of forecasts, or tables
        files = sorted(path for path in output.rglob("*") if path.is_file() and not path.name.startswith("."))
        digests = [(str(path.relative_to(output)), path.read_bytes()) for path in files]
        return hashlib.sha256(repr(digests).encode()).hexdigest()
    if problems := verify_run(output):
        raise SystemExit("\n".join(problems))
    run = open_run(output)
    files = [*output.glob("model.safetensors"), *output.glob("forecast.csv")]
    files += output.glob("versions/*/model.safetensors")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()
    return f"version {run.model['version']}, {digest}"


if __name__ == "__main__":
    given = sys.argv[3:]
    kind = given.pop(0) if given and given[0].isupper() else "KILL"
    counts = main(
        Path(sys.argv[1]).resolve(),
        int(sys.argv[2]) if len(sys.argv) > 2 else 3,
        given or list(COMMANDS),
        signal.Signals[f"SIG{kind}"],
    )
    sys.stdout.write(json.dumps(counts, indent=1) + "\n")
