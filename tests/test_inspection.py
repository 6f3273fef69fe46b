"""What is measured inside a network: known answers, and the identities that tie the arrays together."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tsforecast.recurrent import inspection
from tsforecast.recurrent.cells import CELLS
from tsforecast.recurrent.inspection import (
    gradient_reach,
    inspect_network,
    memory_lengths,
    steps_until_faded,
)
from tsforecast.recurrent.layers import LayerTrace, build_layers, cell_with, plain_pass, weights_of
from tsforecast.recurrent.network import Network


def traced(cell: str, x: Tensor, *, hidden_size: int = 4, zero: bool = False, **bias: float):  # type: ignore[no-untyped-def]
    """Cell, weights and trace of one layer; ``bias`` forces gates by their name, with all other weights zero."""
    torch.manual_seed(0)
    definition = cell_with(cell, {"leak": bias.pop("leak", "learned")})
    layers = build_layers(definition, x.shape[2], hidden_size).to(x.dtype)
    if zero or bias:
        with torch.no_grad():
            for parameter in layers.parameters():
                parameter.zero_()
            for name, value in bias.items():
                k = definition.gates.index(name)
                layers.bias_ih_l0[k * hidden_size : (k + 1) * hidden_size] = value
    traces: list[LayerTrace] = []
    plain_pass(definition, layers, x, trace=traces)
    return definition, weights_of(definition, layers), traces[0]


def test_memory_is_counted_back_from_the_last_step() -> None:
    keep = torch.tensor([[[0.1, 1.0, 0.5], [0.9, 1.0, 0.5], [0.9, 1.0, 0.4], [0.9, 1.0, 0.3]]])
    # unit 0: .9, .81, .729, then 0.0729; unit 1 never; unit 2 at once
    assert memory_lengths(keep).tolist() == [[4, 5, 1]]


def test_exactly_one_half_is_not_below_it() -> None:
    assert memory_lengths(torch.tensor([[[0.5], [0.5], [0.5]]])).tolist() == [[2]]


def test_a_leaky_unit_forgets_its_share_at_each_step() -> None:
    cell, weights, trace = traced(
        "leaky_rnn", torch.randn(3, 20, 2, dtype=torch.float64), zero=True, leak=0.2
    )
    reach = gradient_reach(cell, weights, trace).norms["state"]
    np.testing.assert_allclose(reach.numpy(), 0.8 ** np.arange(21), rtol=1e-12)
    assert steps_until_faded(reach) is None
    faded = gradient_reach(*traced("leaky_rnn", torch.randn(3, 30, 2), zero=True, leak=0.2))
    assert steps_until_faded(faded.norms["state"]) == math.ceil(math.log(0.01) / math.log(0.8))


def test_an_open_belt_carries_the_gradient_of_c_and_nothing_of_h() -> None:
    reach = gradient_reach(
        *traced("lstm", torch.randn(2, 15, 3, dtype=torch.float64), f=50.0, i=-50.0, o=-50.0)
    )
    np.testing.assert_allclose(reach.norms["c"].numpy(), 1.0, rtol=1e-9)
    assert reach.norms["h"][1:].max() < 1e-9


@pytest.mark.parametrize("cell", list(CELLS))
def test_the_reach_is_the_norm_of_the_jacobian(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "PROBES", 6000)
    time, hidden = 5, 3
    definition, weights, trace = traced(
        cell, torch.randn(1, time, 2, dtype=torch.float64), hidden_size=hidden
    )
    n = len(definition.states)

    def later(flat: Tensor, start: int) -> Tensor:
        state = tuple(part[None] for part in flat.view(n, hidden))
        for t in range(start, time):
            state, _ = definition.step(trace.inputs[:, t], state, weights)
        return torch.cat(state, dim=1).flatten()

    reach = gradient_reach(definition, weights, trace)
    for back in range(1, time + 1):
        start = time - back
        flat = torch.cat([trace.before[name][0, start] for name in definition.states]).detach()
        jacobian = torch.autograd.functional.jacobian(lambda s, at=start: later(s, at), flat)
        exact = jacobian.norm() / math.sqrt(n * hidden)
        assert reach.norms["state"][back].item() == pytest.approx(exact.item(), rel=0.04)
        for k, name in enumerate(definition.states):
            part = jacobian[:, k * hidden : (k + 1) * hidden].norm() / math.sqrt(hidden)
            assert reach.norms[name][back].item() == pytest.approx(part.item(), rel=0.04)


def make_network(cell: str, **settings: object) -> Network:
    torch.manual_seed(1)
    return Network(cell=cell, input_size=3, n_values=1, hidden_size=6, **settings).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_instrumented_pass_is_the_one_that_forecasts(cell: str, num_layers: int) -> None:
    both = cell != "esn"
    network = make_network(cell, num_layers=num_layers, bidirectional=both)
    views, difference = inspect_network(network, torch.randn(4, 11, 3))
    assert difference < 2e-6
    assert [(view.layer, view.backward) for view in views] == [
        (layer, backward) for layer in range(num_layers) for backward in ([False, True] if both else [False])
    ]
    for view in views:
        assert {values.shape for values in (*view.gates.values(), *view.states.values())} == {(11, 6)}
        assert (view.gradient is None) == view.backward


@pytest.mark.parametrize("cell", [name for name in CELLS if CELLS[name].keeps])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_line_is_what_was_there_less_erased_plus_written(cell: str, bidirectional: bool) -> None:
    network = make_network(cell, bidirectional=bidirectional and cell != "esn")
    views, _ = inspect_network(network, torch.randn(1, 9, 3))
    for view in views:
        line = view.states[network.cell.states[-1]]
        line = line.flip(0) if view.backward else line
        erased, written = (v.flip(0) if view.backward else v for v in (view.erased, view.written))
        before = torch.cat([torch.zeros(1, 6), line[:-1]])
        torch.testing.assert_close(before - erased + written, line, atol=1e-6, rtol=1e-5)


def test_an_lstm_erases_where_it_forgets_and_writes_input_times_candidate() -> None:
    (view,), _ = inspect_network(make_network("lstm"), torch.randn(1, 9, 3))
    gates, c = view.gates, view.states["c"]
    torch.testing.assert_close(view.written, gates["i"] * gates["g"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(view.erased[1:], c[:-1] * (1 - gates["f"][1:]), atol=1e-6, rtol=1e-5)


def test_a_gru_writes_the_candidate_where_it_does_not_keep() -> None:
    (view,), _ = inspect_network(make_network("gru"), torch.randn(1, 9, 3))
    written = (1 - view.gates["z"]) * view.gates["n"]
    torch.testing.assert_close(view.written, written, atol=1e-6, rtol=1e-5)


def test_forced_gates_are_counted_as_saturated() -> None:
    network = make_network("lstm")
    with torch.no_grad():
        for parameter in network.recurrence.parameters():
            parameter.zero_()
        network.recurrence.bias_ih_l0[:6] = -9.0  # input gate closed
        network.recurrence.bias_ih_l0[6:12] = 9.0  # forget gate open
    (view,), _ = inspect_network(network, torch.randn(2, 9, 3))
    assert (view.open["f"].unique().tolist(), view.closed["f"].unique().tolist()) == ([1.0], [0.0])
    assert (view.open["i"].unique().tolist(), view.closed["i"].unique().tolist()) == ([0.0], [1.0])
    assert (view.open["o"].unique().tolist(), view.closed["o"].unique().tolist()) == ([0.0], [0.0])
    assert view.memory.tolist() == [10.0] * 6  # the whole window of 9 is not enough


def test_the_memory_of_the_backward_direction_is_counted_from_where_it_ends() -> None:
    network = make_network("gru", bidirectional=True)
    views, _ = inspect_network(network, torch.randn(1, 9, 3))
    keep = views[1].gates["z"]  # in the order of time; the direction ends at the first step
    products = keep.cumprod(dim=0)
    assert views[1].memory.tolist() == ((products >= 0.5).sum(0) + 1).tolist()


def test_a_plain_rnn_has_no_gates_but_states_and_a_gradient() -> None:
    (view,), _ = inspect_network(make_network("rnn"), torch.randn(1, 9, 3))
    assert view.gates == {}
    assert view.memory is None
    assert view.erased is None
    assert set(view.states) == {"h"}
    assert view.gradient.norms["state"][0] == 1.0
