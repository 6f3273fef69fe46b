import numpy as np
import pytest
import torch
from synthetic import panel_of, seasonal_series

from tsforecast.features.scaling import fit_scales
from tsforecast.features.windows import Features, WindowReader
from tsforecast.series.panel import Cutoffs, Panel


def features(**changes: object) -> Features:
    spec: dict[str, object] = {
        "lookback": 4,
        "lags": (3,),
        "calendar": (),
        "past": (),
        "scaling": "none",
        "season_length": 1,
    }
    return Features(**(spec | changes))  # type: ignore[arg-type]


def reader(panel: Panel, spec: Features, horizon: int = 2) -> WindowReader:
    scales = fit_scales(panel, season_length=spec.season_length, scaling=spec.scaling)
    return WindowReader(panel, spec, scales, horizon=horizon, device=torch.device("cpu"))


def cutoff(series: int, row: int) -> Cutoffs:
    return Cutoffs(series=np.array([series]), rows=np.array([row]))


def test_history_reaches_back_for_the_longest_lag_of_the_first_step() -> None:
    # The first of 4 steps forecasts 3 steps before the cutoff; its lag 3 lies 2 steps before that step.
    assert features().history == 6


def test_a_window_holds_the_values_up_to_its_cutoff_and_the_targets_after_it() -> None:
    panel = panel_of(np.arange(20.0), 100 + np.arange(20.0))
    batch = reader(panel, features()).read(cutoff(1, 20 + 9), horizon=2)
    assert batch.values.tolist() == [[104, 105, 106, 107, 108, 109]]
    assert batch.target.tolist() == [[110, 111]]
    assert batch.observed.min() == batch.target_observed.min() == 1


def test_a_window_past_the_start_of_its_series_is_padded_and_never_reads_the_series_before() -> None:
    panel = panel_of(np.full(20, 7.0), np.arange(20.0))
    batch = reader(panel, features()).read(cutoff(1, 20 + 2), horizon=2)
    assert batch.values.tolist() == [[0, 0, 0, 0, 1, 2]]
    assert batch.observed.tolist() == [[0, 0, 0, 1, 1, 1]]


def test_targets_past_the_end_of_a_series_do_not_count() -> None:
    panel = panel_of(np.arange(20.0), np.full(20, 7.0))
    batch = reader(panel, features()).read(cutoff(0, 18), horizon=2)
    assert batch.target.tolist() == [[19, 0]]
    assert batch.target_observed.tolist() == [[1, 0]]


def test_missing_values_are_shown_as_missing_and_the_newest_before_stands_in() -> None:
    y = np.arange(20.0)
    y[8] = np.nan
    batch = reader(panel_of(y), features()).read(cutoff(0, 9), horizon=1)
    assert batch.observed.tolist() == [[1, 1, 1, 1, 0, 1]]
    assert batch.values[0, 4] == batch.values[0, 3] != 0


def test_a_masked_newest_value_is_stood_in_for_by_the_one_before_and_never_by_one_after() -> None:
    y = np.arange(20.0)
    y[[0, 8, 9]] = np.nan
    batch = reader(panel_of(y), features()).read(cutoff(0, 9), horizon=2)
    assert batch.values.tolist() == [[4, 5, 6, 7, 7, 7]]
    assert batch.observed.tolist() == [[1, 1, 1, 1, 0, 0]]
    before_any = reader(panel_of(y), features()).read(cutoff(0, 0), horizon=1)
    assert before_any.values[0, -1] == 0


def test_a_masked_target_does_not_count_and_padding_stays_zero() -> None:
    y = np.arange(20.0)
    y[19] = np.nan
    batch = reader(panel_of(y), features()).read(cutoff(0, 17), horizon=2)
    assert batch.target_observed.tolist() == [[1, 0]]
    past_the_end = reader(panel_of(y), features()).read(cutoff(0, 18), horizon=2)
    assert past_the_end.target.tolist() == [[18, 0]]
    assert reader(panel_of(y), features()).read(cutoff(0, 1), horizon=1).values.tolist() == [
        [0, 0, 0, 0, 0, 1]
    ]


def test_a_masked_covariate_is_its_mean() -> None:
    x = np.arange(20.0)[:, None].copy()
    x[9] = np.nan
    known = (
        reader(panel_of(np.arange(20.0), past=x), features(past=("x0",))).read(cutoff(0, 9), horizon=1).known
    )
    assert known[0, -1, 0] == 0
    assert known[0, -2, 0] != 0


