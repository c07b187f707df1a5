"""Quantities as numbers with units: comparators and units as sent are kept, configured units converted to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import polars as pl

from ontology.errors import PestaError
from pipelines.sources.fhir.options import FhirOptions

UCUM = "http://unitsofmeasure.org"
CANNOT_CONVERT = "unit cannot be converted"
_ANALYTE = " of "
"""Stands between unit and analyte of a configured target: `umol/L of creatinine`."""
_NUMBERS = (int, float)


class Amounts(NamedTuple):
    """Quantities, one each.

    Attributes:
        values: the numbers.
        comparators: <, <=, >=, > or None.
        units: UCUM codes, else the words for the unit.
        sent_units: the words for the unit, else the code.
    """

    values: list[float | None]
    comparators: list[str | None]
    units: list[str | None]
    sent_units: list[str | None]


def amounts(elements: Iterable[Any]) -> Amounts:
    """Quantity elements, or None, taken apart; one without a value is none.

    Raises:
        TypeError, AttributeError: something has another JSON type than FHIR's.
    """
    values: list[float | None] = []
    comparators: list[str | None] = []
    units: list[str | None] = []
    sent_units: list[str | None] = []
    known: dict[tuple[object, object, object], tuple[str | None, str | None]] = {}
    for element in elements:
        value = None if element is None else element.get("value")
        if value is None:
            if element is not None and type(element) is not dict:
                raise TypeError(_NO_NUMBER)
            values.append(None)
            comparators.append(None)
            units.append(None)
            sent_units.append(None)
            continue
        if type(value) not in _NUMBERS:
            raise TypeError(_NO_NUMBER)
        key = (element.get("unit"), element.get("code"), element.get("system"))
        told = known.get(key)
        if told is None:
            told = known[key] = _units(*key)
        values.append(value)
        comparators.append(element.get("comparator"))
        units.append(told[0])
        sent_units.append(told[1])
    return Amounts(values, comparators, units, sent_units)


def _units(unit: object, code: object, system: object) -> tuple[str | None, str | None]:
    """The unit of a Quantity, and the words for it."""
    words, coded = text(unit), text(code)
    is_ucum = text(system) in (UCUM, None) and coded
    return coded if is_ucum else words or coded, words or coded


_NO_NUMBER = "a number is of another JSON type"


def number(value: object) -> float | None:
    """A JSON number itself; a boolean is none.

    Raises:
        TypeError: it is of another type.
    """
    if value is None or type(value) in _NUMBERS:
        return value  # type: ignore[return-value]
    raise TypeError(_NO_NUMBER)


def shortest(value: float) -> str:
    """A number in as few letters as tell it from all others: 5, 0.1."""
    if type(value) is int:
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def sent_words(values: Sequence[float | None], comparators: Sequence[str | None]) -> list[str | None]:
    """What was sent where a comparator stood before the number: <5."""
    return [
        None if comparator is None or value is None else f"{comparator}{shortest(value)}"
        for value, comparator in zip(values, comparators, strict=True)
    ]


def range_words(element: dict[str, Any]) -> str | None:
    """A Range, or a reference range, in words: `3.5..5.0 mmol/L`; None where it has neither end."""
    low, high = element.get("low"), element.get("high")
    if low is None and high is None:
        return None
    values, _, units, _ = amounts((low, high))
    if values == [None, None]:
        return None
    ends = ["" if value is None else shortest(value) for value in values]
    unit = text(units[0] or units[1])
    return f"{ends[0]}..{ends[1]}" + (f" {unit}" if unit else "")


def ratio_words(element: dict[str, Any]) -> str | None:
    """A Ratio in words: `1:128`."""
    read = amounts((element.get("numerator"), element.get("denominator")))
    parts = []
    for value, comparator, unit in zip(read.values, read.comparators, read.units, strict=True):
        if value is None:
            parts.append("")
            continue
        told = f"{text(comparator) or ''}{shortest(value)}"
        parts.append(f"{told} {unit}" if text(unit) else told)
    return None if parts == ["", ""] else ":".join(parts)


def text(value: object) -> str | None:
    """A JSON text itself.

    Raises:
        TypeError: it is of another type.
    """
    if value is None or isinstance(value, str):
        return value
    message = "a text is of another JSON type"
    raise TypeError(message)


def with_wanted_units(facts: pl.DataFrame, options: FhirOptions) -> tuple[pl.DataFrame, pl.Series | None]:
    """Values in the units that the mapping wants of their codes.

    Args:
        facts: code, value (Float64), unit, sent_value.
        options: `units` by event code, `umol/L` or `umol/L of creatinine`.

    Returns:
        The facts, what was sent beside what was made over; and which could not be converted, or None.
    """
    if not options.units:
        return facts, None
    met = (
        facts.lazy()
        .filter(
            pl.col("value").is_not_null(),
            pl.col("unit").is_not_null(),
            pl.col("code").is_in(list(options.units)),
        )
        .select("code", "unit")
        .unique()
        .collect()
    )
    lines = [
        line for code, unit in met.iter_rows() if (line := _line(code, unit, options.units[code])) is not None
    ]
    if not lines:
        return facts, None
    schema = {
        "code": pl.String,
        "unit": pl.String,
        "_wanted": pl.String,
        "_factor": pl.Float64,
        "_plus": pl.Float64,
    }
    table = pl.DataFrame(lines, schema=schema, orient="row")
    both = facts.join(table, on=["code", "unit"], how="left", maintain_order="left")
    is_wrong = both.select(
        pl.col("_wanted").is_not_null() & pl.col("_factor").is_null() & pl.col("value").is_not_null()
    )
    is_made = pl.col("_factor").is_not_null() & pl.col("value").is_not_null()
    made = both.with_columns(
        sent_value=pl.when(is_made & pl.col("sent_value").is_null())
        .then(pl.col("value").map_elements(shortest, return_dtype=pl.String))
        .otherwise("sent_value"),
        value=pl.when(is_made).then(pl.col("value") * pl.col("_factor") + pl.col("_plus")).otherwise("value"),
        unit=pl.when(is_made).then("_wanted").otherwise("unit"),
    )
    wrong = is_wrong.to_series()
    return made.select(facts.columns), wrong if wrong.any() else None


def _line(code: str, unit: str, target: str) -> tuple[str, str, str, float | None, float | None] | None:
    """Code, unit, wanted unit, factor, summand; nulls where it cannot be; None where units are equal."""
    from ontology.units.conversion import conversion

    wanted, _, analyte = target.partition(_ANALYTE)
    if unit == wanted:
        return None
    try:
        found = conversion(unit, wanted, analyte or None)
    except PestaError:
        return code, unit, wanted, None, None
    return code, unit, wanted, found.factor, found.offset
