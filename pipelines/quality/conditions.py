"""SQL conditions of checks: the columns that each table offers, and reading a condition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import polars as pl

from phenotype.contacts import STAYS
from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, INSTANT, OBSERVATION

TableName = Literal["events", "subjects", "contacts", "stays", "codings", "observation"]

SUBJECTS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "birth_time": INSTANT,
        "n_births": pl.UInt32(),
        "death_time": INSTANT,
        "n_deaths": pl.UInt32(),
        "sex": pl.String(),
        "n_sexes": pl.UInt32(),
        "n_events": pl.UInt32(),
        "n_windows": pl.UInt32(),
    }
)
"""One row a subject; n_events counts what has a time and is neither birth nor death."""

_PERSON = {"birth_time": INSTANT, "death_time": INSTANT, "sex": pl.String(), "n_windows": pl.UInt32()}
_EXTRACT = {"extract_end": INSTANT, "created_at": INSTANT}
COLUMNS: Mapping[TableName, pl.Schema] = {
    "events": pl.Schema(
        {
            **EVENTS,
            "system": pl.String(),
            **_PERSON,
            "age_years": pl.Float64(),
            "contact_subject_id": pl.Int64(),
            "start_time": INSTANT,
            "end_time": INSTANT,
            "care_level": pl.String(),
            "unit_id": pl.String(),
            "hospital_id": pl.String(),
            "is_observed": pl.Boolean(),
            "delay_hours": pl.Float64(),
            **_EXTRACT,
        }
    ),
    "subjects": pl.Schema({**SUBJECTS, **_EXTRACT}),
    "contacts": pl.Schema(
        {
            **CONTACTS,
            **_PERSON,
            "length_hours": pl.Float64(),
            "age_years": pl.Float64(),
            "n_diagnoses": pl.UInt32(),
            "n_mains": pl.UInt32(),
            **_EXTRACT,
        }
    ),
    "stays": pl.Schema({**STAYS, **_PERSON, "n_diagnoses": pl.UInt32(), "n_mains": pl.UInt32(), **_EXTRACT}),
    "codings": pl.Schema(
        {
            **CODINGS,
            "compact_code": pl.String(),
            "start_time": INSTANT,
            "end_time": INSTANT,
            "care_level": pl.String(),
            "unit_id": pl.String(),
            "hospital_id": pl.String(),
            "n_same": pl.UInt32(),
            **_EXTRACT,
        }
    ),
    "observation": pl.Schema({**OBSERVATION, **_EXTRACT}),
}
"""The columns that a condition may name. Beyond the dataset's own: `system` is what stands before `//`;
birth_time, death_time and sex are the subject's; start_time to hospital_id are of the contact that an event
or coding names, contact_subject_id whose it is; is_observed says whether any observation window holds the
instant (null where there are no windows); extract_end is the end of the last window, or the last event;
created_at is when the dataset was made; compact_code is a code without dots; n_same counts codings of the
contact and role with that code; n_diagnoses counts the codes of conditions, n_mains the main conditions."""

_ALWAYS_TRUE = pl.lit(value=True)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_OVER_ROWS = re.compile(
    r"\b(?:array_agg|string_agg|avg|corr|count|covar(?:_pop|_samp)?|first(?:_value)?|last(?:_value)?|lag|lead|max|median"
    r"|min|nth_value|ntile|quantile_cont|quantile_disc|(?:dense_|percent_)?rank|row_number|std(?:dev)?(?:_pop|_samp)?"
    r"|sum|var(?:iance)?(?:_pop|_samp)?)\s*\(",
    re.IGNORECASE,
)
"""Functions over many rows: events are counted in slices, so that they would mean another thing each time.

**Source:** polars, SQL interface, aggregate and window functions.
"""


def condition(text: str) -> pl.Expr:
    """The expression of an SQL condition; an empty one holds always, null counts as false.

    Raises:
        polars.exceptions.PolarsError: the text is no SQL.
    """
    return pl.sql_expr(text).fill_null(value=False) if text.strip() else _ALWAYS_TRUE


def columns_of(text: str) -> set[str]:
    """The columns that an SQL condition names."""
    return set(pl.sql_expr(text).meta.root_names()) if text.strip() else set()


def fault_of(text: str, table: TableName) -> str | None:
    """Why a text is no condition over a table; None where it is one."""
    if (found_function := _OVER_ROWS.search(_QUOTED.sub("''", text))) is not None:
        return f"{found_function[0]}...) looks at many rows; a condition asks one row at a time"
    empty = pl.DataFrame(schema=COLUMNS[table])
    try:
        found = empty.lazy().select(holds=pl.sql_expr(text)).collect_schema()["holds"]
        empty.select(holds=pl.sql_expr(text))
    except pl.exceptions.PolarsError as error:
        return " ".join(str(error).split())[:160]
    return None if found == pl.Boolean else f"it gives {found}, not true or false"
