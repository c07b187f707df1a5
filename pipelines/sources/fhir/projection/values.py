"""Values of Observations that are no Quantity: as a number, a coded or enumerated text, or free text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pipelines.sources.fhir.projection.codings import ConceptReader, bare_codes
from pipelines.sources.fhir.projection.quantities import number, range_words, ratio_words, text


class Value(NamedTuple):
    """One value: a number, a text, or somebody's own words; at most one of them."""

    number: float | None = None
    text: str | None = None
    note: str | None = None


def has_other_value(carrier: Mapping[str, Any]) -> bool:
    """Whether an Observation or a component has a value[x] that is no Quantity."""
    return any(carrier.get(name) is not None for name in _READERS)


def other_value(carrier: Mapping[str, Any], concepts: ConceptReader) -> Value:
    """The value[x] that is no Quantity; without any, the code of the first interpretation as text.

    Raises:
        TypeError, AttributeError: something has another JSON type than FHIR's.
    """
    for name, read in _READERS.items():
        value = carrier.get(name)
        if value is not None:
            return read(value, concepts)
    codes = bare_codes(carrier.get("interpretation"))
    return Value(text=codes[0] if codes else None)


def _integer(value: Any, _: ConceptReader) -> Value:
    return Value(number(value))


def _concept(value: Any, concepts: ConceptReader) -> Value:
    (concept,) = concepts.read([value])
    return Value(note=concept.note) if concept.note else Value(text=concept.code)


def _words(value: Any, _: ConceptReader) -> Value:
    return Value(note=text(value))


def _boolean(value: Any, _: ConceptReader) -> Value:
    if not isinstance(value, bool):
        message = "valueBoolean is no boolean"
        raise TypeError(message)
    return Value(text="true" if value else "false")


def _ratio(value: Any, _: ConceptReader) -> Value:
    return Value(text=ratio_words(value))


def _range(value: Any, _: ConceptReader) -> Value:
    return Value(text=range_words(value))


def _time(value: Any, _: ConceptReader) -> Value:
    return Value(text=text(value))


def _period(value: Any, _: ConceptReader) -> Value:
    return Value(note=f"{text(value.get('start')) or ''}/{text(value.get('end')) or ''}")


def _samples(value: Any, _: ConceptReader) -> Value:
    text(value.get("data"))
    return Value(text="sampled data")


_READERS: Mapping[str, Callable[[Any, ConceptReader], Value]] = {
    "valueInteger": _integer,
    "valueCodeableConcept": _concept,
    "valueString": _words,
    "valueBoolean": _boolean,
    "valueRatio": _ratio,
    "valueRange": _range,
    "valueTime": _time,
    "valueDateTime": _words,
    "valuePeriod": _period,
    "valueSampledData": _samples,
}
"""**Source:** HL7 FHIR R4, Observation.value[x]. Dates are free text: they would not be shifted."""