@pytest.mark.parametrize("scaling", ["none", "series", "window", "seasonal"])
def test_unscaling_gives_the_values_back(scaling: str) -> None:
    panel = panel_of(1e6 + seasonal_series(60))
    batch = reader(panel, features(scaling=scaling, season_length=12)).read(cutoff(0, 40), horizon=3)
    expected = torch.from_numpy(panel.y[41:44])[None]
    torch.testing.assert_close(batch.unscaled(batch.target), expected, rtol=1e-7, atol=0)


def test_small_changes_on_a_large_level_survive_the_cast_to_float32() -> None:
    noise = np.random.default_rng(0).normal(size=60)
    panel = panel_of(1e9 + noise)
    batch = reader(panel, features(scaling="seasonal")).read(cutoff(0, 40), horizon=3)
    expected = torch.from_numpy(panel.y[41:44])[None]
    assert (batch.unscaled(batch.target) - expected).abs().max() < 1e-5
    # float32 alone knows 1e9 to 64 only
    assert (torch.from_numpy(panel.y[41:44]).float().double() - expected[0]).abs().max() > 0.1


@pytest.mark.parametrize("scaling", ["window", "seasonal", "series"])
def test_a_constant_series_scales_to_zeros(scaling: str) -> None:
    batch = reader(panel_of(np.full(30, 5.0)), features(scaling=scaling, season_length=7)).read(
        cutoff(0, 20), horizon=2
    )
    assert torch.equal(batch.values, torch.zeros(1, 6))
    assert batch.scale.item() == 1


def test_values_after_the_cutoff_do_not_change_the_window() -> None:
    y = seasonal_series(60)
    later = y.copy()
    later[41:] = 1e6
    spec = features(scaling="window")
    scales = fit_scales(panel_of(y[:41]), season_length=1, scaling="standard")
    before, after = (
        WindowReader(panel_of(values), spec, scales, horizon=2, device=torch.device("cpu")).read(
            cutoff(0, 40), 2
        )
        for values in (y, later)
    )
    assert torch.equal(before.values, after.values)
    assert torch.equal(before.known, after.known)
    assert torch.equal(before.center, after.center)
    assert not torch.equal(before.target, after.target)


def test_past_covariates_are_held_at_the_cutoff() -> None:
    past = np.arange(20.0)[:, None]
    panel = panel_of(np.arange(20.0), past=past)
    batch = reader(panel, features(past=("x0",)), horizon=3).read(cutoff(0, 9), horizon=3)
    x = (past[:, 0] - past.mean()) / past.std()
    expected = x[[6, 7, 8, 9, 9, 9]]
    assert batch.known[0, :, 0].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_past_covariates_after_the_cutoff_are_never_read() -> None:
    past = np.arange(20.0)[:, None]
    scales = fit_scales(panel_of(np.arange(20.0), past=past), season_length=1, scaling="standard")
    changed = past.copy()
    changed[10:] = -1e6
    known = [
        WindowReader(
            panel_of(np.arange(20.0), past=values),
            features(past=("x0",)),
            scales,
            horizon=3,
            device=torch.device("cpu"),
        )
        .read(cutoff(0, 9), horizon=3)
        .known
        for values in (past, changed)
    ]
    assert torch.equal(*known)


def test_the_calendar_shown_is_that_of_the_step_to_forecast() -> None:
    panel = panel_of(np.arange(48.0), freq="h")
    batch = reader(panel, features(calendar=("hour_of_day",))).read(cutoff(0, 25), horizon=2)
    # Rows 22 to 25 and the first step of the horizon are read; they forecast the hours 23, 0, 1, 2, 3.
    angle = 2 * np.pi * np.array([23, 0, 1, 2, 3]) / 24
    torch.testing.assert_close(batch.known[0, :, 0], torch.from_numpy(np.sin(angle)).float())
    torch.testing.assert_close(batch.known[0, :, 1], torch.from_numpy(np.cos(angle)).float())


def test_features_survive_storage() -> None:
    spec = features(calendar=("hour_of_day",), past=("x0",))
    assert Features.from_json(spec.to_json() | {"lags": [3]}) == spec
