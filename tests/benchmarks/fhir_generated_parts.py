"""What generated R4 resources are made of: concepts, times, quantities, references and identifiers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from fhir_generated_codes import CODES, SCT, SENT_UNITS, VOLVEN

Resource = dict[str, Any]
T = TypeVar("T")
MRN = "https://hospital.example/mrn"
VISITS = "https://hospital.example/visit"
FNR = "urn:oid:2.16.578.1.12.4.1.4.1"
UNITS = {"LOINC//1988-5": "mg/L", "LOINC//718-7": "g/L"}
"""Target units of options.units."""
TARGETS = {
    "LOINC//1988-5": ("mg/L", {"mg/L": 1.0, "g/dL": 10_000.0, "mg/dL": 10.0}),
    "LOINC//718-7": ("g/L", {"mg/L": 0.001, "g/dL": 10.0, "mg/dL": 0.01}),
}
"""The same with factors by hand: 1 dL is 0.1 L, 1 g is 1,000 mg."""
_FIRST = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_SECOND = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def national_number(rng: random.Random) -> str:
    """A synthetic birth number: the month has 80 added, as Skatteetaten's test register has it."""
    while True:
        day, month, year = rng.randint(1, 28), rng.randint(81, 92), rng.randint(40, 99)
        digits = [int(digit) for digit in f"{day:02}{month}{year}{rng.randint(0, 499):03}"]
        first = -sum(w * d for w, d in zip(_FIRST, digits, strict=True)) % 11
        second = -sum(w * d for w, d in zip(_SECOND, [*digits, first], strict=True)) % 11
        if first < 10 and second < 10:
            return "".join(map(str, [*digits, first, second]))


