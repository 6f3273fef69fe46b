from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import panel_of, seasonal_series

from tsforecast.errors import ConfigError, DataError, StoppedError, TrainingError
from tsforecast.features.scaling import fit_scales
from tsforecast.features.windows import Features, WindowReader
from tsforecast.recurrent.network import Network
from tsforecast.runtime import seed_everything
from tsforecast.series.panel import Panel
from tsforecast.training.fit import Watcher, fit, seconds_per_step
from tsforecast.training.plan import Plan
from tsforecast.training.sampler import Sampler, training_cutoffs
from tsforecast.training.state import Fit

FEATURES = Features(lookback=12, lags=(12,), calendar=(), past=(), scaling="window", season_length=12)


def plan(**changes: object) -> Plan:
    settings: dict[str, object] = {
        "steps": 20,
        "batch_size": 8,
        "learning_rate": 0.01,
        "closed_loop": 0.5,
        "horizon": 4,
        "validate_every": 5,
        "patience": 100,
        "seed": 3,
    }
    return Plan(**(settings | changes))  # type: ignore[arg-type]


class Training:
    """A small network with dropout on two series, ready to be fitted."""

    def __init__(self, settings: Plan, *, panel: Panel | None = None, bidirectional: bool = False) -> None:
        panel = panel or panel_of(seasonal_series(60), seasonal_series(40, seed=1))
        seed_everything(settings.seed)
        self.plan = settings
        self.network = Network(
            cell="lstm",
            input_size=FEATURES.input_size,
            n_values=FEATURES.n_values,
            hidden_size=6,
            num_layers=2,
            dropout=0.2,
            bidirectional=bidirectional,
        )
        scales = fit_scales(panel, season_length=12, scaling="standard")
        reader = WindowReader(panel, FEATURES, scales, horizon=4, device=torch.device("cpu"))
        windows = training_cutoffs(panel, horizon=4, lookback=12, season_length=12)
        self.sampler = Sampler(reader, windows, settings)

    def run(
        self, *, checkpoint: Path | None = None, watcher: Watcher | None = None, fingerprint: str = "same"
    ) -> Fit:
        def score(average: Network) -> float:  # falls while the weights move away from where they began
            return -float((flat(average) - began).norm())

        began = self.weights

        return fit(
            self.network,
            FEATURES,
            self.sampler,
            self.plan,
            validate=score,
            checkpoint=checkpoint,
            fingerprint=fingerprint,
            watcher=watcher,
        )

    @property
    def weights(self) -> torch.Tensor:
        return flat(self.network)


def flat(network: Network) -> torch.Tensor:
    """All weights as one vector."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def stop_after(steps: int) -> Watcher:
    count = iter(range(1, 1000))
    return Watcher(stop_signal=lambda: 15 if next(count) >= steps else None)


@pytest.mark.parametrize("stopped_after", [1, 5, 7, 10, 19])
def test_a_resumed_training_ends_with_the_same_weights_to_the_bit(tmp_path: Path, stopped_after: int) -> None:
    straight = Training(plan())
    expected = straight.run()

    first = Training(plan())
    with pytest.raises(StoppedError, match=f"step {stopped_after}") as stopped:
        first.run(checkpoint=tmp_path, watcher=stop_after(stopped_after))
    resumed = Training(plan())
    done = resumed.run(checkpoint=tmp_path)

    assert stopped.value.exit_code == 143
    assert torch.equal(resumed.weights, straight.weights)
    same = ("step", "loss", "validation", "learning_rate")
    assert [[r[k] for k in same] for r in done.history] == [[r[k] for k in same] for r in expected.history]


def test_a_training_killed_between_validations_resumes_from_the_last_one(tmp_path: Path) -> None:
    straight = Training(plan())
    straight.run()
    killed = Training(plan())

    def kill(step: int) -> None:
        if step == 13:
            raise MemoryError

    with pytest.raises(MemoryError):
        killed.run(checkpoint=tmp_path, watcher=Watcher(on_step=kill))
    resumed = Training(plan())
    resumed.run(checkpoint=tmp_path)
    assert torch.equal(resumed.weights, straight.weights)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    weights = []
    for seed in (3, 3, 4):
        training = Training(plan(seed=seed))
        training.run()
        weights.append(training.weights)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_timing_a_step_leaves_no_trace() -> None:
    timed = Training(plan())
    assert seconds_per_step(timed.network, FEATURES, timed.sampler, timed.plan) > 0
    timed.run()
    straight = Training(plan())
    straight.run()
    assert torch.equal(timed.weights, straight.weights)


def test_a_checkpoint_of_another_config_or_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        Training(plan()).run(checkpoint=tmp_path, watcher=stop_after(5), fingerprint="one")
    with pytest.raises(ConfigError, match="other settings or other data"):
        Training(plan()).run(checkpoint=tmp_path, fingerprint="two")


def test_the_best_weights_are_kept_and_training_stops_when_it_gets_no_better() -> None:
    training = Training(plan(steps=100, patience=3))
    scores = iter([5.0, 4.0, 1.0, 2.0, 3.0, 4.0])
    weights = []

    def validate(average: Network) -> float:
        weights.append(flat(average))
        return next(scores)

    done = fit(training.network, FEATURES, training.sampler, training.plan, validate=validate)
    assert (done.step, done.best_step, done.best_score) == (25, 10, 1.0)
    assert torch.equal(training.weights, weights[2])


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_series() -> None:
    training = Training(plan())
    with torch.no_grad():
        training.network.base[0] = torch.nan
    with pytest.raises(TrainingError, match=r"loss of step 1 is nan.*'s0', 's1'.*learning_rate"):
        training.run()


def test_training_fits_a_noiseless_season() -> None:
    y = seasonal_series(200, noise=0.0, trend=0.0, season_length=8)  # lag 12 alone does not repeat it
    training = Training(plan(steps=150, learning_rate=0.02), panel=panel_of(y))
    done = fit(training.network, FEATURES, training.sampler, training.plan, validate=None)
    assert done.history[-1]["loss"] < 0.3 * done.history[0]["loss"]


def test_a_bidirectional_network_trains_as_well() -> None:
    training = Training(plan(), bidirectional=True)
    before = training.weights.clone()
    training.run()
    assert not torch.equal(training.weights, before)


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [plan(steps=100).rate(step) for step in range(1, 101)]
    assert max(rates) == pytest.approx(0.01)
    assert rates.index(max(rates)) == 9
    assert all(np.diff(rates[9:]) < 0)
    assert rates[-1] == pytest.approx(0.0002)


def test_training_windows_have_their_whole_horizon_inside_the_series() -> None:
    panel = panel_of(np.zeros(30), np.zeros(5), np.zeros(20))
    series, first, last = training_cutoffs(panel, horizon=4, lookback=8, season_length=12)
    assert series.tolist() == [0, 2]
    assert first.tolist() == [7, 35 + 7]
    assert last.tolist() == [29 - 4, 54 - 4]


def test_series_are_drawn_as_often_as_each_other() -> None:
    training = Training(plan(batch_size=4000))
    series, rows = training.sampler.draw()
    assert (series == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert rows.min() == 11
    assert rows.max() == 60 + 39 - 4


def test_series_too_short_to_learn_from_are_refused_with_the_arithmetic() -> None:
    with pytest.raises(DataError, match=r"longest has 6 rows.*9 are needed"):
        training_cutoffs(panel_of(np.zeros(6)), horizon=4, lookback=8, season_length=12)
