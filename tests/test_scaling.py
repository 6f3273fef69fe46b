import logging
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from synthetic import config, panel_of, seasonal_frame, seasonal_series

from tsforecast.config.schema import Config
from tsforecast.features.scaling import SCALINGS, UNCENTERED, fit_scales, lost_in_float32, window_scale
from tsforecast.workflows.predict import load_run, predict
from tsforecast.workflows.train import train


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
    scales = trained.for_panel(panel, {"s0": 0}, season_length=1, scaling="seasonal")
    assert scales.center.tolist() == [2, 200]
    assert scales.scale.tolist() == [1, 100]


def test_a_window_scale_ignores_the_padding() -> None:
    values = torch.tensor([[0.0, 0.0, 4.0, 8.0]], dtype=torch.float64)
    observed = torch.tensor([[False, False, True, True]])
    one = torch.ones(1, 1, dtype=torch.float64)
    center, scale = window_scale("window", values, observed, center=one, scale=one)
    assert (center.item(), scale.item()) == (6, 2)


BY_WINDOW = [name for name in SCALINGS if name.endswith("_by_window")]


def scale_of_window(name: str, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Centre and scale of a window that is the whole series; NaN is not observed."""
    own = fit_scales(panel_of(y), season_length=1, scaling=name)
    observed = np.isfinite(y)
    return window_scale(
        name,
        torch.from_numpy(np.where(observed, y, 0.0))[None],
        torch.from_numpy(observed)[None],
        center=torch.from_numpy(own.center)[:, None],
        scale=torch.from_numpy(own.scale)[:, None],
    )


def test_masked_values_do_not_count_in_any_scale() -> None:
    y, x = (
        np.array([1, np.nan, 5, np.nan]),
        np.array([[2.0, np.nan], [4, np.nan], [np.nan, np.nan], [6, np.nan]]),
    )
    scales = fit_scales(panel_of(y, past=x), season_length=2, scaling="seasonal")
    assert (scales.center.tolist(), scales.scale.tolist()) == ([3], [4])
    assert scales.past_center.tolist() == [4, 0]
    np.testing.assert_allclose(scales.past_scale, [np.std([2, 4, 6]), 1])


def test_the_series_scales_are_those_of_scikit_learn() -> None:
    y = seasonal_series(47)
    standard, minmax, robust = (
        fit_scales(panel_of([1.0, 9.0], y), season_length=1, scaling=name)
        for name in ("standard", "minmax", "robust")
    )
    known = StandardScaler().fit(y[:, None]), MinMaxScaler().fit(y[:, None]), RobustScaler().fit(y[:, None])
    assert standard.center[1] == pytest.approx(known[0].mean_[0], rel=1e-12)
    assert standard.scale[1] == pytest.approx(known[0].scale_[0], rel=1e-12)
    assert (minmax.center[1], minmax.scale[1]) == (
        known[1].data_min_[0],
        pytest.approx(known[1].data_range_[0]),
    )
    assert robust.center[1] == pytest.approx(known[2].center_[0], rel=1e-12)
    assert robust.scale[1] == pytest.approx(known[2].scale_[0], rel=1e-12)


def test_mean_abs_divides_by_the_mean_size_and_subtracts_nothing() -> None:
    scales = fit_scales(panel_of([1, -3, np.nan, 5]), season_length=1, scaling="mean_abs")
    assert (scales.center[0], scales.scale[0]) == (0, 3)


@pytest.mark.parametrize("name", BY_WINDOW)
def test_a_window_that_is_the_whole_series_is_scaled_like_it(name: str) -> None:
    y = seasonal_series(40)
    y[[3, 17, 18]] = np.nan
    own = fit_scales(panel_of(y), season_length=1, scaling=name.removesuffix("_by_window"))
    center, scale = scale_of_window(name, y)
    assert center.item() == pytest.approx(own.center[0], rel=1e-12)
    assert scale.item() == pytest.approx(own.scale[0], rel=1e-12)


@pytest.mark.parametrize("name", BY_WINDOW)
def test_a_window_without_a_value_or_without_spread_takes_the_scale_of_its_series(name: str) -> None:
    observed = torch.tensor([[False, False], [True, True]])
    own = torch.tensor([[7.0], [7.0]], dtype=torch.float64)
    center, scale = window_scale(
        name, torch.zeros(2, 2, dtype=torch.float64), observed, center=own, scale=3 * own
    )
    assert scale.tolist() == [[21], [21]]
    assert center[0].item() == (0 if name in UNCENTERED else 7)


def test_the_short_names_are_those_two() -> None:
    assert SCALINGS["series"] is SCALINGS["standard"]
    assert SCALINGS["window"] is SCALINGS["standard_by_window"]


def test_the_schema_names_every_scaling() -> None:
    named = set(get_args(Config.model_fields["scaling"].annotation))
    assert named == {"auto", *SCALINGS}


LEVELS = st.one_of(st.floats(-1e300, 1e300), st.integers(-300, 299).map(lambda power: 10.0**power))
SERIES = st.one_of(
    st.lists(LEVELS, min_size=1, max_size=30).map(np.array),
    st.tuples(LEVELS, st.integers(2, 30)).map(lambda pair: np.full(pair[1], pair[0])),
    st.integers(0, 99).map(lambda seed: 1e9 + np.random.default_rng(seed).normal(size=25)),
    st.tuples(LEVELS, st.integers(0, 29)).map(lambda pair: np.where(np.arange(30) == pair[1], pair[0], 0.0)),
    st.tuples(LEVELS, st.integers(0, 8)).map(lambda p: np.where(np.arange(9) == p[1], np.nan, p[0])),
)


@pytest.mark.parametrize("name", sorted(SCALINGS))
@given(y=SERIES)
def test_scaling_is_finite_and_undone_to_nine_digits_whatever_the_size(name: str, y: np.ndarray) -> None:
    center, scale = scale_of_window(name, y)
    assert torch.isfinite(center).all()
    assert torch.isfinite(scale).all()
    assert (scale > 0).all()
    values = torch.from_numpy(y[np.isfinite(y)])[None]
    scaled = (values - center) / scale
    assert torch.isfinite(scaled).all()
    if name != "none":
        assert (scaled.abs() < 1e12).all()  # far from the end of float32
    back = scaled * scale + center
    largest = max(float(values.abs().max()), 1e-290)  # below that float64 itself has fewer digits
    torch.testing.assert_close(back, values, rtol=0, atol=1e-9 * largest)


@pytest.mark.parametrize("name", sorted(set(SCALINGS) - set(UNCENTERED)))
def test_small_noise_on_a_high_level_survives_float32(name: str) -> None:
    noise = np.random.default_rng(0).normal(size=60)
    center, scale = scale_of_window(name, 1e9 + noise)
    seen = ((torch.from_numpy(1e9 + noise)[None] - center) / scale).float()
    back = (seen.double() * scale + center)[0].numpy() - 1e9
    np.testing.assert_allclose(back, noise, rtol=0, atol=1e-6)


def test_what_float32_loses_without_a_centre_is_named() -> None:
    noise = np.random.default_rng(0).normal(size=60)
    panel = panel_of(noise, 1e9 + noise, np.full(60, 1e9), [np.nan, np.nan], [])
    assert lost_in_float32(panel) == ["s1"]


@pytest.mark.parametrize("unit", [1e-300, 1e-9, 1e9, 1e298])
@pytest.mark.parametrize("name", sorted(SCALINGS))
def test_scales_grow_with_the_unit_of_the_data(name: str, unit: float) -> None:
    y = seasonal_series(40)
    one, other = (fit_scales(panel_of(values), season_length=12, scaling=name) for values in (y, y * unit))
    assert other.center[0] == pytest.approx(one.center[0] * unit, rel=1e-9)
    assert other.scale[0] == pytest.approx(one.scale[0] * unit, rel=1e-9)
    of_one, of_other = scale_of_window(name, y), scale_of_window(name, y * unit)
    if name != "none":
        assert of_other[0].item() == pytest.approx(of_one[0].item() * unit, rel=1e-9)
        assert of_other[1].item() == pytest.approx(of_one[1].item() * unit, rel=1e-9)


def test_the_seasonal_scale_is_the_plain_formula_to_the_bit() -> None:
    """What ``auto`` gives does not change with how overflow is kept away."""
    y = 1e3 * seasonal_series(50)
    scales = fit_scales(panel_of(y), season_length=12, scaling="seasonal")
    assert scales.center[0] == np.bincount(np.zeros(50, int), weights=y)[0] / 50
    changes = np.abs(y[12:] - y[:-12])
    assert scales.scale[0] == np.bincount(np.zeros(38, int), weights=changes)[0] / 38


@pytest.mark.parametrize("name", sorted(SCALINGS))
def test_an_outlier_leaves_the_scales_of_the_other_series_alone_to_the_bit(name: str) -> None:
    calm = seasonal_series(40)
    wild = calm.copy()
    wild[20] *= 1e6
    alone = fit_scales(panel_of(calm), season_length=12, scaling=name)
    beside = fit_scales(panel_of(wild, calm), season_length=12, scaling=name)
    assert (beside.center[1], beside.scale[1]) == (alone.center[0], alone.scale[0])


# --- training and forecasting


FRAME = seasonal_frame(n_series=3, length=72)


@pytest.mark.parametrize("name", ["auto", *SCALINGS])
def test_a_run_forecasts_the_same_after_storing_and_from_new_data(tmp_path: Path, name: str) -> None:
    trained = train(config(scaling=name), path=tmp_path / "run", source=FRAME)
    run = load_run(tmp_path / "run")
    for source in (None, FRAME):
        pd.testing.assert_frame_equal(predict(run, source)[0], trained.forecast, check_exact=True)
    assert trained.forecast["y_hat"].between(3, 40).all()  # the series lie between 6 and 20
    unseen = predict(run, FRAME.assign(unique_id="new " + FRAME["unique_id"]))[0]
    assert unseen["y_hat"].to_numpy() == pytest.approx(trained.forecast["y_hat"].to_numpy(), rel=0.1)


ODD: dict[str, np.ndarray] = {
    "constant": np.full(72, 5.0),
    "zero": np.zeros(72),
    "single non-zero": np.where(np.arange(72) == 40, 3.0, 0.0),
    "binary": np.arange(72) % 2.0,
    "huge": seasonal_series(72) * 1e298,
    "huge and constant": np.full(72, 1e300 / 3),
    "tiny": seasonal_series(72) * 1e-300,
    "high and calm": 1e9 + seasonal_series(72),
    "outlier": np.where(np.arange(72) == 40, 1e7, seasonal_series(72)),
}


@pytest.mark.parametrize("name", ["auto", "standard_by_window", "minmax", "robust_by_window", "mean_abs"])
def test_series_of_every_odd_kind_are_forecast_with_finite_numbers(tmp_path: Path, name: str) -> None:
    ds = FRAME["ds"].iloc[:72]
    frames = [pd.DataFrame({"unique_id": kind, "ds": ds, "y": y}) for kind, y in ODD.items()]
    trained = train(config(scaling=name), path=tmp_path / "run", source=pd.concat(frames))
    numbers = trained.forecast[["y_hat", "q0.1", "q0.5", "q0.9"]].to_numpy()
    assert np.isfinite(numbers).all()
    assert trained.scores is not None
    table = trained.scores.by_series.set_index(["model", "unique_id"])["mase"]["lstm"]
    assert table[["constant", "zero", "binary", "huge and constant"]].isna().all()  # undefined, not infinite
    assert np.isfinite(table[["huge", "tiny", "high and calm", "outlier"]]).all()
    if name == "auto":
        levels = trained.forecast.groupby("unique_id")["y_hat"].mean()
        last = seasonal_series(72)[-12:].mean()
        assert levels["huge"] == pytest.approx(last * 1e298, rel=0.3)
        assert levels["tiny"] == pytest.approx(last * 1e-300, rel=0.3)


def test_an_outlier_in_one_series_costs_the_others_no_accuracy(tmp_path: Path) -> None:
    calm = seasonal_frame(n_series=4, length=96)
    wild = calm.copy()
    wild.loc[wild.index[96 + 50], "y"] *= 1e6  # series s1, learned from
    training = {"max_steps": 100, "batch_size": 32, "learning_rate": 0.01}
    tables = []
    for name, frame in (("calm", calm), ("wild", wild)):
        settings = config(model={"hidden_size": 16}, training=training)
        trained = train(settings, path=tmp_path / name, source=frame)
        assert trained.scores is not None
        tables.append(trained.scores.by_series.set_index(["model", "unique_id"])["mase"]["lstm"])
        moved = trained.forecast.set_index("unique_id")["y_hat"]
        assert moved[["s0", "s2", "s3"]].between(5, 40).all()
    others = ["s0", "s2", "s3"]
    assert tables[0][others].mean() < 0.3
    assert tables[1][others].mean() < 1.5 * tables[0][others].mean()


def test_changes_lost_in_float32_are_said_where_nothing_is_subtracted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = FRAME.assign(y=FRAME["y"] + 1e9)
    with caplog.at_level(logging.WARNING):
        train(config(scaling="mean_abs"), path=tmp_path / "run", source=frame)
    assert "scaling: mean_abs subtracts nothing, so the changes of 3 series are lost" in caplog.text
