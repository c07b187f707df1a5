"""The official Norwegian export of a code list (Kode, Foreldrekode, Gyldig_fra, ...) as typed rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path

import polars as pl

from ontology.codesystems.list_files import raise_faults, read_rows
from ontology.concepts import COVERAGE, PROPERTIES

NEEDED: Mapping[str, tuple[str, ...]] = {
    "code": ("Kode",),
    "label": ("Tekst_uten_lengdebegrensning",),
    "valid_from": ("Gyldig_fra",),
    "valid_to": ("Gyldig_til",),
    "parent": ("Foreldrekode",),
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "short_label": ("Tekst_med_maksimalt_60_tegn",),
    "parent_label": ("Foreldrekodetekst",),
    "reported": ("Rapporteres_til_NPR",),
    "npr_valid_from": ("NPR_Gyldig_fra",),
    "npr_valid_to": ("NPR_Gyldig_til",),
    "asterisk": ("Stjernekode",),
    "additional": ("Tilleggskode",),
    "sex": ("Kjønn",),
    "unspecific": ("Uspesifikk_kode",),
    "edition": ("Kodeverk",),
}
"""**Source:** the download format of the official lists, as NAV's open-source reader describes it
(github.com/navikt/diagnosekoder, DownloadFormat.ts); Kodeverk stands in ICPC-2's export."""

_NAMES: Mapping[str, tuple[str, ...]] = {**NEEDED, **OPTIONAL}
_YES = frozenset({"ja", "j", "yes", "true", "1", "x"})
_NO = frozenset({"nei", "n", "no", "false", "0"})
_FEMALE = frozenset({"k", "kvinne", "kvinner", "kvinnelig", "f", "female", "2"})
_MALE = frozenset({"m", "mann", "menn", "mannlig", "male", "1"})
_DATES = ("valid_from", "valid_to", "npr_valid_from", "npr_valid_to")
_MARKS = ("reported", "asterisk", "additional", "unspecific")
_OPEN_YEAR = 2999
"""A last day from this year on means that no end is known."""


def read_export_rows(path: Path) -> pl.DataFrame:
    """The rows of an export, checked.

    Returns:
        code, label, parent, short_label, sex, edition (text), valid_from, valid_to, npr_valid_from,
        npr_valid_to (dates), flags (asterisk, additional, unspecific, female_only, male_only, not_reported);
        not_reported only where the export has the column Rapporteres_til_NPR.

    Raises:
        InputError: rows without code or text, dates or marks that cannot be read, spans that end before they
            begin; all of them, by row.
    """
    rows = read_rows(path, NEEDED, OPTIONAL)
    faults = [fault for row in rows.iter_rows(named=True) for fault in _faults(row)]
    raise_faults(path, sorted(faults), "mend the row, or leave it out")
    says_reported = rows["reported"].is_not_null().any()
    flags = [_flags(row, says_reported=says_reported) for row in rows.iter_rows(named=True)]
    dates = {name: pl.Series([_day(text) for text in rows[name]], dtype=pl.Date()) for name in _DATES}
    return rows.drop("row", "reported", "asterisk", "additional", "unspecific", "parent_label").with_columns(
        flags=pl.Series(flags, dtype=pl.List(pl.String())), **dates
    )


def export_properties(system: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Columns of PROPERTIES: short_label, sex, npr_valid_from and npr_valid_to, where they are told."""
    names = ["short_label", "sex", "npr_valid_from", "npr_valid_to"]
    return (
        rows.select(
            pl.format(system + "//{}", "code").alias("concept"), *(pl.col(n).cast(pl.String) for n in names)
        )
        .unpivot(names, index="concept", variable_name="property", value_name="value")
        .drop_nulls()
        .select(list(PROPERTIES))
        .unique()
        .sort(pl.all())
    )


def export_coverage(system: str, rows: pl.DataFrame, covered_to: date | None) -> pl.DataFrame:
    """Columns of COVERAGE: from the first day that any row is valid."""
    return pl.DataFrame([(system, rows["valid_from"].min(), covered_to)], schema=COVERAGE, orient="row")


def _faults(row: Mapping[str, object]) -> Iterator[tuple[int, str, str]]:
    number = int(str(row["row"]))
    code = row["code"] or "empty"
    if row["code"] is None or row["label"] is None:
        yield number, "a row without code or text", f"code {code}"
    for name in _DATES:
        if not _is_day(row[name]):
            yield number, f"{_NAMES[name][0]} is not a date", f"{row[name]} (code {code})"
    for name in _MARKS:
        if row[name] is not None and str(row[name]).casefold() not in _YES | _NO:
            yield number, f"{OPTIONAL[name][0]} is neither Ja, Nei nor empty", f"{row[name]} (code {code})"
    if row["sex"] is not None and str(row["sex"]).casefold() not in _FEMALE | _MALE:
        yield number, "Kjønn is neither Kvinne, Mann nor empty", f"{row['sex']} (code {code})"
    first, last = row["valid_from"], row["valid_to"]
    if (
        first
        and last
        and _is_day(first)
        and _is_day(last)
        and (_day(first) or date.min) > (_day(last) or date.max)
    ):
        yield number, "Gyldig_til lies before Gyldig_fra", f"{first} to {last} (code {code})"


def _flags(row: Mapping[str, str | None], *, says_reported: bool) -> list[str]:
    flags = [name for name in ("asterisk", "additional", "unspecific") if _is_yes(row[name])]
    sex = (row["sex"] or "").casefold()
    flags += ["female_only"] if sex in _FEMALE else ["male_only"] if sex in _MALE else []
    return [*flags, "not_reported"] if says_reported and not _is_yes(row["reported"]) else flags


def _is_yes(mark: str | None) -> bool:
    return mark is not None and mark.casefold() in _YES


def _is_day(text: object) -> bool:
    try:
        _day(text)
    except ValueError:
        return False
    return True


def _day(text: object) -> date | None:
    """The day of a date or instant: 1999-01-01T00:00:00, 1999-01-01 or 01.01.1999; far future = no end."""
    if text is None:
        return None
    words = str(text)
    is_norwegian = words[2:3] == "."
    day = datetime.strptime(words[:10], "%d.%m.%Y" if is_norwegian else "%Y-%m-%d").date()
    return None if day.year >= _OPEN_YEAR else day
