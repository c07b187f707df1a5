"""Records of one file on their way to a part: gathered, projected, given versions; what fails has a fate."""

from __future__ import annotations

from collections import Counter
from itertools import compress
from typing import Any

import numpy as np
import polars as pl

from pipelines.sources.fhir.batch import ALONE, WRONG_TYPES, Batch, Resource, Sent, Standing
from pipelines.sources.fhir.elements import resource_model
from pipelines.sources.fhir.gathering import Gathering
from pipelines.sources.fhir.ndjson import Lines
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.parsing import parsed
from pipelines.sources.fhir.plain_observations import TABLE as OBSERVATION
from pipelines.sources.fhir.plain_observations import Plain
from pipelines.sources.fhir.projection import LOOKUPS, RESOURCE_TYPES, project
from pipelines.sources.fhir.record_versions import keys_of, with_own_versions, with_versions
from pipelines.sources.fhir.references import Resolver
from pipelines.sources.fhir.sampling import Sampler
from pipelines.sources.fhir.shapes import shape_faults
from pipelines.sources.fhir.types import RESOURCE_TYPES as KNOWN_TYPES
from pipelines.sources.fhir.versions import FOREIGN_TYPES, SIGNS, shown_sign
from pipelines.sources.records import DELETED, FATES, Part

NO_RESOURCE = "not a FHIR resource"
UNKNOWN_TYPE = "no resource type of FHIR"
WRONG_STRUCTURE = "wrong structure"
NOTHING_IN_IT = "nothing to read in it"
TAKEN_BACK = "deleted"
OTHER_VERSION = "other FHIR version"
MODIFIED = "read although a modifierExtension may change their meaning"
"""**Source:** HL7 FHIR R4, 2.4.2: one that is not understood must not be passed over unseen."""
_FATES = "_fates"


