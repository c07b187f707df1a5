"""Clusters of deep phenotypes, each described by the ontology concepts that are over-represented in it.

Counts below MIN_CELL patients are never told, nor shares that betray one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.labels import label_of
from ontology.release import active_ontology
from phenotype.deep_phenotypes import state_matrix
from phenotype.report.suppression import MIN_CELL
from phenotype.trajectory import INSTANT, NOT_PREDICTORS, Dataset, known_time
from phenotype.vocabulary import ancestors

CLUSTERS = pl.Schema({"subject_id": pl.Int64(), "time": INSTANT, "cluster": pl.Int32()})
"""Clusters are numbered from 0, the largest first."""

DESCRIPTIONS = pl.Schema(
    {
        "cluster": pl.Int32(),
        "n_subjects": pl.Int64(),
        "concept": pl.String(),
        "label": pl.String(),
        "n_with": pl.Int64(),
        "share": pl.Float64(),
        "share_elsewhere": pl.Float64(),
        "odds_ratio": pl.Float64(),
        "p_value": pl.Float64(),
        "q_value": pl.Float64(),
    }
)
"""share: of the cluster's patients; share_elsewhere: of all others. What betrays a small count is null."""

MAX_Q = 0.01
"""False discovery rate up to which a concept is told of a cluster."""
EXPLAINS = 0.9
"""Share of a broader concept's patients that a narrower one must have to stand for it."""
_BATCH, _N_STARTS = 4096, 5


