"""Unattended runs: what is written, what is skipped, what is said, and what becomes of it when things go wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from faults import full_disk
from night import JOBS, outputs, prepare, status_of, tsforecast, write_data

from tsforecast.config.jobs import load_jobs
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.isolate import Isolated
from tsforecast.storage.archive import issued
from tsforecast.storage.lock import locked
from tsforecast.storage.spool import Spool, spooled
from tsforecast.workflows.batch import Night, batch, parse_backfill, status_path
from tsforecast.workflows.nightly import job as job_module
from tsforecast.workflows.nightly import shards as shards_module
from tsforecast.workflows.nightly.known import known_at
from tsforecast.workflows.nightly.shards import as_of_text, forecast_shards
from tsforecast.workflows.predict import load_run, read_like

NEWEST = "2015-03-31"  # of 90 days
ENTRY = [sys.executable, "-m", "tsforecast", "batch"]


@pytest.fixture
def night(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return prepare(
        tmp_path, trained, jobs=JOBS.replace("run: runs/sales", "run: runs/sales\n    data: sales.csv")
    )


def change(folder: Path, old: str, new: str, *, file: str = "jobs.yaml") -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


def spoil(folder: Path, name: str, day: int = 3) -> None:
    """Writes a value that is no number into a series."""
    lines = (folder / "sales.csv").read_text().splitlines()
    place = [k for k, line in enumerate(lines) if line.startswith(f"{name},")][day]
    lines[place] = lines[place].rpartition(",")[0] + ",abc"
    (folder / "sales.csv").write_text("\n".join(lines) + "\n")


def sql_rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "out" / "sales.db")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_a_night_on_which_all_is_well_is_silent_and_writes_every_sink(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    assert capfd.readouterr() == ("", "")

    assert tsforecast("predict", "runs/sales", "sales.csv", "--out", "predicted.csv") == 0
    assert (night / "out/sales.csv").read_bytes() == (night / "predicted.csv").read_bytes()
    parquet = pd.read_parquet(night / f"out/parquet/as_of={NEWEST}/sales.parquet")
    pd.testing.assert_frame_equal(
        parquet, pd.read_csv(night / "predicted.csv", parse_dates=["ds", "cutoff"]), check_dtype=False
    )
    assert sql_rows(night, "SELECT count(*), min(as_of) FROM forecasts") == [(35, NEWEST)]
    (kept,) = issued(night / "archive")
    status = status_of(night)
    assert (kept.job, kept.as_of, kept.run_key) == ("sales", NEWEST, status["jobs"][0]["run_key"])
    assert (status["state"], status["exit_code"], status["jobs"][0]["state"]) == ("done", 0, "done")


def test_a_finished_forecast_is_skipped_with_a_word_and_force_makes_the_same_bytes(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    first, written = outputs(night), (night / "out/sales.csv").stat().st_mtime_ns

    assert tsforecast("batch", "jobs.yaml", "-v") == 0
    assert "sales: forecast already, and nothing has changed since; --force" in capfd.readouterr().err
    assert status_of(night)["jobs"][0]["state"] == "skipped"
    assert (night / "out/sales.csv").stat().st_mtime_ns == written

    assert tsforecast("batch", "jobs.yaml", "--force") == 0
    assert (night / "out/sales.csv").stat().st_mtime_ns > written
    second = outputs(night)
    assert second.keys() == first.keys()
    assert [name for name in first if first[name] != second[name] and not name.endswith(".db")] == []
    assert sql_rows(night, "SELECT count(*) FROM forecasts") == [(35,)]


@pytest.mark.parametrize(
    "lost", ["out/sales.csv", f"out/parquet/as_of={NEWEST}/sales.parquet", "out/sales.db", "archive"]
)
def test_an_output_that_is_gone_is_made_again(night: Path, lost: str) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    whole = outputs(night).keys()
    shutil.rmtree(night / lost) if (night / lost).is_dir() else (night / lost).unlink()

    assert tsforecast("batch", "jobs.yaml") == 0

    assert outputs(night).keys() == whole


def test_a_sink_that_is_new_in_the_file_is_filled(night: Path) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    change(night, "- csv: out/sales.csv", "- csv: out/sales.csv\n      - csv: out/all-{as_of}.csv")

    assert tsforecast("batch", "jobs.yaml") == 0

    assert (night / f"out/all-{NEWEST}.csv").read_bytes() == (night / "out/sales.csv").read_bytes()


def test_a_table_that_is_new_in_the_file_is_filled(night: Path) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    with (night / "jobs.yaml").open("a") as file:
        file.write("      - {sql: 'sqlite:///out/sales.db', table: other}\n")

    assert tsforecast("batch", "jobs.yaml") == 0

    assert sql_rows(night, "SELECT count(*) FROM other") == [(35,)]


KILLED_AFTER_CSV = """
import os, signal, sys
from tsforecast.workflows.nightly import delivery
from tsforecast.cli.main import run
whole = delivery.write_csv
def last(*words):
    whole(*words)
    os.kill(os.getpid(), signal.SIGKILL)
