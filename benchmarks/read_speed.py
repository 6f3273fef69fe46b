"""Reading: from a CSV to the Panel, every check on, beside pandas' C reader on the same file.

    python benchmarks/read_speed.py [--rows 10000000] [--series 10000] [--rounds 3] [--stream]

Writes a long file of hourly series (about 43 bytes a row) to a temporary folder and reads it in processes of their own
on one core: with pandas (`read_csv`, dates parsed, ids as text) and with this project (ids, timestamps, numbers, order,
duplicates, gaps and missing values checked, Panel built). Prints the CPU seconds and the peak memory of each, the
median of the rounds, and the ratio.

With --stream: how much memory is taken where a file is far larger than its Panel. The same rows again, with text in
columns that nobody reads (about 430 bytes a row) and by time instead of by series; read once each, also compressed and
through a pipe. No limit is set: the peak is what a limit would have to allow.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

SIDES = ("pandas", "tsforecast")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--series", type=int, default=10_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--measure", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--stream", action="store_true", help="Measure the memory of wide files instead.")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.csv"
        if options.stream:
            stream(path, options.rows, options.series)
            return
        write_file(path, options.rows, options.series)
        print(f"{options.rows} rows, {options.series} series, {path.stat().st_size / 1e6:.0f} MB")
        found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(options.rounds):  # turn by turn, so that a busy machine hits both alike
            for side in SIDES:
                found[side].append(in_own_process(side, path))
    seconds = {side: statistics.median(one["seconds"] for one in runs) for side, runs in found.items()}
    memory = {side: statistics.median(one["megabytes"] for one in runs) for side, runs in found.items()}
    for side in SIDES:
        print(f"{side:12}{seconds[side]:8.1f} CPU s{memory[side]:10.0f} MB at most")
    print(f"tsforecast takes {seconds['tsforecast'] / seconds['pandas']:.2f} times as long as pandas")


def stream(path: Path, rows: int, series: int) -> None:
    """Prints for each form of a wide file how large it is, and what reading it takes beside the Panel."""
    panel = 8 * rows / 2**20
    print(f"{rows} rows, {series} series: a Panel of {panel:.0f} MB")
    for form in ("by series", "gzip", "pipe", "by time"):
        if form.startswith("by"):  # the others are the one before it
            write_file(path, rows, series, note=NOTE, by_time=form == "by time")
        if form == "gzip":
            compress(path)
        found = in_own_process("tsforecast", path, form=form)
        most, grown = found["megabytes"], found["megabytes"] - found["before"]
        print(
            f"{form:12}{path.stat().st_size / 2**20:8.0f} MB of CSV{found['seconds']:8.1f} CPU s"
            f"{most:8.0f} MB at most, {grown:.0f} MB of them to read, {grown / panel:.1f} times the Panel",
            flush=True,
        )


def compress(path: Path) -> None:
    import gzip

    with path.open("rb") as source, gzip.open(f"{path}.gz", "wb", compresslevel=1) as file:
        shutil.copyfileobj(source, file, 1 << 20)


NOTE = '"' + "words, and a comma, that nobody reads; " * 10 + '"'


def write_file(path: Path, rows: int, series: int, *, note: str = "", by_time: bool = False) -> None:
    """Hourly series of equal length, one after the other or by time."""
    import numpy as np
    import pandas as pd

    length = rows // series
    ending = f",{note}\n" if note else "\n"
    ds = pd.date_range("2020-01-01", periods=length, freq="h").strftime("%Y-%m-%d %H:%M:%S").to_numpy()
    random = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("unique_id,ds,y" + ",note" * bool(note) + "\n")
        for t in ds if by_time else ():
            y = random.normal(100, 10, series)
            file.writelines(f"series_{k:06},{t},{v:.4f}{ending}" for k, v in enumerate(y))
        for k in range(0 if by_time else series):
            y = random.normal(100, 10, length)
            file.writelines(f"series_{k:06},{t},{v:.4f}{ending}" for t, v in zip(ds, y, strict=True))


def in_own_process(side: str, path: Path, *, form: str = "") -> dict[str, float]:
    name = {"gzip": f"{path}.gz", "pipe": "-"}.get(form, str(path))
    command = [sys.executable, __file__, "--measure", side, name]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) if form == "pipe" else nullcontext() as cat:
        stdin = cat.stdout if cat else None
        done = subprocess.run(
            command, env=environment, stdin=stdin, stdout=subprocess.PIPE, text=True, check=True
        )
    return json.loads(done.stdout)


def measure(side: str, path: str) -> dict[str, float]:
    """CPU seconds from the file to the table or Panel, imports not counted, and the process's peak memory."""
    import resource

    work = {"pandas": read_with_pandas, "tsforecast": read_with_tsforecast}[side](path)
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "megabytes": after.ru_maxrss / 1024, "before": before.ru_maxrss / 1024}


def read_with_pandas(path: str):  # type: ignore[no-untyped-def]
    import pandas as pd

    return lambda: pd.read_csv(path, dtype={"unique_id": str}, parse_dates=["ds"], engine="c")


def read_with_tsforecast(path: str):  # type: ignore[no-untyped-def]
    import pyarrow as pa

    from tsforecast.config.schema import DataConfig
    from tsforecast.series.assemble import panel_from_table
    from tsforecast.series.read import read_table

    pa.set_cpu_count(1)
    data = DataConfig(path=path, time="ds", target="y", id="unique_id")
    return lambda: panel_from_table(read_table(data), data, where=path)


if __name__ == "__main__":
    main()
