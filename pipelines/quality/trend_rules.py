"""Rules about what changes from month to month: medians, digits, silence, rates, delays."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from pipelines.quality.outcomes import Outcome, counted
from pipelines.quality.row_rules import month_words
from pipelines.quality.rules import DigitPreference, LateArrival, MedianShift, MonthlyRate, Silence
from pipelines.quality.surroundings import Surroundings
from pipelines.quality.tallies import BINS_PER_DECADE, NO_BIN
from pipelines.quality.unit_rules import spelled

SYSTEM = "^(.*?)//"
_GROUP_MONTHS = pl.Schema({"group": pl.String(), "month": pl.Date(), "n_present": pl.Int64()})
NOT_LARGE = "no group is large enough in any month"
LEAST_BEFORE = 3
LEAST_STEPS = 30
"""Last digits are judged where values range over at least this many steps of the last digit."""
LEAST_DECIMAL_SHARE = 0.05
"""A code is written with as many decimals as at least this share of its values need."""


def medians(tally: pl.DataFrame) -> pl.DataFrame:
    """The median bin of each code, unit and month: code, unit, month, bin, n_values; sorted.

    Args:
        tally: code, unit, month, bin, n_values.
    """
    keys = ["code", "unit", "month"]
    ordered = tally.sort(*keys, "bin", nulls_last=False)
    half = (pl.col("n_values").sum() + 1) // 2
    is_reached = pl.col("n_values").cum_sum() >= half
    return ordered.group_by(keys, maintain_order=True).agg(
        bin=pl.col("bin").filter(is_reached).first(), n_values=pl.col("n_values").sum()
    )


def conclude_median(rule: MedianShift, tally: pl.DataFrame, _: Surroundings) -> Outcome:
    """By code: months after one with enough values, and those whose median is many times the one before."""
    asked = tally.filter(pl.col("system").is_in(rule.systems) & (pl.col("bin") > NO_BIN))
    keys = ["code", "unit", "month", "bin"]
    one = spelled(asked).group_by(keys).agg(pl.col("n_values").sum())
    months = medians(one).filter(pl.col("n_values") >= rule.n_in_month)
    before = pl.col("bin").shift(1).over("code", "unit")
    steps = months.with_columns(before=before).filter(pl.col("before").is_not_null())
    ratio = pl.lit(10.0).pow((pl.col("bin") - pl.col("before")).cast(pl.Float64) / BINS_PER_DECADE)
    judged = steps.with_columns(ratio=ratio)
    nearly = rule.factor / 10 ** (1 / BINS_PER_DECADE)
    is_shift = (pl.col("ratio") >= nearly) | (pl.col("ratio") <= 1 / nearly)
    found = judged.group_by(concept="code").agg(n_rows=pl.len(), n_violated=is_shift.sum())
    counts = counted(found)
    shifts = judged.filter(is_shift).select("code", "unit", "month", "ratio")
    return Outcome(counts, shifts, "" if counts.height else "no code with enough values in two months")


def conclude_digits(rule: DigitPreference, tally: pl.DataFrame, _: Surroundings) -> Outcome:
    """By code and unit: values, and those that end in the most frequent digit.

    A value with fewer decimals than the code is written with ends in 0.
    """
    asked = spelled(tally.filter(pl.col("system").is_in(rule.systems)))
    share = pl.col("n_values").sum().over("code", "unit", "decimals") / pl.col("n_values").sum().over(
        "code", "unit"
    )
    places = pl.col("decimals").filter(share >= LEAST_DECIMAL_SHARE).max().over("code", "unit")
    # A value with fewer decimals than the code is written with ends in 0.
    ending = pl.when(pl.col("decimals") < places).then(0).otherwise("digit").cast(pl.Int8)
    digits = (
        asked.with_columns(digit=ending, places=places)
        .group_by("code", "unit", "places", "digit")
        .agg(pl.col("n_values").sum(), pl.col("low").min(), pl.col("high").max())
        .sort("code", "unit", "digit")
    )
    n_steps = (pl.col("high").max() - pl.col("low").min()) * pl.lit(10.0).pow(pl.col("places").first())
    codes = digits.group_by("code", "unit").agg(
        n_rows=pl.col("n_values").sum(), n_violated=pl.col("n_values").max(), n_steps=n_steps
    )
    found = (
        codes.filter(pl.col("n_steps") >= LEAST_STEPS)
        .group_by(concept="code")
        .agg(pl.col("n_rows", "n_violated").sum())
    )
    counts = counted(found)
    return Outcome(
        counts, digits.drop("low", "high"), "" if counts.height else "no values over a wide enough range"
    )


def count_patients(rule: Silence, events: pl.LazyFrame, _: Surroundings) -> pl.DataFrame:
    """group, month: n patients of a file with an event of a code system; none where places are asked."""
    if rule.by != "system":
        return pl.DataFrame(schema=_GROUP_MONTHS)
    dated = events.filter(pl.col("time").is_not_null()).select(
        "subject_id", group=pl.col("code").str.extract(SYSTEM), month=pl.col("time").dt.truncate("1mo")
    )
    return (
        dated.unique()
        .group_by("group", pl.col("month").dt.date())
        .agg(n_present=pl.len().cast(pl.Int64))
        .collect()
        .select(_GROUP_MONTHS.names())
    )


def conclude_silence(rule: Silence, tally: pl.DataFrame, around: Surroundings) -> Outcome:
    """By group: months that can be judged, and those with far fewer than in the months before.

    Months are judged from a group's first one with `n_expected` or more to the last one in which any group
    has as many, without the first and the last month of all: they may be cut. A stray date begins nothing.
    """
    months = tally if rule.by == "system" else _contacts_begun(rule.by, around.tables["contacts"])
    months = months.filter(pl.col("group").is_not_null() & pl.col("month").is_not_null())
    if not months.height:
        return Outcome(counted(pl.DataFrame({"n_rows": [0], "n_violated": [0]})), reason="no such groups")
    full = months.filter(pl.col("n_present") >= rule.n_expected)
    if not full.height:
        return Outcome(counted(months.with_columns(n_rows=0, n_violated=0)), reason=NOT_LARGE)
    first, last = full["month"].min(), full["month"].max()
    whole = _every_month(months, full).filter((pl.col("month") != first) & (pl.col("month") != last))
    expected = _usual(rule.n_months)
    judged = whole.sort("group", "month").with_columns(expected=expected)
    judged = judged.filter(pl.col("expected") >= rule.n_expected).with_columns(
        is_silent=pl.col("n_present") < rule.share * pl.col("expected")
    )
    name = "concept" if rule.by == "system" else "unit_id"
    found = judged.group_by(pl.col("group").alias(name)).agg(
        n_rows=pl.len(), n_violated=pl.col("is_silent").sum()
    )
    counts = counted(found)
    return Outcome(counts, judged, "" if counts.height else NOT_LARGE)


def _contacts_begun(by: str, contacts: pl.DataFrame) -> pl.DataFrame:
    """group, month: n contacts that began."""
    month = pl.col("start_time").dt.truncate("1mo").dt.date()
    return contacts.group_by(group=pl.col(by), month=month).agg(n_present=pl.len().cast(pl.Int64))


def _every_month(months: pl.DataFrame, full: pl.DataFrame) -> pl.DataFrame:
    """Months of each group from its first full one to the last of all, those without anybody as zero.

    A group that has sent its last event is silent until the end of the data, or was closed: it is shown.
    """
    last = full["month"].max()
    spans = full.group_by("group").agg(first=pl.col("month").min()).with_columns(last=pl.lit(last, pl.Date))
    grid = spans.select("group", month=pl.date_ranges("first", "last", "1mo")).explode("month")
    return grid.join(months, on=["group", "month"], how="left").with_columns(pl.col("n_present").fill_null(0))


def _usual(n_months: int) -> pl.Expr:
    """The median of the months before; of those after where fewer than three stand before."""

    def near(steps: Iterable[int]) -> pl.Expr:
        """What the months at some steps before hold, as a list, those that are there."""
        held = [pl.col("n_present").shift(step).over("group") for step in steps]
        return pl.concat_list(held).list.drop_nulls()

    before, after = near(range(1, n_months + 1)), near(range(-n_months, 0))
    return (
        pl.when(before.list.len() >= LEAST_BEFORE).then(before.list.median()).otherwise(after.list.median())
    )


def conclude_rate(rule: MonthlyRate, tally: pl.DataFrame, around: Surroundings) -> Outcome:
    """By group: months with enough contacts, and those whose rate is far from the group's own median."""
    contacts = around.tables["contacts"].filter(
        pl.col("care_level").is_in(rule.care_levels) & pl.col("start_time").is_not_null()
    )
    rates = _rates(rule, contacts, tally).filter(
        (pl.col("n_contacts") >= rule.n_in_month) & pl.col("group").is_not_null()
    )
    usual = pl.col("rate").median().over("group")
    judged = rates.with_columns(usual=usual).sort("group", "month")
    is_far = (pl.col("rate") > rule.factor * pl.col("usual")) | (
        pl.col("rate") * rule.factor < pl.col("usual")
    )
    found = judged.group_by(unit_id="group").agg(n_rows=pl.len(), n_violated=is_far.sum())
    counts = counted(found)
    return Outcome(
        counts, judged.with_columns(is_far=is_far), "" if counts.height else "no month with enough contacts"
    )


