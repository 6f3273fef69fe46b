from __future__ import annotations

import numpy as np
import pytest
from synthetic import panel_of, seasonal_series

from tsforecast.series.seasons import default_season_lengths, season_lengths_of, season_strength


@pytest.mark.parametrize(
    ("freq", "seasons"),
    [
        ("s", [3600, 86400]),
        ("min", [1440, 10080]),
        ("15min", [96, 672]),
        ("30min", [48, 336]),
        ("h", [24, 168]),
        ("2h", [12, 84]),
        ("7h", [24]),  # 7 hours divide a week and no day
        ("D", [7]),
        ("7D", [52]),
        ("2D", [1]),
        ("B", [5]),
        ("W-SUN", [52]),
        ("2W-MON", [26]),
        ("SMS-15", [24]),
        ("MS", [12]),
        ("BME", [12]),
        ("2MS", [6]),
        ("QS-JAN", [4]),
        ("QE-DEC", [4]),
        ("YS-JAN", [1]),
        ("integer", [1]),
    ],
)
def test_a_frequency_has_its_usual_seasons(freq: str, seasons: list[int]) -> None:
    assert default_season_lengths(freq) == seasons


def test_a_season_counts_where_the_data_has_seen_it_twice() -> None:
    assert season_lengths_of(panel_of(np.zeros(2 * 168), freq="h")) == [24, 168]
    assert season_lengths_of(panel_of(np.zeros(2 * 168 - 1), freq="h")) == [24]
    assert season_lengths_of(panel_of(np.zeros(47), freq="h")) == [1]


@pytest.mark.parametrize("season_length", [4, 7, 12, 24, 52])
def test_a_season_of_integer_time_is_found_in_the_values(season_length: int) -> None:
    y = seasonal_series(6 * season_length, season_length=season_length)
    assert season_lengths_of(panel_of(y)) == [season_length]


def test_a_week_above_the_day_is_found_in_the_values() -> None:
    t = np.arange(10 * 168)
    y = np.sin(2 * np.pi * t / 24) * (1 + 0.8 * (t // 24 % 7 < 5))
    assert season_lengths_of(panel_of(y)) == [24, 168]


@pytest.mark.parametrize(
    "y",
    [
        np.random.default_rng(1).normal(size=500),
        np.random.default_rng(1).normal(size=500).cumsum(),
        np.full(500, 3.0),
        0.1 * np.arange(500),
        np.zeros(3),
    ],
    ids=["noise", "random walk", "constant", "line", "short"],
)
def test_integer_time_without_a_clear_season_has_none(y: np.ndarray) -> None:
    assert season_lengths_of(panel_of(y)) == [1]


def test_a_panel_without_series_has_no_season() -> None:
    assert season_lengths_of(panel_of([1.0, 2.0]).select([])) == [1]


def test_masked_values_do_not_hide_a_season_of_integer_time() -> None:
    y = seasonal_series(240, season_length=12)
    y[[5, 30, 31, 100]] = np.nan
    assert season_lengths_of(panel_of(y))[0] == 12


def test_a_season_is_shown_by_values_alike_one_season_apart() -> None:
    strength = season_strength(panel_of(seasonal_series(120, season_length=12)), 12)
    assert strength is not None
    assert strength[1]
    assert strength[0] > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_neither_noise_nor_a_walk_nor_a_slow_curve_shows_a_season(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=400)
    for y in (noise, noise.cumsum(), seasonal_series(400, season_length=168, noise=0.01, seed=seed)):
        strength = season_strength(panel_of(y), 24)
        assert strength is not None
        assert not strength[1]


def test_a_week_is_shown_by_more_than_its_days() -> None:
    y = seasonal_series(168 * 6, season_length=24)
    assert season_strength(panel_of(y), 168, shorter=24)[1] is False
    y += np.repeat([3, 3, 3, 3, 3, 0, 0] * 6, 24)
    assert season_strength(panel_of(y), 168, shorter=24)[1] is True


def test_a_series_shorter_than_three_seasons_shows_nothing() -> None:
    assert season_strength(panel_of(seasonal_series(35)), 12) is None
