"""Significance: published numbers, statsmodels, simulated equal models, and what is said when nothing can be told."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from synthetic import panel_of, seasonal_series

from tsforecast.evaluation.scores import rolling_cutoffs
from tsforecast.evaluation.significance import (
    Difference,
    bootstrap_over_cutoffs,
    diebold_mariano,
    judge,
    significance_text,
)
from tsforecast.series.panel import FloatArray, Panel

# Forecasts of zeros, from the tests of the package dieboldmariano (E. Annunziata, PyPI), which follows R's dm.test.
FIRST = np.array([0.36752, 0.54506, 0.22045, 0.86887, 0.60725, 0.85823, 0.41662, 0.38121, 0.71851, 0.30827])
FIRST = np.append(FIRST, [0.42971, 0.86160, 0.72405, 0.34508, 0.19675])
SECOND = np.array([0.12794, 0.36796, 0.76872, 0.09972, 0.27198, 0.28798, 0.91602, 0.61126, 0.54529, 0.06786])
SECOND = np.append(SECOND, [0.60727, 0.62416, 0.39998, 0.19896, 0.80949])


def equal_models(n: int, overlap: int, seed: int) -> FloatArray:
    """Differences without a mean, of forecasts of which each overlaps with so many others."""
    noise = np.random.default_rng(seed).normal(0, 1, n + overlap)
    return np.convolve(noise, np.ones(overlap + 1), mode="valid")


def test_statistic_and_p_value_are_those_published_for_squared_errors() -> None:
    difference = np.square([0, 1, 2, 3, 4, 5.0]) - np.square([0, 2, 3, 3, 5, 6.0])
    found = diebold_mariano(difference, overlap=0)
    assert found.statistic == pytest.approx(-2.4905, abs=5e-5)
    assert found.p_value == pytest.approx(0.05513, abs=5e-6)


def test_statistic_and_p_value_are_those_published_for_three_steps_ahead() -> None:
    found = diebold_mariano(FIRST - SECOND, overlap=2)
    assert found.statistic == pytest.approx(1.2109, abs=1e-3)
    assert found.p_value == pytest.approx(2 * (1 - 0.877), abs=1e-3)


@pytest.mark.parametrize("overlap", [0, 1, 3])
def test_the_variance_is_that_of_statsmodels_regression_on_a_constant(overlap: int) -> None:
    difference = equal_models(40, overlap, seed=1) + 0.3
    hac = {"maxlags": overlap, "kernel": "uniform", "use_correction": False}
    fit = sm.OLS(difference, np.ones(40)).fit(cov_type="HAC", cov_kwds=hac)
    lags = overlap + 1
    correction = math.sqrt((41 - 2 * lags + lags * (lags - 1) / 40) / 40)
    found = diebold_mariano(difference, overlap=overlap)
    assert found.statistic == pytest.approx(fit.tvalues[0] * correction, rel=1e-9)


def test_a_variance_below_zero_is_taken_with_bartlett_weights_and_said() -> None:
    difference = np.array([1.0, -1] * 6) + 0.1
    hac = {"maxlags": 1, "kernel": "bartlett", "use_correction": False}
    fit = sm.OLS(difference, np.ones(12)).fit(cov_type="HAC", cov_kwds=hac)
    found = diebold_mariano(difference, overlap=1)
    assert found.method == "Diebold-Mariano with Bartlett weights"
    assert found.statistic == pytest.approx(fit.tvalues[0] * math.sqrt((13 - 4 + 2 / 12) / 12), rel=1e-9)


def test_without_overlap_the_test_is_students_and_the_interval_agrees_with_it() -> None:
    difference = np.array([-1.0, -2, -3, -4, 0, -2, -3, -1])
    found = diebold_mariano(difference, overlap=0)
    error = difference.std(ddof=1) / math.sqrt(8)
    assert found.statistic == pytest.approx(-2 / error)
    assert (found.low, found.high) == pytest.approx((-2 - 2.3646 * error, -2 + 2.3646 * error), rel=1e-4)


@pytest.mark.parametrize("overlap", [0, 2])
def test_equal_models_come_out_as_different_in_about_one_of_twenty_tests(overlap: int) -> None:
    n = 8 * (overlap + 1)
    differences = [equal_models(n, overlap, seed) for seed in range(1000)]
    p_values = np.array([diebold_mariano(one, overlap=overlap).p_value for one in differences])
    assert 0.03 < (p_values < 0.05).mean() < 0.10


@pytest.mark.parametrize("overlap", [0, 2])
def test_the_bootstrap_finds_equal_models_different_in_about_one_of_twenty(overlap: int) -> None:
    n = 8 * (overlap + 1)
    differences = [equal_models(n, overlap, seed) for seed in range(300)]
    p_values = np.array([bootstrap_over_cutoffs(one, overlap=overlap, seed=1).p_value for one in differences])
    assert 0.01 < (p_values < 0.05).mean() < 0.09


def test_the_interval_of_the_bootstrap_agrees_with_its_p_value() -> None:
    for seed in range(40):
        found = bootstrap_over_cutoffs(equal_models(20, 0, seed) + 0.4, overlap=0, seed=seed)
        assert (found.low <= 0 <= found.high) == (found.p_value >= 0.05)
        assert found.low < found.mean < found.high


def test_the_bootstrap_comes_near_students_interval_with_many_cutoffs() -> None:
    difference = equal_models(400, 0, seed=3)
    drawn, tested = (
        bootstrap_over_cutoffs(difference, overlap=0, seed=1),
        diebold_mariano(difference, overlap=0),
    )
    assert (drawn.low, drawn.high) == pytest.approx((tested.low, tested.high), abs=0.015)
    assert drawn.p_value == pytest.approx(tested.p_value, abs=0.05)


@pytest.mark.parametrize("test", [diebold_mariano, partial(bootstrap_over_cutoffs, seed=1)])
def test_overlapping_forecasts_widen_the_interval(test: Callable[..., Difference]) -> None:
    def width(overlap: int) -> float:
        found = [test(equal_models(48, 3, seed), overlap=overlap) for seed in range(30)]
        return float(np.mean([one.high - one.low for one in found]))

    assert width(3) > 1.3 * width(0)


def forecasts(
    panel: Panel, horizon: int, n: int, *, error: float, seed: int
) -> tuple[FloatArray, FloatArray]:
    """The truth plus errors of a model, and plus larger ones."""
    cutoffs = rolling_cutoffs(panel, horizon=horizon, test=n * horizon)
    y = panel.y[cutoffs.rows[:, None] + np.arange(1, horizon + 1)]
    own, other = np.random.default_rng(seed).normal(0, 1, (2, *y.shape))
    return y + own, y + error * other


@pytest.mark.parametrize(("n_series", "method"), [(1, "Diebold-Mariano"), (5, "bootstrap")])
def test_a_better_model_is_said_to_be_better_and_how_sure_that_is(n_series: int, method: str) -> None:
    panel = panel_of(*(seasonal_series(100, noise=1, seed=seed) for seed in range(n_series)))
    cutoffs = rolling_cutoffs(panel, horizon=4, test=48)
    own, other = forecasts(panel, 4, 12, error=3, seed=0)
    found = judge(panel, cutoffs, own, other, season_length=12)
    assert (found.n_cutoffs, found.n_series, found.method) == (12, n_series, method)
    assert found.high < 0
    series = "" if n_series == 1 else " of 5 series"
    text = significance_text(found, "naive")
    assert text.startswith(
        "better than naive, p < 0.001 (" if found.p_value < 0.001 else "better than naive, p = 0.0"
    )
    assert text.endswith(f"({method} over 12 cutoffs{series})")
    back = judge(panel, cutoffs, other, own, season_length=12)
    assert significance_text(back, "naive").startswith("worse than naive, p ")
    assert back.mean == pytest.approx(-found.mean)


def test_equal_models_could_be_chance() -> None:
    panel = panel_of(seasonal_series(100, noise=1))
    own, other = forecasts(panel, 4, 12, error=1, seed=3)
    found = judge(panel, rolling_cutoffs(panel, horizon=4, test=48), own, other, season_length=12)
    assert "than naive, but that could be chance, p = 0." in significance_text(found, "naive")


@pytest.mark.parametrize("n_series", [1, 5])
def test_few_cutoffs_are_said_to_be_too_few(n_series: int) -> None:
    panel = panel_of(*(seasonal_series(100, noise=1, seed=seed) for seed in range(n_series)))
    own, other = forecasts(panel, 4, 7, error=3, seed=0)
    found = judge(panel, rolling_cutoffs(panel, horizon=4, test=28), own, other, season_length=12)
    assert math.isnan(found.p_value)
    assert found.mean < 0
    assert significance_text(found, "naive") == (
        "better or worse than naive cannot be told: 7 cutoffs are too few (at least 8)"
    )


def test_cutoffs_closer_than_a_horizon_must_be_more() -> None:
    panel = panel_of(seasonal_series(100, noise=1))
    cutoffs = rolling_cutoffs(panel, horizon=4, test=19, stride=1)
    own = np.zeros((len(cutoffs), 4))
    found = judge(panel, cutoffs, own, own + np.arange(16)[:, None], season_length=12)
    assert found.why_not == "16 cutoffs are too few (at least 32)"


def test_the_same_forecasts_are_not_tested() -> None:
    panel = panel_of(seasonal_series(100, noise=1))
    own, _ = forecasts(panel, 4, 12, error=1, seed=0)
    found = judge(panel, rolling_cutoffs(panel, horizon=4, test=48), own, own, season_length=12)
    assert found.why_not == "their errors are the same"
    assert bootstrap_over_cutoffs(np.full(20, 0.1), overlap=0, seed=1).why_not == (
        "their errors differ by the same at every cutoff"
    )


def test_series_that_repeat_themselves_exactly_are_compared_by_their_mae() -> None:
    panel = panel_of(np.tile([1.0, 5], 40))
    cutoffs = rolling_cutoffs(panel, horizon=2, test=20)
    y = panel.y[cutoffs.rows[:, None] + [1, 2]]
    wrong = np.arange(1.0, 11)[:, None]
    found = judge(panel, cutoffs, y + wrong, y, season_length=2)
    assert found.mean == 5.5


def test_windows_that_only_one_model_forecasts_do_not_count() -> None:
    panel = panel_of(seasonal_series(100, noise=1))
    cutoffs = rolling_cutoffs(panel, horizon=4, test=48)
    own, other = forecasts(panel, 4, 12, error=3, seed=0)
    own[3] = np.nan
    assert judge(panel, cutoffs, own, other, season_length=12).n_cutoffs == 11
    nothing = judge(panel, cutoffs, np.full_like(own, np.nan), other, season_length=12)
    assert nothing.why_not == "no forecast of both can be scored"


def test_the_same_seed_gives_the_same_numbers() -> None:
    difference = equal_models(30, 1, seed=5)
    first, second = (bootstrap_over_cutoffs(difference, overlap=1, seed=7) for _ in range(2))
    assert first == second
    assert isinstance(first, Difference)
