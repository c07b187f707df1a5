"""Code systems made into one ontology, its digest, and the ontology that needs no file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import polars as pl
import polars.selectors as cs

from ontology.concepts import CodeSystem, joined
from ontology.graph import Graph, build_graph
from ontology.normalising import Listed
from ontology.terminology import LANGUAGES, Ontology, Source

TABLES = ("concepts", "edges", "properties", "mappings", "coverage")
"""The tables of a CodeSystem, in the order in which the digest takes them."""


def ontology_of(
    systems: Sequence[CodeSystem], languages: tuple[str, ...] = LANGUAGES, sources: tuple[Source, ...] = ()
) -> Ontology:
    """Code systems made into one ontology.

    Args:
        systems: what the readers read, in any order.
        languages: the order in which labels are looked for.
        sources: the files that were read.

    Raises:
        InputError: the hierarchy goes round in a circle; all circles are told.
    """
    system = joined(list(systems))
    names = system.concepts["concept"].unique(maintain_order=True).to_list()
    graph = build_graph(names, system.edges)
    return Ontology(system, graph, tables_digest(system), languages, listed_of(system, graph), sources)


def listed_of(system: CodeSystem, graph: Graph) -> Listed:
    """The concepts that lists hold: all but those that only data had when the release was written."""
    from_data = set(system.concepts.filter(pl.col("flags").list.contains("not_listed"))["concept"])
    return Listed(graph.index.keys() - from_data if from_data else graph.index)


@lru_cache(maxsize=1)
def embedded_ontology() -> Ontology:
    """The ontology that needs no file: WHO's ICD-10, and the chapters and blocks of ICD-9-CM."""
    return ontology_of(embedded_systems())


def embedded_systems() -> list[CodeSystem]:
    """What every ontology holds, whatever else it is built of."""
    from ontology.codesystems.icd9cm import icd9_of
    from ontology.codesystems.who_icd10 import read_who_icd10

    return [read_who_icd10(), icd9_of("ICD9CM", []), icd9_of("ICD9PCS", [])]


def tables_digest(system: CodeSystem) -> str:
    """The sha256 of all tables, whatever the order of their rows.

    Each cell counts with its length in bytes, so that no two different tables give the same text.
    """
    total = hashlib.sha256()
    for name in TABLES:
        texts = _row_texts(getattr(system, name))
        total.update(f"{name} {len(texts)}\n".encode())
        for begin in range(0, len(texts), 100_000):
            total.update("".join(texts[begin : begin + 100_000]).encode())
    return total.hexdigest()


def _row_texts(table: pl.DataFrame) -> pl.Series:
    """One text for each distinct row, sorted."""
    flat = table.with_columns(cs.list().list.sort().list.join(","))
    rows = flat.select(pl.concat_str([_cell(pl.col(name).cast(pl.String)) for name in flat.columns]))
    return rows.to_series().unique().sort()


def _cell(text: pl.Expr) -> pl.Expr:
    return (
        pl.when(text.is_null()).then(pl.lit("-;")).otherwise(pl.format("{}:{};", text.str.len_bytes(), text))
    )
