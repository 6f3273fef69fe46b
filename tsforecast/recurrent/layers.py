"""Layers and directions of any cell: ``(x, state) -> (output, state)``, with the shapes of torch's own modules.

    x       (batch, time, input_size)
    output  (batch, time, directions * hidden)       h of the last layer after each step; forward, then backward
    state   (layers * directions, batch, hidden)     one tensor, or a pair (h, c) for the LSTMs

Weights have torch's names and shapes (``weight_ih_l0``, ``bias_hh_l1_reverse``), with a vector such as
``peephole_i_l0`` beside them. Standard cells run on torch's module; :func:`plain_pass` computes the same from the
equations in ``cells.py``, for every cell, and can keep what went on inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsforecast.recurrent.cells import CELLS, Cell, Gates, States, Weights

__all__ = [
    "LayerTrace",
    "Layers",
    "State",
    "Stepwise",
    "build_layers",
    "cell_with",
    "plain_pass",
    "weights_of",
]

State: TypeAlias = Tensor | tuple[Tensor, Tensor]
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
# Logits between which learned leaks start: units that replace a twentieth to three quarters of their state.
LEAK_LOGITS = (-3.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class LayerTrace:
    """What went on in one layer and direction; time runs as the series does, also for the backward direction.

    Attributes:
        layer: from 0.
        backward: whether it read the window from its end.
        inputs: ``W x + b`` of all gates, ``(batch, time, gates * hidden)``.
        before: the states each step started from, by name, ``(batch, time, hidden)``.
        after: the states each step left.
        gates: by name, ``(batch, time, hidden)``.
    """

    layer: int
    backward: bool
    inputs: Tensor
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    gates: dict[str, Tensor]


class Stepwise(nn.Module):
    """Layers and directions of a cell that torch has no module for, one step after the other.

    The arguments are those of ``torch.nn.LSTM``; ``batch_first`` holds.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.bidirectional = bidirectional
        rows = len(cell.gates) * hidden_size
        for layer in range(num_layers):
            columns = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for suffix in _suffixes(layer, bidirectional=bidirectional):
                shapes = [(rows, columns), (rows, hidden_size), (rows,), (rows,)]
                for name, shape in zip(WEIGHTS, shapes, strict=True):
                    self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape)))
                for name in cell.vectors:
                    self.register_parameter(name + suffix, nn.Parameter(torch.empty(hidden_size)))
        self.reset_parameters()
        if cell.reservoir:
            self.requires_grad_(False)

    def reset_parameters(self) -> None:
        """Draws the weights as torch does, from U(±1/√hidden)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for name, weight in self.named_parameters():
            low, high = LEAK_LOGITS if name.startswith("leak") else (-bound, bound)
            nn.init.uniform_(weight, low, high)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See the module for the shapes; ``state`` None starts from zero."""
        return plain_pass(self.cell, self, x, state)


Layers: TypeAlias = nn.RNN | nn.LSTM | nn.GRU | Stepwise


def cell_with(name: str, options: Mapping[str, Any] | None = None) -> Cell:
    """A cell of the table with its options set; those of other cells are not looked at."""
    cell = CELLS[name]
    given = {key: value for key, value in (options or {}).items() if value is not None}
    chosen = {key: given.get(key, plainest) for key, plainest in cell.options.items()}
    return replace(
        cell,
        step=partial(cell.step, **chosen),
        options=chosen,
        vectors=tuple(vector for vector in cell.vectors if not isinstance(chosen.get(vector), (int, float))),
        module=cell.module if chosen == cell.options else None,
    )


def build_layers(
    cell: Cell,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    dropout: float = 0.0,
    bidirectional: bool = False,
) -> Layers:
    """The layers of a cell with fresh weights: torch's own module where there is one.

    Args:
        cell: from :func:`cell_with`.
        input_size: features per step.
        hidden_size: units per layer and direction.
        num_layers: stacked layers.
        dropout: share of outputs dropped between layers, in training.
        bidirectional: read the window in both directions.
    """
    dropout = dropout if num_layers > 1 else 0.0  # torch warns where there is nothing between layers to drop
    if cell.module is None:
        return Stepwise(
            cell, input_size, hidden_size, num_layers, dropout=dropout, bidirectional=bidirectional
        )
    return cell.module(
        input_size, hidden_size, num_layers, batch_first=True, dropout=dropout, bidirectional=bidirectional
    )


