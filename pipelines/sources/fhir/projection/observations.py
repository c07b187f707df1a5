"""Observations as facts: values of every kind, components under their own codes, panels told by their members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import Concept, ConceptReader, bare_codes, joined
from pipelines.sources.fhir.projection.frames import (
    FACTS,
    amount_columns,
    circumstances,
    concept_columns,
    facts_table,
    gathered,
    listed,
    moments_at,
)
from pipelines.sources.fhir.projection.quantities import amounts, number, range_words, ratio_words, text
from pipelines.sources.fhir.projection.times import either, moments, when

SCHEMAS = {"Observation": FACTS}
VALUE, PANEL, ABSENT = "value", "panel", "absent"
"""Kinds of rows: a fact; a panel that its members tell; something whose value is told to be absent."""
_OTHER_VALUES = (
    "valueInteger", "valueCodeableConcept", "valueString", "valueBoolean", "valueRatio", "valueRange",
    "valueTime", "valueDateTime", "valuePeriod", "valueSampledData",
)  # fmt: skip
Element = dict[str, Any]


def observations(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table Observation: a row for each value, component, panel without values, and absent value."""
    resources, options = batch.resources, batch.options
    carriers, positions, kinds = _carriers(resources)
    effective = when(resources, "effective", options)
    issued = moments([resource.get("issued") for resource in resources], options)
    known = issued.last.fill_null(effective.last)
    told = moments_at(either(effective, issued), positions)
    base = gathered({**circumstances(batch), "known_time": known}, positions)
    concepts = ConceptReader("Observation", options)
    codes = concepts.read([carrier.get("code") for carrier in carriers])
    read = amounts([carrier.get("valueQuantity") for carrier in carriers])
    columns = {**concept_columns(codes), **amount_columns(read)}
    columns["alternates"] = _alternates(resources, carriers, positions, codes, concepts)
    others = [
        row
        for row, (value, carrier) in enumerate(zip(read.values, carriers, strict=True))
        if value is None and kinds[row] == VALUE and carrier
    ]
    if others:
        _fill_other_values(others, carriers, columns, concepts)
    rows = batch.rows if len(positions) == len(batch.rows) else [batch.rows[i] for i in positions]
    if len(positions) == len(batch.rows) and positions != list(range(len(positions))):
        rows = [batch.rows[i] for i in positions]
    return facts_table(
        batch, FACTS, rows,
        {"kind": kinds, "time": told.first, **base, **columns},
        {"effective": _at(effective.is_wrong, positions), "issued": _at(issued.is_wrong, positions)},
    )  # fmt: skip


def _at(is_wrong: pl.Series | None, positions: Sequence[int]) -> pl.Series | None:
    return None if is_wrong is None else is_wrong.gather(positions)


def _carriers(resources: Sequence[Element]) -> tuple[list[Element], list[int], list[str]]:
    """What becomes a row, in order: an Observation or a component, where it stands, and its kind."""
    carriers: list[Element] = []
    positions: list[int] = []
    kinds: list[str] = []
    for position, resource in enumerate(resources):
        components = resource.get("component")
        if components is None and "valueQuantity" in resource:
            carriers.append(resource)
            positions.append(position)
            kinds.append(VALUE)
            continue
        for carrier, kind in _of_one(resource, listed(components)):
            carriers.append(carrier)
            positions.append(position)
            kinds.append(kind)
    return carriers, positions, kinds


def _of_one(resource: Element, components: Any) -> list[tuple[Element, str]]:
    found = [
        (part, VALUE if _says(part) or part.get("dataAbsentReason") is None else ABSENT)
        for part in components
    ]
    members = listed(resource.get("hasMember"))
    is_absent = _is_concept(resource.get("dataAbsentReason"))
    if _says(resource) or not (found or members or is_absent):
        return [(resource, VALUE), *found]
    if found:
        return found
    return [(resource, PANEL if members else ABSENT)]


def _says(carrier: Element) -> bool:
    """Whether an Observation or a component has a value or an interpretation."""
    if carrier.get("valueQuantity") is not None or listed(carrier.get("interpretation")):
        return True
    return any(carrier.get(name) is not None for name in _OTHER_VALUES)


