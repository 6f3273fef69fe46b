"""The training loop: plain torch, in full view."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tsforecast.errors import StoppedError, TrainingError
from tsforecast.features.windows import Batch, Features
from tsforecast.recurrent.network import Network
from tsforecast.recurrent.rollout import one_step_parameters, rollout_parameters, unit_of
from tsforecast.runtime import autocast, flushed_denormals
from tsforecast.training.plan import Plan
from tsforecast.training.sampler import Sampler
from tsforecast.training.state import Fit, random_state, resume, save, set_random_state

__all__ = ["Watcher", "batch_loss", "fit", "seconds_per_step"]

# A bidirectional network reads a whole window with gradients for each closed-loop step.
MAX_REENCODED_STEPS = 6
GRADIENT_NORM = 1.0


def _look_away(*_: object) -> None:
    """What a watcher does that nobody set."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """What the outside may see and say while training runs.

    Attributes:
        on_plan: called before training with the plan, the networks that are trained by it, the seconds one step
            takes, and the device.
        on_final_fit: called before the final fit with its number of steps.
        on_step: called after each step with its number, counted on from one network to the next.
        on_validation: called with each record of the history.
        stop_signal: number of the signal that asks training to stop, or None to go on.
    """

    on_plan: Callable[[Plan, int, float, torch.device], None] = _look_away
    on_final_fit: Callable[[int], None] = _look_away
    on_step: Callable[[int], None] = _look_away
    on_validation: Callable[[dict[str, Any]], None] = _look_away
    stop_signal: Callable[[], int | None] = _look_away

    def after(self, steps: int) -> Watcher:
        """The same for a training that comes after so many steps of others."""
        return replace(self, on_step=lambda step: self.on_step(steps + step))


@flushed_denormals()
def fit(
    network: Network,
    features: Features,
    sampler: Sampler,
    plan: Plan,
    *,
    validate: Callable[[Network], float] | None,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    watcher: Watcher | None = None,
) -> Fit:
    """Trains the network in place and leaves the averaged weights of the best validation in it.

    Args:
        network: on its device.
        features: what a window holds.
        sampler: draws and reads the training windows.
        plan: all settings.
        validate: score of a network, lower is better; None trains all steps and keeps the last averaged weights.
        checkpoint: folder to save to at each validation and on a stop signal, and to continue from.
        fingerprint: stands for config and data; a checkpoint with another one is not continued.
        watcher: progress and stop signals.

    Raises:
        ConfigError: the checkpoint was made with other settings or data.
        TrainingError: the loss is not finite.
        StoppedError: a stop signal came; the state is in ``checkpoint``.
    """
    watcher = watcher or Watcher()
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=0.0, fused=True)
    done = resume(checkpoint, fingerprint, network, optimizer, sampler)
    done.planned = plan.steps
    started = time.monotonic() - done.seconds
    if validate and done.step == 0:
        _record(done, validate(done.average), plan=plan)
        watcher.on_validation(done.history[-1])

    network.train()
    for step in range(done.step + 1, plan.steps + 1):
        if done.stale >= plan.patience:
            break
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        series, rows = sampler.draw()
        loss = batch_loss(network, features, sampler.read(series, rows), plan, closed=sampler.closed())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
        optimizer.step()
        _average(done.average, network, plan.decay)

        done.step = step
        done.losses.append(loss.detach())
        done.drawn.append(series)
        watcher.on_step(step)
        validation_due = step % plan.validate_every == 0 or step == plan.steps
        signal_number = watcher.stop_signal()
        if validation_due or signal_number:
            _check_losses(done, sampler.unique_ids)
            done.seconds = time.monotonic() - started
        if validation_due:
            _record(done, validate(done.average) if validate else None, plan=plan)
            if validate:
                watcher.on_validation(done.history[-1])
        if checkpoint and (validation_due or signal_number):
            save(checkpoint, fingerprint, done, network, optimizer, sampler)
        if signal_number:
            raise StoppedError(
                f"training stopped by signal {signal_number} after step {step}.", signal_number
            )

    done.seconds = time.monotonic() - started
    network.load_state_dict(done.best_weights if validate else done.average.state_dict())
    network.eval()
    return done


def batch_loss(network: Network, features: Features, batch: Batch, plan: Plan, *, closed: bool) -> Tensor:
    """Loss of one batch: of the rollout in a closed-loop step, else of the one-step-ahead forecasts."""
    steps = plan.horizon
    if network.bidirectional and not network.direct_steps:
        steps = min(steps, MAX_REENCODED_STEPS) if closed else 1
    with autocast(plan.precision, batch.values.device):
        forecast = rollout_parameters if closed or network.direct_steps else one_step_parameters
        parameters = forecast(network, features, batch, steps)
    target, observed = batch.target[:, :steps], batch.target_observed[:, :steps]
    return network.head.loss(parameters, target, observed, unit_of(batch))


@torch.no_grad()
def _average(average: Network, network: Network, decay: float) -> None:
    """Moves the averaged weights a little towards those of the last step."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)


@flushed_denormals()
def seconds_per_step(network: Network, features: Features, sampler: Sampler, plan: Plan) -> float:
    """Time one step takes here and now, from a few trial steps that leave no trace."""
    sampler_state, torch_state = sampler.generator.get_state(), random_state(sampler.device)
    network.train()
    seconds: dict[bool, float] = {}
    for closed in (False, True):
        for trial in range(3):  # the first one warms up
            started = time.monotonic()
            batch_loss(network, features, sampler.read(*sampler.draw()), plan, closed=closed).backward()
            _synchronise(sampler.device)
            if trial:
                seconds[closed] = min(time.monotonic() - started, seconds.get(closed, math.inf))
    network.zero_grad(set_to_none=True)
    sampler.generator.set_state(sampler_state)
    set_random_state(torch_state, sampler.device)
    return plan.closed_loop * seconds[True] + (1 - plan.closed_loop) * seconds[False]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _check_losses(done: Fit, unique_ids: tuple[str, ...]) -> None:
    """Raises at the first loss since the last check that is not finite; looked at late to keep the device busy."""
    losses = torch.stack(done.losses).cpu()
    bad = torch.nonzero(~losses.isfinite()).flatten().tolist()
    if not bad:
        return
    step = done.step - len(losses) + 1 + bad[0]
    names = sorted({unique_ids[s] for s in done.drawn[bad[0] - len(losses)].tolist()})
    shown = ", ".join(repr(name) for name in names[:5]) + (
        f" and {len(names) - 5} more" if len(names) > 5 else ""
    )
    raise TrainingError(
        f"training: the loss of step {step} is {losses[bad[0]].item()}, not a finite number; the batch held the series "
        f"{shown}. Lower training.learning_rate, or look for extreme values in these series."
    )


def _record(done: Fit, score: float | None, *, plan: Plan) -> None:
    """Adds a line to the history, and keeps the weights when the score is the best so far."""
    loss = torch.stack(done.losses).mean().item() if done.losses else None
    windows = done.step * plan.batch_size
    done.history.append(
        {
            "step": done.step,
            "loss": loss,
            "validation": score,
            "learning_rate": plan.rate(max(1, done.step)),
            "seconds": round(done.seconds, 3),
            "windows_per_second": round(windows / done.seconds, 1) if done.seconds else None,
        }
    )
    done.losses.clear()
    done.drawn.clear()
    if score is None:
        return
    if score < done.best_score or not done.best_weights:
        done.best_score, done.best_step, done.stale = score, done.step, 0
        done.best_weights = {
            name: weight.detach().clone() for name, weight in done.average.state_dict().items()
        }
    else:
        done.stale += 1
