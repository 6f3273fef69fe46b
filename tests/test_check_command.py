from __future__ import annotations

import ast
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_frame
from test_cli import tsforecast

import tsforecast as package
from tsforecast.config.load import config_from_mapping, load_config
from tsforecast.errors import ConfigError, DataError
from tsforecast.series.check import CHECKS
from tsforecast.workflows.check import Report, check, report_text
from tsforecast.workflows.lengths import LENGTH_CHECKS
from tsforecast.workflows.train import train

PACKAGE = Path(package.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "checks.md"
CODE = re.compile(r"[FITVL]\d{3}")
CONFIG = """\
data: {path: data.csv, time: ds, target: y}
horizon: 1
"""


@dataclass(frozen=True)
class Section:
    """One code on the page: its example and what is said about it."""

    code: str
    severity: str
    blocks: dict[str, str]


def sections() -> list[Section]:
    found = []
    for text in PAGE.read_text().split("\n### ")[1:]:
        blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))
        severity = re.search(r"^(Error|Warning)\. ", text, flags=re.MULTILINE)
        assert severity is not None, text
        found.append(Section(text[:4], severity[1].lower(), blocks))
    return found


def said_of(section: Section) -> list[tuple[str, str, str]]:
    """Code, severity and message of everything that is found in the example, which lies in this folder."""
    if "csv" in section.blocks:
        Path("data.csv").write_text(section.blocks["csv"])
    Path("data.yaml").write_text(section.blocks.get("yaml", CONFIG))
    names: dict[str, object] = {"Path": Path, "pd": pd}
    try:
        exec(section.blocks.get("python", ""), names)
        frame = names.get("frame")
        report = check(load_config(Path("data.yaml")), frame if isinstance(frame, pd.DataFrame) else None)
    except DataError as error:
        return [(error.code or "", "error", str(error))]
    here = f"{Path.cwd()}/"
    return [(entry.code, entry.severity, entry.message.replace(here, "")) for entry in report.entries]


def job(folder: Path, csv: str, config: str = CONFIG) -> Path:
    (folder / "data.csv").write_text(csv)
    (folder / "data.yaml").write_text(config)
    return folder / "data.yaml"


def checked(folder: Path, csv: str, config: str = CONFIG) -> Report:
    return check(load_config(job(folder, csv, config)))


def codes(report: Report) -> list[str]:
    return [entry.code for entry in report.entries]


def csv_of(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


LONG = "data: {path: data.csv, time: ds, target: y, id: unique_id}\nhorizon: 4\n"


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.code)
def test_the_example_of_each_code_gives_its_message(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = (section.code, section.severity, section.blocks["text"].rstrip("\n"))
    assert expected in said_of(section)


def test_the_page_has_each_code_once_and_no_other() -> None:
    used = {check.code for check in CHECKS.values()} | set(LENGTH_CHECKS)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                used.add(node.value.value)
    on_page = [section.code for section in sections()]
    assert on_page == sorted(used, key=lambda code: ("FITVL".index(code[0]), code))
    assert all(CODE.fullmatch(code) for code in used)


@pytest.mark.parametrize("path", sorted((PACKAGE / "series").glob("*.py")), ids=lambda path: path.name)
def test_every_refusal_of_the_data_has_a_code(path: Path) -> None:
    if path.stem in (
        "detect",
        "layout",
        "dates",
        "dateparts",
        "roles",
    ):  # what `init` cannot guess is no defect of the data
        return
    without = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("DataError", "CellError")
        and "code" not in [keyword.arg for keyword in node.keywords]
    ]
    assert without == []


def test_each_check_has_a_code_of_its_own() -> None:
    assert len({check.code for check in CHECKS.values()}) == len(CHECKS)


def test_clean_data_is_accepted(tmp_path: Path) -> None:
    report = checked(tmp_path, csv_of(seasonal_frame(n_series=3, length=60)), LONG)
    assert report.entries == ()
    assert (report.n_series, report.n_rows) == (3, 180)
    assert report.exit_code(strict=True) == 0


