"""Clinical facts of the OMOP form, each with the vocabulary and the code of its local concept."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from pipelines.simulate.forms.omop_visits import EHR

_MAIN, _OTHER = 32902, 32908
"""**Source:** OHDSI vocabulary Condition Status: primary and secondary diagnosis."""
_SYSTEMS = {"K": "NCSP", "M": "NCMP", "R": "NCRP"}
_UNITS = {
    "heart_rate": "1/min",
    "respiratory_rate": "1/min",
    "spo2": "%",
    "systolic_bp": "mmHg",
    "diastolic_bp": "mmHg",
    "temperature": "Cel",
    "oxygen_flow": "L/min",
    "consciousness": None,
}
_ALERTNESS = {0: "A", 1: "C"}


def fact_tables(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """condition_occurrence, procedure_occurrence, drug_exposure, measurement and specimen.

    Args:
        tables: those of the extract.

    Returns:
        Columns of the CDM, and vocabulary_id and concept_code, which become the source concept.
    """
    return {
        "condition_occurrence": _conditions(tables["conditions"]),
        "procedure_occurrence": _procedures(tables["procedures"]),
        "drug_exposure": _doses(tables["drugs"]),
        "measurement": pl.concat(
            [
                _results(tables["laboratory"]),
                _signs(tables["vital_signs"]),
                _cultures(tables["blood_cultures"]),
            ]
        ),
        "specimen": _specimens(tables["blood_cultures"]),
    }


def _of(time: str, start: str, kind: str) -> dict[str, pl.Expr]:
    """Whose a fact is, where and when it happened, and its type."""
    return {
        "person_id": pl.col("patient_id"),
        "visit_occurrence_id": pl.col("kontakt_id"),
        f"{start}_date": pl.col(time).dt.date(),
        f"{start}_datetime": pl.col(time),
        f"{kind}_type_concept_id": pl.lit(EHR),
    }


def _conditions(conditions: pl.DataFrame) -> pl.DataFrame:
    sent = pl.col("kodeVerdi")
    dotted = (
        pl.when(sent.str.len_chars() > 3).then(sent.str.slice(0, 3) + "." + sent.str.slice(3)).otherwise(sent)
    )
    return conditions.select(
        **_of("kodet_tid", "condition_start", "condition"),
        condition_status_concept_id=pl.when(pl.col("tilstNr") == 1).then(_MAIN).otherwise(_OTHER),
        condition_status_source_value=pl.col("tilstNr").cast(pl.String),
        condition_source_value=dotted,
        vocabulary_id=pl.lit("ICD10-NO"),
        concept_code=dotted,
    )


def _procedures(procedures: pl.DataFrame) -> pl.DataFrame:
    return procedures.select(
        **_of("startDatoTid", "procedure", "procedure"),
        procedure_source_value=pl.col("kodeVerdi"),
        vocabulary_id=pl.col("kodeverk").replace_strict(_SYSTEMS),
        concept_code=pl.col("kodeVerdi"),
    )


def _doses(drugs: pl.DataFrame) -> pl.DataFrame:
    return drugs.select(
        **_of("given_time", "drug_exposure_start", "drug"),
        drug_exposure_end_date=pl.col("given_time").dt.date(),
        drug_exposure_end_datetime=pl.col("given_time"),
        quantity=pl.col("dose"),
        drug_source_value=pl.col("atc"),
        dose_unit_source_value=pl.col("dose_unit"),
        vocabulary_id=pl.lit("ATC"),
        concept_code=pl.col("atc"),
    )


def _results(laboratory: pl.DataFrame) -> pl.DataFrame:
    return laboratory.select(
        **_of("sampled_time", "measurement", "measurement"),
        value_as_number=pl.col("value"),
        measurement_source_value=pl.col("nlk"),
        unit_source_value=pl.col("unit"),
        value_source_value=pl.lit(None, pl.String),
        vocabulary_id=pl.lit("NLK"),
        concept_code=pl.col("nlk"),
    )


def _signs(vital_signs: pl.DataFrame) -> pl.DataFrame:
    """One row a sign of a round; of the level of consciousness also the letter of ACVPU."""
    long = vital_signs.with_columns(pl.col(*_UNITS).cast(pl.Float64)).unpivot(
        index=["kontakt_id", "patient_id", "measured_time"],
        on=list(_UNITS),
        variable_name="sign",
        value_name="value",
    )
    is_alertness = pl.col("sign") == "consciousness"
    letter = pl.col("value").replace_strict(_ALERTNESS, default=None, return_dtype=pl.String)
    return (
        long.drop_nulls("value")
        .sort("kontakt_id", "measured_time", "sign")
        .select(
            **_of("measured_time", "measurement", "measurement"),
            value_as_number=pl.col("value"),
            measurement_source_value=pl.col("sign"),
            unit_source_value=pl.col("sign").replace_strict(_UNITS, return_dtype=pl.String),
            value_source_value=pl.when(is_alertness).then(letter),
            vocabulary_id=pl.lit("VITAL"),
            concept_code=pl.col("sign"),
        )
    )


def _cultures(cultures: pl.DataFrame) -> pl.DataFrame:
    """What came of the cultures that were answered."""
    code = pl.when(pl.col("organism").is_null()).then(pl.lit("no_growth")).otherwise(pl.lit("growth"))
    return cultures.drop_nulls("result").select(
        **_of("collected_time", "measurement", "measurement"),
        value_as_number=pl.lit(None, pl.Float64),
        measurement_source_value=code,
        unit_source_value=pl.lit(None, pl.String),
        value_source_value=pl.col("organism"),
        vocabulary_id=pl.lit("BLOOD_CULTURE"),
        concept_code=code,
    )


def _specimens(cultures: pl.DataFrame) -> pl.DataFrame:
    """Every culture set that was collected; a specimen of the CDM belongs to no visit."""
    whose = _of("collected_time", "specimen", "specimen")
    return cultures.select(
        **{name: column for name, column in whose.items() if name != "visit_occurrence_id"},
        specimen_source_value=pl.lit("collected"),
        vocabulary_id=pl.lit("BLOOD_CULTURE"),
        concept_code=pl.lit("collected"),
    )
