from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_frame, seasonal_series

from tsforecast.config.schema import RepairConfig
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
    with pytest.raises(DataError, match="a header and no row below it"):
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


def test_dates_that_can_be_read_in_two_ways_are_asked_about(tmp_path: Path) -> None:
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=12, freq="MS"), "y": range(12)})
    found = found_in(tmp_path, frame.assign(when=frame["when"].dt.strftime("%d/%m/%Y")))
    assert found.questions == {"data.format.time_format": "ask '%d/%m/%Y' or '%m/%d/%Y'"}
    assert found.data.freq == "auto"
    assert "dates such as '01/01/2024' can be read as" in found.notes["data.format.time_format"]


def test_one_day_after_the_twelfth_proves_the_order_wherever_it_stands(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=13).repeat(300)
    frame = pd.DataFrame({"id": [f"s{k}" for k in range(300)] * 13, "day": days, "y": range(len(days))})
    found = found_in(tmp_path, frame.assign(day=frame["day"].dt.strftime("%m/%d/%Y")))
    assert found.data.format.time_format == "%m/%d/%Y"
    assert found.notes["data.time"] == "Sure: '01/13/2024' can be read in no other way, and all others fit."


def test_a_gap_is_filled_by_a_policy_that_is_written_with_its_count(tmp_path: Path) -> None:
    found = found_in(tmp_path, hourly().drop(index=5))
    assert found.data.repair == RepairConfig(gaps="interpolate")
    assert found.warnings["data.repair.gaps"].startswith("A guess: steps without a row: 1;")


def test_rows_that_no_column_tells_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"400 of 800 rows share their time.*add a column that names the series"
    ):
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


def test_a_repeated_timestamp_of_a_single_series_is_averaged_and_said_so(tmp_path: Path) -> None:
    frame = hourly(60)
    frame.loc[30, "when"] = frame.loc[29, "when"]
    found = found_in(tmp_path, frame)
    assert found.data.repair == RepairConfig(duplicates="mean", gaps="interpolate")
    assert "are averaged" in found.warnings["data.repair.duplicates"]


def test_a_season_that_the_data_does_not_show_is_left_out(tmp_path: Path) -> None:
    walk = np.random.default_rng(0).normal(size=400).cumsum()
    found = found_in(tmp_path, hourly().assign(load=walk))
    assert found.season_lengths == [1]
    assert "so 24 is left out" in found.notes["season_length"]
    assert found.horizon == 24


def test_a_season_that_only_the_longer_one_shows_comes_first(tmp_path: Path) -> None:
    found = found_in(tmp_path, hourly(168 * 6).assign(load=seasonal_series(168 * 6, season_length=168)))
    assert found.season_lengths == [168, 24]
    assert "so 24 is put last" in found.notes["season_length"]


def test_columns_with_names_alike_are_series(tmp_path: Path) -> None:
    frame = hourly(zone_2=seasonal_series(400, season_length=24)).rename(columns={"load": "zone_1"})
    found = found_in(tmp_path, frame)
    assert found.data.target == ["zone_1", "zone_2"]
    assert found.notes["data.target"].startswith("Likely: a wide file, since 2 columns have names alike")


def test_a_count_that_differs_by_chance_is_no_id(tmp_path: Path) -> None:
    frame = pd.concat([hourly(90), hourly(90)]).assign(stock=np.arange(180) % 60)
    with pytest.raises(DataError, match="no column tells them apart"):
        found_in(tmp_path, frame)
