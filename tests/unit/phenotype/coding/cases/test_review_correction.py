"""Answers make probabilities honest, also where only the stays on top of the ranking were opened."""

from __future__ import annotations

import datetime as dt
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta

from phenotype.coding.cases.review_correction import (
    answer_counts,
    check_reviews,
    correct_probabilities,
    pooled_precision,
    settled,
)
from phenotype.coding.cases.reviews import REVIEWS
from phenotype.coding.findings import FINDINGS

FRAMES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "coding_frames.py")))
finding, rule_of = FRAMES.finding, FRAMES.rule_of
PRIOR = SimpleNamespace(right=9.0, wrong=1.0)


def findings_of(rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in FINDINGS} for row in rows], schema=FINDINGS)


def reviews_of(answers: list[tuple], drawn: str = "ranked", role: str = "koder") -> pl.DataFrame:
    rows = [
        {
            "finding_id": name,
            "stay_id": 1,
            "answer": answer if isinstance(answer, str) else "agree" if answer else "disagree",
            "reason": "",
            "reviewer_role": role,
            "date": dt.date(2026, 11, 1),
            "drawn": drawn,
        }
        for name, answer in answers
    ]
    return pl.DataFrame(rows, schema=REVIEWS)


def calibration_error(probability: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of observed and stated share over ten groups of equal size by probability."""
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, 10)
    return float(np.mean([abs(probability[part].mean() - right[part].mean()) for part in parts]))


def sigmoid(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


def test_one_unit_that_stands_for_all_gives_the_textbook_beta_binomial():
    # With alike units (one unit, many answers) the mean goes to (9 + 3) / (10 + 40) as pooling gets complete;
    # here pooling is unknown, so the mean of all units lies between that and the prior's .9.
    of_units, of_others = pooled_precision(np.array([3.0]), np.array([37.0]), PRIOR)
    exact = 3 / 40
    assert exact < of_units[0] < 12 / 50
    assert of_units[0] < of_others < 0.9


def test_many_alike_units_reach_the_exact_posterior_of_one_common_precision():
    # 200 units of 10 answers, 6 right each: no variation between units. The mean's posterior is nearly
    # Beta(9 + 1200, 1 + 800): mean 0.6015.
    of_units, of_others = pooled_precision(np.full(200, 6.0), np.full(200, 4.0), PRIOR)
    assert of_others == pytest.approx(beta(1209, 801).mean(), abs=0.004)
    assert np.allclose(of_units, of_others, atol=0.003)


def test_units_that_differ_keep_their_own_precision_and_those_with_few_answers_borrow():
    right = np.array([95.0, 5.0, 90.0, 10.0, 0.0])
    wrong = np.array([5.0, 95.0, 10.0, 90.0, 1.0])
    of_units, of_others = pooled_precision(right, wrong, PRIOR)
    assert of_units[0] == pytest.approx(0.95, abs=0.03)
    assert of_units[1] == pytest.approx(0.05, abs=0.03)
    assert 0.1 < of_units[4] < of_others < 0.9


def test_rules_whose_top_alone_was_opened_become_calibrated():
    # 30 units, precision Beta(4.8, 3.2), mean .6; the rule says .9. Of 3,000 the 300 dearest are opened.
    rng = np.random.default_rng(11)
    precision = rng.beta(4.8, 3.2, 30)
    unit = rng.integers(0, 30, 3000)
    right = rng.random(3000) < precision[unit]
    amount = rng.lognormal(9, 1, 3000)
    rows = [
        finding(f"{n:016x}", "r", unit_id=f"H/{unit[n]}", amount_low_nok=amount[n], amount_high_nok=amount[n])
        for n in range(3000)
    ]
    top = np.argsort(-amount)[:300]
    findings = findings_of(rows)
    corrected = correct_probabilities(
        findings, reviews_of([(rows[n]["finding_id"], right[n]) for n in top]), [rule_of("r")]
    )
    rest = np.setdiff1d(np.arange(3000), top)
    told = corrected["probability"].to_numpy()
    assert calibration_error(told[rest], right[rest]) < 0.05
    assert calibration_error(np.full(3000, 0.9)[rest], right[rest]) > 0.25
    # Answered findings have their answer, and everything else stands as it stood.
    assert np.array_equal(told[top], right[top].astype(float))
    assert corrected.drop("probability").equals(findings.drop("probability"))


def expectations(seed: int, weight_of_amount: float, n: int = 4000) -> tuple[pl.DataFrame, np.ndarray]:
    """Findings of an overconfident model, and which are right: logit = .6 logit(p) - .8 + group + amount."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0.5, 1.5, n)
    group = rng.integers(0, 8, n)
    amount = rng.lognormal(9, 1, n)
    truth = sigmoid(
        0.6 * score - 0.8 + rng.normal(0, 0.4, 8)[group] + weight_of_amount * (np.log(amount) - 9)
    )
    rows = [
        finding(
            f"{at:016x}",
            f"expected/G{group[at]}",
            kind="missing",
            probability=float(sigmoid(score[at])),
            amount_low_nok=amount[at],
            amount_high_nok=amount[at],
        )
        for at in range(n)
    ]
    return findings_of(rows), rng.random(n) < truth


def errors(seed: int, by: str, weight_of_amount: float, random_share: float) -> tuple[float, float]:
    """Calibration error of the stays that were not opened, before and after 300 of 4,000 were."""
    findings, right = expectations(seed, weight_of_amount)
    stated = findings["probability"].to_numpy()
    value = stated * findings["amount_low_nok"].to_numpy() if by == "money" else stated
    order, n_random = np.argsort(-value), round(300 * random_share)
    drawn = np.random.default_rng(seed).choice(order[300 - n_random :], n_random, replace=False)
    opened = np.concatenate([order[: 300 - n_random], drawn])
    rest = np.setdiff1d(order, opened)
    names = findings["finding_id"].to_list()
    corrected = correct_probabilities(findings, reviews_of([(names[n], right[n]) for n in opened]), [])
    told = corrected["probability"].to_numpy()
    return calibration_error(stated[rest], right[rest]), calibration_error(told[rest], right[rest])


@pytest.mark.parametrize(("by", "weight_of_amount"), [("probability", 0.0), ("money", 0.0), ("money", 0.4)])
def test_expectations_become_calibrated_where_a_fifth_was_opened_at_random(by, weight_of_amount):
    found = np.array([errors(seed, by, weight_of_amount, 0.2) for seed in (1, 2, 3)])
    assert found[:, 0].min() > 0.1
    assert found[:, 1].mean() < 0.05


@pytest.mark.parametrize(("by", "weight_of_amount"), [("probability", 0.0), ("money", 0.0), ("money", -0.4)])
def test_where_the_top_alone_was_opened_most_of_the_error_below_goes_but_not_all(by, weight_of_amount):
    found = np.array([errors(seed, by, weight_of_amount, 0.0) for seed in (1, 2, 3)])
    assert (found[:, 1] < found[:, 0]).all()
    assert found[:, 1].mean() < 0.5 * found[:, 0].mean()


def test_one_answer_changes_little_and_none_changes_nothing():
    findings, right = expectations(6, 0.0, 500)
    unchanged = correct_probabilities(findings, reviews_of([]), [rule_of("r")])
    assert unchanged.equals(findings)
    first = findings["finding_id"][0]
    corrected = correct_probabilities(findings, reviews_of([(first, right[0])]), [])
    moved = (corrected["probability"] - findings["probability"]).slice(1).abs()
    assert 0 < moved.max() < 0.2


def test_cannot_tell_says_nothing_and_a_null_stays_null():
    findings = findings_of(
        [finding("a"), finding("b"), finding("c", "m", kind="unit_rate", probability=None)]
    )
    corrected = correct_probabilities(findings, reviews_of([("a", "cannot_tell")]), [rule_of("r")])
    assert corrected.equals(findings)


def test_a_later_answer_replaces_an_earlier_one_and_roles_are_averaged():
    reviews = pl.concat(
        [
            reviews_of([("a", False), ("b", True), ("c", "cannot_tell")]),
            reviews_of([("a", True)]),
            reviews_of([("b", False)], role="lege"),
        ]
    )
    assert settled(reviews).select("finding_id", "right").rows() == [("a", 1.0), ("b", 0.5), ("c", None)]
    assert answer_counts(reviews, ["a", "b", "c", "d"]) == {"agree": 1, "disagree": 0, "cannot_tell": 2}


def test_stays_opened_at_random_show_that_the_ranking_saw_more_than_the_probabilities():
    # Stated .8 everywhere: right on top (80 of 100), wrong below (20 of 50 of those drawn at random).
    findings = findings_of([finding(f"{n:03}", probability=0.8) for n in range(150)])
    reviews = pl.concat(
        [
            reviews_of([(f"{n:03}", n < 80) for n in range(100)]),
            reviews_of([(f"{n:03}", n < 120) for n in range(100, 150)], drawn="random"),
        ]
    )
    checks = {row["drawn"]: row for row in check_reviews(findings, reviews).to_dicts()}
    assert (checks["ranked"]["agreed"], checks["ranked"]["expected"]) == (80, pytest.approx(80))
    assert (checks["random"]["agreed"], checks["random"]["expected"]) == (20, pytest.approx(40))
    assert checks["ranked"]["p_value"] == pytest.approx(1.0)
    # |20 - 40| - .5 = 19.5; sd = sqrt(50 x .8 x .2) = 2.8284; z = 6.894: 5.4e-12 by tables of the normal.
    assert checks["random"]["p_value"] == pytest.approx(5.4e-12, rel=0.05)
