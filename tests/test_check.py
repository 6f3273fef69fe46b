from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tsforecast.config.schema import RepairConfig
from tsforecast.series.check import CHECKS, Finding, Rows, find
from tsforecast.series.timeaxis import INTEGER, axis_over


def rows(
    *series: list[str] | list[int],
    y: dict[int, float] | None = None,
    freq: str = "D",
    columns: tuple[str, ...] = ("",),
) -> Rows:
    """Series ``s0``, ``s1`` … with these timestamps and the value 1 but for the rows in ``y``."""
    ds = [moment for timestamps in series for moment in timestamps]
    index = np.array(ds) if freq == INTEGER else pd.DatetimeIndex(ds)
    axis = axis_over(index, freq)
    values = np.ones((len(ds), len(columns)))
    for row, value in (y or {}).items():
        values[row, -1] = value
    return Rows(
        axis=axis,
        unique_ids=tuple(f"s{k}" for k in range(len(series))),
        offsets=np.cumsum([0, *map(len, series)]),
        ds=index,
        positions=axis.floor(index),
        values=values,
        columns=columns,
        file_rows=np.arange(len(ds)) + 100,
    )


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


CLEAN = ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_clean_rows_give_no_finding() -> None:
    assert find(rows(CLEAN, CLEAN), RepairConfig()) == []


def test_a_gap_is_found_at_the_row_after_it() -> None:
    finding = only(find(rows(CLEAN, ["2024-01-01", "2024-01-04"]), RepairConfig()))
    assert finding.text("load.csv", "line 7") == (
        "load.csv: line 7: series 's1': 2 steps missing after 2024-01-01 00:00:00 at frequency 'D'; "
        "add the rows, or set data.repair.gaps."
    )
    assert finding.file_row == 104


def test_a_gap_of_integer_time_is_found() -> None:
    finding = only(find(rows([3, 4, 6], freq=INTEGER), RepairConfig()))
    assert "1 step missing after 4 at frequency 'integer'" in finding.problem


def test_the_step_from_one_series_to_the_next_is_no_gap() -> None:
    assert find(rows(["2024-01-01", "2024-01-02"], ["2024-06-01", "2024-06-02"]), RepairConfig()) == []


def test_a_second_row_of_one_timestamp_is_found() -> None:
    finding = only(find(rows(["2024-01-01", "2024-01-01", "2024-01-02"]), RepairConfig()))
    assert finding.problem == "a second row at 2024-01-01 00:00:00, expected one"
    assert finding.file_row == 101


def test_the_same_timestamp_in_two_series_is_no_duplicate() -> None:
    assert find(rows(["2024-01-01"], ["2024-01-01"]), RepairConfig()) == []


def test_a_missing_value_is_found_with_its_column() -> None:
    finding = only(find(rows(CLEAN, y={1: np.nan}, columns=("sales", "temp")), RepairConfig()))
    assert finding.problem == "no value of 'temp' at 2024-01-02 00:00:00"


def test_an_infinite_value_is_found() -> None:
    finding = only(find(rows(CLEAN, y={2: -np.inf}), RepairConfig()))
    assert finding.problem == "the value at 2024-01-03 00:00:00 is infinite, expected a finite number"


def test_no_repair_lets_an_infinite_value_through() -> None:
    repair = RepairConfig(duplicates="last", gaps="ffill", missing="zero")
    assert only(find(rows(CLEAN, y={0: np.inf}), repair)).kind == "infinite"


def test_a_timestamp_off_the_grid_is_found_with_its_neighbours() -> None:
    finding = only(find(rows([*CLEAN, "2024-01-03 06:00"]), RepairConfig()))
    assert finding.kind == "off_grid"
    assert "the steps around it are 2024-01-03 00:00:00 and 2024-01-04 00:00:00" in finding.problem


def test_gaps_are_not_looked_for_on_a_wrong_grid() -> None:
    assert (
        only(find(rows(["2024-01-01", "2024-01-02", "2024-01-05 06:00"]), RepairConfig())).kind == "off_grid"
    )


def test_dates_of_another_frequency_are_named_by_it() -> None:
    finding = only(find(rows(["2024-01-02", "2024-01-09", "2024-01-16"], freq="W-SUN"), RepairConfig()))
    assert finding.remedy == "correct the timestamp, or set data.freq (the dates look like 'W-TUE')"


def test_places_and_series_are_counted() -> None:
    holed = rows(CLEAN, CLEAN, CLEAN, y={0: np.nan, 1: np.nan, 8: np.nan})
    assert "(3 such places in 2 series)" in only(find(holed, RepairConfig())).text("load.csv", "line 2")


@pytest.mark.parametrize(
    ("defect", "repair"),
    [
        (rows(["2024-01-01", "2024-01-01", "2024-01-02"]), RepairConfig(duplicates="mean")),
        (rows(["2024-01-01", "2024-01-02", "2024-01-05"]), RepairConfig(gaps="ffill")),
        (rows(CLEAN, y={1: np.nan}), RepairConfig(missing="zero")),
    ],
    ids=["duplicates", "gaps", "missing"],
)
def test_what_a_repair_is_named_for_is_no_finding(defect: Rows, repair: RepairConfig) -> None:
    assert find(defect, repair) == []


def test_findings_of_several_kinds_come_together() -> None:
    defects = rows(["2024-01-01", "2024-01-01", "2024-01-04"], y={2: np.nan})
    assert [finding.kind for finding in find(defects, RepairConfig())] == ["duplicates", "gaps", "missing"]


def test_each_repair_of_the_schema_has_its_check() -> None:
    assert set(RepairConfig.model_fields) <= set(CHECKS)
