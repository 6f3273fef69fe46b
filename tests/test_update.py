"""An update learns from new rows, is judged by rows that neither model has seen, and never leaves half a run."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import config, panel_of, seasonal_frame
from test_cli import tsforecast

from tsforecast.config.schema import Config
from tsforecast.errors import DataError, LockedError, RunError, StoppedError
from tsforecast.forecasting.forecast import FittedModel
from tsforecast.runs import open_run, verify_run, version_names
from tsforecast.series.panel import Panel
from tsforecast.storage.lock import locked
from tsforecast.training.fit import Watcher
from tsforecast.workflows import update as workflow
from tsforecast.workflows.predict import LoadedRun, load_run, predict
from tsforecast.workflows.train import train
from tsforecast.workflows.update import Updated, report, rollback, update

WHOLE = seasonal_frame(n_series=3, length=120)
# The season turns over after row 72, which is what an update has to learn.
CHANGED = WHOLE.assign(
    y=WHOLE["y"].where(WHOLE.groupby("unique_id").cumcount() < 72, 40 - WHOLE["y"]).round(3)
)


def first(rows: int, frame: pd.DataFrame = CHANGED) -> pd.DataFrame:
    """The first rows of each series."""
    return frame[frame.groupby("unique_id").cumcount() < rows].reset_index(drop=True)


def trained(path: Path, rows: int = 72, **changes: Any) -> Path:
    training = {"max_steps": 40, "batch_size": 16} | changes.pop("training", {})
    train(config(training=training, **changes), path=path, source=first(rows))
    return path


def content(path: Path) -> dict[str, str]:
    """The hash of each file of a run."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def always_wins(outcome: Updated, *given: Any, **known: Any) -> Updated:
    """Stands in for the comparison, where a test is about what follows."""
    scores, *_ = given
    return replace(outcome, scores=scores, metric="mase", champion=1.0, challenger=0.5, **known)


@pytest.fixture
def winning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is better, the challenger wins."""
    monkeypatch.setattr(workflow, "_compared", always_wins)


def spoiled(run: LoadedRun) -> LoadedRun:
    """The run with a model whose forecasts all lie off by half a scale, and more with each step."""
    network = copy.deepcopy(run.model.network)
    with torch.no_grad():
        network.head.linear.bias += 0.5
    return replace(run, model=replace(run.model, network=network))


@pytest.fixture
def poor_champion(monkeypatch: pytest.MonkeyPatch, run: Path) -> None:
    """The champion is spoiled, and the challenger learns on from what it was before."""
    good, learn_on = load_run(run, device="cpu").model, workflow.learn_on
    monkeypatch.setattr(workflow, "load_run", lambda *paths, **known: spoiled(load_run(*paths, **known)))
    monkeypatch.setattr(workflow, "learn_on", lambda _, *given, **known: learn_on(good, *given, **known))


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("update") / "run")


@pytest.fixture
def run(champion: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(champion, tmp_path / "run"))


@pytest.mark.usefixtures("poor_champion")
def test_a_better_challenger_takes_the_place_and_the_old_version_is_kept(run: Path) -> None:
    before = content(run)
    updated = update(run, first(108))
    assert updated.replaced
    assert updated.challenger < updated.champion
    assert (updated.n_new, updated.window, updated.metric) == (36, 6, "mase")
    assert verify_run(run) == []
    assert content(run / "versions" / "0001") == before
    assert open_run(run).model["version"] == updated.version == 2
    made, panel = predict(load_run(run, device="cpu"))
    assert made["cutoff"].unique().tolist() == [first(108)["ds"].max()]
    assert panel.n_series == 3
    assert "The challenger wins: MASE" in report(updated)
    assert f"`tsforecast rollback {run}`" in report(updated)


@pytest.mark.usefixtures("poor_champion")
def test_what_is_told_is_what_the_scores_say(run: Path) -> None:
    updated = update(run, first(108))
    models = json.loads((run / "metrics.json").read_text())["test"]["models"]
    assert models["lstm"]["mase"] == updated.challenger
    assert models["champion"]["mase"] == updated.champion
    assert models["seasonal_naive"]["mase"] == updated.seasonal_naive
    told = json.loads((run / "model.json").read_text())["update"]
    assert (told["champion"], told["challenger"]) == (updated.champion, updated.challenger)
    # By hand: the champion's forecast of the newest 6 steps, made from the rows before.
    old = spoiled(load_run(run / "versions" / "0001", device="cpu"))
    made, _ = predict(old, first(102))
    actual = first(108).groupby("unique_id").tail(6)
    error = np.abs(made["y_hat"].to_numpy() - actual["y"].to_numpy()).reshape(3, 6).mean(axis=1)
    y = first(102)["y"].to_numpy().reshape(3, 102)
    usual = np.abs(y[:, 12:] - y[:, :-12]).mean(axis=1)
    assert updated.champion == pytest.approx((error / usual).mean(), rel=1e-6)


def test_a_champion_that_is_no_worse_stays_to_the_last_byte(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "learn_on", lambda model, *_, **__: model)
    before = content(run)
    updated = update(run, first(108))
    assert not updated.replaced
    assert content(run) == before
    assert "The champion stays: MASE" in report(updated)
    assert "and the challenger's is the same" in report(updated)
    assert "stays at version 1" in report(updated)


class Spy:
    """Notes what each warm start was given and made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panels: list[Panel] = []
        self.begun: list[FittedModel] = []
        self.models: list[FittedModel] = []
        self.known: list[dict[str, Any]] = []
        self._learn_on = workflow.learn_on
        monkeypatch.setattr(workflow, "learn_on", self)

    def __call__(self, model: FittedModel, panel: Panel, *arguments: Any, **known: Any) -> FittedModel:
        self.panels.append(panel)
        self.begun.append(model)
        self.known.append(known)
        self.models.append(self._learn_on(model, panel, *arguments, **known))
        return self.models[-1]


