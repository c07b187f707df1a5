"""Ward scores: the latest score known, a stated rule where there is none, and the logistic link."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from ontology.errors import TaskError
from phenotype.cases import ROWS, Cases
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.ward import WardConfig, find_scores, fit_ward

CONFIG = WardConfig(score="SCORE//TEST")


def _cases(path: Path, events: list[tuple[object, ...]], rows: list[tuple[object, ...]]) -> Cases:
    (path / "data").mkdir()
    names = ["subject_id", "time", "code", "numeric_value", "known_time"]
    frame = pl.DataFrame(events, schema={name: EVENTS[name] for name in names}, orient="row")
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in names]
    frame.with_columns(missing).select(EVENTS.names()).write_parquet(path / "data" / "0.parquet")
    return Cases(open_dataset(path), pl.DataFrame(rows, schema=ROWS, orient="row"))


def test_the_latest_score_known_at_the_prediction_counts(tmp_path: Path) -> None:
    day = [datetime(2000, 1, number) for number in range(1, 9)]
    events = [
        (1, day[1], "SCORE//TEST", 3.0, None),
        (1, day[2], "SCORE//TEST", 5.0, day[5]),  # taken on day 3, known on day 6
        (2, None, "SCORE//TEST", 7.0, None),
        (3, day[3], "SCORE//OTHER", 1.0, None),
        (4, day[3], "SCORE//TEST", None, None),
        (5, day[3], "SCORE//TEST", 2.0, None),
        (5, day[3], "SCORE//TEST", 4.0, None),
    ]
    rows = [(1, day[0], None), (1, day[1], None), (1, day[4], None), (1, day[5], None)]
    rows += [(subject, day[4], None) for subject in (2, 3, 4, 5)]
    scores = find_scores(_cases(tmp_path, events, rows), "SCORE//TEST")
    np.testing.assert_array_equal(scores, [np.nan, 3, 3, 5, 7, np.nan, np.nan, 4])


def test_the_link_is_the_maximum_likelihood_one(planted) -> None:
    model = fit_ward(
        planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, CONFIG, seed=0
    )
    scores = model.scores(planted.train)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(
        scores[:, None], planted.train_labels
    )
    assert model.slope == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
    assert model.intercept == pytest.approx(fitted.intercept_[0], rel=1e-4)


@pytest.mark.parametrize(("missing", "rule"), [("median", np.nanmedian), ("lowest", np.nanmin)])
def test_a_row_without_a_score_has_the_one_that_the_rule_states(planted, missing, rule) -> None:
    model = fit_ward(
        planted.train,
        planted.train_labels,
        planted.tuning,
        planted.tuning_labels,
        WardConfig(score="SCORE//TEST", missing=missing),
        seed=0,
    )
    found = find_scores(planted.train, "SCORE//TEST")
    assert np.isnan(found).any()
    assert model.filler == rule(found)
    assert (model.scores(planted.train)[np.isnan(found)] == model.filler).all()


def test_a_score_that_no_row_has_is_refused(planted) -> None:
    with pytest.raises(TaskError, match="no training row has the score"):
        fit_ward(
            planted.train,
            planted.train_labels,
            planted.tuning,
            planted.tuning_labels,
            WardConfig(score="SCORE//NONE"),
            seed=0,
        )


def test_a_computed_score_is_read_from_the_events(tmp_path: Path) -> None:
    # NEWS2 (Royal College of Physicians 2017): respiratory rate 26 gives 3 points, heart rate 120 gives 2.
    at = datetime(2000, 1, 2)
    events = [
        (1, at, "VITAL//respiratory_rate", 26.0, None),
        (1, at, "VITAL//heart_rate", 120.0, None),
        (2, at, "LAB//SIGNAL", 1.0, None),
    ]
    cases = _cases(
        tmp_path, events, [(1, datetime(2000, 1, 2, 12), None), (2, datetime(2000, 1, 2, 12), None)]
    )
    np.testing.assert_array_equal(find_scores(cases, "NEWS2"), [5, np.nan])
