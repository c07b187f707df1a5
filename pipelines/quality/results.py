"""The results of checks as a frame and as JSON: one row a check and group, and whether it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.quality.model import Check
from pipelines.quality.outcomes import Outcome

RESULTS = pl.Schema(
    {
        "check_id": pl.String(),
        "category": pl.String(),
        "context": pl.String(),
        "level": pl.String(),
        "severity": pl.String(),
        "table": pl.String(),
        "field": pl.String(),
        "concept": pl.String(),
        "unit_id": pl.String(),
        "period": pl.String(),
        "n_rows": pl.Int64(),
        "n_violated": pl.Int64(),
        "share": pl.Float64(),
        "threshold": pl.Float64(),
        "is_failed": pl.Boolean(),
        "is_applicable": pl.Boolean(),
        "reason": pl.String(),
    }
)
"""One group of one check. A check that is not applicable has one row with null counts and the reason; a check
without threshold never fails. No row names a subject."""
TOO_FEW = "fewer rows than the check asks for"


@dataclass(frozen=True)
class DatasetFacts:
    """What the page says of the dataset at its top.

    Attributes:
        name: the dataset's own name.
        n_events, n_subjects, n_contacts, n_codings: how many.
        first_time, last_time: of its events that are neither birth nor death; null where there are none.
        ontology: the code lists that codes were judged by.
    """

    name: str
    n_events: int
    n_subjects: int
    n_contacts: int
    n_codings: int
    last_time: datetime | None
    ontology: str


@dataclass(frozen=True)
class QualityResult:
    """All checks of one dataset.

    Attributes:
        checks: the checks, in their order.
        results: columns of RESULTS, in the order of checks, then concept, unit_id, period.
        details: check id -> what lies behind its counts.
        facts: of the dataset.
    """

    checks: tuple[Check, ...]
    results: pl.DataFrame
    details: Mapping[str, pl.DataFrame]
    facts: DatasetFacts

    def check(self, check_id: str) -> Check:
        """The check of that id."""
        return next(check for check in self.checks if check.id == check_id)

    def state(self, check_id: str) -> str:
        """failed, passed, shown (no threshold) or not applicable: of all groups of a check."""
        rows = self.results.filter(pl.col("check_id") == check_id)
        if not rows["is_applicable"].any():
            return "not applicable"
        if rows["is_failed"].any():
            return "failed"
        return "shown" if self.check(check_id).threshold is None else "passed"


def rows_of(check: Check, outcome: Outcome) -> pl.DataFrame:
    """The results of one check: columns of RESULTS, in the order of the outcome's counts."""
    counts = outcome.counts
    if not counts.height:
        return not_applicable(check, outcome.reason or "nothing to ask")
    is_judged = counts["n_rows"] >= check.at_least
    failed = [
        judged and _is_above(wrong, rows, check.threshold)
        for judged, rows, wrong in zip(is_judged, counts["n_rows"], counts["n_violated"], strict=True)
    ]
    told = counts.with_columns(
        is_applicable=is_judged,
        is_failed=pl.Series(failed, dtype=pl.Boolean),
        share=pl.col("n_violated") / pl.col("n_rows"),
        reason=pl.when(~is_judged).then(pl.lit(TOO_FEW)).otherwise(pl.lit("")),
    )
    return _filled(check, told)


def not_applicable(check: Check, reason: str) -> pl.DataFrame:
    """The one row of a check that cannot be asked of this dataset."""
    row = {"is_applicable": [False], "is_failed": [False], "reason": [reason]}
    return _filled(check, pl.DataFrame(row))


def _filled(check: Check, rows: pl.DataFrame) -> pl.DataFrame:
    same: dict[str, Any] = {
        "check_id": check.id,
        "category": check.category,
        "context": check.context,
        "level": check.level,
        "severity": check.severity,
        "table": check.table,
        "field": check.field or None,
        "threshold": check.threshold,
    }
    there = rows.with_columns(pl.lit(value).alias(name) for name, value in same.items())
    return there.select(
        (pl.col(name) if name in there.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in RESULTS.items()
    )


def _is_above(n_violated: int, n_rows: int, threshold: float | None) -> bool:
    """Whether a share lies above a threshold, counted exactly: 3 of 10 is not above 0.3."""
    return threshold is not None and n_violated > Fraction(str(threshold)) * n_rows


def write_results(result: QualityResult, folder: Path) -> None:
    """Write results.parquet, results.json and details/CHECK.parquet into a folder that is there."""
    result.results.write_parquet(folder / "results.parquet")
    (folder / "results.json").write_text(as_json(result), "utf-8")
    details = folder / "details"
    for file in details.glob("*.parquet") if details.exists() else ():
        file.unlink()
    details.mkdir(exist_ok=True)
    for name, frame in result.details.items():
        frame.write_parquet(details / f"{name}.parquet")


def as_json(result: QualityResult) -> str:
    """The results with each check's words, for other programs."""
    told = [
        {
            "id": check.id,
            "title": check.title,
            "category": check.category,
            "severity": check.severity,
            "threshold": check.threshold,
            "state": result.state(check.id),
            "results": _groups(result.results.filter(pl.col("check_id") == check.id)),
        }
        for check in result.checks
    ]
    content = {"dataset": result.facts.name, "ontology": result.facts.ontology, "checks": told}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _groups(rows: pl.DataFrame) -> Sequence[Mapping[str, Any]]:
    columns = ("concept", "unit_id", "period", "n_rows", "n_violated", "is_failed", "is_applicable", "reason")
    return [
        {name: value for name, value in row.items() if value not in {None, ""}}
        for row in rows.select(columns).iter_rows(named=True)
    ]
