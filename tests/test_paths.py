import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from synthetic import panel_of, seasonal_series

from tsforecast.config.schema import ModelConfig
from tsforecast.errors import ConfigError
from tsforecast.features.scaling import fit_scales
from tsforecast.features.transforms import Transform
from tsforecast.features.windows import Features
from tsforecast.forecasting import paths
from tsforecast.forecasting.forecast import (
    FittedModel,
    forecast,
    forecast_paths,
    forecast_values,
    frame_of_paths,
    never_negative,
)
from tsforecast.forecasting.intervals import fit_spread
from tsforecast.forecasting.paths import one_sided_units, paths_of, remapped, uniforms
from tsforecast.forecasting.stored import build_network
from tsforecast.series.panel import Panel

FEATURES = Features(lookback=12, lags=(12,), calendar=(), past=(), scaling="seasonal", season_length=12)


def fitted(
    panel: Panel,
    head: str = "mae",
    *,
    weights: float = 0.0,
    cell: str = "lstm",
    direct_steps: int = 0,
    scaling: str = "seasonal",
    **changes: object,
) -> FittedModel:
    """A model that repeats the newest value, and with ``weights`` says something beside."""
    torch.manual_seed(0)
    features = dataclasses.replace(FEATURES, scaling=scaling)
    settings = ModelConfig(cell=cell, hidden_size=5, head=head)  # type: ignore[arg-type]
    network = build_network(settings, features, base=0, direct_steps=direct_steps).eval()
    with torch.no_grad():
        network.head.linear.weight.normal_(0, weights)
    random = np.random.default_rng(0)
    model = FittedModel(
        network=network,
        features=features,
        unique_ids=panel.unique_ids,
        transform=Transform(name="none", difference=0, lambdas=np.ones(panel.n_series)),
        scales=fit_scales(panel, season_length=12, scaling=scaling),
        never_negative=never_negative(panel),
        spread=fit_spread(random.normal(size=(60, 6)), residuals=random.normal(size=(400, 6))),
        horizon=6,
        non_negative=False,
        precision="float32",
    )
    return dataclasses.replace(model, **changes)  # type: ignore[arg-type]


def raw_paths(model: FittedModel, panel: Panel, horizon: int, n_paths: int) -> np.ndarray:
    """Paths as drawn, in units of the scale, as distances from the newest value."""
    reader, cutoffs = model.reader(panel, horizon=horizon), panel.last_cutoffs
    made = paths_of(
        model.network,
        reader,
        cutoffs,
        horizon,
        n_paths=n_paths,
        seed=model.seed,
        residuals=model.spread.residuals,
    )
    batch = reader.read(cutoffs, horizon)
    return (made - panel.y[cutoffs.rows, None, None]) / batch.scale.numpy()[:, :, None]


@pytest.fixture
def panel() -> Panel:
    return panel_of(seasonal_series(60), seasonal_series(48, seed=1), freq="MS")


def test_the_noise_of_a_path_follows_from_seed_series_and_number_alone() -> None:
    few = uniforms(["b", "a"], seed=3, n_paths=4, horizon=5)
    many = uniforms(["x", "a", "y", "b"], seed=3, n_paths=50, horizon=20)
    assert np.array_equal(few, many[[3, 1], :4, :5])
    for other in (uniforms(["b", "a"], seed=4, n_paths=4, horizon=5), few[::-1], np.roll(few, 1, axis=1)):
        assert not (few == other).any()


def test_the_noise_is_uniform_and_unrelated() -> None:
    # 64 series, 50 paths, 40 steps; the hashes have no seed that could be chosen well.
    noise = uniforms([f"series {k}" for k in range(64)], seed=1, n_paths=50, horizon=40)
    assert ((noise > 0) & (noise < 1)).all()
    assert stats.kstest(noise.ravel(), "uniform").pvalue > 0.01
    z = noise - 0.5
    for moved in (z[1:] * z[:-1], z[:, 1:] * z[:, :-1], z[:, :, 1:] * z[:, :, :-1]):
        assert abs(moved.mean() * 12) < 4 / np.sqrt(moved.size)


