"""Source rows made ready: nulls, cleaning, duplicates, filters, joins, derived columns, subjects."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipelines.sources.accounting import Ledger
from pipelines.sources.cells import as_written, cleaned, condition_expr, text_expr, text_of
from pipelines.sources.context import UNKNOWN_SUBJECT, Context
from pipelines.sources.fields import Condition
from pipelines.sources.mapping import Join, Table

TOO_MANY_FIELDS = "too many fields"
DUPLICATE = "duplicate row"
AMBIGUOUS = "one id, different facts"
PERSON_NUMBER_DIGITS = 11
LARGE_LOOKUP = 200_000
"""Rows of a joined table above which only those are looked at that a frame of rows wants."""
SENT = "_sent:"
"""Prefix of the columns that keep what was sent where the mapping cleans a column."""


class SeenRows:
    """Fingerprints of the rows of a table read so far, so that a repeated row is found in a later frame."""

    def __init__(self) -> None:
        self._seen = pl.Series([], dtype=pl.UInt64)

    def repeated(self, rows: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
        """Which rows are wholly equal to an earlier one in these columns."""
        marks = rows.select(columns).hash_rows(seed=11)
        is_repeated = pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
        if marks.n_unique() < marks.len():
            is_repeated = ~rows.select(pl.struct(columns).is_first_distinct()).to_series()
        if self._seen.len():
            is_repeated |= marks.is_in(self._seen.implode())
        self._seen = pl.concat([self._seen, marks.filter(~is_repeated)])
        return is_repeated


def prepare(
    table: Table, raw: pl.DataFrame, context: Context, ledger: Ledger, seen: SeenRows
) -> pl.DataFrame:
    """The rows that go on to become something, each with `_index` (its position in the ledger).

    Args:
        table: what the mapping says.
        raw: rows as read, with _file_no, _row and _more.
        context: lookups, pseudonyms and known subjects.
        ledger: told of every row that is left out.
        seen: rows of earlier frames of the table.
    """
    columns = [name for name in raw.columns if not name.startswith("_")]
    rows = raw.with_row_index("_index")
    rows = _without_malformed(table, rows, columns, ledger, seen)
    rows = _with_nulls(table, rows)
    rows = keep_where(rows, table.filter, ledger)
    for join in table.joins:
        rows = _joined(rows, join, context, ledger)
    for name, cases in table.derive.items():
        rows = rows.with_columns(text_expr(rows, cases).alias(name))
    if table.subject:
        rows = context.with_subjects(rows, table.subject, ledger, "subject")
    if table.contact:
        ids = rows.select(_t=text_expr(rows, table.contact).cast(pl.String), _n="_index")["_t"]
        rows = rows.with_columns(context.pseudonyms.of("contact", ids).alias("_contact"))
    return rows


def keep_where(rows: pl.DataFrame, conditions: Sequence[Condition], ledger: Ledger) -> pl.DataFrame:
    """The rows that pass all conditions; those that fail a named one are ignored under its name."""
    for condition in conditions:
        passed = rows.select(condition_expr(rows, condition)).to_series()
        if not passed.all():
            if condition.name:
                ledger.ignore(rows["_index"].filter(~passed), condition.name)
            rows = rows.filter(passed)
    return rows


def _without_malformed(
    table: Table, rows: pl.DataFrame, columns: list[str], ledger: Ledger, seen: SeenRows
) -> pl.DataFrame:
    is_blank = rows.select(pl.all_horizontal(pl.col(columns).is_null())).to_series()
    if is_blank.any():
        ledger.ignore(rows["_index"].filter(is_blank), "blank line")
    if rows["_more"].any():
        ledger.reject(rows["_index"].filter(rows["_more"]), "", TOO_MANY_FIELDS)
    if is_blank.any() or rows["_more"].any():
        rows = rows.filter(~is_blank & ~rows["_more"])
    if table.duplicates == "reject" and rows.height:
        is_repeated = seen.repeated(rows, columns if table.unique else [*columns, "_file_no"])
        if is_repeated.any():
            ledger.reject(rows["_index"].filter(is_repeated), "", DUPLICATE)
            rows = rows.filter(~is_repeated)
    if table.unique and rows.height:
        is_ambiguous = rows.select(pl.struct(table.unique).is_duplicated()).to_series()
        if is_ambiguous.any():
            ledger.reject(rows["_index"].filter(is_ambiguous), ",".join(table.unique), AMBIGUOUS)
            rows = rows.filter(~is_ambiguous)
    return rows


def _with_nulls(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Null markers taken out (text files lost the table's own when they were read) and columns cleaned."""
    changed = []
    for name, dtype in rows.schema.items():
        column = table.columns.get(name)
        own = column.null_values if column else ()
        markers = own if dtype == pl.String and not name.startswith("_") else (*table.null_values, *own)
        if name.startswith("_") or (not markers and not (column and column.clean)):
            continue
        cell = _without_markers(pl.col(name), dtype, markers)
        if column and column.clean:
            changed.append(pl.col(name).alias(SENT + name))
            text = cell if dtype == pl.String else text_of(rows, name)
            if dtype.is_integer() and "person_number" in column.clean:
                text = text.str.zfill(PERSON_NUMBER_DIGITS)  # a number loses its leading zero
            cell = cleaned(text, column.clean)
        changed.append(cell.alias(name))
    return rows.with_columns(changed) if changed else rows


