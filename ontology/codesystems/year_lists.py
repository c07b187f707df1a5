"""Yearly lists of {code, text} joined over the years: which text each code had, from when to when."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from ontology.codesystems.list_files import raise_faults, read_rows
from ontology.concepts import COVERAGE
from ontology.errors import ConfigurationError, Problem, gathered_problems

COLUMNS = {"code": ("code", "kode"), "label": ("text", "tekst", "label")}


def read_spans(
    lists: Mapping[int, Path], pattern: re.Pattern[str], written: Callable[[str], str]
) -> pl.DataFrame:
    """One row for each code, text and unbroken run of years in which the lists hold them.

    Args:
        lists: the file of each year; a list holds from 1 January to 31 December of its year.
        pattern: what a code looks like, without dots.
        written: how a code without dots is written in the ontology.

    Returns:
        code, label, valid_from, valid_to (both inclusive), sorted. A year without a list ends a run: what
        held then is not known.

    Raises:
        ConfigurationError: no list at all.
        InputError: files that cannot be read, rows without code or text, codes of another shape, a code twice
            in one year; all at once.
    """
    if not lists:
        raise ConfigurationError(
            Problem("no yearly list is given", allowed="year: path", next_step="name one")
        )
    years: list[pl.DataFrame] = []
    with gathered_problems() as attempt:
        for year in sorted(lists):
            with attempt():
                years.append(_one_year(lists[year], pattern).with_columns(year=pl.lit(year, pl.Int32)))
    spelled = {code: written(code) for code in pl.concat(years)["code"].unique().to_list()}
    run = pl.col("year") - pl.int_range(pl.len(), dtype=pl.Int32).over("code", "label")
    spans = (
        pl.concat(years)
        .sort("code", "label", "year")
        .with_columns(run=run)
        .group_by("code", "label", "run")
        .agg(valid_from=pl.date(pl.col("year").min(), 1, 1), valid_to=pl.date(pl.col("year").max(), 12, 31))
    )
    return (
        spans.with_columns(pl.col("code").replace_strict(spelled, return_dtype=pl.String()))
        .select("code", "label", "valid_from", "valid_to")
        .sort("code", "valid_from", "label")
    )


def years_covered(system: str, years: Mapping[int, Path]) -> pl.DataFrame:
    """Rows of COVERAGE: the years that were read, unbroken runs as one row."""
    read = pl.DataFrame({"year": sorted(years)}, schema={"year": pl.Int32()})
    runs = read.group_by(run=pl.col("year") - pl.int_range(pl.len(), dtype=pl.Int32)).agg(
        covered_from=pl.date(pl.col("year").min(), 1, 1), covered_to=pl.date(pl.col("year").max(), 12, 31)
    )
    return (
        runs.sort("covered_from")
        .select(pl.lit(system).alias("system"), "covered_from", "covered_to")
        .cast(COVERAGE)
    )


def _one_year(path: Path, pattern: re.Pattern[str]) -> pl.DataFrame:
    """Code (without dots) and label of one list, checked."""
    rows = read_rows(path, COLUMNS).with_columns(pl.col("code").str.replace_all(".", "", literal=True))
    faults = []
    seen: dict[str, int] = {}
    for row, code, label in rows.select("row", "code", "label").iter_rows():
        if code is None or label is None:
            faults.append((row, "a row without code or text", f"code {code or 'empty'}"))
        elif not pattern.fullmatch(code):
            faults.append((row, "not a code of this system", code))
        elif code in seen:
            faults.append((row, "a code twice in one year's list", f"{code}, already in row {seen[code]}"))
        else:
            seen[code] = row
    raise_faults(path, faults, "mend or remove these rows")
    return rows.select("code", "label")
