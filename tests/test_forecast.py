import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import panel_of, seasonal_series

from tsforecast.config.schema import ModelConfig
from tsforecast.features.scaling import fit_scales
from tsforecast.features.transforms import Transform
from tsforecast.features.windows import Features
from tsforecast.forecasting import forecast as forecasting
from tsforecast.forecasting.forecast import FittedModel, forecast, forecast_frame, never_negative
from tsforecast.forecasting.intervals import fit_spread
from tsforecast.forecasting.stored import build_network, from_storage, tail_from_storage, to_storage
from tsforecast.series.panel import Cutoffs, Panel

FEATURES = Features(
    lookback=12, lags=(12,), calendar=("month_of_year",), past=(), scaling="seasonal", season_length=12
)
SETTINGS = ModelConfig(hidden_size=5)


def fitted(
    panel: Panel, *, settings: ModelConfig = SETTINGS, non_negative: bool | None = None
) -> FittedModel:
    """A model with random weights, which forecasts nonsense that depends on everything it reads."""
    torch.manual_seed(0)
    network = build_network(settings, FEATURES, base=1).eval()
    with torch.no_grad():
        network.head.linear.weight.normal_(0, 0.5)
    return FittedModel(
        network=network,
        features=FEATURES,
        unique_ids=panel.unique_ids,
        transform=Transform(name="none", difference=0, lambdas=np.ones(panel.n_series)),
        scales=fit_scales(panel, season_length=12, scaling="seasonal"),
        never_negative=never_negative(panel),
        spread=fit_spread(np.random.default_rng(0).normal(size=(60, 6))),
        horizon=6,
        non_negative=non_negative,
        precision="float32",
    )


@pytest.fixture
def panel() -> Panel:
    return panel_of(seasonal_series(60), seasonal_series(48, seed=1), freq="MS")


@pytest.mark.parametrize("cell", ["lstm", "gru", "bilstm", "bigru"])
def test_rows_after_a_cutoff_move_nothing(panel: Panel, cell: str) -> None:
    model = fitted(panel, settings=ModelConfig(cell=cell, hidden_size=5))  # type: ignore[arg-type]
    cutoffs = Cutoffs(series=np.array([0, 1, 0]), rows=np.array([40, 90, 47]))
    y = panel.y.copy()
    y[48:60] = -1e9
    y[91:] = -1e9
    changed = dataclasses.replace(panel, y=y)
    before, after = (forecast(model, p, cutoffs, 6).y_hat for p in (panel, changed))
    assert np.array_equal(before, after)


def test_all_windows_in_one_batch_equal_windows_one_by_one(panel: Panel) -> None:
    model = fitted(panel)
    cutoffs = Cutoffs(series=np.repeat([0, 1], [30, 20]), rows=np.r_[29:59, 87:107])
    together = forecast(model, panel, cutoffs, 6).y_hat
    single = [forecast(model, panel, cutoffs[k : k + 1], 6).y_hat[0] for k in range(len(cutoffs))]
    assert together == pytest.approx(np.array(single), rel=1e-5)


