"""What differs between hospitals and over time: a typed scenario, read from configs/scenarios/*.yaml.

The default hospitals differ in case-mix and in nothing else. Everything else that may differ (how diagnoses
are coded, what is measured and treated, which laboratory method and unit is used) is a `Change`: at one
hospital or all of them, from one date until another.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ontology.configuration import find_config, read_yaml, validate
from pipelines.simulate.analytes import ANALYTE_NAMES
from pipelines.simulate.clock import END, START, days_since_start
from pipelines.simulate.coding_errors import CodingErrors
from pipelines.simulate.planting import Planting

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Factor = Annotated[float, Field(gt=0.0, le=10.0)]


class Part(BaseModel):
    """A frozen part of a scenario that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hospital(Part):
    """One hospital and the patients that belong to it.

    Attributes:
        hospital_id: how the extract names it.
        share: share of the patients who live in its catchment.
        municipalities: four-digit municipality numbers of its catchment.
        age_shift_years: added to the ages of its patients.
        cancer_factor: on the rate at which its patients get cancer.
        immunosuppression_factor: on the rate at which its patients become immunosuppressed.
        planned_factor: on the rate of planned admissions.
    """

    hospital_id: str
    share: Annotated[float, Field(gt=0.0)]
    municipalities: tuple[str, ...]
    age_shift_years: float = 0.0
    cancer_factor: Factor = 1.0
    immunosuppression_factor: Factor = 1.0
    planned_factor: Factor = 1.0


class Coding(Part):
    """How a hospital codes what its patients had; a missing value leaves what held before.

    Attributes:
        sepsis_sensitivity: share of stays with sepsis that get an explicit sepsis code.
        sepsis_ppv: share of stays with an explicit sepsis code that had sepsis.
        known_focus_share: of the coded, infection with known focus and R65.1 or R57.2.
        unknown_focus_share: of the coded, A40 or A41 alone; the rest gets both.
        other_condition_share: share of chronic conditions that a stay's coding mentions.
    """

    sepsis_sensitivity: Share | None = None
    sepsis_ppv: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    known_focus_share: Share | None = None
    unknown_focus_share: Share | None = None
    other_condition_share: Share | None = None


class Practice(Part):
    """What is measured and done, relative to the common practice.

    Attributes:
        culture_factor: on the odds that blood cultures are taken.
        laboratory_factor: on the odds that an analyte is ordered.
        vitals_factor: on the number of rounds of vital signs a day.
        antibiotic_delay_factor: on the time to the first dose in sepsis.
        stay_length_factor: on the length of stays of more than a day.
    """

    culture_factor: Factor | None = None
    laboratory_factor: Factor | None = None
    vitals_factor: Factor | None = None
    antibiotic_delay_factor: Factor | None = None
    stay_length_factor: Factor | None = None


class Method(Part):
    """Another laboratory method for one analyte: reported value = value * factor + offset.

    Attributes:
        analyte: name of the analyte, one of `analytes.ANALYTES`.
        code: the NLK code that it is reported under.
        unit: the unit that it is reported in.
        factor: on the value.
        offset: added after the factor.
    """

    analyte: str
    code: str
    unit: str
    factor: Annotated[float, Field(gt=0.0)] = 1.0
    offset: float = 0.0


class Change(Part):
    """What holds at one hospital (or all) from a date, until another.

    Attributes:
        hospital_id: the hospital; null = all.
        from_date: the first day.
        until_date: the day after the last; null = to the end.
        coding: coding that changes.
        practice: practice that changes.
        methods: laboratory methods that change.
    """

    hospital_id: str | None = None
    from_date: date = date(2016, 1, 1)
    until_date: date | None = None
    coding: Coding = Coding()
    practice: Practice = Practice()
    methods: tuple[Method, ...] = ()


class Twins(Part):
    """Patients who are in the extract twice: as themselves, and as another with nearly the same record.

    Attributes:
        share: of the patients who get a twin.
        earlier_days: least and most whole days by which the twin's life lies earlier.
        birth_days: by how many days at most the twin's birth lies apart from that.
        jitter_minutes: how far at most a test, a sign, a dose or a culture is moved within its contact.
        value_noise: standard deviation of the log of values, relative to the patient's.
    """

    share: Annotated[float, Field(gt=0.0, le=1.0)]
    earlier_days: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 14)
    birth_days: Annotated[int, Field(ge=0)] = 60
    jitter_minutes: Annotated[int, Field(ge=0)] = 10
    value_noise: Annotated[float, Field(ge=0.0, le=1.0)] = 0.02


