"""A tiny made-up RF2 release comes in with its languages, is-a, maps and replacements."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.snomed import read_snomed
from ontology.concepts import CodeSystem
from ontology.errors import InputError

FSN, SYNONYM, IS_A, FINDING_SITE = "900000000000003001", "900000000000013009", "116680003", "363698007"
US, NORWEGIAN, PREFERRED, ACCEPTABLE = (
    "900000000000509007",
    "61000202103",
    "900000000000548007",
    "900000000000549004",
)
CONCEPT = "id effectiveTime active moduleId definitionStatusId"
DESCRIPTION = "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId"
RELATION = (
    "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId characteristicTypeId "
    "modifierId"
)
LANGUAGE = "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId"
MAP = (
    "id effectiveTime active moduleId refsetId referencedComponentId mapGroup mapPriority mapRule mapAdvice "
    "mapTarget correlationId mapCategoryId"
)
ASSOCIATION = "id effectiveTime active moduleId refsetId referencedComponentId targetComponentId"


def put(file: Path, header: str, rows: list[str]) -> None:
    """Write rows whose cells are parted by bars as the tab-parted file that RF2 asks for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [header.replace(" ", "\t"), *(row.replace("|", "\t") for row in rows)]
    file.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def international(root: Path) -> Path:
    terms = root / "Snapshot" / "Terminology"
    put(
        terms / "sct2_Concept_Snapshot_INT_20250101.txt",
        CONCEPT,
        [
            "138875005|20020131|1|0|0",
            "404684003|20020131|1|0|0",
            "91302008|20020131|1|0|0",
            "40733004|20020131|1|0|0",
            "10001005|20240701|0|0|0",
        ],
    )
    put(
        terms / "sct2_Description_Snapshot-en_INT_20250101.txt",
        DESCRIPTION,
        [
            f"1|20020131|1|0|138875005|en|{FSN}|SNOMED CT Concept (SNOMED RT+CTV3)|0",
            f"2|20020131|1|0|404684003|en|{FSN}|Clinical finding (finding)|0",
            f"3|20020131|1|0|91302008|en|{FSN}|Sepsis (disorder)|0",
            f"4|20020131|1|0|91302008|en|{SYNONYM}|Sepsis|0",
            f'5|20020131|1|0|91302008|en|{SYNONYM}|Septic "syndrome"|0',
            f"6|20020131|1|0|40733004|en|{FSN}|Infectious disease (disorder)|0",
            f"7|20020131|1|0|40733004|en|{SYNONYM}|Infection|0",
            f"8|20020131|0|0|40733004|en|{SYNONYM}|Old name|0",
            f"9|20020131|1|0|10001005|en|{FSN}|Bacterial sepsis (disorder)|0",
        ],
    )
    put(
        terms / "sct2_Relationship_Snapshot_INT_20250101.txt",
        RELATION,
        [
            f"11|20020131|1|0|404684003|138875005|0|{IS_A}|0|0",
            f"12|20020131|1|0|91302008|404684003|0|{IS_A}|0|0",
            f"13|20020131|1|0|91302008|40733004|0|{IS_A}|0|0",
            f"14|20020131|0|0|91302008|138875005|0|{IS_A}|0|0",
            f"15|20020131|1|0|91302008|138875005|0|{FINDING_SITE}|0|0",
            f"16|20020131|1|0|40733004|404684003|0|{IS_A}|0|0",
        ],
    )
    put(
        root / "Snapshot" / "Refset" / "Language" / "der2_cRefset_LanguageSnapshot-en_INT_20250101.txt",
        LANGUAGE,
        [
            f"a|20020131|1|0|{US}|4|{PREFERRED}",
            f"b|20020131|1|0|{US}|5|{ACCEPTABLE}",
            f"c|20020131|1|0|{US}|7|{PREFERRED}",
            f"d|20020131|1|0|{US}|8|{PREFERRED}",
        ],
    )
    put(
        root / "Snapshot" / "Refset" / "Map" / "der2_iisssccRefset_ExtendedMapSnapshot_INT_20250101.txt",
        MAP,
        [
            "m1|20020131|1|0|447562003|91302008|1|1|IFA 248153007 male|x|A41.8|447561005|0",
            "m2|20020131|1|0|447562003|91302008|1|2|OTHERWISE TRUE|x|A41.9|447561005|0",
            "m3|20020131|1|0|447562003|91302008|2|1|TRUE|x|R65.9|447557004|0",
            "m4|20020131|1|0|447562003|40733004|1|1|TRUE|cannot be classified||447561005|0",
            "m5|20020131|0|0|447562003|40733004|1|1|TRUE|x|B99|447561005|0",
            "m6|20020131|1|0|999|40733004|1|1|TRUE|x|B99|447561005|0",
        ],
    )
    put(
        root / "Snapshot" / "Refset" / "Content" / "der2_cRefset_AssociationSnapshot_INT_20250101.txt",
        ASSOCIATION,
        [
            "r1|20240701|1|0|900000000000526001|10001005|91302008",
            "r2|20240701|1|0|900000000000523009|10001005|40733004",
        ],
    )
    return root


