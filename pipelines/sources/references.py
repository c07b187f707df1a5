"""What a mapping's parts say of each other, checked on parsed YAML so that faults of form hide none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ontology.errors import Problem
from pipelines.sources.fields import template_columns

_OUTPUTS = ("events", "contacts", "codings", "observation")
_ONE_OF_SEVERAL = ("_name", "_cell", "_no")


def reference_problems(content: Mapping[str, Any], *, where: str) -> list[Problem]:
    """Names that lead nowhere: tables, anchors, subjects and pseudo-columns that are used but not there.

    Args:
        content: the parsed YAML, which may be wrong in form.
        where: the file, for the messages.
    """
    tables = {name: table for name, table in _dict(content.get("tables")).items() if isinstance(table, dict)}
    problems = [
        *_missing_tables(content, tables),
        *_join_circles(tables),
        *_missing_anchor(content),
        *(problem for name, table in tables.items() for problem in _table_problems(name, table)),
        *_idle_tables(content, tables),
        *_fileless_tables(content, tables),
    ]
    return [_at(problem, where) for problem in problems]


def _at(problem: Problem, where: str) -> Problem:
    return Problem(
        problem.what, f"{where}: {problem.where}", problem.found, problem.allowed, problem.next_step
    )


def _missing_tables(content: Mapping[str, Any], tables: Mapping[str, dict[str, Any]]) -> Iterator[Problem]:
    references = [("subjects.table", _dict(content.get("subjects")).get("table"))]
    references += [
        (f"tables.{name}.joins.{index}.table", join.get("table")) for name, index, join in _joins(tables)
    ]
    for path, table in references:
        if isinstance(table, str) and table not in tables:
            yield Problem(
                "no such table in this mapping", path, table, ", ".join(tables), "name one of the tables"
            )


def _join_circles(tables: Mapping[str, dict[str, Any]]) -> Iterator[Problem]:
    needs = {
        name: {join.get("table") for owner, _, join in _joins(tables) if owner == name} for name in tables
    }
    for name in tables:
        reached: set[object] = set()
        frontier = set(needs[name])
        while frontier - reached:
            reached |= frontier
            frontier = {further for table in frontier if table in needs for further in needs[str(table)]}
        if name in reached:
            yield Problem(
                "a table cannot be joined to itself", f"tables.{name}.joins", next_step="break the circle"
            )


def _missing_anchor(content: Mapping[str, Any]) -> Iterator[Problem]:
    if content.get("nominal_anchor") is None:
        for path, value in _walk(content.get("tables"), "tables"):
            if value == "nominal":
                yield Problem(
                    "a time after the nominal anchor, but the mapping has none",
                    where=path,
                    found="nominal",
                    next_step="give nominal_anchor: YYYY-MM-DD 00:00:00 at the top of the mapping",
                )


def _table_problems(name: str, table: dict[str, Any]) -> Iterator[Problem]:
    for kind in _OUTPUTS:
        for index, output in enumerate(_list(table.get(kind))):
            path = f"tables.{name}.{kind}.{index}"
            if table.get("subject") is None and _dict(output).get("subject") is None:
                yield Problem(
                    "nobody is the subject", path, allowed="subject here or on the table", next_step="add it"
                )
            if not (_dict(output).get("melt") or _dict(output).get("split")):
                for deeper, value in _walk(output, path):
                    used = [column for column in _ONE_OF_SEVERAL if _uses(value, column)]
                    if used:
                        yield Problem(
                            f"{used[0]} is known only in a melt or a split",
                            deeper,
                            next_step="name a column of the table",
                        )


def _idle_tables(content: Mapping[str, Any], tables: Mapping[str, dict[str, Any]]) -> Iterator[Problem]:
    used = {join.get("table") for _, _, join in _joins(tables)} | {
        _dict(content.get("subjects")).get("table")
    }
    for name, table in tables.items():
        if name not in used and not any(table.get(kind) for kind in _OUTPUTS):
            yield Problem(
                "a table that becomes nothing and is joined by none",
                where=f"tables.{name}",
                allowed="events, contacts, codings or observation, or a join from another table",
                next_step="say what its rows become, or take it out",
            )


def _fileless_tables(content: Mapping[str, Any], tables: Mapping[str, dict[str, Any]]) -> Iterator[Problem]:
    if content.get("reader", "tables") == "tables":
        for name, table in tables.items():
            if not table.get("files"):
                yield Problem(
                    "a table without files", f"tables.{name}.files", next_step="say which files hold it"
                )


def _uses(value: object, column: str) -> bool:
    return isinstance(value, str) and (value == column or column in template_columns(value))


def _joins(tables: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for name, table in tables.items():
        for index, join in enumerate(_list(table.get("joins"))):
            if isinstance(join, dict):
                yield name, index, join


def _walk(node: object, path: str) -> Iterator[tuple[str, object]]:
    """Every leaf of parsed YAML with its key path."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _walk(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _walk(value, f"{path}.{index}")
    else:
        yield path, node


def _dict(node: object) -> dict[str, Any]:
    return node if isinstance(node, dict) else {}


def _list(node: object) -> list[Any]:
    return node if isinstance(node, list) else []
