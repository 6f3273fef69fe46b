from __future__ import annotations

import datetime
import decimal
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsforecast.config.schema import CovariatesConfig, DataConfig, FormatConfig
from tsforecast.errors import DataError
from tsforecast.series.read import place_of, read_table

DAYS = "2024-01-01,1\n2024-01-02,2.5\n2024-01-03,-3e2\n"


def config(path: Path | str = "data.csv", **settings: Any) -> DataConfig:
    names: dict[str, Any] = {"path": str(path), "time": "ds", "target": "y"}
    form = FormatConfig(**settings.pop("form", {}))
    return DataConfig(**(names | settings), format=form)


def written(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, content: str | bytes, **settings: Any) -> pd.DataFrame:
    return read_table(config(written(folder, content), **settings))


def test_columns_are_renamed_and_typed(tmp_path: Path) -> None:
    table = read(
        tmp_path, "shop,sales,day\na,1.5,2024-01-01\nb,2,2024-01-02\n", id="shop", time="day", target="sales"
    )
    assert table.dtypes.astype(str).to_dict() == {
        "unique_id": "category",
        "ds": "datetime64[us]",
        "y": "float64",
    }
    assert table["unique_id"].tolist() == ["a", "b"]
    assert table["ds"].tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")]
    assert table["y"].tolist() == [1.5, 2.0]


def test_a_single_series_has_the_name_of_its_target(tmp_path: Path) -> None:
    assert read(tmp_path, "ds,y\n" + DAYS)["unique_id"].tolist() == ["y"] * 3


def test_a_wide_file_is_read_column_by_column_with_the_rows_of_the_file(tmp_path: Path) -> None:
    table = read(tmp_path, "ds,north,south\n2024-01-01,1,3\n2024-01-02,2,\n", target=["north", "south"])
    assert table["unique_id"].tolist() == ["north", "north", "south", "south"]
    assert table["y"].tolist()[:3] == [1, 2, 3]
    assert np.isnan(table["y"].iloc[3])
    assert table.index.tolist() == [0, 1, 0, 1]


def test_past_covariates_keep_their_names(tmp_path: Path) -> None:
    table = read(tmp_path, "ds,y,temp\n2024-01-01,1,20.5\n", covariates=CovariatesConfig(past=["temp"]))
    assert table["temp"].tolist() == [20.5]


def test_ids_are_text_as_written(tmp_path: Path) -> None:
    ids = ["001", "1", "1e5", "100000", "NA", "null", " a", "a"]
    content = "id,ds,y\n" + "".join(f"{name},2024-01-01,1\n" for name in ids)
    assert read(tmp_path, content, id="id")["unique_id"].tolist() == ids


def test_a_line_break_in_an_id_is_part_of_it(tmp_path: Path) -> None:
    assert read(tmp_path, 'id,ds,y\n"a\nb",2024-01-01,1\n', id="id")["unique_id"].tolist() == ["a\nb"]


def test_line_breaks_in_ids_are_read_in_files_of_several_blocks(tmp_path: Path) -> None:
    name = "a" + "\n" * 50
    assert set(read(tmp_path, "id,ds,y\n" + f'"{name}",2024-01-01,1\n' * 20_000, id="id")["unique_id"]) == {
        name
    }


@pytest.mark.parametrize("cell", ["", "NA", "N/A", "NaN", "nan", "null", "None", "-"])
def test_a_cell_may_say_that_there_is_no_value(tmp_path: Path, cell: str) -> None:
    assert np.isnan(read(tmp_path, f"ds,y\n2024-01-01,{cell}\n")["y"].iloc[0])


@pytest.mark.parametrize(
    ("cell", "value"),
    [("+3", 3.0), (".5", 0.5), ("5.", 5.0), (" 7 ", 7.0), ("1E-3", 0.001), ("-inf", -np.inf)],
)
def test_numbers_are_read(tmp_path: Path, cell: str, value: float) -> None:
    assert read(tmp_path, f"ds,y\n2024-01-01,{cell}\n")["y"].tolist() == [value]


