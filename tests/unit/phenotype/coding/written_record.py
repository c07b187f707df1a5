"""Coded records written down by hand: contacts and codes as short rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl

from phenotype.coding.coded_record import CODED_CONTACTS, CODES, FACTS, CodedRecord
from phenotype.contacts import stays
from phenotype.trajectory import CONTACTS

Contact = tuple[int, int, str, str, int]
"""contact_id, stay_id, first day, care level, nights."""
Code = tuple[int, str, int, int, str]
"""contact_id, role, group_no, code_no, code."""


def record_of(
    contacts: Sequence[Contact],
    codes: Sequence[Code],
    facts: Sequence[tuple[int, str, str, float | None]] = (),
) -> CodedRecord:
    """The record of one subject a stay, at hospital H, unit U."""
    rows = []
    for contact_id, stay_id, day, level, nights in contacts:
        start = datetime.fromisoformat(day) + timedelta(hours=8)
        end = start + timedelta(days=nights, hours=4)
        rows.append(
            {
                "contact_id": contact_id, "subject_id": stay_id, "stay_id": stay_id, "start_time": start,
                "end_time": end, "care_level": level, "urgency": "planned", "unit_id": "U",
                "hospital_id": "H", "unit": "H/U", "judged_time": end, "year": end.year, "age_years": 60.0,
                "sex": "female",
            }
        )  # fmt: skip
    whole = pl.DataFrame(rows, schema=CODED_CONTACTS).sort("contact_id")
    owner = {contact[0]: contact[1] for contact in contacts}
    coded = [
        {
            "contact_id": contact_id, "stay_id": owner[contact_id], "group_no": group, "code_no": number,
            "role": role, "code": code, "sent": code, "is_own_code": True,
        }
        for contact_id, role, group, number, code in codes
    ]  # fmt: skip
    return CodedRecord(
        contacts=whole,
        stays=stays(whole.select(list(CONTACTS))),
        codes=pl.DataFrame(coded, schema=CODES).sort("contact_id", "role", "group_no", "code_no"),
        facts=pl.DataFrame(list(facts), schema=FACTS, orient="row"),
        told=frozenset(fact[1] for fact in facts),
    )
