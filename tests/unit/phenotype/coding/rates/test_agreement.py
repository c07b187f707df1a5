"""Codes against phenotypes: counted by hand, with intervals from published formulas worked out here."""

from __future__ import annotations

import math
import runpy
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from phenotype.coding.rates.agreement import (
    AGREEMENT,
    Pair,
    agreement,
    kappa_interval,
    load_pairs,
    share_interval,
)
from phenotype.coding.rates.measures import Condition
from phenotype.definitions.text import load_definitions
from phenotype.phenotypes import PHENOTYPES

RECORDS = runpy.run_path(str(Path(__file__).parents[1] / "unit_records.py"))
FIRST = RECORDS["FIRST"]
contact = RECORDS["contact"]
record_of = RECORDS["record_of"]

SEPSIS = Pair(
    id="sepsis",
    title="Sepsis",
    phenotype="sepsis_3",
    coded=Condition(codes=("ICD10-NO//A41",)),
    sources=("test",),
)
DIABETES = Pair(
    id="diabetes",
    title="Diabetes",
    phenotype="diabetes",
    lasts=True,
    could_be_seen="diabetes_looked_for",
    coded=Condition(codes=("ICD10-NO//E11",)),
    sources=("test",),
)


def phenotypes(rows: list[tuple[int, str, str, int | None, int]]) -> pl.DataFrame:
    """Rows of subject_id, phenotype, state, stay_id, days after the first day."""
    return pl.DataFrame(
        [
            {
                "subject_id": subject,
                "phenotype": name,
                "state": state,
                "stay_id": stay,
                "start_time": FIRST + timedelta(days=day),
            }
            for subject, name, state, stay, day in rows
        ],
        schema=dict(PHENOTYPES.items()),
    )


def test_stays_are_counted_by_unit_and_year_and_in_all() -> None:
    contacts = [contact(number, "H/A" if number < 4 else "H/B") for number in range(1, 7)]
    codes = [(1, "main", "ICD10-NO//A41.9"), (2, "main", "ICD10-NO//J18.9"), (3, "main", "ICD10-NO//A41.9"),
             (4, "main", "ICD10-NO//J18.9"), (5, "main", "ICD10-NO//J18.9")]  # fmt: skip
    seen = phenotypes([(1, "sepsis_3", "confirmed", 1, 0), (2, "sepsis_3", "confirmed", 2, 0),
                       (3, "sepsis_3", "suspected", 3, 0)])  # fmt: skip
    found = agreement(record_of(contacts, codes), seen, [SEPSIS])
    assert found.schema == AGREEMENT
    kinds = ["unit_id", "period", "both", "phenotype_only", "coded_only", "neither", "not_judgeable"]
    # Stay 3 is suspected alone, so coded only; stay 6 has no diagnosis.
    assert found.select(kinds).rows() == [
        ("H/A", "2024", 1, 1, 1, 0, 0),
        ("H/A", "all", 1, 1, 1, 0, 0),
        ("H/B", "2024", 0, 0, 0, 2, 1),
        ("H/B", "all", 0, 0, 0, 2, 1),
        ("all", "2024", 1, 1, 1, 2, 1),
        ("all", "all", 1, 1, 1, 2, 1),
    ]
    row = found.row(-1, named=True)
    assert (row["sensitivity"], row["ppv"]) == (0.5, 0.5)
    assert found.row(2, named=True)["sensitivity"] is None


def test_what_lasts_holds_for_every_stay_that_ends_after_it_began_and_unseen_stays_are_not_judged() -> None:
    # One patient with four stays, told to have diabetes on the 20th day; a second of whom nothing is known.
    contacts = [
        contact(key, "H/A", subject_id=1, start_time=start, end_time=start + timedelta(days=2))
        for key, start in enumerate((FIRST + timedelta(days=day) for day in (0, 10, 19, 30)), start=1)
    ]
    contacts.append(contact(5, "H/A", subject_id=2))
    codes = [(key, "main", "ICD10-NO//J18.9") for key in range(1, 6)] + [(4, "other", "ICD10-NO//E11.9")]
    seen = phenotypes(
        [(1, "diabetes", "confirmed", None, 20), (1, "diabetes_looked_for", "confirmed", None, 10)]
    )
    row = agreement(record_of(contacts, codes), seen, [DIABETES]).row(-1, named=True)
    # Stay 1 ended before anybody looked, stay 2 after; stays 3 and 4 ended after the diabetes began.
    assert [row[name] for name in ("both", "phenotype_only", "coded_only", "neither", "not_judgeable")] == [
        1,
        1,
        0,
        1,
        2,
    ]


def test_pairs_that_the_dataset_cannot_answer_are_not_judged_at_all() -> None:
    record = record_of([contact(1, "H/A")], [(1, "main", "ICD10-NO//A41.9")])
    row = agreement(record, phenotypes([]), [SEPSIS], not_judged=["sepsis_3"]).row(-1, named=True)
    assert (row["n"], row["not_judgeable"], row["kappa"]) == (0, 1, None)


def test_kappa_and_its_interval_are_those_of_the_formula_for_a_table_of_two_by_two() -> None:
    # 20, 5, 10, 15: agreement 0.7, by chance 0.5, kappa 0.4 (a textbook table).
    kappa, low, high = (
        float(value[0]) for value in kappa_interval(*(np.array([float(x)]) for x in (20, 5, 10, 15)))
    )
    assert kappa == pytest.approx(0.4)
    cells = {(1, 1): 0.4, (1, 0): 0.1, (0, 1): 0.2, (0, 0): 0.3}
    row, column = {1: 0.5, 0: 0.5}, {1: 0.6, 0: 0.4}
    first = sum(cells[i, i] * (1 - (row[i] + column[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    second = (1 - kappa) ** 2 * sum(
        cells[i, j] * (column[i] + row[j]) ** 2 for i in (0, 1) for j in (0, 1) if i != j
    )
    error = math.sqrt((first + second - (kappa - 0.5 * (1 - kappa)) ** 2) / 50) / 0.5
    assert (low, high) == pytest.approx((kappa - 1.959964 * error, kappa + 1.959964 * error), rel=1e-6)


def test_shares_have_wilsons_interval() -> None:
    share, low, high = (float(value[0]) for value in share_interval(np.array([8.0]), np.array([10.0])))
    # Solutions p of (0.8 - p)^2 = 1.959964^2 p (1 - p) / 10.
    z2 = 1.959963984540054**2 / 10
    root = math.sqrt((1.6 + z2) ** 2 - 4 * (1 + z2) * 0.64)
    assert share == 0.8
    assert (low, high) == pytest.approx(
        ((1.6 + z2 - root) / (2 * (1 + z2)), (1.6 + z2 + root) / (2 * (1 + z2)))
    )


def test_shipped_pairs_name_definitions_that_ship() -> None:
    names = {definition.name for definition in load_definitions()}
    for pair in load_pairs():
        assert set(pair.phenotypes) <= names, pair.id
        assert pair.title_nb, pair.id


def test_a_record_without_contacts_agrees_about_nothing() -> None:
    assert agreement(record_of([], []), phenotypes([]), [SEPSIS, DIABETES]).schema == AGREEMENT
