"""What findings are worth: the refund as coded less that as suggested, as a range over the alternatives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import polars as pl

from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.findings import FINDINGS, Found
from phenotype.coding.money.grouper import AS_CODED, NOT_REGROUPED, Grouper
from phenotype.coding.money.rate_settlement import settled_rates, with_contacts
from phenotype.coding.money.settlement import Care, Prices, in_oere
from phenotype.coding.money.suggested_codings import SuggestedCodings, Ways, suggested_codings
from phenotype.coding.money.weights import FAULTS, POINTS, Weights

NO_PRICE = "no confirmed price of {} in {}"
_CASE = ["variant", "case_id"]


@dataclass(frozen=True)
class Priced:
    """Findings with amounts.

    Attributes:
        found: the findings, amounts filled where they could be priced.
        unpriced: columns of FAULTS: findings without an amount, by reason.
    """

    found: Found
    unpriced: pl.DataFrame


def price_findings(
    found: Found,
    record: CodedRecord,
    grouper: Grouper,
    weights: Weights,
    prices: Prices,
    *,
    ways: Ways | None = None,
    units: pl.DataFrame | None = None,
) -> Priced:
    """The findings with what the payer would get back (negative: would owe).

    An amount is the refund of the touched stays as coded less their refund as suggested. Where a finding has
    several alternatives (see `suggested_codings`), amount_low_nok is the least of them and amount_high_nok
    the greatest; where it names codes without saying what should stand there, that nothing changes is one of
    them. A finding of which any alternative cannot be priced keeps null.

    Args:
        found: the findings.
        record: whose.
        grouper: the user's output, or the toy in the simulated hospital.
        weights: points of groups, where the grouper tells none.
        prices: of points.
        ways: rules and measures that are priced without codes; None: the shipped ones.
        units: columns of UNITS, by which flagged rates are settled (see `settled_rates`); None: they are not.
    """
    chosen = ways or Ways.load()
    suggested = suggested_codings(found, record, chosen)
    changes = _changes(suggested, record, grouper, weights, prices)
    ranges, without = _ranges(changes, suggested.variants, prices)
    if units is not None:
        rates, unsettled = settled_rates(
            found, units, _cases_as_coded(found, record, grouper, weights, prices), prices, chosen
        )
        ranges, without = ranges | rates, without | unsettled
    amounts, reasons = _amounts(ranges, without, suggested.without)
    findings = (
        found.findings.drop("amount_low_nok", "amount_high_nok")
        .join(amounts, on="finding_id", how="left")
        .select(pl.col(name).cast(dtype) for name, dtype in FINDINGS.items())
        .sort("finding_id")
    )
    unpriced = reasons.group_by("reason").agg(n=pl.len().cast(pl.Int64)).select(list(FAULTS)).sort("reason")
    return Priced(replace(found, findings=findings), unpriced)


def case_points(
    grouped: pl.DataFrame, contacts: pl.DataFrame, weights: Weights, mental_health_contacts: pl.Series
) -> pl.DataFrame:
    """The points of cases.

    Args:
        grouped: columns of GROUPED.
        contacts: columns of CODED_CONTACTS and variant.
        weights: points of groups, where the grouper tells none.
        mental_health_contacts: contact_ids of mental health care and addiction treatment.

    Returns:
        variant, case_id, drg, year, field, points and reason (null where there are points); sorted.
    """
    days = (pl.col("end_time").max().dt.date() - pl.col("start_time").min().dt.date()).dt.total_days()
    is_mental = pl.col("contact_id").is_in(mental_health_contacts.implode())
    cases = (
        grouped.join(contacts, on=["variant", "contact_id"])
        .sort("variant", "case_id", "contact_id")
        .group_by(_CASE, maintain_order=True)
        .agg(
            pl.col("drg").drop_nulls().first(),
            pl.col("year").max(),
            why=pl.col("reason").drop_nulls().first(),
            told=pl.col("points").max(),
            days=days,
            field=pl.when(is_mental.any()).then(pl.lit("mental_health")).otherwise(pl.lit("somatic")),
        )
    )
    weighed = weights.points(cases.with_columns(drg=pl.col("drg").str.to_uppercase()))
    return (
        weighed.with_columns(
            points=pl.coalesce("told", "points").cast(POINTS),
            reason=pl.when(pl.col("told").is_null()).then(pl.coalesce("why", "reason")),
        )
        .with_columns(points=pl.when(pl.col("reason").is_null()).then("points"))
        .select(*_CASE, "drg", "year", "field", "points", "reason")
        .sort(_CASE)
    )


def _changes(
    suggested: SuggestedCodings, record: CodedRecord, grouper: Grouper, weights: Weights, prices: Prices
) -> pl.DataFrame:
    """Points as coded less points as suggested: variant, year, field, points, reason."""
    touched = suggested.contacts["contact_id"].unique()
    coded = pl.lit(AS_CODED).alias("variant")
    contacts = record.contacts.filter(pl.col("contact_id").is_in(touched.implode())).with_columns(coded)
    codes = record.codes.filter(pl.col("contact_id").is_in(touched.implode())).with_columns(coded)
    before = grouper.grouped(contacts, codes)
    after = _completed(grouper.grouped(suggested.contacts, suggested.codes), before, suggested.contacts)
    mental = _mental_health(record, prices)
    as_coded = case_points(before, contacts, weights, mental)
    as_suggested = case_points(after, suggested.contacts, weights, mental)
    belongs = (
        suggested.contacts.select("variant", "contact_id")
        .join(before.select("contact_id", "case_id"), on="contact_id")
        .select(_CASE)
        .unique()
        .join(as_coded.drop("variant"), on="case_id")
    )
    gone = as_suggested.with_columns(points=(-pl.col("points")).cast(POINTS))
    columns = ["variant", "year", "field", "points", "reason"]
    return (
        pl.concat([belongs.select(columns), gone.select(columns)])
        .group_by("variant", "year", "field")
        .agg(pl.col("points").sum().cast(POINTS), pl.col("reason").drop_nulls().min())
        .sort("variant", "year", "field", nulls_last=True)
    )


def _completed(after: pl.DataFrame, before: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Groups of variants; contacts that a variant leaves as they are keep theirs where it tells none."""
    key = ["variant", "contact_id"]
    untouched = contacts.filter(~pl.col("is_touched")).select(key)
    missing = after.filter(pl.col("reason") == NOT_REGROUPED).join(untouched, on=key, how="semi")
    filled = missing.select(key).join(before.drop("variant"), on="contact_id").select(before.columns)
    return pl.concat([after.join(missing, on=key, how="anti"), filled])


