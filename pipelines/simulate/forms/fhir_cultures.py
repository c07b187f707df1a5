"""FHIR resources of blood cultures: the request, the specimen, what grew, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.simulate.forms import fhir_codes as codes

CULTURE = ("600-7", "Bacteria identified in Blood by Culture")
BLOOD = ("119297000", "Blood specimen")
SNOMED = "http://snomed.info/sct"
NO_GROWTH = "ingen vekst"


def _rows(tables: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The id and the row of each culture set."""
    for number, row in enumerate(
        codes.with_instants(tables["blood_cultures"]).iter_rows(named=True), start=1
    ):
        yield f"blodkultur-{number}", row


def requests(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One ServiceRequest a culture set, ordered when it was collected."""
    for name, row in _rows(tables):
        yield {
            "resourceType": "ServiceRequest",
            "id": name,
            "status": "completed" if row["result"] else "active",
            "intent": "order",
            "code": codes.coding(codes.LOINC, *CULTURE),
            "subject": codes.patient(row["patient_id"]),
            "encounter": codes.encounter(row["kontakt_id"]),
            "occurrenceDateTime": row["collected_time"],
            "authoredOn": row["collected_time"],
            "specimen": [codes.reference("Specimen", name)],
        }


def specimens(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Specimen a culture set."""
    for name, row in _rows(tables):
        yield {
            "resourceType": "Specimen",
            "id": name,
            "type": codes.coding(SNOMED, *BLOOD),
            "subject": codes.patient(row["patient_id"]),
            "request": [codes.reference("ServiceRequest", name)],
            "collection": {"collectedDateTime": row["collected_time"]},
        }


def observations(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Observation an answered culture set: the organism, or that nothing grew."""
    category = [codes.coding(f"{codes.TERMINOLOGY}/observation-category", "laboratory")]
    for name, row in _rows(tables):
        if row["result"]:
            grown = row["organism"] or NO_GROWTH
            yield {
                "resourceType": "Observation",
                "id": name,
                "basedOn": [codes.reference("ServiceRequest", name)],
                "status": "final",
                "category": category,
                "code": codes.coding(codes.LOINC, *CULTURE),
                "subject": codes.patient(row["patient_id"]),
                "encounter": codes.encounter(row["kontakt_id"]),
                "effectiveDateTime": row["collected_time"],
                "issued": row["answered_time"],
                "valueCodeableConcept": codes.coding(codes.MICROBE, grown, grown),
                "specimen": codes.reference("Specimen", name),
            }


def reports(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One DiagnosticReport an answered culture set."""
    for name, row in _rows(tables):
        if row["result"]:
            yield {
                "resourceType": "DiagnosticReport",
                "id": name,
                "basedOn": [codes.reference("ServiceRequest", name)],
                "status": "final",
                "code": codes.coding(codes.LOINC, *CULTURE),
                "subject": codes.patient(row["patient_id"]),
                "encounter": codes.encounter(row["kontakt_id"]),
                "effectiveDateTime": row["collected_time"],
                "issued": row["answered_time"],
                "specimen": [codes.reference("Specimen", name)],
                "result": [codes.reference("Observation", name)],
            }
