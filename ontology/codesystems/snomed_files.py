"""The snapshot files of a SNOMED CT release: which is which, their columns, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem


@dataclass(frozen=True)
class Shape:
    """One kind of file.

    Attributes:
        name: a regular expression that file names match from their beginning.
        numbers: columns that are read as numbers; all others are text.
        is_needed: whether a release without it cannot be read.
    """

    name: str
    numbers: tuple[str, ...]
    is_needed: bool = False


class Kind(Enum):
    """The kinds that are read.

    **Source:** SNOMED International, Release File Specifications (RF2), file naming and section 4 to 5.
    """

    CONCEPT = Shape(r"x?sct2_Concept_Snapshot", ("id",), is_needed=True)
    DESCRIPTION = Shape(r"x?sct2_Description_Snapshot", ("id", "conceptId", "typeId"), is_needed=True)
    RELATIONSHIP = Shape(
        r"x?sct2_Relationship_Snapshot", ("sourceId", "destinationId", "typeId"), is_needed=True
    )
    LANGUAGE = Shape(
        r"x?der2_cRefset_LanguageSnapshot", ("refsetId", "referencedComponentId", "acceptabilityId")
    )
    EXTENDED_MAP = Shape(
        r"x?der2_iisssccRefset_ExtendedMapSnapshot", ("refsetId", "referencedComponentId", "correlationId")
    )
    ASSOCIATION = Shape(
        r"x?der2_cRefset_AssociationSnapshot", ("refsetId", "referencedComponentId", "targetComponentId")
    )


@dataclass(frozen=True)
class Release:
    """The files of a release.

    Attributes:
        files: the files of each kind, sorted by path; empty where the release has none.
    """

    files: dict[Kind, list[Path]]

    def rows(self, kind: Kind, *columns: str) -> pl.LazyFrame:
        """Some columns of all files of a kind; where several files hold a row, the latest of it.

        Args:
            kind: which files.
            columns: names as in the file; those of the kind's `numbers` are Int64, others String.
        """
        casts = {name: pl.Int64() if name in kind.value.numbers else pl.String() for name in columns}
        files = self.files[kind]
        if not files:
            return pl.LazyFrame(schema=casts)
        wanted = [pl.col(name).fill_null("").cast(dtype) for name, dtype in casts.items()]
        if len(files) == 1:
            return _scan(files).select(wanted)
        return _latest(files).select(wanted)

    @contextmanager
    def told_faults(self) -> Iterator[None]:
        """What polars says of a broken file, said with the file and its lines instead.

        Raises:
            InputError: rows with another number of cells than the header, or numbers that are none.
        """
        try:
            yield
        except pl.exceptions.PolarsError as error:
            problems = [
                problem
                for kind, files in self.files.items()
                for file in files
                for problem in _faults(kind, file)
            ]
            reason = str(error).split("\n", 1)[0]
            raise InputError(problems or Problem("the release cannot be read", found=reason)) from None


def _scan(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_csv(files, separator="\t", quote_char=None, infer_schema=False, glob=False)


def _latest(files: list[Path]) -> pl.LazyFrame:
    """The rows of several files, of each id the latest; the largest file is scanned, the others are held."""
    largest = max(files, key=lambda file: file.stat().st_size)
    held = _scan([file for file in files if file != largest]).collect(engine="streaming")
    held = held.sort("id", "effectiveTime", maintain_order=True).unique(
        "id", keep="last", maintain_order=True
    )
    times = held.select("id", held_time="effectiveTime")
    main = _scan([largest])
    newer = main.join(times.lazy(), on="id", how="left", maintain_order="left").filter(
        pl.col("held_time").is_null() | (pl.col("effectiveTime") > pl.col("held_time"))
    )
    overtaken = main.select("id", "effectiveTime").join(times.lazy(), on="id")
    gone = (
        overtaken.filter(pl.col("effectiveTime") > pl.col("held_time"))
        .select("id")
        .collect(engine="streaming")
    )
    return pl.concat([newer.drop("held_time"), held.join(gone, on="id", how="anti").lazy()])


def find_release(folders: Sequence[Path]) -> Release:
    """The snapshot files in some folders.

    Raises:
        InputError: folders that do not exist, needed files that are missing, headers without needed columns.
    """
    problems = [Problem("no such folder", str(folder)) for folder in folders if not folder.is_dir()]
    named = sorted(file for folder in folders if folder.is_dir() for file in folder.rglob("*.txt"))
    files = {kind: [file for file in named if re.match(kind.value.name, file.name)] for kind in Kind}
    where = ", ".join(map(str, folders))
    problems += [
        Problem(
            f"no snapshot of kind {kind.name.lower()}",
            where,
            f"{len(named)} text files",
            kind.value.name.removeprefix("x?") + "*.txt",
            "give the unpacked folder of a release, with its Snapshot folder",
        )
        for kind, found in files.items()
        if kind.value.is_needed and not found
    ]
    for kind, found in files.items():
        for file in found:
            missing = [
                name
                for name in ("id", "effectiveTime", "active", *kind.value.numbers)
                if name not in _header(file)
            ]
            problems += [Problem(f"column {name} is missing", f"{file}, header") for name in missing]
    if problems:
        raise InputError(problems)
    return Release(files)


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig") as lines:
        return lines.readline().rstrip("\r\n").split("\t")


def _faults(kind: Kind, file: Path, most: int = 20) -> Iterator[Problem]:
    """The first faulty lines of a file, as problems."""
    header = _header(file)
    places = [(name, header.index(name)) for name in kind.value.numbers]
    told = 0
    with file.open(encoding="utf-8", errors="replace") as lines:
        next(lines)
        for number, line in enumerate(lines, 2):
            cells = line.rstrip("\r\n").split("\t")
            where = f"{file}, line {number}"
            if len(cells) != len(header):
                found = f"{len(cells)} cells"
                yield Problem(
                    "a row with another number of cells than the header", where, found, str(len(header))
                )
            elif bad := [name for name, place in places if not cells[place].isdigit()]:
                yield Problem("an identifier that is no number", where, ", ".join(bad), "digits")
            else:
                continue
            told += 1
            if told == most:
                return
