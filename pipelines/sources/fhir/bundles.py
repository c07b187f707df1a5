"""Entries of Bundles become records: what each is called, what it takes back, and Bundles within Bundles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import orjson

from pipelines.sources.fhir.batch import Sent, Standing
from pipelines.sources.fhir.gathering import own_name, version_rank
from pipelines.sources.fhir.parts import PartMaker
from pipelines.sources.fhir.references import Resolver, Scope
from pipelines.sources.fhir.sampling import DECLARED
from pipelines.sources.fhir.versions import declared_version

ENTRY_STEP = 1_000_000_000
"""Record 3 within line (or entry) 17 has the number 3,000,000,017: no file has that many lines."""
NO_ENTRY = "not an entry of a Bundle"
NO_RESOURCE_IN_IT = "entry without a resource"
NO_ENTRIES = "Bundle without entries"
UNNAMED_DELETION = "deletion that names no single resource"
TOO_MANY_WITHIN = "Bundles within Bundles beyond all use"
MOST_WITHIN = 8


def is_bundle(resource: object) -> bool:
    """Whether a parsed value is a Bundle."""
    return isinstance(resource, dict) and resource.get("resourceType") == "Bundle"


def entry_name(entry: object, resolver: Resolver) -> tuple[str | None, str | None]:
    """What an entry's resource is called, and its fullUrl.

    The resource's id names it; where it has none, the address of a PUT, then the fullUrl.
    """
    if not isinstance(entry, dict):
        return None, None
    resource, full_url, request = entry.get("resource"), entry.get("fullUrl"), entry.get("request")
    full_url = full_url if isinstance(full_url, str) and full_url else None
    if not isinstance(resource, dict):
        return None, full_url
    resource_type = resource.get("resourceType")
    named = own_name(resource_type, resource) if isinstance(resource_type, str) else None
    if named is None and isinstance(request, dict) and request.get("method") == "PUT":
        url = request.get("url")
        target = resolver.name_of(url) if isinstance(url, str) else None
        named = target if target and target.startswith(f"{resource_type}/") else None
    if named is None and full_url:
        named = resolver.name_of(full_url)
    return named, full_url


def add_to_scope(scope: dict[str, str], entry: object, resolver: Resolver) -> None:
    """Learn what an entry's fullUrl is called."""
    name, full_url = entry_name(entry, resolver)
    if name is None or full_url is None:
        return
    scope[full_url] = name
    address = resolver.name_of(full_url)
    if address is not None:
        scope.setdefault(address, name)


def scope_of(entries: object, resolver: Resolver, outer: Scope | None) -> dict[str, str]:
    """What the fullUrls of a parsed Bundle's entries are called."""
    scope = dict(outer or {})
    for entry in entries if isinstance(entries, list) else ():
        add_to_scope(scope, entry, resolver)
    return scope


class Unpacker:
    """Hands the entries of Bundles to a part.

    Args:
        maker: of the part.
        resolver: of the file's references.
    """

    def __init__(self, maker: PartMaker, resolver: Resolver) -> None:
        self.maker, self.resolver = maker, resolver

    def add_line(self, bundle: dict[str, Any], sent: Sent) -> None:
        """Take a Bundle that is itself a record: each entry becomes a record within it."""
        self.note_version(bundle)
        n_found = 0
        for entry, scope in self._leaves(bundle, None, 1):
            n_found += 1
            row = sent.row + n_found * ENTRY_STEP
            if entry is TOO_MANY_WITHIN:
                self.maker.reject(TOO_MANY_WITHIN, Sent(row, b"", sent.offset))
            else:
                self.add_entry(entry, Sent(row, orjson.dumps(entry), sent.offset), scope)
        if not n_found and bundle.get("entry"):
            self.maker.reject(NO_ENTRY, sent)
        elif not n_found:
            self.maker.ignore(sent.row, NO_ENTRIES, "Bundle")

    def add_document(self, bundle: dict[str, Any]) -> None:
        """Take a Bundle that is a file: its entries are the records, numbered from 1."""
        self.note_version(bundle)
        entries = bundle.get("entry")
        if not isinstance(entries, list) or not entries:
            self.maker.ignore(1, NO_ENTRIES, "Bundle")
            return
        scope = scope_of(entries, self.resolver, None)
        for number, entry in enumerate(entries, start=1):
            self.add_entry(entry, Sent(number, orjson.dumps(entry), 0), scope)

    def _leaves(
        self, bundle: dict[str, Any], outer: Scope | None, depth: int
    ) -> Iterator[tuple[object, Scope | None]]:
        """All entries that hold no further Bundle, in order, each with its scope; None beyond MOST_WITHIN."""
        entries = bundle.get("entry")
        scope = scope_of(entries, self.resolver, outer)
        for entry in entries if isinstance(entries, list) else ():
            inner = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(inner, dict) and inner.get("resourceType") == "Bundle" and inner.get("entry"):
                if depth >= MOST_WITHIN:
                    yield TOO_MANY_WITHIN, None
                else:
                    yield from self._leaves(inner, scope, depth + 1)
            else:
                yield entry, scope

    def add_entry(self, entry: object, sent: Sent, scope: Scope | None) -> None:
        """Take one entry of a Bundle with that scope."""
        if not isinstance(entry, dict):
            self.maker.reject(NO_ENTRY, sent)
            return
        request = entry.get("request")
        if isinstance(request, dict) and request.get("method") == "DELETE":
            self._add_deletion(entry, request, sent.row)
            return
        resource = entry.get("resource")
        if resource is None:
            self.maker.ignore(sent.row, NO_RESOURCE_IN_IT, "Bundle")
        elif is_bundle(resource):
            self.add_line(resource, sent)
        else:
            name, full_url = entry_name(entry, self.resolver)
            self.maker.add(resource, sent, Standing(full_url, scope, name, entry_rank(entry)))

    def _add_deletion(self, entry: dict[str, Any], request: dict[str, Any], row: int) -> None:
        url = request.get("url")
        name = self.resolver.name_of(unquote(url)) if isinstance(url, str) else None
        if name is None or name.startswith("identifier:"):
            self.maker.ignore(row, UNNAMED_DELETION, "Bundle")
            return
        rank = entry_rank(entry)
        self.maker.delete(row, name, f"{rank}~" if rank else None)

    def note_version(self, bundle: dict[str, Any]) -> None:
        """Say which version of FHIR a Bundle says it is of."""
        version = declared_version(bundle)
        if version:
            self.maker.notes[DECLARED, version] += 1


def entry_rank(entry: dict[str, Any]) -> str:
    """The rank of a version by the answer that a history tells; "" where it tells none."""
    response = entry.get("response")
    return version_rank(response.get("lastModified"), None) if isinstance(response, dict) else ""
