"""The readout of a reservoir is fitted to the states and targets it should be, and stopped by validation alone."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from synthetic import panel_of, seasonal_series

from tsforecast.errors import DataError, StoppedError
from tsforecast.features.scaling import fit_scales
from tsforecast.features.windows import Features, WindowReader
from tsforecast.recurrent.network import Network
from tsforecast.recurrent.reservoir import draw_reservoir
from tsforecast.series.panel import Panel
from tsforecast.training import readout
from tsforecast.training.fit import Watcher
from tsforecast.training.plan import Plan
from tsforecast.training.readout import Windows, fit_readout
from tsforecast.training.sampler import training_cutoffs

LEAK = 0.4
FEATURES = Features(lookback=9, lags=(12,), calendar=(), past=(), scaling="none", season_length=12)
PLAN = Plan(
    steps=1,
    batch_size=1,
    learning_rate=1e-3,
    closed_loop=0.5,
    horizon=5,
    validate_every=1,
    patience=1,
    seed=1,
)


def make_network(hidden_size: int = 8) -> Network:
    network = Network(
        cell="esn",
        input_size=FEATURES.input_size,
        n_values=FEATURES.n_values,
        hidden_size=hidden_size,
        base=1,
        options={"leak": LEAK},
    )
    draw_reservoir(network.recurrence, spectral_radius=0.8, input_scale=0.05, seed=1)  # type: ignore[arg-type]
    return network


@pytest.fixture
def panel() -> Panel:
    return panel_of(seasonal_series(70, seed=1), seasonal_series(45, seed=2))


def windows_of(panel: Panel, *, washout: int = 8) -> Windows:
    scales = fit_scales(panel, season_length=12, scaling="standard")
    reader = WindowReader(panel, FEATURES, scales, horizon=PLAN.horizon, device=torch.device("cpu"))
    ranges = training_cutoffs(panel, horizon=PLAN.horizon, lookback=FEATURES.lookback, season_length=12)
    return Windows.covering(reader, ranges, horizon=PLAN.horizon, washout=washout, seed=1)


def rows_by_hand(network: Network, panel: Panel, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """What the readout sees and what it should add, by a plain loop over values, for washout 8."""
    weights = {name: value.double().numpy() for name, value in network.recurrence.state_dict().items()}
    seen, targets = [], []
    for series, cutoff in zip(windows.cutoffs.series, windows.cutoffs.rows, strict=True):
        y = panel.y[panel.offsets[series] : panel.offsets[series + 1]]
        newest = cutoff - panel.offsets[series]
        h = np.zeros(len(weights["weight_hh_l0"]))
        for t in range(newest - 8, newest + PLAN.horizon):
            there = t >= 0
            value = y[t] if there else 0.0
            lag = y[t - 11] if t >= 11 else value
            x = np.array([value, lag, float(there)])
            drive = weights["weight_ih_l0"] @ x + weights["weight_hh_l0"] @ h + weights["bias_ih_l0"]
            h = (1 - LEAK) * h + LEAK * np.tanh(drive)
            if t >= newest:
                seen.append([value, lag, *h])
                targets.append(y[t + 1] - lag)
    return np.array(seen), np.array(targets)


def fit(network: Network, windows: Windows, **settings: object):  # type: ignore[no-untyped-def]
    options: dict[str, object] = {"ridges": (0.01,), "validate": None, "watcher": Watcher()}
    return fit_readout(network, windows, PLAN, **options | settings)  # type: ignore[arg-type]


def test_the_readout_is_scikit_learns_on_states_computed_by_hand(panel: Panel) -> None:
    network, windows = make_network(), windows_of(panel)
    seen, targets = rows_by_hand(network, panel, windows)
    reference = Ridge(alpha=0.01 * len(seen)).fit(seen, targets)
    fit(network, windows)
    base = network.base.detach().numpy() - np.array([0.0, 1.0])
    weights = network.head.linear.weight.detach().numpy()[0]
    np.testing.assert_allclose([*base, *weights], reference.coef_, rtol=2e-3, atol=2e-4)
    assert network.head.linear.bias.item() == pytest.approx(reference.intercept_, rel=2e-3, abs=2e-4)


def test_each_step_is_a_target_once(panel: Panel) -> None:
    cutoffs = windows_of(panel).cutoffs
    for series in (0, 1):
        steps = cutoffs.rows[cutoffs.series == series][:, None] + np.arange(1, PLAN.horizon + 1)
        assert len(np.unique(steps)) == steps.size
        assert steps.max() == panel.offsets[series + 1] - 1


def test_a_shorter_washout_learns_from_more_steps(panel: Panel) -> None:
    network = make_network()
    rows = {
        washout: sum(
            len(y) for _, y in readout._rows(network, windows_of(panel, washout=washout), PLAN.horizon)
        )
        for washout in (8, 5, 0)
    }
    n = len(windows_of(panel).cutoffs)
    assert rows[8] == 5 * n
    assert rows[5] == 8 * n
    assert rows[0] == 13 * n


def test_streaming_in_small_chunks_gives_the_same_readout(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, chunked = make_network(), make_network()
    fit(whole, windows_of(panel))
    monkeypatch.setattr(readout, "CHUNK_VALUES", 1)  # one window at a time
    fit(chunked, windows_of(panel))
    torch.testing.assert_close(whole.state_dict(), chunked.state_dict(), rtol=1e-4, atol=1e-5)


def test_the_reservoir_itself_does_not_change(panel: Panel) -> None:
    network = make_network()
    before = {name: value.clone() for name, value in network.recurrence.state_dict().items()}
    fit(network, windows_of(panel))
    assert all(torch.equal(value, before[name]) for name, value in network.recurrence.state_dict().items())


def test_the_strength_with_the_best_validation_score_is_taken(panel: Panel) -> None:
    scores = iter([3.0, 1.0, 2.0])
    network, expected = make_network(), make_network()
    fit(expected, windows_of(panel), ridges=(0.1,))
    done, ridge = fit(network, windows_of(panel), ridges=(1.0, 0.1, 0.01), validate=lambda _: next(scores))
    assert ridge == 0.1
    assert (done.best_score, done.best_step) == (1.0, 2)
    assert torch.equal(network.head.linear.weight, expected.head.linear.weight)
    assert [record["ridge"] for record in done.history] == [1.0, 0.1, 0.01]
    losses = [record["loss"] for record in done.history]
    assert losses == sorted(losses, reverse=True)  # a weaker penalty fits the training rows better


def test_a_very_large_panel_is_learned_from_in_part(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    every = windows_of(panel).cutoffs
    monkeypatch.setattr(readout, "MAX_WINDOWS", 4)
    some = windows_of(panel).cutoffs
    assert len(some) == 4
    assert set(some.rows.tolist()) < set(every.rows.tolist())


def test_a_washout_of_the_whole_window_is_refused(panel: Panel) -> None:
    with pytest.raises(
        DataError, match=r"no window has an observed target after its washout; lower model\.washout"
    ):
        fit(make_network(), windows_of(panel, washout=13))


def test_a_signal_stops_the_fit(panel: Panel) -> None:
    with pytest.raises(StoppedError, match="stopped by signal 15"):
        fit(make_network(), windows_of(panel), watcher=Watcher(stop_signal=lambda: 15))


def test_fitting_anew_from_the_same_base_gives_the_same_readout(panel: Panel) -> None:
    network = make_network()
    fit(network, windows_of(panel))
    first = {name: value.clone() for name, value in network.state_dict().items()}
    network.reset_base(1)
    fit(network, windows_of(panel))
    torch.testing.assert_close(network.state_dict(), first)
