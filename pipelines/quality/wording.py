"""How counts, shares and groups of a check are written: small counts hidden, nothing that names a person."""

from __future__ import annotations

import re

import polars as pl

from phenotype.explain.wording import count_words
from pipelines.quality.model import Check

SMALLEST_SHOWN = 5
"""Counts from 1 to one less than this are not shown.

**Source:** the common rule for statistics on health data in Norway (Helsedirektoratet, SSB): cells below 5.
"""
_OF_THINGS = frozenset(
    {"unit_change", "median_shift", "silence", "monthly_rate", "columns", "files_not_read"}
)
HIDDEN = "(hidden: may name a person)"
_LIKE_A_NUMBER = r"\d{6}[ .-]?\d{5}"


def is_of_things(check: Check) -> bool:
    """Whether a check counts months, files or columns, of which small counts tell nothing of anybody."""
    return check.rule.type in _OF_THINGS


def shown_count(count: int, *, is_exact: bool = False) -> str:
    """A count as it may be shown: 1 to 4 is only told to be below 5, but of things that are no people's."""
    return f"<{SMALLEST_SHOWN}" if 0 < count < SMALLEST_SHOWN and not is_exact else count_words(count)


def shown_share(n_violated: int, n_rows: int, *, is_exact: bool = False) -> str:
    """A share as it may be shown: below 5 of the rows where fewer are wrong, a dash of very few rows."""
    if is_exact:
        return share_words(n_violated / n_rows)
    if n_rows < SMALLEST_SHOWN:
        return "–"
    if 0 < n_violated < SMALLEST_SHOWN:
        return f"<{share_words(SMALLEST_SHOWN / n_rows)}"
    if _betrays_the_rest(n_violated, n_rows):
        return f">{share_words(min((n_rows - SMALLEST_SHOWN) / n_rows, 0.99))}"
    return share_words(n_violated / n_rows)


def shown_part(n_violated: int, n_rows: int, *, is_exact: bool = False) -> str:
    """A count of some rows as it may be shown beside that of all: 98 of 100 would tell of the other 2."""
    if not is_exact and n_violated >= SMALLEST_SHOWN and _betrays_the_rest(n_violated, n_rows):
        return f">{count_words(n_rows - SMALLEST_SHOWN)}"
    return shown_count(n_violated, is_exact=is_exact)


def _betrays_the_rest(n_violated: int, n_rows: int) -> bool:
    return 0 < n_rows - n_violated < SMALLEST_SHOWN


def share_words(share: float) -> str:
    """A share in percent with two significant digits: 0.012%, 3.4%, 12%."""
    percent = 100 * share
    if percent == 0:
        return "0%"
    digits = f"{percent:.2g}" if percent < 10 else f"{percent:.0f}"
    return f"{float(digits):.10f}".rstrip("0").rstrip(".") + "%" if "e" in digits else f"{digits}%"


def masked(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame whose texts that look like a person's number are hidden."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(
        pl.when(pl.col(name).str.contains(_LIKE_A_NUMBER))
        .then(pl.lit(HIDDEN))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )


def masked_text(text: str) -> str:
    """A text, hidden where it looks like a person's number."""
    return HIDDEN if re.search(_LIKE_A_NUMBER, text) else text
