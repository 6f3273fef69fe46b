"""Every shipped configuration is read, and does what it is for: it trains, scores and forecasts."""

from __future__ import annotations

import json
import math
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tsforecast.__main__ import main
from tsforecast.config.load import load_config
from tsforecast.evaluation.baselines import BASELINES

REPOSITORY = Path(__file__).parents[1]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.yaml"))
SHORTENED = ["--set", "training.max_steps=5", "--set", "model.hidden_size=8"]

each_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)


def command(*words: str | Path) -> None:
    """Runs ``tsforecast WORDS`` in this process; an exit code other than 0 fails the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tsforecast", *map(str, words)])
        try:
            code = main()
        except SystemExit as stop:
            code = stop.code
    assert not code


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda path: path.stem)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A shipped configuration and the run folder of its shortened training."""
    run = tmp_path_factory.mktemp("runs") / request.param.stem
    command("train", request.param, "--run", run, *SHORTENED)
    return request.param, run


@each_config
def test_a_shipped_config_names_the_command_that_runs_it_on_its_first_line(config: Path) -> None:
    first_line = config.read_text(encoding="utf-8").splitlines()[0]

    _, words = first_line.split("; run: ")

    assert shlex.split(words) == ["tsforecast", "train", f"configs/{config.name}"]


@each_config
def test_a_shipped_config_names_the_schema_for_editors(config: Path) -> None:
    second_line = config.read_text(encoding="utf-8").splitlines()[1]

    name = second_line.removeprefix("# yaml-language-server: $schema=")

    assert (config.parent / name).is_file()


@each_config
def test_a_shipped_config_comments_every_setting(config: Path) -> None:
    lines = config.read_text(encoding="utf-8").splitlines()[2:]
    sections = yaml.safe_load("\n".join(lines))

    bare = [line for line in lines if line.strip() and "#" not in line]

    assert all(line.strip().removesuffix(":") in {*sections, "covariates"} for line in bare)


@each_config
def test_a_shipped_config_reads_data_that_ships(config: Path) -> None:
    path = Path(load_config(config).data.path)

    assert path.parent == REPOSITORY / "data"
    assert path.is_file()


def test_the_shipped_configs_show_each_kind_of_network() -> None:
    models = [load_config(config).model for config in CONFIGS]

    assert {(model.cell, model.bidirectional) for model in models} == {
        ("lstm", False),
        ("lstm", True),
        ("gru", False),
    }


def test_training_leaves_scores_of_the_model_and_the_baselines(trained: tuple[Path, Path]) -> None:
    _, run = trained

    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))

    models = metrics["test"]["models"]
    assert set(models) == {metrics["model"], *BASELINES}
    assert all(math.isfinite(scores["mase"]) for scores in models.values())


def test_a_forecast_follows_the_last_row_of_every_series(trained: tuple[Path, Path], tmp_path: Path) -> None:
    path, run = trained
    config = load_config(path)
    data = pd.read_csv(config.data.path, parse_dates=[config.data.time])

    command("predict", run, "--out", tmp_path / "forecast.csv")

    forecast = pd.read_csv(tmp_path / "forecast.csv", parse_dates=["ds"])
    series = set(data[config.data.id]) if config.data.id else {config.data.target}
    ahead = pd.date_range(data[config.data.time].max(), periods=config.horizon + 1, freq=config.data.freq)[1:]
    assert set(forecast["unique_id"]) == series
    for _, rows in forecast.groupby("unique_id"):
        assert list(rows["ds"]) == list(ahead)
    assert forecast["y_hat"].notna().all()
