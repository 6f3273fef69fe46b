"""How an unattended run goes, as a JSON file that is whole at every moment, and as the context of its messages.

The file is written when the run starts, every few seconds while it works, and at its end. It also remembers which
forecasts were finished, so that the next run need not make them again; without it they are made once more, to the
same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from tsforecast import __version__
from tsforecast.config.location import without_secrets
from tsforecast.errors import TsforecastError
from tsforecast.storage.atomic import write_text

__all__ = ["CONTEXT", "Status", "failures_path", "run_command", "said_of"]

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
HEARTBEAT = 15.0  # seconds
MOST_REMEMBERED = 5_000  # finished forecasts of a job
SECONDS_FOR_COMMAND = 600
MOST_SAID = 10_000  # bytes of what a command says

# What messages are about: job and as-of, for whoever formats them.
CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("CONTEXT", default={})  # noqa: B039  (never changed in place)


@contextmanager
def said_of(**words: str) -> Iterator[None]:
    """Messages of the block are about this job, or this as-of of it."""
    token = CONTEXT.set({**CONTEXT.get(), **words})
    try:
        yield
    finally:
        CONTEXT.reset(token)


def failures_path(status: Path) -> Path:
    """Where the series that failed are listed: ``night.failures.csv`` beside ``night.status.json``."""
    stem = status.name.removesuffix(".json")
    stem = stem.removesuffix("status") if stem.endswith("status") else f"{stem}."
    return status.with_name(f"{stem}failures.csv")


class Status:
    """The status file of a run; every change of it is a word of the run about itself.

    Attributes:
        document: what the file holds.
    """

    def __init__(self, path: Path, *, command: str, names: Sequence[str]) -> None:
        self.path = path
        self._lock = threading.Lock()
        before = _read(path)
        self._remembered: dict[str, Any] = {
            name: known
            for name, known in before.get("remembered", {}).items()
            if name in names and isinstance(known, dict)
        }
        self.document: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "tsforecast": __version__,
            "command": without_secrets(command),
            "state": "running",
            "exit_code": None,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": _now(),
            "heartbeat": _now(),
            "ended": None,
            "failures": None,
            "log": None,
            "jobs": [{"name": name, "state": "waiting"} for name in names],
        }

    def job(self, name: str, **words: Any) -> None:
        """Says something of a job; saved with the next heartbeat."""
        with self._lock:
            next(job for job in self.document["jobs"] if job["name"] == name).update(_plain(words))

    def said(self, name: str) -> dict[str, Any]:
        """What is known of a job."""
        with self._lock:
            return dict(next(job for job in self.document["jobs"] if job["name"] == name))

    def remembered(self, name: str, as_of: str) -> dict[str, Any]:
        """What is known of a forecast that was made before; empty where nothing is."""
        with self._lock:
            return dict(self._of(name, "as_of").get(as_of, {}))

    def newest(self, name: str) -> str | None:
        """The newest as-of of a job that is remembered."""
        with self._lock:
            return max(self._of(name, "as_of"), key=_sortable, default=None)

    def before(self, name: str, as_of: str) -> tuple[str, dict[str, Any]] | None:
        """The newest as-of before another for which forecasts were made, and what is known of it."""
        with self._lock:
            made = {then: known for then, known in self._of(name, "as_of").items() if "series" in known}
        earlier = [then for then in made if _sortable(then) < _sortable(as_of)]
        return max(((then, made[then]) for then in earlier), key=lambda one: _sortable(one[0]), default=None)

    def remember(self, name: str, as_of: str, **words: Any) -> None:
        """Keeps something of a forecast for the runs to come."""
        with self._lock:
            self._of(name, "as_of")[as_of] = words

    def holds(self, name: str, path: Path) -> str | None:
        """Run key of the forecast that a file of the job holds; None where that is not known."""
        with self._lock:
            key: str | None = self._of(name, "written").get(str(path))
            return key

    def now_holds(self, name: str, path: Path, run_key: str | None) -> None:
        """Says which forecast a file of the job holds; None before it is replaced."""
        with self._lock:
            self._of(name, "written")[str(path)] = run_key

    def _of(self, name: str, kind: str) -> dict[str, Any]:
        known: dict[str, Any] = self._remembered.setdefault(name, {}).setdefault(kind, {})
        return known

    def say(self, **words: Any) -> None:
        """Says something of the whole; saved with the next heartbeat."""
        with self._lock:
            self.document.update(_plain(words))

    def save(self) -> None:
        """Writes the file in one step.

        Raises:
            ConfigError: it cannot be written.
            ResourceError: the disk is full.
        """
        with self._lock:
            self._write()

    def end(self, *, state: str, exit_code: int, **words: Any) -> None:
        """Says how it ended, and saves."""
        with self._lock:
            self.document.update(state=state, exit_code=exit_code, ended=_now(), **_plain(words))
            self._write()

    def last_words(self, number: int) -> None:
        """Saves what there is, without waiting for anybody: the process ends at once."""
        taken = self._lock.acquire(timeout=1)
        try:
            for job in self.document["jobs"]:
                if job["state"] == "running":
                    job["state"] = "stopped"
            self.document.update(state="stopped", exit_code=128 + number, ended=_now())
            with suppress(TsforecastError, OSError):
                self._write()
        finally:
            if taken:
                self._lock.release()

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Saves at once, and every few seconds while the block runs."""
        self.save()
        over = threading.Event()

        def beat() -> None:
            told = False
            while not over.wait(HEARTBEAT):
                try:
                    self.save()
                except TsforecastError as error:  # the end of the run says so with its exit code
                    if not told:
                        log.warning("the status is not written: %s", error)
                    told = True

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=2)

    def _write(self) -> None:
        self.document["heartbeat"] = _now()
        for known in self._remembered.values():
            as_of = known.get("as_of", {})
            for key in sorted(as_of, key=_sortable)[: max(0, len(as_of) - MOST_REMEMBERED)]:
                del as_of[key]
        write_text(self.path, json.dumps({**self.document, "remembered": self._remembered}, indent=1) + "\n")


