"""The simulated hospital's activity as NPR-melding: a message a year and hospital, and one of identities.

What public sources do not tell (which version held in which year, the numbers of places that patients come
from and go to) is an assumption of ours, stated here and in docs/simulator.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pipelines.simulate.forms.npr_episodes import episode_tables, write_patient
from pipelines.simulate.forms.persons import national_numbers, organisation_number

if TYPE_CHECKING:
    from lxml.etree import _IncrementalFileWriter

VERSIONS = {
    2016: "53.1.1", 2017: "53.1.1", 2018: "54.0.1", 2019: "54.0.1", 2020: "55.0.1",
    2021: "55.0.1", 2022: "56.0.1", 2023: "57.0.1", 2024: "58.0.1", 2025: "58.0.1",
}  # fmt: skip
"""The version in which a year is sent. 53.1.1 for 2017, 57.0.1 for 2023 and 58.0.1 for 2024 and 2025 are
attested; the years between are our assumption."""
MESSAGE_HEAD = "http://www.kith.no/xmlstds/msghead/2006-05-24"
MOST_EPISODES = 30_000
"""Episodes in one message; about 1 kB each, so that none reaches the 50 MB of the ordinary channel."""
EXTRACTED = "2026-01-01"
TYPE_OF_NATIONAL_NUMBER = "1"
_LAST_YEAR = max(VERSIONS)


@dataclass(frozen=True)
class Message:
    """What a message says of itself.

    Attributes:
        module: ord (activity) or ide (identities).
        year: of the episodes' ends; those that go on belong to the last year.
        institution: the hospital's organisation number.
        number: running number among all messages, from 1.
        is_enveloped: whether it stands in a MsgHead envelope.
    """

    module: str
    year: int
    institution: str
    number: int
    is_enveloped: bool

    @property
    def namespace(self) -> str:
        """The namespace of the message's version and module."""
        return f"http://www.npr.no/xmlstds/{VERSIONS[self.year].replace('.', '_')}_{self.module}"

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the element Melding."""
        return {
            "versjon": VERSIONS[self.year],
            "meldingstype": "B",
            "fraDatoPeriode": f"{self.year}-01-01",
            "tilDatoPeriode": f"{self.year}-12-31",
            "uttakDato": EXTRACTED,
            "leverandor": "Pesta",
            "navnEPJ": "Simulert sykehus",
            "versjonEPJ": "1",
            "versjonUt": "1",
            "lopenr": str(self.number),
        }


def write_npr(tables: Mapping[str, pl.DataFrame], folder: Path) -> None:
    """Write the messages of all years and hospitals: YEAR-NUMBER-ord.xml and YEAR-NUMBER-ide.xml.

    Every second hospital sends its messages in the MsgHead envelope, the others bare.

    Args:
        tables: those of the extract; patients, contacts, conditions and procedures are used.
        folder: where the files go; made where it is absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    patients = tables["patients"].with_columns(national_numbers(tables["patients"]))
    episodes, units = episode_tables(tables)
    episodes = episodes.with_columns(year=pl.col("utDatoTid").dt.year().fill_null(_LAST_YEAR))
    hospitals = episodes["sykehus"].unique().sort().to_list()
    number = 0
    for year in VERSIONS:
        for place, hospital in enumerate(hospitals):
            chosen = episodes.filter(pl.col("year") == year, pl.col("sykehus") == hospital)
            for part in _parts(chosen):
                number += 1
                institution, is_enveloped = organisation_number(place), place % 2 == 0
                people = patients.join(part.select("patient_id").unique(), on="patient_id", how="semi")
                activity = Message("ord", year, institution, number, is_enveloped)
                _write_activity(folder, activity, units[hospital], people, part)
                _write_identities(folder, Message("ide", year, institution, number, is_enveloped), people)


