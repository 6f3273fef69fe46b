import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic import panel_of, seasonal_series

from tsforecast.features.scaling import SCALINGS, fit_scales, window_scale


def test_the_center_is_the_mean_and_the_scale_the_seasonal_error_of_each_series() -> None:
    scales = fit_scales(panel_of([1, 2, 5, 4], [10, 10, 30, 50]), season_length=2, scaling="seasonal")
    assert scales.center.tolist() == [3, 25]
    assert scales.scale.tolist() == [(4 + 2) / 2, (20 + 40) / 2]


def test_the_scale_is_the_standard_deviation_where_no_season_is_asked_for() -> None:
    y = seasonal_series(50)
    scales = fit_scales(panel_of(y), season_length=12, scaling="standard")
    assert scales.scale[0] == pytest.approx(np.std(y), rel=1e-12)


def test_a_series_shorter_than_a_season_takes_its_standard_deviation() -> None:
    scales = fit_scales(panel_of([1.0, 3.0], seasonal_series(40)), season_length=12, scaling="seasonal")
    assert scales.scale[0] == 1.0


@pytest.mark.parametrize("y", [[5.0] * 30, [0.0] * 30, [1e12 + 1e-3] * 30, [7.0], []])
def test_a_series_without_spread_has_scale_one(y: list[float]) -> None:
    assert fit_scales(panel_of(y, [1, 2, 3]), season_length=1, scaling="seasonal").scale[0] == 1


def test_a_repeated_season_takes_the_standard_deviation_instead_of_its_error_of_zero() -> None:
    y = np.tile([1.0, 2.0, 3.0], 10)
    assert fit_scales(panel_of(y), season_length=3, scaling="seasonal").scale[0] == pytest.approx(np.std(y))


def test_missing_values_do_not_count() -> None:
    scales = fit_scales(panel_of([1, np.nan, 3, np.nan, 7]), season_length=2, scaling="seasonal")
    assert scales.center[0] == pytest.approx(11 / 3)
    assert scales.scale[0] == pytest.approx((2 + 4) / 2)


def test_one_huge_outlier_leaves_the_other_series_alone() -> None:
    calm = seasonal_series(40)
    wild = calm.copy()
    wild[20] = 1e7
    alone = fit_scales(panel_of(calm), season_length=12, scaling="seasonal")
    beside = fit_scales(panel_of(wild, calm), season_length=12, scaling="seasonal")
    assert beside.scale[1] == alone.scale[0]


def test_a_constant_covariate_has_scale_one() -> None:
    past = np.column_stack([np.full(20, 3.0), np.arange(20.0)])
    scales = fit_scales(panel_of(np.arange(20.0), past=past), season_length=1, scaling="standard")
    assert scales.past_scale.tolist() == [1, pytest.approx(np.arange(20).std())]


def test_an_unknown_series_is_scaled_by_its_own_rows_and_a_known_one_as_in_training() -> None:
    trained = fit_scales(panel_of([1.0, 2, 3]), season_length=1, scaling="seasonal")
    panel = panel_of([10.0, 30.0, 50.0], [100.0, 200.0, 300.0])
    scales = trained.for_panel(panel, {"s0": 0}, fit_scales(panel, season_length=1, scaling="seasonal"))
    assert scales.center.tolist() == [2, 200]
    assert scales.scale.tolist() == [1, 100]


def test_a_window_scale_ignores_the_padding() -> None:
    values = torch.tensor([[0.0, 0.0, 4.0, 8.0]], dtype=torch.float64)
    observed = torch.tensor([[False, False, True, True]])
    one = torch.ones(1, 1, dtype=torch.float64)
    center, scale = window_scale("window", values, observed, center=one, scale=one)
    assert (center.item(), scale.item()) == (6, 2)


@given(
    name=st.sampled_from(sorted(SCALINGS)),
    level=st.floats(-1e12, 1e12),
    spread=st.floats(1e-6, 1e6),
    seed=st.integers(0, 1000),
)
def test_scaling_undoes_itself(name: str, level: float, spread: float, seed: int) -> None:
    y = level + spread * np.random.default_rng(seed).normal(size=(1, 20))
    values, observed = torch.from_numpy(y), torch.ones(1, 20, dtype=torch.bool)
    own = fit_scales(panel_of(y[0]), season_length=1, scaling="seasonal")
    center, scale = window_scale(
        name,
        values,
        observed,
        center=torch.from_numpy(own.center)[:, None],
        scale=torch.from_numpy(own.scale)[:, None],
    )
    back = (values - center) / scale * scale + center
    torch.testing.assert_close(back, values, rtol=1e-9, atol=1e-9 * spread)