def _ranges(
    changes: pl.DataFrame, variants: pl.DataFrame, prices: Prices
) -> tuple[dict[str, list[Decimal]], dict[str, str]]:
    """finding_id -> the amounts of its alternatives; finding_id -> why it has none."""
    values: dict[str, Decimal] = {}
    why: dict[str, str] = {}
    for variant, year, field, points, reason in changes.iter_rows():
        value = _value(prices, year, field)
        if reason or value is None:
            why.setdefault(variant, reason or NO_PRICE.format(field.replace("_", " "), year))
        else:
            values[variant] = values.get(variant, Decimal(0)) + points * value
    ranges: dict[str, list[Decimal]] = {}
    without: dict[str, str] = {}
    for variant, finding, may_stand in variants.iter_rows():
        if variant in why:
            without.setdefault(finding, why[variant])
        amounts = [in_oere(values.get(variant, Decimal(0)))]
        ranges.setdefault(finding, []).extend([*amounts, Decimal(0)] if may_stand else amounts)
    return {finding: told for finding, told in ranges.items() if finding not in without}, without


def _amounts(
    ranges: dict[str, list[Decimal]], without: dict[str, str], no_variant: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """finding_id with its range of amounts; finding_id and reason of those that have none."""
    reasons = {
        finding: reason for finding, reason in no_variant.iter_rows() if finding not in ranges
    } | without
    return (
        pl.DataFrame(
            {
                "finding_id": list(ranges),
                "amount_low_nok": [float(min(amounts)) for amounts in ranges.values()],
                "amount_high_nok": [float(max(amounts)) for amounts in ranges.values()],
            },
            schema={name: FINDINGS[name] for name in ("finding_id", "amount_low_nok", "amount_high_nok")},
        ),
        pl.DataFrame(
            {"finding_id": list(reasons), "reason": list(reasons.values())},
            schema={"finding_id": pl.String, "reason": pl.String},
        ),
    )


def _cases_as_coded(
    found: Found, record: CodedRecord, grouper: Grouper, weights: Weights, prices: Prices
) -> pl.DataFrame:
    """What each contact that findings are about, and the rest of its stay, is part of and worth, as coded."""
    asked = found.findings.filter(pl.col("kind") == "unit_rate").select("finding_id")
    about = found.items.join(asked, on="finding_id").select("contact_id").unique()
    stays = record.contacts.join(about, on="contact_id", how="semi").select("stay_id").unique()
    contacts = record.contacts.join(stays, on="stay_id", how="semi", nulls_equal=True)
    coded = pl.lit(AS_CODED).alias("variant")
    codes = record.codes.join(contacts, on="contact_id", how="semi").with_columns(coded)
    grouped = grouper.grouped(contacts.with_columns(coded), codes)
    points = case_points(grouped, contacts.with_columns(coded), weights, _mental_health(record, prices))
    return with_contacts(grouped, points)


def _mental_health(record: CodedRecord, prices: Prices) -> pl.Series:
    """The contacts of mental health care and addiction treatment."""
    return record.facts.filter(
        (pl.col("fact") == "specialty") & pl.col("value").is_in(list(prices.mental_health_specialties))
    )["contact_id"]


def _value(prices: Prices, year: int | None, field: Care) -> Decimal | None:
    return None if year is None else prices.point_value_nok(year, field)
