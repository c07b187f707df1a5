"""The points of NEWS2, qSOFA and SOFA, as expressions over the aggregates of their components.

Aggregates of a component over the 24 hours before are named "<component>_<aggregation>": last, min or max.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from ontology.errors import ConfigurationError, Problem

Points = dict[str, pl.Expr]


@dataclass(frozen=True)
class Score:
    """How a score is computed.

    Attributes:
        components: the components of the code map that it reads.
        points: the points of each of its parts, null where nothing was measured.
    """

    components: tuple[str, ...]
    points: Callable[[], Points]

    @cached_property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """The (component, aggregation) that its points read."""
        names = {name for expression in self.points().values() for name in expression.meta.root_names()}
        parted = [name.rpartition("_") for name in sorted(names)]
        return tuple((component, aggregation) for component, _, aggregation in parted)


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
    """SOFA from the worst values of the look-back.

    Values sent in mg/dL or mmHg are judged by the table's own bands in those units, others by its bands in SI
    units: the two differ at the edges (1.2 mg/dL creatinine is 1 point, the 106 µmol/L that it is are none).
    Where the table leaves an edge open (12.0 mg/dL bilirubin, 5.0 mg/dL creatinine) the SI band decides: they
    are above 204 and 440 µmol/L. 3 and 4 points for the lungs need mechanical support in the look-back.

    **Source:** Vincent et al., Intensive Care Med 1996;22:707-710, doi 10.1007/BF01709751, table 3:
    PaO2/FiO2 in kPa (mmHg), bilirubin and creatinine in µmol/L (mg/dL), vasopressors in µg/kg/min.
    """
    bilirubin, creatinine = pl.col("bilirubin_max"), pl.col("creatinine_max")
    noradrenaline, adrenaline = pl.col("noradrenaline_max"), pl.col("adrenaline_max")
    return {
        "lungs": pl.max_horizontal(
            _lungs(pl.col("oxygenation_min"), (13.3, 26.7, 40.0, 53.3)),
            _lungs(pl.col("oxygenation_mmhg_min"), (100.0, 200.0, 300.0, 400.0)),
        ),
        "coagulation": _below(pl.col("platelets_min"), (20, 4), (50, 3), (100, 2), (150, 1)),
        "liver": pl.max_horizontal(
            _from(bilirubin, (20, 1), (33, 2), (102, 3)),
            pl.when(bilirubin > 204).then(pl.lit(4)),
            _from(pl.col("bilirubin_mg_dl_max"), (1.2, 1), (2.0, 2), (6.0, 3), (12.0, 4)),
        ),
        "circulation": pl.max_horizontal(
            _below(pl.col("mean_bp_min"), (70, 1)),
            pl.when(pl.col("dobutamine_max") > 0).then(pl.lit(2)),
            _up_to(pl.col("dopamine_max"), (5, 2), (15, 3), above=4),
            _up_to(noradrenaline, (0.1, 3), above=4),
            _up_to(adrenaline, (0.1, 3), above=4),
        ),
        "brain": _below(pl.col("gcs_min"), (6, 4), (10, 3), (13, 2), (15, 1)),
        "kidneys": pl.max_horizontal(
            _from(creatinine, (110, 1), (171, 2), (300, 3)),
            pl.when(creatinine > 440).then(pl.lit(4)),
            _from(pl.col("creatinine_mg_dl_max"), (1.2, 1), (2.0, 2), (3.5, 3), (5.0, 4)),
            _below(pl.col("urine_of_a_day_min"), (200, 4), (500, 3)),
        ),
    }


def _lungs(ratio: pl.Expr, bands: tuple[float, float, float, float]) -> pl.Expr:
    """Points of PaO2 / FiO2 below each of the bands; the two lowest count under mechanical support only."""
    lowest, low, middle, high = bands
    supported = _below(ratio, (lowest, 4), (low, 3), (middle, 2), (high, 1))
    alone = _below(ratio, (middle, 2), (high, 1))
    return pl.when(pl.col("ventilation_max").is_not_null()).then(supported).otherwise(alone)


_COMA = ("gcs", "gcs_eyes", "gcs_verbal", "gcs_motor")
_BREATH_AND_MIND = ("respiratory_rate", "systolic_bp", "consciousness", *_COMA)
SCORES = {
    "NEWS2": Score((*_BREATH_AND_MIND, "spo2", "oxygen_flow", "fio2", "heart_rate", "temperature"), _news2),
    "qSOFA": Score(_BREATH_AND_MIND, _qsofa),
    "SOFA": Score(
        (
            "systolic_bp",
            "diastolic_bp",
            "mean_bp",
            "pao2",
            "pao2_mmhg",
            "fio2",
            "ventilation",
            "platelets",
            "bilirubin",
            "bilirubin_mg_dl",
            "noradrenaline",
            "adrenaline",
            "dopamine",
            "dobutamine",
            *_COMA,
            "creatinine",
            "creatinine_mg_dl",
            "urine",
        ),
        _sofa,
    ),
}
"""The scores that this module computes, by name."""


def find_score(name: str) -> Score:
    """The definition of a score.

    Raises:
        ConfigurationError: no such score.
    """
    if name in SCORES:
        return SCORES[name]
    raise ConfigurationError(
        Problem("no such score", found=name, allowed=", ".join(SCORES), next_step="name one of these")
    )
