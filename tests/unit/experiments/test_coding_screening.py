"""Screened features: as scipy's rank-sum test and its control of false discoveries have them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu

from experiments.coding_screening import associated


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_it_equals_scipy(rate: float) -> None:
    random = np.random.default_rng(4)
    labels = random.random(80) < 0.4
    values = random.integers(0, 6, (80, 60)).astype(np.float32)
    values[:, :12] += 2 * labels[:, None] * random.random(12)
    p_values = [
        mannwhitneyu(column[labels], column[~labels], use_continuity=False, method="asymptotic").pvalue
        for column in values.T
    ]
    expected = false_discovery_control(p_values) <= rate
    assert 0 < expected.sum() < 60
    assert associated(values, labels, np.zeros(60, dtype=bool), rate).tolist() == expected.tolist()


def test_what_is_missing_is_lowest_and_of_times_longest_ago() -> None:
    labels = np.arange(40) < 20
    values = np.full((40, 2), np.nan, dtype=np.float32)
    values[:10], values[20:30] = 1.0, 2.0
    lowest = associated(values, labels, np.array([False, True]), 0.05)
    low = mannwhitneyu([1] * 10 + [0] * 10, [2] * 10 + [0] * 10, use_continuity=False, method="asymptotic")
    long = mannwhitneyu([1] * 10 + [9] * 10, [2] * 10 + [9] * 10, use_continuity=False, method="asymptotic")
    p_values = false_discovery_control([low.pvalue, long.pvalue])
    assert lowest.tolist() == (p_values <= 0.05).tolist()


def test_of_chance_almost_nothing_is_read_and_one_answer_tells_nothing() -> None:
    random = np.random.default_rng(5)
    values = random.normal(size=(100, 500)).astype(np.float32)
    nothing = np.zeros(500, dtype=bool)
    assert associated(values, random.random(100) < 0.3, nothing, 0.1).sum() <= 2
    assert not associated(values, np.ones(100, dtype=bool), nothing, 0.1).any()
    assert not associated(np.ones((100, 500), dtype=np.float32), values[:, 0] > 0, nothing, 0.1).any()
