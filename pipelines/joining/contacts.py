"""Contacts of several sources: those that are one as one, and where each old id went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from phenotype.contacts import join_stays
from phenotype.trajectory import CONTACTS
from pipelines.joining.conflicts import CONFLICTS, as_conflicts
from pipelines.joining.matching import PAIRS, nearest, unmatched
from pipelines.joining.rule import ContactRule

_WORDS = [
    "referral_period_id",
    "care_level",
    "urgency",
    "unit_id",
    "hospital_id",
    "admitted_from",
    "discharged_to",
]
_PLACES = ("unit_id", "hospital_id", "care_level")
IDS = pl.Schema({"part": pl.Int64(), "old": pl.Int64(), "new": pl.Int64()})


@dataclass(frozen=True)
class JoinedContacts:
    """The contacts of all sources.

    Attributes:
        contacts: columns of CONTACTS, stays joined over all sources.
        ids: part, old, new: what every contact that got another id is called now; new is null of contacts
            left out.
        conflicts: columns of CONFLICTS.
        n_same: contacts that were one with another source's.
        n_left_out: contacts whose id is another subject's in an earlier source.
    """

    contacts: pl.DataFrame
    ids: pl.DataFrame
    conflicts: pl.DataFrame
    n_same: int
    n_left_out: int


def join_contacts(parts: Sequence[tuple[str, pl.DataFrame]], rule: ContactRule) -> JoinedContacts:
    """All contacts, those that are one as one: the earliest start, the latest end, the first word of each.

    Contacts are one where they have one id, or where a subject's starts and ends lie near each other and
    units, hospitals and care levels do not differ.

    Args:
        parts: of each source its name and its contacts (columns of CONTACTS), in canonical order.
        rule: how near.
    """
    joined = pl.DataFrame(schema={**CONTACTS, "_source": pl.String})
    ids, conflicts = [pl.DataFrame(schema=IDS)], [pl.DataFrame(schema=CONFLICTS)]
    n_same = n_left_out = 0
    for number, (source, contacts) in enumerate(parts):
        left = joined.with_columns(_id=pl.int_range(pl.len(), dtype=pl.Int64))
        right = _under_joined_ids(left, _ordered(contacts), pl.concat(ids)).with_columns(
            _source=pl.lit(source)
        )
        right, foreign = _of_their_subjects(left, right)
        right = right.with_columns(_id=pl.int_range(pl.len(), dtype=pl.Int64))
        pairs = _pairs(left, right, rule)
        both = _both(left, right, pairs)
        alone = unmatched(left, pairs, "left"), unmatched(right, pairs, "right")
        parts_joined = [alone[0], _combined(both), alone[1].drop("_old")]
        joined = pl.concat(parts_joined, how="diagonal").drop("_id")
        gone = foreign.select(old="_old", new=pl.lit(None, pl.Int64))
        moved = both.filter(pl.col("contact_id") != pl.col("_old")).select(old="_old", new="contact_id")
        ids.append(pl.concat([gone, moved]).select(pl.lit(number, pl.Int64).alias("part"), "old", "new"))
        conflicts += [_times_apart(both, rule), as_conflicts(foreign, "contact of two subjects")]
        n_same, n_left_out = n_same + pairs.height, n_left_out + foreign.height
    whole = join_stays(_ordered(joined).select(CONTACTS.names()))
    contacts = whole.sort("subject_id", "start_time", "end_time", "contact_id")
    return JoinedContacts(contacts, pl.concat(ids), pl.concat(conflicts), n_same, n_left_out)


def _ordered(contacts: pl.DataFrame) -> pl.DataFrame:
    return contacts.sort("subject_id", "start_time", "end_time", "contact_id", nulls_last=False)


def _under_joined_ids(left: pl.DataFrame, contacts: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """A source's contacts called as earlier sources' contacts of the same id are called now; `_old` as sent.

    An id that the source gives to another contact of its own is not taken, nor one of another subject.
    """
    told = ids.drop_nulls().select("old", "new").unique().filter(pl.col("old").is_unique())
    owners = left.select(new="contact_id", _owner="subject_id")
    told = told.join(contacts, left_on="new", right_on="contact_id", how="anti")
    told = told.filter(pl.col("new").is_unique()).join(owners, on="new")
    named = contacts.join(told, left_on="contact_id", right_on="old", how="left", maintain_order="left")
    is_called = (pl.col("_owner") == pl.col("subject_id")).fill_null(value=False)
    is_called &= ~pl.col("contact_id").is_in(left["contact_id"].implode())
    called = pl.when(is_called).then("new").otherwise("contact_id")
    return named.with_columns(contact_id=called, _old="contact_id").drop("new", "_owner")


def _of_their_subjects(left: pl.DataFrame, right: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The right's contacts but those whose id the left gives to another subject, and those."""
    owners = left.select("contact_id", _owner="subject_id", _owner_source="_source")
    told = right.join(owners, on="contact_id", how="left", maintain_order="left")
    is_foreign = (pl.col("_owner") != pl.col("subject_id")).fill_null(value=False)
    foreign = told.filter(is_foreign).with_columns(
        time="start_time", source="_owner_source", other_source="_source"
    )
    return told.filter(~is_foreign).drop("_owner", "_owner_source"), foreign