def run_command(words: Sequence[str], status: Path, *, limit: float = SECONDS_FOR_COMMAND) -> bool:
    """Whether a command of the user was carried out; no shell, the path of the status comes last.

    What it says becomes messages of ours: told where somebody watches, or where it fails.
    """
    name = words[0]
    # Not a pipe: what the command leaves in the background would hold it open.
    with tempfile.TemporaryFile() as said:
        try:
            code = subprocess.run(
                [*words, str(status)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            ).returncode
            end = f"ended with {code}"
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            code, end = -1, f"cannot be run ({reason}); check its path and that it may be executed"
        except subprocess.TimeoutExpired:
            code, end = -1, f"ran longer than {limit:g} s and was ended"
        said.seek(0)
        lines = said.read(MOST_SAID).decode(errors="replace").splitlines()
    for line in lines:
        log.log(logging.ERROR if code else logging.INFO, "%s: %s", name, without_secrets(line))
    if code:
        log.error("%s: %s.", name, end)
    return code == 0


def _read(path: Path) -> dict[str, Any]:
    """The status of the run before; empty where there is none, or none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        is_ours = found["format_version"] == FORMAT_VERSION and isinstance(found["remembered"], dict)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError):
        is_ours = False
    if not is_ours:
        log.warning(
            "%s: is no status that can be read, and is replaced; what was finished is not known.", path
        )
        return {}
    return dict(found)


def _sortable(as_of: str) -> tuple[int, str]:
    """Dates sort as text, counted steps as numbers."""
    return (int(as_of), "") if as_of.lstrip("-").isdigit() else (0, as_of)


def _plain(words: Mapping[str, Any]) -> dict[str, Any]:
    return {name: without_secrets(word) if isinstance(word, str) else word for name, word in words.items()}


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
