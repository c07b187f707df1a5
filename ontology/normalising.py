"""Codes as hospitals write them found among the concepts that are listed, or the nearest one above them."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import polars as pl

from ontology.systems import SYSTEMS, parts, reading, without_letters

if TYPE_CHECKING:
    from ontology.terminology import Ontology

How = Literal["exact", "respelled", "nearest_parent", "not_found"]

NORMALISED = pl.Schema({"sent": pl.String(), "concept": pl.String(), "how": pl.String()})
"""how: exact (as sent); respelled (other dots, case, spaces, letters or marks behind it); nearest_parent (no
such code is listed: the nearest that is, above it); not_found (concept is null)."""


@dataclass(frozen=True, eq=False)
class Listed:
    """The concepts that lists hold, for finding codes among them.

    Attributes:
        concepts: everything that is listed; a dictionary or a set.
    """

    concepts: Collection[str]

    @cached_property
    def systems(self) -> frozenset[str]:
        """The systems of which at least one concept is listed."""
        return frozenset({parts(concept)[0] for concept in self.concepts})

    @cached_property
    def blocks(self) -> Mapping[str, Sequence[tuple[str, str, str]]]:
        """Of each system the concepts whose code is a range: first, last and concept, the narrowest first."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        for concept in (concept for concept in self.concepts if "-" in concept):
            system, code = parts(concept)
            first, hyphen, last = code.partition("-")
            if hyphen and first and len(first) == len(last) and first <= last and system in SYSTEMS:
                found.setdefault(system, []).append((first, last, concept))
        return {system: _narrowest_first(rows) for system, rows in found.items()}

    def find(self, sent: str) -> tuple[str | None, How]:
        """The listed concept of a code, and how it was found.

        The rule: the code as sent; as its system writes it; without the letters behind it; the same code in
        the edition that the system is placed under (which counts as the same only while the own edition is
        not listed at all, and then with its letters only); the nearest shorter code by form, in the own
        edition and then in the other; for a code of its system's form, the narrowest block that holds the
        category. Without any of these it is not found.
        """
        if sent in self.concepts:
            return sent, "exact"
        return next(self._found(sent), (None, "not_found"))

    def _found(self, sent: str) -> Iterator[tuple[str, How]]:
        system, code = parts(sent)
        editions, listed = self._editions(system), self.concepts
        if not editions:
            return
        written, above, level = reading(system, code)
        cut = without_letters(system, code)
        for edition in editions:
            for like in (code, written, cut):
                if like is not None and (name := f"{edition}//{like}") in listed:
                    how: How = "exact" if like == code else "respelled"
                    is_same = edition == system or (system not in editions and like in {code, written})
                    yield name, how if is_same else "nearest_parent"
        for shorter in above:
            for edition in editions:
                if (name := f"{edition}//{shorter}") in listed:
                    yield name, "nearest_parent"
        for edition in editions if level is not None else ():
            block = self._block(edition, above[-1] if above else written)
            if block is not None:
                yield block, "nearest_parent"

    def _editions(self, system: str) -> tuple[str, ...]:
        """The system, and the one that it is placed under, where anything of them is listed."""
        if system not in self._known_editions:
            known = SYSTEMS.get(system)
            both = (system, known.placed_under) if known else ()
            self._known_editions[system] = tuple(edition for edition in both if edition in self.systems)
        return self._known_editions[system]

    def _block(self, system: str, category: str) -> str | None:
        """The narrowest block of a system that holds a category."""
        key = (system, category)
        if key not in self._known_blocks:
            ends = self._categories(system, category)
            holding = (
                concept
                for first, last, concept in self.blocks.get(system, ())
                if ends and len(first) == len(category) and first <= ends[0] and ends[-1] <= last
            )
            self._known_blocks[key] = next(holding, None)
        return self._known_blocks[key]

    def _categories(self, system: str, category: str) -> Sequence[str]:
        """The categories that one stands for: itself, or all that a Norwegian summary category sums up."""
        if not category[-1:].islower():
            return [category]
        from ontology.codesystems.icd10_no import SUMMARY_CATEGORIES

        if category in SUMMARY_CATEGORIES:
            return SUMMARY_CATEGORIES[category].split("-")
        meant = (f"{category[:-1]}{digit}" for digit in string.digits)
        return [one for one in meant if f"{system}//{one}" in self.concepts]

    @cached_property
    def _known_editions(self) -> dict[str, tuple[str, ...]]:
        return {}

    @cached_property
    def _known_blocks(self) -> dict[tuple[str, str], str | None]:
        return {}


def normalise(codes: pl.Series, ontology: Ontology) -> pl.DataFrame:
    """The listed concept of every code, and how it was found.

    Args:
        codes: `SYSTEM//code` as sent; repeated codes and nulls are told once and not at all.
        ontology: where to look; concepts that only data had do not count as listed.

    Returns:
        Columns of NORMALISED, one row for each distinct code, sorted by `sent`.
    """
    sent = codes.drop_nulls().unique().sort().to_list()
    found = [(code, *ontology.listed.find(code)) for code in sent]
    return pl.DataFrame(found, schema=NORMALISED, orient="row")


def _narrowest_first(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Ranges, those that begin last and end first before the ranges that hold them."""
    ends_first = sorted(rows, key=lambda row: (row[1], row[2]))
    return sorted(ends_first, key=lambda row: row[0], reverse=True)
