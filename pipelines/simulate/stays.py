"""Lives in time: acute and planned admissions, their outcomes, readmissions and death, for all people at once.

Time goes in short steps with constant hazards; whoever has an event in a step is handled together with all others
who have one. What a stay leaves behind (instability after discharge, memory of infection, what is left of the risk
of death) changes what comes next.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipelines.simulate.clock import END_DAYS, YEAR_DAYS, on_minute
from pipelines.simulate.disease import DISEASES, Body
from pipelines.simulate.fate import Fates
from pipelines.simulate.joint import ACUITY, LATE_FROM_DAYS, Patients, joint_of
from pipelines.simulate.outcomes import EARLY, LATE, SHORT, Drawn, Timing, draw_outcomes
from pipelines.simulate.population import Population
from pipelines.simulate.reasons import IS_INFECTION, column
from pipelines.simulate.scenario import Scenario, practice_at

ACUTE_PER_YEAR, PLANNED_PER_YEAR, DEATH_PER_YEAR = 0.20, 0.085, 0.0065
INSTABILITY, INSTABILITY_DAYS = 1.3, 12.0
MEMORY_DAYS = 150.0
LONGEST_STEP_DAYS, STEP_AFTER_DISCHARGE_DAYS, STEP_NEAR_CHEMOTHERAPY_DAYS = 45.0, 8.0, 4.0
LONGEST_STAY_DAYS = 75.0
_LENGTH = column("length_days")
_CKD, _CANCER, _DEMENTIA = DISEASES.index("ckd"), DISEASES.index("cancer"), DISEASES.index("dementia")


@dataclass(frozen=True)
class Stays:
    """One row a stay, ordered by person and admission; days count from 1 January 2016.

    Attributes:
        person: index into the population.
        admitted, ended: days; ended is discharge or death in hospital.
        is_planned, died_here: bool.
        reason, acuity, trend: latent cell, indices.
        stay_class: EARLY, SHORT, LATE or NONE, as drawn.
        onset: day of sepsis onset, NaN without sepsis.
        weakness, immune, memory, neutropenia: latent state at admission.
        sepsis_at_admission, death_at_admission, sepsis_at_24h, death_at_24h: true risks.
        death: day of death of the person if it comes within 31 days of the admission, else inf.
    """

    person: np.ndarray
    admitted: np.ndarray
    ended: np.ndarray
    is_planned: np.ndarray
    died_here: np.ndarray
    reason: np.ndarray
    acuity: np.ndarray
    trend: np.ndarray
    stay_class: np.ndarray
    onset: np.ndarray
    weakness: np.ndarray
    immune: np.ndarray
    memory: np.ndarray
    neutropenia: np.ndarray
    sepsis_at_admission: np.ndarray
    death_at_admission: np.ndarray
    sepsis_at_24h: np.ndarray
    death_at_24h: np.ndarray
    death: np.ndarray

    def take(self, rows: np.ndarray) -> Stays:
        """Some of the stays, by index or mask."""
        return Stays(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def level(self) -> np.ndarray:
        """Acuity as a number, 0 = average."""
        return np.asarray(ACUITY[self.acuity])


@dataclass
class _Lives:
    """What changes as time goes on, one row a person."""

    now: np.ndarray
    discharged: np.ndarray
    unstable: np.ndarray
    infected: np.ndarray
    insult: np.ndarray
    death: np.ndarray


def live(
    population: Population, body: Body, scenario: Scenario, rng: np.random.Generator
) -> tuple[Stays, np.ndarray]:
    """All stays from 2016 to 2025 wherever the person lives, and the day of death of every person (inf = alive)."""
    n_people = len(population.birth)
    lives = _Lives(
        now=np.zeros(n_people),
        discharged=np.full(n_people, -np.inf),
        unstable=np.zeros(n_people),
        infected=np.full(n_people, -np.inf),
        insult=np.zeros(n_people),
        death=np.full(n_people, np.inf),
    )
    fates = Fates(n_people)
    stays: list[Stays] = []
    active = np.arange(n_people)
    while len(active):
        admitted, planned = _step(active, lives, fates, population, body, scenario, rng)
        if len(admitted):
            stays.append(_admit(admitted, planned, lives, fates, population, body, scenario, rng))
        active = active[np.isinf(lives.death[active]) & (lives.now[active] < END_DAYS)]
    joined = Stays(
        **{f.name: np.concatenate([getattr(part, f.name) for part in stays]) for f in fields(Stays)}
    )
    return joined.take(np.lexsort((joined.admitted, joined.person))), lives.death


def describe(
    people: np.ndarray,
    days: np.ndarray,
    planned: np.ndarray,
    infected: np.ndarray,
    insult: np.ndarray,
    population: Population,
    body: Body,
    scenario: Scenario,
) -> Patients:
    """The latent state of some people at their days."""
    severity = body.severity(people, days)
    decades = (population.age(people, days) - 75.0) / 10.0
    neutropenia = body.neutropenia(people, days)
    weakness = (
        -1.0 * (body.reserve_at(people, days) + insult) - 2.0 * body.drift_at(people, days) + 0.12 * decades
    ) * 1.05
    named = dict(zip(DISEASES, severity.T, strict=True))
    immune = (
        0.50 * named["immunosuppression"]
        + 1.3 * neutropenia
        + 0.22 * named["diabetes"]
        + 0.40 * named["liver"]
        + 0.22 * named["ckd"]
        + 0.18 * named["cancer"]
    )
    mortal = (
        0.30 * decades
        + 0.40 * named["cancer"]
        + 0.28 * named["dementia"]
        + 0.22 * named["heart_failure"]
        + 0.18 * named["copd"]
        + 0.35 * named["liver"]
        + 0.12 * named["ckd"]
    )
    extra = [
        weakness,
        neutropenia,
        (severity[:, _CKD] >= 2.6).astype(float),
        population.is_female[people].astype(float),
        decades,
    ]
    return Patients(
        drivers=np.column_stack([severity, *extra]),
        weakness=weakness,
        immune=immune,
        memory=np.exp(-(days - infected) / MEMORY_DAYS),
        mortal=mortal,
        is_planned=planned,
        infection_log_odds=float(np.log(scenario.infection_factor)),
    )


def _step(
    active: np.ndarray,
    lives: _Lives,
    fates: Fates,
    population: Population,
    body: Body,
    scenario: Scenario,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Move everyone to the next event or the end of the step; returns who is admitted, and whether planned."""
    now = lives.now[active]
    hazards = _hazards(active, lives, fates, population, body, scenario)
    total = hazards.sum(axis=1)
    wait = rng.exponential(size=len(active)) / total
    longest = _step_length(active, lives, fates, body)
    happens = wait < longest
    then = now + np.where(happens, wait, longest)
    kind = (rng.random(len(active))[:, None] * total[:, None] > np.cumsum(hazards, axis=1)).sum(axis=1)
    hour = rng.random((len(active), 2))
    admitted = happens & (kind < 2)
    is_planned = kind == 1
    clock = np.where(is_planned, 7.0 + 2.0 * hour[:, 0], _acute_hour(hour))
    then = np.where(admitted, on_minute(np.floor(then) + 1.0 + clock / 24.0), then)
    dead = happens & (kind == 2)
    lives.death[active[dead]] = then[dead]
    fated = fates.death[active] <= then
    lives.death[active[fated]] = fates.death[active][fated]
    lives.now[active] = then
    admitted &= np.isinf(lives.death[active]) & (then < END_DAYS) & fates.has_room(active)
    return active[admitted], is_planned[admitted]


