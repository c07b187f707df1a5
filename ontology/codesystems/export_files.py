"""The official Norwegian export of a code list (Kode, Foreldrekode, Gyldig_fra, ...) as typed rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import ROW, Column, Faults, read_table, with_dates
from ontology.codesystems.list_columns import note_ends_before_begins, note_no_name
from ontology.concepts import COVERAGE
from ontology.errors import ConfigurationError, Problem

_COLUMNS = (
    Column("code", ("Kode",), is_required=True),
    Column("label", ("Tekst_uten_lengdebegrensning",), is_required=True),
    Column("valid_from", ("Gyldig_fra",), is_required=True),
    Column("valid_to", ("Gyldig_til",), is_required=True),
    Column("parent", ("Foreldrekode",), is_required=True),
    Column("short_label", ("Tekst_med_maksimalt_60_tegn",)),
    Column("reported", ("Rapporteres_til_NPR",)),
    Column("npr_valid_from", ("NPR_Gyldig_fra",)),
    Column("npr_valid_to", ("NPR_Gyldig_til",)),
    Column("asterisk", ("Stjernekode",)),
    Column("additional", ("Tilleggskode",)),
    Column("sex", ("Kjønn",)),
    Column("unspecific", ("Uspesifikk_kode",)),
    Column("edition", ("Kodeverk",)),
)
"""**Source:** the download format of the official lists, as NAV's open-source reader describes it
(github.com/navikt/diagnosekoder, DownloadFormat.ts); Kodeverk stands in ICPC-2's export."""

_YES = ["ja", "j", "yes", "true", "1", "x"]
_NO = ["nei", "n", "no", "false", "0"]
_FEMALE = ["k", "kvinne", "kvinner", "kvinnelig", "f", "female", "2"]
_MALE = ["m", "mann", "menn", "mannlig", "male", "1"]
_DATES = ("valid_from", "valid_to", "npr_valid_from", "npr_valid_to")
_MARKS = ("reported", "asterisk", "additional", "unspecific")
_NO_END = date(2999, 1, 1)
"""A last day from here on means that no end is known."""


def read_export_rows(
    path: Path, *, encoding: str = "utf-8-sig", respelled: Sequence[pl.Expr] = ()
) -> pl.DataFrame:
    """The rows of an export, checked.

    Args:
        path: JSON, CSV, TSV or Excel with the published columns.
        encoding: of a CSV or TSV.
        respelled: columns as the system writes them, made before anything is checked.

    Returns:
        code, label, parent, short_label, sex, edition (text), valid_from, valid_to, npr_valid_from,
        npr_valid_to (dates), flags (asterisk, additional, unspecific, female_only, male_only, not_reported);
        not_reported only where the export says of any row that it is reported.

    Raises:
        InputError: missing columns; rows without code or text, dates or marks that cannot be read, spans that
            end before they begin, a code twice over the same days; all of them, by row.
        StorageError: the file cannot be read.
        MissingExtraError: an Excel file, and no reader for it is installed.
    """
    faults = Faults(path)
    read = read_table(path, _COLUMNS, encoding=encoding).with_columns(respelled)
    rows = with_dates(read, _DATES, faults)
    _note_faults(rows, faults)
    faults.end()
    is_reported = _is_in("reported", _YES)
    marks = {
        "asterisk": _is_in("asterisk", _YES),
        "additional": _is_in("additional", _YES),
        "unspecific": _is_in("unspecific", _YES),
        "female_only": _is_in("sex", _FEMALE),
        "male_only": _is_in("sex", _MALE),
        "not_reported": is_reported.any() & ~is_reported,
    }
    flags = pl.concat_list(pl.when(holds).then(pl.lit(flag)) for flag, holds in marks.items())
    ends = (pl.when(pl.col(name) < _NO_END).then(pl.col(name)).alias(name) for name in _DATES)
    return rows.with_columns(flags.list.drop_nulls().alias("flags"), *ends).drop(ROW, *_MARKS)


def export_coverage(system: str, rows: pl.DataFrame, covered_to: date | None) -> pl.DataFrame:
    """Columns of COVERAGE: from the first day that any row is valid.

    Raises:
        ConfigurationError: covered_to lies before that day.
    """
    coverage = pl.DataFrame([(system, rows["valid_from"].min(), covered_to)], schema=COVERAGE, orient="row")
    if coverage.filter(pl.col("covered_to") < pl.col("covered_from")).height:
        do = "give the day of the export"
        raise ConfigurationError(
            Problem("covered_to lies before the first day of any code", str(covered_to), next_step=do)
        )
    return coverage


def _note_faults(rows: pl.DataFrame, faults: Faults) -> None:
    do = "mend these rows"
    faults.rows("a row has no code", rows.filter(pl.col("code").is_null())[ROW], do=do)
    note_no_name(rows, faults)
    spelled = {column.name: column.spellings[0] for column in _COLUMNS}
    for name in _MARKS:
        wrong = rows.filter(pl.col(name).is_not_null() & ~_is_in(name, _YES + _NO))
        faults.rows(f"{spelled[name]} cannot be read", wrong[ROW], allowed="Ja, Nei or empty", do=do)
    wrong = rows.filter(pl.col("sex").is_not_null() & ~_is_in("sex", _FEMALE + _MALE))
    faults.rows(f"{spelled['sex']} cannot be read", wrong[ROW], allowed="Kvinne, Mann or empty", do=do)
    note_ends_before_begins(rows, faults)
    latest = pl.col("valid_to").fill_null(_NO_END).cum_max().shift(1)
    before = latest.over("code", order_by=["valid_from", ROW])
    begins = pl.col("valid_from").fill_null(date.min)
    again = rows.filter(pl.col("code").is_not_null() & (before >= begins))
    faults.rows("a code stands twice over the same days", again[ROW], do="keep one row for each span")


def _is_in(column: str, words: list[str]) -> pl.Expr:
    return pl.col(column).str.to_lowercase().is_in(words).fill_null(value=False)
