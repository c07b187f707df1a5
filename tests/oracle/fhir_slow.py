"""R4 resources read one by one as fhir.resources objects: the events, contacts and codings to expect.

Written from docs/fhir.md alone, without polars, columns or the projection's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from fhir_slow_facts import coded_at
from fhir_slow_people import Directory
from fhir_slow_records import Records
from fhir_slow_values import NEVER, first_given, span

_LEVELS = {
    **dict.fromkeys(("IMP", "ACUTE", "NONAC", "OBSENC", "1"), "inpatient"),
    **dict.fromkeys(("SS", "2"), "day"),
    **dict.fromkeys(("AMB", "HH", "VR", "FLD", "3"), "outpatient"),
    "EMER": "emergency",
}
_ACUTE = frozenset(("A", "CR", "EM", "RR", "S", "T", "UR", "1", "2", "3"))
_PLANNED = frozenset(("EL", "P", "PRN", "R", "UD", "4", "5"))
_FROM = {
    "hosp-trans": "other hospital",
    "emd": "emergency room",
    "gp": "referral",
    "mp": "referral",
    "nursing": "institution",
    "psych": "institution",
    "rehab": "institution",
    "born": "born",
    "outp": "outpatient",
}
_TO = {
    "exp": "death",
    "home": "home",
    "alt-home": "home",
    "other-hcf": "other hospital",
    "hosp": "hospice",
    **dict.fromkeys(("long", "snf", "rehab", "psy"), "institution"),
    "aadvice": "left against advice",
    "oth": "other",
}
_ICU = frozenset(("ICU", "PEDICU", "PEDNICU", "CCU"))
_NO_BASIS = "http://hl7.no/fhir/StructureDefinition/"
_CORE = "http://hl7.org/fhir/StructureDefinition/"


_HELPERS = ("Medication", "Location", "Organization")
"""Types that are read without facts of their own."""


class Slow(Records):
    """What a set of resources should become; `run` reads them."""

    def run(self) -> None:
        """Read all resources."""
        named = []
        for one in self.sent:
            whole = get_fhir_model_class(one["resourceType"]).model_validate(one)
            name = f"{one['resourceType']}/{one['id']}"
            named.append((name, whole))
            if hasattr(self, f"read_{one['resourceType'].lower()}") or one["resourceType"] in _HELPERS:
                named += [(f"{name}#{part.id}", part) for part in whole.contained or []]
        self.directory = Directory(named, self.subject_systems, self.contact_systems)
        for name, one in named:
            if one.get_resource_type() == "Encounter" and self._counts(one):
                for diagnosis in one.diagnosis or []:
                    condition = self.directory.target(diagnosis.condition, name)
                    self.diagnosed.setdefault(condition or "", name)
        for name, one in named:
            reader = getattr(self, f"read_{one.get_resource_type().lower()}", None)
            if reader is not None and self._counts(one):
                reader(name, one)
        there = {contact for contact, *_ in self.contacts}
        self.facts = [fact if fact.contact in there else replace(fact, contact=None) for fact in self.facts]

    def read_patient(self, name: str, one: Any) -> None:
        if any(link.type == "replaced-by" for link in one.link or []):
            return
        person = self.directory.person(name)
        before = len(self.facts)
        births = (
            [e for e in (one.birthDate__ext.extension or []) if e.url == f"{_CORE}patient-birthTime"]
            if one.birthDate__ext
            else []
        )
        birth = first_given(*(e.valueDateTime for e in births), one.birthDate)
        self._add(person, "MEDS_BIRTH", birth[0], None)
        death = span(one.deceasedDateTime)
        self._add(person, "MEDS_DEATH", death[1], death[1])
        if one.gender in {"male", "female", "other"}:
            self._add(person, f"SEX//{one.gender}", None, None, static=True)
        for address in one.address or []:
            start = span(address.period.start) if address.period and address.period.start else NEVER
            if address.use == "old" and start[0] is None:
                continue
            for system, code in self._areas(address):
                self._add(person, f"{system}//{code}", start[0], start[1], static=True)
        for extension in one.extension or []:
            if extension.url == f"{_NO_BASIS}no-basis-urban-district":
                self._add(person, f"BYDEL//{extension.valueCoding.code}", None, None, static=True)
            if extension.url in {f"{_NO_BASIS}no-basis-person-citizenship", f"{_CORE}patient-citizenship"}:
                parts = {part.url: part for part in extension.extension or []}
                code = self._status_code(parts["code"].valueCodeableConcept) if "code" in parts else None
                period = span(parts["period"].valuePeriod) if "period" in parts else NEVER
                self._add(person, f"CITIZENSHIP//{code}" if code else None, period[0], period[1], static=True)
        self.facts[before:] = list(dict.fromkeys(self.facts[before:]))

    @staticmethod
    def _areas(address: Any) -> Iterator[tuple[str, str]]:
        """Municipality and urban district of an address."""
        held = [address, *([address.district__ext] if address.district__ext else [])]
        extensions = [e for one in held for e in one.extension or []]
        direct = [e.valueCoding.code for e in extensions if e.url == f"{_NO_BASIS}no-basis-municipalitycode"]
        parts = [
            part.valueCoding.code
            for e in extensions
            if e.url == f"{_NO_BASIS}no-basis-propertyinformation"
            for part in e.extension or []
            if part.url == "municipality"
        ]
        if direct or parts:
            yield "KOMMUNE", (direct or parts)[0]
        for e in extensions:
            if e.url == f"{_NO_BASIS}no-basis-urban-district":
                yield "BYDEL", e.valueCoding.code

    def read_encounter(self, name: str, one: Any) -> None:
        person = self._subject(name, one.subject)
        if person is None or one.period is None:
            return
        start = span(one.period)[0] if one.period.start is None else span(one.period.start)[0]
        end = span(one.period.end)[1] if one.period.end else None
        contact = self.directory.contact_name(name, one)
        stay = one.hospitalization
        places = [self.directory.spot(each.location, name) for each in one.location or []]
        unit = self._status_code(one.serviceType) or next(iter(places), None)
        admitted, discharged = (
            self._status_code(stay.admitSource) if stay else None,
            self._status_code(stay.dischargeDisposition) if stay else None,
        )
        priority = self._status_code(one.priority)
        urgency = "acute" if priority in _ACUTE else "planned" if priority in _PLANNED else None
        referral = self.directory.target((one.episodeOfCare or [None])[0], name)
        level = _LEVELS.get(one.class_fhir.code or "")
        self._contact(
            contact, person, referral, start, end, level, urgency, unit,
            self.directory.place(one.serviceProvider, name),
            _FROM.get(admitted or "", admitted), _TO.get(discharged or "", discharged),
        )  # fmt: skip
        begun = span(one.period.start) if one.period.start else span(one.period)
        for concepts, prefix in ((one.type, "ENCOUNTER_TYPE"), (one.reasonCode, "ENCOUNTER_REASON")):
            for concept in concepts or []:
                found = self._coded(concept, "Encounter")
                code = f"{prefix}//{found.code}" if found.code else None
                self._add(person, code, begun[0], None, coded_as=found, contact=contact)
        for number in range(1, len(one.location or []) + 1):
            self._location(name, one, contact, person, number=number)
        for number in range(1, len(one.diagnosis or []) + 1):
            self._diagnosis(name, one, contact, number)

    def _contact(self, contact: str, person: str, *rest: Any) -> None:
        self.contacts.append((contact, person, *rest))
        _, start, end, level, *_ = rest
        end = None if end is not None and end < start else end
        self._add(person, f"CONTACT//{level or 'unknown'}", start, None, contact=contact)
        self._add(person, f"CONTACT_END//{level or 'unknown'}", end, None, contact=contact)

    def _location(self, name: str, one: Any, contact: str, person: str, *, number: int) -> None:
        location = one.location[number - 1]
        place = self.directory.spot(location.location, name)
        if place is None:
            return
        moved = (
            span(location.period.start)
            if location.period and location.period.start
            else span(one.period.start)
        )
        self._add(person, f"LOCATION//{place}", moved[0], None, contact=contact)
        known = self.directory.resource(location.location, name)
        roles = {c.code for t in (getattr(known, "type", None) or []) for c in t.coding or []}
        if roles & _ICU:
            end = span(location.period.end)[1] if location.period and location.period.end else None
            hospital = self.directory.place(one.serviceProvider, name)
            ends = moved[0], end
            self._contact(
                f"{contact}#{number}", person, None, *ends, "icu", None, place, hospital, None, None
            )

    def _diagnosis(self, name: str, one: Any, contact: str, number: int) -> None:
        diagnosis = one.diagnosis[number - 1]
        condition = self.directory.resource(diagnosis.condition, name)
        if condition is None or condition.get_resource_type() != "Condition" or not self._counts(condition):
            return
        found = self._coded(condition.code, "Condition").code
        if found is None:
            return
        start = span(one.period)[0] if one.period.start is None else span(one.period.start)[0]
        end = span(one.period.end) if one.period.end else NEVER
        at = coded_at(span(condition.recordedDate), (start, start), end)
        role = "main" if diagnosis.rank == 1 else "other"
        self._coding(contact, number, role, found, at)
