"""Observations of the commonest form, a Quantity and all else of few kinds, projected a kind at a time.

Laboratories and monitors send millions of Observations that differ in subject, contact, times, number and
what is not read alone. Lines are cut at the quotation marks around these; what remains, byte for byte, is the
kind of a line. One line of each kind is parsed and projected as all resources are; its columns are repeated
for all. Lines that are not plain are left to the ordinary way, which would give the plain ones the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl

from pipelines.sources.fhir.batch import WRONG_TYPES, Batch
from pipelines.sources.fhir.line_cutting import (
    Cut,
    Kind,
    Plan,
    cut,
    groups_of_lines,
    plan_of,
    without_constants,
)
from pipelines.sources.fhir.ndjson import Lines
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.parsing import UnreadableJsonError, parsed
from pipelines.sources.fhir.projection import project
from pipelines.sources.fhir.projection.frames import FACTS, FATES_TABLE, wrong_fields
from pipelines.sources.fhir.projection.quantities import with_wanted_units
from pipelines.sources.fhir.projection.times import either, moments
from pipelines.sources.fhir.references import Resolver
from pipelines.sources.records import no_fates

TABLE = "Observation"
_MARK = b'"Observation"'
_OWN_COLUMNS = frozenset({"subject", "encounter", "time", "known_time", "value"})
_KNOWN = frozenset(
    {"resourceType", "id", "meta", "status", "category", "code", "subject", "encounter", "valueQuantity"}
    | {"effectiveDateTime", "issued", "interpretation", "referenceRange"}
    | {"identifier", "basedOn", "partOf", "performer", "specimen", "device", "implicitRules", "language"}
    | {"text", "note", "bodySite", "method", "derivedFrom"}
)
_NEEDED = frozenset({"id", "subject", "value"})
_ADDRESS = r"^[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.\-]{1,64}$"
_MOST_KINDS = 20_000
_ANY_TIME = "2000-01-01T00:00:00Z"
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Plain:
    """What plain lines became.

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


