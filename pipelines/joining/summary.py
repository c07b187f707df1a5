"""What a joined dataset says of itself and its sources: metadata, accounts, rejected rows, descriptions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from phenotype.trajectory import REJECTED
from pipelines.joining.account import JoinAccount
from pipelines.joining.parts import Source
from pipelines.joining.rule import JoinRule

_KEPT = ("ingest.json", "rejected.parquet", "metadata/dataset.json", "join.json")
_SHARED = ("key_fingerprint", "identity_policy", "dates", "nominal_anchor", "ids")


def keep_account(source: Source, folder: Path) -> None:
    """Copy what a source says of its own making into a folder of the join."""
    for name in _KEPT:
        file = source.dataset.path / name
        if file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / file.name)


def rejected_rows(sources: Sequence[Source]) -> pl.DataFrame:
    """The rejected rows of all sources, files under the source's name."""
    parts = [pl.DataFrame(schema=REJECTED)]
    for source in sources:
        file = source.dataset.path / "rejected.parquet"
        if file.exists():
            rows = pl.read_parquet(file, columns=REJECTED.names())
            parts.append(rows.with_columns(pl.format("{}/{}", pl.lit(source.name), "file").alias("file")))
    return pl.concat(parts)


def descriptions(sources: Sequence[Source]) -> pl.DataFrame:
    """What the sources say that codes mean: code, description."""
    schema = {"code": pl.String, "description": pl.String}
    files = [source.dataset.path / "metadata" / "codes.parquet" for source in sources]
    told = [
        pl.read_parquet(file).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
        for file in files
        if file.exists() and {"code", "description"} <= set(pl.read_parquet_schema(file))
    ]
    return pl.concat([pl.DataFrame(schema=schema), *told])


def account_of_files(sources: Sequence[Source], account: JoinAccount) -> dict[str, Any]:
    """The accounts of all files of all sources, files under the source's name."""
    files: list[dict[str, Any]] = []
    for source in sources:
        file = source.dataset.path / "ingest.json"
        told = json.loads(file.read_text("utf-8")) if file.exists() else {}
        files += [{**entry, "file": f"{source.name}/{entry['file']}"} for entry in told.get("files", ())]
    return {"mapping": "joined", "totals": account.content(), "files": files, "files_not_read": {}}


def metadata(sources: Sequence[Source], rule: JoinRule) -> dict[str, Any]:
    """What dataset.json says of the join."""
    first = sources[0].metadata
    told = [source.metadata for source in sources]
    names = dict.fromkeys(str(each.get("dataset_name", "dataset")) for each in told)
    shared = {key: first[key] for key in _SHARED if key in first}
    return {
        "dataset_name": "+".join(names),
        "dataset_version": "+".join(str(each.get("dataset_version") or "") for each in told),
        "license": "; ".join(sorted({str(each.get("license") or "") for each in told} - {""})),
        "title": "joined: " + "; ".join(str(each.get("title") or "") for each in told),
        "nominal_anchor": None,
        **shared,
        "id_spaces": sorted({space for each in told for space in each.get("id_spaces", ())}),
        "joined_from": [source.name for source in sources],
        "join_rule": rule.model_dump(mode="json"),
    }
