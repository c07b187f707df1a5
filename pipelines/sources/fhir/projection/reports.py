"""Reports with conclusions, risk assessments with predictions, documents: that they are, not their text."""

from __future__ import annotations

from typing import Any

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import NOTHING, Concept, ConceptReader, first_code, joined
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    Column,
    circumstances,
    concept_columns,
    facts_table,
    first,
    gathered,
    held,
    listed,
    marks_at,
    targets,
    texts,
)
from pipelines.sources.fhir.projection.quantities import number, text
from pipelines.sources.fhir.projection.times import either, moments, moments_between, when

SCHEMAS = {
    "DiagnosticReport": FACTS,
    "RiskAssessment": FACTS,
    "DocumentReference": pl.Schema({**FACTS, "document_status": pl.String()}),
}
UNSPECIFIED = Concept(code="unspecified")
Element = dict[str, Any]


def diagnostic_reports(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table DiagnosticReport: a row for the report, and one for each coded conclusion."""
    resources, options = batch.resources, batch.options
    effective = when(resources, "effective", options)
    issued = moments([resource.get("issued") for resource in resources], options)
    reader = ConceptReader("DiagnosticReport", options)
    codes = reader.read([resource.get("code") for resource in resources])
    found: list[tuple[int, str, Concept, str | None]] = []
    for position, resource in enumerate(resources):
        found.append((position, "report", NOTHING, text(resource.get("conclusion"))))
        concluded = reader.read(listed(resource.get("conclusionCode")))
        found += [(position, "conclusion", concept, concept.note) for concept in concluded]
    positions = [row[0] for row in found]
    columns = {**concept_columns([codes[position] for position in positions])}
    columns["note"] = [_words(codes[row[0]].note, row[3]) for row in found]
    columns["text"] = [None if row[2].note else row[2].code for row in found]
    told = either(effective, issued)
    shared = {**circumstances(batch), "time": told.first, "known_time": issued.last.fill_null(effective.last)}
    wrong = {"effective": effective.is_wrong, "issued": issued.is_wrong}
    return facts_table(
        batch, FACTS, [batch.rows[position] for position in positions],
        {**gathered(shared, positions), **columns, "kind": [row[1] for row in found]},
        marks_at(wrong, positions),
    )  # fmt: skip


def _words(*notes: str | None) -> str | None:
    """Free texts of one row as one."""
    return ": ".join(note for note in notes if note) or None


def risk_assessments(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table RiskAssessment: a row for each prediction, or one for an assessment without any."""
    resources, options = batch.resources, batch.options
    occurred = when(resources, "occurrence", options)
    reader = ConceptReader("RiskAssessment", options)
    codes = _first_told(reader, resources, ("code", "method"))
    found: list[tuple[int, Element]] = []
    for position, resource in enumerate(resources):
        predictions = list(listed(resource.get("prediction")))
        found += [(position, prediction) for prediction in predictions or [{}]]
    positions = [position for position, _ in found]
    outcomes = reader.read([prediction.get("outcome") for _, prediction in found])
    risks = [first_code(prediction.get("qualitativeRisk")) for _, prediction in found]
    columns: dict[str, Column] = {**concept_columns([codes[position] for position in positions])}
    columns["alternates"] = [
        joined(codes[position].alternates, f"RISK//{risk}" if risk else None)
        for position, risk in zip(positions, risks, strict=True)
    ]
    columns["value"] = [number(prediction.get("probabilityDecimal")) for _, prediction in found]
    columns["text"] = [None if outcome.note else outcome.code for outcome in outcomes]
    columns["note"] = [
        _words(codes[position].note, outcome.note)
        for position, outcome in zip(positions, outcomes, strict=True)
    ]
    shared = {**circumstances(batch), "time": occurred.first, "known_time": occurred.last}
    rows = [batch.rows[position] for position in positions]
    wrong = marks_at({"occurrence": occurred.is_wrong}, positions)
    return facts_table(batch, FACTS, rows, {**gathered(shared, positions), **columns}, wrong)


def _first_told(reader: ConceptReader, resources: list[Element], names: tuple[str, ...]) -> list[Concept]:
    """Of several elements the first that has a code or a text; `unspecified` where none has."""
    found = reader.read([resource.get(names[0]) for resource in resources])
    for name in names[1:]:
        others = reader.read([resource.get(name) for resource in resources])
        found = [one if one.code else other for one, other in zip(found, others, strict=True)]
    return [one if one.code else UNSPECIFIED for one in found]


def document_references(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table DocumentReference: which kind of document was written when; nothing of what it says."""
    resources, options = batch.resources, batch.options
    written = moments([resource.get("date") for resource in resources], options)
    contexts = [held(resource.get("context")) for resource in resources]
    periods = [held(context.get("period")) for context in contexts]
    covered = moments_between(
        [period.get("start") for period in periods], [period.get("end") for period in periods], options
    )
    told = either(written, covered)
    reader = ConceptReader("DocumentReference", options)
    flat = [{**one, "category": first(one.get("category"))} for one in resources]
    columns: dict[str, Column] = {
        **circumstances(batch),
        **concept_columns(_first_told(reader, flat, ("type", "category"))),
        "encounter": targets(batch, [first(one.get("encounter")) for one in contexts]),
        "time": told.first,
        "known_time": told.last,
        "document_status": texts([resource.get("docStatus") for resource in resources]),
    }
    wrong = {"date": written.is_wrong, "context.period": covered.is_wrong}
    return facts_table(batch, SCHEMAS["DocumentReference"], batch.rows, columns, wrong)
