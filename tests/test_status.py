"""The status file: whole at every moment, and what the next run knows of this one."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path

import pytest

from tsforecast.workflows.nightly import status as module
from tsforecast.workflows.nightly.status import CONTEXT, Status, failures_path, run_command, said_of


def read(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_the_status_is_written_at_the_start_while_it_works_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    status = Status(tmp_path / "s.json", command="tsforecast batch j.yaml", names=["a", "b"])

    with status.beating():
        assert read(status.path)["state"] == "running"
        status.job("a", state="running", message="postgresql://me:geheim@host/db is slow")
        while "is slow" not in status.path.read_text():
            time.sleep(0.01)
    status.end(state="done", exit_code=0)

    assert read(status.path)["state"] == "done"
    assert "geheim" not in status.path.read_text()
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_what_was_finished_is_known_to_the_next_run_and_jobs_that_are_gone_are_not(tmp_path: Path) -> None:
    first = Status(tmp_path / "s.json", command="x", names=["a", "b"])
    first.remember("a", "2024-01-01", run_key="k", state="done")
    first.remember("b", "2024-01-01", run_key="k", state="done")
    first.now_holds("a", Path("a.csv"), "k")
    first.save()

    second = Status(tmp_path / "s.json", command="x", names=["a", "c"])
    second.save()

    assert second.remembered("a", "2024-01-01") == {"run_key": "k", "state": "done"}
    assert second.remembered("a", "2024-01-02") == {}
    assert second.holds("a", Path("a.csv")) == "k"
    assert "b" not in json.loads(second.path.read_text())["remembered"]


def test_of_very_many_forecasts_the_newest_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    status = Status(tmp_path / "s.json", command="x", names=["a"])
    for step in (8, 9, 10, 11, 2):
        status.remember("a", str(step), state="done")

    status.save()

    assert [step for step in ("2", "8", "9", "10", "11") if status.remembered("a", step)] == ["9", "10", "11"]
    assert status.newest("a") == "11"


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format_version": 2}', '{"format_version": 1, "remembered": 3}', "\xff"]
)
def test_what_is_no_status_is_replaced_with_a_word(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content.encode("latin-1"))

    with caplog.at_level(logging.WARNING):
        Status(path, command="x", names=["a"]).save()

    assert "is no status that can be read" in caplog.text
    assert read(path)["format_version"] == 1


def test_last_words_are_written_even_while_somebody_holds_the_pen(tmp_path: Path) -> None:
    status = Status(tmp_path / "s.json", command="x", names=["a", "b"])
    status.job("a", state="running")
    status._lock.acquire()

    status.last_words(15)

    found = read(status.path)
    assert (found["state"], found["exit_code"]) == ("stopped", 143)
    assert [job["state"] for job in found["jobs"]] == ["stopped", "waiting"]  # type: ignore[index, attr-defined]


@pytest.mark.parametrize(
    ("status", "failures"),
    [
        ("night.status.json", "night.failures.csv"),
        ("status.json", "failures.csv"),
        ("x.json", "x.failures.csv"),
    ],
)
def test_failures_stand_beside_the_status(status: str, failures: str) -> None:
    assert failures_path(Path("/a") / status) == Path("/a") / failures


def test_a_command_that_does_not_end_is_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not run_command([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, limit=0.2)

    assert "ran longer than 0.2 s and was ended" in caplog.text


def test_a_command_that_is_not_there_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not run_command(["/no/such/program"], tmp_path)

    assert "/no/such/program: cannot be run (No such file or directory)" in caplog.text


def test_messages_know_what_they_are_about() -> None:
    with said_of(job="a"):
        with said_of(as_of="2024-01-01"):
            assert CONTEXT.get() == {"job": "a", "as_of": "2024-01-01"}
        assert CONTEXT.get() == {"job": "a"}
    assert CONTEXT.get() == {}
