"""Codes placed by their own form: the groups above each code, unlabelled where the list lacks them."""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from ontology.codesystems.list_columns import concept_of, table_of
from ontology.concepts import CONCEPTS, EDGES, concept_rows
from ontology.systems import above_by_form, level_by_form

NO_FLAGS = pl.lit([], dtype=pl.List(pl.String()))


def placed_by_form(
    system: str, listed: pl.DataFrame, *, formless: str | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Concepts and edges of a system whose codes hold their own groups.

    Args:
        system: a name of ontology.systems.SYSTEMS.
        listed: column code and any of label, language, valid_from, valid_to.
        formless: the code of one concept above all codes that have no form of the system; None leaves them
            without a parent.

    Returns:
        Columns of CONCEPTS: the listed rows, and an abstract row without label for each group that no row
        names; level by form, `special` for codes without one. Columns of EDGES.
    """
    codes = set(listed["code"])
    level = {code: level_by_form(system, code) for code in codes}
    chains = {
        code: [code, *above_by_form(system, code)]
        if level[code]
        else [code, *([formless] if formless else [])]
        for code in codes
    }
    groups = sorted({code for chain in chains.values() for code in chain[1:]} - codes)
    level |= {code: "chapter" if code == formless else level_by_form(system, code) for code in groups}
    told = {code: name or "special" for code, name in level.items()}
    unnamed = pl.DataFrame({"code": groups, "flags": [["abstract"]] * len(groups)}, _UNNAMED)
    rows = pl.concat([listed.with_columns(flags=NO_FLAGS), unnamed], how="diagonal")
    pairs = sorted({pair for chain in chains.values() for pair in pairwise(chain)})
    edges = pl.DataFrame(pairs, {"code": pl.String(), "above": pl.String()}, orient="row").select(
        child=concept_of(system), parent=concept_of(system, "above"), relation=pl.lit("is_a")
    )
    leveled = rows.with_columns(level=pl.col("code").replace_strict(told, return_dtype=pl.String))
    return table_of(CONCEPTS, concept_rows(system, leveled)), table_of(EDGES, edges)


_UNNAMED = {"code": pl.String(), "flags": pl.List(pl.String())}
