"""Lives in time: acute and planned admissions, outcomes, readmissions and death, for all people at once.

Time goes in short steps with constant hazards; whoever has an event in a step is handled together with all
others who have one. What a stay leaves behind (instability after discharge, memory of infection, lost
reserve, what is left of the risk of death) changes what comes next.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from pipelines.simulate.clock import END_DAYS, YEAR_DAYS, on_minute
from pipelines.simulate.disease import DISEASES, Body
from pipelines.simulate.fate import Fates
from pipelines.simulate.joint import ACUITY, LATE_FROM_DAYS, Patients, joint_of
from pipelines.simulate.lengths import draw_times
from pipelines.simulate.outcomes import Drawn, Timing, draw_outcomes
from pipelines.simulate.population import Population
from pipelines.simulate.reasons import IS_INFECTION
from pipelines.simulate.scenario import Scenario, practice_at
from pipelines.simulate.state import state_of
from pipelines.simulate.stays import Stays

ACUTE_PER_YEAR, PLANNED_PER_YEAR, DEATH_PER_YEAR = 0.20, 0.085, 0.0065
INSTABILITY, INSTABILITY_DAYS, UNSTABLE_UNTIL_DAYS = 1.3, 12.0, 45.0
LONGEST_STEP_DAYS, STEP_AFTER_DISCHARGE_DAYS, STEP_NEAR_CHEMOTHERAPY_DAYS = 45.0, 8.0, 4.0
HIGHEST_PER_YEAR = 30.0
ACUTE, PLANNED, DEATH = 0, 1, 2
_CANCER, _N = DISEASES.index("cancer"), len(DISEASES)


def live(
    population: Population, body: Body, scenario: Scenario, rng: np.random.Generator
) -> tuple[Stays, np.ndarray]:
    """All stays from 2016 to 2025 wherever the person lives, and everybody's day of death (inf = alive)."""
    process = _Process(population, body, scenario, rng)
    stays: list[Stays] = []
    active = np.arange(len(population.birth))
    while len(active):
        admitted, planned = process.step(active)
        if len(admitted):
            stays.append(process.admit(admitted, planned))
        active = active[np.isinf(process.death[active]) & (process.now[active] < END_DAYS)]
    joined = Stays(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in stays])
            for field in fields(Stays)
        }
    )
    return joined.take(np.lexsort((joined.admitted, joined.person))), process.death


