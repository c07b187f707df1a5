"""What FHIR says of each element: one value or a list, and of which type, by fhir.resources' R4B classes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_core.fhirabstractmodel import FHIRAbstractModel

Kind = Literal["boolean", "integer", "decimal", "text", "xhtml", "complex", "resource"]
Model: TypeAlias = "type[FHIRAbstractModel]"

_NUMBERS: Mapping[str, Kind] = {
    "integer": "integer",
    "unsignedInt": "integer",
    "positiveInt": "integer",
    "decimal": "decimal",
    "xhtml": "xhtml",
}
_TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{2,60}")


@dataclass(frozen=True)
class Element:
    """One element of a resource or data type.

    Attributes:
        is_list: whether it may occur more than once (in JSON: an array).
        kind: how its value is written in JSON; a complex one has elements of its own.
        model: fhir.resources' class of a complex element, None of a primitive one and of any resource.
    """

    is_list: bool
    kind: Kind
    model: Model | None = None


@lru_cache(maxsize=4096)
def resource_model(resource_type: str) -> Model | None:
    """fhir.resources' R4B class of a resource type; None where FHIR R4B has no such type.

    Args:
        resource_type: as in `resourceType`: Patient, Observation.
    """
    from fhir.resources.R4B import get_fhir_model_class
    from fhir.resources.R4B.resource import Resource

    if not _TYPE_NAME.fullmatch(resource_type):
        return None
    try:
        model: Model = get_fhir_model_class(resource_type)
    except (ValueError, LookupError, ImportError):
        return None
    is_whole = issubclass(model, Resource) and resource_type not in ("Resource", "DomainResource")
    return model if is_whole else None


@lru_cache(maxsize=4096)
def elements(model: Model) -> Mapping[str, Element]:
    """The elements of a resource or data type by their names in FHIR.

    **Source:** the R4B (4.3.0) structure definitions, as fhir.resources' classes carry them.
    """
    found = {}
    for name, field in model.model_fields.items():
        written = field.alias or name
        if written.startswith("_") or written in ("fhir_comments", "resource_type"):
            continue
        found[written] = _element(field.annotation, field.metadata)
    return MappingProxyType(found)


def _element(annotation: Any, metadata: list[Any]) -> Element:
    """Unwraps `Optional[List[Annotated[...]]]` down to what FHIR calls the type."""
    is_list = False
    pending, names, models = [annotation], [_visit_name(mark) for mark in metadata], []
    while pending:
        part = pending.pop()
        if get_origin(part) is list:
            is_list = True
        if part is bool:
            names.append("boolean")
        if hasattr(part, "get_model_klass"):
            models.append(part.get_model_klass())
        names.append(_visit_name(part))
        pending += [*get_args(part), *getattr(part, "__metadata__", ())]
    if models:
        is_any = models[0].__name__ == "Resource"
        return Element(is_list, "resource" if is_any else "complex", None if is_any else models[0])
    known = [name for name in names if name]
    if "boolean" in known:
        return Element(is_list, "boolean")
    return Element(is_list, next((_NUMBERS[name] for name in known if name in _NUMBERS), "text"))


def _visit_name(part: Any) -> str:
    """How fhir_core calls a primitive type, on whatever carries it; empty for all else."""
    named = getattr(part, "__visit_name__", "")
    return named if isinstance(named, str) else ""
