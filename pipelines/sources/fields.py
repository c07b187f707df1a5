"""What a mapping says about one field: conditions, texts by template, numbers and times, as typed models."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

TEMPLATE_COLUMN = re.compile(r"\{([^{}]+)\}")
PSEUDO_COLUMNS = ("_row", "_name", "_cell", "_no")
"""Row number in the file, and in a melt or split: the column's name, its cell, and its number."""

CleanStep = Literal[
    "strip",
    "upper",
    "lower",
    "no_spaces",
    "no_dots",
    "icd9_dot",
    "icd9_procedure_dot",
    "icd10_dot",
    "person_number",
    "whole_number",
]
OffsetUnit = Literal["seconds", "minutes", "hours", "days", "years", "HH:MM", "duration"]


class Strict(BaseModel):
    """A frozen model that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def template_columns(template: str) -> tuple[str, ...]:
    """The columns that a template names in braces, in order."""
    return tuple(TEMPLATE_COLUMN.findall(template))


def _checked_template(template: str) -> str:
    if set(TEMPLATE_COLUMN.sub("", template)) & set("{}"):
        message = "braces of a template must come in pairs around a column name, as in ICD10//{code}"
        raise ValueError(message)
    return template


def _checked_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        message = f"not a regular expression: {error.msg}"
        raise ValueError(message) from None
    return pattern


def _checked_zone(zone: str) -> str:
    if zone not in available_timezones():
        message = "no such time zone; give an IANA name such as Europe/Oslo"
        raise ValueError(message)
    return zone


def _checked_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        message = "no such encoding; utf-8, latin-1 and cp1252 are common ones"
        raise ValueError(message) from None
    return name


def _checked_format(text: str) -> str:
    if "%" not in text:
        message = "a time format names its parts by %, as in %d.%m.%Y %H:%M"
        raise ValueError(message)
    return text


Template = Annotated[str, AfterValidator(_checked_template)]
Pattern = Annotated[str, AfterValidator(_checked_pattern)]
Zone = Annotated[str, AfterValidator(_checked_zone)]
Encoding = Annotated[str, AfterValidator(_checked_encoding)]
TimeFormat = Annotated[str, AfterValidator(_checked_format)]
Scalar = Annotated[
    str,
    BeforeValidator(
        lambda value: str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    ),
]
"""A cell's text; YAML numbers are taken as they are written."""


class Condition(Strict):
    """A test of one column; exactly one test each. A null cell passes is_null, not_equals and none_of alone.

    Attributes:
        column: the column tested.
        name: what the accounting calls rows that fail it; made from the test where it is not given.
        equals, not_equals, one_of, none_of: the text of the cell, numbers without a needless ".0".
        matches: a regular expression found anywhere in the text.
        is_null, not_null: true.
        greater_than, at_least, less_than, at_most: a number, or the name of a column.
    """

    column: str
    name: str | None = None
    equals: Scalar | None = None
    not_equals: Scalar | None = None
    one_of: tuple[Scalar, ...] | None = None
    none_of: tuple[Scalar, ...] | None = None
    matches: Pattern | None = None
    is_null: Literal[True] | None = None
    not_null: Literal[True] | None = None
    greater_than: float | str | None = None
    at_least: float | str | None = None
    less_than: float | str | None = None
    at_most: float | str | None = None

    @model_validator(mode="after")
    def _has_one_test(self) -> Self:
        if len(self.tests) != 1:
            message = "a condition has exactly one test beside its column: " + ", ".join(_TESTS)
            raise ValueError(message)
        return self

    @property
    def tests(self) -> tuple[str, ...]:
        """The names of the tests that are set."""
        return tuple(name for name in _TESTS if getattr(self, name) is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the test reads."""
        other = getattr(self, self.tests[0])
        is_column = self.tests[0] in _COMPARISONS and isinstance(other, str)
        return (self.column, other) if is_column else (self.column,)

    @property
    def label(self) -> str:
        """The name of the rule in the accounting."""
        return self.name or f"{self.column} not {self.tests[0].replace('_', ' ')}"


_COMPARISONS = ("greater_than", "at_least", "less_than", "at_most")
_TESTS = ("equals", "not_equals", "one_of", "none_of", "matches", "is_null", "not_null", *_COMPARISONS)


class TextCase(Strict):
    """A text made from a row; null where a column of the template is null.

    Attributes:
        text: a template: fixed text and {column}s.
        when: the case applies where all conditions hold.
        map: from the template's text to another; texts that it lacks become `otherwise`.
        otherwise: a template for texts that the map lacks; null makes them null.
        clean: applied to the text before the map.
    """

    text: Template
    when: tuple[Condition, ...] = ()
    map: dict[Scalar, Scalar | None] | None = None
    otherwise: Template | None = None
    clean: tuple[CleanStep, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the case reads."""
        own = (*template_columns(self.text), *template_columns(self.otherwise or ""))
        return (*own, *(column for condition in self.when for column in condition.columns))


def _as_cases(given: Any) -> Any:
    if isinstance(given, str | int | float) and not isinstance(given, bool):
        return ({"text": str(given)},)
    return (given,) if isinstance(given, dict | TextCase) else given


Text = Annotated[tuple[TextCase, ...], BeforeValidator(_as_cases), Field(min_length=1)]
"""A template, one case, or a list of cases of which the first that applies and is not null counts."""


class Number(Strict):
    """A number read from a column, or a constant.

    Attributes:
        column: where it stands.
        constant: the number itself.
        map: numbers for texts, tried before the text is read as a number ("> 89": 90).
        factor: what the number is multiplied by.
        plus: what is added in the end: times factor, then plus, as from Fahrenheit to Celsius.
        decimal_comma: whether "3,5" is a number.
    """

    column: str | None = None
    constant: float | None = None
    map: dict[Scalar, float] | None = None
    factor: float = 1.0
    plus: float = 0.0
    decimal_comma: bool = False

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.column is None) == (self.constant is None):
            message = "a number has either a column or a constant"
            raise ValueError(message)
        return self


