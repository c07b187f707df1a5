"""What is wrong with one R4 resource, by fhir.resources' R4B classes and their known differences from R4."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipelines.sources.fhir.shapes import model_of, shape_faults

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from pipelines.sources.fhir.elements import Model

MOST_FAULTS = 50
"""More faults of one resource are not told."""

MOST_ELEMENTS = 5_000
"""A resource of more elements is judged by its shape alone: its class would take seconds for it."""


@dataclass(frozen=True)
class Difference:
    """One thing that R4 (4.0.1) and fhir.resources' R4B classes (4.3.0) judge differently.

    Attributes:
        where: the type, or the element.
        effect: stricter = the class refuses what R4 allows, so the refusal is no fault; laxer = the class
            takes what R4 refuses; not_judged = another definition altogether, so nothing is said.
        what: the difference, in words.
    """

    where: str
    effect: Literal["stricter", "laxer", "not_judged"]
    what: str


_GONE = [
    "EffectEvidenceSynthesis",
    "RiskEvidenceSynthesis",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
]
_REWORKED = ("Evidence", "EvidenceVariable")
_ADDED = [
    "AdministrableProductDefinition",
    "Citation",
    "ClinicalUseDefinition",
    "EvidenceReport",
    "Ingredient",
    "ManufacturedItemDefinition",
    "MedicinalProductDefinition",
    "NutritionProduct",
    "PackagedProductDefinition",
    "RegulatedAuthorization",
    "SubscriptionStatus",
    "SubscriptionTopic",
    "SubstanceDefinition",
]

DIFFERENCES: tuple[Difference, ...] = (
    *(Difference(name, "not_judged", "a resource type of R4 that R4B removed") for name in _GONE),
    *(Difference(name, "not_judged", "a resource type that R4B defines anew") for name in _REWORKED),
    *(Difference(name, "laxer", "a resource type that R4B added") for name in _ADDED),
    Difference("Extension.valueMeta", "stricter", "fhir.resources lacks the type Meta among the open types"),
    Difference("ElementDefinition.defaultValueMeta", "stricter", "as Extension.valueMeta"),
    Difference("ElementDefinition.fixedMeta", "stricter", "as Extension.valueMeta"),
    Difference("ElementDefinition.patternMeta", "stricter", "as Extension.valueMeta"),
    Difference("uuid", "stricter", "fhir.resources takes random (version 4) UUIDs only; R4 any version"),
    Difference("MarketingStatus", "laxer", "R4B no longer demands country and dateRange"),
    Difference("ActivityDefinition.subjectCanonical", "laxer", "an element that R4B added"),
    Difference("PlanDefinition.subjectCanonical", "laxer", "an element that R4B added"),
    Difference("Extension.valueCodeableReference", "laxer", "a data type that R4B added"),
    Difference("Extension.valueRatioRange", "laxer", "a data type that R4B added"),
    Difference("number or boolean as text", "laxer", "fhir.resources reads it; told by shapes"),
    Difference("null, empty list, empty object", "laxer", "fhir.resources drops it; told by shapes"),
    Difference("id", "laxer", "fhir.resources takes 255 letters, R4 64; told by shapes"),
    Difference("url, uri", "laxer", "spaces are taken; R4 wants none"),
    Difference("base64Binary", "laxer", "any text is taken"),
    Difference(
        "code with a required binding", "laxer", "any code is taken: Observation.status, Patient.gender"
    ),
    Difference("Reference", "laxer", "any resource type is taken as a target"),
    Difference("Narrative.div", "laxer", "any text is taken"),
    Difference("invariants", "laxer", "FHIRPath constraints are not evaluated"),
)
"""The known differences; each has a test. None touches a type that becomes events, but through extensions.

