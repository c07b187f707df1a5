"""Cells of a source frame as texts and numbers, and the conditions that a mapping puts on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from pipelines.identity.person_numbers import person_keys
from pipelines.sources.fields import CleanStep, Condition, Number, TextCase, template_columns

LARGEST_EXACT = 1e15


def text_of(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as text: whole numbers without ".0", instants in ISO form."""
    dtype = frame.schema[column]
    cell = pl.col(column)
    if dtype.is_float():
        is_whole = (cell == cell.round(0)) & (cell.abs() < LARGEST_EXACT)
        return (
            pl.when(is_whole)
            .then(cell.cast(pl.Int64, strict=False).cast(pl.String))
            .otherwise(cell.cast(pl.String))
        )
    if isinstance(dtype, pl.Datetime):
        return cell.dt.strftime("%Y-%m-%d %H:%M:%S")
    return cell if dtype == pl.String else cell.cast(pl.String)


def template(frame: pl.DataFrame, text: str) -> pl.Expr:
    """A template filled row by row; null where one of its columns is null."""
    names = template_columns(text)
    if not names:
        return pl.lit(text)
    if text == f"{{{names[0]}}}":
        return text_of(frame, names[0])
    literal = text
    for name in names:
        literal = literal.replace(f"{{{name}}}", "\0", 1)
    pieces = literal.split("\0")
    parts: list[pl.Expr] = [pl.lit(pieces[0])] if pieces[0] else []
    for name, piece in zip(names, pieces[1:], strict=True):
        parts.append(text_of(frame, name))
        if piece:
            parts.append(pl.lit(piece))
    return pl.concat_str(parts)


def text_expr(frame: pl.DataFrame, cases: Sequence[TextCase]) -> pl.Expr:
    """The first case that applies and is not null."""
    return pl.coalesce([_case(frame, case) for case in cases]) if len(cases) > 1 else _case(frame, cases[0])


def texts(frame: pl.DataFrame, cases: Sequence[TextCase] | None) -> pl.Series:
    """One text a row of the frame; null everywhere where the mapping gives none."""
    given = text_expr(frame, cases) if cases else pl.lit(None)
    return frame.select(_text=given.cast(pl.String), _n=pl.col("_index"))["_text"]


def _case(frame: pl.DataFrame, case: TextCase) -> pl.Expr:
    text = cleaned(template(frame, case.text), case.clean)
    if case.map is not None:
        otherwise = template(frame, case.otherwise) if case.otherwise is not None else pl.lit(None, pl.String)
        known = dict(case.map)
        text = as_written(text, known)
        is_known = text.is_in(list(known))
        text = (
            pl.when(is_known)
            .then(text.replace_strict(known, default=None, return_dtype=pl.String))
            .otherwise(otherwise)
        )
    if case.when:
        text = pl.when(pl.all_horizontal(condition_expr(frame, condition) for condition in case.when)).then(
            text
        )
    return text


def as_written(text: pl.Expr, words: Iterable[str]) -> pl.Expr:
    """The text with "1.0" as "1", where a word of the mapping is a whole number: exporters write both."""
    if not any(word.lstrip("-").isdigit() for word in words):
        return text
    return text.str.replace(r"^(-?[0-9]+)\.0+$", "${1}")


def cleaned(text: pl.Expr, steps: Sequence[CleanStep]) -> pl.Expr:
    """The text after the steps, in order; `person_number` makes a valid national number its key, others null.

    **Source:** dots of ICD-9-CM and ICD-10: after three characters (E codes of ICD-9-CM: four; ICD-9-CM
    procedures: two), as the classifications print them.
    """
    for step in steps:
        text = _step(text, step)
    return text


