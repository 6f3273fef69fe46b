"""The settings of one training, all resolved."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Plan"]

WARM_UP = 0.1
FINAL_RATE = 0.02
# The weights that are validated and kept are a running average over about this share of the steps.
AVERAGED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """Settings of one training, all resolved.

    Attributes:
        steps: optimiser steps at most.
        batch_size: windows per step.
        learning_rate: highest rate of the schedule.
        closed_loop: share of steps that roll out over the horizon with the network's own forecasts.
        horizon: steps rolled out.
        validate_every: steps between validations.
        patience: validations without improvement before training stops.
        seed: of the windows drawn and of dropout.
        precision: float32, tf32 or bfloat16.
    """

    steps: int
    batch_size: int
    learning_rate: float
    closed_loop: float
    horizon: int
    validate_every: int
    patience: int
    seed: int
    precision: str = "float32"

    @property
    def decay(self) -> float:
        """Share of the averaged weights that stays when one step's weights are added."""
        return 1 - 1 / max(1.0, AVERAGED_SHARE * self.steps)

    def rate(self, step: int) -> float:
        """Learning rate of a step (from 1): linear warm-up, then a cosine down to a small share of the highest."""
        warm = max(1, round(WARM_UP * self.steps))
        if step <= warm:
            return self.learning_rate * step / warm
        done = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * (FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done)))
