"""Faults are those that R4 sees: hand-made resources, HL7's own examples, and the known differences."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources.fhir.elements import resource_model
from pipelines.sources.fhir.validation import DIFFERENCES, NOT_JUDGED, faults

_EXAMPLES = (
    Path(__file__).parents[6] / "shared/data/hl7-fhir-r4-examples/hl7.fhir.r4.examples-4.0.1-clinical.zip"
)
_VALUE = "Hemmelig77"
_PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "1"}
_OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "Hb"},
    "subject": {"reference": "Patient/1"},
}


def _extended(name: str, value: Any) -> dict[str, Any]:
    return {**_PATIENT, "extension": [{"url": "http://example.org/e", name: value}]}


def test_all_hl7_examples_are_without_fault() -> None:
    """HL7 publishes them as valid R4 4.0.1; each is judged, not skipped."""
    if not _EXAMPLES.exists():
        pytest.skip(f"HL7's examples are not there: {_EXAMPLES}")
    with zipfile.ZipFile(_EXAMPLES) as packed:
        names = [name for name in packed.namelist() if not name.endswith("package.json")]
        told = {name: faults(json.loads(packed.read(name))) for name in names if name.endswith(".json")}
    assert len(told) == 457
    assert {name: one for name, one in told.items() if one} == {}


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ({"id": "1"}, ["resourceType: is required"]),
        ({"resourceType": "Pasient"}, ["resourceType: R4 has no such resource type"]),
        ({"resourceType": ["Patient"]}, ["resourceType: R4 has no such resource type"]),
        ({**_OBSERVATION, "status": None}, ["Observation.status: is null or empty"]),
        (
            {"resourceType": "Observation", "code": {"text": "Hb"}},
            ["Observation.status: is required"],
        ),
        ({"resourceType": "Observation", "status": "final"}, ["Observation.code: is required"]),
        (
            {**_OBSERVATION, "valueString": "a", "valueInteger": 1},
            ["Observation: wants one of several elements, and only one"],
        ),
        (
            {
                "resourceType": "Immunization",
                "status": "completed",
                "vaccineCode": {},
                "patient": {"display": "x"},
            },
            [
                "Immunization.vaccineCode: is empty",
                "Immunization: wants one of several elements, and only one",
            ],
        ),
        ({**_OBSERVATION, "foo": 1}, ["Observation.foo: R4 has no such element"]),
        (
            {**_OBSERVATION, "Nordmann": 1, "_Nordmann": {}},
            ["Observation.(unreadable name): R4 has no such element"],
        ),
        (
            {**_OBSERVATION, f"x {_VALUE}": 1},
            ["Observation.(unreadable name): R4 has no such element"],
        ),
        (
            {**_OBSERVATION, "effectiveDateTime": f"2024-13-{_VALUE}"},
            ["Observation.effectiveDateTime: is not in the form of its type"],
        ),
        ({**_PATIENT, "birthDate": "2023-02-29"}, ["Patient.birthDate: is not in the form of its type"]),
        ({**_PATIENT, "name": {"family": _VALUE}}, ["Patient.name: is no list"]),
        ({**_PATIENT, "gender": ["male"]}, ["Patient.gender: is a list"]),
        ({**_PATIENT, "active": "true"}, ["Patient.active: is no boolean"]),
        ({**_PATIENT, "active": 1}, ["Patient.active: is no boolean"]),
        ({**_PATIENT, "name": []}, ["Patient.name: is null or empty"]),
        ({**_PATIENT, "name": [{}]}, ["Patient.name: is empty"]),
        ({**_PATIENT, "name": [_VALUE]}, ["Patient.name: is no object"]),
        ({**_PATIENT, "id": "a b"}, ["Patient.id: is not in the form of its type"]),
        ({**_PATIENT, "id": "a" * 65}, ["Patient.id: is too long"]),
        ({**_OBSERVATION, "valueInteger": True}, ["Observation.valueInteger: is no whole number"]),
        ({**_OBSERVATION, "valueInteger": 2**31}, ["Observation.valueInteger: is out of range"]),
        (
            {**_OBSERVATION, "component": [{"code": {"text": "a"}, "valueQuantity": {"value": "5"}}]},
            ["Observation.component.valueQuantity.value: is no number"],
        ),
        (
            {**_OBSERVATION, "contained": [{"resourceType": "Patient", "birthDate": "yesterday"}]},
            ["Observation.contained.Patient.birthDate: is not in the form of its type"],
        ),
        (
            {**_OBSERVATION, "contained": [{"resourceType": "Foo"}, _VALUE]},
            [
                "Observation.contained.resourceType: R4 has no such resource type",
                "Observation.contained: is no object",
            ],
        ),
        ({**_OBSERVATION, "contained": [{"id": "1"}]}, ["Observation.contained.resourceType: is required"]),
        ({**_OBSERVATION, "contained": {}}, ["Observation.contained: is null or empty"]),
    ],
)
def test_a_fault_names_the_element_and_never_the_value(resource: dict[str, Any], told: list[str]) -> None:
    """Expected by R4's definitions of the elements, by hand."""
    found = faults(resource)
    assert sorted(found) == sorted(told)
    assert _VALUE not in "".join(found)


