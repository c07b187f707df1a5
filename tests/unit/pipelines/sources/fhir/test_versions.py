"""Resources of other FHIR versions are told by their shape; R4 resources never are."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4b_class
from fhir.resources.STU3 import get_fhir_model_class as stu3_class
from pydantic import ValidationError

from pipelines.sources.fhir.elements import resource_model
from pipelines.sources.fhir.versions import FOREIGN_TYPES, SIGNS, declared_version, shown_sign

_WHO = {"reference": "Patient/1"}
_WHAT = {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}

_R5: list[dict[str, Any]] = [
    {"resourceType": "Encounter", "status": "completed", "class": [_WHAT]},
    {"resourceType": "Encounter", "status": "completed", "actualPeriod": {"start": "2024-01-01"}},
    {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": _WHO,
        "medication": {"concept": _WHAT},
    },
    {
        "resourceType": "MedicationAdministration",
        "status": "completed",
        "subject": _WHO,
        "medication": {"reference": {"reference": "Medication/1"}},
        "occurenceDateTime": "2024-01-01",
    },
    {
        "resourceType": "MedicationStatement",
        "status": "recorded",
        "subject": _WHO,
        "medication": {"concept": _WHAT},
    },
    {"resourceType": "Procedure", "status": "completed", "subject": _WHO, "occurrenceDateTime": "2024-01-01"},
    {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": _WHO,
        "code": {"concept": _WHAT},
    },
    {"resourceType": "AllergyIntolerance", "patient": _WHO, "type": _WHAT},
    {
        "resourceType": "DocumentReference",
        "status": "current",
        "context": [{"reference": "Encounter/1"}],
        "content": [{"attachment": {"url": "http://example.org/1"}}],
    },
]
_STU3: list[dict[str, Any]] = [
    {
        "resourceType": "Condition",
        "subject": _WHO,
        "clinicalStatus": "active",
        "verificationStatus": "confirmed",
    },
    {"resourceType": "Condition", "subject": _WHO, "context": {"reference": "Encounter/1"}},
    {
        "resourceType": "Observation",
        "status": "final",
        "code": _WHAT,
        "context": {"reference": "Encounter/1"},
    },
    {
        "resourceType": "Procedure",
        "status": "completed",
        "subject": _WHO,
        "context": {"reference": "Encounter/1"},
    },
    {
        "resourceType": "Immunization",
        "status": "completed",
        "notGiven": False,
        "vaccineCode": _WHAT,
        "patient": _WHO,
        "primarySource": True,
    },
    {
        "resourceType": "AllergyIntolerance",
        "patient": _WHO,
        "clinicalStatus": "active",
        "verificationStatus": "confirmed",
    },
]


@pytest.mark.parametrize("resource", _R5, ids=lambda one: str(one["resourceType"]))
def test_r5_is_told_by_shape(resource: dict[str, Any]) -> None:
    """fhir.resources agrees that each resource is valid R5 and no valid R4B."""
    name = resource["resourceType"]
    r5_class(name).model_validate(resource)
    with pytest.raises(ValidationError):
        r4b_class(name).model_validate(resource)
    sign = shown_sign(name, resource)
    assert sign is not None
    assert sign.version == "R5"
    assert sign.reason.startswith("FHIR R5, not R4: ")


@pytest.mark.parametrize("resource", _STU3, ids=lambda one: str(one["resourceType"]))
def test_stu3_is_told_by_shape(resource: dict[str, Any]) -> None:
    """fhir.resources agrees that each resource is valid STU3 and no valid R4B."""
    name = resource["resourceType"]
    stu3_class(name).model_validate(resource)
    with pytest.raises(ValidationError):
        r4b_class(name).model_validate(resource)
    sign = shown_sign(name, resource)
    assert sign is not None
    assert sign.version == "STU3"


def test_dstu2_is_told_by_shape() -> None:
    """Elements as DSTU2 (1.0.2) has them: Encounter.class a code, Condition.patient, Observation.comments."""
    for resource in (
        {"resourceType": "Encounter", "status": "finished", "class": "inpatient"},
        {"resourceType": "Condition", "patient": _WHO, "code": _WHAT, "verificationStatus": "confirmed"},
        {"resourceType": "Observation", "status": "final", "code": _WHAT, "comments": "text"},
    ):
        sign = shown_sign(str(resource["resourceType"]), resource)
        assert sign is not None
        assert sign.version in {"DSTU2", "STU3"}


def test_no_sign_is_an_element_of_r4() -> None:
    """A sign that stands for its mere presence names no element of R4B's class of that type."""
    for name, signs in SIGNS.items():
        model = resource_model(name)
        assert model is not None
        known = {field.alias or key for key, field in model.model_fields.items()}
        assert not {sign.element for sign in signs if sign.look == "present"} & known


def test_types_of_other_versions_are_none_of_r4() -> None:
    assert not [name for name in FOREIGN_TYPES if resource_model(name)]


def test_a_declared_version_is_read_where_fhir_says_it() -> None:
    assert declared_version({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}) == "R4"
    assert (
        declared_version({"meta": {"profile": ["http://hl7.org/fhir/5.0/StructureDefinition/Patient"]}})
        == "R5"
    )
    assert (
        declared_version({"meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Patient|4.3.0"]}})
        == "R4B"
    )
    assert (
        declared_version({"meta": {"profile": ["http://hl7.no/fhir/StructureDefinition/no-basis-Patient"]}})
        is None
    )
    assert declared_version({"meta": {"profile": "x"}, "fhirVersion": 4}) is None
    assert declared_version({"fhirVersion": "four"}) is None
