"""The density of death in overlapping windows, against plain numerical integration and counting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from pipelines.simulate.fate import DECAY_DAYS, WINDOW_DAYS, Fates

ONE = np.array([0])


def density(day: float, low: float, high: float) -> float:
    """The truncated exponential, by its definition."""
    whole = quad(lambda u: np.exp(-u / DECAY_DAYS), 0.0, high - low)[0]
    return float(np.exp(-(day - low) / DECAY_DAYS) / whole) if low <= day <= high else 0.0


@pytest.mark.parametrize("day", [1.0, 5.5, 30.0])
def test_a_fresh_admission_has_a_truncated_exponential(day: float) -> None:
    fates = Fates(1)
    risk = fates.admit(ONE, np.array([100.0]), np.array([0.2]))
    expected = quad(lambda u: density(100.0 + u, 100.0, 131.0), 0.0, day)[0]
    assert risk[0] == pytest.approx(0.2)
    assert fates.cdf(ONE, np.array([100.0 + day]))[0] == pytest.approx(expected, abs=1e-9)


def test_surviving_a_while_lowers_the_risk_by_bayes_rule() -> None:
    fates = Fates(1)
    fates.admit(ONE, np.array([0.0]), np.array([0.3]))
    fates.advance(ONE, np.array([10.0]))
    left = 0.3 * quad(lambda u: density(u, 0.0, 31.0), 10.0, 31.0)[0]
    assert fates.risk[0] == pytest.approx(left / (1.0 - 0.3 + left))


def test_a_readmission_adds_only_the_days_that_the_old_window_does_not_cover() -> None:
    fates = Fates(1)
    fates.admit(ONE, np.array([0.0]), np.array([0.3]))
    fates.settle(ONE, np.array([0.0]), np.array([[0.999, 0.5]]))
    fates.advance(ONE, np.array([12.0]))
    old = fates.risk[0]
    risk = fates.admit(ONE, np.array([12.0]), np.array([0.25]))[0]
    late = 0.25 * quad(lambda u: density(u, 12.0, 43.0), 31.0, 43.0)[0]
    soon = 0.25 * quad(lambda u: density(u, 12.0, 43.0), 12.0, 31.0)[0]
    new = late / (1.0 - soon)
    assert risk == pytest.approx(old + (1.0 - old) * new)
    by_31 = old * 1.0 / risk
    assert fates.cdf(ONE, np.array([31.0]))[0] == pytest.approx(by_31)
    assert fates.cdf(ONE, np.array([43.0]))[0] == pytest.approx(1.0)


def test_drawn_deaths_follow_the_density_of_two_windows() -> None:
    n_people = 200_000
    everyone, rng = np.arange(n_people), np.random.default_rng(3)
    fates = Fates(n_people)
    start, again = np.zeros(n_people), np.full(n_people, 9.0)
    fates.admit(everyone, start, np.full(n_people, 0.4))
    fates.settle(everyone, start, rng.random((n_people, 2)))
    alive = everyone[fates.death > 9.0]
    fates.advance(alive, again[alive])
    risk = fates.admit(alive, again[alive], np.full(len(alive), 0.3))
    dies = fates.settle(alive, again[alive], rng.random((len(alive), 2)))
    assert dies.mean() == pytest.approx(risk[0], abs=0.004)
    for day in (10.0, 20.0, 31.0, 36.0):
        expected = risk[0] * fates.cdf(alive[:1], np.array([day]))[0]
        assert (fates.death[alive] <= day).mean() == pytest.approx(expected, abs=0.004)
    assert fates.death[alive][dies].max() <= 9.0 + WINDOW_DAYS


def test_nobody_gets_more_windows_than_there_is_room_for() -> None:
    fates = Fates(1)
    for day in range(6):
        fates.advance(ONE, np.array([float(day)]))
        assert fates.has_room(ONE)[0]
        fates.admit(ONE, np.array([float(day)]), np.array([0.1]))
        fates.settle(ONE, np.array([float(day)]), np.array([[0.999, 0.5]]))
    assert not fates.has_room(ONE)[0]
    fates.advance(ONE, np.array([40.0]))
    assert fates.has_room(ONE)[0]
