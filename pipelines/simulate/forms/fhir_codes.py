"""How the simulated hospital names things in FHIR: systems, codes, units, references and instants."""

from __future__ import annotations

from typing import Any

import polars as pl

from ontology.systems import SYSTEMS

NATIONAL_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.1"
ORGANISATION_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.101"
MUNICIPALITY = "urn:oid:2.16.578.1.12.4.1.1.3402"
CARE_LEVEL = "urn:oid:2.16.578.1.12.4.1.1.8406"
"""**Source:** naming systems of HL7 Norway (no-basis); 8406 is Volven's list of levels of care."""
OWN = "http://simulert-sykehus.example.org/fhir"
PATIENT_NUMBER, EPISODE, REFERRAL = (
    f"{OWN}/pasientnummer",
    f"{OWN}/npr-episode-id",
    f"{OWN}/henvisningsperiode",
)
PLACE, UNIT, CULTURE, MICROBE = f"{OWN}/sted", f"{OWN}/enhet", f"{OWN}/blodkultur", f"{OWN}/mikrobe"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
URLS = {
    "ICD10-NO": f"urn:oid:{SYSTEMS['ICD10-NO'].oid}",
    "NCSP": f"urn:oid:{SYSTEMS['NCSP'].oid}",
    "NCMP": f"urn:oid:{SYSTEMS['NCMP'].oid}",
    "NCRP": f"urn:oid:{SYSTEMS['NCRP'].oid}",
    "NLK": f"urn:oid:{SYSTEMS['NLK'].oid}",
    "ATC": SYSTEMS["ATC"].urls[0],
}
_UCUM = {
    "x 10E9/L": "10*9/L",
    "µmol/L": "umol/L",
    "µg/L": "ug/L",
    "IU": "[IU]",
    "1": "{INR}",
    "mmHg": "mm[Hg]",
    "1/min": "/min",
}
_CLOCK = "%Y-%m-%dT%H:%M:%S+01:00"


def coding(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    """A concept with one coding."""
    one = {"system": system, "code": code}
    return {"coding": [{**one, "display": display} if display else one]}


def quantity(value: float, unit: str) -> dict[str, Any]:
    """A quantity with the unit as the hospital writes it and as UCUM has it."""
    return {"value": value, "unit": unit, "system": UCUM, "code": _UCUM.get(unit, unit)}


def identifier(system: str, value: object) -> dict[str, str]:
    """An identifier."""
    return {"system": system, "value": str(value)}


def reference(kind: str, name: object) -> dict[str, str]:
    """A reference within the export."""
    return {"reference": f"{kind}/{name}"}


def patient(patient_id: int) -> dict[str, str]:
    """The reference to a patient."""
    return {"reference": f"Patient/pasient-{patient_id}"}


def encounter(contact_id: int) -> dict[str, str]:
    """The reference to a contact."""
    return {"reference": f"Encounter/kontakt-{contact_id}"}


def with_instants(table: pl.DataFrame) -> pl.DataFrame:
    """The table with its naive local times as instants at +01:00 and its dates as texts."""
    return table.with_columns(
        pl.col(pl.Datetime).dt.strftime(_CLOCK), pl.col(pl.Date).dt.strftime("%Y-%m-%d")
    )


def without_nulls(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource without elements that are null: FHIR leaves them out."""
    return {name: value for name, value in resource.items() if value is not None}
