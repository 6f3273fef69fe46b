import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import config, seasonal_frame
from test_lock import holder

import tsforecast
from tsforecast.config.schema import CELL_NAMES, HEAD_NAMES, Config
from tsforecast.errors import ConfigError, DataError, LockedError, QualityGateError, StoppedError
from tsforecast.evaluation.baselines import BASELINES
from tsforecast.storage.lock import locked
from tsforecast.training.fit import Watcher
from tsforecast.workflows import train as module
from tsforecast.workflows.predict import load_run, predict
from tsforecast.workflows.train import check_skill, report, train

FRAME = seasonal_frame(n_series=3, length=72)


def test_a_run_folder_holds_what_the_design_says(tmp_path: Path) -> None:
    trained = train(config(), path=tmp_path / "run", source=FRAME)
    files = {
        path.relative_to(tmp_path / "run").as_posix()
        for path in (tmp_path / "run").rglob("*")
        if path.is_file()
    }
    assert files == {
        "by_lead_time.csv",
        "config.yaml",
        "forecast.csv",
        "history.jsonl",
        "manifest.json",
        "metrics.json",
        "model.json",
        "model.safetensors",
        "plots/error_by_lead_time.png",
        "plots/forecast.png",
        "plots/test.png",
        "plots/training.png",
        "run.json",
        "scores.csv",
    }
    assert not (tmp_path / ".run.train").exists()
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics["test"]["models"]) == {"lstm", *BASELINES}
    written = pd.read_csv(tmp_path / "run" / "forecast.csv")
    assert written["y_hat"].tolist() == trained.forecast["y_hat"].tolist()
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [record["step"] for record in history] == list(range(13))
    assert history[-1]["windows_per_second"] > 0


