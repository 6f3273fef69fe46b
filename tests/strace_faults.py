"""Every system call of the storage helpers fails once, or is the last; run by test_strace.py, or by hand for all.

Usage: python strace_faults.py FOLDER [WRITER …] [--fault=EIO|ENOSPC|SIGKILL …] [--every=K]

Each writer is a fork that strace is attached to before it begins. It is watched once, then each call that it made is
made to fail in a run of its own (of each K-th only with `--every=K`), and in another one it is the moment of a kill.
After each the old content or the new stands there whole, the writer ended well or with an error of ours that tells
which of the two it is, and the next writer ends well and leaves nothing behind. Prints a JSON of counts.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pandas  # noqa: F401  (which pyarrow imports late)
import pyarrow as pa
from faults import refuse_exchange

from tsforecast.errors import TsforecastError
from tsforecast.storage import atomic
from tsforecast.storage.archive import SCORING_COLUMNS, Issued, append
from tsforecast.storage.atomic import (
    install_folder,
    open_folder,
    replaced_folder,
    replacing,
    staging_folder,
    write_text,
)
from tsforecast.storage.lock import locked
from tsforecast.storage.sinks import Address, Issue, upsert

# More than one buffer of a file, so that it takes more than one write.
OLD, NEW = ("old " * 5_000, "new " * 5_000)
NAMES = ("model.json", "weights")
FAULTS = ("EIO", "ENOSPC", "SIGKILL")
# Calls that are none on files: what Python, ctypes and the C library do for themselves.
OTHERS = {
    "brk", "clock_nanosleep", "exit_group", "futex", "getpid", "getrandom", "gettid", "madvise", "mmap", "mprotect",
    "mremap", "munmap", "pselect6", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "select", "rt_sigreturn",
    "sysinfo", "uname",
}  # fmt: skip
PR_SET_PTRACER = 0x59616D61
SECONDS = 20
# Text that the bytes of an archive's file stand for.
WHOLE: dict[bytes, str] = {}


def one_file(path: Path, text: str) -> None:
    write_text(path / "file", text)


def one_file_by_parts(path: Path, text: str) -> None:
    with replacing(path / "file") as temporary, temporary.open("w") as file:
        for start in range(0, len(text), 6_000):
            file.write(text[start : start + 6_000])


def locked_file(path: Path, text: str) -> None:
    with locked([path / "file"], command="writer"):
        write_text(path / "file", text)


def folder(path: Path, text: str) -> None:
    with staging_folder(path / "folder") as temporary:
        _fill(temporary, text)
        install_folder(temporary, path / "folder")


def folder_in_two_steps(path: Path, text: str) -> None:
    with patch.object(atomic, "_exchange_in_one_step", refuse_exchange):
        folder(path, text)


def folder_of_ours(path: Path, text: str) -> None:
    with replaced_folder(path / "folder", ours=NAMES) as temporary:
        _fill(temporary, text)


def archived(path: Path, text: str) -> None:
    table = _forecast(text)
    for name in SCORING_COLUMNS:
        table = table.append_column(name, [[1.0]])
    append(path / "archive", Issued("sales", run_key="0" * 64, model_hash="1" * 64, as_of="7"), table)


def archives(place: Path) -> dict[bytes, str]:
    """The text that the one file of an archive stands for."""
    found = {}
    for kind, text in (("old", OLD), ("new", NEW)):
        forked(partial(archived, place / kind, text))
        (path,) = (place / kind).rglob("*.parquet")
        found[path.read_bytes()] = text
    return found


def in_database(path: Path, text: str) -> None:
    address = Address(f"sqlite:///{path}/a.db", "forecasts", "a.db", lambda said: said)
    upsert(address, Issue("sales", "7", "0" * 64, _forecast(text)))


def _forecast(text: str) -> pa.Table:
    known = {"unique_id": ["a"], "ds": [8], "cutoff": [7], "lead_time": [1]}
    return pa.table({**known, "y_hat": [float(text == NEW)]})


def _fill(temporary: Path, text: str) -> None:
    for name in NAMES:
        (temporary / name).write_text(text)


WRITERS: dict[str, Callable[[Path, str], None]] = {
    "file": one_file,
    "file by parts": one_file_by_parts,
    "locked file": locked_file,
    "new folder": folder,
    "folder": folder,
    "folder in two steps": folder_in_two_steps,
    "folder of ours": folder_of_ours,
    "archive": archived,
    "database": in_database,
}


def main(place: Path, names: Sequence[str], faults: Sequence[str], every: int) -> dict[str, dict[str, int]]:
    """Counts of the runs of each writer by what stood there afterwards."""
    place.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in names:
        write = WRITERS[name]
        fresh(place / "work", name)
        if name != "archive":  # whose threads no fork would have
            write(place / "work", NEW)  # what is imported late is imported now
        fresh(place / "work", name)
        if name == "archive":
            WHOLE.update(archives(place / "archives"))
        calls = watched(place, write)
        counts: Counter[str] = Counter(calls=sum(calls.values()))
        for call in sorted(calls):
            for nth in range(1, calls[call] + 1, every):
                for fault in faults:
                    counts[tried(place, name, call, nth, fault)] += 1
        found[name] = dict(counts)
    return found


def fresh(work: Path, name: str) -> None:
    """What stands there before: the old content, or nothing."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    if "file" in name:
        (work / "file").write_text(OLD)
    elif name in ("archive", "database"):
        forked(lambda: WRITERS[name](work, OLD))
    elif name != "new folder":
        (work / "folder").mkdir()
        _fill(work / "folder", OLD)


