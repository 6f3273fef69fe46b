"""The jobs file of ``tsforecast batch`` as frozen models, and how it is read.

Read by the machinery of the config: every problem at once, each with its line, unknown keys with the one that was
probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from tsforecast.config.check import checked
from tsforecast.config.document import Kind
from tsforecast.config.drift import Drift
from tsforecast.config.durations import duration_of, form_of
from tsforecast.config.load import absolute_path, read_draft
from tsforecast.config.location import STDIN, is_url, kind_of, without_secrets
from tsforecast.config.schema import BadSeriesPolicy, Level, Section, Text
from tsforecast.errors import ConfigError

__all__ = [
    "AS_OF",
    "JobConfig",
    "JobsFile",
    "KeepConfig",
    "KeepLogsConfig",
    "RetrainConfig",
    "SinkConfig",
    "age_of",
    "failure_limit",
    "load_jobs",
]

JOBS = Kind(
    name="jobs file",
    needs="jobs, each with name and run",
    made_by="docs/cron.md shows how to write one",
    keys="`jobs:` and `archive:`",
)
AS_OF = "{as_of}"  # in the path of a CSV file: one file for each
AGE_UNITS = "mhdw"
COUNT_OR_SHARE = r"(?:([0-9]{1,9})|([0-9]{1,3}(?:\.[0-9]{1,6})?)%)"

Schedule = Literal["daily", "weekly", "monthly", "quarterly"]


def age_of(text: str) -> timedelta:
    """The length of time in ``2d``.

    Raises:
        ValueError: it is none.
    """
    age = duration_of(text, AGE_UNITS)
    if not age:
        raise ValueError(f"{text[:60]!r} is no age; write a number with m, h, d or w, such as 36h or 2d")
    return age


def failure_limit(limit: int | str, n_series: int) -> int:
    """How many series may fail: ``20``, or ``5%`` of all.

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(COUNT_OR_SHARE, str(limit))
    if match is None or (match[2] and float(match[2]) > 100):
        raise ValueError(
            f"{str(limit)[:60]!r} is neither a number of series nor a share of them; write 20, or 5%"
        )
    return int(match[1]) if match[1] else int(n_series * float(match[2]) / 100)


def _age(text: str) -> str:
    age_of(text)
    return text


def _limit(limit: int | str) -> int | str:
    failure_limit(limit, 0)
    return limit


# The patterns are for editors: what refuses a value here says more than that it does not match.
Age = Annotated[
    str,
    Field(title="an age such as 2d", json_schema_extra={"pattern": f"^{form_of(AGE_UNITS)}$"}),
    AfterValidator(_age),
]
Share = Annotated[
    str, Field(title="a share such as 5%", json_schema_extra={"pattern": rf"^{COUNT_OR_SHARE}$"})
]
Limit = Annotated[Annotated[int, Field(ge=0, le=10**9)] | Share, AfterValidator(_limit)]
Command = Annotated[list[Text], Field(min_length=1)]


