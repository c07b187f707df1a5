"""What a run was made of: digests of data, ontology and code, versions and seeds."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.config import RunConfig
from ontology.labels import labels_digest
from ontology.release import active_ontology
from phenotype.definitions.text import Definition
from phenotype.tasks import Task
from phenotype.trajectory import Dataset

PACKAGES = ("ontology", "phenotype", "experiments", "pipelines", "configs")
LIBRARIES = ("polars", "numpy", "scipy", "scikit-learn", "lightgbm", "torch", "lightning", "meds", "pyarrow")


def make_manifest(
    config: RunConfig, dataset: Dataset, tasks: Sequence[Task], definitions: Sequence[Definition] = ()
) -> dict[str, Any]:
    """The manifest of a run before it starts.

    Args:
        config: the run.
        dataset: its data.
        tasks: what it asks, whose files may lie outside Pesta.
        definitions: the phenotypes that it derives.

    Returns:
        run, dataset (name, digest), tasks_digest, phenotypes_digest, ontology_digest, labels_digest,
        code_digest, versions, seed, and outer_folds_scored (how often held-out rows were judged: 0 so far).
    """
    return {
        "format": 1,
        "run": config.name,
        "dataset": {
            "name": dataset.metadata.get("dataset_name"),
            "version": dataset.metadata.get("dataset_version"),
            "nominal_anchor": dataset.metadata.get("nominal_anchor"),
            "dates": dataset.metadata.get("dates"),
            "digest": dataset.digest,
        },
        "tasks_digest": _tasks_digest(tasks),
        "phenotypes_digest": _phenotypes_digest(definitions),
        "ontology_digest": active_ontology().digest,
        "labels_digest": labels_digest(),
        "code_digest": code_digest(),
        "versions": {"python": platform.python_version(), "pesta": version("pesta")}
        | {name: version(name) for name in LIBRARIES},
        "seed": config.seed,
        "outer_folds_scored": 0,
    }


def _tasks_digest(tasks: Sequence[Task]) -> str:
    return hashlib.sha256("\n".join(task.model_dump_json() for task in tasks).encode()).hexdigest()


def _phenotypes_digest(definitions: Sequence[Definition]) -> str | None:
    digests = [f"{definition.name} {definition.digest}" for definition in definitions]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else None


def code_digest() -> str:
    """The sha256 of Pesta's own code and shipped configuration, file names and bytes in name order."""
    root = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in {".py", ".yaml", ".csv", ".html", ".css"} and file.is_file():
                total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()
