"""Observations of the commonest form, a Quantity and all else of few kinds, projected a kind at a time.

Laboratories and monitors send millions of Observations that differ in subject, contact, times and number
alone. What is alike (code, category, status, unit, ranges) is taken as bytes; each kind of it is projected
once, by the projection that all resources go through, and its columns are repeated. A line that is anything
but plain is left to the ordinary way; whether it is depends on the line alone, and both ways give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

import msgspec
import numpy as np
import polars as pl

from pipelines.sources.fhir.batch import WRONG_TYPES, Batch
from pipelines.sources.fhir.gathering import version_rank
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.parsing import KEY_END, LENIENT, UnreadableJsonError, parsed
from pipelines.sources.fhir.projection import project
from pipelines.sources.fhir.projection.frames import FACTS, FATES_TABLE, wrong_fields
from pipelines.sources.fhir.projection.quantities import with_wanted_units
from pipelines.sources.fhir.projection.times import Moments, either, moments
from pipelines.sources.fhir.references import Resolver
from pipelines.sources.records import no_fates

TABLE = "Observation"
_ALIKE = ("resourceType", "status", "category", "code", "interpretation", "referenceRange")
_OWN = frozenset({"id", "meta", "subject", "encounter", "effectiveDateTime", "issued", "valueQuantity"})
_NEEDED = frozenset({"resourceType", "id", "status", "code", "subject", "valueQuantity"})
_KNOWN = _OWN | LENIENT | set(_ALIKE)
_TYPE = b'"Observation"'
_ADDRESS = r'^\{"reference":\s?"([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.\-]{1,64})"\}$'
_PLAIN_TEXT = r'^"([^"\\]+)"$'
_decoded = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_count_keys = methodcaller("count", KEY_END)
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Places = np.ndarray[Any, np.dtype[np.int64]]


class _Quantity(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A Quantity without a comparator."""

    value: int | float
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class _Meta(msgspec.Struct, gc=False):
    """Which version of a resource it is."""

    lastUpdated: str | None = None  # noqa: N815  # FHIR's own name
    versionId: str | None = None  # noqa: N815


_quantity = msgspec.json.Decoder(_Quantity).decode
_meta = msgspec.json.Decoder(_Meta).decode


@dataclass(frozen=True)
class Plain:
    """What plain lines of one form became.

    Attributes:
        table: columns of Observation and `_row`.
        fates: columns of FATES: wrong fields.
        names, ranks: of the records, as the table's rows.
        positions: which lines they were.
    """

    table: pl.DataFrame
    fates: pl.DataFrame
    names: pl.Series
    ranks: pl.Series
    positions: Places


def read_plain(
    lines: Sequence[bytes], first_row: int, resolver: Resolver, options: FhirOptions
) -> list[Plain]:
    """What of neighbouring lines is plain, as rows; all other lines are left to the ordinary way.

    Args:
        lines: of an NDJSON file.
        first_row: the number of the first.
        resolver: of the file's references.
        options: of the mapping.
    """
    if _TYPE not in lines[0] and not any(_TYPE in line for line in lines):
        return []
    found = _taken_apart(lines)
    numbers: dict[tuple[str, ...], int] = {}
    form_of_line = np.array([numbers.setdefault(form, len(numbers)) for form in map(tuple, found)])
    made = []
    for form, number in numbers.items():
        if _KNOWN.issuperset(form) and _NEEDED.issubset(form):
            positions = np.flatnonzero(form_of_line == number)
            at = positions.tolist()
            is_all = len(at) == len(lines)
            own = (lines, found) if is_all else ([lines[i] for i in at], [found[i] for i in at])
            plain = _Form(*own).read(positions, first_row, resolver, options)
            made += [plain] if plain is not None else []
    return made


def _taken_apart(lines: Sequence[bytes]) -> list[dict[str, msgspec.Raw]]:
    """The elements of each resource as sent; none where the line is not right."""
    try:
        for line in lines:
            line.isascii() or line.decode("utf-8")
        return list(map(_decoded, lines))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [_elements(line) for line in lines]


