"""The network: a recurrent cell, a head on its output, and a base the head only has to correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tsforecast.recurrent.heads import HeadLayer
from tsforecast.recurrent.layers import State, build_layers, cell_with

__all__ = ["Network"]

# Share of the words that training hides.
UNKNOWN_SHARE = 0.02
WIDEST_EMBEDDING = 16


class Network(nn.Module):
    """Forecast of the next step: a weighted sum of the shown values, plus a correction by the recurrent cell.

    The weighted sum starts as one of the shown values (the newest, or the one a season ago), and the head starts at
    zero, so an untrained network is a naive forecast and training can only have to improve on it. The weights are
    those of all series, moved at each step by what the cell has read: one series repeats its season, the next one its
    newest value.

    What is known of the step to forecast (calendar, covariates) also reaches the forecast on a straight line beside
    the cell: most of what a price or a weekday does is linear, and learned that way in a few steps.

    Args:
        cell: a name from ``CELLS``.
        input_size: features per step.
        n_values: how many of the first features are values of the series.
        hidden_size: units per layer and direction.
        num_layers: stacked layers.
        dropout: share of outputs dropped between layers.
        bidirectional: read the window in both directions.
        base: which of the ``n_values`` shown values the untrained network returns.
        options: settings of the cell, such as ``reset``; those of other cells are not looked at.
        n_categories: words of each of the last inputs, which hold the number of a word, and 0 for one not learned.
        head: a name from ``HEADS``.
        direct_steps: forecast so many steps from the last state, all at once; 0 forecasts one and is fed its own.
    """

    def __init__(
        self,
        *,
        cell: str,
        input_size: int,
        n_values: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        base: int = 0,
        options: Mapping[str, Any] | None = None,
        n_categories: Sequence[int] = (),
        head: str = "mae",
        direct_steps: int = 0,
    ) -> None:
        super().__init__()
        self.n_values = n_values
        self.direct_steps = direct_steps
        self.bidirectional = bidirectional
        self.cell = cell_with(cell, options)
        embeddings = [_embedding(n) for n in n_categories]
        width = sum(embedding.embedding_dim for embedding in embeddings) - len(embeddings)
        self.embeddings = nn.ModuleList(embeddings)
        self.recurrence = build_layers(
            self.cell,
            input_size + width,
            hidden_size,
            num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        seen = hidden_size * (2 if bidirectional else 1)
        self.head = HeadLayer(seen, head, n_steps=direct_steps or 1)
        self.base = nn.Parameter(torch.empty(n_values))
        self.mix: nn.Linear | None = None
        self.skip: nn.Linear | None = None
        if not self.cell.reservoir:  # whose readout is solved
            self.mix = nn.Linear(self.head.linear.in_features, n_values, bias=False)
            self.skip = nn.Linear(input_size + width - n_values, 1, bias=False)
            nn.init.zeros_(self.mix.weight)
            nn.init.zeros_(self.skip.weight)
        self.reset_base(base)

    @property
    def members(self) -> tuple[Network, ...]:
        """The networks that forecast: this one alone."""
        return (self,)

    @property
    def has_own_spread(self) -> bool:
        """Whether the width of its intervals is its own, from paths it draws; else all errors are in one unit."""
        return self.head.kind.quantile is not None and not self.direct_steps

    @torch.no_grad()
    def reset_base(self, base: int | None) -> None:
        """Makes one of the shown values the forecast that the head corrects; None: their usual size, 0."""
        self.base.zero_()
        if base is not None:
            self.base[base] = 1.0

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The head's parameters for the step after each step read, and the state to go on with; for causal networks.

        Args:
            x: inputs, ``(batch, time, features)``; the first ``n_values`` features are values.
            state: what an earlier call returned, or None to start.

        Returns:
            Parameters, scaled, ``(batch, time, n_parameters)``, and the state.
        """
        x = self.encoded(x)
        hidden, state = self.recurrence(x, state)  # (batch, time, hidden)
        return self._corrected(x, hidden), state

    def last_step(self, x: Tensor) -> Tensor:
        """Parameters of the step after the window, ``(batch, n_parameters)``, from the last state of each direction.

        The backward direction ends at the start of the window, so its last state stands there.
        """
        x = self.encoded(x)
        return self._corrected(x[:, -1:], self.seen_by_head(x)).squeeze(1)

    def all_steps(self, x: Tensor, ahead: Tensor) -> Tensor:
        """Parameters of the first of the ``direct_steps``, ``(batch, steps, n_parameters)``, from the last state.

        Args:
            x: inputs of the window.
            ahead: inputs of each step, whose values are none of them forecast, ``(batch, steps, features)``.
        """
        hidden = self.seen_by_head(self.encoded(x))
        correction = self.head(hidden).squeeze(1).unflatten(1, (self.direct_steps, -1))
        return self.head.based(correction[:, : ahead.shape[1]], self._straight(self.encoded(ahead), hidden))

    def seen_by_head(self, x: Tensor) -> Tensor:
        """The last state of each direction, ``(batch, 1, directions * hidden)``, which the step after is made from.

        Args:
            x: inputs as :meth:`encoded` gives them.
        """
        hidden: Tensor
        hidden, _ = self.recurrence(x)  # (batch, time, directions * hidden)
        if not self.bidirectional:
            return hidden[:, -1:]
        forward, backward = hidden.chunk(2, dim=2)
        return torch.cat([forward[:, -1:], backward[:, :1]], dim=2)

    def encoded(self, x: Tensor) -> Tensor:
        """Inputs as the recurrence reads them: each word's number replaced by what was learned for the word.

        In training a small share of the words is taken for unknown ones, so that those get a learned place too.
        """
        if not self.embeddings:
            return x
        numbers, words = x.tensor_split([x.shape[2] - len(self.embeddings)], dim=2)
        words = words.long()
        if self.training:
            words = words * (torch.rand(words.shape, device=x.device) >= UNKNOWN_SHARE)
        learned = [embedding(words[..., k]) for k, embedding in enumerate(self.embeddings)]
        return torch.cat([numbers, *learned], dim=2)

    def _corrected(self, x: Tensor, hidden: Tensor) -> Tensor:
        correction: Tensor = self.head(hidden)
        return self.head.based(correction, self._straight(x, hidden))

    def _straight(self, x: Tensor, hidden: Tensor) -> Tensor:
        """What the head corrects, ``(batch, time)``: sums of the shown values and of what is known beside them."""
        shown = x[..., : self.n_values]
        if self.mix is None or self.skip is None:
            return shown @ self.base
        known: Tensor = self.skip(x[..., self.n_values :]).squeeze(-1)
        weighted: Tensor = (shown * (self.base + self.mix(hidden))).sum(-1)
        return weighted + known


def _embedding(n_words: int) -> nn.Embedding:
    """Learned inputs of some words; the first place is for unknown ones, and starts in the middle of all."""
    embedding = nn.Embedding(n_words + 1, min(WIDEST_EMBEDDING, 1 + n_words // 2))
    with torch.no_grad():
        embedding.weight[0] = 0.0
    return embedding