def _acute_hour(uniform: np.ndarray) -> np.ndarray:
    """Hour of an acute admission: half of them spread over the day, half around the afternoon."""
    afternoon = 15.0 + 8.0 * (uniform[:, 0] + uniform[:, 1] - 1.0)
    return np.where(uniform[:, 1] < 0.5, 24.0 * uniform[:, 0], np.clip(afternoon, 0.0, 23.9))


def _hazards(
    active: np.ndarray, lives: _Lives, fates: Fates, population: Population, body: Body, scenario: Scenario
) -> np.ndarray:
    """Hazards a day of acute admission, planned admission and death outside a window, (k, 3)."""
    now = lives.now[active]
    nobody_planned = np.zeros(len(active), dtype=bool)
    state = describe(
        active, now, nobody_planned, lives.infected[active], lives.insult[active], population, body, scenario
    )
    severity = state.drivers[:, : len(DISEASES)]
    decades = state.drivers[:, -1]
    burden = severity.sum(axis=1)
    since = now - lives.discharged[active]
    unstable = 1.0 + INSTABILITY * lives.unstable[active] * np.exp(-since / INSTABILITY_DAYS)
    acute = ACUTE_PER_YEAR * unstable * np.exp(0.30 * burden + 0.40 * state.weakness + 0.15 * decades)
    acute *= 1.0 + 4.0 * state.drivers[:, len(DISEASES) + 1]
    factor = np.array([h.planned_factor for h in scenario.hospitals])[population.hospital[active]]
    planned = (
        PLANNED_PER_YEAR * factor * np.exp(0.12 * burden + 0.35 * severity[:, _CANCER] - 0.05 * decades**2)
    )
    death = DEATH_PER_YEAR * np.exp(
        0.75 * decades + 0.6 * state.weakness + 0.9 * state.mortal - 0.27 * decades
    )
    death = np.where(now < fates.window_end[active], 0.0, death)
    return np.asarray(np.minimum(np.column_stack([acute, planned, death]), 30.0) / YEAR_DAYS)


