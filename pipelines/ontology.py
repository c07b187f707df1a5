"""The work behind `pesta ontology`: build a release, compare years, show a code, check lists or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem
from ontology.faults import find_faults
from ontology.normalising import normalise
from ontology.release import Ontology, active_ontology, build_ontology, load_ontology, write_ontology
from ontology.systems import SYSTEMS, compact, parts
from ontology.validity import difference, replaced_by, valid_on, years_covered

if TYPE_CHECKING:
    from phenotype.trajectory import Dataset

MAX_LISTED = 20
"""How many concepts below, or faults of one kind, are named before the rest is only counted."""

USE = pl.Schema(
    {
        "system": pl.String(),
        "n_codes": pl.UInt32(),
        "n_exact": pl.UInt32(),
        "n_respelled": pl.UInt32(),
        "n_nearest_parent": pl.UInt32(),
        "n_not_found": pl.UInt32(),
        "n_events": pl.UInt32(),
        "n_events_not_found": pl.UInt32(),
        "n_events_outside_years": pl.UInt32(),
        "n_events_not_judgeable": pl.UInt32(),
    }
)
"""How a dataset uses one code system: its distinct codes by how they are found, and its events."""

CODE_USE = pl.Schema(
    {
        "code": pl.String(),
        "concept": pl.String(),
        "how": pl.String(),
        "n_events": pl.UInt32(),
        "n_events_outside_years": pl.UInt32(),
        "n_events_not_judgeable": pl.UInt32(),
    }
)
"""How a dataset uses one code; `how` as in ontology.normalising."""


def opened(folder: Path | None) -> Ontology:
    """The ontology in that folder, else the one in use (PESTA_ONTOLOGY), else the embedded one.

    Raises:
        InputError: the folder holds no whole release.
    """
    return load_ontology(folder) if folder else active_ontology()


def build(config: Path, out: Path) -> Iterator[str]:
    """Build a release from its configuration and write it; what it holds, line by line.

    Raises:
        PestaError: everything that is wrong with the configuration, or with the lists.
    """
    ontology = build_ontology(config)
    write_ontology(ontology, out)
    counts = ontology.system.concepts.group_by("system").agg(n=pl.col("concept").n_unique()).sort("system")
    spans = years_covered(ontology)
    for system, n in counts.iter_rows():
        covered = [_span(first, last) for name, first, last in spans.iter_rows() if name == system]
        yield f"{system:10} {n:>8,} concepts{'; covers ' + ', '.join(covered) if covered else ''}"
    faults = find_faults(ontology.system)
    if faults.height:
        yield f"{faults.height:,} faults: `pesta ontology check --ontology {out}` names them"
    yield f"digest {ontology.digest}"
    yield f"written to {out}; use it with --ontology {out}, or PESTA_ONTOLOGY={out}"


def differences(ontology: Ontology, system: str, before: int, after: int) -> Iterator[str]:
    """What came, went or changed its text between two years of a system, line by line.

    Raises:
        ConfigurationError: the ontology has no list of that system for these years.
    """
    changes = difference(ontology, system, before, after)
    n = dict(changes["change"].value_counts().rows())
    yield (
        f"{system} {before} -> {after}: {n.get('new', 0)} new, {n.get('gone', 0)} gone, "
        f"{n.get('text', 0)} with another text"
    )
    for change, concept, old, new in changes.iter_rows():
        told = f"{old} -> {new}" if change == "text" else old if change == "gone" else new
        instead = replaced_by(ontology, concept) if change == "gone" else []
        yield f"{change:5} {parts(concept)[1]:10} {told}" + (
            f" (now {', '.join(instead)})" if instead else ""
        )


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


def fault_lines(ontology: Ontology) -> Iterator[str]:
    """One line to say that nothing is wrong with the lists.

    Raises:
        InputError: circles, edges into nothing, or codes with two texts on one day: one problem for each
        kind.
    """
    faults = find_faults(ontology.system)
    told = {
        "cycle": "concepts stand above themselves",
        "orphan": "parents are not listed (child, parent)",
        "duplicate": "concepts have two texts in one language on the same day",
    }
    problems = []
    for kind, what in told.items():
        rows = faults.filter(pl.col("kind") == kind)
        if rows.height:
            named = [f"{concept} ({other})" for _, concept, other in rows.head(MAX_LISTED).iter_rows()]
            more = [f"and {rows.height - MAX_LISTED:,} more"] if rows.height > MAX_LISTED else []
            do = "mend the list, or leave one of the overlapping lists out of the configuration"
            problems.append(Problem(f"{rows.height:,} {what}", found=", ".join(named + more), next_step=do))
    if problems:
        raise InputError(problems)
    systems = ", ".join(ontology.systems)
    yield f"{len(ontology.graph):,} concepts of {systems}: nothing wrong found"


def check_lines(ontology: Ontology, dataset: Path | None, out: Path | None) -> Iterator[str]:
    """What is wrong with the lists, or, with a dataset, how its codes are found in them, line by line.

    Args:
        ontology: the lists.
        dataset: a dataset's folder, or None.
        out: a Parquet file for the table of codes (CODE_USE), or None.

    Raises:
        InputError: the lists have faults; or no dataset is there.
    """
    if dataset is None:
        yield from fault_lines(ontology)
        return
    from phenotype.trajectory import open_dataset

    codes = code_use(ontology, open_dataset(dataset))
    yield from use_lines(system_use(codes), ontology)
    if out is not None:
        codes.write_parquet(out)
        yield f"codes and counts in {out}"


def code_use(ontology: Ontology, dataset: Dataset) -> pl.DataFrame:
    """How often a dataset uses each code of a code system, and how the code is found among the lists.

    Args:
        ontology: the lists.
        dataset: its events are counted; those without a time are not judged by date.

    Returns:
        Columns of CODE_USE, sorted by code; codes without a code system of ontology.systems are left out.
    """
    system = pl.col("code").str.extract("^(.*?)//")
    used = (
        dataset.events()
        .filter(system.is_in(list(SYSTEMS)))
        .group_by("code", day=pl.col("time").dt.date())
        .agg(n=pl.len())
        .collect()
    )
    state = valid_on(ontology, used["code"], used["day"])
    counts = (
        used.with_columns(state=state)
        .group_by("code")
        .agg(
            n_events=pl.col("n").sum(),
            n_events_outside_years=pl.col("n").filter(pl.col("state") == "not_valid").sum(),
            n_events_not_judgeable=pl.col("n").filter(pl.col("state") == "not_judgeable").sum(),
        )
    )
    found = normalise(used["code"], ontology).rename({"sent": "code"})
    told = counts.join(found, on="code").sort("code")
    return told.select(pl.col(name).cast(dtype) for name, dtype in CODE_USE.items())


def system_use(codes: pl.DataFrame) -> pl.DataFrame:
    """The same by code system.

    Args:
        codes: columns of CODE_USE.

    Returns:
        Columns of USE, sorted by system.
    """
    kinds = ("exact", "respelled", "nearest_parent", "not_found")
    told = codes.group_by(system=pl.col("code").str.extract("^(.*?)//")).agg(
        pl.len().alias("n_codes"),
        *((pl.col("how") == kind).sum().alias(f"n_{kind}") for kind in kinds),
        pl.col("n_events").sum(),
        pl.col("n_events").filter(pl.col("how") == "not_found").sum().alias("n_events_not_found"),
        pl.col("n_events_outside_years", "n_events_not_judgeable").sum(),
    )
    return told.select(pl.col(name).cast(dtype) for name, dtype in USE.items()).sort("system")


def use_lines(use: pl.DataFrame, ontology: Ontology) -> Iterator[str]:
    """The use of each code system in words, counts only; columns of USE."""
    if use.is_empty():
        yield "no code of a known code system in these events"
    for row in use.iter_rows(named=True):
        yield f"{row['system']}: {row['n_codes']:,} codes in {row['n_events']:,} events"
        if row["n_codes"] == row["n_not_found"] and row["system"] not in ontology.systems:
            yield "  no list of this system is in the ontology; docs/ontology.md says how to bring one"
            continue
        yield (
            f"  codes: {row['n_exact']:,} as listed, {row['n_respelled']:,} spelled otherwise, "
            f"{row['n_nearest_parent']:,} not listed and placed under the nearest parent, "
            f"{row['n_not_found']:,} not found"
        )
        yield (
            f"  events: {row['n_events_outside_years']:,} with a code that their day's list does not hold, "
            f"{row['n_events_not_judgeable']:,} on days that no list covers"
        )


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
        yield f"  text        {language or '-'}, {_span(first, last)}: {label or '(none)'}"
    spans = years_covered(ontology).filter(pl.col("system") == parts(concept)[0])
    for _, first, last in spans.iter_rows():
        yield f"  lists cover {_span(first, last)}"
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


def _span(first: object, last: object) -> str:
    if first is None and last is None:
        return "any day"
    return f"{first or '...'} to {last or '...'}"
