"""Findings priced by hand count: replaced, swapped, added, removed, joined; what has no price says why.

A point of 2024 refunds NOK 20,899.20. Toy weights: LUNG 1.050, SEPSIS 2.100, SPINEROOT 1.600, BONE 0.850,
KIDNEY 0.800, SYMPTOM 0.450; SPINE x 1.800; complicating x 1.450; day x 0.300.
"""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from phenotype.coding.findings import FINDING_ITEMS, FINDING_REASONS, FINDINGS, UNITS, Found
from phenotype.coding.money.grouper import GROUPED, GrouperOutput
from phenotype.coding.money.pricing import Priced, price_findings
from phenotype.coding.money.settlement import Prices
from phenotype.coding.money.suggested_codings import Ways, suggested_codings
from phenotype.coding.money.toy_grouper import ToyGrouper
from phenotype.coding.money.weights import Weights

record_of = runpy.run_path(str(Path(__file__).parents[1] / "written_record.py"))["record_of"]
Contact = tuple[int, int, str, str, int]
Code = tuple[int, str, int, int, str]
TOY, PRICES = ToyGrouper.load(), Prices.load()
WEIGHTS = TOY.weights([2023, 2024, 2025])
ICD = "ICD10-NO//"
POINT = 20_899.20
NOT_IN_RECORD = "a code or contact that the record does not hold"
Item = tuple[int, int | None, int | None, str | None, str | None]
"""contact_id, group_no, code_no, code, suggested_code."""


def found_of(items: dict[str, Sequence[Item]], kind: str = "rule", rule: str = "a_rule") -> Found:
    findings = [{"finding_id": name, "rule_id": rule, "kind": kind} for name in items]
    rows = [(name, *item) for name, several in items.items() for item in several]
    return Found(
        pl.DataFrame(findings, schema=FINDINGS),
        pl.DataFrame(rows, schema=FINDING_ITEMS, orient="row"),
        pl.DataFrame(schema=FINDING_REASONS),
    )


def priced(
    codes: list[Code], items: Sequence[Item], *, day: str = "2024-03-01", rule: str = "a_rule"
) -> Priced:
    contacts: list[Contact] = [(1, 1, day, "inpatient", 2)]
    found = found_of({"f": items}, rule=rule)
    return price_findings(found, record_of(contacts, codes), TOY, WEIGHTS, PRICES)


def amounts(result: Priced) -> tuple[float | None, float | None]:
    low, high = result.found.findings.select("amount_low_nok", "amount_high_nok").row(0)
    return low, high


SPINE: list[Code] = [(1, "main", 1, 1, ICD + "M54.16"), (1, "procedure", 1, 1, "NCSP//ABC16")]


def test_a_main_condition_replaced_by_its_suggestion() -> None:
    """SPINEROOT 1.600 x 1.800 against BONE 0.850 x 1.800: 1.350 points come back."""
    result = priced(SPINE, [(1, 1, 1, ICD + "M54.16", ICD + "M48.06")])
    assert amounts(result) == pytest.approx((1.35 * POINT,) * 2, abs=0.005)
    assert result.unpriced.is_empty()


def test_several_suggestions_make_a_range() -> None:
    """M48.06 as above; N10 is KIDNEY 0.800 x 1.800 = 1.440, so 1.440 points come back."""
    items = [(1, 1, 1, ICD + "M54.16", ICD + "M48.06"), (1, 1, 1, ICD + "M54.16", ICD + "N10")]
    assert amounts(priced(SPINE, items)) == pytest.approx((1.35 * POINT, 1.44 * POINT), abs=0.005)


def test_a_main_condition_changes_place_with_the_other_that_becomes_it() -> None:
    codes = [(1, "main", 1, 1, ICD + "R50.9"), (1, "other", 2, 1, ICD + "J18.9")]
    found = found_of({"f": [(1, 1, 1, ICD + "R50.9", ICD + "J18.9")]})
    record = record_of([(1, 1, "2024-03-01", "inpatient", 2)], codes)
    after = suggested_codings(found, record, Ways()).codes.select("role", "code").sort("role")
    assert after.rows() == [("main", ICD + "J18.9"), ("other", ICD + "R50.9")]
    # SYMPTOM 0.450 as coded, LUNG 1.050 as suggested: the payer would owe 0.600 points.
    result = price_findings(found, record, TOY, WEIGHTS, PRICES)
    assert amounts(result) == pytest.approx((-0.6 * POINT,) * 2, abs=0.005)


