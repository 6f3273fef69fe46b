"""The log of a night: everything that was said, also when nobody watched, and no night that fails for want of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults import failing
from night import JOBS, outputs, prepare, status_of, tsforecast

from tsforecast.cli import runlog
from tsforecast.storage.lock import locked
from tsforecast.workflows.nightly import job as job_module

NO_RUN = "logs: logs\njobs:\n  - {name: sales, run: runs/none, sinks: [{csv: out/a.csv}]}\n"


@pytest.fixture
def night(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    jobs = JOBS.replace("run: runs/sales", "run: runs/sales\n    data: sales.csv")
    return prepare(tmp_path, trained, jobs=f"logs: logs\n{jobs}")


def logs(folder: Path) -> list[list[dict[str, Any]]]:
    """The lines of each log, the oldest log first."""
    files = sorted((folder / "logs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def test_a_silent_night_is_written_down_from_its_beginning_to_its_end(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0

    assert capfd.readouterr() == ("", "")
    ((first, *between, last),) = logs(night)
    assert (first["event"], first["command"], first["pid"]) == (
        "batch begun", "tsforecast batch jobs.yaml", os.getpid(),
    )  # fmt: skip
    assert "debug" in {line["level"] for line in between}
    (made,) = (line for line in between if line["event"] == "5 series forecast 7 steps ahead")
    assert (made["job"], made["as_of"]) == ("sales", "2015-03-31")
    assert (last["event"], last["exit_code"], last["jobs"][0]["state"]) == ("batch ended", 0, "done")
    assert Path(status_of(night)["log"]) == next((night / "logs").iterdir())


@pytest.mark.parametrize("words", [[], ["-v"], ["-q"], ["--log-format", "json"]])
def test_the_log_says_the_same_whatever_is_watched(night: Path, words: list[str]) -> None:
    assert tsforecast("batch", "jobs.yaml", "--force") == 0
    assert tsforecast("batch", "jobs.yaml", "--force", *words) == 0

    first, second = ([(line["event"], line["level"]) for line in one] for one in logs(night))
    assert first == second


def test_a_night_that_ends_early_is_written_down_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(NO_RUN)
    (tmp_path / "jobs.status.json").mkdir()

    assert tsforecast("batch", "jobs.yaml") == 2

    told = capfd.readouterr().err
    ((_, *_, last),) = logs(tmp_path)
    assert (last["level"], last["exit_code"]) == ("error", 2)
    assert told.endswith(f"tsforecast: {last['event']}\n")


def test_a_bug_is_written_down_with_its_traceback_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(NO_RUN)

    def broken(*_: object) -> None:
        raise ValueError("postgresql://me:geheim@host/db: what is that")

    monkeypatch.setattr(job_module, "_forecast_all", broken)
    assert tsforecast("batch", "jobs.yaml") == 1
    monkeypatch.setattr("tsforecast.workflows.batch._end", broken)
    with pytest.raises(ValueError, match="what is that"):
        tsforecast("batch", "jobs.yaml")

    (job_failed, whole_failed) = logs(tmp_path)
    assert any("Traceback" in line.get("exception", "") for line in job_failed)
    assert "me:***@host/db: what is that" in whole_failed[-1]["exception"]
    assert "geheim" not in "".join(path.read_text() for path in (tmp_path / "logs").iterdir())


def test_a_log_that_cannot_be_made_is_said_and_the_night_goes_on(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (night / "logs").write_text("a file where a folder is to be")

    assert tsforecast("batch", "jobs.yaml") == 0

    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith(
        f"logs: {night / 'logs'}: the log cannot be written (File exists), so that there is none"
    )
    assert "out/sales.csv" in outputs(night)
    assert status_of(night)["log"] is None


def test_a_disk_that_is_full_for_the_log_is_said_once_and_the_night_goes_on(
    night: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = runlog.Log.append

    def append(self: runlog.Log, line: str) -> None:
        if "begun" in line:
            whole(self, line)
        else:
            with failing(os, "write", nth=1):
                whole(self, line)

    monkeypatch.setattr(runlog.Log, "append", append)

    assert tsforecast("batch", "jobs.yaml") == 0

    (told,) = capfd.readouterr().err.splitlines()
    assert (
        "the log cannot be written (No space left on device), so that it ends early; the jobs go on" in told
    )
    assert "out/sales.csv" in outputs(night)
    assert [line["event"] for line in logs(night)[0]] == ["batch begun"]


def test_old_logs_go_as_keep_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(f"keep: {{logs: 30d}}\n{NO_RUN}")
    (tmp_path / "logs").mkdir()
    for name in ("jobs-20240101T000000Z-00000000.jsonl", "other-20240101T000000Z-00000000.jsonl"):
        (tmp_path / "logs" / name).write_text("{}\n")

    assert tsforecast("batch", "jobs.yaml") == 4
    assert tsforecast("batch", "jobs.yaml") == 4

    found = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert len(found) == 3
    assert found[-1] == "other-20240101T000000Z-00000000.jsonl"


def test_old_logs_that_cannot_be_deleted_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.yaml").write_text(f"keep: {{logs: 30d}}\n{NO_RUN}")

    with failing(os, "scandir", nth=1, code=13):
        assert tsforecast("batch", "jobs.yaml") == 4

    assert "old files cannot be deleted (Permission denied)" in capfd.readouterr().err


KILLED = """
import os, signal, sys
from tsforecast.workflows.nightly import job
from tsforecast.cli.main import run
job.reading = lambda *words: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["tsforecast", "batch", "jobs.yaml"]
run()
"""


def test_a_kill_leaves_what_was_said_until_then(night: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=night).returncode == -signal.SIGKILL

    (lines,) = logs(night)
    assert lines[0]["event"] == "batch begun"


def test_a_run_that_finds_the_lock_taken_writes_down_whose_it_is(night: Path) -> None:
    with locked([night / "jobs.status.json"], command="another"):
        assert tsforecast("batch", "jobs.yaml") == 75

    ((_, *_, last),) = logs(night)
    assert "`another`" in last["event"]
    assert last["exit_code"] == 75
