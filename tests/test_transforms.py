"""Curves and differences: what they give, that they are undone, and that training and forecasting go through them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import PowerTransformer
from synthetic import config, panel_of, seasonal_frame, seasonal_series

import tsforecast
from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.features.transforms import CURVES, Transform, fit_transform
from tsforecast.forecasting.stored import to_storage
from tsforecast.series.panel import Cutoffs, Panel
from tsforecast.training.fit import Watcher
from tsforecast.workflows.inspect import inspect
from tsforecast.workflows.predict import load_run, predict
from tsforecast.workflows.train import Trained, read_data, train

FRAME = seasonal_frame(n_series=3, length=72)
AIR_PASSENGERS = Path(__file__).parents[1] / "data" / "air_passengers.csv"
POSITIVE = ("boxcox", "log")


def fitted(panel: Panel, name: str, difference: int | None = None) -> Transform:
    return fit_transform(panel, config(transform=name, difference=difference))


def growing_frame(*, seed: int, length: int = 120, n_series: int = 3) -> pd.DataFrame:
    """Series that grow by 4 % a month, with a season and noise that grow with them."""
    random = np.random.default_rng(seed)
    t = np.arange(length)
    frames = []
    for k in range(n_series):
        logs = 1 + k + 0.04 * t + 0.15 * np.sin(2 * np.pi * t / 12) + random.normal(0, 0.02, length)
        ds = pd.date_range("2010-01-01", periods=length, freq="MS")
        frames.append(pd.DataFrame({"unique_id": f"s{k}", "ds": ds, "y": np.exp(logs)}))
    return pd.concat(frames, ignore_index=True)


# --- what a transform gives


@pytest.mark.parametrize(
    ("name", "expected"), [("none", 3.0), ("log", np.log(3)), ("log1p", np.log(4)), ("boxcox", 3**0.5 / 0.5)]
)
def test_each_curve_is_its_formula(name: str, expected: float) -> None:
    transform = Transform(name=name, difference=0, lambdas=np.array([0.5]))
    assert transform.levels(panel_of([3.0])).y[0] == pytest.approx(expected, rel=1e-15)


def test_a_box_cox_lambda_of_zero_is_the_logarithm() -> None:
    transform = Transform(name="boxcox", difference=0, lambdas=np.zeros(1))
    assert transform.levels(panel_of([3.0])).y[0] == np.log(3.0)


def test_lambda_is_the_one_of_greatest_likelihood() -> None:
    air = pd.read_csv(AIR_PASSENGERS)["passengers"].to_numpy(dtype=np.float64)
    square = (5 + np.random.default_rng(0).normal(size=300)) ** 2
    panel = panel_of(air, square)
    known = [
        PowerTransformer("box-cox", standardize=False).fit(panel.values(s)[:, None]).lambdas_[0]
        for s in (0, 1)
    ]
    assert fitted(panel, "boxcox").lambdas == pytest.approx(known, abs=0.006)


@pytest.mark.parametrize("unit", [1e-290, 1e-3, 1e290])
def test_lambda_does_not_depend_on_the_unit(unit: float) -> None:
    y = (5 + np.random.default_rng(0).normal(size=300)) ** 2
    expected = fitted(panel_of(y), "boxcox").lambdas
    # Far from 1 the exponent is held back, so that the curve itself does not overflow.
    held_back = 600 / abs(np.log(y.mean() * unit))
    assert fitted(panel_of(y * unit), "boxcox").lambdas == pytest.approx(
        np.minimum(expected, held_back), abs=0.02
    )


def test_lambda_is_zero_or_far_enough_from_it_to_be_undone() -> None:
    lambdas = fitted(panel_of(np.exp(np.random.default_rng(0).normal(size=300))), "boxcox").lambdas
    assert lambdas.tolist() == [0.0]


def test_one_missing_value_does_not_spoil_lambda() -> None:
    y = (5 + np.random.default_rng(0).normal(size=300)) ** 2
    holed = y.copy()
    holed[100] = np.nan
    assert fitted(panel_of(holed), "boxcox").lambdas == pytest.approx(
        fitted(panel_of(y), "boxcox").lambdas, abs=0.02
    )


@pytest.mark.parametrize(
    "y", [[], [3.0], [1.0, 2.0], [5.0] * 30, 1e9 + seasonal_series(30), [np.nan] * 9, [5.0] * 7 + [np.nan]]
)
def test_a_series_that_cannot_tell_lambda_takes_the_middle_of_the_others(y: Sequence[float]) -> None:
    telling = [seasonal_series(60, seed=seed) ** 2 for seed in range(3)]
    lambdas = fitted(panel_of(*telling, y), "boxcox").lambdas
    assert lambdas[3] == np.median(lambdas[:3])
    assert fitted(panel_of(y), "boxcox").lambdas.tolist() == [1.0]


def test_an_unseen_series_takes_the_middle_lambda() -> None:
    trained = Transform(name="boxcox", difference=0, lambdas=np.array([0.1, 0.2, 0.9]))
    panel = dataclasses.replace(panel_of([1.0], [2.0]), unique_ids=("new", "b"))
    assert trained.for_panel(panel, {"a": 0, "b": 2, "c": 1}).lambdas.tolist() == [0.2, 0.9]


def test_differences_are_those_at_the_lag_and_start_anew_with_each_series() -> None:
    panel = panel_of([1.0, 4, 9, 16], [10.0, 20, 40])
    seen = Transform(name="none", difference=2, lambdas=np.ones(2)).differences(panel)
    np.testing.assert_array_equal(seen.y, [np.nan, np.nan, 8, 12, np.nan, np.nan, 30])


def test_a_lag_longer_than_every_series_leaves_no_difference() -> None:
    seen = Transform(name="none", difference=9, lambdas=np.ones(1)).differences(panel_of([1.0, 2, 3]))
    assert np.isnan(seen.y).all()


# --- that it is undone


def positive_values(draw: st.DrawFn) -> np.ndarray:
    level = 10.0 ** draw(st.integers(-300, 299))
    shares = draw(st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=40))
    return level * np.array(shares)


VALUES = st.one_of(
    st.composite(positive_values)(),
    st.lists(st.floats(1e-300, 1e300), min_size=2, max_size=40).map(np.array),
    st.integers(0, 9).map(lambda seed: 1e9 + np.random.default_rng(seed).normal(size=30)),
    st.floats(1e-300, 1e300).map(lambda value: np.full(20, value)),
)


@pytest.mark.parametrize("name", sorted(CURVES))
@given(y=VALUES)
def test_a_curve_is_undone_to_nine_digits(name: str, y: np.ndarray) -> None:
    panel = panel_of(y)
    transform = fitted(panel, name)
    levels = transform.levels(panel).y
    assert np.isfinite(levels).all()
    np.testing.assert_allclose(transform.inverse(levels[None], np.array([0]))[0], y, rtol=1e-9, atol=0)


@pytest.mark.parametrize("y", [[0.0] * 20, [0.0] * 19 + [3.0], [0.0, 1.0], [0.0, np.nan, 2.0]])
@pytest.mark.parametrize("name", ["none", "log1p"])
def test_zeros_and_missing_values_come_back_as_they_were(name: str, y: list[float]) -> None:
    panel = panel_of(y)
    transform = fitted(panel, name)
    back = transform.inverse(transform.levels(panel).y[None], np.array([0]))[0]
    np.testing.assert_allclose(back, y, rtol=1e-9, atol=0)


@given(y=VALUES, lag=st.integers(1, 7), known=st.integers(1, 40))
def test_differences_are_summed_back_to_nine_digits(y: np.ndarray, lag: int, known: int) -> None:
    known = min(known, len(y) - 1)
    before, after = max(0, known - lag), len(y) - known
    panel = panel_of([1.0, 2.0], y)  # another series before it, which must not be read
    transform = Transform(name="none", difference=lag, lambdas=np.ones(2))
    cutoffs = Cutoffs(series=np.array([1]), rows=np.array([2 + known - 1]))
    # What the network would have to say: the change from the level a lag before, or from what stands in for it.
    start = [y[k - lag] if k >= lag else y[known - 1] for k in range(known, known + after)]
    truth = (y[known:] - np.array(start))[None]
    levels = transform.summed(panel, cutoffs, truth)[0]
    np.testing.assert_allclose(levels, y[known:], rtol=0, atol=1e-9 * np.abs(y[before:]).max())


def test_forecast_differences_are_added_to_true_levels_first_and_to_forecast_ones_then() -> None:
    panel = panel_of([1.0, 2, 3, 10, 20, 99, 99, 99])
    cutoffs = Cutoffs(series=np.array([0]), rows=np.array([4]))
    transform = Transform(name="none", difference=2, lambdas=np.ones(1))
    steps = np.array([[1.0, 2, 3, 4]])
    assert transform.summed(panel, cutoffs, steps).tolist() == [[11, 22, 14, 26]]
    assert transform.summed(panel, cutoffs, steps, closed_loop=False).tolist() == [[11, 22, 102, 103]]


def test_a_missing_level_before_the_cutoff_is_the_one_a_lag_earlier() -> None:
    panel = panel_of([1.0, 2, 3, np.nan])
    transform = Transform(name="none", difference=2, lambdas=np.ones(1))
    assert transform.summed(panel, panel.last_cutoffs, np.zeros((1, 2))).tolist() == [[3, 2]]


def test_a_series_shorter_than_the_lag_starts_from_its_last_level() -> None:
    panel = panel_of([50.0], [7.0, 8.0])
    transform = Transform(name="none", difference=4, lambdas=np.ones(2))
    assert transform.summed(panel, panel.last_cutoffs, np.zeros((2, 4))).tolist() == [[50] * 4, [8, 8, 7, 8]]


@pytest.mark.parametrize("name", sorted(CURVES))
def test_whatever_the_network_says_the_forecast_is_finite(name: str) -> None:
    transform = Transform(name=name, difference=0, lambdas=np.array([0.3]))
    wild = np.array([[-np.inf, -1e30, -1.0, 0.0, 1e3, 1e30, np.inf]])
    values = transform.inverse(wild, np.array([0]))[0]
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()  # a quantile stays a quantile


# --- what is refused


@pytest.mark.parametrize(
    ("name", "bad", "words"),
    [
        (
            "log",
            "0",
            "the value 0 at 2020-03-01 00:00:00 cannot be transformed: transform 'log' takes numbers above 0",
        ),
        ("log", "-2", "numbers above 0; set transform: none, which takes every number"),
        (
            "boxcox",
            "0",
            "'boxcox' takes numbers above 0; set transform: log1p, which takes 0 and numbers above",
        ),
        ("log1p", "-2", "transform 'log1p' takes 0 and numbers above; set transform: none"),
        ("none", "1e305", "the value 1e\\+305 .* is beyond 1e\\+300"),
        ("none", "-1e305", "the value -1e\\+305 .* is beyond 1e\\+300"),
    ],
)
def test_a_value_no_transform_takes_is_refused_with_series_and_line(
    tmp_path: Path, name: str, bad: str, words: str
) -> None:
    path = tmp_path / "data.csv"
    rows = [f"a,2020-{month:02}-01,{month}" for month in range(1, 13)]
    rows += [f"b,2020-{month:02}-01,{bad if month == 3 else month}" for month in range(1, 13)]
    path.write_text("\n".join(["shop,month,y", *rows]))
    data = {"path": str(path), "time": "month", "target": "y", "id": "shop"}
    with pytest.raises(DataError, match=words) as refused:
        read_data(config(data=data, transform=name, horizon=2))
    assert str(refused.value).startswith(f"{path}: line 16: series 'b': the value")
    assert refused.value.exit_code == 3


def test_all_values_of_the_kind_are_counted() -> None:
    frame = FRAME.assign(y=FRAME["y"].where(FRAME.index % 24 > 0, 0.0))
    with pytest.raises(DataError, match=r"\(9 such values in 3 series\)"):
        read_data(config(transform="log"), frame)


def test_log1p_takes_zero() -> None:
    frame = FRAME.assign(y=FRAME["y"].where(FRAME.index % 24 > 0, 0.0))
    panel = read_data(config(transform="log1p"), frame).panel
    assert (panel.y == 0).sum() == 9


def test_new_data_that_the_transform_does_not_take_is_refused(tmp_path: Path) -> None:
    train(config(transform="log"), path=tmp_path / "run", source=FRAME)
    with pytest.raises(DataError, match="transform 'log' takes numbers above 0"):
        predict(load_run(tmp_path / "run"), FRAME.assign(y=FRAME["y"] - 12))


def test_unscaled_values_beyond_float32_are_refused() -> None:
    with pytest.raises(DataError, match=r"beyond 1e\+30.*set scaling: auto"):
        read_data(config(scaling="none"), FRAME.assign(y=FRAME["y"] * 1e40))


def test_a_difference_longer_than_the_series_is_refused_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="500 for the difference"):
        train(config(difference=500), path=tmp_path / "run", source=FRAME)


@pytest.mark.parametrize("difference", [0, -1, 1.5, "season"])
def test_a_difference_that_is_no_lag_is_refused(difference: object) -> None:
    with pytest.raises(ConfigError, match="difference"):
        config(difference=difference)


# --- training and forecasting


def run_of(tmp_path: Path, frame: pd.DataFrame, name: str = "run", **changes: object) -> Trained:
    return train(config(**changes), path=tmp_path / name, source=frame)


@pytest.mark.parametrize("difference", [None, 1, 12])
@pytest.mark.parametrize("name", sorted(CURVES))
def test_a_run_forecasts_the_same_after_storing_and_from_new_data(
    tmp_path: Path, name: str, difference: int | None
) -> None:
    trained = run_of(tmp_path, FRAME, transform=name, difference=difference)
    run = load_run(tmp_path / "run")
    for source in (None, FRAME):
        pd.testing.assert_frame_equal(predict(run, source)[0], trained.forecast, check_exact=True)
    assert (trained.forecast["q0.5"] == trained.forecast["y_hat"]).all()
    assert (trained.forecast["q0.1"] <= trained.forecast["q0.9"]).all()
    assert trained.forecast["y_hat"].between(3, 40).all()  # the series lie between 6 and 20


@pytest.mark.parametrize("name", POSITIVE)
def test_unseen_and_short_series_are_forecast(tmp_path: Path, name: str) -> None:
    run_of(tmp_path, FRAME, transform=name, difference=12)
    run = load_run(tmp_path / "run")
    unseen = FRAME.assign(unique_id="new " + FRAME["unique_id"])
    for source in (unseen, FRAME.groupby("unique_id").tail(3), FRAME.groupby("unique_id").tail(1)):
        y_hat = predict(run, source)[0]["y_hat"]
        assert y_hat.between(3, 40).all()


def test_rows_after_the_cutoff_change_nothing_that_is_fitted(tmp_path: Path) -> None:
    changed = FRAME.copy()
    changed.loc[changed.groupby("unique_id").cumcount(ascending=False) < 6, "y"] *= 7
    quick = {"max_steps": 12, "batch_size": 16, "final_fit": False}
    fits = []
    for name, frame in (("a", FRAME), ("b", changed)):
        trained = run_of(tmp_path, frame, name, transform="boxcox", difference=12, training=quick)
        _, arrays = to_storage(trained.model, trained.panel.tail(1))
        fits.append({key: array for key, array in arrays.items() if not key.startswith("tail.")})
    assert fits[0].keys() == fits[1].keys()
    assert all(np.array_equal(fits[0][key], fits[1][key]) for key in fits[0])


def test_the_held_back_part_does_not_reach_lambda_or_the_scales(tmp_path: Path) -> None:
    quick = {"max_steps": 12, "batch_size": 16, "final_fit": False}
    changes: dict[str, object] = {"transform": "boxcox", "training": quick}
    plain = run_of(tmp_path, FRAME, "a", **changes)
    split = plain.config.split
    assert isinstance(split.validation, int)
    assert isinstance(split.test, int)
    changed = FRAME.copy()
    held_back = changed.groupby("unique_id").cumcount(ascending=False) < split.validation + split.test
    changed.loc[held_back, "y"] **= 3
    other = run_of(tmp_path, changed, "b", **changes)
    assert np.array_equal(plain.model.transform.lambdas, other.model.transform.lambdas)
    assert np.array_equal(plain.model.scales.center, other.model.scales.center)
    assert np.array_equal(plain.model.scales.scale, other.model.scales.scale)


def test_rows_after_a_cutoff_move_no_forecast_from_it(tmp_path: Path) -> None:
    from tsforecast.forecasting.forecast import forecast

    trained = run_of(tmp_path, FRAME, transform="boxcox", difference=12)
    cutoffs = Cutoffs(series=np.array([0, 1]), rows=np.array([50, 130]))
    y = trained.panel.y.copy()
    y[51:72], y[131:144] = 1e6, 1e-6
    changed = dataclasses.replace(trained.panel, y=y)
    before, after = (forecast(trained.model, panel, cutoffs, 6).y_hat for panel in (trained.panel, changed))
    assert np.array_equal(before, after)


def test_an_interrupted_training_is_resumed_and_not_with_another_transform(tmp_path: Path) -> None:
    changes = {"transform": "boxcox", "difference": 12}
    straight = run_of(tmp_path, FRAME, "straight", **changes)
    seen: list[int] = []
    watcher = Watcher(on_step=seen.append, stop_signal=lambda: 2 if len(seen) == 7 else None)
    with pytest.raises(StoppedError):
        train(config(**changes), path=tmp_path / "run", source=FRAME, watcher=watcher)
    with pytest.raises(ConfigError):
        train(config(difference=12), path=tmp_path / "run", source=FRAME, resume=True)
    resumed = train(config(**changes), path=tmp_path / "run", source=FRAME, resume=True)
    pd.testing.assert_frame_equal(resumed.forecast, straight.forecast, check_exact=True)


def test_an_interval_on_a_log_scale_is_symmetric_there(tmp_path: Path) -> None:
    forecast = run_of(tmp_path, growing_frame(seed=0), transform="log").forecast
    logs = np.log(forecast[["q0.1", "y_hat", "q0.9"]].to_numpy())
    widths = np.diff(logs, axis=1)
    assert (widths > 0).all()
    assert widths[:, 0] == pytest.approx(widths[:, 1], rel=1e-9)


def test_intervals_of_summed_differences_widen_and_cover_a_random_walk(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    walks = 100 + np.cumsum(random.normal(size=(60, 80)), axis=1)
    ds = pd.date_range("2015-01-01", periods=74, freq="MS")
    frames = [
        pd.DataFrame({"unique_id": f"w{k:02}", "ds": ds, "y": walk[:74]}) for k, walk in enumerate(walks)
    ]
    forecast = run_of(tmp_path, pd.concat(frames), difference=1, season_length=1).forecast
    low, high = (forecast[name].to_numpy().reshape(60, 6) for name in ("q0.1", "q0.9"))
    width = (high - low).mean(axis=0)
    # Errors of a walk grow with the root of the lead time; those of its untrained forecast, which goes on with the mean
    # of the last 8 changes, by sqrt(6 + 36 / 8) / sqrt(1 + 1 / 8).
    assert 0.8 * 6**0.5 < width[5] / width[0] < 1.2 * (10.5 / 1.125) ** 0.5
    assert 0.7 < ((walks[:, 74:] >= low) & (walks[:, 74:] <= high)).mean() < 0.9


@pytest.mark.parametrize("transform", ["log", "log1p", "boxcox"])
def test_a_zero_floor_holds_on_every_curve(tmp_path: Path, transform: str) -> None:
    frame = FRAME.assign(y=np.abs(np.random.default_rng(0).normal(size=len(FRAME))))
    forecast = run_of(tmp_path, frame, transform=transform, difference=1).forecast
    assert (forecast[["q0.1", "y_hat", "q0.9"]].to_numpy() >= 0).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_growth_is_forecast_far_better_on_a_log_scale(tmp_path: Path, seed: int) -> None:
    training = {"max_steps": 60, "batch_size": 32, "learning_rate": 0.01, "seed": seed}
    errors = {}
    for name, difference in (("none", None), ("log", None), ("log", 12), ("boxcox", 12), ("none", 12)):
        trained = run_of(
            tmp_path,
            growing_frame(seed=seed),
            f"{name}{difference}",
            transform=name,
            difference=difference,
            horizon=12,
            training=training,
        )
        assert trained.scores is not None
        errors[name, difference] = trained.scores.by_model["mase"].to_dict()["lstm"]
    plain = errors.pop(("none", None))
    assert errors.pop(("none", 12)) < plain
    assert all(error < 0.5 * plain for error in errors.values())


def test_a_reservoir_on_a_curve_forecasts_a_median(tmp_path: Path) -> None:
    esn = {"cell": "esn", "hidden_size": 20}
    assert run_of(tmp_path, FRAME, "a", model=esn).metrics["y_hat"] == "mean"
    assert run_of(tmp_path, FRAME, "b", model=esn, transform="log").metrics["y_hat"] == "median"


def test_a_notebook_trains_on_transformed_values_as_the_command_does(tmp_path: Path) -> None:
    settings = config(transform="log", difference=12)
    run = tsforecast.train(settings, run=tmp_path / "notebook", data=FRAME)
    expected = train(settings, path=tmp_path / "run", source=FRAME).forecast
    pd.testing.assert_frame_equal(run.predict(), expected, check_exact=True)


def test_inspection_names_what_the_network_reads(tmp_path: Path) -> None:
    run_of(tmp_path, FRAME, transform="log", difference=12)
    seen = inspect(load_run(tmp_path / "run"), series="s0")
    assert seen.above.y_label == "y, log, difference at lag 12"


def test_no_transform_is_no_change_to_the_bit(tmp_path: Path) -> None:
    default = run_of(tmp_path, FRAME, "a")
    written = run_of(tmp_path, FRAME, "b", transform="none", difference=None, scaling="seasonal")
    pd.testing.assert_frame_equal(default.forecast, written.forecast, check_exact=True)
    panel = default.panel
    nothing = fitted(panel, "none")
    assert nothing.levels(panel) is panel
    assert nothing.differences(panel) is panel
    for name, weight in default.model.network.state_dict().items():
        assert torch.equal(weight, written.model.network.state_dict()[name])


def test_a_value_out_of_all_proportion_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = FRAME.copy()
    frame.loc[30, "y"] *= 1e6
    with caplog.at_level(logging.WARNING):
        run_of(tmp_path, frame)
    assert "series 's0': the value" in caplog.text
    assert "over 100,000 times the median of its series" in caplog.text
