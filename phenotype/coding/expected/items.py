"""Which contact and code a doubt about a stay is about, and what should stand there."""

from __future__ import annotations

import polars as pl

ITEM_COLUMNS = ("doubt", "contact_id", "group_no", "code_no", "code", "suggested_code")


def items_of(doubts: pl.DataFrame, codes: pl.DataFrame, last_contacts: pl.DataFrame) -> pl.DataFrame:
    """What each doubt is about: ITEM_COLUMNS, at least one row a doubt.

    Args:
        doubts: doubt (a number), kind, stay_id, subject_id, concept.
        codes: columns of `expected_groups.GROUPED_CODES` and subject_id, all stays.
        last_contacts: stay_id, contact_id of the contact that ended last.
    """
    parts = [
        _missing(doubts.filter(pl.col("kind") == "missing"), codes, last_contacts),
        _own_codes(doubts.filter(pl.col("kind") == "unsupported"), codes, ~pl.col("is_main")),
        _main(doubts.filter(pl.col("kind") == "main_condition"), codes),
        _unspecific(doubts.filter(pl.col("kind") == "unspecific"), codes),
    ]
    return pl.concat([part.select(ITEM_COLUMNS) for part in parts]).sort(
        "doubt", "contact_id", "group_no", "code_no", "code", nulls_last=True
    )


def suggested(doubts: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """The group's code that the patient has most often elsewhere, else all patients: doubt, suggested_code.

    Args:
        doubts: doubt, stay_id, subject_id, concept.
        codes: code, concept, stay_id and subject_id of those that may be suggested.
    """
    order = ["doubt", "n", "code"]
    everywhere = codes.group_by("concept", "code").agg(n=pl.len())
    common = (
        everywhere.sort("concept", "n", "code", descending=[False, True, False])
        .unique("concept", keep="first", maintain_order=True)
        .select("concept", _common="code")
    )
    elsewhere = (
        doubts.join(codes.rename({"stay_id": "_stay"}), on=["subject_id", "concept"], how="inner")
        .filter(pl.col("_stay") != pl.col("stay_id"))
        .group_by("doubt", "code")
        .agg(n=pl.len())
        .sort(order, descending=[False, True, False])
        .unique("doubt", keep="first", maintain_order=True)
        .select("doubt", _own="code")
    )
    return (
        doubts.select("doubt", "concept")
        .join(elsewhere, on="doubt", how="left")
        .join(common, on="concept", how="left")
        .select("doubt", suggested_code=pl.coalesce("_own", "_common"))
    )


def _missing(doubts: pl.DataFrame, codes: pl.DataFrame, last_contacts: pl.DataFrame) -> pl.DataFrame:
    return (
        doubts.join(last_contacts, on="stay_id", how="left")
        .join(suggested(doubts, codes), on="doubt", how="left")
        .with_columns(
            group_no=pl.lit(None, pl.Int32), code_no=pl.lit(None, pl.Int32), code=pl.lit(None, pl.String)
        )
    )


def _own_codes(doubts: pl.DataFrame, codes: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    return (
        doubts.select("doubt", "stay_id", "concept")
        .join(codes.filter(which).drop("subject_id"), on=["stay_id", "concept"], how="inner")
        .with_columns(suggested_code=pl.lit(None, pl.String))
    )


def _main(doubts: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    """The main codes as they stand; in their place the group's code of the stay, else the likeliest one."""
    in_stay = (
        doubts.select("doubt", "stay_id", "concept")
        .join(codes, on=["stay_id", "concept"], how="inner")
        .sort("doubt", "code")
        .unique("doubt", keep="first", maintain_order=True)
        .select("doubt", _there="code")
    )
    mains = codes.filter("is_main")
    stand = mains.select("stay_id", "contact_id", "group_no", "code_no", "code").sort("contact_id", "code_no")
    first = stand.unique(["contact_id"], keep="first", maintain_order=True)
    return (
        doubts.join(first, on="stay_id", how="inner")
        .join(suggested(doubts, mains), on="doubt", how="left")
        .join(in_stay, on="doubt", how="left")
        .with_columns(suggested_code=pl.coalesce("_there", "suggested_code"))
    )


def _unspecific(doubts: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
    return (
        _own_codes(doubts, codes, pl.col("is_unspecific"))
        .drop("suggested_code")
        .join(suggested(doubts, codes.filter(~pl.col("is_unspecific"))), on="doubt", how="left")
    )
