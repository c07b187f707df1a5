"""Findings about practice that changed: a unit alone, or all units without a known cause."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Any

import polars as pl

from phenotype.coding.drift.drift import lines_of_measure
from phenotype.coding.drift.known_changes import KnownChanges
from phenotype.coding.drift.lines import ALL_UNITS, DriftLine, DriftSignal, SharedChange
from phenotype.coding.drift.series import DriftSettings, MeasureSeries
from phenotype.coding.findings import FINDING_ITEMS, FINDING_REASONS, FINDINGS, Found
from phenotype.coding.money.weights import FAULTS

VERSION = "1"
METHOD = (
    "risk-adjusted CUSUM for odds ratio 2 (doi 10.1093/biostatistics/1.4.441), limit by simulation; change"
    " points by PELT (doi 10.1080/01621459.2012.737745)"
)
_MORE = {"up": "more often", "down": "more seldom"}


@dataclass(frozen=True)
class Drift:
    """Practice over time.

    Attributes:
        found: findings of kind drift: changes that one unit made alone (severity review) and changes that
        units
            made together without a known cause (information).
        lines: every line, also those without a finding.
        explained: measure and the shared changes that a known cause explains; they are no findings.
        unjudged: columns of FAULTS: stays that were not judged, over all measures.
        n_watched: lines that had a limit; times the false-alarm rate: false alarms to be expected.
    """

    found: Found
    lines: tuple[DriftLine, ...]
    explained: tuple[tuple[str, SharedChange], ...]
    unjudged: pl.DataFrame
    n_watched: int


def drift_findings(
    series: Iterable[MeasureSeries], known: KnownChanges, settings: DriftSettings | None = None
) -> Drift:
    """The changes of practice in measures over time.

    Args:
        series: the measures; each is let go before the next is taken.
        known: known causes.
        settings: None: the shipped ones.
    """
    chosen = settings or DriftSettings.load()
    lines: list[DriftLine] = []
    parts: list[Found] = []
    for one in series:
        own = list(lines_of_measure(one, known, chosen))
        parts += [_of_signal(line, signal, one.rows) for line in own for signal in line.signals]
        lines += own
    lines.sort(key=lambda line: (line.measure, line.unit))
    alls = [line for line in lines if line.unit == ALL_UNITS]
    parts += [_of_shared(line, change) for line in alls for change in line.shared if not change.causes]
    return Drift(
        found=Found.together(parts),
        lines=tuple(lines),
        explained=tuple((line.measure, change) for line in alls for change in line.shared if change.causes),
        unjudged=_unjudged(lines),
        n_watched=sum(line.limit is not None for line in lines),
    )


def _of_signal(line: DriftLine, signal: DriftSignal, rows: pl.DataFrame) -> Found:
    since = signal.change_time.strftime("%Y-%m")
    until = line.points[-1].month.strftime("%Y-%m")
    name = f"{line.measure}|{line.unit}|{signal.direction}|{since}"
    before, after = signal.before, signal.after
    told = (
        f"since {since}: {after.observed} of {after.n} where {after.expected:.1f} were expected by the unit's"
        f" baseline and its patients; before: {before.observed} of {before.n},"
        f" {before.expected:.1f} expected"
    )
    how = f"odds ratio {signal.odds_ratio:.2f}; the signal came {signal.n_stays} stays after the change"
    finding = {
        "rule_id": line.measure,
        "severity": "information" if signal.causes else "review",
        "title": f"{line.title}: {_MORE[signal.direction]} than before since {since}",
        "unit_id": line.unit,
        "period": f"{since} to {until}",
        "innocent_explanations": list(signal.causes),
    }
    return _found(name, finding, (told, how), log(signal.odds_ratio), _items(line, signal, rows))


def _of_shared(line: DriftLine, change: SharedChange) -> Found:
    since = change.date.strftime("%Y-%m")
    direction = "up" if change.odds_ratio > 1 else "down"
    told = (
        f"all units together since {since}: odds ratio {change.odds_ratio:.2f} (z {change.z:.1f} without any"
        " one unit); no known cause near that date"
    )
    finding = {
        "rule_id": line.measure,
        "severity": "information",
        "title": f"{line.title}: {_MORE[direction]} than before since {since}, all units",
        "unit_id": ALL_UNITS,
        "period": f"{since} to {line.points[-1].month:%Y-%m}",
        "innocent_explanations": [],
    }
    name = f"{line.measure}|{ALL_UNITS}|{direction}|{since}"
    return _found(name, finding, (told,), log(change.odds_ratio), [])


def _found(
    name: str, finding: dict[str, Any], texts: Iterable[str], contribution: float, contacts: Sequence[int]
) -> Found:
    finding_id = hashlib.sha256(f"drift|{name}".encode()).hexdigest()[:16]
    whole = {
        **finding, "finding_id": finding_id, "rule_version": VERSION, "kind": "drift", "evidence": [],
        "source": METHOD,
    }  # fmt: skip
    reasons = [
        {
            "finding_id": finding_id, "rank": rank, "concept": finding["rule_id"], "text": text,
            "contribution": contribution if rank == 1 else None, "evidence": [],
        }
        for rank, text in enumerate(texts, start=1)
    ]  # fmt: skip
    items = [{"finding_id": finding_id, "contact_id": contact_id} for contact_id in contacts]
    return Found(
        pl.DataFrame([whole], schema=FINDINGS),
        pl.DataFrame(items, schema=FINDING_ITEMS),
        pl.DataFrame(reasons, schema=FINDING_REASONS),
    )


def _items(line: DriftLine, signal: DriftSignal, rows: pl.DataFrame) -> list[int]:
    """The contacts to open: since the change, those that count; of a fall, the likeliest that do not."""
    if "contact_id" not in rows.columns:
        return []
    since = rows.filter(
        (pl.col("unit") == line.unit)
        & (pl.col("time") >= signal.change_time)
        & pl.col("contact_id").is_not_null()
    )
    if signal.direction == "up":
        return since.filter(pl.col("observed") == 1)["contact_id"].unique().sort().to_list()
    n_missing = max(ceil(signal.after.expected - signal.after.observed), 0)
    absent = since.filter(pl.col("observed") == 0).sort(
        "expected", "contact_id", descending=[True, False], nulls_last=True
    )
    return absent.head(n_missing)["contact_id"].unique().sort().to_list()


def _unjudged(lines: Iterable[DriftLine]) -> pl.DataFrame:
    counts: dict[str, int] = {}
    for line in lines:
        for reason, n in line.unjudged.items():
            counts[reason] = counts.get(reason, 0) + n
    return pl.DataFrame(
        {"reason": sorted(counts), "n": [counts[name] for name in sorted(counts)]}, schema=FAULTS
    )