class Scenario(Part):
    """A simulated world: hospitals, the coding and practice they share, and what differs.

    Attributes:
        name: the scenario's name.
        description: what it is for, one sentence.
        hospitals: the hospitals.
        coding: the coding that all share.
        changes: what differs, later ones overriding earlier ones.
        infection_factor: on the odds of sepsis; below 1 for a younger or healthier hospital population.
        record_from: the first day of what the extract holds; patients are those admitted from then on.
        planted: questions and outcomes whose risk is a stated function of the record; null for none.
        twins: patients with a twin; null for none.
        coding_errors: coding errors of known truth, with innocent look-alikes; null for none.
    """

    name: str
    description: str = ""
    hospitals: tuple[Hospital, ...] = Field(min_length=1)
    coding: Coding
    changes: tuple[Change, ...] = ()
    infection_factor: Factor = 1.0
    record_from: date = START.date()
    planted: Planting | None = None
    twins: Twins | None = None
    coding_errors: CodingErrors | None = None

    @model_validator(mode="after")
    def _check(self) -> Scenario:
        known = {hospital.hospital_id for hospital in self.hospitals}
        strangers = sorted({change.hospital_id for change in self.changes if change.hospital_id} - known)
        if strangers:
            raise ValueError(f"changes name hospitals that are not listed: {', '.join(strangers)}")
        lacking = [name for name in Coding.model_fields if getattr(self.coding, name) is None]
        if lacking:
            raise ValueError(f"coding lacks {', '.join(lacking)}")
        methods = [method for change in self.changes for method in change.methods]
        unknown = sorted({method.analyte for method in methods} - set(ANALYTE_NAMES))
        if unknown:
            raise ValueError(f"methods name unknown analytes: {', '.join(unknown)}")
        if not START.date() <= self.record_from < END.date():
            raise ValueError(f"record_from must lie from {START.date()} until before {END.date()}")
        if self.coding_errors and (unheard := self.coding_errors.strangers(known)):
            raise ValueError(f"coding_errors name hospitals that are not listed: {', '.join(unheard)}")
        if self.coding_errors and self.twins:
            raise ValueError(
                "a twin repeats its patient's coding errors untold: leave twins or coding_errors out"
            )
        if self.planted and methods:
            raise ValueError("planted risks read one method an analyte: leave methods or planted out")
        return self


def coding_at(scenario: Scenario, name: str, hospitals: np.ndarray, days: np.ndarray) -> np.ndarray:
    """One coding parameter for each pair of hospital index and day, (n,) float64."""
    values = np.full(len(days), getattr(scenario.coding, name), dtype=np.float64)
    for change in scenario.changes:
        value = getattr(change.coding, name)
        if value is not None:
            values[in_change(scenario, change, hospitals, days)] = value
    return values


def practice_at(scenario: Scenario, name: str, hospitals: np.ndarray, days: np.ndarray) -> np.ndarray:
    """One practice factor for each pair of hospital index and day, (n,) float64; 1 where nothing is said."""
    values = np.ones(len(days), dtype=np.float64)
    for change in scenario.changes:
        value = getattr(change.practice, name)
        if value is not None:
            values[in_change(scenario, change, hospitals, days)] = value
    return values


def in_change(scenario: Scenario, change: Change, hospitals: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Whether a change holds for each pair of hospital index and day, (n,) bool."""
    holds = days >= days_since_start(change.from_date)
    if change.until_date is not None:
        holds &= days < days_since_start(change.until_date)
    if change.hospital_id is not None:
        ids = [hospital.hospital_id for hospital in scenario.hospitals]
        holds &= hospitals == ids.index(change.hospital_id)
    return np.asarray(holds)


def load_scenario(name_or_path: str | Path) -> Scenario:
    """The scenario of that name in configs/scenarios, or of that file.

    A file that says `based_on: NAME` takes every key that it does not give itself from that scenario.

    Raises:
        ConfigurationError: no such scenario, not YAML, or keys that are wrong; all of them at once.
    """
    file = find_config("scenarios", name_or_path)
    content = read_yaml(file)
    base = content.pop("based_on", None)
    if base is not None:
        content = load_scenario(base).model_dump() | content
    return validate(Scenario, content, where=file.name)
