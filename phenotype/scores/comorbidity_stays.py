"""Comorbidity and frailty of stays and of instants: which codes count for which, by contact and by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ontology.valuesets.sets import Family, Resolver, in_set, load_family, load_valueset
from phenotype.contacts import join_stays, stays
from phenotype.scores.comorbidity import band_of, family_score
from phenotype.trajectory import INSTANT, Dataset, known_time

if TYPE_CHECKING:
    from ontology.release import Ontology


def coded_groups(events: pl.LazyFrame, family_name: str, ontology: Ontology | None = None) -> pl.DataFrame:
    """The events that a family's groups are seen by.

    Args:
        events: columns of EVENTS.
        family_name: name or path of the family's file.
        ontology: by which `under` is judged; None is the one in use.

    Returns:
        subject_id, time, known_time (never null), contact_id, group; unique rows, sorted. Events without a
        time are left out.
    """
    codes = events.select(pl.col("code").unique()).collect()["code"].to_list()
    resolver, family = Resolver(codes, ontology), load_family(family_name)
    resolved = {
        name: resolver.resolve(load_valueset(f"{family_name}/{name}")).with_columns(group=pl.lit(name))
        for name in family.groups
    }
    every = pl.concat(resolved.values())
    found = events.filter(
        pl.col("time").is_not_null() & pl.col("code").is_in(every["code"].unique().to_list())
    ).select("subject_id", "time", known_time().alias("known_time"), "contact_id", "code")
    here = found.unique().collect()
    parts = [
        here.filter(in_set(rows)).with_columns(group=pl.lit(name))
        for name, rows in resolved.items()
        if rows.height
    ]
    columns = ["subject_id", "time", "known_time", "contact_id", "group"]
    if not parts:
        return here.clear().with_columns(group=pl.lit(None, dtype=pl.String)).select(columns)
    return pl.concat(parts).select(columns).unique().sort(columns)


def stay_scores(
    dataset: Dataset,
    family_name: str = "charlson_quan",
    *,
    weighting: str | None = None,
    look_back_days: int | None = None,
    own_codes: bool = True,
    roles: tuple[str, ...] | None = None,
    ontology: Ontology | None = None,
) -> pl.DataFrame:
    """An index for every stay, from the codes of the stay itself and of the days before it.

    An event belongs to the stay of its contact; one without a contact to the stay that its time lies in. What
    comes before a stay is what has a time in the look-back and before the stay's start.

    Args:
        dataset: whose events and contacts count.
        family_name: a family of configs/valuesets, or the path of one's own.
        weighting: the name of the weights; None takes the family's own choice.
        look_back_days: None takes the family's own; 0 where it says nothing.
        own_codes: whether the stay's own codes count; SKDE in Norway leaves them out.
        roles: None takes every event; else the codings of these roles (main, other) and nothing beside them.
        ontology: by which the codes are judged; None is the one in use.

    Returns:
        stay_id, subject_id, score (0 where nothing is seen), groups, band (null where the family has none);
        sorted by stay_id.
    """
    family = load_family(family_name)
    days = family.look_back_days or 0 if look_back_days is None else look_back_days
    contacts = join_stays(dataset.contacts())
    spans = stays(contacts).select("stay_id", "subject_id", "start_time", "end_time")
    events = dataset.events() if roles is None else coding_events(dataset, roles)
    coded = coded_groups(events, family_name, ontology)
    seen = pl.concat([_before(coded, spans, days), *([_own(coded, contacts, spans)] if own_codes else [])])
    scores = family_score(seen, family, weighting)
    rows = spans.select("stay_id", "subject_id").join(scores, on="stay_id", how="left")
    return _filled(rows, family).sort("stay_id")


def scores_at(
    dataset: Dataset,
    instants: pl.DataFrame,
    family_name: str = "charlson_quan",
    *,
    weighting: str | None = None,
    look_back_days: int | None = None,
    ontology: Ontology | None = None,
) -> pl.DataFrame:
    """An index for each instant, from what was known by then, of the days before it.

    Args:
        dataset: whose events count.
        instants: subject_id and time.
        family_name: a family of configs/valuesets, or the path of one's own.
        weighting: the name of the weights; None takes the family's own choice.
        look_back_days: None takes the family's own; all that came before where it says nothing.
        ontology: by which the codes are judged; None is the one in use.

    Returns:
        subject_id, time, score (0 where nothing is seen), groups, band (null where the family has none), one
        row for each different instant; sorted.
    """
    family = load_family(family_name)
    days = family.look_back_days if look_back_days is None else look_back_days
    asked = instants.select("subject_id", pl.col("time").cast(INSTANT)).unique()
    coded = coded_groups(dataset.events(), family_name, ontology).rename({"time": "coded_time"})
    seen = asked.join(coded, on="subject_id").filter(
        (pl.col("coded_time") <= pl.col("time")) & (pl.col("known_time") <= pl.col("time"))
    )
    if days is not None:
        seen = seen.filter(pl.col("coded_time") >= pl.col("time") - pl.duration(days=days))
    scores = family_score(seen.select("subject_id", "time", "group"), family, weighting)
    return _filled(asked.join(scores, on=["subject_id", "time"], how="left"), family).sort(
        "subject_id", "time"
    )


def coding_events(dataset: Dataset, roles: tuple[str, ...] = ("main", "other")) -> pl.LazyFrame:
    """The codings of these roles as events: at the time of coding, else at the contact's end or start.

    Returns:
        subject_id, time, known_time (null: as time), code (`SYSTEM//code`), contact_id.
    """
    contacts = dataset.contacts().select("contact_id", "subject_id", "start_time", "end_time")
    return (
        dataset.codings()
        .filter(pl.col("role").is_in(roles))
        .join(contacts, on="contact_id")
        .select(
            "subject_id",
            pl.coalesce("coded_time", "end_time", "start_time").alias("time"),
            pl.lit(None, dtype=INSTANT).alias("known_time"),
            pl.concat_str("system", pl.lit("//"), "code").alias("code"),
            "contact_id",
        )
        .lazy()
    )


def _filled(scores: pl.DataFrame, family: Family) -> pl.DataFrame:
    """Rows without anything seen get 0 and no groups; every row its band."""
    no_groups = pl.lit([], dtype=pl.List(pl.String))
    filled = scores.with_columns(pl.col("score").fill_null(0.0), pl.col("groups").fill_null(no_groups))
    return filled.with_columns(band=band_of(pl.col("score"), family))


def _before(coded: pl.DataFrame, spans: pl.DataFrame, look_back_days: int) -> pl.DataFrame:
    """stay_id and group of what was coded in the days before each stay."""
    start = pl.col("start_time")
    return (
        spans.filter(start.is_not_null())
        .join(coded, on="subject_id")
        .filter((pl.col("time") < start) & (pl.col("time") >= start - pl.duration(days=look_back_days)))
        .select("stay_id", "group")
    )


def _own(coded: pl.DataFrame, contacts: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """stay_id and group of what was coded in each stay."""
    stay_of = contacts.select("contact_id", "stay_id")
    by_contact = coded.filter(pl.col("contact_id").is_not_null()).join(stay_of, on="contact_id")
    is_inside = pl.col("time") >= pl.col("start_time")
    is_inside &= (pl.col("time") <= pl.col("end_time")) | pl.col("end_time").is_null()
    by_time = coded.filter(pl.col("contact_id").is_null()).join(spans, on="subject_id").filter(is_inside)
    return pl.concat([part.select("stay_id", "group") for part in (by_contact, by_time)])
