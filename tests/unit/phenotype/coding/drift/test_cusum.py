"""The CUSUM by hand count and by its definition; limits that keep their false-alarm rate on unseen seeds."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotype.coding.drift.cusum import (
    limit_for,
    own_level,
    score_weights,
    shifted,
    signals,
    sums,
    sums_with_reset,
)

WEIGHTS = st.lists(st.floats(-2, 2), min_size=1, max_size=60)


def test_weights_of_steiner_by_hand() -> None:
    """At risk 0.2 and odds ratio 2: log(2 / 1.2) for a case, log(1 / 1.2) for none."""
    found = score_weights(np.array([1.0, 0.0]), np.array([0.2, 0.2]), 2.0)
    assert found == pytest.approx([log(2 / 1.2), log(1 / 1.2)])


def slow(weights: list[float], height: float | None) -> tuple[list[float], list[int]]:
    """The sum as the paper defines it, one stay after another."""
    total, found, crossed = 0.0, [], []
    for number, weight in enumerate(weights):
        total = max(0.0, total + weight)
        found.append(total)
        if height is not None and total >= height:
            crossed.append(number)
            total = 0.0
    return found, crossed


@given(WEIGHTS)
def test_sums_equal_the_definition(weights: list[float]) -> None:
    assert sums(np.array(weights)) == pytest.approx(slow(weights, None)[0], abs=1e-9)


@given(WEIGHTS, st.floats(0.5, 5))
def test_signals_and_resets_equal_the_definition(weights: list[float], height: float) -> None:
    values = [round(weight, 3) for weight in weights]
    found, crossed = slow(values, height + 1e-7)
    assert sums_with_reset(np.array(values), height + 1e-7) == pytest.approx(found, abs=1e-9)
    told = signals(np.array(values), height + 1e-7, 1)
    assert [signal.at for signal in told] == crossed
    for signal in told:
        assert np.sum(values[signal.start : signal.at + 1]) == pytest.approx(found[signal.at], abs=1e-9)


def test_the_change_is_dated_where_the_sum_last_left_zero() -> None:
    (found,) = signals(np.array([-1.0, 1.0, -2.0, 1.0, -0.5, 2.0]), 2.5, 1)
    assert (found.start, found.at) == (3, 5)


def test_a_level_is_that_of_the_observed_share() -> None:
    """200 of 1,000 where 100 were expected: odds ratio 0.25 / (1/9) = 2.25, drawn a little towards 1."""
    observed = np.repeat([1.0, 0.0], [200, 800])
    level = own_level(observed, np.full(1000, 0.1))
    assert level == pytest.approx(log(2.25), rel=0.01)
    assert shifted(np.array([0.1]), log(2.25)) == pytest.approx([0.2])


@settings(max_examples=25)
@given(st.integers(0, 30), st.floats(0.01, 0.6))
def test_a_level_without_or_with_nothing_but_cases_is_finite(n: int, risk: float) -> None:
    for observed in (np.zeros(n), np.ones(n)):
        assert abs(own_level(observed, np.full(n, risk))) < 6


@pytest.mark.parametrize(
    ("n_before", "n_after", "low", "high"),
    [(600, 2400, 0.05, 0.05), (800, 4000, 0.005, 0.03), (300, 1200, 0.02, 0.6)],
)
def test_the_false_alarm_rate_holds_on_other_seeds(
    n_before: int, n_after: int, low: float, high: float
) -> None:
    """400 clean series of such risks, each with its baseline estimated: 5 per cent are meant, 8 the bar."""
    random, alarms = np.random.default_rng(77), 0
    limit = None
    for _ in range(400):
        risk = random.uniform(low, high, n_before + n_after)
        observed = (random.random(len(risk)) < risk).astype(float)
        limit = limit_for(
            risk[:n_before], risk[n_before:], lag=n_after, odds_ratio=2.0, false_alarm_rate=0.05, seed=5
        )
        expected = shifted(risk[n_before:], own_level(observed[:n_before], risk[:n_before]))
        alarms += any(
            signals(score_weights(observed[n_before:], expected, ratio), limit.height, 1)
            for ratio in (2.0, 0.5)
        )
    assert limit is not None
    assert alarms / 400 <= 0.08
    assert limit.average_run_length == pytest.approx(n_after / 0.0513, rel=0.01)
