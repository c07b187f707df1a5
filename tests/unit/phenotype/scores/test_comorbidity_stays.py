"""Comorbidity of stays and instants: which codes belong to which, by contact, time and what was known."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from phenotype.scores.comorbidity_stays import coded_groups, scores_at, stay_scores
from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, Dataset

ADMITTED = datetime(2020, 6, 1, 12)


def dataset(folder: Path, codes: list[tuple[str, float, int | None]]) -> Dataset:
    """Two subjects with the same stays (contacts 1 and 2; 11 and 12) of four days, the later from ADMITTED.

    The codes (with hours from ADMITTED, and contact) are subject 1's.
    """
    rows = [
        {"subject_id": 1, "time": ADMITTED + timedelta(hours=hours), "code": code, "contact_id": contact}
        for code, hours, contact in codes
    ]
    (folder / "data").mkdir()
    pl.DataFrame(rows, schema_overrides=EVENTS).write_parquet(folder / "data" / "0.parquet")
    contacts = [
        {
            "contact_id": contact + 10 * subject,
            "subject_id": subject + 1,
            "start_time": start,
            "end_time": start + timedelta(days=4),
            "care_level": "inpatient",
        }
        for subject in (0, 1)
        for contact, start in ((1, ADMITTED - timedelta(days=100)), (2, ADMITTED))
    ]
    empty = pl.DataFrame(schema=CONTACTS)
    pl.concat([empty, pl.DataFrame(contacts)], how="diagonal_relaxed").write_parquet(
        folder / "contacts.parquet"
    )
    return Dataset(folder)


def groups_of(found: pl.DataFrame) -> dict[int, list[str]]:
    return dict(found.select("stay_id", "groups").rows())


def test_a_stay_has_its_own_codes_and_those_of_the_days_before_it(tmp_path: Path) -> None:
    hours_in_year = 365 * 24.0
    data = dataset(
        tmp_path,
        [
            ("ICD10-NO//I50.9", -100 * 24.0, 1),
            ("ICD10-NO//F00.1", -hours_in_year, None),
            ("ICD10-NO//G81.9", -hours_in_year - 1, None),
            ("ICD10-NO//E11.9", 50.0, None),
            ("ICD10CM//N186", 200.0, 2),
            ("ICD10-NO//C50.9", 97.0, None),
            ("ICD10-NO//Z00.0", 1.0, 2),
        ],
    )
    found = stay_scores(data)
    assert found["stay_id"].to_list() == [1, 2, 11, 12]
    assert groups_of(found) == {
        1: ["congestive_heart_failure", "dementia", "hemiplegia"],
        2: ["congestive_heart_failure", "dementia", "diabetes_uncomplicated", "renal_disease"],
        11: [],
        12: [],
    }
    assert found["score"].to_list() == [4.0, 5.0, 0.0, 0.0]
    assert found["band"].to_list() == [None] * 4


def test_the_look_back_and_the_stays_own_codes_are_chosen(tmp_path: Path) -> None:
    data = dataset(tmp_path, [("ICD10-NO//I50.9", -100 * 24.0, 1), ("ICD10-NO//E11.9", 50.0, 2)])
    assert groups_of(stay_scores(data, look_back_days=99))[2] == ["diabetes_uncomplicated"]
    assert groups_of(stay_scores(data, own_codes=False))[2] == ["congestive_heart_failure"]
    frailty = stay_scores(data, "hospital_frailty").filter(pl.col("stay_id") == 2)
    assert frailty["band"].to_list() == ["low"]


def test_data_without_any_code_of_the_family_give_zero(tmp_path: Path) -> None:
    data = dataset(tmp_path, [("NLK//NPU19748", 1.0, 2)])
    assert coded_groups(data.events(), "charlson_quan").is_empty()
    assert stay_scores(data)["score"].to_list() == [0.0] * 4


def test_main_codings_alone_are_counted_where_they_are_asked_for(tmp_path: Path) -> None:
    data = dataset(tmp_path, [("ICD10-NO//I50.9", -90 * 24.0, 1)])
    codings = pl.DataFrame(
        {
            "contact_id": [1, 1, 2],
            "role": ["main", "other", "other"],
            "system": ["ICD10-NO"] * 3,
            "code": ["F00.1", "G81.9", "C50.9"],
        },
        schema_overrides=CODINGS,
    )
    pl.concat([pl.DataFrame(schema=CODINGS), codings], how="diagonal_relaxed").write_parquet(
        tmp_path / "codings.parquet"
    )
    assert groups_of(stay_scores(data, roles=("main",)))[2] == ["dementia"]
    both = groups_of(stay_scores(data, roles=("main", "other")))
    assert both == {
        1: ["dementia", "hemiplegia"],
        2: ["dementia", "hemiplegia", "malignancy"],
        11: [],
        12: [],
    }


def test_at_an_instant_counts_what_was_known_by_then_within_the_look_back(tmp_path: Path) -> None:
    """C50 is of the second hour and known in the fifth; I50 lies 100 days back."""
    data = dataset(tmp_path, [("ICD10-NO//I50.9", -100 * 24.0, 1), ("ICD10-NO//C50.9", 2.0, 2)])
    file = tmp_path / "data" / "0.parquet"
    late = pl.when(pl.col("code").str.contains("C50")).then(pl.lit(ADMITTED + timedelta(hours=5)))
    pl.read_parquet(file).with_columns(known_time=late.cast(pl.Datetime("us"))).write_parquet(file)
    hours = [4, 5, -100 * 24 - 1]
    instants = pl.DataFrame(
        {"subject_id": [1] * 3, "time": [ADMITTED + timedelta(hours=hour) for hour in hours]}
    )
    found = scores_at(data, instants)
    assert found["time"].to_list() == sorted(instants["time"].to_list())
    assert found["groups"].to_list() == [
        [],
        ["congestive_heart_failure"],
        ["congestive_heart_failure", "malignancy"],
    ]
    assert scores_at(data, instants, look_back_days=10)["score"].to_list() == [0.0, 0.0, 2.0]
