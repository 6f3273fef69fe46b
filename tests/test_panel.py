from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import panel_of

from tsforecast.series.panel import Cutoffs, Panel, data_hash


@pytest.fixture
def panel() -> Panel:
    """Three series of 4, 1 and 3 steps; the last begins at step 10 of the axis. Covariates count the rows."""
    whole = panel_of([0, 1, 2, 3], [10], [20, 21, 22], past=np.arange(8.0)[:, None])
    return replace(whole, starts=np.array([0, 0, 10]))


def test_lengths_follow_from_the_offsets(panel: Panel) -> None:
    assert panel.lengths.tolist() == [4, 1, 3]


def test_the_last_cutoffs_are_the_last_rows(panel: Panel) -> None:
    cutoffs = panel.last_cutoffs
    assert panel.y[cutoffs.rows].tolist() == [3, 10, 22]
    assert panel.positions(cutoffs).tolist() == [3, 0, 12]
    assert panel.rows_known(cutoffs).tolist() == [4, 1, 3]


def test_cutoffs_can_be_chosen_from() -> None:
    cutoffs = Cutoffs(series=np.array([0, 0, 1]), rows=np.array([2, 3, 4]))
    assert len(cutoffs) == 3
    assert cutoffs[1:].rows.tolist() == [3, 4]
    assert cutoffs[np.array([2])].series.tolist() == [1]


def test_the_values_of_a_series_are_a_view(panel: Panel) -> None:
    assert panel.values(2).tolist() == [20, 21, 22]
    assert np.shares_memory(panel.values(2), panel.y)


def test_the_last_steps_can_be_dropped(panel: Panel) -> None:
    shorter = panel.drop_last(2)
    assert shorter.y.tolist() == [0, 1, 20]
    assert shorter.lengths.tolist() == [2, 0, 1]
    assert shorter.past[:, 0].tolist() == [0, 1, 5]


def test_the_tail_keeps_the_place_on_the_axis(panel: Panel) -> None:
    tail = panel.tail(2)
    assert tail.y.tolist() == [2, 3, 10, 21, 22]
    assert tail.starts.tolist() == [2, 0, 11]
    assert tail.positions(tail.last_cutoffs).tolist() == panel.positions(panel.last_cutoffs).tolist()


@pytest.mark.parametrize(
    ("position", "lengths"), [(-1, [0, 0, 0]), (1, [2, 1, 0]), (10, [4, 1, 1]), (99, [4, 1, 3])]
)
def test_rows_after_a_position_are_cut_off(panel: Panel, position: int, lengths: list[int]) -> None:
    assert panel.until(position).lengths.tolist() == lengths


def test_series_can_be_selected_in_another_order(panel: Panel) -> None:
    chosen = panel.select([2, 0])
    assert chosen.unique_ids == ("s2", "s0")
    assert chosen.y.tolist() == [20, 21, 22, 0, 1, 2, 3]
    assert chosen.starts.tolist() == [10, 0]


def test_the_hash_tells_panels_apart(panel: Panel) -> None:
    assert data_hash(panel) == data_hash(panel.select([0, 1, 2]))
    assert data_hash(panel) != data_hash(replace(panel, y=panel.y + 1e-12))
    assert data_hash(panel) != data_hash(replace(panel, unique_ids=("s0", "s1", "x")))


def test_the_newest_known_value_is_never_one_of_another_series() -> None:
    assert panel_of([9, 9, np.nan], [np.nan, 5, np.nan]).newest_known.tolist() == [0, 1, 1, 3, 4, 4]
