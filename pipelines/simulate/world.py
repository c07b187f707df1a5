"""Everything that is simulated before it is recorded: people, their lives, and their contacts."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from pipelines.simulate.clock import END_DAYS, days_since_start
from pipelines.simulate.contacts import Contacts, report_contacts
from pipelines.simulate.course import Course, follow
from pipelines.simulate.disease import Body, draw_body
from pipelines.simulate.lives import live
from pipelines.simulate.outpatient import Visits, visit_clinics
from pipelines.simulate.population import Population, draw_population
from pipelines.simulate.scenario import Scenario
from pipelines.simulate.stays import Stays

PEOPLE_PER_PATIENT, PEOPLE_BESIDES = (1.16, 1.5, 3.0, 9.0), 40
PEOPLE_PER_PATIENT_OF_PART = (2.5, 5.0, 10.0, 40.0)
"""People drawn for each patient wanted, until there are enough; not everybody is ever admitted."""
FIRST_PATIENT_ID = 100_001


@dataclass(frozen=True)
class World:
    """The simulated people, and what of them the extract holds.

    Attributes:
        population, body: everybody.
        traits: fixed uniform draws of everybody, (n, 8).
        people: the patients of the extract, index into the population.
        patient_id: of everybody; 0 for those who are not in the extract.
        course: the recorded stays.
        visits: the recorded contacts without a bed.
        contacts: all contacts.
        death: day of death of everybody, inf = alive at the end.
    """

    population: Population
    body: Body
    traits: np.ndarray
    people: np.ndarray
    patient_id: np.ndarray
    course: Course
    visits: Visits
    contacts: Contacts
    death: np.ndarray

    @property
    def hospital(self) -> np.ndarray:
        """The hospital of each stay, index into the scenario's hospitals."""
        return np.asarray(self.population.hospital[self.course.stays.person])

    @property
    def stay_patient_id(self) -> np.ndarray:
        """The patient of each stay, as in the extract."""
        return np.asarray(self.patient_id[self.course.stays.person])


def make_world(n_patients: int, seed: int, scenario: Scenario) -> World:
    """The world of a seed: people are drawn until enough have been admitted, and the first are kept."""
    first_day = days_since_start(scenario.record_from)
    for factor in PEOPLE_PER_PATIENT if first_day == 0 else PEOPLE_PER_PATIENT_OF_PART:
        streams = [np.random.default_rng([seed, number]) for number in range(7)]
        n_people = int(np.ceil(n_patients * factor)) + PEOPLE_BESIDES
        population = draw_population(n_people, scenario, streams[0])
        body = draw_body(population, scenario, streams[1])
        stays, death = live(population, body, scenario, streams[2])
        stays = stays.take(population.lives_here(stays.person, stays.admitted))
        people = np.unique(stays.person[stays.admitted >= first_day])[:n_patients]
        if len(people) == n_patients:
            break
    population = _from_day(_stay_until_discharge(population, stays), first_day)
    traits = streams[3].random((n_people, 8))
    visits = visit_clinics(population, body, stays, death=death, traits=traits, rng=streams[4])
    chosen = np.isin(np.arange(n_people), people)
    stays = stays.take(chosen[stays.person] & (stays.admitted >= first_day))
    kept = chosen[visits.person] & (visits.start >= first_day)
    visits = replace(visits, **{field.name: getattr(visits, field.name)[kept] for field in fields(visits)})
    patient_id = np.zeros(n_people, dtype=np.int64)
    patient_id[people] = FIRST_PATIENT_ID + np.arange(n_patients)
    course = follow(stays, population, body, streams[5])
    contacts = report_contacts(course, visits, streams[6])
    return World(population, body, traits, people, patient_id, course, visits, contacts, death)


def _from_day(population: Population, first_day: float) -> Population:
    """Nobody is observed before the first day of the extract."""
    residence = population.residence.copy()
    residence[residence[:, :, 1] <= first_day] = np.nan
    residence[:, :, 0] = np.maximum(residence[:, :, 0], first_day)
    return replace(population, residence=residence)


def _stay_until_discharge(population: Population, stays: Stays) -> Population:
    """Nobody moves out of the catchment in the middle of a stay: the move waits until the day after."""
    residence = population.residence.copy()
    for window in range(residence.shape[1]):
        end = residence[stays.person, window, 1]
        inside = (stays.admitted < end) & (end < stays.ended + 1.0) & (end < END_DAYS)
        np.maximum.at(residence[:, window, 1], stays.person[inside], np.ceil(stays.ended[inside]) + 1.0)
    residence[:, 1, 0] = np.maximum(residence[:, 1, 0], residence[:, 0, 1])
    return replace(population, residence=residence)
