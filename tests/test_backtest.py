"""Rolling origins: no later row is ever read, the numbers are those of others, and the folder says what was found."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import utilsforecast.losses as losses
from synthetic import config, panel_of, seasonal_frame
from test_cli import tsforecast
from test_covariates import config as covariate_config
from test_covariates import frame as covariate_frame

from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.evaluation.backtest import (
    Behaviour,
    all_cutoffs,
    behaviour,
    choose_windows,
    ends_together,
    forecasts_at,
    rolling_origins,
)
from tsforecast.evaluation.baselines import BASELINES, seasonal_naive
from tsforecast.evaluation.rivals import RIVALS
from tsforecast.features.auto import auto_keys, resolve, with_auto
from tsforecast.forecasting.forecast import forecast
from tsforecast.series.panel import Panel
from tsforecast.training.fit import Watcher
from tsforecast.workflows import judgement
from tsforecast.workflows.backtest import Backtest, Rolling, backtest, backtest_run, parse_rivals
from tsforecast.workflows.predict import load_run, predict
from tsforecast.workflows.train import read_data, train

FRAME = seasonal_frame(n_series=3, length=96)
HORIZON = 6
FOUR = Rolling(n_windows=4)


def starting_late() -> pd.DataFrame:
    """Three series, the last of which begins within the windows."""
    late = (FRAME["unique_id"] == "s2") & (FRAME["ds"] < FRAME["ds"].unique()[80])
    return FRAME[~late].reset_index(drop=True)


@pytest.fixture(scope="module")
def found() -> Backtest:
    return backtest(config(), FOUR, source=FRAME)


# Where origins lie


def test_origins_of_a_calendar_are_one_moment_for_all_series() -> None:
    # s1 ends two steps earlier: the newest moment that half of the series reach is step 19.
    panel = panel_of(np.arange(20.0), np.arange(18.0), np.arange(20.0))
    origins = rolling_origins(panel, horizon=4, n_windows=3, stride=2, align="calendar")
    assert [origin.known.tolist() for origin in origins] == [[12] * 3, [14] * 3, [16] * 3]
    assert origins[0].cutoffs.rows.tolist() == [11, 20 + 11, 38 + 11]


def test_origins_of_their_own_count_from_the_end_of_each_series() -> None:
    panel = panel_of(np.arange(20.0), np.arange(18.0))
    origins = rolling_origins(panel, horizon=4, n_windows=2, stride=3, align="own")
    assert [origin.known.tolist() for origin in origins] == [[13, 11], [16, 14]]


def test_a_series_without_a_row_before_or_after_an_origin_has_no_cutoff_there() -> None:
    panel = panel_of(np.arange(20.0), np.arange(9.0), np.arange(20.0))
    origins = rolling_origins(panel, horizon=4, n_windows=2, stride=8, align="calendar")
    assert [origin.cutoffs.series.tolist() for origin in origins] == [[0, 1, 2], [0, 2]]


def test_what_is_known_at_an_origin_ends_there() -> None:
    panel = panel_of(np.arange(20.0), np.arange(100.0, 118.0))
    for origin in rolling_origins(panel, horizon=4, n_windows=3, stride=2, align="calendar"):
        known = origin.known_part(panel)
        for s in range(2):
            np.testing.assert_array_equal(known.values(s), panel.values(s)[: origin.known[s]])


@pytest.mark.parametrize(
    ("length", "horizon", "stride", "windows"),
    [(144, 12, 12, 4), (30, 12, 12, 1), (10, 12, 12, 1), (960, 48, 48, 8), (9000, 7, 7, 24), (90, 6, 3, 9)],
)
def test_windows_fit_into_the_last_third_or_enough_into_the_half(
    length: int, horizon: int, stride: int, windows: int
) -> None:
    panel = panel_of(np.arange(float(length)))
    assert choose_windows(panel, horizon=horizon, stride=stride, most=24) == windows
    held_back = horizon + (windows - 1) * stride
    assert windows == 1 or held_back <= length / 3 or (windows == 8 and held_back <= length / 2)


def test_series_of_a_competition_do_not_end_together() -> None:
    together = panel_of(*[np.arange(30.0)] * 5, freq="D")
    apart = panel_of(*[np.arange(30.0 + 10 * k) for k in range(5)], freq="D")
    assert ends_together(together, within=5)
    assert not ends_together(apart, within=5)
    assert not ends_together(panel_of(np.arange(30.0)), within=5)  # integer time is no calendar


def test_a_forecaster_is_given_series_that_end_at_their_cutoffs() -> None:
    panel = panel_of(np.arange(20.0), np.arange(50.0, 70.0))
    cutoffs = all_cutoffs(rolling_origins(panel, horizon=4, n_windows=2, stride=4, align="own"))
    seen: list[Panel] = []

    def last_value(ended: Panel, horizon: int) -> np.ndarray:
        seen.append(ended)
        return np.repeat(ended.y[ended.offsets[1:] - 1, None], horizon, axis=1)

    made = forecasts_at(panel, cutoffs, 4, last_value)
    assert made[:, 0].tolist() == [11, 61, 15, 65]
    assert seen[0].lengths.tolist() == [12, 12, 16, 16]


def test_many_rows_are_given_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(*(np.random.default_rng(k).normal(size=40) for k in range(7)))
    cutoffs = all_cutoffs(rolling_origins(panel, horizon=3, n_windows=5, stride=2, align="own"))
    sizes: list[int] = []

    def forecaster(ended: Panel, horizon: int) -> np.ndarray:
        sizes.append(len(ended.y))
        return seasonal_naive(ended, ended.last_cutoffs, horizon, 12)

    whole = forecasts_at(panel, cutoffs, 3, forecaster)
    monkeypatch.setattr("tsforecast.evaluation.backtest.CHUNK_ROWS", 100)
    sizes.clear()
    np.testing.assert_array_equal(forecasts_at(panel, cutoffs, 3, forecaster), whole)
    assert len(sizes) > 10
    assert max(sizes) <= 100


# No leak


@pytest.mark.parametrize("refit", ["never", "every"])
def test_what_comes_after_a_cutoff_moves_nothing_before_it(refit: str) -> None:
    rolling = Rolling(n_windows=3, refit=refit)  # type: ignore[arg-type]
    table = starting_late()
    before = backtest(config(), rolling, source=table)
    positions = before.panel.positions(before.cutoffs)
    for origin in range(3):
        moment = before.panel.axis.timestamps(np.array([positions[before.origin == origin].max()]))[0]
        later = table["ds"] > moment
        changed = table.assign(y=table["y"].where(~later, 1000 - 7 * table["y"]))
        after = backtest(config(), rolling, source=changed)
        known = before.origin <= origin
        assert known.sum() > 0
        for name, made in before.forecasts.items():
            np.testing.assert_array_equal(after.forecasts[name][known], made[known], err_msg=name)
        np.testing.assert_array_equal(after.quantiles[known], before.quantiles[known])
        # The test can fail: what was changed is read once it is known.
        if origin < 2:
            assert (after.forecasts["naive"][~known] != before.forecasts["naive"][~known]).any()


def test_covariates_after_a_cutoff_move_nothing_but_what_is_known_ahead() -> None:
    table = covariate_frame(length=96)
    rolling = Rolling(n_windows=3)
    before = backtest(covariate_config(), rolling, source=table)
    first = before.panel.axis.timestamps(before.panel.positions(before.cutoffs).min()[None])[0]
    later = table["ds"] > first
    changed = table.assign(
        visits=table["visits"].where(~later, 5000.0), weather=table["weather"].where(~later, "hail")
    )
    after = backtest(covariate_config(), rolling, source=changed)
    known = before.origin == 0
    np.testing.assert_array_equal(after.forecasts["lstm"][known], before.forecasts["lstm"][known])
    assert (after.forecasts["lstm"][~known] != before.forecasts["lstm"][~known]).any()


@pytest.mark.parametrize("policy", ["interpolate", "seasonal"])
def test_gaps_are_not_filled_from_rows_after_a_cutoff(policy: str) -> None:
    repair = {"missing": policy, "gaps": policy}
    settings = config(data={"path": "-", "time": "ds", "target": "y", "id": "unique_id", "repair": repair})
    moments = FRAME["ds"].unique()
    at_cutoff = FRAME["ds"].isin([moments[71], moments[77]])
    table = FRAME.assign(y=FRAME["y"].where(~at_cutoff))
    before = backtest(settings, FOUR, source=table)
    changed = table.assign(y=table["y"].where(table["ds"] <= moments[71], 500.0))
    after = backtest(settings, FOUR, source=changed)
    first = before.origin == 0
    for name, made in before.forecasts.items():
        np.testing.assert_array_equal(after.forecasts[name][first], made[first], err_msg=name)
    assert np.isnan(before.y).sum() == 3  # what is missing is not scored
    assert (
        f"data.repair.gaps: {policy}, data.repair.missing: {policy} fills from later rows" in before.notes[0]
    )


def test_an_origin_without_series_is_none() -> None:
    long, short = seasonal_frame(n_series=1, length=60), seasonal_frame(n_series=1, length=40)
    short = short.assign(unique_id="late", ds=short["ds"] + pd.DateOffset(months=70))
    for refit in ("never", "every"):
        rolling = Rolling(n_windows=8, refit=refit, align="calendar")  # type: ignore[arg-type]
        found = backtest(config(), rolling, source=pd.concat([long, short]))
        assert found.rolling.n_windows == found.n_origins == len(set(found.origin.tolist()))


def test_new_series_are_forecast_from_their_own_rows_before_the_cutoff() -> None:
    table = starting_late()
    before = backtest(config(), FOUR, source=table)
    new = before.cutoffs.series == before.panel.unique_ids.index("s2")
    first = np.flatnonzero(new)[0]
    moment = before.panel.axis.timestamps(before.panel.positions(before.cutoffs)[[first]])[0]
    later = (table["unique_id"] == "s2") & (table["ds"] > moment)
    changed = table.assign(y=table["y"].where(~later, 1e6))
    after = backtest(config(), FOUR, source=changed)
    np.testing.assert_array_equal(after.forecasts["lstm"][first], before.forecasts["lstm"][first])
    assert np.isnan(before.one_step[new]).all()  # what came is not read for a series that is scaled by it


# Against others


def test_the_forecasts_are_those_of_train_and_predict(tmp_path: Path, found: Backtest) -> None:
    first = found.panel.positions(found.cutoffs)[found.origin == 0].max()
    moment = found.panel.axis.timestamps(np.array([first]))[0]
    settings = config(split={"test": 0})
    train(settings, path=tmp_path / "run", source=FRAME[FRAME["ds"] <= moment])
    run = load_run(tmp_path / "run")
    table = judgement.cv_table(found)
    for cutoff, part in table.groupby("cutoff"):
        frame, _ = predict(run, FRAME[FRAME["ds"] <= cutoff])
        pd.testing.assert_frame_equal(
            part[list(frame.columns)].reset_index(drop=True), frame, check_exact=False, rtol=1e-5
        )


def test_the_scores_are_those_of_utilsforecast(found: Backtest) -> None:
    table = judgement.cv_table(found)
    names = list(found.forecasts)
    wide = table.rename(columns={"y_hat": found.model_name})[["unique_id", "ds", "cutoff", "y", *names]]
    keyed = wide.assign(unique_id=wide["unique_id"] + "|" + wide["cutoff"].astype(str)).drop(columns="cutoff")
    first = wide["cutoff"].min()
    history = FRAME[FRAME["ds"] <= first]
    insample = pd.concat(
        history[history["unique_id"] == key.split("|")[0]].assign(unique_id=key)
        for key in keyed["unique_id"].unique()
    )
    mase = losses.mase(keyed, models=names, seasonality=12, train_df=insample)[names].mean()
    mae = losses.mae(keyed, models=names)[names].mean()
    for name in names:
        assert found.scores.by_model.loc[name, "mase"] == pytest.approx(mase[name], rel=1e-10)
        assert found.scores.by_model.loc[name, "mae"] == pytest.approx(mae[name], rel=1e-10)


def test_one_batch_forecasts_as_one_window_after_the_other(run_folder: Path, tmp_path: Path) -> None:
    run, source = load_run(run_folder), csv(tmp_path, FRAME)
    together = backtest_run(run, source=source)
    for origin in range(4):
        at = np.flatnonzero(together.origin == origin)
        ended = together.panel.up_to(together.cutoffs[at])
        alone = forecast(run.model, ended, ended.last_cutoffs, HORIZON).y_hat
        np.testing.assert_allclose(alone, together.forecasts["lstm"][at], rtol=1e-5)


def test_the_same_backtest_twice_gives_the_same_files(tmp_path: Path, found: Backtest) -> None:
    judgement.write(tmp_path / "a", found, overwrite=False)
    judgement.write(tmp_path / "b", backtest(config(), FOUR, source=FRAME), overwrite=False)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(set(judgement.OURS) - {"failures.csv"})
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_one_step_ahead_is_the_first_step_of_the_recursive_forecast(found: Backtest) -> None:
    np.testing.assert_allclose(found.one_step[:, 0], found.forecasts["lstm"][:, 0], rtol=1e-5)
    assert not np.allclose(found.one_step[:, 1:], found.forecasts["lstm"][:, 1:], rtol=1e-3)


def test_refitting_trains_anew_at_each_origin(found: Backtest) -> None:
    every = backtest(config(), Rolling(n_windows=2, refit="every"), source=FRAME)
    once = backtest(config(), Rolling(n_windows=1), source=FRAME)
    last = every.origin == 1
    np.testing.assert_array_equal(every.forecasts["lstm"][last], once.forecasts["lstm"])
    newest = found.origin == 3
    assert (every.forecasts["lstm"][last] != found.forecasts["lstm"][newest]).any()


# How the rollout behaves


def test_a_flat_rollout_and_one_that_runs_away_are_told_from_a_good_one() -> None:
    t = np.arange(120.0)
    y = 10 + np.sin(2 * np.pi * t / 12)
    panel = panel_of(y)
    cutoffs = all_cutoffs(rolling_origins(panel, horizon=12, n_windows=3, stride=12, align="own"))
    actual = np.stack([y[row + 1 : row + 13] for row in cutoffs.rows])
    good = behaviour(panel, cutoffs, actual, actual + 0.1)
    assert (good.flat, good.far) == (0, 0)
    flat = behaviour(panel, cutoffs, actual, np.full_like(actual, 10.0))
    assert (flat.flat, flat.far) == (1, 0)
    away = actual.copy()
    away[0] += 3.0 * np.arange(12)
    assert behaviour(panel, cutoffs, actual, away).far == pytest.approx(1 / 3)


def test_short_horizons_and_constant_series_are_not_called_flat() -> None:
    panel = panel_of(np.full(60, 5.0))
    cutoffs = all_cutoffs(rolling_origins(panel, horizon=12, n_windows=2, stride=12, align="own"))
    constant = np.full((2, 12), 5.0)
    told = behaviour(panel, cutoffs, constant, constant)
    assert np.isnan([told.flat, told.far]).all()


# A run is judged on rows it has not seen


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    train(config(), path=folder, source=FRAME[FRAME["ds"] <= FRAME["ds"].unique()[71]])
    return folder


def csv(folder: Path, table: pd.DataFrame) -> str:
    path = folder / "rows.csv"
    table.to_csv(path, index=False)
    return str(path)


def test_a_run_is_judged_on_the_rows_after_its_training(run_folder: Path, tmp_path: Path) -> None:
    found = backtest_run(load_run(run_folder), source=csv(tmp_path, FRAME))
    positions = found.panel.positions(found.cutoffs)
    assert positions.min() == 71  # the last row it has learned from
    assert found.n_origins == 4  # 24 new rows
    frame, _ = predict(load_run(run_folder), FRAME[FRAME["ds"] <= FRAME["ds"].unique()[77]])
    second = judgement.cv_table(found)
    second = second[second["cutoff"] == FRAME["ds"].unique()[77]]
    np.testing.assert_allclose(second["y_hat"], frame["y_hat"], rtol=1e-5)


@pytest.mark.parametrize(("rows", "windows"), [(72, None), (75, None), (78, 2), (96, 5)])
def test_a_run_is_not_judged_on_rows_it_has_learned_from(
    run_folder: Path, tmp_path: Path, rows: int, windows: int | None
) -> None:
    source = csv(tmp_path, FRAME[FRAME["ds"] <= FRAME["ds"].unique()[rows - 1]])
    with pytest.raises(ConfigError, match=r"has learned from the rows up to 2020-12-01.*--refit every"):
        backtest_run(load_run(run_folder), Rolling(n_windows=windows), source=source)


@pytest.mark.parametrize("first", [-24, 60])
def test_data_may_begin_at_another_time_than_the_rows_a_run_was_trained_on(
    run_folder: Path, tmp_path: Path, first: int
) -> None:
    longer = seasonal_frame(n_series=3, length=96 + 24)
    longer["ds"] = longer["ds"] - pd.DateOffset(months=24)  # reaches back further, and ends with FRAME
    source = longer[longer["ds"] >= FRAME["ds"].min() + pd.DateOffset(months=first)]
    found = backtest_run(load_run(run_folder), source=csv(tmp_path, source))
    moments = found.panel.axis.timestamps(found.panel.positions(found.cutoffs))
    assert (moments.min(), found.n_origins) == (pd.Timestamp("2020-12-01"), 4)
    with pytest.raises(ConfigError, match="room for 4 windows"):
        backtest_run(load_run(run_folder), Rolling(n_windows=5), source=csv(tmp_path, source))


def test_series_that_ended_with_the_training_are_left_out_of_judging_a_run(
    run_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = FRAME[(FRAME["unique_id"] != "s1") | (FRAME["ds"] <= FRAME["ds"].unique()[71])]
    found = backtest_run(load_run(run_folder), Rolling(align="own"), source=csv(tmp_path, ended))
    assert (found.panel.unique_ids, found.n_origins) == (("s0", "s2"), 4)
    assert "1 of 3 series have no rows after those the run has learned from" in caplog.text


def test_rows_held_back_for_a_test_may_be_judged_without_a_final_fit(tmp_path: Path) -> None:
    settings = config(training={"max_steps": 6, "final_fit": False}, split={"test": 12, "validation": 12})
    train(settings, path=tmp_path / "run", source=FRAME)
    found = backtest_run(load_run(tmp_path / "run"), source=csv(tmp_path, FRAME))
    assert found.n_origins == 2
    assert found.panel.positions(found.cutoffs).min() == 95 - 12


def test_a_refitted_run_takes_its_settings_and_resolves_anew(run_folder: Path, tmp_path: Path) -> None:
    rolling = Rolling(n_windows=2, refit="every")
    of_run = backtest_run(load_run(run_folder), rolling, source=csv(tmp_path, FRAME))
    of_config = backtest(config(), rolling, source=FRAME)
    np.testing.assert_array_equal(of_run.forecasts["lstm"], of_config.forecasts["lstm"])


def test_what_was_auto_can_be_auto_again() -> None:
    asked = config(lookback=20)
    panel = read_data(asked, FRAME).panel
    resolved = resolve(asked, panel)
    keys = auto_keys(asked, resolved)
    assert "season_length" in keys
    assert not {"lookback", "data.freq"} & set(keys)
    again = with_auto(resolved, keys)
    assert again.lookback == 20
    assert resolve(again, panel) == resolved


# Rivals and luck


def test_rivals_stand_in_the_table_and_see_nothing_later() -> None:
    rolling = replace(FOUR, rivals=("ridge", "boosted_trees"))
    table = starting_late()
    before = backtest(config(), rolling, source=table)
    assert list(before.forecasts) == ["lstm", *BASELINES, "ridge", "boosted_trees"]
    assert set(before.forecasts) == set(before.scores.by_model.index)
    first = before.panel.axis.timestamps(
        before.panel.positions(before.cutoffs)[before.origin == 1].max()[None]
    )[0]
    changed = table.assign(y=table["y"].where(table["ds"] <= first, 1000.0))
    after = backtest(config(), rolling, source=changed)
    known = before.origin <= 1
    for name in rolling.rivals:
        np.testing.assert_array_equal(after.forecasts[name][known], before.forecasts[name][known])
        assert (after.forecasts[name][~known] != before.forecasts[name][~known]).any()


def test_a_rival_is_fitted_to_what_was_known_at_the_first_origin() -> None:
    found = backtest(config(), replace(FOUR, rivals=("ridge",)), source=FRAME)
    at_second = backtest(config(), Rolling(n_windows=3, rivals=("ridge",)), source=FRAME)
    second = found.origin == 1
    assert (found.forecasts["ridge"][second] != at_second.forecasts["ridge"][at_second.origin == 0]).any()
    every = backtest(config(), replace(FOUR, refit="every", rivals=("ridge",)), source=FRAME)
    newest = every.origin == 3
    alone = backtest(config(), Rolling(n_windows=1, rivals=("ridge",)), source=FRAME)
    np.testing.assert_allclose(every.forecasts["ridge"][newest], alone.forecasts["ridge"], rtol=1e-6)


def test_whether_a_difference_is_luck_is_said_beside_the_verdict(found: Backtest) -> None:
    assert judgement.text(found).endswith(
        "  whether the difference is chance cannot be told: 4 cutoffs are too few (at least 8)\n"
    )
    many = backtest(config(), Rolling(n_windows=9), source=FRAME)
    lines = judgement.text(many).splitlines()[-len(BASELINES) :]
    assert all("(bootstrap over 9 cutoffs of 3 series)" in line for line in lines)
    stored = judgement.backtest_json(many)["significance"]["naive"]
    assert stored["mean"] == pytest.approx(
        many.scores.by_model.loc["lstm", "mase"] - many.scores.by_model.loc["naive", "mase"]
    )


def test_origins_of_their_own_are_counted_as_one_time_each() -> None:
    apart = FRAME[(FRAME["unique_id"] != "s1") | (FRAME["ds"] < FRAME["ds"].unique()[70])]
    found = backtest(config(), Rolling(n_windows=8, align="own"), source=apart)
    assert {one.n_cutoffs for one in judgement.differences(found).values()} == {8}


@pytest.mark.parametrize(
    ("text", "message"),
    [("rigde", "Did you mean 'ridge'"), ("ridge,ridge", "once"), ("", "once"), ("lstm", "not a known rival")],
)
def test_names_that_are_no_rivals_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_rivals(text)


def test_rivals_may_be_all_or_none() -> None:
    assert parse_rivals("none") == ()
    assert parse_rivals("all") == tuple(RIVALS)
    assert parse_rivals("auto_ets, ridge") == ("auto_ets", "ridge")


# What does not fit


def test_windows_that_do_not_fit_are_refused_with_the_arithmetic() -> None:
    expected = (
        r"20 windows of 6 steps, 6 apart, hold back 120 rows \(19 × 6 \+ 6\), and the longest series has 96"
    )
    with pytest.raises(DataError, match=expected):
        backtest(config(), Rolling(n_windows=20), source=FRAME)


def test_too_little_to_learn_from_before_the_first_window_is_refused() -> None:
    with pytest.raises(DataError, match=r"no series .* lower"):
        backtest(config(split={"validation": 12}), Rolling(n_windows=14), source=FRAME)


def test_a_signal_stops_it() -> None:
    with pytest.raises(StoppedError):
        backtest(config(), FOUR, source=FRAME, watcher=Watcher(stop_signal=lambda: 15))


def test_masked_values_do_not_count() -> None:
    data = {
        "path": "unused.csv",
        "time": "ds",
        "target": "y",
        "id": "unique_id",
        "repair": {"missing": "mask"},
    }
    holes = FRAME.assign(y=FRAME["y"].where(FRAME.index % 5 != 0))
    found = backtest(config(data=data), FOUR, source=holes)
    assert np.isnan(found.y).any()
    assert np.isfinite(found.forecasts["lstm"]).all()
    assert np.isfinite(found.scores.by_model["mase"]).all()


# Tables and words


def test_the_table_of_forecasts_has_a_row_per_step_in_order(found: Backtest) -> None:
    table = judgement.cv_table(found)
    forecast = ["unique_id", "ds", "cutoff", "lead_time", "y", "y_hat", "q0.1", "q0.5", "q0.9", "one_step"]
    assert list(table.columns) == [*forecast, *BASELINES]
    assert len(table) == 3 * 4 * HORIZON
    assert table.sort_values(["unique_id", "cutoff", "lead_time"], ignore_index=True).equals(table)
    merged = table.merge(FRAME, on=["unique_id", "ds"], suffixes=("", "_of_the_data"))
    assert len(merged) == len(table)
    np.testing.assert_array_equal(merged["y"], merged["y_of_the_data"])


def test_the_table_by_cutoff_averages_to_the_score(found: Backtest, tmp_path: Path) -> None:
    judgement.write(tmp_path / "out", found, overwrite=False)
    by_cutoff = pd.read_csv(tmp_path / "out" / "by_cutoff.csv")
    means = by_cutoff.groupby("model")["mase"].mean()
    for name in found.forecasts:
        assert means[name] == pytest.approx(found.scores.by_model.loc[name, "mase"], rel=1e-4)


def test_a_rollout_that_flattens_is_warned_about(found: Backtest) -> None:
    flat = replace(found, behaviour=Behaviour(flat=0.8, far=0.3))
    assert "flattens: in 80 % of the windows" in judgement.text(flat)
    assert "diverges: in 30 % of the windows" in judgement.text(flat)
    assert judgement.warnings_of(replace(found, behaviour=Behaviour(flat=np.nan, far=0.0))) == []


# The command


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("rows.csv", index=False)
    Path("job.yaml").write_text(
        "data: {path: rows.csv, time: ds, target: y, id: unique_id}\nhorizon: 6\n"
        "model: {hidden_size: 8}\ntraining: {max_steps: 6}\n"
    )
    return tmp_path


def test_the_command_prints_the_table_and_writes_the_folder(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("backtest", "job.yaml", "--windows", "2") == 0
    out, err = capfd.readouterr()
    assert (
        "Backtest: 2 cutoffs, 6 steps apart, from 2021-12-01 to 2022-06-01; trained once, at the first" in out
    )
    assert "One step ahead" in out
    assert "folder: runs/job_backtest" in out
    assert err == ""
    stored = json.loads(Path("runs/job_backtest/backtest.json").read_text())
    assert stored["cutoffs"] == ["2021-12-01", "2022-06-01"]
    assert tsforecast("backtest", "job.yaml", "--windows", "2") == 2
    assert "use --overwrite" in capfd.readouterr().err
    assert tsforecast("backtest", "job.yaml", "--windows", "2", "--overwrite", "--json") == 0
    assert json.loads(capfd.readouterr().out)["models"] == stored["models"]


def test_the_command_judges_a_run_and_keeps_it_verified(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("train", "job.yaml", "--run", "runs/job", "--quiet") == 0
    assert tsforecast("backtest", "runs/job") == 2
    assert "use --refit every" in capfd.readouterr().err
    later = seasonal_frame(n_series=3, length=108)
    later.to_csv("later.csv", index=False)
    for _ in range(2):  # what is derived from a run is made anew without being asked
        assert tsforecast("backtest", "runs/job", "later.csv") == 0
    assert Path("runs/job/derived/backtest/cv.parquet").exists()
    assert tsforecast("predict", "runs/job", "--out", "f.csv") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("job.yaml", "rows.csv"), "DATA is read for a run"),
        (("job.yaml", "--out", "."), "holds"),
        (("job.yaml", "--windows", "0"), "'--windows': Input should be greater"),
        (("job.yaml", "--stride", "0"), "'--stride': Input should be greater"),
        (("nothing.yaml",), "nothing.yaml"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_done(
    job: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    before = sorted(job.rglob("*"))
    assert tsforecast("backtest", *words) == 2
    assert message in capfd.readouterr().err
    assert sorted(job.rglob("*")) == before
