"""FHIR R4 and R5 terminology resources as JSON: any CodeSystem, any ConceptMap."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ontology.codesystems.code_tables import read_text
from ontology.codesystems.fhir_concepts import LABELS, FoundConcepts, system_of
from ontology.codesystems.list_columns import table_of
from ontology.concepts import CONCEPTS, EDGES, MAPPINGS, PROPERTIES, CodeSystem, concept_rows
from ontology.errors import InputError, Problem
from ontology.systems import SYSTEMS

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


def read_code_system(path: Path, system: str | None = None, language: str | None = None) -> CodeSystem:
    """One CodeSystem.

    Args:
        path: JSON of a CodeSystem, R4 or R5.
        system: the name before `//`; None takes the name that ontology.systems has for its address or for one
            of its identifiers.
        language: of the displays, where the resource does not tell it; None takes the system's own.

    Returns:
        Concepts with display and designations by language (further ones of a language are the property
        `synonym`); edges from nesting and from the properties parent, child and subsumedBy; flags abstract
        (notSelectable) and inactive (inactive, or status retired); validity from effectiveDate and
        retirementDate; every other property, the definition as `definition`.

    Raises:
        InputError: no CodeSystem or one without codes, an address without a name, concepts without a code,
            codes that occur twice, parents that do not exist: all with the place in the file.
    """
    resource = _resource(path, "CodeSystem")
    addresses = [resource.get("url"), *(one.get("value") for one in resource.get("identifier", []))]
    name = system or next(filter(None, map(system_of, addresses)), None)
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
    if resource.get("content") == "not-present":
        allowed = "content: complete, fragment or example"
        told = Problem("the resource holds no codes", str(path), "content: not-present", allowed)
        raise InputError(told)
    if not resource.get("language"):
        known = SYSTEMS.get(name)
        resource["language"] = language or (known.language if known else None)
    found = FoundConcepts(name, str(path), resource)
    found.walk(resource.get("concept", []), "concept", None)
    found.end()
    rows = pl.DataFrame(found.labels, LABELS, orient="row")
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
