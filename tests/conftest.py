"""What holds for every test: one CPU thread, a clean environment, repeatable examples, and no idle skips."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from skips import objection

# Before anything imports torch, here or in a process a test starts: sums in one order, so equal to the bit.
os.environ["OMP_NUM_THREADS"] = "1"
# Help and tables look the same on a terminal, in a pipe and in CI.
os.environ["COLUMNS"] = "120"
os.environ["NO_COLOR"] = "1"
for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
    os.environ.pop(name, None)
# Settings of whoever runs the tests do not reach them.
for name in [name for name in os.environ if name.upper().startswith("TSFORECAST_")]:
    del os.environ[name]

# A test that passed passes again: the same examples each time, and a slow machine is no failure.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a night's data, for `night.prepare` to copy; other modules have a `trained` of their own."""
    from night import prepare, tsforecast  # imports torch, which most tests do without

    folder = prepare(tmp_path_factory.mktemp("trained"))
    assert tsforecast("train", folder / "sales.yaml", "--run", folder / "run", "--quiet") == 0
    return folder / "run"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test may be skipped for want of something only; see skips.py."""
    report = yield
    refuse_idle_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself."""
    report = yield
    refuse_idle_skip(report)
    return report


def refuse_idle_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns a skip that is not in order into a failure."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    _, _, message = report.longrepr
    problem = objection(message.removeprefix("Skipped: "))
    if problem is not None:
        report.outcome = "failed"
        report.longrepr = f"skipped without need: {problem}"
