"""The last gate of every written text: a national number that is found in it becomes a mark.

A number is eleven digits (or twelve of a DUF number) that pass the controls of person_numbers, maybe with
blanks, hyphens, dashes, points or strokes (three at most) between day, month, year and the last three and two
digits, anywhere in a text but never inside a longer run of digits.

By chance 1.1 % of all runs of eleven digits pass: 29.2 % begin with a day and a month (birth and D-numbers,
plain or with 40, 65 or 80 added to the month), of which 4 in 121 pass the controls (one in 121 of today's,
three of 2032's), and of the 20 % that begin with 8 or 9 one in 121 does. Such a run is masked: a number may
have been written into any field, so none is trusted but two where none can stand: the digits of a text that
is a decimal number (but for a point between birth date and the rest), and the eleven digits of an NDC code.
SNOMED CT's ids need no exception: core ids have ten digits at most today, and those of eleven belong to
extensions (one digit, seven of the namespace, two, a check digit), whose namespaces begin with 1000, which
no day and month does.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import polars as pl

from pipelines.identity.person_numbers import NOTHING, are_duf, digits_of, kinds_of

MARK = "[person number]"
SHORTEST = 11
_GAP = (
    r"(?:[ \t\u00a0\u00ad\u1680\u2000-\u2015\u202f\u205f\u2060\u2212\u3000\ufeff._/+-]"
    r"|%20|%C2%A0|%2D|%2F|&nbsp;|&#160;|\\u00a0|\\t){0,3}"
)
"""Blanks, hyphens, dashes, points, strokes: as they are, and as URLs, HTML and JSON write them."""
_DIGIT = "[0-9\u0660-\u0669\u06f0-\u06f9\uff10-\uff19]"
_AS_ASCII = str.maketrans(
    "".join(chr(first + n) for first in (0x660, 0x6F0, 0xFF10) for n in range(10)), "0123456789" * 3
)
"""Digits of the Arabic scripts and of full width are digits."""


def _shapes(digit: str) -> tuple[str, str]:
    """Eleven and twelve digits with what may stand between their parts, as regular expressions."""
    eleven, twelve = (2, 2, 2, 3, 2), (4, 6, 2)
    of_parts = [_GAP.join(f"{digit}{{{length}}}" for length in parts) for parts in (eleven, twelve)]
    return of_parts[0], of_parts[1]


_ELEVEN, _TWELVE = _shapes("[0-9]")
_SCIENTIFIC = re.compile(r"([0-9])[.,]([0-9]{7,10})[eE]\+?10")
_SHAPE = "|".join((*_shapes(_DIGIT), _SCIENTIFIC.pattern))
"""Of all shapes, as a regular expression without looking around (Rust has none)."""
_FEW_DIGITS = f"{_DIGIT}{{3}}|{_SCIENTIFIC.pattern}"
"""What every number holds: it is looked for first, being found faster."""
_BEFORE = r"(?:(?<![0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
"""No digit, but those of a blank or quotation mark in a URL (%20) or JSON (\\u0020)."""
_PLACES = re.compile(f"{_BEFORE}(?:(?=({_TWELVE})(?![0-9]))|(?=({_ELEVEN})(?![0-9])))")
_ENTITIES = re.compile(r"%20|%C2%A0|%2D|%2F|&#160;|\\u00a0")
_NOT_DIGITS = re.compile("[^0-9]")
_DECIMAL = re.compile(r"[+-]?[0-9]*\.([0-9]+)(?:[eE][+-]?[0-9]+)?")
_AFTER_DATE = re.compile(r"[0-9]{6}\.[0-9]{5}")
_ELEVEN_DIGIT_CODES = ("NDC//", "http://hl7.org/fhir/sid/ndc|")
"""Systems whose codes have eleven digits.

