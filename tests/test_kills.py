"""Commands are killed at random moments, as a machine that loses its power does it; see random_kills.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("random_kills.py")
COMMANDS = ["train", "train over a run", "predict", "update", "rollback", "report", "score", "batch"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_kill_at_a_random_moment_leaves_the_old_or_the_new_and_the_next_run_cleans_up(
    command: str, tmp_path: Path
) -> None:
    moments = os.environ.get("RANDOM_KILLS", "3")  # set it to 100 for a night
    words = [sys.executable, str(SCRIPT), str(tmp_path), moments, command]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run(words, capture_output=True, text=True, env=environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(json.loads(done.stdout)[command].values()) == int(moments)
