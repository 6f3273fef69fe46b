"""Heads: from the hidden state to a forecast, and the loss that goes with it. Nothing else knows about losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PointHead"]


class PointHead(nn.Module):
    """One number per step, trained on the absolute error, so that the forecast is a median.

    It starts at zero: before the first training step the forecast is the network's base and nothing else.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Corrections, ``(batch, time)``, from hidden states, ``(batch, time, hidden)``."""
        output: Tensor = self.linear(hidden)
        return output.squeeze(-1)

    def loss(self, y_hat: Tensor, y: Tensor, observed: Tensor) -> Tensor:
        """Mean absolute error over the observed targets; all arguments ``(batch, horizon)``."""
        error = (y_hat.float() - y).abs() * observed
        return error.sum() / observed.sum().clamp(min=1)

    @torch.no_grad()
    def errors(self, y_hat: Tensor, y: Tensor, observed: Tensor) -> Tensor:
        """Absolute error of each window, ``(batch,)``."""
        error = (y_hat.float() - y).abs() * observed
        return error.sum(1) / observed.sum(1).clamp(min=1)
