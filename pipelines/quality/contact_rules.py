"""Rules about contacts and their codings: overlaps, pairs of codes, births and deliveries."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from phenotype.trajectory import INSTANT
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
    rows = asked.select(columns).sort(columns, nulls_last=False)
    if rule.elsewhere:
        rows = rows.filter(pl.col("hospital_id").n_unique().over("subject_id") > 1)
    held_until = _longest_elsewhere(rows) if rule.elsewhere else _longest_before()
    begun = rows.with_columns(held_until=held_until)
    shared = pl.min_horizontal("held_until", "end_time") - pl.col("start_time")
    overlapping = begun.filter(
        (pl.col("start_time") < pl.col("held_until"))
        & (shared >= pl.duration(seconds=int(rule.hours * 3600)))
    )
    reason = "" if asked.height else "no contacts of these care levels"
    return Outcome(one_count(asked.height, overlapping.height), reason=reason)


def _longest_before() -> pl.Expr:
    """Until when the longest of a subject's earlier contacts goes on; null for the first."""
    return pl.col("end_time").cum_max().shift(1).over("subject_id")


def _longest_elsewhere(contacts: pl.DataFrame) -> pl.Series:
    """Until when the longest of a subject's earlier contacts in other hospitals goes on.

    Args:
        contacts: subject_id, start_time, end_time, hospital_id; sorted by subject and start.
    """
    found: list[datetime | None] = []
    subject, ends = None, dict[str, datetime]()
    rows = contacts.select("subject_id", "hospital_id", "end_time")
    for subject_id, hospital, end in rows.iter_rows():
        if subject_id != subject:
            subject, ends = subject_id, {}
        found.append(max((until for name, until in ends.items() if name != hospital), default=None))
        ends[hospital] = max(end, ends.get(hospital, end))
    return pl.Series(found, dtype=INSTANT)


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
