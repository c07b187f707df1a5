"""FHIR R4 and R5 terminology resources as JSON: any CodeSystem, any ConceptMap."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ontology.codesystems.code_tables import read_text
from ontology.codesystems.list_columns import table_of
from ontology.concepts import CONCEPTS, EDGES, MAPPINGS, PROPERTIES, CodeSystem, concept_rows
from ontology.errors import InputError, Problem
from ontology.systems import SYSTEMS

NESTING = {"is-a": "is_a", "grouped-by": "placed_under", "classified-with": "placed_under", "part-of": None}
"""hierarchyMeaning -> relation of an edge; none told counts as is-a, `part-of` gives no edge but a property.

**Source:** HL7 FHIR R4 and R5, value set codesystem-hierarchy-meaning.
"""

EQUIVALENCES = {
    "equivalent": "exactMatch",
    "equal": "exactMatch",
    "wider": "broadMatch",
    "subsumes": "broadMatch",
    "source-is-narrower-than-target": "broadMatch",
    "narrower": "narrowMatch",
    "specializes": "narrowMatch",
    "source-is-broader-than-target": "narrowMatch",
    "inexact": "relatedMatch",
    "relatedto": "relatedMatch",
    "related-to": "relatedMatch",
    "unmatched": None,
    "disjoint": None,
    "not-related-to": None,
}
"""R4 equivalence or R5 relationship -> predicate; None says that there is no match and gives no row.

**Source:** HL7 FHIR R4 value set concept-map-equivalence and R5 value set concept-map-relationship, with R5's
own map between them; SKOS Reference (2009), section 10: `A broadMatch B` says that B is the wider one.
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
    known = {address: system.name for system in SYSTEMS.values() for address in system.urls}
    known |= {f"urn:oid:{system.oid}": system.name for system in SYSTEMS.values() if system.oid}
    return (dict(names or {}) | {}).get(bare) or known.get(bare)


def read_code_system(path: Path, system: str | None = None) -> CodeSystem:
    """One CodeSystem.

    Args:
        path: JSON of a CodeSystem, R4 or R5.
        system: the name before `//`; None takes the name that ontology.systems has for its address.

    Returns:
        Concepts with display and designations by language (further ones of a language are the property
        `synonym`); edges from nesting and from the properties parent, child and subsumedBy; flags abstract
        (notSelectable) and inactive (inactive, or status retired); validity from effectiveDate and
        retirementDate; every other property, the definition as `definition`.

    Raises:
        InputError: no CodeSystem, an address without a name, concepts without a code, codes that occur twice,
            parents that do not exist: all with the place in the file.
    """
    resource = _resource(path, "CodeSystem")
    name = system or system_of(resource.get("url"))
    if name is None:
        raise InputError(
            Problem(
                "a code system whose name is not known",
                str(path),
                str(resource.get("url")),
                "an address that ontology.systems lists, or a name that is given",
                "give its name",
            )
        )
    found = _Found(name, str(path), resource)
    found.walk(resource.get("concept", []), "concept", None)
    found.end()
    rows = pl.DataFrame(found.labels, _LABELS, orient="row")
    return CodeSystem(
        table_of(CONCEPTS, concept_rows(name, rows)),
        table_of(EDGES, pl.DataFrame(found.edges, EDGES, orient="row")),
        table_of(PROPERTIES, pl.DataFrame(found.properties, PROPERTIES, orient="row")),
    )


def read_concept_map(path: Path, names: Mapping[str, str] | None = None) -> pl.DataFrame:
    """One ConceptMap.

    Args:
        path: JSON of a ConceptMap, R4 (equivalence) or R5 (relationship).
        names: address -> name of systems that ontology.systems does not list.

    Returns:
        Columns of MAPPINGS; source is the map's address with version, else the file's name. A target that
        depends on something beyond the code is a relatedMatch, whatever is claimed.

    Raises:
        InputError: no ConceptMap, systems without a name, unknown relationships: all with their place.
    """
    resource = _resource(path, "ConceptMap")
    source = "|".join(filter(None, [resource.get("url"), resource.get("version")])) or path.name
    problems: list[Problem] = []
    rows: list[tuple[str, str, str, str]] = []
    for number, group in enumerate(resource.get("group", [])):
        ends = [(end, system_of(group.get(end), names)) for end in ("source", "target")]
        nameless = [
            Problem(
                f"a {end} system whose name is not known",
                f"{path}, group[{number}].{end}",
                str(group.get(end)),
                next_step="give names={address: name}",
            )
            for end, name in ends
            if name is None
        ]
        problems += nameless
        if not nameless:
            rows += _group_rows(
                group, f"{path}, group[{number}]", " ".join(str(name) for _, name in ends), source, problems
            )
    if problems:
        raise InputError(problems)
    return table_of(MAPPINGS, pl.DataFrame(rows, MAPPINGS, orient="row"))


def _group_rows(
    group: Mapping[str, Any], where: str, pair: str, source: str, problems: list[Problem]
) -> Iterator[tuple[str, str, str, str]]:
    """Rows of MAPPINGS of one group; `pair` is the two systems, joined by a space."""
    of, to = pair.split(" ")
    for number, element in enumerate(group.get("element", [])):
        for target in element.get("target", []):
            told = target.get("relationship") or target.get("equivalence") or "relatedto"
            if told not in EQUIVALENCES:
                place = f"{where}.element[{number}]"
                problems.append(Problem("an unknown relationship", place, told, ", ".join(EQUIVALENCES)))
                continue
            predicate = EQUIVALENCES[told]
            if predicate is not None and element.get("code") and target.get("code"):
                conditional = bool(target.get("dependsOn"))
                kind = "relatedMatch" if conditional else predicate
                yield f"{of}//{element['code']}", kind, f"{to}//{target['code']}", source


_LABELS = pl.Schema(
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
class _Found:
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


def _resource(path: Path, kind: str) -> dict[str, Any]:
    text = read_text(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        raise InputError(Problem("the file is not JSON", where, error.msg)) from None
    told = found.get("resourceType") if isinstance(found, dict) else type(found).__name__
    if told != kind:
        raise InputError(Problem(f"the file is no {kind}", str(path), str(told), kind, "give another file"))
    return dict(found)
