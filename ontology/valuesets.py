"""Named sets of codes or organism names, from YAML with version and source, with their meaning in polars."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate

Entry = Annotated[str, Field(pattern=r"^[^*]+\*?$")]


class ValueSet(BaseModel):
    """A named set; an entry that ends in `*` stands for everything that begins so.

    Attributes:
        name: as in file names and tasks.
        title: what the set means.
        version: changes whenever the entries do.
        source: where the entries come from.
        members: what belongs to the set.
        exceptions: what does not, although a member's beginning covers it.
        is_case_sensitive: False for names that people write, such as organisms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    version: str
    source: str
    members: Annotated[tuple[Entry, ...], Field(min_length=1)]
    exceptions: tuple[Entry, ...] = ()
    is_case_sensitive: bool = True

    def holds(self, column: str) -> pl.Expr:
        """Whether a text column's value is in the set; False where it is null."""
        text = pl.col(column) if self.is_case_sensitive else pl.col(column).str.to_lowercase()
        inside = self._any(text, self.members)
        return (inside & ~self._any(text, self.exceptions)).fill_null(value=False)

    def _any(self, text: pl.Expr, entries: tuple[str, ...]) -> pl.Expr:
        folded = entries if self.is_case_sensitive else tuple(entry.lower() for entry in entries)
        exact = text.is_in([entry for entry in folded if not entry.endswith("*")])
        return pl.any_horizontal(
            exact, *(text.str.starts_with(entry[:-1]) for entry in folded if entry.endswith("*"))
        )


@cache
def load_valueset(name: str) -> ValueSet:
    """A value set that comes with Pesta, by its name, or one's own by the path of a YAML file.

    Raises:
        ConfigurationError: no such value set, or faults in it, all at once.
    """
    file = find_config("valuesets", name)
    return validate(ValueSet, read_yaml(file), where=file.name)
