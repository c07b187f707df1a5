"""CodeSystems and ConceptMaps of R4 and R5 come in whole, or with every fault and its place."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ontology.codesystems.fhir import read_code_system, read_concept_map
from ontology.codesystems.fhir_concepts import system_of
from ontology.errors import InputError

CONCEPTS = [
    {
        "code": "A",
        "display": "Infections",
        "property": [{"code": "abstract", "valueBoolean": True}],
        "concept": [
            {
                "code": "A1",
                "display": "Sepsis",
                "definition": "Made for this test.",
                "designation": [
                    {"language": "nb", "value": "Blodforgiftning"},
                    {"language": "nb", "value": "Sepsis (nb)"},
                ],
                "property": [
                    {"code": "effectiveDate", "valueDateTime": "2020-01-01T00:00:00Z"},
                    {"code": "ward", "valueCoding": {"system": "http://loinc.org", "code": "8480-6"}},
                    {"code": "weight", "valueDecimal": 1.5},
                ],
            },
        ],
    },
    {
        "code": "B",
        "display": "Old",
        "property": [
            {"code": "status", "valueCode": "retired"},
            {"code": "parent", "valueCode": "A"},
            {"code": "retirementDate", "valueDateTime": "2022-12-31"},
        ],
    },
]


def resource(folder: Path, **changes: Any) -> Path:
    content = {
        "resourceType": "CodeSystem",
        "url": "urn:example",
        "language": "en",
        "content": "complete",
        "property": [{"code": "abstract", "uri": "http://hl7.org/fhir/concept-properties#notSelectable"}],
        "concept": CONCEPTS,
    }
    file = folder / "resource.json"
    file.write_text(json.dumps(content | changes), "utf-8")
    return file


def test_names_languages_flags_and_days(tmp_path: Path) -> None:
    found = read_code_system(resource(tmp_path), "MINE").concepts
    rows = found.select("concept", "label", "language", "valid_from", "valid_to", "flags").rows()
    assert rows == [
        ("MINE//A", "Infections", "en", None, None, ["abstract"]),
        ("MINE//A1", "Blodforgiftning", "nb", date(2020, 1, 1), None, []),
        ("MINE//A1", "Sepsis", "en", date(2020, 1, 1), None, []),
        ("MINE//B", "Old", "en", None, date(2022, 12, 31), ["inactive"]),
    ]


def test_nesting_and_parent_properties_are_edges(tmp_path: Path) -> None:
    edges = read_code_system(resource(tmp_path), "MINE").edges
    assert edges.rows() == [("MINE//A1", "MINE//A", "is_a"), ("MINE//B", "MINE//A", "is_a")]


def test_grouping_is_no_subsumption_and_parts_are_no_kinds(tmp_path: Path) -> None:
    nested = CONCEPTS[:1]
    grouped = read_code_system(resource(tmp_path, hierarchyMeaning="grouped-by", concept=nested), "MINE")
    assert grouped.edges.rows() == [("MINE//A1", "MINE//A", "placed_under")]
    parts = read_code_system(resource(tmp_path, hierarchyMeaning="part-of", concept=nested), "MINE")
    assert parts.edges.is_empty()
    assert ("MINE//A1", "part_of", "MINE//A") in parts.properties.rows()
    whole = read_code_system(resource(tmp_path, hierarchyMeaning="part-of"), "MINE")
    assert whole.edges.is_empty()
    assert ("MINE//B", "part_of", "MINE//A") in whole.properties.rows()
    with pytest.raises(InputError, match="meaning of the hierarchy"):
        read_code_system(resource(tmp_path, hierarchyMeaning="made-up"), "MINE")


def test_other_properties_are_kept(tmp_path: Path) -> None:
    assert read_code_system(resource(tmp_path), "MINE").properties.rows() == [
        ("MINE//A1", "definition", "Made for this test."),
        ("MINE//A1", "synonym", "Sepsis (nb)"),
        ("MINE//A1", "ward", "LOINC//8480-6"),
        ("MINE//A1", "weight", "1.5"),
        ("MINE//B", "status", "retired"),
    ]


def test_an_address_gives_the_name() -> None:
    assert system_of("http://snomed.info/sct|2025") == "SCT"
    assert system_of("urn:oid:2.16.578.1.12.4.1.1.7210") == "NCSP"
    assert system_of("urn:example") is None
    assert system_of("urn:example", {"urn:example": "MINE"}) == "MINE"


def test_a_resource_as_the_norwegian_directorate_publishes_them(tmp_path: Path) -> None:
    """An address of its own, an object identifier beside it, no language: as in HL7Norway/kodeverk."""
    identifier = [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.16.578.1.12.4.1.1.7270"}]
    own: dict[str, Any] = {
        "url": "http://ehelse.no/fhir/CodeSystem/no-kodeverk-7270-ncrp",
        "identifier": identifier,
        "language": None,
    }
    concepts = [{"code": "FPK56A", "display": "x"}]
    found = read_code_system(resource(tmp_path, **own, concept=concepts))
    assert found.concepts.select("concept", "language").rows() == [("NCRP//FPK56A", "nb")]
    with pytest.raises(InputError, match="holds no codes"):
        read_code_system(resource(tmp_path, **own, content="not-present", concept=[]))


def test_every_fault_of_a_code_system_is_told_with_its_place(tmp_path: Path) -> None:
    wrong = [
        {"code": "A", "concept": [{"display": "no code"}, {"code": "A"}]},
        {"code": "C", "property": [{"code": "parent", "valueCode": "Z"}]},
    ]
    with pytest.raises(InputError) as caught:
        read_code_system(resource(tmp_path, concept=wrong), "MINE")
    assert {(problem.what, problem.where.rsplit(", ", 1)[1]) for problem in caught.value.problems} == {
        ("a concept without a code", "concept[0].concept[0]"),
        ("a code that occurs twice", "concept[0].concept[1]"),
        ("a parent or child that does not exist", "concept[1]"),
    }


@pytest.mark.parametrize("text", ["{", "[]", '{"resourceType": "ValueSet"}'])
def test_what_is_no_code_system_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError):
        read_code_system(file, "MINE")


def test_a_system_without_a_name_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give its name"):
        read_code_system(resource(tmp_path))


def concept_map(folder: Path, key: str, told: list[str]) -> Path:
    targets = [{"code": f"T{number}", key: word} for number, word in enumerate(told)]
    content = {
        "resourceType": "ConceptMap",
        "url": "http://example.org/map",
        "version": "3",
        "group": [
            {
                "source": "http://hl7.org/fhir/sid/icd-10",
                "target": "http://snomed.info/sct|2025",
                "element": [{"code": "A41.9", "target": targets}, {"code": "B", "noMap": True}],
            }
        ],
    }
    file = folder / "map.json"
    file.write_text(json.dumps(content), "utf-8")
    return file


@pytest.mark.parametrize(
    ("key", "told", "predicates"),
    [
        # R4: the target is wider / narrower than the source
        (
            "equivalence",
            ["equivalent", "wider", "narrower", "inexact", "unmatched"],
            "exact broad narrow related",
        ),
        (
            "equivalence",
            ["subsumes", "specializes", "relatedto", "disjoint", "equal"],
            "broad narrow related exact",
        ),
        # R5 says the same from the source's side
        (
            "relationship",
            [
                "equivalent",
                "source-is-narrower-than-target",
                "source-is-broader-than-target",
                "not-related-to",
            ],
            "exact broad narrow",
        ),
    ],
)
def test_relations_of_r4_and_r5(tmp_path: Path, key: str, told: list[str], predicates: str) -> None:
    found = read_concept_map(concept_map(tmp_path, key, told)).sort("object")
    assert found["predicate"].to_list() == [f"{word}Match" for word in predicates.split()]
    assert set(found["subject"]) == {"ICD10//A41.9"}
    assert set(found["object"].str.head(5)) == {"SCT//"}
    assert set(found["source"]) == {"http://example.org/map|3"}


def test_a_conditional_target_is_only_related(tmp_path: Path) -> None:
    file = concept_map(tmp_path, "equivalence", ["equivalent"])
    content = json.loads(file.read_text("utf-8"))
    content["group"][0]["element"][0]["target"][0]["dependsOn"] = [{"property": "age"}]
    file.write_text(json.dumps(content), "utf-8")
    assert read_concept_map(file)["predicate"].to_list() == ["relatedMatch"]


def test_every_fault_of_a_map_is_told(tmp_path: Path) -> None:
    file = concept_map(tmp_path, "equivalence", ["samesame"])
    content = json.loads(file.read_text("utf-8"))
    content["group"].append({"source": "urn:x", "target": "urn:y"})
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(InputError) as caught:
        read_concept_map(file)
    assert [problem.what for problem in caught.value.problems] == [
        "an unknown relationship",
        "a source system whose name is not known",
        "a target system whose name is not known",
    ]