def test_the_same_seed_gives_the_same_forecast(tmp_path: Path) -> None:
    first, second = (train(config(), path=tmp_path / name, source=FRAME).forecast for name in "ab")
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_another_seed_gives_another_forecast(tmp_path: Path) -> None:
    first = train(config(), path=tmp_path / "a", source=FRAME).forecast
    other = config(training={"max_steps": 12, "batch_size": 16, "seed": 2})
    assert not first["y_hat"].equals(train(other, path=tmp_path / "b", source=FRAME).forecast["y_hat"])


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    shuffled = FRAME.sample(frac=1, random_state=0)
    first, second = (
        train(config(), path=tmp_path / name, source=frame).forecast
        for name, frame in (("a", FRAME), ("b", shuffled))
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_test_part_does_not_reach_the_model_before_it_is_scored(tmp_path: Path) -> None:
    """Training, validation and the forecast windows of the test see nothing of what they are scored on."""
    changed = FRAME.copy()
    last = changed.groupby("unique_id").cumcount(ascending=False) < 6
    changed.loc[last, "y"] += 1000
    settings = config(training={"max_steps": 12, "batch_size": 16, "final_fit": False})
    first, second = (
        train(settings, path=tmp_path / name, source=frame) for name, frame in (("a", FRAME), ("b", changed))
    )
    for name, weight in first.model.network.state_dict().items():
        assert torch.equal(weight, second.model.network.state_dict()[name])
    assert first.fit.best_score == second.fit.best_score
    assert first.scores is not None
    assert second.scores is not None
    assert second.scores.by_model.loc["lstm", "mae"] > first.scores.by_model.loc["lstm", "mae"] + 900


def test_the_final_fit_learns_from_the_held_back_part(tmp_path: Path) -> None:
    changed = FRAME.copy()
    changed.loc[changed.groupby("unique_id").cumcount(ascending=False) < 6, "y"] *= 1.5
    settings = config(training={"max_steps": 60, "batch_size": 16, "learning_rate": 0.01})
    first, second = (
        train(settings, path=tmp_path / name, source=frame) for name, frame in (("a", FRAME), ("b", changed))
    )
    assert first.fit.best_step == second.fit.best_step > 0
    assert any(
        not torch.equal(weight, second.model.network.state_dict()[name])
        for name, weight in first.model.network.state_dict().items()
    )


def test_an_interrupted_training_is_resumed_to_the_same_forecast(tmp_path: Path) -> None:
    straight = train(config(), path=tmp_path / "straight", source=FRAME)
    seen: list[int] = []
    watcher = Watcher(on_step=seen.append, stop_signal=lambda: 2 if len(seen) == 7 else None)
    with pytest.raises(StoppedError) as stopped:
        train(config(), path=tmp_path / "run", source=FRAME, watcher=watcher)
    assert stopped.value.exit_code == 130
    assert not (tmp_path / "run").exists()
    resumed = train(config(), path=tmp_path / "run", source=FRAME, resume=True)
    pd.testing.assert_frame_equal(resumed.forecast, straight.forecast, check_exact=True)


def test_a_plain_train_replaces_an_interrupted_one(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(config(), path=tmp_path / "run", source=FRAME, watcher=Watcher(stop_signal=lambda: 15))
    assert (tmp_path / ".run.train").exists()
    train(config(horizon=4), path=tmp_path / "run", source=FRAME)
    assert not (tmp_path / ".run.train").exists()


def test_resuming_what_was_never_begun_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no interrupted training to resume"):
        train(config(), path=tmp_path / "run", source=FRAME, resume=True)


def test_an_existing_run_is_refused_before_training_and_replaced_when_told(tmp_path: Path) -> None:
    train(config(), path=tmp_path / "run", source=FRAME)
    with pytest.raises(ConfigError, match=r"--overwrite.*--resume"):
        train(config(), path=tmp_path / "run", source=FRAME, watcher=Watcher(on_step=pytest.fail))
    again = train(config(horizon=3), path=tmp_path / "run", source=FRAME, overwrite=True)
    assert again.forecast["lead_time"].max() == 3
    assert tsforecast.load(tmp_path / "run").config.horizon == 3


def test_short_series_are_trained_without_a_test_part_and_the_report_says_so(tmp_path: Path) -> None:
    trained = train(config(), path=tmp_path / "run", source=seasonal_frame(length=36))
    assert trained.config.split.test == 0
    assert trained.scores is None
    assert "No test part was held back" in report(trained)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"] is None


@pytest.mark.parametrize("horizon", [72, 500])
def test_a_horizon_as_long_as_the_series_is_refused(tmp_path: Path, horizon: int) -> None:
    with pytest.raises(DataError, match=rf"horizon: {horizon} steps ahead.*at most 72 rows"):
        train(config(horizon=horizon), path=tmp_path / "run", source=FRAME)


def test_series_too_short_to_learn_anything_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    data = {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id", "freq": "MS"}
    with pytest.raises(DataError, match="no series is long enough"):
        train(config(data=data, horizon=1), path=tmp_path / "run", source=seasonal_frame(length=2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_constant_series_are_forecast_as_they_are(tmp_path: Path, level: float) -> None:
    frame = FRAME.assign(y=level)
    trained = train(config(), path=tmp_path / "run", source=frame)
    assert trained.forecast["y_hat"].tolist() == pytest.approx([level] * 18, abs=1e-3)


def test_past_covariates_are_learned_from(tmp_path: Path) -> None:
    """The target repeats the covariate of the step before, which nothing else can tell."""
    x = pd.Series(np.random.default_rng(0).uniform(0, 10, 300))
    frame = pd.DataFrame(
        {"ds": pd.date_range("2020-01-01", periods=300), "x": x, "y": x.shift(1).fillna(0.0)}
    )
    settings = config(
        data={"path": "unused.csv", "time": "ds", "target": "y", "covariates": {"past": ["x"]}},
        horizon=1,
        training={"max_steps": 300, "learning_rate": 0.01},
    )
    with_x = train(settings, path=tmp_path / "with", source=frame).fit.best_score
    without = settings.model_copy(
        update={"data": settings.data.model_copy(update={"covariates": type(settings.data.covariates)()})}
    )
    assert with_x < 0.3 * train(without, path=tmp_path / "without", source=frame).fit.best_score


def test_the_quality_gate_names_skill_and_requirement(tmp_path: Path) -> None:
    trained = train(config(), path=tmp_path / "run", source=FRAME)
    check_skill(trained, -math.inf)
    with pytest.raises(QualityGateError, match=r"asks for more than 0\.99") as refused:
        check_skill(trained, 0.99)
    assert refused.value.exit_code == 6


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_every_cell_is_trained_stored_and_loaded(tmp_path: Path, cell: str) -> None:
    model: dict[str, object] = {"hidden_size": 8, "cell": cell, "num_layers": 2}
    trained = train(config(model=model), path=tmp_path / "run", source=FRAME)
    stored = json.loads((tmp_path / "run" / "model.json").read_text())
    assert stored["cell"] == cell
    assert trained.forecast["y_hat"].notna().all()
    loaded, _ = predict(load_run(tmp_path / "run"))
    pd.testing.assert_frame_equal(loaded, trained.forecast)


@pytest.mark.parametrize(
    "model", [{"cell": "lstm", "output_activation": "identity"}, {"cell": "gru", "reset": "before"}]
)
def test_a_variant_of_a_cell_forecasts_differently_and_is_loaded_as_such(
    tmp_path: Path, model: dict[str, object]
) -> None:
    plain = train(
        config(model={"hidden_size": 8, "cell": model["cell"]}), path=tmp_path / "plain", source=FRAME
    )
    variant = train(config(model={"hidden_size": 8, **model}), path=tmp_path / "variant", source=FRAME)
    assert (plain.forecast["y_hat"] - variant.forecast["y_hat"]).abs().max() > 1e-6
    pd.testing.assert_frame_equal(predict(load_run(tmp_path / "variant"))[0], variant.forecast)


def test_a_reservoir_says_what_it_took_and_what_it_did_not_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="tsforecast"):
        trained = train(config(model={"cell": "esn"}), path=tmp_path / "run", source=FRAME)
    assert "training.max_steps" in caplog.text
    ridge = trained.config.model.ridge
    assert isinstance(ridge, float)
    assert load_run(tmp_path / "run").config.model.ridge == ridge
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    best = min(history, key=lambda record: record["validation"])
    assert best["ridge"] == ridge
    assert json.loads((tmp_path / "run" / "model.json").read_text())["y_hat"] == "mean"


def test_a_stopped_reservoir_leaves_nothing_to_resume(tmp_path: Path) -> None:
    watcher = Watcher(stop_signal=lambda: 15)
    with pytest.raises(StoppedError, match="Nothing is kept of it; train again"):
        train(config(model={"cell": "esn"}), path=tmp_path / "run", source=FRAME, watcher=watcher)
    assert list(tmp_path.iterdir()) == []


def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
    """Values missing here and there, the newest of a series among them, and two rows gone."""
    holed = frame.copy()
    holed.loc[[5, 17, 18, 40, 71, 100, 143], "y"] = math.nan
    return holed.drop(index=[10, 11])


MASKED = {
    "path": "unused.csv",
    "time": "ds",
    "target": "y",
    "id": "unique_id",
    "repair": {"gaps": "mask", "missing": "mask"},
}


@pytest.mark.parametrize("cell", ["lstm", "bigru", "esn"])
def test_masked_data_is_trained_on_and_forecast_from(cell: str, tmp_path: Path) -> None:
    masked = config(data=MASKED, model={"cell": cell, "hidden_size": 8})
    trained = train(masked, path=tmp_path / "run", source=with_holes(FRAME))
    assert trained.repairs == {"gaps": 2, "missing": 7}
    assert report(trained).startswith("Repaired: 2 gaps (mask), 7 missing (mask)\n")
    assert json.loads((tmp_path / "run" / "model.json").read_text())["repairs"] == trained.repairs
    assert trained.forecast["y_hat"].notna().all()
    assert trained.scores is not None
    assert trained.scores.by_model["mase"].notna().all()
    run = load_run(tmp_path / "run")
    for again in (predict(run)[0], predict(run, with_holes(FRAME))[0]):
        pd.testing.assert_frame_equal(again, trained.forecast, rtol=1e-5)


def test_what_a_masked_value_was_makes_no_difference(tmp_path: Path) -> None:
    other = FRAME.copy()
    other.loc[[5, 40], "y"] = math.inf
    data = MASKED | {"repair": {"infinite": "mask", "missing": "mask"}}
    missing = FRAME.copy()
    missing.loc[[5, 40], "y"] = math.nan
    first, second = (
        train(config(data=data), path=tmp_path / name, source=frame).forecast
        for name, frame in (("a", other), ("b", missing))
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_final_fit_of_a_reservoir_corrects_the_naive_base_again(tmp_path: Path) -> None:
    """With a very strong ridge nothing is corrected, however often it is fitted."""
    model = {"cell": "esn", "ridge": 1e12, "hidden_size": 10}
    trained = train(config(model=model), path=tmp_path / "run", source=FRAME)
    base = trained.model.network.base.detach()
    assert base.max().item() == pytest.approx(1.0, abs=1e-6)
    assert base.sum().item() == pytest.approx(1.0, abs=1e-6)


def with_head(head: str, **changes: object) -> Config:
    return config(model={"hidden_size": 8, "head": head}, **changes)


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_every_head_trains_and_says_what_its_forecast_is(tmp_path: Path, head: str) -> None:
    frame = FRAME.assign(y=FRAME["y"].round())
    trained = train(with_head(head), path=tmp_path / "run", source=frame)
    is_mean = head in ("mse", "normal", "negative_binomial", "zero_inflated")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["y_hat"] == ("mean" if is_mean else "median")
    assert trained.forecast[["y_hat", "q0.1", "q0.9"]].notna().all(axis=None)
    losses = [record["loss"] for record in trained.fit.history if record["loss"] is not None]
    assert all(map(math.isfinite, losses))
    loaded = load_run(tmp_path / "run", device="cpu")
    pd.testing.assert_frame_equal(predict(loaded)[0], trained.forecast)


@pytest.mark.parametrize(
    ("head", "value", "taken"),
    [
        ("negative_binomial", 2.5, "counts, 0, 1, 2"),
        ("zero_inflated", -1.0, "counts, 0, 1, 2"),
        ("log_normal", 0.0, "numbers above 0"),
    ],
)
def test_a_value_that_the_head_does_not_take_is_refused(
    tmp_path: Path, head: str, value: float, taken: str
) -> None:
    frame = FRAME.assign(y=FRAME["y"].round())
    frame.loc[30, "y"] = value
    with pytest.raises(DataError, match=f"series 's0': the value {value:g} at .* model.head .*{taken}"):
        train(with_head(head), path=tmp_path / "run", source=frame)


def test_a_head_of_counts_is_scaled_without_a_centre(tmp_path: Path) -> None:
    frame = FRAME.assign(y=FRAME["y"].round())
    trained = train(with_head("negative_binomial"), path=tmp_path / "run", source=frame)
    assert trained.config.scaling == "mean_abs"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"transform": "log1p"}, "transform: log1p changes them"),
        ({"difference": 1}, "difference: 1 changes them"),
        ({"scaling": "standard"}, "scaling 'standard' subtracts a centre"),
    ],
)
def test_settings_that_do_not_fit_a_head_of_counts_are_refused(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        with_head("zero_inflated", **changes)


def test_a_reservoir_has_the_head_it_is_fitted_by(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fitted to squared errors"):
        config(model={"cell": "esn", "head": "normal"})


def kept(calibration: object, **changes: object) -> Config:
    """Settings that say what intervals are measured by."""
    training = {"max_steps": 12, "batch_size": 16, "final_fit": False}
    return config(
        split={"calibration": calibration, "validation": 12, "test": 6}, training=training, **changes
    )


def test_the_calibration_part_gives_intervals_their_width_and_nothing_else(tmp_path: Path) -> None:
    """Training and early stopping see nothing of it, and it sees nothing of the test."""
    changed = FRAME.copy()
    of_part = changed.groupby("unique_id").cumcount(ascending=False).between(6, 17)
    changed.loc[of_part, "y"] += 100
    first, second = (
        train(kept(12), path=tmp_path / name, source=frame) for name, frame in (("a", FRAME), ("b", changed))
    )
    for name, weight in first.model.network.state_dict().items():
        assert torch.equal(weight, second.model.network.state_dict()[name])
    histories = [[record["validation"] for record in run.fit.history] for run in (first, second)]
    assert histories[0] == histories[1]
    assert (first.model.spread.above < second.model.spread.above).any()
    assert first.model.spread.source == "calibration"
    assert first.model.spread.n_windows == 21  # 7 overlapping windows of 6 steps in 12, of 3 series


def test_half_of_the_series_measure_intervals_and_do_not_stop_the_training(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=6, length=72)
    whole = train(kept(0), path=tmp_path / "whole", source=frame)
    halved = train(kept("series"), path=tmp_path / "halved", source=frame)
    assert (whole.model.spread.source, halved.model.spread.source) == ("validation", "calibration")
    assert halved.model.spread.n_windows * 2 == whole.model.spread.n_windows
    assert halved.fit.history[0]["validation"] != whole.fit.history[0]["validation"]


def test_intervals_on_too_little_are_marked_in_the_run_and_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(kept("auto"), path=tmp_path / "run", source=FRAME)
    marked = json.loads((tmp_path / "run" / "metrics.json").read_text())["intervals"]
    assert (marked["from"], marked["windows"]) == ("validation", 21)
    assert "also stopped the training" in marked["doubt"]
    assert "also stopped the training" in caplog.text
    caplog.clear()
    caplog.set_level("INFO")
    predict(load_run(tmp_path / "run", device="cpu"))
    assert "also stopped the training" in caplog.text


def test_coverage_and_quantile_losses_of_the_test_part_are_reported(tmp_path: Path) -> None:
    trained = train(config(), path=tmp_path / "run", source=FRAME)
    test = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["models"]["lstm"]
    reported = ("coverage", "pinball", "wql", "crps", "interval_width", "interval_score")
    assert all(test[name] is not None for name in reported)
    assert "coverage" in report(trained).splitlines()[2]


def test_a_direct_network_is_trained_stored_and_scored(tmp_path: Path) -> None:
    trained = train(config(forecast={"strategy": "direct"}), path=tmp_path / "run", source=FRAME)
    assert trained.model.network.head.linear.weight.abs().sum(dim=1).gt(0).all()  # every step has learned
    loaded = load_run(tmp_path / "run", device="cpu")
    pd.testing.assert_frame_equal(predict(loaded)[0], trained.forecast)
    with pytest.raises(ConfigError, match="ask for fewer"):
        predict(loaded, horizon=7)


def test_a_mean_is_validated_by_squares_and_a_median_by_sizes(tmp_path: Path) -> None:
    found = {}
    for head in ("mae", "mse"):
        trained = train(with_head(head), path=tmp_path / head, source=FRAME)
        found[head] = trained.fit.history[0]["validation"]  # of the untrained network, the same for both
        metrics = json.loads((tmp_path / head / "metrics.json").read_text())
        assert metrics["validation_mase" if head == "mae" else "validation_rmsse"] == trained.fit.best_score
    assert found["mse"] > found["mae"]


def test_a_run_is_not_trained_twice_at_a_time(tmp_path: Path) -> None:
    refused: list[LockedError] = []

    def meanwhile(step: int) -> None:
        for overwrite, resume in ((False, False), (True, False), (False, True)):
            # A checkpoint is there by then, so that only the lock is in the way of --resume.
            if step == 10 and (not resume or (tmp_path / ".run.train").exists()):
                with pytest.raises(LockedError, match="run: is being written by process") as error:
                    train(config(), path=tmp_path / "run", source=FRAME, overwrite=overwrite, resume=resume)
                refused.append(error.value)

    train(config(), path=tmp_path / "run", source=FRAME, watcher=Watcher(on_step=meanwhile))

    assert len(refused) >= 2
    assert {error.exit_code for error in refused} == {75}


def test_the_lock_of_a_killed_training_is_free(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as process:
        with pytest.raises(
            LockedError, match=f"process {process.pid} on .* since .*`tsforecast batch other.yaml`"
        ):
            train(config(), path=tmp_path / "run", source=FRAME)
        process.kill()
        process.wait()

    train(config(), path=tmp_path / "run", source=FRAME)


def test_whoever_waited_for_a_training_does_not_replace_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []

    @contextmanager
    def after_another(targets: list[Path], *, wait: float | None, **known: object) -> Iterator[None]:
        waits.append(wait)
        if wait == 60:
            train(config(), path=tmp_path / "run", source=FRAME)
            monkeypatch.setattr(module, "make", None)  # refused before anything is trained for nothing
        with locked(targets, command="x"):
            yield

    monkeypatch.setattr(module, "locked", after_another)
    with pytest.raises(ConfigError, match="exists already"):
        train(config(), path=tmp_path / "run", source=FRAME, wait=60)
    assert waits == [60, 0]


def test_a_place_that_is_refused_gets_no_lock(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")

    with pytest.raises(ConfigError, match="run: "):
        train(config(), path=tmp_path / "run", source=FRAME)
    with pytest.raises(ConfigError, match="no interrupted training"):
        train(config(), path=tmp_path / "new", source=FRAME, resume=True)

    assert [path.name for path in tmp_path.iterdir()] == ["run"]