def test_a_missing_code_is_added_and_owed() -> None:
    """LUNG 1.050 against 1.050 x 1.450 = 1.5225, as a weight 1.522: the payer would owe 0.472 points."""
    result = priced([(1, "main", 1, 1, ICD + "J18.9")], [(1, None, None, None, ICD + "N17.9")])
    assert amounts(result) == pytest.approx((-0.472 * POINT,) * 2, abs=0.005)


def test_a_code_without_suggestion_may_go_or_stay() -> None:
    codes = [(1, "main", 1, 1, ICD + "J18.9"), (1, "other", 2, 1, ICD + "N17.9")]
    result = priced(codes, [(1, 2, 1, ICD + "N17.9", None)])
    assert amounts(result) == pytest.approx((0.0, 0.472 * POINT), abs=0.005)


def test_several_codes_without_suggestion_are_alternatives_each_and_together() -> None:
    """N17.9 and J96.0 each complicate: only together does their going change the group."""
    codes = [
        (1, "main", 1, 1, ICD + "J18.9"),
        (1, "other", 2, 1, ICD + "N17.9"),
        (1, "other", 3, 1, ICD + "J96.0"),
    ]
    items = [(1, 2, 1, ICD + "N17.9", None), (1, 3, 1, ICD + "J96.0", None)]
    assert amounts(priced(codes, items)) == pytest.approx((0.0, 0.472 * POINT), abs=0.005)


def test_a_main_condition_that_goes_gives_its_place_to_the_next() -> None:
    """A41.9 main with J18.9: SEPSIS 2.100 against LUNG 1.050."""
    codes = [(1, "main", 1, 1, ICD + "A41.9"), (1, "other", 2, 1, ICD + "J18.9")]
    result = priced(codes, [(1, 1, 1, ICD + "A41.9", None)])
    assert amounts(result) == pytest.approx((0.0, 1.05 * POINT), abs=0.005)


@pytest.mark.parametrize(
    ("items", "day", "reason"),
    [
        ([(1, 1, 1, ICD + "M54.16", None)], "2024-03-01", "the suggested coding leaves no main condition"),
        ([(1, None, None, None, None)], "2024-03-01", "suggests neither a code nor another way to report"),
        ([(1, 1, 1, ICD + "M51.1", ICD + "N10")], "2024-03-01", NOT_IN_RECORD),
        ([(9, 1, 1, ICD + "M54.16", ICD + "N10")], "2024-03-01", NOT_IN_RECORD),
        ([(1, 1, 1, ICD + "M54.16", ICD + "N10")], "2025-03-01", "no confirmed price of somatic in 2025"),
        ([(1, 1, 1, ICD + "M54.16", ICD + "N10")], "2022-03-01", "year not in the weight table"),
    ],
)
def test_what_has_no_price_keeps_null_and_says_why(items: list[Item], day: str, reason: str) -> None:
    result = priced(SPINE, items, day=day)
    assert amounts(result) == (None, None)
    assert result.unpriced.rows() == [(reason, 1)]


def test_a_weight_table_with_a_missing_group_is_counted() -> None:
    kept = Weights(WEIGHTS.table.filter(pl.col("drg") != "TOY-BONE-SPINE-N"), WEIGHTS.faults, "own")
    record = record_of([(1, 1, "2024-03-01", "inpatient", 2)], SPINE)
    found = found_of({"f": [(1, 1, 1, ICD + "M54.16", ICD + "M48.06")]})
    result = price_findings(found, record, TOY, kept, PRICES)
    assert amounts(result) == (None, None)
    assert result.unpriced.rows() == [("group not in the weight table of the year", 1)]


def test_split_stays_are_priced_as_one_and_leave_as_day_treatment() -> None:
    contacts: list[Contact] = [(1, 1, "2024-03-01", "inpatient", 2), (2, 2, "2024-03-04", "inpatient", 2)]
    codes: list[Code] = [(1, "main", 1, 1, ICD + "J18.9"), (2, "main", 1, 1, ICD + "J18.9")]
    record = record_of(contacts, codes)
    split = found_of({"f": [(1, None, None, None, None), (2, None, None, None, None)]}, rule="stay_splitting")
    assert amounts(price_findings(split, record, TOY, WEIGHTS, PRICES)) == pytest.approx(
        (1.05 * POINT,) * 2, abs=0.005
    )
    leave = found_of({"f": [(1, None, None, None, None)]}, rule="au_17_28390_leave")
    assert amounts(price_findings(leave, record, TOY, WEIGHTS, PRICES)) == pytest.approx(
        ((1.05 - 0.315) * POINT,) * 2, abs=0.005
    )


