"""From an input's tables to the text of a mapping that loads and ingests as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ontology.errors import InputError, Problem
from pipelines.sources.suggesting.names import compact
from pipelines.sources.suggesting.outputs import suggest_table
from pipelines.sources.suggesting.relations import Relations, relate
from pipelines.sources.suggesting.roles import Roles, assign
from pipelines.sources.suggesting.sampling import sample_tables
from pipelines.sources.suggesting.suggested import Suggested
from pipelines.sources.suggesting.writing import written

_NORWEGIAN = re.compile(
    r".*(dato|tid$|kode|kjonn|pasient|kontakt|tilst|enhet|verdi|svar|fodt|fodsel|opphold|omsorg).*"
)


def suggest_mapping(input_path: Path) -> str:
    """A commented YAML mapping of the tables in a folder (or one file), for a person to correct.

    Args:
        input_path: csv, tsv, psv, txt (each also .gz) and parquet files are looked at, other files are not.

    Returns:
        The text; it loads as a mapping and ingests the input. Comments say how sure each guess is and why,
        and list columns and tables without a place. No cell of the input stands in it.

    Raises:
        InputError: there is no table, or none that anything ties to a patient.
    """
    told = assign(sample_tables(input_path))
    relations = relate(told)
    is_norwegian = _is_norwegian(told)
    made = {
        roles.table.name: suggestion
        for roles in told
        if (suggestion := suggest_table(roles, relations, is_norwegian=is_norwegian))
    }
    with_outputs = _ordered([suggestion for suggestion in made.values() if _is_needed(suggestion, relations)])
    if not with_outputs:
        raise InputError(
            Problem(
                "no table has a column that could name a patient",
                str(input_path),
                allowed="a column such as patient_id, subject_id or pasientNr",
                next_step="write the mapping by hand: docs/mapping.md",
            )
        )
    used = {suggestion.roles.table.name for suggestion in with_outputs}
    left_out = {roles.table.name: _why_left_out(roles) for roles in told if roles.table.name not in used}
    return written(_name(input_path), with_outputs, left_out)


def _is_norwegian(told: Sequence[Roles]) -> bool:
    """Whether several columns have Norwegian names."""
    names = {compact(column.name) for roles in told for column in roles.columns}
    return sum(bool(_NORWEGIAN.fullmatch(name)) for name in names) >= 3


def _is_needed(suggestion: Suggested, relations: Relations) -> bool:
    """Whether a table gives anything, or others borrow from it."""
    return bool(suggestion.outputs) or suggestion.roles is relations.contacts


def _ordered(tables: list[Suggested]) -> list[Suggested]:
    """Those that are borrowed from first."""
    return sorted(tables, key=lambda made: (bool(made.content.get("joins")), made.roles.table.name))


def _why_left_out(roles: Roles) -> str:
    if not roles.subject and not roles.contact:
        return "no column names a patient or a contact; it may explain codes of other tables"
    return "nothing in it could be dated or named"


def _name(input_path: Path) -> str:
    """A name for the mapping; digits, which may be an identity, are left out."""
    plain = re.sub(r"[^a-z]+", "-", input_path.stem.lower()).strip("-")
    return f"suggested-{plain}" if plain else "suggested"
