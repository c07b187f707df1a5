"""Care that a scenario adds to the hospital's: when a patient is free for it, and the rows that it leaves."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import numpy as np
import polars as pl

from pipelines.simulate.clock import END, START
from pipelines.simulate.coding_error_record import Groups, Record, add_procedure, dotless

MARGIN = timedelta(days=1)
"""Between a service and anything else of the patient, so that the eight-hour rule joins nothing."""
MOST_TRIES = 60
INPATIENT, DAY, OUTPATIENT = 1, 2, 3
ACUTE, PLANNED = 1, 4
TREATMENT = 2
"""kontaktType of NPR."""


@dataclass(frozen=True)
class Span:
    """When one contact of a service begins and ends, counted from midnight of the service's first day."""

    start: timedelta
    end: timedelta


@dataclass(frozen=True)
class Planned:
    """One contact to be written.

    Attributes:
        span: when.
        unit: where.
        level: omsorgsniva.
        groups: condition groups, codes with their dots.
        procedures: `SYSTEM//code` and how long after the contact's start.
        facts: name and value of what is told of the contact.
        urgency: innmateHast.
        hospital: another than the patient's own; null: the patient's.
    """

    span: Span
    unit: str
    level: int
    groups: Groups
    procedures: tuple[tuple[str, timedelta], ...] = ()
    facts: tuple[tuple[str, int], ...] = ()
    urgency: int = PLANNED
    hospital: str | None = None


@dataclass(frozen=True)
class Where:
    """Hospitals and the days, from the first until before the last, in which something is planted."""

    hospitals: tuple[str, ...]
    first: date
    until: date


@dataclass
class Calendar:
    """Who can come when.

    Attributes:
        people: hospital -> its patients.
        hospital: patient -> own hospital.
        windows: patient -> when the patient lives in the catchment.
        busy: patient -> what is booked, in order of start.
        chosen: (service, patient) that a service has had; it takes each patient once.
    """

    people: dict[str, list[int]]
    hospital: dict[int, str]
    windows: dict[int, list[tuple[datetime, datetime]]]
    busy: dict[int, list[tuple[datetime, datetime]]]
    chosen: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of(cls, tables: dict[str, pl.DataFrame]) -> Calendar:
        """The calendar of an extract: its contacts, and the windows in which patients live there, alive."""
        contacts = tables["contacts"].sort("patient_id", "innDatoTid")
        homes = contacts.group_by("patient_id", maintain_order=True).agg(pl.col("sykehus").first())
        hospital = dict(homes.iter_rows())
        people: dict[str, list[int]] = {}
        for patient, home in hospital.items():
            people.setdefault(home, []).append(patient)
        windows: dict[int, list[tuple[datetime, datetime]]] = {}
        for patient, begin, end in (
            tables["movements"].select("patient_id", "from_time", "to_time").iter_rows()
        ):
            windows.setdefault(patient, []).append((begin, end))
        busy: dict[int, list[tuple[datetime, datetime]]] = {}
        for patient, begin, end in contacts.select("patient_id", "innDatoTid", "utDatoTid").iter_rows():
            busy.setdefault(patient, []).append((begin, end or END))
        return cls(people, hospital, windows, busy)

    def find(
        self,
        service: str,
        spans: Sequence[Span],
        where: Where,
        rng: np.random.Generator,
    ) -> tuple[int, datetime] | None:
        """A patient who is free for all spans, and midnight of the first day; booked. None if nobody is."""
        names = [name for name in where.hospitals if self.people.get(name)]
        sizes = np.array([len(self.people[name]) for name in names], dtype=np.float64)
        n_days = (where.until - where.first).days - spans[-1].end.days - 1
        if not names or n_days < 1:
            return None
        for _ in range(MOST_TRIES):
            home = names[int(rng.choice(len(names), p=sizes / sizes.sum()))]
            patient = self.people[home][int(rng.integers(len(self.people[home])))]
            day = datetime.combine(where.first, time()) + timedelta(days=int(rng.integers(n_days)))
            day += timedelta(days=max(0, 7 - day.isoweekday() - 2)) if day.isoweekday() > 5 else timedelta()
            if (service, patient) not in self.chosen and self._is_free(patient, day, spans):
                self.chosen.add((service, patient))
                for span in spans:
                    insort(self.busy.setdefault(patient, []), (day + span.start, day + span.end))
                return patient, day
        return None

    def _is_free(self, patient: int, day: datetime, spans: Sequence[Span]) -> bool:
        begin, end = day + spans[0].start, day + spans[-1].end
        if not any(start <= begin and end < stop for start, stop in self.windows.get(patient, ())):
            return False
        booked = self.busy.get(patient, [])
        for span in spans:
            from_time, to_time = day + span.start - MARGIN, day + span.end + MARGIN
            after = bisect_left(booked, (from_time, from_time))
            near = booked[max(after - 3, 0) : after + 3]
            if any(start < to_time and stop > from_time for start, stop in near):
                return False
        return True


