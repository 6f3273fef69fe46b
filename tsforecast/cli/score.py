"""``tsforecast score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import PARTLY_DONE, LogFile, Quiet, Verbose, print_data, start_messages

__all__ = ["score"]


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

    import json
    import logging

    from tsforecast.config.drift import parse_alarm
    from tsforecast.errors import ConfigError, QualityGateError
    from tsforecast.workflows.score import score as score_archive
    from tsforecast.workflows.scoring import words

    log = logging.getLogger(__name__)
    alarms = None if alarm is None else [parse_alarm(one) for one in alarm if one != "none"]
    for option, path in (("--out", out), ("--page", page)):
        if path is not None:
            words.check_output(option, path, archive)
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--page: {str(page)!r} would be {page.suffix!r}; a page is written as .html.")
    found = score_archive(archive, data, job=job, since=since, drop_last=drop_last, alarms=alarms)
    for sentence in words.warnings(found):
        log.warning("%s", sentence)
    print_data(json.dumps(words.scored_json(found), indent=2) + "\n" if as_json else words.text(found))
    if out is not None:
        words.write(out, found)
    if page is not None:
        from tsforecast.workflows import report
        from tsforecast.workflows.reporting.archive import archive_page

        report.write(page, archive_page(found))
    if found.raised:
        raise QualityGateError("\n".join(found.alarm_texts))
    if found.is_partial:
        raise typer.Exit(PARTLY_DONE)
