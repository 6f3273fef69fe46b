"""The recurrent systems of the textbooks: one function each, which is one step, in the order of the drawing.

A step takes ``x``, what the input contributes to every gate (``W x + b``, computed for all steps at once), the state
left by the step before, and the weights; it returns the new state and the gates it computed. All tensors are
``(batch, hidden)``, but for ``x``, which holds the gates side by side: ``(batch, gates * hidden)``.

    h  hidden state: what the next step and the head see        c  cell state: the second memory that only LSTMs have
    i  input gate    f  forget gate    o  output gate    g  candidate                                      (LSTM)
    r  reset gate    z  update gate    n  candidate                                                         (GRU)

Every gate lies between 0 and 1, every candidate between -1 and 1. The same functions run where torch has no module of
its own, are compared with outside references by the tests, and are what ``tsforecast inspect`` looks into.
docs/cells.md draws each of them. A new cell is a function here, a line in ``CELLS``, its name in the schema, a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn, sigmoid, tanh

__all__ = ["CELLS", "Cell", "Gates", "States", "Weights"]

States: TypeAlias = tuple[Tensor, ...]  # (h,) or (h, c)
Gates: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of one layer in one direction.

    Attributes:
        weight_ih: input weights W of all gates, ``(gates * hidden, input_size)``.
        weight_hh: recurrent weights R of all gates, ``(gates * hidden, hidden)``.
        bias_ih: bias beside W, ``(gates * hidden,)``.
        bias_hh: bias beside R, ``(gates * hidden,)``.
        vectors: one number per unit each, by name, ``(hidden,)``.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor
    vectors: Mapping[str, Tensor] = field(default_factory=dict)

    def inputs(self, x: Tensor) -> Tensor:
        """``W x + b`` of all gates, ``(…, gates * hidden)``, from inputs, ``(…, input_size)``."""
        return F.linear(x, self.weight_ih, self.bias_ih)

    def recurrent(self, h: Tensor) -> Tensor:
        """``R h + b`` of all gates, ``(batch, gates * hidden)``."""
        return F.linear(h, self.weight_hh, self.bias_hh)


def rnn(x: Tensor, state: States, w: Weights) -> tuple[States, Gates]:
    """The standard RNN: one tanh layer whose output is fed back (Elman 1990)."""
    (h,) = state
    h = tanh(x + w.recurrent(h))
    return (h,), {}


def leaky_rnn(x: Tensor, state: States, w: Weights, *, leak: float | str = "learned") -> tuple[States, Gates]:
    """Leaky-integrator units: each keeps a share of its old state (Jaeger et al. 2007).

    ``leak`` is the share that is replaced, the same for all units, or ``learned``: one per unit, through σ.
    """
    (h,) = state
    a = sigmoid(w.vectors["leak"]) if leak == "learned" else torch.full_like(h[0], float(leak))
    n = tanh(x + w.recurrent(h))
    h = (1 - a) * h + a * n
    return (h,), {"kept": (1 - a).expand_as(h), "n": n}


def lstm(x: Tensor, state: States, w: Weights, *, output_activation: str = "tanh") -> tuple[States, Gates]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with the forget gate (Gers et al. 2000).

    With ``output_activation`` ``identity`` the cell state leaves without a tanh, as some course notes print it.
    """
    h, c = state
    i, f, g, o = (x + w.recurrent(h)).chunk(4, dim=1)
    f = sigmoid(f)
    i = sigmoid(i)
    g = tanh(g)
    c = f * c + i * g  # the conveyor belt: erase a share, write a candidate
    o = sigmoid(o)
    h = o * (tanh(c) if output_activation == "tanh" else c)
    return (h, c), {"i": i, "f": f, "g": g, "o": o}


def lstm_peephole(x: Tensor, state: States, w: Weights) -> tuple[States, Gates]:
    """An LSTM whose gates look at the cell state as well (Gers and Schmidhuber 2000)."""
    h, c = state
    i, f, g, o = (x + w.recurrent(h)).chunk(4, dim=1)
    f = sigmoid(f + w.vectors["peephole_f"] * c)
    i = sigmoid(i + w.vectors["peephole_i"] * c)
    g = tanh(g)
    c = f * c + i * g
    o = sigmoid(o + w.vectors["peephole_o"] * c)  # the one gate that sees the new cell state
    h = o * tanh(c)
    return (h, c), {"i": i, "f": f, "g": g, "o": o}


