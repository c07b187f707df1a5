"""Columns of facts become frames: what all clinical tables share, and the fields that were wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.sources.fhir.batch import Batch
from pipelines.sources.fhir.projection.codings import Concept
from pipelines.sources.fhir.projection.quantities import (
    CANNOT_CONVERT,
    Amounts,
    sent_words,
    with_wanted_units,
)
from pipelines.sources.fhir.projection.times import UNPARSABLE
from pipelines.sources.records import FATES

UNIT_SYSTEMS = {
    "urn:oid:2.16.578.1.12.4.1.4.102": "RESH",
    "urn:oid:2.16.578.1.12.4.1.2": "HER",
    "urn:oid:2.16.578.1.12.4.1.4.101": "ORGNR",
}
"""Identifier systems of places and organisations, best first.

**Source:** HL7 Norway, NamingSystems of HL7Norway/kodeverk."""
Column = Sequence[object] | pl.Series
FATES_TABLE = "_fates"
NO_FACT = "no fact about a patient"

FACTS = pl.Schema(
    {
        "kind": pl.String(),
        "subject": pl.String(),
        "about": pl.String(),
        "encounter": pl.String(),
        "status": pl.String(),
        "code": pl.String(),
        "display": pl.String(),
        "alternates": pl.String(),
        "time": INSTANT,
        "known_time": INSTANT,
        "value": pl.Float64(),
        "unit": pl.String(),
        "sent_value": pl.String(),
        "sent_unit": pl.String(),
        "text": pl.String(),
        "note": pl.String(),
    }
)
"""What a fact of any clinical resource has. `kind` tells rows of one resource apart, `subject` and
`encounter` are names of what the references point to, `about` is the type of a subject that is no patient,
`text` is coded or enumerated, `note` somebody's own words."""


def circumstances(
    batch: Batch, subject: str = "subject", encounter: str = "encounter"
) -> dict[str, pl.Series]:
    """Of each resource: whom it is about, in which contact, and its status."""
    resources = batch.resources
    subjects = texts(targets(batch, [resource.get(subject) for resource in resources]))
    return {
        "subject": subjects,
        "about": _no_patient(subjects),
        "encounter": texts(targets(batch, [resource.get(encounter) for resource in resources])),
        "status": texts([resource.get("status") for resource in resources]),
    }


def targets(
    batch: Batch, references: Sequence[object], positions: Sequence[int] | None = None
) -> list[str | None]:
    """The names of what Reference elements point to, as `Batch.targets`.

    Raises:
        TypeError: something is no JSON object.
    """
    if not {type(reference) for reference in references} <= {dict, type(None)}:
        message = "a reference is of another JSON type"
        raise TypeError(message)
    return batch.targets(references, positions)


def _no_patient(subjects: pl.Series) -> pl.Series:
    """The type of each subject that is a resource of another type than Patient; null elsewhere."""
    if subjects.str.starts_with("Patient/").all():
        return subjects.clear(subjects.len())
    named = subjects.rename("subject").to_frame()
    kind = pl.col("subject").str.extract(r"^([A-Z][A-Za-z]+)/[^#]*$")
    return named.select(pl.when(kind != "Patient").then(kind)).to_series()


def texts(values: Sequence[object]) -> pl.Series:
    """A column of texts.

    Raises:
        TypeError: something is no text.
    """
    return pl.Series(values, dtype=pl.String, strict=True)


def concept_columns(concepts: Sequence[Concept]) -> dict[str, Column]:
    """The code, display, alternates and note of each concept."""
    if not concepts:
        return {}
    codes, displays, alternates, notes, *_ = zip(*concepts, strict=True)
    return {"code": codes, "display": displays, "alternates": alternates, "note": notes}


def amount_columns(read: Amounts) -> dict[str, Column]:
    """Value, unit, and what was sent; the comparator is the text."""
    columns: dict[str, Column] = {
        "value": read.values,
        "unit": read.units,
        "sent_unit": read.sent_units,
        "text": read.comparators,
    }
    if any(read.comparators):
        columns["sent_value"] = sent_words(read.values, read.comparators)
    return columns


def frame(schema: Mapping[str, Any], rows: Sequence[int], columns: Mapping[str, Column]) -> pl.DataFrame:
    """A table of the schema's columns and `_row`; columns that are not given are null.

    Raises:
        TypeError, polars.exceptions.PolarsError: a value is of another type than its column.
    """
    count = len(rows)
    made = [pl.Series("_row", rows, dtype=pl.Int64, strict=True)]
    for name, dtype in schema.items():
        given = columns.get(name)
        if given is None:
            made.append(pl.Series(name, dtype=dtype).clear(count))
        elif isinstance(given, pl.Series):
            made.append(given.alias(name))
        else:
            made.append(pl.Series(name, given, dtype=dtype, strict=True))
    return pl.DataFrame(made)


