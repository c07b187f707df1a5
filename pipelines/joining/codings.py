"""Codings of several sources: the same code of the same contact in the same role is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from phenotype.trajectory import CODINGS
from pipelines.joining.conflicts import CONFLICTS, as_conflicts
from pipelines.joining.matching import equal_rows, unmatched

_SAME = ["contact_id", "system", "code", "role"]
_FILLED = ["group_no", "code_no", "version", "condition_group_no", "coded_time", "lineage_id"]


@dataclass(frozen=True)
class JoinedCodings:
    """The codings of all sources.

    Attributes:
        codings: columns of CODINGS.
        moved: old, new: lineage ids whose rows now belong to another source's coding.
        conflicts: columns of CONFLICTS.
        n_same: codings that were one with another source's.
    """

    codings: pl.DataFrame
    moved: pl.DataFrame
    conflicts: pl.DataFrame
    n_same: int


def join_codings(parts: Sequence[tuple[str, pl.DataFrame]]) -> JoinedCodings:
    """All codings, those that are one as one; what the first source leaves null the next may fill.

    Args:
        parts: of each source its name and its codings (columns of CODINGS), in canonical order, with contact
            ids and lineage ids of the joined dataset.
    """
    joined = pl.DataFrame(schema={**CODINGS, "_source": pl.String})
    moved = [pl.DataFrame(schema={"old": pl.Int64, "new": pl.Int64})]
    conflicts, n_same = [pl.DataFrame(schema=CONFLICTS)], 0
    for source, codings in parts:
        left = _numbered(joined)
        right = _numbered(codings.with_columns(_source=pl.lit(source)))
        pairs = equal_rows(left, right, _SAME)
        both = pairs.join(left, left_on="left", right_on="_id", maintain_order="left").join(
            right, left_on="right", right_on="_id", maintain_order="left"
        )
        filled = both.select(*_SAME, "_source", *(pl.coalesce(name, f"{name}_right") for name in _FILLED))
        rest = unmatched(left, pairs, "left"), unmatched(right, pairs, "right")
        moves = pl.DataFrame({"old": both["lineage_id_right"], "new": filled["lineage_id"]}).drop_nulls()
        moved.append(moves.filter(pl.col("old") != pl.col("new")))
        conflicts.append(_other_roles(*rest))
        joined = pl.concat([rest[0].drop("_id"), filled, rest[1].drop("_id")], how="diagonal")
        n_same += pairs.height
    return JoinedCodings(joined.select(CODINGS.names()), pl.concat(moved), pl.concat(conflicts), n_same)


def _numbered(codings: pl.DataFrame) -> pl.DataFrame:
    """Codings in canonical order with `_id`."""
    order = [*_SAME, "group_no", "code_no", "version", "coded_time", "lineage_id"]
    ordered = codings.sort(order, nulls_last=False)
    return ordered.with_columns(_id=pl.int_range(pl.len(), dtype=pl.Int64))


def _other_roles(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Codes that one source calls the main condition of a contact and another one of the others."""
    keys = ["contact_id", "system", "code"]
    first = [part.unique(keys, keep="first", maintain_order=True) for part in (left, right)]
    told = first[0].join(first[1], on=keys).filter(pl.col("role") != pl.col("role_right"))
    return as_conflicts(
        told.with_columns(
            code=pl.format("{}//{}", "system", "code"),
            source="_source",
            other_source="_source_right",
            time="coded_time",
            other_time="coded_time_right",
            other_lineage_id="lineage_id_right",
        ),
        "role",
    )
