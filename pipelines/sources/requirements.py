"""The columns that a mapping reads, each with its key path, held against the columns that the files have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from ontology.errors import Problem
from pipelines.sources.fields import PSEUDO_COLUMNS, Condition, Number, TextCase, Time
from pipelines.sources.mapping import Coding, Event, Join, Output, Table
from pipelines.sources.tables import SourceFile


def columns_read(node: object, path: str = "") -> list[tuple[str, str]]:
    """Every (key path, column) that a part of the mapping reads from its table's rows."""
    return [(where, column) for where, column in _columns(node, path) if column not in PSEUDO_COLUMNS]


def _columns(node: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, TextCase | Condition | Time):
        yield from ((path, column) for column in node.columns)
    elif isinstance(node, Number):
        yield from ((path, column) for column in (node.column,) if column)
    elif isinstance(node, Join):
        yield from ((f"{path}.by", column) for column in node.by)
    elif isinstance(node, BaseModel):
        yield from _own_columns(node, path)
        for name in type(node).model_fields:
            if name not in {"columns", "melt", "split"}:
                yield from _columns(getattr(node, name), f"{path}.{name}" if path else name)
    elif isinstance(node, tuple):
        for index, part in enumerate(node):
            yield from _columns(
                part, path if len(node) == 1 and isinstance(part, TextCase) else f"{path}.{index}"
            )
    elif isinstance(node, dict):
        for name, part in node.items():
            yield from _columns(part, f"{path}.{name}")


def _own_columns(node: BaseModel, path: str) -> Iterator[tuple[str, str]]:
    """Columns that a model names by plain text."""
    prefix = f"{path}." if path else ""
    if isinstance(node, Table):
        yield from ((f"{prefix}unique", column) for column in node.unique)
    if isinstance(node, Output):
        yield from ((f"{prefix}melt", column) for column in node.melt or ())
        yield from ((f"{prefix}split", column) for column in ([node.split.column] if node.split else ()))
    if isinstance(node, Event) and node.value_or_text:
        yield f"{prefix}value_or_text", node.value_or_text
    if isinstance(node, Coding) and node.sequence:
        yield f"{prefix}sequence", node.sequence


def missing_columns(
    name: str, table: Table, sources: Sequence[SourceFile], taken: Mapping[str, set[str]]
) -> list[Problem]:
    """One problem for each column that the mapping reads and a file lacks.

    Args:
        name: the table.
        table: what the mapping says.
        sources: its files, headers known.
        taken: for each table, the columns that other tables take from it.
    """
    made = {here for join in table.joins for here in join.take} | set(table.derive)
    optional = {column for column, about in table.columns.items() if about.optional}
    read = columns_read(table, f"tables.{name}") + [
        (f"tables.{name} (joined by others)", c) for c in taken.get(name, ())
    ]
    problems: dict[tuple[tuple[str, ...], str], Problem] = {}
    for source in sources:
        there = set(source.columns) | set(source.named) | made | optional
        for path, column in read:
            if column not in there and (source.columns, column) not in problems:
                problems[source.columns, column] = _missing(path, column, source)
    return list(problems.values())


def _missing(path: str, column: str, source: SourceFile) -> Problem:
    near = difflib.get_close_matches(column, source.columns, n=1)
    advice = (
        f"perhaps {near[0]}?" if near else "correct the mapping, or mark the column optional under `columns`"
    )
    header = ", ".join(source.columns[:40])
    return Problem(
        f"the file has no column {column}", f"{source.place} ({path})", f"columns {header}", next_step=advice
    )
