"""Both published shapes of the Norwegian ICD-10 are read, dated, placed under WHO's, and checked by row."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ontology.codesystems.icd10_no import SUMMARY_CATEGORIES, placing_edges, read_export, read_year_lists
from ontology.codesystems.who_icd10 import who_code
from ontology.errors import ConfigurationError, InputError, MissingExtraError

FIRST = [
    ("A419", "sepsis"),
    ("K638", "annet"),
    ("M1906", "artrose"),
    ("V0n0a", "fotgjenger"),
    ("E90", "stoff"),
]
SECOND = [("A41.9", "sepsis"), ("K638", "annet, endret"), ("K6380", "kort tarm"), ("V0n0a", "fotgjenger")]


def year_list(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text(json.dumps([{"code": code, "text": text} for code, text in rows]), "utf-8")
    return path


def spans(concepts: pl.DataFrame, code: str) -> list[tuple[str, date, date]]:
    rows = concepts.filter(pl.col("code") == code).sort("valid_from")
    return rows.select("label", "valid_from", "valid_to").rows()


@pytest.fixture
def two_years(tmp_path: Path) -> dict[int, Path]:
    return {2024: year_list(tmp_path / "a.json", FIRST), 2025: year_list(tmp_path / "b.json", SECOND)}


def test_years_join_to_spans_of_one_text(two_years: dict[int, Path]) -> None:
    concepts = read_year_lists(two_years).concepts
    assert spans(concepts, "A41.9") == [("sepsis", date(2024, 1, 1), date(2025, 12, 31))]
    assert spans(concepts, "K63.8") == [
        ("annet", date(2024, 1, 1), date(2024, 12, 31)),
        ("annet, endret", date(2025, 1, 1), date(2025, 12, 31)),
    ]
    assert spans(concepts, "M19.06") == [("artrose", date(2024, 1, 1), date(2024, 12, 31))]
    assert spans(concepts, "K63.80") == [("kort tarm", date(2025, 1, 1), date(2025, 12, 31))]


def test_coverage_is_the_years_that_were_read(two_years: dict[int, Path]) -> None:
    assert read_year_lists(two_years).coverage.rows() == [("ICD10-NO", date(2024, 1, 1), date(2025, 12, 31))]


def test_a_year_that_was_not_read_ends_spans_and_coverage(two_years: dict[int, Path]) -> None:
    read = read_year_lists({2022: two_years[2024], 2024: two_years[2025]})
    assert read.coverage.select("covered_from", "covered_to").rows() == [
        (date(2022, 1, 1), date(2022, 12, 31)),
        (date(2024, 1, 1), date(2024, 12, 31)),
    ]
    assert len(spans(read.concepts, "A41.9")) == 2


def test_codes_are_placed_under_their_own_shorter_code_and_under_who(two_years: dict[int, Path]) -> None:
    edges = read_year_lists(two_years).edges
    assert set(edges["relation"]) == {"placed_under"}
    assert sorted(edges.select("child", "parent").rows()) == [
        ("ICD10-NO//A41.9", "ICD10//A41.9"),
        ("ICD10-NO//E90", "ICD10//E90"),
        ("ICD10-NO//K63.8", "ICD10//K63.8"),
        ("ICD10-NO//K63.80", "ICD10-NO//K63.8"),
        ("ICD10-NO//M19.06", "ICD10//M19.0"),
        ("ICD10-NO//V0n.0a", "ICD10//V01-V09"),
    ]


def test_levels_and_flags_come_from_the_form_and_who_s_asterisks(two_years: dict[int, Path]) -> None:
    concepts = read_year_lists(two_years).concepts
    told = {code: (level, flags) for code, level, flags in concepts.select("code", "level", "flags").rows()}
    assert told["E90"] == ("category", ["asterisk"])
    assert told["A41.9"] == ("subcategory", [])


def test_summary_categories_lie_in_blocks_that_who_has() -> None:
    assert all(who_code(block) for block in SUMMARY_CATEGORIES.values())
    edges = dict(placing_edges(["X8n.0a", "V1n.0a", "T4n"]).select("child", "parent").rows())
    assert edges == {
        "ICD10-NO//X8n.0a": "ICD10//X85-Y09",  # assault, not self-harm, whatever the decade
        "ICD10-NO//V1n.0a": "ICD10//V10-V19",
        "ICD10-NO//T4n": "ICD10//T36-T50",
    }


def test_a_list_as_tsv_reads_as_its_json(two_years: dict[int, Path], tmp_path: Path) -> None:
    tsv = tmp_path / "a.tsv"
    tsv.write_text("code\ttext\n" + "\n".join(f"{code}\t{text}" for code, text in FIRST) + "\n", "utf-8")
    from_json, from_tsv = read_year_lists({2024: two_years[2024]}), read_year_lists({2024: tsv})
    assert from_tsv.concepts.equals(from_json.concepts)
    assert from_tsv.edges.equals(from_json.edges)


def test_every_fault_of_every_year_is_told_with_its_row(tmp_path: Path) -> None:
    faulty = {
        2023: year_list(tmp_path / "a.json", [("A419", "x"), ("4A", "y"), ("A419", "x")]),
        2024: year_list(tmp_path / "b.json", [("", "x"), ("A41", "")]),
    }
    with pytest.raises(InputError) as caught:
        read_year_lists(faulty)
    told = str(caught.value)
    assert "a.json, row 2" in told
    assert "a.json, row 3" in told
    assert "b.json, row 1" in told
    assert "b.json, row 2" in told


def test_no_list_is_told() -> None:
    with pytest.raises(ConfigurationError):
        read_year_lists({})


def export_row(code: str, text: str, parent: str | None, **other: str | None) -> dict[str, Any]:
    """One row of the official export with all its columns, as the directorate writes them."""
    return {
        "Kode": code,
        "Tekst_uten_lengdebegrensning": text,
        "Tekst_med_maksimalt_60_tegn": text[:60],
        "Gyldig_fra": "1999-01-01T00:00:00",
        "Gyldig_til": None,
        "Rapporteres_til_NPR": None,
        "NPR_Gyldig_fra": None,
        "NPR_Gyldig_til": None,
        "Stjernekode": None,
        "Tilleggskode": None,
        "Kjønn": None,
        "Uspesifikk_kode": None,
        "Foreldrekode": parent,
        "Foreldrekodetekst": None,
        **other,
    }


EXPORT = [
    export_row("I", "(A00-B99) infeksjoner", None),
    export_row("A00-A09", "tarm", "I"),
    export_row("A00", "kolera", "A00-A09", NPR_Gyldig_til="2004-12-31T23:59:00"),
    export_row("A00.9", "uspesifisert kolera", "A00", Rapporteres_til_NPR="Ja", Uspesifikk_kode="Ja"),
    export_row("M90.1", "beinhinne", None, Rapporteres_til_NPR="Ja", Stjernekode="Ja"),
    export_row("B95.6", "stafylokokk", None, Rapporteres_til_NPR="Ja", Tilleggskode="Ja", Kjønn="Kvinne"),
    export_row("K63.80", "gammel", None, Gyldig_til="2024-12-31T00:00:00"),
    export_row("K63.80", "ny", None, Gyldig_fra="2025-01-01T00:00:00", Kjønn="M"),
]


def export(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), "utf-8")
    return path


def test_an_export_keeps_its_parents_and_is_placed_under_who(tmp_path: Path) -> None:
    edges = read_export(export(tmp_path / "x.json", EXPORT)).edges
    assert sorted(edges.rows()) == [
        ("ICD10-NO//A00", "ICD10-NO//A00-A09", "is_a"),
        ("ICD10-NO//A00", "ICD10//A00", "placed_under"),
        ("ICD10-NO//A00-A09", "ICD10-NO//I", "is_a"),
        ("ICD10-NO//A00-A09", "ICD10//A00-A09", "placed_under"),
        ("ICD10-NO//A00.9", "ICD10-NO//A00", "is_a"),
        ("ICD10-NO//A00.9", "ICD10//A00.9", "placed_under"),
        ("ICD10-NO//B95.6", "ICD10//B95.6", "placed_under"),
        ("ICD10-NO//I", "ICD10//I", "placed_under"),
        ("ICD10-NO//K63.80", "ICD10//K63.8", "placed_under"),
        ("ICD10-NO//M90.1", "ICD10//M90.1", "placed_under"),
    ]


def test_an_export_tells_levels_flags_and_dates(tmp_path: Path) -> None:
    concepts = read_export(export(tmp_path / "x.json", EXPORT)).concepts
    told = {
        (code, first): (level, sorted(flags))
        for code, first, level, flags in concepts.select("code", "valid_from", "level", "flags").rows()
    }
    start = date(1999, 1, 1)
    assert told[("I", start)] == ("chapter", ["abstract"])
    assert told[("A00-A09", start)] == ("block", ["abstract"])
    assert told[("A00", start)] == ("category", ["not_reported"])
    assert told[("A00.9", start)] == ("subcategory", ["unspecific"])
    assert told[("M90.1", start)] == ("subcategory", ["asterisk"])
    assert told[("B95.6", start)] == ("subcategory", ["additional", "female_only"])
    assert told[("K63.80", date(2025, 1, 1))] == ("subcategory", ["male_only", "not_reported"])
    assert spans(concepts, "K63.80") == [
        ("gammel", start, date(2024, 12, 31)),
        ("ny", date(2025, 1, 1), None),
    ]


def test_an_export_keeps_the_years_of_reporting_and_the_sex_as_properties(tmp_path: Path) -> None:
    read = read_export(export(tmp_path / "x.json", EXPORT), covered_to=date(2025, 6, 1))
    properties = {(concept, name): value for concept, name, value in read.properties.rows()}
    assert properties[("ICD10-NO//A00", "npr_valid_to")] == "2004-12-31"
    assert properties[("ICD10-NO//B95.6", "sex")] == "Kvinne"
    assert properties[("ICD10-NO//A00.9", "short_label")] == "uspesifisert kolera"
    assert read.coverage.rows() == [("ICD10-NO", date(1999, 1, 1), date(2025, 6, 1))]


def test_an_export_reads_the_same_from_csv_and_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    from openpyxl import Workbook  # type: ignore[import-untyped]

    header = list(EXPORT[0])
    with (tmp_path / "x.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(header)
        writer.writerows([row[name] or "" for name in header] for row in EXPORT)
    book = Workbook()
    book.active.append(header)
    for row in EXPORT:
        book.active.append([row[name] for name in header])
    book.save(tmp_path / "x.xlsx")
    from_json = read_export(export(tmp_path / "x.json", EXPORT))
    for name in ("x.csv", "x.xlsx"):
        other = read_export(tmp_path / name)
        assert other.concepts.equals(from_json.concepts), name
        assert other.edges.equals(from_json.edges), name


def test_a_sheet_without_a_reader_of_sheets_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ontology.codesystems.code_tables.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="fastexcel"):
        read_export(tmp_path / "x.xlsx")


def test_a_file_that_is_no_sheet_is_told(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "x.xlsx").write_text("Kode;Tekst\n", "utf-8")
    with pytest.raises(InputError, match="sheet"):
        read_export(tmp_path / "x.xlsx")


def test_every_fault_of_an_export_is_told_with_its_row(tmp_path: Path) -> None:
    rows = [
        export_row("", "uten kode", None),
        export_row("A01", "", None),
        export_row("A02", "x", None, Gyldig_fra="i fjor"),
        export_row("A03", "x", None, Stjernekode="kanskje"),
        export_row("A04", "x", None, Kjønn="begge"),
        export_row("A05", "x", None, Gyldig_fra="2025-01-01", Gyldig_til="2024-01-01"),
        export_row("A06", "x", None),
        export_row("A06", "y", None),
    ]
    with pytest.raises(InputError) as caught:
        read_export(export(tmp_path / "x.json", rows))
    told = str(caught.value)
    assert len(caught.value.problems) == 7
    assert all(f"row {row}" in told for row in (1, 2, 3, 4, 5, 6, 8))
    assert "Stjernekode" in told
    assert "Kjønn" in told


def test_a_file_without_the_export_s_columns_is_told_with_all_that_lack(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_export(export(tmp_path / "x.json", [{"Kode": "A00", "Tekst": "kolera"}]))
    told = str(caught.value)
    assert "Tekst_uten_lengdebegrensning" in told
    assert "Foreldrekode" in told


def test_an_export_without_dots_reads_as_one_with_dots(tmp_path: Path) -> None:
    bare = [
        row | {name: row[name] and row[name].replace(".", "") for name in ("Kode", "Foreldrekode")}
        for row in EXPORT
    ]
    read, same = (read_export(export(tmp_path / "x.json", rows)) for rows in (bare, EXPORT))
    assert read.concepts.sort(pl.all()).equals(same.concepts.sort(pl.all()))
    assert read.edges.equals(same.edges)
    with pytest.raises(InputError, match=r"twice over the same days[^:]*: .*row 9"):
        read_export(export(tmp_path / "x.json", [*EXPORT, export_row("M901", "igjen", None)]))


def test_every_row_within_a_longer_span_of_its_code_is_told(tmp_path: Path) -> None:
    rows = [
        export_row("A00", "a", None, Gyldig_til="2030-12-31"),
        export_row("A00", "b", None, Gyldig_fra="2021-01-01", Gyldig_til="2021-12-31"),
        export_row("A00", "c", None, Gyldig_fra="2023-01-01", Gyldig_til="2023-12-31"),
        export_row("A00", "d", None, Gyldig_fra="2031-01-01"),
    ]
    with pytest.raises(InputError, match="rows 2, 3\n"):
        read_export(export(tmp_path / "x.json", rows))


def test_an_export_made_before_its_first_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="covered_to"):
        read_export(export(tmp_path / "x.json", EXPORT), covered_to=date(1998, 12, 31))


def test_an_export_of_reportable_codes_only_still_lies_under_who(tmp_path: Path) -> None:
    """Parents that the export names but does not list are orphan edges; WHO's stand above instead."""
    rows = [export_row("A41.90", "fem tegn", "A41.9"), export_row("U12.3", "bare norsk", "U12")]
    assert sorted(read_export(export(tmp_path / "x.json", rows)).edges.rows()) == [
        ("ICD10-NO//A41.90", "ICD10-NO//A41.9", "is_a"),
        ("ICD10-NO//A41.90", "ICD10//A41.9", "placed_under"),
        ("ICD10-NO//U12.3", "ICD10-NO//U12", "is_a"),
        ("ICD10-NO//U12.3", "ICD10//U00-U49", "placed_under"),
    ]
