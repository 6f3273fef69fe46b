from __future__ import annotations

import numpy as np
import pytest
from synthetic import panel_of, seasonal_series

from tsforecast.series.seasons import default_season_lengths, season_lengths_of


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
