"""A JSON document of any size cut into the elements of one of its arrays, without being held as a whole."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

Marks = np.ndarray[Any, np.dtype[np.int64]]

_ENTRY_KEY = re.compile(rb'"entry"\s*:\s*\Z')
_NEXT_ENTRY = re.compile(
    rb'[}\]]\s*,\s*(?=\{\s*"(?:fullUrl|resource|request|response|search|link|id|extension)"\s*:)'
)
"""Where an entry of a Bundle may begin, whatever stands before it."""
_KEY_BYTES = 64
_TRIFLES = b" \t\r\n,[]{}"
_QUOTE, _BACKSLASH = 34, 92
_OPEN, _CLOSE = 0x7B, 0x7D
"""The braces; brackets are they without bit 0x20, and nothing else is."""


@dataclass(frozen=True)
class Piece:
    """Some bytes of the document.

    Attributes:
        kind: an element of the array; something broken, which may hold elements; or the header: all that
            stands outside of the array.
        offset: the byte at which it begins.
        content: its bytes; none where they are more than allowed.
        is_too_large: whether that is so.
        is_last: whether the document ends with it.
    """

    kind: Literal["element", "broken", "header"]
    offset: int
    content: bytes
    is_too_large: bool = False
    is_last: bool = False


class _Structure:
    """Brackets of a document that stand outside its texts, piece by piece."""

    def __init__(self) -> None:
        self._is_in_text = False

    def brackets(self, chunk: bytes) -> tuple[Marks, Marks]:
        """Where brackets stand in the next chunk, and +1 for opening ones, -1 for closing ones.

        A chunk must not end in a backslash.
        """
        content = np.frombuffer(chunk, dtype=np.uint8)
        is_quote = content == _QUOTE
        backslashes = np.flatnonzero(content == _BACKSLASH)
        if backslashes.size:
            is_quote[_escaped(backslashes, content.size)] = False
        n_quotes = np.cumsum(is_quote, dtype=np.uint8)  # the parity outlives the overflow
        in_text = (n_quotes & 1).astype(bool) ^ self._is_in_text
        if content.size:
            self._is_in_text = bool(in_text[-1])
        kind = content | 0x20
        is_open, is_close = kind == _OPEN, kind == _CLOSE
        places = np.flatnonzero((is_open | is_close) & ~in_text)
        return places, np.where(is_open[places], 1, -1).astype(np.int64)


def _escaped(backslashes: Marks, size: int) -> Marks:
    """The places after an odd run of backslashes."""
    is_first = np.diff(backslashes, prepend=-2) != 1
    firsts = backslashes[is_first]
    lengths = np.diff(np.append(np.flatnonzero(is_first), backslashes.size))
    after: Marks = (firsts + lengths)[lengths % 2 == 1]
    return after[after < size]


def pieces(chunks: Iterable[bytes], *, first_offset: int, most_bytes: int) -> Iterator[Piece]:
    """The elements of the document's top-level array called entry, and last what stands outside of it.

    The elements of a document that is an array itself are told as well; its header is then empty. A document
    that is broken within the array is taken up again where the next entry of a Bundle seems to begin.

    Args:
        chunks: the document.
        first_offset: of its first byte.
        most_bytes: of one element, and of the header.
    """
    scanner = _Scanner(first_offset, most_bytes)
    pending = deque[bytes]()
    for chunk in _whole_escapes(chunks):
        pending.append(chunk)
        while pending:
            yield from scanner.take(pending.popleft(), pending)
    yield from scanner.end()


def _whole_escapes(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, no chunk of which ends in a backslash but perhaps the last."""
    rest = b""
    for chunk in chunks:
        whole = rest + chunk
        size = len(whole.rstrip(b"\\"))
        rest = whole[size:]
        if size:
            yield whole[:size]
    if rest:
        yield rest


def salvaged(broken: Piece) -> Iterator[Piece]:
    """Something broken, parted where entries of a Bundle seem to begin; brackets alone are no part."""
    starts = [0, *(match.end() for match in _NEXT_ENTRY.finditer(broken.content))]
    for start, end in zip(starts, [*starts[1:], len(broken.content)], strict=True):
        content = broken.content[start:end].strip(b" \t\r\n,")
        if content.strip(_TRIFLES):
            is_last = broken.is_last and end == len(broken.content)
            yield Piece("element", broken.offset + start, content, is_last=is_last)


