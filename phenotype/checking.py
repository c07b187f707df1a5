"""What is wrong with a MEDS dataset, everything at once: files, schemas, order, references, facts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import InputError, Problem
from phenotype.trajectory import (
    BIRTH_CODE,
    CODINGS,
    CONTACTS,
    DEATH_CODE,
    EVENTS,
    LINEAGE,
    OBSERVATION,
    REJECTED,
    Dataset,
    find_dataset,
)

_TABLES = {
    "contacts": CONTACTS,
    "codings": CODINGS,
    "observation": OBSERVATION,
    "lineage": LINEAGE,
    "rejected": REJECTED,
}
_AGAIN = "make the dataset again, or mend the program that wrote it"


def check_dataset(path: Path) -> list[Problem]:
    """Every problem of a dataset; empty where it is sound.

    Columns and tables that Pesta adds to MEDS are checked where they are there; none of them must be.

    Args:
        path: the dataset's folder.

    **Source:** MEDS 0.4: `meds`' schema classes; a subject's events stand in one file, in time order.
    """
    try:
        dataset = find_dataset(path)
    except InputError as error:
        return list(error.problems)
    tables, problems = _read_tables(dataset)
    subjects: dict[str, pl.Series] = {}
    codes = [pl.Series("code", [], dtype=pl.String)]
    for shard in dataset.shards:
        name = shard.relative_to(dataset.path).as_posix()
        try:
            events = pl.read_parquet(shard)
        except (pl.exceptions.PolarsError, OSError):
            problems.append(Problem("not a whole parquet file", name, next_step=_AGAIN))
            continue
        faults = list(_schema_faults(events, shard, name))
        problems += faults
        if not any(fault.what.startswith("not MEDS") for fault in faults):
            events = events.with_columns(
                pl.lit(None, dtype).alias(column)
                for column, dtype in EVENTS.items()
                if events.schema.get(column) != dtype
            )
            problems += [
                *_order_faults(events, name),
                *_fact_faults(events, name),
                *_reference_faults(events, name, tables),
            ]
            subjects[name] = events["subject_id"].unique()
            codes.append(events["code"].unique())
    codes_used = pl.concat(codes).unique()
    problems += [*_subject_faults(subjects), *_metadata_faults(dataset, codes_used), *_table_faults(tables)]
    return problems + _account_faults(dataset)


def _schema_faults(events: pl.DataFrame, shard: Path, name: str) -> Iterator[Problem]:
    """What the schema class of meds finds, and columns of ours that have another type."""
    import pyarrow.parquet as pq
    from flexible_schema.exceptions import (  # type: ignore[import-untyped]
        SchemaValidationError,
        TableValidationError,
    )
    from meds.schema import DataSchema

    try:
        DataSchema.validate(_with_plain_text(pq.read_table(shard)))
    except (SchemaValidationError, TableValidationError) as error:
        yield Problem(
            "not MEDS: the schema class refuses the file",
            name,
            _one_line(error),
            "MEDS 0.4 DataSchema",
            _AGAIN,
        )
    for column in ("known_time", "unit", "contact_id", "lineage_id"):
        dtype = events.schema.get(column)
        if dtype is not None and dtype not in (EVENTS[column], pl.Null):
            yield Problem(f"column {column} has another type", name, str(dtype), str(EVENTS[column]), _AGAIN)


def _with_plain_text(table: Any) -> Any:
    """An arrow table whose texts have the widths that meds asks for; parquet itself knows none."""
    import pyarrow as pa

    plain = {pa.large_string(): pa.string(), pa.large_list(pa.large_string()): pa.list_(pa.string())}
    fields = [field.with_type(plain.get(field.type, field.type)) for field in table.schema]
    wide = [
        pa.field("text_value", pa.large_string()) if field.name == "text_value" else field for field in fields
    ]
    return table.cast(pa.schema(wide))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _order_faults(events: pl.DataFrame, name: str) -> Iterator[Problem]:
    """Subjects that stand in several places of a file, and events out of time order."""
    if events["subject_id"].rle_id().n_unique() != events["subject_id"].n_unique():
        yield Problem(
            "a subject's events do not stand together", name, allowed="sorted by subject", next_step=_AGAIN
        )
        return
    is_same = pl.col("subject_id") == pl.col("subject_id").shift(1)
    goes_back = is_same & (pl.col("time") < pl.col("time").shift(1))
    is_late_static = is_same & pl.col("time").is_null() & pl.col("time").shift(1).is_not_null()
    yield from _counted(
        events, goes_back, "events out of time order", name, "sorted by time within a subject"
    )
    yield from _counted(
        events, is_late_static, "static facts after dated events", name, "facts without time first"
    )


def _fact_faults(events: pl.DataFrame, name: str) -> Iterator[Problem]:
    """Facts that cannot be."""
    events = events.with_columns(
        _birth=pl.col("time").filter(pl.col("code") == BIRTH_CODE).min().over("subject_id"),
        _n_births=(pl.col("code") == BIRTH_CODE).sum().over("subject_id"),
        _n_deaths=(pl.col("code") == DEATH_CODE).sum().over("subject_id"),
    )
    is_birth, is_death = pl.col("code") == BIRTH_CODE, pl.col("code") == DEATH_CODE
    yield from _counted(events, pl.col("code").str.strip_chars() == "", "events with an empty code", name)
    yield from _counted(
        events, ~pl.col("numeric_value").is_finite(), "values that are no number (NaN or infinite)", name
    )
    yield from _counted(
        events, pl.col("known_time") < pl.col("time"), "events known before they happened", name
    )
    yield from _counted(events, pl.col("time") < pl.col("_birth"), "events before the subject's birth", name)
    yield from _counted(events, is_birth & (pl.col("_n_births") > 1), "subjects born more than once", name)
    yield from _counted(
        events, is_death & (pl.col("_n_deaths") > 1), "subjects who died more than once", name
    )
    yield from _counted(
        events, (is_birth | is_death) & pl.col("time").is_null(), "births or deaths without a time", name
    )


def _reference_faults(events: pl.DataFrame, name: str, tables: dict[str, pl.DataFrame]) -> Iterator[Problem]:
    """Events that name contacts or lineage rows that are not there, or somebody else's contact."""
    contacts, lineage = tables.get("contacts"), tables.get("lineage")
    named = events.filter(pl.col("contact_id").is_not_null())
    if contacts is not None and named.height:
        owners = contacts.select("contact_id", _owner="subject_id", _there=pl.lit(value=True)).unique(
            "contact_id"
        )
        joined = named.join(owners, on="contact_id", how="left")
        yield from _counted(
            joined, pl.col("_there").is_null(), "events of contacts that contacts.parquet lacks", name
        )
        others = pl.col("_owner") != pl.col("subject_id")
        yield from _counted(joined, others, "events that name another subject's contact", name)
    if lineage is not None:
        known = lineage["lineage_id"].unique().implode()
        is_lost = pl.col("lineage_id").is_not_null() & ~pl.col("lineage_id").is_in(known)
        yield from _counted(events, is_lost, "events whose lineage_id lineage.parquet lacks", name)


