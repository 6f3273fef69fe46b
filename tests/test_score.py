"""Scores of archived forecasts: numbers worked by hand, what is counted and said, alarms, and the command."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from browser import Browser, running_browser
from synthetic import config, seasonal_frame
from test_cli import tsforecast
from utilsforecast import losses

from tsforecast.config.drift import Drift
from tsforecast.errors import ConfigError, DataError
from tsforecast.evaluation.metrics import METRICS, seasonal_scale
from tsforecast.series.naive import seasonal_naive
from tsforecast.storage.archive import Issued, append, read, read_entry
from tsforecast.workflows.archived import archived, described
from tsforecast.workflows.predict import LoadedRun, load_run, predict_all
from tsforecast.workflows.reporting.archive import archive_page
from tsforecast.workflows.score import Scored, score
from tsforecast.workflows.scoring import job as scoring
from tsforecast.workflows.scoring import rows as rows_of_files
from tsforecast.workflows.scoring import words
from tsforecast.workflows.scoring.job import JobScores
from tsforecast.workflows.train import train

GUIDE = Path(__file__).parents[1] / "docs" / "archive.md"
DATA = {"path": "unused.csv", "time": "ds", "target": "y", "id": "unique_id"}
MASE = Drift(metric="mase", worse_than=1.2, over="7d")


def actual(values: Mapping[str, Sequence[float]], start: str = "2024-01-01") -> pd.DataFrame:
    """Daily actual values of each series, from one day on; NaN for an empty cell."""
    return pd.concat(
        pd.DataFrame(
            {"unique_id": name, "ds": pd.date_range(start, periods=len(y), freq="D"), "y": np.array(y, float)}
        )
        for name, y in values.items()
    )


def issue(
    archive: Path,
    cutoff: Any,
    y_hat: Mapping[str, Sequence[float]],
    *,
    naive: float = 0.0,
    scale: float = 2.0,
    half_width: float | None = None,
    job: str = "load",
    key: str = "00",
    model: str = "abcdef0123",
    freq: str = "D",
    **metadata: Any,
) -> Path:
    """Archives forecasts of each series from one cutoff."""
    frames = []
    for name, values in y_hat.items():
        n = len(values)
        lead_time = np.arange(1, n + 1)
        ds = cutoff + lead_time if freq == "integer" else pd.date_range(cutoff, periods=n + 1, freq=freq)[1:]
        frame = pd.DataFrame({"unique_id": pd.array([name] * n, dtype="str"), "ds": ds})
        frame["cutoff"] = cutoff if freq == "integer" else pd.Timestamp(cutoff)
        frame = frame.assign(lead_time=lead_time, y_hat=np.array(values, float))
        if half_width is not None:
            frame["q0.1"], frame["q0.9"] = frame["y_hat"] - half_width, frame["y_hat"] + half_width
        frames.append(frame.assign(scale=scale, scale_rmse=scale, seasonal_naive=float(naive)))
    table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
    told = {"data": DATA | metadata.pop("data", {}), "freq": freq, "season_length": 1, "model": "lstm"}
    return append(archive, Issued(job, f"{key}{'e' * 62}", model, str(cutoff), told | metadata), table)


def scored(archive: Path, rows: Any, **options: Any) -> JobScores:
    """The scores of the only job."""
    (one,) = score(archive, rows, **options).jobs
    return one


# Numbers worked by hand


def test_errors_are_those_of_the_values_that_came(tmp_path: Path) -> None:
    """Errors 1 and 3 of the first series, 2 of the second, which has one value: MAE (2 + 2) / 2, MASE half of it."""
    issue(tmp_path, "2024-01-01", {"a": [11, 13], "b": [7, 7]}, half_width=2, naive=6)
    found = scored(tmp_path, actual({"a": [0, 10, 10], "b": [0, 5]}))
    assert found.overall is not None
    assert found.overall.of["mae"].tolist() == [2.0, 2.5]  # the naive's: (4 + 4) / 2 = 4 and 1
    assert found.overall.of["mase"].tolist() == [1.0, 1.25]
    assert found.overall.skill == pytest.approx(1 - 1.0 / 1.25)
    assert found.overall.of["bias"].tolist() == [2.0, -1.5]
    assert found.overall.of["wape"][0] == pytest.approx((1 + 3 + 2) / (10 + 10 + 5))
    assert found.overall.of["coverage"][0] == pytest.approx((1 / 2 + 1) / 2)
    assert found.nominal == pytest.approx(0.8)
    assert (found.counts.steps, found.counts.scored, found.counts.late) == (4, 3, 1)
    by_series = found.by_series.set_index(["unique_id", "model"])
    assert by_series.loc[("b", "model"), "mae"] == 2.0
    assert by_series.loc[("a", "seasonal_naive"), "mase"] == 2.0


def test_as_of_a_moment_later_values_and_forecasts_are_not_known(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [11, 13, 99]})
    issue(tmp_path, "2024-01-03", {"a": [99]}, key="01", horizon=9)
    found = scored(tmp_path, actual({"a": [0, 10, 10, 10]}), as_of="2024-01-03")
    assert (found.n_sets, found.last, found.counts.scored, found.counts.ahead) == (2, "2024-01-03", 2, 2)
    found = scored(tmp_path, actual({"a": [0, 10, 10, 10]}), as_of="2024-01-02")
    assert (found.n_sets, found.last, found.counts.scored, found.counts.ahead) == (1, "2024-01-01", 1, 2)
    assert found.actual.newest_text == "2024-01-02"
    with pytest.raises(DataError, match="holds no forecasts as of 2023-12-31 or before"):
        scored(tmp_path, actual({"a": [0, 10]}), as_of="2023-12-31")
    with pytest.raises(DataError, match="holds no actual value up to 2024-01-01"):
        scored(tmp_path, actual({"a": [0, 10]}, start="2024-01-02"), as_of="2024-01-01")


def test_lead_times_and_weeks_are_told_apart(tmp_path: Path) -> None:
    """Monday the 8th begins a week: of the forecast from Saturday, Sunday is in one week and Monday in the next."""
    issue(tmp_path, "2024-01-06", {"a": [1, 5]})
    issue(tmp_path, "2024-01-07", {"a": [3, 9]})
    found = scored(tmp_path, actual({"a": [0] * 9}))
    assert {lead: means.of["mae"][0] for lead, means in found.by_lead_time.items()} == {1: 2.0, 2: 7.0}
    assert found.period == "week"
    assert {week: (means.of["mae"][0], means.n) for week, means in found.trend.items()} == {
        "2024-01-01": (1.0, 1),
        "2024-01-08": ((5 + 3 + 9) / 3, 3),
    }


def test_models_are_told_apart_in_the_order_they_came(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [4]}, model="ffff")
    issue(tmp_path, "2024-01-02", {"a": [8]}, model="aaaa")
    issue(tmp_path, "2024-01-03", {"a": [16]}, model="aaaa")
    found = scored(tmp_path, actual({"a": [0] * 4}))
    assert [
        (one.model_hash, one.first, one.last, one.means and one.means.of["mae"][0]) for one in found.models
    ] == [("ffff", "2024-01-01", "2024-01-01", 4.0), ("aaaa", "2024-01-02", "2024-01-03", 12.0)]


def test_scores_equal_those_of_utilsforecast_on_the_same_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = actual({name: random.normal(20, 3, 30).round(2) for name in "abc"})
    for day in range(20, 26):
        cutoff = pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)
        made = {name: random.normal(20, 2, 4).round(2).tolist() for name in "abc"}
        issue(tmp_path, cutoff, made, half_width=2.5)
    tables = [table.to_pandas() for _, table in read(tmp_path)]
    together = pd.concat(tables).merge(rows, on=["unique_id", "ds"])
    together["model"] = together["y_hat"]
    together = together.rename(columns={"q0.1": "model-lo-80", "q0.9": "model-hi-80"})
    by_window = together.assign(unique_id=together["unique_id"] + together["cutoff"].astype(str))
    found = scored(tmp_path, rows).by_series
    found = found[found["model"] == "model"].set_index("unique_id")
    for name, expected in {
        "mae": losses.mae(by_window, ["model"]),
        "rmse": losses.rmse(by_window, ["model"]),
        "bias": losses.bias(by_window, ["model"]),
        "coverage": losses.coverage(by_window, ["model"], 80),
    }.items():
        of_series = expected.groupby(expected["unique_id"].str[0])["model"].mean()
        np.testing.assert_allclose(found[name], of_series, rtol=1e-12, err_msg=name)
    expected = losses.nd(together.drop(columns="cutoff"), ["model"])["model"]  # over all cutoffs
    np.testing.assert_allclose(found["wape"], expected, rtol=1e-12)


def test_shards_of_series_give_the_scores_of_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(4)
    names = [f"s{k:02}" for k in range(7)]
    rows = actual({name: random.normal(0, 1, 20) for name in names})
    for day in range(8, 16):
        cutoff = pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)
        issue(tmp_path, cutoff, {name: random.normal(0, 1, 5) for name in [*names, "gone"]}, half_width=1)
    whole = words.scored_json(score(tmp_path, rows, alarms=[MASE]))
    monkeypatch.setattr(scoring, "SHARD", 3)
    parts = words.scored_json(score(tmp_path, rows, alarms=[MASE]))
    assert json.dumps(_rounded(parts)) == json.dumps(_rounded(whole))


def test_no_more_than_a_shard_of_series_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{k:02}" for k in range(8)]
    for day in ("2024-01-01", "2024-01-02"):
        issue(tmp_path, day, {name: [1] for name in names})
    sizes = []

    def counting(*arguments: Any, **options: Any) -> pa.Table:
        table = read_entry(*arguments, **options)
        sizes.append(table.num_rows)
        return table

    monkeypatch.setattr(rows_of_files, "read_entry", counting)
    monkeypatch.setattr(scoring, "SHARD", 3)
    assert scored(tmp_path, actual({name: [0] * 3 for name in names})).counts.scored == 16
    assert sizes == [3, 3, 3, 3, 2, 2]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 9) if isinstance(value, float) else value


# What is counted and said


def test_a_corrected_value_counts_as_it_is_now(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [10]})
    assert scored(tmp_path, actual({"a": [0, 14]})).overall.of["mae"][0] == 4.0
    assert scored(tmp_path, actual({"a": [0, 11]})).overall.of["mae"][0] == 1.0


def test_of_two_rows_of_one_time_the_last_counts_and_it_is_said(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [10]})
    rows = pd.concat([actual({"a": [0, 14]}), actual({"a": [12]}, start="2024-01-02")])
    found = scored(tmp_path, rows)
    assert found.overall.of["mae"][0] == 2.0
    assert "1 rows of the data stand at a time that another row has; the last of them counts." in (
        words.counts_sentences(found)
    )


def test_the_step_that_is_not_complete_is_no_actual_value(tmp_path: Path) -> None:
    """A day that the job leaves out because it is not over; a series that is late has none such."""
    issue(tmp_path, "2024-01-01", {"a": [10, 10], "late": [10, 10]}, drop_last=1)
    rows = actual({"a": [9, 9, 1], "late": [8, 8]})
    assert scored(tmp_path, rows).counts.scored == 2
    assert scored(tmp_path, rows).overall.of["mae"][0] == 1.5
    assert scored(tmp_path, rows, drop_last=0).counts.scored == 3
    rows = rows[rows["ds"] == "2024-01-01"]
    with pytest.raises(DataError, match="no actual value but incomplete ones"):
        scored(tmp_path, rows)


def test_rows_that_mean_a_sum_are_summed(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [10]}, data={"repair": {"duplicates": "sum", "gaps": "zero"}})
    rows = pd.concat([actual({"a": [0, 14, 1]}), actual({"a": [12]}, start="2024-01-02")])
    assert scored(tmp_path, rows).overall.of["mae"][0] == 16.0


@pytest.mark.parametrize("policy", ["interpolate", "ffill", "seasonal", "mask", "error"])
def test_no_actual_value_is_made_up(tmp_path: Path, policy: str) -> None:
    issue(
        tmp_path,
        "2024-01-01",
        {"a": [1, 1, 1, 1]},
        data={"repair": {"gaps": policy, "missing": policy, "infinite": "error"}},
    )
    rows = actual({"a": [0, 2, math.nan, math.inf, 0, 2]}).drop(index=4)
    found = scored(tmp_path, rows)
    assert (found.counts.scored, found.counts.missing) == (1, 3)
    assert found.overall.of["mae"][0] == 1.0
    assert "3 steps have no actual value: the data has a gap or an empty cell there." in (
        words.counts_sentences(found)
    )


def test_a_missing_row_that_means_zero_is_an_actual_value(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [3]}, data={"repair": {"gaps": "zero"}})
    assert scored(tmp_path, actual({"a": [1, 5, 1]}).drop(index=1)).overall.of["mae"][0] == 3.0


def test_steps_without_an_actual_value_are_counted_by_the_reason(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-03", {"a": [0, 0, 0], "late": [0, 0, 0], "nobody": [0, 0, 0]})
    issue(tmp_path, "2023-12-30", {"a": [0, 0, 0]})
    found = scored(tmp_path, actual({"a": [0] * 5, "late": [0] * 4}))
    counts = found.counts
    assert (counts.steps, counts.scored) == (12, 2 + 1 + 2)
    assert (counts.ahead, counts.late, counts.gone, counts.unknown) == (2, 1, 1, 3)
    assert words.counts_sentences(found) == [
        "2 steps lie ahead: their actual values have not come yet.",
        "1 steps have no actual value yet, though the data of other series goes to 2024-01-05.",
        "1 steps lie before the first row that the data still has of their series.",
        "3 steps are of series that the data does not have: 'nobody'.",
    ]


def test_of_a_forecast_that_was_issued_twice_the_newest_counts(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [5], "b": [5]}, key="ff")
    issue(tmp_path, "2024-01-01", {"a": [1]}, key="00")
    found = scored(tmp_path, actual({"a": [0, 0], "b": [0, 0]}))
    by_series = found.by_series[found.by_series["model"] == "model"].set_index("unique_id")["mae"]
    assert by_series.to_dict() == {"a": 1.0, "b": 5.0}
    assert (found.counts.replaced, found.counts.steps) == (1, 2)
    assert "1 forecasts were issued again from the same cutoff; the newest of each counts." in (
        words.counts_sentences(found)
    )


def test_nothing_to_score_yet_is_no_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    issue(tmp_path / "archive", "2024-01-05", {"a": [1, 2]}, drift=MASE.model_dump())
    actual({"a": [0] * 5}).to_csv(tmp_path / "rows.csv", index=False)
    assert (
        tsforecast("score", tmp_path / "archive", tmp_path / "rows.csv", "--page", tmp_path / "p.html") == 0
    )
    out, err = capfd.readouterr()
    assert "Nothing can be scored yet." in out
    assert "2 steps lie ahead" in out
    assert "nothing can be judged" in out
    assert err == ""


def test_series_that_cannot_be_read_are_named_and_the_others_scored(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    issue(archive, "2024-01-01", {"a": [1], "b": [1]})
    rows = actual({"a": [0, 0], "b": [0, 0]}).astype({"y": object})
    rows.iloc[3, 2] = "n/a?"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = score(archive, tmp_path / "rows.csv")
    assert found.is_partial
    assert [failure.unique_id for failure in found.jobs[0].failures] == ["b"]
    assert found.jobs[0].overall.of["mae"][0] == 1.0
    assert "'b' (V401" in words.warnings(found)[0]


def test_series_that_repeat_themselves_have_no_mase_and_are_ranked_by_mae(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [1, 1], "b": [2, 2]}, scale=math.nan)
    found = score(tmp_path, actual({"a": [0] * 3, "b": [0] * 3}), alarms=[MASE])
    assert "The 2 worst of 2 series, by MAE" in words.text(found)
    assert not found.raised
    assert archive_page(found)


# Alarms


def weeks_of_errors(archive: Path, errors: Sequence[float], **options: Any) -> pd.DataFrame:
    """A forecast of one step each day from 2024-01-07 on, with one error per week; the naive always errs by 4."""
    for day in range(7 * len(errors)):
        cutoff = pd.Timestamp("2024-01-07") + pd.Timedelta(days=day)
        error = errors[day // 7]
        issue(archive, cutoff, {"a": [error], "b": [error / 2]}, naive=4, **options)
    return actual({name: [0] * (7 + 7 * len(errors)) for name in "ab"})


def test_an_alarm_says_what_drifted_since_when_how_much_and_what_to_do(tmp_path: Path) -> None:
    """Weeks with MASE 0.75, 0.75, 1.5, 2.25: the newest 14 days have 1.875, and two weeks are too bad."""
    rows = weeks_of_errors(tmp_path, [2, 2, 4, 6])
    found = score(tmp_path, rows, alarms=[Drift(metric="mase", worse_than=1.2, over="14d")])
    (alarm,) = found.raised
    assert alarm.value == pytest.approx((1.5 + 2.25) / 2)
    assert alarm.steps == 2 * 14
    assert alarm.since == "2024-01-22"
    (told,) = found.alarm_texts
    assert told.startswith(
        "job 'load': drift: MASE 1.875 over the 14d up to 2024-02-04 (28 steps) is worse than 1.2, and has been since "
        "the week of 2024-01-22. The seasonal naive's is 2. Worst: 'a' (2.5), 'b' (1.25)."
    )
    assert told.endswith("have become harder to forecast: look at the newest rows (`tsforecast check CONFIG`) before "
                         "you train anew.")  # fmt: skip


def test_an_alarm_that_loses_to_the_naive_says_to_train_anew(tmp_path: Path) -> None:
    rows = weeks_of_errors(tmp_path, [2, 8])
    (told,) = score(tmp_path, rows, alarms=[MASE]).alarm_texts
    assert "train anew: `retrain:` of the job, or `tsforecast update RUN DATA`" in told


@pytest.mark.parametrize(
    ("drift", "raised"),
    [
        (Drift(metric="mase", worse_than=1.2, over="7d"), False),
        (Drift(metric="mase", worse_than=1.2, over="4w"), True),
        (Drift(metric="mae", worse_than=1.49, over="7d"), True),
        (Drift(metric="mae", worse_than=1.5, over="7d"), False),  # as bad as it may be is not worse
        (Drift(metric="bias", worse_than=1.0, over="7d"), True),
        (Drift(metric="skill", worse_than=0.5, over="7d"), False),
        (Drift(metric="skill", worse_than=0.7, over="7d"), True),
        (Drift(metric="coverage", worse_than=0.8, over="7d"), True),
        (Drift(metric="coverage", worse_than=0.4, over="7d"), False),
        (Drift(metric="mase", worse_than=1.2, over="15"), True),  # steps: into the bad week
        (Drift(metric="mase", worse_than=1.2, over="999999w"), True),
    ],
    ids=lambda value: getattr(value, "text", str(value)),
)
def test_an_alarm_is_raised_where_its_stretch_is_worse(tmp_path: Path, drift: Drift, raised: bool) -> None:
    """Errors 8, then 2 (with half of them for the other series): the newest week has MASE 0.75, MAE 1.5."""
    rows = weeks_of_errors(tmp_path, [8, 2], half_width=1.5)
    rows = rows[rows["ds"] <= "2024-01-21"]
    assert bool(score(tmp_path, rows, alarms=[drift]).raised) == raised


def test_a_past_drift_that_is_over_has_no_since(tmp_path: Path) -> None:
    rows = weeks_of_errors(tmp_path, [8, 2])
    (alarm,) = score(tmp_path, rows, alarms=[Drift(metric="mase", worse_than=1.2, over="14d")]).raised
    assert alarm.since == ""


def test_the_alarm_a_job_recorded_is_watched_unless_others_are_given(tmp_path: Path) -> None:
    rows = weeks_of_errors(tmp_path, [8], drift=MASE.model_dump())
    assert score(tmp_path, rows).raised
    assert not score(tmp_path, rows, alarms=[]).raised


def test_an_alarm_in_days_needs_days(tmp_path: Path) -> None:
    issue(tmp_path, 3, {"a": [5, 5]}, freq="integer", data={"freq": "integer"})
    rows = pd.DataFrame({"unique_id": "a", "ds": range(1, 6), "y": 0.0})
    with pytest.raises(ConfigError, match="write a number of steps, such as over=14"):
        score(tmp_path, rows, alarms=[MASE])
    (alarm,) = score(tmp_path, rows, alarms=[Drift(metric="mae", worse_than=4, over="1")]).raised
    assert (alarm.first, alarm.last, alarm.steps) == ("5", "5", 1)


# Other kinds of time


def test_months_are_their_own_periods(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-31", {"a": [1, 2]}, freq="ME")
    rows = actual({"a": [0] * 3}).assign(ds=pd.date_range("2024-01-31", periods=3, freq="ME"))
    found = scored(tmp_path, rows)
    assert {at: means.of["mae"][0] for at, means in found.trend.items()} == {
        "2024-02-29": 1.0,
        "2024-03-31": 2.0,
    }


def test_hours_are_matched_over_the_switch_of_the_clock(tmp_path: Path) -> None:
    """From midnight before the switch 24 hours reach to 1 o'clock on Monday, which is Sunday in UTC."""
    ds = pd.date_range("2024-03-31 00:00", periods=25, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame(
        {
            "unique_id": pd.array(["a"] * 24, dtype="str"),
            "ds": ds[1:],
            "cutoff": ds[0],
            "lead_time": range(1, 25),
            "y_hat": np.arange(1.0, 25.0),
        }
    ).assign(scale=1.0, scale_rmse=1.0, seasonal_naive=0.0)
    told = {"data": DATA, "freq": "h", "timezone": "Europe/Berlin", "season_length": 1}
    append(tmp_path, Issued("j", "ab" * 8, "m", str(ds[0]), told), pa.Table.from_pandas(frame))
    rows = pd.DataFrame({"unique_id": "a", "ds": ds.tz_convert("UTC"), "y": 0.0})
    found = scored(tmp_path, rows)
    assert [means.of["mae"][0] for means in found.by_lead_time.values()] == list(range(1, 25))
    assert {week: means.n for week, means in found.trend.items()} == {"2024-03-25": 22, "2024-04-01": 2}


# Archives and data that do not fit


def test_forecasts_of_another_frequency_are_left_out_and_named(tmp_path: Path) -> None:
    path = issue(tmp_path, "2024-01-01", {"a": [1, 2]}, freq="2D")
    issue(tmp_path, "2024-01-05", {"a": [1, 2]})
    found = score(tmp_path, actual({"a": [0] * 9}))
    assert found.jobs[0].counts.steps == 2
    (problem,) = found.problems
    assert str(path) in problem
    assert "frequency" in problem
    assert found.is_partial


def test_one_job_that_cannot_be_scored_does_not_stop_the_next(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    actual({"a": [0, 0]}).to_csv(rows, index=False)
    issue(tmp_path / "archive", "2024-01-01", {"a": [1]}, job="good", data={"path": str(rows)})
    issue(tmp_path / "archive", "2024-01-01", {"a": [1]}, job="bad", data={"path": str(tmp_path / "no.csv")})
    found = score(tmp_path / "archive")
    assert [one.job for one in found.jobs] == ["good"]
    assert "no.csv" in found.failed["bad"]
    assert found.is_partial
    with pytest.raises(DataError, match=r"no\.csv"):
        score(tmp_path / "archive", job="bad")


def test_an_archive_without_the_job_or_without_anything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no forecasts; name it as `archive:`"):
        score(tmp_path / "empty")
    issue(tmp_path / "archive", "2024-01-01", {"a": [1]})
    with pytest.raises(DataError, match=r"no forecasts of a job 'laod' \(it holds 'load'\)"):
        score(tmp_path / "archive", job="laod")
    with pytest.raises(DataError, match="no such archive"):
        score(tmp_path / "nowhere")
    (path,) = (tmp_path / "archive").rglob("*.parquet")
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="holds no forecast that can be read"):
        score(tmp_path / "archive")


def test_a_source_that_cannot_be_read_again_asks_for_data(tmp_path: Path) -> None:
    for number, path in enumerate(["-", "https://user:***@example.org/x.csv"]):
        archive = tmp_path / str(number)
        issue(archive, "2024-01-01", {"a": [1]}, data={"path": path})
        with pytest.raises(DataError, match=r"cannot be read again; give DATA"):
            score(archive)
        assert scored(archive, actual({"a": [0, 0]})).counts.scored == 1


def test_stdin_is_read_for_one_job_only(tmp_path: Path) -> None:
    issue(tmp_path, "2024-01-01", {"a": [1]}, job="one")
    issue(tmp_path, "2024-01-01", {"a": [1]}, job="two")
    with pytest.raises(ConfigError, match="choose one with --job"):
        score(tmp_path, "-")


@pytest.mark.parametrize(("since", "kept"), [("2024-01-08", 20), ("7d", 7), ("1w", 7), ("0001-01-01", 21)])
def test_only_the_newest_forecasts_are_scored_where_that_is_asked(
    tmp_path: Path, since: str, kept: int
) -> None:
    rows = weeks_of_errors(tmp_path, [1, 1, 1])
    assert scored(tmp_path, rows, since=since).n_sets == kept


@pytest.mark.parametrize("since", ["2999-01-01", "soon", "12", "0d"])
def test_what_is_no_time_to_score_from_is_refused(tmp_path: Path, since: str) -> None:
    issue(tmp_path, "2024-01-01", {"a": [1]})
    with pytest.raises(ConfigError, match="--since: "):
        score(tmp_path, actual({"a": [0, 0]}), since=since)


@pytest.mark.parametrize("stored", [None, {"path": "x.csv"}, {"path": "x.csv", "time": 3, "colour": 1}, [1]])
def test_an_archive_that_does_not_say_how_rows_are_written_is_refused(tmp_path: Path, stored: object) -> None:
    table = next(read_one(tmp_path / "first"))
    append(tmp_path / "archive", Issued("load", "ab" * 8, "m", "2024-01-01", {"data": stored}), table)
    with pytest.raises(DataError, match="does not say how the rows"):
        score(tmp_path / "archive", actual({"a": [0, 0]}))


def read_one(archive: Path) -> Iterator[pa.Table]:
    issue(archive, "2024-01-01", {"a": [1]})
    return (table for _, table in read(archive))


@pytest.mark.parametrize("season", [None, "x", 0, -1, 1.5, 10**9])
def test_strange_metadata_does_no_harm(tmp_path: Path, season: object) -> None:
    issue(tmp_path, "2024-01-01", {"a": [1]}, season_length=season, drift={"metric": "odd"})
    assert words.text(score(tmp_path, actual({"a": [0, 0]})))


# The command


@pytest.fixture
def drifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an archive whose newest week is bad, and the actual values it says it came from."""
    monkeypatch.chdir(tmp_path)
    rows = weeks_of_errors(
        tmp_path / "archive", [2, 2, 8], half_width=3, data={"path": str(tmp_path / "rows.csv")}
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path


def test_the_command_reads_where_the_job_read_and_exits_with_6_on_an_alarm(
    drifted: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tsforecast("score", "archive") == 0
    out, err = capfd.readouterr()
    assert "load: 21 sets of forecasts, as of 2024-01-07 00:00:00 to 2024-01-27 00:00:00" in out
    assert "42 of 42 forecast steps have an actual value, up to 2024-01-28" in out
    assert "LOSES" not in out
    assert err == ""
    assert tsforecast("score", "archive", "--alarm", "metric=mase,worse_than=1.2,over=7d") == 6
    out, err = capfd.readouterr()
    assert "By week" in out
    assert err.startswith("tsforecast: job 'load': drift: MASE 3 over the 7d up to 2024-01-28")


def test_the_tables_are_written_before_the_alarm_and_replaced_by_the_next(
    drifted: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words_ = ["score", "archive", "--alarm", "worse_than=1.2,over=7d", "--out", "tables", "--json"]
    for _ in range(2):
        assert tsforecast(*words_) == 6
    document = json.loads(capfd.readouterr().out.split("\n}\n")[0] + "\n}")
    assert document == json.loads((drifted / "tables" / "scores.json").read_text())
    assert sorted(path.name for path in (drifted / "tables").iterdir()) == sorted(words.OURS)
    assert document["alarms_raised"] == 1
    assert document["jobs"][0]["alarms"][0]["value"] == pytest.approx(3.0)
    trend = pd.read_csv(drifted / "tables" / "trend.csv")
    own = trend[trend["model"] == "model"].set_index("from")["mase"]
    assert own.to_dict() == {"2024-01-08": 0.75, "2024-01-15": 0.75, "2024-01-22": 3.0}
    assert set(METRICS) <= set(pd.read_csv(drifted / "tables" / "by_series.csv").columns)


def test_what_would_do_harm_is_refused(drifted: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (drifted / "mine").mkdir()
    (drifted / "mine" / "letter.txt").write_text("keep")
    for wrong, message in [
        (["--out", "archive/tables"], "lies in the archive"),
        (["--page", "archive/page.html"], "lies in the archive"),
        (["--out", "mine"], "letter.txt"),
        (["--page", "page.pdf"], "a page is written as .html"),
        (["--alarm", "metric=mas,worse_than=1"], "Did you mean 'mase'?"),
    ]:
        assert tsforecast("score", "archive", *wrong) == 2
        assert message in capfd.readouterr().err
    assert (drifted / "mine" / "letter.txt").read_text() == "keep"
    assert tsforecast("score", "nowhere") == 3


def test_a_file_that_is_not_ours_is_named_and_makes_the_work_partly_done(
    drifted: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (drifted / "archive" / "export.parquet").write_bytes(b"PAR1 and then nothing")
    (drifted / "archive" / "README.md").write_text("what this is")
    assert tsforecast("score", "archive") == 5
    err = capfd.readouterr().err
    assert "left out: archive/export.parquet: cannot be read" in err
    assert "1 files are no forecasts: 'archive/README.md'" in err
    (drifted / "archive" / "export.parquet").unlink()
    assert tsforecast("score", "archive") == 0


# From a forecast to its score


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    folder = tmp_path_factory.mktemp("run")
    frame = seasonal_frame(n_series=3, length=60)
    return load_run(train(config(), path=folder / "run", source=frame).path, device="cpu")


def test_a_forecast_is_archived_with_its_scales_and_the_naive_of_its_cutoff(run: LoadedRun) -> None:
    made = predict_all(run, seasonal_frame(n_series=3, length=70))
    season = run.model.features.season_length
    table = archived(made.frame, (made.panel, *made.fallbacks), season_length=season).to_pandas()
    panel = made.panel
    pd.testing.assert_frame_equal(table[list(made.frame.columns)], made.frame)
    scale = seasonal_scale(panel, panel.last_cutoffs, season)
    naive = seasonal_naive(panel, panel.last_cutoffs, 6, season)
    for number, name in enumerate(panel.unique_ids):
        rows = table[table["unique_id"] == name]
        assert rows["scale"].tolist() == [scale.mae[number]] * 6
        assert rows["scale_rmse"].tolist() == [scale.rmse[number]] * 6
        assert rows["seasonal_naive"].tolist() == naive[number].tolist()


def test_a_shard_of_the_series_is_archived_as_in_the_whole(run: LoadedRun) -> None:
    made = predict_all(run, seasonal_frame(n_series=3, length=70))
    season = run.model.features.season_length
    whole = archived(made.frame, [made.panel], season_length=season).to_pandas()
    shard = made.frame[made.frame["unique_id"] == "s1"]
    part = archived(shard, [made.panel.select([1])], season_length=season).to_pandas()
    pd.testing.assert_frame_equal(part, whole[whole["unique_id"] == "s1"].reset_index(drop=True))


def test_a_forecast_from_elsewhere_is_refused(run: LoadedRun) -> None:
    made = predict_all(run, seasonal_frame(n_series=3, length=70))
    with pytest.raises(ValueError, match="does not start at the end"):
        archived(made.frame, [made.panel.drop_last(1)], season_length=12)
    with pytest.raises(ValueError, match="series 's0' is in none"):
        archived(made.frame, [made.panel.select([1, 2])], season_length=12)


def test_series_of_the_fallback_are_archived_too(tmp_path: Path) -> None:
    frame = seasonal_frame(n_series=3, length=60)
    data = DATA | {"on_bad_series": "baseline"}
    run = load_run(train(config(data=data), path=tmp_path / "run", source=frame).path, device="cpu")
    rows = frame.copy()
    rows.loc[rows.index[5], "y"] = math.inf
    made = predict_all(run, rows)
    assert [panel.unique_ids for panel in made.fallbacks] == [("s0",)]
    table = archived(made.frame, (made.panel, *made.fallbacks), season_length=12).to_pandas()
    fallback = table[table["unique_id"] == "s0"]
    assert fallback["seasonal_naive"].tolist() == fallback["y_hat"].tolist()
    assert np.isfinite(fallback["scale"]).all()


def test_what_is_described_has_no_secrets_and_an_absolute_path(run: LoadedRun) -> None:
    told = described(run, "sales.csv", horizon=6)
    assert told["data"]["path"] == str(Path("sales.csv").absolute())
    assert (told["horizon"], told["season_length"], told["freq"], told["model"]) == (6, 12, "MS", "lstm")
    assert told["point"] == "median"
    assert described(run, None, horizon=6, drift=MASE)["drift"] == MASE.model_dump()
    secret = described(run, "https://me:hunter2@example.org/x.csv?token=abcdefgh", horizon=6)
    assert "hunter2" not in json.dumps(secret)
    assert "abcdefgh" not in json.dumps(secret)


def test_forecasts_of_a_run_are_scored_as_the_metrics_say(run: LoadedRun, tmp_path: Path) -> None:
    """Trained, forecast at several cutoffs, archived, scored: the mean of the errors of each forecast."""
    rows = seasonal_frame(n_series=3, length=72)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    season, errors = run.model.features.season_length, []
    for as_of in ("2020-01-01", "2020-02-01", "2020-03-01"):
        made = predict_all(run, rows, as_of=as_of)
        table = archived(made.frame, [made.panel], season_length=season)
        told = described(run, str(tmp_path / "rows.csv"), horizon=6)
        key = f"{len(errors):08}"
        append(tmp_path / "archive", Issued("shop", key, "m1", as_of, told), table)
        both = table.to_pandas().merge(rows, on=["unique_id", "ds"])
        errors.append((both["y"] - both["y_hat"]).abs() / both["scale"])
    found = scored(tmp_path / "archive", None)
    assert found.overall.of["mase"][0] == pytest.approx(pd.concat(errors).mean(), rel=1e-12)
    assert found.counts.scored == 3 * 3 * 6
    assert found.period == "time"


# The page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("needs chromium, Debian's browser")
    with running_browser() as running:
        yield running


HOSTILE = ["<script>alert(1)</script>", "</style><b>", "{{ 7 * 7 }}", "rtl \u202eevil", "x" * 150]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """Several jobs with names that would break a careless page, one of them drifted."""
    archive = tmp_path_factory.mktemp("hostile")
    for job in HOSTILE:
        for day in range(20):
            cutoff = pd.Timestamp("2024-01-07") + pd.Timedelta(days=day)
            error = 9 if job == HOSTILE[2] else 1
            made = {name: [error, error] for name in HOSTILE}
            issue(archive, cutoff, made, job=job, naive=2, half_width=3, model=job)
    return score(
        archive, actual({name: [0] * 40 for name in HOSTILE}), alarms=[Drift(worse_than=1.2, over="90d")]
    )


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_its_window_and_nothing_complains(
    browser: Browser, hostile: Scored, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "page.html"
    path.write_text(archive_page(hostile), encoding="utf-8")
    with browser.tab(width=width, height=740, mobile=width < 500) as tab:
        tab.open(path)
        assert tab.run("document.documentElement.scrollWidth") <= width
        wide = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg') && "
        assert tab.run(f"{wide} e.getBoundingClientRect().right > innerWidth + 1).length") == 0
        assert tab.run("document.scripts.length") == 0
        assert tab.run("getComputedStyle(document.body).display") == "block"
        assert tab.run("document.querySelectorAll('svg[role=img]').length") == 3 * len(HOSTILE)
        ids = tab.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))
        names = tab.run("[...document.querySelectorAll('h2.job')].map(h => h.textContent)")
        assert names[0] == HOSTILE[2]  # the one that drifted comes first
        assert tab.run("document.querySelector('.verdict h2').textContent").startswith("Drift")
        assert tab.complaints == []
        assert tab.requests == [path.resolve().as_uri()]


def test_the_page_is_written_by_the_command_also_where_an_alarm_is_raised(drifted: Path) -> None:
    words_ = ["score", "archive", "--alarm", "worse_than=1.2,over=7d", "--page", "new/page.html", "--quiet"]
    assert tsforecast(*words_) == 6
    page = (drifted / "new" / "page.html").read_text()
    assert "MASE 3 over the 7d up to 2024-01-28" in page
    assert str(drifted) not in page  # a page may be published
    before = (drifted / "new" / "page.html").stat().st_ino
    assert tsforecast(*words_) == 6
    assert (drifted / "new" / "page.html").read_text() == page
    assert (drifted / "new" / "page.html").stat().st_ino != before


def test_a_file_name_that_is_no_text_breaks_neither_page_nor_table(tmp_path: Path) -> None:
    issue(tmp_path / "archive", "2024-01-01", {"a": [1]})
    Path(os.fsdecode(os.fsencode(tmp_path / "archive") + b"/\xff.parquet")).write_bytes(b"")
    found = score(tmp_path / "archive", actual({"a": [0, 0]}))
    assert len(found.problems) == 1
    words.text(found).encode()
    assert "cannot be read" in archive_page(found).encode().decode()


def test_many_jobs_are_told_in_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsforecast.workflows.reporting.archive.MOST_JOBS", 2)
    for number in range(4):
        issue(tmp_path, "2024-01-01", {"a": [1, 1]}, job=f"job{number}")
    page = archive_page(score(tmp_path, actual({"a": [0] * 3})))
    assert page.count('<section id="job-') == 2
    assert "Only the first 2 of 4 jobs follow" in page
    assert "job3" in page


# docs/archive.md


@pytest.fixture
def guided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blocks of code of the guide, in a folder with an archive of the name they use."""
    monkeypatch.chdir(tmp_path)
    for day in ("2024-06-01", "2024-06-02"):
        issue(Path("forecasts"), day, {"north": [1, 2], "south": [3, 4]}, naive=1)
    return re.findall(r"```(?:python|sql)\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_the_guide_reads_the_archive_with_pandas_and_pyarrow(
    guided: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    by_pandas, by_pyarrow, _ = guided
    exec(by_pandas, {})
    assert "2024-06-02    1.5" in capsys.readouterr().out
    exec(by_pyarrow, {})
    assert capsys.readouterr().out == "4 1\n"


def test_the_guide_reads_the_archive_with_duckdb(guided: list[str]) -> None:
    duckdb = pytest.importorskip("duckdb")
    rows = {row[:2]: row[2] for row in duckdb.sql(guided[2]).fetchall()}
    assert rows == {("north", 1): 0.0, ("north", 2): 1.0, ("south", 1): 2.0, ("south", 2): 3.0}
