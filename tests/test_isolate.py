from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_frame
from test_cli import tsforecast

from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import Config, CovariatesConfig, DataConfig, RepairConfig
from tsforecast.errors import DataError
from tsforecast.series.faults import read_apart
from tsforecast.series.isolate import Isolated, isolated_panel
from tsforecast.workflows.predict import load_run, predict, predict_all
from tsforecast.workflows.train import Trained, train

GOOD = seasonal_frame(n_series=3, length=60)


def data(policy: str, **repair: Any) -> DataConfig:
    return DataConfig.model_validate(
        {"path": "d.csv", "time": "ds", "target": "y", "id": "unique_id", "freq": "MS"}
        | {"on_bad_series": policy, "repair": RepairConfig(**repair)}
    )


def bad_series(kind: str) -> pd.DataFrame:
    """A series ``bad`` with one defect in its 60 rows."""
    one = seasonal_frame(n_series=1, length=60, seed=9).assign(unique_id="bad")
    if kind == "infinite":
        one.loc[7, "y"] = np.inf
    elif kind == "missing":
        one.loc[[7, 59], "y"] = np.nan
    elif kind == "gap":
        one = one.drop(index=7)
    elif kind == "duplicate":
        one = pd.concat([one, one.iloc[[7]]])
    elif kind == "off grid":
        one.loc[7, "ds"] += pd.Timedelta(days=3)
    elif kind == "no value":
        one["y"] = np.nan
    return one


KINDS = {
    "infinite": "V404",
    "missing": "V403",
    "gap": "T308",
    "duplicate": "T307",
    "off grid": "T306",
    "no value": "V403",
}


def isolated(kind: str, policy: str) -> Isolated:
    return isolated_panel(pd.concat([bad_series(kind), GOOD]), data(policy))


def config(policy: str) -> Config:
    return config_from_mapping(
        {
            "data": {
                "path": "unused.csv",
                "time": "ds",
                "target": "y",
                "id": "unique_id",
                "freq": "MS",
                "on_bad_series": policy,
            },
            "horizon": 6,
            "model": {"hidden_size": 8},
            "training": {"max_steps": 6, "batch_size": 16},
        }
    )


def trained(policy: str, frame: pd.DataFrame, folder: Path) -> Trained:
    return train(config(policy), path=folder / "run", source=frame)


@pytest.mark.parametrize(("kind", "code"), KINDS.items())
def test_a_bad_series_is_left_out_and_the_others_are_as_without_it(kind: str, code: str) -> None:
    read = isolated(kind, "skip")
    assert read.panel.unique_ids == ("s0", "s1", "s2")
    np.testing.assert_array_equal(read.panel.y, isolated_panel(GOOD, data("fail")).panel.y)
    (failure,) = read.failures
    assert (failure.unique_id, failure.code, failure.forecast) == ("bad", code, "")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no value"])
def test_what_can_be_told_of_a_bad_series_is_kept_for_the_fallback(kind: str) -> None:
    read = isolated(kind, "baseline")
    (fallback,) = read.fallbacks
    assert fallback.unique_ids == ("bad",)
    known = fallback.y[np.isfinite(fallback.y)]
    assert len(known) >= 58
    assert set(known) <= set(bad_series(kind)["y"])
    assert (read.failures[0].forecast, read.lost) == ("seasonal_naive", ())


def test_a_series_without_any_value_is_lost_to_the_fallback_too() -> None:
    read = isolated("no value", "baseline")
    assert read.fallbacks == ()
    assert [(failure.unique_id, failure.code) for failure in read.lost] == [("bad", "V407")]


def test_bad_series_refuse_the_data_where_nothing_else_is_said() -> None:
    with pytest.raises(DataError, match=r"series 'bad'.*infinite"):
        isolated("infinite", "fail")


@pytest.mark.parametrize("policy", ["skip", "baseline"])
def test_where_all_are_bad_the_data_is_refused(policy: str) -> None:
    with pytest.raises(DataError, match=r"series 'bad'.*infinite"):
        isolated_panel(bad_series("infinite"), data(policy))


def test_a_series_whose_gaps_are_longer_than_its_data_is_left_out() -> None:
    far = pd.DataFrame(
        {"unique_id": "far", "ds": pd.to_datetime(["1700-01-01", "2024-01-01"]).as_unit("us"), "y": 1.0}
    )
    hours = GOOD.assign(ds=np.tile(pd.date_range("2024-01-01", periods=60, freq="h").as_unit("us"), 3))
    read = isolated_panel(pd.concat([far, hours]), data("skip", gaps="ffill"), freq="h")
    assert [(failure.unique_id, failure.code) for failure in read.failures] == [("far", "T309")]