@pytest.mark.parametrize(
    "cell", ["12%", "$5", "1 234", "\uff11\uff12", "2\x00", "0x10", "1_000", "true", "1.5.2", "x"]
)
def test_a_cell_that_is_no_number_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=r"data.csv: line 3, column 'y': .* is not a number") as refused:
        read(tmp_path, f"ds,y\n2024-01-01,1\n2024-01-02,{cell}\n2024-01-03,x\n")
    assert repr(cell) in str(refused.value)


def test_the_separator_is_the_one_that_makes_the_columns_appear(tmp_path: Path) -> None:
    for separator in ";\t|":
        assert len(read(tmp_path, ("ds,y\n" + DAYS).replace(",", separator))) == 3


def test_a_header_with_more_commas_than_columns_is_still_split_where_the_columns_appear(
    tmp_path: Path,
) -> None:
    assert len(read(tmp_path, "ds;y;size (w, h, d, m)\n2024-01-01;1;2\n")) == 1


def test_decimal_commas_are_found(tmp_path: Path) -> None:
    assert read(tmp_path, "ds;y\n2024-01-01;1,5\n2024-01-02;2\n")["y"].tolist() == [1.5, 2.0]


def test_a_comma_that_may_be_decimal_or_thousands_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'1,500' may be a decimal number or thousands; set data.format.decimal"
    ):
        read(tmp_path, "ds;y\n2024-01-01;1,500\n2024-01-02;2,250\n")


def test_a_thousands_mark_is_read_when_it_is_named(tmp_path: Path) -> None:
    content = 'ds,y\n2024-01-01," 1,234,567.5 "\n2024-01-02,12\n2024-01-03,\n'
    assert read(tmp_path, content, form={"thousands": ","})["y"].tolist()[:2] == [1234567.5, 12.0]


@pytest.mark.parametrize("cell", ["1,23", "1234,567", ",123"])
def test_a_misplaced_thousands_mark_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(
        DataError, match=f"line 2, column 'y': '{cell}' is not a number with .* thousands mark ','"
    ):
        read(tmp_path, f'ds,y\n2024-01-01,"{cell}"\n', form={"thousands": ","})


def test_a_dot_for_thousands_goes_with_a_decimal_comma(tmp_path: Path) -> None:
    assert read(tmp_path, "ds;y\n2024-01-01;1.234,5\n", form={"thousands": "."})["y"].tolist() == [1234.5]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03", "2024-03-01"),
        ("2024-03-31", "2024-03-31"),
        ("2024-03-31 05", "2024-03-31 05:00"),
        ("2024-03-31T05:06", "2024-03-31 05:06"),
        ("2024-03-31 05:06:07.25", "2024-03-31 05:06:07.25"),
        ("0001-01-01", "0001-01-01"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_iso_dates_are_read(tmp_path: Path, text: str, moment: str) -> None:
    assert read(tmp_path, f"ds,y\n{text},1\n")["ds"].tolist() == [pd.Timestamp(moment)]


def test_one_offset_is_kept_as_the_time_zone(tmp_path: Path) -> None:
    ds = read(tmp_path, "ds,y\n2024-01-01T00:00+05:30,1\n2024-01-02T00:00+05:30,1\n")["ds"]
    assert str(ds.dtype) == "datetime64[us, UTC+05:30]"
    assert ds[0] == pd.Timestamp("2023-12-31 18:30", tz="UTC")


def test_several_offsets_become_utc(tmp_path: Path) -> None:
    ds = read(tmp_path, "ds,y\n2024-03-31T01:00+01:00,1\n2024-03-31T03:00+02:00,1\n")["ds"]
    assert str(ds.dtype) == "datetime64[us, UTC]"
    assert (ds[1] - ds[0]) == pd.Timedelta(hours=1)


def test_timestamps_with_and_without_a_zone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"line 3, column 'ds': '2024-01-02T00:00Z' .* with and without a time zone"
    ):
        read(tmp_path, "ds,y\n2024-01-01,1\n2024-01-02T00:00Z,1\n")


@pytest.mark.parametrize(
    "cell",
    ["03/04/2024", "2024-1-5", "20240105", "Jan 2024", "hello", "10000-01-01", "2024-01-01T00:00:00.1234567"],
)
def test_a_date_that_is_not_iso_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=f"line 3, column 'ds': '{cell}' is not a date such as 2024-03-31"):
        read(tmp_path, f"ds,y\n2024-01-01,1\n{cell},2\n")


