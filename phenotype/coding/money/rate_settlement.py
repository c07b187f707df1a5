"""What flagged rates are worth where a public case tells how they are settled: cut, or moved to a group."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, get_args

import polars as pl

from phenotype.coding.findings import Found
from phenotype.coding.money.settlement import Prices, in_oere
from phenotype.coding.money.settling import Approved
from phenotype.coding.money.suggested_codings import Ways
from phenotype.coding.money.weights import POINTS

NO_RATE = "the rate of the unit is not in the table of rates"


def settled_rates(
    found: Found, units: pl.DataFrame, cases: pl.DataFrame, prices: Prices, ways: Ways
) -> tuple[dict[str, list[Decimal]], dict[str, str]]:
    """The amounts of flagged rates, and why some have none.

    Of the unit's stays that count, so many as were expected remain as they are; the others lose their points
    (`cut`) or keep those of another group (`regrouped`). Which remain is open: the amounts are those with the
    dearest and with the cheapest first.

    Args:
        found: findings, of which unit_rate by the rules that `ways` names are settled.
        units: columns of UNITS.
        cases: contact_id, case_id, year, field, points and reason: what each contact is part of.
        prices: of points.
        ways: measures that are settled.

    Returns:
        finding_id -> its amounts; finding_id -> reason.

    **Source:** Avregningsutvalget cases 21/4753 (cut) and 17/11400 (regrouped).
    """
    asked = found.findings.filter(
        (pl.col("kind") == "unit_rate") & pl.col("rule_id").is_in([*ways.cut, *ways.regrouped])
    )
    rates = units.select("unit_id", "period", "expected", rule_id="measure")
    rows = asked.join(rates, on=["rule_id", "unit_id", "period"], how="left").sort("finding_id")
    about = found.items.join(asked.select("finding_id"), on="finding_id").join(
        cases, on="contact_id", how="left"
    )
    amounts: dict[str, list[Decimal]] = {}
    reasons: dict[str, str] = {}
    for row in rows.iter_rows(named=True):
        own = about.filter(finding_id=row["finding_id"]).unique("case_id")
        told = _amounts(own, row, prices, ways.regrouped)
        if isinstance(told, str):
            reasons[row["finding_id"]] = told
        else:
            amounts[row["finding_id"]] = told
    return amounts, reasons


def _amounts(
    cases: pl.DataFrame, row: Mapping[str, Any], prices: Prices, regrouped: Mapping[str, Decimal]
) -> list[Decimal] | str:
    """What comes back where the dearest remain and where the cheapest do, or why nobody can tell."""
    if row["expected"] is None:
        return NO_RATE
    if why := cases["reason"].drop_nulls().sort().to_list():
        return str(why[0])
    instead = regrouped.get(row["rule_id"], Decimal(0))
    worth: list[Decimal] = []
    for points, year, field in cases.select("points", "year", "field").iter_rows():
        value = prices.point_value_nok(year, field)
        if value is None:
            return f"no confirmed price of {field.replace('_', ' ')} in {year}"
        worth.append(max(points - instead, Decimal(0)) * value)
    n_kept = int(Decimal(str(row["expected"])).quantize(Decimal(1), ROUND_HALF_UP))
    orders: dict[Approved, list[Decimal]] = {
        approved: sorted(worth, reverse=approved == "highest") for approved in get_args(Approved)
    }
    return [in_oere(sum(order[n_kept:], Decimal(0))) for order in orders.values()]


def with_contacts(grouped: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """contact_id and the points of its case, for `settled_rates`.

    Args:
        grouped: columns of GROUPED, as coded.
        points: as `pricing.case_points` gives them.
    """
    return grouped.select("variant", "contact_id", "case_id").join(
        points.with_columns(pl.col("points").cast(POINTS)), on=["variant", "case_id"]
    )
