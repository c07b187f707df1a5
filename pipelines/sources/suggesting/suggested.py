"""What is suggested of one table, and the texts in which a mapping says times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pipelines.sources.suggesting.columns import Column
from pipelines.sources.suggesting.names import compact
from pipelines.sources.suggesting.roles import Roles


@dataclass
class Suggested:
    """One table of the mapping: plain content, and why each output is as it is.

    Attributes:
        content: of the table, without the lists of outputs.
        outputs: by list (events, contacts, codings): content and comments of each.
        notes: comments for keys of the table.
        unused: columns without a place, with the reason.
    """

    roles: Roles
    content: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, list[tuple[dict[str, Any], list[str]]]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    unused: list[tuple[str, str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def add(self, kind: str, content: dict[str, Any], *why: str) -> None:
        """One output with its reasons."""
        told = {key: value for key, value in content.items() if value is not None}
        self.outputs.setdefault(kind, []).append((told, [reason for reason in why if reason]))


@dataclass(frozen=True)
class Moment:
    """When a table's facts happened: times as a mapping writes them, and why."""

    time: Any
    known: Any
    end: Any
    why: str


def time_of(column: Column, *, at_end: bool = False) -> Any:
    """A time as a mapping writes it; with `at_end` a day is over."""
    if column.is_relative:
        plain = compact(column.name)
        unit = "hours" if "hour" in plain else "days" if "day" in plain else "minutes"
        unit = "HH:MM" if column.shape.kind == "elapsed" else unit
        return {"anchor": "nominal", "offset": column.name, "unit": unit}
    told: dict[str, Any] = {"column": column.name}
    if column.shape.is_number:
        told["formats"] = ["%Y"]
    elif column.shape.formats:
        told["formats"] = list(column.shape.formats)
    if at_end and column.shape.kind == "date":
        told["at"] = "end"
    return column.name if len(told) == 1 else told
