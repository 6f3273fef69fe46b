"""The data a run was trained on: how much, which, what was repaired, and what failed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import cast

from tsforecast.config.words import listed, printable
from tsforecast.pictures.report import Fact, Row, Table
from tsforecast.runs import Run
from tsforecast.workflows.reporting.files import FAILURES, LONGEST_NAME, MIDNIGHT, counted
from tsforecast.workflows.train import model_name

__all__ = ["data_facts", "failure_table", "failures_of", "repair_notes", "subtitle", "warnings_of"]

MOST_FAILURES = 30
WORDS = {
    "h": "hourly", "D": "daily", "B": "on business days", "W": "weekly", "MS": "monthly", "ME": "monthly",
    "BMS": "monthly", "BME": "monthly", "QS": "quarterly", "QE": "quarterly", "YS": "yearly", "YE": "yearly",
    "integer": "numbered steps",
}  # fmt: skip


def subtitle(run: Run) -> str:
    config = run.config
    target = (
        "" if isinstance(config.data.target, list) else f" of {printable(config.data.target, longest=40)}"
    )
    return (
        f"{counted(config.horizon, 'step')} ahead{target}, {_every(run.model['axis']['freq'])}, {_series(run)}; "
        f"{model_name(config)} of {config.model.hidden_size} units"
    )


def _series(run: Run) -> str:
    return f"{len(run.model['unique_ids']) + _n_fallbacks(run):,} series"


def _n_fallbacks(run: Run) -> int:
    return sum(len(stored["unique_ids"]) for stored in run.model.get("fallbacks", ()))


def data_facts(run: Run) -> list[Fact]:
    config, model = run.config, run.model
    begin, end = (text.removesuffix(MIDNIGHT) for text in model["training_range"])
    split = config.split
    covariates = [
        f"{kind}: {printable(', '.join(names), longest=LONGEST_NAME)}"
        for kind, names in config.data.covariates.model_dump().items()
        if names and kind in ("static", "past", "future")
    ]
    facts = [
        Fact("Series", f"{len(model['unique_ids']):,}"),
        Fact("Rows", f"{model['n_rows']:,}"),
        Fact("From", begin),
        Fact("To", end),
        Fact("Frequency", _every(model["axis"]["freq"])),
        Fact("Season", _seasons(cast(list[int], config.season_length))),
        Fact("Forecast", counted(config.horizon, "step") + " ahead"),
        Fact("Lookback", counted(cast(int, config.lookback), "step")),
        Fact("Held back", f"{split.validation} validation, {split.test} test steps"),
        Fact("Covariates", "; ".join(covariates) or "none"),
        Fact("Source", printable(_source_name(str(config.data.path)), longest=LONGEST_NAME)),
    ]
    if config.transform != "none":
        facts.append(Fact("Transform", config.transform))
    return facts


def _seasons(lengths: Sequence[int]) -> str:
    return " and ".join(map(str, lengths)) + f" step{'s' * (list(lengths) != [1])}"


def _every(freq: str) -> str:
    """A frequency in a word where there is one."""
    return WORDS.get(freq.partition("-")[0], freq)


def _source_name(path: str) -> str:
    """The last part of a path: where it lies on the disk is nobody's business but the config's."""
    return path.rpartition("/")[2] or path


def repair_notes(run: Run) -> list[str]:
    policies = run.config.data.repair.model_dump()
    done = [
        f"{count:,} {kind} ({policies[kind]})"
        for kind, count in run.model.get("repairs", {}).items()
        if count
    ]
    return (
        [f"Repaired while reading: {', '.join(done)}."]
        if done
        else ["Nothing had to be repaired while reading."]
    )


def failures_of(run: Run) -> list[dict[str, str]]:
    """Series that the network has nothing to do with: name, code, reason, and what forecasts them."""
    content = run.files.get(FAILURES)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))) if content else []


def failure_table(failures: Sequence[Mapping[str, str]]) -> Table | None:
    if not failures:
        return None
    rows = [
        Row(
            printable(one["unique_id"], longest=LONGEST_NAME),
            [
                one["code"],
                printable(one["reason"], longest=300),
                one["forecast"].replace("_", " ") or "nothing",
            ],
        )
        for one in failures[:MOST_FAILURES]
    ]
    more = (
        f"; the first {MOST_FAILURES} of them, all are in {FAILURES}" if len(failures) > MOST_FAILURES else ""
    )
    caption = f"{len(failures):,} series the network did not learn from{more}"
    return Table(caption, "series", ["code", "what is wrong", "forecast by"], rows, is_text=True)


def warnings_of(run: Run, failures: Sequence[Mapping[str, str]]) -> list[str]:
    """What about the run itself should make a reader careful."""
    warnings = []
    lost = [one["unique_id"] for one in failures if not one["forecast"]]
    fallen = len(failures) - len(lost)
    if lost:
        warnings.append(f"{len(lost):,} series have no forecast: {printable(listed(lost), longest=160)}.")
    if fallen:
        warnings.append(
            f"{fallen:,} series could not be learned from and are forecast by the seasonal naive."
        )
    test = cast(int, run.config.split.test)
    if 0 < test < run.config.horizon:
        warnings.append(
            f"Only {counted(test, 'step')} were held back, fewer than the {run.config.horizon} forecast: later lead "
            "times went unseen."
        )
    return warnings
