"""NEWS2, qSOFA and SOFA against their published charts, read by hand, at every band's borders."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from phenotype.score_codes import ScoreCodes, load_score_codes
from phenotype.scores import score_rows
from phenotype.trajectory import EVENTS

NOON = datetime(2024, 3, 1, 12)

Measurement = tuple[float, str, float] | tuple[float, str, float, str]


def events_of(*measurements: Measurement) -> pl.LazyFrame:
    """Events of subject 1 from (hours from noon, code, value[, unit])."""
    columns = {
        "subject_id": [1] * len(measurements),
        "time": [NOON + timedelta(hours=measurement[0]) for measurement in measurements],
        "code": [measurement[1] for measurement in measurements],
        "numeric_value": [measurement[2] for measurement in measurements],
        "known_time": [None] * len(measurements),
        "unit": [measurement[3] if len(measurement) == 4 else None for measurement in measurements],
    }
    return pl.DataFrame(columns, schema={name: EVENTS[name] for name in columns}).lazy()


def score_of(score: str, *measurements: Measurement, hours: float = 0) -> tuple[float | None, int]:
    rows = pl.DataFrame(
        {"subject_id": [1], "prediction_time": [NOON + timedelta(hours=hours)]},
        schema={"subject_id": pl.Int64, "prediction_time": pl.Datetime("us")},
    )
    found = score_rows(events_of(*measurements), rows, score)
    assert found.columns == ["subject_id", "prediction_time", "score", "n_components"]
    return found["score"][0], found["n_components"][0]


# Royal College of Physicians, NEWS2 chart 1: the values on both sides of every border.
NEWS2_BANDS = {
    "VITAL//respiratory_rate": {3: [8, 25, 40], 1: [9, 11], 0: [12, 20], 2: [21, 24]},
    "VITAL//spo2": {3: [80, 91], 2: [92, 93], 1: [94, 95], 0: [96, 100]},
    "VITAL//systolic_bp": {3: [90, 220, 260], 2: [91, 100], 1: [101, 110], 0: [111, 219]},
    "VITAL//heart_rate": {3: [40, 131, 180], 1: [41, 50, 91, 110], 0: [51, 90], 2: [111, 130]},
    "VITAL//temperature": {3: [34.2, 35.0], 1: [35.1, 36.0, 38.1, 39.0], 0: [36.1, 38.0], 2: [39.1, 41.0]},
    "VITAL//consciousness": {0: [0], 3: [1]},
    "VITAL//gcs": {0: [15], 3: [14, 3]},
    "VITAL//oxygen_flow": {0: [0], 2: [0.5, 15]},
    "PHYSIONET2019//FiO2": {0: [0.21], 2: [0.22, 1.0]},
}


@pytest.mark.parametrize("code", NEWS2_BANDS)
def test_news2_gives_the_points_of_the_chart(code: str) -> None:
    for points, values in NEWS2_BANDS[code].items():
        for value in values:
            assert score_of("NEWS2", (-1, code, value)) == (points, 1), value


# Vincent 1996, table 3, in SI units: (codes and values) -> points of the one organ that they measure.
SOFA_BANDS = {
    "NLK//NPU03568": {0: [150, 300], 1: [149, 100], 2: [99, 50], 3: [49, 20], 4: [19, 5]},
    "NLK//NPU01370": {0: [19], 1: [20, 32], 2: [33, 101], 3: [102, 204], 4: [205, 400]},
    "NLK//NPU04998": {0: [60, 109], 1: [110, 170], 2: [171, 299], 3: [300, 440], 4: [441, 900]},
    "VITAL//gcs": {0: [15], 1: [13, 14], 2: [10, 12], 3: [6, 9], 4: [3, 5]},
    "VITAL//mean_bp": {0: [70, 90], 1: [69, 40]},
}


@pytest.mark.parametrize("code", SOFA_BANDS)
def test_sofa_gives_the_points_of_the_table(code: str) -> None:
    for points, values in SOFA_BANDS[code].items():
        for value in values:
            assert score_of("SOFA", (-1, code, value)) == (points, 1), value


@pytest.mark.parametrize(
    ("code", "dose", "points"),
    [
        ("C01CA03", 0.1, 3),
        ("C01CA03", 0.11, 4),
        ("C01CA24", 0.05, 3),
        ("C01CA04", 5, 2),
        ("C01CA04", 15, 3),
        ("C01CA04", 15.5, 4),
        ("C01CA07", 1, 2),
    ],
)
def test_sofa_counts_vasopressors_by_dose(code: str, dose: float, points: int) -> None:
    assert score_of("SOFA", (-1, f"ATC//{code}", dose, "ug/kg/min")) == (points, 1)
    assert score_of("SOFA", (-1, f"ATC//{code}", dose, "mg")) == (None, 0)


@pytest.mark.parametrize(
    ("ratio_kpa", "alone", "ventilated"), [(54, 0, 0), (53, 1, 1), (39.9, 2, 2), (26.6, 2, 3), (13.2, 2, 4)]
)
def test_sofa_lungs_need_support_for_three_and_four_points(
    ratio_kpa: float, alone: int, ventilated: int
) -> None:
    oxygen = [(-2.0, "PHYSIONET2012//FiO2", 0.5), (-1.0, "PHYSIONET2012//PaO2", ratio_kpa * 0.5 / 0.133322)]
    assert score_of("SOFA", *oxygen) == (alone, 1)
    assert score_of("SOFA", *oxygen, (-3.0, "PHYSIONET2012//MechVent", 1)) == (ventilated, 1)
    assert score_of("SOFA", oxygen[1]) == (None, 0)  # no fraction, no ratio


def test_the_fraction_of_oxygen_is_the_one_last_known_before_the_gas() -> None:
    fractions = [
        (-5.0, "PHYSIONET2012//FiO2", 0.3),
        (-2.0, "PHYSIONET2012//FiO2", 1.0),
        (-0.5, "PHYSIONET2012//FiO2", 0.3),
    ]
    gas = (-1.0, "PHYSIONET2012//PaO2", 150.0)  # 20 kPa over 1.0: 2 points; over 0.3 it would be 66, none
    assert score_of("SOFA", *fractions, gas) == (2, 1)


def test_urine_counts_once_it_was_recorded_for_a_whole_day() -> None:
    today = [(-float(hour), "PHYSIONET2012//Urine", 15.0) for hour in range(24)]  # 360 mL
    assert score_of("SOFA", *today) == (None, 0)
    assert score_of("SOFA", *today, (-30.0, "PHYSIONET2012//Urine", 900)) == (3, 1)
    assert score_of("SOFA", *today[:10], (-30.0, "PHYSIONET2012//Urine", 900)) == (4, 1)
    assert score_of("SOFA", (-30.0, "PHYSIONET2012//Urine", 900)) == (None, 0)


def test_sofa_adds_the_worst_of_each_organ() -> None:
    # creatinine 200 then 90 µmol/L (2), platelets 80 (2), mean pressure (85 + 2 * 50) / 3 = 61.7 (1), liver 0
    measured = [(-20.0, "NLK//NPU04998", 200.0), (-1.0, "NLK//NPU04998", 90.0), (-2.0, "NLK//NPU03568", 80.0)]
    pressure = [
        (-3.0, "VITAL//systolic_bp", 85.0),
        (-3.0, "VITAL//diastolic_bp", 50.0),
        (-1.0, "NLK//NPU01370", 8.0),
    ]
    assert score_of("SOFA", *measured, *pressure) == (5, 4)


def test_units_of_other_data_sets_are_converted() -> None:
    assert score_of("SOFA", (-1, "PHYSIONET2012//Creatinine", 2.0)) == (2, 1)  # 176.8 µmol/L
    assert score_of("SOFA", (-1, "PHYSIONET2019//Bilirubin_total", 12.0)) == (4, 1)  # 205 µmol/L


@pytest.mark.parametrize(
    ("pressure", "rate", "mind", "points"),
    [(100, 22, 1, 3), (101, 21, 0, 0), (100, 21, 0, 1), (101, 22, 0, 1)],
)
def test_qsofa_counts_its_three_signs(pressure: float, rate: float, mind: float, points: int) -> None:
    signs = [("systolic_bp", pressure), ("respiratory_rate", rate), ("consciousness", mind)]
    assert score_of("qSOFA", *[(-1.0, f"VITAL//{name}", value) for name, value in signs]) == (points, 3)


def test_news2_reads_the_last_value_of_a_day_and_nothing_later() -> None:
    rates = [(-30.0, "VITAL//respiratory_rate", 30.0), (-3.0, "VITAL//respiratory_rate", 22.0)]
    later = (0.5, "VITAL//respiratory_rate", 40.0)
    assert score_of("NEWS2", *rates, later) == (2, 1)
    assert score_of("NEWS2", *rates, later, hours=1) == (3, 1)
    assert score_of("NEWS2", rates[0], later) == (None, 0)
    assert score_of("NEWS2") == (None, 0)


def test_values_that_no_body_has_count_as_not_measured() -> None:
    assert score_of("NEWS2", (-1, "VITAL//temperature", 0.0), (-2, "VITAL//temperature", 39.5)) == (2, 1)
    assert score_of("SOFA", (-1, "VITAL//mean_bp", 0.0)) == (None, 0)


def test_rows_keep_their_order_and_their_own_day() -> None:
    rows = pl.DataFrame({"subject_id": [2, 1], "prediction_time": [NOON, NOON]}).cast(
        {"prediction_time": pl.Datetime("us")}
    )
    found = score_rows(events_of((-1, "VITAL//respiratory_rate", 30)), rows, "qSOFA")
    assert found.rows() == [(2, NOON, None, 0), (1, NOON, 1.0, 1)]


def test_an_unknown_score_and_a_faulty_code_map_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="NEWS2, qSOFA, SOFA"):
        score_of("APACHE")
    faulty = tmp_path / "scores.yaml"
    faulty.write_text(
        "name: mine\ntitle: x\nversion: '1'\nsource: y\ncomponents:\n  pao2: {unit: kPa, low: a, codes: []}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        load_score_codes(faulty)
    assert len(refused.value.problems) == 3  # low is no number, high is missing, codes are empty


def test_another_code_map_can_be_given() -> None:
    shipped = load_score_codes()
    own = ScoreCodes.model_validate(
        shipped.model_dump()
        | {"components": {"gcs": {"unit": "GCS", "low": 3, "high": 15, "codes": [{"code": "LOCAL//coma"}]}}}
    )
    rows = pl.DataFrame({"subject_id": [1], "prediction_time": [NOON]}).cast(
        {"prediction_time": pl.Datetime("us")}
    )
    found = score_rows(events_of((-1, "LOCAL//coma", 5), (-1, "NLK//NPU03568", 5)), rows, "SOFA", own)
    assert found["score"].to_list() == [4]
