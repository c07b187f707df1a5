"""The record reader of FHIR: finds files of any form, and turns their records into rows of tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ontology.errors import InputError, Problem
from pipelines.identity.scrubbing import scrub_text
from pipelines.sources.fhir import documents, ndjson
from pipelines.sources.fhir.batch import Sent
from pipelines.sources.fhir.bundles import Unpacker, is_bundle
from pipelines.sources.fhir.forms import Form, form_of, types_of_files
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.parsing import (
    BLANK,
    TOO_LARGE,
    UnreadableJsonError,
    all_parsed,
    parsed,
    paused_collection,
)
from pipelines.sources.fhir.parts import PartMaker
from pipelines.sources.fhir.plain_observations import PlainReader
from pipelines.sources.fhir.projection import LOOKUPS, SCHEMAS
from pipelines.sources.fhir.references import Resolver
from pipelines.sources.fhir.sampling import Sampler
from pipelines.sources.records import DELETED, InputFile, Part

_BUNDLE = b'"Bundle"'


class FhirReader:
    """Reads bulk NDJSON, Bundles and single resources, JSON or XML, plain or gzip.

    Args:
        options: of the mapping.
    """

    schemas: Mapping[str, pl.Schema] = SCHEMAS
    lookups: frozenset[str] = LOOKUPS | {DELETED}

    def __init__(self, options: FhirOptions) -> None:
        self._options = options
        self._n_files: Counter[str] = Counter()
        self._plain_reader = PlainReader(Resolver(options), options)

    def find(self, input_path: Path) -> list[InputFile]:
        """The files of a folder that hold FHIR, by path; logs, manifests and all else are left.

        Raises:
            InputError: none does.
        """
        forms = {path: form_of(path) for path in _candidates(input_path)}
        found = [path for path, form in forms.items() if form is not None]
        if not found:
            raise InputError(_nothing_found(input_path, list(forms)))
        self._n_files = types_of_files(found)
        base = input_path if input_path.is_dir() else input_path.parent
        is_kept = self._options.keep_file_names
        labels = [
            scrub_text(path.relative_to(base).as_posix())
            if is_kept or forms[path] == Form.LINES
            else _nameless(path.relative_to(base), number)
            for number, path in enumerate(found, start=1)
        ]
        repeated = {label for label, count in Counter(labels).items() if count > 1}
        return [
            InputFile(path, f"{label} (file {number + 1})" if label in repeated else label, number)
            for number, (path, label) in enumerate(zip(found, labels, strict=True))
        ]

    def read(self, file: InputFile) -> Iterator[Part]:
        """The file's records, some megabytes at a time.

        Raises:
            InputError: the file cannot be read to its end.
        """
        options = self._options
        resolver = Resolver(options)
        sampler = Sampler(options, file.number, self._n_files)
        maker = PartMaker(options, resolver, sampler, file.number)
        if form_of(file.path) == Form.LINES:
            yield from _lines(file, self._plain_reader, Unpacker(maker, resolver), options)
        else:
            yield from documents.parts(file, maker, resolver, options)


def _nameless(path: Path, number: int) -> str:
    """What a document is called whose own name may be a patient's: its place among the files by path."""
    folder = "" if path.parent == Path() else f"{scrub_text(path.parent.as_posix())}/"
    return f"{folder}document-{number}{''.join(path.suffixes[-2:]) if path.suffix == '.gz' else path.suffix}"


def _candidates(input_path: Path) -> list[Path]:
    if input_path.is_file():
        return [input_path]
    return sorted(path for path in input_path.rglob("*") if path.is_file())


def _nothing_found(input_path: Path, there: list[Path]) -> Problem:
    if not input_path.exists():
        return Problem("no such input", str(input_path), next_step="check the path")
    packed = [
        path for path in there if path.name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz"))
    ]
    return Problem(
        "no FHIR is there",
        str(input_path),
        f"{len(there):,} files" + (f", {len(packed):,} of them archives" if packed else ""),
        "NDJSON, Bundles or single resources, JSON or XML, plain or gzip",
        "unpack the archives into a folder and give the folder"
        if packed
        else "give the folder of the export",
    )


def _lines(
    file: InputFile, plain_reader: PlainReader, unpacker: Unpacker, options: FhirOptions
) -> Iterator[Part]:
    """Parts of a file of one resource a line."""
    found = ndjson.blocks(
        file.path, file.label, block_bytes=options.block_bytes, most_bytes=options.most_bytes
    )
    for block in found:
        with paused_collection():
            _take_block(block, plain_reader, unpacker, options)
            part = unpacker.maker.part()
        yield part


def _take_block(
    block: ndjson.Lines, plain_reader: PlainReader, unpacker: Unpacker, options: FhirOptions
) -> None:
    """The lines of a block: plain Observations first, then all others."""
    maker = unpacker.maker
    if block.too_large:
        maker.reject(TOO_LARGE, Sent(block.first_row, b"", block.first_offset))
        return
    maker.begin(block)
    is_left = np.ones(len(block), dtype=bool)
    for plain in plain_reader.read(block):
        maker.add_plain(plain, block)
        is_left[plain.positions] = False
    left = np.flatnonzero(is_left).tolist()
    if not left:
        return
    lines = block.lines
    raws = lines if len(left) == len(lines) else [lines[place] for place in left]
    rows = [block.first_row + place for place in left]
    content = block.content if raws is lines else b"\n".join(raws)
    is_small = len(content) <= options.most_bytes or max(map(len, raws)) <= options.most_bytes
    values = all_parsed(raws, content) if is_small else None
    if values is None or _BUNDLE in content:
        offsets = block.offsets()
        sent = [Sent(row, raw, offsets[row - block.first_row]) for row, raw in zip(rows, raws, strict=True)]
        last = block.first_row + len(lines) - 1 if block.is_cut else 0
        values, rows = _read_singly(sent, last, unpacker, options)
    maker.add_all(values, rows)


def _read_singly(
    lines: list[Sent], cut_row: int, unpacker: Unpacker, options: FhirOptions
) -> tuple[list[Any], list[int]]:
    """The values and numbers of good lines that are no Bundles; the others are taken, or rejected, here."""
    values: list[Any] = []
    rows: list[int] = []
    for sent in lines:
        if not sent.raw.strip():
            unpacker.maker.ignore(sent.row, BLANK)
        elif len(sent.raw) > options.most_bytes:
            unpacker.maker.reject(TOO_LARGE, replace(sent, raw=b""))
        else:
            try:
                value = parsed(sent.raw, is_last=sent.row == cut_row)
            except UnreadableJsonError as error:
                unpacker.maker.reject(str(error), sent)
                continue
            if is_bundle(value):
                unpacker.add_line(value, sent)
            else:
                values.append(value)
                rows.append(sent.row)
    return values, rows