class Parts:
    """Random parts of resources.

    Args:
        rng: of all choices.
        n_patients, n_encounters: how many there are to refer to.
    """

    def __init__(self, rng: random.Random, n_patients: int, n_encounters: int) -> None:
        self.rng, self.n_patients, self.n_encounters = rng, n_patients, n_encounters
        self.number = 0
        self._listed: Iterator[str] = iter(
            [f"listed{number}x{place}" for number in range(n_encounters) for place in range(2)]
        )
        self._numbers = [national_number(rng) for _ in range(n_patients)]
        self._begun = [self._time() for _ in range(n_encounters)]

    def maybe(self, share: float, make: Callable[[], T]) -> T | None:
        """A part in a share of the cases."""
        return make() if self.rng.random() < share else None

    def concept(self, kind: str) -> Resource:
        """A CodeableConcept: one coding or several, with or without system, preferred or in words alone."""
        rng = self.rng
        if rng.random() < 0.06:
            return {"text": f"{kind} i egne ord, æøå"}
        if rng.random() < 0.03:
            return {"coding": [{"system": SCT, "display": "bare vist"}]}
        codings = []
        for system, code, display in rng.sample(CODES[kind], rng.choice([1, 1, 2, min(3, len(CODES[kind]))])):
            coding: Resource = {"system": system, "code": code}
            if rng.random() < 0.7:
                coding["display"] = display
            if rng.random() < 0.1:
                coding["userSelected"] = rng.random() < 0.7
            codings.append({name: value for name, value in coding.items() if value is not None})
        return {"coding": codings, **({"text": "teksten ved koden"} if rng.random() < 0.3 else {})}

    def verification(self) -> Resource:
        """A verification status of a condition or an allergy."""
        code = self.rng.choice(
            ["confirmed"] * 5 + ["provisional", "unconfirmed", "refuted", "entered-in-error"]
        )
        return {"coding": [{"code": code if code != "provisional" else "unconfirmed"}]}

    def _time(self) -> datetime:
        return datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=self.rng.randint(0, 6 * 365 * 86_400))

    def _written(self, moment: datetime) -> str:
        """An instant with an offset of its own."""
        zone = self.rng.choice(
            [UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=2)), timezone(timedelta(hours=-5))]
        )
        return moment.astimezone(zone).isoformat().replace("+00:00", "Z")

    def instant(self) -> str:
        """An instant, some with fractions of a second."""
        moment = self._time()
        return self._written(moment.replace(microsecond=self.rng.choice([0, 0, 250_000, 123_456])))

    def moment(self) -> str:
        """A dateTime: an instant, a day, a month or a year."""
        moment = self._time()
        kind = self.rng.random()
        if kind < 0.6:
            return self._written(moment)
        return moment.strftime("%Y-%m-%d" if kind < 0.9 else "%Y-%m" if kind < 0.96 else "%Y")

    def later(self) -> str:
        """A day after all others."""
        return self.rng.choice(["2026-05-17", "2026-02", "2026-03-29T04:30:00+02:00"])

    def period(self) -> Resource:
        """A Period, some without one of the ends."""
        begun = self._time()
        ended = begun + timedelta(seconds=self.rng.randint(60, 10**6))
        return self.rng.choice(
            [
                {"start": self._written(begun), "end": self._written(ended)},
                {
                    "start": begun.strftime("%Y-%m-%d"),
                    "end": (ended + timedelta(days=1)).strftime("%Y-%m-%d"),
                },
                {"start": self._written(begun)},
                {"end": self._written(ended)},
            ]
        )

    def period_of(self, number: int) -> tuple[str, str]:
        """Start and end of a contact."""
        begun = self._begun[number]
        ended = begun + timedelta(hours=self.rng.randint(1, 400))
        if self.rng.random() < 0.1:
            return begun.strftime("%Y-%m-%d"), (ended + timedelta(days=1)).strftime("%Y-%m-%d")
        return self._written(begun), self._written(ended)

    def quantity(self) -> Resource:
        """A Quantity of any unit, some with a comparator, few without a value."""
        rng = self.rng
        one: Resource = {"value": rng.choice([rng.randint(0, 400), round(rng.uniform(0, 90), 2), 5.0, 0.001])}
        if rng.random() < 0.15:
            one["comparator"] = rng.choice(["<", "<=", ">=", ">"])
        one |= rng.choice(SENT_UNITS)
        if rng.random() < 0.03:
            one = {"unit": "mg/L"}
        return one

    def value(self) -> Resource:
        """A value[x] of an Observation."""
        rng = self.rng
        kinds: list[Callable[[], Resource]] = [
            lambda: {"valueInteger": rng.randint(0, 15)},
            lambda: {"valueCodeableConcept": self.concept("condition")},
            lambda: {"valueString": "påvist, øverst til venstre"},
            lambda: {"valueBoolean": rng.random() < 0.5},
            lambda: {
                "valueRatio": {
                    "numerator": {"value": 1, "comparator": "<"},
                    "denominator": {"value": 128.0, "unit": "mL"},
                }
            },
            lambda: {"valueRange": {"low": {"value": 5, "unit": "mg"}, "high": {"value": 10.5}}},
            lambda: {"valueRange": {"high": {"value": 2.0, "unit": "h"}}},
            lambda: {"valueTime": "10:30:00"},
            lambda: {"valueDateTime": self.moment()},
            lambda: {"valuePeriod": {"start": "2020-01-01", "end": "2020-02"}},
            lambda: {
                "valueSampledData": {"origin": {"value": 0}, "period": 10, "dimensions": 1, "data": "1 2 3"}
            },
        ]
        return {"valueQuantity": self.quantity()} if rng.random() < 0.55 else rng.choice(kinds)()

    def component(self) -> Resource:
        """A part of a panel."""
        one: Resource = {"code": self.concept("analysis")}
        if self.rng.random() < 0.85:
            one |= self.value()
        else:
            one["dataAbsentReason"] = {"coding": [{"code": "unknown"}]}
        if self.rng.random() < 0.2:
            one["interpretation"] = self.interpretations(1)
        return one

    def interpretations(self, n: int) -> list[Resource]:
        """High, low, resistant ...; none twice."""
        system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
        return [
            {"coding": [{"system": system, "code": code}]}
            for code in self.rng.sample(["H", "L", "R", "N"], n)
        ]

    def subject(self, *, about_others: bool = False) -> Resource:
        """A reference to a patient in one of its forms; now and then to something else, or to nobody here."""
        rng, number = self.rng, self.rng.randrange(self.n_patients)
        if about_others and rng.random() < 0.03:
            return {"reference": rng.choice(["Group/g1", "Device/d1", "Location/l1"])}
        return rng.choice(
            [
                {"reference": f"Patient/p{number}"},
                {"reference": f"Patient/p{number}"},
                {"reference": f"Patient/p{number}", "display": "Ærlend Sørgård"},
                {"reference": f"https://fhir.hospital.example/r4/Patient/p{number}"},
                {"reference": f"Patient/p{number}/_history/3"},
                {"type": "Patient", "identifier": {"system": MRN, "value": f"M{number}"}},
                {"reference": f"Patient/unknown{number % 3}"},
            ]
        )

    def encounter(self, *, required: bool = False) -> Resource | None:
        """A reference to a contact, here or elsewhere, or none."""
        rng = self.rng
        if not required and rng.random() < 0.3:
            return None
        number = rng.randrange(self.n_encounters)
        if not required and rng.random() < 0.05:
            return {"reference": f"Encounter/elsewhere{number % 4}"}
        return {"reference": f"{rng.choice(['', 'https://fhir.hospital.example/r4/'])}Encounter/e{number}"}

    def listed_condition(self) -> str:
        """The id of a condition that an Encounter's list may name."""
        return next(self._listed, f"listed-none{self.number}")

    def identifiers(self, number: int) -> list[Resource]:
        """A hospital's number, for some a national number, for some one that fails its control."""
        found: list[Resource] = [{"system": MRN, "value": f"M{number}"}]
        if number % 3 == 0:
            found.append({"system": FNR, "value": self._numbers[number]})
        elif number % 3 == 1:
            found.insert(
                0,
                {"system": "http://hl7.no/fhir/NamingSystem/FNR", "value": "12345678901", "use": "official"},
            )
        if number % 5 == 0:
            found.insert(0, {"system": MRN, "value": f"OLD{number}", "use": "old"})
        return found

    def medication(self) -> Resource:
        """A drug as a concept, or as a reference to a Medication here, contained or elsewhere."""
        rng = self.rng
        if rng.random() < 0.6:
            return {"medicationCodeableConcept": self.concept("drug")}
        if rng.random() < 0.3:
            inner = {"resourceType": "Medication", "id": "m", "code": self.concept("drug")}
            return {"contained": [inner], "medicationReference": {"reference": "#m"}}
        if rng.random() < 0.1:
            return {"medicationReference": {"reference": "Medication/elsewhere", "display": "Noe hvitt"}}
        return {"medicationReference": {"reference": f"Medication/m{rng.randint(0, 5)}"}}

    def dosages(self) -> list[Resource]:
        """How much to take."""
        told = self.dose("doseQuantity")
        if self.rng.random() < 0.1:
            told = {"doseRange": {"low": {"value": 1}, "high": {"value": 2, "unit": "tabletter"}}}
        return [{"doseAndRate": [told]}] if self.rng.random() < 0.6 else []

    def dose(self, name: str) -> Resource:
        """A dose, a rate or both."""
        rate = {
            "value": 0.05,
            "unit": "ug/kg/min",
            "system": "http://unitsofmeasure.org",
            "code": "ug/kg/min",
        }
        per_hour = {"numerator": {"value": 100, "unit": "mL"}, "denominator": {"value": 1.0, "unit": "h"}}
        both = {name: {"value": 500, "unit": "mL"}, "rateQuantity": rate}
        return self.rng.choice(
            [{name: self.quantity()}] * 5 + [{"rateQuantity": rate}, {"rateRatio": per_hour}, both]
        )

    def address(self) -> Resource:
        """A Norwegian address with its extensions."""
        rng, base = self.rng, "http://hl7.no/fhir/StructureDefinition/no-basis"
        code = rng.choice(["0301", "5001", "1103"])
        coding = {"system": f"{VOLVEN}.3402", "code": code}
        one: Resource = {"city": "Ås", "line": ["Ærfuglveien 3"]}
        if rng.random() < 0.5:
            one |= {
                "district": "Oslo",
                "_district": {"extension": [{"url": f"{base}-municipalitycode", "valueCoding": coding}]},
            }
        else:
            part = {"url": "municipality", "valueCoding": coding}
            one["extension"] = [{"url": f"{base}-propertyinformation", "extension": [part]}]
        if rng.random() < 0.3:
            one["extension"] = [*one.get("extension", []), self.urban_district()]
        if rng.random() < 0.4:
            one["period"] = {"start": rng.choice(["2015", "2018-06-01"])}
        if rng.random() < 0.2:
            one["use"] = "old"
        return one

    def urban_district(self) -> Resource:
        """An urban district extension, of a Patient or an Address."""
        coding = {"system": f"{VOLVEN}.3403", "code": self.rng.choice(["030101", "110302"])}
        return {
            "url": "http://hl7.no/fhir/StructureDefinition/no-basis-urban-district",
            "valueCoding": coding,
        }

    def citizenship(self) -> Resource:
        """A citizenship extension."""
        concept = {"coding": [{"system": "urn:iso:std:iso:3166", "code": self.rng.choice(["NO", "SE"])}]}
        url = self.rng.choice(
            [
                "http://hl7.org/fhir/StructureDefinition/patient-citizenship",
                "http://hl7.no/fhir/StructureDefinition/no-basis-person-citizenship",
            ]
        )
        return {"url": url, "extension": [{"url": "code", "valueCodeableConcept": concept}]}

    def hospitalization(self) -> Resource:
        """From where and whither."""
        rng = self.rng
        return {
            "admitSource": {
                "coding": [{"code": rng.choice(["emd", "gp", "hosp-trans", "born", "nursing", "1"])}]
            },
            "dischargeDisposition": {"coding": [{"code": rng.choice(["home", "exp", "snf", "oth", "11"])}]},
        }

    def visited(self, start: str, end: str) -> Resource:
        """A place of a contact."""
        one: Resource = {"location": {"reference": f"Location/l{self.rng.randint(0, 5)}"}}
        if self.rng.random() < 0.7:
            one["period"] = {"start": start, "end": end}
        return one

    def helpers(self) -> list[Resource]:
        """Medications, Locations and Organizations that others refer to."""
        found: list[Resource] = [
            {"resourceType": "Medication", "id": f"m{number}", "code": self.concept("drug")}
            for number in range(6)
        ]
        for number in range(6):
            place: Resource = {"resourceType": "Location", "id": f"l{number}", "name": f"Sengepost Ø{number}"}
            if number % 2:
                system = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
                place["type"] = [{"coding": [{"system": system, "code": "ICU" if number == 1 else "HU"}]}]
            found.append(place)
        for number in range(5):
            one: Resource = {"resourceType": "Organization", "id": f"o{number}", "name": "Sjukehuset på Øya"}
            systems = [
                "urn:oid:2.16.578.1.12.4.1.4.101",
                "urn:oid:2.16.578.1.12.4.1.4.102",
                "urn:oid:2.16.578.1.12.4.1.2",
            ]
            if number:
                one["identifier"] = [
                    {"system": system, "value": f"99{number}00"} for system in systems[: number - 1]
                ]
            found.append({name: value for name, value in one.items() if value != []})
        return found
