"""A pretrained population-wide model put to use: risks, states, similar patients, clusters, as files."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem, TaskError
from phenotype.cases import Cases
from phenotype.clusters import cluster_states, describe_clusters, history_concepts
from phenotype.deep_phenotypes import deep_phenotypes, last_moments, read_deep_phenotypes
from phenotype.report.suppression import MIN_CELL, shown_count
from phenotype.similarity import make_index, similar_patients
from phenotype.task_parts import LONGEST_HOURS
from phenotype.trajectory import INSTANT, Dataset, open_dataset
from pipelines.places import check_folder

RISKS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": INSTANT,
        "concept": pl.String(),
        "horizon_hours": pl.Float64(),
        "risk": pl.Float64(),
    }
)
HOURS = {"h": 1.0, "d": 24.0, "w": 168.0, "y": 8766.0}
_HORIZON = re.compile(r"(\d+(?:\.\d+)?)\s*([hdwy])")
TOLD_CONCEPTS = 3
logger = logging.getLogger(__name__)


def hours_of(horizon: str) -> float:
    """Hours of a horizon such as 24h, 30d, 4w, 5y.

    Raises:
        ConfigurationError: it is written otherwise, is not above 0, or is longer than a life.
    """
    match = _HORIZON.fullmatch(horizon.strip())
    hours = float(match[1]) * HOURS[match[2]] if match else 0.0
    if 0 < hours <= LONGEST_HOURS:
        return hours
    raise ConfigurationError(
        Problem(
            "not a horizon",
            where="--horizon",
            found=horizon,
            allowed="a number above 0 with h, d, w or y, at most 150y: 24h, 30d, 4w, 5y",
            next_step="write the horizon so",
        )
    )


def rows_of(dataset: Dataset, task: str | None) -> pl.DataFrame:
    """The times that are asked about: a task's prediction rows, or where each subject's record ends.

    Raises:
        ConfigurationError: no such task.
        TaskError: the dataset has no such row.
    """
    if task is None:
        rows = last_moments(dataset)
    else:
        from phenotype.labels import find_outcomes
        from phenotype.tasks import load_task
        from pipelines.score import prediction_rows

        rows = prediction_rows(find_outcomes(dataset, load_task(task))[0])
    if rows.is_empty():
        raise TaskError(
            Problem(
                "nobody in this dataset is asked about",
                where=f"task {task}" if task else "dataset",
                found="0 rows",
                allowed="subjects with dated events, whom the task asks about",
                next_step="name another task, or check the dataset",
            )
        )
    return rows


class Lacking(NamedTuple):
    """What subjects that are asked for may lack, where, and what to do about it."""

    what: str
    where: str
    next_step: str


def rows_of_subjects(table: pl.DataFrame, subjects: Sequence[int], lacking: Lacking) -> pl.DataFrame:
    """The rows of the subjects that are asked for; how many have none is told, never who.

    Raises:
        InputError: none of them has a row.
    """
    asked = pl.Series("subject_id", sorted(set(subjects)), dtype=pl.Int64, strict=False).drop_nulls()
    rows = table.filter(pl.col("subject_id").is_in(asked.implode()))
    n_asked, n_found = len(set(subjects)), rows["subject_id"].n_unique()
    found = f"{n_asked - n_found:,} of {n_asked:,} subjects asked for"
    if not n_found:
        raise InputError(
            Problem(
                f"none of these subjects has {lacking.what} here",
                where=lacking.where,
                found=f"{found} have none; {table['subject_id'].n_unique():,} other subjects have",
                allowed="subject ids that are there",
                next_step=lacking.next_step,
            )
        )
    if n_found < n_asked:
        logger.warning(
            "%s have no %s here and are left out: %s",
            found,
            lacking.what.removeprefix("a "),
            lacking.next_step,
        )
    return rows


def query_risks(  # noqa: PLR0917 what is asked of whom, and where the answer goes
    model: Path, dataset: Path, concepts: Sequence[str], horizons: Sequence[str], task: str | None, out: Path
) -> int:
    """Write P(concept recorded within horizon) of every row, all pairs in one pass.

    Returns:
        How many subjects' times were asked about.

    Raises:
        BundleError: no pretrained model there.
        ConfigurationError: concepts that it does not foretell, or horizons that cannot be read.
    """
    from experiments.run_folder import write_frame
    from phenotype.networks.population import load_population

    hours = [hours_of(horizon) for horizon in horizons]
    population = load_population(model)
    population.places(concepts)
    opened = open_dataset(dataset)
    cases = Cases(opened, rows_of(opened, task))
    asked = [(concept, hour) for concept in concepts for hour in hours]
    risks = population.risks(cases, asked)
    keys = cases.rows.select("subject_id", "prediction_time")
    parts = [
        keys.with_columns(
            pl.lit(concept).alias("concept"),
            pl.lit(hour).alias("horizon_hours"),
            pl.Series("risk", risks[:, number]),
        )
        for number, (concept, hour) in enumerate(asked)
    ]
    told = pl.concat(parts).select(pl.col(name).cast(kind) for name, kind in RISKS.items())
    write_frame(told.sort("subject_id", "prediction_time", "concept", "horizon_hours"), out)
    return cases.rows.height


def export_states(model: Path, dataset: Path, task: str | None, out: Path) -> int:
    """Write the deep phenotype of every row.

    Returns:
        How many rows.
    """
    from experiments.run_folder import write_frame
    from phenotype.networks.population import load_population

    opened = open_dataset(dataset)
    population = load_population(model)
    table = deep_phenotypes(population, Cases(opened, rows_of(opened, task)))
    write_frame(table, out)
    return table.height


def export_futures(  # noqa: PLR0917 whose futures, how many, until when, by which chance
    model: Path, dataset: Path, subjects: Sequence[int], n: int, horizon: str, seed: int, out: Path
) -> int:
    """Write n sampled futures of some subjects from where records end; unknown ones are counted, and told.

    Returns:
        How many events were drawn.

    Raises:
        InputError: none of the subjects has a dated event.
    """
    from experiments.run_folder import write_frame
    from phenotype.futures import sample_futures
    from phenotype.networks.population import load_population

    hours = hours_of(horizon)
    population = load_population(model)
    opened = open_dataset(dataset)
    lacking = Lacking(
        "a dated event", str(dataset), "check the ids; the dataset's subjects stand in data/<shard>.parquet"
    )
    rows = rows_of_subjects(last_moments(opened), subjects, lacking)
    futures = sample_futures(population, Cases(opened, rows), n, hours, seed)
    write_frame(futures, out)
    return futures.height


def find_similar(
    states: Path,
    subjects: Sequence[int] | None,
    k: int,
    method: Literal["auto", "exact", "approximate"],
    out: Path,
) -> int:
    """Write the k most similar other patients of some subjects, or of all; how many are unknown is told.

    Returns:
        How many rows were asked about.

    Raises:
        InputError: none of the subjects is in the file.
    """
    from experiments.run_folder import write_frame

    table = read_deep_phenotypes(states)
    lacking = Lacking(
        "a deep phenotype", str(states), "check the ids, or export their states: `pesta population states`"
    )
    asked = table if subjects is None else rows_of_subjects(table, subjects, lacking)
    if asked.is_empty():
        raise InputError(
            Problem(
                "nobody has a deep phenotype here",
                where=str(states),
                found="0 states",
                allowed="at least one",
                next_step="export states: `pesta population states`",
            )
        )
    write_frame(similar_patients(make_index(table, method), asked, k), out)
    return asked.height


def make_clusters(states: Path, dataset: Path, n_clusters: int, seed: int, out: Path) -> list[str]:
    """Write clusters.parquet and descriptions.parquet into a folder; each subject's latest state counts.

    Returns:
        One line a cluster, the largest first; small counts are not told.

    Raises:
        ConfigurationError: `out` is a file.
    """
    from experiments.run_folder import write_frame

    check_folder(out, what="clusters")
    table = read_deep_phenotypes(states).group_by("subject_id", maintain_order=True).last()
    clusters = cluster_states(table, n_clusters, seed)
    descriptions = describe_clusters(clusters, history_concepts(open_dataset(dataset), clusters))
    out.mkdir(parents=True, exist_ok=True)
    write_frame(clusters, out / "clusters.parquet")
    write_frame(descriptions, out / "descriptions.parquet")
    sizes = clusters.group_by("cluster").len().sort("cluster")
    return [_line(cluster, size, descriptions) for cluster, size in sizes.iter_rows()]


def _line(cluster: int, size: int, descriptions: pl.DataFrame) -> str:
    if size < MIN_CELL:
        return f"cluster {cluster}: {shown_count(size)} patients"
    told = descriptions.filter(pl.col("cluster") == cluster).head(TOLD_CONCEPTS)
    words = ", ".join(
        label if odds is None else f"{label} (odds x {odds:.1f})"
        for label, odds in told.select("label", "odds_ratio").iter_rows()
    )
    return f"cluster {cluster}: {size:,} patients: {words or 'nothing over-represented'}"
