"""The words of the phenotype language: one frozen model for each kind of criterion.

What each means is told in docs/phenotypes.md and computed by evaluation.py alone. Every criterion
denotes marks: dated rows with an optional value and the events that they rest on.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from phenotype.scores.points import SCORES
from phenotype.scores.rise import Baseline

Unit = Literal["subject", "stay", "contact"]
State = Literal["confirmed", "suspected", "excluded"]
STATES: tuple[State, ...] = ("confirmed", "suspected", "excluded")
"""The strongest first."""


def _one_or_many(given: Any) -> Any:
    return (given,) if isinstance(given, str | BaseModel) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
LONGEST_DAYS = 200 * 366
"""No window is longer than 200 years: nobody lives so long, and instants stay within the calendar."""
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Days = Annotated[float, Field(gt=0, le=LONGEST_DAYS)]
Hours = Annotated[float, Field(gt=0, le=LONGEST_DAYS * 24)]
Offset = Annotated[float, Field(ge=-LONGEST_DAYS * 24, le=LONGEST_DAYS * 24)]
"""Hours before (negative) or after."""


class Part(BaseModel):
    """Anything that a definition is made of; two that are equal mean the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Condition(Part):
    """Bounds of a value; all that are given must hold.

    Attributes:
        above: the value is greater.
        at_least: the value is greater or equal.
        below: the value is less.
        at_most: the value is less or equal.
        unit: the unit (UCUM) of the bounds and of the value that comes out; None = as it was sent.
    """

    above: Number | None = None
    at_least: Number | None = None
    below: Number | None = None
    at_most: Number | None = None
    unit: str | None = None

    @property
    def has_bounds(self) -> bool:
        """Whether any bound is given."""
        return any(bound is not None for bound in (self.above, self.at_least, self.below, self.at_most))

    @model_validator(mode="after")
    def _some_condition(self) -> Condition:
        if not self.has_bounds and self.unit is None:
            raise ValueError("a condition needs above, at_least, below, at_most or unit")
        lows = [bound for bound in (self.above, self.at_least) if bound is not None]
        highs = [bound for bound in (self.below, self.at_most) if bound is not None]
        if lows and highs:
            low, high = max(lows), min(highs)
            if low > high or (low == high and (self.above == low or self.below == high)):
                raise ValueError("no value is within all of these bounds")
        return self


class Events(Part):
    """`events`: the dataset's events with these codes."""

    key: ClassVar[str] = "events"
    kind: Literal["events"] = "events"
    sets: Names = Field((), alias="in")
    codes: Names = ()
    value: Condition | None = None
    text: Names = ()
    text_not: Names = ()
    role: Literal["main", "other", "procedure"] | None = None
    during: Literal["stay", "contact"] | None = None

    @model_validator(mode="after")
    def _some_codes(self) -> Events:
        if not self.sets and not self.codes:
            raise ValueError("events need `in` (value sets) or `codes`")
        if "" in self.codes:
            raise ValueError("an empty code")
        return self


class AnyOf(Part):
    """`any`: the marks of all parts."""

    key: ClassVar[str] = "any"
    kind: Literal["any"] = "any"
    of: Annotated[tuple[Criterion, ...], Field(min_length=1)]


class Not(Part):
    """`not`, inside `all` only: no mark of this may be in the unit."""

    key: ClassVar[str] = "not"
    kind: Literal["not"] = "not"
    of: Criterion


class AllOf(Part):
    """`all`: the units that have a mark of every part, and none of the negated ones."""

    key: ClassVar[str] = "all"
    kind: Literal["all"] = "all"
    of: Annotated[tuple[Criterion | Not, ...], Field(min_length=1)]
    per: Unit = "stay"

    @model_validator(mode="after")
    def _something_positive(self) -> AllOf:
        if all(isinstance(part, Not) for part in self.of):
            raise ValueError("all needs at least one part that is not negated")
        return self


