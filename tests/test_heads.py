from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from tsforecast.config.schema import HEAD_NAMES
from tsforecast.recurrent.heads import HEADS, QUANTILES, HeadLayer, Unit

LEVELS = np.array([0.003, 0.02, 0.1, 0.3, 0.5, 0.62, 0.9, 0.97, 0.998])
# Parameters of six steps of one window, and its unit.
LOCATION = [-0.4, 0.0, 0.3, 1.0, 2.5, 6.0]
WIDTH = [-1.0, 0.0, 0.5, 1.0, 2.0, -2.0]
THIRD = [-3.0, -1.0, 0.0, 1.0, 3.0, 0.5]
UNIT = Unit(torch.tensor([[0.0]], dtype=torch.float64), torch.tensor([[4.0]], dtype=torch.float64))
HIGH = Unit(torch.tensor([[20.0]], dtype=torch.float64), torch.tensor([[4.0]], dtype=torch.float64))


def parameters(name: str) -> Tensor:
    columns = torch.tensor([LOCATION, WIDTH, THIRD], dtype=torch.float64).T
    return columns[None, :, : HEADS[name].n_parameters].clone()


def softplus(x: object, beta: float = 1.0) -> np.ndarray:
    return np.logaddexp(0, beta * np.asarray(x, dtype=float)) / beta


def frozen(name: str) -> list[object]:
    """The distribution of each of the six steps as scipy has it, in the unit of the data."""
    mean = 4 * softplus(LOCATION, 8) + 1e-9
    width = softplus(WIDTH) + 1e-3
    if name == "normal":
        return [stats.norm(20 + 4 * m, 4 * s) for m, s in zip(LOCATION, width, strict=True)]
    if name == "student_t":
        freedom = 2 + softplus(np.array(THIRD) + 3)
        return [stats.t(df, 20 + 4 * m, 4 * s) for m, s, df in zip(LOCATION, width, freedom, strict=True)]
    if name == "log_normal":
        above = softplus(np.array(LOCATION) + 5, 8)
        return [stats.lognorm(np.log1p(s / a), scale=4 * a) for a, s in zip(above, width, strict=True)]
    assert name == "negative_binomial"
    return [stats.nbinom(1 / a, 1 / (1 + a * m)) for m, a in zip(mean, width, strict=True)]


def unit_for(name: str) -> Unit:
    return UNIT if name in ("negative_binomial", "zero_inflated") else HIGH


CONTINUOUS = ("normal", "student_t", "log_normal")
DENSITIES = (*CONTINUOUS, "negative_binomial")


def loss_of(name: str, data: np.ndarray, given: Tensor | None = None) -> Tensor:
    unit = unit_for(name)
    y = (torch.from_numpy(data)[None] - unit.center) / unit.scale
    return HEADS[name].loss(parameters(name) if given is None else given, y, unit)


def test_the_schema_lists_the_heads_there_are() -> None:
    assert set(HEAD_NAMES) == set(HEADS)