def test_the_line_of_a_bad_date_is_found_below_dates_that_repeat(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 5, column 'ds': 'x' is not a date"):
        read(tmp_path, "ds,y\n" + "2024-01-01,1\n" * 3 + "x,1\n")


@pytest.mark.parametrize("cell", ["2024-02-30", "2024-13-01", "2024-01-01T25:00", "0000-01-01"])
def test_a_date_that_no_calendar_has_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=f"line 2, column 'ds': '{cell}' is not a date of the calendar"):
        read(tmp_path, f"ds,y\n{cell},2\n")


def test_an_ambiguous_date_is_answered_with_both_its_formats(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"set data.format.time_format, which could be '%d/%m/%Y' or '%m/%d/%Y'"
    ):
        read(tmp_path, "ds,y\n03/04/2024,1\n04/04/2024,1\n")


def test_the_named_time_format_is_used(tmp_path: Path) -> None:
    table = read(tmp_path, "ds,y\n03/04/2024,1\n", form={"time_format": "%d/%m/%Y"})
    assert table["ds"].tolist() == [pd.Timestamp("2024-04-03")]


def test_a_date_in_another_format_than_the_named_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"line 3, .*'13/13/2024' is not written as data.format.time_format '%d/%m/%Y'"
    ):
        read(tmp_path, "ds,y\n01/01/2024,1\n13/13/2024,1\n", form={"time_format": "%d/%m/%Y"})


def test_an_empty_timestamp_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3, column 'ds': the cell is empty"):
        read(tmp_path, "ds,y\n2024-01-01,1\n,2\n")


def test_integers_are_no_dates(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"'1704067200' is not a date.*seconds since 1970.*set data.freq: integer"
    ):
        read(tmp_path, "ds,y\n1704067200,1\n1704070800,2\n")


def test_integers_count_steps_where_the_frequency_says_so(tmp_path: Path) -> None:
    table = read(tmp_path, "ds,y\n7,1\n+8,2\n-1,3\n", freq="integer")
    assert table["ds"].dtype == np.int64
    assert table["ds"].tolist() == [7, 8, -1]


def test_what_is_no_integer_is_refused_under_integer_time(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 3, column 'ds': '2.5' is not an integer"):
        read(tmp_path, "ds,y\n1,1\n2.5,2\n", freq="integer")


def test_an_empty_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="line 3, column 'id': the cell is empty, expected the name of a series"
    ):
        read(tmp_path, "id,ds,y\na,2024-01-01,1\n,2024-01-02,2\n", id="id")


def test_an_absent_column_is_answered_with_the_columns_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no column 'y', which data.target names; .* 'ds', 'Y'\. Did you mean 'Y'\?"
    ):
        read(tmp_path, "ds,Y \n2024-01-01,1\n")


def test_a_repeated_column_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: 2 columns are named 'y'"):
        read(tmp_path, "ds,y,y\n2024-01-01,1,2\n")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("2024-01-01,1,9\n2024-01-02,2,9\n", "line 2: 3 fields, expected 2"),
        ("2024-01-01,1\n2024-01-02,2,9\n", "line 3: 3 fields, expected 2"),
        ("2024-01-01,1\n2024-01-02\n", "line 3: 1 field, expected 2"),
    ],
    ids=["every row", "one long row", "one short row"],
)
def test_rows_of_another_width_than_the_header_are_refused(tmp_path: Path, rows: str, found: str) -> None:
    with pytest.raises(DataError, match=f"data.csv: {found} as in the header"):
        read(tmp_path, "ds,y\n" + rows)


def test_a_file_that_ends_within_a_row_is_said_to_be_broken_off(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="line 3: 1 field, expected 2 as in the header, and the file ends there"
    ):
        read(tmp_path, "ds,y\n2024-01-01,1\n2024-0")
    with pytest.raises(DataError, match="line 2: 1 field, expected 2 as in the header; correct or remove"):
        read(tmp_path, "ds,y\n2024-01-0\n2024-01-02,1\n")


