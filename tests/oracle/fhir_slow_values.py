"""The slow path's times, codes, quantities and texts, from fhir.resources objects, by docs/fhir.md."""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ontology.systems import SYSTEMS, spelled
from pipelines.sources.fhir.systems import system_name

LOCAL = ZoneInfo("Europe/Oslo")
UCUM = "http://unitsofmeasure.org"
Instants = tuple[datetime | None, datetime | None]
NEVER: Instants = (None, None)


@dataclass(frozen=True)
class Coded:
    """What a concept becomes: a code or none, its alternates, and free text."""

    code: str | None
    alternates: tuple[str, ...] = ()
    free_text: str | None = None


@dataclass(frozen=True)
class Measured:
    """A value of an event: number, coded text, free text, unit, and number and unit as sent."""

    number: float | None = None
    text: str | None = None
    free_text: str | None = None
    unit: str | None = None


NOTHING = Measured()
NO_CODE = Coded(None)


def span(value: Any) -> Instants:
    """First and last instant of a date, dateTime, instant, Period or Timing, in UTC without zone."""
    if value is None:
        return NEVER
    kind = value.__class__.__name__
    if kind == "Period":
        start, end = span(value.start), span(value.end)
        return start[0] or end[0], end[1] or start[1]
    if kind == "Timing":
        parts = [span(one) for one in value.event or []]
        if parts:
            return min(p[0] for p in parts if p[0]), max(p[1] for p in parts if p[1])
        return span(value.repeat.boundsPeriod) if value.repeat else NEVER
    return _moment(value)


def _moment(value: Any) -> Instants:
    """The span of a date, dateTime or instant: a datetime, a date, or the text of a year or month."""
    if isinstance(value, datetime):
        instant = value.astimezone(UTC).replace(tzinfo=None)
        return instant, instant
    if isinstance(value, date):
        return _local(value, time(0)), _local(value, time(23, 59, 59))
    year, _, month = str(value).partition("-")
    first = date(int(year), int(month or 1), 1)
    last_month = int(month or 12)
    last = date(int(year), last_month, calendar.monthrange(int(year), last_month)[1])
    return _local(first, time(0)), _local(last, time(23, 59, 59))


def _local(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, LOCAL).astimezone(UTC).replace(tzinfo=None)


def first_given(*values: Any) -> Instants:
    """The span of the first that is given."""
    return next((found for found in map(span, values) if found[0]), NEVER)


def written(system: str | None, code: str) -> str:
    """SYSTEM//code."""
    name = system_name(system or "")
    return f"{name}//{spelled(name, code) if name in SYSTEMS else code}"


def coded(concept: Any, resource_type: str, preferred: Mapping[str, Sequence[str]]) -> Coded:
    """The chosen code of a concept, its alternates, or its free text."""
    if concept is None:
        return Coded(None)
    codings = [one for one in concept.coding or [] if one.code]
    if not codings:
        words = concept.text or next((one.display for one in concept.coding or [] if one.display), None)
        return Coded(f"FHIR_TEXT//{resource_type}" if words else None, (), words)
    ranks = list(preferred.get(resource_type, preferred.get("*", ())))
    names = [system_name(one.system or "") for one in codings]
    wanted = [ranks.index(name) for name in names if name in ranks]
    rivals = [place for place, name in enumerate(names) if not wanted or name == ranks[min(wanted)]]
    rivals = [place for place in rivals if codings[place].userSelected] or rivals
    best = ([place for place in rivals if codings[place].system] or rivals)[0]
    one = codings[best]
    code = written(one.system, one.code)
    others = [written(o.system, o.code) for place, o in enumerate(codings) if place != best]
    if one.system and (code.partition("//")[2] != one.code or names[best] not in SYSTEMS):
        others = [f"{one.system}|{one.code}", *others]
    return Coded(code, tuple(dict.fromkeys(others)))


def short(number: Decimal) -> str:
    """A number written shortest: 5.0 -> 5."""
    plain = format(number.normalize(), "f")
    return "0" if plain == "-0" else plain


def unit_of(quantity: Any) -> str | None:
    """The UCUM code where there is one, else the unit as sent."""
    if quantity.code and quantity.system in {None, UCUM}:
        return str(quantity.code)
    return quantity.unit or quantity.code


def quantity_value(
    quantity: Any, code: str | None, targets: Mapping[str, tuple[str, Mapping[str, float]]]
) -> Measured:
    """Number, comparator and unit; converted where the code has a target unit and the unit is listed for it.

    Args:
        quantity: a Quantity or None.
        code: of the event.
        targets: by code the target unit and the factor from each unit that converts to it.
    """
    if quantity is None or quantity.value is None:
        return NOTHING
    number, unit = float(quantity.value), unit_of(quantity)
    target, factors = targets.get(code or "", (None, {}))
    if target and unit in factors:
        number, unit = number * factors[unit], target
    return Measured(number, quantity.comparator, None, unit)


def side(quantity: Any) -> str:
    """One side of a ratio: [comparator]value[ unit]."""
    if quantity is None or quantity.value is None:
        return ""
    unit = unit_of(quantity)
    return f"{quantity.comparator or ''}{short(quantity.value)}{f' {unit}' if unit else ''}"


def range_text(low: Any, high: Any) -> str:
    """low..high unit, an end may be lacking."""
    ends = [short(one.value) if one is not None and one.value is not None else "" for one in (low, high)]
    unit = (unit_of(low) if low is not None else None) or (unit_of(high) if high is not None else None)
    return f"{ends[0]}..{ends[1]}{f' {unit}' if unit else ''}"


def joined(text: str | None, free_text: str | None) -> str | None:
    """What an event's text is where it may have both."""
    return f"{text}: {free_text}" if text and free_text else text or free_text


def as_sent(moment: Any) -> str:
    """A date or dateTime as it was sent, where UTC was written Z and no fraction of a second."""
    if moment is None:
        return ""
    return moment if isinstance(moment, str) else str(moment.isoformat()).replace("+00:00", "Z")
