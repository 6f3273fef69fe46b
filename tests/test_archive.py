"""The archive: one run key is one file, whole or not at all, and nothing else in the folder does harm."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from faults import failing, full_disk

from tsforecast.errors import ConfigError, DataError, ResourceError
from tsforecast.storage import archive as module
from tsforecast.storage import atomic
from tsforecast.storage.archive import Issued, append, expire, has, instant, issued, read, read_entry, survey

KEY, OTHER_KEY = "a1" * 32, "b2" * 32
FIRST = Issued("load", KEY, "m" * 8, "2024-01-01", {"horizon": 2})


def forecasts(cutoff: str = "2024-01-01", *, series: str = "ab", y_hat: float = 1.0) -> pa.Table:
    """Two steps of each series."""
    ds = pd.date_range(cutoff, periods=3, freq="D")[1:]
    frame = pd.DataFrame(
        {
            "unique_id": pd.array([name for name in series for _ in ds], dtype="str"),
            "ds": list(ds) * len(series),
            "cutoff": pd.Timestamp(cutoff),
            "lead_time": [1, 2] * len(series),
            "y_hat": y_hat,
            "q0.5": y_hat,
            "scale": 1.0,
            "scale_rmse": 1.0,
            "seasonal_naive": 0.0,
        }
    )
    return pa.Table.from_pandas(frame, preserve_index=False)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_same_key_twice_is_one_file_with_the_same_bytes(tmp_path: Path) -> None:
    path = append(tmp_path / "archive", FIRST, forecasts())
    before = path.read_bytes()
    assert append(tmp_path / "archive", FIRST, forecasts()) == path
    assert files(tmp_path) == [path]
    assert path.read_bytes() == before


def test_a_key_that_comes_again_after_another_keeps_its_turn_and_its_bytes(tmp_path: Path) -> None:
    path = append(tmp_path, FIRST, forecasts())
    before = path.read_bytes()
    append(tmp_path, replace(FIRST, run_key=OTHER_KEY), forecasts(y_hat=2.0))
    append(tmp_path, FIRST, forecasts())
    assert path.read_bytes() == before
    assert [(one.run_key, one.turn) for one in issued(tmp_path)] == [(KEY, 1), (OTHER_KEY, 2)]


def test_what_was_put_in_comes_out_oldest_first(tmp_path: Path) -> None:
    newer = replace(FIRST, as_of="2024-01-10", run_key=OTHER_KEY)
    append(tmp_path, newer, forecasts("2024-01-10"))
    append(tmp_path, FIRST, forecasts())
    append(tmp_path, replace(FIRST, job="other"), forecasts())
    found = list(read(tmp_path, job="load"))
    assert [one.as_of for one, _ in found] == ["2024-01-01", "2024-01-10"]
    assert found[0][0] == replace(FIRST, turn=1)
    table = found[0][1]
    assert table.drop_columns(["run_key", "model_hash"]).equals(forecasts())
    assert table.column("model_hash").to_pylist() == [FIRST.model_hash] * 4
    assert [one.as_of for one, _ in read(tmp_path, job="load", since="2024-01-02")] == ["2024-01-10"]
    assert [one.as_of for one, _ in read(tmp_path, until="2024-01-01")] == ["2024-01-01"] * 2
    assert len(issued(tmp_path)) == 3


def test_only_the_series_between_two_names_are_read(tmp_path: Path) -> None:
    append(tmp_path, FIRST, forecasts(series="abcé"))
    (entry,) = survey(tmp_path).entries
    table = read_entry(entry, columns=["unique_id"], first="b", before="é")
    assert table.column("unique_id").to_pylist() == ["b", "b", "c", "c"]
    assert read_entry(entry, first="é").num_rows == 2


def test_has_looks_for_the_job_and_the_key(tmp_path: Path) -> None:
    path = append(tmp_path, FIRST, forecasts())
    assert has(tmp_path, "load", KEY)
    assert not has(tmp_path, "loa", KEY)
    assert not has(tmp_path, "load", OTHER_KEY)
    assert not has(tmp_path / "nowhere", "load", KEY)
    assert not has(tmp_path, "load", "../" * 3)
    path.write_bytes(path.read_bytes()[:-20])
    assert not has(tmp_path, "load", KEY)  # so that it is issued again


def test_any_tool_reads_the_folders_as_columns(tmp_path: Path) -> None:
    append(tmp_path, replace(FIRST, job="a b/ü", as_of="2024-01-01 06:00:00"), forecasts())
    table = pyarrow.dataset.dataset(tmp_path, partitioning="hive").to_table()
    assert set(table.column("job").to_pylist()) == {"a b/ü"}
    assert set(table.column("as_of").to_pylist()) == {"2024-01-01 06:00:00"}
    assert set(table.column("run_key").to_pylist()) == {KEY}


@pytest.mark.parametrize(
    "job", ["../../x", "/abs", "..", ".", "a/b", "-rf", "new\nline", "x" * 200, "=cmd()"]
)
def test_no_name_leads_out_of_the_archive(tmp_path: Path, job: str) -> None:
    path = append(tmp_path / "archive", replace(FIRST, job=job), forecasts())
    assert path.parent.parent.parent == tmp_path / "archive"
    assert path.resolve() == path
    assert [one.job for one in issued(tmp_path / "archive")] == [job]


@pytest.mark.parametrize("job", ["", "x" * 300, "ü" * 100])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, job: str) -> None:
    with pytest.raises(ConfigError, match="choose another name"):
        append(tmp_path, replace(FIRST, job=job), forecasts())


def test_tables_and_keys_of_another_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'seasonal_naive'"):
        append(tmp_path, FIRST, forecasts().drop_columns(["seasonal_naive"]))
    with pytest.raises(ValueError, match="run_key"):
        append(tmp_path, replace(FIRST, run_key="../x"), forecasts())
    assert files(tmp_path) == []


def test_expiry_removes_what_is_older_and_nothing_else(tmp_path: Path) -> None:
    for number, as_of in enumerate(["2024-01-01", "2024-01-02", "2024-01-10"]):
        append(tmp_path, replace(FIRST, as_of=as_of, run_key=f"{number}" * 8), forecasts(as_of))
    append(tmp_path, replace(FIRST, job="other"), forecasts())
    mine = tmp_path / "job=load" / "as_of=2024-01-02" / "notes.txt"
    mine.write_text("mine")
    assert expire(tmp_path, job="load", older_than="2024-01-10") == 2
    assert [one.as_of for one in issued(tmp_path, job="load")] == ["2024-01-10"]
    assert len(issued(tmp_path, job="other")) == 1
    assert mine.exists()
    assert not (tmp_path / "job=load" / "as_of=2024-01-01").exists()
    assert expire(tmp_path, job="load", older_than="9999-01-01") == 1
    assert expire(tmp_path / "nowhere", job="load", older_than="2024-01-10") == 0


def test_expiry_does_not_follow_links(tmp_path: Path) -> None:
    kept = append(tmp_path / "elsewhere", FIRST, forecasts())
    (tmp_path / "archive" / "job=load").mkdir(parents=True)
    (tmp_path / "archive" / "job=load" / "as_of=2024-01-01").symlink_to(kept.parent)
    assert expire(tmp_path / "archive", job="load", older_than="2025-01-01") == 0
    assert kept.exists()


def test_times_are_sorted_as_times_and_numbers_as_numbers() -> None:
    texts = [
        "9",
        "10",
        "2024-01-01",
        "2024-01-01T06:00:00",
        "2024-01-01 08:00:00+01:00",
        "2024-02-01",
        "later",
    ]
    assert sorted([*texts[3:], *texts[:3]], key=instant) == texts


# What else lies in the folder


def foreign(path: Path) -> None:
    pq.write_table(forecasts(), path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("unique_id,ds\n")


def linked(path: Path) -> None:
    target = path.parents[3] / "outside.parquet"
    path.rename(target)
    path.symlink_to(target)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def moved(path: Path) -> None:
    folder = path.parents[2] / "job=stolen" / path.parent.name
    folder.mkdir(parents=True)
    path.rename(folder / path.name)


def of_a_newer_version(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    document = table.schema.metadata[b"tsforecast"].replace(b'"format_version": 1', b'"format_version": 2')
    pq.write_table(table.replace_schema_metadata({b"tsforecast": document}), path)


def without_a_column(path: Path) -> None:
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["scale"]), path)


DAMAGE = {
    foreign: "not written by tsforecast",
    truncated: "cannot be read",
    emptied: "cannot be read",
    text: "cannot be read",
    linked: "cannot be read",
    piped: "not a regular file",
    moved: "move it back",
    of_a_newer_version: "upgrade",
    without_a_column: "no column 'scale'",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_file_that_is_not_ours_is_named_and_left_out(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    append(tmp_path / "archive", FIRST, forecasts())
    damage(append(tmp_path / "archive", replace(FIRST, run_key=OTHER_KEY), forecasts()))
    found = survey(tmp_path / "archive")
    assert [entry.issued.run_key for entry in found.entries] == [KEY]
    (problem,) = found.problems
    assert f"{OTHER_KEY}.parquet: " in problem
    assert DAMAGE[damage] in problem
    assert len(list(read(tmp_path / "archive"))) == 1
    assert OTHER_KEY in caplog.text


def test_a_flipped_bit_among_the_values_is_found(tmp_path: Path) -> None:
    """The end of the file still says what it held, so that only the checksums of its pages can tell."""
    path = append(tmp_path, FIRST, forecasts())
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little")
    found = []
    for place in range(40, len(content) - footer - 8, 37):
        flipped = bytearray(content)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        (entry,) = survey(tmp_path).entries
        try:
            found.append(read_entry(entry).drop_columns(["run_key", "model_hash"]).equals(forecasts()))
        except DataError:
            found.append(True)
    assert len(found) > 10
    assert all(found)


def test_other_files_are_strangers_and_dot_names_are_nobodys(tmp_path: Path) -> None:
    path = append(tmp_path, FIRST, forecasts())
    (tmp_path / "README.txt").write_text("")
    (tmp_path / ".lock").write_text("")
    (path.parent / f".{path.name}.0123456789abcdef.tmp").write_text("")
    found = survey(tmp_path)
    assert len(found.entries) == 1
    assert found.problems == ()
    assert found.strangers == (str(tmp_path / "README.txt"),)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such archive; give the folder"):
        survey(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is not a folder"):
        survey(tmp_path / "file")
    assert survey(tmp_path, job="unheard of").entries == ()


# Faults of the disk


@pytest.mark.parametrize("exists", [False, True])
def test_no_failure_of_the_disk_leaves_half_a_file(tmp_path: Path, exists: bool) -> None:
    archive = tmp_path / "archive"
    before = append(archive, FIRST, forecasts()).read_bytes() if exists else None
    path = archive / "job=load" / "as_of=2024-01-01" / f"{KEY}.parquet"
    nth, failed = 1, True
    while failed:
        with failing(atomic.os, "fsync", nth=nth, code=errno.EIO) as call, suppress(ResourceError):
            append(archive, FIRST, forecasts())
        found = path.read_bytes() if path.exists() else None
        assert found == before or has(archive, "load", KEY)
        nth, failed = nth + 1, call.failed
    assert nth > 2
    assert has(archive, "load", KEY)
    assert files(archive) == [path]


def test_a_folder_that_cannot_be_listed_is_one_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(module, "_turn", fail)
    with pytest.raises(ResourceError, match="not written, the disk is full or failing"):
        append(tmp_path / "archive", FIRST, forecasts())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = append(tmp_path, FIRST, forecasts())
    before = path.read_bytes()
    with full_disk(1000), pytest.raises(ResourceError, match="not written"):
        append(tmp_path, FIRST, forecasts(series="abcdefgh", y_hat=7.5))
    assert path.read_bytes() == before
    assert files(tmp_path) == [path]


WRITER = """
import sys
from pathlib import Path
from test_archive import FIRST, append, forecasts
number = 0
while True:
    number += 1
    append(Path(sys.argv[1]), FIRST, forecasts(y_hat=float(number % 2)))
    if number == 1:
        print("begun", flush=True)
"""


def test_a_killed_writer_leaves_the_old_forecasts_or_the_new_ones(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    for moment in range(5):
        words = [sys.executable, "-c", WRITER, archive]
        writer = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(__file__).parent)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        try:
            writer.wait(0.004 * moment)
        except subprocess.TimeoutExpired:
            writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        ((one, table),) = read(archive)
        assert one == replace(FIRST, turn=1)
        assert set(table.column("y_hat").to_pylist()) in ({0.0}, {1.0})
    append(archive, FIRST, forecasts())
    assert len(files(archive)) == 1  # the next one cleans what the killed ones left behind


def test_rows_are_written_in_groups_that_can_be_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROW_GROUP", 2)
    path = append(tmp_path, FIRST, forecasts(series="abcd"))
    assert pq.ParquetFile(path).num_row_groups == 4
