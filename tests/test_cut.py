"""The newest rows left out, held to what pandas leaves of the same frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import config, seasonal_frame
from test_cli import tsforecast

from tsforecast.config.schema import CovariatesConfig, DataConfig
from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.cut import Cut, cut_table
from tsforecast.series.panel import data_hash
from tsforecast.series.read import read_table
from tsforecast.training.fit import Watcher
from tsforecast.workflows.check import check
from tsforecast.workflows.predict import LoadedRun, load_run, predict, predict_all
from tsforecast.workflows.train import Trained, report, train

FRAME = seasonal_frame(n_series=3, length=72)
# Series that end at different months: 72, 60 and 48 of them.
ENDS = FRAME[FRAME.groupby("unique_id").cumcount() < FRAME["unique_id"].map({"s0": 72, "s1": 60, "s2": 48})]


def data(**settings: Any) -> DataConfig:
    names: dict[str, Any] = {"path": "a.csv", "time": "ds", "target": "y", "id": "unique_id"}
    return DataConfig(**(names | settings))


def cut_frame(frame: pd.DataFrame, cut: Cut, **settings: Any) -> pd.DataFrame:
    """What stays of a frame, as it was given."""
    left = cut_table(read_table(data(**settings), source=frame), data(**settings), cut, where="a.csv")
    assert left.n_rows == len(frame) - len(left.table)
    return frame.iloc[left.table.index]


@pytest.mark.parametrize("n", [1, 5, 47])
def test_the_last_steps_of_each_series_are_left_out_from_its_own_end(n: int) -> None:
    expected = ENDS[ENDS.groupby("unique_id").cumcount(ascending=False) >= n]
    pd.testing.assert_frame_equal(cut_frame(ENDS, Cut(drop_last=n)), expected)


def test_the_order_of_the_rows_does_not_matter() -> None:
    shuffled = ENDS.sample(frac=1, random_state=0)
    found = cut_frame(shuffled, Cut(drop_last=3))
    assert found.sort_index().equals(cut_frame(ENDS, Cut(drop_last=3)).sort_index())


def test_rows_up_to_a_time_stay() -> None:
    expected = ENDS[ENDS["ds"] <= "2018-06-15"]
    pd.testing.assert_frame_equal(cut_frame(ENDS, Cut(as_of="2018-06-15")), expected)


def test_the_last_steps_are_counted_from_the_end_as_of_a_time() -> None:
    known = ENDS[ENDS["ds"] <= "2019-12-31"]
    expected = known[known.groupby("unique_id").cumcount(ascending=False) >= 2]
    pd.testing.assert_frame_equal(cut_frame(ENDS, Cut("2019-12-31", 2)), expected)


def test_steps_are_counted_and_not_rows() -> None:
    with_gap = FRAME.drop(index=[70, 69])  # of s0, whose last row is 71
    found = cut_frame(with_gap, Cut(drop_last=3))
    assert found[found["unique_id"] == "s0"].index[-1] == 68


def test_a_last_row_of_today_is_a_step_of_its_month() -> None:
    today = pd.concat(
        [FRAME[:72], pd.DataFrame({"unique_id": "s0", "ds": [pd.Timestamp("2021-01-17")], "y": 3.0})]
    )
    assert len(cut_frame(today.reset_index(drop=True), Cut(drop_last=1))) == 72


def test_integer_time_is_cut_alike() -> None:
    frame = pd.DataFrame({"unique_id": "a", "ds": range(100, 140), "y": 1.0})
    assert cut_frame(frame, Cut("129", 4), freq="integer")["ds"].max() == 125


def test_series_of_a_wide_file_have_their_own_ends() -> None:
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "a": 1.0, "b": 2.0})
    frame.loc[15:, "b"] = np.nan
    wide = data(target=["a", "b"], id=None)
    left = cut_table(read_table(wide, source=frame), wide, Cut(drop_last=3), where="a.csv")
    panel, _ = panel_from_table(left.table, wide)
    assert dict(zip(panel.unique_ids, panel.lengths.tolist(), strict=True)) == {"a": 17, "b": 12}
    assert left.n_rows == 6


def test_a_series_of_a_wide_file_that_begins_later_is_none_yet(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "a": 1.0, "b": 2.0})
    frame.loc[:12, "b"] = np.nan
    wide = data(target=["a", "b"], id=None)
    left = cut_table(read_table(wide, source=frame), wide, Cut(as_of="2024-01-10"), where="a.csv")
    assert panel_from_table(left.table, wide)[0].unique_ids == ("a",)
    assert "1 series have no row up to 2024-01-10 and are left out: 'b'" in caplog.text


def test_future_covariates_stay_known_and_past_ones_do_not() -> None:
    covariates = CovariatesConfig(past=["x"], future=["price"])
    frame = FRAME[:72].assign(x=np.arange(72.0), price=np.arange(72.0))
    frame.loc[70:, "y"] = np.nan  # two rows ahead
    cols = data(covariates=covariates)
    left = cut_table(read_table(cols, source=frame), cols, Cut(drop_last=4), where="a.csv")
    panel, _ = panel_from_table(left.table, cols)
    assert (len(panel.y), len(panel.future), left.n_rows) == (66, 72, 4)
    assert panel.past.max() == 65
    ends_there = frame.assign(y=frame["y"].where(frame.index < 66))
    expected, _ = panel_from_table(read_table(cols, source=ends_there), cols)
    assert data_hash(panel) == data_hash(expected)


def test_what_is_wrong_with_a_row_that_is_left_out_does_not_matter() -> None:
    broken = FRAME.copy()
    broken.loc[broken.groupby("unique_id").cumcount(ascending=False) == 0, "y"] = [np.nan, np.inf, -np.inf]
    kept = cut_table(read_table(data(), source=broken), data(), Cut(drop_last=1), where="a.csv")
    assert panel_from_table(kept.table, data())[0].lengths.tolist() == [71, 71, 71]


def test_a_series_of_which_nothing_stays_is_refused_by_its_name() -> None:
    message = r"a.csv: series 's2': 48 rows, of which --drop-last 60 leaves none; lower --drop-last, or set data.on_bad"
    with pytest.raises(DataError, match=message) as caught:
        cut_frame(ENDS[ENDS["unique_id"] != "s1"], Cut(drop_last=60))
    assert (caught.value.code, list(caught.value.series)) == ("V407", ["s2"])


@pytest.mark.parametrize("policy", ["skip", "baseline"])
def test_a_series_of_which_nothing_stays_is_set_apart_where_the_config_says_so(policy: str) -> None:
    table = read_table(data(), source=ENDS)
    left = cut_table(table, data(on_bad_series=policy), Cut(drop_last=60), where="a.csv")
    assert [(failure.unique_id, failure.code, failure.forecast) for failure in left.failures] == [
        ("s1", "V407", ""),
        ("s2", "V407", ""),
    ]
    assert set(left.table["unique_id"]) == {"s0"}


def test_where_nothing_stays_at_all_it_is_refused_whatever_the_config_says() -> None:
    with pytest.raises(DataError, match=r"leaves none \(3 such series\)"):
        cut_frame(ENDS, Cut(drop_last=72), on_bad_series="skip")


def test_a_date_before_the_first_row_is_refused_with_where_the_data_begins() -> None:
    with pytest.raises(
        DataError, match="at or before --as-of '2014-12-31': the data begins at 2015-01-01"
    ) as caught:
        cut_frame(FRAME, Cut(as_of="2014-12-31"))
    assert caught.value.code == "F102"


def test_a_date_after_the_last_row_leaves_nothing_out_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert len(cut_frame(FRAME, Cut(as_of="2030-01-01"))) == len(FRAME)
    assert "--as-of 2030-01-01 lies after the newest row, 2020-12-01 00:00:00" in caplog.text


def test_a_negative_number_of_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="--drop-last: -1 is not a whole number from 0"):
        Cut(drop_last=-1)


BERLIN = {"format": {"timezone": "Europe/Berlin"}}
HOURS = pd.DataFrame(
    {"unique_id": "a", "ds": pd.date_range("2024-10-26", periods=48, freq="h", tz="Europe/Berlin"), "y": 1.0}
)


@pytest.mark.parametrize(
    ("as_of", "last"),
    [
        ("2024-10-27T01:30", "2024-10-27 01:00:00+02:00"),
        ("2024-10-27T02:30+02:00", "2024-10-27 02:00:00+02:00"),
        ("2024-10-27T02:30+01:00", "2024-10-27 02:00:00+01:00"),
        ("2024-10-27T00:59Z", "2024-10-27 02:00:00+02:00"),
    ],
)
def test_a_time_is_read_on_the_clock_of_the_data(as_of: str, last: str) -> None:
    assert str(cut_frame(HOURS, Cut(as_of))["ds"].iloc[-1]) == last


@pytest.mark.parametrize(
    ("frame", "as_of", "found"),
    [
        (HOURS, "2024-10-27T02:30", "is there twice or not at all on the clock of Europe/Berlin"),
        (FRAME, "2018-01-01T00:00Z", "has a time zone, and the data has none"),
        (FRAME, "01/02/2018", "is not a date such as"),
        (FRAME.assign(ds=range(216)), "2018-01-01", "is not an integer"),
    ],
)
def test_a_time_that_cannot_be_read_is_refused(frame: pd.DataFrame, as_of: str, found: str) -> None:
    settings = {"freq": "integer"} if frame["ds"].dtype.kind == "i" else {}
    with pytest.raises(ConfigError, match=f"--as-of: {as_of!r} {found}"):
        cut_frame(frame, Cut(as_of), **settings)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run that was trained without the two newest months of each series."""
    path = tmp_path_factory.mktemp("runs") / "run"
    return train(config(training={"max_steps": 3}), path=path, source=FRAME, cut=Cut(drop_last=2))


