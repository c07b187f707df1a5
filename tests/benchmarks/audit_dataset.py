"""A dataset of a million contacts as a country's registry sees them: codes and administrative facts, no care.

Hospitals differ in their patients and in how much they code. Nothing in it is a patient's.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from ontology.release import active_ontology
from phenotype.trajectory import CODINGS, CONTACTS, EVENT_ORDER, EVENTS, INSTANT, LINEAGE, OBSERVATION

N_HOSPITALS, N_UNITS, YEARS = 60, 8, (2020, 2025)
N_SHARDS = 20
PROCEDURES = ("NCSP//ABC16", "NCSP//JKE12", "NCSP//JKE00", "NCSP//QXE35", "NCMP//IAAK00", "NCMP//OADC00")
MINUTES_A_YEAR = 525_960


def audit_dataset(folder: Path, n_contacts: int, seed: int = 1) -> Path:
    """A dataset folder with so many contacts, made where it is not there yet."""
    if (folder / "metadata" / "dataset.json").exists():
        return folder
    rng = np.random.default_rng(seed)
    contacts = _contacts(n_contacts, rng)
    codings = _codings(contacts, rng)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "metadata").mkdir(exist_ok=True)
    events = _events(contacts, codings, rng)
    for number, shard in enumerate(_shards(events)):
        shard.write_parquet(folder / "data" / f"{number:02d}.parquet")
    contacts.write_parquet(folder / "contacts.parquet")
    codings.write_parquet(folder / "codings.parquet")
    pl.DataFrame(schema=OBSERVATION).write_parquet(folder / "observation.parquet")
    pl.DataFrame(schema=LINEAGE).write_parquet(folder / "lineage.parquet")
    (folder / "metadata" / "dataset.json").write_text(json.dumps({"dataset_name": "audit-speed"}))
    return folder


def _contacts(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Contacts of n // 4 subjects, one in five of them beginning within eight hours of the one before."""
    subject = np.sort(rng.integers(0, n // 4, n))
    minute = rng.integers(0, (YEARS[1] - YEARS[0] + 1) * MINUTES_A_YEAR, n)
    order = np.lexsort((minute, subject))
    minute = minute[order]
    goes_on = np.flatnonzero((rng.random(n) < 0.2) & (np.diff(subject, prepend=-1) == 0))
    length = np.where(rng.random(n) < 0.6, rng.integers(20, 200, n), rng.geometric(1 / 5000, n) + 300)
    minute[goes_on] = minute[goes_on - 1] + length[goes_on - 1] + rng.integers(0, 240, len(goes_on))
    hospital, unit = rng.integers(0, N_HOSPITALS, n), rng.integers(0, N_UNITS, n)
    base = pl.datetime(YEARS[0], 1, 1, time_unit="us")
    frame = pl.DataFrame(
        {"contact_id": np.arange(1, n + 1), "subject_id": subject + 1, "minute": minute, "length": length}
    )
    return frame.with_columns(
        start_time=base + pl.duration(minutes="minute"),
        end_time=base + pl.duration(minutes=pl.col("minute") + pl.col("length")),
        stay_id=pl.lit(None, pl.Int64),
        referral_period_id=pl.col("subject_id"),
        care_level=pl.when(pl.col("length") < 300).then(pl.lit("outpatient")).otherwise(pl.lit("inpatient")),
        urgency=pl.Series(np.where(rng.random(n) < 0.5, "acute", "planned")),
        unit_id=pl.Series([f"U{number}" for number in unit]),
        hospital_id=pl.Series([f"H{number:02d}" for number in hospital]),
        admitted_from=pl.lit("home"),
        discharged_to=pl.lit("home"),
    ).select(pl.col(name).cast(dtype) for name, dtype in CONTACTS.items())


def _codings(contacts: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """One main condition a contact, one to eight further codes, and a procedure of some."""
    n = contacts.height
    n_codes = 1 + np.minimum(rng.poisson(1.6, n), 8)
    listed = [code for code in sorted(active_ontology().listed.concepts) if code.startswith("ICD10//")]
    four = np.array([code.removeprefix("ICD10//") for code in listed if len(code) == len("ICD10//A00.0")])
    common = rng.permutation(four)
    drawn = np.minimum(rng.zipf(1.3, n_codes.sum()) - 1, len(common) - 1)
    owner = np.repeat(np.arange(n), n_codes)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(n_codes) - n_codes, n_codes)
    ends = contacts["end_time"].gather(owner)
    diagnoses = pl.DataFrame(
        {
            "contact_id": owner + 1,
            "group_no": place + 1,
            "code_no": np.ones(len(owner), dtype=np.int32),
            "role": np.where(place == 0, "main", "other"),
            "system": ["ICD10-NO"] * len(owner),
            "code": common[drawn],
            "coded_time": ends,
        }
    ).with_columns(condition_group_no="group_no", version=pl.col("coded_time").dt.year().cast(pl.String))
    having = np.flatnonzero(rng.random(n) < 0.3)
    named = np.array(PROCEDURES)[rng.integers(0, len(PROCEDURES), len(having))]
    procedures = pl.DataFrame({"contact_id": having + 1, "named": named}).with_columns(
        system=pl.col("named").str.split("//").list.first(),
        code=pl.col("named").str.split("//").list.last(),
        role=pl.lit("procedure"),
        coded_time=contacts["start_time"].gather(having),
    )
    both = pl.concat([diagnoses, procedures.drop("named")], how="diagonal_relaxed")
    return both.with_row_index("lineage_id", 1).select(
        pl.col(name).cast(dtype) for name, dtype in CODINGS.items()
    )


def _events(contacts: pl.DataFrame, codings: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Births, sexes, codes, and place and kind of every contact."""
    subjects = contacts["subject_id"].unique().sort()
    n = len(subjects)
    births = pl.DataFrame({"subject_id": subjects, "year": rng.integers(1930, 2015, n)}).select(
        "subject_id", time=pl.datetime("year", 6, 1, time_unit="us"), code=pl.lit("MEDS_BIRTH")
    )
    sexes = pl.DataFrame(
        {"subject_id": subjects, "code": np.where(rng.random(n) < 0.5, "SEX//male", "SEX//female")}
    )
    owners = contacts.select("contact_id", "subject_id")
    coded = codings.join(owners, on="contact_id").select(
        "subject_id",
        "contact_id",
        "lineage_id",
        time="coded_time",
        code=pl.concat_str("system", pl.lit("//"), "code"),
    )
    facts = [
        contacts.select("subject_id", "contact_id", time="start_time").with_columns(
            code=pl.Series(
                [f"{prefix}{value}" for value in values[rng.integers(0, len(values), contacts.height)]]
            )
        )
        for prefix, values in (
            ("NPR_STEDAKTIVITET//", np.array(["1", "1", "1", "2", "4"])),
            ("NPR_KONTAKTTYPE//", np.array(["1", "2", "2", "5"])),
        )
    ]
    every = pl.concat([births, sexes, coded, *facts], how="diagonal_relaxed")
    missing = [pl.lit(None).alias(name) for name in EVENTS if name not in every.columns]
    return every.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())


def _shards(events: pl.DataFrame) -> list[pl.DataFrame]:
    """The events of whole subjects, in the canonical order."""
    ordered = events.with_columns(pl.col("time").cast(INSTANT)).sort(EVENT_ORDER, nulls_last=False)
    shard = ordered["subject_id"] * N_SHARDS // (int(ordered["subject_id"].max() or 0) + 1)  # type: ignore[call-overload]
    return [ordered.filter(shard == number) for number in range(N_SHARDS)]
