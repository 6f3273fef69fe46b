"""Cron nights under a faked clock: data that is late, missing, doubled, corrected or broken, and clocks that are wrong.

Usage: python week.py FOLDER [WEEK …] [--mail]

Each night a fresh process with next to no environment runs `tsforecast batch`, another one `tsforecast score`, both at
02:10 of the next day by libfaketime. What they are to do is told here from the rows of the file alone. After each night
exit codes, the mail that cron would send, status, sinks, archive and what is left behind must be as told, and the same
night at another clock in another zone must write the same bytes. Prints a JSON of what happened; `--mail` prints all
mails, for someone to read.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
from night import CONFIG, outputs, status_of
from skips import faketime_library
from synthetic import seasonal_frame

HORIZON = 7
DAYS_BEFORE = 63
MAX_AGE = timedelta(days=3)
JOBS = """\
archive: archive
on_failure: [cp, -t, failed]
jobs:
  - name: sales
    run: runs/sales
    config: sales.yaml
    max_age: 3d
    sinks:
      - csv: out/sales.csv
      - parquet: out/parquet
      - sql: sqlite:///out/sales.db
    retrain: {schedule: weekly}
    drift: {metric: mase, worse_than: 50, over: 14d}
    keep: {archive: 10d, partitions: 4d}