class AtLeast(Part):
    """`at_least`: marks from which on n different ones come within some hours."""

    key: ClassVar[str] = "at_least"
    kind: Literal["at_least"] = "at_least"
    n: Annotated[int, Field(ge=1, le=1_000_000)]
    of: Annotated[tuple[Criterion, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
    within_hours: Hours | None = None
    distinct: Literal["time", "value", "part"] = "time"
    same: Literal["subject", "stay", "contact", "text"] = "subject"

    @model_validator(mode="after")
    def _text_of_events(self) -> AtLeast:
        if self.same == "text" and not all(isinstance(part, Events) for part in self.of):
            raise ValueError("same: text needs `of` to be events, for only they have texts")
        if self.distinct == "part" and self.n > len(self.of):
            raise ValueError("distinct: part needs at least n parts in `of`")
        return self


class Near(Part):
    """`near`: marks that have (or have not) another near them."""

    key: ClassVar[str] = "near"
    kind: Literal["near"] = "near"
    of: Criterion
    other: Criterion
    from_hours: Offset | None = None
    to_hours: Offset | None = None
    keep: Literal["of", "first", "other"] = "of"
    absent: bool = False
    same: Unit = "subject"

    @model_validator(mode="after")
    def _in_order(self) -> Near:
        if self.from_hours is not None and self.to_hours is not None and self.from_hours > self.to_hours:
            raise ValueError("from_hours must not be greater than to_hours")
        if self.absent and self.keep != "of":
            raise ValueError("absent: true has nothing to keep but `of`")
        return self


class Before(Part):
    """`before`: marks that another follows."""

    key: ClassVar[str] = "before"
    kind: Literal["before"] = "before"
    of: Criterion
    other: Criterion
    within_hours: Hours | None = None
    same: Unit = "subject"


class After(Part):
    """`after`: marks that follow another."""

    key: ClassVar[str] = "after"
    kind: Literal["after"] = "after"
    of: Criterion
    other: Criterion
    within_hours: Hours | None = None
    same: Unit = "subject"


class First(Part):
    """`first`: the first mark of each unit."""

    key: ClassVar[str] = "first"
    kind: Literal["first"] = "first"
    of: Criterion
    per: Unit = "stay"


class Last(Part):
    """`last`: the last mark of each unit."""

    key: ClassVar[str] = "last"
    kind: Literal["last"] = "last"
    of: Criterion
    per: Unit = "stay"


class Worst(Part):
    """`worst`: at each mark, an aggregate of the values of the hours before it."""

    key: ClassVar[str] = "worst"
    kind: Literal["worst"] = "worst"
    of: Criterion
    how: Literal["max", "min", "mean", "sum", "count", "last"] = Field("max", alias="is")
    window_hours: Hours
    value: Condition | None = None
    same: Unit = "subject"


class Rise(Part):
    """`rise`: marks whose value lies above the lowest of the hours before it."""

    key: ClassVar[str] = "rise"
    kind: Literal["rise"] = "rise"
    of: Criterion
    within_hours: Hours
    by: Positive | None = None
    ratio: Positive | None = None
    same: Unit = "subject"

    @model_validator(mode="after")
    def _by_or_ratio(self) -> Rise:
        if (self.by is None) == (self.ratio is None):
            raise ValueError("rise needs either by or ratio")
        return self


class Score(Part):
    """`score`: the instants at which a severity score fulfils a condition."""

    key: ClassVar[str] = "score"
    kind: Literal["score"] = "score"
    name: str
    part: str | None = None
    at_least: Number | None = None
    below: Number | None = None
    any_single: Number | None = None
    rise: Positive | None = None
    baseline: Baseline = "zero"
    around: Criterion | None = None
    from_hours: Offset = -48
    to_hours: Offset = 24

    @model_validator(mode="after")
    def _known_score(self) -> Score:
        if self.name not in SCORES:
            raise ValueError(f"no such score; there are {', '.join(SCORES)}")
        if self.part is not None and self.part not in SCORES[self.name].points():
            raise ValueError(f"no such part; {self.name} has {', '.join(SCORES[self.name].points())}")
        if self.rise is not None and self.around is None:
            raise ValueError("rise is seen in a window: name the marks that it lies around")
        others = (self.part, self.at_least, self.below, self.any_single)
        if self.rise is not None and any(other is not None for other in others):
            raise ValueError("rise stands alone: no part, at_least, below or any_single beside it")
        if self.from_hours > self.to_hours:
            raise ValueError("from_hours must not be greater than to_hours")
        return self


class Weights(Part):
    """`weights`: the sum of a family's weights, as of comorbidity and frailty indices."""

    key: ClassVar[str] = "weights"
    kind: Literal["weights"] = "weights"
    family: str
    weighting: str | None = None
    own_codes: bool = True
    look_back_days: Days | None = None
    per: Literal["stay", "subject"] = "stay"
    at_least: Number | None = None
    below: Number | None = None


class Stay(Part):
    """`stay`: hospital stays."""

    key: ClassVar[str] = "stay"
    kind: Literal["stay"] = "stay"
    care_level: Names = ()
    acute: bool | None = None
    overnight: bool | None = None
    ended: bool | None = None
    died: bool | None = None
    length_days: Condition | None = None
    age_years: Condition | None = None
    above_percentile: Annotated[float, Field(gt=0, lt=100)] | None = None
    above_mean_sd: Number | None = None
    readmission_within_days: Days | None = None
    readmitted_within_days: Days | None = None


class Contact(Part):
    """`contact`: what single units report."""

    key: ClassVar[str] = "contact"
    kind: Literal["contact"] = "contact"
    care_level: Names = ()
    acute: bool | None = None
    ended: bool | None = None
    length_days: Condition | None = None
    at: Literal["span", "start"] = "span"

    @model_validator(mode="after")
    def _known_at_start(self) -> Contact:
        if self.at == "start" and (self.ended is not None or self.length_days is not None):
            raise ValueError("at: start cannot ask how long a contact lasted, which is known at its end")
        return self


class Phenotype(Part):
    """`phenotype`: the marks of another definition."""

    key: ClassVar[str] = "phenotype"
    kind: Literal["phenotype"] = "phenotype"
    name: str
    state: State = "confirmed"


class Measure(Part):
    """`measure`: one number for each stay, from its history or from the stay itself."""

    key: ClassVar[str] = "measure"
    kind: Literal["measure"] = "measure"
    of: Criterion
    how: Literal[
        "count", "count_stays", "count_days", "sum_days", "sum", "min", "max", "mean", "first_value",
        "last_value", "hours_since", "days_since", "ever",
    ] = Field(alias="is")  # fmt: skip
    span: Literal["history", "stay"] = Field("history", alias="in")
    look_back_days: Days | None = None
    known: bool = True
    value: Condition | None = None

    @model_validator(mode="after")
    def _history_only(self) -> Measure:
        if self.span == "stay" and (self.look_back_days is not None or self.how.endswith("_since")):
            raise ValueError("look_back_days and times since belong to in: history")
        return self


Criterion = (
    Events
    | AnyOf
    | AllOf
    | AtLeast
    | Near
    | Before
    | After
    | First
    | Last
    | Worst
    | Rise
    | Score
    | Weights
    | Stay
    | Contact
    | Phenotype
    | Measure
)
NODES: dict[str, type[Part]] = {
    node.key: node
    for node in (
        Events, AnyOf, AllOf, Not, AtLeast, Near, Before, After, First, Last, Worst, Rise, Score, Weights,
        Stay, Contact, Phenotype, Measure,
    )
}  # fmt: skip
"""Every kind of criterion by its key in YAML."""
for _node in NODES.values():
    _node.model_rebuild()


def children(node: Part) -> tuple[Part, ...]:
    """The criteria that a criterion is made of, in the order of its fields."""
    found: list[Part] = []
    for name in type(node).model_fields:
        value = getattr(node, name)
        held = value if isinstance(value, tuple) else (value,)
        found += [part for part in held if isinstance(part, Part) and not isinstance(part, Condition)]
    return tuple(found)


def canonical(node: Part) -> str:
    """A text that is equal for criteria of equal meaning by form: the key by which results are kept."""
    return node.model_dump_json(exclude_defaults=False)
