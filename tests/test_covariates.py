"""Covariates from the table to the forecast: which rows are read, which never are, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import seasonal_frame

from tsforecast.config.load import config_from_mapping
from tsforecast.config.schema import Config
from tsforecast.errors import ConfigError, DataError
from tsforecast.features.scaling import fit_scales
from tsforecast.features.windows import Features, WindowReader
from tsforecast.recurrent.network import Network
from tsforecast.series.assemble import panel_from_table
from tsforecast.series.panel import Cutoffs, Panel, data_hash
from tsforecast.series.read import read_table
from tsforecast.training.fit import Watcher
from tsforecast.training.learn import _words_in
from tsforecast.workflows.check import check
from tsforecast.workflows.inspect import inspect
from tsforecast.workflows.predict import load_run, predict
from tsforecast.workflows.train import train

HORIZON = 4
COVARIATES = {
    "static": ["size", "region"],
    "past": ["visits", "weather"],
    "future": ["price", "campaign"],
    "categorical": ["region", "weather", "campaign"],
}


def frame(*, length: int = 60, ahead: int = 0, seed: int = 0) -> pd.DataFrame:
    """Three shops by month with every kind of covariate; ``ahead`` rows at the end have no target."""
    table = seasonal_frame(n_series=3, length=length + ahead, seed=seed)
    random = np.random.default_rng(seed)
    n = len(table)
    shop = table["unique_id"].str[1:].astype(int)
    table["size"] = 10.0 * (shop + 1)
    table["region"] = np.array(["north", "south", "north"])[shop]
    table["visits"] = random.normal(100, 10, n)
    table["weather"] = random.choice(["sun", "rain"], n)
    table["price"] = random.choice([1.0, 2.0, 3.0], n)
    table["campaign"] = random.choice(["none", "big"], n, p=[0.7, 0.3])
    table["y"] += 20 * (table["price"] - 2) + 15 * (table["campaign"] == "big")
    if ahead:
        step = table.groupby("unique_id").cumcount()
        table.loc[step >= length, ["y", "visits"]] = np.nan
    return table


def config(**changes: Any) -> Config:
    data = {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id", "covariates": COVARIATES}
    settings: dict[str, Any] = {
        "data": data | changes.pop("data", {}),
        "horizon": HORIZON,
        "model": {"hidden_size": 8} | changes.pop("model", {}),
        "training": {"max_steps": 12, "batch_size": 16} | changes.pop("training", {}),
    }
    return config_from_mapping(settings | changes)


def panel_of(table: pd.DataFrame, **data: Any) -> Panel:
    settings = config(data=data).data
    return panel_from_table(read_table(settings, source=table), settings)[0]


def test_a_panel_ends_with_the_last_target_and_knows_what_comes_after() -> None:
    table = frame(ahead=5)
    panel = panel_of(table)
    assert panel.lengths.tolist() == [60, 60, 60]
    assert np.diff(panel.future_offsets).tolist() == [65, 65, 65]
    prices = table[table["unique_id"] == "s1"]["price"].to_numpy()
    np.testing.assert_array_equal(panel.future[65:130, 0], prices)
    assert panel.categories == {
        "region": ("north", "south"),
        "weather": ("rain", "sun"),
        "campaign": ("big", "none"),
    }
    np.testing.assert_array_equal(panel.static, [[10, 1], [20, 2], [30, 1]])


def test_dropping_rows_leaves_what_is_known_ahead() -> None:
    panel = panel_of(frame(ahead=5))
    cut = panel.drop_last(7)
    assert np.diff(cut.future_offsets).tolist() == [65, 65, 65]
    tail = panel.tail(10).select([2, 0])
    assert tail.lengths.tolist() == [10, 10]
    assert np.diff(tail.future_offsets).tolist() == [15, 15]
    np.testing.assert_array_equal(tail.future[:15], panel.future[180:195])
    np.testing.assert_array_equal(tail.static, panel.static[[2, 0]])


def test_the_hash_follows_every_covariate() -> None:
    panel = panel_of(frame())
    hashes = {data_hash(panel)}
    for name in ("past", "future", "static"):
        changed = getattr(panel, name).copy()
        changed[-1, 0] += 1
        hashes.add(data_hash(replace(panel, **{name: changed})))
    assert len(hashes) == 4


def reader_of(panel: Panel, **spec: Any) -> WindowReader:
    features = Features(
        lookback=5,
        lags=(),
        calendar=(),
        past=("visits", "weather"),
        scaling="none",
        season_length=12,
        future=("price", "campaign"),
        static=("size", "region"),
        categories=_words_in(panel),
        **spec,
    )
    scales = fit_scales(panel, season_length=12, scaling="standard")
    return WindowReader(panel, features, scales, horizon=HORIZON, device=torch.device("cpu"))


def test_a_step_is_shown_the_future_of_the_step_it_forecasts() -> None:
    panel = panel_of(frame(ahead=HORIZON))
    batch = reader_of(panel).read(Cutoffs(series=np.array([1]), rows=np.array([119])), HORIZON)
    known = batch.known[0].numpy()  # (lookback + horizon - 1, price visits size campaign weather region)
    begin = panel.future_offsets[1]
    steps = np.arange(60 - 5 + 1, 60 + HORIZON)
    price = panel.future[begin + steps, 0]
    history = panel.future[panel.future_rows]
    np.testing.assert_allclose(known[:, 0], (price - history[:, 0].mean()) / history[:, 0].std(), rtol=1e-5)
    np.testing.assert_array_equal(known[:, 3], panel.future[begin + steps, 1])
    visits = panel.past[np.minimum(60 + steps - 1, 119), 0]  # held at the cutoff's from there on
    np.testing.assert_allclose(
        known[:, 1], (visits - panel.past[:, 0].mean()) / panel.past[:, 0].std(), rtol=1e-5
    )
    assert len(set(known[:, 2])) == 1
    assert set(known[:, 5]) == {2.0}


@pytest.mark.parametrize("name", ["visits", "weather"])
def test_a_past_covariate_after_the_cutoff_moves_nothing(name: str) -> None:
    table = frame(ahead=HORIZON)
    changed = table.copy()
    later = changed.groupby("unique_id").cumcount() > 50
    changed.loc[later, name] = "hail" if name == "weather" else 1e6
    before, after = (
        reader_of(panel.drop_last(9)).read(panel.drop_last(9).last_cutoffs, HORIZON).known
        for panel in (panel_of(table), panel_of(changed))
    )
    torch.testing.assert_close(before, after)


def test_words_that_were_not_learned_are_one_unknown_word() -> None:
    panel = panel_of(frame())
    learned = reader_of(panel)
    features = replace(learned.features, categories={**learned.features.categories, "campaign": ("none",)})
    scales = fit_scales(panel, season_length=12, scaling="standard")
    reader = WindowReader(panel, features, scales, horizon=1, device=torch.device("cpu"))
    codes = reader.read(panel.last_cutoffs, 1).known[..., 3]
    words = learned.read(panel.last_cutoffs, 1).known[..., 3]
    torch.testing.assert_close(codes, (words == 2).float())  # "none" was number 2 of 2 and is now number 1


def test_words_of_held_back_rows_are_not_learned() -> None:
    table = frame()
    table.loc[table.groupby("unique_id").cumcount() >= 58, "campaign"] = "clearance"
    panel = panel_of(table)
    assert "clearance" in panel.categories["campaign"]
    assert _words_in(panel.drop_last(2))["campaign"] == ("big", "none")


def test_a_word_is_replaced_by_its_learned_place_and_hidden_now_and_then_in_training() -> None:
    torch.manual_seed(0)
    network = Network(cell="rnn", input_size=4, n_values=1, hidden_size=3, n_categories=(5,))
    x = torch.cat([torch.randn(200, 10, 3), torch.randint(1, 6, (200, 10, 1)).float()], dim=2)
    embedding = network.embeddings[0]
    plain = network.eval().encoded(x)
    torch.testing.assert_close(plain[..., :3], x[..., :3])
    torch.testing.assert_close(plain[..., 3:], embedding(x[..., 3].long()))
    hidden = (network.train().encoded(x)[..., 3:] == 0).all(dim=2).float().mean()
    assert 0.005 < hidden < 0.05


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("covariates") / "run"
    return train(config(training={"max_steps": 150}), path=path, source=frame(ahead=HORIZON))


def future_of(table: pd.DataFrame) -> pd.DataFrame:
    step = table.groupby("unique_id").cumcount()
    return table[step >= 60][["unique_id", "ds", "price", "campaign"]]


def test_a_run_forecasts_from_the_rows_without_a_target(run: Any) -> None:
    assert len(run.forecast) == 3 * HORIZON
    loaded, _ = predict(load_run(run.path))
    pd.testing.assert_frame_equal(loaded, run.forecast)


def test_the_forecast_follows_the_future_price(run: Any) -> None:
    future = future_of(frame(ahead=HORIZON))
    cheap, dear = (
        predict(load_run(run.path), future=future.assign(price=price, campaign="none"))[0]["y_hat"]
        for price in (1.0, 3.0)
    )
    assert ((dear - cheap) > 10).all()  # 40 in the data


def test_future_rows_given_again_change_nothing(run: Any, tmp_path: Path) -> None:
    table = frame(ahead=HORIZON)
    history = table[table.groupby("unique_id").cumcount() < 60]
    future = future_of(table).sample(frac=1, random_state=1)
    stranger = future.head(1).assign(unique_id="nobody")
    future = pd.concat([future, stranger])
    future.to_csv(tmp_path / "future.csv", index=False)
    future.to_parquet(tmp_path / "future.parquet", index=False)
    for source in (future, tmp_path / "future.csv", tmp_path / "future.parquet"):
        again, _ = predict(load_run(run.path), history, future=source)
        pd.testing.assert_frame_equal(again, run.forecast)


def test_missing_future_rows_are_listed(run: Any) -> None:
    future = future_of(frame(ahead=HORIZON))
    hole = (future["unique_id"] == "s2") & (future["ds"] == "2020-03-01")
    with pytest.raises(DataError) as error:
        predict(load_run(run.path), frame(), future=future[~hole])
    assert "series 's2': 2020-03-01 00:00:00 to 2020-04-01 00:00:00 (2 steps)" in str(error.value)
    assert "'s1'" not in str(error.value)
    blank = future.copy()
    blank.loc[hole, "price"] = np.nan
    with pytest.raises(DataError, match="series 's2': 2020-03-01"):
        predict(load_run(run.path), frame(), future=blank)


def test_a_longer_horizon_needs_more_future(run: Any) -> None:
    with pytest.raises(DataError, match=r"give these rows with --future FILE(.|\n)*series 's0': 2020-05-01"):
        predict(load_run(run.path), horizon=HORIZON + 1)


def test_future_rows_for_a_run_without_future_covariates_are_refused(tmp_path: Path) -> None:
    plain = train(config(data={"covariates": {}}), path=tmp_path / "run", source=frame())
    with pytest.raises(ConfigError, match="--future: the run has no future covariates"):
        predict(load_run(plain.path), future=future_of(frame(ahead=HORIZON)))


def test_without_future_rows_no_forecast_is_written_but_the_run_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = train(config(), path=tmp_path / "run", source=frame())
    assert len(trained.forecast) == 0
    assert trained.scores is not None
    assert "known 0 of 4 steps ahead" in caplog.text
    forecast, _ = predict(load_run(trained.path), future=future_of(frame(ahead=HORIZON)))
    assert len(forecast) == 3 * HORIZON


def test_an_unseen_series_and_an_unseen_word_are_forecast(run: Any) -> None:
    table = frame(ahead=HORIZON)
    new = table[table["unique_id"] == "s0"].assign(unique_id="new", region="west")
    other, _ = predict(load_run(run.path), new)
    also, _ = predict(load_run(run.path), new.assign(region="east"))
    pd.testing.assert_frame_equal(other, also)  # both are the unknown word
    known, _ = predict(load_run(run.path), new.assign(region="south"))
    assert (known["y_hat"] - other["y_hat"]).abs().max() > 1e-6


def test_unknown_words_are_named(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    table = frame(ahead=HORIZON)
    history = table[table.groupby("unique_id").cumcount() < 60].assign(region="west")
    future = future_of(table).assign(campaign="giant")
    predict(load_run(run.path), history, future=future)
    assert (
        "column 'region': 1 words that training did not see, taken for one unknown word: 'west'"
        in caplog.text
    )
    assert (
        "column 'campaign': 1 words that training did not see, taken for one unknown word: 'giant'"
        in caplog.text
    )


@pytest.mark.parametrize("cell", ["bilstm", "esn", "gru"])
def test_every_kind_of_network_reads_words(tmp_path: Path, cell: str) -> None:
    trained = train(config(model={"cell": cell}), path=tmp_path / "run", source=frame(ahead=HORIZON))
    loaded = load_run(trained.path)
    pd.testing.assert_frame_equal(predict(loaded)[0], trained.forecast)
    assert inspect(loaded).difference < 1e-5


def test_an_interrupted_training_with_words_is_resumed_to_the_same_weights(tmp_path: Path) -> None:
    table = frame(ahead=HORIZON)
    straight = train(config(), path=tmp_path / "straight", source=table)
    seen: list[int] = []
    watcher = Watcher(on_step=seen.append, stop_signal=lambda: 15 if len(seen) == 7 else None)
    with pytest.raises(Exception, match="--resume"):
        train(config(), path=tmp_path / "run", source=table, watcher=watcher)
    resumed = train(config(), path=tmp_path / "run", source=table, resume=True)
    pd.testing.assert_frame_equal(resumed.forecast, straight.forecast, check_exact=True)


def write(path: Path, table: pd.DataFrame) -> Path:
    table.to_csv(path, index=False)
    return path


def read(path: Path, **data: Any) -> Panel:
    settings = config(data=data).data
    return panel_from_table(read_table(settings, source=path), settings, where=str(path))[0]


def test_a_static_covariate_that_changes_is_refused_with_its_line(tmp_path: Path) -> None:
    table = frame()
    table.loc[70, "region"] = "west"
    path = write(tmp_path / "a.csv", table)
    message = (
        r"a\.csv: line 72: series 's1': the static covariate 'region' is west, and south in its first row"
    )
    with pytest.raises(DataError, match=message):
        read(path)
    table.loc[70, "region"] = "south"
    table.loc[70, "size"] = np.nan
    with pytest.raises(DataError, match=r"line 72: series 's1': the static covariate 'size' has no value"):
        read(write(path, table))


def test_words_in_a_column_of_numbers_are_refused_with_the_way_out(tmp_path: Path) -> None:
    table = frame().astype({"price": object})
    table.loc[3, "price"] = "cheap"
    with pytest.raises(DataError, match=r"'cheap' is not a number .*add it to data\.covariates\.categorical"):
        read(write(tmp_path / "a.csv", table))
    with pytest.raises(DataError, match=r"add it to data\.covariates\.categorical"):
        panel_of(table.astype({"price": str}))


def test_too_many_words_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsforecast.series.assemble.MAX_CATEGORIES", 1)
    with pytest.raises(DataError, match="column 'region': 2 different words, expected at most 1"):
        panel_of(frame())


def test_numbers_may_be_words(tmp_path: Path) -> None:
    table = frame().assign(size=lambda t: t["size"].astype(int))
    panel = read(
        write(tmp_path / "a.csv", table),
        covariates={**COVARIATES, "categorical": [*COVARIATES["categorical"], "size"]},
    )
    assert panel.categories["size"] == ("10", "20", "30")


def test_a_future_covariate_may_not_be_missing_in_the_history() -> None:
    table = frame(ahead=2)
    table.loc[10, "price"] = np.nan
    with pytest.raises(DataError, match="no value of 'price' at 2015-11-01"):
        panel_of(table)


def test_words_are_carried_over_gaps_and_not_averaged() -> None:
    table = frame().drop(index=[10])
    panel = panel_of(table, repair={"gaps": "interpolate"})
    assert panel.future[10, 1] == panel.future[9, 1]
    doubled = pd.concat([frame(), frame().iloc[[5]].assign(campaign="big", price=1.0)])
    panel = panel_of(doubled, repair={"duplicates": "mean"})
    assert panel.categories["campaign"][int(panel.future[5, 1]) - 1] == "big"


def test_a_series_of_rows_to_forecast_alone_is_refused() -> None:
    table = frame()
    table.loc[table["unique_id"] == "s1", "y"] = np.nan
    with pytest.raises(DataError, match="series 's1' has no value, only rows to forecast"):
        panel_of(table)


def test_a_wide_file_has_future_covariates_for_all_its_series() -> None:
    table = frame(ahead=3)
    wide = table.pivot(index="ds", columns="unique_id", values="y").reset_index()
    wide["price"] = table[table["unique_id"] == "s0"]["price"].to_numpy()
    panel = panel_of(wide, target=["s0", "s1", "s2"], id=None, covariates={"future": ["price"]})
    assert panel.lengths.tolist() == [60, 60, 60]
    assert np.diff(panel.future_offsets).tolist() == [63, 63, 63]


@pytest.mark.parametrize(
    ("covariates", "message"),
    [
        (
            {"past": ["a"], "categorical": ["b"]},
            "categorical names 'b', which is neither static, past nor future",
        ),
        ({"past": ["a"], "future": ["a"]}, "column 'a' is named as both"),
        ({"static": ["y"]}, "column 'y' is named as both"),
    ],
)
def test_covariates_that_contradict_each_other_are_refused(covariates: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(data={"covariates": covariates})


def test_a_wide_file_has_no_static_covariates() -> None:
    with pytest.raises(ConfigError, match=r"covariates\.static: a wide file has one row for all series"):
        config(data={"target": ["a", "b"], "id": None, "covariates": {"static": ["s"]}})


# --- beside checks, masks and series set apart


def test_rows_that_lie_ahead_are_no_findings() -> None:
    table = frame(ahead=HORIZON)
    table.loc[table["unique_id"] == "s0", "y"] = 7.0
    table.loc[table.groupby("unique_id").cumcount() >= 60, "y"] = np.nan
    found = check(config(), table).entries
    assert [(entry.code, entry.series) for entry in found] == [
        ("V409", "s0")
    ]  # constant, its targets ahead aside


def test_masked_covariates_are_trained_on_and_forecast_from(tmp_path: Path) -> None:
    table = frame(ahead=HORIZON)
    table.loc[[5, 70], "price"] = np.nan
    table.loc[[8, 90], ["y", "visits"]] = np.nan
    table = table.drop(index=[20, 21])
    settings = config(data={"repair": {"missing": "mask", "gaps": "mask"}})
    panel, _ = panel_from_table(read_table(settings.data, source=table), settings.data)
    assert np.isnan(panel.future[:, 0]).sum() == 4
    assert np.isnan(panel.past[:, 0]).sum() == 4
    assert (panel.future[:, 1] == 0).sum() == 2  # no campaign is known in the gap
    trained = train(settings, path=tmp_path / "run", source=table)
    assert trained.forecast["y_hat"].notna().all()
    run = load_run(tmp_path / "run")
    pd.testing.assert_frame_equal(predict(run, table)[0], trained.forecast, rtol=1e-5)
    ahead = table[table["ds"] > sorted(table["ds"].unique())[-HORIZON - 1]]
    assert ahead["y"].isna().all()
    given = predict(run, table.drop(index=ahead.index), future=ahead)[0]  # a mask does not end what is known
    pd.testing.assert_frame_equal(given, trained.forecast, rtol=1e-5)


def test_what_a_gap_is_filled_with_is_never_infinite() -> None:
    table = frame()
    table.loc[7, "visits"] = np.inf
    table.loc[8, "visits"] = np.nan
    panel = panel_of(table, repair={"infinite": "mask", "missing": "ffill"})
    assert np.isnan(panel.past[7, 0])
    assert panel.past[8, 0] == panel.past[6, 0]


def test_a_series_set_apart_is_forecast_from_its_last_target_on(tmp_path: Path) -> None:
    table = frame(ahead=HORIZON)
    table.loc[7, "y"] = np.inf
    trained = train(config(data={"on_bad_series": "baseline"}), path=tmp_path / "run", source=table)
    assert [(one.unique_id, one.code) for one in trained.failures] == [("s0", "V404")]
    forecast = trained.forecast.set_index("unique_id")
    assert forecast.loc["s0", "cutoff"].unique() == forecast.loc["s1", "cutoff"].unique()


def test_series_set_apart_are_forecast_where_no_future_is_known(tmp_path: Path) -> None:
    table = frame()
    table.loc[7, "y"] = np.inf
    trained = train(config(data={"on_bad_series": "baseline"}), path=tmp_path / "run", source=table)
    assert trained.forecast["unique_id"].tolist() == ["s0"] * HORIZON


def test_a_static_covariate_that_changes_sets_its_series_apart(tmp_path: Path) -> None:
    table = frame(ahead=HORIZON)
    table.loc[7, "size"] = 11.0
    trained = train(config(data={"on_bad_series": "skip"}), path=tmp_path / "run", source=table)
    assert [(one.unique_id, one.code) for one in trained.failures] == [("s0", "V415")]