@pytest.mark.parametrize("name", DENSITIES)
def test_the_loss_is_the_negative_log_likelihood_scipy_gives(name: str) -> None:
    data = np.array([19.0, 21.5, 18.0, 30.0, 22.0, 41.0]) if name in CONTINUOUS else np.arange(6.0) ** 2
    density = "logpdf" if name in CONTINUOUS else "logpmf"
    expected = np.array([-getattr(d, density)(y) for d, y in zip(frozen(name), data, strict=True)])
    # A density of the scaled value is that of the value times the scale.
    expected = expected - np.log(4) if name in CONTINUOUS else expected
    np.testing.assert_allclose(loss_of(name, data)[0].numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_gradients_are_those_of_torch_distributions(name: str) -> None:
    y = np.array([19.0, 21.5, 18.0, 30.0, 22.0, 41.0])
    ours, theirs = (parameters(name).requires_grad_() for _ in range(2))
    loss_of(name, y, ours).sum().backward()
    location = 20 + 4 * theirs[..., 0]
    scale = 4 * (torch.nn.functional.softplus(theirs[..., 1]) + 1e-3)
    known: torch.distributions.Distribution = torch.distributions.Normal(location, scale)
    if name == "student_t":
        freedom = 2 + torch.nn.functional.softplus(theirs[..., 2] + 3)
        known = torch.distributions.StudentT(freedom, location, scale)
    (-known.log_prob(torch.from_numpy(y))).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_gradients_of_counts_are_those_of_torch_distributions() -> None:
    y = torch.arange(6.0, dtype=torch.float64) ** 2
    ours, theirs = (parameters("negative_binomial").requires_grad_() for _ in range(2))
    loss_of("negative_binomial", y.numpy(), ours).sum().backward()
    mean = 4 * torch.nn.functional.softplus(theirs[..., 0], beta=8) + 1e-9
    dispersion = torch.nn.functional.softplus(theirs[..., 1]) + 1e-3
    known = torch.distributions.NegativeBinomial(1 / dispersion, logits=(dispersion * mean).log())
    (-known.log_prob(y)).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_every_loss_is_differentiated_rightly(name: str) -> None:
    torch.manual_seed(0)
    given = torch.randn(2, 5, HEADS[name].n_parameters, dtype=torch.float64).requires_grad_()
    y = torch.tensor([[0.25, 0.5, 1.0, 0.75, 2.0]], dtype=torch.float64).repeat(2, 1)
    unit = Unit(torch.zeros(2, 1, dtype=torch.float64), torch.full((2, 1), 4.0, dtype=torch.float64))
    (found,) = torch.autograd.grad(HEADS[name].loss(given, y, unit).sum(), given)
    step = 1e-3 if name in ("negative_binomial", "zero_inflated") else 1e-6  # these give float32
    for place in np.ndindex(*given.shape):
        moved = torch.zeros_like(given)
        moved[place] = step
        with torch.no_grad():
            change = HEADS[name].loss(given + moved, y, unit) - HEADS[name].loss(given - moved, y, unit)
        assert found[place].item() == pytest.approx(
            change.double().sum().item() / (2 * step), rel=0.02, abs=2e-3
        )


@pytest.mark.parametrize("name", DENSITIES)
def test_quantiles_are_those_of_scipy(name: str) -> None:
    unit = unit_for(name)
    for k, known in enumerate(frozen(name)):
        given = parameters(name)[:, k : k + 1].expand(1, len(LEVELS), -1)
        found = HEADS[name].quantile(given, torch.from_numpy(LEVELS)[None], unit)  # type: ignore[misc]
        found = (found * unit.scale + unit.center)[0].numpy()
        rtol = 2e-3 if name == "student_t" else 1e-6
        np.testing.assert_allclose(found - 20, known.ppf(LEVELS) - 20, rtol=rtol, atol=1e-6)  # type: ignore[attr-defined]


@pytest.mark.parametrize("freedom", [2.01, 2.5, 3.0, 4.9, 5.1, 8.0, 30.0, 300.0])
def test_students_quantiles_are_good_to_three_digits(freedom: float) -> None:
    raw = np.log(np.expm1(freedom - 2)) - 3
    given = torch.tensor([0.0, np.log(np.expm1(1 - 1e-3)), raw], dtype=torch.float64)
    levels = np.concatenate([[1e-6, 1e-4], np.linspace(0.001, 0.999, 999)])
    quantile = HEADS["student_t"].quantile
    assert quantile is not None
    found = quantile(given.expand(1, len(levels), 3), torch.from_numpy(levels)[None], UNIT)[0].numpy()
    np.testing.assert_allclose(found, stats.t.ppf(levels, freedom), rtol=2e-3, atol=1e-6)


def test_zero_inflated_counts_are_a_mixture_with_the_location_as_mean() -> None:
    mean, dispersion = 4 * softplus(LOCATION, 8) + 1e-9, softplus(WIDTH) + 1e-3
    zeros = (1 - 1e-3) / (1 + np.exp(-(np.array(THIRD) - 2)))
    rest = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean / (1 - zeros)))
    np.testing.assert_allclose((1 - zeros) * rest.mean(), mean)
    for data in (np.zeros(6), np.array([1.0, 2.0, 3.0, 4.0, 10.0, 30.0])):
        expected = -np.log(np.where(data == 0, zeros, 0.0) + (1 - zeros) * rest.pmf(data))
        np.testing.assert_allclose(loss_of("zero_inflated", data)[0].numpy(), expected, rtol=1e-5)
    levels = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    quantile = HEADS["zero_inflated"].quantile
    assert quantile is not None
    for k in range(6):
        given = parameters("zero_inflated")[:, k : k + 1].expand(1, len(levels), -1)
        found = (quantile(given, levels[None], UNIT) * 4)[0].numpy()
        cdf = zeros[k] + (1 - zeros[k]) * stats.nbinom(
            1 / dispersion[k], 1 / (1 + dispersion[k] * mean[k] / (1 - zeros[k]))
        ).cdf(np.arange(5000))
        np.testing.assert_array_equal(found, np.searchsorted(cdf, levels.numpy()))