class SinkConfig(Section):
    """Where the forecasts of a job go: each entry one of `csv`, `parquet`, `sql` and `stdout`."""

    csv: Text | None = Field(
        default=None,
        description=f"CSV file, replaced by each forecast; with `{AS_OF}` in its name there is one for each.",
    )
    parquet: Text | None = Field(
        default=None, description="Folder of Parquet files, `as_of=…/<job>.parquet` in it for each forecast."
    )
    sql: Text | None = Field(
        default=None,
        repr=False,  # may hold a password
        description="Database URL; rows with the key job, as_of, unique_id and ds are replaced. `${NAME}` in it is "
        "taken from the environment.",
    )
    table: Text = Field(default="forecasts", description="`sql`: table, made where it is missing.")
    stdout: bool = Field(default=False, description="CSV to the standard output.")

    @field_validator("table")
    @classmethod
    def _is_a_name(cls, table: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?", table):
            raise ValueError(
                f"{table[:60]!r} is no table; write letters, digits and _, as in sales_forecasts"
            )
        return table

    @field_validator("sql")
    @classmethod
    def _is_a_database(cls, sql: str | None) -> str | None:
        if sql is not None and kind_of(sql) != "database":
            raise ValueError(
                f"{without_secrets(sql)!r} is no database URL; write e.g. sqlite:///forecasts.db or "
                "postgresql://user:${DB_PASSWORD}@host/name"
            )
        return sql

    @field_validator("csv", "parquet")
    @classmethod
    def _is_a_path(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is not None and (is_url(path) or path == STDIN or "\0" in path):
            raise ValueError(
                f"{without_secrets(path)!r} is no local path; forecasts are written to local files, and to databases "
                f"with sql:. For stdout write `stdout: true` in place of {info.field_name}"
            )
        return path

    @model_validator(mode="after")
    def _one_of_them(self) -> SinkConfig:
        named = [kind for kind in ("csv", "parquet", "sql", "stdout") if getattr(self, kind)]
        if len(named) != 1:
            found = " and ".join(named) or "nothing"
            raise ValueError(
                f"names {found}; each entry is one of csv, parquet, sql and stdout: begin a new one with '- '"
            )
        if "table" in self.model_fields_set and self.sql is None:
            raise ValueError(f"table belongs to sql, and this is {named[0]}; remove it")
        return self

    @property
    def name(self) -> str:
        """The sink as messages and the status have it, without secrets."""
        if self.stdout:
            return "stdout"
        return without_secrets(f"{self.sql}#{self.table}" if self.sql else self.csv or f"{self.parquet}/")


class RetrainConfig(Section):
    """When a job's run is trained anew before it forecasts; measured on the data's own time, never on the clock."""

    every: Age | None = Field(
        default=None, description="When the data has gone on so far since the last training."
    )
    schedule: Schedule | None = Field(
        default=None,
        title="schedule",
        description="When a new day, week (from Monday), month or quarter has begun since the last training.",
    )
    on_drift: bool = Field(
        default=False, description="When the scores of the archive are worse than `drift` allows."
    )

    @property
    def ever(self) -> bool:
        """Whether the run is trained anew at all."""
        return self.every is not None or self.schedule is not None or self.on_drift


class KeepConfig(Section):
    """How long things are kept, measured back from the newest as-of; `null`: for ever."""

    archive: Age | None = Field(default=None, description="Forecasts in the archive.")
    partitions: Age | None = Field(default=None, description="Folders `as_of=…` of Parquet sinks.")


class JobConfig(Section):
    """A run folder, the data it forecasts from, and where the forecasts go."""

    name: Text = Field(description="Name of the job in messages, status and archive.")
    run: Text = Field(description="Run folder to forecast from; made from `config` where it is missing.")
    config: Text | None = Field(
        default=None, description="Config to train the run from; `null`: it is there, and keeps its own."
    )
    data: Text | None = Field(
        default=None,
        repr=False,
        description="Data to forecast from, whatever `data.path` may be; `null`: that of the config.",
    )
    horizon: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Steps to forecast; `null`: as trained."
    )
    quantile_levels: list[Level] | None = Field(
        default=None, description="Quantiles beside the point forecast, rising; `null`: as trained."
    )
    drop_last: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Steps to forget at the end of each series, such as the day that is not over.",
    )
    max_age: Age | None = Field(
        default=None,
        description="Oldest that the newest row may be, from its timestamp on; older data is refused (3). A timestamp "
        "without a zone is on the clock of the machine.",
    )
    on_bad_series: BadSeriesPolicy | None = Field(
        default=None,
        description="As `data.on_bad_series`; `null`: as the run has it, and `skip` where it has `fail`.",
    )
    max_failures: Limit | None = Field(
        default=None,
        description="Series that may fail, a number or a share such as `5%`: with more the job fails and writes "
        "nothing; `null`: as for all jobs.",
    )
    sinks: list[SinkConfig] = Field(default=[], description="Where the forecasts go, beside the archive.")
    retrain: RetrainConfig = Field(default_factory=RetrainConfig, description="When the run is trained anew.")
    drift: Drift | None = Field(
        default=None,
        description="When scores of the archive are an alarm, to which `tsforecast score` exits with 6.",
    )
    keep: KeepConfig = Field(default_factory=KeepConfig, description="How long things are kept.")

    @field_validator("name")
    @classmethod
    def _is_short(cls, name: str) -> str:
        if len(name.encode()) > 80 or not name.isprintable() or name.strip() != name or name.startswith("."):
            raise ValueError(
                f"{name[:60]!r} is no name; write a short one without line breaks and without . at its beginning"
            )
        return name

    @field_validator("quantile_levels")
    @classmethod
    def _rising(cls, levels: list[float] | None) -> list[float] | None:
        if levels is not None and sorted(set(levels)) != levels:
            raise ValueError(f"{levels!r} is not rising; write each level once, in rising order")
        return levels


