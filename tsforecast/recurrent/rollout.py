"""Many steps ahead with a network that forecasts one: each forecast is fed back as the next value.

The loop has three verbs: features of the next step, predict, append. Training runs it with gradients (closed loop),
forecasting without; given the true values instead of its own it is the one-step-ahead pass (open loop); given draws
it makes sample paths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tsforecast.features.windows import Batch, Features
from tsforecast.recurrent.heads import Unit
from tsforecast.recurrent.layers import State
from tsforecast.recurrent.network import Network

__all__ = [
    "Draw",
    "next_values",
    "one_step_ahead",
    "one_step_parameters",
    "rollout",
    "rollout_parameters",
    "sample_paths",
    "step_inputs",
    "teacher_forced_inputs",
    "unit_of",
]

# From the head's parameters of one step, ``(batch, n_parameters)``, and the step's number to the value fed back.
Draw = Callable[[Tensor, int], Tensor]


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
    """Point forecasts over the horizon, each fed back, scaled, ``(batch, horizon)``."""
    return network.head.point(rollout_parameters(network, features, batch, horizon), unit_of(batch))


def rollout_parameters(network: Network, features: Features, batch: Batch, horizon: int) -> Tensor:
    """What the head says of each step of the horizon, ``(batch, horizon, n_parameters)``.

    A causal network reads the window once and then carries its state. A bidirectional one has no state that could
    be carried past the cutoff, so it reads the window again, slid by one, at each step. A direct one says all steps
    from its last state.
    """
    if network.direct_steps:
        return _direct(network, features, batch)[:, :horizon]
    unit = unit_of(batch)

    def point(parameters: Tensor, _step: int) -> Tensor:
        return network.head.point(parameters.unsqueeze(1), unit).squeeze(1)

    return _recursive(network)(network, features, batch, horizon, point)[0]


def sample_paths(
    network: Network, features: Features, batch: Batch, horizon: int, draw: Draw, *, n_paths: int
) -> Tensor:
    """Paths over the horizon, each step drawn from what the head says and fed back, ``(batch * n_paths, horizon)``.

    The window is read once for all its paths, which stand one after the other.

    Args:
        network: one that is fed its own forecasts.
        features: what a step is shown.
        batch: the windows.
        horizon: steps of each path.
        draw: from the parameters of one step, ``(batch * n_paths, n_parameters)``, and its number to values.
        n_paths: paths of each window.
    """
    return _recursive(network)(network, features, batch, horizon, draw, copies=n_paths)[1]


def one_step_ahead(network: Network, features: Features, batch: Batch, horizon: int) -> Tensor:
    """Forecasts over the horizon where each step knows the true values before it, scaled, ``(batch, horizon)``."""
    return network.head.point(one_step_parameters(network, features, batch, horizon), unit_of(batch))


def one_step_parameters(network: Network, features: Features, batch: Batch, horizon: int) -> Tensor:
    """What the head says of each step where it knows the true values before, ``(batch, horizon, n_parameters)``."""
    if network.bidirectional:

        def feed(_parameters: Tensor, step: int) -> Tensor:
            return batch.target[:, step]

        parameters, _ = _reencoded(network, features, batch, horizon, feed, fed=batch.target_observed)
    else:
        parameters, _ = network(teacher_forced_inputs(features, batch, horizon))
    n = network.head.kind.n_parameters  # of the first step, where a head says several
    return parameters[:, -horizon:, :n]


def unit_of(batch: Batch) -> Unit:
    """The unit the values of the windows are scaled by."""
    return Unit(batch.center, batch.scale)


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


def _direct(network: Network, features: Features, batch: Batch) -> Tensor:
    """All steps from the last state, and what is known of each; the values of a step are the window's alone.

    Where a step's lag would be a forecast, the value a whole number of lags before it stands in.
    """
    known = batch.known[:, : features.lookback]
    x = step_inputs(features, batch.values, batch.observed, known)
    n_steps = min(network.direct_steps, batch.known.shape[1] - features.lookback + 1)
    ahead = torch.arange(1, n_steps + 1, device=x.device)
    newest = batch.values[:, -1:].expand(-1, n_steps)
    shown = [newest]
    for lag in features.lags:
        back = -((ahead - 1) % lag) + lag - 1  # steps before the cutoff
        at = batch.values.shape[1] - 1 - back
        shown.append(torch.where(batch.observed[:, at] > 0, batch.values[:, at], newest))
    shown.append(batch.observed[:, -1:].expand(-1, n_steps))
    known_ahead = batch.known[:, features.lookback - 1 :][:, :n_steps]
    return network.all_steps(x, torch.cat([torch.stack(shown, dim=2), known_ahead], dim=2))


def _recursive(network: Network) -> Callable[..., tuple[Tensor, Tensor]]:
    return _reencoded if network.bidirectional else _carried


def _carried(
    network: Network, features: Features, batch: Batch, horizon: int, feed: Draw, *, copies: int = 1
) -> tuple[Tensor, Tensor]:
    """Rollout that reads the window once and carries the state; one cell step for each further step.

    Returns:
        The head's parameters of each step, ``(batch * copies, horizon, n_parameters)``, and the values fed back.
    """
    lookback, longest = features.lookback, max(features.lags, default=1)
    known = batch.known[:, :lookback]
    parameters, state = network(step_inputs(features, batch.values, batch.observed, known))
    newest = _copied(parameters[:, -1], copies)
    state = _copied_state(state, copies)
    said, steps = [newest], [feed(newest, 0)]
    # One tensor per step, newest last: appending copies nothing, with gradients or without.
    values = list(_copied(batch.values[:, -longest:], copies).unbind(1))
    observed = list((_copied(batch.observed[:, -longest:], copies) > 0).unbind(1))
    ahead = _copied(batch.known[:, lookback:], copies)
    for k in range(1, horizon):
        values.append(steps[-1].float())
        observed.append(torch.ones_like(observed[0]))
        x = _one_step_inputs(features, values, observed, ahead[:, k - 1])
        parameters, state = network(x.unsqueeze(1), state)
        said.append(parameters[:, -1])
        steps.append(feed(said[-1], k))
    return torch.stack(said, dim=1), torch.stack(steps, dim=1)


def _copied(values: Tensor, copies: int) -> Tensor:
    """Each row so many times in a row."""
    return values if copies == 1 else values.repeat_interleave(copies, dim=0)


def _copied_state(state: State, copies: int) -> State:
    if copies == 1:
        return state
    if isinstance(state, Tensor):
        return state.repeat_interleave(copies, dim=1)
    h, c = (part.repeat_interleave(copies, dim=1) for part in state)
    return h, c


def _one_step_inputs(
    features: Features, values: Sequence[Tensor], observed: Sequence[Tensor], known: Tensor
) -> Tensor:
    """Inputs of one step, ``(batch, input_size)``, from the values so far, newest last."""
    shown = [values[-1]]
    shown += [torch.where(observed[-lag], values[-lag], values[-1]) for lag in features.lags]
    return torch.cat([torch.stack([*shown, observed[-1].float()], dim=1), known], dim=1)


def _reencoded(
    network: Network,
    features: Features,
    batch: Batch,
    horizon: int,
    feed: Draw,
    *,
    copies: int = 1,
    fed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Rollout that reads the whole window again for each step, slid by one; returns as :func:`_carried`.

    ``fed``, ``(batch, horizon)``, says where the values fed back are values of the series.
    """
    values, observed = _copied(batch.values, copies), _copied(batch.observed, copies)
    known = _copied(batch.known, copies)
    said: list[Tensor] = []
    steps: list[Tensor] = []
    for k in range(horizon):
        x = step_inputs(features, values, observed, known[:, k : k + features.lookback])
        said.append(network.last_step(x))
        steps.append(feed(said[-1], k))
        newest = steps[-1].float()
        flag = torch.ones_like(newest) if fed is None else fed[:, k]
        values = torch.cat([values[:, 1:], newest[:, None]], dim=1)
        observed = torch.cat([observed[:, 1:], flag[:, None]], dim=1)
    return torch.stack(said, dim=1), torch.stack(steps, dim=1)
