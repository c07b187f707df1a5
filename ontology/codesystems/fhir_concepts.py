"""The concepts of one FHIR CodeSystem: labels, hierarchy, properties, and every fault with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from ontology.errors import InputError, Problem
from ontology.systems import SYSTEMS

NESTING = {"is-a": "is_a", "grouped-by": "placed_under", "classified-with": "placed_under", "part-of": None}
"""hierarchyMeaning -> relation of an edge; none told counts as is-a, `part-of` gives no edge but a property.

**Source:** HL7 FHIR R4 and R5, value set codesystem-hierarchy-meaning.
"""

_STANDARD = "http://hl7.org/fhir/concept-properties#"
_NOT_PROPERTIES = {
    "parent",
    "child",
    "subsumedBy",
    "notSelectable",
    "inactive",
    "effectiveDate",
    "retirementDate",
}
_IN_THE_TREE = ("parent", "child", "subsumedBy")


def system_of(url: str | None, names: Mapping[str, str] | None = None) -> str | None:
    """The name of the system that FHIR calls by an address; the version behind `|` does not count.

    Args:
        url: the address, `urn:oid:...` too.
        names: address -> name, before those of ontology.systems.
    """
    bare = (url or "").split("|")[0]
    return (names or {}).get(bare) or _ADDRESSES.get(bare)


_ADDRESSES = {address: system.name for system in SYSTEMS.values() for address in system.urls} | {
    f"urn:oid:{system.oid}": system.name for system in SYSTEMS.values() if system.oid
}

LABELS = pl.Schema(
    {
        "code": pl.String(),
        "label": pl.String(),
        "language": pl.String(),
        "valid_from": pl.Date(),
        "valid_to": pl.Date(),
        "flags": pl.List(pl.String()),
    }
)


@dataclass
class FoundConcepts:
    """What was found in one CodeSystem up to now."""

    system: str
    file: str
    resource: Mapping[str, Any]
    labels: list[tuple[Any, ...]] = field(default_factory=list)
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    properties: list[tuple[str, str, str]] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    named: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        told = self.resource.get("hierarchyMeaning", "is-a")
        self.relation = NESTING.get(told)
        if told not in NESTING:
            self.problems.append(
                Problem(
                    "an unknown meaning of the hierarchy",
                    f"{self.file}, hierarchyMeaning",
                    told,
                    ", ".join(NESTING),
                )
            )
        self.standard = {
            one.get("code"): str(one.get("uri", "")).removeprefix(_STANDARD)
            for one in self.resource.get("property", [])
            if str(one.get("uri", "")).startswith(_STANDARD)
        }

    def walk(self, concepts: list[Mapping[str, Any]], path: str, above: str | None) -> None:
        """Take up concepts and those nested in them."""
        waiting = [(concept, f"{path}[{n}]", above) for n, concept in enumerate(concepts)]
        while waiting:
            concept, where, parent = waiting.pop()
            code = concept.get("code")
            if not code:
                self.problems.append(Problem("a concept without a code", f"{self.file}, {where}"))
                continue
            if code in self.places:
                place = f"{self.file}, {where}"
                self.problems.append(
                    Problem("a code that occurs twice", place, f"{code}, also {self.places[code]}")
                )
                continue
            self.places[code] = where
            self._one(code, concept, where, parent)
            nested = concept.get("concept", [])
            waiting += [(one, f"{where}.concept[{n}]", code) for n, one in enumerate(nested)]

    def end(self) -> None:
        """Raise everything that was wrong."""
        self.problems += [
            Problem("a parent or child that does not exist", f"{self.file}, {where}", code)
            for code, where in self.named
            if code not in self.places
        ]
        if self.problems:
            raise InputError(self.problems)

    def _one(self, code: str, concept: Mapping[str, Any], where: str, parent: str | None) -> None:
        told: dict[str, list[str]] = {}
        for given in concept.get("property", []):
            name = self.standard.get(given.get("code"), given.get("code"))
            told.setdefault(name, []).append(self._value(given))
        pairs = [] if parent is None else [(code, parent)]
        for name in _IN_THE_TREE:
            self.named += [(other, where) for other in told.get(name, [])]
            pairs += [(other, code) if name == "child" else (code, other) for other in told.get(name, [])]
        for child, above in pairs:
            ends = self._concept(child), self._concept(above)
            if self.relation is None:
                self.properties.append((ends[0], "part_of", ends[1]))
            else:
                self.edges.append((*ends, self.relation))
        self._labels(code, concept, told)
        told.setdefault("definition", []).extend([concept["definition"]] if concept.get("definition") else [])
        self.properties += [
            (self._concept(code), name, value)
            for name, values in told.items()
            if name not in _NOT_PROPERTIES
            for value in values
        ]

    def _labels(self, code: str, concept: Mapping[str, Any], told: dict[str, list[str]]) -> None:
        own = self.resource.get("language")
        texts: dict[str | None, str] = {own: concept["display"]} if concept.get("display") else {}
        for given in concept.get("designation", []):
            language = given.get("language", own)
            if texts.setdefault(language, given["value"]) != given["value"]:
                told.setdefault("synonym", []).append(given["value"])
        flags = ["abstract"] if told.get("notSelectable") == ["true"] else []
        if told.get("inactive") == ["true"] or told.get("status") in (["retired"], ["inactive"]):
            flags.append("inactive")
        days = [_day(told.get(name, [""])[0]) for name in ("effectiveDate", "retirementDate")]
        rows = texts.items() or [(None, None)]
        self.labels += [(code, text, language, *days, flags) for language, text in rows]

    def _value(self, given: Mapping[str, Any]) -> str:
        value = next((value for key, value in given.items() if key.startswith("value")), "")
        if isinstance(value, dict):
            name = system_of(value.get("system")) or value.get("system")
            return f"{name}//{value.get('code')}" if name else str(value.get("code"))
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _concept(self, code: str) -> str:
        return f"{self.system}//{code}"


def _day(text: str) -> date | None:
    """The day of a dateTime; None where none, or only a year or month, is told."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
