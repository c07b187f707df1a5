"""Which rows train, which tune and which are held out: by patient, by time, by site, or from a file.

A patient stands in one split only, within a fold; two kinds are exceptions and say so: `time`, where held-out
rows of patients seen in training are flagged (is_seen), and `random_rows`, which leaks by design, to be shown
beside an honest split. Where chance leaves a split without a patient with the outcome, or without one
without it, patients are drawn again by answer (`experiments.split_draws`).
"""

from __future__ import annotations

import logging
import warnings
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.split_config import (
    FileSplit,
    FoldsSplit,
    Fractions,
    RandomRowsSplit,
    RandomSplit,
    SiteSplit,
    SplitConfig,
    TimeSplit,
)
from experiments.split_draws import Answers, answers_of, draw_parts, draw_share
from experiments.split_files import read_split_files
from ontology.errors import ConfigurationError, Problem
from phenotype.trajectory import INSTANT, Dataset

TRAIN, TUNING, HELD_OUT = "train", "tuning", "held_out"
KEYS = ["subject_id", "prediction_time"]
SPLITS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": INSTANT,
        "split": pl.String(),
        "fold": pl.Int32(),
        "is_seen": pl.Boolean(),
    }
)
LEAKING_KINDS = ("random_rows",)
"""Splits that put one patient in training and testing unflagged; whoever reports such a run says so."""
__all__ = [
    "HELD_OUT",
    "LEAKING_KINDS",
    "SPLITS",
    "TRAIN",
    "TUNING",
    "SplitConfig",
    "check_splits",
    "make_splits",
    "with_seen",
]
logger = logging.getLogger(__name__)


def make_splits(rows: pl.DataFrame, dataset: Dataset, config: SplitConfig) -> pl.DataFrame:
    """The split of every row, in every fold.

    Args:
        rows: subject_id, prediction_time, contact_id (for site) and perhaps boolean_value (for stratified
            folds), unique by subject and time.
        dataset: whose contacts name hospitals and whose metadata says whether dates are true.
        config: how to split.

    Returns:
        Columns of SPLITS, sorted by (fold, subject_id, prediction_time); is_seen as `with_seen` says. Rows
        that no split may have are not there.

    Raises:
        ConfigurationError: a calendar split of nominal times, a file or hospital that does not fit, a split
            without rows, or a patient in two splits.
    """
    asked = rows.select(*KEYS, *[name for name in ("contact_id", "boolean_value") if name in rows.columns])
    match config:
        case RandomSplit():
            folds = [_by_subject(asked, _random_subjects(asked, config))]
        case RandomRowsSplit():
            logger.warning("splits are by row, not by patient: results leak, by design")
            folds = [_random_rows(asked, config)]
        case FoldsSplit():
            folds = [_by_subject(asked, fold) for fold in _folded_subjects(asked, config)]
        case FileSplit():
            folds = _file_folds(asked, config)
        case TimeSplit():
            check_calendar(
                dataset, "splits: kind time; metadata/dataset.json", "choose another kind of split"
            )
            folds = [_by_time(asked, config)]
        case SiteSplit():
            folds = [_by_site(asked, dataset, config)]
    numbered = [fold.with_columns(fold=pl.lit(number)) for number, fold in enumerate(folds)]
    splits = with_seen(pl.concat(numbered))
    if isinstance(config, TimeSplit) and not config.keep_seen:
        splits = splits.filter(~pl.col("is_seen"))
    check_splits(splits, config, n_folds=len(folds))
    return splits.select(pl.col(name).cast(dtype) for name, dtype in SPLITS.items()).sort("fold", *KEYS)


def with_seen(splits: pl.DataFrame) -> pl.DataFrame:
    """Splits with is_seen: whether the patient of a row was already met when the model was made.

    Args:
        splits: subject_id, split, fold among others. A tuning row is seen where its patient has a training
            row in the fold, a held-out row where its patient has a training or tuning row.
    """
    patient = ["fold", "subject_id"]
    has_training = (pl.col("split") == TRAIN).any().over(patient)
    has_tuning = (pl.col("split") == TUNING).any().over(patient)
    is_seen_in_tuning = (pl.col("split") == TUNING) & has_training
    is_seen_in_test = (pl.col("split") == HELD_OUT) & (has_training | has_tuning)
    return splits.with_columns(is_seen=is_seen_in_tuning | is_seen_in_test)


