"""Parsed resources gathered by type, contained ones beside their containers, each with a name and a rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.sources.fhir.batch import ALONE, Batch, Resource, Standing
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.record_versions import Records
from pipelines.sources.fhir.references import Resolver, Scope


@dataclass
class Group:
    """Resources of one type; lists of one length, in row order, as Batch has them."""

    resource_type: str
    resources: list[Resource] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    full_urls: list[str | None] = field(default_factory=list)
    containers: list[Resource | None] = field(default_factory=list)
    scopes: list[Scope | None] = field(default_factory=list)

    def add(
        self, resource: Resource, row: int, name: str, container: Resource | None, standing: Standing
    ) -> None:
        """Take one resource."""
        self.resources.append(resource)
        self.rows.append(row)
        self.names.append(name)
        self.full_urls.append(standing.full_url)
        self.containers.append(container)
        self.scopes.append(standing.scope)

    def batch(self, resolver: Resolver, options: FhirOptions) -> Batch:
        """What the projection is given."""
        return Batch(
            self.resource_type,
            self.resources,
            self.rows,
            self.names,
            self.full_urls,
            self.containers,
            self.scopes if any(self.scopes) else None,
            resolver,
            options,
        )


class Gathering:
    """Takes the resources of one part.

    Args:
        read_types: resource types that become rows.
        file_number: of the file, which makes the names of resources that have none.
    """

    def __init__(self, read_types: frozenset[str], file_number: int) -> None:
        self._read_types = read_types
        self._file_number = file_number
        self.groups: dict[str, Group] = {}
        self.records = Records()

    def add_all(self, resource_type: str, resources: list[Resource], rows: list[int]) -> None:
        """Take resources of one type that stand alone, not in a Bundle."""
        prefix = f"{resource_type}/"
        try:
            ids = [resource["id"] for resource in resources]
            names = [prefix + name for name in ids]
            is_plain = "" not in ids
        except (KeyError, TypeError):
            is_plain = False
        if not is_plain or any("contained" in resource for resource in resources):
            for resource, row in zip(resources, rows, strict=True):
                self.add(resource_type, resource, row)
            return
        group = self._group(resource_type)
        group.resources += resources
        group.rows += rows
        group.names += names
        nothing = [None] * len(rows)
        group.full_urls += nothing
        group.containers += nothing
        group.scopes += nothing
        self.records.rows += rows
        self.records.names += names
        self.records.ranks += ranks(resources)

    def add(self, resource_type: str, resource: Resource, row: int, standing: Standing = ALONE) -> None:
        """Take one resource and what it contains.

        Args:
            resource_type: of a type that is read.
            resource: as parsed.
            row: its record.
            standing: in a Bundle.
        """
        own = standing.name or own_name(resource_type, resource)
        own = own or f"{resource_type}/_{self._file_number}:{row}"
        group = self._group(resource_type)
        group.add(resource, row, own, None, standing)
        self.records.rows.append(row)
        self.records.names.append(own)
        self.records.ranks.append(_rank(resource, standing))
        if standing.full_url and standing.full_url != own:
            self.records.full_urls.add(standing.full_url)
        contained = resource.get("contained")
        if not isinstance(contained, list):
            return
        within = Standing(scope=standing.scope)
        for number, inner in enumerate(contained):
            inner_type = inner.get("resourceType") if isinstance(inner, dict) else None
            if isinstance(inner_type, str) and inner_type in self._read_types:
                given = inner.get("id")
                called = given.removeprefix("#") if isinstance(given, str) else f"_{number}"
                self._group(inner_type).add(inner, row, f"{own}#{called}", resource, within)

    def _group(self, resource_type: str) -> Group:
        if resource_type not in self.groups:
            self.groups[resource_type] = Group(resource_type)
        return self.groups[resource_type]


def own_name(resource_type: str, resource: Resource) -> str | None:
    """Type/id, where it has an id."""
    given = resource.get("id")
    return f"{resource_type}/{given}" if isinstance(given, str) and given else None


def ranks(resources: Sequence[Resource]) -> list[str]:
    """Which version each resource is, as meta tells it; "" where it tells nothing."""
    found = []
    for resource in resources:
        meta = resource.get("meta")
        if type(meta) is dict:
            found.append(version_rank(meta.get("lastUpdated"), meta.get("versionId")))
        else:
            found.append("")
    return found


def _rank(resource: Resource, standing: Standing) -> str:
    """Which version a resource is, as meta tells it; when that was else as a history's answer does."""
    (own,) = ranks([resource])
    moment = standing.rank.partition("|")[0]
    return f"{moment}{own}" if own.startswith("|") else own or standing.rank


def version_rank(updated: object, version: object) -> str:
    """When a version was made, and its number: "2024-05-01T10:00:00+02:00|3"."""
    moment = updated if isinstance(updated, str) else ""
    number = version if isinstance(version, str) else ""
    return f"{moment}|{number}" if moment or number else ""
