"""The points of NEWS2, qSOFA and SOFA, as expressions over the aggregates of their components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

Points = dict[str, pl.Expr]


@dataclass(frozen=True)
class Score:
    """How a score is computed.

    Attributes:
        components: the components of the code map that it reads.
        aggregations: which aggregates of them it reads.
        points: the points of each of its parts, null where nothing was measured.
    """

    components: tuple[str, ...]
    aggregations: tuple[str, ...]
    points: Callable[[], Points]


def _up_to(value: pl.Expr, *bands: tuple[float, int], above: int) -> pl.Expr:
    """The points of the first band whose upper end (inclusive) holds the value; null for a null value."""
    points: pl.Expr = pl.lit(above)
    for upper, band in reversed(bands):
        points = pl.when(value <= upper).then(pl.lit(band)).otherwise(points)
    return pl.when(value.is_not_null()).then(points)


def _below(value: pl.Expr, *bands: tuple[float, int]) -> pl.Expr:
    """The points of the first band whose upper end (exclusive) is above the value, else 0; null for null."""
    points: pl.Expr = pl.lit(0)
    for upper, band in reversed(bands):
        points = pl.when(value < upper).then(pl.lit(band)).otherwise(points)
    return pl.when(value.is_not_null()).then(points)


def _from(value: pl.Expr, *bands: tuple[float, int]) -> pl.Expr:
    """The points of the last band whose lower end (inclusive) the value reaches, else 0; null for null."""
    points: pl.Expr = pl.lit(0)
    for lower, band in bands:
        points = pl.when(value >= lower).then(pl.lit(band)).otherwise(points)
    return pl.when(value.is_not_null()).then(points)


def _is_altered() -> pl.Expr:
    """Whether the patient was last not alert: recorded as such, else a Glasgow coma scale below 15."""
    return pl.coalesce(pl.col("consciousness_last") > 0, pl.col("gcs_last") < 15)


def _news2() -> Points:
    """NEWS2 with SpO2 scale 1; scale 2 is a clinician's prescription, which no code here records.

    **Source:** Royal College of Physicians, National Early Warning Score (NEWS) 2, London 2017, chart 1.
    Values are rounded to the chart's digits.
    """
    whole = {
        name: pl.col(f"{name}_last").round()
        for name in ("respiratory_rate", "spo2", "systolic_bp", "heart_rate")
    }
    has_oxygen = pl.max_horizontal(pl.col("oxygen_flow_last") > 0, pl.col("fio2_last") > 0.21)
    return {
        "breathing": _up_to(whole["respiratory_rate"], (8, 3), (11, 1), (20, 0), (24, 2), above=3),
        "saturation": _up_to(whole["spo2"], (91, 3), (93, 2), (95, 1), above=0),
        "oxygen": has_oxygen.cast(pl.Int32) * 2,
        "pressure": _up_to(whole["systolic_bp"], (90, 3), (100, 2), (110, 1), (219, 0), above=3),
        "pulse": _up_to(whole["heart_rate"], (40, 3), (50, 1), (90, 0), (110, 1), (130, 2), above=3),
        "consciousness": _is_altered().cast(pl.Int32) * 3,
        "temperature": _up_to(
            pl.col("temperature_last").round(1), (35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1), above=2
        ),
    }


def _qsofa() -> Points:
    """Systolic pressure 100 mmHg or less, 22 breaths a minute or more, altered mentation: one point each.

    **Source:** Seymour et al., JAMA 2016;315:762-774, doi 10.1001/jama.2016.0288.
    """
    return {
        "pressure": (pl.col("systolic_bp_last") <= 100).cast(pl.Int32),
        "breathing": (pl.col("respiratory_rate_last") >= 22).cast(pl.Int32),
        "mentation": _is_altered().cast(pl.Int32),
    }


def _sofa() -> Points:
    """SOFA from the worst values of the look-back; urine counts once it was recorded for a whole day.

    **Source:** Vincent et al., Intensive Care Med 1996;22:707-710, doi 10.1007/BF01709751, in SI units:
    PaO2/FiO2 in kPa, bilirubin and creatinine in µmol/L, vasopressors in µg/kg/min. 3 and 4 points for the
    lungs need mechanical support.
    """
    lungs = pl.col("oxygenation_min")
    is_supported = pl.col("ventilation_max").is_not_null()
    worst_lungs = pl.when(is_supported).then(_below(lungs, (13.3, 4), (26.7, 3))).otherwise(pl.lit(0))
    noradrenaline, dopamine = pl.col("noradrenaline_max"), pl.col("dopamine_max")
    is_whole_day = (pl.col("urine_count") > 0) & (pl.col("urine_count_ever") > pl.col("urine_count"))
    whole_day = pl.when(is_whole_day).then(pl.col("urine_sum"))
    return {
        "lungs": pl.max_horizontal(
            _below(lungs, (40, 2), (53.3, 1)), pl.when(lungs.is_not_null()).then(worst_lungs)
        ),
        "platelets": _below(pl.col("platelets_min"), (20, 4), (50, 3), (100, 2), (150, 1)),
        "liver": pl.max_horizontal(
            _from(pl.col("bilirubin_max"), (20, 1), (33, 2), (102, 3)),
            pl.when(pl.col("bilirubin_max") > 204).then(pl.lit(4)),
        ),
        "circulation": pl.max_horizontal(
            _below(pl.col("mean_bp_min"), (70, 1)),
            pl.when(pl.col("dobutamine_max") > 0).then(pl.lit(2)),
            _up_to(dopamine, (5, 2), (15, 3), above=4),
            _up_to(noradrenaline, (0.1, 3), above=4),
        ),
        "brain": _below(pl.col("gcs_min"), (6, 4), (10, 3), (13, 2), (15, 1)),
        "kidneys": pl.max_horizontal(
            _from(pl.col("creatinine_max"), (110, 1), (171, 2), (300, 3)),
            pl.when(pl.col("creatinine_max") > 440).then(pl.lit(4)),
            _below(whole_day, (200, 4), (500, 3)),
        ),
    }


_BREATH_AND_MIND = ("respiratory_rate", "systolic_bp", "consciousness", "gcs")
SCORES = {
    "NEWS2": Score(
        (*_BREATH_AND_MIND, "spo2", "oxygen_flow", "fio2", "heart_rate", "temperature"), ("last",), _news2
    ),
    "qSOFA": Score(_BREATH_AND_MIND, ("last",), _qsofa),
    "SOFA": Score(
        (
            "systolic_bp",
            "diastolic_bp",
            "mean_bp",
            "pao2",
            "fio2",
            "ventilation",
            "platelets",
            "bilirubin",
            "noradrenaline",
            "dopamine",
            "dobutamine",
            "gcs",
            "creatinine",
            "urine",
        ),
        ("min", "max", "sum"),
        _sofa,
    ),
}
"""The scores that this module computes, by name."""
