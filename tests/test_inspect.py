"""Looking into a run: the files it leaves, and a reading whose numbers are those of the files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread
from synthetic import seasonal_frame
from test_cli import tsforecast

from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import CELL_NAMES
from tsforecast.errors import ConfigError
from tsforecast.runs import verify_run
from tsforecast.workflows.inspect import inspect, reading, reading_json, write
from tsforecast.workflows.predict import LoadedRun, load_run
from tsforecast.workflows.train import train

FRAME = seasonal_frame(n_series=3, length=72)
LOOKBACK = 10


def trained(folder: Path, **model: object) -> LoadedRun:
    config = config_from_mapping(
        {
            "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
            "horizon": 4,
            "lookback": LOOKBACK,
            "season_length": [6, 12],
            "model": {"hidden_size": 5, "lags": [12]} | model,
            "training": {"max_steps": 4, "batch_size": 8, "final_fit": False},
        }
    )
    return load_run(train(config, path=folder / "run", source=FRAME).path)


@pytest.fixture(scope="module")
def lstm(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return trained(tmp_path_factory.mktemp("lstm"), cell="bilstm", num_layers=2)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_every_cell_is_inspected(tmp_path: Path, cell: str) -> None:
    run = trained(tmp_path, cell=cell)
    seen = inspect(run)
    names = {path.name for path in write(tmp_path / "out", seen)}
    pictures = {"gates_layer1.png", "memory_line_layer1.png", "gradient.png"}
    pictures |= {"memory.png"} if cell != "rnn" else set()
    assert names == {"gates.csv", "units.csv", "gradient.csv", "influence.csv", "reading.json", *pictures}
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in names)
    assert seen.difference < 1e-6
    assert reading(seen).startswith(f"{cell}, 1 layer of 5 units; average of 3 series, window of 10 steps")
    assert ("no gates" in reading(seen)) == (cell == "rnn")


def test_the_reading_gives_the_numbers_of_the_tables(tmp_path: Path) -> None:
    run = trained(tmp_path, cell="lstm")
    seen = inspect(run, series="s1")
    write(tmp_path / "out", seen)
    text = reading(seen)
    units = pd.read_csv(tmp_path / "out" / "units.csv")
    gradient = pd.read_csv(tmp_path / "out" / "gradient.csv")
    gates = pd.read_csv(tmp_path / "out" / "gates.csv")

    median, longest = units["memory_length"].median(), units["memory_length"].max()
    plural = "" if median == 1 else "s"
    assert f"unit memory: median {median:.0f} step{plural}, longest {longest:.0f} step" in text
    for gate, word in (("f", "forget"), ("i", "input"), ("o", "output")):
        share = 100 * (gates[gate] > 0.9).mean()
        assert f"{share:.0f} % of {word} gates" in text
        np.testing.assert_allclose(units[f"{gate}_open"].mean(), (gates[gate] > 0.9).mean(), atol=1e-6)
    faded = gradient.loc[gradient["norm_state"] < 0.01, "steps_back"]
    left = 100 * gradient["norm_state"].iloc[-1]
    expected = f"falls to 1 % after {faded.min()} steps" if len(faded) else f": {left:.2g} % of it is left"
    assert f"gradient{' ' if len(faded) else ''}{expected}" in text
    # Memory by hand, from the gates in the file.
    for unit, rows in gates.sort_values("step").groupby("unit"):
        products = np.cumprod(rows["f"].to_numpy()[::-1])
        assert units["memory_length"][unit] == (products >= 0.5).sum() + 1


def test_the_tables_follow_the_series(lstm: LoadedRun, tmp_path: Path) -> None:
    write(tmp_path, inspect(lstm, series="s2"))
    gates = pd.read_csv(tmp_path / "gates.csv", parse_dates=["ds"])
    assert set(gates["layer"]) == {1, 2}
    assert set(gates["direction"]) == {"forward", "backward"}
    assert len(gates) == 2 * 2 * LOOKBACK * 5
    last = FRAME[FRAME["unique_id"] == "s2"]["ds"].tail(LOOKBACK)
    assert sorted(gates["ds"].unique()) == sorted(last)
    assert gates["step"].max() == 0


def test_other_series_are_seen_differently(lstm: LoadedRun) -> None:
    first, second, average = (inspect(lstm, series=name) for name in ("s0", "s1", None))
    gate = [seen.views[0].gates["f"] for seen in (first, second, average)]
    assert (gate[0] - gate[1]).abs().max() > 1e-4
    third = inspect(lstm, series="s2").views[0].gates["f"]
    np.testing.assert_allclose(gate[2], (gate[0] + gate[1] + third) / 3, atol=1e-6)


def test_the_series_above_is_the_users(lstm: LoadedRun) -> None:
    seen = inspect(lstm, series="s0")
    expected = FRAME[FRAME["unique_id"] == "s0"]["y"].tail(LOOKBACK)
    np.testing.assert_allclose(seen.above.y, expected, rtol=1e-5)
    assert seen.above.y_label == "y"


def test_the_seasons_are_judged_by_the_influence_of_the_value_a_season_ago(tmp_path: Path) -> None:
    run = trained(tmp_path, cell="gru")
    seen = inspect(run)
    write(tmp_path / "out", seen)
    influence = pd.read_csv(tmp_path / "out" / "influence.csv")["influence"]
    text = reading(seen)
    assert influence.max() == 1
    assert (
        "your season is 12: the window of 10 steps is shorter, so the net does not reach it; the lag input and"
        in text
    )
    assert f"({100 * influence[5]:.2g} % of the strongest influence is left)" in text
    assert ("the net reaches it" in text) == (influence[5] >= 0.01)


def test_what_a_stacked_or_bidirectional_net_knows_is_measured_through_all_of_it(tmp_path: Path) -> None:
    """The first value of the window is the last that the backward direction reads."""
    run = trained(tmp_path, cell="bilstm")
    seen = inspect(run)
    x = torch.zeros(1, LOOKBACK, run.model.features.input_size)
    moved = x.clone()
    moved[0, 0, 0] = 1e-2
    with torch.no_grad():
        network = run.model.network
        states = [network.seen_by_head(network.encoded(inputs)) for inputs in (moved, x)]
        change = (states[0] - states[1]).abs().max()
    assert change > 1e-5
    assert seen.influence[LOOKBACK - 1] > 0.05


def test_a_season_that_nothing_shows_is_to_be_added_to_the_lags(tmp_path: Path) -> None:
    config = config_from_mapping(
        {
            "data": {
                "path": "unused.csv",
                "time": "ds",
                "target": "y",
                "id": "unique_id",
                "calendar": "none",
            },
            "horizon": 4,
            "lookback": 3,
            "season_length": 12,
            "model": {"hidden_size": 1, "lags": []},
            "training": {"max_steps": 2, "final_fit": False},
        }
    )
    text = reading(inspect(load_run(train(config, path=tmp_path / "run", source=FRAME).path)))
    assert "1 layer of 1 unit;" in text
    assert "so the net does not reach it; nothing else shows it: add it to model.lags" in text


def test_a_unit_and_a_step_are_drawn(tmp_path: Path) -> None:
    """A heat map of one row or one column has an area."""
    config = config_from_mapping(
        {
            "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
            "horizon": 4,
            "lookback": 1,
            "model": {"hidden_size": 1},
            "training": {"max_steps": 2, "final_fit": False},
        }
    )
    seen = inspect(load_run(train(config, path=tmp_path / "run", source=FRAME).path), series="s0")
    write(tmp_path / "out", seen)
    pixels = imread(tmp_path / "out" / "gates_layer1.png")[..., :3]
    colored = (np.ptp(pixels, axis=2) > 0.2).mean()  # a cell of a gate or state is blue or red
    assert colored > 0.1


def test_the_json_reading_is_one_document_of_finite_numbers(lstm: LoadedRun) -> None:
    document = json.loads(json.dumps(reading_json(inspect(lstm, series="s0")), allow_nan=False))
    assert document["cell"] == "bilstm"
    assert document["series"] == "s0"
    assert len(document["layers"]) == 4
    assert document["layers"][1]["gradient_faded_after"] is None


def test_a_series_that_is_not_there_is_named_with_its_neighbour(lstm: LoadedRun) -> None:
    with pytest.raises(
        ConfigError, match=r"--series: 's9' is not one of the run's 3 series\. The first is 's0'"
    ):
        inspect(lstm, series="s9")
    with pytest.raises(ConfigError, match="Did you mean 's1'"):
        inspect(lstm, series="s11")


def test_a_series_shorter_than_the_window_is_padded(tmp_path: Path) -> None:
    run = trained(tmp_path, cell="gru")
    short = run.tail.until(int(run.tail.starts.min()) + 3)
    seen = inspect(LoadedRun(run.path, run.config, run.model, short), series="s0")
    assert np.isnan(seen.above.y[:-4]).all()
    assert np.isfinite(seen.above.y[-4:]).all()
    assert "window of 10 steps, 6 steps of it before the series begins" in reading(seen)
    write(tmp_path / "out", seen)


def test_the_command_writes_below_derived_and_leaves_the_run_sealed(
    lstm: LoadedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("inspect", lstm.path, "--series", "s1") == 0
    printed = capsys.readouterr().out
    assert "unit memory: median" in printed
    files = [Path(line) for line in printed.splitlines() if line.endswith((".csv", ".png", ".json"))]
    assert {path.parent for path in files} == {lstm.path / "derived" / "inspect"}
    assert all(path.is_file() for path in files)
    assert verify_run(lstm.path) == []


def test_an_inspection_takes_the_place_of_the_one_before_but_of_nothing_else(
    lstm: LoadedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert tsforecast("inspect", lstm.path, "--out", out) == 0
    assert (out / "gates_layer2.png").is_file()
    one = trained(tmp_path, cell="rnn")
    assert tsforecast("inspect", one.path, "--out", out) == 0
    assert not (out / "gates_layer2.png").exists()
    assert not (out / "memory.png").exists()
    (out / "notes.txt").touch()
    assert tsforecast("inspect", one.path, "--out", out) == 2
    assert "holds 'notes.txt'" in capsys.readouterr().err
    assert tsforecast("inspect", one.path, "--out", lstm.path / "inspection") == 2
    assert verify_run(lstm.path) == []


def test_the_command_prints_one_json_document(
    lstm: LoadedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder"
    assert tsforecast("inspect", lstm.path, "--json", "--out", out) == 0
    document = json.loads(capsys.readouterr().out)
    assert all(Path(name).parent == out for name in document["files"])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--series", "nobody"], 2, "--series: 'nobody'"),
        (["--out", "RUN/plots"], 2, "whose files are sealed"),
    ],
)
def test_the_command_refuses(
    lstm: LoadedRun, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [word.replace("RUN", str(lstm.path)) for word in words]
    assert tsforecast("inspect", lstm.path, *arguments) == code
    assert message in capsys.readouterr().err


def test_a_missing_run_is_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("inspect", tmp_path / "nothing") == 4
    assert "no such run folder" in capsys.readouterr().err
