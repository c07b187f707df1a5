"""The FHIR export of the simulated hospital: valid R4, no-basis patients, times of the hospital's clock."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fhir.resources.R4B import get_fhir_model_class

FILES = (
    "Condition", "DiagnosticReport", "Encounter", "EpisodeOfCare", "Location", "MedicationAdministration",
    "Observation", "Observation-cultures", "Organization", "Patient", "Procedure", "ServiceRequest",
    "Specimen",
)  # fmt: skip


def resources(forms: Path, name: str) -> list[dict[str, Any]]:
    lines = (forms / "fhir" / f"{name}.ndjson").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_all_types_are_written(forms: Path) -> None:
    assert sorted(file.stem for file in (forms / "fhir").iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_sample_of_every_type_is_valid_by_the_classes_of_the_specification(forms: Path, name: str) -> None:
    found = resources(forms, name)
    for resource in random.Random(1).sample(found, min(60, len(found))):
        assert resource["resourceType"] == name.split("-", maxsplit=1)[0]
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def test_references_lead_somewhere_and_ids_are_unique(forms: Path) -> None:
    everything = [resource for name in FILES for resource in resources(forms, name)]
    names = [f"{resource['resourceType']}/{resource['id']}" for resource in everything]
    assert len(set(names)) == len(names)
    known = set(names)

    def referred(element: object) -> list[str]:
        if isinstance(element, list):
            return [name for part in element for name in referred(part)]
        if isinstance(element, dict):
            own = [element["reference"]] if isinstance(element.get("reference"), str) else []
            return own + [name for part in element.values() for name in referred(part)]
        return []

    for resource in everything:
        assert set(referred(resource)) <= known


def test_patients_have_both_numbers_a_municipality_and_letters_of_the_language(
    forms: Path, patients: pl.DataFrame
) -> None:
    found = resources(forms, "Patient")
    places = dict(patients.select("patient_id", "kommunenummer").iter_rows())
    for patient in found:
        numbers = {identifier["system"]: identifier["value"] for identifier in patient["identifier"]}
        assert len(numbers["urn:oid:2.16.578.1.12.4.1.4.1"]) == 11
        own = int(numbers["http://simulert-sykehus.example.org/fhir/pasientnummer"])
        extension = patient["address"][0]["_district"]["extension"][0]
        assert extension["url"] == "http://hl7.no/fhir/StructureDefinition/no-basis-municipalitycode"
        assert extension["valueCoding"]["code"] == str(places[own])
    text = (forms / "fhir" / "Patient.ndjson").read_text("utf-8")
    assert {"æ", "ø", "å"} <= set(text)


def test_instants_are_those_of_the_extract_at_one_hour_before_universal_time(
    forms: Path, contacts: pl.DataFrame
) -> None:
    begun = dict(contacts.select("kontakt_id", "innDatoTid").iter_rows())
    for encounter in resources(forms, "Encounter"):
        key = int(encounter["identifier"][0]["value"])
        assert encounter["period"]["start"] == f"{begun[key]:%Y-%m-%dT%H:%M:%S}+01:00"


def test_units_are_ucum_beside_what_the_hospital_writes(forms: Path) -> None:
    seen = {
        (quantity["unit"], quantity["code"])
        for observation in resources(forms, "Observation")
        for part in (observation, *observation.get("component", []))
        if (quantity := part.get("valueQuantity"))
    }
    # UCUM: 10 to a power is 10*n, micro is u, mmHg is mm[Hg], degree Celsius is Cel.
    assert {("x 10E9/L", "10*9/L"), ("µmol/L", "umol/L"), ("mmHg", "mm[Hg]"), ("Cel", "Cel")} <= seen
