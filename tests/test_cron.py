"""The commands of docs/cron.md, from the first to the last, with fewer series."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "cron.md"
SHOPS = 12
PROGRAMS = {
    "tsforecast": f'exec {sys.executable} -m tsforecast "$@"',
    "python3": f'exec {sys.executable} "$@"',
    "crontab": 'cat > "$HOME/crontab"',
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_the_page_leads_from_nothing_to_a_nightly_forecast(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, line in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(tmp_path),
        "OMP_NUM_THREADS": "1",
        "TSFORECAST_TRAINING__MAX_STEPS": "20",
        "TSFORECAST_MODEL__HIDDEN_SIZE": "4",
    }
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    script = "".join(blocks).replace("range(5000)", f"range({SHOPS})")
    assert "5000" not in script

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    night = tmp_path / "night"
    forecast = pd.read_csv(night / "out" / "sales.csv")
    assert forecast["unique_id"].nunique() == SHOPS
    assert len(list((night / "archive").rglob("*.parquet"))) == 21
    assert "mase" in (night / "scores.txt").read_text().lower()
    assert (night / "scores.html").stat().st_size > 1000
    assert (tmp_path / "crontab").read_text().count("\n17 3 * * * cd ") == 1
    assert not list((night / "failed").iterdir())
    assert '"state": "done"' in done.stdout
    assert len(list((night / "logs").glob("jobs-*.jsonl"))) == 3
