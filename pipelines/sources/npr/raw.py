"""Rejected records as they were sent, cut out of the message, for the quarantine alone."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from xml.parsers import expat

from pipelines.sources.npr.collecting import RefusedError
from pipelines.sources.npr.stream import guarded_parser, open_message

MOST_BYTES = 64_000
MOST_RECORDS = 200
"""So much of a record, and so many records of a part, are kept."""
_TAG = re.compile(rb"<(?:\"[^\"]*\"|'[^']*'|[^<>\"'])*>")


class _EndError(Exception):
    """The record is at its end."""


def raw_records(path: Path, offsets: Iterable[int]) -> dict[int, bytes]:
    """What stands at some bytes of a message, each to the end of its element.

    Args:
        path: the message.
        offsets: where elements begin.

    Returns:
        By offset; an element that is broken or long is cut off.
    """
    found: dict[int, bytes] = {}
    with suppress(EOFError, gzip.BadGzipFile, zlib.error), open_message(path) as source:
        for offset in sorted(set(offsets))[:MOST_RECORDS]:
            source.seek(offset)
            window = source.read(MOST_BYTES)
            found[offset] = window[: _length(window)]
    return found


def _length(window: bytes) -> int:
    """How long the element is with which these bytes begin; all of them where its end is not among them."""
    depth = at_end = 0
    parser = guarded_parser()

    def start(_: str, __: dict[str, str]) -> None:
        nonlocal depth
        depth += 1

    def end(_: str) -> None:
        nonlocal depth, at_end
        depth -= 1
        if not depth:
            at_end = parser.CurrentByteIndex
            raise _EndError

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(window.decode("latin-1"), False)  # noqa: FBT003
    except _EndError:
        tag = _TAG.match(window, _bytes_before(window, at_end))
        return tag.end() if tag else len(window)
    except (expat.ExpatError, RefusedError, ValueError):
        return len(window)
    return len(window)


def _bytes_before(window: bytes, index: int) -> int:
    """The place in the window of a byte of the UTF-8 form that the parser saw of it."""
    return len(window.decode("latin-1").encode("utf-8")[:index].decode("utf-8", "ignore"))
