"""The adding problem: over how many steps can each recurrent system carry a number?

    python benchmarks/adding_problem.py [--lengths 50 100 200] [--cells lstm gru] [--steps 3000] [--seeds 1]
        [--out docs/pictures/adding_problem.png] [--table adding_problem.txt]

After Hochreiter and Schmidhuber 1997. Each step shows a value from U(0, 1) and a mark, which is 1 at two steps, one
drawn from each half of the sequence, and 0 elsewhere. The target is the sum of the two marked values. Its variance is
1/6, the error of a net that remembers nothing and always says 1; a net that holds on to both values comes near 0.

The settings are the same for all systems and lengths: one layer of 64 units, a linear readout of the last h, squared
error, fresh batches of 64 from a stream that depends on seed and length alone, Adam with learning rate 0.005,
gradients clipped to norm 1, at most 3000 steps. Weights start as torch draws them, but for one gate: the share that is
kept starts higher by 1 in its logit (Jozefowicz et al. 2015), which is the forget gate of the LSTMs, 1 - i where it is
coupled, and z of the GRUs. The error on 2000 other sequences is taken every 100 steps. Training ends early when it has
been below a twentieth of the variance twice in a row; the last error counts, and below a tenth is solved.

The reservoir has 64 units too; its weights are drawn once, and ridge regression of the target on its last state uses
as many sequences as the others may see. Of several seeds the middle run is shown: the system's median. Rate, batch and
gate start were chosen by a few trials with seed 0.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from torch import Tensor, nn

from tsforecast.pictures.figure import INK, MANY_LINES, MUTED, drawing, whole_numbers
from tsforecast.recurrent.cells import CELLS
from tsforecast.recurrent.layers import Layers, Stepwise, build_layers, cell_with
from tsforecast.recurrent.reservoir import NormalEquations, draw_reservoir
from tsforecast.runtime import flushed_denormals, keep_freed_memory

VARIANCE = 1 / 6
SOLVED, STOP = 1 / 10, 1 / 20  # of the variance
HIDDEN, BATCH, LEARNING_RATE, GRADIENT_NORM = 64, 64, 0.005, 1.0
TEST_SEQUENCES, TEST_SEED, TEST_EVERY = 2000, 10**6, 100
KEPT_MORE = 1.0  # added to the logit of the share that is kept
SPECTRAL_RADIUS, INPUT_SCALE, LEAK, RIDGE = 0.9, 0.5, 0.3, 1e-6  # of the reservoir

SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("rnn", {}),
    "leaky_rnn": ("leaky_rnn", {}),
    "esn": ("esn", {"leak": LEAK}),
    "lstm": ("lstm", {}),
    "lstm, output identity": ("lstm", {"output_activation": "identity"}),
    "lstm_peephole": ("lstm_peephole", {}),
    "lstm_coupled": ("lstm_coupled", {}),
    "gru, reset after": ("gru", {"reset": "after"}),
    "gru, reset before": ("gru", {"reset": "before"}),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One system at one length: the steps at which it was tested, and the errors as shares of the variance."""

    steps: list[int]
    errors: list[float]

    @property
    def solved(self) -> bool:
        return self.errors[-1] < SOLVED