def check_splits(splits: pl.DataFrame, config: SplitConfig, *, n_folds: int = 1) -> None:
    """Every fold has rows in every split, and a patient stands in one split unless the kind says otherwise.

    Args:
        splits: columns of SPLITS.
        config: how the splits were made.
        n_folds: folds that there must be.

    Raises:
        ConfigurationError: one problem for each empty split, and one where patients stand in two.
    """
    found = set(splits.select("fold", "split").unique().iter_rows())
    problems = [
        Problem(
            f"no row falls in split {split}",
            where=f"splits: kind {config.kind}, fold {fold}",
            found=f"{splits.filter(pl.col('fold') == fold).height} rows in the fold",
            next_step="change the split's dates, hospitals, file or fractions",
        )
        for fold in range(n_folds)
        for split in (TRAIN, TUNING, HELD_OUT)
        if (fold, split) not in found
    ]
    if not isinstance(config, TimeSplit | RandomRowsSplit):
        per_patient = splits.group_by("fold", "subject_id").agg(n=pl.col("split").n_unique())
        n_leaking = per_patient.filter(pl.col("n") > 1).height
        if n_leaking:
            problems.append(
                Problem(
                    "patients stand in more than one split of a fold",
                    where=f"splits: kind {config.kind}",
                    found=f"{n_leaking} patients",
                    allowed="each patient in one split",
                    next_step="give each subject_id one split in each fold",
                )
            )
    if problems:
        raise ConfigurationError(problems)


