"""Yearly lists of {code, text} joined over the years: which text each code had, from when to when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import ROW, Column, Faults, note_bad_codes, read_table
from ontology.codesystems.list_columns import note_no_name
from ontology.concepts import COVERAGE
from ontology.errors import ConfigurationError, Problem, gathered_problems

_COLUMNS = (
    Column("code", ("code", "kode"), is_required=True),
    Column("label", ("text", "tekst", "label"), is_required=True),
)


def read_spans(lists: Mapping[int, Path], form: str, told: str) -> pl.DataFrame:
    """One row for each code, text and unbroken run of years in which the lists hold them.

    Args:
        lists: the file of each year; a list holds from 1 January to 31 December of its year.
        form: a regular expression that a code without dots must match.
        told: the form in words.

    Returns:
        code (without dots), label, valid_from, valid_to (both inclusive), sorted. A year without a list ends
        a run: what held then is not known.

    Raises:
        ConfigurationError: no list at all, or a year before 1900 or after 2999.
        InputError: files that cannot be read, rows without code or text, codes of another shape, a code twice
            in one year; all at once.
    """
    if not lists:
        raise ConfigurationError(
            Problem("no yearly list is given", allowed="year: path", next_step="name one")
        )
    wrong = [year for year in sorted(lists) if not 1900 <= year <= 2999]
    if wrong:
        told = ", ".join(map(str, wrong))
        raise ConfigurationError(Problem("a list is of no year", found=told, allowed="1900 to 2999"))
    years: list[pl.DataFrame] = []
    with gathered_problems() as attempt:
        for year in sorted(lists):
            with attempt():
                years.append(_one_year(lists[year], form, told).with_columns(year=pl.lit(year, pl.Int32)))
    position = pl.int_range(pl.len(), dtype=pl.Int32).over("code", "label")
    return (
        pl.concat(years)
        .sort("code", "label", "year")
        .with_columns(run=pl.col("year") - position)
        .group_by("code", "label", "run")
        .agg(valid_from=pl.date(pl.col("year").min(), 1, 1), valid_to=pl.date(pl.col("year").max(), 12, 31))
        .select("code", "label", "valid_from", "valid_to")
        .sort("code", "valid_from", "label")
    )


def years_covered(system: str, years: Mapping[int, Path]) -> pl.DataFrame:
    """Rows of COVERAGE: the years that were read, unbroken runs as one row."""
    read = pl.DataFrame({"year": sorted(years)}, schema={"year": pl.Int32()})
    runs = read.group_by(run=pl.col("year") - pl.int_range(pl.len(), dtype=pl.Int32)).agg(
        covered_from=pl.date(pl.col("year").min(), 1, 1), covered_to=pl.date(pl.col("year").max(), 12, 31)
    )
    spans = runs.sort("covered_from").select(pl.lit(system).alias("system"), "covered_from", "covered_to")
    return spans.cast(COVERAGE)


def _one_year(path: Path, form: str, told: str) -> pl.DataFrame:
    """Code (without dots) and label of one list, checked."""
    rows = read_table(path, _COLUMNS).with_columns(pl.col("code").str.replace_all(".", "", literal=True))
    faults = Faults(path)
    note_bad_codes(rows, faults, form, told)
    note_no_name(rows, faults)
    note_repeated(rows, faults)
    faults.end()
    return rows.select("code", "label")


def note_repeated(rows: pl.DataFrame, faults: Faults) -> None:
    """Note rows whose code stands in an earlier row of the same list; columns row and code."""
    again = rows.filter(pl.col("code").is_not_null() & ~pl.col("code").is_first_distinct())
    faults.rows("a code stands twice in one list", again[ROW], do="keep one row for each code")
