"""Expectations once more, by hindsight: with what the patient's earlier and later stays were coded with.

Pairs of a stay and a group; the stay's own codes are never read, those of its neighbours are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.expected.groups import CodedGroups
from phenotype.link import log_loss, logit
from phenotype.trees import tree_threads

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
SIGNS = (
    "logit_main",
    "logit_other",
    "n_before",
    "n_after",
    "coded_before",
    "coded_after",
    "hours_before",
    "hours_after",
    "last",
    "next",
    "share",
    "persistence",
)
"""What is read of a pair. logit_main, logit_other: what the models say. n_before, n_after: judged stays of
the patient before and after; coded_before, coded_after: other stays then that are coded with the group;
hours_before, hours_after: to the nearest of them; last, next: whether the judged stay before or after is
coded; share: log odds of the group among all stays; persistence: how often a coded stay's next is coded."""
_RISING = {"logit_other", "coded_before", "coded_after", "last", "next"}
N_TREES, LEAVES, RATE = 80, 31, 0.1
FEW_PAIRS, FEW_TREES, FEW_LEAVES = 50_000, 30, 6
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of hindsight against what the models said without it; the other folds' stays choose."""
EVIDENCE_FROM = 0.02
"""Pairs of which nobody expects this much and that no other stay is coded with train by a tenth of them."""
THINNED = 10


@dataclass(frozen=True)
class Neighbours:
    """All coded contacts' stays of the judged patients, in the order of patients and ends.

    Attributes:
        subject: (N,) number of the patient.
        end: (N,) microseconds.
        judged: (N,) row among the judged stays, -1 of others.
        coded: (N, K).
    """

    subject: Ints
    end: Ints
    judged: Ints
    coded: Bools


def neighbours_of(groups: CodedGroups, stays: pl.DataFrame, codes: pl.DataFrame) -> Neighbours:
    """The stays around the judged ones.

    Args:
        groups: the judged stays.
        stays: columns of JUDGED, all stays.
        codes: stay_id and concept of all coded diagnoses.
    """
    judged = groups.stays.select("stay_id").with_row_index("judged")
    told = (
        stays.join(codes.select("stay_id").unique(), on="stay_id", how="semi")
        .join(groups.stays.select("subject_id").unique(), on="subject_id", how="semi")
        .join(judged, on="stay_id", how="left")
        .sort("subject_id", "prediction_time", "stay_id")
    )
    places = pl.DataFrame({"concept": groups.concepts}).with_row_index("column")
    pairs = (
        codes.select("stay_id", "concept")
        .unique()
        .join(places, on="concept", how="inner")
        .join(told.select("stay_id").with_row_index("row"), on="stay_id", how="inner")
    )
    coded = np.zeros((told.height, len(groups.concepts)), dtype=bool)
    coded[pairs["row"].to_numpy(), pairs["column"].to_numpy()] = True
    return Neighbours(
        told["subject_id"].rle_id().to_numpy().astype(np.int64),
        told["prediction_time"].to_physical().to_numpy().astype(np.int64),
        told["judged"].cast(pl.Int64).fill_null(-1).to_numpy(),
        coded,
    )


def with_hindsight(
    groups: CodedGroups, neighbours: Neighbours, logits: Floats, fold: npt.NDArray[np.int32], *, seed: int
) -> Floats:
    """The logit of being coded as another condition, by hindsight and out of fold, (n, K).

    Args:
        groups: the judged stays.
        neighbours: the stays around them.
        logits: (n, 2 K) calibrated and out of fold: of the main condition, then of another one.
        fold: (n,) the fold that each stay is held out in.
        seed: of the thinning and the trees.
    """
    import lightgbm

    n, n_groups = groups.coded.shape
    signs = np.stack(
        [
            signs_of(neighbours, number, groups, logits[:, number], logits[:, n_groups + number])
            for number in range(n_groups)
        ],
        axis=1,
    )
    labels, asked = groups.coded & ~groups.main, ~groups.main
    base = logits[:, n_groups:]
    n_coded = signs[:, :, 4] + signs[:, :, 5]
    has_sign = (base > logit(np.array([EVIDENCE_FROM]))) | (n_coded > 0)
    has_others = (signs[:, :, 2] + signs[:, :, 3] + n_coded) > 0
    drawn = np.random.default_rng(seed).integers(0, THINNED, (n, n_groups)) == 0
    weight = asked * np.where(has_sign | labels, 1.0, np.where(drawn, float(THINNED), 0.0))
    found = np.empty((n, n_groups))
    for number in np.unique(fold):
        train, own = (fold != number)[:, None] & (weight > 0), fold == number
        settings = {
            "objective": "binary",
            "learning_rate": RATE,
            "num_leaves": LEAVES if train.sum() > FEW_PAIRS else FEW_LEAVES,
            "min_data_in_leaf": 50,
            "lambda_l2": 5.0,
            "monotone_constraints": [int(name in _RISING) for name in SIGNS],
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": tree_threads(int(train.sum()) * len(SIGNS)),
            "verbosity": -1,
        }
        learnt = lightgbm.Dataset(
            signs[train], labels[train].astype(np.float32), weight=weight[train], params=settings
        )
        n_trees = N_TREES if train.sum() > FEW_PAIRS else FEW_TREES
        booster = lightgbm.train(settings, learnt, num_boost_round=n_trees)
        asked_now = signs[own].reshape(-1, len(SIGNS))
        answers = booster.predict(asked_now, raw_score=True, num_threads=settings["num_threads"])
        found[own] = np.asarray(answers).reshape(-1, n_groups)
    found = np.where(has_others, found, base)
    return _weighed(base, found, labels, asked & has_others, fold)


