"""``tsforecast report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import LogFile, Quiet, Verbose, print_data, start_messages

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write, .html.  [default: RUN/derived/report.html]"),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast report runs/air_passengers --out report.html

    One HTML file that needs nothing else: is the model worth using, scores, data, forecasts, training, config; and the
    backtest and the gates where `backtest RUN` and `inspect RUN` were run before.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    from tsforecast.errors import ConfigError
    from tsforecast.runs import refuse_inside_run
    from tsforecast.workflows import report as workflow

    path = out or run / "derived" / "report.html"
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out: {str(path)!r} would be {path.suffix!r}; a report is written as .html.")
    refuse_inside_run("--out", path)
    workflow.write(path, workflow.report(run))
    print_data(f"report: {path}\n")
