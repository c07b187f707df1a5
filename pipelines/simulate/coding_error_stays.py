"""What the planting of coding errors knows of stays: where and when they were coded, what the patient had."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulate import coding_error_kidney as kidney
from pipelines.simulate.clock import END_DAYS, to_instants
from pipelines.simulate.coding import BACKGROUND, CHRONIC_CODES, WORSE_FROM, Cases, cancer_codes
from pipelines.simulate.coding_error_record import dotless
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.drugs import CHRONIC
from pipelines.simulate.reasons import IS_INFECTION, NAMES
from pipelines.simulate.tables import FIRST_CONTACT_ID
from pipelines.simulate.world import World

DRUGS = {name: tuple(drug.atc for drug in drugs) for name, drugs in CHRONIC.items()}
"""Disease -> the drugs that patients get for it."""


def coded_stays(world: World, cases: Cases) -> pl.DataFrame:
    """The stays that ended, one row each, in the order of the stays.

    Returns:
        stay (number), contact_id (the last contact, where the stay is coded), n_contacts, patient_id,
        hospital_index, start_time, end_time, reason, is_infection, is_septic, force, age, is_female.
    """
    contacts, stays = world.contacts, world.course.stays
    last = np.flatnonzero((contacts.stay >= 0) & contacts.is_last)
    last = last[np.argsort(contacts.stay[last])]
    n_contacts = np.bincount(contacts.stay[contacts.stay >= 0], minlength=len(stays.person))
    return pl.DataFrame(
        {
            "stay": np.arange(len(stays.person)),
            "contact_id": FIRST_CONTACT_ID + last,
            "n_contacts": n_contacts,
            "patient_id": world.stay_patient_id,
            "hospital_index": world.hospital,
            "start_time": to_instants(stays.admitted),
            "end_time": to_instants(stays.ended),
            "reason": np.array(NAMES)[stays.reason],
            "is_infection": IS_INFECTION[stays.reason],
            "is_septic": np.isfinite(stays.onset),
            "force": world.course.force,
            "age": world.course.age,
            "is_female": cases.is_female,
        }
    ).filter(pl.Series(stays.ended < END_DAYS))


def true_conditions(cases: Cases) -> pl.DataFrame:
    """The other conditions that patients truly had during their stays.

    Returns:
        stay, condition (a disease of `disease.DISEASES`, or the code of the common background), severity,
        codes (list, dotless: one condition group), is_plantable (false: the background, which nothing shows).
    """
    course, n_stays = cases.course, len(cases.main)
    everyone = np.arange(n_stays)
    frames = []
    cancers = cancer_codes(cases.traits[:, 6], cases.is_haematological, cases.is_female)
    for index, name in enumerate(DISEASES):
        severity = course.severity[:, index]
        has = severity > 0
        if name == "cancer":
            codes = [[dotless(code)] for code in cancers[has]]
        else:
            milder, worse = ([dotless(code) for code in group] for group in CHRONIC_CODES[name])
            codes = [worse if is_worse else milder for is_worse in severity[has] > WORSE_FROM]
        frames.append(_frame(everyone[has], name, severity[has], codes, is_plantable=True))
    for number, (code, share) in enumerate(BACKGROUND):
        has = cases.traits[:, number] < share * np.clip((course.age - 40.0) / 35.0, 0.1, 1.5)
        codes = [[dotless(code)]] * int(has.sum())
        frames.append(_frame(everyone[has], code, np.zeros(int(has.sum())), codes, is_plantable=False))
    return pl.concat(frames).sort("stay", "condition")


def possible_codes(cases: Cases, stay: int, disease: str) -> list[str]:
    """The condition group of a disease in its milder form, or of kidney injury, as a stay would have it."""
    if disease == kidney.CONDITION:
        return [kidney.CODE]
    if disease == "cancer":
        one = slice(stay, stay + 1)
        code = cancer_codes(cases.traits[one, 6], cases.is_haematological[one], cases.is_female[one])[0]
        return [dotless(str(code))]
    return [dotless(code) for code in CHRONIC_CODES[disease][0]]


def shown_by_drugs(drugs: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Columns stay and condition of the diseases whose drugs were given in the stay."""
    owner = pl.concat(
        pl.DataFrame({"condition": [name] * len(codes), "atc": list(codes)}) for name, codes in DRUGS.items()
    )
    doses = drugs.select("patient_id", "atc", "given_time").join(owner, on="atc")
    return (
        doses.join(stays.select("stay", "patient_id", "start_time", "end_time"), on="patient_id")
        .filter(pl.col("given_time") >= pl.col("start_time"), pl.col("given_time") <= pl.col("end_time"))
        .select("stay", "condition")
        .unique()
    )


def shown_by_history(conditions: pl.DataFrame, stays: pl.DataFrame, true: pl.DataFrame) -> pl.DataFrame:
    """Columns stay and condition of the true conditions whose category was coded at an earlier contact."""
    coded = (
        conditions.select("patient_id", pl.col("kodeVerdi").str.slice(0, 3).alias("category"), "kodet_tid")
        .group_by("patient_id", "category")
        .agg(pl.col("kodet_tid").min())
    )
    return (
        true.select("stay", "condition", pl.col("codes").list.first().str.slice(0, 3).alias("category"))
        .join(stays.select("stay", "patient_id", "start_time"), on="stay")
        .join(coded, on=["patient_id", "category"])
        .filter(pl.col("kodet_tid") < pl.col("start_time"))
        .select("stay", "condition")
        .unique()
    )


def _frame(
    stay: np.ndarray, name: str, severity: np.ndarray, codes: list[list[str]], *, is_plantable: bool
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "stay": stay,
            "condition": pl.Series([name] * len(stay), dtype=pl.String),
            "severity": severity,
            "codes": pl.Series(codes, dtype=pl.List(pl.String)),
            "is_plantable": pl.Series([is_plantable] * len(stay), dtype=pl.Boolean),
        }
    )