def _counted(
    frame: pl.DataFrame, is_wrong: pl.Expr, what: str, where: str, allowed: str = "none"
) -> Iterator[Problem]:
    """One problem where any row is wrong, with how many rows are."""
    n_wrong = int(frame.select(is_wrong.fill_null(value=False).sum()).item() or 0)
    if n_wrong:
        yield Problem(what, where, f"{n_wrong:,} rows", allowed, _AGAIN)


def _subject_faults(subjects: dict[str, pl.Series]) -> Iterator[Problem]:
    """Subjects in more than one file."""
    if len(subjects) > 1:
        n_twice = int(pl.concat(list(subjects.values())).value_counts()["count"].gt(1).sum())
        if n_twice:
            yield Problem(
                "subjects in more than one file", "data/", f"{n_twice:,} subjects", "one file each", _AGAIN
            )


def _metadata_faults(dataset: Dataset, codes_used: pl.Series) -> Iterator[Problem]:
    """What the schema classes of meds find in metadata/, and codes or subjects that are not listed."""
    from flexible_schema.exceptions import (
        SchemaValidationError,
        TableValidationError,
    )
    from meds.schema import CodeMetadataSchema, DatasetMetadataSchema, SubjectSplitSchema

    try:
        DatasetMetadataSchema.validate(dataset.metadata)
    except (SchemaValidationError, TableValidationError, ValueError) as error:
        yield Problem("dataset.json is not MEDS", "metadata/dataset.json", _one_line(error), next_step=_AGAIN)
    codes, faults = _metadata_table(dataset.path / "metadata" / "codes.parquet", CodeMetadataSchema)
    yield from faults
    if codes is not None:
        listed, where = codes["code"], "metadata/codes.parquet"
        unlisted = codes_used.filter(~codes_used.is_in(listed.implode())).len()
        if unlisted:
            yield Problem("codes that codes.parquet lacks", where, f"{unlisted:,} codes", "none", _AGAIN)
        yield from _counted(
            codes, pl.col("code").is_duplicated(), "codes listed twice", where, "one row a code"
        )
    splits, faults = _metadata_table(dataset.path / "metadata" / "subject_splits.parquet", SubjectSplitSchema)
    yield from faults
    if splits is not None:
        where = "metadata/subject_splits.parquet"
        yield from _counted(splits, pl.col("subject_id").is_duplicated(), "subjects in two splits", where)


