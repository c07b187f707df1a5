"""The parts of an audit, each kept when it is whole, so that a killed audit goes on where it stood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from experiments.run_folder import read_json, write_frame, write_json
from phenotype.coding.audit_folder import AuditFolder, read_found, write_found
from phenotype.coding.findings import Found
from pipelines.progress import Progress


@dataclass(frozen=True)
class Part:
    """What one part of an audit came to.

    Attributes:
        found: its findings.
        tables: further tables by name.
        told: further content that JSON holds, by name.
    """

    found: Found = field(default_factory=Found.nothing)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


def kept(folder: AuditFolder, name: str, progress: Progress, make: Callable[[], Part]) -> Part:
    """A part as it was kept, or made now and kept.

    Args:
        folder: the audit's.
        name: of the part.
        progress: where it is told.
        make: makes it.
    """
    place = folder.work(name)
    if not (place / "findings.parquet").exists():
        with progress.step(name.replace("_", " ")):
            part = make()
        for table, frame in part.tables.items():
            write_frame(frame, place / "tables" / f"{table}.parquet")
        write_json(part.told, place / "told.json")
        write_found(part.found, place, write_frame)
    tables = {file.stem: pl.read_parquet(file) for file in sorted((place / "tables").glob("*.parquet"))}
    return Part(read_found(place), tables, read_json(place / "told.json"))