@pytest.fixture(scope="module")
def run(trained: Trained) -> LoadedRun:
    return load_run(trained.path)


def without_last(frame: pd.DataFrame, n: int) -> pd.DataFrame:
    return frame[frame.groupby("unique_id").cumcount(ascending=False) >= n]


def test_training_learns_from_what_stays_alone(trained: Trained, tmp_path: Path) -> None:
    expected = train(config(training={"max_steps": 3}), path=tmp_path / "run", source=without_last(FRAME, 2))
    pd.testing.assert_frame_equal(trained.forecast, expected.forecast, check_exact=True)


def test_the_run_says_what_was_left_out(trained: Trained) -> None:
    assert report(trained).startswith("Left out: 6 rows (--drop-last 2)\n")
    model = json.loads((trained.path / "model.json").read_text())
    assert model["left_out"] == {"as_of": None, "drop_last": 2, "rows": 6}


def test_resuming_with_another_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(
            config(),
            path=tmp_path / "run",
            source=FRAME,
            cut=Cut(as_of="2020-12-01"),
            watcher=Watcher(stop_signal=lambda: 15),
        )
    with pytest.raises(ConfigError, match="give the same config, data, --as-of and --drop-last"):
        train(config(), path=tmp_path / "run", source=FRAME, resume=True)


