"""Settling as the public cases did: cut to a rate, day care for stays, another group; sums by region.

Every method gives each stay the points that it keeps, never more than it had. Sums are exact; an amount is
rounded once, so parts add up to the whole within half an øre a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate
from ontology.errors import ConfigurationError, Problem
from phenotype.coding.money.settlement import Care, Prices
from phenotype.coding.money.weights import POINTS

SETTLED = pl.Schema(
    {
        "stay_id": pl.Int64(),
        "unit": pl.String(),
        "home_region": pl.String(),
        "points": POINTS,
        "settled_points": POINTS,
        "outcome": pl.String(),
    }
)
"""points: as reported; settled_points: what is left of them; outcome: what was done, or why
nothing could be."""
SUMS = pl.Schema(
    {
        "n_stays": pl.Int64(),
        "n_changed": pl.Int64(),
        "n_unsettled": pl.Int64(),
        "points": POINTS,
        "points_back": POINTS,
        "amount_nok": pl.Decimal(20, 2),
        "share_back": pl.Float64(),
    }
)
"""points_back = points - settled_points; amount_nok: what that refunds; share_back: of all points back;
n_unsettled: stays that the method could not judge."""
NOT_TOLD = "not told"
APPROVED, CUT, REPLACED, REGROUPED = "approved", "cut", "replaced", "regrouped"
DEARER = "kept: the replacement has as many points or more"
NO_POINTS, NO_KIND, NO_LEAVE = "no points told", "kind of group not told", "leave or length not told"
NO_QUESTION = "not told whether the stay is in question"
OTHER_LEAVE = "leave is not the length of the stay, or not of the length that the method is for"
UNSETTLED = (NO_POINTS, NO_KIND, NO_LEAVE, NO_QUESTION)
Approved = Literal["lowest", "highest"]


class DayCare(BaseModel):
    """What stands in place of a stay: times x points + plus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    points: Decimal = Field(ge=0)
    times: int = Field(ge=1)
    plus: Decimal = Field(ge=0)

    @property
    def total(self) -> Decimal:
        """The points of the replacement."""
        return self.points * self.times + self.plus


class LeaveMethod(BaseModel):
    """Stays with leave for their whole length, replaced by day care.

    Attributes:
        medical: in place of a stay of a medical group.
        surgical: in place of a stay of a surgical group.
        leave_days: the length of stay and of leave that the method is for.
        source: the case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    medical: DayCare
    surgical: DayCare
    leave_days: int = Field(ge=1)
    source: str


class Regrouping(BaseModel):
    """The group that stays are moved to, and its points."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drg: str
    points: Decimal = Field(ge=0)
    source: str


class ToRate(BaseModel):
    """Which stays remain approved where a unit is cut to a rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approved: Approved
    source: str


class Methods(BaseModel):
    """The parameters of the public cases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day_care: LeaveMethod
    regroup: Regrouping
    to_rate: ToRate

    @classmethod
    def load(cls, path: str | Path = "methods") -> Methods:
        """The shipped parameters, or those of a file of the same form.

        Raises:
            ConfigurationError: every fault of the file.
        """
        file = find_config("settlement", path)
        return validate(cls, read_yaml(file), where=str(file))


def national_rate(stays: pl.DataFrame) -> Fraction:
    """The share of all stays, of all units together, that are in question.

    Args:
        stays: column is_in_question (nulls are left out of both counts).

    Raises:
        ConfigurationError: no stay tells it.
    """
    told = stays["is_in_question"].drop_nulls()
    if told.is_empty():
        raise ConfigurationError(Problem("no stays to take a national rate from", found="0 stays"))
    return Fraction(int(told.sum()), len(told))


def settle_to_rate(
    stays: pl.DataFrame,
    *,
    units: Sequence[str] | None = None,
    rate: Fraction | None = None,
    approved: Approved = "lowest",
) -> pl.DataFrame:
    """Units above a rate cut to it: so many stays in question stay approved, the others lose their points.

    Of a unit with n stays that tell whether they are in question, round(rate x n) remain approved, ranked by
    points (stays of equal points by stay_id, stays without points last).

    Args:
        stays: stay_id, unit, home_region (nullable), points (nullable: a decimal, a number or text) and
            is_in_question (nullable), one row a stay of the activity that the rate is about.
        units: those that are cut; None means every unit above the rate.
        rate: of stays in question; None means the national mean, `national_rate(stays)`.
        approved: which points come first among those that remain.

    Returns:
        Columns of SETTLED, sorted by stay_id: the rows that are in question, and those that do not tell it.

    **Source:** Avregningsutvalget case 21/4753 (see configs/settlement/methods.yaml).
    """
    limit = national_rate(stays) if rate is None else rate
    told = stays.filter(pl.col("is_in_question").is_not_null())
    sizes = told.group_by("unit").agg(n=pl.len(), k=pl.col("is_in_question").sum()).sort("unit")
    quotas = {
        unit: min(int(k), _rounded(limit * int(n)))
        for unit, n, k in sizes.iter_rows()
        if units is None or unit in units
    }
    chosen = _as_decimals(stays.filter(pl.col("is_in_question").fill_null(value=True)))
    order = ["is_in_question", "points", "stay_id"]
    ranked = chosen.sort(order, descending=[True, approved == "highest", False], nulls_last=True)
    rank = pl.int_range(pl.len()).over("unit")
    quota = pl.col("unit").replace_strict(quotas, default=None, return_dtype=pl.Int64)
    is_kept = quota.is_null() | (rank < quota) | pl.col("is_in_question").is_null()
    outcome = (
        pl.when(pl.col("is_in_question").is_null())
        .then(pl.lit(NO_QUESTION))
        .when("is_kept")
        .then(pl.lit(APPROVED))
        .otherwise(pl.lit(CUT))
    )
    points = pl.when("is_kept").then("points").otherwise(0)
    return _settled(ranked.with_columns(is_kept=is_kept), points, outcome)


