"""Sepsis or bloodstream infection during a stay, with its onset, by one named definition.

**Definition sepsis_or_bsi, version 1.** A stay has it when (a) a blood culture collected in it grows a
recognised pathogen, or a commensal that grows in two cultures collected at different times within 48 hours;
or (b) it is coded with sepsis. Onset is the collection of the first such culture; where there is none, of the
stay's first blood culture; where no culture was taken, the discharge, and the onset is then called unknown. A
growth without the name of an organism does not count.

**Source:** NHSN laboratory-confirmed bloodstream infection, criteria 1 and 2 (recognised pathogen in one
culture; common commensal in two cultures on separate occasions), without criterion 2's signs (fever, chills,
hypotension), which few extracts hold at every culture.
"""

from __future__ import annotations

import polars as pl

from ontology.valuesets.sets import ValueSet, load_valueset
from phenotype.contacts import OVERNIGHT_LEVELS
from phenotype.task_parts import InfectionAdmission, InfectionInStay
from phenotype.trajectory import INSTANT, Dataset

CULTURE_CODE = "BLOOD_CULTURE//collected"
GROWTH_CODE = "BLOOD_CULTURE//growth"
SEPARATE_OCCASIONS = pl.duration(hours=48)
"""Two growths of a commensal this near each other, at different times, are a bloodstream infection."""

INFECTIONS = pl.Schema(
    {"stay_id": pl.Int64(), "subject_id": pl.Int64(), "onset_time": INSTANT, "basis": pl.String()}
)


def infections(
    dataset: Dataset,
    contacts: pl.DataFrame,
    stay_rows: pl.DataFrame,
    outcome: InfectionInStay | InfectionAdmission,
) -> pl.DataFrame:
    """The stays with sepsis or a bloodstream infection, one row a stay.

    Args:
        dataset: whose cultures and codes count.
        contacts: columns of CONTACTS, with stay_id.
        stay_rows: columns of STAYS; only inpatient and intensive care stays can have an infection.
        outcome: value sets of codes and commensals, and how far before the stay a culture belongs to it.

    Returns:
        Columns of INFECTIONS sorted by stay_id; basis is "growth", "code and culture" (coded, timed by the
        first culture) or "code" (coded, onset unknown: at discharge, or null where the stay has no end).
    """
    beds = stay_rows.filter(pl.col("care_level").is_in(OVERNIGHT_LEVELS))
    codes_there = dataset.events().select(pl.col("code").unique()).collect()["code"].to_list()
    is_sepsis = load_valueset(outcome.definition).holds("code", codes_there)
    found = (
        dataset.events()
        .filter(pl.col("code").is_in([CULTURE_CODE, GROWTH_CODE]) | is_sepsis)
        .filter(pl.col("time").is_not_null())
        .select("subject_id", "time", "code", "text_value", "contact_id")
        .collect()
    )
    cultures = found.filter(pl.col("code").is_in([CULTURE_CODE, GROWTH_CODE]))
    growths = true_growths(cultures.filter(pl.col("code") == GROWTH_CODE), load_valueset(outcome.commensals))
    codes = _coded_stays(found.filter(is_sepsis), contacts, beds)
    first_growth = _first_in_stay(growths, beds, outcome.lookback_hours, "_growth")
    first_culture = _first_in_stay(cultures, beds, outcome.lookback_hours, "_culture")
    onset = pl.coalesce("_growth", "_culture", "end_time").alias("onset_time")
    basis = (
        pl.when(pl.col("_growth").is_not_null())
        .then(pl.lit("growth"))
        .when(pl.col("_culture").is_not_null())
        .then(pl.lit("code and culture"))
        .otherwise(pl.lit("code"))
        .alias("basis")
    )
    return (
        beds.join(first_growth, on="stay_id", how="left")
        .join(first_culture, on="stay_id", how="left")
        .filter(pl.col("_growth").is_not_null() | pl.col("stay_id").is_in(codes.implode()))
        .select("stay_id", "subject_id", onset, basis)
        .sort("stay_id")
    )


def true_growths(growths: pl.DataFrame, commensals: ValueSet) -> pl.DataFrame:
    """The growths that mean infection: recognised pathogens, and commensals grown on separate occasions.

    Args:
        growths: subject_id, time (of collection), text_value (organism, null where not named).
        commensals: organisms that count only when they grow twice.

    Returns:
        subject_id, time of the growths that count, the first of two for a commensal; sorted, unique.
    """
    named = growths.filter(pl.col("text_value").is_not_null()).with_columns(
        is_commensal=commensals.holds_text("text_value"),
        organism=pl.col("text_value").str.to_lowercase().str.strip_chars(),
    )
    occasions = (
        named.filter("is_commensal")
        .select("subject_id", "organism", "time")
        .unique()
        .sort("subject_id", "organism", "time")
        .with_columns(_next=pl.col("time").shift(-1).over("subject_id", "organism"))
        .filter(pl.col("_next") - pl.col("time") <= SEPARATE_OCCASIONS)
    )
    keys = ["subject_id", "time"]
    return (
        pl.concat([named.filter(~pl.col("is_commensal")).select(keys), occasions.select(keys)])
        .unique()
        .sort(keys)
    )


def _coded_stays(codes: pl.DataFrame, contacts: pl.DataFrame, beds: pl.DataFrame) -> pl.Series:
    """Ids of the stays that hold a code: by the code's contact, else by the stay that its time falls in."""
    stay_of_contact = contacts.select("contact_id", "stay_id")
    by_contact = codes.filter(pl.col("contact_id").is_not_null()).join(stay_of_contact, on="contact_id")
    by_time = _in_stay(codes.filter(pl.col("contact_id").is_null()), beds, lookback_hours=0)
    return pl.concat([by_contact["stay_id"], by_time["stay_id"]]).unique().sort()


def _first_in_stay(
    events: pl.DataFrame, beds: pl.DataFrame, lookback_hours: float, name: str
) -> pl.DataFrame:
    """stay_id and the time of the first of these events that belongs to it."""
    return _in_stay(events, beds, lookback_hours).group_by("stay_id").agg(pl.col("time").min().alias(name))


def _in_stay(events: pl.DataFrame, beds: pl.DataFrame, lookback_hours: float) -> pl.DataFrame:
    """Events with the stay that they fall in, else the stay that begins within lookback_hours after them."""
    times = events.select("subject_id", "time").unique().sort("time")
    spans = beds.select("subject_id", "stay_id", _in=pl.col("start_time"), _out=pl.col("end_time")).sort(
        "_in"
    )
    within = times.join_asof(
        spans, left_on="time", right_on="_in", by="subject_id", strategy="backward", check_sortedness=False
    )
    is_inside = (pl.col("time") <= pl.col("_out")) | (pl.col("_out").is_null() & pl.col("_in").is_not_null())
    inside = within.filter(is_inside).select("stay_id", "time")
    before = (
        within.filter(~is_inside.fill_null(value=False))
        .select("subject_id", "time")
        .join_asof(
            spans, left_on="time", right_on="_in", by="subject_id", strategy="forward", check_sortedness=False
        )
    )
    is_near = pl.col("_in") - pl.col("time") <= pl.duration(seconds=int(lookback_hours * 3600))
    return pl.concat([inside, before.filter(is_near).select("stay_id", "time")])
