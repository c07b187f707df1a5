"""Where everything of one run lies, and how files get there: written beside and moved into place."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import ConfigurationError, Problem

HELD_OUT = "held_out"
TUNING = "tuning"
TRAIN = "train"
LOCK = ".lock"
UNFINISHED = (".*.parquet.[0-9]*", ".*.json.[0-9]*", ".*.yaml.[0-9]*", ".*.writing", ".report.[0-9]*")
"""Names under which files, bundles and the report are written before they are moved into place."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run.

    Attributes:
        path: the folder.
        n_folds: how many outer folds the run has; with more than one, split files carry the fold's number.
    """

    path: Path
    n_folds: int = 1

    @property
    def config(self) -> Path:
        """run.yaml, the resolved configuration."""
        return self.path / "run.yaml"

    @property
    def manifest(self) -> Path:
        """manifest.json: digests, versions, seeds."""
        return self.path / "manifest.json"

    @property
    def metrics(self) -> Path:
        """metrics.json of all tasks."""
        return self.path / "metrics.json"

    @property
    def splits(self) -> Path:
        """splits.parquet: subject_id, prediction_time, split, fold."""
        return self.path / "splits.parquet"

    @property
    def risks(self) -> Path:
        """risks.parquet: held-out risks by model and horizon."""
        return self.path / "risks.parquet"

    @property
    def explanations(self) -> Path:
        """explanations.parquet of all explained rows."""
        return self.path / "explanations.parquet"

    @property
    def phenotypes(self) -> Path:
        """phenotypes.parquet, where the run asks for any."""
        return self.path / "phenotypes.parquet"

    def outcomes(self, task: str) -> Path:
        """outcomes/TASK.parquet."""
        return self.path / "outcomes" / f"{task}.parquet"

    def attrition(self, task: str) -> Path:
        """attrition/TASK.parquet."""
        return self.path / "attrition" / f"{task}.parquet"

    def labels(self, task: str, fold: int = 0) -> Path:
        """labels/TASK.parquet; a fitted threshold makes labels differ by fold."""
        return self.path / "labels" / f"{self._numbered(task, fold)}.parquet"

    def predictions(self, task: str, model: str, split: str, fold: int = 0) -> Path:
        """predictions/TASK/MODEL/SPLIT.parquet."""
        return self.path / "predictions" / task / model / f"{self._numbered(split, fold)}.parquet"

    def bundle(self, task: str, model: str, fold: int = 0) -> Path:
        """bundle/TASK/MODEL, the model as a plain folder."""
        return self.path / "bundle" / task / self._numbered(model, fold)

    def cost(self, task: str, model: str, fold: int = 0) -> Path:
        """costs/TASK/MODEL.json: what the fit took."""
        return self.path / "costs" / task / f"{self._numbered(model, fold)}.json"

    def search(self, task: str, model: str, fold: int = 0) -> Path:
        """search/TASK/MODEL: the trials of a search over the model's settings, and the best."""
        return self.path / "search" / task / self._numbered(model, fold)

    def epochs(self, task: str, model: str, fold: int = 0) -> Path:
        """epochs/TASK/MODEL.json: [epoch, tuning measure] of a model that trains in epochs."""
        return self.path / "epochs" / task / f"{self._numbered(model, fold)}.json"

    def work(self, *parts: str) -> Path:
        """A place for what a killed run goes on from: checkpoints, metrics of one fold."""
        return self.path.joinpath("work", *parts)

    def _numbered(self, name: str, fold: int) -> str:
        return name if self.n_folds == 1 else f"{name}_{fold}"

    def sweep(self) -> None:
        """Remove what a killed process was writing; only for whoever holds the folder."""
        for pattern in UNFINISHED:
            for entry in list(self.path.rglob(pattern)):
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder held for one process: another that asks meanwhile is refused, not left to interfere.

        The system lets go when the process ends, however it ends.

        Raises:
            ConfigurationError: another process works in this folder.
        """
        with (self.path / LOCK).open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigurationError(
                    Problem(
                        "another process is working in this run folder",
                        where=str(self.path),
                        allowed="one process at a time",
                        next_step="wait until it has ended, or give another --out",
                    )
                ) from None
            except OSError:
                logger.warning("this file system keeps no locks: start no second run in this folder")
            yield


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as Parquet so that the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    frame.write_parquet(beside)
    beside.replace(path)


def write_text(text: str, path: Path) -> None:
    """Write a text so that the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, "utf-8")
    beside.replace(path)


def write_json(content: object, path: Path) -> None:
    """Write JSON (no NaN: a figure that cannot be had is null) so that the file is whole or absent."""
    write_text(json.dumps(content, indent=1, allow_nan=False, default=str), path)


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text("utf-8"))