def _rates(rule: MonthlyRate, contacts: pl.DataFrame, tally: pl.DataFrame) -> pl.DataFrame:
    """group, month, n_contacts, rate: what is counted for each contact that began in the month."""
    by_month = contacts.group_by(
        group=pl.col(rule.by), month=pl.col("start_time").dt.truncate("1mo").dt.date()
    )
    n_contacts = pl.len().cast(pl.Int64)
    if rule.rate == "diagnoses_per_contact":
        counts = by_month.agg(n_contacts=n_contacts, n=pl.col("n_diagnoses").sum().cast(pl.Int64))
    else:
        of_level = tally.filter(pl.col("care_level").is_in(rule.care_levels))
        events = of_level.group_by(group=pl.col(rule.by), month="month").agg(n=pl.col("n_events").sum())
        counts = by_month.agg(n_contacts=n_contacts).join(events, on=["group", "month"], how="left")
    return counts.with_columns(rate=pl.col("n").fill_null(0) / pl.col("n_contacts"))


def count_late(rule: LateArrival, events: pl.DataFrame, _: Surroundings) -> pl.DataFrame:
    """By code system and month: events with a time of knowing, and those that were late."""
    asked = events.filter(pl.col("delay_hours").is_not_null() & pl.col("system").is_not_null())
    return asked.group_by(concept="system", month=month_words("time")).agg(
        n_rows=pl.len().cast(pl.Int64), n_violated=(pl.col("delay_hours") > rule.hours).sum().cast(pl.Int64)
    )


def conclude_late(_: LateArrival, tally: pl.DataFrame, __: Surroundings) -> Outcome:
    """By code system; months are details."""
    counts = counted(tally.group_by("concept").agg(pl.col("n_rows", "n_violated").sum()))
    reason = "" if counts.height else "no event has a time of knowing"
    return Outcome(counts, tally.sort("concept", "month"), reason)
