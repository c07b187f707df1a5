"""Codes that no list has get a place in the hierarchy, by the form of the code and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ontology.concepts import CONCEPTS, EDGES
from ontology.normalising import Listed
from ontology.systems import SYSTEMS, above_by_form, level_by_form, parts, spelled


def placed(codes: Sequence[str], listed: Listed) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Concepts and edges for codes that are not listed.

    A code is placed under what `Listed.find` gives for it. Where its system is placed under no other and its form
    tells of codes between the two (ICD9CM//995.9 and ICD9CM//995 above ICD9CM//99591), those become concepts as
    well, so that what is asked of them holds without a list. So the place of a code depends on the lists and on
    the code alone, never on what other codes there are.

    Args:
        codes: `SYSTEM//code` as data have them, none of them listed.
        listed: the concepts of the lists.

    Returns:
        Columns of CONCEPTS (no label; flag not_listed) and of EDGES (placed_under), each unique and sorted.
    """
    parents: dict[str, str | None] = {}
    for code in codes:
        _place(code, listed, parents)
    names = sorted(parents)
    split = [parts(name) for name in names]
    concepts = pl.DataFrame(
        {
            "concept": names,
            "system": [system for system, _ in split],
            "code": [code for _, code in split],
            "level": [_level(system, code) for system, code in split],
            "flags": [["not_listed"]] * len(names),
        },
        schema_overrides={name: CONCEPTS[name] for name in ("concept", "system", "code", "level", "flags")},
    )
    missing = [pl.lit(None, CONCEPTS[name]).alias(name) for name in CONCEPTS if name not in concepts.columns]
    edges = [(name, parents[name], "placed_under") for name in names if parents[name] is not None]
    return concepts.with_columns(missing).select(list(CONCEPTS)), pl.DataFrame(
        edges, schema=EDGES, orient="row"
    )


def _place(name: str, listed: Listed, parents: dict[str, str | None]) -> None:
    """Fill in the parent of a code, and those of the codes between it and the nearest listed one."""
    concept, how = listed.find(name)
    if how in {"exact", "respelled"}:
        parents[name] = concept
        return
    below = name
    for above in _chain(name):
        if below in parents:
            return
        if above in listed.concepts:
            break
        parents[below] = above
        below = above
    if below not in parents:
        parents[below] = listed.find(below)[0]


def _chain(name: str) -> list[str]:
    """The code as its system writes it and what stands above by form; none in an edition placed under another."""
    system, code = parts(name)
    known = SYSTEMS.get(system)
    if known is None or known.placed_under is not None or not known.forms:
        return []
    written = spelled(system, code)
    return [
        f"{system}//{above}"
        for above in (*([written] if written != code else []), *above_by_form(system, code))
    ]


def _level(system: str, code: str) -> str | None:
    """The level by form, for codes as their system writes them; editions under another take that one's levels."""
    known = SYSTEMS.get(system)
    is_own = known is not None and known.placed_under is None and spelled(system, code) == code
    return level_by_form(system, code) if is_own else None
