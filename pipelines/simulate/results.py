"""Laboratory results of stays and clinics as one long table, in the methods and units of the scenario."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulate.analytes import ANALYTE_INDEX, ANALYTE_NAMES, ANALYTES, HBA1C_FROM_DAYS
from pipelines.simulate.blood import measure
from pipelines.simulate.clock import END_DAYS, to_instants
from pipelines.simulate.laboratory import answer_days, draw_times, order_analytes, stay_states
from pipelines.simulate.outpatient import order_at_control, visit_state
from pipelines.simulate.reasons import NAMES
from pipelines.simulate.scenario import Scenario, in_change, practice_at
from pipelines.simulate.tables import FIRST_CONTACT_ID
from pipelines.simulate.world import World

_TROPONIN_REASONS = (NAMES.index("coronary"), NAMES.index("heart_failure"), NAMES.index("other_acute"))


def laboratory_rows(world: World, scenario: Scenario, rng: np.random.Generator) -> pl.DataFrame:
    """laboratory.csv: kontakt_id, patient_id, nlk, value, unit, sampled_time, answered_time.

    Results that were not answered before the extract are not in it.
    """
    pairs = zip(_in_stays(world, scenario, rng), _at_clinics(world, rng), strict=True)
    contact, sampled, values, ordered = (np.concatenate(pair) for pair in pairs)
    draw, analyte = np.nonzero(ordered)
    days, value = sampled[draw], values[draw, analyte]
    person = world.contacts.person[contact[draw]]
    answered = answer_days(analyte, days, rng)
    code, unit, value = _report(scenario, world.population.hospital[person], days, analyte, value)
    return (
        pl.DataFrame(
            {
                "kontakt_id": FIRST_CONTACT_ID + contact[draw],
                "patient_id": world.patient_id[person],
                "nlk": code,
                "value": value,
                "unit": unit,
                "sampled_time": to_instants(days),
                "answered_time": to_instants(answered),
            }
        )
        .filter(pl.Series(answered < END_DAYS))
        .sort("patient_id", "sampled_time", "nlk", maintain_order=True)
    )


Draws = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Contact, day, values (k, len(ANALYTES)) and which of them are ordered, of k blood samples."""


def _in_stays(world: World, scenario: Scenario, rng: np.random.Generator) -> Draws:
    """The blood samples of stays."""
    stays = world.course.stays
    rows, days = draw_times(world.course, rng)
    state = stay_states(world.course, world.population.is_female[stays.person], rows, days)
    factor = practice_at(scenario, "laboratory_factor", world.hospital[rows], days)
    ordered = order_analytes(state, np.isin(stays.reason[rows], _TROPONIN_REASONS), factor, rng)
    ordered[:, ANALYTE_INDEX["hba1c"]] &= days >= HBA1C_FROM_DAYS
    return world.contacts.at(rows, days), days, measure(state, rng), ordered


def _at_clinics(world: World, rng: np.random.Generator) -> Draws:
    """The blood samples of clinics, taken as the contact begins."""
    contacts = world.contacts
    contact = np.flatnonzero(contacts.visit >= 0)
    contact = contact[world.visits.has_blood_test[contacts.visit[contact]]]
    days = contacts.start[contact]
    state = visit_state(world.population, world.body, contacts.person[contact], days)
    return contact, days, measure(state, rng), order_at_control(days, rng)


def _report(
    scenario: Scenario, hospital: np.ndarray, days: np.ndarray, analyte: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Code, unit and value of every result, in the method in use where and when it was drawn."""
    code = np.array([item.code for item in ANALYTES])[analyte].astype("<U16")
    unit = np.array([item.unit for item in ANALYTES])[analyte].astype("<U16")
    reported = value.copy()
    for change in scenario.changes:
        for method in change.methods:
            number = ANALYTE_NAMES.index(method.analyte)
            mask = (analyte == number) & in_change(scenario, change, hospital, days)
            code[mask], unit[mask] = method.code, method.unit
            decimals = max(ANALYTES[number].decimals - int(np.floor(np.log10(method.factor))), 0)
            reported[mask] = np.round(value[mask] * method.factor + method.offset, decimals)
    return code, unit, reported