DEFECTS = """\
shop,day,sales
A,2024-01-01,1
A,2024-01-02,x3
A,2024-01-03,4
A,2024-01-03,5
A,2024-01-05,
B,2024-01-01,7
B,2024-01-02,7,1
B,2024-13-03,7
B,2024-01-04,7
,2024-01-03,0
B,2024-01-04,inf
"""
DEFECTS_CONFIG = "data: {path: data.csv, time: day, target: sales, id: shop}\nhorizon: 1\n"


def test_cells_that_cannot_be_read_do_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    report = checked(tmp_path, DEFECTS, DEFECTS_CONFIG)
    assert {(entry.code, entry.line) for entry in report.entries} == {
        ("F106", 8),
        ("T302", 9),
        ("V401", 3),
        ("I201", 11),
        ("V404", 12),
        ("T307", 5),
        ("T307", 12),
        ("V403", 6),
    }
    assert any("left out of the other checks" in note for note in report.notes)


def test_each_series_with_a_defect_is_named(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=3, length=20).drop(index=[3, 25, 30])
    report = checked(tmp_path, csv_of(frame), LONG)
    assert [(entry.code, entry.series, entry.count) for entry in report.entries] == [
        ("T308", "s0", 1),
        ("T308", "s1", 2),
    ]


def test_empty_columns_of_a_wide_file_do_not_hide_what_is_wrong_in_others(tmp_path: Path) -> None:
    csv = "ds,a,b,c\n" + "".join(f"2024-01-0{d},{d},,{'inf' if d == 4 else d}\n" for d in range(1, 8))
    report = checked(tmp_path, csv, "data: {path: data.csv, time: ds, target: [a, b, c]}\nhorizon: 1\n")
    assert [(entry.code, entry.series) for entry in report.entries] == [("V407", "b"), ("V404", "c")]


