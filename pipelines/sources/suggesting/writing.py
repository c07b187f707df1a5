"""A suggested mapping as YAML with comments: how sure each guess is, and why; never a cell's value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import yaml

from pipelines.sources.suggesting.sampling import SampledTable
from pipelines.sources.suggesting.suggested import Suggested

_HEAD = """\
# A first mapping, suggested from names, types and the forms of codes by `pesta ingest --suggest`.
# Go through it line by line (docs/mapping.md is the language), correct, delete, and ingest again.
#   sure     the name and the cells say so
#   likely   one of them does
#   a guess  something had to stand here
# Check first: who the subject is; that nothing is dated before it could be known; the zone of times."""
NOMINAL_ANCHOR = "2000-01-01 00:00:00"
_LISTS = ("events", "contacts", "codings")


def written(name: str, tables: Sequence[Suggested], left_out: Mapping[str, str]) -> str:
    """The mapping's text.

    Args:
        name: of the mapping: small letters, digits and hyphens.
        tables: in the order in which they are to be read.
        left_out: tables that nothing ties to a patient, and why.
    """
    lines = [_HEAD, f"name: {name}", "title: Suggested mapping, not yet checked"]
    if any("nominal" in str(made.outputs) for made in tables):
        lines += [
            "# times are told as distances from an instant that the source does not give: a nominal one"
        ]
        lines += [f"nominal_anchor: {NOMINAL_ANCHOR}"]
    lines += ["# lower this to 0.01 once the mapping is right", "max_reject_share: 1.0", "tables:"]
    for made in tables:
        lines += _table(made)
    lines += [f"# table not used: {table}: {why}" for table, why in left_out.items()]
    return "\n".join(lines) + "\n"


def _table(made: Suggested) -> Iterator[str]:
    table = made.roles.table
    yield f"  {table.name}:"
    for key, value in {**_layout(table), **made.content}.items():
        if key in made.notes:
            yield f"    # {made.notes[key]}"
        yield f"    {key}: {_flow(value)}"
    for kind in _LISTS:
        if made.outputs.get(kind):
            yield f"    {kind}:"
            for content, reasons in made.outputs[kind]:
                yield from (f"      # {reason}" for reason in reasons)
                yield f"      - {_flow(content)}"
    for why, columns in groupby(sorted(made.unused, key=lambda pair: pair[1]), key=lambda pair: pair[1]):
        yield f"    # not used ({why}): {', '.join(_plain(name) for name, _ in columns)}"


def _layout(table: SampledTable) -> dict[str, Any]:
    """Where the files are and how they are read, as far as it is not the usual."""
    given: dict[str, Any] = {"files": [table.pattern]}
    if table.delimiter:
        given["delimiter"] = table.delimiter
    if table.encoding != "utf-8":
        given["encoding"] = table.encoding
    if table.null_values:
        given["null_values"] = list(table.null_values)
    if table.column_names:
        given["column_names"] = list(table.column_names)
    return given


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _plain(name: str) -> str:
    """A column's name for a comment, on one line."""
    return re.sub(r"\s+", " ", name)
