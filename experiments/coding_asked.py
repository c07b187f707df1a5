"""What expectations learn and answer: stays, groups, folds of patients, and the view that may be read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.coding_trees import Answers
from experiments.split_config import FoldsSplit
from experiments.splits import HELD_OUT, TRAIN, TUNING, make_splits
from ontology.errors import ConfigurationError, Problem
from ontology.terminology import Ontology
from phenotype.cases import Cases
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.expected.circumstances import Circumstances
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.groups import CodedGroups, all_stays, coded_groups
from phenotype.coding.expected.view import held_back_prefixes, write_view
from phenotype.feature_matrix import FeatureMatrix
from phenotype.trajectory import Dataset

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FORMAT = 1
"""Raised where the same data and settings give other answers than before."""


@dataclass(frozen=True)
class Asked:
    """What is learnt and asked: stays, groups, folds, and the view that may be read.

    Attributes:
        groups: stays x groups.
        row: (n,) the prediction row of each stay; stays of a patient that end together share one.
        cases: the prediction rows over the view.
        folds: of each fold the numbers of training, tuning and held-out stays.
        history: beginnings of the codes of diagnoses.
        place: where all of it is kept.
        circumstances: what may not explain a coding.
    """

    groups: CodedGroups
    row: Ints
    cases: Cases
    folds: tuple[tuple[Ints, Ints, Ints], ...]
    history: tuple[str, ...]
    place: Path
    circumstances: Circumstances

    def answers(self) -> list[Answers]:
        """Of each group: is it the main condition; if not, is it another one; if coded, is it specific."""
        main, coded, specific = self.groups.main, self.groups.coded, self.groups.specific
        everybody = np.ones(len(main), dtype=bool)
        mains = [Answers(main[:, number], everybody) for number in range(main.shape[1])]
        others = [
            Answers(coded[:, number] & ~main[:, number], ~main[:, number]) for number in range(main.shape[1])
        ]
        detail = [Answers(specific[:, number], coded[:, number]) for number in range(main.shape[1])]
        return [*mains, *others, *detail]

    def features(self, config: ExpectedConfig) -> FeatureMatrix:
        """The features of the stays, in their order."""
        spec = config.features.model_copy(update={"exclude": config.exclude})
        return self.cases.features(spec).take_rows(self.row)


def ask(
    dataset: Dataset, record: CodedRecord, config: ExpectedConfig, folder: Path, ontology: Ontology
) -> Asked:
    """Stays, groups, folds and view; arguments as `train_expected`."""
    groups = coded_groups(record, config, ontology)
    prefixes = held_back_prefixes(dataset.codings(), config.held_back)
    circumstances = Circumstances.load(config.circumstances)
    history = (*prefixes, *(f"{system}//" for system in config.groups.levels))
    codes = dataset.events().select(pl.col("code").unique()).collect(engine="in-memory")["code"]
    diagnoses = (*held_back_prefixes(dataset.codings(), ()), *history[len(prefixes) :])
    unread = circumstances.unread(codes, names_of(dataset), diagnoses)
    place = folder / _digest(dataset, config, ontology, unread)
    view = write_view(
        dataset,
        record.contacts,
        all_stays(record),
        prefixes,
        dict(config.groups.levels),
        ontology,
        place / "view",
        unread=unread,
    )
    keys = groups.stays.select("subject_id", "prediction_time")
    rows = keys.unique().sort("subject_id", "prediction_time")
    row = keys.join(rows.with_row_index("row"), on=keys.columns, how="left", maintain_order="left")["row"]
    return Asked(
        groups,
        row.to_numpy().astype(np.int64),
        Cases(view, rows.with_columns(contact_id=pl.lit(None, pl.Int64))),
        _folds(keys, view, config),
        history,
        place,
        circumstances,
    )


def names_of(dataset: Dataset) -> dict[str, str]:
    """What the dataset calls its codes."""
    file = dataset.path / "metadata" / "codes.parquet"
    if not file.exists():
        return {}
    told = pl.read_parquet(file, columns=["code", "description"]).drop_nulls()
    return dict(told.iter_rows())


def _folds(keys: pl.DataFrame, view: Dataset, config: ExpectedConfig) -> tuple[tuple[Ints, Ints, Ints], ...]:
    """Of each fold the numbers of its stays by split; patients stand in one split."""
    if keys["subject_id"].n_unique() < config.n_folds:
        raise ConfigurationError(
            Problem(
                "fewer patients with coded stays than folds",
                where="n_folds",
                found=f"{keys['subject_id'].n_unique()} patients, {config.n_folds} folds",
                allowed="at least one patient a fold",
                next_step="ask for fewer folds, or leave expectations out of the audit",
            )
        )
    split = FoldsSplit(
        kind="folds", n_folds=config.n_folds, tuning_fraction=config.tuning_fraction, seed=config.seed
    )
    people = (
        keys.select("subject_id")
        .unique()
        .sort("subject_id")
        .with_columns(prediction_time=pl.lit(0).cast(keys.schema["prediction_time"]))
    )
    splits = make_splits(people, view, split)
    numbered = keys.select("subject_id").with_row_index("row")
    found = []
    for fold in range(config.n_folds):
        named = splits.filter(pl.col("fold") == fold).select("subject_id", "split")
        of_fold = numbered.join(named, on="subject_id", how="inner").sort("row")
        parts = [
            of_fold.filter(pl.col("split") == name)["row"].to_numpy().astype(np.int64)
            for name in (TRAIN, TUNING, HELD_OUT)
        ]
        found.append((parts[0], parts[1], parts[2]))
    return tuple(found)


def save_array(file: Path, array: Floats) -> None:
    """Writes an array whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, array)
    part.replace(file)


def _digest(dataset: Dataset, config: ExpectedConfig, ontology: Ontology, unread: tuple[str, ...]) -> str:
    """A name for what expectations depend on; files are known by name, size and time of change.

    What may not explain a coding counts by the codes that are left out for it: where there are none, nothing
    depends on it.
    """
    total = hashlib.sha256(f"{FORMAT} {ontology.digest}".encode())
    settings = config.model_dump(mode="json", exclude={"findings", "noise", "network", "circumstances"})
    total.update(json.dumps(settings, sort_keys=True).encode())
    total.update("".join(f"not read: {code}\n" for code in unread).encode())
    files = [*dataset.shards, *(dataset.path / f"{name}.parquet" for name in ("contacts", "codings"))]
    for file in files:
        told = file.stat() if file.exists() else None
        total.update(f"{file.name} {(told.st_size, told.st_mtime_ns) if told else None}\n".encode())
    return total.hexdigest()[:16]
