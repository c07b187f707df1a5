"""Conditions: onset, recording, doubt and abatement, and the code by which Encounters report them."""

from __future__ import annotations

from typing import Any

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import ConceptReader, bare_codes, first_code, joined
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    circumstances,
    concept_columns,
    facts_table,
    frame,
    gathered,
    marks_at,
    texts,
)
from pipelines.sources.fhir.projection.times import either, moments, when

SCHEMAS = {
    "ConditionCode": pl.Schema(
        {
            "reference": pl.String(),
            "system": pl.String(),
            "version": pl.String(),
            "bare_code": pl.String(),
            "verification": pl.String(),
            "recorded": INSTANT,
        }
    ),
    "Condition": pl.Schema(
        {
            **FACTS,
            "name": pl.String(),
            "unplaced": pl.String(),
            "verification": pl.String(),
            "system": pl.String(),
            "version": pl.String(),
            "bare_code": pl.String(),
            "recorded": INSTANT,
            "recorded_last": INSTANT,
        }
    ),
}
"""Condition: rows of the kinds condition and abatement; `unplaced` is the name of one without an encounter.
ConditionCode: what Encounters need of those in their list."""

CONDITION, ABATEMENT = "condition", "abatement"


def conditions(batch: Batch) -> dict[str, pl.DataFrame]:
    """The tables Condition and ConditionCode."""
    resources, options = batch.resources, batch.options
    concepts = ConceptReader("Condition", options).read([resource.get("code") for resource in resources])
    onset, abated = when(resources, "onset", options), when(resources, "abatement", options)
    recorded = moments([resource.get("recordedDate") for resource in resources], options)
    told = either(onset, recorded)
    coded = {
        "system": texts([concept.system for concept in concepts]),
        "version": texts([concept.version for concept in concepts]),
        "bare_code": texts([concept.bare for concept in concepts]),
        "verification": texts([first_code(resource.get("verificationStatus")) for resource in resources]),
        "recorded": recorded.first,
    }
    ended = abated.last.is_not_null().arg_true().to_list()
    kinds = [CONDITION] * len(resources) + [ABATEMENT] * len(ended)
    positions = [*range(len(resources)), *ended]
    order = sorted(range(len(positions)), key=lambda row: (positions[row], row))
    positions, kinds = [positions[row] for row in order], [kinds[row] for row in order]
    times = pl.DataFrame(
        {
            "kind": kinds,
            "begin": told.first.gather(positions),
            "end": abated.last.gather(positions),
            "onset": onset.last.gather(positions),
            "recorded": recorded.last.gather(positions),
        }
    ).select(
        time=pl.when(pl.col("kind") == ABATEMENT).then("end").otherwise("begin"),
        known_time=pl.when(pl.col("kind") == ABATEMENT)
        .then(pl.max_horizontal("end", "recorded"))
        .otherwise("onset"),
    )
    about = circumstances(batch)
    unplaced = about["encounter"].is_null().to_list()
    columns: dict[str, Any] = {
        **gathered({**about, **coded, "recorded_last": recorded.last}, positions),
        **concept_columns([concepts[position] for position in positions]),
        "kind": kinds,
        "name": [batch.names[position] for position in positions],
        "unplaced": [batch.names[position] if unplaced[position] else None for position in positions],
        "time": times["time"],
        "known_time": times["known_time"],
    }
    marks = [_categories(resource.get("category")) for resource in resources]
    columns["alternates"] = [joined(concepts[position].alternates, marks[position]) for position in positions]
    rows = [batch.rows[position] for position in positions]
    wrong = {"onset": onset.is_wrong, "recordedDate": recorded.is_wrong, "abatement": abated.is_wrong}
    made = facts_table(batch, SCHEMAS["Condition"], rows, columns, marks_at(wrong, positions))
    return {**made, "ConditionCode": _codes(batch, {**coded, "recorded": recorded.last})}


def _categories(categories: object) -> str | None:
    return joined(*(f"CATEGORY//{code}" for code in bare_codes(categories)))


def _codes(batch: Batch, coded: dict[str, pl.Series]) -> pl.DataFrame:
    """One row for each way in which Encounters may name a Condition."""
    positions = list(range(len(batch.resources)))
    references = list(batch.names)
    for position, full_url in enumerate(batch.full_urls):
        if full_url and full_url != batch.names[position]:
            positions.append(position)
            references.append(full_url)
    rows = [batch.rows[position] for position in positions]
    return frame(SCHEMAS["ConditionCode"], rows, {**gathered(coded, positions), "reference": references})
