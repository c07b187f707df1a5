"""NEWS2, qSOFA and SOFA at prediction times, from what was known in the 24 hours before.

NEWS2 and qSOFA read the last measurement, SOFA the worst. A component without a measurement gives no points
and is not counted; a row without any component has no score.
"""

from __future__ import annotations

import polars as pl

from phenotype.scores.codes import ScoreCodes
from phenotype.scores.course import score_course


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
    instant = pl.col("prediction_time")
    windows = rows.select("subject_id", instant.alias("start_time"), instant.alias("end_time"))
    course = score_course(events, score, windows=windows, codes=codes, clock="known_time")
    return (
        rows.select("subject_id", "prediction_time")
        .join(
            course.rename({"time": "prediction_time"}),
            on=["subject_id", "prediction_time"],
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("n_components").fill_null(0))
    )