def weights(model: FittedModel) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in model.network.state_dict().values()])


@pytest.mark.usefixtures("winning")
def test_the_challenger_sees_the_newest_window_only_after_it_has_won(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    assert update(run, first(108)).replaced
    judged, final = spy.panels
    assert set(judged.lengths) == {102}
    assert set(final.lengths) == {108}
    assert spy.begun[1] is spy.models[0], "goes on from where it won"
    for panel, known in zip(spy.panels, spy.known, strict=True):
        assert (known["since"] - panel.offsets[:-1]).tolist() == [72, 72, 72], "what is new is learned most"
    other = first(108)
    newest = other.groupby("unique_id").cumcount() >= 102
    other.loc[newest, "y"] *= 3
    rollback(run)
    update(run, other)
    assert torch.equal(weights(spy.models[0]), weights(spy.models[2]))


def test_without_a_final_fit_the_newest_window_stays_unseen_and_is_new_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path / "run", training={"final_fit": False}, split={"test": 12})
    spy = Spy(monkeypatch)
    monkeypatch.setattr(workflow, "_compared", always_wins)
    updated = update(run, first(90))
    assert updated.n_new == 18 + 12  # the test part was never learned from
    assert updated.replaced
    assert len(spy.panels) == 1
    assert update(run, first(90)).n_new == updated.window == 6


