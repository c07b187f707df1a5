"""What lies behind a failed check, as a small table: codes, units, months, reasons; small counts left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from phenotype.explain.wording import count_words, number_words
from pipelines.quality.wording import SMALLEST_SHOWN
from pipelines.render.quality_trends import group_label

ROWS_SHOWN = 8


@dataclass(frozen=True)
class Behind:
    """A small table.

    Attributes:
        heads: of its columns.
        rows: its cells.
        n_left_out: rows that are not shown, for there are many.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_left_out: int


def behind(kind: str, details: pl.DataFrame | None) -> Behind | None:
    """The table behind a failed check; None where its details are a figure, or there are none to show.

    Args:
        kind: the type of its rule.
        details: its details; rows that count fewer than 5 are left out.
    """
    if details is None or kind not in _COLUMNS:
        return None
    columns = _COLUMNS[kind]
    count = next((name for name in ("n_events", "n_values", "n_rows") if name in columns), None)
    told = details.filter(pl.col(count) >= SMALLEST_SHOWN) if count else details
    if count:
        told = told.sort(
            count, *(name for name in columns if name != count), descending=_largest_first(columns)
        )
    rows = tuple(
        tuple(_cell(name, row[name]) for name in columns)
        for row in told.head(ROWS_SHOWN).iter_rows(named=True)
    )
    heads = tuple(_HEADS[name] for name in columns)
    return Behind(heads, rows, max(told.height - ROWS_SHOWN, 0)) if rows else None


def _largest_first(columns: tuple[str, ...]) -> list[bool]:
    return [True, *([False] * (len(columns) - 1))]


_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "rejects": ("file", "reason", "n_rows"),
    "files_not_read": ("name", "n_files"),
    "code_form": ("code", "n_events"),
    "unknown_code": ("code", "n_events"),
    "outside_validity": ("code", "n_events"),
    "usual_unit": ("code", "unit", "n_values"),
    "declared_unit": ("code", "unit", "n_values"),
    "unit_change": ("code", "month", "before", "unit"),
    "median_shift": ("code", "unit", "month", "ratio"),
}
_HEADS: Mapping[str, str] = {
    "file": "File",
    "reason": "Reason",
    "name": "Name like",
    "n_rows": "Rows",
    "n_files": "Files",
    "n_events": "Events",
    "n_values": "Values",
    "code": "Code",
    "unit": "Unit",
    "before": "Unit before",
    "month": "Month",
    "ratio": "Times the month before",
}
_WORDS: Mapping[str, Callable[[Any], str]] = {
    "n_rows": count_words,
    "n_files": count_words,
    "n_events": count_words,
    "n_values": count_words,
    "code": group_label,
    "month": lambda month: f"{month:%B %Y}",
    "ratio": lambda ratio: number_words(float(f"{ratio:.2g}")),
}


def _cell(name: str, value: Any) -> str:
    return "" if value is None else str(_WORDS.get(name, str)(value))
