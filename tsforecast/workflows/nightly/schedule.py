"""How a batch is started every night: a line for a crontab, or a service and a timer of systemd."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tsforecast.errors import ConfigError

__all__ = ["SCHEDULERS", "cron", "program", "systemd"]


def cron(words: Sequence[str], *, name: str, folder: Path, at: str) -> str:
    """A crontab line that runs a command every day; output is mailed by cron, and there is none while all is well.

    Args:
        words: program and arguments.
        name: of what is run, for the comment.
        folder: to run it in.
        at: hour and minute, ``03:17``.

    Raises:
        ConfigError: no such time of day, or a path that no crontab can hold.
    """
    hour, minute = _time_of_day(at)
    line = f"cd {shlex.quote(str(folder))} && {shlex.join(words)}"
    if "\n" in line:
        raise ConfigError("--print cron: a path holds a line break, which no crontab can; rename the folder.")
    # An unescaped % ends the command, and what follows is its input.
    escaped = line.replace("%", "\\%")
    return f"# tsforecast: {name}\n{minute} {hour} * * * {escaped}\n"


def systemd(words: Sequence[str], *, name: str, folder: Path, at: str) -> str:
    """The two unit files that run a command every day, each under its name as a comment.

    Raises:
        ConfigError: no such time of day, or a path that no unit can hold.
    """
    hour, minute = _time_of_day(at)
    unit = "tsforecast-" + (re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "batch")
    described = name.replace("%", "%%")
    start = " ".join(_word_of_systemd(word) for word in words)
    directory = str(folder).replace("%", "%%")
    if "\n" in start + directory:
        raise ConfigError("--print systemd: a path holds a line break, which no unit can; rename the folder.")
    return f"""\
# ~/.config/systemd/user/{unit}.service
[Unit]
Description=tsforecast: {described}

[Service]
Type=oneshot
WorkingDirectory={directory}
ExecStart={start}
TimeoutStopSec=15

# ~/.config/systemd/user/{unit}.timer
[Unit]
Description=tsforecast: {described}, every night

[Timer]
OnCalendar=*-*-* {hour:02}:{minute:02}:00
Persistent=true

[Install]
WantedBy=timers.target

# then: systemctl --user daemon-reload && systemctl --user enable --now {unit}.timer
# and, to run while nobody is logged in: loginctl enable-linger
"""


def program() -> list[str]:
    """The words that start this program, whatever PATH is."""
    found = shutil.which(sys.argv[0]) if sys.argv and sys.argv[0] else None
    if found and Path(found).name == "tsforecast":
        return [str(Path(found).absolute())]
    return [sys.executable, "-m", "tsforecast"]


def _time_of_day(at: str) -> tuple[int, int]:
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", at)
    if match is None:
        raise ConfigError(f"--at: {at!r} is no time of day such as 03:17.")
    return int(match[1]), int(match[2])


def _word_of_systemd(word: str) -> str:
    """A word of ``ExecStart``: its specifiers and variables are none, and quotes hold it together."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


SCHEDULERS = {"cron": cron, "systemd": systemd}
