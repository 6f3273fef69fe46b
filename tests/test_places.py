"""Disks that are full or read-only, folders that go away, and the poor environments of cron: old or new, and a word."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from disks import prepared, sweep
from skips import can_mount
from test_cli import tsforecast
from test_update import always_wins, content, first, trained

from tsforecast.errors import ConfigError, ResourceError, RunError
from tsforecast.runs import open_run, verify_run
from tsforecast.training.fit import Watcher
from tsforecast.workflows import update as workflow
from tsforecast.workflows.update import update

needs_tmpfs = pytest.mark.skipif(not can_mount(), reason="needs tmpfs, which only root may mount")
CONFIG = """\
data: {path: sales.csv, time: ds, target: y, id: unique_id}
horizon: 6
model: {hidden_size: 8}
training: {max_steps: 40, batch_size: 16}
"""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, the rows it was trained on, and more of them."""
    folder = tmp_path_factory.mktemp("places")
    first(72).to_csv(folder / "sales.csv", index=False)
    first(108).to_csv(folder / "more.csv", index=False)
    (folder / "sales.yaml").write_text(CONFIG)
    trained(folder / "run")
    return folder


@contextmanager
def disk(place: Path, size: int) -> Iterator[None]:
    """A disk of so many bytes, mounted on a folder."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def size_of(folder: Path) -> int:
    return sum(-(-file.stat().st_size // 4096) * 4096 for file in folder.rglob("*"))


@needs_tmpfs
def test_an_update_on_disks_of_every_size_leaves_the_old_run_or_the_new_one(
    ground: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "_compared", always_wins)
    before, size, codes = content(ground / "run"), size_of(ground / "run"), []
    for extra in (8_000, 64_000, 128_000, 4_000_000):
        with disk(tmp_path / "disk", size + extra):
            run = Path(shutil.copytree(ground / "run", tmp_path / "disk" / "run"))
            codes.append(tsforecast("update", run, ground / "more.csv", "-q"))
            err = capfd.readouterr().err
            assert "Traceback" not in err
            assert verify_run(run) == []
            if codes[-1] == 7:
                assert ": not written, the disk is full or failing" in err
                assert ".tmp" not in err
                assert content(run) == before
            assert [path.name for path in run.parent.iterdir() if path.name.endswith(".tmp")] == []
    assert codes[0] == 7
    assert codes[-1] == 0


@needs_tmpfs
def test_a_training_on_disks_of_every_size_leaves_a_run_or_nothing(
    ground: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    codes = []
    for size in (16_384, 65_536, 262_144, 8_000_000):
        with disk(tmp_path / "disk", size):
            run = tmp_path / "disk" / "run"
            codes.append(tsforecast("train", ground / "sales.yaml", "--run", run, "-q"))
            err = capfd.readouterr().err
            assert "Traceback" not in err
            assert run.exists() == (codes[-1] == 0)
            if codes[-1] == 0:
                assert verify_run(run) == []
    assert codes[0] == 7
    assert codes[-1] == 0


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, runs, jobs and an archive, from which commands write to a disk."""
    return prepared(tmp_path_factory.mktemp("stock") / "ground")


@pytest.mark.parametrize("kind", [pytest.param("disk", marks=needs_tmpfs), "file size"])
@pytest.mark.parametrize("name", ["batch", "predict", "predict to Parquet", "score", "report"])
def test_outputs_on_disks_of_every_size_are_the_old_ones_or_the_new_ones(
    name: str, kind: str, stock: Path, tmp_path: Path
) -> None:
    """What a run leaves behind, and that it can be made up for, is looked at in disks.py."""
    codes = list(sweep(name, stock, tmp_path / "place", kind=kind, sizes=(0, 4096, 33_554_432)).values())
    assert codes[0] == 7
    assert codes[-1] == 0


@needs_tmpfs
def test_a_run_on_a_read_only_disk_can_be_used_and_not_replaced(
    ground: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with disk(tmp_path / "disk", 8_000_000):
        run = Path(shutil.copytree(ground / "run", tmp_path / "disk" / "run"))
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "disk")], check=True)
        assert tsforecast("predict", run, ground / "more.csv") == 0
        assert tsforecast("verify", run) == 0
        capfd.readouterr()
        for words in (
            ["update", run, ground / "more.csv"],
            ["train", ground / "sales.yaml", "--run", run, "--overwrite"],
            ["predict", run, "--out", run.parent / "forecast.csv"],
            ["report", run],
        ):
            assert tsforecast(*words) == 2, words
            err = capfd.readouterr().err
            assert "Traceback" not in err
            assert "written" in err


def test_a_folder_that_goes_away_during_an_update_is_told(ground: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(ground / "run", tmp_path / "deep" / "run"))
    watcher = Watcher(on_step=lambda _: shutil.rmtree(tmp_path / "deep", ignore_errors=True))
    with pytest.raises((ConfigError, ResourceError, RunError)):
        update(run, first(108), watcher=watcher)
    assert not run.exists()


def command(ground: Path, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", "tsforecast", *map(str, words)]


def test_cron_has_next_to_no_environment_and_that_is_enough(ground: Path, tmp_path: Path) -> None:
    """No HOME, no PATH, no locale, another folder, a strict umask, stdin closed."""
    run = Path(shutil.copytree(ground / "run", tmp_path / "run"))
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = command(ground, "update", run, ground / "more.csv")
    done = subprocess.run(
        ["bash", "-c", 'umask 077; exec "$@" <&-', "bash", *words],
        env=path,
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "judged by the newest 6 of 3 series" in done.stdout
    modes = {
        stat.S_IMODE(file.stat().st_mode) for file in run.rglob("*.json") if "versions" not in file.parts
    }
    if open_run(run).model["version"] == 2:  # else it was copied, and has the modes of the first
        assert modes == {0o600}


@pytest.mark.parametrize("locale", ["C", "POSIX", "tr_TR.UTF-8"])
def test_a_locale_changes_nothing(locale: str, ground: Path, tmp_path: Path) -> None:
    """Names of series that are no ASCII are read and written; Turkish has another i."""
    if locale == "tr_TR.UTF-8" and locale.replace("-", "").lower() not in locales():
        pytest.skip("needs locale/tr_TR, which is not installed")
    forecast = tmp_path / "forecast.csv"
    words = command(ground, "predict", ground / "run", ground / "more.csv", "--out", forecast)
    subprocess.run(
        words, env=os.environ | {"LC_ALL": locale, "LANG": locale}, check=True, capture_output=True
    )
    plain = tmp_path / "plain.csv"
    assert tsforecast("predict", ground / "run", ground / "more.csv", "--out", plain) == 0
    assert forecast.read_bytes() == plain.read_bytes()


def locales() -> list[str]:
    return subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.lower().split()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-", "> /dev/full"])
def test_closed_streams_end_no_command_in_a_traceback(closed: str, ground: Path, tmp_path: Path) -> None:
    """The run is updated also where nobody can be told; a full disk behind stdout is told."""
    run = Path(shutil.copytree(ground / "run", tmp_path / "run"))
    words = command(ground, "update", run, ground / "more.csv", "--keep", "1")
    done = subprocess.run(["bash", "-c", f'"$@" {closed}', "bash", *words], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.returncode == (7 if "full" in closed else 0), done.stderr
    assert verify_run(run) == []