def norwegian(root: Path) -> Path:
    terms = root / "Snapshot" / "Terminology"
    # the extension takes a concept of the international edition out of use, and puts one of its own in
    put(
        terms / "sct2_Concept_Snapshot_NO_20251215.txt",
        CONCEPT,
        ["40733004|20251215|0|0|0", "8000202100|20251215|1|0|0"],
    )
    put(
        terms / "sct2_Description_Snapshot-no_NO_20251215.txt",
        DESCRIPTION,
        [
            f"21|20251215|1|0|91302008|no|{SYNONYM}|sepsis|0",
            f"22|20251215|1|0|8000202100|no|{SYNONYM}|kateterfeber|0",
        ],
    )
    put(
        terms / "sct2_Relationship_Snapshot_NO_20251215.txt",
        RELATION,
        [f"31|20251215|1|0|8000202100|91302008|0|{IS_A}|0|0"],
    )
    put(
        root / "Snapshot" / "Refset" / "Language" / "der2_cRefset_LanguageSnapshot-no_NO_20251215.txt",
        LANGUAGE,
        [f"e|20251215|1|0|{NORWEGIAN}|21|{PREFERRED}", f"f|20251215|1|0|{NORWEGIAN}|22|{PREFERRED}"],
    )
    return root


@pytest.fixture
def release(tmp_path: Path) -> CodeSystem:
    # brackets in a path are part of its name, no pattern
    return read_snomed(international(tmp_path / "INT [2025]"))


def test_labels_are_the_preferred_terms_else_the_name_without_its_tag(release: CodeSystem) -> None:
    assert release.concepts.select("code", "label", "language").rows() == [
        ("10001005", "Bacterial sepsis", "en"),
        ("138875005", "SNOMED CT Concept", "en"),
        ("404684003", "Clinical finding", "en"),
        ("40733004", "Infection", "en"),
        ("91302008", "Sepsis", "en"),
    ]


def test_inactive_concepts_end_on_the_day_before(release: CodeSystem) -> None:
    inactive = release.concepts.filter(code="10001005").select("valid_to", "flags").row(0)
    assert inactive == (date(2024, 6, 30), ["inactive"])
    assert release.concepts.filter(code="91302008").select("valid_to", "flags").row(0) == (None, [])


def test_only_active_is_a_makes_edges_and_a_concept_may_have_two_parents(release: CodeSystem) -> None:
    assert release.edges.rows() == [
        ("SCT//404684003", "SCT//138875005", "is_a"),
        ("SCT//40733004", "SCT//404684003", "is_a"),
        ("SCT//91302008", "SCT//404684003", "is_a"),
        ("SCT//91302008", "SCT//40733004", "is_a"),
    ]


def test_maps_keep_rule_group_and_correlation(release: CodeSystem) -> None:
    mapped = release.mappings.filter(release.mappings["predicate"] != "replaced_by")
    assert set(mapped.rows()) == {
        ("SCT//91302008", "relatedMatch", "ICD10//A41.8", "SNOMED CT map 447562003: IFA 248153007 male"),
        ("SCT//91302008", "relatedMatch", "ICD10//A41.9", "SNOMED CT map 447562003"),
        ("SCT//91302008", "exactMatch", "ICD10//R65.9", "SNOMED CT map 447562003, group 2"),
    }


