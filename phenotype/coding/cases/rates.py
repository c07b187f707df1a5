"""The rates that a case stands on: flags of its measures; how often its rules are broken, and by others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from phenotype.coding.cases.names import CaseNames, family_of

SURE = 0.95
HARDLY_ANY = 0.05
"""Where less is expected, none is in words, and no ratio is told."""
Direction = Literal["more", "fewer", "within"]


@dataclass(frozen=True)
class CaseRate:
    """One rate of a unit in a period.

    Attributes:
        measure: its name, or the rule.
        period: as text.
        n: stays or contacts judged.
        observed: how many had it.
        expected: how many would have had it if the unit were like those that it is held against.
        ratio: observed / expected; null where nothing was expected.
        low, high: exact 95% limits of the ratio, or those that the measure's own method gives.
        is_flagged: whether the measure's method flags it; null for a rule.
        q_value: of the flag, false discoveries controlled; null for a rule.
        against: wards (of the same name in other hospitals), peers (all other units; both unadjusted) or
            expected (adjusted for case mix).
    """

    measure: str
    period: str
    n: int
    observed: float
    expected: float | None
    ratio: float | None
    low: float | None
    high: float | None
    is_flagged: bool | None
    q_value: float | None
    against: Literal["expected", "wards", "peers"]


def exact_ratio_limits(observed: int, expected: float) -> tuple[float, float]:
    """Exact 95% limits of observed / expected, the observed count Poisson, the expected one known.

    **Source:** Garwood 1936, doi:10.1093/biomet/28.3-4.437.
    """
    from scipy.special import gammaincinv

    tail = (1 - SURE) / 2
    low = gammaincinv(observed, tail) if observed else 0.0
    high = gammaincinv(observed + 1, 1 - tail)
    return float(low / expected), float(high / expected)


def rule_rates(coverage: pl.DataFrame) -> pl.DataFrame:
    """How often each unit breaks each rule, against other units in the same period.

    A ward is held against the wards of its name in other hospitals where these were judged, for a rule that
    most of a surgical ward's contacts can break says little of a medical one; else against all other units.

    Args:
        coverage: columns of RULE_COVERAGE, of rules.

    Returns:
        rule_id, unit_id, period, judged, broken, expected (null where no other unit was judged), against,
        sorted.
    """
    judged = (
        coverage.filter(pl.col("judged") > 0)
        .group_by("rule_id", "unit_id", "period")
        .agg(pl.col("judged", "broken").sum())
        .with_columns(ward=pl.col("unit_id").str.extract("^[^/]*/(.+)$"))
    )

    def others(name: str, *by: str) -> pl.Expr:
        """The sum over the other units."""
        return pl.col(name).sum().over("rule_id", "period", *by) - pl.col(name)

    of_wards = pl.col("ward").is_not_null() & (pl.col("ward") != "?") & (others("judged", "ward") > 0)
    share = (
        pl.when(of_wards)
        .then(others("broken", "ward") / others("judged", "ward"))
        .when(others("judged") > 0)
        .then(others("broken") / others("judged"))
    )
    return (
        judged.with_columns(
            expected=pl.col("judged") * share,
            against=pl.when(of_wards).then(pl.lit("wards")).otherwise(pl.lit("peers")),
        )
        .drop("ward")
        .sort("rule_id", "unit_id", "period")
    )


def case_rates(
    rules: pl.DataFrame, units: pl.DataFrame, names: CaseNames, wanted: pl.DataFrame
) -> dict[str, tuple[CaseRate, ...]]:
    """The rates of each case.

    Args:
        rules: what `rule_rates` gives.
        units: columns of UNITS.
        names: which family a rule or measure belongs to.
        wanted: case_id, unit_id, family, first_year and last_year of each case.

    Returns:
        case_id -> its rates by measure and period; cases without any are left out.
    """
    of_rules = [
        pl.col("rule_id").alias("measure"),
        pl.col("judged").alias("n"),
        pl.col("broken").cast(pl.Float64).alias("observed"),
    ]
    told = [
        rules.select("unit_id", "period", "expected", "against", *of_rules),
        units.with_columns(against=pl.lit("expected")),
    ]
    together = pl.concat([_of_families(table, names, wanted) for table in told], how="diagonal_relaxed")
    year = pl.col("period").str.extract(r"((?:19|20)\d\d)").cast(pl.Int32)
    within = pl.col("year").is_between(pl.col("first_year"), pl.col("last_year"))
    found = (
        together.with_columns(year=year, family=family_of(names, "measure"), at=pl.int_range(pl.len()))
        .join(wanted, on=["unit_id", "family"], how="inner")
        .filter(within.fill_null(value=True))
        .sort("case_id", "measure", "period", "at")
    )
    rates: dict[str, list[CaseRate]] = {}
    for row in found.iter_rows(named=True):
        rates.setdefault(row["case_id"], []).append(_rate(row))
    return {case_id: tuple(of_case) for case_id, of_case in rates.items()}


def _of_families(table: pl.DataFrame, names: CaseNames, wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows of the units and families that cases are about, with their family; others may be millions."""
    families = (
        table.select("measure")
        .unique()
        .with_columns(family=family_of(names, "measure"))
        .join(wanted.select("family").unique(), on="family", how="semi")
    )
    return table.join(wanted.select("unit_id").unique(), on="unit_id", how="semi").join(
        families, on="measure", how="inner", maintain_order="left"
    )


