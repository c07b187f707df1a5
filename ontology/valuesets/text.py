"""What a value set file may say: the typed model of sets, families of sets and their rules."""

from __future__ import annotations

from typing import Annotated, Any, Self

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Concept = Annotated[str, Field(pattern=r"^[A-Z0-9_-]+//\S(.*\S)?$")]
Entry = Annotated[str, Field(pattern=r"^[^*]+\*?$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)?$")]
Key = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
CRITERIA = ("under", "codes", "pattern", "text", "value_set")


def folded(text: pl.Expr) -> pl.Expr:
    """A text as rules on text compare it: lower case, one space for any white space, none at the ends."""
    return text.str.to_lowercase().str.replace_all(r"[\s\u{a0}\u{200b}\u{feff}]+", " ").str.strip_chars(" ")


class Rule(BaseModel):
    """One way into a set, or out of it: exactly one of the criteria, and optionally the years it holds for.

    Attributes:
        under: concepts; they and all below them, in every code system that is placed under them. A range
            `ICD10//I60-I69` stands for all codes written like its ends, from the first to the last.
        codes: event codes, letter for letter.
        pattern: regular expressions that match a whole event code.
        text: what the event's text says, case folded, white space made one space; an entry that ends in `*`
            covers all that begins so.
        value_set: other value sets, families, or groups as `family/group`.
        from_year: the rule holds from 1 January of this year on.
        to_year: the rule holds until 31 December of this year.
        unit: the UCUM unit of these codes' values where an event does not say its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    under: Annotated[tuple[Concept, ...], BeforeValidator(_as_list)] = ()
    codes: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    pattern: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    text: Annotated[tuple[Entry, ...], BeforeValidator(_as_list)] = ()
    value_set: Annotated[tuple[Name, ...], BeforeValidator(_as_list)] = ()
    from_year: int | None = Field(default=None, ge=1850, le=2200)
    to_year: int | None = Field(default=None, ge=1850, le=2200)
    unit: str | None = None

    @field_validator("pattern")
    @classmethod
    def _patterns_are_understood(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                pl.Series([""]).str.contains(f"^(?:{pattern})$")
            except pl.exceptions.ComputeError:
                raise ValueError(f"not a regular expression: {pattern}") from None
        return patterns

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [name for name in CRITERIA if getattr(self, name)]
        if len(said) != 1:
            found = " and ".join(said) or "none"
            raise ValueError(
                f"a rule has exactly one of {', '.join(CRITERIA)}, none of them empty: found {found}"
            )
        if self.from_year and self.to_year and self.from_year > self.to_year:
            raise ValueError("from_year lies after to_year")
        if self.text and (self.from_year or self.to_year):
            raise ValueError("a rule on text holds in all years")
        return self


class Rules(BaseModel):
    """What is in a set: all that an `include` rule holds for and no `exclude` rule.

    Attributes:
        include: ways in.
        exclude: ways out again.
        analyte: what a laboratory set measures, as ontology/units/conversion.py calls it.
        unit: the unit, in UCUM, that its values are wanted in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    include: Annotated[tuple[Rule, ...], Field(min_length=1)]
    exclude: tuple[Rule, ...] = ()
    analyte: Key | None = None
    unit: str | None = None


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Key
    title: str = Field(min_length=1)
    version: str = Field(min_length=1)
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    review: str = Field(min_length=1)


class SetText(_Described, Rules):
    """A file that holds one set."""


class Group(Rules):
    """One set of a family.

    Attributes:
        title: what the group means.
        weights: its points, by the name of the weighting.
        hides: groups that do not count where this one is seen, such as the mild form beside the severe.
        is_auxiliary: it is not scored or shown itself, but serves another group's `seen_with`.
        seen_with: this group is also seen where all of these groups are seen.
    """

    title: str = Field(min_length=1)
    weights: dict[Key, float] = Field(default_factory=dict)
    hides: tuple[Key, ...] = ()
    is_auxiliary: bool = False
    seen_with: tuple[Key, ...] = ()


class Band(BaseModel):
    """A named range of a family's sum."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None


class Family(_Described):
    """A file that holds several sets which belong together; a group is called `family/group`.

    Attributes:
        groups: the sets by name, in the order of the publication.
        weighting: which weights count where none is named; None where the family is not scored.
        bands: named ranges of the sum.
        look_back_days: how far before a stay its publication looks for codes; None where it does not say.
    """

    groups: Annotated[dict[Key, Group], Field(min_length=1)]
    weighting: Key | None = None
    bands: dict[Key, Band] = Field(default_factory=dict)
    look_back_days: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _groups_know_each_other(self) -> Self:
        for name, group in self.groups.items():
            unknown = {*group.hides, *group.seen_with} - self.groups.keys()
            if unknown:
                raise ValueError(
                    f"group {name} names groups that are not there: {', '.join(sorted(unknown))}"
                )
        weightings = [set(group.weights) for group in self.groups.values() if not group.is_auxiliary]
        if any(each != weightings[0] for each in weightings):
            raise ValueError("every group has a weight in every weighting, 0 where it does not count")
        if self.weighting and self.weighting not in weightings[0]:
            raise ValueError(f"no group has a weight for the weighting {self.weighting}")
        return self
