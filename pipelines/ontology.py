"""The work behind `pesta ontology`: build a release, compare years, check lists or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem
from ontology.faults import find_faults
from ontology.list_changes import difference
from ontology.release import Ontology, active_ontology, build_ontology, load_ontology, write_ontology
from ontology.systems import parts
from ontology.validity import replaced_by, years_covered
from pipelines.code_sheet import span_words

MAX_LISTED = 20
"""How many faults of one kind are named before the rest is only counted."""


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
        covered = [span_words(first, last) for name, first, last in spans.iter_rows() if name == system]
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
    from phenotype.code_use import code_use, system_use
    from phenotype.trajectory import open_dataset

    codes = code_use(ontology, open_dataset(dataset))
    yield from use_lines(system_use(codes), ontology)
    if out is not None:
        codes.write_parquet(out)
        yield f"codes and counts in {out}"


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
