"""NEWS2, qSOFA and SOFA at prediction times, from what was known in the 24 hours before.

NEWS2 and qSOFA read the last measurement, SOFA the worst. A component without a measurement gives no points
and is not counted; a row without any component has no score.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import polars as pl

from ontology.errors import ConfigurationError, Problem
from phenotype.feature_spec import FeatureSpec
from phenotype.features import build_features
from phenotype.score_codes import ScoreCodes, component_events, load_score_codes
from phenotype.score_points import SCORES, Score

LOOK_BACK = "24h"
ROUNDED_DIGITS = 4
"""Values are stored as float32; a dose of 0.1 must not lie above 0.1."""


def score_rows(
    events: pl.LazyFrame, rows: pl.DataFrame, score: str, codes: ScoreCodes | None = None
) -> pl.DataFrame:
    """A severity score at each prediction time.

    Args:
        events: columns of EVENTS.
        rows: subject_id, prediction_time; unique.
        score: one of SCORES.
        codes: which codes feed which component; None = the shipped map.

    Returns:
        subject_id, prediction_time, score (null where no component was measured) and n_components (how many
        were), in the order of `rows`.

    Raises:
        ConfigurationError: no such score.
    """
    if score not in SCORES:
        raise ConfigurationError(
            Problem("no such score", found=score, allowed=", ".join(SCORES), next_step="name one of these")
        )
    wanted = SCORES[score]
    measured = component_events(events, codes or load_score_codes(), wanted.components)
    measured = pl.concat([measured, _mean_pressure(measured), _oxygenation(measured)])
    columns = _aggregates(measured, rows, wanted)
    parts = columns.select(
        "subject_id", "prediction_time", *(points.alias(n) for n, points in wanted.points().items())
    )
    names = parts.columns[2:]
    n_components = pl.sum_horizontal(pl.col(name).is_not_null() for name in names).cast(pl.Int64)
    total = reduce(add, (pl.col(name).fill_null(0) for name in names)).cast(pl.Float64)
    return parts.select(
        "subject_id",
        "prediction_time",
        pl.when(n_components > 0).then(total).alias("score"),
        n_components.alias("n_components"),
    )


def _mean_pressure(measured: pl.DataFrame) -> pl.DataFrame:
    """Mean arterial pressure, (systolic + 2 diastolic) / 3, where both were known at one instant."""
    keys = ["subject_id", "known_time"]
    systolic, diastolic = (
        measured.filter(pl.col("code") == name).group_by(keys).agg(pl.col("numeric_value").min().alias(name))
        for name in ("systolic_bp", "diastolic_bp")
    )
    mean = (pl.col("systolic_bp") + 2 * pl.col("diastolic_bp")) / 3
    both = systolic.join(diastolic, on=keys)
    return both.select(*keys, pl.lit("mean_bp").alias("code"), mean.alias("numeric_value"))


def _oxygenation(measured: pl.DataFrame) -> pl.DataFrame:
    """PaO2 / FiO2 in kPa: each PaO2 over the FiO2 last known, at most a day older."""
    pressures, fractions = (
        measured.filter(pl.col("code") == name).sort("subject_id", "known_time", "numeric_value")
        for name in ("pao2", "fio2")
    )
    paired = pressures.join_asof(
        fractions.select("subject_id", "known_time", pl.col("numeric_value").alias("fraction")),
        on="known_time",
        by="subject_id",
        strategy="backward",
        tolerance=LOOK_BACK,
        check_sortedness=False,
    ).drop_nulls("fraction")
    ratio = pl.col("numeric_value") / pl.col("fraction")
    return paired.select("subject_id", "known_time", pl.lit("oxygenation").alias("code"), ratio)


def _aggregates(measured: pl.DataFrame, rows: pl.DataFrame, score: Score) -> pl.DataFrame:
    """Rows with "<component>_<aggregation>" over the look-back and "<component>_count_ever".

    What was not measured is null; its counts and sums are 0 where any row has the component.
    """
    components = (*score.components, "oxygenation")
    spec = FeatureSpec(
        windows=(LOOK_BACK, "full"),
        aggregations=("count", *score.aggregations),
        exclude=(),
        static=False,
        age=False,
    )
    events = measured.lazy().select(
        "subject_id",
        pl.col("known_time").alias("time"),
        "known_time",
        "code",
        pl.col("numeric_value").cast(pl.Float32),
    )
    matrix = build_features(events.filter(pl.col("code").is_in(components)), rows, spec)
    held = matrix.columns["name"].to_list()
    cells = dict(zip(held, matrix.dense().T, strict=True))
    nothing = np.full(rows.height, np.nan, dtype=np.float32)
    columns = {}
    for component in components:
        columns[f"{component}_count_ever"] = cells.get(f"{component} · count · full", nothing)
        for aggregation in spec.aggregations:
            name = f"{component} · {aggregation} · {LOOK_BACK}"
            columns[f"{component}_{aggregation}"] = cells.get(name, nothing)
    rounded = pl.all().cast(pl.Float64).round(ROUNDED_DIGITS).fill_nan(None)
    return pl.concat([matrix.rows, pl.DataFrame(columns).select(rounded)], how="horizontal")
