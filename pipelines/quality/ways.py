"""Which functions count each kind of rule: over slices of events, whole files, tables, or from tallies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipelines.quality import (
    code_rules,
    contact_rules,
    fact_rules,
    source_rules,
    structure_rules,
    trend_rules,
    unit_rules,
)
from pipelines.quality.outcomes import Outcome
from pipelines.quality.surroundings import Surroundings

Conclude = Callable[[Any, pl.DataFrame, Surroundings], Outcome]


@dataclass(frozen=True)
class FromTables:
    """A rule that looks at what is beside the events only.

    Attributes:
        conclude: the outcome, from the rule and the surroundings.
    """

    conclude: Callable[[Any, Surroundings], Outcome]


@dataclass(frozen=True)
class FromTally:
    """A rule that is told from a tally which others share.

    Attributes:
        tally: the tally's name.
        conclude: the outcome, from the rule, the tally of all events and the surroundings.
    """

    tally: str
    conclude: Conclude


@dataclass(frozen=True)
class FromSlices:
    """A rule that counts slices of events for itself.

    Attributes:
        count: counts of one slice, which can be added up.
        columns: the columns of events that it needs.
        conclude: the outcome, from the counts of all slices.
    """

    count: Callable[[Any, pl.DataFrame, Surroundings], pl.DataFrame]
    columns: frozenset[str]
    conclude: Conclude = field(default=structure_rules.conclude_added)


@dataclass(frozen=True)
class FromShards:
    """A rule that must see a subject's events together: it counts whole files.

    Attributes:
        count: counts of one file, which can be added up.
        conclude: the outcome, from the counts of all files.
    """

    count: Callable[[Any, pl.LazyFrame, Surroundings], pl.DataFrame]
    conclude: Conclude = field(default=structure_rules.conclude_added)


WAYS: Mapping[str, FromTables | FromTally | FromSlices | FromShards] = {
    "columns": FromTables(structure_rules.conclude_columns),
    "unique": FromTables(structure_rules.conclude_unique),
    "reference": FromTables(structure_rules.conclude_reference),
    "sorted": FromShards(structure_rules.count_sorted),
    "one_shard": FromShards(structure_rules.count_subjects, structure_rules.conclude_one_shard),
    "lineage_complete": FromShards(structure_rules.count_lineage),
    "duplicates": FromShards(fact_rules.count_duplicates),
    "contradictions": FromShards(fact_rules.count_contradictions),
    "pair_order": FromShards(fact_rules.count_pairs, fact_rules.conclude_pairs),
    "overlap": FromTables(contact_rules.conclude_overlap),
    "balance": FromTables(contact_rules.conclude_balance),
    "partner": FromTables(contact_rules.conclude_partner),
    "value_range": FromSlices(unit_rules.count_ranges, frozenset({"code", "unit", "numeric_value"})),
    "declared_unit": FromTally("by_month", unit_rules.conclude_declared),
    "usual_unit": FromTally("by_month", unit_rules.conclude_usual),
    "unit_change": FromTally("by_month", unit_rules.conclude_change),
    "one_value": FromTally("by_month", unit_rules.conclude_one_value),
    "median_shift": FromTally("by_size", trend_rules.conclude_median),
    "digit_preference": FromTally("by_digit", trend_rules.conclude_digits),
    "silence": FromShards(trend_rules.count_patients, trend_rules.conclude_silence),
    "monthly_rate": FromTally("by_place", trend_rules.conclude_rate),
    "late_arrival": FromSlices(
        trend_rules.count_late, frozenset({"system", "time", "delay_hours"}), trend_rules.conclude_late
    ),
    "code_form": FromTally("by_code_day", code_rules.conclude_form),
    "unknown_code": FromTally("by_code_day", code_rules.conclude_unknown),
    "outside_validity": FromTally("by_code_day", code_rules.conclude_validity),
    "specific_code": FromSlices(code_rules.count_specific, frozenset({"system", "code", "sex", "age_years"})),
    "rejects": FromTables(source_rules.conclude_rejects),
    "files_not_read": FromTables(source_rules.conclude_files),
    "lost_links": FromTables(source_rules.conclude_links),
    "identity_numbers": FromTables(source_rules.conclude_identity),
}
"""The way of each kind of rule but conditions, which are counted together."""
