"""Metrics against numbers worked by hand, against utilsforecast and against scoringrules."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic import panel_of, seasonal_series
from utilsforecast import losses

from tsforecast.evaluation.metrics import (
    METRICS,
    RELATIVE,
    Interval,
    Judged,
    SeasonalScale,
    bias,
    central_intervals,
    coverage,
    crps_of_paths,
    crps_of_quantiles,
    interval_score,
    interval_width,
    mae,
    mase,
    nominal_coverage,
    pinball,
    relative_bias,
    rmse,
    rmsse,
    seasonal_scale,
    smape,
    wape,
    wql,
)
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

HORIZON = 6
SEASON = 4
LEVELS = np.array([0.1, 0.5, 0.9])

# Sixteenths are exact, and never so small that their squares vanish.
windows = arrays(np.float64, (3, HORIZON), elements=st.integers(-(10**7), 10**7).map(lambda k: k / 16))


def row(*values: float) -> FloatArray:
    return np.array([values], dtype=np.float64)


def cutoffs(*places: tuple[int, int]) -> Cutoffs:
    series, rows = zip(*places, strict=True)
    return Cutoffs(series=np.array(series), rows=np.array(rows))


def scale_of(y: list[float], season_length: int) -> SeasonalScale:
    """The scale of one series whose last row is the cutoff."""
    panel = panel_of(y)
    return seasonal_scale(panel, panel.last_cutoffs, season_length)


def judged(y: FloatArray, y_hat: FloatArray, *, mae: float = 1, rmse: float = 1) -> Judged:
    """Windows with their quantiles: the 0.1 quantile two below, the 0.9 quantile two above the forecast."""
    return Judged(
        y=y,
        y_hat=y_hat,
        scale=SeasonalScale(mae=np.full(len(y), mae), rmse=np.full(len(y), rmse)),
        levels=LEVELS,
        quantiles=np.stack([y_hat - 2, y_hat, y_hat + 2], axis=-1),
    )


def test_every_metric_of_the_table_gives_the_number_worked_by_hand() -> None:
    # The errors are 2 and -1; |y| + |y_hat| is 4 and 11. The interval is -1 to 3, which ends at the value, and 4 to 8.
    windows = judged(row(3, 5), row(1, 6), mae=2, rmse=4)
    found = {name: metric.of(windows).item() for name, metric in METRICS.items()}
    # Of the levels 0.1, 0.5 and 0.9: 0.1 * 4, 0.5 * 2 and 0; then 0.1 * 1, 0.5 * 1 and 0.1 * 3.
    losses = [0.4 + 1 + 0, 0.1 + 0.5 + 0.3]
    assert found == pytest.approx(
        {
            "mae": 1.5,
            "rmse": math.sqrt(2.5),
            "smape": 200 * (2 / 4 + 1 / 11) / 2,
            "mase": 0.75,
            "rmsse": math.sqrt(2.5) / 4,
            "wape": 3,  # the sum of errors, to be divided by that of values
            "bias": -0.5,
            "relative_bias": -1,  # likewise
            "pinball": sum(losses) / 6,
            "crps": 2 * sum(losses) / 6,
            "wql": 2 * sum(losses) / 3,  # likewise
            "coverage": 1,
            "interval_width": 4,
            "interval_score": 4,
        }
    )
    assert {metric.over(windows).item() for metric in METRICS.values() if metric.over} == {8}


def test_relative_numbers_are_those_worked_by_hand() -> None:
    found = {
        name: one.of(*(np.array(r) for r in (0.4, 0.8)[: len(one.ratios)])) for name, one in RELATIVE.items()
    }
    assert found == pytest.approx({"owa": 0.6, "skill": 0.6})


@pytest.mark.parametrize("name", METRICS)
def test_a_pooled_metric_of_one_window_is_its_function(name: str) -> None:
    windows = judged(row(3, np.nan, 5), row(1, 9, 6))
    functions = {
        "wape": wape(windows.y, windows.y_hat),
        "relative_bias": relative_bias(windows.y, windows.y_hat),
        "wql": wql(windows.y, windows.quantiles, windows.levels),
    }
    over = METRICS[name].over
    assert (over is not None) == (name in functions)
    if over:
        assert METRICS[name].of(windows) / over(windows) == pytest.approx(functions[name])


@pytest.mark.parametrize("metric", [wape, relative_bias])
def test_shares_of_a_total_of_zero_are_undefined(metric: Callable[..., FloatArray]) -> None:
    assert np.isnan(metric(row(0, 0), row(1, 2))).all()
    assert np.isnan(wql(row(0), row(1)[..., None], np.array([0.5]))).all()


def test_shares_are_of_the_total_of_absolute_values() -> None:
    y, y_hat = row(-3, 5), row(-1, 6)
    assert wape(y, y_hat).item() == pytest.approx(3 / 8)
    assert relative_bias(y, y_hat).item() == pytest.approx(3 / 8)
    assert wql(y, y_hat[..., None], np.array([0.5])).item() == pytest.approx(3 / 8)


def test_an_interval_score_charges_what_lies_outside_by_the_nominal_share() -> None:
    interval = Interval(lower=row(0, 0, 0), upper=row(4, 4, 4), nominal=0.8)
    assert interval_score(row(1, -1, 6), interval).item() == pytest.approx(4 + 10 * (0 + 1 + 2) / 3)
    assert coverage(row(1, -1, 6), interval).item() == pytest.approx(1 / 3)


def test_coverage_counts_the_ends_of_the_interval_as_inside() -> None:
    assert coverage(row(0, 4), Interval(lower=row(0, 0), upper=row(4, 4), nominal=0.8)).item() == 1


def test_the_widest_pair_of_levels_is_the_interval() -> None:
    levels = np.array([0.05, 0.1, 0.5, 0.9, 0.99])
    assert central_intervals(levels) == [(1, 3)]
    assert central_intervals(np.array([0.1, 0.25, 0.75, 0.9])) == [(0, 3), (1, 2)]
    assert central_intervals(np.array([0.5])) == []


def test_of_a_single_path_or_of_its_median_the_crps_is_the_mae() -> None:
    y, y_hat = row(3, np.nan, 5), row(1, 9, 6)
    assert crps_of_paths(y, y_hat[..., None]) == pytest.approx(mae(y, y_hat))
    assert crps_of_quantiles(y, y_hat[..., None], np.array([0.5])) == pytest.approx(mae(y, y_hat))


@pytest.fixture(scope="module")
def spread() -> tuple[FloatArray, FloatArray]:
    """Values, ``(3, HORIZON)``, and sorted samples of each, ``(3, HORIZON, 9)``."""
    random = np.random.default_rng(0)
    return random.normal(0, 2, (3, HORIZON)), np.sort(random.normal(0, 1, (3, HORIZON, 9)), axis=-1)


def test_the_crps_of_paths_is_that_of_scoringrules(spread: tuple[FloatArray, FloatArray]) -> None:
    y, paths = spread
    expected = scoringrules.crps_ensemble(y, paths, estimator="nrg").mean(axis=1)
    found = crps_of_paths(y, np.random.default_rng(1).permuted(paths, axis=-1))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_crps_of_quantiles_is_that_of_scoringrules(spread: tuple[FloatArray, FloatArray]) -> None:
    y, quantiles = spread
    levels = np.arange(1, 10) / 10
    expected = scoringrules.crps_quantile(y, quantiles, levels).mean(axis=1)
    np.testing.assert_allclose(crps_of_quantiles(y, quantiles, levels), expected, rtol=1e-12)


def test_pinball_loss_and_interval_score_are_those_of_scoringrules(
    spread: tuple[FloatArray, FloatArray],
) -> None:
    y, samples = spread
    lower, upper = samples[..., 0], samples[..., -1]
    loss = scoringrules.quantile_score(y, lower, 0.1).mean(axis=1)
    np.testing.assert_allclose(pinball(y, lower, 0.1), loss, rtol=1e-12)
    winkler = scoringrules.interval_score(y, lower, upper, 0.2).mean(axis=1)
    found = interval_score(y, Interval(lower=lower, upper=upper, nominal=0.8))
    np.testing.assert_allclose(found, winkler, rtol=1e-12)


def test_quantile_scores_equal_those_of_utilsforecast(spread: tuple[FloatArray, FloatArray]) -> None:
    y, samples = spread
    frame = pd.DataFrame(
        {"unique_id": np.repeat(["a", "b", "c"], HORIZON), "y": y.ravel(), "lo": samples[..., 0].ravel()}
    ).assign(hi=samples[..., -1].ravel())
    of = {"m": "lo"}
    expected = losses.quantile_loss(frame, of, 0.1)["m"].to_numpy()
    np.testing.assert_allclose(pinball(y, samples[..., 0], 0.1), expected, rtol=1e-12)
    models = {"m": ["lo", "hi"]}
    expected = losses.scaled_crps(frame, models, np.array([0.1, 0.9]))["m"].to_numpy()
    levels = np.array([0.1, 0.9])
    np.testing.assert_allclose(wql(y, samples[..., [0, -1]], levels), expected, rtol=1e-6)
    expected = losses.coverage(frame.rename(columns={"lo": "m-lo-80", "hi": "m-hi-80"}), ["m"], 80)[
        "m"
    ].to_numpy()
    interval = Interval(lower=samples[..., 0], upper=samples[..., -1], nominal=0.8)
    np.testing.assert_allclose(coverage(y, interval), expected, rtol=1e-12)


def test_smape_counts_zero_where_actual_and_forecast_are_zero() -> None:
    assert smape(row(100, 0), row(50, 0)).item() == pytest.approx(200 * (50 / 150) / 2)


def test_smape_of_the_opposite_sign_is_200() -> None:
    assert smape(row(5, -2), row(-5, 3)).item() == 200


@pytest.mark.parametrize("metric", [mae, rmse, smape, wape, bias, relative_bias])
def test_a_step_without_actual_value_does_not_count(metric: object) -> None:
    assert callable(metric)
    assert metric(row(3, np.nan, 5), row(1, 1e9, 6)) == metric(row(3, 5), row(1, 6))


@pytest.mark.parametrize("name", METRICS)
def test_no_metric_counts_a_step_without_an_actual_value(name: str) -> None:
    of = METRICS[name].of
    assert of(judged(row(3, np.nan, 5), row(1, 1e9, 6))) == pytest.approx(of(judged(row(3, 5), row(1, 6))))


@pytest.mark.parametrize("name", METRICS)
def test_a_window_without_any_actual_value_has_no_score(name: str) -> None:
    assert np.isnan(METRICS[name].of(judged(row(np.nan, np.nan), row(1, 6)))).all()


@pytest.mark.parametrize("name", METRICS)
def test_a_missing_forecast_of_a_known_value_leaves_no_score(name: str) -> None:
    assert np.isnan(METRICS[name].of(judged(row(3, 5), row(np.nan, 6)))).all()


def test_half_an_interval_is_no_interval() -> None:
    interval = Interval(lower=row(0), upper=row(np.nan), nominal=0.8)
    for metric in (coverage, interval_width, interval_score):
        assert np.isnan(metric(row(-1), interval)).all()


def test_the_scale_is_the_mean_change_over_one_season_up_to_the_cutoff() -> None:
    scale = scale_of([1, 2, 4, 8, 5], season_length=2)  # changes 3, 6, 1
    assert scale.mae.tolist() == pytest.approx([10 / 3])
    assert scale.rmse.tolist() == pytest.approx([math.sqrt(46 / 3)])


def test_the_scale_reads_no_row_after_the_first_cutoff_of_a_series() -> None:
    panel = panel_of([1, 2, 4, 8, 1e9, -1e9])
    scale = seasonal_scale(panel, cutoffs((0, 4), (0, 3)), 2)
    assert scale.mae.tolist() == [4.5, 4.5]  # changes 3 and 6


def test_the_scale_of_a_series_does_not_reach_into_its_neighbours() -> None:
    panel = panel_of([1e9] * 4, [1, 2, 4, 8], [-1e9] * 4)
    assert seasonal_scale(panel, cutoffs((1, 7)), 2).mae.tolist() == [4.5]


def test_scales_come_in_the_order_of_the_cutoffs() -> None:
    panel = panel_of([0, 1, 2], [0, 5, 10])
    assert seasonal_scale(panel, cutoffs((1, 5), (0, 2)), 1).mae.tolist() == [5, 1]


def test_a_series_without_a_full_season_and_a_row_is_scaled_by_its_steps() -> None:
    assert scale_of([1, 2, 4, 8], season_length=4).mae.tolist() == pytest.approx([7 / 3])
    assert scale_of([1, 2, 4, 8, 9], season_length=4).mae.tolist() == [8]


def test_pairs_with_a_missing_value_do_not_count_for_the_scale() -> None:
    assert scale_of([1, np.nan, 4, 6], season_length=1).mae.tolist() == [2]


@pytest.mark.parametrize("y", [[7.0] * 10, [1.0, 5.0] * 5, [3.0], [np.nan, 1.0]])
def test_a_series_that_never_changes_or_is_too_short_has_no_scale(y: list[float]) -> None:
    scale = scale_of(y, season_length=2)
    assert np.isnan([scale.mae, scale.rmse]).all()


def test_rounding_in_a_generated_season_is_no_scale() -> None:
    y = 10 + 3 * np.sin(2 * np.pi * np.arange(500) / 24)
    changes = np.abs(y[24:] - y[:-24])
    assert changes.max() > 0  # though the formula has period 24
    assert np.isnan(scale_of(y.tolist(), season_length=24).mae).all()


def test_small_changes_on_a_high_level_are_a_scale() -> None:
    assert scale_of([1e6, 1e6 + 0.5, 1e6], season_length=1).mae.tolist() == [0.5]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(*(seasonal_series(40, season_length=SEASON, noise=1, seed=seed) for seed in range(3)))


@pytest.fixture(scope="module")
def errors_elsewhere(panel: Panel) -> dict[str, FloatArray]:
    """Scores of the panel's last steps by utilsforecast; the forecast is the series plus known errors."""
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(panel.unique_ids, panel.lengths),
            "ds": np.tile(np.arange(40), panel.n_series),
            "y": panel.y,
            "model": panel.y + np.tile(np.linspace(-1, 2, 40), panel.n_series),
        }
    )
    train, test = frame[frame["ds"] < 40 - HORIZON], frame[frame["ds"] >= 40 - HORIZON]
    found = {
        "mae": losses.mae(test, ["model"]),
        "rmse": losses.rmse(test, ["model"]),
        "smape": losses.smape(test, ["model"]),
        "mase": losses.mase(test, ["model"], SEASON, train),
        "rmsse": losses.rmsse(test, ["model"], SEASON, train),
        "wape": losses.nd(test, ["model"]),
        "bias": losses.bias(test, ["model"]),
    }
    scores = {name: table["model"].to_numpy() for name, table in found.items()}
    return scores | {"smape": 200 * scores["smape"]}  # theirs goes from 0 to 1


