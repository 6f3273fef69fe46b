from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import seasonal_frame
from typer.testing import CliRunner

from tsforecast.cli.main import app
from tsforecast.config.load import load_config
from tsforecast.errors import ConfigError
from tsforecast.features.auto import resolve
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.read import read_table
from tsforecast.workflows.init import init


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    names = {"unique_id": "shop", "ds": "month", "y": "sold: units"}
    seasonal_frame(n_series=3, length=60).rename(columns=names).to_csv(path, index=False)
    return path


def test_the_written_config_reads_the_file_it_was_written_for(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "configs" / "sales.yaml"
    out.parent.mkdir()
    init(csv, out=out)
    config = load_config(out)
    panel, _ = panel_from_table(read_table(config.data), config.data)
    assert panel.n_series == 3
    assert (config.data.target, config.data.id, config.horizon) == ("sold: units", "shop", 12)


def test_what_auto_comes_to_today_is_what_training_will_take(csv: Path, tmp_path: Path) -> None:
    text = init(csv, out=tmp_path / "sales.yaml").text
    config = load_config(tmp_path / "sales.yaml")
    panel, _ = panel_from_table(read_table(config.data), config.data)
    taken = resolve(config, panel)
    today = {
        line.split(":")[0].strip(): line.rpartition("today: ")[2]
        for line in text.splitlines()
        if "today: " in line
    }
    assert today == {
        "lookback": str(taken.lookback),
        "validation": str(taken.split.validation),
        "test": str(taken.split.test),
    }


def test_a_config_that_is_there_is_kept(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "sales.yaml"
    out.write_text("mine")
    with pytest.raises(ConfigError, match=r"sales.yaml: this file exists; .*--overwrite"):
        init(csv, out=out)
    assert out.read_text() == "mine"


def test_a_config_that_is_there_is_replaced_when_asked(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "sales.yaml"
    out.write_text("mine")
    made = init(csv, out=out, overwrite=True)
    assert out.read_text() == made.text


def test_without_a_target_nothing_is_written(csv: Path, tmp_path: Path) -> None:
    made = init(csv, out=None)
    assert "horizon: 12" in made.text
    assert [path.name for path in tmp_path.iterdir()] == ["sales.csv"]


def test_the_command_writes_beside_the_current_folder_by_default(
    csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    result = CliRunner().invoke(app, ["init", str(csv)])
    assert result.stdout == "config: sales.yaml\nnext: tsforecast train sales.yaml\n"
    assert load_config(tmp_path / "work" / "sales.yaml").data.path == str(csv)


def test_the_command_prints_the_config_and_tells_its_guesses_on_stderr(csv: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(csv), "--out", "-", "--verbose"])
    assert result.stdout == init(csv, out=None).text
    assert "data.id: Likely: with 'month' it tells all rows apart; 3 series." in result.stderr
