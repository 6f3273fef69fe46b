"""The backtest below a run, in pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.words import printable
from tsforecast.evaluation.metrics import METRICS
from tsforecast.pictures.charts import Band, Chart, Line, bar_chart, line_chart
from tsforecast.pictures.report import SeriesCard
from tsforecast.runs import Run, open_derived
from tsforecast.series.panel import FloatArray
from tsforecast.workflows.reporting.files import (
    LONGEST_NAME,
    LONGEST_TITLE,
    MIDNIGHT,
    counted,
    derived,
    sentence,
    table_of,
    told,
)
from tsforecast.workflows.reporting.scores import Scored, errors_of, model_lines, top_shown
from tsforecast.workflows.reporting.series import quantile_pairs

__all__ = ["backtest_parts"]

WINDOWS_DRAWN = 8
SERIES_OF_BACKTEST = 3


def backtest_parts(run: Run, found: Scored) -> dict[str, Any]:
    with told(run, "backtest"):
        return {
            "backtest_notes": _backtest_notes(found.document),
            "backtest_charts": [chart for chart in _backtest_charts(run, found) if chart],
            "backtest_series": _worst_and_best(run, found),
        }


def _backtest_notes(document: Mapping[str, Any]) -> list[str]:
    moments = document["cutoffs"]
    cutoffs = f"{counted(document['n_windows'], 'cutoff')}, {counted(document['stride'], 'step')} apart"
    own = ", each series counted from its own end" if document["align"] == "own" else ""
    notes = [f"{cutoffs}, from {moments[0]} to {moments[-1]}{own}."]
    one_step, recursive = (document["one_step"][name] for name in ("mase", "mase_of_the_recursive_forecast"))
    if one_step is not None and recursive is not None:
        notes.append(
            f"One step ahead, each time with the actual values before it, MASE is {one_step:.3f}; fed with its own "
            f"forecasts over the same steps, {recursive:.3f}."
        )
    return [*notes, *(printable(sentence(note), longest=300) for note in document["notes"])]


def _backtest_charts(run: Run, found: Scored) -> Iterator[Chart | None]:
    yield _coverage_chart(found)
    yield _cutoff_chart(run, found)
    errors = table_of(derived(run, "backtest/errors.csv"), text=("cycle", "label"))
    for cycle, rows in errors.groupby("cycle", sort=False) if len(errors) else ():
        yield bar_chart(
            title=f"Errors {cycle}",
            labels=[str(label) for label in rows["label"]],
            quartiles=rows[["q0.25", "q0.5", "q0.75"]].to_numpy(np.float64),
            y_label="actual − forecast, in usual seasonal changes",
        )


def _coverage_chart(found: Scored) -> Chart | None:
    table, nominal = found.by_lead_time, found.evidence.interval
    if nominal is None or "coverage" not in table:
        return None
    own = table[table["model"] == found.evidence.model]
    if own["coverage"].isna().all() or len(own) < 2:
        return None
    line = Line(own["lead_time"].to_numpy(np.float64), 100 * own["coverage"].to_numpy(np.float64), "own")
    return line_chart(
        title=f"Actual values inside the {100 * nominal:g} % interval, by lead time",
        lines=[line],
        levels={100 * nominal: "muted"},
        x_label="steps after the cutoff",
        y_label="% (dashed: as it should be)",
        from_zero=True,
    )


def _cutoff_chart(run: Run, found: Scored) -> Chart | None:
    table = table_of(derived(run, "backtest/by_cutoff.csv"), text=("cutoff", "model"))
    metric = found.evidence.metric
    if table.empty or table["cutoff"].nunique() < 2:
        return None
    moments = list(dict.fromkeys(table["cutoff"]))
    numbered = table.assign(number=table["cutoff"].map({text: k for k, text in enumerate(moments)}))
    lines = model_lines(numbered, "number", metric, own=found.evidence.model)
    return line_chart(
        title=f"{METRICS[metric].title} by cutoff",
        lines=lines,
        x_ticks={0.0: moments[0], len(moments) - 1.0: moments[-1]},
        from_zero=True,
        top=top_shown(lines),
    )


def _worst_and_best(run: Run, found: Scored) -> list[SeriesCard]:
    """The series with the largest and the smallest error, and their newest windows."""
    if found.by_series.empty:
        return []
    metric = found.evidence.metric
    errors = errors_of(found.by_series, found.evidence.model, metric).dropna()
    ranked = errors.sort_values(ascending=False, kind="stable")
    names = list(dict.fromkeys([*ranked.index[:SERIES_OF_BACKTEST], *ranked.index[-SERIES_OF_BACKTEST:]]))
    with open_derived(run.path, "backtest/cv.parquet") as file:
        if file is None or not names:
            return []
        windows = pd.read_parquet(file, filters=[("unique_id", "in", names)])
    tables = dict(list(windows.groupby("unique_id", sort=False)))
    return [
        SeriesCard(
            name=printable(name, longest=LONGEST_NAME),
            note=f"{METRICS[metric].title} {ranked[name]:.3g}",
            chart=_windows_chart(name, tables[name]),
        )
        for name in names
        if name in tables
    ]


def _windows_chart(name: str, rows: pd.DataFrame) -> Chart:
    """What came, and the forecasts from the newest cutoffs."""
    newest = rows["cutoff"].drop_duplicates().sort_values().tail(WINDOWS_DRAWN)
    rows = rows[rows["cutoff"].isin(newest)].sort_values(["cutoff", "lead_time"])
    # As numbers, so that windows apart from each other are drawn apart.
    place = dict(zip(rows["ds"], _numbers(rows["ds"]), strict=True))
    actual = rows.drop_duplicates("ds").sort_values("ds")
    parts = [part for _, part in rows.groupby("cutoff")]
    pairs = quantile_pairs([str(column) for column in rows])[:1]
    texts = [
        str(moment).removesuffix(MIDNIGHT)[:16] for moment in (actual["ds"].iloc[0], actual["ds"].iloc[-1])
    ]
    at = np.array([place[moment] for moment in actual["ds"]])
    own = [
        Line(_numbers(part["ds"]), part["y_hat"].to_numpy(np.float64), "own", "" if k else "forecasts",
             kind="line" if len(part) > 1 else "dots")
        for k, part in enumerate(parts)
    ]  # fmt: skip
    cutoffs = counted(len(parts), "cutoff")
    return line_chart(
        title=f"{printable(name, longest=LONGEST_TITLE)}: actual values and forecasts from {cutoffs}",
        lines=[Line(at, actual["y"].to_numpy(np.float64), "ink", "actual values"), *own],
        bands=[
            Band(_numbers(part["ds"]), part[low].to_numpy(np.float64), part[high].to_numpy(np.float64), "own",
                 "" if k else f"quantiles {low[1:]} to {high[1:]}")
            for k, part in enumerate(parts)
            for low, high in pairs
        ],
        x_ticks={float(at[0]): texts[0], float(at[-1]): texts[1]},
        marks=[float(_numbers(part["ds"])[0]) for part in parts],
    )  # fmt: skip


def _numbers(ds: pd.Series[Any]) -> FloatArray:
    """Timestamps as numbers that keep their distances."""
    index = pd.Index(ds)
    if isinstance(index, pd.DatetimeIndex):
        index = pd.Index(index.asi8)
    numbers: FloatArray = index.to_numpy(np.float64)
    return numbers
