"""What came of rows: from labels alone, and from outcomes with what competes and what is not known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotype.networks.targets import RowTargets
from phenotype.outcomes import OUTCOMES


def outcomes(rows: list[tuple[str | None, float | None, float | None]]) -> pl.DataFrame:
    """OUTCOMES of (event, event_hours, censored_hours)."""
    names = {"event": pl.String, "event_hours": pl.Float64, "censored_hours": pl.Float64}
    frame = pl.DataFrame(rows, schema=names, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in OUTCOMES.items() if name not in names]
    return frame.with_columns(absent).select(OUTCOMES.names())


def test_outcomes_say_what_came_first_and_when() -> None:
    found = RowTargets.of_outcomes(
        np.array([True, False, False, False, True]),
        outcomes(
            [
                ("sepsis", 5.0, None),
                ("death", 7.0, None),
                (None, None, None),
                ("censored", None, 3.0),
                ("sepsis", None, None),
            ]
        ),
        24.0,
    )
    assert found.event.tolist() == [1, 2, 0, 0, 1]
    assert found.hours.tolist() == [5.0, 7.0, 24.0, 3.0, 24.0]
    assert found.weight.tolist() == [1.0] * 5
    assert found.horizon_hours == 24.0
    assert found.auxiliary.shape == (5, 0)


def test_a_death_that_is_the_outcome_does_not_compete() -> None:
    found = RowTargets.of_outcomes(
        np.array([True, False]), outcomes([("death", 5.0, None), (None, None, None)]), 48
    )
    assert found.event.tolist() == [1, 0]
    assert found.hours.tolist() == [5.0, 48.0]


def test_where_the_stay_is_the_horizon_it_is_the_latest_event() -> None:
    """A stay that ended without the outcome has outlived all hours."""
    rows = outcomes([("death", 90.0, None), ("death", 12.0, None), (None, None, None)])
    found = RowTargets.of_outcomes(np.array([True, True, False]), rows, None)
    assert (found.horizon_hours, found.hours.tolist()) == (90.0, [90.0, 12.0, 90.0])
    nobody = RowTargets.of_outcomes(np.array([False]), outcomes([(None, None, None)]), None)
    assert (nobody.horizon_hours, nobody.event.tolist()) == (1.0, [0])


def test_where_the_stay_is_the_horizon_leaving_it_alive_competes() -> None:
    """Death in the stay, at 12 h; left alive at 40 h, at an hour that nobody noted, and on paper before."""
    rows = outcomes(
        [
            ("death", 12.0, None),
            ("discharge", 40.0, None),
            ("discharge", None, None),
            ("discharge", 0.0, None),
        ]
    )
    found = RowTargets.of_outcomes(np.array([True, False, False, False]), rows, None)
    assert found.horizon_hours == 40.0
    assert found.event.tolist() == [1, 3, 3, 3]
    assert found.hours.tolist() == [12.0, 40.0, 40.0, 0.0]


def test_what_a_record_that_ends_early_does_not_determine() -> None:
    rows = outcomes(
        [("sepsis", 5.0, None), ("death", 7.0, None), (None, None, None), ("censored", None, 3.0)]
    )
    found = RowTargets.of_outcomes(np.array([True, False, False, False]), rows, 24.0)
    assert found.is_determined.tolist() == [True, True, True, False]


def test_labels_alone_say_it_came_by_the_horizon() -> None:
    found = RowTargets.of_labels(np.array([True, False]), 24.0)
    assert (found.event.tolist(), found.hours.tolist(), len(found)) == ([1, 0], [24.0, 24.0], 2)


def test_some_rows_as_tensors() -> None:
    found = RowTargets.of_outcomes(
        np.array([True, False, False]),
        outcomes([("x", 1.0, None), ("death", 2.0, None), (None, None, None)]),
        9.0,
    )
    some = found.take(np.array([2, 0])).tensors(np.array([1]))
    assert [part.tolist() for part in some] == [[1.0], [1], [1.0], [1.0], [[]]]
    assert [str(part.dtype).removeprefix("torch.") for part in some[:4]] == [
        "float32",
        "int64",
        "float32",
        "float32",
    ]


@pytest.mark.parametrize("n_auxiliary", [0, 2])
def test_auxiliary_targets_follow_their_rows(n_auxiliary: int) -> None:
    auxiliary = np.arange(3 * n_auxiliary, dtype=np.float32).reshape(3, n_auxiliary)
    labels = np.zeros(3, dtype=bool)
    plain = RowTargets.of_labels(labels)
    found = RowTargets(labels, plain.event, plain.hours, plain.weight, 1.0, auxiliary)
    assert found.take(np.array([2])).auxiliary.tolist() == auxiliary[2:].tolist()
