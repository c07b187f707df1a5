"""NEWS2, qSOFA and SOFA against their published tables (score_bands.txt), at both sides of every edge."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from ontology.valuesets.sets import load_valueset
from phenotype.scores.codes import ScoreCodes, load_score_codes
from phenotype.scores.course import score_course
from phenotype.scores.rows import score_rows
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


BANDS = [
    [cell.strip() for cell in line.split("|")]
    for line in Path(__file__).with_name("score_bands.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
OWN_UNIT = {"ATC": "ug/kg/min"}


def values_of(bands: list[str]) -> list[tuple[int, float]]:
    """(points, value) from cells such as `3: 8, 25`."""
    pairs = [band.split(":") for band in bands]
    return [(int(points), float(value)) for points, values in pairs for value in values.split(",")]


@pytest.mark.parametrize(
    ("part", "code", "bands"),
    [(part, code, bands) for part, code, *bands in BANDS if " " in part],
    ids=lambda cell: cell if isinstance(cell, str) else "",
)
def test_a_part_gives_the_points_of_the_published_table(part: str, code: str, bands: list[str]) -> None:
    score, name = part.split()
    unit = [OWN_UNIT[system] for system in OWN_UNIT if code.startswith(system)]
    for points, value in values_of(bands):
        events = events_of((-1, code, value, *unit))  # type: ignore[arg-type]
        course = score_course(events, score, with_parts=True)
        assert course.row(0, named=True)[name] == points, value
        assert score_of(score, (-1, code, value, *unit)) == (points, 1), value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("support", "code", "bands"),
    [(part, code, bands) for part, code, *bands in BANDS if " " not in part],
    ids=lambda cell: cell if isinstance(cell, str) else "",
)
def test_lungs_give_the_points_of_the_published_table(support: str, code: str, bands: list[str]) -> None:
    ventilator: list[Measurement] = [(-3, "MIMIC4//CHART//220339", 5.0)] if support == "supported" else []
    for points, ratio in values_of(bands):
        gas = [(-2, "VITAL//fio2", 0.5), (-1, code, ratio / 2)]
        assert score_of("SOFA", *gas, *ventilator) == (points, 1), ratio


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
    assert score_of("SOFA", *today[:13], (-24.0, "PHYSIONET2012//Urine", 900)) == (4, 1)  # 195 mL
    assert score_of("SOFA", *today[:12], (-24.0, "PHYSIONET2012//Urine", 900)) == (None, 0)  # a pause
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


def test_values_of_other_data_sets_are_judged_in_the_unit_they_were_sent_in() -> None:
    assert score_of("SOFA", (-1, "PHYSIONET2012//Creatinine", 1.2)) == (1, 1)  # as 106 µmol/L it would be 0
    assert score_of("SOFA", (-1, "PHYSIONET2019//Bilirubin_total", 12.0)) == (4, 1)
    assert score_of("NEWS2", (-1, "MIMIC4//CHART//223761", 102.4)) == (2, 1)  # 39.1 degrees
    assert score_of("NEWS2", (-1, "MIMIC4//CHART//223761", 102.0)) == (1, 1)  # 38.9 degrees
    assert score_of("NEWS2", (-1, "MIMIC4//CHART//223835", 21)) == (0, 1)  # per cent
    assert score_of("NEWS2", (-1, "MIMIC4//CHART//223835", 40)) == (2, 1)
    assert score_of("SOFA", (-1, "MIMIC3//INPUT_RATE//30120", 0.2, "mcgkgmin")) == (4, 1)
    assert score_of("SOFA", (-1, "ATC//C01CA03", 0.2, "µg/kg/min")) == (4, 1)
    assert score_of("SOFA", (-1, "ATC//C01CA03", 0.2, "ug/min")) == (None, 0)


def test_the_coma_scale_is_the_sum_of_its_parts_at_one_instant() -> None:
    parts = [(-1.0, f"MIMIC4//CHART//{item}", value) for item, value in [(220739, 3.0), (223900, 4.0)]]
    motor = "MIMIC4//CHART//223901"
    assert score_of("SOFA", *parts, (-1.0, motor, 5.0)) == (2, 1)  # 12
    assert score_of("SOFA", *parts, (-0.5, motor, 5.0)) == (None, 0)


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


def test_every_plain_laboratory_and_bedside_code_of_the_value_sets_feeds_the_scores() -> None:
    """Creatinine by LOINC is creatinine to SOFA as well as to acute kidney injury."""
    sets = {name: f"laboratory/{name}" for name in ("creatinine", "platelets", "bilirubin")}
    bedside = ("respiratory_rate", "systolic_bp", "diastolic_bp", "heart_rate", "spo2", "temperature", "gcs")
    sets |= {name: f"vital_signs/{name}" for name in bedside}
    components = load_score_codes().components
    for name, value_set in sets.items():
        rules = load_valueset(value_set).rules.include
        wanted = {code for rule in rules for code in rule.codes if code.startswith(("LOINC//", "NLK//"))}
        read = {
            one.code for of in (name, f"{name}_mg_dl") if of in components for one in components[of].codes
        }
        assert wanted <= read, name
