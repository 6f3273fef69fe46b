"""A file read in blocks gives what the same file gives at once, and the same words about what is wrong in it."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from test_read import config, written

from tsforecast.errors import DataError, TsforecastError
from tsforecast.series import csvfile, gather, sources, stretches
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.gather import Gathered
from tsforecast.series.panel import Panel, data_hash
from tsforecast.series.read import read_table

# Sizes so small that a file of some lines has many blocks, and series and spellings lie across their borders.
TINY = {
    (csvfile, "BLOCK"): 128,
    (gather, "FIRST_ROWS"): 1,
    (gather, "FEW_SPELLINGS"): 2,
    (gather, "MOST_WAITING"): 2,
    (sources, "ROWS_AT_ONCE"): 3,
    (stretches, "STRETCH"): 4,
}
N_SERIES, N_STEPS = 5, 40


@pytest.fixture
def tiny_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        make_tiny(patch)
        yield


def make_tiny(patch: pytest.MonkeyPatch) -> None:
    for (module, name), size in TINY.items():
        patch.setattr(module, name, size)


def long_frame() -> pd.DataFrame:
    """Hourly series with names that quotes are needed for, one after the other, and a column nobody reads."""
    names = ["a", "b, of two", 'c "cited"', "d\nin two lines", "ä"]
    return pd.DataFrame(
        {
            "id": np.repeat(names, N_STEPS),
            "note": np.tile(["", "x,y", 'say "no"', "one\ntwo", "plain"], N_STEPS),
            "ds": np.tile(pd.date_range("2024-02-28", periods=N_STEPS, freq="h").astype(str), N_SERIES),
            "y": np.arange(N_SERIES * N_STEPS) / 8 - 3,
        }
    )


ORDERS = {
    "one after the other": lambda frame: frame,
    "by time": lambda frame: frame.sort_values(["ds", "id"], kind="stable"),
    "by time, backwards": lambda frame: frame.iloc[::-1].sort_values("ds", ascending=False, kind="stable"),
    "descending": lambda frame: frame.iloc[::-1],
    "shuffled": lambda frame: frame.sample(frac=1, random_state=0),
}


def panel_of(path: Path, **settings: Any) -> Panel:
    data = config(path, id="id", **settings)
    return panel_from_table(read_table(data), data)[0]


def csv_of(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("order", ORDERS)
def test_the_table_of_many_blocks_is_the_one_pandas_reads(tmp_path: Path, order: str) -> None:
    path = written(tmp_path, csv_of(ORDERS[order](long_frame())))

    table = read_table(config(path, id="id"))

    expected = pd.read_csv(path, parse_dates=["ds"])
    assert table["unique_id"].tolist() == expected["id"].tolist()
    assert table["ds"].tolist() == expected["ds"].tolist()
    assert table["y"].tolist() == expected["y"].tolist()


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("order", ORDERS)
def test_the_panel_does_not_depend_on_the_order_of_the_rows(tmp_path: Path, order: str) -> None:
    panel = panel_of(written(tmp_path, csv_of(ORDERS[order](long_frame()))))

    assert panel.axis.freq == "h"
    assert panel.unique_ids == tuple(sorted(long_frame()["id"].unique()))
    assert panel.offsets.tolist() == [N_STEPS * k for k in range(N_SERIES + 1)]
    assert panel.y.tolist() == long_frame()["y"].tolist()  # the names are in order


COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstandard.compress}


@pytest.mark.parametrize("kind", [*COMPRESS, "folder", "parquet", "stdin"])
@pytest.mark.parametrize("order", ["by time", "shuffled"])
def test_every_source_gives_in_blocks_what_the_plain_file_gives_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, order: str
) -> None:
    frame = ORDERS[order](long_frame())
    expected = panel_of(written(tmp_path, csv_of(frame)))
    make_tiny(monkeypatch)
    path = tmp_path / f"other.csv{kind}"
    if kind in COMPRESS:
        path.write_bytes(COMPRESS[kind](csv_of(frame)))
    elif kind == "folder":
        path = tmp_path / "parts"
        path.mkdir()
        for k in range(4):
            written(path, csv_of(frame.iloc[50 * k : 50 * (k + 1)]), f"part-{k}.csv")
    elif kind == "parquet":
        path = tmp_path / "other.parquet"
        table = pa.Table.from_pandas(frame.assign(ds=pd.to_datetime(frame["ds"])), preserve_index=False)
        pq.write_table(table, path, row_group_size=17)
    else:
        path = Path("-")
        monkeypatch.setattr(sources, "KEPT", 1000)  # the rest goes to a file
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(csv_of(frame))))

    assert data_hash(panel_of(path)) == data_hash(expected)


def test_no_block_holds_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, csv_of(long_frame()))
    make_tiny(monkeypatch)
    sizes, add = [], Gathered.add
    monkeypatch.setattr(Gathered, "add", lambda self, block: (sizes.append(block.num_rows), add(self, block)))

    read_table(config(path, id="id"))

    assert sum(sizes) == N_SERIES * N_STEPS
    assert max(sizes) < 10


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b,", 'c"', "d\n", "NA", " e"]),
        st.integers(0, 10_000),
        st.one_of(st.none(), st.floats(-1e6, 1e6)),
        st.text('xy,"\n ;', max_size=12),
    ),
    min_size=1,
    max_size=40,
)


@given(rows=ROWS, clock=st.sampled_from(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M+02:00"]))
def test_rows_of_any_kind_are_read_alike_in_blocks(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, float | None, str]], clock: str
) -> None:
    path = tmp_path_factory.mktemp("rows") / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "note", "ds", "y"])
        for name, hour, y, note in rows:
            ds = (pd.Timestamp("2024-01-01") + pd.Timedelta(hours=hour)).strftime(clock)
            writer.writerow([name, note, ds, "" if y is None else y])
    data = config(path, id="id")
    whole = read_table(data)

    with pytest.MonkeyPatch.context() as patch:
        make_tiny(patch)
        pd.testing.assert_frame_equal(read_table(data), whole)
    assert whole["unique_id"].tolist() == [row[0] for row in rows]


FAULTS = {
    "a number": ("a,x,{ds},1.5x", "line {line}, column 'y': '1.5x' is not a number"),
    "a date": ("a,x,31/12/2024,1", "line {line}, column 'ds': '31/12/2024' is not a date"),
    "a date that is none": ("a,x,2024-02-30 00:00:00,1", "line {line}, column 'ds': '2024-02-30 00:00:00'"),
    "no date": ("a,x,,1", "line {line}, column 'ds': the cell is empty"),
    "a zone": ("a,x,{ds}Z,1", "line {line}, column 'ds': .* with and without a time zone"),
    "no name": (",x,{ds},1", "line {line}, column 'id': the cell is empty"),
    "a field more": ("a,x,{ds},1,2", "line {line}: 5 fields, expected 4"),
    "a byte": ("a\udcff,x,{ds},1", "line {line}: byte 0xff is not utf-8 text"),
    "an infinite value": ("zz,x,{ds},inf", "line {line}: series 'zz': the value .* is infinite"),
    "no value": ("a,x,{ds},", "line {line}: series 'a': no value of 'y' at"),
    "a gap": (
        "a,x,2024-02-29 18:00:00,1",
        "line {line}: series 'a': 2 steps missing after 2024-02-29 15:00:00",
    ),
    "a date off the grid": (
        "a,x,2024-02-29 15:30:00,1",
        "line {line}: series 'a': 2024-02-29 15:30:00 is not a step",
    ),
    "a second row": ("a,x,2024-02-28 00:00:00,1", "line {line}: series 'a': a second row"),
}


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_late_block_is_told_with_its_line(tmp_path: Path, fault: str) -> None:
    row, message = FAULTS[fault]
    content = csv_of(ORDERS["by time"](long_frame()))
    line = 1 + content.count(b"\n")
    late = row.format(ds="2024-02-29 16:00:00").encode("utf-8", "surrogateescape")
    path = written(tmp_path, content + late + b"\n" + b"b,x,2024-02-29 16:00:00,1\n")

    with pytest.raises(DataError, match=message.format(line=line)):
        panel_of(path)


FIRST = (
    *("2024-01-01", "2024-01-01 00", "2024-01-01 00:00", "2024-01-01T00:00:00", "2024-01-01T00:00:00Z"),
    *("2024-01-01 00:00:00.123456", "0001-01-01"),
)
SECOND = (
    *("2024-01-02", "2024-01-02 24:00", "2024-01-02 23:59:60", "2024-02-30", "2024-01", "2024", "20240102"),
    *("0000-01-01", "2024-01-02Z", "2024-01-02T00Z", "2024-01-02T00:00Z", "2024-01-02T00:00+00:00"),
    *(
        "2024-01-02T00:00:00+02:00",
        "2024-01-02T00:00:00.1234567",
        "2024-01-02T00:00:00.1230000",
        " 2024-01-02",
    ),
    *("2024-01-02 ", "NA", "", "2024-01-02 1:00", "2024-W01", "-2024-01-02", "+2024-01-02", "10000-01-01"),
    *(
        "2024/01/02",
        '"2024-01-02"',
        "2024-01-02t00:00",
        "2024-1-2",
        "9999-12-31 23:59:59",
        "2024-01-02T000000",
    ),
)


@pytest.mark.parametrize("first", FIRST)
def test_the_quick_way_to_read_dates_reads_no_other_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    def found(second: str) -> object:
        data = config(written(tmp_path, f"ds,y\n{first},1\n{second},2\n"))
        try:
            ds = read_table(data)["ds"]
        except TsforecastError as error:
            return str(error)
        return ds.tolist(), ds.dtype

    quick = [found(second) for second in SECOND]
    monkeypatch.setattr(csvfile, "_kind_of_moments", lambda *_: None)

    assert quick == [found(second) for second in SECOND]


@pytest.mark.parametrize(("end", "zone"), [("", None), ("Z", "UTC")])
def test_plain_dates_need_no_text(tmp_path: Path, end: str, zone: str | None) -> None:
    path = written(tmp_path, f"ds,y\n2024-01-01T00:00{end},1\n2024-01-01T01:00{end},2\n")

    (part,) = sources.read_parts(str(path), config(path))

    assert part.table.column("ds").type == pa.timestamp("us", zone)


# --- the columns by themselves ---------------------------------------------------------------------------------


def gathered(kind: Any, *blocks: list[Any]) -> list[Any]:
    table = Gathered(pa.schema([("x", kind)]))
    for block in blocks:
        table.add(pa.record_batch({"x": pa.array(block, kind)}))
    values: list[Any] = table.table().column("x").to_pylist()
    return values


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_keeps_its_order_and_what_is_missing(kind: Any) -> None:
    blocks = [["b", None, "a"], ["c", "a"], [], [None], ["d", "b", "d", "e"], ["a"]]

    assert gathered(kind, *blocks) == [cell for block in blocks for cell in block]


@pytest.mark.usefixtures("tiny_blocks")
def test_spellings_are_kept_in_the_order_of_their_first_row() -> None:
    table = Gathered(pa.schema([("x", pa.string())]))
    for first, second in product("zya", "bz"):
        table.add(pa.record_batch({"x": [first, second]}))

    assert table.table().column("x").chunk(0).dictionary.to_pylist() == ["z", "b", "y", "a"]


def test_a_missing_number_is_nan() -> None:
    values = gathered(pa.float64(), [1.5, None], [None, 2.5])

    assert np.array_equal(values, [1.5, np.nan, np.nan, 2.5], equal_nan=True)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("us"), pa.timestamp("ns"), pa.date32(), pa.int64(), pa.bool_()]
)
def test_other_types_come_out_as_they_went_in(kind: Any) -> None:
    block = pa.array([1, 0], pa.int64()).cast(kind if pa.types.is_boolean(kind) else pa.int64())
    ones = (
        block if pa.types.is_boolean(kind) else pa.array([1, 0], kind if kind != pa.date32() else pa.int32())
    )
    ones = ones.cast(kind).to_pylist()

    assert gathered(kind, ones, [None], ones) == [*ones, None, *ones]
