"""Units and ranges: what is asked, what is wrong, conversions, changes from month to month."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ontology.units.spellings import to_ucum
from pipelines.quality.model import load_checks

NLK = Path(__file__).parents[5] / "shared" / "kodeverk" / "nlk" / "norsk_laboratoriekodeverk_7280.77.csv"

CREATININE = {"name": "creatinine", "codes": ["NLK//A"], "unit": "umol/L", "low": 10, "high": 5000}
A = ("NLK//A", None, None)


def result(
    value: float | None, unit: str | None = "µmol/L", time: str = "2020-01-05T10:00", code: str = "NLK//A"
):
    return {"subject_id": 1, "time": time, "code": code, "numeric_value": value, "unit": unit}


def test_a_value_at_a_limit_can_be_and_one_beyond_cannot(write, ask, state):
    rule = {"type": "value_range", "analytes": [CREATININE]}
    rows = [result(value) for value in (9.9, 10.0, 5000.0, 5001.0, 80.0)]
    assert ask(write(rows), **rule) == {A: (5, 2)}
    assert ask(write(rows[1:3]), **rule) == {A: (2, 0)}
    assert state(write([result(1.0, code="NLK//B")]), **rule) == ("not applicable", "no such events")


def test_other_units_are_converted_and_those_that_cannot_be_are_not_judged(write, ask):
    # 1 mg/dL of creatinine (113.12 g/mol) is 88.4 umol/L; 60 mg/dL are 5304, above 5000; grams of nothing are
    # no such unit; a missing unit is taken for the code's own.
    rule = {"type": "value_range", "analytes": [CREATININE]}
    rows = [result(1.0, "mg/dL"), result(60.0, "mg/dL"), result(1.0, "g"), result(7.0, None)]
    assert ask(write(rows), **rule) == {A: (3, 2)}


def test_a_stored_float_of_the_limit_is_the_limit(write, ask):
    # 7.2 is stored as 7.19999980926513671875 and 14.2 as 14.1999998...: neither is beyond its limit.
    limits = {"name": "x", "codes": ["NLK//A"], "unit": "mmol/L", "low": 14.2, "high": 47.3}
    rows = [result(14.2, "mmol/L"), result(47.3, "mmol/L")]
    assert ask(write(rows), type="value_range", analytes=[limits]) == {A: (2, 0)}


def test_a_unit_that_is_not_the_codes_own_is_wrong_and_a_spelling_is_not(write, ask, state):
    rule = {"type": "declared_unit", "analytes": [CREATININE]}
    rows = [result(1.0, unit) for unit in ("µmol/L", "umol/l", "μmol/L", "mg/dL", None, "")]
    assert ask(write(rows), **rule) == {A: (4, 1)}
    assert ask(write(rows[:3]), **rule) == {A: (3, 0)}
    assert state(write(rows[4:]), **rule)[0] == "not applicable"


def test_the_unit_of_most_values_is_the_usual_one(write, ask, state):
    # Three of five are in umol/L in two spellings; one has none.
    rows = [result(1.0, unit) for unit in ("µmol/L", "umol/L", "umol/L", "mg/dL", None)]
    rule = {"type": "usual_unit", "systems": ["NLK"]}
    assert ask(write(rows), **rule) == {A: (5, 2)}
    assert ask(write(rows[:3]), **rule) == {A: (3, 0)}
    assert state(write(rows), type="usual_unit", systems=["LOINC"])[0] == "not applicable"


def monthly(*months: tuple[int, int, str, float]):
    """Results of months: (month, how many, unit, value)."""
    return [
        result(value, unit, f"2020-{month:02}-{day + 1:02}T10:00")
        for month, n, unit, value in months
        for day in range(n)
    ]


def test_a_change_of_the_usual_unit_is_found_in_its_month(write, ask, state):
    # January and February in umol/L, March in mg/dL: one change in two steps. April has too few.
    rule = {"type": "unit_change", "systems": ["NLK"], "n_in_month": 3}
    rows = monthly((1, 3, "umol/L", 80), (2, 3, "µmol/L", 80), (3, 3, "mg/dL", 0.9), (4, 2, "g", 1))
    assert ask(write(rows), **rule) == {A: (2, 1)}
    assert ask(write(rows[:6]), **rule) == {A: (1, 0)}
    assert state(write(rows[:3]), **rule) == ("not applicable", "no code with values in two months")


def test_a_mixture_or_missing_units_are_no_change(write, ask):
    # February: two of three in mg/dL are two thirds, which is a change; half and half is none; those without
    # a unit are passed over.
    rule = {"type": "unit_change", "systems": ["NLK"], "n_in_month": 3}
    mixed = monthly((1, 3, "umol/L", 80), (2, 2, "mg/dL", 1), (2, 2, "umol/L", 80), (3, 3, "umol/L", 80))
    assert ask(write(mixed), **rule) == {A: (1, 0)}
    two_thirds = monthly((1, 3, "umol/L", 80), (2, 2, "mg/dL", 1), (2, 1, "umol/L", 80))
    assert ask(write(two_thirds), **rule) == {A: (1, 1)}
    missing = [
        *monthly((1, 3, "umol/L", 80), (2, 3, "umol/L", 80)),
        *[result(1.0, None, "2020-02-05T10:00")] * 9,
    ]
    assert ask(write(missing), **rule) == {A: (1, 0)}


def test_one_value_for_all_is_wrong_for_all(write, ask, state):
    rule = {"type": "one_value", "systems": ["NLK"]}
    assert ask(write(monthly((1, 3, "g", 5.0), (2, 2, "g", 5.0))), **rule) == {A: (5, 5)}
    assert ask(write(monthly((1, 3, "g", 5.0), (2, 2, "g", 5.1))), **rule) == {A: (5, 0)}
    assert state(write([result(None)]), **rule)[0] == "not applicable"


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_a_tenfold_median_is_found_and_a_fivefold_is_not(write, ask, state, factor):
    rule = {"type": "median_shift", "systems": ["NLK"], "n_in_month": 3}
    shifted = write(monthly((1, 3, "g", 80), (2, 3, "g", 80), (3, 3, "g", 80 * factor)))
    assert ask(shifted, **rule) == {A: (2, 1)}
    fivefold = write(monthly((1, 3, "g", 80), (2, 3, "g", 400), (3, 3, "g", 80)))
    assert ask(fivefold, **rule) == {A: (2, 0)}
    assert state(write(monthly((1, 3, "g", 80), (2, 2, "g", 800))), **rule)[0] == "not applicable"


def test_a_median_is_not_moved_by_a_few_high_values(write, ask):
    # Two of five are a hundredfold: the third of five is not.
    rows = monthly((1, 5, "g", 80), (2, 3, "g", 80), (2, 2, "g", 8000))
    assert ask(write(rows), type="median_shift", systems=["NLK"], n_in_month=3) == {A: (1, 0)}


def test_another_unit_is_no_shift_of_the_median(write, ask):
    rows = monthly((1, 3, "g", 80), (2, 3, "mg", 80000), (3, 3, "g", 81))
    assert ask(write(rows), type="median_shift", systems=["NLK"], n_in_month=3) == {A: (1, 0)}


def test_a_unit_of_the_same_size_is_the_codes_own_and_ph_is_a_number(write, ask):
    # 1 ug/mL is 1 mg/L; 1 g/L is 1000 mg/L. pH has no unit, and is written with "pH" by many.
    crp = {"name": "crp", "codes": ["NLK//A"], "unit": "mg/L", "low": 0, "high": 1500}
    rows = [result(1.0, unit) for unit in ("mg/L", "ug/mL", "g/L")]
    assert ask(write(rows), type="declared_unit", analytes=[crp]) == {A: (3, 1)}
    ph = {"name": "ph", "codes": ["NLK//A"], "unit": "1", "low": 6.3, "high": 8.4}
    rows = [result(7.4, "pH"), result(7.3, "1"), result(74.0, "pH")]
    assert ask(write(rows), type="declared_unit", analytes=[ph]) == {A: (3, 0)}
    assert ask(write(rows), type="value_range", analytes=[ph]) == {A: (3, 1)}


def test_declared_units_are_those_of_the_national_list():
    if not NLK.exists():
        pytest.skip("needs shared/kodeverk/nlk beside the checkout")
    with NLK.open(encoding="utf-8-sig", newline="") as file:
        listed = {row["kode"]: row["enhet"].replace("x 10E9", "10*9") for row in csv.DictReader(file)}
    (check,) = load_checks(["laboratory-declared-unit"])
    declared = {
        code.removeprefix("NLK//"): analyte.unit for analyte in check.rule.analytes for code in analyte.codes
    }
    assert declared == {code: to_ucum(listed[code]) if listed[code] else "1" for code in declared}
