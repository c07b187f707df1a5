"""ICD-11 through WHO's table from ICD-10: mappings, and the ICD-11 entities that they name."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import ROW, Column, Faults, read_table, read_text
from ontology.codesystems.list_columns import table_of
from ontology.concepts import EDGES, MAPPINGS, CodeSystem, concept_rows
from ontology.systems import above_by_form

SYSTEM = "ICD11"
_COLUMNS = (
    Column("subject", ("icd10Code",), is_required=True),
    Column("code", ("icd11Code",), is_required=True),
    Column("chapter", ("icd11Chapter",), is_required=True),
    Column("label", ("icd11Title",), is_required=True),
    Column("level", ("11ClassKind", "ICD11ClassKind"), is_required=True),
    Column("uri", ("Linearization (releaseURI)", "Linearization (release) URI"), is_required=True),
    Column("relation", ("Relation",), is_required=True),
    Column("linearization", ("Linearization",)),
    Column("match_type", ("Match Type",)),
)
_RELEASE = re.compile(r"\d{4}-[A-Z][a-z]{2}-\d{2}")


def read_icd11(path: Path) -> CodeSystem:
    """WHO's 10To11MapToOneCategory.txt as mappings from ICD10 and concepts of ICD11.

    Args:
        path: WHO's file, unaltered (its licence, CC BY-ND 3.0 IGO, allows no altered copies).

    Returns:
        Mappings ICD10//A00 -> ICD11//1A00: exactMatch where WHO says Equivalent, broadMatch where WHO says
        Subclass or where the equal entity has no code of its own and bears that of the class above it
        (LIN-ROLLUP without post-coordination). The source names the table, its date, WHO's relation and match
        type. Rows without an ICD-11 entity give no mapping. Concepts of ICD11 in English: chapters (01),
        blocks (by WHO's entity number, since they bear no code), categories and post-coordinated expressions
        (1A00&XN8P1), each under what its form tells (1A07.Z under 1A07, an expression under its stem), else
        under its chapter.

    Raises:
        InputError: everything that is wrong with the file, by row.
        StorageError: the file cannot be read.

    **Source:** WHO, ICD-10 / ICD-11 mapping tables (10To11MapToOneCategory, with its readme).
    """
    rows = read_table(path, _COLUMNS)
    _check(path, rows)
    found = _RELEASE.search(read_text(path).split("\n", 1)[0])
    table = f"WHO 10To11MapToOneCategory {found[0] if found else '(undated)'}"
    entity = pl.col("uri").str.extract(r"/(\d+)(?:/[a-z]+)?$")
    has_code = ~pl.col("code").str.starts_with("_")  # _NOCODEASSIGNED
    named = rows.with_columns(
        code=pl.coalesce(pl.when(has_code).then("code"), entity), label=pl.col("label").str.strip_suffix(" /")
    ).drop_nulls(["code", "relation"])
    return CodeSystem(_concepts(named), _edges(named), mappings=_mappings(named, table))


def _check(path: Path, rows: pl.DataFrame) -> None:
    faults = Faults(path)
    do = "take WHO's file as it was downloaded"
    faults.rows("a row has no ICD-10 code", rows.filter(pl.col("subject").is_null())[ROW], do=do)
    relation = rows.filter(~pl.col("relation").is_in(["Equivalent", "Subclass"]))
    faults.rows("a relation is not known", relation[ROW], allowed="Equivalent, Subclass or empty", do=do)
    told = rows.filter(pl.col("relation").is_not_null())
    no_target = told.filter(pl.col("code").is_null() & pl.col("uri").is_null())
    faults.rows("a row has a relation and no ICD-11 entity", no_target[ROW], do=do)
    level = told.filter(~pl.col("level").is_in(["chapter", "block", "category"]))
    faults.rows("an ICD-11 class kind is not known", level[ROW], allowed="chapter, block, category", do=do)
    faults.end()


def _mappings(named: pl.DataFrame, table: str) -> pl.DataFrame:
    how = pl.col("linearization").fill_null("")
    is_rolled_up = how.str.contains("LIN-ROLLUP") & ~how.str.contains("POST-COORDINATION")
    is_exact = (pl.col("relation") == "Equivalent") & ~is_rolled_up
    told = pl.concat_str(pl.lit(table), "relation", "match_type", separator=", ", ignore_nulls=True)
    return table_of(
        MAPPINGS,
        named.select(
            subject=pl.format("ICD10//{}", "subject"),
            predicate=pl.when(is_exact).then(pl.lit("exactMatch")).otherwise(pl.lit("broadMatch")),
            object=pl.format(f"{SYSTEM}//{{}}", "code"),
            source=told,
        ),
    )


def _concepts(named: pl.DataFrame) -> pl.DataFrame:
    """One row for each entity, and unlabelled ones for stems and chapters that no row maps to."""
    listed = named.unique("code", keep="first", maintain_order=True).select("code", "label", "level")
    codes = set(listed["code"])
    stems = sorted({code.split("&")[0].split("/")[0] for code in codes} - codes)
    chapters = sorted(set(named["chapter"].drop_nulls()) - codes)
    bare = pl.DataFrame(
        {"code": [*stems, *chapters], "level": ["category"] * len(stems) + ["chapter"] * len(chapters)},
        schema={"code": pl.String, "level": pl.String},
    )
    rows = pl.concat([listed, bare], how="diagonal").sort("code")
    is_abstract = pl.col("level").is_in(["chapter", "block"])
    flags = pl.when(is_abstract).then(pl.lit(["abstract"])).otherwise(pl.lit([], pl.List(pl.String())))
    return concept_rows(SYSTEM, rows.with_columns(flags=flags), language="en")


def _edges(named: pl.DataFrame) -> pl.DataFrame:
    chapter_of = dict(named.select("code", "chapter").drop_nulls().sort("code", "chapter").rows())
    codes = set(chapter_of)
    for code in sorted(codes):
        chapter_of.setdefault(code.split("&")[0].split("/")[0], chapter_of[code])
    edges = []
    for code, chapter in sorted(chapter_of.items()):
        stem = code.split("&")[0].split("/")[0]
        above = [stem] if stem != code else [one for one in above_by_form(SYSTEM, code) if one in chapter_of]
        parent = above[0] if above else chapter
        if parent != code:
            edges.append((f"{SYSTEM}//{code}", f"{SYSTEM}//{parent}", "placed_under"))
    return pl.DataFrame(edges, schema=EDGES, orient="row").sort("child", "parent")