def test_a_quote_that_is_never_closed_is_refused_where_it_opens(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: a quote is opened and never closed"):
        read(tmp_path, 'ds,y,note\n2024-01-01,1,a\n2024-01-02,2,"b\n2024-01-03,3,c\n')


def test_a_quote_inside_an_unquoted_cell_is_a_letter(tmp_path: Path) -> None:
    assert len(read(tmp_path, 'ds,y,note\n2024-01-01,1,5" pipe\n2024-01-02,2,b\n')) == 2


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "the file is empty"),
        ("\n\n\n", "there are only blank lines"),
        ("ds,y\n", "there is a header and no row below it"),
        ("PK\x03\x04", "this is a zip archive"),
    ],
)
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str, found: str) -> None:
    with pytest.raises(DataError, match=f"data.csv: {found}"):
        read(tmp_path, content)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(tmp_path: Path, line_end: str) -> None:
    assert len(read(tmp_path, ("ds,y\n" + DAYS).strip().replace("\n", line_end))) == 3


def test_lines_are_counted_with_the_blank_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 6, column 'y': 'x'"):
        read(tmp_path, "\nds,y\n\n2024-01-01,1\n\n2024-01-02,x\n")


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert len(read(tmp_path, b"\xef\xbb\xbf" + ("ds,y\n" + DAYS).encode())) == 3


def test_bytes_that_are_no_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    content = "ds,y,id\n2024-01-01,1,a\n2024-01-02,1,é\n".encode("latin-1")
    with pytest.raises(
        DataError, match=r"line 3: byte 0xe9 is not utf-8 text \(.*offset 36\); set data.format.encoding"
    ):
        read(tmp_path, content, id="id")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_the_named_encoding_is_used(tmp_path: Path, encoding: str) -> None:
    content = "ds,y,naïve\n2024-01-01,1,é\n".encode(encoding)
    assert read(tmp_path, content, id="naïve", form={"encoding": encoding})["unique_id"].tolist() == ["é"]


def test_utf_16_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"UTF-16 text; set data.format.encoding: utf-16"):
        read(tmp_path, ("ds,y\n" + DAYS).encode("utf-16"))


def test_gzip_is_read_by_its_ending(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(("ds,y\n" + DAYS).encode()), "data.csv.gz")
    assert len(read_table(config(path))) == 3


def test_a_gzip_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(("ds,y\n" + DAYS * 999).encode())[:-20], "data.csv.gz")
    with pytest.raises(DataError, match=r"data.csv.gz: cannot be read: .*check the file"):
        read_table(config(path))


def test_a_gzip_file_without_the_ending_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a gzip file; give it a name that ends in .gz"):
        read(tmp_path, gzip.compress(b"ds,y\n"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.csv: no such file or directory; check the path"):
        read_table(config(tmp_path / "nowhere.csv"))


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no CSV or Parquet file here"):
        read_table(config(tmp_path))


def test_a_device_is_refused_and_not_waited_for() -> None:
    with pytest.raises(DataError, match="/dev/zero: this is no regular file"):
        read_table(config("/dev/zero"))


def test_the_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(("ds,y\n" + DAYS).encode())))
    assert len(read_table(config("-"))) == 3


def test_a_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataError, match="standard input: it is closed"):
        read_table(config("-"))


def test_another_path_than_the_configs_may_be_read(tmp_path: Path) -> None:
    path = written(tmp_path, "ds,y\n" + DAYS, "new.csv")
    assert len(read_table(config("elsewhere.csv"), source=path)) == 3


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    ds = pd.date_range("2024-01-01", periods=3)
    pd.DataFrame({"ds": ds, "y": [1, 2, 3], "id": ["a", "a", "b"]}).to_parquet(tmp_path / "data.parquet")
    table = read_table(config(tmp_path / "data.parquet", id="id"))
    assert table["unique_id"].tolist() == ["a", "a", "b"]
    assert table["y"].tolist() == [1.0, 2.0, 3.0]


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"PAR1 and nothing else", "data.parquet")
    with pytest.raises(DataError, match=r"data.parquet: cannot be read as Parquet"):
        read_table(config(path))


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=3), "y": [1.0, 2.0, 3.0]} | columns)