def _as_number(given: Any) -> Any:
    if isinstance(given, str):
        return {"column": given}
    is_constant = isinstance(given, int | float) and not isinstance(given, bool)
    return {"constant": given} if is_constant else given


NumberField = Annotated[Number, BeforeValidator(_as_number)]


def _as_time(given: Any) -> Any:
    if given == "static":
        return {"static": True}
    if given == "nominal":
        return {"anchor": "nominal"}
    return {"column": given} if isinstance(given, str) else given


def _as_anchor(given: Any) -> Any:
    return given if given == "nominal" else _as_time(given)


class Time(Strict):
    """When: exactly one of static, column, anchor, first_of, earliest_of, latest_of.

    Attributes:
        static: a fact without a time.
        column: the column that holds the time.
        formats: strptime formats, tried in order; ISO forms where none is given. "%Y" alone is 1 January.
        zone: the time is local to this zone and is stored in UTC; the earlier of two where the clock went
            back, rejected where it was skipped. Without a zone the time is stored as it is written.
        at: the time of day put in place of the column's own: "start" (00:00), "end" (23:59:59), or "HH:MM".
        anchor: "nominal" (the mapping's nominal_anchor), a column with a time, or a time of its own.
        offset: how long after the anchor: a number or a column.
        unit: the unit of the offset; "HH:MM" for texts such as "42:05"; "duration" for ISO 8601 ("P1DT2H"),
            as which a Parquet column of durations is read.
        factor: what the offset is multiplied by; -1 counts backwards.
        first_of, earliest_of, latest_of: chosen among other times, nulls left out.
        plus_hours: added in the end.
    """

    static: Literal[True] | None = None
    column: str | None = None
    formats: tuple[TimeFormat, ...] = ()
    zone: Zone | None = None
    at: Annotated[str, Field(pattern=r"^(start|end|\d\d:\d\d)$")] | None = None
    anchor: AnchorField | None = None
    offset: float | str = 0.0
    unit: OffsetUnit = "hours"
    factor: float = 1.0
    first_of: tuple[TimeField, ...] | None = None
    earliest_of: tuple[TimeField, ...] | None = None
    latest_of: tuple[TimeField, ...] | None = None
    plus_hours: float = 0.0

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        origins = ("static", "column", "anchor", "first_of", "earliest_of", "latest_of")
        if sum(getattr(self, name) is not None for name in origins) != 1:
            message = "a time has exactly one of: " + ", ".join(origins)
            raise ValueError(message)
        if self.column is None and (self.formats or self.zone or self.at):
            message = "formats, zone and at belong to a time with a column"
            raise ValueError(message)
        if self.anchor is None and self.offset != 0.0:
            message = "an offset needs an anchor: nominal, or a column with a time"
            raise ValueError(message)
        return self

    @property
    def parts(self) -> tuple[Time, ...]:
        """The times that this one chooses from or starts at."""
        anchor = (self.anchor,) if isinstance(self.anchor, Time) else ()
        return (*anchor, *(self.first_of or ()), *(self.earliest_of or ()), *(self.latest_of or ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the time reads."""
        own = (self.column, self.offset if isinstance(self.offset, str) else None)
        return (*(name for name in own if name), *(name for part in self.parts for name in part.columns))

    @property
    def needs_nominal_anchor(self) -> bool:
        """Whether the mapping must give a nominal anchor."""
        return self.anchor == "nominal" or any(part.needs_nominal_anchor for part in self.parts)


TimeField = Annotated[Time, BeforeValidator(_as_time)]
AnchorField = Annotated[
    Literal["nominal"] | Time, Field(union_mode="left_to_right"), BeforeValidator(_as_anchor)
]
Time.model_rebuild()
