"""Three answers about a code on a day; what came, went and changed; what replaced what."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ontology.codesystems.icd10_no import read_year_lists
from ontology.codesystems.icpc2 import read_icpc2_years
from ontology.codesystems.who_icd10 import read_who_icd10
from ontology.concepts import EDGES, MAPPINGS, CodeSystem, concept_rows
from ontology.errors import ConfigurationError
from ontology.release import Ontology, ontology_of
from ontology.validity import codings_outside_lists, difference, replaced_by, valid_on, years_covered

LISTS = Path(__file__).parents[4] / "shared" / "kodeverk" / "navikt-diagnosekoder"

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


def test_the_difference_of_two_years_is_new_gone_and_text(ontology: Ontology) -> None:
    assert difference(ontology, "ICD10-NO", 2023, 2024).rows() == [
        ("text", "ICD10-NO//B04", "apekopper", "mpox")
    ]
    assert difference(ontology, "ICD10-NO", 2024, 2026).rows() == [
        ("gone", "ICD10-NO//M19.06", "artrose", None),
        ("new", "ICD10-NO//K63.80", None, "kort tarm"),
    ]
    assert difference(ontology, "ICD10-NO", 2026, 2026).is_empty()


@pytest.mark.parametrize(("system", "years"), [("ICD10-NO", (2024, 2025)), ("ICPC2", (2023, 2024))])
def test_a_year_without_a_list_is_told_with_what_to_do(
    ontology: Ontology, system: str, years: tuple[int, int]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        difference(ontology, system, *years)
    told = str(caught.value)
    assert "pesta ontology build" in told
    assert "2025" in told or "no dated list" in told


def test_replacements_are_followed_to_their_end(ontology: Ontology) -> None:
    assert replaced_by(ontology, "ICD10-NO//M19.06") == ["ICD10-NO//A41.9"]
    assert replaced_by(ontology, "ICD10-NO//A41.9") == []
    assert replaced_by(ontology, "ICD10-NO//Q00") == []  # they replace each other: there is no end


def test_a_change_in_one_of_two_languages_is_told() -> None:
    def rows(language: str, *texts: tuple[str, date, date]) -> pl.DataFrame:
        named = pl.DataFrame(texts, schema=["label", "valid_from", "valid_to"], orient="row")
        return concept_rows("ICPC2", named.with_columns(code=pl.lit("A01")), language=language)

    first, last = (date(2023, 1, 1), date(2023, 12, 31)), (date(2024, 1, 1), date(2024, 12, 31))
    concepts = pl.concat(
        [rows("nb", ("smerte", first[0], last[1])), rows("en", ("pain", *first), ("ache", *last))]
    )
    coverage = pl.DataFrame(
        {"system": ["ICPC2"], "covered_from": [first[0]], "covered_to": [last[1]]},
    )
    ontology = ontology_of([CodeSystem(concepts, pl.DataFrame(schema=EDGES), coverage=coverage)])
    assert difference(ontology, "ICPC2", 2023, 2024).rows() == [("text", "ICPC2//A01", "pain", "ache")]
    assert years_covered(ontology).rows() == [("ICPC2", first[0], last[1])]


@pytest.mark.skipif(not LISTS.is_dir(), reason="needs the folder shared/kodeverk/navikt-diagnosekoder")
def test_the_published_years_differ_as_published() -> None:
    """Counts and codes by comparing the four JSON files with Python sets, outside this software."""
    icd10 = {year: LISTS / f"ICD10_{year}.json" for year in range(2023, 2027)}
    icpc2 = {year: LISTS / f"ICPC2_{year}.json" for year in range(2023, 2027)}
    published = ontology_of([read_year_lists(icd10), read_icpc2_years(icpc2)])

    def changes(system: str, year: int) -> dict[str, set[str]]:
        rows = difference(published, system, year, year + 1)
        return {
            change: {concept.split("//")[1] for concept in rows.filter(pl.col("change") == change)["concept"]}
            for change in ("new", "gone", "text")
        }

    first, second, third = (changes("ICD10-NO", year) for year in (2023, 2024, 2025))
    assert (first["new"], first["gone"], len(first["text"])) == (set(), set(), 176)
    assert second["new"] == {"K63.80", "K63.81"}
    assert second["text"] == {"B04", "E05.4", "H93.1", "O26.4", "T70.3", "Z88.8", "Z88.9", "Z91.0"}
    assert third["gone"] == {"M19.06", "M19.16", "M19.26", "M19.86", "M19.96"}
    assert (third["new"], third["text"]) == (set(), set())
    local = {f"D99{n}" for n in range(1, 10)} | {f"R99{n}" for n in range(3, 10)}
    assert changes("ICPC2", 2023)["new"] == {"A191"} | local
    assert changes("ICPC2", 2024)["new"] == {"U891"}