def test_each_of_many_bad_series_has_its_own_reason() -> None:
    kinds = ("infinite", "gap", "duplicate")
    frames = [bad_series(kind).assign(unique_id=kind) for kind in kinds]
    read = isolated_panel(pd.concat([*frames, GOOD]), data("skip"))
    reasons = {failure.unique_id: failure.reason for failure in read.failures}
    assert set(reasons) == set(kinds)
    assert "is infinite" in reasons["infinite"]
    assert "1 step missing after 2015-07-01" in reasons["gap"]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_series_too_short_to_learn_from_is_set_apart(length: int, tmp_path: Path) -> None:
    short = GOOD.head(length).assign(unique_id="short")
    done = trained("skip", pd.concat([GOOD, short]), tmp_path)
    assert [(failure.unique_id, failure.code) for failure in done.lost] == [("short", "L505")]
    alone = trained("skip", GOOD, tmp_path / "alone")
    pd.testing.assert_frame_equal(done.forecast, alone.forecast, check_exact=True)


def test_a_series_of_two_seasons_is_padded_and_learned_from(tmp_path: Path) -> None:
    padded = GOOD.head(25).assign(unique_id="padded")
    done = trained("skip", pd.concat([GOOD, padded]), tmp_path)
    assert done.failures == ()
    assert "padded" in done.panel.unique_ids


def test_the_fallback_repeats_the_last_season_and_its_intervals_widen(tmp_path: Path) -> None:
    bad = bad_series("infinite")
    done = trained("baseline", pd.concat([GOOD, bad]), tmp_path)
    own = done.forecast[done.forecast["unique_id"] == "bad"]
    np.testing.assert_allclose(own["y_hat"], bad["y"].to_numpy()[48:54])
    assert (own["q0.1"] < own["y_hat"]).all()
    assert (own["q0.9"] > own["y_hat"]).all()
    assert done.lost == ()


def test_one_value_is_repeated_and_its_intervals_are_unknown(tmp_path: Path) -> None:
    one = GOOD.head(1).assign(unique_id="one")
    done = trained("baseline", pd.concat([GOOD, one]), tmp_path)
    own = done.forecast[done.forecast["unique_id"] == "one"]
    assert (own["y_hat"] == one["y"].iloc[0]).all()
    assert own["q0.1"].isna().all()


def test_the_run_lists_failures_and_forecasts_the_fallbacks_from_its_own_rows(tmp_path: Path) -> None:
    done = trained(
        "baseline",
        pd.concat([GOOD, bad_series("missing"), bad_series("no value").assign(unique_id="x")]),
        tmp_path,
    )
    listed = pd.read_csv(tmp_path / "run" / "failures.csv", keep_default_na=False)
    assert listed[["unique_id", "code", "forecast"]].to_numpy().tolist() == [
        ["bad", "V403", "seasonal_naive"],
        ["x", "V407", ""],
    ]
    again, _ = predict(load_run(tmp_path / "run"))
    pd.testing.assert_frame_equal(again, done.forecast, rtol=1e-5)


def test_predict_sets_bad_series_of_new_data_apart(tmp_path: Path) -> None:
    trained("skip", GOOD, tmp_path)
    run = load_run(tmp_path / "run")
    clean, _ = predict(run, GOOD)
    made = predict_all(run, pd.concat([GOOD, bad_series("gap"), GOOD.head(3).assign(unique_id="short")]))
    pd.testing.assert_frame_equal(made.frame, clean, check_exact=True)
    assert {failure.unique_id: failure.code for failure in made.lost} == {"bad": "T308", "short": "L505"}


CONFIG = """\
data: {path: data.csv, time: ds, target: y, id: unique_id, freq: MS, on_bad_series: POLICY}
horizon: 4
model: {hidden_size: 8}
training: {max_steps: 6, batch_size: 16}
"""


def job(folder: Path, frame: pd.DataFrame, policy: str) -> Path:
    frame.to_csv(folder / "data.csv", index=False)
    (folder / "job.yaml").write_text(CONFIG.replace("POLICY", policy))
    return folder / "job.yaml"


