"""Decision curves: the benefit of acting on a risk, net of the harm of acting in vain.

**Source:** Vickers and Elkin 2006, doi:10.1177/0272989X06295361: true positives a row, less false positives
a row weighted by the odds of the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.discrimination import rounded
from experiments.scored import FloatArray, ScoredRows


def net_benefit(rows: ScoredRows, thresholds: FloatArray) -> FloatArray:
    """(M,) net benefit of acting where risk >= threshold, for M thresholds in (0, 1)."""
    positives, negatives = rows.ranking.tie_totals()
    first = np.searchsorted(rows.ranking.risk, thresholds, side="left")
    true_positives = _from(positives, first)
    false_positives = _from(negatives, first)
    benefit: FloatArray = (true_positives - false_positives * thresholds / (1 - thresholds)) / rows.n_rows
    return benefit


def net_benefit_curve(rows: ScoredRows, thresholds: Sequence[float]) -> dict[str, list[float]]:
    """The decision curve of a model beside acting on everybody; acting on nobody is 0 at every threshold."""
    at = np.asarray(sorted(thresholds), dtype=np.float64)
    prevalence = rows.n_positive / rows.n_rows
    treat_all = prevalence - (1 - prevalence) * at / (1 - at)
    return {
        "threshold": rounded(at),
        "model": rounded(net_benefit(rows, at)),
        "treat_all": rounded(treat_all),
    }


def _from(totals: FloatArray, first: np.ndarray) -> FloatArray:
    above = np.concatenate([np.cumsum(totals[::-1])[::-1], [0.0]])
    chosen: FloatArray = above[first]
    return chosen
