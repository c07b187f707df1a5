"""The codes of a dataset as local OMOP concepts, each with the table that its events go to."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate
from pipelines.export.omop_tables import LOCAL_CONCEPTS_FROM

OWN_VOCABULARY = "PESTA"
"""Vocabulary of codes that no SYSTEM and code of OMOP's widths can hold; their concept's name is the code."""
PESTA_CONCEPT = ("concept_id", "code", "description")
"""Columns of the table beside CONCEPT: the code and its description in full length."""
OTHER_TABLE = "observation"
_DOMAINS = {
    "condition_occurrence": "Condition",
    "procedure_occurrence": "Procedure",
    "drug_exposure": "Drug",
    "measurement": "Measurement",
    "observation": "Observation",
}
_SYSTEM_WIDTH, _CODE_WIDTH, NAME_WIDTH = 20, 50, 255
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2099, 12, 31)
"""**Source:** OHDSI, OMOP CDM v5.4, CONCEPT: the dates of concepts without limits."""


class OmopForm(BaseModel):
    """What configs/omop/export.yaml says.

    Attributes:
        vocabularies: OMOP's name of a system where it differs.
        tables: systems by table.
        sexes, visits, statuses: concept ids by code, care level and role.
        record_type, deceased, cdm_version: concept ids of an EHR record, of death, of CDM 5.4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabularies: dict[str, str]
    tables: dict[str, tuple[str, ...]]
    sexes: dict[str, int]
    visits: dict[str, int]
    statuses: dict[str, int]
    record_type: int
    deceased: int
    cdm_version: Annotated[int, Field(gt=0)]


def load_form() -> OmopForm:
    """The shipped form.

    Raises:
        ConfigurationError: faults in the file.
    """
    file = find_config("omop", "export")
    return validate(OmopForm, read_yaml(file), where=file.name)


def concepts_of(codes: pl.DataFrame, form: OmopForm) -> pl.DataFrame:
    """One local concept a code.

    Args:
        codes: code, description (null where it is not known), sorted by code.
        form: vocabularies and tables.

    Returns:
        code, description, concept_id, cdm_table, source_value, and the columns of CONCEPT.
    """
    theirs = dict(form.vocabularies)
    ours = {name: system for system, name in theirs.items()}
    table_of = {system: table for table, systems in form.tables.items() for system in systems}
    split = codes.with_columns(
        _system=pl.col("code").str.extract(r"(?s)^(.*?)//"),
        _rest=pl.col("code").str.extract(r"(?s)^.*?//(.*)$"),
    ).with_columns(
        _vocabulary=pl.col("_system").replace(theirs),
        _number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    )
    back = pl.col("_vocabulary").replace(ours)
    fits = (
        (pl.col("_system").str.len_chars().is_between(1, _SYSTEM_WIDTH))
        & (pl.col("_vocabulary").str.len_chars() <= _SYSTEM_WIDTH)
        & pl.col("_rest").str.len_chars().is_between(1, _CODE_WIDTH)
        & (back == pl.col("_system"))
        & (pl.col("_vocabulary") != OWN_VOCABULARY)
    ).fill_null(value=False)
    table = pl.col("_system").replace_strict(table_of, default=OTHER_TABLE, return_dtype=pl.String)
    named = pl.coalesce("description", "code").str.slice(0, NAME_WIDTH)
    return split.with_columns(_fits=fits, cdm_table=table.fill_null(OTHER_TABLE)).select(
        "code",
        "description",
        "cdm_table",
        (LOCAL_CONCEPTS_FROM + pl.col("_number")).cast(pl.Int32).alias("concept_id"),
        pl.coalesce("_rest", "code").str.slice(0, _CODE_WIDTH).alias("source_value"),
        pl.when("_fits").then(named).otherwise(pl.col("code").str.slice(0, NAME_WIDTH)).alias("concept_name"),
        pl.col("cdm_table").replace_strict(_DOMAINS).alias("domain_id"),
        pl.when("_fits").then("_vocabulary").otherwise(pl.lit(OWN_VOCABULARY)).alias("vocabulary_id"),
        pl.lit("Local").alias("concept_class_id"),
        pl.when("_fits")
        .then("_rest")
        .otherwise(pl.format("P{}", pl.col("_number").cast(pl.String).str.zfill(9)))
        .alias("concept_code"),
        pl.lit(_FIRST_DAY).alias("valid_start_date"),
        pl.lit(_LAST_DAY).alias("valid_end_date"),
    )