def watched(place: Path, write: Callable[[Path, str], None]) -> Counter[str]:
    """How often each system call is made where nothing fails."""
    code, said, log = traced(place, write, ["-e", "trace=all"])
    if code:
        raise SystemExit(f"the writer fails by itself: {code} {said}")
    names = Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", log, flags=re.MULTILINE))
    return Counter({name: count for name, count in names.items() if name not in OTHERS})


def tried(place: Path, name: str, call: str, nth: int, fault: str) -> str:
    """What stood there after one fault."""
    fresh(place / "work", name)
    before = content(place / "work")
    kind = f"signal={fault}" if fault.startswith("SIG") else f"error={fault}"
    words = ["-e", f"trace={call}", "-e", f"inject={call}:{kind}:when={nth}"]
    code, said, log = traced(place, WRITERS[name], words)
    where = f"{name}: {fault} at {call} {nth}"
    found = content(place / "work")
    if found not in (before, NEW):
        raise SystemExit(f"{where}: neither the old nor the new: {found!r:.200}\n{said}\n{log}")
    if fault != "SIGKILL":
        right = [NEW] if code == 0 or "written, but" in said else [before]
        right += [NEW] if "or all are new" in said else []
        if code not in (0, 2, 7, 75) or found not in right:
            raise SystemExit(f"{where}: exit code {code}, and found is {found!r:.9}\n{said}\n{log}")
    forked(lambda: WRITERS[name](place / "work", NEW))
    left = [
        path.name for path in (place / "work").rglob("*") if path.name.endswith((".tmp", ".old", "-journal"))
    ]
    if content(place / "work") != NEW or left:
        raise SystemExit(f"{where}: after the next writer there is {left}")
    return "killed, " * (code == -9) + ("new" if found == NEW else "old") + ", told" * (code > 0)


def content(work: Path) -> str | None:
    """What a reader finds."""
    if (work / "file").exists():
        return (work / "file").read_text()
    if (work / "archive").exists():
        files = [path.read_bytes() for path in (work / "archive").rglob("*.parquet") if path.name[0] != "."]
        return WHOLE.get(files[0], "half") if len(files) == 1 else f"{len(files)} files"
    if (work / "a.db").exists():
        with closing(sqlite3.connect(work / "a.db")) as connection:
            found = connection.execute("select y_hat from forecasts").fetchall()
        return {1.0: NEW, 0.0: OLD}.get(found[0][0]) if len(found) == 1 else f"several: {found}"
    try:
        handle = open_folder(work / "folder")
    except FileNotFoundError:
        return None
    try:
        texts = {_text(name, handle) for name in NAMES}
    finally:
        os.close(handle)
    return texts.pop() if len(texts) == 1 else f"several: {texts}"


def _text(name: str, handle: int) -> str:
    with open(name, opener=lambda path, flags: os.open(path, flags, dir_fd=handle)) as file:
        return file.read()


def traced(place: Path, write: Callable[[Path, str], None], words: Sequence[str]) -> tuple[int, str, str]:
    """Exit code and words of a writer under strace, and what strace saw."""
    said, log = place / "said.txt", place / "strace.txt"
    reader, writer = os.pipe()
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1 & 0xFFFFFFFFFFFFFFFF), 0, 0, 0)
        messages = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.close(begun)  # strace comes now: nothing of the above is to be one of the calls that fail
        select.select([reader], [], [])  # until strace is there; a read would be one of the calls that fail
        code, message = _ended(lambda: write(place / "work", NEW))
        os._exit(_told(messages, code, message))
    os.close(reader)
    os.close(begun)
    os.read(ready, 1)  # until the child is ready
    os.close(ready)
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", log, *words, "-p", str(child)], stderr=subprocess.PIPE, text=True
    )
    _wait_for(tracer, child)
    os.close(writer)  # which the child sees
    try:
        tracer.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.kill(child, 9)
        raise
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, said.read_text(), log.read_text()


def forked(act: Callable[[], None]) -> None:
    """Does it in a process of its own, so that this one has no threads that a fork would lack."""
    child = os.fork()
    if child == 0:
        os._exit(_ended(act)[0])
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise SystemExit(f"the writer fails by itself: {code}")


def _ended(act: Callable[[], None]) -> tuple[int, str]:
    try:
        act()
    except TsforecastError as error:
        return error.exit_code, str(error)
    except BaseException as error:
        return 1, f"{type(error).__name__}: {error}"
    return 0, ""


def _told(messages: int, code: int, message: str) -> int:
    """The exit code; a message is written once more where that is made to fail."""
    for _ in range(2):
        try:
            os.write(messages, message.encode())
            break
        except OSError:
            continue
    return code


def _wait_for(tracer: subprocess.Popen[str], child: int) -> None:
    """Until the child is traced.

    Raises:
        SystemExit: strace may not attach, or does not.
    """
    for _ in range(SECONDS * 1000):
        if re.search(r"TracerPid:\t[1-9]", Path(f"/proc/{child}/status").read_text()):
            return
        if tracer.poll() is not None:
            break
        time.sleep(0.001)
    os.kill(child, 9)
    tracer.kill()
    raise SystemExit(f"strace cannot watch a process: {tracer.communicate()[1]}")


if __name__ == "__main__":
    options = [word for word in sys.argv[2:] if word.startswith("--")]
    chosen = [word for word in sys.argv[2:] if not word.startswith("--")] or list(WRITERS)
    kinds = [word.removeprefix("--fault=") for word in options if word.startswith("--fault=")] or FAULTS
    step = max([int(word.removeprefix("--every=")) for word in options if word.startswith("--every=")] or [1])
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]).resolve(), chosen, kinds, step), indent=1) + "\n")
