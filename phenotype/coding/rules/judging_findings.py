"""What breaks a rule as findings: one a contact, code or group, with what explains it and the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from phenotype.coding.findings import FINDING_ITEMS, FINDING_REASONS, FINDINGS, Found, with_finding_ids
from phenotype.coding.rules.judging_neighbours import NOBODY
from phenotype.coding.rules.judging_record import Bools, Ints, JudgedRecord

if TYPE_CHECKING:
    from phenotype.coding.rules.judging import Verdict


def findings_of(verdict: Verdict, record: JudgedRecord, listed: pl.DataFrame | None) -> Found:
    """The findings of one rule.

    Args:
        verdict: what the rule says; some contact breaks it.
        record: what was judged.
        listed: coding, replaced_by and told, where the rule suggests by the list.
    """
    rule = verdict.rule
    about = _about(verdict, record, listed)
    whole = _without_codes(verdict, record, about)
    partners = _partners(verdict, record, pl.concat([about, whole]))
    with_ids = with_finding_ids(
        pl.concat([about, whole, partners]).with_columns(rule_id=pl.lit(rule.id), kind=pl.lit("rule")), "key"
    )
    keys = with_ids.select("key", "finding_id", "row", "is_own").filter("is_own").unique("key")
    evidence = _evidence(verdict, record, keys)
    findings = (
        keys.join(evidence, on="key", how="left")
        .join(_of_contacts(verdict, record), on="row", how="left")
        .with_columns(
            rule_id=pl.lit(rule.id),
            rule_version=pl.lit(rule.version),
            kind=pl.lit("rule"),
            severity=pl.lit(rule.severity),
            title=pl.lit(rule.title),
            amount_low_nok=pl.lit(None, pl.Float64),
            amount_high_nok=pl.lit(None, pl.Float64),
            evidence=pl.col("evidence").fill_null(pl.lit([], pl.List(pl.Int64))),
            source=pl.lit("; ".join(rule.sources)),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in FINDINGS.items())
        .sort("finding_id")
    )
    items = with_ids.select(pl.col(name).cast(dtype) for name, dtype in FINDING_ITEMS.items())
    order = ["finding_id", "contact_id", "group_no", "code_no", "code"]
    return Found(findings, items.unique().sort(order, nulls_last=True), _reasons(verdict, findings, with_ids))


def _about(verdict: Verdict, record: JudgedRecord, listed: pl.DataFrame | None) -> pl.DataFrame:
    """The codes that the findings are about: key, row and the columns of items."""
    rule, found = verdict.rule, verdict.hits.codings
    empty = np.zeros(len(record.row), np.bool_)
    mask = empty if found is None else found & verdict.is_broken[record.row]
    numbers = np.flatnonzero(mask)
    keys = {"contact": record.row, "code": np.arange(len(mask)), "group": record.group}[rule.per]
    codings = record.codings[numbers].with_columns(
        key=pl.Series(keys[numbers]), coding=pl.Series(numbers), is_own=pl.lit(value=True)
    )
    suggested = pl.lit(None, pl.String)
    if rule.suggestion.codes:
        suggested = pl.col("code").replace_strict(rule.suggestion.codes, default=None, return_dtype=pl.String)
    told = pl.lit(None, pl.String)
    if listed is not None:
        codings = codings.join(listed, on="coding", how="left", maintain_order="left")
        suggested, told = pl.coalesce(suggested, "replaced_by"), pl.col("told")
    return codings.select(
        "key",
        "row",
        "is_own",
        "contact_id",
        "group_no",
        "code_no",
        "code",
        suggested_code=suggested,
        told=told,
    )


def told_by_lists(outside: pl.DataFrame) -> pl.DataFrame:
    """What lists say of the codings that they do not hold.

    Args:
        outside: coding and the columns of `ontology.validity.FINDINGS`.

    Returns:
        coding, replaced_by (null where there are several) and told, in words.
    """
    end = (
        pl.when(pl.col("valid_to").is_null())
        .then(pl.lit("on"))
        .otherwise("to " + pl.col("valid_to").cast(pl.String))
    )
    begin = pl.coalesce("from " + pl.col("valid_from").cast(pl.String), pl.lit("from the beginning"))
    nearest = pl.coalesce("; nearest above it is " + pl.col("concept"), pl.lit(""))
    is_one = ~pl.col("replaced_by").str.contains(", ", literal=True)
    return outside.unique("coding", keep="first").select(
        "coding",
        replaced_by=pl.when(is_one).then("replaced_by"),
        told=pl.when(pl.col("kind") == "outside_years")
        .then(pl.format("The list holds the code {} {}, not on this day.", begin, end))
        .otherwise(pl.format("No list of the system holds the code{}.", nearest)),
    )


def _without_codes(verdict: Verdict, record: JudgedRecord, about: pl.DataFrame) -> pl.DataFrame:
    """The contacts that break the rule without a code of their own in it, as items of their own."""
    rows = np.flatnonzero(verdict.is_broken)
    left = rows[~np.isin(rows, about["row"].to_numpy())]
    keys = left if verdict.rule.per == "contact" else -1 - left
    return _contact_items(record, keys, left, is_own=True)


def _partners(verdict: Verdict, record: JudgedRecord, items: pl.DataFrame) -> pl.DataFrame:
    """The other contacts that findings are about."""
    own = items.select("key", "row").unique()
    if verdict.hits.partner is None or not verdict.rule.about_both:
        return _contact_items(record, np.array([], np.int64), np.array([], np.int64), is_own=False)
    partner = verdict.hits.partner[own["row"].to_numpy()]
    there = partner != NOBODY
    return _contact_items(record, own["key"].to_numpy()[there], partner[there], is_own=False)


def _contact_items(record: JudgedRecord, keys: Ints, rows: Ints, *, is_own: bool) -> pl.DataFrame:
    nothing = {
        "group_no": pl.Int32(), "code_no": pl.Int32(), "code": pl.String(), "suggested_code": pl.String(),
        "told": pl.String(),
    }  # fmt: skip
    return pl.DataFrame(
        {"key": keys, "row": rows, "is_own": np.full(len(rows), is_own)},
        schema={"key": pl.Int64, "row": pl.Int64, "is_own": pl.Boolean},
    ).with_columns(
        contact_id=record.contacts["contact_id"].gather(rows),
        **{name: pl.lit(None, dtype) for name, dtype in nothing.items()},
    )


def _evidence(verdict: Verdict, record: JudgedRecord, keys: pl.DataFrame) -> pl.DataFrame:
    """What the findings rest on: key, evidence."""
    mask: Bools | None = verdict.hits.evidence
    if mask is None:
        return pl.DataFrame(schema={"key": pl.Int64, "evidence": pl.List(pl.Int64)})
    mask = mask & verdict.is_broken[record.row]
    seen = record.codings.filter(pl.Series(mask)).select("row", "lineage_id").drop_nulls()
    if verdict.rule.per == "code":
        own = keys.select("key").filter(pl.col("key") >= 0)
        lineage = record.codings["lineage_id"].gather(own["key"])
        return own.with_columns(evidence=pl.concat_list(lineage)).filter(lineage.is_not_null())
    if verdict.rule.per == "group":
        groups = pl.Series("key", record.group)
        mine = record.codings.with_columns(groups).filter(pl.Series(mask)).select("key", "lineage_id")
        return mine.drop_nulls().group_by("key").agg(pl.col("lineage_id").unique().sort().alias("evidence"))
    lists = seen.group_by("row").agg(pl.col("lineage_id").unique().sort().alias("evidence"))
    return keys.select("key", "row").join(lists, on="row").select("key", "evidence")


def _of_contacts(verdict: Verdict, record: JudgedRecord) -> pl.DataFrame:
    """row, unit_id, period, probability and innocent_explanations of the contacts that break the rule."""
    rows = np.flatnonzero(verdict.is_broken)
    probability = np.full(len(rows), verdict.rule.prior.mean)
    weaker = [one for one in verdict.rule.explanations if one.prior is not None]
    names = []
    for explanation in weaker:
        assert explanation.prior is not None  # noqa: S101 - told by the line above
        holds = verdict.held[explanation.name][rows]
        probability = np.where(holds, np.minimum(probability, explanation.prior.mean), probability)
        names.append(pl.select(pl.when(pl.Series(holds)).then(pl.lit(explanation.name))).to_series())
    held = (
        pl.DataFrame([name.alias(str(n)) for n, name in enumerate(names)])
        .select(pl.concat_list(pl.all()).list.drop_nulls())
        .to_series()
        if names
        else pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, len(rows))
    )
    contacts = record.contacts[rows]
    return pl.DataFrame(
        {
            "row": rows,
            "unit_id": contacts["unit"],
            "period": contacts["year"].cast(pl.String).fill_null("?"),
            "probability": probability,
            "innocent_explanations": held,
        }
    )


def _reasons(verdict: Verdict, findings: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Why: what the rule says, what it suggests, and what the list says of the code."""
    rule = verdict.rule
    of_findings = (
        items.sort("code", "told")
        .group_by("finding_id")
        .agg(pl.col("code").drop_nulls().first().alias("concept"), pl.col("told").drop_nulls().first())
    )
    texts = pl.DataFrame({"rank": [1, 2, 3], "text": [rule.says, rule.suggestion.text, None]})
    return (
        findings.select("finding_id", "evidence")
        .join(of_findings, on="finding_id", how="left")
        .join(texts, how="cross")
        .with_columns(pl.coalesce("text", "told").alias("text"), contribution=pl.lit(None, pl.Float64))
        .filter(pl.col("text").is_not_null())
        .select(pl.col(name).cast(dtype) for name, dtype in FINDING_REASONS.items())
        .sort("finding_id", "rank")
    )
