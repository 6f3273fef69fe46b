"""Bad and odd inputs, entry by entry: files, the config they are read with, and what has to be said about them.

The numbers are those of the catalogue of bad inputs (CSV form 1 to 15, ids to 20, time to 33, values to 42, lengths and
settings to 49); 0 stands for what is on no list. A case is made when it is asked for, with fixed seeds.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from synthetic import seasonal_series

__all__ = ["BAD", "ELSEWHERE", "GOOD", "Case", "Good", "bad_cases", "good_cases"]

Content: TypeAlias = str | bytes | Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One input that must be refused.

    Attributes:
        name: what is odd about it.
        content: of the file, or a function that makes what is to be read in a folder.
        says: a regular expression that the message holds.
        data: keys of ``data``, beside or instead of path, time and target.
        config: other keys.
        yaml: the whole config, where it is what is wrong.
        code: exit code.
        file: name of the data in its folder.
    """

    name: str
    content: Content
    says: str
    data: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    yaml: str | bytes | None = None
    code: int = 3
    file: str = "data.csv"


@dataclass(frozen=True, slots=True)
class Good:
    """One input that is odd and must work; the rest as in :class:`Case`.

    Attributes:
        warns: a regular expression for the warning it has; empty where it has none.
    """

    name: str
    content: Content
    data: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    warns: str = ""
    file: str = "data.csv"


def days(n: int = 70, form: str = "%Y-%m-%d", freq: str = "D", start: str = "2023-12-05") -> list[str]:
    return pd.date_range(start, periods=n, freq=freq).strftime(form).tolist()


def hours(n: int = 72, form: str = "%Y-%m-%d %H:%M") -> list[str]:
    return days(n, form, "h", start="2024-01-10")


def values(n: int = 70, season: int = 7, seed: int = 0) -> list[str]:
    return [f"{value:.2f}" for value in seasonal_series(n, season_length=season, seed=seed)]


def csv(header: str, *columns: Sequence[Any], separator: str = ",", end: str = "\n") -> str:
    lines = [separator.join(map(str, cells)) for cells in zip(*columns, strict=True)]
    return end.join([header, *lines]) + end


def line(text: str, number: int, new: str) -> str:
    """The text with another line at a place, counted from 1."""
    lines = text.splitlines()
    lines[number - 1] = new
    return "\n".join(lines) + "\n"


def long(names: Sequence[str], n: int = 40, header: str = "id,ds,y") -> str:
    rows = [
        (f'"{name}"' if set(name) & set(',"\n\r') or not name else name, *pair)
        for k, name in enumerate(names)
        for pair in zip(days(n), values(n, seed=k), strict=True)
    ]
    return csv(header, *zip(*rows, strict=True))


D, V = days(), values()
PLAIN = csv("ds,y", D, V)
LONG = long(["a", "b", "c"])
ID = {"id": "id"}
PLACES = (2, 9, 71)  # first, middle and last line of PLAIN


def parquet(table: dict[str, Any] | pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), out)
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, PLAIN)
    return out.getvalue()


# --- 1 to 15: CSV form


def no_rows() -> Iterator[Case]:
    yield Case("no byte", "", "the file is empty")
    yield Case("a header alone", "ds,y\n", "a header and no row below it")
    yield Case("a header without a line end", "ds,y", "a header and no row below it")
    yield Case("a header and blank lines", "ds,y\n\n\n", "a header and no row below it")
    yield Case("blank lines", "\n\n\n", "only blank lines")
    yield Case("blank windows lines", "\r\n\r\n", "only blank lines")
    yield Case("a byte order mark alone", b"\xef\xbb\xbf", "only blank lines|is empty")
    yield Case("a packed file of nothing", gzip.compress(b""), "the file is empty", file="data.csv.gz")
    yield Case("a packed header", gzip.compress(b"ds,y\n"), "no row below it", file="data.csv.gz")


