"""``tsforecast check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import AsOf, DropLast, LogFile, Quiet, Set, Verbose, print_data, start_messages

__all__ = ["check"]


def check(
    config: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    settings: Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    as_of: AsOf = None,
    drop_last: DropLast = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 for warnings as well.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast check configs/air_passengers.yaml --strict

    Reads the data of a config, trains nothing, and reports everything that is wrong with it.

    Exits with 0 where `train` would take the data, and with 3 where it would not.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import json

    from tsforecast.config.load import load_config
    from tsforecast.series.cut import Cut
    from tsforecast.workflows import check as workflow

    loaded = load_config(config, overrides=settings or ())
    report = workflow.check(loaded, cut=Cut(as_of, drop_last))
    if as_json:
        print_data(json.dumps(workflow.report_json(report, strict=strict), indent=2) + "\n")
    else:
        print_data(workflow.report_text(report))
    if code := report.exit_code(strict=strict):
        raise typer.Exit(code)
