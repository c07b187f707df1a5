"""Files of one resource a line, read in blocks of lines with their numbers and offsets, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ontology.errors import InputError, Problem

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_NEW_LINE = 10
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Lines:
    """Neighbouring lines of a file.

    Attributes:
        first_row: the number of the first, from 1.
        first_offset: the byte at which the first begins, in the unpacked file.
        content: the lines, parted by line feeds.
        too_large: the one line is larger than allowed, and left out: the content is empty.
        is_cut: whether the last line has no line feed.
    """

    first_row: int
    first_offset: int
    content: bytes
    too_large: bool = False
    is_cut: bool = False

    @cached_property
    def starts(self) -> Places:
        """Where each line begins in the content, and, last, where the next would."""
        new_lines = np.flatnonzero(np.frombuffer(self.content, dtype=np.uint8) == _NEW_LINE)
        return np.concatenate([[0], new_lines + 1, [len(self.content) + 1]])

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines without their line feeds."""
        return self.content.split(b"\n")

    def __len__(self) -> int:
        return self.starts.size - 1

    def line(self, place: int) -> bytes:
        """One line, counted from 0, without its line feed."""
        return self.content[self.starts[place] : self.starts[place + 1] - 1]

    def offsets(self) -> list[int]:
        """The byte at which each line begins."""
        offsets: list[int] = (self.starts[:-1] + self.first_offset).tolist()
        return offsets


def opened(path: Path) -> IO[bytes]:
    """A file's content, unpacked where it is gzip, whatever its name."""
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_packed else path.open("rb")


def chunks(path: Path, label: str, n_bytes: int) -> Iterator[bytes]:
    """The file's content in pieces, without a byte order mark (the first piece then begins three bytes in).

    Raises:
        InputError: the file cannot be read to its end.
    """
    try:
        with opened(path) as file:
            while piece := file.read(n_bytes):
                yield piece
    except (EOFError, zlib.error, gzip.BadGzipFile):
        advice = "fetch the file again from where it came"
        raise InputError(Problem("the gzip file is cut off or damaged", label, next_step=advice)) from None
    except OSError as error:
        raise InputError(
            Problem("the file cannot be read", label, type(error).__name__, next_step="see to its rights")
        ) from None


def blocks(path: Path, label: str, *, block_bytes: int, most_bytes: int) -> Iterator[Lines]:
    """The lines of a file, some megabytes at a time.

    Args:
        path: plain or gzip.
        label: what errors call it.
        block_bytes: how much is read at a time.
        most_bytes: of one line; a longer one is passed over without being held.

    Raises:
        InputError: the file cannot be read to its end.
    """
    row, offset, rest = 1, 0, b""
    n_skipped = 0
    is_first = True
    for read in chunks(path, label, block_bytes):
        piece = read
        if is_first and piece.startswith(BYTE_ORDER_MARK):
            piece, offset = piece[3:], 3
        is_first = False
        if n_skipped:
            end = piece.find(b"\n")
            if end < 0:
                n_skipped += len(piece)
                continue
            yield Lines(row, offset, b"", too_large=True)
            row, offset, n_skipped = row + 1, offset + n_skipped + end + 1, 0
            piece = piece[end + 1 :]
        whole = rest + piece
        end = whole.rfind(b"\n")
        if end >= 0:
            found = Lines(row, offset, whole[:end])
            yield found
            row, offset = row + len(found), offset + end + 1
        rest = whole[end + 1 :]
        if len(rest) > most_bytes:
            rest, n_skipped = b"", len(rest)
    if n_skipped:
        yield Lines(row, offset, b"", too_large=True, is_cut=True)
    elif rest:
        yield Lines(row, offset, rest, is_cut=True)
