"""Clusters are found again, described by what over-represents them, and tell no small counts."""

from __future__ import annotations

from datetime import datetime
from math import comb

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from ontology.errors import ConfigurationError
from phenotype.clusters import cluster_states, describe_clusters, history_concepts
from phenotype.deep_phenotypes import with_states
from phenotype.trajectory import EVENTS, Dataset

NOW = datetime(2020, 1, 1)


def clusters_of(sizes: list[int]) -> pl.DataFrame:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return pl.DataFrame(
        {"subject_id": np.arange(len(labels)), "time": [NOW] * len(labels), "cluster": labels},
        schema_overrides={"cluster": pl.Int32},
    )


def having(concept: str, subjects: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"subject_id": subjects, "concept": [concept] * len(subjects)})


def test_planted_groups_are_found_and_numbered_by_size_whatever_the_order_of_rows() -> None:
    draw = np.random.default_rng(0)
    planted = np.repeat([0, 1, 2], [200, 120, 80])
    states = 3 * draw.normal(size=(3, 8))[planted] + draw.normal(size=(400, 8))
    rows = pl.DataFrame({"subject_id": np.arange(400), "time": [NOW] * 400})
    table = with_states(rows, states)
    found = cluster_states(table, 3, seed=1)
    assert adjusted_rand_score(planted, found["cluster"]) > 0.95
    assert found["cluster"].value_counts().sort("cluster")["count"].is_sorted(descending=True)
    assert cluster_states(table.sample(fraction=1, shuffle=True, seed=2), 3, seed=1).equals(found)
    with pytest.raises(ConfigurationError, match="more clusters"):
        cluster_states(table.head(2), 3, seed=1)


def test_p_values_and_odds_are_those_of_a_hand_worked_table() -> None:
    """20 patients, 8 of them in cluster 0; 9 have the code, 7 of these in cluster 0."""
    concepts = having("X//a", [0, 1, 2, 3, 4, 5, 6, 8, 9])
    found = describe_clusters(clusters_of([8, 12]), concepts, max_q=1.0)
    # P(7 or 8 of 8 draws | 9 of 20 have it), counted by combinations
    expected = sum(comb(9, k) * comb(11, 8 - k) for k in (7, 8)) / comb(20, 8)
    row = found.filter(pl.col("concept") == "X//a").row(0, named=True)
    assert row["q_value"] == pytest.approx(2 * expected)  # two tests: this concept in two clusters
    assert row["n_subjects"] == 8
    # one patient of the cluster lacks it and two elsewhere have it: both would be found from the figures
    assert (row["n_with"], row["share"], row["share_elsewhere"], row["odds_ratio"]) == (None,) * 4
    wide = describe_clusters(clusters_of([40, 60]), having("X//a", [*range(30), *range(40, 50)]))
    row = wide.row(0, named=True)
    assert row["odds_ratio"] == pytest.approx(30.5 * 50.5 / (10.5 * 10.5))
    assert (row["n_with"], row["share"]) == (30, 0.75)
    assert row["share_elsewhere"] == pytest.approx(10 / 60)


def test_chance_is_not_told() -> None:
    draw = np.random.default_rng(4)
    parts = [having(f"X//{n}", sorted(draw.choice(400, 120, replace=False).tolist())) for n in range(60)]
    assert describe_clusters(clusters_of([200, 120, 80]), pl.concat(parts)).is_empty()


def test_of_a_line_of_concepts_the_most_telling_is_told() -> None:
    narrow = having("ICD10-NO//A41.9", list(range(40)))
    # the chapter holds the same patients and some elsewhere: the code says more
    broad = having("ICD10-NO//A41", [*range(40), *range(100, 120)])
    codes = describe_clusters(clusters_of([60, 140]), pl.concat([narrow, broad]))["concept"].to_list()
    assert codes == ["ICD10-NO//A41.9"]
    # half of the cluster has either of two codes and nobody else the category: the category says more
    either = [
        having("ICD10-NO//A41.9", [*range(25), 70, 71, 72, 73, 74]),
        having("ICD10-NO//A41.0", list(range(25, 50))),
    ]
    both = having("ICD10-NO//A41", [*range(50), 70, 71, 72, 73, 74])
    codes = describe_clusters(clusters_of([60, 140]), pl.concat([*either, both]))["concept"].to_list()
    assert "ICD10-NO//A41" in codes
    assert "ICD10-NO//A41.9" not in codes


def test_small_clusters_and_small_counts_are_not_told() -> None:
    assert describe_clusters(clusters_of([4, 100]), having("X//a", [0, 1, 2, 3]), max_q=1.0).is_empty()
    assert describe_clusters(clusters_of([50, 100]), having("X//a", [0, 1, 2, 3]), max_q=1.0).is_empty()


def test_patients_are_counted_not_moments() -> None:
    twice = pl.concat([clusters_of([6, 6]), clusters_of([6, 6])])
    with pytest.raises(ConfigurationError, match="several rows"):
        describe_clusters(twice, having("X//a", [0]))


def test_concepts_are_what_was_known_by_the_time_with_all_that_stands_above(tmp_path: object) -> None:
    late = datetime(2020, 1, 2)
    rows = [
        (1, NOW, "ICD10-NO//A41.9", None),
        (1, NOW, "ICD10-NO//J18.9", late),
        (2, None, "SEX//male", None),
        (3, NOW, "ICD10-NO//A41.9", None),
    ]
    frame = pl.DataFrame(rows, schema=["subject_id", "time", "code", "known_time"], orient="row")
    frame = frame.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in EVENTS.items() if name not in frame.columns
    ).select(pl.col(name).cast(kind) for name, kind in EVENTS.items())
    folder = tmp_path / "data"  # type: ignore[operator]
    folder.mkdir()
    frame.write_parquet(folder / "0.parquet")
    moments = pl.DataFrame({"subject_id": [1, 2], "time": [NOW, NOW]})
    found = history_concepts(Dataset(tmp_path), moments)  # type: ignore[arg-type]
    of = {subject: set(part["concept"]) for (subject,), part in found.group_by("subject_id")}
    assert set(of) == {1, 2}
    assert {"ICD10-NO//A41.9", "ICD10-NO//A41"} <= of[1]
    assert not any("J18" in concept for concept in of[1])
    assert "SEX//male" in of[2]
