from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_frame, seasonal_series

from tsforecast.errors import DataError
from tsforecast.series.detect import Detected, detect


def found_in(folder: Path, frame: pd.DataFrame, *, separator: str = ",", decimal: str = ".") -> Detected:
    path = folder / "data.csv"
    frame.to_csv(path, index=False, sep=separator, decimal=decimal)
    return detect(path)


def hourly(length: int = 400, **columns: object) -> pd.DataFrame:
    ds = pd.date_range("2024-01-01", periods=length, freq="h")
    return pd.DataFrame({"when": ds, "load": seasonal_series(length, season_length=24)} | columns)


def test_a_long_file_is_understood(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=3, length=60).rename(
        columns={"unique_id": "shop", "ds": "month", "y": "sold"}
    )
    found = found_in(tmp_path, frame)
    assert (found.data.time, found.data.target, found.data.id) == ("month", "sold", "shop")
    assert found.data.freq == "MS"
    assert found.season_lengths == [12]
    assert found.horizon == 12
    assert found.panel.n_series == 3


def test_a_single_series_needs_no_id(tmp_path: Path) -> None:
    found = found_in(tmp_path, hourly(station="central"))
    assert (found.data.time, found.data.target, found.data.id) == ("when", "load", None)
    assert found.season_lengths == [24, 168]
    assert found.horizon == 24


def test_separator_and_decimal_mark_are_left_to_the_reader(tmp_path: Path) -> None:
    assert found_in(tmp_path, hourly(), separator=";", decimal=",").data.target == "load"


def test_a_telling_name_goes_before_the_order_of_the_columns(tmp_path: Path) -> None:
    frame = hourly().assign(extra=1.0, y=2.0)
    frame.insert(0, "checked_on", frame["when"])
    found = found_in(tmp_path, frame.rename(columns={"when": "timestamp"}))
    assert (found.data.time, found.data.target) == ("timestamp", "y")
    assert "'load', 'extra'" in found.notes["data.target"]


def test_integers_that_name_series_are_no_target(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=3, length=60)
    frame["unique_id"] = frame["unique_id"].str.removeprefix("s")
    found = found_in(tmp_path, frame.rename(columns={"unique_id": "store", "y": "sold"}))
    assert (found.data.id, found.data.target) == ("store", "sold")


def test_of_several_text_columns_the_one_that_tells_the_rows_apart_names_the_series(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=4, length=60)
    frame.insert(0, "region", np.where(frame["unique_id"] < "s2", "north", "south"))
    assert found_in(tmp_path, frame.rename(columns={"unique_id": "shop"})).data.id == "shop"


def test_row_numbers_are_the_last_choice_for_a_target(tmp_path: Path) -> None:
    frame = hourly().rename(columns={"load": "kW"})
    frame.insert(0, "row", range(len(frame)))
    assert found_in(tmp_path, frame).data.target == "kW"


def test_integers_count_steps_where_their_name_says_so(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": range(100), "y": seasonal_series(100, season_length=12)})
    found = found_in(tmp_path, frame)
    assert (found.data.time, found.data.freq) == ("t", "integer")
    assert found.season_lengths == [12]


def test_the_horizon_is_at_most_a_fifth_of_the_shortest_series(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=2, length=60)
    assert found_in(tmp_path, frame.iloc[: 60 + 24]).horizon == 24 // 5


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row has the 2 fields of the header"):
        found_in(tmp_path, hourly().iloc[:0])


def test_a_file_without_timestamps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no column holds timestamps such as 2024-03-31.* the columns are 'a', 'b'"
    ):
        found_in(tmp_path, pd.DataFrame({"a": [1.5, 2], "b": [3, 4]}))


def test_a_file_without_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="no column holds numbers to forecast; the columns are 'when', 'note'"
    ):
        found_in(tmp_path, hourly(note="x").drop(columns="load"))


def test_other_ways_to_write_dates_are_named_and_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'when' holds dates such as '01/01/2024'.*'%d/%m/%Y' or '%m/%d/%Y'"):
        found_in(tmp_path, pd.DataFrame({"when": ["01/01/2024", "02/01/2024"], "y": [1, 2]}))


def test_a_defect_of_the_data_is_refused_as_in_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 7: series 'load': 1 step missing.*set data.repair.gaps"):
        found_in(tmp_path, hourly().drop(index=5))


def test_rows_that_no_column_tells_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a second row at 2024-01-01.*name the series in data.id"):
        found_in(tmp_path, pd.concat([hourly(), hourly()]))


@pytest.mark.parametrize("name", ["-", "data.parquet"])
def test_only_csv_files_are_looked_at(name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: init looks at CSV files"):
        detect(Path(name))


def test_one_word_among_the_numbers_is_named_with_its_line(tmp_path: Path) -> None:
    frame = hourly(60).astype({"load": object})
    frame.loc[20, "load"] = "broken"
    with pytest.raises(DataError, match=r"line 22, column 'load': found 'broken', expected a number"):
        found_in(tmp_path, frame)


def test_one_date_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    frame = hourly(60).astype({"when": str})
    frame.loc[59, "when"] = "total"
    with pytest.raises(DataError, match=r"line 61, column 'when': found 'total', expected a timestamp"):
        found_in(tmp_path, frame)


def test_a_repeated_timestamp_of_a_single_series_is_named_by_the_reading(tmp_path: Path) -> None:
    frame = hourly(60)
    frame.loc[30, "when"] = frame.loc[29, "when"]
    with pytest.raises(DataError, match=r"2024-01-02 05:00"):
        found_in(tmp_path, frame)
