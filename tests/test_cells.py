"""Every cell against a reference of its own: torch, ONNX Runtime, reservoirpy, and its equations in numpy.

What is compared is the plain pass; torch's own modules, which run the standard cells, are then held to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from reservoirpy.nodes import Reservoir
from torch import Tensor, nn

from tsforecast.recurrent.cells import CELLS, Cell
from tsforecast.recurrent.layers import (
    Layers,
    LayerTrace,
    State,
    Stepwise,
    build_layers,
    cell_with,
    plain_pass,
    weights_of,
)

Arrays = tuple[np.ndarray, ...]
Stepped = tuple[Arrays, dict[str, np.ndarray]]  # the new state and the gates


class Sizes(NamedTuple):
    batch: int
    time: int
    features: int
    hidden: int
    layers: int = 1
    bidirectional: bool = False

    @property
    def suffixes(self) -> list[str]:
        """What stands behind the names of weights, in the order of the states."""
        ways = ("", "_reverse") if self.bidirectional else ("",)
        return [f"_l{layer}{way}" for layer in range(self.layers) for way in ways]


SIZES = [
    Sizes(3, 7, 4, 5),
    Sizes(3, 7, 4, 5, layers=3, bidirectional=True),
    Sizes(1, 1, 1, 1),
    Sizes(1, 1, 1, 1, layers=3, bidirectional=True),
    Sizes(1, 5, 2, 3, bidirectional=True),
    Sizes(2, 1, 3, 4, layers=3),
    Sizes(4, 6, 3, 1, layers=3, bidirectional=True),
]
every_size = pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(map(str, sizes)))
with_and_without_state = pytest.mark.parametrize("started", [False, True], ids=["from zero", "from a state"])
exactly = partial(torch.testing.assert_close, rtol=0, atol=0)
closely = partial(torch.testing.assert_close, rtol=0, atol=1e-12)


# The equations in numpy, one step each.


def sigma(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class NumpyWeights:
    """The weights of one layer and direction by gate, whose blocks stand in ``order``."""

    def __init__(self, layers: nn.Module, suffix: str, order: str) -> None:
        self.named = {
            name.removesuffix(suffix): weight.numpy(force=True)
            for name, weight in layers.named_parameters()
            if name.endswith(suffix)
        }
        self.rows = dict(zip(order, np.split(np.arange(len(self.named["bias_ih"])), len(order)), strict=True))

    def input(self, gate: str, x: np.ndarray) -> np.ndarray:
        return x @ self.named["weight_ih"][self.rows[gate]].T + self.named["bias_ih"][self.rows[gate]]

    def recurrent(self, gate: str, h: np.ndarray) -> np.ndarray:
        return h @ self.named["weight_hh"][self.rows[gate]].T + self.named["bias_hh"][self.rows[gate]]

    def both(self, gate: str, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        return self.input(gate, x) + self.recurrent(gate, h)


def numpy_rnn(x: np.ndarray, state: Arrays, w: NumpyWeights) -> Stepped:
    return (np.tanh(w.both("h", x, *state)),), {}


def numpy_leaky_rnn(x: np.ndarray, state: Arrays, w: NumpyWeights, leak: float | None = None) -> Stepped:
    (h,) = state
    a = np.broadcast_to(sigma(w.named["leak"]) if leak is None else leak, h.shape)
    n = np.tanh(w.both("n", x, h))
    return ((1 - a) * h + a * n,), {"kept": 1 - a, "n": n}


def numpy_lstm(
    x: np.ndarray,
    state: Arrays,
    w: NumpyWeights,
    *,
    output: Callable[[np.ndarray], np.ndarray] = np.tanh,
    coupled: bool = False,
) -> Stepped:
    h, c = state
    p = {gate: w.named.get(f"peephole_{gate}", 0.0) for gate in "ifo"}
    i = sigma(w.both("i", x, h) + p["i"] * c)
    f = 1 - i if coupled else sigma(w.both("f", x, h) + p["f"] * c)
    g = np.tanh(w.both("g", x, h))
    c = f * c + i * g
    o = sigma(w.both("o", x, h) + p["o"] * c)
    return (o * output(c), c), {"i": i, "f": f, "g": g, "o": o}


def numpy_gru(x: np.ndarray, state: Arrays, w: NumpyWeights, *, reset: str) -> Stepped:
    (h,) = state
    r, z = sigma(w.both("r", x, h)), sigma(w.both("z", x, h))
    recurrent = r * w.recurrent("n", h) if reset == "after" else w.recurrent("n", r * h)
    n = np.tanh(w.input("n", x) + recurrent)
    return ((1 - z) * n + z * h,), {"r": r, "z": z, "n": n}


@dataclass(frozen=True)
class Variant:
    """A cell with its options, the order of the gates in its weights, and the step in numpy."""

    cell_name: str
    order: str
    step: Callable[..., Stepped]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cell(self) -> Cell:
        return cell_with(self.cell_name, self.options)


VARIANTS = {
    "rnn": Variant("rnn", "h", numpy_rnn),
    "leaky_rnn": Variant("leaky_rnn", "n", numpy_leaky_rnn),
    "leaky_rnn, fixed": Variant("leaky_rnn", "n", partial(numpy_leaky_rnn, leak=0.35), {"leak": 0.35}),
    "esn": Variant("esn", "n", partial(numpy_leaky_rnn, leak=0.3), {"leak": 0.3}),
    "lstm": Variant("lstm", "ifgo", numpy_lstm),
    "lstm, identity": Variant(
        "lstm", "ifgo", partial(numpy_lstm, output=lambda c: c), {"output_activation": "identity"}
    ),
    "lstm_peephole": Variant("lstm_peephole", "ifgo", numpy_lstm),
    "lstm_coupled": Variant("lstm_coupled", "igo", partial(numpy_lstm, coupled=True)),
    "gru": Variant("gru", "rzn", partial(numpy_gru, reset="after")),
    "gru, before": Variant("gru", "rzn", partial(numpy_gru, reset="before"), {"reset": "before"}),
}
TORCH = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def numpy_pass(
    variant: Variant, layers: nn.Module, sizes: Sizes, x: Tensor, state: State
) -> tuple[Tensor, State, list[dict[str, Tensor]]]:
    """Output, last states, and the gates of each layer and direction as ``(batch, time, hidden)``."""
    series, ends, traced = x.numpy(), [], []
    for layer in range(sizes.layers):
        outputs = []
        for suffix in [suffix for suffix in sizes.suffixes if suffix.startswith(f"_l{layer}")]:
            weights = NumpyWeights(layers, suffix, variant.order)
            current = tuple(part[len(ends)].numpy() for part in parts(state))
            seen = {}
            for t in reversed(range(sizes.time)) if suffix.endswith("reverse") else range(sizes.time):
                current, gates = variant.step(series[:, t], current, weights)
                seen[t] = {"h": current[0], **gates}
            over_time = {name: np.stack([seen[t][name] for t in sorted(seen)], axis=1) for name in seen[0]}
            ends.append(current)
            outputs.append(over_time.pop("h"))
            traced.append({name: torch.from_numpy(gate) for name, gate in over_time.items()})
        series = np.concatenate(outputs, axis=2)
    last = joined(torch.from_numpy(np.stack(part)) for part in zip(*ends, strict=True))
    return torch.from_numpy(series), last, traced


# Weights, inputs and gradients.


def parts(state: State) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else state


def joined(tensors: Iterable[Tensor]) -> State:
    """A state from its parts: a tensor, or a pair."""
    h, *c = tensors
    return (h, *c) if c else h


def make(
    cell: Cell, sizes: Sizes, build: Callable[..., Any] = Stepwise, dtype: torch.dtype = torch.float64
) -> Layers:
    """Layers with small weights: passes through larger ones are chaotic and differ by rounding alone."""
    torch.manual_seed(1)
    layers = build(cell, sizes.features, sizes.hidden, sizes.layers, bidirectional=sizes.bidirectional)
    bound = 1 / math.sqrt(sizes.hidden)
    with torch.no_grad():
        for weight in layers.to(dtype).parameters():
            weight.uniform_(-bound, bound)
    return layers


def feed(
    cell: Cell, sizes: Sizes, *, started: bool = True, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, State]:
    """An input and a start state, which is zero unless ``started``."""
    torch.manual_seed(2)
    x = torch.randn(sizes.batch, sizes.time, sizes.features, dtype=dtype)
    shape = (len(sizes.suffixes), sizes.batch, sizes.hidden)
    return x, joined(torch.randn(shape, dtype=dtype) / 2 * started for _ in cell.states)


def with_gradients(
    run: Callable[..., tuple[Tensor, State]], layers: nn.Module, x: Tensor, state: State | None
) -> tuple[tuple[Tensor, State], tuple[Tensor, ...]]:
    """Output and last states; the gradients of a random weighing of them by input, start state and weights."""
    x, *starts = (tensor.clone().requires_grad_() for tensor in (x, *(() if state is None else parts(state))))
    output, last = run(x, joined(starts) if starts else None)
    torch.manual_seed(3)
    loss = sum((out * torch.randn(out.shape, dtype=out.dtype)).sum() for out in (output, *parts(last)))
    return (output, last), torch.autograd.grad(loss, [x, *starts, *layers.parameters()])


# Values.


def test_every_cell_is_proven_and_names_its_gates_in_the_order_of_its_weights() -> None:
    orders = {variant.cell_name: tuple(variant.order) for variant in VARIANTS.values()}
    assert {name: cell.gates for name, cell in CELLS.items()} == orders


@every_variant
@every_size
@with_and_without_state
@torch.no_grad()
def test_every_cell_follows_its_equations_in_numpy(variant: Variant, sizes: Sizes, started: bool) -> None:
    layers = make(variant.cell, sizes)
    x, state = feed(variant.cell, sizes, started=started)
    output, last, _ = numpy_pass(variant, layers, sizes, x, state)
    closely(plain_pass(variant.cell, layers, x, state if started else None), (output, last))


@pytest.mark.parametrize(
    ("name", "options", "module"),
    [("rnn", {}, "rnn"), ("lstm", {}, "lstm"), ("gru", {}, "gru"), ("leaky_rnn", {"leak": 1.0}, "rnn")],
)
@every_size
@with_and_without_state
def test_a_cell_equals_torch_in_values_and_gradients(
    name: str, options: dict[str, float], module: str, sizes: Sizes, started: bool
) -> None:
    cell = cell_with(name, options)
    reference = make(cell, sizes, lambda _, *shape, **ways: TORCH[module](*shape, batch_first=True, **ways))
    layers = make(cell, sizes)
    layers.load_state_dict(reference.state_dict())
    x, state = feed(cell, sizes) if started else (feed(cell, sizes)[0], None)
    values, gradients = with_gradients(partial(plain_pass, cell, layers), layers, x, state)
    expected, expected_gradients = with_gradients(reference, reference, x, state)
    closely(values, expected)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-10)


def onnx_pass(
    variant: Variant, layers: nn.Module, sizes: Sizes, x: Tensor, state: State, attributes: dict[str, Any]
) -> tuple[Tensor, State]:
    """One layer in ONNX Runtime, whose gates stand in the order iofc or zrh, and time before batch."""
    operator, order = ("GRU", "zrn") if variant.cell_name == "gru" else ("LSTM", "iofg")
    weights = [NumpyWeights(layers, suffix, variant.order) for suffix in sizes.suffixes]

    def ordered(name: str, w: NumpyWeights) -> np.ndarray:
        unread = np.full_like(np.split(w.named[name], len(w.rows))[0], 7)  # f, where it follows from i
        return np.concatenate([w.named[name][w.rows[g]] if g in w.rows else unread for g in order])

    h, *c = parts(state)
    inputs = {
        "X": x.transpose(0, 1).contiguous().numpy(),
        "W": np.stack([ordered("weight_ih", w) for w in weights]),
        "R": np.stack([ordered("weight_hh", w) for w in weights]),
        "B": np.stack([np.concatenate([ordered("bias_ih", w), ordered("bias_hh", w)]) for w in weights]),
        "": None,  # the lengths of the series: all the same
        "initial_h": h.numpy(),
        **({"initial_c": c[0].numpy()} if c else {}),
    }
    if variant.cell.vectors:
        inputs["P"] = np.stack([np.concatenate([w.named[f"peephole_{g}"] for g in "iof"]) for w in weights])
    outputs = ["Y", "Y_h", "Y_c"][: 2 + len(c)]
    direction = "bidirectional" if sizes.bidirectional else "forward"
    node = helper.make_node(
        operator, list(inputs), outputs, hidden_size=sizes.hidden, direction=direction, **attributes
    )
    del inputs[""]
    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info(name, number, array.shape) for name, array in inputs.items()],
        [helper.make_tensor_value_info(name, number, None) for name in outputs],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 14)])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, *last = (torch.from_numpy(array) for array in session.run(None, inputs))
    return y.permute(2, 0, 1, 3).flatten(2), joined(last)


# One entry in alpha and beta: they are dealt out to those activations that take them.
IDENTITY = {"activations": ["Sigmoid", "Tanh", "Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]}


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize("shape", [(3, 7, 4, 5), (1, 1, 1, 1), (1, 6, 2, 3), (2, 4, 3, 1)], ids=str)
@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("lstm", {}),
        ("lstm, identity", IDENTITY),
        ("lstm_peephole", {}),
        ("lstm_coupled", {"input_forget": 1}),
        ("gru", {"linear_before_reset": 1}),
        ("gru, before", {"linear_before_reset": 0}),
    ],
)
@with_and_without_state
@torch.no_grad()
def test_a_gated_cell_equals_onnx_runtime(
    name: str, attributes: dict[str, Any], shape: tuple[int, ...], bidirectional: bool, started: bool
) -> None:
    variant, sizes = VARIANTS[name], Sizes(*shape, bidirectional=bidirectional)
    layers = make(variant.cell, sizes, dtype=torch.float32)
    x, state = feed(variant.cell, sizes, started=started, dtype=torch.float32)
    if attributes is IDENTITY and bidirectional:  # one direction after the other
        attributes = {key: 2 * values for key, values in IDENTITY.items()}
    expected = onnx_pass(variant, layers, sizes, x, state, attributes)
    found = plain_pass(variant.cell, layers, x, state if started else None)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("time", "features", "hidden"), [(25, 3, 20), (1, 1, 1)])
@with_and_without_state
def test_an_echo_state_network_steps_as_reservoirpy(
    time: int, features: int, hidden: int, started: bool
) -> None:
    sizes = Sizes(1, time, features, hidden)
    cell = VARIANTS["esn"].cell
    layers = make(cell, sizes)
    x, state = feed(cell, sizes, started=started)
    w = {name.removesuffix("_l0"): weight.numpy() for name, weight in layers.named_parameters()}
    reservoir = Reservoir(
        lr=0.3, Win=w["weight_ih"], W=w["weight_hh"], bias=w["bias_ih"] + w["bias_hh"], activation="tanh"
    )
    reservoir.initialize(x[0].numpy())
    reservoir.state = {"out": state[0, 0].numpy()}
    output, last = plain_pass(cell, layers, x, state if started else None)
    expected = torch.from_numpy(reservoir.run(x[0].numpy()))
    closely(output[0], expected)
    closely(last[0, 0], expected[-1])


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "esn"])
@pytest.mark.parametrize("sizes", [Sizes(2, 3, 1, 2, 1, True), Sizes(1, 2, 2, 1, 2)], ids=["wide", "deep"])
def test_gradients_are_the_slopes_of_the_outputs(name: str, sizes: Sizes) -> None:
    cell = VARIANTS[name].cell
    layers = make(cell, sizes)
    x, state = feed(cell, sizes)
    names = [name for name, _ in layers.named_parameters()]

    def outputs(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        start, weights = joined(others[: len(cell.states)]), others[len(cell.states) :]
        output, last = torch.func.functional_call(layers, dict(zip(names, weights, strict=True)), (x, start))
        return (output, *parts(last))

    inputs = [tensor.detach().requires_grad_() for tensor in (x, *parts(state), *layers.parameters())]
    assert torch.autograd.gradcheck(outputs, inputs)


# The fast path: torch's own module runs the standard cells.


def test_the_standard_cells_run_on_torch() -> None:
    built = {name: type(make(variant.cell, SIZES[0], build_layers)) for name, variant in VARIANTS.items()}
    assert built == {name: TORCH.get(name, Stepwise) for name in VARIANTS}


@pytest.mark.parametrize("name", list(TORCH))
@every_size
@with_and_without_state
def test_the_fast_path_gives_the_values_and_gradients_of_the_plain_one(
    name: str, sizes: Sizes, started: bool
) -> None:
    cell = cell_with(name)
    layers = make(cell, sizes, build_layers)
    x, state = feed(cell, sizes) if started else (feed(cell, sizes)[0], None)
    values, gradients = with_gradients(layers, layers, x, state)
    expected, expected_gradients = with_gradients(partial(plain_pass, cell, layers), layers, x, state)
    closely(values, expected)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-10)


# The conveyor belt.


def carried(name: str, gates: dict[str, float], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The memory line over 1000 steps of a noisy series, and its start, with some gates forced by a bias."""
    variant, sizes = VARIANTS[name], Sizes(2, 1000, 3, 4)
    layers = make(variant.cell, sizes, dtype=dtype)
    for gate, bias in gates.items():
        k = variant.order.index(gate) * sizes.hidden
        layers.bias_ih_l0.data[k : k + sizes.hidden] = bias
    x, state = feed(variant.cell, sizes, dtype=dtype)
    trace: list[LayerTrace] = []
    with torch.no_grad():
        plain_pass(variant.cell, layers, x, state, trace=trace)
    line = trace[0].after[variant.cell.states[-1]]
    return line, parts(state)[-1][0][:, None].expand_as(line)


