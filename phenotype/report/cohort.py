"""How a cohort arose and who is in it, as data, with small cells hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from phenotype.explain.wording import count_words, percent_words
from phenotype.report.suppression import HIDDEN, MIN_CELL, hidden_parts, is_small, shown_count
from phenotype.report.words import AGE_BANDS, age_band
from phenotype.task_parts import Frozen

MAX_SITES = 8


class FlowStep(Frozen):
    """One step from the source to the cohort.

    Attributes:
        words: why rows were left out here, or what stands here where none were; several reasons where steps
            were joined so that none shows a small count.
        n_rows: predictions left after the step.
        n_subjects: patients left.
        excluded: predictions left out by the step, in words; empty at the first step and where none were.
        share: n_rows as a share of the first step's.
    """

    words: str
    n_rows: str
    n_subjects: str
    excluded: str
    share: float


class GroupRow(Frozen):
    """One group of the table of who they are: counts as shown, and the outcome's share."""

    name: str
    n_subjects: str
    n_rows: str
    n_positive: str
    share: str


class GroupTable(Frozen):
    """The groups by one property."""

    by: str
    rows: tuple[GroupRow, ...]


class Cohort(Frozen):
    """How the cohort arose and who is in it."""

    flow: tuple[FlowStep, ...]
    groups: tuple[GroupTable, ...]


def flow_of(attrition: Iterable[Mapping[str, Any]]) -> tuple[FlowStep, ...]:
    """The attrition as steps.

    Args:
        attrition: step, n_rows, n_subjects, n_excluded and, if any, description of each step, in order; a
            step that leaves out 1 to 4 is joined to a neighbour, so no difference points at few patients.
    """
    steps = [dict(step) | {"step": str(step.get("description") or step["step"])} for step in attrition]
    if not steps:
        return ()
    joined = _joined(steps)
    first = max(int(joined[0]["n_rows"]), 1)
    return tuple(
        FlowStep(
            words=step["step"],
            n_rows=count_words(step["n_rows"]),
            n_subjects=count_words(step["n_subjects"]),
            excluded=shown_count(step["n_excluded"]) if step["n_excluded"] else "",
            share=step["n_rows"] / first,
        )
        for step in joined
    )


def _joined(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps whose differences in rows and patients are zero or large enough to show."""
    kept: list[dict[str, Any]] = [steps[0]]
    held: list[str] = []
    for step in steps[1:]:
        if step["n_excluded"] or not held:
            held.append(str(step["step"]))
        if not _is_telling(kept[-1], step):
            kept.append(_after(kept[-1], step, held))
            held = []
    while held:
        held.insert(0, str(kept.pop()["step"]))
        if not kept:
            return [steps[-1] | {"step": "; ".join(held), "n_excluded": 0}]
        if not _is_telling(kept[-1], steps[-1]):
            kept.append(_after(kept[-1], steps[-1], held))
            held = []
    return kept


def _is_telling(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the difference of two steps points at few patients."""
    return any(is_small(before[count] - after[count]) for count in ("n_rows", "n_subjects"))


def _after(before: Mapping[str, Any], step: dict[str, Any], words: list[str]) -> dict[str, Any]:
    return step | {"step": "; ".join(words), "n_excluded": before["n_rows"] - step["n_rows"]}


def groups_of(rows: pl.DataFrame) -> tuple[GroupTable, ...]:
    """Who they are: everybody, then by sex, age and site.

    Args:
        rows: subject_id, boolean_value, sex, age, hospital_id of each labelled prediction row.
    """
    if not rows.height:
        return ()
    described = rows.with_columns(
        pl.col("sex").fill_null("sex unknown"),
        pl.Series("band", [age_band(age) for age in rows["age"].to_list()], pl.String),
        pl.col("hospital_id").fill_null("site unknown"),
    )
    order = {age_band(float(edge)): place for place, edge in enumerate((0, *AGE_BANDS))}
    bands = sorted(described["band"].unique().to_list(), key=lambda band: order.get(band, len(order)))
    tables = [GroupTable(by="Everybody", rows=(_group_row("all", described, hidden=False),))]
    tables.append(_group_table("Sex", described, "sex", sorted(described["sex"].unique().to_list())))
    tables.append(_group_table("Age", described, "band", bands))
    sites = described.group_by("hospital_id").len().sort("len", "hospital_id", descending=[True, False])
    if sites.height > 1:
        largest = sites["hospital_id"].head(MAX_SITES).to_list()
        merged = described.with_columns(
            pl.when(pl.col("hospital_id").is_in(largest))
            .then(pl.col("hospital_id"))
            .otherwise(pl.lit("other sites"))
            .alias("site")
        )
        rest = ["other sites"] if sites.height > MAX_SITES else []
        tables.append(_group_table("Site", merged, "site", [*largest, *rest]))
    return tuple(tables)


def _group_table(by: str, rows: pl.DataFrame, column: str, names: list[str]) -> GroupTable:
    parts = [rows.filter(pl.col(column) == name) for name in names]
    hidden = hidden_parts([part["subject_id"].n_unique() for part in parts])
    positives = hidden_parts([int(part["boolean_value"].sum()) for part in parts])
    shown = [
        _group_row(name, part, hidden=is_hidden, hides_positive=is_hidden_positive)
        for name, part, is_hidden, is_hidden_positive in zip(names, parts, hidden, positives, strict=True)
    ]
    return GroupTable(by=by, rows=tuple(shown))


def _group_row(name: str, rows: pl.DataFrame, *, hidden: bool, hides_positive: bool = False) -> GroupRow:
    """One row; a hidden count takes what would betray it along."""
    n_positive = int(rows["boolean_value"].sum())
    n_subjects = rows["subject_id"].n_unique()
    hides_positive = hidden or hides_positive or is_small(n_positive) or is_small(rows.height - n_positive)
    return GroupRow(
        name=name,
        n_subjects=_cell(n_subjects, is_hidden=hidden),
        n_rows=_cell(rows.height, is_hidden=hidden),
        n_positive=_cell(n_positive, is_hidden=hides_positive),
        share="–" if hides_positive or not rows.height else percent_words(n_positive / rows.height),
    )


def _cell(count: int, *, is_hidden: bool) -> str:
    if not is_hidden:
        return count_words(count)
    return f"< {MIN_CELL}" if is_small(count) else HIDDEN