def _metadata_table(file: Path, schema: Any) -> tuple[pl.DataFrame | None, list[Problem]]:
    """A table of metadata/ that its schema class accepts, and otherwise what that class says."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from flexible_schema.exceptions import (
        SchemaValidationError,
        TableValidationError,
    )

    if not file.exists():
        return None, []
    try:
        schema.validate(_with_plain_text(pq.read_table(file)))
    except (SchemaValidationError, TableValidationError, pa.ArrowException, OSError) as error:
        where = f"metadata/{file.name}"
        return None, [Problem(f"{file.name} is not MEDS", where, _one_line(error), schema.__name__, _AGAIN)]
    return pl.read_parquet(file), []


def _read_tables(dataset: Dataset) -> tuple[dict[str, pl.DataFrame], list[Problem]]:
    """The tables beside the events that are there and have their schema, and what is wrong with others."""
    tables, problems = {}, []
    for name, schema in _TABLES.items():
        file = dataset.path / f"{name}.parquet"
        if not file.exists():
            continue
        try:
            frame = pl.read_parquet(file)
        except (pl.exceptions.PolarsError, OSError):
            problems.append(Problem("not a whole parquet file", file.name, next_step=_AGAIN))
            continue
        there = {column: frame.schema.get(column, "missing") for column in schema}
        wrong = [f"{column} {dtype}" for column, dtype in there.items() if dtype != schema[column]]
        if wrong:
            wanted = ", ".join(f"{column} {schema[column]}" for column in schema)
            what = "columns are missing or have another type"
            problems.append(Problem(what, file.name, ", ".join(wrong), wanted, _AGAIN))
        else:
            tables[name] = frame
    return tables, problems


def _table_faults(tables: dict[str, pl.DataFrame]) -> Iterator[Problem]:
    """Contacts, codings and windows that contradict themselves or each other."""
    contacts, codings, windows = (tables.get(name) for name in ("contacts", "codings", "observation"))
    if contacts is not None:
        where, ids = "contacts.parquet", contacts["contact_id"]
        is_nobodys = pl.any_horizontal(pl.col("contact_id", "subject_id").is_null())
        yield from _counted(contacts, is_nobodys, "contacts without id or subject", where)
        yield from _counted(
            contacts, pl.col("contact_id").is_duplicated(), "contact ids that are there twice", where
        )
        yield from _counted(
            contacts, pl.col("end_time") < pl.col("start_time"), "contacts that end before they start", where
        )
        yield from _counted(
            contacts, ~pl.col("stay_id").is_in(ids.implode()), "stay ids that are no contact's", where
        )
        if codings is not None:
            is_lost = ~pl.col("contact_id").is_in(ids.implode()) | pl.col("contact_id").is_null()
            yield from _counted(
                codings, is_lost, "codings of contacts that contacts.parquet lacks", "codings.parquet"
            )
    if windows is not None:
        is_reversed = pl.col("end_time") < pl.col("start_time")
        yield from _counted(
            windows, is_reversed, "observation windows that end before they start", "observation.parquet"
        )


def _account_faults(dataset: Dataset) -> list[Problem]:
    """Files whose rows are not all accounted for in ingest.json."""
    file = dataset.path / "ingest.json"
    if not file.exists():
        return []
    try:
        files = json.loads(file.read_text("utf-8"))["files"]
        n_open = sum(
            entry["rows_read"]
            != entry["rows_used"] + sum(entry["rows_ignored"].values()) + sum(entry["rows_rejected"].values())
            for entry in files
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return [Problem("ingest.json cannot be read", "ingest.json", next_step=_AGAIN)]
    return (
        [Problem("the account of rows does not close", "ingest.json", f"{n_open} files", "none", _AGAIN)]
        if n_open
        else []
    )
