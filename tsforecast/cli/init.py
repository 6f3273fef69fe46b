"""``tsforecast init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import LogFile, Quiet, Verbose, print_data, start_messages

__all__ = ["init"]


def init(
    csv: Annotated[Path, typer.Argument(metavar="DATA.csv", help="The CSV file.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Config to write, - for stdout.  [default: <name of DATA>.yaml]",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the config that is there.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast init data/air_passengers.csv -o passengers.yaml

    Looks at a CSV file and writes a commented config that trains as it stands.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import logging
    import shlex

    from tsforecast.workflows import init as workflow

    to_stdout = str(out) == "-"
    path = out or workflow.default_path(csv)
    made = workflow.init(csv, out=None if to_stdout else path, overwrite=overwrite)
    log = logging.getLogger(__name__)
    for key, note in made.notes.items():
        log.log(logging.WARNING if key in made.warnings else logging.INFO, "%s: %s", key, note)
    for key, warning in made.warnings.items():
        if key not in made.notes:
            log.warning("%s: %s", key, warning)
    if made.questions:
        log.warning("%s: answer %s there before training", path, " and ".join(made.questions))
    print_data(
        made.text if to_stdout else f"config: {path}\nnext: tsforecast train {shlex.quote(str(path))}\n"
    )
