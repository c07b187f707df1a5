"""What a FHIR reference means: the name of the resource, contained resource or identifier it points to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.systems import same_system

Resource = dict[str, Any]
Scope = Mapping[str, str]
"""What the full addresses of a Bundle's entries are called: {fullUrl: name}."""

_RESTFUL = re.compile(
    r"^(?P<base>[a-zA-Z][a-zA-Z0-9+.-]*://.*?/)?(?P<name>[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})"
    r"(?:/_history/[A-Za-z0-9.-]{1,64})?(?:#.*)?$",
    re.DOTALL,
)
"""**Source:** HL7 FHIR R4, 2.3.0 Resource references: the regular expression of a RESTful reference."""
_CONDITIONAL = re.compile(r"^[A-Z][A-Za-z]{1,63}\?(?P<query>.+)$", re.DOTALL)
_MOST_CHARACTERS = 2_000
"""Longer texts are no reference; **Source:** addresses above 2,000 characters do not travel over HTTP."""
_MOST_KEPT = 200_000


class Resolver:
    """Names what references point to, and remembers texts that come again.

    Args:
        options: whose `server_bases` say which absolute addresses mean the resources at hand.
    """

    def __init__(self, options: FhirOptions) -> None:
        self._bases = tuple(base.rstrip("/") + "/" for base in options.server_bases)
        self._known: dict[str, str | None] = {}

    def __reduce__(self) -> tuple[type[_Emptied], tuple[tuple[str, ...]]]:
        """Sent to other processes without what it remembers."""
        return _Emptied, (self._bases,)

    def targets(
        self,
        references: Sequence[object],
        names: Sequence[str],
        positions: Sequence[int] | None = None,
        scopes: Sequence[Scope | None] | None = None,
    ) -> list[str | None]:
        """The names of what Reference elements point to.

        Args:
            references: Reference elements, or None.
            names: of the resources that they may stand in.
            positions: which of these each stands in; one each in order where it is not given.
            scopes: of these resources; none where no resource came in a Bundle.
        """
        known = self._known
        if len(known) > _MOST_KEPT:
            known.clear()
        found: list[str | None] = []
        holders = range(len(references)) if positions is None else positions
        for holder, reference in zip(holders, references, strict=True):
            if not reference:
                found.append(None)
                continue
            text = reference.get("reference")  # type: ignore[attr-defined]  # a wrong type is the caller's
            scope = scopes[holder] if scopes else None
            if text in known and not scope:
                found.append(known[text])
            else:
                found.append(self._one(reference, names[holder], scope))  # type: ignore[arg-type]
        return found

    def _one(self, reference: Resource, holder: str, scope: Scope | None) -> str | None:
        text = reference.get("reference")
        if text is None or text == "":
            return _logical(reference.get("identifier"))
        if not isinstance(text, str):
            message = "a reference that is no text"
            raise TypeError(message)
        if text.startswith("#"):
            return holder.partition("#")[0] + (text if len(text) > 1 else "")
        if scope and text in scope:
            return scope[text]
        if text not in self._known:
            self._known[text] = self.name_of(text)
        named = self._known[text]
        return scope.get(named, named) if scope and named else named

    def name_of(self, address: str) -> str | None:
        """The name of what an address points to, as a reference or a fullUrl gives it; None for none.

        "Patient/1" for relative and absolute addresses and for one version of a resource; the address itself
        for urn:uuid, urn:oid and foreign servers; "identifier:SYSTEM|VALUE" for a search by identifier.
        """
        if len(address) > _MOST_CHARACTERS:
            return None
        match = _RESTFUL.match(address)
        if match:
            base = match["base"]
            is_ours = base is None or not self._bases or base in self._bases
            return match["name"] if is_ours else address
        conditional = _CONDITIONAL.match(address)
        if conditional:
            return _searched(conditional["query"])
        return address.lower() if address.lower().startswith("urn:") else address


class _Emptied(Resolver):
    """A resolver that came from another process."""

    def __init__(self, bases: tuple[str, ...]) -> None:
        self._bases = bases
        self._known = {}


def identifier_name(system: str | None, value: str) -> str:
    """What a logical reference is called: identifier:SYSTEM|VALUE, national systems by their OID."""
    return f"identifier:{same_system(system) if system else ''}|{value}"


def _logical(identifier: object) -> str | None:
    """The name of an identifier that stands in place of an address."""
    if not isinstance(identifier, dict):
        return None
    value, system = identifier.get("value"), identifier.get("system")
    if not isinstance(value, str) or not value:
        return None
    return identifier_name(system if isinstance(system, str) else None, value)


def _searched(query: str) -> str | None:
    """The identifier that a conditional reference searches by; None for other searches."""
    name, _, token = query.partition("=")
    if name.partition(":")[0] != "identifier" or "&" in token or not token:
        return None
    system, bar, value = unquote(token).rpartition("|")
    return identifier_name(system if bar else None, value) if value else None


def contained_resource(reference: object, container: Resource) -> Resource | None:
    """The contained resource that "#id" means, or None."""
    if not isinstance(reference, dict) or not isinstance(container.get("contained"), list):
        return None
    text = reference.get("reference")
    if not isinstance(text, str) or not text.startswith("#") or len(text) < 2:
        return None
    for resource in container["contained"]:
        if isinstance(resource, dict) and resource.get("id") in (text[1:], text):
            return resource
    return None
