"""Lengths of time as people write them in a config: ``90s``, ``36h``, ``1.5d``."""

from __future__ import annotations

import re
from datetime import timedelta

__all__ = ["duration_of", "form_of"]

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def form_of(units: str) -> str:
    """The pattern of a duration in some of the units, ``smhdw``."""
    return rf"[0-9]{{1,6}}(\.[0-9]{{1,3}})?[{units}]"


def duration_of(text: str, units: str) -> timedelta | None:
    """The length of time in a text; None where it is none in these units."""
    if not re.fullmatch(form_of(units), text):
        return None
    return timedelta(seconds=float(text[:-1]) * SECONDS[text[-1]])