def _step_length(active: np.ndarray, lives: _Lives, fates: Fates, body: Body) -> np.ndarray:
    """Days during which the hazards may be taken as constant; never past the end of a window."""
    now = lives.now[active]
    length = np.where(now - lives.discharged[active] < 45.0, STEP_AFTER_DISCHARGE_DAYS, LONGEST_STEP_DAYS)
    since = now[:, None] - body.chemotherapy[active]
    near = ((since > -LONGEST_STEP_DAYS) & (since < 16.0)).any(axis=1)
    length = np.where(near, STEP_NEAR_CHEMOTHERAPY_DAYS, length)
    left = fates.window_end[active] - now
    return np.asarray(np.where(left > 0, np.minimum(length, left), length))


def _admit(
    people: np.ndarray,
    planned: np.ndarray,
    lives: _Lives,
    fates: Fates,
    population: Population,
    body: Body,
    scenario: Scenario,
    rng: np.random.Generator,
) -> Stays:
    """Draw these stays and what they leave behind."""
    days = lives.now[people]
    state = describe(
        people, days, planned, lives.infected[people], lives.insult[people], population, body, scenario
    )
    joint = joint_of(state)
    fates.advance(people, days)
    marginal = joint.marginal_death()
    risk = fates.admit(people, days, marginal)
    timing = Timing(*(fates.cdf(people, days + after) for after in (1.0, LATE_FROM_DAYS, 30.0)))
    dies = fates.settle(people, days, rng.random((len(people), 2)))
    drawn = draw_outcomes(joint, risk, marginal, dies, timing, rng.random(len(people)))
    fates.risk[people] = drawn.death_in_window
    stretch = practice_at(scenario, "stay_length_factor", population.hospital[people], days)
    onset, ended = _times(drawn, days, fates.death[people], stretch, rng)
    died_here = fates.death[people] <= ended
    lives.death[people[died_here]] = fates.death[people][died_here]
    ended = on_minute(np.where(died_here, fates.death[people], ended))
    _leave_behind(people, drawn, days, onset, ended, lives, rng)
    return Stays(
        person=people,
        admitted=days,
        ended=ended,
        is_planned=planned,
        died_here=died_here,
        reason=drawn.reason,
        acuity=drawn.acuity,
        trend=drawn.trend,
        stay_class=drawn.stay_class,
        onset=onset,
        weakness=state.weakness,
        immune=state.immune,
        memory=state.memory,
        neutropenia=state.drivers[:, len(DISEASES) + 1],
        sepsis_at_admission=drawn.sepsis_at_admission,
        death_at_admission=drawn.death_at_admission,
        sepsis_at_24h=drawn.sepsis_at_24h,
        death_at_24h=drawn.death_at_24h,
        death=fates.death[people].copy(),
    )


