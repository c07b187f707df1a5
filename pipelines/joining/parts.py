"""The datasets to be joined: opened, of one project and one policy, in an order of their own."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ontology.errors import ConfigurationError, InputError, PestaError, Problem
from phenotype.trajectory import Dataset, open_dataset

LONGEST_NAME = 100
_NOT_IN_NAMES = re.compile("[^A-Za-z0-9+._-]")
"""What a dataset calls itself becomes the name of a folder."""


@dataclass(frozen=True)
class Source:
    """One dataset among those to be joined.

    Attributes:
        dataset: opened.
        name: what it is called in the joined dataset: its number and its own name.
    """

    dataset: Dataset
    name: str

    @property
    def metadata(self) -> dict[str, Any]:
        """Its dataset.json."""
        return self.dataset.metadata


def open_sources(paths: Sequence[Path]) -> list[Source]:
    """The datasets in an order that does not depend on the order given: by name, account and metadata.

    Raises:
        InputError: datasets that cannot be opened, all at once.
        ConfigurationError: fewer than two, or other keys, policies or calendars.
    """
    problems: list[Problem] = []
    datasets = []
    for path in paths:
        try:
            datasets.append(open_dataset(path))
        except PestaError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    if len({dataset.path.resolve() for dataset in datasets}) < 2:
        raise ConfigurationError(
            Problem("nothing to join", found=f"{len(datasets)} dataset", allowed="two datasets or more")
        )
    datasets.sort(key=_order)
    _check_alike(datasets)
    names = [str(dataset.metadata.get("dataset_name", "dataset")) for dataset in datasets]
    return [
        Source(dataset, f"{number}-{_NOT_IN_NAMES.sub('-', name)[:LONGEST_NAME]}")
        for number, (dataset, name) in enumerate(zip(datasets, names, strict=True), start=1)
    ]


def _order(dataset: Dataset) -> tuple[str, str]:
    files = [dataset.path / "ingest.json", dataset.path / "metadata" / "dataset.json"]
    content = b"\0".join(file.read_bytes() if file.exists() else b"" for file in files)
    return str(dataset.metadata.get("dataset_name", "")), hashlib.sha256(content).hexdigest()


def _check_alike(datasets: Sequence[Dataset]) -> None:
    """Every way in which the datasets do not belong together."""
    problems = []
    for key, what, advice in (
        ("key_fingerprint", "datasets of different keys", "ingest them with one key (--key)"),
        ("identity_policy", "datasets of different identity policies", "ingest them with one policy"),
        ("ids", "ids that were kept beside pseudonyms", "ingest all with --keep-ids, or none"),
        ("nominal_anchor", "true dates and times relative to a nominal anchor", "join datasets of one kind"),
    ):
        found = {json.dumps(dataset.metadata.get(key), sort_keys=True) for dataset in datasets}
        if len(found) > 1 or (key == "key_fingerprint" and found == {"null"}):
            problems.append(
                Problem(
                    what,
                    f"metadata/dataset.json: {key}",
                    ", ".join(sorted(found)),
                    "the same in all datasets",
                    advice,
                )
            )
    clocks = {clock for dataset in datasets if (clock := dataset.metadata.get("clock"))}
    if len(clocks) > 1:
        problems.append(
            Problem(
                "times in UTC beside times as they were written: one instant would be two",
                "metadata/dataset.json: clock",
                ", ".join(sorted(clocks)),
                "one clock",
                "name the zone of local times in the mapping, or give the option `clock` of FHIR the zone",
            )
        )
    spaces = {space for dataset in datasets for space in dataset.metadata.get("id_spaces", ())}
    if datasets[0].metadata.get("ids") and len(spaces) > 1:
        problems.append(
            Problem(
                "ids that were kept, of several id spaces: one number would be several persons",
                "metadata/dataset.json: id_spaces",
                ", ".join(sorted(spaces)),
                "one id space",
                "ingest without --keep-ids, or give the mappings one id_space where their ids are the same",
            )
        )
    if problems:
        raise ConfigurationError(problems)
