"""Seeded R4 resources of every type that is read: all kinds of values, references, times, Norwegian systems.

All are valid by fhir.resources' R4B classes. `resources(n, seed)` gives about n; `write_ndjson` writes them
as a bulk export.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fhir_generated_parts import VISITS, Parts
from fhir_generated_records import Records, without_nothing

Resource = dict[str, Any]
SHARES: Mapping[str, int] = {
    "Observation": 34,
    "Condition": 10,
    "Procedure": 6,
    "MedicationRequest": 6,
    "MedicationAdministration": 6,
    "MedicationStatement": 4,
    "DiagnosticReport": 5,
    "Immunization": 3,
    "AllergyIntolerance": 3,
    "Specimen": 3,
    "ServiceRequest": 3,
    "RiskAssessment": 3,
    "Flag": 2,
    "DocumentReference": 3,
    "EpisodeOfCare": 3,
    "Goal": 1,
}


class Generator(Records):
    """Makes resources of one seed; references go to patients, contacts and others made before.

    Args:
        n: about how many resources.
        seed: of the choices.
    """

    def __init__(self, n: int, seed: int) -> None:
        rng = random.Random(seed)
        self.n_patients, self.n_encounters = max(4, n // 40), max(8, n // 12)
        super().__init__(rng, Parts(rng, self.n_patients, self.n_encounters))
        self.n = n

    def all(self) -> list[Resource]:
        """The resources, patients first."""
        made = [self.patient(number) for number in range(self.n_patients)]
        made += self.parts.helpers()
        made += [self.encounter(number) for number in range(self.n_encounters)]
        kinds = self.rng.choices(list(SHARES), list(SHARES.values()), k=max(0, self.n - len(made)))
        for number, kind in enumerate(kinds):
            make: Callable[[], Resource] = getattr(self, kind.lower())
            self.parts.number = number
            made.append(without_nothing({"resourceType": kind, "id": f"{kind[0].lower()}{number}", **make()}))
        return made

    def patient(self, number: int) -> Resource:
        """One person; some with a national number, some replaced by another, some dead."""
        rng, parts = self.rng, self.parts
        one: Resource = {
            "resourceType": "Patient",
            "id": f"p{number}",
            "identifier": parts.identifiers(number),
        }
        if rng.random() < 0.9:
            one["gender"] = rng.choice(["male", "female", "other", "unknown"])
        if rng.random() < 0.9:
            one["birthDate"] = rng.choice(
                ["1941", "1956-03", f"19{rng.randint(66, 89)}-0{rng.randint(1, 9)}-11"]
            )
            if rng.random() < 0.2:
                url = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
                told = {"url": url, "valueDateTime": "1970-05-01T10:30:00+01:00"}
                one |= {"birthDate": "1970-05-01", "_birthDate": {"extension": [told]}}
        one |= rng.choice(
            [
                {},
                {},
                {"deceasedBoolean": False},
                {"deceasedBoolean": True},
                {"deceasedDateTime": "2025-11-03"},
            ]
        )
        if rng.random() < 0.5:
            one["address"] = [parts.address() for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.3:
            one["extension"] = [parts.citizenship()]
        if rng.random() < 0.1:
            one["extension"] = [*one.get("extension", []), parts.urban_district()]
        if number > 5 and number % 17 == 0:
            one["link"] = [{"other": {"reference": f"Patient/p{number - 1}"}, "type": "replaced-by"}]
        one["name"] = [{"family": "Sørgård", "given": ["Ærlend"]}]
        return one

    def encounter(self, number: int) -> Resource:
        """One contact with places, reasons and diagnoses."""
        rng, parts = self.rng, self.parts
        start, end = parts.period_of(number)
        one: Resource = {
            "resourceType": "Encounter",
            "id": f"e{number}",
            "status": rng.choice(
                ["finished"] * 8 + ["in-progress", "planned", "cancelled", "entered-in-error"]
            ),
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": rng.choice(["IMP", "IMP", "AMB", "EMER", "SS", "VR", "1", "PRENC"]),
            },
            "subject": {"reference": f"Patient/p{number % self.n_patients}"},
            "period": {"start": start, "end": end},
            "type": [parts.concept("type") for _ in range(rng.choice([0, 1, 1, 2]))],
            "reasonCode": [parts.concept("condition") for _ in range(rng.choice([0, 1]))],
            "priority": parts.maybe(
                0.6, lambda: {"coding": [{"code": rng.choice(["EM", "EL", "UR", "R", "3", "X"])}]}
            ),
            "serviceType": parts.maybe(0.3, lambda: {"coding": [{"code": rng.choice(["MED", "KIR"])}]}),
            "serviceProvider": parts.maybe(0.6, lambda: {"reference": f"Organization/o{rng.randint(0, 4)}"}),
            "episodeOfCare": [{"reference": "EpisodeOfCare/x1"}] if rng.random() < 0.3 else [],
            "hospitalization": parts.maybe(0.5, parts.hospitalization),
            "location": [parts.visited(start, end) for _ in range(rng.choice([0, 0, 1, 2]))],
            "diagnosis": [
                {"condition": {"reference": f"Condition/listed{number}x{place}"}, "rank": place + 1}
                for place in range(rng.choice([0, 0, 1, 2]))
            ],
        }
        if rng.random() < 0.3:
            one["period"].pop("end")
        if rng.random() < 0.5:
            one["identifier"] = [{"system": VISITS, "value": f"V{number}"}]
        return without_nothing(one)


def resources(n: int, seed: int) -> list[Resource]:
    """About n resources, the same for the same seed."""
    return Generator(n, seed).all()


def write_ndjson(made: Sequence[Resource], out: Path, n_files: int = 1) -> None:
    """A bulk export: for each type n files with a resource a line."""
    out.mkdir(parents=True, exist_ok=True)
    for kind in sorted({one["resourceType"] for one in made}):
        lines = [json.dumps(one, ensure_ascii=False) for one in made if one["resourceType"] == kind]
        for number in range(n_files):
            text = "".join(f"{line}\n" for line in lines[number::n_files])
            (out / f"{kind}.{number:03}.ndjson").write_text(text, encoding="utf-8")
