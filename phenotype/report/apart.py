"""What is reported apart: the figures without patients seen in training, and the strata of the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from phenotype.explain.wording import count_words
from phenotype.report.model import Figure, figure_of
from phenotype.report.suppression import HIDDEN, MIN_CELL, is_small, shown_count
from phenotype.report.words import model_title
from phenotype.task_parts import Frozen

MEASURE = "auroc"
STRATUM_WORDS: Mapping[str, str] = {
    "hospital_onset": "the outcome began in hospital",
    "present_on_admission": "the outcome began so soon after admission that it counts as brought along",
    "onset_unknown": "only a diagnosis code tells of the outcome, so it is not known when it began",
    "positive_at_start": "the outcome was there at the first prediction",
}
"""What each stratum of `phenotype.outcomes` says of a stay; another is shown by its own name."""


class SeenRow(Frozen):
    """One model's AUROC with and without patients seen in training; null where it cannot be shown."""

    model: str
    everybody: Figure | None
    unseen: Figure | None


class Seen(Frozen):
    """The held-out rows with and without patients who also have rows in training.

    Attributes:
        everybody: how many predictions, patients and outcomes there are in all, in words.
        unseen: how many are left without patients seen in training.
        rows: one a model.
    """

    everybody: str
    unseen: str
    rows: tuple[SeenRow, ...]


class Stratum(Frozen):
    """Rows of one stratum, as shown."""

    words: str
    n_rows: str
    n_subjects: str
    n_labelled: str


def seen_of(task: Mapping[str, Any]) -> Seen | None:
    """The figures with and without patients seen in training, or null where no held-out patient was.

    Args:
        task: one task's part of metrics.json; `without_seen_patients` has models as the task itself.
    """
    models = (task.get("without_seen_patients") or {}).get("models")
    if not models:
        return None
    everybody, unseen = _counts(task["models"]), _counts(models)
    hides = is_small(unseen["n_positive"])
    rows = [
        SeenRow(
            model=model_title(name, str(model["kind"])),
            everybody=figure_of(task["models"][name], MEASURE),
            unseen=None if hides else figure_of(model, MEASURE),
        )
        for name, model in models.items()
        if name in task["models"]
    ]
    return Seen(everybody=_size(everybody, everybody), unseen=_size(unseen, everybody), rows=tuple(rows))


def _counts(models: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Rows, patients and outcomes over the folds of the first model: all models judge the same rows."""
    folds = next(iter(models.values()))["folds"]
    return {name: sum(int(fold[name]) for fold in folds) for name in ("n_rows", "n_subjects", "n_positive")}


def _size(counts: Mapping[str, int], total: Mapping[str, int]) -> str:
    """Counts in words; one that is small, or leaves a small rest of the total, is hidden."""
    shown = {
        name: HIDDEN if is_small(total[name] - count) and not is_small(count) else shown_count(count)
        for name, count in counts.items()
    }
    return (
        f"{shown['n_rows']} predictions of {shown['n_subjects']} patients, "
        f"{shown['n_positive']} with the outcome"
    )


def strata_of(strata: Iterable[Mapping[str, Any]]) -> tuple[Stratum, ...]:
    """The strata of metrics.json in words: stratum, n_rows, n_subjects, n_labelled of each."""
    return tuple(_stratum(row) for row in strata)


def _stratum(row: Mapping[str, Any]) -> Stratum:
    """One stratum; where its patients are few, or those without a label, only that is said."""
    n_rows, n_labelled = int(row["n_rows"]), int(row["n_labelled"])
    hides = is_small(int(row["n_subjects"]))
    name = str(row["stratum"])
    return Stratum(
        words=STRATUM_WORDS.get(name, name.replace("_", " ")),
        n_rows=HIDDEN if hides else shown_count(n_rows),
        n_subjects=shown_count(int(row["n_subjects"])),
        n_labelled=HIDDEN if hides or is_small(n_rows - n_labelled) else shown_count(n_labelled),
    )


def censored_words(n_censored: object) -> str:
    """How many rows ended before their outcome could be known; empty where there were none."""
    if not isinstance(n_censored, int) or n_censored == 0:
        return ""
    shown = f"Fewer than {MIN_CELL}" if is_small(n_censored) else count_words(n_censored)
    return (
        f"{shown} predictions are left out as censored: the record ends before the outcome could be known. "
        "They are not counted as patients without it."
    )
