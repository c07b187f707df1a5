"""Keyed pseudonyms: whoever lacks the project's key cannot tell a patient, nor link two projects."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Literal

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem

KEY_BYTES = 32
Kind = Literal["subject", "contact", "referral"]


def default_key_path(out: Path) -> Path:
    """Where a dataset's key is kept: beside the dataset, never inside it."""
    return out.with_name(f"{out.name}.key")


def load_or_make_key(path: Path, out: Path) -> bytes:
    """The project's key, made when the file is absent (mode 600).

    Args:
        path: the key file.
        out: the dataset's folder, which must not hold it.

    Raises:
        ConfigurationError: the key lies inside the dataset, others may read it, or it is no key.
    """
    if out.resolve() in path.resolve().parents:
        raise ConfigurationError(
            Problem(
                "the key lies inside the dataset",
                str(path),
                next_step="keep it where the dataset is not sent along",
            )
        )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigurationError(
            Problem("others may read the key", str(path), f"mode {mode:o}", "mode 600", f"chmod 600 {path}")
        )
    text = path.read_bytes().strip()
    if len(text) != 2 * KEY_BYTES or not set(text) <= set(b"0123456789abcdef"):
        raise ConfigurationError(
            Problem(
                "not a key",
                str(path),
                f"{len(text)} bytes",
                f"{2 * KEY_BYTES} hexadecimal digits",
                "give the key file",
            )
        )
    return bytes.fromhex(text.decode("ascii"))


def fingerprint(key: bytes) -> str:
    """Eight digits that tell two keys apart and give neither away."""
    return hashlib.blake2b(b"fingerprint", key=key, digest_size=4).hexdigest()


class Pseudonyms:
    """Pseudonyms of one source's ids under one key; remembers them so that no two ids share one.

    A pseudonym is a whole number: the first 63 bits of BLAKE2b, keyed, over kind, id space and id.

    **Source:** RFC 7693 (BLAKE2, keyed mode).
    """

    def __init__(self, key: bytes, id_space: str) -> None:
        self._key = key
        self._id_space = id_space
        self._known: dict[Kind, dict[str, int]] = {"subject": {}, "contact": {}, "referral": {}}

    def of(self, kind: Kind, ids: pl.Series) -> pl.Series:
        """One Int64 a text; null stays null. Equal ids of one kind get equal pseudonyms."""
        known = self._known[kind]
        distinct = ids.unique().drop_nulls()
        for text in distinct.to_list():
            if text not in known:
                known[text] = self._one(kind, text)
        if not distinct.len():
            return pl.repeat(None, ids.len(), dtype=pl.Int64, eager=True)
        pseudonyms = pl.Series([known[text] for text in distinct.to_list()], dtype=pl.Int64)
        return ids.replace_strict(distinct, pseudonyms, default=None, return_dtype=pl.Int64)

    def _one(self, kind: Kind, text: str) -> int:
        message = "\x1f".join((kind, self._id_space, text)).encode()
        return int.from_bytes(hashlib.blake2b(message, key=self._key, digest_size=8).digest(), "big") >> 1

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
