"""Which codes hold on which day, and what replaced what.

A list says what holds only for the days that it covers (COVERAGE). Within them a code is valid or not;
outside them, and for systems without dated lists, it cannot be judged. All spans are inclusive at both ends.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from ontology.concepts import CodeSystem
from ontology.normalising import normalise
from ontology.terminology import Ontology

STATES = ("valid", "not_valid", "not_judgeable")

FINDINGS = pl.Schema(
    {
        "row": pl.UInt32(),
        "code": pl.String(),
        "day": pl.Date(),
        "kind": pl.String(),
        "concept": pl.String(),
        "valid_from": pl.Date(),
        "valid_to": pl.Date(),
        "replaced_by": pl.String(),
    }
)
"""One coding that the list of its day does not hold.

kind: outside_years (the list holds the code on other days: valid_from to valid_to is the nearest of them) or
not_listed (never; concept is the nearest one above, if any). row is the position among the codings, from 0.
"""


def valid_on(ontology: Ontology, codes: pl.Series, days: pl.Series) -> pl.Series:
    """Whether each code holds on its day.

    Args:
        ontology: the lists.
        codes: `SYSTEM//code` as sent; codes that are only spelled otherwise are judged as the listed code.
        days: dates or instants, one for each code.

    Returns:
        valid, not_valid or not_judgeable for each: not_judgeable where the code or the day is null, the
        system has no dated list, or the lists do not cover the day.
    """
    asked = _asked(ontology, codes, days)
    judged = _judged(ontology, asked).select("code", "period", "state")
    return asked.join(judged, on=["code", "period"], how="left", nulls_equal=True, maintain_order="left")[
        "state"
    ]


def codings_outside_lists(ontology: Ontology, codings: pl.DataFrame) -> pl.DataFrame:
    """The codings whose code the list of their day does not hold.

    Args:
        ontology: the lists.
        codings: columns code (`SYSTEM//code`) and time (date or instant, null = not judged).

    Returns:
        Columns of FINDINGS, sorted by row; none for what cannot be judged.
    """
    asked = _asked(ontology, codings["code"], codings["time"]).with_row_index("row")
    judged = _judged(ontology, asked).filter(pl.col("state") == "not_valid")
    wrong = asked.join(judged, on=["code", "period"]).with_columns(pl.col("code").cast(pl.String))
    distance = pl.max_horizontal(
        (pl.col("valid_from") - pl.col("day")).dt.total_days(),
        (pl.col("day") - pl.col("valid_to")).dt.total_days(),
    )
    nearest = (
        wrong.filter("is_listed")
        .join(_spans(ontology.system), on="concept")
        .sort("row", distance, "valid_from", nulls_last=True)
        .unique("row", keep="first", maintain_order=True)
        .select("row", "valid_from", "valid_to")
    )
    kind = pl.when("is_listed").then(pl.lit("outside_years")).otherwise(pl.lit("not_listed"))
    return (
        wrong.with_columns(kind=kind)
        .join(nearest, on="row", how="left")
        .join(_successors(ontology), on="concept", how="left")
        .select(pl.col(name).cast(dtype) for name, dtype in FINDINGS.items())
        .sort("row")
    )


def replaced_by(ontology: Ontology, concept: str) -> list[str]:
    """What holds in a concept's place: replacements followed to their ends, sorted."""
    after: dict[str, list[str]] = {}
    pairs = ontology.system.mappings.filter(pl.col("predicate") == "replaced_by").select("subject", "object")
    for old, new in pairs.sort("subject", "object").iter_rows():
        after.setdefault(old, []).append(new)
    seen, waiting = {concept}, [concept]
    ends: set[str] = set()
    while waiting:
        new = [one for one in after.get(waiting.pop(), []) if one not in seen]
        seen.update(new)
        waiting += [one for one in new if one in after]
        ends.update(one for one in new if one not in after)
    return sorted(ends)


def years_covered(ontology: Ontology) -> pl.DataFrame:
    """Columns of COVERAGE: the days for which each system's lists are complete, sorted."""
    return ontology.system.coverage.sort("system", "covered_from")


def _asked(ontology: Ontology, codes: pl.Series, days: pl.Series) -> pl.DataFrame:
    """Columns code, day and period: the lists change at the beginning of a period, never within it."""
    tables = ontology.system
    begins = [tables.concepts["valid_from"], tables.coverage["covered_from"]]
    ends = [tables.concepts["valid_to"], tables.coverage["covered_to"]]
    changes = pl.concat([*begins, *(end.dt.offset_by("1d") for end in ends)]).drop_nulls().unique().sort()
    asked = pl.DataFrame({"code": codes.cast(pl.String).cast(pl.Categorical), "day": days.cast(pl.Date)})
    first = pl.Series([date.min], dtype=pl.Date)
    return asked.with_columns(
        period=pl.when(pl.col("day").is_not_null()).then(
            pl.concat([first, changes]).search_sorted(asked["day"].fill_null(date.min), side="right")
        )
    )


def _judged(ontology: Ontology, asked: pl.DataFrame) -> pl.DataFrame:
    """Code, period, state, the listed or nearest concept, whether it is the code's own; each pair once."""
    pairs = asked.group_by("code", "period").agg(pl.col("day").min())
    sent = pl.DataFrame({"code": pairs["code"].unique()}).with_columns(sent=pl.col("code").cast(pl.String))
    found = normalise(sent["sent"], ontology).with_columns(_system("sent")).join(sent, on="sent")
    is_own = pl.col("how").is_in(["exact", "respelled"]) & (_system("concept") == pl.col("system"))
    pairs = pairs.join(found.drop("sent"), on="code", how="left").with_columns(
        is_listed=is_own.fill_null(value=False)
    )
    spans = _spans(ontology.system)
    valid = _within(pairs.filter("is_listed").join(spans, on="concept"), "valid_from", "valid_to")
    covered = _within(pairs.join(ontology.system.coverage, on="system"), "covered_from", "covered_to")
    state = (
        pl.when(pl.col("is_covered").is_null())
        .then(pl.lit("not_judgeable"))
        .when(pl.col("is_valid").is_null())
        .then(pl.lit("not_valid"))
        .otherwise(pl.lit("valid"))
    )
    key = ["code", "period"]
    return (
        pairs.join(covered.with_columns(is_covered=True), on=key, how="left", nulls_equal=True)
        .join(valid.with_columns(is_valid=True), on=key, how="left", nulls_equal=True)
        .select(*key, "concept", "is_listed", state=state)
    )


def _within(pairs: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
    """The distinct pairs of code and period whose days lie in a span; a null end is open."""
    begins = (pl.col(first) <= pl.col("day")).fill_null(value=True)
    ends = (pl.col("day") <= pl.col(last)).fill_null(value=True)
    return pairs.filter(pl.col("day").is_not_null() & begins & ends).select("code", "period").unique()


def _spans(system: CodeSystem) -> pl.DataFrame:
    return system.concepts.select("concept", "valid_from", "valid_to").unique()


def _successors(ontology: Ontology) -> pl.DataFrame:
    """Concept and what replaced it, several joined by a comma."""
    direct = ontology.system.mappings.filter(pl.col("predicate") == "replaced_by")
    return (
        direct.sort("subject", "object")
        .group_by("subject", maintain_order=True)
        .agg(pl.col("object").unique(maintain_order=True).str.join(", "))
        .rename({"subject": "concept", "object": "replaced_by"})
    )


def _system(column: str) -> pl.Expr:
    return pl.col(column).str.extract("^(.*?)//").alias("system")
