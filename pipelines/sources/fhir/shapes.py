"""What FHIR's JSON rules say of a resource: lists where lists stand, numbers as numbers, nothing empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipelines.sources.fhir.elements import Element, elements, resource_model

if TYPE_CHECKING:
    from pipelines.sources.fhir.elements import Model

DEEPEST = 60
"""How many elements may stand within one another; deeper ones are told as a fault and not looked into."""

_TOO_DEEP = "stands too deep within other elements"
_LONGEST_ID = 64


def shape_faults(resource: Mapping[str, Any], model: Model) -> Iterator[tuple[str, str]]:
    """What breaks FHIR's JSON form, by element facts alone; fhir.resources reads most of it in silence.

    Elements that R4B's class has not are left out here. So are contained resources: they are resources.

    Args:
        resource: as parsed.
        model: fhir.resources' class of its type.

    Yields:
        The element's path within the resource ("component.valueQuantity.value") and what is wrong with it;
        never a value.

    **Source:** HL7 FHIR R4 4.0.1, json.html (2.6.2: "an attribute can never be null or empty") and
    datatypes.html (primitive types).
    """
    pending: list[tuple[str, Mapping[str, Any], Model, int]] = [("", resource, model, 0)]
    while pending:
        path, found, of, depth = pending.pop()
        known = elements(of)
        for name, value in found.items():
            element = known.get(name)
            if element is None or element.kind == "resource":
                continue
            where = f"{path}.{name}" if path else name
            for told, one in _values(value, element):
                if told:
                    yield where, told
                elif element.kind != "complex":
                    yield from ((where, fault) for fault in _primitive_faults(where, one, element))
                elif isinstance(one, dict) and element.model:
                    if not one:
                        yield where, "is empty"
                    elif depth >= DEEPEST:
                        yield where, _TOO_DEEP
                    else:
                        pending.append((where, one, element.model, depth + 1))
                else:
                    yield where, "is no object"


def _values(value: Any, element: Element) -> Iterator[tuple[str, Any]]:
    """The single values of an element, or what is wrong with it as a whole."""
    if element.is_list != isinstance(value, list):
        yield ("is no list" if element.is_list else "is a list"), None
    elif value is None or value == []:
        yield "is null or empty", None
    elif element.is_list:
        yield from (("", one) for one in value if one is not None or element.kind == "complex")
    else:
        yield "", value


def _primitive_faults(where: str, value: Any, element: Element) -> Iterator[str]:
    """What is wrong with how JSON writes one value; of ids, only a resource's own is bounded."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if element.kind == "boolean":
        if not isinstance(value, bool):
            yield "is no boolean"
    elif element.kind == "integer":
        if not is_number or isinstance(value, float):
            yield "is no whole number"
    elif element.kind == "decimal":
        if not is_number:
            yield "is no number"
    elif not isinstance(value, str):
        yield "is no text"
    elif not value:
        yield "is null or empty"
    elif where == "id" and len(value) > _LONGEST_ID:
        yield "is too long"


def model_of(resource: Mapping[str, Any]) -> Model | None:
    """fhir.resources' class of a resource's stated type; None where it states none that R4B has."""
    stated = resource.get("resourceType")
    return resource_model(stated) if isinstance(stated, str) else None
