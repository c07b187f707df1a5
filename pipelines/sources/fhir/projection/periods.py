"""What holds from a start to an end: a row for the start, and one for the end where it is told."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import Concept
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    Column,
    circumstances,
    concept_columns,
    facts_table,
    gathered,
    held,
    texts,
)
from pipelines.sources.fhir.projection.times import moments


def start_and_end(
    batch: Batch, found: Sequence[tuple[int, Concept]], *, patient: str = "subject"
) -> dict[str, pl.DataFrame]:
    """The table of resources with a `period`, rows told apart by `kind`: start or end.

    A start is known when its day is over, where only the day is told; an end is the last instant told.

    Args:
        batch: the resources.
        found: which resource (its place in the batch) is of which concept; one resource may be of several.
        patient: the element that names the patient.
    """
    periods = [held(resource.get("period")) for resource in batch.resources]
    rows = [
        (position, kind, concept)
        for position, concept in found
        for kind in (("start", "end") if periods[position].get("end") is not None else ("start",))
    ]
    positions = [position for position, _, _ in rows]
    kind = texts([row[1] for row in rows])
    begin = moments([periods[position].get("start") for position in positions], batch.options)
    finish = moments([periods[position].get("end") for position in positions], batch.options)
    told = pl.DataFrame({"kind": kind, "first": begin.first, "known": begin.last, "end": finish.last})
    is_end = pl.col("kind") == "end"
    told = told.select(
        time=pl.when(is_end).then("end").otherwise("first"), known=pl.when(~is_end).then("known")
    )
    columns: dict[str, Column] = {
        **gathered(circumstances(batch, patient), positions),
        **concept_columns([concept for _, _, concept in rows]),
        "kind": kind,
        "time": told["time"],
        "known_time": told["known"],
    }
    wrong = {"period.start": begin.is_wrong, "period.end": finish.is_wrong}
    return facts_table(batch, FACTS, [batch.rows[position] for position in positions], columns, wrong)