def test_what_replaced_a_concept_is_told_and_what_may_have_is_not(release: CodeSystem) -> None:
    replaced = release.mappings.filter(predicate="replaced_by")
    told = ("SCT//10001005", "replaced_by", "SCT//91302008", "SNOMED CT association REPLACED BY")
    assert replaced.rows() == [told]


def test_semantic_tags(release: CodeSystem) -> None:
    assert release.properties.filter(concept="SCT//91302008").rows() == [
        ("SCT//91302008", "semantic_tag", "disorder")
    ]


def test_an_extension_adds_and_overrides(tmp_path: Path) -> None:
    both = read_snomed([norwegian(tmp_path / "NO"), international(tmp_path / "INT")])
    sepsis = both.concepts.filter(code="91302008").select("label", "language").rows()
    assert sepsis == [("Sepsis", "en"), ("sepsis", "nb")]
    assert both.concepts.filter(code="40733004")["flags"].to_list() == [["inactive"]]
    assert both.concepts.filter(code="8000202100")["label"].to_list() == ["kateterfeber"]
    assert ("SCT//8000202100", "SCT//91302008", "is_a") in both.edges.rows()


def test_other_maps_and_languages_can_be_asked_for(tmp_path: Path) -> None:
    found = read_snomed(international(tmp_path), languages={61000202103: "nb"}, maps={999: "ICD10-NO"})
    assert found.mappings.filter(predicate="relatedMatch")["object"].to_list() == ["ICD10-NO//B99"]
    assert found.concepts.filter(code="91302008").select("label", "language").row(0) == ("Sepsis", "en")


def test_a_region_has_a_label_of_its_own_only_where_it_says_it_otherwise(tmp_path: Path) -> None:
    root = international(tmp_path)
    british = "900000000000508004"
    file = root / "Snapshot" / "Refset" / "Language" / "der2_cRefset_LanguageSnapshot-en-GB_INT_20250101.txt"
    put(
        file, LANGUAGE, [f"g|20020131|1|0|{british}|5|{PREFERRED}", f"h|20020131|1|0|{british}|7|{PREFERRED}"]
    )
    labels = read_snomed(root).concepts.filter(pl.col("language") == "en-GB").select("code", "label").rows()
    assert labels == [("91302008", 'Septic "syndrome"')]


def test_missing_files_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_snomed([tmp_path, tmp_path / "nowhere"])
    whats = [problem.what for problem in caught.value.problems]
    assert whats == [
        "no such folder",
        *(f"no snapshot of kind {kind}" for kind in ("concept", "description", "relationship")),
    ]


def test_broken_rows_are_told_with_file_and_line(tmp_path: Path) -> None:
    root = international(tmp_path)
    concepts = root / "Snapshot" / "Terminology" / "sct2_Concept_Snapshot_INT_20250101.txt"
    put(concepts, CONCEPT, ["138875005|20020131|1|0|0", "x1|20020131|1|0|0", "4|20020131"])
    with pytest.raises(InputError) as caught:
        read_snomed(root)
    told = [(problem.what, problem.where.rsplit(", ", 1)[1]) for problem in caught.value.problems]
    assert told == [
        ("an identifier that is no number", "line 3"),
        ("a row with another number of cells than the header", "line 4"),
    ]


def test_a_header_without_a_needed_column_is_refused(tmp_path: Path) -> None:
    root = international(tmp_path)
    file = root / "Snapshot" / "Terminology" / "sct2_Relationship_Snapshot_INT_20250101.txt"
    put(file, "id effectiveTime active", [])
    with pytest.raises(InputError, match="column sourceId is missing"):
        read_snomed(root)


def test_the_later_row_counts_whichever_release_holds_it(tmp_path: Path) -> None:
    edition, extension = international(tmp_path / "INT"), norwegian(tmp_path / "NO")
    file = edition / "Snapshot" / "Terminology" / "sct2_Concept_Snapshot_INT_20250101.txt"
    file.write_text(file.read_text("utf-8").replace("40733004\t20020131", "40733004\t20260101"), "utf-8")
    both = read_snomed([edition, extension])
    assert both.concepts.filter(code="40733004")["flags"].to_list() == [[]]
    assert both.concepts["concept"].is_duplicated().sum() == 2  # sepsis, in two languages