def test_a_finding_says_all_that_the_issue_asks_for(tmp_path: Path) -> None:
    (entry,) = checked(tmp_path, "ds,y\n2024-01-01,1\n2024-01-02,2\n2024-01-04,3\n2024-01-05,4\n").entries
    assert (entry.code, entry.severity, entry.series, entry.line) == ("T308", "error", "y", 4)
    assert entry.timestamp == "2024-01-04 00:00:00"
    assert entry.found == "1 step missing after 2024-01-02 00:00:00"
    assert entry.expected == "a row for each step of frequency 'D'"
    assert entry.repair == "data.repair.gaps: mask"


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.code)
def test_what_check_refuses_train_refuses_and_what_it_accepts_is_trained(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if section.code == "T311":  # met in predict alone
        return
    said = said_of(section)
    names: dict[str, object] = {"Path": Path, "pd": pd}
    exec(section.blocks.get("python", ""), names)
    frame = names.get("frame")
    config = load_config(Path("data.yaml"), overrides=["model.hidden_size=4", "training.max_steps=2"])
    refused = False
    try:
        train(config, path=tmp_path / "run", source=frame if isinstance(frame, pd.DataFrame) else None)
    except DataError:
        refused = True
    assert refused == any(severity == "error" for _, severity, _ in said)


def test_the_line_to_add_to_the_config_repairs(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=2, length=60)
    frame.loc[7, "y"] = np.nan
    frame.loc[9, "y"] = np.inf
    broken = pd.concat([frame, frame.iloc[[20]]]).drop(index=40)
    path = job(tmp_path, csv_of(broken), LONG)
    lines = [entry.repair for entry in check(load_config(path)).entries]
    assert len(lines) == 4
    overrides = [str(line).replace(": ", "=") for line in lines]
    assert check(load_config(path, overrides=overrides)).entries == ()


def test_settings_that_do_not_fit_the_data_are_a_config_error(tmp_path: Path) -> None:
    csv = "ds,y\n" + "".join(f"{k},{k % 7}\n" for k in range(60))
    config = (
        "data: {path: data.csv, time: ds, target: y, freq: integer, calendar: [day_of_week]}\nhorizon: 1\n"
    )
    with pytest.raises(ConfigError, match=r"data.calendar"):
        checked(tmp_path, csv, config)


def test_the_same_checks_run_in_train(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = seasonal_frame(n_series=2, length=60)
    frame.loc[frame["unique_id"] == "s1", "y"] = 4.0
    config = config_from_mapping(
        {
            "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
            "horizon": 4,
            "model": {"hidden_size": 4},
            "training": {"max_steps": 2},
        }
    )
    train(config, path=tmp_path / "run", source=frame)
    assert "series 's1': every value is 4, expected values that change" in caplog.text


def test_a_table_is_for_people(tmp_path: Path) -> None:
    text = report_text(checked(tmp_path, "ds,y\n2024-01-01,1\n2024-01-02,2\n2024-01-04,3\n2024-01-05,4\n"))
    assert "1 series, 4 rows: 1 error" in text
    assert re.search(r"^T308 +error +y +4 +2024-01-04 00:00:00 +1$", text, flags=re.MULTILINE)
    assert "repair:   data.repair.gaps: mask" in text


def test_a_series_with_control_characters_in_its_name_cannot_move_the_terminal(tmp_path: Path) -> None:
    csv = "unique_id,ds,y\n\x1b[2J,2024-01-01,\n\x1b[2J,2024-01-02,2\n\x1b[2J,2024-01-03,3\n"
    assert "\x1b" not in report_text(checked(tmp_path, csv, LONG))


def test_many_bad_series_are_cut(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=30, length=10)
    frame.loc[frame["ds"] == "2015-03-01", "y"] = np.nan
    report = checked(tmp_path, csv_of(frame), LONG)
    assert codes(report) == ["V403"] * 20
    assert "10 more series with V403 are not listed" in report.notes


def test_the_command_exits_with_3_for_errors_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, DEFECTS, DEFECTS_CONFIG)
    assert tsforecast("check", path) == 3
    out, err = capfd.readouterr()
    assert "T307" in out
    assert err == ""
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.csv", "data.yaml"]


def test_json_is_one_document(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = job(tmp_path, DEFECTS, DEFECTS_CONFIG)
    assert tsforecast("check", path, "--json") == 3
    document = json.loads(capfd.readouterr().out)
    assert (document["accepted"], document["errors"], document["warnings"]) == (False, 8, 0)
    assert document["findings"][0]["code"] == "F106"


def test_warnings_fail_under_strict_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = seasonal_frame(n_series=2, length=60)
    frame.loc[frame["unique_id"] == "s1", "y"] = 0.0
    path = job(tmp_path, csv_of(frame), LONG)
    assert tsforecast("check", path) == 0
    assert tsforecast("check", path, "--strict") == 3
    assert "V410" in capfd.readouterr().out


def test_settings_from_the_shell_count(tmp_path: Path) -> None:
    path = job(tmp_path, csv_of(seasonal_frame(n_series=2, length=60).drop(index=5)), LONG)
    assert tsforecast("check", path) == 3
    assert tsforecast("check", path, "--set", "data.repair.gaps=mask") == 0


def test_data_from_stdin_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = job(tmp_path, "", LONG.replace("data.csv", "'-'"))
    bad = csv_of(seasonal_frame(n_series=1, length=30)).replace("2015-03-01", "March")

    class Stdin:
        closed = False
        buffer = io.BytesIO(bad.encode())

    monkeypatch.setattr("sys.stdin", Stdin)
    (entry,) = check(load_config(path)).entries
    assert (entry.code, entry.line) == ("T302", 4)


def test_a_finding_in_one_of_several_files_has_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "sales"
    folder.mkdir()
    (folder / "1.csv").write_text("ds,y\n2024-01-01,1\n2024-01-02,2\n")
    (folder / "2.csv").write_text("ds,y\n2024-01-03,3\n2024-01-05,4\n")
    path = tmp_path / "data.yaml"
    path.write_text("data: {path: sales, time: ds, target: y, freq: D}\nhorizon: 1\n")
    (entry,) = check(load_config(path)).entries
    assert (entry.code, entry.line) == ("T308", 3)
    assert f"{folder / '2.csv'}, line 3" in entry.message


def test_a_value_that_the_transform_does_not_take_is_told_of_each_series(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=3, length=60)
    frame.loc[[7, 130], "y"] = 0.0
    report = checked(tmp_path, csv_of(frame), LONG + "transform: log\n")
    assert [(entry.code, entry.series) for entry in report.entries] == [("V416", "s0"), ("V416", "s2")]
