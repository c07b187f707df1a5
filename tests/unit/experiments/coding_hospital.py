"""A small hospital whose codes are known functions of what is recorded, with errors planted by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, Dataset

BEGIN = datetime(2024, 1, 1)
N_PATIENTS, N_STAYS = 240, 3
DIABETES, HYPERTENSION, PNEUMONIA, HIP = "E11.9", "I10", "J18.9", "S72.0"


@dataclass(frozen=True)
class Hospital:
    """A dataset and what was planted in it.

    Attributes:
        dataset: the folder.
        missing: contact_ids whose patient has diabetes, takes insulin, and is not coded with it.
        added: contact_ids that are coded with diabetes though the patient has not got it.
    """

    dataset: Dataset
    missing: frozenset[int]
    added: frozenset[int]


def make_hospital(folder: Path, *, seed: int = 1, change: pl.Expr | None = None) -> Hospital:
    """Patients with three stays each; a third has diabetes, shown by insulin and glucose.

    Args:
        folder: for the dataset.
        seed: of everything.
        change: puts another code in place of a coding's, to see what depends on it.
    """
    random = np.random.default_rng(seed)
    events, contacts, codings = [], [], []
    missing, added = set(), set()
    for patient in range(N_PATIENTS):
        diabetic, hypertensive = patient % 3 == 0, patient % 2 == 0
        events.append(_event(patient, None, "SEX//male" if patient % 5 else "SEX//female"))
        for number in range(N_STAYS):
            contact = patient * 10 + number
            start = BEGIN + timedelta(days=90 * number + patient % 60)
            end = start + timedelta(days=3)
            main = PNEUMONIA if random.random() < 0.5 else HIP
            codes = [main]
            if diabetic and random.random() < 0.9:
                codes.append(DIABETES)
            elif diabetic:
                missing.add(contact)
            elif random.random() < 0.01:
                codes.append(DIABETES)
                added.add(contact)
            if hypertensive and random.random() < 0.9:
                codes.append(HYPERTENSION)
            contacts.append(_contact(contact, patient, start, end, "A" if patient % 4 else "B"))
            codings += _codings(contact, codes, end)
            events += [
                _event(patient, end, f"ICD10-NO//{code}", contact=contact, lineage=contact * 100 + place)
                for place, code in enumerate(codes)
            ]
            events += _care(random, patient, contact, start, main, diabetic=diabetic)
    frame = pl.DataFrame(codings, schema=CODINGS, orient="row")
    told = pl.DataFrame(events, schema=EVENTS, orient="row")
    if change is not None:
        frame = frame.with_columns(code=change)
        told = _recoded(told, change)
    (folder / "data").mkdir(parents=True)
    told.sort("subject_id", "time", "code").write_parquet(folder / "data" / "0.parquet")
    pl.DataFrame(contacts, schema=CONTACTS, orient="row").write_parquet(folder / "contacts.parquet")
    frame.write_parquet(folder / "codings.parquet")
    return Hospital(Dataset(folder), frozenset(missing), frozenset(added))


def _care(
    random: np.random.Generator, patient: int, contact: int, start: datetime, main: str, *, diabetic: bool
) -> list[tuple[object, ...]]:
    """What is measured and given in a stay."""
    glucose = random.normal(11.0 if diabetic else 6.0, 1.0)
    found = [
        _event(patient, start, "LAB//glucose", glucose, contact=contact, lineage=contact * 100 + 50),
        _event(
            patient, start, "LAB//crp", random.normal(150 if main == PNEUMONIA else 20, 20), contact=contact
        ),
    ]
    if diabetic:
        found.append(
            _event(patient, start, "ATC//A10AE04", 20.0, contact=contact, lineage=contact * 100 + 51)
        )
    if main == HIP:
        found.append(_event(patient, start + timedelta(days=1), "NCSP//NFB02", contact=contact))
    return found


def _recoded(events: pl.DataFrame, change: pl.Expr) -> pl.DataFrame:
    """The events of the codings, changed as the codings are."""
    is_diagnosis = pl.col("code").str.starts_with("ICD10-NO//")
    changed = pl.concat_str(pl.lit("ICD10-NO//"), pl.col("_code"))
    return (
        events.with_columns(_was="code", code=pl.col("code").str.strip_prefix("ICD10-NO//"))
        .with_columns(_code=change)
        .with_columns(code=pl.col("_was"))
        .with_columns(code=pl.when(is_diagnosis).then(changed).otherwise("code"))
        .select(EVENTS.names())
    )


def _event(
    patient: int,
    time: datetime | None,
    code: str,
    value: float | None = None,
    *,
    contact: int | None = None,
    lineage: int | None = None,
) -> tuple[object, ...]:
    return (patient, time, code, value, None, None, None, contact, lineage)


def _contact(contact: int, patient: int, start: datetime, end: datetime, unit: str) -> tuple[object, ...]:
    return (contact, patient, contact, None, start, end, "inpatient", "acute", unit, "H", None, "home")


def _codings(contact: int, codes: list[str], end: datetime) -> list[tuple[object, ...]]:
    return [
        (contact, place + 1, 1, "main" if place == 0 else "other", "ICD10-NO", "2024", code, None, end,
         contact * 100 + place)
        for place, code in enumerate(codes)
    ]  # fmt: skip
