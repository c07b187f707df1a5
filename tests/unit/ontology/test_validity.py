"""Three answers about a code on a day; codings outside their years; what replaced what."""

from __future__ import annotations

import json
from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ontology.codesystems.icd10_no import read_year_lists
from ontology.codesystems.who_icd10 import read_who_icd10
from ontology.concepts import COVERAGE, MAPPINGS, CodeSystem, concept_rows
from ontology.release import Ontology, ontology_of
from ontology.validity import codings_outside_lists, replaced_by, valid_on

YEARS = {
    2023: [("A419", "sepsis"), ("M1906", "artrose"), ("B04", "apekopper")],
    2024: [("A419", "sepsis"), ("M1906", "artrose"), ("B04", "mpox")],
    2026: [("A419", "sepsis"), ("K6380", "kort tarm"), ("B04", "mpox")],
}


@pytest.fixture(scope="module")
def ontology(tmp_path_factory: pytest.TempPathFactory) -> Ontology:
    """Three yearly lists; none for 2025."""
    folder = tmp_path_factory.mktemp("lists")
    lists = {}
    for year, rows in YEARS.items():
        lists[year] = folder / f"{year}.json"
        lists[year].write_text(json.dumps([{"code": code, "text": text} for code, text in rows]), "utf-8")
    replaced = pl.DataFrame(
        [
            ("ICD10-NO//M19.06", "replaced_by", "ICD10-NO//M19.0", "a letter"),
            ("ICD10-NO//M19.0", "replaced_by", "ICD10-NO//A41.9", "a letter"),
            ("ICD10-NO//Q00", "replaced_by", "ICD10-NO//Q01", "a letter"),
            ("ICD10-NO//Q01", "replaced_by", "ICD10-NO//Q00", "a letter"),
        ],
        schema=MAPPINGS,
        orient="row",
    )
    mapped = CodeSystem(concept_rows("MAPS", pl.DataFrame(schema={"code": pl.String})), mappings=replaced)
    return ontology_of([read_who_icd10(), read_year_lists(lists), mapped])


@pytest.mark.parametrize(
    ("code", "day", "state"),
    [
        ("ICD10-NO//A41.9", date(2023, 1, 1), "valid"),
        ("ICD10-NO//A41.9", date(2024, 12, 31), "valid"),
        ("ICD10-NO//A419", date(2023, 7, 1), "valid"),  # spelled otherwise
        ("ICD10-NO//a41.9", date(2023, 7, 1), "valid"),
        ("ICD10-NO//A41.9", date(2022, 12, 31), "not_judgeable"),
        ("ICD10-NO//A41.9", date(2025, 7, 1), "not_judgeable"),  # that year's list was not read
        ("ICD10-NO//A41.9", date(2027, 1, 1), "not_judgeable"),
        ("ICD10-NO//M19.06", date(2024, 12, 31), "valid"),
        ("ICD10-NO//M19.06", date(2026, 1, 1), "not_valid"),
        ("ICD10-NO//K63.80", date(2024, 1, 1), "not_valid"),
        ("ICD10-NO//K63.80", date(2026, 12, 31), "valid"),
        ("ICD10-NO//A41", date(2023, 7, 1), "not_valid"),  # WHO's category is not in the list of codes to use
        ("ICD10-NO//Z99.9", date(2023, 7, 1), "not_valid"),
        ("ICD10//A41.9", date(2023, 7, 1), "not_judgeable"),  # WHO's edition has no dates
        ("ATC//J01CF05", date(2023, 7, 1), "not_judgeable"),
        ("HOSPITAL", date(2023, 7, 1), "not_judgeable"),
        (None, date(2023, 7, 1), "not_judgeable"),
        ("ICD10-NO//A41.9", None, "not_judgeable"),
    ],
)
def test_three_answers(ontology: Ontology, code: str | None, day: date | None, state: str) -> None:
    codes, days = pl.Series([code], dtype=pl.String), pl.Series([day], dtype=pl.Date)
    assert valid_on(ontology, codes, days).to_list() == [state]


