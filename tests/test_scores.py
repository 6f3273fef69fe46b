"""Scores: which forecasts are made, how errors are averaged, and what is said about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from m4_baselines import m4_scores
from synthetic import panel_of, seasonal_series

from tsforecast.evaluation.baselines import BASELINES
from tsforecast.evaluation.metrics import METRICS, RELATIVE
from tsforecast.evaluation.scores import (
    Scores,
    actuals,
    legend,
    metrics_json,
    model_lines,
    rolling_cutoffs,
    score,
    scores_text,
)
from tsforecast.series.panel import Cutoffs, FloatArray, Panel

M4 = Path(__file__).parents[1] / "../shared/data"
# What can be computed from point forecasts.
OF_POINTS = [name for name, metric in METRICS.items() if not metric.needs]


def cutoffs(*places: tuple[int, int]) -> Cutoffs:
    series, rows = zip(*places, strict=True)
    return Cutoffs(series=np.array(series), rows=np.array(rows))


def scored(panel: Panel, model: FloatArray, *, season_length: int = 1) -> Scores:
    """Scores of a model and the baselines, each series forecast once, up to its end."""
    horizon = model.shape[1]
    ends = rolling_cutoffs(panel, horizon=horizon, test=horizon)
    forecasts = {name: baseline(panel, ends, horizon, season_length) for name, baseline in BASELINES.items()}
    return score(panel, ends, {"lstm": model, **forecasts}, season_length=season_length)


def verdict(scores: Scores) -> str:
    return scores_text(scores, model_name="lstm").splitlines()[-1]


# Steps of 1 before the cutoff; then the seasonal naive (3, 3) errs by 1 and 3, drift (4, 5) by 0 and 1.
SIMPLE = [1.0, 2, 3, 4, 6]


def test_cutoffs_are_a_horizon_apart_and_the_last_forecast_ends_with_its_series() -> None:
    found = rolling_cutoffs(panel_of(range(10)), horizon=2, test=6)
    assert found.rows.tolist() == [3, 5, 7]


def test_cutoffs_can_be_closer_than_a_horizon() -> None:
    found = rolling_cutoffs(panel_of(range(10)), horizon=2, test=4, stride=1)
    assert found.rows.tolist() == [5, 6, 7]


def test_a_series_without_a_row_before_its_test_part_has_no_cutoff() -> None:
    found = rolling_cutoffs(panel_of(range(4), range(5)), horizon=2, test=4)
    assert found.series.tolist() == [1, 1]
    assert found.rows.tolist() == [4, 6]


def test_a_test_part_shorter_than_the_horizon_has_no_cutoff() -> None:
    assert len(rolling_cutoffs(panel_of(range(9)), horizon=5, test=4)) == 0


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    horizon=st.integers(1, 9),
    test=st.integers(1, 20),
    stride=st.integers(1, 9),
)
def test_every_forecast_lies_in_the_test_part_of_its_own_series(
    lengths: list[int], horizon: int, test: int, stride: int
) -> None:
    panel = panel_of(*(np.arange(n) for n in lengths))
    found = rolling_cutoffs(panel, horizon=horizon, test=test, stride=stride)
    ends = panel.offsets[1:][found.series]
    assert (panel.rows_known(found) >= 1).all()
    assert (found.rows + 1 >= ends - test).all()
    assert (found.rows + horizon < ends).all()


def test_actual_values_past_the_end_of_a_series_are_missing() -> None:
    panel = panel_of([1, 2, 3], [4, 5])
    found = actuals(panel, cutoffs((0, 1), (1, 3), (1, 4)), 2)
    np.testing.assert_array_equal(found, [[3, np.nan], [5, np.nan], [np.nan, np.nan]])


def test_scores_of_one_series_are_those_worked_by_hand() -> None:
    table = scored(panel_of(SIMPLE), np.array([[4.0, 4.0]])).by_model
    assert list(table.columns) == [*OF_POINTS, *RELATIVE]
    table = table.drop(index=["window_average", "naive2"])
    assert table["mae"].to_dict() == {"lstm": 1, "naive": 2, "seasonal_naive": 2, "drift": 0.5}
    assert table["mase"].to_dict() == table["mae"].to_dict()  # the scale is 1
    assert table["rmse"].to_dict() == pytest.approx(
        {"lstm": 2**0.5, "naive": 5**0.5, "seasonal_naive": 5**0.5, "drift": 0.5**0.5}
    )
    assert table["skill"].to_dict() == {"lstm": 0.5, "naive": 0, "seasonal_naive": 0, "drift": 0.75}


def test_each_series_weighs_the_same_however_often_it_is_forecast() -> None:
    panel = panel_of([0, 1, 0, 1, 0, 1], [0, 1, 0])
    found = score(
        panel,
        cutoffs((0, 2), (1, 7), (0, 3), (0, 4)),
        {"model": panel.y[[3, 8, 4, 5], None] + [[3], [8], [6], [9]]},
        season_length=1,
    )
    assert found.by_series["mae"].tolist() == [6, 8]
    assert found.by_model.loc["model", "mae"] == 7
    assert (found.n_series, found.n_cutoffs, found.horizon) == (2, 4, 1)


def test_by_series_has_a_row_for_each_model_of_each_series() -> None:
    panel = panel_of(SIMPLE, SIMPLE)
    table = scored(panel, np.array([[4.0, 6.0], [5.0, 7.0]])).by_series
    assert list(table.columns) == ["unique_id", "model", *OF_POINTS]
    assert table["unique_id"].tolist() == ["s0"] * (1 + len(BASELINES)) + ["s1"] * (1 + len(BASELINES))
    assert table["model"].tolist() == ["lstm", *BASELINES] * 2
    of_two = table[table["model"].isin(["lstm", "drift"])]
    assert of_two["mae"].tolist() == [0, 0.5, 1, 0.5]


def test_by_lead_time_has_the_error_of_each_step() -> None:
    panel = panel_of(SIMPLE, [2 * value for value in SIMPLE])
    table = scored(panel, np.array([[4.0, 4.0], [8.0, 8.0]])).by_lead_time.set_index(["model", "lead_time"])
    assert list(table.columns) == [name for name in OF_POINTS if METRICS[name].of_steps]
    table = table[["mae", "mase"]]
    assert table.loc["lstm"].to_numpy().tolist() == [[0, 0], [3, 2]]
    assert table.loc["seasonal_naive"].to_numpy().tolist() == [[1.5, 1], [4.5, 3]]


def test_steps_past_the_end_of_a_series_do_not_count() -> None:
    panel = panel_of([0, 1, 2])
    found = score(panel, cutoffs((0, 1)), {"model": np.array([[5.0, 99.0]])}, season_length=1)
    assert found.by_model.loc["model", "mae"] == 3


def test_a_series_that_never_changes_has_no_part_in_scaled_errors() -> None:
    panel = panel_of(SIMPLE, [7.0, 7, 7, 7, 7])
    table = scored(panel, np.array([[4.0, 4.0], [9.0, 9.0]])).by_model
    assert table.loc["lstm", "mae"] == 1.5
    assert table.loc["lstm", "mase"] == 1
    assert table.loc["lstm", "skill"] == 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_is_not_forgiven_a_series_it_does_not_forecast(value: float) -> None:
    panel = panel_of(SIMPLE, SIMPLE)
    scores = scored(panel, np.array([[4.0, 6.0], [5.0, value]]))
    assert scores.by_model.loc["lstm", OF_POINTS].isna().all()
    assert scores.by_model.loc["seasonal_naive", "mase"] == 2
    assert "cannot be compared" in verdict(scores)


def test_without_a_seasonal_naive_there_is_no_skill() -> None:
    panel = panel_of(SIMPLE)
    found = score(panel, cutoffs((0, 2)), {"model": np.array([[4.0, 4.0]])}, season_length=1)
    assert np.isnan(found.by_model[["skill", "owa"]]).all(axis=None)


def test_metrics_are_plain_numbers_and_what_is_undefined_is_none() -> None:
    scores = scored(panel_of([7.0, 7, 7, 7]), np.array([[8.0, 8.0]]), season_length=1)
    found = json.loads(json.dumps(metrics_json(scores), allow_nan=False))
    assert found["models"]["lstm"] == {
        "mae": 1,
        "rmse": 1,
        "smape": pytest.approx(200 / 15),
        "mase": None,
        "rmsse": None,
        "wape": pytest.approx(1 / 7),
        "bias": 1,
        "relative_bias": pytest.approx(1 / 7),
        "owa": None,
        "skill": None,
    }
    assert (found["n_series"], found["n_cutoffs"], found["horizon"], found["season_length"]) == (1, 1, 2, 1)


def test_a_better_model_is_said_to_be_better() -> None:
    scores = scored(panel_of(SIMPLE), np.array([[4.0, 5.5]]))
    assert verdict(scores) == "lstm is better than the seasonal naive by 87.5 % (MASE 0.25 against 2)."


def test_a_model_that_loses_is_said_to_lose() -> None:
    scores = scored(panel_of(SIMPLE), np.array([[0.0, 3.0]]))
    assert "lstm LOSES to the seasonal naive by 75.0 % (MASE 3.5 against 2)." in verdict(scores)


def test_a_model_that_loses_to_another_baseline_is_said_to_lose_to_it() -> None:
    scores = scored(panel_of(SIMPLE), np.array([[4.0, 4.0]]))
    assert verdict(scores).endswith("(MASE 1 against 2). It LOSES to drift (0.5).")


def test_a_draw_is_called_a_draw() -> None:
    scores = scored(panel_of([1.0, 2, 3, 3, 2]), np.array([[3.0, 3.0]]))
    assert verdict(scores) == "lstm is as good as the seasonal naive (MASE 0.5 against 0.5)."


def test_series_that_repeat_themselves_exactly_are_compared_by_their_mae() -> None:
    panel = panel_of([1.0, 5] * 4)
    assert "lstm LOSES to the seasonal naive (MAE 1 against 0)" in verdict(
        scored(panel, np.array([[2.0, 6.0]]), season_length=2)
    )
    assert "lstm is as good as the seasonal naive (MAE 0 against 0)" in verdict(
        scored(panel, np.array([[1.0, 5.0]]), season_length=2)
    )


def test_the_table_has_a_line_for_each_model_with_its_scores() -> None:
    lines = scores_text(scored(panel_of(SIMPLE), np.array([[4.0, 4.0]])), model_name="lstm").splitlines()
    assert lines[0] == "Held-back part: 1 forecast of 2 steps, 1 series"
    assert lines[2].split() == ["MAE", "RMSE", "sMAPE", "MASE", "RMSSE", "skill"]
    assert [line.split()[0] for line in lines[3:9]] == ["lstm", *BASELINES]
    assert lines[3].split()[1:] == ["1.0000", "1.4142", "20.000", "1.000", "1.414", "0.500"]
    assert len({len(line) for line in lines[2:9]}) == 1


def test_a_single_series_is_not_listed_among_the_worst() -> None:
    assert "worst" not in scores_text(scored(panel_of(SIMPLE), np.array([[4.0, 4.0]])), model_name="lstm")


def test_the_ten_worst_series_are_listed_with_the_worst_first() -> None:
    panel = panel_of(*[SIMPLE] * 12)
    model = np.array([4.0, 6.0]) + np.arange(12.0)[:, None] % 7  # errors 0 to 6, then 0 to 4
    lines = scores_text(scored(panel, model), model_name="lstm").splitlines()
    start = lines.index("lstm: the 10 worst of 12 series, by MASE") + 2
    names = [line.split()[0] for line in lines[start : start + 10]]
    assert names == ["s6", "s5", "s4", "s11", "s3", "s10", "s2", "s9", "s1", "s8"]
    assert lines[start].split()[4] == "6.000"
    assert lines[start].split()[6] == "2.000"  # the seasonal naive's
    assert lines[start + 10] == ""


def test_names_with_line_breaks_or_without_end_do_not_break_the_table() -> None:
    panel = panel_of(SIMPLE, SIMPLE)
    model = np.array([[4.0, 6.0], [5.0, 7.0]])
    plain = scores_text(scored(panel, model), model_name="lstm")
    hostile = Panel(
        axis=panel.axis,
        unique_ids=("a\nb\x1b[31m\r", "x" * 5000),
        offsets=panel.offsets,
        starts=panel.starts,
        y=panel.y,
        past=panel.past,
    )
    text = scores_text(scored(hostile, model), model_name="lstm")
    assert text.count("\n") == plain.count("\n")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_errors_of_any_size_are_shown_with_at_least_four_digits(unit: float) -> None:
    panel = panel_of([unit * value for value in SIMPLE])
    lines = scores_text(scored(panel, unit * np.array([[4.0, 5.5]])), model_name="lstm").splitlines()
    shown = lines[3].split()[1]
    assert float(shown) == pytest.approx(0.25 * unit, rel=1e-4)
    assert len(shown.replace(".", "").lstrip("0")) >= 4


def test_scores_do_not_depend_on_the_order_of_the_cutoffs() -> None:
    panel = panel_of(*(seasonal_series(40, seed=seed) for seed in range(3)))
    places = rolling_cutoffs(panel, horizon=4, test=12)
    shuffled = places[np.random.default_rng(0).permutation(len(places))]
    first, second = (
        score(panel, c, {name: f(panel, c, 4, 12) for name, f in BASELINES.items()}, season_length=12)
        for c in (places, shuffled)
    )
    pd.testing.assert_frame_equal(first.by_series, second.by_series)
    pd.testing.assert_frame_equal(first.by_model, second.by_model)
    pd.testing.assert_frame_equal(first.by_lead_time, second.by_lead_time)


def test_pooled_metrics_divide_the_sum_of_all_errors_by_the_sum_of_all_values() -> None:
    panel = panel_of([1, 2, 10], [1, 2, 90])
    found = score(panel, cutoffs((0, 1), (1, 4)), {"model": np.array([[12.0], [81.0]])}, season_length=1)
    assert found.by_series["wape"].tolist() == [0.2, 0.1]
    assert found.by_model.loc["model", "wape"] == 11 / 100
    assert found.by_model.loc["model", "relative_bias"] == -7 / 100
    assert found.by_lead_time["wape"].tolist() == [11 / 100]


def test_bias_is_averaged_with_its_sign() -> None:
    panel = panel_of([1, 2, 10], [1, 2, 90])
    found = score(panel, cutoffs((0, 1), (1, 4)), {"model": np.array([[12.0], [81.0]])}, season_length=1)
    assert found.by_model.loc["model", "bias"] == -3.5


def test_quantiles_add_their_metrics_for_the_models_that_make_them() -> None:
    panel = panel_of([1, 2, 10])
    found = score(
        panel,
        cutoffs((0, 1)),
        {"model": np.array([[12.0]]), "other": np.array([[9.0]])},
        season_length=1,
        quantiles={"model": np.array([[[12.0, 14.0, 8.0]]])},
        levels=[0.5, 0.9, 0.1],
    )
    assert list(found.by_model.columns) == [*METRICS, *RELATIVE]
    assert found.by_model.loc["model", "interval_width"] == 6
    assert found.by_lead_time.set_index("model").loc["model", "coverage"] == 1
    assert np.isnan(found.by_model.loc["other", ["wql", "crps", "coverage"]].to_numpy(float)).all()
    assert found.by_model.loc["other", "mae"] == 1


def test_without_a_pair_of_levels_there_is_no_interval_to_judge() -> None:
    found = score(
        panel_of([1, 2, 10]),
        cutoffs((0, 1)),
        {"model": np.array([[12.0]])},
        season_length=1,
        quantiles={"model": np.array([[[12.0, 14.0]]])},
        levels=[0.5, 0.9],
    )
    assert "wql" in found.by_model
    assert "coverage" not in found.by_model


def test_the_owa_is_the_mean_of_the_ratios_of_the_means() -> None:
    panel = panel_of(SIMPLE, [2 * value for value in SIMPLE])
    table = scored(panel, np.array([[4.0, 4.0], [8.0, 8.0]])).by_model
    own, reference = table.loc["lstm"], table.loc["naive2"]
    expected = (own["smape"] / reference["smape"] + own["mase"] / reference["mase"]) / 2
    assert own["owa"] == pytest.approx(expected)
    assert reference["owa"] == 1


def test_the_legend_says_unit_and_average_of_every_column() -> None:
    text = legend(["mae", "rmse", "smape", "mase", "rmsse", "skill"], season_length=12)
    assert text.splitlines() == [
        "MAE, RMSE: in the unit of the data. sMAPE: per cent, 0 to 200.",
        "MASE, RMSSE: 1 is the usual change over one season (12 steps) in the rows before.",
        "skill: 1 - MASE / MASE of the seasonal naive. All are means over the series.",
    ]
    assert "WAPE: over all values together." in legend(["mae", "wape"], season_length=1)


@pytest.mark.parametrize("name", [*METRICS, *RELATIVE])
def test_every_metric_can_be_a_column_with_its_legend(name: str) -> None:
    panel = panel_of([1, 2, 10])
    y_hat = {"model": np.array([[12.0]])}
    quantiles = {"model": np.array([[[8.0, 14.0]]])}
    found = score(panel, cutoffs((0, 1)), y_hat, season_length=1, quantiles=quantiles, levels=[0.1, 0.9])
    title = (METRICS.get(name) or RELATIVE[name]).title
    assert model_lines(found, [name]).splitlines()[0].strip() == title
    assert legend([name], season_length=1).startswith(f"{title}: ")


# Mean sMAPE and MASE as the organisers published them.
ORGANISERS = {
    ("m4_hourly", "naive2"): (18.383, 2.395),
    ("m4_hourly", "seasonal_naive"): (13.912, 1.193),
    ("m4_weekly", "naive2"): (9.161, 2.777),
}


@pytest.mark.parametrize(("data", "name"), ORGANISERS)
def test_baselines_on_m4_have_the_scores_of_the_organisers(data: str, name: str) -> None:
    if not (M4 / data).exists():
        pytest.skip(f"needs ../shared/data/{data}, which is not part of the repository")
    table, _ = m4_scores(M4 / data, [name, "naive2"])
    assert tuple(table.loc[name, ["smape", "mase"]].astype(float).round(3)) == ORGANISERS[data, name]
    own, reference = ORGANISERS[data, name], ORGANISERS[data, "naive2"]
    owa = (own[0] / reference[0] + own[1] / reference[1]) / 2
    assert table.loc[name, "owa"] == pytest.approx(owa, abs=5e-4)