def lstm_coupled(x: Tensor, state: States, w: Weights) -> tuple[States, Gates]:
    """An LSTM that forgets exactly where it writes: f = 1 - i (CIFG; Greff et al. 2017)."""
    h, c = state
    i, g, o = (x + w.recurrent(h)).chunk(3, dim=1)
    i = sigmoid(i)
    f = 1 - i
    g = tanh(g)
    c = f * c + i * g
    o = sigmoid(o)
    h = o * tanh(c)
    return (h, c), {"i": i, "f": f, "g": g, "o": o}


def gru(x: Tensor, state: States, w: Weights, *, reset: str = "after") -> tuple[States, Gates]:
    """The gated recurrent unit (Cho et al. 2014): two gates, and no cell state beside h.

    The reset gate acts ``after`` the recurrent weights, as in torch and cuDNN, or ``before``, as in the paper.
    """
    (h,) = state
    x_r, x_z, x_n = x.chunk(3, dim=1)
    if reset == "after":
        h_r, h_z, h_n = w.recurrent(h).chunk(3, dim=1)
        r = sigmoid(x_r + h_r)
        z = sigmoid(x_z + h_z)
        n = tanh(x_n + r * h_n)
    else:
        weight_rz, weight_n = w.weight_hh.tensor_split([2 * h.shape[1]])
        bias_rz, bias_n = w.bias_hh.tensor_split([2 * h.shape[1]])
        h_r, h_z = F.linear(h, weight_rz, bias_rz).chunk(2, dim=1)
        r = sigmoid(x_r + h_r)
        z = sigmoid(x_z + h_z)
        n = tanh(x_n + F.linear(r * h, weight_n, bias_n))
    h = (h - n) * z + n  # (1 - z) n + z h, rounded as torch does it
    return (h,), {"r": r, "z": z, "n": n}


@dataclass(frozen=True, slots=True)
class Cell:
    """One recurrent system.

    Attributes:
        step: its equations.
        gates: the blocks of rows in the weights, in this order (torch's, where torch has the cell).
        states: what is carried from step to step.
        keeps: which of the values a step returns says what share of the memory line (``c``, or ``h`` where there is
            none) stays.
        vectors: further weights with one number per unit. An option of the same name that holds a number takes the
            place of such a vector.
        options: settings of the step, with the values of its plainest form.
        module: torch's own module of that form.
        reservoir: whether its weights are drawn once and never trained; only the readout is.
    """

    step: Callable[..., tuple[States, Gates]]
    gates: tuple[str, ...]
    states: tuple[str, ...] = ("h",)
    keeps: str | None = None
    vectors: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    module: type[nn.RNN] | type[nn.LSTM] | type[nn.GRU] | None = None
    reservoir: bool = False


CELLS: dict[str, Cell] = {
    "rnn": Cell(rnn, gates=("h",), module=nn.RNN),
    "leaky_rnn": Cell(leaky_rnn, gates=("n",), keeps="kept", vectors=("leak",), options={"leak": "learned"}),
    "esn": Cell(
        leaky_rnn, gates=("n",), keeps="kept", vectors=("leak",), options={"leak": 1.0}, reservoir=True
    ),
    "lstm": Cell(
        lstm,
        gates=("i", "f", "g", "o"),
        states=("h", "c"),
        keeps="f",
        options={"output_activation": "tanh"},
        module=nn.LSTM,
    ),
    "lstm_peephole": Cell(
        lstm_peephole,
        gates=("i", "f", "g", "o"),
        states=("h", "c"),
        keeps="f",
        vectors=("peephole_i", "peephole_f", "peephole_o"),
    ),
    "lstm_coupled": Cell(lstm_coupled, gates=("i", "g", "o"), states=("h", "c"), keeps="f"),
    "gru": Cell(gru, gates=("r", "z", "n"), keeps="z", options={"reset": "after"}, module=nn.GRU),
}
