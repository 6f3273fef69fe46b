import numpy as np
import pytest
from synthetic import panel_of, seasonal_series

from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError
from tsforecast.features.auto import (
    resolve,
    resolve_calibration,
    resolve_lags,
    resolve_lookback,
    resolve_split,
)


def config(**changes: object) -> Config:
    return Config.model_validate(
        {"data": {"path": "x.csv", "time": "ds", "target": "y"}, "horizon": 12, **changes}
    )


def test_what_the_user_gave_stays() -> None:
    given = config(
        season_length=6,
        lookback=17,
        split={"validation": 5, "test": 7},
        scaling="window",
        model={"lags": [6, 9]},
    )
    resolved = resolve(given, panel_of(seasonal_series(144), freq="MS"))
    assert resolved.season_length == [6]
    assert resolved.lookback == 17
    assert (resolved.split.validation, resolved.split.test) == (5, 7)
    assert resolved.scaling == "window"
    assert resolved.model.lags == [6, 9]


def test_only_what_the_fit_chooses_is_left_auto() -> None:
    resolved = resolve(config(), panel_of(seasonal_series(144), freq="MS"))
    left = [
        name
        for section in (resolved, resolved.data, resolved.split, resolved.model, resolved.training)
        for name, value in section
        if value == "auto"
    ]
    assert left == ["scaling"]
    assert resolved.data.freq == "MS"
    assert resolved.data.calendar == ["month_of_year"]


def test_epochs_are_steps_that_see_as_many_windows_as_there_are() -> None:
    panel = panel_of(seasonal_series(144), freq="MS")
    steps = [
        resolve(config(training={"max_epochs": 4, "batch_size": 10, **given}), panel).training.max_steps
        for given in ({}, {"max_steps": 7})
    ]
    held_back = sum(resolve(config(), panel).split.model_dump().values())
    windows = 144 - held_back - 12 - 24  # the horizon, and two seasons before the first window
    assert steps == [round(4 * windows / 10), 7]


def test_a_cell_keeps_its_own_settings_only() -> None:
    panel = panel_of(seasonal_series(144), freq="MS")
    lstm, leaky, esn = (resolve(config(model={"cell": cell}), panel) for cell in ("lstm", "leaky_rnn", "esn"))
    assert [lstm.model.leak, lstm.model.ridge, lstm.model.washout] == [None, None, None]
    assert [lstm.model.output_activation, lstm.model.reset, lstm.model.input_scale] == ["tanh", None, None]
    assert [leaky.model.leak, leaky.model.ridge, leaky.model.washout] == ["learned", None, None]
    assert esn.model.leak == 0.3
    assert esn.model.ridge == "auto"  # chosen by the fit
    assert esn.model.washout == esn.lookback - 1
    assert (lstm.model.hidden_size, esn.model.hidden_size) == (64, 300)


def test_given_settings_of_a_reservoir_stay() -> None:
    given = {"cell": "esn", "leak": 0.7, "ridge": 0.1, "washout": 3, "hidden_size": 20}
    model = resolve(config(model=given), panel_of(seasonal_series(144), freq="MS")).model
    assert {name: getattr(model, name) for name in given} == given


def test_the_seasons_and_what_came_before_them_become_lags() -> None:
    long = np.array([5000])
    assert resolve_lags([24, 168], 48, long) == [24, 25, 48, 168, 169, 336]
    assert resolve_lags([12], 24, long) == [12, 13, 24, 25, 36, 37]
    assert resolve_lags([1], 8, long) == []


def test_lags_beyond_the_first_season_are_those_that_fill_windows() -> None:
    many = np.full(100, 60)
    assert resolve_lags([12], 24, many) == [12, 13, 24, 25, 36]
    assert resolve_lags([12], 24, many - 20) == [12, 13]
    few = np.array([10, 98, 900])  # half of the windows of the middle one
    assert resolve_lags([12], 24, few) == [12, 13, 24, 25]
    assert resolve_lags([12], 24, np.array([3])) == [12, 13]


