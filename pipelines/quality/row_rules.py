"""Rules that ask every row of a table the same question: conditions, whole or by groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ontology.errors import ConfigurationError, Problem
from pipelines.quality.conditions import columns_of, condition
from pipelines.quality.outcomes import Outcome, counted
from pipelines.quality.rules import Condition, Grouping
from pipelines.quality.surroundings import Surroundings

_TIME_OF = {
    "events": "time",
    "subjects": "birth_time",
    "contacts": "start_time",
    "stays": "start_time",
    "codings": "coded_time",
    "observation": "start_time",
}
"""The instant of a row, by which months and years are told."""
_FORMS = {"month": "%Y-%m", "year": "%Y"}


def month_words(column: str) -> pl.Expr:
    """The month of an instant as text, such as 2024-03."""
    return pl.col(column).dt.strftime(_FORMS["month"])


def condition_columns(rule: Condition) -> set[str]:
    """The columns that a condition needs of its table."""
    grouped = {_TIME_OF[rule.table] if key in _FORMS else key for key in rule.by}
    return columns_of(rule.among) | columns_of(rule.wrong) | grouped


def count_together(rules: Mapping[str, Condition], rows: pl.DataFrame) -> pl.DataFrame:
    """All conditions of a table counted in one pass for each grouping.

    Args:
        rules: check id -> its condition, all of one table.
        rows: the table, or a slice of it.

    Returns:
        check_id, concept, unit_id, period, n_rows, n_violated.
    """
    groupings: dict[tuple[Grouping, ...], dict[str, Condition]] = {}
    for name, rule in rules.items():
        groupings.setdefault(rule.by, {})[name] = rule
    parts = [part for by, group in groupings.items() for part in _counted(by, group, rows)]
    return pl.concat(parts)


def _counted(
    by: Sequence[Grouping], rules: Mapping[str, Condition], rows: pl.DataFrame
) -> list[pl.DataFrame]:
    """One frame for each rule of one grouping."""
    sums = []
    for place, rule in enumerate(rules.values()):
        among = condition(rule.among)
        both = among & condition(rule.wrong)
        sums += [_sum(among).alias(f"n_rows_{place}"), _sum(both).alias(f"n_violated_{place}")]
    first = next(iter(rules.values()))
    keys = _keys(by, _TIME_OF[first.table])
    lazy = rows.lazy()
    sums_of = lazy.group_by(list(keys.values())).agg(sums) if keys else lazy.select(sums)
    found = _collected(sums_of, rules)
    return [
        found.select(
            pl.lit(name).alias("check_id"),
            *(
                (pl.col(key) if key in keys else pl.lit(None)).cast(pl.String).alias(key)
                for key in ("concept", "unit_id", "period")
            ),
            pl.col(f"n_rows_{place}").cast(pl.Int64).alias("n_rows"),
            pl.col(f"n_violated_{place}").cast(pl.Int64).alias("n_violated"),
        ).filter(pl.col("n_rows") > 0)
        for place, name in enumerate(rules)
    ]


def _collected(sums: pl.LazyFrame, rules: Mapping[str, Condition]) -> pl.DataFrame:
    """The counted sums; what the engine says of a value that it cannot take is not told, for it quotes it.

    Raises:
        ConfigurationError: a condition cannot be asked of the values that are there.
    """
    try:
        return sums.collect()
    except pl.exceptions.PolarsError:
        raise ConfigurationError(
            Problem(
                "a condition that the values do not bear",
                f"among the quality checks {', '.join(rules)}",
                next_step="write TRY_CAST for CAST, and compare columns with values of their own type",
            )
        ) from None


def _sum(holds: pl.Expr) -> pl.Expr:
    """How many rows an expression holds for; one that names no column holds for all."""
    return holds.cast(pl.Int64).sum() if holds.meta.root_names() else pl.len().cast(pl.Int64)


def _keys(by: Sequence[Grouping], time: str) -> dict[str, pl.Expr]:
    """What rows are grouped by, under the names that results have."""
    keys: dict[str, pl.Expr] = {}
    for name in by:
        if name in _FORMS:
            keys["period"] = pl.col(time).dt.strftime(_FORMS[name]).alias("period")
        elif name in {"unit_id", "hospital_id"}:
            keys["unit_id"] = pl.col(name).alias("unit_id")
        else:
            keys["concept"] = pl.col(name).alias("concept")
    return keys


def conclude_condition(rule: Condition, counts: pl.DataFrame, _: Surroundings) -> Outcome:
    """The outcome of a condition from its added-up counts."""
    named = list(_keys(rule.by, _TIME_OF[rule.table]))
    whole = counts.filter(pl.all_horizontal(pl.col(named).is_not_null())) if named else counts
    found = counted(whole)
    asked = f"no rows of {rule.table} where {rule.among}" if rule.among else f"no rows of {rule.table}"
    return Outcome(found, reason="" if found.height else asked)
