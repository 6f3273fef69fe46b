"""Help is quick because it loads nothing heavy; benchmarks/startup.py takes the time."""

from __future__ import annotations

import pytest
from startup import HEAVY, imported_by


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "tsforecast", "--help"],
        ["-m", "tsforecast", "train", "--help"],
        ["-m", "tsforecast", "batch", "--help"],
        ["-m", "tsforecast", "--version"],
        ["-c", "import tsforecast"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported_for(words: list[str]) -> None:
    assert imported_by(words) & HEAVY == set()


def test_a_heavy_import_would_be_seen() -> None:
    assert "numpy" in imported_by(["-c", "import numpy"])
