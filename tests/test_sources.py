"""Where tables come from: files, compressed or many, the standard input and remote files."""

from __future__ import annotations

import bz2
import functools
import gzip
import importlib.util
import io
import os
import random
import threading
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from test_read import DAYS, config, written

from tsforecast.config.location import REMOTES
from tsforecast.errors import ConfigError, DataError, ResourceError, StoppedError
from tsforecast.series import memory, sources
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.read import place_of, read_table
from tsforecast.series.sources import is_read

CSV = ("ds,y\n" + DAYS).encode()
MARCH = b"ds,y\n2024-03-01,7\n2024-03-02,8\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two CSV files whose names are in another order than they were written."""
    written(tmp_path, MARCH, "b.csv")
    written(tmp_path, CSV, "a.csv")
    return tmp_path


@pytest.fixture
def bucket() -> Iterator[Any]:
    """Files of the in-memory back-end of fsspec."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with so little memory that a megabyte is too much."""
    monkeypatch.setattr(memory, "_sizes", lambda: [400_000])
    monkeypatch.setattr(memory, "_free", lambda: [100_000])
    monkeypatch.setattr(sources, "_space_for_files", lambda: 200_000)


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


# --- one file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "compress"),
    [(".gz", gzip.compress), (".GZ", gzip.compress), (".bz2", bz2.compress), (".zst", zstandard.compress)],
)
def test_a_compressed_file_is_read_by_its_ending(tmp_path: Path, ending: str, compress: Any) -> None:
    path = written(tmp_path, compress(CSV), f"data.csv{ending}")

    assert read_table(config(path))["y"].tolist() == [1, 2.5, -300]


@pytest.mark.parametrize(
    ("compress", "found"),
    [
        (gzip.compress, "a gzip file; give it a name that ends in .gz"),
        (bz2.compress, "a bzip2 file; give it a name that ends in .bz2"),
        (zstandard.compress, "a Zstandard file; give it a name that ends in .zst"),
    ],
)
def test_a_compressed_file_with_the_wrong_ending_is_refused(
    tmp_path: Path, compress: Any, found: str
) -> None:
    with pytest.raises(DataError, match=f"data.csv: this is {found}"):
        read_table(config(written(tmp_path, compress(CSV))))


@pytest.mark.parametrize("ending", [".gz", ".zst", ".bz2"])
def test_plain_text_with_the_ending_of_a_compressed_file_is_refused(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path, CSV, f"data.csv{ending}")

    with pytest.raises(DataError, match=r"cannot be read: .*check the file"):
        read_table(config(path))


@pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_a_compressed_file_that_ends_early_is_refused(tmp_path: Path, ending: str, compress: Any) -> None:
    random.seed(1)
    rows = "".join(f"2024-01-01,{random.random()}\n" for _ in range(999))
    path = written(tmp_path, compress(("ds,y\n" + rows).encode())[:-200], f"data.csv{ending}")

    with pytest.raises(DataError, match=f"data.csv{ending}: cannot be read"):
        read_table(config(path))


@pytest.mark.parametrize("names", [(), ("a.csv",), ("a.csv", "b.csv")], ids=len)
def test_a_zip_archive_is_refused_whatever_it_holds(tmp_path: Path, names: tuple[str, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "data.csv", "w") as archive:
        for name in names:
            archive.writestr(name, CSV)

    with pytest.raises(DataError, match="zip archive"):
        read_table(config(tmp_path / "data.csv"))


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize("line_end", [b"\n", b""], ids=["lines", "one line"])
@pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_a_file_that_decompresses_without_end_is_refused(
    tmp_path: Path, ending: str, compress: Any, line_end: bytes
) -> None:
    path = written(
        tmp_path, compress(b"ds,y\n" + (b"2024-01-01,1" + line_end) * 500_000), f"bomb.csv{ending}"
    )

    with pytest.raises(DataError, match=r"decompresses to more than 0.00\d* GB, a quarter of the memory"):
        read_table(config(path))


def test_a_plain_file_is_read_however_small_the_memory(tmp_path: Path, small_memory: None) -> None:
    rows = b"".join(b"2024-01-01,%d\n" % k for k in range(20_000))

    assert len(read_table(config(written(tmp_path, b"ds,y\n" + rows)))) == 20_000


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "zeros.csv"
    with path.open("wb") as file:
        file.truncate(1 << 36)  # a sparse file: no disk, 64 GB to read

    with pytest.raises(DataError, match=r"zeros.csv: line 1 has 20000000 characters or more"):
        read_table(config(path))


def test_mixed_line_ends_without_a_last_one_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"ds,y\r\n2024-01-01,1\n2024-01-02,2\r\n2024-01-03,3")

    assert read_table(config(path))["y"].tolist() == [1, 2, 3]


