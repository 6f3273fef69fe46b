"""How long the command line takes to start, as ratios of two things timed in one run.

    python benchmarks/startup.py [ROUNDS]

`--help` is held against a bare `import typer`, and `predict` of one series, from process start to the
written forecast, against a bare `import torch`. Command and rival take turns, so that a slow moment of the
machine meets both; the ratio is of medians. Ends with code 1 when `--help` imports anything heavy.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

__all__ = ["HEAVY", "imported_by"]

REPOSITORY = Path(__file__).parents[1]
CONFIG = REPOSITORY / "configs" / "air_passengers.yaml"
HEAVY = frozenset({"matplotlib", "numpy", "pandas", "ray", "sklearn", "torch"})
ROUNDS = 11


class Comparison(NamedTuple):
    """One command of ours, what it is held against, and the ratio it should stay under."""

    name: str
    words: list[str]
    rival: str
    rival_words: list[str]
    target: float


def imported_by(words: list[str]) -> set[str]:
    """Top-level modules that ``python WORDS`` imports."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True
    )
    modules = re.findall(r"^import time:.*\|\s*(\S+)$", process.stderr, flags=re.MULTILINE)
    return {module.partition(".")[0] for module in modules}


def seconds(words: list[str]) -> float:
    """Wall seconds of ``python WORDS`` from start to end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=True)
    return time.perf_counter() - start


def train_small(run: Path) -> None:
    words = ["-m", "tsforecast", "train", str(CONFIG), "--run", str(run), "--set", "training.max_steps=5"]
    subprocess.run([sys.executable, *words], capture_output=True, check=True)


def comparisons(folder: Path) -> list[Comparison]:
    run = folder / "air_passengers"
    train_small(run)
    predict = ["-m", "tsforecast", "predict", str(run), "--out", str(folder / "forecast.csv")]
    return [
        Comparison("--help", ["-m", "tsforecast", "--help"], "import typer", ["-c", "import typer"], 2.5),
        Comparison("predict, one series", predict, "import torch", ["-c", "import torch"], 1.5),
    ]


def report(comparison: Comparison, rounds: int) -> str:
    """One line of the table; a first round fills the file cache and is not counted."""
    pairs = [(seconds(comparison.words), seconds(comparison.rival_words)) for _ in range(rounds + 1)][1:]
    ours, rival = (median(column) for column in zip(*pairs, strict=True))
    return (
        f"{comparison.name:<20} {ours:>8.3f}  {comparison.rival:<13} {rival:>8.3f}"
        f"  {ours / rival:>6.2f}  {comparison.target:>6.2f}"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"{'tsforecast':<20} {'seconds':>8}  {'against':<13} {'seconds':>8}  {'ratio':>6}  {'target':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for comparison in comparisons(Path(folder)):
            print(report(comparison, rounds), flush=True)
    found = sorted(HEAVY & imported_by(["-m", "tsforecast", "--help"]))
    print(f"\nheavy modules imported by --help: {', '.join(found) or 'none'}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
