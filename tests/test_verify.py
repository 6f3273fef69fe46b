"""A run folder is as it was written, or verify says what is not; trained again it comes out the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file
from synthetic import config, seasonal_frame
from test_cli import tsforecast, write_job
from test_update import always_wins

from tsforecast.errors import DataError, RunError
from tsforecast.runs import FORMAT_VERSION
from tsforecast.workflows import update
from tsforecast.workflows.predict import load_run
from tsforecast.workflows.receipt import config_hash, differences
from tsforecast.workflows.train import train
from tsforecast.workflows.verify import replay, report, verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_job(tmp_path_factory.mktemp("verify"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert tsforecast("train", "sales.yaml", "--run", "run", "-q") == 0
    return folder


@pytest.fixture
def job(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made / "run", tmp_path / "run")
    shutil.copy(made / "sales.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sealed(run: Path) -> None:
    """Writes a manifest that fits the files as they are: what a forger would do."""
    files = [file for file in run.rglob("*") if file.is_file() and file.name != "manifest.json"]
    entries = {
        file.relative_to(run).as_posix(): {
            "size": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    }
    (run / "manifest.json").write_text(json.dumps({"format_version": FORMAT_VERSION, "files": entries}))


def changed(run: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((run / name).read_text())
    change(document)
    (run / name).write_text(json.dumps(document))
    sealed(run)


@pytest.mark.usefixtures("job")
def test_a_run_as_it_was_written_is_said_to_be_so(capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("verify", "run") == 0
    assert capfd.readouterr().out == "run: every file is as it was written (format 2, version 1).\n"


def test_all_that_is_wrong_is_listed_and_the_exit_code_is_4(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (job / "run" / "metrics.json").unlink()
    (job / "run" / "notes.txt").write_text("x")
    assert tsforecast("verify", "run") == 4
    out, err = capfd.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == ["run/metrics.json", "run/notes.txt"]
    assert err == ""


@pytest.mark.usefixtures("job")
def test_json_is_one_document(capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("verify", "run", "--json") == 0
    assert json.loads(capfd.readouterr().out) == {
        "run": "run",
        "ok": True,
        "problems": [],
        "format_version": FORMAT_VERSION,
        "version": 1,
        "kept_versions": [],
        "replayed": None,
        "notes": [],
    }


@pytest.mark.usefixtures("job")
def test_what_cannot_be_verified_is_told_with_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("verify", "nowhere") == 4
    assert "no such run folder" in capfd.readouterr().err
    assert tsforecast("verify", "run", "sales.csv") == 2
    assert "--replay" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.json", lambda model: model.pop("unique_ids"), "do not fit together .*unique_ids"),
        (
            "model.json",
            lambda model: model.update(horizon=10**9),
            "horizon is 1000000000, and config.yaml has 4",
        ),
        ("model.json", lambda model: model.update(n_paths=10**9), "n_paths is 1000000000"),
        ("model.json", lambda model: model["features"].update(lookback=10**12), "lookback is 1000000000000"),
        ("model.json", lambda model: model.update(members=10**9), "members"),
        ("model.json", lambda model: model.update(axis="os.system"), "do not fit together"),
        ("model.json", lambda model: model.update(features=[]), "do not fit together"),
        ("model.json", lambda model: model.update(version="2"), "version"),
    ],
)
def test_a_forged_model_is_refused_and_takes_no_memory(
    name: str, change: Callable[[dict[str, Any]], object], message: str, job: Path
) -> None:
    changed(job / "run", name, change)
    with pytest.raises(RunError, match=message):
        load_run(job / "run")
    assert verify(job / "run").problems


def test_a_config_that_asks_for_more_units_than_there_are_weights_takes_no_memory(job: Path) -> None:
    text = (job / "run" / "config.yaml").read_text()
    assert "hidden_size: 8" in text
    (job / "run" / "config.yaml").write_text(text.replace("hidden_size: 8", "hidden_size: 4096"))
    sealed(job / "run")
    with pytest.raises(RunError, match=r"has the shape \(32, \d+\), and config.yaml asks for \(16384, \d+\)"):
        load_run(job / "run")


def test_a_weight_that_is_missing_is_named(job: Path) -> None:
    arrays = load_file(job / "run" / "model.safetensors")
    del arrays["weights.head.linear.weight"]
    save_file(arrays, job / "run" / "model.safetensors")
    sealed(job / "run")
    with pytest.raises(RunError, match=r"'weights\.head\.linear\.weight' is missing"):
        load_run(job / "run")


def test_the_receipt_says_with_what_from_what_and_at_which_cost(job: Path) -> None:
    receipt = json.loads((job / "run" / "run.json").read_text())
    config_file = (job / "run" / "config.yaml").read_bytes()
    assert receipt["command"] == ["tsforecast", "train", "sales.yaml", "--run", "run", "-q"]
    assert receipt["seed"] == 1
    assert receipt["device"] == "cpu"
    assert receipt["threads"] == torch.get_num_threads() == 1
    assert receipt["deterministic"] is False
    assert receipt["config_hash"] == hashlib.sha256(config_file).hexdigest()
    assert receipt["data_hash"] == json.loads((job / "run" / "model.json").read_text())["data_hash"]
    assert receipt["seconds"] > 0
    assert 50 < receipt["peak_memory_mb"] < 100_000
    assert receipt["versions"]["torch"] == torch.__version__
    assert set(receipt["versions"]) == {"tsforecast", "python", "torch", "numpy", "pandas"}


def test_the_hash_of_a_config_is_that_of_its_file(tmp_path: Path) -> None:
    trained = train(config(), path=tmp_path / "run", source=seasonal_frame())
    found = hashlib.sha256((tmp_path / "run" / "config.yaml").read_bytes()).hexdigest()
    assert config_hash(trained.config) == found


def test_a_password_on_the_command_line_is_not_kept(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tsforecast.workflows.receipt import Started

    words = ["tsforecast", "train", "--set", "data.path=postgresql://me:geheim@host/db"]
    receipt = Started(words).receipt(
        load_run(job / "run").config,
        device=torch.device("cpu"),
        data="postgresql://me:geheim@host/db",
        data_hash="",
    )
    assert "geheim" not in json.dumps(receipt)
    assert "geheim" not in Started(words).shown  # which a lock file keeps


def test_trained_again_it_is_the_same_to_the_last_bit(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(job.rglob("*"))
    assert tsforecast("verify", "--replay", "run", "sales.csv") == 0
    assert "Trained again: the same weights and the same forecast, to the last bit." in capfd.readouterr().out
    assert sorted(job.rglob("*")) == before


def test_rows_that_came_later_are_left_out_of_the_replay(job: Path) -> None:
    more = seasonal_frame(n_series=2, length=70)
    more.columns = ["shop", "month", "sales"]
    more.to_csv(job / "sales.csv", index=False)
    assert "same weights" in (replay(verify(job / "run"), "sales.csv").replayed or "")


def test_rows_that_were_changed_are_told_before_anything_is_trained(job: Path) -> None:
    text = (job / "sales.csv").read_text().splitlines()
    (job / "sales.csv").write_text("\n".join([*text[:5], text[5] + "9", *text[6:]]) + "\n")
    with pytest.raises(
        RunError, match=r"the data up to 2019-12-01 .* is no longer what the run was trained on"
    ):
        replay(verify(job / "run"), "sales.csv")


def test_other_weights_are_told_with_how_far_the_forecasts_are_apart(
    job: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arrays = load_file(job / "run" / "model.safetensors")
    arrays["weights.head.linear.weight"] = arrays["weights.head.linear.weight"] + np.float32(0.1)
    save_file(arrays, job / "run" / "model.safetensors")
    text = (job / "run" / "forecast.csv").read_text().splitlines()
    first = text[1].split(",")
    first[4] = str(float(first[4]) * 2)
    (job / "run" / "forecast.csv").write_text("\n".join([text[0], ",".join(first), *text[2:]]) + "\n")
    changed(job / "run", "run.json", lambda receipt: receipt["versions"].update(torch="1.0"))
    assert tsforecast("verify", "--replay", "run", "sales.csv") == 4
    out = capfd.readouterr().out
    assert "trained again, the forecasts are up to 0.5 of their size apart" in out
    assert "1 of " in out
    assert "'weights.head.linear.weight'" in out
    assert f"torch {torch.__version__} now, 1.0 then" in out


def test_forecasts_that_differ_by_rounding_alone_are_accepted(job: Path) -> None:
    arrays = load_file(job / "run" / "model.safetensors")
    arrays["weights.head.linear.weight"] = np.nextafter(arrays["weights.head.linear.weight"], np.float32(9))
    save_file(arrays, job / "run" / "model.safetensors")
    sealed(job / "run")
    found = replay(verify(job / "run"), "sales.csv")
    assert not found.problems
    assert "the forecasts agree to 0.0e+00 of their size, which is rounding; 1 of" in report(found)


def test_a_run_from_a_data_frame_asks_for_its_rows(tmp_path: Path) -> None:
    frame = seasonal_frame()
    train(config(), path=tmp_path / "run", source=frame)
    with pytest.raises(RunError, match="was trained on a data frame"):
        replay(verify(tmp_path / "run"))
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert "same weights" in (replay(verify(tmp_path / "run"), str(tmp_path / "rows.csv")).replayed or "")


def grow(job: Path, length: int) -> None:
    """New rows in the file that the run was trained from."""
    more = seasonal_frame(n_series=2, length=length)
    more.columns = ["shop", "month", "sales"]
    more.to_csv(job / "sales.csv", index=False)


@pytest.fixture
def updated(job: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that an update has replaced twice."""
    monkeypatch.setattr(update, "_compared", always_wins)
    for length in (75, 90):
        grow(job, length)
        assert update.update(Path("run"), "sales.csv").replaced
    return job