def facts_table(
    batch: Batch,
    schema: Mapping[str, Any],
    rows: Sequence[int],
    columns: Mapping[str, Column],
    wrong: Mapping[str, pl.Series | None],
) -> dict[str, pl.DataFrame]:
    """The table of a clinical type, its values in the units that are wanted, and its wrong fields.

    Args:
        batch: of the resources.
        schema: FACTS, or more.
        rows: the record of each row of the table.
        columns: of the schema; a text and a note of one row become one note.
        wrong: by field, which rows have it and cannot be read.
    """
    made = frame(schema, rows, columns)
    if made["note"].null_count() < made.height:
        both = pl.col("text").is_not_null() & pl.col("note").is_not_null()
        words = pl.concat_str(pl.col("text"), pl.lit(": "), pl.col("note"))
        is_noted = pl.col("note").is_not_null()
        made = made.with_columns(
            note=pl.when(both).then(words).otherwise("note"), text=pl.when(~is_noted).then("text")
        )
    made, unconverted = with_wanted_units(made, batch.options)
    found = {batch.resource_type: made}
    faults = wrong_fields(batch.resource_type, made["_row"], {**wrong, "unit": unconverted})
    return {**found, FATES_TABLE: faults} if faults is not None else found


def wrong_fields(table: str, rows: pl.Series, wrong: Mapping[str, pl.Series | None]) -> pl.DataFrame | None:
    """Fates of fields that could not be read; None where all could.

    Args:
        table: that the rows stand in.
        rows: the record of each row.
        wrong: by field, which rows are.
    """
    parts = []
    for field, is_wrong in wrong.items():
        if is_wrong is None or not is_wrong.any():
            continue
        named = rows.filter(is_wrong.fill_null(value=False)).unique().sort().alias("_row").to_frame()
        reason = CANNOT_CONVERT if field == "unit" else UNPARSABLE
        parts.append(
            named.select(
                "_row",
                table=pl.lit(table),
                fate=pl.lit("field"),
                field=pl.lit(field),
                reason=pl.lit(reason),
                byte_offset=pl.lit(None, pl.Int64),
            )
        )
    return pl.concat(parts).select(FATES.names()).cast(FATES) if parts else None


def no_fact(batch: Batch) -> pl.DataFrame:
    """Fates of resources that only help others."""
    return pl.DataFrame(
        {
            "_row": batch.rows,
            "table": [batch.resource_type] * len(batch.rows),
            "fate": ["ignored"] * len(batch.rows),
            "field": [""] * len(batch.rows),
            "reason": [NO_FACT] * len(batch.rows),
            "byte_offset": [None] * len(batch.rows),
        },
        schema=FATES,
    )


def gathered(columns: Mapping[str, pl.Series], positions: list[int]) -> dict[str, pl.Series]:
    """The columns at some positions; as they are where those are all, in order."""
    if positions == list(range(len(next(iter(columns.values()))))):
        return dict(columns)
    return {name: column.gather(positions) for name, column in columns.items()}


def marks_at(wrong: Mapping[str, pl.Series | None], positions: list[int]) -> dict[str, pl.Series | None]:
    """Which rows have a wrong field, at some positions."""
    return {field: None if one is None else one.gather(positions) for field, one in wrong.items()}


Projector = Callable[[Batch], dict[str, pl.DataFrame]]


def place_words(name: str | None) -> str | None:
    """What a place or an organisation is called where nothing but a reference tells of it.

    A contained one is called by its own id alone, since its container's names a contact; one that is referred
    to by an identifier of Norwegian units is called by that.

    Args:
        name: of what the reference points to.
    """
    if name is None:
        return None
    if name.startswith("identifier:"):
        system, _, value = name.removeprefix("identifier:").rpartition("|")
        return f"{UNIT_SYSTEMS[system]}:{value}" if system in UNIT_SYSTEMS else name
    container, mark, own = name.partition("#")
    return f"#{own}" if mark and container.partition("/")[2] else name


def held(value: object) -> dict[str, Any]:
    """A JSON object itself, an empty one where there is none.

    Raises:
        TypeError: it is something else than an object.
    """
    if value is None:
        return {}
    if type(value) is not dict:
        message = "an object is of another JSON type"
        raise TypeError(message)
    return value


def first(value: object) -> Any:
    """The first member of a JSON array; None where there is none.

    Raises:
        TypeError: it is something else than an array.
    """
    return next(iter(listed(value)), None)


def listed(value: object) -> Iterable[Any]:
    """The members of a JSON array; none where there is no array.

    Raises:
        TypeError: it is something else than an array.
    """
    if value is None:
        return ()
    if type(value) is not list:
        message = "an array is of another JSON type"
        raise TypeError(message)
    return value
