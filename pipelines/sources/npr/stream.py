"""An XML message read as a stream, in bounded memory, with nothing dangerous let in.

expat is used, not lxml: it tells the byte at which every element begins, builds no tree, and refuses what is
dangerous before it is read.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast
from xml.parsers import expat

from pipelines.sources.npr.collecting import Batch, Break, Collector, RefusedError
from pipelines.sources.npr.options import NprOptions

CHUNK_BYTES = 128_000


_ENDS_EARLY = {
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
}


def _reason(code: int) -> str:
    """Why a message is no XML; expat's own words are fixed and hold no value."""
    if code in _ENDS_EARLY:
        return "XML: the file ends before the message does"
    return f"XML: {expat.errors.messages.get(code, 'broken')}"


def open_message(path: Path) -> BinaryIO:
    """The bytes of a message, unpacked."""
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def guarded_parser() -> expat.XMLParserType:
    """A parser that tells namespaces and refuses document types, and with them all entities."""

    def refuse(*_: object) -> int:
        raise RefusedError("document types and entities are refused")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    return parser


def stream(source: BinaryIO, options: NprOptions) -> Iterator[Batch]:
    """The records of a message, in batches; the last tells of a fault that ended reading.

    Args:
        source: its bytes.
        options: bounds.
    """
    parser = guarded_parser()
    collector = Collector(parser)
    end: Break | None = None
    n_fed = 0
    try:
        while chunk := source.read(CHUNK_BYTES):
            parser.Parse(chunk, False)  # noqa: FBT003
            n_fed += len(chunk)
            if n_fed - max(parser.CurrentByteIndex, 0) > options.most_piece_bytes + CHUNK_BYTES:
                raise RefusedError("a tag or text is too long")
            if collector.n_held >= options.part_elements:
                yield collector.take()
                if collector.n_held > options.most_elements:
                    raise RefusedError("a record holds too many elements")
        parser.Parse(b"", True)  # noqa: FBT003
    except RefusedError as refusal:
        end = collector.broken(str(refusal), max(parser.CurrentByteIndex, 0))
    except expat.ExpatError as error:
        end = collector.broken(_reason(error.code), max(parser.ErrorByteIndex, 0))
    except (LookupError, ValueError):
        end = collector.broken("XML: unknown encoding", max(parser.CurrentByteIndex, 0))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        end = collector.broken("compressed data are damaged", max(parser.CurrentByteIndex, 0))
    yield collector.take(end, is_last=True)
