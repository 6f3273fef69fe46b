from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.config.schema import CovariatesConfig, DataConfig, RepairConfig
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.assemble import freq_of_table, panel_from_table
from tsforecast.series.panel import Panel
from tsforecast.series.read import read_table

NAN = np.nan


def config(**settings: Any) -> DataConfig:
    names: dict[str, Any] = {"path": "data.csv", "time": "ds", "target": "y"}
    repair = RepairConfig(**settings.pop("repair", {}))
    return DataConfig(**(names | settings), repair=repair)


def table(*series: dict[str, float], **columns: list[float]) -> pd.DataFrame:
    """Series ``s0``, ``s1`` … from values by date."""
    rows = [(f"s{k}", pd.Timestamp(ds), y) for k, values in enumerate(series) for ds, y in values.items()]
    return pd.DataFrame(rows, columns=["unique_id", "ds", "y"]).assign(**columns)


def days(*values: float, first: str = "2024-01-01") -> dict[str, float]:
    """Values on consecutive days."""
    return dict(zip(pd.date_range(first, periods=len(values)).astype(str), values, strict=True))


def panel_of_table(frame: pd.DataFrame, **settings: Any) -> Panel:
    return panel_from_table(frame, config(**settings))[0]


def test_series_follow_each_other_in_the_order_of_their_names() -> None:
    frame = table(days(1, 2, 3), days(4, 5, 6, 7, first="2024-01-02"))
    frame["unique_id"] = frame["unique_id"].map({"s0": "b", "s1": "a"})
    panel = panel_of_table(frame)
    assert panel.unique_ids == ("a", "b")
    assert panel.offsets.tolist() == [0, 4, 7]
    assert panel.starts.tolist() == [1, 0]
    assert panel.y.tolist() == [4, 5, 6, 7, 1, 2, 3]
    assert panel.axis.timestamps(panel.starts).tolist() == [
        pd.Timestamp("2024-01-02"),
        pd.Timestamp("2024-01-01"),
    ]


