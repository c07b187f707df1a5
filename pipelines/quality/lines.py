"""The results of checks as lines for a terminal: the counts by category, then what failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from pipelines.quality.model import CATEGORIES, SEVERITIES, Check
from pipelines.quality.results import QualityResult
from pipelines.quality.wording import is_of_things, share_words, shown_count, shown_part, shown_share

GROUPS_SHOWN = 3


def quality_lines(result: QualityResult) -> Iterator[str]:
    """A table of checks by category and severity, then each failed check with its worst groups.

    Counts below 5 are not shown, nor any subject.
    """
    states = {check.id: result.state(check.id) for check in result.checks}
    n_judged = sum(state in {"passed", "failed"} for state in states.values())
    yield f"{len(result.checks)} checks, {n_judged} of them judged; failed of judged:"
    yield f"{'':14}" + "".join(f"{severity:>18}" for severity in SEVERITIES)
    for category in CATEGORIES:
        yield f"{category:14}" + "".join(
            f"{_cell(result, states, category, severity):>18}" for severity in SEVERITIES
        )
    for severity in SEVERITIES:
        for check in result.checks:
            if check.severity == severity and states[check.id] == "failed":
                yield from _failed_lines(result, check)


def _cell(result: QualityResult, states: dict[str, str], category: str, severity: str) -> str:
    """How many of the judged checks of a category and severity failed."""
    asked = [
        states[check.id]
        for check in result.checks
        if (check.category, check.severity) == (category, severity)
        and states[check.id] in {"passed", "failed"}
    ]
    return f"{asked.count('failed')} of {len(asked)}" if asked else "-"


def worst_groups(result: QualityResult, check: Check) -> pl.DataFrame:
    """The failed groups of a check, the largest share first."""
    rows = result.results.filter((pl.col("check_id") == check.id) & pl.col("is_failed"))
    order = ["share", "n_violated", "concept", "unit_id", "period"]
    return rows.sort(order, descending=[True, True, False, False, False], nulls_last=True)


def count_phrase(check: Check, row: dict[str, Any]) -> str:
    """How many of how many rows of a group are wrong, as it may be shown: 12 of 3 400 (0.35%)."""
    is_exact = is_of_things(check)
    n_violated, n_rows = row["n_violated"], row["n_rows"]
    wrong, rows = shown_part(n_violated, n_rows, is_exact=is_exact), shown_count(n_rows, is_exact=is_exact)
    return f"{wrong} of {rows} ({shown_share(n_violated, n_rows, is_exact=is_exact)})"


def group_words(row: dict[str, object]) -> str:
    """What a group is of: the code or system, the place, the time; empty where the check has one group."""
    return ", ".join(str(row[name]) for name in ("concept", "unit_id", "period") if row[name] is not None)


def _failed_lines(result: QualityResult, check: Check) -> Iterator[str]:
    """A failed check: what is wrong, where and how much of it."""
    yield f"{check.severity}: {check.id}: {check.title} (at most {share_words(check.threshold or 0.0)})"
    groups = worst_groups(result, check)
    for row in groups.head(GROUPS_SHOWN).iter_rows(named=True):
        words = group_words(row)
        yield f"  {words + ': ' if words else ''}{count_phrase(check, row)}"
    if groups.height > GROUPS_SHOWN:
        yield f"  and {groups.height - GROUPS_SHOWN} more"
