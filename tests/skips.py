"""Which skipped tests are in order: those that say `needs X` where X can be looked for and is not there."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["can_mount", "can_trace", "faketime_library", "objection"]

REPOSITORY = Path(__file__).parents[1]
REASON = re.compile(r"needs (?:an? )?(?P<thing>\S+)")
IMPORTORSKIP = re.compile(r"could not import '(?P<thing>[\w.]+)'")  # pytest.importorskip


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def has_postgres() -> bool:
    """Where Debian puts the server as well, which is on nobody's PATH."""
    return shutil.which("initdb") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def can_mount() -> bool:
    """Root may, unless it is one in a container."""
    if shutil.which("mount") is None or sys.platform != "linux":
        return False
    with tempfile.TemporaryDirectory() as place:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True
        )
        if mounted.returncode == 0:
            subprocess.run(["umount", place], check=True)
    return mounted.returncode == 0


def faketime_library() -> Path | None:
    """The library that gives a process another clock, where Debian puts it; None where there is none.

    It is that for programs with threads, as torch makes them.
    """
    places = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")
    found = (path for place in places for path in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1"))
    return next(found, None)


def can_trace() -> bool:
    """Where processes may be watched, which some containers forbid, and calls of theirs made to fail."""
    words = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=getcwd:error=EIO", "true"]
    return shutil.which("strace") is not None and subprocess.run(words, capture_output=True).returncode == 0


# Things that are neither a module, nor a program, nor a path from the repository's root.
CONDITIONS: dict[str, Callable[[], bool]] = {
    "CUDA": has_cuda,
    "Linux": lambda: sys.platform == "linux",
    "root": lambda: hasattr(os, "geteuid") and os.geteuid() == 0,
    "postgres": has_postgres,
    "tmpfs": can_mount,
    "faketime": lambda: faketime_library() is not None,
    "strace": can_trace,
    "non-root": lambda: hasattr(os, "geteuid") and os.geteuid() != 0,
}


def objection(reason: str) -> str | None:
    """What is wrong with a skip, or None for one that is in order.

    Args:
        reason: the skip's reason; everything after the thing needed is for people, as in
            ``needs ../shared/data/m4_hourly, which is not part of the repository``.
    """
    if IMPORTORSKIP.match(reason):
        return None
    match = REASON.match(reason)
    if match is None:
        return f"{reason!r} does not begin with `needs X`, X being {_kinds()}"
    thing = match["thing"].rstrip(".,;:")
    if _is_there(thing):
        return f"{reason!r}, and {thing} is here"
    return None


def _is_there(thing: str) -> bool:
    if thing in CONDITIONS:
        return CONDITIONS[thing]()
    if "/" in thing:
        return (REPOSITORY / thing).exists()
    return shutil.which(thing) is not None or importlib.util.find_spec(thing) is not None


def _kinds() -> str:
    return f"a module, a program, a path from the repository's root or one of {', '.join(CONDITIONS)}"
