"""Out-of-fold expectations of every group of codes: what a stay should be coded with, by all but its codes.

Everything is kept in a folder and taken up there: the view, each fold's models and answers.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.coding_hindsight import Neighbours, neighbours_of, with_hindsight
from experiments.coding_trees import Answers, TreesOfFold, fit_trees
from experiments.split_config import FoldsSplit
from experiments.splits import HELD_OUT, TRAIN, TUNING, make_splits
from ontology.errors import ConfigurationError, Problem
from ontology.terminology import Ontology
from phenotype.calibration import MIN_OUTCOMES, fit_calibrator
from phenotype.cases import Cases
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.expected import EXPECTED
from phenotype.coding.expected_config import ExpectedConfig
from phenotype.coding.expected_groups import CodedGroups, all_stays, coded_groups, grouped_codes
from phenotype.coding.expected_view import held_back_prefixes, write_view
from phenotype.feature_matrix import FeatureMatrix
from phenotype.link import logit, sigmoid
from phenotype.trajectory import Dataset

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TREES, NETWORK = "trees", "network"
FORMAT = 1
"""Raised where the same data and settings give other expectations than before."""


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
    """

    groups: CodedGroups
    row: Ints
    cases: Cases
    folds: tuple[tuple[Ints, Ints, Ints], ...]
    history: tuple[str, ...]
    place: Path

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


def train_expected(
    dataset: Dataset, record: CodedRecord, config: ExpectedConfig, folder: Path, ontology: Ontology
) -> pl.DataFrame:
    """The calibrated probability, out of fold by patient, that each judged stay is coded with each group.

    Args:
        dataset: whose trajectories are read, own codes held back.
        record: the same dataset's coded record.
        config: the settings.
        folder: for the view, the models and their answers; with the same data and settings they are taken up.
        ontology: which group a code belongs to.

    Returns:
        Columns of EXPECTED, sorted by stay_id and concept; equal arguments give equal bytes.

    Raises:
        InputError: no contacts, no diagnoses, no group coded often enough.
        ConfigurationError: fewer patients than folds.
        TaskError: nothing to read.
    """
    asked = ask(dataset, record, config, folder, ontology)
    file = asked.place / "expected.parquet"
    if not file.exists():
        answers = {TREES: _answers_of_trees(asked, config)}
        if config.network is not None:
            from experiments.coding_networks import answers_of_network

            answers[NETWORK] = answers_of_network(asked, config)
        codes = grouped_codes(record, config, ontology)
        neighbours = neighbours_of(asked.groups, all_stays(record), codes)
        _write(expected_of(asked, answers, neighbours, seed=config.seed), file)
    return pl.read_parquet(file)


def ask(
    dataset: Dataset, record: CodedRecord, config: ExpectedConfig, folder: Path, ontology: Ontology
) -> Asked:
    """Stays, groups, folds and view; arguments as `train_expected`."""
    groups = coded_groups(record, config, ontology)
    prefixes = held_back_prefixes(dataset.codings(), config.held_back)
    place = folder / _digest(dataset, config, ontology)
    view = write_view(
        dataset,
        record.contacts,
        all_stays(record),
        prefixes,
        dict(config.groups.levels),
        ontology,
        place / "view",
    )
    keys = groups.stays.select("subject_id", "prediction_time")
    rows = keys.unique().sort("subject_id", "prediction_time")
    row = keys.join(rows.with_row_index("row"), on=keys.columns, how="left", maintain_order="left")["row"]
    return Asked(
        groups,
        row.to_numpy().astype(np.int64),
        Cases(view, rows.with_columns(contact_id=pl.lit(None, pl.Int64))),
        _folds(keys, view, config),
        (*prefixes, *(f"{system}//" for system in config.groups.levels)),
        place,
    )


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


def _answers_of_trees(asked: Asked, config: ExpectedConfig) -> Floats:
    """(n, 3 K) logits out of fold, column by column as `Asked.answers`."""
    folder = asked.place / TREES
    folder.mkdir(parents=True, exist_ok=True)
    answers, matrix = asked.answers(), None
    logits = np.empty((len(asked.row), len(answers)))
    for number, (train, tuning, held_out) in enumerate(asked.folds):
        file = folder / f"{number}.npy"
        if not file.exists():
            matrix = asked.features(config) if matrix is None else matrix
            trees = fit_trees(
                matrix, train, tuning, answers, config, history=asked.history, seed=config.seed + number
            )
            trees.write(folder / f"{number}.json")
            save_array(file, trees.logits_of(matrix, held_out))
            logger.info("expectations: trees of fold %d of %d", number + 1, config.n_folds)
        logits[held_out] = np.load(file)
    return logits


