"""What a dataset lacks of the quality that a run demands of it, as problems."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl

from ontology.errors import ConfigurationError, Problem
from phenotype.trajectory import open_dataset
from pipelines.quality.checking import judge
from pipelines.quality.lines import count_phrase, group_words, worst_groups
from pipelines.quality.model import SEVERITIES, Check, load_checks
from pipelines.quality.results import QualityResult
from pipelines.quality.wording import share_words


def demanded_problems(dataset: Path, demanded: Sequence[str], allowed: Sequence[str] = ()) -> list[Problem]:
    """Every demanded check that does not hold, one problem each; none where all do.

    Args:
        dataset: the dataset's folder.
        demanded: ids of shipped checks, or severities that stand for all checks of theirs.
        allowed: ids of checks that need not hold.

    Raises:
        ConfigurationError: a name is neither a check nor a severity.
        InputError: no dataset is there, or one that cannot be read.
    """
    checks = _demanded(load_checks(), demanded, allowed)
    if not checks:
        return []
    result = judge(open_dataset(dataset), checks)
    return [
        problem for check in checks for problem in _problems(result, check, is_named=check.id in demanded)
    ]


def _demanded(
    shipped: Sequence[Check], demanded: Sequence[str], allowed: Collection[str]
) -> tuple[Check, ...]:
    """The checks that are meant, in their own order."""
    known = {check.id for check in shipped}
    unknown = [
        *(name for name in demanded if name not in known and name not in SEVERITIES),
        *(name for name in allowed if name not in known),
    ]
    if unknown:
        raise ConfigurationError(
            [
                Problem(
                    "no such quality check",
                    "quality",
                    name,
                    f"an id of docs/quality.md, or one of {', '.join(SEVERITIES)}",
                    "check the name",
                )
                for name in unknown
            ]
        )
    return tuple(
        check
        for check in shipped
        if (check.id in demanded or check.severity in demanded) and check.id not in allowed
    )


def _problems(result: QualityResult, check: Check, *, is_named: bool) -> list[Problem]:
    """What is wrong with one demanded check: it failed, or it was named and cannot be judged."""
    state = result.state(check.id)
    if state == "failed":
        groups = worst_groups(result, check)
        worst = groups.row(0, named=True)
        where = group_words(worst)
        more = f", and {groups.height - 1} more groups" if groups.height > 1 else ""
        found = f"{count_phrase(check, worst)}{more}"
        limit = f"at most {share_words(check.threshold or 0.0)}"
        place = f"{check.table}.{check.field}" if check.field else check.table
        return [
            Problem(
                f"a demanded quality check fails: {check.id}: {check.title}",
                f"{place}{': ' + where if where else ''}",
                found,
                limit,
                check.advice,
            )
        ]
    if state == "not applicable" and is_named:
        reasons = result.results.filter(pl.col("check_id") == check.id)["reason"]
        return [
            Problem(
                f"a demanded quality check cannot be judged: {check.id}: {check.title}",
                check.table,
                str(reasons[0]),
                next_step="give the dataset what the check needs, or allow it",
            )
        ]
    return []
