"""Baselines on series with an obvious continuation, and against statsforecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsforecast.models import (  # type: ignore[import-untyped]
    Naive,
    RandomWalkWithDrift,
    SeasonalNaive,
)
from synthetic import panel_of, seasonal_series

from tsforecast.evaluation.baselines import BASELINES, drift, naive, seasonal_naive
from tsforecast.series.panel import Cutoffs

SEASON = 5
ELSEWHERE: dict[str, Any] = {
    "naive": Naive(),
    "seasonal_naive": SeasonalNaive(season_length=SEASON),
    "drift": RandomWalkWithDrift(),
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


@pytest.mark.parametrize("name", BASELINES)
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
