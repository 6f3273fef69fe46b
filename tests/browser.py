"""A headless Chromium of the tests' own, spoken to through two pipes: no network, no port, no further package."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Browser", "Tab", "running_browser"]

SECONDS = 120
# The browser reads commands from descriptor 3 and answers on 4.
CONNECTED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)


class Browser:
    """A running browser, its commands and events as the DevTools protocol has them."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int) -> None:
        self._process, self._commands, self._answers = process, commands, answers
        self._numbers, self._rest = itertools.count(1), b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The result of a command; events that come before it are kept."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            self.events.append(self._next())

    @contextmanager
    def tab(
        self, *, width: int, height: int = 800, dark: bool = False, mobile: bool = False
    ) -> Iterator[Tab]:
        """An empty page of this size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", session, **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", session, features=[scheme])
        self.events.clear()
        yield Tab(self, session)
        self.call("Target.closeTarget", targetId=target)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(until - time.monotonic(), 0))
            data = os.read(self._answers, 1 << 20) if ready else b""
            assert data, f"chromium gave no answer; its exit code is {self._process.poll()}"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def open(self, path: Path) -> None:
        """Loads a file, and waits until it is there."""
        self._browser.call("Page.navigate", self._session, url=path.resolve().as_uri())
        self._browser.wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        result = self._browser.call("Runtime.evaluate", self._session, expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """What is seen, or the page down to its end, as a PNG."""
        shot = self._browser.call(
            "Page.captureScreenshot", self._session, format="png", captureBeyondViewport=whole,
            **({"clip": {"x": 0, "y": 0, "scale": 1, **self.run(
                "({width: innerWidth, height: Math.min(document.documentElement.scrollHeight, 12000)})"
            )}} if whole else {}),
        )  # fmt: skip
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def complaints(self) -> list[str]:
        """Errors, warnings, dialogs and whatever the page wrote to its console."""
        told = (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Page.javascriptDialogOpening",
        )
        return [json.dumps(event) for event in self._browser.events if event["method"] in told]

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for, pictures within the page left out."""
        urls = [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Starts a browser with a profile of its own, and ends it."""
    program = shutil.which("chromium")
    assert program
    profile = tempfile.mkdtemp(prefix="tsforecast-chromium-")
    (read, commands), (answers, write) = os.pipe(), os.pipe()
    # Ours must not be one of the two that the browser knows.
    far = [fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 20) for handle in (read, write)]
    process = subprocess.Popen(
        [sys.executable, "-c", CONNECTED, *map(str, far), program, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=far,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for handle in (read, write, *far):
        os.close(handle)
    try:
        yield Browser(process, commands, answers)
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        finally:
            os.close(commands)
            os.close(answers)
            shutil.rmtree(profile, ignore_errors=True)
