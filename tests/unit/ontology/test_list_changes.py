"""Between two years codes come, go and change their texts, exactly as the lists say."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.icd10_no import read_year_lists
from ontology.codesystems.icpc2 import read_icpc2_years
from ontology.concepts import EDGES, CodeSystem, concept_rows
from ontology.errors import ConfigurationError
from ontology.list_changes import difference
from ontology.release import Ontology, embedded_ontology, ontology_of
from ontology.validity import years_covered

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
    return ontology_of([read_year_lists(lists)])


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


@pytest.mark.parametrize("year", [-1, 0, 10_000, 10**9])
def test_a_year_that_no_calendar_has_is_told(year: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{year}"):
        difference(embedded_ontology(), "ICD10", 2024, year)
