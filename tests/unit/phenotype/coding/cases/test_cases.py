"""Findings become cases: one unit, one family, years that follow each other; every finding in exactly one."""

from __future__ import annotations

import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from phenotype.coding.cases.cases import CASES, Case, cases_table, make_cases
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Effort
from phenotype.coding.findings import Found

FRAMES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "coding_frames.py")))
coverage_of = FRAMES.coverage_of
finding = FRAMES.finding
found_of = FRAMES.found_of
item = FRAMES.item
record_of = FRAMES.record_of
explanation_of, measure_of = FRAMES.explanation_of, FRAMES.measure_of
rule_of = FRAMES.rule_of
units_of = FRAMES.units_of

EFFORT = Effort(hours_a_stay=1, hours_a_further_finding=0.5, nok_an_hour=1000, source="test")
NAMES = CaseNames.of(
    [
        rule_of(
            "z03-main",
            reference=("KV-MAIN", "AU-21/4753"),
            explanations=(explanation_of("died_in_stay"), explanation_of("small_unit")),
        ),
        rule_of("u07-main", reference=("KV-MAIN",)),
        rule_of("jke00"),
    ],
    [measure_of("z03-rate", "AU-21/4753"), measure_of("coded_other", innocent=("older_patients",))],
)


def cases_of(found: Found, n_contacts: int = 50, coverage=(), rates=()) -> tuple[Case, ...]:
    return make_cases(
        found,
        units_of(list(rates)),
        record_of([(n, n, n // 2) for n in range(n_contacts)]),
        coverage=coverage_of(list(coverage)),
        names=NAMES,
        effort=EFFORT,
    )


def test_one_unit_and_family_in_years_that_follow_each_other_is_one_case():
    rows = [
        finding("a", "z03-main", period="2021"),
        finding("b", "u07-main", period="2022"),
        finding("c", "z03-main", period="2024"),
        finding("d", "jke00", period="2022"),
        finding("e", "z03-main", period="2022", unit_id="H2/B"),
        finding("f", "z03-rate", kind="unit_rate", period="2022", probability=None),
    ]
    cases = cases_of(found_of(rows, [item(name, n) for n, name in enumerate("abcde")]))
    gathered = {
        frozenset(case.finding_ids): (case.unit_id, case.first_period, case.last_period) for case in cases
    }
    assert gathered == {
        frozenset("abf"): ("H1/A", "2021", "2022"),
        frozenset("c"): ("H1/A", "2024", "2024"),
        frozenset("d"): ("H1/A", "2022", "2022"),
        frozenset("e"): ("H2/B", "2022", "2022"),
    }


def test_a_span_joins_the_years_that_it_covers():
    rows = [
        finding("a", "z03-main", period="2020"),
        finding("b", "z03-rate", kind="drift", period="2019-2023", probability=None),
        finding("c", "z03-main", period="2023"),
        finding("d", "z03-main", period="of old"),
    ]
    cases = cases_of(found_of(rows, [item("a", 1), item("c", 2), item("d", 3)]))
    assert sorted(sorted(case.finding_ids) for case in cases) == [["a", "b", "c"], ["d"]]


def test_a_case_keeps_its_id_when_it_goes_on_and_ids_differ():
    short = cases_of(found_of([finding("a", "jke00", period="2023")], [item("a", 1)]))
    longer = cases_of(
        found_of(
            [finding("a", "jke00", period="2023"), finding("b", "jke00", period="2024")],
            [item("a", 1), item("b", 2)],
        )
    )
    other = cases_of(found_of([finding("a", "jke00", period="2023", unit_id="H2/B")], [item("a", 1)]))
    assert short[0].case_id == longer[0].case_id != other[0].case_id


def test_neither_order_of_rows_nor_units_matters():
    rows = [
        finding(
            f"f{n:02}",
            ("z03-main", "jke00", "expected/ICD10-NO//A41")[n % 3],
            kind=("rule", "rule", "missing")[n % 3],
            unit_id=f"H{n % 2}/A",
            period=str(2020 + n % 5),
            amount_low_nok=1000.0 * n,
            amount_high_nok=1500.0 * n,
        )
        for n in range(40)
    ]
    items = [item(f"f{n:02}", n) for n in range(40)]
    usual = cases_table(cases_of(found_of(rows, items)))
    shuffle = random.Random(3).shuffle
    shuffle(rows), shuffle(items)
    assert cases_table(cases_of(found_of(rows, items))).equals(usual)
    every = [one for ids in usual["finding_ids"] for one in ids]
    assert sorted(every) == [f"f{n:02}" for n in range(40)]
    assert usual.schema == CASES


def test_few_expectations_about_a_group_are_gathered_and_many_stand_alone():
    rows = [finding(f"a{n}", "expected/ICD10-NO//A41", kind="missing") for n in range(5)]
    rows += [finding(f"b{n}", f"expected/ICD10-NO//B{n}", kind="missing") for n in range(4)]
    rows += [finding("c", "expected/ICD10-NO//A41", kind="unsupported")]
    cases = cases_of(found_of(rows, [item(row["finding_id"], n) for n, row in enumerate(rows)]))
    assert sorted((case.family, case.n_findings) for case in cases) == [
        ("missing", 4),
        ("missing/ICD10-NO//A41", 5),
        ("unsupported", 1),
    ]


def test_rates_of_rules_are_held_against_all_other_units():
    # H1/A breaks 20 of 100, the others 10 of 400 = 2.5 %: 2.5 expected, 8 times as many as expected.
    # Exact limits of 20 / 2.5 (Garwood; R: poisson.test(20, 2.5)): 4.886608 to 12.35535.
    coverage = [
        ("z03-main", "H1/A", "2024", 100, 20),
        ("z03-main", "H2/B", "2024", 300, 10),
        ("z03-main", "H3/C", "2024", 100, 0),
        ("z03-main", "H1/A", "2020", 100, 99),
    ]
    (case,) = cases_of(found_of([finding("a", "z03-main")], [item("a", 1)]), coverage=coverage)
    (rate,) = case.rates
    assert (rate.n, rate.observed, rate.expected, rate.ratio, case.against) == (100, 20, 2.5, 8, "peers")
    assert (rate.low, rate.high) == pytest.approx((4.886608, 12.35535), rel=1e-5)


def test_a_ward_is_held_against_wards_of_its_name_where_there_are_any():
    # H2/A breaks 30 of 100: 30 expected of H1/A. H3/C has no like: of 100, 100 x 50 of 200 others = 25.
    coverage = [
        ("z03-main", "H1/A", "2024", 100, 20),
        ("z03-main", "H2/A", "2024", 100, 30),
        ("z03-main", "H3/C", "2024", 100, 0),
    ]
    rows = [finding("a", "z03-main"), finding("b", "z03-main", unit_id="H3/C")]
    cases = cases_of(found_of(rows, [item("a", 1), item("b", 2)]), coverage=coverage)
    told = {case.unit_id: (case.against, case.rates[0].expected) for case in cases}
    assert told == {"H1/A": ("wards", 30.0), "H3/C": ("peers", 25.0)}


def test_a_unit_without_others_has_a_rate_without_comparison():
    (case,) = cases_of(
        found_of([finding("a", "z03-main")], [item("a", 1)]), coverage=[("z03-main", "H1/A", "2024", 100, 20)]
    )
    (rate,) = case.rates
    assert (rate.observed, rate.expected, rate.ratio) == (20, None, None)


def test_a_flag_of_a_measure_stands_with_its_figures_in_the_case_that_it_joins():
    row = {
        "unit_id": "H1/A",
        "measure": "z03-rate",
        "period": "2024",
        "n": 200,
        "observed": 30.0,
        "expected": 10.0,
        "ratio": 3.0,
        "low": 2.0,
        "high": 4.3,
        "q_value": 0.001,
        "is_flagged": True,
    }
    (case,) = cases_of(
        found_of([finding("a", "z03-main")], [item("a", 1)]), rates=[row, row | {"unit_id": "H9/Z"}]
    )
    assert [(rate.measure, rate.ratio, rate.is_flagged) for rate in case.rates] == [("z03-rate", 3.0, True)]
    assert case.against == "expected"


def test_innocent_explanations_looked_at_are_counted_with_those_that_hold():
    rows = [
        finding("a", "z03-main", innocent_explanations=["died_in_stay"]),
        finding("b", "z03-main"),
        finding("c", "z03-main", innocent_explanations=["transfer_in"]),
    ]
    (case,) = cases_of(found_of(rows, [item(name, n) for n, name in enumerate("abc")]))
    assert [(one.name, one.n_held, one.n_looked, one.verdict) for one in case.explanations] == [
        ("transfer_in", 1, 1, "holds"),
        ("died_in_stay", 1, 3, "holds_in_part"),
        ("small_unit", 0, 3, "does_not_hold"),
    ]


def test_money_of_stays_and_of_the_rate_are_never_added():
    rows = [
        finding("a", "z03-main", probability=0.5, amount_low_nok=1000.0, amount_high_nok=3000.0),
        finding("b", "z03-rate", kind="unit_rate", probability=None, amount_low_nok=7e5, amount_high_nok=8e5),
    ]
    (case,) = cases_of(found_of(rows, [item("a", 1), item("b", 1, None), item("b", 2, None)]))
    assert (case.amount_low_nok, case.amount_high_nok, case.expected_nok) == (1000.0, 3000.0, 1000.0)
    assert (case.rate_low_nok, case.rate_high_nok) == (7e5, 8e5)
    assert (case.n_stays, case.n_subjects) == (2, 2)


def test_without_findings_there_are_no_cases():
    assert cases_of(Found.nothing()) == ()
    assert cases_table(()).schema == CASES


def test_a_case_is_called_what_most_of_it_is_about_and_a_measure_of_one_code_by_both():
    rows = [finding("a", "z03-main"), finding("b", "u07-main"), finding("c", "u07-main")]
    rows.append(finding("d", "coded_other/ICD10-NO//N17.9", kind="unit_rate", probability=None))
    rows.append(finding("e", "unheard_of", kind="drift", title="What it calls itself", probability=None))
    cases = cases_of(found_of(rows, [item("a", 1), item("b", 2), item("c", 3)]))
    titles = {case.family: (case.title.en, case.title.nb) for case in cases}
    assert titles == {
        "KV-MAIN": ("Title of u07-main", "Tittel på u07-main"),
        "coded_other/ICD10-NO//N17.9": (
            "Title of coded_other: N17.9",
            "Tittel på coded_other: N17.9",
        ),
        "unheard_of": ("What it calls itself", "What it calls itself"),
    }
    looked = {case.family: [one.name for one in case.explanations] for case in cases}
    assert looked["coded_other/ICD10-NO//N17.9"] == ["older_patients"]
