"""The last gate of every written text: a national number that is found in it becomes a mark.

A number is eleven digits (or twelve of a DUF number) that pass the controls of person_numbers, maybe with a
blank, hyphen, dash or point between day, month, year and the last five digits, anywhere in a text but never
inside a longer run of digits.

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
_GAP = "[ \u00a0\u2010-\u2013.-]?"
_ELEVEN = _GAP.join(["[0-9]{2}", "[0-9]{2}", "[0-9]{2}", "[0-9]{5}"])
_TWELVE = _GAP.join(["[0-9]{4}", "[0-9]{6}", "[0-9]{2}"])
_SHAPE = f"{_ELEVEN}|{_TWELVE}"
"""Of both shapes, as a regular expression without looking around (Rust has none)."""
_FIVE_DIGITS = "[0-9]{5}"
"""What every number holds, and few other texts: it is looked for first, being found ten times faster."""
_PLACES = re.compile(f"(?<![0-9])(?:(?=({_TWELVE})(?![0-9]))|(?=({_ELEVEN})(?![0-9])))")
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
    bare = [_NOT_DIGITS.sub("", text[start:end]) for text, start, end in found]
    are_numbers = _are_numbers(bare)
    spans: dict[str, list[tuple[int, int]]] = {}
    for (text, start, end), is_number in zip(found, are_numbers, strict=True):
        if is_number and (text not in spans or spans[text][-1][1] <= start):
            spans.setdefault(text, []).append((start, end))
    return {text: _with_marks(text, places) for text, places in spans.items()}


def _candidates(text: str) -> list[tuple[int, int]]:
    """Where digits of the right shape stand, both shapes at each place."""
    places = []
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
        suspects = distinct.filter(distinct.str.contains(_FIVE_DIGITS))
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