@pytest.mark.parametrize(
    ("name", "gates"),
    [
        ("lstm", {"f": 1e4, "i": -1e4}),
        ("lstm, identity", {"f": 1e4, "i": -1e4}),
        ("lstm_peephole", {"f": 1e4, "i": -1e4}),
        ("lstm_coupled", {"i": -1e4}),
    ],
)
def test_an_lstm_that_forgets_and_writes_nothing_carries_its_cell_state_to_the_bit(
    name: str, gates: dict[str, float]
) -> None:
    exactly(*carried(name, gates, torch.float32))


@pytest.mark.parametrize("name", ["gru", "gru, before"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_a_gru_that_updates_nothing_carries_its_hidden_state(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    line, start = carried(name, {"z": 1e4}, dtype)
    torch.testing.assert_close(line, start, rtol=0, atol=tolerance)


# Shapes, trace and state.


@every_variant
@every_size
@pytest.mark.parametrize("build", [Stepwise, build_layers], ids=["stepwise", "built"])
def test_outputs_and_states_have_the_shapes_of_torch(
    variant: Variant, sizes: Sizes, build: Callable[..., Any]
) -> None:
    directions = 1 + sizes.bidirectional
    layers = make(variant.cell, sizes, build)
    x, _ = feed(variant.cell, sizes)
    for output, state in (layers(x), plain_pass(variant.cell, layers, x)):
        assert output.shape == (sizes.batch, sizes.time, directions * sizes.hidden)
        assert isinstance(state, tuple) == variant.cell_name.startswith("lstm")
        assert {part.shape for part in parts(state)} == {
            (sizes.layers * directions, sizes.batch, sizes.hidden)
        }


@every_variant
@every_size
@torch.no_grad()
def test_the_trace_shows_states_and_gates_of_each_layer_and_direction(variant: Variant, sizes: Sizes) -> None:
    cell, layers = variant.cell, make(variant.cell, sizes)
    x, state = feed(cell, sizes)
    trace: list[LayerTrace] = []
    output, last = plain_pass(cell, layers, x, state, trace=trace)
    exactly((output, last), plain_pass(cell, layers, x, state))
    directions = [False, True][: 1 + sizes.bidirectional]
    read = product(range(sizes.layers), directions)
    assert [(entry.layer, entry.backward) for entry in trace] == list(read)
    exactly(torch.cat([entry.after["h"] for entry in trace[-len(directions) :]], dim=2), output)
    _, _, gates = numpy_pass(variant, layers, sizes, x, state)
    for k, entry in enumerate(trace):
        closely(entry.gates, gates[k])
        assert entry.inputs.shape == (sizes.batch, sizes.time, len(variant.order) * sizes.hidden)
        if entry.layer == 0:
            weights = weights_of(cell, layers, backward=entry.backward)
            closely(entry.inputs, x @ weights.weight_ih.T + weights.bias_ih)
        assert list(entry.before) == list(entry.after) == list(cell.states)
        for name, first, end in zip(cell.states, parts(state), parts(last), strict=True):
            before, after = entry.before[name], entry.after[name]
            assert before.shape == after.shape == (sizes.batch, sizes.time, sizes.hidden)
            if entry.backward:  # it reads from the end; what is traced runs as the series does
                before, after = before.flip(1), after.flip(1)
            exactly(before, torch.cat([first[k][:, None], after[:, :-1]], dim=1))
            exactly(after[:, -1], end[k])


@every_variant
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("split", [1, 4])
@torch.no_grad()
def test_a_series_read_in_two_parts_is_read_as_one(variant: Variant, num_layers: int, split: int) -> None:
    sizes = Sizes(3, 7, 4, 5, num_layers)
    layers = make(variant.cell, sizes, build_layers)
    x, state = feed(variant.cell, sizes)
    for run in (layers, partial(plain_pass, variant.cell, layers)):
        output, last = run(x, state)
        first, between = run(x[:, :split], state)
        second, end = run(x[:, split:], between)
        closely((torch.cat([first, second], dim=1), end), (output, last))


# What a cell is made of.


@every_variant
@torch.no_grad()
def test_dropout_acts_between_layers_and_in_training_only(variant: Variant) -> None:
    x, _ = feed(variant.cell, Sizes(3, 7, 4, 5))
    for num_layers, training in product((1, 2), (False, True)):
        layers = build_layers(variant.cell, 4, 5, num_layers, dropout=0.5).double().train(training)
        for run in (layers, partial(plain_pass, variant.cell, layers)):
            assert torch.equal(run(x)[0], run(x)[0]) == (num_layers == 1 or not training)
        trace: list[LayerTrace] = []
        plain_pass(variant.cell, layers, x, trace=trace)
        weights = weights_of(variant.cell, layers)
        closely(trace[0].inputs, x @ weights.weight_ih.T + weights.bias_ih)  # what comes in is left whole


@every_variant
def test_only_a_reservoir_is_frozen(variant: Variant) -> None:
    layers = build_layers(variant.cell, 3, 2, 2, bidirectional=True)
    assert {weight.requires_grad for weight in layers.parameters()} == {variant.cell_name != "esn"}


@every_variant
def test_fresh_weights_stay_within_one_over_the_root_of_the_units(variant: Variant) -> None:
    for name, weight in build_layers(variant.cell, 3, 400).named_parameters():
        low, high = (-3.0, 1.0) if name.startswith("leak") else (-0.05, 0.05)
        assert low <= weight.min() < low + (high - low) / 20
        assert high >= weight.max() > high - (high - low) / 20


def test_an_option_counts_for_its_own_cell_only() -> None:
    options = {"leak": 0.5, "output_activation": "identity", "reset": "before"}
    taken = {name: dict(cell_with(name, options).options) for name in CELLS}
    assert {name: found for name, found in taken.items() if found} == {
        "leaky_rnn": {"leak": 0.5},
        "esn": {"leak": 0.5},
        "lstm": {"output_activation": "identity"},
        "gru": {"reset": "before"},
    }
    assert cell_with("lstm", {"reset": "before", "leak": 0.5}).module is nn.LSTM
    assert cell_with("gru", {"output_activation": "identity", "leak": 0.5}).module is nn.GRU


@pytest.mark.parametrize(("leak", "learned"), [("learned", True), (0.35, False), (1.0, False)])
def test_a_leak_is_a_weight_where_it_is_learned(leak: float | str, learned: bool) -> None:
    layers = build_layers(cell_with("leaky_rnn", {"leak": leak}), 3, 2)
    assert ("leak_l0" in dict(layers.named_parameters())) == learned
