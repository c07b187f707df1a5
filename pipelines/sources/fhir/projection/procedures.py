"""Procedures that were carried out, orders of services, and specimens that were taken."""

from __future__ import annotations

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import ConceptReader
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    Column,
    circumstances,
    concept_columns,
    facts_table,
    held,
    texts,
)
from pipelines.sources.fhir.projection.medications import not_to_be_done
from pipelines.sources.fhir.projection.quantities import text
from pipelines.sources.fhir.projection.times import either, moments, when

SCHEMAS = {
    "Procedure": pl.Schema(
        {**FACTS, "system": pl.String(), "version": pl.String(), "bare_code": pl.String()}
    ),
    "ServiceRequest": pl.Schema({**FACTS, "intent": pl.String(), "not_to_be_done": pl.String()}),
    "Specimen": FACTS,
}


def procedures(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table Procedure."""
    resources = batch.resources
    done = when(resources, "performed", batch.options)
    concepts = ConceptReader("Procedure", batch.options).read([one.get("code") for one in resources])
    columns: dict[str, Column] = {
        **circumstances(batch),
        **concept_columns(concepts),
        "time": done.first,
        "known_time": done.last,
        "system": texts([concept.system for concept in concepts]),
        "version": texts([concept.version for concept in concepts]),
        "bare_code": texts([concept.bare for concept in concepts]),
    }
    return facts_table(batch, SCHEMAS["Procedure"], batch.rows, columns, {"performed": done.is_wrong})


def service_requests(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table ServiceRequest."""
    resources = batch.resources
    authored = moments([resource.get("authoredOn") for resource in resources], batch.options)
    concepts = ConceptReader("ServiceRequest", batch.options).read([one.get("code") for one in resources])
    columns: dict[str, Column] = {
        **circumstances(batch),
        **concept_columns(concepts),
        "time": authored.first,
        "known_time": authored.last,
        "text": [text(resource.get("priority")) for resource in resources],
        "intent": [text(resource.get("intent")) for resource in resources],
        "not_to_be_done": not_to_be_done(resources),
    }
    wrong = {"authoredOn": authored.is_wrong}
    return facts_table(batch, SCHEMAS["ServiceRequest"], batch.rows, columns, wrong)


def specimens(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table Specimen."""
    resources = batch.resources
    collected = when([held(one.get("collection")) for one in resources], "collected", batch.options)
    received = moments([resource.get("receivedTime") for resource in resources], batch.options)
    told = either(collected, received)
    concepts = ConceptReader("Specimen", batch.options).read([one.get("type") for one in resources])
    columns: dict[str, Column] = {
        **circumstances(batch),
        **concept_columns(concepts),
        "time": told.first,
        "known_time": told.last,
    }
    wrong = {"collection.collected": collected.is_wrong, "receivedTime": received.is_wrong}
    return facts_table(batch, FACTS, batch.rows, columns, wrong)
