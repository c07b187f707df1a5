"""CodeableConcepts as codes: the preferred coding makes `SYSTEM//code`, all others are its alternates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ontology.systems import SYSTEMS, spelled
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.systems import system_name

FREE_TEXT = "FHIR_TEXT"
"""The system of concepts that are told in words alone; the code is the type of the resource."""
SEPARATOR = "; "


class Concept(NamedTuple):
    """One CodeableConcept as it is used.

    Attributes:
        code: `SYSTEM//code`, null where nothing is told.
        display: what the source calls the code.
        alternates: other codes for the same, and the words as sent where they were made over.
        note: the text of a concept that has no code: somebody's own words.
        system, bare, version: of the chosen coding.
    """

    code: str | None = None
    display: str | None = None
    alternates: str | None = None
    note: str | None = None
    system: str | None = None
    bare: str | None = None
    version: str | None = None


NOTHING = Concept()


class ConceptReader:
    """Reads the CodeableConcepts of one type of resource, and remembers those that come again.

    Args:
        resource_type: whose concepts they are.
        options: which systems are preferred.
    """

    def __init__(self, resource_type: str, options: FhirOptions) -> None:
        preferred = options.preferred_systems
        names = preferred.get(resource_type, preferred.get("*", ()))
        self._rank = {name: place for place, name in enumerate(names)}
        self._text_code = f"{FREE_TEXT}//{resource_type}"
        self._known: dict[tuple[Any, ...], Concept] = {}

    def read(self, elements: Iterable[Any]) -> list[Concept]:
        """Each CodeableConcept, or NOTHING where there is none.

        Raises:
            TypeError, AttributeError: something has another JSON type than FHIR's.
        """
        known = self._known
        found: list[Concept] = []
        for element in elements:
            if element is None:
                found.append(NOTHING)
                continue
            codings = element.get("coding")
            if type(codings) is not list:
                if codings is not None:
                    raise TypeError(_NO_LIST)
                found.append(self._in_words(element, ()))
                continue
            if len(codings) == 1:
                one = codings[0]
                key: tuple[Any, ...] = (
                    one.get("system"), one.get("code"), one.get("display"), one.get("version")
                )  # fmt: skip
            else:
                key = tuple([_key(one) for one in codings])
            concept = known.get(key)
            if concept is None:
                concept = known[key] = self._chosen(codings)
            found.append(concept if concept.code is not None else self._in_words(element, codings))
        return found

    def _in_words(self, element: dict[str, Any], codings: Sequence[dict[str, Any]]) -> Concept:
        words = [element.get("text"), *(one.get("display") for one in codings)]
        note = next((text for text in map(_text, words) if text), None)
        return Concept(code=self._text_code, note=note) if note else NOTHING

    def _chosen(self, codings: list[dict[str, Any]]) -> Concept:
        read = [
            (_text(one.get("system")), code, one)
            for one in codings
            if _all_texts(one) and (code := one.get("code"))
        ]
        if not read:
            return NOTHING
        names = [system_name(system or "") for system, _, _ in read]
        written = [spelled(name, code) for name, (_, code, _) in zip(names, read, strict=True)]
        place = min(range(len(read)), key=lambda i: (*self._order(names[i], read[i][0], read[i][2]), i))
        code = f"{names[place]}//{written[place]}"
        system, sent, one = read[place]
        others = [f"{name}//{text}" for name, text in zip(names, written, strict=True)]
        if system and (sent != written[place] or names[place] not in SYSTEMS):
            others.insert(0, f"{system}|{sent}")
        alternates = [other for other in dict.fromkeys(others) if other != code]
        return Concept(
            code, _text(one.get("display")), SEPARATOR.join(alternates) or None, None,
            names[place], written[place], _text(one.get("version")),
        )  # fmt: skip

    def _order(self, name: str, system: str | None, coding: dict[str, Any]) -> tuple[int, int, int]:
        rank = self._rank.get(name, len(self._rank))
        return rank, 0 if coding.get("userSelected") is True else 1, 0 if system else 1


_NO_LIST = "the codings of a concept are no list"


def _key(coding: dict[str, Any]) -> tuple[Any, ...]:
    """What tells codings of a concept apart."""
    is_selected = coding.get("userSelected")
    if is_selected is not None and not isinstance(is_selected, bool):
        message = "userSelected is no boolean"
        raise TypeError(message)
    return (
        coding.get("system"), coding.get("code"), coding.get("display"), coding.get("version"), is_selected
    )  # fmt: skip


def _all_texts(coding: dict[str, Any]) -> bool:
    """Whether all that is read of a coding is text; always true, or an error."""
    for name in ("system", "code", "display", "version"):
        _text(coding.get(name))
    return True


def _text(value: object) -> str | None:
    """The value itself, which must be text or nothing."""
    if value is None or isinstance(value, str):
        return value or None
    message = "a text is of another JSON type"
    raise TypeError(message)


def bare_codes(concepts: object) -> tuple[str, ...]:
    """The codes of all codings of a list of concepts, as sent, without systems; texts are left out."""
    if concepts is None:
        return ()
    if type(concepts) is not list:
        raise TypeError(_NO_LIST)
    codes = []
    for concept in concepts:
        codings = concept.get("coding")
        if type(codings) is not list:
            if codings is not None:
                raise TypeError(_NO_LIST)
            continue
        for coding in codings:
            code = coding.get("code")
            if type(code) is str:
                codes.append(code)
            elif code is not None:
                _text(code)
    return tuple(codes)


def first_code(concept: object) -> str | None:
    """The code of the first coding of one concept that has one, as sent."""
    codes = bare_codes(None if concept is None else [concept])
    return codes[0] if codes else None


def joined(*parts: str | None) -> str | None:
    """Alternates of several origins as one text."""
    given = [part for part in parts if part]
    return SEPARATOR.join(given) if given else None
