"""``tsforecast score``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tsforecast.cli.console import PARTLY_DONE, LogFile, Quiet, Verbose, print_data, start_messages

if TYPE_CHECKING:
    from tsforecast.workflows.score import Scored

__all__ = ["score"]

log = logging.getLogger(__name__)


def score(
    archive: Annotated[Path, typer.Argument(help="The forecast archive, a folder.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Argument(
            help="Actual values, in the columns of the job's data: file, folder, pattern or URL; `-` reads stdin.",
            show_default="where each job read its rows",
        ),
    ] = None,
    job: Annotated[
        str | None, typer.Option(metavar="NAME", help="Score this job only.", show_default="all")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE|SPAN",
            help="Score forecasts as of this time or later, or over the newest 90d or 12w.",
            show_default="all",
        ),
    ] = None,
    drop_last: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="The newest N steps of the data are not complete, such as today, and no actual values.",
            show_default="as the job",
        ),
    ] = None,
    alarm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            help="Exit with 6 where a score is worse, e.g. metric=mase,worse_than=1.2,over=14d; may be given again. "
            "`none` for no alarm.",
            show_default="`drift:` of the job",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the tables into this folder, replacing it.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one .html file that needs nothing else.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast score forecasts --alarm metric=mase,worse_than=1.2,over=14d

    Compares archived forecasts with the actual values that have come since, and with the seasonal naive of the same
    cutoff: by model, lead time, week and series.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    from tsforecast.config.drift import parse_alarm
    from tsforecast.workflows.score import score as score_archive

    alarms = None if alarm is None else [parse_alarm(one) for one in alarm if one != "none"]
    _check_outputs(archive, out, page)
    found = score_archive(archive, data, job=job, since=since, drop_last=drop_last, alarms=alarms)
    _tell(found, as_json=as_json)
    _write(found, out, page)
    _judge(found)


def _check_outputs(archive: Path, out: Path | None, page: Path | None) -> None:
    """Refuses now what could not be written after the work."""
    from tsforecast.errors import ConfigError
    from tsforecast.workflows.scoring.words import check_output

    for option, path in (("--out", out), ("--page", page)):
        if path is not None:
            check_output(option, path, archive)
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--page: {str(page)!r} would be {page.suffix!r}; a page is written as .html.")


def _tell(found: Scored, *, as_json: bool) -> None:
    """Warnings to stderr, the scores to stdout."""
    import json

    from tsforecast.workflows.scoring.words import scored_json, text, warnings

    for sentence in warnings(found):
        log.warning("%s", sentence)
    print_data(json.dumps(scored_json(found), indent=2) + "\n" if as_json else text(found))


def _write(found: Scored, out: Path | None, page: Path | None) -> None:
    """The tables and the page that were asked for."""
    if out is not None:
        from tsforecast.workflows.scoring.words import write

        write(out, found)
    if page is not None:
        from tsforecast.workflows import report
        from tsforecast.workflows.reporting.archive import archive_page

        report.write(page, archive_page(found))


def _judge(found: Scored) -> None:
    """The end of the command: an alarm is exit code 6, something that could not be scored 5."""
    from tsforecast.errors import QualityGateError

    if found.raised:
        raise QualityGateError("\n".join(found.alarm_texts))
    if found.is_partial:
        raise typer.Exit(PARTLY_DONE)