def test_a_frame_is_read_under_the_users_names() -> None:
    table = read_table(config(id="shop"), source=frame(shop=pd.Categorical(["a", "a", "b"], ["a", "b", ""])))
    assert table["unique_id"].tolist() == ["a", "a", "b"]


def test_a_frame_may_have_our_names_instead() -> None:
    data = config(time="day", target="sales", id="shop")
    table = read_table(data, source=frame(unique_id=["a", "b", "c"]))
    assert table["unique_id"].tolist() == ["a", "b", "c"]


def test_categories_that_no_row_has_do_not_matter() -> None:
    days = ["2024-01-01", "2024-01-02", "2024-01-03"]
    table = read_table(config(), source=frame(ds=pd.Categorical(days, [*days, "never"])))
    assert table["ds"].tolist() == [pd.Timestamp(day) for day in days]


def test_a_time_zone_of_a_frame_is_kept() -> None:
    ds = pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin")
    assert str(read_table(config(), source=frame(ds=ds))["ds"].dtype) == "datetime64[us, Europe/Berlin]"


@pytest.mark.parametrize(
    "y",
    [
        [1, 2, 3],
        [True, False, True],
        ["1", "2", "3"],
        [decimal.Decimal(1), decimal.Decimal(2), decimal.Decimal(3)],
        pd.array([1, None, 3], dtype="Int64"),
        [None, None, None],
    ],
    ids=["int", "bool", "text", "decimal", "masked", "nothing"],
)
def test_numbers_of_a_frame_become_float64(y: Any) -> None:
    assert read_table(config(), source=frame(y=y))["y"].dtype == np.float64


def test_dates_of_a_frame_become_timestamps() -> None:
    days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
    assert read_table(config(), source=frame(ds=days))["ds"].tolist() == [pd.Timestamp(day) for day in days]


@pytest.mark.parametrize(
    ("columns", "settings", "found"),
    [
        ({"ds": [1, 2, 3]}, {}, "column 'ds': type int64 is no time"),
        ({"ds": [0.5, 1.5, 2.5]}, {"freq": "integer"}, "column 'ds': type double is not integer"),
        ({"y": ["1", "x", "3"]}, {}, "row 2, column 'y': 'x' is not a number"),
        ({"y": [2**53 + 1] * 3}, {}, "column 'y': there are int64 values beyond 2\\^53"),
        ({"y": pd.date_range("2024-01-01", periods=3)}, {}, "column 'y': type timestamp.* is not numeric"),
        ({"y": pd.Series([1, "a", 3], dtype=object)}, {}, "a column holds values of different types"),
        ({"ds": np.array([2**63] * 3, np.uint64)}, {"freq": "integer"}, "column 'ds': cannot be converted"),
        ({"id": [1.0, 2.0, 3.0]}, {"id": "id"}, "column 'id': type double cannot name series"),
        (
            {"ds": pd.DatetimeIndex(["2024-01-01", pd.NaT, "2024-01-03"])},
            {},
            "row 2, column 'ds': the cell is empty",
        ),
    ],
)
def test_a_frame_column_of_the_wrong_kind_is_refused(columns: Any, settings: Any, found: str) -> None:
    with pytest.raises(DataError, match=f"DataFrame: {found}"):
        read_table(config(**settings), source=frame(**columns))


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(DataError, match="DataFrame: there is no row"):
        read_table(config(), source=frame().iloc[:0])


def test_a_covariate_may_not_take_one_of_our_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the covariate 'y' has a name with a meaning of its own"):
        read(tmp_path, "ds,y,load\n2024-01-01,1,2\n", target="load", covariates=CovariatesConfig(past=["y"]))


def test_a_row_is_placed_at_its_line_in_a_csv_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'ds,y\n\n2024-01-01,1\n2024-01-02,"\n2"\n2024-01-03,3\n')
    assert [place_of(config(path), str(path), row) for row in range(3)] == ["line 3", "line 4", "line 6"]


def test_a_row_is_placed_by_its_number_elsewhere() -> None:
    assert place_of(config(), "DataFrame", 4) == "row 5"


