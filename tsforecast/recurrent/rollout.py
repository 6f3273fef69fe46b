"""Many steps ahead with a network that forecasts one: each forecast is fed back as the next value.

The loop has three verbs: features of the next step, predict, append. Training runs it with gradients (closed loop),
forecasting without; given the true values instead of its own it is the one-step-ahead pass (open loop).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tsforecast.features.windows import Batch, Features
from tsforecast.recurrent.network import Network

__all__ = ["next_values", "one_step_ahead", "rollout", "step_inputs", "teacher_forced_inputs"]


def step_inputs(features: Features, values: Tensor, observed: Tensor, known: Tensor) -> Tensor:
    """Inputs of consecutive steps, ``(batch, time, input_size)``.

    Args:
        features: what a step is shown.
        values: values up to and including the last of these steps, ``(batch, reach + time)``, where the first
            ``reach = history - lookback`` are there for the lags only.
        observed: 1 where ``values`` has one, same shape.
        known: the inputs that do not depend on the forecast, ``(batch, time, n_known)``.
    """
    time = known.shape[1]
    reach = values.shape[1] - time
    shown = [values[:, reach:]]
    for lag in features.lags:
        # Lag L of the step to forecast, t + 1, is the value at t + 1 - L; the newest stands in where there is none.
        there = slice(reach + 1 - lag, reach + 1 - lag + time)
        shown.append(torch.where(observed[:, there] > 0, values[:, there], shown[0]))
    return torch.cat([torch.stack([*shown, observed[:, reach:]], dim=2), known], dim=2)


def rollout(network: Network, features: Features, batch: Batch, horizon: int) -> Tensor:
    """Recursive forecasts over the horizon, scaled, ``(batch, horizon)``.

    A causal network reads the window once and then carries its state. A bidirectional one has no state that could
    be carried past the cutoff, so it reads the window again, slid by one, at each step.
    """
    if network.bidirectional:
        return _reencoded(network, features, batch, horizon, feed=None)
    return _carried(network, features, batch, horizon)


def one_step_ahead(network: Network, features: Features, batch: Batch, horizon: int) -> Tensor:
    """Forecasts over the horizon where each step knows the true values before it, scaled, ``(batch, horizon)``."""
    if network.bidirectional:
        return _reencoded(network, features, batch, horizon, feed=batch.target)
    y_hat: Tensor
    y_hat, _ = network(teacher_forced_inputs(features, batch, horizon))
    return y_hat[:, -horizon:]


def teacher_forced_inputs(features: Features, batch: Batch, horizon: int) -> Tensor:
    """Inputs of window and horizon with the true values fed, ``(batch, lookback + horizon - 1, input_size)``."""
    values = torch.cat([batch.values, batch.target[:, : horizon - 1]], dim=1)
    observed = torch.cat([batch.observed, batch.target_observed[:, : horizon - 1]], dim=1)
    known = batch.known[:, : features.lookback + horizon - 1]
    return step_inputs(features, values, observed, known)


def next_values(features: Features, batch: Batch, horizon: int) -> tuple[Tensor, Tensor]:
    """The value after each of those inputs, and whether there is one, ``(batch, lookback + horizon - 1)`` each."""
    n = features.lookback + horizon - 1
    values = torch.cat([batch.values, batch.target[:, :horizon]], dim=1)[:, -n:]
    observed = torch.cat([batch.observed, batch.target_observed[:, :horizon]], dim=1)[:, -n:]
    return values, observed > 0


def _carried(network: Network, features: Features, batch: Batch, horizon: int) -> Tensor:
    """Rollout that reads the window once and carries the state; one cell step for each further step."""
    lookback, longest = features.lookback, max(features.lags, default=1)
    known = batch.known[:, :lookback]
    y_hat, state = network(step_inputs(features, batch.values, batch.observed, known))
    steps = [y_hat[:, -1]]
    # One tensor per step, newest last: appending copies nothing, with gradients or without.
    values = list(batch.values[:, -longest:].unbind(1))
    observed = list((batch.observed[:, -longest:] > 0).unbind(1))
    for k in range(1, horizon):
        values.append(steps[-1].float())
        observed.append(torch.ones_like(observed[0]))
        x = _one_step_inputs(features, values, observed, batch.known[:, lookback + k - 1])
        y_hat, state = network(x.unsqueeze(1), state)
        steps.append(y_hat[:, -1])
    return torch.stack(steps, dim=1)


def _one_step_inputs(
    features: Features, values: Sequence[Tensor], observed: Sequence[Tensor], known: Tensor
) -> Tensor:
    """Inputs of one step, ``(batch, input_size)``, from the values so far, newest last."""
    shown = [values[-1]]
    shown += [torch.where(observed[-lag], values[-lag], values[-1]) for lag in features.lags]
    return torch.cat([torch.stack([*shown, observed[-1].float()], dim=1), known], dim=1)


def _reencoded(
    network: Network, features: Features, batch: Batch, horizon: int, *, feed: Tensor | None
) -> Tensor:
    """Rollout that reads the whole window again for each step, slid by one.

    In the open loop ``feed``, ``(batch, horizon)``, holds the values to append instead of the forecasts.
    """
    values, observed = batch.values, batch.observed
    steps: list[Tensor] = []
    for k in range(horizon):
        known = batch.known[:, k : k + features.lookback]
        steps.append(network.last_step(step_inputs(features, values, observed, known)))
        newest = steps[-1].float() if feed is None else feed[:, k]
        flag = torch.ones_like(newest) if feed is None else batch.target_observed[:, k]
        values = torch.cat([values[:, 1:], newest[:, None]], dim=1)
        observed = torch.cat([observed[:, 1:], flag[:, None]], dim=1)
    return torch.stack(steps, dim=1)
