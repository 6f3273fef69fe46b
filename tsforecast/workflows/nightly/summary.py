"""How a night went, in words: what a person should know in the morning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsforecast.series.isolate import Failure

__all__ = ["how", "lost_text", "summary"]

MOST_TOLD = 3  # series that a line names


def summary(document: dict[str, Any], status: Path) -> str:
    """What a person should know in the morning: what went wrong where, and what to do."""
    jobs = document["jobs"]
    counts = [(sum(job["state"] == state for job in jobs), word) for state, word in _STATES.items()]
    total = ", ".join(f"{count} {word}" for count, word in counts if count)
    lines = [
        f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}: {total} (exit code {document['exit_code']})"
    ]
    lines += [f"  {job['name']}: {how(job)}" for job in jobs]
    if document.get("message"):
        lines.append(f"  {document['message']}")
    if document.get("failures"):
        lines.append(
            f"All series that failed: {document['failures']}. Mend their rows, or say with data.repair or "
            "on_bad_series what is done about such."
        )
    lines.append(f"Status: {status}")
    if document.get("log"):
        lines.append(f"Log: {document['log']}")
    if document["exit_code"]:
        first = "To go on" if document["state"] == "stopped" else "When the cause is mended"
        lines.append(f"{first}, run the same command again: forecasts that are finished are not made twice.")
    return "\n".join(lines)


def how(job: dict[str, Any]) -> str:
    state = _STATES[job["state"]]
    about = f"{job['series']} series as of {job['as_of']}" if job.get("series") and job.get("as_of") else ""
    if (n_forecasts := job.get("made", 0) + job.get("skipped", 0)) > 1:
        about += f", the last of {n_forecasts} forecasts ({job['made']} new)"
    if job["state"] == "failed":
        about = f"exit code {job['exit_code']}"
    head = state + (f", {about}" if about else "")
    return f"{head}: {job['message']}" if job.get("message") else head


def lost_text(lost: Sequence[Failure]) -> str:
    """How many series failed, and what is wrong with the first."""
    names = [
        f"{one.unique_id!r} ({': '.join(part for part in (one.code, one.reason) if part)})"
        for one in sorted(lost, key=lambda one: one.unique_id)
    ]
    more = ", …" if len(names) > MOST_TOLD else ""
    return f"{len(lost)} series failed: {', '.join(names[:MOST_TOLD])}{more}."


_STATES = {
    "failed": "failed",
    "partly": "partly done",
    "stopped": "stopped",
    "waiting": "not begun",
    "running": "running",
    "done": "done",
    "skipped": "done before, nothing new",
}
