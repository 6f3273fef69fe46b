"""What cron and systemd are given: lines that run the command whatever its path looks like."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tsforecast.errors import ConfigError
from tsforecast.workflows.nightly.schedule import cron, program, systemd

ODD = 'it\'s 100% $HOME; "odd" \\ ü'
PRINT = [sys.executable, "-c", "import os, sys; print(os.getcwd()); print(sys.argv[1:])"]


def as_cron_runs_it(line: str) -> str:
    """The command of a crontab line as cron hands it to its shell: an escaped % is one, a bare one would end it."""
    *_, command = line.splitlines()[-1].split(" ", 5)
    assert "%" not in command.replace("\\%", "")
    return command.replace("\\%", "%")


def test_a_crontab_line_runs_the_words_in_the_folder_whatever_their_letters(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()

    line = cron([*PRINT, ODD], name="jobs.yaml", folder=folder, at="4:05")

    assert line.startswith("# tsforecast: jobs.yaml\n5 4 * * * cd ")
    done = subprocess.run(
        ["/bin/sh", "-c", as_cron_runs_it(line)], env={}, cwd="/", capture_output=True, encoding="utf-8"
    )
    assert done.stdout.splitlines() == [str(folder), repr([ODD])], done.stderr


def test_the_words_of_a_unit_are_quoted_as_systemd_reads_them(tmp_path: Path) -> None:
    text = systemd(
        ["/bin/x", "plain.yaml", 'a "b" $c 5%\\'], name="my jobs.yaml", folder=tmp_path, at="23:59"
    )

    assert 'ExecStart=/bin/x plain.yaml "a \\"b\\" $$c 5%%\\\\"\n' in text
    assert "OnCalendar=*-*-* 23:59:00\n" in text
    assert "# ~/.config/systemd/user/tsforecast-my-jobs.yaml.service\n" in text
    assert "systemctl --user enable --now tsforecast-my-jobs.yaml.timer" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    folder = tmp_path / "100% my jobs"
    folder.mkdir()
    text = systemd(["/bin/true", "batch", "it's.yaml"], name="it's.yaml", folder=folder, at="03:17")

    for part in text.split("# ~/.config/systemd/user/")[1:]:
        name, _, unit = part.partition("\n")
        (tmp_path / name).write_text(unit)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True
        )
        assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])


@pytest.mark.parametrize("at", ["24:00", "3", "03:60", "three"])
def test_no_time_of_day_is_refused(at: str) -> None:
    with pytest.raises(ConfigError, match="is no time of day such as 03:17"):
        cron(["x"], name="x", folder=Path("/"), at=at)


@pytest.mark.parametrize("schedule", [cron, systemd])
def test_a_line_break_in_a_path_is_refused(schedule: type[cron]) -> None:
    with pytest.raises(ConfigError, match="line break"):
        schedule(["x"], name="x", folder=Path("/a\nb"), at="03:17")


def test_the_program_is_named_by_a_path_that_needs_no_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "tsforecast"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    monkeypatch.setattr(sys, "argv", ["tsforecast"])
    assert program() == [str(script)]

    monkeypatch.setattr(sys, "argv", ["/somewhere/__main__.py"])
    assert program() == [sys.executable, "-m", "tsforecast"]
