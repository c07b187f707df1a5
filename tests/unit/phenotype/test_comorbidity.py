"""Comorbidity indices: what counts, what hides what, and which codes belong to which stay."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from ontology.valuesets import load_family
from phenotype.comorbidity import band_of, coded_groups, counted_groups, family_score, stay_scores
from phenotype.trajectory import CONTACTS, EVENTS, Dataset

ADMITTED = datetime(2020, 6, 1, 12)


def seen(*groups: str, unit: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"stay_id": [unit] * len(groups), "group": list(groups)})


def score(family: str, *groups: str, weighting: str | None = None) -> float:
    return float(family_score(seen(*groups), load_family(family), weighting)["score"].item())


@pytest.mark.parametrize(
    ("groups", "charlson", "quan"),
    [
        (["myocardial_infarction"], 1, 0),
        (["diabetes_uncomplicated"], 1, 0),
        (["diabetes_uncomplicated", "diabetes_complicated"], 2, 1),
        (["mild_liver_disease", "severe_liver_disease"], 3, 4),
        (["malignancy", "metastatic_cancer"], 6, 6),
        (["hemiplegia", "congestive_heart_failure"], 3, 4),
        (["hiv_aids", "renal_disease", "dementia"], 9, 7),
    ],
)
def test_charlson_weights_as_published_and_the_severe_form_hides_the_mild(
    groups: list[str], charlson: float, quan: float
) -> None:
    """Points by hand from the tables of 1987 and 2011."""
    assert score("charlson_quan", *groups) == charlson
    assert score("charlson_quan", *groups, weighting="quan_2011") == quan


def test_ascites_makes_a_mild_liver_disease_severe_and_is_nothing_alone() -> None:
    assert score("charlson_nordic", "ascites") == 0
    assert score("charlson_nordic", "mild_liver_disease") == 1
    assert score("charlson_nordic", "mild_liver_disease", "ascites") == 3
    assert score("charlson_nordic", "severe_liver_disease", "ascites") == 3
    assert counted_groups(seen("ascites"), load_family("charlson_nordic")).is_empty()


def test_frailty_is_a_sum_of_tenths_that_is_exact_and_falls_in_bands() -> None:
    """F00 and G81 give 7.1 + 4.4, N39 3.2 (Gilbert 2018); below 5, 5 to 15, above 15."""
    frailty = load_family("hospital_frailty")
    assert len(frailty.groups) == 109
    assert score("hospital_frailty", "f00", "g81") == 11.5
    assert score("hospital_frailty", "n39") == 3.2
    table = pl.DataFrame({"score": [0.0, 4.9, 5.0, 15.0, 15.1, None]})
    bands = table.select(band_of(pl.col("score"), frailty)).to_series().to_list()
    assert bands == ["low", "low", "intermediate", "intermediate", "high", None]


def test_a_score_does_not_depend_on_the_order_or_number_of_rows() -> None:
    family = load_family("elixhauser_quan")
    rows = pl.concat(
        [seen(*list(family.groups)[start:], unit=unit) for unit, start in enumerate((0, 5, 20), start=1)]
    )
    once = family_score(rows, family)
    assert once.equals(family_score(pl.concat([rows.reverse(), rows.sample(50, seed=1)]), family))
    assert once["stay_id"].to_list() == [1, 2, 3]


def test_unknown_weights_are_met_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="quan_2011"):
        score("charlson_quan", "dementia", weighting="nilssen")
    with pytest.raises(ConfigurationError, match="not scored"):
        score("infection", "lung")


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
