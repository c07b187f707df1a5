"""What a mapping may choose about reading FHIR: systems, identifiers, units, bounds and sampling."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pipelines.sources.fields import Strict, Zone

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class FhirOptions(Strict):
    """The `options` of a mapping with `reader: fhir`.

    Attributes:
        preferred_systems: by resource type, or "*" for all others: the code systems by our names, best first.
            The first of them that a concept is coded in makes the event's code, the rest are alternates.
        subject_identifiers: systems of the identifiers that name a person, best first; without one of them a
            patient is named by the resource's id.
        contact_identifiers: systems of the identifiers that name a contact, best first; without one of them
            an encounter is named by the resource's id.
        units: by event code: the UCUM unit that its values are converted to; what was sent is kept beside it.
        server_bases: base addresses whose absolute references mean the resources at hand
            ("https://fhir.hospital.example/r4"); where none is given, every base does.
        time_zone: of dates, and of times that name no offset.
        clock: the wall clock that the dataset is written in; all instants are turned into it.
        validate_share: the share of each type's records that is validated against R4's full rules.
        validate_at_least: how many records of each type are validated at least, over the whole input.
        seed: of the choice of those records.
        keep_file_names: whether accounts and lineage name documents (Bundles, single resources) as files
            are; those are often named after the patient, so their place stands for them without it.
        most_bytes: records (lines, entries, single files) larger than this are rejected unread.
        block_bytes: about how much of a file is held at a time.
    """

    preferred_systems: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    subject_identifiers: tuple[str, ...] = ()
    contact_identifiers: tuple[str, ...] = ()
    units: dict[str, str] = Field(default_factory=dict)
    server_bases: tuple[str, ...] = ()
    time_zone: Zone = "Europe/Oslo"
    clock: Zone = "UTC"
    validate_share: Share = 0.001
    validate_at_least: Annotated[int, Field(ge=0)] = 200
    seed: int = 0
    keep_file_names: bool = False
    most_bytes: Annotated[int, Field(ge=1_000)] = 16_000_000
    block_bytes: Annotated[int, Field(ge=1_000)] = 16_000_000
