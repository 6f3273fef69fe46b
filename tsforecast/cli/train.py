"""``tsforecast train``."""

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
    Set,
    Verbose,
    Wait,
    command_line,
    print_data,
    seconds_to_wait,
    start_messages,
    watched_training,
)

__all__ = ["train"]


def train(
    config: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    settings: Set = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Run folder to write.  [default: runs/<name of CONFIG>]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    deterministic: Annotated[
        bool,
        typer.Option("--deterministic", help="The same bits each time, as runtime.deterministic: true."),
    ] = False,
    as_of: AsOf = None,
    drop_last: DropLast = 0,
    require_skill: Annotated[
        float | None,
        typer.Option(
            metavar="SKILL", help="Exit with 6 unless 1 - MASE / MASE of the seasonal naive exceeds it."
        ),
    ] = None,
    wait: Wait = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast train configs/air_passengers.yaml --set training.seed=2

    Trains a network, scores it on held-back data beside the naive forecasts, and writes a run folder.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import json

    from tsforecast.config.load import load_config
    from tsforecast.runtime import keep_freed_memory
    from tsforecast.series.cut import Cut
    from tsforecast.workflows import train as workflow

    keep_freed_memory()
    overrides = [*(settings or ()), *(["runtime.deterministic=true"] if deterministic else [])]
    loaded = load_config(config, overrides=overrides)
    path = run or Path("runs") / config.stem
    with watched_training(quiet=quiet) as watcher:
        trained = workflow.train(
            loaded,
            path=path,
            overwrite=overwrite,
            resume=resume,
            cut=Cut(as_of, drop_last),
            watcher=watcher,
            command=command_line(),
            wait=seconds_to_wait(wait),
        )
    if as_json:
        counts = {
            "left_out": trained.left_out,
            "repairs": trained.repairs,
            "failures": len(trained.lost),
        }
        print_data(json.dumps({"run": str(path), **counts, **trained.metrics}, indent=2) + "\n")
    else:
        print_data(workflow.report(trained) + f"run folder: {path}\n")
    if require_skill is not None:
        workflow.check_skill(trained, require_skill)
    if trained.lost:
        raise typer.Exit(PARTLY_DONE)