class PlainReader:
    """Reads plain lines, and remembers the kinds that it has met.

    Args:
        resolver: of the file's references.
        options: of the mapping.
    """

    def __init__(self, resolver: Resolver, options: FhirOptions) -> None:
        self._resolver, self._options = resolver, options
        self._as_sent = options.model_copy(update={"units": {}})
        self._kinds: dict[Kind, tuple[object, ...] | None] = {}

    def read(self, block: Lines) -> list[Plain]:
        """What of a block is plain, as rows; all other lines are left to the ordinary way."""
        if _MARK not in block.content:
            return []
        made = []
        for group in groups_of_lines(block):
            plan = plan_of(block.line(int(group.positions[0])))
            if plan is None or not _NEEDED.issubset(plan.names):
                continue
            if int((group.ends - group.starts).max()) > self._options.most_bytes:
                continue
            lines = cut(block.content, group, without_constants(block, group, plan))
            found = self._rows(block, lines, plan)
            made += [found] if found is not None else []
        return made

    def _rows(self, block: Lines, found: Cut, plan: Plan) -> Plain | None:
        """The rows of a group of lines; None where none is plain."""
        if len(found.examples) > 64 + found.kind_of_line.size // 4:
            return None
        kinds = self._projected(block, found, plan)
        texts = found.texts
        size = found.kind_of_line.size
        nothing = pl.repeat(None, size, dtype=pl.String, eager=True)
        effective, issued = (
            moments(cast("Sequence[object]", texts.get(name, nothing)), self._options)
            for name in ("effectiveDateTime", "issued")
        )
        subjects = self._targets(texts["subject"])
        encounters = self._targets(texts["encounter"]) if "encounter" in texts else nothing
        values = texts["value"].cast(pl.Float64, strict=False)
        is_plain = pl.Series(kinds["kind"].is_not_null().to_numpy()[found.kind_of_line])
        is_plain &= subjects.str.starts_with("Patient/").fill_null(value=False)
        is_plain &= values.is_finite().fill_null(value=False) & (texts["id"] != "")
        is_plain &= (texts["value"] != "-0").fill_null(value=False)  # a whole number has no sign of nothing
        if "encounter" in texts:
            is_plain &= encounters.is_not_null()
        for told in (effective.is_wrong, issued.is_wrong):
            if told is not None:
                is_plain &= ~told.fill_null(value=False)
        if not is_plain.any():
            return None
        own = {
            "subject": subjects,
            "encounter": encounters,
            "time": either(effective, issued).first,
            "known_time": issued.last.fill_null(effective.last),
            "value": values,
        }
        columns = [
            own[name].alias(name) if name in own else kinds[name].gather(found.kind_of_line) for name in FACTS
        ]
        rows = pl.Series("_row", found.positions + block.first_row, dtype=pl.Int64)
        names, ranks = f"{TABLE}/" + texts["id"], _ranks(texts, size)
        whole = pl.DataFrame([rows, *columns, names.alias("_name"), ranks.alias("_rank")])
        kept = whole if is_plain.all() else whole.filter(is_plain)
        table, unconverted = with_wanted_units(kept.drop("_name", "_rank"), self._options)
        fates = wrong_fields(TABLE, table["_row"], {"unit": unconverted})
        positions: Places = table["_row"].to_numpy() - block.first_row
        return Plain(table, no_fates() if fates is None else fates, kept["_name"], kept["_rank"], positions)

    def _targets(self, addresses: pl.Series) -> pl.Series:
        """What references point to; null where that is none, or cannot be told by the address alone."""
        is_other = ~addresses.str.contains(_ADDRESS)
        if not is_other.any():
            return addresses
        texts = addresses.filter(is_other).unique(maintain_order=True).to_list()
        targets = self._resolver.targets([{"reference": text} for text in texts], [""] * len(texts))
        is_odd = [not text or text.startswith("#") for text in texts]
        known = [None if odd else target for odd, target in zip(is_odd, targets, strict=True)]
        replaced = addresses.filter(is_other).replace_strict(texts, known, return_dtype=pl.String)
        return addresses.scatter(is_other.arg_true(), replaced)

    def _projected(self, block: Lines, found: Cut, plan: Plan) -> pl.DataFrame:
        """The columns of each kind; null where it is not plain."""
        known = self._kinds
        if len(known) > _MOST_KINDS:
            known.clear()
        news = [place for place, key in enumerate(found.keys) if key not in known]
        if news:
            lines = [block.line(found.examples[place]) for place in news]
            for place, row in zip(news, self._read_examples(lines, plan), strict=True):
                known[found.keys[place]] = row
        rows = [known[key] or (None,) * len(FACTS) for key in found.keys]
        return pl.DataFrame(rows, schema=FACTS, orient="row")

    def _read_examples(self, lines: Sequence[bytes], plan: Plan) -> list[tuple[object, ...] | None]:
        """The one row that each line becomes in the ordinary way; None where it is not plain."""
        resources = [_plain_resource(line, plan) for line in lines]
        rows = [row for row, resource in enumerate(resources) if resource is not None]
        batch = Batch(
            TABLE,
            [resource for resource in resources if resource is not None],
            rows,
            [f"{TABLE}/1"] * len(rows),
            [None] * len(rows),
            [None] * len(rows),
            None,
            self._resolver,
            self._as_sent,
        )
        made = _projected(batch).filter(~pl.col("_row").is_duplicated(), pl.col("sent_value").is_null())
        told = {row: columns for row, *columns in made.iter_rows()}
        return [tuple(told[row]) if row in told else None for row in range(len(lines))]


def _plain_resource(line: bytes, plan: Plan) -> dict[str, Any] | None:
    """A plain Observation, what varies put to something right; None where the line is none."""
    try:
        resource = parsed(line)
    except UnreadableJsonError:
        return None
    if not isinstance(resource, dict) or resource.get("resourceType") != TABLE:
        return None
    if not _KNOWN.issuperset(resource) or plan_of(line) != plan:
        return None
    if resource["valueQuantity"].get("comparator") is not None:
        return None
    for name in ("effectiveDateTime", "issued"):
        if name in plan.names:
            resource[name] = _ANY_TIME
    for name in ("subject", "encounter"):
        if name in plan.names:
            resource[name] = {**resource[name], "reference": "Patient/1"}
    return {**resource, "valueQuantity": {**resource["valueQuantity"], "value": 1.0}}


def _projected(batch: Batch) -> pl.DataFrame:
    """The rows of the ordinary projection that have no wrong field; where it fails, of each half."""
    nothing = pl.DataFrame(schema={"_row": pl.Int64(), **FACTS})
    if not batch.rows:
        return nothing
    try:
        made = project(batch)
    except WRONG_TYPES:
        middle = len(batch.rows) // 2
        spans = (slice(0, middle), slice(middle, None)) if middle else ()
        return pl.concat([nothing, *(_projected(batch.part(span)) for span in spans)])
    wrong = made.get(FATES_TABLE, no_fates())["_row"]
    return made[TABLE].select("_row", *FACTS).filter(~pl.col("_row").is_in(wrong.implode()))


def _ranks(texts: dict[str, pl.Series], size: int) -> pl.Series:
    """Which version each is, as gathering.version_rank has it."""
    nothing = pl.repeat("", size, dtype=pl.String, eager=True)
    if "lastUpdated" not in texts and "versionId" not in texts:
        return nothing
    ranks = texts.get("lastUpdated", nothing) + "|" + texts.get("versionId", nothing)
    return ranks.replace("|", "")
