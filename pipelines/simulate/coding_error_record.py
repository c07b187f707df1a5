"""The working copy of an extract in which coding errors are planted: condition groups, new rows, truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import polars as pl

Groups = list[list[str]]
"""Condition groups of a contact with their codes, without the dot; the first is the main condition."""
Kind = Literal["planted", "look_alike", "honest"]
SYSTEMS = {"K": "NCSP", "M": "NCMP", "R": "NCRP"}


def dotless(code: str) -> str:
    """A code as NPR sends it."""
    return code.replace(".", "")


def icd10(code: str) -> str:
    """A code of ICD-10 as the truth names it: with its system and dot."""
    bare = dotless(code)
    return f"ICD10-NO//{bare if len(bare) == 3 else f'{bare[:3]}.{bare[3:]}'}"


@dataclass(frozen=True)
class Place:
    """One code of a contact as the truth points at it.

    Attributes:
        contact_id, patient_id: as in the extract.
        code: as coded, with its system; null where it is missing.
        right_code: what should stand there; null where nothing should.
        group_no, code_no: where it stands; null where it does not, and for procedures.
    """

    contact_id: int
    patient_id: int
    code: str | None
    right_code: str | None
    group_no: int | None = None
    code_no: int | None = None


@dataclass
class Record:
    """Tables that change while errors are planted.

    Attributes:
        tables: those of the extract.
        groups: contact -> its condition groups.
        added: table -> rows that were added.
        used: contacts that a family has taken, and which; another leaves them alone.
        places: rows of the truth so far: number of the case, family, kind and place.
    """

    tables: dict[str, pl.DataFrame]
    groups: dict[int, Groups] = field(default_factory=dict)
    added: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    used: dict[int, str] = field(default_factory=dict)
    places: list[tuple[int, str, Kind, Place]] = field(default_factory=list)
    n_cases: int = 0

    @classmethod
    def open(cls, tables: Mapping[str, pl.DataFrame]) -> Record:
        """The working copy of an extract's tables."""
        record = cls(dict(tables))
        rows = tables["conditions"].select("kontakt_id", "tilstNr", "kodeVerdi")
        group = -1
        for contact, number, code in rows.iter_rows():
            groups = record.groups.setdefault(contact, [])
            if not groups or number != group:
                groups.append([])
            groups[-1].append(code)
            group = number
        return record

    def tell(self, family: str, kind: Kind, places: Sequence[Place]) -> None:
        """Write an error, a look-alike or an honest omission into the truth, with all its places."""
        self.places += [(self.n_cases, family, kind, place) for place in places]
        self.n_cases += 1

    def add(self, table: str, row: dict[str, object]) -> None:
        """Add a row to a table."""
        self.added.setdefault(table, []).append(row)

    def closed(self) -> dict[str, pl.DataFrame]:
        """The tables as they now are."""
        tables = dict(self.tables)
        for name, rows in self.added.items():
            if name in tables:
                schema = tables[name].schema
                tables[name] = pl.concat([tables[name], pl.DataFrame(rows, schema=schema, orient="row")])
            else:
                tables[name] = pl.DataFrame(rows, infer_schema_length=None)
        tables["conditions"] = self._conditions(tables["contacts"], tables["conditions"])
        for name, keys in (
            ("procedures", ["kontakt_id", "startDatoTid", "kodeVerdi"]),
            ("contact_facts", ["kontakt_id", "name"]),
        ):
            if self.added.get(name):
                tables[name] = tables[name].sort(keys, maintain_order=True)
        return tables

    def _conditions(self, contacts: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
        rows = [
            (contact, group, number, code)
            for contact, groups in self.groups.items()
            for group, codes in enumerate(groups, start=1)
            for number, code in enumerate(codes, start=1)
        ]
        coded = pl.DataFrame(
            rows, schema=["kontakt_id", "tilstNr", "kodeNr", "kodeVerdi"], orient="row"
        ).join(contacts.select("kontakt_id", "patient_id", "utDatoTid"), on="kontakt_id", how="left")
        return (
            coded.with_columns(
                kodeverk=pl.lit("D"), kodeVersjon=pl.col("utDatoTid").dt.year(), kodet_tid=pl.col("utDatoTid")
            )
            .select(pl.col(name).cast(dtype) for name, dtype in before.schema.items())
            .sort("kontakt_id", "tilstNr", "kodeNr")
        )

    def truth(self) -> pl.DataFrame:
        """truth/coding_errors.parquet, sorted by error_id and contact_id.

        Returns:
            error_id (rows of one case share it), patient_id, contact_id, family, is_error, kind, code,
            right_code, group_no, code_no, unit_id, hospital_id, time (of the contact's end).
        """
        rows = [
            (case, place.patient_id, place.contact_id, family, kind != "look_alike", kind, place.code,
             place.right_code, place.group_no, place.code_no)
            for case, family, kind, place in self.places
        ]  # fmt: skip
        schema = {
            "error_id": pl.Int64(), "patient_id": pl.Int64(), "contact_id": pl.Int64(), "family": pl.String(),
            "is_error": pl.Boolean(), "kind": pl.String(), "code": pl.String(), "right_code": pl.String(),
            "group_no": pl.Int32(), "code_no": pl.Int32(),
        }  # fmt: skip
        contacts = pl.concat(
            [
                self.tables["contacts"].select("kontakt_id", "enhet", "sykehus", "utDatoTid"),
                pl.DataFrame(
                    [
                        (row["kontakt_id"], row["enhet"], row["sykehus"], row["utDatoTid"])
                        for row in self.added.get("contacts", [])
                    ],
                    schema={
                        name: self.tables["contacts"].schema[name]
                        for name in ("kontakt_id", "enhet", "sykehus", "utDatoTid")
                    },
                    orient="row",
                ),
            ]
        ).select(
            contact_id=pl.col("kontakt_id").cast(pl.Int64),
            unit_id="enhet",
            hospital_id="sykehus",
            time="utDatoTid",
        )
        return (
            pl.DataFrame(rows, schema=schema, orient="row")
            .join(contacts, on="contact_id", how="left")
            .sort("error_id", "contact_id", "group_no", "code_no", nulls_last=True)
        )


def add_procedure(record: Record, contact_id: int, patient_id: int, code: str, time: datetime) -> None:
    """Add a procedure, `SYSTEM//code`, at a time of a contact."""
    system, value = code.split("//")
    letter = next(key for key, name in SYSTEMS.items() if name == system)
    record.add(
        "procedures",
        {
            "kontakt_id": contact_id,
            "patient_id": patient_id,
            "kodeverk": letter,
            "kodeVerdi": value,
            "startDatoTid": time,
        },
    )
