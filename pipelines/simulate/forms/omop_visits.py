"""Visits of the OMOP form: a VISIT_OCCURRENCE a contact, its VISIT_DETAIL at the unit, and CARE_SITE."""

from __future__ import annotations

import polars as pl

EHR = 32817
_INPATIENT, _OUTPATIENT, _INTENSIVE = 9201, 9202, 32037
_VISITS = {1: _INPATIENT, 2: _OUTPATIENT, 3: _OUTPATIENT}
"""**Source:** OHDSI vocabularies Type Concept (EHR) and Visit (inpatient, outpatient, intensive care)."""
INTENSIVE_UNIT = "INT"
DEAD, DIED = 2, "død"


def visit_tables(contacts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """care_site, visit_occurrence and visit_detail, one row a contact in the last two.

    A contact that goes on at the extract has its last day there as its end date, as the CDM asks, and no end
    time.

    Args:
        contacts: the contacts of the extract.
    """
    sites = _care_sites(contacts)
    hospital = sites.filter(pl.col("enhet").is_null()).select("sykehus", hospital_site="care_site_id")
    unit = sites.drop_nulls("enhet").select("sykehus", "enhet", unit_site="care_site_id")
    told = contacts.join(hospital, on="sykehus", maintain_order="left").join(
        unit, on=["sykehus", "enhet"], maintain_order="left"
    )
    concept = pl.col("omsorgsniva").replace_strict(_VISITS)
    is_intensive = pl.col("enhet") == INTENSIVE_UNIT
    return {
        "care_site": sites.select(
            "care_site_id",
            care_site_name=pl.coalesce("enhet", "sykehus"),
            care_site_source_value=pl.coalesce("enhet", "sykehus"),
        ),
        "visit_occurrence": told.select(
            **_shared("visit"),
            visit_occurrence_id="kontakt_id",
            visit_concept_id=concept,
            care_site_id="hospital_site",
            visit_source_value=pl.col("kontakt_id").cast(pl.String),
        ),
        "visit_detail": told.select(
            **_shared("visit_detail"),
            visit_detail_id="kontakt_id",
            visit_occurrence_id="kontakt_id",
            visit_detail_concept_id=pl.when(is_intensive).then(_INTENSIVE).otherwise(concept),
            care_site_id="unit_site",
            visit_detail_source_value=pl.col("kontakt_id").cast(pl.String),
        ),
    }


def _care_sites(contacts: pl.DataFrame) -> pl.DataFrame:
    """care_site_id, sykehus and enhet (null for the hospital itself)."""
    units = contacts.select("sykehus", "enhet").unique()
    hospitals = contacts.select("sykehus", enhet=pl.lit(None, pl.String)).unique()
    return (
        pl.concat([hospitals, units])
        .sort("sykehus", "enhet", nulls_last=False)
        .with_row_index("care_site_id", offset=1)
    )


def _shared(table: str) -> dict[str, pl.Expr]:
    """The columns that both visit tables have."""
    start, end, target = pl.col("innDatoTid"), pl.col("utDatoTid"), pl.col("tilSted")
    last_day = pl.max_horizontal(start.max(), end.max()).dt.date()
    return {
        "person_id": pl.col("patient_id"),
        f"{table}_start_date": start.dt.date(),
        f"{table}_start_datetime": start,
        f"{table}_end_date": end.dt.date().fill_null(last_day),
        f"{table}_end_datetime": end,
        f"{table}_type_concept_id": pl.lit(EHR),
        "admitted_from_source_value": pl.col("fraSted"),
        "discharged_to_source_value": pl.when(pl.col("utTilstand") == DEAD)
        .then(pl.lit(DIED))
        .otherwise(target),
    }
