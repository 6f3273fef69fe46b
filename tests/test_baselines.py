"""Baselines on series with an obvious continuation, and against statsforecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsforecast.models import (  # type: ignore[import-untyped]
    Naive,
    RandomWalkWithDrift,
    SeasonalNaive,
    WindowAverage,
)
from statsmodels.tsa.seasonal import seasonal_decompose  # type: ignore[import-untyped]
from statsmodels.tsa.stattools import acf  # type: ignore[import-untyped]
from synthetic import panel_of, seasonal_series

from tsforecast.evaluation.baselines import (
    BASELINES,
    drift,
    naive,
    naive2,
    seasonal_naive,
    window_average,
)
from tsforecast.series.panel import Cutoffs

SEASON = 5
ELSEWHERE: dict[str, Any] = {
    "naive": Naive(),
    "seasonal_naive": SeasonalNaive(season_length=SEASON),
    "drift": RandomWalkWithDrift(),
    "window_average": WindowAverage(window_size=SEASON),
}


def at(series: int, row: int) -> Cutoffs:
    return Cutoffs(series=np.array([series]), rows=np.array([row]))


def test_naive_repeats_the_value_at_the_cutoff() -> None:
    assert naive(panel_of([1, 2, 3, 4]), at(0, 2), 3, 1).tolist() == [[3, 3, 3]]


def test_seasonal_naive_repeats_the_season_before_the_cutoff() -> None:
    panel = panel_of([9, 9, 1, 2, 3, 9])
    assert seasonal_naive(panel, at(0, 4), 7, 3).tolist() == [[1, 2, 3, 1, 2, 3, 1]]


def test_seasonal_naive_needs_one_season_and_repeats_the_last_value_where_there_is_less() -> None:
    panel = panel_of([8, 8, 8], [1, 2, 3])
    assert seasonal_naive(panel, at(1, 5), 4, 3).tolist() == [[1, 2, 3, 1]]
    assert seasonal_naive(panel, at(1, 4), 4, 3).tolist() == [[2, 2, 2, 2]]


def test_drift_continues_a_straight_line() -> None:
    panel = panel_of([9, 9, 9], [2, 4, 6, 8, 0])
    assert drift(panel, at(1, 6), 3, 1).tolist() == [[10, 12, 14]]


def test_drift_of_a_single_value_is_flat() -> None:
    assert drift(panel_of([5, 7]), at(0, 0), 2, 1).tolist() == [[5, 5]]


def test_each_cutoff_is_forecast_on_its_own() -> None:
    panel = panel_of([1, 2], [3, 4, 5])
    cutoffs = Cutoffs(series=np.array([1, 0, 1]), rows=np.array([4, 1, 2]))
    assert naive(panel, cutoffs, 1, 1).tolist() == [[5], [2], [3]]


@pytest.mark.parametrize("name", BASELINES)
def test_values_after_the_cutoff_and_other_series_change_nothing(name: str) -> None:
    series = [seasonal_series(30, season_length=SEASON, seed=seed) for seed in range(3)]
    cutoffs = at(1, 30 + 19)
    before = BASELINES[name](panel_of(*series), cutoffs, 8, SEASON)
    changed = [
        np.full(30, np.nan),
        np.concatenate([series[1][:20], np.full(10, np.nan)]),
        np.full(30, np.nan),
    ]
    after = BASELINES[name](panel_of(*changed), cutoffs, 8, SEASON)
    assert np.isfinite(before).all()
    assert before.tolist() == after.tolist()


@pytest.mark.parametrize("name", ELSEWHERE)
def test_forecasts_equal_those_of_statsforecast(name: str) -> None:
    series = [seasonal_series(length, season_length=SEASON, seed=length) for length in (12, 31)]
    panel = panel_of(*series)
    expected = np.stack([ELSEWHERE[name].forecast(y=y, h=8)["mean"] for y in series])
    np.testing.assert_allclose(BASELINES[name](panel, panel.last_cutoffs, 8, SEASON), expected, rtol=1e-6)


NAN = np.nan


def test_a_masked_newest_value_is_not_what_naive_and_drift_repeat() -> None:
    panel = panel_of([1, 2, 3, NAN, NAN])
    assert naive(panel, at(0, 4), 2, 1).tolist() == [[3, 3]]
    assert drift(panel, at(0, 4), 2, 1).tolist() == [[6, 7]]


def test_a_masked_value_of_the_last_season_is_looked_up_a_season_earlier() -> None:
    panel = panel_of([1, NAN, 3, 4, NAN, 6])
    assert seasonal_naive(panel, at(0, 5), 4, 3).tolist() == [
        [4, 6, 6, 4]
    ]  # the second has no earlier season


def test_what_is_masked_is_not_looked_up_in_the_series_before() -> None:
    panel = panel_of([9, 9, 9], [5, NAN, NAN])
    for baseline in BASELINES.values():
        assert baseline(panel, at(1, 5), 3, 2).tolist() == [[5, 5, 5]]


def test_window_average_is_the_mean_of_the_last_season() -> None:
    assert window_average(panel_of([9, 9, 1, 2, 6, 9]), at(0, 4), 2, 3).tolist() == [[3, 3]]


def test_window_average_without_a_season_averages_as_many_values_as_it_forecasts() -> None:
    assert window_average(panel_of([9, 9, 2, 4, 6]), at(0, 4), 3, 1).tolist() == [[4, 4, 4]]


def test_window_average_takes_the_values_there_are() -> None:
    assert window_average(panel_of([8, 8], [1, 2, 3]), at(1, 3), 1, 3).tolist() == [[1.5]]
    assert window_average(panel_of([1, NAN, 3, 9]), at(0, 2), 1, 3).tolist() == [[2]]


def test_naive2_continues_level_times_season_exactly() -> None:
    # Every season averages to the level, so the moving average is flat and the indices are the pattern itself.
    pattern = np.array([0.5, 1.5, 1.25, 0.75])
    y = 8 * np.tile(pattern, 4)
    assert naive2(panel_of(y[:14]), at(0, 13), 5, 4)[0] == pytest.approx(8 * pattern[[2, 3, 0, 1, 2]])


def test_naive2_of_an_odd_season_worked_by_hand() -> None:
    y = [12, 3, 3, 12, 3, 6, 12, 3, 3, 15, 3, 3]
    # Means of three, from the second value on: 6 6 6 7 7 7 6 7 7 7. The values divided by them, by step of the season:
    index = np.array(
        [
            (12 / 6 + 12 / 7 + 15 / 7) / 3,
            (3 / 6 + 3 / 7 + 3 / 6 + 3 / 7) / 4,
            (3 / 6 + 6 / 7 + 3 / 7) / 3,
        ]
    )
    assert naive2(panel_of(y), at(0, 11), 3, 3)[0] == pytest.approx(3 / index[2] * index)


@pytest.mark.parametrize("season_length", [4, 5, 12])
def test_naive2_has_the_seasonal_indices_of_statsmodels(season_length: int) -> None:
    y = np.exp(0.1 * seasonal_series(70, season_length=season_length, noise=1))
    parts = seasonal_decompose(y, model="multiplicative", period=season_length)
    seasonal = parts.seasonal
    ahead = seasonal[(70 + np.arange(9)) % season_length]
    found = naive2(panel_of(y), at(0, 69), 9, season_length)
    assert found[0] == pytest.approx(y[-1] / seasonal[-1] * ahead)


@pytest.mark.parametrize("seed", range(12))
def test_naive2_adjusts_series_whose_autocorrelation_is_outside_its_limits(seed: int) -> None:
    y = 10 + np.random.default_rng(seed).normal(0, 1, 60) + 0.6 * np.tile([-1, 0, 1, 0], 15)
    correlation = acf(y, nlags=4)[1:]
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlation[:3] ** 2)) / 60)
    found = naive2(panel_of(y), at(0, 59), 4, 4)
    assert (np.ptp(found) > 0) == (abs(correlation[3]) > limit)


def test_naive2_of_less_than_three_seasons_or_of_values_around_zero_is_naive() -> None:
    y = np.tile([13.0, 1, 1, 1], 3)
    assert np.ptp(naive2(panel_of(y), at(0, 11), 4, 4)) > 0
    assert naive2(panel_of(y[:11]), at(0, 10), 4, 4).tolist() == [[1] * 4]
    assert naive2(panel_of(y - 4), at(0, 11), 4, 4).tolist() == [[-3] * 4]


def test_naive2_takes_masked_values_as_unknown() -> None:
    pattern = np.array([0.5, 1.5, 1.25, 0.75])
    y = 8 * np.tile(pattern, 6)
    y[[9, 22, 23]] = NAN
    assert naive2(panel_of(y), at(0, 23), 4, 4)[0] == pytest.approx(8 * pattern, rel=1e-9)
