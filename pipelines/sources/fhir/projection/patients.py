"""Patients: who is meant by a reference, birth, death, sex, municipality and citizenship."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.identity import person_key
from pipelines.identity.person_numbers import NATIONAL_SYSTEMS
from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import first_code
from pipelines.sources.fhir.projection.frames import (
    FATES_TABLE,
    Column,
    frame,
    held,
    listed,
    targets,
    texts,
    wrong_fields,
)
from pipelines.sources.fhir.projection.quantities import text
from pipelines.sources.fhir.projection.times import Moments, moments
from pipelines.sources.fhir.references import identifier_name
from pipelines.sources.fhir.systems import same_system

_NAMES = pl.Schema(
    {"reference": pl.String(), "person": pl.String(), "number": pl.String(), "replaced_by": pl.String()}
)
SCHEMAS = {
    "PatientName": _NAMES,
    "PatientKey": _NAMES,
    "Patient": pl.Schema(
        {
            "kind": pl.String(),
            "subject": pl.String(),
            "code": pl.String(),
            "display": pl.String(),
            "time": INSTANT,
            "known_time": INSTANT,
        }
    ),
}
"""PatientKey has a row for each way in which others may name a patient; `person` is who that is, `number` the
value alone of the identifier that names them. PatientName is the same, for patients who replaced others.
Patient has a row for each fact."""

_NO_BASIS = "http://hl7.no/fhir/StructureDefinition/"
_MUNICIPALITY = f"{_NO_BASIS}no-basis-municipalitycode"
_PROPERTY = f"{_NO_BASIS}no-basis-propertyinformation"
_DISTRICT = f"{_NO_BASIS}no-basis-urban-district"
_CITIZENSHIP = (
    f"{_NO_BASIS}no-basis-person-citizenship",
    "http://hl7.org/fhir/StructureDefinition/patient-citizenship",
)
_BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
"""**Source:** HL7 Norway, basisprofiler-r4 (no-basis-Patient, no-basis-Address); HL7 FHIR R4, extensions of
Patient."""
_SEXES = ("male", "female", "other")
BIRTH, DEATH, FACT, DEAD, REPLACED, NOTHING = "birth", "death", "fact", "dead", "replaced", "nothing"
Element = dict[str, Any]


class _Fact(NamedTuple):
    """One row: where its patient stands, its kind, code, what it is called, and the text of its time."""

    position: int
    kind: str
    code: str | None = None
    display: str | None = None
    when: str | None = None


def patients(batch: Batch) -> dict[str, pl.DataFrame]:
    """The tables Patient, PatientKey and PatientName."""
    replaced = targets(batch, [_replaced_by(resource) for resource in batch.resources])
    facts: list[_Fact] = []
    for position, resource in enumerate(batch.resources):
        facts += _facts(position, resource, is_replaced=replaced[position] is not None)
    told = moments([fact.when for fact in facts], batch.options)
    rows = [batch.rows[fact.position] for fact in facts]
    kinds = texts([fact.kind for fact in facts])
    made = frame(
        SCHEMAS["Patient"],
        rows,
        {
            "kind": kinds,
            "subject": [batch.names[fact.position] for fact in facts],
            "code": [fact.code for fact in facts],
            "display": [fact.display for fact in facts],
            "time": _first_or_last(told, kinds),
            "known_time": told.last,
        },
    )
    faults = wrong_fields("Patient", made["_row"], {"time": told.is_wrong})
    return {
        "Patient": made,
        **_keys(batch, replaced),
        **({} if faults is None else {FATES_TABLE: faults}),
    }


def _first_or_last(told: Moments, kinds: pl.Series) -> pl.Series:
    """A death on a day is at its end, anything else at its beginning."""
    both = pl.DataFrame({"first": told.first, "last": told.last, "kind": kinds})
    return both.select(pl.when(pl.col("kind") == DEATH).then("last").otherwise("first")).to_series()


def _replaced_by(resource: Element) -> Element | None:
    for link in listed(resource.get("link")):
        if link.get("type") == "replaced-by":
            other: Element | None = link.get("other")
            return other
    return None


def _facts(position: int, resource: Element, *, is_replaced: bool) -> list[_Fact]:
    """What one Patient tells, at least one row."""
    found = [
        *_birth_and_death(position, resource),
        *_sex(position, resource),
        *_homes(position, resource),
        *_citizenships(position, resource),
    ]
    if is_replaced:
        return [_Fact(position, REPLACED)]
    return found or [_Fact(position, NOTHING)]


def _birth_and_death(position: int, resource: Element) -> Iterator[_Fact]:
    beside = resource.get("_birthDate")
    exact = [_value(one, "valueDateTime") for one in _extensions(held(beside), _BIRTH_TIME)]
    born = next((told for told in exact if told), None) or resource.get("birthDate")
    if born is not None:
        yield _Fact(position, BIRTH, when=text(born))
    died = resource.get("deceasedDateTime")
    is_dead = resource.get("deceasedBoolean")
    if is_dead is not None and not isinstance(is_dead, bool):
        message = "deceasedBoolean is no boolean"
        raise TypeError(message)
    if died is not None:
        yield _Fact(position, DEATH, when=text(died))
    elif is_dead:
        yield _Fact(position, DEAD)


def _sex(position: int, resource: Element) -> Iterator[_Fact]:
    sex = text(resource.get("gender"))
    if sex in _SEXES:
        yield _Fact(position, FACT, f"SEX//{sex}")


def _homes(position: int, resource: Element) -> Iterator[_Fact]:
    for address in listed(resource.get("address")):
        period = address.get("period")
        since = None if period is None else text(period.get("start"))
        if text(address.get("use")) == "old" and since is None:
            continue
        direct = [
            extension
            for element in (address, held(address.get("_district")))
            for extension in _extensions(element, _MUNICIPALITY)
        ]
        parts = [part for one in _extensions(address, _PROPERTY) for part in _extensions(one, "municipality")]
        for system, extensions in (
            ("KOMMUNE", [*direct, *parts][:1]),
            ("BYDEL", _extensions(address, _DISTRICT)[:1]),
        ):
            for extension in extensions:
                yield from _area(position, system, extension, since)
    for extension in _extensions(resource, _DISTRICT)[:1]:
        yield from _area(position, "BYDEL", extension, None)


def _area(position: int, system: str, extension: Element, since: str | None) -> Iterator[_Fact]:
    coding = held(extension.get("valueCoding"))
    code = text(coding.get("code"))
    if code:
        yield _Fact(position, FACT, f"{system}//{code}", text(coding.get("display")), since)


def _citizenships(position: int, resource: Element) -> Iterator[_Fact]:
    for url in _CITIZENSHIP:
        for extension in _extensions(resource, url):
            codes = [first_code(one.get("valueCodeableConcept")) for one in _extensions(extension, "code")]
            periods = [held(one.get("valuePeriod")) for one in _extensions(extension, "period")]
            since = next((text(period.get("start")) for period in periods), None)
            if codes and codes[0]:
                yield _Fact(position, FACT, f"CITIZENSHIP//{codes[0]}", None, since)


def _extensions(element: Element, url: str) -> list[Element]:
    """The extensions of an element that have this address."""
    return [one for one in listed(element.get("extension")) if text(one.get("url")) == url]


def _value(extension: Element, name: str) -> str | None:
    return text(extension.get(name))


def _keys(batch: Batch, replaced: Sequence[str | None]) -> dict[str, pl.DataFrame]:
    """PatientKey and PatientName of a batch."""
    ranks = {same_system(system): rank for rank, system in enumerate(batch.options.subject_identifiers)}
    rows: list[int] = []
    columns: dict[str, list[str | None]] = {"reference": [], "person": [], "number": [], "replaced_by": []}
    for position, resource in enumerate(batch.resources):
        identifiers = list(_identifiers(resource))
        person, number = _person(identifiers, ranks) or (batch.names[position], None)
        full_url = batch.full_urls[position]
        names = [batch.names[position], *([full_url] if full_url else [])]
        names += [identifier_name(system, value) for system, value, _ in identifiers]
        for name in dict.fromkeys(names):
            rows.append(batch.rows[position])
            for column, cell in zip(columns, (name, person, number, replaced[position]), strict=True):
                columns[column].append(cell)
    told: dict[str, Column] = dict(columns)
    return {name: frame(SCHEMAS[name], rows, told) for name in ("PatientName", "PatientKey")}


def _identifiers(resource: Element) -> Iterator[tuple[str, str, bool]]:
    """System (national ones in one form), value, and whether it is an old one."""
    for identifier in listed(resource.get("identifier")):
        value = text(identifier.get("value"))
        system = text(identifier.get("system"))
        if value:
            yield same_system(system) if system else "", value, text(identifier.get("use")) == "old"


def _person(identifiers: Sequence[tuple[str, str, bool]], ranks: dict[str, int]) -> tuple[str, str] | None:
    """The key text of the best identifier, and its value; None where none counts."""
    best: tuple[int, str, str] | None = None
    for system, value, is_old in identifiers:
        rank = ranks.get(system)
        if rank is None or is_old or (best is not None and best[0] <= rank):
            continue
        key = person_key(value) if system in NATIONAL_SYSTEMS else f"{system}|{value}"
        if key:
            best = rank, key, value
    return best[1:] if best else None
