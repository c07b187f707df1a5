"""Measures for women and men, young and old, and each hospital; small cells are held back with the reason."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from experiments.bootstrap import interval, resample_measures
from experiments.calibration_measures import observed_expected, recalibration
from experiments.discrimination import auprc, auroc
from experiments.scored import BoolArray, ScoredRows, score_rows

MIN_EVENTS = 10
MIN_SUBJECTS = 5
UNKNOWN = "unknown"
ALERT = "_is_alert"
ALERT_MEASURES = ("alert_rate", "sensitivity", "ppv")
MEASURES = (
    "prevalence",
    "auroc",
    "auprc",
    "brier",
    "observed_expected",
    "calibration_slope",
    "calibration_intercept",
    "calibration_in_the_large",
    *ALERT_MEASURES,
)


def evaluate_subgroups(
    held_out: ScoredRows,
    subjects: pl.DataFrame,
    is_alert: BoolArray | None,
    *,
    age_bands: Sequence[float],
    n_resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Measures of one model by sex, age band and hospital.

    Args:
        held_out: predictions.
        subjects: subject_id, and any of prediction_time (age at that time), sex, age (years), hospital_id; a
            row that is not there, or a null, counts as "unknown".
        is_alert: (R,) rows that alert, for alert_rate, sensitivity and ppv; null leaves those out.
        age_bands: where bands begin, years, rising.
        n_resamples: for the interval of the AUROC; 0 for none.
        seed: of the resampling.

    Returns:
        A row a group, in the order sex, age, hospital_id and by name: by, group, n_rows, n_subjects,
        n_positive (null below 5), is_suppressed, reason, MEASURES and intervals. Groups of fewer than 5
        subjects or 10 events have no measures.
    """
    found = []
    facts = _facts(held_out.predictions, subjects, age_bands)
    predictions = held_out.predictions
    if is_alert is not None:
        predictions = predictions.with_columns(pl.Series(ALERT, is_alert))
    for by in facts.columns:
        for (group,), members in predictions.group_by(facts[by].alias("_group"), maintain_order=True):
            found.append(_evaluate_group(by, str(group), score_rows(members), n_resamples, seed))
    order = {by: place for place, by in enumerate(facts.columns)}
    return sorted(
        found, key=lambda row: (order[row["by"]], row["group"] == UNKNOWN, _age_order(row["group"]))
    )


def age_band(age_bands: Sequence[float]) -> pl.Expr:
    """The name of the band that `age` falls in: "0-17", "18-44", ..., "80+", "below 0"; null for null."""
    age = pl.col("age")
    names = [f"{low:g}-{high - 1:g}" for low, high in itertools.pairwise(age_bands)]
    bands = [*zip(age_bands[1:], names, strict=True)]
    named: pl.Expr = pl.lit(f"{age_bands[-1]:g}+")
    for below, name in reversed([(age_bands[0], f"below {age_bands[0]:g}"), *bands]):
        named = pl.when(age < below).then(pl.lit(name)).otherwise(named)
    return pl.when(age.is_not_null()).then(named).alias("age")


def _facts(predictions: pl.DataFrame, subjects: pl.DataFrame, age_bands: Sequence[float]) -> pl.DataFrame:
    keys = [key for key in ("subject_id", "prediction_time") if key in subjects.columns]
    present = [column for column in ("sex", "age", "hospital_id") if column in subjects.columns]
    facts = subjects.select(*keys, *present).unique(keys, keep="first", maintain_order=True)
    if "age" in present:
        facts = facts.with_columns(age_band(age_bands))
    joined = predictions.select(keys).join(facts, on=keys, how="left", maintain_order="left")
    return joined.select(pl.col(present).cast(pl.String).fill_null(UNKNOWN))


def _evaluate_group(by: str, group: str, rows: ScoredRows, n_resamples: int, seed: int) -> dict[str, Any]:
    reason = _reason(rows)
    counted = {
        "by": by,
        "group": group,
        "n_rows": _shown(rows.n_rows),
        "n_subjects": _shown(rows.n_subjects),
        "n_positive": _shown(rows.n_positive),
        "is_suppressed": reason is not None,
        "reason": reason,
    }
    if reason:
        return {**counted, **dict.fromkeys(MEASURES), "intervals": {}}
    measured = {
        "prevalence": rows.n_positive / rows.n_rows,
        "auroc": auroc(rows),
        "auprc": auprc(rows),
        "brier": float(((rows.risk - rows.is_positive) ** 2).mean()),
        "observed_expected": observed_expected(rows),
        **recalibration(rows),
        **_alert_measures(rows),
    }
    resampled = resample_measures(rows, {}, n_resamples=n_resamples, seed=seed, with_calibration=False)
    return {**counted, **measured, "intervals": {"auroc": interval(resampled["auroc"])} if resampled else {}}


def _alert_measures(rows: ScoredRows) -> dict[str, float | None]:
    if ALERT not in rows.predictions.columns:
        return dict.fromkeys(ALERT_MEASURES)
    is_alert = rows.predictions[ALERT].to_numpy().astype(np.bool_)
    n_alerts, n_true = int(is_alert.sum()), int((is_alert & rows.is_positive).sum())
    return {
        "alert_rate": n_alerts / rows.n_rows,
        "sensitivity": n_true / rows.n_positive,
        "ppv": n_true / n_alerts if n_alerts else None,
    }


def _reason(rows: ScoredRows) -> str | None:
    """Why a cell is held back, null where it is not."""
    if rows.n_subjects < MIN_SUBJECTS:
        return f"fewer than {MIN_SUBJECTS} patients"
    if rows.n_positive < MIN_EVENTS:
        return f"fewer than {MIN_EVENTS} events"
    return None


def _shown(count: int) -> int | None:
    return count if count >= MIN_SUBJECTS else None


def _age_order(group: str) -> tuple[float, str]:
    start = group.split("-", maxsplit=1)[0].rstrip("+")
    return (float(start), group) if start.isdigit() else (-1.0, group)
