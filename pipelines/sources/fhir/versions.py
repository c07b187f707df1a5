"""Which FHIR version a resource says or shows that it is: what R4 would misread is named, not read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Version = Literal["R5", "STU3", "DSTU2"]
Look = Literal["present", "list", "text", "object", "codeable_reference"]


@dataclass(frozen=True)
class Sign:
    """One element that R4 has not, or has in another shape: reading it as R4 would misread or lose it.

    Attributes:
        version: the version that has it.
        element: its name, of the resource itself.
        look: present at all, or with a shape that R4's element of that name has not.
    """

    version: Version
    element: str
    look: Look = "present"

    @property
    def reason(self) -> str:
        """What is said of a record that shows the sign; a fixed text."""
        return f"FHIR {self.version}, not R4: {_TOLD[self.look].format(self.element)}"


_TOLD: Mapping[Look, str] = {
    "present": "R4 has no {}",
    "list": "{} is a list",
    "text": "{} is a text",
    "object": "{} is an object",
    "codeable_reference": "{} is a concept or reference",
}


def _present(version: Version, *elements: str) -> tuple[Sign, ...]:
    return tuple(Sign(version, element) for element in elements)


_MEDICATION = (Sign("R5", "medication"),)

SIGNS: Mapping[str, tuple[Sign, ...]] = {
    "Encounter": (
        Sign("R5", "class", "list"),
        *_present("R5", "actualPeriod", "admission", "subjectStatus"),
        Sign("STU3", "incomingReferral", "list"),
        Sign("DSTU2", "class", "text"),
        *_present("DSTU2", "patient"),
    ),
    "EpisodeOfCare": (Sign("R5", "reason", "list"),),
    "Condition": (
        *_present("STU3", "context", "assertedDate"),
        Sign("STU3", "clinicalStatus", "text"),
        Sign("STU3", "verificationStatus", "text"),
        *_present("DSTU2", "patient", "dateRecorded"),
    ),
    "Observation": (*_present("STU3", "context", "related", "comment"), *_present("DSTU2", "comments")),
    "DiagnosticReport": _present("STU3", "context", "codedDiagnosis"),
    "Procedure": (
        *_present("R5", *(f"occurrence{kind}" for kind in ("DateTime", "Period", "String", "Age", "Range"))),
        *_present("R5", "occurrenceTiming"),
        *_present("STU3", "context", "notDone"),
        *_present("DSTU2", "notPerformed"),
    ),
    "MedicationRequest": (*_MEDICATION, *_present("STU3", "context")),
    "MedicationAdministration": (
        *_MEDICATION,
        *_present("R5", "occurenceDateTime", "occurencePeriod", "occurenceTiming"),
        *_present("STU3", "notGiven", "prescription"),
        *_present("DSTU2", "wasNotGiven", "effectiveTimeDateTime", "effectiveTimePeriod"),
    ),
    "MedicationStatement": (
        *_MEDICATION,
        *_present("STU3", "taken"),
        *_present("DSTU2", "wasNotTaken", "patient"),
    ),
    "MedicationDispense": (*_MEDICATION, *_present("STU3", "notDone")),
    "Immunization": (*_present("STU3", "notGiven", "date"), *_present("DSTU2", "wasNotGiven")),
    "AllergyIntolerance": (
        Sign("R5", "type", "object"),
        *_present("STU3", "assertedDate"),
        Sign("STU3", "clinicalStatus", "text"),
        Sign("STU3", "verificationStatus", "text"),
        *_present("DSTU2", "substance"),
    ),
    "ServiceRequest": (Sign("R5", "code", "codeable_reference"),),
    "RiskAssessment": _present("STU3", "context"),
    "DocumentReference": (
        Sign("R5", "context", "list"),
        *_present("R5", "facilityType", "practiceSetting", "period", "event"),
        *_present("STU3", "class", "created", "indexed"),
    ),
}
"""The signs of other versions, by resource type: only what changes how a record would be read. Elements that
a later version merely adds (Observation.triggeredBy) are no sign: R4's part of the record is read as ever.

**Source:** the structure definitions of DSTU2 (1.0.2), STU3 (3.0.2), R4 (4.0.1), R4B (4.3.0) and R5 (5.0.0).
"""

FOREIGN_TYPES: Mapping[str, Version] = {
    **dict.fromkeys(("MedicationOrder", "DiagnosticOrder", "Conformance"), "DSTU2"),
    **dict.fromkeys(("ProcedureRequest", "ReferralRequest", "ImagingManifest", "BodySite"), "STU3"),
    **dict.fromkeys(("DeviceComponent", "EligibilityRequest", "ExpansionProfile", "DataElement"), "STU3"),
    **dict.fromkeys(("EncounterHistory", "DeviceUsage", "DeviceDispense", "DeviceAssociation"), "R5"),
    **dict.fromkeys(
        ("NutritionIntake", "ImagingSelection", "GenomicStudy", "Transport", "FormularyItem"), "R5"
    ),
    **dict.fromkeys(("InventoryItem", "InventoryReport", "Permission", "ArtifactAssessment"), "R5"),
}
"""Resource types that R4 has not, and the version that has them."""

_RELEASES = {"1": "DSTU2", "3": "STU3", "4": "R4", "5": "R5", "6": "R6"}
_NUMBER = re.compile(r"([1-9])\.\d+(?:\.\d+)?(?:-[\w.]{1,40})?")
_CORE = re.compile(r"http://hl7\.org/fhir/(?:(\d\.\d)/)?StructureDefinition/[^|]*(?:\|(\d\.\d[\w.-]{0,40}))?")


def shown_sign(resource_type: str, resource: Mapping[str, Any]) -> Sign | None:
    """The first sign that a resource is of another version than R4 (or R4B).

    Args:
        resource_type: its type.
        resource: as parsed; any element may have a wrong type.

    Returns:
        The sign, whose `reason` says what was found; None for a resource that reads as R4.
    """
    for sign in SIGNS.get(resource_type, ()):
        found = resource.get(sign.element)
        if found is not None and _LOOKS[sign.look](found):
            return sign
    return None


def declared_version(resource: Mapping[str, Any]) -> str | None:
    """The FHIR version that a resource says it is of: R4, R4B, R5, STU3, DSTU2.

    It is said by `fhirVersion` (a CapabilityStatement), or by a profile of the core specification in
    `meta.profile` that bears a version (`http://hl7.org/fhir/5.0/StructureDefinition/Patient`, `...|4.0.1`).

    Args:
        resource: as parsed; any element may have a wrong type.
    """
    stated = resource.get("fhirVersion")
    if isinstance(stated, str):
        return _release(stated)
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    for profile in profiles if isinstance(profiles, list) else ():
        core = _CORE.fullmatch(profile) if isinstance(profile, str) else None
        if core and (core[1] or core[2]):
            return _release(core[2] or core[1])
    return None


def _release(number: str) -> str | None:
    """R4 of 4.0.1; None of what is no version number of FHIR."""
    if not _NUMBER.fullmatch(number):
        return None
    return "R4B" if number.startswith(("4.1", "4.3")) else _RELEASES.get(number[0])


_LOOKS: Mapping[Look, Callable[[Any], bool]] = {
    "present": lambda found: True,
    "list": lambda found: isinstance(found, list),
    "text": lambda found: isinstance(found, str),
    "object": lambda found: isinstance(found, dict),
    "codeable_reference": lambda found: (
        isinstance(found, dict) and ("concept" in found or "reference" in found)
    ),
}
