"""Groupers: what gives each case its DRG. The user's grouper output is read; none is shipped but a toy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from ontology.codesystems.code_tables import Column, read_table
from ontology.errors import InputError, Problem
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.money.weights import FAULTS, POINTS

AS_CODED = ""
"""The variant of a case as it is coded."""
GROUPED = pl.Schema(
    {
        "variant": pl.String(),
        "contact_id": pl.Int64(),
        "case_id": pl.String(),
        "drg": pl.String(),
        "points": POINTS,
        "reason": pl.String(),
    }
)
"""variant: AS_CODED, or the name of another way to code; case_id: what is paid as one, within a variant; drg:
null where there is none, and reason says why; points: where the grouper tells them itself, else null."""
NOT_IN_OUTPUT = "not in the grouper's output"
NOT_REGROUPED = "the suggested coding is not in the grouper's output"
SEVERAL = "several groups in the grouper's output"
_SOURCE_COLUMNS = (
    Column("variant", ("variant", "finding", "alternative")),
    Column("contact_id", ("contact_id", "contact", "kontakt_id"), is_required=True),
    Column("case_id", ("case_id", "case", "opphold")),
    Column("drg", ("drg", "drg_code", "drg-kode"), is_required=True),
    Column("points", ("points", "korrvekt", "corrected points", "korrigerte poeng", "isf-poeng")),
)


class Grouper(Protocol):
    """Gives the DRG of contacts, as coded and as they might be coded."""

    @property
    def name(self) -> str:
        """What a reader is told about who grouped."""
        ...

    def grouped(self, contacts: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
        """The group of each contact.

        Args:
            contacts: columns of CODED_CONTACTS and `variant`.
            codes: columns of CODES and `variant`: the codes of these contacts in each variant.

        Returns:
            Columns of GROUPED, one row a contact and variant, sorted by both.
        """
        ...


@dataclass(frozen=True)
class GrouperOutput:
    """What the user's own grouper told: of the coding as it is, and, where it was run again, of suggestions.

    Attributes:
        table: columns of GROUPED; at most one row a contact and variant.
        name: of the grouper.
        faults: columns of FAULTS: rows of the output that are not used (or used without a part), by reason.
    """

    table: pl.DataFrame
    name: str = "the user's grouper output"
    faults: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FAULTS))

    @classmethod
    def load(cls, path: Path, contact_ids: Mapping[str, int] | None = None) -> GrouperOutput:
        """The output that a table holds.

        Args:
            path: columns contact_id and drg; case_id, points and variant where they are told. Rows without a
                variant are the coding as it is; a variant is named as `to_regroup` names it.
            contact_ids: the dataset's contact of each identifier of the table; None: they are the dataset's.

        Raises:
            InputError: no such table, a column is missing, or no row names a contact.
        """
        rows = read_table(path, _SOURCE_COLUMNS)
        number = (
            pl.col("contact_id").cast(pl.Int64, strict=False)
            if contact_ids is None
            else pl.col("contact_id").replace_strict(contact_ids, default=None, return_dtype=pl.Int64)
        )
        read = rows.with_columns(number, points_told=pl.col("points").is_not_null(), points=_points())
        if read["contact_id"].null_count() == read.height:
            raise InputError(
                Problem(
                    "no row of the grouper's output names a contact",
                    where=f"{path.name}: contact_id",
                    found=f"{read.height:,} rows without a contact_id that can be read",
                    allowed="the numbers that contacts.parquet gives to contacts",
                    next_step="give the output the dataset's contact_id, or choose another table",
                )
            )
        return cls(_once(read), f"grouper output {path.name}", _faults(read))

    @classmethod
    def of_record(cls, record: CodedRecord) -> GrouperOutput:
        """The groups (and points) that the record tells of its contacts, facts `drg` and `points`."""
        told = record.facts.filter(pl.col("fact").is_in(["drg", "points"]))
        drg = told.filter(fact="drg").select("contact_id", drg="value")
        points = (
            told.filter(fact="points")
            .group_by("contact_id")
            .agg(points=pl.col("number").unique())
            .filter(pl.col("points").list.len() == 1)
            .select("contact_id", pl.col("points").list.first().cast(pl.String).cast(POINTS))
        )
        rows = drg.join(points, on="contact_id", how="left").with_columns(
            variant=pl.lit(None, pl.String), case_id=pl.lit(None, pl.String)
        )
        return cls(_once(rows), "groups that the record tells")

    def grouped(self, contacts: pl.DataFrame, codes: pl.DataFrame) -> pl.DataFrame:
        """What the table tells of each contact and variant; the codes are not read."""
        why = (
            pl.when(pl.col("variant") == AS_CODED)
            .then(pl.lit(NOT_IN_OUTPUT))
            .otherwise(pl.lit(NOT_REGROUPED))
        )
        own_case = pl.format("contact {}", "contact_id")
        return (
            contacts.select("variant", "contact_id")
            .join(self.table, on=["variant", "contact_id"], how="left")
            .with_columns(
                case_id=pl.coalesce("case_id", own_case),
                reason=pl.when(pl.col("drg").is_null()).then(pl.coalesce("reason", why)),
            )
            .select(list(GROUPED))
            .sort("variant", "contact_id")
        )


def _points() -> pl.Expr:
    """Points of 0 or more; a decimal comma is understood, anything else is null."""
    points = pl.col("points").str.replace(r"^(-?\d+),(\d+)$", "$1.$2").cast(POINTS, strict=False)
    return pl.when(points >= 0).then(points)


def _faults(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns of FAULTS: what of the rows of an output cannot be used."""
    has_contact = pl.col("contact_id").is_not_null()
    why = {
        "a row whose contact_id is none of a dataset": ~has_contact,
        "a row without a group": has_contact & pl.col("drg").is_null(),
        "points that are no number of 0 or more": has_contact
        & pl.col("points_told")
        & pl.col("points").is_null(),
    }
    counts = [(reason, rows.filter(is_so).height) for reason, is_so in why.items()]
    return pl.DataFrame([one for one in counts if one[1]], schema=FAULTS, orient="row").sort("reason")


def as_coded(record: CodedRecord, grouper: Grouper) -> pl.DataFrame:
    """Columns of GROUPED: the groups of all contacts of a record as they are coded."""
    variant = pl.lit(AS_CODED).alias("variant")
    return grouper.grouped(record.contacts.with_columns(variant), record.codes.with_columns(variant))


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """Columns of GROUPED with one row a contact and variant; contradictions have no group and say so."""
    return (
        rows.filter(pl.col("contact_id").is_not_null())
        .with_columns(variant=pl.col("variant").fill_null(AS_CODED))
        .group_by("variant", "contact_id")
        .agg(
            pl.col("case_id").drop_nulls().min(),
            pl.col("drg").drop_nulls().unique().sort(),
            pl.col("points").drop_nulls().unique().sort(),
        )
        .with_columns(is_clear=(pl.col("drg").list.len() == 1) & (pl.col("points").list.len() <= 1))
        .select(
            "variant",
            "contact_id",
            "case_id",
            drg=pl.when("is_clear").then(pl.col("drg").list.first()),
            points=pl.when("is_clear").then(pl.col("points").list.first()).cast(POINTS),
            reason=pl.when(pl.col("drg").list.len() > 1).then(pl.lit(SEVERAL)),
        )
        .sort("variant", "contact_id")
    )
