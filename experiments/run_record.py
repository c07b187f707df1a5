"""What a finished run says of itself: its configuration, manifest and metrics."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILES = ("run.yaml", "manifest.json", "metrics.json")


@dataclass(frozen=True)
class RunRecord:
    """The three files of a run folder that say what was done and what came of it.

    Attributes:
        config: run.yaml.
        manifest: manifest.json.
        metrics: metrics.json.
        digest: sha256 of the three files.
    """

    config: dict[str, Any]
    manifest: dict[str, Any]
    metrics: dict[str, Any]
    digest: str


def read_run_record(run_folder: Path) -> RunRecord:
    """The record of a finished run."""
    contents = {name: (Path(run_folder) / name).read_bytes() for name in FILES}
    return RunRecord(
        yaml.safe_load(contents["run.yaml"]),
        json.loads(contents["manifest.json"]),
        json.loads(contents["metrics.json"]),
        hashlib.sha256(b"\0".join(contents.values())).hexdigest(),
    )