@pytest.mark.parametrize(("policy", "code"), [("fail", 3), ("skip", 5), ("baseline", 0)])
def test_the_exit_code_says_whether_a_series_has_no_forecast(
    policy: str, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, pd.concat([GOOD, bad_series("gap")]), policy)
    run, out = tmp_path / "run", tmp_path / "forecast.csv"
    assert tsforecast("train", path, "--run", run, "--json") == code
    if policy == "fail":
        assert not run.exists()
        return
    assert json.loads(capfd.readouterr().out)["failures"] == (policy == "skip")
    assert tsforecast("predict", run, tmp_path / "data.csv", "--out", out) == code
    assert "'bad' (T308" in capfd.readouterr().err
    assert len(pd.read_csv(out)) == 4 * (3 + (policy == "baseline"))
    assert pd.read_csv(tmp_path / "forecast.failures.csv")["unique_id"].tolist() == ["bad"]


def test_all_bad_exits_with_3(tmp_path: Path) -> None:
    path = job(tmp_path, bad_series("gap"), "skip")
    assert tsforecast("train", path, "--run", tmp_path / "run") == 3
    assert not (tmp_path / "run").exists()


def test_a_forecast_without_failures_leaves_no_list_of_older_ones(tmp_path: Path) -> None:
    path = job(tmp_path, GOOD, "skip")
    assert tsforecast("train", path, "--run", tmp_path / "run") == 0
    (tmp_path / "forecast.failures.csv").write_text("of yesterday")
    assert tsforecast("predict", tmp_path / "run", "--out", tmp_path / "forecast.csv") == 0
    assert not (tmp_path / "forecast.failures.csv").exists()


def with_cell(frame: pd.DataFrame, row: int, column: str, cell: str) -> pd.DataFrame:
    """The frame as text, one cell written otherwise."""
    text = frame.astype({"ds": "str", "y": "str"}).astype(object)
    text.loc[row, column] = cell
    return text


@pytest.mark.parametrize(
    ("column", "cell", "code", "reason"),
    [
        ("y", "broken", "V401", "line 69, column 'y': 'broken' is not a number"),
        ("ds", "2015-13-01", "T302", "line 69, column 'ds': '2015-13-01' is not a time as expected"),
        ("ds", "", "T301", "line 69, column 'ds': '' is empty"),
        (
            "ds",
            "2015-07-01T00:00Z",
            "T303",
            "line 69, column 'ds': '2015-07-01T00:00Z' is not a time of its zone",
        ),
    ],
)
def test_a_cell_that_cannot_be_read_sets_its_series_apart(
    column: str, cell: str, code: str, reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, with_cell(GOOD, 67, column, cell), "skip")
    assert tsforecast("train", path, "--run", tmp_path / "run") == 5
    assert f"1 series left out: 's1' ({code}: {reason})" in capfd.readouterr().err
    listed = pd.read_csv(tmp_path / "run" / "failures.csv")
    assert listed[["unique_id", "code", "reason"]].to_numpy().tolist() == [["s1", code, reason]]
    assert set(pd.read_csv(tmp_path / "run" / "forecast.csv")["unique_id"]) == {"s0", "s2"}


def test_the_others_are_trained_on_as_without_the_series_that_cannot_be_read(tmp_path: Path) -> None:
    done = trained("skip", with_cell(GOOD, 67, "y", "broken"), tmp_path)
    alone = trained("skip", GOOD[GOOD["unique_id"] != "s1"], tmp_path / "alone")
    pd.testing.assert_frame_equal(done.forecast, alone.forecast, check_exact=True)


def test_what_can_be_read_of_such_a_series_is_kept_for_the_fallback(tmp_path: Path) -> None:
    path = job(tmp_path, with_cell(GOOD, 67, "y", "broken"), "baseline")
    assert tsforecast("train", path, "--run", tmp_path / "run") == 0
    made = pd.read_csv(tmp_path / "run" / "forecast.csv")
    own = made[made["unique_id"] == "s1"]["y_hat"]
    np.testing.assert_allclose(own, GOOD["y"].to_numpy()[60 + 48 : 60 + 52])


def test_each_cell_that_cannot_be_read_is_told_with_its_own_line(tmp_path: Path) -> None:
    text = with_cell(with_cell(GOOD, 3, "y", "a"), 130, "ds", "b")
    path = job(tmp_path, text, "skip")
    assert tsforecast("train", path, "--run", tmp_path / "run") == 5
    reasons = dict(pd.read_csv(tmp_path / "run" / "failures.csv")[["unique_id", "reason"]].to_numpy())
    assert reasons == {
        "s0": "line 5, column 'y': 'a' is not a number",
        "s2": "line 132, column 'ds': 'b' is not a time as expected",
    }


