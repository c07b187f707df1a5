"""What became of the records of a batch that are no rows, and of the wrong attributes of those that are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.sources.npr.batch import Columns, Positions, Truths
from pipelines.sources.npr.checks import CUT_OFF, IN_REJECTED, NOTHING_IN_IT, Findings
from pipelines.sources.npr.elements import ELEMENTS, PARENTS, record_of
from pipelines.sources.records import FATES


@dataclass(frozen=True)
class _Fates:
    """Records of one table with one fate: their numbers, and the bytes at which they begin."""

    numbers: Positions
    offsets: Positions
    table: str
    fate: str
    field: str
    reason: str


def fates_of(columns: Columns, findings: Findings, is_made: dict[str, Truths]) -> pl.DataFrame:
    """Columns of FATES.

    Args:
        columns: the batch, as checked.
        findings: what is wrong.
        is_made: by store of records: which of them became rows.
    """
    found = list(_fields(columns, findings, is_made))
    for store, element in ELEMENTS.items():
        if not element.is_record or columns.height(store) == columns.n_told[store]:
            continue
        if store in is_made:
            found += _rejected(columns, findings, store, ~is_made[store])
        else:
            found += _rejected(columns, findings, store, findings.is_bad[store])
            ignored = np.flatnonzero(~findings.is_bad[store])
            found.append(_told(columns, store, ignored, "ignored", reason=element.ignored or ""))
    found += _astray(columns)
    return _frame([one for one in found if len(one.numbers)])


def _frame(found: list[_Fates]) -> pl.DataFrame:
    if not found:
        return pl.DataFrame(schema=FATES)
    lengths = [len(one.numbers) for one in found]
    which = pl.Series(np.repeat(np.arange(len(found)), lengths), dtype=pl.UInt32)
    words = pl.DataFrame(
        [(one.table, one.fate, one.field, one.reason) for one in found],
        schema={name: FATES[name] for name in ("table", "fate", "field", "reason")},
        orient="row",
    )
    told = words[which].with_columns(
        _row=pl.Series(np.concatenate([one.numbers for one in found])),
        byte_offset=pl.Series(np.concatenate([one.offsets for one in found])),
    )
    return told.select(FATES.names())


def _fields(columns: Columns, findings: Findings, is_made: dict[str, Truths]) -> Iterator[_Fates]:
    """Wrong attributes of records that are rows, or containers."""
    for store, name, reason, positions in findings.faults:
        record = record_of(store)
        at = columns.up(store, record)[positions]
        is_good = is_made[record] if record in is_made else ~findings.is_bad[record]
        yield _told(columns, record, np.unique(at[is_good[at]]), "field", name=name, reason=reason)


def _rejected(columns: Columns, findings: Findings, store: str, is_lost: Truths) -> Iterator[_Fates]:
    """One fate for each record that is lost, with the first reason that there is."""
    lost = np.flatnonzero(is_lost)
    reasons = np.full(len(lost), "", dtype=object)
    fields = np.full(len(lost), "", dtype=object)
    end = columns.batch.end
    parent = PARENTS[store]
    if parent:
        stands_in_bad = findings.is_bad[parent][columns.up(store, parent)][lost]
        reasons[stands_in_bad] = IN_REJECTED
    if end and end.open_from is not None:
        reasons[columns.offsets[store][lost] >= end.open_from] = CUT_OFF
    faults = sorted(findings.faults, key=lambda fault: fault[1] not in ELEMENTS[fault[0]].required)
    for of, name, reason, positions in faults:
        if record_of(of) == store:
            is_hit = np.isin(lost, columns.up(of, store)[positions]) & (reasons == "")
            reasons[is_hit], fields[is_hit] = reason, name
    reasons[reasons == ""] = NOTHING_IN_IT
    for name, reason in sorted(set(zip(fields.tolist(), reasons.tolist(), strict=True))):
        at = lost[(fields == name) & (reasons == reason)]
        yield _told(columns, store, at, "rejected", name=name, reason=reason)


def _told(
    columns: Columns, store: str, at: Positions, fate: str, *, name: str = "", reason: str = ""
) -> _Fates:
    """The fate of records at these positions, but those of which an earlier batch told."""
    offsets = columns.offsets[store][at[at >= columns.n_told[store]]]
    table = ELEMENTS[store].name
    return _Fates(columns.numbers(table, offsets), offsets, table, fate, name, reason)


def _astray(columns: Columns) -> Iterator[_Fates]:
    """Elements that are no rows: unknown, out of place, of another version; and the end of broken files."""
    kinds: dict[tuple[str, str, str], list[int]] = {}
    for one in columns.batch.astray:
        kinds.setdefault((one.table, one.fate, one.reason), []).append(one.offset)
    for (table, fate, reason), found in kinds.items():
        offsets = np.array(found, dtype=np.int64)
        yield _Fates(columns.numbers(table, offsets), offsets, table, fate, "", reason)