def test_a_value_may_be_told_by_an_extension_alone() -> None:
    """json.html 2.6.2.2: lists of primitives are filled with null beside their extensions."""
    absent = {
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
        ]
    }
    assert faults({**_PATIENT, "name": [{"given": ["Kari", None], "_given": [None, absent]}]}) == []
    assert faults({"resourceType": "Observation", "code": {"text": "a"}, "_status": absent}) == []


def test_what_the_classes_refuse_and_r4_allows_is_no_fault() -> None:
    """R4 4.0.1: Extension.value[x] is open to Meta; uuid is any UUID (datatypes.html)."""
    assert faults(_extended("valueMeta", {"versionId": "1"})) == []
    assert faults(_extended("valueUuid", "urn:uuid:53fefa32-fcbb-11e8-8a92-55ee120877b7")) == []
    assert faults(_extended("valueFoo", "x")) != []
    assert faults(_extended("valueUuid", "urn:uuid:5")) != []
    element: dict[str, Any] = {
        "id": "a",
        "path": "a",
        "fixedMeta": {"versionId": "1"},
        "patternMeta": {"versionId": "1"},
    }
    definition = {
        "resourceType": "StructureDefinition",
        "url": "http://example.org/a",
        "name": "A",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "differential": {"element": [element | {"defaultValueMeta": {"versionId": "1"}}]},
    }
    assert faults(definition) == []


def test_types_that_r4b_removed_or_defines_anew_are_not_judged() -> None:
    assert {"MedicinalProduct", "Evidence", "SubstanceSpecification"} <= NOT_JUDGED
    for name in NOT_JUDGED:
        assert faults({"resourceType": name, "anything": 1}) == []
        assert (resource_model(name) is None) == (name not in {"Evidence", "EvidenceVariable"})
    assert faults({**_OBSERVATION, "contained": [{"resourceType": "MedicinalProduct", "name": "x"}]}) == []


def test_types_that_r4b_added_are_there_and_none_of_them_becomes_events() -> None:
    added = [one.where for one in DIFFERENCES if one.what == "a resource type that R4B added"]
    assert len(added) == 13
    assert all(resource_model(name) for name in added)


def test_the_known_laxities_are_still_there() -> None:
    """Whoever tightens one of them in fhir.resources is told here, and takes it off the list."""
    assert faults({**_OBSERVATION, "status": "no-such-status"}) == []
    assert faults({**_PATIENT, "gender": "no-such-gender"}) == []
    assert faults({**_OBSERVATION, "subject": {"reference": "Medication/1"}}) == []
    assert faults(_extended("valueUrl", "http://example.org/a b")) == []
    assert faults(_extended("valueBase64Binary", "@@@")) == []
    assert faults(_extended("valueRatioRange", {"denominator": {"value": 1}})) == []
    assert faults(_extended("valueCodeableReference", {"concept": {"text": "a"}})) == []
    assert faults({**_PATIENT, "text": {"status": "generated", "div": "<b"}}) == []
    for name in ("ActivityDefinition", "PlanDefinition"):
        assert (
            faults({"resourceType": name, "status": "draft", "subjectCanonical": "http://example.org/a"})
            == []
        )


def test_deep_nesting_ends_in_a_fault() -> None:
    deep: dict[str, Any] = {"url": "http://example.org/e", "valueString": "x"}
    for _ in range(400):
        deep = {"url": "http://example.org/e", "extension": [deep]}
    assert any(
        "too deep" in fault or "cannot be read" in fault
        for fault in faults({**_PATIENT, "extension": [deep]})
    )


def test_no_resource_takes_a_second() -> None:
    """Twenty thousand empty components are told in one line; the class alone would take seconds."""
    begun = time.monotonic()
    assert faults({**_OBSERVATION, "component": [{}] * 20_000}) == ["Observation.component: is empty"]
    assert time.monotonic() - begun < 1.0
