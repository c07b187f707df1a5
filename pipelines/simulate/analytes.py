"""What the laboratory measures: NLK codes, units, and how often each analyte is ordered (our assumption)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Analyte:
    """One analyte as it is usually measured.

    Attributes:
        name: its name.
        code: NLK code.
        unit: unit of the values.
        decimals: decimals reported.
        ordered: share of inpatient draws that include it.
        answer_hours: median time from sample to answer.
        at_control: share of outpatient draws that include it.
    """

    name: str
    code: str
    unit: str
    decimals: int
    ordered: float
    answer_hours: float
    at_control: float


ANALYTES = (
    Analyte("crp", "NPU19748", "mg/L", 0, 0.92, 1.2, 0.55),
    Analyte("leukocytes", "NPU02593", "x 10E9/L", 1, 0.92, 1.0, 0.55),
    Analyte("neutrophils", "NPU02902", "x 10E9/L", 1, 0.40, 1.3, 0.25),
    Analyte("lymphocytes", "NPU02636", "x 10E9/L", 1, 0.35, 1.3, 0.25),
    Analyte("haemoglobin", "NOR05172", "g/dL", 1, 0.94, 1.0, 0.85),
    Analyte("platelets", "NPU03568", "x 10E9/L", 0, 0.85, 1.0, 0.55),
    Analyte("creatinine", "NPU04998", "µmol/L", 0, 0.94, 1.4, 0.85),
    Analyte("urea", "NPU01459", "mmol/L", 1, 0.25, 1.4, 0.15),
    Analyte("sodium", "NPU03429", "mmol/L", 0, 0.90, 1.3, 0.65),
    Analyte("potassium", "NPU03230", "mmol/L", 1, 0.90, 1.3, 0.65),
    Analyte("albumin", "NPU19673", "g/L", 0, 0.42, 1.5, 0.50),
    Analyte("bilirubin", "NPU01370", "µmol/L", 0, 0.35, 1.5, 0.25),
    Analyte("alat", "NPU19651", "U/L", 0, 0.40, 1.5, 0.35),
    Analyte("glucose", "NPU02192", "mmol/L", 1, 0.45, 1.2, 0.25),
    Analyte("inr", "NPU01685", "1", 1, 0.25, 1.3, 0.08),
    Analyte("lactate", "NPU18325", "mmol/L", 1, 0.15, 0.3, 0.0),
    Analyte("procalcitonin", "NPU21576", "µg/L", 2, 0.08, 3.0, 0.0),
    Analyte("troponin_t", "NPU27501", "ng/L", 0, 0.18, 1.3, 0.0),
    Analyte("nt_probnp", "NPU21571", "ng/L", 0, 0.12, 3.0, 0.20),
    Analyte("hba1c", "NPU27300", "mmol/mol", 0, 0.06, 8.0, 0.35),
)
HBA1C_FROM_DAYS = 693.0
"""NPU27300 is valid from 23 November 2017 (NLK 7280.77), so no HbA1c is reported before 24 November."""
ANALYTE_INDEX = {analyte.name: index for index, analyte in enumerate(ANALYTES)}
ANALYTE_NAMES = tuple(ANALYTE_INDEX)
