"""Transforms of a series before it is windowed: a curve that evens out its growth, then differences at a lag.

The network reads and forecasts transformed values, in float64 until they are scaled. A forecast is summed back from
the true values before its cutoff and then leaves the curve. Each curve rises everywhere, so a median stays a median
and a quantile a quantile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tsforecast.config.schema import COUNT_HEADS, POSITIVE_HEADS, Config
from tsforecast.config.words import shown
from tsforecast.errors import DataError
from tsforecast.series.magnitude import LARGEST
from tsforecast.series.panel import BoolArray, Cutoffs, FloatArray, IntArray, Panel
from tsforecast.series.read import name_of, place_of

__all__ = ["CURVES", "Transform", "check_values", "fit_transform"]

# Below zero a Box-Cox curve has a ceiling, and a forecast beyond it would be infinite; zero is the logarithm.
MAX_LAMBDA = 2.0
# Lambda is kept to so many digits: no data tells it more exactly, and between 0 and 0.01 the inverse loses digits.
LAMBDA_DIGITS = 2
# |lambda log y| stays below this, so that the curve neither overflows nor vanishes.
MAX_EXPONENT = 600.0
# The network counts in float32, which ends at 3e38.
LARGEST_UNSCALED = 1e30
# A series with fewer values, or with hardly any growth to even out, takes the middle lambda of the others.
MIN_VALUES = 8
MIN_LOG_RANGE = 1e-3


@dataclass(frozen=True, slots=True)
class Curve:
    """A rising function of one value.

    Attributes:
        forward: transformed values, from values and the lambda of each.
        inverse: values, from transformed ones and the lambda of each; finite for finite ones.
        takes: which values it is defined for.
        expected: these, in words.
    """

    forward: Callable[[FloatArray, FloatArray], FloatArray]
    inverse: Callable[[FloatArray, FloatArray], FloatArray]
    takes: Callable[[FloatArray], BoolArray]
    expected: str


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """A fitted transform of the series of one panel, in their order.

    Attributes:
        name: a key of ``CURVES``.
        difference: lag of the differences, 0 for none.
        lambdas: exponent of each series' Box-Cox curve, 1 where the curve is another, ``(n_series,)``.
    """

    name: str
    difference: int
    lambdas: FloatArray

    @property
    def text(self) -> str:
        """What is done to values, in words; empty where nothing is."""
        parts = [self.name] if self.name != "none" else []
        parts += [f"difference at lag {self.difference}"] if self.difference else []
        return ", ".join(parts)

    def for_panel(self, panel: Panel, known: dict[str, int]) -> Transform:
        """This transform in the order of ``panel``; a series that is not in ``known`` takes the middle lambda."""
        index = np.array([known.get(name, -1) for name in panel.unique_ids], dtype=np.int64)
        return replace(self, lambdas=np.where(index >= 0, self.lambdas[index], _middle(self.lambdas)))

    def levels(self, panel: Panel) -> Panel:
        """The panel on the curve, not differenced."""
        if self.name == "none":
            return panel
        lambdas = np.repeat(self.lambdas, panel.lengths)
        return replace(panel, y=_on_curve(CURVES[self.name], panel.y, lambdas))

    def differences(self, levels: Panel) -> Panel:
        """What the network reads, with as many rows: the first of a series, which have no difference, are NaN."""
        lag = self.difference
        if not lag:
            return levels
        of_row = np.repeat(np.arange(levels.n_series), levels.lengths)
        y = np.full(len(levels.y), np.nan)
        paired = of_row[lag:] == of_row[:-lag]
        y[lag:][paired] = (levels.y[lag:] - levels.y[:-lag])[paired]
        return replace(levels, y=y)

    def summed(
        self, levels: Panel, cutoffs: Cutoffs, differences: FloatArray, *, closed_loop: bool = True
    ) -> FloatArray:
        """Levels from forecast differences, ``(n_cutoffs, horizon)``.

        Each difference is added to the level one lag before: a true one up to the cutoff, the forecast one after it.

        Args:
            levels: holds the history of every cutoff.
            cutoffs: where the forecasts start.
            differences: forecasts of what :meth:`differences` gives, ``(n_cutoffs, horizon)``.
            closed_loop: False adds to the true level after the cutoff as well, where there is one.
        """
        lag = self.difference
        if not lag:
            return differences
        result = np.empty_like(differences)
        before = _levels_before(levels, cutoffs, lag)
        end = levels.offsets[cutoffs.series + 1]
        for step in range(differences.shape[1]):
            start = before[:, step] if step < lag else result[:, step - lag]
            if step >= lag and not closed_loop:
                row = cutoffs.rows + 1 + step - lag
                true = np.where(row < end, levels.y[np.minimum(row, len(levels.y) - 1)], np.nan)
                start = np.where(np.isfinite(true), true, start)
            result[:, step] = start + differences[:, step]
        return result

    def inverse(self, values: FloatArray, series: IntArray) -> FloatArray:
        """Values in the unit of the data, always finite, from levels, ``(n, horizon)``, of these series, ``(n,)``."""
        with np.errstate(over="ignore", divide="ignore"):
            result = CURVES[self.name].inverse(values, self.lambdas[series, None])
        largest = np.finfo(np.float64).max
        clipped: FloatArray = np.clip(result, -largest, largest)
        return clipped

    def bound(self, lowest: FloatArray, series: IntArray) -> FloatArray:
        """Levels of the lowest allowed values, 0 or minus infinity, of these series, ``(n,)``."""
        if self.name == "none":
            return lowest
        at_zero = _on_curve(CURVES[self.name], np.zeros(len(series)), self.lambdas[series])
        return np.where(lowest == 0, at_zero, -np.inf)


def fit_transform(panel: Panel, config: Config) -> Transform:
    """The transform a config asks for, fitted to all rows of the panel, so cut it at the cutoff first."""
    lambdas = _lambdas(panel) if config.transform == "boxcox" else np.ones(panel.n_series)
    return Transform(name=config.transform, difference=config.difference or 0, lambdas=lambdas)


def check_values(panel: Panel, table: pd.DataFrame, config: Config, *, where: str) -> None:
    """Refuses a value that transform or head is not defined for, or that is too large to count with.

    Args:
        panel: to be transformed.
        table: what it was made from, for the line of the value.
        config: names the transform, and the columns.
        where: the file the table was read from.

    Raises:
        DataError: names transform, series, timestamp and line of the first such value, and the way out.
    """
    curve = CURVES[config.transform]
    given = np.isfinite(panel.y)
    plain = config.transform == config.scaling == "none"
    largest = LARGEST_UNSCALED if plain else LARGEST
    for taken, problem, way_out in (
        (
            np.abs(panel.y) <= largest,
            f"is beyond {largest:g}, the largest size that can be counted with{' unscaled' if plain else ''}",
            f"correct the cell, {'set scaling: auto, ' if plain else ''}or give the values in a larger unit",
        ),
        (
            curve.takes(panel.y),
            f"cannot be transformed: transform {config.transform!r} takes {curve.expected}",
            _way_out(panel.y[given]),
        ),
        (
            _of_head(config.model.head, panel.y),
            f"is none that model.head {config.model.head!r} takes: {_taken_by(config.model.head)}",
            "set model.head: auto, or correct the cell",
        ),
    ):
        wrong = np.flatnonzero(given & ~taken)
        if not len(wrong):
            continue
        series = np.searchsorted(panel.offsets, wrong, side="right") - 1
        others = f" ({len(wrong)} such values in {len(np.unique(series))} series)" if len(wrong) > 1 else ""
        place, moment = _place(panel, table, config, name_of(where), int(series[0]), int(wrong[0]))
        raise DataError(
            f"{name_of(where)}: {place}series {shown(panel.unique_ids[series[0]])}: the value "
            f"{panel.y[wrong[0]]:g} at {moment} {problem}{others}; {way_out}.",
            code="V416",
            series={panel.unique_ids[s]: f"a value that {problem}" for s in np.unique(series)},
        )


def _of_head(head: str, y: FloatArray) -> BoolArray:
    """Which values a head can have forecast."""
    if head in COUNT_HEADS:
        taken: BoolArray = (y >= 0) & (y == np.round(y))
        return taken
    return y > 0 if head in POSITIVE_HEADS else np.ones(len(y), dtype=np.bool_)


def _taken_by(head: str) -> str:
    return "counts, 0, 1, 2 …" if head in COUNT_HEADS else "numbers above 0"


def _way_out(y: FloatArray) -> str:
    """The curve nearest to a logarithm that takes all these values."""
    name = next(name for name in ("log1p", "none") if CURVES[name].takes(y).all())
    return f"set transform: {name}, which takes {CURVES[name].expected}"


def _place(
    panel: Panel, table: pd.DataFrame, config: Config, where: str, series: int, row: int
) -> tuple[str, object]:
    """Where a value of the panel stands in the table, empty where a repair has put it there, and its timestamp."""
    position = panel.starts[series] + row - panel.offsets[series]
    moment = panel.axis.timestamps(np.array([position]))[0]
    same = (table["unique_id"] == panel.unique_ids[series]) & (table["ds"] == moment)
    rows = table.index[same]
    return (f"{place_of(config.data, where, int(rows[0]))}: " if len(rows) else ""), moment


def _on_curve(curve: Curve, values: FloatArray, lambdas: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return curve.forward(values, lambdas)


def _levels_before(levels: Panel, cutoffs: Cutoffs, lag: int) -> FloatArray:
    """The last ``lag`` levels up to each cutoff, ``(n_cutoffs, lag)``.

    One that is missing is the one a lag before it, else the last there is, else 0.
    """
    first = levels.offsets[cutoffs.series, None]
    rows = cutoffs.rows[:, None] + np.arange(1 - lag, 1)
    values = _at(levels.y, rows, first)
    while (missing := np.isnan(values) & (rows >= first)).any():
        rows = np.where(missing, rows - lag, rows)
        values = np.where(missing, _at(levels.y, rows, first), values)
    finite = np.isfinite(levels.y)
    newest = np.maximum.accumulate(np.where(finite, np.arange(len(finite)), -1))[cutoffs.rows, None]
    return np.where(np.isnan(values), np.nan_to_num(_at(levels.y, newest, first)), values)


def _at(y: FloatArray, rows: IntArray, first: IntArray) -> FloatArray:
    """Values at the rows, NaN before the first row of their series and where there is none."""
    values = np.where(rows >= first, y[np.maximum(rows, 0)], np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _lambdas(panel: Panel) -> FloatArray:
    """Lambda of each series by profile likelihood (Box, Cox 1964), between 0 and 2, ``(n_series,)``."""
    lambdas = np.array([_lambda(panel.values(series)) for series in range(panel.n_series)])
    return np.where(np.isnan(lambdas), _middle(lambdas[~np.isnan(lambdas)]), lambdas)


def _lambda(y: FloatArray) -> float:
    """Lambda of one series, NaN where its values do not tell."""
    from coreforecast.scalers import boxcox_lambda

    logs = np.log(y[np.isfinite(y) & (y > 0)])  # one NaN would make any lambda of it
    if len(logs) < MIN_VALUES or np.ptp(logs) < MIN_LOG_RANGE:
        return np.nan
    # The likelihood does not depend on the unit. In the unit of the geometric mean nothing overflows.
    relative = logs - logs.mean()
    highest = min(MAX_LAMBDA, MAX_EXPONENT / max(np.abs(logs).max(), 2 * np.abs(relative).max()))
    if np.abs(relative).max() > MAX_EXPONENT:
        return 0.0
    found = boxcox_lambda(np.exp(relative), method="loglik", lower=0.0, upper=highest)
    return float(np.floor(found * 10**LAMBDA_DIGITS + 0.5) / 10**LAMBDA_DIGITS)


def _middle(lambdas: FloatArray) -> float:
    return float(np.round(np.median(lambdas), LAMBDA_DIGITS)) if len(lambdas) else 1.0


def _box_cox(y: FloatArray, lambdas: FloatArray) -> FloatArray:
    """``y**lambda / lambda``, and ``log y`` for 0.

    The usual formula subtracts 1 before it divides. That shifts all values alike, so it cancels where they are
    centred or differenced, and would cost small values their digits.
    """
    bent = np.where(lambdas == 0, 1.0, lambdas)
    return np.where(lambdas == 0, np.log(y), y**bent / bent)


def _box_cox_inverse(z: FloatArray, lambdas: FloatArray) -> FloatArray:
    """The value a level comes from; 0 for a level below all that the curve reaches."""
    bent = np.where(lambdas == 0, 1.0, lambdas)
    return np.where(lambdas == 0, np.exp(z), np.maximum(bent * z, 0.0) ** (1 / bent))


CURVES: dict[str, Curve] = {
    "none": Curve(
        forward=lambda y, _: y,
        inverse=lambda z, _: z,
        takes=np.isfinite,
        expected="every number",
    ),
    "log": Curve(
        forward=lambda y, _: np.log(y),
        inverse=lambda z, _: np.exp(z),
        takes=lambda y: y > 0,
        expected="numbers above 0",
    ),
    "log1p": Curve(
        forward=lambda y, _: np.log1p(y),
        inverse=lambda z, _: np.expm1(z),
        takes=lambda y: y >= 0,
        expected="0 and numbers above",
    ),
    "boxcox": Curve(
        forward=_box_cox,
        inverse=_box_cox_inverse,
        takes=lambda y: y > 0,
        expected="numbers above 0",
    ),
}
