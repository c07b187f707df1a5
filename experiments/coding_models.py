"""Out-of-fold expectations of every group of codes: what a stay should be coded with, by all but its codes.

Everything is kept in a folder and taken up there: the view, each fold's models and answers.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.coding_asked import Asked, ask, save_array
from experiments.coding_hindsight import Neighbours, neighbours_of, with_hindsight
from experiments.coding_trees import TreesOfFold, fit_trees
from ontology.terminology import Ontology
from phenotype.calibration import MIN_OUTCOMES, fit_calibrator
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.expected.config import ExpectedConfig
from phenotype.coding.expected.expected import EXPECTED
from phenotype.coding.expected.groups import all_stays, grouped_codes
from phenotype.link import logit, sigmoid
from phenotype.trajectory import Dataset

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
TREES, NETWORK = "trees", "network"


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
    models = f"trees-{config.network.digest}" if config.network else "trees"
    file = asked.place / f"expected-{models}.parquet"
    if not file.exists():
        answers = {TREES: _answers_of_trees(asked, config)}
        if config.network is not None:
            from experiments.coding_networks import answers_of_network

            answers[NETWORK] = answers_of_network(asked, config, config.network)
        codes = grouped_codes(record, config, ontology)
        neighbours = neighbours_of(asked.groups, all_stays(record), codes)
        _write(expected_of(asked, answers, neighbours, seed=config.seed), file)
    return pl.read_parquet(file)


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
            is_enough = min(learnt.sum(), (~learnt).sum()) >= MIN_OUTCOMES
            calibrator = fit_calibrator(
                risks[others], learnt, subjects[others], "logistic" if is_enough else "none"
            )
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


def _write(frame: pl.DataFrame, file: Path) -> None:
    part = file.with_suffix(".part")
    frame.write_parquet(part, compression="zstd", compression_level=1)
    part.replace(file)
