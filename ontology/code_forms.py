"""Forms of codes: where the dot stands, which shorter codes stand above, what each length is called."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

Spelling = Callable[[str], str]
"""How a system writes the letters of a code."""

Stops = Callable[[str], tuple[int, ...]]
"""The lengths at which a beginning of a code, without dots, is a code of its system, nearest first."""


@dataclass(frozen=True)
class ByLength:
    """What the codes of a form are called, by how long they are.

    Attributes:
        names: of some lengths, without dots.
        beyond: of every other length.
    """

    names: Mapping[int, str]
    beyond: str

    def __call__(self, bare: str) -> str:
        """The name for a code without dots."""
        return self.names.get(len(bare), self.beyond)

    @property
    def all(self) -> tuple[str, ...]:
        """Every name that there is."""
        return (*self.names.values(), self.beyond)


@dataclass(frozen=True)
class ByLetters:
    """A letter is a chapter, more letters are a group, with a number it is a procedure."""

    all: tuple[str, ...] = ("chapter", "group", "procedure")

    def __call__(self, bare: str) -> str:
        """The name for a code."""
        if any(map(str.isdigit, bare)):
            return "procedure"
        return "chapter" if len(bare) == 1 else "group"


@dataclass(frozen=True)
class Form:
    """One form of code, without dots.

    Attributes:
        pattern: what such codes look like, as a full match.
        stops: the lengths at which a shorter beginning of the code is itself a code, nearest first.
        dot_after: behind how many characters the dot stands; None = no dot.
        level: what a code of this form is called.
    """

    pattern: str
    stops: Stops
    dot_after: int | None
    level: ByLength | ByLetters

    @cached_property
    def _matcher(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.ASCII)

    def fits(self, bare: str) -> bool:
        """Whether a code without dots has this form."""
        return self._matcher.fullmatch(bare) is not None

    def dotted(self, bare: str) -> str:
        """The code with its dot."""
        if self.dot_after is None or len(bare) <= self.dot_after:
            return bare
        return f"{bare[: self.dot_after]}.{bare[self.dot_after :]}"

    def above(self, bare: str) -> tuple[str, ...]:
        """The codes above one without dots, with their dots, nearest first."""
        return tuple([self.dotted(bare[:length]) for length in self.stops(bare)])


def stops(*lengths: int) -> Stops:
    """The same lengths for every code."""
    longest = lengths[-1] + 1
    below = [tuple(n for n in reversed(lengths) if n < length) for length in range(longest + 1)]
    return lambda bare: below[min(len(bare), longest)]


def letters_then_number(bare: str) -> tuple[int, ...]:
    """One stop for each letter that a code begins with: JKE, JK, J above JKE00; JK and J above JKE."""
    n_letters = len(bare) - len(bare.lstrip(string.ascii_uppercase))
    return tuple(range(min(n_letters, len(bare) - 1), 0, -1))


def upper(bare: str) -> str:
    """All letters large."""
    return bare.upper()


def lower_tail(bare: str) -> str:
    """The first letter large, the others small, as in the Norwegian V0n0a; what has no digit (XIV) large."""
    return bare[:1].upper() + bare[1:].lower() if any(map(str.isdigit, bare)) else bare.upper()
