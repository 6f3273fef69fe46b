from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_read import config, written

from tsforecast.cli import main
from tsforecast.errors import ResourceError
from tsforecast.series import memory
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.memory import Room, gigabytes, memory_errors, memory_free, memory_size
from tsforecast.series.read import read_table


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a megabyte to spare."""
    monkeypatch.setattr(memory, "_free", lambda: [1_000_000])


class Tenth:
    """A stream of which a tenth has been read."""

    def tell(self) -> int:
        return 100

    def size(self) -> int:
        return 1000


@pytest.mark.usefixtures("free")
def test_rows_that_fit_are_not_refused() -> None:
    Room(1, "a.csv").refuse(25_000)  # of 40 bytes


@pytest.mark.usefixtures("free")
def test_rows_that_do_not_fit_are_refused_with_an_estimate() -> None:
    with pytest.raises(ResourceError, match=r"a.csv: about 25,001 rows or more take 0.001 GB of memory"):
        Room(1, "a.csv").refuse(25_001)


@pytest.mark.usefixtures("free")
def test_what_has_been_read_is_not_asked_for_again() -> None:
    Room(1, "a.csv").refuse(40_000, n_read=40_000)


@pytest.mark.usefixtures("free")
def test_every_column_counts() -> None:
    with pytest.raises(ResourceError, match="about 25,000 rows"):
        Room(2, "a.csv").refuse(25_000)


@pytest.mark.usefixtures("free")
def test_the_files_before_count() -> None:
    with pytest.raises(ResourceError, match=r"b.csv: about 60,000 rows"):
        Room(1, "", n_before=30_000).for_file("b.csv").refuse(30_000)


@pytest.mark.usefixtures("free")
def test_a_file_is_refused_for_the_rows_that_are_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ROWS_BETWEEN", 1000)
    Room(1, "a.csv").refuse_more(4_000, Tenth())  # 40,000 to come, or half as many if its rows become longer

    with pytest.raises(ResourceError, match=r"a.csv: about 50,000 rows"):
        Room(1, "a.csv").refuse_more(10_000, Tenth())


def test_a_long_file_that_does_not_fit_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "ds,y\n" + "2024-01-01,1\n" * 10_000)
    monkeypatch.setattr(memory, "_free", lambda: [100_000])
    monkeypatch.setattr(memory, "ROWS_BETWEEN", 1000)

    with pytest.raises(ResourceError, match=r"10,000 rows or more take 0.0004 GB") as caught:
        read_table(config(path))

    assert caught.value.exit_code == 7


def test_rows_that_leave_no_memory_for_the_series_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024", periods=100), "y": np.arange(100.0)})
    monkeypatch.setattr(memory, "_free", lambda: [1000])

    with pytest.raises(ResourceError, match="to make series of 100 rows takes"):
        panel_from_table(table, config())


def test_memory_that_runs_out_is_said_in_the_name_of_the_source() -> None:
    with pytest.raises(ResourceError, match=r"a.csv: does not fit in memory"), memory_errors("a.csv"):
        np.empty(1 << 50)


def test_the_command_line_says_that_the_memory_ran_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise MemoryError

    monkeypatch.setattr(main, "app", full)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    assert main.run() == 7
    assert capsys.readouterr().err.startswith("tsforecast: the memory ran out")


def test_the_memory_of_this_machine_is_known() -> None:
    assert 1e8 < memory_free() <= memory_size() * 1.01
    assert gigabytes(1_230_000_000) == "1.23 GB"


LIMITED = """
import resource
from tsforecast.series.memory import memory_free
size = 1 << 33
resource.setrlimit(resource.RLIMIT_AS, (size, size))
before = memory_free()
resource.setrlimit(resource.RLIMIT_AS, (size // 2, size // 2))
print(before - memory_free())
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="needs limits of address space")
def test_a_limit_of_address_space_is_a_limit_of_memory() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], stdout=subprocess.PIPE, text=True, check=True)

    assert int(done.stdout) > 1 << 31


def test_control_groups_count_what_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {
        "memory.max": "5000",
        "memory.current": "4000",
        "memory.stat": "anon 2500\ninactive_file 500\nactive_file 1000\n",
    }.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(memory, "_groups", lambda: [tmp_path])

    assert memory_free() == 2500
    assert memory_size() == 5000