def test_names_without_utf8_have_noise_too() -> None:
    assert uniforms(["\ud800"], seed=1, n_paths=1, horizon=1).size == 1


def test_paths_of_errors_widen_like_the_random_walk_they_make(panel: Panel) -> None:
    # The untrained network repeats the newest value, so a path is the sum of its errors.
    model = fitted(panel)
    spread = raw_paths(model, panel, 6, 4000).std(axis=1)
    expected = model.spread.residuals.cumsum(axis=1).std(axis=0)
    assert spread == pytest.approx(np.tile(expected, (2, 1)), rel=0.06)


@pytest.mark.parametrize(
    ("head", "sd"), [("normal", 0.6941), ("student_t", 0.6941 * np.sqrt(5.0486 / 3.0486))]
)
def test_paths_of_a_distribution_have_its_variance_at_each_step(panel: Panel, head: str, sd: float) -> None:
    spread = raw_paths(fitted(panel, head), panel, 4, 8000).std(axis=1)
    assert spread == pytest.approx(np.tile(sd * np.sqrt(np.arange(1, 5)), (2, 1)), rel=0.08)


def test_the_errors_of_a_window_follow_each_other(panel: Panel) -> None:
    ramps = np.array([[1.0, -2.0, 3.0], [10.0, -20.0, 30.0]])
    model = fitted(panel, spread=fit_spread(np.ones((30, 3)), residuals=ramps))
    steps = np.diff(raw_paths(model, panel, 7, 50), axis=2, prepend=0.0)
    size = np.abs(steps) / np.array([1, 2, 3, 1, 2, 3, 1])
    assert np.allclose(size[..., :3], size[..., :1], atol=1e-3)
    assert np.allclose(size[..., 3:6], size[..., 3:4], atol=1e-3)
    assert np.unique(size.round(2)).tolist() == [1.0, 10.0]