def test_unix_time_is_read_in_its_unit_and_is_utc(tmp_path: Path) -> None:
    for unit, count in (("s", "1704067200"), ("ms", "1704067200000"), ("us", "1704067200000000")):
        table = read(tmp_path, f"ds,y\n{count},1\n", form={"unit": unit})
        assert table["ds"].tolist() == [pd.Timestamp("2024-01-01", tz="UTC")]


def test_unix_nanoseconds_are_read_to_the_microsecond_and_no_finer(tmp_path: Path) -> None:
    table = read(tmp_path, "ds,y\n1704067200000001000,1\n", form={"unit": "ns"})
    assert table["ds"].tolist() == [pd.Timestamp("2024-01-01 00:00:00.000001", tz="UTC")]
    with pytest.raises(
        DataError, match="line 2, column 'ds': '1704067200000000001' is finer than a microsecond"
    ):
        read(tmp_path, "ds,y\n1704067200000000001,1\n", form={"unit": "ns"})


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("1.5", "'1.5' is not an integer, as data.format.unit expects"),
        ("9999999999999", "as s since 1970 leaves the years 1 to 9999"),
        ("", "the cell is empty"),
    ],
)
def test_what_is_no_unix_time_is_refused_with_its_line(tmp_path: Path, cell: str, problem: str) -> None:
    with pytest.raises(DataError, match=f"line 3, column 'ds': .*{problem}|line 3, column 'ds': {problem}"):
        read(tmp_path, f"ds,y\n1704067200,1\n{cell},1\n", form={"unit": "s"})


def test_local_times_are_on_the_clock_of_their_zone(tmp_path: Path) -> None:
    table = read(tmp_path, "ds,y\n2024-07-01 12:00,1\n", form={"timezone": "Europe/Berlin"})
    assert table["ds"].tolist() == [pd.Timestamp("2024-07-01 10:00", tz="UTC")]
    assert str(table["ds"].dt.tz) == "Europe/Berlin"


def test_times_with_a_zone_are_converted(tmp_path: Path) -> None:
    table = read(tmp_path, "ds,y\n2024-07-01 12:00Z,1\n", form={"timezone": "Europe/Berlin"})
    assert table["ds"].astype(str).tolist() == ["2024-07-01 14:00:00+02:00"]


@pytest.mark.parametrize(
    ("cell", "problem"), [("2024-03-31 02:30", "does not exist"), ("2024-10-27 02:30", "is there twice")]
)
def test_an_hour_that_daylight_saving_skips_or_repeats_is_refused(
    tmp_path: Path, cell: str, problem: str
) -> None:
    with pytest.raises(DataError, match=f"line 3, .*{problem} on the clock of Europe/Berlin") as caught:
        read(tmp_path, f"ds,y\n2024-01-01 00:00,1\n{cell},1\n", form={"timezone": "Europe/Berlin"})
    assert caught.value.code == "T314"


def test_iso_weeks_and_quarters_are_their_first_days(tmp_path: Path) -> None:
    weeks = read(tmp_path, "ds,y\n2024-W01,1\n2024-W05,1\n2020W53,1\n")["ds"]
    assert weeks.dt.strftime("%Y-%m-%d").tolist() == ["2024-01-01", "2024-01-29", "2020-12-28"]
    quarters = read(tmp_path, "ds,y\n2024Q1,1\n2024-Q4,1\nQ2 2024,1\n")["ds"]
    assert quarters.dt.strftime("%Y-%m-%d").tolist() == ["2024-01-01", "2024-10-01", "2024-04-01"]


def test_blanks_around_names_dates_and_numbers_are_no_part_of_them(tmp_path: Path) -> None:
    table = read(tmp_path, "id, ds , y\n a , 2024-01-01 , 7 \nb,2024-01-02,  \n", id="id")
    assert table["unique_id"].tolist() == [" a ", "b"]
    assert table["y"].iloc[0] == 7
    assert np.isnan(table["y"].iloc[1])


def test_a_name_that_the_config_spells_with_its_blanks_is_found(tmp_path: Path) -> None:
    assert read(tmp_path, "ds, y\n2024-01-01,7\n", target=" y")["y"].tolist() == [7]
