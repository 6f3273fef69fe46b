"""Fitting a reservoir: one pass over the windows, then the readout in closed form. There are no training steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tsforecast.errors import ConfigError, DataError, StoppedError
from tsforecast.features.windows import Features, WindowReader
from tsforecast.recurrent.network import Network
from tsforecast.recurrent.reservoir import NormalEquations
from tsforecast.recurrent.rollout import next_values, teacher_forced_inputs
from tsforecast.runtime import flushed_denormals
from tsforecast.series.panel import Cutoffs, IntArray
from tsforecast.training.fit import Watcher
from tsforecast.training.plan import Plan
from tsforecast.training.state import Fit

__all__ = ["RIDGES", "Windows", "fit_readout"]

log = logging.getLogger(__name__)

# Strengths that are tried, the strongest first: from hardly any correction of the base to hardly any penalty.
RIDGES = tuple(10.0**power for power in range(1, -9, -1))
MAX_WINDOWS = 20_000
CHUNK_VALUES = 16_000_000  # numbers of reservoir states held at once


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows that end a horizon apart, so that each step of a series is a target once.

    Attributes:
        reader: reads them.
        cutoffs: where they end.
        washout: first steps of each that the readout is not fitted to.
    """

    reader: WindowReader
    cutoffs: Cutoffs
    washout: int

    @classmethod
    def covering(
        cls,
        reader: WindowReader,
        ranges: tuple[IntArray, IntArray, IntArray],
        *,
        horizon: int,
        washout: int,
        seed: int,
    ) -> Windows:
        """Windows from the newest of each series backwards; a random share of them where there are very many.

        Args:
            reader: of the panel they lie in.
            ranges: from :func:`~tsforecast.training.sampler.training_cutoffs`.
            horizon: steps between windows, and steps forecast from each.
            washout: first steps of each window to leave out.
            seed: of the choice.
        """
        ends = [np.arange(last, first - 1, -horizon) for _, first, last in zip(*ranges, strict=True)]
        series = np.repeat(ranges[0], [len(rows) for rows in ends])
        cutoffs = Cutoffs(series=series, rows=np.concatenate(ends))
        if len(cutoffs) > MAX_WINDOWS:
            chosen = np.random.default_rng(seed).choice(len(cutoffs), MAX_WINDOWS, replace=False)
            cutoffs = cutoffs[np.sort(chosen)]
        return cls(reader, cutoffs, washout)


@flushed_denormals()
@torch.no_grad()
def fit_readout(
    network: Network,
    windows: Windows,
    plan: Plan,
    *,
    ridges: Sequence[float],
    validate: Callable[[Network], float] | None,
    watcher: Watcher,
) -> tuple[Fit, float]:
    """Fits head and base of the network in place, and returns how it went and the ridge strength that was taken.

    Args:
        network: with a drawn reservoir, on its device.
        windows: to learn from.
        plan: its ``horizon`` and ``precision``; what is about training steps is not looked at.
        ridges: strengths to try, each the weight of the squared readout weights beside the mean squared error.
        validate: score of a network, lower is better; None takes the last of ``ridges``.
        watcher: progress and stop signals.

    Raises:
        DataError: no window has an observed target.
        ConfigError: the readout cannot be solved with a given strength.
        StoppedError: a stop signal came; nothing is kept.
    """
    started = time.monotonic()
    network.eval()
    equations = NormalEquations(
        network.n_values + network.head.linear.in_features, device=windows.reader.device
    )
    for x, y in _rows(network, windows, plan.horizon):
        equations.add(x, y)
        _stop_if_asked(watcher)
    if not equations.rows:
        raise DataError(
            "training: no window has an observed target after its washout; lower model.washout, or give longer series."
        )
    log.debug("readout: %d rows of %d windows", equations.rows, len(windows.cutoffs))
    base = network.base.detach().clone()
    done = Fit(network)
    taken = ridges[-1]
    for step, ridge in enumerate(ridges, start=1):
        solution = equations.solve(ridge)
        _set_readout(network, base, solution)
        score = validate(network) if validate else None
        done.step, done.seconds = step, time.monotonic() - started
        done.history.append(
            {
                "step": step,
                "ridge": ridge,
                "loss": equations.mean_squared_error(solution),
                "validation": score,
                "seconds": round(done.seconds, 3),
            }
        )
        if score is not None:
            log.debug("ridge %g: validation MASE %.4f", ridge, score)
            if score < done.best_score:
                done.best_score, done.best_step, taken = score, step, ridge
        _stop_if_asked(watcher)
    _set_readout(network, base, equations.solve(taken))
    if not all(weight.isfinite().all() for weight in network.parameters()):
        raise ConfigError(
            f"model.ridge: {taken:g} is too weak to solve the readout; raise it, or write auto."
        )
    return done, taken


def _rows(network: Network, windows: Windows, horizon: int) -> Iterator[tuple[Tensor, Tensor]]:
    """What the readout sees, ``(rows, n_values + hidden)``, and what it is to add to the base, ``(rows,)``."""
    features: Features = windows.reader.features
    steps = features.lookback + horizon - 1
    chunk = max(1, CHUNK_VALUES // (steps * network.head.linear.in_features))
    for start in range(0, len(windows.cutoffs), chunk):
        batch = windows.reader.read(windows.cutoffs[start : start + chunk], horizon)
        x = teacher_forced_inputs(features, batch, horizon)
        y, observed = next_values(features, batch, horizon)
        hidden, _ = network.recurrence(network.encoded(x))
        values = x[..., : network.n_values]
        seen = torch.cat([values, hidden], dim=2)
        observed[:, : windows.washout] = False
        yield seen[observed], (y - values @ network.base)[observed]


def _set_readout(network: Network, base: Tensor, solution: Tensor) -> None:
    n = network.n_values
    network.base.copy_(base + solution[:n])
    network.head.linear.weight.copy_(solution[None, n:-1])
    network.head.linear.bias.copy_(solution[-1])


def _stop_if_asked(watcher: Watcher) -> None:
    if number := watcher.stop_signal():
        raise StoppedError(f"training stopped by signal {number}.", number)
