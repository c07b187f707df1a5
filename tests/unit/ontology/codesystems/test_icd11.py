"""WHO's table from ICD-10 to ICD-11 becomes mappings with their relation, and concepts in their chapters."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.icd11 import read_icd11
from ontology.errors import InputError

TABLE = Path(__file__).parents[5] / "shared" / "kodeverk" / "icd10-icd11-who" / "10To11MapToOneCategory.txt"

HEADER = (
    "10ClassKind\t10DepthInKind\ticd10Code\ticd10Chapter\ticd10Title\t11ClassKind\t11DepthInKind\t"
    "ICD-11 FoundationURI\tLinearization (releaseURI)\ticd11Code\ticd11Chapter\ticd11Title\tchapterMatch\t"
    "Relation\tLinearization\tStatementDistance\tIssueType\tMatch Type\t2020-Jan-22"
)


def row(icd10: str, icd11: str, kind: str, relation: str, *, how: str = "", entity: str = "1") -> str:
    uri = f"http://id.who.int/icd/release/11/beta/mms/{entity}" if entity else ""
    cells = [
        "category",
        "1",
        icd10,
        "I",
        "t",
        kind,
        "1",
        uri,
        uri,
        icd11,
        "01" if kind else "",
        f"title {icd11}",
    ]
    return "\t".join([*cells, "True", relation, how, "0", "", "m"])


ROWS = [
    row("A00", "1A00", "category", "Equivalent"),
    row("A00.0", "1A00&XN8P1", "category", "Equivalent", how="LIN-ROLLUP|POST-COORDINATION"),
    row("A01.0", "1A07.Z", "category", "Equivalent", how="REDIRECT-UNSPECIFIED-RESIDUAL"),
    row("A01", "1A07", "category", "Subclass"),
    row("A01.1", "1A08", "category", "Equivalent", how="LIN-ROLLUP"),
    row("A00-A09", "", "block", "Subclass", entity="588616678"),
    row("I63.4", "_NOCODEASSIGNED", "category", "Subclass", entity="77/unspecified"),
    row("B33.3", "", "", "", entity=""),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "10To11MapToOneCategory.txt"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n", "utf-8")
    return path


def test_equivalent_is_exact_unless_the_code_is_that_of_the_class_above(table: Path) -> None:
    mappings = {subject: (how, target) for subject, how, target, _ in read_icd11(table).mappings.rows()}
    assert mappings == {
        "ICD10//A00": ("exactMatch", "ICD11//1A00"),
        "ICD10//A00.0": ("exactMatch", "ICD11//1A00&XN8P1"),
        "ICD10//A01.0": ("exactMatch", "ICD11//1A07.Z"),
        "ICD10//A01": ("broadMatch", "ICD11//1A07"),
        "ICD10//A01.1": ("broadMatch", "ICD11//1A08"),
        "ICD10//A00-A09": ("broadMatch", "ICD11//588616678"),
        "ICD10//I63.4": ("broadMatch", "ICD11//77"),
    }


def test_the_source_names_the_table_its_date_and_who_s_relation(table: Path) -> None:
    sources = dict(read_icd11(table).mappings.select("subject", "source").rows())
    assert sources["ICD10//A01"] == "WHO 10To11MapToOneCategory 2020-Jan-22, Subclass, m"


def test_entities_lie_under_their_stem_or_their_chapter(table: Path) -> None:
    edges = dict(read_icd11(table).edges.select("child", "parent").rows())
    assert edges["ICD11//1A07.Z"] == "ICD11//1A07"
    assert edges["ICD11//1A00&XN8P1"] == "ICD11//1A00"
    assert edges["ICD11//1A00"] == "ICD11//01"
    assert edges["ICD11//588616678"] == "ICD11//01"


def test_a_table_of_other_words_is_told_with_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("\n".join([HEADER, row("", "1A00", "category", "Equal")]) + "\n", "utf-8")
    with pytest.raises(InputError) as caught:
        read_icd11(path)
    assert len(caught.value.problems) == 2
    assert "row 1" in str(caught.value)


@pytest.mark.skipif(not TABLE.is_file(), reason="needs the folder shared/kodeverk/icd10-icd11-who")
def test_who_s_own_table_reads_whole() -> None:
    """12,483 rows, 43 of them without a mapping: counted with `cut -f14 | sort | uniq -c` on the file."""
    read = read_icd11(TABLE)
    assert read.mappings.height == 12_483 - 43
    assert read.mappings["subject"].n_unique() == read.mappings.height
    chapters = set(read.concepts.filter(pl.col("level") == "chapter")["code"])
    numbered = [f"{n:02}" for n in range(1, 26)]
    assert chapters == {*numbered, "X"}
    children = set(read.edges["child"])
    tops = {
        code for concept, code in read.concepts.select("concept", "code").rows() if concept not in children
    }
    assert tops == chapters
