"""The reservoir is drawn as asked for, and its readout is the ridge regression others compute."""

import numpy as np
import pytest
import torch
from reservoirpy.nodes import Ridge as ReservoirpyRidge
from sklearn.linear_model import Ridge

from tsforecast.recurrent.layers import Stepwise, cell_with
from tsforecast.recurrent.reservoir import LINKS, NormalEquations, draw_reservoir


def drawn(hidden_size: int = 60, num_layers: int = 1, **settings: float) -> Stepwise:
    layers = Stepwise(cell_with("esn", {"leak": 0.3}), 4, hidden_size, num_layers)
    options = {"spectral_radius": 0.9, "input_scale": 0.5, "seed": 3} | settings
    draw_reservoir(layers, **options)  # type: ignore[arg-type]
    return layers


@pytest.mark.parametrize("spectral_radius", [0.4, 1.3])
@pytest.mark.parametrize("hidden_size", [1, 7, 60])
def test_the_recurrent_weights_have_the_spectral_radius(hidden_size: int, spectral_radius: float) -> None:
    layers = drawn(hidden_size, num_layers=2, spectral_radius=spectral_radius)
    for layer in range(2):
        weights = getattr(layers, f"weight_hh_l{layer}").numpy().astype(np.float64)
        assert np.abs(np.linalg.eigvals(weights)).max() == pytest.approx(spectral_radius, rel=1e-5)


def test_each_unit_listens_to_a_few_others() -> None:
    assert ((drawn().weight_hh_l0 != 0).sum(dim=1) == LINKS).all()


def test_input_weights_and_biases_fill_the_input_scale() -> None:
    layers = drawn(input_scale=0.2)
    for weights in (layers.weight_ih_l0, layers.bias_ih_l0):
        assert weights.abs().max() <= 0.2
        assert weights.min() < -0.15
        assert weights.max() > 0.15
    assert not layers.bias_hh_l0.any()


def test_the_seed_decides_the_weights() -> None:
    one, same, other = drawn().state_dict(), drawn().state_dict(), drawn(seed=4).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["weight_hh_l0"], other["weight_hh_l0"])
    assert not torch.equal(one["weight_ih_l0"], other["weight_ih_l0"])


def rows(n: int = 500, features: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(0)
    x = random.normal(0.3, 0.5, (n, features)).astype(np.float32)
    y = x @ random.normal(size=features) + 2 + random.normal(0, 0.1, n)
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))


def equations_of(x: torch.Tensor, y: torch.Tensor, *, batch: int) -> NormalEquations:
    equations = NormalEquations(x.shape[1], device=torch.device("cpu"))
    for start in range(0, len(x), batch):
        equations.add(x[start : start + batch], y[start : start + batch])
    return equations


@pytest.mark.parametrize("batch", [1, 77, 500])
@pytest.mark.parametrize("ridge", [1e-8, 1e-2, 10.0])
def test_the_solution_is_scikit_learns_ridge(ridge: float, batch: int) -> None:
    x, y = rows()
    reference = Ridge(alpha=ridge * len(x)).fit(x.double().numpy(), y.double().numpy())
    solution = equations_of(x, y, batch=batch).solve(ridge).numpy()
    np.testing.assert_allclose(solution[:-1], reference.coef_, rtol=1e-7, atol=1e-10)
    assert solution[-1] == pytest.approx(reference.intercept_, rel=1e-7)


def test_the_solution_is_reservoirpys_readout() -> None:
    x, y = rows()
    reference = ReservoirpyRidge(ridge=0.02 * len(x)).fit(x.double().numpy(), y.double().numpy()[:, None])
    solution = equations_of(x, y, batch=100).solve(0.02).numpy()
    np.testing.assert_allclose(solution[:-1], np.asarray(reference.Wout).ravel(), rtol=1e-7, atol=1e-9)


def test_the_mean_squared_error_is_that_of_the_rows() -> None:
    x, y = rows()
    equations = equations_of(x, y, batch=100)
    solution = equations.solve(0.1)
    errors = y.double() - x.double() @ solution[:-1] - solution[-1]
    assert equations.mean_squared_error(solution) == pytest.approx(errors.square().mean().item(), rel=1e-9)
