"""Heads: what the network says of the next value, the loss it learns that by, and how values are drawn from it.

A head is some numbers per step. The first is its location, in the unit of the window's scale: the network's base and
what the head adds to it, so that an untrained network is a naive forecast. The others say how far values lie from it.

    y   = centre + scale * z              z: the scaled value the network counts in
    pos(x) = softplus(8 x) / 8            x where it is well above 0, and never negative

Everything takes and gives scaled values; heads whose values cannot be negative look up where 0 lies in the unit of the
window. ``HEADS`` at the bottom lists them, docs/uncertainty.md has the formulas.

Sources: Salinas, Flunkert, Gasthaus, Januschowski (2020), DeepAR, Int. J. Forecasting 36(3), for likelihoods of
recurrent networks and counts; Koenker, Bassett (1978), Regression quantiles, Econometrica 46(1); Lambert (1992),
Zero-inflated Poisson regression, Technometrics 34(1), for the share of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["HEADS", "QUANTILES", "Head", "HeadLayer", "Unit"]

# Steepness of `pos`: 0.09 at 0, and x itself to 3 digits from 1 on.
STEEPNESS = 8.0
# Where softplus is its argument to all digits of float32.
LINEAR = 20.0
SMALLEST = 1e-3
# Huber's loss is squared up to errors of this size, in the unit of the scale, and straight from there on.
HUBER_DELTA = 1.0
# Levels of the quantile head: its location is the median, the others are steps away from it.
UPPER = (0.6, 0.7, 0.8, 0.9, 0.95)
QUANTILES = (*(round(1 - level, 2) for level in reversed(UPPER)), 0.5, *UPPER)
# What is added to a parameter, so that an untrained head starts there: quantiles 0.2 apart, 5 degrees of freedom,
# an eighth of excess zeros.
STEP_AT_START = -1.5
FREEDOM_AT_START = 3.0
ZEROS_AT_START = -2.0
# Counts are searched from 0 up to so many; those of larger means are taken from a gamma distribution.
MOST_SEARCHED = 2000
LARGE_MEAN = 100.0
BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit the values of a window are scaled by.

    Attributes:
        center: what was subtracted, float64, ``(batch, 1)``.
        scale: what was divided by, float64, ``(batch, 1)``.
    """

    center: Tensor
    scale: Tensor

    @property
    def zero(self) -> Tensor:
        """How far above 0 the centre lies, in scales, ``(batch, 1)``."""
        return self.center / self.scale

    def repeated(self, n: int) -> Unit:
        """Each window's unit ``n`` times in a row."""
        return Unit(self.center.repeat_interleave(n, 0), self.scale.repeat_interleave(n, 0))


@dataclass(frozen=True, slots=True)
class Head:
    """One kind of output. Parameters are ``(batch, time, n_parameters)``, values ``(batch, time)``, scaled.

    Attributes:
        n_parameters: numbers per step, the location first.
        loss: of each step, from parameters, values and unit.
        is_mean: whether the forecast is the mean of what may come, or its median.
        point: the forecast, which is also what is fed back; None: the location.
        quantile: value at a level, from parameters, levels ``(batch, time)`` and unit, so that uniform levels make
            draws; None for a head that gives no distribution.
    """

    n_parameters: int
    loss: Callable[[Tensor, Tensor, Unit], Tensor]
    is_mean: bool
    point: Callable[[Tensor, Unit], Tensor] | None = None
    quantile: Callable[[Tensor, Tensor, Unit], Tensor] | None = None


