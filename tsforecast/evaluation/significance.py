"""Whether one model errs less than another, or was lucky with the cutoffs: a number and a sentence.

One series: the test of Diebold and Mariano over its cutoffs. Many series: they rise and fall together, so it is the
cutoffs that are drawn again, all series of one at once, and neighbouring cutoffs in one block. With few cutoffs
neither can tell, and says so. Each comparison stands for itself: of twenty equal models one looks better at p < 0.05.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tsforecast.evaluation.metrics import mae, mase, seasonal_scale
from tsforecast.evaluation.scores import actuals
from tsforecast.series.panel import Cutoffs, FloatArray, IntArray, Panel

__all__ = ["Difference", "bootstrap_over_cutoffs", "diebold_mariano", "judge", "p_text", "significance_text"]

# Cutoffs that no comparison does without, counted in forecasts that do not overlap.
FEWEST = 8
SURE = 0.05
RESAMPLES = 9999
# Differences that vary by less than this share of their size are one number, but for the rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """How a model's errors differ from another's, and how sure that is.

    Attributes:
        mean: mean of own error - other's, in the unit of the errors; below 0 the model is better.
        low: lower end of its 95 % interval; NaN where it cannot be told.
        high: upper end alike.
        p_value: how often equal models would differ as much, by chance; NaN where it cannot be told.
        statistic: what the test compares with its distribution; NaN for a bootstrap.
        method: name of the test.
        n_cutoffs: times that forecasts were made at.
        n_series: series they were made for.
        why_not: why there is no p-value, or nothing.
    """

    mean: float
    low: float = math.nan
    high: float = math.nan
    p_value: float = math.nan
    statistic: float = math.nan
    method: str = ""
    n_cutoffs: int = 0
    n_series: int = 1
    why_not: str = ""


def judge(
    panel: Panel,
    cutoffs: Cutoffs,
    own: FloatArray,
    other: FloatArray,
    *,
    season_length: int,
    times: IntArray | None = None,
    seed: int = 1,
) -> Difference:
    """The difference of two models' MASE, or of their MAE where no series has a MASE.

    The errors of one cutoff are averaged over the series that are forecast from it. A window that only one of the
    models is scored in does not count.

    Args:
        panel: all rows, those after the cutoffs included.
        cutoffs: where the forecasts start.
        own: the model's forecasts, ``(n_cutoffs, horizon)``.
        other: the other's, likewise.
        season_length: steps in the season that scales the errors.
        times: step at which each forecast is made, ``(n_cutoffs,)``; None: where it lies on the time axis.
        seed: of the bootstrap.
    """
    times = panel.positions(cutoffs) if times is None else times
    horizon = own.shape[1]
    y, unit = actuals(panel, cutoffs, horizon), seasonal_scale(panel, cutoffs, season_length).mae
    errors = [mae(y, y_hat) if np.isnan(unit).all() else mase(y, y_hat, unit) for y_hat in (own, other)]
    both = np.isfinite(errors[0]) & np.isfinite(errors[1])
    if not both.any():
        return Difference(math.nan, why_not="no forecast of both can be scored")
    times, place = np.unique(times[both], return_inverse=True)
    difference = np.bincount(place, weights=(errors[0] - errors[1])[both]) / np.bincount(place)
    n_series = len(np.unique(cutoffs.series[both]))
    overlap = _overlap(times, horizon)
    if n_series == 1:
        found = diebold_mariano(difference, overlap=overlap)
    else:
        found = bootstrap_over_cutoffs(difference, overlap=overlap, seed=seed)
    found = replace(found, n_series=n_series)
    fewest = FEWEST * (overlap + 1)
    if len(times) >= fewest:
        return found
    return Difference(
        found.mean,
        method=found.method,
        n_cutoffs=len(times),
        n_series=n_series,
        why_not=f"{len(times)} cutoff{'s are' if len(times) > 1 else ' is'} too few (at least {fewest})",
    )


def significance_text(found: Difference, other: str) -> str:
    """What is to be said of a model beside another, such as ``better than naive, p = 0.03 (…)``.

    Args:
        found: the difference of their errors.
        other: name of the other model.
    """
    if found.why_not:
        return f"better or worse than {other} cannot be told: {found.why_not}"
    series = f" of {found.n_series} series" if found.n_series > 1 else ""
    basis = f"{p_text(found)} ({found.method} over {found.n_cutoffs} cutoffs{series})"
    relation = "better" if found.mean < 0 else "worse"
    if found.p_value < SURE:
        return f"{relation} than {other}, {basis}"
    return f"{relation} than {other}, but that could be chance, {basis}"


def p_text(found: Difference) -> str:
    """The p-value as ``p = 0.03`` or ``p < 0.001``."""
    return "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.2g}"


def diebold_mariano(difference: FloatArray, *, overlap: int) -> Difference:
    """The Diebold-Mariano test that errors are equal in expectation, two-sided, corrected for small samples.

    The variance of the mean adds the autocovariances of forecasts that overlap, with equal weights, as the theory has
    it. Where that is not above 0, which equal weights allow, they fall with the lag instead (Bartlett), and ``method``
    says so. The statistic is corrected as Harvey, Leybourne and Newbold do, and compared with Student's t.

    Simulated with equal models, 4 to 6 % of the p-values are below 0.05 for forecasts that do not overlap, from 8 of
    them on; up to 9 % where they do, with 8 cutoffs for each one in which forecasts overlap.

    Source: Diebold, Mariano (1995), J. Business & Economic Statistics 13(3); Harvey, Leybourne, Newbold (1997), Int. J.
    Forecasting 13(2). The same as ``dm.test`` of R's forecast package, but for the way out of a negative variance.

    Args:
        difference: own error - other's at each cutoff, in the order of time, ``(n_cutoffs,)``.
        overlap: following cutoffs whose forecasts overlap with a cutoff's: 0 where they are a horizon apart.
    """
    from scipy.stats import t

    n, lags = len(difference), overlap + 1
    found = Difference(float(difference.mean()), method="Diebold-Mariano", n_cutoffs=n)
    if why_not := _never_varies(difference):
        return replace(found, why_not=why_not)
    correction = (n + 1 - 2 * lags + lags * (lags - 1) / n) / n
    if lags >= n or correction <= 0:
        return replace(
            found, why_not=f"{n} cutoffs are too few for forecasts that overlap with {overlap} others"
        )
    covariances = _autocovariances(difference, lags)
    variance = _weighted(covariances, np.ones(lags)) / n
    if variance <= 0:
        variance = _weighted(covariances, 1 - np.arange(lags) / lags) / n
        found = replace(found, method="Diebold-Mariano with Bartlett weights")
    error = math.sqrt(variance / correction)
    reach = float(t.ppf(1 - SURE / 2, n - 1)) * error
    statistic = found.mean / error
    return replace(
        found,
        low=found.mean - reach,
        high=found.mean + reach,
        p_value=float(2 * t.sf(abs(statistic), n - 1)),
        statistic=statistic,
    )


def bootstrap_over_cutoffs(difference: FloatArray, *, overlap: int, seed: int) -> Difference:
    """A circular block bootstrap of the mean difference, two-sided: its interval, and a p-value that agrees with it.

    Blocks of neighbouring cutoffs are drawn with replacement, twice as long as the reach of overlapping forecasts. A
    few blocks vary less than the truth; the deviations are stretched by what Student's t adds to the normal
    distribution at 95 %, with as many degrees of freedom as blocks less one.

    Simulated with equal models, 2 to 7 % of the p-values are below 0.05 from 8 cutoffs on; without the stretch it would
    be up to 25 %.

    Source: Politis, Romano (1992), A circular block-resampling procedure for stationary data; Hesterberg (2015), What
    Teachers Should Know About the Bootstrap, The American Statistician 69(4), for the stretch.

    Args:
        difference: own error - other's at each cutoff, the series averaged, in the order of time, ``(n_cutoffs,)``.
        overlap: following cutoffs whose forecasts overlap with a cutoff's: 0 where they are a horizon apart.
        seed: of the draws.
    """
    from scipy.stats import norm, t

    n, length = len(difference), 2 * (overlap + 1)
    n_blocks = n // length
    found = Difference(float(difference.mean()), method="bootstrap", n_cutoffs=n)
    if why_not := _never_varies(difference):
        return replace(found, why_not=why_not)
    if n_blocks < 2:
        return replace(found, why_not=f"{n} cutoffs are too few for blocks of {length}")
    sums = np.cumsum(np.concatenate([[0.0], difference, difference[:length]]))
    block_means = (sums[length : length + n] - sums[:n]) / length
    drawn = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n_blocks))
    stretch = (
        t.ppf(1 - SURE / 2, n_blocks - 1) / norm.ppf(1 - SURE / 2) * math.sqrt(n_blocks / (n_blocks - 1))
    )
    deviations = stretch * np.abs(block_means[drawn].mean(axis=1) - found.mean)
    reach = float(np.quantile(deviations, 1 - SURE))
    as_far = int((deviations >= abs(found.mean)).sum())
    return replace(
        found,
        low=found.mean - reach,
        high=found.mean + reach,
        p_value=(1 + as_far) / (1 + RESAMPLES),
    )


def _overlap(times: IntArray, horizon: int) -> int:
    """Most following times whose forecasts overlap with those made at a time."""
    return int((np.searchsorted(times, times + horizon) - np.arange(len(times)) - 1).max())


def _never_varies(difference: FloatArray) -> str:
    """Why differences that are all one number cannot be tested, or nothing."""
    if np.ptp(difference) > ROUNDING * np.abs(difference).max():
        return ""
    if difference[0] == 0:
        return "their errors are the same"
    return "their errors differ by the same at every cutoff"


def _autocovariances(values: FloatArray, lags: int) -> FloatArray:
    """Autocovariances at lags 0 to ``lags - 1``, each divided by the number of values."""
    deviation = values - values.mean()
    n = len(values)
    return np.array([deviation[lag:] @ deviation[: n - lag] for lag in range(lags)]) / n


def _weighted(covariances: FloatArray, weights: FloatArray) -> float:
    """Long-run variance: each lag but 0 counts twice."""
    return float(covariances[0] + 2 * (weights[1:] @ covariances[1:]))
