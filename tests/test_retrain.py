"""When a run is trained anew: told from the data's own time."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_score import actual, issue

from tsforecast.config.drift import Drift
from tsforecast.config.jobs import JobConfig, RetrainConfig
from tsforecast.errors import ConfigError, DataError
from tsforecast.workflows import score as score_module
from tsforecast.workflows.nightly import retrain as module
from tsforecast.workflows.nightly.retrain import has_drifted, reason_to_train

DRIFT = Drift(metric="mase", worse_than=1.2, over="14d")


def reason(trained_to: str, as_of: str, *, archive: Path | None = None, **settings: object) -> str | None:
    job = JobConfig(name="a", run="r", retrain=RetrainConfig(**settings), drift=DRIFT)  # type: ignore[arg-type]
    return reason_to_train(job, archive, source="a.csv", trained_to=trained_to, as_of=as_of)


@pytest.mark.parametrize(
    ("every", "trained_to", "as_of", "due"),
    [
        ("7d", "2024-03-01", "2024-03-07", False),
        ("7d", "2024-03-01", "2024-03-08", True),
        ("36h", "2024-03-01T00:00:00", "2024-03-02T12:00:00", True),
        ("36h", "2024-03-01T00:00:00", "2024-03-02T11:00:00", False),
        ("36h", "2024-03-30T00:00:00+01:00", "2024-03-31T13:00:00+02:00", True),
        ("1d", "2024-03-08", "2024-03-01", False),
    ],
)
def test_age_is_how_far_the_data_has_gone_on(every: str, trained_to: str, as_of: str, due: bool) -> None:
    assert (reason(trained_to, as_of, every=every) is not None) == due


@pytest.mark.parametrize(
    ("schedule", "trained_to", "as_of", "due"),
    [
        ("daily", "2024-03-01T05:00:00", "2024-03-01T23:00:00", False),
        ("daily", "2024-03-01T23:00:00", "2024-03-02T00:00:00", True),
        ("weekly", "2024-03-04", "2024-03-10", False),  # Monday to Sunday
        ("weekly", "2024-03-10", "2024-03-11", True),
        ("monthly", "2024-02-01", "2024-02-29", False),
        ("monthly", "2024-02-29", "2024-03-01", True),
        ("quarterly", "2024-01-01", "2024-03-31", False),
        ("quarterly", "2024-03-31", "2024-04-01", True),
    ],
)
def test_a_schedule_is_due_once_in_each_period(schedule: str, trained_to: str, as_of: str, due: bool) -> None:
    assert (reason(trained_to, as_of, schedule=schedule) is not None) == due


def test_without_a_word_about_it_a_run_is_never_due() -> None:
    assert reason("2000-01-01", "2024-01-01") is None


def test_steps_have_no_age() -> None:
    with pytest.raises(ConfigError, match="are about time, and the data counts steps"):
        reason("1", "9", every="7d")


def test_drift_asks_the_scores_once_they_can_be_of_this_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "has_drifted", lambda *_, **__: "worse than 1.2")

    assert reason("2024-03-01", "2024-03-14", archive=tmp_path, on_drift=True) is None
    assert reason("2024-03-01", "2024-03-15", archive=tmp_path, on_drift=True) == "worse than 1.2"
    assert reason("2024-03-01", "2024-03-15", archive=None, on_drift=True) is None


def test_what_cannot_be_scored_yet_has_not_drifted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert has_drifted(tmp_path / "none", DRIFT, name="a", source="a.csv", as_of="2024-03-31") is None

    def nothing(*_: object, **__: object) -> None:
        raise DataError("no actual values yet")

    monkeypatch.setattr(score_module, "score", nothing)
    assert has_drifted(tmp_path, DRIFT, name="a", source="a.csv", as_of="2024-03-31") is None


def test_drift_is_told_from_what_was_known_then(tmp_path: Path) -> None:
    """A forecast from the 1st that was right for two days, and far off on the third and fourth."""
    issue(tmp_path / "archive", "2024-01-01", {"a": [10, 10, 10, 10]}, job="a")
    issue(tmp_path / "archive", "2024-01-04", {"a": [99]}, job="a", key="01")
    rows = tmp_path / "a.csv"
    actual({"a": [10, 10, 10, 90, 90]}).to_csv(rows, index=False)

    def told(as_of: str) -> str | None:
        return has_drifted(tmp_path / "archive", DRIFT, name="a", source=str(rows), as_of=as_of)

    assert told("2024-01-03") is None
    assert "MASE" in (told("2024-01-04") or "").upper()
    assert told("2023-12-31") is None  # nothing had been forecast
    assert told("2024-01-01") is None  # nothing had come