@dataclass
class Services:
    """Writes added care into a record.

    Attributes:
        record: what is written to.
        calendar: who can come when.
        rng: the source of chance.
    """

    record: Record
    calendar: Calendar
    rng: np.random.Generator
    _next_contact: int = 0
    _next_referral: int = 0
    _next_patient: int = 0

    def __post_init__(self) -> None:
        """Numbers go on after the extract's."""
        contacts = self.record.tables["contacts"]
        self._next_contact = int(contacts["kontakt_id"].to_numpy().max()) + 1
        self._next_referral = int(contacts["henvisningsperiodeID"].to_numpy().max()) + 1
        self._next_patient = int(self.record.tables["patients"]["patient_id"].to_numpy().max()) + 1

    def write(self, patient: int, hospital: str, day: datetime, contacts: Sequence[Planned]) -> list[int]:
        """Write the contacts of one referral, and return their ids."""
        ids = [self._contact(patient, planned.hospital or hospital, day, planned) for planned in contacts]
        self._next_referral += 1
        return ids

    def _contact(self, patient: int, hospital: str, day: datetime, planned: Planned) -> int:
        contact, start, end = self._next_contact, day + planned.span.start, day + planned.span.end
        self._next_contact += 1
        self.record.add(
            "contacts",
            {
                "kontakt_id": contact,
                "patient_id": patient,
                "innDatoTid": start,
                "utDatoTid": end,
                "omsorgsniva": planned.level,
                "innmateHast": planned.urgency,
                "sykehus": hospital,
                "enhet": planned.unit,
                "fraSted": "hjem",
                "tilSted": "hjem",
                "utTilstand": 1,
                "henvisningsperiodeID": self._next_referral,
            },
        )
        self.record.groups[contact] = [[dotless(code) for code in group] for group in planned.groups]
        for code, after in planned.procedures:
            add_procedure(self.record, contact, patient, code, start + after)
        for name, value in planned.facts:
            self.record.add(
                "contact_facts",
                {
                    "kontakt_id": contact,
                    "patient_id": patient,
                    "name": name,
                    "value": str(value),
                    "time": start,
                },
            )
        return contact

    def child(self, hospital: str, municipalities: Sequence[str], birth: date, *, is_girl: bool) -> int:
        """A new patient, living in the catchment from birth, or from the beginning, to the end."""
        patient = self._next_patient
        self._next_patient += 1
        chosen = municipalities[int(self.rng.integers(len(municipalities)))]
        self.record.add(
            "patients",
            {
                "patient_id": patient,
                "birth_date": birth,
                "kjonn": 2 if is_girl else 1,
                "kommunenummer": chosen,
            },
        )
        begin = self.record.tables["movements"]["from_time"].min()
        since = max(datetime.combine(birth, time()), begin or START)
        self.record.add(
            "movements",
            {"patient_id": patient, "from_time": since, "to_time": END, "reason": "uttrekk"},
        )
        self.calendar.hospital[patient] = hospital
        return patient


def hours(number: float) -> timedelta:
    """So many hours, to the minute."""
    return timedelta(minutes=round(60 * number))


def nights(first_day: int, start_hour: float, n_nights: int, end_hour: float) -> Span:
    """A span over so many nights."""
    begin = timedelta(days=first_day)
    return Span(begin + hours(start_hour), begin + timedelta(days=n_nights) + hours(end_hour))


def visit(day: int, start_hour: float, n_hours: float) -> Span:
    """A span within a day."""
    begin = timedelta(days=day) + hours(start_hour)
    return Span(begin, begin + hours(n_hours))
