"""The echo state network: weights that are drawn once, and the sums from which its readout follows in closed form.

Jaeger 2001, "The echo state approach to analysing and training recurrent neural networks" (GMD Report 148).
"""

from __future__ import annotations

import torch
from torch import Tensor

from tsforecast.recurrent.layers import Stepwise

__all__ = ["NormalEquations", "draw_reservoir"]

# Units that each unit listens to.
LINKS = 10


@torch.no_grad()
def draw_reservoir(layers: Stepwise, *, spectral_radius: float, input_scale: float, seed: int) -> None:
    """Draws the weights anew: the recurrent ones sparse and scaled, the input ones and the bias uniform.

    Args:
        layers: of a reservoir; changed in place.
        spectral_radius: largest absolute eigenvalue of the recurrent weights. Below 1 an input fades in time; with a
            leak, (1 - leak) I + leak R is what decides.
        input_scale: largest absolute input weight and bias.
        seed: of all draws.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in layers.named_parameters():
        if name.startswith("weight_hh"):
            weight.copy_(_sparse(layers.hidden_size, spectral_radius, generator))
        elif name.startswith("bias_hh"):  # one bias is enough where nothing is trained
            weight.zero_()
        else:
            weight.copy_(input_scale * (2 * torch.rand(weight.shape, generator=generator) - 1))


def _sparse(size: int, spectral_radius: float, generator: torch.Generator) -> Tensor:
    """A matrix in which each row has ``LINKS`` entries, ``(size, size)``."""
    rank = torch.rand((size, size), generator=generator).argsort(dim=1).argsort(dim=1)
    values = 2 * torch.rand((size, size), generator=generator, dtype=torch.float64) - 1
    matrix = torch.where(rank < LINKS, values, 0.0)
    largest: Tensor = torch.linalg.eigvals(matrix).abs().max()
    return matrix * (spectral_radius / largest)


class NormalEquations:
    """Ridge regression on rows that come in batches: only their sums are kept, in float64.

    The weights w and the intercept b minimise the mean of (y - w x - b)² plus ``ridge`` times the sum of w²; the
    intercept is free. That is scikit-learn's ``Ridge`` with ``alpha`` = ridge × rows.
    """

    def __init__(self, n_features: int, *, device: torch.device) -> None:
        self.rows = 0
        # The last feature is 1, whose weight is the intercept.
        self._xx = torch.zeros((n_features + 1, n_features + 1), dtype=torch.float64, device=device)
        self._xy = torch.zeros(n_features + 1, dtype=torch.float64, device=device)
        self._yy = torch.zeros((), dtype=torch.float64, device=device)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Adds rows, ``(rows, n_features)``, and their targets, ``(rows,)``."""
        ones = torch.ones((len(x), 1), dtype=torch.float64, device=x.device)
        x, y = torch.cat([x.double(), ones], dim=1), y.double()
        self._xx += x.T @ x
        self._xy += x.T @ y
        self._yy += y @ y
        self.rows += len(x)

    def solve(self, ridge: float) -> Tensor:
        """The weights with the intercept behind them, ``(n_features + 1,)``, in float64."""
        penalty = torch.full_like(self._xy, ridge * self.rows)
        penalty[-1] = 0.0
        solution: Tensor = torch.linalg.solve(self._xx + torch.diag(penalty), self._xy)
        return solution

    def mean_squared_error(self, solution: Tensor) -> float:
        """Mean of (y - w x - b)² over the rows that were added."""
        total = self._yy - 2 * solution @ self._xy + solution @ self._xx @ solution
        return float(total) / self.rows
