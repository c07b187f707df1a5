"""What became of the records of a batch that are no rows, and of the wrong attributes of those that are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from pipelines.sources.npr.batch import Columns, Positions, Truths
from pipelines.sources.npr.checks import CUT_OFF, IN_REJECTED, MISSING, NOTHING_IN_IT, Findings
from pipelines.sources.npr.elements import ELEMENTS, PARENTS, record_of
from pipelines.sources.records import FATES


def fates_of(columns: Columns, findings: Findings, is_made: dict[str, Truths]) -> pl.DataFrame:
    """Columns of FATES, in the order of the file within each table.

    Args:
        columns: the batch, as checked.
        findings: what is wrong.
        is_made: by store of records: which of them became rows.
    """
    found = [pl.DataFrame(schema=FATES), *_fields(columns, findings, is_made)]
    for store, element in ELEMENTS.items():
        if not element.is_record or columns.height(store) == columns.n_told[store]:
            continue
        if store in is_made:
            found.append(_rejected(columns, findings, store, ~is_made[store]))
        else:
            found.append(_rejected(columns, findings, store, findings.is_bad[store]))
            found.append(_fate(columns, store, ~findings.is_bad[store], "ignored", element.ignored or ""))
    found += _astray(columns)
    return pl.concat(found)


def _fields(columns: Columns, findings: Findings, is_made: dict[str, Truths]) -> Iterator[pl.DataFrame]:
    """Wrong attributes of records that are rows, or containers."""
    for store, name, reason, positions in findings.faults:
        record = record_of(store)
        at = columns.up(store, record)[positions]
        is_good = is_made[record] if record in is_made else ~findings.is_bad[record]
        kept = at[is_good[at] & (at >= columns.n_told[record])]
        if len(kept):
            yield _told(columns, record, kept, "field", name=name, reason=reason).unique(maintain_order=True)


def _rejected(columns: Columns, findings: Findings, store: str, is_lost: Truths) -> pl.DataFrame:
    """One fate for each record that is lost, with the first reason that there is."""
    lost = np.flatnonzero(is_lost)
    lost = lost[lost >= columns.n_told[store]]
    if not len(lost):
        return pl.DataFrame(schema=FATES)
    reasons = np.full(len(lost), "", dtype=object)
    fields = np.full(len(lost), "", dtype=object)
    end = columns.batch.end
    parent = PARENTS[store]
    if parent:
        stands_in_bad = findings.is_bad[parent][columns.up(store, parent)][lost]
        reasons[stands_in_bad] = IN_REJECTED
    if end and end.open_from is not None:
        reasons[columns.offsets[store][lost] >= end.open_from] = CUT_OFF
    for of, name, reason, positions in findings.faults:
        if record_of(of) != store:
            continue
        is_hit = np.isin(lost, columns.up(of, store)[positions])
        is_hit &= reasons == "" if reason == MISSING or of != store else np.isin(reasons, ["", IN_REJECTED])
        reasons[is_hit], fields[is_hit] = reason, name
    reasons[reasons == ""] = NOTHING_IN_IT
    told = _told(columns, store, lost, "rejected")
    return told.with_columns(
        pl.Series("field", fields.tolist(), dtype=pl.String),
        pl.Series("reason", reasons.tolist(), dtype=pl.String),
    )


def _fate(columns: Columns, store: str, is_it: Truths, fate: str, reason: str) -> pl.DataFrame:
    at = np.flatnonzero(is_it)
    return _told(columns, store, at[at >= columns.n_told[store]], fate, reason=reason)


def _told(
    columns: Columns, store: str, at: Positions, fate: str, *, name: str = "", reason: str = ""
) -> pl.DataFrame:
    offsets = columns.offsets[store][at]
    table = ELEMENTS[store].name
    return pl.DataFrame(
        {"_row": columns.numbers(table, offsets), "byte_offset": offsets},
        schema={"_row": pl.Int64, "byte_offset": pl.Int64},
    ).select(
        "_row",
        pl.lit(table).alias("table"),
        pl.lit(fate).alias("fate"),
        pl.lit(name).alias("field"),
        pl.lit(reason).alias("reason"),
        "byte_offset",
    )


def _astray(columns: Columns) -> Iterator[pl.DataFrame]:
    """Elements that are no rows: unknown, out of place, of another version; and the end of broken files."""
    kinds: dict[tuple[str, str, str], list[int]] = {}
    for one in columns.batch.astray:
        kinds.setdefault((one.table, one.fate, one.reason), []).append(one.offset)
    for (table, fate, reason), offsets in kinds.items():
        at = np.array(offsets, dtype=np.int64)
        yield pl.DataFrame(
            {
                "_row": columns.numbers(table, at),
                "table": [table] * len(at),
                "fate": [fate] * len(at),
                "field": [""] * len(at),
                "reason": [reason] * len(at),
                "byte_offset": at,
            },
            schema=FATES,
        )
