"""A task in ACES' own language: predicates, trigger and windows as frozen models, made from plain values.

Only the form of each part is judged here; `phenotype.aces.file` reads files and `phenotype.aces.faults` says
what does not fit together.

**Source:** ACES 0.7 (Xu et al., arXiv:2406.19653), its configuration language as es-aces 0.7.3 reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from phenotype.aces.spans import span_seconds

ANY_EVENT = "_ANY_EVENT"
RECORD_START = "_RECORD_START"
RECORD_END = "_RECORD_END"
SPECIAL = (ANY_EVENT, RECORD_START, RECORD_END)
TRIGGER = "trigger"
OWN_ENDS = ("start", "end")

_REFERENCE = re.compile(r"^(\w+)(\.(start|end))?$")
_COUNTS = re.compile(r"^\(?\s*(\d+|None|)\s*,\s*(\d+|None|)\s*\)?$")
_DERIVED = re.compile(r"^(and|or)\((.*)\)$", re.DOTALL)
_PLAIN_KEYS = ("code", "value_min", "value_max", "value_min_inclusive", "value_max_inclusive", "static")
Scalar = str | int | float | bool


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CodeTest(_Frozen):
    """Which codes count; none at all where every field is empty, as ACES has it for `code: null`.

    Attributes:
        exactly: one of these codes.
        regex: found anywhere in the code.
    """

    exactly: tuple[str, ...] = ()
    regex: str | None = None


class PlainPredicate(_Frozen):
    """What one event must be.

    Attributes:
        code: which codes count.
        value_min: lower bound of numeric_value, or null.
        value_max: upper bound of numeric_value, or null.
        value_min_inclusive: whether the lower bound itself counts.
        value_max_inclusive: whether the upper bound itself counts.
        other_columns: column -> the value that it must have.
        static: whether every subject asked about must have such an event without a time.
    """

    kind: Literal["plain"] = "plain"
    code: CodeTest
    value_min: float | None = None
    value_max: float | None = None
    value_min_inclusive: bool = False
    value_max_inclusive: bool = False
    other_columns: Mapping[str, Scalar] = Field(default_factory=dict)
    static: bool = False


class DerivedPredicate(_Frozen):
    """What the events of one instant must be together.

    Attributes:
        operator: whether all inputs must hold or any.
        inputs: names of predicates.
        static: whether it must hold among the subject's events without a time.
    """

    kind: Literal["derived"] = "derived"
    operator: Literal["and", "or"]
    inputs: tuple[str, ...] = Field(min_length=2)
    static: bool = False


Predicate = Annotated[PlainPredicate | DerivedPredicate, Field(discriminator="kind")]


class Boundary(_Frozen):
    """Where one end of a window lies: at another place, at a distance from it, or at the next event from it.

    Attributes:
        of: "trigger", "WINDOW.start", "WINDOW.end", or the window's own other end, "start" or "end".
        seconds: distance from there; negative before it; null where an event bounds.
        predicate: the event that bounds, or null.
        is_before: whether that event is the last one before, rather than the next one after.
    """

    of: str
    seconds: float | None = None
    predicate: str | None = None
    is_before: bool = False

    @property
    def is_same(self) -> bool:
        """Whether it is the very place that it names."""
        return self.seconds is None and self.predicate is None


def _counts(given: object) -> object:
    """`(1, None)` as a pair; anything else is left for pydantic to judge."""
    if not isinstance(given, str):
        return given
    found = _COUNTS.match(given.strip())
    if found is None:
        raise ValueError("counts are written (least, most), None where there is no bound")
    return tuple(None if text in {"None", ""} else int(text) for text in found.groups())


def _boundary(given: object) -> object:
    return parse_boundary(given) if isinstance(given, str) else given


Counts = Annotated[tuple[int | None, int | None], BeforeValidator(_counts)]
Bound = Annotated[Boundary | None, BeforeValidator(_boundary)]


class Window(_Frozen):
    """One window of the record around a trigger.

    Attributes:
        start: where it begins; null is the record's beginning.
        end: where it ends; null is the record's end.
        start_inclusive: whether events at the start count.
        end_inclusive: whether events at the end count.
        has: predicate -> the least and the most instants or events of it that the window may hold.
        label: the predicate whose presence in this window is the answer.
        index_timestamp: which end of this window is the time of prediction.
    """

    start: Bound
    end: Bound
    start_inclusive: bool
    end_inclusive: bool
    has: Mapping[str, Counts] = Field(default_factory=dict)
    label: str | None = None
    index_timestamp: Literal["start", "end"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, given: Any) -> Any:
        """`has:`, `label:` or `index_timestamp:` without anything after it are as if left out."""
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value or key not in _MAY_BE_EMPTY}

    @property
    def starts_from_end(self) -> bool:
        """Whether the start is told from the end, rather than the end from the start."""
        return self.start is None or self.start.of == "end"

    @property
    def anchor(self) -> Boundary:
        """The end that hangs on the trigger or on another window."""
        bound = self.end if self.starts_from_end else self.start
        return bound or Boundary(of=TRIGGER)

    @property
    def reach(self) -> Boundary:
        """The other end, told from the first; an open one is the record's own start or end."""
        if self.starts_from_end:
            return self.start or Boundary(of="end", predicate=RECORD_START, is_before=True)
        return self.end or Boundary(of="start", predicate=RECORD_END)


