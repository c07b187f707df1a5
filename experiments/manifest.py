"""What a run was made of: digests of data, ontology and code, versions and seeds."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.config import RunConfig
from ontology.errors import Problem
from ontology.labels import labels_digest
from ontology.release import active_ontology
from phenotype.definitions.text import Definition
from phenotype.networks.population_folder import folder_digest
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
        pretrained_digests (by model, of the bodies that it may start from), code_digest, versions, seed,
        and outer_folds_scored (how often held-out rows were judged: 0 so far).

    Raises:
        BundleError: a pretrained body is not there, or damaged.
    """
    return {
        "format": 1,
        "run": config.name,
        **run_digests(dataset, tasks, definitions),
        "labels_digest": labels_digest(),
        "pretrained_digests": _body_digests(config),
        "versions": {"python": platform.python_version(), "pesta": version("pesta")}
        | {name: version(name) for name in LIBRARIES},
        "seed": config.seed,
        "outer_folds_scored": 0,
    }


def run_digests(
    dataset: Dataset, tasks: Sequence[Task], definitions: Sequence[Definition] = ()
) -> dict[str, Any]:
    """What must be as it was when a run goes on: data, tasks, phenotypes, ontology and code."""
    return {
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
        "code_digest": code_digest(),
    }


def _tasks_digest(tasks: Sequence[Task]) -> str:
    return hashlib.sha256("\n".join(task.model_dump_json() for task in tasks).encode()).hexdigest()


def _phenotypes_digest(definitions: Sequence[Definition]) -> str | None:
    digests = [f"{definition.name} {definition.digest}" for definition in definitions]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else None


def _body_digests(config: RunConfig) -> dict[str, list[str]]:
    named = {name: config.bodies(name) for name in config.models}
    return {name: [folder_digest(place) for place in places] for name, places in named.items() if places}


def exchanged_bodies(config: RunConfig, manifest: Mapping[str, Any]) -> list[Problem]:
    """Pretrained bodies that are others than when a run began.

    One that is gone is none of them: what was fitted needs it no more, and a fit that does will tell.

    Args:
        config: the run's.
        manifest: as `make_manifest` made it when the run began.
    """
    begun = manifest.get("pretrained_digests", {})
    return [
        Problem(
            "a pretrained model was exchanged since this run began",
            where=f"models.{name}: {place}",
            found="another digest than manifest.json names",
            allowed="the pretrained model that the run's first fits began from",
            next_step="put that model back, or run into a new folder",
        )
        for name, digests in begun.items()
        for place, digest in zip(config.bodies(name), digests, strict=True)
        if place.exists() and folder_digest(place) != digest
    ]


def code_digest() -> str:
    """The sha256 of Pesta's own code and shipped configuration, file names and bytes in name order."""
    root = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in {".py", ".yaml", ".csv", ".html", ".css"} and file.is_file():
                total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()
