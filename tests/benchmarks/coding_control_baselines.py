"""What coding control has to beat: rules alone, the ranking of units by their rates, argmax disagreement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from coding_control_judging import CATEGORY, EXPECTATION_FAMILIES, Floats, Judged, scores

from phenotype.contacts import join_stays
from phenotype.trajectory import open_dataset

MIN_EXPECTED = 1.0
"""A unit's rate of a code is ranked where so many stays with it are expected."""


def rules_only(judged: Judged, family: str) -> Floats:
    """The highest probability of any broken rule about each case of a family."""
    return scores(judged.of_family(family), judged.found.filter(kind="rule"), by_category=False)


@dataclass(frozen=True)
class Rates:
    """How units code, against all units.

    Attributes:
        stays: stay_id, unit, year.
        codes: stay_id, unit, year, category: of diagnoses three characters, of procedures the code.
        cells: unit, year, category, z = (observed - expected) / sqrt(expected) of the stays with it, where
            expected is the share of all units in that year.
    """

    stays: pl.DataFrame
    codes: pl.DataFrame
    cells: pl.DataFrame


def rates_of(dataset: Path) -> Rates:
    """The rates of a dataset."""
    opened = open_dataset(dataset)
    contacts = join_stays(opened.contacts()).with_columns(
        unit=pl.concat_str("hospital_id", "unit_id", separator="/"), year=pl.col("end_time").dt.year()
    )
    stays = contacts.group_by("stay_id").agg(pl.col("unit", "year").sort_by("end_time").last())
    is_procedure = pl.col("role") == "procedure"
    category = pl.when(is_procedure).then("code").otherwise(pl.col("code").str.extract(CATEGORY))
    codes = (
        opened.codings()
        .join(contacts.select("contact_id", "stay_id"), on="contact_id")
        .select("stay_id", category.alias("category"))
        .drop_nulls()
        .unique()
        .join(stays, on="stay_id")
    )
    of_year = codes.group_by("year", "category").len("n_coded")
    of_year = of_year.join(stays.group_by("year").len("n_year"), on="year")
    observed = codes.group_by("unit", "year", "category").len("observed")
    cells = (
        stays.group_by("unit", "year")
        .len("n_unit")
        .join(of_year, on="year")
        .join(observed, on=["unit", "year", "category"], how="left")
        .with_columns(
            expected=pl.col("n_coded") / pl.col("n_year") * pl.col("n_unit"),
            observed=pl.col("observed").fill_null(0),
        )
        .filter(pl.col("expected") >= MIN_EXPECTED)
        .select(
            "unit",
            "year",
            "category",
            z=(pl.col("observed") - pl.col("expected")) / pl.col("expected").sqrt(),
        )
    )
    return Rates(stays, codes, cells)


def rate_ranking(judged: Judged, rates: Rates, family: str) -> Floats:
    """How far the unit of each case is from all units, in the code of the case that is furthest above.

    Of a dropped condition it is how far the unit is below in that condition, of an added one how far above in
    it: the baseline is told which condition is asked about, as the platform is not.
    """
    cases = judged.of_family(family)
    rows = cases.select("error_id", "category", stay_id="stays").explode("stay_id")
    if family in EXPECTATION_FAMILIES:
        sign = -1.0 if family == "dropped_secondary" else 1.0
        found = rows.join(rates.stays, on="stay_id").join(rates.cells, on=["unit", "year", "category"])
    else:
        sign = 1.0
        found = (
            rows.select("error_id", "stay_id")
            .join(rates.codes, on="stay_id")
            .join(rates.cells, on=["unit", "year", "category"])
        )
    best = found.group_by("error_id").agg((sign * pl.col("z")).max().alias("z"))
    return cases.join(best, on="error_id", how="left", maintain_order="left")["z"].fill_null(-1e3).to_numpy()


def argmax_of_stays(judged: Judged, expected: pl.DataFrame, family: str) -> Floats:
    """Whether the likelier of coded and not coded disagrees about any condition of each case's stays, 1 or 0.

    Args:
        judged: the audit and the truth.
        expected: columns of `phenotype.coding.expected.expected.EXPECTED`.
        family: dropped_secondary (something likelier coded is not) or added_secondary (the other way round).
    """
    likely = pl.col("probability") >= 0.5
    is_dropped = family == "dropped_secondary"
    disagrees = likely & ~pl.col("is_coded") if is_dropped else ~likely & pl.col("is_coded")
    found = expected.filter(disagrees).select(
        "stay_id", kind=pl.lit(EXPECTATION_FAMILIES[family]), probability=pl.lit(1.0), category=pl.lit("")
    )
    return scores(judged.of_family(family), found, by_category=False)


def argmax_disagreement(judged: Judged, expected: pl.DataFrame, family: str) -> Floats:
    """Whether the likelier of coded and not coded disagrees with the coding of each case, 1 or 0.

    Of a dropped or added condition it is asked about that condition, as the rate ranking is; of the others
    about the main condition: whether the group likeliest to be main is another than the coded one.

    Args:
        judged: the audit and the truth.
        expected: columns of `phenotype.coding.expected.expected.EXPECTED`.
        family: which.
    """
    cases = judged.of_family(family)
    rows = cases.select("error_id", "category", stay_id="stays").explode("stay_id")
    if family in EXPECTATION_FAMILIES:
        likely = pl.col("probability") >= 0.5
        disagrees = (
            likely & ~pl.col("is_coded") if family == "dropped_secondary" else ~likely & pl.col("is_coded")
        )
        found = expected.with_columns(category=pl.col("concept").str.extract(CATEGORY))
        found = rows.join(found, on=["stay_id", "category"]).select("error_id", disagrees.alias("disagrees"))
    else:
        best = expected.sort("probability_main", "concept").group_by("stay_id").agg(pl.col("is_main").last())
        found = rows.join(best, on="stay_id").select("error_id", (~pl.col("is_main")).alias("disagrees"))
    told = found.group_by("error_id").agg(pl.col("disagrees").max())
    return (
        cases.join(told, on="error_id", how="left", maintain_order="left")["disagrees"]
        .fill_null(value=False)
        .cast(pl.Float64)
        .to_numpy()
    )
