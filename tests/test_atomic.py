"""Files and folders are replaced whole, whatever fails."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faults import failing, full_disk, refuse_exchange

from tsforecast.errors import ConfigError, ResourceError
from tsforecast.storage import atomic
from tsforecast.storage.atomic import (
    clear_leftovers,
    install_folder,
    open_folder,
    output_errors,
    replacing,
    staging_folder,
    write_bytes,
    write_text,
)

TOKEN = "0123456789abcdef"
DIES_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from tsforecast.storage.atomic import {writer}
with {writer}(Path(sys.argv[1])) as temporary:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def die_while_writing(writer: str, target: Path) -> None:
    script = DIES_WHILE_WRITING.format(writer=writer)
    done = subprocess.run([sys.executable, "-c", script, str(target)], timeout=60)
    assert done.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "text").write_text(text)
    return path


def replace_folder(target: Path, text: str) -> None:
    with staging_folder(target) as folder:
        (folder / "text").write_text(text)
        install_folder(folder, target, replace=True)


def replace_folders(target: Path, texts: list[str]) -> None:
    for text in texts:
        replace_folder(target, text)


def write_and_interrupt(target: Path) -> None:
    with replacing(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


# All that atomic.py asks the system for, by the functions that Python's own modules call.
EVERY_CALL = [
    *((os, name) for name in ("open", "close", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir")),
    *((os, name) for name in ("scandir", "stat", "lstat", "fstat", "access")),
    (io, "open"),
    (fcntl, "flock"),
    (atomic, "_exchange_in_one_step"),
]


def put(kind: str, target: Path, text: str) -> None:
    """A file with this text, or a folder with such a file."""
    if kind == "file":
        write_text(target, text)
        return
    with staging_folder(target) as folder:
        with output_errors(target):
            (folder / "text").write_text(text)
            replace = target.exists()
        install_folder(folder, target, replace=replace)


def content(kind: str, target: Path) -> str:
    """What a reader finds, who has no right to tidy up."""
    if kind == "file":
        return target.read_text()
    handle = open_folder(target)
    try:
        with open(os.open("text", os.O_RDONLY, dir_fd=handle)) as file:  # noqa: PTH123
            return file.read()
    finally:
        os.close(handle)


def fails(action: Callable[..., None], *arguments: object) -> bool:
    """Whether the action ended in the error for a failing disk."""
    try:
        action(*arguments)
    except ResourceError:
        return True
    return False


class TestFiles:
    def test_write_bytes_puts_the_bytes_under_the_name_and_nothing_beside_it(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "a.bin", b"\x00\xff\r\n")

        assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff\r\n"
        assert names(tmp_path) == ["a.bin"]

    def test_write_text_keeps_line_ends_and_writes_utf_8(self, tmp_path: Path) -> None:
        write_text(tmp_path / "a.txt", "Zürich\r\n\n")

        assert (tmp_path / "a.txt").read_bytes() == b"Z\xc3\xbcrich\r\n\n"

    def test_a_file_that_stands_there_is_replaced(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        target.write_text("a long old text")

        write_text(target, "new")

        assert target.read_text() == "new"

    def test_readers_see_the_old_file_until_the_block_ends(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        target.write_text("old")

        with replacing(target) as temporary:
            temporary.write_text("new")
            seen = target.read_text()

        assert (seen, target.read_text()) == ("old", "new")

    def test_a_relative_path_counts_from_the_folder_at_the_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "elsewhere").mkdir()

        with replacing(Path("a.txt")) as temporary:
            os.chdir(tmp_path / "elsewhere")
            temporary.write_text("new")

        assert (tmp_path / "a.txt").read_text() == "new"

    def test_permissions_follow_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            write_text(tmp_path / "a.txt", "x")
        finally:
            os.umask(before)

        assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640

    def test_a_symbolic_link_stays_a_link_to_the_new_content(self, tmp_path: Path) -> None:
        (tmp_path / "real.txt").write_text("old")
        (tmp_path / "link.txt").symlink_to("real.txt")

        write_text(tmp_path / "link.txt", "new")

        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "real.txt").read_text() == "new"

    def test_an_error_in_the_block_keeps_the_old_file_and_leaves_nothing_beside_it(
        self, tmp_path: Path
    ) -> None:
        target = tmp_path / "a.txt"
        target.write_text("old")

        with pytest.raises(KeyboardInterrupt):
            write_and_interrupt(target)

        assert target.read_text() == "old"
        assert names(tmp_path) == ["a.txt"]

    def test_an_error_about_another_file_reaches_the_caller_as_it_is(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"missing\.csv"), replacing(tmp_path / "a.txt"):
            (tmp_path / "missing.csv").read_text()

    def test_threads_that_write_the_same_file_leave_one_whole_version(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        versions = [str(digit) * 10_000 for digit in range(8)]
        write_text(target, versions[0])

        def write_and_read(text: str) -> set[str]:
            seen = set()
            for _ in range(10):
                write_text(target, text)
                seen.add(target.read_text())
            return seen

        with ThreadPoolExecutor(len(versions)) as pool:
            seen = set().union(*pool.map(write_and_read, versions))

        assert seen <= set(versions)
        assert names(tmp_path) == ["a.txt"]


class TestPlacesThatCannotBeWritten:
    def test_a_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is a folder where a file is to be written; name a file in it"):
            write_text(tmp_path, "x")

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"a\.csv: there is no folder '.*/fore'; create it"):
            write_text(tmp_path / "fore" / "a.csv", "x")

        assert names(tmp_path) == []

    def test_a_path_through_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")

        with pytest.raises(ConfigError, match=r"there is no folder '.*/file'"):
            write_text(tmp_path / "file" / "a.csv", "x")

    def test_a_pipe_is_neither_replaced_nor_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(ConfigError, match=r"is a device or a pipe, not a file; .* use '-' for stdout"):
            write_text(tmp_path / "pipe", "x")

        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)

    @pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
    def test_a_place_without_permission_is_the_users_to_change(self, code: int, tmp_path: Path) -> None:
        reason = os.strerror(code)

        with (
            failing(os, "open", nth=1, code=code),
            pytest.raises(ConfigError, match=rf"a\.txt: cannot be written \({reason}\); choose"),
        ):
            write_text(tmp_path / "a.txt", "x")

    def test_a_folder_that_vanishes_on_the_way_is_a_failing_disk(self, tmp_path: Path) -> None:
        folder = tmp_path / "out"
        folder.mkdir()

        with (
            pytest.raises(ResourceError, match=r"a\.txt: not written.*No such file"),
            replacing(folder / "a.txt"),
        ):
            shutil.rmtree(folder)


class TestFaults:
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
    @pytest.mark.parametrize("function", [(os, "open"), (os, "fsync"), (os, "replace"), (io, "open")])
    def test_the_old_file_survives_the_nth_failure(
        self, function: tuple[Any, str], code: int, tmp_path: Path
    ) -> None:
        target = tmp_path / "a.txt"
        outcomes = []
        for nth in range(1, 20):
            target.write_text("old")
            with failing(*function, nth=nth, code=code) as call:
                failed = fails(write_text, target, "new")
            assert names(tmp_path) == ["a.txt"]
            if not failed:
                break
            outcomes.append(target.read_text())

        assert outcomes[0] == "old"
        # Once the name is changed, the failure comes too late to change it back.
        assert outcomes == sorted(outcomes, reverse=True)
        assert not call.failed
        assert target.read_text() == "new"

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
    @pytest.mark.parametrize("call", EVERY_CALL, ids=lambda call: call[1])
    @pytest.mark.parametrize("kind", ["file", "folder", "folder in two steps"])
    def test_the_nth_failure_of_any_call_leaves_the_old_or_the_new_and_the_next_writer_tidies_up(
        self, kind: str, call: tuple[Any, str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if kind == "folder in two steps":
            monkeypatch.setattr(atomic, "_exchange_in_one_step", refuse_exchange)
        target = tmp_path / "a"
        for nth in range(1, 100):
            put(kind, target, "old")
            with failing(*call, nth=nth, code=code) as fault:
                try:
                    put(kind, target, "new")
                    outcomes = ["new"]
                except (ConfigError, ResourceError):
                    outcomes = ["old", "new"]
            assert content(kind, target) in outcomes
            put(kind, target, "next")
            assert names(tmp_path) == ["a"]
            if not fault.failed:
                break
        assert not fault.failed

    def test_an_error_without_a_number_is_one_of_the_disk(self, tmp_path: Path) -> None:
        """As pyarrow raises it where a file cannot be closed."""
        with (
            pytest.raises(ResourceError, match=r"a.txt: not written, .* \(error closing file\)"),
            replacing(tmp_path / "a.txt"),
        ):
            raise OSError("error closing file")
        assert names(tmp_path) == []

    def test_a_full_disk_is_a_resource_error_and_keeps_the_old_file(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"
        target.write_text("old")

        for size in (0, 1, 5_000, 9_999):
            with (
                full_disk(size),
                pytest.raises(ResourceError, match=r"a\.txt: not written, the disk is full or failing"),
            ):
                write_text(target, "x" * 10_000)
            assert target.read_text() == "old"
            assert names(tmp_path) == ["a.txt"]

    def test_a_file_is_flushed_before_its_name_changes_and_the_name_after(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = tmp_path / "a.txt"
        target.write_text("old")
        flushed: list[tuple[int, str]] = []
        monkeypatch.setattr(
            os, "fsync", lambda handle: flushed.append((os.fstat(handle).st_ino, target.read_text()))
        )

        write_text(target, "new")

        assert flushed == [(target.stat().st_ino, "old"), (tmp_path.stat().st_ino, "new")]

    def test_a_folder_is_flushed_with_its_files_before_its_name_changes_and_the_name_after(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = make_folder(tmp_path / "run", "old")
        flushed: list[tuple[int, str]] = []
        monkeypatch.setattr(
            os,
            "fsync",
            lambda handle: flushed.append((os.fstat(handle).st_ino, (target / "text").read_text())),
        )

        replace_folder(target, "new")

        assert flushed == [
            ((target / "text").stat().st_ino, "old"),
            (target.stat().st_ino, "old"),
            (tmp_path.stat().st_ino, "new"),
        ]

    def test_a_failure_after_the_last_step_does_not_say_that_nothing_was_written(
        self, tmp_path: Path
    ) -> None:
        target = tmp_path / "a.txt"

        with (
            failing(os, "fsync", nth=2, code=errno.EIO),  # the first is the file's, the second its folder's
            pytest.raises(ResourceError, match=r"a\.txt: written, but the disk does not confirm it"),
        ):
            write_text(target, "new")

        assert target.read_text() == "new"

    def test_a_folder_that_cannot_be_flushed_at_all_is_accepted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fsync_of_a_network_disk(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        monkeypatch.setattr(os, "fsync", fsync_of_a_network_disk)

        write_text(tmp_path / "a.txt", "new")

        assert (tmp_path / "a.txt").read_text() == "new"


class TestLeftovers:
    def test_the_next_writer_removes_the_file_of_a_killed_one(self, tmp_path: Path) -> None:
        die_while_writing("replacing", tmp_path / "a.txt")
        assert len(names(tmp_path)) == 1

        write_text(tmp_path / "a.txt", "new")

        assert names(tmp_path) == ["a.txt"]

    def test_the_next_writer_removes_the_folder_of_a_killed_one(self, tmp_path: Path) -> None:
        die_while_writing("staging_folder", tmp_path / "run")
        assert len(names(tmp_path)) == 1

        clear_leftovers(tmp_path / "run")

        assert names(tmp_path) == []

    def test_what_another_writer_is_writing_is_left_alone(self, tmp_path: Path) -> None:
        target = tmp_path / "a.txt"

        with replacing(target) as temporary:
            temporary.write_text("first")
            write_text(target, "second")
            left = temporary.read_text()

        assert left == "first"
        assert target.read_text() == "first"  # the outer block ends last

    def test_files_of_the_user_with_similar_names_are_left_alone(self, tmp_path: Path) -> None:
        similar = [".a.txt.tmp", ".a.txt.mine.tmp", f".b.txt.{TOKEN}.tmp", f".a.txt.{TOKEN}.tmp.bak"]
        for name in similar:
            (tmp_path / name).touch()

        write_text(tmp_path / "a.txt", "new")

        assert names(tmp_path) == sorted([*similar, "a.txt"])

    def test_a_name_full_of_pattern_characters_is_taken_literally(self, tmp_path: Path) -> None:
        (tmp_path / f".ab.{TOKEN}.tmp").touch()
        (tmp_path / f".[ab]*.{TOKEN}.tmp").touch()

        clear_leftovers(tmp_path / "[ab]*")

        assert names(tmp_path) == [f".ab.{TOKEN}.tmp"]

    def test_a_leftover_that_is_a_link_does_not_lead_to_its_target(self, tmp_path: Path) -> None:
        victim = make_folder(tmp_path / "victim", "precious")
        (tmp_path / f".run.{TOKEN}.tmp").symlink_to(victim)

        clear_leftovers(tmp_path / "run")

        assert (victim / "text").read_text() == "precious"


class TestFolders:
    def test_a_new_folder_gets_its_name_when_it_is_installed(self, tmp_path: Path) -> None:
        target = tmp_path / "run"

        with staging_folder(target) as folder:
            (folder / "text").write_text("new")
            before = target.exists()
            install_folder(folder, target, replace=False)

        assert not before
        assert (target / "text").read_text() == "new"
        assert names(tmp_path) == ["run"]

    def test_a_folder_that_is_not_installed_is_removed(self, tmp_path: Path) -> None:
        with staging_folder(tmp_path / "run") as folder:
            (folder / "text").write_text("new")

        assert names(tmp_path) == []

    def test_a_target_that_cannot_be_looked_at_is_one_of_the_disk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(path: Path) -> bool:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

        with staging_folder(tmp_path / "run") as folder, monkeypatch.context() as patched:
            patched.setattr(Path, "exists", fail)
            with pytest.raises(ResourceError, match="run: not written, the disk is full or failing"):
                install_folder(folder, tmp_path / "run")

    def test_a_taken_name_is_refused_without_replace(self, tmp_path: Path) -> None:
        target = make_folder(tmp_path / "run", "old")

        with (
            pytest.raises(ConfigError, match=r"run: cannot be written .*; choose a place that is free"),
            staging_folder(target) as folder,
        ):
            install_folder(folder, target, replace=False)

        assert (target / "text").read_text() == "old"

    @pytest.mark.parametrize("one_step", [True, False])
    def test_a_full_folder_is_replaced(
        self, one_step: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = make_folder(tmp_path / "run", "old")
        if not one_step:
            monkeypatch.setattr(atomic, "_exchange_in_one_step", refuse_exchange)

        replace_folder(target, "new")

        assert (target / "text").read_text() == "new"
        assert names(tmp_path) == ["run"]

    def test_a_target_is_never_missing_during_an_exchange(self, tmp_path: Path) -> None:
        target = make_folder(tmp_path / "run", "0")
        versions = [str(version) for version in range(60)]

        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(replace_folders, target, versions)
            while not writer.done():
                handle = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
                os.close(handle)

        writer.result()
        assert (target / "text").read_text() == versions[-1]

    @pytest.mark.parametrize("one_step", [True, False])
    @pytest.mark.parametrize("name", ["open", "fsync", "rename", "mkdir"])
    def test_the_old_folder_survives_the_nth_failure(
        self, name: str, one_step: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = make_folder(tmp_path / "run", "0")
        if not one_step:
            monkeypatch.setattr(atomic, "_exchange_in_one_step", refuse_exchange)
        errors = 0
        for nth in range(1, 20):
            old, new = (target / "text").read_text(), str(nth)
            with failing(os, name, nth=nth, code=errno.EIO) as call:
                failed = fails(replace_folder, target, new)
            assert (target / "text").read_text() in ((old, new) if failed else (new,))
            errors += failed
            if not call.failed:  # not even in the cleaning up, which the next writer would make good
                break

        assert errors or (name, one_step) == ("rename", True)  # an exchange in one step is no os.rename
        assert not call.failed
        assert names(tmp_path) == ["run"]

    def test_open_folder_stays_with_the_version_it_opened(self, tmp_path: Path) -> None:
        target = make_folder(tmp_path / "run", "old")
        handle = open_folder(target)
        try:
            before = os.fstat(handle)
            replace_folder(target, "new")
            assert os.path.samestat(os.fstat(handle), before)
        finally:
            os.close(handle)

        assert not os.path.samestat(target.stat(), before)

    def test_open_folder_finds_what_a_dead_writer_had_set_aside(self, tmp_path: Path) -> None:
        aside = make_folder(tmp_path / f".run.{TOKEN}.old", "old")

        handle = open_folder(tmp_path / "run")
        try:
            assert os.path.samestat(os.fstat(handle), aside.stat())
        finally:
            os.close(handle)

    def test_the_next_writer_brings_back_what_a_dead_one_had_set_aside(self, tmp_path: Path) -> None:
        make_folder(tmp_path / f".run.{TOKEN}.old", "old")

        clear_leftovers(tmp_path / "run")

        assert names(tmp_path) == ["run"]
        assert (tmp_path / "run" / "text").read_text() == "old"

    def test_what_was_set_aside_goes_once_the_new_folder_is_in_place(self, tmp_path: Path) -> None:
        make_folder(tmp_path / f".run.{TOKEN}.old", "old")
        make_folder(tmp_path / "run", "new")

        clear_leftovers(tmp_path / "run")

        assert names(tmp_path) == ["run"]
        assert (tmp_path / "run" / "text").read_text() == "new"

    def test_open_folder_says_when_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="run"):
            open_folder(tmp_path / "run")