def _without_markers(cell: pl.Expr, dtype: pl.DataType, markers: Sequence[str]) -> pl.Expr:
    if not markers:
        return cell
    if dtype.is_numeric():
        numbers = [number for number in map(_number, markers) if number is not None]
        return pl.when(~cell.cast(pl.Float64).is_in(numbers)).then(cell) if numbers else cell
    is_marker = as_written(cell, markers).is_in(list(markers))
    return pl.when(~is_marker).then(cell) if dtype == pl.String else cell


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _joined(rows: pl.DataFrame, join: Join, context: Context, ledger: Ledger) -> pl.DataFrame:
    keys = [f"_key{index}" for index in range(len(join.by))]
    rows = rows.with_columns(text_of(rows, here).alias(key) for key, here in zip(keys, join.by, strict=True))
    partners = _partners(join, context, rows.select(keys))
    rows = rows.join(partners, on=keys, how="left", maintain_order="left").drop(keys)
    if join.miss == "reject" and rows["_found"].null_count():
        subjects = context.mapping.subjects
        is_subject = subjects is not None and subjects.table == join.table
        reason = UNKNOWN_SUBJECT if is_subject else f"no such row in {join.table}"
        ledger.reject(rows.filter(pl.col("_found").is_null())["_index"], ",".join(join.by), reason)
        rows = rows.filter(pl.col("_found").is_not_null())
    return rows.drop("_found")


def _partners(join: Join, context: Context, wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows of the other table that can be found: keys, what is taken, `_found`.

    Of a small table they are made once a join; of a large one (a vocabulary of millions) only those that are
    wanted are put in order, for each frame anew.
    """
    keys = wanted.columns
    known = context.partners.get(id(join))
    if known is not None:
        return known
    lookup = context.lookups[join.table]
    partners = lookup.select(
        *(text_of(lookup, there).alias(key) for key, there in zip(keys, join.by.values(), strict=True)),
        *(pl.col(there).alias(here) for here, there in join.take.items()),
    ).with_columns(_found=pl.lit(value=True))
    is_large = lookup.height > LARGE_LOOKUP
    if is_large:
        partners = partners.join(wanted.drop_nulls().unique(), on=keys, how="semi")
    partners = (
        partners.drop_nulls(keys).unique().sort(pl.all()).unique(keys, keep="first", maintain_order=True)
    )
    if not is_large:
        context.partners[id(join)] = partners
    return partners
