"""Small hand-written resources: as a batch, as tables, and as a dataset by the shipped mapping."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phenotype.checking import check_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.fhir.batch import Batch, Resource
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.projection import project
from pipelines.sources.fhir.references import Resolver
from pipelines.sources.mapping import Mapping, load_mapping

Tables = Callable[..., dict[str, pl.DataFrame]]
Ingested = Callable[..., "Result"]


def batch_of(resources: list[Resource], **options: Any) -> Batch:
    """Resources of one type, numbered from 1."""
    chosen = FhirOptions(**options)
    count = len(resources)
    kind = resources[0]["resourceType"]
    return Batch(
        resource_type=kind,
        resources=resources,
        rows=list(range(1, count + 1)),
        names=[f"{kind}/{resource.get('id', number)}" for number, resource in enumerate(resources)],
        full_urls=[None] * count,
        containers=[None] * count,
        scopes=None,
        resolver=Resolver(chosen),
        options=chosen,
    )


@dataclass(frozen=True)
class Result:
    """What resources became.

    Attributes:
        events: with what was sent for each, in the canonical order.
        contacts, codings: as in the dataset.
        account: ingest.json.
    """

    events: pl.DataFrame
    contacts: pl.DataFrame
    codings: pl.DataFrame
    account: dict[str, Any]

    def facts(self, *columns: str) -> list[tuple[Any, ...]]:
        """Some columns of the events, sorted."""
        return sorted(self.events.select(columns).rows(), key=repr)

    def fates(self, kind: str) -> dict[str, int]:
        """How many records were ignored or rejected, by reason; or fields rejected."""
        found: dict[str, int] = {}
        for file in self.account["files"]:
            for reason, count in file[kind].items():
                found[reason] = found.get(reason, 0) + count
        return found


@pytest.fixture
def tables() -> Tables:
    """Makes the tables of resources of one type."""
    return lambda *resources, **options: project(batch_of(list(resources), **options))


@pytest.fixture
def ingested(tmp_path: Path) -> Ingested:
    """Makes a dataset of resources by the shipped mapping."""

    def make(*resources: Resource, mapping: Mapping | None = None, **kept: Any) -> Result:
        source = tmp_path / "source"
        source.mkdir()
        lines = [json.dumps(resource, ensure_ascii=False) for resource in resources]
        (source / "all.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
        out = tmp_path / "out"
        ingest(mapping or load_mapping("fhir-r4"), source, out, max_reject_share=1.0, n_workers=1, **kept)
        assert check_dataset(out) == []
        events = pl.concat([pl.read_parquet(path) for path in sorted((out / "data").rglob("*.parquet"))])
        lineage = pl.read_parquet(out / "lineage.parquet").drop("source", "file")
        return Result(
            events.join(lineage, on="lineage_id", how="left", maintain_order="left"),
            pl.read_parquet(out / "contacts.parquet"),
            pl.read_parquet(out / "codings.parquet"),
            json.loads((out / "ingest.json").read_text("utf-8")),
        )

    return make
