"""``tsforecast inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tsforecast.cli.console import LogFile, Quiet, Verbose, print_data, start_messages

__all__ = ["inspect"]


def inspect(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    series: Annotated[
        str | None,
        typer.Option(metavar="ID", help="One series.  [default: the average over all]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for tables and pictures.  [default: RUN/derived/inspect]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reading as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """tsforecast inspect runs/air_passengers --out pictures

    Watches the network read: gates over time, the memory line, memory lengths, saturation, reach of the gradient.
    """
    start_messages(quiet=quiet, verbose=verbose, log_file=log_file)

    import json

    from tsforecast.runs import refuse_inside_run
    from tsforecast.storage.atomic import refuse_strangers
    from tsforecast.workflows import inspect as workflow
    from tsforecast.workflows.predict import load_run

    loaded = load_run(run, device="cpu")
    folder = out or run / "derived" / "inspect"
    refuse_inside_run("--out", folder)
    refuse_strangers(folder, ours=workflow.OURS)
    seen = workflow.inspect(loaded, series=series)
    paths = workflow.write(folder, seen)
    if as_json:
        document = {**workflow.reading_json(seen), "files": [str(path) for path in paths]}
        print_data(json.dumps(document, indent=2) + "\n")
    else:
        print_data(workflow.reading(seen) + "".join(f"{path}\n" for path in paths))
