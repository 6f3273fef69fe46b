"""``tsforecast predict``."""

from __future__ import annotations

from enum import StrEnum
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
    print_data,
    start_messages,
)

__all__ = ["predict"]


class Device(StrEnum):
    """Where the forecast is computed."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Names(StrEnum):
    """Which names the columns of the forecast have."""

    TSFORECAST = "tsforecast"
    INPUT = "input"


def predict(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Argument(
            help="New rows, in the same columns as in training: file, folder, pattern or URL; `-` reads stdin.",
            show_default="kept rows",
        ),
    ] = None,
    future: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Future covariates over the horizon, in the same columns.",
            show_default=False,
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=10_000, help="Steps to forecast.  [default: as trained]"),
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE", help="CSV or .parquet file; `-` is stdout.")] = "-",
    as_of: AsOf = None,
    drop_last: DropLast = 0,
    quantiles: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Quantile levels, e.g. 0.05,0.95.  [default: as trained]"),
    ] = None,
    names: Annotated[
        Names, typer.Option(help="Column names: ours, or those of the training file.")
    ] = Names.TSFORECAST,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the forecasts into this folder.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast predict runs/air_passengers new.csv --horizon 24 --out forecast.csv

    Forecasts from a run folder, with new rows or with those the run keeps.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    from tsforecast.workflows import predict as workflow

    levels = None if quantiles is None else workflow.parse_quantiles(quantiles)
    workflow.check_out(data, out=None if out == "-" else Path(out), plots=plot)
    loaded = workflow.load_run(run, device=device)
    made = workflow.predict_all(
        loaded,
        data,
        horizon=horizon,
        as_of=as_of,
        drop_last=drop_last,
        quantile_levels=levels,
        future=future,
    )
    frame, panel = made.frame, made.panel
    if plot is not None:
        workflow.draw(plot, loaded, panel, frame)
    if names is Names.INPUT:
        frame = workflow.with_input_names(frame, loaded.config.data)
    if out == "-":
        print_data(workflow.csv_text(frame, panel.axis))
    else:
        workflow.write_forecast(Path(out), frame, panel.axis)
        workflow.write_failures(Path(out), made.failures)
    if made.lost:
        raise typer.Exit(PARTLY_DONE)
