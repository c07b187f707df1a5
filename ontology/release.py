"""A built ontology as a folder of Parquet with a manifest and a digest, and the one that needs no folder."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import polars as pl

from ontology.concepts import CodeSystem, joined
from ontology.graph import build_graph
from ontology.normalising import Listed
from ontology.terminology import LANGUAGES, Ontology

__all__ = ["Ontology", "embedded_ontology"]

TABLES = ("concepts", "edges", "properties", "mappings", "coverage")


def ontology_of(systems: list[CodeSystem], languages: tuple[str, ...] = LANGUAGES) -> Ontology:
    """Code systems built into one ontology.

    Args:
        systems: what the readers read, in any order.
        languages: the order in which labels are looked for.

    Raises:
        InputError: the hierarchy goes round in a circle.
    """
    system = joined(systems)
    graph = build_graph(system.concepts["concept"].unique(maintain_order=True).to_list(), system.edges)
    from_data = set(system.concepts.filter(pl.col("flags").list.contains("not_listed"))["concept"])
    listed = Listed(set(graph.index) - from_data if from_data else graph.index)
    return Ontology(system, graph, tables_digest(system), languages, listed)


@lru_cache(maxsize=1)
def embedded_ontology() -> Ontology:
    """The ontology that needs no file: WHO's ICD-10."""
    from ontology.codesystems.who_icd10 import read_who_icd10

    return ontology_of([read_who_icd10()])


def tables_digest(system: CodeSystem) -> str:
    """The sha256 of all tables, whatever the order of their rows.

    Each cell counts with its length in bytes, so that no two different tables give the same text.
    """
    total = hashlib.sha256()
    for name in TABLES:
        table: pl.DataFrame = getattr(system, name)
        lists = pl.selectors.list().list.sort().list.join(",")
        cells = table.with_columns(lists).select(pl.all().cast(pl.String)).unique()
        texts = cells.select(pl.concat_str([_cell(column) for column in cells.columns])).to_series().sort()
        total.update(f"{name} {len(texts)}\n".encode())
        for piece in texts.to_list():
            total.update(piece.encode())
    return total.hexdigest()


def _cell(column: str) -> pl.Expr:
    text = pl.col(column)
    return (
        pl.when(text.is_null()).then(pl.lit("-;")).otherwise(pl.format("{}:{};", text.str.len_bytes(), text))
    )


ONTOLOGY_VARIABLE = "PESTA_ONTOLOGY"
"""The environment variable that names the folder of the ontology in use; worker processes inherit it."""
