"""Keyed pseudonyms: whoever lacks the project's key cannot tell a patient, nor link two projects."""

from __future__ import annotations

import hashlib
from typing import Literal

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem
from pipelines.identity.date_shift import Shifts
from pipelines.identity.person_numbers import NATIONAL_SYSTEMS, person_keys, read_person_number
from pipelines.identity.policy import DateShift

Kind = Literal["subject", "contact", "referral"]
NATIONAL_SPACE = "urn:oid:2.16.578.1.12.4.1.4"
"""The id space of subjects with a national number, whatever source named them."""
LARGEST = 2**63
KEPT = "kept"
"""What dataset.json says of `ids` that stayed as they were."""
FEWEST_NUMBERS, MOST_NUMBERS = 3, 0.25
"""Of ids that are kept and have ten to twelve digits, how many, and what share, may not pass as numbers.

By chance 1.1 % of eleven digits pass and 1.4 % of ten (with the zero that a whole number lost).
"""
_DIGITS = r"^[0-9]{10,12}$"
_NATIONAL_KEYS = tuple(f"{system}|" for system in NATIONAL_SYSTEMS)


class Pseudonyms:
    """Pseudonyms of one source's ids under one key; remembers them so that no two ids share one.

    A pseudonym is a whole number: the first 63 bits of BLAKE2b, keyed, over kind, id space and id. The id
    space of a subject whose text is a national key (`person_key`) is that of the nation: under one key such a
    subject is one in every source.

    Args:
        key: the project's.
        id_space: which sources share ids.
        keep_ids: whether ids that are whole numbers of 63 bits stay as they are: they are pseudonyms already.
            One that passes as a person number does not stay.

    **Source:** RFC 7693 (BLAKE2, keyed mode).
    """

    def __init__(self, key: bytes, id_space: str, *, keep_ids: bool = False) -> None:
        self._key = key
        self._id_space = id_space
        self._keep_ids = keep_ids
        self._known: dict[Kind, dict[str, int]] = {"subject": {}, "contact": {}, "referral": {}}

    def of(self, kind: Kind, ids: pl.Series) -> pl.Series:
        """One Int64 a text; null stays null. Equal ids of one kind get equal pseudonyms."""
        known = self._known[kind]
        distinct = ids.unique().drop_nulls()
        if self._keep_ids:
            _check_not_numbers(kind, distinct)
        for text in distinct.to_list():
            if text not in known:
                known[text] = self._one(kind, text)
        if not distinct.len():
            return pl.repeat(None, ids.len(), dtype=pl.Int64, eager=True)
        pseudonyms = pl.Series([known[text] for text in distinct.to_list()], dtype=pl.Int64)
        return ids.replace_strict(distinct, pseudonyms, default=None, return_dtype=pl.Int64)

    def _one(self, kind: Kind, text: str) -> int:
        if self._keep_ids and _is_kept(text):
            return int(text)
        is_national = kind == "subject" and text.startswith(_NATIONAL_KEYS)
        id_space = NATIONAL_SPACE if is_national else self._id_space
        message = "\x1f".join((kind, id_space, text)).encode()
        return int.from_bytes(hashlib.blake2b(message, key=self._key, digest_size=8).digest(), "big") >> 1

    def shifts(self, shift: DateShift) -> Shifts:
        """The date shifts of the project's subjects.

        Args:
            shift: what the policy says.
        """
        return Shifts(self._key, shift)

    def count(self, kind: Kind) -> int:
        """How many ids of a kind have been met."""
        return len(self._known[kind])

    def check(self) -> None:
        """Make sure that no two ids share a pseudonym.

        Raises:
            InputError: two do, which chance brings about once in ten million sources of a million patients.
        """
        for kind, known in self._known.items():
            if len(set(known.values())) != len(known):
                raise InputError(
                    Problem(
                        f"two {kind} ids have one pseudonym", next_step="take another key and ingest again"
                    )
                )


def _is_kept(text: str) -> bool:
    is_whole = text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < LARGEST
    return is_whole and not (len(text) in {11, 12} and read_person_number(text))


def _check_not_numbers(kind: Kind, ids: pl.Series) -> None:
    """Make sure that ids that are to be kept are no person numbers."""
    long = ids.filter(ids.str.contains(_DIGITS))
    n_numbers = person_keys(long.str.zfill(11)).is_not_null().sum()
    if n_numbers >= FEWEST_NUMBERS and n_numbers > MOST_NUMBERS * long.len():
        raise ConfigurationError(
            Problem(
                f"{kind} ids are person numbers: they cannot be kept",
                found=f"{n_numbers:,} of {long.len():,} ids of ten to twelve digits",
                next_step="ingest without --keep-ids",
            )
        )
