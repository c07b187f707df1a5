"""A column as it is met: its name, what its cells look like, the roles that it may have; a choice of one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pipelines.sources.suggesting.names import WORDS, compact, roles_of
from pipelines.sources.suggesting.sampling import SampledTable
from pipelines.sources.suggesting.shapes import Shape, looks_like_icd9, shape_of

_RELATIVE = re.compile(r".*(offset|minutes?|hours?)(after|since)?.*")
_MAYBE_ICD9 = frozenset({"words", "whole", "number"})
_ICD9 = re.compile(r".*icd.*|diag\d*|diagnosis(code)?")


@dataclass(frozen=True)
class Column:
    """One column: its name, what it looks like, and the roles that its name speaks for."""

    name: str
    shape: Shape
    roles: dict[str, int]

    def role(self, name: str) -> int:
        """How sure its name is of a role, 0 where it is not."""
        return self.roles.get(name, 0)

    @property
    def is_relative(self) -> bool:
        """Whether it counts minutes or hours from an instant that the source does not tell."""
        is_named = self.shape.is_number and bool(_RELATIVE.fullmatch(compact(self.name)))
        return is_named or self.shape.kind == "elapsed"

    @property
    def is_time(self) -> bool:
        """Whether it tells when, as an instant, a date, or a distance in time."""
        return self.shape.is_time or self.is_relative


@dataclass(frozen=True)
class Choice:
    """A column chosen for a role: how sure (3, 2, 1), and why."""

    column: Column
    sure: int
    why: str

    @property
    def note(self) -> str:
        """How sure and why, as a comment says it."""
        return f"{WORDS[max(1, min(3, self.sure))]}: {self.why}"


def columns_of(table: SampledTable) -> tuple[Column, ...]:
    """The columns of a table; names with braces, which templates cannot hold, are left out."""
    found = []
    for name in table.rows.columns:
        if "{" in name or "}" in name or not name:
            continue
        shape, roles = shape_of(table.rows[name]), roles_of(name)
        if (
            shape.system is None
            and shape.kind in {"words", "whole", "number"}
            and _ICD9.fullmatch(compact(name))
        ):
            distinct = table.rows[name].drop_nulls().unique().sort().head(400).to_list()
            if looks_like_icd9(distinct):
                shape = replace(shape, kind="code", system="ICD9CM")
        found.append(Column(name, shape, roles))
    return tuple(found)