def _parts(episodes: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Episodes in pieces of at most MOST_EPISODES (but for a patient with more), patients never divided."""
    if not episodes.height:
        return
    sizes = episodes.group_by("patient_id").len().sort("patient_id")
    piece = ((sizes["len"].cum_sum() - 1) // MOST_EPISODES).rename("piece")
    told = episodes.join(sizes.with_columns(piece).select("patient_id", "piece"), on="patient_id")
    for _, part in sorted(told.partition_by("piece", as_dict=True).items()):
        yield part.sort("patient_id", "innDatoTid", "kontakt_id")


def _write_activity(
    folder: Path, message: Message, units: list[str], people: pl.DataFrame, episodes: pl.DataFrame
) -> None:
    by_patient = episodes.partition_by("patient_id", as_dict=True)
    numbers = {unit: str(place) for place, unit in enumerate(units, start=1)}
    with ExitStack() as stack:
        writer = _open(stack, folder, message)
        for unit, enhet in numbers.items():
            _empty(writer, "Enhet", {"enhetID": enhet, "sektor": "1", "enhetLokal": unit})
        for patient in people.sort("patient_id").iter_rows(named=True):
            write_patient(writer, patient, by_patient[patient["patient_id"],], numbers)


def _write_identities(folder: Path, message: Message, people: pl.DataFrame) -> None:
    """The message that alone holds national numbers."""
    with ExitStack() as stack:
        writer = _open(stack, folder, message)
        for patient in people.sort("patient_id").iter_rows(named=True):
            attributes = {
                "pid": str(patient["patient_id"]),
                "fid": patient["national_number"],
                "typeID": TYPE_OF_NATIONAL_NUMBER,
            }
            _empty(writer, "PasientIdent", attributes)


def _open(stack: ExitStack, folder: Path, message: Message) -> _IncrementalFileWriter:
    """A file opened down to its Institusjon, to be closed by the stack."""
    from lxml import etree

    name = f"{message.year}-{message.number:03}-{message.module}.xml"
    writer = stack.enter_context(etree.xmlfile(str(folder / name), encoding="utf-8"))
    writer.write_declaration()
    if message.is_enveloped:
        stack.enter_context(writer.element("MsgHead", nsmap={None: MESSAGE_HEAD}))
        _message_info(writer, message)
        stack.enter_context(writer.element("Document"))
        stack.enter_context(writer.element("RefDoc"))
        _empty(writer, "MsgType", {"V": "XML", "DN": "XML-instans"})
        stack.enter_context(writer.element("Content"))
    stack.enter_context(writer.element("Melding", message.attributes, nsmap={None: message.namespace}))
    contact = {"kontPerson": "Test Kontaktperson", "meldEpost1": "test@example.org", "typeKontaktperson": "1"}
    _empty(writer, "Kontaktperson", contact)
    stack.enter_context(writer.element("Institusjon", {"institusjonID": message.institution}))
    return writer


def _message_info(writer: _IncrementalFileWriter, message: Message) -> None:
    with writer.element("MsgInfo"):
        _empty(writer, "Type", {"V": f"NPR_{message.module.upper()}", "DN": "Melding til NPR"})
        for name, text in (
            ("MIGversion", "v1.2 2006-05-24"),
            ("GenDate", f"{EXTRACTED}T00:00:00"),
            ("MsgId", f"00000000-0000-4000-8000-{message.number:012}"),
        ):
            with writer.element(name):
                writer.write(text)
        for role, organisation, number in (
            ("Sender", "Simulert sykehus", message.institution),
            ("Receiver", "Test Mottaker", organisation_number(99)),
        ):
            with writer.element(role), writer.element("Organisation"):
                with writer.element("OrganisationName"):
                    writer.write(organisation)
                with writer.element("Ident"):
                    with writer.element("Id"):
                        writer.write(number)
                    kind = {"V": "ENH", "S": "2.16.578.1.12.4.1.1.9051", "DN": "Organisasjonsnummer"}
                    _empty(writer, "TypeId", kind)


def _empty(writer: _IncrementalFileWriter, name: str, attributes: dict[str, str]) -> None:
    with writer.element(name, attributes):
        pass
