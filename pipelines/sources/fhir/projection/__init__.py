"""FHIR resources as columns of tables, one family of types a file; docs/fhir.md says what each becomes."""

from __future__ import annotations

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection import (
    conditions,
    encounters,
    medications,
    observations,
    other_resources,
    patients,
    procedures,
    reports,
)
from pipelines.sources.fhir.projection.frames import FATES_TABLE, Projector

__all__ = ["FATES_TABLE", "LOOKUPS", "RESOURCE_TYPES", "SCHEMAS", "project"]

_PROJECTORS: dict[str, Projector] = {
    "AllergyIntolerance": other_resources.allergies,
    "Condition": conditions.conditions,
    "DiagnosticReport": reports.diagnostic_reports,
    "DocumentReference": reports.document_references,
    "Encounter": encounters.encounters,
    "EpisodeOfCare": encounters.episodes_of_care,
    "Flag": other_resources.flags,
    "Immunization": medications.immunizations,
    "Location": other_resources.locations,
    "Medication": medications.medications,
    "MedicationAdministration": medications.medication_administrations,
    "MedicationRequest": medications.medication_requests,
    "MedicationStatement": medications.medication_statements,
    "Observation": observations.observations,
    "Organization": other_resources.organizations,
    "Patient": patients.patients,
    "Procedure": procedures.procedures,
    "RiskAssessment": reports.risk_assessments,
    "ServiceRequest": procedures.service_requests,
    "Specimen": procedures.specimens,
}

RESOURCE_TYPES: frozenset[str] = frozenset(_PROJECTORS)
"""The types that are read; all others are ignored."""

SCHEMAS: dict[str, pl.Schema] = {
    **patients.SCHEMAS,
    **encounters.SCHEMAS,
    **conditions.SCHEMAS,
    **observations.SCHEMAS,
    **medications.SCHEMAS,
    **procedures.SCHEMAS,
    **reports.SCHEMAS,
    **other_resources.SCHEMAS,
}
"""The columns of every table, without `_row`."""

LOOKUPS: frozenset[str] = frozenset(
    {"PatientName", "PatientKey", "ContactKey", "DiagnosisKey", "ConditionCode", "MedicationCode", "PlaceKey"}
)
"""Tables that only help others."""


def project(batch: Batch) -> dict[str, pl.DataFrame]:
    """The tables that a batch of one type becomes: columns of SCHEMAS and `_row`; `_fates` of the rest.

    Raises:
        TypeError, AttributeError, KeyError, ValueError, polars.exceptions.PolarsError: something that is read
            has another JSON type than FHIR's.
    """
    return _PROJECTORS[batch.resource_type](batch)