class HeadLayer(nn.Module):
    """From hidden states to the parameters of a head. It starts at zero, so that the network's base stands alone.

    Args:
        hidden_size: hidden units it sees.
        name: a key of ``HEADS``.
        n_steps: steps it forecasts from one hidden state.
    """

    def __init__(self, hidden_size: int, name: str = "mae", *, n_steps: int = 1) -> None:
        super().__init__()
        self.name = name
        self.kind = HEADS[name]
        self.n_steps = n_steps
        self.linear = nn.Linear(hidden_size, n_steps * self.kind.n_parameters)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Corrections, ``(batch, time, n_steps * n_parameters)``, from states, ``(batch, time, hidden)``."""
        output: Tensor = self.linear(hidden)
        return output

    @staticmethod
    def based(correction: Tensor, base: Tensor) -> Tensor:
        """Parameters whose location is base and correction, both ``(batch, time)``; the others stay."""
        location = correction[..., :1] + base.unsqueeze(-1)
        return torch.cat([location, correction[..., 1:]], dim=-1) if correction.shape[-1] > 1 else location

    def point(self, parameters: Tensor, unit: Unit) -> Tensor:
        """Point forecasts, scaled, ``(batch, time)``."""
        if self.kind.point is None:
            return parameters[..., 0]
        return self.kind.point(parameters.float(), unit)

    def loss(self, parameters: Tensor, y: Tensor, observed: Tensor, unit: Unit) -> Tensor:
        """Mean loss over the observed targets.

        Args:
            parameters: ``(batch, horizon, n_parameters)``.
            y: scaled targets, something where there is none, ``(batch, horizon)``.
            observed: 1 where ``y`` has a value, same shape.
            unit: of the windows.
        """
        of_step = self.kind.loss(parameters.float(), y, unit)
        # A target that is not there may be anything, and anything times zero is not always zero.
        return torch.where(observed > 0, of_step, 0.0).sum() / observed.sum().clamp(min=1)


def _absolute(parameters: Tensor, y: Tensor, _: Unit) -> Tensor:
    return (parameters[..., 0] - y).abs()


def _squared(parameters: Tensor, y: Tensor, _: Unit) -> Tensor:
    return (parameters[..., 0] - y).square()


def _huber(parameters: Tensor, y: Tensor, _: Unit) -> Tensor:
    return F.huber_loss(parameters[..., 0], y, reduction="none", delta=HUBER_DELTA)


def _quantiles(parameters: Tensor) -> Tensor:
    """Forecasts of ``QUANTILES``, which rise, ``(..., quantiles)``."""
    median, steps = parameters[..., :1], F.softplus(parameters[..., 1:] + STEP_AT_START)
    up, down = steps[..., : len(UPPER)].cumsum(-1), steps[..., len(UPPER) :].cumsum(-1)
    return torch.cat([(median - down).flip(-1), median, median + up], dim=-1)


def _pinball(parameters: Tensor, y: Tensor, _: Unit) -> Tensor:
    """Mean over the levels of twice the pinball loss: of the median alone it is the absolute error."""
    levels = torch.tensor(QUANTILES, device=y.device)
    error = y.unsqueeze(-1) - _quantiles(parameters)
    return 2 * torch.maximum(levels * error, (levels - 1) * error).mean(-1)


def _interpolated(parameters: Tensor, level: Tensor, _: Unit) -> Tensor:
    """Straight lines between the quantiles, and beyond the outer ones exponential tails.

    A tail goes on as steeply as the outermost two quantiles tell: it is exponential through both of them.
    """
    level = level.double()
    known = _quantiles(parameters.double())
    levels = torch.tensor(QUANTILES, dtype=level.dtype, device=level.device)
    right = torch.searchsorted(levels, level.contiguous()).clamp(1, len(QUANTILES) - 1)
    low, high = (known.gather(-1, at.unsqueeze(-1)).squeeze(-1) for at in (right - 1, right))
    share = (level - levels[right - 1]) / (levels[right] - levels[right - 1])
    between = low + share.clamp(0, 1) * (high - low)
    outer, inner = 1 - QUANTILES[-1], 1 - QUANTILES[-2]
    beyond = [
        ((known[..., 1] - known[..., 0]), torch.log(outer / level.clamp(max=outer))),
        ((known[..., -1] - known[..., -2]), torch.log(outer / (1 - level).clamp(max=outer))),
    ]
    below, above = (step * far / math.log(inner / outer) for step, far in beyond)
    return between - below + above


def _spread(raw: Tensor) -> Tensor:
    """A width above 0."""
    return F.softplus(raw) + SMALLEST


def _normal(parameters: Tensor, y: Tensor, _: Unit) -> Tensor:
    sigma = _spread(parameters[..., 1])
    return ((y - parameters[..., 0]) / sigma).square() / 2 + sigma.log() + math.log(2 * math.pi) / 2


def _normal_quantile(parameters: Tensor, level: Tensor, _: Unit) -> Tensor:
    quantile: Tensor = parameters[..., 0] + _spread(parameters[..., 1]) * torch.special.ndtri(level.double())
    return quantile


def _freedom(parameters: Tensor) -> Tensor:
    """Degrees of freedom, above 2: with fewer there is no variance, and paths leave for infinity."""
    freedom: Tensor = 2 + F.softplus(parameters[..., 2] + FREEDOM_AT_START)
    return freedom


def _student_t(parameters: Tensor, y: Tensor, _: Unit) -> Tensor:
    sigma, df = _spread(parameters[..., 1]), _freedom(parameters)
    z = (y - parameters[..., 0]) / sigma
    constant = torch.lgamma(df / 2) - torch.lgamma((df + 1) / 2) + (df * math.pi).log() / 2
    return constant + sigma.log() + (df + 1) / 2 * torch.log1p(z.square() / df)


def _student_t_quantile(parameters: Tensor, level: Tensor, _: Unit) -> Tensor:
    parameters = parameters.double()
    sigma, df = _spread(parameters[..., 1]), _freedom(parameters)
    return parameters[..., 0] + sigma * _t_quantile(level.double(), df)


def _t_quantile(level: Tensor, df: Tensor) -> Tensor:
    """Quantiles of Student's t above 2 degrees of freedom, to 3 digits or better.

    Source: Hill (1970), Algorithm 396, Student's t-quantiles, Communications of the ACM 13(10).
    """
    tails = (2 * torch.minimum(level, 1 - level)).clamp(min=1e-300)  # of both sides
    a = 1 / (df - 0.5)
    b = (48 / a) / a
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * torch.sqrt(a * math.pi / 2) * df
    far = (d * tails) ** (2 / df)

    x = torch.special.ndtri(tails / 2)
    y = x.square()
    near_c = c + torch.where(df < 5, 0.3 * (df - 4.5) * (x + 0.6), torch.zeros_like(x))
    near_c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + near_c
    near = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / near_c - y - 3) / b + 1) * x
    near = torch.expm1(a * near.square())

    tail = ((1 / (((df + 6) / (df * far) - 0.089 * d - 0.822) * (df + 2) * 3) + 0.5 / (df + 4)) * far - 1) * (
        df + 1
    ) / (df + 2) + 1 / far
    size = torch.sqrt(df * torch.where(far > 0.05 + a, near, tail))
    return torch.where(level < 0.5, -size, size)


def _positive(x: Tensor) -> Tensor:
    """``pos``: never negative, and ``x`` itself where that is well above 0."""
    return F.softplus(x, beta=STEEPNESS)


def _mean_of_counts(parameters: Tensor, _: Unit) -> Tensor:
    return _positive(parameters[..., 0])


def _dispersion(raw: Tensor) -> Tensor:
    return F.softplus(raw) + SMALLEST


def _log_pmf(y: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
    """Log-probability of counts under the negative binomial with variance ``mean + dispersion * mean²``."""
    r, odds = 1 / dispersion, dispersion * mean
    ways = torch.lgamma(y + r) - torch.lgamma(r) - torch.lgamma(y + 1)
    return ways - r * torch.log1p(odds) + y * (torch.log(odds) - torch.log1p(odds))


def _counts(parameters: Tensor, y: Tensor, unit: Unit) -> tuple[Tensor, Tensor, Tensor]:
    """Counts and the mean in the unit of the data, and the dispersion; float64, as lgamma cancels much of itself."""
    counts = (y.double() * unit.scale + unit.center).round().clamp(min=0)
    mean = _positive(parameters[..., 0].double()) * unit.scale + 1e-9
    return counts, mean, _dispersion(parameters[..., 1].double())


def _negative_binomial(parameters: Tensor, y: Tensor, unit: Unit) -> Tensor:
    return -_log_pmf(*_counts(parameters, y, unit)).float()


def _excess_zeros(parameters: Tensor) -> Tensor:
    """Share of values that are zero for another reason than chance, below 1."""
    return (1 - SMALLEST) * torch.sigmoid(parameters[..., 2].double() + ZEROS_AT_START)


def _zero_inflated(parameters: Tensor, y: Tensor, unit: Unit) -> Tensor:
    """The location is the mean of all values; the counts beside the excess zeros have a higher one."""
    counts, mean, dispersion = _counts(parameters, y, unit)
    zeros = _excess_zeros(parameters)
    rest = torch.log1p(-zeros) + _log_pmf(counts, mean / (1 - zeros), dispersion)
    return -torch.where(counts == 0, torch.logaddexp(zeros.log(), rest), rest).float()


def _negative_binomial_quantile(parameters: Tensor, level: Tensor, unit: Unit) -> Tensor:
    _, mean, dispersion = _counts(parameters, level, unit)
    return (_count_at(level.double(), mean, dispersion) - unit.center) / unit.scale


def _zero_inflated_quantile(parameters: Tensor, level: Tensor, unit: Unit) -> Tensor:
    _, mean, dispersion = _counts(parameters, level, unit)
    zeros = _excess_zeros(parameters)
    above = (level.double() - zeros) / (1 - zeros)
    counts = _count_at(above.clamp(min=0), mean / (1 - zeros), dispersion)
    return (torch.where(above > 0, counts, 0.0) - unit.center) / unit.scale


def _count_at(level: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
    """Smallest count whose probability, with all below it, reaches the level.

    Counts of small means are searched upwards from 0. Large means, and what the search does not reach, are taken
    from the gamma distribution with the same mean and variance, rounded.
    """
    level, mean, dispersion = torch.broadcast_tensors(level, mean, dispersion)
    r, odds = 1 / dispersion, dispersion * mean
    again = odds / (1 + odds)
    mass = torch.exp(-r * torch.log1p(odds))
    reached, count = mass.clone(), torch.zeros_like(mass)
    large = mean > LARGE_MEAN
    open_ = (reached < level) & ~large
    k = 0
    while k < MOST_SEARCHED and bool(open_.any()):
        mass = mass * again * (k + r) / (k + 1)
        reached, k = reached + mass, k + 1
        count = torch.where(open_, float(k), count)
        open_ = open_ & (reached < level) & (mass > 0)
    large = large | open_
    if bool(large.any()):
        count = count.clone()
        count[large] = _gamma_at(level[large], mean[large], dispersion[large]).round()
    return count


def _gamma_at(level: Tensor, mean: Tensor, dispersion: Tensor) -> Tensor:
    """Quantile of the gamma distribution with mean ``m`` and variance ``m + dispersion * m²``, by halving."""
    variance = mean + dispersion * mean.square()
    shape, width = mean.square() / variance, variance / mean
    low, high = torch.zeros_like(mean), shape + 40 * (shape.sqrt() + 1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = torch.special.gammainc(shape, middle) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return width * (low + high) / 2


def _log_normal_median(parameters: Tensor, unit: Unit) -> Tensor:
    """The median, scaled: the location, held above 0 in the unit of the data."""
    location, zero = parameters[..., 0], unit.zero.to(parameters.dtype)
    above = location + zero
    # Far above 0 the location is the median; adding and subtracting a large centre would cost its digits.
    return torch.where(above * STEEPNESS > LINEAR, location, _positive(above) - zero)


def _log_sigma(parameters: Tensor, unit: Unit) -> tuple[Tensor, Tensor, Tensor]:
    """Median, how far it lies above 0, and the standard deviation of the logarithm.

    The parameter is a width in the unit of the scale, as of a normal head; beside the level it is a share.
    """
    median = _log_normal_median(parameters, unit)
    above = (median + unit.zero.to(median.dtype)).clamp(min=SMALLEST)
    return median, above, torch.log1p(_spread(parameters[..., 1]) / above)


def _log_normal(parameters: Tensor, y: Tensor, unit: Unit) -> Tensor:
    median, above, sigma = _log_sigma(parameters, unit)
    # log(y / median), from the difference of the two: both are large beside it.
    change = torch.log1p(((y - median) / above).clamp(min=-1 + 1e-6))
    return (change / sigma).square() / 2 + sigma.log() + above.log() + change + math.log(2 * math.pi) / 2


def _log_normal_quantile(parameters: Tensor, level: Tensor, unit: Unit) -> Tensor:
    median, above, sigma = _log_sigma(parameters.double(), unit)
    return median + above * torch.expm1(sigma * torch.special.ndtri(level.double()))


HEADS: Mapping[str, Head] = MappingProxyType(
    {
        "mae": Head(1, loss=_absolute, is_mean=False),
        "mse": Head(1, loss=_squared, is_mean=True),
        "huber": Head(1, loss=_huber, is_mean=False),
        "quantiles": Head(len(QUANTILES), loss=_pinball, is_mean=False, quantile=_interpolated),
        "normal": Head(2, loss=_normal, is_mean=True, quantile=_normal_quantile),
        "student_t": Head(3, loss=_student_t, is_mean=False, quantile=_student_t_quantile),
        "negative_binomial": Head(
            2,
            loss=_negative_binomial,
            is_mean=True,
            point=_mean_of_counts,
            quantile=_negative_binomial_quantile,
        ),
        "zero_inflated": Head(
            3, loss=_zero_inflated, is_mean=True, point=_mean_of_counts, quantile=_zero_inflated_quantile
        ),
        "log_normal": Head(
            2, loss=_log_normal, is_mean=False, point=_log_normal_median, quantile=_log_normal_quantile
        ),
    }
)
