"""The simulated hospital: writes what an extract of it would hold, and the truth apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ontology.errors import ConfigurationError, Problem
from pipelines.simulate import tables, truth
from pipelines.simulate.clock import END_DAYS
from pipelines.simulate.coding import Cases, CodingRates, code_stays, main_codes
from pipelines.simulate.coding_error_planting import plant_errors
from pipelines.simulate.cultures import Cultures, take_cultures, true_organism
from pipelines.simulate.drugs import give_drugs
from pipelines.simulate.forms import FORMS, Form, write_form
from pipelines.simulate.planted import plant
from pipelines.simulate.procedures import do_procedures
from pipelines.simulate.results import laboratory_rows
from pipelines.simulate.scenario import Coding, Scenario, coding_at, load_scenario, practice_at
from pipelines.simulate.twins import add_twins
from pipelines.simulate.vitals import read_signs, take_rounds, vitals_table
from pipelines.simulate.world import World, make_world

DEFAULT_SCENARIO = "default"
_RECORDING = 100
"""Streams of chance from this number on are used for recording, those below for what happens."""


def simulate(
    n_patients: int,
    seed: int,
    out: Path,
    scenario: Scenario | None = None,
    forms: Sequence[Form] = ("extract",),
) -> None:
    """Write the extract of a simulated hospital to OUT/extract and its truth to OUT/truth.

    The extract covers 2016-2025 and holds `n_patients` people who were admitted at least once; all times are
    local standard time. The same arguments give the same bytes.

    Args:
        n_patients: how many patients, at least 1.
        seed: of all chance, 0 or more.
        out: the folder to write to.
        scenario: what differs between hospitals and over time; the default where none is given.
        forms: in which forms the same records are written, each to OUT/form.

    Raises:
        ConfigurationError: fewer than one patient asked for, a negative seed, or a form that is not known.
    """
    _check(n_patients, seed, forms)
    chosen = scenario or load_scenario(DEFAULT_SCENARIO)
    world = make_world(n_patients, seed, chosen)
    hidden = Path(out) / "truth"
    hidden.mkdir(parents=True, exist_ok=True)
    written, hidden_tables = _Recorder(world, chosen, seed).written()
    for form in FORMS:
        if form in forms:
            write_form(form, written, Path(out))
    for name, table in hidden_tables.items():
        table.write_parquet(hidden / f"{name}.parquet")


def _check(n_patients: int, seed: int, forms: Sequence[str]) -> None:
    problems = [
        Problem(f"{name} is too small", where=name, found=str(given), allowed=f"{least} or more")
        for name, given, least in (("patients", n_patients, 1), ("seed", seed, 0))
        if given < least
    ]
    problems += [
        Problem("no such form", where="form", found=form, allowed=", ".join(FORMS))
        for form in forms
        if form not in FORMS
    ]
    if problems:
        raise ConfigurationError(problems)


class _Recorder:
    """What the hospital writes down of a world; each kind of record has its own stream of chance."""

    def __init__(self, world: World, scenario: Scenario, seed: int) -> None:
        self.world, self.scenario, self.seed = world, scenario, seed
        self.stays = world.course.stays
        self.organism = true_organism(world.course, self._stream(0))
        is_haematological = world.body.is_haematological[self.stays.person]
        self.main = main_codes(world.course, is_haematological, self._stream(1))

    def _stream(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, _RECORDING + number])

    def _practice(self, name: str) -> np.ndarray:
        return practice_at(self.scenario, name, self.world.hospital, self.stays.admitted)

    def written(self) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
        """The tables of the extract and of the truth, by name, with what the scenario plants in them."""
        tables, hidden = self.tables(), self.truth()
        if self.scenario.planted:
            tables["planted"], risks = plant(
                self.scenario.planted,
                tables,
                self.stays,
                patient_id=self.world.stay_patient_id,
                contact_id=self._first_contact_id(),
                rng=self._stream(10),
            )
            hidden["risks"] = pl.concat([hidden["risks"], risks]).sort(
                "task", "patient_id", "prediction_time"
            )
        if self.scenario.twins:
            tables, hidden["twins"] = add_twins(tables, self.scenario.twins, self._stream(11))
        if self.scenario.coding_errors:
            tables, hidden["coding_errors"] = plant_errors(
                self.scenario.coding_errors,
                tables,
                self.world,
                self._cases(self._cultures()),
                self.scenario.hospitals,
                rng=self._stream(12),
            )
        return tables, hidden

    def tables(self) -> dict[str, pl.DataFrame]:
        """All tables of the extract, by name."""
        world, contacts = self.world, self.world.contacts
        owner = world.patient_id[contacts.person]
        cultures = self._cultures()
        doses = give_drugs(world.course, self._practice("antibiotic_delay_factor"), self._stream(4))
        procedures = do_procedures(world.course, contacts, self._stream(5))
        codes = code_stays(self._cases(cultures), self._rates(), self._stream(3))
        return {
            **self._people(),
            "contacts": self._contacts(),
            "conditions": tables.conditions(codes, contacts, world.visits.code, self.main, owner),
            "procedures": tables.procedure_rows(procedures, contacts, owner),
            "laboratory": laboratory_rows(world, self.scenario, self._stream(6)),
            "drugs": tables.drug_rows(
                doses, contacts.at(doses.stay, doses.day), world.stay_patient_id[doses.stay]
            ),
            "vital_signs": self._vital_signs(),
            "blood_cultures": tables.culture_rows(
                cultures,
                contacts.at(cultures.stay, cultures.collected),
                world.stay_patient_id[cultures.stay],
            ),
        }

    def _cultures(self) -> Cultures:
        factor = self._practice("culture_factor")
        return take_cultures(self.world.course, self.organism, factor, self._stream(2))

    def _rates(self) -> CodingRates:
        """Coding as it is done where and when each stay ends."""
        world = self.world
        return CodingRates(
            *(
                coding_at(self.scenario, name, world.hospital, self.stays.ended)
                for name in Coding.model_fields
            )
        )

    def _cases(self, cultures: Cultures) -> Cases:
        grown = np.zeros(len(self.main), dtype=bool)
        grown[cultures.stay[cultures.is_true]] = True
        person = self.stays.person
        return Cases(
            course=self.world.course,
            main=self.main,
            organism=self.organism,
            is_grown=grown,
            traits=self.world.traits[person],
            is_haematological=self.world.body.is_haematological[person],
            is_female=self.world.population.is_female[person],
        )

    def _vital_signs(self) -> pl.DataFrame:
        course, rng = self.world.course, self._stream(7)
        rounds, days = take_rounds(course, self._practice("vitals_factor"), rng)
        contact = tables.FIRST_CONTACT_ID + self.world.contacts.at(rounds, days)
        return vitals_table(
            contact, self.world.stay_patient_id[rounds], days, read_signs(course, rounds, days, rng)
        )

    def _contacts(self) -> pl.DataFrame:
        """Contacts, with where patients come from and go to: the weak and old more often a nursing home."""
        contacts, stays = self.world.contacts, self.stays
        inside, stay = contacts.stay >= 0, np.maximum(contacts.stay, 0)
        need = stays.weakness[stay] + 0.06 * (self.world.course.age[stay] - 78.0)
        weak = np.where(inside, need, -9.0)
        logit = np.stack([-2.6 + 0.8 * weak, -2.0 + 0.8 * weak + 0.4 * stays.level[stay]], axis=1)
        uniform = self._stream(8).random(logit.shape)
        names = np.array([hospital.hospital_id for hospital in self.scenario.hospitals])
        return tables.contact_rows(
            contacts,
            self.world.patient_id[contacts.person],
            names[self.world.population.hospital[contacts.person]],
            died=inside & contacts.is_last & stays.died_here[stay],
            places=np.where(uniform < 1.0 / (1.0 + np.exp(-logit)), "sykehjem", "hjem"),
        )

    def _people(self) -> dict[str, pl.DataFrame]:
        """Patients, deaths and movements; outside hospital only the date of death is known."""
        world, stays = self.world, self.stays
        here = np.zeros(len(world.death), dtype=bool)
        here[stays.person[stays.died_here & (stays.ended < END_DAYS)]] = True
        people, ids = world.people, world.patient_id[world.people]
        died_here, death = here[people], world.death[people]
        day = np.floor(np.where(np.isfinite(death), death, 0.0)) + tables.LAST_MINUTE
        delay = 1.0 + self._stream(9).geometric(0.4, len(people))
        registered = np.floor(death) + np.where(died_here, 0.0, delay)
        as_known = np.where(died_here, death, day)
        as_known = np.where(registered < END_DAYS, as_known, np.inf)
        return {
            "patients": tables.patients(world.population, people, ids),
            "deaths": tables.deaths(ids, death, died_here=died_here, registered=registered),
            "movements": tables.movements(world.population, people, ids, as_known),
        }

    def truth(self) -> dict[str, pl.DataFrame]:
        """The tables of the truth, by name."""
        world, contact_id = self.world, self._first_contact_id()
        ids = world.stay_patient_id
        return {
            "risks": truth.risks_table(world.course, ids, contact_id),
            "stays": truth.stays_table(world.course, ids, contact_id, self.main, self.organism),
            "patients": truth.patients_table(world),
        }

    def _first_contact_id(self) -> np.ndarray:
        """The first contact of each stay, as in the extract."""
        contacts = self.world.contacts
        first = np.flatnonzero((contacts.stay >= 0) & contacts.is_first)
        contact_id = np.empty(len(self.stays.person), dtype=np.int64)
        contact_id[contacts.stay[first]] = tables.FIRST_CONTACT_ID + first
        return contact_id
