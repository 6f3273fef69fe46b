from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import seasonal_frame

from tsforecast.config.load import config_from_mapping
from tsforecast.errors import ConfigError, DataError, RunError
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.workflows.predict import (
    LoadedRun,
    check_out,
    csv_text,
    load_run,
    parse_quantiles,
    predict,
    with_input_names,
    write_forecast,
)
from tsforecast.workflows.train import Trained, train

FRAME = seasonal_frame(n_series=3, length=72).rename(
    columns={"unique_id": "shop", "ds": "month", "y": "sales"}
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    config = config_from_mapping(
        {
            "data": {"path": "unused.csv", "time": "month", "target": "sales", "id": "shop"},
            "horizon": 6,
            "model": {"hidden_size": 8},
            "training": {"max_steps": 20, "batch_size": 16},
        }
    )
    return train(config, path=tmp_path_factory.mktemp("runs") / "run", source=FRAME)


@pytest.fixture(scope="module")
def run(trained: Trained) -> LoadedRun:
    return load_run(trained.path)


def test_without_data_the_forecast_is_the_one_made_at_the_end_of_training(
    trained: Trained, run: LoadedRun
) -> None:
    frame, _ = predict(run)
    pd.testing.assert_frame_equal(frame, trained.forecast, check_exact=True)


def test_with_the_training_data_the_forecast_is_the_same(trained: Trained, run: LoadedRun) -> None:
    frame, _ = predict(run, FRAME)
    pd.testing.assert_frame_equal(frame, trained.forecast, check_exact=True)


def test_a_horizon_longer_than_trained_begins_with_the_trained_one(trained: Trained, run: LoadedRun) -> None:
    frame, _ = predict(run, horizon=30)
    assert frame["lead_time"].max() == 30
    begins = frame[frame["lead_time"] <= 6].reset_index(drop=True)
    assert begins["y_hat"].to_numpy() == pytest.approx(trained.forecast["y_hat"].to_numpy(), rel=1e-6)


def test_as_of_equals_data_that_ends_there(run: LoadedRun) -> None:
    cut, _ = predict(run, FRAME, as_of="2019-06-15")
    ends_there, _ = predict(run, FRAME[FRAME["month"] <= "2019-06-15"])
    assert cut["cutoff"].unique().tolist() == [pd.Timestamp("2019-06-01")]
    pd.testing.assert_frame_equal(cut, ends_there, check_exact=True)


def test_changing_the_last_observation_moves_the_first_step(run: LoadedRun) -> None:
    changed = FRAME.copy()
    changed.loc[changed["month"] == changed["month"].max(), "sales"] += 3
    before, _ = predict(run, FRAME)
    after, _ = predict(run, changed)
    first = before["lead_time"] == 1
    assert ((before["y_hat"] - after["y_hat"])[first].abs() > 1e-3).all()


def test_a_series_never_seen_is_forecast_and_said_to_be_unseen(
    run: LoadedRun, caplog: pytest.LogCaptureFixture
) -> None:
    renamed = FRAME.assign(shop=FRAME["shop"].replace({"s2": "new shop"}))
    frame, _ = predict(run, renamed)
    assert set(frame["unique_id"]) == {"s0", "s1", "new shop"}
    assert "1 series the model was not trained on" in caplog.text
    assert "'new shop'" in caplog.text


def test_a_few_new_rows_are_enough(run: LoadedRun) -> None:
    frame, _ = predict(run, FRAME[FRAME["month"] >= "2020-12-01"], horizon=2)
    assert np.isfinite(frame["y_hat"]).all()


def test_quantiles_of_the_moment_replace_those_of_the_config(run: LoadedRun) -> None:
    frame, _ = predict(run, quantile_levels=parse_quantiles("0.95, 0.05"))
    assert [column for column in frame if column.startswith("q")] == ["q0.05", "q0.95"]


@pytest.mark.parametrize("text", ["0", "1", "1.2", "0.1,0.1", "nan", "high", "0.5;0.9"])
def test_quantile_levels_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="quantiles"):
        parse_quantiles(text)


def test_data_of_another_frequency_is_refused_with_both(run: LoadedRun) -> None:
    daily = FRAME.assign(
        month=FRAME.groupby("shop")
        .cumcount()
        .map(lambda k: pd.Timestamp("2024-01-01") + pd.Timedelta(days=k))
    )
    with pytest.raises(RunError, match=r"'D'.*trained on 'MS'"):
        predict(run, daily)


def test_as_of_before_all_rows_is_refused_and_says_where_the_rows_begin(run: LoadedRun) -> None:
    message = r"no series has a row at or before --as-of '1999-01-01': the rows the run keeps begin at 20\d\d"
    with pytest.raises(DataError, match=message):
        predict(run, as_of="1999-01-01")


