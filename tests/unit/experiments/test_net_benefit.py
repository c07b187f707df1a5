"""Decision curves equal those of dcurves and a count by hand."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.net_benefit import net_benefit, net_benefit_curve
from experiments.scored import ScoredRows, score_rows

EXAMPLE = Path(__file__).parents[2] / "examples" / "net_benefit"


def scored(patients: pl.DataFrame) -> ScoredRows:
    return score_rows(
        patients.select(
            "subject_id",
            pl.lit(datetime(2020, 1, 1)).alias("prediction_time"),
            pl.col("outcome").cast(pl.Boolean).alias("boolean_value"),
            pl.col("risk").cast(pl.Float64).alias("predicted_boolean_probability"),
        )
    )


def test_the_curve_is_that_of_dcurves() -> None:
    rows = scored(pl.read_csv(EXAMPLE / "predictions.csv"))
    expected = pl.read_csv(EXAMPLE / "expected.csv")
    thresholds = expected["threshold"].to_numpy()
    assert net_benefit(rows, thresholds) == pytest.approx(expected["model"].to_numpy(), abs=1e-9)
    curve = net_benefit_curve(rows, thresholds.tolist())
    assert curve["treat_all"] == pytest.approx(expected["treat_all"].to_list(), abs=1e-6)


def test_a_count_by_hand() -> None:
    patients = pl.DataFrame(
        {"subject_id": [1, 2, 3, 4], "outcome": [1, 0, 1, 0], "risk": [0.8, 0.5, 0.2, 0.1]}
    )
    found = net_benefit(scored(patients), np.array([0.2, 0.5, 0.9]))
    # at 0.2: 2 true, 1 false: 2/4 - 1/4 * 1/4; at 0.5: 1 and 1: 1/4 - 1/4 * 1; at 0.9 nobody
    assert found == pytest.approx([0.4375, 0.0, 0.0])


def test_acting_at_a_threshold_below_every_risk_is_acting_on_everybody() -> None:
    rows = scored(pl.read_csv(EXAMPLE / "predictions.csv").filter(pl.col("risk") > 0))
    curve = net_benefit_curve(rows, [0.005])
    assert curve["model"] == curve["treat_all"]
