"""5,000 rates x years x units from 1,000,000 contacts' codes: how long, and how much memory.

The record: 60 units of 20 hospitals over five years, 350,000 patients, three to four codes a contact of 5,000
that follow Zipf's law, sicker and older patients in some units. Reading a dataset is not part of it: the time
runs from the coded record to the finished table.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl
from harness import finish, own_peak_mb

from phenotype.coding.coded_record import CODED_CONTACTS, CODES, FACTS, CodedRecord
from phenotype.coding.rates.measures import Condition, Each, Measure
from phenotype.coding.rates.units import judge_rates
from phenotype.contacts import STAYS

N_CODES, N_UNITS, N_YEARS = 5_000, 60, 5
BAR_SECONDS, BAR_MB = 20.0, 6_000


def coded_record(n_contacts: int, seed: int = 0) -> CodedRecord:
    """A record of so many contacts."""
    random = np.random.default_rng(seed)
    subject = random.integers(0, int(n_contacts * 0.35), n_contacts)
    unit = random.integers(0, N_UNITS, n_contacts)
    minutes = random.integers(0, N_YEARS * 365 * 1440, n_contacts)
    start = np.datetime64("2020-01-01T00:00", "us") + minutes.astype("timedelta64[m]")
    end = start + random.integers(60, 10 * 1440, n_contacts).astype("timedelta64[m]")
    age = np.clip(random.normal(60 + unit / 6, 20, n_contacts), 0, 100)
    ids = np.arange(n_contacts, dtype=np.int64)
    contacts = pl.DataFrame(
        {
            "contact_id": ids,
            "subject_id": subject,
            "stay_id": ids,
            "start_time": start,
            "end_time": end,
            "care_level": np.array(["inpatient", "day", "icu"])[
                random.choice(3, n_contacts, p=[0.8, 0.15, 0.05])
            ],
            "urgency": np.array(["acute", "planned"])[random.integers(0, 2, n_contacts)],
            "unit_id": np.array([f"unit {no % 3}" for no in range(N_UNITS)])[unit],
            "hospital_id": np.array([f"hospital {no // 3:02d}" for no in range(N_UNITS)])[unit],
            "unit": np.array([f"hospital {no // 3:02d}/unit {no % 3}" for no in range(N_UNITS)])[unit],
            "judged_time": end,
            "age_years": age,
            "sex": np.array(["female", "male"])[random.integers(0, 2, n_contacts)],
        }
    ).with_columns(year=pl.col("judged_time").dt.year())
    empty = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in CODED_CONTACTS.items()
        if name not in contacts.columns
    ]
    known = contacts.with_columns(empty).select(
        pl.col(name).cast(dtype) for name, dtype in CODED_CONTACTS.items()
    )
    return CodedRecord(
        known, pl.DataFrame(schema=STAYS), _codes(known, random), pl.DataFrame(schema=FACTS), frozenset()
    )


def _codes(contacts: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    n_other = random.poisson(2.3, contacts.height)
    number = np.concatenate([[0], np.cumsum(n_other + 1)])
    place = np.repeat(np.arange(contacts.height), n_other + 1)
    code_no = np.arange(number[-1]) - number[place]
    weights = 1 / np.arange(1, N_CODES + 1) ** 0.8
    rank = random.choice(N_CODES, number[-1], p=weights / weights.sum())
    names = np.array(
        [f"ICD10-NO//{chr(65 + no % 26)}{no // 26 % 100:02d}.{no // 2600}" for no in range(N_CODES)]
    )
    return pl.DataFrame(
        {
            "contact_id": contacts["contact_id"].to_numpy()[place],
            "stay_id": contacts["stay_id"].to_numpy()[place],
            "group_no": (code_no + 1).astype(np.int32),
            "code_no": np.ones(len(place), dtype=np.int32),
            "role": np.where(code_no == 0, "main", "other"),
            "code": names[rank],
            "sent": names[rank],
            "is_own_code": np.ones(len(place), dtype=bool),
            "condition_group_no": (code_no + 1).astype(np.int32),
            "day": contacts["judged_time"].dt.date().to_numpy()[place],
            "lineage_id": np.arange(len(place), dtype=np.int64),
        }
    ).select(pl.col(name).cast(dtype) for name, dtype in CODES.items())


def every_code() -> Measure:
    """One rate for each code, whatever its role."""
    return Measure(
        id="coded",
        title="Share of stays with the code",
        sources=("made for timing",),
        of=Condition(),
        each=Each(of="code", roles=("main", "other"), smallest=1, most=N_CODES),
        direction="both",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder; nothing is kept")
    parser.add_argument("--contacts", type=int, default=1_000_000)
    given = parser.parse_args()
    record = coded_record(given.contacts)
    before = own_peak_mb()
    started = time.perf_counter()
    processor = time.process_time()
    units = judge_rates(record, (every_code(),)).units
    seconds, spent = time.perf_counter() - started, time.process_time() - processor
    peak = own_peak_mb()
    n_measures = units["measure"].n_unique()
    is_shown = (
        seconds < BAR_SECONDS and peak < BAR_MB and n_measures == N_CODES
        if given.contacts >= 1_000_000
        else None
    )
    finish(
        is_shown=is_shown,
        figures=f"{given.contacts:,} contacts, {record.codes.height:,} codes: {n_measures:,} rates, "
        f"{units.height:,} rows in {seconds:.1f} s ({spent:.1f} s of processor), peak {peak:,.0f} MB "
        f"({before:,.0f} before); {units['is_flagged'].sum()} flagged",
    )


if __name__ == "__main__":
    main()
