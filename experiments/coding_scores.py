"""How well groups of codes are expected: discrimination by group, out of fold, and what chance would give."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Folds = npt.NDArray[np.int32]
MODELS = ("trees", "network", "both")
CHANCE = 0.95
SCORES = pl.Schema(
    {
        "concept": pl.String(),
        "n_stays": pl.Int64(),
        "n_coded": pl.Int64(),
        "n_main": pl.Int64(),
        **{model: pl.Float64() for model in MODELS},
        "by_chance": pl.Float64(),
    }
)
"""AUROC of each model's probability of being coded at all, null where it was not trained or no fold has
both answers; by_chance: the 95th percentile of `both` with the answers shuffled within folds."""


def auroc_by_group(expected: pl.DataFrame, *, n_shuffles: int = 20, seed: int = 1) -> pl.DataFrame:
    """AUROC by group: columns of SCORES, the commonest group first.

    Args:
        expected: columns of EXPECTED.
        n_shuffles: how often the answers are shuffled.
        seed: of the shuffles.
    """
    ordered = expected.sort("concept", "stay_id")
    rows = [
        _of_group(str(concept), of_group, n_shuffles, seed)
        for (concept,), of_group in ordered.partition_by("concept", as_dict=True).items()
    ]
    return pl.DataFrame(rows, schema=SCORES).sort("n_coded", "concept", descending=[True, False])


def _of_group(concept: str, of_group: pl.DataFrame, n_shuffles: int, seed: int) -> dict[str, object]:
    coded, fold = of_group["is_coded"].to_numpy(), of_group["fold"].to_numpy()
    names = {"trees": "probability_trees", "network": "probability_network", "both": "probability"}
    told = {
        model: None if of_group[name].has_nulls() else within_folds(of_group[name].to_numpy(), coded, fold)
        for model, name in names.items()
    }
    chance = shuffled(of_group["probability"].to_numpy(), coded, fold, n_shuffles, seed)
    return {
        "concept": concept,
        "n_stays": of_group.height,
        "n_coded": int(coded.sum()),
        "n_main": int(of_group["is_main"].sum()),
        **told,
        "by_chance": float(np.quantile(chance, CHANCE)) if len(chance) else None,
    }


def within_folds(score: Floats, coded: Bools, fold: Folds) -> float | None:
    """The share of pairs, a coded and another stay of one fold, that the score orders rightly; half for ties.

    Pairs of different folds are not compared: a fold with more coded stays leaves fewer to train on, so that
    scores without any information would seem to do worse than chance.

    **Source:** AUROC as a share of pairs: Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747; the
    bias of pooled folds: Parker et al. 2007, doi:10.1186/1471-2105-8-326.
    """
    return _in_order(_ranks(score, fold), coded)


def _ranks(score: Floats, fold: Folds) -> list[tuple[npt.NDArray[np.intp], Floats]]:
    """Of each fold its rows and their ranks in it, equal scores with their mean rank."""
    rows = [np.flatnonzero(fold == number) for number in np.unique(fold)]
    return [(own, pl.Series(score[own]).rank("average").to_numpy()) for own in rows]


def _in_order(ranks: list[tuple[npt.NDArray[np.intp], Floats]], coded: Bools) -> float | None:
    """The share of pairs within folds that are in the right order; None where there is no pair."""
    in_order, n_pairs = 0.0, 0
    for rows, ranked in ranks:
        own = coded[rows]
        n_coded = int(own.sum())
        in_order += float(ranked[own].sum()) - n_coded * (n_coded + 1) / 2
        n_pairs += n_coded * (len(rows) - n_coded)
    return in_order / n_pairs if n_pairs else None


def shuffled(score: Floats, coded: Bools, fold: Folds, n: int, seed: int) -> Floats:
    """AUROC with the answers shuffled within folds, n times."""
    generator, ranks, found = np.random.default_rng(seed), _ranks(score, fold), []
    for _ in range(n):
        drawn = coded.copy()
        for own, _ in ranks:
            drawn[own] = coded[generator.permutation(own)]
        auroc = _in_order(ranks, drawn)
        if auroc is not None:
            found.append(auroc)
    return np.array(found)
