"""Rules that compare facts of one subject with each other: repeated, contradicting, in the wrong order."""

from __future__ import annotations

import polars as pl

from pipelines.quality.outcomes import Outcome, one_count
from pipelines.quality.rules import Contradictions, Duplicates, PairOrder
from pipelines.quality.surroundings import Surroundings

_SAME = ("subject_id", "time", "code", "numeric_value", "text_value", "unit")
SYSTEM = "^(.*?)//"
NO_SYSTEM = "(no system)"


def _of_systems(events: pl.LazyFrame, systems: tuple[str, ...]) -> pl.LazyFrame:
    """Dated events of some systems; all dated ones where none is named."""
    dated = events.filter(pl.col("time").is_not_null())
    if not systems:
        return dated
    return dated.filter(pl.any_horizontal(pl.col("code").str.starts_with(f"{name}//") for name in systems))


def count_duplicates(rule: Duplicates, events: pl.LazyFrame, _: Surroundings) -> pl.DataFrame:
    """Dated events of a file and how many repeat an earlier one, by code system where asked."""
    asked = _of_systems(events, rule.systems)
    named = pl.col("code").str.extract(SYSTEM).fill_null(NO_SYSTEM)
    system = named if rule.by else pl.lit(None, dtype=pl.String)
    return (
        asked.select(system.alias("concept"), key=pl.struct(_SAME).hash(seed=1))
        .group_by("concept")
        .agg(n_rows=pl.len().cast(pl.Int64), n_violated=(pl.len() - pl.col("key").n_unique()).cast(pl.Int64))
        .collect()
    )


def count_contradictions(rule: Contradictions, events: pl.LazyFrame, _: Surroundings) -> pl.DataFrame:
    """Instants of a code and unit, and at how many of them there are several values, by code system."""
    asked = _of_systems(events, rule.systems).filter(pl.col("numeric_value").is_not_null())
    keyed = asked.select(
        concept=pl.col("code").str.extract(SYSTEM),
        key=pl.struct("subject_id", "time", "code", "unit").hash(seed=1),
        value=pl.col("numeric_value"),
    )
    instants = keyed.group_by("concept", "key").agg(is_double=pl.col("value").min() != pl.col("value").max())
    return (
        instants.group_by("concept")
        .agg(n_rows=pl.len().cast(pl.Int64), n_violated=pl.col("is_double").sum().cast(pl.Int64))
        .collect()
    )


def count_pairs(rule: PairOrder, events: pl.LazyFrame, _: Surroundings) -> pl.DataFrame:
    """Instants with both measurements once, and at how many of them the lower is not below the higher."""
    is_pair = pl.col("code").is_in([rule.lower, rule.higher]) & pl.col("numeric_value").is_not_null()
    lower = pl.col("numeric_value").filter(pl.col("code") == rule.lower)
    higher = pl.col("numeric_value").filter(pl.col("code") == rule.higher)
    pairs = (
        events.filter(is_pair & pl.col("time").is_not_null())
        .group_by("subject_id", "time")
        .agg(lower=lower.first(), higher=higher.first(), n_lower=lower.len(), n_higher=higher.len())
        .filter((pl.col("n_lower") == 1) & (pl.col("n_higher") == 1))
        .collect()
    )
    return one_count_or_none(pairs.height, int((pairs["lower"] >= pairs["higher"]).sum()))


def one_count_or_none(n_rows: int, n_violated: int) -> pl.DataFrame:
    """Counts that can be added to those of other files, also where there are none."""
    return pl.DataFrame({"n_rows": [n_rows], "n_violated": [n_violated]})


def conclude_pairs(rule: PairOrder, tally: pl.DataFrame, _: Surroundings) -> Outcome:
    """The outcome over all files."""
    found = one_count(int(tally["n_rows"].sum()), int(tally["n_violated"].sum()))
    return Outcome(
        found, reason="" if found.height else f"never {rule.lower} and {rule.higher} at one instant"
    )