def replace_by_day_care(stays: pl.DataFrame, method: LeaveMethod) -> pl.DataFrame:
    """Stays with leave for their whole length, as day care.

    Args:
        stays: stay_id, unit, home_region, points, kind (medical or surgical, nullable), length_days and
            leave_days (nullable).
        method: what stands in place of them.

    Returns:
        Columns of SETTLED, all rows, sorted by stay_id.

    **Source:** Avregningsutvalget case 17/28390.
    """
    points = pl.col("kind").replace_strict(
        {"medical": str(method.medical.total), "surgical": str(method.surgical.total)},
        default=None,
        return_dtype=pl.String,
    )
    is_leave = (pl.col("leave_days") == pl.col("length_days")) & (pl.col("length_days") == method.leave_days)
    why = (
        pl.when(pl.col("leave_days").is_null() | pl.col("length_days").is_null())
        .then(pl.lit(NO_LEAVE))
        .when(~is_leave)
        .then(pl.lit(OTHER_LEAVE))
        .when(points.is_null())
        .then(pl.lit(NO_KIND))
    )
    return _replaced(stays.with_columns(instead=points.cast(POINTS), why=why), REPLACED)


def regroup(stays: pl.DataFrame, method: Regrouping) -> pl.DataFrame:
    """All stays with the points of another group.

    Args:
        stays: stay_id, unit, home_region and points.
        method: the group.

    Returns:
        Columns of SETTLED, sorted by stay_id.

    **Source:** Avregningsutvalget case 17/11400.
    """
    instead = pl.lit(str(method.points)).cast(POINTS)
    return _replaced(stays.with_columns(instead=instead, why=pl.lit(None, pl.String)), REGROUPED)


def sums_of(
    settled: pl.DataFrame, prices: Prices, year: int, *, by: Sequence[str] = (), field: Care = "somatic"
) -> pl.DataFrame:
    """What comes back, in points and NOK, of all stays or of each group of them.

    Args:
        settled: columns of SETTLED.
        prices: whose.
        year: whose price.
        by: columns of SETTLED, such as unit or home_region (`not told` where it is null).
        field: whose price.

    Returns:
        `by` and the columns of SUMS, sorted by `by`. Points add up exactly over any split; each amount is
        rounded on its own.

    Raises:
        NotPricedError: that year and field has no price.
    """
    back = (pl.col("points") - pl.col("settled_points")).cast(POINTS)
    groups = list(by) or ["_all"]
    summed = (
        settled.with_columns(_all=pl.lit(0))
        .with_columns(pl.col(name).fill_null(NOT_TOLD) for name in by)
        .group_by(groups)
        .agg(
            n_stays=pl.len().cast(pl.Int64),
            n_changed=(back > 0).sum().cast(pl.Int64),
            n_unsettled=pl.col("outcome").is_in(UNSETTLED).sum().cast(pl.Int64),
            points=pl.col("points").sum().cast(POINTS),
            points_back=back.sum().cast(POINTS),
        )
    )
    total = summed["points_back"].sum()
    amounts = [prices.refund_nok(points, year, field) for points in summed["points_back"]]
    shares = [float(points / total) if total else None for points in summed["points_back"]]
    return (
        summed.with_columns(
            amount_nok=pl.Series(amounts, dtype=SUMS["amount_nok"]),
            share_back=pl.Series(shares, dtype=pl.Float64),
        )
        .sort(groups)
        .select(*by, *SUMS)
    )


def _replaced(stays: pl.DataFrame, done: str) -> pl.DataFrame:
    """Points of `instead` where they are fewer and nothing speaks against it (`why`)."""
    fewer = pl.col("instead") < pl.col("points")
    outcome = (
        pl.when(pl.col("why").is_not_null())
        .then("why")
        .when(fewer)
        .then(pl.lit(done))
        .otherwise(pl.lit(DEARER))
    )
    is_done = pl.col("why").is_null() & fewer
    return _settled(_as_decimals(stays), pl.when(is_done).then("instead").otherwise("points"), outcome)


def _settled(stays: pl.DataFrame, points: pl.Expr, outcome: pl.Expr) -> pl.DataFrame:
    has_points = pl.col("points").is_not_null()
    return stays.select(
        "stay_id",
        "unit",
        "home_region",
        "points",
        settled_points=pl.when(has_points).then(points).cast(POINTS),
        outcome=pl.when(has_points).then(outcome).otherwise(pl.lit(NO_POINTS)),
    ).sort("stay_id")


def _as_decimals(stays: pl.DataFrame) -> pl.DataFrame:
    """Points as exact decimals; a float counts as the shortest decimal that names it."""
    is_decimal = isinstance(stays.schema["points"], pl.Decimal)
    points = pl.col("points") if is_decimal else pl.col("points").cast(pl.String)
    return stays.with_columns(points=points.cast(POINTS))


def _rounded(number: Fraction) -> int:
    """The nearest whole number, halves up."""
    exact = Decimal(number.numerator) / Decimal(number.denominator)
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
