"""The page of a dataset's quality: a heat table, what failed, how the data look, and every check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from markupsafe import Markup

from pipelines.quality.lines import worst_groups
from pipelines.quality.model import CATEGORIES, SEVERITIES, Check
from pipelines.quality.results import QualityResult
from pipelines.quality.wording import is_of_things, share_words, shown_count, shown_part, shown_share
from pipelines.render.pages import TEMPLATES, content_policy, render_page
from pipelines.render.quality_details import Behind, behind
from pipelines.render.quality_trends import draw_figures, group_label

GROUPS_SHOWN = 10
SHADES = (0.0, 0.05, 0.15, 0.4)
"""Shares of failed checks from which a cell of the heat table is darker."""
SEVERITY_WORDS = {
    "fatal": "do not go on",
    "convention": "mend it if you can",
    "characterization": "know it",
}


@dataclass(frozen=True)
class Cell:
    """One cell of the heat table.

    Attributes:
        n_failed, n_judged: checks.
        shade: 0 (none failed) to 4; -1 where nothing was judged.
    """

    n_failed: int
    n_judged: int
    shade: int


@dataclass(frozen=True)
class GroupRow:
    """One group of a check as the page writes it: what it is of, how many, which share."""

    words: str
    n_violated: str
    n_rows: str
    share: str


@dataclass(frozen=True)
class CheckCard:
    """One check with its state, its worst groups, how many groups there are, and what lies behind them."""

    check: Check
    state: str
    reason: str
    groups: tuple[GroupRow, ...]
    n_failed: int
    n_groups: int
    threshold: str
    place: str
    behind: Behind | None


def write_quality_page(result: QualityResult, file: Path) -> None:
    """Write the page, one file that holds no script and fetches nothing.

    Args:
        result: the results; counts from 1 to 4 are not shown, and no subject.
        file: where; its folder must be there.
    """
    cards = [_card(result, check) for check in result.checks]
    style = "\n".join((TEMPLATES / name).read_text("utf-8") for name in ("style.css", "quality.css"))
    page = render_page(
        "quality.html",
        style=Markup(style),  # noqa: S704  our own files
        policy=content_policy(style),
        facts=result.facts,
        heat=_heat(result, cards),
        severities=SEVERITIES,
        severity_words=SEVERITY_WORDS,
        failed=[(name, [card for card in cards if _is(card, name, "failed")]) for name in SEVERITIES],
        figures=draw_figures(result),
        tables=[(name, [card for card in cards if card.check.category == name]) for name in CATEGORIES],
        n_asked=len(cards),
        n_judged=sum(card.state in {"passed", "failed"} for card in cards),
        shown_count=shown_count,
    )
    file.write_text(page, "utf-8")


def _is(card: CheckCard, severity: str, state: str) -> bool:
    return card.check.severity == severity and card.state == state


def _heat(result: QualityResult, cards: Sequence[CheckCard]) -> list[tuple[str, list[Cell]]]:
    """Rows of the heat table: each category and all of them, by severity and over all."""
    del result
    rows = []
    for name in (*CATEGORIES, "all"):
        of_row = [card for card in cards if name in {card.check.category, "all"}]
        cells = [_cell([c for c in of_row if c.check.severity == severity]) for severity in SEVERITIES]
        rows.append((name, [*cells, _cell(of_row)]))
    return rows


def _cell(cards: Sequence[CheckCard]) -> Cell:
    n_judged = sum(card.state in {"passed", "failed"} for card in cards)
    n_failed = sum(card.state == "failed" for card in cards)
    if not n_judged:
        return Cell(0, 0, -1)
    return Cell(n_failed, n_judged, sum(n_failed / n_judged > shade for shade in SHADES))


def _card(result: QualityResult, check: Check) -> CheckCard:
    """A check as the page shows it: its failed groups, or the one with the largest share."""
    rows = result.results.filter(pl.col("check_id") == check.id)
    judged = rows.filter("is_applicable")
    failed = worst_groups(result, check)
    largest = judged.sort("share", "concept", "unit_id", descending=[True, False, False], nulls_last=True)
    shown = failed if failed.height else largest.head(1)
    return CheckCard(
        check=check,
        state=result.state(check.id),
        reason="; ".join(dict.fromkeys(rows.filter(~pl.col("is_applicable"))["reason"].drop_nulls())),
        groups=tuple(_group(check, row) for row in shown.head(GROUPS_SHOWN).iter_rows(named=True)),
        n_failed=failed.height,
        n_groups=judged.height,
        threshold="–" if check.threshold is None else share_words(check.threshold),
        place=f"{check.table}.{check.field}" if check.field else check.table,
        behind=behind(check.rule.type, result.details.get(check.id)) if failed.height else None,
    )


def _group(check: Check, row: dict[str, object]) -> GroupRow:
    n_rows, n_violated = int(str(row["n_rows"])), int(str(row["n_violated"]))
    named = [group_label(str(row["concept"]))] if row["concept"] is not None else []
    named += [str(row[name]) for name in ("unit_id", "period") if row[name] is not None]
    is_exact = is_of_things(check)
    return GroupRow(
        ", ".join(named),
        shown_part(n_violated, n_rows, is_exact=is_exact),
        shown_count(n_rows, is_exact=is_exact),
        shown_share(n_violated, n_rows, is_exact=is_exact),
    )
