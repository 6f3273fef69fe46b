from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.config.schema import DuplicatePolicy, FillPolicy
from tsforecast.series.repair import FILLS, MERGES

NAN = np.nan


@pytest.mark.parametrize(
    ("policy", "filled"),
    [
        ("mask", [NAN, 2, NAN, 4, NAN, 10, NAN]),
        ("interpolate", [NAN, 2, 3, 4, 7, 10, 10]),
        ("ffill", [NAN, 2, 2, 4, 4, 10, 10]),
        ("zero", [0, 2, 0, 4, 0, 10, 0]),
        ("seasonal", [4, 2, 10, 4, 2, 10, 4]),
    ],
)
def test_holes_are_filled_by_the_policy(policy: str, filled: list[float]) -> None:
    holed = np.array([NAN, 2, NAN, 4, NAN, 10, NAN])
    np.testing.assert_array_equal(FILLS[policy](holed, 3), filled)


@pytest.mark.parametrize("policy", ["mask", "interpolate", "ffill", "seasonal"])
def test_where_there_is_no_value_nothing_is_made_up(policy: str) -> None:
    assert np.isnan(FILLS[policy](np.full(4, NAN), 2)).all()


@pytest.mark.parametrize("policy", FILLS)
@given(
    y=st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), min_size=1, max_size=30),
    season=st.integers(1, 40),
)
def test_a_value_that_is_there_stays(policy: str, y: list[float], season: int) -> None:
    values = np.array(y)
    known = np.isfinite(values)
    np.testing.assert_array_equal(FILLS[policy](values, season)[known], values[known])


@pytest.mark.parametrize(
    ("policy", "merged"),
    [
        ("mean", [[1, 10], [2.5, 20], [5, NAN]]),
        ("sum", [[1, 10], [5, 20], [5, NAN]]),
        ("last", [[1, 10], [3, NAN], [NAN, NAN]]),
    ],
)
def test_rows_of_one_timestamp_become_one(policy: str, merged: list[list[float]]) -> None:
    values = np.array([[1, 10], [2, 20], [3, NAN], [5, NAN], [NAN, NAN]])
    np.testing.assert_array_equal(MERGES[policy](values, np.array([0, 1, 3])), merged)


def test_every_policy_of_the_schema_is_in_the_tables() -> None:
    assert {"error", *FILLS} == set(get_args(FillPolicy))
    assert {"error", *MERGES} == set(get_args(DuplicatePolicy))
