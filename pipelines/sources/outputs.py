"""Prepared rows become events: each with its subject, times, code, value, and what the source sent."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from phenotype.trajectory import BIRTH_CODE
from pipelines.sources.accounting import Ledger
from pipelines.sources.cells import numbers, text_of, texts
from pipelines.sources.context import BEFORE_BIRTH, NO_TIME, Context
from pipelines.sources.fields import PSEUDO_COLUMNS, Number, template_columns
from pipelines.sources.mapping import Event, Output
from pipelines.sources.preparation import SENT, keep_where
from pipelines.sources.times import Instants, instants

NOT_A_NUMBER = "not a number"
EMPTY_CODE = "empty code"
NO_VALUE = "no value"
SENT_COLUMN = "_column"
"""Where a melted or split cell stood, whatever the mapping calls it."""
_OF_ONE_CELL = {"_name", "_cell", "_no"}


@dataclass
class Gate:
    """Rows of one output, and which of them are still good; every wrong one is told to the ledger."""

    rows: pl.DataFrame
    ledger: Ledger

    def __post_init__(self) -> None:
        self.is_good = pl.repeat(value=True, n=self.rows.height, dtype=pl.Boolean, eager=True)

    def reject(self, is_wrong: pl.Series, field: str, reason: str) -> None:
        """Leave rows out for a reason; a melted cell is told by the column that it stood in."""
        if not is_wrong.any():
            return
        wrong = self.rows.filter(is_wrong)
        if field == "_cell":
            for (column,), part in wrong.partition_by(SENT_COLUMN, as_dict=True, maintain_order=True).items():
                self.ledger.reject(part["_index"], str(column), reason)
        else:
            self.ledger.reject(wrong["_index"], field, reason)
        self.is_good &= ~is_wrong

    def ignore(self, is_passed_over: pl.Series, rule: str) -> None:
        """Leave rows out by a rule."""
        if is_passed_over.any():
            self.ledger.ignore(self.rows["_index"].filter(is_passed_over), rule)
            self.is_good &= ~is_passed_over

    def time(self, found: Instants, field: str) -> pl.Series:
        """The times; those that could not be used are rejected, each for its reason."""
        if found.reasons is not None:
            for reason in found.reasons.unique().drop_nulls().sort().to_list():
                self.reject((found.reasons == reason).fill_null(value=False), field, reason)
        return found.values

    def passed(self, columns: dict[str, pl.Series]) -> pl.DataFrame:
        """The good rows of these columns, marked as used."""
        frame = pl.DataFrame({"_index": self.rows["_index"], "_row": self.rows["_row"], **columns})
        frame = frame if self.is_good.all() else frame.filter(self.is_good)
        self.ledger.use(frame["_index"])
        return frame


def taken_rows(output: Output, rows: pl.DataFrame, context: Context, ledger: Ledger) -> pl.DataFrame:
    """The rows that an output takes, with its `_subject` and `_contact`, one row for each melted cell."""
    of_cells = [condition for condition in output.when if set(condition.columns) & _OF_ONE_CELL]
    rows = keep_where(rows, [condition for condition in output.when if condition not in of_cells], ledger)
    rows = keep_where(_expanded(output, rows), of_cells, ledger)
    if output.subject:
        rows = context.with_subjects(rows, output.subject, ledger, "subject")
    if output.contact:
        ids = texts(rows, output.contact)
        rows = rows.with_columns(context.pseudonyms.of("contact", ids).alias("_contact"))
    elif "_contact" not in rows.columns:
        rows = rows.with_columns(_contact=pl.lit(None, pl.Int64))
    return rows


def _expanded(output: Output, rows: pl.DataFrame) -> pl.DataFrame:
    if output.melt:
        return _melted(output, rows)
    if output.split:
        split = output.split
        pieces = rows.with_columns(_cell=text_of(rows, split.column).str.split(split.separator))
        pieces = pieces.with_columns(
            _no=pl.int_ranges(1, pl.col("_cell").list.len() + 1),
            _name=pl.lit(split.column),
            _column=pl.lit(split.column),
        )
        pieces = pieces.explode("_cell", "_no").with_columns(pl.col("_cell").str.strip_chars())
        return pieces.filter(pl.col("_cell") != "")
    return rows


def _melted(output: Output, rows: pl.DataFrame) -> pl.DataFrame:
    """One row a cell that is not null, with only the columns that the output still reads."""
    melt = output.melt or {}
    dtypes = {rows.schema[column] for column in melt}
    needed = _columns_read(output) | {"_index", "_row", "_file_no", "_subject", "_contact"}
    kept = [name for name in rows.columns if name in needed or name.removeprefix(SENT) in needed]
    parts = []
    for number, (column, about) in enumerate(melt.items(), start=1):
        cell = pl.col(column) if len(dtypes) == 1 else text_of(rows, column)
        parts.append(
            rows.lazy()
            .filter(pl.col(column).is_not_null())
            .select(
                *kept,
                cell.alias("_cell"),
                pl.lit(about.name or column).alias("_name"),
                pl.lit(column).alias(SENT_COLUMN),
                pl.lit(number, pl.Int64).alias("_no"),
                pl.lit(about.unit, pl.String).alias("_unit"),
            )
        )
    return pl.concat(pl.collect_all(parts))


def _columns_read(output: Output) -> set[str]:
    from pipelines.sources.requirements import columns_read

    return {column for _, column in columns_read(output)}


def build_events(event: Event, rows: pl.DataFrame, context: Context, ledger: Ledger) -> pl.DataFrame:
    """The events of one output of a table.

    Args:
        event: what the mapping says.
        rows: prepared rows.
        context: pseudonyms, clock, births.
        ledger: told of every row that becomes an event, is passed over, or is wrong.

    Returns:
        _index, _row, subject_id, time, code, numeric_value, text_value, known_time, unit, contact_id,
        description, sent_code, sent_value, sent_unit and sent_alternates.
    """
    rows = taken_rows(event, rows, context, ledger)
    if event.time.static and event.contact is None:
        rows = rows.with_columns(_contact=pl.lit(None, pl.Int64))  # a fact of the patient, not of a contact
    gate = Gate(rows, ledger)
    time = gate.time(instants(rows, event.time, context.clock), "time")
    if not event.time.static:
        gate.reject(time.is_null() & gate.is_good, "time", NO_TIME)
    known = _known_time(event, rows, time, gate, context)
    code = texts(rows, event.code)
    gate.reject((code.is_null() | (code == "")).fill_null(value=True), "code", EMPTY_CODE)
    before_birth = context.is_before_birth(rows["_subject"], time)
    if before_birth is not None and not is_birth(event):
        gate.reject(before_birth, "time", BEFORE_BIRTH)
    value, text, sent_value = _values(event, rows, gate)
    unit = texts(rows, event.unit) if event.unit or "_unit" not in rows.columns else rows["_unit"]
    return gate.passed(
        {
            "subject_id": rows["_subject"],
            "time": time,
            "code": code,
            "numeric_value": value.cast(pl.Float32),
            "text_value": text,
            "known_time": known,
            "unit": unit,
            "contact_id": rows["_contact"],
            "description": texts(rows, event.description),
            "sent_code": _sent_code(event, rows),
            "sent_value": texts(rows, event.sent_value).fill_null(sent_value)
            if event.sent_value
            else sent_value,
            "sent_unit": texts(rows, event.sent_unit) if event.sent_unit else unit,
            "sent_alternates": texts(rows, event.alternates),
        }
    )


def is_birth(event: Event) -> bool:
    """Whether an output makes births."""
    return len(event.code) == 1 and event.code[0].text == BIRTH_CODE


def _known_time(event: Event, rows: pl.DataFrame, time: pl.Series, gate: Gate, context: Context) -> pl.Series:
    """When each event could be known, null where that is its time; never before its time."""
    if event.known_time is None:
        return pl.repeat(None, rows.height, dtype=time.dtype, eager=True)
    known = gate.time(instants(rows, event.known_time, context.clock), "known_time")
    is_early = (known < time).fill_null(value=False)
    if is_early.any():
        context.counts["events_known_before_they_happened"] += int(is_early.sum())
    is_later = (known > time).fill_null(value=False)
    return pl.DataFrame({"k": known, "l": is_later}).select(pl.when("l").then("k")).to_series()


def _values(event: Event, rows: pl.DataFrame, gate: Gate) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Number, text, and what was sent; texts that should be numbers are rejected, empty events ignored."""
    nothing = pl.repeat(None, rows.height, dtype=pl.String, eager=True)
    value = pl.repeat(None, rows.height, dtype=pl.Float64, eager=True)
    text, sent = nothing, nothing
    if event.value:
        value = numbers(rows, event.value)
        if event.value.column:
            cells = rows[event.value.column]
            sent = _as_text(rows, event.value.column)
            gate.reject(value.is_null() & cells.is_not_null(), event.value.column, NOT_A_NUMBER)
    if event.value_or_text:
        value = numbers(rows, Number(column=event.value_or_text))
        sent = _as_text(rows, event.value_or_text)
        text = (
            pl.DataFrame({"v": value, "t": sent}).select(pl.when(pl.col("v").is_null()).then("t")).to_series()
        )
    if event.text:
        text = texts(rows, event.text)
        sent = text if sent is nothing else sent.fill_null(text)
    if (event.value or event.value_or_text or event.text) and not event.keep_empty:
        gate.ignore(value.is_null() & text.is_null() & gate.is_good, NO_VALUE)
    return value, text, sent


def _as_text(rows: pl.DataFrame, column: str) -> pl.Series:
    return rows.select(text_of(rows, column)).to_series()


def _sent_code(event: Event, rows: pl.DataFrame) -> pl.Series:
    """The words of the source that the code was made of: its cells, or the name of the value's column."""
    columns = [name for case in event.code for name in template_columns(case.text)]
    columns = [SENT_COLUMN if name == "_name" else name for name in dict.fromkeys(columns)]
    columns = [SENT + name if SENT + name in rows.columns else name for name in columns]
    if not columns:
        name = event.value.column if event.value else event.value_or_text
        words = pl.lit(None if name in PSEUDO_COLUMNS else name, pl.String)
        return rows.select(_t=words, _n="_index")["_t"]
    return rows.select(
        pl.concat_str([text_of(rows, name) for name in columns], separator="|", ignore_nulls=True)
    ).to_series()
