import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.forecasting.intervals import fit_spread


def test_the_half_width_is_the_conformal_quantile_of_the_absolute_errors() -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1.0, 100.0)) * np.resize([1, -1], 99)
    offsets = fit_spread(errors[:, None]).offsets(1, [0.1, 0.5, 0.9])
    # 99 errors 1 … 99: the ceil(100 * 0.8) = 80th smallest covers 80 %
    assert offsets.tolist() == [[-80, 0, 80]]


def test_an_interval_covers_new_errors_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    lead = np.sqrt(np.arange(1, 13))
    spread = fit_spread(random.normal(size=(500, 12)) * lead)
    low, high = spread.offsets(12, [0.1, 0.9]).T
    new = random.normal(size=(20_000, 12)) * lead
    coverage = ((new >= low) & (new <= high)).mean(axis=0)
    assert coverage == pytest.approx(np.full(12, 0.8), abs=0.05)


def test_lead_times_with_few_errors_borrow_from_their_neighbours() -> None:
    errors = np.ones((4, 30))
    errors[:, 10] = 3.0
    widths = fit_spread(errors).offsets(30, [0.75])[:, 0]
    assert widths[0] == 1.0  # 4 errors alone would not do, the neighbours agree


def test_beyond_the_measured_lead_times_the_interval_widens_like_a_random_walk() -> None:
    spread = fit_spread(np.random.default_rng(0).normal(size=(200, 4)))
    widths = spread.offsets(16, [0.9])[:, 0]
    assert widths[15] == pytest.approx(2 * widths[3])


def test_missing_actuals_do_not_count() -> None:
    errors = np.tile(np.arange(1.0, 100.0)[:, None], (1, 2))
    holed = np.vstack([errors, np.full((50, 2), np.nan)])
    assert np.array_equal(fit_spread(errors).above, fit_spread(holed).above)


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 60),
    horizon=st.integers(1, 8),
    levels=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=9, unique=True).map(sorted),
)
def test_quantiles_never_cross_and_never_narrow(seed: int, n: int, horizon: int, levels: list[float]) -> None:
    errors = np.random.default_rng(seed).standard_t(3, size=(n, horizon))
    offsets = fit_spread(errors).offsets(horizon + 3, levels)
    assert (np.diff(offsets, axis=1) >= 0).all()
    assert (np.diff(np.abs(offsets), axis=0) >= -1e-12).all()
