"""``tsforecast verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import LogFile, Quiet, Verbose, print_data, start_messages, watched_training
from tsforecast.errors import ConfigError, RunError

__all__ = ["verify"]


def verify(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Argument(help="With --replay: the training data, where it is no longer at its place."),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Train again from the stored config and data, and compare.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as one JSON document.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast verify runs/sales

    Compares each file of a run, and of the older versions it keeps, with its size and hash, and loads the model. With
    --replay it also trains again and compares weights and forecasts. The exit code is 4 if anything differs.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import json

    from tsforecast.workflows import verify as workflow

    if data is not None and not replay:
        raise ConfigError("DATA: is read to train again; give --replay as well.")
    found = workflow.verify(run)
    if replay and not found.problems:
        from tsforecast.runtime import keep_freed_memory

        keep_freed_memory()
        with watched_training(quiet=quiet) as watcher:
            found = workflow.replay(found, data, watcher=watcher)
    print_data(json.dumps(found.to_json(), indent=2) + "\n" if as_json else workflow.report(found))
    if found.problems:
        raise typer.Exit(RunError.exit_code)
