"""The simulated hospital's records as a FHIR R4 bulk export: newline-delimited JSON, one type a file.

Instants carry +01:00: the hospital keeps standard time all the year round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

Resource = dict[str, Any]
MOST_LINES = 200_000
"""Resources in one file; an export of a server is divided likewise."""


def write_fhir(tables: Mapping[str, pl.DataFrame], folder: Path) -> None:
    """Write TYPE.ndjson, and TYPE-2.ndjson and so on where a type has many resources.

    Args:
        tables: those of the extract.
        folder: where the files go; made where it is absent.
    """
    from pipelines.simulate.forms import fhir_contacts, fhir_cultures, fhir_facts, fhir_people

    folder.mkdir(parents=True, exist_ok=True)
    written: list[tuple[str, Iterable[Resource]]] = [
        ("Organization", fhir_people.organizations(tables)),
        ("Location", fhir_people.locations(tables)),
        ("Patient", fhir_people.patients(tables)),
        ("EpisodeOfCare", fhir_contacts.episodes_of_care(tables)),
        ("Encounter", fhir_contacts.encounters(tables)),
        ("Condition", fhir_contacts.conditions(tables)),
        ("Procedure", fhir_contacts.procedures(tables)),
        ("MedicationAdministration", fhir_facts.administrations(tables)),
        ("Observation", fhir_facts.observations(tables)),
        ("ServiceRequest", fhir_cultures.requests(tables)),
        ("Specimen", fhir_cultures.specimens(tables)),
        ("Observation-cultures", fhir_cultures.observations(tables)),
        ("DiagnosticReport", fhir_cultures.reports(tables)),
    ]
    for name, resources in written:
        _write(folder, name, resources)


def _write(folder: Path, name: str, resources: Iterable[Resource]) -> None:
    import orjson

    with ExitStack() as stack:
        file = None
        for number, resource in enumerate(resources):
            if number % MOST_LINES == 0:
                stack.close()
                part = number // MOST_LINES
                path = folder / (f"{name}-{part + 1}.ndjson" if part else f"{name}.ndjson")
                file = stack.enter_context(path.open("wb"))
            if file is not None:
                file.write(orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE))
