"""What an update replaces is kept inside the run folder, in one step, and can be brought back."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import failing, ignore
from test_runs import fill, flip, names, versions

from tsforecast import versions as kept
from tsforecast.errors import ConfigError, ResourceError, RunError
from tsforecast.runs import VERSIONS, new_run, open_run, verify_run, version_names, write_model
from tsforecast.versions import next_version, restore_version


def write(folder: Path, number: int) -> None:
    """A small run that says which version it is, in the same words as an update."""
    fill(folder, number)
    model = json.loads((folder / "model.json").read_text()) | {"version": number, "held_back": 0}
    write_model(
        folder, model=model, arrays={"weights": np.full((4, 3), number), "scale": np.asarray(float(number))}
    )


def replace_run(path: Path, number: int, *, keep: int = 3) -> None:
    with next_version(path, version=number - 1, keep=keep) as folder:
        write(folder, number)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with new_run(tmp_path / "run") as folder:
        write(folder, 1)
    return tmp_path / "run"


def test_the_version_that_is_replaced_is_kept_as_a_run_of_its_own(run: Path) -> None:
    before = open_run(run)
    replace_run(run, 2)
    assert versions(open_run(run)) == {2}
    assert version_names(run) == ["0001"]
    old = open_run(run / VERSIONS / "0001")
    assert old.model == before.model
    assert verify_run(run) == verify_run(run / VERSIONS / "0001") == []
    assert names(run.parent) == ["run"]


def test_only_so_many_versions_are_kept_the_newest(run: Path) -> None:
    for number in range(2, 7):
        replace_run(run, number, keep=2)
    assert version_names(run) == ["0004", "0005"]
    assert [versions(open_run(run / VERSIONS / name)) for name in version_names(run)] == [{4}, {5}]
    replace_run(run, 7, keep=0)
    assert version_names(run) == []
    assert not (run / VERSIONS).exists()


def test_the_way_back_goes_step_by_step_and_ends(run: Path) -> None:
    replace_run(run, 2)
    replace_run(run, 3)
    assert restore_version(run) == 2
    assert versions(open_run(run)) == {2}
    assert version_names(run) == ["0001"]
    assert restore_version(run) == 1
    assert verify_run(run) == []
    with pytest.raises(RunError, match="run: keeps no older version to go back to"):
        restore_version(run)
    assert versions(open_run(run)) == {1}
    assert names(run.parent) == ["run"]


def test_what_later_commands_made_goes_with_the_version_it_is_about(run: Path) -> None:
    (run / "derived" / "backtest").mkdir(parents=True)
    (run / "derived" / "backtest" / "scores.csv").write_text("of version 1")
    replace_run(run, 2)
    assert not (run / "derived").exists()
    restore_version(run)
    assert (run / "derived" / "backtest" / "scores.csv").read_text() == "of version 1"


def test_links_and_pipes_are_not_kept_and_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (run / "derived").mkdir()
    (run / "derived" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(run / "derived" / "pipe")
    replace_run(run, 2)
    assert names(run / VERSIONS / "0001" / "derived") == []


def test_a_disk_without_hard_links_gets_copies(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    replace_run(run, 2)
    assert verify_run(run) == []
    assert versions(open_run(run / VERSIONS / "0001")) == {1}


def test_what_is_kept_takes_no_second_place_on_the_disk(run: Path) -> None:
    before = (run / "model.safetensors").stat().st_ino
    replace_run(run, 2)
    assert (run / VERSIONS / "0001" / "model.safetensors").stat().st_ino == before


def test_a_damaged_version_is_found_by_verify_and_not_brought_back(run: Path) -> None:
    replace_run(run, 2)
    flip(run / VERSIONS / "0001" / "model.safetensors", -1)
    (problem,) = verify_run(run)
    assert "versions/0001/model.safetensors: has changed" in problem
    with pytest.raises(RunError, match=r"0001/model\.safetensors: has changed"):
        restore_version(run)
    assert versions(open_run(run)) == {2}  # forecasts go on


def test_a_damaged_run_can_go_back(run: Path) -> None:
    replace_run(run, 2)
    flip(run / "model.safetensors", -1)
    (run / "manifest.json").unlink()
    assert restore_version(run) == 1
    assert verify_run(run) == []


@pytest.mark.parametrize("name", ["../outside", "0001.bak", "x", "1"])
def test_what_is_no_version_is_named(name: str, run: Path) -> None:
    (run / VERSIONS).mkdir()
    (run / VERSIONS / name).mkdir()
    if name.startswith(".."):
        (run / "outside").rmdir()
        (run / VERSIONS / "0001").symlink_to(run.parent)
        name = "0001"
    (problem,) = verify_run(run)
    assert f"versions/{name}: is not a version of this run" in problem


def test_a_folder_of_versions_that_leads_elsewhere_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (run / VERSIONS).symlink_to(tmp_path / "elsewhere")
    assert "run/versions: is a symbolic link" in verify_run(run)[0]
    with pytest.raises(RunError, match="versions: is not a folder of this run"):
        replace_run(run, 2)


def test_a_folder_that_is_no_run_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match="is not a run folder"):
        replace_run(tmp_path / "thesis", 2)
    assert names(tmp_path / "thesis") == ["thesis.tex"]


# What the kernel may say to each call; to others of these it says none of them.
CALLS = [
    ("open", errno.EIO),
    ("open", errno.EROFS),
    ("fsync", errno.EIO),
    ("fsync", errno.ENOSPC),
    ("mkdir", errno.ENOSPC),
    ("mkdir", errno.EROFS),
    ("link", errno.ENOSPC),
    ("scandir", errno.EIO),
    ("close", errno.EIO),
    ("stat", errno.EIO),
]


@pytest.mark.parametrize(("call", "code"), CALLS)
@pytest.mark.parametrize("action", ["next", "back"])
def test_the_nth_failure_leaves_one_version_or_the_other_and_what_they_keep(
    action: str, call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old or new, never half, and nothing is left behind after the next run."""
    path = tmp_path / "run"
    if call != "fsync":
        monkeypatch.setattr(os, "fsync", ignore)
    act: Callable[[], Any] = (
        (lambda: replace_run(path, 3)) if action == "next" else (lambda: restore_version(path))
    )
    old, new = ({2}, {3}) if action == "next" else ({2}, {1})
    for nth in range(1, 400):
        shutil.rmtree(path, ignore_errors=True)
        with new_run(path) as folder:
            write(folder, 1)
        replace_run(path, 2)
        with failing(os, call, nth=nth, code=code) as fault:
            try:
                act()
                outcomes = (new,)
            except (ConfigError, ResourceError, RunError):
                outcomes = (old, new)
        found = versions(open_run(path))
        assert found in outcomes
        assert verify_run(path) == []
        assert version_names(path) == ({2: ["0001"], 3: ["0001", "0002"], 1: []}[int(*found)])
        if not fault.failed:
            break
        replace_run(path, int(*found) + 1)
        assert names(tmp_path) == ["run"]
    assert not fault.failed


def test_a_name_is_given_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a run of another count is put there by hand."""
    replace_run(run, 2)
    with next_version(run, version=1, keep=3) as folder:
        write(folder, 2)
    assert version_names(run) == ["0001", "0002"]
    assert kept.VERSIONS == "versions"
