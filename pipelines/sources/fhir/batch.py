"""Resources of one type on their way to columns: with row numbers, names, and what their references mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.sources.fhir.options import FhirOptions

if TYPE_CHECKING:
    from pipelines.sources.fhir.references import Resolver, Scope

Resource = dict[str, Any]


WRONG_TYPES = (
    TypeError,
    AttributeError,
    KeyError,
    ValueError,
    IndexError,
    OverflowError,
    RecursionError,
    pl.exceptions.PolarsError,
)
"""What a projection raises where an element has another type than FHIR gives it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it was sent.

    Attributes:
        row: its number in the file.
        raw: its bytes.
        offset: the byte at which it begins.
    """

    row: int
    raw: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a resource stands in a Bundle.

    Attributes:
        full_url: of its entry.
        scope: what the Bundle calls its entries.
        name: what others call the resource, where its id does not say it.
        rank: which version it is, where the resource does not say it.
    """

    full_url: str | None = None
    scope: Scope | None = None
    name: str | None = None
    rank: str = ""


ALONE = Standing()
"""How a resource stands outside of Bundles."""


@dataclass(frozen=True)
class Batch:
    """Some resources of one type from one file; all lists are of one length.

    The resources are as parsed: any element may have a wrong type. A projection need not check: where it
    raises TypeError, AttributeError, KeyError, ValueError, IndexError or a polars error the batch is halved
    and projected again, and resources that fail alone are rejected.

    Attributes:
        resource_type: of all of them.
        resources: as parsed. A contained resource follows as a resource of its own type.
        rows: the record that each stands in, not decreasing; a contained resource has its container's.
        names: what others call each: "Patient/123"; its fullUrl where it has no id; "Observation/7#p1" where
            it is contained.
        full_urls: the fullUrl of each one's entry in a Bundle, None elsewhere.
        containers: for a contained resource the one that holds it, None elsewhere.
        scopes: what each one's Bundle calls its entries; None where no resource of the batch came in one.
        resolver: what references mean.
        options: of the mapping.
    """

    resource_type: str
    resources: list[Resource]
    rows: list[int]
    names: list[str]
    full_urls: list[str | None]
    containers: list[Resource | None]
    scopes: list[Scope | None] | None
    resolver: Resolver
    options: FhirOptions

    def targets(
        self, references: Sequence[object], positions: Sequence[int] | None = None
    ) -> list[str | None]:
        """The names of what Reference elements point to.

        Args:
            references: Reference elements (dicts with `reference`, `identifier` ...) or None, one for each
                resource of the batch, or for each of `positions`.
            positions: which resource of the batch each stands in, where it is not one each in order.

        Returns:
            "Type/id", "Type/id#contained", "identifier:SYSTEM|VALUE", another absolute address, or None.
        """
        return self.resolver.targets(references, self.names, positions, self.scopes)

    def contained(self, position: int, reference: object) -> Resource | None:
        """The contained resource that a Reference element ("#id") of one resource points to, if it does."""
        from pipelines.sources.fhir.references import contained_resource

        return contained_resource(reference, self.containers[position] or self.resources[position])

    def part(self, span: slice) -> Batch:
        """The batch of some neighbouring resources."""
        return self.pick(range(*span.indices(len(self.rows))))

    def pick(self, positions: Sequence[int]) -> Batch:
        """The batch of some of the resources."""
        return Batch(
            self.resource_type,
            [self.resources[position] for position in positions],
            [self.rows[position] for position in positions],
            [self.names[position] for position in positions],
            [self.full_urls[position] for position in positions],
            [self.containers[position] for position in positions],
            [self.scopes[position] for position in positions] if self.scopes else None,
            self.resolver,
            self.options,
        )
