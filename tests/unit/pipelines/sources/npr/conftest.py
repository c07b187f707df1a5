"""Small NPR-meldinger to read: one hospital, made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.sources.extract import ingest, load_mapping
from pipelines.sources.npr.options import NprOptions
from pipelines.sources.npr.reader import NprReader
from pipelines.sources.records import FATES, InputFile

ENVELOPE = "http://www.kith.no/xmlstds/msghead/2006-05-24"
EPISODE = (
    '<Episode episodeID="E1" innDatoTid="2023-05-01T08:00:00" utDatoTid="2023-05-03T12:30:00" '
    'omsorgsniva="1" '
    'innmateHast="1" inntilstand="1" utTilstand="1" fraSted="1" tilSted="11" debitor="1" komNrHjem="5001" '
    'henvisningsperiodeID="H1"><Kontakt kontaktType="2" stedAktivitet="1"><Helseperson '
    'polUtforende="1"/></Kontakt>'
    '<RefEnhet enhetID="1" typeEnhet="1"/><RefEnhet enhetID="2" typeEnhet="2"/>'
    '<Tilstand tilstNr="1"><Kode kodeNr="1" Kodeverk="D" kodeVersjon="2023" kodeVerdi="E702"/>'
    '<Kode kodeNr="2" Kodeverk="D" kodeVersjon="2023" kodeVerdi="M368"/></Tilstand>'
    '<Tilstand tilstNr="2"><Kode kodeNr="1" Kodeverk="D" kodeVersjon="2023" kodeVerdi="I10"/></Tilstand>'
    '<Tjeneste startDatoTid="2023-05-02T10:00:00"><Tiltak typeTiltak="1"><Prosedyre prosNr="1" tilstNr="2">'
    '<Kode kodeNr="1" Kodeverk="K" kodeVersjon="2023" kodeVerdi="ABC16"/></Prosedyre></Tiltak>'
    "</Tjeneste></Episode>"
)
"""E70.2 with M36.8 is the model's own example of a condition of two codes."""
UNITS = '<Enhet enhetID="1" enhetLokal="Sykehuset Ås" reshID="7"/><Enhet enhetID="2" enhetLokal="Kirurgisk"/>'
PATIENT = f'<Objektholder pasientNr="77"><Pasient kjonn="2" fodselsar="1950"/>{EPISODE}</Objektholder>'


def melding(
    content: str = UNITS + PATIENT,
    *,
    module: str = "ord",
    version: str = "57_0_1",
    extract: str = "2024-01-15",
    number: str = "1",
    institution: str = "974706490",
) -> str:
    """A message with this content of its institution."""
    return (
        f'<Melding xmlns="http://www.npr.no/xmlstds/{version}_{module}" meldingstype="B" '
        f'fraDatoPeriode="2023-01-01" tilDatoPeriode="2023-12-31" uttakDato="{extract}" lopenr="{number}">'
        f'<Institusjon institusjonID="{institution}">{content}</Institusjon></Melding>'
    )


def in_envelope(*meldinger: str) -> str:
    """A MsgHead with one Document for each message."""
    documents = "".join(
        f"<Document><RefDoc><Content>{one}</Content></RefDoc></Document>" for one in meldinger
    )
    return f'<MsgHead xmlns="{ENVELOPE}"><MsgInfo><MsgId>1</MsgId></MsgInfo>{documents}</MsgHead>'


@dataclass(frozen=True)
class Read:
    """All that a reader told of one message: tables, fates, and how many records it met."""

    tables: dict[str, pl.DataFrame]
    fates: pl.DataFrame
    n_records: int
    notes: dict[tuple[str, str], int]
    raw: dict[int, bytes]

    @property
    def rejects(self) -> list[tuple[Any, ...]]:
        """(table, row, field, reason) of rejected records."""
        rejected = self.fates.filter(pl.col("fate") == "rejected")
        return rejected.select("table", "_row", "field", "reason").rows()

    @property
    def fields(self) -> list[tuple[Any, ...]]:
        """(table, row, field, reason) of wrong attributes of records that stand."""
        return self.fates.filter(pl.col("fate") == "field").select("table", "_row", "field", "reason").rows()

    @property
    def n_told(self) -> int:
        """Records in tables or with a fate of their own."""
        n_rows = sum(rows["_row"].n_unique() for rows in self.tables.values())
        ended = self.fates.filter(pl.col("fate") != "field")
        return n_rows + ended.select("table", "_row").n_unique()


Reading = Callable[..., Read]


@pytest.fixture
def read(tmp_path: Path) -> Reading:
    """Read a message (text or bytes); keyword arguments are options."""

    def reading(message: str | bytes, name: str = "m.xml", **options: Any) -> Read:
        path = tmp_path / name
        path.write_bytes(message.encode("utf-8") if isinstance(message, str) else message)
        parts = list(NprReader(NprOptions(**options)).read(InputFile(path, name, 0)))
        names = {name for part in parts for name in part.tables}
        tables = {
            name: pl.concat([part.tables[name] for part in parts if name in part.tables]) for name in names
        }
        notes: dict[tuple[str, str], int] = {}
        raw: dict[int, bytes] = {}
        for part in parts:
            raw |= dict(part.raw)
            for key, count in part.notes.items():
                notes[key] = notes.get(key, 0) + count
        fates = pl.concat([pl.DataFrame(schema=FATES), *(part.fates for part in parts)])
        return Read(tables, fates, sum(part.n_records for part in parts), notes, raw)

    return reading


@dataclass(frozen=True)
class Hospital:
    """The dataset: its events with the municipality of their subject, contacts, codings, windows, rejects."""

    events: pl.DataFrame
    contacts: pl.DataFrame
    codings: pl.DataFrame
    observation: pl.DataFrame
    rejected: pl.DataFrame

    def times(self, place: int, code: str, column: str = "time") -> list[str]:
        """When the patient of a municipality has events whose code begins so, in UTC."""
        subjects = self.events.filter(pl.col("code") == f"KOMMUNE//{place}")["subject_id"].unique()
        found = self.events.filter(
            pl.col("subject_id").is_in(subjects.implode()), pl.col("code").str.starts_with(code)
        )
        return [str(time) for time in found.sort("time")[column].to_list()]

    def codes(self, place: int, *systems: str) -> list[str]:
        """The codes of a patient in these systems, sorted."""
        subjects = self.events.filter(pl.col("code") == f"KOMMUNE//{place}")["subject_id"].unique()
        found = self.events.filter(pl.col("subject_id").is_in(subjects.implode()))["code"]
        return sorted(code for code in found if code.split("//")[0] in systems)

    def of(self, place: int, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of a patient by time of contact."""
        subject = self.events.filter(pl.col("code") == f"KOMMUNE//{place}")["subject_id"][0]
        return frame.filter(pl.col("subject_id") == subject).sort("start_time")


def ingested(mapping: str, source: Path, out: Path) -> Hospital:
    """The dataset of a source by a shipped mapping."""
    ingest(load_mapping(mapping), source, out, max_reject_share=1.0)
    frames = {path.stem: pl.read_parquet(path) for path in out.glob("*.parquet")}
    events = pl.concat([pl.read_parquet(path) for path in sorted((out / "data").glob("*.parquet"))])
    return Hospital(events, *(frames[name] for name in ("contacts", "codings", "observation", "rejected")))