def main() -> None:
    """Runs all systems at all lengths, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[50, 100, 200], help="steps per sequence")
    parser.add_argument("--cells", nargs="+", choices=sorted(CELLS), default=list(CELLS))
    parser.add_argument("--steps", type=int, default=3000, help="bound of the training steps")
    parser.add_argument(
        "--seeds", type=int, default=1, help="number of runs, of which the middle one is shown"
    )
    parser.add_argument("--out", type=Path, help="picture, .png or .svg")
    parser.add_argument("--table", type=Path, help="file for a copy of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    names = [name for name, (cell, _) in SYSTEMS.items() if cell in options.cells]
    found = {}
    for name in names:
        for length in options.lengths:
            found[name, length] = [run(name, length, options.steps, seed) for seed in range(options.seeds)]
            print(f"{name}, length {length}:{cell_text(found[name, length])}", file=sys.stderr, flush=True)
    text = "\n".join(table(found, names, options.lengths, options.steps))
    print(f"\n{text}")
    if options.table:
        options.table.write_text(f"{text}\n", encoding="utf-8")
    if options.out:
        draw(options.out, {key: middle(runs) for key, runs in found.items()}, names, options.lengths)


@flushed_denormals()
def run(name: str, length: int, steps: int, seed: int) -> Run:
    """Trains or fits one system."""
    cell, options = SYSTEMS[name]
    torch.manual_seed(seed)
    layers = build_layers(cell_with(cell, options), 2, HIDDEN)
    readout = nn.Linear(HIDDEN, 1)
    if isinstance(layers, Stepwise) and layers.cell.reservoir:
        draw_reservoir(layers, spectral_radius=SPECTRAL_RADIUS, input_scale=INPUT_SCALE, seed=seed)
        return fit(layers, readout, length, steps, seed)
    keep_more(layers, cell)
    return train(layers, readout, length, steps, seed)


def train(layers: Layers, readout: nn.Linear, length: int, steps: int, seed: int) -> Run:
    """Gradient descent on fresh batches until the problem is solved or the steps are used up."""
    test = next(batches(length, TEST_SEQUENCES, TEST_SEED))
    weights = [*layers.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE, fused=True)
    found = Run([0], [error_on(layers, readout, *test)])
    for step, (x, y) in zip(range(1, steps + 1), batches(length, BATCH, seed), strict=False):
        loss = F.mse_loss(answer(layers, readout, x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, GRADIENT_NORM)
        optimizer.step()
        if step % TEST_EVERY == 0 or step == steps:
            found.steps.append(step)
            found.errors.append(error_on(layers, readout, *test))
            if max(found.errors[-2:]) < STOP:
                break
    return found


@torch.no_grad()
def fit(layers: Layers, readout: nn.Linear, length: int, steps: int, seed: int) -> Run:
    """The readout in closed form, from the sequences that the others see in all their steps."""
    equations = NormalEquations(HIDDEN, device=torch.device("cpu"))
    stream = batches(length, BATCH * 10, seed)
    for x, y in (next(stream) for _ in range(max(1, steps // 10))):
        equations.add(layers(x)[0][:, -1], y)
    solution = equations.solve(RIDGE)
    readout.weight.copy_(solution[None, :-1])
    readout.bias.copy_(solution[-1:])
    test = next(batches(length, TEST_SEQUENCES, TEST_SEED))
    return Run([0], [error_on(layers, readout, *test)])


def batches(length: int, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless sequences of values and marks, ``(size, length, 2)``, with their sums, ``(size,)``."""
    generator = torch.Generator().manual_seed(1000 * seed + length)
    rows, half = torch.arange(size), length // 2
    while True:
        x = torch.zeros(size, length, 2)
        x[..., 0] = torch.rand(size, length, generator=generator)
        for low, high in ((0, half), (half, length)):
            x[rows, torch.randint(low, high, (size,), generator=generator), 1] = 1.0
        yield x, (x[..., 0] * x[..., 1]).sum(dim=1)


def answer(layers: Layers, readout: nn.Linear, x: Tensor) -> Tensor:
    """The sum as read from the last h, ``(batch,)``."""
    output: Tensor = layers(x)[0]  # (batch, time, hidden)
    y_hat: Tensor = readout(output[:, -1])
    return y_hat.squeeze(1)


@torch.no_grad()
def error_on(layers: Layers, readout: nn.Linear, x: Tensor, y: Tensor) -> float:
    """Mean squared error as a share of the variance."""
    return float(F.mse_loss(answer(layers, readout, x), y)) / VARIANCE


