"""The report of a run: what its files say, put together as one page that needs nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tsforecast import __version__
from tsforecast.config.load import dump_config
from tsforecast.config.words import printable
from tsforecast.pictures.report import Fact, Page, render
from tsforecast.runs import Run, open_run
from tsforecast.storage.atomic import output_errors, write_text
from tsforecast.workflows.reporting.backtest import backtest_parts
from tsforecast.workflows.reporting.data import (
    data_facts,
    failure_table,
    failures_of,
    repair_notes,
    subtitle,
    warnings_of,
)
from tsforecast.workflows.reporting.files import LONGEST_TITLE, READ, WEIGHTS
from tsforecast.workflows.reporting.network import gates_seen, training
from tsforecast.workflows.reporting.scores import backtested, bars_of, held_back, lead_time_chart, score_table
from tsforecast.workflows.reporting.series import forecasts
from tsforecast.workflows.reporting.verdict import verdict

__all__ = ["page_of", "report", "write"]


def report(run: Path) -> str:
    """The report of a run as one HTML page; the same run, the same text.

    Args:
        run: the run folder; a backtest and an inspection below its ``derived/`` are told of as well.

    Raises:
        RunError: the folder is missing or damaged.
    """
    return render(page_of(run))


def write(path: Path, html: str) -> None:
    """Writes the page whole or not at all; missing folders are made.

    Raises:
        ConfigError: the path cannot be written.
        ResourceError: the disk is full.
    """
    with output_errors(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html)


def page_of(path: Path) -> Page:
    """Everything the page says, as plain values.

    Raises:
        RunError: the folder is missing or damaged.
    """
    run = open_run(path, also=READ)
    name = printable(path.resolve().name, longest=LONGEST_TITLE)
    tested, judged = held_back(run), backtested(run)
    failures = failures_of(run)
    best = judged or tested
    return Page(
        title=name,
        subtitle=subtitle(run),
        verdict=verdict(best.evidence if best else None, warnings_of(run, failures)),
        **bars_of(best),
        scores=[score_table(one) for one in (judged, tested) if one],
        lead_time=lead_time_chart(best),
        facts=data_facts(run),
        data_notes=repair_notes(run),
        failures=failure_table(failures),
        **forecasts(run, best, failures),
        **(backtest_parts(run, judged) if judged else {}),
        **training(run),
        **gates_seen(run),
        config=dump_config(run.config),
        versions=_versions(run),
    )


def _versions(run: Run) -> list[Fact]:
    model = run.model
    return [
        Fact("Trained with", f"tsforecast {model.get('tsforecast', 'unknown')}"),
        Fact("Report by", f"tsforecast {__version__}"),
        Fact("Run format", str(model["format_version"])),
        Fact("Data (SHA-256)", model["data_hash"]),
        Fact("Weights (SHA-256)", hashlib.sha256(run.files[WEIGHTS]).hexdigest()),
    ]
