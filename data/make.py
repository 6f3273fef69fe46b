"""Makes the CSV files of this folder from the packages they were taken from.

    pip download --no-deps -d wheels sktime==1.2.0 autots==1.0.4 vega_datasets==0.9.0
    python data/make.py wheels

Only the standard library is needed. A source file that is not the one described in README.md is refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
Row = dict[str, str]

TRAFFIC_FIRST = datetime(2018, 4, 1)
TRAFFIC_LAST = datetime(2018, 9, 30, 23)
WEEK = timedelta(days=7)


class Source(NamedTuple):
    """One file inside one wheel, known by its SHA-256."""

    wheel: str
    member: str
    sha256: str


AIRLINE = Source(
    wheel="sktime-1.2.0-py3-none-any.whl",
    member="sktime/datasets/data/Airline/Airline.csv",
    sha256="28af0eb869db6d9fbd31d5af03993a0cbf36c0857c3eb046a068c094b60da851",
)
TRAFFIC = Source(
    wheel="autots-1.0.4-py3-none-any.whl",
    member="autots/datasets/data/traffic_hourly.zip",
    sha256="71416c6c5adf1e322c3a9483c70ea44dbbcac4ef3d47aa346d763b77478f35ad",
)
EMPLOYMENT = Source(
    wheel="vega_datasets-0.9.0-py3-none-any.whl",
    member="vega_datasets/_data/us-employment.csv",
    sha256="0fa5366929bf738ac420509b84ed120155f740b0fa9c265ca309dad4057d1b1b",
)
WEATHER = Source(
    wheel="vega_datasets-0.9.0-py3-none-any.whl",
    member="vega_datasets/_data/seattle-weather.csv",
    sha256="62f0609f787158128aa2bd102967173a4953122dd4f872bf1d502cae1037df0b",
)


def read_source(wheels: Path, source: Source) -> bytes:
    """The bytes of a source file; exits when they are not those the README describes."""
    with zipfile.ZipFile(wheels / source.wheel) as archive:
        content = archive.read(source.member)
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        sys.exit(f"{source.wheel}: {source.member}: SHA-256 is {found}, expected {source.sha256}")
    return content


def rows_of(content: bytes) -> list[Row]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def unzip_single(content: bytes) -> bytes:
    """The only file of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        return archive.read(name)


def air_passengers(wheels: Path) -> Iterator[Row]:
    """Monthly passengers, with the day added to the month."""
    for row in rows_of(read_source(wheels, AIRLINE)):
        yield {"month": f"{row['Date']}-01", "passengers": row["Passengers"]}


def metro_traffic(wheels: Path) -> Iterator[Row]:
    """Hourly vehicles of half a year; a missing hour takes the value of the week before."""
    source = rows_of(unzip_single(read_source(wheels, TRAFFIC)))
    volume = {datetime.fromisoformat(row["datetime"]): row["traffic_volume"] for row in source}
    hour = TRAFFIC_FIRST
    while hour <= TRAFFIC_LAST:
        yield {"timestamp": f"{hour:%Y-%m-%d %H:%M}", "vehicles": volume[hour] or volume[hour - WEEK]}
        hour += timedelta(hours=1)


def us_employment(wheels: Path) -> Iterator[Row]:
    """Monthly employees by sector in long form, without the derived column of monthly changes."""
    source = rows_of(read_source(wheels, EMPLOYMENT))
    for sector in source[0]:
        if sector in ("month", "nonfarm_change"):
            continue
        for row in source:
            name = sector.replace("utilties", "utilities")  # misspelt in the source
            yield {"sector": name, "month": row["month"], "employees": row[sector]}


def seattle_weather(wheels: Path) -> Iterator[Row]:
    """Daily weather without the verbal column, dates as ISO 8601."""
    for row in rows_of(read_source(wheels, WEATHER)):
        numbers = {name: row[name] for name in ("temp_max", "temp_min", "precipitation", "wind")}
        yield {"date": row["date"].replace("/", "-"), **numbers}


def write(path: Path, rows: Iterable[Row]) -> None:
    table = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}  {len(table)} rows")


DATA_SETS = {
    "air_passengers.csv": air_passengers,
    "metro_traffic.csv": metro_traffic,
    "us_employment.csv": us_employment,
    "seattle_weather.csv": seattle_weather,
}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, make in DATA_SETS.items():
        write(HERE / name, make(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