@torch.no_grad()
def keep_more(layers: Layers, name: str) -> None:
    """Adds to the bias of the gate that decides what is kept; one that it is coupled to gets less."""
    gates = CELLS[name].gates
    for gate, change in (("f", KEPT_MORE), ("z", KEPT_MORE), ("i", -KEPT_MORE)):
        if gate in gates and not (gate == "i" and "f" in gates):
            layers.get_parameter("bias_hh_l0").chunk(len(gates))[gates.index(gate)].add_(change)


def middle(runs: Sequence[Run]) -> Run:
    """The median run: the earlier it ended the better, then the lower its last error."""
    return sorted(runs, key=lambda run: (run.steps[-1], run.errors[-1]))[(len(runs) - 1) // 2]


def cell_text(runs: Sequence[Run]) -> str:
    shown, solved = middle(runs), sum(run.solved for run in runs)
    of = ("yes" if solved else "no") if len(runs) == 1 else f"{solved} of {len(runs)}"
    steps = str(shown.steps[-1]) if shown.steps[-1] else "fitted"
    return f"{shown.errors[-1]:8.4f}{steps:>8}{of:>8}"


def table(
    found: dict[tuple[str, int], list[Run]], names: Sequence[str], lengths: Sequence[int], steps: int
) -> Iterator[str]:
    """Settings, then a row for each system and three columns for each length."""
    n_seeds = len(next(iter(found.values())))
    of_seeds = "one seed" if n_seeds == 1 else f"middle run of {n_seeds} seeds"
    yield f"The adding problem: mean squared error as a share of the variance 1/6; {of_seeds}"
    yield (
        f"{HIDDEN} units, batch {BATCH}, Adam at {LEARNING_RATE}, gradient norm {GRADIENT_NORM:g}, at most {steps} "
        f"steps, kept share + {KEPT_MORE:g} in its logit"
    )
    yield (
        f"stopped below {STOP:g} twice in a row, solved below {SOLVED:g}; {time.process_time() / 60:.1f} CPU minutes"
    )
    yield ""
    yield " " * 22 + "".join(f"{f'length {length}':>24}" for length in lengths)
    yield " " * 22 + "".join(f"{'error':>8}{'steps':>8}{'solved':>8}" for _ in lengths)
    for name in names:
        yield f"{name:22}" + "".join(cell_text(found[name, length]) for length in lengths)


def draw(path: Path, shown: dict[tuple[str, int], Run], names: Sequence[str], lengths: Sequence[int]) -> None:
    """One panel for each length: error against training steps, and a dot where training ended."""
    last = max(run.steps[-1] for run in shown.values()) or 1
    with drawing(path, width=0.8 + 3.5 * len(lengths), height=4.8) as figure:
        panels = figure.subplots(1, len(lengths), sharex=True, sharey=True, squeeze=False)[0]
        for axes, length in zip(panels, lengths, strict=True):
            for name, (color, dashes) in zip(SYSTEMS, MANY_LINES, strict=True):
                if name in names:
                    draw_run(axes, shown[name, length], last, label=name, color=color, linestyle=dashes)
            axes.axhline(SOLVED, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            axes.set_title(f"length {length}")
            axes.set_xlabel("training steps")
        panels[0].set_ylabel("test error / variance")
        panels[0].text(last, 1.05 * SOLVED, "solved below", color=MUTED, size=9, ha="right", va="bottom")
        panels[0].set_yscale("log")
        panels[0].set_xlim(0, 1.03 * last)
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panels[0].xaxis.set_major_locator(whole_numbers(4))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(names)), handlelength=3.5)


def draw_run(axes: Axes, run: Run, last: int, **look: Any) -> None:
    if len(run.steps) == 1:  # of the reservoir, which takes no steps
        axes.plot([0, last], run.errors * 2, **look)
        return
    axes.plot(run.steps[1:], run.errors[1:], **look)  # untrained, it is off the scale
    if run.solved:
        axes.plot(run.steps[-1:], run.errors[-1:], "o", color=look["color"], markersize=5)


if __name__ == "__main__":
    main()
