"""In which form a file holds FHIR, told by its first bytes; logs, manifests and other files hold none."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

import orjson

from pipelines.sources.fhir.ndjson import BYTE_ORDER_MARK, opened

HEAD_BYTES = 256_000
_LINE_ENDINGS = (".ndjson", ".jsonl")
_XML_NAMESPACE = b"http://hl7.org/fhir"
_LOG = re.compile(r"^log\.(ndjson|jsonl|json)$")
_TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]{2,64})"')


class Form(Enum):
    """How a file is written: a resource a line, one JSON document, or one XML document."""

    LINES = "lines"
    JSON = "json"
    XML = "xml"


def form_of(path: Path) -> Form | None:
    """The form of a file; None where it holds no FHIR.

    A file that is called .ndjson or .jsonl holds FHIR unless it is the log of an export or says nothing of
    resources and yet is whole JSON: a manifest. Any other name holds it where its beginning shows it.
    """
    name = path.name.lower().removesuffix(".gz")
    is_lines = name.endswith(_LINE_ENDINGS)
    head = _head(path)
    start = (head or b"").removeprefix(BYTE_ORDER_MARK).lstrip()
    if start[:1] == b"<":
        return Form.XML if _XML_NAMESPACE in start else None
    if _LOG.match(name) or _is_log(start):
        return None
    is_json = start[:1] in (b"{", b"[") and b'"resourceType"' in start
    if not is_json:
        return Form.LINES if is_lines else None
    first, _, rest = start.partition(b"\n")
    if is_lines and first.strip() not in (b"{", b"["):
        return Form.LINES
    return Form.LINES if rest.strip() and _is_whole(first) else Form.JSON


def _head(path: Path) -> bytes | None:
    """The first bytes, unpacked; None where they cannot be read."""
    try:
        with opened(path) as file:
            return file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile):
        return None


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _is_log(start: bytes) -> bool:
    """Whether a file is the log of a bulk export, which tells events of the export, one a line.

    **Source:** Bulk Data Export log of the SMART Bulk Data Client: exportId, timestamp, eventId.
    """
    first = start.partition(b"\n")[0]
    return b'"eventId"' in first and b'"exportId"' in first and b'"resourceType"' not in first


def types_of_files(paths: Iterable[Path]) -> Counter[str]:
    """How many files begin with a resource of each type; "" for Bundles and what cannot be told."""
    counts: Counter[str] = Counter()
    for path in paths:
        head = _head(path) or b""
        match = _TYPE.search(head)
        name = match[1].decode("ascii") if match else ""
        counts["" if name == "Bundle" else name] += 1
    return counts
