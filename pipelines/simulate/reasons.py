"""Why people are admitted: acute and planned reasons, with the rates, lengths and risks of each.

Every number here is our assumption, tuned so that the sums agree with the published figures that
docs/simulator.md lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipelines.simulate.disease import DISEASES


@dataclass(frozen=True)
class Reason:
    """One reason for admission.

    Attributes:
        name: the reason.
        codes: ICD-10-NO codes of the main condition, with how often each is used.
        unit: the ward that receives the patient.
        weight: log of how common it is among acute (or planned) admissions.
        drivers: how the log weight grows with the state, by name of a state or disease.
        length_days: median length of stay.
        acuity: mean acuity at admission.
        early, late: log odds of sepsis within, and after, the first 24 hours at average acuity.
        death: log odds of death within 31 days at average acuity.
        is_planned: planned rather than acute.
        is_infection: the reason is itself an infection.
        procedures: NCSP or NCMP codes of the operation that belongs to it, one of which is done.
    """

    name: str
    codes: dict[str, float]
    unit: str
    weight: float
    drivers: dict[str, float] = field(default_factory=dict)
    length_days: float = 3.0
    acuity: float = 0.0
    early: float = -8.55
    late: float = -6.15
    death: float = -5.15
    is_planned: bool = False
    is_infection: bool = False
    procedures: tuple[str, ...] = ()


REASONS = (
    Reason(
        "pneumonia",
        {"J18.9": 0.7, "J15.9": 0.2, "J13": 0.1},
        "MED",
        0.3,
        {"copd": 0.35, "dementia": 0.25, "weakness": 0.3, "immunosuppression": 0.3, "neutropenia": 0.8},
        length_days=4.2,
        acuity=0.4,
        early=-4.35,
        late=-5.25,
        death=-4.25,
        is_infection=True,
    ),
    Reason(
        "urinary_infection",
        {"N39.0": 0.5, "N10": 0.35, "N30.0": 0.15},
        "MED",
        0.0,
        {"dementia": 0.25, "diabetes": 0.25, "female": 0.3, "ckd": 0.2, "weakness": 0.15},
        length_days=3.4,
        acuity=0.1,
        early=-3.95,
        late=-5.55,
        death=-5.25,
        is_infection=True,
    ),
    Reason(
        "abdominal_infection",
        {"K83.0": 0.35, "K81.0": 0.3, "K57.2": 0.25, "K65.0": 0.1},
        "KIR",
        -0.6,
        {"liver": 0.4, "cancer": 0.25},
        length_days=4.8,
        acuity=0.2,
        early=-4.15,
        late=-4.95,
        death=-4.85,
        is_infection=True,
    ),
    Reason(
        "skin_infection",
        {"A46": 0.4, "L03.1": 0.45, "L02.4": 0.15},
        "MED",
        -1.0,
        {"diabetes": 0.45, "liver": 0.2},
        length_days=4.0,
        acuity=-0.2,
        early=-4.55,
        late=-5.55,
        death=-5.65,
        is_infection=True,
    ),
    Reason(
        "device_or_neutropenic_infection",
        {"D70": 0.6, "T80.2": 0.25, "T82.7": 0.15},
        "MED",
        -4.2,
        {"neutropenia": 4.2, "immunosuppression": 0.6, "kidney_failure": 1.8},
        length_days=6.0,
        acuity=0.4,
        early=-3.65,
        late=-4.75,
        death=-4.75,
        is_infection=True,
    ),
    Reason(
        "heart_failure",
        {"I50.9": 0.6, "I50.0": 0.4},
        "MED",
        -2.4,
        {"heart_failure": 1.5},
        4.6,
        0.2,
        death=-4.45,
    ),
    Reason(
        "copd_exacerbation",
        {"J44.1": 0.6, "J44.0": 0.4},
        "MED",
        -2.6,
        {"copd": 1.6},
        4.0,
        0.3,
        early=-6.65,
        late=-5.85,
        death=-4.75,
    ),
    Reason(
        "coronary",
        {"I21.4": 0.6, "I20.0": 0.4},
        "MED",
        -0.4,
        {"diabetes": 0.2, "female": -0.4},
        3.0,
        0.0,
        death=-4.95,
    ),
    Reason(
        "stroke",
        {"I63.9": 0.85, "I61.9": 0.15},
        "MED",
        -0.6,
        {"decades": 0.25},
        4.5,
        0.2,
        early=-7.85,
        late=-5.65,
        death=-4.15,
    ),
    Reason(
        "hip_fracture",
        {"S72.00": 0.55, "S72.10": 0.45},
        "ORT",
        -1.0,
        {"dementia": 0.45, "decades": 0.5, "female": 0.4, "weakness": 0.2},
        length_days=4.5,
        acuity=0.0,
        late=-5.35,
        death=-4.55,
        procedures=("NFB12", "NFJ51", "NFB02"),
    ),
    Reason(
        "gastrointestinal_bleeding",
        {"K92.2": 0.5, "K92.1": 0.3, "K25.4": 0.2},
        "MED",
        -0.9,
        {"liver": 0.6, "ckd": 0.15},
        length_days=3.2,
        acuity=0.1,
        death=-4.85,
        procedures=("JUD02", "JUF32"),
    ),
    Reason(
        "kidney_or_dehydration",
        {"N17.9": 0.55, "E86": 0.45},
        "MED",
        -1.6,
        {"ckd": 0.7, "weakness": 0.3},
        length_days=3.8,
        acuity=0.2,
        early=-6.65,
        late=-5.65,
        death=-4.55,
    ),
    Reason(
        "cancer_complication",
        {"C79.5": 0.4, "C78.7": 0.4, "D64.9": 0.2},
        "MED",
        -3.2,
        {"cancer": 1.5},
        length_days=5.0,
        acuity=0.3,
        early=-6.45,
        late=-5.15,
        death=-3.15,
    ),
    Reason(
        "other_acute",
        {"R55": 0.25, "R07.4": 0.3, "R10.4": 0.25, "R53": 0.2},
        "MED",
        1.1,
        {},
        length_days=1.8,
        acuity=-0.8,
        death=-5.65,
    ),
    Reason(
        "joint_replacement",
        {"M16.1": 0.6, "M17.1": 0.4},
        "ORT",
        0.3,
        {"dementia": -1.0, "weakness": -0.3},
        length_days=2.6,
        acuity=-1.2,
        late=-5.75,
        death=-6.45,
        is_planned=True,
        procedures=("NFB40", "NFB20", "NGB40"),
    ),
    Reason(
        "bowel_surgery",
        {"C18.7": 0.5, "C18.9": 0.3, "C20": 0.2},
        "KIR",
        -2.4,
        {"cancer": 1.6},
        length_days=5.5,
        acuity=-0.5,
        late=-4.45,
        death=-5.25,
        is_planned=True,
        procedures=("JFB46", "JFB30", "JFB20"),
    ),
    Reason(
        "heart_surgery",
        {"I35.0": 0.5, "I25.1": 0.5},
        "KIR",
        -1.0,
        {"heart_failure": 0.5},
        length_days=6.0,
        acuity=-0.3,
        late=-4.95,
        death=-5.25,
        is_planned=True,
        procedures=("FMD10", "FNC10"),
    ),
    Reason(
        "planned_assessment",
        {"Z09.0": 0.3, "I25.1": 0.3, "K57.3": 0.2, "C67.9": 0.2},
        "MED",
        0.4,
        {"cancer": 0.3},
        length_days=1.9,
        acuity=-1.2,
        late=-6.05,
        death=-6.25,
        is_planned=True,
        procedures=("JUF32", "JUD02"),
    ),
)
STATE_NAMES = (*DISEASES, "weakness", "neutropenia", "kidney_failure", "female", "decades")
"""What reasons may be driven by, in the order of the columns of `Patients.drivers`."""
DRIVERS = np.array([[reason.drivers.get(name, 0.0) for name in STATE_NAMES] for reason in REASONS])
IS_PLANNED = np.array([reason.is_planned for reason in REASONS])
IS_INFECTION = np.array([reason.is_infection for reason in REASONS])
NAMES = tuple(reason.name for reason in REASONS)


def column(name: str) -> np.ndarray:
    """One number of every reason, (len(REASONS),)."""
    return np.array([getattr(reason, name) for reason in REASONS], dtype=np.float64)