def _weighed(
    base: Floats, hindsight: Floats, labels: Bools, asked: Bools, fold: npt.NDArray[np.int32]
) -> Floats:
    """The mean of both logits by the weight at which the other folds' log loss is least."""
    chosen = np.empty_like(base)
    for number in np.unique(fold):
        others = asked & (fold != number)[:, None]
        mixed = [(1 - weight) * base + weight * hindsight for weight in WEIGHTS]
        targets = labels[others].astype(np.float64)
        losses = [log_loss(one[others], targets) if others.any() else 0.0 for one in mixed]
        own = fold == number
        chosen[own] = mixed[int(np.argmin(losses))][own]
    return chosen


def signs_of(
    neighbours: Neighbours, group: int, groups: CodedGroups, logit_main: Floats, logit_other: Floats
) -> npt.NDArray[np.float32]:
    """SIGNS of every judged stay and one group, (n, 12) float32; NaN where there is no such stay."""
    subject, is_judged = neighbours.subject, neighbours.judged >= 0
    coded = neighbours.coded[:, group]
    start = np.searchsorted(subject, subject, side="left")
    stop = np.searchsorted(subject, subject, side="right")
    n_coded, n_judged = _cumulative(coded), _cumulative(is_judged)
    at = np.arange(len(subject))
    before, after = n_coded[at] - n_coded[start], n_coded[stop] - n_coded[at + 1]
    hours_before, hours_after = _nearest(neighbours, coded)
    last, following = _judged_neighbours(subject, is_judged, coded)
    sure = np.isfinite(following) & coded
    persistence = (following[sure].sum() + 1) / (sure.sum() + 2)
    share = (groups.coded[:, group].sum() + 0.5) / (len(groups.coded) + 1)
    table = np.column_stack(
        [
            n_judged[at] - n_judged[start],
            n_judged[stop] - n_judged[at + 1],
            before,
            after,
            hours_before,
            hours_after,
            last,
            following,
        ]
    )[is_judged]
    ordered = np.empty((len(groups.coded), table.shape[1]))
    ordered[neighbours.judged[is_judged]] = table
    constant = np.tile([float(logit(np.array([share]))[0]), persistence], (len(ordered), 1))
    return np.column_stack([logit_main, logit_other, ordered, constant]).astype(np.float32)


def _cumulative(mask: Bools) -> Ints:
    """How many stand before each place, (N + 1,)."""
    return np.concatenate([[0], np.cumsum(mask)])


def _nearest(neighbours: Neighbours, coded: Bools) -> tuple[Floats, Floats]:
    """Hours to the nearest coded stay before and after, NaN where there is none."""
    subject, end, n = neighbours.subject, neighbours.end, len(coded)
    at = np.arange(n)
    last = np.maximum.accumulate(np.where(coded, at, -1))
    last = np.concatenate([[-1], last[:-1]]) if n else last
    following = np.minimum.accumulate(np.where(coded, at, n)[::-1])[::-1]
    following = np.concatenate([following[1:], [n]]) if n else following
    before, after = np.full(n, np.nan), np.full(n, np.nan)
    has = (last >= 0) & (subject[np.maximum(last, 0)] == subject)
    before[has] = (end[has] - end[last[has]]) / 3.6e9
    has = (following < n) & (subject[np.minimum(following, n - 1)] == subject)
    after[has] = (end[following[has]] - end[has]) / 3.6e9
    return before, after


def _judged_neighbours(subject: Ints, is_judged: Bools, coded: Bools) -> tuple[Floats, Floats]:
    """Whether the patient's judged stay before, and the one after, is coded; NaN where there is none."""
    rows = np.flatnonzero(is_judged)
    same = subject[rows[1:]] == subject[rows[:-1]]
    last, following = np.full(len(subject), np.nan), np.full(len(subject), np.nan)
    last[rows[1:][same]] = coded[rows[:-1][same]]
    following[rows[:-1][same]] = coded[rows[1:][same]]
    return last, following
