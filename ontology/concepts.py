"""The tables that every code system is read into: concepts, edges, properties and mappings.

A concept is called `SYSTEM//code`, as in events. One row of CONCEPTS says what a concept was called, in one
language, over one span of days: a code whose text changes has two rows, a code in two languages has two rows.
The graph, the closure and the digests use the distinct concepts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

CONCEPTS = pl.Schema(
    {
        "concept": pl.String(),
        "system": pl.String(),
        "code": pl.String(),
        "label": pl.String(),
        "language": pl.String(),
        "level": pl.String(),
        "valid_from": pl.Date(),
        "valid_to": pl.Date(),
        "flags": pl.List(pl.String()),
    }
)
"""valid_from and valid_to are both inclusive; null is open or not told. flags are names of FLAGS."""

EDGES = pl.Schema({"child": pl.String(), "parent": pl.String(), "relation": pl.String()})
"""relation is one of RELATIONS; a child may have many parents."""

PROPERTIES = pl.Schema({"concept": pl.String(), "property": pl.String(), "value": pl.String()})
"""What a system says of a concept beyond its label: component, system, unit, sex."""

MAPPINGS = pl.Schema(
    {"subject": pl.String(), "predicate": pl.String(), "object": pl.String(), "source": pl.String()}
)
"""predicate is exactMatch, closeMatch, broadMatch, narrowMatch or relatedMatch of SKOS, or replaced_by."""

COVERAGE = pl.Schema({"system": pl.String(), "covered_from": pl.Date(), "covered_to": pl.Date()})
"""Over which days the lists that were read are complete; what lies outside cannot be judged. Null is open."""

RELATIONS = ("is_a", "placed_under")
"""is_a: the system itself says so. placed_under: the reader placed it (a national code under WHO's)."""

FLAGS = (
    "abstract",
    "asterisk",
    "additional",
    "unspecific",
    "female_only",
    "male_only",
    "not_reported",
    "inactive",
    "not_listed",
)
"""abstract: a grouping, never recorded itself. not_reported: in the list, but not reported to the registry.
not_listed: found in data only, placed under the nearest code that is listed."""


def _empty(schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame(schema=schema)


@dataclass(frozen=True)
class CodeSystem:
    """What one reader read, or several systems together.

    Attributes:
        concepts: columns of CONCEPTS.
        edges: columns of EDGES; a parent may be a concept of another system.
        properties: columns of PROPERTIES.
        mappings: columns of MAPPINGS.
        coverage: columns of COVERAGE.
    """

    concepts: pl.DataFrame
    edges: pl.DataFrame = field(default_factory=lambda: _empty(EDGES))
    properties: pl.DataFrame = field(default_factory=lambda: _empty(PROPERTIES))
    mappings: pl.DataFrame = field(default_factory=lambda: _empty(MAPPINGS))
    coverage: pl.DataFrame = field(default_factory=lambda: _empty(COVERAGE))


def concept_rows(system: str, rows: pl.DataFrame, **defaults: str | None) -> pl.DataFrame:
    """Rows of CONCEPTS from a frame that has a column code and any of the others.

    Args:
        system: the system's name, as it stands before `//`.
        rows: column code, and any of label, language, level, valid_from, valid_to, flags.
        defaults: constant values for columns that `rows` lacks.

    Returns:
        Columns of CONCEPTS in their order; what neither `rows` nor `defaults` gives is null, flags empty.
    """
    named = rows.with_columns(
        system=pl.lit(system), concept=pl.concat_str(pl.lit(f"{system}//"), pl.col("code"))
    )
    missing = [name for name in CONCEPTS if name not in named.columns]
    no_flags = pl.lit([], dtype=pl.List(pl.String()))
    filled = named.with_columns(
        (no_flags if name == "flags" else pl.lit(defaults.get(name))).alias(name) for name in missing
    )
    return filled.select(pl.col(name).cast(dtype) for name, dtype in CONCEPTS.items())


def joined(systems: list[CodeSystem]) -> CodeSystem:
    """Several systems as one; rows that are equal in all columns are kept once, in sorted order."""
    return CodeSystem(
        *(
            pl.concat([getattr(system, table) for system in systems]).unique().sort(pl.all())
            for table in ("concepts", "edges", "properties", "mappings", "coverage")
        )
    )
