"""Codes between two codes of a system, by the way in which they are written."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable

from ontology.systems import parts

_BEHIND_ALL = "\U0010ffff"


class CodeRanges:
    """Finds the codes that a code or a range of codes spans; what has a hyphen itself is never found."""

    def __init__(self, concepts: Iterable[str]) -> None:
        """Concepts `SYSTEM//code` in any order."""
        table: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for concept in concepts:
            system, code = parts(concept)
            if "-" not in code:
                table[system].append((_bare(code), concept))
        self._table = {system: sorted(rows) for system, rows in table.items()}

    @property
    def systems(self) -> frozenset[str]:
        """The systems of these concepts."""
        return frozenset(self._table)

    def between(self, first: str, last: str) -> list[str]:
        """Concepts written like the first, like the last, between them, or as a continuation of one of these.

        Args:
            first: `SYSTEM//code`.
            last: a code of the same system, which may be the first itself.

        Returns:
            In the order of their codes without dots; a code whose letters and digits stand otherwise than in
            the first (chapter VII between V01 and X59) is not among them.
        """
        system, _, code = first.partition("//")
        low, high = _bare(code), _bare(last.partition("//")[2])
        rows = self._table.get(system, [])
        span = rows[bisect_left(rows, (low, "")) : bisect_right(rows, (high + _BEHIND_ALL, ""))]
        form = _form(low)
        return [concept for bare, concept in span if _form(bare[: len(low)]) == form]


def range_ends(concept: str) -> tuple[str, str] | None:
    """First and last concept of `SYSTEM//A-B` or `SYSTEM//A-SYSTEM//B`; None where that is no range.

    A range's ends are written alike: LOINC//1988-5 is none.
    """
    system, _, code = concept.partition("//")
    first, _, last = code.replace(f"-{system}//", "-").partition("-")
    if last and _form(_bare(first)) == _form(_bare(last)):
        return f"{system}//{first}", f"{system}//{last}"
    return None


def _bare(code: str) -> str:
    return code.replace(".", "").upper()


def _form(code: str) -> str:
    """Letters as A and digits as 0."""
    return re.sub(r"[A-Z]", "A", re.sub(r"\d", "0", code))