def nothing_to_read() -> Iterator[Case]:
    def fifo(folder: Path) -> None:
        os.mkfifo(folder / "data.csv")

    def listening(_: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("data.csv")  # in the current folder: the name of a socket must be short

    yield Case("no file", lambda _: None, "no such file")
    yield Case("an empty folder", lambda folder: (folder / "data.csv").mkdir(), "no CSV or Parquet file")
    yield Case(
        "a folder of pictures", lambda folder: (folder / "a.png").touch(), "no CSV or Parquet", {"path": "."}
    )
    yield Case(
        "a link to nowhere", lambda folder: (folder / "data.csv").symlink_to("gone"), "which leads to 'gone'"
    )
    yield Case(
        "a link to itself", lambda folder: (folder / "data.csv").symlink_to("data.csv"), "too many levels"
    )
    yield Case("a pipe", fifo, "no regular file")
    yield Case("a socket", listening, "no regular file")
    for device in ("/dev/zero", "/dev/null", "/dev/tty"):
        yield Case(device, lambda _: None, "no regular file|no such", {"path": device})
    yield Case("a file as a folder", PLAIN, "not a directory", {"path": "data.csv/more.csv"})
    yield Case("a pattern of nothing", lambda _: None, "no CSV or Parquet file", {"path": "*.csv"})
    yield Case("a name too long", lambda _: None, "name too long", {"path": "x" * 300})
    yield Case("a zero in the name", lambda _: None, "null|path", {"path": "a\0b"}, code=2)


def absent_columns() -> Iterator[Case]:
    for header, key, wanted, hint in (
        ("when,y", "data.time", "ds", ""),
        ("ds,sales", "data.target", "y", ""),
        ("DS,y", "data.time", "ds", "Did you mean 'DS'"),
        ("ds,Y", "data.target", "y", "Did you mean 'Y'"),
    ):
        yield Case(
            f"no {wanted} in {header}", csv(header, D, V), f"no column '{wanted}', which {key} names.*{hint}"
        )
    yield Case("no name of the series", PLAIN, "no column 'id', which data.id names", ID)
    yield Case("one of many targets", PLAIN, "no column 'z', which data.target", {"target": ["y", "z"]})
    for kind in ("static", "past", "future"):
        yield Case(f"no {kind} covariate", PLAIN, f"data.covariates.{kind}", {"covariates": {kind: ["x"]}})
    yield Case("a line break in a name", csv('ds,"y\n(kWh)"', D, V), r"no column 'y'.*\\n")
    yield Case("no header", PLAIN.split("\n", 1)[1], "no column 'ds'.*'2023-12-05'")


def repeated_columns() -> Iterator[Case]:
    for header in ("ds,y,y", "ds,y, y", "ds,y,z,z", "ds,ds,y", "ds,y,y,y"):
        columns = [D, V, V, V][: header.count(",") + 1]
        yield Case(header, csv(header, *columns), r"line 1: \d columns are named")
    yield Case("ids twice", csv("id,id,ds,y", D, D, D, V), "2 columns are named 'id'", ID)
    yield Case("merged heads", csv(",Sales,Sales\nds,y,z", D, V, V), "2 columns are named 'Sales'")


def one_field_more() -> Iterator[Case]:
    yield Case("a number more", csv("ds,y", D, V, V), "line 2: 3 fields, expected 2")
    yield Case("a separator more", csv("ds,y", D, V, [""] * 70), "line 2: 3 fields, expected 2")
    yield Case("row numbers without a name", csv("ds,y", range(70), D, V), "line 2: 3 fields, expected 2")
    yield Case("in a long file", csv("id,ds,y", ["a"] * 70, D, V, V), "line 2: 4 fields, expected 3", ID)
    yield Case("a number less", csv("ds,y,z", D, V), "line 2: 2 fields, expected 3")


def odd_rows() -> Iterator[Case]:
    for place in PLACES:
        for name, row, n_fields in (
            ("long", "2023-12-12,1,2", "3 fields"),
            ("longer", "2023-12-12,1,2,,,", "6 fields"),
            ("short", "2023-12-12", "1 field"),
            ("in blanks", "   ", "1 field"),
            ("a comment", "# no reading", "1 field"),
            ("a conflict", "<<<<<<< HEAD", "1 field"),
            ("with a tab", "2023-12-12\t1", "1 field"),
        ):
            yield Case(
                f"{name} in line {place}", line(PLAIN, place, row), f"line {place}: {n_fields}, expected 2"
            )
    yield Case("cut off in the date", PLAIN[:-9], "line 71: 1 field, expected 2")
    yield Case("a footer", PLAIN + "Source: the meter\n", "line 72: 1 field")
    yield Case("a mark of the end", PLAIN.encode() + b"\x1a", "line 72: 1 field")
    yield Case("zeros to the end", PLAIN.encode() + bytes(4096), "line 72: 1 field")


def open_quotes() -> Iterator[Case]:
    for place in (2, 9, 70):
        for row in ('"2023-12-12,1', '2023-12-12,"1'):
            yield Case(f"{row} in line {place}", line(PLAIN, place, row), f"line {place}:.* quote")
    yield Case("in the header", line(PLAIN, 1, '"ds,y'), "line 1: a quote is opened and never closed")
    yield Case("in a name", line(LONG, 9, '"a,2023-12-12,1'), "line 9: a quote", ID)
    yield Case("in a column nobody reads", line(csv("ds,y,z", D, V, V), 9, f'{D[7]},1,"x'), "line 9: a quote")
    yield Case("behind a number", line(PLAIN, 9, f'{D[7]},5"'), "line 9, column 'y': '5\"' is not a number")


def other_separators() -> Iterator[Case]:
    comma = [value.replace(".", ",") for value in V]
    yield Case(
        "decimal commas between commas", csv("ds,y", D, comma), "line 2: 3 fields.*data.format.decimal"
    )
    for separator in (";", "\t", "|"):
        form = {"format": {"separator": ","}}
        yield Case(
            f"cut at {separator!r}", csv(f"ds{separator}y", D, V, separator=separator), "no column 'ds'", form
        )
    yield Case(
        "1,500 alone", csv("ds;y", D, ["1,500"] * 70, separator=";"), "may be a decimal number or thousands"
    )
    yield Case("only the header", line(PLAIN, 1, "ds;y"), "line 2: 1 field, expected 2")
    form = {"format": {"decimal": ","}}
    yield Case(
        "points for commas", csv("ds;y", D, V, separator=";"), "is not a number with decimal mark ','", form
    )
    yield Case("columns of blanks", csv("ds          y", D, V, separator="  "), "no column 'ds'")
    yield Case(
        "a mark for excel", "sep=;\n" + PLAIN.replace(",", ";"), "line 1: 'sep=;' is a mark for Excel.*remove"
    )
    yield Case("a mark for excel, commas", "sep=,\n" + PLAIN, "'sep=,' is a mark for Excel")


# What a cell may hold instead of a number, and the way out.
NO_NUMBERS = {
    '"1,234.5"': 'data.format.thousands: ","',
    "1 234": 'data.format.thousands: " "',
    "1\u00a0234": "data.format.thousands",
    "1\u2009234": "data.format.thousands",
    "1\u202f234.5": "data.format.thousands",
    "1'234": "data.format.thousands",
    "12%": "without a unit or a sign",
    "$5": "without a unit or a sign",
    "5 €": "without a unit or a sign",
    "5 kWh": "without a unit or a sign",
    "<0.5": "without a unit or a sign",
    "5*": "without a unit or a sign",
    "\uff11\uff12": "in the digits 0 to 9",
    "\u0665": "in the digits 0 to 9",
    "\u22125.5": "write the minus sign as -",
    "\u20135.5": "write the minus sign as -",
    "(5.50)": "with - in front",
    "5.50-": "with - in front",
    "#REF!": "formula of Excel",
    "#DIV/0!": "formula of Excel",
    "?": "leave the cell empty",
    "--": "leave the cell empty",
    ".": "leave the cell empty",
    "n.a.": "leave the cell empty",
    "true": "write 1 and 0",
    "no": "write 1 and 0",
    "'5": "remove the quotes",
    "\u201c5\u201d": "remove the quotes",
    "0x1F": "plain decimal digits",
    "1_000": "plain decimal digits",
    "kWh": "remove the line if it is no data",
    "y": "remove the line if it is no data",
    "closed": "remove the line if it is no data",
    "1.5.2": "correct the cell",
    "5 5": "correct the cell",
    "1e": "without a unit or a sign",
    "2\x00": "that cannot be seen",
    "5\x08": "that cannot be seen",
    "\u00a05": "that cannot be seen",
    "1,5e3": "line",
}


def no_numbers() -> Iterator[Case]:
    for cell, advice in NO_NUMBERS.items():
        for place in PLACES[::2] if len(cell) > 3 else PLACES:
            row = f"{D[place - 2]},{cell}"
            yield Case(f"{cell!r} in line {place}", line(PLAIN, place, row), f"line {place}.*{advice}")
    for cell in ("12%", "true", "5 kWh", "\u22125"):
        yield Case(f"{cell!r} throughout", csv("ds,y", D, [cell] * 70), "line 2, column 'y'.*is not a number")
    yield Case(
        "a word in a covariate",
        csv("ds,y,x", D, V, ["a"] * 70),
        "categorical",
        {"covariates": {"past": ["x"]}},
    )


def encodings() -> Iterator[Case]:
    accents = long(["ü", "é"])
    for encoding in ("latin-1", "cp1252", "mac-roman"):
        byte = "ü".encode(encoding).hex()
        says = rf"line 2: byte 0x{byte} is not utf-8 text \(.*at offset 8\); set data.format.encoding"
        yield Case(encoding, accents.encode(encoding), says, ID)
    yield Case(
        "mixed", accents.encode() + "ü,2024-05-05,1\n".encode("cp1252"), "line 82: byte 0xfc.*offset", ID
    )
    yield Case("in the header", csv("ds,y,größe", D, V, V).encode("cp1252"), "line 1: byte 0xf6.*at offset 7")
    yield Case(
        "quotes of windows",
        csv("ds,y", D, [f"\x93{v}\x94" for v in V]).encode("latin-1"),
        "line 2: byte 0x93",
    )
    yield Case("utf-16", PLAIN.encode("utf-16"), "UTF-16 text; set data.format.encoding: utf-16")
    yield Case("utf-16, big end first", b"\xfe\xff" + PLAIN.encode("utf-16-be"), "UTF-16 text")
    yield Case("utf-16 without a mark", PLAIN.encode("utf-16-le"), "set data.format.encoding: utf-16-le")
    yield Case("utf-32", PLAIN.encode("utf-32"), "UTF-32 text; save it as UTF-8")
    yield Case("ebcdic", PLAIN.encode("cp500"), "line 1: byte 0x84 is not utf-8 text")
    yield Case("a letter cut in two", PLAIN.encode() + b"\xc3", "line 72")
    form = {"format": {"encoding": "utf-16"}}
    yield Case("not utf-16", PLAIN, "UTF-16|utf-16|cannot be read", form)


def nul_bytes() -> Iterator[Case]:
    for place in PLACES:
        yield Case(
            f"in a number, line {place}",
            line(PLAIN, place, f"{D[place - 2]},2\x00"),
            f"line {place}, column 'y'",
        )
        yield Case(
            f"in a date, line {place}", line(PLAIN, place, "2023\x00-12-12,2"), f"line {place}, column 'ds'"
        )
    yield Case("in the header", PLAIN.replace("y", "y\x00", 1), "line 1: there are NUL bytes")
    yield Case("nothing else", bytes(5000), "line 1: there are NUL bytes")


def line_ends() -> Iterator[Case]:
    yield Case("none at all", PLAIN.replace("\n", " "), "no column 'y'|no column 'ds'|no row below")
    for name, end in (("vertical tabs", "\x0b"), ("next lines", "\x85"), ("line separators", "\u2028")):
        yield Case(name, PLAIN.replace("\n", end), "no column 'y'")
    yield Case(
        "a cell of ten megabytes",
        line(PLAIN, 9, f"{D[7]},{'x' * 10**7}"),
        "line 9: a cell has more than 131072 characters",
    )
    yield Case("a line of ten megabytes", "x" * 10**7, "line 1: a cell has more than 131072 characters")


def other_kinds() -> Iterator[Case]:
    packed = gzip.compress(PLAIN.encode())
    yield Case("gzip cut off", packed[:-20], "cannot be read", file="data.csv.gz")
    yield Case("gzip, cut at its head", packed[:8], "cannot be read|is empty", file="data.csv.gz")
    yield Case(
        "gzip with a flipped byte", packed[:60] + b"\xff" + packed[61:], "cannot be read", file="data.csv.gz"
    )
    yield Case("no gzip", PLAIN, "cannot be read", file="data.csv.gz")
    yield Case("no zstandard", PLAIN, "cannot be read", file="data.csv.zst")
    yield Case("gzip with another name", packed, "a gzip file; give it a name that ends in .gz")
    yield Case("gzip in gzip", gzip.compress(packed), "a gzip file", file="data.csv.gz")
    yield Case("a zip archive", zipped("a.csv"), "a zip archive or an Excel workbook")
    yield Case("a zip archive of two", zipped("a.csv", "b.csv"), "a zip archive or an Excel workbook")
    for name, first, kind in (
        ("an old workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "an old Excel workbook"),
        ("bzip2", b"BZh91AY&SY", "a bzip2 file"),
        ("xz", b"\xfd7zXZ\0", "an xz file"),
        ("7-zip", b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        ("parquet", b"PAR1\x15" + bytes(50), "a Parquet file"),
        ("feather", b"ARROW1\0\0" + bytes(50), "an Arrow"),
        ("sqlite", b"SQLite format 3\0" + bytes(100), "sqlite:///FILE"),
        ("pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF document"),
        ("rtf", b"{\\rtf1\\ansi ds,y\\par", "an RTF document"),
        ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a picture"),
        ("a photograph", b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture"),
        ("git lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "git lfs pull"),
        ("a page", b"<!DOCTYPE html>\n<html><body>Not Found</body></html>\n", "HTML or XML"),
        ("a page behind blanks", b"\n\n  <HTML>\n<body>Log in</body></html>\n", "HTML or XML"),
        ("a table of a page", b"<table><tr><td>ds</td></tr></table>\n", "HTML or XML"),
        ("xml", b'<?xml version="1.0"?>\n<rows><r ds="2024-01-01"/></rows>\n', "HTML or XML"),
        ("json", json.dumps([{"ds": d, "y": 1} for d in D]).encode(), "JSON; convert it to CSV"),
        ("json, spread out", json.dumps([{"ds": d} for d in D], indent=1).encode(), "JSON"),
        ("json of lists", json.dumps([[d, 1] for d in D]).encode(), "JSON"),
        ("json, line by line", "".join(json.dumps({"ds": d}) + "\n" for d in D).encode(), "JSON"),
    ):
        yield Case(name, first, f"this is .*{kind}|{kind}")


def odd_parquet() -> Iterator[Case]:
    stamps = pd.to_datetime(D)
    numbers = [float(v) for v in V]
    plain = parquet({"ds": stamps, "y": numbers})
    name = "data.parquet"
    yield Case("no bytes", b"", "data.parquet", file=name)
    yield Case("csv inside", PLAIN, "cannot be read as Parquet", file=name)
    for size in (4, 100, len(plain) - 1, len(plain) - 30):
        yield Case(f"its first {size} bytes", plain[:size], "cannot be read as Parquet", file=name)
    yield Case(
        "a broken footer", plain[:-200] + bytes(192) + plain[-8:], "cannot be read as Parquet", file=name
    )
    yield Case("no rows", parquet({"ds": stamps[:0], "y": numbers[:0]}), "no row", file=name)
    for kind, column in {
        "lists": pa.array([[1.0]] * 70),
        "structs": pa.array([{"a": 1.0}] * 70),
        "bytes": pa.array([b"1"] * 70),
        "dates": pa.array(stamps),
        "durations": pa.array([pd.Timedelta("1h")] * 70),
        "words": pa.array(["x"] * 70),
        "large integers": pa.array([2**53 + 1] * 70),
    }.items():
        yield Case(f"{kind} for numbers", parquet({"ds": stamps, "y": column}), "column 'y'", file=name)
    for kind, column in {
        "floats": pa.array(numbers),
        "booleans": pa.array([True] * 70),
        "lists": pa.array([[1]] * 70),
    }.items():
        yield Case(
            f"{kind} for times", parquet({"ds": column, "y": numbers}), "column 'ds'.* no time", file=name
        )
    yield Case(
        "a missing time", parquet({"ds": [*D[:-1], None], "y": numbers}), "row 70, column 'ds'", file=name
    )
    yield Case(
        "numbers for names",
        parquet({"ds": stamps, "y": numbers, "id": numbers}),
        "column 'id'",
        ID,
        file=name,
    )
    yield Case(
        "two of a name",
        parquet(pa.table([pa.array(D), pa.array(numbers), pa.array(numbers)], ["ds", "y", "y"])),
        "2 columns",
        file=name,
    )


# --- 16 to 20: ids


def empty_ids() -> Iterator[Case]:
    for place in (2, 9, 121):
        yield Case(
            f"in line {place}",
            line(LONG, place, ",2023-12-12,1"),
            f"line {place}, column 'id': the cell is empty",
            ID,
        )
        yield Case(
            f"quoted in line {place}",
            line(LONG, place, '"",2023-12-12,1'),
            f"line {place}, column 'id': the cell",
            ID,
        )
    yield Case("throughout", csv("id,ds,y", [""] * 70, D, V), "line 2, column 'id': the cell is empty", ID)


# --- 21 to 33: time


def ambiguous_dates() -> Iterator[Case]:
    for form in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%y", "%d/%m/%y", "%d/%m/%Y %H:%M"):
        months = csv("ds,y", days(12, form, "MS"), V[:12])
        yield Case(form, months, "line 2, column 'ds'.*data.format.time_format, which could be")
    for form in ("%b-%y", "%d %b %Y", "%Y%m%d", "%B %Y", "%Y/%m/%d"):
        months = csv("ds,y", days(24, form, "MS"), V[:24])
        yield Case(form, months, "line 2, column 'ds'.*data.format.time_format, which could be")
    wrong = {"format": {"time_format": "%d/%m/%Y"}}
    yield Case(
        "month first, read day first",
        csv("ds,y", days(form="%m/%d/%Y"), V),
        "line .*is not written as",
        wrong,
    )


# What is no date of ISO 8601, or none at all.
NO_DATES = (
    *(
        "12.12.2023",
        "12/12/2023",
        "2023-12-1",
        "2023-13-01",
        "2023-02-30",
        "2023-12-12 24:00",
        "2023-12-12T25:00",
    ),
    *(
        "0000-00-00",
        "10000-01-01",
        "2023-12-12 23:59:60",
        "1900-02-29",
        "20231212",
        "12 Dec 2023",
        "12 Dez 2023",
    ),
    *(
        "Total",
        "ds",
        "[date]",
        "-",
        "...",
        "'2023-12-12",
        "\u201c2023-12-12\u201d",
        "\u200b2023-12-12",
        "2023\u201312\u201312",
    ),
    *(
        "2023-W50",
        "2023Q4",
        "2023-346",
        "now",
        "NaT",
        "nan",
        "45272",
        "1702339200",
        "2023-12-12 CET",
        "\x1b[31m2023-12-12",
    ),
)


def mixed_dates() -> Iterator[Case]:
    for cell in NO_DATES:
        for place in (2, 9) if len(cell) < 8 else (9,):
            yield Case(f"{cell!r} in line {place}", line(PLAIN, place, f"{cell},1"), r"line \d+, column 'ds'")
    for place in PLACES:
        yield Case(
            f"none in line {place}", line(PLAIN, place, ",1"), f"line {place}, column 'ds': the cell is empty"
        )
    weeks = csv("ds,y", days(70, "%G-W%V", "W-MON"), V)
    yield Case("week 60", weeks.replace("2024-W10", "2024-W60"), "line 14, column 'ds'.*is not a week")
    yield Case(
        "a day among weeks", weeks.replace("2024-W10", "2024-03-04"), "line 14, column 'ds'.*is not a week"
    )
    quarters = csv("ds,y", [f"{2000 + k // 4}Q{k % 4 + 1}" for k in range(70)], V)
    yield Case(
        "quarter 5", quarters.replace("2003Q4", "2003Q5"), "line 17, column 'ds': '2003Q5' is not a quarter"
    )
    for name, dates in {
        "german months": [f"{k + 1}. Januar 2024" for k in range(31)],
        "names of weekdays": days(31, "%a %d %b %Y"),
        "days of the year": days(31, "%Y-%j"),
        "days of weeks": days(31, "%G-W%V-%u"),
        "formulas": [f'="{day}"' for day in days(31)],
        "names of zones": [f"{day} 00:00 CET" for day in days(31)],
        "times of day": [f"{k:02d}:00" for k in range(31)],
        "words": ["x"] * 31,
    }.items():
        yield Case(name, csv("ds,y", dates, V[:31]), "line 2, column 'ds'.*is not a date such as")


def integer_times() -> Iterator[Case]:
    for name, first, step in (
        ("s", 1_704_067_200, 3600),
        ("ms", 1_704_067_200_000, 3_600_000),
        ("days of excel", 45292, 1),
    ):
        times = range(first, first + 70 * step, step)
        yield Case(name, csv("ds,y", times, V), "line 2, column 'ds'.*set data.freq: integer")
    yield Case(
        "seconds with a point",
        csv("ds,y", [f"{1704067200 + k}.0" for k in range(70)], V),
        "line 2, column 'ds'",
    )
    steps = csv("ds,y", range(70), V)
    yield Case(
        "half a step",
        line(steps, 9, "7.5,1"),
        "line 9, column 'ds': '7.5' is not an integer",
        {"freq": "integer"},
    )
    yield Case(
        "a date among steps", line(steps, 9, "2024-01-01,1"), "line 9, column 'ds'", {"freq": "integer"}
    )
    for unit, cell in (("s", "99999999999999"), ("ns", "1704067200000000001"), ("ms", "x")):
        form = {"format": {"unit": unit}}
        yield Case(f"{cell} as {unit}", line(steps, 2, f"{cell},1"), "line 2, column 'ds'", form)


def repeated_times() -> Iterator[Case]:
    for place in (3, 9, 71):
        same = line(PLAIN, place, PLAIN.splitlines()[place - 2])
        yield Case(f"a row twice, line {place}", same, f"line {place}: series 'y': a second row at")
        other = line(PLAIN, place, f"{D[place - 3]},99")
        yield Case(f"a time twice, line {place}", other, f"line {place}: series 'y': a second row at")
    yield Case("each row twice", PLAIN + PLAIN.split("\n", 1)[1], "70 such places in 1 series")
    yield Case("no id is named", LONG, "name the series in data.id")
    yield Case(
        "in one of three", LONG + LONG.splitlines()[50] + "\n", "line 122: series 'b': a second row", ID
    )
    yield Case("twelve hours a day", csv("ds,y", days(70, "%Y-%m-%d %I:%M", "h"), V), "a second row at")


def gaps() -> Iterator[Case]:
    lines = PLAIN.splitlines()
    for name, missing in (
        ("one", [20]),
        ("two", [20, 21]),
        ("here and there", [10, 30, 50]),
        ("a month", range(20, 50)),
    ):
        text = "\n".join(row for k, row in enumerate(lines) if k not in missing) + "\n"
        yield Case(name, text, r"line \d+: series 'y': \d+ steps? missing after .*set data.repair.gaps")
    off = line(csv("ds,y", hours(70), V), 9, "2024-01-10 07:20,1")
    yield Case(
        "a point off the hours", off, "line 9: series 'y': 2024-01-10 07:20:00 is not a step of frequency 'h'"
    )
    rng = np.random.default_rng(0)
    wild = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(1, 10**6, 70).cumsum(), "s")
    yield Case("no grid", csv("ds,y", wild.astype(str), V), "is not a step|steps? missing|gaps between")
    for slip in ("1970-01-01", "0001-01-01", "2203-12-12", "9999-12-31"):
        yield Case(
            f"a slip to {slip}",
            line(PLAIN, 9, f"{slip},1"),
            r"line \d+: series 'y': \d+ steps? missing after",
        )
    filled = {"repair": {"gaps": "interpolate"}, "freq": "h"}
    far = line(csv("ds,y", hours(70), V), 71, "9999-12-31 00:00,1")
    yield Case("a slip, filled", far, "gaps between 70 rows come to .*expected few", filled)


def few_dates() -> Iterator[Case]:
    for n in (1, 2):
        yield Case(f"{n} rows", csv("ds,y", D[:n], V[:n]), "fewer than 3 different timestamps.*set data.freq")
    yield Case("two in each series", long(["a", "b", "c"], n=2), "fewer than 3 different timestamps", ID)
    yield Case("one day, often", csv("ds,y", ["2024-01-01"] * 70, V), "fewer than 3 different timestamps")


def frequencies() -> Iterator[Case]:
    for freq in (
        "M",
        "H",
        "T",
        "S",
        "Q",
        "A",
        "Y",
        "daily",
        "0D",
        "-1D",
        "1.5.D",
        "foo",
        "BH",
        "ns",
        "W-XYZ",
        " ",
    ):
        yield Case(repr(freq), PLAIN, "freq", {"freq": freq}, code=2)
    for freq in ("MS", "h", "W-MON", "YS"):
        yield Case(f"{freq} for days", PLAIN, "steps? missing|is not a step of frequency", {"freq": freq})
    yield Case("integers for dates", PLAIN, "line 2, column 'ds'.*is not an integer", {"freq": "integer"})


def zones() -> Iterator[Case]:
    for place in (3, 9, 70):
        aware = line(csv("ds,y", hours(70), V), place, "2024-01-10T07:00Z,1")
        yield Case(
            f"aware in line {place}", aware, f"line {place}, column 'ds'.*with and without a time zone"
        )
    berlin = {"format": {"timezone": "Europe/Berlin"}}
    spring = csv("ds,y", days(70, "%Y-%m-%d %H:%M", "h", "2024-03-30"), V)
    yield Case(
        "an hour that is not there", spring, "line 28.*does not exist on the clock of Europe/Berlin", berlin
    )
    autumn = csv("ds,y", days(70, "%Y-%m-%d %H:%M", "h", "2024-10-26"), V)
    yield Case(
        "an hour that is there twice", autumn, "line 28.*is there twice on the clock of Europe/Berlin", berlin
    )
    yield Case("no zone", PLAIN, "timezone", {"format": {"timezone": "Europe/Atlantis"}}, code=2)
    yield Case(
        "two zones in one file",
        csv("ds,y", [f"{d}T00:00+0{k % 2}:00" for k, d in enumerate(D)], V),
        "step|missing",
    )


def far_years() -> Iterator[Case]:
    end = csv("ds,y", range(9930, 10000), V)
    yield Case(
        "beyond 9999", end, "leave the years 1 to 9999", {"format": {"time_format": "%Y"}}, {"horizon": 5}
    )
    for cell in ("10000-01-01", "-0001-01-01", "0000-12-31"):
        yield Case(cell, line(PLAIN, 71, f"{cell},1"), "line 71, column 'ds'")


# --- 34 to 42: values


def missing_values() -> Iterator[Case]:
    for cell in ("", "NaN", "NA", "null", "None", "-", " "):
        for place in PLACES:
            text = line(PLAIN, place, f"{D[place - 2]},{cell}")
            yield Case(
                f"{cell!r} in line {place}",
                text,
                f"line {place}: series 'y': no value at .*data.repair.missing",
            )
    yield Case("all", csv("ds,y", D, ["NaN"] * 70), r"no value at .*\(70 such places in 1 series\)")
    yield Case("every second", csv("ds,y", D, [*map(str, range(35))] and ["5", ""] * 35), "35 such places")
    filled = {"repair": {"missing": "interpolate"}}
    yield Case("all, filled", csv("ds,y", D, [""] * 70), "series 'y' has no row with a value", filled)
    masked = {"repair": {"missing": "mask"}}
    yield Case("all, masked", csv("ds,y", D, [""] * 70), "series 'y' has no row with a value", masked)
    yield Case(
        "an empty column of a wide file",
        csv("ds,y,z", D, V, [""] * 70),
        "series 'z' has no value",
        {"target": ["y", "z"]},
    )


def infinite_values() -> Iterator[Case]:
    for cell in ("inf", "-inf", "Infinity", "1e400", "-1e400", "1" + "0" * 400):
        for place in PLACES[:2]:
            text = line(PLAIN, place, f"{D[place - 2]},{cell}")
            yield Case(
                f"{cell[:9]} in line {place}",
                text,
                f"line {place}: series 'y': the value at {D[place - 2]}.* is infinite",
            )
    yield Case("in one of three", line(LONG, 60, f"b,{D[18]},inf"), "line 60: series 'b'.* is infinite", ID)
    past = {"covariates": {"past": ["x"]}}
    yield Case(
        "in a covariate",
        csv("ds,y,x", D, V, ["inf", *V[1:]]),
        "line 2: series 'y': the value of 'x' .*infinite",
        past,
    )


def huge_values() -> Iterator[Case]:
    for cell in ("2e300", "-2e300", "1.7e308"):
        yield Case(cell, line(PLAIN, 9, f"{D[7]},{cell}"), "line 9: series 'y': the value .*beyond 1e\\+300")
    yield Case(
        "unscaled",
        line(PLAIN, 9, f"{D[7]},1e38"),
        "line 9: series 'y'.*beyond 1e\\+30",
        {},
        {"scaling": "none"},
    )


def wrong_for_transforms() -> Iterator[Case]:
    for transform in ("log", "boxcox"):
        for cell in ("0", "-3", "-0.0"):
            text = line(PLAIN, 9, f"{D[7]},{cell}")
            yield Case(
                f"{transform} of {cell}",
                text,
                f"line 9: series 'y'.*transform '{transform}' takes",
                {},
                {"transform": transform},
            )
    yield Case(
        "log1p of -3",
        line(PLAIN, 9, f"{D[7]},-3"),
        "line 9: series 'y'.*'log1p' takes",
        {},
        {"transform": "log1p"},
    )
    yield Case(
        "negative where none may be",
        line(PLAIN, 9, f"{D[7]},-3"),
        "line 9: series 'y'.* is -3",
        {"repair": {"negative": "error"}},
    )


# --- 43 to 49: lengths and settings


def short_series() -> Iterator[Case]:
    for n in (3, 4, 8):
        yield Case(
            f"{n} rows, {n} ahead",
            csv("ds,y", D[:n], V[:n]),
            "horizon: .*lower horizon, or give longer series",
            {},
            {"horizon": n},
        )
    yield Case("one row of each", long(["a", "b"], n=1), "horizon|long enough", ID | {"freq": "D"})
    yield Case("lookback of a billion", PLAIN, "lookback|long enough", {}, {"lookback": 10**9}, code=2)


def wrong_settings() -> Iterator[Case]:
    for horizon in (0, -1, 1.5, "'7'", 10**9, "null", "[7]", "nan", "true"):
        yield setting(f"horizon: {horizon}", "horizon")
    for key, wrong in {
        "lookback": (0, -5, 1.5, "x", 10**12),
        "season_length": (0, -7, "[]", "[7, 7]", 1.5),
        "model.hidden_size": (0, 10**9, -1, 1.5),
        "model.num_layers": (0, 10**6),
        "model.dropout": (-0.1, 1, "nan"),
        "model.cell": ("lsmt", "os.system", 5, "''"),
        "training.max_steps": (0, -1, 10**12, 1.5),
        "training.batch_size": (0, 10**9),
        "training.learning_rate": (0, -1, "nan", "inf", ".inf"),
        "training.closed_loop": (-1, 2),
        "training.seed": (-1, 2**40),
        "scaling": ("log10", 5),
        "transform": ("sqrt",),
        "difference": (0, -1),
        "runtime.precision": ("float8",),
        "data.on_bad_series": ("ignore",),
        "data.repair.gaps": ("guess",),
    }.items():
        for value in wrong:
            *sections, name = key.split(".")
            text = f"{name}: {value}"
            for section in reversed(sections):
                text = f"{section}: {{{text}}}"
            yield setting(text, name)


def setting(text: str, says: str) -> Case:
    """A config with one line more, or instead; a key of ``data`` stands with the others there."""
    if text.startswith("data: {"):
        whole = f"data: {{path: data.csv, time: ds, target: y, {text.removeprefix('data: {')}\nhorizon: 2\n"
    else:
        horizon = "" if text.startswith("horizon") else "horizon: 2\n"
        whole = f"data: {{path: data.csv, time: ds, target: y}}\n{horizon}{text}\n"
    return Case(text, PLAIN, says, yaml=whole, code=2)


def quantiles() -> Iterator[Case]:
    for levels in ("[0]", "[1]", "[0.1, 1.2]", "[0.5, 0.5]", "[.nan]", "0.5", "[a]", "[-0.1]"):
        yield setting(f"forecast: {{quantile_levels: {levels}}}", "quantile_levels")


def splits() -> Iterator[Case]:
    for split in ("{test: 69}", "{validation: 69}", "{test: 40, validation: 40}", "{test: 1000}"):
        yield Case(
            split,
            PLAIN,
            "split|long enough",
            yaml=f"data: {{path: data.csv, time: ds, target: y}}\nhorizon: 2\nsplit: {split}\n",
        )
    for split in ("{test: -1}", "{validation: 0}", "{test: 1.5}", "7"):
        yield setting(f"split: {split}", "split")


def broken_yaml() -> Iterator[Case]:
    levels = ", ".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 30))
    bomb = f"bomb: {{a0: &a0 [x, x], {levels}}}\n"
    good = "data: {path: data.csv, time: ds, target: y}\nhorizon: 2\n"
    for name, text, says in (
        ("empty", "", "c.yaml"),
        ("a list", "- data\n- horizon\n", "c.yaml"),
        ("a word", "hello\n", "c.yaml"),
        ("an unknown key", good + "model: {layrs: 2}\n", "c.yaml:3:.*layrs"),
        ("an unknown section", good + "modle: {}\n", "c.yaml:3:1.*Did you mean"),
        ("a key twice", good + "horizon: 3\n", "c.yaml:3:1.*horizon"),
        ("a tab", "data:\n\tpath: data.csv\n", "c.yaml:2"),
        ("wrong nesting", "data:\n  path: data.csv\n time: ds\n", "c.yaml:3"),
        ("a section that is none", "data: data.csv\nhorizon: 2\n", "c.yaml:1.*data"),
        ("a number as text", good + "training: {learning_rate: '1e-3'}\n", "learning_rate"),
        ("an object of python", good + "x: !!python/object/apply:os.system [ls]\n", "c.yaml:3"),
        ("two documents", good + "---\n" + good, "c.yaml"),
        ("an open bracket", good + "model: {hidden_size: 8\n", "c.yaml:[345]"),
        ("a missing section", "horizon: 2\n", "data"),
        ("nesting of 3000", good + "x: " + "[" * 3000 + "]" * 3000 + "\n", "c.yaml"),
        ("a bomb of aliases", good + bomb, "c.yaml:3"),
        ("ten megabytes", good + "# " + "x" * 10**7 + "\n", "c.yaml"),
        ("an open question", good.replace("target: y", "target: y, format: {unit: ask}"), "question|unit"),
    ):
        yield Case(name, PLAIN, says, yaml=text, code=2)
    yield Case("no text", PLAIN, "c.yaml", yaml=bytes(range(256)), code=2)


def wrong_covariates() -> Iterator[Case]:
    x = csv("ds,y,x", D, V, V[::-1])
    for kind in ("past", "future"):
        named = {"covariates": {kind: ["x"]}}
        yield Case(
            f"a missing {kind} value", line(x, 9, f"{D[7]},5,"), "line 9: series 'y': no value of 'x'", named
        )
        yield Case(f"a word in {kind}", line(x, 9, f"{D[7]},5,high"), "line 9, column 'x'", named)
    yield Case(
        "a static one that changes",
        csv("id,ds,y,x", ["a"] * 70, D, V, V),
        "static covariate 'x'",
        ID | {"covariates": {"static": ["x"]}},
    )
    words = {"covariates": {"past": ["x"], "categorical": ["x"]}}
    many = csv(
        "ds,y,x", days(1100, freq="D", start="2000-01-01"), values(1100), [f"w{k}" for k in range(1100)]
    )
    yield Case("too many words", many, "1100 different words", words)
    yield Case(
        "the name of a column of ours",
        csv("time,sold,ds", D, V, V),
        "'ds'",
        {"time": "time", "target": "sold", "covariates": {"past": ["ds"]}},
    )


def environment() -> Iterator[Case]:
    yield setting("runtime: {device: gpu}", "device")
    yield setting("runtime: {threads: 0}", "threads")
    yield setting("runtime: {device: tpu}", "device")


# --- 0: on no list


def unlisted() -> Iterator[Case]:
    yield Case(
        "a total", PLAIN + "Total,812.5\n", "line 72, column 'ds': 'Total' .*remove the line if it is no data"
    )
    yield Case(
        "a total with a blank date", LONG + "Total,,1234\n", "line 122, column 'ds': the cell is empty", ID
    )
    yield Case("a sum without a date", PLAIN + ",812\n", "line 72, column 'ds': the cell is empty")
    yield Case("two headers", line(PLAIN, 2, "date,units"), "line 2, column 'y': 'units' .*a second header")
    yield Case(
        "units below the header",
        PLAIN.replace("ds,y\n", "ds,y\n-,kWh\n"),
        "line 2, column 'y': 'kWh' .*a unit",
    )
    yield Case(
        "types below the header", PLAIN.replace("ds,y\n", "ds,y\nTIMESTAMP,FLOAT\n"), "line 2, column 'y'"
    )
    yield Case(
        "files one after the other",
        PLAIN + PLAIN.replace("202", "201"),
        "line 72, column 'y': 'y' .*a second header",
    )
    marked = b"\xef\xbb\xbf" + PLAIN.encode()
    yield Case(
        "marked files one after the other", marked + marked.replace(b"202", b"201"), "line 72, column 'y'"
    )
    yield Case("comments on top", "# exported\n" + PLAIN, "line 1: '# exported' is a comment.*grep")
    yield Case("a title", "Sales report\n" + PLAIN, "no column 'ds'")
    yield Case(
        "quoted line by line",
        "".join(f'"{row}"\n' for row in PLAIN.splitlines()),
        "whole line 'ds,y' stands in quotes",
    )
    yield Case("single quotes", csv("'ds','y'", [f"'{d}'" for d in D], V), "no column 'ds'.*Did you mean")
    yield Case("dates across", "id," + ",".join(D) + "\na," + ",".join(V) + "\n", "no column 'ds'")
    yield Case(
        "markdown",
        "| ds | y |\n|---|---|\n" + "".join(f"| {d} | {v} |\n" for d, v in zip(D, V, strict=True)),
        "line 2",
    )
    yield Case(
        "psql",
        " ds | y \n----+---\n" + "".join(f" {d} | {v}\n" for d, v in zip(D, V, strict=True)),
        "line 2: 1 field",
    )
    yield Case("blank rows of excel", PLAIN + ",\n" * 5, "line 72, column 'ds': the cell is empty")
    yield Case("an elided middle", line(PLAIN, 40, "...,..."), "line 40, column 'y'")
    yield Case("a warning of the writer", line(PLAIN, 40, "Warning: mysql_fetch failed"), "line 40: 1 field")


# Entry -> what makes its cases.
BAD: dict[int, Callable[[], Iterator[Case]]] = {
    0: unlisted,
    1: no_rows,
    2: nothing_to_read,
    3: absent_columns,
    4: repeated_columns,
    5: one_field_more,
    6: odd_rows,
    7: open_quotes,
    8: other_separators,
    9: no_numbers,
    10: encodings,
    11: nul_bytes,
    12: line_ends,
    13: other_kinds,
    15: odd_parquet,
    17: empty_ids,
    21: ambiguous_dates,
    22: mixed_dates,
    23: integer_times,
    24: repeated_times,
    26: gaps,
    27: few_dates,
    28: frequencies,
    30: zones,
    31: far_years,
    34: missing_values,
    35: infinite_values,
    37: huge_values,
    38: wrong_for_transforms,
    43: short_series,
    44: wrong_settings,
    45: quantiles,
    46: splits,
    47: broken_yaml,
    48: wrong_covariates,
    49: environment,
}


def odd_csv() -> Iterator[Good]:
    for name, end in (
        ("windows line ends", "\r\n"),
        ("old mac line ends", "\r"),
        ("line ends of both", "\r\r\n"),
    ):
        yield Good(name, PLAIN.replace("\n", end).encode())
    yield Good("mixed line ends", PLAIN.replace("\n", "\r\n", 30).encode())
    yield Good("no last line end", PLAIN.rstrip("\n"))
    yield Good("blank lines", PLAIN.replace("\n", "\n\n"))
    yield Good("a byte order mark", b"\xef\xbb\xbf" + PLAIN.encode())
    yield Good("two byte order marks", b"\xef\xbb\xbf" * 2 + PLAIN.encode())
    yield Good(
        "every cell quoted", "".join(f'"{d}","{v}"\n' for d, v in [("ds", "y"), *zip(D, V, strict=True)])
    )
    yield Good("blanks around everything", PLAIN.replace(",", " , "))
    yield Good("a separator at each end", PLAIN.replace("\n", ",\n"))
    yield Good("three separators at each end", PLAIN.replace("\n", ",,,\n"))
    yield Good("an empty column", csv("ds,y,z", D, V, [""] * 70))
    yield Good("an index without a name", csv(",ds,y", range(70), D, V))
    yield Good("columns that differ in case", csv("ds,y,Y", D, V, V[::-1]))
    yield Good("line breaks in notes", csv("ds,y,note", D, V, ['"a\nb, c"'] * 70))
    yield Good("a first column PAR1", csv("PAR1,ds,y", range(70), D, V))
    yield Good("a first column BZh", csv("BZh,ds,y", range(70), D, V))
    yield Good("an inch in a note", csv("ds,y,note", D, V, ['5" pipe'] * 70))
    yield Good(
        "twenty thousand columns",
        "ds,"
        + "x," * 0
        + ",".join(f"c{k}" for k in range(20_000))
        + ",y\n"
        + "".join(f"{d}," + "1," * 20_000 + f"{v}\n" for d, v in zip(D[:20], V, strict=False)),
    )
    for encoding in ("cp1252", "latin-1", "utf-16", "utf-16-le"):
        yield Good(encoding, long(["ü", "é"]).encode(encoding), ID | {"format": {"encoding": encoding}})
    for separator in (";", "\t", "|"):
        yield Good(f"cut at {separator!r}", csv(f"ds{separator}y", D, V, separator=separator))
    yield Good("decimal commas", csv("ds;y", D, [v.replace(".", ",") for v in V], separator=";"))
    yield Good("commas and powers of ten", csv("ds;y", D, ["1,5e3", "2,25E2"] * 35, separator=";"))
    for mark in (",", "'", " ", "\u00a0", "\u202f", "\u2009"):
        cells = [f'"1{mark}{100 + 7 * k % 90}"' for k in range(70)]
        yield Good(f"thousands with {mark!r}", csv("ds,y", D, cells), {"format": {"thousands": mark}})
    yield Good("gzip", gzip.compress(PLAIN.encode()), file="data.csv.gz")
    halves = gzip.compress(PLAIN[:500].encode()) + gzip.compress(PLAIN[500:].encode())
    yield Good("gzip in two parts", halves, file="data.csv.gz")
    yield Good("columns in brackets", csv("[ds],[y]", D, V), {"time": "[ds]", "target": "[y]"})
    yield Good("a header that begins with a hash", csv("#ds,y", D, V), {"time": "#ds"})
    yield Good("a cell of a megabyte", csv("ds,y,note", D, V, ["x" * 10**6, *[""] * 69]))


def odd_tables() -> Iterator[Good]:
    stamps = pd.to_datetime(D)
    numbers = [float(v) for v in V]
    for kind, y in {
        "float32": pa.array(numbers, pa.float32()),
        "decimals": pa.array([f"{v:.2f}" for v in numbers]).cast(pa.decimal128(10, 2)),
        "booleans": pa.array([True, False] * 35),
        "int8": pa.array([k % 7 for k in range(70)], pa.int8()),
        "numbers as text": pa.array(V),
        "a dictionary of numbers": pa.array(V).dictionary_encode(),
    }.items():
        yield Good(f"{kind}", parquet({"ds": stamps, "y": y}), file="data.parquet")
    for kind, ds in {
        "days": pa.array(stamps).cast(pa.date32()),
        "nanoseconds": pa.array(stamps).cast(pa.timestamp("ns")),
        "a zone": pa.array(stamps.tz_localize("Europe/Berlin")),
        "text": pa.array(D),
        "a dictionary of text": pa.array(D).dictionary_encode(),
    }.items():
        yield Good(f"times as {kind}", parquet({"ds": ds, "y": numbers}), file="data.parquet")
    yield Good("an ending in capitals", parquet({"ds": stamps, "y": numbers}), file="data.PARQUET")


# Names of series that are taken for something else elsewhere.
NAMES = (
    *("001", "1", "1e5", "100000", "NA", "null", "None", "nan", "True", "-", "#N/A", "0x10", "1.0"),
    *(
        "../../x",
        "/abs",
        "a/b",
        "..",
        ".",
        "x" * 10_000,
        "a\nb",
        "\U0001f600",
        "\u202egnp.exe",
        "=cmd()",
        "+1",
        "@x",
    ),
    *(
        "<script>alert(1)</script>",
        "$x^$",
        "_x",
        "-rf",
        "a\tb",
        "C:\\x",
        "con",
        'say "hi"',
        "\x1b[31mred",
        "%s",
        "{0}",
    ),
    *(" ", "\u00a0", "unique_id", "a,b", "'", "\ufeffa"),
)


def odd_ids() -> Iterator[Good]:
    for names in (
        ("001", "1", "01"),
        ("1e5", "100000"),
        ("NA", "null", "None"),
        ("../../x", "/abs"),
        ("=cmd()", "-rf"),
    ):
        yield Good(" and ".join(names), long(names), ID)
    yield Good("all at once", long(NAMES, n=20), ID, warns="only in case, blanks")
    yield Good("a zero in a name", long(["a\x00b", "a"]), ID)
    for names in (("a", " a"), ("a", "A"), ("a", "a\u00a0"), ("\u00e9", "e\u0301"), ("\uff41", "a")):
        yield Good(
            f"{names!r}", long(names), ID, warns="the id differs from .* only in case, blanks or the form"
        )
    yield Good(
        "many, with three rows each",
        long([f"s{k}" for k in range(300)], n=3) + LONG.split("\n", 1)[1],
        ID,
        warns="rows",
    )


def odd_times() -> Iterator[Good]:
    lines = LONG.splitlines()
    rng = np.random.default_rng(0)
    yield Good("shuffled", "\n".join([lines[0], *rng.permutation(lines[1:])]) + "\n", ID)
    yield Good("newest first", "\n".join([lines[0], *lines[:0:-1]]) + "\n", ID)
    yield Good(
        "interleaved",
        "\n".join([lines[0], *(lines[1 + 40 * (k % 3) + k // 3] for k in range(120))]) + "\n",
        ID,
    )
    for freq in (
        "ME",
        "B",
        "W-SUN",
        "W-WED",
        "QS-OCT",
        "QE-DEC",
        "YS",
        "YE-MAR",
        "15min",
        "2h",
        "MS",
        "BME",
    ):
        dates = pd.date_range("1996-01-01", periods=70, freq=freq).strftime("%Y-%m-%d %H:%M")
        yield Good(freq, csv("ds,y", dates, V))
    yield Good("iso weeks", csv("ds,y", days(70, "%G-W%V", "W-MON"), V))
    yield Good("quarters", csv("ds,y", [f"{2000 + k // 4}Q{k % 4 + 1}" for k in range(70)], V))
    yield Good("months", csv("ds,y", days(70, "%Y-%m", "MS", "2015-01-01"), V))
    yield Good(
        "leap days", csv("ds,y", pd.date_range("2024-02-29", periods=70, freq="D").strftime("%Y-%m-%d"), V)
    )
    switch = [str(t) for t in pd.date_range("2024-10-26", periods=70, freq="h", tz="Europe/Berlin")]
    yield Good("hours over the switch", csv("ds,y", switch, V))
    yield Good(
        "days over the switch",
        csv("ds,y", [d + "T00:00" for d in days(70, start="2024-02-20")], V),
        {"format": {"timezone": "Europe/Berlin"}},
    )
    yield Good("zulu times", csv("ds,y", [d + "T00:00:00.000Z" for d in D], V))
    for start in ("0001-01-01", "1677-09-01", "1900-02-01", "2262-04-01", "9998-01-01"):
        first = np.datetime64(start) + np.arange(70)
        yield Good(f"from {start}", csv("ds,y", first.astype(str), V))
    yield Good("steps", csv("ds,y", range(-35, 35), V), {"freq": "integer"})
    yield Good(
        "seconds since 1970",
        csv("ds,y", range(1_704_067_200, 1_704_067_200 + 3600 * 70, 3600), V),
        {"format": {"unit": "s"}},
    )
    yield Good(
        "month and year",
        csv("ds,y", days(70, "%b-%y", "MS", "2015-01-01"), V),
        {"format": {"time_format": "%b-%y"}},
    )
    yield Good("day first", csv("ds,y", days(form="%d/%m/%Y"), V), {"format": {"time_format": "%d/%m/%Y"}})
    ahead = LONG + csv("", ["d"] * 40, days(40, start="2044-01-01"), values(40)).lstrip("\n")
    yield Good("far ahead of the others", ahead, ID, warns="long after the other series end")
    behind = LONG + csv("", ["d"] * 40, days(40, start="2004-01-01"), values(40)).lstrip("\n")
    yield Good("far behind the others", behind, ID, warns="long before the other series end")
    gap = "\n".join(row for k, row in enumerate(PLAIN.splitlines()) if k not in (20, 21)) + "\n"
    for policy in ("mask", "interpolate", "ffill", "zero", "seasonal"):
        yield Good(f"gaps: {policy}", gap, {"repair": {"gaps": policy}})
    for policy in ("mean", "sum", "last"):
        yield Good(f"duplicates: {policy}", PLAIN + f"{D[-1]},5\n", {"repair": {"duplicates": policy}})


def odd_values() -> Iterator[Good]:
    hole = line(line(PLAIN, 9, f"{D[7]},"), 71, f"{D[69]},NA")
    for policy in ("mask", "interpolate", "ffill", "zero", "seasonal"):
        yield Good(f"missing: {policy}", hole, {"repair": {"missing": policy}})
    yield Good(
        "every second missing, masked",
        csv("ds,y", D, [v if k % 2 else "" for k, v in enumerate(V)]),
        {"repair": {"missing": "mask"}},
    )
    yield Good("infinite, masked", line(PLAIN, 9, f"{D[7]},inf"), {"repair": {"infinite": "mask"}})
    for name, cells, warns in (
        ("all the same", ["5"] * 70, "every value is 5"),
        ("all zero", ["0", "-0.0"] * 35, "every value is 0"),
        ("one that is not zero", ["0"] * 40 + ["7"] + ["0"] * 29, ""),
        ("zeros and ones", [str(int(k % 7 < 2)) for k in range(70)], ""),
        ("tiny", [f"{v}e-300" for v in V], ""),
        ("smaller than tiny", ["1e-320", "2e-320"] * 35, ""),
        ("large", [f"{v}e298" for v in V], ""),
        ("an offset with noise", [f"{10**9 + float(v):.2f}" for v in V], ""),
        (
            "beyond 2^53",
            [str(2**53 + 2 * k * k) for k in range(70)],
            "up to where float64 holds every whole number",
        ),
        ("one a million times larger", [*V[:30], "9e6", *V[31:]], "over 100,000 times the median"),
        ("one a million times larger, below 0", [*V[:30], "-9e6", *V[31:]], "over 100,000 times the median"),
        ("a step at the end", [*V[:65], "100", "101", "102", "103", "104"], ""),
        ("growing", [f"{1.3**k:.4f}" for k in range(70)], "over 100,000|"),
        ("many digits", ["3." + "1" * 3000, *V[1:]], ""),
        ("-999 for nothing", [*V[:30], "-999", *V[31:]], ""),
    ):
        yield Good(name, csv("ds,y", D, cells), warns=warns)
    leaked = {"covariates": {"past": ["x"]}}
    yield Good(
        "the target as a covariate", csv("ds,y,x", D, V, V), leaked, warns="'x' is the target, times a factor"
    )
    yield Good(
        "the next target as a covariate", csv("ds,y,x", D, V, [*V[1:], "5"]), leaked, warns="one step later"
    )
    yield Good("a covariate that never changes", csv("ds,y,x", D, V, ["1"] * 70), leaked)
    words = {"covariates": {"past": ["x"], "categorical": ["x"]}}
    yield Good("words", csv("ds,y,x", D, V, ["a", "b", "c", "", "NA", "x y", "\u00e9"] * 10), words)
    ahead = csv("ds,y,x", days(74), [*V, "", "", "", ""], values(74, seed=1))
    yield Good("covariates that reach ahead", ahead, {"covariates": {"future": ["x"]}})
    for transform in ("log", "log1p", "boxcox"):
        yield Good(transform, PLAIN, {}, {"transform": transform})
    short = LONG + f"d,{D[0]},1\nd,{D[1]},2\n"
    yield Good("a series of two rows", short, ID | {"freq": "D"}, warns="'d': 2 rows")
    yield Good(
        "two rows, forecast otherwise", short, ID | {"freq": "D", "on_bad_series": "baseline"}, warns="'d'"
    )
    yield Good(
        "a word, set apart",
        line(LONG, 60, f"b,{D[18]},x"),
        ID | {"on_bad_series": "baseline"},
        warns="'b' \\(V401: line 60",
    )


# What is odd and works, by what is odd about it.
GOOD: dict[str, Callable[[], Iterator[Good]]] = {
    "csv": odd_csv,
    "parquet": odd_tables,
    "ids": odd_ids,
    "times": odd_times,
    "values": odd_values,
}

# Entries with no file that must be refused: who holds the tool to them.
ELSEWHERE: dict[int, str] = {
    14: "test_sources.py",
    16: "ids",
    18: "ids",
    19: "ids",
    20: "test_bad_inputs.py",
    25: "times",
    29: "times",
    32: "times",
    33: "times",
    36: "values",
    39: "values",
    40: "values",
    41: "values",
    42: "values",
}


def bad_cases() -> dict[str, Case]:
    """Every case by number and name."""
    return {f"{entry}: {case.name[:60]}": case for entry, make in BAD.items() for case in make()}


def good_cases() -> dict[str, Good]:
    """Every case by kind and name."""
    return {f"{kind}: {case.name[:60]}": case for kind, make in GOOD.items() for case in make()}
