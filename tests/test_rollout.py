import copy

import numpy as np
import pytest
import torch
from synthetic import panel_of, seasonal_series
from torch import Tensor

from tsforecast.features.scaling import fit_scales
from tsforecast.features.windows import Batch, Features, WindowReader
from tsforecast.recurrent.cells import CELLS
from tsforecast.recurrent.network import Network
from tsforecast.recurrent.rollout import one_step_ahead, rollout, step_inputs
from tsforecast.series.panel import Cutoffs

FEATURES = Features(
    lookback=9, lags=(3, 12), calendar=("month_of_year",), past=("x0",), scaling="window", season_length=12
)
HORIZON = 7
ROWS = np.array([60, 71, 30])


def make_network(cell: str = "lstm", *, bidirectional: bool = False, num_layers: int = 1) -> Network:
    torch.manual_seed(0)
    network = Network(
        cell=cell,
        input_size=FEATURES.input_size,
        n_values=FEATURES.n_values,
        hidden_size=5,
        num_layers=num_layers,
        bidirectional=bidirectional,
        base=2,
    ).eval()
    with torch.no_grad():  # a head that says something
        network.head.linear.weight.normal_(0, 0.5)
        network.head.linear.bias.fill_(0.1)
    return network


def read(y: np.ndarray, past: np.ndarray, horizon: int = HORIZON) -> Batch:
    panel = panel_of(y, freq="MS", past=past)
    scales = fit_scales(panel_of(y[:30], past=past[:30]), season_length=12, scaling="standard")
    reader = WindowReader(panel, FEATURES, scales, horizon=horizon, device=torch.device("cpu"))
    return reader.read(Cutoffs(series=np.zeros(len(ROWS), np.int64), rows=ROWS), horizon)


@pytest.fixture
def series() -> tuple[np.ndarray, np.ndarray]:
    return seasonal_series(90), np.random.default_rng(1).normal(size=(90, 1))


@pytest.fixture
def batch(series: tuple[np.ndarray, np.ndarray]) -> Batch:
    return read(*series)


VARIANTS = [(cell, both, layers) for cell in CELLS for both in (False, True) for layers in (1, 2)]
variants = pytest.mark.parametrize(("cell", "bidirectional", "num_layers"), VARIANTS)


def teacher_forced(network: Network, batch: Batch, fed: Tensor) -> Tensor:
    """One pass over window and given values, without any loop of the rollout's."""
    values = torch.cat([batch.values, fed[:, :-1]], dim=1)
    observed = torch.cat([batch.observed, torch.ones_like(fed[:, :-1])], dim=1)
    x = step_inputs(FEATURES, values, observed, batch.known)
    return network(x)[0][:, -fed.shape[1] :, 0]