def _is_concept(concept: object) -> bool:
    if concept is not None and not isinstance(concept, dict):
        message = "a concept is of another JSON type"
        raise TypeError(message)
    return concept is not None


def _fill_other_values(
    others: Sequence[int], carriers: Sequence[Element], columns: dict[str, Any], concepts: ConceptReader
) -> None:
    """Values that are no Quantity, put into the columns at their rows."""
    values, words, notes = (list(columns[name]) for name in ("value", "text", "note"))
    for row in others:
        value, coded, own = _other_value(carriers[row], concepts)
        values[row] = value
        words[row] = coded
        notes[row] = f"{notes[row]}: {own}" if own and notes[row] else own or notes[row]
    columns["value"], columns["text"], columns["note"] = values, words, notes


def _other_value(carrier: Element, concepts: ConceptReader) -> tuple[float | None, str | None, str | None]:
    """Number, text and free text of a value[x] that is no Quantity; else the interpretation's code as text."""
    for name in _OTHER_VALUES:
        value = carrier.get(name)
        if value is not None:
            return _value_of(name, value, concepts)
    codes = bare_codes(carrier.get("interpretation"))
    return None, codes[0] if codes else None, None


def _value_of(name: str, value: Any, concepts: ConceptReader) -> tuple[float | None, str | None, str | None]:
    if name == "valueInteger":
        return number(value), None, None
    if name == "valueCodeableConcept":
        (concept,) = concepts.read([value])
        return None, None if concept.note else concept.code, concept.note
    if name == "valueBoolean":
        if not isinstance(value, bool):
            message = "valueBoolean is no boolean"
            raise TypeError(message)
        return None, "true" if value else "false", None
    if name in ("valueString", "valueDateTime"):
        return None, None, text(value)
    if name == "valueTime":
        return None, text(value), None
    if name == "valuePeriod":
        start, end = text(value.get("start")), text(value.get("end"))
        return None, None, f"{start or ''}/{end or ''}"
    if name == "valueRatio":
        return None, ratio_words(value), None
    if name == "valueRange":
        return None, range_words(value), None
    value.get("data")
    return None, "sampled data", None


def _alternates(
    resources: Sequence[Element],
    carriers: Sequence[Element],
    positions: Sequence[int],
    codes: Sequence[Concept],
    concepts: ConceptReader,
) -> list[str | None]:
    """Other codes, the panel, categories, a status that is not final, interpretations and reference ranges."""
    known: dict[tuple[Any, ...], str | None] = {}
    found: list[str | None] = []
    for carrier, position, concept in zip(carriers, positions, codes, strict=True):
        resource = resources[position]
        categories = resource.get("category")
        interpretations = carrier.get("interpretation")
        key = (
            None if categories is None else bare_codes(categories),
            resource.get("status"),
            None if interpretations is None or not _has_value(carrier) else bare_codes(interpretations),
        )
        if key in known:
            marks = known[key]
        else:
            marks = known[key] = _marks(*key)
        panel = None
        if carrier is not resource:
            (parent,) = concepts.read([resource.get("code")])
            panel = f"PANEL//{parent.code}" if parent.code else None
        ranges = carrier.get("referenceRange")
        if ranges is None and panel is None and concept.alternates is None:
            found.append(marks)
        else:
            found.append(joined(concept.alternates, panel, marks, _ranges(ranges)))
    return found


def _has_value(carrier: Element) -> bool:
    return carrier.get("valueQuantity") is not None or any(
        carrier.get(name) is not None for name in _OTHER_VALUES
    )


def _marks(
    categories: tuple[str, ...] | None, status: str | None, interpretations: tuple[str, ...] | None
) -> str | None:
    parts = [f"CATEGORY//{code}" for code in categories or ()]
    if status is not None and status != "final":
        parts.append(f"STATUS//{status}")
    parts += [f"INTERPRETATION//{code}" for code in interpretations or ()]
    return joined(*parts)


def _ranges(ranges: object) -> str | None:
    words = [range_words(one) for one in listed(ranges)]
    return joined(*(f"RANGE//{told}" for told in words if told))