@pytest.mark.usefixtures("winning")
def test_each_update_draws_other_windows_than_the_one_before(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    update(run, first(90))
    update(run, first(108))
    assert [known["seed"] for known in spy.known] == [1, 1, 2, 2]


@pytest.mark.usefixtures("winning")
def test_a_series_without_new_rows_is_no_judge(run: Path) -> None:
    frame = first(108)
    ended = (frame["unique_id"] == "s2") & (frame.groupby("unique_id").cumcount() >= 72)
    updated = update(run, frame[~ended])
    assert updated.scores is not None
    assert updated.scores.n_series == 2


def test_rows_that_are_new_are_no_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the old rows of a series are not there any more, those of the series before it are none of its own."""
    panel = replace(panel_of(range(8), range(5), range(6)), starts=np.array([0, 20, 3]))
    monkeypatch.setattr(workflow, "learned_until", lambda *_: {"s0": 4, "s1": 9})
    assert workflow._new_rows(SimpleNamespace(), panel).tolist() == [3, 5, 6]  # type: ignore[arg-type]


def test_a_window_shorter_than_the_horizon_needs_twenty_values() -> None:
    run: Any = SimpleNamespace(config=SimpleNamespace(horizon=12))
    assert workflow._why_wait(run, np.full(5, 8), 8, 4, is_asked=False) == ""
    assert "too few to tell" in workflow._why_wait(run, np.array([8, 8, 8, 8, 3]), 8, 4, is_asked=False)
    assert workflow._why_wait(run, np.array([24]), 24, 12, is_asked=False) == ""


@pytest.mark.usefixtures("winning")
def test_the_same_update_gives_the_same_weights(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    update(run, first(108))
    rollback(run)
    update(run, first(108).sample(frac=1, random_state=0))
    assert torch.equal(weights(spy.models[1]), weights(spy.models[3]))


@pytest.mark.parametrize(
    ("rows", "window", "words"),
    [
        (72, None, "No row is new."),
        (60, None, "No row is new."),
        (73, None, "1 row is new, and more than 1 are needed"),
        (
            76,
            None,
            "4 rows are new, too few to tell which model is better by half of them (2 of 3 series; --window 2",
        ),
        (84, 12, "12 rows are new, and more than 12 are needed"),
    ],
)
def test_too_few_new_rows_change_nothing_and_it_is_said_what_is_waited_for(
    rows: int, window: int | None, words: str, run: Path
) -> None:
    before = content(run)
    updated = update(run, first(rows), window=window)
    assert not updated.replaced
    assert report(updated).startswith(words)
    assert content(run) == before


def test_few_new_rows_are_shared_between_learning_and_judging(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", horizon=12)
    assert update(run, first(86)).window == 7  # 21 values
    assert update(run, first(92), window=2).window == 2
    assert update(run, first(120), window=14).window == 14


def test_a_series_that_is_new_does_not_make_the_rows_of_the_others_new(run: Path) -> None:
    more = first(72)
    more = pd.concat([more, more[more["unique_id"] == "s0"].assign(unique_id="new")])
    assert update(run, more).n_new == 0


def test_new_rows_alone_are_refused_with_the_way_out(run: Path) -> None:
    alone = CHANGED[CHANGED.groupby("unique_id").cumcount() >= 106]
    with pytest.raises(DataError, match=r"no series is long enough .* not the new ones alone"):
        update(run, alone)
    assert verify_run(run) == []


def test_a_new_series_is_learned_and_one_that_is_gone_is_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workflow, "_compared", always_wins)
    frame = first(108)
    frame["unique_id"] = frame["unique_id"].replace({"s2": "new"})
    assert update(run, frame).replaced
    assert "1 series of the run have no row, so a new version does not know them: 's2'" in caplog.text
    assert load_run(run, device="cpu").model.unique_ids == ("new", "s0", "s1")


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"cell": "esn", "hidden_size": 30}},
        {"model": {"hidden_size": 8, "ensemble": 2}},
        {"model": {"hidden_size": 8, "bidirectional": True}},
        {"model": {"hidden_size": 8, "head": "normal"}},
        {"transform": "boxcox", "difference": 12},
        {"forecast": {"strategy": "direct", "fallback": "seasonal_naive"}},
        {"scaling": "standard"},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_every_kind_of_model_is_updated_and_comes_back_as_it_was_written(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "_compared", always_wins)
    frame = WHOLE
    train(config(**changes), path=tmp_path / "run", source=first(72, frame))
    assert update(tmp_path / "run", first(108, frame)).replaced
    assert verify_run(tmp_path / "run") == []
    written = pd.read_csv(tmp_path / "run" / "forecast.csv", parse_dates=["ds", "cutoff"])
    made, _ = predict(load_run(tmp_path / "run", device="cpu"))
    np.testing.assert_allclose(made["y_hat"], written["y_hat"], rtol=1e-6)
    assert (tmp_path / "run" / "plots" / "training.png").exists()
    again = update(tmp_path / "run", first(120, frame))
    assert (again.version, again.kept) == (3, 2)


def test_a_challenger_is_judged_by_squares_where_the_training_was(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", model={"hidden_size": 8, "head": "mse"})
    assert update(run, first(108)).metric == "rmsse"


def test_where_no_series_changes_nothing_scaled_can_judge(tmp_path: Path) -> None:
    flat = WHOLE.assign(y=5.0)
    train(config(), path=tmp_path / "run", source=first(72, flat))
    updated = update(tmp_path / "run", first(108, flat))
    assert updated.metric == "mae"
    assert not updated.replaced


def test_data_of_another_frequency_is_refused(run: Path) -> None:
    weekly = first(108)
    weekly["ds"] = pd.concat([pd.Series(pd.date_range("2015-01-04", periods=108, freq="W"))] * 3).to_numpy()
    with pytest.raises(RunError, match="frequency"):
        update(run, weekly)


def test_a_signal_leaves_the_run_as_it_was(run: Path) -> None:
    before, seen = content(run), list[int]()
    watcher = Watcher(on_step=seen.append, stop_signal=lambda: 15 if len(seen) == 3 else None)
    with pytest.raises(
        StoppedError, match="run: the update was stopped by signal 15; the run is as it was"
    ) as stop:
        update(run, first(108), watcher=watcher)
    assert stop.value.exit_code == 143
    assert content(run) == before
    assert [path.name for path in run.parent.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.usefixtures("winning")
def test_of_two_writers_the_second_is_told_so_at_once(run: Path) -> None:
    with locked([run], command="batch"):
        with pytest.raises(LockedError, match="run: "):
            update(run, first(108))
        with pytest.raises(RunError, match="keeps no older version"):
            rollback(run)
    assert update(run, first(108)).replaced


@pytest.mark.usefixtures("winning")
def test_a_run_that_is_trained_anew_is_not_updated_meanwhile(run: Path) -> None:
    update(run, first(108))  # so that there is something to go back to
    refused: list[int] = []

    def meanwhile(step: int) -> None:
        if step == 3:
            for act in (lambda: update(run, first(108)), lambda: rollback(run)):
                with pytest.raises(LockedError, match=r"`tsforecast train x\.yaml`") as error:
                    act()
                refused.append(error.value.exit_code)

    train(
        config(training={"max_steps": 5}),
        path=run,
        source=first(72),
        overwrite=True,
        watcher=Watcher(on_step=meanwhile),
        command=["tsforecast", "train", "x.yaml"],
    )
    assert refused == [75, 75]


def test_update_and_rollback_can_wait(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("update", "run", "sales.csv", "--wait", "--as-of", "2020-12-01") == 0
    with locked([job], command="batch"):
        assert tsforecast("update", "run", "sales.csv", "--wait", "0.1", "-v") == 75
    assert "waiting for process" in capfd.readouterr().err
    assert tsforecast("rollback", "run", "--wait=0.1") == 4


@pytest.mark.usefixtures("winning")
def test_a_run_of_the_first_format_can_be_updated(run: Path) -> None:
    model = json.loads((run / "model.json").read_text())
    for name in ("version", "held_back"):
        del model[name]
    model["format_version"] = 1
    (run / "model.json").write_text(json.dumps(model))
    (run / "run.json").unlink()
    manifest: dict[str, Any] = {"format_version": 1, "files": {}}
    for name, sha256 in content(run).items():
        if name != "manifest.json":
            manifest["files"][name] = {"size": (run / name).stat().st_size, "sha256": sha256}
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert update(run, first(108)).version == 2
    assert open_run(run / "versions" / "0001").model["version"] == 1
    assert verify_run(run) == []


@pytest.mark.usefixtures("winning")
def test_a_forecast_during_updates_is_that_of_one_version(run: Path) -> None:
    """Read over and over while the run is updated and rolled back, it is the old one or the new one to the last bit."""
    data = first(108)
    of_version = {1: predict(load_run(run, device="cpu"), data)[0]["y_hat"].tolist()}
    update(run, data)
    of_version[2] = predict(load_run(run, device="cpu"), data)[0]["y_hat"].tolist()
    failures: list[BaseException] = []
    done = threading.Event()

    def replace_over_and_over() -> None:
        try:
            for _ in range(4):
                rollback(run)
                update(run, data)
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=replace_over_and_over)
    writer.start()
    seen = []
    while not done.is_set():
        loaded = load_run(run, device="cpu")
        seen.append(loaded.version)
        assert predict(loaded, data)[0]["y_hat"].tolist() == of_version[loaded.version]
    writer.join()
    assert not failures
    assert set(seen) == {1, 2}


@pytest.fixture
def job(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(run.parent)
    first(108).to_csv("sales.csv", index=False)
    return run


@pytest.mark.usefixtures("winning")
def test_the_command_says_who_won_and_rollback_brings_the_old_one_back(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = content(job)
    assert tsforecast("update", "run", "sales.csv", "--keep", "2") == 0
    out, err = capfd.readouterr()
    assert "36 new rows; judged by the newest 6 of 3 series" in out
    assert "challenger" in out
    assert "seasonal_naive" in out
    assert "run is version 2 now; `tsforecast rollback run` brings back what it was" in out
    assert err == ""
    receipt = json.loads((job / "run.json").read_text())
    assert receipt["command"] == ["tsforecast", "update", "run", "sales.csv", "--keep", "2"]
    assert receipt["updated_from"] == 1
    assert tsforecast("rollback", "run") == 0
    assert capfd.readouterr().out == "run is version 1 again.\n"
    assert content(job) == before
    assert tsforecast("rollback", "run") == 4
    assert "keeps no older version" in capfd.readouterr().err


def test_json_is_one_document_and_a_quiet_night_exits_with_0(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("update", "run", "sales.csv", "--json", "--as-of", "2020-12-01") == 0
    document = json.loads(capfd.readouterr().out)
    assert document == {
        "run": "run",
        "version": 1,
        "replaced": False,
        "new_rows": 0,
        "reason": "No row is new.",
        "window": 0,
        "metric": None,
        "champion": None,
        "challenger": None,
        "seasonal_naive": None,
        "failures": 0,
        "scores": None,
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["update", "nowhere", "sales.csv"], 4),
        (["update", "run", "gone.csv"], 3),
        (["update", "run", "sales.csv", "--window", "0"], 2),
        (["update", "run", "sales.csv", "--keep", "-1"], 2),
        (["rollback", "nowhere"], 4),
    ],
)
def test_what_is_wrong_is_one_message_and_its_exit_code(
    words: Sequence[str], code: int, job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = content(job)
    assert tsforecast(*words) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert content(job) == before
    assert not Path(".nowhere.lock").exists()


@pytest.mark.usefixtures("winning")
def test_a_bad_series_is_left_out_and_the_exit_code_is_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id", "on_bad_series": "skip"}
    trained(tmp_path / "run", data=data)
    frame = first(108)
    frame.loc[frame["unique_id"] == "s1", "y"] = np.inf
    frame.to_csv("sales.csv", index=False)
    assert tsforecast("update", "run", "sales.csv") == 5
    assert "s1" in (tmp_path / "run" / "failures.csv").read_text()


def test_new_future_covariates_are_judged_with_what_was_known(tmp_path: Path) -> None:
    data = {
        "path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id", "covariates": {"future": ["price"]},
    }  # fmt: skip
    frame = CHANGED.assign(price=np.random.default_rng(0).normal(size=len(CHANGED)))
    settings: Config = config(data=data, training={"max_steps": 40, "batch_size": 16})
    train(settings, path=tmp_path / "run", source=first(72, frame))
    assert update(tmp_path / "run", first(108, frame)).window == 6
    assert version_names(tmp_path / "run") in ([], ["0001"])
