"""The manifest of a written ontology: what it holds, what it was built from, proof that files are whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ontology.errors import InputError, Problem
from ontology.terminology import Source

FORMAT_NUMBER = 1
NAME = "manifest.json"


class Manifest(BaseModel):
    """What stands in manifest.json.

    Attributes:
        format: always pesta-ontology.
        format_number: rises when the folder's shape changes.
        digest: sha256 over the tables, whatever the order of their rows.
        systems: the code systems.
        languages: the order in which labels are looked for.
        counts: rows of each table, distinct concepts, pairs of the closure.
        faults: how many faults of each kind the lists have; faults.parquet names them.
        sources: the files that were read.
        files: the sha256 of each file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["pesta-ontology"] = "pesta-ontology"
    format_number: int = FORMAT_NUMBER
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    systems: tuple[str, ...]
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    counts: dict[str, int]
    faults: dict[str, int]
    sources: tuple[Source, ...]
    files: dict[str, str]


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest under its name when it is whole."""
    temporary = folder / f".{NAME}.part"
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
    temporary.replace(folder / NAME)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        InputError: there is none, it is no manifest of an ontology, or its format is not known.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            Problem(
                "no ontology is there",
                where=str(path),
                allowed="a folder that `pesta ontology build` wrote",
                next_step="check the path, or build the ontology",
            )
        ) from None
    except OSError as error:
        found = error.strerror or ""
        raise InputError(Problem("no ontology can be read there", where=str(path), found=found)) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise InputError(damaged(path, "not JSON")) from None
    if not isinstance(content, dict) or content.get("format") != "pesta-ontology":
        raise InputError(damaged(path, "not the manifest of an ontology"))
    if content.get("format_number") != FORMAT_NUMBER:
        raise InputError(
            Problem(
                "this ontology's format is not known",
                where=str(path),
                found=f"format number {content.get('format_number')!r}",
                allowed=f"format number {FORMAT_NUMBER}",
                next_step="build the ontology again with this version, or take a newer version of Pesta",
            )
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        places = {".".join(map(str, fault["loc"])): fault["msg"] for fault in error.errors()}
        told = [damaged(path, f"{place}: {message}") for place, message in places.items()]
        raise InputError(told) from None


def check_files(folder: Path, manifest: Manifest, names: Sequence[str]) -> None:
    """See that files are there and are the ones that the manifest tells of.

    Raises:
        InputError: some are not; all of them are named.
    """
    problems = []
    for name in names:
        path = folder / name
        if not path.is_file():
            problems.append(damaged(path, "missing"))
        elif file_sha256(path) != manifest.files.get(name):
            problems.append(damaged(path, "not the file that the manifest tells of"))
    if problems:
        raise InputError(problems)


def damaged(path: Path, found: str) -> Problem:
    """A part of a release that is not as it was written."""
    return Problem(
        "the ontology is damaged",
        where=str(path),
        found=found,
        next_step="copy the folder again from where it was built, or build the ontology again",
    )


def file_sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
