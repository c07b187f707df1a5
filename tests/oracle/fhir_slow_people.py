"""The slow path's references: which resource, person, contact or place a Reference object means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.identity.person_numbers import read_person_number
from pipelines.sources.fhir.systems import same_system

_NAME = re.compile(r"(?:https?://.*/)?([A-Z][A-Za-z]+/[A-Za-z0-9.-]+)(?:/_history/[^/]+)?$")
_NATIONAL = tuple(f"urn:oid:2.16.578.1.12.4.1.4.{number}" for number in (1, 2, 3, 5))
_PLACES = {
    "urn:oid:2.16.578.1.12.4.1.4.102": "RESH",
    "urn:oid:2.16.578.1.12.4.1.2": "HER",
    "urn:oid:2.16.578.1.12.4.1.4.101": "ORGNR",
}


class Directory:
    """All resources by what others call them.

    Args:
        resources: (name, object) of every resource, contained ones named CONTAINER#id.
        subject_systems, contact_systems: of the identifiers that name persons and contacts, best first.
    """

    def __init__(
        self,
        resources: Sequence[tuple[str, Any]],
        subject_systems: Sequence[str],
        contact_systems: Sequence[str],
    ) -> None:
        self.by_name: Mapping[str, Any] = dict(resources)
        self._subject_systems, self._contact_systems = subject_systems, contact_systems
        self._patients = {name: one for name, one in resources if one.get_resource_type() == "Patient"}
        self._by_identifier = {
            f"identifier:{same_system(identifier.system or '')}|{identifier.value}": name
            for name, one in reversed(list(self._patients.items()))
            for identifier in reversed(one.identifier or [])
            if identifier.value
        }

    def target(self, reference: Any, holder: str) -> str | None:
        """What a Reference element points to: Type/id, a contained resource, an identifier, an address."""
        if reference is None:
            return None
        text = reference.reference
        if text:
            if text.startswith("#"):
                return holder.partition("#")[0] + text
            named = _NAME.match(text)
            return named[1] if named else text
        identifier = reference.identifier
        if identifier is None or not identifier.value:
            return None
        return f"identifier:{same_system(identifier.system or '')}|{identifier.value}"

    def resource(self, reference: Any, holder: str) -> Any:
        """The resource itself, where it is in the input."""
        return self.by_name.get(self.target(reference, holder) or "")

    def is_patient(self, target: str) -> bool:
        """Whether a target is a Patient, or may be one."""
        if target in self.by_name:
            return bool(self.by_name[target].get_resource_type() == "Patient")
        kind = re.match(r"([A-Z][A-Za-z]+)/", target)
        return kind is None or kind[1] == "Patient"

    def person(self, target: str) -> str:
        """The person whom a target means."""
        name = self._by_identifier.get(target, target)
        patient = self._patients.get(name)
        if patient is None:
            return target
        for _ in range(3):
            links = [link for link in self._patients[name].link or [] if link.type == "replaced-by"]
            named = self.target(links[0].other, name) if links else None
            other = self._by_identifier.get(named or "", named or "")
            if other not in self._patients:
                break
            name = other
        return self._own(name)

    def _own(self, name: str) -> str:
        held = [one for one in self._patients[name].identifier or [] if one.value and one.use != "old"]
        systems = [same_system(system) for system in self._subject_systems]
        for system in [*(s for s in systems if s in _NATIONAL), *(s for s in systems if s not in _NATIONAL)]:
            for one in held:
                if same_system(one.system or "") != system:
                    continue
                if system not in _NATIONAL:
                    return f"{one.system}|{one.value}"
                number = read_person_number(one.value)
                if number and number.key:
                    return number.key
        return name

    def contact_name(self, name: str, encounter: Any) -> str:
        """What an Encounter's contact is called."""
        for system in self._contact_systems:
            for one in encounter.identifier or []:
                if one.system == system and one.value:
                    return f"{system}|{one.value}"
        return name

    def place(self, reference: Any, holder: str) -> str | None:
        """What a Location or Organization is called: by an identifier, else by its reference."""
        held = getattr(self.resource(reference, holder), "identifier", None) or []
        if reference is not None and not reference.reference and reference.identifier:
            held = [reference.identifier]
        for system, short_name in _PLACES.items():
            for one in held:
                if same_system(one.system or "") == system and one.value:
                    return f"{short_name}:{one.value}"
        return self.spot(reference, holder)

    def spot(self, reference: Any, holder: str) -> str | None:
        """A place by its reference alone; a contained one as #id."""
        target = self.target(reference, holder)
        return f"#{target.partition('#')[2]}" if target and "#" in target else target