def _pairs(left: pl.DataFrame, right: pl.DataFrame, rule: ContactRule) -> pl.DataFrame:
    """Which contacts are one: by id first, then the nearest."""
    by_id = left.join(right, on="contact_id").select(left="_id", right="_id_right").cast(PAIRS)
    rest = unmatched(left, by_id, "left"), unmatched(right, by_id, "right")
    dated = [part.filter(pl.col("start_time").is_not_null()) for part in rest]
    candidates = dated[0].join(dated[1], on="subject_id")
    most = pl.duration(minutes=rule.tolerance_minutes)
    apart = [(pl.col(f"{end}_time") - pl.col(f"{end}_time_right")).abs() for end in ("start", "end")]
    is_near = (apart[0] <= most) & (apart[1] <= most).fill_null(value=True)
    is_one_place = [pl.col(name).eq(pl.col(f"{name}_right")).fill_null(value=True) for name in _PLACES]
    near = candidates.filter(is_near & pl.all_horizontal(is_one_place))
    scored = near.with_columns(left="_id", right="_id_right", _start=apart[0], _end=apart[1])
    return pl.concat([by_id, nearest(scored, ["_start", "_end"])])


def _both(left: pl.DataFrame, right: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.join(left, left_on="left", right_on="_id", maintain_order="left").join(
        right, left_on="right", right_on="_id", maintain_order="left"
    )


def _combined(both: pl.DataFrame) -> pl.DataFrame:
    return both.select(
        "contact_id",
        "subject_id",
        "stay_id",
        "_source",
        *(pl.coalesce(name, f"{name}_right") for name in _WORDS),
        start_time=pl.min_horizontal("start_time", "start_time_right"),
        end_time=pl.max_horizontal("end_time", "end_time_right"),
    )


def _times_apart(both: pl.DataFrame, rule: ContactRule) -> pl.DataFrame:
    """Contacts of one id whose starts or ends lie further apart than contacts of different ids may."""
    most = pl.duration(minutes=rule.tolerance_minutes)
    ends = ("start_time", "end_time")
    is_apart = [((pl.col(end) - pl.col(f"{end}_right")).abs() > most).fill_null(value=False) for end in ends]
    told = both.filter(pl.any_horizontal(is_apart)).with_columns(
        time=pl.when(is_apart[0]).then("start_time").otherwise("end_time"),
        other_time=pl.when(is_apart[0]).then("start_time_right").otherwise("end_time_right"),
        source="_source",
        other_source="_source_right",
    )
    return as_conflicts(told, "contact times")


def with_joined_ids(rows: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """Rows of one source whose contact_id is that of the join, null where the contact was left out.

    Args:
        rows: with contact_id.
        ids: old, new: of that source.
    """
    if not ids.height:
        return rows
    known = ids.with_columns(_is_told=pl.lit(value=True))
    told = rows.join(known, left_on="contact_id", right_on="old", how="left", maintain_order="left")
    new = pl.when(pl.col("_is_told")).then("new").otherwise("contact_id")
    return told.with_columns(contact_id=new).drop("new", "_is_told")
