"""Expectations of units: equal to plain loops and to another regression, blind to the unit's own codes."""

from __future__ import annotations

import runpy
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.rates.blocks import blocks, count
from phenotype.coding.rates.case_mix_regression import fit, spline
from phenotype.coding.rates.case_mix_strata import expect, expect_rows
from phenotype.coding.rates.measures import Condition, Each, Measure
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.units import grounds, judge_rates

RECORDS = runpy.run_path(str(Path(__file__).parents[1] / "unit_records.py"))
random_record = RECORDS["random_record"]

OTHERS = Measure(
    id="others",
    title="Share of stays with the code",
    sources=("made for this test",),
    of=Condition(),
    each=Each(of="code", roles=("other",), smallest=1),
    direction="both",
)
SETTINGS = UnitSettings.load()


def slow_expected(record: CodedRecord, code: str) -> dict[tuple[str, int], tuple[int, int, float]]:
    """n, observed and expected of each unit and year, stay by stay, from the attributes as numbers."""
    ground = grounds(record, ("stay",))["stay"]
    rows = ground.rows.rows
    has = set(record.codes.filter((pl.col("code") == code) & (pl.col("role") == "other"))["stay_id"])
    stays = [
        {
            "unit": row["unit"],
            "year": row["year"],
            "y": int(row["stay_id"] in has),
            **{name: int(values[number]) for name, values in ground.mix.attributes.items()},
        }
        for number, row in enumerate(rows.iter_rows(named=True))
    ]
    found: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    levels = SETTINGS.strata["all"]
    for one in stays:
        sums = found[one["unit"], one["year"]]
        sums[0] += 1
        sums[1] += one["y"]
        for place, names in enumerate(levels):
            alike = [
                other
                for other in stays
                if other["year"] == one["year"]
                and all(other[name] == one[name] for name in ("specialty", *names))
            ]
            own = sum(other["unit"] == one["unit"] for other in alike)
            others = [other["y"] for other in alike if other["unit"] != one["unit"]]
            is_last = place == len(levels) - 1
            needed = SETTINGS.smallest_stratum
            needed = needed if is_last else max(needed, SETTINGS.smallest_share * own)
            if len(others) >= needed:
                sums[2] += sum(others) / len(others)
                break
        else:
            sums[2] = np.nan
    return {key: (int(n), int(y), expected) for key, (n, y, expected) in found.items()}


def test_expectations_in_strata_are_those_of_plain_loops_over_every_stay() -> None:
    record = random_record(3, n=600)
    slow = slow_expected(record, "ICD10-NO//N17.9")
    off = SETTINGS.model_copy(update={"refining": SETTINGS.refining.model_copy(update={"most_measures": 0})})
    units = judge_rates(record, (OTHERS,), settings=off).units.filter(
        pl.col("measure") == "others/ICD10-NO//N17.9"
    )
    assert units.height == len(slow)
    for row in units.iter_rows(named=True):
        n, observed, expected = slow[row["unit_id"], int(row["period"])]
        assert (row["n"], row["observed"]) == (n, observed)
        if np.isnan(expected):
            assert row["expected"] is None
        else:
            assert row["expected"] == pytest.approx(expected, rel=1e-9)


def test_expectations_of_rows_add_up_to_those_of_cells() -> None:
    record = random_record(4)
    ground = grounds(record, ("stay",))["stay"]
    ((_, block),) = blocks([count(OTHERS, ground.rows)], ground.mix, ground.where, SETTINGS)
    limits = {"smallest": SETTINGS.smallest_stratum, "smallest_share": SETTINGS.smallest_share}
    cells = expect(block, **limits)  # type: ignore[arg-type]
    for number in range(len(block.measure_ids)):
        rows = expect_rows(block, number, **limits)  # type: ignore[arg-type]
        sums = np.bincount(block.cell, weights=rows, minlength=block.n_cells)
        there = cells.n[number] > 0
        assert sums[there] == pytest.approx(cells.expected[number][there], rel=1e-9)


def test_a_unit_that_codes_more_does_not_raise_what_is_expected_of_it() -> None:
    record = random_record(5)
    mine = record.contacts.filter(pl.col("unit") == "H1/A")["stay_id"]
    more = record.codes.filter(
        pl.col("stay_id").is_in(mine.implode()) & (pl.col("role") == "main")
    ).with_columns(role=pl.lit("other"), code=pl.lit("ICD10-NO//N17.9"))
    off = SETTINGS.model_copy(update={"comorbidity_days": 0})
    wanted = (pl.col("unit_id") == "H1/A") & (pl.col("measure") == "others/ICD10-NO//N17.9")
    before, after = (
        judge_rates(one, (OTHERS,), settings=off).units.filter(wanted)
        for one in (record, replace(record, codes=pl.concat([record.codes, more])))
    )
    assert (after["observed"] > before["observed"]).all()
    strata_only = off.model_copy(update={"refining": off.refining.model_copy(update={"most_measures": 0})})
    again = judge_rates(
        replace(record, codes=pl.concat([record.codes, more])), (OTHERS,), settings=strata_only
    )
    assert again.units.filter(wanted)["expected"].to_list() == pytest.approx(before["expected"].to_list())


def test_the_logistic_fit_is_scikit_learns() -> None:
    random = np.random.default_rng(1)
    matrix = np.column_stack([np.ones(800), random.normal(size=(800, 4))])
    outcome = (random.random(800) < 1 / (1 + np.exp(-(matrix @ [-1, 0.5, -0.7, 0.2, 0])))).astype(float)
    ours = fit(matrix, outcome, penalty=2.0, is_count=False)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(matrix[:, 1:], outcome)
    assert ours.weights[1:] == pytest.approx(theirs.coef_[0], abs=1e-5)
    assert ours.weights[0] == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_the_poisson_fit_solves_its_own_equations_and_keeps_the_total() -> None:
    random = np.random.default_rng(2)
    matrix = np.column_stack([np.ones(500), random.normal(size=500)])
    outcome = random.poisson(np.exp(matrix @ [0.3, 0.4])).astype(float)
    weights = fit(matrix, outcome, penalty=0.0, is_count=True).weights
    expected = np.exp(matrix @ weights)
    assert expected.sum() == pytest.approx(outcome.sum(), rel=1e-6)
    assert (matrix[:, 1] * (outcome - expected)).sum() == pytest.approx(0, abs=1e-5)


def test_a_spline_of_age_is_straight_beyond_its_last_knot() -> None:
    ages = np.concatenate([np.linspace(0, 80, 500), [200.0, 300.0, 400.0]])
    columns = spline(ages, 5)
    assert columns.shape == (503, 4)
    assert columns[-1] - columns[-2] == pytest.approx(columns[-2] - columns[-3], rel=1e-9)
