"""System calls of the storage helpers fail one by one, as on a disk that gives up; see strace_faults.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from skips import can_trace

SCRIPT = Path(__file__).with_name("strace_faults.py")


@pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to watch a process")
@pytest.mark.parametrize("writer", ["locked file", "folder in two steps", "folder of ours"])
def test_each_failing_call_leaves_the_old_or_the_new_and_the_next_writer_cleans_up(
    writer: str, tmp_path: Path
) -> None:
    every = os.environ.get("STRACE_EVERY", "25")  # set it to 1 for every call
    words = [sys.executable, str(SCRIPT), str(tmp_path), writer, f"--every={every}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run(words, capture_output=True, text=True, env=environment)

    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(done.stdout)[writer]
    assert min(counts[kind] for kind in ("old, told", "new", "killed, old")) > 0
