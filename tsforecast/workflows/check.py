"""The data doctor: everything that is wrong with the data of a config, told at once, and nothing trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.schema import Config
from tsforecast.config.words import printable
from tsforecast.errors import DataError
from tsforecast.features.auto import resolve
from tsforecast.features.transforms import check_values
from tsforecast.series.assemble import Aside, panel_from_rows, rows_of_table
from tsforecast.series.check import Finding, Rows, Severity, find_by_series
from tsforecast.series.cut import NO_CUT, Cut, cut_table
from tsforecast.series.faults import IN_A_CELL, readable_part
from tsforecast.series.panel import Panel
from tsforecast.series.read import STDIN, name_of, place_of, read_table
from tsforecast.workflows.lengths import refuse_lengths, short_series
from tsforecast.workflows.train import refuse_long_horizon

__all__ = ["Entry", "Report", "check", "report_json", "report_text"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning")
MOST_SERIES = 20  # told of each code, one by one
LONGEST = 24  # characters of a name in the table

# What a message of the reader is made of.
LINE = re.compile(r"line (\d+)\b")
PLACE = re.compile(r"^line \d+(?:: |, )")
PLACE_OF_ROW = re.compile(r"(?:^|, )line (\d+)$")
SETTING = re.compile(r"\b(data(?:\.[a-z_]+)+)(?:: |, e\.g\. )('[^']+'|\"[^\"]+\"|[\w-]+)")
COUNT = re.compile(r"\((\d+) such \w+\)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the report.

    Attributes:
        code: of the check, its section in docs/checks.md.
        severity: ``error`` or ``warning``.
        series: name of the series; None where none is meant.
        line: line of the CSV file; None where none is meant or the data is no CSV.
        timestamp: as text; None where none is meant.
        count: places like this, in this series where one is named.
        found: what is there.
        expected: what should be.
        remedy: what to do.
        repair: the line of the config that would repair it; None where none would.
        message: as ``train`` says it.
    """

    code: str
    severity: Severity
    series: str | None
    line: int | None
    timestamp: str | None
    count: int
    found: str
    expected: str | None
    remedy: str | None
    repair: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in the data of a config.

    Attributes:
        data: the file.
        n_series: series that were looked at; 0 where the file cannot be read.
        n_rows: rows that were looked at.
        entries: errors first.
        notes: what was not looked at, and why.
    """

    data: str
    n_series: int
    n_rows: int
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        """Number of entries of one severity."""
        return sum(entry.severity == severity for entry in self.entries)

    def exit_code(self, *, strict: bool) -> int:
        """3 with an error, and with a warning where that is asked for, else 0."""
        wrong = self.count("error") or (strict and self.count("warning"))
        return DataError.exit_code if wrong else 0


def check(config: Config, source: pd.DataFrame | None = None, cut: Cut = NO_CUT) -> Report:
    """Reads the data as ``train`` does and tells all that is wrong, up to where training would begin.

    Args:
        config: as loaded.
        source: data to use instead of ``data.path``.
        cut: what is left out at the end.

    Raises:
        ConfigError: settings, or a cut, that do not fit the data.
    """
    where = name_of(config.data.path) if source is None else "data frame"
    entries: list[Entry] = []
    notes: list[str] = []
    table, lost, unread = _table(config, source, entries, notes, where=where)
    if table is not None and cut:
        table = _cut(table, config, cut, where, entries, notes)
    if table is None:
        return Report(where, 0, 0, tuple(entries), tuple(notes))
    try:
        rows, aside = _rows(table, config, where, entries)
        entries += _of_rows(rows, config, where, notes, lost=lost, unread=unread)
        if not any(entry.severity == "error" for entry in entries):
            panel, _ = panel_from_rows(rows, aside, config.data, where=where)
            check_values(panel, table, config, where=where)
            entries += _of_lengths(panel, config, where)
        else:
            notes.append("lengths are looked at once the errors above are gone")
            if (policy := config.data.on_bad_series) != "fail":
                notes.append(f"with data.on_bad_series: {policy} the series without an error are trained on")
    except DataError as error:
        # Rows that cannot be read are missing for the frequency as well.
        for part in error.parts:
            if not (lost and part.code == "T305"):
                entries += _told_by_series(part, where)
    entries.sort(key=lambda entry: entry.severity)
    return Report(where, table["unique_id"].nunique(), len(table), tuple(entries), tuple(notes))


def report_text(report: Report) -> str:
    """The report for people: a table, with what was found, expected and to be done under each line."""
    lines = [_summary(report), ""]
    if report.entries:
        columns: dict[str, list[str]] = {
            "code": [entry.code for entry in report.entries],
            "severity": [entry.severity for entry in report.entries],
            "series": [printable(entry.series or "-", longest=LONGEST) for entry in report.entries],
            "line": [str(entry.line or "-") for entry in report.entries],
            "timestamp": [entry.timestamp or "-" for entry in report.entries],
            "places": [str(entry.count) for entry in report.entries],
        }
        header, *table = _rows_of_text(columns)
        lines.append(header)
        for line, entry in zip(table, report.entries, strict=True):
            lines += [line, *(f"      {text}" for text in _details(entry)), ""]
        lines.append("docs/checks.md explains each code.")
    lines += [f"Note: {note}." for note in report.notes]
    return "\n".join(lines).rstrip("\n") + "\n"


def report_json(report: Report, *, strict: bool) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "data": report.data,
        "accepted": report.exit_code(strict=strict) == 0,
        "errors": report.count("error"),
        "warnings": report.count("warning"),
        "n_series": report.n_series,
        "n_rows": report.n_rows,
        "findings": [asdict(entry) for entry in report.entries],
        "notes": list(report.notes),
    }


def _table(
    config: Config, source: pd.DataFrame | None, entries: list[Entry], notes: list[str], *, where: str
) -> tuple[pd.DataFrame | None, bool, np.ndarray[Any, np.dtype[np.int64]]]:
    """The table as far as it can be read, whether rows are lost, and rows with a number that cannot be read."""
    nothing = np.empty(0, np.int64)
    try:
        return read_table(config.data, source=source), False, nothing
    except DataError as error:
        path = config.data.path
        if source is not None or error.code not in IN_A_CELL or not _is_csv(path):
            entries += [_told(part, where) for part in error.parts]
            return None, True, nothing
        try:
            part = readable_part(path, config.data)
        except DataError as hopeless:  # a byte of the header that is no text, for one
            entries += [_told(fault, where) for fault in hopeless.parts]
            return None, True, nothing
        entries += [_told(fault, where) for fault in part.faults or [error]]
    if part.lost and part.table is not None:
        notes.append("rows that cannot be read are left out of the other checks, and gaps are not looked for")
    return part.table, part.lost, part.unread


def _cut(
    table: pd.DataFrame, config: Config, cut: Cut, where: str, entries: list[Entry], notes: list[str]
) -> pd.DataFrame | None:
    """The table without its newest rows; series of which nothing stays are told and left out."""
    data = config.data.model_copy(
        update={"on_bad_series": "fail"}
    )  # what is wrong is told whatever is done about it
    try:
        left = cut_table(table, data, cut, where=where)
    except DataError as error:
        entries += _told_by_series(error, where)
        rest = table[~table["unique_id"].isin(list(error.series))]
        return None if not error.series or rest.empty else _cut(rest, config, cut, where, entries, notes)
    notes.append(f"{left.n_rows} rows are left out ({cut.text})")
    return left.table


def _is_csv(path: str) -> bool:
    """Whether a path leads to one CSV file, which can be read once more."""
    return path != STDIN and not path.endswith(".parquet") and Path(path).is_file()


def _rows(table: pd.DataFrame, config: Config, where: str, entries: list[Entry]) -> tuple[Rows, Aside]:
    """The rows of a table; columns of a wide file that are empty are told and left out."""
    try:
        return rows_of_table(table, config.data, where=where)
    except DataError as error:
        left = table[~table["unique_id"].isin(list(error.series))]
        if not error.series or left.empty:
            raise
        entries += _told_by_series(error, where)
        return rows_of_table(left, config.data, where=where)


def _told_by_series(error: DataError, where: str) -> list[Entry]:
    """What a message says, once for each series it is about."""
    told = _told(error, where)
    each = [replace(told, series=name, found=reason) for name, reason in error.series.items()]
    return each[:MOST_SERIES] or [told]


def _told(error: DataError, where: str) -> Entry:
    """What a message of the reader says, taken apart."""
    message = str(error)
    # As in `data.csv: line 3, column 'y': what was found, expected that; what to do.`
    sentence = PLACE.sub("", message.removesuffix(".").removeprefix(f"{where}: "))
    line, setting = LINE.search(message), SETTING.search(sentence)  # data.csv is no setting
    problem, _, remedy = sentence.partition("; ")
    found, _, expected = problem.partition(", expected ")
    count = COUNT.search(message)
    return Entry(
        code=error.code or "",
        severity="error",
        series=None,
        line=int(line[1]) if line else None,
        timestamp=None,
        count=int(count[1]) if count else 1,
        found=found,
        expected=expected or None,
        remedy=remedy or None,
        repair=f"{setting[1]}: {setting[2]}" if setting else None,
        message=message,
    )


def _of_rows(
    rows: Rows,
    config: Config,
    where: str,
    notes: list[str],
    *,
    lost: bool,
    unread: np.ndarray[Any, np.dtype[np.int64]],
) -> Iterator[Entry]:
    repair = config.data.repair
    if lost:  # a row that cannot be read is no gap
        repair = repair.model_copy(update={"gaps": "mask"})
    if len(unread):  # nor is a number that cannot be read a missing one; it was told
        values = rows.values.copy()
        values[np.isin(rows.file_rows, unread)] = 1.0
        rows = replace(rows, values=values)
    for severity in SEVERITIES if not len(unread) else SEVERITIES[:1]:
        findings, left_out = find_by_series(rows, repair, severity, most=MOST_SERIES)
        notes += [f"{count} more series with {code} are not listed" for code, count in left_out.items()]
        for finding in findings:
            yield _entry(finding, config, where)


def _entry(finding: Finding, config: Config, where: str) -> Entry:
    place = "" if finding.file_row is None else place_of(config.data, where, finding.file_row)
    words = finding.words
    return Entry(
        code=finding.code,
        severity=finding.severity,
        series=finding.unique_id,
        line=int(line[1]) if (line := PLACE_OF_ROW.search(place)) else None,
        timestamp=finding.ds or None,
        count=finding.n_found,
        found=words.found,
        expected=words.expected,
        remedy=words.remedy,
        repair=words.setting or None,
        message=finding.text(where, place),
    )


def _of_lengths(panel: Panel, config: Config, where: str) -> Iterator[Entry]:
    """What ``train`` refuses or warns of between the panel and the first step of training."""
    refuse_long_horizon(config, panel, where)
    resolved = resolve(config, panel)
    refuse_lengths(panel, resolved, where)
    for short in short_series(panel, resolved):
        for alone in short.each(MOST_SERIES):
            yield Entry(
                code=short.code,
                severity="warning",
                series=alone.unique_ids[0],
                line=None,
                timestamp=None,
                count=1,
                found=alone.found,
                expected=short.expected,
                remedy=short.remedy,
                repair=None,
                message=f"{where}: {alone.text}",
            )


def _summary(report: Report) -> str:
    if not report.n_rows and report.entries:
        return f"{report.data}: cannot be read"
    rows = f"{report.n_series} series, {report.n_rows} rows"
    found = [f"{count} {word}{'s' * (count != 1)}" for word in SEVERITIES if (count := report.count(word))]
    return f"{report.data}: {rows}: {' and '.join(found) or 'nothing wrong'}"


def _rows_of_text(columns: dict[str, list[str]]) -> list[str]:
    """A header and a line for each entry, aligned to the left."""
    widths = [max(map(len, [title, *texts])) for title, texts in columns.items()]
    rows: Sequence[Sequence[str]] = [list(columns), *zip(*columns.values(), strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _details(entry: Entry) -> Iterator[str]:
    for title, text in (
        ("found", entry.found),
        ("expected", entry.expected),
        ("remedy", entry.remedy),
        ("repair", entry.repair),
    ):
        if text:
            yield f"{title + ':':<10}{text}"
