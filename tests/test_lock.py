"""One run at a time for each output, whatever becomes of the other."""

from __future__ import annotations

import errno
import fcntl
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from faults import failing

from tsforecast.errors import ConfigError, LockedError
from tsforecast.storage.lock import holder_of, lock_path, locked

HOLD = """
import sys, time
from pathlib import Path
from tsforecast.storage.lock import locked
with locked([Path(name) for name in sys.argv[1:]], command="tsforecast batch other.yaml"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(*targets: Path) -> subprocess.Popen[str]:
    """A process that holds the locks until its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, targets)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_run_is_told_who_holds_the_lock_and_since_when(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    with holder(target) as process:
        with pytest.raises(LockedError) as error, locked([target], command="mine"):
            raise AssertionError("got in")
        assert process.stdin is not None
        process.stdin.close()

    told = str(error.value)
    known = json.loads(lock_path(target).read_text())
    assert f"process {process.pid} on {known['host']} since {known['since']}" in told
    assert "`tsforecast batch other.yaml`" in told
    assert "--wait" in told
    assert error.value.exit_code == 75


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    with holder(target) as process:
        process.kill()
        process.wait()

    with locked([target], command="mine"):
        assert "`mine`" in holder_of(target)


def test_waiting_ends_when_the_holder_does_and_says_what_it_waits_for(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    said: list[str] = []
    with holder(target) as process:

        def tell(sentence: str) -> None:
            said.append(sentence)
            assert process.stdin is not None
            process.stdin.close()

        with locked([target], command="mine", wait=None, tell=tell):
            assert process.wait() == 0
    assert f"waiting for process {process.pid}" in said[0]


def test_waiting_for_so_long_is_over_then(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    with holder(target) as process:
        began = time.monotonic()
        with pytest.raises(LockedError), locked([target], command="mine", wait=0.3):
            raise AssertionError("got in")
        assert time.monotonic() - began >= 0.3
        process.kill()


def test_all_locks_are_let_go_where_one_is_taken(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    with holder(second) as process:
        with pytest.raises(LockedError, match="b: is being written"), locked([first, second], command="mine"):
            raise AssertionError("got in")
        with locked([first], command="mine"):
            pass
        process.kill()


def test_nothing_is_left_beside_a_target_that_never_came_to_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no data"), locked([tmp_path / "x" / "y" / "a"], command="mine"):
        raise ValueError("no data")
    assert list(tmp_path.iterdir()) == []

    with locked([tmp_path / "x" / "a"], command="mine"):
        pass
    with pytest.raises(ValueError, match="no data"), locked([tmp_path / "x" / "a"], command="mine"):
        raise ValueError("no data")  # who made it may want to know it there
    assert [path.name for path in (tmp_path / "x").iterdir()] == [".a.lock"]


def test_whoever_waits_for_a_lock_that_goes_gets_a_new_one(tmp_path: Path) -> None:
    target = tmp_path / "a"
    got: list[bool] = []

    def second() -> None:
        with locked([target], command="second", wait=None, tell=lambda _: waiting.set()):
            got.append(lock_path(target).exists())

    def first() -> None:
        with locked([target], command="first"):
            thread.start()
            waiting.wait()
            raise ValueError("no data")

    waiting, thread = threading.Event(), threading.Thread(target=second)
    with pytest.raises(ValueError, match="no data"):
        first()
    thread.join()

    assert got == [True]


def test_a_target_that_is_named_twice_or_through_a_link_is_one_lock(tmp_path: Path) -> None:
    target, link = tmp_path / "a.csv", tmp_path / "b.csv"
    link.symlink_to(target)

    with locked([target, target, link], command="mine"):
        assert [path.name for path in tmp_path.glob(".*")] == [".a.csv.lock"]


def test_folders_above_a_target_are_made(tmp_path: Path) -> None:
    with locked([tmp_path / "x" / "y" / "a.csv"], command="mine"):
        assert (tmp_path / "x" / "y").is_dir()


def test_a_place_where_no_lock_can_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(ConfigError, match="cannot be written"),
        locked([tmp_path / "file" / "a"], command="mine"),
    ):
        raise AssertionError("got in")


def test_a_lock_that_cannot_be_let_go_of_does_not_undo_what_was_done(tmp_path: Path) -> None:
    with failing(fcntl, "flock", nth=2, code=errno.EIO) as call, locked([tmp_path / "a"], command="a"):
        assert not call.failed
    assert call.failed