@pytest.mark.parametrize("cell", ["lstm", "gru", "bilstm"])
@pytest.mark.parametrize("head", ["mae", "quantiles", "normal"])
def test_a_path_does_not_depend_on_chunks_and_other_series(
    panel: Panel, head: str, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(panel, head, weights=0.5, cell=cell)
    together = forecast_paths(model, panel, panel.last_cutoffs, 6, n_paths=5)
    monkeypatch.setattr(paths, "CHUNK_VALUES", 1)
    chunked = forecast_paths(model, panel, panel.last_cutoffs, 6, n_paths=5)
    np.testing.assert_allclose(together, chunked, rtol=1e-5)
    alone = panel.select(np.array([1]))
    np.testing.assert_allclose(
        together[1:], forecast_paths(model, alone, alone.last_cutoffs, 6, n_paths=5), rtol=1e-5
    )


@pytest.mark.parametrize("head", ["mae", "mse", "normal", "log_normal"])
def test_paths_spread_as_the_quantiles_do(panel: Panel, head: str) -> None:
    model, n_paths = fitted(panel, head, weights=0.5), 9
    drawn = forecast_paths(model, panel, panel.last_cutoffs, 8, n_paths=n_paths)
    levels = (np.arange(n_paths) + 0.5) / n_paths
    quantiles = forecast_values(model, panel, panel.last_cutoffs, 8, quantile_levels=levels.tolist())[..., 1:]
    np.testing.assert_allclose(np.sort(drawn, axis=1), quantiles.transpose(0, 2, 1))


def test_remapping_keeps_the_order_of_the_paths() -> None:
    drawn = np.array([[[3.0, 1.0], [1.0, 1.0], [2.0, 0.0]]])  # (1, paths, steps)
    quantiles = np.array([[[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]]])  # (1, steps, paths)
    assert remapped(drawn, quantiles).tolist() == [[[30.0, 2.0], [10.0, 3.0], [20.0, 1.0]]]


def test_units_are_mean_distances_of_each_side_and_never_zero() -> None:
    drawn = np.array([[[1.0], [4.0], [5.0], [6.0]]])
    below, above = one_sided_units(drawn, np.array([[4.0]]), np.array([2.0]))
    assert (below.item(), above.item()) == (0.75, 0.75)
    below, above = one_sided_units(np.full((1, 3, 1), 4.0), np.array([[4.0]]), np.array([2.0]))
    assert below.item() == above.item() > 0


def test_whole_numbers_are_asked_of_what_may_come_and_not_of_a_mean() -> None:
    counts = np.random.default_rng(0).poisson(0.7, 60).astype(float)
    panel = panel_of(counts, freq="MS")
    mean = fitted(panel, "negative_binomial", integer=True, scaling="mean_abs", non_negative=None)
    made = forecast_values(mean, panel, panel.last_cutoffs, 6, quantile_levels=[0.1, 0.5, 0.9])
    drawn = forecast_paths(mean, panel, panel.last_cutoffs, 6, n_paths=20)
    assert (made[..., 0] != made[..., 0].round()).any()
    for values in (made[..., 1:], drawn):
        assert (values == values.round()).all()
        assert (values >= 0).all()
    median = fitted(panel, integer=True, weights=0.5)
    y_hat = forecast(median, panel, panel.last_cutoffs, 6).y_hat
    assert (y_hat == y_hat.round()).all()


def test_a_direct_network_feeds_nothing_back_and_starts_as_the_naive_forecast(panel: Panel) -> None:
    model = fitted(panel, direct_steps=6)
    assert np.allclose(
        forecast(model, panel, panel.last_cutoffs, 6).y_hat, panel.y[panel.last_cutoffs.rows, None]
    )
    model.network.reset_base(1)  # the value a season before, which for 13 steps ahead is two seasons before
    long = fitted(panel, direct_steps=14)
    long.network.reset_base(1)
    made = forecast(long, panel, panel.last_cutoffs, 14).y_hat
    seasons = np.stack([panel.values(s)[-12:] for s in range(2)])
    assert np.allclose(made, np.concatenate([seasons, seasons[:, :2]], axis=1))
    with pytest.raises(ConfigError, match=r"forecast\.strategy: direct forecasts the 6"):
        forecast(model, panel, panel.last_cutoffs, 7)


def test_paths_of_a_direct_network_are_its_forecast_and_the_errors_of_whole_windows(panel: Panel) -> None:
    model = fitted(panel, direct_steps=6, weights=0.5)
    drawn = raw_paths(model, panel, 6, 30)
    cutoffs = panel.last_cutoffs
    scale = model.reader(panel, horizon=6).read(cutoffs, 6).scale.numpy()
    point = (forecast(model, panel, cutoffs, 6).levels - panel.y[cutoffs.rows, None]) / scale
    errors = (drawn - point[:, None]).reshape(-1, 6)
    nearest = np.abs(errors[:, None] - model.spread.residuals).max(axis=2).min(axis=1)
    assert nearest.max() < 1e-3


def test_the_table_of_paths_has_a_row_for_each_series_path_and_step(panel: Panel) -> None:
    drawn = np.arange(2 * 3 * 4, dtype=float).reshape(2, 3, 4)
    table = frame_of_paths(panel, panel.last_cutoffs, drawn)
    assert list(table.columns) == ["unique_id", "ds", "cutoff", "lead_time", "path", "y_hat"]
    assert table["y_hat"].tolist() == drawn.ravel().tolist()
    assert table["path"].tolist() == [1] * 4 + [2] * 4 + [3] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert table["ds"].iloc[3] == pd.Timestamp("2025-04-01")
    assert table["lead_time"].tolist() == [1, 2, 3, 4] * 6
