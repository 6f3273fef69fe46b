"""Cells compared on equal terms: the same data, splits, budget and seeds, and an answer the numbers allow."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import seasonal_frame
from test_cli import tsforecast

from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import Config, ForecastConfig
from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.training.fit import Watcher
from tsforecast.workflows.compare import (
    Comparison,
    Trial,
    check_folder,
    compare,
    comparison_json,
    parse_cells,
    table,
    verdict,
    with_cell,
    write,
)
from tsforecast.workflows.train import train

FRAME = seasonal_frame(n_series=3, length=72)


def config(**model: object) -> Config:
    return config_from_mapping(
        {
            "data": {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"},
            "horizon": 6,
            "model": {"hidden_size": 8} | model,
            "training": {"max_steps": 12, "batch_size": 16, "patience": 100, "final_fit": False},
        }
    )


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(config(), ["lstm", "bigru", "esn"], n_seeds=2, source=FRAME)


def test_every_cell_is_trained_with_every_seed_for_the_same_steps(found: Comparison) -> None:
    assert [(trial.cell, trial.seed) for trial in found.trials] == [
        (cell, seed) for cell in ("lstm", "bigru", "esn") for seed in (1, 2)
    ]
    assert {trial.steps for trial in found.trials if trial.cell != "esn"} == {12}
    assert len({trial.mase for trial in found.trials}) == 6


def test_a_trial_scores_as_train_does(found: Comparison, tmp_path: Path) -> None:
    scores = train(config(cell="bigru"), path=tmp_path / "run", source=FRAME).scores
    assert scores is not None
    trial = next(trial for trial in found.trials if trial.cell == "bigru")
    assert trial.mase == pytest.approx(scores.by_model["mase"]["bigru"], rel=1e-12)
    assert trial.skill == pytest.approx(scores.by_model["skill"]["bigru"], rel=1e-12)
    assert found.baselines["seasonal_naive"] == pytest.approx(scores.by_model["mase"]["seasonal_naive"])


def test_parameters_are_the_trained_ones(found: Comparison) -> None:
    trials = {trial.cell: trial for trial in found.trials}
    # Values shown: the newest, a season before and one step more; beside them whether there is one, and the month as
    # two.
    shown, inputs = 3, 6
    lstm = torch.nn.LSTM(inputs, 8)
    in_lstm = sum(p.numel() for p in lstm.parameters())
    moving, straight = 8 * shown, inputs - shown
    assert trials["lstm"].parameters == in_lstm + 8 + 1 + shown + moving + straight
    assert trials["esn"].parameters == 8 + 1 + shown


def test_the_table_has_a_line_for_each_cell_and_the_seasonal_naive(found: Comparison) -> None:
    lines = {line.split()[0]: line for line in table(found).splitlines() if line.strip()}
    assert {"lstm", "bigru", "esn", "seasonal_naive"} <= set(lines)
    masses = sorted(trial.mase for trial in found.trials if trial.cell == "lstm")
    assert f"{np.mean(masses):.3f}" in lines["lstm"]
    assert f"{masses[0]:.3f} to {masses[1]:.3f}" in lines["lstm"]


def made_up(**mase: list[float]) -> Comparison:
    """Trials with these errors, one per seed, beside a seasonal naive of 1."""
    blank = Trial(
        cell="", seed=1, mase=0.0, skill=0.0, parameters=1, steps=1, seconds=1.0, milliseconds=1.0, history=[],
        gradient=None,  # type: ignore[arg-type]
    )  # fmt: skip
    trials = [
        replace(blank, cell=cell, seed=seed, mase=error, seconds=10.0 if cell == "lstm" else 4.0)
        for cell, errors in mase.items()
        for seed, error in enumerate(errors, start=1)
    ]
    return Comparison(
        horizon=6,
        season_lengths=[12],
        trials=trials,
        baselines={"seasonal_naive": 1.0},
        n_series=1,
        n_cutoffs=1,
    )


def test_a_cell_is_named_when_chance_would_not_make_the_difference() -> None:
    text = verdict(made_up(lstm=[0.5, 0.52, 0.51], gru=[0.61, 0.63, 0.62]))
    assert text.startswith(
        "LSTM or GRU, here? lstm: MASE 0.510 of lstm against 0.620 of gru (the means differ by 0.110"
    )
    assert "seeds alone make up to 0.023" in text  # 2.776 * 0.01 * sqrt(2 / 3)


def test_a_difference_that_chance_makes_is_said_to_be_one() -> None:
    text = verdict(made_up(lstm=[0.5, 0.6, 0.55], gru=[0.61, 0.7, 0.6]))
    assert (
        "Either: MASE 0.550 of lstm against 0.610 of gru; seeds alone make differences up to 0.119." in text
    )
    assert text.endswith("gru trains in 40 % of the time.")


def test_cells_that_do_not_differ_are_told_apart_once_in_twenty_comparisons() -> None:
    random = np.random.default_rng(0)
    draws = [verdict(made_up(lstm=list(a), gru=list(b))) for a, b in random.normal(0.5, 0.05, (2000, 2, 3))]
    assert 0.035 < np.mean(["Either" not in text for text in draws]) < 0.065


def test_a_series_that_never_changes_gives_no_answer() -> None:
    text = verdict(made_up(lstm=[math.nan] * 3, gru=[math.nan] * 3))
    assert text.startswith("LSTM or GRU, here? That cannot be told: MASE is undefined")


def test_one_seed_gives_no_answer() -> None:
    text = verdict(made_up(lstm=[0.5], gru=[0.6]))
    assert "MASE 0.500 of lstm against 0.600 of gru; one seed shows no spread" in text


def test_a_better_third_and_a_better_baseline_are_named() -> None:
    assert "The lowest median of all is that of rnn (0.300)" in verdict(
        made_up(lstm=[0.5, 0.5], gru=[0.6, 0.6], rnn=[0.3, 0.3])
    )
    assert "None beats the seasonal naive (1.000)" in verdict(made_up(lstm=[1.5, 1.5], gru=[1.6, 1.6]))


def test_other_cells_are_asked_about_as_such() -> None:
    assert verdict(made_up(rnn=[0.5, 0.5], esn=[0.6, 0.6])).startswith(
        "Which cell, here? rnn: MASE 0.500 of rnn"
    )
    assert verdict(made_up(rnn=[0.5, 0.5])) == "Which cell, here? rnn was the only one compared."


def test_settings_of_one_cell_do_not_follow_another() -> None:
    started = config(cell="lstm", output_activation="identity", bidirectional=True, num_layers=2, dropout=0.1)
    gru, bilstm, esn, both = (
        with_cell(started, cell).model for cell in ("gru", "bilstm", "esn", "bilstm_peephole")
    )
    assert (both.cell, both.bidirectional) == ("lstm_peephole", True)
    assert (gru.cell, gru.bidirectional, gru.output_activation, gru.num_layers) == ("gru", False, "tanh", 2)
    assert (bilstm.cell, bilstm.bidirectional, bilstm.output_activation) == ("lstm", True, "identity")
    assert (esn.cell, esn.dropout, esn.bidirectional) == ("esn", 0.0, False)


def test_a_reservoir_takes_the_head_and_the_strategy_it_has() -> None:
    started = config(head="normal").model_copy(
        update={"forecast": ForecastConfig(strategy="direct", quantile_levels=[0.3])}
    )
    esn = with_cell(started, "esn")
    assert (esn.model.head, esn.forecast.strategy) == ("auto", "recursive")
    assert esn.forecast.quantile_levels == [0.3]


def test_a_leak_is_not_taken_over_by_another_cell() -> None:
    for leak in ("learned", 0.7):
        started = config(cell="leaky_rnn", leak=leak)
        assert with_cell(started, "esn").model.leak == "auto"
        assert with_cell(started, "leaky_rnn").model.leak == leak


def test_cpu_seconds_are_a_budget(found: Comparison) -> None:
    one, four = (compare(config(), ["gru"], n_seeds=1, seconds=s, source=FRAME).trials[0] for s in (1.5, 5.0))
    assert 1 < one.steps < four.steps
    assert four.seconds < 15


def test_a_budget_too_small_for_a_step_says_so(caplog: pytest.LogCaptureFixture) -> None:
    trial = compare(config(), ["gru"], n_seeds=1, seconds=1e-3, source=FRAME).trials[0]
    assert trial.steps == 1
    assert "are too few for" in caplog.text


def test_the_folder_holds_the_table_the_trials_and_two_pictures(found: Comparison, tmp_path: Path) -> None:
    write(tmp_path / "out", found, overwrite=False)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"trials.csv", "comparison.json", "error_by_time.png", "gradient.png"}
    trials = pd.read_csv(tmp_path / "out" / "trials.csv")
    np.testing.assert_allclose(trials["mase"], [trial.mase for trial in found.trials], rtol=1e-5)
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert document == json.loads(json.dumps(comparison_json(found)))
    assert document["verdict"] == verdict(found)


def test_a_comparison_is_replaced_only_when_asked(found: Comparison, tmp_path: Path) -> None:
    write(tmp_path / "out", found, overwrite=False)
    with pytest.raises(ConfigError, match="use --overwrite"):
        write(tmp_path / "out", found, overwrite=False)
    write(tmp_path / "out", found, overwrite=True)


def test_a_folder_that_is_no_comparison_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "beach.jpg").touch()
    with pytest.raises(ConfigError, match=r"holds 'beach\.jpg', which this command did not write"):
        check_folder(tmp_path / "photos", overwrite=True)


def test_a_place_that_cannot_be_written_is_refused_before_any_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        check_folder(tmp_path / "file", overwrite=True)
    with pytest.raises(ConfigError):
        check_folder(tmp_path / "file" / "below", overwrite=True)
    with pytest.raises(ConfigError):
        check_folder(tmp_path / ("x" * 300), overwrite=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").touch()
    with pytest.raises(ConfigError, match="whose files are sealed"):
        check_folder(tmp_path / "run" / "compare", overwrite=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lstm,gur", "'gur' is not a known cell .* Did you mean 'gru'"),
        ("lstm,lstm", "each cell once"),
        (" , ", "each cell once"),
    ],
)
def test_cells_that_cannot_be_compared_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_cells(text)


def test_without_a_test_part_there_is_nothing_to_compare() -> None:
    without = config().model_copy(update={"split": config().split.model_copy(update={"test": 0})})
    seen: list[int] = []
    with pytest.raises(DataError, match=r"split\.test: nothing is held back"):
        compare(without, ["rnn"], n_seeds=1, source=FRAME, watcher=Watcher(on_step=seen.append))
    assert seen == []


@pytest.mark.parametrize("cell", ["rnn", "esn"])
def test_a_signal_ends_the_comparison_also_after_the_last_training(cell: str) -> None:
    with pytest.raises(StoppedError):
        compare(config(), [cell], n_seeds=1, source=FRAME, watcher=Watcher(stop_signal=lambda: 2))
    steps: list[int] = []
    late = Watcher(
        on_step=steps.append, stop_signal=lambda: 2 if len(steps) == 12 and not steps.append(0) else None
    )
    if cell == "rnn":
        with pytest.raises(StoppedError):
            compare(config(), [cell], n_seeds=1, source=FRAME, watcher=late)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("sales.csv", index=False)
    Path("sales.yaml").write_text(
        "data: {path: sales.csv, time: ds, target: y, id: unique_id}\nhorizon: 6\nmodel: {hidden_size: 4}\n"
    )
    return tmp_path


def test_the_command_ends_with_the_answer(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("compare", "sales.yaml", "--cells", "lstm,gru", "--steps", "5", "--seeds", "2") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("LSTM or GRU, here? ")
    assert (job / "runs" / "sales_compare" / "comparison.json").is_file()
    assert tsforecast("compare", "sales.yaml", "--cells", "lstm,gru", "--steps", "5") == 2
    assert "--overwrite" in capsys.readouterr().err


def test_the_command_prints_one_json_document(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--cells", "rnn,leaky_rnn", "--steps", "5", "--seeds", "1", "--json", "--out", "here"]
    assert tsforecast("compare", "sales.yaml", *words) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["cells"]) == {"rnn", "leaky_rnn"}
    assert all(math.isfinite(cell["mase"]) for cell in document["cells"].values())


def test_two_budgets_are_one_too_many(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tsforecast("compare", "sales.yaml", "--steps", "5", "--seconds", "3") == 2
    assert "two budgets" in capsys.readouterr().err


@pytest.mark.parametrize(("policy", "code"), [("skip", 5), ("baseline", 0)])
def test_series_that_no_cell_has_learned_from_are_named_and_listed(
    job: Path, policy: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(job / "sales.csv")
    frame.loc[3, "y"] = np.inf
    frame.to_csv(job / "sales.csv", index=False)
    words = ("--cells", "rnn", "--steps", "5", "--seeds", "1", "--set", f"data.on_bad_series={policy}")
    assert tsforecast("compare", "sales.yaml", *words) == code
    assert "1 series left out: 's0' (V404: the value" in capsys.readouterr().err
    listed = pd.read_csv(job / "runs" / "sales_compare" / "failures.csv")
    assert listed["unique_id"].tolist() == ["s0"]
    assert listed["forecast"].isna().all()
