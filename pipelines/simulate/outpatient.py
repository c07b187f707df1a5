"""Contacts outside stays: controls with blood tests, assessments before planned stays, chemotherapy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.analytes import ANALYTE_INDEX, ANALYTES, HBA1C_FROM_DAYS
from pipelines.simulate.blood import BodyState
from pipelines.simulate.clock import END_DAYS, on_minute
from pipelines.simulate.coding import CHRONIC_CODES, WORSE_FROM, cancer_codes
from pipelines.simulate.disease import DISEASES, MONTH_DAYS, Body
from pipelines.simulate.population import Population
from pipelines.simulate.state import weakness_of
from pipelines.simulate.stays import Stays

CONTROLS_PER_YEAR = np.array([0.6, 0.7, 1.1, 1.1, 1.2, 0.3, 1.1, 0.9])
CONTROLS_WITHOUT_DISEASE = 0.35
MOST_PER_YEAR = 4.0
APART_DAYS = 0.5
"""Nothing planned within half a day of a stay: it would be joined to it by the eight-hour rule."""
BLOOD_TEST_SHARE = 0.75
CONTROL, TREATMENT, ASSESSMENT = 0, 1, 2
ASSESSED_SHARE, ASSESSED_FROM_DAYS, ASSESSED_TO_DAYS = 0.85, 4.0, 21.0
ASSESSMENT_CODE = "Z01.8"
GENERAL_CODES = ("I10", "I25.1", "M16.1", "K57.3")


@dataclass(frozen=True)
class Visits:
    """One row a planned contact without a bed, ordered by person and time.

    Attributes:
        person: index into the population.
        start, end: days.
        is_day: day treatment (chemotherapy) rather than an outpatient control.
        code: main diagnosis.
        unit: the clinic.
        has_blood_test: blood is drawn shortly before.
    """

    person: np.ndarray
    start: np.ndarray
    end: np.ndarray
    is_day: np.ndarray
    code: np.ndarray
    unit: np.ndarray
    has_blood_test: np.ndarray


def visit_clinics(
    population: Population,
    body: Body,
    stays: Stays,
    *,
    death: np.ndarray,
    traits: np.ndarray,
    rng: np.random.Generator,
) -> Visits:
    """All contacts without a bed of living residents who are not in hospital.

    Args:
        population: everybody.
        body: their slow processes.
        stays: their stays, ordered by person and time.
        death: day of death, inf = alive, (n_people,).
        traits: fixed uniform draws of everybody, (n_people, 8).
        rng: the source of chance.
    """
    controls, treatments = _control_days(body, rng), _treatment_days(body, rng)
    assessed, before = _assessment_days(stays, rng)
    person = np.concatenate([controls[0], treatments[0], stays.person[assessed]])
    start = on_minute(np.concatenate([controls[1], treatments[1], before]))
    kind = np.repeat([CONTROL, TREATMENT, ASSESSMENT], [len(controls[0]), len(treatments[0]), len(assessed)])
    is_day = kind == TREATMENT
    hours = np.where(is_day, rng.uniform(3.0, 6.0, len(person)), rng.uniform(0.3, 0.8, len(person)))
    cancers = cancer_codes(traits[:, 6], body.is_haematological, population.is_female)
    code = _codes(person, body.severity(person, start), cancers, rng)
    code[is_day] = cancers[person[is_day]]
    code[kind == ASSESSMENT] = ASSESSMENT_CODE
    tested = (kind != CONTROL) | (rng.random(len(person)) < BLOOD_TEST_SHARE)
    keep = (start >= 0) & (start < END_DAYS - 1) & (start + 1.0 < death[person])
    keep &= population.lives_here(person, start) & _is_free(person, start, stays)
    order = np.lexsort((start, person))
    order = order[keep[order]]
    return Visits(
        person=person[order],
        start=start[order],
        end=on_minute(start + hours / 24.0)[order],
        is_day=is_day[order],
        code=code[order],
        unit=np.where(is_day, "DAG", "POL")[order],
        has_blood_test=tested[order],
    )


def visit_state(population: Population, body: Body, person: np.ndarray, days: np.ndarray) -> BodyState:
    """The body at blood tests outside stays: at rest, with what slow processes show."""
    zero = np.zeros(len(person))
    return BodyState(
        age=population.age(person, days),
        is_female=population.is_female[person],
        severity=body.severity(person, days),
        weakness=weakness_of(population, body, person, days),
        neutropenia=body.neutropenia(person, days),
        setpoints=body.setpoints[person],
        ill=zero - 1.2,
        sepsis=zero,
        slow=zero,
        infected=zero,
    )


def order_at_control(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which analytes are ordered outside stays, (k, len(ANALYTES)) bool."""
    share = np.array([analyte.at_control for analyte in ANALYTES])
    ordered = rng.random((len(days), len(ANALYTES))) < share
    ordered[:, ANALYTE_INDEX["hba1c"]] &= days >= HBA1C_FROM_DAYS
    return np.asarray(ordered)


