"""Noise of coding: planted rates come back, formulas by hand, units differ, weak models tell nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from phenotype.coding.expected.config import NoiseConfig
from phenotype.coding.expected.confusion import confusion
from phenotype.coding.expected.grid import Grid
from phenotype.coding.expected.noise import (
    Anchors,
    Noise,
    anchored,
    confident,
    label_issues,
    presence,
    unit_noise,
    usual_sensitivity,
    wrong,
)

CONFIG = NoiseConfig()
SENSITIVITY, FALSE_SHARE, N = 0.85, 0.004, 20_000


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Presence that the record nearly tells, and coding with known noise: p, coded, truth."""
    random = np.random.default_rng(7)
    q = np.clip(np.concatenate([random.beta(0.05, 3, N // 2), random.beta(3, 0.1, N // 10)]), 0, 1)
    q = np.concatenate([q, np.full(N - len(q), 0.001)])
    truth = random.random(N) < q
    coded = random.random(N) < np.where(truth, SENSITIVITY, FALSE_SHARE)
    return SENSITIVITY * q + FALSE_SHARE * (1 - q), coded, truth


def _one_unit(n: int) -> np.ndarray:
    return np.zeros(n, dtype=np.int64)


def test_wards_that_never_code_a_group_do_not_speak_for_the_others(
    planted: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """As many stays again, of wards where nobody expects or codes the group: the false share stays known."""
    p, coded, _ = planted
    whole = np.concatenate([p, np.linspace(1e-6, 1e-5, N)])
    answers = np.concatenate([coded, np.zeros(N, dtype=bool)])
    unit = np.repeat([0, 1], N)
    found = anchored(Anchors.of(whole, answers, unit, CONFIG), SENSITIVITY, CONFIG)
    assert found.false_share > FALSE_SHARE / 4
    together = anchored(Anchors.of(whole, answers, _one_unit(2 * N), CONFIG), SENSITIVITY, CONFIG)
    assert together.false_share < FALSE_SHARE / 20


def test_wrong_by_hand() -> None:
    """q = 0.5, s = 0.8, f = 0.1: coded 0.45; 0.1 of 0.55 not coded are there, 0.05 of 0.45 coded are not."""
    q, s, f = np.full(2, 0.5), np.full(2, 0.8), np.full(2, 0.1)
    found = wrong(q, np.array([False, True]), s, f)
    assert found == pytest.approx([0.1 / 0.55, 0.05 / 0.45])


def test_presence_turns_the_noise_round() -> None:
    q = np.array([0.1, 0.5, 0.9])
    assert presence(0.8 * q + 0.05 * (1 - q), Noise(0.8, 0.05)) == pytest.approx(q)


def test_planted_noise_comes_back(planted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    p, coded, _ = planted
    anchors = Anchors.of(p, coded, _one_unit(N), CONFIG)
    found = anchored(anchors, usual_sensitivity([anchors], CONFIG), CONFIG)
    assert found.sensitivity == pytest.approx(SENSITIVITY, abs=0.03)
    assert found.false_share == pytest.approx(FALSE_SHARE, rel=0.5)
    learnt = confident(p, coded)
    assert learnt is not None
    assert learnt.sensitivity == pytest.approx(SENSITIVITY, abs=0.1)


def test_probabilities_of_errors_are_calibrated(planted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    p, coded, truth = planted
    noise = Noise(SENSITIVITY, FALSE_SHARE)
    q = presence(p, noise)
    found = wrong(q, coded, np.full(N, SENSITIVITY), np.full(N, FALSE_SHARE))
    is_wrong = truth != coded
    for answer in (True, False):
        some = coded == answer
        assert found[some].mean() == pytest.approx(is_wrong[some].mean(), rel=0.15)
    issues = label_issues(p, coded)
    assert is_wrong[issues].mean() > 5 * is_wrong[~issues].mean()


def test_models_that_are_never_sure_tell_of_no_carelessness() -> None:
    random = np.random.default_rng(3)
    coded = random.random(2000) < 0.4
    anchors = Anchors.of(np.full(2000, 0.4) + random.normal(0, 0.01, 2000), coded, _one_unit(2000), CONFIG)
    assert not anchors.tells_sensitivity(CONFIG)
    assert not anchors.tells_false_share(CONFIG)
    found = anchored(anchors, usual_sensitivity([anchors], CONFIG), CONFIG)
    assert found.sensitivity == pytest.approx(CONFIG.complete_prior)
    assert found.false_share == pytest.approx(CONFIG.false_prior * anchors.share)


def test_a_unit_that_leaves_out_more_is_told_and_a_small_one_is_shrunk() -> None:
    """Units of 1,000 stays with the group: the second leaves out twice the usual tenth; the third has one."""
    n = np.array([1000, 1000, 1])
    unit = np.repeat([0, 1, 2], n)
    random = np.random.default_rng(5)
    coded = (random.random(len(unit)) >= np.array([0.1, 0.2, 1.0])[unit])[:, None]
    q = np.full((len(unit), 1), 0.999)
    found = unit_noise(q, coded, np.ones_like(coded), [Noise(0.9, 0.001)], [unit], 10.0)
    ratios = [float(found.left_out[unit == number].mean()) for number in range(3)]
    assert ratios[0] == pytest.approx(1.0, abs=0.2)
    assert ratios[1] == pytest.approx(2.0, abs=0.35)
    assert ratios[2] == pytest.approx(1.1, abs=0.15)


def test_codes_in_each_other_s_place_are_found_by_unit() -> None:
    """Unit B codes b in the place of a in 30 of 60 stays that show a; unit A never does."""
    shows_a = np.tile([True, False], 60)
    unit = np.repeat(["H/A", "H/B"], 60)
    swapped = shows_a & (unit == "H/B") & (np.arange(120) % 4 == 0)
    coded = np.column_stack([shows_a & ~swapped, ~shows_a | swapped])
    p = np.column_stack([np.where(shows_a, 0.9, 0.1), np.where(shows_a, 0.1, 0.9)])
    nothing = np.zeros_like(p)
    stays = pl.DataFrame(
        {"stay_id": np.arange(120), "subject_id": np.arange(120), "unit": unit, "year": [2024] * 120}
    )
    grid = Grid(stays, ["X//a", "X//b"], nothing, p, nothing, p, coded, nothing > 0, coded)
    told = confusion(grid, prior=0.5, min_expected=0.0)
    one = told.filter(kind="instead", concept="X//a", coded_concept="X//b")
    ratio = dict(one.select("unit", "ratio").iter_rows())
    assert ratio["H/B"] > 3 * ratio["H/A"]
    assert one.filter(unit="H/B")["observed"][0] == pytest.approx(15 * 0.9 * 0.9 + 30 * 0.1 * 0.1)
    assert one.filter(unit="H/B")["expected"][0] == pytest.approx(60 * 0.09 * 0.09)
