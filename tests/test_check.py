from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_series

from tsforecast.config.schema import RepairConfig
from tsforecast.series.check import CHECKS, Finding, Rows, find, find_by_series
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
        "load.csv: line 7: series 's1': 2 steps missing after 2024-01-01 00:00:00, expected a row for each step "
        "of frequency 'D'; add the rows, or set data.repair.gaps."
    )
    assert finding.file_row == 104


def test_a_gap_of_integer_time_is_found() -> None:
    finding = only(find(rows([3, 4, 6], freq=INTEGER), RepairConfig()))
    assert finding.words.found == "1 step missing after 4"


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
    assert finding.words.found == "no value of 'temp' at 2024-01-02 00:00:00"


def test_an_infinite_value_is_found() -> None:
    finding = only(find(rows(CLEAN, y={2: -np.inf}), RepairConfig(negative="zero")))
    assert finding.problem == "the value at 2024-01-03 00:00:00 is infinite, expected a finite number"


def test_no_repair_lets_an_infinite_value_through() -> None:
    repair = RepairConfig(duplicates="last", gaps="ffill", missing="zero")
    assert only(find(rows(CLEAN, y={0: np.inf}), repair)).code == "V404"


def test_a_timestamp_off_the_grid_is_found_with_its_neighbours() -> None:
    finding = only(find(rows([*CLEAN, "2024-01-03 06:00"]), RepairConfig()))
    assert finding.code == "T306"
    assert finding.words.expected == "2024-01-03 00:00:00 or 2024-01-04 00:00:00"


def test_gaps_are_not_looked_for_on_a_wrong_grid() -> None:
    assert only(find(rows(["2024-01-01", "2024-01-02", "2024-01-05 06:00"]), RepairConfig())).code == "T306"


def test_dates_of_another_frequency_are_named_by_it() -> None:
    finding = only(find(rows(["2024-01-02", "2024-01-09", "2024-01-16"], freq="W-SUN"), RepairConfig()))
    assert finding.words.remedy == "correct the timestamp, or set data.freq (the dates look like 'W-TUE')"
    assert finding.words.setting == "data.freq: W-TUE"


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
    assert [finding.code for finding in find(defects, RepairConfig())] == ["T307", "T308", "V403"]


def test_each_repair_of_the_schema_has_its_check() -> None:
    assert set(RepairConfig.model_fields) <= set(CHECKS)


def test_each_series_may_have_a_finding_of_its_own() -> None:
    holed = rows(CLEAN, CLEAN, CLEAN, y={0: np.nan, 1: np.nan, 8: np.nan})
    findings, left_out = find_by_series(holed, RepairConfig(), "error", most=1)
    assert [(finding.unique_id, finding.n_found) for finding in findings] == [("s0", 2)]
    assert left_out == {"V403": 1}


def test_an_infinite_value_is_no_finding_where_it_is_masked() -> None:
    assert find(rows(CLEAN, y={2: np.inf}), RepairConfig(infinite="mask")) == []


@pytest.mark.parametrize(("policy", "found"), [("keep", 0), ("error", 1), ("zero", 0)])
def test_negative_values_are_found_where_none_may_be(policy: Any, found: int) -> None:
    assert len(find(rows(CLEAN, y={1: -2.0}), RepairConfig(negative=policy))) == found


def years(n: int, *, last: int = 2024) -> list[str]:
    return [f"{year}-01-01" for year in range(last - n + 1, last + 1)]


def series(*values: list[float], columns: tuple[str, ...] = ("",), ids: tuple[str, ...] = ()) -> Rows:
    """Series of these values, by day; with several columns, rows of them."""
    table = rows(*(pd.date_range("2024-01-01", periods=len(y)).astype(str).tolist() for y in values))
    flat = np.array([row for y in values for row in y], dtype=float).reshape(-1, len(columns))
    return replace(table, values=flat, columns=columns, unique_ids=ids or table.unique_ids)


def warned(table: Rows) -> list[tuple[str, str]]:
    """Codes and first series of the warnings."""
    return [(finding.code, finding.unique_id) for finding in find(table, RepairConfig(), "warning")]


def test_clean_series_give_no_warning() -> None:
    assert warned(series([1, 2, 3], [1e9, 1e9 + 1e-3, 1e9], [0, 0, 3], [-1, 1, 0])) == []


