"""The jobs file: read with positions, everything wrong with it told at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tsforecast.config.jobs import JobsFile, age_of, failure_limit, load_jobs
from tsforecast.errors import ConfigError

Load = Callable[[str], JobsFile]

ONE = "archive: archive\njobs:\n  - name: a\n    run: runs/a\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a text as if it were the file jobs.yaml."""

    def load_text(text: str) -> JobsFile:
        path = tmp_path / "jobs.yaml"
        path.write_text(text, encoding="utf-8")
        return load_jobs(path)

    return load_text


def test_relative_paths_start_from_the_folder_of_the_file(load: Load, tmp_path: Path) -> None:
    sinks = "    sinks: [{csv: out/a.csv}, {parquet: out/p}, {sql: 'sqlite:///out/a.db'}, {stdout: true}]\n"

    top = "on_failure: [bin/alarm, x]\non_success: [mail, x]\nstatus: s.json\nlogs: var/log\n"
    jobs = load(f"{top}{ONE}    data: a.csv\n{sinks}")

    (job,) = jobs.jobs
    assert (jobs.archive, jobs.status) == (str(tmp_path / "archive"), str(tmp_path / "s.json"))
    assert jobs.logs == str(tmp_path / "var/log")
    assert (job.run, job.data) == (str(tmp_path / "runs/a"), str(tmp_path / "a.csv"))
    assert [sink.name for sink in job.sinks] == [
        str(tmp_path / "out/a.csv"),
        f"{tmp_path / 'out/p'}/",
        f"sqlite:///{tmp_path / 'out/a.db'}#forecasts",
        "stdout",
    ]
    assert jobs.on_failure == [str(tmp_path / "bin/alarm"), "x"]
    assert jobs.on_success == ["mail", "x"], "a name without a slash is looked up in PATH"


def test_every_problem_is_told_with_its_place_and_the_key_that_was_meant(load: Load) -> None:
    text = """\
archiv: x
jobs:
  - name: a
    rn: runs/a
    sinks:
      - {cvs: a.csv}
      - {csv: a.csv, stdout: true}
    retrain: {every: 2 days, schedule: weely}
  - 7
"""
    with pytest.raises(ConfigError) as error:
        load(text)

    told = [line.partition("jobs.yaml:")[2] for line in str(error.value).splitlines()]
    assert [line.split(": ")[0] for line in told] == [
        "1:1", "3:5", "4:5", "6:9", "6:10", "7:9", "8:22", "8:40", "9:5",
    ]  # fmt: skip
    assert "archiv: unknown key. Did you mean 'archive'?" in told[0]
    assert "jobs[0].run: is required but missing" in told[1]
    assert "jobs[0].rn: unknown key. Did you mean 'jobs.run'?" in told[2]
    assert "jobs[0].sinks[1]: names csv and stdout; each entry is one of" in told[5]
    assert "jobs[0].retrain.every: '2 days' is no age; write a number with m, h, d or w" in told[6]
    assert "Did you mean 'weekly'?" in told[7]
    assert "jobs[1]: found 7; expected a section with keys such as name, run, config" in told[8]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "is empty; a jobs file needs at least jobs, each with name and run"),
        (
            "data: {path: a.csv}\nhorizon: 3",
            "is a config, not a jobs file; name it in one as `config:` of a job",
        ),
        ("jobs: 3", r"jobs: found 3; expected a list of sections, each with keys such as name"),
        ("jobs: []", r"jobs: found \[\]; expected a list of sections"),
        (f"{ONE}  - {{name: a, run: runs/b}}", "name 'a' stands twice"),
        (
            "jobs: [{name: a, run: b}]",
            "has no sinks and there is no archive, so that it would forecast for nobody",
        ),
        ("jobs: [{name: .a, run: b, sinks: [{stdout: true}]}]", "'.a' is no name"),
        (f"{ONE}    max_failures: 5 %", "'5 %' is neither a number of series nor a share"),
        (f"{ONE}    max_failures: 120%", "'120%' is neither"),
        (f"{ONE}    quantile_levels: [0.9, 0.1]", "is not rising"),
        (f"{ONE}    sinks: [{{sql: 'https://a.b/c'}}]", "is no database URL"),
        (f"{ONE}    sinks: [{{csv: 's3://a/b.csv'}}]", "is no local path"),
        (f"{ONE}    sinks: [{{csv: a.csv, table: t}}]", "table belongs to sql"),
        (f"{ONE}    sinks: [{{sql: 'sqlite:///a.db', table: 'a b'}}]", "'a b' is no table"),
        (f"{ONE}    sinks: [{{csv: a.csv}}, {{csv: ./a.csv}}]", "is written by two sinks"),
        (f"{ONE}    retrain: {{on_drift: true}}", "is trained on drift"),
        (
            f"keep: {{logs: 30d}}\n{ONE}",
            "keep.logs is about the files of logs, and there are none; add logs: FOLDER",
        ),
        (f"{ONE}    keep: {{logs: 30d}}", r"jobs\[0\].keep.logs: unknown key. Did you mean 'keep.logs'\?"),
        (f"{ONE}    drift: {{over: 14d}}", r"jobs\[0\].drift.worse_than: is required but missing"),
        (f"{ONE}    drift: 1.2", r"jobs\[0\].drift: found 1.2; expected a section with keys"),
        (f"{ONE}    config: a.yaml\n  - {{name: b, run: runs/a, config: b.yaml}}", "is trained by two jobs"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(load: Load, text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        load(text)


def test_a_section_that_may_be_left_out_may_be_null(load: Load) -> None:
    (job,) = load(f"{ONE}    drift: null\n    retrain:\n").jobs

    assert job.drift is None
    assert not job.retrain.ever


def test_a_missing_file_says_where_to_learn_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; docs/cron.md"):
        load_jobs(tmp_path / "jobs.yaml")


def test_no_secret_is_shown_by_a_problem_or_by_the_file_as_text(load: Load) -> None:
    sink = "    sinks: [{sql: 'postgresql://me:geheim@host/db', csv: a.csv}]\n"
    with pytest.raises(ConfigError) as error:
        load(f"{ONE}{sink}  - {{name: b}}")
    assert "geheim" not in str(error.value)

    jobs = load(f"{ONE}    data: 'https://me:geheim@host/a.csv'\n{sink.replace(', csv: a.csv', '')}")

    assert "geheim" not in repr(jobs)
    assert "geheim" not in jobs.jobs[0].sinks[0].name


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90m", timedelta(minutes=90)),
        ("36h", timedelta(hours=36)),
        ("1.5d", timedelta(days=1.5)),
        ("2w", timedelta(14)),
    ],
)
def test_ages(text: str, age: timedelta) -> None:
    assert age_of(text) == age


@pytest.mark.parametrize(
    ("limit", "most"), [(20, 20), ("20", 20), ("5%", 10), ("0.5%", 1), ("100%", 200), (0, 0)]
)
def test_a_limit_of_failures_is_a_number_or_a_share_of_all_series(limit: int | str, most: int) -> None:
    assert failure_limit(limit, 200) == most
