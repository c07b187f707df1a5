"""How rows may be split, as frozen models: random, folds, file, time, site, and random_rows, which leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NaiveDatetime, model_validator

from experiments.split_files import count_folds
from phenotype.task_parts import LONGEST_HOURS

LARGEST_SEED = 2_000_000_000
"""What every library that is given a seed can take, and some added to it."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Share = Annotated[float, Field(gt=0, lt=1)]
WholePath = Annotated[Path, AfterValidator(Path.absolute)]
"""Read from the folder where the command is given; whole in run.yaml, so that a run goes on from anywhere."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Fractions(_Frozen):
    """Shares of the patients, which add up to 1."""

    train: Share = 0.7
    tuning: Share = 0.1
    held_out: Share = 0.2

    @model_validator(mode="after")
    def _add_up(self) -> Fractions:
        total = self.train + self.tuning + self.held_out
        if abs(total - 1) > 1e-9:
            message = f"the fractions add up to {total:g}, not 1"
            raise ValueError(message)
        return self


class RandomSplit(_Frozen):
    """Patients drawn at random."""

    kind: Literal["random"] = "random"
    fractions: Fractions = Fractions()
    seed: Seed = 0


class FoldsSplit(_Frozen):
    """Cross-validation over patients: each is held out in one fold.

    Where the rows say which are positive, folds are stratified by whether a patient has a positive row
    (scikit-learn's StratifiedKFold, else KFold), over patients in the order of their subject_id.

    Attributes:
        n_folds: number of outer folds.
        tuning_fraction: share of each fold's training patients that tune.
        seed: of the folds and of the tuning part.
    """

    kind: Literal["folds"] = "folds"
    n_folds: Annotated[int, Field(ge=2, le=1000)] = 5
    tuning_fraction: Share = 0.1
    seed: Seed = 0


class FileSplit(_Frozen):
    """Patients as files say; rows of patients whom they do not name are left out.

    Attributes:
        path: one file or several, whose folds are numbered through. Parquet: subject_id, split (train,
            tuning, held_out) and, for several folds, fold (0, 1, ...). .npz, .npy, .json: arrays of row
            numbers from 0, as published work ships them.
        order: the table whose rows such arrays number: a row a patient.
        who: source_id and subject_id, as `pesta reidentify` writes them, where `order` has the source's ids.
        tuning_fraction: share of the training patients that tune, in folds that name no tuning patients.
        seed: of that draw.
    """

    kind: Literal["file"] = "file"
    path: WholePath | Annotated[tuple[WholePath, ...], Field(min_length=1)]
    order: WholePath | None = None
    who: WholePath | None = None
    tuning_fraction: Share = 0.1
    seed: Seed = 0

    @model_validator(mode="after")
    def _has_order(self) -> FileSplit:
        if self.who is not None and self.order is None:
            message = "who says whose the ids of an order are: give the order as well"
            raise ValueError(message)
        return self

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, also where there is one."""
        return self.path if isinstance(self.path, tuple) else (self.path,)

    @property
    def n_folds(self) -> int:
        """How many folds the files name."""
        return count_folds(self.paths)


class TimeSplit(_Frozen):
    """Train on what was asked before a date, test on what was asked from it on.

    Attributes:
        train_before: rows asked before it train.
        tune_before: rows asked from train_before until this date tune, later ones are held out; without it,
            tuning_fraction of the training patients tune.
        gap_days: training rows asked in the last days before train_before are left out, since their outcome
            lies after it.
        keep_seen: False leaves out tuning and held-out rows of patients met before (is_seen).
        reserved_fraction: share of the patients, drawn at random, who never train or tune, so that the test
            has unseen patients with a past: patients and time apart, where keep_seen is False as well.
        tuning_fraction: see tune_before.
        seed: of the draws of tuning and reserved patients.
    """

    kind: Literal["time"] = "time"
    train_before: NaiveDatetime
    tune_before: NaiveDatetime | None = None
    gap_days: Annotated[float, Field(ge=0, le=LONGEST_HOURS / 24)] = 0
    keep_seen: bool = True
    reserved_fraction: Annotated[float, Field(ge=0, lt=1)] = 0
    tuning_fraction: Share = 0.1
    seed: Seed = 0

    @model_validator(mode="after")
    def _in_order(self) -> TimeSplit:
        if self.tune_before is not None and self.tune_before <= self.train_before:
            message = "tune_before must lie after train_before"
            raise ValueError(message)
        return self


class SiteSplit(_Frozen):
    """Train at some hospitals, test at others, patients apart.

    A patient with a row at a held-out hospital is held out; the same patient's rows elsewhere are left out,
    as are rows without a hospital.

    Attributes:
        held_out: hospital_ids of contacts.parquet.
        tuning_fraction: share of the training patients that tune.
        seed: of that draw.
    """

    kind: Literal["site"] = "site"
    held_out: Annotated[tuple[str, ...], Field(min_length=1)]
    tuning_fraction: Share = 0.1
    seed: Seed = 0


class RandomRowsSplit(_Frozen):
    """Rows drawn at random, a patient perhaps in all splits: leaks by design, to show by how much."""

    kind: Literal["random_rows"] = "random_rows"
    fractions: Fractions = Fractions()
    seed: Seed = 0


SplitConfig = Annotated[
    RandomSplit | FoldsSplit | FileSplit | TimeSplit | SiteSplit | RandomRowsSplit,
    Field(discriminator="kind"),
]
