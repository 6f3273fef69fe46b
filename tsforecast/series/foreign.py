"""What a file is that is no CSV, and a first line that is no header: told by how they begin, with the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["BEGINNING", "BZIP2", "no_csv", "no_header"]

BEGINNING = 64  # bytes that tell
LONGEST = 60  # characters of a line in a message

# First bytes of what is no CSV, the longer ones first.
MAGIC = {
    b"\x1f\x8b": "a gzip file; give it a name that ends in .gz",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save it as CSV",
    b"PK\x05\x06": "an empty zip archive; name a CSV file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook or another Office document; save it as CSV",
    b"\x28\xb5\x2f\xfd": "a Zstandard file; give it a name that ends in .zst",
    b"\xfd7zX": "an xz file; unpack it, or compress it with gzip",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it, or compress the CSV with gzip",
    # A name of a column may begin with PAR1 too; after it Parquet has the first field of a header.
    b"PAR1\x15": "a Parquet file; give it a name that ends in .parquet",
    b"ARROW1": "an Arrow (Feather) file; save it as Parquet or CSV",
    b"SQLite format 3\0": "an SQLite database; write its path as sqlite:///FILE, and set data.query",
    b"%PDF": "a PDF document; expected text: export the table as CSV",
    b"{\\rtf": "an RTF document; save it as plain text",
    b"\x89PNG": "a picture; expected a table as text: name a CSV file",
    b"\xff\xd8\xff": "a picture; expected a table as text: name a CSV file",
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself; run git lfs pull",
    b"\xff\xfe\0\0": "UTF-32 text; save it as UTF-8",
    b"\0\0\xfe\xff": "UTF-32 text; save it as UTF-8",
}
# The block size is a digit; text that begins with BZh does not go on like this.
BZIP2 = tuple(b"BZh%d1AY&SY" % size for size in range(1, 10))
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MARKUP = {
    re.compile(rb"\s*<(!doctype|html|\?xml|table|body|script|!--)", re.IGNORECASE): (
        "HTML or XML, such as the page of an error or a login; look at it in a browser, and save the table as CSV"
    ),
    re.compile(rb'\s*(\[\s*)?\{\s*"|\s*\[\s*\['): "JSON; convert it to CSV",
}


def no_csv(first: bytes, *, encoding: str) -> str | None:
    """What a file is by its first bytes, and what to do about it; None where it may be CSV."""
    for magic, kind in MAGIC.items():
        if first.startswith(magic):
            return kind
    if first.startswith(BZIP2):
        return "a bzip2 file; give it a name that ends in .bz2"
    if encoding.startswith("utf-16"):
        return None
    if first.startswith(UTF_16):
        return "UTF-16 text; set data.format.encoding: utf-16"
    return next(
        (kind for pattern, kind in MARKUP.items() if pattern.match(first.removeprefix(b"\xef\xbb\xbf"))), None
    )


def no_header(header: Sequence[str], separator: str, *, is_known: bool) -> str | None:
    """What stands in the first line instead of the header, and what to do about it; None where it may be one.

    Args:
        header: cells of the line.
        separator: between them.
        is_known: whether it has the columns that are read, so that it is a header after all.
    """
    text = separator.join(header)
    shown = repr(text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")
    if "\0" in text:
        return (
            "there are NUL bytes, expected text; this is no CSV file, or UTF-16 without a mark: "
            "then set data.format.encoding: utf-16-le"
        )
    if text.lower().startswith("sep="):
        return f"{shown} is a mark for Excel, expected the header; remove the line"
    if is_known:
        return None
    if text.startswith("#"):
        return f"{shown} is a comment, expected the header; remove such lines, e.g. grep -v '^#' FILE.csv > CLEAN.csv"
    if len(header) == 1 and separator in text:
        return (
            f"the whole line {shown} stands in quotes; remove those at the beginning and the end of each line"
        )
    return None
