"""A mapping held against an input: each table's files, their columns, and the reading order."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem
from pipelines.identity import Pseudonyms
from pipelines.identity.scrubbing import scrub_text
from pipelines.sources.fields import template_columns
from pipelines.sources.mapping import Mapping, Table
from pipelines.sources.outputs import is_birth
from pipelines.sources.requirements import missing_columns
from pipelines.sources.tables import SourceFile, describe_file, find_files

SHOWN = 50


def discover(mapping: Mapping, input_path: Path) -> dict[str, list[SourceFile]]:
    """The files of each table, headers read and found to hold every column that the mapping reads.

    Raises:
        InputError: no such input, tables without files, files without columns or without a byte: all at once.
    """
    if not input_path.exists():
        raise InputError(Problem("no such input", str(input_path), next_step="check the path"))
    problems: list[Problem] = []
    files: dict[str, list[SourceFile]] = {}
    taken = columns_taken(mapping)
    for name, table in mapping.tables.items():
        paths = find_files(table, input_path)
        if not paths and not table.optional:
            wanted = ", ".join(table.files)
            problems.append(
                Problem(
                    f"no file for table {name}", str(input_path), "none", wanted, "check the input folder"
                )
            )
        described = [
            describe_file(table, path, number, input_path) for number, path in enumerate(paths, start=1)
        ]
        files[name] = [source for source, _ in described]
        faults = [fault for _, found in described for fault in found]
        problems += faults or missing_columns(name, table, files[name], taken)
    if problems:
        rest = len(problems) - SHOWN
        more = [Problem(f"and {rest:,} more of these")] if rest > 0 else []
        raise InputError([*problems[:SHOWN], *more])
    return files


def columns_taken(mapping: Mapping) -> dict[str, set[str]]:
    """For each table, the columns that others take from it or find its rows by."""
    taken: dict[str, set[str]] = defaultdict(set)
    for table in mapping.tables.values():
        for join in table.joins:
            taken[join.table] |= {*join.by.values(), *join.take.values()}
    if mapping.subjects:
        taken[mapping.subjects.table].add(mapping.subjects.column)
    return dict(taken)


def reading_order(mapping: Mapping) -> list[str]:
    """The tables, each after those that it joins; the list of subjects and births come early."""
    needs = {name: {join.table for join in table.joins} for name, table in mapping.tables.items()}
    if mapping.subjects:
        closed = _closure(mapping.subjects.table, needs)
        for name, others in needs.items():
            if name not in closed:
                others.add(mapping.subjects.table)
    order: list[str] = []
    while len(order) < len(needs):
        ready = [name for name in needs if name not in order and needs[name] <= set(order)]
        ready.sort(key=lambda name: not has_births(mapping.tables[name]))
        needed = {
            need for name in needs if has_births(mapping.tables[name]) for need in _closure(name, needs)
        }
        urgent = [name for name in ready if name in needed]
        order.append((urgent or ready)[0])
    return order


def _closure(name: str, needs: dict[str, set[str]]) -> set[str]:
    """A table and all that it needs, directly or not."""
    reached: set[str] = set()
    frontier = {name}
    while frontier:
        reached |= frontier
        frontier = {need for table in frontier for need in needs[table]} - reached
    return reached


def has_births(table: Table) -> bool:
    """Whether a table says when subjects were born."""
    return any(is_birth(event) for event in table.events)


def with_labels(table: Table, sources: Sequence[SourceFile], pseudonyms: Pseudonyms) -> list[SourceFile]:
    """The files under labels in which ids are replaced by pseudonyms."""
    ids = {
        column
        for case in (*(table.subject or ()), *(table.contact or ()))
        for column in template_columns(case.text)
    }
    labelled = []
    for source in sources:
        match = re.search(table.file_columns, source.label) if table.file_columns else None
        spans = (
            [match.span(name) for name, text in match.groupdict().items() if text and name in ids]
            if match
            else []
        )
        label = source.label
        for start, end in sorted(spans, reverse=True):
            pseudonym = pseudonyms.of("subject", pl.Series([source.label[start:end]])).item()
            label = f"{label[:start]}{pseudonym}{label[end:]}"
        labelled.append(replace(source, label=label))
    return labelled


def files_not_read(read: Collection[Path], input_path: Path, *, by_ending: bool = False) -> dict[str, int]:
    """Files under the input that nothing reads: how many of each shape of name, digits shown as #.

    Args:
        read: files that something reads.
        input_path: the input.
        by_ending: whether only the ending is told: other names may be patients'.
    """
    if input_path.is_file():
        return {}
    others = (path for path in input_path.rglob("*") if path.is_file() and path not in read)
    relative = (path.relative_to(input_path) for path in others)
    names = (
        f"*{''.join(path.suffixes[-2:])}" if by_ending else scrub_text(path.as_posix()) for path in relative
    )
    shapes = Counter(re.sub(r"[0-9]", "#", name) for name in names)
    return dict(sorted(shapes.items()))
