"""The words in which coding rules say what they look for; `judging_conditions` says what each means.

A condition is a mapping with exactly one key. Every condition holds or does not hold of a contact; those
about codes also say which codes they found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Role = Literal["main", "other", "diagnosis", "procedure", "any"]
Key = Literal["hospital", "unit", "stay", "day", "main_code", "main_category", "programme"]
"""What two contacts of one patient may share; `day`: the date on which they begin; main_category: the first
three characters of the main condition; programme: the fact of this name."""
HOURS_A_DAY = 24.0
CODE_FORM = r"^[A-Z0-9_-]+//\S(.*\S)?$"


def _one_or_many(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
Codes = Annotated[tuple[Annotated[str, Field(pattern=CODE_FORM)], ...], BeforeValidator(_one_or_many)]
Keys = Annotated[tuple[Key, ...], BeforeValidator(_one_or_many)]


class Word(BaseModel):
    """Anything that a rule is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Bounds(Word):
    """Bounds of a number; all that are given must hold.

    Attributes:
        above: the number is greater.
        at_least: the number is greater or equal.
        below: the number is less.
        at_most: the number is less or equal.
    """

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Bounds:
        if all(bound is None for bound in (self.above, self.at_least, self.below, self.at_most)):
            raise ValueError("bounds need above, at_least, below or at_most")
        return self


class Code(Word):
    """`code`: the contact has such a code.

    Attributes:
        sets: names of value sets, any of which has the code.
        codes: `SYSTEM//code`, letter for letter but for dots; one that ends in `*` covers all that begin so.
            ICD10 stands for the Norwegian edition too.
        role: which codes are looked at; diagnosis = main or other.
        first_code: whether the code stands first in its group.
        length: the number of characters without dots.
        ends_with: the last character or characters.
        has_children: whether the list of the day has longer codes that begin with this one.
        at_least: so many of them.
    """

    sets: Texts = Field((), alias="in")
    codes: Codes = ()
    role: Role = "any"
    first_code: bool | None = None
    length: Annotated[int, Field(ge=1)] | None = None
    ends_with: str | None = None
    has_children: bool | None = None
    at_least: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _some_codes(self) -> Code:
        if not self.sets and not self.codes and self.role == "any":
            raise ValueError("code needs `in` (value sets), `codes` or a role")
        return self


class Together(Word):
    """`together`: codes that stand together, and codes that do not stand with them.

    Attributes:
        by: condition: in one condition group; day: procedures of one day of the contact.
        has: each of these is there.
        lacks: none of these is there.
    """

    by: Literal["condition", "day"] = "condition"
    has: Annotated[tuple[Code, ...], Field(min_length=1)]
    lacks: tuple[Code, ...] = ()


class ContactIs(Word):
    """`contact`: what the contact is; all that is given must hold, and what is not known does not.

    Attributes:
        care_level: any of these.
        urgency: acute or planned.
        hours: from start to end.
        nights: midnights from start to end.
        age_years: at the start.
        sex: male or female.
        admitted_from: any of these.
        discharged_to: any of these.
    """

    care_level: Texts = ()
    urgency: Literal["acute", "planned"] | None = None
    hours: Bounds | None = None
    nights: Bounds | None = None
    age_years: Bounds | None = None
    sex: Literal["male", "female"] | None = None
    admitted_from: Texts = ()
    discharged_to: Texts = ()

    @model_validator(mode="after")
    def _something(self) -> ContactIs:
        if not self.model_fields_set:
            raise ValueError("contact needs at least one key")
        return self


class FactIs(Word):
    """`fact`: what is told of the contact; without `is`, `begins`, `number` and `equals`: it is told at all.

    Attributes:
        name: as in configs/coding/contact_facts.yaml.
        values: any of these.
        begins: the value begins with any of these.
        number: bounds of its number.
        equals: its number is that of the contact.
    """

    name: str
    values: Texts = Field((), alias="is")
    begins: Texts = ()
    number: Bounds | None = None
    equals: Literal["nights"] | None = None


class Another(Word):
    """`another`: another contact of the same patient.

    Attributes:
        when: whether it begins after this one, before it, or either.
        within_hours: at most so long from the end of the earlier one to the start of the later one; contacts
            that overlap are within any. A contact without an end ends as it begins.
        within_days: the same in days.
        same: what both share.
        differs: what they do not share.
        where: what holds of the other one.
    """

    when: Literal["after", "before", "either"] = "either"
    within_hours: Annotated[float, Field(ge=0)] | None = None
    within_days: Annotated[float, Field(ge=0)] | None = None
    same: Keys = ()
    differs: Keys = ()
    where: Condition | None = None

    @model_validator(mode="after")
    def _one_window(self) -> Another:
        if self.within_hours is not None and self.within_days is not None:
            raise ValueError("within_hours or within_days, not both")
        return self

    @property
    def hours(self) -> float | None:
        """The longest time between the two in hours; None where any is allowed."""
        return self.within_days * HOURS_A_DAY if self.within_days is not None else self.within_hours


class OutsideList(Word):
    """`outside_list`: the contact has codes that the list of their day does not hold.

    Attributes:
        systems: the code systems that are judged.
        kinds: outside_years: the list holds the code on other days; not_listed: never.
    """

    systems: Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
    kinds: tuple[Literal["outside_years", "not_listed"], ...] = ("outside_years", "not_listed")


class Condition(Word):
    """One condition: exactly one of the keys.

    Attributes:
        all: each of these holds. What comes first says which codes the finding is about.
        any: at least one of these holds.
        not_: this does not hold.
        code: see Code.
        together: see Together.
        contact: see ContactIs.
        fact: see FactIs.
        another: see Another.
        outside_list: see OutsideList.
        marks: a criterion of the phenotype language; holds of the contacts that a mark of it belongs to.
    """

    all: Annotated[tuple[Condition, ...], Field(min_length=1)] | None = None
    any: Annotated[tuple[Condition, ...], Field(min_length=1)] | None = None
    not_: Condition | None = Field(None, alias="not")
    code: Code | None = None
    together: Together | None = None
    contact: ContactIs | None = None
    fact: FactIs | None = None
    another: Another | None = None
    outside_list: OutsideList | None = None
    marks: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Condition:
        if len(self.model_fields_set) != 1:
            names = ", ".join(field.alias or name for name, field in Condition.model_fields.items())
            raise ValueError(f"a condition has exactly one of {names}")
        return self

    @property
    def key(self) -> str:
        """The key that is given, as the attribute is called."""
        return next(iter(self.model_fields_set))

    def __hash__(self) -> int:
        """Equal conditions hash alike, criteria of the phenotype language too."""
        return hash(self.model_dump_json())


Another.model_rebuild()
Condition.model_rebuild()


def walk(condition: Condition) -> Iterator[Condition]:
    """A condition and all that it is made of, itself first."""
    yield condition
    inner = [*(condition.all or ()), *(condition.any or ())]
    inner += [condition.not_] if condition.not_ else []
    inner += [condition.another.where] if condition.another and condition.another.where else []
    for part in inner:
        yield from walk(part)


def codes_of(condition: Condition) -> Iterator[Code]:
    """Every `code` within a condition."""
    for part in walk(condition):
        if part.code:
            yield part.code
        if part.together:
            yield from (*part.together.has, *part.together.lacks)