def again(path: str, source: str | None = None) -> str:
    return replay(verify(Path(path)), source).replayed or ""


def test_an_update_is_done_again_from_the_version_before_to_the_last_bit(
    updated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(updated.rglob("*"))
    grow(updated, 99)  # rows that came later are left out
    monkeypatch.chdir("/")
    for path in (updated / "run", updated / "run/versions/0002"):
        assert "the same weights and the same forecast, to the last bit" in again(str(path))
    assert "same weights" in again(str(updated / "run/versions/0001"), str(updated / "sales.csv"))
    assert sorted(updated.rglob("*")) == before


def test_weights_that_no_update_gives_are_found(updated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The version before is another one than the update went on from."""
    arrays = load_file(updated / "run/versions/0002/model.safetensors")
    arrays["weights.head.linear.weight"] = arrays["weights.head.linear.weight"] + np.float32(0.5)
    save_file(arrays, updated / "run/versions/0002/model.safetensors")
    sealed(updated / "run/versions/0002")
    assert tsforecast("verify", "--replay", "run") == 4
    assert "run: trained again, the forecasts are up to" in capfd.readouterr().out


def test_an_update_whose_version_before_is_gone_says_which_one_is_missing(updated: Path) -> None:
    shutil.rmtree(updated / "run/versions/0001")
    with pytest.raises(
        RunError,
        match=r"0002: is version 2, made by an update of version 1, which is not kept \(no older one is there\)",
    ):
        again("run/versions/0002")
    assert "same weights" in again("run")
    (updated / "run/versions/0002").rename(updated / "0002")
    with pytest.raises(
        RunError, match=r"run: is version 3, made by an update of version 2, which is not kept"
    ):
        again("run")


def test_an_update_whose_data_is_gone_or_changed_says_so_and_takes_it_from_elsewhere(updated: Path) -> None:
    (updated / "sales.csv").rename(updated / "old.csv")
    with pytest.raises(
        DataError, match=r"run: the rows of its update cannot be read again: .*`tsforecast verify --rep"
    ):
        again("run")
    assert "same weights" in again("run", "old.csv")
    text = (updated / "old.csv").read_text().splitlines()
    (updated / "sales.csv").write_text("\n".join([*text[:5], text[5] + "9", *text[6:]]) + "\n")
    with pytest.raises(RunError, match="is no longer what the run was trained on"):
        again("run")


def test_an_update_from_a_data_frame_asks_for_its_rows(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "_compared", always_wins)
    grow(job, 75)
    update.update(Path("run"), pd.read_csv("sales.csv", parse_dates=["month"]))
    with pytest.raises(RunError, match="was trained on a data frame"):
        again("run")
    assert "same weights" in again("run", "sales.csv")


def test_an_update_without_a_final_fit_is_done_again_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_job(tmp_path))
    words = ["--run", "run", "-q", "--as-of", "2019-06-01"]
    settings = ["training.final_fit=false", "split.test=4", "model.ensemble=2", "runtime.deterministic=false"]
    assert (
        tsforecast("train", "sales.yaml", *words, *(word for one in settings for word in ("--set", one))) == 0
    )
    monkeypatch.setattr(update, "_compared", always_wins)
    assert tsforecast("update", "run", "sales.csv", "--as-of", "2019-11-01", "--window", "3", "-q") == 0
    assert "same weights" in again("run")


def test_circumstances_that_differ_are_told_one_by_one() -> None:
    then = {"device": "cuda", "threads": 1, "versions": {"torch": "2.10", "numpy": "2.0"}}
    now = {"device": "cpu", "threads": 1, "versions": {"torch": "2.13", "numpy": "2.0"}}
    assert differences(then, now) == ["device: 'cuda' then, 'cpu' now", "torch 2.13 now, 2.10 then"]
    assert differences(then, then) == []


@pytest.fixture
def free_choice() -> Any:
    """Puts back what --deterministic sets for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("free_choice")
def test_deterministic_is_one_thread_and_stands_in_config_and_receipt(job: Path) -> None:
    write_job(job)
    for name in ("a", "b"):
        assert tsforecast("train", "sales.yaml", "--run", name, "--deterministic", "-q") == 0
    assert torch.are_deterministic_algorithms_enabled()
    assert "deterministic: true" in (job / "a" / "config.yaml").read_text()
    receipt = json.loads((job / "a" / "run.json").read_text())
    assert (receipt["deterministic"], receipt["threads"]) == (True, 1)
    assert (job / "a" / "model.safetensors").read_bytes() == (job / "b" / "model.safetensors").read_bytes()
