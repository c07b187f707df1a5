"""Lines of JSON cut at chosen quotation marks, many at a time: what varies, and what makes their kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.sources.fhir.ndjson import Lines

Places = np.ndarray[Any, np.dtype[np.int64]]
Kind = tuple[tuple[str, ...], tuple[str | None, ...]]

_LINES_COMPARED = 16
FEWEST = 20
"""Groups of fewer lines are not worth it."""
_QUOTE, _BACKSLASH, _NEW_LINE, _SPACE = 34, 92, 10, 32
_TOKEN = re.compile(rb'"[^"]*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_NUMBER = r"^: *(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)( *[,}\]][ ,}\]]*)$"
"""Between a key and the next text; of JSON's white space lines in groups have the space alone.

**Source:** RFC 8259, section 6 (numbers)."""
_VARYING: dict[tuple[bytes | None, ...], str] = {
    (b"id",): "id",
    (b"meta", b"lastUpdated"): "lastUpdated",
    (b"meta", b"versionId"): "versionId",
    (b"subject", b"reference"): "subject",
    (b"encounter", b"reference"): "encounter",
    (b"effectiveDateTime",): "effectiveDateTime",
    (b"issued",): "issued",
}
_VALUE = (b"valueQuantity", b"value")
_UNREAD = frozenset(
    {
        b"identifier",
        b"basedOn",
        b"partOf",
        b"performer",
        b"specimen",
        b"device",
        b"text",
        b"note",
        b"derivedFrom",
    }
    | {b"meta"}
)
"""Elements whose texts become no column, and so may vary."""
_DISPLAYS = {(b"subject", b"display"), (b"encounter", b"display")}


@dataclass(frozen=True)
class Group:
    """Lines with equally many quotation marks, no escapes and no control characters.

    Attributes:
        positions: which lines of the block.
        starts, ends: where each begins and ends in the block.
        quotes: where the first quotation mark of each stands in `all_quotes`.
        all_quotes: where the block's quotation marks stand.
    """

    positions: Places
    starts: Places
    ends: Places
    quotes: Places
    all_quotes: Places


@dataclass(frozen=True)
class Plan:
    """Where lines are cut.

    Attributes:
        names: of what varies, in order; "" for what is not read.
        begins, ends: the quotation mark before and after each, counted from the line's first.
    """

    names: tuple[str, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """Lines that were cut.

    Attributes:
        positions: which lines of the block.
        texts: what varies, by name.
        kind_of_line: the kind of each line.
        keys: of each kind what its varying texts are taken for, and all that does not vary: lines with two
            elements in another order are cut alike, and must not be taken for one another.
        examples: a line of the block of each kind.
    """

    positions: Places
    texts: dict[str, pl.Series]
    kind_of_line: Places
    keys: list[Kind]
    examples: list[int]


def groups_of_lines(block: Lines) -> Iterator[Group]:
    """The lines of a block by their number of quotation marks; those with escapes are in no group."""
    content = block.content
    letters = np.frombuffer(content, dtype=np.uint8)
    starts, ends = block.starts[:-1], block.starts[1:] - 1
    quotes = np.flatnonzero(letters == _QUOTE)
    firsts = np.searchsorted(quotes, starts)
    counts = np.diff(np.append(firsts, quotes.size))
    is_good = (counts > 0) & (counts % 2 == 0)
    if b"\\" in content:
        is_good[np.searchsorted(ends, np.flatnonzero(letters == _BACKSLASH))] = False
    if np.count_nonzero(letters < _SPACE) > starts.size - 1:
        control = np.flatnonzero((letters < _SPACE) & (letters != _NEW_LINE))
        is_good[np.searchsorted(ends, control)] = False
    if not content.isascii():
        is_good &= _are_utf8(content, starts, ends)
    for count in np.unique(counts[is_good]).tolist():
        positions = np.flatnonzero(is_good & (counts == count))
        if positions.size >= FEWEST:
            yield Group(positions, starts[positions], ends[positions], firsts[positions], quotes)


def _are_utf8(content: bytes, starts: Places, ends: Places) -> np.ndarray[Any, np.dtype[np.bool_]]:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        return np.array([_is_utf8(content[start:end]) for start, end in spans])
    return np.ones(starts.size, dtype=bool)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def plan_of(line: bytes) -> Plan | None:
    """Where a line that is a JSON object is to be cut; None where it is not one.

    Args:
        line: without escapes.
    """
    names: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    path: list[bytes | None] = []
    n_quotes = 0
    is_key = False
    for token in _TOKEN.findall(line):
        if token in (b"{", b"["):
            path.append(None)
            is_key = token == b"{"
        elif token in (b"}", b"]"):
            if not path:
                return None
            path.pop()
            is_key = False
        elif token == b",":
            is_key = bool(path) and path[-1] is not None
        elif token == b":":
            is_key = False
        elif token[:1] == b'"':
            if is_key:
                path[-1] = token[1:-1]
            else:
                name = _name_of(tuple(path))
                if name is not None:
                    names.append(name)
                    begins.append(n_quotes)
                    ends.append(n_quotes + 1)
            n_quotes += 2
        elif tuple(path) == _VALUE:
            names.append("value")
            begins.append(n_quotes - 1)
            ends.append(n_quotes)
    told = [name for name in names if name]
    if len(set(told)) < len(told) or (ends and ends[-1] >= n_quotes):
        return None
    return Plan(tuple(names), tuple(begins), tuple(ends))


def _name_of(path: tuple[bytes | None, ...]) -> str | None:
    """What a varying text is called; None for one that does not vary.

    Args:
        path: the keys that lead to it; None for each list on the way, or around it.
    """
    named = _VARYING.get(path)
    if named is not None:
        return named
    return "" if path and (path[0] in _UNREAD or path in _DISPLAYS) else None


def without_constants(block: Lines, group: Group, plan: Plan) -> Plan:
    """The plan without texts that are not read and are alike in some lines of the group."""
    some = group.positions[:: max(1, group.positions.size // _LINES_COMPARED)].tolist()
    rows = [np.flatnonzero(np.frombuffer(block.line(place), dtype=np.uint8) == _QUOTE) for place in some]
    lines = [block.line(place) for place in some]
    kept = []
    for number, name in enumerate(plan.names):
        begin, end = plan.begins[number], plan.ends[number]
        texts = {line[quotes[begin] : quotes[end]] for line, quotes in zip(lines, rows, strict=True)}
        kept += [number] if name or len(texts) > 1 else []
    return Plan(
        tuple(plan.names[number] for number in kept),
        tuple(plan.begins[number] for number in kept),
        tuple(plan.ends[number] for number in kept),
    )


def cut(content: bytes, group: Group, plan: Plan) -> Cut:
    """Cut the lines of a group.

    Args:
        content: the block.
        group: of its lines.
        plan: where they are cut.
    """
    begins = group.all_quotes[group.quotes[:, None] + np.array(plan.begins)] + 1
    ends = group.all_quotes[group.quotes[:, None] + np.array(plan.ends)]
    n_lines, n_cuts = begins.shape
    borders = np.empty((n_lines, 2 * n_cuts + 2), dtype=np.int64)
    borders[:, 0], borders[:, -1] = group.starts, group.ends
    borders[:, 1:-1:2], borders[:, 2:-1:2] = begins, ends
    width = borders.shape[1]
    pieces = _pieces(content, borders.ravel())
    texts = {name: pieces.gather_every(width, 2 * place + 1) for place, name in enumerate(plan.names) if name}
    constant = {str(place): pieces.gather_every(width, 2 * place) for place in range(n_cuts + 1)}
    if "value" in texts:
        number = texts["value"].str.extract_groups(_NUMBER).struct.unnest()
        texts["value"], constant["tail"] = number.to_series(0), number.to_series(1)
    rest = pl.DataFrame(constant)
    kind_of_line, firsts = _kinds(rest)
    keys = [(plan.names, constants) for constants in rest[firsts].rows()]
    return Cut(group.positions, texts, kind_of_line, keys, group.positions[firsts].tolist())


def _pieces(content: bytes, borders: Places) -> pl.Series:
    """The texts between neighbouring borders, of which each begins with a letter of its own."""
    buffers = [None, pa.py_buffer(borders.data), pa.py_buffer(content)]
    array = pa.Array.from_buffers(pa.large_string(), borders.size - 1, buffers)
    return pl.Series("piece", pl.from_arrow(array))


def _kinds(rest: pl.DataFrame) -> tuple[Places, Places]:
    """The kind of each row, and the first row of each kind; equal rows are of one kind."""
    hashes = rest.hash_rows(seed=3).to_numpy()
    _, firsts, kinds = np.unique(hashes, return_index=True, return_inverse=True)
    examples = rest[firsts][kinds]
    if rest.equals(examples):
        return kinds, firsts
    numbers = rest.select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy()  # two kinds, one hash
    _, firsts, kinds = np.unique(numbers, return_index=True, return_inverse=True)
    return kinds, firsts
