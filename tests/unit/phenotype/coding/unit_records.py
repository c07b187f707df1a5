"""Coded records of several units, written as short rows or drawn at random, for tests of rates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from phenotype.coding.coded_record import CODED_CONTACTS, CODES, FACTS, CodedRecord
from phenotype.contacts import stays
from phenotype.trajectory import CONTACTS

FIRST = datetime(2024, 3, 1, 8)


def contact(contact_id: int, unit: str, **more: Any) -> dict[str, Any]:
    """An inpatient contact of two days, of its own patient and stay, in `hospital/unit`."""
    hospital, ward = unit.split("/")
    usual = {
        "contact_id": contact_id,
        "subject_id": contact_id,
        "stay_id": contact_id,
        "start_time": FIRST + timedelta(days=contact_id % 200),
        "end_time": FIRST + timedelta(days=contact_id % 200 + 2),
        "care_level": "inpatient",
        "urgency": "acute",
        "unit_id": ward,
        "hospital_id": hospital,
        "unit": unit,
        "age_years": 60.0,
        "sex": "female",
    }
    return usual | more


def record_of(
    contacts: Sequence[dict[str, Any]],
    codes: Sequence[tuple[int, str, str]],
    facts: Sequence[tuple[int, str, str]] = (),
) -> CodedRecord:
    """A record of contacts and (contact_id, role, code)."""
    judged = [row | {"judged_time": row["end_time"] or row["start_time"]} for row in contacts]
    whole = pl.DataFrame(
        [row | {"year": row["judged_time"].year} for row in judged], schema=CODED_CONTACTS
    ).sort("contact_id")
    owner = {row["contact_id"]: row["stay_id"] for row in contacts}
    rows = [
        {
            "contact_id": number,
            "stay_id": owner[number],
            "role": role,
            "code": code,
            "sent": code,
            "code_no": 1,
        }
        for number, role, code in codes
    ]
    return CodedRecord(
        contacts=whole,
        stays=stays(whole.select(list(CONTACTS))),
        codes=pl.DataFrame(rows, schema=CODES),
        facts=pl.DataFrame([(*fact, None) for fact in facts], schema=FACTS, orient="row"),
        told=frozenset(fact[1] for fact in facts),
    )


def random_record(seed: int, n: int = 1500, n_units: int = 8) -> CodedRecord:
    """Contacts of several units and two years with patients who come again, and five codes."""
    random = np.random.default_rng(seed)
    contacts, codes = [], []
    for number in range(n):
        unit = int(random.integers(0, n_units)) if number % 5 else 0
        start = FIRST + timedelta(days=int(random.integers(0, 500)))
        contacts.append(
            contact(
                number,
                f"H{unit // 2}/{'AB'[unit % 2]}",
                subject_id=int(random.integers(0, n // 2)),
                start_time=start,
                end_time=start + timedelta(days=int(random.integers(0, 9)), hours=5),
                age_years=float(random.uniform(0, 95)) if random.random() < 0.97 else None,
                sex=str(random.choice(["female", "male"])),
                urgency=str(random.choice(["acute", "planned"])),
            )
        )
        codes.append((number, "main", f"ICD10-NO//{random.choice(['I21.4', 'I50.9', 'J18.9', 'K80.2'])}"))
        for code, share in (("E11.9", 0.2), ("N17.9", 0.1), ("J96.0", 0.04), ("I10", 0.5), ("Z99.9", 0.01)):
            if random.random() < share:
                codes.append((number, "other", f"ICD10-NO//{code}"))
    return record_of(contacts, codes)
