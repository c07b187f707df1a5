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
    "modul": ("Melding", "_modul"),
    "versjon": ("Melding", "_versjon"),
    "fraDatoPeriode": ("Melding", "fraDatoPeriode"),
    "tilDatoPeriode": ("Melding", "tilDatoPeriode"),
    "uttakDato": ("Melding", "uttakDato"),
    "institusjonID": ("Institusjon", "institusjonID"),
}
PATIENT = {
    **MESSAGE,
    "pasient": ("Objektholder", "pasient"),
    "pasientNr": ("Objektholder", "pasientNr"),
    "pasientGUID": ("Objektholder", "pasientGUID"),
}
EPISODE = {
    **PATIENT,
    **{
        name: ("Episode", name)
        for name in ("episode", "episodeID", "innDatoTid", "utDatoTid", "omsorgsniva", "enhet", "intensiv")
    },
}


@dataclass(frozen=True)
class TableOf:
    """One table.

    Attributes:
        rows: the store whose elements are its rows.
        columns: by column: the store on the way up, and the attribute.
        record: the store whose elements the account counts.
    """

    rows: str
    columns: Mapping[str, tuple[str, str]]
    record: str


def _own(store: str, *names: str) -> dict[str, tuple[str, str]]:
    return {name: (store, name) for name in names}


def _kode(store: str) -> dict[str, tuple[str, str]]:
    return _own(store, "kodeNr", "Kodeverk", "kodeVersjon", "kodeVerdi")


TABLES: Mapping[str, TableOf] = {
    "PasientIdent": TableOf(
        "PasientIdent",
        {**MESSAGE, **_own("PasientIdent", "pasient", "pid", "fid", "fodselsdato")},
        "PasientIdent",
    ),
    "Objektholder": TableOf("Objektholder", PATIENT, "Objektholder"),
    "Pasient": TableOf(
        "Pasient", {**PATIENT, **_own("Pasient", "kjonn", "fodselsar", "fodselsvekt")}, "Pasient"
    ),
    "Episode": TableOf(
        "Episode",
        {
            **EPISODE,
            **_own("Episode", "episodeGUID", "henvisningsperiodeID", "innmateHast", "inntilstand"),
            **_own("Episode", "utTilstand", "fraSted", "tilSted", "debitor", "komNrHjem"),
            **_own("Episode", *UNIT_COLUMNS),
        },
        "Episode",
    ),
    "Kontakt": TableOf("Kontakt", {**EPISODE, **_own("Kontakt", "kontaktType", "stedAktivitet")}, "Kontakt"),
    "Tilstand": TableOf(
        "TilstandKode", {**EPISODE, **_own("Tilstand", "tilstNr"), **_kode("TilstandKode")}, "Tilstand"
    ),
    "Prosedyre": TableOf(
        "ProsedyreKode",
        {
            **EPISODE,
            **_own("Tiltak", "typeTiltak"),
            **_own("Prosedyre", "startDatoTid", "prosNr", "tilstNr", "nummer"),
            **_kode("ProsedyreKode"),
        },
        "Prosedyre",
    ),
    "Behandlingsserie": TableOf(
        "Behandlingsserie",
        {
            **PATIENT,
            **_own("MedisinskStraling", "medisinskStralingID"),
            **_own("Behandlingsserie", "serieID", "intensjon", "nyPasient", "datoForste"),
        },
        "Behandlingsserie",
    ),
    "Dosebidrag": TableOf(
        "Dosebidrag",
        {
            **PATIENT,
            **_own("Behandlingsserie", "serieID"),
            **_own("ApparatFremmote", "episodeID", "episode"),
            **_own("Dosebidrag", "referansevolumID", "regionkode", "planDose", "gittDose"),
        },
        "Dosebidrag",
    ),
    "Referansevolum": TableOf(
        "Referansevolum",
        {
            **PATIENT,
            **_own("Referansevolum", "referansevolumID", "regionkode", "planlagtTotalDose", "datoForste"),
        },
        "Referansevolum",
    ),
    "EpisodeKPP": TableOf(
        "EpisodeKPP", {**PATIENT, **_own("EpisodeKPP", "episode", "episodeID", "drg", "total")}, "EpisodeKPP"
    ),
    "TjenesteKPP": TableOf(
        "TjenesteKPP",
        {
            **PATIENT,
            **_own("EpisodeKPP", "episode", "episodeID"),
            **_own("TjenesteKPP", "kostnadKode", "kostnad"),
        },
        "TjenesteKPP",
    ),
}
"""By name, as a mapping names them."""

SCHEMAS = {name: pl.Schema(dict.fromkeys(table.columns, pl.String())) for name, table in TABLES.items()}


def rows_of(
    table: TableOf, columns: Columns, is_row: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> pl.DataFrame:
    """The rows of a table: text columns, in the order in which their elements stand in the file.

    Args:
        table: which.
        columns: the batch, checked, with derived columns.
        is_row: which elements of the table's store become one.
    """
    at = pl.Series(np.flatnonzero(is_row), dtype=pl.UInt32)
    made = {}
    positions = {table.rows: at}
    for column, (store, name) in table.columns.items():
        if store not in positions:
            positions[store] = pl.Series(columns.up(table.rows, store)).gather(at)
        made[column] = columns.frames[store][name].gather(positions[store])
    return pl.DataFrame(made)


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