class PartMaker:
    """Takes records of one file and makes parts of them.

    Args:
        options: of the mapping.
        resolver: of the file's references.
        sampler: of the file.
        file_number: of the file.
    """

    def __init__(self, options: FhirOptions, resolver: Resolver, sampler: Sampler, file_number: int) -> None:
        self._options, self._resolver, self._sampler = options, resolver, sampler
        self._file_number = file_number
        self._begin()

    def _begin(self) -> None:
        self._gathering = Gathering(RESOURCE_TYPES, self._file_number)
        self._fates: list[tuple[int, str, str, str, str]] = []
        self._sent: dict[int, Sent] = {}
        self._block: Lines | None = None
        self._deleted: list[tuple[int, str, str | None]] = []
        self._plain: list[Plain] = []
        self.notes: Counter[tuple[str, str]] = Counter()

    def begin(self, block: Lines) -> None:
        """Take the lines in which the records of the next part stand."""
        self._block = block

    def add_all(self, resources: list[Any], rows: list[int]) -> None:
        """Take resources that stand each on a line of the block, in row order; none of them is a Bundle.

        Args:
            resources: as parsed.
            rows: the number of each.
        """
        try:
            types = [resource["resourceType"] for resource in resources]
            distinct = set(types)
        except (KeyError, TypeError, IndexError):
            for resource, row in zip(resources, rows, strict=True):
                self._add_any(resource, row)
            return
        for resource_type in sorted(name for name in distinct if name in RESOURCE_TYPES):
            is_of_type = [given == resource_type for given in types]
            self._add_type(
                resource_type, list(compress(resources, is_of_type)), list(compress(rows, is_of_type))
            )
        if not distinct <= RESOURCE_TYPES:
            for resource_type, row in zip(types, rows, strict=True):
                if resource_type not in RESOURCE_TYPES:
                    self._leave_out(resource_type, row)

    def add_plain(self, plain: Plain, block: Lines) -> None:
        """Take Observations that are projected already.

        Args:
            plain: what they became.
            block: in which they stand.
        """
        self._plain.append(plain)
        positions = plain.positions
        self._sampler.look_at(OBSERVATION, positions.size, lambda place: parsed(block.line(positions[place])))

    def add(self, resource: object, sent: Sent, standing: Standing = ALONE) -> None:
        """Take one resource, perhaps out of a Bundle."""
        self._sent[sent.row] = sent
        self._add_any(resource, sent.row, standing)

    def _add_any(self, resource: object, row: int, standing: Standing = ALONE) -> None:
        resource_type = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource_type, str):
            self._leave_out(None, row)
        elif resource_type not in RESOURCE_TYPES:
            self._leave_out(resource_type, row)
        elif not self._is_foreign(resource_type, resource, row):
            self._gathering.add(resource_type, resource, row, standing)

    def _add_type(self, resource_type: str, resources: list[Resource], rows: list[int]) -> None:
        """Take resources of one type, but those of another version of FHIR."""
        signs = {sign.element for sign in SIGNS.get(resource_type, ())}
        try:
            suspects = [
                index for index, resource in enumerate(resources) if not resource.keys().isdisjoint(signs)
            ]
        except AttributeError:  # a text or list that bears a resourceType is none
            suspects = range(len(resources))  # type: ignore[assignment]
        foreign = {
            index for index in suspects if self._is_foreign(resource_type, resources[index], rows[index])
        }
        if foreign:
            kept = [index for index in range(len(rows)) if index not in foreign]
            resources, rows = [resources[index] for index in kept], [rows[index] for index in kept]
        if rows:
            self._gathering.add_all(resource_type, resources, rows)

    def _is_foreign(self, resource_type: str, resource: Resource, row: int) -> bool:
        """Whether a record shows that it is of another version than R4; it is rejected, and so noted."""
        sign = shown_sign(resource_type, resource)
        if sign is None:
            return False
        self._fates.append((row, resource_type, "rejected", sign.element, sign.reason))
        self.notes[OTHER_VERSION, f"{sign.version}: {resource_type}"] += 1
        return True

    def _leave_out(self, resource_type: object, row: int) -> None:
        """A record of a type that is not read, or of none."""
        if isinstance(resource_type, str) and resource_type in KNOWN_TYPES:
            reason = f"resource type {resource_type} is not read"
            self._fates.append((row, resource_type, "ignored", "", reason))
            version = FOREIGN_TYPES.get(resource_type)
            if version:
                self.notes[OTHER_VERSION, f"{version}: {resource_type}"] += 1
        else:
            reason = UNKNOWN_TYPE if isinstance(resource_type, str) else NO_RESOURCE
            self._fates.append((row, "", "rejected", "resourceType", reason))

    def reject(self, reason: str, sent: Sent) -> None:
        """A record that cannot be read at all."""
        self._sent[sent.row] = sent
        self._fates.append((sent.row, "", "rejected", "", reason))

    def ignore(self, row: int, reason: str, table: str = "") -> None:
        """A record that a rule passes over."""
        self._fates.append((row, table, "ignored", "", reason))

    def delete(self, row: int, name: str, rank: str | None) -> None:
        """A record that takes another back.

        Args:
            row: its number.
            name: of the other.
            rank: versions up to this one are taken back; all where it is None.
        """
        table = name.partition("/")[0]
        self.ignore(row, TAKEN_BACK, table if table in KNOWN_TYPES else "")
        self._deleted.append((row, name, rank))

    def part(self) -> Part:
        """All that was taken since the last part."""
        found: dict[str, list[pl.DataFrame]] = {}
        for group in self._gathering.groups.values():
            self._sampler.look_at(group.resource_type, len(group.rows), group.resources.__getitem__)
            n_modified = sum("modifierExtension" in resource for resource in group.resources)
            if n_modified:
                self.notes[MODIFIED, group.resource_type] += n_modified
            made = self._projected(group.batch(self._resolver, self._options))
            for name, frames in made.items():
                found.setdefault(name, []).extend(frames)
            self._tell_missing(group.resource_type, group.rows, made)
        tables = {name: pl.concat(frames) for name, frames in found.items()}
        told = tables.pop(_FATES, pl.DataFrame(schema=FATES))
        tables = with_versions(tables, self._gathering.records)
        for plain in self._plain:
            rows = with_own_versions(OBSERVATION, plain.table, plain.names, plain.ranks)
            ordinary = [tables[OBSERVATION].select(rows.columns)] if OBSERVATION in tables else []
            tables[OBSERVATION] = pl.concat([*ordinary, rows])
            told = pl.concat([told, plain.fates])
        fates = self._closed_fates(tables, told)
        n_records = _n_records(tables, fates)
        if self._deleted:
            tables[DELETED] = self._deletions()
        notes = self.notes + self._sampler.notes
        self._sampler.notes = Counter()
        part = Part(tables, fates, n_records, notes, self._raw(fates))
        self._begin()
        return part

    def _projected(self, batch: Batch, *, is_sifted: bool = False) -> dict[str, list[pl.DataFrame]]:
        """The rows of a batch; where that fails, of parts of it, down to the resource that is wrong."""
        try:
            return {name: [frame] for name, frame in project(batch).items()}
        except WRONG_TYPES:
            if len(batch.rows) == 1:
                self._reject_resource(batch)
                return {}
        odd = [] if is_sifted else _odd_ones(batch)
        if odd and len(odd) < len(batch.rows):
            wanted = set(odd)
            parts = [batch.pick([place for place in range(len(batch.rows)) if place not in wanted])]
            parts += [batch.pick([place]) for place in odd]
        else:
            middle = len(batch.rows) // 2
            parts = [batch.part(slice(0, middle)), batch.part(slice(middle, None))]
        made: dict[str, list[pl.DataFrame]] = {}
        for part in parts:
            for name, frames in self._projected(part, is_sifted=True).items():
                made.setdefault(name, []).extend(frames)
        return made

    def _reject_resource(self, batch: Batch) -> None:
        row = batch.rows[0]
        faults = self._sampler.look_at_reject(batch.resource_type, batch.resources[0])
        for fault in faults or [f": {WRONG_STRUCTURE}"]:
            where, _, what = fault.partition(": ")
            self._fates.append((row, batch.resource_type, "rejected", where, what))

    def _tell_missing(self, table: str, rows: list[int], made: dict[str, list[pl.DataFrame]]) -> None:
        """Records that became no row and have no fate, though nothing was wrong with them, are ignored."""
        told = [
            frame.filter((pl.col("table") == table) & (pl.col("fate") != "field"))
            for frame in made.get(_FATES, [])
        ]
        ended = [frame["_row"].to_numpy() for frame in [*made.get(table, []), *told]]
        own = [row for row, name, fate, _, _ in self._fates if name == table and fate != "field"]
        for row in np.setdiff1d(rows, np.concatenate([*ended, np.array(own, dtype=np.int64)])).tolist():
            self._fates.append((row, table, "ignored", "", NOTHING_IN_IT))

    def _closed_fates(self, tables: dict[str, pl.DataFrame], told: pl.DataFrame) -> pl.DataFrame:
        """All fates with offsets; what ends a record of which another part became rows is a wrong field."""
        columns = ["_row", "table", "fate", "field", "reason"]
        own = pl.DataFrame(self._fates, schema={name: FATES[name] for name in columns}, orient="row")
        fates = pl.concat([own, told.select(columns)])
        is_ended = fates.filter(pl.col("fate") != "field")
        if is_ended.height:
            used = [
                frame.select("_row", table=pl.lit(name)).filter(
                    pl.col("_row").is_in(is_ended["_row"].implode())
                )
                for name, frame in tables.items()
                if name not in LOOKUPS
            ]
            partners = pl.concat(used).unique().with_columns(_used=pl.lit(value=True)) if used else None
            if partners is not None and partners.height:
                fates = fates.join(partners, on=["_row", "table"], how="left", maintain_order="left")
                fates = fates.with_columns(
                    fate=pl.when(pl.col("_used")).then(pl.lit("field")).otherwise("fate")
                ).drop("_used")
        places = self._places(fates["_row"].unique().to_list())
        begins = [places[row].offset if row in places else None for row in fates["_row"].to_list()]
        offsets = pl.Series(begins, dtype=pl.Int64)
        return fates.with_columns(byte_offset=offsets)

    def _places(self, rows: list[int]) -> dict[int, Sent]:
        """What was sent as these records, those of them of which it is known."""
        found = {row: self._sent[row] for row in rows if row in self._sent}
        block = self._block
        if block is None or len(found) == len(rows):
            return found
        offsets = block.offsets()
        for row in rows:
            place = row - block.first_row
            if row not in found and 0 <= place < len(offsets):
                found[row] = Sent(row, block.lines[place], offsets[place])
        return found

    def _raw(self, fates: pl.DataFrame) -> dict[int, bytes]:
        rows = fates.filter(pl.col("fate") == "rejected")["_row"].unique().sort().to_list()
        return {row: sent.raw for row, sent in self._places(rows).items()}

    def _deletions(self) -> pl.DataFrame:
        rows, names, rank = zip(*self._deleted, strict=True)
        return pl.DataFrame(
            {
                "_row": pl.Series(rows, dtype=pl.Int64),
                "_key": keys_of(names),
                "_rank": pl.Series(rank, dtype=pl.String),
            }
        )


def _odd_ones(batch: Batch) -> list[int]:
    """Resources with an element of another JSON type than FHIR's: most likely these cannot be projected."""
    model = resource_model(batch.resource_type)
    if model is None:
        return []
    return [place for place, one in enumerate(batch.resources) if next(shape_faults(one, model), None)]


def _n_records(tables: dict[str, pl.DataFrame], fates: pl.DataFrame) -> int:
    """Records of each table once: those that became rows and those that ended without."""
    n_rows = sum(frame["_row"].n_unique() for name, frame in tables.items() if name not in LOOKUPS)
    return n_rows + fates.filter(pl.col("fate") != "field").select("table", "_row").n_unique()
