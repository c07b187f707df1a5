"""Contacts joined to hospital stays: the 8-hour rule, length of stay, care level, outcome, and readmissions.

A contact is what one unit reports; a stay joins the contacts of one hospitalisation, whatever the unit, the
hospital or the care level. All functions give the same rows for any order of the contacts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.trajectory import INSTANT

JOIN_WITHIN_HOURS = 8.0
"""A new admission before the previous discharge, or at most this long after it, continues the stay.

**Source:** SKDE, sykehusopphold.sas / Episode_of_care.sas (28,800 seconds), for aggregation of NPR episodes.
"""
CARE_LEVELS = ("icu", "inpatient", "day", "emergency", "outpatient")
"""Care levels of a contact, the most intensive first; a stay has the most intensive of its contacts."""
OVERNIGHT_LEVELS = ("icu", "inpatient")
DEATH = "death"

STAYS = pl.Schema(
    {
        "stay_id": pl.Int64(),
        "subject_id": pl.Int64(),
        "start_time": INSTANT,
        "end_time": INSTANT,
        "length_hours": pl.Float64(),
        "care_level": pl.String(),
        "urgency": pl.String(),
        "is_acute": pl.Boolean(),
        "is_overnight": pl.Boolean(),
        "is_dead": pl.Boolean(),
        "discharged_to": pl.String(),
        "hospital_id": pl.String(),
        "n_contacts": pl.UInt32(),
    }
)
_ORDER = ["subject_id", "start_time", "_reach", "contact_id"]


def join_stays(contacts: pl.DataFrame) -> pl.DataFrame:
    """The contacts with stay_id filled in: the contact_id of the stay's first contact.

    A contact without an end reaches no further than its start; one without a start is a stay of its own.
    Given stay_ids are replaced.

    Args:
        contacts: columns of CONTACTS, in any order.

    Returns:
        The same rows and columns, sorted by (subject_id, start_time, end_time, contact_id).

    **Source:** SKDE sykehusopphold.sas: admission before the previous discharge or within 8 hours of it.
    """
    ordered = contacts.with_columns(
        _reach=pl.when(pl.col("start_time").is_not_null()).then(pl.max_horizontal("start_time", "end_time"))
    ).sort(_ORDER, nulls_last=False, maintain_order=False)
    first = np.flatnonzero(_begins_stay(ordered))
    n_contacts = np.diff(first, append=ordered.height)
    return ordered.with_columns(
        stay_id=ordered["contact_id"].gather(first).gather(np.repeat(np.arange(len(first)), n_contacts))
    ).select(contacts.columns if "stay_id" in contacts.columns else [*contacts.columns, "stay_id"])


def _begins_stay(ordered: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each contact begins a stay, of contacts in _ORDER with their _reach; (n,)."""
    subject = ordered["subject_id"]
    person = subject.ne_missing(subject.shift(1)).cum_sum().to_numpy().astype(np.int64)
    reaches = ordered["_reach"].drop_nulls().unique().sort()
    has_start = ordered["_reach"].is_not_null().to_numpy()
    # The furthest reach so far of the same person, as ranks: each person's above all of the one before.
    rank = reaches.search_sorted(ordered["_reach"]).to_numpy().astype(np.int64)
    furthest = np.maximum.accumulate(person * (len(reaches) + 1) + np.where(has_start, rank, 0))
    before, whose = furthest[:-1] % (len(reaches) + 1), person[:-1]
    gap = np.timedelta64(int(JOIN_WITHIN_HOURS * 3600), "s")
    begins = np.ones(ordered.height, dtype=np.bool_)
    rows = np.flatnonzero((person[1:] == whose) & has_start[1:] & has_start[:-1])
    start = ordered["start_time"].to_numpy()[rows + 1]
    begins[rows + 1] = start > reaches.to_numpy()[before[rows]] + gap
    return begins


