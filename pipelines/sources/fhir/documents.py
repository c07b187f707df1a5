"""Files that are one document: a Bundle of any size, a single resource, JSON or XML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines.sources.fhir import ndjson, scanning
from pipelines.sources.fhir.batch import Sent
from pipelines.sources.fhir.bundles import NO_ENTRIES, Unpacker, add_to_scope
from pipelines.sources.fhir.forms import Form, form_of
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.parsing import BROKEN, TOO_LARGE, UnreadableJsonError, parsed, paused_collection
from pipelines.sources.fhir.parts import PartMaker
from pipelines.sources.fhir.references import Resolver
from pipelines.sources.records import InputFile, Part

XML_TIMES = 4
"""How many times larger than a record an XML document may be: it is read as a whole."""


def parts(file: InputFile, maker: PartMaker, resolver: Resolver, options: FhirOptions) -> Iterator[Part]:
    """The records of a document.

    Args:
        file: the document.
        maker: of parts.
        resolver: of its references; learns what a Bundle's entries are called.
        options: of the mapping.

    Raises:
        InputError: the file cannot be read to its end.
    """
    if form_of(file.path) == Form.XML:
        yield _xml_part(file, Unpacker(maker, resolver), options)
        return
    header, scope = _first_look(file, resolver, options)
    if not isinstance(header, dict) or header.get("resourceType") == "Bundle":
        yield from _entries(file, Unpacker(maker, resolver), options, header, scope)
        return
    for piece in _pieces(file, options):
        if piece.kind == "header":
            maker.add(header, Sent(1, piece.content, piece.offset))
    yield maker.part()


def _pieces(file: InputFile, options: FhirOptions) -> Iterator[scanning.Piece]:
    chunks = ndjson.chunks(file.path, file.label, min(options.block_bytes, options.most_bytes))
    first = next(chunks, b"")
    n_mark = len(ndjson.BYTE_ORDER_MARK) if first.startswith(ndjson.BYTE_ORDER_MARK) else 0

    def _content() -> Iterator[bytes]:
        yield first[n_mark:]
        yield from chunks

    return scanning.pieces(_content(), first_offset=n_mark, most_bytes=options.most_bytes)


def _first_look(file: InputFile, resolver: Resolver, options: FhirOptions) -> tuple[Any, dict[str, str]]:
    """What stands around a document's entries (None where it is broken), and what the entries are called."""
    scope: dict[str, str] = {}
    header = None
    with paused_collection():
        for piece, value, _ in _parsed_pieces(file, options):
            if piece.kind == "header":
                header = value
            else:
                add_to_scope(scope, value, resolver)
    return header, scope


def _parsed_pieces(file: InputFile, options: FhirOptions) -> Iterator[tuple[scanning.Piece, Any, str]]:
    """The document's pieces with their values, or why there is none; broken ones are parted."""
    for piece in _pieces(file, options):
        value, reason = _value(piece)
        if not reason or piece.is_too_large or piece.kind == "header":
            yield piece, value, reason
            continue
        for part in scanning.salvaged(piece):
            yield part, *_value(part)


def _value(piece: scanning.Piece) -> tuple[Any, str]:
    if piece.is_too_large:
        return None, TOO_LARGE
    if piece.kind == "broken" and not piece.is_last:
        return None, BROKEN
    try:
        return parsed(piece.content, is_last=piece.is_last), ""
    except UnreadableJsonError as error:
        return None, str(error)


def _entries(
    file: InputFile, unpacker: Unpacker, options: FhirOptions, header: Any, scope: dict[str, str]
) -> Iterator[Part]:
    """The records of a Bundle, or of a list of resources."""
    maker = unpacker.maker
    number = n_held = 0
    if isinstance(header, dict):
        unpacker.note_version(header)
    for piece, value, reason in _parsed_pieces(file, options):
        if piece.kind == "header":
            if piece.is_too_large or (reason and piece.content.strip() not in (b"", b"]")):
                number = _take_broken_header(piece, number, unpacker, scope)
            break
        number += 1
        n_held += len(piece.content)
        with paused_collection():
            _take(value, reason, Sent(number, piece.content, piece.offset), unpacker, scope)
            part = maker.part() if n_held > options.block_bytes else None
        if part:
            yield part
            n_held = 0
    if not number:
        maker.ignore(1, NO_ENTRIES, "Bundle")
    yield maker.part()


def _take(value: Any, reason: str, sent: Sent, unpacker: Unpacker, scope: dict[str, str]) -> None:
    if reason:
        unpacker.maker.reject(reason, sent)
        return
    if isinstance(value, dict) and "resourceType" in value and "resource" not in value:
        value = {"resource": value}  # a list of resources, or an entry that is one
    unpacker.add_entry(value, sent, scope)


def _take_broken_header(
    header: scanning.Piece, number: int, unpacker: Unpacker, scope: dict[str, str]
) -> int:
    """What stands around the entries is broken: entries within it are sought, the rest is rejected."""
    if header.is_too_large:
        unpacker.maker.reject(TOO_LARGE, Sent(number + 1, b"", header.offset))
        return number + 1
    for piece in scanning.salvaged(header):
        number += 1
        value, reason = _value(piece)
        _take(value, reason, Sent(number, piece.content, piece.offset), unpacker, scope)
    return number


def _xml_part(file: InputFile, unpacker: Unpacker, options: FhirOptions) -> Part:
    """The record, or the records of the Bundle, of an XML document."""
    from pipelines.sources.fhir.xml import UnreadableXmlError, parse_xml

    maker = unpacker.maker
    content, most_bytes = bytearray(), XML_TIMES * options.most_bytes
    for chunk in ndjson.chunks(file.path, file.label, options.block_bytes):
        content += chunk
        if len(content) > most_bytes:
            maker.reject(TOO_LARGE, Sent(1, b"", 0))
            return maker.part()
    raw = bytes(content)
    try:
        resource = parse_xml(raw)
    except UnreadableXmlError as error:
        maker.reject(str(error), Sent(1, raw, 0))
        return maker.part()
    if resource.get("resourceType") == "Bundle":
        unpacker.add_document(resource)
    else:
        maker.add(resource, Sent(1, raw, 0))
    return maker.part()
