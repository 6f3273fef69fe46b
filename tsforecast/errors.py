"""Every error a user can meet, each with the exit code of the command line.

    TsforecastError            base: catch this to catch all of ours
      ConfigError          2   the command line or the YAML is wrong
        TrainingError      2   the settings made training diverge
      DataError            3   found by reading the data
      RunError             4   run folder missing, damaged, or not fitting the data
      QualityGateError     6   a required score was not reached
      ResourceError        7   disk or memory ran out
      LockedError         75   another run holds the lock
      StoppedError   128 + n   ended by signal n (130 for Ctrl-C, 143 for SIGTERM)

A message has four parts in one or two lines: where, what was found, what was expected, what to do.
Exit codes are part of the interface and are never renumbered. Code 1 is a bug and keeps its traceback;
code 5 (partly done) is a result, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = [
    "ConfigError",
    "DataError",
    "LockedError",
    "QualityGateError",
    "ResourceError",
    "RunError",
    "StoppedError",
    "TrainingError",
    "TsforecastError",
]


class TsforecastError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class ConfigError(TsforecastError):
    """The command line, the environment or the YAML file is wrong."""

    exit_code = 2


class TrainingError(ConfigError):
    """Training cannot go on with these settings, for example after a NaN loss."""


class DataError(TsforecastError):
    """The data cannot be used as it is.

    Attributes:
        code: of what is wrong, as in docs/checks.md; None where no page explains it.
        parts: where several things are wrong, an error for each.
        series: where single series are to blame, what is wrong with each, by name.
    """

    exit_code = 3

    def __init__(
        self, message: str = "", *, code: str | None = None, series: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.series = series or {}
        self.parts: tuple[DataError, ...] = (self,)

    @classmethod
    def of(cls, parts: Sequence[DataError]) -> DataError:
        """One error for all, its message with a line for each."""
        error = cls("\n".join(map(str, parts)), code=parts[0].code)
        error.parts = tuple(parts)
        return error


class RunError(TsforecastError):
    """A run folder is missing, damaged, too new, or does not fit the data it is given."""

    exit_code = 4


class QualityGateError(TsforecastError):
    """A score the user required was not reached; everything is written all the same."""

    exit_code = 6


class ResourceError(TsforecastError):
    """The disk or the memory ran out."""

    exit_code = 7


class LockedError(TsforecastError):
    """Another run holds the lock on the same output."""

    exit_code = 75


class StoppedError(TsforecastError):
    """A signal ended the work; what was done so far is kept."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.number = signal_number
        self.exit_code = 128 + signal_number
