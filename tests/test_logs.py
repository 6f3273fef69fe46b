"""A log has whole lines and a name of its own, and old ones of the same name go."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from faults import failing, full_disk

from tsforecast.storage.logs import Log, expire_logs, new_log

START = datetime(2024, 3, 31, 3, 17, tzinfo=UTC)


def test_a_log_is_named_by_its_start_in_utc_and_is_its_own(tmp_path: Path) -> None:
    start = START.astimezone(timezone(timedelta(hours=-7)))
    first, second = (new_log(tmp_path / "a" / "logs", name="jobs", started=start) for _ in range(2))

    assert first.path != second.path
    assert first.path.name.startswith("jobs-20240331T031700Z-")
    assert first.path.parent == tmp_path / "a" / "logs"


def test_a_line_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.jsonl")
    log.append("one")
    log.append("zwölf")

    assert log.path.read_text() == "one\nzwölf\n"


def test_what_a_full_disk_takes_of_a_line_is_taken_back(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.jsonl")
    log.append("short")

    with full_disk(100), pytest.raises(OSError, match="File too large"):
        log.append("long" * 100)

    assert log.path.read_text() == "short\n"
    log.append("after")
    assert log.path.read_text() == "short\nafter\n"


def test_a_failing_disk_leaves_whole_lines(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.jsonl")
    log.append("one")

    with failing(os, "write", nth=1, code=errno.EIO), pytest.raises(OSError, match="Input/output"):
        log.append("two")

    assert log.path.read_text() == "one\n"


def test_old_logs_of_the_name_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    kept = [
        "jobs-20240301T031700Z-0123abcd.jsonl",  # as old as may be
        "jobs-20240331T031700Z-0123abcd.jsonl",
        "other-20200101T000000Z-0123abcd.jsonl",
        "jobs-20200101T000000Z-0123abcd.jsonl.gz",
        "jobs-20200101T000000Z-0123abcg.jsonl",
        "jobs-20209901T000000Z-0123abcd.jsonl",  # no such month
        "my-jobs-20200101T000000Z-0123abcd.jsonl",
        "notes.txt",
    ]
    for name in [*kept, "jobs-20240301T031659Z-0123abcd.jsonl", "jobs-20200101T000000Z-00000000.jsonl"]:
        (tmp_path / name).write_text("")
    (tmp_path / "jobs-20200101T000000Z-11111111.jsonl").mkdir()
    (tmp_path / "jobs-20200101T000000Z-22222222.jsonl").symlink_to(tmp_path / "notes.txt")

    assert expire_logs(tmp_path, name="jobs", now=START, older_than=timedelta(days=30)) == 2

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*kept, "jobs-20200101T000000Z-11111111.jsonl", "jobs-20200101T000000Z-22222222.jsonl"]
    )


def test_a_name_with_marks_of_a_pattern_means_itself(tmp_path: Path) -> None:
    (tmp_path / "jXbs-20200101T000000Z-0123abcd.jsonl").write_text("")

    assert expire_logs(tmp_path, name="j.bs", now=START, older_than=timedelta(days=30)) == 0
