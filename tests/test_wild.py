"""Files as they come: init and train work on them with no edit in between, or say in words why not."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_series
from typer.testing import CliRunner, Result

from tsforecast.cli.main import app
from tsforecast.config.load import load_config
from tsforecast.errors import TsforecastError

SMALL = ["training.max_steps=2", "model.hidden_size=4", "training.final_fit=false"]


def days(n: int = 70, form: str = "%Y-%m-%d", freq: str = "D", start: str = "2023-12-05") -> list[str]:
    return pd.date_range(start, periods=n, freq=freq).strftime(form).tolist()


def hours(n: int = 120, form: str = "%Y-%m-%d %H:%M") -> list[str]:
    return days(n, form, "h", start="2024-01-10")


def values(n: int = 70, season: int = 7, form: str = "{:.2f}", seed: int = 0) -> list[str]:
    return [form.format(value) for value in seasonal_series(n, season_length=season, seed=seed)]


def comma(cells: Sequence[str]) -> list[str]:
    return [cell.replace(".", ",") for cell in cells]


def rows(header: str, *columns: Sequence[Any], separator: str = ",", end: str = "\n") -> str:
    lines = [separator.join(map(str, cells)) for cells in zip(*columns, strict=True)]
    return end.join([header, *lines]) + end


def long(n_series: int = 3, n: int = 40, header: str = "shop,day,sold", name: str = "s{}") -> str:
    parts = [
        (name.format(k), *pair)
        for k in range(n_series)
        for pair in zip(days(n), values(n, seed=k), strict=True)
    ]
    return rows(header, *zip(*parts, strict=True))


def with_row(text: str, line: int, row: str | None) -> str:
    """The text with another line at a place, counted from 1, or without it."""
    lines = text.splitlines()
    lines[line - 1 : line] = [] if row is None else [row]
    return "\n".join(lines) + "\n"


PLAIN = rows("day,sold", days(), values())
GERMAN = rows("Datum;Wert", days(form="%d.%m.%Y"), comma(values()), separator=";")
SALES = ["1,234", "987", "12,345", "1,001", "950", "870", "2,500"] * 10

# Content of a file, and what its config must say.
GOOD: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "plain": (PLAIN, {"data.time": "day", "data.target": "sold", "data.freq": "D", "season_length": [7]}),
    "semicolon": (PLAIN.replace(",", ";"), {"data.format.separator": ";"}),
    "tab": (PLAIN.replace(",", "\t"), {"data.format.separator": "\t"}),
    "bar": (PLAIN.replace(",", "|"), {"data.format.separator": "|"}),
    "blank": (PLAIN.replace(",", " "), {"data.format.separator": " "}),
    "german": (GERMAN, {"data.format.decimal": ",", "data.format.time_format": "%d.%m.%Y"}),
    "german with the hour": (
        rows("Zeit;kWh", hours(form="%d.%m.%Y %H:%M"), comma(values(120, 24)), separator=";"),
        {"data.format.time_format": "%d.%m.%Y %H:%M", "data.freq": "h", "season_length": [24]},
    ),
    "german months, always the first day": (
        rows("Monat;Umsatz", days(48, "%d.%m.%Y", "MS"), values(48, 12), separator=";"),
        {"data.format.time_format": "%d.%m.%Y", "data.freq": "MS", "data.target": "Umsatz"},
    ),
    "german thousands": (
        rows(
            "Datum;Wert",
            days(form="%d.%m.%Y"),
            ["1.234,5", "999,25", "12.345,0", "7", "8,5", "9", "0,5"] * 10,
            separator=";",
        ),
        {"data.format.decimal": ",", "data.format.thousands": "."},
    ),
    "thousands in quotes": (
        rows(
            "day,sold", days(), [f'"{cell}"' for cell in ["1,234.5", "2,500", "900", "1", "2", "3", "4"] * 10]
        ),
        {"data.format.thousands": ","},
    ),
    "thousands beside whole numbers": (
        rows("day;sold", days(), SALES, separator=";"),
        {"data.format.thousands": ",", "data.format.decimal": "."},
    ),
    "thousands of blanks": (
        rows("day;sold", days(), ["1 234,5", "2 500", "900", "1", "2", "3", "4"] * 10, separator=";"),
        {"data.format.thousands": " ", "data.format.decimal": ","},
    ),
    "thousands of no-break blanks": (
        rows(
            "day;sold", days(), ["1\u00a0234,5", "2\u00a0500", "900", "1", "2", "3", "4"] * 10, separator=";"
        ),
        {"data.format.thousands": "\u00a0"},
    ),
    "swiss thousands": (
        rows("day,sold", days(), ["1'234.5", "2'500", "900", "1", "2", "3", "4"] * 10),
        {"data.format.thousands": "'"},
    ),
    "three decimals": (
        rows("day;sold", days(), values(form="{:.3f}"), separator=";"),
        {"data.format.decimal": "auto"},
    ),
    "decimal commas in quotes": (
        rows("day,sold", days(), [f'"{cell}"' for cell in comma(values())]),
        {"data.format.decimal": ","},
    ),
    "byte order mark": (b"\xef\xbb\xbf" + PLAIN.encode(), {"data.time": "day"}),
    "utf-16": (PLAIN.encode("utf-16"), {"data.format.encoding": "utf-16"}),
    "utf-16 without a mark": (PLAIN.encode("utf-16-le"), {"data.format.encoding": "utf-16-le"}),
    "cp1252": (long(header="Geschäft,day,sold").encode("cp1252"), {"data.format.encoding": "cp1252"}),
    "latin-1": (
        PLAIN.replace("sold", "gr\x81\u00f6\u00dfe").encode("latin-1"),
        {"data.format.encoding": "latin-1"},
    ),
    "utf-8 letters": (
        PLAIN.replace("sold", "größe"),
        {"data.target": "größe", "data.format.encoding": "utf-8"},
    ),
    "windows line ends": (PLAIN.replace("\n", "\r\n"), {}),
    "old mac line ends": (PLAIN.replace("\n", "\r"), {}),
    "no last line end": (PLAIN.rstrip("\n"), {}),
    "blank lines": (PLAIN.replace("\n", "\n\n"), {}),
    "everything quoted": (re.sub(r"([^,\n]+)", r'"\1"', PLAIN), {"data.target": "sold"}),
    "day first, proven": (
        rows("date,y", days(form="%d/%m/%Y"), values()),
        {"data.format.time_format": "%d/%m/%Y"},
    ),
    "month first, proven": (
        rows("date,y", days(form="%m/%d/%Y"), values()),
        {"data.format.time_format": "%m/%d/%Y"},
    ),
    "month first without zeros": (
        rows(
            "date,y",
            [f"{d.month}/{d.day}/{d.year}" for d in pd.date_range("2024-01-01", periods=70)],
            values(),
        ),
        {"data.format.time_format": "%m/%d/%Y"},
    ),
    "month first with dots, proven": (
        rows("date,y", days(form="%m.%d.%Y"), values()),
        {"data.format.time_format": "%m.%d.%Y"},
    ),
    "day first with dashes": (
        rows("date,y", days(form="%d-%m-%Y"), values()),
        {"data.format.time_format": "%d-%m-%Y"},
    ),
    "two-digit years": (
        rows("date,y", days(form="%d.%m.%y"), values()),
        {"data.format.time_format": "%d.%m.%y"},
    ),
    "am and pm": (
        rows("time,load", hours(form="%m/%d/%Y %I:%M %p"), values(120, 24)),
        {"data.format.time_format": "%m/%d/%Y %I:%M %p", "data.freq": "h"},
    ),
    "names of months": (
        rows("date,y", days(form="%d %b %Y"), values()),
        {"data.format.time_format": "%d %b %Y"},
    ),
    "month and year": (
        rows("month,y", days(48, "%b %Y", "MS"), values(48, 12)),
        {"data.format.time_format": "%b %Y", "data.freq": "MS"},
    ),
    "compact": (
        rows("date,y", days(form="%Y%m%d"), values()),
        {"data.format.time_format": "%Y%m%d", "data.freq": "D"},
    ),
    "compact month": (
        rows("month,y", days(48, "%Y%m", "MS"), values(48, 12)),
        {"data.format.time_format": "%Y%m"},
    ),
    "compact hour": (
        rows("t,y", hours(form="%Y%m%d%H"), values(120, 24)),
        {"data.format.time_format": "%Y%m%d%H"},
    ),
    "slashes, year first": (
        rows("date,y", days(form="%Y/%m/%d"), values()),
        {"data.format.time_format": "%Y/%m/%d"},
    ),
    "iso week": (
        rows("week,y", days(150, "%G-W%V", "W-MON"), values(150, 52)),
        {"data.freq": "W-MON", "data.format.time_format": "auto"},
    ),
    "quarter": (
        rows(
            "quarter,y",
            [f"{p.year}Q{p.quarter}" for p in pd.period_range("2000Q1", periods=60, freq="Q")],
            values(60, 4),
        ),
        {"data.freq": "QS-JAN", "season_length": [4]},
    ),
    "month in iso": (rows("month,y", days(48, "%Y-%m", "MS"), values(48, 12)), {"data.freq": "MS"}),
    "years": (
        rows("year,y", range(1960, 2020), values(60)),
        {"data.freq": "YS-JAN", "data.format.time_format": "%Y"},
    ),
    "iso with T and zone": (
        rows("time,y", hours(form="%Y-%m-%dT%H:%M:%SZ"), values(120, 24)),
        {"data.freq": "h"},
    ),
    "iso with offsets over the switch": (
        rows(
            "time,y",
            [str(t) for t in pd.date_range("2024-03-29", periods=120, freq="h", tz="Europe/Berlin")],
            values(120, 24),
        ),
        {"data.freq": "h"},
    ),
    "fractions of a second": (
        rows("time,y", [f"2024-01-01 00:00:{k / 10:06.3f}" for k in range(100)], values(100)),
        {"data.freq": "100ms"},
    ),
    "business days": (
        rows("date,close", days(70, freq="B"), values(70, 5)),
        {"data.freq": "B", "data.target": "close"},
    ),
    "month ends": (rows("date,y", days(48, freq="ME"), values(48, 12)), {"data.freq": "ME"}),
    "weeks on sundays": (rows("date,y", days(150, freq="W-SUN"), values(150, 52)), {"data.freq": "W-SUN"}),
    "quarter hours": (
        rows("date,y", days(300, "%Y-%m-%d %H:%M", "15min"), values(300, 96)),
        {"data.freq": "15min", "season_length": [96]},
    ),
    "counted steps": (
        rows("t,y", range(100), values(100, 12)),
        {"data.freq": "integer", "season_length": [12]},
    ),
    "rows counted under another name": (
        rows("Zeile,Wert", range(1, 81), values(80)),
        {"data.freq": "integer"},
    ),
    "long": (long(), {"data.id": "shop", "data.target": "sold"}),
    "long with numbers for ids": (long(name="{}"), {"data.id": "shop"}),
    "long with ids that look missing": (long(2, name="NA{}").replace("NA0", "NA"), {"data.id": "shop"}),
    "long, shuffled": (
        "\n".join([lines[0], *np.random.default_rng(0).permutation(lines[1:])]) + "\n"
        if (lines := long().splitlines())
        else "",
        {"data.id": "shop"},
    ),
    "long, one after the other": (
        rows("series,day,y", ["a"] * 35 + ["b"] * 35, days(), values()),
        {"data.id": "series"},
    ),
    "long with a region above the shop": (
        rows(
            "region,shop,day,sold",
            *zip(
                *[("n" if line[1] < "2" else "s", *line.split(",")) for line in long().splitlines()[1:]],
                strict=True,
            ),
        ),
        {"data.id": "shop"},
    ),
    "blanks in ids are part of them": (long().replace("s1,", " s1,"), {"data.id": "shop"}),
    "wide": (
        rows("day,s1,s2,s3", days(), *(values(seed=k) for k in range(3))),
        {"data.target": ["s1", "s2", "s3"], "data.id": None},
    ),
    "wide without telling names": (
        rows("day,north,south,east", days(), *(values(seed=k) for k in range(3))),
        {"data.target": ["north", "south", "east"]},
    ),
    "wide of loads": (
        rows("day,load_a,load_b,temperature", days(), *(values(seed=k) for k in range(3))),
        {"data.target": ["load_a", "load_b"]},
    ),
    "wide with an empty column": (
        rows("day,s1,s2,s3", days(), values(), [""] * 70, values(seed=1)),
        {"data.target": ["s1", "s3"]},
    ),
    "wide with late starts": (
        rows("day,s1,s2", days(), values(), [""] * 20 + values(50)),
        {"data.target": ["s1", "s2"]},
    ),
    "covariates beside the target": (
        rows("day,sales,price,promo", days(), values(), values(seed=1), [0, 1] * 35),
        {"data.target": "sales"},
    ),
    "flags are no series": (
        rows("day,kW,holiday", days(), values(), [0] * 60 + [1] * 10),
        {"data.target": "kW"},
    ),
    "nameless row numbers": (rows(",day,sold", range(70), days(), values()), {"data.target": "sold"}),
    "a separator at the end of each line": (PLAIN.replace("\n", ",\n"), {"data.target": "sold"}),
    "blanks around names, dates and numbers": (
        PLAIN.replace(",", " , ").replace("day", " day"),
        {"data.time": "day", "data.target": "sold"},
    ),
    "missing values": (
        with_row(PLAIN, 9, "2023-12-12,"),
        {"data.repair.missing": "interpolate", "data.repair.gaps": "error"},
    ),
    "missing values in words": (with_row(PLAIN, 9, "2023-12-12,NA"), {"data.repair.missing": "interpolate"}),
    "missing values of blanks": (with_row(PLAIN, 9, "2023-12-12,  "), {"data.repair.missing": "interpolate"}),
    "missing steps": (
        with_row(PLAIN, 9, None),
        {"data.repair.gaps": "interpolate", "data.repair.missing": "error", "data.freq": "D"},
    ),
    "a row twice": (
        PLAIN + "2023-12-12,5.5\n",
        {"data.repair.duplicates": "mean", "data.repair.gaps": "error", "data.id": None},
    ),
    "newest first": (
        "\n".join([PLAIN.splitlines()[0], *PLAIN.splitlines()[:0:-1]]) + "\n",
        {"data.repair.gaps": "error"},
    ),
    "line breaks in a cell": (
        rows("day,sold,note", days(), values(), ['"a\nb, c"'] * 70),
        {"data.target": "sold"},
    ),
    "notes here and there": (
        rows("day,north,note", days(), values(), ["", "", "stocktaking", "7", ""] * 14),
        {"data.target": "north"},
    ),
    "names with commas": (rows('day,"sold, in units"', days(), values()), {"data.target": "sold, in units"}),
    "a few rows": (rows("day,y", days(12), values(12)), {"horizon": 2}),
    "constant": (rows("day,y", days(), [5] * 70), {"season_length": [1]}),
    "no season": (
        rows("day,y", days(300), np.random.default_rng(0).normal(size=300).cumsum().round(3)),
        {"season_length": [1]},
    ),
    "exponents": (rows("day,y", days(), values(form="{:.3e}")), {}),
    "date and time apart": (
        rows("date,time,y", [h[:10] for h in hours()], [h[11:] for h in hours()], values(120)),
        {"data.time": ["date", "time"], "data.freq": "h", "data.target": "y", "data.id": None},
    ),
    "beginning and end of each step": (
        rows(
            "Datum;Anfang;Ende;MWh",
            days(120, "%d.%m.%Y", "h"),
            days(120, "%H:%M", "h"),
            days(120, "%H:%M", "h", start="2023-12-05 01:00"),
            comma(values(120)),
            separator=";",
        ),
        {"data.time": ["Datum", "Anfang"], "data.format.time_format": "%d.%m.%Y %H:%M", "data.freq": "h"},
    ),
    "date and hour apart": (
        rows("date,hour,y", [h[:10] for h in hours()], [int(h[11:13]) for h in hours()], values(120)),
        {"data.time": ["date", "hour"], "data.format.time_format": "auto", "data.freq": "h"},
    ),
    "date, hour and minute apart": (
        rows(
            "date,hour,minute,y",
            days(120, "%Y/%m/%d", "15min"),
            days(120, "%H", "15min"),
            days(120, "%M", "15min"),
            values(120),
        ),
        {"data.format.time_format": "%Y/%m/%d %H %M", "data.freq": "15min"},
    ),
    "year and month apart": (
        rows("year,month,y", days(48, "%Y", "MS"), days(48, "%m", "MS"), values(48)),
        {"data.time": ["year", "month"], "data.freq": "MS", "data.target": "y"},
    ),
    "year, month and day apart": (
        rows("month,day,year,y", days(form="%m"), days(form="%d"), days(form="%Y"), values()),
        {"data.time": ["year", "month", "day"], "data.format.time_format": "%Y %m %d", "data.freq": "D"},
    ),
    "two columns for the series": (
        rows(
            "store,item,day,y",
            *zip(
                *[(s, i, d, 5 + k % 7) for s in "ab" for i in "xy" for k, d in enumerate(days(40))],
                strict=True,
            ),
        ),
        {"data.id": ["store", "item"], "data.target": "y"},
    ),
    "three columns of numbers for the series": (
        rows(
            "day,region,store,item,sales",
            *zip(
                *[
                    (d, r, s, i, r + s + i + k % 7)
                    for r in (1, 2)
                    for s in (1, 2)
                    for i in (1, 2, 3)
                    for k, d in enumerate(days(40))
                ],
                strict=True,
            ),
        ),
        {"data.id": ["region", "store", "item"], "data.target": "sales"},
    ),
    "one short series among long ones": (
        long() + "s9,2023-12-05,1\ns9,2023-12-06,2\ns9,2023-12-07,3\n",
        {"horizon": 8},
    ),
}


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def command(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("name", GOOD)
def test_init_and_train_work_with_no_edit_in_between(tmp_path: Path, name: str) -> None:
    content, expected = GOOD[name]
    path = written(tmp_path, content)
    made = command("init", path, "-o", tmp_path / "c.yaml")
    assert made.exit_code == 0, made.exception
    config = load_config(tmp_path / "c.yaml", environ={})
    assert {key: value_of(config, key) for key in expected} == expected
    trained = command(
        "train", tmp_path / "c.yaml", "--run", tmp_path / "run", *(f"--set={key}" for key in SMALL)
    )
    assert trained.exit_code == 0, trained.exception
    assert (tmp_path / "run" / "forecast.csv").is_file()


def value_of(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name)
    return config


# Content of a file, what its config must leave open, and an answer with which it trains.
ASKED: dict[str, tuple[str, str, str]] = {
    "day or month first": (
        rows("date,y", days(12, "%d/%m/%Y", "MS") * 2, values(24), ["a"] * 12 + ["b"] * 12).replace(
            "date,y", "date,y,id"
        ),
        "data.format.time_format",
        "%d/%m/%Y",
    ),
    "day or month first, with the hour": (
        rows("date,y", days(100, "%m/%d/%Y %H:%M", "h", start="2024-03-04"), values(100)),
        "data.format.time_format",
        "%m/%d/%Y %H:%M",
    ),
    "two-digit years": (
        rows("date,y", days(12, "%d/%m/%y", "MS"), values(12)),
        "data.format.time_format",
        "%d/%m/%y",
    ),
    "unix seconds": (
        rows("timestamp,y", range(1_700_000_000, 1_700_000_000 + 3600 * 100, 3600), values(100)),
        "data.format.unit",
        "s",
    ),
    "unix milliseconds": (
        rows("time,y", range(1_700_000_000_000, 1_700_000_000_000 + 3_600_000 * 100, 3_600_000), values(100)),
        "data.format.unit",
        "ms",
    ),
    "decimals or thousands": (
        rows("day;y", days(), [f"{k},{5 * k % 9}17" for k in range(10, 80)], separator=";"),
        "data.format.decimal",
        ",",
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_only_the_user_knows_is_asked_and_refused_until_answered(tmp_path: Path, name: str) -> None:
    content, key, answer = ASKED[name]
    path = written(tmp_path, content)
    made = command("init", path, "-o", tmp_path / "c.yaml")
    assert made.exit_code == 0, made.exception
    assert f"{key}: Please answer" in made.stderr
    assert f"answer {key} there before training" in made.stderr
    train = (
        "train",
        tmp_path / "c.yaml",
        "--run",
        tmp_path / "run",
        *(f"--set={setting}" for setting in SMALL),
    )
    refused = command(*train).exception
    assert isinstance(refused, TsforecastError)
    assert refused.exit_code == 2
    assert re.search(rf"c.yaml:\d+:\d+: {key}: init left a question open", str(refused))
    answered = command(*train, f"--set={key}={answer}")
    assert answered.exit_code == 0, answered.exception


# Content of a file, and words of the message.
BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the file is empty"),
    "blank lines only": ("\n\n\n", "only blank lines"),
    "header only": ("day,sold\n", "a header and no row below it"),
    "one column": (rows("y", values()), "one column only, 'y', and no time"),
    "no time": (rows("a,b", values(), values(seed=1)), "no column holds timestamps"),
    "no numbers": (rows("day,name", days(), ["x", "y"] * 35), "no column holds numbers to forecast"),
    "no header": (PLAIN.split("\n", 1)[1], "line 1: '2023-12-05,.*' looks like data, expected the names"),
    "no header, counted steps": (rows("0,1.5", range(1, 71), values()), "looks like data"),
    "no header, german": (GERMAN.split("\n", 1)[1], "looks like data"),
    "comments at the top": (
        "# from the meter\n# in kWh\n" + PLAIN,
        "line 1: '# from the meter' is a comment.*grep -v",
    ),
    "one comment": ("#made,by,me\n" + PLAIN, "line 1: .*is a comment"),
    "a title above the header": (
        "Sales report\n" + PLAIN,
        "the header has 1 field and the rows have 2.*remove what stands",
    ),
    "a title with a blank line": ("Sales report\n\n" + PLAIN, "the header has 1 field and the rows have 2"),
    "a mark for excel": ("sep=;\n" + PLAIN.replace(",", ";"), "line 1: 'sep=;?' is a mark for Excel"),
    "a name twice": (rows("day,sold,sold", days(), values(), values()), "2 columns are named 'sold'"),
    "a name twice but for blanks": (
        rows("day,sold, sold", days(), values(), values()),
        "2 columns are named 'sold'",
    ),
    "rows with a separator more": (
        with_row(PLAIN.replace("\n", ",\n"), 1, "day,sold"),
        "they end with a separator",
    ),
    "rows with a field more": (rows("day,sold", days(), values(), values()), "2 fields and the rows have 3"),
    "a header with a field more": (rows("day,sold,extra", days(), values()), "3 fields and the rows have 2"),
    "decimal commas without quotes": (
        rows("day,sold", days(), comma(values())),
        "2 fields and the rows have 3.*decimal commas",
    ),
    "one long row": (with_row(PLAIN, 9, "2023-12-12,1,2"), "line 9: 3 fields, expected 2"),
    "one short row": (with_row(PLAIN, 9, "2023-12-12"), "line 9: 1 field, expected 2"),
    "a footer": (PLAIN + "Source: the meter\n", "line 72: 1 field, expected 2"),
    "a total at the end": (
        PLAIN + "Total,812.5\n",
        "line 72, column 'day': found 'Total', expected a timestamp",
    ),
    "a quote that is not closed": (with_row(PLAIN, 9, '"2023-12-12,1'), "quote"),
    "one word among the numbers": (
        with_row(PLAIN, 9, "2023-12-12,broken"),
        "line 9, column 'sold': found 'broken'",
    ),
    "a late word among the numbers": (
        rows("t,y", range(3000), [*values(2999), "x"]),
        "line 3001, column 'y': 'x' is not a number",
    ),
    "a word in the target beside other numbers": (
        rows("day,sold,price", days(), [*values(69), "closed"], values(seed=1)),
        "line 71, column 'sold': found 'closed', expected a number",
    ),
    "a word in one of many series": (
        rows("day,s1,s2,s3", days(), values(), [*values(69), "?"], values(seed=1)),
        "line 71, column 's2': found '\\?', expected a number",
    ),
    "percent": (
        rows("day,share", days(), [f"{v}%" for v in values()]),
        "'share' holds numbers with something beside them",
    ),
    "dollars": (
        rows("day,price", days(), [f"${v}" for v in values()]),
        "'price' holds numbers with something beside them",
    ),
    "euros": (
        rows("day;price", days(), [f"{v} €" for v in comma(values())], separator=";"),
        "'price' holds numbers with",
    ),
    "no date of the calendar": (with_row(PLAIN, 9, "2023-02-30,1"), "line 9, column 'day'"),
    "mixed dates": (with_row(PLAIN, 9, "12.12.2023,1"), "line 9, column 'day': found '12.12.2023'"),
    "day first and month first": (
        rows("date,y", [*days(40, "%d/%m/%Y"), *days(30, "%m/%d/%Y", start="2024-01-14")], values()),
        "column 'date'|no column holds timestamps",
    ),
    "an empty date": (with_row(PLAIN, 9, ",1"), "line 9, column 'day': .*empty|found ''"),
    "hours from 1 to 24": (
        rows("date,hour,y", [h[:10] for h in hours()], [int(h[11:13]) + 1 for h in hours()], values(120)),
        "'hour' counts hours up to 24, expected 0 to 23; .*subtract 1",
    ),
    "a date and an hour that is none": (
        rows("date,hour,y", [h[:10] for h in hours()], [int(h[11:13]) for h in hours()], values(120)).replace(
            ",13,", ",99,"
        ),
        "'date' and 'hour' are one timestamp such as .2024-01-10 00., and not in every row",
    ),
    "hours without a day": (
        rows("time,y", [f"{k:02d}:00" for k in range(24)], values(24)),
        "no column holds timestamps",
    ),
    "day and month without a year": (
        rows("month,day,y", [int(d[5:7]) for d in days()], [int(d[8:]) for d in days()], values()),
        "holds a part of the time and .* another",
    ),
    "dates in the header": (
        "shop,"
        + ",".join(days(40))
        + "\n"
        + "".join(f"s{k}," + ",".join(values(40, seed=k)) + "\n" for k in range(3)),
        "the header holds 40 dates.*transpose",
    ),
    "series on their side": (
        "id,"
        + ",".join(f"V{k}" for k in range(60))
        + "\n"
        + "".join(f"T{k}," + ",".join(values(60, seed=k)) + "\n" for k in range(5)),
        "if each row is a series, transpose",
    ),
    "nameless counter": (rows(",y", range(70), values()), "counts the rows has no name; name it t"),
    "irregular times": (
        rows(
            "time,y",
            (
                pd.Timestamp("2024-01-01")
                + pd.to_timedelta(np.random.default_rng(0).integers(1, 10**6, 70).cumsum(), "s")
            ).astype(str),
            values(),
        ),
        "is not a step of frequency|the gaps between",
    ),
    "one far date": (PLAIN + "9023-12-12,5.5\n", "the gaps between"),
    "infinite": (with_row(PLAIN, 9, "2023-12-12,inf"), "line 9: .*is infinite"),
    "two rows": (rows("day,y", days(2), [1, 2]), "fewer than 3 different timestamps"),
    "rows that nothing tells apart": (
        rows("day,y", days(10) * 7, values()),
        "60 of 70 rows share their time",
    ),
    "an empty id": (long().replace("s1,2023-12-09,", ",2023-12-09,"), "column 'shop': the cell is empty"),
    "a series without a value": (long() + "".join(f"s9,{day},\n" for day in days(9)), "s9"),
    "mixed zones": (
        rows("time,y", [f"{h}{'Z' if k % 2 else ''}" for k, h in enumerate(hours())], values(120)),
        "mix timestamps|no column holds|found '",
    ),
    "a nul in a number": (with_row(PLAIN, 9, "2023-12-12,2\0"), "line 9, column 'sold'"),
    "gzip without its ending": (gzip.compress(PLAIN.encode()), "a gzip file"),
    "a workbook": (b"PK\x03\x04" + bytes(100), "an Excel workbook"),
    "parquet": (b"PAR1\x15" + bytes(100), "a Parquet file"),
    "utf-32": (PLAIN.encode("utf-32"), "UTF-32 text; save it as UTF-8"),
    "no text": (bytes(range(256)) * 20, "."),
    "mixed encodings": (
        long(header="größe,day,sold", name="ü{}").encode() + "ü,2024-05-05,1\n".encode("cp1252"),
        "byte 0xfc is not utf-8 text",
    ),
    "one line of ten megabytes": ("x" * 10**7, "line 1|one column"),
    "one line of a million fields": ("a," * 10**6, "no row below it|columns"),
    "excel's day numbers": (
        rows("date,y", range(45292, 45362), values(form="{:.0f}")),
        "column 'date' .* Excel",
    ),
    "years beyond the calendar": (with_row(PLAIN, 9, "12023-12-12,1"), "line 9, column 'day'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused_in_words(tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    path = written(tmp_path, content)
    refused = command("init", path, "-o", tmp_path / "c.yaml").exception
    assert isinstance(refused, TsforecastError), refused
    assert refused.exit_code == 3
    assert re.search(f"data.csv: .*({words})", str(refused)), str(refused)
    assert len(str(refused).splitlines()[0]) < 600
    assert not (tmp_path / "c.yaml").exists()