@pytest.mark.parametrize("n", [1, 3])
def test_a_forecast_may_leave_out_steps_of_new_rows(run: LoadedRun, n: int) -> None:
    cut, _ = predict(run, FRAME, drop_last=n)
    expected, _ = predict(run, without_last(FRAME, n))
    pd.testing.assert_frame_equal(cut, expected, check_exact=True)


def test_a_forecast_may_leave_out_steps_of_the_rows_the_run_keeps(run: LoadedRun) -> None:
    cut, _ = predict(run, drop_last=1)
    expected, _ = predict(run, without_last(FRAME, 3))
    pd.testing.assert_frame_equal(cut, expected)


def test_leaving_out_all_rows_the_run_keeps_is_refused(run: LoadedRun) -> None:
    with pytest.raises(
        DataError, match=r"run: the rows it keeps: series 's0': \d+ rows, of which --drop-last 100"
    ):
        predict(run, drop_last=100)


def test_a_new_series_of_which_nothing_stays_is_listed(tmp_path: Path) -> None:
    settings = config(
        data={**config().data.model_dump(include={"path", "time", "target", "id"}), "on_bad_series": "skip"},
        training={"max_steps": 2},
    )
    train(settings, path=tmp_path / "run", source=FRAME)
    made = predict_all(load_run(tmp_path / "run"), FRAME.drop(index=range(3, 72)), drop_last=3)
    assert [failure.unique_id for failure in made.lost] == ["s0"]
    assert set(made.frame["unique_id"]) == {"s1", "s2"}


def test_check_does_not_look_at_what_is_left_out(tmp_path: Path) -> None:
    broken = FRAME.copy()
    broken.loc[broken.groupby("unique_id").cumcount(ascending=False) == 0, "y"] = np.nan
    assert [entry.code for entry in check(config(), broken).entries] == ["V403"] * 3
    found = check(config(), broken, cut=Cut(drop_last=1))
    assert (found.entries, found.n_rows) == ((), 213)
    assert "3 rows are left out (--drop-last 1)" in found.notes


def test_check_tells_of_each_series_of_which_nothing_stays_and_goes_on(tmp_path: Path) -> None:
    broken = ENDS.copy()
    broken.loc[3, "y"] = np.inf
    found = check(config(), broken, cut=Cut(drop_last=60))
    assert [(entry.code, entry.series) for entry in found.entries] == [
        ("V407", "s1"),
        ("V407", "s2"),
        ("V404", "s0"),
    ]


def test_the_commands_take_both_options(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    FRAME.to_csv(tmp_path / "data.csv", index=False)
    yaml, run = tmp_path / "c.yaml", tmp_path / "run"
    yaml.write_text("data: {path: data.csv, time: ds, target: y, id: unique_id}\nhorizon: 6\n")
    settings = ("--set", "training.max_steps=2", "--set", "model.hidden_size=4")
    cut = ("--as-of", "2020-11-30", "--drop-last", "1")
    assert tsforecast("train", yaml, "--run", run, "--json", *cut, *settings) == 0
    assert json.loads(capfd.readouterr().out)["left_out"] == 6
    assert tsforecast("predict", run, tmp_path / "data.csv", *cut) == 0
    assert capfd.readouterr().out.splitlines()[1].startswith("s0,2020-11-01,2020-10-01,1,")
    assert tsforecast("check", yaml, "--strict", *cut) == 0


def test_a_negative_number_of_steps_is_an_error_of_usage(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("data: {path: data.csv, time: ds, target: y}\nhorizon: 6\n")
    assert tsforecast("train", tmp_path / "c.yaml", "--drop-last", "-1") == 2