def test_answers_stand_in_the_order_of_the_questions_and_take_instants(ontology: Ontology) -> None:
    codes = pl.Series(["ICD10-NO//K63.80", None, "ICD10-NO//A41.9", "ICD10-NO//K63.80"])
    times = pl.Series(
        [datetime(2026, 1, 1, 0, 0), None, datetime(2024, 12, 31, 23, 59), datetime(2024, 5, 1)]
    )
    told = valid_on(ontology, codes, times).to_list()
    assert told == ["valid", "not_judgeable", "valid", "not_valid"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A419", "M19.06", "K63.80", "B04", "Z99"]),
            st.dates(date(2022, 6, 1), date(2027, 6, 1)),
        ),
        max_size=20,
    )
)
def test_a_naive_look_into_the_lists_says_the_same(ontology: Ontology, asked: list[tuple[str, date]]) -> None:
    def naive(code: str, day: date) -> str:
        if day.year not in YEARS:
            return "not_judgeable"
        return "valid" if code.replace(".", "") in dict(YEARS[day.year]) else "not_valid"

    codes = pl.Series([f"ICD10-NO//{code}" for code, _ in asked], dtype=pl.String)
    days = pl.Series([day for _, day in asked], dtype=pl.Date)
    assert valid_on(ontology, codes, days).to_list() == [naive(*one) for one in asked]


def test_a_code_outside_its_years_is_a_finding_with_its_nearest_years(ontology: Ontology) -> None:
    codings = pl.DataFrame(
        {
            "code": [
                "ICD10-NO//A41.9",
                "ICD10-NO//M1906",
                "ICD10-NO//K63.80",
                "ICD10-NO//A41.99",
                "ATC//J01",
            ],
            "time": [
                datetime(2024, 1, 1),
                datetime(2026, 3, 1),
                datetime(2024, 1, 1),
                datetime(2024, 1, 1),
                None,
            ],
        }
    )
    assert codings_outside_lists(ontology, codings).rows() == [
        (
            1,
            "ICD10-NO//M1906",
            date(2026, 3, 1),
            "outside_years",
            "ICD10-NO//M19.06",
            date(2023, 1, 1),
            date(2024, 12, 31),
            "ICD10-NO//M19.0",
        ),
        (
            2,
            "ICD10-NO//K63.80",
            date(2024, 1, 1),
            "outside_years",
            "ICD10-NO//K63.80",
            date(2026, 1, 1),
            date(2026, 12, 31),
            None,
        ),
        (3, "ICD10-NO//A41.99", date(2024, 1, 1), "not_listed", "ICD10-NO//A41.9", None, None, None),
    ]


def test_no_codings_give_no_findings(ontology: Ontology) -> None:
    none = pl.DataFrame(schema={"code": pl.String, "time": pl.Datetime("us")})
    assert codings_outside_lists(ontology, none).is_empty()


def test_replacements_are_followed_to_their_end(ontology: Ontology) -> None:
    assert replaced_by(ontology, "ICD10-NO//M19.06") == ["ICD10-NO//A41.9"]
    assert replaced_by(ontology, "ICD10-NO//A41.9") == []
    assert replaced_by(ontology, "ICD10-NO//Q00") == []  # they replace each other: there is no end


def test_days_at_the_ends_of_the_calendar_and_beyond() -> None:
    """Day 100,000,000 after 1970 lies in the year 275,760, which Python's dates do not have."""
    rows = pl.DataFrame({"code": ["J01"], "label": ["a"], "valid_from": [date.min], "valid_to": [date.max]})
    coverage = pl.DataFrame([("ATC", date.min, date.max)], schema=COVERAGE, orient="row")
    ontology = ontology_of([CodeSystem(concept_rows("ATC", rows), coverage=coverage)])
    days = pl.Series([date.min, date.max, None])
    beyond = pl.Series([-100_000_000, 100_000_000], dtype=pl.Int32).cast(pl.Date)
    codes = pl.Series(["ATC//J01"] * 5)
    assert valid_on(ontology, codes, days.append(beyond)).to_list() == ["valid"] * 2 + ["not_judgeable"] * 3
    codings = pl.DataFrame({"code": ["ATC//J02", "", None], "time": [date.max, date.min, date.min]})
    assert codings_outside_lists(ontology, codings).select("row", "kind").rows() == [(0, "not_listed")]
