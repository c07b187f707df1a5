"""SNOMED CT from RF2 snapshots: concepts, labels by language, is-a, the maps to ICD-10, what replaced what.

The files are scanned, not loaded: only the wanted columns of the wanted rows come into memory. An extension
(the Norwegian edition) is read together with the international edition that it depends on; of a row that both
hold the later one counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from ontology.codesystems.snomed_files import Kind, Release, find_release
from ontology.concepts import CONCEPTS, EDGES, MAPPINGS, PROPERTIES, CodeSystem

SYSTEM = "SCT"

IS_A = 116680003
FULLY_SPECIFIED_NAME = 900000000000003001
SYNONYM = 900000000000013009
PREFERRED = 900000000000548007
REPLACING = {900000000000526001: "REPLACED BY", 900000000000527005: "SAME AS"}
"""Identifiers of SNOMED CT's own metadata.

**Source:** SNOMED International, RF2 specification, section 5.2.
"""

LANGUAGE_REFSETS: Mapping[int, str] = {
    900000000000509007: "en",
    900000000000508004: "en-GB",
    61000202103: "nb",
    91000202106: "nn",
}
"""Language reference set -> language of its labels: US and British English, Norwegian Bokmål and Nynorsk.

**Source:** SNOMED International, RF2 specification, section 5.2.2.1; release notes of the Norwegian edition.
"""

MAP_REFSETS: Mapping[int, str] = {447562003: "ICD10"}
"""Extended map reference set -> the system of its targets; 447562003 maps to WHO's ICD-10."""

CORRELATIONS: Mapping[int, str] = {
    447557004: "exactMatch",
    447558009: "broadMatch",
    447559001: "narrowMatch",
    447560006: "relatedMatch",
    447561005: "relatedMatch",
}
"""Correlation of a map row -> predicate: exact; source narrower; source broader; partial overlap; not told.

**Source:** SNOMED International, RF2 specification, section 5.2.10 (complex and extended map reference sets).
"""

_UNCONDITIONAL = ("TRUE", "OTHERWISE TRUE")


def read_snomed(
    folders: Path | Sequence[Path],
    *,
    languages: Mapping[int, str] = LANGUAGE_REFSETS,
    maps: Mapping[int, str] = MAP_REFSETS,
) -> CodeSystem:
    """One edition of SNOMED CT.

    Args:
        folders: the folder of a release, or those of an edition and the extensions to it; snapshot files are
            found by name, wherever in the folder they lie.
        languages: language reference set -> language; a concept gets that set's preferred term.
        maps: extended map reference set -> name of the target system.

    Returns:
        Concepts of system SCT: one row for each language (for en-GB only where it differs from en); a concept
        that no set names keeps its fully specified name without the tag, in English. Inactive concepts are
        flagged; they end on the day before the row that made them so. Edges: active is-a relationships.
        Properties: semantic_tag. Mappings: map rows with a target (source says the reference set, a group
        beyond the first, and a rule that is no plain TRUE), and `replaced_by` for inactive concepts.

    Raises:
        InputError: missing or broken files: all, with the lines of broken ones.

    **Source:** SNOMED International, Release File Specifications (RF2).
    """
    release = find_release([folders] if isinstance(folders, Path) else folders)
    with release.told_faults():
        concepts = release.rows(Kind.CONCEPT, "id", "effectiveTime", "active").collect(engine="streaming")
        names = _fully_specified(release)
        return CodeSystem(
            _concepts(concepts, _preferred(release, languages), names),
            _edges(release),
            _tags(names),
            pl.concat([_icd_map(release, maps), _replacements(release)]).unique().sort(pl.all()),
        )


def _concept(column: str) -> pl.Expr:
    return pl.concat_str(pl.lit(f"{SYSTEM}//"), pl.col(column).cast(pl.String))


def _fully_specified(release: Release) -> pl.DataFrame:
    """Id, name, tag of every concept; the English one where there are several."""
    found = (
        release.rows(Kind.DESCRIPTION, "conceptId", "typeId", "languageCode", "term", "active")
        .filter(pl.col("active") == "1", pl.col("typeId") == FULLY_SPECIFIED_NAME)
        .select(id="conceptId", order=pl.col("languageCode") != "en", term="term")
        .collect(engine="streaming")
    )
    tagged = pl.col("term").str.extract_groups(r"^(?<name>.*?)(?: \((?<tag>[^()]+)\))?$").struct
    first = found.sort("id", "order", "term").unique("id", keep="first", maintain_order=True)
    return first.select("id", name=tagged.field("name"), tag=tagged.field("tag"))