def _rate(row: dict[str, object]) -> CaseRate:
    observed, expected = float(str(row["observed"] or 0)), row["expected"]
    low, high, ratio = row.get("low"), row.get("high"), row.get("ratio")
    if row["against"] != "expected" and isinstance(expected, float) and expected > 0:
        low, high = exact_ratio_limits(round(observed), expected)
        ratio = observed / expected
    return CaseRate(
        measure=str(row["measure"]),
        period=str(row["period"]),
        n=int(str(row["n"])),
        observed=observed,
        expected=_number(expected),
        ratio=_number(ratio),
        low=_number(low),
        high=_number(high),
        is_flagged=None if row.get("is_flagged") is None else bool(row["is_flagged"]),
        q_value=_number(row.get("q_value")),
        against=_AGAINST[str(row["against"])],
    )


def overall(rates: Sequence[CaseRate]) -> CaseRate | None:
    """The rate that tells most: of a rule over all its periods, of a measure in one.

    A year in which none was expected counts in a rule's sum. The rule or period is the one whose observed
    count is furthest from the expected one.
    """
    told = [rate for rate in compared_rates(rates) if rate.observed or rate.expected]
    return max(told, key=lambda rate: abs(rate.observed - (rate.expected or 0.0)), default=None)


def compared_rates(rates: Sequence[CaseRate]) -> list[CaseRate]:
    """What can be held against anything: of rules all years together, of measures each."""
    compared = [rate for rate in rates if rate.expected is not None]
    rules = [_summed([rate for rate in compared if rate.measure == name]) for name in _rules_of(compared)]
    return rules + [rate for rate in compared if rate.against == "expected"]


def direction(rate: CaseRate) -> Direction:
    """Whether a unit has more or fewer than expected, beyond chance.

    Of a measure its own flag tells, of a rule the exact limits of the ratio; where nobody else breaks it, one
    is taken to be expected, for few others say little (our assumption).
    """
    expected = rate.expected or 0.0
    if rate.against == "expected":
        is_more, is_fewer = rate.observed > expected, rate.observed < expected
        return "within" if not rate.is_flagged else "more" if is_more else "fewer" if is_fewer else "within"
    if rate.low is None or rate.high is None:
        return "more" if exact_ratio_limits(round(rate.observed), 1.0)[0] > 1 else "within"
    return "more" if rate.low > 1 else "fewer" if rate.high < 1 else "within"


def _rules_of(rates: Sequence[CaseRate]) -> list[str]:
    return sorted({rate.measure for rate in rates if rate.against != "expected"})


def _summed(rates: Sequence[CaseRate]) -> CaseRate:
    """One rule's rates over several periods as one."""
    rates = sorted((rate for rate in rates if rate.against != "expected"), key=lambda rate: rate.period)
    observed, expected = sum(rate.observed for rate in rates), sum(rate.expected or 0.0 for rate in rates)
    low, high = exact_ratio_limits(round(observed), expected) if expected > 0 else (None, None)
    first, last = rates[0].period, rates[-1].period
    return replace(
        rates[0],
        period=first if first == last else f"{first}–{last}",
        n=sum(rate.n for rate in rates),
        observed=observed,
        expected=expected,
        ratio=observed / expected if expected > 0 else None,
        low=low,
        high=high,
        against="wards" if all(rate.against == "wards" for rate in rates) else "peers",
    )


_AGAINST: Mapping[str, Literal["expected", "wards", "peers"]] = {
    "expected": "expected",
    "wards": "wards",
    "peers": "peers",
}


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None
