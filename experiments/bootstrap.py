"""Intervals by resampling patients: all rows of a patient come and go together.

The same seed and the same patients give the same resamples, so that models are compared resample by resample.
Rows are counted once into groups by risk and patient; a resample is then a product with a sparse matrix.
B resamples in a batch, R rows, P patients, G groups of rows by rising risk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.calibration_measures import fit_recalibration, logit
from experiments.discrimination import resampled_auprc, resampled_auroc
from experiments.scored import BoolArray, FloatArray, IntArray, ScoredRows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CELLS_A_BATCH = 2_000_000
MAX_CALIBRATION_BINS = 256
"""Resampled calibration takes risks together above this many distinct ones, at the mean logit of a bin."""
MIN_FINITE_SHARE = 0.9
LEVEL = 0.95

Ratios = Mapping[str, tuple[FloatArray, FloatArray]]
"""Measures that are one sum over patients by another: (P,) numerators and (P,) denominators by name."""
Measure = Callable[[FloatArray], dict[str, FloatArray]]
"""(P, B) weights to (B,) values by name."""


def resamples(n_subjects: int, n_resamples: int, seed: int, batch_size: int) -> Iterator[FloatArray]:
    """Batches (P, B) of how often each patient was drawn; a resample draws P patients with replacement.

    Resample i is the same whatever the size of the batches.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, n_resamples, batch_size):
        drawn = [
            np.bincount(generator.integers(0, n_subjects, n_subjects), minlength=n_subjects)
            for _ in range(min(batch_size, n_resamples - start))
        ]
        yield np.stack(drawn, axis=1).astype(np.float64)


def resample_measures(
    rows: ScoredRows, ratios: Ratios, *, n_resamples: int, seed: int, with_calibration: bool
) -> dict[str, FloatArray]:
    """Each measure in each resample.

    Args:
        rows: the predictions.
        ratios: further measures as sums over patients; `brier` is added to them.
        n_resamples: how many resamples.
        seed: of the drawing.
        with_calibration: also calibration slope, intercept and calibration-in-the-large.

    Returns:
        By name, (n_resamples,) values; NaN where a resample lacks one of the classes. Empty with no
        resamples.
    """
    error = (rows.risk - rows.is_positive) ** 2
    all_ratios = {**ratios, "brier": (rows.sums(error), rows.sums(np.ones(rows.n_rows)))}
    group, n_groups = _rank_groups(rows)
    measures = [_rank_measure(rows, group, n_groups), _ratio_measure(all_ratios)]
    if with_calibration:
        measures.append(_calibration_measure(rows))
    size = max(1, CELLS_A_BATCH // max(n_groups, rows.n_subjects, MAX_CALIBRATION_BINS))
    batches = [
        {name: values for measure in measures for name, values in measure(drawn).items()}
        for drawn in resamples(rows.n_subjects, n_resamples, seed, size)
    ]
    names = batches[0] if batches else ()
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


def interval(values: FloatArray) -> dict[str, float | int] | None:
    """The 95 % percentile interval; null where over a tenth of the resamples had no value."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0 or len(finite) < MIN_FINITE_SHARE * len(values):
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": float(low), "high": float(high), "n_resamples": len(finite)}


def intervals(measured: Mapping[str, FloatArray]) -> dict[str, Any]:
    """The interval of each measure, null where it cannot be had."""
    return {name: interval(values) for name, values in measured.items()}


def _rank_groups(rows: ScoredRows) -> tuple[IntArray, int]:
    """(R,) group of each row, and G: one for each positive risk, one for all that lies between two of them.

    Nothing more is needed: ranks of negatives among themselves change neither area.
    """
    positive_risks = np.unique(rows.risk[rows.is_positive])
    place = np.searchsorted(positive_risks, rows.risk, side="left") + np.searchsorted(
        positive_risks, rows.risk, side="right"
    )
    return place.astype(np.int64), 2 * len(positive_risks) + 1


def _rank_measure(rows: ScoredRows, group: IntArray, n_groups: int) -> Measure:
    positives = _counts(rows, group, n_groups, rows.is_positive)
    negatives = _counts(rows, group, n_groups, ~rows.is_positive)

    def measure(drawn: FloatArray) -> dict[str, FloatArray]:
        """AUROC and AUPRC of each draw."""
        totals = positives @ drawn, negatives @ drawn
        return {"auroc": resampled_auroc(*totals), "auprc": resampled_auprc(*totals)}

    return measure


def _calibration_measure(rows: ScoredRows) -> Measure:
    n_distinct = len(rows.ranking.risk)
    n_bins = min(n_distinct, MAX_CALIBRATION_BINS)
    distinct = np.searchsorted(rows.ranking.risk, rows.risk)
    bins = (distinct * n_bins) // n_distinct
    logits = np.bincount(bins, weights=logit(rows.risk)) / np.bincount(bins)
    positives = _counts(rows, bins, n_bins, rows.is_positive)
    negatives = _counts(rows, bins, n_bins, ~rows.is_positive)

    def measure(drawn: FloatArray) -> dict[str, FloatArray]:
        """The recalibration of each draw."""
        happened = (positives @ drawn).T
        return fit_recalibration(logits, happened, happened + (negatives @ drawn).T)

    return measure


def _ratio_measure(ratios: Ratios) -> Measure:
    def measure(drawn: FloatArray) -> dict[str, FloatArray]:
        """The ratios of each draw; NaN where the denominator is 0."""
        found = {}
        for name, (numerators, denominators) in ratios.items():
            below = denominators @ drawn
            missing = np.full(len(below), np.nan)
            found[name] = np.divide(numerators @ drawn, below, out=missing, where=below > 0)
        return found

    return measure


def _counts(rows: ScoredRows, group: IntArray, n_groups: int, is_counted: BoolArray) -> csr_array[Any]:
    """(G, P) how many of the counted rows each patient has in each group."""
    from scipy.sparse import coo_array

    places = (group[is_counted], rows.subject[is_counted])
    ones = np.ones(len(places[0]))
    return coo_array((ones, places), shape=(n_groups, rows.n_subjects)).tocsr()
