"""Draws of patients into splits: at random, and by answer where chance left a split with one answer only.

The first draw looks at no answer, and stands wherever every split of it has patients with the outcome and
patients without. Where the outcome is so rare that a split has none, patients with and without it are drawn
apart, each split getting at least one of either. What cannot be mended so (fewer patients with the outcome
than splits) is left, and told by `experiments.study.make_fold` before anything is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Marks = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Answers:
    """What is known of patients' answers.

    Attributes:
        has_positive: (n,) the patient has a row with the outcome.
        has_negative: (n,) the patient has a row without.
    """

    has_positive: Marks
    has_negative: Marks

    def are_both_in(self, numbers: Numbers) -> bool:
        """Whether some of these patients have either answer."""
        return bool(self.has_positive[numbers].any() and self.has_negative[numbers].any())

    def take(self, numbers: Numbers) -> Answers:
        """The answers of some patients."""
        return Answers(self.has_positive[numbers], self.has_negative[numbers])


def answers_of(rows: pl.DataFrame, subjects: pl.Series) -> Answers | None:
    """The answers of patients, in their order; None where rows say nothing.

    Args:
        rows: subject_id and perhaps boolean_value; null counts as without the outcome.
        subjects: unique ids.
    """
    if "boolean_value" not in rows.columns:
        return None
    value = pl.col("boolean_value").fill_null(value=False)
    by_subject = rows.group_by("subject_id").agg(positive=value.any(), negative=(~value).any())
    found = subjects.to_frame("subject_id").join(
        by_subject, on="subject_id", how="left", maintain_order="left"
    )
    marks = [found[name].fill_null(value=False).to_numpy() for name in ("positive", "negative")]
    return Answers(*marks)


def draw_parts(n: int, shares: tuple[float, ...], seed: int, answers: Answers | None) -> list[Numbers]:
    """Numbers 0 to n-1 drawn into parts, in shares as near to those asked as whole patients allow.

    Args:
        n: patients.
        shares: of each part, adding up to 1.
        seed: of the draw.
        answers: of the patients; None draws without looking.
    """
    plain = _cut(np.random.default_rng(seed).permutation(n), _ends(n, shares))
    if answers is None or all(answers.are_both_in(part) for part in plain):
        return plain
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(answers.has_positive), np.flatnonzero(~answers.has_positive)]
    if any(kind.size < len(shares) for kind in kinds):
        return plain
    drawn = [_cut(rng.permutation(kind), _ends_with_all(kind.size, shares)) for kind in kinds]
    return [np.concatenate(parts) for parts in zip(*drawn, strict=True)]


def draw_share(
    subjects: npt.NDArray[np.int64], fraction: float, seed: int, answers: Answers | None
) -> list[int]:
    """A share of sorted patients, drawn at random; those left and those drawn have both answers if they can.

    Args:
        subjects: sorted ids.
        fraction: the share.
        seed: of the draw.
        answers: of the patients; None draws without looking.
    """
    drawn, _ = draw_parts(subjects.size, (fraction, 1 - fraction), seed, answers)
    return [int(subject) for subject in subjects[drawn]]


def _ends(n: int, shares: tuple[float, ...]) -> list[int]:
    """Where each part but the last ends, each end as near as whole numbers allow."""
    return [round(n * sum(shares[: number + 1])) for number in range(len(shares) - 1)]


def _ends_with_all(n: int, shares: tuple[float, ...]) -> list[int]:
    """The same, with at least one in each part."""
    ends = _ends(n, shares)
    for number, end in enumerate(ends):
        ends[number] = max(end, (ends[number - 1] if number else 0) + 1)
    for number in reversed(range(len(ends))):
        after = ends[number + 1] if number + 1 < len(ends) else n
        ends[number] = min(ends[number], after - 1)
    return ends


def _cut(order: Numbers, ends: list[int]) -> list[Numbers]:
    return np.split(order, ends)
