"""Laboratory results of stays and clinics as one long table, in the methods and units of the scenario."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulate.clock import END_DAYS, to_instants
from pipelines.simulate.contacts import Contacts
from pipelines.simulate.course import Course
from pipelines.simulate.laboratory import (
    ANALYTES,
    HBA1C_FROM_DAYS,
    answer_days,
    draw_times,
    measure,
    order_analytes,
    stay_states,
)
from pipelines.simulate.outpatient import Visits, order_at_control, visit_state
from pipelines.simulate.population import Population
from pipelines.simulate.disease import Body
from pipelines.simulate.reasons import NAMES
from pipelines.simulate.scenario import Scenario, in_change, practice_at
from pipelines.simulate.tables import FIRST_CONTACT_ID

_TROPONIN_REASONS = (NAMES.index("coronary"), NAMES.index("heart_failure"), NAMES.index("other_acute"))


def laboratory_rows(
    course: Course,
    visits: Visits,
    contacts: Contacts,
    population: Population,
    body: Body,
    scenario: Scenario,
    patient_id: np.ndarray,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """laboratory.csv: kontakt_id, patient_id, nlk, value, unit, sampled_time, answered_time.

    Args:
        course, visits, contacts: what happened.
        population, body: to whom.
        scenario: the methods in use.
        patient_id: of every person of the population.
        rng: the source of chance.
    """
    inside = _in_stays(course, contacts, population, scenario, rng)
    outside = _at_clinics(visits, contacts, population, body, rng)
    contact, sampled, values, ordered = (np.concatenate(pair) for pair in zip(inside, outside, strict=True))
    draw, analyte = np.nonzero(ordered)
    days, value = sampled[draw], values[draw, analyte]
    person = contacts.person[contact[draw]]
    answered = answer_days(analyte, days, rng)
    code, unit, value = _report(scenario, population.hospital[person], days, analyte, value)
    keep = answered < END_DAYS
    return (
        pl.DataFrame(
            {
                "kontakt_id": FIRST_CONTACT_ID + contact[draw],
                "patient_id": patient_id[person],
                "nlk": code,
                "value": value,
                "unit": unit,
                "sampled_time": to_instants(days),
                "answered_time": to_instants(answered),
            }
        )
        .filter(pl.Series(keep))
        .sort("patient_id", "sampled_time", "nlk", maintain_order=True)
    )


Draws = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _in_stays(
    course: Course, contacts: Contacts, population: Population, scenario: Scenario, rng: np.random.Generator
) -> Draws:
    """Contact, day, values and which are ordered, of all draws in stays."""
    stays = course.stays
    rows, days = draw_times(course, rng)
    state = stay_states(course, population.is_female[stays.person], rows, days)
    factor = practice_at(scenario, "laboratory_factor", population.hospital[stays.person[rows]], days)
    ordered = order_analytes(state, np.isin(stays.reason[rows], _TROPONIN_REASONS), factor, rng)
    hba1c = [analyte.name for analyte in ANALYTES].index("hba1c")
    ordered[:, hba1c] &= days >= HBA1C_FROM_DAYS
    return contacts.at(rows, days), days, measure(state, rng), ordered


def _at_clinics(
    visits: Visits, contacts: Contacts, population: Population, body: Body, rng: np.random.Generator
) -> Draws:
    """The same of draws at clinics, taken at the start of the contact."""
    contact = np.flatnonzero(contacts.visit >= 0)
    contact = contact[visits.has_blood_test[contacts.visit[contact]]]
    days = contacts.start[contact]
    state = visit_state(population, body, contacts.person[contact], days)
    return contact, days, measure(state, rng), order_at_control(days, rng)


def _report(
    scenario: Scenario, hospital: np.ndarray, days: np.ndarray, analyte: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Code, unit and value of every result, in the method in use where and when it was drawn."""
    code = np.array([item.code for item in ANALYTES])[analyte].astype("<U16")
    unit = np.array([item.unit for item in ANALYTES])[analyte].astype("<U16")
    value = value.copy()
    names = [item.name for item in ANALYTES]
    for change in scenario.changes:
        for method in change.methods:
            mask = (analyte == names.index(method.analyte)) & in_change(scenario, change, hospital, days)
            code[mask], unit[mask] = method.code, method.unit
            reported = value[mask] * method.factor + method.offset
            value[mask] = np.round(reported, 2 if method.factor < 1 else 1)
    return code, unit, value
