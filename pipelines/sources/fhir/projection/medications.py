"""Medicines asked for, given and taken, and immunisations; a Medication gives its code by reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import NOTHING, Concept, ConceptReader, joined
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    FATES_TABLE,
    Column,
    amount_columns,
    circumstances,
    concept_columns,
    facts_table,
    first,
    frame,
    held,
    listed,
    no_fact,
    targets,
    texts,
)
from pipelines.sources.fhir.projection.quantities import amounts, range_words, ratio_words, text
from pipelines.sources.fhir.projection.times import Moments, either, moments, when

ORDERS = pl.Schema(
    {
        **FACTS,
        "medication": pl.String(),
        "medication_words": pl.String(),
        "intent": pl.String(),
        "not_to_be_done": pl.String(),
    }
)
SCHEMAS = {
    "MedicationRequest": ORDERS,
    "MedicationAdministration": ORDERS,
    "MedicationStatement": ORDERS,
    "Immunization": FACTS,
    "MedicationCode": pl.Schema(
        {
            "reference": pl.String(),
            "drug": pl.String(),
            "drug_display": pl.String(),
            "drug_alternates": pl.String(),
            "drug_note": pl.String(),
        }
    ),
}
"""`medication` is the name of the Medication referred to, for joining MedicationCode; `medication_words` is
what the reference itself calls it."""
Element = dict[str, Any]


class Dose(NamedTuple):
    """How much: a Quantity, or a range or a ratio in words."""

    quantity: Element | None = None
    words: str | None = None


def medication_requests(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table MedicationRequest."""
    authored = moments([resource.get("authoredOn") for resource in batch.resources], batch.options)
    doses = [_ordered_dose(resource.get("dosageInstruction")) for resource in batch.resources]
    return _orders(
        batch, "encounter", authored, authored.last, doses=doses, wrong={"authoredOn": authored.is_wrong}
    )


def medication_administrations(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table MedicationAdministration."""
    given = when(batch.resources, "effective", batch.options)
    doses = [_given_dose(held(resource.get("dosage"))) for resource in batch.resources]
    return _orders(batch, "context", given, given.last, doses=doses, wrong={"effective": given.is_wrong})


def medication_statements(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table MedicationStatement."""
    taken = when(batch.resources, "effective", batch.options)
    asserted = moments([resource.get("dateAsserted") for resource in batch.resources], batch.options)
    doses = [_ordered_dose(resource.get("dosage")) for resource in batch.resources]
    wrong = {"effective": taken.is_wrong, "dateAsserted": asserted.is_wrong}
    known = asserted.last.fill_null(taken.last)
    return _orders(batch, "context", either(taken, asserted), known, doses=doses, wrong=wrong)


def immunizations(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table Immunization."""
    resources, options = batch.resources, batch.options
    given = when(resources, "occurrence", options)
    recorded = moments([resource.get("recorded") for resource in resources], options)
    concepts = ConceptReader("Immunization", options).read([one.get("vaccineCode") for one in resources])
    columns: dict[str, Column] = {
        **circumstances(batch, "patient"),
        **concept_columns(concepts),
        **amount_columns(amounts([resource.get("doseQuantity") for resource in resources])),
        "time": either(given, recorded).first,
        "known_time": recorded.last.fill_null(given.last),
    }
    wrong = {"occurrence": given.is_wrong, "recorded": recorded.is_wrong}
    return facts_table(batch, FACTS, batch.rows, columns, wrong)


def medications(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table MedicationCode; a Medication alone is no fact."""
    resources = batch.resources
    reader = ConceptReader("Medication", batch.options)
    concepts = reader.read([one.get("code") for one in resources])
    for position, resource in enumerate(resources):
        if concepts[position].code is None:
            concepts[position] = _of_ingredients(resource, reader)
    references, rows, found = list(batch.names), list(batch.rows), list(concepts)
    for position, full_url in enumerate(batch.full_urls):
        if full_url and full_url != batch.names[position]:
            references.append(full_url)
            rows.append(batch.rows[position])
            found.append(concepts[position])
    codes = frame(
        SCHEMAS["MedicationCode"],
        rows,
        {
            "reference": references,
            "drug": [concept.code for concept in found],
            "drug_display": [concept.display for concept in found],
            "drug_alternates": [concept.alternates for concept in found],
            "drug_note": [concept.note for concept in found],
        },
    )
    return {"MedicationCode": codes, FATES_TABLE: no_fact(batch)}


def _of_ingredients(resource: Element, reader: ConceptReader) -> Concept:
    """Of a mixture without a code of its own the first ingredient that has one, the others as alternates."""
    found = reader.read([one.get("itemCodeableConcept") for one in listed(resource.get("ingredient"))])
    coded = [concept for concept in found if concept.bare]
    if not coded:
        return next((concept for concept in found if concept.code), NOTHING)
    others = [concept.code for concept in coded[1:] if concept.code != coded[0].code]
    return coded[0]._replace(alternates=joined(coded[0].alternates, *dict.fromkeys(others)))


def _orders(
    batch: Batch,
    encounter: str,
    told: Moments,
    known: pl.Series,
    *,
    doses: Sequence[Dose],
    wrong: dict[str, pl.Series | None],
) -> dict[str, pl.DataFrame]:
    resources = batch.resources
    references = [resource.get("medicationReference") for resource in resources]
    reader = ConceptReader(batch.resource_type, batch.options)
    concepts = reader.read([resource.get("medicationCodeableConcept") for resource in resources])
    columns: dict[str, Column] = {
        **circumstances(batch, "subject", encounter),
        **concept_columns(concepts),
        **_dose_columns(doses),
        "time": told.first,
        "known_time": known,
        "medication": targets(batch, references),
        "medication_words": [text(held(reference).get("display")) for reference in references],
        "intent": [text(resource.get("intent")) for resource in resources],
        "not_to_be_done": not_to_be_done(resources),
    }
    return facts_table(batch, ORDERS, batch.rows, columns, wrong)


def not_to_be_done(resources: Sequence[Element]) -> pl.Series:
    """The text true where an order says that something must not be done."""
    marks = [resource.get("doNotPerform") for resource in resources]
    if not {type(mark) for mark in marks} <= {bool, type(None)}:
        message = "doNotPerform is no boolean"
        raise TypeError(message)
    return texts(["true" if mark else None for mark in marks])


def _dose_columns(doses: Sequence[Dose]) -> dict[str, Column]:
    """Value, unit and what was sent of each dose; ranges and ratios in words."""
    read = amounts([dose.quantity for dose in doses])
    words = [dose.words for dose in doses]
    told = [comparator or word for comparator, word in zip(read.comparators, words, strict=True)]
    return {**amount_columns(read), "text": told}


def _ordered_dose(instructions: object) -> Dose:
    """The dose of the first instruction, else its rate."""
    rate = held(first(held(first(instructions)).get("doseAndRate")))
    return _dose(
        rate.get("doseQuantity"), rate.get("rateQuantity"), rate.get("doseRange"), rate.get("rateRatio")
    )


def _given_dose(dosage: Element) -> Dose:
    """The dose that was given, else its rate."""
    return _dose(dosage.get("dose"), dosage.get("rateQuantity"), None, dosage.get("rateRatio"))


def _dose(
    dose: Element | None, rate: Element | None, dose_range: Element | None, rate_ratio: Element | None
) -> Dose:
    if dose is not None or rate is not None:
        return Dose(rate if dose is None else dose)
    if dose_range is not None:
        return Dose(words=range_words(dose_range))
    return Dose(words=None if rate_ratio is None else ratio_words(rate_ratio))
