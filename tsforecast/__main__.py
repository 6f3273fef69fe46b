"""The command line: ``tsforecast`` and ``python -m tsforecast``."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; our own errors become one message and their exit code."""
    from tsforecast.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
