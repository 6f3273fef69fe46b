"""The forecasts of a run, a card for each series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsforecast.config.words import printable
from tsforecast.evaluation.metrics import METRICS
from tsforecast.evaluation.scores import REFERENCE
from tsforecast.forecasting.stored import fallbacks_from_storage, tail_from_storage
from tsforecast.pictures.charts import Band, Chart, Line, line_chart, shown_steps
from tsforecast.pictures.report import SeriesCard
from tsforecast.runs import Run
from tsforecast.series.panel import FloatArray
from tsforecast.series.timeaxis import TimeAxis
from tsforecast.workflows.reporting.files import FORECAST, LONGEST_NAME, LONGEST_TITLE, counted, table_of
from tsforecast.workflows.reporting.scores import Scored, errors_of

__all__ = ["forecasts", "quantile_pairs"]

# More pictures than this take long to load, and nobody looks at them all.
MOST_CARDS = 500
# Steps of history before a forecast: so many horizons, and at least enough to see a season or two.
HISTORY_HORIZONS = 3
MIN_HISTORY = 60


def forecasts(run: Run, found: Scored | None, failures: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """A card for each series, or for evenly chosen ones of very many."""
    table = table_of(run.files.get(FORECAST), columns=lambda name: name not in ("ds", "cutoff"))
    if table.empty:
        return {"cards": []}
    starts = np.flatnonzero(
        np.append(True, table["unique_id"].to_numpy()[1:] != table["unique_id"].to_numpy()[:-1])
    )
    ends = np.append(starts[1:], len(table))
    names = table["unique_id"].to_numpy()[starts]
    errors = _compared(found)
    own = np.array([errors.get(name, (math.nan, math.nan))[0] for name in names])
    order = np.argsort(np.where(np.isnan(own), math.inf, -own), kind="stable")  # the largest error first
    chosen = order[shown_steps(len(order), MOST_CARDS)]
    drawn = _History(run)
    why = {one["unique_id"]: one["reason"] for one in failures}
    metric = METRICS[found.evidence.metric].title if found else ""
    cards = [
        SeriesCard(
            name=printable(names[k], longest=LONGEST_NAME),
            note=_card_note(names[k], metric, errors, why),
            chart=drawn.chart(names[k], table.iloc[starts[k] : ends[k]]),
            rank=0 if math.isnan(own[k]) else place + 1,
        )
        for place, k in enumerate(chosen)
    ]
    return {
        "cards": cards,
        "cards_note": _cards_note(run, len(names), len(cards), scored=bool(errors)),
        "card_legend": cards[0].chart.legend,
    }


def _compared(found: Scored | None) -> dict[str, tuple[float, float]]:
    """Error of the model and of the seasonal naive on each series, by name."""
    if found is None or found.by_series.empty:
        return {}
    own, reference = (
        errors_of(found.by_series, name, found.evidence.metric) for name in (found.evidence.model, REFERENCE)
    )
    return dict(
        zip(own.index, zip(own.tolist(), reference.reindex(own.index).tolist(), strict=True), strict=True)
    )


def _card_note(
    name: str, metric: str, errors: Mapping[str, tuple[float, float]], why: Mapping[str, str]
) -> str:
    if name in why:
        return f"by the seasonal naive: {printable(why[name], longest=120)}"
    own, reference = errors.get(name, (math.nan, math.nan))
    if math.isnan(own):
        return "not judged"
    return f"{metric} {own:.3g}, seasonal naive {reference:.3g}"


def _cards_note(run: Run, n_series: int, n_drawn: int, *, scored: bool) -> str:
    steps = counted(run.config.horizon, "step")
    point = (run.metrics or {}).get("y_hat", "median")
    note = f"{steps} from the end of each series; the blue line is the {point}."
    if n_drawn < n_series:
        how = "evenly chosen from the largest error to the smallest" if scored else "evenly chosen"
        note += f" {n_drawn:,} of {n_series:,} series are drawn, {how}; {FORECAST} holds all."
    return note


class _History:
    """The rows a run keeps, by the name of their series."""

    def __init__(self, run: Run) -> None:
        panels = [tail_from_storage(run.model, run.arrays), *fallbacks_from_storage(run.model, run.arrays)]
        self._places = {name: (panel, s) for panel in panels for s, name in enumerate(panel.unique_ids)}
        self._levels = run.config.forecast.quantile_levels

    def chart(self, name: str, forecast: pd.DataFrame) -> Chart:
        """Some history, and the forecast from its end."""
        panel, s = self._places[name]
        y = panel.values(s)[-max(MIN_HISTORY, HISTORY_HORIZONS * len(forecast)) :]
        end = int(panel.starts[s] + panel.lengths[s]) - 1
        begin = end + 1 - len(y)
        steps = np.arange(begin, end + 1, dtype=np.float64)
        ahead = end + np.concatenate([[0.0], forecast["lead_time"].to_numpy(np.float64)])
        last = int(ahead[-1])
        known = y[np.isfinite(y)]
        joint = known[-1:] if np.isfinite(y[-1:]).all() and len(y) else np.array([math.nan])

        def joined(column: str) -> FloatArray:
            return np.concatenate([joint, forecast[column].to_numpy(np.float64)])

        return line_chart(
            title=f"{printable(name, longest=LONGEST_TITLE)}: history and forecast",
            lines=[
                Line(steps, y, "ink", "history"),
                Line(ahead, joined("y_hat"), "own", "forecast", kind="line" if last > end + 1 else "dots"),
            ],
            bands=[
                Band(ahead, joined(low), joined(high), look, f"quantiles {low[1:]} to {high[1:]}")
                for (low, high), look in zip(
                    quantile_pairs(list(forecast.columns)), ("own", "inner"), strict=False
                )
            ],
            x_ticks=_end_ticks(panel.axis, begin, last),
            marks=[float(end)],
        )


def quantile_pairs(columns: Sequence[str]) -> list[tuple[str, str]]:
    """The outermost quantiles, and the innermost pair where there are more."""
    names = sorted((name for name in columns if name.startswith("q")), key=lambda name: float(name[1:]))
    pairs = [(names[k], names[-1 - k]) for k in range(len(names) // 2)]
    return pairs[:1] + pairs[1:][-1:]


def _end_ticks(axis: TimeAxis, begin: int, end: int) -> dict[float, str]:
    texts = _moments(axis, [begin, end])
    return {float(begin): texts[0], float(end): texts[1]}


def _moments(axis: TimeAxis, positions: Sequence[int]) -> list[str]:
    texts = [str(moment) for moment in axis.timestamps(np.array(positions))]
    return texts if axis.is_integer else [text[:10] if axis.counts_dates else text[:16] for text in texts]