class _Scanner:
    """Where in the document the scan is; `depth` counts open brackets, and an element opens the third."""

    def __init__(self, first_offset: int, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._offset = first_offset
        self._structure = _Structure()
        self._depth = 0
        self._state: Literal["outside", "between", "element", "lost"] = "outside"
        self._held = bytearray()
        self._held_from = first_offset
        self._n_left_out = 0
        self._header = bytearray()
        self._first_offset = first_offset
        self._is_list = False

    def take(self, chunk: bytes, pending: deque[bytes]) -> Iterator[Piece]:
        """Scan one chunk; what is left of it when the scan begins anew is pending."""
        if self._state == "lost":
            yield from self._search(chunk, pending)
            return
        if not self._depth and not self._header and chunk.lstrip()[:1] == b"[":
            n_before = len(chunk) - len(chunk.lstrip()) + 1
            self._offset, chunk = self._offset + n_before, chunk[n_before:]
            self._depth, self._is_list = 2, True
            self._begin("between", 0)
        places, steps = self._structure.brackets(chunk)
        depths = self._depth + np.cumsum(steps)
        is_border = np.where(steps > 0, depths <= 3, depths <= 2)
        begin = 0
        for place, depth, step in zip(
            places[is_border].tolist(), depths[is_border].tolist(), steps[is_border].tolist(), strict=True
        ):
            piece, begin = self._at_border(chunk, begin, place, depth, step)
            if piece:
                yield piece
            if self._is_lost():
                self._offset += place
                pending.appendleft(chunk[place:])
                return
        if depths.size:
            self._depth = int(depths[-1])
        self._hold(chunk[begin:], begin)
        self._offset += len(chunk)
        yield from self._given_up()

    def _at_border(
        self, chunk: bytes, begin: int, place: int, depth: int, step: int
    ) -> tuple[Piece | None, int]:
        """What ends at a bracket, and where the next begins."""
        if self._state == "outside":
            is_array = depth == 2 and step > 0 and chunk[place] == ord("[")
            if is_array and _ENTRY_KEY.search(
                bytes(self._header[-_KEY_BYTES:]) + chunk[max(begin, place - _KEY_BYTES) : place]
            ):
                self._hold(chunk[begin : place + 1], begin)
                self._begin("between", place + 1)
                return None, place + 1
            return None, begin
        if self._state == "element":
            if step < 0 and depth == 2:
                self._hold(chunk[begin : place + 1], begin)
                return self._ended("element", "between", place + 1), place + 1
            return None, begin
        self._hold(chunk[begin:place], begin)
        if step > 0:
            return self._ended("broken", "element", place), place
        is_end = chunk[place] == ord("]") and not (self._is_list and depth > 1)
        return self._ended("broken", "outside" if is_end else "lost", place), place

    def _is_lost(self) -> bool:
        return self._state == "lost"

    def _hold(self, content: bytes, begin: int) -> None:
        """Keep bytes of what the scan is in, as many as are allowed."""
        held = self._header if self._state == "outside" else self._held
        if self._n_left_out or len(held) + len(content) > 2 * self._most_bytes:
            self._n_left_out += len(content)
        else:
            held += content

    def _begin(self, state: Literal["outside", "between", "element", "lost"], place: int) -> None:
        self._state, self._held, self._n_left_out = state, bytearray(), 0
        self._held_from = self._offset + place

    def _ended(
        self,
        kind: Literal["element", "broken"],
        state: Literal["outside", "between", "element", "lost"],
        place: int,
    ) -> Piece | None:
        """What was held as a piece, if it is more than commas; the next state begins."""
        is_too_large = bool(self._n_left_out) or len(self._held) > self._most_bytes
        content = b"" if is_too_large else bytes(self._held)
        is_something = is_too_large or bool(content.strip(_TRIFLES if kind == "broken" else b" "))
        piece = Piece(kind, self._held_from, content, is_too_large) if is_something else None
        self._begin(state, place)
        return piece

    def _given_up(self) -> Iterator[Piece]:
        """An element beyond all bounds, perhaps for want of a quotation mark: entries are sought in it."""
        held = self._header if self._state == "outside" else self._held
        is_searched = self._state in ("outside", "element") and not self._n_left_out
        if is_searched and len(held) > self._most_bytes and _NEXT_ENTRY.search(held):
            begins = self._first_offset if self._state == "outside" else self._held_from
            yield Piece("broken", begins, bytes(held))
            held.clear()
            self._begin("lost", 0)

    def _search(self, chunk: bytes, pending: deque[bytes]) -> Iterator[Piece]:
        """Seek the next entry; what lies before it is broken."""
        self._held += chunk
        match = _NEXT_ENTRY.search(self._held)
        if match is None:
            self._offset += len(chunk)
            if len(self._held) > self._most_bytes:
                yield Piece("broken", self._held_from, bytes(self._held))
                self._begin("lost", 0)
            return
        if bytes(self._held[: match.start()]).strip(_TRIFLES):
            yield Piece("broken", self._held_from, bytes(self._held[: match.start()]))
        rest = bytes(self._held[match.end() :])
        self._offset = self._held_from + match.end()
        self._structure = _Structure()
        self._depth = 2
        self._begin("between", 0)
        pending.appendleft(rest)

    def end(self) -> Iterator[Piece]:
        """What is left at the end of the document: what was cut off, and the header."""
        if self._state != "outside":
            piece = self._ended("broken", "outside", 0)
            if piece:
                yield replace(piece, is_last=True)
        is_too_large = len(self._header) > self._most_bytes
        yield Piece("header", self._first_offset, b"" if is_too_large else bytes(self._header), is_too_large)
