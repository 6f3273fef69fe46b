import pytest
import torch

from tsforecast.config.schema import CELL_NAMES, CELLS_WITH
from tsforecast.recurrent.cells import CELLS
from tsforecast.recurrent.heads import HeadLayer, Unit
from tsforecast.recurrent.network import Network


def make_network(cell: str, **settings: object) -> Network:
    torch.manual_seed(0)
    return Network(cell=cell, input_size=4, n_values=2, hidden_size=6, **settings)  # type: ignore[arg-type]


def test_the_schema_lists_the_cells_there_are() -> None:
    assert set(CELL_NAMES) == set(CELLS)


def test_the_schema_says_which_cell_has_which_setting() -> None:
    of_step = {
        name: set(cells) for name, cells in CELLS_WITH.items() if any(name in CELLS[c].options for c in cells)
    }
    assert of_step == {
        name: {cell for cell in CELLS if name in CELLS[cell].options}
        for name in set().union(*(cell.options for cell in CELLS.values()))
    }


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (5, 7)])
def test_a_causal_network_forecasts_after_every_step(
    cell: str, num_layers: int, batch: int, time: int
) -> None:
    parameters, state = make_network(cell, num_layers=num_layers, head="normal")(torch.randn(batch, time, 4))
    h = state[0] if isinstance(state, tuple) else state
    assert parameters.shape == (batch, time, 2)
    assert h.shape == (num_layers, batch, 6)


@pytest.mark.parametrize("cell", list(CELLS))
def test_a_causal_network_does_not_see_later_steps(cell: str) -> None:
    network = make_network(cell)
    torch.nn.init.normal_(network.head.linear.weight)
    x = torch.randn(2, 6, 4)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = network(x)[0], network(changed)[0]
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("cell", list(CELLS))
def test_the_last_states_of_both_directions_make_the_forecast(cell: str) -> None:
    network = make_network(cell, bidirectional=True)
    torch.nn.init.normal_(network.head.linear.weight)
    x = torch.randn(3, 5, 4)
    _, state = network.recurrence(x)
    h = (
        state[0] if isinstance(state, tuple) else state
    )  # torch's own last states: (directions, batch, hidden)
    correction = network.head(torch.cat([h[0], h[1]], dim=1)[:, None]).squeeze(1)
    expected = (x[:, -1, :2] @ network.base)[:, None] + correction
    torch.testing.assert_close(network.last_step(x), expected)


@pytest.mark.parametrize("cell", list(CELLS))
def test_a_bidirectional_network_sees_the_whole_window(cell: str) -> None:
    network = make_network(cell, bidirectional=True)
    torch.nn.init.normal_(network.head.linear.weight)
    x = torch.randn(1, 5, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(network.last_step(x).sum(), x)
    assert (gradient.abs().sum(dim=2) > 0).all()


def test_an_untrained_network_is_a_naive_forecast_and_learns_to_be_another() -> None:
    network = make_network("lstm", base=1)
    x = torch.randn(3, 5, 4)
    assert torch.equal(network(x)[0][..., 0], x[..., 1])
    assert network.mix is not None
    torch.nn.init.normal_(network.mix.weight)
    hidden, _ = network.recurrence(x)
    moved = hidden @ network.mix.weight.T
    torch.testing.assert_close(
        network(x)[0][..., 0], x[..., 0] * moved[..., 0] + x[..., 1] * (1 + moved[..., 1])
    )


def test_the_base_of_a_reservoir_is_the_same_at_each_step() -> None:
    assert make_network("esn").mix is None


def test_dropout_acts_between_layers_and_in_training_only() -> None:
    network = make_network("lstm", num_layers=2, dropout=0.5)
    torch.nn.init.normal_(network.head.linear.weight)
    x = torch.randn(2, 5, 4)
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])


def test_the_loss_is_the_mean_absolute_error_of_the_observed_targets() -> None:
    y_hat, y = torch.tensor([[1.0, 2.0], [3.0, 9.0]]), torch.tensor([[2.0, 4.0], [3.0, 0.0]])
    observed = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    unit = Unit(torch.zeros(2, 1), torch.ones(2, 1))
    assert HeadLayer(3).loss(y_hat[..., None], y, observed, unit).item() == pytest.approx((1 + 2 + 0) / 3)
