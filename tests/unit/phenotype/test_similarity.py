"""Similar patients: equal to brute force, never the patient itself; the graph nearly as good."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ontology.errors import ConfigurationError, InputError
from phenotype.deep_phenotypes import DEEP_PHENOTYPES, read_deep_phenotypes, state_matrix, with_states
from phenotype.similarity import EXACT_LIMIT, make_index, similar_patients

DAY = datetime(2020, 1, 1)


def moments(states: np.ndarray, subjects: list[int]) -> pl.DataFrame:
    """Deep phenotypes, the n-th row of a subject n days after DAY."""
    seen: dict[int, int] = {}
    times = []
    for subject in subjects:
        seen[subject] = seen.get(subject, 0) + 1
        times.append(DAY + timedelta(days=seen[subject]))
    return with_states(pl.DataFrame({"subject_id": subjects, "time": times}), states)


def by_hand(table: pl.DataFrame, k: int) -> dict[int, list[tuple[int, float]]]:
    """The k nearest other subjects of each subject's first row, by a loop over all pairs in float64."""
    states = state_matrix(table).astype(np.float64)
    scaled = (states - states.mean(0)) / states.std(0)
    subjects = table["subject_id"].to_list()
    answers = {}
    for i, subject in enumerate(subjects):
        if subject in answers:
            continue
        best: dict[int, float] = {}
        for j, other in enumerate(subjects):
            cosine = float(scaled[i] @ scaled[j] / np.linalg.norm(scaled[i]) / np.linalg.norm(scaled[j]))
            if other != subject:
                best[other] = max(best.get(other, -2.0), cosine)
        answers[subject] = sorted(best.items(), key=lambda one: -one[1])[:k]
    return answers


@pytest.mark.parametrize("method", ["exact", "approximate"])
def test_it_finds_what_a_loop_over_all_pairs_finds(method: str) -> None:
    draw = np.random.default_rng(3)
    table = moments(draw.normal(size=(120, 6)), [n // 3 for n in range(120)])
    first = table.group_by("subject_id", maintain_order=True).first()
    found = similar_patients(make_index(table, method), first, 4)  # type: ignore[arg-type]
    for subject, expected in by_hand(table, 4).items():
        of = found.filter(pl.col("subject_id") == subject)
        assert of["rank"].to_list() == [1, 2, 3, 4]
        assert of["similar_subject_id"].to_list() == [one for one, _ in expected]
        assert of["similarity"].to_list() == pytest.approx([cosine for _, cosine in expected], abs=1e-5)


def test_nobody_resembles_himself_and_few_answers_are_told_as_few() -> None:
    table = moments(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), [1, 1, 2])
    found = similar_patients(make_index(table), table, 5)
    assert found.select("subject_id", "similar_subject_id").rows() == [(1, 2), (1, 2), (2, 1)]
    alone = moments(np.array([[1.0, 2.0]]), [1])
    assert similar_patients(make_index(alone), alone, 3).is_empty()


def test_the_order_of_rows_changes_nothing_and_ties_go_to_the_smaller_subject() -> None:
    draw = np.random.default_rng(5)
    states = draw.normal(size=(40, 4)).round(1)
    table = moments(np.concatenate([states, states]), list(range(80)))
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=1)
    one = similar_patients(make_index(table), table, 3)
    two = similar_patients(make_index(shuffled), shuffled, 3)
    assert one.equals(two)
    nearest = one.filter(pl.col("rank") == 1)
    assert (nearest["similar_subject_id"] - nearest["subject_id"]).abs().unique().to_list() == [40]


def test_the_graph_recalls_at_least_95_of_100_true_neighbours() -> None:
    draw = np.random.default_rng(8)
    centres = draw.normal(size=(50, 32))
    states = centres[draw.integers(0, 50, 5000)] + 0.7 * draw.normal(size=(5000, 32))
    table = moments(states, list(range(5000)))
    asked = table.head(100)
    pairs = [
        set(
            similar_patients(make_index(table, method), asked, 10)
            .select("subject_id", "similar_subject_id")
            .rows()
        )
        for method in ("exact", "approximate")
    ]
    assert len(pairs[0] & pairs[1]) / len(pairs[0]) >= 0.95


def test_the_method_follows_from_the_number_of_rows() -> None:
    assert EXACT_LIMIT == 100_000
    few = moments(np.zeros((3, 2)), [1, 2, 3])
    assert make_index(few).method == "exact"
    assert make_index(few, "approximate").method == "approximate"


def test_states_of_another_model_are_refused() -> None:
    index = make_index(moments(np.eye(3), [1, 2, 3]))
    with pytest.raises(ConfigurationError, match="another model"):
        similar_patients(index, moments(np.eye(2), [1, 2]), 1)


def test_a_table_survives_the_disk_and_faults_are_told(tmp_path: Path) -> None:
    table = moments(np.arange(6.0).reshape(3, 2), [3, 1, 2])
    table.write_parquet(tmp_path / "deep_phenotypes.parquet")
    read = read_deep_phenotypes(tmp_path / "deep_phenotypes.parquet")
    assert read.schema == DEEP_PHENOTYPES
    assert read["subject_id"].to_list() == [1, 2, 3]
    assert state_matrix(read).tolist() == [[2, 3], [4, 5], [0, 1]]
    table.drop("state").write_parquet(tmp_path / "other.parquet")
    moments(np.array([[1.0, np.nan]]), [1]).write_parquet(tmp_path / "nan.parquet")
    for name, what in (("absent", "no deep"), ("other", "columns are missing"), ("nan", "no numbers")):
        with pytest.raises(InputError, match=what):
            read_deep_phenotypes(tmp_path / f"{name}.parquet")
    uneven = pl.DataFrame({"subject_id": [1, 2], "time": [DAY, DAY], "state": [[1.0], [1.0, 2.0]]})
    with pytest.raises(InputError, match="of one model"):
        state_matrix(uneven)
