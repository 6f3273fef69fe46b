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
    "input_influence",
    "inspect_network",
    "memory_lengths",
    "steps_until_faded",
    "windows_that_fit",
]

# A gate counts as saturated below and above these.
CLOSED, OPEN = 0.1, 0.9
# The gradient counts as gone below this share of what it was.
FADED = 0.01
# Random directions in which a Jacobian is felt out; its norm is off by about 1 / sqrt(2 × probes × windows).
PROBES = 8
# Numbers that the traces of all windows may hold: 200 MB in float32.
TRACE_VALUES = 50_000_000
NUMBERS_PER_UNIT = 16  # of a step: states before and after, gates, inputs, and lists of them
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


def windows_that_fit(network: Network, lookback: int) -> int:
    """How many windows can be traced at once in bounded memory, at least 1."""
    layers = network.recurrence
    of_window = (
        lookback * NUMBERS_PER_UNIT * layers.hidden_size * layers.num_layers * (1 + layers.bidirectional)
    )
    return max(1, TRACE_VALUES // of_window)


def input_influence(network: Network, x: Tensor, *, seed: int = 0) -> Tensor:
    """How much the state the head sees depends on the value read some steps back, through all layers and directions.

    Args:
        network: in evaluation mode.
        x: inputs, ``(batch, time, features)``; feature 0 is the newest value of the series.
        seed: of the probes.

    Returns:
        Norm of the derivative by the value read k steps before the last, as a share of the largest, ``(time,)``.
    """
    generator = torch.Generator().manual_seed(seed)
    x = x.detach().requires_grad_()
    seen = network.seen_by_head(network.encoded(x))
    total = torch.zeros(x.shape[1])
    for _ in range(PROBES):
        probe = torch.randn(seen.shape, generator=generator).to(seen)
        (gradient,) = torch.autograd.grad(seen, x, probe, retain_graph=True)
        total += gradient[..., 0].square().mean(0).cpu()
    norms = total.flip(0).sqrt()
    return norms / norms.max().clamp(min=torch.finfo(norms.dtype).tiny)


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
    at_once = min(PROBES, max(1, TRACE_VALUES // (NUMBERS_PER_UNIT * trace.inputs.numel())))
    rounds = -(-PROBES // at_once)
    squares = torch.stack(
        [_pulled_back(cell, weights, trace, at_once, generator) for _ in range(rounds)]
    ).sum(0)
    norms = {name: (row / row[0]).sqrt() for name, row in zip(cell.states, squares, strict=True)}
    whole = squares.sum(dim=0)
    return GradientReach({**norms, "state": (whole / whole[0]).sqrt()})


def _pulled_back(
    cell: Cell, weights: Weights, trace: LayerTrace, probes: int, generator: torch.Generator
) -> Tensor:
    """Mean squared size of random vectors after each step back, by state, ``(n_states, time + 1)``."""
    before = [values.repeat(probes, 1, 1) for values in trace.before.values()]
    inputs = trace.inputs.repeat(probes, 1, 1)
    probe = [torch.randn(values[:, 0].shape, generator=generator).to(values) for values in before]
    squares = [[part.square().mean() for part in probe]]
    for t in reversed(range(inputs.shape[1])):
        state = tuple(values[:, t].detach().requires_grad_() for values in before)
        after, _ = cell.step(inputs[:, t], state, weights)
        probe = list(torch.autograd.grad(after, state, probe))
        squares.append([part.square().mean() for part in probe])
    return torch.stack([torch.stack(parts) for parts in squares], dim=1).detach().cpu()


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
