"""Kills commands at random moments and looks at what they leave; run by test_kills.py, or by hand for hundreds.

Usage: python random_kills.py FOLDER [MOMENTS] [COMMAND …]

Each command is done once undisturbed, then again and again in a fork that dies by SIGKILL after a random part of that
time. After each death every output must be what it was before or what the undisturbed command made of it; then the
command is run to its end, which must give that again and leave nothing beside it. Prints a JSON of counts.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from synthetic import seasonal_frame
from test_cli import CONFIG, tsforecast
from test_update import always_wins

from tsforecast.runs import open_run, verify_run
from tsforecast.workflows import check, predict, report, train, update  # noqa: F401  (so that no fork imports them)

SEED = 7
# By command: its words, and what it writes.
COMMANDS: dict[str, tuple[Sequence[str], str]] = {
    "train": (("train", "sales.yaml", "--run", "new", "-q"), "new"),
    "train over a run": (
        ("train", "sales.yaml", "--run", "run", "--overwrite", "-q", "--set", "training.seed=2"),
        "run",
    ),
    "predict": (("predict", "run", "more.csv", "--out", "forecast.csv"), "forecast.csv"),
    "update": (("update", "run", "more.csv"), "run"),
    "rollback": (("rollback", "twice"), "twice"),
    "report": (("report", "run", "--out", "report.html"), "report.html"),
}
# What a killed training leaves on purpose, for --resume; what a killed holder leaves of a lock, which locks nothing.
LEFT = (".new.train", ".run.train", ".new.lock", ".run.lock", ".twice.lock")


def main(folder: Path, moments: int, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Counts of the deaths of each command, by what stood there afterwards."""
    torch.set_num_threads(1)
    update._compared = always_wins
    gc.disable()
    ground = prepared(folder / "ground")
    draw = random.Random(SEED)
    found = {}
    for name in names:
        words, output = COMMANDS[name]
        seconds, after = undisturbed(ground, folder / "clean", words, output)
        before = state(ground / output)
        counts = {"before": 0, "after": 0}
        for _ in range(moments):
            place = copied(ground, folder / "killed")
            kill(place, words, after_seconds=draw.uniform(0, 1.1 * seconds))
            left = state(place / output)
            if left not in (before, after):
                raise SystemExit(f"{name}: {output} is neither what it was nor what it should be: {left}")
            counts["after" if left == after else "before"] += 1
            again(name, place, words, output, after, was_done=left == after)
        found[name] = counts
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
    done(ground, ("train", "sales.yaml", "--run", "run", "-q"))
    shutil.copytree("run", "twice")
    done(ground, ("update", "twice", "more.csv"))
    return ground


def undisturbed(ground: Path, place: Path, words: Sequence[str], output: str) -> tuple[float, str | None]:
    copied(ground, place)
    started = time.monotonic()
    done(place, words)
    return time.monotonic() - started, state(place / output)


def again(
    name: str, place: Path, words: Sequence[str], output: str, after: str | None, *, was_done: bool
) -> None:
    """The next run of the command: the same outcome, and nothing left beside it."""
    if name == "train" and was_done:
        words = (*words, "--overwrite")
    elif name in ("update", "rollback") and was_done:  # the same once more would be the next version, or none
        words = ("update", output, "more.csv")
        after = None
    done(place, words)
    left = state(place / output)
    if after is not None and left != after:
        raise SystemExit(f"{name}: run again after a kill, {output} is {left}, not {after}")
    strangers = {path.name for path in place.iterdir() if path.name.startswith(".")} - set(LEFT)
    if strangers or (place / f".{output}.train").exists():
        raise SystemExit(f"{name}: left behind: {sorted(strangers)}")


def copied(ground: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ground, place)
    return place


def done(place: Path, words: Sequence[str]) -> None:
    if code := os.waitstatus_to_exitcode(os.waitpid(started_in(place, words), 0)[1]):
        raise SystemExit(f"{' '.join(words)}: exit code {code}")


def kill(place: Path, words: Sequence[str], *, after_seconds: float) -> None:
    child = started_in(place, words)
    time.sleep(after_seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def started_in(place: Path, words: Sequence[str]) -> int:
    """Process id of a fork that runs the command in a folder, its words sent nowhere."""
    child = os.fork()
    if child == 0:
        os.chdir(place)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os._exit(tsforecast(*words))
    return child


def state(output: Path) -> str | None:
    """What an output is: of a run its forecast and weights, but for time and place; None where there is nothing."""
    if not output.exists():
        return None
    if output.is_file():
        text = output.read_text()
        return text if len(text) < 100 else hashlib.sha256(text.encode()).hexdigest()
    if problems := verify_run(output):
        raise SystemExit("\n".join(problems))
    run = open_run(output)
    files = [*output.glob("model.safetensors"), *output.glob("forecast.csv")]
    files += output.glob("versions/*/model.safetensors")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()
    return f"version {run.model['version']}, {digest}"


if __name__ == "__main__":
    chosen = sys.argv[3:] or list(COMMANDS)
    counts = main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 3, chosen)
    sys.stdout.write(json.dumps(counts, indent=1) + "\n")
