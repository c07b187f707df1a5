"""The extract's tables as the hospital would send them, with what the date of the extract cuts off.

Contacts, conditions and procedures carry the attribute names of NPR's message (innDatoTid, tilstNr,
kodeVerdi ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.simulate.clock import END_DAYS, to_dates, to_instants
from pipelines.simulate.coding import Codes
from pipelines.simulate.contacts import Contacts
from pipelines.simulate.cultures import Cultures
from pipelines.simulate.drugs import Doses
from pipelines.simulate.population import Population
from pipelines.simulate.procedures import MEDICAL, Procedures

FIRST_CONTACT_ID = 5_000_001
LAST_MINUTE = 1439.0 / 1440.0


def write_extract(tables: Mapping[str, pl.DataFrame], folder: Path) -> None:
    """All tables as CSV files of a folder, which is made where it is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_table(table, folder / f"{name}.csv")


def write_table(table: pl.DataFrame, file: Path) -> None:
    """One table as CSV, times to the minute; the same frame gives the same bytes."""
    table.write_csv(file, datetime_format="%Y-%m-%dT%H:%M", date_format="%Y-%m-%d", line_terminator="\n")


def patients(population: Population, people: np.ndarray, patient_id: np.ndarray) -> pl.DataFrame:
    """patient_id, birth_date, kjonn (1 male, 2 female), kommunenummer."""
    return pl.DataFrame(
        {
            "patient_id": patient_id,
            "birth_date": to_dates(population.birth[people]),
            "kjonn": np.where(population.is_female[people], 2, 1),
            "kommunenummer": population.municipality[people],
        }
    )


def deaths(
    patient_id: np.ndarray, death: np.ndarray, *, died_here: np.ndarray, registered: np.ndarray
) -> pl.DataFrame:
    """patient_id, death_date, death_time (in hospital only), registered_date; what is registered by then."""
    rows = registered < END_DAYS
    return pl.DataFrame(
        {
            "patient_id": patient_id[rows],
            "death_date": to_dates(death[rows]),
            "death_time": to_instants(np.where(died_here, death, np.nan)[rows]),
            "registered_date": to_dates(registered[rows]),
        }
    )


def movements(
    population: Population, people: np.ndarray, patient_id: np.ndarray, death_end: np.ndarray
) -> pl.DataFrame:
    """patient_id, from_time, to_time, reason: windows of residence, ended by moving, death or the extract.

    Args:
        population: its windows.
        people: the patients, index into the population.
        patient_id: theirs.
        death_end: when each death ends a window as the extract knows it, inf = alive, (n,).
    """
    frames = []
    for window in range(2):
        begin, end = population.residence[people, window, 0], population.residence[people, window, 1]
        there = np.isfinite(begin) & (begin < death_end)
        stop = np.minimum(end, death_end)
        reason = np.where(death_end <= end, "død", np.where(end >= END_DAYS, "uttrekk", "utflytting"))
        frames.append(
            pl.DataFrame(
                {
                    "patient_id": patient_id[there],
                    "from_time": to_instants(begin[there]),
                    "to_time": to_instants(np.minimum(stop, END_DAYS)[there]),
                    "reason": np.where(
                        death_end >= END_DAYS, np.where(end >= END_DAYS, "uttrekk", reason), reason
                    )[there],
                }
            )
        )
    return pl.concat(frames).sort("patient_id", "from_time")


def contact_rows(
    contacts: Contacts, patient_id: np.ndarray, hospital: np.ndarray, *, died: np.ndarray, places: np.ndarray
) -> pl.DataFrame:
    """contacts.csv, one row a contact that had begun by the extract.

    Args:
        contacts: the contacts.
        patient_id: of each contact.
        hospital: name of the hospital of each contact.
        died: whether the patient died at the end of the contact.
        places: where patients come from and go to, (n, 2) str.
    """
    ended = contacts.end < END_DAYS
    leaves = np.where(died, "", np.where(contacts.is_last, places[:, 1], "annen avdeling"))
    return pl.DataFrame(
        {
            "kontakt_id": FIRST_CONTACT_ID + np.arange(len(contacts.person)),
            "patient_id": patient_id,
            "innDatoTid": to_instants(contacts.start),
            "utDatoTid": to_instants(np.where(ended, contacts.end, np.nan)),
            "omsorgsniva": contacts.level,
            "innmateHast": contacts.urgency,
            "sykehus": hospital,
            "enhet": contacts.unit,
            "fraSted": np.where(contacts.is_first, places[:, 0], "annen avdeling"),
            "tilSted": pl.Series(np.where(ended, leaves, "")).replace("", None),
            "utTilstand": pl.Series(np.where(died, 2, 1)).set(pl.Series(~ended), None),
            "henvisningsperiodeID": contacts.referral,
        }
    ).filter(pl.Series(contacts.start < END_DAYS))