def test_as_of_after_all_rows_leaves_nothing_out_and_says_so(
    run: LoadedRun, trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    frame, _ = predict(run, as_of="2030-01-01")
    pd.testing.assert_frame_equal(frame, trained.forecast)
    assert "lies after the newest row, 2020-12-01" in caplog.text


@pytest.mark.parametrize(
    "as_of", ["yesterdayish", "01/02/2020", "03.02.2020", "Feb", "2020-13-01", "20200301"]
)
def test_as_of_that_is_no_iso_date_is_refused(run: LoadedRun, as_of: str) -> None:
    with pytest.raises(ConfigError, match=f"--as-of: '{as_of}' is not a date such as"):
        predict(run, as_of=as_of)


def test_series_with_fewer_rows_than_the_network_reads_are_named(
    run: LoadedRun, caplog: pytest.LogCaptureFixture
) -> None:
    short = FRAME[(FRAME["month"] >= "2020-06-01") | (FRAME["shop"] != "s1")]
    predict(run, short)
    assert (
        f"1 series have fewer rows than the {run.model.features.history} the network looks back on"
        in caplog.text
    )
    assert "'s1'" in caplog.text


@pytest.mark.parametrize("name", ["forecast.csv", "mine.csv", "plots/mine.csv"])
def test_nothing_is_written_into_the_sealed_run_folder(trained: Trained, name: str) -> None:
    with pytest.raises(ConfigError, match=r"--out: .* lies in the run folder"):
        check_out(None, out=trained.path / name, plots=None)
    with pytest.raises(ConfigError, match=r"--plot: .* lies in the run folder"):
        check_out(None, out=None, plots=trained.path / "plots")
    check_out(None, out=trained.path / "derived" / "mine.csv", plots=None)


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a file the data is read from"):
        check_out(str(tmp_path / "sales.csv"), out=tmp_path / "sales.csv", plots=None)


def test_an_ending_that_is_not_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'\.xlsx'.*\.csv or \.parquet"):
        check_out(None, out=tmp_path / "forecast.xlsx", plots=None)


def test_hours_are_written_in_every_row_also_at_midnight() -> None:
    midnight = pd.DataFrame({"ds": [pd.Timestamp("2024-02-10")], "y_hat": [1.0]})
    hourly = TimeAxis(freq="h", origin=pd.Timestamp("2024-01-01"))
    assert csv_text(midnight, hourly).splitlines()[1] == "2024-02-10 00:00:00,1.0"
    assert (
        csv_text(midnight, TimeAxis(freq="D", origin=pd.Timestamp("2024-01-01"))).splitlines()[1]
        == "2024-02-10,1.0"
    )


def test_input_names_give_the_users_columns_back(trained: Trained, run: LoadedRun) -> None:
    frame = with_input_names(predict(run)[0], run.config.data)
    assert list(frame.columns[:5]) == ["shop", "month", "cutoff", "lead_time", "y_hat"]


@pytest.mark.parametrize("name", ["forecast.csv", "forecast.parquet"])
def test_a_forecast_file_reads_back_as_it_was(run: LoadedRun, tmp_path: Path, name: str) -> None:
    frame, _ = predict(run)
    write_forecast(tmp_path / name, frame, run.tail.axis)
    back = (
        pd.read_parquet(tmp_path / name)
        if name.endswith("parquet")
        else pd.read_csv(tmp_path / name, parse_dates=["ds", "cutoff"])
    )
    pd.testing.assert_frame_equal(back, frame, check_exact=True)


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere"):
        load_run(tmp_path / "nowhere")


def test_data_without_the_time_zone_of_the_run_is_refused(run: LoadedRun) -> None:
    zoned = FRAME.assign(month=FRAME["month"].dt.tz_localize("Europe/Berlin"))
    with pytest.raises(RunError, match=r"time zone is 'Europe/Berlin', and the run was trained on None"):
        predict(run, zoned)


@pytest.mark.parametrize("horizon", [0, -1, 10_001])
def test_a_horizon_out_of_range_is_refused(run: LoadedRun, horizon: int) -> None:
    with pytest.raises(ConfigError, match=f"horizon: {horizon}"):
        predict(run, horizon=horizon)


def test_levels_that_share_a_column_are_refused(run: LoadedRun) -> None:
    with pytest.raises(ConfigError, match="quantiles"):
        predict(run, quantile_levels=[0.1, 0.1000000001])


def test_input_names_that_are_taken_are_refused(run: LoadedRun) -> None:
    data = run.config.data.model_copy(update={"time": "cutoff"})
    with pytest.raises(ConfigError, match="your column 'cutoff'"):
        with_input_names(predict(run)[0], data)


def test_fractions_of_a_second_are_written() -> None:
    ds = pd.date_range("2024-02-10", periods=3, freq="250ms")
    axis = TimeAxis(freq="250ms", origin=pd.Timestamp("2024-01-01"))
    text = csv_text(pd.DataFrame({"ds": ds, "cutoff": ds, "y_hat": 1.0}), axis)
    assert pd.read_csv(StringIO(text), parse_dates=["ds"])["ds"].tolist() == ds.tolist()
