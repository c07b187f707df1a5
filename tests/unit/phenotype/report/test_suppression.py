"""No published count points at fewer than five patients, nor can one be found by subtraction."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotype.report.cohort import flow_of, groups_of
from phenotype.report.suppression import hidden_parts, shown_count


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0"), (1, "< 5"), (4, "< 5"), (5, "5"), (12345, "12\u202f345")]
)
def test_counts(count: int, shown: str) -> None:
    assert shown_count(count) == shown


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=8))
def test_a_hidden_part_never_stands_alone(counts: list[int]) -> None:
    hidden = hidden_parts(counts)
    assert all(is_hidden for count, is_hidden in zip(counts, hidden, strict=True) if 0 < count < 5)
    if sum(hidden) == 1:
        assert sum(count > 0 for count in counts) == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), min_size=0, max_size=6), st.integers(5, 400))
def test_no_difference_between_shown_steps_is_small(excluded: list[int], left: int) -> None:
    """Built from the end: what each step leaves is known by hand."""
    sizes = [left + sum(excluded[place:]) for place in range(len(excluded) + 1)]
    steps = [
        {"step": f"step {place}", "n_rows": size, "n_subjects": size, "n_excluded": before}
        for place, (size, before) in enumerate(zip(sizes, [0, *excluded], strict=True))
    ]
    shown = flow_of(steps)
    counts = [int(step.n_rows.replace("\u202f", "")) for step in shown]
    assert counts[-1] == left
    assert all(before - after == 0 or before - after >= 5 for before, after in pairwise(counts))
    said = "; ".join(step.words for step in shown)
    assert all(f"step {place}" in said for place, count in enumerate([1, *excluded]) if count)


def test_groups_hide_small_cells_and_what_would_betray_them() -> None:
    """20 women with 6 outcomes, 3 men with 2: the men are hidden, and so is the women's count."""
    time = dt.datetime(2024, 1, 1)
    people = [("female", place < 6) for place in range(20)] + [("male", place < 2) for place in range(3)]
    rows = pl.DataFrame(
        [
            {
                "subject_id": number,
                "prediction_time": time,
                "boolean_value": positive,
                "sex": sex,
                "age": 67.0,
                "hospital_id": "H",
            }
            for number, (sex, positive) in enumerate(people)
        ]
    )
    everybody, sex, age = groups_of(rows)
    assert everybody.rows[0].n_subjects == "23"
    assert everybody.rows[0].n_positive == "8"
    assert [(row.name, row.n_subjects, row.n_positive, row.share) for row in sex.rows] == [
        ("female", "hidden", "hidden", "–"),
        ("male", "< 5", "< 5", "–"),
    ]
    assert [row.name for row in age.rows] == ["60–69 years"]
    assert age.rows[0].share == "35%"
