"""Lengths of time in the words of a config."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tsforecast.config.durations import duration_of


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("1.5m", timedelta(seconds=90)),
        ("36h", timedelta(hours=36)),
        ("0.125d", timedelta(hours=3)),
        ("2w", timedelta(days=14)),
        ("999999d", timedelta(days=999_999)),
        ("0d", timedelta(0)),
    ],
)
def test_a_number_and_a_unit_are_a_length_of_time(text: str, length: timedelta) -> None:
    assert duration_of(text, "smhdw") == length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "2",
        "2 d",
        "-2d",
        "+2d",
        "1e3d",
        "2dd",
        "2D",
        ".5d",
        "2.d",
        "1.2345d",
        "1000000d",
        "2d\n",
        "٣d",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert duration_of(text, "smhdw") is None


def test_only_the_units_that_fit_a_key_are_taken() -> None:
    assert duration_of("60s", "mhdw") is None
    assert duration_of("2w", "smh") is None
