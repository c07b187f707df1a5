"""Observations as facts: values of every kind, components by their codes, panels told by their members."""

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
    marks_at,
)
from pipelines.sources.fhir.projection.quantities import amounts, range_words
from pipelines.sources.fhir.projection.times import either, moments, when
from pipelines.sources.fhir.projection.values import has_other_value, other_value

SCHEMAS = {"Observation": FACTS}
VALUE, PANEL, ABSENT = "value", "panel", "absent"
"""Kinds of rows: a fact; a panel that its members tell; something whose value is told to be absent."""
Element = dict[str, Any]


def observations(batch: Batch) -> dict[str, pl.DataFrame]:
    """The table Observation: a row for each value, component, panel without values, and absent value."""
    resources, options = batch.resources, batch.options
    carriers, positions, kinds = _carriers(resources)
    effective = when(resources, "effective", options)
    issued = moments([resource.get("issued") for resource in resources], options)
    known = issued.last.fill_null(effective.last)
    shared = {**circumstances(batch), "time": either(effective, issued).first, "known_time": known}
    base = gathered(shared, positions)
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
    rows = [batch.rows[position] for position in positions]
    wrong = marks_at({"effective": effective.is_wrong, "issued": issued.is_wrong}, positions)
    return facts_table(batch, FACTS, rows, {"kind": kinds, **base, **columns}, wrong)


def _carriers(resources: Sequence[Element]) -> tuple[list[Element], list[int], list[str]]:
    """What becomes a row, in order: an Observation or a component, where it stands, and its kind."""
    carriers: list[Element] = []
    positions: list[int] = []
    kinds: list[str] = []
    for position, resource in enumerate(resources):
        components = resource.get("component")
        if components is None and _has_amount(resource):
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
        (part, ABSENT if _is_concept(part.get("dataAbsentReason")) and not _says(part) else VALUE)
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
    return _has_value(carrier) or bool(listed(carrier.get("interpretation")))


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
        value, coded, own = other_value(carriers[row], concepts)
        values[row] = value
        words[row] = coded
        notes[row] = f"{notes[row]}: {own}" if own and notes[row] else own or notes[row]
    columns["value"], columns["text"], columns["note"] = values, words, notes


def _alternates(
    resources: Sequence[Element],
    carriers: Sequence[Element],
    positions: Sequence[int],
    codes: Sequence[Concept],
    concepts: ConceptReader,
) -> list[str | None]:
    """Other codes, the panel, categories, a status that is not final, interpretations, reference ranges."""
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
    return _has_amount(carrier) or has_other_value(carrier)


def _has_amount(carrier: Element) -> bool:
    """Whether there is a Quantity with a number; one without is no value."""
    quantity = carrier.get("valueQuantity")
    return quantity is not None and quantity.get("value") is not None


def _marks(
    categories: tuple[str, ...] | None, status: str | None, interpretations: tuple[str, ...] | None
) -> str | None:
    parts = [f"CATEGORY//{code}" for code in categories or ()]
    if status is not None and status != "final":
        parts.append(f"STATUS//{status}")
    parts += [f"INTERPRETATION//{code}" for code in interpretations or ()]
    return joined(*dict.fromkeys(parts))


def _ranges(ranges: object) -> str | None:
    words = [range_words(one) for one in listed(ranges)]
    return joined(*(f"RANGE//{told}" for told in words if told))
