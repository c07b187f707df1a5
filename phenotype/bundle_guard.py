"""What a bundle's folder must be before anything in it is believed: format number, digests, and no pickle."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ontology.errors import BundleError, Problem

FORMAT = "pesta-bundle"
FORMAT_NUMBER = 2
MANIFEST = "model.json"
COPY = "copy the bundle again from the run that made it, or train the model again"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.(json|safetensors|txt|parquet)")
PICKLE_SUFFIXES = frozenset(
    {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".dill"}
)
PICKLE_BEGINNINGS = (
    *(bytes([0x80, protocol]) for protocol in range(2, 6)),
    b"PK\x03\x04",
    b"cos\n",
    b"cposix\n",
)
"""Protocols 2-5; the zip archive in which torch and numpy wrap pickles; protocol 0 calling into os."""


@dataclass(frozen=True)
class Migration:
    """One step from a format number to the next.

    Attributes:
        name: what changed, in words; it is told in BundleInfo.migrations.
        from_number: the format number that it reads; it writes from_number + 1.
        apply: the new manifest from the old one (digests have been checked before).
    """

    name: str
    from_number: int
    apply: Callable[[dict[str, Any]], dict[str, Any]]


MIGRATIONS: tuple[Migration, ...] = (
    Migration("a network's weights carry its number; queries, keys and values are one matrix", 1, dict),
)
"""Every step from an older format that can still be read.

Format 2 changed the weights and not the manifest: NetworkModel.from_parts turns the older ones.
"""


def migrate(
    manifest: dict[str, Any], migrations: Sequence[Migration] = MIGRATIONS, target: int = FORMAT_NUMBER
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The manifest at format number `target`, and the names of the steps taken.

    Raises:
        BundleError: no step leads on from the manifest's format number.
    """
    steps = {step.from_number: step for step in migrations}
    taken: list[str] = []
    number = manifest["format_number"]
    while number < target:
        if number not in steps:
            raise BundleError(
                Problem(
                    "this bundle's format is too old",
                    found=f"format number {number}",
                    allowed=f"{min([target, *steps])} to {target}",
                    next_step="train the model again",
                )
            )
        manifest = steps[number].apply(manifest) | {"format_number": number + 1}
        taken.append(steps[number].name)
        number += 1
    return manifest, tuple(taken)


def sha256(content: bytes) -> str:
    """The hexadecimal sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """The sha256 of a manifest without its own digest, keys in order."""
    kept = {key: value for key, value in manifest.items() if key != "digest"}
    return sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode())


def refusal(where: Path, what: str, *, found: str = "", allowed: str = "", do: str = COPY) -> BundleError:
    """One BundleError about a file or folder of a bundle."""
    return BundleError(Problem(what, str(where), found, allowed, do))


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file of a bundle.

    Raises:
        BundleError: no file, no JSON, or no object.
    """
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        found = type(error).__name__
        raise refusal(file, "not readable as JSON", found=found, allowed="a JSON object") from error
    if not isinstance(document, dict):
        raise refusal(file, "not a JSON object", found=type(document).__name__, allowed="a JSON object")
    return document


def read_manifest(folder: Path) -> dict[str, Any]:
    """model.json, if it is a bundle's, of a known format number, and unchanged since it was written.

    Raises:
        BundleError: it is none of these.
    """
    file = folder / MANIFEST
    if not file.is_file():
        found = "a folder without model.json" if folder.is_dir() else "no such folder"
        raise refusal(
            folder, "no bundle here", found=found, allowed="a folder that `pesta run` wrote in bundle/"
        )
    manifest = read_json(file)
    if manifest.get("format") != FORMAT:
        raise refusal(file, "not a bundle", found=f"format {manifest.get('format')!r}", allowed=FORMAT)
    number = manifest.get("format_number")
    if type(number) is not int or not 1 <= number <= FORMAT_NUMBER:
        what = "a bundle format that this version cannot read"
        do = "use the version of pesta that wrote it, or a later one"
        raise refusal(file, what, found=f"format number {number!r}", allowed=f"1 to {FORMAT_NUMBER}", do=do)
    if manifest.get("digest") != manifest_digest(manifest) or not isinstance(manifest.get("files"), dict):
        raise refusal(file, "the manifest was changed", found="another digest than it states of itself")
    return manifest


def check_files(folder: Path, digests: Mapping[str, str]) -> None:
    """Compares a folder with the digests of its files; nothing is parsed to find out.

    Args:
        folder: the bundle.
        digests: file name -> sha256, from the manifest.

    Raises:
        BundleError: every file that is missing, damaged, not listed, or a pickle.
    """
    names = sorted(entry.name for entry in folder.iterdir() if entry.name != MANIFEST)
    problems = [_problem(folder / name, digests.get(name)) for name in names]
    missing = [
        Problem("a file is missing", str(folder / name), "", "", COPY)
        for name in digests
        if name not in names
    ]
    if found := [*(problem for problem in problems if problem), *missing]:
        raise BundleError(found)


def _problem(entry: Path, digest: str | None) -> Problem | None:
    allowed = "the files that model.json lists, of json, safetensors, txt and parquet"
    if entry.is_symlink() or not entry.is_file():
        return Problem("not a plain file", str(entry), "a link or a folder", allowed, "remove it")
    content = entry.read_bytes()
    if entry.suffix.lower() in PICKLE_SUFFIXES or content.startswith(PICKLE_BEGINNINGS):
        what = "a pickle, which can run any code when it is loaded"
        return Problem(what, str(entry), f"{entry.suffix} file", allowed, "do not trust this bundle; " + COPY)
    if digest is None or not FILE_NAME.fullmatch(entry.name):
        return Problem(
            "a file that is not the bundle's", str(entry), "a file not listed", allowed, "remove it"
        )
    if sha256(content) != digest:
        what = "a damaged file: its sha256 is not the one in model.json"
        return Problem(what, str(entry), f"{len(content)} bytes", "the bytes that were written", COPY)
    return None
