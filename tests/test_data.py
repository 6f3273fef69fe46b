"""The shipped data is what its README says it is."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"
README = (DATA / "README.md").read_text(encoding="utf-8")
FILES = sorted(DATA.glob("*.csv"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_readme_gives_each_files_rows_columns_and_hash(path: Path) -> None:
    lines = [line for line in README.splitlines() if line.startswith(f"| `{path.name}` |")]
    _, _, _, rows, columns, sha256, _ = (cell.strip() for cell in lines[0].split("|"))

    with path.open(encoding="utf-8", newline="") as file:
        header, *body = csv.reader(file)

    assert int(rows) == len(body)
    assert re.findall(r"`(\w+)`", columns) == header
    assert sha256 == f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_readme_gives_each_files_origin_and_terms(path: Path) -> None:
    tables = README.split("\n## ")[1:]

    assert [f"| `{path.name}` |" in table for table in tables] == [True, True]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_cell_is_empty(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))

    assert all(all(row) for row in rows)


def test_the_files_are_small() -> None:
    assert max(path.stat().st_size for path in FILES) <= 300_000
