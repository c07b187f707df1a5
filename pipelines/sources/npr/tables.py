"""The tables that NPR-meldinger become: which element makes a row, and whose attributes are its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.sources.npr.batch import Columns
from pipelines.sources.npr.checks import Findings
from pipelines.sources.npr.options import NprOptions
from pipelines.sources.npr.units import UNIT_COLUMNS, unit_columns

MESSAGE = {
    "Melding": ("modul", "versjon", "fraDatoPeriode", "tilDatoPeriode", "uttakDato"),
    "Institusjon": ("institusjonID",),
}
PATIENT = {**MESSAGE, "Objektholder": ("pasient", "pasientNr", "pasientGUID")}
EPISODE = {
    **PATIENT,
    "Episode": ("episode", "episodeID", "innDatoTid", "utDatoTid", "omsorgsniva", "enhet", "intensiv"),
}
KODE = ("kodeNr", "Kodeverk", "kodeVersjon", "kodeVerdi")


@dataclass(frozen=True)
class TableOf:
    """One table.

    Attributes:
        rows: the store whose elements are its rows.
        record: the store whose elements the account counts.
        columns: by store on the way up: the attributes that are columns, under their own names.
    """

    rows: str
    record: str
    columns: Mapping[str, tuple[str, ...]]


TABLES: Mapping[str, TableOf] = {
    "PasientIdent": TableOf(
        "PasientIdent",
        "PasientIdent",
        {**MESSAGE, "PasientIdent": ("pasient", "pid", "fid", "typeID", "fodselsdato")},
    ),
    "Objektholder": TableOf("Objektholder", "Objektholder", PATIENT),
    "Pasient": TableOf("Pasient", "Pasient", {**PATIENT, "Pasient": ("kjonn", "fodselsar", "fodselsvekt")}),
    "Episode": TableOf(
        "Episode",
        "Episode",
        {
            **PATIENT,
            "Episode": (
                *("episode", "episodeID", "episodeGUID", "henvisningsperiodeID", "innDatoTid", "utDatoTid"),
                *("omsorgsniva", "innmateHast", "inntilstand", "utTilstand", "fraSted", "tilSted"),
                *("debitor", "komNrHjem", "fagomrade", *UNIT_COLUMNS),
            ),
        },
    ),
    "Kontakt": TableOf(
        "Kontakt", "Kontakt", {**EPISODE, "Kontakt": ("kontaktType", "stedAktivitet", "polIndir")}
    ),
    "Helseperson": TableOf(
        "KontaktHelseperson",
        "KontaktHelseperson",
        {
            **EPISODE,
            "Kontakt": ("kontaktType", "stedAktivitet"),
            "KontaktHelseperson": ("polUtforende", "spesialist", "rolle"),
        },
    ),
    "Tilstand": TableOf(
        "TilstandKode", "Tilstand", {**EPISODE, "Tilstand": ("tilstNr",), "TilstandKode": KODE}
    ),
    "Prosedyre": TableOf(
        "ProsedyreKode",
        "Prosedyre",
        {
            **EPISODE,
            "Tiltak": ("typeTiltak",),
            "Prosedyre": ("startDatoTid", "prosNr", "tilstNr", "nummer"),
            "ProsedyreKode": KODE,
        },
    ),
    "Behandlingsserie": TableOf(
        "Behandlingsserie",
        "Behandlingsserie",
        {
            **PATIENT,
            "MedisinskStraling": ("medisinskStralingID",),
            "Behandlingsserie": ("serieID", "intensjon", "nyPasient", "datoForste"),
        },
    ),
    "Dosebidrag": TableOf(
        "Dosebidrag",
        "Dosebidrag",
        {
            **PATIENT,
            "Behandlingsserie": ("serieID",),
            "ApparatFremmote": ("episodeID", "episode"),
            "Dosebidrag": ("referansevolumID", "regionkode", "planDose", "gittDose"),
        },
    ),
    "Referansevolum": TableOf(
        "Referansevolum",
        "Referansevolum",
        {
            **PATIENT,
            "Referansevolum": ("referansevolumID", "regionkode", "planlagtTotalDose", "datoForste"),
        },
    ),
    "EpisodeKPP": TableOf(
        "EpisodeKPP", "EpisodeKPP", {**PATIENT, "EpisodeKPP": ("episode", "episodeID", "drg", "total")}
    ),
    "TjenesteKPP": TableOf(
        "TjenesteKPP",
        "TjenesteKPP",
        {**PATIENT, "EpisodeKPP": ("episode", "episodeID"), "TjenesteKPP": ("kostnadKode", "kostnad")},
    ),
}
"""By name, as a mapping names them."""

SCHEMAS = {
    name: pl.Schema({column: pl.String() for names in table.columns.values() for column in names})
    for name, table in TABLES.items()
}


def rows_of(
    table: TableOf, columns: Columns, is_row: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> pl.DataFrame:
    """The rows of a table: text columns, in the order in which their elements stand in the file.

    Args:
        table: which.
        columns: the batch, checked, with derived columns.
        is_row: which elements of the table's store become one.
    """
    at = np.flatnonzero(is_row)
    parts = [
        columns.frames[store].select(names)[pl.Series(columns.up(table.rows, store)[at], dtype=pl.UInt32)]
        for store, names in table.columns.items()
    ]
    return pl.concat(parts, how="horizontal")


def derive(columns: Columns, findings: Findings, options: NprOptions) -> None:
    """Add what stands in no single attribute to the frames of a checked batch.

    `pasient` and `episode` are numbers within their institution; `startDatoTid` of a procedure is that of its
    measure or else its session, `nummer` its place in the episode; a dose has the region of its volume, a
    volume the first day of its treatment; a national number tells the birth date.
    """
    if columns.height("Objektholder"):
        if options.patient == "pasientGUID":
            patients = columns.column("Objektholder", "pasientGUID")
        else:
            patients = _within_institution(columns, "Objektholder", "pasientNr")
        _add(columns, "Objektholder", pasient=patients)
    for store in ("Episode", "ApparatFremmote", "EpisodeKPP"):
        if columns.height(store):
            _add(columns, store, episode=_within_institution(columns, store, "episodeID"))
    if columns.height("Episode"):
        _add(columns, "Episode", **unit_columns(columns, findings, options))
    if columns.height("Prosedyre"):
        _derive_procedures(columns)
    if columns.height("MedisinskStraling"):
        _derive_radiotherapy(columns)
    if columns.height("PasientIdent"):
        from pipelines.identity.person_numbers import birth_dates

        dates = birth_dates(columns.frames["PasientIdent"]["fid"]).cast(pl.String)
        patients = _within_institution(columns, "PasientIdent", "pid")
        _add(columns, "PasientIdent", pasient=patients, fodselsdato=dates)


def _add(columns: Columns, store: str, **cells: pl.Series) -> None:
    columns.frames[store] = columns.frames[store].with_columns(**cells)


def _within_institution(columns: Columns, store: str, name: str) -> pl.Series:
    institution = columns.column("Institusjon", "institusjonID", at=store)
    number = columns.column(store, name)
    pair = pl.DataFrame({"institution": institution, "number": number})
    return pair.select(pl.concat_str("institution", "number", separator="/")).to_series()


def _derive_procedures(columns: Columns) -> None:
    starts = columns.column("Tiltak", "startDatoTid", at="Prosedyre")
    starts = starts.zip_with(starts.is_not_null(), columns.column("Tjeneste", "startDatoTid", at="Prosedyre"))
    episodes = columns.up("Prosedyre", "Episode")
    numbers = np.arange(len(episodes)) - np.searchsorted(episodes, episodes) + 1
    _add(columns, "Prosedyre", startDatoTid=starts, nummer=pl.Series(numbers, dtype=pl.Int64).cast(pl.String))


def _derive_radiotherapy(columns: Columns) -> None:
    """The region of each dose, by its volume, and the first day on which a volume may have been treated."""
    of = "_treatment"
    volumes, doses, series = (
        columns.frames[store].with_columns(
            pl.Series(of, columns.up(store, "MedisinskStraling"), dtype=pl.Int64)
        )
        for store in ("Referansevolum", "Dosebidrag", "Behandlingsserie")
    )
    regions = volumes.select(of, "referansevolumID", "regionkode").unique(
        [of, "referansevolumID"], keep="first", maintain_order=True
    )
    columns.frames["Dosebidrag"] = doses.join(
        regions, on=[of, "referansevolumID"], how="left", maintain_order="left"
    )
    first = series.group_by(of).agg(pl.col("datoForste").min())
    columns.frames["Referansevolum"] = volumes.join(first, on=of, how="left", maintain_order="left")