@given(order=st.permutations(range(9)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    frame = table(days(1, 2, 3, 4), days(5, 6, 7, 8, 9))
    assert panel_of_table(frame.iloc[order]).y.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_the_table_is_left_as_it_is() -> None:
    frame = table(days(3, NAN, 1)).iloc[::-1]
    before = frame.copy()
    panel_of_table(frame, repair={"missing": "zero"})
    pd.testing.assert_frame_equal(frame, before)


def test_covariates_lie_beside_the_target() -> None:
    frame = table(days(1, 2, 3), temp=[7.0, 8.0, 9.0], wind=[0.0, 1.0, 2.0])
    panel = panel_of_table(frame, covariates=CovariatesConfig(past=["wind", "temp"]))
    assert panel.past_names == ("wind", "temp")
    assert panel.past.tolist() == [[0, 7], [1, 8], [2, 9]]


def test_the_frequency_is_found_where_it_is_auto() -> None:
    frame = table({"2024-01-31": 1, "2024-02-29": 2, "2024-03-31": 3})
    assert panel_of_table(frame).axis.freq == "ME"


def test_a_given_frequency_goes_before_the_configs() -> None:
    panel, _ = panel_from_table(table(days(1, 2)), config(freq="h"), freq="D")
    assert panel.axis.freq == "D"


def test_an_unknown_frequency_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data.freq: 'M' is not a known frequency"):
        panel_of_table(table(days(1, 2)), freq="M")


def test_too_few_dates_ask_for_the_frequency() -> None:
    with pytest.raises(DataError, match=r"data.csv: .*fewer than 3 .*set data.freq"):
        panel_of_table(table(days(1, 2)))


def test_integer_time_makes_an_integer_axis() -> None:
    frame = pd.DataFrame({"unique_id": "a", "ds": [5, 6, 7], "y": [1.0, 2.0, 3.0]})
    panel = panel_of_table(frame, freq="integer")
    assert panel.axis.timestamps(np.array([0, 3])).tolist() == [5, 8]


def test_dates_do_not_fit_integer_time() -> None:
    with pytest.raises(DataError, match=r"data.csv: time is given as timestamps here, expected integers"):
        panel_from_table(table(days(1, 2, 3)), config(), freq="integer")


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(DataError, match=r"data.csv: there is no row"):
        panel_of_table(table(days(1, 2)).iloc[:0])


def test_every_kind_of_defect_has_a_line_with_the_line_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    rows = ["2024-01-01,1", "2024-01-02,2", "2024-01-02,3", "", "2024-01-03,", "2024-01-05,5"]
    path.write_text("ds,y\n" + "\n".join(rows) + "\n")
    data = config(path=str(path))
    with pytest.raises(DataError) as refused:
        panel_from_table(read_table(data), data)
    at = "2024-01-03 00:00:00"
    assert [line.partition(";")[0] for line in str(refused.value).splitlines()] == [
        f"{path}: line 4: series 'y': a second row at 2024-01-02 00:00:00, expected one",
        f"{path}: line 7: series 'y': 1 step missing after {at}, expected a row for each step of frequency 'D'",
        f"{path}: line 6: series 'y': no value at 2024-01-03 00:00:00, expected a number",
    ]


def test_messages_name_the_file_the_table_came_from() -> None:
    with pytest.raises(DataError, match=r"new.csv: row 2: series 's0': no value"):
        panel_from_table(table(days(1, NAN, 3)), config(), where="new.csv")


@pytest.mark.parametrize(("policy", "y"), [("mean", 3.5), ("sum", 7.0), ("last", 5.0)])
def test_duplicates_are_merged_and_counted(policy: str, y: float) -> None:
    frame = pd.concat([table(days(1, 2, 3)), table({"2024-01-02": 5})])
    panel, repairs = panel_from_table(frame, config(repair={"duplicates": policy}))
    assert panel.y.tolist() == [1, y, 3]
    assert repairs == {"duplicates": 1}


def test_summing_the_target_takes_the_mean_of_the_covariates() -> None:
    frame = pd.concat([table(days(1, 2, 3)), table({"2024-01-02": 5})]).assign(temp=[10.0, 20.0, 30.0, 40.0])
    panel = panel_of_table(frame, repair={"duplicates": "sum"}, covariates=CovariatesConfig(past=["temp"]))
    assert panel.y.tolist() == [1, 7, 3]
    assert panel.past[:, 0].tolist() == [10, 30, 30]


def test_gaps_are_filled_and_counted() -> None:
    frame = table(days(1, 2), {"2024-01-01": 10, "2024-01-02": 11, "2024-01-04": 13})
    panel, repairs = panel_from_table(frame, config(repair={"gaps": "interpolate"}))
    assert panel.offsets.tolist() == [0, 2, 6]
    assert panel.y.tolist() == [1, 2, 10, 11, 12, 13]
    assert repairs == {"gaps": 1}


def test_gaps_in_covariates_are_filled_as_well() -> None:
    frame = table({"2024-01-01": 1, "2024-01-02": 2, "2024-01-04": 4}, temp=[5.0, 6.0, 9.0])
    panel = panel_of_table(frame, repair={"gaps": "ffill"}, covariates=CovariatesConfig(past=["temp"]))
    assert panel.past[:, 0].tolist() == [5, 6, 6, 9]


def test_missing_values_are_filled_and_counted() -> None:
    panel, repairs = panel_from_table(table(days(1, NAN, 3, NAN)), config(repair={"missing": "interpolate"}))
    assert panel.y.tolist() == [1, 2, 3, 3]
    assert repairs == {"missing": 2}


def test_a_missing_value_is_filled_from_the_season() -> None:
    weeks = np.tile(np.arange(7.0), 3)
    weeks[9] = NAN
    assert panel_of_table(table(days(*weeks)), repair={"missing": "seasonal"}).y[9] == 2


def test_gaps_and_missing_values_go_by_their_own_policies_and_by_values_that_were_there() -> None:
    frame = table({"2024-01-01": 1, "2024-01-02": NAN, "2024-01-04": 4, "2024-01-05": 5})
    panel, repairs = panel_from_table(frame, config(repair={"gaps": "zero", "missing": "interpolate"}))
    assert panel.y.tolist() == [1, 2, 0, 4, 5]
    assert repairs == {"gaps": 1, "missing": 1}


def test_a_series_begins_with_its_first_value_where_nothing_can_fill_the_beginning() -> None:
    panel = panel_of_table(table(days(NAN, NAN, 3, 4), days(1, 2, 3)), repair={"missing": "ffill"})
    assert panel.offsets.tolist() == [0, 2, 5]
    assert panel.starts.tolist() == [2, 0]
    assert panel.y.tolist() == [3, 4, 1, 2, 3]


def test_a_series_without_any_value_is_refused() -> None:
    frame = table(days(1, 2, 3), days(NAN, NAN))
    with pytest.raises(DataError, match="series 's1' has no row with a value in every column"):
        panel_of_table(frame, repair={"missing": "interpolate"})


def test_a_hole_that_its_policy_cannot_fill_is_refused() -> None:
    frame = table(days(1, 2, NAN, 4))
    with pytest.raises(
        DataError, match="series 's0': there is nothing to fill the value at 2024-01-03 00:00:00 from"
    ):
        panel_of_table(frame, repair={"missing": "seasonal"})


def test_a_date_far_from_the_others_is_not_filled_up_to() -> None:
    frame = table({"2024-01-01": 1, "2024-01-02": 2, "9000-01-01": 3})
    with pytest.raises(DataError, match="the gaps between 3 rows come to 2547930 steps of frequency 'D'"):
        panel_of_table(frame, freq="D", repair={"gaps": "ffill"})


def test_series_of_a_wide_file_begin_and_end_with_their_values() -> None:
    wide = pd.DataFrame(
        {"ds": pd.date_range("2024-01-01", periods=4), "a": [NAN, 1, 2, 3], "b": [4, 5, 6, NAN]}
    )
    data = config(target=["a", "b"])
    panel, repairs = panel_from_table(read_table(data, source=wide), data)
    assert panel.y.tolist() == [1, 2, 3, 4, 5, 6]
    assert panel.starts.tolist() == [1, 0]
    assert repairs == {}


def test_a_hole_inside_a_column_of_a_wide_file_is_refused() -> None:
    wide = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=3), "a": [1, NAN, 2], "b": [4.0, 5, 6]})
    data = config(target=["a", "b"])
    with pytest.raises(DataError, match="series 'a': no value at 2024-01-02"):
        panel_from_table(read_table(data, source=wide), data)


