import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

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


def test_a_series_has_intervals_of_its_own_from_ten_windows_on() -> None:
    errors = np.repeat([[1.0], [9.0], [4.0]], [10, 9, 30], axis=0)
    names = ["calm"] * 10 + ["wild"] * 9 + ["middle"] * 30
    spread = fit_spread(errors, names)
    calm, wild, middle, new = spread.groups_of(["calm", "wild", "middle", "new"])
    assert wild == new == 0
    widths = [spread.offsets(1, [0.7], group).item() for group in (calm, middle, wild)]
    assert widths == [1.0, 4.0, 4.0]  # the 20th smallest of all 49 is 4


def test_the_windows_of_a_single_series_are_its_own_already() -> None:
    assert fit_spread(np.ones((30, 2)), ["only"] * 30).groups == {}


def test_about_a_mean_each_side_has_its_own_errors() -> None:
    errors = np.arange(-9.0, 90.0)[:, None]  # 99 errors: the 10th smallest is 0, the 90th 80
    spread = fit_spread(np.random.default_rng(0).permutation(errors), symmetric=False)
    assert spread.offsets(1, [0.1, 0.5, 0.9]).tolist() == [[0.0, 40.0, 80.0]]


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), horizon=st.integers(1, 8))
def test_quantiles_about_a_mean_never_cross(seed: int, n: int, horizon: int) -> None:
    errors = np.random.default_rng(seed).exponential(size=(n, horizon))
    levels = np.linspace(0.01, 0.99, 49)
    offsets = fit_spread(errors, symmetric=False).offsets(horizon + 3, levels)
    assert (np.diff(offsets, axis=1) >= -1e-12).all()


def test_intervals_on_too_little_are_said_to_be_doubtful() -> None:
    assert fit_spread(np.ones((20, 2))).doubt == ""
    assert "rest on 19 windows, too few" in fit_spread(np.ones((19, 2))).doubt
    assert "also stopped the training" in fit_spread(np.ones((500, 2)), source="validation").doubt


def test_widths_of_lead_times_that_fall_by_chance_share_their_mean() -> None:
    # 99 errors of each lead time, all of one size: 1, 3, 2, 4
    errors = np.tile([1.0, 3.0, 2.0, 4.0], (99, 1))
    widths = fit_spread(errors).offsets(4, [0.9])[:, 0]
    assert widths.tolist() == [1.0, 2.5, 2.5, 4.0]


def test_widths_rise_as_scikit_learn_has_it() -> None:
    errors = np.random.default_rng(0).normal(size=(60, 24)) * np.random.default_rng(1).uniform(1, 3, 24)
    spread = fit_spread(errors)
    for coverage in (0.5, 0.8, 0.95):
        ranked = np.sort(np.abs(errors), axis=0)[int(np.ceil(61 * coverage - 1e-9)) - 1]
        widths = spread.offsets(24, [0.5 + coverage / 2])[:, 0]
        np.testing.assert_allclose(widths, isotonic_regression(ranked))
