"""What to do about a cell that is no number or no date: told by what it looks like."""

from __future__ import annotations

import json
import re

__all__ = ["NO_DATA", "advice_on_number", "is_no_data"]

NO_DATA = "correct the cell, or remove the line if it is no data (a total, a unit, a second header)"
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:(?P<mark>[\s'\u2019.,])\d{3})(?:(?P=mark)\d{3})*(?:[.,]\d+)?")

# What a cell looks like -> what to do about it; the first that fits is taken.
ADVICE = {
    re.compile("(?s).*[\x00-\x1f\x7f\u00a0\u200b-\u200f\u202a-\u202e\ufeff].*"): (
        "remove the characters in it that cannot be seen"
    ),
    re.compile(r"\(.*\d.*\)|.*\d\s?-"): "write a negative number with - in front of it",
    re.compile("[\u2212\u2010-\u2015].*\\d.*"): "write the minus sign as -",
    re.compile(r"#[A-Z/0!?]+"): "leave the cell empty where a formula of Excel has failed",
    re.compile(
        r"[?.*\u2026_/\u2010-\u2015-]+|n\.? ?[/.]? ?[ad]\.?|missing|unknown|undefined|error|nil|\(null\)",
        re.IGNORECASE,
    ): "leave the cell empty where there is no value",
    re.compile(r"true|false|yes|no|ja|nein", re.IGNORECASE): "write 1 and 0",
    re.compile("[\"'`\u2018-\u201f].*\\d.*|.*\\d.*[\"'\u2018-\u201f]"): "remove the quotes",
    re.compile(r"0[xXbBoO][0-9A-Fa-f]+|\d+(_\d+)+"): "write it in plain decimal digits",
    re.compile(r"(?=.*[^\x00-\x7f])[\d.,]+"): "write it in the digits 0 to 9",
    re.compile(r"[^\d\s.,+-]{1,4} ?[+-]?[\d.,]+|[+-]?[\d.,]+ ?[^\d\s.,+-]{1,8}"): (
        "write the number alone, without a unit or a sign"
    ),
}


def is_no_data(cell: str) -> bool:
    """Whether a cell has no digit, so that its line is a title, a total or a unit and no row."""
    return not any(letter.isdigit() for letter in cell)


def advice_on_number(cell: str, *, decimal: str, thousands: str | None) -> str:
    """What to do about a cell that is no number.

    Args:
        cell: as it stands in the file.
        decimal: the decimal mark that is read.
        thousands: the mark between groups of digits that is read.
    """
    cell = cell.strip(" \t")
    grouped = THOUSANDS.fullmatch(cell)
    if grouped and grouped["mark"] not in (decimal, thousands):
        return f"write it without marks between the digits, or set data.format.thousands: {json.dumps(grouped['mark'])}"
    for looks, advice in ADVICE.items():
        if looks.fullmatch(cell):
            return advice
    if is_no_data(cell):
        return NO_DATA
    return "correct the cell, or set data.format.decimal or data.format.thousands"
