"""Where words go: data to stdout, messages to stderr, and to a log file when one is asked for."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeAlias

import typer
from typer.core import TyperCommand

from tsforecast.errors import ConfigError, ResourceError, StoppedError

if TYPE_CHECKING:
    import torch

    from tsforecast.training.fit import Watcher

__all__ = [
    "PARTLY_DONE",
    "AsOf",
    "DropLast",
    "LogFile",
    "Quiet",
    "Set",
    "Verbose",
    "Wait",
    "WaitingCommand",
    "command_line",
    "duration",
    "forecast_bar",
    "json_lines",
    "print_data",
    "seconds_to_wait",
    "start_json_messages",
    "start_messages",
    "watched_training",
    "withheld_warnings",
]

FOR_EVER = "inf"
PARTLY_DONE = 5  # exit code: some series failed, the rest is written

Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No messages but errors.")]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Messages also when nobody watches, and more of them.")
]
LogFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="Append every message, with its time, to this file.", metavar="FILE")
]
Set: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a key of the config, e.g. training.max_steps=50."
    ),
]
AsOf: TypeAlias = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DATE", help="Forget everything after this time.", show_default=False),
]
DropLast: TypeAlias = Annotated[
    int,
    typer.Option(
        "--drop-last", metavar="N", min=0, help="Forget the last N steps of each series, such as this month."
    ),
]

Wait: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="[SECONDS]",
        min=0,
        help="Wait while another run writes the same, for ever or so long.  [default: exit with 75]",
    ),
]


class WaitingCommand(TyperCommand):
    """A command with a ``--wait`` that may stand without a number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words of the command line, ``--wait`` alone written out as for ever."""
        for place, word in enumerate(list(args)):
            if word == "--wait" and not _is_number(args[place + 1 : place + 2]):
                args = [*args[:place], "--wait", FOR_EVER, *args[place + 1 :]]
                break
        return super().parse_args(ctx, args)


def _is_number(words: list[str]) -> bool:
    try:
        return bool(words) and not math.isnan(float(words[0]))
    except ValueError:
        return False


def seconds_to_wait(wait: float | None) -> float | None:
    """What is meant by ``--wait``: 0 where it was not given, None for ever."""
    return 0.0 if wait is None else None if math.isinf(wait) else wait


def start_messages(*, quiet: bool, verbose: bool, log_file: Path | None) -> None:
    """Sends the package's messages to stderr, by who watches, and to the log file.

    On a terminal what is going on is said; in a pipe or under cron only what is wrong.
    """
    watched = sys.stderr is not None and sys.stderr.isatty()
    level = (
        logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO if watched else logging.WARNING
    )
    stderr = _StreamHandler()
    stderr.setLevel(level)
    stderr.setFormatter(_Words("%(message)s"))
    handlers = [stderr, *_log_file(log_file, _Words("%(asctime)s %(levelname)s %(message)s"))]
    for handler in handlers:
        handler.addFilter(_say_which_job)
    _handle_with(handlers)


def start_json_messages(*, quiet: bool, verbose: bool, log_file: Path | None) -> None:
    """Sends the package's messages to stderr and the log file, each a JSON document on one line."""
    stderr = _StreamHandler()
    stderr.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    formatter = json_lines()
    stderr.setFormatter(formatter)
    _handle_with([stderr, *_log_file(log_file, formatter)])


def json_lines() -> logging.Formatter:
    """What makes a JSON document on one line of a message."""
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.stdlib.ExtraAdder(),
            _add_context,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _hide_secrets,
            structlog.processors.JSONRenderer(),
        ],
    )


@contextmanager
def withheld_warnings() -> Iterator[Callable[[], None]]:
    """Keeps warnings back where nobody watches, so that a night on which all went well is silent.

    Yields:
        A function that tells what was kept back.
    """
    stderr = logging.getLogger("tsforecast").handlers[0]
    kept: list[logging.LogRecord] = []

    def tell() -> None:
        for record in kept:
            stderr.emit(record)
        kept.clear()

    def keep(record: logging.LogRecord) -> bool:
        if "is_outcome" in record.__dict__:  # the summary says so at the end
            return False
        if record.levelno == logging.WARNING:
            kept.append(record)
        return record.levelno > logging.WARNING

    is_nobody_there = stderr.level == logging.WARNING
    if is_nobody_there:
        stderr.addFilter(keep)
    try:
        yield tell
    finally:
        stderr.removeFilter(keep)


