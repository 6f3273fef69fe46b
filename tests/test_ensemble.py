"""Several networks as one forecast: what is pooled, what is stored, and what a stop leaves."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import config, seasonal_frame

from tsforecast.errors import StoppedError
from tsforecast.forecasting.forecast import forecast, forecast_paths
from tsforecast.forecasting.paths import paths_of
from tsforecast.recurrent.ensemble import Ensemble
from tsforecast.recurrent.rollout import rollout
from tsforecast.training import learn as module
from tsforecast.training.fit import Watcher
from tsforecast.workflows.predict import load_run, predict
from tsforecast.workflows.report import report
from tsforecast.workflows.train import Trained, train

FRAME = seasonal_frame(n_series=3, length=72)
HORIZON = 6


def trained(path: Path, *, ensemble: int = 3, **more: object) -> Trained:
    return train(config(model={"ensemble": ensemble, "hidden_size": 8}, **more), path=path, source=FRAME)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("ensemble") / "run")


def test_the_forecast_is_the_mean_of_the_rollouts_of_all_members(run: Trained) -> None:
    model, cutoffs = run.model, run.panel.last_cutoffs
    batch = model.reader(run.panel, horizon=HORIZON).read(cutoffs, HORIZON)
    with torch.no_grad():
        members = [
            batch.unscaled(rollout(one, model.features, batch, HORIZON)) for one in model.network.members
        ]
    assert len(members) == 3
    assert min((a - b).abs().max() for a, b in pairwise(members)) > 1e-3
    expected = (members[0] + members[1] + members[2]).numpy() / 3
    made = forecast(model, run.panel, cutoffs, HORIZON).y_hat
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_the_first_member_is_the_network_that_is_trained_alone(run: Trained, tmp_path: Path) -> None:
    alone = trained(tmp_path / "alone", ensemble=1)
    first = run.model.network.members[0]
    assert not isinstance(alone.model.network, Ensemble)
    for name, weight in alone.model.network.state_dict().items():
        torch.testing.assert_close(first.state_dict()[name], weight, rtol=0, atol=0)
    assert alone.fit.history[-1]["validation"] == run.fits[0].history[-1]["validation"]


def test_members_of_neighbouring_seeds_are_not_the_same(run: Trained, tmp_path: Path) -> None:
    other = trained(tmp_path / "other", training={"seed": 2, "max_steps": 12, "batch_size": 16})
    scores = [done.best_score for done in (*run.fits, *other.fits)]
    assert len(set(scores)) == 6


def test_paths_are_dealt_out_to_the_members_in_turn(run: Trained) -> None:
    model, cutoffs = run.model, run.panel.last_cutoffs
    reader = model.reader(run.panel, horizon=HORIZON)
    settings = {
        "n_paths": 6,
        "seed": 1,
        "residuals": np.zeros((1, 1)),
    }  # without noise a path is its member's rollout
    of_all = paths_of(model.network, reader, cutoffs, HORIZON, **settings)
    for number, member in enumerate(model.network.members):
        alone = paths_of(member, reader, cutoffs, HORIZON, **settings)
        np.testing.assert_allclose(of_all[:, number::3], alone[:, number::3], rtol=1e-6)


def test_fewer_paths_than_members_and_quantiles_that_agree_with_many(run: Trained) -> None:
    model, cutoffs = run.model, run.panel.last_cutoffs
    assert forecast_paths(model, run.panel, cutoffs, HORIZON, n_paths=2).shape == (3, 2, HORIZON)
    paths = forecast_paths(model, run.panel, cutoffs, HORIZON, n_paths=501)
    stated = run.forecast["q0.9"].to_numpy().reshape(3, HORIZON)
    np.testing.assert_allclose(np.quantile(paths, 0.9, axis=1), stated, rtol=0.02)


@pytest.mark.parametrize("cell", ["lstm", "esn"])
def test_a_stored_ensemble_forecasts_the_same(tmp_path: Path, cell: str) -> None:
    model = {"ensemble": 2, "cell": cell, "hidden_size": 8}
    made = train(config(model=model), path=tmp_path / "run", source=FRAME)
    again = load_run(tmp_path / "run")
    assert len(again.model.network.members) == 2
    pd.testing.assert_frame_equal(predict(again, FRAME)[0], made.forecast, check_exact=True)


def test_a_training_stopped_in_a_later_member_goes_on_to_the_same_weights(
    run: Trained, tmp_path: Path
) -> None:
    seen: list[int] = []
    watcher = Watcher(on_step=seen.append, stop_signal=lambda: 15 if len(seen) == 17 else None)
    settings = config(model={"ensemble": 3, "hidden_size": 8})
    with pytest.raises(StoppedError, match="--resume"):
        train(settings, path=tmp_path / "run", source=FRAME, watcher=watcher)
    resumed = train(settings, path=tmp_path / "run", source=FRAME, resume=True)
    assert seen[-1] == 17  # counted on from the first member's 12
    pd.testing.assert_frame_equal(resumed.forecast, run.forecast, check_exact=True)
    assert not (tmp_path / ".run.train").exists()


def test_history_and_metrics_say_which_member(run: Trained, tmp_path: Path) -> None:
    trained(tmp_path / "run")
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert {record["member"] for record in history} == {1, 2, 3}
    assert run.metrics["members"] == 3
    assert run.metrics["best_step"] == [done.best_step for done in run.fits]
    assert run.metrics["steps"] == 3 * 12


def test_a_budget_is_for_all_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "seconds_per_step", lambda *_: 0.5)
    monkeypatch.setattr(module, "_seconds_per_validation", lambda *_: 0.0)
    training = {"budget": "15s", "batch_size": 16, "final_fit": False}
    made = trained(tmp_path / "run", training=training, scaling="seasonal")
    assert made.config.training.max_steps == 10


def test_a_report_is_made_of_an_ensemble(tmp_path: Path) -> None:
    trained(tmp_path / "run")
    assert "Networks" in report(tmp_path / "run")
