import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.series.magnitude import binary_unit


@given(size=st.floats(1e-300, 1e300))
def test_the_unit_is_the_power_of_two_just_above(size: float) -> None:
    unit = binary_unit(np.array([size]))[0]
    assert np.frexp(unit)[0] == 0.5
    assert unit / 2 <= size < unit


def test_nothing_has_the_unit_one() -> None:
    assert binary_unit(np.zeros(1)).tolist() == [1]