def test_chunks_do_not_change_the_forecast(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(panel)
    whole = forecast(model, panel, panel.last_cutoffs, 6).y_hat
    monkeypatch.setattr(forecasting, "CHUNK_VALUES", 1)
    assert forecast(model, panel, panel.last_cutoffs, 6).y_hat == pytest.approx(whole, rel=1e-6)


def test_the_frame_has_one_row_per_series_and_step_with_calendar_dates(panel: Panel) -> None:
    frame = forecast_frame(fitted(panel), panel, panel.last_cutoffs, 3, quantile_levels=[0.05, 0.5])
    assert list(frame.columns) == ["unique_id", "ds", "cutoff", "lead_time", "y_hat", "q0.05", "q0.5"]
    assert frame["unique_id"].tolist() == ["s0"] * 3 + ["s1"] * 3
    # s0 has 60 months from January 2020, s1 has 48
    expected = ["2025-01-01", "2025-02-01", "2025-03-01", "2024-01-01", "2024-02-01", "2024-03-01"]
    assert frame["ds"].tolist() == [pd.Timestamp(day) for day in expected]
    assert frame["cutoff"].tolist() == [pd.Timestamp("2024-12-01")] * 3 + [pd.Timestamp("2023-12-01")] * 3
    assert frame["lead_time"].tolist() == [1, 2, 3, 1, 2, 3]


def test_the_median_is_the_point_forecast_and_quantiles_rise(panel: Panel) -> None:
    frame = forecast_frame(
        fitted(panel), panel, panel.last_cutoffs, 20, quantile_levels=[0.01, 0.1, 0.5, 0.9]
    )
    assert frame["q0.5"].tolist() == frame["y_hat"].tolist()
    assert (np.diff(frame[["q0.01", "q0.1", "q0.5", "q0.9"]], axis=1) >= 0).all()


@pytest.mark.parametrize(("non_negative", "lowest"), [(None, 0.0), (True, 0.0), (False, -np.inf)])
def test_a_history_without_negative_values_gives_none_unless_told_otherwise(
    non_negative: bool | None, lowest: float
) -> None:
    falling = panel_of(np.linspace(60, 0.5, 60) + np.random.default_rng(0).random(60), freq="MS")
    model = fitted(falling, non_negative=non_negative)
    frame = forecast_frame(model, falling, falling.last_cutoffs, 60, quantile_levels=[0.01])
    assert frame[["y_hat", "q0.01"]].to_numpy().min() >= lowest
    if non_negative is False:
        assert frame["q0.01"].min() < 0


def test_a_series_that_was_negative_in_training_may_be_negative_again() -> None:
    trained = panel_of(-seasonal_series(60), freq="MS")
    model = fitted(trained)
    newest = panel_of(seasonal_series(60) - 14, freq="MS").tail(24)
    assert never_negative(trained).tolist() == [False]
    assert forecast(model, newest, newest.last_cutoffs, 2).floor.tolist() == [-np.inf]


def test_storing_and_reading_back_leaves_forecasts_equal_to_the_bit(panel: Panel) -> None:
    model = fitted(panel)
    values, arrays = to_storage(model, panel.tail(FEATURES.history))
    back = from_storage(values, arrays, SETTINGS, device=torch.device("cpu"))
    tail = tail_from_storage(values, arrays)
    expected = forecast_frame(model, panel, panel.last_cutoffs, 9, quantile_levels=[0.1, 0.9])
    pd.testing.assert_frame_equal(
        forecast_frame(back, tail, tail.last_cutoffs, 9, quantile_levels=[0.1, 0.9]),
        expected,
        check_exact=True,
    )


def test_a_run_from_before_there_were_transforms_has_none(panel: Panel) -> None:
    values, arrays = to_storage(fitted(panel), panel.tail(FEATURES.history))
    del values["transform"], arrays["transform.lambdas"]
    back = from_storage(values, arrays, SETTINGS, device=torch.device("cpu"))
    assert (back.transform.text, back.transform.lambdas.tolist()) == ("", [1, 1])


def test_a_run_from_before_there_was_a_calibration_part_keeps_its_intervals(panel: Panel) -> None:
    model = fitted(panel)
    values, arrays = to_storage(model, panel.tail(FEATURES.history))
    old = {name: value for name, value in values.items() if name not in ("spread", "direct_steps", "seed")}
    old["spread_windows"] = model.spread.n_windows
    arrays = {name: array for name, array in arrays.items() if not name.startswith("spread.")}
    arrays["spread.half_widths"] = model.spread.above[0]
    back = from_storage(old, arrays, SETTINGS, device=torch.device("cpu"))
    assert back.spread.source == "validation"
    frames = [
        forecast_frame(one, panel, panel.last_cutoffs, 9, quantile_levels=[0.1, 0.9]) for one in (model, back)
    ]
    pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_a_very_long_rollout_stays_finite(panel: Panel) -> None:
    assert np.isfinite(forecast(fitted(panel), panel, panel.last_cutoffs, 2000).y_hat).all()


def test_a_series_of_one_value_is_forecast(panel: Panel) -> None:
    single = panel_of([5.0], freq="MS")
    assert np.isfinite(forecast(fitted(panel), single, single.last_cutoffs, 3).y_hat).all()


def test_a_negative_value_after_the_cutoff_does_not_lift_the_floor_at_zero() -> None:
    falling = panel_of(np.linspace(60, 0.5, 60), freq="MS")
    model = fitted(falling)
    y = falling.y.copy()
    y[59] = -3.0
    cutoffs = Cutoffs(series=np.array([0, 0]), rows=np.array([52, 59]))
    floors = forecast(model, dataclasses.replace(falling, y=y), cutoffs, 7).floor
    assert floors.tolist() == [0.0, -np.inf]


def test_a_forecast_does_not_depend_on_the_other_series_in_the_file() -> None:
    long, short = seasonal_series(60), seasonal_series(8, seed=1)
    both = panel_of(long, short, freq="MS")
    model = fitted(both)
    beside = forecast(model, both, both.last_cutoffs, 6).y_hat[1]
    alone = both.select([1])
    assert np.array_equal(forecast(model, alone, alone.last_cutoffs, 6).y_hat[0], beside)
