"""The tables of the CDM have the columns, types and bounds of the specification."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import InputError
from pipelines.export.omop_tables import as_table, cdm_schema, cdm_tables, write_table

# Counted by hand in OHDSI's OMOPCDM_postgresql_5.4_ddl.sql: columns, and of them NOT NULL.
COUNTS = {
    "person": (18, 5),
    "visit_occurrence": (17, 6),
    "visit_detail": (19, 7),
    "condition_occurrence": (16, 5),
    "drug_exposure": (23, 6),
    "measurement": (23, 5),
    "observation": (21, 5),
    "note": (16, 8),
    "concept": (10, 8),
}


@pytest.mark.parametrize("table", sorted(COUNTS))
def test_tables_have_the_columns_of_the_specification(table: str) -> None:
    columns = cdm_tables()[table]
    assert (len(columns), sum(column.is_required for column in columns)) == COUNTS[table]


def test_types_are_those_of_the_specification() -> None:
    schema = cdm_schema("observation")
    assert schema["observation_id"] == pl.Int32
    assert schema["observation_date"] == pl.Date
    assert schema["observation_datetime"] == pl.Datetime("us")
    assert schema["value_as_number"] == pl.Float64
    widths = {column.name: column.width for column in cdm_tables()["observation"]}
    assert (widths["value_as_string"], widths["unit_source_value"]) == (60, 50)


def test_a_csv_file_has_the_header_in_order_and_empty_cells_for_nulls(tmp_path: Path) -> None:
    death = pl.DataFrame(
        {
            "person_id": [1, 2],
            "death_date": [date(2020, 1, 2)] * 2,
            "death_datetime": [datetime(2020, 1, 2, 3, 4, 5), datetime(2020, 1, 2, 3, 4, 5, 60)],
        }
    )
    lines = write_table(tmp_path, "death", death).read_text("utf-8").splitlines()
    named = ["person_id", "death_date", "death_datetime", "death_type_concept_id", "cause_concept_id"]
    assert lines == [
        ",".join([*named, "cause_source_value", "cause_source_concept_id"]),
        "1,2020-01-02,2020-01-02 03:04:05,,,,",
        "2,2020-01-02,2020-01-02 03:04:05.000060,,,,",
    ]


def test_required_concepts_are_zero_where_they_are_not_given() -> None:
    made = as_table("condition_occurrence", _condition())
    assert made["condition_concept_id"].to_list() == [0]
    assert made["condition_source_concept_id"].to_list() == [None]


def test_everything_that_does_not_fit_is_told_at_once() -> None:
    wrong = _condition().with_columns(
        person_id=pl.lit(None, pl.Int64), condition_source_value=pl.lit("x" * 51), colour=pl.lit("blue")
    )
    with pytest.raises(InputError) as caught:
        as_table("condition_occurrence", wrong.drop("colour"))
    assert [problem.where for problem in caught.value.problems] == [
        "condition_occurrence.person_id",
        "condition_occurrence.condition_source_value",
    ]
    with pytest.raises(InputError, match="no such column"):
        as_table("condition_occurrence", wrong.select("colour"))


def _condition() -> pl.DataFrame:
    return pl.DataFrame(
        {"condition_occurrence_id": [1], "person_id": [1], "condition_start_date": [date(2020, 1, 2)]}
    )
