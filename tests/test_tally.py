"""Scores that are counted up part by part are those of all forecasts at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from synthetic import panel_of, seasonal_series

from tsforecast.evaluation.metrics import METRICS, Judged, SeasonalScale, seasonal_scale
from tsforecast.evaluation.scores import Scores, actuals, rolling_cutoffs, score
from tsforecast.evaluation.tally import OF_STEPS, OF_WINDOWS, Means, Tally, values_of
from tsforecast.series.naive import seasonal_naive
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

HORIZON, SEASON = 4, 3
LEVELS = np.array([0.1, 0.5, 0.9])


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Five series, one that repeats itself, one with a hole, and one that is shorter."""
    whole = [seasonal_series(40, season_length=SEASON, noise=1.0, seed=k) for k in range(5)]
    whole[1][:] = 7.0
    whole[2][30] = np.nan
    return panel_of(*whole[:4], whole[4][:36])


@pytest.fixture(scope="module")
def cutoffs(panel: Panel) -> Cutoffs:
    return rolling_cutoffs(panel, horizon=HORIZON, test=12, stride=2)


@pytest.fixture(scope="module")
def judged(panel: Panel, cutoffs: Cutoffs) -> Judged:
    random = np.random.default_rng(1)
    naive = seasonal_naive(panel, cutoffs, HORIZON, SEASON)
    y_hat = naive + random.normal(0, 1, naive.shape)
    y_hat[3, 1] = np.nan  # a model is not forgiven what it did not forecast
    quantiles = y_hat[..., None] + np.array([-1.0, 0.0, 1.0])
    both = np.stack([quantiles, np.full(quantiles.shape, np.nan)])
    scale = seasonal_scale(panel, cutoffs, SEASON)
    return Judged(actuals(panel, cutoffs, HORIZON), np.stack([y_hat, naive]), scale, LEVELS, both)


@pytest.fixture(scope="module")
def expected(panel: Panel, cutoffs: Cutoffs, judged: Judged) -> Scores:
    return score(
        panel,
        cutoffs,
        {"model": judged.y_hat[0], "seasonal_naive": judged.y_hat[1]},
        season_length=SEASON,
        quantiles={"model": judged.quantiles[0]},
        levels=LEVELS,
    )


def part(judged: Judged, windows: np.ndarray) -> Judged:
    return Judged(
        judged.y[windows],
        judged.y_hat[:, windows],
        SeasonalScale(judged.scale.mae[windows], judged.scale.rmse[windows]),
        judged.levels,
        judged.quantiles[:, windows],
    )


def counted(judged: Judged, series: np.ndarray, *, shard: int, files: int) -> Means:
    """The scores of all windows, some series at a time and in several files."""
    tally = Tally()
    for low in range(0, 5, shard):
        tally.begin(shard)
        of_shard = np.flatnonzero((series >= low) & (series < low + shard))
        for windows in np.array_split(of_shard, files):
            group = np.zeros(len(windows), np.int64)
            tally.add(values_of(part(judged, windows), OF_WINDOWS), [None], group, series[windows] - low)
        tally.end()
    return tally.means()[None]


@pytest.mark.parametrize(("shard", "files"), [(5, 1), (2, 3), (1, 7)])
def test_the_scores_are_those_of_the_backtest(
    judged: Judged, cutoffs: Cutoffs, expected: Scores, shard: int, files: int
) -> None:
    means = counted(judged, cutoffs.series, shard=shard, files=files)
    assert list(means.of) == list(METRICS)
    for name, values in means.of.items():
        np.testing.assert_allclose(values, expected.by_model[name], rtol=1e-12, err_msg=name)
    # A NaN of the model stays out of the skill on both sides; the backtest's does the same.
    np.testing.assert_allclose(means.skill, expected.by_model.loc["model", "skill"], rtol=1e-12)
    assert means.n == len(cutoffs)


def test_the_scores_of_single_series_are_those_of_the_backtest(
    judged: Judged, cutoffs: Cutoffs, expected: Scores
) -> None:
    tally = Tally()
    tally.begin(5)
    tally.add(values_of(judged, OF_WINDOWS), ["all"], np.zeros(len(cutoffs), np.int64), cutoffs.series)
    scores = tally.end()["all"]
    for name in METRICS:
        np.testing.assert_allclose(scores[name].T.ravel(), expected.by_series[name], rtol=1e-12, err_msg=name)


def test_the_scores_by_lead_time_are_those_of_the_backtest(
    judged: Judged, cutoffs: Cutoffs, expected: Scores
) -> None:
    def steps(values: FloatArray) -> FloatArray:
        return values.reshape(*values.shape[: values.ndim - judged.y.ndim], -1, 1)

    scale = SeasonalScale(np.repeat(judged.scale.mae, HORIZON), np.repeat(judged.scale.rmse, HORIZON))
    quantiles = judged.quantiles.reshape(2, -1, 1, len(LEVELS))
    single = Judged(steps(judged.y), steps(judged.y_hat), scale, LEVELS, quantiles)
    tally = Tally()
    tally.begin(5)
    lead_time = np.tile(np.arange(HORIZON), len(cutoffs))
    tally.add(values_of(single, OF_STEPS), [1, 2, 3, 4], lead_time, np.repeat(cutoffs.series, HORIZON))
    tally.end()
    by_lead_time = expected.by_lead_time[expected.by_lead_time["model"] == "model"].set_index("lead_time")
    for lead, means in tally.means().items():
        for name in OF_STEPS:
            np.testing.assert_allclose(
                means.of[name][0], by_lead_time.loc[lead, name], rtol=1e-12, err_msg=name
            )


def test_metrics_without_what_they_need_are_left_out(judged: Judged) -> None:
    bare = Judged(judged.y, judged.y_hat, judged.scale)
    assert set(OF_WINDOWS) - set(values_of(bare, OF_WINDOWS)) == {
        "pinball", "crps", "wql", "coverage", "interval_width", "interval_score",
    }  # fmt: skip


def test_without_a_score_of_the_reference_there_is_no_skill(judged: Judged) -> None:
    tally = Tally()
    tally.begin(1)
    no_scale = np.full(len(judged.y), np.nan)
    unscaled = Judged(judged.y, judged.y_hat, SeasonalScale(no_scale, no_scale))
    zeros = np.zeros(len(judged.y), np.int64)
    tally.add(values_of(unscaled, OF_WINDOWS), [None], zeros, zeros)
    tally.end()
    means = tally.means()[None]
    assert math.isnan(means.skill)
    assert np.isnan(means.of["mase"]).all()
    assert np.isfinite(means.of["mae"]).any()
