"""What the slow path's readers share: expected events, who a resource is about, and which resources count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_slow_people import Directory
from fhir_slow_values import NEVER, NO_CODE, NOTHING, Coded, Instants, Measured, coded, joined, span

_NEVER_HAPPENED = {
    "Encounter": {"planned", "cancelled"},
    "EpisodeOfCare": {"planned", "waitlist", "cancelled"},
    "Observation": {"registered", "cancelled"},
    "DiagnosticReport": {"registered", "cancelled"},
    "Procedure": {"preparation", "not-done"},
    "MedicationRequest": {"cancelled", "draft"},
    "MedicationAdministration": {"not-done"},
    "MedicationStatement": {"intended", "not-taken"},
    "Immunization": {"not-done"},
    "ServiceRequest": {"draft", "revoked"},
    "RiskAssessment": {"registered", "cancelled"},
}


def coded_at(recorded: Instants, start: Instants, end: Instants) -> datetime | None:
    """When a contact's condition was coded: when it was recorded, if that was within it, else at its end."""
    is_within = recorded[1] is not None and start[0] is not None and recorded[1] >= start[0]
    return recorded[1] if is_within else end[1]


@dataclass(frozen=True)
class Fact:
    """One expected event; times in UTC without zone, known_time None where it is not later than the time."""

    person: str
    time: datetime | None
    known_time: datetime | None
    code: str
    value: float | None = None
    text: str | None = None
    unit: str | None = None
    contact: str | None = None
    alternates: str | None = None


@dataclass
class Reading:
    """What a set of resources has become so far.

    Args:
        sent: resources as dictionaries; each is parsed by its R4B class.
        preferred: options.preferred_systems.
        subject_systems, contact_systems: options.subject_identifiers and contact_identifiers.
        targets: options.units with the factors from every unit that the resources use.
    """

    sent: Sequence[Mapping[str, Any]]
    preferred: Mapping[str, Sequence[str]]
    subject_systems: Sequence[str]
    contact_systems: Sequence[str]
    targets: Mapping[str, tuple[str, Mapping[str, float]]]
    facts: list[Fact] = field(default_factory=list)
    contacts: list[tuple[Any, ...]] = field(default_factory=list)
    codings: list[tuple[Any, ...]] = field(default_factory=list)
    diagnosed: dict[str, str] = field(default_factory=dict)
    directory: Directory = field(init=False)

    def _counts(self, one: Any) -> bool:
        kind, status = one.get_resource_type(), getattr(one, "status", None)
        if status == "entered-in-error" or status in _NEVER_HAPPENED.get(kind, ()):
            return False
        if kind in {"Condition", "AllergyIntolerance"}:
            return self._status_code(one.verificationStatus) not in {"refuted", "entered-in-error"}
        if kind in {"MedicationRequest", "ServiceRequest"}:
            return one.intent not in {"proposal", "plan"} and not one.doNotPerform
        return not (kind == "DocumentReference" and one.docStatus == "entered-in-error")

    @staticmethod
    def _status_code(concept: Any) -> str | None:
        return next((one.code for one in (concept.coding if concept else None) or [] if one.code), None)

    def _coded(self, concept: Any, kind: str) -> Coded:
        return coded(concept, kind, self.preferred)

    def _subject(self, name: str, reference: Any) -> str | None:
        target = self.directory.target(reference, name)
        if target is None or not self.directory.is_patient(target):
            return None
        return self.directory.person(target)

    def _encounter(self, name: str, reference: Any) -> tuple[str | None, Instants, Instants]:
        """A contact, its start and its end."""
        encounter = self.directory.resource(reference, name)
        if encounter is None or encounter.get_resource_type() != "Encounter" or not self._counts(encounter):
            return None, NEVER, NEVER
        contact = self.directory.contact_name(self.directory.target(reference, name) or "", encounter)
        whole = span(encounter.period)
        start = span(encounter.period.start) if encounter.period and encounter.period.start else whole
        end = span(encounter.period.end) if encounter.period and encounter.period.end else NEVER
        return contact, start, end

    def _add(
        self,
        person: str | None,
        code: str | None,
        when: datetime | None,
        known: datetime | None,
        *,
        measured: Measured = NOTHING,
        coded_as: Coded = NO_CODE,
        contact: str | None = None,
        static: bool = False,
    ) -> None:
        """One event, if it has a person, a code and (unless static) a time."""
        if person is None or code is None or (when is None and not static):
            return
        free = joined(coded_as.free_text, measured.free_text)
        later = known if known is not None and when is not None and known > when else None
        text = joined(measured.text, free)
        others = "; ".join(dict.fromkeys(coded_as.alternates)) or None
        told = (measured.number, text, measured.unit)
        self.facts.append(Fact(person, when, later, code, *told, contact, others))

    def _coding(self, contact: str, number: int | None, role: str, code: str, at: datetime | None) -> None:
        system, _, bare = code.partition("//")
        if system != "FHIR_TEXT":
            self.codings.append((contact, number, role, system, bare, at))
