"""Several networks that forecast as one: the same settings, other first weights, other windows drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tsforecast.recurrent.cells import Cell
from tsforecast.recurrent.heads import HeadLayer
from tsforecast.recurrent.network import Network

__all__ = ["Ensemble", "Forecaster", "ensemble_of", "pooled"]


class Ensemble(nn.Module):
    """Networks alike in everything but their weights, each rolled out by itself.

    What one of them misses by chance the others do not miss in the same way. Their forecasts are pooled step by step
    after the rollouts, and sample paths are dealt out among them; to feed a pooled value back to all would make paths
    that agree with each other more than the networks do.

    Args:
        members: at least one.
    """

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(members)

    @property
    def members(self) -> tuple[Network, ...]:
        return tuple(member for member in self.networks if isinstance(member, Network))

    @property
    def head(self) -> HeadLayer:
        """A head as all members have it: its kind and its width, not its weights."""
        return self.members[0].head

    @property
    def cell(self) -> Cell:
        return self.members[0].cell

    @property
    def direct_steps(self) -> int:
        return self.members[0].direct_steps

    @property
    def has_own_spread(self) -> bool:
        return self.members[0].has_own_spread


# What forecasts: one network, or several as one.
Forecaster = Network | Ensemble


def ensemble_of(members: Sequence[Network]) -> Forecaster:
    """The members as one; a single network is its own ensemble."""
    return members[0] if len(members) == 1 else Ensemble(members)


def pooled(forecasts: Sequence[Tensor]) -> Tensor:
    """One forecast from those of all members: their mean.

    The pool of their sample paths is a mixture of distributions that differ little in place beside their width. The
    median of such a mixture is, but for terms of second order, the mean of the members' medians, which needs no paths
    and has no noise of its own.
    """
    return forecasts[0] if len(forecasts) == 1 else torch.stack(list(forecasts)).mean(dim=0)