def conditions(
    codes: Codes, contacts: Contacts, visit_code: np.ndarray, stay_main: np.ndarray, patient_id: np.ndarray
) -> pl.DataFrame:
    """conditions.csv: all codes at the last contact of a stay, the main one at the others."""
    inside = contacts.stay >= 0
    last = np.flatnonzero(inside & contacts.is_last)
    of_stay = np.full(int(contacts.stay.max()) + 1, -1)
    of_stay[contacts.stay[last]] = last
    others = np.flatnonzero(inside & ~contacts.is_last)
    visits = np.flatnonzero(~inside)
    single = np.concatenate([others, visits])
    code = np.concatenate([codes.code, stay_main[contacts.stay[others]], visit_code[contacts.visit[visits]]])
    contact = np.concatenate([of_stay[codes.stay], single])
    group = np.concatenate([codes.group_no, np.ones(len(single), dtype=int)])
    number = np.concatenate([codes.code_no, np.ones(len(single), dtype=int)])
    keep = contacts.end[contact] < END_DAYS
    coded = contacts.end[contact]
    return (
        pl.DataFrame(
            {
                "kontakt_id": FIRST_CONTACT_ID + contact,
                "patient_id": patient_id[contact],
                "tilstNr": group,
                "kodeNr": number,
                "kodeverk": ["D"] * len(code),
                "kodeVersjon": to_instants(coded).dt.year(),
                "kodeVerdi": pl.Series(code).str.replace(".", "", literal=True),
                "kodet_tid": to_instants(coded),
            }
        )
        .filter(pl.Series(keep))
        .sort("kontakt_id", "tilstNr", "kodeNr")
    )


def procedure_rows(procedures: Procedures, contacts: Contacts, patient_id: np.ndarray) -> pl.DataFrame:
    """procedures.csv: NCSP (K) and NCMP (M) codes with their time."""
    keep = contacts.end[procedures.contact] < END_DAYS
    contact, code = procedures.contact[keep], procedures.code[keep]
    return pl.DataFrame(
        {
            "kontakt_id": FIRST_CONTACT_ID + contact,
            "patient_id": patient_id[contact],
            "kodeverk": np.where(np.isin(code, sorted(MEDICAL)), "M", "K"),
            "kodeVerdi": code,
            "startDatoTid": to_instants(procedures.day[keep]),
        }
    )


def drug_rows(doses: Doses, contact: np.ndarray, patient_id: np.ndarray) -> pl.DataFrame:
    """drugs.csv: one row a dose given before the extract."""
    return pl.DataFrame(
        {
            "kontakt_id": FIRST_CONTACT_ID + contact,
            "patient_id": patient_id,
            "atc": doses.atc,
            "given_time": to_instants(doses.day),
            "dose": doses.dose,
            "dose_unit": doses.unit,
        }
    ).filter(pl.Series(doses.day < END_DAYS))


def culture_rows(cultures: Cultures, contact: np.ndarray, patient_id: np.ndarray) -> pl.DataFrame:
    """blood_cultures.csv: result is "vekst" or "ingen vekst", empty while unanswered at the extract."""
    answered = cultures.answered < END_DAYS
    result = np.where(cultures.organism != "", "vekst", "ingen vekst")
    return pl.DataFrame(
        {
            "kontakt_id": FIRST_CONTACT_ID + contact,
            "patient_id": patient_id,
            "collected_time": to_instants(cultures.collected),
            "answered_time": to_instants(np.where(answered, cultures.answered, np.nan)),
            "result": pl.Series(np.where(answered, result, "")).replace("", None),
            "organism": pl.Series(np.where(answered, cultures.organism, "")).replace("", None),
        }
    ).filter(pl.Series(cultures.collected < END_DAYS))