def test_an_empty_column_of_a_wide_file_is_refused() -> None:
    wide = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=3), "a": [NAN] * 3, "b": [4.0, 5, 6]})
    data = config(target=["a", "b"])
    with pytest.raises(DataError, match=r"series 'a' has no value; remove it from data.target"):
        panel_from_table(read_table(data, source=wide), data)


def test_the_frequency_of_a_table_is_told_in_any_order_of_rows() -> None:
    assert freq_of_table(table(days(1, 2, 3), days(4, 5, 6, 7)).iloc[::-1]) == "D"


def test_the_frequency_of_integer_time_is_integer() -> None:
    assert freq_of_table(pd.DataFrame({"unique_id": ["a"], "ds": [1], "y": [2.0]})) == "integer"


def test_a_masked_gap_and_a_masked_value_stay_unknown_and_are_counted() -> None:
    frame = table({"2024-01-01": 1, "2024-01-02": NAN, "2024-01-05": 5})
    panel, counts = panel_from_table(frame, config(freq="D", repair={"gaps": "mask", "missing": "mask"}))
    np.testing.assert_array_equal(panel.y, [1, NAN, NAN, NAN, 5])
    assert counts == {"gaps": 2, "missing": 1}


def test_each_policy_has_its_own_holes() -> None:
    frame = table({"2024-01-01": 1, "2024-01-02": NAN, "2024-01-04": 5})
    panel = panel_of_table(frame, freq="D", repair={"gaps": "mask", "missing": "ffill"})
    np.testing.assert_array_equal(panel.y, [1, 1, NAN, 5])


def test_a_masked_infinite_value_is_not_filled_as_a_missing_one() -> None:
    frame = table(days(1, np.inf, NAN, -np.inf))
    panel, counts = panel_from_table(frame, config(repair={"infinite": "mask", "missing": "ffill"}))
    np.testing.assert_array_equal(panel.y, [1, NAN, 1, NAN])
    assert counts == {"infinite": 2, "missing": 1}


def test_negative_values_become_zero_in_the_target_alone() -> None:
    frame = table(days(1, -2, 3), temp=[-7.0, 8.0, 9.0])
    panel, counts = panel_from_table(
        frame, config(covariates=CovariatesConfig(past=["temp"]), repair={"negative": "zero"})
    )
    assert panel.y.tolist() == [1, 0, 3]
    assert panel.past[:, 0].tolist() == [-7, 8, 9]
    assert counts == {"negative": 1}


def test_a_series_begins_with_its_first_known_value_and_may_end_masked() -> None:
    panel = panel_of_table(table(days(NAN, NAN, 3, NAN)), repair={"missing": "mask"})
    np.testing.assert_array_equal(panel.y, [3, NAN])
    assert panel.starts.tolist() == [2]
    assert panel.newest_known.tolist() == [0, 0]


def test_a_masked_covariate_stays_unknown_beside_a_known_target() -> None:
    frame = table(days(1, 2, 3), temp=[NAN, 8.0, NAN])
    panel = panel_of_table(frame, covariates=CovariatesConfig(past=["temp"]), repair={"missing": "mask"})
    assert panel.y.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(panel.past[:, 0], [NAN, 8, NAN])


def test_a_series_that_is_masked_throughout_is_refused() -> None:
    with pytest.raises(DataError, match=r"'s0' has no row with a value"):
        panel_of_table(table(days(NAN, NAN, NAN)), repair={"missing": "mask"})
