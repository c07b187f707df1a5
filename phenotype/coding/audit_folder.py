"""The tables of an audit on disk: what each maker found, and all of it together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from phenotype.coding.findings import FINDING_ITEMS, FINDING_REASONS, FINDINGS, Found

WriteFrame = Callable[[pl.DataFrame, Path], None]
_TABLES = {"findings": FINDINGS, "finding_items": FINDING_ITEMS, "finding_reasons": FINDING_REASONS}


@dataclass(frozen=True)
class AuditFolder:
    """The paths of one audit.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """audit.yaml, the resolved configuration."""
        return self.path / "audit.yaml"

    @property
    def manifest(self) -> Path:
        """manifest.json: digests of data, ontology, rules, measures and code; versions."""
        return self.path / "manifest.json"

    @property
    def account(self) -> Path:
        """account.json: what was and what could not be judged, priced or compared, counted."""
        return self.path / "account.json"

    @property
    def reviews(self) -> Path:
        """reviews/: the sheets that reviewers have answered, kept as they came."""
        return self.path / "reviews"

    def table(self, name: str) -> Path:
        """One table: findings, finding_items, finding_reasons, units, rule_coverage, cases, agreement."""
        return self.path / f"{name}.parquet"

    def work(self, *parts: str) -> Path:
        """A place for what a killed audit goes on from."""
        return self.path.joinpath("work", *parts)


def write_found(found: Found, folder: Path, write_frame: WriteFrame) -> None:
    """Write what was found as three tables, findings.parquet last: where it stands, all stand."""
    for name, table in (("finding_reasons", found.reasons), ("finding_items", found.items)):
        write_frame(table, folder / f"{name}.parquet")
    write_frame(found.findings, folder / "findings.parquet")


def read_found(folder: Path) -> Found:
    """What `write_found` wrote."""
    findings, items, reasons = (
        pl.read_parquet(folder / f"{name}.parquet").cast(schema) for name, schema in _TABLES.items()
    )
    return Found(findings, items, reasons)
