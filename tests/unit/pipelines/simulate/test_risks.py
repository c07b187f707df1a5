"""The true risks are exact: by hand-written enumeration in one stay, and by counting over many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pipelines.simulate.contacts import report_contacts
from pipelines.simulate.course import Course, follow
from pipelines.simulate.cultures import take_cultures
from pipelines.simulate.disease import draw_body
from pipelines.simulate.drugs import give_drugs
from pipelines.simulate.joint import Joint
from pipelines.simulate.lives import live
from pipelines.simulate.outcomes import EARLY, LATE, Timing, draw_outcomes
from pipelines.simulate.outpatient import Visits
from pipelines.simulate.population import Population, draw_population
from pipelines.simulate.procedures import ACUTE_DIALYSIS, CENTRAL_LINE, VENTILATOR, do_procedures
from pipelines.simulate.scenario import load_scenario
from pipelines.simulate.stays import Stays

TASKS = ("stay_death_30d_24h", "stay_death_30d_admission", "stay_sepsis_24h", "stay_sepsis_admission")

INTENSIVE_TREATMENT = (ACUTE_DIALYSIS, CENTRAL_LINE, VENTILATOR)
"""Drawn for each contact with intensive care, so the same contact gets another draw when there are others."""


def random_joint(seed: int, n_rows: int) -> Joint:
    rng = np.random.default_rng(seed)
    shape = (n_rows, 2, 2, 2)
    cell = rng.random(shape)
    return Joint(
        cell / cell.sum(axis=(1, 2, 3), keepdims=True), *(rng.uniform(0.05, 0.6, shape) for _ in range(7))
    )


def futures(joint: Joint, row: int) -> list[tuple[tuple[int, int, int], str, bool, float]]:
    """Every future of one admission: cell, class, death in the window, probability; written as loops."""
    found = []
    for cell in np.ndindex(2, 2, 2):
        at = (row, *cell)
        p, early, short, late = (part[at] for part in (joint.cell, joint.early, joint.short, joint.late))
        classes = {
            "early": (early, joint.death_early[at]),
            "short": ((1 - early) * short, joint.death_short[at]),
            "late": ((1 - early) * (1 - short) * late, joint.death_late[at]),
            "none": ((1 - early) * (1 - short) * (1 - late), joint.death_none[at]),
        }
        for name, (share, death) in classes.items():
            found.append((cell, name, True, p * share * death))
            found.append((cell, name, False, p * share * (1 - death)))
    return found


def test_the_risks_of_one_stay_equal_a_sum_over_all_its_futures() -> None:
    joint, day_1, late_from, day_30, risk = random_joint(1, 3), 0.15, 0.2, 0.95, 0.35
    timing = Timing(*(np.full(3, value) for value in (day_1, late_from, day_30)))
    marginal = joint.marginal_death()
    drawn = draw_outcomes(
        joint,
        np.full(3, risk),
        marginal,
        dies=np.zeros(3, dtype=bool),
        timing=timing,
        uniform=np.full(3, 0.4),
    )
    for row in range(3):
        dead = sum(p for *_, dies, p in futures(joint, row) if dies)
        assert marginal[row] == pytest.approx(dead)
        # the risk of death is given: futures with and without death are rescaled to it
        weighed = [
            (cell, name, dies, p * (risk / dead if dies else (1 - risk) / (1 - dead)))
            for cell, name, dies, p in futures(joint, row)
        ]
        sepsis = sum(
            p * ((1 - late_from) if dies and name == "late" else 1.0)
            for _, name, dies, p in weighed
            if name in {"early", "late"}
        )
        assert drawn.sepsis_at_admission[row] == pytest.approx(sepsis)
        assert drawn.death_at_admission[row] == pytest.approx(risk * day_30)
        here = (drawn.reason[row], drawn.acuity[row], drawn.trend[row])
        is_early = drawn.stay_class[row] == EARLY
        names = {"early"} if is_early else {"late", "none"}
        there = [
            (name, dies, p * ((1 - day_1) if dies else 1.0))
            for cell, name, dies, p in weighed
            if cell == here and name in names
        ]
        total = sum(p for *_, p in there)
        assert drawn.death_at_24h[row] == pytest.approx(sum(p for _, dies, p in there if dies) / total)
        if not is_early:
            late = [
                p * ((1 - late_from) / (1 - day_1) if dies else 1.0)
                for name, dies, p in there
                if name == "late"
            ]
            assert drawn.sepsis_at_24h[row] == pytest.approx(sum(late) / total)


def test_outcomes_are_drawn_as_often_as_their_probability() -> None:
    one, n_draws = random_joint(2, 1), 60_000
    joint = Joint(
        **{name: np.repeat(getattr(one, name), n_draws, axis=0) for name in one.__dataclass_fields__}
    )
    marginal = joint.marginal_death()
    rng = np.random.default_rng(4)
    dies = rng.random(n_draws) < marginal
    zero = np.zeros(n_draws)
    drawn = draw_outcomes(
        joint, marginal, marginal, dies=dies, timing=Timing(zero, zero, zero + 1), uniform=rng.random(n_draws)
    )
    order = ("early", "short", "late", "none")
    for cell, name, dead, p in futures(one, 0):
        counted = (drawn.reason == cell[0]) & (drawn.acuity == cell[1]) & (drawn.trend == cell[2])
        counted &= (drawn.stay_class == order.index(name)) & (dies == dead)
        assert counted.mean() == pytest.approx(p, abs=5 * np.sqrt(p / n_draws))


@pytest.fixture(scope="module")
def many() -> tuple[Stays, Course, Population]:
    scenario = load_scenario("default")
    streams = [np.random.default_rng([8, number]) for number in range(4)]
    population = draw_population(5000, scenario, streams[0])
    body = draw_body(population, scenario, streams[1])
    stays, _ = live(population, body, scenario, streams[2])
    return stays, follow(stays, population, body, streams[3]), population


def deviation(outcome: np.ndarray, risk: np.ndarray) -> float:
    return float((outcome.sum() - risk.sum()) / np.sqrt((risk * (1 - risk)).sum()))


@pytest.mark.parametrize("is_readmission", [False, True])
def test_outcomes_come_as_often_as_the_true_risks_say(
    many: tuple[Stays, Course, Population], is_readmission: bool
) -> None:
    stays = many[0]
    within = np.zeros(len(stays.person), dtype=bool)
    within[1:] = (np.diff(stays.person) == 0) & (stays.admitted[1:] < stays.admitted[:-1] + 31.0)
    rows = within == is_readmission
    there = rows & (stays.stay_class != 1) & (stays.ended > stays.admitted + 1.0)
    sepsis = np.isfinite(stays.onset)
    checks = [
        (sepsis, stays.sepsis_at_admission, rows),
        (stays.death <= stays.admitted + 30.0, stays.death_at_admission, rows),
        (sepsis & (stays.stay_class == LATE), stays.sepsis_at_24h, there & (stays.stay_class != EARLY)),
        (stays.death <= stays.admitted + 31.0, stays.death_at_24h, there),
    ]
    for outcome, risk, mask in checks:
        assert mask.sum() > 1500
        assert abs(deviation(outcome[mask], risk[mask])) < 3.5
        high = mask & (risk > np.quantile(risk[mask], 0.9))
        assert abs(deviation(outcome[high], risk[high])) < 3.5


def test_nothing_announces_the_outcome_before_24_hours(many: tuple[Stays, Course, Population]) -> None:
    stays, course, _ = many
    late = np.flatnonzero((stays.stay_class == LATE) & np.isfinite(stays.onset))
    dying = np.flatnonzero(stays.died_here & (stays.ended > stays.admitted + 1.0))
    harmless = replace(stays, onset=stays.onset.copy(), died_here=np.zeros(len(stays.person), dtype=bool))
    harmless.onset[late] = np.nan
    without = replace(course, stays=harmless)
    for rows in (late, dying):
        for hours in (0.5, 12.0, 24.0):
            days = stays.admitted[rows] + hours / 24.0
            assert np.array_equal(course.illness(rows, days), without.illness(rows, days))
            assert np.array_equal(course.signature(rows, days), without.signature(rows, days))
    # and after it, both do
    assert (course.signature(late, stays.onset[late] + 0.25) > 0.2).all()
    assert (course.illness(dying, stays.ended[dying]) > without.illness(dying, stays.ended[dying])).all()


def first_day(
    stays: Stays, row: np.ndarray, day: np.ndarray, what: np.ndarray
) -> list[tuple[int, float, str]]:
    """What was done in the first 24 hours of stays."""
    early = day < stays.admitted[row] + 1.0
    return sorted(zip(row[early].tolist(), day[early].tolist(), what[early].tolist(), strict=True))


def test_nothing_that_is_done_before_24_hours_tells_what_comes_later(
    many: tuple[Stays, Course, Population],
) -> None:
    stays, course, _ = many
    goes_on = (stays.stay_class != 1) & (stays.ended > stays.admitted + 1.0)
    longer = replace(
        stays,
        ended=np.where(goes_on, stays.ended + 3.0, stays.ended),
        onset=np.where(stays.stay_class == LATE, np.nan, stays.onset),
        died_here=stays.died_here & ~goes_on,
    )
    ones, none = np.ones(len(stays.person)), np.zeros(0, dtype=int)
    visits = Visits(none, ones[:0], ones[:0], none > 0, none.astype(str), none.astype(str), none > 0)
    organism = np.zeros(len(ones), dtype=int)
    done: list[list[list[tuple[int, float, str]]]] = []
    for variant in (course, replace(course, stays=longer)):
        contacts = report_contacts(variant, visits, np.random.default_rng(1))
        doses = give_drugs(variant, ones, np.random.default_rng(2))
        cultures = take_cultures(variant, organism, ones, np.random.default_rng(3))
        procedures = do_procedures(variant, contacts, np.random.default_rng(4))
        operations = ~np.isin(procedures.code, INTENSIVE_TREATMENT)
        place = contacts.stay[procedures.contact[operations]]
        done.append(
            [
                first_day(stays, contacts.stay, contacts.start, contacts.unit),
                first_day(stays, doses.stay, doses.day, doses.atc),
                first_day(stays, cultures.stay, cultures.collected, cultures.stay.astype(str)),
                first_day(stays, place, procedures.day[operations], procedures.code[operations]),
            ]
        )
    for usual, other in zip(*done, strict=True):
        assert len(usual) > 300
        assert usual == other


def test_late_sepsis_starts_after_30_hours_and_before_the_end_of_the_stay(
    many: tuple[Stays, Course, Population],
) -> None:
    stays = many[0]
    late = (stays.stay_class == LATE) & np.isfinite(stays.onset)
    early = stays.stay_class == EARLY
    minute = 1.0 / 1440.0
    assert (stays.onset[late] >= stays.admitted[late] + 30.0 / 24.0 - minute).all()
    assert (stays.onset[late] < stays.ended[late]).all()
    assert (stays.onset[early] <= stays.admitted[early] + 1.0).all()
    assert np.isfinite(stays.onset[early]).all()


def test_the_truth_names_the_tasks_and_only_rows_that_could_be_asked(
    truth: Callable[[str], pl.DataFrame],
) -> None:
    risks, stays = truth("risks"), truth("stays")
    assert sorted(risks["task"].unique()) == list(TASKS)
    assert risks["risk"].is_between(0, 1, closed="none").all()
    assert risks.select("contact_id", "task").is_unique().all()
    at_24h = risks.filter(task="stay_sepsis_24h").join(stays, on="contact_id")
    assert (at_24h["ended_time"] > at_24h["prediction_time"]).all()
    assert (at_24h["outcome"] == (at_24h["sepsis"] == "late")).all()
    admission = risks.filter(task="stay_sepsis_admission").join(stays, on="contact_id")
    assert admission.height == stays.height
    assert (admission["outcome"] == admission["onset_time"].is_not_null()).all()
