"""FHIR resources of what was measured and given: laboratory results, vital signs, doses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import polars as pl

from pipelines.simulate.forms import fhir_codes as codes

SIGNS = {
    "heart_rate": ("8867-4", "Heart rate", "1/min"),
    "respiratory_rate": ("9279-1", "Respiratory rate", "1/min"),
    "spo2": ("59408-5", "Oxygen saturation by pulse oximetry", "%"),
    "temperature": ("8310-5", "Body temperature", "Cel"),
    "oxygen_flow": ("3151-8", "Inhaled oxygen flow rate", "L/min"),
}
PRESSURES = {
    "systolic_bp": ("8480-6", "Systolic blood pressure"),
    "diastolic_bp": ("8462-4", "Diastolic blood pressure"),
}
PRESSURE_PANEL = ("85354-9", "Blood pressure panel")
CONSCIOUSNESS = ("80288-4", "Level of consciousness")
ALERTNESS = {0: ("A", "Alert"), 1: ("C", "Confusion")}
"""**Source:** LOINC codes of the FHIR vital signs profile; 80288-4 and ACVPU of NEWS2 (RCP 2017)."""
_RATES = ("ug/kg/min",)


def observations(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """Laboratory results, then vital signs."""
    return chain(_results(tables["laboratory"]), _signs(tables["vital_signs"]))


def _results(laboratory: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """One Observation a result, issued when it was answered."""
    category = [codes.coding(f"{codes.TERMINOLOGY}/observation-category", "laboratory")]
    for number, row in enumerate(codes.with_instants(laboratory).iter_rows(named=True), start=1):
        yield {
            "resourceType": "Observation",
            "id": f"lab-{number}",
            "status": "final",
            "category": category,
            "code": codes.coding(codes.URLS["NLK"], row["nlk"]),
            "subject": codes.patient(row["patient_id"]),
            "encounter": codes.encounter(row["kontakt_id"]),
            "effectiveDateTime": row["sampled_time"],
            "issued": row["answered_time"],
            "valueQuantity": codes.quantity(row["value"], row["unit"]),
        }


def _signs(vital_signs: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """One Observation a sign; the blood pressures of a round are components of one."""
    category = [codes.coding(f"{codes.TERMINOLOGY}/observation-category", "vital-signs")]
    for number, row in enumerate(codes.with_instants(vital_signs).iter_rows(named=True), start=1):
        shared = {
            "resourceType": "Observation",
            "status": "final",
            "category": category,
            "subject": codes.patient(row["patient_id"]),
            "encounter": codes.encounter(row["kontakt_id"]),
            "effectiveDateTime": row["measured_time"],
        }
        for name, (code, display, unit) in SIGNS.items():
            if row[name] is not None:
                measured = {"valueQuantity": codes.quantity(row[name], unit)}
                yield _sign(shared, f"vital-{number}-{name.replace('_', '-')}", (code, display), measured)
        if any(row[name] is not None for name in PRESSURES):
            components = {"component": [_pressure(name, row[name]) for name in PRESSURES]}
            yield _sign(shared, f"vital-{number}-bp", PRESSURE_PANEL, components)
        if row["consciousness"] is not None:
            seen = codes.coding(f"{codes.OWN}/acvpu", *ALERTNESS[row["consciousness"]])
            yield _sign(
                shared, f"vital-{number}-consciousness", CONSCIOUSNESS, {"valueCodeableConcept": seen}
            )


def _sign(
    shared: dict[str, Any], name: str, code: tuple[str, str], measured: dict[str, Any]
) -> dict[str, Any]:
    return {**shared, "id": name, "code": codes.coding(codes.LOINC, *code), **measured}


def _pressure(name: str, value: int | None) -> dict[str, Any]:
    """A component of the panel; one that was not measured says so."""
    code = codes.coding(codes.LOINC, *PRESSURES[name])
    if value is None:
        unknown = codes.coding(f"{codes.TERMINOLOGY}/data-absent-reason", "not-performed")
        return {"code": code, "dataAbsentReason": unknown}
    return {"code": code, "valueQuantity": codes.quantity(value, "mmHg")}


def administrations(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One MedicationAdministration a dose; what is given by the minute is a rate."""
    for number, row in enumerate(codes.with_instants(tables["drugs"]).iter_rows(named=True), start=1):
        element = "rateQuantity" if row["dose_unit"] in _RATES else "dose"
        yield {
            "resourceType": "MedicationAdministration",
            "id": f"dose-{number}",
            "status": "completed",
            "medicationCodeableConcept": codes.coding(codes.URLS["ATC"], row["atc"]),
            "subject": codes.patient(row["patient_id"]),
            "context": codes.encounter(row["kontakt_id"]),
            "effectiveDateTime": row["given_time"],
            "dosage": {element: codes.quantity(row["dose"], row["dose_unit"])},
        }
