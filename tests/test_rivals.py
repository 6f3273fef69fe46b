"""Rivals: the same inputs as the network, scikit-learn's and statsforecast's own output, and no look ahead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from synthetic import panel_of, seasonal_series

from tsforecast.evaluation import rivals
from tsforecast.evaluation.rivals import RIVALS, Ground, next_step_matrix, rival_forecasts
from tsforecast.features.scaling import fit_scales
from tsforecast.features.transforms import Transform
from tsforecast.features.windows import Features, WindowReader
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

SEASON = 4
LEARNED = ["ridge", "boosted_trees"]
STATISTICAL = {"auto_ets": "AutoETS", "auto_theta": "AutoTheta", "auto_arima": "AutoARIMA"}
ESTIMATORS: dict[str, Any] = {
    "ridge": Ridge(),
    "boosted_trees": HistGradientBoostingRegressor(early_stopping=False, random_state=1),
}


def features(**changes: Any) -> Features:
    plain = Features(lookback=3, lags=(SEASON,), calendar=(), past=(), scaling="none", season_length=SEASON)
    return replace(plain, **changes)


def ground(known: Panel, **changes: Any) -> Ground:
    name, difference = changes.pop("transform", "none"), changes.pop("difference", 0)
    transform = Transform(name=name, difference=difference, lambdas=np.ones(known.n_series))
    return Ground(known=known, features=features(**changes), transform=transform)


def series(n: int = 2, length: int = 60, **settings: Any) -> list[np.ndarray]:
    return [seasonal_series(length, season_length=SEASON, seed=seed, **settings) for seed in range(n)]


def ends(panel: Panel, known: Panel) -> Cutoffs:
    """The last known row of each series, in a panel that goes on."""
    return Cutoffs(series=np.arange(panel.n_series), rows=panel.offsets[:-1] + known.lengths - 1)


def forecast(name: str, base: Ground, panel: Panel, horizon: int = 6) -> FloatArray:
    found = rival_forecasts([name], base, panel, ends(panel, base.known), horizon)
    assert found.notes == []
    return found.y_hat[name]


def by_hand(values: list[float], scale: float) -> tuple[list[float], float]:
    """The matrix row of a history of at least three values, NaN where masked, and the centre of its window."""
    center = float(np.nanmean(values[-3:])) if scale else 0.0
    filled = pd.Series(values).ffill().tolist()
    has_lag = len(values) > 3 and not np.isnan(values[-4])
    row = (np.array([*filled[-3:], values[-4] if has_lag else filled[-1]]) - center) / (scale or 1)
    return [*row, float(not np.isnan(values[-1]))], center


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("scaling", ["none", "seasonal"])
def test_regressions_equal_scikit_learns_on_a_matrix_built_by_hand(name: str, scaling: str) -> None:
    ys = series(trend=0.5)
    ys[1][30] = np.nan
    scales = [0.0 if scaling == "none" else np.nanmean(np.abs(y[SEASON:] - y[:-SEASON])) for y in ys]
    rows, targets = [], []
    for y, scale in zip(ys, scales, strict=True):
        for end in range(3, 60):
            row, center = by_hand(list(y[:end]), scale)
            if not np.isnan(y[end]):
                rows.append(row)
                targets.append((y[end] - center) / (scale or 1))
    panel = panel_of(*ys)
    base = ground(panel, scaling=scaling)
    model = ESTIMATORS[name].fit(np.array(rows), targets)
    expected = []
    for y, scale in zip(ys, scales, strict=True):
        values = list(y)
        for _ in range(6):
            row, center = by_hand(values, scale)
            values.append(center + (scale or 1) * model.predict([row]).item())
        expected.append(values[60:])
    np.testing.assert_allclose(forecast(name, base, panel), expected, rtol=1e-4)


@pytest.mark.parametrize("name", STATISTICAL)
def test_statistical_rivals_equal_statsforecasts_own_output(name: str) -> None:
    models = pytest.importorskip("statsforecast.models", reason="needs statsforecast")
    ys = series()
    panel = panel_of(*ys)
    model = getattr(models, STATISTICAL[name])(season_length=SEASON)
    expected = [model.forecast(y=y, h=6)["mean"] for y in ys]
    np.testing.assert_allclose(forecast(name, ground(panel), panel), expected, rtol=1e-9)


@pytest.mark.parametrize("name", RIVALS)
def test_rows_after_a_cutoff_move_nothing(name: str) -> None:
    ys = series(length=72)
    known = panel_of(*(y[:60] for y in ys))
    changed = [np.concatenate([y[:60], np.full(12, 1e6)]) for y in ys]
    before = forecast(name, ground(known), panel_of(*ys))
    assert np.isfinite(before).all()
    assert before.tolist() == forecast(name, ground(known), panel_of(*changed)).tolist()


@pytest.mark.parametrize("name", RIVALS)
def test_a_second_run_gives_the_same_forecasts(name: str) -> None:
    panel = panel_of(*series())
    first, second = (forecast(name, ground(panel), panel) for _ in range(2))
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_forecast_an_obvious_season(name: str) -> None:
    ys = series(noise=0.01, length=126, trend=0)
    panel = panel_of(*ys)
    base = ground(panel_of(*(y[:120] for y in ys)), scaling="series")
    actual = np.stack([y[120:] for y in ys])
    np.testing.assert_allclose(forecast(name, base, panel), actual, atol=0.1)


@pytest.mark.parametrize("name", LEARNED)
def test_every_step_is_scaled_by_the_window_before_it_as_in_training(name: str) -> None:
    y = np.cumsum(np.random.default_rng(0).normal(0.5, 1, 90))
    panel = panel_of(y)
    base = ground(panel, scaling="seasonal", lookback=4)
    two = forecast(name, base, panel, horizon=2)[0]
    extended = panel_of(np.append(y, two[0]))
    last = Cutoffs(series=np.array([0]), rows=np.array([90]))
    again = rival_forecasts([name], base, extended, last, 1).y_hat[name]
    assert again[0, 0] == pytest.approx(two[1], rel=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_series_of_any_size_are_forecast_alike(name: str) -> None:
    y = seasonal_series(60, season_length=SEASON)
    panel = panel_of(y, 1e6 * y, 1e-6 * y)
    found = forecast(name, ground(panel, scaling="seasonal"), panel)
    np.testing.assert_allclose(found[1] / 1e6, found[0], rtol=1e-4)
    np.testing.assert_allclose(found[2] * 1e6, found[0], rtol=1e-4)


@pytest.mark.parametrize("name", LEARNED)
def test_a_cutoff_after_the_known_rows_is_forecast_from_the_rows_before_it(name: str) -> None:
    ys = series(n=1, length=72)
    base = ground(panel_of(ys[0][:60]))
    whole, cut = panel_of(ys[0]), panel_of(ys[0][:66])
    later = Cutoffs(series=np.array([0]), rows=np.array([65]))
    found = [rival_forecasts([name], base, panel, later, 3).y_hat[name].tolist() for panel in (whole, cut)]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", LEARNED)
def test_values_are_transformed_and_differenced_as_for_the_network(name: str) -> None:
    y = np.exp(0.05 * np.arange(60.0))  # the logarithm is a line, its differences are one number
    panel = panel_of(y)
    base = ground(panel, transform="log", difference=1, scaling="seasonal")
    expected = np.exp(0.05 * np.arange(60, 66))
    np.testing.assert_allclose(forecast(name, base, panel)[0], expected, rtol=1e-5)


def test_a_series_shorter_than_the_window_is_padded_as_for_the_network() -> None:
    long = series(n=1)[0]
    base = ground(panel_of(long), scaling="seasonal")
    scale = np.abs(long[SEASON:] - long[:-SEASON]).mean()
    rows, targets = [], []
    for end in range(3, 60):
        row, center = by_hand(list(long[:end]), scale)
        rows.append(row)
        targets.append((long[end] - center) / scale)
    model = Ridge().fit(rows, targets)
    # A new series is scaled by its own rows: one value has no spread, so the unit stays.
    first = 4 + model.predict([[0, 0, 0, 0, 1]]).item()
    center = (4 + first) / 2
    newest = first - center
    second = center + model.predict([[0, 4 - center, newest, newest, 1]]).item()
    panel = replace(panel_of([4.0]), unique_ids=("new",))
    found = rival_forecasts(["ridge"], base, panel, panel.last_cutoffs, 2).y_hat["ridge"]
    assert found[0] == pytest.approx([first, second], rel=1e-5)


def test_ridge_of_values_that_hardly_differ_is_solved_without_a_warning() -> None:
    panel = panel_of(*series(noise=0.01, length=66, trend=0))
    assert np.isfinite(forecast("ridge", ground(panel, scaling="seasonal"), panel)).all()


def test_forecasts_of_a_history_without_negative_values_are_not_negative() -> None:
    y = np.linspace(50, 0.5, 60)
    later = panel_of(np.append(y, -y))
    assert forecast("ridge", ground(panel_of(y)), later, horizon=12).min() == 0
    free = replace(ground(panel_of(y)), non_negative=False)
    assert forecast("ridge", free, panel_of(y), horizon=12).min() < 0


def driven(n: int = 80, seed: int = 0) -> Panel:
    """One series that follows a future covariate, which is known twelve steps ahead, and a word."""
    drive = np.random.default_rng(seed).normal(0, 1, n + 12)
    word = np.arange(n + 12) % 3 + 1.0
    y = 5 * drive[:n] + 7 * word[:n]
    return replace(
        panel_of(y),
        future=np.stack([drive, word], axis=1),
        future_offsets=np.array([0, n + 12]),
        future_names=("drive", "word"),
        categories={"word": ("a", "b", "c")},
    )


def test_rivals_are_shown_future_covariates_and_words_of_the_step_to_forecast() -> None:
    panel = driven(n=300)
    base = ground(panel, future=("drive", "word"), categories={"word": ("a", "b", "c")}, lags=())
    drive, word = panel.future[300:306].T
    expected = 5 * drive + 7 * word
    assert forecast("ridge", base, panel)[0] == pytest.approx(expected, abs=0.5)
    # Trees do not reach beyond what they have seen, so they come less near.
    assert np.abs(forecast("boosted_trees", base, panel)[0] - expected).mean() < 3


def test_the_matrix_is_the_window_and_then_what_the_network_sees_at_its_last_step() -> None:
    panel = driven()
    shown = features(future=("drive", "word"), categories={"word": ("a", "b", "c")}, lags=(6,), lookback=4)
    scales = fit_scales(panel, season_length=SEASON, scaling="none")
    reader = WindowReader(panel, shown, scales, horizon=1, device=torch.device("cpu"))
    batch = reader.read(Cutoffs(series=np.array([0]), rows=np.array([40])), 1)
    found = next_step_matrix(shown, batch.values, batch.observed, batch.known[:, -1])
    drive = (panel.future[41, 0] - scales.future_center[0]) / scales.future_scale[0]
    expected = [*panel.y[37:41], panel.y[35], 1, drive, panel.future[41, 1]]
    assert found.shape == (1, shown.lookback - 1 + shown.input_size)
    assert found[0] == pytest.approx(expected, rel=1e-5)


def test_masked_values_are_no_targets_and_do_no_harm() -> None:
    ys = series(n=1)
    ys[0][[20, 21, 59]] = np.nan
    panel = panel_of(ys[0])
    for name in RIVALS:
        assert np.isfinite(forecast(name, ground(panel), panel)).all()


def test_a_rival_without_its_extra_is_left_out_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rivals, "find_spec", lambda _name: None)
    panel = panel_of(*series())
    found = rival_forecasts(["auto_ets", "ridge"], ground(panel), panel, panel.last_cutoffs, 2)
    assert list(found.y_hat) == ["ridge"]
    assert found.notes == ["auto_ets is left out: it needs pip install 'tsforecast[statsforecast]'."]


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_that_runs_out_of_time_is_left_out(name: str) -> None:
    panel = panel_of(*series())
    found = rival_forecasts([name], ground(panel), panel, panel.last_cutoffs, 2, seconds=-1)
    assert found.y_hat == {}
    assert found.notes[0].startswith(f"{name} is left out: 0 of 2 f")


def test_a_rival_is_not_asked_for_more_fits_than_it_can_do() -> None:
    panel = panel_of(*series(n=1))
    many = Cutoffs(series=np.zeros(501, np.int64), rows=np.full(501, 59))
    found = rival_forecasts(["auto_arima"], ground(panel), panel, many, 2)
    assert found.notes == [
        "auto_arima is left out: it is fitted for each forecast, and 501 are more than 500."
    ]


def test_series_too_short_to_learn_from_leave_the_regressions_out() -> None:
    panel = panel_of([1, 2, 3])
    found = rival_forecasts(["ridge"], ground(panel), panel, panel.last_cutoffs, 2)
    assert found.notes == ["ridge is left out: no series has 4 rows to learn from."]


def test_a_fit_that_fails_is_the_seasonal_naives_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("statsforecast.models", reason="needs statsforecast")

    class Fails:
        def __init__(self, season_length: int) -> None: ...

        def forecast(self, y: FloatArray, h: int) -> dict[str, FloatArray]:
            if len(y) < 60:
                raise ValueError("tiny")
            return {"mean": np.zeros(h)}

    monkeypatch.setattr(models, "AutoETS", Fails)
    panel = panel_of(np.arange(60.0), [1, 2, 3, 4, 5])
    found = rival_forecasts(["auto_ets"], ground(panel), panel, panel.last_cutoffs, 2)
    assert found.y_hat["auto_ets"].tolist() == [[0, 0], [2, 3]]
    assert found.notes == ["auto_ets: 1 of 2 fits failed and are the seasonal naive's forecasts."]
    short = panel_of([1, 2, 3, 4, 5])
    found = rival_forecasts(["auto_ets"], ground(short), short, short.last_cutoffs, 2)
    assert found.notes == ["auto_ets is left out: every fit failed, the last with ValueError('tiny')."]
