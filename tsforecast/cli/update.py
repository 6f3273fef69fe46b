"""``tsforecast update`` and ``tsforecast rollback``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import (
    PARTLY_DONE,
    AsOf,
    DropLast,
    LogFile,
    Quiet,
    Verbose,
    Wait,
    command_line,
    print_data,
    seconds_to_wait,
    start_messages,
    watched_training,
)

__all__ = ["rollback", "update"]


def update(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    data: Annotated[
        str,
        typer.Argument(
            help="The rows, in the same columns as in training, with the new ones after them: file, folder, pattern "
            "or URL; `-` reads stdin.",
            show_default=False,
        ),
    ],
    keep: Annotated[
        int, typer.Option(metavar="N", min=0, max=1000, help="Older versions to keep for rollback.")
    ] = 3,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=10_000,
            help="Newest steps to judge by.  [default: the horizon, or half of fewer new rows]",
        ),
    ] = None,
    as_of: AsOf = None,
    drop_last: DropLast = 0,
    wait: Wait = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast update runs/sales sales.csv

    A copy of the model learns from the new rows. It replaces the model if it forecasts the newest steps better, which
    neither has seen; else the run stays as it is. The exit code is 0 either way: the printed words or --json tell.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import json

    from tsforecast.runtime import keep_freed_memory
    from tsforecast.series.cut import Cut
    from tsforecast.workflows import update as workflow

    keep_freed_memory()
    with watched_training(quiet=quiet) as watcher:
        updated = workflow.update(
            run,
            data,
            keep=keep,
            window=window,
            cut=Cut(as_of, drop_last),
            watcher=watcher,
            command=command_line(),
            wait=seconds_to_wait(wait),
        )
    print_data(json.dumps(updated.to_json(), indent=2) + "\n" if as_json else workflow.report(updated))
    if updated.n_lost:
        raise typer.Exit(PARTLY_DONE)


def rollback(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    wait: Wait = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast rollback runs/sales

    Brings back the version that the last update replaced. The one that stands there now is not kept.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    from tsforecast.workflows import update as workflow

    version = workflow.rollback(run, wait=seconds_to_wait(wait))
    print_data(f"{run} is version {version} again.\n")