@pytest.mark.parametrize("length", [3, 10, 30, 60, 144, 1000, 50_000])
@pytest.mark.parametrize("n_series", [1, 3, 400])
@pytest.mark.parametrize(("horizon", "season"), [(1, 1), (12, 12), (48, 24), (24, 168)])
def test_the_split_leaves_more_than_it_takes(length: int, n_series: int, horizon: int, season: int) -> None:
    validation, test = resolve_split(horizon, [season], np.full(n_series, length))
    assert validation >= 1
    assert test % horizon == 0
    if length >= 2 * season + 3 * horizon:
        assert test >= horizon
        assert validation % horizon == 0
        assert length - validation - test >= max(horizon, 2 * season)


def test_one_long_series_is_tested_on_several_windows_and_a_panel_on_one() -> None:
    assert resolve_split(24, [24], np.array([5000])) == (384, 192)
    assert resolve_split(48, [24], np.full(414, 960))[1] == 48


def test_a_panel_is_validated_at_several_moments_within_a_share_of_its_series() -> None:
    assert resolve_split(48, [24], np.full(414, 960)) == (4 * 48, 48)
    assert resolve_split(8, [4], np.full(427, 102)) == (3 * 8, 8)
    assert resolve_split(18, [12], np.full(1000, 100)) == (18, 18)


def test_short_series_give_up_the_test_part_first() -> None:
    assert resolve_split(12, [12], np.array([50])) == (12, 0)


@pytest.mark.parametrize("length", [2, 5, 20, 200])
def test_the_lookback_fits_into_half_of_the_series(length: int) -> None:
    assert 1 <= resolve_lookback(12, [12], np.array([length])) <= max(1, length // 2)


def test_no_calendar_means_no_calendar() -> None:
    data = {"path": "x.csv", "time": "ds", "target": "y", "calendar": "none"}
    assert resolve(config(data=data), panel_of(seasonal_series(144), freq="MS")).data.calendar == []


def test_a_calendar_of_integer_time_is_refused() -> None:
    data = {"path": "x.csv", "time": "ds", "target": "y", "calendar": ["day_of_week"]}
    with pytest.raises(ConfigError, match=r"data.calendar: .*counted in integers"):
        resolve(config(data=data), panel_of(seasonal_series(144)))


def test_the_season_is_found_without_the_held_back_part() -> None:
    y = seasonal_series(600, season_length=7, trend=0)
    changed = y.copy()
    changed[-56:] = 100 * seasonal_series(56, season_length=12, trend=0)
    seasons = [resolve(config(horizon=7), panel_of(values)).season_length for values in (y, changed)]
    assert seasons[0] == seasons[1] == [7]


def test_half_of_many_series_measure_the_intervals_and_a_part_of_few_long_ones() -> None:
    assert resolve_calibration(48, np.full(414, 960), validation=48, test=48) == "series"
    assert resolve_calibration(24, np.full(5, 8000), validation=288, test=144) == 288


@pytest.mark.parametrize(
    ("n_series", "length", "validation"),
    [(1, 144, 24), (99, 70, 12)],  # two windows tell nothing; 12 of 46 is more than a quarter
)
def test_series_too_short_for_a_calibration_part_have_none(
    n_series: int, length: int, validation: int
) -> None:
    lengths = np.full(n_series, length)
    assert resolve_calibration(12, lengths, validation=validation, test=12) == 0


def test_short_trainings_are_shared_by_several_networks() -> None:
    panel = panel_of(seasonal_series(144), freq="MS")
    short = resolve(config(), panel)
    assert short.training.max_steps == 300
    assert short.model.ensemble == 5
    assert resolve(config(model={"cell": "esn"}), panel).model.ensemble == 1
    for asked in ({"max_steps": 300}, {"max_epochs": 3}, {"budget": "10s"}):
        assert resolve(config(training=asked), panel).model.ensemble == 1
    assert resolve(config(model={"ensemble": 2}, training={"max_steps": 300}), panel).model.ensemble == 2
    assert resolve(config(), panel_of(seasonal_series(20_000), freq="MS")).model.ensemble == 1