def cluster_states(deep_phenotypes: pl.DataFrame, n_clusters: int, seed: int) -> pl.DataFrame:
    """The cluster of every deep phenotype: k-means on centred and scaled states of length 1.

    Args:
        deep_phenotypes: columns of DEEP_PHENOTYPES, in any order.
        n_clusters: how many, at least 2.
        seed: of the starts.

    Returns:
        Columns of CLUSTERS, sorted by subject_id and time.

    Raises:
        ConfigurationError: fewer rows than clusters.

    **Source:** Sculley 2010, doi:10.1145/1772690.1772862 (mini-batch k-means), as scikit-learn has it.
    """
    ordered = deep_phenotypes.sort("subject_id", "time")
    if ordered.height < n_clusters:
        raise ConfigurationError(
            Problem(
                "more clusters than deep phenotypes",
                where="n_clusters",
                found=f"{n_clusters} clusters, {ordered.height} deep phenotypes",
                allowed="fewer clusters than rows",
                next_step="ask for fewer clusters, or export more states",
            )
        )
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    states = state_matrix(ordered).astype(np.float64)
    spread = states.std(axis=0)
    scaled = (states - states.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    with threadpool_limits(1):
        found = MiniBatchKMeans(
            n_clusters, batch_size=_BATCH, n_init=_N_STARTS, random_state=seed
        ).fit_predict(scaled / np.where(lengths > 0, lengths, 1.0))
    sizes = np.bincount(found, minlength=n_clusters)
    number = np.empty(n_clusters, dtype=np.int32)
    number[np.argsort(-sizes, kind="stable")] = np.arange(n_clusters)
    return ordered.select("subject_id", "time", pl.Series("cluster", number[found], dtype=pl.Int32))


def history_concepts(dataset: Dataset, clusters: pl.DataFrame) -> pl.DataFrame:
    """Which concepts each subject's record held by its time: its codes and all that stands above them.

    Args:
        dataset: where the records are.
        clusters: subject_id and time among others, one row a subject.

    Returns:
        subject_id, concept; unique and sorted.
    """
    answers = pl.any_horizontal([pl.col("code").str.starts_with(prefix) for prefix in NOT_PREDICTORS])
    moments = clusters.select("subject_id", pl.col("time").alias("_until")).lazy()
    codes = (
        dataset.events()
        .filter(~answers)
        .join(moments, on="subject_id")
        .filter(known_time().is_null() | (known_time() <= pl.col("_until")))
        .select("subject_id", "code")
        .unique()
        .collect()
    )
    above = concepts_of(codes["code"].unique().sort().to_list())
    lines = pl.DataFrame(
        {"code": list(above), "concept": list(above.values())},
        schema={"code": pl.String, "concept": pl.List(pl.String)},
    )
    pairs = codes.join(lines, on="code").explode("concept").select("subject_id", "concept")
    return pairs.unique().sort("subject_id", "concept")


def concepts_of(codes: list[str]) -> Mapping[str, list[str]]:
    """Each code with itself and what stands above it: by the ontology in use and by the code's own form."""
    ontology = active_ontology().with_codes(codes)
    return {code: list(dict.fromkeys([code, *ontology.ancestors(code), *ancestors(code)])) for code in codes}


def describe_clusters(clusters: pl.DataFrame, concepts: pl.DataFrame, max_q: float = MAX_Q) -> pl.DataFrame:
    """The concepts that more of a cluster's patients have than chance gives, the most telling first.

    Of a line of concepts, one above the other, those are told that say most: a broader one gives way to a
    narrower one that holds EXPLAINS of its patients in the cluster at odds no lower; a narrower one gives way
    to a broader one with higher odds.

    Args:
        clusters: columns of CLUSTERS, one row a subject.
        concepts: subject_id, concept: what each subject's record held, all levels.
        max_q: false discovery rate, over all clusters and concepts together.

    Returns:
        Columns of DESCRIPTIONS, by cluster, then by p_value, then by concept; clusters and concepts with
        fewer than MIN_CELL patients are not there.

    Raises:
        ConfigurationError: a subject that stands in two rows.

    **Source:** hypergeometric test of over-representation (Fisher 1935); Benjamini and Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x; odds ratio with half a patient added to each cell, Haldane 1940.
    """
    from scipy.stats import false_discovery_control, hypergeom

    if clusters["subject_id"].is_duplicated().any():
        raise ConfigurationError(
            Problem(
                "a subject stands in several rows",
                where="clusters",
                found=f"{clusters.height} rows of {clusters['subject_id'].n_unique()} subjects",
                allowed="one row a subject: a test counts patients, not moments",
                next_step="keep one time of each subject",
            )
        )
    cells = _cells(clusters, concepts)
    if cells.is_empty():
        return pl.DataFrame(schema=DESCRIPTIONS)
    n, inside, having, both = (
        cells[name].to_numpy().astype(np.int64) for name in ("n", "n_subjects", "n_having", "n_with")
    )
    p_value = np.clip(hypergeom.sf(both - 1, n, having, inside), 0.0, 1.0)
    odds = (both + 0.5) * (n - inside - having + both + 0.5) / ((inside - both + 0.5) * (having - both + 0.5))
    found = cells.with_columns(
        pl.Series("p_value", p_value),
        pl.Series("q_value", false_discovery_control(p_value)),
        pl.Series("odds_ratio", odds),
        pl.Series("share", both / inside),
        pl.Series("share_elsewhere", (having - both) / np.maximum(n - inside, 1)),
    ).filter((pl.col("q_value") <= max_q) & (pl.col("odds_ratio") > 1) & (pl.col("n_with") >= MIN_CELL))
    told = _most_telling(found)
    told = told.with_columns(
        pl.Series("label", [label_of(concept) for concept in told["concept"]], dtype=pl.String)
    )
    return _without_small(told.sort("cluster", "p_value", "concept", maintain_order=True))


def _cells(clusters: pl.DataFrame, concepts: pl.DataFrame) -> pl.DataFrame:
    """Of each large cluster and each concept that enough patients have: how many there are of each kind."""
    of = concepts.join(clusters.select("subject_id", "cluster"), on="subject_id")
    sizes = clusters.group_by("cluster").agg(pl.len().cast(pl.Int64).alias("n_subjects"))
    having = of.group_by("concept").agg(pl.len().cast(pl.Int64).alias("n_having"))
    both = of.group_by("cluster", "concept").agg(pl.len().cast(pl.Int64).alias("n_with"))
    return (
        sizes.filter(pl.col("n_subjects") >= MIN_CELL)
        .join(having.filter(pl.col("n_having") >= MIN_CELL), how="cross")
        .join(both, on=["cluster", "concept"], how="left")
        .with_columns(pl.col("n_with").fill_null(0), n=pl.lit(clusters.height, pl.Int64))
        .sort("cluster", "concept")
    )


def _most_telling(found: pl.DataFrame) -> pl.DataFrame:
    """Of each line of concepts in a cluster, those that no other stands for."""
    above = {code: set(line[1:]) for code, line in concepts_of(found["concept"].unique().to_list()).items()}
    kept: list[bool] = []
    for (_,), cluster in found.group_by("cluster", maintain_order=True):
        rows = cluster.select("concept", "odds_ratio", "n_with").rows()
        for concept, odds, n_with in rows:
            gives_way = any(
                (concept in above[other] and other_n >= EXPLAINS * n_with and other_odds >= odds)
                or (other in above[concept] and other_odds > odds)
                for other, other_odds, other_n in rows
                if other != concept
            )
            kept.append(not gives_way)
    return found.filter(pl.Series(kept, dtype=pl.Boolean))


def _without_small(told: pl.DataFrame) -> pl.DataFrame:
    """What small groups could be found from is null.

    Such are the few of a cluster who lack what nearly all have, and the few elsewhere who have it.
    """
    lacking = pl.col("n_subjects") - pl.col("n_with")
    elsewhere = pl.col("n_having") - pl.col("n_with")
    is_inside = (lacking > 0) & (lacking < MIN_CELL)
    is_outside = (elsewhere > 0) & (elsewhere < MIN_CELL)

    def shown(name: str, is_hidden: pl.Expr) -> pl.Expr:
        """A column, null where it is hidden."""
        return pl.when(is_hidden).then(None).otherwise(pl.col(name)).alias(name)

    hidden = told.with_columns(
        shown("n_with", is_inside),
        shown("share", is_inside),
        shown("share_elsewhere", is_outside),
        shown("odds_ratio", is_inside | is_outside),
        shown("p_value", is_inside | is_outside),
    )
    return hidden.select(pl.col(name).cast(dtype) for name, dtype in DESCRIPTIONS.items())