delivery.write_csv = last
sys.argv = ["tsforecast", "batch", "jobs.yaml", "--as-of", "2015-03-20"]
run()
"""


def test_a_file_that_was_replaced_right_before_a_kill_is_not_taken_for_the_one_before(night: Path) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    newest = (night / "out/sales.csv").read_bytes()
    assert subprocess.run([sys.executable, "-c", KILLED_AFTER_CSV]).returncode == -signal.SIGKILL
    assert (night / "out/sales.csv").read_bytes() != newest

    assert tsforecast("batch", "jobs.yaml") == 0

    assert (night / "out/sales.csv").read_bytes() == newest


@pytest.mark.parametrize("size", [300, 1000, 4000, 9000, 20_000])
def test_a_full_disk_exits_with_7_and_leaves_what_was_there(
    night: Path, size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    before = outputs(night)
    write_data(night, n_series=200)

    with full_disk(size):
        assert tsforecast("batch", "jobs.yaml") == 7

    assert "the disk is full or failing" in capfd.readouterr().err
    after = outputs(night)
    assert {
        name: content for name, content in after.items() if before.get(name) != content and name in before
    } == {}
    write_data(night)
    assert tsforecast("batch", "jobs.yaml") == 0
    assert not [path for path in night.rglob(".*") if path.suffix != ".lock"]


def test_corrected_data_is_forecast_again_without_duplicate_rows(night: Path) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    before = (night / "out/sales.csv").read_text()
    frame = pd.read_csv(night / "sales.csv")
    frame.loc[frame.index[-1], "y"] += 1
    frame.to_csv(night / "sales.csv", index=False)

    assert tsforecast("batch", "jobs.yaml") == 0

    assert (night / "out/sales.csv").read_text() != before
    assert sql_rows(night, "SELECT count(*), count(DISTINCT run_key) FROM forecasts") == [(35, 1)]
    assert len(issued(night / "archive")) == 2, "both were issued"


def test_as_of_is_what_would_have_been_forecast_then_under_the_same_key(night: Path) -> None:
    write_data(night, days=85)
    assert tsforecast("batch", "jobs.yaml") == 0
    then, key = (night / "out/sales.csv").read_bytes(), status_of(night)["jobs"][0]["run_key"]
    write_data(night, days=90)
    assert tsforecast("batch", "jobs.yaml") == 0
    assert (night / "out/sales.csv").read_bytes() != then

    assert tsforecast("batch", "jobs.yaml", "--as-of", "2015-03-26") == 0

    assert status_of(night)["jobs"][0]["run_key"] == key
    assert (night / "out/sales.csv").read_bytes() == then, "the file holds what was asked for last"


def test_drop_last_leaves_out_the_day_that_is_not_over(night: Path) -> None:
    change(night, "data: sales.csv", "data: sales.csv\n    drop_last: 1")

    assert tsforecast("batch", "jobs.yaml") == 0

    assert status_of(night)["jobs"][0]["as_of"] == "2015-03-30"
    (kept,) = issued(night / "archive")
    assert kept.metadata["drop_last"] == 1  # nor is that day an actual value when forecasts are scored


def test_backfill_makes_what_is_missing_and_leaves_the_newest_file_alone(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    newest = (night / "out/sales.csv").read_bytes()

    assert tsforecast("batch", "jobs.yaml", "--backfill", "2015-03-20..2015-03-22") == 0
    kept = {one.as_of for one in issued(night / "archive")}
    assert kept == {"2015-03-20", "2015-03-21", "2015-03-22", NEWEST}
    assert (night / "out/sales.csv").read_bytes() == newest
    assert (status_of(night)["jobs"][0]["made"], status_of(night)["jobs"][0]["skipped"]) == (3, 0)

    assert tsforecast("batch", "jobs.yaml", "--backfill", "2015-03-21..2015-03-23") == 0
    assert (status_of(night)["jobs"][0]["made"], status_of(night)["jobs"][0]["skipped"]) == (1, 2)

    assert tsforecast("batch", "jobs.yaml", "--backfill", "2015-03-21..2015-03-23", "--mode", "all") == 0
    assert status_of(night)["jobs"][0]["made"] == 3

    spoil(night, "s0")
    assert tsforecast("batch", "jobs.yaml", "--backfill", "2015-03-23..2015-03-23") == 5
    assert tsforecast("batch", "jobs.yaml", "--backfill", "2015-03-20..2015-03-23", "--mode", "failed") == 5
    assert (status_of(night)["jobs"][0]["made"], status_of(night)["jobs"][0]["skipped"]) == (0, 1)
    assert "the run has learned from rows up to" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("stretch", "code", "found"),
    [
        ("2015-03-20", 2, "is no stretch such as"),
        ("2015-03-22..2015-03-20", 2, "lies after"),
        ("2030-01-01..2030-01-05", 3, "the data has no step in it; it ends at 2015-03-31"),
        ("1990-01-01..1990-01-02", 3, "no series has a row at or before 1990-01-01"),
    ],
)
def test_a_stretch_that_is_none_is_refused(
    night: Path, capfd: pytest.CaptureFixture[str], stretch: str, code: int, found: str
) -> None:
    assert tsforecast("batch", "jobs.yaml", "--backfill", stretch) == code

    assert found in capfd.readouterr().err


def test_one_bad_series_is_listed_and_the_others_are_right(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    clean = pd.read_csv(night / "out/sales.csv")
    spoil(night, "s2")

    assert tsforecast("batch", "jobs.yaml") == 5

    pd.testing.assert_frame_equal(
        pd.read_csv(night / "out/sales.csv"), clean[clean["unique_id"] != "s2"].reset_index(drop=True)
    )
    (failure,) = pd.read_csv(night / "jobs.failures.csv").to_dict("records")
    assert (failure["job"], failure["as_of"], failure["unique_id"], failure["code"]) == (
        "sales", NEWEST, "s2", "V401",
    )  # fmt: skip
    assert (
        "partly done, 4 series as of 2015-03-31: 1 series failed: 's2' (V401: line" in capfd.readouterr().err
    )

    write_data(night)
    assert tsforecast("batch", "jobs.yaml") == 0
    assert not (night / "jobs.failures.csv").exists()


@pytest.mark.parametrize(("limit", "code"), [("1", 5), ("0", 3), ("20%", 5), ("19%", 3)])
def test_with_more_failures_than_may_be_nothing_is_written(night: Path, limit: str, code: int) -> None:
    spoil(night, "s2")

    assert tsforecast("batch", "jobs.yaml", "--max-failures", limit) == code

    assert ("out/sales.csv" in outputs(night)) == (code == 5)
    assert status_of(night)["jobs"][0]["failed"] == 1


def test_a_series_that_fails_while_it_is_forecast_counts_once(
    night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shards_module._frame

    def failing(run: object, shard: shards_module.Shard, *words: object) -> pd.DataFrame:
        if "s3" in shard.panel.unique_ids:
            raise DataError("s3: is cursed.", code="X1")
        made: pd.DataFrame = whole(run, shard, *words)  # type: ignore[arg-type]
        return made

    monkeypatch.setattr(shards_module, "_frame", failing)

    assert tsforecast("batch", "jobs.yaml", "--max-failures", "17%") == 3  # of five series, not of six
    assert "out/sales.csv" not in outputs(night)
    assert tsforecast("batch", "jobs.yaml", "--max-failures", "20%") == 5
    assert (status_of(night)["jobs"][0]["series"], status_of(night)["jobs"][0]["failed"]) == (4, 1)


def test_a_series_that_is_forecast_by_the_baseline_is_no_failure(night: Path) -> None:
    spoil(night, "s2")
    change(night, "data: sales.csv", "data: sales.csv\n    on_bad_series: baseline")

    assert tsforecast("batch", "jobs.yaml") == 0

    found = pd.read_csv(night / "out/sales.csv")
    assert list(found["unique_id"].unique()) == ["s0", "s1", "s2", "s3", "s4"]
    assert pd.read_csv(night / "jobs.failures.csv")["forecast"].to_list() == ["seasonal_naive"]


def test_when_every_series_is_bad_the_data_is_refused(night: Path) -> None:
    for k in range(5):
        spoil(night, f"s{k}")

    assert tsforecast("batch", "jobs.yaml") == 3


def test_a_job_that_fails_does_not_stop_the_next(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (night / "jobs.yaml").write_text(
        "jobs:\n"
        "  - {name: no run, run: runs/none, sinks: [{csv: out/a.csv}]}\n"
        "  - {name: no data, run: runs/sales, data: none.csv, sinks: [{csv: out/b.csv}]}\n"
        "  - {name: good, run: runs/sales, data: sales.csv, sinks: [{csv: out/c.csv}]}\n"
    )

    assert tsforecast("batch", "jobs.yaml") == 5

    assert list(outputs(night)) == ["out/c.csv"]
    jobs = status_of(night)["jobs"]
    assert [(job["state"], job["exit_code"]) for job in jobs] == [("failed", 4), ("failed", 3), ("done", 0)]
    told = capfd.readouterr().err
    assert "3 jobs: 2 failed, 1 done (exit code 5)" in told
    assert "no run: failed, exit code 4:" in told
    assert "runs/none: no such run folder, and the job has no config to train it from" in told


def test_a_bug_in_a_job_is_told_with_its_traceback_and_does_not_stop_the_next(
    night: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (night / "jobs.yaml").write_text(
        "jobs:\n"
        "  - {name: a, run: runs/sales, data: sales.csv, sinks: [{csv: out/a.csv}]}\n"
        "  - {name: b, run: runs/sales, data: sales.csv, sinks: [{csv: out/b.csv}]}\n"
    )
    whole = job_module.reading
    calls = iter([True, False])
    monkeypatch.setattr(job_module, "reading", lambda *args: 1 / 0 if next(calls) else whole(*args))

    assert tsforecast("batch", "jobs.yaml") == 1

    assert "ZeroDivisionError" in capfd.readouterr().err
    assert list(outputs(night)) == ["out/b.csv"]


def test_old_data_is_refused_with_its_age(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change(night, "data: sales.csv", "data: sales.csv\n    max_age: 2d")

    assert tsforecast("batch", "jobs.yaml") == 3

    told = capfd.readouterr().err
    assert re.search(
        r"the newest row is of 2015-03-31, \d{4}\.\d days ago \(it is now 20..-..-.. ..:..\), and max_age is 2d",
        told,
    )
    assert outputs(night) == {}


def test_old_data_is_refused_before_anything_is_trained_on_it(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(night / "runs")
    change(night, "data: sales.csv", "data: sales.csv\n    max_age: 2d\n    config: sales.yaml")

    assert tsforecast("batch", "jobs.yaml") == 3

    assert "max_age is 2d; nothing was forecast" in capfd.readouterr().err
    assert not (night / "runs").exists()


def test_fewer_series_than_the_night_before_and_more_that_end_early_are_told_once(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml") == 0
    whole = write_data(night, days=91)
    late = whole["unique_id"].isin(["s1", "s2"]) & (whole["ds"] > "2015-03-31")
    whole[(whole["unique_id"] != "s4") & ~late].to_csv(night / "sales.csv", index=False)
    capfd.readouterr()

    assert tsforecast("batch", "jobs.yaml") == 0

    told = capfd.readouterr().err
    assert "1 series fewer than the 5 as of 2015-03-31: is the data whole?" in told
    assert "2 series end before 2015-04-01 ('s1', 's2'), 0 did as of 2015-03-31: their forecasts" in told
    assert "When the cause is mended" not in told

    whole = write_data(night, days=92)
    late = whole["unique_id"].isin(["s1", "s2"]) & (whole["ds"] > "2015-03-31")
    whole[(whole["unique_id"] != "s4") & ~late].to_csv(night / "sales.csv", index=False)

    assert tsforecast("batch", "jobs.yaml") == 0
    assert capfd.readouterr().err == "", "it is told once"


def test_prices_of_days_to_come_do_not_make_old_data_new(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(night / "runs")
    change(night, "data: sales.csv", "data: sales.csv\n    max_age: 2d\n    config: sales.yaml")
    change(night, "id: unique_id", "id: unique_id, covariates: {future: [price]}", file="sales.yaml")
    ahead = pd.DataFrame({"unique_id": "s0", "ds": [str(pd.Timestamp.now().date())], "y": np.nan})
    frame = pd.concat([write_data(night).astype({"ds": str}), ahead]).assign(price=1.0)
    frame.to_csv(night / "sales.csv", index=False)

    assert tsforecast("batch", "jobs.yaml") == 3

    assert "the newest row is of 2015-03-31" in capfd.readouterr().err
    assert not (night / "runs").exists()


def test_data_that_is_not_too_old_is_forecast(night: Path) -> None:
    frame = write_data(night)
    frame["ds"] += pd.Timestamp.now().normalize() - frame["ds"].max()
    frame.to_csv(night / "sales.csv", index=False)
    change(night, "data: sales.csv", "data: sales.csv\n    max_age: 2d")

    assert tsforecast("batch", "jobs.yaml") == 0


@pytest.mark.parametrize(
    ("zone", "minutes", "code"), [("Pacific/Kiritimati", -60, 3), ("Pacific/Pago_Pago", 60, 0)]
)
def test_rows_without_a_zone_are_on_the_clock_of_the_machine(
    zone: str, minutes: int, code: int, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """14 hours before and 11 hours behind UTC: there the age of a row would be another."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        frame, now = write_data(night), pd.Timestamp.now()
        frame["ds"] += now.normalize() - pd.Timedelta("1D") - frame["ds"].max()
        age = int((now - frame["ds"].max()) / pd.Timedelta("1min"))
        frame.to_csv(night / "sales.csv", index=False)
        change(night, "data: sales.csv", f"data: sales.csv\n    max_age: {age + minutes}m")

        assert tsforecast("batch", "jobs.yaml") == code
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_run_is_trained_where_there_is_none_and_again_when_it_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    change(tmp_path, "run: runs/sales", "run: runs/sales\n    config: sales.yaml\n    retrain: {every: 5d}")
    write_data(tmp_path, days=85)
    assert tsforecast("batch", "jobs.yaml") == 0
    first = status_of(tmp_path)["jobs"][0]["model_hash"]

    write_data(tmp_path, days=89)
    assert tsforecast("batch", "jobs.yaml") == 0
    assert status_of(tmp_path)["jobs"][0]["model_hash"] == first

    write_data(tmp_path, days=90)
    assert tsforecast("batch", "jobs.yaml") == 0
    status = status_of(tmp_path)["jobs"][0]
    assert status["trained"]
    assert status["model_hash"] != first


