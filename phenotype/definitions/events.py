"""The criterion `events`: the dataset's events with given codes, values in one unit, texts and roles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_

import numpy as np
import polars as pl

from ontology.errors import PestaError
from ontology.units.conversion import conversion
from ontology.valuesets.sets import in_set
from phenotype.definitions.marks import MARKS, as_marks, as_stored
from phenotype.definitions.nodes import Condition, Events
from phenotype.definitions.record import Record, matching_codes

_CONVERSIONS = pl.Schema(
    {"code": pl.String(), "unit": pl.String(), "factor": pl.Float64(), "offset": pl.Float64()}
)


def event_marks(node: Events, record: Record) -> pl.DataFrame:
    """The marks of `events`, columns of MARKS."""
    return as_marks(event_rows(node, record))


def event_rows(node: Events, record: Record) -> pl.DataFrame:
    """One row an event: columns of MARKS and `text`, in no stated order, equal ones not merged."""
    members = [record.members[name] for name in node.sets]
    plain = matching_codes(node.codes, record.codes) if node.codes else []
    codes = {code for member in members for code in member["code"]}
    rows = record.collected.events[record.collected.rows({*codes, *plain})]
    rows = _in_years(rows, members, plain)
    if node.role is not None:
        named = record.codings.filter(pl.col("role") == node.role)
        rows = rows.join(named, on=["contact_id", "code"], how="semi", maintain_order="left")
    if node.during is not None:
        rows = rows.filter(pl.col(f"{node.during}_id").is_not_null())
    rows = _with_texts(rows, node, record)
    rows = _in_one_unit(rows, node, record, members)
    if node.value is not None:
        rows = rows.filter(pl.col("value").is_not_null() & holds(node.value, "value"))
    times = pl.col("time").alias("start_time"), pl.col("time").alias("end_time")
    evidence = pl.concat_list("event_id").alias("evidence")
    return rows.with_columns(*times, evidence).select(*MARKS.names(), "text")


def holds(condition: Condition | None, column: str) -> pl.Expr:
    """Whether a number is within all bounds of a condition; null numbers give null."""
    value = pl.col(column)
    is_there = value.is_not_null() | pl.lit(value=True)
    bounds = [is_there]
    if condition is not None:
        bounds += [value > condition.above] if condition.above is not None else []
        bounds += [value >= condition.at_least] if condition.at_least is not None else []
        bounds += [value < condition.below] if condition.below is not None else []
        bounds += [value <= condition.at_most] if condition.at_most is not None else []
    return reduce(and_, bounds)


def _in_years(rows: pl.DataFrame, members: Sequence[pl.DataFrame], plain: Sequence[str]) -> pl.DataFrame:
    """Events at times at which their code is in one of the sets."""
    resolved = pl.concat(members) if members else None
    if resolved is None or (resolved["from_time"].is_null() & resolved["to_time"].is_null()).all():
        return rows
    return rows.filter(in_set(resolved) | pl.col("code").is_in(list(plain)))


def _with_texts(rows: pl.DataFrame, node: Events, record: Record) -> pl.DataFrame:
    if not node.text and not node.text_not:
        return rows
    texts = rows.select("text").drop_nulls().unique()
    if node.text:
        texts = texts.filter(pl.any_horizontal(record.sets[name].holds_text("text") for name in node.text))
    for name in node.text_not:
        texts = texts.filter(~record.sets[name].holds_text("text"))
    return rows.join(texts, on="text", how="semi", maintain_order="left")


def _in_one_unit(
    rows: pl.DataFrame, node: Events, record: Record, members: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Values in the condition's unit, else in the one that the value sets declare; null where impossible."""
    declared = {record.sets[name].unit for name in node.sets} - {None}
    wanted = node.value.unit if node.value is not None else None
    if wanted is None and len(declared) == 1:
        wanted = declared.pop()
    if wanted is None or rows["value"].null_count() == rows.height:
        return rows
    table = _conversions(rows.select("code", "unit").unique(), wanted, node, record, members)
    if (table["factor"].eq_missing(1.0) & table["offset"].eq_missing(0.0)).all():
        return rows
    keys = ["code", "unit"]
    with_factors = rows.join(table, on=keys, how="left", maintain_order="left", nulls_equal=True)
    value, factor, offset = (
        with_factors[name].fill_null(float("nan")).to_numpy() for name in ("value", "factor", "offset")
    )
    is_changed = (factor != 1) | (offset != 0)
    converted = np.where(is_changed, as_stored(value * factor + offset), value)
    return rows.with_columns(pl.Series("value", converted).fill_nan(None))


def _conversions(
    pairs: pl.DataFrame, wanted: str, node: Events, record: Record, members: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """How each code's values in each unit come into the wanted unit; columns of _CONVERSIONS."""
    analytes: dict[str, str | None] = {}
    units: dict[str, str] = {}
    for name, member in zip(node.sets, members, strict=True):
        for code, unit in member.select("code", "unit").iter_rows():
            analytes.setdefault(code, record.sets[name].analyte)
            if unit or record.sets[name].unit:
                units.setdefault(code, unit or str(record.sets[name].unit))
    rows: list[tuple[str, str | None, float | None, float | None]] = []
    for code, unit in sorted(pairs.iter_rows(), key=str):
        try:
            found = conversion(unit or units.get(code, wanted), wanted, analytes.get(code))
            rows.append((code, unit, found.factor, found.offset))
        except PestaError:
            rows.append((code, unit, None, None))
    return pl.DataFrame(rows, schema=_CONVERSIONS, orient="row")