def _preferred(release: Release, languages: Mapping[int, str]) -> pl.DataFrame:
    """Id, label, language: each concept's preferred synonyms; a region's only where it has its own word."""
    preferred = (
        release.rows(Kind.LANGUAGE, "refsetId", "referencedComponentId", "acceptabilityId", "active")
        .filter(
            pl.col("active") == "1",
            pl.col("acceptabilityId") == PREFERRED,
            pl.col("refsetId").is_in(list(languages)),
        )
        .select(
            description="referencedComponentId",
            language=pl.col("refsetId").replace_strict(dict(languages), return_dtype=pl.String),
        )
    )
    terms = release.rows(Kind.DESCRIPTION, "id", "conceptId", "typeId", "term", "active").filter(
        pl.col("active") == "1", pl.col("typeId") == SYNONYM
    )
    joined = terms.join(preferred, left_on="id", right_on="description").select(
        id="conceptId", label="term", language="language"
    )
    found = joined.collect(engine="streaming").sort(pl.all())
    first = found.unique(["id", "language"], keep="first", maintain_order=True)
    plain = first.filter(~pl.col("language").str.contains("-"))
    base = first.with_columns(language=pl.col("language").str.extract(r"^(\w+)-")).drop_nulls("language")
    same = base.join(plain, on=["id", "label", "language"], how="semi").select("id", "label")
    regional = first.filter(pl.col("language").str.contains("-")).join(same, on=["id", "label"], how="anti")
    return pl.concat([plain, regional])


def _concepts(concepts: pl.DataFrame, labels: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    unnamed = concepts.join(labels, on="id", how="anti").join(names, on="id", how="left")
    spare = unnamed.select(
        "id", label="name", language=pl.when(pl.col("name").is_not_null()).then(pl.lit("en"))
    )
    is_inactive = pl.col("active") == "0"
    day_before = pl.col("effectiveTime").str.to_date("%Y%m%d").dt.offset_by("-1d")
    return (
        pl.concat([labels, spare])
        .join(concepts, on="id")
        .select(
            concept=_concept("id"),
            system=pl.lit(SYSTEM),
            code=pl.col("id").cast(pl.String),
            label="label",
            language="language",
            level=pl.lit(None, pl.String),
            valid_from=pl.lit(None, pl.Date),
            valid_to=pl.when(is_inactive).then(day_before),
            flags=pl.when(is_inactive).then(pl.lit(["inactive"])).otherwise(pl.lit([], pl.List(pl.String))),
        )
        .sort("concept", "language")
        .cast(CONCEPTS)
    )


def _tags(names: pl.DataFrame) -> pl.DataFrame:
    told = names.drop_nulls("tag")
    rows = told.select(concept=_concept("id"), property=pl.lit("semantic_tag"), value="tag")
    return rows.sort("concept").cast(PROPERTIES)


def _edges(release: Release) -> pl.DataFrame:
    found = (
        release.rows(Kind.RELATIONSHIP, "sourceId", "destinationId", "typeId", "active")
        .filter(pl.col("active") == "1", pl.col("typeId") == IS_A)
        .select(child=_concept("sourceId"), parent=_concept("destinationId"), relation=pl.lit("is_a"))
        .unique()
        .collect(engine="streaming")
    )
    return found.sort(pl.all()).cast(EDGES)


def _icd_map(release: Release, maps: Mapping[int, str]) -> pl.DataFrame:
    group = pl.col("mapGroup").cast(pl.Int32)
    rule = pl.col("mapRule").str.strip_chars()
    parts = [
        pl.concat_str(pl.lit("SNOMED CT map "), pl.col("refsetId").cast(pl.String)),
        pl.when(group > 1).then(pl.concat_str(pl.lit(", group "), group)).otherwise(pl.lit("")),
        pl.when(~rule.is_in(_UNCONDITIONAL)).then(pl.concat_str(pl.lit(": "), rule)).otherwise(pl.lit("")),
    ]
    target = pl.col("mapTarget").str.strip_chars()
    columns = (
        "refsetId",
        "referencedComponentId",
        "mapGroup",
        "mapRule",
        "mapTarget",
        "correlationId",
        "active",
    )
    found = (
        release.rows(Kind.EXTENDED_MAP, *columns)
        .filter(pl.col("active") == "1", pl.col("refsetId").is_in(list(maps)), target != "")
        .select(
            subject=_concept("referencedComponentId"),
            predicate=pl.col("correlationId").replace_strict(
                dict(CORRELATIONS), default="relatedMatch", return_dtype=pl.String
            ),
            object=pl.concat_str(
                pl.col("refsetId").replace_strict(dict(maps), return_dtype=pl.String), pl.lit("//"), target
            ),
            source=pl.concat_str(parts),
        )
        .collect(engine="streaming")
    )
    return found.cast(MAPPINGS)


def _replacements(release: Release) -> pl.DataFrame:
    found = (
        release.rows(Kind.ASSOCIATION, "refsetId", "referencedComponentId", "targetComponentId", "active")
        .filter(pl.col("active") == "1", pl.col("refsetId").is_in(list(REPLACING)))
        .select(
            subject=_concept("referencedComponentId"),
            predicate=pl.lit("replaced_by"),
            object=_concept("targetComponentId"),
            source=pl.concat_str(
                pl.lit("SNOMED CT association "),
                pl.col("refsetId").replace_strict(REPLACING, return_dtype=pl.String),
            ),
        )
        .collect(engine="streaming")
    )
    return found.cast(MAPPINGS)