def _by_subject(rows: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    """Rows with their patient's split; rows of patients without one are dropped."""
    return rows.select(KEYS).join(subjects, on="subject_id", how="inner")


def _subjects(rows: pl.DataFrame) -> pl.Series:
    return rows["subject_id"].unique().sort()


def _random_subjects(rows: pl.DataFrame, config: RandomSplit) -> pl.DataFrame:
    subjects = _subjects(rows)
    drawn = _draw_splits(len(subjects), config.fractions, config.seed, answers_of(rows, subjects))
    return pl.DataFrame({"subject_id": subjects, "split": drawn})


def _random_rows(rows: pl.DataFrame, config: RandomRowsSplit) -> pl.DataFrame:
    ordered = rows.select(KEYS).sort(KEYS)
    drawn = _draw_splits(ordered.height, config.fractions, config.seed, None)
    return ordered.with_columns(split=pl.Series(drawn))


def _draw_splits(n: int, fractions: Fractions, seed: int, answers: Answers | None) -> list[str]:
    """A split for each of n units, in shares as near the fractions as whole units allow."""
    shares = (fractions.train, fractions.tuning, fractions.held_out)
    names = np.empty(n, dtype=object)
    for name, part in zip((TRAIN, TUNING, HELD_OUT), draw_parts(n, shares, seed, answers), strict=True):
        names[part] = name
    return [str(name) for name in names]


def _folded_subjects(rows: pl.DataFrame, config: FoldsSplit) -> list[pl.DataFrame]:
    """Each fold's patients with their split."""
    subjects = _subjects(rows)
    if len(subjects) < config.n_folds:
        raise ConfigurationError(
            Problem(
                "fewer patients than folds",
                "splits: n_folds",
                f"{len(subjects)} patients, {config.n_folds} folds",
                "at least one patient a fold",
                "ask for fewer folds",
            )
        )
    return [
        _with_tuning(
            pl.DataFrame({"subject_id": subjects, "split": _marked(len(subjects), held_out)}),
            rows,
            config.tuning_fraction,
            config.seed + number,
        )
        for number, held_out in enumerate(_held_out_parts(rows, subjects, config))
    ]


def _held_out_parts(
    rows: pl.DataFrame, subjects: pl.Series, config: FoldsSplit
) -> list[npt.NDArray[np.intp]]:
    """Scikit-learn's folds, stratified where the rows say which are positive."""
    from sklearn.model_selection import KFold, StratifiedKFold

    answers = answers_of(rows, subjects)
    positive = None if answers is None else answers.has_positive
    counts = (0, 0) if positive is None else (int(positive.sum()), int((~positive).sum()))
    is_stratified = positive is not None and max(counts) >= config.n_folds
    if positive is not None and 0 < min(counts) < config.n_folds:
        logger.warning("%d patients for %d folds have the rarer answer", min(counts), config.n_folds)
    folder = StratifiedKFold if is_stratified else KFold
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = folder(config.n_folds, shuffle=True, random_state=config.seed).split(
            subjects.to_numpy(), positive if is_stratified else None
        )
        return [held_out for _, held_out in parts]


def _marked(n: int, held_out: npt.NDArray[np.intp]) -> list[str]:
    names = np.full(n, TRAIN, dtype=object)
    names[held_out] = HELD_OUT
    return [str(name) for name in names]


def _with_tuning(named: pl.DataFrame, rows: pl.DataFrame, fraction: float, seed: int) -> pl.DataFrame:
    """Patients, or rows, with a share of the training patients turned to tuning.

    Args:
        named: subject_id, split and perhaps prediction_time.
        rows: the rows asked about, perhaps with boolean_value.
        fraction: the share of the patients who train.
        seed: of the draw.
    """
    training = named.filter(pl.col("split") == TRAIN)
    of_training = rows.join(training, on=[name for name in KEYS if name in named.columns], how="semi")
    subjects = _subjects(training)
    drawn = draw_share(subjects.to_numpy(), fraction, seed, answers_of(of_training, subjects))
    is_drawn = pl.col("subject_id").is_in(drawn) & (pl.col("split") == TRAIN)
    return named.with_columns(split=pl.when(is_drawn).then(pl.lit(TUNING)).otherwise("split"))


def _file_folds(rows: pl.DataFrame, config: FileSplit) -> list[pl.DataFrame]:
    named = read_split_files(config.paths, config.order, config.who)
    n_unnamed = rows.join(named, on="subject_id", how="anti")["subject_id"].n_unique()
    if n_unnamed:
        logger.warning("%d patients are not in the split file: their rows are left out", n_unnamed)
    folds = []
    for number in range(named["fold"].n_unique()):
        subjects = named.filter(pl.col("fold") == number).select("subject_id", "split").unique()
        if TUNING not in subjects["split"]:
            subjects = _with_tuning(subjects, rows, config.tuning_fraction, config.seed + number)
        folds.append(_by_subject(rows, subjects))
    return folds


def check_calendar(dataset: Dataset, where: str, next_step: str) -> None:
    """See that a dataset's dates are those of the calendar.

    Raises:
        ConfigurationError: they are not.
    """
    if dataset.untrue_dates:
        raise ConfigurationError(
            Problem(
                "what is parted by time needs true dates",
                where=where,
                found=dataset.untrue_dates,
                allowed="kinds random, folds, file or site for this dataset",
                next_step=next_step,
            )
        )


def _by_time(rows: pl.DataFrame, config: TimeSplit) -> pl.DataFrame:
    """Rows with their split by date; a patient may stand in several, and is flagged then."""
    asked = pl.col("prediction_time")
    last_train = config.train_before - timedelta(days=config.gap_days)
    test_from = config.tune_before or config.train_before
    split = (
        pl.when(asked < last_train)
        .then(pl.lit(TRAIN))
        .when(asked >= test_from)
        .then(pl.lit(HELD_OUT))
        .when(asked >= config.train_before)
        .then(pl.lit(TUNING))
    )
    dated = rows.select(KEYS).with_columns(split=split).filter(pl.col("split").is_not_null())
    reserved = draw_share(_subjects(rows).to_numpy(), config.reserved_fraction, config.seed, None)
    kept = dated.filter((pl.col("split") == HELD_OUT) | ~pl.col("subject_id").is_in(reserved))
    return kept if config.tune_before else _with_tuning(kept, rows, config.tuning_fraction, config.seed)


def _by_site(rows: pl.DataFrame, dataset: Dataset, config: SiteSplit) -> pl.DataFrame:
    contacts = dataset.contacts()
    hospitals = set(contacts["hospital_id"].drop_nulls().unique())
    unknown = sorted(set(config.held_out) - hospitals)
    if unknown:
        raise ConfigurationError(
            Problem(
                "no contact at these hospitals",
                "splits: held_out",
                ", ".join(unknown),
                ", ".join(sorted(hospitals)) or "no hospital: no contact of this dataset names one",
                "name hospitals of this dataset, or choose another kind of split",
            )
        )
    sites = contacts.select("contact_id", "hospital_id").unique("contact_id")
    located = rows.join(sites, on="contact_id", how="left").filter(pl.col("hospital_id").is_not_null())
    is_away = pl.col("hospital_id").is_in(config.held_out)
    is_held_out = is_away.any().over("subject_id")
    kept = located.filter(is_away | ~is_held_out).with_columns(
        split=pl.when(is_away).then(pl.lit(HELD_OUT)).otherwise(pl.lit(TRAIN))
    )
    return _with_tuning(kept.select(*KEYS, "split"), rows, config.tuning_fraction, config.seed)
