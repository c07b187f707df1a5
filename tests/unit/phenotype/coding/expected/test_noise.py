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
    held_below,
    label_issues,
    levelled,
    presence,
    unit_noise,
    usual_noise,
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
    apart = Anchors.of(whole, answers, unit, unit, CONFIG)
    one = _one_unit(2 * N)
    together = Anchors.of(whole, answers, one, one, CONFIG)
    assert apart.low / apart.n_low > FALSE_SHARE / 4
    assert together.low / together.n_low < FALSE_SHARE / 20


def test_sensitivity_is_read_off_every_year_not_off_the_best_one() -> None:
    """A year in which a tenth is left out and one in which a third is; the models know which is which."""
    random = np.random.default_rng(11)
    present, year = np.tile([True, False], N // 2), np.repeat([0, 1], N // 2)
    sensitivity = np.where(year == 0, 0.9, 2 / 3)
    coded = present & (random.random(N) < sensitivity)
    p = np.where(present, sensitivity, 0.0) + random.uniform(0, 0.01, N)
    found = Anchors.of(p, coded, _one_unit(N), year, CONFIG)
    by_year = Anchors.of(p, coded, _one_unit(N), _one_unit(N), CONFIG)
    assert found.high / found.n_high == pytest.approx((0.9 * 0.9 + 2 / 3 * 2 / 3) / (0.9 + 2 / 3), abs=0.02)
    assert by_year.high / by_year.n_high == pytest.approx(0.9, abs=0.02)


def test_a_rare_group_is_coded_falsely_as_often_as_is_usual() -> None:
    """A third of its coding is false: its anchors look like those of models that do not know the group."""
    common = Anchors(n_high=1000, high=850, n_low=5000, low=15, share=0.2)
    rare = Anchors(n_high=50, high=30, n_low=5000, low=15, share=0.009)
    assert not rare.tells_false_share(CONFIG)
    usual = usual_noise([common, common, rare], CONFIG)
    assert usual == Noise(0.85, 0.003)
    assert anchored(rare, usual, CONFIG).false_share == pytest.approx(0.003)
    rarer = Anchors(n_high=50, high=30, n_low=5000, low=15, share=0.002)
    assert anchored(rarer, usual, CONFIG).false_share == pytest.approx(CONFIG.largest_usual * 0.002)


def test_what_is_coded_without_a_trace_is_not_taken_for_surely_wrong() -> None:
    found = held_below(np.array([0.1, 0.3, 0.6, 0.97, 1.0]), 0.7)
    assert found[:2] == pytest.approx([0.1, 0.3], abs=0.003)
    assert (np.diff(found) > 0).all()
    assert found[-1] < 0.7


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
    anchors = Anchors.of(p, coded, _one_unit(N), _one_unit(N), CONFIG)
    found = anchored(anchors, usual_noise([anchors], CONFIG), CONFIG)
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
    p = np.full(2000, 0.4) + random.normal(0, 0.01, 2000)
    anchors = Anchors.of(p, coded, _one_unit(2000), _one_unit(2000), CONFIG)
    assert not anchors.tells_sensitivity(CONFIG)
    assert not anchors.tells_false_share(CONFIG)
    found = anchored(anchors, usual_noise([anchors], CONFIG), CONFIG)
    assert found.sensitivity == pytest.approx(CONFIG.complete_prior)
    assert found.false_share == pytest.approx(CONFIG.false_prior * anchors.share)


def test_a_unit_that_leaves_out_more_is_told_and_a_small_one_is_shrunk() -> None:
    """Units of 1,000 stays leave out a tenth and a fifth of a group, 0.15 in all; the third has one stay."""
    n = np.array([1000, 1000, 1])
    unit = np.repeat([0, 1, 2], n)
    random = np.random.default_rng(5)
    coded = (random.random(len(unit)) >= np.array([0.1, 0.2, 1.0])[unit])[:, None]
    q = np.full((len(unit), 1), 0.999)
    found = unit_noise(q, coded, np.ones_like(coded), [Noise(0.85, 0.001)], [unit], CONFIG.unit_prior)
    ratios = [float(found.left_out[unit == number].mean()) for number in range(3)]
    assert ratios[0] == pytest.approx(0.1 / 0.15, abs=0.1)
    assert ratios[1] == pytest.approx(0.2 / 0.15, abs=0.1)
    weight = CONFIG.unit_prior
    of_all_groups = (1 + weight) / (0.15 + weight)
    assert ratios[2] == pytest.approx((1 + weight * of_all_groups) / (0.15 + weight), abs=0.05)


def test_one_stay_at_an_end_does_not_tell_what_is_expected_there() -> None:
    """Of 2,000 stays a tenth is coded, whatever the model says, and so is the one that it is surest of."""
    random = np.random.default_rng(8)
    p, coded = np.linspace(0.01, 0.4, 2000), random.random(2000) < 0.1
    coded[-1], coded[-10:-1] = True, False
    assert levelled(p, coded, 1)[-1] > 0.8
    assert levelled(p, coded, 30)[-1] == pytest.approx(0.1, abs=0.1)


def test_where_there_is_one_unit_it_errs_as_all_do() -> None:
    random = np.random.default_rng(6)
    coded = random.random((5000, 3)) >= 0.4
    found = unit_noise(
        np.full((5000, 3), 0.99), coded, np.ones_like(coded), [Noise(0.9, 0.001)] * 3, [_one_unit(5000)], 5.0
    )
    assert found.left_out == pytest.approx(np.ones((5000, 3)), abs=0.1)


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
