"""A trained model as a plain folder: safetensors, text, parquet and JSON with digests; never a pickle.

A bundle holds `model.json` (format number, kind, the model's configuration, the sha256 of every other file
and of itself), `task.json`, `calibrator.json`, `thresholds.json`, `cohort.json`, `card.json` and the model's
own files.
Loading runs no code from the folder: a file that is not listed, has another digest, or looks like a pickle is
refused before anything is parsed.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from phenotype.bundle_guard import (
    FILE_NAME,
    FORMAT,
    FORMAT_NUMBER,
    MANIFEST,
    check_files,
    manifest_digest,
    migrate,
    read_json,
    read_manifest,
    refusal,
    sha256,
)
from phenotype.calibration import Calibrator
from phenotype.cohort import RiskCohort
from phenotype.predictor import BundleParts, Model, model_class

__all__ = ["Bundle", "BundleInfo", "BundleParts", "load_bundle", "save_bundle"]

TENSORS = "tensors.safetensors"


@dataclass(frozen=True)
class BundleInfo:
    """What a bundle says about itself.

    Attributes:
        kind: kind of model.
        format_number: of the files as found.
        pesta_version: that wrote it.
        digest: sha256 of the manifest, which names the digest of every file: the bundle's identity.
        thresholds: decision thresholds chosen on tuning data, by name, and the task's fitted threshold.
        card: the model card.
        cohort: the risks that a patient's risk is compared with; None where none were saved.
        migrations: names of the migrations applied on loading.
    """

    kind: str
    format_number: int
    pesta_version: str
    digest: str
    thresholds: dict[str, Any]
    card: dict[str, Any]
    cohort: RiskCohort | None
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle: all that scoring needs.

    Attributes:
        model: the model, uncalibrated.
        calibrator: fitted on the run's tuning rows.
        task: the task as JSON.
        info: the rest.
    """

    model: Model
    calibrator: Calibrator
    task: dict[str, Any]
    info: BundleInfo


def save_bundle(
    folder: Path,
    model: Model,
    *,
    task: Mapping[str, Any],
    calibrator: Calibrator,
    thresholds: Mapping[str, Any],
    card: Mapping[str, Any],
    cohort: RiskCohort | None = None,
) -> Path:
    """Writes a bundle beside its place and moves it in whole; a bundle that stood there is replaced.

    Args:
        folder: where the bundle shall be.
        model: the fitted model.
        task: the task as JSON (`task.model_dump(mode="json")`).
        calibrator: fitted on tuning rows.
        thresholds: by name, chosen on tuning rows.
        card: the model card as JSON.
        cohort: the risks that a patient's risk is compared with.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.writing")
    written.mkdir()
    try:
        parts = model.parts()
        documents = {
            "task": dict(task),
            "calibrator": calibrator.model_dump(mode="json"),
            "thresholds": dict(thresholds),
            "card": dict(card),
            "cohort": cohort.model_dump(mode="json") if cohort else {},
        }
        _write_files(written, parts, documents)
        manifest = {
            "format": FORMAT,
            "format_number": FORMAT_NUMBER,
            "kind": model.kind,
            "pesta_version": version("pesta"),
            "config": parts.config,
            "files": {file.name: sha256(file.read_bytes()) for file in sorted(written.iterdir())},
        }
        _write_json(written / MANIFEST, manifest | {"digest": manifest_digest(manifest)})
        _move_into_place(written, folder)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return folder


def load_bundle(folder: Path) -> Bundle:
    """A bundle whose every file is as it was written.

    Raises:
        BundleError: no bundle here, a damaged, foreign or missing file, a pickle, or a format number or
            kind that this version does not know; every problem found is told.
    """
    folder = Path(folder)
    found = read_manifest(folder)
    check_files(folder, found["files"])
    manifest, migrations = migrate(found)
    documents = {
        name: read_json(folder / f"{name}.json") for name in ("task", "calibrator", "thresholds", "card")
    }
    cohort = read_json(folder / "cohort.json")
    try:
        model = model_class(manifest["kind"]).from_parts(_read_parts(folder, manifest))
        calibrator = Calibrator.model_validate(documents["calibrator"])
        risk_cohort = RiskCohort.model_validate(cohort) if cohort else None
    except (KeyError, TypeError, ValueError) as error:
        raise refusal(folder, "the model's parts do not fit together", found=type(error).__name__) from error
    info = BundleInfo(
        kind=manifest["kind"],
        format_number=found["format_number"],
        pesta_version=str(manifest["pesta_version"]),
        digest=found["digest"],
        thresholds=documents["thresholds"],
        card=documents["card"],
        cohort=risk_cohort,
        migrations=migrations,
    )
    return Bundle(model, calibrator, documents["task"], info)


def _write_files(folder: Path, parts: BundleParts, documents: Mapping[str, Any]) -> None:
    if parts.tensors:
        import numpy as np
        from safetensors.numpy import save_file

        save_file(
            {name: np.ascontiguousarray(tensor) for name, tensor in parts.tensors.items()}, folder / TENSORS
        )
    for name, text in parts.texts.items():
        (folder / _checked_name(f"{name}.txt")).write_text(text, "utf-8", newline="\n")
    for name, table in parts.tables.items():
        table.write_parquet(folder / _checked_name(f"{name}.parquet"))
    for name, document in documents.items():
        _write_json(folder / f"{name}.json", document)


def _checked_name(name: str) -> str:
    if not FILE_NAME.fullmatch(name):
        raise ValueError(f"a bundle's file name must match {FILE_NAME.pattern}, found {name!r}")
    return name


def _write_json(file: Path, document: Any) -> None:
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _move_into_place(written: Path, folder: Path) -> None:
    """Swaps the finished folder in; what stood there is set aside first: a reader never sees a mixture."""
    if not folder.exists():
        written.rename(folder)
        return
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.old")
    folder.rename(aside)
    written.rename(folder)
    shutil.rmtree(aside)


def _read_parts(folder: Path, manifest: Mapping[str, Any]) -> BundleParts:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    names = sorted(manifest["files"])
    try:
        tensors = load_file(folder / TENSORS) if TENSORS in names else {}
        tables = {
            Path(name).stem: pl.read_parquet(folder / name) for name in names if name.endswith(".parquet")
        }
    except (SafetensorError, pl.exceptions.PolarsError) as error:
        raise refusal(
            folder, "a file of the bundle is not what its name says", found=type(error).__name__
        ) from error
    texts = {Path(name).stem: (folder / name).read_text("utf-8") for name in names if name.endswith(".txt")}
    return BundleParts(dict(manifest["config"]), tensors, texts, tables)