class _Process:
    """What changes in every person as time goes on, (n,) each.

    Attributes:
        now: the day that the person has reached.
        discharged: end of the last stay; -inf before the first.
        unstable: how unstable the last discharge was.
        infected: end of the last stay with sepsis or serious infection.
        insult: reserve that stays have taken, at most 0.
        death: day of death, inf = alive.
        fates: the windows of 31 days after admissions.
    """

    def __init__(
        self, population: Population, body: Body, scenario: Scenario, rng: np.random.Generator
    ) -> None:
        n_people = len(population.birth)
        self.population, self.body, self.scenario, self.rng = population, body, scenario, rng
        self.planned_factor = np.array([h.planned_factor for h in scenario.hospitals])[population.hospital]
        self.now = np.zeros(n_people)
        self.discharged = np.full(n_people, -np.inf)
        self.unstable = np.zeros(n_people)
        self.infected = np.full(n_people, -np.inf)
        self.insult = np.zeros(n_people)
        self.death = np.full(n_people, np.inf)
        self.fates = Fates(n_people)

    def step(self, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move these people to their next event or the end of the step; who is admitted, and if planned."""
        hazards = self._hazards(active)
        total = hazards.sum(axis=1)
        wait, longest = self.rng.exponential(size=len(active)) / total, self._step_length(active)
        happens = wait < longest
        then = self.now[active] + np.where(happens, wait, longest)
        target = self.rng.random(len(active)) * total
        kind = (target[:, None] > np.cumsum(hazards, axis=1)).sum(axis=1)
        uniform = self.rng.random((len(active), 2))
        admitted, is_planned = happens & (kind != DEATH), kind == PLANNED
        hour = np.where(is_planned, 7.0 + 2.0 * uniform[:, 0], _acute_hour(uniform))
        then = np.where(admitted, on_minute(np.floor(then) + 1.0 + hour / 24.0), then)
        dead = happens & (kind == DEATH)
        self.death[active[dead]] = then[dead]
        fated = active[self.fates.death[active] <= then]
        self.death[fated] = self.fates.death[fated]
        self.now[active] = then
        admitted &= np.isinf(self.death[active]) & (then < END_DAYS) & self.fates.has_room(active)
        return active[admitted], is_planned[admitted]

    def _state(self, people: np.ndarray, planned: np.ndarray) -> Patients:
        return state_of(
            self.population,
            self.body,
            people,
            self.now[people],
            planned=planned,
            infected=self.infected[people],
            insult=self.insult[people],
            infection_log_odds=float(np.log(self.scenario.infection_factor)),
        )

    def _hazards(self, active: np.ndarray) -> np.ndarray:
        """Hazards a day of acute admission, planned admission and death outside a window, (k, 3)."""
        state = self._state(active, np.zeros(len(active), dtype=bool))
        severity, neutropenia, decades = state.drivers[:, :_N], state.drivers[:, _N + 1], state.drivers[:, -1]
        burden = severity.sum(axis=1)
        since = self.now[active] - self.discharged[active]
        acute = ACUTE_PER_YEAR * np.exp(0.30 * burden + 0.40 * state.weakness + 0.15 * decades)
        acute *= 1.0 + INSTABILITY * self.unstable[active] * np.exp(-since / INSTABILITY_DAYS)
        acute *= 1.0 + 4.0 * neutropenia
        planned = PLANNED_PER_YEAR * self.planned_factor[active]
        planned = planned * np.exp(0.12 * burden + 0.35 * severity[:, _CANCER] - 0.05 * decades**2)
        death = DEATH_PER_YEAR * np.exp(0.48 * decades + 0.6 * state.weakness + 0.9 * state.mortal)
        death = np.where(self.now[active] < self.fates.window_end[active], 0.0, death)
        return np.asarray(np.minimum(np.column_stack([acute, planned, death]), HIGHEST_PER_YEAR) / YEAR_DAYS)

    def _step_length(self, active: np.ndarray) -> np.ndarray:
        """Days during which the hazards may be taken as constant; never past the end of a window."""
        now = self.now[active]
        recent = now - self.discharged[active] < UNSTABLE_UNTIL_DAYS
        length = np.where(recent, STEP_AFTER_DISCHARGE_DAYS, LONGEST_STEP_DAYS)
        since = now[:, None] - self.body.chemotherapy[active]
        near = ((since > -LONGEST_STEP_DAYS) & (since < 16.0)).any(axis=1)
        length = np.where(near, STEP_NEAR_CHEMOTHERAPY_DAYS, length)
        left = self.fates.window_end[active] - now
        return np.asarray(np.where(left > 0, np.minimum(length, left), length))

    def admit(self, people: np.ndarray, planned: np.ndarray) -> Stays:
        """Draw the stays of these people, and what they leave behind."""
        days, state = self.now[people], self._state(people, planned)
        drawn = self._draw(people, state)
        hospital = self.population.hospital[people]
        stretch = practice_at(self.scenario, "stay_length_factor", hospital, days)
        onset, planned_end = draw_times(drawn, days, self.fates.death[people], stretch, self.rng)
        died_here = self.fates.death[people] <= planned_end
        self.death[people[died_here]] = self.fates.death[people][died_here]
        ended = np.where(died_here, on_minute(self.fates.death[people]), planned_end)
        self._leave_behind(people, drawn, ended, np.isfinite(onset))
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
            neutropenia=state.drivers[:, _N + 1],
            sepsis_at_admission=drawn.sepsis_at_admission,
            death_at_admission=drawn.death_at_admission,
            sepsis_at_24h=drawn.sepsis_at_24h,
            death_at_24h=drawn.death_at_24h,
            death=self.fates.death[people].copy(),
        )

    def _draw(self, people: np.ndarray, state: Patients) -> Drawn:
        """Fate first, then everything else given the fate; the risk that remains is kept for readmissions."""
        days, joint = self.now[people], joint_of(state)
        marginal = joint.marginal_death()
        self.fates.advance(people, days)
        risk = self.fates.admit(people, days, marginal)
        timing = Timing(*(self.fates.cdf(people, days + after) for after in (1.0, LATE_FROM_DAYS, 30.0)))
        dies = self.fates.settle(people, days, self.rng.random((len(people), 2)))
        uniform = self.rng.random(len(people))
        drawn = draw_outcomes(joint, risk, marginal, dies=dies, timing=timing, uniform=uniform)
        self.fates.risk[people] = drawn.death_in_window
        return drawn

    def _leave_behind(
        self, people: np.ndarray, drawn: Drawn, ended: np.ndarray, is_septic: np.ndarray
    ) -> None:
        """Instability, memory of infection, loss of reserve; and when the person may be ill again."""
        level = ACUITY[drawn.acuity]
        self.discharged[people] = ended
        self.unstable[people] = 0.9 * np.exp(0.35 * level + 0.3 * (drawn.trend - 1.0))
        serious = is_septic | (IS_INFECTION[drawn.reason] & (self.rng.random(len(people)) < 0.35))
        self.infected[people] = np.where(serious, ended, self.infected[people])
        self.insult[people] -= 0.10 * is_septic + 0.03 * (level > 1)
        self.now[people] = np.maximum(ended + 0.5, self.now[people] + 1.0)


def _acute_hour(uniform: np.ndarray) -> np.ndarray:
    """Hour of an acute admission: half of them spread over the day, half around the afternoon."""
    afternoon = 15.0 + 8.0 * (2.0 * uniform[:, 1] + uniform[:, 0] - 2.0)
    return np.where(uniform[:, 1] < 0.5, 24.0 * uniform[:, 0], np.clip(afternoon, 0.0, 23.9))
