"""Nights under a faked clock, of data and clocks that are wrong; see week.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from skips import faketime_library

SCRIPT = Path(__file__).with_name("week.py")


@pytest.mark.skipif(faketime_library() is None, reason="needs faketime, Debian's package of libfaketime")
def test_nights_go_as_the_data_says_whatever_the_clock_says(tmp_path: Path) -> None:
    words = os.environ.get("WEEKS", "short").split(",")  # set it to utc,berlin,… for the long ones
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), *words], capture_output=True, text=True, env=environment
    )

    assert done.returncode == 0, done.stdout + done.stderr
    nights = json.loads(done.stdout)
    assert set(nights) == set(words)
    if words == ["short"]:
        assert [night.rpartition(": ")[2] for night in nights["short"]] == [
            "0 done as of 2024-03-29, trained",
            "0 done as of 2024-03-29",
            "3 failed",
            "5 partly as of 2024-03-31",
        ]