@pytest.mark.parametrize(("mean", "dispersion"), [(150.0, 0.01), (400.0, 0.3), (3000.0, 1.0), (90.0, 30.0)])
def test_large_counts_are_near_the_right_quantiles(mean: float, dispersion: float) -> None:
    given = torch.tensor([mean / 4, np.log(np.expm1(dispersion - 1e-3))], dtype=torch.float64)
    levels = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    quantile = HEADS["negative_binomial"].quantile
    assert quantile is not None
    found = quantile(given.expand(1, len(levels), 2), torch.from_numpy(levels)[None], UNIT)[0].numpy() * 4
    known = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean)).ppf(levels)
    np.testing.assert_allclose(found, known, rtol=0.02, atol=2)


def test_quantiles_rise_whatever_the_network_says() -> None:
    torch.manual_seed(0)
    given = 5 * torch.randn(50, 1, len(QUANTILES)).expand(-1, 199, -1)
    levels = torch.linspace(0.005, 0.995, 199, dtype=torch.float64).expand(50, -1)
    quantile = HEADS["quantiles"].quantile
    assert quantile is not None
    assert (quantile(given, levels, UNIT).diff(dim=1) > 0).all()


def test_the_quantile_head_is_linear_between_and_exponential_beyond_its_levels() -> None:
    given = torch.zeros(1, 1, len(QUANTILES), dtype=torch.float64)  # equal steps about 0
    step = softplus(-1.5).item()
    quantile = HEADS["quantiles"].quantile
    assert quantile is not None

    def at(level: float) -> float:
        return quantile(given, torch.tensor([[level]], dtype=torch.float64), UNIT).item()

    assert [at(level) for level in QUANTILES] == pytest.approx([step * k for k in range(-5, 6)])
    assert at(0.85) == pytest.approx(3.5 * step)
    # Exponential through 0.9 and 0.95: each halving of what is left goes one step further.
    assert at(0.975) == pytest.approx(6 * step)
    assert at(0.0125) == pytest.approx(-7 * step)