class KeepLogsConfig(Section):
    """How long things are kept that belong to all jobs, measured back from the start of a run; `null`: for ever."""

    logs: Age | None = Field(
        default=None, description="Files of `logs`, told by the start in their names; others stay."
    )


class JobsFile(Section):
    """What is done one after the other."""

    jobs: Annotated[list[JobConfig], Field(min_length=1)] = Field(
        description="Runs with their data and sinks, in the order they are worked through."
    )
    archive: Text | None = Field(
        default=None, description="Folder that keeps every forecast for `tsforecast score`; `null`: none."
    )
    status: Text | None = Field(
        default=None,
        description="JSON file that says how the last run went; `null`: `<name>.status.json` beside the jobs file. "
        "Series that failed stand in `….failures.csv` beside it.",
    )
    logs: Text | None = Field(
        default=None,
        description="Folder that gets a file of JSON lines from each run, `<name of the jobs file>-<start in "
        "UTC>-….jsonl`, with everything that `--log-format json -v` says; `null`: none.",
    )
    keep: KeepLogsConfig = Field(default_factory=KeepLogsConfig, description="How long the logs are kept.")
    max_failures: Limit | None = Field(
        default=None, description="Series of a job that may fail, a number or a share; `null`: any but all."
    )
    on_success: Command | None = Field(
        default=None,
        description="Program and arguments to run when all is done (0); the path of the status comes last. No shell.",
    )
    on_failure: Command | None = Field(
        default=None, description="The same for every other end, a stop by a signal included."
    )

    @model_validator(mode="after")
    def _work_and_output_once(self) -> JobsFile:
        _refuse_twice((job.name for job in self.jobs), "name {!r} stands twice; give each job its own")
        _refuse_twice(
            (job.run for job in self.jobs if job.config), "run {!r} is trained by two jobs; let one do it"
        )
        files = [sink.csv for job in self.jobs for sink in job.sinks if sink.csv]
        _refuse_twice(files, "csv {!r} is written by two sinks; name two files")
        if not self.archive and (lost := next((job for job in self.jobs if not job.sinks), None)):
            raise ValueError(
                f"job {lost.name!r} has no sinks and there is no archive, so that it would forecast for "
                "nobody; add sinks, or archive: FOLDER"
            )
        if self.keep.logs and not self.logs:
            raise ValueError("keep.logs is about the files of logs, and there are none; add logs: FOLDER")
        for job in self.jobs:
            if job.retrain.on_drift and not (self.archive and job.drift):
                raise ValueError(
                    f"job {job.name!r} is trained on drift, which is told from the archive by the bound of `drift:`; "
                    "add archive: FOLDER, and drift: {worse_than: …} to the job"
                )
        return self


def _refuse_twice(names: Iterable[str], message: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(message.format(without_secrets(name)))
        seen.add(name)


def load_jobs(path: Path) -> JobsFile:
    """The jobs in a YAML file, every path in it absolute.

    Args:
        path: the file; relative paths in it start from its folder.

    Raises:
        ConfigError: lists every problem, one a line, as ``file:line:column: key: message``.
    """
    draft = read_draft(path, JOBS)
    if "data" in draft.values and "jobs" not in draft.values:
        raise ConfigError(
            f"{path}: is a config, not a jobs file; name it in one as `config:` of a job ({JOBS.made_by}), or train it "
            "with `tsforecast train`."
        )
    if not draft.problems:
        _make_absolute(draft.values, path.parent)
    return checked(draft, JobsFile)


def _make_absolute(values: dict[str, Any], base: Path) -> None:
    """Paths of the file from its folder on; a command's program only where it is a path, not a name to look up."""
    _each(values, ("archive", "status", "logs"), lambda path: absolute_path(path, base))
    for name in ("on_success", "on_failure"):
        words = values.get(name)
        if isinstance(words, list) and words and isinstance(words[0], str) and "/" in words[0]:
            words[0] = absolute_path(words[0], base)
    for job in _mappings(values.get("jobs")):
        _each(job, ("run", "config", "data"), lambda path: absolute_path(path, base))
        for sink in _mappings(job.get("sinks")):
            _each(sink, ("csv", "parquet", "sql"), lambda path: absolute_path(path, base))


def _mappings(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _each(values: dict[str, Any], names: Iterable[str], change: Callable[[Any], Any]) -> None:
    for name in names:
        if name in values:
            values[name] = change(values[name])