def test_mental_health_care_has_a_price_of_its_own() -> None:
    record = record_of([(1, 1, "2024-03-01", "inpatient", 2)], SPINE, [(1, "specialty", "320", None)])
    found = found_of({"f": [(1, 1, 1, ICD + "M54.16", ICD + "M48.06")]})
    result = price_findings(found, record, TOY, WEIGHTS, PRICES)
    assert result.unpriced.rows() == [("no confirmed price of mental health in 2024", 1)]


def test_the_users_own_grouper_prices_what_it_was_run_on() -> None:
    """Contacts of the stay were grouped again for finding f; of finding h nothing was."""
    contacts: list[Contact] = [(1, 1, "2024-03-01", "inpatient", 2), (2, 1, "2024-03-03", "inpatient", 2)]
    codes: list[Code] = [*SPINE, (2, "main", 1, 1, ICD + "M54.16")]
    rows = [
        ("", 1, "stay", "004", "2.5", None),
        ("", 2, "stay", "004", "2.5", None),
        ("f/0", 1, "stay", "215C", "1.5", None),
        ("f/0", 2, "stay", "215C", "1.5", None),
    ]
    table = pl.DataFrame(
        rows, schema=dict.fromkeys(GROUPED, pl.String) | {"contact_id": pl.Int64}, orient="row"
    )
    output = GrouperOutput(table.cast(dict(GROUPED)))
    items = [(1, 1, 1, ICD + "M54.16", ICD + "M48.06")]
    found = found_of({"f": items, "h": items})
    result = price_findings(found, record_of(contacts, codes), output, WEIGHTS, PRICES)
    assert result.found.findings["amount_low_nok"].to_list() == [pytest.approx(POINT), None]
    assert result.unpriced.rows() == [("the suggested coding is not in the grouper's output", 1)]


def test_findings_about_units_are_counted_and_none_is_lost() -> None:
    found = Found.together(
        [
            found_of({"u": [(1, None, None, None, None)]}, kind="unit_rate"),
            found_of({"f": [(1, 1, 1, ICD + "M54.16", ICD + "M48.06")]}),
        ]
    )
    record = record_of([(1, 1, "2024-03-01", "inpatient", 2)], SPINE)
    result = price_findings(found, record, TOY, WEIGHTS, PRICES)
    assert result.found.findings["finding_id"].to_list() == ["f", "u"]
    assert result.unpriced.rows() == [("about a unit or a practice, not about codings", 1)]
    assert price_findings(Found.nothing(), record, TOY, WEIGHTS, PRICES).found.findings.is_empty()


def test_a_flagged_rate_is_cut_to_what_was_expected() -> None:
    """Four Z03 stays where 1.6 were expected: two remain. Two have 0.550 points, two 0.798 (complicated)."""
    contacts: list[Contact] = [(n, n, "2024-03-01", "inpatient", 2) for n in (1, 2, 3, 4)]
    codes: list[Code] = [(n, "main", 1, 1, ICD + "Z03.8") for n in (1, 2, 3, 4)]
    codes += [(n, "other", 2, 1, ICD + "N17.9") for n in (3, 4)]
    items = [(n, None, None, None, None) for n in (1, 2, 3, 4)]
    found = found_of({"f": items}, kind="unit_rate", rule="au_21_4753_z03_main")
    where = {"unit_id": "H/U", "period": "2024"}
    findings = found.findings.with_columns(pl.lit(told).alias(name) for name, told in where.items())
    found = Found(findings, found.items, found.reasons)
    units = pl.DataFrame([{**where, "measure": "au_21_4753_z03_main", "expected": 1.6}], schema=UNITS)
    record = record_of(contacts, codes)
    result = price_findings(found, record, TOY, WEIGHTS, PRICES, units=units)
    # The dearest remain: 2 x 0.550 come back; the cheapest remain: 2 x 0.798.
    assert amounts(result) == pytest.approx((1.1 * POINT, 1.596 * POINT), abs=0.01)
    assert result.unpriced.is_empty()
    unknown = price_findings(found, record, TOY, WEIGHTS, PRICES, units=units.clear())
    assert unknown.unpriced.rows() == [("the rate of the unit is not in the table of rates", 1)]
    without = price_findings(found, record, TOY, WEIGHTS, PRICES)
    assert without.unpriced.rows() == [("about a unit or a practice, not about codings", 1)]
