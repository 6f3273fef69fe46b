"""From a CSV to a forecast you can trust, with recurrent networks.

    import tsforecast
    run = tsforecast.train("configs/air_passengers.yaml", run="runs/air")
    run.scores.by_model
    run.predict(horizon=24)
    tsforecast.load("runs/air").predict(new_rows)

Importing the package loads nothing heavy; the names below are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsforecast.errors import TsforecastError

if TYPE_CHECKING:
    from tsforecast.workflows.notebook import Run, load, train

__version__ = "0.1.0"

__all__ = ["Run", "TsforecastError", "__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    if name in {"Run", "load", "train"}:
        from tsforecast.workflows import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'tsforecast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