**Source:** structure definitions of R4 4.0.1 compared with fhir.resources 8.3.0's R4B classes, element by
element (all types); R4B 4.3.0, r4b-explanation.html and diff.html; primitive types tried one by one against
the regular expressions of R4 4.0.1, datatypes.html.
"""

NOT_JUDGED = frozenset(one.where for one in DIFFERENCES if one.effect == "not_judged")
_STRICTER_ELEMENTS = frozenset(
    one.where.partition(".")[2] for one in DIFFERENCES if one.effect == "stricter" and "." in one.where
)

_TOLD = {
    "missing": "is required",
    "model_field_validation.missing": "is required",
    "extra_forbidden": "R4 has no such element",
    "string_type": "is no text",
    "list_type": "is no list",
    "string_too_long": "is too long",
    "less_than_equal": "is out of range",
    "greater_than_equal": "is out of range",
    "model_type": "is no object",
    "dict_type": "is no object",
}
_WRONG_FORM = "is not in the form of its type"
_NAME = re.compile(r"_?[a-z][A-Za-z]{0,59}")
"""Element names begin with a small letter; other keys may be names of people or places, and are not told."""
_CRASHES = (KeyError, TypeError, AttributeError, RecursionError, ImportError, ValueError, OverflowError)


def faults(resource: Mapping[str, Any]) -> list[str]:
    """What is wrong with one resource by the rules of R4; contained resources are judged with it.

    Args:
        resource: as parsed from JSON (or from XML by parse_xml).

    Returns:
        "Observation.component.valueQuantity.value: is no number" and so on, without values, sorted, each
        once, at most 50; empty for a valid resource and for a type of NOT_JUDGED. Where an element may stand
        more than once its path does not say which one is meant. Of more than 5,000 elements only shapes.
    """
    return sorted({f"{where}: {what}" for where, what in _faults(resource)})[:MOST_FAULTS]


def _faults(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and fault, of the resource and of those that it contains."""
    stated = resource.get("resourceType")
    model = model_of(resource)
    if model is None:
        if not (isinstance(stated, str) and stated in NOT_JUDGED):
            yield "resourceType", "R4 has no such resource type" if stated else "is required"
        return
    if stated in NOT_JUDGED:
        return
    shaped = dict(shape_faults(resource, model))
    yield from ((f"{stated}.{where}", what) for where, what in shaped.items())
    contained = resource.get("contained")
    parts = contained if isinstance(contained, list) else []
    own = {name: value for name, value in resource.items() if name != "contained"}
    judged = () if _is_huge(own) else _model_faults(own, model)
    for where, what in judged:
        if where not in shaped:
            yield (f"{stated}.{where}" if where else str(stated)), what
    if contained is not None and (not isinstance(contained, list) or not parts):
        yield f"{stated}.contained", "is no list" if contained else "is null or empty"
    for part in parts:
        if not isinstance(part, dict):
            yield f"{stated}.contained", "is no object"
            continue
        inner = {name: value for name, value in part.items() if name != "contained"}
        if inner != part:
            yield f"{stated}.contained", "contains a resource itself"
        yield from ((f"{stated}.contained.{where}", what) for where, what in _faults(inner))


def _is_huge(resource: Mapping[str, Any]) -> bool:
    """Whether a resource has more than MOST_ELEMENTS values, lists and objects."""
    n_elements = 0
    pending: list[Any] = [resource]
    while pending and n_elements <= MOST_ELEMENTS:
        one = pending.pop()
        within: Any = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        n_elements += len(within)
        pending.extend(within)
    return n_elements > MOST_ELEMENTS


def _model_faults(resource: Mapping[str, Any], model: Model) -> Iterator[tuple[str, str]]:
    """What fhir.resources' class refuses, without what R4 allows."""
    from pydantic import ValidationError

    try:
        model.model_validate(resource)
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_context=False, include_input=False):
            if not _allowed_in_r4(error):
                yield _path(error["loc"]), _what(error)
    except _CRASHES:
        yield "", "cannot be read by its R4B class"


def _allowed_in_r4(error: ErrorDetails) -> bool:
    """Whether a refusal is one of the known differences."""
    last = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return last in _STRICTER_ELEMENTS
    return error["type"] == "uuid_version"


def _what(error: ErrorDetails) -> str:
    """A fixed text for a kind of error: the library's own texts may quote values."""
    if error["type"] == "value_error" and not _path(error["loc"]):
        return "wants one of several elements, and only one"
    return _TOLD.get(error["type"], _WRONG_FORM)


def _path(places: tuple[int | str, ...]) -> str:
    """The names on the way to an element, joined by dots; a name that is no FHIR name is not repeated.

    What is no object has the library's own name "root" behind it.
    """
    names = [place for place in places if isinstance(place, str)]
    names = names[:-1] if names[-1:] == ["root"] else names
    return ".".join(name if _NAME.fullmatch(name) else "(unreadable name)" for name in names)
