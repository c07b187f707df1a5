"""Of several codings the preferred one makes the code, the others are kept; words alone are free text."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.projection.codings import NOTHING, Concept, ConceptReader, bare_codes

ICD10_NO = "urn:oid:2.16.578.1.12.4.1.1.7110"
SCT = "http://snomed.info/sct"
LOINC = "http://loinc.org"


def read(concept: Any, **preferred: tuple[str, ...]) -> Concept:
    options = FhirOptions(preferred_systems=preferred)
    (found,) = ConceptReader("Condition", options).read([concept])
    return found


SEPSIS = {
    "coding": [
        {"system": SCT, "code": "91302008", "display": "Sepsis"},
        {"system": ICD10_NO, "code": "a419", "display": "Uspesifisert sepsis"},
    ]
}


def test_the_first_preferred_system_that_is_there_makes_the_code() -> None:
    found = read(SEPSIS, Condition=("ICPC2", "ICD10-NO", "SCT"))
    # written as ICD-10 prints it; what was sent otherwise comes first among the alternates
    assert found.code == "ICD10-NO//A41.9"
    assert found.display == "Uspesifisert sepsis"
    assert found.alternates == f"{ICD10_NO}|a419; SCT//91302008"
    assert (found.system, found.bare) == ("ICD10-NO", "A41.9")


def test_a_type_without_preferences_of_its_own_has_those_of_all() -> None:
    assert read(SEPSIS, **{"*": ("ICD10-NO",)}).code == "ICD10-NO//A41.9"
    assert read(SEPSIS, **{"*": ("ICD10-NO",), "Condition": ("SCT",)}).code == "SCT//91302008"


def test_without_a_preference_the_one_that_a_user_chose_goes_first_then_one_with_a_system() -> None:
    chosen = {
        "coding": [{"system": SCT, "code": "1"}, {"system": LOINC, "code": "2-1", "userSelected": True}]
    }
    assert read(chosen).code == "LOINC//2-1"
    local = {"coding": [{"code": "KREA"}, {"system": LOINC, "code": "14682-9"}]}
    assert read(local).code == "LOINC//14682-9"
    assert read(local).alternates == "NO-SYSTEM//KREA"


def test_an_unknown_system_keeps_its_address_beside_the_name_that_is_made_of_it() -> None:
    found = read({"coding": [{"system": "http://lab.example.org/codes", "code": "K1"}]})
    assert found.code == "lab.example.org/codes//K1"
    assert found.alternates == "http://lab.example.org/codes|K1"


def test_words_alone_are_free_text_under_a_code_that_says_so() -> None:
    assert read({"text": "vondt i magen"}) == Concept(code="FHIR_TEXT//Condition", note="vondt i magen")
    only_display = {"coding": [{"system": SCT, "display": "Sepsis"}]}
    assert read(only_display) == Concept(code="FHIR_TEXT//Condition", note="Sepsis")


def test_text_beside_a_code_is_not_kept() -> None:
    assert read({**SEPSIS, "text": "Kari sa at hun var syk"}).note is None


@pytest.mark.parametrize("empty", [None, {}, {"coding": []}, {"coding": [{"system": SCT}]}])
def test_nothing_said_is_no_code(empty: Any) -> None:
    assert read(empty) == NOTHING


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "sepsis",
        {"coding": {"system": SCT, "code": "1"}},
        {"coding": "1"},
        {"coding": [None]},
        {"coding": [{"system": SCT, "code": 91302008}]},
        {"coding": [{"system": 1, "code": "1"}]},
        {"coding": [{"system": SCT, "code": "1", "display": ["x"]}]},
        {"coding": [{"system": SCT, "code": "1", "userSelected": "yes"}, {"code": "2"}]},
        {"text": 5},
    ],
)
def test_another_json_type_is_an_error(wrong: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        read(wrong)


def test_bare_codes_are_those_of_all_codings() -> None:
    concepts = [{"coding": [{"code": "laboratory"}, {"code": "LAB"}]}, {"text": "annet"}]
    assert bare_codes(concepts) == ("laboratory", "LAB")
    with pytest.raises(TypeError):
        bare_codes([{"coding": {"code": "laboratory"}}])
    with pytest.raises(TypeError):
        bare_codes([{"coding": [{"code": 1}]}])
