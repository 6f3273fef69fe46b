"""What lies in a run folder and below its ``derived/``, as tables; words shared by the parts of a report."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa

from tsforecast.errors import RunError
from tsforecast.runs import Run, open_derived

__all__ = [
    "FAILURES",
    "FORECAST",
    "HISTORY",
    "LEAD_TIME",
    "LONGEST_NAME",
    "LONGEST_TITLE",
    "MIDNIGHT",
    "READ",
    "SCORES",
    "WEIGHTS",
    "counted",
    "derived",
    "sentence",
    "table_of",
    "told",
]

FORECAST, SCORES, LEAD_TIME, HISTORY, FAILURES = (
    "forecast.csv",
    "scores.csv",
    "by_lead_time.csv",
    "history.jsonl",
    "failures.csv",
)
WEIGHTS = "model.safetensors"
READ = (FORECAST, SCORES, LEAD_TIME, HISTORY, FAILURES, WEIGHTS)
# Characters of a name; a longer one is cut.
LONGEST_NAME = 200
LONGEST_TITLE = 80
# A file of a later command that is larger is none of ours.
MOST_BYTES = 500_000_000
MIDNIGHT = " 00:00:00"


def derived(run: Run, name: str) -> bytes | None:
    """Content of a file that a later command made; None where there is none.

    Raises:
        RunError: it is no file, cannot be read, or is far too large.
    """
    with open_derived(run.path, name) as file:
        if file is None:
            return None
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RunError(
            f"{run.path / 'derived' / name}: is larger than {MOST_BYTES} bytes; make it anew, or remove it."
        )
    return content


def table_of(
    content: bytes | None,
    *,
    text: Sequence[str] = ("unique_id", "model"),
    columns: Callable[[str], bool] | None = None,
) -> pd.DataFrame:
    """A CSV of ours, its words as they stand; empty where there is none."""
    if content is None:
        return pd.DataFrame()
    head = content.partition(b"\n")[0].decode("utf-8").split(",")
    return pd.read_csv(
        io.BytesIO(content),
        usecols=columns,
        dtype=dict.fromkeys(text, "str"),
        keep_default_na=False,
        na_values={name: [""] for name in head if name not in text},
    )


@contextmanager
def told(run: Run, name: str) -> Iterator[None]:
    """Says of a file that holds something else than its command writes where it lies and what to do."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, pa.ArrowException) as error:
        raise RunError(
            f"{run.path / 'derived' / name}: is not what its command writes ({type(error).__name__}: {error}); make it "
            "anew, or remove it."
        ) from error


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
