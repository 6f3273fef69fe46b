"""``tsforecast backtest``."""

from __future__ import annotations

from enum import StrEnum
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

__all__ = ["backtest"]


class Refit(StrEnum):
    """When the network is trained."""

    NEVER = "never"
    EVERY = "every"


class Align(StrEnum):
    """Where the cutoffs lie."""

    AUTO = "auto"
    CALENDAR = "calendar"
    OWN = "own"


def backtest(
    subject: Annotated[
        Path, typer.Argument(metavar="CONFIG|RUN", help="A YAML file, or a run folder.", show_default=False)
    ],
    data: Annotated[
        str | None,
        typer.Argument(help="Rows to judge a run by.", show_default="where the run's data came from"),
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=10_000,
            help="Number of cutoffs.  [default: what fits into the last third; at most 24, 5 with --refit every]",
        ),
    ] = None,
    stride: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Steps between cutoffs.  [default: the horizon]")
    ] = None,
    refit: Annotated[
        Refit, typer.Option(help="Train once, at the first cutoff, or anew at each.")
    ] = Refit.NEVER,
    align: Annotated[
        Align,
        typer.Option(
            help="Cutoffs at one moment for all series (calendar), or counted from each series' own end; "
            "auto: the calendar where most series end together."
        ),
    ] = Align.AUTO,
    rivals: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Models beside the naive ones: ridge, boosted_trees, auto_ets, auto_theta, auto_arima (these with "
            "the statsforecast extra), all or none.",
        ),
    ] = "ridge,boosted_trees",
    settings: Set = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to write.  [default: runs/<name of CONFIG>_backtest or RUN/derived/backtest]",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the backtest that is there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast backtest configs/air_passengers.yaml --windows 4

    Forecasts from many past moments, each time with no more than was known then, beside baselines and rivals.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import json

    from tsforecast.errors import ConfigError
    from tsforecast.runtime import keep_freed_memory
    from tsforecast.workflows import judgement
    from tsforecast.workflows.backtest import Rolling, backtest, backtest_run, parse_rivals

    keep_freed_memory()
    rolling = Rolling(
        n_windows=windows,
        stride=stride,
        refit=refit.value,
        align=align.value,
        rivals=parse_rivals(rivals),
    )
    is_run = subject.is_dir()
    path = out or (subject / "derived" / "backtest" if is_run else Path("runs") / f"{subject.stem}_backtest")
    # What a run derives is made anew as often as asked for.
    overwrite = overwrite or (is_run and out is None)
    if is_run and settings:
        raise ConfigError(
            "--set: the settings of a run are fixed; give the config it was trained with instead."
        )
    if data is not None and not is_run:
        raise ConfigError("DATA is read for a run; a config names its own in data.path (--set data.path=…).")
    judgement.check_folder(path, overwrite=overwrite)
    with watched_training(quiet=quiet) as watcher:
        if is_run:
            from tsforecast.workflows.predict import load_run

            found = backtest_run(load_run(subject), rolling, source=data, watcher=watcher)
        else:
            from tsforecast.config.load import load_config

            found = backtest(load_config(subject, overrides=settings or ()), rolling, watcher=watcher)
    if as_json:
        judgement.write(path, found, overwrite=overwrite)
        print_data(json.dumps({"folder": str(path), **judgement.backtest_json(found)}, indent=2) + "\n")
    else:
        print_data(judgement.text(found))  # first, so that a disk that fails now loses no answer
        judgement.write(path, found, overwrite=overwrite)
        print_data(f"folder: {path}\n")
    if any(not failure.forecast for failure in found.failures):
        raise typer.Exit(PARTLY_DONE)