def test_a_row_may_have_ten_megabytes(tmp_path: Path) -> None:
    path = written(tmp_path, b"ds,y,note\n2024-01-01,1,\n2024-01-02,2," + b"x" * 10_000_000 + b"\n")
    assert read_table(config(path))["y"].tolist() == [1, 2]


def test_a_link_that_leads_nowhere_is_refused_with_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "data.csv").symlink_to("gone.csv")

    with pytest.raises(DataError, match=r"data.csv: no such file or directory, which leads to 'gone.csv'"):
        read_table(config(tmp_path / "data.csv"))


def test_a_link_to_a_file_is_read(folder: Path) -> None:
    (folder / "link.csv").symlink_to("a.csv")

    assert len(read_table(config(folder / "link.csv"))) == 3


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.csv")

    with pytest.raises(DataError, match=r"data.csv: this is no regular file"):
        read_table(config(tmp_path / "data.csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="needs non-root: root may read every file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, CSV)
    path.chmod(0)

    with pytest.raises(DataError, match="permission denied"):
        read_table(config(path))


# --- a file that changes meanwhile ------------------------------------------------------------------------------


class Writer:
    """Appends to a file whenever it has been read, a number of times."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, times: int, content: str) -> None:
        self.path, self.left, self.content = path, times, content
        self.read = sources.read_columns
        monkeypatch.setattr(sources, "read_columns", self)

    def __call__(self, *args: Any, **settings: Any) -> Any:
        if self.left:
            self.left -= 1
            with self.path.open("a") as file:
                file.write(self.content)
        return self.read(*args, **settings)


def test_a_file_that_grew_while_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, CSV)
    Writer(path, monkeypatch, times=1, content="2024-01-04,4\n")

    assert len(read_table(config(path))) == 4


def test_half_a_row_of_a_writer_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, CSV)
    read = sources.read_columns

    def read_while_it_is_written(*args: Any, **settings: Any) -> Any:
        monkeypatch.setattr(sources, "read_columns", read)
        path.write_bytes(CSV + b"2024-01-04")
        try:
            return read(*args, **settings)
        finally:
            path.write_bytes(CSV + b"2024-01-04,4\n")

    monkeypatch.setattr(sources, "read_columns", read_while_it_is_written)
    assert read_table(config(path))["y"].tolist() == [1, 2.5, -300, 4]


def test_a_file_that_keeps_growing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, CSV)
    Writer(path, monkeypatch, times=9, content="2024-01-04,4\n")

    with pytest.raises(DataError, match=r"data.csv: changed while it was read, 2 times; wait"):
        read_table(config(path))


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, CSV)
    before = path.stat()
    read = sources.read_columns

    def replaced(*args: Any, **settings: Any) -> Any:
        monkeypatch.setattr(sources, "read_columns", read)
        table = read(*args, **settings)
        written(tmp_path, CSV.replace(b"2.5", b"9.5"), "new.csv").replace(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return table

    monkeypatch.setattr(sources, "read_columns", replaced)
    assert read_table(config(path))["y"].tolist() == [1, 9.5, -300]


# --- folders and patterns ---------------------------------------------------------------------------------------


def test_a_folder_is_read_in_the_order_of_the_names(folder: Path) -> None:
    table = read_table(config(folder))

    assert table["y"].tolist() == [1, 2.5, -300, 7, 8]
    assert table.index.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("pattern", ["*.csv", "?.csv", "[ab].csv", "**/*.csv", "*"])
def test_a_pattern_is_read_as_a_folder_is(folder: Path, pattern: str) -> None:
    assert read_table(config(folder / pattern))["y"].tolist() == [1, 2.5, -300, 7, 8]


def test_a_pattern_reaches_into_folders(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"month=1/day={day}").mkdir(parents=True)
        parquet(tmp_path / f"month=1/day={day}/part-0.parquet", ds=[pd.Timestamp(2024, 1, day)], y=[day])

    assert read_table(config(tmp_path / "**/part-*.parquet"))["y"].tolist() == [1, 2]


def test_plain_and_compressed_files_stand_together(folder: Path) -> None:
    written(folder, gzip.compress(b"ds,y\n2024-04-01,9\n"), "c.csv.gz")

    assert read_table(config(folder))["y"].tolist()[-2:] == [8, 9]


@pytest.mark.parametrize("name", [".hidden.csv", "_SUCCESS.csv", "README.md", "notes.txt", "a.csv.tmp"])
@pytest.mark.parametrize("pattern", ["", "*"])
def test_hidden_files_and_what_is_no_data_are_passed_over(folder: Path, name: str, pattern: str) -> None:
    written(folder, b"nothing to read", name)
    (folder / "older.csv").mkdir()

    assert len(read_table(config(folder / pattern))) == 5


def test_an_ending_that_the_pattern_spells_out_is_data(tmp_path: Path) -> None:
    written(tmp_path, CSV, "a.txt")

    assert len(read_table(config(tmp_path / "*.txt"))) == 3


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder: Path) -> None:
    written(folder, MARCH, "[ab].csv")

    assert len(read_table(config(folder / "[ab].csv"))) == 2


@pytest.mark.parametrize("path", ["", "*.csv", "gone/*.csv", "**/*.parquet"])
def test_nothing_to_read_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="there is no CSV or Parquet file here"):
        read_table(config(tmp_path / path))


def test_csv_and_parquet_together_are_refused(folder: Path) -> None:
    parquet(folder / "c.parquet", ds=[pd.Timestamp("2024-01-01")], y=[1])

    with pytest.raises(DataError, match=r"c.parquet: stands beside .*a.csv; expected files of one format"):
        read_table(config(folder))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"ds,z\n2024-01-01,1\n", "there is no column 'y' and there is a further column 'z'"),
        (b"ds,y,z\n2024-01-01,1,2\n", "there is a further column 'z'"),
        (b"ds;y\n2024-01-01;1\n", "the columns are separated by ';', and by ',' in"),
        (b"", "the file is empty"),
    ],
    ids=["other", "more", "separator", "empty"],
)
def test_a_file_that_is_laid_out_otherwise_is_refused_by_its_name(
    folder: Path, content: bytes, found: str
) -> None:
    written(folder, content, "c.csv")

    with pytest.raises(DataError, match=f"c.csv: {found}"):
        read_table(config(folder))


def test_columns_may_stand_in_another_order(folder: Path) -> None:
    written(folder, b"y,ds\n9,2024-04-01\n", "c.csv")

    assert read_table(config(folder))["y"].tolist()[-1] == 9


def test_the_decimal_mark_of_one_file_holds_for_all(tmp_path: Path) -> None:
    written(tmp_path, b"ds;y\n2024-01-01;1\n", "a.csv")
    written(tmp_path, b"ds;y\n2024-01-02;1,5\n", "b.csv")

    assert read_table(config(tmp_path))["y"].tolist() == [1, 1.5]


def test_another_decimal_mark_is_refused_with_file_and_line(tmp_path: Path) -> None:
    written(tmp_path, b"ds;y\n2024-01-01;1,5\n", "a.csv")
    written(tmp_path, b"ds;y\n2024-01-02;1.5\n", "b.csv")

    with pytest.raises(DataError, match=r"b.csv: line 2, column 'y': '1.5' is not a number"):
        read_table(config(tmp_path))


def test_a_file_without_rows_stands_beside_others(folder: Path) -> None:
    written(folder, b"ds,y\n", "aa.csv")

    assert len(read_table(config(folder))) == 5


def test_files_that_all_have_no_row_are_refused(tmp_path: Path) -> None:
    written(tmp_path, b"ds,y\n", "a.csv")
    written(tmp_path, b"ds,y\n", "b.csv")

    with pytest.raises(DataError, match="there is a header and no row below it"):
        read_table(config(tmp_path))


def test_a_fault_is_found_in_its_file_and_line(folder: Path) -> None:
    written(folder, b"ds,y\n\n2024-04-01,1\nApril,2\n", "c.csv")

    with pytest.raises(DataError, match=r"c.csv: line 4, column 'ds': 'April' is not a date"):
        read_table(config(folder))


def test_a_finding_is_placed_in_its_file_and_line(folder: Path) -> None:
    written(folder, b"ds,y\n2024-03-01,1\n", "c.csv")
    data = config(folder, freq="D")

    with pytest.raises(DataError, match=r"c.csv, line 2: series 'y': .*2024-03-01"):
        panel_from_table(read_table(data), data)


def test_rows_are_placed_in_their_files(folder: Path) -> None:
    places = [place_of(config(folder), str(folder), row) for row in (0, 2, 3, 4)]

    assert places == [
        *(f"{folder}/a.csv, line {k}" for k in (2, 4)),
        *(f"{folder}/b.csv, line {k}" for k in (2, 3)),
    ]


def test_rows_of_parquet_files_are_counted_in_their_files(tmp_path: Path) -> None:
    for name in "ab":
        parquet(tmp_path / f"{name}.parquet", ds=pd.date_range("2024-01-01", periods=2), y=[1, 2])

    assert place_of(config(tmp_path), str(tmp_path), 3) == f"{tmp_path}/b.parquet, row 2"


def test_an_output_may_not_be_one_of_the_files_that_are_read(folder: Path) -> None:
    assert is_read(str(folder), folder / "b.csv")
    assert is_read(str(folder / "*.csv"), folder / "a.csv")
    assert not is_read(str(folder), folder / "c.csv")


# --- Parquet ----------------------------------------------------------------------------------------------------

DAY = pd.Timestamp("2024-01-01")
SHOP = pa.array(["a"])


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        (SHOP.dictionary_encode(), "a"),
        (SHOP.cast(pa.large_string()), "a"),
        (pa.array([1]).dictionary_encode(), "1"),
        (pa.array(["a"], pa.large_string()).dictionary_encode(), "a"),
    ],
    ids=["dictionary", "large", "integers", "large dictionary"],
)
def test_ids_of_a_parquet_file_are_text(tmp_path: Path, ids: Any, name: str) -> None:
    path = parquet(tmp_path / "a.parquet", ds=[DAY], y=[1.0], shop=ids)

    assert read_table(config(path, id="shop"))["unique_id"].tolist() == [name]


@pytest.mark.parametrize(
    "y",
    [
        pa.array([Decimal("2.50")]),
        pa.array([Decimal("2.5")], pa.decimal256(60, 10)),
        pa.array([2.5], pa.float16()),
        pa.array([2.5], pa.float32()),
        pa.array([2.5]).dictionary_encode(),
        pa.array(["2.5"]),
    ],
    ids=["decimal", "decimal256", "half", "single", "dictionary", "text"],
)
def test_numbers_of_a_parquet_file_are_converted(tmp_path: Path, y: Any) -> None:
    path = parquet(tmp_path / "a.parquet", ds=[DAY], y=y)

    assert read_table(config(path))["y"].tolist() == [2.5]


@pytest.mark.parametrize(
    "y",
    [
        pa.array([[1.0]]),
        pa.array([{"value": 1.0}]),
        pa.array([b"1"]),
        pa.array(pd.period_range("2024-01", periods=1, freq="M")),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
        pa.array([np.timedelta64(1, "s")]),
    ],
    ids=["list", "struct", "bytes", "period", "uuid", "duration"],
)
def test_a_parquet_column_that_holds_no_numbers_is_refused(tmp_path: Path, y: Any) -> None:
    path = parquet(tmp_path / "a.parquet", ds=[DAY], y=y)

    with pytest.raises(DataError, match=r"a.parquet: column 'y': .*(is not numeric|cannot be converted)"):
        read_table(config(path))


def test_a_period_is_no_integer_time(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet", ds=pa.array(pd.period_range("2024-01", periods=1, freq="M")), y=[1]
    )

    with pytest.raises(DataError, match=r"column 'ds': type .*period.* is not integer"):
        read_table(config(path, freq="integer"))


def test_a_parquet_file_without_row_groups_is_refused(tmp_path: Path) -> None:
    pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("ds", pa.date32()), ("y", pa.float64())])).close()

    with pytest.raises(DataError, match=r"a.parquet: there is no row"):
        read_table(config(tmp_path / "a.parquet"))


def test_a_damaged_parquet_file_is_refused_or_read(tmp_path: Path) -> None:
    content = parquet(
        tmp_path / "a.parquet", ds=pd.date_range("2024-01-01", periods=50), y=range(50)
    ).read_bytes()
    draw, damaged = random.Random(1), tmp_path / "damaged.parquet"
    refused = 0
    for _ in range(150):
        bytes_ = bytearray(content)
        for _ in range(3):
            bytes_[draw.randrange(len(bytes_) // 2, len(bytes_))] = draw.randrange(256)
        damaged.write_bytes(bytes_[: draw.choice([len(bytes_), draw.randrange(len(bytes_))])])
        try:
            read_table(config(damaged))
        except DataError:
            refused += 1
    assert refused > 75


def test_a_parquet_file_of_too_many_equal_rows_is_refused(tmp_path: Path, small_memory: None) -> None:
    path = parquet(tmp_path / "a.parquet", ds=[DAY] * 10_000, y=np.zeros(10_000))

    with pytest.raises(ResourceError, match=r"a.parquet: about 10,000 rows or more take 0.0004 GB of memory"):
        read_table(config(path))


def test_integers_and_floats_of_parquet_files_stand_together(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", ds=[DAY], y=[1])
    parquet(tmp_path / "b.parquet", ds=[DAY], y=[1.5])

    assert read_table(config(tmp_path))["y"].tolist() == [1, 1.5]


def test_other_types_in_a_parquet_file_are_refused_by_its_name(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", ds=[DAY], y=[1])
    parquet(tmp_path / "b.parquet", ds=[DAY], y=["x"])

    with pytest.raises(DataError, match=r"b.parquet: the columns have other types than in .*a.parquet"):
        read_table(config(tmp_path))


def test_integers_that_no_float_can_hold_are_refused_beside_floats(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", ds=[DAY], y=[1.5])
    parquet(tmp_path / "b.parquet", ds=[DAY], y=[2**53 + 1])

    with pytest.raises(DataError, match=r"do not fit together: .*9007199254740993"):
        read_table(config(tmp_path))


# --- the standard input -----------------------------------------------------------------------------------------


def pipe_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress, bz2.compress])
def test_the_standard_input_may_be_compressed(monkeypatch: pytest.MonkeyPatch, compress: Any) -> None:
    pipe_in(monkeypatch, compress(CSV))

    assert len(read_table(config("-"))) == 3


def test_a_fault_in_the_standard_input_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"ds,y\n2024-01-01,1\nx,2\n")

    with pytest.raises(DataError, match="standard input: line 3, column 'ds'"):
        read_table(config("-"))


@pytest.mark.usefixtures("small_memory")
def test_a_standard_input_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"0" * 1_000_000)

    with pytest.raises(DataError, match=r"standard input: gives more than 0.0001 GB"):
        read_table(config("-"))


# --- remote files -----------------------------------------------------------------------------------------------


def test_a_remote_file_is_read(bucket: Any) -> None:
    bucket.pipe("/sales/a.csv", CSV)

    assert read_table(config("memory://sales/a.csv"))["y"].tolist() == [1, 2.5, -300]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_a_remote_file_is_decompressed_where_the_server_has_not_done_so(bucket: Any, compress: Any) -> None:
    bucket.pipe("/sales/a.csv.gz", compress(CSV))

    assert len(read_table(config("memory://sales/a.csv.gz"))) == 3


def test_a_remote_pattern_is_read_in_the_order_of_the_names(bucket: Any, tmp_path: Path) -> None:
    for name, y in (("b", 2), ("a", 1)):
        content = parquet(tmp_path / "x.parquet", ds=[DAY], y=[y]).read_bytes()
        bucket.pipe(f"/sales/{name}.parquet", content)

    assert read_table(config("memory://sales/*.parquet"))["y"].tolist() == [1, 2]


def test_a_fault_in_a_remote_file_has_its_name_and_line(bucket: Any) -> None:
    bucket.pipe("/sales/a.csv", CSV)
    bucket.pipe("/sales/b.csv", b"ds,y\nx,1\n")

    with pytest.raises(DataError, match=r"memory:///?sales/b.csv: line 2, column 'ds'"):
        read_table(config("memory://sales/*.csv"))


@pytest.mark.parametrize(
    ("path", "found"), [("gone.csv", "cannot be read"), ("*.csv", "no file fits this pattern")]
)
def test_a_remote_file_that_is_not_there_is_refused(bucket: Any, path: str, found: str) -> None:
    with pytest.raises(DataError, match=f"memory://sales/.*{found}"):
        read_table(config(f"memory://sales/{path}"))


@pytest.mark.usefixtures("small_memory")
def test_a_remote_file_without_end_is_refused(bucket: Any) -> None:
    bucket.pipe("/a.csv", b"0" * 1_000_000)

    with pytest.raises(DataError, match=r"memory://a.csv: gives more than 0.0001 GB"):
        read_table(config("memory://a.csv"))


def test_a_back_end_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)

    with pytest.raises(ConfigError, match=r"gs://bucket/a.csv is read .*: pip install fsspec gcsfs"):
        read_table(config("gs://bucket/a.csv"))


def test_fsspec_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)

    with pytest.raises(ConfigError, match="pip install fsspec s3fs"):
        read_table(config("s3://bucket/a.csv"))


def test_no_message_of_a_back_end_has_the_secrets_of_its_url(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "s3cret-place")

    with pytest.raises(DataError) as caught:
        read_table(config("memory://sales/${PLACE}/a.csv?token=s3cret-token"))

    assert "s3cret" not in str(caught.value)
    assert "sales/${PLACE}/a.csv?token=***" in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_signal_ends_the_reading_of_a_remote_file(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*words: object, **settings: object) -> None:
        raise StoppedError("stopped by SIGTERM.", 15)

    monkeypatch.setattr(type(bucket), "_open", stopped)

    with pytest.raises(StoppedError):
        read_table(config("memory://a.csv"))


def test_a_local_file_is_not_read_through_a_url(tmp_path: Path) -> None:
    path = written(tmp_path, CSV)

    with pytest.raises(DataError, match="is not of a kind that is read"):
        read_table(config(), source=f"file://{path}")


def test_every_scheme_is_one_that_fsspec_knows() -> None:
    assert set(REMOTES) <= set(fsspec.available_protocols())


# --- web addresses ----------------------------------------------------------------------------------------------


class Site(SimpleHTTPRequestHandler):
    """Serves the folder, and a few things no server should send."""

    def do_GET(self) -> None:
        broken = {
            "/elsewhere.csv": self.redirect_to_a_file,
            "/short.csv": self.break_off,
            "/silent.csv": self.wait,
        }
        broken.get(self.path.partition("?")[0], super().do_GET)()

    def redirect_to_a_file(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"file://{self.directory}/a.csv")
        self.end_headers()

    def break_off(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "999")
        self.end_headers()
        self.wfile.write(CSV)

    def wait(self) -> None:
        self.server.released.wait(60)  # type: ignore[attr-defined]

    def log_message(self, *words: object) -> None:
        """Says nothing."""


@pytest.fixture
def site(folder: Path) -> Iterator[str]:
    """The address of a web server that serves the folder."""
    if importlib.util.find_spec("aiohttp") is None:
        pytest.skip("needs aiohttp: for web addresses")
    written(folder, gzip.compress(CSV), "c.csv.gz")
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Site, directory=str(folder))) as server:
        server.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["a.csv", "a.csv?token=s3cret", "c.csv.gz", "c.csv.gz?n=1"])
def test_a_web_address_is_read(site: str, name: str) -> None:
    assert read_table(config(f"{site}/{name}"))["y"].tolist() == [1, 2.5, -300]


@pytest.mark.parametrize("name", ["gone.csv", "elsewhere.csv", "short.csv"])
def test_a_web_address_that_gives_no_data_is_refused(site: str, name: str) -> None:
    with pytest.raises(DataError, match=f"http://.*/{name}.*: cannot be read") as caught:
        read_table(config(f"{site}/{name}?token=s3cret"))

    assert "s3cret" not in str(caught.value)


def test_a_server_that_falls_silent_is_not_waited_for(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SECONDS_OF_SILENCE", 0.2)

    with pytest.raises(DataError, match=r"silent.csv: cannot be read"):
        read_table(config(f"{site}/silent.csv"))
