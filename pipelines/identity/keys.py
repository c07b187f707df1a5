"""The project's key: made once, kept apart from the dataset, readable by its owner alone."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from ontology.errors import ConfigurationError, Problem

KEY_BYTES = 32


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
    return load_key(path)


def load_key(path: Path) -> bytes:
    """The key that a file holds.

    Raises:
        ConfigurationError: no such file, others may read it, or it is no key.
    """
    if not path.is_file():
        raise ConfigurationError(
            Problem("no key here", str(path), next_step="give the key that the dataset was made with")
        )
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
