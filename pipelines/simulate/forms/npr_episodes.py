"""Episodes of one patient in an NPR-melding: contacts with their units, conditions and procedures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from lxml.etree import _IncrementalFileWriter

PLACES = {"hjem": "1", "annen avdeling": "7", "sykehjem": "11"}
"""Where patients come from and go to; the numbers are an assumption of ours."""
ORDINARY_DEBTOR, ALIVE, TREATMENT, OWN_INSTITUTION, DEPARTMENT = "1", "1", "2", "1", "7"
_CONDITION, _PROCEDURE = ("tilstNr", "kodeNr", "kodeverk", "kodeVersjon", "kodeVerdi"), (
    "startDatoTid", "kodeverk", "kodeVerdi",
)  # fmt: skip


def episode_tables(
    tables: Mapping[str, pl.DataFrame],
) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """Contacts with their codes as lists, and the units of each hospital by name.

    Returns:
        The columns of contacts with `conditions` and `procedures` (lists of structs, null where none), and
        the units of each hospital in alphabetical order.
    """
    contacts = tables["contacts"]
    for name, columns in (("conditions", _CONDITION), ("procedures", _PROCEDURE)):
        rows = tables[name].group_by("kontakt_id", maintain_order=True).agg(pl.struct(columns).alias(name))
        contacts = contacts.join(rows, on="kontakt_id", how="left")
    named = contacts.group_by("sykehus").agg(pl.col("enhet").unique().sort())
    return contacts, dict(named.iter_rows())


def write_patient(
    writer: _IncrementalFileWriter,
    patient: Mapping[str, Any],
    episodes: pl.DataFrame,
    units: Mapping[str, str],
) -> None:
    """One Objektholder with the patient and the patient's episodes.

    Args:
        writer: of the message, within Institusjon.
        patient: a row of patients.
        episodes: the patient's rows of `episode_tables`.
        units: the number of each unit in the message.
    """
    with writer.element("Objektholder", {"pasientNr": str(patient["patient_id"])}):
        who = {"kjonn": str(patient["kjonn"]), "fodselsar": str(patient["birth_date"].year)}
        with writer.element("Pasient", who):
            pass
        for episode in episodes.iter_rows(named=True):
            _write_episode(writer, episode, patient["kommunenummer"], units[episode["enhet"]])


def _write_episode(
    writer: _IncrementalFileWriter, episode: Mapping[str, Any], municipality: str, unit: str
) -> None:
    from lxml import etree

    element = etree.Element("Episode", _attributes(episode, municipality))
    contact = etree.SubElement(
        element, "Kontakt", {"kontaktType": TREATMENT, "stedAktivitet": OWN_INSTITUTION}
    )
    etree.SubElement(contact, "Helseperson", {"polUtforende": "1"})
    etree.SubElement(element, "RefEnhet", {"enhetID": unit, "typeEnhet": DEPARTMENT})
    conditions: dict[str, Any] = {}
    for code in episode["conditions"] or ():
        group = str(code["tilstNr"])
        if group not in conditions:
            conditions[group] = etree.SubElement(element, "Tilstand", {"tilstNr": group})
        _code(
            conditions[group], str(code["kodeNr"]), code["kodeverk"], code["kodeVersjon"], code["kodeVerdi"]
        )
    for number, done in enumerate(episode["procedures"] or (), start=1):
        service = etree.SubElement(element, "Tjeneste", {"startDatoTid": _instant(done["startDatoTid"])})
        measure = etree.SubElement(service, "Tiltak", {"typeTiltak": "1"})
        procedure = etree.SubElement(measure, "Prosedyre", {"prosNr": str(number)})
        _code(procedure, "1", done["kodeverk"], done["startDatoTid"].year, done["kodeVerdi"])
    writer.write(element)


def _attributes(episode: Mapping[str, Any], municipality: str) -> dict[str, str]:
    """The attributes of Episode; what is not known is left out."""
    end, state = episode["utDatoTid"], episode["utTilstand"]
    given = {
        "episodeID": str(episode["kontakt_id"]),
        "henvisningsperiodeID": str(episode["henvisningsperiodeID"]),
        "innDatoTid": _instant(episode["innDatoTid"]),
        "utDatoTid": _instant(end) if end else None,
        "debitor": ORDINARY_DEBTOR,
        "komNrHjem": municipality,
        "inntilstand": ALIVE,
        "innmateHast": str(episode["innmateHast"]),
        "omsorgsniva": str(episode["omsorgsniva"]),
        "utTilstand": str(state) if state else None,
        "fraSted": PLACES[episode["fraSted"]],
        "tilSted": PLACES[episode["tilSted"]] if episode["tilSted"] else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _code(parent: Any, number: str, system: str, version: int, code: str) -> None:
    from lxml import etree

    given = {"kodeNr": number, "Kodeverk": system, "kodeVersjon": str(version), "kodeVerdi": code}
    etree.SubElement(parent, "Kode", given)


def _instant(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}"
