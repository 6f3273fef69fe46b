"""The recurrent systems by name: each reads ``(x, state)`` and returns ``(output, state)``.

Shapes, with ``batch_first``: ``x`` is ``(batch, time, features)``, ``output`` is
``(batch, time, hidden * directions)``. The state is one tensor for the GRU and a pair ``(h, c)`` for the LSTM, each
``(layers * directions, batch, hidden)``. Depth, dropout between layers and direction are settings of every cell.
"""

from __future__ import annotations

from torch import nn

__all__ = ["CELLS"]

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
