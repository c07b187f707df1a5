"""Events as rows of OMOP's clinical tables, and what these cannot hold as rows of tables beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.export.omop_codes import OTHER_TABLE, OmopForm

BESIDE = pl.Schema(
    {"known_time": INSTANT, "text_value": pl.String(), "unit": pl.String(), "is_static": pl.Int32()}
)
"""What a row of a table beside a clinical table says; null where the clinical table says it."""
NO_DATE = date(1900, 1, 1)
"""The date of facts without a time, where their person's birth is not known: OMOP asks for one."""
_WIDTH = 50


@dataclass(frozen=True)
class ClinicalTable:
    """How events are written into one table.

    Attributes:
        name: the table.
        id_column: what names a row.
        word: what its columns of concepts and source values begin with.
        date, instant: its columns of time.
        value, text, unit: where these go, None where the table has no place.
        text_width: the most characters of a text.
    """

    name: str
    id_column: str
    word: str
    date: str
    instant: str
    value: str | None = None
    text: str | None = None
    unit: str | None = None
    text_width: int = _WIDTH

    @property
    def beside(self) -> str:
        """The name of the table beside it."""
        return f"pesta_{self.name}"


CLINICAL = {
    table.name: table
    for table in (
        ClinicalTable(
            "condition_occurrence",
            "condition_occurrence_id",
            "condition",
            "condition_start_date",
            "condition_start_datetime",
        ),
        ClinicalTable(
            "procedure_occurrence",
            "procedure_occurrence_id",
            "procedure",
            "procedure_date",
            "procedure_datetime",
        ),
        ClinicalTable(
            "drug_exposure",
            "drug_exposure_id",
            "drug",
            "drug_exposure_start_date",
            "drug_exposure_start_datetime",
            value="quantity",
            unit="dose_unit_source_value",
        ),
        ClinicalTable(
            "measurement",
            "measurement_id",
            "measurement",
            "measurement_date",
            "measurement_datetime",
            value="value_as_number",
            text="value_source_value",
            unit="unit_source_value",
        ),
        ClinicalTable(
            "observation",
            "observation_id",
            "observation",
            "observation_date",
            "observation_datetime",
            value="value_as_number",
            text="value_as_string",
            unit="unit_source_value",
            text_width=60,
        ),
    )
}
"""**Source:** OHDSI, OMOP CDM v5.4: the columns of the clinical tables."""


def with_tables(events: pl.DataFrame) -> pl.DataFrame:
    """Events with `cdm_table` such that the table has a place for number, text and unit, else OBSERVATION.

    Args:
        events: columns of EVENTS and cdm_table by code.
    """
    holds = {
        part: [name for name, table in CLINICAL.items() if getattr(table, part)]
        for part in ("value", "text", "unit")
    }
    columns = {"value": "numeric_value", "text": "text_value", "unit": "unit"}
    fits = pl.all_horizontal(
        pl.col("time").is_not_null(),
        *(
            pl.col(columns[part]).is_null() | pl.col("cdm_table").is_in(names)
            for part, names in holds.items()
        ),
    )
    return events.with_columns(cdm_table=pl.when(fits).then("cdm_table").otherwise(pl.lit(OTHER_TABLE)))


def clinical_rows(
    events: pl.DataFrame, table: ClinicalTable, first_id: int, form: OmopForm
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of one table, and those of the table beside it.

    Args:
        events: of this table alone: columns of EVENTS, person_id, visit_occurrence_id, concept_id,
            source_value, birth_date and status (null or a Condition Status concept).
        table: which.
        first_id: of the first row.
        form: concept ids.

    Returns:
        Rows of the CDM table, and rows of BESIDE with the table's id column, where one is needed.
    """
    day = pl.coalesce(pl.col("time").dt.date(), "birth_date", pl.lit(NO_DATE))
    # The shortest text of a Float32 read as a double: 0.1 stays 0.1.
    value = pl.col("numeric_value").cast(pl.String).cast(pl.Float64)
    is_short = pl.col("text_value").str.len_chars() <= table.text_width
    has_unit = pl.col("unit").str.len_chars() <= _WIDTH
    numbered = events.with_columns(
        pl.int_range(first_id, first_id + pl.len(), dtype=pl.Int32).alias(table.id_column)
    )
    columns: dict[str, pl.Expr] = {
        table.id_column: pl.col(table.id_column),
        "person_id": pl.col("person_id"),
        table.date: day,
        table.instant: pl.col("time"),
        f"{table.word}_concept_id": pl.lit(0),
        f"{table.word}_type_concept_id": pl.lit(form.record_type),
        f"{table.word}_source_concept_id": pl.col("concept_id"),
        f"{table.word}_source_value": pl.col("source_value"),
        "visit_occurrence_id": pl.col("visit_occurrence_id"),
    }
    if table.value:
        columns[table.value] = value
    if table.text:
        columns[table.text] = pl.when(is_short).then("text_value")
    if table.unit:
        columns[table.unit] = pl.when(has_unit).then("unit")
    if table.name == "drug_exposure":
        columns["drug_exposure_end_date"] = day
    if table.name == "condition_occurrence":
        columns["condition_status_concept_id"] = pl.col("status")
    beside = numbered.select(
        table.id_column,
        "known_time",
        pl.when(~is_short).then("text_value").alias("text_value"),
        pl.when(~has_unit).then("unit").alias("unit"),
        pl.when(pl.col("time").is_null()).then(pl.lit(1, pl.Int32)).alias("is_static"),
    )
    needed = beside.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in BESIDE))
    return numbered.select(**columns), needed
