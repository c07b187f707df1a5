"""The rows that a model is fitted on: both outcomes present, the commoner one thinned where rows abound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ontology.errors import Problem, TaskError

Labels = npt.NDArray[np.bool_]


def check_labels(train_labels: Labels, tuning_labels: Labels) -> None:
    """Refuses labels that nothing can be learnt from.

    Raises:
        TaskError: training labels are one-sided, or there are no tuning rows.
    """
    problems = []
    if train_labels.all() or not train_labels.any():
        found = f"{len(train_labels)} training rows, {int(train_labels.sum())} positive"
        next_step = "use more data, or a task with a commoner outcome"
        problems.append(Problem("nothing to learn", "training rows", found, "both outcomes", next_step))
    if not len(tuning_labels):
        next_step = "give the tuning split a larger share"
        problems.append(Problem("no tuning rows", "tuning rows", "0 rows", "at least one", next_step))
    if problems:
        raise TaskError(problems)


def thin_negatives(
    labels: Labels, max_rows: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Which rows to fit on, in order, and their weights; weights keep the base rate.

    Every row of the rarer outcome is kept. Rows of the commoner one are drawn so that about `max_rows`
    remain, but never fewer of them than of the rarer.

    Args:
        labels: (n,) both outcomes present.
        max_rows: with no more rows than this, all are kept with weight 1.
        seed: of the draw.

    Returns:
        Row numbers (m,), increasing, and weights (m,) float32 whose sum over each outcome is its number of
        rows.
    """
    weights = np.ones(len(labels), dtype=np.float32)
    if len(labels) <= max_rows:
        return np.arange(len(labels)), weights
    common = bool(labels.mean() >= 0.5)
    candidates = np.flatnonzero(labels == common)
    n_rare = len(labels) - len(candidates)
    n_kept = min(len(candidates), max(max_rows - n_rare, n_rare))
    drawn = np.random.default_rng(seed).choice(candidates, n_kept, replace=False)
    weights[drawn] = len(candidates) / n_kept
    rows = np.sort(np.concatenate([np.flatnonzero(labels != common), drawn]))
    return rows, weights[rows]
