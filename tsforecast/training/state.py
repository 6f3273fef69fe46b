"""Where a training stands, on its way to disk and back: everything the next step depends on."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tsforecast.errors import ConfigError
from tsforecast.recurrent.network import Network
from tsforecast.training.checkpoint import load_checkpoint, save_checkpoint
from tsforecast.training.sampler import Sampler

__all__ = ["Fit", "random_state", "resume", "save", "set_random_state"]


@dataclass(slots=True)
class Fit:
    """Where a training stands; what a checkpoint stores and what is left at the end.

    Attributes:
        average: running average of the weights, which is what is validated and kept.
        step: steps done.
        best_score: lowest validation score so far.
        best_step: the step it was reached at.
        best_weights: the weights of that step.
        stale: validations since then.
        seconds: time spent in steps and validations.
        history: one record per validation.
        losses: loss of each step since the last validation, on the device.
        drawn: series of each step's batch since then.
        planned: steps the schedule is made for.
    """

    average: Network
    step: int = 0
    best_score: float = math.inf
    best_step: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    stale: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    drawn: list[Tensor] = field(default_factory=list)
    planned: int = 0

    @property
    def position(self) -> dict[str, Any]:
        """Everything but tensors."""
        names = ("step", "best_score", "best_step", "stale", "seconds", "history", "planned")
        return {name: getattr(self, name) for name in names}


def save(
    folder: Path,
    fingerprint: str,
    done: Fit,
    network: Network,
    optimizer: torch.optim.Optimizer,
    sampler: Sampler,
) -> None:
    """Writes everything the next step depends on."""
    tensors = {f"weights.{name}": weight for name, weight in network.state_dict().items()}
    tensors |= {f"average.{name}": weight for name, weight in done.average.state_dict().items()}
    tensors |= {f"best.{name}": weight for name, weight in done.best_weights.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    tensors["random.sampler"] = sampler.generator.get_state()
    tensors |= {f"random.{name}": state for name, state in random_state(sampler.device).items()}
    if done.losses:
        tensors["losses"] = torch.stack(done.losses)
        tensors["drawn"] = torch.stack(done.drawn)
    save_checkpoint(folder, tensors=tensors, position=done.position | {"fingerprint": fingerprint})


def resume(
    folder: Path | None,
    fingerprint: str,
    network: Network,
    optimizer: torch.optim.Optimizer,
    sampler: Sampler,
) -> Fit:
    """Puts everything back as :func:`save` left it; a new start where there is nothing to resume from."""
    stored = load_checkpoint(folder) if folder else None
    average = copy.deepcopy(network).eval()
    if isinstance(average.recurrence, nn.RNNBase):
        average.recurrence.flatten_parameters()  # cuDNN wants one block, which the copy is not
    if stored is None:
        return Fit(average)
    tensors, position = stored
    if position.pop("fingerprint") != fingerprint:
        raise ConfigError(
            f"{folder}: this checkpoint was made with other settings or other data, so training cannot go on from it; "
            "give the same config, data, --as-of and --drop-last, or train without --resume."
        )
    network.load_state_dict(_with_prefix(tensors, "weights."))
    average.load_state_dict(_with_prefix(tensors, "average."))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _with_prefix(tensors, "optimizer.").items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    sampler.generator.set_state(tensors["random.sampler"])
    set_random_state(_with_prefix(tensors, "random."), sampler.device)
    best = {name: weight.to(sampler.device) for name, weight in _with_prefix(tensors, "best.").items()}
    losses, drawn = (list(tensors[name].unbind()) if name in tensors else [] for name in ("losses", "drawn"))
    losses = [loss.to(sampler.device) for loss in losses]
    return Fit(average, best_weights=best, losses=losses, drawn=drawn, **position)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def random_state(device: torch.device) -> dict[str, Tensor]:
    """States of torch's own generators, which dropout draws from."""
    states = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["torch"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
