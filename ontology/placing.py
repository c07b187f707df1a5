"""Codes that no list has get a place in the hierarchy, by the form of the code and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from ontology.concepts import CONCEPTS, EDGES
from ontology.normalising import Listed
from ontology.systems import has_own_groups, level_by_form, parts, reading


def placed(codes: Sequence[str], listed: Listed) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Concepts and edges for codes that are not listed.

    A code is placed under what `Listed.find` gives for it. Where its system is placed under no other and its
    form tells of codes between the two (ICD9CM//995.9 and ICD9CM//995 above ICD9CM//99591), those become
    concepts as well, so that what is asked of them holds without a list. The place of a code depends on the
    lists and on the code alone, never on what other codes there are.

    Args:
        codes: `SYSTEM//code` as data have them, none of them listed.
        listed: the concepts of the lists.

    Returns:
        Columns of CONCEPTS (no label; flag not_listed) and of EDGES (placed_under), each unique and sorted.
    """
    places: dict[str, _Place] = {}
    for code in codes:
        _place(code, listed, places)
    names = sorted(places)
    told = [places[name] for name in names]
    columns = {
        "concept": names,
        "system": [place.system for place in told],
        "code": [place.code for place in told],
        "level": [place.level for place in told],
    }
    concepts = pl.DataFrame(columns, schema={name: CONCEPTS[name] for name in columns})
    missing = [
        pl.lit(None, CONCEPTS[name]).alias(name) for name in CONCEPTS if name not in (*columns, "flags")
    ]
    parents = pl.Series([place.parent for place in told], dtype=pl.String)
    edges = concepts.select(child="concept", parent=parents, relation=pl.lit("placed_under"))
    whole = concepts.with_columns(*missing, flags=pl.lit(["not_listed"])).select(list(CONCEPTS))
    return whole, edges.drop_nulls("parent").select(list(EDGES))


class _Place(NamedTuple):
    system: str
    code: str
    level: str | None
    parent: str | None


def _place(name: str, listed: Listed, places: dict[str, _Place]) -> None:
    """Fill in the place of a code, and those of the codes between it and the nearest listed one."""
    system, code = parts(name)
    written, above, level = reading(system, code)
    concept, how = listed.find(name)
    is_own = has_own_groups(system)
    between = (*((written,) if written not in {code, ""} else ()), *above) if is_own and how in _BELOW else ()
    level = level if is_own and written == code else None
    for shorter in between:
        group = f"{system}//{shorter}"
        if group == concept:
            break
        places[name] = _Place(system, code, level, group)
        if group in places:
            return
        name, code, level = group, shorter, level_by_form(system, shorter)
    places[name] = _Place(system, code, level, concept)


_BELOW = frozenset({"nearest_parent", "not_found"})
