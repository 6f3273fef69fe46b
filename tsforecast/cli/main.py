"""The commands, put together. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from types import FrameType
from typing import Annotated

import typer

import tsforecast
from tsforecast.cli import (
    backtest,
    batch,
    check,
    compare,
    config,
    init,
    inspect,
    predict,
    report,
    score,
    train,
    update,
    verify,
)
from tsforecast.cli.console import WaitingCommand
from tsforecast.errors import ResourceError, StoppedError, TsforecastError

__all__ = ["app", "run"]

app = typer.Typer(
    name="tsforecast",
    help="From a CSV to a forecast you can trust, with recurrent networks.\n\n"
    "  tsforecast init sales.csv -o sales.yaml\n\n"
    "  tsforecast train sales.yaml\n\n"
    "  tsforecast predict runs/sales --out forecast.csv",
    # Plain help starts in half the time of rich help, and reads the same in a log.
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("init", short_help="Look at a CSV and write a config.")(init.init)
app.command("check", short_help="Look for everything wrong with the data.")(check.check)
app.command("train", cls=WaitingCommand, short_help="Train, score, and write a run folder.")(train.train)
app.command("predict", short_help="Forecast from a run folder.")(predict.predict)
app.command("batch", cls=WaitingCommand, short_help="Many jobs unattended: what cron runs every night.")(
    batch.batch
)
app.command("backtest", short_help="Judge a config or a run by forecasts of the past.")(backtest.backtest)
app.command("compare", short_help="Train several cells alike: which one here?")(compare.compare)
app.command("inspect", short_help="Watch a run's network at work: gates, memory, gradient.")(inspect.inspect)
app.command("report", short_help="One HTML page about a run: is it worth using?")(report.report)
app.command("score", short_help="Compare archived forecasts with what came.")(score.score)
app.command("update", cls=WaitingCommand, short_help="Learn from new rows, and keep the better model.")(
    update.update
)
app.command("rollback", cls=WaitingCommand, short_help="Bring back what the last update replaced.")(
    update.rollback
)
app.command("verify", short_help="Is a run folder as it was written? Can it be made again?")(verify.verify)
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tsforecast {tsforecast.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def run() -> int:
    """Runs the command line and returns the exit code."""
    # Imports make a million objects that stay. Looking through them for garbage every 700 or so would cost a fifth
    # of the start.
    gc.set_threshold(1_000_000)
    # pydantic would look through every installed package for plugins: a tenth of a second for nothing.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _fill_closed_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    sys.unraisablehook = _stop_again
    try:
        app()
    except TsforecastError as error:
        message = str(error)
        # A report of several lines stays as it is, so that each line begins with its file:line:column.
        print(message if "\n" in message else f"tsforecast: {message}", file=sys.stderr)
        return error.exit_code
    except MemoryError:
        print("tsforecast: the memory ran out; use less data, or a machine with more.", file=sys.stderr)
        return ResourceError.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _fill_closed_streams() -> None:
    """Lets streams that were closed by whoever started us lead nowhere.

    Otherwise the next file that is opened takes their number, and whatever a library prints is written into it.
    """
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    for handle, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(handle, mode, encoding="utf-8", closefd=False))


def _stop_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Sends a signal once more that came where Python lets nothing be raised, such as while an object goes away."""
    stopped = unraisable.exc_value
    if not isinstance(stopped, StoppedError):
        sys.__unraisablehook__(unraisable)
        return
    again = threading.Timer(0.05, os.kill, (os.getpid(), stopped.number))
    again.daemon = True
    again.start()


def _stop(number: int, _frame: FrameType | None) -> None:
    raise StoppedError(f"stopped by {signal.Signals(number).name}.", number)