def test_the_pinball_loss_is_lowest_for_the_true_quantiles() -> None:
    data = torch.from_numpy(np.random.default_rng(0).exponential(size=20_000))
    given = torch.zeros(1, 1, len(QUANTILES), dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.Adam([given], lr=0.05)
    layer = HeadLayer(1, "quantiles")
    for _ in range(500):
        optimizer.zero_grad()
        layer.loss(given.expand(1, len(data), -1), data[None], torch.ones(1, len(data)), UNIT).backward()
        optimizer.step()
    levels = torch.tensor([QUANTILES], dtype=torch.float64)
    quantile = HEADS["quantiles"].quantile
    assert quantile is not None
    found = quantile(given.detach().expand(1, len(QUANTILES), -1), levels, UNIT)[0]
    assert found.tolist() == pytest.approx(stats.expon.ppf(QUANTILES), abs=0.05)


POINTS: dict[str, Callable[[], list[float]]] = {
    "log_normal": lambda: [float(d.median()) for d in frozen("log_normal")],  # type: ignore[attr-defined]
    "negative_binomial": lambda: [float(d.mean()) for d in frozen("negative_binomial")],  # type: ignore[attr-defined]
    "zero_inflated": lambda: [float(d.mean()) for d in frozen("negative_binomial")],  # type: ignore[attr-defined]
    "normal": lambda: [float(d.mean()) for d in frozen("normal")],  # type: ignore[attr-defined]
    "student_t": lambda: [float(d.median()) for d in frozen("student_t")],  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("name", sorted(POINTS))
def test_the_point_forecast_is_the_mean_or_median_the_head_names(name: str) -> None:
    unit = unit_for(name)
    found = HeadLayer(1, name).point(parameters(name), unit) * unit.scale + unit.center
    assert found[0].tolist() == pytest.approx(POINTS[name](), rel=1e-5)


def test_the_point_losses_are_the_textbooks() -> None:
    y, location = torch.tensor([[1.0, 1.0]]), torch.tensor([[[1.5], [4.0]]])
    losses = {name: HEADS[name].loss(location, y, UNIT)[0].tolist() for name in ("mae", "mse", "huber")}
    assert losses == {"mae": [0.5, 3.0], "mse": [0.25, 9.0], "huber": [0.125, 2.5]}


@pytest.mark.parametrize("name", sorted(HEADS))
def test_targets_that_are_not_there_count_for_nothing(name: str) -> None:
    torch.manual_seed(0)
    given = torch.randn(2, 3, HEADS[name].n_parameters, requires_grad=True)
    y = torch.tensor([[0.5, 1.0, torch.nan], [0.25, torch.inf, torch.nan]])
    observed = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    y = torch.where(observed > 0, y, 1e9)
    layer, unit = HeadLayer(4, name), Unit(torch.zeros(2, 1).double(), torch.full((2, 1), 4.0).double())
    loss = layer.loss(given, y, observed, unit)
    alone = HEADS[name].loss(given, y, unit)[observed > 0].mean()
    torch.testing.assert_close(loss, alone)
    loss.backward()
    assert given.grad is not None
    assert (given.grad[observed == 0] == 0).all()
    assert given.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(HEADS))
def test_an_untrained_head_leaves_the_base_alone(name: str) -> None:
    base = torch.tensor([[2.0, 3.0, 50.0]])
    layer = HeadLayer(4, name)
    said = layer.based(layer(torch.randn(1, 3, 4)), base)
    torch.testing.assert_close(layer.point(said, HIGH), base)


@pytest.mark.parametrize("name", [name for name, head in HEADS.items() if head.quantile])
def test_uniform_levels_draw_values_with_the_likelihood_that_is_learned(name: str) -> None:
    # The mean negative log-likelihood of draws is lowest at the parameters they were drawn with. Seed 0, 20 000 draws.
    torch.manual_seed(0)
    unit = unit_for(name)
    given = parameters(name)[:, 3:4] if name != "quantiles" else torch.zeros(1, 1, len(QUANTILES)).double()
    quantile = HEADS[name].quantile
    assert quantile is not None
    drawn = quantile(given.expand(1, 20_000, -1), torch.rand(1, 20_000, dtype=torch.float64), unit)
    layer = HeadLayer(1, name)

    def loss(of: Tensor) -> float:
        return layer.loss(of.expand(1, 20_000, -1), drawn, torch.ones(1, 20_000), unit).item()

    for k in range(given.shape[-1]):
        for move in (-0.5, 0.5):
            moved = given.clone()
            moved[..., k] += move
            assert loss(given) < loss(moved)
