"""A PostgreSQL server of the tests' own: no network, no data but theirs, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

__all__ = ["Server", "running_server"]

USER, PASSWORD = "reader", "s3cret pass@word/1"
SECONDS_TO_START = 60


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        folder: holds its socket.
        password: of the one user there is.
    """

    folder: Path
    password: str = PASSWORD

    def url(self, password: str) -> str:
        return f"postgresql://{USER}:{password}@/postgres?host={self.folder}"

    def execute(self, *statements: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user=USER, password=PASSWORD, dbname="postgres", autocommit=True
        ) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@contextmanager
def running_server() -> Iterator[Server]:
    """Starts a server on a socket in a folder of its own, under another user where this one is root."""
    # Not below pytest's folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp(prefix="tsforecast-postgres-"))
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    try:
        _initialise(folder, identity)
        with _started(folder, identity):
            yield Server(folder)
    finally:
        shutil.rmtree(folder)


def _initialise(folder: Path, identity: dict[str, Any]) -> None:
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    words = ["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]
    subprocess.run(
        [_program("initdb"), *words, f"--username={USER}", f"--pwfile={password}", "-D", folder / "data"],
        check=True,
        capture_output=True,
        cwd=folder,
        **identity,
    )


@contextmanager
def _started(folder: Path, identity: dict[str, Any]) -> Iterator[None]:
    control = [_program("pg_ctl"), "-D", folder / "data", "-s", "-w", "-t", str(SECONDS_TO_START)]
    settings = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=UTC"
    here: dict[str, Any] = {"check": True, "cwd": folder, **identity}
    subprocess.run([*control, "-l", folder / "log", "-o", settings, "start"], **here)
    try:
        yield
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **here)


def _program(name: str) -> str:
    """Debian keeps the programs of each version apart; the newest one is taken."""
    if found := shutil.which(name):
        return found
    folders = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return str(max(folders, key=lambda path: float(path.parts[-3])))