def _times(
    drawn: Drawn, days: np.ndarray, death: np.ndarray, stretch: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Onset of sepsis and the planned end of the stay; death is not known to the planned end.

    Where death comes before the planned end, a late onset is drawn nearer, so that it comes before death.
    """
    n_stays = len(days)
    normal, uniform = rng.standard_normal((2, n_stays)), rng.random((3, n_stays))
    waiting = LATE_FROM_DAYS + rng.gamma(1.3, 2.3, n_stays)
    level = ACUITY[drawn.acuity]
    length = (
        _LENGTH[drawn.reason] * stretch * np.exp(0.22 * level + 0.10 * (drawn.trend - 1.0) + 0.55 * normal[0])
    )
    recovery = 6.0 * stretch * np.exp(0.6 * normal[1])
    length = np.where(drawn.stay_class == EARLY, np.maximum(length, 1.0) + 0.6 * recovery, length)
    length = np.where(drawn.stay_class == LATE, waiting + recovery, length)
    length = np.clip(length, 25.0 / 24.0, LONGEST_STAY_DAYS)
    length = np.where(drawn.stay_class == SHORT, (4.0 + 19.0 * uniform[0]) / 24.0, length)
    planned_end = _by_daylight(days, length, uniform[1], drawn.stay_class == SHORT)
    waiting = np.minimum(waiting, planned_end - days - 0.25)
    here = death < planned_end
    since = np.maximum(death - days - LATE_FROM_DAYS, 0.0)
    waiting = np.where(here, np.minimum(waiting, LATE_FROM_DAYS + 0.6 * since), waiting)
    onset = np.where(drawn.stay_class == LATE, days + waiting, np.nan)
    onset[(drawn.stay_class == LATE) & (death <= days + LATE_FROM_DAYS)] = np.nan
    at_once = (uniform[2] * 1.5 - 0.9) * np.where(uniform[2] < 0.6, 0.4, 1.4)
    early = days + np.where(here, np.minimum(at_once, 0.5 * (death - days)), at_once)
    onset = np.where(drawn.stay_class == EARLY, np.minimum(early, days + 0.95), onset)
    return on_minute(onset), on_minute(planned_end)


def _by_daylight(
    days: np.ndarray, length: np.ndarray, uniform: np.ndarray, is_short: np.ndarray
) -> np.ndarray:
    """The end of the stay moved to between 10 and 16 o'clock, never to less than 25 hours."""
    raw = days + length
    daylight = np.floor(raw) + (10.0 + 6.0 * uniform) / 24.0
    return np.where(is_short, raw, np.maximum(daylight, days + 25.0 / 24.0))


def _leave_behind(
    people: np.ndarray,
    drawn: Drawn,
    days: np.ndarray,
    onset: np.ndarray,
    ended: np.ndarray,
    lives: _Lives,
    rng: np.random.Generator,
) -> None:
    """Instability after discharge, memory of infection, loss of reserve; and when the person may be ill again."""
    septic = np.isfinite(onset)
    lives.discharged[people] = ended
    lives.unstable[people] = np.exp(0.35 * ACUITY[drawn.acuity] + 0.3 * (drawn.trend - 1.0)) * 0.9
    infected = septic | (IS_INFECTION[drawn.reason] & (rng.random(len(people)) < 0.35))
    lives.infected[people] = np.where(infected, ended, lives.infected[people])
    lives.insult[people] -= 0.10 * septic + 0.03 * (ACUITY[drawn.acuity] > 1)
    lives.now[people] = np.maximum(ended + 0.5, days + 1.0)