def _log_file(path: Path | None, formatter: logging.Formatter) -> list[logging.Handler]:
    """The handler of the log file, where one is asked for."""
    if path is None:
        return []
    try:
        file = _FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--log-file: {str(path)!r} cannot be written: {error.strerror}.") from error
    file.setFormatter(formatter)
    return [file]


class _Stoppable(logging.Handler):
    """Lets a signal through that comes while a message is being written; logging would take it for an error of that."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        if isinstance(error := sys.exc_info()[1], StoppedError):
            raise error
        super().handleError(record)


class _StreamHandler(_Stoppable, logging.StreamHandler[TextIO]): ...


class _FileHandler(_Stoppable, logging.FileHandler): ...


class _Words(logging.Formatter):
    """Puts the job, and what is done for it, in front of a message that is about one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        if place := ", ".join(record.__dict__[name] for name in ("job", "doing") if name in record.__dict__):
            record.message = f"{place}: {record.message}"
        return super().formatMessage(record)


def _say_which_job(record: logging.LogRecord) -> bool:
    """Notes which job a message is about, and what is done for it: one that is held back is told later."""
    from tsforecast.workflows.nightly.status import CONTEXT

    for name in ("job", "doing"):
        if about := CONTEXT.get().get(name):
            record.__dict__.setdefault(name, about)
    return True


def _add_context(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Job and as-of of a message as keys of their own, and what stands for words that are meant for people."""
    from tsforecast.workflows.nightly.status import CONTEXT

    name = event.pop("event_name", event["event"])
    return {**event, "event": name, **CONTEXT.get()}


def _hide_secrets(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    from tsforecast.config.location import without_secrets

    return {
        name: without_secrets(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _handle_with(handlers: list[logging.Handler]) -> None:
    log = logging.getLogger("tsforecast")
    for before in list(log.handlers):
        log.removeHandler(before)
        before.close()
    for handler in handlers:
        log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False


def command_line() -> list[str]:
    """The words that started this process, without the folders of the program."""
    return [Path(sys.argv[0]).name.replace("__main__.py", "tsforecast"), *sys.argv[1:]]


def print_data(text: str) -> None:
    """Prints what was asked for; a reader that has seen enough (``| head``) is no error.

    Raises:
        ResourceError: stdout leads to a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Python flushes stdout once more at exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise ResourceError(
                f"stdout cannot be written: {error.strerror}; free some space there."
            ) from error


def duration(seconds: float) -> str:
    """A length of time in words: ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{max(seconds, 1)} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


@contextmanager
def forecast_bar(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A function that draws on a terminal how many series of a job are behind us, for as long as it has some left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda *_: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    tasks: dict[str, Any] = {}

    def draw(job: str, behind: int, n_series: int) -> None:
        if job not in tasks:
            bar.start()  # not before: a training draws a bar of its own
            tasks[job] = bar.add_task(job, total=n_series)
        bar.update(tasks[job], completed=behind)
        if behind >= n_series:
            bar.remove_task(tasks.pop(job))
            bar.stop()

    try:
        yield draw
    finally:
        bar.stop()


@contextmanager
def watched_training(*, quiet: bool) -> Iterator[Watcher]:
    """A watcher that estimates the time, draws a bar on a terminal, and stops between two steps on a signal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tsforecast.runtime import deferred_signals
    from tsforecast.training.fit import Watcher
    from tsforecast.training.plan import Plan

    log = logging.getLogger(__name__)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
    with bar, deferred_signals() as stop_signal:
        task = bar.add_task("training", total=None)

        def on_plan(plan: Plan, n_networks: int, seconds_per_step: float, device: torch.device) -> None:
            log.info(
                "training: %sat most %d steps of %d windows, about %s on %s",
                f"{n_networks} networks, each " if n_networks > 1 else "",
                plan.steps,
                plan.batch_size,
                duration(n_networks * plan.steps * seconds_per_step),
                device,
            )
            bar.update(task, total=n_networks * plan.steps, completed=0)

        def on_final_fit(steps: int) -> None:
            bar.update(task, description="final fit", total=steps, completed=0)

        def on_validation(record: dict[str, Any]) -> None:
            loss = "-" if record["loss"] is None else f"{record['loss']:.4f}"
            log.debug("step %d: loss %s, validation error %.4f", record["step"], loss, record["validation"])
            bar.update(task, description=f"training (validation error {record['validation']:.3f})")

        yield Watcher(
            on_plan=on_plan,
            on_final_fit=on_final_fit,
            on_step=lambda step: bar.update(task, completed=step),
            on_validation=on_validation,
            stop_signal=stop_signal,
        )