**Source:** U.S. FDA, National Drug Code; written without hyphens it is 5 + 4 + 2 digits.
"""


def scrub_text(text: str) -> str:
    """The text with every national number in it replaced by the mark."""
    return _scrubbed([text]).get(text, text) if len(text) >= SHORTEST else text


def _scrubbed(texts: Iterable[str]) -> dict[str, str]:
    """Of these texts those that hold numbers, and what becomes of them."""
    found = [(text, start, end) for text in texts for start, end in _candidates(text)]
    bare = [_digits_of(text[start:end]) for text, start, end in found]
    are_numbers = _are_numbers(bare)
    spans: dict[str, list[tuple[int, int]]] = {}
    for (text, start, end), is_number in zip(found, are_numbers, strict=True):
        if is_number and (text not in spans or spans[text][-1][1] <= start):
            spans.setdefault(text, []).append((start, end))
    return {text: _with_marks(text, places) for text, places in spans.items()}


def _digits_of(text: str) -> str:
    """The digits of a text of one of the shapes."""
    scientific = _SCIENTIFIC.fullmatch(text)
    if scientific:
        return scientific[1] + scientific[2].ljust(SHORTEST - 1, "0")
    return _NOT_DIGITS.sub("", _ENTITIES.sub("", text.translate(_AS_ASCII)))


def _candidates(text: str) -> list[tuple[int, int]]:
    """Where digits of the right shape stand, all shapes at each place."""
    text = text.translate(_AS_ASCII)
    places = [(0, len(text))] if _SCIENTIFIC.fullmatch(text) else []
    decimal = _DECIMAL.fullmatch(text)
    for match in _PLACES.finditer(text):
        start, end = match.span(1) if match[1] is not None else match.span(2)
        is_code = text.startswith(_ELEVEN_DIGIT_CODES, 0, start) and text[:start] in _ELEVEN_DIGIT_CODES
        if not is_code and not (decimal and _is_of_a_decimal(text[start:end], start, decimal.start(1))):
            places.append((start, end))
    return places


def _is_of_a_decimal(digits: str, start: int, point: int) -> bool:
    """Whether digits of a decimal number are but that: behind its point, or around it but after a date."""
    return start >= point or ("." in digits and not _AFTER_DATE.fullmatch(digits))


def _are_numbers(bare: list[str]) -> list[bool]:
    """Which texts of eleven or twelve digits are numbers."""
    verdicts = dict.fromkeys(bare, False)
    for length in (11, 12):
        numbers = [number for number in verdicts if len(number) == length]
        if numbers:
            digits = digits_of(numbers, length)
            passed = kinds_of(digits) != NOTHING if length == SHORTEST else are_duf(digits)
            verdicts.update(zip(numbers, passed.tolist(), strict=True))
    return [verdicts[number] for number in bare]


def _with_marks(text: str, places: list[tuple[int, int]]) -> str:
    for start, end in reversed(places):
        text = text[:start] + MARK + text[end:]
    return text


class ScrubbedLogs(logging.Filter):
    """Masks national numbers in log lines; add it to the handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass, without numbers."""
        record.msg, record.args = scrub_text(record.getMessage()), ()
        return True


class Gate:
    """Masks national numbers in whatever is about to be written, and counts the cells where it found any.

    Attributes:
        counts: cells masked, by column; no values.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def column(self, texts: pl.Series, name: str | None = None) -> pl.Series:
        """A text column without numbers; the very same where it has none.

        Args:
            texts: String.
            name: what the count calls it; the column's name where not given.
        """
        is_long = texts.str.len_bytes() >= SHORTEST
        if not is_long.any():
            return texts
        distinct = texts.filter(is_long).unique()
        suspects = distinct.filter(distinct.str.contains(_FEW_DIGITS))
        suspects = suspects.filter(suspects.str.contains(_SHAPE))
        masked = _scrubbed(suspects.to_list()) if suspects.len() else {}
        if not masked:
            return texts
        self.counts[name or texts.name] += int(texts.is_in(list(masked)).sum())
        return texts.replace(list(masked), list(masked.values()))

    def frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame without numbers in any of its text columns."""
        for name, dtype in frame.schema.items():
            if dtype == pl.String:
                texts = frame[name]
                masked = self.column(texts)
                if masked is not texts:
                    frame = frame.with_columns(masked.alias(name))
        return frame

    def content(self, content: Any, name: str = "metadata") -> Any:
        """Parsed JSON or YAML without numbers in any text of it, keys among them."""
        if isinstance(content, str):
            text = scrub_text(content)
            self.counts[name] += int(text != content)
            return text
        if isinstance(content, dict):
            return {self.content(key, name): self.content(value, name) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self.content(value, name) for value in content]
        return content

    @property
    def found(self) -> dict[str, int]:
        """Cells masked by column, for ingest.json."""
        return {name: count for name, count in sorted(self.counts.items()) if count}