@pytest.mark.parametrize("cell", list(CELLS))
@torch.no_grad()
def test_carrying_the_state_equals_one_pass_over_window_and_own_outputs(cell: str, batch: Batch) -> None:
    network = make_network(cell)
    closed = rollout(network, FEATURES, batch, HORIZON)
    torch.testing.assert_close(closed, teacher_forced(network, batch, closed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", list(CELLS))
@torch.no_grad()
def test_the_open_loop_is_one_pass_over_window_and_true_values(cell: str, batch: Batch) -> None:
    network = make_network(cell)
    ahead = one_step_ahead(network, FEATURES, batch, HORIZON)
    torch.testing.assert_close(ahead, teacher_forced(network, batch, batch.target))


@variants
@torch.no_grad()
def test_a_rollout_of_one_step_is_the_one_step_forecast(
    cell: str, bidirectional: bool, num_layers: int, batch: Batch
) -> None:
    network = make_network(cell, bidirectional=bidirectional, num_layers=num_layers)
    x = step_inputs(FEATURES, batch.values, batch.observed, batch.known[:, : FEATURES.lookback])
    one_step = network.last_step(x) if bidirectional else network(x)[0][:, -1]
    assert torch.equal(rollout(network, FEATURES, batch, 1), one_step)


@variants
@torch.no_grad()
def test_open_and_closed_loop_agree_on_the_first_step_only(
    cell: str, bidirectional: bool, num_layers: int, batch: Batch
) -> None:
    network = make_network(cell, bidirectional=bidirectional, num_layers=num_layers)
    closed = rollout(network, FEATURES, batch, HORIZON)
    opened = one_step_ahead(network, FEATURES, batch, HORIZON)
    torch.testing.assert_close(closed[:, 0], opened[:, 0], rtol=1e-5, atol=1e-6)
    assert ((closed[:, 1:] - opened[:, 1:]).abs().amax(dim=0) > 1e-4).all()


@variants
@torch.no_grad()
def test_a_changed_last_observation_moves_the_first_step(
    cell: str, bidirectional: bool, num_layers: int, series: tuple[np.ndarray, np.ndarray]
) -> None:
    network = make_network(cell, bidirectional=bidirectional, num_layers=num_layers)
    y, past = series
    changed = y.copy()
    changed[ROWS] += 5
    first, other = (
        batch.unscaled(rollout(network, FEATURES, batch, HORIZON))
        for batch in (read(y, past), read(changed, past))
    )
    assert ((first[:, 0] - other[:, 0]).abs() > 1e-4).all()


@variants
@torch.no_grad()
def test_values_after_the_cutoff_move_nothing(
    cell: str, bidirectional: bool, num_layers: int, series: tuple[np.ndarray, np.ndarray]
) -> None:
    network = make_network(cell, bidirectional=bidirectional, num_layers=num_layers)
    y, past = series
    later, later_past = y.copy(), past.copy()
    later[ROWS.max() + 1 :] = -1e6
    later_past[ROWS.max() + 1 :] = -1e6
    first, other = (
        rollout(network, FEATURES, batch, HORIZON)[1] for batch in (read(y, past), read(later, later_past))
    )
    assert torch.equal(first, other)


@torch.no_grad()
def test_a_longer_horizon_begins_with_the_shorter_one(series: tuple[np.ndarray, np.ndarray]) -> None:
    network = make_network()
    long, short = (rollout(network, FEATURES, read(*series, horizon=h), h) for h in (30, HORIZON))
    torch.testing.assert_close(long[:, :HORIZON], short)


@pytest.mark.parametrize("bidirectional", [False, True])
@torch.no_grad()
def test_an_untrained_network_repeats_the_base_lag(bidirectional: bool, batch: Batch) -> None:
    torch.manual_seed(0)
    network = Network(
        cell="lstm",
        input_size=FEATURES.input_size,
        n_values=3,
        hidden_size=5,
        bidirectional=bidirectional,
        base=1,
    )
    forecast = rollout(network, FEATURES, batch, HORIZON)
    last_season = batch.values[:, -3:]  # base 1 is lag 3
    torch.testing.assert_close(forecast, last_season.repeat(1, 3)[:, :HORIZON])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_reach_back_through_the_rollout(bidirectional: bool, batch: Batch) -> None:
    network = make_network(bidirectional=bidirectional)
    closed = rollout(network, FEATURES, batch, HORIZON)
    (through_all,) = torch.autograd.grad(closed[:, -1].sum(), network.head.linear.bias)
    detached = copy.deepcopy(network)
    with torch.no_grad():
        fed = rollout(network, FEATURES, batch, HORIZON)
    batch_fed = Batch(
        **{name: getattr(batch, name) for name in ("values", "observed", "known", "center", "scale")},
        target=fed,
        target_observed=torch.ones_like(fed),
    )
    last = one_step_ahead(detached, FEATURES, batch_fed, HORIZON)[:, -1]
    (last_step_only,) = torch.autograd.grad(last.sum(), detached.head.linear.bias)
    torch.testing.assert_close(closed[:, -1], last, rtol=1e-4, atol=1e-5)
    assert (through_all - last_step_only).abs().item() > 1e-2


@torch.no_grad()
def test_where_a_lag_reaches_before_the_series_the_newest_value_stands_in() -> None:
    torch.manual_seed(0)
    network = Network(cell="lstm", input_size=FEATURES.input_size, n_values=3, hidden_size=5, base=2)
    y, past = seasonal_series(12), np.zeros((12, 1))
    panel = panel_of(y[:5], freq="MS", past=past[:5])
    scales = fit_scales(panel, season_length=12, scaling="standard")
    reader = WindowReader(panel, FEATURES, scales, horizon=HORIZON, device=torch.device("cpu"))
    batch = reader.read(Cutoffs(series=np.array([0]), rows=np.array([4])), HORIZON)
    # Lag 12, the base, is nowhere in 5 values, so the untrained network repeats the newest.
    forecast = batch.unscaled(rollout(network, FEATURES, batch, HORIZON))
    torch.testing.assert_close(
        forecast, torch.full((1, HORIZON), y[4], dtype=torch.float64), rtol=1e-5, atol=1e-5
    )
