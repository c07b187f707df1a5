"""The simulated hospital as a whole: people, their lives, what the hospital records of them, and the truth beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from ontology.errors import ConfigurationError, Problem
from pipelines.simulate import tables, truth
from pipelines.simulate.clock import END_DAYS
from pipelines.simulate.coding import CodingRates, code_stays, main_codes
from pipelines.simulate.contacts import Contacts, report_contacts
from pipelines.simulate.course import Course, follow
from pipelines.simulate.cultures import take_cultures, true_organism
from pipelines.simulate.disease import Body, draw_body
from pipelines.simulate.drugs import give_drugs
from pipelines.simulate.outpatient import Visits, visit_clinics
from pipelines.simulate.population import Population, draw_population
from pipelines.simulate.procedures import do_procedures
from pipelines.simulate.results import laboratory_rows
from pipelines.simulate.scenario import Coding, Scenario, coding_at, load_scenario, practice_at
from pipelines.simulate.stays import Stays, live
from pipelines.simulate.vitals import read_signs, take_rounds, vitals_table

DEFAULT_SCENARIO = "default"
PEOPLE_PER_PATIENT = 1.16
"""People drawn for each patient wanted; not everybody is ever admitted."""


@dataclass(frozen=True)
class World:
    """Everything that is simulated before it is recorded.

    Attributes:
        population, body: everybody.
        people: the patients of the extract, index into the population.
        patient_id: of everybody; 0 for those who are not in the extract.
        course: the recorded stays.
        visits: the recorded planned contacts.
        contacts: all contacts.
        death: day of death of everybody, inf = alive at the end.
    """

    population: Population
    body: Body
    people: np.ndarray
    patient_id: np.ndarray
    course: Course
    visits: Visits
    contacts: Contacts
    death: np.ndarray


def simulate(n_patients: int, seed: int, out: Path, scenario: Scenario | None = None) -> None:
    """Write the extract of a simulated hospital to OUT/extract and its truth to OUT/truth.

    The extract covers 2016-2025 and holds `n_patients` people who were admitted at least once; all times are local
    standard time. The same arguments give the same bytes.

    Args:
        n_patients: how many patients, at least 1.
        seed: of all chance.
        out: the folder to write to.
        scenario: what differs between hospitals and over time; the default where none is given.

    Raises:
        ConfigurationError: fewer than one patient asked for.
    """
    if n_patients < 1:
        raise ConfigurationError(
            Problem(
                "there must be at least one patient",
                where="patients",
                found=str(n_patients),
                allowed="1 or more",
            )
        )
    world_scenario = scenario or load_scenario(DEFAULT_SCENARIO)
    streams = [np.random.default_rng([seed, number]) for number in range(16)]
    world = make_world(n_patients, world_scenario, streams)
    extract, hidden = Path(out) / "extract", Path(out) / "truth"
    extract.mkdir(parents=True, exist_ok=True)
    hidden.mkdir(parents=True, exist_ok=True)
    _write(world, world_scenario, streams, extract, hidden)


def make_world(n_patients: int, scenario: Scenario, streams: list[np.random.Generator]) -> World:
    """Draw people until enough of them have been admitted, and keep the first that were."""
    n_people = int(np.ceil(n_patients * PEOPLE_PER_PATIENT)) + 40
    population = draw_population(n_people, scenario, streams[0])
    body = draw_body(population, scenario, streams[1])
    stays, death = live(population, body, scenario, streams[2])
    stays = stays.take(population.lives_here(stays.person, stays.admitted) & (stays.admitted < END_DAYS))
    people = np.unique(stays.person)[:n_patients]
    population = _stay_until_discharge(population, stays)
    visits = visit_clinics(population, body, stays, death, streams[3])
    chosen = np.zeros(n_people, dtype=bool)
    chosen[people] = True
    stays = stays.take(chosen[stays.person])
    visits = _take_visits(visits, chosen[visits.person])
    course = follow(stays, population, body, streams[4])
    patient_id = np.zeros(n_people, dtype=np.int64)
    patient_id[people] = tables.FIRST_PATIENT_ID + np.arange(len(people))
    contacts = report_contacts(course, visits, streams[5])
    return World(population, body, people, patient_id, course, visits, contacts, death)


def _stay_until_discharge(population: Population, stays: Stays) -> Population:
    """Nobody moves out of the catchment in the middle of a stay: the move waits until the day after."""
    residence = population.residence.copy()
    for window in range(residence.shape[1]):
        end = residence[stays.person, window, 1]
        inside = (stays.admitted < end) & (end < stays.ended + 1.0) & (end < END_DAYS)
        np.maximum.at(residence[:, window, 1], stays.person[inside], np.ceil(stays.ended[inside]) + 1.0)
    residence[:, 1, 0] = np.maximum(residence[:, 1, 0], residence[:, 0, 1])
    return replace(population, residence=residence)


def _take_visits(visits: Visits, rows: np.ndarray) -> Visits:
    return replace(visits, **{name: getattr(visits, name)[rows] for name in visits.__dataclass_fields__})


def _write(
    world: World, scenario: Scenario, streams: list[np.random.Generator], extract: Path, hidden: Path
) -> None:
    course, contacts, population = world.course, world.contacts, world.population
    stays, owner = course.stays, world.patient_id
    hospital, last_day = population.hospital[stays.person], stays.ended
    organism = true_organism(course, streams[6])
    main = main_codes(course, world.body.is_haematological[stays.person], streams[7])
    cultures = take_cultures(
        course, organism, practice_at(scenario, "culture_factor", hospital, stays.admitted), streams[8]
    )
    grown = np.zeros(len(main), dtype=bool)
    grown[cultures.stay[cultures.is_true]] = True
    rates = CodingRates(*(coding_at(scenario, name, hospital, last_day) for name in Coding.model_fields))
    traits = np.random.default_rng(streams[9].integers(2**63)).random((len(owner), 8))[stays.person]
    codes = code_stays(
        course, main, organism, grown, traits, world.body.is_haematological[stays.person], rates, streams[10]
    )
    doses = give_drugs(
        course, practice_at(scenario, "antibiotic_delay_factor", hospital, stays.admitted), streams[11]
    )
    procedures = do_procedures(course, contacts, streams[12])
    rounds, days = take_rounds(
        course, practice_at(scenario, "vitals_factor", hospital, stays.admitted), streams[13]
    )
    signs = read_signs(course, rounds, days, streams[13])
    contact_owner = owner[contacts.person]
    written = {
        "contacts": _contact_rows(world, scenario, streams[14]),
        "conditions": tables.conditions(codes, contacts, world.visits.code, main, contact_owner),
        "procedures": tables.procedure_rows(procedures, contacts, contact_owner),
        "drugs": tables.drug_rows(doses, contacts.at(doses.stay, doses.day), owner[stays.person[doses.stay]]),
        "blood_cultures": tables.culture_rows(
            cultures, contacts.at(cultures.stay, cultures.collected), owner[stays.person[cultures.stay]]
        ),
        "vital_signs": vitals_table(
            tables.FIRST_CONTACT_ID + contacts.at(rounds, days), owner[stays.person[rounds]], days, signs
        ),
        "laboratory": laboratory_rows(
            course, world.visits, contacts, population, world.body, scenario, owner, streams[15]
        ),
        **_person_tables(world, streams[14]),
    }
    for name, table in written.items():
        tables.write_table(table, extract / f"{name}.csv")
    _write_truth(world, main, organism, hidden)


def _contact_rows(world: World, scenario: Scenario, rng: np.random.Generator) -> pl.DataFrame:
    contacts, stays = world.contacts, world.course.stays
    names = np.array([hospital.hospital_id for hospital in scenario.hospitals])
    inside = contacts.stay >= 0
    stay = np.maximum(contacts.stay, 0)
    died = inside & contacts.is_last & stays.died_here[stay]
    weak = np.where(inside, stays.weakness[stay] + 0.06 * (world.course.age[stay] - 78.0), -9.0)
    logit = np.stack([-2.6 + 0.8 * weak, -2.0 + 0.8 * weak + 0.4 * stays.level[stay]], axis=1)
    away = rng.random(logit.shape) < 1 / (1 + np.exp(-logit))
    places = np.where(away, "sykehjem", "hjem")
    hospital = names[world.population.hospital[contacts.person]]
    return tables.contact_rows(contacts, world.patient_id[contacts.person], hospital, died, places)


def _person_tables(world: World, rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    people, death = world.people, world.death[world.people]
    stays = world.course.stays
    here = np.zeros(len(world.death), dtype=bool)
    here[stays.person[stays.died_here & (stays.ended < END_DAYS)]] = True
    died_here = here[people]
    as_known = np.where(
        died_here, death, np.where(np.isfinite(death), np.floor(death) + tables.LAST_MINUTE, np.inf)
    )
    ids = world.patient_id[people]
    delay = 1.0 + rng.geometric(0.4, len(people))
    return {
        "patients": tables.patients(world.population, people, ids),
        "deaths": tables.deaths(ids, death, died_here=died_here, delay=delay),
        "movements": tables.movements(world.population, people, ids, as_known),
    }


def _write_truth(world: World, main: np.ndarray, organism: np.ndarray, hidden: Path) -> None:
    stays, contacts = world.course.stays, world.contacts
    first = np.flatnonzero((contacts.stay >= 0) & contacts.is_first)
    contact_id = np.empty(len(stays.person), dtype=np.int64)
    contact_id[contacts.stay[first]] = tables.FIRST_CONTACT_ID + first
    ids = world.patient_id[stays.person]
    truth.risks_table(world.course, ids, contact_id).write_parquet(hidden / "risks.parquet")
    truth.stays_table(world.course, ids, contact_id, main, organism).write_parquet(hidden / "stays.parquet")
    truth.patients_table(
        world.population, world.body, world.people, world.patient_id[world.people], world.death
    ).write_parquet(hidden / "patients.parquet")