def stays(contacts: pl.DataFrame) -> pl.DataFrame:
    """One row a stay: when it began and ended, how intensive and how urgent it was, and how it came out.

    The end is the latest of the contacts' ends, or null where the contact that began last has none. The
    outcome is the worst: dead where any contact says so. A stay is acute where any contact is, planned where
    none is and one is planned, else null. It is overnight where it holds an inpatient or intensive care
    contact and ends on a later date than it began; null where that cannot be told.

    Args:
        contacts: columns of CONTACTS, in any order; stay_id is computed where any is null.

    Returns:
        Columns of STAYS, sorted by (subject_id, start_time, stay_id); contacts without a start are left out.

    **Source:** SKDE sykehusopphold.sas: outcome = worst uttilstand; urgency = acute if any contact is acute.
    """
    known = contacts if _has_stay_ids(contacts) else join_stays(contacts)
    in_order = known.filter(pl.col("start_time").is_not_null()).sort(
        "subject_id", "start_time", "end_time", "contact_id", nulls_last=False
    )
    joined = in_order.group_by("stay_id", maintain_order=True).agg(
        pl.col("subject_id", "start_time").first(),
        _end_time(),
        _most_intensive(),
        is_acute=(pl.col("urgency") == "acute").any(ignore_nulls=True),
        _is_planned=(pl.col("urgency") == "planned").any(ignore_nulls=True),
        is_dead=(pl.col("discharged_to") == DEATH).any(ignore_nulls=True),
        _last_discharge=pl.col("discharged_to").drop_nulls().last(),
        hospital_id=pl.col("hospital_id").drop_nulls().first(),
        n_contacts=pl.len(),
    )
    return (
        joined.with_columns(
            length_hours=hours_between("start_time", "end_time"),
            urgency=pl.when("is_acute").then(pl.lit("acute")).when("_is_planned").then(pl.lit("planned")),
            is_overnight=_is_overnight(),
            discharged_to=pl.when("is_dead").then(pl.lit(DEATH)).otherwise("_last_discharge"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in STAYS.items())
        .sort("subject_id", "start_time", "stay_id")
    )


def readmissions(stay_rows: pl.DataFrame, within_days: float = 30.0) -> pl.DataFrame:
    """The first acute overnight stay that follows each live-discharged overnight stay within the days given.

    Args:
        stay_rows: columns of STAYS.
        within_days: the readmission begins after the discharge and less than this many days after it.

    Returns:
        stay_id, subject_id, end_time, readmission_stay_id, readmission_time and readmission_hours (null where
        there was none), one row for each overnight stay that the patient left alive, sorted by (subject_id,
        end_time).

    **Source:** SKDE reinnleggelser.sas: an acute overnight episode, 0 < days < 30 after a live-discharged
    overnight episode.
    """
    index = stay_rows.filter(pl.col("is_overnight") & ~pl.col("is_dead")).sort("end_time", "stay_id")
    acute = stay_rows.filter(pl.col("is_overnight") & pl.col("is_acute")).select(
        "subject_id",
        pl.col("start_time").alias("readmission_time"),
        pl.col("stay_id").alias("readmission_stay_id"),
    )
    following = index.select("stay_id", "subject_id", "end_time").join_asof(
        acute.sort("readmission_time", "readmission_stay_id"),
        left_on="end_time",
        right_on="readmission_time",
        by="subject_id",
        strategy="forward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    is_near = hours_between("end_time", "readmission_time") < within_days * 24
    return (
        following.with_columns(
            pl.when(is_near).then(name).alias(name) for name in ("readmission_time", "readmission_stay_id")
        )
        .with_columns(readmission_hours=hours_between("end_time", "readmission_time"))
        .select(
            "stay_id",
            "subject_id",
            "end_time",
            "readmission_stay_id",
            "readmission_time",
            "readmission_hours",
        )
        .sort("subject_id", "end_time", "stay_id")
    )


def hours_between(start: str, end: str) -> pl.Expr:
    """Hours from one column of instants to another, as float64; null where either is."""
    return (pl.col(end) - pl.col(start)).dt.total_microseconds() / 3_600_000_000


def _has_stay_ids(contacts: pl.DataFrame) -> bool:
    return "stay_id" in contacts.columns and not contacts["stay_id"].has_nulls()


def _end_time() -> pl.Expr:
    """The latest end of a stay's contacts, null where the contact that began last is open."""
    is_open = pl.col("end_time").filter(pl.col("start_time") == pl.col("start_time").max()).is_null().all()
    return pl.when(~is_open).then(pl.col("end_time").max()).alias("end_time")


def _most_intensive() -> pl.Expr:
    return pl.coalesce(
        pl.when((pl.col("care_level") == level).any(ignore_nulls=True)).then(pl.lit(level))
        for level in CARE_LEVELS
    ).alias("care_level")


def _is_overnight() -> pl.Expr:
    """Whether a stay holds a bed over at least one midnight; null where its end or care level is unknown."""
    has_bed = pl.col("care_level").is_in(OVERNIGHT_LEVELS)
    return has_bed & (pl.col("end_time").dt.date() > pl.col("start_time").dt.date())
