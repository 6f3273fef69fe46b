"""Metrics against numbers worked by hand and against utilsforecast."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic import panel_of, seasonal_series
from utilsforecast import losses

from tsforecast.evaluation.metrics import (
    METRICS,
    SeasonalScale,
    mae,
    mase,
    rmse,
    rmsse,
    seasonal_scale,
    smape,
)
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

HORIZON = 6
SEASON = 4

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


def test_every_metric_of_the_table_gives_the_number_worked_by_hand() -> None:
    # The errors are 2 and 1; |y| + |y_hat| is 4 and 11.
    y, y_hat = row(3, 5), row(1, 6)
    scale = SeasonalScale(mae=np.array([2.0]), rmse=np.array([4.0]))
    found = {name: metric.of(y, y_hat, scale).item() for name, metric in METRICS.items()}
    assert found == pytest.approx(
        {
            "mae": 1.5,
            "rmse": math.sqrt(2.5),
            "smape": 200 * (2 / 4 + 1 / 11) / 2,
            "mase": 0.75,
            "rmsse": math.sqrt(2.5) / 4,
        }
    )


def test_smape_counts_zero_where_actual_and_forecast_are_zero() -> None:
    assert smape(row(100, 0), row(50, 0)).item() == pytest.approx(200 * (50 / 150) / 2)


def test_smape_of_the_opposite_sign_is_200() -> None:
    assert smape(row(5, -2), row(-5, 3)).item() == 200


@pytest.mark.parametrize("metric", [mae, rmse, smape])
def test_a_step_without_actual_value_does_not_count(metric: object) -> None:
    assert callable(metric)
    assert metric(row(3, np.nan, 5), row(1, 1e9, 6)) == metric(row(3, 5), row(1, 6))


@pytest.mark.parametrize("name", METRICS)
def test_a_window_without_any_actual_value_has_no_score(name: str) -> None:
    scale = SeasonalScale(mae=np.ones(1), rmse=np.ones(1))
    assert np.isnan(METRICS[name].of(row(np.nan, np.nan), row(1, 6), scale)).all()


@pytest.mark.parametrize("name", METRICS)
def test_a_missing_forecast_of_a_known_value_leaves_no_score(name: str) -> None:
    scale = SeasonalScale(mae=np.ones(1), rmse=np.ones(1))
    assert np.isnan(METRICS[name].of(row(3, 5), row(np.nan, 6), scale)).all()


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
    }
    scores = {name: table["model"].to_numpy() for name, table in found.items()}
    return scores | {"smape": 200 * scores["smape"]}  # theirs goes from 0 to 1


@pytest.mark.parametrize("name", METRICS)
def test_scores_equal_those_of_utilsforecast(
    name: str, panel: Panel, errors_elsewhere: dict[str, FloatArray]
) -> None:
    y = panel.y.reshape(3, 40)[:, -HORIZON:]
    y_hat = y + np.linspace(-1, 2, 40)[-HORIZON:]
    places = Cutoffs(series=np.arange(3), rows=panel.offsets[1:] - 1 - HORIZON)
    found = METRICS[name].of(y, y_hat, seasonal_scale(panel, places, SEASON))
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
