"""Where in a text file a row begins, found only for the few rows that were rejected."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def row_offsets(
    path: Path, rows: Sequence[int], *, has_header: bool = True, is_quoted: bool = True
) -> list[int | None]:
    """The byte at which each row begins; of a gzip file, in its unpacked text.

    Args:
        path: a text file.
        rows: row numbers from 1, the header not counted.
        has_header: whether the first line is a header.
        is_quoted: whether a line break between quotation marks ends no row.

    Returns:
        One offset a row; null for a row that the file lacks.
    """
    content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    text = np.frombuffer(content, dtype=np.uint8)
    breaks = np.flatnonzero(text == ord("\n"))
    quotes = np.flatnonzero(text == ord('"'))
    if quotes.size and is_quoted:
        breaks = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
    starts = np.concatenate([[0], breaks + 1])
    first = 1 if has_header else 0
    lines = [row - 1 + first for row in rows]
    return [
        int(starts[line]) if 0 <= line < starts.size and starts[line] < text.size else None for line in lines
    ]
