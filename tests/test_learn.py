"""What the fit chooses: the scaling, the steps of a budget, and the series it leaves to the seasonal naive."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import config, seasonal_frame

from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError, StoppedError
from tsforecast.evaluation.baselines import seasonal_naive
from tsforecast.features.auto import resolve
from tsforecast.forecasting.forecast import forecast_values
from tsforecast.recurrent.network import Network
from tsforecast.training import learn as module
from tsforecast.training.fit import Watcher
from tsforecast.training.learn import Learned, learn, seconds_of, trial_steps
from tsforecast.workflows.predict import load_run
from tsforecast.workflows.train import check_skill, read_data, report, train

FRAME = seasonal_frame(n_series=3, length=72)
CPU = torch.device("cpu")
SECONDS_PER_STEP = 0.5


def learned(settings: Config) -> Learned:
    panel = read_data(settings, FRAME).panel
    return learn(panel, resolve(settings, panel), device=CPU)


@pytest.fixture
def standard_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials in which the second scaling validates better, whatever the data."""
    score = module._Held.score

    def better(self: module._Held, network: Network) -> float:
        return score(self, network) * (0.1 if self._reader.features.scaling == "standard_by_window" else 1.0)

    monkeypatch.setattr(module._Held, "score", better)


@pytest.mark.usefixtures("standard_wins")
def test_the_scaling_that_validates_better_after_a_trial_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_TRIAL", 2)
    found = learned(config())
    assert found.config.scaling == found.model.features.scaling == "standard_by_window"
    assert learned(config(scaling="robust")).config.scaling == "robust"


@pytest.mark.usefixtures("standard_wins")
def test_a_training_not_longer_than_its_trials_goes_without() -> None:
    assert learned(config()).config.scaling == "seasonal"
    assert (trial_steps(12), trial_steps(200), trial_steps(3000)) == (0, 100, 300)


def test_a_trial_leaves_no_trace_in_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_TRIAL", 2)
    chosen = learned(config())
    given = learned(config(scaling=chosen.config.scaling))
    assert chosen.fits[0].history[-1]["loss"] == given.fits[0].history[-1]["loss"]


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("1.5m", 90), ("2h", 7200)])
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["60", "-1s", "1 day", "1e3s"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"training\.budget"):
        config(training={"budget": text})


@pytest.fixture
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps and validations that always take the same time."""
    monkeypatch.setattr(module, "seconds_per_step", lambda *_: SECONDS_PER_STEP)
    monkeypatch.setattr(module, "_seconds_per_validation", lambda *_: 0.0)


@pytest.mark.usefixtures("known_speed")
def test_a_budget_becomes_steps_with_the_final_fit_inside(tmp_path: Path) -> None:
    steps = {}
    for final_fit in (True, False):
        settings = config(
            training={"budget": "10s", "batch_size": 16, "final_fit": final_fit}, scaling="seasonal"
        )
        trained = train(settings, path=tmp_path / str(final_fit), source=FRAME)
        steps[final_fit] = trained.config.training.max_steps
        assert trained.config.training.budget is None
    assert steps == {True: int(10 / SECONDS_PER_STEP / 1.25), False: int(10 / SECONDS_PER_STEP)}


@pytest.mark.usefixtures("known_speed")
def test_a_resumed_budget_keeps_the_steps_it_came_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(training={"budget": "10s", "batch_size": 16}, scaling="seasonal")
    straight = train(settings, path=tmp_path / "straight", source=FRAME)
    seen: list[int] = []
    watcher = Watcher(on_step=seen.append, stop_signal=lambda: 2 if len(seen) == 7 else None)
    with pytest.raises(StoppedError):
        train(settings, path=tmp_path / "run", source=FRAME, watcher=watcher)
    monkeypatch.setattr(module, "seconds_per_step", lambda *_: 2 * SECONDS_PER_STEP)
    resumed = train(settings, path=tmp_path / "run", source=FRAME, resume=True)
    assert resumed.config == straight.config
    pd.testing.assert_frame_equal(resumed.forecast, straight.forecast, check_exact=True)


@pytest.fixture
def poor(monkeypatch: pytest.MonkeyPatch) -> Config:
    """Settings of a network that forecasts the mean of its window, which is worse than to repeat a season."""
    monkeypatch.setattr(module, "_best_base", lambda *_, **__: None)
    return config(
        training={"max_steps": 1, "batch_size": 4},
        forecast={"fallback": "seasonal_naive"},
        model={"hidden_size": 2},
    )


def test_what_does_not_beat_the_seasonal_naive_is_forecast_by_it(
    tmp_path: Path, poor: Config, caplog: pytest.LogCaptureFixture
) -> None:
    trained = train(poor, path=tmp_path / "run", source=FRAME)
    panel = trained.panel
    naive = seasonal_naive(panel, panel.last_cutoffs, 6, 12)
    assert trained.fell_back == trained.metrics["fell_back"] == 1.0
    np.testing.assert_allclose(trained.forecast["y_hat"].to_numpy().reshape(3, 6), naive, rtol=1e-12)
    assert "3 of 3 series are forecast by the seasonal naive" in caplog.text
    loaded = load_run(tmp_path / "run").model
    again = forecast_values(loaded, panel, panel.last_cutoffs, 6, quantile_levels=[0.5])
    np.testing.assert_allclose(again[..., 0], naive, rtol=1e-12)


def test_the_skill_without_the_fallback_stands_beside(tmp_path: Path, poor: Config) -> None:
    trained = train(poor, path=tmp_path / "run", source=FRAME)
    assert trained.scores is not None
    skill = trained.scores.by_model["skill"]
    assert skill["lstm"] == pytest.approx(0)
    assert abs(skill["lstm_alone"]) > 0.1
    assert "lstm_alone" in report(trained)
    check_skill(trained, -0.01)


def test_series_are_judged_one_by_one_where_there_are_enough_windows(
    poor: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = learned(poor).model.falls_back
    assert lost is not None
    assert lost.tolist() == [True, True, True]
    naive = module.seasonal_naive

    def bad_for_the_first(panel: object, cutoffs: object, *rest: object) -> object:
        made = naive(panel, cutoffs, *rest)  # type: ignore[arg-type]
        return np.where((cutoffs.series == 0)[:, None], made + 1000, made)  # type: ignore[attr-defined]

    monkeypatch.setattr(module, "seasonal_naive", bad_for_the_first)
    monkeypatch.setattr(module, "ENOUGH_TO_JUDGE", 1)
    alone = learned(poor).model.falls_back
    assert alone is not None
    assert alone.tolist() == [False, True, True]


def test_nothing_falls_back_unless_asked(poor: Config) -> None:
    asked = poor.model_copy(update={"forecast": poor.forecast.model_copy(update={"fallback": "none"})})
    assert learned(asked).model.falls_back is None
