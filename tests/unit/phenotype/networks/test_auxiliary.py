"""Auxiliary targets: hand counts on five patients."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from phenotype.cases import ROWS, Cases
from phenotype.networks.auxiliary import auxiliary_targets
from phenotype.networks.config import AuxiliaryTarget
from phenotype.past import before
from phenotype.trajectory import CONTACTS, EVENTS, open_dataset

START = datetime(2020, 1, 1)


def day(days: float) -> datetime:
    return START + timedelta(days=days)


def cases_of(folder: Path) -> Cases:
    """Asked on day 2: 1 goes home on day 4; 2 dies there on day 5; 3 goes home on day 9 and dies on day 20;
    4 is still there; 5 has no contact and died before.
    """
    ends = {1: (4.0, "home"), 2: (5.0, "death"), 3: (9.0, "home"), 4: (None, None)}
    contacts = [
        {
            "contact_id": s,
            "subject_id": s,
            "start_time": day(0),
            "end_time": None if end is None else day(end),
        }
        | {"discharged_to": where, "care_level": "inpatient", "stay_id": s}
        for s, (end, where) in ends.items()
    ]
    (folder / "data").mkdir(parents=True)
    pl.DataFrame(contacts, schema=CONTACTS).write_parquet(folder / "contacts.parquet")
    deaths = [(2, day(5.0), "MEDS_DEATH"), (3, day(20.0), "MEDS_DEATH"), (5, day(1.0), "MEDS_DEATH")]
    names = ["subject_id", "time", "code"]
    frame = pl.DataFrame(deaths, schema={name: EVENTS[name] for name in names}, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in names]
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(folder / "data" / "0.parquet")
    rows = [(s, day(2.0), s if s < 5 else None) for s in range(1, 6)]
    return Cases(open_dataset(folder), pl.DataFrame(rows, schema=ROWS, orient="row"))


def test_targets_are_those_of_a_hand_count(tmp_path: Path) -> None:
    wanted = [
        AuxiliaryTarget(code="MEDS_DEATH", within_days=3),
        AuxiliaryTarget(code="MEDS_DEATH", within_days=30),
        AuxiliaryTarget(code="stay_end", within_days=3),
        AuxiliaryTarget(code="stay_end", within_days=7),
    ]
    found = auxiliary_targets(cases_of(tmp_path), wanted)
    nan = float("nan")
    expected = [[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, nan, nan], [0, 0, nan, nan]]
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float32))


def test_what_could_come_after_the_instant_at_which_all_was_known_is_unknown(tmp_path: Path) -> None:
    """Known on day 6, so 4 days were seen: 1 has gone home, 2 has died, 3 and 4 are there, 5 is dead."""
    wanted = [
        AuxiliaryTarget(code="MEDS_DEATH", within_days=3),
        AuxiliaryTarget(code="MEDS_DEATH", within_days=30),
        AuxiliaryTarget(code="stay_end", within_days=3),
        AuxiliaryTarget(code="stay_end", within_days=7),
    ]
    cases = cases_of(tmp_path)
    known = Cases(before(cases.dataset, day(6.0)), cases.rows)
    nan = float("nan")
    expected = [[0, nan, 1, 1], [1, 1, 0, 0], [0, nan, 0, nan], [0, nan, nan, nan], [0, nan, nan, nan]]
    np.testing.assert_array_equal(auxiliary_targets(known, wanted), np.array(expected, dtype=np.float32))


def test_none_are_asked_for(tmp_path: Path) -> None:
    assert auxiliary_targets(cases_of(tmp_path), []).shape == (5, 0)