"""
KEPT_ARCHIVE, KEPT_PARTITIONS = timedelta(days=10), timedelta(days=4)

# As `python -m tsforecast`. libfaketime 0.9.10 lets Python's sleep fail where the monotonic clock is the true one.
PROGRAM = """\
import sys, threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds)
sys.argv[0] = "tsforecast"
from tsforecast.__main__ import main
sys.exit(main())
"""

Lines = list[str]  # of the file, the header left out


@dataclass(frozen=True)
class Night:
    """What the file is like in a night, and how wrong the clock is.

    Attributes:
        name: in words.
        deliver: makes the lines of the file from those that should be there and those of the night before; None
            where there is no file.
        off: of the clock.
        again: in the same night, the lines are changed once more and the same commands are run again.
        twice: the night is lived at another clock as well.
    """

    name: str
    deliver: Callable[[Lines, Lines], Lines | None]
    off: timedelta = timedelta(0)
    again: Callable[[Lines, Lines], Lines | None] | None = None
    twice: bool = True


def whole(lines: Lines, _before: Lines) -> Lines:
    return lines


def nothing_new(_lines: Lines, before: Lines) -> Lines:
    return before


def no_file(_lines: Lines, _before: Lines) -> None:
    return None


def late_for_one(lines: Lines, _before: Lines) -> Lines:
    return _without_newest(lines, "s3")


def twice(lines: Lines, _before: Lines) -> Lines:
    newest = _newest(lines)
    return [*lines, *(line for line in lines if f",{newest}," in line)]


def twice_for_one(lines: Lines, _before: Lines) -> Lines:
    newest = _newest(lines)
    return [*lines, *(line for line in lines if line.startswith(f"s1,{newest},"))]


def twice_and_unequal(lines: Lines, _before: Lines) -> Lines:
    return [*lines, f"s1,{_newest(lines)},99.5"]


def corrected(lines: Lines, _before: Lines) -> Lines:
    """The third last day of a series was another."""
    place = _places(lines, "s0")[-3]
    return [*lines[:place], lines[place].rpartition(",")[0] + ",11.25", *lines[place + 1 :]]


def one_bad(lines: Lines, _before: Lines) -> Lines:
    place = _places(lines, "s2")[5]
    return [*lines[:place], lines[place].rpartition(",")[0] + ",n/a?", *lines[place + 1 :]]


def half_written(lines: Lines, _before: Lines) -> Lines:
    """Broken off in the date of the tenth newest row of the last but one series."""
    place = _places(lines, "s3")[-10]
    return [*lines[:place], lines[place][:9]]


def _newest(lines: Lines) -> str:
    return max(line.split(",")[1] for line in lines)


def _places(lines: Lines, name: str) -> list[int]:
    return [k for k, line in enumerate(lines) if line.startswith(f"{name},")]


def _without_newest(lines: Lines, name: str) -> Lines:
    newest = _newest(lines)
    return [line for line in lines if not line.startswith(f"{name},{newest},")]


SHORT = (
    Night("all is well", whole, again=corrected, twice=False),
    Night("the clock jumps a year ahead", whole, off=timedelta(days=366)),
    Night("the newest day of one series twice, unequal", twice_and_unequal),
)
LONG = (
    Night("all is well, and the run is trained", whole),
    Night("the newest day of one series is late", late_for_one),
    Night("it comes with the next", whole),
    Night("no new day at all", nothing_new),
    Night("and again none", nothing_new),
    Night("all have come", whole),
    Night("the newest day twice, of all", twice),
    Night("the newest day twice, of one", twice_for_one),
    Night("the newest day of one series twice, unequal", twice_and_unequal),
    Night("all is well", whole, again=corrected),
    Night("one bad series", one_bad),
    Night("the file is half written", half_written),
    Night("all is well once more", whole),
    Night("the clock is set back a month", whole, off=-timedelta(days=30)),
    Night("the clock jumps a year ahead", whole, off=timedelta(days=366)),
    Night("the file is gone", no_file),
    Night("all is well at last", whole),
)


@dataclass(frozen=True)
class Week:
    """First night, zone of the clock and the nights."""

    first: date
    zone: str
    nights: Sequence[Night]


WEEKS = {
    "short": Week(
        date(2024, 3, 30), "Europe/Berlin", SHORT
    ),  # the clock goes from 02:00 to 03:00 the next night
    "utc": Week(date(2024, 3, 20), "UTC", LONG),
    "berlin": Week(date(2024, 3, 25), "Europe/Berlin", LONG),
    "new york": Week(date(2024, 10, 30), "America/New_York", LONG),
    "auckland": Week(date(2024, 4, 1), "Pacific/Auckland", LONG),
    "kathmandu leap day": Week(date(2024, 2, 24), "Asia/Kathmandu", LONG),
    "marquesas new year": Week(date(2023, 12, 26), "Pacific/Marquesas", LONG),
}


@dataclass
class Told:
    """What is to be found after a night, told from the file alone.

    Attributes:
        code: exit code of batch.
        state: of the job.
        as_of: newest day of the file; None where nothing was to be read.
        bad: series that cannot be forecast.
        score_code: exit code of score.
        rows: of the forecasts of each as-of that the database holds.
        has_mail: whether there is something to say: a failure, or more series that end early than the night before.
        issued: sets of forecasts of each as-of that the archive holds.
        partitions: as-ofs that the Parquet sink holds.
    """

    code: int = 0
    state: str = ""
    as_of: str | None = None
    bad: set[str] = field(default_factory=set)
    score_code: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    issued: Counter[str] = field(default_factory=Counter)
    partitions: set[str] = field(default_factory=set)
    made: dict[str, object] = field(default_factory=dict)
    trained_to: date | None = None
    has_mail: bool = False
    late: dict[str, int] = field(default_factory=dict)
    is_trained: bool = False

    def tell(self, lines: Lines | None, now: datetime) -> None:
        """What the next night does."""
        self._tell(lines, now)
        self.has_mail |= self.code != 0

    def _tell(self, lines: Lines | None, now: datetime) -> None:
        self.is_trained = self.has_mail = False
        if lines is None or lines[-1].count(",") != 2:  # a line with too few cells may mean anything
            self.code, self.state, self.score_code = 3, "failed", 3
            return
        good, unread, twofold = _series(lines)
        self.bad = unread | twofold
        self.score_code = 5 if unread else 0  # of two rows of one day the last is scored
        if not good:
            self.code, self.state = 3, "failed"
            return
        newest = max(max(days) for days in good.values())
        if now - datetime.combine(newest, datetime.min.time()) > MAX_AGE:
            self.code, self.state = 3, "failed"
            return
        self.as_of = str(newest)
        if self.trained_to is None or _week(newest) > _week(self.trained_to):
            self.trained_to, self.is_trained = newest, True
        fingerprint = (self.trained_to, sorted((name, sorted(days.items())) for name, days in good.items()))
        is_new = self.made.get(self.as_of) != fingerprint
        self.code = 5 if self.bad else 0
        self.state = "partly" if self.bad else "done" if is_new else "skipped"
        if is_new:
            late = sum(max(days) < newest for days in good.values())
            before = max((day for day in self.late if day < self.as_of), default=None)
            self.has_mail = before is not None and late > self.late[before]
            self.late[self.as_of] = late
            self._make(newest, n_rows=HORIZON * len(good))
            self.made[self.as_of] = fingerprint

    def _make(self, newest: date, *, n_rows: int) -> None:
        as_of = str(newest)
        self.rows[as_of] = n_rows
        self.issued[as_of] += 1
        self.partitions.add(as_of)
        last = date.fromisoformat(max(self.made, default=as_of))
        last = max(last, newest)
        self.issued = Counter(
            {day: n for day, n in self.issued.items() if last - date.fromisoformat(day) <= KEPT_ARCHIVE}
        )
        self.partitions = {
            day for day in self.partitions if last - date.fromisoformat(day) <= KEPT_PARTITIONS
        }


def _series(lines: Lines) -> tuple[dict[str, dict[date, float]], set[str], set[str]]:
    """The days of the series that are right, the names of those with a bad cell and of those with a day twice."""
    days: dict[str, dict[date, float]] = {}
    unread, twofold = set(), set()
    for name, *rest in csv.reader(lines):
        known = days.setdefault(name, {})
        try:
            day, value = date.fromisoformat(rest[0]), float(rest[1])
        except (ValueError, IndexError):
            unread.add(name)
            continue
        if day in known:
            twofold.add(name)
        known[day] = value
    bad = unread | twofold
    return {name: known for name, known in days.items() if name not in bad}, unread, twofold


def _week(day: date) -> tuple[int, int]:
    return day.isocalendar()[:2]


def main(folder: Path, names: Sequence[str], *, with_mail: bool = False) -> dict[str, object]:
    """What happened, by week and night."""
    return {name: live(folder / name.replace(" ", "_"), WEEKS[name], with_mail=with_mail) for name in names}


def live(folder: Path, week: Week, *, with_mail: bool) -> list[str]:
    """Lives through the nights of a week, and says in a line what each was."""
    truth = prepared(folder, week)
    told, before, said = Told(), [], []
    for k, night in enumerate(week.nights):
        day = week.first + timedelta(days=k)
        should_be = [line for line in truth if date.fromisoformat(line.split(",")[1]) < day]
        for deliver in (night.deliver, night.again):
            if deliver is None:
                continue
            lines = deliver(should_be, before)
            put(folder, lines)
            clock = datetime(day.year, day.month, day.day, 2, 10) + night.off
            told.tell(lines, clock)
            name = f"{day} {night.name}"
            elsewhere = at_another_clock(folder) if night.twice and told.code in (0, 5) else None
            outcome = one_night(folder, week, clock, told, with_mail=with_mail, name=name)
            if elsewhere and (faults := differing(folder, elsewhere, told)):
                raise SystemExit("\n".join([f"{name} ({folder}):", *faults]))
            said.append(f"{name}: {outcome}")
            before = before if lines is None else lines
    return said


def prepared(folder: Path, week: Week) -> Lines:
    """The jobs in a folder of their own; the true rows, those of the days to come as well."""
    folder.mkdir(parents=True)
    (folder / "failed").mkdir()
    (folder / "jobs.yaml").write_text(JOBS)
    (folder / "sales.yaml").write_text(CONFIG)
    frame = seasonal_frame(n_series=5, length=DAYS_BEFORE + len(week.nights), freq="D", season_length=7)
    frame["ds"] += pd.Timestamp(week.first) - frame["ds"].min() - pd.Timedelta(days=DAYS_BEFORE)
    return frame.to_csv(index=False, header=False, date_format="%Y-%m-%d").splitlines()


def put(folder: Path, lines: Lines | None) -> None:
    """The file as it was delivered; of one that was broken off the last line has no end."""
    path = folder / "sales.csv"
    if lines is None:
        path.unlink()
        return
    is_whole = lines[-1].count(",") == 2
    path.write_text("\n".join(["unique_id,ds,y", *lines]) + ("\n" if is_whole else ""))


def one_night(folder: Path, week: Week, clock: datetime, told: Told, *, with_mail: bool, name: str) -> str:
    """Runs what cron runs, and looks at everything; a line of what happened."""
    shutil.rmtree(folder / "failed")
    (folder / "failed").mkdir()
    done = {
        command: at(clock, week.zone, folder, *words)
        for command, words in (
            ("batch", ("batch", "jobs.yaml")),
            ("score", ("score", "archive", "--page", "scores.html")),
        )
    }
    if with_mail:
        for command, one in done.items():
            out = "" if command == "score" else one.stdout
            sys.stdout.write(f"--- {name}: {command}, exit code {one.returncode}\n{out}{one.stderr}\n")
    faults = list(faults_of(folder, told, done))
    if faults:
        mails = "\n".join(one.stdout + one.stderr for one in done.values())
        raise SystemExit("\n".join([f"{name} ({folder}):", *faults, "", mails]))
    about = f" as of {told.as_of}" if told.code in (0, 5) else ""
    return f"{told.code} {told.state}{about}" + (", trained" if told.is_trained else "")


def at(clock: datetime, zone: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as cron would run it at this time of this zone."""
    environment = {
        "TZ": zone,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "LD_PRELOAD": str(faketime_library()),
        "FAKETIME": clock.strftime("@%Y-%m-%d %H:%M:%S"),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-c", PROGRAM, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def faults_of(folder: Path, told: Told, done: Mapping[str, subprocess.CompletedProcess[str]]) -> list[str]:
    """What is not as told."""
    mail, job = done["batch"], status_of(folder)["jobs"][0]
    found = {
        "exit code": (mail.returncode, told.code),
        "exit code of score": (done["score"].returncode, told.score_code),
        "exit code of the status": (status_of(folder)["exit_code"], told.code),
        "state": (job["state"], told.state),
        "stdout": (mail.stdout, ""),
        "is there a mail": (bool(mail.stderr), told.has_mail),
        "traceback": ("Traceback" in mail.stderr + done["score"].stderr, False),
        "on_failure": (
            sorted(path.name for path in (folder / "failed").iterdir()),
            ["jobs.status.json"] if told.code else [],
        ),
        "archive": (archived(folder), dict(told.issued)),
        "database": (in_database(folder), told.rows),
        "doubles in the database": (doubles(folder), 0),
        "partitions": (in_partitions(folder), {day: told.rows[day] for day in told.partitions}),
        "left behind": (sorted(path.name for path in folder.rglob(".*") if path.suffix != ".lock"), []),
    }
    if told.code in (0, 5):
        found["as of"] = (job["as_of"], told.as_of)
        found["trained"] = (bool(job.get("trained")), told.is_trained)
        found["failed"] = (failed(folder), sorted(told.bad))
        newest = pd.read_csv(folder / "out/sales.csv")
        found["rows of the CSV"] = (len(newest), told.rows[str(told.as_of)])
        found["doubles in the CSV"] = (int(newest.duplicated(["unique_id", "ds"]).sum()), 0)
    return [
        f"{what}: {is_}, expected {should_be}" for what, (is_, should_be) in found.items() if is_ != should_be
    ]


def archived(folder: Path) -> dict[str, int]:
    paths = (folder / "archive").rglob("*.parquet")
    return dict(Counter(path.parent.name.removeprefix("as_of=") for path in paths))


def in_partitions(folder: Path) -> dict[str, int]:
    paths = (folder / "out" / "parquet").rglob("*.parquet")
    return {path.parent.name.removeprefix("as_of="): len(pd.read_parquet(path)) for path in paths}


def in_database(folder: Path) -> dict[str, int]:
    return dict(asked(folder, "select as_of, count(*) from forecasts group by 1"))


def doubles(folder: Path) -> int:
    counted = asked(
        folder, "select count(*) from forecasts group by job, as_of, unique_id, ds having count(*) > 1"
    )
    return len(counted)


def asked(folder: Path, query: str) -> list[tuple[str, int]]:
    path = folder / "out" / "sales.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def failed(folder: Path) -> list[str]:
    path = folder / "jobs.failures.csv"
    return sorted(set(pd.read_csv(path)["unique_id"])) if path.exists() else []


def at_another_clock(folder: Path) -> tuple[int, str, dict[str, bytes]]:
    """Exit code, mail and outputs of the same night with another clock and zone; the folder stays as it was."""
    kept = folder.with_name(f"{folder.name}.kept")
    shutil.copytree(folder, kept)
    (folder / "jobs.yaml").write_text(JOBS.replace("    max_age: 3d\n", ""))
    done = at(datetime(2001, 9, 9, 3, 46, 40), "Pacific/Chatham", folder, "batch", "jobs.yaml")
    found = outputs(folder)
    shutil.rmtree(folder)
    kept.rename(folder)
    return done.returncode, done.stderr, found


def differing(folder: Path, elsewhere: tuple[int, str, dict[str, bytes]], told: Told) -> list[str]:
    """What the other clock made another."""
    code, mail, theirs = elsewhere
    ours = outputs(folder)
    if told.is_trained:  # the run says when it was trained, so that its hash and the run key are others
        ours, theirs = ({"out/sales.csv": files["out/sales.csv"]} for files in (ours, theirs))
    names = sorted(ours.keys() | theirs.keys())
    faults = [f"at another clock {name} is another" for name in names if ours.get(name) != theirs.get(name)]
    if code != told.code:
        faults.append(f"at another clock the exit code is {code}\n{mail}")
    return faults


if __name__ == "__main__":
    chosen = [word for word in sys.argv[2:] if not word.startswith("--")] or list(WEEKS)
    happened = main(Path(sys.argv[1]).resolve(), chosen, with_mail="--mail" in sys.argv)
    sys.stdout.write(json.dumps(happened, indent=1) + "\n")
