"""Encounters as contacts with their types, reasons, places and diagnoses; episodes of care."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import NOTHING, Concept, ConceptReader, bare_codes, first_code
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    FATES_TABLE,
    Column,
    circumstances,
    concept_columns,
    first,
    frame,
    gathered,
    held,
    listed,
    place_words,
    targets,
    texts,
    wrong_fields,
)
from pipelines.sources.fhir.projection.periods import start_and_end
from pipelines.sources.fhir.projection.quantities import text
from pipelines.sources.fhir.projection.times import Moments, moments_between
from pipelines.sources.fhir.references import identifier_name
from pipelines.sources.fhir.systems import same_system

_TEXTS = (
    "contact", "number", "name", "subject", "about", "status", "class", "priority", "unit", "first_place",
    "first_words", "hospital", "hospital_words", "hospital_name", "admitted_from", "admitted_from_other",
    "discharged_to", "discharged_to_other", "episode", "place", "place_words", "place_name", "place_no",
    "condition", "rank", "code", "display", "alternates", "note",
)  # fmt: skip
_TIMES = ("start", "end", "time", "place_end")
SCHEMAS = {
    "ContactKey": pl.Schema(
        {
            "reference": pl.String(),
            "contact": pl.String(),
            "number": pl.String(),
            "status": pl.String(),
            "start": INSTANT,
            "end": INSTANT,
        }
    ),
    "DiagnosisKey": pl.Schema({"condition": pl.String(), "encounter": pl.String(), "status": pl.String()}),
    "Encounter": pl.Schema(
        {"kind": pl.String()} | dict.fromkeys(_TEXTS, pl.String()) | dict.fromkeys(_TIMES, INSTANT)
    ),
    "EpisodeOfCare": FACTS,
}
"""ContactKey: what a contact is called, whoever names it. DiagnosisKey: which Conditions Encounters list.
Encounter: rows of the kinds contact, type, reason, location and diagnosis."""

CONTACT, TYPE, REASON, LOCATION, DIAGNOSIS = "contact", "type", "reason", "location", "diagnosis"
Element = dict[str, Any]


class _Row(NamedTuple):
    """What one row has beside what its Encounter gives to all."""

    position: int
    kind: str
    concept: Concept = NOTHING
    place: Element | None = None
    place_no: str | None = None
    period: Element | None = None
    condition: Element | None = None
    rank: str | None = None


def encounters(batch: Batch) -> dict[str, pl.DataFrame]:
    """The tables Encounter, ContactKey and DiagnosisKey."""
    resources = batch.resources
    concepts = ConceptReader("Encounter", batch.options)
    found = [
        row for position, resource in enumerate(resources) for row in _rows(position, resource, concepts)
    ]
    positions = [row.position for row in found]
    rows = [batch.rows[position] for position in positions]
    period = _periods([resource.get("period") for resource in resources], batch)
    of_encounter = _of_encounter(batch, period)
    spans = _periods([row.period for row in found], batch)
    shared = gathered(of_encounter, positions)
    places = targets(batch, [row.place for row in found], positions)
    columns: dict[str, Column] = {
        **shared,
        **concept_columns([row.concept for row in found]),
        "kind": [row.kind for row in found],
        "place": places,
        "place_words": [place_words(name) for name in places],
        "place_name": [_display(row.place) for row in found],
        "place_no": [row.place_no for row in found],
        "condition": targets(batch, [row.condition for row in found], positions),
        "rank": [row.rank for row in found],
        "time": spans.first.fill_null(shared["start"]),
        "place_end": spans.last,
    }
    made = frame(SCHEMAS["Encounter"], rows, columns)
    wrong = None if period.is_wrong is None else period.is_wrong.gather(positions)
    faults = wrong_fields("Encounter", made["_row"], {"period": wrong, "location.period": spans.is_wrong})
    listing = made.filter(pl.col("kind") == DIAGNOSIS, pl.col("condition").is_not_null())
    return {
        "Encounter": made,
        "ContactKey": _contact_keys(batch, of_encounter),
        "DiagnosisKey": listing.select("_row", "condition", "status", encounter="name").select(
            "_row", *SCHEMAS["DiagnosisKey"]
        ),
        **({} if faults is None else {FATES_TABLE: faults}),
    }


def _rows(position: int, resource: Element, concepts: ConceptReader) -> list[_Row]:
    found = [_Row(position, CONTACT)]
    for kind, name in ((TYPE, "type"), (REASON, "reasonCode")):
        found += [_Row(position, kind, concept) for concept in concepts.read(listed(resource.get(name)))]
    for number, place in enumerate(listed(resource.get("location")), start=1):
        found.append(
            _Row(
                position,
                LOCATION,
                place=place.get("location"),
                place_no=str(number),
                period=place.get("period"),
            )
        )
    for number, diagnosis in enumerate(listed(resource.get("diagnosis")), start=1):
        condition = diagnosis.get("condition")
        found.append(
            _Row(
                position,
                DIAGNOSIS,
                place_no=str(number),
                condition=condition,
                rank=_whole(diagnosis.get("rank")),
            )
        )
    return found


def _whole(value: object) -> str | None:
    if value is None or type(value) is int:
        return None if value is None else str(value)
    message = "a whole number is of another JSON type"
    raise TypeError(message)


def _display(reference: Element | None) -> str | None:
    return None if reference is None else text(reference.get("display"))


def _periods(periods: Sequence[Element | None], batch: Batch) -> Moments:
    """First instants of the starts and last of the ends; neither stands in for the other."""
    starts = [None if period is None else period.get("start") for period in periods]
    ends = [None if period is None else period.get("end") for period in periods]
    nothing = [None] * len(starts)
    begin = moments_between(starts, nothing, batch.options)
    finish = moments_between(nothing, ends, batch.options)
    wrong = [one for one in (begin.is_wrong, finish.is_wrong) if one is not None]
    return Moments(begin.first, finish.last, None if not wrong else wrong[0] | wrong[-1])


def _of_encounter(batch: Batch, period: Moments) -> dict[str, pl.Series]:
    """What all rows of an Encounter have."""
    resources = batch.resources
    about = circumstances(batch)
    stays = [held(resource.get("hospitalization")) for resource in resources]
    providers = [resource.get("serviceProvider") for resource in resources]
    episodes = [first(resource.get("episodeOfCare")) for resource in resources]
    admitted = [bare_codes(_as_list(stay.get("admitSource"))) for stay in stays]
    discharged = [bare_codes(_as_list(stay.get("dischargeDisposition"))) for stay in stays]
    contacts = [_contact(resource, batch) for resource in resources]
    places = [held(first(resource.get("location"))).get("location") for resource in resources]
    hospitals, firsts = targets(batch, providers), targets(batch, places)
    columns: dict[str, Sequence[object]] = {
        "contact": [key or name for (key, _), name in zip(contacts, batch.names, strict=True)],
        "number": [number for _, number in contacts],
        "name": batch.names,
        "class": [_class(resource.get("class")) for resource in resources],
        "priority": [first_code(resource.get("priority")) for resource in resources],
        "unit": [first_code(resource.get("serviceType")) for resource in resources],
        "first_place": firsts,
        "first_words": [place_words(name) for name in firsts],
        "hospital": hospitals,
        "hospital_words": [place_words(name) for name in hospitals],
        "hospital_name": [_display(provider) for provider in providers],
        "admitted_from": [codes[0] if codes else None for codes in admitted],
        "admitted_from_other": [codes[1] if len(codes) > 1 else None for codes in admitted],
        "discharged_to": [codes[0] if codes else None for codes in discharged],
        "discharged_to_other": [codes[1] if len(codes) > 1 else None for codes in discharged],
        "episode": targets(batch, episodes),
    }
    told = {name: texts(column) for name, column in columns.items()}
    return {
        **told,
        "subject": about["subject"],
        "about": about["about"],
        "status": about["status"],
        "start": period.first,
        "end": period.last,
    }


def _as_list(concept: object) -> list[object] | None:
    return None if concept is None else [concept]


def _class(coding: Any) -> str | None:
    return None if coding is None else text(coding.get("code"))


def _contact(resource: Element, batch: Batch) -> tuple[str | None, str | None]:
    """`SYSTEM|VALUE` and the value of the identifier that the mapping chooses; nulls where there is none."""
    ranks = {same_system(system): rank for rank, system in enumerate(batch.options.contact_identifiers)}
    best: tuple[int, str, str] | None = None
    for identifier in listed(resource.get("identifier")):
        system, value = text(identifier.get("system")), text(identifier.get("value"))
        rank = ranks.get(same_system(system)) if system else None
        if value and system and rank is not None and (best is None or rank < best[0]):
            best = rank, f"{same_system(system)}|{value}", value
    return (best[1], best[2]) if best else (None, None)


def _contact_keys(batch: Batch, of_encounter: dict[str, pl.Series]) -> pl.DataFrame:
    """A row for each way in which others may name an Encounter."""
    positions: list[int] = []
    references: list[str] = []
    for position, resource in enumerate(batch.resources):
        names = [batch.names[position], *filter(None, [batch.full_urls[position]])]
        for identifier in listed(resource.get("identifier")):
            value = text(identifier.get("value"))
            if value:
                names.append(identifier_name(text(identifier.get("system")), value))
        for name in dict.fromkeys(names):
            positions.append(position)
            references.append(name)
    shared = gathered(of_encounter, positions)
    rows = [batch.rows[position] for position in positions]
    columns: dict[str, Column] = {**shared, "reference": references}
    return frame(SCHEMAS["ContactKey"], rows, columns)


def episodes_of_care(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table EpisodeOfCare: a row for the start and one for the end of each, by type."""
    concepts = ConceptReader("EpisodeOfCare", batch.options)
    found = [
        (position, concept)
        for position, resource in enumerate(batch.resources)
        for concept in concepts.read(listed(resource.get("type"))) or [Concept(code="unspecified")]
    ]
    return start_and_end(batch, found, patient="patient")