def save_array(file: Path, array: Floats) -> None:
    """Writes an array whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, array)
    part.replace(file)


def expected_of(
    asked: Asked, answers: dict[str, Floats], neighbours: Neighbours, *, seed: int
) -> pl.DataFrame:
    """Columns of EXPECTED from logits out of fold, calibrated by the other folds' stays.

    Args:
        asked: stays, groups, folds.
        answers: model -> (n, 3 K) logits.
        neighbours: the stays around the judged ones.
        seed: of the second look.
    """
    groups, n_groups = asked.groups, len(asked.groups.concepts)
    fold = np.empty(len(asked.row), dtype=np.int32)
    for number, (_, _, held_out) in enumerate(asked.folds):
        fold[held_out] = number
    calibrated = {name: calibrated_logits(asked, logits, fold) for name, logits in answers.items()}
    both = np.mean([*calibrated.values()], axis=0)
    if len(calibrated) > 1:
        both = calibrated_logits(asked, both, fold)
    hindsight = with_hindsight(groups, neighbours, both[:, : 2 * n_groups], fold, seed=seed)
    of_others = slice(n_groups, 2 * n_groups)
    hindsight = calibrated_logits(asked, hindsight, fold, of_others)
    columns = {name: _any_condition(logits) for name, logits in calibrated.items()}
    stays = groups.stays
    long = {
        "stay_id": np.repeat(stays["stay_id"].to_numpy(), n_groups),
        "subject_id": np.repeat(stays["subject_id"].to_numpy(), n_groups),
        "unit": stays["unit"].gather(np.repeat(np.arange(stays.height), n_groups)),
        "year": stays["year"].gather(np.repeat(np.arange(stays.height), n_groups)),
        "fold": np.repeat(fold, n_groups),
        "concept": np.tile(np.array(groups.concepts, dtype=object), stays.height),
        "probability": _any_condition(both).ravel(),
        "probability_main": sigmoid(both[:, :n_groups]).ravel(),
        "probability_other": sigmoid(both[:, n_groups : 2 * n_groups]).ravel(),
        "probability_specific": sigmoid(both[:, 2 * n_groups :]).ravel(),
        "probability_hindsight": sigmoid(hindsight).ravel(),
        "is_coded": groups.coded.ravel(),
        "is_main": groups.main.ravel(),
        "is_specific": groups.specific.ravel(),
    }
    for name in (TREES, NETWORK):
        long[f"probability_{name}"] = columns[name].ravel() if name in columns else None
    return (
        pl.DataFrame(long, strict=False)
        .select(pl.col(name).cast(dtype) for name, dtype in EXPECTED.items())
        .sort("stay_id", "concept")
    )


def calibrated_logits(
    asked: Asked, logits: Floats, fold: npt.NDArray[np.int32], of: slice = slice(None)
) -> Floats:
    """Logits calibrated, answer by answer and fold by fold, on the stays of the other folds.

    Args:
        asked: stays, answers, folds.
        logits: (n, number of answers).
        fold: (n,) the fold that each stay is held out in.
        of: which of `Asked.answers` they are.
    """
    subjects = asked.groups.stays["subject_id"].to_numpy()
    found = np.empty_like(logits)
    for column, answer in enumerate(asked.answers()[of]):
        risks = sigmoid(logits[:, column])
        for number in range(len(asked.folds)):
            others, own = answer.asked & (fold != number), fold == number
            learnt = answer.labels[others]
            method = "logistic" if min(learnt.sum(), (~learnt).sum()) >= MIN_OUTCOMES else "none"
            calibrator = fit_calibrator(risks[others], learnt, subjects[others], method)
            found[own, column] = logit(calibrator.apply(risks[own]))
    return found


def _any_condition(logits: Floats) -> Floats:
    """The probability of being coded at all: as the main condition, or else as another one."""
    n_groups = logits.shape[1] // 3
    main, other = sigmoid(logits[:, :n_groups]), sigmoid(logits[:, n_groups : 2 * n_groups])
    return np.asarray(1 - (1 - main) * (1 - other))


def trees_of_fold(asked: Asked, number: int) -> TreesOfFold:
    """The trees of a fold, as they were kept."""
    return TreesOfFold.read(asked.place / TREES / f"{number}.json")


def _digest(dataset: Dataset, config: ExpectedConfig, ontology: Ontology) -> str:
    """A name for what expectations depend on; files are known by name, size and time of change."""
    total = hashlib.sha256(f"{FORMAT} {ontology.digest}".encode())
    settings = config.model_dump(mode="json", exclude={"findings", "noise"})
    total.update(json.dumps(settings, sort_keys=True).encode())
    files = [*dataset.shards, *(dataset.path / f"{name}.parquet" for name in ("contacts", "codings"))]
    for file in files:
        told = file.stat() if file.exists() else None
        total.update(f"{file.name} {(told.st_size, told.st_mtime_ns) if told else None}\n".encode())
    return total.hexdigest()[:16]


def _write(frame: pl.DataFrame, file: Path) -> None:
    part = file.with_suffix(".part")
    frame.write_parquet(part, compression="zstd", compression_level=1)
    part.replace(file)
