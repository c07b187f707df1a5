"""Death within 31 days of an admission: when, given that it comes, and how much is left of an old risk.

The time of death in a window has an exponential density cut off at both ends, the same decay for everyone. A
patient readmitted inside the window carries what remains of that risk along, so the density of a fate is a
mixture of pieces (weight, from, to) in absolute days. All probabilities follow in closed form.
"""

from __future__ import annotations

import numpy as np

WINDOW_DAYS = 31.0
DECAY_DAYS = 9.0
N_PIECES = 6


def mass(low: np.ndarray, high: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Integral of exp(-(u - start) / decay) from low to high over decay; 0 where high <= low."""
    width = np.exp(-(low - start) / DECAY_DAYS) - np.exp(-(high - start) / DECAY_DAYS)
    return np.asarray(np.where(high > low, width, 0.0))


class Fates:
    """The fate of every person: whether the present window ends in death, and the density of when.

    A person whose window is over has only pieces of weight zero, and risk zero.

    Attributes:
        weight, low, high: the pieces of the density of the death day, given death, (n, N_PIECES).
        risk: probability of death in the window, given all that is latent, as last updated, (n,).
        window_end: the last day of the window, (n,); -inf without one.
        death: the day of death in the window, (n,); inf = survives it.
    """

    def __init__(self, n_people: int) -> None:
        self.weight = np.zeros((n_people, N_PIECES))
        self.low = np.zeros((n_people, N_PIECES))
        self.high = np.zeros((n_people, N_PIECES))
        self.risk = np.zeros(n_people)
        self.window_end = np.full(n_people, -np.inf)
        self.death = np.full(n_people, np.inf)

    def advance(self, people: np.ndarray, days: np.ndarray) -> None:
        """Take into account that these people are alive at these days: pieces shrink, risks fall."""
        low, high, weight = self.low[people], self.high[people], self.weight[people]
        now = days[:, None]
        before = mass(low, high, low)
        after = mass(np.maximum(low, now), high, low)
        left = np.where(before > 0, weight * after / np.where(before > 0, before, 1.0), 0.0)
        survived = left.sum(axis=1)
        risk = self.risk[people]
        self.risk[people] = risk * survived / (1.0 - risk + risk * survived)
        self.weight[people] = left / np.where(survived > 0, survived, 1.0)[:, None]
        self.low[people] = np.where(left > 0, np.maximum(low, now), 0.0)
        self.high[people] = np.where(left > 0, high, 0.0)

    def cdf(self, people: np.ndarray, days: np.ndarray) -> np.ndarray:
        """P(death by a day | death in the window), (k,)."""
        low, high, weight = self.low[people], self.high[people], self.weight[people]
        whole = mass(low, high, low)
        part = mass(low, np.clip(days[:, None], low, high), low)
        return np.asarray(
            np.where(whole > 0, weight * part / np.where(whole > 0, whole, 1.0), 0.0).sum(axis=1)
        )

    def has_room(self, people: np.ndarray) -> np.ndarray:
        """Whether one more overlapping window can be added, (k,) bool."""
        return np.asarray((self.weight[people] <= 0).any(axis=1))

    def admit(self, people: np.ndarray, days: np.ndarray, marginal: np.ndarray) -> np.ndarray:
        """Open a window of 31 days for an admission; returns its risk of death with what the old window left.

        Args:
            people: who is admitted; `advance` has been called for the same days.
            days: when, (k,).
            marginal: risk of death in 31 days that this admission would have by itself, (k,).

        Returns:
            Risk of death in the 31 days, given all that is latent at admission, (k,).
        """
        end = days + WINDOW_DAYS
        start = np.maximum(self.window_end[people], days)
        share = mass(start, end, days) / mass(days, end, days)
        new = marginal * share / (1.0 - marginal * (1.0 - share))
        old = self.risk[people]
        risk = old + (1.0 - old) * new
        slot = np.argmax(self.weight[people] <= 0, axis=1)
        self.weight[people] *= (old / risk)[:, None]
        self.weight[people, slot] = (1.0 - old) * new / risk
        self.low[people, slot], self.high[people, slot] = start, end
        self.risk[people] = risk
        return np.asarray(risk)

    def settle(self, people: np.ndarray, days: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Draw whether these admissions end in death, and when; the dead of the old window stay so.

        Args:
            people: who was just admitted by `admit`.
            days: when, (k,).
            uniform: uniform draws, (k, 2).

        Returns:
            Whether death comes within the 31 days, (k,) bool.
        """
        doomed = np.isfinite(self.death[people])
        start = np.maximum(self.window_end[people], days)
        newest = self.low[people] == start[:, None]
        weight = np.where(newest, self.weight[people], 0.0).max(axis=1)
        risk = self.risk[people]
        new = risk * weight / np.maximum(1.0 - risk * (1.0 - weight), 1e-12)
        dies = ~doomed & (uniform[:, 0] < new)
        end = days + WINDOW_DAYS
        span = -np.expm1(-(end - start) / DECAY_DAYS)
        day = start - DECAY_DAYS * np.log1p(-uniform[:, 1] * span)
        chosen = people[dies]
        self.death[chosen] = np.minimum(day, end)[dies]
        self.window_end[people] = end
        return np.asarray(doomed | dies)
