"""What came, went or changed its text in a code system between two years."""

from __future__ import annotations

from datetime import date

import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.terminology import Ontology

DIFFERENCES = pl.Schema(
    {"change": pl.String(), "concept": pl.String(), "before": pl.String(), "after": pl.String()}
)
"""change: new (before is null), gone (after is null) or text; before and after are the labels."""


def difference(ontology: Ontology, system: str, before: int, after: int) -> pl.DataFrame:
    """What came, went or changed its text between 1 January of two years.

    Args:
        ontology: the lists.
        system: the system's name.
        before: the earlier year.
        after: the later year.

    Returns:
        Columns of DIFFERENCES, sorted by change and concept. Texts are compared language by language.

    Raises:
        ConfigurationError: the ontology has no list of that system for one or both of the years, or no
            calendar has them.
    """
    wrong = [str(year) for year in (before, after) if not date.min.year <= year <= date.max.year]
    if wrong:
        raise ConfigurationError(Problem("no such year", found=", ".join(wrong), allowed="1 to 9999"))
    days = [date(year, 1, 1) for year in (before, after)]
    _need_coverage(ontology, system, days)
    then, now = (_texts_on(ontology, system, day) for day in days)
    rows = then.join(now, on=["concept", "language"], how="full", coalesce=True, nulls_equal=True)
    was_there = pl.col("concept").is_in(then["concept"].unique().implode())
    is_there = pl.col("concept").is_in(now["concept"].unique().implode())
    change = (
        pl.when(~was_there)
        .then(pl.lit("new"))
        .when(~is_there)
        .then(pl.lit("gone"))
        .when(pl.col("before_text").ne_missing(pl.col("after_text")))
        .then(pl.lit("text"))
    )
    order = {language: place for place, language in enumerate(ontology.languages)}
    rank = pl.col("language").replace_strict(order, default=len(order), return_dtype=pl.Int32)
    return (
        rows.rename({"label": "before_text", "label_right": "after_text"})
        .with_columns(change=change)
        .drop_nulls("change")
        .sort("change", "concept", rank, "language")
        .unique(["change", "concept"], keep="first", maintain_order=True)
        .select("change", "concept", before="before_text", after="after_text")
        .cast(DIFFERENCES)
    )


def _texts_on(ontology: Ontology, system: str, day: date) -> pl.DataFrame:
    rows = ontology.system.concepts.filter(
        (pl.col("system") == system) & ~pl.col("flags").list.contains("not_listed")
    )
    begins = (pl.col("valid_from") <= day).fill_null(value=True)
    ends = (pl.col("valid_to") >= day).fill_null(value=True)
    held = rows.filter(begins & ends).sort("concept", "language", "valid_from", "label")
    return held.unique(["concept", "language"], keep="last", maintain_order=True).select(
        "concept", "language", "label"
    )


def _need_coverage(ontology: Ontology, system: str, days: list[date]) -> None:
    spans = ontology.system.coverage.filter(pl.col("system") == system)
    missing = [
        str(day.year)
        for day in days
        if not any(
            (first or date.min) <= day <= (last or date.max) for _, first, last in spans.sort(pl.all()).rows()
        )
    ]
    if not missing:
        return
    dated = ", ".join(ontology.system.coverage["system"].unique().sort()) or "none yet"
    told = [f"{first or '...'} to {last or '...'}" for _, first, last in spans.sort(pl.all()).rows()]
    raise ConfigurationError(
        Problem(
            f"the ontology holds no list of {system} for {' and '.join(missing)}",
            found=f"{system}: " + ("; ".join(told) if told else "no dated list"),
            allowed=f"years that its lists cover; systems with dated lists: {dated}",
            next_step="name the lists in a configuration, run `pesta ontology build CONFIG --out FOLDER`, and"
            " give that folder by --ontology or PESTA_ONTOLOGY (docs/ontology.md)",
        )
    )
