"""What a recurrent layer does while it reads: what its gates let through, how long it remembers, how far it learns.

Everything is measured on the traces of one instrumented plain pass. The memory line is the cell state c of an LSTM
and the hidden state h elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tsforecast.recurrent.cells import Cell, Weights
from tsforecast.recurrent.layers import LayerTrace, plain_pass, weights_of
from tsforecast.recurrent.network import Network

__all__ = [
    "CLOSED",
    "FADED",
    "OPEN",
    "GradientReach",
    "LayerView",
    "gradient_reach",
    "inspect_network",
    "memory_lengths",
    "steps_until_faded",
]

# A gate counts as saturated below and above these.
CLOSED, OPEN = 0.1, 0.9
# The gradient counts as gone below this share of what it was.
FADED = 0.01
# Random directions in which a Jacobian is felt out; its norm is off by about 1 / sqrt(2 × probes × windows).
PROBES = 8
CANDIDATES = ("g", "n")  # tanh layers: what is written, not how much of it


@dataclass(frozen=True, slots=True, eq=False)
class GradientReach:
    """How much the last state depends on earlier ones: norms of Jacobians by number of steps back, from 0.

    Attributes:
        norms: by what is varied, ``h``, ``c`` or ``state`` (both), as shares of the norm at 0 steps, ``(time + 1,)``.
    """

    norms: dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class LayerView:
    """One layer in one direction, averaged over windows.

    Attributes:
        layer: from 0.
        backward: whether it read the window from its end.
        gates: gates and candidates by name, ``(time, hidden)``.
        states: the states after each step, by name, ``(time, hidden)``.
        erased: what a step took off the memory line, ``(time, hidden)``; None for a cell without a keeping gate.
        written: what a step added to it.
        memory: steps until a unit has lost half of what it held, median over the windows, ``(hidden,)``.
        closed: share of each gate's values that are saturated closed, by name, ``(hidden,)``.
        open: share that are saturated open.
        gradient: of the forward direction; None for the backward one.
    """

    layer: int
    backward: bool
    gates: dict[str, Tensor]
    states: dict[str, Tensor]
    erased: Tensor | None
    written: Tensor | None
    memory: Tensor | None
    closed: dict[str, Tensor]
    open: dict[str, Tensor]
    gradient: GradientReach | None


def inspect_network(network: Network, x: Tensor, *, seed: int = 0) -> tuple[list[LayerView], float]:
    """A view of each layer and direction, and the largest difference from the output the network forecasts with.

    Args:
        network: in evaluation mode.
        x: inputs of one window per row, ``(batch, time, features)``.
        seed: of the probes.
    """
    traces: list[LayerTrace] = []
    with torch.no_grad():
        encoded = network.encoded(x)
        output, _ = plain_pass(network.cell, network.recurrence, encoded, trace=traces)
        difference = (output - network.recurrence(encoded)[0]).abs().max().item()
    views = []
    for trace in traces:
        weights = weights_of(network.cell, network.recurrence, trace.layer, backward=trace.backward)
        views.append(_view(network.cell, weights, trace, seed=seed))
    return views, difference


def memory_lengths(keep: Tensor) -> Tensor:
    """Steps until the product of the keeping gates, counted back from the last step, falls below one half.

    Args:
        keep: share of the memory line that each step keeps, ``(batch, time, hidden)``.

    Returns:
        ``(batch, hidden)``; ``time + 1`` where the whole window is not enough.
    """
    kept = keep.flip(1).clamp(max=1.0).cumprod(dim=1)
    return (kept >= 0.5).sum(dim=1) + 1


def gradient_reach(cell: Cell, weights: Weights, trace: LayerTrace, *, seed: int = 0) -> GradientReach:
    """Norms of the Jacobians of the last state by the state some steps before it.

    A random vector is pulled back step by step; its squared length is on average that of the Jacobian (Frobenius).
    h and c count as two parts of one state, so that the belt, which carries c, is seen apart from h.

    Args:
        cell: the equations.
        weights: of the layer.
        trace: of the layer, in its forward direction.
        seed: of the probes.
    """
    generator = torch.Generator().manual_seed(seed)
    before = {name: values.repeat(PROBES, 1, 1) for name, values in trace.before.items()}
    inputs = trace.inputs.repeat(PROBES, 1, 1)
    probe = [torch.randn(values[:, 0].shape, generator=generator).to(values) for values in before.values()]
    squares = [[part.square().mean() for part in probe]]
    for t in reversed(range(inputs.shape[1])):
        state = tuple(values[:, t].detach().requires_grad_() for values in before.values())
        after, _ = cell.step(inputs[:, t], state, weights)
        probe = list(torch.autograd.grad(after, state, probe))
        squares.append([part.square().mean() for part in probe])
    by_part = (
        torch.stack([torch.stack(parts) for parts in squares], dim=1).detach().cpu()
    )  # (parts, time + 1)
    norms = {name: (row / row[0]).sqrt() for name, row in zip(cell.states, by_part, strict=True)}
    whole = by_part.sum(dim=0)
    return GradientReach({**norms, "state": (whole / whole[0]).sqrt()})


def steps_until_faded(norms: Tensor) -> int | None:
    """The first number of steps back at which a gradient is below ``FADED``; None where it never is."""
    faded = torch.nonzero(norms < FADED).flatten()
    return int(faded[0]) if len(faded) else None


def _view(cell: Cell, weights: Weights, trace: LayerTrace, *, seed: int) -> LayerView:
    line = cell.states[-1]
    erased = written = memory = None
    if cell.keeps:
        keep = trace.gates[cell.keeps]
        erased = (trace.before[line] * (1 - keep)).mean(0).cpu()
        written = (trace.after[line] - trace.before[line] * keep).mean(0).cpu()
        memory = memory_lengths(keep.flip(1) if trace.backward else keep).float().quantile(0.5, dim=0).cpu()
    gates = {name: values for name, values in trace.gates.items() if name not in CANDIDATES}
    return LayerView(
        layer=trace.layer,
        backward=trace.backward,
        gates={name: values.mean(0).cpu() for name, values in trace.gates.items()},
        states={name: values.mean(0).cpu() for name, values in trace.after.items()},
        erased=erased,
        written=written,
        memory=memory,
        closed={name: (values < CLOSED).float().mean((0, 1)).cpu() for name, values in gates.items()},
        open={name: (values > OPEN).float().mean((0, 1)).cpu() for name, values in gates.items()},
        gradient=None if trace.backward else gradient_reach(cell, weights, trace, seed=seed),
    )
