"""Allergies and flags; places and organisations by the identifiers that others call them by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import ConceptReader, bare_codes, first_code
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    FATES_TABLE,
    UNIT_SYSTEMS,
    Column,
    circumstances,
    concept_columns,
    facts_table,
    first,
    frame,
    held,
    listed,
    no_fact,
    place_words,
    texts,
)
from pipelines.sources.fhir.projection.periods import start_and_end
from pipelines.sources.fhir.projection.quantities import text
from pipelines.sources.fhir.projection.times import either, moments, when
from pipelines.sources.fhir.references import identifier_name
from pipelines.sources.fhir.systems import same_system

SCHEMAS = {
    "AllergyIntolerance": pl.Schema({**FACTS, "verification": pl.String()}),
    "Flag": FACTS,
    "PlaceKey": pl.Schema(
        {"reference": pl.String(), "place_id": pl.String(), "place_type": pl.String(), "title": pl.String()}
    ),
}
"""PlaceKey: what a place or an organisation is called, of which type it is, and its name in words."""

Element = dict[str, Any]


def allergies(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table AllergyIntolerance."""
    resources, options = batch.resources, batch.options
    onset = when(resources, "onset", options)
    recorded = moments([resource.get("recordedDate") for resource in resources], options)
    reader = ConceptReader("AllergyIntolerance", options)
    codes = reader.read([resource.get("code") for resource in resources])
    reactions = [held(first(resource.get("reaction"))) for resource in resources]
    substances = reader.read([reaction.get("substance") for reaction in reactions])
    concepts = [code if code.code else other for code, other in zip(codes, substances, strict=True)]
    columns: dict[str, Column] = {
        **circumstances(batch, "patient"),
        **concept_columns(concepts),
        "time": either(onset, recorded).first,
        "known_time": recorded.last.fill_null(onset.last),
        "text": [text(resource.get("criticality")) for resource in resources],
        "verification": texts([first_code(resource.get("verificationStatus")) for resource in resources]),
    }
    wrong = {"onset": onset.is_wrong, "recordedDate": recorded.is_wrong}
    return facts_table(batch, SCHEMAS["AllergyIntolerance"], batch.rows, columns, wrong)


def flags(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table Flag: a row for the start, and one for the end where it is told."""
    codes = [resource.get("code") for resource in batch.resources]
    return start_and_end(batch, list(enumerate(ConceptReader("Flag", batch.options).read(codes))))


def locations(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table PlaceKey; a Location alone is no fact."""
    types = [next(iter(bare_codes(one.get("type"))), None) for one in batch.resources]
    return _places(batch, types)


def organizations(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table PlaceKey; an Organization alone is no fact."""
    return _places(batch, [None] * len(batch.resources))


def _places(batch: Batch, types: Sequence[str | None]) -> dict[str, pl.DataFrame]:
    rows: list[int] = []
    columns: dict[str, list[str | None]] = {"reference": [], "place_id": [], "place_type": [], "title": []}
    for position, resource in enumerate(batch.resources):
        identifiers = [
            (same_system(system) if (system := text(one.get("system"))) else "", value)
            for one in listed(resource.get("identifier"))
            if (value := text(one.get("value")))
        ]
        called = next(
            (
                f"{short}:{value}"
                for wanted, short in UNIT_SYSTEMS.items()
                for system, value in identifiers
                if system == wanted
            ),
            place_words(batch.names[position]),
        )
        names = [batch.names[position], *filter(None, [batch.full_urls[position]])]
        names += [identifier_name(system, value) for system, value in identifiers]
        for name in dict.fromkeys(names):
            rows.append(batch.rows[position])
            cells = (name, called, types[position], text(resource.get("name")))
            for column, cell in zip(columns, cells, strict=True):
                columns[column].append(cell)
    told: dict[str, Column] = dict(columns)
    return {"PlaceKey": frame(SCHEMAS["PlaceKey"], rows, told), FATES_TABLE: no_fact(batch)}