def test_a_run_that_somebody_else_trains_is_left_to_him(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change(night, "data: sales.csv", "data: sales.csv\n    config: sales.yaml\n    retrain: {every: 1d}")
    write_data(night, days=95)

    with locked([night / "runs/sales"], command="tsforecast train --overwrite"):
        assert tsforecast("batch", "jobs.yaml") == 5
        told = capfd.readouterr().err
        assert "not trained anew (" in told
        assert "`tsforecast train --overwrite`" in told
        shutil.rmtree(night / "runs/sales")
        assert tsforecast("batch", "jobs.yaml") == 75

    assert tsforecast("batch", "jobs.yaml") == 0
    receipt = json.loads((night / "runs/sales/run.json").read_text())
    assert receipt["command"] == ["tsforecast", "batch", "jobs.yaml"]


def test_a_training_that_fails_leaves_the_run_and_its_forecast(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change(night, "data: sales.csv", "data: sales.csv\n    config: sales.yaml\n    retrain: {every: 1d}")
    change(night, "horizon: 7", "horizon: 7000", file="sales.yaml")
    frame = write_data(night, days=95)

    assert tsforecast("batch", "jobs.yaml") == 5

    told = capfd.readouterr().err
    assert "partly done, 5 series as of 2015-04-05: not trained anew (" in told
    assert "The forecast is that of the run as it was." in told
    assert pd.read_csv(night / "out/sales.csv")["cutoff"].unique() == [str(frame["ds"].max().date())]


def test_a_sink_that_fails_stops_no_other_and_the_next_run_makes_up_for_it(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (night / "out").mkdir()
    (night / "out/parquet").write_text("a file where a folder is to be")

    assert tsforecast("batch", "jobs.yaml") == 2  # the lock cannot be made: told before any work
    (night / "out/parquet").unlink()
    connection = sqlite3.connect(night / "out/sales.db")
    connection.execute("CREATE TABLE forecasts (x)")
    connection.commit()
    connection.close()
    capfd.readouterr()

    assert tsforecast("batch", "jobs.yaml") == 2
    told = capfd.readouterr().err
    assert "table 'forecasts' has no column 'job'" in told
    assert "The other 2 of 3 sinks are written." in told
    assert not list((night / "archive").rglob("*.parquet"))

    (night / "out/sales.db").unlink()
    assert tsforecast("batch", "jobs.yaml") == 0
    assert sql_rows(night, "SELECT count(*) FROM forecasts") == [(35,)]
    assert len(issued(night / "archive")) == 1


def test_stdout_is_a_sink(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change(night, "      - parquet: out/parquet\n", "      - stdout: true\n")

    assert tsforecast("batch", "jobs.yaml") == 0

    out, err = capfd.readouterr()
    assert (out, err) == ((night / "out/sales.csv").read_text(), "")


@pytest.mark.parametrize(("spoiled", "name"), [(False, "on_success"), (True, "on_failure")])
def test_a_command_is_run_without_a_shell_with_the_path_of_the_status(
    night: Path, spoiled: bool, name: str
) -> None:
    script = night / "note it"
    script.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\npathlib.Path('said').write_text(repr(sys.argv[1:]))\n"
    )
    script.chmod(0o755)
    text = (night / "jobs.yaml").read_text()
    (night / "jobs.yaml").write_text(f"{name}: ['./note it', '$HOME; ls']\n{text}")
    if spoiled:
        spoil(night, "s1")

    assert tsforecast("batch", "jobs.yaml") == (5 if spoiled else 0)

    assert (night / "said").read_text() == repr(["$HOME; ls", str(night / "jobs.status.json")])


def test_a_command_that_fails_is_told_with_what_it_said(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = (night / "jobs.yaml").read_text()
    (night / "jobs.yaml").write_text(f"on_success: [sh, -c, 'echo no route to mail host; exit 3']\n{text}")

    assert tsforecast("batch", "jobs.yaml") == 5

    told = capfd.readouterr().err
    assert "sh: no route to mail host\nsh: ended with 3.\n" in told
    assert status_of(night)["exit_code"] == 5


def test_json_lines_parse_and_say_which_job_they_are_about(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil(night, "s2")
    text = (night / "jobs.yaml").read_text()
    (night / "jobs.yaml").write_text(
        f"on_failure: [echo, two words]\n{text}  - {{name: none, run: runs/none}}\n"
    )

    assert tsforecast("batch", "jobs.yaml", "--log-format", "json", "--log-file", "log.jsonl") == 5

    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert [line["level"] for line in lines if line.get("is_outcome")] == ["warning", "error"]
    assert {line.get("job") for line in lines} == {"sales", "none", None}
    assert {line.get("as_of") for line in lines} >= {NEWEST, None}
    assert "echo: two words" in err
    assert (lines[-1]["event"], lines[-1]["exit_code"]) == ("batch ended", 5)
    assert all(json.loads(line) for line in (night / "log.jsonl").read_text().splitlines())


def test_what_is_wrong_with_the_jobs_file_is_a_json_line_too(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (night / "jobs.yaml").write_text("jobs: 3\n")

    assert tsforecast("batch", "jobs.yaml", "--log-format", "json") == 2

    (line,) = capfd.readouterr().err.splitlines()
    assert "jobs: found 3" in json.loads(line)["event"]


def test_the_status_as_one_document(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("batch", "jobs.yaml", "--json") == 0

    assert json.loads(capfd.readouterr().out) == status_of(night)


def test_no_secret_is_in_status_messages_archive_or_locks(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change(night, "sqlite:///out/sales.db", "postgresql://me:geheim@127.0.0.1:1/db")
    text = (night / "jobs.yaml").read_text()
    (night / "jobs.yaml").write_text(
        f"logs: logs\n{text}  - {{name: b, run: runs/sales, data: 'http://me:geheim@127.0.0.1:1/a.csv'}}\n"
    )
    words = ["batch", "jobs.yaml", "--log-file", "log.txt", "-v"]

    assert tsforecast(*words) == 7
    assert tsforecast(*words, "--log-format", "json") == 7

    out, err = capfd.readouterr()
    assert "me:***@127.0.0.1:1/db" in err
    assert all("me:***@127.0.0.1:1/db" in log.read_text() for log in (night / "logs").iterdir())
    everything = [
        path.read_bytes() for path in night.rglob("*") if path.is_file() and path.name != "jobs.yaml"
    ]
    assert b"geheim" not in b"".join(everything) + (out + err).encode()


def test_the_mail_of_a_bad_night_says_what_happened_where_and_what_to_do(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil(night, "s2")
    text = (night / "jobs.yaml").read_text()
    (night / "jobs.yaml").write_text(
        text
        + "  - {name: web, run: runs/sales, data: sales.csv, max_age: 2d}\n"
        + "  - {name: stock, run: runs/stock}\n"
    )

    assert tsforecast("batch", "jobs.yaml") == 5

    out, err = capfd.readouterr()
    assert out == ""
    ago = r"[\d.]+ days ago \(it is now 20..-..-.. ..:..\)"
    said = re.sub(ago, "4.2 days ago (it is now 2015-04-04 04:48)", err.replace(str(night), "/srv"))
    assert (
        said
        == """\
3 jobs: 2 failed, 1 partly done (exit code 5)
  sales: partly done, 4 series as of 2015-03-31: 1 series failed: 's2' (V401: line 185, \
column 'y': 'abc' is not a number).
  web: failed, exit code 3: /srv/sales.csv: the newest row is of 2015-03-31, 4.2 days ago (it is now \
2015-04-04 04:48), and max_age is 2d; nothing was forecast. Look why no new rows came, or raise max_age.
  stock: failed, exit code 4: /srv/runs/stock: no such run folder, and the job has no config to train it from; \
add config:, or train it with `tsforecast train`.
All series that failed: /srv/jobs.failures.csv. Mend their rows, or say with data.repair or on_bad_series what is \
done about such.
Status: /srv/jobs.status.json
When the cause is mended, run the same command again: forecasts that are finished are not made twice.
"""
    )


def test_a_series_that_a_training_leaves_out_is_told_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    change(tmp_path, "run: runs/sales", "run: runs/sales\n    config: sales.yaml")
    spoil(tmp_path, "s2")

    assert tsforecast("batch", "jobs.yaml") == 5

    told = capfd.readouterr().err.splitlines()
    assert [line[: line.index(" (")] for line in told if "'s2'" in line] == [
        "  sales: partly done, 4 series as of 2015-03-31: 1 series failed: 's2'",
        "sales, training: 1 series left out: 's2'",
    ]


def test_old_forecasts_are_forgotten_as_keep_says(night: Path) -> None:
    change(night, "data: sales.csv", "data: sales.csv\n    keep: {archive: 3d, partitions: 2d}")
    assert tsforecast("batch", "jobs.yaml", "--backfill", "2015-03-20..2015-03-30") == 0

    assert tsforecast("batch", "jobs.yaml") == 0

    assert sorted(path.name for path in (night / "out/parquet").glob("as_of=*")) == [
        "as_of=2015-03-29", "as_of=2015-03-30", "as_of=2015-03-31",
    ]  # fmt: skip
    assert [one.as_of for one in issued(night / "archive")] == [
        "2015-03-28", "2015-03-29", "2015-03-30", "2015-03-31",
    ]  # fmt: skip


def test_ten_runs_at_once_are_one_and_nine_that_are_told(night: Path) -> None:
    hold = f"on_success: [{sys.executable}, -c, 'import time; time.sleep(20)']\n"
    (night / "jobs.yaml").write_text(hold + (night / "jobs.yaml").read_text())
    processes = [
        subprocess.Popen([*ENTRY, "jobs.yaml"], cwd=night, stderr=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    said = {process.pid: process.communicate()[1] for process in processes}

    codes = {process.pid: process.returncode for process in processes}
    assert sorted(codes.values()) == [0] + [75] * 9
    (winner,) = (pid for pid, code in codes.items() if code == 0)
    for pid, text in said.items():
        if pid != winner:
            assert f"is being written by process {winner} on" in text
    assert status_of(night)["pid"] == winner


def test_a_signal_ends_a_training_with_the_status_saved(tmp_path: Path) -> None:
    prepare(tmp_path)
    change(tmp_path, "max_steps: 4", "max_steps: 10000000, patience: 10000000", file="sales.yaml")
    change(tmp_path, "run: runs/sales", "run: runs/sales\n    config: sales.yaml")
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text("on_failure: [cp, -t, noted]\n" + jobs.read_text() + "  - {name: b, run: runs/b}\n")
    (tmp_path / "noted").mkdir()
    process = subprocess.Popen([*ENTRY, "jobs.yaml", "-v"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "at most 10000000 steps" not in process.stderr.readline():
        assert process.poll() is None

    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]

    assert process.returncode == 143
    assert "2 jobs: 1 stopped, 1 not begun (exit code 143)" in said
    status = status_of(tmp_path)
    assert (status["state"], status["exit_code"]) == ("stopped", 143)
    assert [job["state"] for job in status["jobs"]] == ["stopped", "waiting"]
    assert json.loads((tmp_path / "noted/jobs.status.json").read_text())["state"] == "stopped"


STUCK = """
import ctypes, sys
from tsforecast.workflows import batch
from tsforecast.workflows.nightly import job
from tsforecast.cli.main import run
batch.SECONDS_TO_STOP = 0.5
def stuck(*words):
    print("stuck", file=sys.stderr, flush=True)
    # A lock of the C library, which no Python handler gets in between: restarts after each signal.
    lock = ctypes.create_string_buffer(256)
    libc = ctypes.CDLL(None)
    libc.pthread_mutex_lock(lock), libc.pthread_mutex_lock(lock)
job.reading = stuck
sys.argv = ["tsforecast", "batch", "jobs.yaml"]
sys.exit(run())
"""


def test_a_signal_ends_a_step_that_never_comes_back_with_the_status_saved(night: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], cwd=night, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "stuck" not in process.stderr.readline():
        assert process.poll() is None

    process.terminate()
    process.communicate(timeout=60)

    assert process.returncode == 143
    assert status_of(night)["state"] == "stopped"
    assert status_of(night)["jobs"][0]["state"] == "stopped"


def test_a_kill_at_any_moment_is_made_up_for_by_the_next_run(night: Path) -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("batch_kills.py"), night, "24"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["killed"] == 24


def test_a_damaged_status_is_told_and_replaced(night: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (night / "jobs.status.json").write_text("{ half")

    assert tsforecast("batch", "jobs.yaml", "-v") == 0

    assert "is no status that can be read, and is replaced" in capfd.readouterr().err
    assert status_of(night)["state"] == "done"


@pytest.mark.parametrize("words", [["--wait"], ["--wait", "0.1"], ["--wait", "--force"], ["--wait=5"]])
def test_wait_may_stand_with_a_number_of_seconds_and_without(night: Path, words: list[str]) -> None:
    assert tsforecast("batch", "jobs.yaml", *words) == 0
    assert tsforecast("batch", *words, "jobs.yaml") == 0


def test_a_pruned_environment_without_stdin_is_enough(night: Path) -> None:
    environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}

    done = subprocess.run(
        [*ENTRY, str(night / "jobs.yaml")],
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_print_gives_a_line_for_cron_that_runs_the_jobs(
    night: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("batch", "jobs.yaml", "--print", "cron", "--at", "2:30") == 0

    _, line = capfd.readouterr().out.splitlines()
    assert line.startswith(f"30 2 * * * cd {night} && ")
    environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        ["/bin/sh", "-c", line.split(" ", 5)[5]], cwd="/", env=environment, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert status_of(night)["state"] == "done"


def test_print_refuses_a_jobs_file_that_would_fail_at_night(night: Path) -> None:
    (night / "jobs.yaml").write_text("jobs: 3\n")

    assert tsforecast("batch", "jobs.yaml", "--print", "systemd") == 2


def test_parts_of_the_series_give_the_forecasts_of_all(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(night / "runs/sales")
    read = read_like(run, night / "sales.csv")
    whole = spooled_frame(night, run, read)
    monkeypatch.setattr(shards_module, "FEWEST", 2)
    monkeypatch.setattr(shards_module, "MOST", 2)
    behind: list[int] = []

    with spooled(night / "x") as spool:
        assert forecast_shards(run, [read], spool, horizon=7, quantile_levels=[0.1], done=behind.append) == ()
        parts = whole_of(spool).to_pandas()

    assert behind == [2, 4, 5]
    pd.testing.assert_frame_equal(parts, whole, rtol=1e-5)
    assert not list(night.glob(".x.spool*"))


def spooled_frame(night: Path, run: object, read: Isolated) -> pd.DataFrame:
    with spooled(night / "x") as spool:
        forecast_shards(run, [read], spool, horizon=7, quantile_levels=[0.1])  # type: ignore[arg-type]
        return whole_of(spool).to_pandas()


def whole_of(spool: Spool) -> pa.Table:
    (table,) = spool.tables(1_000_000)
    return table


def test_the_one_series_that_cannot_be_forecast_is_found(
    night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(night / "runs/sales")
    read = read_like(run, night / "sales.csv")
    whole = shards_module._frame

    def failing(run: object, shard: shards_module.Shard, *words: object) -> pd.DataFrame:
        if "s3" in shard.panel.unique_ids:
            raise DataError("s3: is cursed.\nand more", code="X1")
        made: pd.DataFrame = whole(run, shard, *words)  # type: ignore[arg-type]
        if "s1" in shard.panel.unique_ids:
            made.loc[made["unique_id"] == "s1", "y_hat"] = np.inf
        return made

    monkeypatch.setattr(shards_module, "_frame", failing)
    with spooled(night / "x") as spool:
        failures = forecast_shards(run, [read], spool, horizon=7, quantile_levels=[])
        names = whole_of(spool).column("unique_id").unique().to_pylist()

    assert names == ["s0", "s2", "s4"]
    found = {failure.unique_id: (failure.code, failure.reason) for failure in failures}
    assert found == {"s1": ("", "the forecast is not a finite number"), "s3": ("X1", "s3: is cursed")}


def test_memory_that_runs_out_is_tried_with_fewer_series(
    night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(night / "runs/sales")
    read = read_like(run, night / "sales.csv")
    expected = spooled_frame(night, run, read)
    whole = shards_module._frame

    def small(run: object, shard: shards_module.Shard, *words: object) -> pd.DataFrame:
        if shard.n_series > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return whole(run, shard, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(shards_module, "_frame", small)

    pd.testing.assert_frame_equal(spooled_frame(night, run, read), expected, rtol=1e-5)


def test_what_was_known_at_a_moment_has_no_row_after_it_and_no_series_that_began_later(night: Path) -> None:
    frame = write_data(night)
    late = frame["unique_id"].eq("s4") & (frame["ds"] < "2015-03-25")
    frame[~late].to_csv(night / "sales.csv", index=False)
    run = load_run(night / "runs/sales")
    read = read_like(run, night / "sales.csv")

    then = known_at(run, read, "2015-03-20")

    assert then.panel.unique_ids == ("s0", "s1", "s2", "s3")
    assert {as_of_text(then.panel.axis, int(p)) for p in then.panel.positions(then.panel.last_cutoffs)} == {
        "2015-03-20"
    }


@pytest.mark.parametrize(
    ("freq", "timezone", "newest", "stretch"),
    [
        ("integer", None, "89", "80..82"),
        (
            "h",
            "Europe/Berlin",
            "2024-04-01T18:00:00+02:00",
            "2024-03-31T01:00:00+01:00..2024-03-31T04:00:00+02:00",
        ),
        ("MS", None, "2031-05-01", "2031-01-15..2031-04-20"),
    ],
)
def test_any_time_has_its_as_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    freq: str,
    timezone: str | None,
    newest: str,
    stretch: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path, jobs=JOBS.replace("run: runs/sales", "run: runs/sales\n    config: sales.yaml"))
    change(tmp_path, "out/sales.csv", "out/sales-{as_of}.csv")
    zone = f", format: {{timezone: {timezone}}}" if timezone else ""
    change(tmp_path, "id: unique_id", f"id: unique_id, freq: {freq}{zone}", file="sales.yaml")
    ds = (
        range(90)
        if freq == "integer"
        else pd.date_range("2024-03-29" if timezone else "2023-12-01", periods=90, freq=freq, tz=timezone)
    )
    frame = write_data(tmp_path)
    frame["ds"] = list(ds) * 5
    frame.to_csv(tmp_path / "sales.csv", index=False)

    assert tsforecast("batch", "jobs.yaml") == 0
    assert status_of(tmp_path)["jobs"][0]["as_of"] == newest
    assert tsforecast("batch", "jobs.yaml", "--backfill", stretch) == 0
    assert status_of(tmp_path)["jobs"][0]["made"] == 3
    assert tsforecast("batch", "jobs.yaml", "--as-of", newest) == 0
    assert status_of(tmp_path)["jobs"][0]["state"] == "skipped"

    assert len(list((tmp_path / "out").glob("*.csv"))) == 4
    assert {one.as_of for one in issued(tmp_path / "archive")} >= {newest}
    assert sql_rows(tmp_path, "SELECT count(*), count(DISTINCT as_of) FROM forecasts") == [(140, 4)]


def test_future_covariates_beyond_the_horizon_make_no_new_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path, jobs=JOBS.replace("run: runs/sales", "run: runs/sales\n    config: sales.yaml"))
    change(tmp_path, "id: unique_id", "id: unique_id, covariates: {future: [price]}", file="sales.yaml")
    frame = write_data(tmp_path, days=100)
    frame["price"] = np.arange(len(frame)) % 3.0

    def known_to(days: int) -> None:
        day = frame.groupby("unique_id").cumcount()
        part = frame[day < days].copy()
        part.loc[day >= 90, "y"] = np.nan
        part.to_csv(tmp_path / "sales.csv", index=False)

    known_to(97)
    assert tsforecast("batch", "jobs.yaml") == 0
    key = status_of(tmp_path)["jobs"][0]["run_key"]

    known_to(100)
    assert tsforecast("batch", "jobs.yaml") == 0
    assert (status_of(tmp_path)["jobs"][0]["run_key"], status_of(tmp_path)["jobs"][0]["state"]) == (
        key,
        "skipped",
    )

    frame.loc[96, "price"] += 1  # of the last step that is forecast
    known_to(100)
    assert tsforecast("batch", "jobs.yaml") == 0
    assert status_of(tmp_path)["jobs"][0]["run_key"] != key

    frame = frame[~((frame["unique_id"] == "s1") & (frame["ds"] > "2015-04-02"))]
    known_to(97)
    assert tsforecast("batch", "jobs.yaml") == 5
    assert "'s1' (price known 2 of 7 steps ahead)" in capfd.readouterr().err


def test_the_status_is_beside_the_jobs_file_unless_it_says_otherwise(night: Path) -> None:
    jobs = load_jobs(night / "jobs.yaml")
    assert status_path(jobs, Path("jobs.yaml")) == night / "jobs.status.json"

    change(night, "archive: archive", "archive: archive\nstatus: var/status.json")
    jobs = load_jobs(night / "jobs.yaml")
    assert batch(jobs, status_path(jobs, Path("jobs.yaml")), Night())["exit_code"] == 0
    assert json.loads((night / "var/status.json").read_text())["state"] == "done"


def test_a_stretch_is_two_moments() -> None:
    assert parse_backfill("2024-01-01 .. 2024-02-01") == ("2024-01-01", "2024-02-01")
    with pytest.raises(ConfigError, match="is no stretch"):
        parse_backfill("2024-01-01..")
