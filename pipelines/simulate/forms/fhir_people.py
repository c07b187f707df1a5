"""FHIR resources of those who are treated and where: Patient (no-basis), Organization, Location."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.simulate.forms import fhir_codes as codes
from pipelines.simulate.forms.persons import names, national_numbers, organisation_number

GENDERS = {1: "male", 2: "female"}
MUNICIPALITY_EXTENSION = "http://hl7.no/fhir/StructureDefinition/no-basis-municipalitycode"
PROFILE = "http://hl7.no/fhir/StructureDefinition/no-basis-Patient"
"""**Source:** HL7 Norway, no-basis 2.2."""


def hospitals(tables: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """The id of each hospital's Organization, by the hospital's name."""
    found = tables["contacts"]["sykehus"].unique().sort().to_list()
    return {name: f"sykehus-{place}" for place, name in enumerate(found, start=1)}


def units(tables: Mapping[str, pl.DataFrame]) -> dict[tuple[str, str], str]:
    """The id of each unit's Location, by the names of hospital and unit."""
    place = hospitals(tables)
    pairs = tables["contacts"].select("sykehus", "enhet").unique().sort("sykehus", "enhet")
    return {(hospital, unit): f"{place[hospital]}-{unit}" for hospital, unit in pairs.iter_rows()}


def organizations(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Organization a hospital."""
    for place, (name, key) in enumerate(hospitals(tables).items()):
        yield {
            "resourceType": "Organization",
            "id": key,
            "identifier": [codes.identifier(codes.ORGANISATION_NUMBER, organisation_number(place))],
            "active": True,
            "name": name,
        }


def locations(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Location a unit."""
    organization = hospitals(tables)
    for (hospital, unit), key in units(tables).items():
        yield {
            "resourceType": "Location",
            "id": key,
            "identifier": [codes.identifier(codes.UNIT, unit)],
            "status": "active",
            "name": unit,
            "managingOrganization": codes.reference("Organization", organization[hospital]),
        }


def patients(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Patient a person, with the national number and the hospital's own."""
    people = tables["patients"].with_columns(national_numbers(tables["patients"]))
    told = people.join(tables["deaths"], on="patient_id", how="left", maintain_order="left")
    for person in codes.with_instants(told).iter_rows(named=True):
        given, family = names(person["patient_id"], person["kjonn"])
        municipality = {"system": codes.MUNICIPALITY, "code": person["kommunenummer"]}
        place = {"extension": [{"url": MUNICIPALITY_EXTENSION, "valueCoding": municipality}]}
        yield codes.without_nulls(
            {
                "resourceType": "Patient",
                "id": f"pasient-{person['patient_id']}",
                "meta": {"profile": [PROFILE]},
                "identifier": [
                    codes.identifier(codes.NATIONAL_NUMBER, person["national_number"]),
                    codes.identifier(codes.PATIENT_NUMBER, person["patient_id"]),
                ],
                "name": [{"use": "official", "family": family, "given": [given]}],
                "gender": GENDERS[person["kjonn"]],
                "birthDate": person["birth_date"],
                "deceasedDateTime": person["death_time"] or person["death_date"],
                "address": [{"use": "home", "_district": place, "country": "NO"}],
            }
        )
