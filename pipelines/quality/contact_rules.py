"""Rules about contacts and their codings: overlaps, pairs of codes, births and deliveries."""

from __future__ import annotations

import polars as pl

from pipelines.quality.outcomes import Outcome, counted, one_count
from pipelines.quality.rules import Balance, Overlap, Partner
from pipelines.quality.surroundings import Surroundings


def conclude_overlap(rule: Overlap, around: Surroundings) -> Outcome:
    """How many contacts of the care levels begin while another of the same subject still goes on.

    Of two contacts that overlap the later one counts, once. Contacts without start or end are not asked.
    """
    asked = around.tables["contacts"].filter(
        pl.col("care_level").is_in(rule.care_levels)
        & (pl.col("start_time") <= pl.col("end_time"))
        & (pl.col("hospital_id").is_not_null() if rule.elsewhere else pl.lit(value=True))
    )
    columns = ["subject_id", "start_time", "end_time", "hospital_id", "contact_id"]
    rows = asked.select(columns).sort(columns, nulls_last=False).with_row_index("place")
    busy = rows.filter(pl.len().over("subject_id") > 1)
    pairs = busy.join(busy, on="subject_id", suffix="_later").filter(pl.col("place") < pl.col("place_later"))
    shared = pl.min_horizontal("end_time", "end_time_later") - pl.col("start_time_later")
    overlapping = pairs.filter(
        (pl.col("start_time_later") < pl.col("end_time"))
        & (shared >= pl.duration(seconds=int(rule.hours * 3600)))
        & ((pl.col("hospital_id") != pl.col("hospital_id_later")) if rule.elsewhere else pl.lit(value=True))
    )
    reason = "" if asked.height else "no contacts of these care levels"
    return Outcome(one_count(asked.height, overlapping["place_later"].n_unique()), reason=reason)


def conclude_partner(rule: Partner, around: Surroundings) -> Outcome:
    """How many codes that need a partner stand without another diagnosis in their group of their contact.

    A group is the condition's number; without numbers it is the whole contact.
    """
    codings = around.tables["codings"].filter(
        (pl.col("system") == rule.system) & pl.col("role").is_in(["main", "other"])
    )
    needs = pl.col("compact_code").str.contains(f"^(?:{rule.pattern})").fill_null(value=False)
    marked = codings.with_columns(needs=needs)
    n_others = (~pl.col("needs")).sum().over("contact_id", "group_no")
    asked = marked.with_columns(n_others=n_others).filter("needs")
    reason = "" if asked.height else "no such codes"
    return Outcome(one_count(asked.height, int((asked["n_others"] == 0).sum())), reason=reason)


def conclude_balance(rule: Balance, around: Surroundings) -> Outcome:
    """By year: the larger of the two numbers of contacts, and by how many the other is smaller."""
    codings = around.tables["codings"].filter(pl.col("system") == rule.system)

    def matches(pattern: str) -> pl.Expr:
        """Whether any code of a contact fits a pattern."""
        return pl.col("compact_code").str.contains(f"^(?:{pattern})").fill_null(value=False).any()

    contacts = codings.group_by("contact_id").agg(
        period=pl.col("start_time").min().dt.strftime("%Y"),
        is_left=matches(rule.left),
        is_right=matches(rule.right),
    )
    years = (
        contacts.filter(pl.col("period").is_not_null())
        .group_by("period")
        .agg(n_left=pl.col("is_left").sum().cast(pl.Int64), n_right=pl.col("is_right").sum().cast(pl.Int64))
        .sort("period")
    )
    found = years.select(
        "period",
        n_rows=pl.max_horizontal("n_left", "n_right"),
        n_violated=(pl.col("n_left") - pl.col("n_right")).abs(),
    )
    counts = counted(found)
    return Outcome(counts, details=years, reason="" if counts.height else "no contacts of either kind")