@pytest.mark.parametrize("name", ["mae", "rmse", "smape", "mase", "rmsse", "wape", "bias"])
def test_scores_equal_those_of_utilsforecast(
    name: str, panel: Panel, errors_elsewhere: dict[str, FloatArray]
) -> None:
    y = panel.y.reshape(3, 40)[:, -HORIZON:]
    y_hat = y + np.linspace(-1, 2, 40)[-HORIZON:]
    places = Cutoffs(series=np.arange(3), rows=panel.offsets[1:] - 1 - HORIZON)
    windows = Judged(y=y, y_hat=y_hat, scale=seasonal_scale(panel, places, SEASON))
    metric = METRICS[name]
    found = metric.of(windows) / (metric.over(windows) if metric.over else 1)
    np.testing.assert_allclose(found, errors_elsewhere[name], rtol=1e-12)


@given(y=windows, y_hat=windows)
def test_smape_lies_between_0_and_200_and_does_not_care_which_one_is_the_forecast(
    y: FloatArray, y_hat: FloatArray
) -> None:
    found = smape(y, y_hat)
    assert ((found >= 0) & (found <= 200)).all()
    assert (found == smape(y_hat, y)).all()


@given(y=windows, y_hat=windows)
def test_rmse_is_at_least_mae(y: FloatArray, y_hat: FloatArray) -> None:
    assert (rmse(y, y_hat) >= mae(y, y_hat) * (1 - 1e-12)).all()


@given(y=windows, y_hat=windows, power=st.integers(-20, 20))
def test_scaled_errors_do_not_depend_on_the_unit(y: FloatArray, y_hat: FloatArray, power: int) -> None:
    unit, scale = 2.0**power, np.array([0.5, 1, 3])
    assert (mase(unit * y, unit * y_hat, unit * scale) == mase(y, y_hat, scale)).all()
    assert (rmsse(unit * y, unit * y_hat, unit * scale) == rmsse(y, y_hat, scale)).all()


@pytest.mark.parametrize(
    ("levels", "nominal"),
    [([0.1, 0.5, 0.9], 0.8), ([0.9, 0.05, 0.5, 0.1], 0.8), ([0.1, 0.5], None), ([], None)],
)
def test_the_nominal_coverage_is_that_of_the_widest_central_interval(
    levels: list[float], nominal: float | None
) -> None:
    assert nominal_coverage(levels) == (None if nominal is None else pytest.approx(nominal))
