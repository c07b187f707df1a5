"""What really happened and how likely it was: the truth that no step of the pipeline reads."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulate.clock import to_dates, to_instants
from pipelines.simulate.course import Course
from pipelines.simulate.cultures import NAMES_OF_ORGANISMS
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.joint import ACUITY, TREND
from pipelines.simulate.outcomes import EARLY, LATE, SHORT
from pipelines.simulate.reasons import NAMES
from pipelines.simulate.world import World

HORIZON_DAYS = 30.0


def risks_table(course: Course, patient_id: np.ndarray, contact_id: np.ndarray) -> pl.DataFrame:
    """The true risks, one row a stay and task.

    Args:
        course: the recorded stays.
        patient_id: of each stay, as in the extract.
        contact_id: of each stay's first contact, as in the extract.

    Returns:
        patient_id, contact_id, prediction_time, task, risk (given the latent state at that time), outcome
        (what happened, by the latent onset and death). 24-hour tasks have rows for those in hospital then;
        the sepsis one leaves out those septic already.
    """
    stays = course.stays
    after_day = stays.admitted + 1.0
    sepsis = np.isfinite(stays.onset)
    there = (stays.stay_class != SHORT) & (stays.ended > after_day)
    everyone = np.ones(len(there), dtype=bool)
    tasks = [
        ("stay_death_30d_24h", there, after_day, stays.death_at_24h, stays.death <= after_day + HORIZON_DAYS),
        (
            "stay_death_30d_admission",
            everyone,
            stays.admitted,
            stays.death_at_admission,
            stays.death <= stays.admitted + HORIZON_DAYS,
        ),
        (
            "stay_sepsis_24h",
            there & (stays.stay_class != EARLY),
            after_day,
            stays.sepsis_at_24h,
            sepsis & (stays.stay_class == LATE),
        ),
        ("stay_sepsis_admission", everyone, stays.admitted, stays.sepsis_at_admission, sepsis),
    ]
    frames = [
        pl.DataFrame(
            {
                "patient_id": patient_id[rows],
                "contact_id": contact_id[rows],
                "prediction_time": to_instants(time[rows]),
                "task": pl.Series([task] * int(rows.sum()), dtype=pl.String),
                "risk": risk[rows],
                "outcome": outcome[rows],
            }
        )
        for task, rows, time, risk, outcome in tasks
    ]
    return pl.concat(frames).sort("task", "patient_id", "prediction_time")


def stays_table(
    course: Course, patient_id: np.ndarray, contact_id: np.ndarray, main: np.ndarray, organism: np.ndarray
) -> pl.DataFrame:
    """The latent state of every recorded stay: cell, onset, organism, true main code, weakness, defence."""
    stays = course.stays
    sepsis = np.isfinite(stays.onset)
    names = np.array(NAMES_OF_ORGANISMS)[organism]
    kind = np.where(~sepsis, "none", np.where(stays.stay_class == LATE, "late", "early"))
    return pl.DataFrame(
        {
            "patient_id": patient_id,
            "contact_id": contact_id,
            "admitted_time": to_instants(stays.admitted),
            "ended_time": to_instants(stays.ended),
            "reason": np.array(NAMES)[stays.reason],
            "true_main_code": main,
            "acuity": ACUITY[stays.acuity],
            "trend": TREND[stays.trend],
            "sepsis": kind,
            "onset_time": to_instants(stays.onset),
            "organism": pl.Series(np.where(sepsis, names, "")).replace("", None),
            "response": course.response,
            "force": course.force,
            "weakness": stays.weakness,
            "immune": stays.immune,
            "memory": stays.memory,
            "neutropenia": stays.neutropenia,
        }
    )


def patients_table(world: World) -> pl.DataFrame:
    """The latent traits of every patient: frailty, when each disease started and how fast it worsens."""
    people, death = world.people, world.death[world.people]
    onset = world.body.onset[people]
    onset = np.where(onset < 1e5, onset, np.nan)
    starts = {f"{name}_onset_date": to_dates(onset[:, index]) for index, name in enumerate(DISEASES)}
    speeds = {
        f"{name}_worsening_per_year": world.body.worsening[people, index]
        for index, name in enumerate(DISEASES)
    }
    return pl.DataFrame(
        {
            "patient_id": world.patient_id[people],
            "frailty": world.population.frailty[people],
            "death_time": to_instants(np.where(np.isfinite(death), death, np.nan)),
            **starts,
            **speeds,
        }
    )