@pytest.mark.parametrize("other", ["kiel", " Kiel", "Kiel\u00a0", "\uff2biel"])
def test_ids_that_hardly_differ_are_named(other: str) -> None:
    (finding,) = find(series([1, 2], [1, 2], ids=("Kiel", other)), RepairConfig(), "warning")
    assert (finding.code, finding.unique_id, finding.file_row) == ("I203", other, None)


def test_names_in_two_unicode_forms_are_told_apart_in_the_message() -> None:
    (finding,) = find(series([1, 2], [1, 2], ids=("K\xf6ln", "Ko\u0308ln")), RepairConfig(), "warning")
    assert "differs from 'K\\xf6ln' only" in finding.text("load.csv")


def test_different_ids_are_no_finding() -> None:
    assert warned(series([1, 2], [1, 2], ids=("001", "1"))) == []


def test_constant_series_and_those_of_zeros_are_named() -> None:
    assert warned(series([1, 2, 3], [4, np.nan, 4], [0, 0, 0])) == [("V409", "s1"), ("V410", "s2")]


def test_one_value_is_not_called_constant() -> None:
    assert warned(series([5], [1, 2])) == []


TARGET = [5.0, 6, 7, 5, 9, 6, 4, 8, 3, 2]


@pytest.mark.parametrize(
    ("covariate", "warns"),
    [
        (TARGET, True),
        ([10 - 2 * y for y in TARGET], True),
        ([*TARGET[1:], 1.0], True),  # what comes one step later
        ([1.0, *TARGET[:-1]], False),  # what came one step before is known
        ([*TARGET[:-1], 5.0], False),
        ([1.0] * 10, False),
    ],
)
def test_a_covariate_that_is_the_target_is_named(covariate: list[float], warns: bool) -> None:
    table = series([[y, x] for y, x in zip(TARGET, covariate, strict=True)], columns=("y", "x"))  # type: ignore[list-item]
    assert warned(table) == ([("V411", "s0")] if warns else [])


def test_a_value_far_above_the_others_is_named_with_its_date() -> None:
    (finding,) = find(series([1, 2, 3e6, 1, 2]), RepairConfig(), "warning")
    assert finding.code == "V412"
    assert finding.ds == "2024-01-03 00:00:00"


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 9e4, 1, 2],
        [0, 0, 0, 0, 5e6],
        [10.0 ** (k / 2) for k in range(18)],
        [1, 1e9],
        [*[0] * 20, 3],
        np.exp(np.arange(9)).tolist(),
    ],
)
def test_values_that_grow_or_come_now_and_then_are_no_slips(values: list[float]) -> None:
    assert warned(series(values)) == []


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e290])
def test_one_value_a_million_times_larger_is_named_whatever_the_unit(unit: float) -> None:
    wild = seasonal_series(40)
    wild[7] *= 1e6
    wild[9] = np.nan
    assert warned(series(list(seasonal_series(40) * unit), list(wild * unit))) == [("V412", "s1")]


def test_whole_numbers_beyond_2_to_the_53_are_named() -> None:
    assert warned(series([2.0**53 - 1, 2.0**53], [1e300, 2e300])) == []
    assert warned(series([2.0**53 - 1, 2.0**53 + 2, 2.0**53 - 3])) == [("V406", "s0")]


def test_series_that_end_long_after_or_before_the_others_are_named() -> None:
    table = rows(years(8), years(8), years(8), years(3, last=2030), years(4, last=2019), freq="YS-JAN")
    table = replace(table, values=np.arange(len(table.ds), dtype=float)[:, None])
    assert warned(table) == [("T312", "s3"), ("T313", "s4")]


def test_two_series_that_end_apart_are_no_finding() -> None:
    table = rows(years(8), years(3, last=2030), freq="YS-JAN")
    assert warned(replace(table, values=np.arange(len(table.ds), dtype=float)[:, None])) == []


def test_what_comes_next_is_looked_for_in_each_series_alone() -> None:
    ahead = [*TARGET[1:], 1.0]
    one = [[y, x] for y, x in zip(TARGET, ahead, strict=True)]
    table = series(one, one, columns=("y", "x"))  # type: ignore[arg-type]
    (finding,) = find(table, RepairConfig(), "warning")
    assert (finding.code, finding.n_series) == ("V411", 2)