_MAY_BE_EMPTY = ("has", "label", "index_timestamp")


class AcesTask(_Frozen):
    """A whole task in ACES' language, with the predicates that it uses.

    Attributes:
        predicates: name -> predicate; only those that the task reads, and all patient demographics.
        trigger: the predicate whose instants are asked about.
        windows: name -> window, in the order of the file.
        description: what the file says of itself, or "".
    """

    predicates: Mapping[str, Predicate]
    trigger: str
    windows: Mapping[str, Window] = Field(default_factory=dict)
    description: str = ""

    @property
    def label_window(self) -> str | None:
        """The window whose label is the answer."""
        return next((name for name, window in self.windows.items() if window.label), None)

    @property
    def index_window(self) -> str | None:
        """The window of whose ends one is the time of prediction."""
        return next((name for name, window in self.windows.items() if window.index_timestamp), None)

    @property
    def label(self) -> str | None:
        """The predicate that is the answer."""
        return self.windows[self.label_window].label if self.label_window else None

    @property
    def statics(self) -> tuple[str, ...]:
        """The predicates that must hold among a subject's events without a time."""
        return tuple(name for name, predicate in self.predicates.items() if predicate.static)


def parse_boundary(text: str) -> Boundary:
    """An end of a window from its text: `trigger`, `gap.end + 24h`, `start -> discharge`, `end <- admission`.

    Raises:
        ValueError: what is wrong with the text, in words.
    """
    for sign, is_before in (("->", False), ("<-", True)):
        if sign in text:
            place, _, predicate = (part.strip() for part in text.partition(sign))
            if not re.fullmatch(r"\w+", predicate):
                raise ValueError(f"after {sign} stands the name of one predicate")
            return Boundary(of=_reference(place), predicate=predicate, is_before=is_before)
    for sign, factor in (("+", 1), ("-", -1)):
        if sign in text:
            place, _, span = (part.strip() for part in text.partition(sign))
            seconds = None if "+" in span or "-" in span else span_seconds(span)
            if seconds is None:
                raise ValueError(f"after {sign} stands a span of time such as 24h, 30d or 1 day, 12:00:00")
            return Boundary(of=_reference(place), seconds=factor * seconds or None)
    return Boundary(of=_reference(text.strip()))


def _reference(place: str) -> str:
    found = _REFERENCE.match(place)
    if found is None:
        raise ValueError("a window's end is told from trigger, start, end, WINDOW.start or WINDOW.end")
    return place


def parse_predicate(given: object, *, static: bool = False) -> Mapping[str, Any]:
    """A predicate's plain values in the form that PlainPredicate and DerivedPredicate are made from.

    Args:
        given: what the file says of one predicate.
        static: whether it stands among the patient demographics.

    Raises:
        ValueError: it is no predicate at all; faults of single fields are left for the models.
    """
    if given == "???" or given is None:
        raise ValueError("left open: a predicates file must complete it")
    if not isinstance(given, Mapping):
        raise ValueError("a predicate is a mapping with code or expr")
    if "expr" in given:
        return _derived(given)
    if "code" not in given:
        raise ValueError("a predicate has either code or expr")
    known = {key: value for key, value in given.items() if key in _PLAIN_KEYS and value is not None}
    others = {key: value for key, value in given.items() if key not in (*_PLAIN_KEYS, "other_cols")}
    nested = given.get("other_cols") or {}
    return known | {
        "kind": "plain",
        "code": _code_test(given["code"]),
        "other_columns": others | (dict(nested) if isinstance(nested, Mapping) else {"other_cols": nested}),
        "static": bool(known.get("static")) or static,
    }


def _derived(given: Mapping[str, Any]) -> Mapping[str, Any]:
    found = _DERIVED.match(str(given["expr"]))
    inputs = [name.strip() for name in found.group(2).split(",")] if found else []
    if found is None or len(inputs) < 2 or not all(inputs):
        raise ValueError("expr is and(A, B, ...) or or(A, B, ...), of at least two predicates")
    rest = {key: value for key, value in given.items() if key not in {"expr", "static"}}
    return rest | {
        "kind": "derived",
        "operator": found.group(1),
        "inputs": inputs,
        "static": bool(given.get("static")),
    }


def _pattern(regex: str) -> str:
    """The pattern, if the engine that will search with it can read it."""
    try:
        pl.Series([""]).str.contains(regex)
    except pl.exceptions.ComputeError:
        raise ValueError("a regular expression as Rust's regex reads it, without looking around") from None
    return regex


def _code_test(given: object) -> Mapping[str, Any]:
    if given is None:
        return {}
    if isinstance(given, str):
        return {"exactly": [given]}
    if isinstance(given, Mapping) and len(given) == 1:
        if given.get("regex") and isinstance(given["regex"], str):
            return {"regex": _pattern(given["regex"])}
        codes = given.get("any")
        if codes and isinstance(codes, list) and all(isinstance(code, str) for code in codes):
            return {"exactly": codes}
    raise ValueError("code is a text in quotes, {regex: TEXT} or {any: [TEXT, ...]}")
