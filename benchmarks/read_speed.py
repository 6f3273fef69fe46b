"""Reading: from a CSV to the Panel, every check on, beside pandas' C reader on the same file.

    python benchmarks/read_speed.py [--rows 10000000] [--series 10000] [--rounds 3]

Writes a long file of hourly series (about 43 bytes a row) to a temporary folder and reads it in processes of their own
on one core: with pandas (`read_csv`, dates parsed, ids as text) and with this project (ids, timestamps, numbers, order,
duplicates, gaps and missing values checked, Panel built). Prints the CPU seconds and the peak memory of each, the
median of the rounds, and the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
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
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.csv"
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


def write_file(path: Path, rows: int, series: int) -> None:
    """Hourly series of equal length, one after the other."""
    import numpy as np
    import pandas as pd

    length = rows // series
    ds = pd.date_range("2020-01-01", periods=length, freq="h").strftime("%Y-%m-%d %H:%M:%S").to_numpy()
    random = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("unique_id,ds,y\n")
        for k in range(series):
            y = random.normal(100, 10, length)
            file.writelines(f"series_{k:06},{t},{v:.4f}\n" for t, v in zip(ds, y, strict=True))


def in_own_process(side: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", side, str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def measure(side: str, path: str) -> dict[str, float]:
    """CPU seconds from the file to the table or Panel, imports not counted, and the process's peak memory."""
    import resource

    work = {"pandas": read_with_pandas, "tsforecast": read_with_tsforecast}[side](path)
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "megabytes": after.ru_maxrss / 1024}


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
