"""What SQLAlchemy is told about databases, whoever reads from them or writes to them."""

from __future__ import annotations

from typing import Any

__all__ = ["CONNECT", "EXTRA", "with_driver"]

EXTRA = "pip install 'tsforecast[sql]'"

# Drivers that the sql extra brings, for URLs that name none.
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
# How long to wait for a connection, in the words of each driver; psycopg would wait for minutes.
CONNECT: dict[str, dict[str, Any]] = {"postgresql": {"connect_timeout": 30}}


def with_driver(url: str) -> Any:
    """A SQLAlchemy URL that names a driver.

    Raises:
        ImportError: SQLAlchemy is not installed.
        sqlalchemy.exc.ArgumentError: it is no URL.
    """
    import sqlalchemy

    made = sqlalchemy.make_url(url)
    return made.set(drivername=DRIVERS.get(made.drivername, made.drivername))
