"""Generated R4 resources of what happens to patients: one method a type, without the type and id."""

from __future__ import annotations

import random
from typing import Any

from fhir_generated_parts import Parts

Resource = dict[str, Any]


def without_nothing(one: Resource) -> Resource:
    """A resource without what is null or empty, which FHIR's JSON never writes."""
    return {name: value for name, value in one.items() if value is not None and value not in ([], {})}


class Records:
    """Makes resources with parts that refer to patients and contacts.

    Args:
        rng: of the choices.
        parts: what resources are made of.
    """

    def __init__(self, rng: random.Random, parts: Parts) -> None:
        self.rng, self.parts = rng, parts

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
            one["interpretation"] = parts.interpretations(rng.randint(1, 2))
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
            without_nothing(
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
        context = without_nothing({"encounter": [encounter] if encounter else [], "period": parts.period()})
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
