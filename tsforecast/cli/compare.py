"""``tsforecast compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import (
    PARTLY_DONE,
    LogFile,
    Quiet,
    Set,
    Verbose,
    print_data,
    start_messages,
    watched_training,
)

__all__ = ["compare"]


def compare(
    config: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    cells: Annotated[
        str, typer.Option(metavar="LIST", help="Cells to compare; with `bi` in front: in both directions.")
    ] = "lstm,gru",
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Trainings of each cell, from training.seed on.")
    ] = 3,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Training steps of each.  [default: training.max_steps]"),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", min=0.1, max=1e6, help="CPU seconds of each training, instead of steps."),
    ] = None,
    settings: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write.  [default: runs/<name of CONFIG>_compare]"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the comparison that is there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast compare configs/air_passengers.yaml --cells lstm,gru,rnn,esn

    Trains each cell on the same data, splits, budget and seeds, and says which to use here.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import json

    from tsforecast.config.load import load_config
    from tsforecast.errors import ConfigError
    from tsforecast.runtime import keep_freed_memory
    from tsforecast.workflows import compare as workflow

    if steps is not None and seconds is not None:
        raise ConfigError("--steps and --seconds are two budgets; give one of them.")
    keep_freed_memory()
    overrides = [*(settings or ()), *([] if steps is None else [f"training.max_steps={steps}"])]
    loaded = load_config(config, overrides=overrides)
    names = workflow.parse_cells(cells)
    path = out or Path("runs") / f"{config.stem}_compare"
    workflow.check_folder(path, overwrite=overwrite)
    with watched_training(quiet=quiet) as watcher:
        found = workflow.compare(loaded, names, n_seeds=seeds, seconds=seconds, watcher=watcher)
    if as_json:
        workflow.write(path, found, overwrite=overwrite)
        document = {"folder": str(path), **workflow.comparison_json(found)}
        print_data(json.dumps(document, indent=2) + "\n")
    else:
        print_data(workflow.table(found) + "\n")  # first, so that a disk that fails now loses no answer
        workflow.write(path, found, overwrite=overwrite)
        print_data(f"folder: {path}\n{workflow.verdict(found)}\n")
    if any(not failure.forecast for failure in found.failures):
        raise typer.Exit(PARTLY_DONE)
