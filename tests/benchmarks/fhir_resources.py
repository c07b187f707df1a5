"""Seeded R4 resources of every type that is read: all kinds of values, references, times, Norwegian systems.

All are valid by fhir.resources' R4B classes. `resources(n, seed)` gives about n; `write_ndjson` and
`write_bundles` write them as a bulk export or as Bundles would hold them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fhir_generated_parts import VISITS, Parts

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


class Generator:
    """Makes resources of one seed; references go to patients, contacts and others made before.

    Args:
        n: about how many resources.
        seed: of the choices.
    """

    def __init__(self, n: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.n_patients, self.n_encounters = max(4, n // 40), max(8, n // 12)
        self.parts = Parts(self.rng, self.n_patients, self.n_encounters)
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
            made.append(
                _without_nothing({"resourceType": kind, "id": f"{kind[0].lower()}{number}", **make()})
            )
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
        return _without_nothing(one)

    def condition(self) -> Resource:
        """A diagnosis; a quarter of them are on an Encounter's list."""
        rng, parts = self.rng, self.parts
        one: Resource = {
            "subject": parts.subject(),
            "encounter": parts.encounter(),
            "code": parts.concept("condition"),
            "category": [{"coding": [{"code": "encounter-diagnosis"}]}],
            "verificationStatus": parts.maybe(0.7, parts.verification),
            "recordedDate": parts.maybe(0.5, parts.moment),
        }
        one |= rng.choice(
            [
                {},
                {"onsetDateTime": parts.moment()},
                {"onsetPeriod": parts.period()},
                {"onsetString": "i fjor"},
            ]
        )
        one |= rng.choice([{}, {}, {"abatementDateTime": parts.later()}, {"abatementString": "snart"}])
        if rng.random() < 0.25:
            one["id"] = parts.listed_condition()
        return one

    def observation(self) -> Resource:
        """A measurement: every kind of value, panels, components, absent values."""
        rng, parts = self.rng, self.parts
        one: Resource = {
            "status": rng.choice(
                ["final"] * 9 + ["amended", "preliminary", "registered", "cancelled", "entered-in-error"]
            ),
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                            "code": "laboratory",
                        }
                    ]
                }
            ],
            "code": parts.concept("analysis"),
            "subject": parts.subject(about_others=True),
            "encounter": parts.encounter(),
            "issued": parts.maybe(0.5, parts.instant),
        }
        one |= rng.choice(
            [
                {"effectiveDateTime": parts.moment()},
                {"effectiveDateTime": parts.moment()},
                {"effectivePeriod": parts.period()},
                {"effectiveInstant": parts.instant()},
                {"effectiveTiming": {"event": [parts.instant(), parts.moment()]}},
                {"issued": parts.instant()},
            ]
        )
        kind = rng.random()
        if kind < 0.75:
            one |= parts.value()
        if 0.65 < kind < 0.85:
            one["component"] = [parts.component() for _ in range(rng.randint(1, 3))]
        elif 0.85 <= kind < 0.9:
            one["hasMember"] = [{"reference": "Observation/o1"}]
        elif 0.9 <= kind < 0.95:
            one["dataAbsentReason"] = {"coding": [{"code": "not-performed"}]}
        if rng.random() < 0.3:
            one["interpretation"] = [parts.interpretation() for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.3:
            one["referenceRange"] = [
                {"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.0, "unit": "mmol/L"}}
            ]
        return one

    def diagnosticreport(self) -> Resource:
        """A report with conclusions in words and codes."""
        rng, parts = self.rng, self.parts
        return {
            "status": rng.choice(["final", "final", "partial", "registered", "entered-in-error"]),
            "code": parts.concept("analysis"),
            "subject": parts.subject(),
            "encounter": parts.encounter(required=True),
            **rng.choice([{}, {"effectiveDateTime": parts.moment()}, {"effectivePeriod": parts.period()}]),
            "issued": parts.instant(),
            "conclusion": parts.maybe(0.5, lambda: "Ingen sikre funn, øvrig ærbødig å"),
            "conclusionCode": [parts.concept("condition") for _ in range(rng.choice([0, 0, 1, 2]))],
        }

    def procedure(self) -> Resource:
        """A procedure by Norwegian and other codes."""
        rng, parts = self.rng, self.parts
        when = rng.choice(
            [
                {"performedDateTime": parts.moment()},
                {"performedPeriod": parts.period()},
                {"performedString": "om natten"},
            ]
        )
        return {
            "status": rng.choice(["completed"] * 5 + ["not-done", "preparation", "entered-in-error"]),
            "code": parts.concept("procedure"),
            "subject": parts.subject(),
            "encounter": parts.encounter(required="performedString" in when),
            **when,
        }

    def medicationrequest(self) -> Resource:
        """An order."""
        rng, parts = self.rng, self.parts
        return {
            "status": rng.choice(["active"] * 5 + ["completed", "cancelled", "draft", "entered-in-error"]),
            "intent": rng.choice(["order"] * 6 + ["proposal", "plan"]),
            "doNotPerform": parts.maybe(0.1, lambda: rng.random() < 0.5),
            **parts.medication(),
            "subject": parts.subject(),
            "encounter": parts.encounter(),
            "authoredOn": parts.moment(),
            "dosageInstruction": parts.dosages(),
        }

    def medicationadministration(self) -> Resource:
        """A dose that was given."""
        rng, parts = self.rng, self.parts
        return {
            "status": rng.choice(["completed"] * 5 + ["in-progress", "not-done", "entered-in-error"]),
            **parts.medication(),
            "subject": parts.subject(),
            "context": parts.encounter(),
            **rng.choice([{"effectiveDateTime": parts.moment()}, {"effectivePeriod": parts.period()}]),
            "dosage": parts.maybe(0.7, lambda: parts.dose("dose")),
        }

    def medicationstatement(self) -> Resource:
        """What a patient says to take."""
        rng, parts = self.rng, self.parts
        return {
            "status": rng.choice(["active"] * 4 + ["completed", "intended", "not-taken", "entered-in-error"]),
            **parts.medication(),
            "subject": parts.subject(),
            "context": parts.encounter(),
            **rng.choice([{}, {"effectiveDateTime": parts.moment()}, {"effectivePeriod": parts.period()}]),
            "dateAsserted": parts.moment(),
            "dosage": parts.dosages(),
        }

    def immunization(self) -> Resource:
        """A vaccination."""
        rng, parts = self.rng, self.parts
        return {
            "status": rng.choice(["completed"] * 4 + ["not-done", "entered-in-error"]),
            "vaccineCode": parts.concept("vaccine"),
            "patient": parts.subject(),
            "encounter": parts.encounter(),
            **rng.choice(
                [
                    {"occurrenceDateTime": parts.moment()},
                    {"occurrenceString": "som barn", "recorded": parts.moment()},
                ]
            ),
            "doseQuantity": parts.maybe(0.4, parts.quantity),
        }

    def allergyintolerance(self) -> Resource:
        """An allergy, by its code or by what it was a reaction to."""
        rng, parts = self.rng, self.parts
        reaction = [{"substance": parts.concept("drug"), "manifestation": [{"text": "utslett"}]}]
        return {
            "verificationStatus": parts.maybe(0.5, parts.verification),
            "patient": parts.subject(),
            "encounter": parts.encounter(),
            **rng.choice([{"code": parts.concept("drug")}, {"reaction": reaction}]),
            "criticality": parts.maybe(0.5, lambda: rng.choice(["low", "high", "unable-to-assess"])),
            **rng.choice([{"onsetDateTime": parts.moment()}, {"onsetPeriod": parts.period()}, {}]),
            "recordedDate": parts.moment(),
        }

    def specimen(self) -> Resource:
        """A sample."""
        rng, parts = self.rng, self.parts
        taken = rng.choice([{"collectedDateTime": parts.moment()}, {"collectedPeriod": parts.period()}])
        return {
            "status": rng.choice(["available", "available", "entered-in-error"]),
            "type": parts.concept("type"),
            "subject": parts.subject(about_others=True),
            **rng.choice([{"collection": taken}, {"receivedTime": parts.moment()}]),
        }

    def servicerequest(self) -> Resource:
        """A referral or an order of an examination."""
        rng, parts = self.rng, self.parts
        return {
            "status": rng.choice(["active"] * 4 + ["draft", "revoked", "entered-in-error"]),
            "intent": rng.choice(["order"] * 4 + ["plan"]),
            "priority": parts.maybe(0.4, lambda: rng.choice(["routine", "stat"])),
            "code": parts.concept("procedure"),
            "subject": parts.subject(),
            "encounter": parts.encounter(),
            "authoredOn": parts.moment(),
        }

    def riskassessment(self) -> Resource:
        """A score with none, one or two predictions."""
        rng, parts = self.rng, self.parts
        outcomes = [
            _without_nothing(
                {
                    "outcome": parts.maybe(0.7, lambda: parts.concept("condition")),
                    "probabilityDecimal": parts.maybe(0.8, lambda: round(rng.random(), 3)),
                    "qualitativeRisk": {"coding": [{"code": "high"}]},
                }
            )
            for _ in range(rng.randint(1, 2))
        ]
        return {
            "status": rng.choice(["final"] * 4 + ["registered", "entered-in-error"]),
            **rng.choice([{"code": parts.concept("analysis")}, {"method": parts.concept("type")}, {}]),
            "subject": parts.subject(),
            "encounter": parts.encounter(),
            **rng.choice([{"occurrenceDateTime": parts.moment()}, {"occurrencePeriod": parts.period()}]),
            "prediction": outcomes,
        }

    def flag(self) -> Resource:
        """A warning."""
        parts = self.parts
        return {
            "status": self.rng.choice(["active", "inactive", "entered-in-error"]),
            "code": parts.concept("condition"),
            "subject": parts.subject(),
            "encounter": parts.encounter(),
            "period": parts.period(),
        }

    def documentreference(self) -> Resource:
        """That a document was written."""
        rng, parts = self.rng, self.parts
        told = rng.choice([{"type": parts.concept("type")}, {"category": [parts.concept("type")]}, {}])
        encounter = parts.encounter()
        context = _without_nothing({"encounter": [encounter] if encounter else [], "period": parts.period()})
        return {
            "status": rng.choice(["current", "current", "superseded", "entered-in-error"]),
            "docStatus": parts.maybe(0.3, lambda: rng.choice(["final", "entered-in-error"])),
            **told,
            "subject": parts.subject(),
            "date": parts.maybe(0.7, parts.instant),
            "context": context,
            "content": [{"attachment": {"contentType": "text/plain"}}],
        }

    def episodeofcare(self) -> Resource:
        """A course of treatment."""
        rng, parts = self.rng, self.parts
        return {
            "status": rng.choice(["active", "finished", "planned", "entered-in-error"]),
            "type": [parts.concept("type") for _ in range(rng.choice([0, 1, 2]))],
            "patient": parts.subject(),
            "period": parts.period(),
        }

    def goal(self) -> Resource:
        """A type that is not read."""
        return {
            "lifecycleStatus": "active",
            "description": {"text": "ut i lufta"},
            "subject": self.parts.subject(),
        }


def _without_nothing(one: Resource) -> Resource:
    return {name: value for name, value in one.items() if value is not None and value not in ([], {})}


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
