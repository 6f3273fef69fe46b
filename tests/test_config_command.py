"""`tsforecast config schema` and `tsforecast config show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tsforecast.cli.config import app
from tsforecast.config.load import load_config
from tsforecast.config.reference import jobs_json_schema, json_schema
from tsforecast.config.schema import CONFIG_KEYS


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text("data: {path: a.csv, time: t, target: 'NO'}\nhorizon: 12\n", encoding="utf-8")
    return path


def stdout_of(*words: str | Path) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_schema_prints_the_json_schema() -> None:
    assert stdout_of("schema") == json_schema()
    assert stdout_of("schema", "--jobs") == jobs_json_schema()


def test_show_prints_every_key_with_value_and_origin(config: Path) -> None:
    lines = stdout_of("show", config, "--set", "training.max_steps=50").splitlines()

    rows = {line.split(" = ")[0].rstrip(): line.split(" = ")[1] for line in lines}

    assert list(rows) == list(CONFIG_KEYS)
    assert rows["training.max_steps"].split() == ["50", "#", "--set"]
    assert rows["horizon"].split() == ["12", "#", f"{config}:2"]
    assert rows["lookback"].split() == ["auto", "#", "default"]


def test_show_aligns_the_origins(config: Path) -> None:
    lines = stdout_of("show", config, "--set", "data.path=/a.csv").splitlines()

    assert len({line.index("   # ") for line in lines}) == 1


def test_what_show_prints_can_be_set(config: Path) -> None:
    lines = stdout_of("show", config).splitlines()

    overrides = [line.split("   # ")[0] for line in lines]

    assert load_config(config, overrides=overrides, environ={}) == load_config(config, environ={})


def test_show_prints_one_json_document(config: Path) -> None:
    document = json.loads(stdout_of("show", config, "--json", "--set", "training.max_steps=50"))

    assert document["training.max_steps"] == {"value": 50, "origin": "--set"}
    assert document["data.target"] == {"value": "NO", "origin": f"{config}:1"}
