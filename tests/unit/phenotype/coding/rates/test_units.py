"""Rates of units: planted deviations are found, and what cannot be judged is counted and said."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenotype.coding.findings import FINDING_ITEMS, FINDINGS, RULE_COVERAGE, UNITS
from phenotype.coding.rates.counted_rows import NO_DIAGNOSIS, count_rows
from phenotype.coding.rates.funnel_plots import funnel_plot
from phenotype.coding.rates.measure_rows import codes_of, measure_rows
from phenotype.coding.rates.measures import Condition, Each, Measure, Number, load_measures
from phenotype.coding.rates.supplements import SUPPLEMENT, supplement
from phenotype.coding.rates.unit_findings import rate_findings
from phenotype.coding.rates.unit_judging import ALONE, ONE_STAY
from phenotype.coding.rates.units import judge_rates

RECORDS = runpy.run_path(str(Path(__file__).parents[1] / "unit_records.py"))
FIRST = RECORDS["FIRST"]
contact = RECORDS["contact"]
random_record = RECORDS["random_record"]
record_of = RECORDS["record_of"]

N17 = Measure(
    id="kidney",
    title="Acute kidney failure",
    title_nb="Akutt nyresvikt",
    sources=("made for this test",),
    counts=Condition(codes=("ICD10-NO//N17",)),
)
DEPTH = Measure(
    id="depth",
    title="Other conditions",
    sources=("made for this test",),
    number=Number(of="codes", roles=("other",)),
)
UNITS_OF_TEN = [f"H{number}/A" for number in range(10)]


def planted() -> tuple[list[dict[str, object]], list[tuple[int, str, str]]]:
    """Ten wards of 100 stays; N17.9 in every tenth, but in 60 of H3/A."""
    contacts, codes = [], []
    for ward, unit in enumerate(UNITS_OF_TEN):
        for number in range(100):
            key = ward * 100 + number
            contacts.append(contact(key, unit))
            codes.append((key, "main", "ICD10-NO//J18.9"))
            if number % 10 == 0 or (unit == "H3/A" and number < 60):
                codes.append((key, "other", "ICD10-NO//N17.9"))
    return contacts, codes


def test_the_ward_that_codes_more_is_flagged_with_its_contacts_and_no_other() -> None:
    record = record_of(*planted())
    rates = judge_rates(record, (N17,))
    flagged = rates.units.filter("is_flagged").rows(named=True)
    assert [(row["unit_id"], row["period"], row["n"], row["observed"]) for row in flagged] == [
        ("H3/A", "2024", 100, 64.0)
    ]
    # 90 of the others' 900 stays have the code; all patients are alike, so 10 of 100 are expected.
    assert flagged[0]["expected"] == pytest.approx(10.0)
    found = rate_findings(rates, record, (N17,))
    assert found.findings.schema == FINDINGS
    assert found.items.schema == FINDING_ITEMS
    row = found.findings.row(0, named=True)
    assert (row["kind"], row["rule_id"], row["unit_id"], row["probability"]) == (
        "unit_rate",
        "kidney",
        "H3/A",
        None,
    )
    own = record.codes.filter(
        (pl.col("code") == "ICD10-NO//N17.9") & pl.col("contact_id").is_between(300, 399)
    )
    assert found.items["contact_id"].to_list() == sorted(own["contact_id"].to_list())
    assert set(found.items["finding_id"]) == {row["finding_id"]}


def test_the_table_for_the_committee_counts_the_wards_stays_beside_all_others() -> None:
    record = record_of(*planted())
    table = supplement(record, (N17,), "kidney", "H3/A", "2024")
    assert table.schema == SUPPLEMENT
    by_figure = {(row["part"], row["figure"]): row for row in table.iter_rows(named=True)}
    stays = by_figure["how many", "stays"]
    assert [stays[name] for name in ("unit", "others", "counting", "others_counting")] == [100, 900, 64, 90]
    assert by_figure["stay", "days, mean"]["unit"] == pytest.approx(2.0)
    assert by_figure["other conditions", "share with N17.9"]["others"] == pytest.approx(0.1)


def figures_of(counting: int, n_own: int = 30) -> dict[tuple[str, str], dict[str, object]]:
    """The table of a ward of so many stays of which so many count, beside one of 100 of which 20 do."""
    wards = (("H1/A", n_own, counting), ("H2/A", 100, 20))
    contacts, codes = [], []
    for ward, (unit, n, n_counting) in enumerate(wards):
        for number in range(n):
            key = ward * 1000 + number
            contacts.append(contact(key, unit, age_years=70.0 if number < 26 else 40.0))
            codes.append((key, "main", "ICD10-NO//J18.9"))
            codes += [(key, "other", "ICD10-NO//N17.9")] if number < n_counting else []
    table = supplement(record_of(contacts, codes), (N17,), "kidney", "H1/A", "2024")
    return {(row["part"], row["figure"]): row for row in table.iter_rows(named=True)}


def test_the_committees_table_gives_neither_few_nor_what_few_are_left_over() -> None:
    usual = figures_of(12)
    assert (usual["how many", "stays"]["unit"], usual["how many", "stays"]["counting"]) == (30, 12)
    for few in (3, 27):  # 3 count, or 3 of 30 are left over: 30 beside 27 tells of them
        told = figures_of(few)
        assert told["how many", "stays"]["unit"] == 30
        assert [row["counting"] for row in told.values()] == [None] * len(told)
    # 26 of 30 are 67 to 79 years old: the 4 others are few, so neither share is told.
    assert usual["age", "share 67-79"]["unit"] is None
    assert usual["age", "share 18-49"]["unit"] is None
    # All of the 12 that count are; of the 18 that do not 14, and again 4 others.
    assert usual["age", "share 67-79"]["counting"] is None
    assert usual["age", "share 67-79"]["others"] == pytest.approx(0.26)


def test_rows_of_one_measure_add_up_to_its_rate() -> None:
    record = record_of(*planted())
    rows = measure_rows(record, N17).filter(pl.col("unit") == "H3/A")
    assert rows["observed"].sum() == 64
    assert rows["expected"].sum() == pytest.approx(10.0)
    assert codes_of(N17, record) == ("ICD10-NO//N17.9",)


def test_a_unit_with_one_stay_is_on_the_table_counted_and_never_flagged() -> None:
    contacts, codes = planted()
    lonely = contact(5000, "H99/A")
    record = record_of(
        [*contacts, lonely], [*codes, (5000, "main", "ICD10-NO//J18.9"), (5000, "other", "ICD10-NO//N17.9")]
    )
    rates = judge_rates(record, (N17,))
    row = rates.units.filter(pl.col("unit_id") == "H99/A").row(0, named=True)
    assert (row["n"], row["observed"], row["is_flagged"], row["q_value"]) == (1, 1.0, False, None)
    said = rates.coverage.filter((pl.col("unit_id") == "H99/A") & (pl.col("reason") == ONE_STAY))
    assert said["not_judgeable"].to_list() == [1]
    assert rates.coverage.schema == RULE_COVERAGE


def test_what_is_not_told_is_counted_with_its_reason_and_never_dropped() -> None:
    contacts, codes = planted()
    bare = contact(6000, "H1/A")
    negative = contact(6001, "H1/A", end_time=FIRST - timedelta(days=1), start_time=FIRST)
    endless = contact(6002, "H1/A", end_time=None)
    more = [(6001, "main", "ICD10-NO//J18.9"), (6002, "main", "ICD10-NO//J18.9")]
    rates = judge_rates(record_of([*contacts, bare, negative, endless], [*codes, *more]), (N17,))
    mine = rates.coverage.filter((pl.col("rule_id") == "kidney") & (pl.col("unit_id") == "H1/A"))
    assert mine.filter(pl.col("reason").is_null())["judged"].to_list() == [102]
    assert mine.filter(pl.col("reason") == NO_DIAGNOSIS)["not_judgeable"].to_list() == [1]


def test_each_stay_is_judged_or_not_for_one_reason_so_that_the_sum_closes() -> None:
    contacts, codes = planted()
    lonely, bare = contact(5000, "H99/A"), contact(6000, "H1/A")
    record = record_of([*contacts, lonely, bare], [*codes, (5000, "main", "ICD10-NO//J18.9")])
    each = Measure(
        id="any",
        title="Any code",
        sources=("made for this test",),
        each=Each(of="code", roles=("main", "other"), smallest=5),
    )
    coverage = judge_rates(record, (N17, DEPTH, each)).coverage
    sums = coverage.group_by("rule_id").agg(pl.col("judged", "not_judgeable").sum()).sort("rule_id")
    # 1,000 stays of ten wards; one of a ward alone and one without a diagnosis cannot be judged
    assert sums.rows() == [(name, 1000, 2) for name in ("any", "depth", "kidney")]
    told = coverage.filter(pl.col("not_judgeable") > 0).select(
        "rule_id", "unit_id", "reason", "not_judgeable"
    )
    assert told.filter(rule_id="kidney").rows() == [
        ("kidney", "H1/A", NO_DIAGNOSIS, 1),
        ("kidney", "H99/A", ONE_STAY, 1),
    ]


@pytest.mark.parametrize("by", ["unit", "hospital"])
def test_no_shipped_measure_tells_of_more_rows_than_there_are(by: str) -> None:
    record = random_record(3)
    measures = load_measures()
    coverage = judge_rates(record, measures, by=by).coverage
    told = coverage.with_columns(n=pl.col("judged") + pl.col("not_judgeable"))
    for measure in measures:
        rows = count_rows(record, measure.per).rows
        there = rows.group_by(unit_id=by, period=pl.col("year").cast(pl.String).fill_null("?")).len()
        mine = told.filter(rule_id=measure.id).group_by("unit_id", "period").agg(pl.col("n").sum())
        both = mine.join(there, on=["unit_id", "period"], how="left")
        assert (both["n"] <= both["len"]).all(), measure.id
        if measure.of == Condition() and measure.from_year is None and not measure.facts():
            assert mine["n"].sum() == rows.height, measure.id


def test_a_measure_whose_data_are_not_there_says_so_and_counts_whom_it_would_have_judged() -> None:
    pair = next(measure for measure in load_measures() if measure.id == "complicating_share")
    rates = judge_rates(record_of(*planted()), (pair,))
    assert rates.units.height == 0
    assert rates.units.schema == UNITS
    assert rates.coverage.filter(pl.col("reason").is_not_null())["not_judgeable"].sum() == 1000
    assert set(rates.coverage["reason"].drop_nulls()) == {"the fact drg is not told"}


def test_drg_pairs_share_the_dearer_group_among_both() -> None:
    pair = next(measure for measure in load_measures() if measure.id == "complicating_share")
    contacts, codes = planted()
    facts = [
        (row["contact_id"], "drg", "449" if int(str(row["contact_id"])) % 3 == 0 else "450")
        for row in contacts[:500]
    ]
    units = judge_rates(record_of(contacts, codes, facts), (pair,)).units
    assert set(units["measure"]) == {"complicating_share/449-450"}
    assert units["n"].to_list() == [100] * 5
    assert units["observed"].to_list() == [34, 33, 33, 34, 33]


def test_a_ward_without_others_to_compare_with_is_not_judged() -> None:
    contacts = [contact(number, "H0/A") for number in range(50)]
    codes = [(number, "main", "ICD10-NO//J18.9") for number in range(50)]
    rates = judge_rates(record_of(contacts, codes), (N17, DEPTH))
    assert rates.units["expected"].to_list() == [None, None]
    assert set(rates.coverage["reason"].drop_nulls()) == {ALONE}


def test_wards_are_compared_within_their_specialty_and_hospitals_with_all() -> None:
    contacts, codes = [], []
    for number in range(400):
        ward = "AB"[number % 2]
        contacts.append(contact(number, f"H{number % 4 // 2}/{ward}"))
        codes.append((number, "main", "ICD10-NO//J18.9"))
        if ward == "B":
            codes.append((number, "other", "ICD10-NO//N17.9"))
    record = record_of(contacts, codes)
    by_ward = judge_rates(record, (N17,)).units
    assert dict(by_ward.select("unit_id", "expected").iter_rows()) == pytest.approx(
        {"H0/A": 0.0, "H0/B": 100.0, "H1/A": 0.0, "H1/B": 100.0}
    )
    assert judge_rates(record, (N17,), by="hospital").units["expected"].to_list() == pytest.approx([100, 100])


def test_the_table_is_the_same_for_any_order_of_contacts_and_codes() -> None:
    record = random_record(7)
    each = Measure(
        id="each",
        title="Every code",
        sources=("made for this test",),
        each=Each(of="code", roles=("other",)),
        direction="both",
    )
    shuffled = replace(record, codes=record.codes.sample(fraction=1, shuffle=True, seed=1))
    first, second = (judge_rates(one, (each, N17, DEPTH)).units for one in (record, shuffled))
    assert_frame_equal(first, second, rel_tol=1e-9)


def test_a_funnel_holds_its_units_and_limits_that_narrow() -> None:
    rates = judge_rates(record_of(*planted()), (N17,))
    plot = funnel_plot(rates.units, "kidney", "2024", "Kidney failure")
    assert [point.unit_id for point in plot.points] == UNITS_OF_TEN
    assert [point.unit_id for point in plot.points if point.is_flagged] == ["H3/A"]
    places = [limit.n for limit in plot.limits]
    assert places == sorted(places)
    assert plot.limits[-1].high95 <= plot.limits[0].high95
    assert all(a.low998 <= a.low95 <= 1 <= a.high95 <= a.high998 for a in plot.limits)


def test_patient_months_count_the_contacts_of_a_patient_in_a_month() -> None:
    months = Measure(
        id="months",
        title="Contacts a month",
        sources=("made for this test",),
        per="patient_month",
        number=Number(of="contacts"),
        peers="all",
    )
    contacts = []
    for number in range(120):
        # Patients of H0 come three times a month, those of the others once.
        unit = f"H{number % 4}/A"
        for visit in range(3 if number % 4 == 0 else 1):
            start = FIRST + timedelta(days=visit)
            contacts.append(
                contact(
                    number * 10 + visit,
                    unit,
                    subject_id=number,
                    start_time=start,
                    end_time=start + timedelta(hours=1),
                )
            )
    units = judge_rates(record_of(contacts, []), (months,)).units
    assert units["n"].to_list() == [30] * 4
    assert units["observed"].to_list() == [90, 30, 30, 30]
    assert units["expected"].to_list()[0] == pytest.approx(30.0)
    assert units["is_flagged"].to_list() == [True, False, False, False]


def test_the_variance_of_patients_who_come_again_is_that_of_patients() -> None:
    # In both hospitals of 30 patients 15 have the code; where each comes ten times, it is the same 15 people.
    contacts, codes = [], []
    for patient in range(300):
        for visit in range(10):
            key = patient * 10 + visit
            contacts.append(contact(key, f"H{patient % 10}/A", subject_id=patient, stay_id=key))
            codes.append((key, "main", "ICD10-NO//J18.9"))
            if patient // 10 % 2 == 0 or (patient % 10 == 0 and patient < 60):
                codes.append((key, "other", "ICD10-NO//N17.9"))
    units = judge_rates(record_of(contacts, codes), (N17,)).units
    assert units["observed"].to_list()[0] == 180
    assert not units["is_flagged"].any()
    assert float(np.abs(units["z"].to_numpy()).max()) < 2


def test_a_record_without_contacts_has_no_rates_and_no_findings() -> None:
    nothing = record_of([], [])
    rates = judge_rates(nothing, load_measures())
    assert rates.units.schema == UNITS
    assert (rates.units.height, rates.coverage.height) == (0, 0)
    assert rate_findings(rates, nothing, load_measures()).findings.height == 0
    assert measure_rows(nothing, N17).height == 0


def test_where_nothing_is_expected_there_is_no_ratio_and_no_interval() -> None:
    nowhere = N17.model_copy(update={"id": "nowhere", "counts": Condition(codes=("ICD10-NO//Z99",))})
    units = judge_rates(record_of(*planted()), (nowhere,)).units
    assert (units["expected"] == 0).all()
    assert units.select("ratio", "low", "high").null_count().row(0) == (units.height,) * 3
