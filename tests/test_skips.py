"""The rule that no test is skipped while what it needs is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from skips import objection

CONFTEST = Path(__file__).with_name("conftest.py")


@pytest.mark.parametrize(
    "reason",
    [
        "needs no_such_module",
        "needs no-such-program: for the pictures",
        "needs ../no/such/folder, which is not part of the repository",
        "could not import 'no_such_module': No module named 'no_such_module'",
    ],
)
def test_a_skip_for_want_of_something_absent_is_in_order(reason: str) -> None:
    assert objection(reason) is None


@pytest.mark.parametrize(
    ("reason", "thing"),
    [
        ("needs json", "json"),
        ("needs numpy.", "numpy"),
        ("needs sh: a shell", "sh"),
        ("needs an sh", "sh"),
        ("needs tests/conftest.py", "tests/conftest.py"),
    ],
)
def test_a_skip_for_want_of_something_present_is_refused(reason: str, thing: str) -> None:
    assert f"{thing} is here" in str(objection(reason))


def test_a_named_condition_decides_when_there_is_one() -> None:
    refused = objection("needs Linux: a system call of its own") is not None

    assert refused == (sys.platform == "linux")


def test_a_reason_that_names_nothing_is_refused() -> None:
    assert "does not begin with `needs X`" in str(objection("takes too long"))


def test_an_idle_skip_fails_the_run_and_says_why(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent))
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile(
        test_at_run_time="import pytest\ndef test_one(): pytest.skip('needs json')",
        test_by_mark="import pytest\n@pytest.mark.skip(reason='needs json')\ndef test_one(): ...",
        test_whole_module="import pytest\npytest.skip('needs json', allow_module_level=True)",
        test_rightly="import pytest\n@pytest.mark.skip(reason='needs no_such_module')\ndef test_one(): ...",
    )

    result = pytester.runpytest_subprocess("--continue-on-collection-errors")

    result.assert_outcomes(failed=1, errors=2, skipped=1)
    result.stdout.fnmatch_lines(["*skipped without need: 'needs json', and json is here*"])