@pytest.mark.parametrize(
    ("row", "column", "cell", "said"),
    [
        (67, "unique_id", "", "line 69, column 'unique_id': the cell is empty"),
        (67, "y", '1","2', "line 69: 4 fields, expected 3"),
    ],
    ids=["no name", "another width"],
)
def test_a_row_of_no_known_series_refuses_the_file(
    row: int, column: str, cell: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = job(tmp_path, with_cell(GOOD, row, column, cell), "skip")
    data_csv = tmp_path / "data.csv"
    data_csv.write_text(data_csv.read_text().replace('"1"",""2"', "1,2"))
    assert tsforecast("train", path, "--run", tmp_path / "run") == 3
    assert said in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("policy", ["skip", "baseline"])
def test_where_no_series_can_be_read_the_file_is_refused(
    policy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = with_cell(GOOD.head(60), 3, "y", "broken")
    assert tsforecast("train", job(tmp_path, text, policy), "--run", tmp_path / "run") == 3
    assert "line 5, column 'y': 'broken' is not a number" in capfd.readouterr().err


WIDE = pd.DataFrame(
    {"ds": GOOD["ds"][:60], **{name: rows["y"].to_numpy() for name, rows in GOOD.groupby("unique_id")}}
)


def wide(**changes: Any) -> DataConfig:
    return data("skip").model_copy(update={"id": None, "target": ["s0", "s1", "s2"], **changes})


def test_a_cell_of_a_wide_file_is_of_its_column(tmp_path: Path) -> None:
    text = WIDE.astype(object)
    text.loc[7, "s1"] = "broken"
    text.to_csv(tmp_path / "data.csv", index=False)
    table, apart = read_apart(wide(path=str(tmp_path / "data.csv")))
    assert apart == {"s1": ("V401", "line 9, column 's1': 'broken' is not a number")}
    assert isolated_panel(table, wide(), apart=apart).panel.unique_ids == ("s0", "s2")


def test_a_time_that_cannot_be_read_is_of_all_columns_of_a_wide_file(tmp_path: Path) -> None:
    WIDE.astype({"ds": "str"}).replace({"ds": {"2015-08-01": "x"}}).to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(DataError, match="line 9, column 'ds': 'x' is not a date"):
        read_apart(wide(path=str(tmp_path / "data.csv")))


def test_files_of_a_folder_are_told_apart(tmp_path: Path) -> None:
    for k, name in enumerate(("a.csv", "b.csv")):
        with_cell(GOOD, 67 + k, "y", "broken").iloc[90 * k : 90 * (k + 1)].to_csv(
            tmp_path / name, index=False
        )
    _, apart = read_apart(data("skip").model_copy(update={"path": str(tmp_path)}))
    assert apart == {"s1": ("V401", f"{tmp_path}/a.csv, line 69, column 'y': 'broken' is not a number")}


def test_a_covariate_that_cannot_be_read_sets_its_series_apart(tmp_path: Path) -> None:
    text = with_cell(GOOD.assign(x=1.0), 67, "x", "broken")
    text.to_csv(tmp_path / "data.csv", index=False)
    one = data("skip").model_copy(
        update={"path": str(tmp_path / "data.csv"), "covariates": CovariatesConfig(past=["x"])}
    )
    assert read_apart(one)[1] == {"s1": ("V401", "line 69, column 'x': 'broken' is not a number")}


@pytest.mark.parametrize(("policy", "code", "n_series"), [("fail", 3, 0), ("skip", 5, 2), ("baseline", 0, 3)])
def test_a_value_that_the_transform_does_not_take_sets_its_series_apart(
    policy: str, code: int, n_series: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = GOOD.copy()
    frame.loc[67, "y"] = -1.0
    path = job(tmp_path, frame, policy)
    assert tsforecast("train", path, "--run", tmp_path / "run", "--set", "transform=log") == code
    assert "transform 'log' takes numbers above 0" in capfd.readouterr().err
    if n_series:
        assert pd.read_csv(tmp_path / "run" / "forecast.csv")["unique_id"].nunique() == n_series
        assert pd.read_csv(tmp_path / "run" / "failures.csv")["code"].tolist() == ["V416"]


def test_new_data_that_cannot_be_read_in_one_series_is_forecast_in_the_others(tmp_path: Path) -> None:
    path = job(tmp_path, GOOD, "skip")
    assert tsforecast("train", path, "--run", tmp_path / "run") == 0
    with_cell(GOOD, 67, "y", "broken").to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "forecast.csv"
    assert tsforecast("predict", tmp_path / "run", tmp_path / "new.csv", "--out", out) == 5
    assert set(pd.read_csv(out)["unique_id"]) == {"s0", "s2"}
    assert pd.read_csv(tmp_path / "forecast.failures.csv")["code"].tolist() == ["V401"]
