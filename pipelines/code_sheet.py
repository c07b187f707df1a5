"""What an ontology knows of one code, line by line: texts, years, what is above and below, maps, flags."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.normalising import normalise
from ontology.systems import compact, parts
from ontology.terminology import Ontology
from ontology.validity import replaced_by, years_covered

MAX_LISTED = 20
"""How many concepts below are named before the rest is only counted."""


def shown(ontology: Ontology, code: str) -> Iterator[str]:
    """What the ontology knows of a code, line by line.

    Args:
        ontology: the lists.
        code: `SYSTEM//code`, or a code alone, which is then shown for each system that lists it; in any
            spelling.

    Raises:
        ConfigurationError: no list holds the code, nor anything above it.
    """
    for place, (concept, how) in enumerate(_found(ontology, code)):
        if place:
            yield ""
        if how == "nearest_parent":
            yield f"{code} is not listed; the nearest concept above it is"
        yield from _concept_lines(ontology, concept)


def _found(ontology: Ontology, code: str) -> list[tuple[str, str]]:
    """Concepts to show, and how each was found."""
    systems = [parts(code)[0]] if "//" in code else list(ontology.systems)
    asked = [code] if "//" in code else [f"{system}//{code.strip()}" for system in systems]
    found = normalise(pl.Series(asked, dtype=pl.String), ontology).drop_nulls("concept")
    listed = found.filter(pl.col("how").is_in(["exact", "respelled"]))
    chosen = listed if listed.height else found.filter(pl.lit("//" in code))
    if chosen.is_empty():
        raise ConfigurationError(
            Problem(
                "no list holds this code",
                found=code,
                allowed=f"a code of {', '.join(ontology.systems)}; with SYSTEM// before it, also one that "
                "is only placed by its form",
                next_step="check the code; for other lists build an ontology of your own: "
                "`pesta ontology build CONFIG --out FOLDER` (docs/ontology.md)",
            )
        )
    return chosen.select("concept", "how").unique().sort("concept").rows()


def _concept_lines(ontology: Ontology, concept: str) -> Iterator[str]:
    graph, at = ontology.graph, ontology.graph.index[concept]
    names = graph.names
    rows = ontology.system.concepts.filter(pl.col("concept") == concept)
    yield _named(ontology, concept)
    yield f"  level       {ontology.level(concept) or 'none'}"
    for language, label, first, last in rows.select("language", "label", "valid_from", "valid_to").rows():
        yield f"  text        {language or '-'}, {span_words(first, last)}: {label or '(none)'}"
    spans = years_covered(ontology).filter(pl.col("system") == parts(concept)[0])
    for _, first, last in spans.iter_rows():
        yield f"  lists cover {span_words(first, last)}"
    flags = sorted(set(rows["flags"].explode().drop_nulls()))
    if flags:
        yield f"  flags       {', '.join(flags)}"
    chain, above = [], int(graph.primary_parent[at])
    while above >= 0:
        chain.append(above)
        above = int(graph.primary_parent[above])
    for step in chain:
        yield f"  above       {_named(ontology, names[step])}"
    for other in graph.parents(at).tolist():
        if other not in chain[:1]:
            yield f"  also under  {_named(ontology, names[other])}"
    below = [n for n in graph.descendants(at).tolist() if at in graph.parents(n).tolist()]
    for child in below[:MAX_LISTED]:
        yield f"  below       {_named(ontology, names[child])}"
    if len(below) > MAX_LISTED:
        yield f"  below       and {len(below) - MAX_LISTED:,} more"
    yield from _more_lines(ontology, concept)


def _more_lines(ontology: Ontology, concept: str) -> Iterator[str]:
    """Properties, maps of the concept and of the same code above it, and what replaced it."""
    properties = ontology.system.properties.filter(pl.col("concept") == concept)
    for _, name, value in properties.sort(pl.all()).iter_rows():
        yield f"  {name:11} {value}"
    code = compact(parts(concept)[1])
    same = [concept, *(above for above in ontology.ancestors(concept) if compact(parts(above)[1]) == code)]
    maps = ontology.system.mappings.filter(pl.col("predicate") != "replaced_by")
    for subject, predicate, object_, source in (
        maps.filter(pl.col("subject").is_in(same)).sort(pl.all()).iter_rows()
    ):
        by = "" if subject == concept else f", by {subject}"
        yield f"  maps to     {_named(ontology, object_)} ({predicate}{by}; {source})"
    for subject, predicate, _, source in maps.filter(pl.col("object") == concept).sort(pl.all()).iter_rows():
        yield f"  mapped from {_named(ontology, subject)} ({predicate}; {source})"
    for new in replaced_by(ontology, concept):
        yield f"  replaced by {_named(ontology, new)}"


def _named(ontology: Ontology, concept: str) -> str:
    label = ontology.label(concept) if concept in ontology else None
    return f"{concept}  {label}" if label else concept


def span_words(first: object, last: object) -> str:
    """A span of days in words; null is open at that end."""
    if first is None and last is None:
        return "any day"
    return f"{first or '...'} to {last or '...'}"