def weights_of(cell: Cell, layers: nn.Module, layer: int = 0, *, backward: bool = False) -> Weights:
    """The weights of one layer and direction, from any module that has them under torch's names."""
    suffix = _suffixes(layer, bidirectional=True)[backward]
    weight_ih, weight_hh, bias_ih, bias_hh = (getattr(layers, name + suffix) for name in WEIGHTS)
    vectors = {name: getattr(layers, name + suffix) for name in cell.vectors}
    return Weights(weight_ih, weight_hh, bias_ih, bias_hh, vectors)


def plain_pass(
    cell: Cell,
    layers: Layers,
    x: Tensor,
    state: State | None = None,
    *,
    trace: list[LayerTrace] | None = None,
) -> tuple[Tensor, State]:
    """Output and state of the equations in ``cells.py``, with the weights of ``layers``.

    Args:
        cell: which equations.
        layers: whose weights, sizes and dropout.
        x: ``(batch, time, input_size)``.
        state: to start from; None is zero.
        trace: gets one entry per layer and direction, the forward one first.

    Returns:
        What ``layers`` itself returns, to rounding.
    """
    directions = (False, True) if layers.bidirectional else (False,)
    starts = _starts(cell, layers, x, state)
    ends: list[States] = []
    for layer in range(layers.num_layers):
        if layer > 0:
            x = F.dropout(x, layers.dropout, training=layers.training)
        outputs = []
        for backward in directions:
            weights = weights_of(cell, layers, layer, backward=backward)
            inputs = weights.inputs(x.transpose(0, 1))  # all steps in one matrix product, time first
            steps: list[_Step] | None = None if trace is None else []
            output, end = _read(cell, weights, inputs, starts[len(ends)], backward=backward, steps=steps)
            outputs.append(output)  # (batch, time, hidden)
            ends.append(end)
            if trace is not None and steps is not None:
                trace.append(_trace(cell, steps, inputs, layer=layer, backward=backward))
        x = torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0]
    stacked = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
    return x, stacked[0] if len(stacked) == 1 else (stacked[0], stacked[1])


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """The states a step started from and left, and its gates; all ``(batch, hidden)``."""

    before: States
    after: States
    gates: Gates


def _read(
    cell: Cell, weights: Weights, inputs: Tensor, state: States, *, backward: bool, steps: list[_Step] | None
) -> tuple[Tensor, States]:
    """One layer in one direction: h after each step, ``(batch, time, hidden)``, and the last state.

    ``inputs`` are ``(time, batch, gates * hidden)``; ``steps`` gets each step, in the order of reading.
    """
    outputs: list[Tensor] = []
    for x in reversed(inputs.unbind()) if backward else inputs.unbind():
        before = state
        state, gates = cell.step(x, before, weights)
        outputs.append(state[0])
        if steps is not None:
            steps.append(_Step(before, state, gates))
    return torch.stack(outputs[::-1] if backward else outputs, dim=1), state


def _trace(cell: Cell, steps: list[_Step], inputs: Tensor, *, layer: int, backward: bool) -> LayerTrace:
    def over_time(parts: list[Tensor]) -> Tensor:
        return torch.stack(parts[::-1] if backward else parts, dim=1)

    return LayerTrace(
        layer=layer,
        backward=backward,
        inputs=inputs.transpose(0, 1),
        before={name: over_time([step.before[k] for step in steps]) for k, name in enumerate(cell.states)},
        after={name: over_time([step.after[k] for step in steps]) for k, name in enumerate(cell.states)},
        gates={name: over_time([step.gates[name] for step in steps]) for name in steps[0].gates},
    )


def _starts(cell: Cell, layers: Layers, x: Tensor, state: State | None) -> list[States]:
    """The state each layer and direction starts from."""
    n = layers.num_layers * (1 + layers.bidirectional)
    if state is None:
        zero = x.new_zeros(len(x), layers.hidden_size)
        return [tuple(zero for _ in cell.states)] * n
    parts = (state,) if isinstance(state, Tensor) else state
    return list(zip(*(part.unbind() for part in parts), strict=True))


def _suffixes(layer: int, *, bidirectional: bool) -> tuple[str, ...]:
    """What torch puts behind the names of a layer's weights, the forward direction first."""
    return (f"_l{layer}", f"_l{layer}_reverse") if bidirectional else (f"_l{layer}",)
