"""A pretrained model as a plain folder: safetensors, parquet and JSON with digests; never a pickle.

It is guarded as a bundle is (`phenotype.bundle_guard`), but is none: it answers no task by itself. Beside the
weights lie the vocabulary, the concepts that it foretells, and the ids of the subjects that it has seen.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ontology.errors import BundleError, ConfigurationError, Problem
from phenotype.bundle_guard import MANIFEST, check_files, manifest_digest, read_json, refusal, sha256
from phenotype.predictor import BundleParts

FORMAT = "pesta-population"
FORMAT_NUMBER = 1
TENSORS = "tensors.safetensors"
TABLES = ("concepts", "subjects", "vocabulary")
AGAIN = "copy the folder again from where it was made, or pretrain again"


def write_folder(folder: Path, parts: BundleParts, card: Mapping[str, Any]) -> Path:
    """Writes a pretrained model beside its place and moves it in whole; what stood there is replaced.

    Args:
        folder: where it shall be.
        parts: configuration, tensors and the tables TABLES.
        card: how it was made, as JSON.

    Returns:
        The folder.

    Raises:
        ConfigurationError: something else stands there.
    """
    from safetensors.numpy import save_file

    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.writing")
    written.mkdir()
    try:
        save_file({name: np.ascontiguousarray(one) for name, one in parts.tensors.items()}, written / TENSORS)
        for name in TABLES:
            parts.tables[name].write_parquet(written / f"{name}.parquet")
        _write_json(written / "card.json", dict(card))
        manifest = {
            "format": FORMAT,
            "format_number": FORMAT_NUMBER,
            "pesta_version": version("pesta"),
            "config": parts.config,
            "files": {file.name: sha256(file.read_bytes()) for file in sorted(written.iterdir())},
        }
        _write_json(written / MANIFEST, manifest | {"digest": manifest_digest(manifest)})
        if folder.exists():
            aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.old")
            folder.rename(aside)
            written.rename(folder)
            shutil.rmtree(aside)
        else:
            written.rename(folder)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return folder


def check_place(folder: Path) -> None:
    """Refuses a place where something else than a pretrained model stands: writing would remove it.

    Raises:
        ConfigurationError: a file, or a folder that holds other things.
    """
    if not folder.exists() or (folder.is_dir() and _holds_model_or_nothing(folder)):
        return
    raise ConfigurationError(
        Problem(
            "something else than a pretrained model is here, and would be replaced",
            where=str(folder),
            found=f"a folder without a pretrained model's {MANIFEST}" if folder.is_dir() else "a file",
            allowed="a new or empty folder, or one that `pesta pretrain` wrote",
            next_step="give another --out",
        )
    )


def _holds_model_or_nothing(folder: Path) -> bool:
    """Whether a folder may be replaced: empty, or with nothing beside what a pretrained model has."""
    entries = {entry.name for entry in folder.iterdir()}
    own = {MANIFEST, TENSORS, "card.json", *(f"{name}.parquet" for name in TABLES)}
    return not entries or (MANIFEST in entries and entries <= own)


def read_folder(folder: Path) -> tuple[BundleParts, str]:
    """The parts of a pretrained model whose every file is as it was written, and its digest.

    Raises:
        BundleError: no such folder, or files that are damaged, foreign or missing; every problem is told.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    manifest = _manifest(folder)
    check_files(folder, manifest["files"])
    try:
        tensors = load_file(folder / TENSORS)
        tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in TABLES}
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise refusal(
            folder, "a file is not what its name says", found=type(error).__name__, do=AGAIN
        ) from error
    return BundleParts(dict(manifest["config"]), tensors, tables=tables), str(manifest["digest"])


def folder_digest(folder: Path) -> str:
    """The digest that a pretrained model's folder states of itself.

    Raises:
        BundleError: no such folder, or one whose manifest is damaged or foreign.
    """
    return str(_manifest(folder)["digest"])


def refused_parts(folder: Path, error: Exception) -> BundleError:
    """The error for parts that were read and make no model."""
    return refusal(folder, "the model's parts do not fit together", found=type(error).__name__, do=AGAIN)


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not file.is_file():
        found = f"a folder without {MANIFEST}" if folder.is_dir() else "no such folder"
        allowed = "a folder that `pesta pretrain` wrote"
        raise refusal(folder, "no pretrained model here", found=found, allowed=allowed, do="check the path")
    manifest = read_json(file)
    if manifest.get("format") != FORMAT:
        found = f"format {manifest.get('format')!r}"
        raise refusal(file, "not a pretrained model", found=found, allowed=FORMAT, do="check the path")
    if manifest.get("format_number") != FORMAT_NUMBER:
        found = f"format number {manifest.get('format_number')!r}"
        what = "a format that this version cannot read"
        raise refusal(file, what, found=found, allowed=str(FORMAT_NUMBER), do="pretrain again")
    if manifest.get("digest") != manifest_digest(manifest) or not isinstance(manifest.get("files"), dict):
        raise refusal(file, "the manifest was changed", found="another digest than it states", do=AGAIN)
    return manifest


def _write_json(file: Path, document: Any) -> None:
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