def _elements(line: bytes) -> dict[str, msgspec.Raw]:
    try:
        line.decode("utf-8")
        return _decoded(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


class _Form:
    """Lines with the same elements in the same order, column by column.

    Args:
        lines: as sent.
        found: the elements of each.
    """

    def __init__(self, lines: Sequence[bytes], found: Sequence[dict[str, msgspec.Raw]]) -> None:
        self._names = tuple(found[0])
        columns = zip(*map(dict.values, found), strict=True)
        self._raws = dict(zip(self._names, columns, strict=True))
        self._is_plain = self._is_once(lines)

    def _is_once(self, lines: Sequence[bytes]) -> Mask:
        """Which lines are as long as their elements together, so that none stands twice."""
        n_names = len(self._names)
        length = np.full(len(lines), sum(map(len, self._names)) + 4 * n_names + 1)
        for raws in self._raws.values():
            length += np.fromiter(map(len, raws), dtype=np.int64, count=len(lines))
        at = len(self._names[0]) + 4
        n_spaces = np.array([2 * n_names - 1 if line[at] == ord(" ") else 0 for line in lines])
        is_whole: Mask = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines)) == length + n_spaces
        return is_whole

    def read(
        self, positions: Places, first_row: int, resolver: Resolver, options: FhirOptions
    ) -> Plain | None:
        """The rows of the plain lines; None where none is."""
        values, kinds = self._values_and_kinds()
        alike, kind_of_line = self._projected_kinds(kinds, resolver, options)
        effective, issued = self._moments("effectiveDateTime", options), self._moments("issued", options)
        subjects, encounters = self._targets("subject", resolver), self._targets("encounter", resolver)
        self._leave(~subjects.str.starts_with("Patient/").fill_null(value=False))
        names, ranks = self._texts("id"), self._ranks()
        own = {
            "subject": subjects,
            "encounter": encounters,
            "time": either(effective, issued).first,
            "known_time": issued.last.fill_null(effective.last),
            "value": pl.Series(values, dtype=pl.Float64),
        }
        kept = np.flatnonzero(self._is_plain)
        if not kept.size:
            return None
        rows = pl.Series("_row", positions[kept] + first_row)
        shared = alike[kind_of_line[kept]]
        columns = [own[name].gather(kept).alias(name) if name in own else shared[name] for name in FACTS]
        table, unconverted = with_wanted_units(pl.DataFrame([rows, *columns]), options)
        fates = wrong_fields(TABLE, table["_row"], {"unit": unconverted})
        return Plain(
            table,
            no_fates() if fates is None else fates,
            (f"{TABLE}/" + names).gather(kept),
            ranks.gather(kept),
            positions[kept],
        )

    def _leave(self, is_other: pl.Series) -> None:
        """Leave lines to the ordinary way."""
        self._is_plain &= ~is_other.to_numpy()

    def _sent(self, name: str) -> pl.Series:
        """One element of each line, as text."""
        return pl.Series(name, list(map(bytes, self._raws[name])), dtype=pl.Binary).cast(pl.String)

    def _texts(self, name: str) -> pl.Series:
        """The texts of one element; lines where it is none, or has escapes, are not plain."""
        found = self._sent(name).str.extract(_PLAIN_TEXT)
        self._leave(found.is_null())
        return found

    def _moments(self, name: str, options: FhirOptions) -> Moments:
        """The instants of one element; lines in which it cannot be read are not plain."""
        if name not in self._raws:
            return moments([None] * self._is_plain.size, options)
        told = moments(self._texts(name).to_list(), options)
        if told.is_wrong is not None:
            self._leave(told.is_wrong.fill_null(value=False))
        return told

    def _targets(self, name: str, resolver: Resolver) -> pl.Series:
        """What one reference points to; lines in which it is no right reference are not plain."""
        if name not in self._raws:
            return pl.repeat(None, self._is_plain.size, dtype=pl.String, eager=True)
        sent = self._sent(name)
        found = sent.str.extract(_ADDRESS)
        others = found.is_null()
        if not others.any():
            return found
        known: dict[str, str | None] = {}
        for text in sent.filter(others).unique(maintain_order=True).to_list():
            try:
                (known[text],) = resolver.targets([parsed(text.encode())], [""])
            except (UnreadableJsonError, *WRONG_TYPES):
                known[text] = None
        unknown = [text for text, target in known.items() if not target or target.startswith("#")]
        self._leave(sent.is_in(unknown))
        return found.scatter(others.arg_true(), [known[text] for text in sent.filter(others).to_list()])

    def _ranks(self) -> pl.Series:
        """Which version each is, as meta tells it."""
        if "meta" not in self._raws:
            return pl.repeat("", self._is_plain.size, dtype=pl.String, eager=True)
        found = []
        for place, raw in enumerate(self._raws["meta"]):
            try:
                meta = _meta(raw)
                found.append(version_rank(meta.lastUpdated, meta.versionId))
            except msgspec.DecodeError:
                found.append("")
                self._is_plain[place] = False
        return pl.Series(found, dtype=pl.String)

    def _values_and_kinds(self) -> tuple[list[float | None], list[tuple[Any, ...]]]:
        """The number of each Quantity, and, as a key, all that is alike in many lines."""
        sent = list(map(bytes, self._raws["valueQuantity"]))
        values: list[float | None] = []
        units: list[tuple[str | None, ...]] = []
        for place, raw in enumerate(sent):
            try:
                one = _quantity(raw)
            except msgspec.DecodeError:
                values.append(None)
                units.append((None, None, None))
                self._is_plain[place] = False
                continue
            values.append(one.value)
            units.append((one.unit, one.system, one.code))
        n_keys = {unit: 1 + sum(part is not None for part in unit) for unit in set(units)}
        told = np.array([n_keys[unit] for unit in units])
        self._is_plain &= told == np.fromiter(map(_count_keys, sent), dtype=np.int64, count=len(sent))
        alike = [list(map(bytes, self._raws[name])) for name in _ALIKE if name in self._raws]
        return values, list(zip(units, *alike, strict=True))

    def _projected_kinds(
        self, keys: Sequence[tuple[Any, ...]], resolver: Resolver, options: FhirOptions
    ) -> tuple[pl.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
        """The columns of each kind of line, by the ordinary projection, and the kind of each line."""
        numbers: dict[tuple[Any, ...], int] = {}
        kind_of_line = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
        alike = [name for name in _ALIKE if name in self._raws]
        resources = [_of_kind(key, alike) for key in numbers]
        made = _rows_of_kinds(resources, resolver, options)
        self._is_plain &= made["kind"].is_not_null().to_numpy()[kind_of_line]
        return made, kind_of_line


def _of_kind(key: tuple[Any, ...], alike: Sequence[str]) -> dict[str, Any]:
    """An Observation of one kind; an empty one where an element of it is not right."""
    (unit, system, code), *raws = key
    quantity = {"value": 1.0, "unit": unit, "system": system, "code": code}
    try:
        told = {name: parsed(raw) for name, raw in zip(alike, raws, strict=True)}
    except UnreadableJsonError:
        return {}
    if told["resourceType"] != TABLE:
        return {}
    return {"id": "1", "subject": {"reference": "Patient/1"}, "valueQuantity": quantity, **told}


def _rows_of_kinds(
    resources: Sequence[dict[str, Any]], resolver: Resolver, options: FhirOptions
) -> pl.DataFrame:
    """One row an Observation; null where it is not right, cannot be projected, or is not one row."""
    rows = [row for row, resource in enumerate(resources) if resource]
    batch = Batch(
        TABLE,
        [resource for resource in resources if resource],
        rows,
        [f"{TABLE}/1"] * len(rows),
        [None] * len(rows),
        [None] * len(rows),
        None,
        resolver,
        options.model_copy(update={"units": {}}),
    )
    made = _projected(batch).filter(~pl.col("_row").is_duplicated())
    every = pl.DataFrame({"_row": pl.Series(range(len(resources)), dtype=pl.Int64)})
    return every.join(made, on="_row", how="left", maintain_order="left")


def _projected(batch: Batch) -> pl.DataFrame:
    """The rows of the ordinary projection that have no wrong field; where it fails, of each half."""
    if not batch.rows:
        return pl.DataFrame(schema={"_row": pl.Int64(), **FACTS})
    try:
        made = project(batch)
    except WRONG_TYPES:
        middle = len(batch.rows) // 2
        spans = (slice(0, middle), slice(middle, None)) if middle else ()
        nothing = pl.DataFrame(schema={"_row": pl.Int64(), **FACTS})
        return pl.concat([nothing, *(_projected(batch.part(span)) for span in spans)])
    wrong = made.get(FATES_TABLE, no_fates())["_row"]
    return made[TABLE].select("_row", *FACTS).filter(~pl.col("_row").is_in(wrong.implode()))
