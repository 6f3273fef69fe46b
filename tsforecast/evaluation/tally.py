"""Scores of more forecasts than fit in memory: counted up set by set, to the means that all of them at once would give.

What an error is stands in ``metrics.py`` alone. Here their numbers are added up by group (a model, a lead time, a
week) and by series, so that in the end each series weighs the same; shares of a total are pooled. The sums of many
series take memory, so they are counted shard by shard: a shard is some of the series, and all that was forecast of
them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tsforecast.evaluation.metrics import METRICS, RELATIVE, Judged, Metric
from tsforecast.series.panel import BoolArray, FloatArray, IntArray

__all__ = ["OF_STEPS", "OF_WINDOWS", "Means", "Tally", "Values", "values_of"]

# Metrics of single steps, by lead time and over time: each of them takes memory for each group.
OF_STEPS = ("mae", "mase", "smape", "wape", "bias", "relative_bias", "wql", "coverage")
OF_WINDOWS = tuple(METRICS)
SKILL = RELATIVE["skill"]


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """The numbers of one metric for some forecasts.

    Attributes:
        of: of each model and place, ``(models, places)``.
        over: what the sum is divided by, ``(places,)``; None where means are taken.
    """

    of: FloatArray
    over: FloatArray | None

    def at(self, places: BoolArray) -> Values:
        """The numbers of some of the places."""
        return Values(self.of[:, places], None if self.over is None else self.over[places])


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Scores of one group.

    Attributes:
        of: of each metric, ``(models,)``; NaN where nothing is known.
        skill: of the first model against the last; NaN where one of them has no score.
        n: forecasts or steps that were counted.
    """

    of: Mapping[str, FloatArray]
    skill: float
    n: int


@dataclass(slots=True)
class _Sums:
    """Of one group: sums of the shard at hand, by series, and of all shards before it.

    What a sum is divided by is the number of forecasts, or of a share of a total that total.
    """

    by_series: dict[str, FloatArray] = field(default_factory=dict)  # (models, series)
    over: dict[str, FloatArray] = field(default_factory=dict)  # (series,)
    totals: dict[str, FloatArray] = field(default_factory=dict)  # (models,)
    totals_over: dict[str, float] = field(default_factory=dict)
    both: FloatArray = field(default_factory=lambda: np.zeros(2))  # of the skill: own errors, the reference's
    n: int = 0


def values_of(judged: Judged, names: Sequence[str]) -> dict[str, Values]:
    """The numbers of each metric that can be computed.

    Args:
        judged: with the models as first axis of the forecasts, and one window per place.
        names: keys of ``METRICS``.
    """
    metrics: dict[str, Metric] = {name: METRICS[name] for name in names}
    return {
        name: Values(metric.of(judged), metric.over(judged) if metric.over else None)
        for name, metric in metrics.items()
        if not metric.needs or metric.needs in judged.has
    }


class Tally:
    """Sums by group and series, from which the scores come."""

    def __init__(self, n_models: int = 2) -> None:
        self._n_models = n_models
        self._n_series = 0
        self._groups: dict[Hashable, _Sums] = {}

    def begin(self, n_series: int) -> None:
        """A new shard of so many series; the one before must have been ended."""
        self._n_series = n_series

    def add(
        self,
        values: Mapping[str, Values],
        keys: Sequence[Hashable],
        group: IntArray,
        series: IntArray,
    ) -> None:
        """Counts some forecasts, each of which has an actual value.

        Args:
            values: of them, as :func:`values_of` gives them.
            keys: of the groups.
            group: place of each forecast's key, ``(places,)``.
            series: in the shard, ``(places,)``.
        """
        shape = (len(keys), self._n_series)
        cell, n_cells = group * self._n_series + series, len(keys) * self._n_series
        groups = [self._groups.setdefault(key, _Sums()) for key in keys]
        for sums, number in zip(groups, np.bincount(group, minlength=len(keys)), strict=True):
            sums.n += int(number)
        for name, one in values.items():
            counted = ~np.isnan(one.of).all(axis=0)
            parts = np.where(counted, one.of, 0.0)
            weights = counted.astype(np.float64) if one.over is None else np.where(counted, one.over, 0.0)
            added = np.stack([np.bincount(cell, weights=row, minlength=n_cells) for row in parts])
            added = added.reshape(self._n_models, *shape)
            over = np.bincount(cell, weights=weights, minlength=n_cells).reshape(shape)
            for place, sums in enumerate(groups):
                if name not in sums.by_series:
                    sums.by_series[name] = np.zeros((self._n_models, self._n_series))
                    sums.over[name] = np.zeros(self._n_series)
                sums.by_series[name] += added[:, place]
                sums.over[name] += over[place]

    def end(self) -> dict[Hashable, dict[str, FloatArray]]:
        """Ends the shard, and returns the scores of its series: by group and metric, ``(models, series)``."""
        return {key: _ended(sums) for key, sums in self._groups.items()}

    def means(self) -> dict[Hashable, Means]:
        """The scores of each group, in the order in which the groups came."""
        return {key: _means(sums) for key, sums in self._groups.items()}


def _ended(sums: _Sums) -> dict[str, FloatArray]:
    """The scores of the series at hand, whose sums become part of the totals."""
    scores = {name: _ratio(total, sums.over[name]) for name, total in sums.by_series.items()}
    for name, score in scores.items():
        if METRICS[name].over is None:  # each series weighs the same
            counted = ~np.isnan(score).all(axis=0)
            total, over = np.where(counted, score, 0.0).sum(axis=1), float(counted.sum())
        else:
            total, over = sums.by_series[name].sum(axis=1), float(sums.over[name].sum())
        sums.totals[name] = sums.totals.get(name, 0.0) + total
        sums.totals_over[name] = sums.totals_over.get(name, 0.0) + over
    for name in set(SKILL.ratios) & set(scores):
        own, reference = scores[name][0], scores[name][-1]
        both = ~np.isnan(own) & ~np.isnan(reference)
        sums.both += [own[both].sum(), reference[both].sum()]
    sums.by_series, sums.over = {}, {}
    return scores


def _means(sums: _Sums) -> Means:
    of = {name: _ratio(sums.totals[name], sums.totals_over[name]) for name in METRICS if name in sums.totals}
    own, reference = sums.both
    skill = float(SKILL.of(own / reference)) if reference > 0 else math.nan
    return Means(of, skill, sums.n)


def _ratio(total: FloatArray, count: npt.NDArray[np.number] | float) -> FloatArray:
    count = np.broadcast_to(np.asarray(count), total.shape)
    result: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return result