def _step(text: pl.Expr, step: CleanStep) -> pl.Expr:
    if step == "strip":
        stripped = text.str.strip_chars()
        return pl.when(stripped != "").then(stripped)
    if step in {"upper", "lower"}:
        return text.str.to_uppercase() if step == "upper" else text.str.to_lowercase()
    if step in {"no_spaces", "no_dots"}:
        return text.str.replace_all(r"\s+" if step == "no_spaces" else r"\.", "")
    if step == "whole_number":
        return text.str.replace(r"^(-?[0-9]+)\.0+$", "${1}")
    if step == "person_number":
        return text.map_batches(person_keys, return_dtype=pl.String, is_elementwise=True)
    pattern = {
        "icd9_dot": r"^([0-9V][0-9]{2}|E[0-9]{3})([0-9]+)$",
        "icd9_procedure_dot": r"^([0-9]{2})([0-9]+)$",
        "icd10_dot": r"^([A-Z][0-9][0-9A-Z])([0-9A-Z]+)$",
    }[step]
    if step == "icd10_dot":  # dagger and asterisk say how a code is used and are no part of it
        text = text.str.replace(r"^([A-Z][0-9][0-9A-Z.]*)[+*†]$", "${1}")
    return text.str.replace(pattern, "${1}.${2}")


def number_expr(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column as float64; null where it is none. Texts lose the blanks around them."""
    dtype = frame.schema[column]
    if dtype.is_numeric():
        return pl.col(column).cast(pl.Float64)
    return _parsed(pl.col(column).str.strip_chars()) if dtype == pl.String else pl.lit(None, pl.Float64)


def _parsed(text: pl.Expr) -> pl.Expr:
    number = text.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def numbers(frame: pl.DataFrame, number: Number) -> pl.Series:
    """One float64 a row; null where the cell is null or no number.

    Args:
        frame: rows with the number's column.
        number: what the mapping says.
    """
    if number.column is None:
        constant = pl.repeat(number.constant, frame.height, dtype=pl.Float64, eager=True)
        return _converted(constant, number)
    cells = frame[number.column]
    if cells.dtype != pl.String:
        values = cells.cast(pl.Float64, strict=False)
    else:
        values = cells.cast(pl.Float64, strict=False)
        values = _second_try(cells, values, decimal_comma=number.decimal_comma)
    if number.map:
        mapped = frame.select(
            text_of(frame, number.column).replace_strict(number.map, default=None, return_dtype=pl.Float64)
        )
        values = mapped.to_series().fill_null(values)
    return _converted(values, number)


def _converted(values: pl.Series, number: Number) -> pl.Series:
    """In the unit of the mapping: times factor, then plus."""
    values = values * number.factor if number.factor != 1.0 else values
    return values + number.plus if number.plus else values


def _second_try(cells: pl.Series, values: pl.Series, *, decimal_comma: bool) -> pl.Series:
    """Numbers where a plain parse left nulls or infinities: blanks stripped, a comma taken for the point."""
    failed = (values.is_null() & cells.is_not_null()) | ~values.is_finite().fill_null(value=True)
    if not failed.any():
        return values
    text = pl.col("text").str.strip_chars()
    text = text.str.replace(",", ".", literal=True) if decimal_comma else text
    retried = cells.filter(failed).rename("text").to_frame().select(_parsed(text)).to_series()
    return values.scatter(failed.arg_true(), retried)


def condition_expr(frame: pl.DataFrame, condition: Condition) -> pl.Expr:
    """Whether each row passes; a null cell passes is_null, not_equals and none_of alone."""
    test = condition.tests[0]
    value = getattr(condition, test)
    column = condition.column
    if test in {"is_null", "not_null"}:
        return pl.col(column).is_null() if test == "is_null" else pl.col(column).is_not_null()
    if test in {"equals", "not_equals", "one_of", "none_of"}:
        members = [value] if isinstance(value, str) else list(value)
        is_member = as_written(text_of(frame, column), members).is_in(members)
        passed = is_member if test in {"equals", "one_of"} else ~is_member
    elif test == "matches":
        passed = text_of(frame, column).str.contains(value)
    else:
        passed = _compared(frame, column, test, value)
    return passed.fill_null(value=test in {"not_equals", "none_of"})


def _compared(frame: pl.DataFrame, column: str, test: str, value: float | str) -> pl.Expr:
    are_instants = isinstance(value, str) and all(
        isinstance(frame.schema[name], pl.Datetime) for name in (column, value)
    )
    own = pl.col(column) if are_instants else number_expr(frame, column)
    if isinstance(value, str):
        other = pl.col(value) if are_instants else number_expr(frame, value)
    else:
        other = pl.lit(value)
    comparisons = {
        "greater_than": own > other,
        "at_least": own >= other,
        "less_than": own < other,
        "at_most": own <= other,
    }
    return comparisons[test]
