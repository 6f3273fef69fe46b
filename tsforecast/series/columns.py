"""Which columns of a source are read, and what to say where one is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tsforecast.config.schema import DataConfig
from tsforecast.config.words import nearest_word, shown
from tsforecast.errors import DataError

__all__ = ["Columns", "columns_of", "listed", "refuse_absent"]

MAX_COLUMNS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that are read, as the file spells them; where there is no id, it is empty."""

    time: tuple[str, ...]
    targets: tuple[str, ...]
    id: tuple[str, ...]
    covariates: dict[str, str]  # column -> config key
    categorical: frozenset[str]

    @property
    def keys(self) -> dict[str, str]:
        """Config key of each column."""
        keys = dict.fromkeys(self.time, "data.time") | dict.fromkeys(self.targets, "data.target")
        return keys | dict.fromkeys(self.id, "data.id") | self.covariates

    @property
    def text(self) -> list[str]:
        return [*self.time, *self.id, *(name for name in self.covariates if name in self.categorical)]

    @property
    def numbers(self) -> list[str]:
        return [*self.targets, *(name for name in self.covariates if name not in self.categorical)]


def columns_of(data: DataConfig) -> Columns:
    """The columns a config names."""
    targets = (data.target,) if isinstance(data.target, str) else tuple(data.target)
    covariates = {
        name: f"data.covariates.{kind}"
        for kind in ("static", "past", "future")
        for name in getattr(data.covariates, kind)
    }
    categorical = frozenset(data.covariates.categorical)
    return Columns(
        time=data.time_columns,
        targets=targets,
        id=data.id_columns,
        covariates=covariates,
        categorical=categorical,
    )


def refuse_absent(name: str, found: Sequence[str], columns: Columns) -> None:
    """Refuses a source without one of the columns, or with two of its name.

    Args:
        name: of the source, for messages.
        found: names of its columns.
        columns: those that are read.

    Raises:
        DataError: names the column and the nearest spelling.
    """
    for column, key in columns.keys.items():
        count = list(found).count(column)
        if count > 1:
            raise DataError(
                f"{name}: {count} columns are named {column!r}; give each its own name.", code="F104"
            )
        if count == 0:
            raise DataError(
                f"{name}: there is no column {column!r}, which {key} names; "
                f"the columns are {listed(found)}.{_nearest(column, found)}",
                code="F105",
            )


def listed(columns: Sequence[str]) -> str:
    """Names of columns for a message, cut where there are many."""
    names = ", ".join(map(shown, columns[:MAX_COLUMNS_SHOWN]))
    hidden = len(columns) - MAX_COLUMNS_SHOWN
    return f"{names} and {hidden} more" if hidden > 0 else names


def _nearest(column: str, found: Sequence[str]) -> str:
    by_lower = {name.strip().lower(): name for name in found}
    nearest = nearest_word(column.strip(), list(by_lower))
    return f" Did you mean {shown(by_lower[nearest])}?" if nearest else ""
