"""The simulated hospital's records as an OMOP CDM 5.4: every code a local concept of its own system."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl

from pipelines.export.omop_tables import LOCAL_CONCEPTS_FROM, write_table
from pipelines.simulate.forms.omop_facts import fact_tables
from pipelines.simulate.forms.omop_visits import EHR, visit_tables

_GENDERS = {1: 8507, 2: 8532}
"""**Source:** OHDSI vocabulary Gender: male, female."""
_VALID_FROM, _VALID_TO = date(1970, 1, 1), date(2099, 12, 31)
_DOMAINS = {
    "condition_occurrence": "Condition",
    "procedure_occurrence": "Procedure",
    "drug_exposure": "Drug",
    "measurement": "Measurement",
    "specimen": "Specimen",
}


def write_omop(tables: Mapping[str, pl.DataFrame], folder: Path) -> None:
    """Write the tables of the CDM as CSV.

    Args:
        tables: those of the extract.
        folder: where the files go; made where it is absent.
    """
    facts = fact_tables(tables)
    concepts = _concepts(facts)
    made = {
        "person": _persons(tables["patients"]),
        "location": _locations(tables["patients"]),
        "death": _deaths(tables["deaths"]),
        "observation_period": _periods(tables["movements"]),
        **visit_tables(tables["contacts"]),
        **{name: _with_concepts(name, rows, concepts) for name, rows in facts.items()},
        "concept": _concept_table(concepts),
    }
    for name, rows in made.items():
        write_table(folder, name, rows)


def _persons(patients: pl.DataFrame) -> pl.DataFrame:
    born = pl.col("birth_date")
    return patients.select(
        person_id="patient_id",
        gender_concept_id=pl.col("kjonn").replace_strict(_GENDERS),
        year_of_birth=born.dt.year(),
        month_of_birth=born.dt.month(),
        day_of_birth=born.dt.day(),
        birth_datetime=born.cast(pl.Datetime("us")),
        location_id=pl.col("kommunenummer").cast(pl.Int32),
        person_source_value=pl.col("patient_id").cast(pl.String),
        gender_source_value=pl.col("kjonn").cast(pl.String),
    )


def _locations(patients: pl.DataFrame) -> pl.DataFrame:
    """One row a municipality, called by its number."""
    numbers = patients.select(location_source_value="kommunenummer").unique().sort("location_source_value")
    return numbers.with_columns(location_id=pl.col("location_source_value").cast(pl.Int32))


def _deaths(deaths: pl.DataFrame) -> pl.DataFrame:
    """The minute where it is known, in hospital; else the date alone."""
    return deaths.select(
        person_id="patient_id",
        death_date="death_date",
        death_datetime="death_time",
        death_type_concept_id=pl.lit(EHR),
    )


def _periods(movements: pl.DataFrame) -> pl.DataFrame:
    return movements.select(
        person_id="patient_id",
        observation_period_start_date=pl.col("from_time").dt.date(),
        observation_period_end_date=pl.col("to_time").dt.date(),
        period_type_concept_id=pl.lit(EHR),
    ).with_row_index("observation_period_id", offset=1)


def _concepts(facts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row a code that any fact has: concept_id, domain_id, vocabulary_id, concept_code."""
    parts = [
        rows.select("vocabulary_id", "concept_code").unique().with_columns(domain_id=pl.lit(_DOMAINS[name]))
        for name, rows in facts.items()
    ]
    codes = pl.concat(parts).unique(["vocabulary_id", "concept_code"], keep="first", maintain_order=True)
    return codes.sort("vocabulary_id", "concept_code").with_row_index(
        "concept_id", offset=LOCAL_CONCEPTS_FROM + 1
    )


def _with_concepts(name: str, rows: pl.DataFrame, concepts: pl.DataFrame) -> pl.DataFrame:
    """A table's rows numbered, their vocabulary and code become the local source concept."""
    kind = name.removesuffix("_occurrence").removesuffix("_exposure")
    ids = concepts.select("vocabulary_id", "concept_code", "concept_id")
    found = rows.join(ids, on=["vocabulary_id", "concept_code"], maintain_order="left")
    if name == "specimen":
        found = found.rename({"concept_id": "specimen_concept_id"})
    else:
        found = found.rename({"concept_id": f"{kind}_source_concept_id"})
    return found.drop("vocabulary_id", "concept_code").with_row_index(f"{name}_id", offset=1)


def _concept_table(concepts: pl.DataFrame) -> pl.DataFrame:
    return concepts.with_columns(
        concept_name=pl.format("{} {}", "vocabulary_id", "concept_code"),
        concept_class_id=pl.lit("Undefined"),
        valid_start_date=pl.lit(_VALID_FROM),
        valid_end_date=pl.lit(_VALID_TO),
    )
