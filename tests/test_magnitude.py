import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import panel_of, seasonal_series

from tsforecast.series.magnitude import binary_unit, far_off


@given(size=st.floats(1e-300, 1e300))
def test_the_unit_is_the_power_of_two_just_above(size: float) -> None:
    unit = binary_unit(np.array([size]))[0]
    assert np.frexp(unit)[0] == 0.5
    assert unit / 2 <= size < unit


def test_nothing_has_the_unit_one() -> None:
    assert binary_unit(np.zeros(1)).tolist() == [1]


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e290])
def test_one_value_a_million_times_larger_is_far_off(unit: float) -> None:
    wild = seasonal_series(40)
    wild[7] *= 1e6
    wild[9] = np.nan
    assert far_off(panel_of(seasonal_series(40) * unit, wild * unit)).tolist() == [47]


@pytest.mark.parametrize(
    "y",
    [
        seasonal_series(40),
        [0.0] * 20 + [3.0],
        [5.0] * 9,
        [1.0, 1e9],
        [],
        [np.nan] * 5,
        np.exp(np.arange(9.0)),
    ],
)
def test_a_usual_series_has_no_value_that_is_far_off(y: list[float]) -> None:
    assert not len(far_off(panel_of(y)))
