"""FHIR resources as columns of tables, one family of types a file; docs/fhir.md says what each becomes."""

from __future__ import annotations

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection import observations as _observations
from pipelines.sources.fhir.projection.frames import Projector

_PROJECTORS: dict[str, Projector] = {
    "Observation": _observations.observations,
}

RESOURCE_TYPES: frozenset[str] = frozenset(_PROJECTORS)
"""The types that are read; all others are ignored."""

SCHEMAS: dict[str, pl.Schema] = {**_observations.SCHEMAS}
"""The columns of every table, without `_row`."""

LOOKUPS: frozenset[str] = frozenset(
    {"PatientName", "PatientKey", "ContactKey", "DiagnosisKey", "ConditionCode", "MedicationCode", "PlaceKey"}
)
"""Tables that only help others."""


def project(batch: Batch) -> dict[str, pl.DataFrame]:
    """The tables that a batch of one type becomes: columns of SCHEMAS and `_row`, and `_fates` of wrong fields.

    Raises:
        TypeError, AttributeError, KeyError, ValueError, polars.exceptions.PolarsError: something that is read has
            another JSON type than FHIR's.
    """
    return _PROJECTORS[batch.resource_type](batch)