def _control_days(body: Body, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Controls month by month, more for those with more disease."""
    n_people = len(body.onset)
    people, days = [], []
    everyone = np.arange(n_people)
    for month in range(int(END_DAYS / MONTH_DAYS)):
        first = month * MONTH_DAYS
        severity = body.severity(everyone, np.full(n_people, first))
        rate = CONTROLS_WITHOUT_DISEASE + (severity > 0) @ CONTROLS_PER_YEAR
        comes = rng.random(n_people) < np.minimum(rate, MOST_PER_YEAR) / 12.0
        day = np.floor(first + rng.random(n_people) * MONTH_DAYS)
        weekday = (day + 4) % 7  # 1 January 2016 was a Friday: 0 = Monday
        day += np.where(weekday >= 5, 7 - weekday, 0)
        people.append(everyone[comes])
        days.append((day + (8.5 + 6.0 * rng.random(n_people)) / 24.0)[comes])
    return np.concatenate(people), np.concatenate(days)


def _treatment_days(body: Body, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Chemotherapy as day treatment, in the morning."""
    person, cycle = np.nonzero(np.isfinite(body.chemotherapy))
    return person, body.chemotherapy[person, cycle] + rng.uniform(0.0, 0.12, len(person))


def _assessment_days(stays: Stays, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Assessments before planned stays: row of the stay, and day.

    None lies before an earlier stay, where it would tell that the patient survives to the planned one.
    """
    rows = np.flatnonzero(stays.is_planned & (rng.random(len(stays.person)) < ASSESSED_SHARE))
    wait = rng.uniform(ASSESSED_FROM_DAYS, ASSESSED_TO_DAYS, len(rows))
    day = np.floor(stays.admitted[rows] - wait) + (9.0 + 5.0 * rng.random(len(rows))) / 24.0
    earlier = np.maximum(rows - 1, 0)
    same = (rows > 0) & (stays.person[earlier] == stays.person[rows])
    clear = ~same | (stays.ended[earlier] + APART_DAYS < day)
    return rows[clear], day[clear]


def _codes(
    person: np.ndarray, severity: np.ndarray, cancers: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The disease that each control is about: one of those the person has, else something common."""
    score = np.where(severity > 0, rng.random(severity.shape) + 0.2 * severity, -1.0)
    about, has_any = np.argmax(score, axis=1), score.max(axis=1) >= 0
    code = np.array(GENERAL_CODES)[rng.integers(0, len(GENERAL_CODES), len(person))].astype("<U6")
    for index, name in enumerate(DISEASES):
        if name == "cancer":
            named = cancers[person]
        else:
            milder, worse = CHRONIC_CODES[name]
            named = np.where(severity[:, index] > WORSE_FROM, worse[0], milder[0])
        mask = has_any & (about == index)
        code[mask] = named[mask]
    return code


def _is_free(person: np.ndarray, start: np.ndarray, stays: Stays) -> np.ndarray:
    """Whether no stay is going on, just ended or about to begin."""
    span = 4.0 * END_DAYS
    begins = stays.person * span + stays.admitted
    before = np.searchsorted(begins, person * span + start, side="right") - 1
    last = np.maximum(before, 0)
    busy = (before >= 0) & (stays.person[last] == person) & (start < stays.ended[last] + APART_DAYS)
    after = np.minimum(before + 1, len(begins) - 1)
    soon = (before + 1 < len(begins)) & (stays.person[after] == person)
    soon &= stays.admitted[after] < start + APART_DAYS + 0.3
    return np.asarray(~busy & ~soon)
